"""The likelihood as a sum over rows: family and links, designs, response, weights, offset -> Evaluation.

Rows are cut into blocks, blocks into stripes that depend on n and p alone; a thread works through a stripe in row
order, and stripes are added in their order: the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from . import _threads
from .blocks import Design, Rows, cross
from .kernels import EXPECTED, OBSERVED, SCORE, VALUE, Kernels
from .linalg import merge_roots

BLOCK_BYTES = 3 * 1024 * 1024  # larger blocks leave the cache, smaller ones make threads wait for the interpreter
STRIPE_BYTES = 64 * 1024 * 1024  # all stripes' matrices together
THREAD_WORK = 400_000  # rows times columns below which threads cost more than they save
MATRIX_BYTES = 1_000_000_000  # largest information matrix
PRODUCT_WORK = 400.0  # multiplications to an entry of a sparse design that a step by products costs, and a margin


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Log-likelihood (up to the base term), score and information at a point; additive over rows.

    The information is a matrix, or an operator (`RowInformation`) where the design is too wide for one.
    """

    loglik: float
    score: np.ndarray
    information: Any
    n: int
    kind: int
    pearson: float = 0.0

    def __add__(self, other: Evaluation) -> Evaluation:
        both = self.information is not None and other.information is not None
        return Evaluation(
            self.loglik + other.loglik,
            self.score + other.score,
            self.information + other.information if both else None,
            self.n + other.n,
            self.kind,
            self.pearson + other.pearson,
        )


