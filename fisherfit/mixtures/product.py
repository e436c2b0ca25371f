"""Components with several columns that are independent given the component: the log-densities of parts add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from .entries import Edge
from .parameters import Parameters


@dataclass(frozen=True, eq=False)
class Product:
    """K components that are products of parts, each with K components of its own on some of the columns.

    `alike` numbers the families of the components: only components with the same number may change places.
    """

    parts: tuple[Any, ...]
    alike: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.parts[0].n)

    @property
    def count(self) -> int:
        """Number of components."""
        return len(self.alike)

    @property
    def row_size(self) -> float:
        """Numbers that a row holds."""
        return float(sum(part.row_size for part in self.parts))

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """First entry of phi of every part, and the one after its last."""
        ends = np.cumsum([0] + [part.size for part in self.parts])
        return [(int(a), int(b)) for a, b in pairwise(ends)]

    @property
    def size(self) -> int:
        """Length of phi."""
        return self.bounds[-1][1]

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """For every component, the entries of phi in all parts."""
        return tuple(
            np.concatenate([a + part.places[k] for part, (a, _) in zip(self.parts, self.bounds, strict=True)])
            for k in range(self.count)
        )

    @property
    def dimensions(self) -> int:
        """1 where some column is continuous, as two rows determine its dispersion; 0 where nothing can collapse."""
        return int(any(getattr(part, "is_continuous", False) for part in self.parts))

    def split(self, phi: np.ndarray) -> list[tuple[Any, np.ndarray]]:
        """Every part with its entries of phi, along the last axis."""
        return [(part, phi[..., a:b]) for part, (a, b) in zip(self.parts, self.bounds, strict=True)]

    def at(self, phi: np.ndarray) -> ProductPoint:
        """The components at S points."""
        return ProductPoint([part.at(np.ascontiguousarray(own)) for part, own in self.split(phi)], self)

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-steps of the parts."""
        out, at = [], 0
        for part, own in self.split(phi):
            out.append(part.update(own, sums[:, at : at + part.sums_size]))
            at += part.sums_size
        return np.concatenate(out, axis=1)

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """The starts of the parts."""
        return np.concatenate([part.from_posterior(weight) for part in self.parts])

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order."""
        return np.concatenate([part.permuted(own, order) for part, own in self.split(phi)])

    def order(self, phi: np.ndarray) -> np.ndarray:
        """Ascending in the first parameter of the first column, then of the next ones, within components alike."""
        found = sorted(self.split(phi), key=lambda pair: _first_column(pair[0]))
        keys = np.array([part.leading(own) for part, own in found])
        kinds, out = np.array(self.alike), np.arange(self.count)
        for kind in np.unique(kinds):
            where = np.flatnonzero(kinds == kind)
            out[where] = where[np.lexsort(keys[::-1, where])]
        return out

    def take(self, rows: np.ndarray) -> Product:
        """The same components on some of the rows."""
        return replace(self, parts=tuple(part.take(rows) for part in self.parts))

    def counting(self, count: int) -> Product:
        """As many components of the same families on the same rows."""
        if len(set(self.alike)) > 1:
            raise InputError("the components are of different families (by_component=True), so that the family of a "
                             "further one is not known; fit both models and compare their BIC")  # fmt: skip
        return Product(tuple(part.counting(count) for part in self.parts), (0,) * count)

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components that have degenerated in some part."""
        return [found for part, own in self.split(phi) for found in part.trouble(own)]

    def features(self) -> np.ndarray:
        """Those of the parts side by side."""
        return np.concatenate([part.features() for part in self.parts], axis=1)

    def report(self, phi: np.ndarray) -> Parameters:
        """The parameters component by component, in the order of the columns."""
        found = []
        for (a, b), (part, own) in zip(self.bounds, self.split(phi), strict=True):
            for entry in part.entries(own):
                row = np.zeros(self.size)
                row[a:b] = entry.row
                found.append(entry._replace(row=row))
        found.sort(key=lambda entry: (entry.component, entry.column))
        return Parameters(
            tuple(e.name for e in found), np.array([e.value for e in found]), np.stack([e.row for e in found]),
            tuple(e.support for e in found),
        )  # fmt: skip

    def edges(self, phi: np.ndarray) -> list[Edge]:
        """Coordinates that have run to an edge of the parameter space."""
        return [
            edge._replace(place=a + edge.place)
            for (a, _), (part, own) in zip(self.bounds, self.split(phi), strict=True)
            for edge in part.edges(own)
        ]

    def sample(self, phi: np.ndarray, k: int, size: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
        """Draws of component k, by column."""
        out: dict[int, np.ndarray] = {}
        for part, own in self.split(phi):
            out |= part.sample(own, k, size, rng)
        return out


def _first_column(part: Any) -> int:
    return int(part.columns[0].column) if hasattr(part, "columns") else int(part.column)


class ProductPoint:
    """The parts at S points."""

    def __init__(self, points: list[Any], components: Product) -> None:
        self.points, self.components = points, components

    def rows(self, start: int, stop: int, informative: bool) -> ProductBlock:
        """A block of rows."""
        return ProductBlock([point.rows(start, stop, informative) for point in self.points], self.components)


class ProductBlock:
    """Rows of the parts at S points."""

    def __init__(self, blocks: list[Any], components: Product) -> None:
        self.blocks, self.components = blocks, components
        self.log_density = blocks[0].log_density
        for block in blocks[1:]:
            self.log_density = self.log_density + block.log_density

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """Those of the parts, one after the other."""
        return np.concatenate([block.sums(weight) for block in self.blocks], axis=1)

    def scores(self) -> list[np.ndarray]:
        """The complete-data scores of every row, part by part."""
        found = [block.scores() for block in self.blocks]
        return [np.concatenate([scores[k] for scores in found]) for k in range(self.components.count)]

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Block-diagonal in the parts."""
        size = self.components.size
        out = np.zeros((2, size, size))
        for block, (a, b) in zip(self.blocks, self.components.bounds, strict=True):
            out[0, a:b, a:b], out[1, a:b, a:b] = block.curvature(weight)
        return out[0], out[1]


__all__ = ["Product"]
