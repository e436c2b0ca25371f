"""The mean as a function of the linear predictor, with its first two derivatives, for many rows.

The scalar formula of a link gives value and derivatives together; for many rows it is compiled. Where the mean of a
family is not its first parameter, the rest of the chain is taken by differences.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ._jit import compile_kernel, forgiving, is_own, source_stamp
from .families import Family
from .links import Link, Power
from .prediction import Predictor

FEW = 500  # rows for which the plain formula is faster than looking for its compiled twin
STEP = 1e-3  # of fourth-order differences, relative


def link_rows(link: Link, eta: np.ndarray) -> np.ndarray:
    """(4, n): theta, 1 - theta, dtheta/deta and d2theta/deta2."""
    eta = np.ascontiguousarray(eta, float)
    if eta.size <= FEW:
        return np.array([link.inverse(e) for e in eta.tolist()], float).reshape(-1, 4).T
    out = np.empty((4, eta.size))
    _loop(link)(eta, out)
    return out


@cache
def _loop(link: Link) -> Any:
    inverse, own = link.inverse, is_own(link.inverse) and not isinstance(link, Power)
    stamp = source_stamp() if own else ""

    def rows(eta, out):
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        for i in range(eta.size):
            out[0, i], out[1, i], out[2, i], out[3, i] = inverse(eta[i])

    rows.__name__ = rows.__qualname__ = f"link_rows_{link.name}" if own else "link_rows"
    return compile_kernel(rows, True) if own else forgiving(rows)


def mean_is_first(family: Family) -> bool:
    """True where the first parameter is the mean."""
    return type(family).mean is Family.mean


def curve_of_mean(predictor: Predictor, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean of every row with its first two derivatives in the linear predictor."""
    with np.errstate(all="ignore"):
        theta, _, d, d2 = link_rows(predictor.links[0], eta)
        family = predictor.family
        if mean_is_first(family):
            return theta, d, d2
        h = STEP * np.maximum(np.abs(theta), 1e-3)
        m = {j: _mean_at(predictor, theta + j * h) for j in (-2, -1, 0, 1, 2)}
        first = (8.0 * (m[1] - m[-1]) - (m[2] - m[-2])) / (12.0 * h)
        second = (16.0 * (m[1] + m[-1]) - (m[2] + m[-2]) - 30.0 * m[0]) / (12.0 * h * h)
        return m[0], first * d, second * d * d + first * d2


def slope_of_mean(predictor: Predictor, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d mean / d eta, and (K - 1, n) d mean / d further parameters on their own scales."""
    others = predictor.others
    slope = curve_of_mean(predictor, eta)[1]
    along = np.zeros((others.size, eta.size))
    if not mean_is_first(predictor.family):
        theta = predictor.links[0].mean(eta)
        for k, value in enumerate(others.tolist()):
            h = STEP * max(abs(value), 1e-3)
            moved = {}
            for j in (-2, -1, 1, 2):
                at = others.copy()
                at[k] += j * h
                moved[j] = _mean_at(predictor, theta, at)
            along[k] = (8.0 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / (12.0 * h)
    return slope, along


def _mean_at(predictor: Predictor, theta: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    others = predictor.others if others is None else others
    return np.asarray(predictor.family.mean(theta, *(np.full(theta.shape, v) for v in others.tolist())), float)


__all__ = ["curve_of_mean", "link_rows", "mean_is_first", "slope_of_mean"]
