"""Means over a density and derivatives of a function, both with their errors.

A density is made into points with weights: sums over the integers, integrals in a coordinate stretched to the peak.
Two resolutions tell the error of a mean. Derivatives are eighth-order differences, whose rounding is measured and
not assumed. Sources: Fornberg (1988), Mathematics of Computation 51, 699-706; Moré & Wild (2011), SIAM Journal on
Scientific Computing 33, 1292-1314.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._family import Support

__all__ = ["Law", "central", "differentiate", "drawn", "integral", "listed"]

EPS = 2.0**-52
#: the eighth-order central weights of a first derivative, for offsets 1 to 4
WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
#: steps are no powers of two times round numbers, among which rounding errors would be equal and cancel
ODD = 0.7390851332151607


@dataclass(frozen=True, eq=False)
class Law:
    """A density as points with weights, fine and coarse: the difference of the two is the error of a mean.

    `ends` are points up to which partial sums of the fine weights are whole integrals, with their positions. Of
    points that are `random` draws the error is one and a half standard errors. `cut` are the points next to where
    the sum was cut off: where these still count, a mean is unknown.
    """

    y: np.ndarray
    weight: np.ndarray
    coarse_y: np.ndarray
    coarse_weight: np.ndarray
    ends: tuple[np.ndarray, np.ndarray]
    cut: tuple[int, ...] = ()
    random: bool = False

    @property
    def total(self) -> float:
        """Sum or integral of the density."""
        return float(self.weight.sum())

    @property
    def total_error(self) -> float:
        """Its error."""
        return abs(self.total - float(self.coarse_weight.sum()))

    def mean(self, function: Callable[[float], tuple[float, ...]], size: int) -> tuple[list[float], list[float]]:
        """The mean of a function that returns `size` numbers, and the errors."""
        sums, peak = [], np.zeros(size)
        for y, weight in ((self.y, self.weight), (self.coarse_y, self.coarse_weight)):
            counts = weight > 1e-18 * weight.max()
            values = np.array([function(float(v)) for v in y[counts]]).reshape(-1, size)
            values = np.where(np.isfinite(values), values, 0.0)
            if self.random:
                return values.mean(axis=0).tolist(), (1.5 * values.std(axis=0) / math.sqrt(y.size)).tolist()
            sums.append(weight[counts] @ values / weight.sum())
            peak = np.maximum(peak, (weight[counts, None] * np.abs(values)).max(axis=0))
        errors = np.abs(sums[0] - sums[1])
        for k in self.cut:
            rest = np.abs(np.array(function(float(self.y[k]))) * self.weight[k])
            errors[rest > 1e-6 * peak] = math.inf
        return sums[0].tolist(), errors.tolist()

    def quantiles(self) -> list[float]:
        """Responses at quantiles of the density."""
        share = np.cumsum(self.weight) / self.weight.sum()
        at = np.searchsorted(share, [0.004, 0.1, 0.3, 0.55, 0.8, 0.97, 0.999])
        return sorted({float(v) for v in self.y[np.minimum(at, self.y.size - 1)]})

    def distribution(self) -> list[tuple[float, float]]:
        """Some responses with the probability not to exceed them."""
        at, positions = self.ends
        below = np.cumsum(self.weight)[positions]
        chosen = np.unique(np.minimum(np.searchsorted(below, [0.1, 0.5, 0.9]), at.size - 1))
        return [(float(at[i]), float(below[i])) for i in chosen]


def listed(y: np.ndarray, density: Callable[[float], float]) -> Law:
    """A density on a list of points."""
    with np.errstate(all="ignore"):
        weight = np.nan_to_num(np.exp([density(float(v)) for v in y]), nan=0.0)
    return Law(y, weight, y, weight, (y, np.arange(y.size)))


def drawn(y: np.ndarray) -> Law:
    """A density known by draws from it."""
    weight = np.full(y.size, 1.0 / y.size)
    return Law(y, weight, y, weight, (y, np.arange(y.size)), random=True)


def _coordinate(support: Support, centre: float) -> tuple[Callable[..., Any], Callable[..., Any], np.ndarray]:
    """y and log dy/dz as functions of a coordinate z on the real line, and a first grid of it."""
    low, high = support.lower, support.upper
    if math.isfinite(low) and math.isfinite(high):
        width = high - low
        return (
            lambda z: np.where(z < 0.0, low + width / (1.0 + np.exp(-z)), high - width / (1.0 + np.exp(z))),
            lambda z: math.log(width) - np.abs(z) - 2.0 * np.log1p(np.exp(-np.abs(z))),
            np.arange(-30.0, 30.5, 0.5),
        )
    if math.isfinite(low):
        return lambda z: low + np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    if math.isfinite(high):
        return lambda z: high - np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    return lambda z: centre + z, np.zeros_like, np.sinh(np.arange(-20.0, 20.25, 0.25))


def integral(support: Support, density: Callable[[float], float], centre: float) -> Law | None:
    """A density on an interval: panels in a coordinate stretched to its peak."""
    y_of, log_slope, grid = _coordinate(support, centre if math.isfinite(centre) else 0.0)

    def height(z: float) -> float:
        y = float(y_of(np.float64(z)))
        if support.outside(np.array([y]))[0] or y in (support.lower, support.upper):
            return -math.inf
        value = density(y) + float(log_slope(np.float64(z)))
        return value if math.isfinite(value) else -math.inf

    with np.errstate(all="ignore"):
        heights = [height(z) for z in grid]
        best = int(np.argmax(heights))
        top, peak = heights[best], float(grid[best])
        if not math.isfinite(top):
            return None
        scale = float(grid[min(best + 1, grid.size - 1)] - grid[max(best - 1, 0)])
        while scale > 1e-12 * (abs(peak) + 1e-300):  # climb, with shorter and shorter steps
            moves = [(height(peak + s), peak + s) for s in (-scale, scale)]
            if max(moves)[0] > top:
                top, peak = max(moves)
            elif min(moves)[0] > top - 0.5:
                break
            else:
                scale *= 0.5
        while max(height(peak - scale), height(peak + scale)) > top - 0.3 and scale < 1e150:
            scale *= 2.0
        far = []
        for sign in (-1.0, 1.0):  # as far as any part of the density counts, beyond a gap too
            ts = np.arange(0.5, 60.0, 0.5)
            tail = np.array([height(peak + sign * scale * math.sinh(t)) + math.log(math.cosh(t)) for t in ts]) - top
            counts = np.flatnonzero(tail > -45.0)
            last = int(counts[-1]) + 1 if counts.size else 0
            if last == ts.size or (tail[last] == -math.inf and tail[max(last - 1, 0)] > -25.0):
                return None  # mass farther out, or closer to the end of the support, than numbers can tell
            far.append(sign * float(ts[last]))

        def panels(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            edges = np.linspace(far[0], far[1], count + 1)
            nodes, weights = np.polynomial.legendre.leggauss(8)
            half = 0.5 * np.diff(edges)[:, None]
            t = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
            z = peak + scale * np.sinh(t)
            weight = (half * weights).ravel() * scale * np.cosh(t) * np.exp([height(v) for v in z])
            order = slice(None) if y_of(np.float64(peak)) <= y_of(np.float64(peak + scale)) else slice(None, None, -1)
            ends = y_of(peak + scale * np.sinh(edges[1:] if order == slice(None) else edges[:-1][::-1]))
            return y_of(z)[order], weight[order], ends

        y, weight, ends = panels(48)
        coarse_y, coarse_weight, _ = panels(32)
        if weight.sum() < 0.999:  # a second peak, narrow and far away, would have been missed
            steps = scale * np.arange(20.0, 2000.0)
            if max(height(peak + z) for z in np.r_[steps, -steps]) > top - 5.0:
                return None
    return Law(y, weight, coarse_y, coarse_weight, (ends, np.arange(7, y.size, 8)), (0, y.size - 1))


def central(function: Callable[[float], float], x: float, h: float) -> float:
    """The eighth-order central difference."""
    return sum(c * (function(x + j * h) - function(x - j * h)) for j, c in enumerate(WEIGHTS, 1)) / h


def differentiate(function: Callable[[float], float], x: float, reach: float) -> tuple[float, float, float]:
    """The derivative of a function, an estimate of its error, and the step; NaN where no difference is finite.

    Steps are halved from a quarter of `reach`. The error of a difference is taken to be its change from the step
    before, plus what the noise of the function makes of it.
    """
    noise = rounding(function, x, max(abs(x), reach))
    best, error, step = math.nan, math.inf, math.nan
    before = math.nan
    for level in range(2, 30):
        h = ODD * reach * 2.0**-level
        if 6.0 * noise / h > error:
            break
        value = central(function, x, h)
        estimate = abs(value - before) + 6.0 * noise / h
        if estimate < error:
            best, error, step = value, estimate, h
        before = value
    return best, error, step


def rounding(function: Callable[[float], float], x: float, scale: float) -> float:
    """The noise in the values of a function, from tables of differences at tiny spacings (Moré & Wild, 2011).

    Several spacings, because noise may come in stairs that are wider than the smallest.
    """
    out = 0.0
    for exponent in (-36, -28, -20):
        values = np.array([function(x + i * ODD * scale * 2.0**exponent) for i in range(-3, 4)])
        out = max(out, EPS * abs(float(values[3])))
        for order in range(1, 7):
            values = np.diff(values)
            if order >= 4:
                out = max(out, math.sqrt(float(np.mean(values**2)) / math.comb(2 * order, order)))
    return out if math.isfinite(out) else math.inf
