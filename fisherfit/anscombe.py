"""Anscombe's residuals: A(y) - A(mu) over A'(mu) sqrt(V(mu)), where A is the integral of V^(-1/3).

A makes the distribution as symmetric as a function of y can (McCullagh & Nelder, 1989, section 2.4.2). Closed forms for
the families of the package; for others with a variance function, the integral by the double-exponential rule, which
the singularities of V^(-1/3) at the ends of the support do not disturb.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special as sp

from .families import (
    Binomial,
    ExponentialDispersion,
    Family,
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    Poisson,
    Tweedie,
)

THIRD = 1.0 / 3.0


def anscombe(family: Family, y: np.ndarray, mu: np.ndarray, alpha: float | None = None) -> np.ndarray:
    """The residuals at unit weight; NaN for a family without a variance function of its mean."""
    with np.errstate(all="ignore"):
        if isinstance(family, Normal):
            return np.asarray(y - mu)
        if isinstance(family, Poisson):
            return _of_power(y, mu, 1.0)
        if isinstance(family, Gamma):
            return _of_power(y, mu, 2.0)
        if isinstance(family, InverseGaussian):
            return np.asarray(np.log(y / mu) / np.sqrt(mu))
        if isinstance(family, Tweedie):
            return _of_power(y, mu, family.power)
        if isinstance(family, Binomial):
            a = 2.0 * THIRD
            gap = sp.betainc(a, a, y) - sp.betainc(a, a, mu)
            return np.asarray(sp.beta(a, a) * gap / (mu * (1.0 - mu)) ** (0.5 * THIRD))
        if isinstance(family, NegativeBinomial):
            alpha = float(alpha if family.alpha is None and alpha is not None else family.alpha or 0.0)

            def integral(x: np.ndarray) -> Any:
                return 1.5 * x ** (2.0 * THIRD) * sp.hyp2f1(THIRD, 2.0 * THIRD, 5.0 * THIRD, -alpha * x)

            return np.asarray((integral(y) - integral(mu)) / (mu * (1.0 + alpha * mu)) ** (0.5 * THIRD))
        if isinstance(family, ExponentialDispersion):
            return _by_integral(family, y, mu)
    return np.full(np.shape(y), np.nan)


def _of_power(y: np.ndarray, mu: np.ndarray, power: float) -> np.ndarray:
    """V = mu^power, power < 3: (y^c - mu^c) / (c mu^(power/6)), c = 1 - power / 3."""
    c = 1.0 - power * THIRD
    return np.asarray((y**c - mu**c) / (c * mu ** (0.5 * power * THIRD)))


def _by_integral(family: Any, y: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """The integral of V^(-1/3) from mu to y by the double-exponential rule (Takahasi & Mori, 1974)."""
    unit = family.parameters["mu"] == "unit"

    def one(x: float, q: float) -> float:
        return float(family.unit_variance(*((x, q) if unit else (x,)), *family.constants)[0])

    variance = np.vectorize(one, otypes=[float])
    step = 0.06
    t = step * np.arange(-60, 61)
    inner = 0.5 * np.pi * np.sinh(t)
    weight = step * 0.25 * np.pi * np.cosh(t) / np.cosh(inner) ** 2
    share, rest = 1.0 / (1.0 + np.exp(-2.0 * inner)), 1.0 / (1.0 + np.exp(2.0 * inner))
    gap, total = y - mu, np.zeros(np.shape(y))
    for s, r, w in zip(share.tolist(), rest.tolist(), weight.tolist(), strict=True):
        # beyond the middle points are measured from y, where V may vanish
        x, q = (mu + s * gap, (1.0 - mu) - s * gap) if s < 0.5 else (y - r * gap, (1.0 - y) + r * gap)
        total += w * variance(x, q) ** -THIRD
    return np.asarray(gap * total / variance(mu, 1.0 - mu) ** (0.5 * THIRD))


__all__ = ["anscombe"]
