"""A likelihood as the solver sees it, and a maximum with everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from . import separation as sep
from .blocks import Design
from .likelihood import Evaluation, Likelihood, dense_design
from .linalg import Factor, cholesky, from_root, independent_columns, least_squares, null_space

LAZY_WORK = 2_000_000  # rows times columns from which on passes are saved: a pilot on a sample, and chord steps
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
        tail = cholesky(evaluation.information[p:, p:][np.ix_(rest, rest)])
        if tail is None:
            return None, None
        k = int(here.sum())
        upper = np.zeros((k + int(rest.sum()),) * 2)
        upper[:k, :k], upper[k:, k:] = factor.upper, tail.upper
        both = Factor(np.concatenate([factor.scale, tail.scale]), upper, factor.reciprocal_condition)
        return both, np.concatenate([upper_step, tail.solve(evaluation.score[p:][rest])])

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
    """A maximum with everything that is known of it, in standardised coordinates."""

    theta: np.ndarray
    point: np.ndarray
    step: np.ndarray
    evaluation: Evaluation
    information: np.ndarray
    covariance: np.ndarray
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
    constant: tuple[float, float] | None = None  # the linear predictor that all rows had at the start, and loglik there


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
