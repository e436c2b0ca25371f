"""The way up for a mixture: from EM to Newton along one path of steps, and never down.

With F the information of the complete data and J that of the observed, F^-1 s is the natural-gradient step under the
complete data, which is a step of EM, and J^-1 s Newton's. F - J is what is lost by not seeing the classes. Between
the two are the steps (J + mu (F - J))^-1 s, 0 <= mu <= 1: a trust region in the metric of the complete data. mu falls
while the log-likelihood rises as its quadratic model foretells and grows where it does not; at mu = 1 the matrix is
positive definite, and a step that is short enough goes up.

The decrement s'J^-1 s says when to stop. A stationary point whose J is not positive definite is a saddle (components
that are alike, say) and is left along its direction of negative curvature.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..linalg import EPS, Factor, cholesky

FLOOR = 1e-12  # a decrement below this that no longer falls is rounding
SLACK = 64.0 * EPS
SHORTEST = 1e-8


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
    """Where the ascent ended: `evaluation` is at `theta`; `factor` is of the observed information, None if not p.d."""

    theta: np.ndarray
    evaluation: Any
    factor: Factor | None
    decrement: float
    n_iter: int
    reason: str
    history: tuple[tuple[float, float], ...] = ()

    @property
    def converged(self) -> bool:
        """True at a local maximum, to the tolerance or to rounding."""
        return self.reason == "converged"


def ascend(
    problem: Problem,
    theta: np.ndarray,
    *,
    max_iter: int = 500,
    tol: float = 1e-20,
    mu: float = 1.0,
    callback: Callable[[int, float, float], None] | None = None,
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

    Returns
    -------
    Ascent
        With reason "converged", "max_iter", "stalled" or "infeasible".
    """
    here = problem.evaluate(theta)
    history: list[tuple[float, float]] = []
    if not usable(here):
        return Ascent(theta, here, None, math.inf, 0, "infeasible")
    before, scale = math.inf, 1.0
    for n in range(max_iter + 1):
        newton = cholesky(here.observed)
        decrement = math.inf if newton is None else float(here.score @ newton.solve(here.score))
        history.append((here.loglik, decrement))
        if callback is not None:
            callback(n, here.loglik, decrement)
        if newton is not None and (decrement <= tol or (decrement <= FLOOR and decrement >= 0.5 * before)):
            return Ascent(theta, here, newton, decrement, n, "converged", tuple(history))
        before = decrement
        if n == max_iter:
            return Ascent(theta, here, newton, decrement, n, "max_iter", tuple(history))
        found = _next(problem, theta, here, mu, scale)
        if found is None:
            found = _off_the_saddle(problem, theta, here) if newton is None else None
            if found is None:
                reason = "converged" if newton is not None and decrement <= FLOOR else "stalled"
                return Ascent(theta, here, newton, decrement, n, reason, tuple(history))
        theta, here, mu, scale = found
    raise AssertionError  # the loop returns


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
    lost = here.complete - here.observed
    while True:
        factor = cholesky(here.observed + mu * lost) if mu < 1.0 else cholesky(here.complete)
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
                    if scale < 1.0:
                        return theta + step, there, mu, min(1.0, 4.0 * scale)
                    return theta + step, there, _lower(mu) if good else mu if fair else min(1.0, 2.0 * mu), 1.0
        if mu < 1.0:
            mu = min(1.0, max(4.0 * mu, 1e-4))
        else:
            if factor is None:
                return None
            scale *= 0.25
            if scale < SHORTEST:
                return None


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
