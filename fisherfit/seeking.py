"""The point of a profile where a root statistic has a given value: safeguarded steps, every one with a bound.

The signed root of the deviance, tau = sign(psi - psi_max) sqrt(2 (l_max - l_profile(psi)) / phi), is nearly linear
in psi and its slope is known, - lambda / (phi tau), so that Newton's method and inverse Hermite interpolation find the
end of an interval in two or three points. The root of Rao's statistic is r = -lambda sqrt(c'F^-1 c / phi) with the
expected information F of the restricted maximum.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .kernels import EXPECTED
from .likelihood import Evaluation
from .ridge import NEAREST, Ground, Point, climb, solve

STEPS = 100  # points of a search at the most
LOST = 6  # points whose ridge was not reached before a search gives up
GROWTH = 4.0  # times the distance from the start that a step without a bracket may go
CLOSE = 1e-6  # distance of tau from its target from which a last Newton step, without a pass, is exact
FLAT = 1e-6  # a root statistic that changes by less over two steps, each to a larger distance, has a limit

Ask = Generator[tuple[np.ndarray, int], Evaluation, Any]


@dataclass(frozen=True, eq=False)
class Mark:
    """A value of the profile: the root statistic there with its slope, and the point."""

    value: float
    tau: float
    slope: float
    point: Point


@dataclass(frozen=True, eq=False)
class End:
    """An end of an interval: its value, why it is what it is ("found" in the usual case), and the last mark.

    `reach` is how far from the maximum, in standard errors, an end was sought that is not there.
    """

    value: float
    reason: str
    mark: Mark | None = None
    reach: float = np.nan


def deviance_root(ground: Ground, point: Point) -> tuple[float, float]:
    """The signed root of the deviance, and its slope."""
    drop = 2.0 * (ground.top - point.loglik) / ground.phi
    tau = float(np.copysign(np.sqrt(max(drop, 0.0)), -point.multiplier))
    at_top = 1.0 / np.sqrt(ground.phi * point.curvature)
    with np.errstate(all="ignore"):
        slope = -point.multiplier / (ground.phi * tau) if abs(tau) > 1e-4 else at_top
    return tau, float(slope)


def score_root(ground: Ground, c: np.ndarray, point: Point, expected: Evaluation, exact: Any) -> tuple[float, float]:
    """The signed root of Rao's statistic, and about its slope (as if the information were constant)."""
    assert point.moving is not None
    solved = solve(ground, exact(point.theta, expected.information), point.moving, c)
    if solved is None:
        return np.nan, np.nan
    size = float(np.sqrt(c @ solved[0] / ground.phi))
    return -point.multiplier * size, size / point.curvature


