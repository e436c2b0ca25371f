"""The maximum under linear restrictions A theta = c, by the same solver in the coordinates that are left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from .kernels import EXPECTED
from .likelihood import Evaluation
from .linalg import EPS, Factor, cholesky
from .maximum import Maximum
from .model import Model
from .solver import Solution, natural_gradient


@dataclass(frozen=True, eq=False)
class Restricted:
    """A problem of the solver on the points `origin` + `basis` gamma."""

    model: Model
    origin: np.ndarray
    basis: np.ndarray

    def __getattr__(self, name: str) -> Any:
        """What does not depend on the coordinates is that of the model."""
        if name.startswith("_") or name not in ("canonical", "total", "count", "floor", "lazy", "dispersion"):
            raise AttributeError(name)
        return getattr(self.model, name)

    def at(self, gamma: np.ndarray) -> np.ndarray:
        """theta of gamma."""
        return np.asarray(self.origin + self.basis @ gamma)

    def evaluate(self, gamma: np.ndarray, kind: int) -> Evaluation:
        """The likelihood in the coordinates gamma."""
        found = self.model.evaluate(self.at(gamma), kind)
        information = found.information
        if information is not None:
            information = self.basis.T @ information @ self.basis
        return replace(found, score=self.basis.T @ found.score, information=information)

    def needs_rows(self, factor: Factor | None) -> bool:
        """Never: the restricted information is as well conditioned as that of the model."""
        return False

    def factor(
        self, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray
    ) -> tuple[Factor | None, np.ndarray | None]:
        """No factor of the rows."""
        return None, None


@dataclass(frozen=True, eq=False)
class Held:
    """The maximum under restrictions: the point, and the full evaluation (expected information) there."""

    theta: np.ndarray
    evaluation: Evaluation
    converged: bool
    n_iter: int
    decrement: float
    basis: np.ndarray

    @property
    def loglik(self) -> float:
        """Log-likelihood, up to its base term."""
        return self.evaluation.loglik


def directions_left(matrix: np.ndarray, free: np.ndarray) -> np.ndarray:
    """An orthonormal basis, (size, q), of the free directions that leave `matrix` theta as it is."""
    inside = matrix[:, free]
    size = np.linalg.norm(inside, axis=1, keepdims=True)
    basis = linalg.null_space(inside / np.where(size > 0.0, size, 1.0), rcond=1e3 * EPS)
    out = np.zeros((free.size, basis.shape[1]))
    out[free] = basis
    return out


def score_within(point: Maximum, basis: np.ndarray) -> float:
    """s'B (B'FB)^-1 B's at a point; NaN where the information is singular."""
    found = point.evaluation
    s = basis.T @ found.score
    if not s.size:
        return 0.0
    factor = cholesky(basis.T @ found.information @ basis)
    return float("nan") if factor is None else float(s @ factor.solve(s))


def nearest(maximum: Maximum, matrix: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The point with `matrix` theta = `value` that is nearest to the maximum in the Fisher metric."""
    free = maximum.free
    gap = matrix @ maximum.theta - value
    if maximum.basis is not None:
        root = maximum.root_of(maximum.evaluation)
        inner = root.T @ matrix.T
        step, *_ = np.linalg.lstsq(inner.T @ inner, gap, rcond=None)
        return np.asarray(maximum.theta - root @ (inner @ step))
    inside = matrix[:, free]
    solved = np.stack([maximum.factor.solve(row) for row in inside], axis=1)
    step, *_ = np.linalg.lstsq(inside @ solved, gap, rcond=None)
    out = maximum.theta.copy()
    out[free] -= solved @ step
    return out


def maximise_within(
    maximum: Maximum,
    matrix: np.ndarray,
    value: np.ndarray,
    *,
    start: np.ndarray | None = None,
    max_iter: int = 100,
    tol: float = 1e-20,
) -> Held:
    """The maximum of the likelihood where `matrix` theta = `value`.

    Parameters
    ----------
    maximum : Maximum
        The unrestricted one.
    matrix : array of shape (m, size)
        Restrictions of theta, see `Maximum.contrasts`.
    value : array of shape (m,)
        What they are equal to; they must have a solution.
    start : array of shape (size,), optional
        A point that satisfies them; by default the one nearest to the maximum in the Fisher metric.
    """
    basis = directions_left(matrix, maximum.free)
    origin = nearest(maximum, matrix, value) if start is None else start
    problem, model = Restricted(maximum.model, origin, basis), maximum.model
    if not basis.shape[1]:
        there = model.evaluate(origin, EXPECTED)
        return Held(origin, there, bool(np.isfinite(there.loglik)), 0, 0.0, basis)
    metric = None
    if model.lazy:  # the information at the maximum serves for chord steps
        metric = cholesky(basis.T @ maximum.evaluation.information @ basis)
    found: Solution = natural_gradient(
        problem, np.zeros(basis.shape[1]), metric=None if metric is None else replace(metric, matrix=None),
        max_iter=max_iter, tol=tol,
    )  # fmt: skip
    theta = problem.at(found.theta)
    return Held(theta, model.evaluate(theta, EXPECTED), found.converged, found.n_iter, found.decrement, basis)


__all__ = ["Held", "Restricted", "directions_left", "maximise_within", "nearest", "score_within"]
