"""How `fit` comes to estimates of reduced bias: what it needs of the estimator, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..adjusted_score import PhiOf
from ..bias import adjusted_with_bound, maximise_adjusted
from ..errors import InputError
from ..families import Family, NegativeBinomial
from ..fitting import rounding_floor
from ..likelihood import Evaluation, Likelihood
from ..model import Fitted


def fit_adjusted(
    model: Any, family: Family, data: Any, likelihood: Likelihood, start: np.ndarray | None, canonical: bool,
    callback: Any,
) -> Fitted:  # fmt: skip
    """The fit with the adjusted score that `bias_reduction` names."""
    if likelihood.matrix_free:
        raise InputError(
            f"bias_reduction needs the information matrix of {sum(likelihood.widths)} coefficients, which is too "
            "large to form; fit fewer columns, or leave bias_reduction out"
        )
    kind, frequency = model.bias_reduction, model.weight_type == "frequency"
    count = likelihood.total if frequency else float(likelihood.observations)
    floor = rounding_floor(likelihood, family, count) if family.has_dispersion else 0.0
    phi_of = _dispersion_of(model, family, data, likelihood, floor)

    def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
        return maximise_adjusted(
            lik, fam, kind, phi_of, canonical=canonical, floor=floor, count=count, start=at,
            max_iter=int(model.max_iter), tol=float(model.tol), callback=callback,
        )  # fmt: skip

    return adjusted_with_bound(run, likelihood, family, kind, start)


def _dispersion_of(model: Any, family: Family, data: Any, likelihood: Likelihood, floor: float) -> PhiOf:
    """The dispersion at a point, by the rule of the estimator."""
    chosen = model.dispersion if model.dispersion is not None else ("pearson" if family.has_dispersion else 1.0)
    if not isinstance(chosen, str):
        return lambda evaluation, rank: float(chosen)
    nobs = data.repeats if model.weight_type == "frequency" else float(likelihood.observations)
    has_alpha = isinstance(family, NegativeBinomial) and family.alpha is None
    phi_likelihood = data.dispersion(likelihood.kernels, model.weight_type, likelihood.threads)

    def at(evaluation: Evaluation, rank: int) -> float:
        deviance = -2.0 * evaluation.loglik
        if family.has_dispersion and deviance <= 16.0 * floor * nobs:
            return 0.0
        left = nobs - rank - int(has_alpha)
        if chosen == "ml":
            closed = family.dispersion_ml(deviance, nobs) if family.has_dispersion else deviance / nobs  # type: ignore[attr-defined]
            return float(phi_likelihood.maximum(deviance, nobs, closed))
        if left <= 0:
            raise InputError(
                f"bias_reduction: {nobs:g} observations and {rank} coefficients leave no degrees of freedom to "
                "estimate the dispersion from, which the adjustment depends on; give dispersion= as a number"
            )
        return (evaluation.pearson if chosen == "pearson" else deviance) / left

    return at


__all__ = ["fit_adjusted"]
