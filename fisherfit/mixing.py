"""Means over the uncertainty of the parameters, as sums over nodes, and quantiles by bracketing.

Over a normal variable the trapezoid rule is used: for an analytic integrand its error falls exponentially with the
reciprocal of the spacing (Trefethen & Weideman, 2014, SIAM Review 56, 385-458, section 5), while a Gauss rule sees
steps where the distribution is narrower than the distance of its nodes. Over chi-squared it is the trapezoid rule on
the logarithm, or with many degrees of freedom Gauss's rule, whose nodes are eigenvalues (Golub & Welsch, 1969).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

REACH = 7.2  # standard deviations beyond which nothing counts: 6e-13
MOST = 2000  # nodes at the most
MANY_DF = 60.0  # degrees of freedom from which on Gauss's rule is used
STEPS = 200  # of a search for a quantile


def normal_nodes(spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a mean over a standard normal variable."""
    half = int(min(max(np.ceil(REACH / spacing), 12), MOST // 2))
    z = np.linspace(-REACH, REACH, 2 * half + 1)
    weight = np.exp(-0.5 * z * z)
    return z, weight / weight.sum()


def chi2_nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a mean over chi-squared / df."""
    a = 0.5 * df
    if df >= MANY_DF:  # Gauss-Laguerre: x^(a - 1) e^-x
        k = np.arange(10 if df < 1e6 else 3)
        matrix = np.diag(2.0 * k + a) + np.diag(np.sqrt(k[1:] * (k[1:] + a - 1.0)), 1)
        value, vector = np.linalg.eigh(matrix, UPLO="U")
        return value / a, vector[0] ** 2
    low, high = np.log(special.gammaincinv(a, 1e-12)), np.log(special.gammainccinv(a, 1e-12))
    count = int(np.ceil((high - low) / min(0.3, 0.7 / np.sqrt(a))))
    u = np.linspace(low, high, max(count, 12))
    weight = np.exp(a * u - np.exp(u) - special.gammaln(a))
    return np.exp(u) / a, weight / weight.sum()


def continuous_quantile(
    cdf: Callable[[np.ndarray, np.ndarray], np.ndarray], probability: np.ndarray, start: np.ndarray,
    scale: np.ndarray, to_y: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:  # fmt: skip
    """The y with cdf(y, rows) = probability for every row, searched for in a coordinate z, y = to_y(z).

    A bracket grows from `start` by steps of `scale`; inside it the method of Chandrupatla (1997), Advances in
    Engineering Software 28, 145-149, bisects or interpolates. `cdf` takes the rows that are still searched.
    """
    rows = np.flatnonzero(np.isfinite(start) & (probability > 0.0) & (probability < 1.0))
    out = np.full(start.shape, np.nan)
    p, a = probability[rows], start[rows].copy()
    fa = cdf(to_y(a), rows) - p
    step = np.where(fa < 0.0, 1.0, -1.0) * scale[rows]
    b, fb, open_ = a + step, np.zeros(a.size), np.ones(a.size, bool)
    for _ in range(STEPS):
        at = np.flatnonzero(open_)
        if not at.size:
            break
        fb[at] = cdf(to_y(b[at]), rows[at]) - p[at]
        open_[at] = np.sign(fb[at]) == np.sign(fa[at])
        again = np.flatnonzero(open_)
        a[again], fa[again] = b[again], fb[again]
        step[again] *= 1.7
        b[again] += step[again]
    # b the latest point, a the other end of the bracket, c the point before
    c, fc, t = a.copy(), fa.copy(), np.full(a.size, 0.5)
    active = np.arange(a.size)
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    for _ in range(STEPS):
        if not active.size:
            break
        i = active
        new = a[i] + t[i] * (b[i] - a[i])
        value = cdf(to_y(new), rows[i]) - p[i]
        same = np.sign(value) == np.sign(fa[i])
        c[i], fc[i] = np.where(same, a[i], b[i]), np.where(same, fa[i], fb[i])
        b[i], fb[i] = np.where(same, b[i], a[i]), np.where(same, fb[i], fa[i])
        a[i], fa[i] = new, value
        small = np.abs(fa[i]) < np.abs(fb[i])
        best[i] = np.where(small, a[i], b[i])
        least = 2.0 * np.finfo(float).eps * np.abs(best[i]) + 1e-14 * scale[i]
        width = np.abs(b[i] - a[i])
        done = (width <= 2.0 * least) | (np.where(small, fa[i], fb[i]) == 0.0)
        with np.errstate(all="ignore"):
            xi, phi = (a[i] - b[i]) / (c[i] - b[i]), (fa[i] - fb[i]) / (fc[i] - fb[i])
            inverse = fa[i] / (fb[i] - fa[i]) * fc[i] / (fb[i] - fc[i]) + (c[i] - a[i]) / (b[i] - a[i]) * fa[i] / (
                fc[i] - fa[i]
            ) * fb[i] / (fc[i] - fb[i])
            good = (phi * phi < xi) & ((1.0 - phi) ** 2 < 1.0 - xi) & np.isfinite(inverse)
        edge = np.minimum(0.5, least / np.where(width > 0.0, width, 1.0))
        t[i] = np.clip(np.where(good, inverse, 0.5), edge, 1.0 - edge)
        active = i[~done]
    out[rows] = to_y(best)
    return out


def whole_quantile(
    cdf: Callable[[np.ndarray, np.ndarray], np.ndarray], probability: np.ndarray, start: np.ndarray,
    low: float, high: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The least whole number k with cdf(k, rows) >= probability, between `low` and `high`."""
    rows = np.flatnonzero(np.isfinite(start) & (probability > 0.0) & (probability < 1.0))
    out = np.full(start.shape, np.nan)
    p, top = probability[rows] * (1.0 - 4.0 * np.finfo(float).eps), high[rows]
    above = np.clip(start[rows], low, top)
    below = np.full(above.size, low - 1.0)
    step = np.ones(above.size)
    open_ = above < top
    for _ in range(STEPS):  # an upper end
        at = np.flatnonzero(open_)
        if not at.size:
            break
        short = cdf(above[at], rows[at]) < p[at]
        below[at] = np.where(short, above[at], below[at])
        above[at] = np.where(short, np.minimum(above[at] + step[at], top[at]), above[at])
        step[at] *= 2.0
        open_[at] = short & (above[at] < top[at])
    step = np.ones(above.size)
    open_ = below < low  # no lower end yet
    for _ in range(STEPS):
        at = np.flatnonzero(open_)
        if not at.size:
            break
        trial = np.maximum(above[at] - step[at], low - 1.0)
        bottom = trial < low
        reached = np.zeros(at.size, bool)
        inside = np.flatnonzero(~bottom)
        reached[inside] = cdf(trial[inside], rows[at[inside]]) >= p[at[inside]]
        above[at] = np.where(reached, trial, above[at])
        below[at] = np.where(reached, below[at], trial)
        step[at] *= 2.0
        open_[at] = reached
    for _ in range(STEPS):
        at = np.flatnonzero(above - below > 1.0)
        if not at.size:
            break
        middle = np.floor(0.5 * (above[at] + below[at]))
        reached = cdf(middle, rows[at]) >= p[at]
        above[at] = np.where(reached, middle, above[at])
        below[at] = np.where(reached, below[at], middle)
    out[rows] = above
    return out


__all__ = ["chi2_nodes", "continuous_quantile", "normal_nodes", "whole_quantile"]
