"""Leverage: how much of its own fit a row makes, for any number of parameters.

With W_i the expected information of the K linear predictors of row i, X_i their design (K x p) and F the sum of
X_i'W_i X_i, H_ii = W_i^{1/2} X_i F^-1 X_i' W_i^{1/2}: the diagonal of the hat matrix for K = 1 (Pregibon, 1981), a
matrix for more. The traces add up to the number of coefficients. The dispersion cancels.

What a row would do if it had been left out follows. The estimates move by (F - X_i'W_i X_i)^-1 X_i'u_i, which is
F^-1 X_i' (I - W_i B_i)^-1 u_i with B_i = X_i F^-1 X_i' (Woodbury). W_i B_i is similar to H_ii: so these are the scores
over 1 - h of HC3, and (I - W_i B_i)^{-1/2} u_i those of HC2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _threads
from .kernels import EXPECTED
from .likelihood import Likelihood
from .linalg import dense_cholesky
from .rowblocks import Block, Pairs, blocks, designs_of

if TYPE_CHECKING:
    from .maximum import Maximum

FULL = 1e-9  # 1 - h below which a row has leverage 1: it is fitted exactly, whatever its response


def inverse_root(bread: np.ndarray) -> np.ndarray:
    """R with R R' = F^-1, rows of zeros for coordinates that are not free (NaN or 0 in `bread`)."""
    free = bread.diagonal() > 0.0
    out = np.zeros(bread.shape)
    if free.any():
        factor = dense_cholesky(bread[np.ix_(free, free)])
        if factor is None:  # positive definite but for rounding
            values, vectors = np.linalg.eigh(bread[np.ix_(free, free)])
            root = vectors * np.sqrt(np.maximum(values, 0.0))
        else:
            root = factor.scale[:, None] * factor.lower
        out[np.ix_(free, free)] = root
    return out


def products(moved: list[np.ndarray]) -> np.ndarray:
    """B_i = X_i F^-1 X_i' of every row, (K(K+1)/2, m), from the rows X_i R of every parameter."""
    pairs = Pairs(len(moved)).index()
    out = np.empty((len(pairs), len(moved[0])))
    for at, (a, b) in enumerate(pairs):
        np.einsum("ij,ij->i", moved[a], moved[b], out=out[at])
    return out


def moved_rows(designs: tuple[np.ndarray, ...], roots: list[np.ndarray]) -> list[np.ndarray]:
    """X_i R of every parameter; `roots` has the rows of R, for all parameters or the first of them."""
    return [x @ root for x, root in zip(designs, roots, strict=False)]


def parts_of(likelihood: Likelihood, root: np.ndarray) -> list[np.ndarray]:
    """The rows of R of every parameter."""
    return [np.ascontiguousarray(part) for part in np.split(root, np.cumsum(likelihood.widths)[:-1])]


def roots_of(likelihood: Likelihood, bread: np.ndarray) -> list[np.ndarray]:
    """The rows of R of every parameter, with R R' = F^-1."""
    return parts_of(likelihood, inverse_root(bread))


def quadratic_forms(likelihood: Likelihood, roots: list[np.ndarray]) -> np.ndarray:
    """B_i of all rows, (K(K+1)/2, n), for the K parameters that `roots` has the rows of R for (the first ones)."""
    return all_quadratic_forms(likelihood, [roots])[0]


