"""The maximum of a mixture's likelihood under equations between its parameters: Newton's method on the Lagrangian.

At theta, with s and J score and observed information, A the Jacobian of the restrictions h(theta) = c and lambda their
multipliers, a step d solves B d = s - A' lambda, A d = c - h, where B = J + sum lambda_j h_j'' (Nocedal & Wright, 2006,
chapter 18). Where B is not positive definite in the directions that the restrictions leave, it moves towards the
information of the complete data, as in `ascent`. The multiplier is the slope of the maximum in c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from ..linalg import EPS, cholesky
from .ascent import usable
from .mixture import Mixture, MixtureEvaluation

FLOOR = 1e-12
MET = 1e-9  # distance from the restrictions, in standard errors, that counts as none
SHORTEST = 1e-6


@dataclass(frozen=True, eq=False)
class Restrictions:
    """Functions of theta that are to have given values: `at(theta)` has the values h (m,) and the Jacobian (m, P)."""

    at: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def bend(self, theta: np.ndarray, multipliers: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """sum lambda_j h_j'', by central differences of the Jacobian over steps of a size of `scale`."""
        out = np.zeros((theta.size, theta.size))
        for i in range(theta.size):
            step = np.zeros(theta.size)
            step[i] = 1e-3 * scale[i]
            up, down = self.at(theta + step)[1], self.at(theta - step)[1]
            out[i] = multipliers @ (up - down) / (2.0 * step[i])
        return np.asarray(0.5 * (out + out.T))


@dataclass(frozen=True, eq=False)
class Restricted:
    """Where it ended; `multipliers` are the slopes of the maximum in the values of the restrictions."""

    theta: np.ndarray
    evaluation: MixtureEvaluation
    multipliers: np.ndarray
    converged: bool
    passes: int


def maximise_restricted(
    mixture: Mixture, theta: np.ndarray, restrictions: Restrictions, value: np.ndarray, *, max_iter: int = 60
) -> Restricted:
    """The maximum of the log-likelihood where the restrictions have these values, from theta on.

    Parameters
    ----------
    mixture : Mixture
        The model on its data.
    theta : array of shape (size,)
        Where to begin, near a point that meets the restrictions.
    restrictions : Restrictions
        m functions of theta with independent gradients.
    value : array of shape (m,)
        What they are to be.
    """
    lower = mixture.lower
    theta = np.maximum(theta, lower)
    here, passes, mu = mixture.evaluate(theta), 1, 0.0
    h, a = restrictions.at(theta)
    multipliers, penalty, last = np.zeros(len(value)), 0.0, np.inf
    for _ in range(max_iter):
        gap = value - h
        found = _step(restrictions, theta, here, a, gap, theta <= lower, mu)
        if found is None:
            return Restricted(theta, here, multipliers, False, passes)
        step, multipliers, decrement, distance, mu = found
        if distance <= MET and (decrement <= 1e-18 or (decrement <= FLOOR and decrement >= 0.5 * last)):
            return Restricted(theta, here, multipliers, True, passes)
        last = decrement if distance <= MET else np.inf
        penalty = max(penalty, 2.0 * float(np.abs(multipliers).max(initial=0.0)))
        merit, slack = here.loglik - penalty * np.abs(gap).sum(), 64.0 * EPS * (abs(here.loglik) + mixture.total)
        if decrement + distance < 1e-6:
            slack += 1e-10  # so near, rounding of the restrictions counts more than what is gained
        length = 1.0
        while True:
            there_theta = np.maximum(theta + length * step, lower)
            there, passes = mixture.evaluate(there_theta), passes + 1
            h_there, a_there = restrictions.at(there_theta)
            if usable(there) and np.all(np.isfinite(a_there)):
                risen = there.loglik - penalty * np.abs(value - h_there).sum() - merit
                if risen >= -slack:
                    break
            length *= 0.3
            if length < SHORTEST:
                return Restricted(theta, here, multipliers, distance <= MET and decrement <= FLOOR, passes)
        mu = mu if length < 1.0 else 0.1 * mu if mu > 1e-6 else 0.0
        theta, here, h, a = there_theta, there, h_there, a_there
    return Restricted(theta, here, multipliers, False, passes)


def _step(
    restrictions: Restrictions, theta: np.ndarray, here: Any, a: np.ndarray, gap: np.ndarray, at_bound: np.ndarray,
    mu: float,
) -> tuple[np.ndarray, np.ndarray, float, float, float] | None:  # fmt: skip
    """The step, the multipliers, the decrement within the restrictions, the distance from them, and mu; None if none.

    Coordinates are scaled by their standard errors under the complete data. Those at their bound are held while the
    likelihood would fall beyond it.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(here.complete), 1e-300))
    held = np.flatnonzero(at_bound)
    while True:
        unit = np.zeros((held.size, theta.size))
        unit[np.arange(held.size), held] = 1.0
        found = _held_step(restrictions, theta, here, scale, np.concatenate([a * scale, unit]),
                           np.concatenate([gap, np.zeros(held.size)]), len(gap), mu)  # fmt: skip
        if found is None:
            return None
        step, multipliers, decrement, distance, mu = found
        inwards = multipliers[len(gap) :] > 1e-9 * np.sqrt(max(abs(here.loglik), 1.0))
        if not inwards.any():
            return step, multipliers[: len(gap)], decrement, distance, mu
        held = held[~inwards]


def _held_step(
    restrictions: Restrictions, theta: np.ndarray, here: Any, scale: np.ndarray, a: np.ndarray, gap: np.ndarray,
    own: int, mu: float,
) -> tuple[np.ndarray, np.ndarray, float, float, float] | None:  # fmt: skip
    """The step with rows of `a` (in scaled coordinates) as restrictions, the first `own` of them curved."""
    s, m = here.score * scale, len(gap)
    complete = here.complete * scale[:, None] * scale
    lost = (here.complete - here.observed) * scale[:, None] * scale
    q, r = linalg.qr(a.T)
    size = np.abs(np.diag(r[:m]))
    if not size.min(initial=1.0) > 1e-12 * size.max(initial=1.0):
        return None
    across, along = q[:, :m], q[:, m:]
    normal = across @ linalg.solve_triangular(r[:m], gap, trans=1)  # the shortest way to the restrictions
    rough = linalg.solve_triangular(r[:m], across.T @ s)[:own]
    bend = restrictions.bend(theta, rough, scale) * scale[:, None] * scale
    factor = None
    while along.shape[1]:
        b = complete - (1.0 - mu) * lost + (1.0 - mu) * bend
        factor = cholesky(along.T @ b @ along)
        if factor is not None:
            break
        if mu >= 1.0:
            return None
        mu = min(1.0, max(4.0 * mu, 1e-3))
    tangent, decrement = np.zeros_like(s), 0.0
    if factor is not None:
        inner = along.T @ s
        decrement = float(inner @ factor.solve(inner))
        tangent = along @ factor.solve(along.T @ (s - b @ normal))
    step = normal + tangent
    left = s - (b @ step if factor is not None else 0.0)
    multipliers = linalg.solve_triangular(r[:m], across.T @ left)
    return step * scale, multipliers, decrement, float(np.linalg.norm(normal)), mu


__all__ = ["Restricted", "Restrictions", "maximise_restricted"]
