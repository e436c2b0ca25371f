"""The information of a family that is known by its log-density, at many neighbouring parameters.

An integral at every point of a path, with scores by extrapolated differences in plain Python, takes half a second
for three parameters. Here the log-density is compiled, scores are differences of eighth order over a fortieth of the
standard deviation that one response leaves of a parameter, and the quadrature rule found for one point serves its
neighbours, so that derivatives of the metric are free of its noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._jit import compile_kernel, is_own, source_stamp
from ..errors import InputError
from ..families import Family
from ..families._family import no_base
from ..families.differences import tupled
from .distribution import of
from .information import symmetric
from .quadrature import integrate
from .regions import subject_of

__all__ = ["Batched", "batched"]

Array = np.ndarray
Theta = tuple[float, ...]
SHORT = 0.025  # of the standard deviation
KEPT = 256  # points whose rules are kept
STENCIL = ((1, 0.8), (2, -0.2), (3, 4.0 / 105.0), (4, -1.0 / 280.0))
_known: dict[Any, Batched | None] = {}


class Batched:
    """A family with its log-density for many responses, and the information from it."""

    def __init__(self, family: Family) -> None:
        formulas = family.formulas()
        self.family, self.subject = family, subject_of(family)
        self.supports = tuple(family.parameters.values())
        self._log_density = _loop(tupled(formulas.objective), 0, family)
        self.point = _single(tupled(formulas.objective), family)
        given = "score" in self.subject.given
        self._score = _loop(tupled(formulas.score), len(self.supports), family) if given else None
        self._scale: Array | None = None
        self._kept: dict[Theta, tuple[Array, Array, Array, Array]] = {}

    def log_density(self, y: Array, theta: Theta) -> Array:
        """At every response; not a number outside the support of a parameter."""
        return self._log_density(y, self.subject.arguments(theta))[0]

    def scores(self, y: Array, theta: Theta, steps: Array) -> Array:
        """(K, n)."""
        if self._score is not None:
            return self._score(y, self.subject.arguments(theta))
        out = np.zeros((len(theta), y.size))
        for k, h in enumerate(steps.tolist()):
            for times, weight in STENCIL:
                up, down = (_moved(theta, k, sign * times * h) for sign in (1.0, -1.0))
                out[k] += weight / h * (self.log_density(y, up) - self.log_density(y, down))
        return out

    def steps(self, theta: Theta, scale: Array) -> Array:
        """Steps that stay well inside the supports."""
        room = [{"real": np.inf, "unit": min(v, 1.0 - v)}.get(s, v) for v, s in zip(theta, self.supports, strict=True)]
        return np.minimum(SHORT * scale, 0.05 * np.array(room))

    def near(self, theta: Theta, others: list[Theta]) -> Array:
        """The information at a point and at others close by, (1 + len(others), K, K)."""
        found, steps, y, weight = self._found(theta)
        out = [found]
        for other in others:
            with np.errstate(all="ignore"):
                f = weight * np.exp(self.log_density(y, other))
                s = np.where(f > 0.0, self.scores(y, other, steps), 0.0)
            out.append((s * np.where(f > 0.0, f, 0.0)) @ s.T)
        return np.array(out)

    def divergence(self, theta: Theta, other: Theta) -> float:
        """The Kullback-Leibler divergence by the rule of the first point; infinite where the second has no density."""
        _, _, y, weight = self._found(theta)
        with np.errstate(all="ignore"):
            lp, lq = self.log_density(y, theta), self.log_density(y, other)
            terms = np.where(np.exp(lp) > 0.0, weight * np.exp(lp) * (lp - lq), 0.0)
        value = float(terms.sum())
        return value if value == value else np.inf

    def _found(self, theta: Theta) -> tuple[Array, Array, Array, Array]:
        """The information at a point, the steps of the scores, and the rule; the last ones are kept."""
        if theta not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[theta] = self._integral(theta)
        return self._kept[theta]

    def _integral(self, theta: Theta) -> tuple[Array, Array, Array, Array]:
        size = len(theta)
        rows, columns = np.triu_indices(size)
        scale = np.array(
            [0.1 * (1.0 + abs(v)) if s == "real" else v for v, s in zip(theta, self.supports, strict=True)]
        )
        scale = scale if self._scale is None else self._scale
        p, fast = of(self.family, theta), At(self, theta)

        for _ in range(4):
            steps, rule = self.steps(theta, scale), list[tuple[Array, Array]]()

            def integrand(y: Array, logs: list[Array], steps: Array = steps) -> Array:
                f, s = np.exp(logs[0]), self.scores(y, theta, steps)
                s = np.where(f > 0.0, s, 0.0)
                return np.concatenate([s[rows] * s[columns] * f, f[None]])

            value = integrate([p], integrand, tolerance=1e-11, rule=rule, fast=fast).value
            if not abs(float(value[-1]) - 1.0) < 1e-6:
                mass = f"the {self.family.name} density integrates to {value[-1]:.6g} at {p!r}"
                raise InputError(f"{mass}, not to 1; see fisherfit.check_family")
            found = symmetric(value[:-1], size)
            new = 1.0 / np.sqrt(np.diag(found))
            if self._score is not None or np.all((new > 0.4 * scale) & (new < 2.5 * scale)):
                break
            scale = new
        self._scale = new
        y, weight = (np.concatenate(part) for part in zip(*rule, strict=True))
        return found, steps, y, weight


class At:
    """The log-density at one point, of many responses and of one; minus infinity outside the support."""

    def __init__(self, owner: Batched, theta: Theta) -> None:
        self.owner, self.theta, self.arguments = owner, theta, owner.subject.arguments(theta)
        self.lower, self.upper = owner.family.support.lower, owner.family.support.upper

    def many(self, y: Array) -> Array:
        """Of an array of responses."""
        with np.errstate(all="ignore"):
            return np.where((y >= self.lower) & (y <= self.upper), self.owner.log_density(y, self.theta), -np.inf)

    def one(self, y: float) -> float:
        """Of one response; minus infinity also where it is no number."""
        if y < self.lower or y > self.upper:
            return -np.inf
        value = float(self.owner.point(y, self.arguments))
        return value if value < np.inf else -np.inf


def batched(family: Family) -> Batched | None:
    """The compiled form of a user's family; None where its formulas cannot be compiled, or are the library's own."""
    key = (type(family), family.constants)
    if key not in _known:
        _known[key] = None
        if family.formulas().base is no_base:
            try:
                found = Batched(family)
                half = (0.5,) * len(family.parameters)
                found.log_density(np.zeros(1), half)
                found.point(0.0, found.subject.arguments(half))
                if found._score is not None:
                    found.scores(np.zeros(1), half, np.ones(len(half)))
                _known[key] = found
            except Exception:  # the compiler's, of whatever kind: plain Python does it
                pass
    return _known[key]


def _loop(formula: Callable[..., Any], size: int, family: Family) -> Callable[..., Array]:
    """A formula of (y, theta) as one of many responses: (1, n), or (size, n) of a tuple-valued one."""
    stamp = source_stamp() if is_own(type(family)) else ""
    if size:

        def rows(y, theta, out):
            stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
            for i in range(y.size):
                values = formula(y[i], theta)
                for k in range(len(values)):
                    out[k, i] = values[k]
    else:

        def rows(y, theta, out):
            stamp  # noqa: B018
            for i in range(y.size):
                out[0, i] = formula(y[i], theta)

    kernel = _compiled(rows, family, "scores" if size else "densities")

    def call(y: Array, theta: Theta) -> Array:
        out = np.empty((max(size, 1), y.size))
        kernel(np.ascontiguousarray(y, float), tuple(map(float, theta)), out)
        return out

    return call


def _compiled(function: Callable[..., Any], family: Family, name: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = f"geometry_{name}_{family.name}"
    return compile_kernel(function, is_own(type(family)))


def _single(formula: Callable[..., Any], family: Family) -> Callable[..., Any]:
    """A formula of (y, theta) for one response."""
    stamp = source_stamp() if is_own(type(family)) else ""

    def point(y, theta):
        stamp  # noqa: B018
        return formula(y, theta)

    return _compiled(point, family, "density")


def _moved(theta: Theta, k: int, h: float) -> Theta:
    return (*theta[:k], theta[k] + h, *theta[k + 1 :])
