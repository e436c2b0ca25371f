"""The parameters of a model in the units of its user, and how they follow from working coordinates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Parameters(NamedTuple):
    """Names, values, d values / d coordinates, and the support of each, on whose scale intervals are made.

    `supports` has "real" (intervals on the scale of the value), "positive" (logarithm) or "unit" (logit).
    """

    names: tuple[str, ...]
    values: np.ndarray
    jacobian: np.ndarray
    supports: tuple[str, ...]


def joined(first: Parameters, second: Parameters) -> Parameters:
    """The parameters of two vectors of coordinates that stand one after the other."""
    a, b = first.jacobian, second.jacobian
    jacobian = np.zeros((a.shape[0] + b.shape[0], a.shape[1] + b.shape[1]))
    jacobian[: a.shape[0], : a.shape[1]], jacobian[a.shape[0] :, a.shape[1] :] = a, b
    return Parameters(
        first.names + second.names, np.concatenate([first.values, second.values]), jacobian,
        first.supports + second.supports,
    )  # fmt: skip


__all__ = ["Parameters", "joined"]
