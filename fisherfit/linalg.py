"""Small dense linear algebra of the solver: scaled Cholesky, merged QR factors, rank, compensated least squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg.lapack import dpotri, dtrcon

from .blocks import two_product

_NO_MATRIX = np.empty((0, 0))
EPS = float(np.finfo(float).eps)
WIDE = 128  # coordinates from which it pays to look for a diagonal block
POOR = 1e-6  # reciprocal condition of the scaled information below which the rows are factored by QR instead


@dataclass(frozen=True, eq=False)
class Factor:
    """An information matrix in factored form, `scale` the roots of its diagonal."""

    scale: np.ndarray
    reciprocal_condition: float
    matrix: np.ndarray | None = None
    missing: float = 0.0  # what s'd is below s'F^-1 s: nothing, for a factored matrix

    def length(self, theta: np.ndarray) -> float:
        """sqrt(sum of F_jj theta_j^2), an upper estimate of the Fisher length of theta without its signs."""
        scaled = self.scale * theta
        value = math.sqrt(scaled @ scaled)
        return value if math.isfinite(value) else 0.0

    def solve(self, score: np.ndarray) -> np.ndarray:
        """The natural gradient: information^-1 score, refined once on its residual."""
        raise NotImplementedError

    def inverse(self) -> np.ndarray:
        """information^-1, the covariance."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Triangular(Factor):
    """An information matrix as D L L' D, L lower triangular with zeros above."""

    lower: np.ndarray = field(kw_only=True)

    def solve(self, score: np.ndarray) -> np.ndarray:
        """The natural gradient: information^-1 score, refined once on its residual."""
        out = np.empty(self.scale.size)
        if out.size:
            matrix = _NO_MATRIX if self.matrix is None else self.matrix
            compiled("solve")(lapack(), self.scale, self.lower, matrix, np.ascontiguousarray(score), out)
        return out

    def inverse(self) -> np.ndarray:
        """information^-1, the covariance."""
        if self.scale.size == 0:
            return np.empty((0, 0))
        upper, _ = dpotri(self.lower.T)  # zeros stay below the diagonal
        out = np.asarray(upper + upper.T)
        out[np.diag_indices(self.scale.size)] = np.diag(upper)
        out /= self.scale[:, None]
        out /= self.scale
        return out


@dataclass(frozen=True, eq=False)
class Bordered(Factor):
    """An information matrix as D [[I, B], [B', S + B'B]] D: its diagonal block is eliminated.

    `block` has the coordinates of the diagonal block, `beside` the others; `border` is B and `rest` the factor of the
    Schur complement S (Golub & Van Loan, 2013, section 3.2.11).
    """

    block: slice = field(kw_only=True)
    beside: np.ndarray = field(kw_only=True)
    border: np.ndarray = field(kw_only=True)
    rest: Factor = field(kw_only=True)

    def solve(self, score: np.ndarray) -> np.ndarray:
        """The natural gradient: information^-1 score, refined once on its residual."""
        d = self._solve(score)
        if self.matrix is not None:
            correction = self._solve(score - self.matrix @ d)
            if np.isfinite(correction).all():
                d += correction
        return d

    def _solve(self, score: np.ndarray) -> np.ndarray:
        z = score / self.scale
        there = self.rest.solve(z[self.beside] - z[self.block] @ self.border)
        z[self.beside] = there
        z[self.block] -= self.border @ there
        z /= self.scale
        return z

    def inverse(self) -> np.ndarray:
        """information^-1, the covariance."""
        there = self.rest.inverse()
        across = self.border @ there
        inside = across @ self.border.T
        inside[np.diag_indices(len(inside))] += 1.0
        out = np.empty((self.scale.size, self.scale.size))
        out[self.block, self.block] = inside
        out[self.block, self.beside] = -across
        out[self.beside, self.block] = -across.T
        out[np.ix_(self.beside, self.beside)] = there
        out /= self.scale[:, None]
        out /= self.scale
        return out


def cholesky(information: np.ndarray) -> Factor | None:
    """The scaled Cholesky factor of an information matrix; None where it is not positive definite.

    Where most of it is a diagonal block, as that of a factor with many levels, the block is eliminated first.
    """
    block = diagonal_block(information) if len(information) >= WIDE else None
    return dense_cholesky(information) if block is None else bordered_cholesky(information, block)


