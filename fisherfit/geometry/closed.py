"""Closed forms of Kullback-Leibler divergences.

In an exponential dispersion family KL{(mu1, phi1) || (mu2, phi2)} = KL{(mu1, phi1) || (mu1, phi2)} + d(mu1, mu2) / (2
phi2): the mean of the unit deviance d(y, mu2) - d(y, mu1) under any law with mean mu1 is d(mu1, mu2). With
log Gamma written by Stirling's formula, the rest is Bregman divergences in which nothing cancels. Sources: Jorgensen
(1997), The Theory of Dispersion Models; Amari (2016), Information Geometry and Its Applications, chapters 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..bessel import bessel_ratio, log_bessel_i0
from ..elementary import gamma_divergence
from ..families import Beta, Gamma, InverseGaussian, NegativeBinomial, Normal, Poisson, VonMises
from ..families.beta import divergence as proportion_divergence
from ..families.negative_binomial import nb_half_deviance
from ..gammas import stirling
from .distribution import Distribution, coordinates_of

NODES = (0.04691007703066800, 0.23076534494715846, 0.5, 0.76923465505284155, 0.95308992296933200)  # Gauss, on (0, 1)
WEIGHTS = (0.11846344252809454, 0.23931433524968324, 0.28444444444444444, 0.23931433524968324, 0.11846344252809454)
__all__ = ["closed_kl", "negative_binomial_of"]


def closed_kl(p: Distribution, q: Distribution) -> float | None:
    """KL(p || q) where it has a closed form; None elsewhere."""
    a, b = coordinates_of(p), coordinates_of(q)
    if a and b and type(a[0]) is type(b[0]) and a[0].constants == b[0].constants:
        return _dispersion_kl(a, b)
    counts, others = negative_binomial_of(p), negative_binomial_of(q)
    if counts and others and counts[1] == others[1]:
        return -float(nb_half_deviance(counts[0], others[0], counts[1]))
    if type(p.family) is type(q.family):
        if type(p.family) is Beta:
            return _beta_kl(p.theta, q.theta)
        if type(p.family) is VonMises:
            return _von_mises_kl(p.theta, q.theta)
    return None


def negative_binomial_of(p: Distribution) -> tuple[float, float] | None:
    """(mu, alpha) of a negative binomial, geometric or Poisson distribution."""
    if type(p.family) is Poisson:
        return p.theta[0], 0.0
    if isinstance(p.family, NegativeBinomial):
        return p.theta[0], p.theta[1] if p.family.alpha is None else p.family.alpha
    return None


def _dispersion_kl(a: tuple[Any, float, float], b: tuple[Any, float, float]) -> float | None:
    family, mu, phi = a
    _, mu2, phi2 = b
    unit = next(iter(family.parameters.values())) == "unit"
    means = (mu, mu2, 1.0 - mu2) if unit else (mu, mu2)
    shift = 0.5 * float(family.unit_deviance(*means, *family.constants)) / phi2
    if phi == phi2:
        return shift
    part = {Normal: _scale_part, InverseGaussian: _scale_part, Gamma: _shape_part}.get(type(family))
    return None if part is None else shift + part(phi, phi2)


def _scale_part(phi: float, phi2: float) -> float:
    return 0.5 * gamma_divergence(phi, phi2)


def _shape_part(phi: float, phi2: float) -> float:
    """Of gamma distributions of one mean, shapes a = 1 / phi and b = 1 / phi2."""
    a, b = 1.0 / phi, 1.0 / phi2
    return 0.5 * gamma_divergence(b, a) + _bregman(b, a)


def _bregman(x: float, a: float) -> float:
    """d(x) - d(a) - (x - a) d'(a) for Stirling's correction d."""
    if abs(x - a) < 0.02 * a:
        return _rest(lambda t: stirling(t)[2], a, x)
    d, slope, _ = stirling(a)
    return float(stirling(x)[0] - d - (x - a) * slope)


def _rest(curvature: Callable[[float], float], a: float, x: float) -> float:
    """The integral of (x - t) f''(t) from a to a near x: f(x) - f(a) - (x - a) f'(a), of which nothing cancels."""
    h = x - a
    return h * h * sum(w * (1.0 - t) * curvature(a + t * h) for t, w in zip(NODES, WEIGHTS, strict=True))


def _beta_kl(theta: tuple[float, ...], theta2: tuple[float, ...]) -> float:
    (p, s), (p2, s2) = theta, theta2
    q, q2 = 1.0 - p, 1.0 - p2
    pairs = ((p2 * s2, p * s), (q2 * s2, q * s))
    out = s2 * float(proportion_divergence(p, p2, q2))
    for x, a in pairs:
        out += 0.5 * gamma_divergence(x, a) + _bregman(x, a)
    return out - 0.5 * gamma_divergence(s2, s) - _bregman(s2, s)


def _von_mises_kl(theta: tuple[float, ...], theta2: tuple[float, ...]) -> float:
    (mu, kappa), (mu2, kappa2) = theta, theta2
    ratio, rest, _ = bessel_ratio(kappa)
    half = math.sin(0.5 * (mu - mu2))
    turn = 2.0 * ratio * kappa2 * half * half
    if abs(kappa2 - kappa) < 0.02 * kappa:
        return turn + _rest(lambda t: bessel_ratio(t)[2], kappa, kappa2)
    return float(log_bessel_i0(kappa2) - log_bessel_i0(kappa) + rest * (kappa2 - kappa) + turn)
