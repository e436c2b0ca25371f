"""The negative binomial family (NB2): Var(y) = mu + alpha mu^2; R's theta is 1 / alpha.

The log-density is minus half the unit deviance plus the log-density at mu = y, which by Stirling's formula is the
Poisson one plus S = -log(1 + alpha y)/2 + e(alpha / (1 + alpha y)) - e(alpha). Nothing cancels, however large the
counts, and every formula holds at alpha = 0, where it is the Poisson one. Sources: Lawless (1987); Abramowitz &
Stegun (1964), 6.1.40.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy  # its parts are loaded when they are named
from scipy import special as sp

from ..elementary import HUGE, atanh_series, atanh_series_slope, exp, expm1, log, log1p, log_ratio, scalar, where
from ..errors import InputError
from ..gammas import log_count_base, stirling_of_reciprocal
from ._family import Family, Formulas, Support

# In these formulas v = (1 + alpha y) / (1 + alpha mu) - 1, and delta = v / alpha.


@scalar
def shape(v, one_plus_v, logarithm):
    """(h, h', log(1 + v) / v), h(v) = {v - log(1 + v)} / v^2, given 1 + v and its logarithm, which near 0 are not used.

    There log(1 + v) = 2 atanh(z) = 2 z + z^3 R(z^2), z = r v = v / (2 + v), and so h = r (1 - z r R): nothing cancels.
    """
    near = abs(v) < 0.29
    small, large = where(near, v, 0.0), where(near, 1.0, v)
    r = 1.0 / (2.0 + small)
    z = r * small
    w = z * z
    rest = atanh_series(w)
    h = r * (1.0 - z * (r * rest))
    h1 = -r * r * (1.0 + r * ((1.0 - 3.0 * z) * rest + 4.0 * w * r * atanh_series_slope(w)))
    ratio = logarithm / large
    far = (1.0 - ratio) / large
    far1 = (1.0 / where(near, 1.0, one_plus_v) - 2.0 * far) / large
    return where(near, h, far), where(near, h1, far1), where(near, r * (2.0 + w * rest), ratio)


@scalar
def shares(y, mu, alpha):
    """1 / (1 + alpha mu), delta and 1 + v."""
    product = alpha * mu
    s = 1.0 / (1.0 + where(product > HUGE, HUGE, product))
    return s, (y - mu) * s, (1.0 + alpha * y) * s


@scalar
def nb_half_deviance(y, mu, alpha):
    """Minus half the unit deviance at this alpha: log(1 + v) / alpha - y log(1 + w), 1 + w = (1 + v)^-1 y / mu.

    Where w is near 0 the terms of first order are subtracted from both logarithms; what is left of them is delta w.
    """
    s, delta, one_plus_v = shares(y, mu, alpha)
    b = (mu * s) * (1.0 + alpha * y)
    w = delta / b
    logarithm = log_ratio(y, b)
    h, _, ratio = shape(alpha * delta, one_plus_v, log(one_plus_v))
    near = delta * w - y * w * w * shape(w, 1.0, logarithm)[0] + alpha * delta * delta * h
    tail = delta * ratio
    return where(y == 0.0, tail, where(abs(w) < 0.29, -near, tail - y * logarithm))


@scalar
def saturated(y, alpha):
    """S = log density at mu = y less its value at alpha = 0, with its first two derivatives in alpha."""
    s = 1.0 / (1.0 + alpha * y)
    e, e1, e2 = stirling_of_reciprocal(alpha * s)
    f, f1, f2 = stirling_of_reciprocal(alpha)
    s2 = s * s
    value = -0.5 * log1p(alpha * y) + (e - f)
    first = -0.5 * y * s + e1 * s2 - f1
    second = 0.5 * y * s * y * s + e2 * s2 * s2 - 2.0 * y * s * s2 * e1 - f2
    return where(y == 0.0, 0.0, value), where(y == 0.0, 0.0, first), where(y == 0.0, 0.0, second)


@scalar
def nb_objective(y, mu, alpha):
    """The log-density without the term of y alone."""
    return nb_half_deviance(y, mu, alpha) + saturated(y, alpha)[0]


@scalar
def nb_score(y, mu, alpha):
    s, delta, one_plus_v = shares(y, mu, alpha)
    h, _, _ = shape(alpha * delta, one_plus_v, log(one_plus_v))
    return (y - mu) / mu * s, delta * delta * h + saturated(y, alpha)[1]


@scalar
def nb_observed(y, mu, alpha):
    s, delta, one_plus_v = shares(y, mu, alpha)
    h, h1, _ = shape(alpha * delta, one_plus_v, log(one_plus_v))
    return (
        nb_fixed_observed(y, mu, alpha)[0],
        delta * s,
        delta * delta * s * (2.0 * mu * h - delta * h1) - saturated(y, alpha)[2],
    )


@scalar
def nb_scoring(mu, alpha):
    """Information for the steps: exact for the mean, within a factor of 2.4 for alpha (its exact value is a sum)."""
    t = mu / (1.0 + alpha * mu)
    return (1.0 / mu / (1.0 + alpha * mu), 0.0, 0.5 * t * t / (1.0 + alpha / (1.0 + log1p(alpha * mu))))


@scalar
def nb_fisher_mean(mu, alpha):
    return (1.0 / mu / (1.0 + alpha * mu),)


@scalar
def nb_fixed_score(y, mu, alpha):
    return ((y - mu) / mu / (1.0 + alpha * mu),)


@scalar
def nb_fixed_observed(y, mu, alpha):
    s = 1.0 / (1.0 + alpha * mu)
    return (s * (y / mu * (2.0 - s) / mu - alpha * s),)


@scalar
def count_base(y, phi, *constants):
    """The Poisson log-density at mu = y: the term free of both parameters."""
    return log_count_base(y), 0.0, 0.0


@scalar
def nb_fixed_base(y, phi, alpha):
    """log of the density at mu = y."""
    return log_count_base(y) + saturated(y, alpha)[0], 0.0, 0.0


class NegativeBinomial(Family):
    """Negative binomial distribution with mean mu and variance mu + alpha mu^2.

    Parameters
    ----------
    alpha : float, optional
        A fixed dispersion (at least 0); by default it is estimated jointly with the mean.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.NegativeBinomial().parameters
    {'mu': 'positive', 'alpha': 'nonnegative'}
    >>> ff.NegativeBinomial(alpha=0.5)
    NegativeBinomial(alpha=0.5)
    """

    name = "negative_binomial"
    parameters = {"mu": "positive", "alpha": "nonnegative"}
    support = Support(0.0, integer=True)
    default_links = {"mu": "log", "alpha": "identity"}

    score = staticmethod(nb_score)
    observed = staticmethod(nb_observed)

    @staticmethod
    def log_density(y, mu, alpha):
        return nb_objective(y, mu, alpha) + log_count_base(y)

    def __init__(self, alpha: float | None = None) -> None:
        if alpha is not None and not (np.isfinite(alpha) and alpha >= 0.0):
            raise InputError(f"NegativeBinomial: alpha must be a finite number of at least 0, got {alpha!r}")
        self.alpha = None if alpha is None else float(alpha)
        if self.alpha is not None:
            self.parameters = {"mu": "positive"}
            self.fields = ("alpha",)

    def formulas(self) -> Formulas:
        if self.alpha is None:
            return Formulas(nb_objective, nb_score, nb_scoring, nb_observed, count_base)
        return Formulas(nb_half_deviance, nb_fixed_score, nb_fisher_mean, nb_fixed_observed, nb_fixed_base)

    def variance(self, mu, alpha=None):
        alpha = self.alpha if alpha is None else alpha
        return mu * (1.0 + alpha * mu)

    def start(self, y, weight):
        mean = float(np.average(y, weights=weight))
        excess_variance = float(np.average((y - mean) ** 2, weights=weight)) - mean
        alpha = max(excess_variance / mean**2, 0.01) if mean > 0 else 0.5
        return (mean,) if self.alpha is not None else (mean, alpha)

    def sample(self, rng, mu, alpha=None, size=None):
        alpha, some = self._dispersion(alpha)
        rate = rng.gamma(1.0 / some, some * np.asarray(mu), size)
        return np.asarray(rng.poisson(np.where(alpha > 0.0, rate, mu)), float)

    def cdf(self, y, mu, alpha=None):
        alpha, some = self._dispersion(alpha)
        y = np.floor(np.asarray(y, float))
        below = sp.betainc(1.0 / some, np.maximum(y, 0.0) + 1.0, 1.0 / (1.0 + some * np.asarray(mu)))
        return np.where(y < 0.0, 0.0, np.where(alpha > 0.0, below, scipy.stats.poisson.cdf(y, mu)))

    def ppf(self, probability, mu, alpha=None):
        alpha, some = self._dispersion(alpha)
        y = scipy.stats.nbinom.ppf(probability, 1.0 / some, 1.0 / (1.0 + some * np.asarray(mu)))
        return np.where(alpha > 0.0, y, scipy.stats.poisson.ppf(probability, mu))

    def _dispersion(self, alpha):
        """alpha, and a positive value in its place where it is 0."""
        alpha = np.asarray(self.alpha if alpha is None else alpha, float)
        return alpha, np.where(alpha > 0.0, alpha, 1.0)

    def __repr__(self) -> str:
        return "NegativeBinomial()" if self.alpha is None else f"NegativeBinomial(alpha={self.alpha:g})"

    def expected_alpha(self, mu: np.ndarray, alpha: float) -> np.ndarray:
        """The expected information of alpha for every mean, E[-d2 log f / d alpha2]; mu^2 / 2 at alpha = 0."""
        return np.asarray(_compiled_expected_alpha()(np.ascontiguousarray(mu, float), float(alpha)))


@scalar
def expected_alpha_row(mu, alpha):
    """The expected information of alpha, by a series of positive terms or, where that is slow, by an integral.

    k^4 sum_{j >= 2} q^j (j - 1)! / {j k (k + 1) ... (k + j - 1)}, k = 1 / alpha, q = alpha mu / (1 + alpha mu)
    (Fisher, 1941). With (j - 1)! / {k ... (k + j - 1)} = B(j, k) the series sums under the integral sign to
    k^4 int (1 + e^u)^-k {-log(1 - q x) - q x} du, x = e^u / (1 + e^u), over the real line: the trapezoid rule with
    step 1/4 is exact to rounding. At the upper end the braces are constant, and the rest is a geometric series.
    """
    s = 1.0 / (1.0 + alpha * mu)  # 1 - q
    q = alpha * mu * s
    total = term = 0.5 * (mu * s) * (mu * s) / (1.0 + alpha)
    for j in range(2, 400):
        term *= q * (alpha * j / (1.0 + alpha * j)) * (j / (j + 1.0))
        total += term
        if term * (1.0 + alpha * mu) < 1e-17 * total:
            return total
    k, top = 1.0 / alpha, 40.0 + log1p(alpha * mu)
    total, u = 0.0, -20.0
    while u < top:
        odds = exp(u)
        x, y = odds / (1.0 + odds), 1.0 / (1.0 + odds)
        weight = 0.25 * exp(-k * log1p(odds))
        total += weight * q * x * q * x * shape(-q * x, y + s * x, log(y + s * x))[0]
        u += 0.25
        if u > 0.0 and weight < 1e-20:
            break
    total += 0.25 * exp(-k * u) / -expm1(-0.25 * k) * (log1p(alpha * mu) - q)
    return k * k * total * k * k


@cache
def _compiled_expected_alpha() -> Callable[..., np.ndarray]:
    from .._jit import compiled, source_stamp

    stamp = source_stamp()

    def expected_alpha(mu, alpha):
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        out = np.empty(mu.size)
        for i in range(mu.size):
            out[i] = expected_alpha_row(mu[i], alpha)
        return out

    return compiled(expected_alpha)
