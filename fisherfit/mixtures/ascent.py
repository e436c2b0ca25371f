"""The way up for a mixture: from EM to Newton along one path of steps, and never down.

With F the information of the complete data and J that of the observed, F^-1 s is the natural-gradient step under the
complete data, which is a step of EM, and J^-1 s Newton's. F - J is what is lost by not seeing the classes. Between
the two are the steps (J + mu (F - J))^-1 s, 0 <= mu <= 1: a trust region in the metric of the complete data. mu falls
while the log-likelihood rises as its quadratic model foretells and grows where it does not; at mu = 1 the matrix is
positive definite, and a step that is short enough goes up.

The decrement s'J^-1 s says when to stop. A stationary point whose J is not positive definite is a saddle (components
that are alike, say) and is left along its direction of negative curvature; where there is none, the maximum is flat:
the data do not identify all parameters. Coordinates that run to infinity under Newton steps of constant length (a
probability to 0 or 1, a dispersion to 0) are moved to where nothing is to be gained any more and held there, while
the others are brought to their maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from ..linalg import EPS, Factor, cholesky

FLOOR = 1e-12  # a decrement below this that no longer falls is rounding
SLACK = 64.0 * EPS
SHORTEST = 1e-8
FLAT = 1e-14  # reciprocal condition of the scaled information below which some direction has none
PATIENCE = 4  # Newton steps whose decrement falls but slowly, before coordinates are taken to run to infinity
VAST = 1e5  # standard errors beyond so many times a coordinate's size belong to one that runs to infinity
NOTHING = 1e-9  # nats that nobody misses
FAR = (36.0, 18.0, 9.0, 4.0)  # how much further they are taken: logarithms and logits, so that nothing is left


class Problem(Protocol):
    """What the ascent needs to know of a mixture."""

    @property
    def total(self) -> float:
        """Sum of the weights."""

    def evaluate(self, theta: np.ndarray) -> Any:
        """loglik, score, complete and observed information at theta."""

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """Log-likelihoods at points (S, size)."""


@dataclass(frozen=True, eq=False)
class Ascent:
    """Where the ascent ended: `evaluation` is at `theta`; `factor` is of the observed information, None if not p.d.

    `held` are the coordinates that run to infinity; factor and decrement are then of the others.
    """

    theta: np.ndarray
    evaluation: Any
    factor: Factor | None
    decrement: float
    n_iter: int
    reason: str
    history: tuple[tuple[float, float], ...] = ()
    held: tuple[int, ...] = ()

    @property
    def converged(self) -> bool:
        """True at a local maximum, to the tolerance or to rounding; it may be flat."""
        return self.reason in ("converged", "flat")


@dataclass(frozen=True, eq=False)
class Reduced:
    """An evaluation about the free coordinates."""

    loglik: float
    score: np.ndarray
    complete: np.ndarray
    observed: np.ndarray
    whole: Any


@dataclass(frozen=True, eq=False)
class Holding:
    """A problem some of whose coordinates stay where they are; its points are the others."""

    problem: Problem
    theta: np.ndarray
    free: np.ndarray

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.problem.total

    def whole(self, points: np.ndarray) -> np.ndarray:
        """Points of all coordinates, (..., size)."""
        out = np.broadcast_to(self.theta, (*points.shape[:-1], self.theta.size)).copy()
        out[..., self.free] = points
        return out

    def evaluate(self, theta: np.ndarray) -> Reduced:
        """The evaluation at a point, about the free coordinates."""
        here, at = self.problem.evaluate(self.whole(theta)), np.ix_(self.free, self.free)
        return Reduced(here.loglik, here.score[self.free], here.complete[at], here.observed[at], here)

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """Log-likelihoods at points of the free coordinates."""
        return self.problem.loglik(self.whole(theta))


def ascend(
    problem: Problem,
    theta: np.ndarray,
    *,
    max_iter: int = 500,
    tol: float = 1e-20,
    mu: float = 1.0,
    callback: Callable[[int, float, float], None] | None = None,
    watch: Callable[[np.ndarray, float], str | None] | None = None,
    first: int = 0,
) -> Ascent:
    """Climb from theta to a local maximum.

    Parameters
    ----------
    problem : Problem
        The mixture on its data.
    theta : array of shape (size,)
        A point where the log-likelihood is finite; else the reason is "infeasible".
    max_iter : int
        Steps at the most.
    tol : float
        Decrement s'J^-1 s to stop at.
    mu : float
        Where between Newton (0) and EM (1) to begin.
    callback : callable, optional
        Called with the iteration, the log-likelihood and the decrement.
    watch : callable, optional
        Given a point and its log-likelihood, a reason to stop ("known": the maximum it leads to is), or None.
    first : int
        Number of the first iteration.

    Returns
    -------
    Ascent
        With reason "converged", "flat", "max_iter", "stalled" or "infeasible", or what `watch` said.
    """
    here = problem.evaluate(theta)
    history: list[tuple[float, float]] = []
    if not usable(here):
        return Ascent(theta, here, None, math.inf, first, "infeasible")
    before, scale, slow = math.inf, 1.0, 0
    last: np.ndarray | None = None
    for n in range(first, max_iter + 1):
        newton = cholesky(here.observed)
        step = None if newton is None else newton.solve(here.score)
        decrement = math.inf if step is None else float(here.score @ step)
        history.append((here.loglik, decrement))
        if callback is not None:
            callback(n, here.loglik, decrement)

        end = partial(_ended, theta, here, newton, decrement, n, history)

        if newton is not None and (decrement <= tol or (decrement <= FLOOR and decrement >= 0.5 * before)):
            sharp = newton.reciprocal_condition > FLAT
            outside = _without_information(theta, newton) & _may_run(problem) if sharp else np.zeros(theta.size, bool)
            if outside.any() and not outside.all():
                return _holding(problem, theta, outside, n, history, max_iter=max_iter, tol=tol, callback=callback)
            gone = None
            if not sharp and last is not None and step is not None:
                gone = _towards_infinity(problem, theta, here, step, last)
            if gone is not None and not gone[1].all():
                return _holding(problem, *gone, n, history, max_iter=max_iter, tol=tol, callback=callback)
            return end("converged" if sharp else "flat")
        dead = _dead(theta, here) & _may_run(problem) if newton is None else np.zeros(0, bool)
        if dead.any() and not dead.all():
            return _holding(problem, theta, dead, n, history, max_iter=max_iter, tol=tol, callback=callback, mu=mu)
        told = None if watch is None else watch(theta, here.loglik)
        if told is not None:
            return end(told)
        slow = slow + 1 if mu == 0.0 and scale == 1.0 and 0.2 * before <= decrement <= before else 0
        if slow >= PATIENCE and last is not None and step is not None:
            found = _towards_infinity(problem, theta, here, step, last)
            if found is not None:
                return _holding(problem, *found, n, history, max_iter=max_iter, tol=tol, callback=callback)
            slow = 0
        before, last = decrement, step
        if n == max_iter:
            return end("max_iter")
        resting = newton is None and _natural(here) <= FLOOR
        following = None if newton is not None else _turned(problem, theta, here)
        if following is None and not resting:
            following = _next(problem, theta, here, mu, scale)
        if following is None:
            following = _off_the_saddle(problem, theta, here) if newton is None else None
            if following is None:
                return end(_at_rest(here, newton, decrement))
        theta, here, mu, scale = following
    raise AssertionError  # the loop returns


def _ended(
    theta: np.ndarray, here: Any, factor: Factor | None, decrement: float, n: int, history: list[Any], reason: str
) -> Ascent:
    return Ascent(theta, here, factor, decrement, n, reason, tuple(history))


def _at_rest(here: Any, newton: Factor | None, decrement: float) -> str:
    """Why no step goes up."""
    if newton is not None:
        return "converged" if decrement <= FLOOR else "stalled"
    return "flat" if _natural(here) <= FLOOR and negative_curvature(here) is None else "stalled"


def _without_information(theta: np.ndarray, newton: Factor) -> np.ndarray:
    """Coordinates so far out that their standard errors say nothing: they were on the way to infinity before."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.diag(newton.inverse())) > VAST * (1.0 + np.abs(theta)))