@dataclass(frozen=True, eq=False)
class Likelihood:
    """A model on its data: one design for every parameter of the family."""

    kernels: Kernels
    designs: tuple[Design, ...]
    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray | None = None
    threads: int = 1
    matrices: bool | None = None

    @property
    def matrix_free(self) -> bool:
        """True where the information is an operator: its matrix would not fit, or not pay (or `matrices` says so)."""
        if self.matrices is not None:
            return not self.matrices
        p, sparse = sum(self.widths), self.designs[0].sparse
        if 8 * p * p > MATRIX_BYTES:
            return True
        return sparse is not None and p**3 / 3.0 > PRODUCT_WORK * (sparse.data.size + self.n)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.y.size

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of coefficients of every parameter."""
        return tuple(d.width for d in self.designs)

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """The coefficients of every parameter."""
        return np.split(theta, np.cumsum(self.widths)[:-1])

    def evaluate(self, theta: np.ndarray, kind: int = EXPECTED) -> Evaluation:
        """Log-likelihood, score and (kind EXPECTED or OBSERVED) information in one pass over the rows."""
        matrix_free, k = self.matrix_free, len(self.designs)
        w = np.empty((k * (k + 1) // 2, self.n)) if matrix_free and kind >= EXPECTED else None
        parts = self.each_stripe(lambda rows, spans: self._sum(theta, kind, rows, spans, w))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        if w is not None:
            from .information import RowInformation

            return replace(total, information=RowInformation(self, w))
        if total.information is not None:
            lower = np.tril(total.information, -1)
            full = lower + lower.T + np.diag(np.diag(total.information))
            total = replace(total, information=full)
        return total

    def every(self, stride: int) -> Likelihood:
        """The likelihood of every stride-th row."""
        rows = slice(None, None, stride)
        return replace(
            self,
            designs=tuple(d.every(stride) for d in self.designs),
            y=self.y[rows].copy(),
            weight=self.weight[rows].copy(),
            offset=None if self.offset is None else self.offset[rows].copy(),
        )

    def linear_predictor(self, theta: np.ndarray, parameter: int = 0, offset: bool = True) -> np.ndarray:
        """eta of one parameter for every row (n floats)."""
        out = np.empty(self.n)
        beta = self.split(theta)[parameter]

        def fill(rows: list[Rows], spans: list[tuple[int, int]]) -> None:
            for start, stop in spans:
                rows[parameter].load(start, stop)
                rows[parameter].predict(beta, out[start:stop])

        self.each_stripe(fill)
        if offset and parameter == 0 and self.offset is not None:
            out += self.offset
        return out

    def root(self, weight: np.ndarray, parameter: int = 0, target: np.ndarray | None = None) -> np.ndarray:
        """The triangular R with R'R = X' diag(weight) X, by QR over the blocks; with `target`, of [X, target]."""
        scale = np.sqrt(weight)

        def factor(rows: list[Rows], spans: list[tuple[int, int]]) -> np.ndarray:
            here: np.ndarray | None = None
            for start, stop in spans:
                rows[parameter].load(start, stop)
                x = rows[parameter].expand() * scale[start:stop, None]
                if target is not None:
                    x = np.column_stack([x, target[start:stop]])
                here = merge_roots(here, x)
            assert here is not None
            return here

        out: np.ndarray | None = None
        for part in self.each_stripe(factor):
            out = merge_roots(out, part)
        assert out is not None
        return out

    def row_terms(self, theta: np.ndarray, kind: int = EXPECTED) -> tuple[np.ndarray, np.ndarray]:
        """u and w, the score and information of eta, a column for every row."""
        eta = np.stack([self.linear_predictor(theta, k) for k in range(len(self.designs))])
        return self.terms_at(eta, kind)

    def terms_at(self, eta: np.ndarray, kind: int = EXPECTED) -> tuple[np.ndarray, np.ndarray]:
        """u and w, a column for every row, at given linear predictors."""
        k = len(self.designs)
        u, w = np.empty((k, self.n)), np.empty((k * (k + 1) // 2, self.n))
        self.kernels.rows(self.y, self.weight, np.ascontiguousarray(eta), self.kernels.constants, kind, u, w)
        return u, w

    def weighted_sums(self, w: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X' diag(w) X and X'u of the first parameter, for weights that are given row by row."""
        p = self.designs[0].width

        def total(rows: list[Rows], spans: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
            gram, score = np.zeros((p, p)), np.zeros(p)
            for start, stop in spans:
                rows[0].load(start, stop)
                rows[0].gram(w[start:stop], gram)
                rows[0].score(u[start:stop], score)
            return gram, score

        gram, score = np.zeros((p, p)), np.zeros(p)
        for g, s in self.each_stripe(total):
            gram += g
            score += s
        lower = np.tril(gram, -1)
        return lower + lower.T + np.diag(np.diag(gram)), score

    def _sum(
        self, theta: np.ndarray, kind: int, rows: list[Rows], spans: list[tuple[int, int]], kept: np.ndarray | None
    ) -> Evaluation:
        betas = self.split(theta)
        k, p = len(self.designs), theta.size
        edges = np.concatenate([[0], np.cumsum(self.widths)])
        size = max(stop - start for start, stop in spans)
        store = np.empty((2 * k + k * (k + 1) // 2) * size)
        score = np.zeros(p)
        matrices = kind >= EXPECTED and kept is None
        grams = [np.zeros((width, width)) for width in self.widths] if matrices else []
        information = np.zeros((p, p)) if matrices else None
        loglik = pearson = 0.0
        n = 0
        for start, stop in spans:
            m = stop - start
            eta, u = store[: k * m].reshape(k, m), store[k * m : 2 * k * m].reshape(k, m)
            w = store[2 * k * m : (2 * k + k * (k + 1) // 2) * m].reshape(-1, m)
            for j in range(k):
                rows[j].load(start, stop)
                rows[j].predict(betas[j], eta[j])
            if self.offset is not None:
                eta[0] += self.offset[start:stop]
            loglik += self.kernels.rows(
                self.y[start:stop], self.weight[start:stop], eta, self.kernels.constants, kind, u, w
            )
            n += m
            if kind == VALUE:
                continue
            if kind == EXPECTED:  # u^2 / w = weight (y - mu)^2 / V
                first = w[0]
                pearson += float(np.sum(np.divide(u[0] ** 2, first, out=np.zeros(m), where=first > 0.0)))
            if kept is not None:
                kept[:, start:stop] = w
            at = 0
            for j in range(k):
                here = slice(edges[j], edges[j + 1])
                rows[j].score(u[j], score[here])
                for i in range(j, k):
                    if information is not None:
                        if i == j:
                            rows[j].gram(w[at], grams[j])
                        elif np.any(w[at]):
                            there = slice(edges[i], edges[i + 1])
                            information[there, here] += cross(rows[j], rows[i], w[at]).T
                    at += 1
        for j, gram in enumerate(grams):
            information[edges[j] : edges[j + 1], edges[j] : edges[j + 1]] = gram  # type: ignore[index]
        return Evaluation(loglik, score, information, n, kind, pearson)

    def plan(self) -> tuple[int, list[list[tuple[int, int]]], int]:
        """Rows to a block, blocks by stripe, and threads for them."""
        p = sum(self.widths)
        if not self.matrix_free:
            return *plan(self.n, p), 1 if self.n * p < THREAD_WORK else self.threads
        width = self.designs[0].row_size
        return *plan_products(self.n, p, width), 1 if self.n * width < THREAD_WORK else self.threads

    def each_stripe(self, task: Callable[[list[Rows], list[tuple[int, int]]], Any]) -> list[Any]:
        """task(rows, spans of rows) for every stripe, in order."""
        size, stripes, threads = self.plan()

        def work(spans: list[tuple[int, int]]) -> Any:
            with np.errstate(all="ignore"):
                return task([Rows(d, size) for d in self.designs], spans)

        return _threads.run(work, stripes, threads)


def dense_design(likelihood: Likelihood) -> np.ndarray:
    """The standardised design of the first parameter as one matrix (fallbacks only)."""
    rows = Rows(likelihood.designs[0], max(likelihood.n, 1))
    rows.load(0, likelihood.n)
    return rows.expand()


def plan(n: int, p: int) -> tuple[int, list[list[tuple[int, int]]]]:
    """Block size, and blocks by stripe: a function of n and p alone."""
    size = int(np.clip(BLOCK_BYTES // (8 * max(p, 1)), 256, 65536))
    size = min(size, max(n, 1))
    return size, _stripes(n, size, STRIPE_BYTES // (8 * max(p, 1) ** 2))


def plan_products(n: int, p: int, width: float) -> tuple[int, list[list[tuple[int, int]]]]:
    """The same for passes without matrices, whose stripes have a vector each; rows have `width` entries on average."""
    size = int(np.clip(BLOCK_BYTES // (8 * (width + 8)), 256, 8192))
    size = min(size, max(n, 1))
    return size, _stripes(n, size, int(n * (width + 8) // (8 * max(p, 1))))


def _stripes(n: int, size: int, most: int) -> list[list[tuple[int, int]]]:
    """Blocks of rows, in stripes."""
    blocks = [(start, min(start + size, n)) for start in range(0, n, size)] or [(0, 0)]
    count = int(np.clip(most, 1, min(64, len(blocks))))
    edges = np.linspace(0, len(blocks), count + 1).astype(int)
    return [blocks[a:b] for a, b in pairwise(edges)]


__all__ = ["EXPECTED", "OBSERVED", "SCORE", "VALUE", "Evaluation", "Likelihood", "dense_design", "plan"]
