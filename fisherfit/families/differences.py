"""Derivatives of a log-density by Richardson's extrapolation of central differences, with their errors.

For families that are given by their log-density only. The step begins at a tenth of the distance to the edge of the
parameter's support (on the real line: of |theta| + |y - theta|) and is halved; the differences are extrapolated to
step 0 in a triangular table, and the entry whose estimated error is least is taken. The estimate is the larger of
the change between neighbours in the table and of what rounding of the log-density does to the difference.
Source: Ridders (1982), Advances in Engineering Software 4, 75-76.

Functions built here take (y, theta), theta the tuple of all other arguments: compiled code has no tuple slices, so
tuples are rebuilt element by element.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np

EPS = 2.220446049250313e-16
LEVELS = 20  # halvings: steps from 0.1 to 2e-7 of the scale, for densities that are much narrower than it
Formula = Callable[..., Any]


def tupled(formula: Formula) -> Formula:
    """A formula of (y, *arguments) as one of y and the tuple of the others."""
    if getattr(formula, "takes_tuple", False):
        return formula

    def taking_tuple(y, theta):
        return formula(y, *theta)

    taking_tuple.takes_tuple = True  # type: ignore[attr-defined]
    return taking_tuple


def numerical_score(log_density: Formula, supports: tuple[str, ...], fields: int, part: int = 0) -> Formula:
    """The score of a log-density (part 0), or the estimated errors of that score (part 1)."""
    size = _arguments(supports) + fields
    given = tupled(log_density)
    heads = [_part(_limit(_first(plan, size, given), _step(plan)), part) for plan in _plan(supports)]
    return _tuple_of(heads)


def numerical_observed(log_density: Formula, score: Formula | None, supports: tuple[str, ...], fields: int) -> Formula:
    """Minus the second derivatives, upper triangle by rows, of a log-density or of its score."""
    size, plans = _arguments(supports) + fields, _plan(supports)
    given = tupled(log_density)
    heads = []
    for k, first in enumerate(plans):
        for m in range(k, len(plans)):
            if score is not None:
                difference = _first(first, size, _component(tupled(score), m))
            elif k == m:
                difference = _second(first, size, given)
            else:
                difference = _mixed(first, plans[m], size, given)
            heads.append(_negative(_part(_limit(difference, _step(first)), 0)))
    return _tuple_of(heads)


def _plan(supports: tuple[str, ...]) -> list[tuple[int, str]]:
    """Position of every parameter among the scalar arguments (a unit parameter takes two), and its support."""
    out, at = [], 0
    for support in supports:
        out.append((at, support))
        at += 2 if support == "unit" else 1
    return out


def _arguments(supports: tuple[str, ...]) -> int:
    """How many numbers the parameters reach a formula as."""
    return sum(2 if support == "unit" else 1 for support in supports)


def _step(plan: tuple[int, str]) -> Formula:
    """The first step for a parameter."""
    at, support = plan
    if support == "real":

        def step(y, theta):
            scale = abs(theta[at]) + abs(y - theta[at])
            return 0.1 * scale if scale > 0.0 else 0.1
    elif support == "unit":

        def step(y, theta):
            return 0.1 * min(theta[at], theta[at + 1])
    else:

        def step(y, theta):
            return 0.1 * theta[at] if theta[at] > 0.0 else 1e-8

    return step


def _moved(k: int, rate: float, tail: Formula | None) -> Formula:
    """The elements of theta from k on, the first of them moved by rate * h."""
    if tail is None:

        def moved(theta, h):
            return (theta[k] + rate * h,)
    else:

        def moved(theta, h):
            return (theta[k] + rate * h,) + tail(theta, h)  # noqa: RUF005  (Numba has no starred tuple displays)

    return moved


def _shift(plan: tuple[int, str], size: int) -> Formula:
    """theta with one parameter moved by h (and the complement of a unit parameter by -h)."""
    at, support = plan
    out: Formula | None = None
    for k in reversed(range(size)):
        out = _moved(k, 1.0 if k == at else -1.0 if support == "unit" and k == at + 1 else 0.0, out)
    assert out is not None
    return out


def _first(plan: tuple[int, str], size: int, function: Formula) -> Formula:
    shift = _shift(plan, size)

    def first(y, theta, h):
        a, b = function(y, shift(theta, h)), function(y, shift(theta, -h))
        return 0.5 * (a - b) / h, EPS * (abs(a) + abs(b)) / h

    return first


def _second(plan: tuple[int, str], size: int, function: Formula) -> Formula:
    shift = _shift(plan, size)

    def second(y, theta, h):
        a, b, c = function(y, shift(theta, h)), function(y, shift(theta, 0.0)), function(y, shift(theta, -h))
        return ((a - b) + (c - b)) / h / h, 2.0 * EPS * (abs(a) + 2.0 * abs(b) + abs(c)) / h / h

    return second


def _mixed(plan: tuple[int, str], other: tuple[int, str], size: int, function: Formula) -> Formula:
    shift, shift_other, step, step_other = _shift(plan, size), _shift(other, size), _step(plan), _step(other)

    def mixed(y, theta, h):
        k = step_other(y, theta) * (h / step(y, theta))
        up, down = shift(theta, h), shift(theta, -h)
        a, b = function(y, shift_other(up, k)), function(y, shift_other(up, -k))
        c, d = function(y, shift_other(down, k)), function(y, shift_other(down, -k))
        return 0.25 * ((a - b) - (c - d)) / h / k, EPS * (abs(a) + abs(b) + abs(c) + abs(d)) / h / k

    return mixed


def _limit(difference: Formula, step: Formula) -> Formula:
    """The limit of a difference as its step goes to 0, and its estimated error."""

    def limit(y, theta):
        h = step(y, theta)
        row = np.empty(LEVELS)
        best, error = nan, inf
        for k in range(LEVELS):
            value, rounding = difference(y, theta, h)
            factor = 1.0
            for j in range(k + 1):
                before = row[j]
                row[j] = value
                if j == k:
                    break
                factor *= 4.0
                better = value + (value - before) / (factor - 1.0)
                estimate = max(abs(better - value), abs(better - before), rounding)
                if estimate < error:
                    best, error = better, estimate
                value = better
            h *= 0.5
        return best, error

    return limit


def _part(pair: Formula, part: int) -> Formula:
    def chosen(y, theta):
        return pair(y, theta)[part]

    return chosen


def _component(function: Formula, index: int) -> Formula:
    def component(y, theta):
        return function(y, theta)[index]

    return component


def _negative(function: Formula) -> Formula:
    def negative(y, theta):
        return -function(y, theta)

    return negative


def _chain(head: Formula, tail: Formula | None) -> Formula:
    if tail is None:

        def chained(y, theta):
            return (head(y, theta),)
    else:

        def chained(y, theta):
            return (head(y, theta),) + tail(y, theta)  # noqa: RUF005  (Numba has no starred tuple displays)

    return chained


def _tuple_of(heads: list[Formula]) -> Formula:
    """A tuple-valued function from scalar ones, in a form that the compiler can unroll."""
    out: Any = None
    for head in reversed(heads):
        out = _chain(head, out)
    out.takes_tuple = True
    return out
