"""Quasi Fisher scoring: steps to the zero of an adjusted score.

Where the adjusted score has an objective, steps are held to it; elsewhere to the length of the adjusted score in the
Fisher metric. The fixed point is approached linearly, the faster the more rows there are for every coefficient, and so
the last steps are combined as Anderson (1965) does it. The decrement of the adjusted score certifies the answer as that
of the score does for maximum likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy  # its parts are loaded when they are named

from .adjusted_score import Adjusted, Problem
from .linalg import EPS
from .solver import FLOOR, SLACK

MEMORY = 5  # steps that are combined
HALVINGS = 12
TEDIOUS = 15  # steps after which, and where steps do not shorten the adjusted score, Newton's method is tried
NEWTON_WIDTH = 200  # coordinates up to which it is: its matrix is made by differences
DIFFERENCE = 1e-5  # standard errors
STEEP = 1e-3  # contraction of a step so strong that what it leaves does not count
HYBRID_WIDTH = 30  # coordinates up to which a zero that steps did not reach is looked for by the hybrid method
FAR = 1e3  # standard errors: what the residual of a point is at most
NEARBY = 1e-4  # decrement from which steps lead to a zero that was found
LEAST = 1e-3  # slope of the adjusted score, in the metric of F (-1 without an adjustment), that is a fall
PATIENCE = 3  # steps below FLOOR without a new least decrement: what is left is rounding


Ended = tuple[Adjusted, int, str, tuple[float, ...]]  # the point, the number of steps, why they ended, decrements


def vanish(
    problem: Problem, start: np.ndarray, max_iter: int, tol: float,
    callback: Callable[[int, float, float], None] | None,
) -> Ended | None:  # fmt: skip
    """Steps to the zero of the adjusted score: the point, their number, why they ended; None without a start."""
    here = problem.at(start)
    if here is None:
        return None
    best, waited, iteration = here, 0, 0
    history: list[float] = []
    moves: list[tuple[np.ndarray, np.ndarray]] = []  # differences of points and of steps
    while True:
        history.append(here.decrement)
        if callback is not None:
            callback(iteration, here.evaluation.loglik, here.decrement)
        waited = 0 if here.decrement < best.decrement or iteration == 0 else waited + 1
        best = here if here.decrement < best.decrement else best
        exact = here.phi <= problem.model.floor and iteration > 0
        if here.decrement <= tol or exact:
            slow = len(history) > 1 and here.decrement > STEEP**2 * history[-2]
            further = _move(problem, here, moves) if slow and not exact else None  # a step leaves a part of its length
            if further is not None and further.decrement < here.decrement:
                here = further
            return here, iteration, "converged", tuple(history)
        if best.decrement <= FLOOR and waited >= PATIENCE:
            return best, iteration, "converged", tuple(history)
        if iteration >= max_iter:
            return best, iteration, "max_iter", tuple(history)
        moved = _move(problem, here, moves, iteration >= TEDIOUS)
        if moved is None:
            reason = "converged" if best.decrement <= FLOOR else "stalled"
            return best, iteration, reason, tuple(history)
        moves.append((moved.theta - here.theta, moved.step - here.step))
        del moves[:-MEMORY]
        here = moved
        iteration += 1


def _move(
    problem: Problem, here: Adjusted, moves: list[tuple[np.ndarray, np.ndarray]], tedious: bool = False
) -> Adjusted | None:
    """The next point: by Anderson's combination of steps where that shortens the score, else along the step.

    Where neither does, or after many steps, by Newton's.
    """
    if tedious and here.decrement < problem.free.sum():
        there = _newton(problem, here)
        if there is not None:
            moves.clear()
            return there
    near = here.decrement < problem.free.sum()
    if moves and near:
        direction = _combined(here, moves, problem.free)
        there = problem.at(here.theta + direction) if np.isfinite(direction).all() else None
        if there is not None and there.decrement < 0.5 * here.decrement and _gains(problem, here, there, 0.0):
            return there
        moves.clear()
    t = 1.0
    for _ in range(HALVINGS):
        there = problem.at(here.theta + t * here.step)
        if there is not None and _better(problem, here, there, t):
            return there
        t *= 0.5
        if np.all(here.theta + t * here.step == here.theta):
            break
    moves.clear()
    return None if tedious else _newton(problem, here)


def _newton(problem: Problem, here: Adjusted) -> Adjusted | None:
    """A step of Newton's method on the adjusted score, shortened until that is; None where there is none.

    Its direction shortens the adjusted score in the metric of this point, whatever the model.
    """
    found = _slopes(problem, here)
    if found is None:
        return None
    columns, scale, residual, matrix, _ = found
    inside, *_ = np.linalg.lstsq(matrix, -residual, rcond=1e-12)
    step = np.zeros_like(here.theta)
    step[columns] = inside / scale
    ascent = float(here.score @ step) / here.phi
    if problem.has_objective and not ascent > 0.0:  # towards a saddle
        return None
    t = 1.0
    for _ in range(2 * HALVINGS):
        there = problem.at(here.theta + t * step) if np.isfinite(step).all() else None
        if there is not None:
            shorter = here.length_of(there.score, problem.free) <= (1.0 - 1e-4 * t) * here.decrement
            if _gains(problem, here, there, 1e-4 * t * ascent) and (shorter or problem.has_objective):
                return there
        t *= 0.5
    return None


def _slopes(
    problem: Problem, here: Adjusted
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """The free coordinates and sqrt(diag F); L^-1 s and its slopes, by differences, in coordinates over that; and L.

    L is the root of F scaled by its diagonal. None for too many coordinates, and where something is not finite.
    """
    columns = np.flatnonzero(problem.free)
    if columns.size > NEWTON_WIDTH:
        return None
    inner = here.evaluation.information[np.ix_(columns, columns)]
    scale = np.sqrt(inner.diagonal())
    try:
        root = np.linalg.cholesky(inner / scale[:, None] / scale)
    except np.linalg.LinAlgError:
        return None
    slopes = np.empty((columns.size, columns.size))
    for k, j in enumerate(columns):
        ends = []
        for side in (1.0, -1.0):
            theta = here.theta.copy()
            theta[j] += side * DIFFERENCE * math.sqrt(here.phi) / scale[k]
            there = problem.at(theta)
            if there is None:
                return None
            ends.append(there.score[columns])
        slopes[:, k] = (ends[0] - ends[1]) / (2.0 * DIFFERENCE * math.sqrt(here.phi))
    residual = np.linalg.solve(root, here.score[columns] / scale)
    matrix = np.linalg.solve(root, slopes / scale[:, None])
    if not (np.isfinite(residual).all() and np.isfinite(matrix).all()):
        return None
    return columns, scale, residual, matrix, root


def elsewhere(problem: Problem, starts: list[np.ndarray], max_iter: int, tol: float) -> Ended | None:
    """A zero that steps did not reach, by Powell's hybrid method on the score in standard errors; None without one.

    An adjusted score that is no gradient has points where its length is least but not zero, and steps that shorten it
    end there. Only zeros that the score falls through in all directions count, as at a maximum: at infinity, too, the
    score vanishes.
    """
    columns = np.flatnonzero(problem.free)
    if columns.size > HYBRID_WIDTH:
        return None

    def residual(inner: np.ndarray, start: np.ndarray, scale: np.ndarray) -> np.ndarray:
        theta = start.copy()
        theta[columns] += inner / scale
        there = problem.at(theta) if np.isfinite(theta).all() else None
        if there is None:
            return np.full(columns.size, FAR)
        own = np.sqrt(np.maximum(there.evaluation.information.diagonal()[columns], 0.0) / there.phi)
        return np.clip(there.step[columns] * own, -FAR, FAR)

    for start in starts:
        here = problem.at(start)
        if here is None:
            continue
        scale = np.sqrt(here.evaluation.information.diagonal()[columns] / here.phi)
        with np.errstate(all="ignore"):
            options = {"maxfev": 40 * (columns.size + 1)}
            found = scipy.optimize.root(
                residual, np.zeros(columns.size), (start, scale), method="hybr", options=options
            )
        theta = start.copy()
        theta[columns] += found.x / scale
        near = problem.at(theta) if np.isfinite(theta).all() else None
        if near is None or not near.decrement < NEARBY:
            continue
        there = vanish(problem, theta, min(max_iter, TEDIOUS), tol, None)
        if there is not None and there[2] == "converged" and _falls(problem, there[0]):
            return there
    return None


def _falls(problem: Problem, here: Adjusted) -> bool:
    """True where the adjusted score points back to a zero from all sides, in the Fisher metric."""
    found = _slopes(problem, here)
    if found is None:
        return False
    *_, matrix, root = found
    turned = np.linalg.solve(root, matrix.T).T
    return bool(np.linalg.eigvalsh(0.5 * (turned + turned.T)).max() < -LEAST)


def _combined(here: Adjusted, moves: list[tuple[np.ndarray, np.ndarray]], free: np.ndarray) -> np.ndarray:
    """step - (dTheta + dStep) gamma, gamma such that |step - dStep gamma| is least in the Fisher metric."""
    points = np.stack([a for a, _ in moves], axis=1)
    steps = np.stack([b for _, b in moves], axis=1)
    scale = np.where(free, np.sqrt(np.maximum(here.evaluation.information.diagonal(), 0.0)), 0.0)
    gamma, *_ = np.linalg.lstsq(scale[:, None] * steps, scale * here.step, rcond=1e-10)
    return np.asarray(here.step - (points + steps) @ gamma)


def _gains(problem: Problem, here: Adjusted, there: Adjusted, least: float) -> bool:
    """True where the objective, if there is one, rises by `least` but for rounding."""
    if not problem.has_objective:
        return True
    before = here.objective(here.phi)
    slack = SLACK * (abs(before) + problem.model.count)
    if here.decrement < 1e-6:
        slack += 8.0 * EPS * here.factor.length(here.theta[problem.free]) / math.sqrt(here.phi)
    return there.objective(here.phi) - before >= least - slack


def _better(problem: Problem, here: Adjusted, there: Adjusted, t: float) -> bool:
    """Armijo's rule on the objective, or a shorter adjusted score in the metric of either point."""
    shorter = there.decrement <= (1.0 - 1e-4 * t) * here.decrement
    if problem.has_objective and here.decrement > FLOOR:
        return _gains(problem, here, there, 1e-4 * t * here.decrement)
    if shorter or here.decrement <= FLOOR:
        return shorter or t == 1.0
    return here.length_of(there.score, problem.free) <= (1.0 - 1e-4 * t) * here.decrement


__all__ = ["elsewhere", "vanish"]
