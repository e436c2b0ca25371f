"""What a Gaussian mixture makes of its data and arguments: columns, components, starts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DegenerateComponentWarning, InputError, InputTypeError, RankWarning
from ..mixtures.gaussian import Gaussian
from ..mixtures.structures import structure_of
from ..table import Table
from .gaussian_density import independent_columns
from .mixture_columns import numbers_of


def components_of(
    kind: type[Gaussian], x: np.ndarray, count: int, structure: str, names: tuple[str, ...]
) -> tuple[Gaussian, Any, tuple[tuple[str, Any], ...]]:
    """The components; where columns determine others, on those that do not, with how the others follow and a warning.

    Raises
    ------
    InputError
        As `Gaussian`, for anything else.
    """
    if structure_of(structure, count, x.shape[1]).group != "all" or bool((np.ptp(x, axis=0) == 0.0).any()):
        return kind(x, count, structure, names), None, ()
    try:
        return kind(x, count, structure, names), None, ()
    except InputError:
        kept, shift, matrix = independent_columns(x.astype(float))
        if kept.size == x.shape[1]:
            raise
    dropped = [name for j, name in enumerate(names) if j not in set(kept.tolist())]
    listed = ", ".join(map(repr, dropped[:6])) + (f", ... ({len(dropped)} in all)" if len(dropped) > 6 else "")
    text = (
        f"X has columns that are linear functions of others ({listed}; rank {kept.size} of {len(names)}), so that "
        "covariances are singular: the density is that of the other columns; leave them out, or use "
        "covariance_type='diag'"
    )
    inner = tuple(names[j] for j in kept)
    return (
        kind(np.ascontiguousarray(x[:, kept]), count, structure, inner),
        (kept, shift, matrix),
        ((text, RankWarning),),
    )


def on_columns(settings: dict[str, Any], kept: np.ndarray | None) -> dict[str, Any]:
    """The settings of a prior for the columns that are kept, where others depend on them."""
    out = dict(settings)
    if kept is not None:
        if np.ndim(out.get("mean", 0.0)) == 1:
            out["mean"] = np.asarray(out["mean"])[kept]
        if np.ndim(out.get("scale", 0.0)) == 2:
            out["scale"] = np.asarray(out["scale"])[np.ix_(kept, kept)]
    return out


def with_remedy(warning: tuple[str, Any]) -> tuple[str, Any]:
    """A warning; that of a degenerate component says that a prior helps."""
    message, kind = warning
    return (f'{message}; or prior="mclust"' if kind is DegenerateComponentWarning else message), kind


def matrix_of(table: Table, names: tuple[str, ...]) -> np.ndarray:
    """The columns of a table as one matrix of finite numbers: (n, d)."""
    if table.matrix is not None and names == table.names and np.isfinite(np.asarray(table.matrix, float).sum()):
        return np.asarray(table.matrix)
    return np.column_stack([numbers_of(table, name) for name in names])


def labels_as(labels: np.ndarray, count: int) -> np.ndarray:
    """Responsibilities (K, n) of labels."""
    return np.asarray((labels == np.arange(count)[:, None]).astype(float))


def responsibilities_of(joint: np.ndarray) -> np.ndarray:
    """Responsibilities (K, n) of log pi_k f_k (n, K)."""
    r = np.exp(joint - joint.max(axis=1, keepdims=True))
    return np.ascontiguousarray((r / r.sum(axis=1, keepdims=True)).T)


def given_array(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        out = np.asarray(value, float)
    except (TypeError, ValueError):
        raise InputTypeError(f"{name} must be an array of numbers, got {type(value).__name__}") from None
    if out.shape != shape:
        raise InputError(f"The parameter '{name}' should have the shape of {shape}, but got {out.shape}")
    if not np.isfinite(out).all():
        raise InputError(f"{name} contains NaN or infinity")
    return out


__all__ = ["components_of", "given_array", "labels_as", "matrix_of", "on_columns", "responsibilities_of", "with_remedy"]
