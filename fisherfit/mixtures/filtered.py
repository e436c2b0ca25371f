"""A mixture that learns from batches and keeps none: theta, its information, and a few sums.

The log-likelihood of the past is -1/2 d'Jd around the parameters so far, J the observed information of all rows at the
parameters of their time. A new batch moves the parameters to the maximum of its own log-likelihood and that quadratic:
the first step on the way is theta + (J + J_batch)^-1 s_batch, the natural-gradient step with the information of all
rows, and the trust region of `ascent` guards it. A prior stays what it is: where its slope was, the rows had the
opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..linalg import cholesky
from .ascent import Ascent, ascend
from .climbing import Climb, Run
from .fitting import MixtureFit
from .mixture import Mixture, MixtureEvaluation
from .prior import with_own_prior
from .result import MixtureResult
from .samples import within
from .streamed import seen

STEPS = 50
TOL = 1e-14
LEAST_SHARP = 1e-10  # reciprocal condition of the information from which it can stand for the rows


@dataclass(frozen=True, eq=False)
class Remembering:
    """The log-likelihood of a batch (or its log-posterior), and the quadratic that stands for the past."""

    batch: Mixture
    theta: np.ndarray
    information: np.ndarray
    slope: np.ndarray

    @property
    def total(self) -> float:
        """Sum of the weights of the batch."""
        return self.batch.total

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """The sum of both at S points."""
        away = theta - self.theta
        past = away @ self.slope - 0.5 * np.einsum("si,ij,sj->s", away, self.information, away)
        return np.asarray(self.batch.loglik(theta) + past)

    def evaluate(self, theta: np.ndarray) -> MixtureEvaluation:
        """The sum of both at one point, with its derivatives."""
        here, away = self.batch.evaluate(theta), theta - self.theta
        pull = self.information @ away
        return MixtureEvaluation(
            here.loglik + float(away @ (self.slope - 0.5 * pull)), here.score + self.slope - pull,
            here.complete + self.information, here.observed + self.information,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Filter:
    """The state between batches: theta, the information kept, and sums of what the result reports.

    `sums` are the log-likelihood, entropy, hardness, and the weight that every component explains.
    """

    theta: np.ndarray
    information: np.ndarray
    sums: np.ndarray
    nobs: float
    batches: int

    @property
    def shares(self) -> np.ndarray:
        """The part of the weight that every component explains: (K,)."""
        counts = self.sums[3:]
        return np.asarray(counts / counts.sum())

    def update(self, batch: Mixture, nobs: float, forgetting: float = 1.0) -> Filter:
        """The state after a batch in the same coordinates.

        Raises
        ------
        InputError
            Where the batch has likelihood 0 at the parameters so far.
        """
        past, own = forgetting * self.information, with_own_prior(batch)
        slope = np.zeros_like(self.theta) if own is None else -forgetting * own.prior_alone(self.theta).score
        if not np.isfinite(batch.loglik(self.theta[None])[0]):
            raise InputError("the log-likelihood of the batch is not finite at the parameters so far; look for a row "
                             "that the model rules out")  # fmt: skip
        problem = Remembering(batch if own is None else own, self.theta, past, slope)
        found = ascend(problem, self.theta, max_iter=STEPS, tol=TOL, mu=0.0).theta
        here, away = batch.evaluate(found), found - self.theta
        together = past + here.observed
        factor = cholesky(together)
        if factor is None or factor.reciprocal_condition < LEAST_SHARP:
            together = past + here.complete
        new = np.array([here.loglik + float(away @ (slope - 0.5 * past @ away)), *seen(batch, found)])
        kept = np.append(1.0, np.full(self.sums.size - 1, forgetting))
        return Filter(found, together, self.sums * kept + new, self.nobs + nobs, self.batches + 1)


def begin(mixture: Mixture, fit: MixtureFit, nobs: float, batches: int) -> Filter | None:
    """The state after rows that were held and fitted exactly; None where they do not say enough yet."""
    best = fit.climb.best
    if not fit.result.converged or best.trouble:
        return None
    theta = within(mixture, fit.theta, best.ascent.held)
    here = mixture.evaluate(theta)
    factor = cholesky(here.observed) if np.isfinite(here.observed).all() else None
    if factor is None or factor.reciprocal_condition < LEAST_SHARP:
        return None
    own = with_own_prior(mixture)
    prior = None if own is None else own.prior_alone(theta)
    information = here.observed if prior is None else here.observed - prior.observed
    loglik = here.loglik - (0.0 if prior is None else prior.loglik)
    return Filter(theta, information, np.array([loglik, *seen(mixture, theta)]), nobs, batches)


def as_fit(state: Filter, mixture: Mixture, model: str) -> MixtureFit:
    """The state as a fit; `mixture` may be on any rows, in the same coordinates."""
    parameters, own = mixture.report(state.theta), with_own_prior(mixture)
    prior = None if own is None else own.prior_alone(state.theta)
    information = state.information if prior is None else state.information + prior.observed
    factor = cholesky(information)
    covariance = None if factor is None else parameters.jacobian @ factor.inverse() @ parameters.jacobian.T
    size = state.theta.size
    log_prior = None if prior is None else prior.loglik
    evaluation = MixtureEvaluation(float(state.sums[0]) + (log_prior or 0.0), np.zeros(size), information, information)
    ascent = Ascent(state.theta, evaluation, factor, float("nan"), state.batches, "converged")
    run = Run(ascent, ())
    note = (f"fitted to {state.batches} batches, one after the other, which differs from a fit to all rows by what is "
            "of third order in the distance that the estimate has moved")  # fmt: skip
    result = MixtureResult(
        parameters.names, parameters.values, covariance, parameters.supports,
        float(state.sums[0]), size, state.nobs,
        mixture.mixing.count, float(state.sums[1]), float(state.sums[2]), model, "observed", True, state.batches,
        float("nan"), (), (), (note,), log_prior=log_prior,
    )  # fmt: skip
    return MixtureFit(state.theta, evaluation, Climb(run, (run,)), result, ())


__all__ = ["Filter", "as_fit", "begin"]
