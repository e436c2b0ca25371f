"""Where random numbers come from, as the user says it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputTypeError


def generator(random_state: Any) -> np.random.Generator:
    """A generator of a seed, or the one given."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"random_state must be a whole number of at least 0 or a numpy.random.Generator, got {random_state!r}"
        ) from None


__all__ = ["generator"]
