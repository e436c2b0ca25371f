"""Estimates of reduced bias: from a start to the zero of an adjusted score, or to a named trouble."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from . import separation as sep
from .adjusted_score import PhiOf, Problem
from .adjusted_steps import elsewhere, vanish
from .families import Family, NegativeBinomial
from .kernels import EXPECTED, VALUE, kernels_of
from .likelihood import Likelihood
from .linalg import cholesky
from .model import Fitted, Model, independent_columns_of
from .overdispersion import at_bound
from .solver import natural_gradient
from .starts import null_start, starting_mean

PATIENT = 20  # max_iter from which on other starts are tried where the steps from one have not arrived


def maximise_adjusted(
    likelihood: Likelihood,
    family: Family,
    kind: str,
    phi_of: PhiOf,
    *,
    canonical: bool,
    floor: float,
    count: float,
    start: np.ndarray | None,
    max_iter: int,
    tol: float,
    callback: Callable[[int, float, float], None] | None = None,
) -> Fitted:
    """The estimates of reduced bias, finite where the maximum-likelihood estimates are not.

    Parameters
    ----------
    kind : {"mean", "median", "jeffreys"}
        The adjustment of the score.
    phi_of : callable
        (evaluation, rank) -> the dispersion at a point.
    canonical, floor, count, start, max_iter, tol, callback
        As in `fitting.maximise`.
    """
    model = Model(likelihood, canonical, family.has_dispersion, floor, count)
    size, p = sum(likelihood.widths), likelihood.designs[0].width
    free, null, complete = np.ones(size, bool), np.zeros((p, 0)), True
    begin = null_start(likelihood, family)
    first = likelihood.evaluate(begin, EXPECTED).information
    if model.needs_rows(cholesky(first[:p, :p]) if np.isfinite(first).all() else None):
        free[:p], null, complete = independent_columns_of(likelihood)
        begin = np.where(free, begin, 0.0)
    problem = Problem(model, family, kind, phi_of, free)
    inside = shrunken_start(model, free, begin)
    restarts, found = -1, None
    for at in (start, inside, begin):
        if at is None:
            continue
        restarts += 1
        again = vanish(problem, np.where(free, at, 0.0), max_iter, tol, callback)
        if again is not None and (found is None or again[2] == "converged" or again[0].decrement < found[0].decrement):
            found = again
        if again is not None and (again[2] == "converged" or (again[2] == "max_iter" and max_iter < PATIENT)):
            break
    if max_iter >= PATIENT and (found is None or found[2] != "converged"):
        starts = [np.where(free, at, 0.0) for at in (start, inside, begin) if at is not None]
        again = elsewhere(problem, starts, max_iter, tol)
        found, restarts = (again, restarts + 1) if again is not None else (found, restarts)
    if found is None:
        return _nowhere(likelihood, family, begin, free, null, restarts)
    here, n_iter, reason, history = found
    covariance = np.full((size, size), np.nan)
    covariance[np.ix_(free, free)] = here.factor.inverse()
    return Fitted(
        here.theta + here.step if reason == "converged" else here.theta, here.theta, here.step, here.evaluation,
        here.evaluation.information, covariance, here.evaluation.loglik, math.sqrt(here.decrement), n_iter,
        max(restarts, 0), reason, free, null, sep.Separation(likelihood.no_rows()), np.zeros(0, int), (),
        np.ones(size, bool), history=history, rank_certain=complete,
    )  # fmt: skip


def adjusted_with_bound(
    run: Callable[[Likelihood, Family, np.ndarray | None], Fitted], likelihood: Likelihood, family: Family, kind: str,
    start: np.ndarray | None,
) -> Fitted:  # fmt: skip
    """Estimates of reduced bias; of a negative binomial with free alpha at alpha = 0 where there is no zero above.

    `run` is `maximise_adjusted` for some rows, family and start.
    """
    if not (isinstance(family, NegativeBinomial) and family.alpha is None):
        return run(likelihood, family, start)
    p = likelihood.designs[0].width
    if start is None or start.size == p:
        guess = max(starting_mean(family, likelihood.y, likelihood.weight)[1], 0.05)
        fixed = type(family)(alpha=guess)
        single = single_parameter(likelihood, fixed)
        start = np.append(run(single, fixed, start).theta, guess)
    inside = run(likelihood, family, start)
    if inside.reason == "converged" and inside.theta[-1] > 0.0:
        return inside
    poisson = run(single_parameter(likelihood, type(family)(alpha=0.0)), type(family)(alpha=0.0), inside.theta[:p])
    if poisson.reason != "converged":
        return inside
    edge = np.append(poisson.point, 0.0)
    model = Model(likelihood, False, False, 0.0, float(likelihood.observations))
    free = np.append(poisson.kept, True)
    there = Problem(model, family, kind, lambda evaluation, rank: 1.0, free).at(edge)
    if there is None or there.score[-1] > 0.0:
        return inside
    return at_bound(poisson, edge, likelihood.evaluate(edge, VALUE).loglik, float(there.evaluation.score[-1]))


def single_parameter(likelihood: Likelihood, fixed: Family) -> Likelihood:
    """The same rows with alpha known."""
    kernels = kernels_of(fixed, likelihood.kernels.links[:1])
    return replace(likelihood, kernels=kernels, designs=likelihood.designs[:1])


def _nowhere(
    likelihood: Likelihood, family: Family, theta: np.ndarray, free: np.ndarray, null: np.ndarray, restarts: int
) -> Fitted:
    """No start at which everything is finite."""
    evaluation, size = likelihood.evaluate(theta, EXPECTED), theta.size
    return Fitted(
        theta, theta, np.zeros(size), evaluation, evaluation.information, np.full((size, size), np.nan),
        evaluation.loglik, math.inf, 0, restarts, "infeasible", free, null, sep.Separation(likelihood.no_rows()),
        np.zeros(0, int), (), np.ones(size, bool),
    )  # fmt: skip


def shrunken_start(model: Model, free: np.ndarray, begin: np.ndarray) -> np.ndarray | None:
    """The maximum for responses moved a little towards a common mean: finite under separation, and near the answer.

    Where all responses are equal, so that their mean is at the end of its range, half an observation is added to it.
    """
    likelihood = model.likelihood
    if begin.size > likelihood.designs[0].width:
        return None
    mean, _ = likelihood.moments()
    share = free.sum() / (free.sum() + (model.count if model.has_dispersion else max(model.total, 1.0)))
    if likelihood.kernels.family.name == "binomial":
        mean = (mean * model.total + 0.5) / (model.total + 1.0)
    elif mean == 0.0:
        mean = 0.5 / max(model.total, 0.5)
    moved = replace(likelihood, y=(1.0 - share) * likelihood.y + share * mean)
    found = natural_gradient(replace(model, likelihood=moved), begin, free=free, max_iter=50, tol=1e-6)
    return found.theta if found.converged and np.isfinite(found.theta).all() else None


__all__ = ["adjusted_with_bound", "maximise_adjusted"]
