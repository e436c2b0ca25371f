"""What is kept of an information matrix, and how F^-1 s comes from it: all, blocks, a diagonal, factors, products.

Every metric solves (F + damping diag F) d = s. The approximations are made in coordinates where the diagonal of F is
1, so that they do not depend on the units of single parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy import linalg

from ..conjugate import conjugate
from ..errors import InputError
from ..linalg import cholesky
from .kronecker import Kronecker, near_kronecker

STRUCTURES = ("dense", "block", "diagonal", "kronecker", "low_rank", "matrix_free")
PROBES = 30  # random products that a diagonal is estimated from


class Metric(Protocol):
    """An information matrix that can be solved with."""

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """(F + damping diag F)^-1 score; None where that is not positive definite."""

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v, of the matrix as it was before it was approximated."""


@dataclass(frozen=True, eq=False)
class Dense:
    """All of F, or the blocks of it that `structured` left."""

    matrix: np.ndarray
    full: np.ndarray | None = None

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """(F + damping diag F)^-1 score."""
        added = np.diag(damping * np.diag(self.matrix)) if damping else 0.0
        factor = cholesky(self.matrix + added)
        return None if factor is None else factor.solve(score)

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return (self.matrix if self.full is None else self.full) @ v


@dataclass(frozen=True, eq=False)
class Diagonal:
    """The diagonal of F alone."""

    diagonal: np.ndarray
    full: Any

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """The score over the diagonal."""
        if not np.all(self.diagonal > 0.0):
            return None
        return score / (self.diagonal * (1.0 + damping))

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return _product(self.full, v)


@dataclass(frozen=True, eq=False)
class LowRank:
    """D (I + V (L - I) V') D: the eigenvalues L farthest from 1 of F in coordinates where its diagonal is 1."""

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    full: Any

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """By the eigenvectors that are kept, and the diagonal for the rest."""
        z, known = score / self.scale, 1.0 + damping
        inside = self.vectors.T @ z
        return (z / known + self.vectors @ (inside * (1.0 / (self.values + damping) - 1.0 / known))) / self.scale

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return _product(self.full, v)


