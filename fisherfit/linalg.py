"""Small dense linear algebra of the solver: scaled Cholesky, merged QR factors, rank, compensated least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from .blocks import two_product

EPS = float(np.finfo(float).eps)
POOR = 1e-6  # reciprocal condition of the scaled information below which the rows are factored by QR instead


@dataclass(frozen=True, eq=False)
class Factor:
    """An information matrix as D U'U D, U upper triangular, D diagonal."""

    scale: np.ndarray
    upper: np.ndarray
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
        d = self._solve(score)
        if self.matrix is not None:
            correction = self._solve(score - self.matrix @ d)
            if np.isfinite(correction).all():
                d += correction
        return d

    def _solve(self, score: np.ndarray) -> np.ndarray:
        z: np.ndarray = lapack.dpotrs(self.upper, score / self.scale)[0]  # scipy's wrappers cost more than the solution
        z /= self.scale
        return z

    def inverse(self) -> np.ndarray:
        """information^-1, the covariance."""
        if self.scale.size == 0:
            return np.empty((0, 0))
        upper, _ = lapack.dpotri(self.upper)  # zeros stay below the diagonal
        out = np.asarray(upper + upper.T)
        out[np.diag_indices(self.scale.size)] = np.diag(upper)
        out /= self.scale[:, None]
        out /= self.scale
        return out


def cholesky(information: np.ndarray) -> Factor | None:
    """The scaled Cholesky factor of an information matrix; None where it is not positive definite."""
    diagonal = information.diagonal()
    if diagonal.size == 0:
        return Factor(np.ones(0), np.empty((0, 0)), 1.0, information)
    if not all(0.0 < entry < math.inf for entry in diagonal.tolist()):
        return None
    scale = np.sqrt(diagonal)
    scaled = (information / scale[:, None] / scale).T  # symmetric, and in the order of LAPACK: nothing is copied
    norm = lapack.dlange("1", scaled)  # not finite where an entry of the information is not
    if not math.isfinite(norm):
        return None
    upper, info = lapack.dpotrf(scaled, lower=0, clean=1, overwrite_a=1)
    if info != 0:
        return None
    reciprocal, _ = lapack.dpocon(upper, norm)
    return Factor(scale, upper, reciprocal, information)


def from_root(root: np.ndarray) -> Factor | None:
    """A Factor from a triangular R with R'R the information; None where R is singular."""
    scale = np.sqrt(np.einsum("ij,ij->j", root, root))
    if not np.all(np.isfinite(root)) or not np.all(scale > 0.0):
        return None
    upper = np.triu(root / scale)
    upper = upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]
    if upper.size and float(np.abs(np.diag(upper)).min()) < EPS:
        return None
    reciprocal, _ = lapack.dtrcon(upper) if upper.size else (1.0, 0)
    return Factor(scale, upper, float(reciprocal) ** 2)


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


def least_squares(a: np.ndarray, y: np.ndarray, at: np.ndarray, steps: int = 6) -> tuple[np.ndarray, Factor | None]:
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