def seek(ground: Ground, c: np.ndarray, target: float, marks: list[Mark], floor: float, exact: Any = None) -> Ask:
    """The value of c'theta where the root statistic is `target`.

    Parameters
    ----------
    marks : list of Mark
        What is known, at least one; new marks are added.
    floor : float
        The least value that c'theta may have.
    exact : callable, optional
        For Rao's statistic: (theta, information) -> expected information. None is for the likelihood ratio.
    """
    side = float(np.sign(target))
    first, unit = marks[0].value, abs(target) * unit_of(ground, marks[0])
    inside = max((m for m in marks if side * m.tau < abs(target)), key=lambda m: side * m.tau, default=None)
    outside = min((m for m in marks if side * m.tau >= abs(target)), key=lambda m: side * m.tau, default=None)
    widths: list[float] = []
    room, flat, lost = np.inf, 0, 0
    near = CLOSE * max(1.0, abs(target)) * (1.0 if exact is None else 1e-2)
    latest: list[Mark] = []

    def enough(loglik: float, multiplier: float) -> float:
        if exact is not None:
            return 1e-19
        drop = max(2.0 * (ground.top - loglik) / ground.phi, 0.0)
        gap = min(1.0, abs(float(np.copysign(np.sqrt(drop), -multiplier)) - target))
        return max(NEAREST, 1e-2 * gap * gap)

    for _ in range(STEPS):
        if inside is not None and inside.value <= floor and side < 0.0:
            return End(floor, "bound", inside)
        if inside is None and outside is not None and outside.value <= floor and side > 0.0:
            return End(np.nan, "empty", outside)
        if inside is not None and outside is not None:
            value = _between(inside, outside, target, latest if exact is not None else [])
            widths.append(abs(outside.value - inside.value))
            if (len(widths) > 3 and widths[-1] > 0.5 * widths[-4]) or not _is_between(value, inside, outside):
                value = 0.5 * (inside.value + outside.value)
            if widths[-1] <= 4e-16 * max(abs(inside.value), abs(outside.value)):
                return End(value, "found", outside)
        else:
            known = inside if inside is not None else outside
            assert known is not None
            most = min(GROWTH * max(unit, abs(known.value - first)), room)
            with np.errstate(all="ignore"):
                step = (target - known.tau) / known.slope
            forward = side if known is inside else -side
            step = forward * most if not step * forward > 0.0 else float(np.clip(step, -most, most))
            value = known.value + step
        base = min((m for m in (inside, outside) if m is not None), key=lambda m: abs(m.tau - target))
        if abs(value - base.value) > room:
            value = base.value + float(np.copysign(room, value - base.value))
        value = max(value, floor)
        metric = base.point.metric if ground.lazy else None
        point = yield from climb(ground, c, base.point.towards(value), metric, enough)
        if point is None:  # outside of the parameter space, or nearly so
            room = 0.5 * abs(value - base.value)
            if room <= 1e-11 * max(abs(base.value), unit):
                return End(base.value, "edge", base)
            continue
        if not point.on_ridge:  # nearer, from where the ridge can be followed
            room, lost = 0.25 * abs(value - base.value), lost + 1
            if room <= 1e-6 * unit or lost > LOST:
                return End(np.nan, "failed", base)
            continue
        if exact is None:
            tau, slope = deviance_root(ground, point)
        else:
            tau, slope = score_root(ground, c, point, (yield point.theta, EXPECTED), exact)
        if not np.isfinite(tau):
            return End(np.nan, "failed", base)
        mark = Mark(point.value, tau, slope, point)
        if outside is None and inside is not None and side * (tau - inside.tau) < -FLAT:
            room = 0.5 * abs(value - base.value)  # beyond a valley, or a pole of the link: nearer
            if room <= 1e-11 * max(abs(base.value), unit):
                return End(np.nan, "failed", base)
            continue
        if point.decrement <= 1e-8:
            marks.append(mark)
        if np.isfinite(room):
            room = 2.0 * abs(mark.value - base.value)
        latest = [*latest, mark][-2:]
        if exact is not None and len(latest) > 1 and latest[1].value != latest[0].value:
            slope = (latest[1].tau - latest[0].tau) / (latest[1].value - latest[0].value)
        if abs(tau - target) <= near and point.decrement <= 1e-9:
            return End(max(point.value + (target - tau) / slope, floor), "found", mark)
        if side * tau < abs(target):
            grown = inside is not None and abs(mark.value - first) > 1.5 * abs(inside.value - first)
            change = np.inf if inside is None else abs(tau - inside.tau)
            flat = flat + 1 if outside is None and grown and change < FLAT else 0
            inside = mark
        else:
            outside = mark
        if flat >= 2:
            return End(side * np.inf, "flat", inside)
    return End(np.nan, "failed", inside or outside)


def unit_of(ground: Ground, mark: Mark) -> float:
    """About a standard error, from the curvature."""
    return float(np.sqrt(ground.phi * mark.point.curvature))


def _is_between(value: float, a: Mark, b: Mark) -> bool:
    return min(a.value, b.value) < value < max(a.value, b.value)


def _between(a: Mark, b: Mark, target: float, latest: list[Mark]) -> float:
    """psi(tau) at the target, by the cubic through two marks with their slopes, or by the line through the last two."""
    if len(latest) == 2:
        rise = latest[1].tau - latest[0].tau
        run = latest[1].value - latest[0].value
        return latest[1].value + (target - latest[1].tau) * run / rise if rise else np.nan
    if not (a.slope > 0.0 and b.slope > 0.0 and b.tau != a.tau):
        return np.nan
    h = b.tau - a.tau
    t = (target - a.tau) / h
    return float(
        (1.0 + 2.0 * t) * (1.0 - t) ** 2 * a.value + t * (1.0 - t) ** 2 * h / a.slope
        + t * t * (3.0 - 2.0 * t) * b.value + t * t * (t - 1.0) * h / b.slope
    )  # fmt: skip


__all__ = ["End", "Mark", "deviance_root", "score_root", "seek"]
