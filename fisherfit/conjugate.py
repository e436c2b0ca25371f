"""Steps of the solver without an information matrix: preconditioned conjugate gradients on products F v.

Where p^2 numbers do not fit, or their Cholesky factor costs more than it saves, F^-1 s comes from products F v alone
(Hestenes & Stiefel, 1952; for the natural gradient, Martens, 2010). The iteration is stopped early far from the
maximum (inexact Newton: Dembo, Eisenstat & Steihaug, 1982), and every solution comes with a bound on what it lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import linalg
from scipy.linalg import blas, lapack

from .linalg import EPS, Factor, cholesky

MOST = 5000  # products to a solution, at the most
LOOSE = 0.1  # relative error (in the metric of F) of a step far from the maximum
CLOSE = 5e-11  # distance from the maximum, in standard errors, below which a step needs no digits
LAST = 0.1  # relative error of the step that the certificate is made of
TIGHT = 1e-12  # relative error of a solution that is no step of the solver
EACH = 60  # products up to which eigenvalues are estimated after each
STEADY = 0.01  # mean square move of a linear predictor, in standard errors, that leaves a preconditioner as good
MARGIN = 0.5  # what the smallest eigenvalue may be of its estimate from the iteration


class Operator(Protocol):
    """An information matrix known by its products."""

    def product(self, v: np.ndarray) -> np.ndarray:
        """F v."""

    def diagonal(self) -> np.ndarray:
        """The diagonal of F."""

    def block(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns that are few and may be far from orthogonal, and their part of F."""


@dataclass(eq=False)
class Conjugate:
    """The information on the free coordinates as solutions by conjugate gradients: a `Factor` without a matrix.

    `gained` is s'd of the last solution and `missing` an upper estimate of how far that is below s'F^-1 s; what is less
    than `negligible` may be missing of any. `smallest` and `largest` are
    the extreme eigenvalues of the preconditioned information, as the iterations have seen them.
    """

    operator: Operator
    free: np.ndarray
    scale: np.ndarray
    leading: np.ndarray
    block: Factor | None
    relative: Callable[[float], float] = lambda decrement: TIGHT
    damping: float = 0.0
    negligible: float = 0.0
    missing: float = 0.0
    gained: float = 0.0
    smallest: float = np.inf
    largest: float = 0.0
    matrix: None = field(default=None, init=False)

    @property
    def reciprocal_condition(self) -> float:
        """That of the preconditioned information, as far as it is known."""
        return self.smallest / self.largest if self.largest > 0.0 else 1.0

    def length(self, theta: np.ndarray) -> float:
        """sqrt(sum of F_jj theta_j^2), an upper estimate of the Fisher length of theta without its signs."""
        value = float(np.linalg.norm(self.scale * theta))
        return value if np.isfinite(value) else 0.0

    def solve(self, score: np.ndarray) -> np.ndarray:
        """The natural gradient, as exactly as `relative` asks; NaN where the information is not positive definite."""
        return self._iterate(score, self.relative)

    def solve_tightly(self, right: np.ndarray) -> np.ndarray:
        """F^-1 right to about twelve digits in the metric of F."""
        return self._iterate(right, lambda decrement: TIGHT)

    def solve_within(self, right: np.ndarray, relative: float) -> np.ndarray:
        """F^-1 right to a relative error, in the metric of F."""
        return self._iterate(right, lambda decrement: relative)

    def _product(self, v: np.ndarray) -> np.ndarray:
        if self.scale.size == self.free.size:
            out = self.operator.product(v / self.scale) / self.scale
        else:
            full = np.zeros(self.free.size)
            full[self.free] = v / self.scale
            out = self.operator.product(full)[self.free] / self.scale
        return out + self.damping * v if self.damping else out

    def _precondition(self, r: np.ndarray) -> np.ndarray:
        if self.block is None and not self.damping:
            return r
        z = r / (1.0 + self.damping)
        if self.block is not None:
            z[self.leading] = self.block.solve(r[self.leading])
        return z

    def _iterate(self, right: np.ndarray, relative: Callable[[float], float]) -> np.ndarray:
        """Conjugate gradients in coordinates where the diagonal is 1, from zero."""
        r = right / self.scale
        d = np.zeros_like(r)
        z = self._precondition(r)
        direction, rho = z.copy(), float(r @ z)
        alphas: list[float] = []
        betas: list[float] = []
        start, look = rho, EACH
        self.missing = self.gained = 0.0
        if not np.isfinite(rho):
            return np.full_like(r, np.nan)
        if rho <= MARGIN * self.smallest * self.negligible and np.isfinite(self.smallest):
            self.missing = rho / (MARGIN * self.smallest)
            return d
        for step in range(MOST):
            if rho <= (4.0 * EPS) ** 2 * start:
                break
            image = self._product(direction)
            curvature = float(direction @ image)
            if not curvature > 0.0:
                if not np.isfinite(curvature) or curvature < -1e-10 * float(direction @ direction) or step == 0:
                    return np.full_like(r, np.nan)
                break
            alpha = rho / curvature
            d = blas.daxpy(direction, d, a=alpha)  # in place, as are the others: the vectors may be long
            r = blas.daxpy(image, r, a=-alpha)
            self.gained += alpha * rho
            z = self._precondition(r)
            before, rho = rho, float(r @ z)
            alphas.append(alpha)
            betas.append(rho / before)
            direction *= betas[-1]
            direction += z
            enough = max(relative(self.gained) ** 2 * self.gained, self.negligible)
            if step < EACH or step >= look or rho <= MARGIN * self.smallest * enough:
                self._see(alphas, betas)
                look = int(1.2 * step) + 1
            self.missing = rho / (MARGIN * self.smallest)
            if self.missing <= enough:
                break
        return d / self.scale

    def _see(self, alphas: list[float], betas: list[float]) -> None:
        """Ritz values: eigenvalues of the Lanczos matrix that the iteration has built (Golub & Van Loan, 11.3.5)."""
        a, b = np.array(alphas), np.array(betas[:-1])
        diagonal = 1.0 / a
        diagonal[1:] += b / a[:-1]
        beside = np.sqrt(b) / a[:-1]
        if a.size <= EACH:
            values, failed = lapack.dsterf(diagonal, beside) if a.size > 1 else (diagonal, 0)
            if failed:
                return
        else:  # by bisection, the smallest alone
            values = linalg.eigvalsh_tridiagonal(diagonal, beside, select="i", select_range=(0, 0))
        self.smallest = min(self.smallest, max(float(values[0]), EPS))
        self.largest = max(self.largest, float(values[-1]))


