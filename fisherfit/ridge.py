"""The ridge of a likelihood along one linear function c'theta: the maximum over all other directions, point by point.

At a point with score s and information H, v = H^-1 c, the step that leaves c'theta as it is is

    d = H^-1 s - v lambda,    lambda = c'H^-1 s / c'v,

lambda the Lagrange multiplier, which is the slope of the profile log-likelihood, and the ridge runs on along v / c'v
(Venzon & Moolgavkar, 1988, whose step is d and a move along v in one). The profile log-likelihood is l + s'd / 2 to
third order, so that points need not be on the ridge to tell how high it is.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .families import Family
from .kernels import EXPECTED, OBSERVED, SCORE
from .likelihood import Evaluation, Likelihood
from .linalg import EPS, Factor, cholesky

MOST = 60  # steps to the ridge
CONTRACTION = 0.05  # a kept information whose steps leave more of the decrement than this is renewed
NEAREST = 1e-12  # decrement at which a point is on the ridge: it is half of the error of the log-likelihood


@dataclass(frozen=True, eq=False)
class Ground:
    """The likelihood that is profiled: its rows, the coordinates that are identified, its maximum `top`.

    `least` is the lower bound of every coordinate. `lazy` grounds keep an information matrix (`metric`) for many
    points. `phi` is the dispersion.
    """

    likelihood: Likelihood
    family: Family
    free: np.ndarray
    top: float
    phi: float
    least: np.ndarray
    canonical: bool
    lazy: bool
    theta: np.ndarray

    @cached_property
    def metric(self) -> np.ndarray:
        """The observed information at `theta`; the expected one where that is not positive definite."""
        kind = EXPECTED if self.canonical else OBSERVED
        found = self.likelihood.evaluate(self.theta, kind).information
        if kind == OBSERVED and cholesky(found[np.ix_(self.free, self.free)]) is None:
            found = self.likelihood.evaluate(self.theta, EXPECTED).information
        return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Point:
    """A point near the ridge: where it is, how far off, and where the ridge runs.

    `value` is c'theta, `loglik` that of the ridge, `multiplier` its slope, `off` the step to the ridge, `along`
    d theta / d value on it, `curvature` c'H^-1 c.
    """

    theta: np.ndarray
    value: float
    loglik: float
    multiplier: float
    decrement: float
    off: np.ndarray
    along: np.ndarray
    curvature: float
    metric: np.ndarray
    on_ridge: bool = True
    moving: np.ndarray | None = None

    def towards(self, value: float) -> np.ndarray:
        """Where the ridge is expected to be at another value."""
        return np.asarray(self.theta + self.off + self.along * (value - self.value))


def solve(ground: Ground, metric: np.ndarray, moving: np.ndarray, *vectors: np.ndarray) -> list[np.ndarray] | None:
    """metric^-1 times each vector, on the coordinates that move; None where the metric is not positive definite."""
    factor: Factor | None = cholesky(metric if moving.all() else metric[np.ix_(moving, moving)])
    if factor is None:
        return None
    out = []
    for vector in vectors:
        full = np.zeros(moving.size)
        full[moving] = factor.solve(vector[moving])
        out.append(full)
    return out if all(np.isfinite(v).all() for v in out) else None


def climb(
    ground: Ground, c: np.ndarray, theta: np.ndarray, metric: np.ndarray | None, enough: Any
) -> Generator[tuple[np.ndarray, int], Evaluation, Point | None]:
    """From theta to the ridge, c'theta fixed; None where the log-likelihood is not finite at theta.

    Parameters
    ----------
    metric : array, optional
        An information matrix to step with as long as it serves; by default a fresh one at every point.
    enough : callable
        (log-likelihood of the ridge, slope) -> decrement at which to stop.
    """
    value = float(c @ theta)
    theta = np.maximum(theta, ground.least)
    kind = SCORE if metric is not None else OBSERVED if not ground.canonical else EXPECTED
    now = yield theta, kind
    if not (np.isfinite(now.loglik) and np.isfinite(now.score).all()):
        return None
    before = np.inf
    point: Point | None = None
    for _ in range(MOST):
        used = metric if now.information is None else now.information
        point = point_at(ground, c, value, theta, now, used)
        fresh = now.information is not None
        if point is None and now.kind != EXPECTED:  # an observed information may be indefinite
            now = yield theta, EXPECTED
            continue
        if point is None:
            return None
        left = point.decrement
        length = float(np.sqrt(np.abs(np.diag(point.metric)) @ theta**2))
        rounding = min(max(NEAREST, (16.0 * EPS * length) ** 2 / ground.phi), 1e-6)
        wanted = max(enough(point.loglik, point.multiplier), 0.0)
        if left <= wanted or (left <= rounding and left >= 0.25 * before):
            return point
        if not fresh and left > CONTRACTION * before:
            now, metric = (yield theta, EXPECTED if ground.canonical else OBSERVED), None
            continue
        if fresh and ground.lazy:
            metric = point.metric
        before = left
        gain, t = float(now.score @ point.off), 1.0
        slack = 64.0 * EPS * (abs(now.loglik) + ground.phi * ground.likelihood.n)
        moved = None
        for trial in range(40):
            there = np.maximum(theta + t * point.off, ground.least)
            ask = (SCORE if metric is not None else kind) if trial == 0 else SCORE
            found = yield there, ask
            if np.isfinite(found.loglik) and np.isfinite(found.score).all():
                change = found.loglik - now.loglik
                if change >= 1e-4 * float(now.score @ (there - theta)) - slack:
                    moved = there, found
                    break
                bend = 2.0 * (t * gain - change)
                t = float(np.clip(t * t * gain / bend if bend > 0 else 0.5 * t, 0.1 * t, 0.5 * t))
            else:
                t *= 0.3
            if t * gain < 1e-3 * slack:
                break
        if moved is None:
            if now.information is None or now.kind == OBSERVED:
                now, metric, before = (yield theta, EXPECTED), None, np.inf
                continue
            return replace(point, on_ridge=left <= 1e-8)
        theta, now = moved
        if now.information is None and metric is None:
            now = yield theta, kind
    return None if point is None else replace(point, on_ridge=False)


def point_at(
    ground: Ground, c: np.ndarray, value: float, theta: np.ndarray, now: Evaluation, metric: np.ndarray | None
) -> Point | None:
    assert metric is not None
    moving = ground.free
    for _ in range(3):  # coordinates at their bound stand still if the likelihood falls inwards
        solved = solve(ground, metric, moving, now.score, c)
        if solved is None:
            return None
        natural, v = solved
        curvature = float(c @ v)
        if not curvature > 0.0:
            return None
        multiplier = float(c @ natural) / curvature
        held = ground.free & (theta <= ground.least) & (c == 0.0) & (now.score <= 0.0)
        if not (held & moving).any():
            break
        moving = moving & ~held
    off = natural - multiplier * v
    decrement = float(now.score @ off) / ground.phi
    if not np.isfinite(decrement):
        return None
    return Point(theta, value, now.loglik + 0.5 * max(decrement, 0.0) * ground.phi, multiplier, abs(decrement), off,
                 v / curvature, curvature, metric, moving=moving)  # fmt: skip


__all__ = ["NEAREST", "Ground", "Point", "climb", "point_at", "solve"]