def dense_cholesky(information: np.ndarray) -> Triangular | None:
    """The scaled Cholesky factor of an information matrix, whatever its structure."""
    p = len(information)
    information, scale, lower = np.ascontiguousarray(information), np.ones(p), np.zeros((p, p))
    reciprocal = compiled("factorise")(lapack(), information, scale, lower) if p else 1.0
    return Triangular(scale, reciprocal, information, lower=lower) if reciprocal > 0.0 else None


@cache
def compiled(name: str) -> Callable[..., Any]:
    """One of `fisherfit.factoring`."""
    from .factoring import compiled_factoring

    return compiled_factoring(name)


@cache
def lapack() -> np.ndarray:
    from .native import lapack_addresses

    return lapack_addresses()


def diagonal_block(matrix: np.ndarray) -> slice | None:
    """The longest run of coordinates whose part of a symmetric matrix is diagonal; None if it is less than half."""
    p = len(matrix)
    if 2 * np.count_nonzero(matrix.diagonal(1) == 0.0) < p - 2:
        return None
    later = np.triu(matrix != 0.0, 1)
    first = np.where(later.any(axis=1), later.argmax(axis=1), p)  # the next coordinate that each is tied to
    end = np.minimum.accumulate(first[::-1])[::-1]
    start = int(np.argmax(end - np.arange(p)))
    return slice(start, int(end[start])) if 2 * (int(end[start]) - start) >= p else None


def bordered_cholesky(information: np.ndarray, block: slice) -> Bordered | None:
    """The factor of a matrix that is diagonal on a block of its coordinates; None where not positive definite."""
    diagonal = information.diagonal()
    if not (np.isfinite(diagonal).all() and (diagonal > 0.0).all()):
        return None
    scale = np.sqrt(diagonal)
    beside = np.delete(np.arange(scale.size), block)
    border = information[block, beside] / scale[block, None] / scale[beside]
    corner = information[np.ix_(beside, beside)] / scale[beside, None] / scale[beside]
    rest = dense_cholesky(corner - border.T @ border)
    if rest is None:
        return None
    rest = replace(rest, matrix=None)  # solutions are refined on the whole matrix
    reciprocal = _bordered_condition(border, corner, rest.inverse())
    whole = information
    return Bordered(scale, reciprocal, whole, block=block, beside=beside, border=border, rest=rest)


def _bordered_condition(border: np.ndarray, corner: np.ndarray, inverse: np.ndarray) -> float:
    """The reciprocal condition of [[I, B], [B', C]] in the 1-norm, or less: `inverse` is that of C - B'B."""
    size, across = np.abs(border), np.abs(border @ inverse)
    down = across.sum(axis=0)
    norm = max(
        1.0 + float(size.sum(axis=1).max()), float((size.sum(axis=0) + np.abs(corner).sum(axis=0)).max(initial=0.0))
    )
    # in the columns of the block, |B inverse B' + I| is at most |B inverse| |B'| + I
    of_block = 1.0 + size @ down + across.sum(axis=1)
    of_rest = down + np.abs(inverse).sum(axis=0)
    return 1.0 / (norm * max(float(of_block.max()), float(of_rest.max(initial=0.0))))


def from_root(root: np.ndarray) -> Triangular | None:
    """A factor from a triangular R with R'R the information; None where R is singular."""
    scale = np.sqrt(np.einsum("ij,ij->j", root, root))
    if not np.all(np.isfinite(root)) or not np.all(scale > 0.0):
        return None
    upper = np.triu(root / scale)
    upper = upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]
    if upper.size and float(np.abs(np.diag(upper)).min()) < EPS:
        return None
    reciprocal, _ = dtrcon(upper) if upper.size else (1.0, 0)
    return Triangular(scale, float(reciprocal) ** 2, lower=np.ascontiguousarray(upper.T))


