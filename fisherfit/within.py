"""A fit under linear equalities as a fit of its own, in the coordinates that the equalities leave.

theta = origin + B gamma, B a basis of the directions in which the equalities hold; further parameters (alpha) are
coordinates as they are. The likelihood of gamma is a likelihood like any other: profiles go by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from scipy import linalg

from .exact_alpha import exact_information
from .families import Family
from .kernels import EXPECTED
from .likelihood import Evaluation, Likelihood
from .linalg import EPS
from .maximum import Maximum


@dataclass(frozen=True, eq=False)
class WithinLikelihood(Likelihood):
    """The likelihood of gamma."""

    family: Family | None = None
    origin: np.ndarray = field(default_factory=lambda: np.zeros(0))
    basis: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    by_rows = False

    def evaluate(self, theta: np.ndarray, kind: int = EXPECTED, eta: np.ndarray | None = None) -> Evaluation:
        """Log-likelihood, score and information at gamma; the expected information of alpha is exact."""
        assert self.family is not None
        there = self.origin + self.basis @ theta
        found = super().evaluate(there, kind, eta)
        information = found.information
        if information is not None:
            if kind == EXPECTED:
                information = exact_information(self, self.family, there, information)
            information = self.basis.T @ information @ self.basis
        return Evaluation(found.loglik, self.basis.T @ found.score, information, found.n, kind, found.pearson)


@dataclass(frozen=True, eq=False)
class WithinMaximum(Maximum):
    """The maximum in the coordinates gamma; `whole` is the same in all coordinates."""

    whole: Maximum | None = None

    @cached_property
    def evaluation(self) -> Evaluation:
        """Log-likelihood, score and expected information at the maximum."""
        return self.likelihood.evaluate(self.theta, EXPECTED)

    def exact(self, theta: np.ndarray, information: np.ndarray, eta: np.ndarray | None = None) -> np.ndarray:
        """The information as it is: `WithinLikelihood` has made it exact."""
        return information

    def contrasts(self, rows: np.ndarray) -> np.ndarray:
        """Linear functions of the user's coefficients as functions of gamma, but for `constants`."""
        assert self.whole is not None
        assert isinstance(self.likelihood, WithinLikelihood)
        return self.whole.contrasts(rows) @ self.likelihood.basis

    def constants(self, rows: np.ndarray) -> np.ndarray:
        """What these functions are at gamma = 0."""
        assert self.whole is not None
        assert isinstance(self.likelihood, WithinLikelihood)
        return np.asarray(self.whole.contrasts(rows) @ self.likelihood.origin)


def directions_of(maximum: Maximum, matrix: np.ndarray) -> np.ndarray:
    """A basis, (size, q), of the directions in which R b = r holds, further parameters as the last columns.

    Parameters
    ----------
    maximum : Maximum
        A constrained fit on its rows.
    matrix : array of shape (m, size)
        R, of the user's coefficients.
    """
    p, size = maximum.design.width, maximum.theta.size
    inner = maximum.contrasts(matrix)[:, :p]
    length = np.linalg.norm(inner, axis=1, keepdims=True)
    basis = linalg.null_space(inner / np.where(length > 0.0, length, 1.0), rcond=1e3 * EPS)
    return np.asarray(linalg.block_diag(basis, np.eye(size - p)))


def within(maximum: Maximum, matrix: np.ndarray) -> Maximum:
    """A fit under R b = r, `matrix` R of the user's coefficients, in the coordinates that are left."""
    basis, p = directions_of(maximum, matrix), maximum.design.width
    origin, further = maximum.theta.copy(), maximum.theta.size - p
    gamma = np.zeros(basis.shape[1])
    gamma[basis.shape[1] - further :], origin[p:] = origin[p:], 0.0
    known = {f.name: getattr(maximum.likelihood, f.name) for f in fields(Likelihood)}
    inside = WithinLikelihood(**known, family=maximum.family, origin=origin, basis=basis)
    return WithinMaximum(inside, maximum.family, gamma, np.ones(gamma.size, bool), np.zeros((p, 0)), maximum.result,
                         maximum.floor, whole=maximum)  # fmt: skip


__all__ = ["directions_of", "within"]
