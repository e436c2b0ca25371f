"""From a likelihood to its certified maximum: start, rank, solver, separation, boundary, in that order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import bounds
from . import separation as sep
from .blocks import Design
from .families import Family
from .likelihood import EXPECTED, Evaluation, Likelihood
from .linalg import EPS, Factor, cholesky, from_root, independent_columns, least_squares, null_space, residuals
from .solver import Solution, natural_gradient

MOVES = 1e-3  # a last step that moves some linear predictor by more than this asks for the separation check
LAZY_WORK = 2_000_000  # rows times columns from which on passes are saved: a pilot on a sample, and chord steps
PILOT = 32  # the pilot sees every 32nd row
WEAK = 1e-3  # reciprocal condition below which standard errors come from a QR factor of the rows
DENSE_LIMIT = 50_000_000  # rows times columns up to which the fallbacks hold the design in memory


@dataclass(frozen=True, eq=False)
class Model:
    """A likelihood as the solver sees it (its `Problem`)."""

    likelihood: Likelihood
    canonical: bool
    has_dispersion: bool
    floor: float

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.likelihood.weight.sum())

    @property
    def lazy(self) -> bool:
        """True where information is dear: many rows for every column."""
        p = sum(self.likelihood.widths)
        return self.likelihood.n * p >= LAZY_WORK and self.likelihood.n >= 100 * p

    def evaluate(self, theta: np.ndarray, kind: int) -> Evaluation:
        """Log-likelihood, score and information at theta."""
        return self.likelihood.evaluate(theta, kind)

    def dispersion(self, evaluation: Evaluation) -> float:
        """The maximum-likelihood dispersion (deviance / n, exact or nearly so), kept off zero; else 1."""
        if not self.has_dispersion:
            return 1.0
        return max(-2.0 * evaluation.loglik / self.total, self.floor)

    def factor(
        self, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray
    ) -> tuple[Factor | None, np.ndarray | None]:
        """The information factored by QR of the rows, and the step from the same QR."""
        lik = self.likelihood
        p = lik.designs[0].width
        here, rest = free[:p], free[p:]
        u, w = lik.row_terms(theta)
        weight = np.ascontiguousarray(np.maximum(w[:, 0], 0.0))
        if not np.all(np.isfinite(weight)):
            return None, None
        if self.is_linear and lik.n * p <= DENSE_LIMIT:
            x, y = self.linear_system(here)
            step, factor = least_squares(x, y, theta[here])
            return factor, step
        with np.errstate(all="ignore"):
            target = np.where(weight > 0.0, u[:, 0] / np.sqrt(weight), 0.0)
        root = lik.root(weight, 0, np.where(np.isfinite(target), target, 0.0))
        columns = np.append(here, True)
        if not here.all():
            from scipy.linalg import qr

            root = np.atleast_2d(qr(root[:, columns], mode="r")[0])[: here.sum() + 1]
        factor = from_root(root[: here.sum(), : here.sum()])
        if factor is None:
            return None, None
        upper_step = np.asarray(_solve_signed(root, int(here.sum())))
        if not rest.any():
            return factor, upper_step
        assert evaluation.information is not None
        tail = cholesky(evaluation.information[p:, p:][np.ix_(rest, rest)])
        if tail is None:
            return None, None
        k = int(here.sum())
        upper = np.zeros((k + int(rest.sum()),) * 2)
        upper[:k, :k], upper[k:, k:] = factor.upper, tail.upper
        both = Factor(np.concatenate([factor.scale, tail.scale]), upper, factor.reciprocal_condition)
        return both, np.concatenate([upper_step, tail.solve(evaluation.score[p:][rest])])

    def linear_system(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weighted design and response of a linear model."""
        lik = self.likelihood
        root = np.sqrt(lik.weight)
        offset = 0.0 if lik.offset is None else lik.offset
        return dense_design(lik)[:, free] * root[:, None], (lik.y - offset) * root

    @property
    def is_linear(self) -> bool:
        k = self.likelihood.kernels
        return k.family.name == "normal" and k.links[0].name == "identity"


def _solve_signed(root: np.ndarray, k: int) -> np.ndarray:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(root[:k, :k], root[:k, k], check_finite=False))


