"""Base terms as a function of the dispersion, from their values at a few points: one pass where a search takes many."""

from __future__ import annotations

import numpy as np

NODES = 4  # with two derivatives at each, the error of the interpolation is below rounding
HALF_WIDTH = 0.04  # of the interval, in log phi


class Bracket:
    """Base terms as a function of x = log phi on a short interval, from their values and derivatives at nodes."""

    def __init__(self, centre: float) -> None:
        self.centre = centre
        angle = np.pi * (np.arange(NODES) + 0.5) / NODES
        self.nodes = np.exp(centre + HALF_WIDTH * np.cos(angle)).tolist()

    @classmethod
    def around(cls, phi: float) -> Bracket:
        """The interval around a point."""
        return cls(float(np.log(phi)))

    def holds(self, phi: float) -> bool:
        """True where a point lies within."""
        return phi > 0.0 and abs(np.log(phi) - self.centre) <= HALF_WIDTH

    def learn(self, sums: np.ndarray) -> None:
        """Take the base terms and their derivatives in phi at the nodes."""
        from scipy.interpolate import KroghInterpolator

        phi = np.array(self.nodes)
        x = (np.log(phi) - self.centre) / HALF_WIDTH
        first = phi * sums[:, 1]
        second = first + phi * phi * sums[:, 2]
        unit = HALF_WIDTH
        self.value = KroghInterpolator(
            np.repeat(x, 3), np.column_stack([sums[:, 0], unit * first, unit * unit * second]).ravel()
        )
        self.slope = KroghInterpolator(np.repeat(x, 2), np.column_stack([first, unit * second]).ravel())

    def at(self, phi: float) -> tuple[float, float, float]:
        """Base terms and their derivatives in phi."""
        x = (float(np.log(phi)) - self.centre) / HALF_WIDTH
        first, second = (float(v) for v in self.slope.derivatives(x, 2))
        second /= HALF_WIDTH
        return float(self.value(x)), first / phi, (second - first) / phi / phi


__all__ = ["HALF_WIDTH", "NODES", "Bracket"]
