"""The end of an interval where the quick search is lost: the first crossing of the cutoff, by small steps on the ridge.

A root statistic need not be monotone. Rao's may rise to a top and fall again, as where a dispersion parameter of the
counts grows with the distance; the ridge may bend sharply (cauchit), or reach far. From the maximum outwards every
step is as long as the ridge can be followed, tops are looked at closely, and an end is infinite only if the statistic
stays below its cutoff up to FAR standard errors, or as far as numbers reach, at least REACH: with the mean of counts at
exp(280) the information overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import bounds
from .kernels import EXPECTED
from .likelihood import Evaluation
from .model import Model
from .restricted import Restricted, directions_left
from .ridge import Ground, Point, solve
from .seeking import End, Mark, unit_of
from .solver import natural_gradient

STEPS = 400  # points at the most
FAR = 1e7  # distance from the maximum, in standard errors, at which a curve is taken to stay below
REACH = 30.0  # the same, where the maximum over the rest has no finite log-likelihood or information farther out
EXACT = 1e-11  # distance from the target, relative, at which the end is found


def creep(ground: Ground, c: np.ndarray, target: float, start: Mark, floor: float, exact: Any = None) -> End:
    """The value of c'theta nearest to `start` where the root statistic is `target`; see `seeking.seek`."""
    side, unit = float(np.sign(target)), unit_of(ground, start)
    before: Mark | None = None
    here, step = start, 0.1 * abs(target) * unit
    for _ in range(STEPS):
        value = max(here.value + side * step, floor)
        if value == here.value:
            return End(floor, "bound", here)
        now = mark_at(ground, c, here.point, value, exact)
        if now is None or not _is_along(here, now, ground.phi):
            step *= 0.25
            if step <= 1e-10 * max(unit, abs(here.value) * 1e-3):
                if _at_bound(ground, here.point.theta):
                    return End(here.value, "corner", here)
                if now is not None and side * now.tau >= abs(target):
                    return End(here.value, "jump", here)
                if now is not None:  # on along another ridge
                    before, here, step = None, now, 0.1 * abs(target) * unit
                    continue
                reach = abs(here.value - start.value) / unit
                return End(side * np.inf, "spent", here, reach) if reach >= REACH else End(np.nan, "failed", here)
            continue
        if side * now.tau >= abs(target):
            return _between(ground, c, target, here, now, exact)
        if before is not None and side * here.tau > max(side * before.tau, side * now.tau, 0.5 * abs(target)):
            top = _top(ground, c, target, before, here, now, exact)
            if side * top.tau >= abs(target):
                return _between(ground, c, target, before, top, exact)
        if abs(now.value - start.value) >= FAR * unit:
            return End(side * np.inf, "flat", now)
        before, here = here, now
        step *= 1.5
    return End(np.nan, "failed", here)


def _is_along(a: Mark, b: Mark, phi: float) -> bool:
    """True where the log-likelihood falls from a to b about as the slopes say: both are on the same ridge."""
    fall = b.point.loglik - a.point.loglik
    said = 0.5 * (a.point.multiplier + b.point.multiplier) * (b.value - a.value)
    return bool(abs(fall - said) <= 0.5 * max(abs(fall), abs(said)) + 0.05 * phi)


def _at_bound(ground: Ground, theta: np.ndarray) -> bool:
    """True where the linear predictor of a row is at the end of its range."""
    lik = ground.likelihood
    limits = bounds.eta_range(lik.kernels.links[0].name, next(iter(ground.family.parameters.values())))
    if not np.isfinite(limits).any():
        return False
    return bool((bounds.touched(lik.linear_predictor(theta), limits) & (lik.weight > 0.0)).any())


