"""The von Mises family of angles: mean direction mu, concentration kappa; the density repeats after 2 pi."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are named

from ..bessel import bessel_ratio, log_bessel_i0
from ..elementary import scalar
from ..gammas import HALF_LOG_2PI
from ._family import Family, Formulas


@scalar
def von_mises_objective(y, mu, kappa):
    """kappa {cos(y - mu) - 1} - log{I0(kappa) e^-kappa}."""
    half = sin(0.5 * (y - mu))
    return -2.0 * kappa * half * half - log_bessel_i0(kappa)


@scalar
def von_mises_base(y, phi):
    return -2.0 * HALF_LOG_2PI, 0.0, 0.0


class VonMises(Family):
    """Von Mises distribution of an angle in radians, with mean direction mu and concentration kappa.

    Angles may be given on any turn: y, y + 2 pi and y - 2 pi are the same response, and mu + 2 pi is the same
    direction. `mean` is mu; `variance` is the mean square of the angle from mu, between -pi and pi. `sample` and
    `ppf` give angles within pi of mu, and `cdf` starts at mu - pi.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.VonMises().cdf(0.5, 0.5, 3.0)), 6)
    0.5
    """

    name = "von_mises"
    parameters = {"mu": "real", "kappa": "positive"}
    default_links = {"mu": "identity", "kappa": "log"}
    period = 2.0 * pi

    def formulas(self) -> Formulas:
        return Formulas(von_mises_objective, self.score, self.fisher, self.observed, von_mises_base)

    @staticmethod
    def log_density(y, mu, kappa):
        return von_mises_objective(y, mu, kappa) - 2.0 * HALF_LOG_2PI

    @staticmethod
    def score(y, mu, kappa):
        half = sin(0.5 * (y - mu))
        return kappa * sin(y - mu), bessel_ratio(kappa)[1] - 2.0 * half * half

    @staticmethod
    def fisher(mu, kappa):
        ratio, _, slope = bessel_ratio(kappa)
        return kappa * ratio, 0.0, slope

    @staticmethod
    def observed(y, mu, kappa):
        return kappa * cos(y - mu), -sin(y - mu), bessel_ratio(kappa)[2]

    def variance(self, mu, kappa):
        kappa = np.asarray(kappa, float)
        return 2.0 * _above(np.zeros_like(kappa), kappa, lambda x: x * x) * np.ones_like(mu, dtype=float)

    def start(self, y, weight):
        """The direction of the weighted mean of the unit vectors, and the kappa that its length suggests."""
        total = weight.sum()
        c, s = float((np.cos(y) * weight).sum() / total), float((np.sin(y) * weight).sum() / total)
        length = min(np.hypot(c, s), 1.0 - 1e-12)
        kappa = length * (2.0 - length * length) / (1.0 - length * length)  # Banerjee, Dhillon, Ghosh & Sra (2005)
        return float(np.arctan2(s, c)), max(float(kappa), 1e-3)

    def sample(self, rng, mu, kappa, size=None):
        size = np.broadcast_shapes(np.shape(mu), np.shape(kappa)) if size is None else size
        turn = rng.vonmises(0.0, kappa, size)
        return np.asarray(mu) + turn

    def cdf(self, y, mu, kappa):
        turn = np.asarray(y, float) - mu
        far = np.abs(turn) > pi + 1e-14 * (1.0 + np.abs(mu))  # by more than rounding
        turn = np.where(far, np.mod(turn + pi, 2.0 * pi) - pi, np.clip(turn, -pi, pi))
        tail = _above(np.abs(turn), np.asarray(kappa, float))
        return np.where(turn < 0.0, tail, 1.0 - tail)

    def ppf(self, probability, mu, kappa):
        probability, kappa = np.broadcast_arrays(np.asarray(probability, float), np.asarray(kappa, float))
        tail = np.minimum(probability, 1.0 - probability)
        low, high = np.zeros_like(tail), np.full_like(tail, pi)
        for _ in range(60):
            middle = 0.5 * (low + high)
            beyond = _above(middle, kappa) < tail
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        return mu + np.where(probability < 0.5, -high, high)


def _above(x: np.ndarray, kappa: np.ndarray, value: Callable[..., Any] = np.ones_like) -> np.ndarray:
    """The mean of a function of the angle from mu, over angles from x >= 0 to pi; where it is 1, a tail probability."""
    reach = np.minimum(pi - x, 13.0 / np.sqrt(kappa))  # farther, the density is below e^-80 of its peak
    nodes, weights = np.polynomial.legendre.leggauss(80)
    angle = x[..., None] + 0.5 * reach[..., None] * (1.0 + nodes)
    density = np.exp(-2.0 * kappa[..., None] * np.sin(0.5 * angle) ** 2)
    total = 0.5 * reach * (weights * density * value(angle)).sum(-1)
    return np.asarray(total / (2.0 * pi * scipy.special.i0e(kappa)))
