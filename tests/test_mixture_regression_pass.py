"""The compiled pass over rows of regressions gives what blocks of rows give, for every kind of family and sharing."""

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff
from fisherfit import _threads
from fisherfit.kernels import kernels_of
from fisherfit.links import get_link
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.regressions import Regressions
from fisherfit.table import read_table
from fisherfit.terms import choose_columns

COUNT, ROWS = 3, 700
FAMILIES = {
    "poisson": (ff.Poisson(), ("log",)),
    "probit": (ff.Binomial(), ("probit",)),
    "normal": (ff.Normal().with_dispersion(), ("identity", "log")),
    "gamma": (ff.Gamma().with_dispersion(), ("log", "log")),
    "negative_binomial": (ff.NegativeBinomial(), ("log", "log")),
    "student_t": (ff.StudentT(df=5), ("identity", "log")),
}


def design_of(n, rng):
    """Columns with an intercept, and a factor, so that rows are expanded."""
    levels = np.array(list("abc"))[np.arange(n) % 3]
    table = read_table(pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "f": levels}))
    chosen = choose_columns(table, True)
    return chosen.learn(table, None).design(table, None)


def mixture_of(name, sharing=False, free=False, offset=False, n=ROWS):
    rng = np.random.default_rng(4)
    family, links = FAMILIES[name]
    design = design_of(n, rng)
    mean = np.exp(0.4 + 0.3 * rng.normal(size=n))
    trials = np.ones(n)
    if name == "probit":
        trials = rng.integers(0, 5, n).astype(float)
        y = np.where(trials > 0.0, rng.binomial(trials.astype(int), 0.4) / np.maximum(trials, 1.0), 0.0)
    elif name in ("poisson", "negative_binomial"):
        y = rng.poisson(3.0 * mean).astype(float)
    else:
        y = mean * rng.gamma(4.0, 0.25, n)
    shared = np.zeros(design.width, bool)
    shared[1] = sharing
    kept = np.ones(design.width, bool)
    kept[-1] = not free
    kernels = (kernels_of(family, tuple(get_link(link) for link in links)),) * COUNT
    components = Regressions(
        kernels, design, y, trials, 0.1 * rng.normal(size=n) if offset else None, shared,
        ("sigma",) if sharing and name == "normal" else (), kept if free else None,
    )  # fmt: skip
    weight = np.where(np.arange(n) % 7 == 0, 0.0, 1.0 + np.arange(n) % 3)
    return Mixture(components, Mixing(COUNT), weight)


def in_blocks(mixture):
    """Let its points do without the compiled pass."""
    mixture.components.__dict__["address"] = 0


@pytest.mark.parametrize("how", ["plain", "sharing", "free", "offset"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_pass_in_one_loop_has_the_sums_of_blocks(name, how):
    mixture = mixture_of(name, **({} if how == "plain" else {how: True}))
    rng = np.random.default_rng(0)
    start = rng.dirichlet(np.ones(COUNT), mixture.units).T
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        at = mixture.start(start)
        theta = at + 0.3 * rng.normal(size=(4, mixture.size))
        sums, one = mixture.em_sums(theta), mixture.evaluate(theta[0])
        in_blocks(mixture)
        assert not hasattr(mixture.components.at(mixture.split(theta)[1]), "em_pass")
        np.testing.assert_allclose(mixture.start(start), at, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(sums, mixture.em_sums(theta), rtol=1e-10, atol=1e-10 * mixture.total)
        other = mixture.evaluate(theta[0])
    assert one.loglik == pytest.approx(other.loglik, rel=1e-13)
    for a, b in ((one.score, other.score), (one.complete, other.complete), (one.observed, other.observed)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * np.abs(b).max())


def test_rows_that_a_component_rules_out_add_nothing_to_it():
    """Where a linear predictor is so large that a mean overflows, the density is 0 and its derivatives no numbers."""
    mixture = mixture_of("poisson")
    theta = mixture.start(0.3 + 0.1 * np.eye(COUNT)[:, np.arange(ROWS) % COUNT])
    phi = mixture.split(theta)[1]
    phi[mixture.components.places[1][0]] += 2000.0
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        one, em = mixture.evaluate(theta), mixture.em_sums(theta[None])
        in_blocks(mixture)
        other, blocks = mixture.evaluate(theta), mixture.em_sums(theta[None])
    assert all(np.isfinite(found).all() for found in (one.loglik, one.observed, em))
    np.testing.assert_allclose(em, blocks, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(one.observed, other.observed, rtol=1e-9, atol=1e-9)