def dense_design(likelihood: Likelihood) -> np.ndarray:
    """The standardised design of the first parameter as one matrix (fallbacks only)."""
    from .blocks import Rows

    rows = Rows(likelihood.designs[0], max(likelihood.n, 1))
    rows.load(0, likelihood.n)
    return rows.expand()


@dataclass(frozen=True, eq=False)
class Fitted:
    """A maximum with everything that is known of it, in standardised coordinates."""

    theta: np.ndarray
    point: np.ndarray
    step: np.ndarray
    evaluation: Evaluation
    information: np.ndarray
    covariance: np.ndarray
    loglik: float
    decrement: float
    n_iter: int
    n_restarts: int
    reason: str
    kept: np.ndarray
    null: np.ndarray
    separation: sep.Separation
    boundary_rows: np.ndarray
    boundary_parameters: tuple[str, ...] = ()
    finite: np.ndarray = field(default_factory=lambda: np.ones(0, bool))
    design: Design | None = None  # where it is not the likelihood's own
    history: tuple[float, ...] = ()


def starting_mean(family: Family, y: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
    """Starting values of the parameters, off the ends of their ranges."""
    theta = list(family.start(y, weight))
    support = next(iter(family.parameters.values()))
    if support == "unit":
        total = float(weight.sum())
        theta[0] = float(np.clip(theta[0], 0.5 / (total + 1.0), 1.0 - 0.5 / (total + 1.0)))
    elif support == "positive" and not theta[0] > 0.0:
        theta[0] = 0.1
    return tuple(theta)


def null_start(likelihood: Likelihood, family: Family) -> np.ndarray:
    """The model without covariates where there is an intercept, else weighted least squares on the link scale."""
    first = starting_mean(family, likelihood.y, likelihood.weight)
    links = likelihood.kernels.links
    mu = first[0]
    out = [np.zeros(width) for width in likelihood.widths]
    with np.errstate(all="ignore"):
        for k in range(1, len(out)):
            out[k][0] = float(links[k].forward(first[k]))
        eta = float(links[0].forward(mu))
        if not np.isfinite(eta):
            spread = float(np.sqrt(np.average(likelihood.y**2, weights=likelihood.weight))) or 1.0
            eta = float(links[0].forward(spread))
        design = likelihood.designs[0]
        if design.intercept:
            out[0][0] = eta - _mean_offset(likelihood, links[0].name)
        else:
            out[0] = _least_squares_start(likelihood, family, eta)
    return np.concatenate(out)


def _mean_offset(likelihood: Likelihood, link: str) -> float:
    """What the offset adds to the linear predictor on average, on the scale where means add."""
    if likelihood.offset is None:
        return 0.0
    o, w = likelihood.offset, likelihood.weight
    if link == "log":
        top = float(o[w > 0].max())
        return top + float(np.log(np.average(np.exp(o - top), weights=w)))
    return float(np.average(o, weights=w))


def _least_squares_start(likelihood: Likelihood, family: Family, eta: float) -> np.ndarray:
    """One weighted least-squares step from fitted values half-way between the data and their mean."""
    p = likelihood.designs[0].width
    y, w = likelihood.y, likelihood.weight
    mean = float(np.average(y, weights=w))
    links = likelihood.kernels.links
    support = next(iter(family.parameters.values()))
    mu = y if support == "real" and links[0].name == "identity" else 0.5 * (y + mean)
    if support == "unit":
        mu = np.clip(mu, 0.05, 0.95)
    elif support == "positive":
        mu = np.maximum(mu, 0.05 * mean if mean > 0 else 1.0)
    target = np.asarray(links[0].forward(mu), float)
    target = np.where(np.isfinite(target), target, eta)
    etas = np.column_stack([target] + [np.full(y.size, float(links[k].forward(starting_mean(family, y, w)[k])))
                                       for k in range(1, len(links))])  # fmt: skip
    _, info = likelihood.terms_at(etas)
    offset = 0.0 if likelihood.offset is None else likelihood.offset
    weight = np.ascontiguousarray(np.where(np.isfinite(info[:, 0]), info[:, 0], 0.0))
    gram, right = likelihood.weighted_sums(weight, weight * (target - offset))
    factor = cholesky(gram)
    if factor is None:
        return np.asarray(np.linalg.lstsq(gram, right, rcond=None)[0]) if np.all(np.isfinite(gram)) else np.zeros(p)
    return factor.solve(right)


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
) -> Fitted:
    """Fit a model: the ladder from a start to a certified maximum, or to a named trouble."""
    present = likelihood.weight > 0.0
    floor = rounding_floor(likelihood, family) if has_dispersion else 0.0
    p = likelihood.designs[0].width
    kept, null = np.ones(sum(likelihood.widths), bool), np.zeros((p, 0))
    begin = null_start(likelihood, family)
    model = Model(likelihood, canonical, has_dispersion, floor)
    first = _pilot(model, begin) if start is None and model.lazy else None
    if first is not None:
        begin, known = first
    else:
        known = likelihood.evaluate(begin, EXPECTED)
    assert known.information is not None
    factor = cholesky(known.information[:p, :p])
    if factor is None or factor.poor:
        design = likelihood.designs[0]
        root = likelihood.root(present.astype(float))
        rounding = np.ones(p)
        rounding[int(design.intercept) : design.dense_width] = design.rounding
        kept[:p] = in_user_order(root, rounding, design.position)
        null = null_space_in_user_order(root, kept[:p], design.position)
        begin = np.where(kept, begin, 0.0) if design.intercept else begin
        known = None
        if model.is_linear and design.centre.any():
            # compensated least squares needs the columns exactly; the rounding of x - centre would be a perturbation
            exact = design.uncentred()
            null = np.linalg.solve(exact.jacobian(), design.jacobian() @ null)
            likelihood = replace(likelihood, designs=(exact, *likelihood.designs[1:]))
            model = replace(model, likelihood=likelihood)

    def solve(at: np.ndarray) -> Solution:
        return natural_gradient(model, at, first=known if at is begin else None, free=kept, max_iter=max_iter, tol=tol, callback=callback)

    restarts = 0
    if start is not None:
        solution = solve(start)
        if not solution.converged and solution.reason != "max_iter" or (solution.reason == "max_iter" and max_iter >= 20):
            restarts, again = 1, solve(begin)
            solution = again if again.converged or not again.evaluation.loglik < solution.evaluation.loglik else solution
            if not np.isfinite(solution.evaluation.loglik):
                solution = again
    else:
        solution = solve(begin)
    if solution.reason == "infeasible" and not likelihood.designs[0].intercept:
        inner = _interior_start(likelihood, family)
        if inner is not None:
            restarts, solution = restarts + 1, solve(inner)

    edge = _bounded(model, family, solution, kept, tol, max_iter)
    if edge is not None:
        return replace(edge, n_restarts=restarts, null=null)
    found = None
    if _suspicious(likelihood, solution, kept):
        found = _separated(likelihood, family, kept)
    if found is not None:
        return replace(_finite_part(likelihood, family, found, canonical, kept, max_iter, tol), n_restarts=restarts, null=null)
    return replace(_regular(model, solution, kept, null, restarts), design=likelihood.designs[0])


