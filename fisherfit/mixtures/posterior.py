"""Posterior probabilities of the components from log-densities: the loop that every pass over the rows runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any

import numpy as np

from .. import elementary
from .._jit import compile_kernel, source_stamp
from ..elementary import exp, log, where
from ..kernels import pairwise_sum

TILE = 512
NEGLIGIBLE = 1e-100  # a posterior below this is 0: products with denormal numbers are slow, those of two included
FAR = -240.0  # the logarithm of less than that: no exponential is denormal


def posterior_tile(joint, s, start, size, weight, first, high, total, values):
    """Replace log f_k + log pi_k of some units, joint[s, :, start : start + size], by the posteriors times `total`.

    After it `total` has the reciprocals of what the posteriors would sum to, `values` the log-densities times the
    weights, those of the units from `first` on. A unit that no component can explain has posteriors of 0 and a
    log-density of -inf; one of weight 0 has a log-density of 0, as if it were absent.
    """
    count = joint.shape[1]
    for i in range(size):
        high[i] = -inf
        total[i] = 0.0
    for k in range(count):
        row = joint[s, k, start : start + size]
        for i in range(size):
            high[i] = where(row[i] > high[i], row[i], high[i])
    for i in range(size):  # where nothing is possible the differences would be NaN
        values[i] = high[i]
        high[i] = where(high[i] == -inf, 0.0, high[i])
    for k in range(count):
        row = joint[s, k, start : start + size]
        for i in range(size):
            gap = row[i] - high[i]
            value = exp(where(gap < FAR, FAR, gap))
            row[i] = where(value < NEGLIGIBLE, 0.0, value)  # NaN stays
            total[i] += row[i]
    for i in range(size):
        unit = weight[first + i]
        value = where(values[i] == -inf, -inf, values[i] + log(total[i]))
        values[i] = where(unit == 0.0, 0.0, unit * value)
        total[i] = where(total[i] > 0.0, 1.0 / total[i], 0.0)


def _make() -> Callable[..., Any]:
    tile, widest, stamp = posterior_tile, elementary.widest, source_stamp()

    def posterior(joint, log_weights, weight, loglik):
        """Replace log f_k by the posterior of component k, joint (S, K, m), and sum the weighted log-densities.

        log_weights is (S, K, m) or (S, K, 1). A sum with a unit that no component can explain is -inf.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        points, count, m = joint.shape
        alike = log_weights.shape[2] == 1
        values, high, total = np.empty(m), np.empty(TILE), np.empty(TILE)
        for s in range(points):
            for start in range(0, m, TILE):
                size = min(TILE, m - start)
                for k in range(count):
                    row = joint[s, k, start : start + size]
                    if alike:
                        shift = log_weights[s, k, 0]
                        for i in range(size):
                            row[i] += shift
                    else:
                        shifts = log_weights[s, k, start : start + size]
                        for i in range(size):
                            row[i] += shifts[i]
                tile(joint, s, start, size, weight, start, high, total, values[start : start + size])
                for k in range(count):
                    row = joint[s, k, start : start + size]
                    for i in range(size):
                        row[i] *= total[i]
            loglik[s] = pairwise_sum(values)

    return posterior


@cache
def compiled() -> Callable[..., Any]:
    """The loop, compiled."""
    return compile_kernel(_make(), True)


def posterior(joint: np.ndarray, log_weights: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """In place from log-densities to posteriors; the sums of the weighted log-densities, (S,)."""
    loglik = np.empty(len(joint))
    compiled()(joint, np.ascontiguousarray(log_weights), weight, loglik)
    return loglik


__all__ = ["posterior", "posterior_tile"]
