"""The maximum under linear equalities R b = r and bounds l <= b <= u of the coefficients.

Equalities leave the coordinates theta = origin + B gamma, where the solver works as ever (`restricted`). Bounds are an
active set on top: coefficients at a bound are held there; a step that would cross a bound stops at it and holds it; a
held bound whose multiplier has the wrong sign is let go (Nocedal & Wright, 2006, chapter 16, for concave problems).
The decrement and the certificate are those of the free directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import coordinates
from . import separation as sep
from .errors import InputError
from .families import Family
from .fitting import MOVES, rounding_floor
from .keeping import Keeping
from .kernels import EXPECTED
from .likelihood import Likelihood
from .linalg import EPS, cholesky
from .model import Fitted, Model
from .restricted import Restricted, directions_left
from .restrictions import Restrictions, feasible_point
from .solver import Solution, natural_gradient
from .starts import null_start

FIXED = 1e-9  # what is left of a coefficient's direction below which it cannot move
ALIASED = "some columns are combinations of others, and the constraints do not tell them apart; remove columns"
WRONG = 1e-9  # multipliers, in units of sqrt(F), whose sign is rounding


def maximise_constrained(
    likelihood: Likelihood,
    family: Family,
    restrictions: Restrictions,
    *,
    canonical: bool,
    has_dispersion: bool,
    start: np.ndarray | None,
    max_iter: int,
    tol: float,
    callback: Callable[[int, float, float], None] | None = None,
    count: float | None = None,
) -> Fitted:
    """The maximum under restrictions, as `fitting.maximise` is without them."""
    if likelihood.matrix_free:
        raise InputError("constraints and bounds need the information matrix, which is not formed for so many columns; "
                         "use fewer columns")  # fmt: skip
    count = float(likelihood.observations) if count is None else count
    floor = rounding_floor(likelihood, family, count) if has_dispersion else 0.0
    model = Model(likelihood, canonical, has_dispersion, floor, count)
    design, size = likelihood.designs[0], sum(likelihood.widths)
    p = design.width
    jacobian = np.zeros((p, size))
    jacobian[:, :p] = np.stack([coordinates.contrast(design, j) for j in range(p)])
    equalities = restrictions.matrix @ jacobian
    theta = _start(likelihood, family, restrictions, jacobian, start)
    active: dict[int, float] = {}
    steps, seen = 0, set()
    for _ in range(10 * (p + 1)):
        rows = np.vstack([equalities, jacobian[list(active)]])
        basis = directions_left(rows, np.ones(size, bool)) if len(rows) else np.eye(size)
        problem = Restricted(model, theta, basis)
        solution = _solve(problem, max_iter, tol, callback)
        steps += solution.n_iter
        crossed = _crossing(problem.at(solution.theta), theta, restrictions, jacobian, active)
        if crossed is not None:
            j, t, bound = crossed
            theta = theta + t * (problem.at(solution.theta) - theta)
            active[j] = bound
            continue
        theta = problem.at(solution.point)
        evaluation = model.evaluate(theta, EXPECTED)
        multipliers = _multipliers(rows, evaluation.score) if len(rows) else np.zeros(0)
        state = frozenset(active.items())
        loose = _wrong(active, multipliers[len(equalities) :], restrictions, evaluation.information, jacobian)
        if loose is None or state in seen:
            break
        seen.add(state)
        del active[loose]
    else:
        raise InputError("the bounds that are reached could not be settled; give start_params inside the bounds")
    return _fitted(model, restrictions, solution, problem, evaluation, jacobian, active, multipliers, steps)


def _solve(
    problem: Restricted, max_iter: int, tol: float, callback: Callable[[int, float, float], None] | None
) -> Solution:
    """The maximum in the directions of a problem."""
    found = natural_gradient(problem, np.zeros(problem.basis.shape[1]), max_iter=max_iter, tol=tol, callback=callback)
    if found.reason == "singular":
        raise InputError(ALIASED)
    return found


def _start(
    likelihood: Likelihood, family: Family, restrictions: Restrictions, jacobian: np.ndarray, start: np.ndarray | None
) -> np.ndarray:
    """A point that satisfies the restrictions: near the one given, or the model without covariates."""
    design = likelihood.designs[0]
    p = design.width
    if start is not None:
        rows = restrictions.matrix @ jacobian
        out = start.astype(float).copy()
        if len(rows):
            out -= np.linalg.lstsq(rows, rows @ out - restrictions.value, rcond=None)[0]
        user = jacobian @ out
        room = 1e-9 * (1.0 + np.abs(user))
        if np.all(user >= restrictions.lower - room) and np.all(user <= restrictions.upper + room):
            return out
    begin = null_start(likelihood.typical(), family)
    point = feasible_point(restrictions)
    assert point is not None
    if not design.intercept and not np.any(point) and not len(restrictions.matrix) and not restrictions.bounded:
        return begin
    theta = design.from_user(point)
    at = 0
    untouched = (
        not (restrictions.matrix[:, at] != 0.0).any()
        and not np.isfinite([restrictions.lower[at], restrictions.upper[at]]).any()
    )
    if design.intercept and untouched:
        theta[at] = begin[at]
    return np.concatenate([theta, begin[p:] if start is None or start.size != begin.size else start[p:]])


def _crossing(
    there: np.ndarray, here: np.ndarray, restrictions: Restrictions, jacobian: np.ndarray, active: dict[int, float]
) -> tuple[int, float, float] | None:
    """The first bound on the way from `here`: its coefficient, the share of the way, the bound."""
    now, then = jacobian @ here, jacobian @ there
    first: tuple[int, float, float] | None = None
    for j in range(now.size):
        if j in active or restrictions.lower[j] == restrictions.upper[j]:
            continue
        for bound, sign in ((restrictions.lower[j], 1.0), (restrictions.upper[j], -1.0)):
            room = 1e-12 * max(abs(bound), abs(then[j] - now[j])) if math.isfinite(bound) else 0.0
            if not math.isfinite(bound) or not sign * (then[j] - bound) < -room:
                continue
            way = now[j] - then[j]
            t = min(max((now[j] - bound) / way, 0.0), 1.0) if way != 0.0 else 0.0
            if first is None or t < first[1]:
                first = (j, t, float(bound))
    return first


def _multipliers(rows: np.ndarray, score: np.ndarray) -> np.ndarray:
    """m with score = rows' m."""
    length = np.linalg.norm(rows, axis=1)
    return np.asarray(np.linalg.lstsq((rows / length[:, None]).T, score, rcond=None)[0] / length)


