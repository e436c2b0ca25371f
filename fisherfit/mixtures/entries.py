"""One parameter of one component in a mixture of columns, before all are put in order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Entry(NamedTuple):
    """A parameter: of which component and column, its value, d value / d phi, and its support."""

    component: int
    column: int
    name: str
    value: float
    row: np.ndarray
    support: str


class Edge(NamedTuple):
    """A coordinate that has run to the edge of the parameter space, and where to hold it."""

    place: int
    held: float


__all__ = ["Edge", "Entry"]
