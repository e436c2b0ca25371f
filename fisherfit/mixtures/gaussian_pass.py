"""A pass of EM over rows under Gaussian components: densities, posteriors and sums in one compiled loop.

The rows of a tile go through all components while they are in the cache: z = L_k^-1 (u - mu_k), log f_k = c_k -
|z|^2 / 2, posteriors, and the sums of r_k (1, z, zz'). Nothing is as long as the data, and no digits are lost where a
component is narrow beside its distance from the others, since z is taken about its own mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import elementary
from .._jit import compile_kernel, register_vectors, source_stamp
from ..kernels import pairwise_sum
from ..small import VECTORS, combine, dot, gram
from .posterior import posterior_tile

if TYPE_CHECKING:
    from .gaussian_rows import GaussianPoint

HELD = 32_768  # numbers z that are held at a time
LEAST, MOST = 64, 256  # rows of a tile


def _make() -> Callable[..., Any]:
    tile, widest, stamp = posterior_tile, elementary.widest, source_stamp()

    def em_pass(u, mean, inverse, reach, joint_constant, weight, start, stop, size, out):
        """Add the sums of rows `start` to `stop` to out (S, 1 + K L): log-likelihood, then those of every component.

        `reach` (d,) is the number of entries in every row of `inverse` (S, K, d, d) that are not zero, from the
        left; 0 everywhere says that it is diagonal, and then only the diagonals of zz' are summed.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        points, count, d = mean.shape
        aligned = reach[d - 1] == 0
        length = 1 + 2 * d if aligned else (d + 1) * (d + 2) // 2
        z, v, joint = np.ones((count, d + 1, size)), np.empty((d, size)), np.empty((1, count, size))
        high, total, values = np.empty(size), np.empty(size), np.empty(size)
        products = np.empty((d + 2, d + 2))
        for a in range(start, stop, size):
            m = min(size, stop - a)
            for s in range(points):
                for k in range(count):
                    row = joint[0, k, :m]
                    for i in range(m):
                        row[i] = 0.0
                    for j in range(d):
                        centre, scale = mean[s, k, j], inverse[s, k, j, j] if aligned else 1.0
                        x, shifted = u[j, a : a + m], z[k, j + 1, :m] if aligned else v[j, :m]
                        for i in range(m):
                            shifted[i] = (x[i] - centre) * scale
                    for j in range(d):
                        own = z[k, j + 1, :m]
                        if not aligned:
                            combine(v, inverse[s, k, j], reach[j], own)
                        for i in range(m):
                            row[i] += own[i] * own[i]
                    constant = joint_constant[s, k]
                    for i in range(m):
                        row[i] = constant - 0.5 * row[i]
                tile(joint, 0, 0, m, weight, a, high, total, values)
                out[s, 0] += pairwise_sum(values[:m])
                for i in range(m):
                    total[i] *= weight[a + i]
                for k in range(count):
                    row, at = joint[0, k, :m], 1 + k * length
                    for i in range(m):
                        row[i] *= total[i]
                    if aligned:
                        out[s, at] += dot(row, z[k, 0, :m])
                        for j in range(1, d + 1):
                            own, square = z[k, j, :m], high[:m]
                            out[s, at + j] += dot(row, own)
                            for i in range(m):
                                square[i] = own[i] * own[i]
                            out[s, at + d + j] += dot(row, square)
                    else:
                        gram(z[k], d + 1, row, products)
                        for j in range(d + 1):
                            out[s, at + j] += products[j, 0]
                        at += d + 1
                        for j in range(1, d + 1):
                            for i in range(1, j + 1):
                                out[s, at] += products[j, i]
                                at += 1

    return em_pass


@cache
def compiled() -> Callable[..., Any]:
    """The loop, compiled."""
    register_vectors(VECTORS)
    return compile_kernel(_make(), True)


def em_pass(
    point: GaussianPoint, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int
) -> np.ndarray:  # fmt: skip
    """Log-likelihoods of rows at S points, then the sums of z that `GaussianPoint.moments` takes: (S, 1 + K L).

    `log_weights` (S, K) are the logarithms of the proportions, `weight` (n,) those of all rows.
    """
    points, count, d = point.mean.shape
    axes, rows = point.structure.axes, np.arange(d)
    reach = {"none": 0 * rows, "orthogonal": 0 * rows + d}.get(axes, rows + 1)
    length = 1 + 2 * d if axes == "none" else (d + 1) * (d + 2) // 2
    out = np.zeros((points, 1 + count * length))
    size = min(max(LEAST, min(MOST, HELD // (count * d) // 64 * 64)), stop - start)
    constant = point.constant + log_weights
    inverse = np.ascontiguousarray(point.inverse)
    compiled()(point.u, point.mean, inverse, reach, constant, weight, start, stop, size, out)
    return out


__all__ = ["em_pass"]
