"""The Tweedie family with power 1 < p < 2 (compound Poisson-gamma): Var(y) = phi mu^p, with an atom at 0.

The density of a positive y is a series over the number of gamma jumps, summed in a window around its largest term.
Source: Dunn & Smyth (2005), Statistics and Computing 15, 267-280.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from ..errors import InputError
from ..special import HALF_LOG_2PI, excess, exp, log, log_ratio, power, power_excess, scalar, stirling
from ._family import ExponentialDispersion, Support


@scalar
def unit_deviance(y, mu, p):
    """2 mu^(2-p) times a convex function of (y - mu) / mu."""
    a, b = 1.0 - p, 2.0 - p
    if y == 0.0:
        return 2.0 * power(mu, b) / b
    t, x = (y - mu) / mu, log_ratio(y, mu)
    if abs(t) < 0.5:
        return 2.0 * power(mu, b) * (t * t * excess(t, p))
    if p < 1.5:
        return 2.0 * power(mu, a) * ((y * power_excess(x, a) - (y - mu)) / b)
    return 2.0 * power(mu, a) * ((mu * power_excess(x, b) - (y - mu)) / a)


@scalar
def jump_term(j, k, lam):
    """log of the joint density of j jumps and their sum y, without the factors that are free of j.

    j is Poisson with mean lam, a jump gamma with shape k; both log-gammas by Stirling's formula, so that terms
    near the mode are computed as small differences.
    """
    t = (j - lam) / lam
    return -(1.0 + k) * lam * (t * t * excess(t, 1.0)) - stirling(j)[0] - stirling(k * j)[0]


@scalar
def base(y, phi, p):
    """log-density at mu = y with its first two derivatives in phi; y = 0 has log-density 0 there."""
    if y == 0.0:
        return 0.0, 0.0, 0.0
    k = (2.0 - p) / (p - 1.0)  # shape of one jump
    lam = power(y, 2.0 - p) / (phi * (2.0 - p))  # Poisson mean of the number of jumps at mu = y
    # the terms are close to normal in j: with a spacing of sd/4 the trapezoid sum is exact to rounding
    sd = math.sqrt(lam / (1.0 + k)) + 1.0
    stride = max(1.0, math.floor(sd / 4.0))
    mode = max(1.0, math.floor(lam + 0.5))
    total = first = second = 0.0
    j, direction = mode, 1.0
    top = jump_term(mode, k, lam)
    while True:
        w = exp(jump_term(j, k, lam) - top)
        total += w
        first += w * (j - mode)
        second += w * (j - mode) * (j - mode)
        j += direction * stride
        if w < 1e-20 * total or j < 1.0:
            if direction < 0.0:
                break
            direction = -1.0
            j = mode - stride
            if j < 1.0:
                break
    mean = first / total
    variance = second / total - mean * mean
    # the exponent of term j has the derivative (1 + k) (lam - j) / phi, since lam is proportional to 1 / phi
    value = top + log(total * stride) + 0.5 * log(k) - 2.0 * HALF_LOG_2PI - log(y)
    e = (1.0 + k) * (mode - lam + mean)
    d1 = -e / phi
    d2 = (e + (1.0 + k) * (1.0 + k) * variance - (1.0 + k) * lam) / phi / phi
    return value, d1, d2


class Tweedie(ExponentialDispersion):
    """Tweedie distribution with mean mu, dispersion phi and variance phi mu^power, 1 < power < 2.

    Parameters
    ----------
    power : float
        The exponent of the variance function, strictly between 1 and 2. (Use the Poisson family for 1, gamma for
        2, inverse Gaussian for 3.)

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.Tweedie(power=1.5).cdf(0.0, 1.0, 1.0)), 6)    # the atom exp(-2)
    0.135335
    """

    name = "tweedie"
    parameters = {"mu": "positive"}
    support = Support(0.0)
    default_links = {"mu": "log"}
    has_dispersion = True
    fields = ("power",)
    unit_deviance = staticmethod(unit_deviance)
    base = staticmethod(base)

    def __init__(self, power: float = 1.5) -> None:
        if not (isinstance(power, (int, float, np.floating, np.integer)) and 1.0 < power < 2.0):
            raise InputError(
                f"Tweedie: power must lie strictly between 1 and 2, got {power!r}; "
                "use 'normal' for 0, 'poisson' for 1, 'gamma' for 2 and 'inverse_gaussian' for 3"
            )
        self.power = float(power)

    @staticmethod
    def unit_variance(mu, p):
        v = power(mu, p)
        return v, p * v / mu

    @staticmethod
    def score(y, mu, p):
        return ((y - mu) / mu * power(mu, 1.0 - p),)

    @staticmethod
    def fisher(mu, p):
        return (power(mu, 1.0 - p) / mu,)

    @staticmethod
    def observed(y, mu, p):
        return ((1.0 + p * ((y - mu) / mu)) * power(mu, 1.0 - p) / mu,)

    def variance(self, mu, phi=1.0):
        return phi * np.asarray(mu) ** self.power

    def _jumps(self, mu, phi):
        """Poisson mean of the number of jumps, and shape and scale of one jump."""
        p, mu = self.power, np.asarray(mu, float)
        return mu ** (2 - p) / (phi * (2 - p)), (2 - p) / (p - 1), phi * (p - 1) * mu ** (p - 1)

    def sample(self, rng, mu, phi=1.0, size=None):
        rate, shape, scale = self._jumps(mu, phi)
        jumps = rng.poisson(rate, size)
        return np.where(jumps > 0, rng.gamma(np.maximum(jumps, 1) * shape, 1.0) * scale, 0.0)

    def cdf(self, y, mu, phi=1.0):
        y = np.asarray(y, float)
        rate, shape, scale = self._jumps(mu, phi)
        y, rate, scale = np.broadcast_arrays(y, rate, scale)
        top = float(np.max(rate, initial=0.0))
        total = np.where(y >= 0, np.exp(-rate), 0.0)
        for j in range(1, int(top + 12 * np.sqrt(top) + 40)):
            total = total + stats.poisson.pmf(j, rate) * stats.gamma.cdf(y, j * shape, scale=scale)
        return np.where(y < 0, 0.0, np.minimum(total, 1.0))

    def ppf(self, probability, mu, phi=1.0):
        probability, mu, phi = np.broadcast_arrays(np.asarray(probability, float), mu, phi)
        out = np.empty(probability.shape)
        for index in np.ndindex(probability.shape):
            q, m, f = float(probability[index]), float(mu[index]), float(phi[index])
            if not 0.0 <= q <= 1.0:
                out[index] = np.nan
            elif q <= float(self.cdf(0.0, m, f)):
                out[index] = 0.0
            elif q == 1.0:
                out[index] = np.inf
            else:
                upper = m + 10.0 * np.sqrt(f * m**self.power)
                while float(self.cdf(upper, m, f)) < q:
                    upper *= 2.0
                out[index] = optimize.brentq(lambda v, m=m, f=f, q=q: float(self.cdf(v, m, f)) - q, 0.0, upper, xtol=1e-12 * m)
        return out[()]