def _pilot(model: Model, begin: np.ndarray) -> tuple[np.ndarray, Evaluation] | None:
    """The maximum on every 32nd row as a start, evaluated on all rows, unless it is far from their maximum."""
    sample = replace(model, likelihood=model.likelihood.every(PILOT))
    if not (sample.likelihood.weight > 0.0).any():
        return None
    found = natural_gradient(sample, begin, max_iter=20, tol=1e-6)
    if not found.converged or not np.all(np.isfinite(found.theta)):
        return None
    there = model.evaluate(found.theta, EXPECTED)
    assert there.information is not None
    factor = cholesky(there.information)
    if factor is None or not np.isfinite(there.loglik):
        return None
    decrement = float(there.score @ factor.solve(there.score)) / model.dispersion(there)
    return (found.theta, there) if decrement < 0.05 * model.total else None


def in_user_order(root: np.ndarray, rounding: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Which columns are independent of those before them in the user's order."""
    order = np.argsort(position)
    kept = np.empty(position.size, bool)
    kept[order] = independent_columns(root[:, order], rounding[order])
    return kept


def null_space_in_user_order(root: np.ndarray, kept: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The null space of the design, each vector by the columns before its dependent one."""
    order = np.argsort(position)
    out = np.empty((position.size, int((~kept).sum())))
    out[order] = null_space(root[:, order], kept[order])
    return out


def rounding_floor(likelihood: Likelihood, family: Family) -> float:
    """(16 eps)^2 times the weighted mean of y^2 / V(mu): dispersions below it are rounding."""
    y, w = likelihood.y, likelihood.weight
    mean = float(np.average(y, weights=w))
    scale = float(np.sqrt(np.average(y * y, weights=w)))
    with np.errstate(all="ignore"):
        v = float(np.asarray(family.variance(mean if mean > 0 else (scale or 1.0))))
    ratio = scale * scale / v if v > 0 and np.isfinite(v) else 1.0
    return float(max((16 * EPS) ** 2 * ratio, 1e-300))


def _regular(model: Model, solution: Solution, kept: np.ndarray, null: np.ndarray, restarts: int) -> Fitted:
    information = solution.evaluation.information
    assert information is not None
    size = kept.size
    covariance = np.full((size, size), np.nan)
    factor = solution.factor
    if factor is not None and factor.reciprocal_condition < WEAK and factor.matrix is not None:
        # the inverse of a Cholesky factor loses the digits of the condition; a QR of the rows half of them
        better, _ = model.factor(solution.point, solution.evaluation, kept)
        factor = better if better is not None else factor
    if factor is not None:
        covariance[np.ix_(kept, kept)] = factor.inverse()
    evaluation = solution.evaluation
    if model.is_linear and solution.converged and factor is not None and factor.matrix is None:
        free = kept[: model.likelihood.designs[0].width]  # residuals as exact as the coefficients
        x, y = model.linear_system(free)
        rest = residuals(x, y, solution.point[: free.size][free], solution.step[: free.size][free])
        evaluation = replace(evaluation, loglik=-0.5 * float(rest @ rest), pearson=float(rest @ rest))
    noise = float(np.hypot(rounding_noise(model, solution, kept), difference_noise(model, solution)))
    return Fitted(
        solution.theta, solution.point, solution.theta - solution.point if not solution.converged else solution.step,
        evaluation, information, covariance, evaluation.loglik,
        float(np.hypot(np.sqrt(solution.decrement), noise)), solution.n_iter, restarts, solution.reason, kept, null,
        sep.Separation(np.zeros(model.likelihood.n, bool)), np.zeros(0, int), (), np.ones(size, bool),
        history=solution.history,
    )  # fmt: skip


def rounding_noise(model: Model, solution: Solution, kept: np.ndarray) -> float:
    """What rounding in the linear predictors and residuals can add to the distance from the maximum, in its units.

    eps times the Fisher length of the coefficients: the decrement of a score computed with errors of that size.
    """
    information = solution.evaluation.information
    assert information is not None
    with np.errstate(all="ignore"):
        length = float(np.sum(np.abs(np.diag(information)) * solution.theta**2)) / solution.dispersion
    return EPS * float(np.sqrt(length)) if np.isfinite(length) else 0.0


def difference_noise(model: Model, solution: Solution) -> float:
    """What the errors of a score taken by differences can add to the distance from the maximum.

    With errors e of the rows' scores, the length of X'e in the metric of X'WX is at most that of e / sqrt(W).
    """
    lik = model.likelihood
    if lik.kernels.noise is None:
        return 0.0
    eta = np.column_stack([lik.linear_predictor(solution.point, k) for k in range(len(lik.designs))])
    error = np.empty_like(eta)
    lik.kernels.noise(lik.y, lik.weight, np.ascontiguousarray(eta), lik.kernels.constants, error)
    _, w = lik.terms_at(eta)
    at, total = 0, 0.0
    for k in range(len(lik.designs)):
        scale = float(np.mean(np.abs(w[:, at])))
        with np.errstate(all="ignore"):
            total += float(np.sum(error[:, k] ** 2 / np.maximum(w[:, at], 1e-3 * scale)))
        at += len(lik.designs) - k
    return float(np.sqrt(total / solution.dispersion)) if np.isfinite(total) else 0.0


def _suspicious(likelihood: Likelihood, solution: Solution, kept: np.ndarray) -> bool:
    """Does the end of the path look as it does under separation?"""
    if not solution.converged or solution.factor is None or solution.factor.poor:
        return True
    p = likelihood.designs[0].width
    design = likelihood.designs[0]
    bound = np.abs(solution.step[:p])
    if float(bound.sum()) * np.sqrt(likelihood.n) * 16.0 < MOVES and not design.categorical:
        return False
    move = likelihood.linear_predictor(solution.step, 0, offset=False)
    return bool(np.abs(move[likelihood.weight > 0.0]).max(initial=0.0) > MOVES)


def _separated(likelihood: Likelihood, family: Family, kept: np.ndarray) -> Any:
    present = likelihood.weight > 0.0
    signs = sep.row_signs(family.name, likelihood.kernels.links[0].name, likelihood.y, present)
    if signs is None or not signs.any():
        return None
    p = likelihood.designs[0].width
    x = dense_design(likelihood)[:, kept[:p]]
    found = sep.recession(x, signs, present)
    return None if found is None else (*found, signs)


def _finite_part(
    likelihood: Likelihood, family: Family, found: Any, canonical: bool, kept: np.ndarray, max_iter: int, tol: float
) -> Fitted:
    """The limit of a separated fit: the maximum over the other rows, plus a long way along the recession."""
    rows, direction, cone, signs = found
    design = likelihood.designs[0]
    p = design.width
    rest = replace(likelihood, weight=np.where(rows, 0.0, likelihood.weight))
    user = design.jacobian()
    present = rest.weight > 0.0
    inner_kept = np.zeros_like(kept)
    inner_kept[p:] = kept[p:]
    columns = np.flatnonzero(kept[:p])
    if present.any():
        root = rest.root(present.astype(float))
        rounding = np.ones(p)
        rounding[int(design.intercept) : design.dense_width] = design.rounding
        independent = in_user_order(root, rounding, design.position)
        inner_kept[:p] = independent & kept[:p]
        null = null_space_in_user_order(root, independent, design.position)
    else:
        null = np.eye(p)
    null = null[:, np.any(null != 0.0, axis=0)]
    movable = (user @ null) if null.size else np.zeros((p, 0))
    size = np.abs(movable).max(axis=0, initial=0.0)
    movable = movable / np.where(size > 0, size, 1.0)
    infinite_user = np.any(np.abs(movable) > 1e-9, axis=1)
    infinite_user &= np.isin(np.arange(p), design.position[columns])
    model = Model(rest, canonical, False, 0.0)
    if present.any() and inner_kept[:p].any():
        begin = null_start(rest, family)
        begin = np.where(inner_kept, begin, 0.0)
        begin[p:] = np.maximum(begin[p:], 1e-3)
        solution = natural_gradient(model, begin, free=inner_kept, max_iter=max_iter, tol=tol)
        if not solution.converged:
            solution2 = natural_gradient(model, np.where(inner_kept, solution.point, 0.0), free=inner_kept, max_iter=4 * max_iter, tol=tol)
            solution = solution2 if solution2.evaluation.loglik >= solution.evaluation.loglik else solution
        theta, point, factor, evaluation, n_iter = (
            solution.theta, solution.point, solution.factor, solution.evaluation, solution.n_iter)  # fmt: skip
        decrement = solution.decrement
    else:
        theta = point = np.zeros(kept.size)
        evaluation = rest.evaluate(theta, EXPECTED)
        factor, n_iter, decrement = None, 1, 0.0
    covariance = np.full((kept.size, kept.size), np.nan)
    if factor is not None:
        covariance[np.ix_(inner_kept, inner_kept)] = factor.inverse()
    full_direction = np.zeros(kept.size)
    full_direction[columns] = direction
    theta = theta + _far(likelihood, theta, full_direction, rows, signs) * full_direction
    basis = np.zeros((p, 0))
    if null.size:
        basis = null[columns] if columns.size != p else null
    names = design.names
    at = np.flatnonzero(infinite_user)
    jacobian = user[:, columns]
    signs_of = sep.coefficient_signs(cone, at, jacobian, np.asarray(basis))
    coefficients = {names[j]: s for j, s in zip(at, signs_of, strict=True) if s != "finite"}
    finite_user = np.ones(kept.size, bool)
    finite_user[: len(names)] = ~np.isin(np.array(names), list(coefficients))
    assert evaluation.information is not None
    return Fitted(
        theta, theta, np.zeros_like(theta), evaluation, evaluation.information, covariance, evaluation.loglik,
        float(np.sqrt(decrement)),
        max(n_iter, 1), 0, "separated", kept, np.zeros((p, 0)), sep.Separation(rows, coefficients), np.zeros(0, int), (),
        finite_user,
    )  # fmt: skip


def _far(likelihood: Likelihood, theta: np.ndarray, direction: np.ndarray, rows: np.ndarray, signs: np.ndarray) -> float:
    """How far along the recession every separated row's prediction is at its limit to 1e-12."""
    link = likelihood.kernels.links[0].name
    up, down = {"logit": (30.0, 30.0), "probit": (8.0, 8.0), "cloglog": (4.0, 30.0), "loglog": (30.0, 4.0),
                "cauchit": (4e11, 4e11)}.get(link, (30.0, 30.0))  # fmt: skip
    eta = likelihood.linear_predictor(theta)[rows]
    move = likelihood.linear_predictor(direction, offset=False)[rows]
    wanted = np.where(signs[rows] > 0, up - eta, -down - eta)
    with np.errstate(all="ignore"):
        t = wanted / move
    return float(np.clip(np.nanmax(np.where(np.isfinite(t), t, 0.0), initial=0.0), 1.0, 1e15))


def _bounded(model: Model, family: Family, solution: Solution, kept: np.ndarray, tol: float, max_iter: int) -> Fitted | None:
    """The maximum on the edge, where the solver stopped at one; None where there is no edge to stop at."""
    lik = model.likelihood
    if solution.converged or len(lik.designs) > 1 or lik.n * sum(lik.widths) > DENSE_LIMIT:
        return None
    link = lik.kernels.links[0].name
    lower, upper = bounds.eta_range(link, next(iter(family.parameters.values())))
    if not (np.isfinite(lower) or np.isfinite(upper)) or not np.isfinite(solution.evaluation.loglik):
        return None
    ends = bounds.attainable(family.name, link, lik.y, lower, upper)
    found = bounds.maximise(lik, dense_design(lik), solution.point, kept, (lower, upper), ends,
                            model.dispersion(solution.evaluation), tol, max_iter)  # fmt: skip
    if not found.converged:
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


def _interior_start(likelihood: Likelihood, family: Family) -> np.ndarray | None:
    """Coefficients whose linear predictors lie deepest inside their range, by a linear program."""
    from scipy.optimize import linprog

    support = next(iter(family.parameters.values()))
    lower, upper = bounds.eta_range(likelihood.kernels.links[0].name, support)
    if not (np.isfinite(lower) or np.isfinite(upper)):
        return None
    x = dense_design(likelihood)
    offset = np.zeros(likelihood.n) if likelihood.offset is None else likelihood.offset
    rows = likelihood.weight > 0.0
    ones = np.ones((int(rows.sum()), 1))
    blocks, right = [], []
    if np.isfinite(lower):
        blocks.append(np.hstack([-x[rows], ones]))
        right.append(offset[rows] - lower)
    if np.isfinite(upper):
        blocks.append(np.hstack([x[rows], ones]))
        right.append(upper - offset[rows])
    cost = np.zeros(x.shape[1] + 1)
    cost[-1] = -1.0
    answer = linprog(cost, A_ub=np.vstack(blocks), b_ub=np.concatenate(right),
                     bounds=[(-1e6, 1e6)] * x.shape[1] + [(0.0, 1.0)], method="highs")  # fmt: skip
    if answer.x is None or answer.x[-1] <= 0.0:
        return None
    out = np.zeros(sum(likelihood.widths))
    out[: x.shape[1]] = answer.x[:-1]
    links = likelihood.kernels.links
    start = starting_mean(family, likelihood.y, likelihood.weight)
    at = x.shape[1]
    for k in range(1, len(links)):
        out[at] = float(links[k].forward(start[k]))
        at += likelihood.widths[k]
    return out


__all__ = ["Fitted", "Model", "maximise"]
