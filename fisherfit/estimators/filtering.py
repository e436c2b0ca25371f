"""A fit that learns from batches and keeps none: its parameters, their information, and a few sums.

The batches' log-likelihoods add up to -1/2 d'Jd around the parameters so far, J the observed information of all rows
at the parameters of their time. A new batch moves the parameters to the maximum of its own log-likelihood and that
quadratic (`optimize.online`); what the move costs on earlier rows is added to the deviance and to Pearson's statistic,
which for a linear model is exact. Standard errors come from the expected information, summed alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..blocks import Design, constant_design, without_rows
from ..coordinates import congruent
from ..covtypes import read_cov_type
from ..dispersion import base_terms
from ..errors import BoundaryWarning, InputError
from ..families import ExponentialDispersion, Family, NegativeBinomial
from ..inference import other_parameters
from ..kernels import Kernels, kernels_of
from ..likelihood import EXPECTED, OBSERVED, VALUE, Likelihood
from ..linalg import cholesky
from ..links import Link, get_link
from ..optimize.online import implicit_update
from ..result import Certificate
from ..separation import Separation
from .batch_rows import Rows
from .meat import Meat, robust
from .report import Report

CLEARLY = 4.0  # standard errors by which alpha is above 0 where its logarithm is what is estimated


def _has_alpha(family: Family) -> bool:
    return isinstance(family, NegativeBinomial) and family.alpha is None


@dataclass(frozen=True, eq=False)
class Sums:
    """What is added up over rows; `null` is the objective at the linear predictor `eta0` for every row."""

    observations: float = 0.0
    nobs: float = 0.0
    weight: float = 0.0
    weighted: float = 0.0
    objective: float = 0.0
    pearson: float = 0.0
    base: float = 0.0
    null: float = 0.0
    eta0: float = 0.0
    offset: bool = False
    whole: bool = True
    dropped: int = 0
    batches: int = 0


@dataclass(frozen=True, eq=False)
class Filter:
    """The state between batches, in standardised coordinates."""

    kernels: Kernels
    design: Design
    theta: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    sums: Sums
    first: tuple[np.ndarray, np.ndarray]  # the estimate of the rows that were held, and their observed information
    meat: Meat | None = None
    moved: float = 0.0  # the farthest that the estimate has been from the first, d'Jd with the first J
    before: float = 0.0  # the same without the last batch

    @property
    def ordered(self) -> bool:
        """True where the estimate moved farther than rows in random order move it."""
        return self.moved > far(self.theta.size)

    def update(self, model: Any, family: Family, rows: Rows, threads: int) -> Filter:
        """The state after a batch."""
        part = likelihood_of(model, self.kernels, rows, threads)
        at = part.evaluate(self.theta, VALUE).loglik
        if not np.isfinite(at):
            raise InputError("the log-likelihood of the batch is not finite at the parameters so far; look for a row "
                             "that the model rules out")  # fmt: skip

        def value(theta: np.ndarray) -> float:
            return float(part.evaluate(theta, VALUE).loglik)

        def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            there = part.evaluate(theta, OBSERVED)
            return there.score, there.information

        bound = np.full(self.theta.size, -np.inf)
        supports = list(family.parameters.values())[1:]
        for k, (support, link) in enumerate(zip(supports, self.kernels.links[1:], strict=True)):
            if support == "nonnegative" and link.name == "identity":
                bound[self.design.width + k] = 0.0
        found = implicit_update(value, derivatives, self.theta, self.observed, bound=bound)
        expected, observed, pearson = informations(part, family, found.theta)
        together = self.observed + observed
        if cholesky(together) is None:
            together = self.observed + expected
        sums = add(self.sums, model, family, part, rows, value(found.theta), pearson)
        sums = replace(sums, objective=sums.objective - found.lost, pearson=sums.pearson + 2.0 * found.lost)
        d, meat = found.theta - self.first[0], Meat.of(model, part, found.theta, rows.codes)
        if meat is not None and self.meat is not None:
            meat = self.meat + meat
        return replace(self, theta=found.theta, observed=together, expected=self.expected + expected, sums=sums,
                       meat=meat, moved=max(self.moved, float(d @ self.first[1] @ d)), before=self.moved)  # fmt: skip


def far(size: int) -> float:
    """A squared distance, in standard errors of a part of a sample, that the whole is hardly ever at.

    It is at the most distributed about as chi-squared, with as many degrees of freedom as parameters.
    """
    return 2.0 * size + 60.0


def begin(
    model: Any, family: Family, links: tuple[Link, ...], rows: Rows, coefficients: np.ndarray, threads: int,
    batches: int,
) -> Filter | None:  # fmt: skip
    """The state after the rows that were held, fitted exactly; None where they do not say enough yet."""
    design, p = rows.design, rows.design.width
    if _has_alpha(family) and coefficients[p] > 0.0:
        at = np.concatenate([design.from_user(coefficients[:p]), coefficients[p:]])
        there = likelihood_of(model, kernels_of(family, links), rows, threads)
        if coefficients[p] ** 2 * informations(there, family, at)[0][p, p] > CLEARLY**2:
            links = (*links[:1], get_link("log"))  # its likelihood is closer to a quadratic there
    kernels = kernels_of(family, links)
    theta = np.concatenate([design.from_user(coefficients[: design.width]), coefficients[design.width :]])
    for k, link in enumerate(links[1:]):
        theta[design.width + k] = float(link.forward(theta[design.width + k]))
    part = likelihood_of(model, kernels, rows, threads)
    expected, observed, pearson = informations(part, family, theta)
    factor = cholesky(observed)
    if factor is None or factor.reciprocal_condition < 1e-10 or cholesky(expected) is None:
        return None
    eta0 = 0.0
    if design.intercept and isinstance(family, ExponentialDispersion):
        with np.errstate(all="ignore"):
            eta0 = float(links[0].forward(part.moments()[0]))
        if not np.isfinite(eta0):
            return None
    before = Sums(eta0=eta0, batches=batches - 1)
    sums = add(before, model, family, part, rows, float(part.evaluate(theta, VALUE).loglik), pearson)
    return Filter(kernels, without_rows(design, 0), theta, observed, expected, sums, (theta, observed),
                  Meat.of(model, part, theta, rows.codes))  # fmt: skip


def likelihood_of(model: Any, kernels: Kernels, rows: Rows, threads: int) -> Likelihood:
    """The likelihood of some rows."""
    others = [constant_design(rows.design.n, name) for name in list(kernels.family.parameters)[1:]]
    repeats = rows.user_weight if model.weight_type == "frequency" else None
    return Likelihood(kernels, (rows.design, *others), rows.y, rows.weight, rows.offset, threads, True, repeats)


def informations(part: Likelihood, family: Family, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Expected and observed information of some rows, and Pearson's statistic."""
    there = part.evaluate(theta, EXPECTED)
    expected, p = there.information, part.designs[0].width
    if _has_alpha(family):  # that of the steps is not exact for alpha
        mu = part.kernels.links[0].mean(part.linear_predictor(theta))
        expected = expected.copy()
        expected[p:, :] = expected[:, p:] = 0.0
        link = part.kernels.links[1]
        alpha, slope = float(link.mean(theta[p])), float(link.slope(theta[p]))
        expected[p, p] = slope**2 * float(np.sum(part.weight * family.expected_alpha(mu, alpha)))  # type: ignore[attr-defined]
    pearson = there.pearson if isinstance(family, (ExponentialDispersion, NegativeBinomial)) else float("nan")
    return expected, part.evaluate(theta, OBSERVED).information, pearson


