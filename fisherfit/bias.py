"""Estimates of reduced bias: the zero of an adjusted score, by quasi Fisher scoring.

The step is F^-1 (U + A), A one of `adjustments`. It is the natural gradient of l / phi + log|F| / 2 where there is
such an objective (Jeffreys; mean adjustment with a canonical link), and the steps are held to it; elsewhere to the
length of the adjusted score in the Fisher metric. The fixed point is approached linearly, the faster the more rows
there are for every coefficient, and so the last steps are combined as Anderson (1965) does it. The decrement of the
adjusted score certifies the answer as that of the score does for maximum likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import separation as sep
from .adjustments import adjustment
from .exact_alpha import exact_information
from .families import Family, NegativeBinomial
from .kernels import EXPECTED, VALUE, kernels_of
from .likelihood import Evaluation, Likelihood
from .linalg import EPS, Factor, cholesky
from .model import Fitted, Model, independent_columns_of
from .overdispersion import at_bound
from .solver import FLOOR, SLACK, natural_gradient
from .starts import null_start, starting_mean

MEMORY = 5  # steps that are combined
HALVINGS = 12
TEDIOUS = 15  # steps after which, and where steps do not shorten the adjusted score, Newton's method is tried
NEWTON_WIDTH = 200  # coordinates up to which it is: its matrix is made by differences
DIFFERENCE = 1e-5  # standard errors
STEEP = 1e-3  # contraction of a step so strong that what it leaves does not count
PATIENCE = 3  # steps below FLOOR without a new least decrement: what is left is rounding
PhiOf = Callable[[Evaluation, int], float]


@dataclass(frozen=True, eq=False)
class Adjusted:
    """The adjusted score at a point, with its step; `penalty` is log|F| / 2 where there is an objective."""

    theta: np.ndarray
    evaluation: Evaluation
    phi: float
    score: np.ndarray
    step: np.ndarray
    decrement: float
    penalty: float
    factor: Factor

    def objective(self, phi: float) -> float:
        """l / phi + log|F| / 2."""
        return self.evaluation.loglik / phi + self.penalty

    def length_of(self, score: np.ndarray, free: np.ndarray) -> float:
        """The squared length of a score in the metric here."""
        return abs(float(score[free] @ self.factor.solve(score[free]))) / self.phi


@dataclass(frozen=True, eq=False)
class Problem:
    """A model whose adjusted score is to vanish."""

    model: Model
    family: Family
    kind: str
    phi_of: PhiOf
    free: np.ndarray

    @property
    def likelihood(self) -> Likelihood:
        """The rows."""
        return self.model.likelihood

    @property
    def has_objective(self) -> bool:
        """True where the adjusted score is a gradient, for a given dispersion."""
        return self.kind == "jeffreys" or (self.kind == "mean" and self.model.canonical)

    def at(self, theta: np.ndarray) -> Adjusted | None:
        """The adjusted score at theta; None where something is not finite."""
        evaluation = expected(self.likelihood, self.family, theta)
        free, p = self.free, self.likelihood.designs[0].width
        if not (math.isfinite(evaluation.loglik) and np.isfinite(evaluation.score).all()):
            return None
        inner = evaluation.information[np.ix_(free, free)]
        factor = cholesky(inner) if np.isfinite(inner).all() else None
        if factor is not None and self.model.needs_rows(factor):
            better, _ = self.model.factor(theta, evaluation, free)
            factor = better if better is not None else factor
        if factor is None:
            return None
        here = self.phi_of(evaluation, int(free[:p].sum()))
        covariance = np.zeros_like(evaluation.information)
        covariance[np.ix_(free, free)] = factor.inverse()
        added = adjustment(
            self.likelihood, self.family, theta, self.kind, here, evaluation.information, covariance, free
        )
        score = np.where(free, evaluation.score + added, 0.0)
        if not np.isfinite(score).all():
            return None
        step = np.zeros_like(theta)
        step[free] = factor.solve(score[free])
        least = max(here, self.model.floor, 1e-300)
        decrement = abs(float(score @ step)) / least
        penalty = math.nan
        if self.has_objective:
            scale = np.sqrt(inner.diagonal())
            penalty = 0.5 * float(np.linalg.slogdet(inner / scale[:, None] / scale)[1]) + float(np.log(scale).sum())
        if not (np.isfinite(step).all() and math.isfinite(decrement)):
            return None
        return Adjusted(theta, evaluation, least, score, step, decrement, penalty, factor)


def expected(likelihood: Likelihood, family: Family, theta: np.ndarray) -> Evaluation:
    """The likelihood with its expected information, exact for a free alpha too."""
    found = likelihood.evaluate(theta, EXPECTED)
    if not math.isfinite(found.loglik):
        return found
    return replace(found, information=exact_information(likelihood, family, theta, found.information))


def adjusted_distance(
    likelihood: Likelihood, family: Family, theta: np.ndarray, kind: str, phi: float, free: np.ndarray
) -> float:
    """How far theta is from the zero of the adjusted score, in standard errors; infinite where it has none."""
    model = Model(likelihood, False, family.has_dispersion, 0.0, float(likelihood.observations))
    found = Problem(model, family, kind, lambda evaluation, rank: phi, free).at(theta)
    return math.inf if found is None else math.sqrt(found.decrement)


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
        again = _vanish(problem, np.where(free, at, 0.0), max_iter, tol, callback)
        if again is not None and (found is None or again[2] == "converged" or again[0].decrement < found[0].decrement):
            found = again
        if again is not None and again[2] in ("converged", "max_iter"):
            break
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
    """The maximum for responses moved a little towards their mean: finite under separation, and near the answer."""
    likelihood = model.likelihood
    if begin.size > likelihood.designs[0].width:
        return None
    mean, _ = likelihood.moments()
    share = free.sum() / (free.sum() + (model.count if model.has_dispersion else max(model.total, 1.0)))
    moved = replace(likelihood, y=(1.0 - share) * likelihood.y + share * mean)
    found = natural_gradient(replace(model, likelihood=moved), begin, free=free, max_iter=50, tol=1e-6)
    return found.theta if found.converged and np.isfinite(found.theta).all() else None


def _vanish(
    problem: Problem, start: np.ndarray, max_iter: int, tol: float,
    callback: Callable[[int, float, float], None] | None,
) -> tuple[Adjusted, int, str, tuple[float, ...]] | None:  # fmt: skip
    """Steps to the zero of the adjusted score: the point, their number, why they ended; None without a start."""
    here = problem.at(start)
    if here is None:
        return None
    best, waited, iteration = here, 0, 0
    history: list[float] = []
    moves: list[tuple[np.ndarray, np.ndarray]] = []  # differences of points and of steps
    while True:
        history.append(here.decrement)
        if callback is not None:
            callback(iteration, here.evaluation.loglik, here.decrement)
        waited = 0 if here.decrement < best.decrement or iteration == 0 else waited + 1
        best = here if here.decrement < best.decrement else best
        exact = here.phi <= problem.model.floor and iteration > 0
        if here.decrement <= tol or exact:
            slow = len(history) > 1 and here.decrement > STEEP**2 * history[-2]
            further = _move(problem, here, moves) if slow and not exact else None  # a step leaves a part of its length
            if further is not None and further.decrement < here.decrement:
                here = further
            return here, iteration, "converged", tuple(history)
        if best.decrement <= FLOOR and waited >= PATIENCE:
            return best, iteration, "converged", tuple(history)
        if iteration >= max_iter:
            return best, iteration, "max_iter", tuple(history)
        moved = _move(problem, here, moves, iteration >= TEDIOUS)
        if moved is None:
            reason = "converged" if best.decrement <= FLOOR else "stalled"
            return best, iteration, reason, tuple(history)
        moves.append((moved.theta - here.theta, moved.step - here.step))
        del moves[:-MEMORY]
        here = moved
        iteration += 1


def _move(
    problem: Problem, here: Adjusted, moves: list[tuple[np.ndarray, np.ndarray]], tedious: bool = False
) -> Adjusted | None:
    """The next point: by Anderson's combination of steps where that shortens the score, else along the step.

    Where neither does, or after many steps, by Newton's.
    """
    if tedious and here.decrement < problem.free.sum():
        there = _newton(problem, here)
        if there is not None:
            moves.clear()
            return there
    near = here.decrement < problem.free.sum()
    if moves and near:
        direction = _combined(here, moves, problem.free)
        there = problem.at(here.theta + direction) if np.isfinite(direction).all() else None
        if there is not None and there.decrement < 0.5 * here.decrement and _gains(problem, here, there, 0.0):
            return there
        moves.clear()
    t = 1.0
    for _ in range(HALVINGS):
        there = problem.at(here.theta + t * here.step)
        if there is not None and _better(problem, here, there, t):
            return there
        t *= 0.5
        if np.all(here.theta + t * here.step == here.theta):
            break
    moves.clear()
    return None if tedious else _newton(problem, here)


def _newton(problem: Problem, here: Adjusted) -> Adjusted | None:
    """A step of Newton's method on the adjusted score, shortened until that is; None where there is none.

    Its direction shortens the adjusted score in the metric of this point, whatever the model.
    """
    columns = np.flatnonzero(problem.free)
    if columns.size > NEWTON_WIDTH:
        return None
    inner = here.evaluation.information[np.ix_(columns, columns)]
    root = np.linalg.cholesky(inner / (scale := np.sqrt(inner.diagonal()))[:, None] / scale)
    slopes = np.empty((columns.size, columns.size))
    for k, j in enumerate(columns):
        ends = []
        for side in (1.0, -1.0):
            theta = here.theta.copy()
            theta[j] += side * DIFFERENCE * math.sqrt(here.phi) / scale[k]
            there = problem.at(theta)
            if there is None:
                return None
            ends.append(there.score[columns])
        slopes[:, k] = (ends[0] - ends[1]) / (2.0 * DIFFERENCE * math.sqrt(here.phi))
    # in units of standard errors: the residual L^-1 s and its slopes
    residual = np.linalg.solve(root, here.score[columns] / scale)
    matrix = np.linalg.solve(root, slopes / scale[:, None])
    inside, *_ = np.linalg.lstsq(matrix, -residual, rcond=1e-12)
    step = np.zeros_like(here.theta)
    step[columns] = inside / scale
    ascent = float(here.score @ step) / here.phi
    if problem.has_objective and not ascent > 0.0:  # towards a saddle
        return None
    t = 1.0
    for _ in range(2 * HALVINGS):
        there = problem.at(here.theta + t * step) if np.isfinite(step).all() else None
        if there is not None:
            shorter = here.length_of(there.score, problem.free) <= (1.0 - 1e-4 * t) * here.decrement
            if _gains(problem, here, there, 1e-4 * t * ascent) and (shorter or problem.has_objective):
                return there
        t *= 0.5
    return None


def _combined(here: Adjusted, moves: list[tuple[np.ndarray, np.ndarray]], free: np.ndarray) -> np.ndarray:
    """step - (dTheta + dStep) gamma, gamma such that |step - dStep gamma| is least in the Fisher metric."""
    points = np.stack([a for a, _ in moves], axis=1)
    steps = np.stack([b for _, b in moves], axis=1)
    scale = np.where(free, np.sqrt(np.maximum(here.evaluation.information.diagonal(), 0.0)), 0.0)
    gamma, *_ = np.linalg.lstsq(scale[:, None] * steps, scale * here.step, rcond=1e-10)
    return np.asarray(here.step - (points + steps) @ gamma)


def _gains(problem: Problem, here: Adjusted, there: Adjusted, least: float) -> bool:
    """True where the objective, if there is one, rises by `least` but for rounding."""
    if not problem.has_objective:
        return True
    before = here.objective(here.phi)
    slack = SLACK * (abs(before) + problem.model.count)
    if here.decrement < 1e-6:
        slack += 8.0 * EPS * here.factor.length(here.theta[problem.free]) / math.sqrt(here.phi)
    return there.objective(here.phi) - before >= least - slack


def _better(problem: Problem, here: Adjusted, there: Adjusted, t: float) -> bool:
    """Armijo's rule on the objective, or a shorter adjusted score in the metric of either point."""
    shorter = there.decrement <= (1.0 - 1e-4 * t) * here.decrement
    if problem.has_objective and here.decrement > FLOOR:
        return _gains(problem, here, there, 1e-4 * t * here.decrement)
    if shorter or here.decrement <= FLOOR:
        return shorter or t == 1.0
    return here.length_of(there.score, problem.free) <= (1.0 - 1e-4 * t) * here.decrement


__all__ = ["Adjusted", "Problem", "adjusted_distance", "adjusted_with_bound", "maximise_adjusted"]
