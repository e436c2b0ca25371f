"""Scalar special functions against mpmath, over their whole range, in units in the last place."""

import math
import os
import platform
import re
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest

import fisherfit as ff
from fisherfit import elementary, gammas, special
from fisherfit._jit import compiled
from fisherfit.kernels import kernels_of
from fisherfit.links import get_link

from .oracles import EPS, ulps

RNG = np.random.default_rng(20260101)
WIDE = 10.0 ** RNG.uniform(-300, 300, 300)
MIDDLE = np.r_[10.0 ** RNG.uniform(-3, 3, 300), np.arange(1, 160) / 8]
ROOTS = np.r_[1.0 + RNG.uniform(-1, 1, 60) * 10.0 ** RNG.uniform(-10, -1, 60), 2.0 + RNG.uniform(-1, 1, 60) * 10.0 ** RNG.uniform(-10, -1, 60)]  # fmt: skip
POSITIVE = np.r_[WIDE, MIDDLE, ROOTS]
EXPONENT = np.r_[RNG.uniform(-708, 709.7, 600), RNG.choice([-1.0, 1.0], 200) * 10.0 ** RNG.uniform(-300, 0, 200)]
DENORMAL = 5e-324 * 2.0 ** RNG.uniform(0, 52, 60).round()
NORMAL = np.r_[np.linspace(-37.5, 9.0, 187), RNG.uniform(-3, 3, 200), 0.67, -0.67, np.nextafter(0.67, 0)]


def log_ncdf(x):
    tail = mp.erfc(abs(x) / mp.sqrt(2)) / 2 if abs(x) < 1000 else None
    if tail is None:  # erfc would underflow: the asymptotic series
        return -x * x / 2 - mp.log(-x * mp.sqrt(2 * mp.pi)) + mp.log1p(-1 / x**2 + 3 / x**4 - 15 / x**6)
    return mp.log1p(-tail) if x > 0 else mp.log(tail)


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
    "exp": (elementary.exp, mp.exp, np.r_[EXPONENT, RNG.uniform(-745, -708, 200)], 1.5, relative),
    "expm1": (elementary.expm1, mp.expm1, EXPONENT, 1.5, relative),
    "log": (elementary.log, mp.log, np.r_[POSITIVE, DENORMAL], 1, relative),
    "expit": (elementary.expit, lambda x: 1 / (1 + mp.exp(-x)), np.r_[EXPONENT, RNG.uniform(-40, 40, 200)], 2, relative),
    "log_ratio": (lambda x: elementary.log_ratio(x, 1.7), lambda x: mp.log(x / mp.mpf(1.7)), np.r_[POSITIVE, DENORMAL, 1.7 * ROOTS], 2, relative),
    "normal_cdf": (special.normal_cdf, mp.ncdf, NORMAL, 3, relative),
    "normal_pdf": (special.normal_pdf, mp.npdf, NORMAL, 2, relative),
    "log_normal_cdf": (special.log_normal_cdf, log_ncdf, np.r_[NORMAL, -(10.0 ** RNG.uniform(1, 150, 50))], 3, relative),
    "log1p": (elementary.log1p, mp.log1p, np.r_[POSITIVE, RNG.uniform(-0.999, 4.0, 300), -(10.0 ** RNG.uniform(-300, -1e-3, 200))], 1, relative),
    "log_gamma": (gammas.log_gamma, mp.loggamma, POSITIVE, 5, one),
    "digamma": (gammas.digamma, mp.digamma, POSITIVE, 4, one),
    "trigamma": (gammas.trigamma, lambda x: mp.polygamma(1, x), POSITIVE[POSITIVE > 1e-150], 4, relative),
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


@pytest.mark.parametrize("k", [0.05, 1 / 3, 0.5, 0.95, 1.5, 2.0, 3.0, -0.5, -1.0, -3.0])
def test_power(k):
    for x in map(float, POSITIVE):
        with mp.workdps(40):
            true = mp.mpf(x) ** mp.mpf(k)
            if abs(k * math.log(x)) < 708:
                assert ulps(special.power(x, k), true) <= 2
    assert special.power(0.0, k) == (0.0 if k > 0 else math.inf)
    assert special.power(1e300, 5.0) == math.inf
    assert special.power(1e300, -5.0) == 0.0
    assert special.power(0.0, 0.0) == special.power(math.inf, 0.0) == 1.0
    assert special.power(math.inf, -k) == special.power(0.0, k)
    assert math.isnan(special.power(-1.0, k))
    assert math.isnan(special.power(math.nan, k))


