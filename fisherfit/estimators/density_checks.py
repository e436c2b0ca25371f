"""Checks of what a density was constructed with, and its random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..choices import one_of
from ..errors import InputError, InputTypeError

FEW = 2000  # rows among which distinct ones are looked for first


def check_common(model: Any, rows: int, weight: np.ndarray) -> None:
    """Refuse arguments of the constructor that cannot be meant, and more components than rows."""
    count = model.n_components
    _whole("n_components", count, 1)
    _whole("n_init", model.n_init, 1)
    _whole("max_iter", model.max_iter, 0)
    if isinstance(model.tol, bool) or not isinstance(model.tol, (int, float, np.number)) or not model.tol >= 0.0:
        raise InputError(f"tol must be a number of at least 0, got {model.tol!r}")
    present = int((weight > 0.0).sum())
    if count > present:
        zero = f" of positive weight (of {rows})" if present < rows else ""
        raise InputError(
            f"n_components={count} is more than the {present} rows{zero}: Expected n_samples >= n_components but got "
            f"n_components = {count}, n_samples = {present}; ask for fewer components"
        )


def check_distinct(values: list[np.ndarray], count: int) -> None:
    """Refuse more components than there are distinct rows."""
    if count == 1:
        return
    for rows in (slice(0, FEW), slice(None)):
        distinct = len(np.unique(np.column_stack([column[rows] for column in values]), axis=0))
        if distinct >= count:
            return
    what = "all rows of X are equal" if distinct == 1 else f"X has {distinct} distinct rows only"
    raise InputError(f"n_components={count}, but {what}; ask for at most as many components as there are distinct rows")


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")


def random_generator(random_state: Any) -> np.random.Generator:
    """A generator of a seed, of a `RandomState` as scikit-learn has it, or the generator given."""
    from ..randomness import generator

    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1))
    return generator(random_state)


def check_init(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse an unknown way to begin."""
    if not isinstance(value, str):
        raise InputTypeError(f"{name} must be a word, got {value!r}")
    one_of(name, value, known)


__all__ = ["check_common", "check_distinct", "check_init", "random_generator"]