def _wrong(
    active: dict[int, float],
    multipliers: np.ndarray,
    restrictions: Restrictions,
    information: Any,
    jacobian: np.ndarray,
) -> int | None:
    """The bound that the likelihood pulls away from most; None where it pushes against all of them."""
    worst, at = 0.0, None
    for (j, bound), m in zip(active.items(), multipliers, strict=True):
        row = jacobian[j]
        unit = math.sqrt(float(row @ information @ row)) / float(row @ row)  # of the coefficient, at unit dispersion
        inward = m / unit if bound == restrictions.lower[j] else -m / unit
        if inward > max(worst, WRONG):
            worst, at = inward, j
    return at


def _fitted(
    model: Model, restrictions: Restrictions, solution: Solution, problem: Restricted, evaluation: Any,
    jacobian: np.ndarray, active: dict[int, float], multipliers: np.ndarray, steps: int,
) -> Fitted:  # fmt: skip
    likelihood, basis, size = model.likelihood, problem.basis, problem.origin.size
    point, theta = problem.at(solution.point), problem.at(solution.theta)
    information = evaluation.information
    covariance = np.zeros((size, size))
    if basis.shape[1]:
        factor = cholesky(basis.T @ information @ basis)
        if factor is None or factor.reciprocal_condition < 1e3 * EPS:
            raise InputError(ALIASED)
        covariance = basis @ factor.inverse() @ basis.T
    length = np.linalg.norm(jacobian, axis=1)
    still = np.linalg.norm(jacobian @ basis, axis=1) <= FIXED * length
    equal = restrictions.matrix @ jacobian
    own = directions_left(equal, np.ones(size, bool)) if len(equal) else np.eye(size)
    fixed = np.linalg.norm(jacobian @ own, axis=1) <= FIXED * length
    lower = tuple(j for j, b in active.items() if b == restrictions.lower[j])
    upper = tuple(j for j in active if j not in lower)
    m = len(restrictions.matrix)
    by_bound = dict(zip(active, multipliers[m:], strict=True))
    keeping = Keeping(
        restrictions, basis, lower, upper, multipliers[:m],
        np.array([max(-by_bound[j], 0.0) for j in lower] + [max(by_bound[j], 0.0) for j in upper]),
        tuple(np.flatnonzero(fixed).tolist()), tuple(np.flatnonzero(still & ~fixed).tolist()),
    )  # fmt: skip
    reason = solution.reason
    if reason == "converged" and likelihood.largest_move(theta - point) > MOVES:
        reason = "diverging"
    noise = EPS * math.sqrt(float(np.abs(information.diagonal()) @ theta**2) / solution.dispersion)
    distance = math.hypot(math.sqrt(solution.decrement), noise if math.isfinite(noise) else 0.0)
    return Fitted(
        theta, point, theta - point, evaluation, information, covariance, evaluation.loglik, distance, steps, 0, reason,
        np.ones(size, bool), np.zeros((likelihood.designs[0].width, 0)), sep.Separation(likelihood.no_rows()),
        np.zeros(0, int), tuple(likelihood.designs[0].names[j] for j in keeping.stopped), np.ones(size, bool),
        design=likelihood.designs[0], history=solution.history, keeping=keeping,
    )  # fmt: skip


__all__ = ["maximise_constrained"]