def test_ratios():
    for y in (1e-308, 1e-200, 0.3, 7.0, 1e200, 1e308):
        for mu in (2.3e-308, 1e-200, 0.3, 7.0, 1e200, 1e308):
            with mp.workdps(40):
                assert ulps(elementary.log_ratio(y, mu), mp.log(mp.mpf(y) / mp.mpf(mu)), 1000.0) <= 2


def test_outside_the_domain_there_is_no_exception():
    assert elementary.exp(1000.0) == elementary.expm1(1000.0) == math.inf
    assert elementary.exp(-1000.0) == 0.0
    assert elementary.log(0.0) == elementary.log1p(-1.0) == -math.inf
    for value in (elementary.log(-1.0), elementary.log1p(-2.0), elementary.exp(math.nan), elementary.log(math.nan)):
        assert math.isnan(value)
    assert gammas.log_count_base(0.0) == 0.0
    inf, nan = math.inf, math.nan
    for formula, at_minus_inf, at_inf in (
        (elementary.exp, 0.0, inf), (elementary.expm1, -1.0, inf), (elementary.log, nan, inf), (elementary.log1p, nan, inf),
        (elementary.expit, 0.0, 1.0), (special.normal_cdf, 0.0, 1.0), (special.log_normal_cdf, -inf, 0.0), (special.normal_pdf, 0.0, 0.0),
    ):  # fmt: skip
        assert math.isnan(formula(nan))
        np.testing.assert_equal((formula(-inf), formula(inf)), (at_minus_inf, at_inf))
    for formula in (
        gammas.log_gamma,
        gammas.digamma,
        gammas.trigamma,
        gammas.log_count_base,
        lambda x: elementary.log_ratio(1.0, x),
        lambda x: elementary.log_ratio(x, 1.0),
    ):
        assert math.isnan(formula(nan))
    assert elementary.exp(709.782712893384) == pytest.approx(1.797693134862273e308, rel=1e-13)
    assert elementary.exp(709.7827128933841) == elementary.exp(1e308) == inf
    assert elementary.exp(-745.0) == 5e-324
    assert elementary.exp(-746.0) == elementary.exp(-1e308) == 0.0
    for zero in (0.0, -0.0):
        assert elementary.exp(zero) == 1.0
        for formula in (elementary.expm1, elementary.log1p):
            assert math.copysign(1.0, formula(zero)) == math.copysign(1.0, zero)
    assert elementary.log(1.0) == elementary.log_ratio(3.0, 3.0) == 0.0
    assert special.normal_cdf(0.0) == elementary.expit(0.0) == 0.5
    assert gammas.stirling_of_reciprocal(0.0) == (0.0, pytest.approx(1 / 12, abs=EPS), 0.0)
    assert gammas.stirling(1e300)[0] == pytest.approx(1e-300 / 12, rel=1e-12)


def test_derivatives_of_stirlings_correction_meet_at_the_shift():
    for x in (7.0, 7.999999, 8.0, 8.000001):
        for order in range(3):
            assert gammas.stirling(x)[order] == pytest.approx(float(correction(mp.mpf(x), order)), abs=1e-15)


# compiled code: the same bits as plain Python, on every machine, several rows at a time


def scalars(y, mu, x, out):
    out[0], out[1], out[2], out[3], out[4] = exp(x), expm1(x), log(y), log1p(x), expit(x)  # noqa: F821
    out[5], out[6], out[7], out[8] = log_gamma(mu), digamma(mu), trigamma(mu), log_count_base(y)  # noqa: F821
    out[9], out[10], out[11] = normal_cdf(x), normal_pdf(x), log_normal_cdf(x)  # noqa: F821
    out[12], out[13], out[14] = stirling(mu)  # noqa: F821
    out[15], out[16], out[17] = stirling_of_reciprocal(y)  # noqa: F821
    out[21] = power(y, 0.7)  # noqa: F821
    out[18], out[19], out[20] = log_ratio(y, mu), gamma_divergence(mu, mu + y), shape(x, 1.0 + x, log1p(x))[0]  # noqa: F821


def table(y, mu, x, out):
    for i in range(y.size):
        scalars(y[i], mu[i], x[i], out[i])


