"""Components that are tables of probabilities: Bernoulli and categorical columns, all of them in one object.

The probabilities of a column's levels are p_j = s_j prod_{i<j} (1 - s_i), s_j = 1 / (1 + e^-a_j): the chance of level j
among the levels from j on. In the coordinates a the information is diagonal and does not depend on the levels seen, a
probability that goes to 0 takes its own coordinate with it and no other, and two levels are the usual logit. Levels
stand in ascending order of frequency.

With indicators of levels as rows of a matrix D, all columns together: log f = P D, P the logarithms of the tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .entries import Edge, Entry

FARTHEST = 40.0  # e^-40: a coordinate beyond stands for a probability of 0
ZERO = 1e-9  # a probability below at the maximum is 0


@dataclass(frozen=True, eq=False)
class Column:
    """A column of categories: its number among all columns, its name, and its levels in the user's order.

    `sticks` has the levels (as numbers) in the order of the coordinates. `binary` columns report the probability of
    their level 1 alone.
    """

    column: int
    name: str
    levels: tuple[object, ...]
    sticks: tuple[int, ...]
    binary: bool


@dataclass(frozen=True, eq=False)
class Tables:
    """K components of tables.

    Parameters
    ----------
    columns : tuple of Column
    codes : int array of shape (columns, n)
        Numbers of the levels.
    count : int
        K.
    only : bool
        There is no other column, and this one is binary: parameters are called ``prob[0]``.
    """

    columns: tuple[Column, ...]
    codes: np.ndarray
    count: int
    only: bool = False

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.codes.shape[1])

    @property
    def row_size(self) -> float:
        """Numbers that a row holds."""
        return float(self.width)

    @cached_property
    def spans(self) -> tuple[tuple[int, int, int], ...]:
        """For every column: first coordinate, first indicator, and the number of levels."""
        out, a, b = [], 0, 0
        for column in self.columns:
            levels = len(column.levels)
            out.append((a, b, levels))
            a, b = a + levels - 1, b + levels
        return tuple(out)

    @cached_property
    def own(self) -> int:
        """Coordinates of a component."""
        return sum(len(column.levels) - 1 for column in self.columns)

    @cached_property
    def width(self) -> int:
        """Indicators of all levels of all columns."""
        return sum(len(column.levels) for column in self.columns)

    @property
    def size(self) -> int:
        """Length of phi."""
        return self.count * self.own

    @property
    def sums_size(self) -> int:
        """Numbers in a row of `sums`."""
        return self.count * self.width

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """The coordinates of every component, one component after the other."""
        return tuple(np.arange(k * self.own, (k + 1) * self.own) for k in range(self.count))

    @cached_property
    def which(self) -> tuple[np.ndarray, np.ndarray]:
        """Column and level of every indicator, in the order of the sticks."""
        column = np.concatenate([np.full(len(c.levels), j) for j, c in enumerate(self.columns)])
        return column, np.concatenate([np.array(c.sticks, int) for c in self.columns])

    def indicators(self, start: int, stop: int) -> np.ndarray:
        """D of some rows: (width, m)."""
        column, level = self.which
        return (self.codes[column, start:stop] == level[:, None]).astype(float)

    def log_tables(self, phi: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities in the order of the indicators: (..., width) from (..., own)."""
        out = np.empty((*phi.shape[:-1], self.width))
        for a, b, levels in self.spans:
            eta = phi[..., a : a + levels - 1]
            left = np.zeros(phi.shape[:-1])
            for j in range(levels - 1):
                out[..., b + j] = left - np.logaddexp(0.0, -eta[..., j])
                left = left - np.logaddexp(0.0, eta[..., j])
            out[..., b + levels - 1] = left
        return out

    def at(self, phi: np.ndarray) -> TablesPoint:
        """The components at S points."""
        return TablesPoint(self, phi.reshape(len(phi), self.count, self.own))

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-step: shares of the weight."""
        total = sums.reshape(len(sums), self.count, self.width)
        out = np.empty((len(sums), self.count, self.own))
        for a, b, levels in self.spans:
            part = total[:, :, b : b + levels]
            later = np.cumsum(part[:, :, ::-1], axis=2)[:, :, ::-1]
            here, rest = part[:, :, :-1], later[:, :, 1:]
            ratio = np.log(np.maximum(here, 1e-300)) - np.log(np.maximum(rest, 1e-300))
            out[:, :, a : a + levels - 1] = np.clip(ratio, -FARTHEST, FARTHEST)
        return out.reshape(len(sums), self.size)

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: shares of the weight and of a little of all rows, so that no probability is 0."""
        overall = weight.sum(axis=0)
        smooth = weight + (0.02 * (weight.sum(axis=1) + 1e-3) / max(float(overall.sum()), 1e-300))[:, None] * overall
        sums = smooth @ self.indicators(0, self.n).T
        return self.update(np.zeros((1, self.size)), sums.reshape(1, -1))[0]

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order."""
        return np.asarray(phi.reshape(self.count, self.own)[order].ravel())

    def counting(self, count: int) -> Tables:
        """As many components on the same rows."""
        return replace(self, count=count)

    def take(self, rows: np.ndarray) -> Tables:
        """The same components on some of the rows."""
        return replace(self, codes=np.ascontiguousarray(self.codes[:, rows]))

    def features(self) -> np.ndarray:
        """The indicators, scaled so that columns count alike: (n, width)."""
        return np.asarray(self.indicators(0, self.n).T * 1.5)

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """A table does not degenerate: its edges are maxima."""
        return []

    def entries(self, phi: np.ndarray) -> list[Entry]:
        """Probabilities: of 1 where a column is binary, else of every level."""
        out = []
        phi = phi.reshape(self.count, self.own)
        tables = np.exp(self.log_tables(phi))
        for k in range(self.count):
            for column, (a, b, levels) in zip(self.columns, self.spans, strict=True):
                s = 1.0 / (1.0 + np.exp(-phi[k, a : a + levels - 1]))
                r = 1.0 / (1.0 + np.exp(phi[k, a : a + levels - 1]))
                p = tables[k, b : b + levels]
                # d p_j / d a_i = p_j (1 - s_i) at i = j and -p_j s_i at i < j
                slopes = np.zeros((levels, levels - 1))
                for j in range(levels):
                    slopes[j, :j] = -p[j] * s[:j]
                    if j < levels - 1:
                        slopes[j, j] = p[j] * r[j]
                place = {level: j for j, level in enumerate(column.sticks)}
                for level, label in enumerate(column.levels):
                    if column.binary and level == 0:
                        continue
                    j = place[level]
                    row = np.zeros(self.size)
                    row[k * self.own + a : k * self.own + a + levels - 1] = slopes[j]
                    name = (
                        f"prob[{k}]"
                        if self.only
                        else f"prob[{k},{column.name}" + ("]" if column.binary else f"={label}]")
                    )
                    out.append(Entry(k, column.column, name, float(p[j]), row, "unit"))
        return out

    def edges(self, phi: np.ndarray) -> list[Edge]:
        """Coordinates that have run to a probability of 0 or 1, and those that no row says anything about."""
        out = []
        for k, values in enumerate(phi.reshape(self.count, self.own)):
            for a, _, levels in self.spans:
                closed = False
                for j in range(levels - 1):
                    place, value = k * self.own + a + j, float(values[a + j])
                    low, high = value < np.log(ZERO), value > -np.log(ZERO)
                    if closed:
                        out.append(Edge(place, 0.0))
                    elif low or high:
                        out.append(Edge(place, FARTHEST if high else -FARTHEST))
                    closed |= high
        return out

    def leading(self, phi: np.ndarray) -> list[float]:
        """The first probability of every component."""
        first: dict[int, float] = {}
        for entry in self.entries(phi):
            if entry.column == self.columns[0].column:
                first.setdefault(entry.component, entry.value)
        return [first[k] for k in range(self.count)]

    def sample(self, phi: np.ndarray, k: int, size: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
        """Draws of component k as numbers of levels, by column."""
        tables = np.exp(self.log_tables(phi.reshape(self.count, self.own)[k]))
        out = {}
        for column, (_, b, levels) in zip(self.columns, self.spans, strict=True):
            p = tables[b : b + levels]
            out[column.column] = rng.choice(np.array(column.sticks), size=size, p=p / p.sum())
        return out


class TablesPoint:
    """The tables at S points, phi of shape (S, K, own)."""

    def __init__(self, components: Tables, phi: np.ndarray) -> None:
        self.components, self.phi = components, phi
        self.logs = components.log_tables(phi)

    def rows(self, start: int, stop: int, informative: bool) -> TablesBlock:
        """A block of rows."""
        return TablesBlock(self, start, stop)


class TablesBlock:
    """Rows of the tables at S points."""

    def __init__(self, point: TablesPoint, start: int, stop: int) -> None:
        self.point, c = point, point.components
        self.d = c.indicators(start, stop)
        flat = point.logs.reshape(-1, c.width)
        self.log_density = (flat @ self.d).reshape(len(point.phi), c.count, stop - start)

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """The weight of every level: (S, K width)."""
        flat = weight.reshape(-1, weight.shape[2]) @ self.d.T
        return np.asarray(flat.reshape(len(weight), -1))

    def scores(self) -> list[np.ndarray]:
        """For every component 1{level j} - s_j 1{level j or later}: (own, m)."""
        c = self.point.components
        here, risk = np.empty((c.own, self.d.shape[1])), np.empty((c.own, self.d.shape[1]))
        for a, b, levels in c.spans:
            here[a : a + levels - 1] = self.d[b : b + levels - 1]
            risk[a : a + levels - 1] = np.cumsum(self.d[b : b + levels][::-1], axis=0)[::-1][: levels - 1]
        s = 1.0 / (1.0 + np.exp(-self.point.phi[0]))
        return [here - s[k][:, None] * risk for k in range(c.count)]

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """s (1 - s) times the weight at level j or later: diagonal, and the same expected and observed."""
        c = self.point.components
        total = weight @ self.d.T
        risk = np.empty((c.count, c.own))
        for a, b, levels in c.spans:
            risk[:, a : a + levels - 1] = np.cumsum(total[:, b : b + levels][:, ::-1], axis=1)[:, ::-1][:, : levels - 1]
        phi = self.point.phi[0]
        out = np.diag((risk / (1.0 + np.exp(-phi)) / (1.0 + np.exp(phi))).ravel())
        return out, out


__all__ = ["Column", "Tables"]
