"""Information matrices that are Kronecker products, exactly or nearly: parameters that are a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Kronecker:
    """F = A (x) B, for parameters that are a matrix of shape (len(A), len(B)), row by row.

    Parameters
    ----------
    a, b : arrays
        Symmetric and positive definite.

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> F = ff.optimize.Kronecker(np.diag([1.0, 2.0]), np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> F.solve(np.array([3.0, 3.0, 6.0, 6.0]))
    array([1., 1., 1., 1.])
    """

    a: np.ndarray
    b: np.ndarray

    @cached_property
    def _parts(self) -> tuple[Any, ...] | None:
        if not all(np.isfinite(m).all() and np.all(np.diag(m) > 0.0) for m in (self.a, self.b)):
            return None
        roots = [np.sqrt(np.diag(m)) for m in (self.a, self.b)]
        eigen = [np.linalg.eigh(m / d[:, None] / d) for m, d in zip((self.a, self.b), roots, strict=True)]
        return (np.outer(*roots), eigen) if all(values[0] > 0.0 for values, _ in eigen) else None

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """(F + damping diag F)^-1 score, exactly, from the eigenvectors of the two factors."""
        if self._parts is None:
            return None
        scale, ((la, va), (lb, vb)) = self._parts
        z = va.T @ (score.reshape(scale.shape) / scale) @ vb
        return np.asarray((va @ (z / (np.outer(la, lb) + damping)) @ vb.T / scale).ravel())

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return np.asarray((self.a @ v.reshape(len(self.a), len(self.b)) @ self.b.T).ravel())

    def dense(self) -> np.ndarray:
        """F as a matrix."""
        return np.kron(self.a, self.b)

    @classmethod
    def nearest(cls, matrix: Any, shape: tuple[int, int]) -> Kronecker:
        """The Kronecker product nearest to a positive definite matrix, by the sum of squared differences.

        The leading singular vectors of the matrix whose rows are the blocks of the given one. Both factors of a
        positive definite matrix are positive definite. Source: Van Loan & Pitsianis (1993), Approximation with
        Kronecker products, in Linear Algebra for Large Scale and Real-Time Applications, 293-314.

        Parameters
        ----------
        matrix : array of shape (r c, r c)
            Symmetric.
        shape : (r, c)
            Of the parameters.

        Examples
        --------
        >>> import numpy as np, fisherfit as ff
        >>> F = np.kron(np.diag([1.0, 3.0]), np.array([[2.0, 1.0], [1.0, 2.0]]))
        >>> near = ff.optimize.Kronecker.nearest(F, (2, 2))
        >>> np.allclose(near.dense(), F)
        True
        """
        full, (r, c) = np.asarray(matrix, float), shape
        if full.shape != (r * c, r * c):
            raise InputError(f"the matrix has shape {full.shape}; shape={shape} needs ({r * c}, {r * c})")
        blocks = full.reshape(r, c, r, c).transpose(0, 2, 1, 3).reshape(r * r, c * c)
        a, b = np.eye(r).ravel(), np.eye(c).ravel()
        for _ in range(500):  # alternating least squares: the power method, from a product with positive overlap
            new = blocks @ b / float(b @ b)
            b = blocks.T @ new / float(new @ new)
            change, a = float(np.abs(new - a).max()), new
            if change <= 1e-14 * float(np.abs(a).max()):
                break
        size = np.sqrt(np.linalg.norm(b) / np.linalg.norm(a))
        a, b = size * a.reshape(r, r), b.reshape(c, c) / size
        return cls(0.5 * (a + a.T), 0.5 * (b + b.T))


@dataclass(frozen=True, eq=False)
class NearKronecker:
    """D (A (x) B) D: the nearest Kronecker product in coordinates where the diagonal of F is 1."""

    scale: np.ndarray
    inner: Kronecker
    full: np.ndarray

    def solve(self, score: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
        """By the eigenvectors of the factors."""
        found = self.inner.solve(score / self.scale, damping)
        return None if found is None else found / self.scale

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""
        return np.asarray(self.full @ v)


def near_kronecker(matrix: np.ndarray, shape: tuple[int, int]) -> NearKronecker | None:
    """The nearest product in coordinates where the diagonal is 1; None where that is not positive."""
    diagonal = np.diag(matrix).copy()
    if not np.all(diagonal > 0.0):
        return None
    scale = np.sqrt(diagonal)
    return NearKronecker(scale, Kronecker.nearest(matrix / scale[:, None] / scale, shape), matrix)


__all__ = ["Kronecker", "NearKronecker", "near_kronecker"]
