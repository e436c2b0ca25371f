"""Between standardised and user's coordinates without the p x p matrix of `Design.to_user`.

That matrix J is diagonal but for the row of the intercept, which takes the centres of the dense columns into account.
Rows may be 1e200 in size, so that a scale for every row is kept apart: J = diag(scale) U.
"""

from __future__ import annotations

import numpy as np

from .blocks import Design

ROUNDING = 1e-13  # of a sum, relative to its terms


def rows_of_jacobian(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """The largest entry in every row of J, and the first row of U on the intercept and the dense columns."""
    scale = np.ones(design.width)
    scale[int(design.intercept) : design.dense_width] = design.inverse_scale
    if design.sparse is not None:
        scale[design.sparse_at :] = design.sparse.scale
    first = np.concatenate([[1.0], -design.centre * design.inverse_scale])
    if design.intercept:
        scale[0] = np.abs(first).max()
        first = first / scale[0]
    return scale, first


def transform(design: Design, columns: np.ndarray) -> np.ndarray:
    """J times `columns`."""
    scale, first = rows_of_jacobian(design)
    rows = scale[:, None] * columns
    if design.intercept:
        rows[0] = scale[0] * (first @ columns[: first.size])
    return rows[_user_order(design, design.width)]


def null_in_user_units(design: Design, null: np.ndarray) -> np.ndarray:
    """A basis of what vanishes in the user's coordinates, with zeros where rounding alone is left."""
    null = np.where(np.abs(null) > ROUNDING * np.abs(null).max(axis=0, initial=0.0), null, 0.0)
    out = transform(design, null)
    if design.intercept:
        scale, first = rows_of_jacobian(design)
        terms = scale[0] * (np.abs(first) @ np.abs(null[: first.size]))
        at = int(np.flatnonzero(_user_order(design, design.width) == 0)[0])
        out[at] = np.where(np.abs(out[at]) > ROUNDING * terms, out[at], 0.0)
    return out


def congruent(design: Design, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scale of every row, and U M U'; further parameters, beyond the design's, are left as they are."""
    scale, first = rows_of_jacobian(design)
    out = matrix.copy()
    if design.intercept:
        d = first.size
        out[0] = first @ out[:d]
        out[:, 0] = out[:, :d] @ first
    order = _user_order(design, matrix.shape[0])
    scale = np.concatenate([scale, np.ones(matrix.shape[0] - design.width)])
    return scale[order], out if np.all(order[1:] > order[:-1]) else out[np.ix_(order, order)]


def contrast(design: Design, j: int) -> np.ndarray:
    """The row of J that makes the user's coefficient j."""
    scale, first = rows_of_jacobian(design)
    k = int(np.flatnonzero(design.position == j)[0])
    out = np.zeros(design.width)
    if design.intercept and k == 0:
        out[: first.size] = scale[0] * first
    else:
        out[k] = scale[k]
    return out


def reached(design: Design, marked: np.ndarray) -> np.ndarray:
    """The user's coefficients, and further parameters, that depend on a standardised one that is marked."""
    _, first = rows_of_jacobian(design)
    out = marked.copy()
    if design.intercept:
        out[0] = np.any(marked[: first.size] & (first != 0.0))
    return out[_user_order(design, marked.size)]


def bound(design: Design, errors: np.ndarray) -> np.ndarray:
    """Upper bounds of the standard errors in the user's coordinates, from such bounds in the standardised ones."""
    scale, first = rows_of_jacobian(design)
    out = errors.copy()
    if design.intercept:
        out[0] = np.abs(first) @ errors[: first.size]
    out[: design.width] *= scale
    return out[_user_order(design, errors.size)]


def minimum_norm(
    b: np.ndarray, covariance: np.ndarray | None, null: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Move along the null space to the slopes of least norm, in the user's units, the intercept outside."""
    p = b.size
    size = np.abs(null).max(axis=0)
    null = null / np.where(size > 0, size, 1.0)
    slopes = null[int(intercept) :]
    along = np.linalg.pinv(np.vstack([np.zeros((int(intercept), slopes.shape[1])), slopes]))
    estimable = np.all(np.abs(null) <= 1e-9, axis=1)
    if covariance is not None:  # (I - N A) C (I - N A)'
        covariance = np.nan_to_num(covariance)
        covariance[:p] -= null @ (along @ covariance[:p])
        covariance[:, :p] -= (covariance[:, :p] @ along.T) @ null.T
    return b - null @ (along @ b), covariance, estimable


def _user_order(design: Design, size: int) -> np.ndarray:
    return np.concatenate([np.argsort(design.position), np.arange(design.width, size)])


__all__ = ["bound", "congruent", "contrast", "minimum_norm", "reached", "transform"]
