"""A metric that is costly, because it is an integral, replaced by its Chebyshev interpolant on a box.

Interpolated are the logarithms of the diagonal and the correlations, so that the interpolant is positive too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev

from ..errors import InputError

__all__ = ["Outside", "curve", "interpolated"]

Array = np.ndarray
Metric = Callable[[Array], Array]
DEGREES = (8, 12, 18, 27)
CLOSE = 1e-8  # of the logarithms, where the interpolant is compared with the metric


class Outside(Exception):
    """A point left the box."""


def interpolated(metric: Metric, low: Array, high: Array) -> Metric:
    """The interpolant of a metric in two coordinates on the box from low to high; it raises `Outside` elsewhere."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    tests = np.array([[0.83, -0.61], [-0.37, 0.91], [0.11, 0.27], [-0.94, -0.52]])
    truth = _features(metric(middle + half * tests))
    for degree in DEGREES:
        nodes = np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
        grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
        values = _features(metric(middle + half * grid)).reshape(degree, degree, 3)
        inverse = np.linalg.inv(chebyshev.chebvander(nodes, degree - 1))
        coefficients = np.einsum("ia,jb,abf->ijf", inverse, inverse, values)
        error = np.abs(chebyshev.chebval2d(tests[:, 0], tests[:, 1], coefficients).T - truth).max()
        if error < CLOSE:
            break
    else:
        raise InputError(
            f"the information of this family changes too much between the two distributions to be interpolated (error "
            f"{error:.1e}): give the family a formula `fisher`, or choose distributions that are nearer"
        )

    def smooth(points: Array) -> Array:
        z = (points - middle) / half
        if (np.abs(z) > 1.0).any():
            raise Outside
        return _matrices(chebyshev.chebval2d(z[:, 0], z[:, 1], coefficients).T)

    return smooth


def curve(function: Callable[[float], float], low: float, high: float) -> Callable[[Array], Array]:
    """The interpolant of a positive function of one number, through its logarithm; it raises `Outside` elsewhere."""
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    tests = np.array([0.83, -0.37, 0.11, -0.94])
    truth = np.log([function(middle + half * t) for t in tests.tolist()])
    for degree in DEGREES:
        nodes = np.cos(np.pi * (np.arange(degree) + 0.5) / degree)
        values = np.log([function(middle + half * t) for t in nodes.tolist()])
        coefficients = np.linalg.solve(chebyshev.chebvander(nodes, degree - 1), values)
        if np.abs(chebyshev.chebval(tests, coefficients) - truth).max() < CLOSE:
            break
    else:
        raise InputError("the information changes too much between the two distributions to be interpolated")

    def smooth(x: Array) -> Array:
        z = (x - middle) / half
        if (np.abs(z) > 1.0).any():
            raise Outside
        return np.exp(chebyshev.chebval(z, coefficients))

    return smooth


def _features(g: Array) -> Array:
    a, b = g[:, 0, 0], g[:, 1, 1]
    return np.stack([np.log(a), np.log(b), g[:, 0, 1] / np.sqrt(a * b)], axis=-1)


def _matrices(features: Array) -> Array:
    a, b = np.exp(features[:, 0]), np.exp(features[:, 1])
    cross = features[:, 2] * np.sqrt(a * b)
    return np.stack([np.stack([a, cross], -1), np.stack([cross, b], -1)], axis=-2)