@dataclass(frozen=True, eq=False)
class Products:
    """An information known by its products with vectors, for parameters too many for a matrix.

    Parameters
    ----------
    function : callable
        ``function(v) -> F v``.
    size : int
        Number of parameters.
    diag : array, optional
        The diagonal of F, which preconditions; by default an estimate from random products (Hutchinson, 1990).

    Examples
    --------
    Of a regression, F v = X'(w (X v)):

    >>> import numpy as np, fisherfit as ff
    >>> X, w = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 2.0, 1.0])
    >>> ff.optimize.Products.of_rows(X, w).solve(np.array([4.0, 4.0])).round(6)
    array([1., 0.])
    """

    function: Callable[[np.ndarray], np.ndarray]
    size: int
    diag: np.ndarray | None = None
    _seen: list[Any] = field(default_factory=list, repr=False)

    @classmethod
    def of_rows(cls, X: Any, w: np.ndarray, ridge: float = 0.0) -> Products:
        """X' diag(w) X + ridge I, for an array or a sparse matrix X."""
        transposed = X.T
        squared = X.multiply(X) if hasattr(X, "multiply") else X * X
        diagonal = np.asarray(squared.T @ w).ravel() + ridge
        return cls(lambda v: transposed @ (w * (X @ v)) + ridge * v, X.shape[1], diagonal)

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return np.asarray(self.function(v))

    def diagonal(self) -> np.ndarray:
        """The diagonal of F, or an estimate."""
        if self.diag is not None:
            return self.diag
        if not self._seen:
            rng, total = np.random.default_rng(0), np.zeros(self.size)
            for _ in range(PROBES):
                z = rng.choice([-1.0, 1.0], self.size)
                total += z * self.product(z)
            self._seen.append(np.maximum(total / PROBES, 1e-3 * float(np.mean(total / PROBES))))
        return np.asarray(self._seen[0])

    def block(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns that precondition as a matrix: none are known."""
        return np.empty(0, int), np.empty((0, 0))

    def solve(self, score: np.ndarray, damping: float = 0.0, relative: float = 1e-10) -> np.ndarray | None:
        """(F + damping diag F)^-1 score by conjugate gradients."""
        factor = conjugate(self, np.ones(self.size, bool), damping=damping)
        out = None if factor is None else factor.solve_within(score, relative)
        return out if out is not None and np.all(np.isfinite(out)) else None

    def dense(self) -> np.ndarray:
        """F as a matrix, a product for every column."""
        return np.array([self.product(row) for row in np.eye(self.size)])


def is_structured(information: Any) -> bool:
    """True for an information that is no matrix."""
    return isinstance(information, (Kronecker, Products)) or (
        hasattr(information, "product") and hasattr(information, "diagonal") and hasattr(information, "block")
    )


def structured(
    information: Any, structure: str, blocks: Sequence[Sequence[int]] | None, rank: int | None,
    shape: tuple[int, int] | None = None,
) -> Any:  # fmt: skip
    """The metric that a structure makes of an information."""
    if structure == "kronecker":
        if isinstance(information, Kronecker):
            return information
        if shape is None:
            raise InputError("structure='kronecker' needs the two factors; let information return Kronecker(A, B), or "
                             "give shape=(rows, columns) of the parameters to have the nearest product")  # fmt: skip
        near = near_kronecker(information if isinstance(information, np.ndarray) else information.dense(), shape)
        return near if near is not None else Diagonal(diagonal_of(information), information)
    if structure == "matrix_free":
        if isinstance(information, (np.ndarray, Kronecker)):
            raise InputError("structure='matrix_free' needs products with F; let information return "
                             "Products(function, size), or Products.of_rows(X, w)")  # fmt: skip
        return information
    if structure == "diagonal":
        return Diagonal(diagonal_of(information), information)
    if structure == "low_rank":
        return _low_rank(information, rank)
    matrix = information if isinstance(information, np.ndarray) else information.dense()
    if structure == "dense":
        return Dense(matrix)
    kept = np.zeros_like(matrix)
    for block in blocks or ():
        at = np.ix_(block, block)
        kept[at] = matrix[at]
    return Dense(kept, matrix)


def diagonal_of(information: Any) -> np.ndarray:
    """The diagonal of an information."""
    if isinstance(information, np.ndarray):
        return np.diag(information).copy()
    if isinstance(information, Kronecker):
        return np.outer(np.diag(information.a), np.diag(information.b)).ravel()
    return np.asarray(information.diagonal())


def _low_rank(information: Any, rank: int | None) -> Any:
    diagonal = diagonal_of(information)
    size = diagonal.size
    if rank is None or not 0 <= rank <= size:
        raise InputError(f"structure='low_rank' needs rank, a whole number from 0 to {size}, got {rank!r}")
    if not np.all(diagonal > 0.0):
        return Diagonal(diagonal, information)
    scale = np.sqrt(diagonal)
    if rank == 0:
        return Diagonal(diagonal, information)
    if isinstance(information, np.ndarray) or rank >= size - 1:
        matrix = information if isinstance(information, np.ndarray) else information.dense()
        values, vectors = linalg.eigh(matrix / scale[:, None] / scale)
    else:
        from scipy.sparse.linalg import LinearOperator, eigsh

        operator = LinearOperator((size, size), lambda v: _product(information, v.ravel() / scale) / scale, dtype=float)
        values, vectors = eigsh(operator, rank, which="LM", v0=np.ones(size))
    order = np.argsort(-np.abs(values - 1.0))[:rank]
    return LowRank(scale, np.maximum(values[order], 1e-12), vectors[:, order], information)


def _product(information: Any, v: np.ndarray) -> np.ndarray:
    return np.asarray(information @ v if isinstance(information, np.ndarray) else information.product(v))


def check_shape(structure: str, shape: Any, size: int) -> tuple[int, int] | None:
    """The rows and columns that the parameters are a matrix of, checked."""
    if shape is None:
        return None
    if structure != "kronecker":
        raise InputError(f"shape is for structure='kronecker', and structure={structure!r} was given")
    out = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(out) != 2 or not all(isinstance(k, (int, np.integer)) and k >= 1 for k in out) or out[0] * out[1] != size:
        raise InputError(f"shape must be two whole numbers whose product is {size}, the number of parameters, got "
                         f"{shape!r}")  # fmt: skip
    return int(out[0]), int(out[1])


def check_structure(structure: str, blocks: Any, size: int) -> list[list[int]] | None:
    """The blocks of parameters, checked: each in one block."""
    if structure != "block":
        return None
    if blocks is None:
        raise InputError("structure='block' needs blocks=, lists of the numbers of parameters that go together")
    out = [[int(j) for j in block] for block in blocks]
    if sorted(j for block in out for j in block) != list(range(size)):
        raise InputError(f"blocks must hold each of the parameters 0 to {size - 1} once, got {out}")
    return out


__all__ = [
    "STRUCTURES",
    "Kronecker",
    "Metric",
    "Products",
    "check_shape",
    "check_structure",
    "is_structured",
    "structured",
]
