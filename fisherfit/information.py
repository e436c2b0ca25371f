"""The information as an operator: w row by row instead of a matrix, and products X'WX v by one pass over the rows.

For designs so wide that p^2 numbers do not fit, or do not pay. Rows are cut into stripes by the shape of the design
alone, and stripes are added in their order: the same bits for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import _threads
from . import sparse as loops
from ._jit import compiled
from .blocks import Design, Rows
from .likelihood import Likelihood

FEW = 300  # dense columns up to which their part of the information preconditions as a matrix


@dataclass(frozen=True, eq=False)
class RowInformation:
    """X' diag(w) X of a likelihood, by the information w of every row's linear predictors (K(K+1)/2 of them)."""

    likelihood: Likelihood
    w: np.ndarray

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return sum(self.likelihood.widths)

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        lik = self.likelihood
        if _only_sparse(lik):
            return self._sparse_product(v)
        parts = lik.split(v)
        edges = np.concatenate([[0], np.cumsum(lik.widths)])
        k = len(lik.designs)

        def work(rows: list[Rows], spans: list[tuple[int, int]]) -> np.ndarray:
            out = np.zeros(v.size)
            for start, stop in spans:
                eta = np.empty((k, stop - start))
                for j in range(k):
                    rows[j].load(start, stop)
                    rows[j].predict(parts[j], eta[j])
                moved, at = np.zeros_like(eta), 0
                for j in range(k):
                    for i in range(j, k):
                        weight = self.w[at, start:stop]
                        moved[j] += weight * eta[i]
                        if i != j:
                            moved[i] += weight * eta[j]
                        at += 1
                for j in range(k):
                    rows[j].score(moved[j], out[edges[j] : edges[j + 1]])
            return out

        return total(lik.each_stripe(work))

    def _sparse_product(self, v: np.ndarray) -> np.ndarray:
        lik = self.likelihood
        design = lik.designs[0]
        s, at, w = design.sparse, design.sparse_at, self.w[0]
        assert s is not None
        kernel = compiled(loops.sparse_product)

        def work(spans: list[tuple[int, int]]) -> np.ndarray:
            out = np.zeros(v.size)
            kernel(s.indptr, s.indices, s.data, spans[0][0], spans[-1][1], w, v, out, at)
            return out

        _, stripes, threads = lik.plan()
        return total(_threads.run(work, stripes, threads))

    def score(self, u: np.ndarray) -> np.ndarray:
        """X'u of the first parameter."""

        def work(rows: list[Rows], spans: list[tuple[int, int]]) -> np.ndarray:
            out = np.zeros(self.likelihood.designs[0].width)
            for start, stop in spans:
                rows[0].load(start, stop)
                rows[0].score(u[start:stop], out)
            return out

        return total(self.likelihood.each_stripe(work))

    @cached_property
    def _diagonal(self) -> np.ndarray:
        lik = self.likelihood
        k = len(lik.designs)
        edges = np.concatenate([[0], np.cumsum(lik.widths)])
        own = np.cumsum([0, *range(k, 1, -1)])  # where w holds the information of one parameter

        def work(rows: list[Rows], spans: list[tuple[int, int]]) -> np.ndarray:
            out = np.zeros(self.size)
            for start, stop in spans:
                for j in range(k):
                    rows[j].load(start, stop)
                    rows[j].squares(self.w[own[j], start:stop], out[edges[j] : edges[j + 1]])
            return out

        return total(lik.each_stripe(work))

    def diagonal(self) -> np.ndarray:
        """The diagonal of F."""
        return self._diagonal

    def block(self) -> tuple[np.ndarray, np.ndarray]:
        """The intercept and the dense columns of the first parameter, where they are few, and their part of F."""
        width = self.likelihood.designs[0].dense_width
        if not 1 < width <= FEW:
            return np.empty(0, int), np.empty((0, 0))
        few = _dense_only(self.likelihood)
        gram, _ = few.weighted_sums(self.w[0], np.zeros(few.n))
        return np.arange(width), gram

    def dense(self) -> np.ndarray:
        """F as a matrix: for tests and for sizes that allow it."""
        lik, p = self.likelihood, self.likelihood.designs[0].width
        out = np.empty((self.size, self.size))
        single = replace(lik, designs=lik.designs[:1], matrices=True)
        out[:p, :p] = single.weighted_sums(self.w[0], np.zeros(lik.n))[0]
        for j in range(p, self.size):  # the designs of further parameters are narrow
            unit = np.zeros(self.size)
            unit[j] = 1.0
            out[j] = out[:, j] = self.product(unit)
        return out


def total(parts: list[np.ndarray]) -> np.ndarray:
    """The sum of the parts, in their order."""
    out = parts[0]
    for part in parts[1:]:
        out += part
    return out


def _only_sparse(likelihood: Likelihood) -> bool:
    """True for one parameter with an intercept, perhaps, and sparse columns."""
    design = likelihood.designs[0]
    return len(likelihood.designs) == 1 and design.sparse is not None and design.sparse_at == int(design.intercept)


def _dense_only(likelihood: Likelihood) -> Likelihood:
    """The likelihood with the intercept and the dense columns of its first design alone."""
    d = likelihood.designs[0]
    names = tuple(d.names[j] for j in d.position[: d.dense_width])
    few: Any = replace(d, names=names, categorical=(), sparse=None, position=np.arange(d.dense_width))
    assert isinstance(few, Design)
    return replace(likelihood, designs=(few,))


__all__ = ["RowInformation"]