def conjugate(
    operator: Operator, free: np.ndarray, relative: Callable[[float], float] | None = None, damping: float = 0.0
) -> Conjugate | None:
    """Solutions with an information known by its products; None where its diagonal is not positive."""
    diagonal = operator.diagonal()[free]
    if not np.all(np.isfinite(diagonal)) or not np.all(diagonal > 0.0):
        return None
    scale = np.sqrt(diagonal)
    columns, matrix = operator.block()
    inside = free[columns]
    leading = (np.cumsum(free) - 1)[columns[inside]]
    matrix = matrix[np.ix_(inside, inside)] / scale[leading, None] / scale[leading]
    block = cholesky(matrix + damping * np.eye(leading.size)) if leading.size > 1 else None
    if block is None:
        leading = leading[:0]
    out = Conjugate(operator, free, scale, leading, block, damping=damping)
    if relative is not None:
        out.relative = relative
    return out


def conjugate_again(before: Conjugate, operator: Operator, relative: Callable[[float], float]) -> Conjugate:
    """Solutions with another information near that of `before`, whose preconditioner serves again."""
    out = Conjugate(operator, before.free, before.scale, before.leading, before.block, relative)
    out.smallest, out.largest = before.smallest, before.largest  # what earlier solutions have seen of the spectrum
    return out


def forcing(phi: float, total: float) -> Callable[[float], float]:
    """How exactly a step is worth solving for, by its decrement: as exactly as the quadratic model holds there.

    With a distance lambda of n rows the model errs by about lambda / sqrt(n), more where few rows carry it.
    """

    def relative(decrement: float) -> float:
        distance = float(np.sqrt(max(decrement / phi, 0.0)))
        if distance <= 3.0 * CLOSE:
            return LAST
        return min(LOOSE, max((distance / np.sqrt(total)) ** 0.75, CLOSE / distance))

    return relative


__all__ = ["Conjugate", "Operator", "conjugate", "forcing"]
