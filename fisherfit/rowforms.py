"""Quadratic forms of the rows, x_ij' (R R')_jk x_ik: what leverage and leaving a row out are made of.

With K parameters, each with a design of its own, a row has the K x K matrix X_i F^-1 X_i'; weighted by its information
it is the leverage, for one parameter the diagonal of the hat matrix of the weighted regression (Pregibon, 1981, Annals
of Statistics 9, 705-724). Rows are expanded a block at a time: nothing of size n x p is made.
"""

from __future__ import annotations

import numpy as np

from . import _threads
from .likelihood import Likelihood, expand


def inverse_root(information: np.ndarray, free: np.ndarray) -> np.ndarray | None:
    """R, (size, q), with R R' = information^-1 on the free coordinates; None where it is not positive definite."""
    from scipy.linalg import solve_triangular

    inside = information[np.ix_(free, free)]
    diagonal = inside.diagonal()
    if not np.all(diagonal > 0.0):
        return None
    scale = 1.0 / np.sqrt(diagonal)
    try:
        lower = np.linalg.cholesky(inside * scale[:, None] * scale)
    except np.linalg.LinAlgError:
        return None
    out = np.zeros((free.size, diagonal.size))
    out[free] = scale[:, None] * solve_triangular(lower, np.eye(diagonal.size), lower=True, check_finite=False).T
    return out


def quadratic_forms(likelihood: Likelihood, root: np.ndarray) -> np.ndarray:
    """x_ij' (R R')_jk x_ik for every row i and every pair j <= k of parameters, of shape (K (K + 1) / 2, n)."""
    k = len(likelihood.designs)
    out = np.empty((k * (k + 1) // 2, likelihood.n))
    roots = parts_of(likelihood, root)

    def fill(start: int, stop: int, size: int) -> None:
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            parts = [expand(d, begin, end) @ r for d, r in zip(likelihood.designs, roots, strict=True)]
            pair = 0
            for j in range(k):
                for m in range(j, k):
                    np.einsum("ij,ij->i", parts[j], parts[m], out=out[pair, begin:end])
                    pair += 1

    with _threads.single_threaded_blas():
        likelihood.each_stripe(fill, False)
    return out


def parts_of(likelihood: Likelihood, rows: np.ndarray) -> list[np.ndarray]:
    """The rows that belong to every parameter."""
    return [np.ascontiguousarray(part) for part in np.split(rows, np.cumsum(likelihood.widths)[:-1])]


def matrices(packed: np.ndarray) -> np.ndarray:
    """Symmetric K x K matrices, (n, K, K), from their upper triangles (K (K + 1) / 2, n)."""
    k = int(np.sqrt(2 * packed.shape[0]))
    out, pair = np.empty((packed.shape[1], k, k)), 0
    for j in range(k):
        for m in range(j, k):
            out[:, j, m] = out[:, m, j] = packed[pair]
            pair += 1
    return out


__all__ = ["inverse_root", "matrices", "parts_of", "quadratic_forms"]
