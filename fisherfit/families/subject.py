"""A family as its checker sees it: formulas as functions of a response and a point, one number a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..elementary import TINY
from ..errors import InputError
from ._family import Family, Support
from .numerics import Law, central, differentiate, integral, listed

__all__ = ["Estimate", "Point", "Subject", "plain_responses"]

Point = tuple[float, ...]
Estimate = tuple[float, float]  # a value and its error
VALUES = {
    "real": (0.4, -1.3, 2.2),
    "positive": (1.1, 0.3, 4.0),
    "nonnegative": (0.6, 0.05, 2.5),
    "unit": (0.3, 0.55, 0.9),
}


@dataclass(frozen=True, eq=False)
class Subject:
    """A family with its formulas as functions of (y, point), a point being one number a parameter."""

    family: Family
    supports: tuple[str, ...]
    given: dict[str, Callable[..., Any]]
    objective: Callable[..., float]
    base: Callable[..., tuple[float, float, float]]

    @classmethod
    def of(cls, family: Family) -> Subject:
        formulas, kind = family.formulas(), type(family)
        given: dict[str, Any] = {
            "score": None if formulas.noise is not None else formulas.score,
            "observed": formulas.observed if hasattr(kind, "observed") else None,
            # with several parameters, formulas() of its own may hold an approximation for the steps
            "fisher": getattr(kind, "fisher", None) or (formulas.fisher if len(family.parameters) == 1 else None),
        }
        given = {name: formula for name, formula in given.items() if formula is not None}
        return cls(family, tuple(family.parameters.values()), given, formulas.objective, formulas.base)

    def arguments(self, point: Point) -> Point:
        """The point as formulas take it: p and 1 - p for a parameter of the unit interval, then the constants."""
        out: list[float] = []
        for value, support in zip(point, self.supports, strict=True):
            out += [value, 1.0 - value] if support == "unit" else [value]
        return (*out, *self.family.constants)

    def log_density(self, y: float, point: Point) -> float:
        """The complete log-density at dispersion 1; NaN where Python raises, as compiled code has it."""
        try:
            value = self.objective(y, *self.arguments(point)) + self.base(y, 1.0, *self.family.constants)[0]
            return float(value)
        except (ArithmeticError, ValueError):
            return math.nan

    def formula(self, name: str, y: float, point: Point) -> Point:
        """A given formula at a point; NaN where Python raises."""
        arguments = self.arguments(point)
        try:
            return tuple(map(float, self.given[name](*(arguments if name == "fisher" else (y, *arguments)))))
        except (ArithmeticError, ValueError):
            return (math.nan,) * self.size(name)

    def size(self, name: str) -> int:
        """How many numbers a formula returns."""
        k = len(self.supports)
        return k if name == "score" else k * (k + 1) // 2

    def reach(self, point: Point, k: int) -> float:
        """How far a parameter may move from a point without leaving its support."""
        value = point[k]
        return {"real": abs(value) + 4.0, "unit": 0.5 * min(value, 1.0 - value)}.get(self.supports[k], 0.5 * value)

    def named(self, point: Point, y: float | None = None, part: int | None = None) -> str:
        """Where: "y = 1, mu = 2"."""
        parts = [] if y is None else [f"y = {y:.6g}"]
        parts += [f"{name} = {value:.6g}" for name, value in zip(self.family.parameters, point, strict=True)]
        return ", ".join(parts) + ("" if part is None else f" (number {part} of the tuple)")

    def points(self, theta: Sequence[Any] | None) -> list[Point]:
        """The parameters to check at."""
        k, names = len(self.supports), list(self.family.parameters)
        if theta is None:
            return [tuple(VALUES[s][(i + j) % 3] for j, s in enumerate(self.supports)) for i in range(3)]
        rows = [np.atleast_1d(np.asarray(row, float)) for row in theta]
        if not rows or any(row.shape != (k,) or not np.isfinite(row).all() for row in rows):
            raise InputError(f"theta: give points of ({', '.join(names)}), one number each, finite")
        for row in rows:
            for name, value, support in zip(names, row, self.supports, strict=True):
                low = {"real": -math.inf, "nonnegative": -TINY}.get(support, 0.0)
                if not low < value < (1.0 if support == "unit" else math.inf):
                    raise InputError(f"theta: {name} = {value:g} lies outside its support, {support!r}")
        return [tuple(map(float, row)) for row in rows]

    def responses(self, y: Sequence[float]) -> list[float]:
        """The responses of the user, checked."""
        values = np.asarray(y, float).ravel()
        outside = ~np.isfinite(values) | self.family.support.outside(values)
        if not values.size or outside.any():
            what = f"y = {values[outside][0]:g}" if values.size else "no y"
            raise InputError(f"y: {what}, but the {self.family.name} family needs y to be {self.family.support}")
        return [float(v) for v in values]

    def slopes(self, y: float, point: Point) -> list[Estimate]:
        """The derivatives of the log-density."""
        return [self._slope(point, k, lambda t: self.log_density(y, t))[:2] for k in range(len(point))]

    def curvatures(self, y: float, point: Point, by_score: bool) -> list[Estimate]:
        """Minus the second derivatives, upper triangle by rows: differences of the score or of differences."""
        found = {}
        for m in range(len(point)):
            _, _, h = self._slope(point, m, lambda t: self.log_density(y, t))
            for k in range(m + 1):
                value, error, _ = self._slope(point, k, self._component(y, m, None if by_score else h))
                found[k, m] = (-value, error)
        return [found[at] for at in sorted(found)]

    def _component(self, y: float, m: int, h: float | None) -> Callable[[Point], float]:
        """The m-th component of the score as a function of the point: the formula, or differences with step h."""
        if h is None:
            return lambda point: self.formula("score", y, point)[m]
        return lambda point: central(self._along(point, m, lambda t: self.log_density(y, t)), point[m], h)

    def _slope(self, point: Point, k: int, function: Callable[[Point], float]) -> tuple[float, float, float]:
        return differentiate(self._along(point, k, function), point[k], self.reach(point, k))

    @staticmethod
    def _along(point: Point, k: int, function: Callable[[Point], float]) -> Callable[[float], float]:
        """A function of a point as one of its k-th parameter."""
        return lambda t: function((*point[:k], t, *point[k + 1 :]))

    def law(self, point: Point) -> Law | None:
        """The density at a point as a `Law`; None where it cannot be found."""
        support = self.family.support
        density = lambda y: self.log_density(y, point)  # noqa: E731
        if self.family.takes_trials:  # at dispersion 1 there is one trial
            return listed(np.array([0.0, 1.0]), density)
        if support.integer:
            if not math.isfinite(support.lower):
                return None
            y = np.arange(support.lower, min(support.upper, support.lower + 20_000.0) + 1.0)
            size = 64
            while True:
                some = listed(y[:size], density)
                top, last = float(some.weight.max()), float(some.weight[-1])
                if top > 0.0 and (last <= 1e-17 * top or size > support.upper - support.lower):
                    return some
                if size >= y.size:
                    return None
                size *= 4
        try:
            centre = float(self.family.mean(*point))
        except Exception:  # the user's code; its own check reports it
            centre = point[0]
        if math.isfinite(self.family.period):
            turn = 0.5 * self.family.period
            support = Support(centre - turn, centre + turn, lower_open=True, upper_open=True)
        law: Law | None = integral(support, density, centre)
        atoms = [end for end, is_open in ((support.lower, support.lower_open), (support.upper, support.upper_open))
                 if math.isfinite(end) and not is_open and math.isfinite(density(end))]  # fmt: skip
        if law is None or not atoms or abs(law.total - 1.0) < 1e-5:
            return law
        masses = np.exp([density(end) for end in atoms])  # ends of the support may have probabilities of their own
        if abs(law.total + masses.sum() - 1.0) > abs(law.total - 1.0):
            return law
        first = sum(end == support.lower for end in atoms)
        y, w = np.insert(law.y, 0, atoms[:first]), np.insert(law.weight, 0, masses[:first])
        coarse_y, coarse_w = np.insert(law.coarse_y, 0, atoms[:first]), np.insert(law.coarse_weight, 0, masses[:first])
        return Law(np.r_[y, atoms[first:]], np.r_[w, masses[first:]], np.r_[coarse_y, atoms[first:]],
                   np.r_[coarse_w, masses[first:]], (law.ends[0], law.ends[1] + first),
                   (first, first + law.y.size - 1))  # fmt: skip


def plain_responses(support: Support) -> list[float]:
    """Responses across a support, away from its ends."""
    low, high = support.lower, support.upper
    if support.integer:
        start = low if math.isfinite(low) else min(-3.0, high - 20.0)
        return [v for v in (start + i for i in (0.0, 1.0, 2.0, 5.0, 17.0, 60.0)) if v <= high]
    if math.isfinite(low) and math.isfinite(high):
        return [low + f * (high - low) for f in (0.31, 0.5, 0.83, 0.07, 0.95, 1e-6, 1.0 - 1e-6)]
    if math.isfinite(low):
        return [low + v for v in (0.7, 1.9, 6.0, 0.05, 40.0, 1e-6)]
    if math.isfinite(high):
        return [high - v for v in (0.7, 1.9, 6.0, 0.05, 40.0, 1e-6)]
    return [0.2, -0.3, 1.7, -4.1, 8.0, -60.0]