def mark_at(ground: Ground, c: np.ndarray, base: Point, value: float, exact: Any) -> Mark | None:
    """The mark at a value, from a point nearby; None where the maximum over the rest is not reached.

    Newton's method within the plane c'theta = value: there the observed information is positive definite also where
    the profile is convex, as in heavy tails, and that of all coordinates is not.
    """
    shift = base.theta + c * ((value - float(c @ base.theta)) / float(c @ c))
    bounded = ground.free & np.isfinite(ground.least) & (c == 0.0)
    best: tuple[np.ndarray, Evaluation, np.ndarray] | None = None
    masks = [ground.free, ground.free & ~bounded] if bounded.any() else [ground.free]
    for moving in masks:
        origin = np.where(moving | ~bounded, shift, ground.least)
        model = Model(ground.likelihood, ground.canonical, False, 0.0, float(ground.likelihood.n))
        problem = Restricted(model, origin, directions_left(np.where(moving, c, 0.0)[None], moving))
        if not problem.basis.shape[1]:
            theta, converged = origin, True
        else:
            found = natural_gradient(problem, np.zeros(problem.basis.shape[1]), max_iter=200)
            theta, converged = problem.at(found.theta), found.converged
        there = ground.likelihood.evaluate(theta, EXPECTED)
        inwards = bounded & ~moving & (there.score > 1e-8 * np.sqrt(np.abs(np.diag(there.information))))
        if inwards.any():  # a coordinate at its bound must not be one that would leave it
            continue
        if converged and np.isfinite(there.loglik) and (best is None or there.loglik > best[1].loglik):
            best = theta, there, moving
    if best is None:
        return None
    theta, there, moving = best
    inside = np.where(moving, c, 0.0)
    multiplier = float(inside @ there.score) / float(inside @ inside)
    if exact is None:
        drop = max(2.0 * (ground.top - there.loglik) / ground.phi, 0.0)
        tau = float(np.copysign(np.sqrt(drop), value - float(c @ ground.theta)))
    else:
        solved = solve(ground, exact(theta, there.information), moving, c)
        if solved is None:
            return None
        tau = -multiplier * float(np.sqrt(c @ solved[0] / ground.phi))
    none = np.zeros(theta.size)
    point = Point(theta, value, there.loglik, multiplier, 0.0, none, none, base.curvature, base.metric, moving=moving)
    return Mark(value, tau, 0.0, point) if np.isfinite(tau) else None


def _between(ground: Ground, c: np.ndarray, target: float, a: Mark, b: Mark, exact: Any) -> End:
    """The crossing between a mark inside and one outside: false position with halved weights, and bisection."""
    side, goal = float(np.sign(target)), abs(target)
    low, high, shrink_low, shrink_high = side * a.tau - goal, side * b.tau - goal, 1.0, 1.0
    for trial in range(120):
        f, g = low * shrink_low, high * shrink_high
        share = f / (f - g) if f != g else 0.5
        share = 0.5 if trial % 4 == 3 or not 0.0 < share < 1.0 else share
        value = a.value + share * (b.value - a.value)
        if value in (a.value, b.value):
            return End(value, "found", b)
        now = mark_at(ground, c, (a if share < 0.5 else b).point, value, exact)
        if now is None:
            now = mark_at(ground, c, (b if share < 0.5 else a).point, value, exact)
        if now is None:
            return End(np.nan, "failed", a)
        gap = side * now.tau - goal
        if abs(gap) <= EXACT * max(1.0, goal) or abs(b.value - a.value) <= 1e-14 * max(abs(a.value), abs(b.value)):
            return End(now.value, "found", now)
        if gap < 0.0:
            a, low, shrink_low, shrink_high = now, gap, 1.0, 0.5 * shrink_high
        else:
            b, high, shrink_high, shrink_low = now, gap, 1.0, 0.5 * shrink_low
    return End(np.nan, "failed", a)


def _top(ground: Ground, c: np.ndarray, target: float, a: Mark, middle: Mark, b: Mark, exact: Any) -> Mark:
    """The highest mark between two, around a middle one that is higher than both: golden sections."""
    side = float(np.sign(target))
    for _ in range(24):
        if side * middle.tau >= abs(target):
            break
        longer = a if abs(a.value - middle.value) > abs(b.value - middle.value) else b
        now = mark_at(ground, c, middle.point, middle.value + 0.382 * (longer.value - middle.value), exact)
        if now is None:
            break
        if side * now.tau > side * middle.tau:
            a, middle, b = (middle, now, b) if longer is b else (a, now, middle)
        elif longer is a:
            a = now
        else:
            b = now
    return middle


__all__ = ["creep"]
