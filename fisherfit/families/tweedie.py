"""The Tweedie family with power 1 < p < 2 (compound Poisson-gamma): Var(y) = phi mu^p, with an atom at 0.

The density of a positive y is a series over the number of gamma jumps, summed in a window around its largest term.
Source: Dunn & Smyth (2005), Statistics and Computing 15, 267-280.
"""

from __future__ import annotations

import math

import numpy as np
import scipy  # its parts are loaded when they are named
from scipy import special as sp

from ..elementary import (
    TINY,
    aligned,
    atanh_rest,
    exp,
    exp_rest,
    expm1,
    log,
    log_aligned,
    poisson_divergence,
    scalar,
    where,
)
from ..errors import InputError
from ..gammas import HALF_LOG_2PI, stirling_value
from ..special import power
from ._family import ExponentialDispersion, Support


@scalar
def unit_deviance(y, mu, p):
    """2 mu^(2-p) times a convex function of (y - mu) / mu.

    With L = log(y / mu), t = (y - mu) / mu and E(c) = (e^(c L) - 1) / c, it is {(1 + t) E(1 - p) - t} / (2 - p) or, for
    p >= 1.5, {t - E(2 - p)} / (p - 1). Where L is near 0, E(c) - L is computed as such, and the rest is the function
    of the Poisson or of the gamma family.
    """
    a, b = 1.0 - p, 2.0 - p
    lower = p < 1.5
    k, difference, total = aligned(y, mu)
    v = difference / total
    g, d, near = atanh_rest(v * v), y - mu, k == 0.0
    logarithm = log_aligned(k, v, g)
    t, c = d / mu, where(lower, a, b)
    x = c * logarithm
    more = c * logarithm * logarithm * exp_rest(where(near, x, 0.0))
    e = expm1(x) / c
    scale = power(mu, a)
    poisson = scale * (where(near, (d * v + y * (v * g)) + y * more, y * e - d) / b)
    gamma = mu * scale * (where(near, (t * v - v * g) - more, t - e) / -a)
    return 2.0 * where(y == 0.0, mu * scale / b, where(lower, poisson, gamma))


@scalar
def jump_term(j, k, lam):
    """log of the joint density of j jumps and their sum y, without the factors that are free of j.

    j is Poisson with mean lam, a jump gamma with shape k; both log-gammas by Stirling's formula, so that terms
    near the mode are computed as small differences.
    """
    exponent, difference, total = aligned(j, lam)
    return (
        -(1.0 + k) * poisson_divergence(j, lam, exponent, difference / total)
        - stirling_value(j)
        - stirling_value(k * j)
    )


@scalar
def base(y, phi, p):
    """log-density at mu = y with its first two derivatives in phi; y = 0 has log-density 0 there."""
    if y == 0.0:
        return 0.0, 0.0, 0.0
    k = (2.0 - p) / (p - 1.0)  # shape of one jump
    lam = max(power(y, 2.0 - p) / (phi * (2.0 - p)), TINY)  # Poisson mean of the number of jumps at mu = y
    if lam > 1e14:  # the saddlepoint approximation; its relative error is of order 1 / lam
        return -HALF_LOG_2PI - 0.5 * (log(phi) + p * log(y)), -0.5 / phi, 0.5 / phi / phi
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
        if not w >= 1e-20 * total or j < 1.0:
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
    # the variance is close to lam / (1 + k): the more jumps, the more digits cancel
    d2 = 0.5 if lam > 1e8 else e + (1.0 + k) * (1.0 + k) * variance - (1.0 + k) * lam
    return value, d1, d2 / phi / phi


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
        y, rate, shape, scale = np.broadcast_arrays(np.asarray(y, float), *self._jumps(mu, phi))
        out = total = np.exp(-rate)
        # Gaussian in j times a Gaussian distribution function in j: a spacing of a quarter of the width is exact
        width = np.sqrt(rate / (1.0 + shape))
        stride = np.maximum(1.0, np.floor(0.25 * width))
        mode, log_rate, x = np.floor(rate) + 1.0, np.log(rate), np.maximum(y, 0.0) / scale
        with np.errstate(all="ignore"):
            reach = int(np.max(np.ceil((9.0 * np.sqrt(rate) + 30.0) / stride), initial=0.0, where=np.isfinite(rate)))
            for step in range(-reach, reach + 1):
                j = mode + step * stride
                weight = np.where(j >= 1.0, np.exp(j * log_rate - rate - sp.gammaln(j + 1.0)) * stride, 0.0)
                total = total + weight
                out = out + np.where(weight > 0.0, weight * sp.gammainc(j * shape, x), 0.0)
            out = out / total  # the logarithms of large rates are rounded
        return np.where(y < 0.0, 0.0, np.minimum(out, 1.0))[()]

    def ppf(self, probability, mu, phi=1.0):
        return np.vectorize(self._quantile, otypes=[float])(probability, *self._jumps(mu, phi))[()]

    @staticmethod
    def _probability(y, rate, shape, scale):
        """P(Y <= y), summed over the number of jumps."""
        if y < 0.0:
            return 0.0
        reach = 12.0 * math.sqrt(rate) + 40.0
        j = np.arange(max(1.0, math.floor(rate - reach)), math.ceil(rate + reach))
        return min(math.exp(-rate) + float(scipy.stats.poisson.pmf(j, rate) @ sp.gammainc(j * shape, y / scale)), 1.0)

    @classmethod
    def _quantile(cls, probability, rate, shape, scale):
        """The least y with P(Y <= y) >= probability, searched on log y."""
        if not 0.0 <= probability <= 1.0:
            return math.nan
        if probability <= math.exp(-rate):
            return 0.0
        if probability == 1.0:
            return math.inf

        def gap(z):
            return cls._probability(math.exp(z), rate, shape, scale) - probability

        low = high = math.log(rate * shape * scale)
        while gap(high) < 0.0:
            high += 1.0
        while gap(low) > 0.0:
            low -= 4.0
        return math.exp(scipy.optimize.brentq(gap, low, high, xtol=1e-14)) if low < high else math.exp(low)
