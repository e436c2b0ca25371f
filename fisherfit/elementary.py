"""exp, log and their relatives without branches, so that the compiler runs them on vectors of rows.

A call of the C library in a loop keeps the whole loop scalar. These functions are arithmetic and selections only:
compiled, a loop over them uses the widest vectors that the machine has; as plain Python they are the same formula and
give the same bits, because no operation is contracted or reordered. Every one is within 2 units in the last place over
its whole range, denormal numbers, infinities and NaN included.

``@scalar`` marks a function that compiled formulas may call. The mark costs nothing at import: Numba learns of the
functions when the first kernel is built (see :mod:`fisherfit._jit`). The two functions that take a number apart by
its bits have compiled twins in :mod:`fisherfit._bits`.

Sources: Tang (1989), ACM TOMS 15, 144-157 (argument reduction); the logarithm follows Sun's fdlibm (1993), the
divergence Loader (2000), Fast and accurate computation of binomial probabilities. The polynomials interpolate at
Chebyshev nodes on the reduced interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
SCALARS: list[Callable[..., Any]] = []

TINY = 2.2250738585072014e-308  # the smallest normal double: a probability or a mean is never below it
HUGE = 1.7976931348623157e308
SQRT_HALF = 0.7071067811865476
LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # 32 bits: a multiple by a whole number below 2^20 is exact
LN2_LOW = 1.90821492927058770002e-10
SHIFT = 6755399441055744.0  # 1.5 2^52: adding and subtracting it rounds to a whole number


def scalar(function: _F) -> _F:
    """Mark `function` as one that compiled formulas may call."""
    SCALARS.append(function)
    return function


def power_of_two(k):
    """2^k for a whole k from -1022 to 1023; anything else gives some number, never an error."""
    return math.ldexp(1.0, int(k)) if -1074.0 <= k <= 1023.0 else nan


def split(x):
    """(m, k) with x = m 2^k and sqrt(1/2) <= m < sqrt(2), for 0 < x < inf; else some m of this interval and some k."""
    if not 0.0 < x <= HUGE:
        return 1.0, nan
    m, k = math.frexp(x)
    return (m, float(k)) if m >= SQRT_HALF else (2.0 * m, k - 1.0)


def align(a, b):
    """(k, m, n), a / b = 2^k m / n, 2/3 <= m / n <= 3/2 and 1 <= n < 2, for a > 0 and b >= TINY; else some numbers.

    k is the nearest whole number to the difference of piecewise linear base-2 logarithms: those of the bits.
    """
    if not (0.0 < a <= HUGE and TINY <= b <= HUGE):
        return nan, 1.0, 1.0
    m, i = math.frexp(a)
    n, j = math.frexp(b)
    k = i - j + math.floor(2.0 * (m - n) + 0.5)
    return float(k), math.ldexp(a, 1 - j - k), 2.0 * n


def widest():
    """In a compiled loop: use the widest vectors of the machine."""


def where(condition, a, b):
    """a or b, both of which have been computed: a selection, where the compiler may turn an if into branches."""
    return a if condition else b


@scalar
def exp_rest(r):
    """(e^r - 1 - r) / r^2 for abs(r) <= log(2) / 2."""
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 0.00019841269863053618
    p = p * r + 0.0013888888917213717
    p = p * r + 0.008333333333330062
    p = p * r + 0.04166666666662413
    p = p * r + 0.16666666666666669
    return p * r + 0.5000000000000001


@scalar
def atanh_series(w):
    """{2 atanh(v) - 2 v} / v^3 for w = v^2, v being (m - 1) / (m + 1) with 2/3 <= m <= 3/2."""
    p = 0.13604216246696962
    p = p * w + 0.1321033443219967
    p = p * w + 0.15388835999460426
    p = p * w + 0.18181738421712204
    p = p * w + 0.2222222303822691
    p = p * w + 0.28571428567336676
    p = p * w + 0.40000000000007807
    return p * w + 0.6666666666666666


@scalar
def atanh_series_slope(w):
    """The derivative of `atanh_series`."""
    p = 0.9522951372687873
    p = p * w + 0.7926200659319802
    p = p * w + 0.7694417999730213
    p = p * w + 0.7272695368684882
    p = p * w + 0.6666666911468073
    p = p * w + 0.5714285713467335
    return p * w + 0.40000000000007807


@scalar
def atanh_rest(w):
    """{2 atanh(v) - 2 v} / v for w = v^2."""
    return atanh_series(w) * w


@scalar
def exp_normal(x):
    """e^x for -708.3 <= x <= 709.7, where it is neither denormal nor infinite."""
    k = (x * LOG2_E + SHIFT) - SHIFT
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    return (1.0 + (r + r * r * exp_rest(r))) * power_of_two(k)


@scalar
def exp_of_sum(x, low):
    """e^(x + low) for a `low` of at most 1e-3, both of which count to their last digits."""
    z = where(x > 710.0, 710.0, where(x < -746.0, -746.0, x))
    k = (z * LOG2_E + SHIFT) - SHIFT
    half = (0.5 * k + SHIFT) - SHIFT
    high, lost = z - k * LN2_HIGH, k * LN2_LOW - low
    r = high - lost
    c = (high - r) - lost
    return (1.0 + (r + (c + r * r * exp_rest(r)))) * power_of_two(half) * power_of_two(k - half)


@scalar
def exp(x):
    """e^x: infinite where it overflows, denormal and then 0 where it underflows."""
    return exp_of_sum(x, 0.0)


@scalar
def expm1(x):
    """e^x - 1, infinite where it overflows."""
    z = where(x > 710.0, 710.0, where(x < -40.0, -40.0, x))
    k = (z * LOG2_E + SHIFT) - SHIFT
    high, low = z - k * LN2_HIGH, k * LN2_LOW
    r = high - low
    rest = r * r * exp_rest(r) + ((high - r) - low)
    half = power_of_two(k - 1.0)  # of the scale, which may be 2^1024
    value = 2.0 * (((half - 0.5) + half * r) + half * rest)
    return where(abs(x) < 1e-300, x, value)


@scalar
def log(x):
    """log x: -inf at 0, NaN below."""
    m, k = split(x)
    f = m - 1.0
    s = f / (2.0 + f)
    h = 0.5 * f * f
    value = k * LN2_HIGH - ((h - (s * (h + atanh_rest(s * s)) + k * LN2_LOW)) - f)
    return where(x > 0.0, where(x > HUGE, x, value), where(x == 0.0, -inf, nan))


@scalar
def log_of_sum(u, lost):
    """log(u + lost) for positive u, where `lost` is what u has lost by rounding."""
    m, k = split(u)
    near = k == 0.0
    f = m - 1.0
    f = where(near, f + lost, f)
    c = where(near, 0.0, lost * power_of_two(-where(k > 1000.0, 1000.0, k)) * (1.0 - f + f * f))  # lost / u
    s = f / (2.0 + f)
    h = 0.5 * f * f
    return k * LN2_HIGH - ((h - (s * (h + atanh_rest(s * s)) + (k * LN2_LOW + c))) - f)


@scalar
def log1p(x):
    """log(1 + x): -inf at -1, NaN below."""
    u = 1.0 + x
    value = log_of_sum(u, where(x > 1.0, 1.0 - (u - x), x - (u - 1.0)))
    value = where(x == 0.0, x, where(x > HUGE, x, value))  # -0 keeps its sign
    return where(x > -1.0, value, where(x == -1.0, -inf, nan))


@scalar
def expit(x):
    """1 / (1 + e^-x), accurate in the lower tail."""
    e = exp(-abs(x))
    large = 1.0 / (1.0 + e)
    return where(x > 0.0, large, e * large)


@scalar
def aligned(a, b):
    """(k, m - n, m + n) for positive a and b with a / b = 2^k m / n and m / n between 2/3 and 3/2; b is not denormal.

    The difference is exact: log(a / b) = k log 2 + 2 atanh{(m - n) / (m + n)} neither cancels nor overflows.
    """
    k, m, n = align(a, b)
    return k, m - n, m + n


@scalar
def log_aligned(k, v, g):
    """k log 2 + 2 atanh(v), g = atanh_rest(v^2)."""
    return k * LN2_HIGH + (2.0 * v + (v * g + k * LN2_LOW))


@scalar
def log_ratio(a, b):
    """log(a / b) for positive numbers, also where the ratio would over- or underflow or is near 1."""
    k, difference, total = aligned(a, b)
    v = difference / total
    value = log_aligned(k, v, atanh_rest(v * v))
    return where(a > 0.0, where(b > 0.0, value, nan), nan)


@scalar
def poisson_divergence(y, mu, k, v):
    """y log(y / mu) - (y - mu), given `aligned` as k and v; nothing cancels where y is near mu."""
    d, g = y - mu, atanh_rest(v * v)
    value = where(k == 0.0, d * v + y * (v * g), y * log_aligned(k, v, g) - d)
    return where(y == 0.0, mu, value)


@scalar
def gamma_divergence(y, mu):
    """(y - mu) / mu - log(y / mu)."""
    k, difference, total = aligned(y, mu)
    v = difference / total
    g, t = atanh_rest(v * v), (y - mu) * (1.0 / mu)
    return where(k == 0.0, t * v - v * g, t - log_aligned(k, v, g))
