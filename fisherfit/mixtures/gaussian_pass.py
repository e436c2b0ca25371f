"""Passes over rows under Gaussian components: densities, posteriors and sums in one compiled loop.

The rows of a tile go through all components while they are in the cache: z = L_k^-1 (u - mu_k), log f_k = c_k -
|z|^2 / 2, posteriors, and sums; nothing is as long as the data. EM needs those of r_k (1, z, zz'): no digits are lost
where a component is narrow beside its distance from the others, since z is taken about its own mean. The information
needs moments of u to degree four, see `gaussian_moments`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import elementary
from .._jit import compile_kernel, register, register_vectors, source_stamp
from ..kernels import pairwise_sum
from ..small import VECTORS, combine, dot, gram, products
from .posterior import posterior_tile

if TYPE_CHECKING:
    from .gaussian_rows import GaussianPoint

HELD = 32_768  # numbers z that are held at a time
TERMS = 131_072  # monomials that are held at a time
LEAST, MOST = 64, 256  # rows of a tile


def densities(u, a, mean, inverse, reach, joint_constant, z, v, joint):
    """The logarithms of proportion times density of the rows from a on, joint[0] (K, m), and z (K, 1 + d, size).

    `reach` (d,) is the number of entries in every row of `inverse` (K, d, d) that are not zero, from the left; 0
    everywhere says that it is diagonal.
    """
    count, d = mean.shape
    aligned = reach[d - 1] == 0
    m = min(z.shape[2], u.shape[1] - a)
    for k in range(count):
        row = joint[0, k, :m]
        for i in range(m):
            row[i] = 0.0
        for j in range(d):
            centre, scale = mean[k, j], inverse[k, j, j] if aligned else 1.0
            x, shifted = u[j, a : a + m], z[k, j + 1, :m] if aligned else v[j, :m]
            for i in range(m):
                shifted[i] = (x[i] - centre) * scale
        for j in range(d):
            own = z[k, j + 1, :m]
            if not aligned:
                combine(v, inverse[k, j], reach[j], own)
            for i in range(m):
                row[i] += own[i] * own[i]
        constant = joint_constant[k]
        for i in range(m):
            row[i] = constant - 0.5 * row[i]


def monomials(u, a, m, aligned, out):
    """The monomials of m rows from a on in the order of `gaussian_moments.index_of`: out (size, m).

    Those of a degree begin with those of the first variable alone, then of the first two, and so on: a variable times
    the first so many of one degree less. Along the axes they are the products of every two of 1, u and u^2.
    """
    d = u.shape[0]
    for i in range(m):
        out[0, i] = 1.0
    at = 1
    if aligned:
        for j in range(1, 1 + 2 * d):
            x = u[(j - 1) % d, a : a + m]
            for k in range(j + 1):
                y = x if k == 0 else u[(k - 1) % d, a : a + m]
                for i in range(m):
                    first = x[i] if j <= d else x[i] * x[i]
                    second = 1.0 if k == 0 else y[i] if k <= d else y[i] * y[i]
                    out[at, i] = first * second
                at += 1
        return
    before = 0  # where those of the degree below begin
    for degree in range(1, 5):
        begin, count = at, 1
        for j in range(d):
            x = u[j, a : a + m]
            for k in range(count):
                for i in range(m):
                    out[at, i] = out[before + k, i] * x[i]
                at += 1
            count = count * (j + degree) // (j + 1)  # the monomials of degree - 1 in j + 2 variables
        before = begin


def pair_weights(joint, total, weight, a, m, out):
    """w r_k, then w r_k (1 - r_k), then w r_k r_l for l < k, of joint[0] = r / total: (K + K (K + 1) / 2, m)."""
    count = joint.shape[1]
    for k in range(count):
        row = joint[0, k]
        for i in range(m):
            row[i] *= total[i]
            out[k, i] = row[i] * weight[a + i]
            out[count + k, i] = 0.0
    at = 2 * count
    for k in range(count):
        for other in range(count):
            if other != k:  # 1 - r_k to all digits
                for i in range(m):
                    out[count + k, i] += joint[0, other, i]
        for i in range(m):
            out[count + k, i] *= out[k, i]
        for other in range(k):
            for i in range(m):
                out[at, i] = joint[0, other, i] * out[k, i]
            at += 1


def _make() -> Callable[..., Any]:
    evaluate, tile, widest, stamp = densities, posterior_tile, elementary.widest, source_stamp()

    def em_pass(u, mean, inverse, reach, joint_constant, weight, start, stop, size, out):
        """Add the sums of rows `start` to `stop` to out (S, 1 + K L): log-likelihood, then those of every component.

        Where `reach` says that `inverse` is diagonal, only the diagonals of zz' are summed.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        points, count, d = mean.shape
        aligned = reach[d - 1] == 0
        length = 1 + 2 * d if aligned else (d + 1) * (d + 2) // 2
        z, v, joint = np.ones((count, d + 1, size)), np.empty((d, size)), np.empty((1, count, size))
        high, total, values = np.empty(size), np.empty(size), np.empty(size)
        second = np.empty((d + 2, d + 2))
        for a in range(start, stop, size):
            m = min(size, stop - a)
            for s in range(points):
                evaluate(u, a, mean[s], inverse[s], reach, joint_constant[s], z, v, joint)
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
                        gram(z[k], d + 1, row, second)
                        for j in range(d + 1):
                            out[s, at + j] += second[j, 0]
                        at += d + 1
                        for j in range(1, d + 1):
                            for i in range(1, j + 1):
                                out[s, at] += second[j, i]
                                at += 1

    return em_pass


