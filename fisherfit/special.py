"""Special functions of statistics, written so that Numba compiles them and plain Python runs them alike."""

from __future__ import annotations

import math
from math import inf

from .elementary import SQRT_2, exp, expm1, log, log1p, scalar

HALF_LOG_2PI = 0.9189385332046727


@scalar
def power(x, k):
    """x^k for x >= 0, infinite instead of an error where it overflows."""
    if x == 0.0:
        return 0.0 if k > 0.0 else (1.0 if k == 0.0 else inf)
    return exp(k * math.log(x)) if abs(k * math.log(x)) > 700.0 else x**k


@scalar
def log_probability(p, q):
    """log p for p + q = 1, exact where p is near 1 as well."""
    return log(p) if p < 0.5 else log1p(-q)


@scalar
def excess(t, k):
    """The convex function whose second derivative is (1 + t)^-k, zero with its slope at 0, over t^2.

    For t > -1 and 1 <= k <= 2.

    t^2 excess(t, 1) = (1 + t) log(1 + t) - t and t^2 excess(t, 2) = t - log(1 + t): the unit deviances of the
    Poisson (k = 1), gamma (k = 2) and Tweedie (k = p) families in relative units t = (y - mu) / mu. Near 0 the
    direct forms cancel; there the binomial series is summed.
    """
    if abs(t) < 0.08:
        term, total = 1.0, 0.5
        for j in range(1, 18):
            term *= -t * (k + j - 1.0) / j
            total += term / ((j + 1.0) * (j + 2.0))
        return total
    a, b = 1.0 - k, 2.0 - k
    if t <= -1.0:
        return 1.0 / b if b > 0.0 else inf
    if k < 1.5:
        return ((1.0 + t) * power_excess(log1p(t), a) - t) / b / t / t
    return (power_excess(log1p(t), b) - t) / a / t / t


@scalar
def power_excess(x, a):
    """(e^(a x) - 1) / a, continued to x at a = 0: the Box-Cox transform of e^x."""
    return expm1(a * x) / a if a != 0.0 else x


# |B_2n| / {2n (2n - 1)} of Stirling's series, n = 10, 9, ..., 1
STIRLING = (
    174611 / 125400, 43867 / 244188, 3617 / 122400, 1 / 156, 691 / 360360, 1 / 1188, 1 / 1680, 1 / 1260, 1 / 360,
    1 / 12,
)  # fmt: skip


@scalar
def stirling(x):
    """Stirling's correction d(x) = lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2, with d' and d''; x > 0.

    Arguments below 8 are shifted up by d(x) = d(x + 1) + (x + 1/2) log(1 + 1/x) - 1.
    Abramowitz & Stegun (1964), 6.1.40.
    """
    d = d1 = d2 = 0.0
    while x < 8.0:
        r = 1.0 / x
        step, s = log1p(r), 1.0 / (x + 1.0)
        d += (x + 0.5) * step - 1.0  # loses two digits at the most, of a sum that is no smaller than 0.01
        d1 += step - 0.5 * (r + s)
        d2 += 0.5 * (r * s) * (r * s)
        x += 1.0
    r = 1.0 / x
    s = r * r
    e = e1 = e2 = 0.0
    n = 20.0
    for c in STIRLING:
        e = c - s * e
        e1 = (n - 1.0) * c - s * e1
        e2 = n * (n - 1.0) * c - s * e2
        n -= 2.0
    return d + r * e, d1 - s * e1, d2 + r * s * e2


@scalar
def stirling_of_reciprocal(a):
    """Stirling's correction as a function of a = 1 / x >= 0: e(a) = d(1 / a) = a/12 - a^3/360 + ..., and e', e''."""
    if a > 0.125:
        x = 1.0 / a
        d, d1, d2 = stirling(x)
        return d, -x * x * d1, x * x * x * (x * d2 + 2.0 * d1)
    s = a * a
    e = e1 = e2 = 0.0
    n = 20.0
    for c in STIRLING:
        e = c - s * e
        e1 = (n - 1.0) * c - s * e1
        if n > 2.0:  # the first term of e is linear
            e2 = (n - 1.0) * (n - 2.0) * c - s * e2
        n -= 2.0
    return a * e, e1, -a * e2


@scalar
def log_gamma(x):
    """log Gamma(x), x > 0."""
    return math.lgamma(x)


@scalar
def digamma(x):
    """The derivative of log Gamma, x > 0."""
    return log(x) - 0.5 / x + stirling(x)[1]


@scalar
def trigamma(x):
    """The second derivative of log Gamma, x > 0."""
    return (1.0 + 0.5 / x) / x + stirling(x)[2]


@scalar
def log_count_base(y):
    """log of the Poisson density at its mode mu = y: y log y - y - log y!, for real y >= 0."""
    if y == 0.0:
        return 0.0
    if y < 1.0:
        return y * log(y) - y - math.lgamma(y + 1.0)
    return -HALF_LOG_2PI - 0.5 * log(y) - stirling(y)[0]


@scalar
def normal_cdf(x):
    """The standard normal distribution function, accurate in the lower tail."""
    return 0.5 * math.erfc(-x / SQRT_2)


@scalar
def normal_pdf(x):
    """The standard normal density."""
    return 0.3989422804014327 * exp(-0.5 * x * x)