def merge_roots(root: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """The triangular factor of rows stacked under an earlier factor: R factors merge as sums do."""
    stacked = rows if root is None else np.vstack([root, rows])
    (r,) = linalg.qr(stacked, mode="r", check_finite=False)
    p = stacked.shape[1]
    out = np.zeros((p, p))
    out[: min(p, r.shape[0])] = r[:p]
    return out


def independent_columns(root: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """True for each column that is no combination of those to its left, from a triangular factor of the design.

    `rounding` is the size of the entries of a column over its spread: what its own rounding errors are relative to.
    """
    p = root.shape[1]
    norm = np.sqrt(np.einsum("ij,ij->j", root, root))
    kept = np.zeros(p, bool)
    basis = np.empty((root.shape[0], 0))
    for j in range(p):
        column = root[:, j].copy()
        if norm[j] == 0.0:
            continue
        unit = column / norm[j]
        rest = unit.copy()
        for _ in range(2):  # twice is enough (Parlett, 1980)
            rest = rest - basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > 16.0 * EPS * p * max(1.0, float(rounding[: j + 1].max())):
            kept[j] = True
            basis = np.column_stack([basis, rest / size])
    return kept


def null_space(root: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A basis of the combinations of columns that vanish: one column for every dependent column of the design."""
    dependent = np.flatnonzero(~kept)
    out = np.zeros((root.shape[1], dependent.size))
    norm = np.sqrt(np.einsum("ij,ij->j", root, root))
    norm[norm == 0.0] = 1.0
    scaled = root / norm
    for k, j in enumerate(dependent):
        left = np.flatnonzero(kept[:j])
        if left.size:
            coefficient, *_ = np.linalg.lstsq(scaled[:, left], scaled[:, j], rcond=None)
            coefficient[np.abs(coefficient) < 1e-9] = 0.0
            out[left, k] = -coefficient / norm[left]
        out[j, k] = 1.0 / norm[j]
    return out


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    s = a + b
    z = s - a
    return s, (a - (s - z)) + (b - z)


def _compensated(first: np.ndarray, matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """first + matrix @ x as if in twice the precision (Ogita, Rump & Oishi, 2005)."""
    total, lost = first.copy(), np.zeros_like(first)
    for j in range(matrix.shape[1]):
        p, e = two_product(matrix[:, j], np.full(total.size, x[j]))
        total, t = _two_sum(total, p)
        lost += e + t
    return np.asarray(total + lost)


def least_squares(a: np.ndarray, y: np.ndarray, at: np.ndarray, steps: int = 6) -> tuple[np.ndarray, Triangular | None]:
    """The step from coefficients `at` to the least-squares solution, and the factor of a'a.

    By QR, refined on the augmented system with compensated residuals (Bjorck, 1967). The step is exact to its own
    last digits: `at` and the step together carry twice the precision.
    """
    norm = np.sqrt(np.einsum("ij,ij->j", a, a))
    scale = np.exp2(np.round(np.log2(np.where(norm > 0, norm, 1.0))))
    a = a / scale
    at = at * scale
    q, r = linalg.qr(a, mode="economic", check_finite=False)
    x = np.zeros_like(at)
    residual = _compensated(y, a, -at)
    system = np.column_stack([a, a, residual])
    size = np.inf
    for _ in range(steps):  # [I a; a' 0] [residual; x] = [y - a at; 0]
        system[:, -1] = residual
        f = _compensated(y, system, np.concatenate([-at, -x, [-1.0]]))
        g = -_compensated(np.zeros(a.shape[1]), np.ascontiguousarray(a.T), residual)
        z = linalg.solve_triangular(r, g, trans="T", check_finite=False)
        d = q.T @ f
        step = linalg.solve_triangular(r, d - z, check_finite=False)
        now = float(np.abs(step).max(initial=0.0))
        if not np.isfinite(now) or now > 0.5 * size:
            break
        x, residual, size = x + step, residual + f - q @ d + q @ z, now
        if now == 0.0:
            break
    return x / scale, from_root(r * scale)


def residuals(a: np.ndarray, y: np.ndarray, at: np.ndarray, step: np.ndarray) -> np.ndarray:
    """y - a (at + step), compensated."""
    return _compensated(y, np.column_stack([a, a]), np.concatenate([-at, -step]))
