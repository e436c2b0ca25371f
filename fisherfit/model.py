"""A likelihood as the solver sees it, and a maximum with everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import separation as sep
from .blocks import Design
from .likelihood import Evaluation, Likelihood, dense_design
from .linalg import (
    POOR,
    Factor,
    Triangular,
    cholesky,
    dense_cholesky,
    from_root,
    independent_columns,
    least_squares,
    null_space,
)
from .nullspace import null_space_by_probes

LAZY_WORK = 2_000_000  # rows times columns from which on passes are saved: a pilot on a sample, and chord steps
COVARIANCE_WIDTH = 4096  # columns of a design without matrices up to which the covariance is formed all the same
ROWS_WORK = 1e10  # n p^2 up to which a QR of the rows is cheap
LOST = 1e-12  # reciprocal condition below which a Cholesky factor has no digits left
DENSE_WIDTH = 1000  # columns of sparse and very wide designs up to which they do so
DENSE_LIMIT = 50_000_000  # rows times columns up to which the fallbacks hold the design in memory


@dataclass(frozen=True, eq=False)
class Model:
    """A likelihood as the solver sees it (its `Problem`)."""

    likelihood: Likelihood
    canonical: bool
    has_dispersion: bool
    floor: float
    count: float

    @property
    def total(self) -> float:
        """Sum of the weights. (`count` is the number of observations: rows, or repeated rows.)"""
        return self.likelihood.total

    @cached_property
    def lazy(self) -> bool:
        """True where information is dear: many rows for every column."""
        p = sum(self.likelihood.widths)
        if self.likelihood.matrix_free:
            return False
        return self.likelihood.n * p >= LAZY_WORK and self.likelihood.n >= 100 * p

    def evaluate(self, theta: np.ndarray, kind: int) -> Evaluation:
        """Log-likelihood, score and information at theta."""
        return self.likelihood.evaluate(theta, kind)

    def on(self, sample: Likelihood) -> Model:
        """The model on a sample of its rows."""
        return replace(self, likelihood=sample, count=self.count * sample.n / self.likelihood.n)

    def dispersion(self, evaluation: Evaluation) -> float:
        """The maximum-likelihood dispersion (deviance / n, exact or nearly so), kept off zero; else 1."""
        if not self.has_dispersion:
            return min(1.0, self.total)  # weights far below 1 scale the log-likelihood as a dispersion would
        return max(-2.0 * evaluation.loglik / self.count, self.floor)

    def factor(
        self, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray
    ) -> tuple[Factor | None, np.ndarray | None]:
        """The information factored by QR of the rows, and the step from the same QR."""
        lik = self.likelihood
        if is_large(lik):  # Cholesky's solution must do: its errors are in the certificate
            return None, None
        p = lik.designs[0].width
        here, rest = free[:p], free[p:]
        if self.is_linear and lik.n * p <= DENSE_LIMIT:
            lik.hold()
        if self.is_linear and lik.n * p <= DENSE_LIMIT and not lik.streamed:
            x, y = self.linear_system(here)
            step, factor = least_squares(x, y, theta[here])
            return factor, step
        root = lik.working_root(theta)
        if root is None:
            return None, None
        columns = np.append(here, True)
        if not here.all():
            from scipy.linalg import qr

            root = np.atleast_2d(qr(root[:, columns], mode="r")[0])[: here.sum() + 1]
        factor = from_root(root[: here.sum(), : here.sum()])
        if factor is None:
            return None, None
        upper_step = np.asarray(_solve_signed(root, int(here.sum())))
        if not rest.any():
            return factor, upper_step
        assert evaluation.information is not None
        tail = dense_cholesky(evaluation.information[p:, p:][np.ix_(rest, rest)])
        if tail is None:
            return None, None
        k = int(here.sum())
        lower = np.zeros((k + int(rest.sum()),) * 2)
        lower[:k, :k], lower[k:, k:] = factor.lower, tail.lower
        both = Triangular(np.concatenate([factor.scale, tail.scale]), factor.reciprocal_condition, lower=lower)
        return both, np.concatenate([upper_step, tail.solve(evaluation.score[p:][rest])])

    def needs_rows(self, factor: Factor | None, digits: float = POOR) -> bool:
        """True where a QR of the rows is to stand in for a Cholesky factor, of too small a reciprocal condition.

        It keeps twice the digits, for n p^2 multiplications. Where that is dear, Cholesky's factor, whose solutions are
        refined, is trusted as long as it has any digits.
        """
        if factor is not None and factor.reciprocal_condition >= digits:
            return False
        dear = self.likelihood.n * float(sum(self.likelihood.widths)) ** 2 > ROWS_WORK
        return not dear or factor is None or factor.reciprocal_condition < LOST

    def linear_system(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weighted design and response of a linear model."""
        lik = self.likelihood
        root = np.sqrt(lik.weight)
        offset = 0.0 if lik.offset is None else lik.offset
        return dense_design(lik)[:, free] * root[:, None], (lik.y - offset) * root

    @property
    def is_linear(self) -> bool:
        k = self.likelihood.kernels
        return k.family.name == "normal" and k.links[0].name == "identity"


