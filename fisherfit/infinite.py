"""The limit of a separated fit: which coefficients are infinite, and the maximum of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import coordinates
from . import separation as sep
from .cutting import find_in_batches, recession
from .families import Family
from .information import RowInformation
from .likelihood import EXPECTED, Likelihood, dense_design
from .model import Fitted, Model, covariance_formed, independent_columns_of, is_large
from .solver import natural_gradient
from .starts import null_start

STILL = 1e-4  # a column whose part of the last step is shorter than this stands still
MOVING = 500  # moving columns up to which a linear program looks for separation in a large design


def find_separation(
    likelihood: Likelihood, family: Family, kept: np.ndarray, step: np.ndarray
) -> tuple[sep.Found, np.ndarray] | None:
    """The separated rows with their directions, and the columns that these are about; None without separation."""
    likelihood.hold()
    columns = np.flatnonzero(kept[: likelihood.designs[0].width])
    if likelihood.streamed:
        known = find_in_batches(likelihood, family, kept)
        return None if known is None else (known, columns)
    present = likelihood.weight > 0.0
    signs = sep.row_signs(family.name, likelihood.kernels.links[0].name, likelihood.y, present)
    if signs is None or not signs.any():
        return None
    p = likelihood.designs[0].width
    if is_large(likelihood):
        return _find_among_moving(likelihood, kept[:p], step[:p], signs, present)
    found = recession(dense_design(likelihood)[:, columns], signs, present)
    return None if found is None else (found, columns)


def _find_among_moving(
    likelihood: Likelihood, kept: np.ndarray, step: np.ndarray, signs: np.ndarray, present: np.ndarray
) -> tuple[sep.Found, np.ndarray] | None:
    """The same where the design is too large for one linear program: among the columns that the last step moves.

    A direction of recession of some columns is one of all. The last step of a path that runs away has moved every
    separated row by about 1 and the others by nothing.
    """
    single = replace(likelihood, designs=likelihood.designs[:1])
    size = np.sqrt(RowInformation(single, present.astype(float)[None]).diagonal())
    columns = np.flatnonzero(kept & (np.abs(step) * size > STILL))
    if not 0 < columns.size <= MOVING:
        return None
    x = columns_of(single, columns)
    rows = np.flatnonzero(np.any(x != 0.0, axis=1))
    found = recession(x[rows], signs[rows], present[rows])
    if found is None:
        return None
    separated = np.zeros(signs.size, bool)
    separated[rows[found.rows]] = True
    return replace(found, rows=separated, signs=signs), columns


def columns_of(likelihood: Likelihood, columns: np.ndarray) -> np.ndarray:
    """Some columns of the standardised design of the first parameter, dense."""
    out = np.empty((likelihood.n, columns.size))
    for k, j in enumerate(columns):
        unit = np.zeros(sum(likelihood.widths))
        unit[j] = 1.0
        out[:, k] = likelihood.linear_predictor(unit, offset=False)
    return out


def finite_part(
    likelihood: Likelihood,
    family: Family,
    found: sep.Found,
    columns: np.ndarray,
    canonical: bool,
    kept: np.ndarray,
    max_iter: int,
    tol: float,
) -> Fitted:
    """The limit of a separated fit: the maximum over the other rows, plus a long way along the recession."""
    rows, direction, signs = found.rows, found.direction, found.signs
    design = likelihood.designs[0]
    p = design.width
    rest = likelihood.without(rows)
    some = rest.observations > 0
    inner_kept = np.zeros_like(kept)
    inner_kept[p:] = kept[p:]
    null = _units(p, columns)
    if some:
        independent, null, _ = independent_columns_of(rest)
        inner_kept[:p] = independent & kept[:p]
    inside = np.isin(np.arange(p), columns)
    null = null[:, np.any(null != 0.0, axis=0) & ~np.any(null[~inside] != 0.0, axis=0)]
    movable = coordinates.transform(design, null) if null.size else np.zeros((p, 0))
    size = np.abs(movable).max(axis=0, initial=0.0)
    movable = movable / np.where(size > 0, size, 1.0)
    infinite_user = np.any(np.abs(movable) > 1e-9, axis=1)
    infinite_user &= coordinates.reached(design, inside)
    model = Model(rest, canonical, False, 0.0, float(rest.observations))
    if some and inner_kept[:p].any():
        begin = null_start(rest.typical(), family)
        begin = np.where(inner_kept, begin, 0.0)
        begin[p:] = np.maximum(begin[p:], 1e-3)
        solution = natural_gradient(model, begin, free=inner_kept, max_iter=max_iter, tol=tol)
        if not solution.converged:
            solution2 = natural_gradient(
                model, np.where(inner_kept, solution.point, 0.0), free=inner_kept, max_iter=4 * max_iter, tol=tol
            )
            solution = solution2 if solution2.evaluation.loglik >= solution.evaluation.loglik else solution
        theta, factor, evaluation, n_iter = solution.theta, solution.factor, solution.evaluation, solution.n_iter
        decrement = solution.decrement
    else:
        theta = np.zeros(kept.size)
        evaluation = rest.evaluate(theta, EXPECTED)
        factor, n_iter, decrement = None, 1, 0.0
    information, covariance = covariance_formed(evaluation.information, factor, inner_kept)
    full_direction = np.zeros(kept.size)
    full_direction[columns] = direction
    theta = theta + _far(likelihood, theta, full_direction, rows, signs) * full_direction
    basis = np.zeros((p, 0))
    if null.size:
        basis = null[columns] if columns.size != p else null
    names = design.names
    at = np.flatnonzero(infinite_user)
    jacobian = coordinates.transform(design, _units(p, columns))
    signs_of = sep.coefficient_signs(found, at, jacobian, np.asarray(basis))
    coefficients = {names[j]: s for j, s in zip(at, signs_of, strict=True) if s != "finite"}
    finite_user = np.ones(kept.size, bool)
    finite_user[: len(names)] = ~np.isin(np.array(names), list(coefficients))
    return Fitted(
        theta, theta, np.zeros_like(theta), evaluation, information, covariance, evaluation.loglik,
        float(np.sqrt(decrement)), max(n_iter, 1), 0, "separated", kept, np.zeros((p, 0)),
        sep.Separation(rows, coefficients), np.zeros(0, int), (), finite_user,
    )  # fmt: skip


def limits(link: str) -> tuple[float, float]:
    """Linear predictors (upwards; downwards, without its sign) from which predictions are at their limit to 1e-12."""
    known = {"logit": (30.0, 30.0), "probit": (8.0, 8.0), "cloglog": (4.0, 30.0), "loglog": (30.0, 4.0),
             "cauchit": (4e11, 4e11)}  # fmt: skip
    return known.get(link, (30.0, 30.0))


def _units(p: int, columns: np.ndarray) -> np.ndarray:
    out = np.zeros((p, columns.size))
    out[columns, np.arange(columns.size)] = 1.0
    return out


def _far(
    likelihood: Likelihood, theta: np.ndarray, direction: np.ndarray, rows: np.ndarray, signs: np.ndarray
) -> float:
    """How far along the recession every separated row's prediction is at its limit to 1e-12."""
    up, down = limits(likelihood.kernels.links[0].name)
    longest = 0.0
    for start, part in likelihood.parts():
        here = rows[start : start + part.n]
        if not here.any():
            continue
        eta = part.linear_predictor(theta)[here]
        move = part.linear_predictor(direction, offset=False)[here]
        wanted = np.where(signs[start : start + part.n][here] > 0, up - eta, -down - eta)
        with np.errstate(all="ignore"):
            t = wanted / move
        longest = max(longest, float(np.nanmax(np.where(np.isfinite(t), t, 0.0), initial=0.0)))
    return float(np.clip(longest, 1.0, 1e15))
