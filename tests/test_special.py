"""Scalar special functions against mpmath, over their whole range, in units in the last place."""

import math

import mpmath as mp
import numpy as np
import pytest

from fisherfit import elementary, gammas, special
from fisherfit._jit import compiled

from .oracles import EPS, ulps

RNG = np.random.default_rng(20260101)
WIDE = 10.0 ** RNG.uniform(-300, 300, 300)
MIDDLE = np.r_[10.0 ** RNG.uniform(-3, 3, 300), np.arange(1, 160) / 8]
ROOTS = np.r_[1.0 + RNG.uniform(-1, 1, 60) * 10.0 ** RNG.uniform(-10, -1, 60), 2.0 + RNG.uniform(-1, 1, 60) * 10.0 ** RNG.uniform(-10, -1, 60)]  # fmt: skip
POSITIVE = np.r_[WIDE, MIDDLE, ROOTS]
EXPONENT = np.r_[RNG.uniform(-708, 709.7, 600), RNG.choice([-1.0, 1.0], 200) * 10.0 ** RNG.uniform(-300, 0, 200)]


def correction(x, order):
    """Stirling's correction and its derivatives; their digits are those left by subtracting large numbers."""
    with mp.workdps(mp.mp.dps + 40 + 4 * max(0, int(mp.log10(x)))):
        if order == 0:
            return mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2
        if order == 1:
            return mp.digamma(x) - mp.log(x) + 1 / (2 * x)
        return mp.polygamma(1, x) - 1 / x - 1 / (2 * x * x)


def reciprocal_correction(a, order):
    with mp.workdps(100):
        x = 1 / a
        d, d1, d2 = (correction(x, i) for i in range(3))
        return [d, -x * x * d1, x**3 * (x * d2 + 2 * d1)][order]


def mode_density(y):
    return y * mp.log(y) - y - mp.loggamma(y + 1)


def one(value):
    """Errors of sums and of functions with roots are relative to max(value, 1)."""
    return max(abs(float(value)), 1.0)


def relative(value):
    return abs(float(value))


# name: formula, oracle, arguments, bound in ulp, and of what
FUNCTIONS = {
    "exp": (elementary.exp, mp.exp, EXPONENT, 1, relative),
    "expm1": (elementary.expm1, mp.expm1, EXPONENT, 1.5, relative),
    "log": (elementary.log, mp.log, POSITIVE, 1, relative),
    "log1p": (elementary.log1p, mp.log1p, np.r_[POSITIVE, -(10.0 ** RNG.uniform(-300, -1e-3, 200))], 1, relative),
    "log_gamma": (gammas.log_gamma, mp.loggamma, POSITIVE, 10, one),
    "digamma": (gammas.digamma, mp.digamma, POSITIVE, 4, one),
    "trigamma": (gammas.trigamma, lambda x: mp.polygamma(1, x), POSITIVE[POSITIVE > 1e-150], 8, relative),
    "log_count_base": (gammas.log_count_base, mode_density, np.r_[10.0 ** RNG.uniform(-12, 12, 400), np.arange(1.0, 100)], 6, one),
    # d is added to numbers of size 1, so that its error counts in units of those; below 1e-3 it grows as log x
    "stirling": (lambda x: gammas.stirling(x)[0], lambda x: correction(x, 0), np.r_[10.0 ** RNG.uniform(-30, 12, 300), MIDDLE[::2]], 6, one),
    "stirling'": (lambda x: gammas.stirling(x)[1], lambda x: correction(x, 1), np.r_[10.0 ** RNG.uniform(-30, 12, 300), MIDDLE[::2]], 6, one),
    "stirling''": (lambda x: gammas.stirling(x)[2], lambda x: correction(x, 2), np.r_[10.0 ** RNG.uniform(-30, 12, 300), MIDDLE[::2]], 6, one),
    "reciprocal": (lambda a: gammas.stirling_of_reciprocal(a)[0], lambda a: reciprocal_correction(a, 0), 10.0 ** RNG.uniform(-9, 6, 100), 6, one),
    "reciprocal'": (lambda a: gammas.stirling_of_reciprocal(a)[1], lambda a: reciprocal_correction(a, 1), 10.0 ** RNG.uniform(-9, 6, 100), 90, lambda v: 0.1),
    "reciprocal''": (lambda a: gammas.stirling_of_reciprocal(a)[2], lambda a: reciprocal_correction(a, 2), 10.0 ** RNG.uniform(-9, 6, 100), 4000, lambda v: 0.02),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name):
    formula, oracle, arguments, bound, unit = FUNCTIONS[name]
    for x in map(float, arguments):
        with mp.workdps(40):
            true = oracle(mp.mpf(x))
            assert ulps(formula(x), true, unit(true)) <= bound, (name, x, formula(x), true)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bounds_can_fail(name):
    formula, oracle, arguments, bound, unit = FUNCTIONS[name]
    misses = 0
    for x in map(float, arguments):
        with mp.workdps(40):
            true = oracle(mp.mpf(x))
            misses += ulps(formula(x) * (1 + 1e-6), true, unit(true)) > bound
    assert misses > arguments.size / 10


