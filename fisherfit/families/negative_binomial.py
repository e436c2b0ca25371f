"""The negative binomial family (NB2): Var(y) = mu + alpha mu^2; R's theta is 1 / alpha.

Every formula holds at alpha = 0, where it is the Poisson one: log Gamma(y + 1/alpha) - log Gamma(1/alpha) +
y log alpha, here `rising`, is summed by Euler and Maclaurin's formula for small alpha. Sources: Lawless (1987);
Abramowitz & Stegun (1964), 23.1.30.
"""

from __future__ import annotations

import numpy as np
from scipy import special as sp
from scipy import stats

from ..errors import InputError
from ..special import HALF_LOG_2PI, excess, exp, log, log1p, log_gamma, scalar, stirling
from ._family import Family, Formulas, Support


@scalar
def slopes(t):
    """h(t) = (t - log(1 + t)) / t^2 and h'(t)."""
    if t < 0.08:
        h, h1, term = 0.5, 0.0, 1.0
        for k in range(1, 18):
            h1 -= term * k / (k + 2.0)
            term *= -t
            h += term / (k + 2.0)
        return h, h1
    h = (t - log1p(t)) / t / t
    return h, (1.0 / (1.0 + t) - 2.0 * h) / t


@scalar
def curvatures(t):
    """m(t) = {log(1 + t) - t / (1 + t)} / t^2 and m'(t)."""
    if t < 0.08:
        m, m1, term = 0.5, 0.0, 1.0
        for k in range(1, 18):
            m1 -= term * k * (k + 1.0) / (k + 2.0)
            term *= -t
            m += term * (k + 1.0) / (k + 2.0)
        return m, m1
    m = (log1p(t) - t / (1.0 + t)) / t / t
    return m, (1.0 / (1.0 + t) / (1.0 + t) - 2.0 * m) / t


@scalar
def rising(y, alpha):
    """sum_{j < y} log(1 + alpha j), continued to real y, with its first two derivatives in alpha."""
    if y == 0.0 or y == 1.0:
        return 0.0, 0.0, 0.0
    t = alpha * y
    if alpha <= 0.0625:
        h, h1 = slopes(t)
        a2 = alpha * alpha
        s = 1.0 / (1.0 + t)
        value = alpha * y * y * excess(t, 1.0) - 0.5 * log1p(t)
        first = y * y * h - 0.5 * y * s
        second = y * y * y * h1 + 0.5 * y * y * s * s
        # corrections b_k alpha^k {s^k - 1}, k = 1, 3, 5, ...; d/dalpha (alpha s)^k = k alpha^(k-1) s^(k+1)
        sk, ak = s, alpha  # s^k, alpha^k
        for i in range(6):
            k = 2.0 * i + 1.0
            b = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)[i]
            value += b * ak * (sk - 1.0)
            low = 1.0 if i == 0 else ak / alpha if alpha > 0.0 else 0.0  # alpha^(k-1)
            first += b * k * low * (sk * s - 1.0)
            second -= b * k * (k + 1.0) * low * y * sk * s * s
            if i > 0 and alpha > 0.0:
                second += b * k * (k - 1.0) * (low / alpha) * (sk * s - 1.0)
            ak *= a2
            sk *= s * s
        return value, first, second
    r = 1.0 / alpha
    d, d1, d2 = stirling(y + r)
    e, e1, e2 = stirling(r)
    value = (y + r - 0.5) * log1p(t) - y + (d - e)
    psi = log1p(t) - 0.5 / (y + r) + 0.5 / r + (d1 - e1)  # digamma(y + r) - digamma(r)
    psi1 = 1.0 / (y + r) - 1.0 / r + 0.5 / (y + r) / (y + r) - 0.5 / r / r + (d2 - e2)
    first = -r * (r * psi - y)
    second = r * r * (2.0 * (r * psi - y) + (r * r * psi1 + y))
    return value, first, second


@scalar
def nb_objective(y, mu, alpha):
    """log f(y) + log y!."""
    t = alpha * mu
    log_ratio = log1p(t) / t if t > 1e-300 else 1.0
    return rising(y, alpha)[0] + (y * log(mu) if y > 0.0 else 0.0) - y * log1p(t) - mu * log_ratio


@scalar
def nb_score(y, mu, alpha):
    t = alpha * mu
    return (
        (y - mu) / mu / (1.0 + t),
        rising(y, alpha)[1] - y * mu / (1.0 + t) + mu * mu * curvatures(t)[0],
    )


@scalar
def nb_observed(y, mu, alpha):
    t = alpha * mu
    s = 1.0 / (1.0 + t)
    return (
        y / mu / mu - alpha * (1.0 + alpha * y) * s * s,
        (y - mu) * s * s,
        -(rising(y, alpha)[2] + y * (mu * s) * (mu * s) + mu * mu * mu * curvatures(t)[1]),
    )


@scalar
def nb_scoring(mu, alpha):
    """Information for the steps: exact for the mean, within a factor of 2 for alpha (its exact value is a sum)."""
    t = mu / (1.0 + alpha * mu)
    return (1.0 / mu / (1.0 + alpha * mu), 0.0, 0.5 * t * t)


