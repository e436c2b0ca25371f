"""The likelihood as a sum over rows: family and links, designs, response, weights, offset -> Evaluation.

Rows are cut into blocks, blocks into stripes that depend on n and p alone; a thread works through a stripe in row
order, and stripes are added in their order: the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from . import _threads
from .blocks import Design, Rows, constant_design, cross
from .kernels import EXPECTED, OBSERVED, SCORE, VALUE, Kernels
from .linalg import merge_roots

BLOCK_BYTES = 3 * 1024 * 1024  # larger blocks leave the cache, smaller ones make threads wait for the interpreter
STRIPE_BYTES = 64 * 1024 * 1024  # all stripes' matrices together
PILOT = 32  # a pilot fit sees every 32nd row
THREAD_WORK = 400_000  # rows times columns below which threads cost more than they save


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Log-likelihood (up to the base term), score and information at a point; additive over rows."""

    loglik: float
    score: np.ndarray
    information: np.ndarray | None
    n: int
    kind: int
    pearson: float = 0.0

    def __add__(self, other: Evaluation) -> Evaluation:
        both = self.information is not None and other.information is not None
        return Evaluation(
            self.loglik + other.loglik,
            self.score + other.score,
            self.information + other.information if both else None,  # type: ignore[operator]
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

    streamed = False

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
        parts = self._each_stripe(lambda rows, spans: self._sum(theta, kind, rows, spans))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
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

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @property
    def has_offset(self) -> bool:
        """True where the linear predictor has an offset."""
        return self.offset is not None

    @property
    def observations(self) -> int:
        """Number of rows whose weight is not zero."""
        return int(np.count_nonzero(self.weight > 0.0))

    def parts(self) -> Iterator[tuple[int, Likelihood]]:
        """Likelihoods of consecutive rows that are in memory, each with the number of its first row: here all rows.

        What is summed over parts is summed over rows, wherever they are (`streamed`).
        """
        yield 0, self

    def sample(self) -> Likelihood:
        """The rows of a pilot fit."""
        return self.every(PILOT)

    def typical(self) -> Likelihood:
        """Rows in memory that a start may be taken from."""
        return self

    def hold(self) -> None:
        """Called before a fallback that needs the rows in memory, where they are."""

    def no_rows(self) -> np.ndarray:
        """False for every row."""
        return np.zeros(self.n, bool)

    def without(self, rows: np.ndarray) -> Likelihood:
        """The likelihood with weight zero for the rows where `rows` is True."""
        return replace(self, weight=np.where(rows, 0.0, self.weight))

    def moments(self) -> tuple[float, float]:
        """Weighted means of y and of y^2."""
        return float(np.average(self.y, weights=self.weight)), float(np.average(self.y * self.y, weights=self.weight))

    def at_constant(self, eta: float) -> float:
        """The sum of the objective with the same linear predictor for every row."""
        constant = replace(self, designs=(constant_design(self.n, "Intercept"),))
        return float(constant.evaluate(np.array([eta]), VALUE).loglik)

    def covariate_free(self) -> Likelihood:
        """The same responses with an intercept as the only column."""
        return replace(self, designs=(constant_design(self.n, "Intercept"), *self.designs[1:]))

    def largest_move(self, step: np.ndarray) -> float:
        """The largest change of a linear predictor by a step, over rows whose weight is not zero."""
        move = self.linear_predictor(step, 0, offset=False)
        return float(np.abs(move[self.weight > 0.0]).max(initial=0.0))

    def design_root(self) -> np.ndarray:
        """The triangular factor of the design of the rows whose weight is not zero."""
        return self.root((self.weight > 0.0).astype(float))

    def working_root(self, theta: np.ndarray) -> np.ndarray | None:
        """The triangular factor of [sqrt(W) X, W^-1/2 u], by QR of the rows; None where W is not finite."""
        u, w = self.row_terms(theta)
        weight = np.ascontiguousarray(np.maximum(w[0], 0.0))
        if not np.all(np.isfinite(weight)):
            return None
        with np.errstate(all="ignore"):
            target = np.where(weight > 0.0, u[0] / np.sqrt(weight), 0.0)
        return self.root(weight, 0, np.where(np.isfinite(target), target, 0.0))

    def linear_predictor(self, theta: np.ndarray, parameter: int = 0, offset: bool = True) -> np.ndarray:
        """eta of one parameter for every row (n floats)."""
        out = np.empty(self.n)
        beta = self.split(theta)[parameter]

        def fill(rows: list[Rows], spans: list[tuple[int, int]]) -> None:
            for start, stop in spans:
                rows[parameter].load(start, stop)
                rows[parameter].predict(beta, out[start:stop])

        self._each_stripe(fill)
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
        for part in self._each_stripe(factor):
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
        for g, s in self._each_stripe(total):
            gram += g
            score += s
        lower = np.tril(gram, -1)
        return lower + lower.T + np.diag(np.diag(gram)), score

    def _sum(self, theta: np.ndarray, kind: int, rows: list[Rows], spans: list[tuple[int, int]]) -> Evaluation:
        betas = self.split(theta)
        k, p = len(self.designs), theta.size
        edges = np.concatenate([[0], np.cumsum(self.widths)])
        size = max(stop - start for start, stop in spans)
        store = np.empty((2 * k + k * (k + 1) // 2) * size)
        score = np.zeros(p)
        grams = [np.zeros((width, width)) for width in self.widths] if kind >= EXPECTED else []
        information = np.zeros((p, p)) if kind >= EXPECTED else None
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

    def _each_stripe(self, task: Callable[[list[Rows], list[tuple[int, int]]], Any]) -> list[Any]:
        p = sum(self.widths)
        size, stripes = plan(self.n, p)
        threads = 1 if self.n * p < THREAD_WORK else self.threads

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
    blocks = [(start, min(start + size, n)) for start in range(0, n, size)] or [(0, 0)]
    count = int(np.clip(STRIPE_BYTES // (8 * max(p, 1) ** 2), 1, min(64, len(blocks))))
    edges = np.linspace(0, len(blocks), count + 1).astype(int)
    return size, [blocks[a:b] for a, b in pairwise(edges)]


__all__ = ["EXPECTED", "OBSERVED", "SCORE", "VALUE", "Evaluation", "Likelihood", "dense_design", "plan"]