def within_one_ulp_of_argument(formula, oracle, x, slack=4.0):
    """The error is at most `slack` ulp more than a change of x by one ulp makes (ill-conditioned functions)."""
    with mp.workdps(40):
        true = oracle(mp.mpf(x))
        condition = abs(mp.diff(oracle, x) * x / true)
        return ulps(formula(x), true) <= slack + 2.0 * float(condition)


@pytest.mark.parametrize("x", np.linspace(-37.5, 9.0, 187))
def test_normal_cdf(x):
    assert within_one_ulp_of_argument(special.normal_cdf, mp.ncdf, float(x))


@pytest.mark.parametrize("x", np.linspace(-37.5, 37.5, 101))
def test_normal_pdf(x):
    assert within_one_ulp_of_argument(special.normal_pdf, mp.npdf, float(x))


@pytest.mark.parametrize("k", [0.05, 1 / 3, 0.5, 0.95, 1.5, 2.0, 3.0, -0.5, -1.0, -3.0])
def test_power(k):
    for x in map(float, POSITIVE):
        with mp.workdps(40):
            true = mp.mpf(x) ** mp.mpf(k)
            size = abs(k * math.log(x))
            if size < 700:  # beyond, the result is near the ends of the range: the exponent is rounded first
                assert ulps(special.power(x, k), true) <= 1
            elif size < 708:
                assert ulps(special.power(x, k), true) <= 1000
    assert special.power(0.0, k) == (0.0 if k > 0 else math.inf)
    assert special.power(1e300, 5.0) == math.inf
    assert special.power(1e300, -5.0) == 0.0
    assert special.power(0.0, 0.0) == 1.0


def convex(t, k):
    with mp.workdps(80):
        t, k = mp.mpf(t), mp.mpf(k)
        if k == 1:
            f = (1 + t) * mp.log1p(t) - t
        elif k == 2:
            f = t - mp.log1p(t)
        else:
            f = ((1 + t) ** (2 - k) / (1 - k) - (1 + t) * (2 - k) / (1 - k) + 1) / (2 - k)
        return f / t / t


SHIFTS = np.r_[RNG.uniform(-0.2, 0.2, 100), 10.0 ** RNG.uniform(-14, 8, 150), -(10.0 ** RNG.uniform(-14, -0.02, 100)), 0.08, -0.08, np.nextafter(0.08, 0), np.nextafter(-0.08, 0)]  # fmt: skip


@pytest.mark.parametrize("k", [1.0, 1.000001, 1.01, 1.3, 1.5, 1.7, 1.99, 1.999999, 2.0])
def test_excess(k):
    for t in map(float, SHIFTS):
        assert ulps(special.excess(t, k), convex(t, k)) <= 150, t
    assert special.excess(-1.0, k) == (math.inf if k == 2.0 else pytest.approx(1 / (2 - k), rel=1e-15))
    assert special.excess(0.0, k) == 0.5


def test_excess_bound_can_fail():
    assert all(ulps(special.excess(float(t), 1.5) * (1 + 1e-6), convex(t, 1.5)) > 150 for t in SHIFTS)
    assert ulps(special.excess(0.3, 1.5 + 1e-6), convex(0.3, 1.5)) > 150


