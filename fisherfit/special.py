"""Special functions of statistics, written so that Numba compiles them and plain Python runs them alike."""

from __future__ import annotations

from math import inf, nan

from .elementary import HUGE, LN2_HIGH, LN2_LOW, atanh_rest, exp_of_sum, log_of_sum, scalar, split, where

HALVES = 134217729.0  # 2^27 + 1
ROUND = 25769803776.0  # 1.5 2^34: adding and subtracting it rounds to a multiple of 2^-18
FAR = 1e155  # a number whose square is infinite


@scalar
def power(x, k):
    """x^k for x >= 0: the exponential of k log x, both kept to twice the digits."""
    m, e = split(x)
    f = m - 1.0
    s = f / (2.0 + f)
    h = 0.5 * f * f
    first = e * LN2_HIGH + f
    rest = (e * LN2_HIGH - first) + f + (s * (h + atanh_rest(s * s)) + e * LN2_LOW - h)
    high = first + rest
    low = (first - high) + rest
    c, d = HALVES * high, HALVES * k  # the upper halves of the digits, whose product is exact
    upper, k_upper = c - (c - high), d - (d - k)
    value = exp_of_sum(k_upper * upper, k_upper * ((high - upper) + low) + (k - k_upper) * high)
    at_zero = where(k > 0.0, 0.0, where(k == 0.0, 1.0, inf))
    at_infinity = where(k > 0.0, inf, where(k == 0.0, 1.0, 0.0))
    return where(x > 0.0, where(x > HUGE, at_infinity, value), where(x == 0.0, at_zero, nan))


@scalar
def central_normal(w):
    """The standard normal probability between 0 and x, over x, for w = x^2 <= 1."""
    p = -9.026109904565583e-11
    p = p * w + 2.2270765391721188e-09
    p = p * w - 4.117308931965184e-08
    p = p * w + 6.659316904081042e-07
    p = p * w - 9.444639808676774e-06
    p = p * w + 0.00011543468323083616
    p = p * w - 0.0011873282148079404
    p = p * w + 0.009973557009983383
    p = p * w - 0.06649038006690386
    p = p * w + 0.39894228040143265
    return p


@scalar
def mills(a):
    """e^(a^2 / 2) times the normal probability above a, for a >= 0.66, a polynomial in (a - 3.5) / (a + 3.5)."""
    u = (a - 3.5) / (a + 3.5)
    p = 5.603967676967248e-09
    p = p * u - 2.5906828131504132e-09
    p = p * u - 4.837956313259907e-08
    p = p * u + 3.4928589626439784e-09
    p = p * u + 2.0855210312187372e-07
    p = p * u + 1.564348517608046e-07
    p = p * u - 6.416929998928177e-07
    p = p * u - 1.3762508501135442e-06
    p = p * u + 1.2811218700967543e-06
    p = p * u + 7.74584245778467e-06
    p = p * u + 6.82889394664074e-07
    p = p * u - 3.907370966466696e-05
    p = p * u - 2.464885817439786e-05
    p = p * u + 0.00021332755388391622
    p = p * u + 0.0001474891145647132
    p = p * u - 0.0014250444209929684
    p = p * u + 0.00026279894893269735
    p = p * u + 0.01038036666389938
    p = p * u - 0.03025601072547964
    p = p * u + 0.03804760650092165
    p = p * u + 0.0007868320516250388
    p = p * u - 0.09771256909316563
    p = p * u + 0.4785531913516745
    return p / (1.0 + a)


@scalar
def normal_tail(x):
    """The probability above abs(x) under the standard normal distribution, and the density at x."""
    a = where(abs(x) > FAR, FAR, abs(x))
    b = where(a > 39.0, 39.0, a)  # where the density is 0
    high = (b + ROUND) - ROUND  # a multiple of 2^-18, whose square is exact
    g = exp_of_sum(-0.5 * high * high, -0.5 * (b - high) * (b + high))  # of -b^2 / 2, to twice the digits
    return where(a < 0.67, 0.5 - a * central_normal(a * a), g * mills(a)), 0.3989422804014327 * g


@scalar
def normal_cdf(x):
    """The standard normal distribution function, accurate in the lower tail."""
    q = normal_tail(x)[0]
    return where(x > 0.0, 1.0 - q, q)


@scalar
def log_normal_cdf(x):
    """The logarithm of the standard normal distribution function, in both tails."""
    q, a = normal_tail(x)[0], where(abs(x) > FAR, FAR, abs(x))
    far = where(x <= -1.0, 1.0, 0.0)
    u = where(far > 0.0, mills(a), where(x > 0.0, 1.0 - q, q))
    lost = where(x > 0.0, (1.0 - u) - q, 0.0)
    return log_of_sum(u, lost) - 0.5 * far * a * a


@scalar
def normal_pdf(x):
    """The standard normal density."""
    return normal_tail(x)[1]
