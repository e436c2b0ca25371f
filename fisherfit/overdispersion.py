"""The negative binomial with free alpha: the bound alpha = 0, and alpha's exact expected information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .families import Family, NegativeBinomial
from .kernels import SCORE, VALUE, kernels_of
from .likelihood import Likelihood
from .model import Fitted

CLEARLY = 8.0  # standard errors by which alpha of a sample is above 0 where there is no doubt


def fit_with_bound(
    run: Callable[[Likelihood, Family, np.ndarray | None], Fitted],
    likelihood: Likelihood,
    family: Family,
    start: np.ndarray | None,
) -> Fitted:
    """Fit; for a negative binomial with free alpha first at alpha = 0, whose score in alpha says where to go."""
    if not (isinstance(family, NegativeBinomial) and family.alpha is None):
        return run(likelihood, family, start)
    if likelihood.streamed and start is None:
        found = _from_sample(run, likelihood, family)
        if found is not None:
            return found
    p = likelihood.designs[0].width
    at_zero = type(family)(alpha=0.0)
    simple = replace(
        likelihood, kernels=kernels_of(at_zero, likelihood.kernels.links[:1]), designs=likelihood.designs[:1]
    )
    poisson = run(simple, at_zero, None if start is None else start[:p])
    if poisson.separation or poisson.reason not in ("converged",):
        return run(likelihood, family, start)
    edge = np.append(poisson.point, 0.0)
    slope = float(likelihood.evaluate(edge, SCORE).score[-1])
    at_edge = float(likelihood.evaluate(edge, VALUE).loglik)
    excess = size = 0.0
    for _, part in likelihood.parts():
        mu = part.kernels.links[0].mean(part.linear_predictor(edge))
        excess += float(np.sum(part.weight * ((part.y - mu) ** 2 - mu)))
        size += float(np.sum(part.weight * mu * mu))
    moment = excess / size if size > 0.0 else 0.0
    begin = np.append(poisson.theta, moment if moment > 1e-6 else 0.05)
    if start is not None and start.size == begin.size and slope > 0.0:
        begin = start
    inside = run(likelihood, family, begin)
    better = inside.reason == "converged" and inside.theta[-1] > 0.0 and inside.loglik > at_edge
    if slope > 0.0 or better:
        return inside
    return at_bound(poisson, edge, at_edge, slope)


def at_bound(poisson: Fitted, edge: np.ndarray, loglik: float, slope: float) -> Fitted:
    """The fit at alpha = 0, `slope` being the score of alpha there, as one of the model with alpha."""
    score = np.append(poisson.evaluation.score, slope)
    p = poisson.point.size
    size = p + 1
    information, covariance = poisson.information, poisson.covariance
    if covariance is not None:
        information, covariance = np.zeros((size, size)), np.full((size, size), np.nan)
        information[:p, :p], covariance[:p, :p] = poisson.information, poisson.covariance
    evaluation = replace(poisson.evaluation, loglik=loglik, score=score, information=information)
    return replace(
        poisson, theta=np.append(poisson.theta, 0.0), point=edge, step=np.append(poisson.step, 0.0),
        evaluation=evaluation, loglik=loglik, information=information, covariance=covariance,
        kept=np.append(poisson.kept, True), boundary_parameters=(*poisson.boundary_parameters, "alpha"),
        finite=np.append(poisson.finite, True),
        widest=np.append(poisson.widest, np.nan) if poisson.widest.size else poisson.widest,
    )  # fmt: skip


def _from_sample(
    run: Callable[[Likelihood, Family, np.ndarray | None], Fitted], likelihood: Likelihood, family: Family
) -> Fitted | None:
    """The fit from the maximum of a sample, where alpha is so clearly above 0 there that it is so on all rows."""
    some = fit_with_bound(run, likelihood.typical(), family, None)
    if some.reason != "converged" or some.boundary_parameters or some.separation or some.covariance is None:
        return None
    if not some.theta[-1] > CLEARLY * float(np.sqrt(some.covariance[-1, -1])):
        return None
    found = run(likelihood, family, some.theta)
    return found if found.reason == "converged" and found.theta[-1] > 0.0 else None


def with_exact_alpha(fitted: Fitted, family: Family, likelihood: Likelihood, fixed: Family) -> tuple[Fitted, float]:
    """Put the exact expected information of alpha in place of the one that the steps used.

    Returned with the objective of the mean at that alpha, minus half the deviance.
    """
    alpha, p = float(fitted.point[-1]), likelihood.designs[0].width
    kernels = kernels_of(fixed, likelihood.kernels.links[:1])
    exact = objective = 0.0
    for start, part in likelihood.parts():
        weight = np.where(fitted.separation.rows[start : start + part.n], 0.0, part.weight)
        mean = replace(part, kernels=kernels, designs=part.designs[:1], weight=weight)
        objective += float(mean.evaluate(fitted.point[:p], VALUE).loglik)
        if "alpha" not in fitted.boundary_parameters and np.isfinite(alpha):
            mu = kernels.links[0].mean(mean.linear_predictor(fitted.point[:p]))
            exact += float(np.sum(weight * family.expected_alpha(mu, alpha)))  # type: ignore[attr-defined]
    if "alpha" in fitted.boundary_parameters or not np.isfinite(alpha) or fitted.covariance is None:
        return fitted, objective
    information, covariance = fitted.information.copy(), fitted.covariance.copy()
    information[-1, :] = information[:, -1] = 0.0
    information[-1, -1] = exact
    covariance[-1, :-1] = covariance[:-1, -1] = 0.0
    covariance[-1, -1] = 1.0 / exact if exact > 0.0 else np.nan
    return replace(fitted, information=information, covariance=covariance), objective