@scalar
def nb_fisher_mean(mu, alpha):
    return (1.0 / mu / (1.0 + alpha * mu),)


@scalar
def nb_half_deviance(y, mu, alpha):
    """Minus half the unit deviance at this alpha."""
    v = alpha * (y - mu) / (1.0 + alpha * mu)
    tail = (y - mu) * v * excess(v, 1.0)
    if y == 0.0:
        return tail - mu if alpha * mu < 0.08 else -log1p(alpha * mu) / alpha
    t = (y - mu) / mu
    if t > 1e8:
        return tail - (y * log(y / mu) - (y - mu))
    return tail - (y - mu) * t * excess(t, 1.0)


@scalar
def count_base(y, phi, *constants):
    return -log_factorial(y), 0.0, 0.0


@scalar
def log_factorial(y):
    if y < 16.0:
        return log_gamma(y + 1.0)
    return (y + 0.5) * log(y) - y + HALF_LOG_2PI + stirling(y)[0]


@scalar
def nb_fixed_score(y, mu, alpha):
    return ((y - mu) / mu / (1.0 + alpha * mu),)


@scalar
def nb_fixed_observed(y, mu, alpha):
    s = 1.0 / (1.0 + alpha * mu)
    return (y / mu / mu - alpha * (1.0 + alpha * y) * s * s,)


@scalar
def nb_fixed_base(y, phi, alpha):
    """log of the density at mu = y."""
    if y == 0.0:
        return 0.0, 0.0, 0.0
    t = alpha * y
    log_ratio = log1p(t) / t if t > 1e-300 else 1.0
    return rising(y, alpha)[0] + y * log(y) - y * log1p(t) - y * log_ratio - log_factorial(y), 0.0, 0.0


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
        return nb_objective(y, mu, alpha) - log_factorial(y)

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
        alpha = self.alpha if alpha is None else alpha
        if alpha == 0.0:
            return rng.poisson(mu, size).astype(float)
        return rng.poisson(rng.gamma(1.0 / alpha, alpha * np.asarray(mu), size)).astype(float)

    def cdf(self, y, mu, alpha=None):
        alpha = self.alpha if alpha is None else alpha
        if alpha == 0.0:
            return stats.poisson.cdf(y, mu)
        y = np.floor(np.asarray(y, float))
        tail = sp.betainc(1.0 / alpha, np.maximum(y, 0.0) + 1.0, 1.0 / (1.0 + alpha * np.asarray(mu)))
        return np.where(y < 0, 0.0, tail)

    def ppf(self, probability, mu, alpha=None):
        alpha = self.alpha if alpha is None else alpha
        if alpha == 0.0:
            return stats.poisson.ppf(probability, mu)
        return stats.nbinom.ppf(probability, 1.0 / alpha, 1.0 / (1.0 + alpha * np.asarray(mu)))

    def __repr__(self) -> str:
        return "NegativeBinomial()" if self.alpha is None else f"NegativeBinomial(alpha={self.alpha:g})"

    def expected_alpha(self, mu: np.ndarray, alpha: float) -> np.ndarray:
        """The expected information of alpha for every mean: E[-d2 log f / d alpha2].

        theta^4 {sum_j P(Y > j) / (theta + j)^2 - mu / (theta (theta + mu))}, theta = 1 / alpha (Lawless, 1987);
        mu^2 / 2 at alpha = 0.
        """
        return expected_alpha(np.asarray(mu, float), float(alpha))


def expected_alpha(mu: np.ndarray, alpha: float) -> np.ndarray:
    """See :meth:`NegativeBinomial.expected_alpha`."""
    if alpha == 0.0:
        return 0.5 * mu * mu
    from .._jit import compiled

    return np.asarray(compiled(_expected_alpha_rows)(np.ascontiguousarray(mu), alpha))


def _expected_alpha_rows(mu, alpha):
    out = np.empty(mu.size)
    for i in range(mu.size):
        out[i] = expected_alpha_row(mu[i], alpha)
    return out


@scalar
def expected_alpha_row(mu, alpha):
    """sum over y of f(y) times the observed information, by the ratio of successive probabilities.

    The sum runs out from the mode in both directions until the terms no longer count, so that it neither
    underflows at the start nor cancels.
    """
    t = alpha * mu
    mode = float(int(mu * (1.0 - alpha))) if alpha < 1.0 else 0.0
    centre = exp(nb_objective(mode, mu, alpha) - log_factorial(mode))
    total = mass = 0.0
    f, y = centre, mode
    while y < 1e9:
        total += f * nb_observed(y, mu, alpha)[2]
        mass += f
        f *= (1.0 + alpha * y) / (y + 1.0) * mu / (1.0 + t)
        y += 1.0
        if f * (1.0 + y * y) < 1e-18 * mass * (1.0 + mu * mu) and y > mu:
            break
    f, y = centre, mode
    while y > 0.0:
        f *= y / (1.0 + alpha * (y - 1.0)) * (1.0 + t) / mu
        y -= 1.0
        total += f * nb_observed(y, mu, alpha)[2]
        mass += f
        if f * (1.0 + mu * mu) < 1e-18 * mass:
            break
    return total / mass

