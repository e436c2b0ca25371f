"""Some of the units in place of all: drawn by chance, with rows of every rare level, and the way back to all units.

A level that few rows have would be missing from a sample, and its coefficient would have no estimate there. Rows are
added by their covariates alone, which leaves the model of the response given these what it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..likelihood import expand
from .mixture import Mixture
from .starts import owners

ALIKE = 0.98  # share of the rows of a sample with one value, from which the other values are rare
OF_LEVEL = 40  # units that have another value, at the least where there are so many
BLOCK = 8192  # rows that are read at a time


def some_units(mixture: Mixture, order: np.ndarray, size: int) -> np.ndarray:
    """The first `size` of the units in `order`, and more where a column would be all but constant: ascending."""
    chosen = order[:size]
    if size >= len(order):
        return np.sort(order)
    design = getattr(mixture.components, "design", None)
    wanted = [chosen]
    if design is not None:
        few: Any = mixture.take(chosen).components
        owner = None if mixture.edges is None else owners(mixture)

        def read(start: int, stop: int) -> np.ndarray:
            return expand(design, start, stop)

        wanted += _rare(expand(few.design, 0, few.n), read, mixture.components.n, owner, order)
    z = mixture.mixing.design
    if z is not None:
        wanted += _rare(z[chosen], lambda start, stop: z[start:stop], mixture.units, None, order)
    return np.unique(np.concatenate(wanted))


def _rare(table: np.ndarray, read: Any, n: int, owner: np.ndarray | None, order: np.ndarray) -> list[np.ndarray]:
    """For every column that is all but constant in `table`, the first units of `order` that have another value."""
    middle = np.sort(table, axis=0)[len(table) // 2]
    different = table != middle
    columns = np.flatnonzero((different.mean(axis=0) < 1.0 - ALIKE) & (different.sum(axis=0) < OF_LEVEL))
    if not columns.size:
        return []
    rank = np.full(n if owner is None else int(owner[-1]) + 1, len(order))
    rank[order] = np.arange(len(order))
    found: list[list[np.ndarray]] = [[] for _ in columns]
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        other = read(start, stop)[:, columns] != middle[columns]
        for rows, mine in zip(found, other.T, strict=True):
            if mine.any():
                rows.append(start + np.flatnonzero(mine))
    out = []
    for parts in found:
        if parts:
            units = np.concatenate(parts)
            units = units if owner is None else np.unique(owner[units])
            units = units[rank[units] < len(order)]
            out.append(units[np.argsort(rank[units])[:OF_LEVEL]])
    return out


def within(mixture: Mixture, theta: np.ndarray, held: tuple[int, ...]) -> np.ndarray:
    """theta with coordinates that ran to infinity brought back to where so many rows would show them to be finite."""
    out, mixed = theta.copy(), mixture.mixing.size
    edges = getattr(mixture.components, "edges", None)
    places = [*held, *(mixed + edge.place for edge in (edges(theta[mixed:]) if edges is not None else ()))]
    most = float(np.log(max(mixture.total, 2.0)))
    out[places] = np.clip(out[places], -most, most)
    return out


__all__ = ["some_units", "within"]
