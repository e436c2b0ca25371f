"""Derivatives of a log-density by Richardson's extrapolation of central differences.

For families that are given by their log-density only. The step is a fixed fraction of the distance to the edge of
the parameter's support, so that no difference leaves it; on the real line it is a fraction of |theta| + 1.
Three halvings leave an error of order step^8. What rounding adds is estimated by `difference_noise`.
Source: Fornberg (1988); the sixth- and eighth-order weights below are the classical ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: relative step of a difference: at order 8 the truncation error (2e-2)^8 / 630 meets rounding near 1e-14 / 2e-2
STEP = 0.02
#: the eighth-order central weights of a first and of a second derivative, for offsets 1 to 4
FIRST = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
SECOND = (8 / 5, -1 / 5, 8 / 315, -1 / 560)
SECOND_CENTRE = -205 / 72
#: sum of absolute weights: what one unit of noise in the log-density becomes, times the step
FIRST_NOISE = 2.0
SECOND_NOISE = 6.5


def _plan(supports: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """Position of every parameter among the scalar arguments (a unit parameter takes two), and its support."""
    out, at = [], 0
    for support in supports:
        out.append((at, support))
        at += 2 if support == "unit" else 1
    return tuple(out)


def step_of(support: str) -> Callable[..., float]:
    """The scalar formula of the step for a parameter of this support."""
    if support == "real":

        def step(value, other):
            return STEP * (abs(value) + 1.0)
    elif support == "unit":

        def step(value, other):
            return STEP * min(value, other)
    else:

        def step(value, other):
            return STEP * value

    return step


def _shift(at: int, support: str) -> Callable[..., Any]:
    """theta with its parameter at position `at` moved by h (and the complement of a unit parameter by -h)."""
    if support == "unit":

        def shift(theta, h):
            return theta[:at] + (theta[at] + h, theta[at + 1] - h) + theta[at + 2 :]
    else:

        def shift(theta, h):
            return theta[:at] + (theta[at] + h,) + theta[at + 1 :]

    return shift


def _first(at: int, support: str, log_density: Callable[..., float]) -> Callable[..., float]:
    step, shift = step_of(support), _shift(at, support)
    other = at + 1 if support == "unit" else at
    a, b, c, d = FIRST

    def first(y, theta):
        h = step(theta[at], theta[other])
        total = a * (log_density(y, *shift(theta, h)) - log_density(y, *shift(theta, -h)))
        total += b * (log_density(y, *shift(theta, 2 * h)) - log_density(y, *shift(theta, -2 * h)))
        total += c * (log_density(y, *shift(theta, 3 * h)) - log_density(y, *shift(theta, -3 * h)))
        total += d * (log_density(y, *shift(theta, 4 * h)) - log_density(y, *shift(theta, -4 * h)))
        return total / h

    return first


def _second(at: int, support: str, log_density: Callable[..., float]) -> Callable[..., float]:
    step, shift = step_of(support), _shift(at, support)
    other = at + 1 if support == "unit" else at
    a, b, c, d = SECOND
    centre = SECOND_CENTRE

    def second(y, theta):
        h = step(theta[at], theta[other])
        f = log_density(y, *theta)
        total = a * (log_density(y, *shift(theta, h)) + log_density(y, *shift(theta, -h)))
        total += b * (log_density(y, *shift(theta, 2 * h)) + log_density(y, *shift(theta, -2 * h)))
        total += c * (log_density(y, *shift(theta, 3 * h)) + log_density(y, *shift(theta, -3 * h)))
        total += d * (log_density(y, *shift(theta, 4 * h)) + log_density(y, *shift(theta, -4 * h)))
        return (total + centre * f) / h / h

    return second


def _chain(head: Callable[..., float], tail: Callable[..., tuple[float, ...]] | None) -> Callable[..., Any]:
    """A tuple-valued function from scalar ones, in a form that the compiler can unroll."""
    if tail is None:

        def out(y, theta):
            return (head(y, theta),)
    else:

        def out(y, theta):
            return (head(y, theta),) + tail(y, theta)  # noqa: RUF005  (Numba has no starred tuple displays)

    return out


def numerical_score(log_density: Callable[..., float], supports: tuple[str, ...]) -> Callable[..., Any]:
    """The score of a log-density by eighth-order central differences: a function of (y, *theta, *constants)."""
    out: Callable[..., Any] | None = None
    for at, support in reversed(_plan(supports)):
        out = _chain(_first(at, support, log_density), out)
    chained: Any = out

    def score(y, *theta):
        return chained(y, theta)

    return score


def numerical_observed(
    log_density: Callable[..., float], score: Callable[..., Any] | None, supports: tuple[str, ...]
) -> Callable[..., Any]:
    """Minus the second derivatives, upper triangle by rows, of a log-density or of its score."""
    plan = _plan(supports)
    out: Callable[..., Any] | None = None
    for k in reversed(range(len(plan))):
        for m in reversed(range(k, len(plan))):
            out = _chain(_minus_second(plan[k], plan[m], m, log_density, score), out)
    chained: Any = out

    def observed(y, *theta):
        return chained(y, theta)

    return observed


def _minus_second(
    first: tuple[int, str],
    second: tuple[int, str],
    index: int,
    log_density: Callable[..., float],
    score: Callable[..., Any] | None,
) -> Callable[..., float]:
    if score is not None:
        given: Any = score

        def component(y, *theta):
            return given(y, *theta)[index]

        slope = _first(first[0], first[1], component)
    elif first == second:
        slope = _second(first[0], first[1], log_density)
    else:
        inner = _first(second[0], second[1], log_density)

        def partial(y, *theta):
            return inner(y, theta)

        slope = _first(first[0], first[1], partial)

    def minus(y, theta):
        return -slope(y, theta)

    return minus
