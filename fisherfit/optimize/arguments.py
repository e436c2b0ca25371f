"""What an optimiser is given: a likelihood as such, in parts or as a family, and where to begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from ..families import Family
from .model import Model
from .of_family import family_model


def as_model(loglik: Any, data: Any, **more: Any) -> Model:
    """The model that an optimiser was given, as such, in parts, or as a family."""
    given = [name for name, value in more.items() if value is not None]
    data = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    if isinstance(loglik, Model):
        if data or given:
            raise InputTypeError("a Model was given, and data or derivatives beside it; put them into the Model")
        return loglik
    if isinstance(loglik, (str, Family)) or (isinstance(loglik, type) and issubclass(loglik, Family)):
        if given:
            raise InputError(f"a family was given, and {given[0]} beside it; a family has its own derivatives")
        if not 1 <= len(data) <= 2:
            raise InputError(f"data of a family must be (y,) or (y, X), got {len(data)} arrays")
        return family_model(loglik, *data)
    if not callable(loglik):
        raise InputTypeError("loglik must be a function of (theta, *data), a Model or a family, got "
                             f"{type(loglik).__name__}")  # fmt: skip
    score = more.get("score")
    if not (score is None or score == "complex" or callable(score)):
        raise InputError(f"score must be a function of (theta, *data) or 'complex', got {score!r}")
    for name in given:
        if name != "score" and not callable(more[name]):
            raise InputTypeError(f"{name} must be a function, got {type(more[name]).__name__}")
    if more.get("fvp") is not None and more.get("information") is not None:
        raise InputError("information and fvp were given, and are the same thing; give one of them")
    return Model(loglik, tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in data), **more)


def read_start(model: Model, start: Any) -> np.ndarray:
    """The parameters to begin at, checked."""
    try:
        theta = np.atleast_1d(np.array(start, float))
    except (TypeError, ValueError):
        raise InputTypeError(f"start must be a list of numbers, got {start!r}") from None
    if theta.ndim != 1 or not theta.size or not np.all(np.isfinite(theta)):
        raise InputError(f"start must be a list of finite numbers, got {start!r}")
    model.check_size(theta)
    check_rows(model.data)
    value = model._call(theta)
    if isinstance(value, tuple) and len(value) != 3:
        raise InputError(f"loglik returns {len(value)} values; it must return an array, a number, or the three values "
                         "loglik, score and information")  # fmt: skip
    rows = model.rows(theta)
    if rows.dtype.kind not in "fciub":
        raise InputTypeError(f"loglik returns {type(value).__name__}; it must return an array with a term for every "
                             "row, a number, or the three values loglik, score and information")  # fmt: skip
    if rows.ndim > 1 or (rows.ndim == 1 and rows.size != model.n):
        raise InputError(f"loglik returns an array of shape {rows.shape}; it must be a number, or have one value for "
                         f"each of the {model.n} rows")  # fmt: skip
    if not np.isfinite(model.total(theta)):
        with np.errstate(all="ignore"):
            value = float(np.real(rows.sum()))
        raise InputError(f"the log-likelihood at start is {value}{where(model, theta)}; begin where it is finite, or "
                         "look at the data there")  # fmt: skip
    _check_score(model, theta)
    return theta


def _check_score(model: Model, theta: np.ndarray) -> None:
    """Refuse a score that is no derivative of the log-likelihood, as far as differences along one direction tell."""
    if model.score == "complex":
        there = np.asarray(model._plain(theta + 1e-30j))
        if not np.iscomplexobj(there):
            raise InputError(
                "score='complex' needs a loglik that computes with complex parameters, and it returns real numbers for "
                "them (abs and comparisons lose the imaginary part); leave score out"
            )
        return
    value = model._call(theta)
    if not callable(model.score) and not (isinstance(value, tuple) and value[1] is not None):
        return
    other = model.on(*model.data)
    direction = np.random.default_rng(0).choice([-1.0, 1.0], theta.size) * np.maximum(np.abs(theta), 1e-2)
    parts = model.score_at(theta) * direction
    slope, size = float(parts.sum()), float(np.sqrt(parts @ parts))
    for h in (1e-4, 1e-5, 1e-6):
        ends = [other.total(theta + s * h * direction) for s in (1.0, -1.0)]
        found = (ends[0] - ends[1]) / (2.0 * h)
        rounding = 1e-13 * (1.0 + abs(ends[0])) / h
        if not np.isfinite([slope, found]).all() or abs(found - slope) <= 0.02 * (abs(found) + size) + rounding:
            return
    raise InputError(
        f"score is not the derivative of loglik: along one direction at start it says {slope:.6g}, and differences of "
        f"loglik say {found:.6g}; look for a sign or a factor, or leave score out"
    )


def check_limits(max_iter: Any, tol: Any) -> None:
    """Refuse what is no number of steps and no tolerance."""
    if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 0:
        raise InputError(f"max_iter must be a whole number of at least 0, got {max_iter!r}")
    if isinstance(tol, bool) or not isinstance(tol, (int, float, np.number)) or not 0.0 <= float(tol) < np.inf:
        raise InputError(f"tol must be a number of at least 0, got {tol!r}")


def check_rows(data: tuple[Any, ...]) -> None:
    """Refuse arrays of different lengths."""
    sizes = [(k, int(a.shape[0])) for k, a in enumerate(data) if getattr(a, "shape", ())]
    for k, size in sizes[1:]:
        if size != sizes[0][1]:
            raise InputError(f"array {k} of the data has {size} rows, and array {sizes[0][0]} has {sizes[0][1]}; the "
                             "first axis of all must count the same rows")  # fmt: skip


def where(model: Model, theta: np.ndarray) -> str:
    """What makes a log-likelihood no finite number: the entry of the data, else the row."""
    for k, array in enumerate(model.data):
        values = getattr(array, "data", None) if hasattr(array, "tocsr") else array
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isfinite(values).all():
            if hasattr(array, "tocsr"):
                entries = array.tocoo()
                first = int(np.argmin(np.isfinite(entries.data)))
                at: tuple[int, ...] = (int(entries.row[first]), int(entries.col[first]))
            else:
                at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            place = "".join(f", {word} {i}" for word, i in zip(("row", "column"), at, strict=False))
            return f" (array {k} of the data is not finite{place.replace(',', ' in', 1)})"
    rows = np.real(model.rows(theta))
    bad = np.flatnonzero(~np.isfinite(rows)) if rows.ndim else np.empty(0, int)
    return f" (row {bad[0]} is the first of {bad.size} where it is {rows[bad[0]]})" if bad.size else ""


__all__ = ["as_model", "check_limits", "check_rows", "read_start", "where"]
