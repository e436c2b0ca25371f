"""Coordinates in which geodesics are sought: without bounds, and smooth where the family's own are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import atan2, cos, hypot, log, pi, sin
from typing import NamedTuple

import numpy as np

from ..bessel import bessel_ratio
from ..families import Family, NegativeBinomial, Tweedie, VonMises
from ..families.dispersed import Dispersed
from ..links import get_link
from .batched import batched
from .distribution import of
from .information import fisher_by_integral, information
from .regions import subject_of
from .surrogate import curve

__all__ = ["View", "has_formula", "views_of"]

Array = np.ndarray
Theta = tuple[float, ...]


class View(NamedTuple):
    """Both ends in the coordinates, the parameters of a point, and the metric at many points: (m, K) to (m, K, K).

    `near`, where there is one, gives the metric at a point and at others close by, (K,) and (r, K) to (1 + r, K, K), at
    once: differences between them are then free of the noise of integrals.
    """

    start: Array
    end: Array
    back: Callable[[Array], Theta]
    metric: Callable[[Array], Array]
    near: Callable[[Array, Array], Array] | None = None

    def around(self, x: Array, g: Array, moves: Array) -> Array:
        """The metric at points moved, (m, K) and (m, r, K) to (m, r, K, K), g being that at the points."""
        points = x[:, None, :] + moves
        if self.near is None:
            m, r, size = moves.shape
            return self.metric(points.reshape(m * r, size)).reshape(m, r, size, size)
        out = np.empty((*moves.shape, moves.shape[2]))
        for i, others in enumerate(points):
            found = self.near(x[i], others)
            out[i] = found[1:] + (g[i] - found[0])
        return out


def has_formula(family: Family) -> bool:
    """True where the information is a formula, or made into one, and so costs little."""
    if isinstance(family, Dispersed) and isinstance(family.of, Tweedie):
        return True
    return "fisher" in subject_of(family).given or isinstance(family, NegativeBinomial)


def views_of(family: Family, a: Theta, b: Theta, margin: float = 1.0) -> list[View]:
    """The coordinates to try; the shortest of the paths found is the geodesic. `margin` is for interpolants."""
    if isinstance(family, Dispersed) and isinstance(family.of, Tweedie):
        return [_tweedie(family, a, b, margin)]
    if isinstance(family, VonMises):
        return [_polar(a, b), _cartesian(a, b)]
    return [_linked(family, a, b)]


def _at(family: Family, theta: Theta) -> Array:
    return information(family, theta) if has_formula(family) else fisher_by_integral(of(family, theta), 1e-10)


def _linked(family: Family, a: Theta, b: Theta) -> View:
    """log of what is positive, logit of what lies between 0 and 1."""
    names = {"real": "identity", "positive": "log", "unit": "logit", "nonnegative": "log"}
    links = [get_link(names[support]) for support in family.parameters.values()]
    for k, support in enumerate(family.parameters.values()):
        if support == "nonnegative" and min(a[k], b[k]) == 0.0:
            links[k] = get_link("identity")
    supports = list(family.parameters.values())
    fast = None if has_formula(family) else batched(family)

    def back(x: Array) -> Theta:
        out = [float(link.inverse(v)[0]) for link, v in zip(links, x.tolist(), strict=True)]
        return tuple(abs(v) if s == "nonnegative" else v for v, s in zip(out, supports, strict=True))

    def slopes(x: Array) -> Array:
        d = np.array([link.inverse(v)[2] for link, v in zip(links, x.tolist(), strict=True)])
        return d * d[:, None]

    def metric(points: Array) -> Array:
        out = np.empty((len(points), len(links), len(links)))
        for i, x in enumerate(points):
            g = _at(family, back(x)) if fast is None else fast.near(back(x), [])[0]
            out[i] = g * slopes(x)
        return out

    def near(x: Array, others: Array) -> Array:
        assert fast is not None
        found = fast.near(back(x), [back(other) for other in others])
        return found * np.array([slopes(point) for point in (x, *others)])

    start, end = (np.array([float(link.forward(v)) for link, v in zip(links, t, strict=True)]) for t in (a, b))
    return View(start, end, back, metric, None if fast is None else near)


def _tweedie(family: Dispersed, a: Theta, b: Theta, margin: float) -> View:
    """(log mu, log phi): y / mu has a law of psi = phi mu^(power - 2) alone, and so has the information."""
    r = family.of.power - 2.0  # type: ignore[attr-defined]

    fast = batched(family)

    def second(log_psi: float) -> float:
        theta = 1.0, math.exp(log_psi)
        found = fisher_by_integral(of(family, theta), 1e-10) if fast is None else fast.near(theta, [])[0]
        return float(found[1, 1]) * theta[1] * theta[1]

    ends = [np.log(t) for t in (a, b)]
    reach = [float(x[1] + r * x[0]) for x in ends]
    smooth = curve(second, min(reach) - margin, max(reach) + margin)

    def metric(points: Array) -> Array:
        log_psi = points[:, 1] + r * points[:, 0]
        out = np.zeros((len(points), 2, 2))
        out[:, 0, 0], out[:, 1, 1] = np.exp(-log_psi), smooth(log_psi)
        return out

    return View(ends[0], ends[1], lambda x: (math.exp(float(x[0])), math.exp(float(x[1]))), metric)


def _polar(a: Theta, b: Theta) -> View:
    """(mu, log kappa), mu turning the shorter way."""
    turn = math.remainder(b[0] - a[0], 2.0 * pi)

    def metric(points: Array) -> Array:
        out = np.zeros((len(points), 2, 2))
        for i, (_, x) in enumerate(points.tolist()):
            kappa = math.exp(x)
            ratio, _, slope = bessel_ratio(kappa)
            out[i, 0, 0], out[i, 1, 1] = kappa * ratio, kappa * slope * kappa
        return out

    return View(np.array([a[0], log(a[1])]), np.array([a[0] + turn, log(b[1])]),
                lambda x: (float(x[0]), math.exp(float(x[1]))), metric)  # fmt: skip


def _cartesian(a: Theta, b: Theta) -> View:
    """Natural parameters kappa (cos mu, sin mu), for paths near or across the uniform distribution."""

    def metric(points: Array) -> Array:
        out = np.empty((len(points), 2, 2))
        for i, x in enumerate(points):
            kappa = max(hypot(*x.tolist()), 1e-12)
            ratio, _, slope = bessel_ratio(kappa)
            along = np.outer(x, x) / kappa / kappa
            out[i] = slope * along + ratio / kappa * (np.eye(2) - along)
        return out

    ends = [np.array([t[1] * cos(t[0]), t[1] * sin(t[0])]) for t in (a, b)]
    return View(ends[0], ends[1], lambda x: (atan2(float(x[1]), float(x[0])), max(hypot(*x.tolist()), 1e-300)), metric)
