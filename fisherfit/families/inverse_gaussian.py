"""The inverse Gaussian family: Var(y) = phi mu^3."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import log
from ..gammas import HALF_LOG_2PI
from ._family import ExponentialDispersion, Support


class InverseGaussian(ExponentialDispersion):
    """Inverse Gaussian (Wald) distribution with mean mu and dispersion phi (shape lambda = 1 / phi).

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.InverseGaussian().cdf(1.0, 1.0, 1.0)), 6)
    0.668102
    """

    name = "inverse_gaussian"
    parameters = {"mu": "positive"}
    support = Support(0.0, lower_open=True)
    canonical_link = "inverse_squared"
    default_links = {"mu": "log"}
    has_dispersion = True

    @staticmethod
    def unit_deviance(y, mu):
        t = (y - mu) / mu
        return t * t / y

    @staticmethod
    def unit_variance(mu):
        return mu * mu * mu, 3.0 * mu * mu

    @staticmethod
    def score(y, mu):
        return ((y - mu) / mu / mu / mu,)

    @staticmethod
    def fisher(mu):
        return (1.0 / mu / mu / mu,)

    @staticmethod
    def observed(y, mu):
        return ((1.0 + 3.0 * ((y - mu) / mu)) / mu / mu / mu,)

    @staticmethod
    def base(y, phi):
        return -HALF_LOG_2PI - 0.5 * log(phi) - 1.5 * log(y), -0.5 / phi, 0.5 / phi / phi

    @staticmethod
    def fisher_dispersion(mu, phi):
        return 0.5 / phi / phi

    def dispersion_ml(self, deviance, total):
        return deviance / total

    def variance(self, mu, phi=1.0):
        return phi * mu**3

    def sample(self, rng, mu, phi=1.0, size=None):
        return rng.wald(mu, 1.0 / np.asarray(phi), size)

    def cdf(self, y, mu, phi=1.0):
        return scipy.stats.invgauss.cdf(y, np.asarray(mu) * phi, scale=1.0 / np.asarray(phi))

    def ppf(self, probability, mu, phi=1.0):
        return scipy.stats.invgauss.ppf(probability, np.asarray(mu) * phi, scale=1.0 / np.asarray(phi))
