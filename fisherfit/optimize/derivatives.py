"""Derivatives of a log-likelihood in its parameters, row by row, by Richardson's extrapolation of central differences.

The steps are halved from a tenth of max(|theta_j|, 1); every row takes the entry of its extrapolation table whose
estimated error is least, the larger of the change between neighbours and of what rounding does to the difference.
Steps that leave the parameter space give values that are not finite, and count for nothing.
Source: Ridders (1982), Advances in Engineering Software 4, 75-76.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EPS = float(np.finfo(float).eps)
LEVELS = 30  # halvings: down to 1e-10 of the scale
CLOSE = 1e-7  # relative error from which on a level that does not halve it ends the table
TINY = 1e-30  # the imaginary step of the complex-step derivative

Rows = Callable[[np.ndarray], np.ndarray]


def limit(difference: Callable[[float], tuple[np.ndarray, np.ndarray]], h: float) -> np.ndarray:
    """The limit at step 0 of differences, each given with what rounding does to it, element by element."""
    table: list[np.ndarray] = []
    best = error = np.empty(0)
    idle, least = 0, np.inf
    for level in range(LEVELS):
        value, rounding = difference(h)
        if not level:
            best, error = np.full_like(value, np.nan), np.full_like(value, np.inf)
        new, factor = [value], 1.0
        for before in table:
            factor *= 4.0
            better = new[-1] + (new[-1] - before) / (factor - 1.0)
            estimate = np.maximum(np.maximum(np.abs(better - new[-1]), np.abs(better - before)), rounding)
            use = estimate < error
            best, error = np.where(use, better, best), np.where(use, estimate, error)
            new.append(better)
        table = new
        total = float(error.sum())
        idle = idle + 1 if total > 0.5 * least else 0
        least = min(least, total)
        if idle >= 2 and total <= CLOSE * float(np.abs(best).sum()) + 1e-300:
            break
        h *= 0.5
    return best


def first_step(theta: np.ndarray, j: int) -> float:
    """The longest step in a parameter."""
    return 0.1 * max(abs(float(theta[j])), 1.0)


@np.errstate(all="ignore")
def jacobian(function: Rows, theta: np.ndarray) -> np.ndarray:
    """Derivatives of an array-valued function: the parameters are the last axis."""
    columns = []
    for j in range(theta.size):

        def difference(h: float, j: int = j) -> tuple[np.ndarray, np.ndarray]:
            a, b = function(_moved(theta, j, h)), function(_moved(theta, j, -h))
            return 0.5 * (a - b) / h, EPS * (np.abs(a) + np.abs(b)) / h

        columns.append(limit(difference, first_step(theta, j)))
    return np.stack(columns, axis=-1)


@np.errstate(all="ignore")
def hessian(total: Callable[[np.ndarray], float], theta: np.ndarray) -> np.ndarray:
    """Second derivatives of a scalar function, from its values alone: about eight digits."""
    p = theta.size
    out, here = np.empty((p, p)), total(theta)
    for j in range(p):
        for k in range(j + 1):
            ratio = first_step(theta, k) / first_step(theta, j)

            def difference(h: float, j: int = j, k: int = k, ratio: float = ratio) -> tuple[np.ndarray, np.ndarray]:
                if j == k:
                    a, b = total(_moved(theta, j, h)), total(_moved(theta, j, -h))
                    value, size, area = (a - here) + (b - here), abs(a) + abs(b) + 2.0 * abs(here), h * h
                else:
                    up, down = _moved(theta, j, h), _moved(theta, j, -h)
                    a, b = total(_moved(up, k, ratio * h)), total(_moved(up, k, -ratio * h))
                    c, d = total(_moved(down, k, ratio * h)), total(_moved(down, k, -ratio * h))
                    value, size, area = (a - b) - (c - d), abs(a) + abs(b) + abs(c) + abs(d), 4.0 * ratio * h * h
                return np.array(value / area), np.array(EPS * size / area)

            out[j, k] = out[k, j] = float(limit(difference, first_step(theta, j)))
    return out


def complex_step(function: Rows, theta: np.ndarray) -> np.ndarray:
    """Derivatives to rounding of a function that is analytic in its code: no abs, no comparison of parameters.

    Source: Squire & Trapp (1998), SIAM Review 40, 110-112.
    """
    columns = []
    for j in range(theta.size):
        there = theta.astype(complex)
        there[j] += 1j * TINY
        columns.append(np.imag(function(there)) / TINY)
    return np.stack(columns, axis=-1)


def _moved(theta: np.ndarray, j: int, h: float) -> np.ndarray:
    out = theta.copy()
    out[j] += h
    return out


__all__ = ["complex_step", "hessian", "jacobian"]
