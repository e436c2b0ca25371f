"""The information as an operator: w row by row instead of a matrix, and products X'WX v by one pass over the rows.

For designs so wide that p^2 numbers do not fit, or do not pay. Rows are cut into stripes by the shape of the design
alone, and stripes are added in their order: the same bits for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .blocks import Design
from .likelihood import Likelihood, blas_addresses, compiled_pass, each_stripe

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
        lay, run = self.likelihood.layout, compiled_pass("product")

        def work(start: int, stop: int, size: int) -> np.ndarray:
            out = np.zeros(v.size)
            run(
                blas_addresses(), lay.shapes, lay.columns, lay.standards, lay.categories, start, stop, size,
                self.w, v, out,
            )  # fmt: skip
            return out

        return total(self.likelihood.each_stripe(work, False))

    def score(self, u: np.ndarray) -> np.ndarray:
        """X'u of the first parameter."""
        return self.likelihood.weighted_sums(None, u)[1]

    @cached_property
    def _diagonal(self) -> np.ndarray:
        lik = self.likelihood
        k = len(lik.designs)
        own = np.cumsum([0, *range(k, 1, -1)])  # where w holds the information of one parameter
        return np.concatenate([squares(d, self.w[j], lik.threads) for d, j in zip(lik.designs, own, strict=True)])

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


def squares(design: Design, w: np.ndarray, threads: int) -> np.ndarray:
    """The diagonal of X' diag(w) X."""
    lay, run = design.layout, compiled_pass("squares")

    def work(start: int, stop: int, size: int) -> np.ndarray:
        out = np.zeros(design.width)
        run(lay.shapes[0], lay.columns, lay.standards, lay.categories, start, stop, size, w, out)
        return out

    return total(each_stripe(work, design.n, design.width, design.row_size, threads, False))


def total(parts: list[np.ndarray]) -> np.ndarray:
    """The sum of the parts, in their order."""
    out = parts[0]
    for part in parts[1:]:
        out += part
    return out


def _dense_only(likelihood: Likelihood) -> Likelihood:
    """The likelihood with the intercept and the dense columns of its first design alone."""
    d = likelihood.designs[0]
    names = tuple(d.names[j] for j in d.position[: d.dense_width])
    few: Any = replace(d, names=names, categorical=(), sparse=None, position=np.arange(d.dense_width))
    assert isinstance(few, Design)
    return replace(likelihood, designs=(few,))


__all__ = ["RowInformation"]
