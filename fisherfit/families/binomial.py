"""The binomial family: y successes in m trials, as a proportion; Var(y) = p (1 - p) / m."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import aligned, poisson_divergence, scalar, where
from ..gammas import log_count_base
from ._family import ExponentialDispersion, Support


@scalar
def unit_deviance(y, p, q):
    """2 {y log(y/p) + (1 - y) log((1 - y)/q)}: the divergence of two Poisson counts, each of which is positive."""
    k, difference, total = aligned(y, p)
    j, other_difference, other_total = aligned(1.0 - y, q)
    scale = 1.0 / (total * other_total)  # one division for both
    return 2.0 * (
        poisson_divergence(y, p, k, difference * (scale * other_total))
        + poisson_divergence(1.0 - y, q, j, other_difference * (scale * total))
    )


@scalar
def base(y, phi):
    """log of C(m, my) y^(my) (1 - y)^(m - my), m = 1 / phi, from Poisson densities at their modes."""
    m = 1.0 / phi
    value = log_count_base(y * m) + log_count_base((1.0 - y) * m) - log_count_base(m)
    return where(y == 0.0, 0.0, where(y == 1.0, 0.0, value)), 0.0, 0.0


class Binomial(ExponentialDispersion):
    """Binomial distribution of a proportion y of m trials; with m = 1, the Bernoulli distribution.

    The probability reaches the formulas as p and q = 1 - p. In `base`, phi = 1 / m.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(ff.Binomial.log_density(0.5, 0.5, 0.5, 0.25), 6)     # 2 of 4
    -0.980829
    """

    name = "binomial"
    parameters = {"mu": "unit"}
    support = Support(0.0, 1.0)
    canonical_link = "logit"
    takes_trials = True

    unit_deviance = staticmethod(unit_deviance)
    base = staticmethod(base)

    @staticmethod
    def unit_variance(p, q):
        return p * q, q - p

    @staticmethod
    def score(y, p, q):
        return ((y * q - (1.0 - y) * p) * (1.0 / (p * q)),)

    @staticmethod
    def fisher(p, q):
        return (1.0 / (p * q),)

    @staticmethod
    def observed(y, p, q):
        return (y / p / p + (1.0 - y) / q / q,)

    @staticmethod
    def log_density(y, p, q, phi):
        return -0.5 * unit_deviance(y, p, q) / phi + base(y, phi)[0]

    def variance(self, mu, phi=1.0):
        return phi * mu * (1.0 - mu)

    def sample(self, rng, mu, phi=1.0, size=None):
        trials = np.rint(1.0 / np.asarray(phi)).astype(int)
        return rng.binomial(trials, mu, size) / trials

    def cdf(self, y, mu, phi=1.0):
        trials = np.rint(1.0 / np.asarray(phi))
        return scipy.stats.binom.cdf(np.floor(np.asarray(y) * trials + 1e-9), trials, mu)

    def ppf(self, probability, mu, phi=1.0):
        trials = np.rint(1.0 / np.asarray(phi))
        return scipy.stats.binom.ppf(probability, trials, mu) / trials
