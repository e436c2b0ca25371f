"""Both tails of the distribution of a response, each computed as such: what quantile residuals are made of.

A probability near 1 has lost its digits; an outlier far in the upper tail is told by the tail itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy  # its parts are loaded when they are named
from scipy import special as sp

from .errors import InputError
from .families import Binomial, Family, Gamma, InverseGaussian, NegativeBinomial, Normal, Poisson, Tweedie


class Tails(NamedTuple):
    """P(Y < y), P(Y <= y), P(Y >= y) and P(Y > y); for a continuous response the pairs are equal."""

    below: np.ndarray
    up_to: np.ndarray
    from_here: np.ndarray
    above: np.ndarray


def tails(family: Family, y: np.ndarray, theta: list[np.ndarray], phi: Any) -> Tails:
    """The tails at y, of a family with parameters theta (each of shape (n,)) and dispersion phi.

    Raises
    ------
    InputError
        For a user's family that has no ``cdf``.
    """
    with np.errstate(all="ignore"):
        mu = theta[0]
        if isinstance(family, Normal):
            z = (y - mu) / np.sqrt(phi)
            return _continuous(sp.ndtr(z), sp.ndtr(-z))
        if isinstance(family, Gamma):
            return _continuous(sp.gammainc(1.0 / phi, y / (phi * mu)), sp.gammaincc(1.0 / phi, y / (phi * mu)))
        if isinstance(family, InverseGaussian):
            law = scipy.stats.invgauss(mu * phi, scale=1.0 / np.asarray(phi))
            return _continuous(law.cdf(y), law.sf(y))
        if isinstance(family, Poisson):
            return _poisson(y, mu)
        if isinstance(family, NegativeBinomial):
            alpha = np.full(y.shape, family.alpha) if len(theta) == 1 else theta[1]
            return _negative_binomial(y, mu, alpha)
        if isinstance(family, Binomial):
            trials = 1.0 / np.broadcast_to(np.asarray(phi, float), y.shape)
            return _binomial(y * trials, trials, mu)
        cdf: Any = getattr(family, "cdf", None)
        if cdf is None:
            raise InputError(f"the family {family.name} has no cdf(y, {', '.join(family.parameters)}); "
                             "define one to have quantile residuals")  # fmt: skip
        more = (phi,) if family.has_dispersion else ()
        up_to = np.asarray(cdf(y, *theta, *more), float)
        if isinstance(family, Tweedie):
            below = np.where(y == 0.0, 0.0, up_to)
        elif family.support.integer:
            below = np.where(y <= family.support.lower, 0.0, np.asarray(cdf(np.ceil(y) - 1.0, *theta, *more), float))
        else:
            below = up_to
        return Tails(below, up_to, 1.0 - below, 1.0 - up_to)


def _continuous(lower: Any, upper: Any) -> Tails:
    lower, upper = np.asarray(lower), np.asarray(upper)
    return Tails(lower, lower, upper, upper)


def _poisson(y: np.ndarray, mu: np.ndarray) -> Tails:
    k, positive = np.floor(y), y >= 1.0
    some = np.where(positive, k, 1.0)
    return Tails(
        np.where(positive, sp.gammaincc(some, mu), 0.0), sp.gammaincc(k + 1.0, mu),
        np.where(positive, sp.gammainc(some, mu), 1.0), sp.gammainc(k + 1.0, mu),
    )  # fmt: skip


def _negative_binomial(y: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> Tails:
    poisson = _poisson(y, mu) if (alpha == 0.0).any() else None
    r = 1.0 / np.where(alpha > 0.0, alpha, 1.0)
    k, positive = np.floor(y), y >= 1.0
    some = np.where(positive, k, 1.0)
    p, q = 1.0 / (1.0 + alpha * mu), alpha * mu / (1.0 + alpha * mu)
    found = Tails(
        np.where(positive, sp.betainc(r, some, p), 0.0), sp.betainc(r, k + 1.0, p),
        np.where(positive, sp.betainc(some, r, q), 1.0), sp.betainc(k + 1.0, r, q),
    )  # fmt: skip
    if poisson is None:
        return found
    return Tails(*(np.where(alpha > 0.0, a, b) for a, b in zip(found, poisson, strict=True)))


def _binomial(count: np.ndarray, trials: np.ndarray, p: np.ndarray) -> Tails:
    k = np.floor(count + 1e-9)
    q, some, most = 1.0 - p, k > 0.0, k >= trials - 1e-9
    least, rest = np.where(some, k, 1.0), np.where(most, 1.0, trials - k)
    return Tails(
        np.where(some, sp.betainc(trials - least + 1.0, least, q), 0.0),
        np.where(most, 1.0, sp.betainc(rest, k + 1.0, q)),
        np.where(some, sp.betainc(least, trials - least + 1.0, p), 1.0),
        np.where(most, 0.0, sp.betainc(k + 1.0, rest, p)),
    )


def normal_scores(found: Tails, uniform: np.ndarray) -> np.ndarray:
    """Phi^-1 of P(Y < y) + uniform P(Y = y): exactly normal where the law is right (Dunn & Smyth, 1996)."""
    lower = found.below + uniform * (found.up_to - found.below)
    upper = found.above + (1.0 - uniform) * (found.from_here - found.above)
    with np.errstate(all="ignore"):
        return np.where(lower < 0.5, sp.ndtri(lower), -sp.ndtri(upper))


__all__ = ["Tails", "normal_scores", "tails"]
