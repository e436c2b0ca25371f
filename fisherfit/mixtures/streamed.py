"""The likelihood of a mixture on rows that stay where they are: a sum over batches, each a `Mixture` for a moment.

The fit begins at the maximum of a sample in memory, some standard errors from that of all rows, where Newton's steps
converge quadratically: every evaluation is one pass. With very many parameters steps of EM in the metric of the
sample's information (`approach`) come before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from .approach import approach, scaled
from .ascent import ascend
from .climbing import Climb, Run, in_order, relocated, troubles
from .edges import hold_edges
from .fitting import MixtureFit
from .large import WIDE
from .mixture import Mixture, MixtureEvaluation
from .outcome import make_result, warnings_of
from .samples import within

TOL = 1e-17  # a decrement that leaves 3e-9 standard errors


@dataclass(frozen=True, eq=False)
class StreamedMixture(Mixture):
    """A mixture whose rows come in batches; `components`, `mixing` and `weight` are those of a sample in memory.

    `walk` begins a pass: it gives a `Mixture` in the coordinates of the sample for every batch. `sum_of_weights` and
    `rows` are those of all rows.
    """

    walk: Callable[[], Iterator[Mixture]] = lambda: iter(())
    sum_of_weights: float = 0.0
    rows: int = 0

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.sum_of_weights

    @property
    def alive(self) -> int:
        """Number of rows whose weight is positive."""
        return self.rows

    @property
    def units(self) -> int:
        """Number of rows."""
        return self.rows

    def em_sums(self, theta: np.ndarray) -> np.ndarray:
        """The log-likelihoods and what a step of EM needs at S points: one pass."""
        return np.asarray(self._added(lambda part: part.em_sums(theta)))

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """The log-likelihoods at S points: one pass."""
        return np.asarray(self._added(lambda part: part.loglik(theta)))

    def evaluate(self, theta: np.ndarray) -> MixtureEvaluation:
        """Log-likelihood, score and both kinds of information at one point: one pass."""
        found: MixtureEvaluation = self._added(lambda part: part.evaluate(theta))
        return found

    def counts(self, theta: np.ndarray) -> np.ndarray:
        """The weight that every component explains at S points: (S, K)."""
        if len(theta) > 1:
            return np.concatenate([self.counts(point[None]) for point in theta])
        return self._seen(theta[0])[None, 2:]

    def entropies(self, theta: np.ndarray) -> tuple[float, float]:
        """-sum w_i sum_k z_ik log z_ik and sum w_i log max_k z_ik."""
        entropy, hardness, *_ = self._seen(theta).tolist()
        return entropy, hardness

    def posterior(self, theta: np.ndarray) -> np.ndarray:
        """Not for rows that are not in memory."""
        raise InputError("posterior probabilities of all rows at once need the rows in memory; pass them in batches")

    unit_logliks = unit_scores = posterior

    def _seen(self, theta: np.ndarray) -> np.ndarray:
        """Entropy, hardness and the components' counts, of one pass; those found last are kept."""
        kept: list[tuple[bytes, np.ndarray]] = self.__dict__.setdefault("_kept", [])
        if not kept or kept[0][0] != theta.tobytes():
            kept[:] = [(theta.tobytes(), self._added(lambda part: seen(part, theta)))]
        return kept[0][1]

    def _added(self, statistic: Callable[[Mixture], Any]) -> Any:
        total = None
        for part in self.walk():
            here = statistic(part)
            total = here if total is None else total + here
        return total


def seen(part: Mixture, theta: np.ndarray) -> np.ndarray:
    """Entropy, hardness and the weight that every component explains, for rows in memory: (2 + K,)."""
    z = part.posterior(theta)
    with np.errstate(all="ignore"):
        entropy = -float(part.weight @ np.where(z > 0.0, z * np.log(z), 0.0).sum(axis=1))
        hardness = float(part.weight @ np.log(z.max(axis=1)))
    return np.array([entropy, hardness, *(part.weight @ z)])


def fit_streamed(
    streamed: StreamedMixture, sample: Mixture, fit: MixtureFit, *, max_iter: int = 500, tol: float = 1e-20
) -> MixtureFit:
    """From the fit of a sample to that of all rows.

    Parameters
    ----------
    streamed : StreamedMixture
        All rows.
    sample : Mixture
        Some of them in memory, in the same coordinates.
    fit : MixtureFit
        That of the sample.
    max_iter, tol
        As for `ascend`; the decrement is brought below 1e-17 and not further.
    """
    best = fit.climb.best
    theta = within(streamed, fit.theta, best.ascent.held)
    if streamed.size >= WIDE:
        theta, _ = approach(
            streamed, scaled(sample.evaluate(theta), sample, streamed), theta, tol=1e-6, max_iter=max_iter
        )
    ascent = ascend(streamed, theta, max_iter=max_iter, tol=max(tol, TOL), mu=0.0)
    ordered = in_order(streamed, ascent.theta)
    if not np.array_equal(ordered, ascent.theta):
        ascent = relocated(streamed, ascent, ordered)
    run = Run(ascent, troubles(streamed, ascent), best.hits)
    found = hold_edges(streamed, Climb(run, (run,)), max_iter=max_iter, tol=max(tol, TOL))
    ascent = found.best.ascent
    result = make_result(streamed, ascent.theta, ascent.evaluation, found, fit.result.model)
    return replace(
        fit, theta=ascent.theta, evaluation=ascent.evaluation, climb=found, result=result,
        warnings=warnings_of(found.best, result), held=ascent.held,
    )  # fmt: skip


__all__ = ["StreamedMixture", "fit_streamed", "seen"]
