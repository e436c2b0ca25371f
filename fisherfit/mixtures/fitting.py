"""Fit a mixture: starts, ascent, canonical order, and the result with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .ascent import ascend
from .climbing import SAME, Climb, climb
from .mixture import Mixture, MixtureEvaluation
from .result import MixtureResult
from .starts import default_starts


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A fitted mixture: theta with components in canonical order, its evaluation there, and the result.

    `warnings` are pairs (message, class) for the estimator to give.
    """

    theta: np.ndarray
    evaluation: MixtureEvaluation
    climb: Climb
    result: MixtureResult
    warnings: tuple[tuple[str, Any], ...]


def fit_mixture(
    mixture: Mixture,
    *,
    model: str,
    rng: np.random.Generator,
    n_init: int = 10,
    starts: Sequence[np.ndarray] = (),
    max_iter: int = 500,
    tol: float = 1e-20,
) -> MixtureFit:
    """Maximise the likelihood of a mixture.

    Parameters
    ----------
    mixture : Mixture
        The model on its data.
    model : str
        What the summary calls it.
    rng : Generator
        Where random starts come from.
    n_init : int
        Clustered starts, and as many random ones; not used where `starts` are given.
    starts : sequence of arrays (K, units), optional
        Responsibilities to begin from instead.
    max_iter, tol
        As for `ascend`.
    """
    points = [mixture.start(r) for r in starts] or default_starts(mixture, n_init, rng)
    found = climb(mixture, points, max_iter=max_iter, tol=tol)
    theta = found.best.ascent.theta
    _, phi = mixture.split(theta)
    theta = mixture.permuted(theta, mixture.components.order(phi))
    evaluation = mixture.evaluate(theta)
    result = make_result(mixture, theta, evaluation, found, model)
    return MixtureFit(theta, evaluation, found, result, ())


def make_result(
    mixture: Mixture, theta: np.ndarray, evaluation: MixtureEvaluation, found: Climb, model: str
) -> MixtureResult:
    """The result at theta, with the covariance by the observed information."""
    parameters = mixture.report(theta)
    inverse = inverse_of(evaluation.observed)
    covariance = None if inverse is None else parameters.jacobian @ inverse @ parameters.jacobian.T
    z = mixture.posterior(theta)
    with np.errstate(all="ignore"):
        plogp = np.where(z > 0.0, z * np.log(z), 0.0).sum(axis=1)
        hardness = float(mixture.weight @ np.log(z.max(axis=1)))
    maxima: list[list[Any]] = []
    for run in found.runs:
        if run.admissible:
            value = run.ascent.evaluation.loglik
            known = next((m for m in maxima if abs(m[0] - value) <= SAME), None)
            if known is None:
                maxima.append([value, run.hits])
            else:
                known[1] += run.hits
    best = found.best.ascent
    return MixtureResult(
        parameters.names, parameters.values, covariance, parameters.supports, evaluation.loglik, theta.size,
        mixture.total, mixture.mixing.count, -float(mixture.weight @ plogp), hardness, model, "observed",
        best.converged, best.n_iter, best.decrement, best.history, tuple((float(v), int(c)) for v, c in maxima),
    )  # fmt: skip


def inverse_of(information: np.ndarray) -> np.ndarray | None:
    """The inverse of a positive definite information matrix; None where it is not."""
    from ..linalg import cholesky

    factor = cholesky(information)
    return None if factor is None else factor.inverse()


def refit_from(mixture: Mixture, fit: MixtureFit, theta: np.ndarray, **options: Any) -> MixtureFit:
    """The fit from one point theta on, without starts."""
    ascent = ascend(mixture, theta, **options)
    run = replace(fit.climb.best, ascent=ascent)
    found = Climb(run, (run,))
    return replace(
        fit, theta=ascent.theta, evaluation=ascent.evaluation, climb=found,
        result=make_result(mixture, ascent.theta, ascent.evaluation, found, fit.result.model),
    )  # fmt: skip


__all__ = ["MixtureFit", "default_starts", "fit_mixture", "inverse_of", "make_result", "refit_from"]
