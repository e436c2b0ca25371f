"""The natural-gradient solver: Fisher scoring with a certificate.

The step is F^-1 s, the steepest ascent direction in the space of distributions. Its length, the decrement
d2 = s'F^-1 s / phi, says when to stop and how far the answer is from the maximum. Expected information far from the
maximum (always positive definite), observed near it (quadratic convergence for non-canonical links too). Where a
pass over the rows is long ("lazy" problems), the factored information is kept for several steps that need the score
only, and refreshed when they no longer contract (chord steps; Doikov, Chayti & Jaggi, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .conjugate import CLOSE, STEADY, Conjugate, conjugate, conjugate_again, forcing
from .likelihood import EXPECTED, OBSERVED, SCORE, Evaluation
from .linalg import EPS, Factor, cholesky

FLOOR = 1e-12  # below this decrement a decrement that no longer falls is rounding
SLOW = 0.2  # part of the decrement that a step leaves where a likelihood has no maximum: about 1/e, and some less
SLACK = 64.0 * EPS
CONTRACTION = 0.3  # a chord step that shortens the distance by less asks for a fresh information matrix
GOAL = 1e-15  # decrement at which the chord steps of a lazy problem end, or `tol` where that is larger
NEAR = 0.25  # decrement per parameter below which observed information is tried


class Problem(Protocol):
    """What the solver needs to know of a model."""

    @property
    def canonical(self) -> bool:
        """True where expected and observed information agree."""

    @property
    def total(self) -> float:
        """Sum of the weights."""

    @property
    def count(self) -> float:
        """Number of observations."""

    @property
    def floor(self) -> float:
        """Dispersion below which there is only rounding."""

    @property
    def lazy(self) -> bool:
        """True where information is dear, so that it is kept for several steps."""

    def evaluate(self, theta: np.ndarray, kind: int) -> Evaluation:
        """Log-likelihood, score and information at theta."""

    def dispersion(self, evaluation: Evaluation) -> float:
        """The dispersion that the decrement is measured in."""

    def needs_rows(self, factor: Factor | None) -> bool:
        """True where a Cholesky factor has so few digits that one of the rows is to stand in for it."""

    def factor(
        self, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray
    ) -> tuple[Factor | None, np.ndarray | None]:
        """The factor of a poorly conditioned information, and the step if it comes with it."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Where the solver ended, and how it knows.

    `evaluation` is the last full one (expected information), at `point`; `theta` is a final step further.
    """

    theta: np.ndarray
    point: np.ndarray
    evaluation: Evaluation
    factor: Factor | Conjugate | None
    step: np.ndarray
    decrement: float
    dispersion: float
    n_iter: int
    reason: str
    history: tuple[float, ...] = ()

    @property
    def converged(self) -> bool:
        """True when the decrement met the tolerance or its rounding floor."""
        return self.reason == "converged"


Callback = Callable[[int, float, float], None]


def natural_gradient(
    problem: Problem,
    start: np.ndarray,
    *,
    first: Evaluation | None = None,
    metric: Factor | None = None,
    free: np.ndarray | None = None,
    max_iter: int = 100,
    tol: float = 1e-20,
    callback: Callback | None = None,
    patience: int | None = None,
) -> Solution:
    """Maximise a likelihood from `start` by natural-gradient steps.

    Parameters
    ----------
    problem : Problem
        The model on its data.
    start : array of shape (p,)
        Where to begin; the log-likelihood must be finite there, or the reason is "infeasible".
    first : Evaluation, optional
        The evaluation at `start` (expected information, or the score alone with a `metric`), if it is known.
    metric : Factor, optional
        A factored information near that at `start` to begin with, of a sample say: chord steps then begin at once.
    free : boolean array of shape (p,), optional
        The coordinates that may move (all by default).
    max_iter : int
        Steps at the most.
    tol : float
        Decrement s'F^-1 s / phi to stop at.
    callback : callable, optional
        Called with the iteration, the log-likelihood and the decrement.
    patience : int, optional
        Steps in a row that leave more than a fifth of the decrement, as they do for ever where a likelihood has no
        maximum, after which the reason is "runaway".

    Returns
    -------
    Solution
    """
    theta = np.array(start, float)
    free = np.ones(theta.size, bool) if free is None else free
    near_enough = NEAR * max(1, int(np.count_nonzero(free)))
    if first is None:
        first = problem.evaluate(theta, EXPECTED if metric is None else SCORE)
    evaluation = first
    if not np.isfinite(evaluation.loglik):
        return _end(problem, theta, evaluation, None, np.zeros_like(theta), np.inf, 0, "infeasible", [])
    history: list[float] = []
    newton: Factor | Conjugate | None = None if problem.canonical else metric  # the last of an observed information
    factor: Factor | Conjugate | None = metric  # the factor in use, perhaps of an earlier point (chord steps)
    secants: list[tuple[np.ndarray, np.ndarray]] = []
    moved_by = before = np.zeros_like(theta)
    previous, damping, iteration, fast, rate = np.inf, 0.0, 0, problem.canonical, 1.0
    while True:
        phi = problem.dispersion(evaluation)
        chord = evaluation.information is None
        if chord:
            assert factor is not None
            if iteration:
                secants.append((moved_by[free], before[free] - evaluation.score[free]))
            step = _embed(secant_step(factor, secants, evaluation.score[free]), free)
        else:
            factor, step = _direction(problem, theta, evaluation, free, factor)
            secants = []
        if factor is None and evaluation.kind == OBSERVED:
            evaluation, newton = problem.evaluate(theta, EXPECTED), None
            continue
        if factor is None:
            return _end(problem, theta, evaluation, None, np.zeros_like(theta), np.inf, iteration, "singular", history)
        if evaluation.kind == OBSERVED:
            newton = factor
        decrement = _decrement(evaluation.score, step, phi) + factor.missing / phi
        if chord:
            fast = decrement <= CONTRACTION**2 * previous
            rate = min(1.0, decrement / previous) if iteration else 1.0
            if not fast and decrement > FLOOR:  # the kept factor no longer contracts: a fresh one, here
                near = decrement < near_enough
                evaluation = problem.evaluate(theta, OBSERVED if near and not problem.canonical else EXPECTED)
                continue
        elif evaluation.kind == EXPECTED and newton is not None and decrement < NEAR:
            # the last full evaluation: its step and certificate by the observed information just before it
            step = _embed(newton.solve(evaluation.score[free]), free)
            decrement = max(decrement, _decrement(evaluation.score, step, phi) + newton.missing / phi)
        history.append(decrement)
        if callback is not None:
            callback(iteration, evaluation.loglik, decrement)
        length = factor.length(theta[free])
        rounding = min(max(FLOOR, (16.0 * EPS * length) ** 2 / phi), 1e-6)
        settled = decrement <= tol or (decrement <= rounding and decrement >= 0.25 * previous)
        if phi <= problem.floor and iteration > 0:  # an exact fit: what is left of the score is rounding
            if evaluation.kind != EXPECTED:
                evaluation = problem.evaluate(theta, EXPECTED)
                factor, step = _direction(problem, theta, evaluation, free)
            return _end(problem, theta, evaluation, factor, step, decrement, iteration, "converged", history)
        settled = settled or (problem.lazy and fast and decrement <= FLOOR and not chord)
        goal = max(tol, GOAL)
        full = evaluation.kind == EXPECTED and (fast or newton is not None or decrement <= tol)
        if settled and full:
            if problem.lazy and decrement > tol:
                step, decrement = _certify(problem, theta, step, newton or factor, free, phi, decrement)
            return _end(problem, theta, evaluation, factor, step, decrement, iteration, "converged", history)
        given_up = patience is not None and _runs_away(history, patience)
        if iteration >= max_iter or given_up:
            if evaluation.kind != EXPECTED:
                evaluation = problem.evaluate(theta, EXPECTED)
                factor, step = _direction(problem, theta, evaluation, free)
            reason = "runaway" if given_up else "max_iter"
            return _end(problem, theta, evaluation, factor, step, decrement, iteration, reason, history)
        previous = decrement
        near = decrement < near_enough
        if (rate * decrement <= goal or decrement <= rounding if chord else decrement <= FLOOR) and (
            fast or newton is not None
        ):
            kind = EXPECTED
        elif problem.lazy and decrement < 0.05 * problem.total:
            kind = SCORE
        else:
            kind = OBSERVED if near and not problem.canonical else EXPECTED
        iteration += 1
        moved = search(problem, theta, evaluation, step, phi, kind, length)
        if moved is None and evaluation.kind != EXPECTED:
            evaluation, newton = problem.evaluate(theta, EXPECTED), None
            continue
        if moved is None:
            moved, damping = _damped(problem, theta, evaluation, free, phi, damping)
        if moved is None:
            reason = "converged" if decrement <= FLOOR else "stalled"
            return _end(problem, theta, evaluation, factor, np.zeros_like(theta), decrement, iteration, reason, history)
        moved_by, before = moved[0] - theta, evaluation.score
        theta, evaluation = moved


def _runs_away(history: list[float], patience: int) -> bool:
    """True where the last steps left more than a fifth of the decrement each."""
    last = np.array(history[-patience - 1 :])
    return last.size > patience and bool(np.all(last[1:] > SLOW * last[:-1]))


def secant_step(
    factor: Factor | Conjugate, secants: list[tuple[np.ndarray, np.ndarray]], score: np.ndarray
) -> np.ndarray:
    """The step by a kept factor, corrected for what earlier chord steps did to the score.

    The two-loop recursion of BFGS with the factored information as its initial metric (Nocedal & Wright, 2006,
    algorithm 7.4): chord steps then converge superlinearly at the price of the score alone.
    """
    q, used = score.copy(), []
    for d, change in reversed(secants):
        curvature = float(d @ change)
        if curvature > 0.0:
            a = float(d @ q) / curvature
            q -= a * change
            used.append((d, change, curvature, a))
    step = factor.solve(q)
    for d, change, curvature, a in reversed(used):
        step += (a - float(change @ step) / curvature) * d
    return step


def _certify(
    problem: Problem,
    theta: np.ndarray,
    step: np.ndarray,
    factor: Factor | Conjugate,
    free: np.ndarray,
    phi: float,
    decrement: float,
) -> tuple[np.ndarray, float]:
    """One pass for the score after the final step: the decrement left there, and its step added."""
    there = problem.evaluate(theta + step, SCORE)
    more = _embed(factor.solve(there.score[free]), free)
    left = _decrement(there.score, more, phi)
    return (step + more, left) if left <= decrement else (step, decrement)


def _direction(
    problem: Problem,
    theta: np.ndarray,
    evaluation: Evaluation,
    free: np.ndarray,
    before: Factor | Conjugate | None = None,
) -> tuple[Factor | Conjugate | None, np.ndarray]:
    """The factored information on the free coordinates, and the natural gradient."""
    assert evaluation.information is not None
    if not isinstance(evaluation.information, np.ndarray):
        return _direction_by_products(problem, evaluation, free, before)
    factor = evaluation.factor if free.all() else cholesky(evaluation.information[np.ix_(free, free)])
    step: np.ndarray | None = None
    if evaluation.kind == EXPECTED and problem.needs_rows(factor):
        better, step = problem.factor(theta, evaluation, free)
        factor = better if better is not None else factor
    if factor is None:
        return None, np.zeros_like(theta)
    if step is None:
        step = factor.solve(evaluation.score[free])
    return factor, _embed(step, free)


def _direction_by_products(
    problem: Problem, evaluation: Evaluation, free: np.ndarray, before: Factor | Conjugate | None
) -> tuple[Conjugate | None, np.ndarray]:
    """The natural gradient by conjugate gradients, as exactly as it is worth at its length."""
    phi = problem.dispersion(evaluation)
    relative = forcing(phi, problem.total)
    factor: Conjugate | None
    if isinstance(before, Conjugate) and before.gained <= STEADY * phi * problem.total:
        factor = conjugate_again(before, evaluation.information, relative)
    else:
        factor = conjugate(evaluation.information, free, relative)
        if factor is not None and isinstance(before, Conjugate):
            factor.smallest, factor.largest = before.smallest, before.largest  # as earlier solutions have seen them
    if factor is not None:
        factor.negligible = phi * CLOSE**2
    step = np.full(int(free.sum()), np.nan) if factor is None else factor.solve(evaluation.score[free])
    if factor is None or not np.all(np.isfinite(step)):
        return None, np.zeros(free.size)
    return factor, _embed(step, free)


def _embed(step: np.ndarray, free: np.ndarray) -> np.ndarray:
    if free.all():
        return step
    out = np.zeros(free.size)
    out[free] = step
    return out


def _decrement(score: np.ndarray, step: np.ndarray, phi: float) -> float:
    """s'd / phi, each factor scaled so that units of 1e-200 neither underflow nor overflow."""
    value = float(score @ step) / phi
    return abs(value) if math.isfinite(value) else math.inf


