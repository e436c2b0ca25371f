"""From prepared data to everything that `fit` reports: the fit, its dispersion, its inference, its warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import coordinates
from ..adjustments import is_unbiased
from ..bias import PATIENT
from ..blocks import Design
from ..errors import (
    BoundaryWarning,
    CovarianceWarning,
    ExactFitWarning,
    InputError,
    RankWarning,
    SeparationWarning,
)
from ..families import ExponentialDispersion, Family, NegativeBinomial
from ..fitting import maximise, rounding_floor
from ..inference import Covariance, covariance_of, minimum_norm, other_parameters
from ..kernels import kernels_of
from ..likelihood import Likelihood
from ..model import Fitted
from ..overdispersion import fit_with_bound, with_exact_alpha
from ..progress import watch
from ..result import Certificate
from ..separation import Separation
from .reference import likelihoods, null_model, pearson_statistic

FAR = 30.0  # spreads from 0 beyond which a covariance in the user's units loses digits of predictions
REASONS = {
    "max_iter": "the limit of max_iter={max_iter} steps was reached",
    "stalled": "no step increases the likelihood any further",
    "infeasible": "the log-likelihood is not finite at the start",
    "singular": "the information matrix is singular",
    "diverging": "linear predictors still move while the likelihood no longer does, so that the maximum may not exist",
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
    constraints: Any = None
    #: where columns are dependent, the covariance of what is estimable and a basis of what vanishes
    estimable: tuple[np.ndarray, np.ndarray] | None = None
    #: where columns lie far from 0, what to subtract from them and the covariance of their coefficients then
    centred: tuple[np.ndarray, np.ndarray] | None = None


def report(model: Any, family: Family, data: Any, likelihood: Likelihood) -> Report:
    """Fit and report."""
    canonical = isinstance(family, ExponentialDispersion) and likelihood.kernels.links[0].name == family.canonical_link
    start = _start(model, data.design, likelihood)
    restrictions = _restrictions(model, family, data)
    with watch(model.verbose, likelihood.n, getattr(likelihood, "tally", None)) as callback:

        def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
            options: dict[str, Any] = {
                "canonical": canonical, "has_dispersion": fam.has_dispersion, "start": at,
                "max_iter": int(model.max_iter), "tol": float(model.tol), "callback": callback,
                "count": lik.total if model.weight_type == "frequency" else None,
            }  # fmt: skip
            if restrictions is None:
                return maximise(lik, fam, **options)
            from ..constrained import maximise_constrained

            return maximise_constrained(lik, fam, restrictions, **options)

        kind = model.bias_reduction
        if kind is None or is_unbiased(family, likelihood.kernels.links[0], kind):
            fitted = fit_with_bound(run, likelihood, family, start)
        else:
            from .biased import fit_adjusted

            fitted = fit_adjusted(model, family, data, likelihood, start, canonical, callback)
    return _assemble(model, family, data, likelihood, fitted)


def _restrictions(model: Any, family: Family, data: Any) -> Any:
    """The constraints and bounds of a model, read; None without any."""
    constraints, limits = getattr(model, "constraints", None), getattr(model, "bounds", None)
    if constraints is None and not limits:
        return None
    from ..model_terms import terms_of
    from ..restrictions import read_restrictions

    return read_restrictions(
        constraints, limits, data.design.names, terms_of(data.terms), tuple(list(family.parameters)[1:])
    )


@dataclass(frozen=True, eq=False)
class _Numbering:
    """Rows as the user counts them, where rows with missing values were left out."""

    kept: np.ndarray | None

    def mask(self, rows: np.ndarray) -> np.ndarray:
        if self.kept is None:
            return rows
        out = np.zeros(self.kept.size, bool)
        out[self.kept] = rows
        return out

    def indices(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.kept is None else np.flatnonzero(self.kept)[rows]


def _start(model: Any, design: Design, likelihood: Likelihood) -> np.ndarray | None:
    if model.start_params is None:
        return None
    try:
        start = np.asarray(model.start_params, float)
    except (TypeError, ValueError):
        raise InputError(f"start_params must be a list of {design.width} numbers, got {model.start_params!r}") from None
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


def _assemble(model: Any, family: Family, data: Any, likelihood: Likelihood, fitted: Fitted) -> Report:
    design, p = data.design, data.design.width
    names = (*design.names, *list(family.parameters)[1:])
    size = len(names)
    notes: list[tuple[str, type[Warning]]] = []
    has_alpha = isinstance(family, NegativeBinomial) and family.alpha is None
    fixed: Family = NegativeBinomial(alpha=float(fitted.point[-1])) if has_alpha else family
    if fitted.design is not None and fitted.design is not design:
        design = fitted.design
        likelihood = replace(likelihood, designs=(design, *likelihood.designs[1:]))
    simple = likelihood
    if has_alpha:
        simple = replace(
            likelihood, kernels=kernels_of(fixed, likelihood.kernels.links[:1]), designs=likelihood.designs[:1]
        )
        fitted, mean_objective = with_exact_alpha(fitted, family, likelihood, fixed)
    separated = bool(fitted.separation)
    rows = fitted.separation.rows
    fitted_likelihood = likelihood.without(rows) if separated else likelihood

    frequency = model.weight_type == "frequency"
    nobs = data.repeats if frequency else float(likelihood.observations)
    rank = int(min(fitted.kept[:p].sum(), likelihood.observations))
    keeping = fitted.keeping
    if keeping is not None:  # the free coefficients
        rank = keeping.basis.shape[1] - (len(keeping.basis) - p)
    shown = _Numbering(data.kept_rows)
    rows, boundary_rows = shown.mask(rows), shown.indices(fitted.boundary_rows)
    df_resid = nobs - rank - int(has_alpha)
    objective = fitted.loglik
    deviance = -2.0 * (mean_objective if has_alpha else objective)
    is_edm = isinstance(family, (ExponentialDispersion, NegativeBinomial))
    if not is_edm:
        deviance = float("nan")
    pearson = fitted.evaluation.pearson
    if fitted.boundary_rows.size or not is_edm:
        pearson = pearson_statistic(likelihood, family, fitted)

    estimator = model.dispersion if model.dispersion is not None else ("pearson" if family.has_dispersion else 1.0)
    phi_likelihood = data.dispersion(likelihood.kernels, model.weight_type, likelihood.threads)
    count = nobs
    floor = 0.0
    exact = False
    if family.has_dispersion:
        floor = rounding_floor(likelihood, family, nobs)
        exact = deviance <= 16.0 * floor * count and not separated
    empty = null_model(family, fixed, data, likelihood, simple, fitted)
    if family.has_dispersion and not exact:
        for value in (deviance, empty[1]):
            phi_likelihood.expect(value, count, family.dispersion_ml(value, count))  # type: ignore[attr-defined]
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

    covariance, bse, formed = covariance_of(model, fitted, fitted_likelihood, design, phi, nobs, rank, data.clusters)
    coefficients = fitted.theta.copy()
    coefficients[:p] = design.to_user(fitted.point[:p], fitted.step[:p])
    if covariance is None:
        notes.append((f"standard errors are not computed by default for {size} coefficients; "
                      "model.standard_errors(X, y, columns=[...]) gives those you ask for", UserWarning))  # fmt: skip
    if fitted.reason == "converged" and not np.isfinite(coefficients).all():
        name = names[int(np.argmax(np.isinf(coefficients)))]
        raise InputError(f"the values of column {name!r} are so small that its coefficient is not a float; rescale it")
    if keeping is not None:
        covariance, bse = _keep_to(keeping, coefficients, covariance, bse, notes)
    aliased: list[str] = []
    determined = None
    estimable = np.ones(size, bool)
    if fitted.null.shape[1]:
        aliased = [names[design.position[j]] for j in np.flatnonzero(~fitted.kept[:p])]
        aliased.sort(key=names.index)
        null = coordinates.null_in_user_units(design, fitted.null)
        coefficients[:p], covariance, estimable[:p] = minimum_norm(coefficients[:p], covariance, null, design.intercept)
        if covariance is not None:
            determined = covariance.copy(), null
            with np.errstate(all="ignore"):
                bse = np.sqrt(np.diag(covariance))
        notes.append((
            f"{len(aliased)} of {p} columns are combinations of columns to their left: {', '.join(aliased[:6])}"
            f"{', ...' if len(aliased) > 6 else ''}. The coefficients are the minimum-norm solution; predictions do "
            "not depend on it, standard errors are NaN where a coefficient is not estimable", RankWarning))  # fmt: skip
    if not fitted.rank_certain:
        notes.append(("the rank of the design is not certain: columns may be combinations of others beyond those in "
                      "aliased_, more than can be looked for or too nearly so to tell", RankWarning))  # fmt: skip
    if formed is not None:
        bse[formed.lost] = np.nan
        if covariance is not None and formed.lost.any():
            covariance = covariance.copy()
            covariance[formed.lost, :] = covariance[:, formed.lost] = np.nan
        first = shown.indices(formed.full)[0] if formed.full.size else 0
        notes += [(note.format(row=first), CovarianceWarning) for note in formed.notes]
    bse[~estimable] = np.nan
    if fitted.null.shape[1] and covariance is not None:
        covariance = covariance.copy()
        covariance[~estimable, :] = np.nan
        covariance[:, ~estimable] = np.nan

    if exact and df_resid > 0 and estimated:
        bse = np.where(estimable, 0.0, np.nan)
        covariance = None if covariance is None else np.where(np.isnan(covariance), np.nan, 0.0)
    if exact:
        left = "standard errors are 0" if df_resid > 0 else "no degrees of freedom are left, standard errors are NaN"
        notes.append((f"the model reproduces the response exactly (dispersion 0); {left}", ExactFitWarning))
    elif df_resid <= 0 and estimated and not separated:
        notes.append((f"no degrees of freedom are left ({nobs:g} observations, rank {rank}): "
                      "dispersion and standard errors are NaN", ExactFitWarning))  # fmt: skip
    if separated:
        infinite = np.isin(np.array(names), list(fitted.separation.coefficients))
        bse[infinite] = np.inf
        if covariance is not None:
            covariance = covariance.copy()
            covariance[infinite, :] = np.nan
            covariance[:, infinite] = np.nan
            covariance[np.diag_indices(size)] = np.where(infinite, np.inf, np.diag(covariance))
        which = ", ".join(f"{n} ({s})" for n, s in list(fitted.separation.coefficients.items())[:6])
        first = np.flatnonzero(rows)[:5].tolist()
        notes.append((
            f"{int(rows.sum())} of {rows.size} rows are separated (rows {', '.join(map(str, first))}"
            f"{', ...' if rows.sum() > 5 else ''}): the likelihood has no maximum, and the estimates of {which}"
            f"{', ...' if len(fitted.separation.coefficients) > 6 else ''} are infinite. "
            "Coefficients that are not named are right; see separation_", SeparationWarning))  # fmt: skip
    boundary: dict[str, Any] = {}
    if fitted.boundary_rows.size or fitted.boundary_parameters:
        boundary = {"rows": boundary_rows, "parameters": list(fitted.boundary_parameters)}
        what = [f"the linear predictor of row {', '.join(map(str, boundary_rows[:5]))}"] * bool(
            fitted.boundary_rows.size
        )
        what += [f"the parameter {name}" for name in fitted.boundary_parameters]
        notes.append((f"the maximum lies on the edge of the parameter space: {' and '.join(what)} is at its bound; "
                      "standard errors that depend on it are NaN", BoundaryWarning))  # fmt: skip
    converged = fitted.reason == "converged"
    if not converged and not separated:
        from ..errors import ConvergenceWarning

        why = REASONS.get(fitted.reason, fitted.reason).format(max_iter=model.max_iter)
        advice = ("Estimates and standard errors are not at the maximum; check the scale of the data, or give "
                  "start_params")  # fmt: skip
        searched = model.bias_reduction is not None and int(model.max_iter) >= PATIENT
        if searched and fitted.reason in ("stalled", "max_iter"):
            why = "no zero of the adjusted score was found, and in so small a sample there may be none"
            advice = "Take another bias_reduction, the canonical link or fewer columns, or give start_params"
        far = f"distance {fitted.decrement:.1e} standard errors"
        notes.append((f"not converged after {fitted.n_iter} steps: {why} ({far}). {advice}", ConvergenceWarning))

    llf, llnull = likelihoods(model, family, phi_likelihood, objective, ml, phi, count, exact, empty)
    null_deviance = empty[1]
    n_params = (
        rank + int(has_alpha) + int(family.has_dispersion and estimated) + (len(family.parameters) - 1 - int(has_alpha))
    )
    if model.weight_type == "probability" or not data.whole:
        n_params_aic = float("nan")
    else:
        n_params_aic = float("nan") if quasi else float(n_params)
    if not data.whole:
        llf = llnull = float("nan")
    positive = tuple(name for name, kind in list(family.parameters.items())[1:] if kind in ("positive", "nonnegative"))
    centred = None
    if determined is None and np.any(np.abs(design.centre * design.inverse_scale) > FAR):
        inside = covariance_of(
            model,
            fitted,
            fitted_likelihood,
            replace(design, centre=np.zeros_like(design.centre)),
            phi,
            nobs,
            rank,
            data.clusters,
        )[0]
        centre = np.zeros(p)
        centre[design.position[int(design.intercept) : design.dense_width]] = design.centre
        if inside is not None:
            if size > p:
                inside = other_parameters(coefficients, inside, bse, likelihood, p)[1]
            centred = centre, np.asarray(inside)
    if size > p:
        coefficients, covariance, bse = other_parameters(coefficients, covariance, bse, likelihood, p)
    if data.dropped:
        notes.append((f"{data.dropped} rows with missing values were left out", UserWarning))
    distance = fitted.decrement if np.isfinite(fitted.decrement) else float("inf")
    certificate = Certificate.of(distance, names, coefficients, _widest(fitted, design, bse, phi, floor))
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
        "cov_type": _cov_name(model, likelihood, formed),
        "weight_type": model.weight_type,
        "intercept": design.intercept,
        "positive": positive,
        "dropped_rows": data.dropped,
        "notes": tuple(message for message, _ in notes),
        "response": data.response_name,
        "bias_reduction": model.bias_reduction,
    }
    notes = [(m, k) for m, k in notes if k is not UserWarning]
    return Report(
        coefficients,
        result,
        converged,
        fitted.n_iter,
        fitted.n_restarts,
        aliased,
        fitted.separation if data.kept_rows is None else replace(fitted.separation, rows=rows),
        boundary,
        notes,
        None if keeping is None else _shown(keeping, names, phi),
        determined,
        centred,
    )


def _keep_to(
    keeping: Any, coefficients: np.ndarray, covariance: Any, bse: np.ndarray, notes: list[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Put coefficients at their bounds exactly; variances are zero where they are fixed, NaN where a bound holds."""
    covariance, bse = covariance.copy(), bse.copy()
    for j, bound in keeping.at_bound.items():
        coefficients[j] = bound
    for at, value in ((list(keeping.fixed), 0.0), (list(keeping.stopped), np.nan)):
        covariance[at, :] = covariance[:, at] = bse[at] = value
    restrictions = keeping.restrictions
    if restrictions.text:
        notes.append((f"under the constraints {restrictions.text}", UserWarning))
    if restrictions.bounded:
        names = restrictions.names
        held = ", ".join(f"{names[j]} = {bound:g}" for j, bound in keeping.at_bound.items())
        notes.append((f"under bounds of coefficients; reached: {held or 'none'}", UserWarning))
    return covariance, bse


def _shown(keeping: Any, names: tuple[str, ...], phi: float) -> Any:
    from ..keeping import constraints_of

    return constraints_of(keeping, names, phi)


def _cov_name(model: Any, likelihood: Likelihood, formed: Covariance | None) -> str:
    if formed is None:
        return "not formed"
    return "observed" if formed.name == "expected" and not likelihood.kernels.has_fisher else formed.name


def _widest(fitted: Fitted, design: Design, bse: np.ndarray, phi: float, floor: float) -> np.ndarray:
    """Standard errors for the certificate: those of an exact fit at the floor, upper bounds where none were formed."""
    with np.errstate(all="ignore"):
        if fitted.covariance is not None:
            if not np.any(bse == 0):
                return bse
            scale, inner = coordinates.congruent(design, np.nan_to_num(fitted.covariance))
            return np.where(bse == 0, np.sqrt(floor) * scale * np.sqrt(np.diag(inner)), bse)
        return (
            np.sqrt(phi if phi > 0 else floor) * coordinates.bound(design, fitted.widest) if fitted.widest.size else bse
        )


__all__ = ["Report", "report"]
