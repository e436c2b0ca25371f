"""The maximum under linear equalities R b = r and bounds l <= b <= u of the coefficients.

Equalities leave the coordinates theta = origin + B gamma, where the solver works as ever (`restricted`). Bounds are an
active set on top: coefficients at a bound are held there; a step that would cross a bound stops at it and holds it; a
held bound whose multiplier has the wrong sign is let go (Nocedal & Wright, 2006, chapter 16, for concave problems).
The decrement and the certificate are those of the free directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import coordinates, labelled
from . import separation as sep
from .errors import InputError, InputTypeError
from .families import Family
from .fitting import MOVES, rounding_floor
from .hypotheses import independent, read_hypothesis, unknown
from .kernels import EXPECTED
from .likelihood import Likelihood
from .linalg import EPS, cholesky
from .model import Fitted, Model
from .model_terms import ModelTerm
from .restricted import Restricted, directions_left
from .solver import Solution, natural_gradient
from .starts import null_start

if TYPE_CHECKING:
    import pandas as pd

FIXED = 1e-9  # what is left of a coefficient's direction below which it cannot move
ALIASED = "some columns are combinations of others, and the constraints do not tell them apart; remove columns"
WRONG = 1e-9  # multipliers, in units of sqrt(F), whose sign is rounding


@dataclass(frozen=True, eq=False)
class Restrictions:
    """What a fit is to keep to: R b = r, and bounds of every coefficient (infinite for none)."""

    names: tuple[str, ...]
    matrix: np.ndarray
    value: np.ndarray
    text: str
    lower: np.ndarray
    upper: np.ndarray

    @property
    def bounded(self) -> bool:
        """True where some coefficient has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())


def read_restrictions(
    constraints: Any, bounds: Any, names: tuple[str, ...], terms: tuple[ModelTerm, ...], others: tuple[str, ...] = ()
) -> Restrictions:
    """Read and check what ``GLM(constraints=..., bounds=...)`` was given.

    Raises
    ------
    InputError
        For unknown names, and for constraints and bounds that no coefficients satisfy.
    """
    p = len(names)
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    matrix, value, text = np.zeros((0, p)), np.zeros(0), ""
    if constraints is not None:
        if isinstance(constraints, str) and "~" in constraints:
            raise InputError(f"constraints: {constraints!r} is a formula; write equalities, such as 'x1 + x2 = 1'")
        found = read_hypothesis(constraints, names, terms)
        matrix, value, text = found.matrix, found.value, found.text
    if bounds is not None:
        if not isinstance(bounds, dict):
            raise InputTypeError(f"bounds must be a dict such as {{'x1': (0, None)}}, got {bounds!r}")
        place: dict[str, tuple[int, ...]] = {term.name: term.positions for term in terms}
        place.update({name: (j,) for j, name in enumerate(names)})
        for name, pair in bounds.items():
            if name in others:
                raise InputError(f"bounds: {name!r} is not a coefficient; its bounds are those of the family")
            if name not in place:
                raise unknown(str(name), list(place))
            low, high = _pair(name, pair)
            for j in place[name]:
                lower[j], upper[j] = max(lower[j], low), min(upper[j], high)
            if low == high:  # an equality
                rows, right = [*matrix, *np.eye(p)[list(place[name])]], [*value, *[low] * len(place[name])]
                said = [text] * len(matrix) + [f"{names[j]} = {low:g}" for j in place[name]]
                text = ", ".join(filter(None, [text, f"{name} = {low:g}"]))
                held = independent(rows, right, said, text)
                matrix, value = held.matrix, held.value
    out = Restrictions(tuple(names), matrix, value, text, lower, upper)
    if out.bounded and feasible_point(out) is None:
        raise InputError("no coefficients satisfy the constraints and the bounds together; loosen one of them")
    return out


def _pair(name: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = pair
        low = -math.inf if low is None else float(low)
        high = math.inf if high is None else float(high)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"bounds: {name!r} needs a pair (lower, upper) with None for no bound, got {pair!r}"
        ) from None
    if math.isnan(low) or math.isnan(high) or not low <= high or low == math.inf or high == -math.inf:
        raise InputError(f"bounds: the lower bound {low:g} of {name!r} is not below its upper bound {high:g}")
    return low, high


