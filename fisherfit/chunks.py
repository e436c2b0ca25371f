"""Compiled loops over the rows of a few groups: gathering them, moments, the fits, and the dispersions.

Each is compiled for one signature and kept on disk; those that call a family's kernels are given them as first-class
functions, so that one compiled loop serves every family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from . import _jit, scoring, small
from .small import moments_of


def gather(source, order, start, at, out):
    """out[at[j]] = column j of the rows of source; from `start` on, in `order` unless that is empty."""
    for i in range(out.shape[1]):
        row = order[start + i] if order.size else start + i
        for j in range(at.size):
            out[at[j], i] = source[row, j]


def levels(codes, order, start, at, out):
    """out[at[k]] = 1 where the code is k, else 0."""
    for k in range(at.size):
        for i in range(out.shape[1]):
            out[at[k], i] = 0.0
    for i in range(out.shape[1]):
        code = codes[order[start + i] if order.size else start + i]
        if code >= 0:
            out[at[code], i] = 1.0


def moments(y, weight, edges, out):
    """Sum of w, of w y and of w y^2, and the numbers of rows with y = 0 and y = 1, for every group."""
    for g in range(edges.size - 1):
        a, b = edges[g], edges[g + 1]
        out[0, g], out[1, g], out[2, g], out[3, g], out[4, g] = moments_of(y[a:b], weight[a:b])


def _make_dispersions(stamp: str) -> Callable[..., Any]:
    def dispersions(base, y, weight, trials, edges, divides, constants, deviance, count, known, phi, value):
        """phi, where it is NaN, at its maximum for every group, and the sum of base terms there.

        As `dispersion.DispersionLikelihood.maximum`: Newton steps on log phi inside a bracket. `known` has the terms
        of 0, 1, 2, ... where phi and the trials are 1 in every row; it may be empty.
        """
        stamp  # noqa: B018
        for g in range(edges.size - 1):
            a, b = edges[g], edges[g + 1]
            if known.size:
                value[g] = 0.0
                for i in range(a, b):
                    k = int(y[i]) if y[i] < known.size else -1
                    if k >= 0 and k == y[i]:
                        value[g] += weight[i] * known[k]
                    else:
                        value[g] += base(y[i : i + 1], weight[i : i + 1], trials[i : i + 1], 1.0, False, constants)[0]
                continue
            yg, wg, tg, dev = y[a:b], weight[a:b], trials[a:b], deviance[g]
            if math.isnan(phi[g]) and dev > 0.0:
                low, high = -math.inf, math.inf
                x = math.log(dev / count[g])
                for _ in range(100):
                    at = math.exp(x)
                    _, first, second = base(yg, wg, tg, at, divides, constants)
                    slope = at * (first + 0.5 * dev / at / at)
                    curve = slope + at * at * (second - dev / at**3)
                    if slope > 0.0:
                        low = x
                    else:
                        high = x
                    step = -slope / curve if curve < 0.0 else (1.0 if slope > 0.0 else -1.0)
                    step = min(max(step, -2.0), 2.0)
                    if not (low < x + step and x + step < high):
                        bounded = low > -math.inf and high < math.inf
                        step = 0.5 * (low + high) - x if bounded else 0.5 * step
                    if abs(step) < 4e-16 * max(1.0, abs(x)):
                        break
                    x += step
                phi[g] = math.exp(x)
            elif math.isnan(phi[g]):
                phi[g] = 0.0
            value[g] = base(yg, wg, tg, phi[g], divides, constants)[0] if phi[g] > 0.0 else 0.0

    return dispersions


def _types() -> dict[str, Any]:
    from numba import types

    f, i, b = types.float64, types.int64, types.boolean
    v, m, n = types.Array(f, 1, "C"), types.Array(f, 2, "C"), types.Array(i, 1, "C")
    flags = types.Array(b, 1, "C")
    strided = types.Array(f, 2, "A", readonly=True)
    codes = types.Array(types.int32, 1, "A", readonly=True)
    rows = f(v, v, m, v, i, m, m)
    base = types.UniTuple(f, 3)(v, v, v, f, b, v)
    return {
        "rows": rows,
        "base": base,
        "fit": types.void(types.FunctionType(rows), m, v, v, v, v, n, v, flags, v, v, v, flags, v, v, b, b, b,
                          b, i, f, m, m, m, types.Array(f, 3, "C"), v, types.Array(i, 2, "C")),
        "gather": types.void(strided, n, i, n, m),
        "levels": types.void(codes, n, i, n, m),
        "moments": types.void(v, v, n, m),
        "dispersions": types.void(types.FunctionType(base), v, v, v, n, b, v, v, v, v, v, v),
    }  # fmt: skip


@cache
def kernels() -> dict[str, Callable[..., Any]]:
    """The compiled loops, made for their one signature on first use."""
    from numba.extending import register_jitable

    for function in (*small.HELPERS, *scoring.HELPERS):
        register_jitable(function)
    _jit.register_vectors(small.VECTORS)
    stamp, signature = _jit.source_stamp(), _types()
    made: dict[str, Any] = {
        "fit": scoring.make_fit(stamp),
        "gather": gather,
        "levels": levels,
        "moments": moments,
        "dispersions": _make_dispersions(stamp),
    }
    return {name: _jit.compile_kernel(function, True, signature[name]) for name, function in made.items()}


def first_class(kernel: Any, which: str) -> Any:
    """A row or base kernel as the compiled loops take it; None where it cannot be compiled."""
    try:
        kernel.compile(_types()[which])
    except Exception:  # a user's formula; the ordinary path runs it and says why
        return None
    return kernel
