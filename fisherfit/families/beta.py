"""The beta family of proportions by mean and precision: Var(y) = mu (1 - mu) / (1 + phi).

With a = mu phi and b = (1 - mu) phi, Stirling's formula turns the log-density into -phi D + log(phi mu (1 - mu)) / 2
+ d(phi) - d(a) - d(b) less terms of y, where D is the Kullback-Leibler divergence of the proportions (mu, 1 - mu)
from (y, 1 - y): nothing cancels, however large the precision. Source: Ferrari & Cribari-Neto (2004), Journal of
Applied Statistics 31, 799-815.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import aligned, log, log1p, log_ratio, poisson_divergence, scalar, where
from ..gammas import HALF_LOG_2PI, stirling
from ._family import Family, Formulas, Support


@scalar
def divergence(y, p, q):
    """p log(p / y) + q log(q / (1 - y))."""
    k, difference, total = aligned(p, y)
    j, other_difference, other_total = aligned(q, 1.0 - y)
    return poisson_divergence(p, y, k, difference / total) + poisson_divergence(
        q, 1.0 - y, j, other_difference / other_total
    )


@scalar
def shapes(p, q, phi, least):
    """mu phi and (1 - mu) phi, for means whose powers are still floats."""
    return where(p < least, least, p) * phi, where(q < least, least, q) * phi


@scalar
def beta_objective(y, p, q, phi):
    """The log-density without the terms of y alone."""
    a, b = shapes(p, q, phi, 1e-300)
    corrections = stirling(phi)[0] - stirling(a)[0] - stirling(b)[0]
    return 0.5 * (log(phi) + log(p) + log(q)) - phi * divergence(y, p, q) + corrections


@scalar
def beta_base(y, phi):
    """The terms of y alone."""
    return -HALF_LOG_2PI - log(y) - log1p(-y), 0.0, 0.0


@scalar
def beta_fisher(p, q, phi):
    """By trigamma(x) = 1/x + 1/(2 x^2) + d''(x), whose first terms cancel."""
    a, b = shapes(p, q, phi, 1e-150)
    da, db = stirling(a)[2], stirling(b)[2]
    s, t = a * (0.5 + a * a * da), b * (0.5 + b * b * db)  # a^3 trigamma(a) - a^2
    return (
        phi * phi * ((1.0 / a + s / a / a / a) + (1.0 / b + t / b / b / b)),
        s / a / a - t / b / b,
        0.5 / phi / phi - stirling(phi)[2] + (a / phi) * (a / phi) * da + (b / phi) * (b / phi) * db,
    )


@scalar
def logit_difference(y, p, q, phi):
    """log{y / (1 - y)} less its mean, psi(a) - psi(b)."""
    a, b = shapes(p, q, phi, 1e-300)
    shift = 0.5 * (1.0 / a - 1.0 / b) - (stirling(a)[1] - stirling(b)[1])
    return log_ratio(y, p) - log_ratio(1.0 - y, q) + shift


class Beta(Family):
    """Beta distribution with mean mu and precision phi (shapes mu phi and (1 - mu) phi).

    The mean reaches the formulas as p and q = 1 - p.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.Beta().cdf(0.25, 0.5, 2.0)), 6)     # the uniform distribution
    0.25
    """

    name = "beta"
    parameters = {"mu": "unit", "phi": "positive"}
    support = Support(0.0, 1.0, lower_open=True, upper_open=True)
    default_links = {"mu": "logit", "phi": "log"}

    def formulas(self) -> Formulas:
        return Formulas(beta_objective, self.score, self.fisher, self.observed, beta_base)

    @staticmethod
    def log_density(y, p, q, phi):
        return beta_objective(y, p, q, phi) + beta_base(y, phi)[0]

    @staticmethod
    def score(y, p, q, phi):
        a, b = shapes(p, q, phi, 1e-300)
        slopes = stirling(phi)[1] - p * stirling(a)[1] - q * stirling(b)[1]
        return phi * logit_difference(y, p, q, phi), 0.5 / phi + slopes - divergence(y, p, q)

    @staticmethod
    def fisher(p, q, phi):
        return beta_fisher(p, q, phi)

    @staticmethod
    def observed(y, p, q, phi):
        mean, cross, precision = beta_fisher(p, q, phi)
        return mean, cross - logit_difference(y, p, q, phi), precision

    def variance(self, mu, phi):
        return mu * (1.0 - mu) / (1.0 + phi)

    def start(self, y, weight):
        """The weighted mean, and the precision that has the weighted variance."""
        mean = float(np.average(y, weights=weight))
        variance = float(np.average((y - mean) ** 2, weights=weight))
        return mean, max(mean * (1.0 - mean) / variance - 1.0, 0.1) if variance > 0.0 else 1e6

    def sample(self, rng, mu, phi, size=None):
        y = rng.beta(np.asarray(mu) * phi, (1.0 - np.asarray(mu)) * phi, size)
        return np.clip(y, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))  # the ends are no responses

    def cdf(self, y, mu, phi):
        return scipy.special.betainc(np.asarray(mu) * phi, (1.0 - np.asarray(mu)) * phi, y)

    def ppf(self, probability, mu, phi):
        return scipy.special.betaincinv(np.asarray(mu) * phi, (1.0 - np.asarray(mu)) * phi, probability)
