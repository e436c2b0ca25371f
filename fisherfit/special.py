"""Scalar special functions, written so that Numba compiles them and plain Python runs them alike.

``@scalar`` marks a function that compiled formulas may call. The mark costs nothing at import: Numba learns of
the functions when the first kernel is built (see :mod:`fisherfit._jit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
SCALARS: list[Callable[..., Any]] = []

HALF_LOG_2PI = 0.9189385332046727
SQRT_2 = 1.4142135623730951
TINY = 2.2250738585072014e-308  # the smallest normal double: a probability or a mean is never below it
HUGE = 1.7976931348623157e308


def scalar(function: _F) -> _F:
    """Mark `function` as one that compiled formulas may call."""
    SCALARS.append(function)
    return function


@scalar
def exp(x):
    """e^x, infinite instead of an error where it overflows."""
    return inf if x > 709.782712893384 else math.exp(x)


@scalar
def expm1(x):
    """e^x - 1, infinite instead of an error where it overflows."""
    return inf if x > 709.782712893384 else math.expm1(x)


@scalar
def log(x):
    """log x: -inf at 0, NaN below."""
    if x > 0.0:
        return math.log(x)
    return -inf if x == 0.0 else nan


@scalar
def log1p(x):
    """log(1 + x): -inf at -1, NaN below."""
    if x > -1.0:
        return math.log1p(x)
    return -inf if x == -1.0 else nan


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
    if k == 1.0:
        return ((1.0 + t) * log1p(t) - t) / t / t if t > -1.0 else 1.0
    if k == 2.0:
        return (t - log1p(t)) / t / t
    one = power(1.0 + t, 2.0 - k) / ((1.0 - k) * (2.0 - k))
    return (one - (1.0 + t) / (1.0 - k) + 1.0 / (2.0 - k)) / t / t


@scalar
def stirling(x):
    """Stirling's correction d(x) = lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2, with d' and d''; x > 0.

    Arguments below 16 are shifted up by d(x) = d(x + 1) + (x + 1/2) log(1 + 1/x) - 1.
    Abramowitz & Stegun (1964), 6.1.40.
    """
    d = d1 = d2 = 0.0
    while x < 16.0:
        product = x * (x + 1.0)
        step = log1p(1.0 / x)
        # (x + 1/2) log(1 + 1/x) - 1 loses at most two digits here, against a sum that is no smaller than 0.005
        d += (x + 0.5) * step - 1.0
        d1 += step - (x + 0.5) / product
        d2 += 0.5 / product / product
        x += 1.0
    r = 1.0 / x
    s = r * r
    d += r * (
        1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * (1 / 1188 - s * (691 / 360360 - s / 156)))))
    )
    d1 -= s * (
        1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * (691 / 32760 - s / 12)))))
    )
    d2 += (
        s * r
        * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66 - s * (691 / 2730 - s * (7 / 6)))))))
    )  # fmt: skip
    return d, d1, d2


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
    if y < 16.0:
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
