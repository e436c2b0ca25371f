"""A pass over rows under regressions of one family: densities, posteriors and sums in one compiled loop.

The score of component k in predictor a is u_a times the columns of that predictor: the design for the first, a
constant for further parameters and for the proportions. Sums over rows are then of products of columns with one weight
of each row. With r_k the posterior, w the weight of the row and I_k the information of the predictors, these are

- w r_k u_a for the score, w r_k I_ab for the information of the complete data;
- for that of the observed (Louis, 1982) w r_k {I_ab - (1 - r_k) u_a u_b} within a component, w r_k r_l u_ka u_lb
  between two of them, and - w r_k u_a (1 - r_k) or w r_k u_a r_l between a component and a proportion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import elementary
from .._jit import compile_kernel, register, register_vectors, source_stamp
from ..elementary import where
from ..kernels import EXPECTED, OBSERVED, pairwise_sum
from ..small import VECTORS, combine, dot, dots, gram
from .posterior import posterior_tile

TILE = 256


class Sums(NamedTuple):
    """What a pass adds to: with D coefficients and further parameters of a component, of S points.

    loglik (S,); n (S, K), the weight of every component; score (S, K, D); complete (S, K, D, D). Of one point, empty
    in a pass of EM: observed (K, K, D, D), whose blocks below the diagonal count, mixed (K, K, D), between proportion
    j and component k, and shares (K, K), sums of w r_j (1 - r_j) and of - w r_j r_l.
    """

    loglik: np.ndarray
    n: np.ndarray
    score: np.ndarray
    complete: np.ndarray
    observed: np.ndarray
    mixed: np.ndarray
    shares: np.ndarray


def empty(points: int, count: int, d: int, informative: bool) -> Sums:
    """Sums of no rows."""
    k = count if informative else 0
    return Sums(
        np.zeros(points), np.zeros((points, count)), np.zeros((points, count, d)), np.zeros((points, count, d, d)),
        np.zeros((k, k, d, d)), np.zeros((k, k, d)), np.zeros((k, k)),
    )  # fmt: skip


def add_block(x, p, ones, a, b, row, products, line, target, symmetric):
    """Add the sum of `row` times the columns of predictors a and b: a block of `target`, or below its diagonal."""
    if a == 0 and b == 0:
        gram(x, p, row, products)
        for i in range(p):
            for j in range(i + 1):
                target[i, j] += products[i, j]
                if j < i:
                    target[j, i] += products[i, j]
    elif a == 0 or b == 0:
        at = p + max(a, b) - 1
        dots(row, x, p, line)
        for i in range(p):
            if a == 0:
                target[i, at] += line[i]
            if b == 0 or symmetric:
                target[at, i] += line[i]
    else:
        value = dot(row, ones)
        target[p + a - 1, p + b - 1] += value
        if symmetric and a != b:
            target[p + b - 1, p + a - 1] += value


def _make() -> Callable[..., Any]:
    from .. import native

    call_rows: Any = native.call_rows
    tile, block, widest, stamp = posterior_tile, add_block, elementary.widest, source_stamp()

    def rows_pass(kernel, canonical, informative, columns, y, trials, base, offset, beta, rest, constants, log_weights,
                  given, weight, loglik, n, score, complete, observed, mixed, shares):  # fmt: skip
        """Add what rows of columns (p, m) give to sums (see `Sums`).

        `kernel` is the address of a row kernel; beta (S, K, p) and rest (S, K, q - 1) are the coefficients and the
        further predictors; `offset` may be empty. `given` (S, K, m), which may be empty, are taken for the posteriors,
        and nothing is then added to `loglik`.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        p, rows = columns.shape
        points, count, q = beta.shape[0], beta.shape[1], rest.shape[2] + 1
        n_pairs, size = q * (q + 1) // 2, min(TILE, rows)
        each_u, each_w = (q + 1) * size, n_pairs * size
        us, ws, seens = np.empty(count * each_u), np.empty(count * each_w), np.empty(count * each_w)
        spare, etas = np.empty(each_u), np.empty(q * size)
        joint, scored = np.empty((1, count, size)), np.empty((q, size))
        high, total, values = np.empty(size), np.empty(size), np.empty(size)
        posteriors, work, others = np.empty((count, size)), np.empty(size), np.empty(size)
        x, ones = np.empty((p, size)), np.ones(size)
        products, line = np.empty((p + 1, p + 1)), np.empty(p)
        for start in range(0, rows, size):
            m = min(size, rows - start)
            part, fixed, terms = y[start : start + m], trials[start : start + m], base[start : start + m]
            row = work[:m]
            for j in range(p):
                for i in range(m):
                    x[j, i] = columns[j, start + i]
            for s in range(points):
                for k in range(count):
                    eta = etas[: q * m].reshape(q, m)
                    combine(x, beta[s, k], p, eta[0])
                    if offset.size > 0:
                        for i in range(m):
                            eta[0, i] += offset[start + i]
                    for a in range(1, q):
                        for i in range(m):
                            eta[a, i] = rest[s, k, a - 1]
                    u = us[k * each_u : k * each_u + (q + 1) * m].reshape(q + 1, m)
                    w = ws[k * each_w : k * each_w + n_pairs * m].reshape(n_pairs, m)
                    call_rows(kernel, part, fixed, eta, constants, EXPECTED, u, w)
                    if informative and not canonical:
                        seen = seens[k * each_w : k * each_w + n_pairs * m].reshape(n_pairs, m)
                        unused = spare[: (q + 1) * m].reshape(q + 1, m)
                        call_rows(kernel, part, fixed, eta, constants, OBSERVED, unused, seen)
                    density, shift = joint[0, k, :m], log_weights[s, k]
                    for i in range(m):
                        value = u[q, i] + terms[i]
                        density[i] = where(value < np.inf, value + shift, -np.inf)  # NaN is no density
                if given.shape[0] > 0:
                    for k in range(count):
                        own, known = posteriors[k], given[s, k, start : start + m]
                        for i in range(m):
                            own[i] = known[i]
                else:
                    tile(joint, 0, 0, m, weight, start, high, total, values)
                    loglik[s] += pairwise_sum(values[:m])
                    for k in range(count):
                        own, density = posteriors[k], joint[0, k]
                        for i in range(m):
                            own[i] = density[i] * total[i]
                for k in range(count):
                    u = us[k * each_u : k * each_u + (q + 1) * m].reshape(q + 1, m)
                    w = ws[k * each_w : k * each_w + n_pairs * m].reshape(n_pairs, m)
                    own, share = posteriors[k], joint[0, k]
                    for i in range(m):
                        share[i] = own[i] * weight[start + i]
                    n[s, k] += dot(share[:m], ones)
                    for a in range(q):
                        for i in range(m):  # where nothing of a row is left its derivatives may be infinite
                            scored[a, i] = where(share[i] > 0.0, share[i] * u[a, i], 0.0)
                        if a == 0:
                            dots(scored[0, :m], x, p, line)
                            for j in range(p):
                                score[s, k, j] += line[j]
                        else:
                            score[s, k, p + a - 1] += dot(scored[a, :m], ones)
                    pair = 0
                    for a in range(q):
                        for b in range(a, q):
                            for i in range(m):
                                row[i] = where(share[i] > 0.0, share[i] * w[pair, i], 0.0)
                            block(x, p, ones, a, b, row, products, line, complete[s, k], True)
                            pair += 1
                    if not informative:
                        continue
                    for i in range(m):
                        others[i] = 0.0
                    for other in range(count):
                        if other != k:
                            for i in range(m):
                                others[i] += posteriors[other, i]  # 1 - r_k to all digits
                    pair = 0
                    for a in range(q):
                        for b in range(a, q):
                            at = k * each_w + pair * m
                            for i in range(m):
                                value = ws[at + i] if canonical else seens[at + i]
                                value = share[i] * value - scored[a, i] * (others[i] * u[b, i])
                                row[i] = where(share[i] > 0.0, value, 0.0)
                            block(x, p, ones, a, b, row, products, line, observed[k, k], True)
                            pair += 1
                    for other in range(k):
                        at, theirs = other * each_u, posteriors[other]
                        for b in range(q):
                            for a in range(q):
                                for i in range(m):
                                    value = scored[a, i] * (theirs[i] * us[at + b * m + i])
                                    row[i] = where(theirs[i] > 0.0, value, 0.0)
                                block(x, p, ones, a, b, row, products, line, observed[k, other], False)
                    for j in range(1, count):
                        for a in range(q):
                            for i in range(m):
                                row[i] = scored[a, i] * (-others[i] if j == k else posteriors[j, i])
                            if a == 0:
                                dots(row, x, p, line)
                                for i in range(p):
                                    mixed[j, k, i] += line[i]
                            else:
                                mixed[j, k, p + a - 1] += dot(row, ones)
                        for i in range(m):
                            row[i] = share[i] * (others[i] if j == k else -posteriors[j, i])
                        shares[j, k] += dot(row, ones)

    return rows_pass


@cache
def rows_pass() -> Callable[..., Any]:
    """The loop, compiled."""
    register_vectors(VECTORS)
    for called in (posterior_tile, add_block):  # loops of their own, which to inline takes long
        register(called)
    return compile_kernel(_make(), True)


__all__ = ["Sums", "empty", "rows_pass"]
