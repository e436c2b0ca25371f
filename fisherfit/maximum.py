"""A maximum with its rows at hand: what tests, intervals, diagnostics and robust covariances start from.

Everything here is in the standardised coordinates of the design. `covariance_in_user_units` and `contrasts` lead to
those of the user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import coordinates
from .blocks import Design
from .errors import InputError
from .exact_alpha import exact_information
from .families import ExponentialDispersion, Family
from .kernels import EXPECTED, OBSERVED, SCORE
from .leverage import inverse_root
from .likelihood import Evaluation, Likelihood
from .linalg import Factor, cholesky
from .model import Model, independent_columns_of
from .result import Result


def need_likelihood(result: Result, what: str) -> None:
    """Refuse what rests on the maximum of a likelihood where the fit has another.

    Raises
    ------
    InputError
        For probability weights, whose likelihood is a pseudo-likelihood, and for estimates of reduced bias.
    """
    if result.weight_type == "probability":
        raise InputError(f"{what} needs a likelihood, and probability weights have but a pseudo-likelihood; use Wald "
                         "tests and intervals (method='wald')")  # fmt: skip
    if result.bias_reduction is not None:
        raise InputError(f"{what} needs a maximum-likelihood fit, and this one has "
                         f"bias_reduction={result.bias_reduction!r}; use Wald tests and intervals (method='wald'), or "
                         "fit without bias_reduction")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Maximum:
    """A model on its rows, at its maximum.

    `theta` has the coefficients of all parameters, `free` says which coordinates are identified, `null` is a basis of
    the combinations of columns of the first parameter that vanish. Rows that are separated have weight zero in the
    `likelihood`. `basis`, (size, q), has the directions that constraints of the fit leave, further parameters last, or
    is None. `phi` is the dispersion in use; `count` is the number of observations, n or the sum of frequencies.
    """

    likelihood: Likelihood
    family: Family
    theta: np.ndarray
    free: np.ndarray
    null: np.ndarray
    result: Result
    floor: float = 0.0
    basis: np.ndarray | None = None

    @property
    def design(self) -> Design:
        """The design of the first parameter."""
        return self.likelihood.designs[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, in the user's order, and of further parameters."""
        return self.result.names

    @property
    def phi(self) -> float:
        """The dispersion in use."""
        return self.result.dispersion

    @property
    def count(self) -> float:
        """Number of observations."""
        return self.result.nobs

    @property
    def canonical(self) -> bool:
        """True where expected and observed information agree."""
        link = self.likelihood.kernels.links[0].name
        return isinstance(self.family, ExponentialDispersion) and link == self.family.canonical_link

    @cached_property
    def model(self) -> Model:
        """The likelihood as the solver sees it."""
        return Model(self.likelihood, self.canonical, self.family.has_dispersion, self.floor, self.count)

    @cached_property
    def _evaluated(self) -> tuple[Evaluation, np.ndarray]:
        """The evaluation and the linear predictors, in one pass over the rows."""
        eta = np.empty((len(self.likelihood.designs), self.likelihood.n))
        found = self.likelihood.evaluate(self.theta, EXPECTED, eta)
        return replace(found, information=self.exact(self.theta, found.information, eta)), eta

    @property
    def evaluation(self) -> Evaluation:
        """Log-likelihood, score and expected information at the maximum; the information of alpha is exact."""
        return self._evaluated[0]

    @property
    def eta(self) -> np.ndarray:
        """Linear predictors of all parameters, of shape (K, n), offset included."""
        return self._evaluated[1]

    @cached_property
    def observed(self) -> Evaluation:
        """The same with observed information."""
        return self.evaluation if self.canonical else self.likelihood.evaluate(self.theta, OBSERVED)

    @cached_property
    def factor(self) -> Factor:
        """The factor of the expected information on the free coordinates.

        Raises
        ------
        InputError
            Where the information is not positive definite.
        """
        return self.factor_of(self.evaluation)

    def factor_of(self, evaluation: Evaluation) -> Factor:
        """The factor of an information matrix on the free coordinates, or in the directions of `basis`."""
        if self.basis is None:
            factor = cholesky(evaluation.information[np.ix_(self.free, self.free)])
        else:
            factor = cholesky(self.basis.T @ evaluation.information @ self.basis)
        if factor is None:
            raise InputError("the information matrix is not positive definite at the estimates; standard errors, "
                             "tests and diagnostics need it to be; see the warnings of the fit")  # fmt: skip
        return factor

    @cached_property
    def bread(self) -> np.ndarray:
        """The inverse of the expected information (at dispersion 1), NaN where a coordinate is not free."""
        return self.spread(self.factor.inverse())

    def spread(self, inner: np.ndarray) -> np.ndarray:
        """A matrix on the free coordinates as one on all, NaN elsewhere; or one in the directions of `basis`."""
        if self.basis is not None:
            return np.asarray(self.basis @ inner @ self.basis.T)
        if self.free.all():
            return inner
        out = np.full((self.free.size, self.free.size), np.nan)
        out[np.ix_(self.free, self.free)] = inner
        return out

    def root_of(self, evaluation: Evaluation) -> np.ndarray:
        """R with R R' the inverse of an information matrix, as far as theta is free."""
        inverse = self.factor_of(evaluation).inverse()
        return inverse_root(self.spread(inverse)) if self.basis is None else self.basis @ inverse_root(inverse)

    def of_mean(self, vectors: np.ndarray) -> np.ndarray:
        """Rows of functions of the mean's coefficients, (m, p), as functions of what is free of them, (m, q)."""
        p = self.design.width
        return vectors[:, self.free[:p]] if self.basis is None else vectors @ self._of_mean

    def to_mean(self, inner: np.ndarray) -> np.ndarray:
        """What is free of the mean's coefficients, (q, m), as coefficients (p, m)."""
        p = self.design.width
        if self.basis is not None:
            return np.asarray(self._of_mean @ inner)
        out = np.zeros((p, inner.shape[1]))
        out[self.free[:p]] = inner
        return out

    @property
    def _of_mean(self) -> np.ndarray:
        assert self.basis is not None
        further = self.theta.size - self.design.width
        return self.basis[: self.design.width, : self.basis.shape[1] - further]

    def exact(self, theta: np.ndarray, information: np.ndarray, eta: np.ndarray | None = None) -> np.ndarray:
        """The expected information at a point, with the exact one of a free alpha; `eta` where it is known."""
        return exact_information(self.likelihood, self.family, theta, information, eta)

    def constants(self, rows: np.ndarray) -> np.ndarray:
        """What `contrasts` leave out: nothing."""
        return np.zeros(len(rows))

    def row_scores(self) -> np.ndarray:
        """u of shape (K, n): the score of the linear predictors, row by row (the score of theta is X'u)."""
        return self.likelihood.terms_at(self.eta, SCORE)[0]

    def contrasts(self, rows: np.ndarray) -> np.ndarray:
        """Linear functions of the user's coefficients as functions of theta: rows (m, size) times d user / d theta.

        Further parameters, such as alpha, are taken on the scale of their links.
        """
        p, size = self.design.width, self.theta.size
        out = np.zeros((len(rows), size))
        jacobian = np.stack([coordinates.contrast(self.design, j) for j in range(p)])
        out[:, :p] = rows[:, :p] @ jacobian
        out[:, p:] = rows[:, p:]
        return out

    def estimates(self) -> np.ndarray:
        """The user's coefficients, further parameters on the scale of their links."""
        out, p = self.result.coefficients.copy(), self.design.width
        for k, link in enumerate(self.likelihood.kernels.links[1:]):
            out[p + k] = float(link.forward(out[p + k]))
        return out

    def covariance_in_user_units(self, covariance: np.ndarray) -> np.ndarray:
        """A covariance of theta (NaN where not identified) as one of the user's coefficients.

        Entries are NaN for coefficients that are not estimable, and infinite on the diagonal for infinite estimates.
        Further parameters are on the user's scale (delta method).
        """
        known = np.where(np.isnan(covariance), 0.0, covariance)
        scale, inner = coordinates.congruent(self.design, known)
        out = inner * scale[:, None] * scale
        p, infinite = self.design.width, np.isinf(self.result.standard_errors)
        if self.null.shape[1]:
            null = coordinates.transform(self.design, self.null)
            _, moved, estimable = coordinates.minimum_norm(np.zeros(p), out, null, self.design.intercept)
            out = np.asarray(moved)
            lost = np.append(~estimable, np.zeros(self.theta.size - p, bool))
        elif infinite.any():  # coordinates along infinite coefficients stand still
            lost = np.zeros(self.theta.size, bool)
        else:
            lost = coordinates.reached(self.design, np.isnan(covariance.diagonal()))
        slope = np.ones(self.theta.size)
        for k, link in enumerate(self.likelihood.kernels.links[1:]):
            slope[p + k] = float(link.slope(self.theta[p + k]))
        out = out * slope[:, None] * slope
        out[lost, :] = out[:, lost] = np.nan
        out[infinite, :] = out[:, infinite] = np.nan
        out[np.diag_indices(infinite.size)] = np.where(infinite, np.inf, out.diagonal())
        return out