SOURCES = ("elementary", "gammas", "special", "negative_binomial")
scalars.__globals__.update({f.__name__: f for f in elementary.SCALARS if f.__module__.split(".")[-1] in SOURCES})
GRID = np.array([5e-324, 1e-310, 2.3e-308, 1e-300, 1e-160, 1e-9, 0.03, 0.29, 0.5, 0.67, 0.6999, 1.0, 1.4142, 1.4616, 1.5, 1.9999, 2.0, 2.4, 7.9, 30.0, 600.0, 709.0, 1e10, 1e154])  # fmt: skip
POINTS = np.array([(y, mu, s * x) for y in [0.0, *GRID] for mu in GRID[2:] for x, s in ((y, 1.0), (mu, -1.0), (math.inf, 1.0), (math.nan, 1.0))]).T.copy()  # fmt: skip
POINTS = POINTS[:, RNG.permutation(POINTS.shape[1])[:1501]]


def plain_table():
    out = np.zeros((POINTS.shape[1], 22))
    with np.errstate(all="ignore"):
        for i, point in enumerate(POINTS.T.tolist()):
            try:
                scalars(*point, out[i])
            except ZeroDivisionError:  # trigamma of numbers whose square is 0, and log(1 + x) / x at -1
                out[i] = math.nan
    return out


def test_compiled_equals_plain():
    from fisherfit._jit import register

    register(scalars, True)
    out, plain = np.zeros((POINTS.shape[1], 22)), plain_table()
    compiled(table, cached=False)(*POINTS, out)
    inside = ~np.isnan(plain).all(axis=1)
    assert inside.mean() > 0.5
    np.testing.assert_array_equal(out[inside], plain[inside])


ROWS = """
import sys, numpy as np, fisherfit as ff
from fisherfit.kernels import kernels_of
from fisherfit.links import get_link
out = []
for family, link in (("poisson", "log"), ("binomial", "logit")):
    k = kernels_of(ff.families.get_family(family), [get_link(link)])
    eta = np.r_[np.linspace(-800, 800, 333), np.linspace(-6, 6, 333), np.nan, np.inf, -np.inf][None]
    n = eta.size
    y = np.resize([0.0, 1.0, 0.25] if family == "binomial" else [1.0, 3.0, 250.0], n)
    for loop in (k.rows, k.plain_rows) if "plain" in sys.argv else (k.rows,):
        for what in (2,):
            u, w = np.zeros((1, n)), np.zeros((1, n))
            with np.errstate(all="ignore"):
                total = loop(y, np.resize([1.0, 0.0, 2.5], n), eta, k.constants, what, u, w)
            out += [float(total), *u[0], *w[0]]
print(",".join(float(v).hex() for v in out))
"""


def rows_on(cpu, folder):
    env = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(folder),
        **({"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""} if cpu else {}),
    }
    done = subprocess.run(
        [sys.executable, "-c", ROWS, *([] if cpu else ["plain"])], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(",")


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="names of x86 processors")
def test_rows_are_the_same_to_the_last_bit_on_other_processors(tmp_path):
    """On this machine, on one without AVX, on one with AVX2, and as plain Python."""
    here = rows_on(None, tmp_path / "here")
    half = len(here) // 4
    for i in range(0, 4, 2):
        assert here[i * half : (i + 1) * half] == here[(i + 1) * half : (i + 2) * half]
    compiled_only = [v for i in range(0, 4, 2) for v in here[i * half : (i + 1) * half]]
    assert rows_on("generic", tmp_path / "generic") == compiled_only
    assert rows_on("haswell", tmp_path / "haswell") == compiled_only


@pytest.mark.parametrize(
    ("family", "link"), [("poisson", "log"), ("binomial", "logit"), ("gamma", "log"), ("negative_binomial", "log")]
)
def test_rows_become_vector_code(family, link):
    """Exponentials and logarithms included: divisions of vectors in each of the four loops, no call of libm."""
    from numba import njit

    family = ff.families.get_family(family)
    k = kernels_of(family, [get_link(link), *[get_link("identity")] * (len(family.parameters) - 1)])
    count = len(family.parameters)
    rows = njit(nogil=True, error_model="numpy")(k.plain_rows)
    rows(
        np.ones(3),
        np.ones(3),
        np.ones((count, 3)),
        k.constants,
        2,
        np.ones((count, 3)),
        np.ones((count * (count + 1) // 2, 3)),
    )
    (code,) = rows.inspect_llvm().values()
    assert len(re.findall(r"fdiv <\d+ x double>", code)) >= 8
    assert not re.findall(r"@(exp|log|log1p|expm1|lgamma|pow)\(", code)