def all_quadratic_forms(likelihood: Likelihood, sets: list[list[np.ndarray]]) -> list[np.ndarray]:
    """`quadratic_forms` for several matrices F, each given by its `roots`, in one pass over the rows."""
    out = [np.empty((len(roots) * (len(roots) + 1) // 2, likelihood.n)) for roots in sets]

    def fill(start: int, stop: int, size: int) -> None:
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            designs = designs_of(likelihood, begin, end)
            for forms, roots in zip(out, sets, strict=True):
                forms[:, begin:end] = products(moved_rows(designs, roots))

    with _threads.single_threaded_blas():
        likelihood.each_stripe(fill, False)
    return out


def _once(likelihood: Likelihood, block: Block) -> np.ndarray:
    """The information of a row that counts once; frequency weights are repetitions."""
    if likelihood.repeats is None:
        return block.w
    times = likelihood.repeats[block.start : block.stop]
    return np.divide(block.w, times, out=np.zeros_like(block.w), where=times > 0.0)


def leverage(maximum: Maximum) -> np.ndarray:
    """The leverage of every row; with frequency weights, of each of its repetitions.

    Parameters
    ----------
    maximum : Maximum
        A fit on its rows. Rows of weight zero, and those that are separated, have leverage 0.

    Returns
    -------
    array of shape (n,) for one parameter, else (n, K, K)
        h, or the symmetric matrices H_ii.
    """
    with _threads.single_threaded_blas():
        return leverage_at(maximum.likelihood, maximum.theta, maximum.bread)


def leverage_at(likelihood: Likelihood, theta: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """`leverage` from theta and the inverse of the expected information (NaN where a coordinate is not free)."""
    k, roots = len(likelihood.designs), roots_of(likelihood, bread)
    out = np.empty((likelihood.n,) if k == 1 else (likelihood.n, k, k))

    def fill(start: int, stop: int, size: int) -> None:
        with np.errstate(all="ignore"):
            for block in blocks(likelihood, theta, start, stop, size, EXPECTED):
                inside, w = products(moved_rows(block.designs, roots)), _once(likelihood, block)
                if k == 1:
                    out[block.start : block.stop] = w[0] * inside[0]
                    continue
                half = _square_root(Pairs(k).full(w))
                out[block.start : block.stop] = half @ Pairs(k).full(inside) @ half

    likelihood.each_stripe(fill, False)
    return out


def _square_root(matrices: np.ndarray) -> np.ndarray:
    """Symmetric square roots of symmetric matrices (m, K, K), negative eigenvalues as 0."""
    values, vectors = np.linalg.eigh(np.where(np.isfinite(matrices), matrices, 0.0))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.transpose(0, 2, 1))


def left_out_scores(
    likelihood: Likelihood, theta: np.ndarray, bread: np.ndarray, power: float
) -> tuple[np.ndarray, np.ndarray]:
    """(I - W_i B_i)^-power u_i of every row, power 1 or 1/2, and the rows of leverage 1, where it is 0.

    Parameters
    ----------
    theta, bread
        The estimates, and the inverse of the expected information (NaN where a coordinate is not free).

    Returns
    -------
    scores : array of shape (K, n)
        For K = 1, u / (1 - h)^power.
    full : array of rows
        Those whose leverage is 1, in their order.
    """
    k, roots = len(likelihood.designs), roots_of(likelihood, bread)
    out = np.empty((k, likelihood.n))

    def fill(start: int, stop: int, size: int) -> list[int]:
        found: list[int] = []
        with np.errstate(all="ignore"):
            for block in blocks(likelihood, theta, start, stop, size, EXPECTED):
                inside = products(moved_rows(block.designs, roots))
                scores, top = inflated(block.u, _once(likelihood, block), inside, power)
                full = top > 1.0 - FULL
                scores[:, full] = 0.0
                out[:, block.start : block.stop] = scores
                found += (block.start + np.flatnonzero(full)).tolist()
        return found

    rows = [row for part in likelihood.each_stripe(fill, False) for row in part]
    return out, np.array(rows, int)


def inflated(u: np.ndarray, w: np.ndarray, inside: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """(I - W B)^-power u and the largest eigenvalue of W B, row by row; B is not negative, W may be."""
    k = u.shape[0]
    pairs = Pairs(k)
    apart = [at for at, (a, b) in enumerate(pairs.index()) if a != b]
    if not (w[apart].any() or inside[apart].any()):  # the parameters stand apart
        same = [at for at, (a, b) in enumerate(pairs.index()) if a == b]
        h = w[same] * inside[same]
        return u / (1.0 - h) ** power, h.max(axis=0)
    # f(W B) u = u + W B^{1/2} g(S) B^{1/2} u, S = B^{1/2} W B^{1/2}, g(z) = (f(z) - 1) / z, f(z) = (1 - z)^-power
    half, matrices = _square_root(pairs.full(inside)), pairs.full(w)
    known = np.where(np.isfinite(matrices), matrices, 0.0)  # where not, the last product says so
    values, vectors = np.linalg.eigh(half @ known @ half)
    rest = 1.0 - values
    g = 1.0 / rest if power == 1.0 else 1.0 / (np.sqrt(rest) * (1.0 + np.sqrt(rest)))
    moved = (half @ u.T[:, :, None])[:, :, 0]
    moved = np.einsum("mij,mj->mi", vectors, g * np.einsum("mji,mj->mi", vectors, moved))
    moved = np.einsum("mij,mj->mi", matrices @ half, moved)
    return u + moved.T, values[:, -1]


__all__ = [
    "FULL",
    "all_quadratic_forms",
    "inflated",
    "inverse_root",
    "left_out_scores",
    "leverage",
    "leverage_at",
    "moved_rows",
    "parts_of",
    "products",
    "quadratic_forms",
    "roots_of",
]
