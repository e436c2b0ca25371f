"""Arguments that are a level, one of a few words, or names of parameters: checked once, for all methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from .errors import InputError, InputTypeError


def check_level(level: Any) -> float:
    """A confidence level.

    Raises
    ------
    InputError
        For what is no number strictly between 0 and 1.
    """
    if isinstance(level, bool) or not isinstance(level, (int, float, np.integer, np.floating)) or not 0.0 < level < 1.0:
        raise InputError(f"level must lie strictly between 0 and 1, got {level!r}")
    return float(level)


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse a word that is none of `choices`."""
    if not isinstance(value, str) or value not in choices:
        words = [repr(choice) for choice in choices]
        listed = " or ".join(words) if len(words) == 2 else f"one of {', '.join(words)}"
        raise InputError(f"{name}: {value!r} is not known; choose {listed}")


def names_among(columns: Any, known: Sequence[str]) -> tuple[str, ...]:
    """The names asked for, each once; by default all. An error for one that is no parameter."""
    if columns is None:
        return tuple(known)
    if not isinstance(columns, Iterable):
        raise InputTypeError(f"columns: expected names of parameters, such as {known[0]!r}, got {columns!r}")
    wanted = (columns,) if isinstance(columns, str) else tuple(columns)
    for name in wanted:
        if name not in known:
            close = get_close_matches(str(name), list(known), 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InputError(f"columns: {name!r} is not a parameter of the model; {hint}the first are "
                             f"{', '.join(map(repr, list(known)[:8]))}")  # fmt: skip
    return tuple(dict.fromkeys(wanted))


__all__ = ["check_level", "names_among", "one_of"]
