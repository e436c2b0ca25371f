"""The gamma family: Var(y) = phi mu^2, shape 1 / phi."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import gamma_divergence, log
from ..gammas import HALF_LOG_2PI, stirling
from ._family import ExponentialDispersion, Support


class Gamma(ExponentialDispersion):
    """Gamma distribution with mean mu and dispersion phi (shape 1 / phi, scale phi mu).

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.Gamma().cdf(1.0, 1.0, 1.0)), 6)
    0.632121
    """

    name = "gamma"
    parameters = {"mu": "positive"}
    support = Support(0.0, lower_open=True)
    canonical_link = "inverse"
    default_links = {"mu": "log"}
    has_dispersion = True

    @staticmethod
    def unit_deviance(y, mu):
        return 2.0 * gamma_divergence(y, mu)

    @staticmethod
    def unit_variance(mu):
        return mu * mu, 2.0 * mu

    @staticmethod
    def score(y, mu):
        return (((y - mu) / mu) / mu,)

    @staticmethod
    def fisher(mu):
        return (1.0 / mu / mu,)

    @staticmethod
    def observed(y, mu):
        return ((1.0 + 2.0 * ((y - mu) / mu)) / mu / mu,)

    @staticmethod
    def base(y, phi):
        a = 1.0 / phi  # a log a - a - log Gamma(a) - log y
        d, d1, d2 = stirling(a)
        first = 0.5 / a - d1
        return (
            0.5 * log(a) - HALF_LOG_2PI - d - log(y),
            -a * a * first,
            2.0 * a * a * a * first + a * a * a * a * (-0.5 / a / a - d2),
        )

    @staticmethod
    def fisher_dispersion(mu, phi):
        a = 1.0 / phi  # trigamma(a) - 1/a
        return a * a * a * a * (0.5 / a / a + stirling(a)[2])

    def variance(self, mu, phi=1.0):
        return phi * mu * mu

    def sample(self, rng, mu, phi=1.0, size=None):
        return rng.gamma(1.0 / phi, phi * np.asarray(mu), size)

    def cdf(self, y, mu, phi=1.0):
        return scipy.stats.gamma.cdf(y, 1.0 / phi, scale=phi * np.asarray(mu))

    def ppf(self, probability, mu, phi=1.0):
        return scipy.stats.gamma.ppf(probability, 1.0 / phi, scale=phi * np.asarray(mu))
