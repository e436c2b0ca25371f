"""The adjustments of the negative binomial's alpha, and what it adds to those of the coefficients.

The information is block diagonal. With i(mu, alpha) the expected information of alpha in one row, I its sum, U its
score and h the leverages, the adjustments of the score of alpha are

    mean     sum h mu / (1 + alpha mu) / 2 + (I' + sum E U^3) / (4 I)
    median   sum h mu / (1 + alpha mu) / 2 + sum E U^3 / (6 I)
    jeffreys -sum h mu / (1 + alpha mu) / 2 + I' / (2 I)

with I' = dI / dalpha: the general formulas of Kosmidis & Firth (2009) and of Kenne Pagui, Salvan & Sartori (2017), in
which E U_aa U = -(I' + E U^3) / 2 by Bartlett's identities. Coefficients are adjusted as with alpha known, but for
Jeffreys' prior, which depends on them through I as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from .kernels import SCORE
from .likelihood import Likelihood

NODES = 40  # of the interpolation of E U^3 / i in log mu
EXACT = 4000  # counts that are summed one by one; beyond, the sum is an integral by midpoints
HUGE_COUNT, HUGE_ALPHA = 1e14, 1e6  # beyond, a step was too long
PANEL = 24  # Gauss-Legendre points to a panel


def adjustment_of_alpha(
    likelihood: Likelihood, family: Any, theta: np.ndarray, eta: np.ndarray, h: np.ndarray, slope: np.ndarray,
    kind: str, total: float,
) -> tuple[float, np.ndarray]:  # fmt: skip
    """The adjustment of the score of alpha, and what is added to the rows' adjustments of the coefficients."""
    alpha, weight = float(theta[-1]), likelihood.weight
    mu = likelihood.kernels.links[0].mean(eta)
    if not (np.isfinite(mu).all() and math.isfinite(alpha) and total > 0.0):
        return math.nan, np.zeros(mu.size)  # a step that was too long
    share = float(np.sum(np.where(h > 0.0, h * (mu / (1.0 + alpha * mu)), 0.0)))
    more = np.zeros(mu.size)
    if kind == "jeffreys":
        in_mu = _difference(lambda k: family.expected_alpha(mu * (1.0 + k), alpha), 1e-3, 1.0) / mu
        more = np.where(weight > 0.0, 0.5 * weight * in_mu * slope / total, 0.0)
        return -0.5 * share + 0.5 * _information_slope(family, mu, weight, alpha) / total, more
    third = float(np.sum(weight * third_moments(likelihood, family, mu, alpha)))
    if kind == "median":
        return 0.5 * share + third / (6.0 * total), more
    return 0.5 * share + (_information_slope(family, mu, weight, alpha) + third) / (4.0 * total), more


def _information_slope(family: Any, mu: np.ndarray, weight: np.ndarray, alpha: float) -> float:
    """dI / dalpha by differences."""
    size = alpha + 1.0 / (1.0 + float(np.average(mu, weights=weight)))
    return float(_difference(lambda k: np.sum(weight * family.expected_alpha(mu, alpha + k)), 1e-3 * size, alpha))


def _difference(f: Any, step: float, room: float) -> Any:
    """The derivative of f at 0 by five points, none of them below -room."""
    if room > 2.0 * step:
        return (8.0 * (f(step) - f(-step)) - (f(2.0 * step) - f(-2.0 * step))) / (12.0 * step)
    coefficients = (-25.0, 48.0, -36.0, 16.0, -3.0)
    return sum(c * f(k * step) for k, c in enumerate(coefficients)) / (12.0 * step)


def third_moments(likelihood: Likelihood, family: Any, mu: np.ndarray, alpha: float) -> np.ndarray:
    """E U^3 for every mean: exactly for few means, else interpolated in log mu relative to the information."""
    some = np.unique(mu[likelihood.weight > 0.0])
    low, high = np.log(some[0]), np.log(some[-1])
    if some.size <= NODES:
        nodes = some
    else:  # Chebyshev points
        nodes = np.exp(low + (high - low) * 0.5 * (1.0 - np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)))
    values = np.array([third_moment(likelihood, float(m), alpha) for m in nodes])
    if not np.isfinite(values).all():
        return np.full(mu.size, math.nan)
    if some.size <= NODES:
        return np.asarray(values[np.minimum(np.searchsorted(some, mu), some.size - 1)])
    ratio = values / family.expected_alpha(nodes, alpha)
    fitted = np.polynomial.Chebyshev.fit(np.log(nodes), ratio, NODES - 1, domain=[low, high])
    return np.asarray(fitted(np.clip(np.log(mu), low, high)) * family.expected_alpha(mu, alpha))


def third_moment(likelihood: Likelihood, mu: float, alpha: float) -> float:
    """E U^3 of one row: a sum over the counts, beyond the first thousands an integral."""
    sd = float(np.sqrt(mu * (1.0 + alpha * mu)))
    last = mu + 12.0 * sd + 45.0 * (1.0 + alpha * mu)
    if not last < HUGE_COUNT or not alpha < HUGE_ALPHA:
        return math.nan
    y, share = np.arange(min(np.ceil(last), EXACT) + 1.0), np.ones(int(min(np.ceil(last), EXACT)) + 1)
    if last > EXACT:
        panels = int(np.ceil((last - EXACT) / sd)) + 4
        edges = np.linspace(EXACT + 0.5, last, panels + 1)
        points, weights = np.polynomial.legendre.leggauss(PANEL)
        half = 0.5 * (edges[1] - edges[0])
        y = np.concatenate([y, ((edges[:-1] + half)[:, None] + half * points).ravel()])
        share = np.concatenate([share, np.tile(half * weights, panels)])
    if alpha > 0.0:
        k = 1.0 / alpha
        log_f = special.gammaln(y + k) - special.gammaln(k) - special.gammaln(y + 1.0)
        log_f += y * np.log(mu / (k + mu)) - k * np.log1p(alpha * mu)
    else:
        log_f = special.xlogy(y, mu) - mu - special.gammaln(y + 1.0)
    f = share * np.exp(log_f - log_f.max())
    kernels = likelihood.kernels
    eta = np.empty((2, y.size))
    eta[0], eta[1] = float(kernels.links[0].forward(mu)), alpha
    u, w = np.empty((2, y.size)), np.empty((3, y.size))
    kernels.rows(y, np.ones(y.size), eta, kernels.constants, SCORE, u, w)
    return float(np.sum(f * u[1] ** 3) / np.sum(f))


__all__ = ["adjustment_of_alpha", "third_moment", "third_moments"]