def search(
    problem: Problem, theta: np.ndarray, evaluation: Evaluation, step: np.ndarray, phi: float, kind: int, length: float
) -> tuple[np.ndarray, Evaluation] | None:
    """Armijo's rule with rounding slack: the full step, else shorter ones; None where none is acceptable.

    `length` is the Fisher length of theta: eps times it is what rounding of the linear predictors does to a
    log-likelihood, in units of sqrt(phi).
    """
    gain = float(evaluation.score @ step)
    slack = SLACK * (abs(evaluation.loglik) + phi * problem.count)
    if gain < 1e-6 * phi:  # so near the maximum, what a step gains may be less than what rounding takes
        slack += 8.0 * EPS * np.sqrt(phi) * length
    t = 1.0
    for trial in range(40):
        there = theta + t * step
        now = problem.evaluate(there, kind if trial == 0 else SCORE)
        if math.isfinite(now.loglik) and np.isfinite(now.score).all():
            change = now.loglik - evaluation.loglik
            if change >= 1e-4 * t * gain - slack:
                if trial and kind != SCORE:
                    now = problem.evaluate(there, kind)
                return there, now
            curvature = 2.0 * (t * gain - change)
            t = float(np.clip(t * t * gain / curvature if curvature > 0 else 0.5 * t, 0.1 * t, 0.5 * t))
        else:
            t *= 0.3
        if t * gain < 1e-3 * slack or np.all(theta + t * step == theta):  # there is nothing left to gain
            return None
    return None


