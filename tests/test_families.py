"""Families against mpmath and scipy: densities, derivatives, every link, the ends of the range, special cases."""

import itertools
import math
import pickle

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import fisherfit as ff
from fisherfit.errors import InputError, InputTypeError
from fisherfit.families import FAMILIES, get_family
from fisherfit.families import negative_binomial as nb
from fisherfit.families import tweedie as tw
from fisherfit.kernels import EXPECTED, OBSERVED, SCORE, VALUE, kernels_of, pairwise_sum
from fisherfit.links import LINKS_BY_SUPPORT, get_link

from . import oracles

RNG = np.random.default_rng(20260105)
ONE_MEAN = [
    ff.Normal(), ff.Binomial(), ff.Poisson(), ff.Gamma(), ff.InverseGaussian(), ff.Geometric(),
    ff.NegativeBinomial(alpha=0.0), ff.NegativeBinomial(alpha=0.3), ff.NegativeBinomial(alpha=20.0),
    ff.Tweedie(1.05), ff.Tweedie(1.5), ff.Tweedie(1.95), ff.Bernoulli(), ff.Exponential(),
]  # fmt: skip
# kernels with a power link are not kept on disk: one family in the quick tests
PAIRS = [
    pytest.param(
        family,
        name.replace("(k)", "(2)"),
        id=f"{family!r}-{name}",
        marks=[pytest.mark.slow] if name == "power(k)" and family.name != "gamma" else [],
    )
    for family in [*(cls() for cls in FAMILIES.values()), ff.NegativeBinomial(alpha=0.3)]
    for name in LINKS_BY_SUPPORT[next(iter(family.parameters.values()))]
]


def test_every_family_has_an_oracle():
    for name in FAMILIES:
        family = FAMILIES[name]()
        unit = next(iter(family.parameters.values())) == "unit"
        theta = (0.3, 0.7, 2.0)[: 1 + len(family.parameters)] if unit else (0.7, 0.2)[: len(family.parameters)]
        assert mp.isfinite(oracles.kernel(name, 0.5 if name == "beta" else 1, theta, family.constants))


def means(family):
    """Parameters as formulas take them, over the whole range."""
    support = next(iter(family.parameters.values()))
    if support == "unit":
        small = [1e-300, 1e-9, 0.01, 0.4]
        return [(p, 1.0 - p) for p in small] + [(1.0 - q, q) for q in [0.5, *small]]
    if support == "real":
        return [(m,) for m in (-1e9, -2.5, 0.0, 1e-9, 3.0, 1e9)]
    return [(m,) for m in (1e-9, 1e-3, 0.4, 1.0, 7.5, 60.0, 1e4, 1e9)]


def responses(family, theta):
    near = [theta[0] * r for r in (1e-3, 0.4, 0.92, 0.97, 1.02, 1.07, 2.0, 1e3)]
    if family.takes_trials:
        return [0.0, 1.0, 0.25, 0.5]
    if family.name == "bernoulli":
        return [0.0, 1.0]
    if family.support.integer:
        return sorted({0.0, 1.0, 2.0, 7.0, 15.0, 16.0, 1e6, 1e12, *map(float, np.rint(near))})
    if family.name == "normal":
        return [-1e6, -2.0, 0.0, *near]
    return [*near, 1.0, *([0.0] if not family.support.lower_open else [])]


@pytest.mark.parametrize("family", ONE_MEAN, ids=repr)
def test_objective_is_minus_half_the_unit_deviance(family):
    objective = family.formulas().objective
    for theta in means(family):
        for y in responses(family, theta):
            with mp.workdps(700):
                exact = tuple(map(mp.mpf, theta))
                if len(theta) == 2:
                    exact = (exact[0], 1 - exact[0]) if theta[0] < 0.5 else (1 - exact[1], exact[1])
                true = oracles.half_deviance(family.name, y, exact, family.constants)
                assert abs(objective(y, *theta, *family.constants) - true) <= 3e-14 * abs(true), (y, theta)


@pytest.mark.parametrize("family", ONE_MEAN, ids=repr)
def test_score_and_observed_information(family):
    formulas = family.formulas()
    for theta in means(family):
        for y in responses(family, theta):
            first, second = oracles.derivatives(family.name, y, theta, family.constants)
            if abs(second) > LARGE:
                continue
            (fisher,) = formulas.fisher(*theta, *family.constants)
            # y - mu loses what y and mu have in common
            size = abs(first) + (abs(y) + abs(theta[0])) * fisher * 1e-3
            assert abs(formulas.score(y, *theta, *family.constants)[0] - first) <= 2e-12 * size, (y, theta)
            size = abs(second) + fisher
            assert abs(formulas.observed(y, *theta, *family.constants)[0] + second) <= 1e-13 * size, (y, theta)


