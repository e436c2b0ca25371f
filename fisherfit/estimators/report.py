"""From prepared data to everything that `fit` reports: the fit, its dispersion, its inference, its warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..blocks import Design, constant_design
from ..dispersion import DispersionLikelihood
from ..errors import (
    BoundaryWarning,
    ConvergenceWarning,
    ExactFitWarning,
    InputError,
    RankWarning,
    SeparationWarning,
)
from ..families import ExponentialDispersion, Family, NegativeBinomial
from ..fitting import Fitted, maximise, rounding_floor
from ..kernels import OBSERVED, SCORE, VALUE, kernels_of
from ..likelihood import Likelihood
from ..linalg import cholesky
from ..progress import watch
from ..result import Certificate
from ..separation import Separation

REASONS = {
    "max_iter": "the limit of max_iter={max_iter} steps was reached",
    "stalled": "no step increases the likelihood any further",
    "infeasible": "the log-likelihood is not finite at the start",
    "singular": "the information matrix is singular",
}


@dataclass(frozen=True, eq=False)
class Report:
    """What a fit hands to the estimator, to be assigned at once."""

    coefficients: np.ndarray
    result: dict[str, Any]
    converged: bool
    n_iter: int
    n_restarts: int
    aliased: list[str]
    separation: Separation
    boundary: dict[str, Any]
    warnings: list[tuple[str, type[Warning]]]


def report(model: Any, family: Family, data: Any, likelihood: Likelihood) -> Report:
    """Fit and report."""
    canonical = isinstance(family, ExponentialDispersion) and likelihood.kernels.links[0].name == family.canonical_link
    start = _start(model, data.design, likelihood)
    with watch(model.verbose, likelihood.n) as callback:

        def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
            return maximise(
                lik, fam, canonical=canonical, has_dispersion=fam.has_dispersion, start=at,
                max_iter=int(model.max_iter), tol=float(model.tol), callback=callback,
            )  # fmt: skip

        fitted = _with_dispersion_bound(run, likelihood, family, start)
    return _assemble(model, family, data, likelihood, fitted)


def _start(model: Any, design: Design, likelihood: Likelihood) -> np.ndarray | None:
    if model.start_params is None:
        return None
    start = np.asarray(model.start_params, float)
    size = sum(likelihood.widths)
    if start.ndim != 1 or start.size not in (design.width, size):
        raise InputError(
            f"start_params has shape {start.shape}, but the model has {design.width} coefficients "
            f"({', '.join(design.names[:8])}{', ...' if design.width > 8 else ''})"
        )
    if not np.all(np.isfinite(start)):
        raise InputError(f"start_params has the value {start[~np.isfinite(start)][0]} at position "
                         f"{int(np.flatnonzero(~np.isfinite(start))[0])}; give finite numbers")  # fmt: skip
    head = design.from_user(start[: design.width])
    tail = start[design.width :] if start.size == size else np.full(size - design.width, 0.5)
    return np.concatenate([head, tail])


def _with_dispersion_bound(
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
    simple = replace(likelihood, kernels=kernels_of(at_zero, likelihood.kernels.links[:1]), designs=likelihood.designs[:1])
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
    information, covariance = np.zeros((size, size)), np.full((size, size), np.nan)
    information[:p, :p], covariance[:p, :p] = poisson.information, poisson.covariance
    evaluation = replace(poisson.evaluation, loglik=at_edge, score=score, information=information)
    return replace(
        poisson, theta=np.append(poisson.theta, 0.0), point=edge, step=np.append(poisson.step, 0.0), evaluation=evaluation, loglik=at_edge,
        information=information, covariance=covariance, kept=np.append(poisson.kept, True),
        boundary_parameters=("alpha",), finite=np.append(poisson.finite, True),
    )  # fmt: skip


def _assemble(model: Any, family: Family, data: Any, likelihood: Likelihood, fitted: Fitted) -> Report:
    design, p = data.design, data.design.width
    names = (*design.names, *list(family.parameters)[1:])
    size = len(names)
    notes: list[tuple[str, type[Warning]]] = []
    has_alpha = isinstance(family, NegativeBinomial) and family.alpha is None
    fixed = type(family)(alpha=float(fitted.point[-1])) if has_alpha else family
    if fitted.design is not None:
        design = fitted.design
        likelihood = replace(likelihood, designs=(design, *likelihood.designs[1:]))
    simple = likelihood
    if has_alpha:
        simple = replace(likelihood, kernels=kernels_of(fixed, likelihood.kernels.links[:1]), designs=likelihood.designs[:1])
        fitted = _exact_alpha(fitted, family, likelihood)
    separated = bool(fitted.separation)
    rows = fitted.separation.rows
    fitted_likelihood = replace(likelihood, weight=np.where(rows, 0.0, likelihood.weight)) if separated else likelihood

    frequency = model.weight_type == "frequency"
    present = likelihood.weight > 0.0
    nobs = float(data.user_weight[present].sum()) if frequency else float(np.count_nonzero(present))
    rank = int(fitted.kept[:p].sum())
    df_resid = nobs - rank - int(has_alpha)
    objective = fitted.loglik
    if has_alpha:
        at = replace(simple, weight=fitted_likelihood.weight)
        deviance = -2.0 * float(at.evaluate(fitted.point[:p], VALUE).loglik)
    else:
        deviance = -2.0 * objective
    is_edm = isinstance(family, ExponentialDispersion) or isinstance(family, NegativeBinomial)
    if not is_edm:
        deviance = float("nan")
    pearson = fitted.evaluation.pearson
    if fitted.boundary_rows.size or not is_edm:
        pearson = _pearson(likelihood, family, fitted)

    estimator = model.dispersion if model.dispersion is not None else ("pearson" if family.has_dispersion else 1.0)
    kernel_weight = likelihood.weight
    phi_likelihood = DispersionLikelihood(
        likelihood.kernels, data.y, data.user_weight if model.weight_type != "probability" else kernel_weight,
        data.trials, model.weight_type == "analytic", family.has_dispersion or family.takes_trials,
    )  # fmt: skip
    count = nobs
    total = float(kernel_weight.sum())
    floor = 0.0
    exact = False
    if family.has_dispersion:
        floor = rounding_floor(likelihood, family)
        exact = deviance <= 16.0 * floor * total
    if family.has_dispersion and not exact:
        ml = phi_likelihood.maximum(deviance, count, family.dispersion_ml(deviance, count))  # type: ignore[attr-defined]
    else:
        ml = 0.0 if exact else 1.0
    if isinstance(estimator, str):
        if exact:
            phi = 0.0 if df_resid > 0 else float("nan")
        elif df_resid <= 0 and estimator != "ml":
            phi = float("nan")
        else:
            phi = {"pearson": pearson, "deviance": deviance}.get(estimator, 0.0) / df_resid if estimator != "ml" else (
                ml if family.has_dispersion else deviance / count)  # fmt: skip
        method = estimator
    else:
        phi, method = float(estimator), "fixed"
    estimated = isinstance(estimator, str)
    use_t = estimated
    quasi = not family.has_dispersion and model.dispersion is not None and model.dispersion != 1.0

    jacobian = np.eye(size)
    jacobian[:p, :p] = design.jacobian()
    covariance = _covariance(model, fitted, fitted_likelihood, jacobian, phi, nobs, rank)
    coefficients = jacobian @ fitted.theta
    coefficients[:p] = design.to_user(fitted.point[:p], fitted.step[:p])
    aliased: list[str] = []
    estimable = np.ones(size, bool)
    if fitted.null.shape[1]:
        aliased = [names[design.position[j]] for j in np.flatnonzero(~fitted.kept[:p])]
        aliased.sort(key=names.index)
        null = design.jacobian() @ fitted.null
        coefficients[:p], covariance, estimable[:p] = _minimum_norm(coefficients[:p], covariance, null, design.intercept)
        notes.append((
            f"{len(aliased)} of {p} columns are combinations of columns to their left: {', '.join(aliased[:6])}"
            f"{', ...' if len(aliased) > 6 else ''}. The coefficients are the minimum-norm solution; predictions do not "
            "depend on it, standard errors are NaN where a coefficient is not estimable", RankWarning))  # fmt: skip
    with np.errstate(all="ignore"):
        bse = np.sqrt(np.diag(covariance))
    bse[~estimable] = np.nan
    if fitted.null.shape[1]:
        covariance = covariance.copy()
        covariance[~estimable, :] = np.nan
        covariance[:, ~estimable] = np.nan

    if exact and df_resid > 0 and estimated:
        bse = np.where(estimable, 0.0, np.nan)
        covariance = np.where(np.isnan(covariance), np.nan, 0.0)
    if exact:
        notes.append(("the model reproduces the response exactly (dispersion 0)"
                      + ("; standard errors are 0" if df_resid > 0 else "; no degrees of freedom are left, standard errors are NaN"),
                      ExactFitWarning))  # fmt: skip
    elif df_resid <= 0 and estimated and not separated:
        notes.append((f"no degrees of freedom are left ({nobs:g} observations, rank {rank}): "
                      "dispersion and standard errors are NaN", ExactFitWarning))  # fmt: skip
    if separated:
        infinite = np.isin(np.array(names), list(fitted.separation.coefficients))
        bse[infinite] = np.inf
        covariance = covariance.copy()
        covariance[infinite, :] = np.nan
        covariance[:, infinite] = np.nan
        covariance[np.diag_indices(size)] = np.where(infinite, np.inf, np.diag(covariance))
        which = ", ".join(f"{n} ({s})" for n, s in list(fitted.separation.coefficients.items())[:6])
        first = np.flatnonzero(rows)[:5].tolist()
        notes.append((
            f"{int(rows.sum())} of {rows.size} rows are separated (rows {', '.join(map(str, first))}"
            f"{', ...' if rows.sum() > 5 else ''}): the likelihood has no maximum, and the estimates of {which}"
            f"{', ...' if len(fitted.separation.coefficients) > 6 else ''} are infinite. The other coefficients are right; "
            "see separation_", SeparationWarning))  # fmt: skip
    boundary: dict[str, Any] = {}
    if fitted.boundary_rows.size or fitted.boundary_parameters:
        boundary = {"rows": fitted.boundary_rows, "parameters": list(fitted.boundary_parameters)}
        what = [f"the linear predictor of row {', '.join(map(str, fitted.boundary_rows[:5]))}"] * bool(fitted.boundary_rows.size)
        what += [f"the parameter {name}" for name in fitted.boundary_parameters]
        notes.append((f"the maximum lies on the edge of the parameter space: {' and '.join(what)} is at its bound; "
                      "standard errors that depend on it are NaN", BoundaryWarning))  # fmt: skip
    converged = fitted.reason == "converged"
    if not converged and not separated:
        why = REASONS.get(fitted.reason, fitted.reason).format(max_iter=model.max_iter)
        notes.append((f"not converged after {fitted.n_iter} steps: {why} (distance {fitted.decrement:.1e} standard errors). "
                      "Estimates and standard errors are not at the maximum; check the scale of the data, or give start_params",
                      ConvergenceWarning))  # fmt: skip

    llf, llnull, null_deviance = _likelihoods(
        model, family, fixed, data, likelihood, simple, phi_likelihood, objective, deviance, ml, phi, count, exact, quasi
    )
    n_params = rank + int(has_alpha) + int(family.has_dispersion and estimated) + (len(family.parameters) - 1 - int(has_alpha))
    if model.weight_type == "probability" or not data.whole:
        n_params_aic = float("nan")
    else:
        n_params_aic = float("nan") if quasi else float(n_params)
    if not data.whole:
        llf = llnull = float("nan")
    positive = tuple(name for name, kind in list(family.parameters.items())[1:] if kind in ("positive", "nonnegative"))
    if size > p:
        coefficients, covariance, bse = _other_parameters(coefficients, covariance, bse, likelihood, p)
    if data.dropped:
        notes.append((f"{data.dropped} rows with missing values were left out", UserWarning))
    distance = fitted.decrement if np.isfinite(fitted.decrement) else float("inf")
    certificate = Certificate.of(distance, list(names), coefficients, np.where(bse == 0, np.sqrt(floor) * _nominal(fitted, jacobian), bse))
    result = {
        "names": names,
        "coefficients": coefficients,
        "covariance": covariance,
        "standard_errors": bse,
        "family": repr(family) if family.fields else family.name,
        "links": tuple(link.name for link in likelihood.kernels.links),
        "llf": llf,
        "llnull": llnull,
        "deviance": 0.0 if exact else deviance,
        "null_deviance": null_deviance,
        "pearson_chi2": pearson,
        "dispersion": phi,
        "dispersion_ml": ml,
        "dispersion_method": method,
        "nobs": nobs,
        "rank": rank,
        "n_params": n_params_aic,
        "df_resid": df_resid,
        "use_t": use_t,
        "certificate": certificate,
        "converged": converged,
        "n_iter": max(1, fitted.n_iter),
        "cov_type": _cov_name(model, likelihood),
        "weight_type": model.weight_type,
        "intercept": design.intercept,
        "positive": positive,
        "dropped_rows": data.dropped,
        "notes": tuple(message for message, _ in notes),
        "response": data.response_name,
    }
    notes = [(m, k) for m, k in notes if k is not UserWarning]
    return Report(coefficients, result, converged, fitted.n_iter, fitted.n_restarts, aliased, fitted.separation, boundary, notes)


def _cov_name(model: Any, likelihood: Likelihood) -> str:
    if model.weight_type == "probability":
        return "HC0 n/(n-1)"
    return "observed" if model.cov_type == "expected" and not likelihood.kernels.has_fisher else str(model.cov_type)


def _nominal(fitted: Fitted, jacobian: np.ndarray) -> np.ndarray:
    """Standard errors at phi = 1, in whose units the certificate of an exact fit is."""
    with np.errstate(all="ignore"):
        return np.sqrt(np.diag(jacobian @ np.nan_to_num(fitted.covariance) @ jacobian.T))


def _exact_alpha(fitted: Fitted, family: Family, likelihood: Likelihood) -> Fitted:
    """Put the exact expected information of alpha in place of the one that the steps used."""
    alpha = float(fitted.point[-1])
    if fitted.boundary_parameters or not np.isfinite(alpha):
        return fitted
    mu = likelihood.kernels.links[0].mean(likelihood.linear_predictor(fitted.point))
    weight = np.where(fitted.separation.rows, 0.0, likelihood.weight)
    exact = float(np.sum(weight * family.expected_alpha(mu, alpha)))  # type: ignore[attr-defined]
    information, covariance = fitted.information.copy(), fitted.covariance.copy()
    information[-1, :] = information[:, -1] = 0.0
    information[-1, -1] = exact
    covariance[-1, :-1] = covariance[:-1, -1] = 0.0
    covariance[-1, -1] = 1.0 / exact
    return replace(fitted, information=information, covariance=covariance)


def _covariance(
    model: Any, fitted: Fitted, likelihood: Likelihood, jacobian: np.ndarray, phi: float, nobs: float, rank: int
) -> np.ndarray:
    """The covariance in the user's coordinates, by `cov_type`."""
    if model.weight_type == "probability":
        kind, factor = "HC0", nobs / (nobs - 1.0) if nobs > 1 else float("nan")
    else:
        kind, factor = model.cov_type, nobs / (nobs - rank) if model.cov_type == "HC1" and nobs > rank else 1.0
    bread = fitted.covariance
    finite = np.isfinite(np.diag(bread))
    inner = np.ix_(finite, finite)
    if kind == "observed" and finite.any():
        evaluation = likelihood.evaluate(fitted.point, OBSERVED)
        assert evaluation.information is not None
        factored = cholesky(evaluation.information[inner])
        bread = np.full_like(bread, np.nan)
        if factored is not None:
            bread[inner] = factored.inverse()
        bread = bread * phi
    elif kind in ("HC0", "HC1") and finite.any():
        meat = np.full_like(bread, np.nan)
        meat[inner] = bread[inner] @ _meat(model, likelihood, fitted.point)[inner] @ bread[inner]
        bread = factor * meat
    else:
        bread = bread * phi
    outside = jacobian @ np.nan_to_num(bread) @ jacobian.T
    unknown = (np.abs(jacobian) @ np.isnan(np.diag(bread)).astype(float)) > 0
    if fitted.null.shape[1] == 0:
        outside[unknown, :] = np.nan
        outside[:, unknown] = np.nan
    return np.asarray(outside)


