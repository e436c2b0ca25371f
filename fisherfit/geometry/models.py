"""Two families in the coordinates in which pictures are drawn: the normal by its scale, the binomial by its trials."""

from __future__ import annotations

from math import lgamma, log, log1p
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are named

from ..errors import InputError
from ..families import Family, Support
from ..gammas import HALF_LOG_2PI


class NormalScale(Family):
    """Normal distribution with mean mu and standard deviation sigma.

    Examples
    --------
    >>> from fisherfit.geometry import NormalScale
    >>> NormalScale.fisher(0.0, 2.0)
    (0.25, 0.0, 0.5)
    """

    name = "normal_scale"
    parameters = {"mu": "real", "sigma": "positive"}
    default_links = {"mu": "identity", "sigma": "log"}

    @staticmethod
    def log_density(y, mu, sigma):
        z = (y - mu) / sigma
        return -0.5 * z * z - log(sigma) - HALF_LOG_2PI

    @staticmethod
    def score(y, mu, sigma):
        z = (y - mu) / sigma
        return z / sigma, (z * z - 1.0) / sigma

    @staticmethod
    def fisher(mu, sigma):
        return 1.0 / sigma / sigma, 0.0, 2.0 / sigma / sigma

    @staticmethod
    def observed(y, mu, sigma):
        z = (y - mu) / sigma
        return 1.0 / sigma / sigma, 2.0 * z / sigma / sigma, (3.0 * z * z - 1.0) / sigma / sigma

    def variance(self, mu, sigma):
        return np.asarray(sigma) ** 2 * np.ones_like(mu, dtype=float)

    def sample(self, rng, mu, sigma, size=None):
        return rng.normal(mu, sigma, size)

    def cdf(self, y, mu, sigma):
        return scipy.stats.norm.cdf(y, mu, sigma)

    def ppf(self, probability, mu, sigma):
        return scipy.stats.norm.ppf(probability, mu, sigma)


class BinomialCount(Family):
    """Binomial distribution of the number of successes in `trials` trials, with probability mu.

    Parameters
    ----------
    trials : int
        The number of trials, at least 1.

    Examples
    --------
    >>> from fisherfit.geometry import BinomialCount
    >>> BinomialCount(4).fisher(0.5, 0.5, 4.0)
    (16.0,)
    """

    name = "binomial_count"
    parameters = {"mu": "unit"}
    fields = ("trials",)
    default_links = {"mu": "logit"}

    def __init__(self, trials: int) -> None:
        if isinstance(trials, bool) or not isinstance(trials, (int, float, np.number)) or not (
            1 <= trials < 2**53 and trials == int(trials)
        ):  # fmt: skip
            raise InputError(f"trials must be a whole number of at least 1, got {trials!r}")
        self.trials = int(trials)
        self.support = Support(0.0, float(self.trials), integer=True)

    @staticmethod
    def log_density(y, p, q, trials):
        choose = lgamma(trials + 1.0) - lgamma(y + 1.0) - lgamma(trials - y + 1.0)
        return choose + y * log(p) + (trials - y) * (log1p(-p) if p < 0.5 else log(q))

    @staticmethod
    def score(y, p, q, trials):
        return ((y * q - (trials - y) * p) / p / q,)

    @staticmethod
    def fisher(p, q, trials):
        return (trials / p / q,)

    @staticmethod
    def observed(y, p, q, trials):
        return (y / p / p + (trials - y) / q / q,)

    def mean(self, *theta: Any) -> Any:
        """trials times mu."""
        return self.trials * np.asarray(theta[0])

    def variance(self, mu):
        return self.trials * np.asarray(mu) * (1.0 - np.asarray(mu))

    def sample(self, rng, mu, size=None):
        return rng.binomial(self.trials, mu, size).astype(float)

    def cdf(self, y, mu):
        return scipy.stats.binom.cdf(y, self.trials, mu)

    def ppf(self, probability, mu):
        return scipy.stats.binom.ppf(probability, self.trials, mu)


__all__ = ["BinomialCount", "NormalScale"]