def _may_run(problem: Any) -> np.ndarray | bool:
    """Coordinates that may run to infinity, or be of no account: all but locations of densities."""
    if isinstance(problem, Holding):
        inner = _may_run(problem.problem)
        return inner if isinstance(inner, bool) else inner[problem.free]
    locations = getattr(getattr(problem, "components", None), "locations", None)
    if locations is None:
        return True
    out = np.ones(problem.size, bool)
    out[problem.mixing.size + locations] = False
    return out


def _dead(theta: np.ndarray, here: Any) -> np.ndarray:
    """Coordinates of which not even the complete data would say anything, and from which nothing is to be gained."""
    information, size = np.diag(here.complete), 1.0 + np.abs(theta)
    nothing = (here.score**2 <= NOTHING * information) | (np.abs(here.score) * size <= NOTHING)
    return np.asarray((information * (VAST * size) ** 2 < 1.0) & nothing)


def _natural(here: Any) -> float:
    """The decrement under the information of the complete data, which vanishes at saddles too."""
    factor = cholesky(here.complete)
    return math.inf if factor is None else float(here.score @ factor.solve(here.score))


def _towards_infinity(
    problem: Problem, theta: np.ndarray, here: Any, step: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Coordinates whose Newton steps do not get shorter, and a point where nothing is to be gained from them.

    Along a coordinate t in which the log-likelihood nears its supremum as exp(-t) does, every Newton step has length
    1. Steps towards a maximum get shorter, those towards a flat one of fourth order by a third at a time.
    """
    running = (step * last > 0.0) & (np.abs(step) >= 0.75 * np.abs(last)) & (np.abs(step) >= 1e-3)
    if not running.any():
        return None
    direction = np.where(running, step, 0.0)
    direction /= np.abs(direction).max()
    slack = SLACK * (abs(here.loglik) + problem.total)
    points = theta + np.array(FAR)[:, None] * direction
    for point, value in zip(points, problem.loglik(points), strict=True):
        if value >= here.loglik - slack:
            return point, running
    return None


def _holding(
    problem: Problem, theta: np.ndarray, running: np.ndarray, n: int, history: list[tuple[float, float]], **options: Any
) -> Ascent:
    """Climb on in the coordinates that do not run to infinity."""
    free = np.flatnonzero(~running)
    held = Holding(problem, theta, free)
    options = {"mu": 0.0, **options, "max_iter": max(options["max_iter"], n + 1)}
    found = ascend(held, theta[free], first=n + 1, **options)
    inner = free[list(found.held)] if found.held else np.empty(0, int)
    everywhere = sorted([*np.flatnonzero(running).tolist(), *inner.tolist()])
    evaluation = found.evaluation.whole if isinstance(found.evaluation, Reduced) else found.evaluation
    return Ascent(
        held.whole(found.theta), evaluation, found.factor, found.decrement, found.n_iter, found.reason,
        (*history, *found.history), tuple(everywhere),
    )  # fmt: skip


def usable(evaluation: Any) -> bool:
    """True where everything is finite."""
    return bool(
        np.isfinite(evaluation.loglik) and np.all(np.isfinite(evaluation.score))
        and np.all(np.isfinite(evaluation.observed)) and np.all(np.isfinite(evaluation.complete))
    )  # fmt: skip


def _next(
    problem: Problem, theta: np.ndarray, here: Any, mu: float, scale: float
) -> tuple[np.ndarray, Any, float, float] | None:
    """The next point with its evaluation, mu and the share of a step of EM to try; None where no step goes up."""
    slack = SLACK * (abs(here.loglik) + problem.total)
    lost, damped = here.complete - here.observed, False
    while True:
        matrix = _damped(here) if damped else here.observed + mu * lost if mu < 1.0 else here.complete
        factor = cholesky(matrix)
        if factor is not None:
            step = factor.solve(here.score) * scale
            slope = float(here.score @ step)
            expected = slope - 0.5 * float(step @ here.observed @ step)  # what the quadratic model foretells
            if slope > 0.0:
                there = problem.evaluate(theta + step)
                gain = there.loglik - here.loglik
                if usable(there) and gain >= 1e-4 * min(slope, max(expected, 0.0)) - slack:
                    good = gain >= 0.75 * expected - slack
                    fair = gain >= 0.25 * expected - slack
                    if damped:
                        return theta + step, there, mu, 1.0
                    if scale < 1.0:
                        return theta + step, there, mu, min(1.0, 4.0 * scale)
                    return theta + step, there, _lower(mu) if good else mu if fair else min(1.0, 2.0 * mu), 1.0
        if mu < 1.0:
            mu = min(1.0, max(4.0 * mu, 1e-4))
            continue
        scale = 0.25 * scale if factor is not None else 0.0
        if scale < SHORTEST:
            if damped or not _natural(here) > FLOOR:
                return None
            damped, scale = True, 1.0


def _turned(problem: Problem, theta: np.ndarray, here: Any) -> tuple[np.ndarray, Any, float, float] | None:
    """The step of EM of components that are all but spheres, if it goes up: it has their axes in closed form.

    How axes lie is an angle, which means little where their lengths differ little: the information is small there,
    and what it foretells holds nearby only, as in polar coordinates around the origin.
    """
    components = getattr(problem, "components", None)
    if not np.size(getattr(components, "turns", ())):
        return None
    there = problem.em(theta[None])[1][0]  # type: ignore[attr-defined]
    if not np.isfinite(there).all():
        return None
    found = problem.evaluate(there)
    up = usable(found) and found.loglik > here.loglik + SLACK * (abs(here.loglik) + problem.total)
    return (there, found, 1.0, 1.0) if up else None


def _damped(here: Any) -> np.ndarray:
    """The information of the complete data with so much more that no coordinate's step is far beyond 1.

    For points from which some coordinates have all but no information, and a score: a probability of 1e-20 that rows
    contradict.
    """
    size = np.abs(here.score) + 1e-10 * float(np.abs(np.diag(here.complete)).max(initial=0.0))
    return np.asarray(here.complete + np.diag(size))


def _lower(mu: float) -> float:
    return 0.1 * mu if mu > 1e-6 else 0.0


def _off_the_saddle(problem: Problem, theta: np.ndarray, here: Any) -> tuple[np.ndarray, Any, float, float] | None:
    """A higher point along the direction of most negative curvature in the metric of the complete data."""
    direction = negative_curvature(here)
    if direction is None:
        return None
    for size in (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03):
        steps = theta + size * np.stack([direction, -direction])
        values = problem.loglik(steps)
        values = np.where(np.isfinite(values), values, -np.inf)
        best = int(np.argmax(values))
        if values[best] > here.loglik + SLACK * (abs(here.loglik) + problem.total):
            there = problem.evaluate(steps[best])
            if usable(there):
                return steps[best], there, 1.0, 1.0
    return None


def negative_curvature(here: Any) -> np.ndarray | None:
    """A direction along which the log-likelihood bends upwards, of length 1 in units of the complete data's scale."""
    root = cholesky(here.complete)
    if root is None:
        return None
    scale = np.sqrt(np.maximum(np.diag(here.complete), 1e-300))
    value, vector = np.linalg.eigh(here.observed / scale[:, None] / scale)
    if value[0] >= -1e-10:
        return None
    return np.asarray(vector[:, 0] / scale)  # a standard error under the complete data; the caller lengthens it


__all__ = ["Ascent", "ascend", "negative_curvature", "usable"]