def _make_moments() -> Callable[..., Any]:
    evaluate, tile, powers, pairs = densities, posterior_tile, monomials, pair_weights
    widest, stamp = elementary.widest, source_stamp()

    def moments_pass(u, mean, inverse, reach, joint_constant, weight, start, stop, size, out):
        """Add to out the sums of the monomials with every one of the weights of pairs; returns the log-likelihood.

        The rows and columns of out are as many, and up to three more.
        """
        stamp  # noqa: B018
        widest()
        count, d = mean.shape
        aligned = reach[d - 1] == 0
        z, v, joint = np.ones((count, d + 1, size)), np.empty((d, size)), np.empty((1, count, size))
        high, total, values = np.empty(size), np.empty(size), np.empty(size)
        weights, terms = np.zeros((out.shape[0], size)), np.zeros((out.shape[1], size))
        loglik = 0.0
        for a in range(start, stop, size):
            m = min(size, stop - a)
            evaluate(u, a, mean, inverse, reach, joint_constant, z, v, joint)
            tile(joint, 0, 0, m, weight, a, high, total, values)
            loglik += pairwise_sum(values[:m])
            pairs(joint, total, weight, a, m, weights)
            powers(u, a, m, aligned, terms)
            products(weights, terms, m, out)
        return loglik

    return moments_pass


@cache
def compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two loops, compiled."""
    register_vectors(VECTORS)
    for called in (
        posterior_tile,
        densities,
        monomials,
        pair_weights,
    ):  # loops of their own, which to inline takes long
        register(called)
    return compile_kernel(_make(), True), compile_kernel(_make_moments(), True)


def em_pass(point: GaussianPoint, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Log-likelihoods of rows at S points, then the sums of z that `GaussianPoint.moments` takes: (S, 1 + K L).

    `log_weights` (S, K) are the logarithms of the proportions, `weight` (n,) those of all rows.
    """
    points, count, d = point.mean.shape
    length = 1 + 2 * d if point.structure.axes == "none" else (d + 1) * (d + 2) // 2
    out = np.zeros((points, 1 + count * length))
    size = min(max(LEAST, min(MOST, HELD // (count * d) // LEAST * LEAST)), stop - start)
    inverse = np.ascontiguousarray(point.inverse)
    constant = point.constant + log_weights
    compiled()[0](point.u, point.mean, inverse, _reach(point), constant, weight, start, stop, size, out)
    return out


def moments_pass(
    point: GaussianPoint, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int
) -> np.ndarray:  # fmt: skip
    """At one point: the sums of all monomials with every weight of `pair_weights`, then the log-likelihood."""
    count, length = point.structure.count, point.n_moments
    pairs = count * (count + 3) // 2
    out = np.zeros((-(-pairs // 4) * 4, -(-length // 4) * 4))
    size = min(max(LEAST, min(MOST, TERMS // length // LEAST * LEAST)), stop - start)
    inverse = np.ascontiguousarray(point.inverse[0])
    constant = point.constant[0] + log_weights[0]
    loglik = compiled()[1](
        point.u, point.mean[0], inverse, _reach(point), constant, weight, start, stop, size, out
    )  # fmt: skip
    return np.append(out[:pairs, :length], loglik)


def _reach(point: GaussianPoint) -> np.ndarray:
    d, axes = point.structure.d, point.structure.axes
    return np.full(d, {"none": 0, "orthogonal": d}[axes]) if axes in ("none", "orthogonal") else np.arange(1, d + 1)


__all__ = ["em_pass", "moments_pass"]
