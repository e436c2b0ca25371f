"""Where a density counts: its peak, how wide that is, and how far its tails reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import InputError
from ..families import Family, Support
from ..families.subject import Subject
from .distribution import Distribution

Array = np.ndarray
Height = Callable[[float], float]
DEEP = 48.0  # e^-48 of the peak no longer counts


@dataclass(frozen=True)
class Region:
    """A peak with its scale, and how far, as asinh((z - peak) / scale), the density counts on each side."""

    peak: float
    scale: float
    left: float
    right: float
    low: float = -math.inf
    high: float = math.inf

    def edges(self) -> Array:
        """Ends of panels that follow the density."""
        count = max(4, math.ceil(self.right - self.left) + 1)
        return np.asarray(self.peak + self.scale * np.sinh(np.linspace(self.left, self.right, count)))


@lru_cache(maxsize=64)
def subject_of(family: Family) -> Subject:
    """The formulas of a family as functions of a point."""
    return Subject.of(family)


def bump(p: Distribution) -> Height:
    """The log-density as a function of y; minus infinity where there is none."""
    subject, theta, support = subject_of(p.family), p.theta, p.family.support

    def height(y: float) -> float:
        if y < support.lower or y > support.upper:
            return -math.inf
        value = subject.log_density(y, theta)
        return value if value < math.inf else -math.inf  # NaN too

    return height


def log_densities(p: Distribution, y: Array) -> Array:
    """The log-density at every y; NaN where the formula fails, minus infinity outside the support."""
    subject, theta, support = subject_of(p.family), p.theta, p.family.support
    inside = [support.lower <= v <= support.upper for v in y.tolist()]
    return np.array(
        [subject.log_density(v, theta) if i else -math.inf for v, i in zip(y.tolist(), inside, strict=True)]
    )


def common_support(densities: Sequence[Distribution]) -> tuple[Support, float]:
    """The least interval that holds all supports, and the period."""
    first, whole = densities[0].family, [p.family.support.integer or p.family.takes_trials for p in densities]
    for p, counts in zip(densities, whole, strict=True):
        if counts != whole[0] or p.family.period != first.period:
            raise InputError(
                f"the {first.name} and the {p.family.name} family have no common responses: give distributions of one "
                "kind (both of counts, both continuous, or both of angles)"
            )
    supports = [p.family.support for p in densities]
    low, high = min(s.lower for s in supports), max(s.upper for s in supports)
    return (
        Support(low, high, all(s.lower_open for s in supports), all(s.upper_open for s in supports), whole[0]),
        first.period,
    )


def coordinate(
    support: Support, period: float, heights: list[Height], densities: Sequence[Distribution]
) -> tuple[Callable[[Array], Array], Callable[[Array], Array], list[Region]]:
    """y and log dy/dz as functions of a coordinate on the real line, and the regions of all densities in it."""
    low, high = support.lower, support.upper
    y_of: Callable[[Any], Any]
    log_slope: Callable[[Any], Any]
    centres = [_centre(p) for p in densities]
    if math.isfinite(period):
        y_of, log_slope = lambda z: z, np.zeros_like
        grid = centres[0] + np.linspace(-0.5, 0.5, 65) * period
    elif math.isfinite(low) and math.isfinite(high):
        width = high - low
        y_of = lambda z: np.where(z < 0.0, low + width / (1.0 + np.exp(-z)), high - width / (1.0 + np.exp(z)))  # noqa: E731
        log_slope = lambda z: math.log(width) - np.abs(z) - 2.0 * np.log1p(np.exp(-np.abs(z)))  # noqa: E731
        grid = np.arange(-30.0, 30.5, 0.5)
    elif math.isfinite(low):
        y_of, log_slope, grid = lambda z: low + np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    elif math.isfinite(high):
        y_of, log_slope, grid = lambda z: high - np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    else:
        y_of, log_slope = lambda z: z, np.zeros_like
        around = np.sinh(np.arange(-20.0, 20.25, 0.25))
        grid = np.unique(np.concatenate([around, *(c + around for c in centres)]))

    def lifted(height: Height) -> Height:
        def of_z(z: float) -> float:
            y = float(y_of(np.float64(z)))
            if y <= low or y >= high:
                return -math.inf
            return height(y) + float(log_slope(np.float64(z)))

        return of_z

    bounded = math.isfinite(period)
    return y_of, log_slope, [region(lifted(h), grid, bounded) for h in heights]


def _centre(p: Distribution) -> float:
    try:
        centre = float(p.mean())
    except Exception:  # the user's code
        return 0.0
    return centre if math.isfinite(centre) else 0.0


def region(height: Height, grid: Array, bounded: bool = False) -> Region:
    """The region of a density on the real line, from its values on a grid."""
    heights = [height(z) for z in grid.tolist()]
    best = int(np.argmax(heights))
    top, peak = heights[best], float(grid[best])
    if not math.isfinite(top):
        raise InputError("the density is 0 or no number wherever it was looked for; see fisherfit.check_family")
    gap = scale = float(grid[min(best + 1, grid.size - 1)] - grid[max(best - 1, 0)])
    while scale > 1e-12 * (abs(peak) + 1e-300):  # climb, with shorter and shorter steps
        moves = [(height(peak + s), peak + s) for s in (-scale, scale)]
        if max(moves)[0] > top:
            top, peak = max(moves)
        elif min(moves)[0] > top - 0.5:
            break
        else:
            scale *= 0.5
    if bounded:
        scale = min(scale, gap)
    while max(height(peak - scale), height(peak + scale)) > top - 0.3 and scale < (1.0 if bounded else 1e150):
        scale *= 2.0
    if bounded:
        reach = math.asinh((grid[-1] - grid[0]) / scale)
        return Region(peak, scale, -reach, reach)
    ends = []
    for sign in (-1.0, 1.0):  # as far as any part of the density counts, beyond a gap too
        ts = np.arange(0.5, 60.0, 0.5)
        tail = np.array([height(peak + sign * scale * math.sinh(t)) + math.log(math.cosh(t)) for t in ts]) - top
        counts = np.flatnonzero(tail > -DEEP)
        last = int(counts[-1]) + 1 if counts.size else 0
        if last == ts.size or (tail[last] == -math.inf and tail[max(last - 1, 0)] > -25.0):
            raise InputError(
                "the density has mass farther out, or closer to the end of its support, than floating-point numbers "
                "can tell: no sum over it can be trusted"
            )
        ends.append(sign * float(ts[last]))
    return Region(peak, scale, ends[0], ends[1])


def integers(support: Support, height: Height) -> Region:
    """The region of a density of counts, in whole numbers."""
    steps = np.unique(np.r_[np.arange(0.0, 65.0), np.floor(1.15 ** np.arange(30.0, 300.0))])
    if math.isfinite(support.lower):
        grid = support.lower + steps
    elif math.isfinite(support.upper):
        grid = support.upper - steps[::-1]
    else:
        grid = np.r_[-steps[:0:-1], steps]
    grid = grid[(grid >= support.lower) & (grid <= support.upper)]
    if math.isfinite(support.upper) and grid[-1] < support.upper:
        grid = np.r_[grid, support.upper]
    heights = np.array([height(v) for v in grid.tolist()])
    best = int(np.argmax(heights))
    top, peak = float(heights[best]), float(grid[best])
    if not math.isfinite(top):
        raise InputError("the density is 0 or no number wherever it was looked for; see fisherfit.check_family")
    step = float(max(1.0, grid[min(best + 1, grid.size - 1)] - grid[max(best - 1, 0)]))
    while step >= 1.0:
        moves = [(height(peak + s), peak + s) for s in (-step, step)]
        if max(moves)[0] > top:
            top, peak = max(moves)
        else:
            step = math.floor(0.5 * step)
    counted = grid[heights > top - DEEP]
    ends = []
    for sign, limit in ((-1.0, support.lower), (1.0, support.upper)):
        reach = 1.0
        far = float((sign * (counted - peak)).max(initial=0.0))
        while sign * (peak + sign * reach) < sign * limit and (
            height(peak + sign * reach) + math.log(reach) > top - DEEP or reach < far
        ):
            reach *= 1.25 if reach > 8.0 else 2.0
            reach = math.floor(reach)
            if reach > 1e15:
                raise InputError("the density of the counts has mass farther out than whole numbers can tell")
        end = peak + sign * reach
        ends.append(max(end, limit) if sign < 0.0 else min(end, limit))
    scale = 1.0
    while scale < 1e15 and max(height(peak - scale), height(peak + scale)) > top - 0.3:
        scale *= 2.0
    left, right = (math.asinh((end - peak) / scale) for end in ends)
    return Region(peak, scale, left, right, ends[0], ends[1])


__all__ = ["Region", "bump", "common_support", "coordinate", "integers", "log_densities", "region", "subject_of"]
