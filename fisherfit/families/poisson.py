"""The Poisson family: Var(y) = mu."""

from __future__ import annotations

from math import inf

import scipy  # its parts are loaded when they are named

from ..elementary import aligned, poisson_divergence
from ..gammas import log_count_base
from ._family import ExponentialDispersion, Support


class Poisson(ExponentialDispersion):
    """Poisson distribution with mean mu.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(ff.Poisson.log_density(2.0, 3.0, 1.0), 6)
    -1.495923
    """

    name = "poisson"
    parameters = {"mu": "positive"}
    support = Support(0.0, inf, integer=True)
    canonical_link = "log"

    @staticmethod
    def unit_deviance(y, mu):
        k, difference, total = aligned(y, mu)
        return 2.0 * poisson_divergence(y, mu, k, difference / total)

    @staticmethod
    def unit_variance(mu):
        return mu, 1.0

    @staticmethod
    def score(y, mu):
        return ((y - mu) * (1.0 / mu),)

    @staticmethod
    def observed(y, mu):
        return (y / mu / mu,)

    @staticmethod
    def base(y, phi):
        return log_count_base(y), 0.0, 0.0

    def variance(self, mu):
        return mu

    def sample(self, rng, mu, size=None):
        return rng.poisson(mu, size).astype(float)

    def cdf(self, y, mu):
        return scipy.stats.poisson.cdf(y, mu)

    def ppf(self, probability, mu):
        return scipy.stats.poisson.ppf(probability, mu)
