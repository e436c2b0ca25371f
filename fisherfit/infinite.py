"""The limit of a separated fit: which coefficients are infinite, and the maximum of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import separation as sep
from .families import Family
from .likelihood import EXPECTED, Likelihood, dense_design
from .model import Fitted, Model, in_user_order, null_space_in_user_order
from .solver import natural_gradient
from .starts import null_start


def find_separation(likelihood: Likelihood, family: Family, kept: np.ndarray) -> Any:
    present = likelihood.weight > 0.0
    signs = sep.row_signs(family.name, likelihood.kernels.links[0].name, likelihood.y, present)
    if signs is None or not signs.any():
        return None
    p = likelihood.designs[0].width
    x = dense_design(likelihood)[:, kept[:p]]
    found = sep.recession(x, signs, present)
    return None if found is None else (*found, signs)


def finite_part(
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
        independent = in_user_order(root, design.sizes, design.position)
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
    model = Model(rest, canonical, False, 0.0, float(np.count_nonzero(present)))
    if present.any() and inner_kept[:p].any():
        begin = null_start(rest, family)
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
        float(np.sqrt(decrement)), max(n_iter, 1), 0, "separated", kept, np.zeros((p, 0)),
        sep.Separation(rows, coefficients), np.zeros(0, int), (), finite_user,
    )  # fmt: skip


def _far(
    likelihood: Likelihood, theta: np.ndarray, direction: np.ndarray, rows: np.ndarray, signs: np.ndarray
) -> float:
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