def _solve_signed(root: np.ndarray, k: int) -> np.ndarray:
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(root[:k, :k], root[:k, k], check_finite=False))


@dataclass(frozen=True, eq=False)
class Fitted:
    """A maximum with everything that is known of it, in standardised coordinates.

    Where the design is too wide for matrices, the information is an operator and the covariance None.
    """

    theta: np.ndarray
    point: np.ndarray
    step: np.ndarray
    evaluation: Evaluation
    information: Any
    covariance: np.ndarray | None
    loglik: float
    decrement: float
    n_iter: int
    n_restarts: int
    reason: str
    kept: np.ndarray
    null: np.ndarray
    separation: sep.Separation
    boundary_rows: np.ndarray
    boundary_parameters: tuple[str, ...] = ()
    finite: np.ndarray = field(default_factory=lambda: np.ones(0, bool))
    design: Design | None = None  # where it is not the likelihood's own
    history: tuple[float, ...] = ()
    rank_certain: bool = True
    widest: np.ndarray = field(
        default_factory=lambda: np.empty(0)
    )  # bounds of standard errors, if not formed, at phi 1

    constant: tuple[float, float] | None = None  # the linear predictor that all rows had at the start, and loglik there
    keeping: Any = None  # how it keeps to constraints and bounds (`keeping.Keeping`)


def is_large(likelihood: Likelihood) -> bool:
    """True for sparse and very wide designs of which no dense copy and no QR factor is to be made."""
    p = likelihood.designs[0].width
    wide = likelihood.matrix_free or likelihood.designs[0].sparse is not None
    return wide and (likelihood.n * p > DENSE_LIMIT or p > DENSE_WIDTH)


def rank_by_probes(likelihood: Likelihood) -> bool:
    """True where the rank of the first design is found by products with it, and not from a factor of its rows."""
    return likelihood.matrix_free or is_large(likelihood)


def independent_columns_of(likelihood: Likelihood) -> tuple[np.ndarray, np.ndarray, bool]:
    """The columns of the first design that are no combination of those to their left, its null space, and if all of it.

    Rows of weight zero do not count.
    """
    if rank_by_probes(likelihood):
        return null_space_by_probes(likelihood, likelihood.weight > 0.0)
    design, root = likelihood.designs[0], likelihood.design_root()
    kept = in_user_order(root, design.sizes, design.position)
    return kept, null_space_in_user_order(root, kept, design.position), True


def covariance_formed(information: Any, factor: Any, kept: np.ndarray) -> tuple[Any, np.ndarray | None]:
    """The information, as a matrix where that is affordable, and its inverse on the columns kept (None: not formed)."""
    size = kept.size
    if not isinstance(information, np.ndarray):
        if size > COVARIANCE_WIDTH:
            return information, None
        information = information.dense()
        factor = cholesky(information[np.ix_(kept, kept)])
    if isinstance(factor, Factor) and kept.all():
        return information, factor.inverse()
    covariance = np.full((size, size), np.nan)
    if isinstance(factor, Factor):
        covariance[np.ix_(kept, kept)] = factor.inverse()
    return information, covariance


def in_user_order(root: np.ndarray, rounding: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Which columns are independent of those before them in the user's order."""
    order = np.argsort(position)
    kept = np.empty(position.size, bool)
    kept[order] = independent_columns(root[:, order], rounding[order])
    return kept


def null_space_in_user_order(root: np.ndarray, kept: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The null space of the design, each vector by the columns before its dependent one."""
    order = np.argsort(position)
    out = np.empty((position.size, int((~kept).sum())))
    out[order] = null_space(root[:, order], kept[order])
    return out
