"""The adjusted score at a point, with its step, its length, and the objective that it is the gradient of, if any.

The step is F^-1 (U + A), A one of `adjustments`: the natural gradient of l / phi + log|F| / 2 where there is such an
objective (Jeffreys; mean adjustment with a canonical link).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .adjustments import adjustment
from .exact_alpha import exact_information
from .families import Family
from .kernels import EXPECTED
from .likelihood import Evaluation, Likelihood
from .linalg import Factor, cholesky
from .model import Model

PhiOf = Callable[[Evaluation, int], float]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The adjusted score at a point, with its step; `penalty` is log|F| / 2 where there is an objective."""

    theta: np.ndarray
    evaluation: Evaluation
    phi: float
    score: np.ndarray
    step: np.ndarray
    decrement: float
    penalty: float
    factor: Factor

    def objective(self, phi: float) -> float:
        """l / phi + log|F| / 2."""
        return self.evaluation.loglik / phi + self.penalty

    def length_of(self, score: np.ndarray, free: np.ndarray) -> float:
        """The squared length of a score in the metric here."""
        return abs(float(score[free] @ self.factor.solve(score[free]))) / self.phi


@dataclass(frozen=True, eq=False)
class Problem:
    """A model whose adjusted score is to vanish."""

    model: Model
    family: Family
    kind: str
    phi_of: PhiOf
    free: np.ndarray

    @property
    def likelihood(self) -> Likelihood:
        """The rows."""
        return self.model.likelihood

    @property
    def has_objective(self) -> bool:
        """True where the adjusted score is a gradient, for a given dispersion."""
        return self.kind == "jeffreys" or (self.kind == "mean" and self.model.canonical)

    def at(self, theta: np.ndarray) -> Adjusted | None:
        """The adjusted score at theta; None where something is not finite."""
        evaluation = expected(self.likelihood, self.family, theta)
        free, p = self.free, self.likelihood.designs[0].width
        if not (math.isfinite(evaluation.loglik) and np.isfinite(evaluation.score).all()):
            return None
        inner = evaluation.information[np.ix_(free, free)]
        factor = cholesky(inner) if np.isfinite(inner).all() else None
        if factor is not None and self.model.needs_rows(factor):
            better, _ = self.model.factor(theta, evaluation, free)
            factor = better if better is not None else factor
        if factor is None:
            return None
        here = self.phi_of(evaluation, int(free[:p].sum()))
        covariance = np.zeros_like(evaluation.information)
        covariance[np.ix_(free, free)] = factor.inverse()
        if not np.isfinite(covariance).all():
            return None
        added = adjustment(
            self.likelihood, self.family, theta, self.kind, here, evaluation.information, covariance, free
        )
        score = np.where(free, evaluation.score + added, 0.0)
        if not np.isfinite(score).all():
            return None
        step = np.zeros_like(theta)
        step[free] = factor.solve(score[free])
        least = max(here, self.model.floor, 1e-300)
        decrement = abs(float(score @ step)) / least
        penalty = math.nan
        if self.has_objective:
            scale = np.sqrt(inner.diagonal())
            penalty = 0.5 * float(np.linalg.slogdet(inner / scale[:, None] / scale)[1]) + float(np.log(scale).sum())
        if not (np.isfinite(step).all() and math.isfinite(decrement)):
            return None
        return Adjusted(theta, evaluation, least, score, step, decrement, penalty, factor)


def expected(likelihood: Likelihood, family: Family, theta: np.ndarray) -> Evaluation:
    """The likelihood with its expected information, exact for a free alpha too."""
    found = likelihood.evaluate(theta, EXPECTED)
    if not math.isfinite(found.loglik):
        return found
    return replace(found, information=exact_information(likelihood, family, theta, found.information))


def adjusted_distance(
    likelihood: Likelihood, family: Family, theta: np.ndarray, kind: str, phi: float, free: np.ndarray
) -> float:
    """How far theta is from the zero of the adjusted score, in standard errors; infinite where it has none."""
    model = Model(likelihood, False, family.has_dispersion, 0.0, float(likelihood.observations))
    found = Problem(model, family, kind, lambda evaluation, rank: phi, free).at(theta)
    return math.inf if found is None else math.sqrt(found.decrement)


__all__ = ["Adjusted", "PhiOf", "Problem", "adjusted_distance", "expected"]
