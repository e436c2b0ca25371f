"""The normal family: Var(y) = phi, phi = sigma^2."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import log
from ..gammas import HALF_LOG_2PI
from ._family import ExponentialDispersion, Support


class Normal(ExponentialDispersion):
    """Normal distribution with mean mu and variance phi.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.Normal().cdf(1.96, 0.0, 1.0)), 3)
    0.975
    """

    name = "normal"
    parameters = {"mu": "real"}
    support = Support()
    canonical_link = "identity"
    has_dispersion = True

    @staticmethod
    def unit_deviance(y, mu):
        return (y - mu) * (y - mu)

    @staticmethod
    def unit_variance(mu):
        return 1.0, 0.0

    @staticmethod
    def base(y, phi):
        return -HALF_LOG_2PI - 0.5 * log(phi), -0.5 / phi, 0.5 / phi / phi

    @staticmethod
    def fisher_dispersion(mu, phi):
        return 0.5 / phi / phi

    def dispersion_ml(self, deviance, total):
        return deviance / total

    def variance(self, mu, phi=1.0):
        return phi * np.ones_like(mu, dtype=float)

    def sample(self, rng, mu, phi=1.0, size=None):
        return rng.normal(mu, np.sqrt(phi), size)

    def cdf(self, y, mu, phi=1.0):
        return scipy.stats.norm.cdf(y, mu, np.sqrt(phi))

    def ppf(self, probability, mu, phi=1.0):
        return scipy.stats.norm.ppf(probability, mu, np.sqrt(phi))
