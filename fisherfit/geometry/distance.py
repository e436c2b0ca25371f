"""The Fisher-Rao distance and its geodesics.

The Fisher information is a metric on the parameters (Rao, 1945). A family of one parameter is a line, whose length is
the integral of sqrt(F). The normal family, Student's t and the inverse Gaussian are hyperbolic half-planes: in the
coordinates of `_half_plane` the metric is k (dx^2 + dy^2) / y^2. Elsewhere geodesics are found numerically
(:mod:`fisherfit.geometry.paths`). Sources: Atkinson & Mitchell (1981), Rao's distance measure, Sankhya A 43,
345-365; Amari (2016), Information Geometry and Its Applications; Nielsen (2020), An elementary introduction to
information geometry, Entropy 22, 1100.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import asin, asinh, hypot, sin, sinh, sqrt
from typing import Any

import numpy as np
from scipy import optimize

from ..errors import InputError
from ..families import (
    Binomial,
    Family,
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    Tweedie,
)
from ..families.dispersed import Dispersed
from .distribution import Distribution, coordinates_of, of
from .divergences import both
from .models import BinomialCount, NormalScale
from .paths import find_geodesic, line_between, line_length

__all__ = ["fisher_rao_distance", "geodesic"]

Scale = tuple[Callable[[float], float], Callable[[float], float]]


def fisher_rao_distance(p: Distribution, q: Distribution) -> float:
    """The length of the shortest path of distributions from p to q, measured by the Fisher information.

    A closed form for families of one parameter, and for the normal, Student t and inverse Gaussian families with
    their scale; for others the geodesic is found numerically, to a relative 1e-7 of its length or better.

    Parameters
    ----------
    p, q : Distribution
        Of one family, with the same constants.

    Returns
    -------
    float

    Raises
    ------
    InputError
        For distributions of two families.

    Examples
    --------
    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("poisson", mu=mu) for mu in (1.0, 9.0))
    >>> ff.geometry.fisher_rao_distance(p, q)     # 2 |sqrt(mu1) - sqrt(mu2)|
    4.0
    """
    family, a, b = _together(p, q)
    if a == b:
        return 0.0
    if len(a) == 1:
        scale = _scale(family)
        return line_length(family, a[0], b[0]) if scale is None else abs(scale[0](a[0]) - scale[0](b[0]))
    plane = _half_plane(family)
    if plane is not None:
        k, to, _ = plane
        (x, y), (u, v) = to(*a), to(*b)
        return sqrt(k) * _hyperbolic(x, y, u, v)
    return find_geodesic(family, a, b).length


def geodesic(p: Distribution, q: Distribution, n: int = 50) -> list[Distribution]:
    """Points of the shortest path from p to q, at equal Fisher-Rao distances.

    Parameters
    ----------
    p, q : Distribution
        Of one family, with the same constants.
    n : int, default 50
        The number of points, both ends included.

    Returns
    -------
    list of Distribution

    Examples
    --------
    Between two normal distributions of one scale, the path leads over wider ones:

    >>> import fisherfit as ff
    >>> p, q = (ff.geometry.Distribution("normal", mu=mu, sigma=1.0) for mu in (-2.0, 2.0))
    >>> ff.geometry.geodesic(p, q, 3)[1]
    Distribution(NormalScale(), mu=0, sigma=1.73205)
    """
    family, a, b = _together(p, q)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise InputError(f"n must be a whole number of at least 2, got {n!r}")
    share = np.linspace(0.0, 1.0, int(n))
    plane = _half_plane(family) if len(a) == 2 else None
    if a == b:
        points: Any = [a] * share.size
    elif len(a) == 1:
        points = _along_line(family, a[0], b[0], share)
    elif plane is not None:
        points = _along_half_plane(plane, a, b, share)
    else:
        points = find_geodesic(family, a, b).at(share)
    ends = [of(family, a), of(family, b)]
    return [ends[0], *(of(family, theta) for theta in points[1:-1]), ends[1]]


def _together(p: Distribution, q: Distribution) -> tuple[Family, tuple[float, ...], tuple[float, ...]]:
    """The family of both, with their parameters."""
    both(p, q)
    if p.family == q.family:
        return p.family, p.theta, q.theta
    a, b = coordinates_of(p), coordinates_of(q)
    if a and b and type(a[0]) is type(b[0]) is Normal:
        return NormalScale(), (a[1], sqrt(a[2])), (b[1], sqrt(b[2]))
    raise InputError(f"p and q belong to {p.family!r} and {q.family!r}: no path of one family joins them")


def _scale(family: Any) -> Scale | None:
    """A coordinate of a family of one parameter in which F is 1, and its inverse."""
    if isinstance(family, NegativeBinomial) and family.alpha:
        root = sqrt(family.alpha)
        return lambda m: 2.0 / root * asinh(root * sqrt(m)), lambda s: (sinh(0.5 * root * s) / root) ** 2
    if isinstance(family, (Poisson, NegativeBinomial)):
        return lambda m: 2.0 * sqrt(m), lambda s: 0.25 * s * s
    if isinstance(family, (Binomial, BinomialCount)):
        n = sqrt(getattr(family, "trials", 1.0))
        return lambda p: 2.0 * n * asin(sqrt(p)), lambda s: sin(0.5 * s / n) ** 2
    if isinstance(family, Gamma):
        return math.log, math.exp
    if isinstance(family, Normal):
        return float, float
    powers = 3.0 if isinstance(family, InverseGaussian) else family.power if isinstance(family, Tweedie) else None
    if powers is None:
        return None
    r = 1.0 - 0.5 * powers
    return lambda m: m**r / r, lambda s: (r * s) ** (1.0 / r)


def _half_plane(family: Any) -> tuple[float, Callable[..., Any], Callable[..., Any]] | None:
    """(k, map to (x, y), its inverse), the metric being k (dx^2 + dy^2) / y^2; None for other families."""
    if isinstance(family, StudentT):
        k, ratio = 2.0 * family.df / (family.df + 3.0), sqrt((family.df + 1.0) / (2.0 * family.df))
        return k, lambda mu, s: (mu * ratio, s), lambda x, y: (x / ratio, y)
    if isinstance(family, NormalScale):
        return 2.0, lambda mu, s: (mu / sqrt(2.0), s), lambda x, y: (x * sqrt(2.0), y)
    of_family = getattr(family, "of", None) if isinstance(family, Dispersed) else None
    if isinstance(of_family, Normal):
        return 2.0, lambda mu, phi: (mu / sqrt(2.0), sqrt(phi)), lambda x, y: (x * sqrt(2.0), y * y)
    if isinstance(of_family, InverseGaussian):
        return 2.0, lambda mu, phi: (sqrt(2.0 / mu), sqrt(phi)), lambda x, y: (2.0 / x / x, y * y)
    return None


def _hyperbolic(x: float, y: float, u: float, v: float) -> float:
    """The distance in the half-plane with metric (dx^2 + dy^2) / y^2."""
    return 2.0 * asinh(0.5 * hypot(x - u, y - v) / sqrt(y) / sqrt(v))


def _along_line(family: Family, a: float, b: float, share: np.ndarray) -> list[tuple[float, ...]]:
    scale = _scale(family)
    if scale is not None:
        to, back = scale
        return [(back(to(a) + t * (to(b) - to(a))),) for t in share.tolist()]
    length = line_between(family, a, b)
    whole = length(b)

    def point(t: float) -> tuple[float, ...]:
        if t in (0.0, 1.0):
            return (b if t else a,)
        return (float(optimize.brentq(lambda c: length(c) - t * whole, a, b, xtol=1e-14, rtol=1e-14)),)

    return [point(t) for t in share.tolist()]


def _along_half_plane(plane: Any, a: Any, b: Any, share: np.ndarray) -> list[tuple[float, ...]]:
    """On the hyperboloid, whose coordinates (1, x, x^2 + y^2) / y a geodesic combines by sinh."""
    _, to, back = plane
    (x, y), (u, v) = to(*a), to(*b)
    d, far = _hyperbolic(x, y, u, v), u - x
    out = []
    for t in share.tolist():
        s, e = (sinh((1.0 - t) * d), sinh(t * d)) if d > 1e-8 else (1.0 - t, t)
        top = s / y + e / v
        height = sinh(d) if d > 1e-8 else 1.0
        out.append(back(x + (e / v * far) / top, height / top))
    return out