def at_maximum(likelihood: Likelihood, family: Family, result: Result, separated: np.ndarray, floor: float) -> Maximum:
    """A fit on its rows: the estimates in the coordinates of these rows' design.

    Parameters
    ----------
    likelihood : Likelihood
        The rows of the fit.
    family : Family
        The family of the fit.
    result : Result
        What the fit found.
    separated : boolean array of shape (n,)
        Rows that are separated: the finite coefficients do not depend on them.
    floor : float
        Dispersion below which there is only rounding.
    """
    if likelihood.matrix_free:
        raise InputError(f"this needs the information matrix of {len(result.names)} coefficients, which was not formed"
                         "; model.standard_errors(X, y, columns=[...]) works without it")  # fmt: skip
    if separated.any():
        likelihood = likelihood.without(separated)
    design, p = likelihood.designs[0], likelihood.designs[0].width
    tail: list[Any] = [
        float(link.forward(value))
        for link, value in zip(likelihood.kernels.links[1:], result.coefficients[p:], strict=True)
    ]
    theta = np.concatenate([design.from_user(result.coefficients[:p]), tail])
    free, null = np.ones(theta.size, bool), np.zeros((p, 0))
    if separated.any() or result.rank < p:
        free[:p], null, _ = independent_columns_of(likelihood)
    if separated.any():
        null = null[:, :0]  # columns that stood in the separated rows: their coefficients are infinite, not aliased
    if np.isnan(result.standard_errors[p:]).any():  # a parameter at its bound
        free[p:] = np.isfinite(result.standard_errors[p:])
    return Maximum(likelihood, family, theta, free, null, result, floor)


__all__ = ["Maximum", "at_maximum", "need_likelihood"]
