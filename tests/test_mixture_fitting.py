"""Mixtures are fitted to their certified maxima from default starts, and trouble on the way is named."""

import json
from contextlib import ExitStack

import numpy as np
import pytest

from fisherfit import errors
from fisherfit.mixtures.ascent import ascend
from fisherfit.mixtures.climbing import climb
from fisherfit.mixtures.fitting import fit_mixture
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.moves import split_and_merge
from fisherfit.mixtures.starts import hard, slices, ward

from . import reference
from .mixture_cases import POWERS, family_of, labels, mixture, problem, quiet, reachable, regressions

CASES = [c for c in reference.cases("mixtures") if reachable(c)]


@pytest.fixture(autouse=True)
def _quiet():
    with ExitStack() as stack:
        for state in quiet():
            stack.enter_context(state)
        yield


def fit(m, seed=0, **options):
    return fit_mixture(m, model="test", rng=np.random.default_rng(seed), **options)


def blobs(seed=0, n=300, far=6.0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=n // 2), far + rng.normal(size=n - n // 2)])[:, None]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_default_starts_reach_the_certified_maximum(case):
    m = problem(case)
    lower = case["search"]["basin"] != "highest admissible local maximum found"
    found = fit(m, starts=[hard(labels(case), case["n_components"])]) if lower else fit(m, seed=11)
    assert found.result.converged
    assert found.warnings == ()
    assert found.result.llf == pytest.approx(case["loglik"], rel=1e-12)
    for key in ("aic", "bic", "icl", "icl_entropy"):
        assert getattr(found.result, key) == pytest.approx(case[key], rel=1e-9)
    got, se = in_reference_terms(case, found.result)
    theta, error = np.array(case["theta"]), np.array(case["theta_se"])
    assert np.abs((got - theta) / error).max() < 1e-8
    np.testing.assert_allclose(se, error, rtol=1e-8)
    assert found.result.certificate.max_se_error < 1e-6


def in_reference_terms(case, result):
    """Estimates and standard errors of the parameters of a case, from those of the package."""
    place = {name: i for i, name in enumerate(result.names)}
    values, errors_ = result.estimates, result.standard_errors
    power = POWERS.get(case["family"], 1.0)
    order = np.arange(case["n_components"])
    columns = case["columns"] or []
    got, se = [], []
    univariate = case["structure"] in ("univariate", "regression")
    for name in case["theta_names"]:
        word, index = name[:-1].split("[")
        index = [int(i) for i in index.split(",")]
        transform = 1.0
        if word == "weight":
            own = f"weight[{order[index[0]]}]"
        elif word == "concomitant":
            own = f"class[{index[0]}]:z{index[1]}"
        elif word == "coef_shared":
            own = f"x{index[0]}"
        elif word in ("coef", "mean") and univariate:
            column = index[1] if word == "coef" else 0
            own = f"Intercept[{index[0]}]" if column == 0 else f"x{column}[{index[0]}]"
        elif univariate:
            own = next(
                n
                for n in place
                if n.endswith(f"[{index[0]}]") and n.split("[")[0] in ("phi", "sigma", "shape", "alpha")
            )
            transform = power
        elif word == "mean":
            own = f"mean[{index[0]},{columns[index[1]]}]"
        else:
            own = covariance_name(place, case["structure"], columns, index)
        value, error = values[place[own]], errors_[place[own]]
        if (
            word in ("coef", "mean")
            and case["structure"] == "univariate"
            and case["family"] not in ("gaussian", "student_t")
        ):
            link = {"beta": "logit"}.get(case["family"], "log")
            mean = np.exp(value) if link == "log" else 1.0 / (1.0 + np.exp(-value))
            error *= mean if link == "log" else mean * (1.0 - mean)
            value = mean
        got.append(value**transform)
        se.append(error * abs(transform) * value ** (transform - 1.0))
    return np.array(got), np.array(se)


def covariance_name(place, structure, columns, index):
    """The package's name of an entry of a covariance."""
    if structure == "full":
        k, (a, b) = str(index[0]), index[1:]
    elif structure == "tied":
        k, (a, b) = None, index
    else:
        k, a, b = str(index[0]), index[-1] if structure == "diag" else 0, index[-1] if structure == "diag" else 0
    pairs = [(columns[a], columns[b]), (columns[b], columns[a])]
    for name in place:
        word, inside = name[:-1].split("[")
        parts = inside.split(",")
        if word not in ("cov", "var"):
            continue
        if k is not None:
            if parts[0] != k:
                continue
            parts = parts[1:]
        if not parts or tuple(parts) in pairs or (len(parts) == 1 and parts[0] == columns[a] == columns[b]):
            return name
    raise AssertionError((structure, index, list(place)))


def test_a_fit_depends_on_its_seed_alone():
    case = reference.case("mixtures", "npreg_gaussian_k2")
    one, two = fit(problem(case, threads=1), seed=3), fit(problem(case, threads=2), seed=3)
    np.testing.assert_array_equal(one.theta, two.theta)
    assert one.result.llf == two.result.llf
    assert one.result.maxima == two.result.maxima


def test_identical_components_are_a_saddle_and_left():
    m = mixture(Gaussian(blobs(), 2))
    start = m.start(np.full((2, 300), 0.5))
    found = ascend(m, start)
    assert found.reason == "converged"
    assert found.evaluation.loglik > m.loglik(start[None])[0] + 50.0
    best = fit(m).result
    assert found.evaluation.loglik == pytest.approx(best.llf, rel=1e-12)


def test_every_step_goes_up():
    m = problem(reference.case("mixtures", "acidity_full_k2"))
    found = ascend(m, m.start(np.random.default_rng(0).dirichlet(np.ones(2), 155).T))
    values = np.array([value for value, _ in found.history])
    assert found.converged
    assert len(values) > 5
    assert (np.diff(values) > -1e-10).all()


def test_more_components_than_rows_are_refused():
    y = blobs(n=300)
    with pytest.raises(errors.InputError, match="4 is more than the 3 rows"):
        fit(mixture(Gaussian(y[:3], 4)))
    with pytest.raises(errors.InputError, match="3 is more than the 2 distinct rows"):
        fit(mixture(Gaussian(np.repeat([[0.0], [1.0]], 50, axis=0), 3)))
    with pytest.raises(errors.InputError, match="every weight is zero"):
        fit(mixture(Gaussian(y, 2), weight=np.zeros(300)))
    with pytest.raises(errors.InputError, match="more than the 1 rows"):
        fit(mixture(Gaussian(y, 2), weight=np.eye(300)[0]))


def test_rows_of_weight_zero_are_absent():
    y = blobs()
    weight = np.ones(300)
    weight[::7] = 0.0
    with_zero, without = fit(mixture(Gaussian(y, 2), weight=weight)), fit(mixture(Gaussian(y[weight > 0.0], 2)))
    assert with_zero.result.llf == pytest.approx(without.result.llf, rel=1e-12)
    np.testing.assert_allclose(with_zero.result.standard_errors, without.result.standard_errors, rtol=1e-7)


def test_a_degenerate_fit_is_named():
    y = np.concatenate([np.zeros(50), [1.0, 2.0]])[:, None]
    found = fit(mixture(Gaussian(y, 2)))
    kinds = [kind for _, kind in found.warnings]
    assert errors.DegenerateComponentWarning in kinds
    message = found.warnings[kinds.index(errors.DegenerateComponentWarning)][0]
    assert "component 0" in message
    assert "fewer components" in message


def test_an_outlier_does_no_harm():
    y = blobs()
    y[0] = 1e12
    found = fit(mixture(Gaussian(y, 2)))
    assert np.isfinite(found.result.llf)


def test_an_infinite_coefficient_is_held_and_the_others_have_standard_errors():
    rng = np.random.default_rng(4)
    n = 400
    first = rng.random(n) < 0.5
    y = np.where(first, rng.binomial(20, 0.6, n), 0).astype(float)
    m = mixture(regressions(family_of("binomial"), 2, y / 20.0, trials=np.full(n, 20.0)))
    found = fit(m)
    ((message, kind),) = found.warnings
    assert kind is errors.BoundaryWarning
    assert found.result.boundary == ("Intercept[0]",)
    assert "Intercept[0]" in message
    bse = dict(zip(found.result.names, found.result.standard_errors, strict=True))
    assert np.isnan(bse["Intercept[0]"])
    zero = y == 0.0
    p = float(1.0 / (1.0 + np.exp(-found.result.estimates[found.result.names.index("Intercept[1]")])))
    pi = float(found.result.estimates[found.result.names.index("weight[1]")])

    def loglik(v):  # the zero-inflated binomial
        w, q = v[0], 1.0 / (1.0 + np.exp(-v[1]))
        some = y[~zero]
        return zero.sum() * np.log(1.0 - w + w * (1.0 - q) ** 20) + np.sum(
            np.log(w) + some * np.log(q) + (20.0 - some) * np.log1p(-q)
        )

    at, h = np.array([pi, np.log(p / (1.0 - p))]), 1e-4
    hessian = np.empty((2, 2))
    for i in range(2):
        for j in range(2):
            a, b = np.eye(2)[i] * h, np.eye(2)[j] * h
            hessian[i, j] = (loglik(at + a + b) - loglik(at + a - b) - loglik(at - a + b) + loglik(at - a - b)) / (
                4.0 * h * h
            )
    expected = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose([bse["weight[1]"], bse["Intercept[1]"]], expected, rtol=1e-5)


def test_what_the_data_do_not_identify_is_said():
    y = (np.random.default_rng(1).random(200) < 0.4).astype(float)
    found = fit(mixture(regressions(family_of("bernoulli"), 2, y)))
    share = y.mean()
    assert found.result.llf == pytest.approx(200 * (share * np.log(share) + (1 - share) * np.log(1 - share)), rel=1e-10)
    assert errors.RankWarning in [kind for _, kind in found.warnings]


def test_a_large_sample_ends_where_a_full_ascent_ends():
    rng = np.random.default_rng(2)
    means = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    x = means[rng.integers(3, size=50_000)] + rng.normal(size=(50_000, 2)) * [1.0, 1.5]
    m = mixture(Gaussian(x, 3, "diag"))
    found = fit(m)
    check = ascend(m, found.theta, mu=0.0)
    assert found.result.converged
    assert found.warnings == ()
    assert found.result.decrement < 1e-13
    assert found.result.llf == pytest.approx(check.evaluation.loglik, rel=1e-13)


def test_max_iter_is_told():
    m = problem(reference.case("mixtures", "acidity_full_k2"))
    found = fit(m, max_iter=0)
    assert not found.result.converged
    assert [kind.__name__ for _, kind in found.warnings] == ["ConvergenceWarning"]


def test_moves_find_a_maximum_that_the_start_does_not_lead_to():
    case = reference.case("mixtures", "galaxies_full_k3")
    m = problem(case)
    lower = case["search"]["distinct_maxima_loglik_and_hits"][2][0]
    rng = np.random.default_rng(0)
    for _ in range(40):
        start = m.start(rng.dirichlet(np.ones(3), m.units).T)
        stuck = climb(m, [start], moves=0).best
        if stuck.ascent.converged and abs(stuck.ascent.evaluation.loglik - lower) < 1e-6:
            break
    assert stuck.ascent.evaluation.loglik == pytest.approx(lower, abs=1e-6)
    assert len(split_and_merge(m, stuck.ascent.theta)) > 3
    assert climb(m, [stuck.ascent.theta]).best.ascent.evaluation.loglik == pytest.approx(case["loglik"], rel=1e-12)


def test_partitions():
    line = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 9.0])
    assert slices(line, np.ones(6), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert slices(np.array([1.0, 1.0, 1.0, 2.0]), np.ones(4), 2).tolist() == [0, 0, 0, 1]
    merged = ward(line[:, None], 3, np.random.default_rng(0))
    assert len(set(merged[:3])) == len(set(merged[3:5])) == 1
    assert len(set(merged)) == 3


def test_the_result_speaks():
    result = fit(problem(reference.case("mixtures", "npreg_poisson_k2"))).result
    text = str(result.summary())
    assert text.startswith(" ")
    assert "Mixture model" in text
    assert "x1[0]" in text
    assert "converged" in text
    assert "Mixture model" in result.summary()._repr_html_()
    frame = result.to_frame()
    assert list(frame.columns) == ["coef", "std err", "z", "P>|z|", "lower", "upper"]
    told = json.loads(json.dumps(result.to_dict()))
    assert told["llf"] == result.llf
    assert told["params"]["x1[1]"] == frame.loc["x1[1]", "coef"]
    assert result.history[-1][0] == result.llf
    assert result.maxima[0][0] == pytest.approx(result.llf, rel=1e-14)
    assert result.entropy > 0.0