@pytest.mark.parametrize("family", ONE_MEAN, ids=repr)
def test_score_and_information_miss_by_a_millionth(family):
    """The comparisons above see a change of one part in a million."""
    formulas, theta = family.formulas(), means(family)[3]
    first, second = oracles.derivatives(family.name, 0.25, theta, family.constants)
    assert abs(formulas.score(0.25, *theta, *family.constants)[0] * (1 + 1e-6) - first) > 1e-9 * abs(first)
    assert abs(formulas.observed(0.25, *theta, *family.constants)[0] * (1 + 1e-6) + second) > 1e-9 * abs(second)


@pytest.mark.parametrize("phi", [1.0, 0.02, 5.0])
@pytest.mark.parametrize("family", ONE_MEAN, ids=repr)
def test_log_density(family, phi):
    if phi != 1.0 and not (family.has_dispersion or (family.takes_trials and phi < 1.0)):
        return
    formulas = family.formulas()
    for theta in means(family):
        if abs(theta[0]) > 1e6:
            continue
        for y in responses(family, theta):
            if (
                family.name == "tweedie" and y > 0.0 and not 1e-2 < y < 1e2
            ):  # the oracle is slow; see the tests of the series
                continue
            if family.takes_trials and y * round(1 / phi) % 1.0:
                continue
            true = oracles.log_density(family.name, y, theta, phi, family.constants)
            value = formulas.objective(y, *theta, *family.constants) / phi + formulas.base(y, phi, *family.constants)[0]
            assert abs(value - true) <= 1e-13 * max(1.0, abs(true)), (y, theta)


