"""A mixture some of whose coordinates are held, as a function of the others: what inference works on.

A coordinate that has run to infinity (a probability of 0 or 1 in a class, say) is a constant for what is said of the
other parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ascent import Holding
from .mixture import Mixture
from .parameters import Parameters


@dataclass(frozen=True, eq=False)
class Held(Holding):
    """A mixture as a function of the entries `free` of theta; the others are those of `theta`."""

    problem: Any

    @property
    def weight(self) -> np.ndarray:
        """The weights of the units."""
        return np.asarray(self.problem.weight)

    @property
    def lower(self) -> np.ndarray:
        """The least value of every free coordinate."""
        return np.asarray(self.problem.lower[self.free])

    def unit_scores(self, free: np.ndarray) -> np.ndarray:
        """The score of every unit in the free entries."""
        return np.ascontiguousarray(self.problem.unit_scores(self.whole(free))[:, self.free])

    def report(self, free: np.ndarray) -> Parameters:
        """All parameters, with their derivatives by the free entries."""
        found: Parameters = self.problem.report(self.whole(free))
        return found._replace(jacobian=np.ascontiguousarray(found.jacobian[:, self.free]))


def holding(mixture: Mixture, theta: np.ndarray, held: Sequence[int]) -> tuple[Held, np.ndarray]:
    """The mixture with some coordinates held where they are, and the others."""
    free = np.setdiff1d(np.arange(theta.size), np.array(held, int))
    return Held(mixture, theta, free), theta[free]


__all__ = ["Held", "holding"]
