"""From a likelihood to its certified maximum: start, rank, solver, separation, boundary, in that order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import bounds
from . import separation as sep
from .conjugate import MARGIN, Conjugate
from .families import Family
from .infinite import find_separation, finite_part
from .likelihood import EXPECTED, OBSERVED, SCORE, Evaluation, Likelihood, dense_design
from .linalg import EPS, Factor, cholesky, residuals
from .model import DENSE_LIMIT, Fitted, Model, covariance_formed, independent_columns_of, is_large, rank_by_probes
from .solver import CONTRACTION, Solution, natural_gradient, search
from .starts import further_starts, interior_start, may_have_several, null_start

DIVERGES = 0.1  # the same, of a path that has no end though its separation cannot be shown
MOVES = 1e-3  # a last step that moves some linear predictor by more than this asks for the separation check
COARSE, FINE = 30, 200  # rows for every coefficient in the two samples of the pilot
SETTLED = 0.2  # decrement for every coefficient, small against the error of a sample, at which a pilot ends
WEAK = 1e-3  # reciprocal condition below which standard errors come from a QR factor of the rows
PATIENCE = 8  # steps in a row that contract slowly after which a long fit looks for separation
LONG = 1_000_000  # rows times coefficients of such a fit


def maximise(
    likelihood: Likelihood,
    family: Family,
    *,
    canonical: bool,
    has_dispersion: bool,
    start: np.ndarray | None,
    max_iter: int,
    tol: float,
    callback: Callable[[int, float, float], None] | None = None,
    count: float | None = None,
) -> Fitted:
    """Fit a model: from a start to a certified maximum, or to a named trouble.

    Where the likelihood may have several maxima and a fit costs next to nothing, it is the highest of those that are
    reached from several starts.
    """

    def climb(at: np.ndarray | None) -> Fitted:
        return _ladder(likelihood, family, canonical=canonical, has_dispersion=has_dispersion, start=at,
                       max_iter=max_iter, tol=tol, callback=callback, count=count)  # fmt: skip

    best = climb(start)
    if start is None and may_have_several(likelihood):
        for at in further_starts(likelihood, family):
            again = climb(at)
            more = again.loglik - best.loglik
            if again.reason == "converged" and (best.reason != "converged" or more > 1e-9 * max(1.0, abs(best.loglik))):
                best = replace(again, n_restarts=best.n_restarts + 1)
    return best


def _ladder(
    likelihood: Likelihood,
    family: Family,
    *,
    canonical: bool,
    has_dispersion: bool,
    start: np.ndarray | None,
    max_iter: int,
    tol: float,
    callback: Callable[[int, float, float], None] | None = None,
    count: float | None = None,
) -> Fitted:
    """The ladder of one start."""
    count = float(likelihood.observations) if count is None else count
    floor = rounding_floor(likelihood, family, count) if has_dispersion else 0.0
    p = likelihood.designs[0].width
    kept, null = np.ones(sum(likelihood.widths), bool), np.zeros((p, 0))
    begin = origin = null_start(likelihood.typical(), family)
    model = Model(likelihood, canonical, has_dispersion, floor, count)
    # in every k-th row sparse columns may have no entries, or separate
    sampled = (model.lazy or likelihood.streamed) and likelihood.designs[0].sparse is None
    pilot = _pilot(model, begin) if start is None and sampled else None
    if pilot is None:  # where a pass is long, the given start is evaluated and not the null model
        first = start if start is not None and likelihood.streamed else begin
        pilot = Pilot(first, None, likelihood.evaluate(first, EXPECTED))
    constant = None
    if pilot.first is not None and pilot.theta is begin and likelihood.designs[0].intercept and begin.size == p:
        constant = None if likelihood.has_offset else (float(begin[0]), pilot.first.loglik)
    begin, factor = begin if start is not None else pilot.theta, pilot.metric
    complete = True
    if factor is None and not likelihood.matrix_free:
        assert pilot.first is not None
        factor = pilot.first.factor if kept.size == p else cholesky(pilot.first.information[:p, :p])
    uncertain = likelihood.matrix_free or model.needs_rows(factor)
    if uncertain:
        kept[:p], null, complete = independent_columns_of(likelihood)
    if uncertain and not rank_by_probes(likelihood):
        design = likelihood.designs[0]
        begin = origin = np.where(kept, begin, 0.0) if design.intercept else begin
        pilot = Pilot(begin)
        if model.is_linear:
            likelihood.hold()
        if model.is_linear and design.centre.any() and not likelihood.streamed:
            # compensated least squares needs the columns exactly; the rounding of x - centre would be a perturbation
            exact = design.uncentred()
            null = np.linalg.solve(exact.jacobian(), design.jacobian() @ null)
            likelihood = replace(likelihood, designs=(exact, *likelihood.designs[1:]))
            model = replace(model, likelihood=likelihood)

    def solve(at: np.ndarray, patience: int | None = None) -> Solution:
        return natural_gradient(
            model,
            at,
            first=pilot.first if at is pilot.theta else None,
            metric=pilot.metric if at is pilot.theta else None,
            free=kept,
            max_iter=max_iter,
            tol=tol,
            callback=callback,
            patience=patience,
        )

    def limit(found: tuple[sep.Found, np.ndarray]) -> Fitted:
        fitted = finite_part(likelihood, family, *found, canonical, kept, max_iter, tol)
        return replace(fitted, n_restarts=restarts, null=null, rank_certain=complete)

    restarts = 0
    if start is not None:
        solution = solve(start)
        if (not solution.converged and solution.reason != "max_iter") or (
            solution.reason == "max_iter" and max_iter >= 20
        ):
            restarts, again = 1, solve(begin)
            solution = (
                again if again.converged or not again.evaluation.loglik < solution.evaluation.loglik else solution
            )
            if not np.isfinite(solution.evaluation.loglik):
                solution = again
    else:
        solution = solve(begin, PATIENCE if likelihood.n * p > LONG else None)
        if solution.reason == "runaway":  # dozens of passes more would not say more
            found = find_separation(likelihood, family, kept, solution.step)
            if found is not None:
                return limit(found)
            solution = solve(solution.theta)
        if not solution.converged and begin is not origin:
            restarts, again = (
                1,
                natural_gradient(model, origin, free=kept, max_iter=max_iter, tol=tol, callback=callback),
            )
            solution = again if again.converged else solution
    if solution.reason == "infeasible":
        likelihood.hold()
        inner = None if likelihood.streamed else interior_start(likelihood, family)
        if inner is not None:
            restarts, solution = restarts + 1, solve(inner)

    edge = _bounded(model, family, solution, kept, tol, max_iter)
    if edge is not None:
        return replace(edge, n_restarts=restarts, null=null)
    found = None
    if suspicious := _suspicious(model, solution):
        found = find_separation(likelihood, family, kept, solution.step)
    if found is not None:
        return limit(found)
    if suspicious and is_large(likelihood) and solution.converged and likelihood.largest_move(solution.step) > DIVERGES:
        solution = replace(solution, reason="diverging")
    return replace(_regular(model, solution, kept, null, restarts, constant), rank_certain=complete)


@dataclass(frozen=True, eq=False)
class Pilot:
    """Where a sample of the rows says the maximum is, and the information there: its factor, or an evaluation."""

    theta: np.ndarray
    metric: Factor | None = None
    first: Evaluation | None = None


def _pilot(model: Model, begin: np.ndarray) -> Pilot | None:
    """The maximum on a small sample, moved on by one step on a larger one, whose information serves for chord steps.

    Samples are every k-th row, k a prime, so that sorted data and periods do no harm. None where the sample has no
    maximum, or one that is far from that of all rows.
    """
    p = begin.size
    sample = model.on(model.likelihood.thinned(COARSE * p, 37))
    if not (sample.likelihood.weight > 0.0).any():
        return None
    first = sample.evaluate(begin, EXPECTED)
    assert first.information is not None
    seen = np.diag(first.information) > 0.0
    found = natural_gradient(sample, begin, first=first, free=seen, max_iter=20, tol=SETTLED * p)
    if not found.converged or not np.all(np.isfinite(found.theta)):
        return None
    finer = model.on(model.likelihood.thinned(FINE * p, 11))
    if seen.all() and finer.likelihood.n < model.likelihood.n:
        moved = _moved_on(finer, found.theta, model.likelihood.n / finer.likelihood.n)
        if moved is not None:
            return moved
    whole = model.evaluate(found.theta, EXPECTED)
    assert whole.information is not None
    factor = cholesky(whole.information)
    if factor is None or not np.isfinite(whole.loglik):
        return None
    decrement = float(whole.score @ factor.solve(whole.score)) / model.dispersion(whole)
    return Pilot(found.theta, None, whole) if decrement < 0.05 * model.total else None


def _moved_on(sample: Model, theta: np.ndarray, ratio: float) -> Pilot | None:
    """Steps on a sample until what is left is small against its error; the factor is kept while they contract."""
    factor: Factor | None = None
    there = sample.evaluate(theta, EXPECTED if sample.canonical else OBSERVED)
    before = np.inf
    for _ in range(12):
        phi = sample.dispersion(there)
        if there.information is not None:
            factor = cholesky(ratio * there.information)
        if factor is None or not np.isfinite(there.loglik):
            return None
        step = factor.solve(ratio * there.score)
        left = float(there.score @ step) / phi
        if there.information is None:
            if left < SETTLED * theta.size:
                return Pilot(theta, replace(factor, matrix=None))  # a metric needs no refinement of its solutions
            if left > CONTRACTION**2 * before:
                there = sample.evaluate(theta, EXPECTED if sample.canonical else OBSERVED)
                before = np.inf
                continue
        before = left
        moved = search(sample, theta, there, step, phi, SCORE, factor.length(theta))
        if moved is None:
            return None
        theta, there = moved
    return None


def rounding_floor(likelihood: Likelihood, family: Family, count: float) -> float:
    """(16 eps)^2 times the sum of w y^2 / V(mu) over n: dispersions below it are rounding."""
    mean, square = likelihood.moments()
    scale = float(np.sqrt(square))
    with np.errstate(all="ignore"):
        v = float(np.asarray(family.variance(mean if mean > 0 else (scale or 1.0))))
    ratio = scale * scale / v if v > 0 and np.isfinite(v) else 1.0
    return float(max((16 * EPS) ** 2 * ratio * (likelihood.total / count), 1e-300))


def _regular(
    model: Model, solution: Solution, kept: np.ndarray, null: np.ndarray, restarts: int,
    constant: tuple[float, float] | None = None,
) -> Fitted:  # fmt: skip
    information = solution.evaluation.information
    size = kept.size
    factor = solution.factor
    if isinstance(factor, Factor) and factor.matrix is not None and model.needs_rows(factor, WEAK):
        # the inverse of a Cholesky factor loses the digits of the condition; a QR of the rows half of them
        better, _ = model.factor(solution.point, solution.evaluation, kept)
        factor = better if better is not None else factor
    information, covariance = covariance_formed(information, factor, kept)
    widest = np.full(size if covariance is None else 0, np.nan)
    if isinstance(factor, Conjugate) and covariance is None:  # F^-1 is at most diag(F)^-1 over the smallest eigenvalue
        with np.errstate(all="ignore"):
            widest[kept] = 1.0 / (factor.scale * np.sqrt(MARGIN * factor.smallest))
    evaluation = solution.evaluation
    exact = model.is_linear and solution.converged and not model.likelihood.streamed
    if exact and isinstance(factor, Factor) and factor.matrix is None:
        free = kept[: model.likelihood.designs[0].width]  # residuals as exact as the coefficients
        x, y = model.linear_system(free)
        rest = residuals(x, y, solution.point[: free.size][free], solution.step[: free.size][free])
        evaluation = replace(evaluation, loglik=-0.5 * float(rest @ rest), pearson=float(rest @ rest))
    noise = math.hypot(rounding_noise(model, solution, kept), difference_noise(model, solution))
    return Fitted(
        solution.theta, solution.point, solution.theta - solution.point if not solution.converged else solution.step,
        evaluation, information, covariance, evaluation.loglik,
        math.hypot(math.sqrt(solution.decrement), noise), solution.n_iter, restarts, solution.reason, kept, null,
        sep.Separation(model.likelihood.no_rows()), np.zeros(0, int), (), np.ones(size, bool),
        design=model.likelihood.designs[0], history=solution.history, widest=widest, constant=constant,
    )  # fmt: skip


def rounding_noise(model: Model, solution: Solution, kept: np.ndarray) -> float:
    """What rounding in the linear predictors and residuals can add to the distance from the maximum, in its units.

    eps times the Fisher length of the coefficients: the decrement of a score computed with errors of that size.
    """
    information = solution.evaluation.information
    diagonal = information.diagonal()
    length = float(np.abs(diagonal) @ solution.theta**2) / solution.dispersion
    return EPS * math.sqrt(length) if math.isfinite(length) else 0.0


def difference_noise(model: Model, solution: Solution) -> float:
    """What the errors of a score taken by differences can add to the distance from the maximum.

    With errors e of the rows' scores, the length of X'e in the metric of X'WX is at most that of e / sqrt(W).
    """
    lik = model.likelihood
    if lik.kernels.noise is None:
        return 0.0
    k = len(lik.designs)
    diagonal = np.cumsum([0, *range(k, 1, -1)])
    size, total = np.zeros(k), 0.0
    for _, part in lik.parts():
        size += np.abs(part.row_terms(solution.point)[1][diagonal]).sum(axis=1)
    scale = size / lik.n
    for _, part in lik.parts():
        eta = np.stack([part.linear_predictor(solution.point, j) for j in range(k)])
        error = np.empty_like(eta)
        lik.kernels.noise(part.y, part.weight, np.ascontiguousarray(eta), lik.kernels.constants, error)
        w = part.terms_at(eta)[1][diagonal]
        with np.errstate(all="ignore"):
            total += float(np.sum(error**2 / np.maximum(w, 1e-3 * scale[:, None])))
    return float(np.sqrt(total / solution.dispersion)) if np.isfinite(total) else 0.0


def _suspicious(model: Model, solution: Solution) -> bool:
    """Does the end of the path look as it does under separation?"""
    factor, likelihood = solution.factor, model.likelihood
    if not solution.converged or factor is None or (isinstance(factor, Factor) and model.needs_rows(factor)):
        return True
    p = likelihood.designs[0].width
    design = likelihood.designs[0]
    bound = np.abs(solution.step[:p])
    standardised = not design.categorical and design.sparse is None
    if standardised and float(bound.sum()) * np.sqrt(likelihood.n) * 16.0 < MOVES:
        return False
    return likelihood.largest_move(solution.step) > MOVES


def _bounded(
    model: Model, family: Family, solution: Solution, kept: np.ndarray, tol: float, max_iter: int
) -> Fitted | None:
    """The maximum on the edge, where the solver stopped at one; None where there is no edge to stop at."""
    lik = model.likelihood
    if len(lik.designs) > 1 or lik.n * sum(lik.widths) > DENSE_LIMIT or (solution.converged and lik.streamed):
        return None
    link = lik.kernels.links[0].name
    lower, upper = bounds.eta_range(link, next(iter(family.parameters.values())))
    if not (np.isfinite(lower) or np.isfinite(upper)) or not np.isfinite(solution.evaluation.loglik):
        return None
    if solution.converged:  # information grows without end at a bound, so that steps shrink before the maximum is there
        near = bounds.touched(lik.linear_predictor(solution.theta), (lower, upper)) & (lik.weight > 0.0)
        if not near.any():
            return None
    lik.hold()
    if lik.streamed:
        return None
    ends = bounds.attainable(family.name, link, lik.y, lower, upper)
    found = bounds.maximise(lik, dense_design(lik), solution.point, kept, (lower, upper), ends,
                            model.dispersion(solution.evaluation), tol, max_iter)  # fmt: skip
    if not found.converged or (solution.converged and not found.active.size):
        return None
    evaluation = replace(solution.evaluation, loglik=found.loglik, score=found.score, information=found.information)
    size = kept.size
    covariance = np.full((size, size), np.nan)
    if found.active.size == 0:
        plain = natural_gradient(model, found.theta, free=kept, max_iter=max_iter, tol=tol)
        if plain.converged:
            return _regular(model, plain, kept, np.zeros((lik.designs[0].width, 0)), 0)
    return Fitted(
        found.theta, found.theta, np.zeros(size), evaluation, found.information, covariance, found.loglik,
        float(np.sqrt(found.decrement)), solution.n_iter + found.n_iter, 0, "converged", kept,
        np.zeros((lik.designs[0].width, 0)), sep.Separation(np.zeros(lik.n, bool)), found.active, (),
        np.ones(size, bool),
        history=solution.history,
    )  # fmt: skip


__all__ = ["Fitted", "Model", "maximise"]