def add(sums: Sums, model: Any, family: Family, part: Likelihood, rows: Rows, objective: float, pearson: float) -> Sums:
    """The sums with some more rows."""
    present = rows.weight > 0.0
    y, w = rows.y[present], rows.weight[present]
    null = float("nan")
    if isinstance(family, ExponentialDispersion):
        constant = replace(part, designs=(constant_design(part.n, "Intercept"),), offset=None)
        null = float(constant.evaluate(np.array([sums.eta0]), VALUE).loglik)
    divides = model.weight_type == "analytic" and (family.has_dispersion or family.takes_trials)
    block = (rows.y, rows.user_weight, rows.trials)
    base = float(base_terms(part.kernels, block, 1.0, divides, part.threads)[0])
    count = float(part.observations)
    return Sums(
        sums.observations + count,
        sums.nobs + (float(rows.user_weight[present].sum()) if model.weight_type == "frequency" else count),
        sums.weight + float(w.sum()), sums.weighted + float(w @ y), sums.objective + objective,
        sums.pearson + pearson, sums.base + base, sums.null + null, sums.eta0,
        sums.offset or rows.offset is not None, sums.whole and rows.whole, sums.dropped + rows.dropped,
        sums.batches + 1,
    )  # fmt: skip


def report_of(model: Any, family: Family, state: Filter, response: str) -> Report:
    """What a fit by batches hands to the estimator after each."""
    design, sums, p = state.design, state.sums, state.design.width
    names = (*design.names, *list(family.parameters)[1:])
    notes: list[tuple[str, type[Warning]]] = []
    has_alpha = _has_alpha(family)
    edm = isinstance(family, ExponentialDispersion) or (isinstance(family, NegativeBinomial) and not has_alpha)
    df_resid = sums.nobs - p - int(has_alpha)
    deviance = -2.0 * sums.objective if edm else float("nan")
    estimator = model.dispersion if model.dispersion is not None else ("pearson" if family.has_dispersion else 1.0)
    closed = family.dispersion_ml(deviance, sums.nobs) if family.has_dispersion else 1.0  # type: ignore[attr-defined]
    ml = float("nan") if closed is None else float(closed)
    if isinstance(estimator, str):
        of_deviance = ml if family.has_dispersion else deviance / sums.nobs
        phi = (
            of_deviance if estimator == "ml" else {"pearson": sums.pearson, "deviance": deviance}[estimator] / df_resid
        )
    else:
        phi = float(estimator)
    information = state.observed if model.cov_type == "observed" else state.expected
    boundary: dict[str, Any] = {}
    free = np.ones(len(names), bool)
    if has_alpha and state.kernels.links[1].name == "identity" and state.theta[-1] == 0.0:
        free[-1] = False
        boundary = {"rows": np.zeros(0, int), "parameters": ["alpha"]}
        notes.append(("the maximum lies on the edge of the parameter space: the parameter alpha is at its bound; "
                      "standard errors that depend on it are NaN", BoundaryWarning))  # fmt: skip
    covariance = np.full(information.shape, np.nan)
    factor = cholesky(information[np.ix_(free, free)])
    if factor is not None:
        covariance[np.ix_(free, free)] = factor.inverse()
    scale, inner = congruent(design, np.where(np.isnan(covariance), 0.0, covariance))
    covariance = phi * (scale[:, None] * inner * scale)
    name = model.cov_type if state.kernels.has_fisher or state.meat is not None else "observed"
    if state.meat is not None and factor is not None:
        matrix, name = robust(
            read_cov_type(model.cov_type), state.meat, factor.inverse(), free, phi, sums.nobs, p + int(has_alpha)
        )
        scale, inner = congruent(design, matrix)
        covariance = scale[:, None] * inner * scale
    covariance[~free, :] = covariance[:, ~free] = np.nan
    coefficients = np.concatenate([design.to_user(state.theta[:p]), state.theta[p:]])
    with np.errstate(all="ignore"):
        bse = np.sqrt(np.diag(covariance))
    if len(names) > p:
        part = Likelihood(state.kernels, (design,), np.empty(0), np.empty(0))
        coefficients, more, bse = other_parameters(coefficients, covariance, bse, part, p)
        covariance = np.asarray(more)
    null_objective = _null(family, sums, design, state.kernels.links[0]) if edm else float("nan")
    llf = llnull = float("nan")
    if sums.whole and closed is not None:
        llf = _loglik(family, sums, sums.objective, phi if not isinstance(estimator, str) else ml)
        null_ml = 1.0
        if family.has_dispersion:
            null_ml = float(family.dispersion_ml(-2.0 * null_objective, sums.nobs))  # type: ignore[attr-defined]
        llnull = _loglik(family, sums, null_objective, phi if not isinstance(estimator, str) else null_ml)
    estimated = isinstance(estimator, str)
    quasi = not family.has_dispersion and model.dispersion is not None and model.dispersion != 1.0
    extra = len(family.parameters) - 1 + int(family.has_dispersion and estimated)
    notes.append((f"fitted to {sums.batches} batches, one after the other, which differs from a fit to all rows by "
                  "what is of third order in the distance that the estimate has moved", UserWarning))  # fmt: skip
    if state.ordered:
        from ..errors import ConvergenceWarning  # brings scikit-learn, whose warning it is

        text = (f"the estimate has moved by {np.sqrt(state.moved):.0f} standard errors of the rows that were held "
                "first: the rows come in an order, and what is fitted to them batch by batch is not what all of them "
                "at once would give; shuffle them, or use fit")  # fmt: skip
        notes.append((text, UserWarning if state.before > far(state.theta.size) else ConvergenceWarning))
    result = {
        "names": names, "coefficients": coefficients, "covariance": covariance, "standard_errors": bse,
        "family": repr(family) if family.fields else family.name,
        "links": (state.kernels.links[0].name, *map(family.default_link, list(family.parameters)[1:])), "llf": llf,
        "llnull": llnull, "deviance": deviance,
        "null_deviance": -2.0 * null_objective, "pearson_chi2": sums.pearson, "dispersion": phi, "dispersion_ml": ml,
        "dispersion_method": estimator if estimated else "fixed", "nobs": sums.nobs, "rank": p,
        "n_params": float("nan") if quasi or not sums.whole else float(p + extra), "df_resid": df_resid,
        "use_t": estimated, "certificate": Certificate.of(float("nan"), names, coefficients, bse),
        "converged": not state.ordered,
        "n_iter": sums.batches, "cov_type": name,
        "weight_type": model.weight_type, "intercept": design.intercept,
        "positive": tuple(n for n, kind in list(family.parameters.items())[1:] if kind in ("positive", "nonnegative")),
        "dropped_rows": sums.dropped, "notes": tuple(message for message, _ in notes), "response": response,
        "bias_reduction": None,
    }  # fmt: skip
    notes = [(text, kind) for text, kind in notes if kind is not UserWarning]
    return Report(
        coefficients, result, not state.ordered, sums.batches, 0, [], Separation(np.zeros(0, bool)), boundary, notes
    )


def _loglik(family: Family, sums: Sums, objective: float, phi: float) -> float:
    """The log-likelihood at phi: the base terms of a normal or inverse Gaussian response hold -1/2 log phi each."""
    if not family.has_dispersion:
        return objective + sums.base
    return objective / phi + sums.base - 0.5 * sums.nobs * float(np.log(phi)) if phi > 0.0 else float("inf")


def _null(family: Any, sums: Sums, design: Design, link: Link) -> float:
    """Minus half the deviance of the model without covariates.

    A unit deviance is linear in y up to a term of y alone, so that the sum at one mean gives it at any other.
    """
    if sums.offset or not isinstance(family, ExponentialDispersion):
        return float("nan")
    if not design.intercept:
        return sums.null
    mean, at = sums.weighted / sums.weight, float(np.asarray(link.mean(np.array([sums.eta0])))[0])
    kernels = kernels_of(family, (link,))
    single = Likelihood(kernels, (constant_design(1, "Intercept"),), np.array([mean]), np.array([sums.weight]))
    return sums.null - float(single.at_constant(float(link.forward(at))))


__all__ = ["Filter", "begin", "report_of"]
