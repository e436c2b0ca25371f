"""A mixture some of whose coordinates are held, as a function of the others: what inference works on.

A coordinate that has run to infinity (a probability of 0 or 1 in a class, say) is a constant for what is said of the
other parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .mixture import Mixture, MixtureEvaluation
from .parameters import Parameters


@dataclass(frozen=True, eq=False)
class Held:
    """A mixture as a function of the entries `free` of theta; the others are those of `theta`."""

    mixture: Mixture
    theta: np.ndarray
    free: np.ndarray

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.mixture.total

    @property
    def weight(self) -> np.ndarray:
        """The weights of the units."""
        return self.mixture.weight

    @property
    def lower(self) -> np.ndarray:
        """The least value of every free coordinate."""
        return self.mixture.lower[self.free]

    def whole(self, free: np.ndarray) -> np.ndarray:
        """theta from its free entries, along the last axis."""
        out = np.broadcast_to(self.theta, (*free.shape[:-1], self.theta.size)).copy()
        out[..., self.free] = free
        return out

    def loglik(self, free: np.ndarray) -> np.ndarray:
        """The log-likelihoods at S points."""
        return self.mixture.loglik(self.whole(free))

    def evaluate(self, free: np.ndarray) -> MixtureEvaluation:
        """Log-likelihood, score and information of the free entries."""
        found, at = self.mixture.evaluate(self.whole(free)), self.free
        square = np.ix_(at, at)
        return MixtureEvaluation(found.loglik, found.score[at], found.complete[square], found.observed[square])

    def unit_scores(self, free: np.ndarray) -> np.ndarray:
        """The score of every unit in the free entries."""
        return np.ascontiguousarray(self.mixture.unit_scores(self.whole(free))[:, self.free])

    def report(self, free: np.ndarray) -> Parameters:
        """All parameters, with their derivatives by the free entries."""
        found = self.mixture.report(self.whole(free))
        return found._replace(jacobian=np.ascontiguousarray(found.jacobian[:, self.free]))


def holding(mixture: Mixture, theta: np.ndarray, held: Sequence[int]) -> tuple[Held, np.ndarray]:
    """The mixture with some coordinates held where they are, and the others."""
    free = np.setdiff1d(np.arange(theta.size), np.array(held, int))
    return Held(mixture, theta, free), theta[free]


__all__ = ["Held", "holding"]
