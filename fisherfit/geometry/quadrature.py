"""Sums and integrals over the responses of one or more distributions, to rounding.

A continuous response is integrated by panels of Gauss and Kronrod's 15 points, which are halved where the 7-point
rule disagrees. The panels follow z = peak + scale sinh(t) around the peak of every density involved, z being y, log y
on a half-line and logit y on an interval: heavy tails and poles at the ends cost no more than a normal density. Counts
are summed one by one as far as they count; ranges too long for that are summed by Euler and Maclaurin's formula, whose
integral is taken by the same panels. Sources: Piessens et al. (1983), QUADPACK; Abramowitz & Stegun (1964), 23.1.30.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..families import Support
from .distribution import Distribution
from .regions import bump, common_support, coordinate, integers, log_densities

__all__ = ["Sums", "integrate"]

Array = np.ndarray
_X = [0.0, 0.2077849550078984676, 0.4058451513773971669, 0.5860872354676911303, 0.7415311855993944399,
      0.8648644233597690728, 0.9491079123427585245, 0.9914553711208126392]  # fmt: skip
_K = [0.209482141084727828, 0.2044329400752988924, 0.1903505780647854099, 0.1690047266392679028, 0.1406532597155259187,
      0.1047900103222501838, 0.06309209262997855329, 0.02293532201052922496]  # fmt: skip
_G = [0.4179591836734693878, 0.0, 0.381830050505118945, 0.0, 0.2797053914892766679, 0.0, 0.1294849661688696933, 0.0]
NODES, KRONROD, GAUSS = (np.array([sign * v for v in x[:0:-1]] + x) for x, sign in ((_X, -1), (_K, 1), (_G, 1)))
LONGEST = 20_000  # counts that are summed one by one


@dataclass(frozen=True)
class Sums:
    """The integrals; `grows` where the integrand does not die away at an end, so that they are infinite."""

    value: Array
    grows: bool


def integrate(
    densities: Sequence[Distribution], integrand: Callable[[Array, list[Array]], Array],
    tilt: Sequence[float] | None = None, tolerance: float = 1e-13, rule: list[tuple[Array, Array]] | None = None,
    fast: Any = None,
) -> Sums:  # fmt: skip
    """Integrals of a vector-valued function over the responses.

    `integrand` takes y of shape (n,) and the log-densities there, and returns (size, n) values. `tilt` are exponents of
    the densities whose product the integrand follows beyond them (those of a Rényi divergence). Panels are halved until
    the error of each is below `tolerance` times the whole. The responses and weights of the rule that this leads to are
    appended to `rule`, where that is given: it serves densities close by as well. `fast` holds faster forms of a
    single log-density, `many` for responses and `one` for one of them.
    """
    support, period = common_support(densities)
    heights: list[Callable[[float], float]] = [bump(p) for p in densities] if fast is None else [fast.one]
    if tilt is not None:
        heights.append(_tilted(list(zip(tilt, heights, strict=True))))

    def logs_at(y: Array) -> list[Array]:
        return [log_densities(p, y) for p in densities] if fast is None else [fast.many(y)]

    def at(y: Array) -> Array:
        values = np.atleast_2d(integrand(y, logs_at(y)))
        return np.where(np.isnan(values), 0.0, values)

    with np.errstate(all="ignore"):
        if support.integer:
            y, weight, edges = _counts(support, heights)
            if rule is not None:
                rule.append((y, weight))
            if edges.size < 2:
                return Sums(at(y) @ weight, False)
            return Sums(at(y) @ weight + _adapt(at, edges, tolerance, rule)[0], False)
        y_of, log_slope, regions = coordinate(support, period, heights, densities)
        edges = np.unique(np.concatenate([r.edges() for r in regions]))
        if math.isfinite(period):
            turn = 0.5 * period
            centre = float(densities[0].mean())
            edges = np.unique(np.clip(np.r_[edges, centre - turn, centre + turn], centre - turn, centre + turn))

        def lifted(z: Array) -> Array:
            values, slope = at(y_of(z)), np.exp(log_slope(z))
            return np.where(values == 0.0, 0.0, values * slope)

        edges = _apart(edges)
        panels: list[tuple[Array, Array]] | None = None if rule is None else []
        total, scale = _adapt(lifted, edges, tolerance, panels)
        grows = False
        if not math.isfinite(period):
            total, grows = _beyond(lifted, edges, total, scale, tolerance, panels)
        if rule is not None and panels is not None:
            rule.extend((np.asarray(y_of(z)), w * np.exp(log_slope(z))) for z, w in panels)
        mass = lambda: _adapt(lambda z: np.exp(logs_at(y_of(z))[0] + log_slope(z))[None], edges, 1e-7)[0]  # noqa: E731
        atoms = _atoms(support, heights[0], mass)
        if atoms.size:
            total = total + at(atoms).sum(axis=1)
            if rule is not None:
                rule.append((atoms, np.ones(atoms.size)))
        return Sums(total, grows)


def _tilted(pairs: list[tuple[float, Callable[[float], float]]]) -> Callable[[float], float]:
    """The logarithm of a product of powers of densities, where none of them is 0."""

    def height(y: float) -> float:
        values = [h(y) for _, h in pairs]
        return -math.inf if -math.inf in values else sum(a * v for (a, _), v in zip(pairs, values, strict=True))

    return height


def _apart(edges: Array) -> Array:
    """Edges without those that are next to others."""
    width = np.diff(edges)
    smallest = 1e-3 * np.minimum(width, np.r_[width[1:], np.inf])
    keep = np.r_[True, width > np.maximum(smallest, 4e-16 * np.abs(edges[1:]))]
    keep[-1] = True
    return np.asarray(edges[keep])


def _adapt(
    function: Callable[[Array], Array], edges: Array, tolerance: float, rule: list[tuple[Array, Array]] | None = None,
    whole: Array | float = 0.0,
) -> tuple[Array, Array]:  # fmt: skip
    """Integrals over all panels, which are halved where they have not settled, and of the absolute values.

    `whole` are absolute values of the integrals that these panels are a part of.
    """
    low, high = edges[:-1], edges[1:]
    out = scale = np.zeros(1)
    for level in range(14):
        half = 0.5 * (high - low)
        z = (0.5 * (high + low)[:, None] + half[:, None] * NODES).ravel()
        values = function(z).reshape(-1, low.size, NODES.size) * half[:, None]
        fine, rough, size = values @ KRONROD, values @ GAUSS, np.abs(values) @ KRONROD
        if level == 0:
            out, scale = np.zeros(fine.shape[0]), size.sum(axis=1)
        error = size * np.minimum(1.0, (200.0 * np.abs(fine - rough) / np.where(size > 0.0, size, 1.0)) ** 1.5)
        halve = (error > tolerance * np.maximum(scale, whole)[:, None]).any(axis=0) & np.isfinite(fine).all(axis=0)
        if level == 13 or halve.sum() > 4000:
            halve[:] = False
        out = out + fine[:, ~halve].sum(axis=1)
        if rule is not None:
            kept = z.reshape(low.size, -1)[~halve]
            rule.append((kept.ravel(), (half[~halve, None] * KRONROD).ravel()))
        if not halve.any():
            break
        middle = 0.5 * (low + high)[halve]
        low, high = np.r_[low[halve], middle], np.r_[middle, high[halve]]
    return out, scale


def _beyond(
    function: Callable[[Array], Array], edges: Array, total: Array, scale: Array, tolerance: float,
    rule: list[tuple[Array, Array]] | None = None,
) -> tuple[Array, bool]:  # fmt: skip
    """The integrals with what lies beyond the first panels, where the integrand dies away more slowly than a density.

    Panels grow by a factor of e, as those of sinh do. True beside them where the integrals do not settle.
    """
    for end, step in ((edges[-1], edges[-1] - edges[-2]), (edges[0], edges[0] - edges[1])):
        before, rising = np.zeros(total.size), 0
        for _ in range(600):
            part, size = _adapt(function, np.sort([end, end + step]), tolerance, rule, scale)
            if not np.isfinite(part).all():
                return total + part, True
            total = total + part
            if (size <= 1e-15 * scale).all():
                break
            rising = rising + 1 if ((size >= before) & (size > 1e-15 * scale)).any() else 0
            if rising > 12:
                return total, True
            before, end, step = size, end + step, math.e * step
        else:
            return total, True
    return total, False


def _counts(support: Support, heights: list[Callable[[float], float]]) -> tuple[Array, Array, Array]:
    """Counts with their weights, and edges of panels for the rest of a long range."""
    regions = [integers(support, height) for height in heights]
    low, high = min(r.low for r in regions), max(r.high for r in regions)
    if high - low <= LONGEST:
        y = np.arange(low, high + 1.0)
        return y, np.ones(y.size), np.empty(0)
    head = 4000.0
    y = np.arange(low, low + head)
    # the sum beyond a is the integral from a - 1/2, plus f'(a - 1/2) / 24, to a relative 1e-12 of f / head^3
    a = low + head
    y, weight = np.r_[y, a], np.ones(y.size + 1)
    weight[-1], weight[-2] = 1.0 / 24.0, 1.0 - 1.0 / 24.0
    steps = head * 1.5 ** np.arange(0.0, math.log((high - low) / head) / math.log(1.5) + 1.0)
    edges = np.concatenate([low + steps, *(r.edges() for r in regions), [a, high]])
    edges = np.unique(edges[(edges >= a) & (edges <= high)])
    edges[0], edges[-1] = a - 0.5, high + 0.5
    return y, weight, _apart(edges)


def _atoms(support: Support, height: Callable[[float], float], mass: Callable[[], Array]) -> Array:
    """Closed ends of the support that have probabilities of their own, where the density alone falls short of 1."""
    ends = [
        (v, closed) for v, closed in ((support.lower, not support.lower_open), (support.upper, not support.upper_open))
    ]
    found = [v for v, closed in ends if closed and math.isfinite(v) and math.isfinite(height(v))]
    if not found:
        return np.empty(0)
    without = float(mass()[0])
    masses = [math.exp(height(v)) for v in found]
    return np.array(found if abs(without + sum(masses) - 1.0) < abs(without - 1.0) else [])
