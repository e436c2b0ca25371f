"""Exponential families that a user declares, by two formulas: the maps between their parameters, numerically.

A family of one's own is an exponential family with natural parameters eta(theta) and sufficient statistics T(y) if
log f = eta(theta)'T(y) - A(theta) + log h(y). From the formulas `natural` and `sufficient` beside its log-density
follow A, up to the constant that h leaves free, E T by integration, and the inverse maps by Newton's method: that of
the expectation parameters minimises A(eta) - eta'e, a convex function of eta.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import InputError
from ..families import Family
from ..families.subject import plain_responses
from ..linalg import cholesky
from ..links import get_link
from .distribution import of
from .quadrature import integrate
from .regions import subject_of

__all__ = ["Declared", "declared"]

Array = np.ndarray
Theta = tuple[float, ...]
LINKS = {"real": "identity", "positive": "log", "unit": "logit", "nonnegative": "log"}
CLOSE = 1e-9  # of the log-densities: that they have the form that is declared


class Declared:
    """The maps of a declared exponential family."""

    def __init__(self, family: Family) -> None:
        self.family, self.subject = family, subject_of(family)
        self.size = len(family.parameters)
        self.links = [get_link(LINKS[support]) for support in family.parameters.values()]
        self.typical = self.subject.points(None)
        inside = [y for y in plain_responses(family.support) if self._known(y)]
        if len(inside) < 3:
            raise InputError(f"the {family.name} family has no responses at which its declared form can be checked")
        self.y0 = inside[0]
        self._check(inside)

    def _known(self, y: float) -> bool:
        return all(math.isfinite(self.subject.log_density(y, point)) for point in self.typical)

    def _check(self, responses: list[float]) -> None:
        """What is left of log f beside eta'T must be a sum of a function of theta and one of y."""
        rest = np.array([[self.subject.log_density(y, point) - float(self.natural(*point) @ self.statistics(y))
                          for y in responses] for point in self.typical])  # fmt: skip
        mixed = rest - rest[:1] - rest[:, :1] + rest[0, 0]
        if not np.abs(mixed).max() <= CLOSE * (1.0 + np.abs(rest).max()):
            i, j = np.unravel_index(int(np.argmax(np.nan_to_num(np.abs(mixed), nan=np.inf))), mixed.shape)
            raise InputError(
                f"the {self.family.name} family is no exponential family with the natural(...) and sufficient(y) that "
                f"it declares: its log-density differs from that form by {abs(mixed[i, j]):.2g} at "
                f"{self.subject.named(self.typical[i], responses[j])}"
            )

    def natural(self, *theta: float) -> Array:
        """eta(theta)."""
        return self._tuple("natural", *self.subject.arguments(theta))

    def statistics(self, y: float) -> Array:
        """T(y)."""
        return self._tuple("sufficient", y, *self.family.constants)

    def _tuple(self, name: str, *arguments: float) -> Array:
        try:
            found = np.atleast_1d(np.array(getattr(type(self.family), name)(*arguments), float))
        except (ArithmeticError, ValueError):
            found = np.full(self.size, np.nan)
        if found.shape != (self.size,):
            raise InputError(f"{name}(...) of the {self.family.name} family must return {self.size} numbers, one for "
                             f"each parameter, got shape {found.shape}")  # fmt: skip
        return found

    def at(self, theta: Theta) -> float:
        """A, such that h is 1 at `y0`."""
        return float(self.natural(*theta) @ self.statistics(self.y0)) - self.subject.log_density(self.y0, theta)

    def moments(self, theta: Theta) -> tuple[Array, Array]:
        """The mean and the covariance of T(y)."""
        rows, columns = np.triu_indices(self.size)
        middle = self.statistics(self.y0)

        def integrand(y: Array, logs: list[Array]) -> Array:
            f = np.exp(logs[0])
            t = np.zeros((self.size, y.size))
            if (f > 0.0).any():
                t[:, f > 0.0] = np.array([self.statistics(v) - middle for v in y[f > 0.0].tolist()]).T
            return np.concatenate([t * f, t[rows] * t[columns] * f])

        value = integrate([of(self.family, theta)], integrand).value
        mean, square = value[: self.size], np.zeros((self.size, self.size))
        square[rows, columns] = square[columns, rows] = value[self.size :]
        return mean + middle, square - np.outer(mean, mean)

    def _theta(self, x: Array) -> Theta | None:
        out = tuple(float(link.inverse(v)[0]) for link, v in zip(self.links, x.tolist(), strict=True))
        return out if all(math.isfinite(v) for v in out) else None

    def _slopes(self, x: Array) -> Array:
        """d eta / dx, by differences of sixth order in coordinates without bounds."""
        out = np.zeros((self.size, self.size))
        for k in range(self.size):
            h = 1e-2 * (1.0 + abs(float(x[k]))) if self.links[k].name == "identity" else 1e-2
            for times, weight in ((1, 0.75), (2, -0.15), (3, 1.0 / 60.0)):
                up, down = x.copy(), x.copy()
                up[k], down[k] = x[k] + times * h, x[k] - times * h
                a, b = self._theta(up), self._theta(down)
                out[:, k] += np.nan if a is None or b is None else weight / h * (self.natural(*a) - self.natural(*b))
        return out

    def _solve(self, height: Callable[[Theta], float], step: Callable[[Array, Theta], Array | None]) -> Theta | None:
        """The point where `step` ends, `height` falling on the way, from the first start that leads there."""
        for start in self.typical:
            x = np.array([float(link.forward(v)) for link, v in zip(self.links, start, strict=True)])
            here, theta = height(start), start
            for _ in range(200):
                d = step(x, theta)
                if d is None or not np.all(np.isfinite(d)):
                    break
                if float(np.abs(d).max()) <= 1e-13 * (1.0 + float(np.abs(x).max())):
                    return self._theta(x + d)
                t, slack = min(1.0, 3.0 / float(np.abs(d).max())), 1e-13 * (1.0 + abs(here))
                for _ in range(50):
                    there = self._theta(x + t * d)
                    now = math.inf if there is None or not self._inside(there) else height(there)
                    if there is not None and now <= here + slack:
                        break
                    t *= 0.5
                else:
                    break
                small = float(np.abs(t * d).max()) <= 1e-9 * (1.0 + float(np.abs(x).max()))
                if small and now >= here - slack and t == 1.0:  # rounding
                    return there
                x, here, theta = x + t * d, now, there
        return None

    def _inside(self, theta: Theta) -> bool:
        try:
            of(self.family, theta)
        except InputError:
            return False
        return True

    def from_natural(self, *values: float) -> Theta | None:
        """theta of natural parameters; None where none is found."""
        wanted = np.array(values)
        size = 1.0 + np.abs(wanted)

        def height(theta: Theta) -> float:
            gap = (self.natural(*theta) - wanted) / size
            value = float(gap @ gap)
            return value if value == value else math.inf

        def step(x: Array, theta: Theta) -> Array | None:
            slopes = self._slopes(x)
            if not np.isfinite(slopes).all():
                return None
            return np.asarray(np.linalg.lstsq(slopes, wanted - self.natural(*theta), rcond=None)[0])

        theta = self._solve(height, step)
        return theta if theta is not None and height(theta) <= 1e-18 else None

    def from_expectation(self, *values: float) -> Theta | None:
        """theta of expectation parameters; None where none is found."""
        wanted = np.array(values)
        known: dict[Theta, tuple[Array, Array]] = {}

        def moments(theta: Theta) -> tuple[Array, Array]:
            if theta not in known:
                known[theta] = self.moments(theta)
            return known[theta]

        def height(theta: Theta) -> float:
            value = self.at(theta) - float(self.natural(*theta) @ wanted)
            return value if value == value else math.inf

        def step(x: Array, theta: Theta) -> Array | None:
            mean, covariance = moments(theta)
            slopes, factor = self._slopes(x), cholesky(covariance)
            if factor is None or not np.isfinite(slopes).all():
                return None
            return np.asarray(np.linalg.lstsq(slopes, factor.solve(wanted - mean), rcond=None)[0])

        try:
            theta = self._solve(height, step)
            if theta is None:
                return None
            mean, covariance = moments(theta)
        except InputError:  # on the way to a member that there is none of
            return None
        close = np.abs(mean - wanted) <= 1e-8 * (np.sqrt(np.diag(covariance)) + np.abs(wanted))
        return theta if close.all() else None


@lru_cache(maxsize=64)
def declared(family: Family) -> Declared | None:
    """The maps of a family that declares `natural` and `sufficient`, checked; None for any other."""
    kind: Any = type(family)
    given = [name for name in ("natural", "sufficient") if callable(getattr(kind, name, None))]
    if not given:
        return None
    if len(given) == 1:
        missing = "sufficient(y)" if given[0] == "natural" else "natural(*theta)"
        raise InputError(f"the {family.name} family declares {given[0]} and not {missing}; an exponential family needs "
                         "both")  # fmt: skip
    return Declared(family)