def _damped(
    problem: Problem, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray, phi: float, damping: float
) -> tuple[tuple[np.ndarray, Evaluation] | None, float]:
    """Levenberg's damping in the Fisher metric, F + lambda diag F, with growing lambda."""
    assert evaluation.information is not None
    damping = max(damping, 1e-3)
    while damping <= 1e9:
        factor = _damped_factor(evaluation.information, free, damping)
        if factor is not None:
            step = _embed(factor.solve(evaluation.score[free]), free)
            moved = search(problem, theta, evaluation, step, phi, EXPECTED, factor.length(theta[free]))
            if moved is not None:
                return moved, damping / 10.0
        damping *= 10.0
    return None, damping


def _damped_factor(information: Any, free: np.ndarray, damping: float) -> Factor | Conjugate | None:
    if not isinstance(information, np.ndarray):
        return conjugate(information, free, damping=damping)
    part = information[np.ix_(free, free)]
    return cholesky(part + damping * np.diag(np.diag(part)))


def _end(
    problem: Problem,
    theta: np.ndarray,
    evaluation: Evaluation,
    factor: Factor | Conjugate | None,
    step: np.ndarray,
    decrement: float,
    n_iter: int,
    reason: str,
    history: list[float],
) -> Solution:
    """Take the final step if it keeps the answer finite, and report."""
    there = theta + step if reason == "converged" and np.all(np.isfinite(step)) else theta
    return Solution(
        there,
        theta,
        evaluation,
        factor,
        step,
        decrement,
        problem.dispersion(evaluation),
        n_iter,
        reason,
        tuple(history),
    )


__all__ = ["Problem", "Solution", "natural_gradient", "search"]
