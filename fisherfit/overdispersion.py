"""The negative binomial with free alpha: the bound alpha = 0, and alpha's exact expected information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .families import Family, NegativeBinomial
from .kernels import SCORE, VALUE, kernels_of
from .likelihood import Likelihood
from .model import Fitted


def fit_with_bound(
    run: Callable[[Likelihood, Family, np.ndarray | None], Fitted],
    likelihood: Likelihood,
    family: Family,
    start: np.ndarray | None,
) -> Fitted:
    """Fit; for a negative binomial with free alpha first at alpha = 0, whose score in alpha says where to go."""
    if not (isinstance(family, NegativeBinomial) and family.alpha is None):
        return run(likelihood, family, start)
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
    mu = likelihood.kernels.links[0].mean(likelihood.linear_predictor(edge))
    w, y = likelihood.weight, likelihood.y
    moment = float(np.sum(w * ((y - mu) ** 2 - mu)) / np.sum(w * mu * mu))
    begin = np.append(poisson.theta, moment if moment > 1e-6 else 0.05)
    if start is not None and start.size == begin.size and slope > 0.0:
        begin = start
    inside = run(likelihood, family, begin)
    better = inside.reason == "converged" and inside.theta[-1] > 0.0 and inside.loglik > at_edge
    if slope > 0.0 or better:
        return inside
    score = np.append(poisson.evaluation.score, slope)
    size = p + 1
    information, covariance = poisson.information, poisson.covariance
    if covariance is not None:
        information, covariance = np.zeros((size, size)), np.full((size, size), np.nan)
        information[:p, :p], covariance[:p, :p] = poisson.information, poisson.covariance
    evaluation = replace(poisson.evaluation, loglik=at_edge, score=score, information=information)
    return replace(
        poisson, theta=np.append(poisson.theta, 0.0), point=edge, step=np.append(poisson.step, 0.0),
        evaluation=evaluation, loglik=at_edge, information=information, covariance=covariance,
        kept=np.append(poisson.kept, True), boundary_parameters=("alpha",), finite=np.append(poisson.finite, True),
        widest=np.append(poisson.widest, np.nan) if poisson.widest.size else poisson.widest,
    )  # fmt: skip


def with_exact_alpha(fitted: Fitted, family: Family, likelihood: Likelihood) -> Fitted:
    """Put the exact expected information of alpha in place of the one that the steps used."""
    alpha = float(fitted.point[-1])
    if fitted.boundary_parameters or not np.isfinite(alpha) or fitted.covariance is None:
        return fitted
    mu = likelihood.kernels.links[0].mean(likelihood.linear_predictor(fitted.point))
    weight = np.where(fitted.separation.rows, 0.0, likelihood.weight)
    exact = float(np.sum(weight * family.expected_alpha(mu, alpha)))  # type: ignore[attr-defined]
    information, covariance = fitted.information.copy(), fitted.covariance.copy()
    information[-1, :] = information[:, -1] = 0.0
    information[-1, -1] = exact
    covariance[-1, :-1] = covariance[:-1, -1] = 0.0
    covariance[-1, -1] = 1.0 / exact if exact > 0.0 else np.nan
    return replace(fitted, information=information, covariance=covariance)
