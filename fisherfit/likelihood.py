"""The likelihood as a sum over rows: family and links, designs, response, weights, offset -> Evaluation.

Rows are cut into blocks, blocks into stripes that depend on n and p alone; a thread works through a stripe in row
order, and stripes are added in their order: the same bits for any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from . import _threads
from .blocks import Design, Layout, constant_design
from .kernels import EXPECTED, OBSERVED, SCORE, VALUE, Kernels
from .linalg import Factor, cholesky, merge_roots
from .sparse import GRANULE

T = TypeVar("T")
BLOCK_BYTES = 512 * 1024  # a block and its weighted copy stay in the second-level cache
STRIPES = 64
LONGEST = 10_000_000  # entries of a stripe: a thread that works on one does not hear Ctrl-C
STRIPE_BYTES = 36 * 1024 * 1024  # all stripes' matrices together
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

    @cached_property
    def factor(self) -> Factor | None:
        """The scaled Cholesky factor of the information; None where that is not positive definite."""
        assert self.information is not None
        return cholesky(self.information)

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
    repeats: np.ndarray | None = None  # how often every row counts, where weights are frequencies

    streamed = False
    by_rows = True  # the objective is the sum of the kernels' over the rows, and nothing more

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

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of coefficients of every parameter."""
        return tuple(d.width for d in self.designs)

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """The coefficients of every parameter."""
        return np.split(theta, np.cumsum(self.widths)[:-1])

    @cached_property
    def layout(self) -> Layout:
        """The designs as the compiled pass reads them."""
        return self.designs[0].layout if len(self.designs) == 1 else Layout.of(self.designs)

    @cached_property
    def vectors(self) -> np.ndarray:
        """The addresses of y, weight and offset, which the compiled pass reads; 0 for no offset.

        Then the address where it keeps linear predictors, here none, and n.
        """
        return np.array([*(0 if a is None else _address(a) for a in (self.y, self.weight, self.offset)), 0, self.n])

    def evaluate(self, theta: np.ndarray, kind: int = EXPECTED, eta: np.ndarray | None = None) -> Evaluation:
        """Log-likelihood, score and (kind EXPECTED or OBSERVED) information in one pass over the rows.

        Linear predictors are left in `eta`, where that is given: contiguous, of shape (K, n).
        """
        kernel = self.kernels.address()
        if not kernel:
            return self._evaluate_by_rows(theta, kind, eta)
        run, lay, p, k = self._pass("evaluate"), self.layout, theta.size, len(self.designs)
        informative = kind >= EXPECTED
        kept = np.empty((k * (k + 1) // 2, self.n)) if informative and self.matrix_free else None
        vectors = self.vectors
        if eta is not None:
            vectors = vectors.copy()
            vectors[3] = _address(eta)
        theta = np.ascontiguousarray(theta, float)

        def add(start: int, stop: int, size: int) -> tuple[float, float, np.ndarray, np.ndarray]:
            score, information = np.zeros(p), kept
            if information is None:
                information = np.zeros((p, p) if informative else (0, 0))
            loglik, pearson = run(
                kernel, kind, blas_addresses(), vectors, lay.shapes, lay.columns, lay.standards, lay.categories,
                start, stop, size, theta, self.kernels.constants, score, information,
            )  # fmt: skip
            return loglik, pearson, score, information

        (loglik, pearson, score, information), *rest = self.each_stripe(add, None if informative else False)
        for part in rest:
            loglik, pearson = loglik + part[0], pearson + part[1]
            score += part[2]
            if kept is None:
                information += part[3]
        if kept is not None:
            return Evaluation(loglik, score, self._operator(kept), self.n, kind, pearson)
        if informative and any(d.width > 1 for d in self.designs[1:]):
            self._add_crosses(information, self.row_terms(theta, kind)[1])
        return Evaluation(loglik, score, _symmetric(information) if informative else None, self.n, kind, pearson)

    def _operator(self, w: np.ndarray) -> Any:
        from .information import RowInformation

        return RowInformation(self, w)

    def _pass(self, name: str) -> Callable[..., Any]:
        """The form of a pass over all parameters that these designs need."""
        sparse = any(d.sparse is not None for d in self.designs)
        return compiled_pass(name + ("_wide" if self.matrix_free else "_sparse" if sparse else ""))

    def _evaluate_by_rows(self, theta: np.ndarray, kind: int, out: np.ndarray | None) -> Evaluation:
        """The same where the row kernel is plain Python: all rows at once."""
        k = len(self.designs)
        eta = np.stack([self.linear_predictor(theta, j) for j in range(k)], out=out)
        u, w = np.empty((k, self.n)), np.empty((k * (k + 1) // 2, self.n))
        loglik = float(self.kernels.rows(self.y, self.weight, eta, self.kernels.constants, kind, u, w))
        edges = np.concatenate([[0], np.cumsum(self.widths)])
        matrices = kind >= EXPECTED and not self.matrix_free
        score, information = np.zeros(theta.size), np.zeros((theta.size, theta.size) if matrices else (0, 0))
        pearson = 0.0
        for j in range(k if kind >= SCORE else 0):
            here, own = slice(edges[j], edges[j + 1]), j * k - j * (j - 1) // 2
            gram, score[here] = self.weighted_sums(w[own] if matrices else None, u[j], j)
            if matrices:
                information[here, here] = gram
        if matrices:
            self._add_crosses(information, w)
        if kind == EXPECTED:
            pearson = float(np.sum(np.divide(u[0] ** 2, w[0], out=np.zeros(self.n), where=w[0] > 0.0)))
        if kind >= EXPECTED and not matrices:
            return Evaluation(loglik, score, self._operator(w), self.n, kind, pearson)
        return Evaluation(loglik, score, _symmetric(information) if matrices else None, self.n, kind, pearson)

    def _add_crosses(self, information: np.ndarray, w: np.ndarray) -> None:
        """The information between parameters, X_i' diag(w_ij) X_j for i > j, from the rows' terms w."""
        edges, pair = np.concatenate([[0], np.cumsum(self.widths)]), 0
        for j in range(len(self.designs)):
            for i in range(j, len(self.designs)):
                for c, unit in enumerate(np.eye(self.widths[i]) if i > j else ()):
                    column = w[pair] * project(self.designs[i], unit, self.threads)
                    row = information[edges[i] + c, edges[j] : edges[j + 1]]
                    row[:] = self.weighted_sums(None, column, j)[1]
                pair += 1

    def every(self, stride: int) -> Likelihood:
        """The likelihood of every stride-th row."""
        rows = slice(None, None, stride)
        return replace(
            self,
            designs=tuple(d.every(stride) for d in self.designs),
            y=self.y[rows].copy(),
            weight=self.weight[rows].copy(),
            offset=None if self.offset is None else self.offset[rows].copy(),
            repeats=None if self.repeats is None else self.repeats[rows].copy(),
        )

    def take(self, rows: np.ndarray) -> Likelihood:
        """The likelihood of some rows by their numbers, copied, in the order given."""
        return replace(
            self,
            designs=tuple(
                constant_design(rows.size, d.names[0]) if d.width == 1 and d.intercept else d.take(rows)
                for d in self.designs
            ),
            y=self.y[rows],
            weight=self.weight[rows],
            offset=None if self.offset is None else self.offset[rows],
            repeats=None if self.repeats is None else self.repeats[rows],
        )

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @property
    def has_offset(self) -> bool:
        """True where the linear predictor has an offset."""
        return self.offset is not None

    @cached_property
    def observations(self) -> int:
        """Number of rows whose weight is not zero."""
        return int(np.count_nonzero(self.weight > 0.0))

    def parts(self) -> Iterator[tuple[int, Likelihood]]:
        """Likelihoods of consecutive rows that are in memory, each with the number of its first row: here all rows.

        What is summed over parts is summed over rows, wherever they are (`streamed`).
        """
        yield 0, self

    def thinned(self, rows: int, most: int) -> Likelihood:
        """Every k-th row, k a prime of at most `most` that leaves this many rows; all rows where none does."""
        stride = next((k for k in (37, 23, 11, 7, 5, 3, 2) if k <= most and self.n >= k * rows), 1)
        return self if stride == 1 else self.every(stride)

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
        repeats = None if self.repeats is None else np.where(rows, 0.0, self.repeats)
        return replace(self, weight=np.where(rows, 0.0, self.weight), repeats=repeats)

    def moments(self) -> tuple[float, float]:
        """Weighted means of y and of y^2."""
        weighted = self.weight * self.y
        return float(weighted.sum() / self.total), float((weighted * self.y).sum() / self.total)

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
        design, beta = self.designs[parameter], self.split(theta)[parameter]
        if design.width == 1 and design.intercept:
            out = np.full(self.n, float(beta[0]))
        else:
            out = project(design, beta, self.threads)
        if offset and parameter == 0 and self.offset is not None:
            out += self.offset
        return out

    def root(self, weight: np.ndarray, parameter: int = 0, target: np.ndarray | None = None) -> np.ndarray:
        """The triangular R with R'R = X' diag(weight) X, by QR over the blocks; with `target`, of [X, target]."""
        scale = np.sqrt(weight)
        design = self.designs[parameter]

        def factor(start: int, stop: int, size: int) -> np.ndarray:
            here: np.ndarray | None = None
            size = max(size, 4 * design.width)  # each merge factors the earlier R again
            for begin in range(start, stop, size):
                end = min(begin + size, stop)
                x = expand(design, begin, end) * scale[begin:end, None]
                if target is not None:
                    x = np.column_stack([x, target[begin:end]])
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

    def weighted_sums(self, w: np.ndarray | None, u: np.ndarray, parameter: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """X' diag(w) X and X'u of one parameter, for weights that are given row by row (None: X'u alone)."""
        design = self.designs[parameter]
        form = "" if design.sparse is None else "_wide" if w is None else "_sparse"
        run, lay, p = compiled_pass("collect" + form), design.layout, design.width
        u = np.ascontiguousarray(u)
        weight = np.empty(0) if w is None else np.ascontiguousarray(w)

        def add(start: int, stop: int, size: int) -> tuple[np.ndarray, np.ndarray]:
            gram, score = np.zeros((p, p) if w is not None else (0, 0)), np.zeros(p)
            run(
                blas_addresses(), lay.shapes[0], lay.columns, lay.standards, lay.categories,
                start, stop, size, u, weight, score, gram,
            )  # fmt: skip
            return gram, score

        (gram, score), *rest = self.each_stripe(add, w is not None)
        for more, part in rest:
            gram += more
            score += part
        return _symmetric(gram), score

    def each_stripe(self, task: Callable[[int, int, int], T], matrices: bool | None = None) -> list[T]:
        """task(start, stop, size of a block) for every stripe of rows, in their order.

        A task makes a matrix of the size of the information unless `matrices` (or `matrix_free`) says that it does not.
        """
        matrices = not self.matrix_free if matrices is None else matrices
        width = sum(d.row_size for d in self.designs)
        return each_stripe(task, self.n, sum(self.widths), width, self.threads, matrices)


def each_stripe(
    task: Callable[[int, int, int], T], n: int, p: int, width: float, threads: int, matrices: bool
) -> list[T]:
    """task(start, stop, size of a block) for every stripe of n rows of `width` numbers on average, in their order."""
    size, stripes = plan(n, p, width, matrices)
    few = n * (p if matrices else width) < THREAD_WORK
    return _threads.run(lambda span: task(span[0], span[1], size), stripes, 1 if few else threads)


def project(design: Design, beta: np.ndarray, threads: int = 1) -> np.ndarray:
    """X beta, the linear predictor of every row without its offset."""
    out = np.empty(design.n)
    run = compiled_pass("project" if design.sparse is None else "project_sparse")
    lay, beta = design.layout, np.ascontiguousarray(beta, float)

    def fill(start: int, stop: int, size: int) -> None:
        run(
            blas_addresses(), lay.shapes[0], lay.columns, lay.standards, lay.categories, start, stop, size, beta, out
        )  # fmt: skip

    each_stripe(fill, design.n, 1, design.row_size, threads, False)
    return out


@cache
def compiled_pass(name: str) -> Callable[..., Any]:
    """One of `fisherfit.passes`."""
    from . import passes

    return passes.compiled_pass(name)


@cache
def blas_addresses() -> np.ndarray:
    from . import native

    return native.blas_addresses()


def _address(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def _symmetric(lower: np.ndarray) -> np.ndarray:
    """The lower triangle mirrored, in place; above it there may be anything."""
    compiled_pass("mirror")(lower)
    return lower


def expand(design: Design, start: int, stop: int) -> np.ndarray:
    """Rows of the standardised design as one dense matrix."""
    if design.sparse is not None and (start % GRANULE or (stop % GRANULE and stop != design.n)):
        first = start - start % GRANULE
        return expand(design, first, min(stop + -stop % GRANULE, design.n))[start - first : stop - first]
    m, lay = stop - start, design.layout
    out, buffer = np.zeros((m, design.width)), np.empty(m * design.dense_width)
    if m:
        run = compiled_pass("expand" if design.sparse is None else "expand_sparse")
        run(lay.shapes[0], lay.columns, lay.standards, lay.categories, start, m, buffer, out)
    return out


def dense_design(likelihood: Likelihood) -> np.ndarray:
    """The standardised design of the first parameter as one matrix (fallbacks only)."""
    return expand(likelihood.designs[0], 0, likelihood.n)


@lru_cache(maxsize=256)
def plan(n: int, p: int, width: float, matrices: bool = True) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Rows of a block, and the first and last row of every stripe of whole blocks: functions of the arguments alone.

    A row holds `width` numbers on average. A stripe has a (p, p) matrix of its own, or a vector, which should be short
    beside what is read.
    """
    size = min(max(GRANULE, min(int(BLOCK_BYTES / (8 * max(width, 1.0))), 4096)) // GRANULE * GRANULE, max(n, 1))
    blocks = max(1, -(-n // size))
    if matrices:
        room = min(STRIPE_BYTES // (8 * max(p, 1) ** 2), int(4.0 * n * (width + 1.0) / max(p, 1) ** 2))
    else:  # a power of two, which any usual number of threads shares evenly
        room = 1 << round(math.log2(max(1.0, n * (width + 8.0) / (32 * max(p, 1)))))
    count = max(1, min(room, max(STRIPES, int(n * width) // LONGEST)))
    edges = np.linspace(0, blocks, min(count, blocks) + 1).astype(int) * size
    return size, tuple(pairwise([*edges[:-1].tolist(), n]))


__all__ = ["EXPECTED", "OBSERVED", "SCORE", "VALUE", "Evaluation", "Likelihood", "dense_design", "expand", "plan"]
