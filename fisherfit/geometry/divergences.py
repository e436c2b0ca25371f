"""Divergences between two distributions: Kullback-Leibler, Renyi, Bhattacharyya, Hellinger."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from .closed import closed_kl
from .distribution import Distribution
from .forms import form_of
from .quadrature import integrate

__all__ = ["bhattacharyya", "hellinger", "kl_by_integral", "kl_divergence", "renyi_divergence", "symmetrised_kl"]

Array = np.ndarray
#: 1 / k!, k from 2 on
_TAYLOR = [1.0 / math.factorial(k) for k in range(2, 16)]


def kl_divergence(p: Distribution, q: Distribution) -> float:
    """The Kullback-Leibler divergence of q from p, E_p log{p(y) / q(y)}, in nats.

    A closed form where there is one (all exponential dispersion families, their dispersions too for the normal,
    gamma and inverse Gaussian; negative binomials of one alpha; beta; von Mises), else an adaptive integral or a sum.

    Parameters
    ----------
    p, q : Distribution
        Of one family, or of two whose responses are of one kind.

    Returns
    -------
    float
        At least 0; infinity where p has mass that q has not.

    Raises
    ------
    InputError
        For a distribution of counts and a continuous one.

    Examples
    --------
    Two pairs of normal distributions, 4 apart; the Euclidean distance of (mu, phi) is the same:

    >>> import fisherfit as ff
    >>> narrow = [ff.geometry.Distribution("normal", mu=mu, phi=0.5) for mu in (-2.0, 2.0)]
    >>> wide = [ff.geometry.Distribution("normal", mu=mu, phi=2.0) for mu in (-2.0, 2.0)]
    >>> ff.geometry.kl_divergence(*narrow), ff.geometry.kl_divergence(*wide)
    (16.0, 4.0)
    """
    both(p, q)
    found = closed_kl(p, q)
    return kl_by_integral(p, q) if found is None else max(0.0, float(found))


def kl_by_integral(p: Distribution, q: Distribution) -> float:
    """The same, always by integration: of p (e^r - 1 - r), r = log(q / p), which is nowhere negative."""

    def integrand(y: Array, logs: list[Array]) -> Array:
        lp, lq = np.where(np.isnan(logs[0]), -np.inf, logs[0]), logs[1]
        f, r = np.exp(lp), lq - lp
        gap = np.where(np.abs(r) < 0.4, f * _after_two(np.where(np.abs(r) < 0.4, r, 0.0)), np.exp(lq) - f - f * r)
        gap = np.where(f == 0.0, np.exp(lq), gap)
        return np.stack([gap, f, np.where(np.isnan(lq), f, 0.0)])

    sums = integrate([p, q], integrand)
    value, mass, unknown = sums.value
    if unknown > 1e-12:
        raise InputError(f"the log-density of {q!r} is no number where {p!r} has mass; see fisherfit.check_family")
    return math.inf if sums.grows or math.isinf(value) else _of_mass(float(value), float(mass), p)


def renyi_divergence(p: Distribution, q: Distribution, order: float) -> float:
    """The Renyi divergence of an order above 0: log E_p (q / p)^(1 - order) / (order - 1); at order 1, KL.

    Parameters
    ----------
    p, q : Distribution
        As for `kl_divergence`.
    order : float
        Positive and finite.

    Returns
    -------
    float
        At least 0; infinity where the mean does not exist.

    Examples
    --------
    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("normal", mu=mu, sigma=1.0) for mu in (0.0, 1.0))
    >>> round(ff.geometry.renyi_divergence(p, q, 2.0), 12)     # order times KL
    1.0
    """
    both(p, q)
    if isinstance(order, bool) or not isinstance(order, (int, float, np.number)) or not 0.0 < order < math.inf:
        raise InputError(f"order must be a positive finite number, got {order!r}")
    a = float(order)
    if a == 1.0:
        return kl_divergence(p, q)
    if p == q:
        return 0.0
    found = _by_partition(p, q, a)
    if found is not None and found > 0.1:
        return found

    def integrand(y: Array, logs: list[Array]) -> Array:
        lp, lq = np.where(np.isnan(logs[0]), -np.inf, logs[0]), logs[1]
        f, r = np.exp(lp), lq - lp
        small = np.abs(r) * max(1.0, abs(1.0 - a)) < 0.4
        s = np.where(small, r, 0.0)
        near = f * (_after_two((1.0 - a) * s) - (1.0 - a) * _after_two(s))
        tilted = np.where((f == 0.0) & (lq == -np.inf), 0.0, np.exp(a * lp + (1.0 - a) * lq))
        far = tilted - a * f - (1.0 - a) * np.exp(lq)
        return np.stack([np.where(small, near, far), f])

    try:
        sums = integrate([p, q], integrand, tilt=(a, 1.0 - a))
    except InputError:
        if a > 1.0:  # of p and q either alone can be integrated
            integrate([p, q], lambda y, logs: np.exp(logs[0])[None])
            return math.inf
        raise
    value, mass = sums.value
    if a > 1.0 and (sums.grows or not math.isfinite(value)):
        return math.inf
    return _of_mass(math.log1p(max(float(value), -1.0)) / (a - 1.0) if value > -1.0 else math.inf, float(mass), p)


def symmetrised_kl(p: Distribution, q: Distribution) -> float:
    """Jeffreys' divergence, KL(p || q) + KL(q || p).

    Parameters
    ----------
    p, q : Distribution
        As for `kl_divergence`.

    Returns
    -------
    float

    Examples
    --------
    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("poisson", mu=mu) for mu in (1.0, 2.0))
    >>> round(ff.geometry.symmetrised_kl(p, q), 12)     # log 2
    0.69314718056
    """
    return kl_divergence(p, q) + kl_divergence(q, p)


def bhattacharyya(p: Distribution, q: Distribution) -> float:
    """The Bhattacharyya distance, -log of the integral of sqrt(p q): half the Renyi divergence of order 1/2.

    Parameters
    ----------
    p, q : Distribution
        As for `kl_divergence`.

    Returns
    -------
    float

    Examples
    --------
    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("normal", mu=mu, sigma=1.0) for mu in (0.0, 4.0))
    >>> round(ff.geometry.bhattacharyya(p, q), 12)
    2.0
    """
    return 0.5 * renyi_divergence(p, q, 0.5)


def hellinger(p: Distribution, q: Distribution) -> float:
    """The Hellinger distance, the root of 1 less the integral of sqrt(p q): between 0 and 1.

    Parameters
    ----------
    p, q : Distribution
        As for `kl_divergence`.

    Returns
    -------
    float

    Examples
    --------
    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("poisson", mu=mu) for mu in (1.0, 4.0))
    >>> round(ff.geometry.hellinger(p, q) ** 2, 12)     # 1 - exp{-(2 - 1)^2 / 2}
    0.393469340287
    """
    return math.sqrt(-math.expm1(-bhattacharyya(p, q)))


def both(p: Any, q: Any) -> None:
    """Refuse what is no distribution."""
    for name, value in (("p", p), ("q", q)):
        if not isinstance(value, Distribution):
            raise InputTypeError(
                f"{name}: expected a Distribution, such as Distribution('poisson', mu=2.0), got {type(value).__name__}"
            )


def _by_partition(p: Distribution, q: Distribution, a: float) -> float | None:
    """From log-partition functions, in an exponential family; it cancels where p is near q."""
    form = form_of(p.family) if p.family == q.family else None
    if form is None:
        return None
    s, t = np.array(form.natural(*p.theta)), np.array(form.natural(*q.theta))
    between = (a * s + (1.0 - a) * t).tolist()
    if form.from_natural(*between) is None:
        return math.inf if a > 1.0 else None
    ends = a * form.log_partition(*s.tolist()) + (1.0 - a) * form.log_partition(*t.tolist())
    return (form.log_partition(*between) - ends) / (a - 1.0)


def _after_two(r: Array) -> Array:
    """e^r - 1 - r for small r."""
    out = np.full_like(r, _TAYLOR[-1])
    for c in _TAYLOR[-2::-1]:
        out = out * r + c
    return out * r * r


def _of_mass(value: float, mass: float, p: Distribution) -> float:
    if not abs(mass - 1.0) < 1e-6:
        raise InputError(
            f"the {p.family.name} density integrates to {mass:.6g} at {p!r}, not to 1; see fisherfit.check_family"
        )
    return max(0.0, value)