@pytest.mark.parametrize("a", [0.0, 1e-200, 1e-9, 0.05, 0.5, -0.5, -0.95])
def test_power_excess(a):
    for x in (-40.0, -1.0, -1e-9, 0.0, 1e-9, 0.3, 5.0, 40.0):
        with mp.workdps(60):
            true = mp.expm1(mp.mpf(a) * x) / mp.mpf(a) if a else mp.mpf(x)
            assert ulps(special.power_excess(x, a), true) <= 3 + 2 * abs(a * x)


def test_ratios_and_probabilities():
    for y in (1e-308, 1e-200, 0.3, 7.0, 1e200, 1e308):
        for mu in (2.3e-308, 1e-200, 0.3, 7.0, 1e200, 1e308):
            with mp.workdps(40):
                assert ulps(elementary.log_ratio(y, mu), mp.log(mp.mpf(y) / mp.mpf(mu)), 1000.0) <= 2
    for eta in (-700.0, -37.0, -1.0, 0.0, 1.0, 37.0, 700.0):
        p, q = 1 / (1 + mp.exp(-eta)), 1 / (1 + mp.exp(eta))
        with mp.workdps(40):
            true = -mp.log1p(mp.exp(-mp.mpf(eta)))
            assert ulps(special.log_probability(float(p), float(q)), true) <= 4


def test_outside_the_domain_there_is_no_exception():
    assert elementary.exp(1000.0) == elementary.expm1(1000.0) == math.inf
    assert elementary.exp(-1000.0) == 0.0
    assert elementary.log(0.0) == elementary.log1p(-1.0) == -math.inf
    for value in (elementary.log(-1.0), elementary.log1p(-2.0), elementary.exp(math.nan), elementary.log(math.nan)):
        assert math.isnan(value)
    assert gammas.log_count_base(0.0) == 0.0
    assert gammas.stirling_of_reciprocal(0.0) == (0.0, pytest.approx(1 / 12, abs=EPS), 0.0)
    assert gammas.stirling(1e300)[0] == pytest.approx(1e-300 / 12, rel=1e-12)


def test_derivatives_of_stirlings_correction_meet_at_the_shift():
    for x in (7.0, 7.999999, 8.0, 8.000001):
        for order in range(3):
            assert gammas.stirling(x)[order] == pytest.approx(float(correction(mp.mpf(x), order)), abs=1e-15)


def all_of_them(x, out):
    out[0], out[1], out[2], out[3] = exp(x), expm1(x), log(x), log1p(x)  # noqa: F821
    out[4], out[5], out[6], out[7] = log_gamma(x), digamma(x), trigamma(x), log_count_base(x)  # noqa: F821
    out[8], out[9], out[10], out[11] = normal_cdf(x), normal_pdf(x), power(x, 0.3), excess(x, 1.4)  # noqa: F821
    out[12], out[13], out[14] = stirling(x)  # noqa: F821
    out[15], out[16], out[17] = stirling_of_reciprocal(x)  # noqa: F821
    out[18], out[19] = log_ratio(x, 3.0), power_excess(x, -0.2)  # noqa: F821


all_of_them.__globals__.update(
    {f.__name__: f for f in elementary.SCALARS if f.__module__.split(".")[1] in ("elementary", "gammas", "special")}
)


def test_compiled_equals_plain():
    fast = compiled(all_of_them, cached=False)
    for x in (0.0, 1e-300, 1e-9, 0.03, 0.5, 1.0, 1.4616, 2.0, 5.0, 7.9, 8.1, 30.0, 600.0, 1e10, 1e300):
        a, b = np.zeros(20), np.zeros(20)
        fast(x, a)
        if x > 0.0:
            all_of_them(x, b)
            exact = [i for i in range(20) if i not in (4, 7)]
            np.testing.assert_array_max_ulp(a[exact], b[exact], 2)
            # Numba has a log-gamma of its own
            np.testing.assert_allclose(a[[4, 7]], b[[4, 7]], rtol=8 * EPS, atol=8 * EPS)