SCIPY = {
    "normal": lambda y, m, phi: stats.norm.logpdf(y, m, math.sqrt(phi)),
    "binomial": lambda y, m, phi: stats.binom.logpmf(y / phi, round(1 / phi), m),
    "poisson": lambda y, m, phi: stats.poisson.logpmf(y, m),
    "gamma": lambda y, m, phi: stats.gamma.logpdf(y, 1 / phi, scale=phi * m),
    "inverse_gaussian": lambda y, m, phi: stats.invgauss.logpdf(y, m * phi, scale=1 / phi),
    "geometric": lambda y, m, phi: stats.geom.logpmf(y + 1, 1 / (1 + m)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_public_log_density_equals_scipy(name):
    family = FAMILIES[name]()
    for m, y in itertools.product((0.2, 0.7), (1.0, 0.5) if name == "binomial" else (1.0, 2.0, 9.0)):
        phi = 0.25 if family.has_dispersion or family.takes_trials else 1.0
        theta = (m, 1.0 - m) if name == "binomial" else (m,)
        more = (1.0,) if name == "geometric" else (phi,)  # its formula is the negative binomial's, alpha last
        assert type(family).log_density(y, *theta, *more) == pytest.approx(SCIPY[name](y, m, phi), rel=1e-12)


# the negative binomial


@pytest.mark.parametrize("alpha", [0.0, 1e-300, 1e-12, 1e-6, 1e-3, 0.06, 0.1249, 0.1251, 0.3, 1.0, 10.0, 1e3, 1e6])
def test_negative_binomial_in_both_parameters(alpha):
    """Log-density, score and observed information of (mu, alpha), for counts up to 1e12."""
    for y in (0.0, 1.0, 2.0, 3.0, 16.0, 50.0, 1e3, 1e6, 1e12):
        for ratio in (1e-3, 0.2, 0.95, 1.0, 1.05, 1.3, 10.0, 1e6):
            mu = max(y, 1.0) * ratio
            with mp.workdps(1200 if 0.0 < alpha < 1e-100 else 160):
                a, m, n = mp.mpf(alpha), mp.mpf(mu), mp.mpf(y)
                if alpha < 1e-100:
                    value = n * mp.log(m) - m - mp.loggamma(n + 1)
                    slope = ((n - m) ** 2 - n) / 2
                    curve = n * (n - 1) * (2 * n - 1) / 6 - n * m**2 + 2 * m**3 / 3
                else:
                    h = a * mp.mpf(10) ** -40
                    f = [joint(y, m, t) for t in (a - h, a, a + h)]
                    value, slope, curve = f[1], (f[2] - f[0]) / (2 * h), -(f[2] - 2 * f[1] + f[0]) / h**2
            s = mu / (1.0 + alpha * mu)
            assert abs(ff.NegativeBinomial.log_density(y, mu, alpha) - value) <= 3e-14 * max(1, abs(value))
            # for y = 1 and a small mean two terms of size 1 cancel
            floor = 1e-15 if y == 1.0 else 0.0
            assert abs(nb.nb_score(y, mu, alpha)[1] - slope) <= 1e-12 * max(abs(slope), s) + floor, (y, mu)
            observed = nb.nb_observed(y, mu, alpha)
            assert abs(observed[2] - curve) <= 2e-11 * max(abs(curve), 0.5 * s * s) + 100 * floor, (y, mu)
            assert observed[1] == pytest.approx((y - mu) / (1 + alpha * mu) ** 2, rel=1e-14)
            assert observed[0] == nb.nb_fixed_observed(y, mu, alpha)[0]
            assert nb.nb_score(y, mu, alpha)[0] == pytest.approx(nb.nb_fixed_score(y, mu, alpha)[0], rel=1e-15)


def joint(y, mu, alpha):
    k = 1 / alpha
    choose = mp.loggamma(y + k) - mp.loggamma(k) - mp.loggamma(mp.mpf(y) + 1)
    return choose + y * mp.log(alpha * mu / (1 + alpha * mu)) - k * mp.log1p(alpha * mu)


def test_negative_binomial_at_zero_is_poisson():
    poisson, zero = ff.Poisson().formulas(), ff.NegativeBinomial(alpha=0.0).formulas()
    for y, mu in itertools.product((0.0, 1.0, 5.0, 1e6), (1e-9, 0.5, 5.0, 5.3, 1e6)):
        assert zero.objective(y, mu, 0.0) == pytest.approx(poisson.objective(y, mu), rel=1e-14, abs=1e-300)
        assert zero.base(y, 1.0, 0.0) == poisson.base(y, 1.0)
        assert zero.score(y, mu, 0.0) == pytest.approx(poisson.score(y, mu), rel=1e-15)
        assert zero.fisher(mu, 0.0) == poisson.fisher(mu)
        assert zero.observed(y, mu, 0.0) == pytest.approx(poisson.observed(y, mu), rel=1e-15)


@pytest.mark.parametrize(("y", "mu"), [(0.0, 2.0), (3.0, 2.0), (40.0, 60.0), (1e4, 9e3)])
def test_negative_binomial_is_smooth_in_alpha(y, mu):
    """Across 0.125, where the formulas change, and towards 0, steps follow the derivatives."""
    for alpha, h in ((0.125, 1e-9), (1e-3, 1e-9), (1e-9, 1e-12), (0.0, 1e-12)):
        here, there = nb.nb_score(y, mu, alpha)[1], nb.nb_score(y, mu, alpha + h)[1]
        slope = -nb.nb_observed(y, mu, alpha)[2]
        assert there - here == pytest.approx(h * slope, abs=h * abs(slope) * 1e-3 + 1e-12 * max(abs(here), 1.0))


@pytest.mark.parametrize("alpha", [1e-4, 0.03, 0.1, 0.5, 1.0, 2.5, 10.0])
def test_expected_alpha_equals_the_sum(alpha):
    """k^4 {sum_j P(Y > j) / (k + j)^2 - mu / (k (k + mu))}, k = 1 / alpha (Lawless, 1987), term by term."""
    for mu in (1e-3, 0.1, 0.9, 3.0, 20.0, 100.0):
        if mu * alpha > 60.0:
            continue
        with mp.workdps(40):
            m, a = mp.mpf(mu), mp.mpf(alpha)
            k, q = 1 / a, a * m / (1 + a * m)
            f = (1 + a * m) ** -k
            below, total, j = f, mp.mpf(0), 0
            while j <= mu or (1 - below) * j > mp.mpf(10) ** -32:
                total += (1 - below) / (k + j) ** 2
                j += 1
                f *= q * (k + j - 1) / j
                below += f
            true = k**4 * (total - m / (k * (k + m)))
        value = ff.NegativeBinomial().expected_alpha(np.array([mu]), alpha)[0]
        assert value == pytest.approx(float(true), rel=1e-13, abs=0)
        assert value * (1 + 1e-6) != pytest.approx(float(true), rel=1e-13, abs=0)


@pytest.mark.parametrize(("mu", "alpha"), [(1e5, 1.0), (1e6, 0.3), (1e8, 2.5), (1e3, 100.0), (1e6, 0.01), (1e-3, 1e6)])
def test_expected_alpha_where_the_sum_is_long(mu, alpha):
    with mp.workdps(30):
        a = mp.mpf(alpha)
        q = a * mu / (1 + a * mu)
        reach = 60 * alpha if alpha < 1.0 else 80.0 + 60.0 * alpha

        def integrand(u):
            x = mp.exp(u) / (1 + mp.exp(u))
            return (1 + mp.exp(u)) ** (-1 / a) * (-mp.log1p(-q * x) - q * x)

        edges = [*np.arange(-60.0, 60.0, 4.0), *np.linspace(60.0, max(reach, 61.0), 20)]
        true = mp.quad(integrand, edges) / a**4
    assert nb.expected_alpha_row(mu, alpha) == pytest.approx(float(true), rel=1e-12, abs=0)


def test_expected_alpha_at_zero_and_the_scoring_matrix():
    mu = np.array([1e-6, 0.5, 3.0, 1e6])
    np.testing.assert_allclose(ff.NegativeBinomial().expected_alpha(mu, 0.0), 0.5 * mu * mu, rtol=1e-15)
    for alpha, m in itertools.product(10.0 ** np.arange(-4, 6.0), 10.0 ** np.arange(-6, 9.0)):
        ratio = nb.expected_alpha_row(m, alpha) / nb.nb_scoring(m, alpha)[2]
        assert 0.9 < ratio < 2.4


# Tweedie


def compare_series(y, phi, p):
    with mp.workdps(30):
        value, d1, d2 = oracles.tweedie_series(y, phi, p)
        y_, phi_, p_ = mp.mpf(y), mp.mpf(phi), mp.mpf(p)
        saturated = y_ ** (2 - p_) / ((1 - p_) * (2 - p_))  # the exponent at mu = y, times phi
        value, d1, d2 = value + saturated / phi_, d1 - saturated / phi_**2, d2 + 2 * saturated / phi_**3
        jumps = float(y_ ** (2 - p_) / (phi_ * (2 - p_)))
    got = tw.base(y, phi, p)
    cancel = 1e-15 * jumps / (p - 1.0)  # the second derivative is a small difference of terms that grow with the jumps
    assert got[0] == pytest.approx(float(value), rel=1e-14, abs=1e-14 * max(1.0, abs(math.log(y))))
    assert got[1] == pytest.approx(float(d1), rel=1e-12 if p >= 1.05 else 1e-10, abs=1e-13 / phi)
    assert got[2] == pytest.approx(float(d2), rel=max(1e-11, 10 * cancel), abs=1e-12 / phi**2)
    return jumps


POWERS = (1.05, 1.2, 1.5, 1.8, 1.95)


@pytest.mark.parametrize("phi", [1e-2, 0.3, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("p", POWERS)
def test_tweedie_series(p, phi):
    for y in (1e-6, 1e-2, 0.5, 1.0, 3.0, 50.0):
        compare_series(y, phi, p)


@pytest.mark.slow
@pytest.mark.parametrize("y", [1e-3, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("phi", [1e-4, 1e-3, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize("p", [*POWERS, 1.01, 1.99])
def test_tweedie_series_everywhere(p, phi, y):
    if y ** (2 - p) / (phi * (2 - p)) < 1e7:
        compare_series(y, phi, p)


@pytest.mark.parametrize(("y", "phi", "p"), [(1.0, 1e-6, 1.5), (30.0, 2e-6, 1.2)])
def test_tweedie_series_of_millions_of_jumps(y, phi, p):
    assert compare_series(y, phi, p) > 1e6


@pytest.mark.parametrize("p", [1.0001, *POWERS, 1.999])
def test_tweedie_series_ends_whatever_the_arguments(p):
    """And it goes over into the saddlepoint approximation without a step."""
    for y, phi in itertools.product((1e-308, 1e-200, 1e-9, 1.0, 1e100, 1e300), (1e-300, 1e-60, 1e-9, 1.0, 1e9, 1e300)):
        assert all(not math.isnan(v) for v in tw.base(y, phi, p))
    phi = 1e-14 / (2 - p)  # 1e14 jumps
    near, far = tw.base(1.0, phi * 1.0001, p), tw.base(1.0, phi * 0.9999, p)
    assert near[0] == pytest.approx(far[0], abs=2e-4)
    assert near[1] * phi == pytest.approx(-0.5, rel=1e-3)
    assert far[2] * phi**2 == pytest.approx(0.5, rel=1e-3)
    assert (near[0] - far[0]) == pytest.approx(0.5 * math.log(0.9999 / 1.0001), rel=1e-6)


# every family with every link


ETAS = [-800.0, -700.0, -360.0, -300.0, -37.0, -6.7, -5.0, -1.0, -0.5, -1e-3, 1e-3, 0.25, 1.0, 5.0, 6.7, 37.0, 300.0, 360.0, 700.0, 800.0]  # fmt: skip
RESPONSES = {"unit": (0.0, 0.25, 1.0), "real": (-3.0, 0.0, 2.5)}
OPEN_UNIT = (1e-12, 0.25, 0.999)
SMALL, LARGE = 2.3e-308, 1.7e308


def valid(family, link, etas=ETAS):
    """Linear predictors inside the domain of the link and the range of the mean."""
    low, high = link.eta_bounds
    support = next(iter(family.parameters.values()))
    inside = [e for e in etas if low < e < high]
    if support == "unit":
        return [e for e in inside if 0.0 <= link.inverse(e)[0] <= 1.0]
    return [e for e in inside if link.inverse(e)[0] > 0.0] if support == "positive" else inside


def run(loop, family, y, eta, what):
    """Objective, u and w of one row."""
    k = len(family.parameters)
    u, w = np.full((k, 1), 7.0), np.full((k * (k + 1) // 2, 1), 7.0)
    row = np.array([[eta], *([[0.3]] * (k - 1))])
    with np.errstate(all="ignore"):
        return (
            float(loop(np.array([y]), np.ones(1), row, np.array(family.constants, float), what, u, w)),
            u[:, 0],
            w[:, 0],
        )


def misses(family, name, factor=1.0):
    """Where u, w or the observed information of the compiled row kernel, times `factor`, is not the oracle's."""
    link, out = get_link(name), []
    kernels = kernels_of(family, [link, *[get_link("identity")] * (len(family.parameters) - 1)])
    constants = ((0.3,) if len(family.parameters) == 2 else ()) + family.constants
    support = next(iter(family.parameters.values()))
    ys = OPEN_UNIT if family.name == "beta" else RESPONSES.get(support, (0.01, 1.0, 20.0))
    for eta, y in itertools.product(valid(family, link), ys):
        y = float(round(y)) if family.support.integer else y
        theta, q, d, d2 = oracles.link(name, eta)
        if family.name == "von_mises" and abs(theta) > 1e3:
            continue  # y - mu has lost the angle
        arguments = (theta, q) if support == "unit" else (theta,)
        objective, u, w = run(kernels.rows, family, y, eta, EXPECTED)
        _, _, observed = run(kernels.rows, family, y, eta, OBSERVED)
        if math.isnan(objective) or math.isnan(u[0]) or math.isnan(w[0]):
            out.append((eta, y, "NaN"))
        if not all(SMALL < abs(t) < LARGE for t in (*arguments, d)):
            continue
        with mp.workdps(oracles.DIGITS):
            first, second, fisher = oracles.score_and_information(family.name, y, arguments, constants)
            exact = first * d, fisher * d * d, second * d * d - first * d2
            size = sum(abs(v) for v in (second * d * d, first * d2, exact[1]))
        if not all(SMALL < abs(v) < LARGE for v in (fisher, fisher * d, exact[1])):
            continue  # the information of theta is no double
        rounding = float(abs(d) * fisher) * 1e-15 * float(abs(y) + abs(theta))  # of y - mu
        if not abs(w[0] * factor - exact[1]) <= 1e-12 * exact[1]:
            out.append((eta, y, "w", w[0], exact[1]))
        if abs(first) < LARGE and not abs(u[0] * factor - exact[0]) <= 1e-12 * abs(exact[0]) + rounding:
            out.append((eta, y, "u", u[0], exact[0]))
        if abs(second * d) < LARGE > abs(second) and not abs(observed[0] * factor - exact[2]) <= 1e-12 * size:
            out.append((eta, y, "observed", observed[0], exact[2]))
    return out


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_every_link_against_mpmath(family, name):
    """Tails included: exact wherever the score and the information of theta are doubles; nowhere NaN."""
    assert misses(family, name) == []


@pytest.mark.parametrize(
    ("family", "name"), [(ff.Poisson(), "log"), (ff.Binomial(), "probit"), (ff.Gamma(), "inverse")]
)
def test_the_comparison_sees_a_millionth(family, name):
    found = {(eta, what) for eta, _, what, *_ in misses(family, name, 1.0 + 1e-6)}
    assert len(found) >= 20
    if name == "log":
        assert {(-700.0, "u"), (700.0, "u"), (-700.0, "w"), (700.0, "w")} <= found


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_compiled_equals_plain_python(family, name):
    link = get_link(name)
    kernels = kernels_of(family, [link, *[get_link("identity")] * (len(family.parameters) - 1)])
    real = (-3.0, 2.5)
    known = {"binomial": (0.0, 0.25, 1.0), "bernoulli": (0.0, 1.0), "beta": OPEN_UNIT, "normal": real,
             "student_t": real, "von_mises": real}  # fmt: skip
    ys = known.get(family.name, (1.0, 20.0) if family.support.lower_open else (0.0, 1.0, 20.0))
    for y, eta, what in itertools.product(
        ys, [*valid(family, link), math.nan, 0.0, -2.0], (VALUE, SCORE, EXPECTED, OBSERVED)
    ):
        plain, fast = (run(loop, family, y, eta, what) for loop in (kernels.plain_rows, kernels.rows))
        for a, b in zip(plain, fast, strict=True):
            both = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
            np.testing.assert_allclose(*both, rtol=4.5e-16, atol=0, err_msg=f"{y} {eta} {what}")
    for y, phi in itertools.product(ys, (0.25, 1.0)):
        call = np.array([y]), np.ones(1), np.ones(1), phi, False, np.array(family.constants, float)
        # Numba has a log-gamma of its own, which counts that are not whole reach
        np.testing.assert_allclose(kernels.plain_base(*call), kernels.base(*call), rtol=4.5e-16, atol=1e-15)


def test_rows_of_weight_zero_are_absent():
    family = ff.Poisson()
    kernels = kernels_of(family, [get_link("log")])
    y, eta = np.array([1.0, -5.0, 3.0]), np.array([[0.1, np.nan, 0.2]])
    u, w = np.full((1, 3), 7.0), np.full((1, 3), 7.0)
    total = kernels.rows(y, np.array([2.0, 0.0, 1.0]), eta, np.empty(0), EXPECTED, u, w)
    assert math.isfinite(total)
    assert u[0, 1] == w[0, 1] == 0.0
    assert np.isfinite(u).all()


@pytest.mark.parametrize(
    ("family", "names"),
    [(ff.Poisson(), ["log"]), (ff.Binomial(), ["logit"]), (ff.Gamma(), ["log"]), (ff.Normal(), ["identity"]),
     (ff.NegativeBinomial(), ["log", "identity"])],
    ids=repr,
)  # fmt: skip
def test_rows_of_weight_zero_are_absent_whatever_they_hold(family, names):
    """As many of them as vectors hold, with numbers for which formulas give NaN or infinity."""
    kernels, k = kernels_of(family, [get_link(name) for name in names]), len(names)
    strange = [math.nan, math.inf, -math.inf, -5.0, 0.0, 1e308, 5e-324]
    pairs = [*itertools.product(strange, strange), *([(0.0, 1.0)] * 5)]
    y = np.array([1.0, *(p[0] for p in pairs), 1.0])
    eta = np.tile([0.3, *(p[1] for p in pairs), 0.3], (k, 1))
    weight = np.array([2.0, *([0.0] * len(pairs)), 1.0])
    for what in (VALUE, SCORE, EXPECTED, OBSERVED):
        for loop in (kernels.rows, kernels.plain_rows):
            u, w = np.full((k, y.size), 7.0), np.full((k * (k + 1) // 2, y.size), 7.0)
            with np.errstate(all="ignore"):
                total = loop(y, weight, eta, kernels.constants, what, u, w)
            assert total == pytest.approx(3.0 * run(kernels.rows, family, 1.0, 0.3, VALUE)[0], rel=1e-14) or k == 2
            assert math.isfinite(total)
            if what != VALUE:
                assert not u[:, 1:-1].any()
                np.testing.assert_allclose(u[:, 0], 2.0 * u[:, -1], rtol=1e-15)
            if what in (EXPECTED, OBSERVED):
                assert not w[:, 1:-1].any()
                np.testing.assert_allclose(w[:, 0], 2.0 * w[:, -1], rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 1023, 1024, 1025, 5000])
def test_sums_by_halves(n):
    values = RNG.normal(size=n) * 10.0 ** RNG.uniform(-3, 3, n)
    assert pairwise_sum(values.copy()) == pytest.approx(math.fsum(values), abs=1e-15 * float(np.abs(values).sum()))


@pytest.mark.parametrize("name", ["log", "sqrt", "identity", "inverse", "logit"])
def test_outside_the_domain_the_objective_is_nan(name):
    family = ff.Binomial() if name == "logit" else ff.Poisson()
    kernels = kernels_of(family, [get_link(name)])
    for eta in [math.nan, *([-1.0] if name in ("sqrt", "identity", "inverse") else [])]:
        value, u, _ = run(kernels.rows, family, 1.0, eta, SCORE)
        assert math.isnan(value)
        assert math.isnan(u[0])


def test_probabilities_outside_the_unit_interval_are_nan():
    for name, eta in (("log", 0.1), ("identity", 1.1), ("identity", -0.1)):
        kernels = kernels_of(ff.Binomial(), [get_link(name)])
        assert math.isnan(run(kernels.rows, ff.Binomial(), 1.0, eta, SCORE)[0])


# objects


@pytest.mark.parametrize(
    "family",
    [*(cls() for cls in FAMILIES.values()), *ONE_MEAN, ff.StudentT(2.5), ff.Gamma().with_dispersion()],
    ids=repr,
)
def test_families_are_values(family):
    twin = pickle.loads(pickle.dumps(family))
    assert twin == family
    assert hash(twin) == hash(family)
    assert repr(twin) == repr(family)
    assert get_family(family) is family
    assert family != ff.NegativeBinomial(alpha=12345.0)
    assert not family.is_numerical


def test_names():
    for name, cls in FAMILIES.items():
        assert cls.name == name
        assert get_family(name) == get_family(cls) == cls()
        assert get_family(f" {name.upper()} ") == cls()
    assert get_family("gaussian") == ff.Normal()
    assert get_family("nb") == ff.NegativeBinomial()
    assert ff.Geometric() != ff.NegativeBinomial(alpha=1.0)
    with pytest.raises(InputError, match="'normall' is not a family; choose one of normal, binomial"):
        get_family("normall")
    with pytest.raises(InputTypeError, match="got int"):
        get_family(3)


def test_constants_are_checked():
    for power in (1.0, 2.0, 3.0, math.nan, "1.5", None):
        with pytest.raises(InputError, match="power must lie strictly between 1 and 2"):
            ff.Tweedie(power)
    for alpha in (-0.1, math.inf, math.nan):
        with pytest.raises(InputError, match="alpha must be a finite number of at least 0"):
            ff.NegativeBinomial(alpha)
    for df in (0.0, -1.0, math.inf, math.nan, "5", None):
        with pytest.raises(InputError, match="df must be a finite number above 0"):
            ff.StudentT(df)
    for family in (ff.Poisson(), ff.Exponential(), ff.Binomial()):
        with pytest.raises(InputError, match=f"the {family.name} family has no dispersion"):
            family.with_dispersion()
    with pytest.raises(InputError, match="takes `self`"):
        type("Mine", (ff.Family,), {"log_density": lambda self, y, mu: 0.0})
    with pytest.raises(InputError, match="choose one of real, positive, nonnegative, unit"):
        type("Mine", (ff.Family,), {"parameters": {"mu": "Positive"}})
    with pytest.raises(InputError, match="has no log_density"):
        type("Mine", (ff.Family,), {"parameters": {"mu": "real"}})().formulas()


def test_support():
    y = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert ff.Support(0.0, 1.0).outside(y).tolist() == [True, False, False, False, True]
    assert ff.Support(0.0, 1.0, True, True).outside(y).tolist() == [True, True, False, True, True]
    assert [str(s) for s in (ff.Support(), ff.Support(0.0), ff.Support(0.0, lower_open=True), ff.Support(0.0, 1.0, True))] == [
        "any finite number", "at least 0", "greater than 0", "(0, 1]"]  # fmt: skip