def feasible_point(restrictions: Restrictions) -> np.ndarray | None:
    """Coefficients that satisfy everything, with slopes near zero; None where there are none."""
    r = restrictions
    if not len(r.matrix):
        return np.clip(np.zeros(r.lower.size), r.lower, r.upper)
    if not r.bounded:
        return np.asarray(np.linalg.lstsq(r.matrix, r.value, rcond=None)[0])
    from scipy.optimize import linprog

    p = r.lower.size  # b = plus - minus, the sum of both as small as can be
    size = np.abs(r.matrix).max(axis=1, keepdims=True)
    eye = np.eye(p)
    above, below = np.isfinite(r.upper), np.isfinite(r.lower)
    found = linprog(
        np.ones(2 * p), A_eq=np.hstack([r.matrix, -r.matrix]) / size, b_eq=r.value / size[:, 0],
        A_ub=np.vstack([np.hstack([eye, -eye])[above], np.hstack([-eye, eye])[below]]),
        b_ub=np.concatenate([r.upper[above], -r.lower[below]]), bounds=(0, None), method="highs",
    )  # fmt: skip
    if found.status != 0:
        return None
    return np.clip(found.x[:p] - found.x[p:], r.lower, r.upper)


@dataclass(frozen=True, eq=False)
class Keeping:
    """How a maximum keeps to its restrictions: the free directions, what is held, and the multipliers."""

    restrictions: Restrictions
    basis: np.ndarray
    at_lower: tuple[int, ...]
    at_upper: tuple[int, ...]
    equality_multipliers: np.ndarray
    bound_multipliers: np.ndarray
    fixed: tuple[int, ...]
    stopped: tuple[int, ...]

    def basis_of_size(self, size: int) -> np.ndarray:
        """The free directions, where a parameter at its own bound was added behind."""
        return np.vstack([self.basis, np.zeros((size - len(self.basis), self.basis.shape[1]))])

    @property
    def at_bound(self) -> dict[int, float]:
        """Coefficients at a bound, and the bound."""
        r = self.restrictions
        return {j: float(r.lower[j]) for j in self.at_lower} | {j: float(r.upper[j]) for j in self.at_upper}


@dataclass(frozen=True, eq=False, repr=False)
class Constraints:
    """The restrictions of a fit and their multipliers.

    Attributes
    ----------
    names : tuple of str
        The coefficients, further parameters included.
    text : str
        The equalities.
    matrix, value : arrays of shape (m, p) and (m,)
        R and r of the equalities R b = r.
    multipliers : array of shape (m,)
        By how much the log-likelihood, at the dispersion in use, would rise with r.
    lower, upper : arrays of shape (p,)
        Bounds.
    active : dict
        Coefficients at a bound: name to (bound, multiplier); the multiplier, at least 0, is by how much the
        log-likelihood would rise if the bound gave way.
    """

    names: tuple[str, ...]
    text: str
    matrix: np.ndarray
    value: np.ndarray
    multipliers: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    active: dict[str, tuple[float, float]]

    def active_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """R and r of what holds as an equality at the maximum, bounds that are reached included."""
        size = len(self.names)
        rows = np.zeros((len(self.matrix) + len(self.active), size))
        rows[: len(self.matrix), : self.matrix.shape[1]] = self.matrix
        for k, name in enumerate(self.active):
            rows[len(self.matrix) + k, self.names.index(name)] = 1.0
        return rows, np.concatenate([self.value, [bound for bound, _ in self.active.values()]])

    def table(self) -> pd.DataFrame:
        """A line for every equality and every bound that is reached: ``value`` and ``multiplier``."""
        from .hypotheses import equation

        labels = [equation(row, v, self.names) for row, v in zip(self.matrix, self.value, strict=True)]
        labels += [f"{name} at its bound" for name in self.active]
        values = [*self.value.tolist(), *[bound for bound, _ in self.active.values()]]
        multipliers = [*self.multipliers.tolist(), *[m for _, m in self.active.values()]]
        return labelled.frame({"value": values, "multiplier": multipliers}, labels)

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name} at {bound:g}" for name, (bound, _) in self.active.items())
        return f"Constraints({'; '.join(filter(None, [self.text, bounds])) or 'no bound is reached'})"


def constraints_of(keeping: Keeping, names: tuple[str, ...], phi: float) -> Constraints:
    """What the estimator shows of it."""
    r = keeping.restrictions
    scale = phi if phi > 0.0 else float("nan")
    bounds = list(keeping.at_bound.items())
    active = {names[j]: (b, float(m) / scale) for (j, b), m in zip(bounds, keeping.bound_multipliers, strict=True)}
    return Constraints(names, r.text, r.matrix, r.value, keeping.equality_multipliers / scale, r.lower, r.upper, active)


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


__all__ = ["Constraints", "Restrictions", "maximise_constrained", "read_restrictions"]
