"""What a fit is compared with: its log-likelihood at the dispersion, Pearson's statistic and the null model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dispersion import DispersionLikelihood
from ..families import ExponentialDispersion, Family, NegativeBinomial
from ..fitting import maximise
from ..kernels import VALUE
from ..likelihood import Likelihood
from ..model import Fitted
from ..overdispersion import fit_with_bound


def pearson_statistic(likelihood: Likelihood, family: Family, fitted: Fitted) -> float:
    """sum of w (y - mu)^2 / V(mu) where the last evaluation does not hold it."""
    if not isinstance(family, (ExponentialDispersion, NegativeBinomial)):
        return float("nan")
    total = 0.0
    for start, part in likelihood.parts():
        eta = part.linear_predictor(fitted.point)
        edge = fitted.boundary_rows[(fitted.boundary_rows >= start) & (fitted.boundary_rows < start + part.n)] - start
        eta[edge] = np.where(np.abs(eta[edge]) < 0.5, 0.0, 1.0)
        mu = part.kernels.links[0].mean(eta)
        with np.errstate(all="ignore"):
            terms = part.weight * (part.y - mu) ** 2 / family.variance(mu)
        total += float(np.sum(np.where(part.y == mu, 0.0, terms)))
    return total


def likelihoods(
    model: Any, family: Family, phi_likelihood: DispersionLikelihood, objective: float, ml: float, phi: float,
    count: float, exact: bool, null: tuple[float, float],
) -> tuple[float, float]:  # fmt: skip
    """llf and llnull, by the objective and the deviance of the model and of the null model."""
    fixed_phi = family.has_dispersion and not isinstance(model.dispersion, (str, type(None)))
    at = phi if fixed_phi else ml
    if exact and not fixed_phi:
        llf = float("inf")
    else:
        llf = phi_likelihood.value(objective, at if family.has_dispersion else 1.0)
    null_objective, null_deviance = null
    if family.has_dispersion:
        closed = family.dispersion_ml(null_deviance, count)  # type: ignore[attr-defined]
        null_phi = at if fixed_phi else phi_likelihood.maximum(null_deviance, count, closed)
        llnull = phi_likelihood.value(null_objective, null_phi) if null_phi > 0 else float("inf")
    else:
        llnull = phi_likelihood.value(null_objective, 1.0)
    return llf, llnull


def null_model(
    family: Family, fixed: Family, data: Any, likelihood: Likelihood, simple: Likelihood, fitted: Fitted
) -> tuple[float, float]:
    """The objective and the deviance of the model without covariates (eta = offset where there is no intercept)."""
    if not data.design.intercept:
        if not isinstance(family, (ExponentialDispersion, NegativeBinomial)):
            return float("nan"), float("nan")
        k, value = simple.kernels, 0.0
        for _, part in simple.parts():
            eta = np.zeros((1, part.n)) if part.offset is None else np.array(part.offset[None], float)
            u, w = np.empty((1, part.n)), np.empty((1, part.n))
            value += float(k.rows(part.y, part.weight, eta, k.constants, VALUE, u, w))
        if not np.isfinite(value) and not np.isnan(value):
            return value, float("inf")
        return value, -2.0 * value if not np.isnan(value) else float("inf")
    base = fixed
    edm = isinstance(family, (ExponentialDispersion, NegativeBinomial))
    count = float(likelihood.observations)
    if edm and not likelihood.has_offset:
        with np.errstate(all="ignore"):
            eta0 = float(simple.kernels.links[0].forward(simple.moments()[0]))
        known = fitted.constant  # the fit began there
        if known is not None and known[0] == eta0 and simple is likelihood:
            value = known[1]
        else:
            value = simple.at_constant(eta0) if np.isfinite(eta0) else 0.0
        null_deviance = -2.0 * value
        null_objective = value
    else:
        found = maximise(
            simple.covariate_free(), base, canonical=False, has_dispersion=base.has_dispersion, start=None,
            max_iter=100, tol=1e-20, count=count,
        )  # fmt: skip
        null_objective = found.loglik
        null_deviance = -2.0 * null_objective if edm else float("nan")
    if isinstance(family, NegativeBinomial) and family.alpha is None:

        def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
            return maximise(lik, fam, canonical=False, has_dispersion=False, start=at, max_iter=100, tol=1e-20,
                            count=count)  # fmt: skip

        null_objective = fit_with_bound(run, likelihood.covariate_free(), family, None).loglik
    return null_objective, null_deviance