def _meat(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    """sum of u u' over rows; a frequency weight counts as that many rows."""
    k, p = len(likelihood.designs), theta.size
    u, _ = likelihood.row_terms(theta, SCORE)
    weight = likelihood.weight
    share = u
    if model.weight_type == "frequency":
        with np.errstate(all="ignore"):
            share = np.where(weight[:, None] > 0, u / np.sqrt(weight)[:, None], 0.0)
    out = np.zeros((p, p))
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    for a in range(k):
        for b in range(a, k):
            single = replace(likelihood, designs=(likelihood.designs[a],))
            if a == b:
                block, _ = single.weighted_sums(np.ascontiguousarray(share[:, a] * share[:, b]), np.zeros(likelihood.n))
            else:
                _, column = single.weighted_sums(np.zeros(likelihood.n), np.ascontiguousarray(share[:, a] * share[:, b]))
                block = column[:, None]
            out[edges[a] : edges[a + 1], edges[b] : edges[b + 1]] = block
            out[edges[b] : edges[b + 1], edges[a] : edges[a + 1]] = block.T
    return out


def _minimum_norm(
    b: np.ndarray, covariance: np.ndarray, null: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move along the null space to the slopes of least norm, in the user's units, the intercept outside."""
    p = b.size
    size = np.abs(null).max(axis=0)
    null = null / np.where(size > 0, size, 1.0)
    slopes = null[int(intercept) :]
    projector = np.eye(p) - null @ np.linalg.pinv(np.vstack([np.zeros((int(intercept), slopes.shape[1])), slopes]))
    estimable = np.all(np.abs(null) <= 1e-9, axis=1)
    full = np.eye(covariance.shape[0])
    full[:p, :p] = projector
    return projector @ b, full @ np.nan_to_num(covariance) @ full.T, estimable


def _other_parameters(
    coefficients: np.ndarray, covariance: np.ndarray, bse: np.ndarray, likelihood: Likelihood, p: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Further parameters on their own scale, with delta-method standard errors."""
    slope = np.ones(coefficients.size)
    out = coefficients.copy()
    for k, link in enumerate(likelihood.kernels.links[1:]):
        slope[p + k] = float(link.slope(coefficients[p + k]))
        out[p + k] = float(link.mean(coefficients[p + k]))
    return out, covariance * slope[:, None] * slope, bse * np.abs(slope)


def _pearson(likelihood: Likelihood, family: Family, fitted: Fitted) -> float:
    """sum of w (y - mu)^2 / V(mu) where the last evaluation does not hold it."""
    if not isinstance(family, (ExponentialDispersion, NegativeBinomial)):
        return float("nan")
    eta = likelihood.linear_predictor(fitted.point)
    eta[fitted.boundary_rows] = np.where(np.abs(eta[fitted.boundary_rows]) < 0.5, 0.0, 1.0)
    mu = likelihood.kernels.links[0].mean(eta)
    with np.errstate(all="ignore"):
        terms = likelihood.weight * (likelihood.y - mu) ** 2 / family.variance(mu)
    return float(np.sum(np.where(likelihood.y == mu, 0.0, terms)))


def _likelihoods(
    model: Any, family: Family, fixed: Family, data: Any, likelihood: Likelihood, simple: Likelihood,
    phi_likelihood: DispersionLikelihood, objective: float, deviance: float, ml: float, phi: float, count: float,
    exact: bool, quasi: bool,
) -> tuple[float, float, float]:  # fmt: skip
    """llf, llnull and the null deviance."""
    fixed_phi = family.has_dispersion and not isinstance(model.dispersion, (str, type(None)))
    at = phi if fixed_phi else ml
    if exact and not fixed_phi:
        llf = float("inf")
    else:
        llf = phi_likelihood.value(objective, at if family.has_dispersion else 1.0)
    null_objective, null_deviance = _null(family, fixed, data, likelihood, simple)
    if family.has_dispersion:
        closed = family.dispersion_ml(null_deviance, count)  # type: ignore[attr-defined]
        null_phi = at if fixed_phi else phi_likelihood.maximum(null_deviance, count, closed)
        llnull = phi_likelihood.value(null_objective, null_phi) if null_phi > 0 else float("inf")
    else:
        llnull = phi_likelihood.value(null_objective, 1.0)
    return llf, llnull, null_deviance


def _null(family: Family, fixed: Family, data: Any, likelihood: Likelihood, simple: Likelihood) -> tuple[float, float]:
    """The objective and the deviance of the model without covariates (eta = offset where there is no intercept)."""
    n = likelihood.n
    if not data.design.intercept:
        eta = np.zeros((n, len(likelihood.designs)))
        if likelihood.offset is not None:
            eta[:, 0] = likelihood.offset
        if not isinstance(family, (ExponentialDispersion, NegativeBinomial)):
            return float("nan"), float("nan")
        k = simple.kernels
        u, w = np.empty((n, 1)), np.empty((n, 1))
        value = float(k.rows(simple.y, simple.weight, eta[:, :1].copy(), k.constants, VALUE, u, w))
        if not np.isfinite(value) and not np.isnan(value):
            return value, float("inf")
        return value, -2.0 * value if not np.isnan(value) else float("inf")
    constant = constant_design(n, "Intercept")
    null_simple = replace(simple, designs=(constant, *simple.designs[1:]))
    base = fixed
    mean = float(np.average(likelihood.y, weights=likelihood.weight))
    edm = isinstance(family, (ExponentialDispersion, NegativeBinomial))
    if edm and likelihood.offset is None:
        with np.errstate(all="ignore"):
            eta0 = float(simple.kernels.links[0].forward(mean))
        value = float(null_simple.evaluate(np.array([eta0]), VALUE).loglik) if np.isfinite(eta0) else 0.0
        null_deviance = -2.0 * value
        null_objective = value
    else:
        found = maximise(null_simple, base, canonical=False, has_dispersion=base.has_dispersion, start=None, max_iter=100, tol=1e-20)
        null_objective = found.loglik
        null_deviance = -2.0 * null_objective if edm else float("nan")
    if isinstance(family, NegativeBinomial) and family.alpha is None:
        joint = replace(likelihood, designs=(constant, likelihood.designs[1]))

        def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
            return maximise(lik, fam, canonical=False, has_dispersion=False, start=at, max_iter=100, tol=1e-20)

        null_objective = _with_dispersion_bound(run, joint, family, None).loglik
    return null_objective, null_deviance


__all__ = ["Report", "report"]
