"""The log-density row by row: what the passes over rows only sum.

The row kernels are called with one row at a time, so that every family and link, a user's own included, gives what the
fit maximised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from . import _threads
from ._jit import compile_kernel, forgiving, is_own, source_stamp
from .kernels import VALUE, Kernels, _unpacked
from .response import own

CHUNK = 65_536  # rows to a task


def objectives(kernels: Kernels, y: np.ndarray, weight: np.ndarray, eta: np.ndarray, threads: int = 1) -> np.ndarray:
    """The weighted objective of every row: the log-density up to a term free of the linear predictors eta, (K, n)."""
    out = np.empty(y.size)
    y, weight, eta = own(y), own(weight), own(eta)
    address = kernels.address()
    if not address:
        k = eta.shape[0]
        u, w = np.empty((k, 1)), np.empty((k * (k + 1) // 2, 1))
        for i in range(y.size):
            column = np.ascontiguousarray(eta[:, i : i + 1])
            out[i] = kernels.rows(y[i : i + 1], weight[i : i + 1], column, kernels.constants, VALUE, u, w)
        return out
    run = _compiled_values()

    def part(start: int) -> None:
        run(address, y, weight, eta, kernels.constants, start, min(start + CHUNK, y.size), out)

    _threads.run(part, range(0, y.size, CHUNK), threads)
    return out


def base_terms_by_row(
    kernels: Kernels, y: np.ndarray, factor: np.ndarray, share: np.ndarray, phi: float, threads: int = 1
) -> np.ndarray:
    """`factor` times the term of every row that is free of the mean, at dispersion phi / `share`."""
    out = np.empty(y.size)
    y, factor, share = own(y), own(factor), own(share)
    run = _compiled_base(kernels)

    def part(start: int) -> None:
        run(y, factor, share, phi, kernels.constants, start, min(start + CHUNK, y.size), out)

    _threads.run(part, range(0, y.size, CHUNK), threads)
    return out


@cache
def _compiled_values() -> Callable[..., Any]:
    from .native import call_rows

    stamp = source_stamp()

    def row_values(kernel, y, weight, eta, constants, start, stop, out):
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        k = eta.shape[0]
        one, its, column = np.empty(1), np.empty(1), np.empty((k, 1))
        u, w = np.empty((k, 1)), np.empty((k * (k + 1) // 2, 1))
        for i in range(start, stop):
            one[0], its[0] = y[i], weight[i]
            for j in range(k):
                column[j, 0] = eta[j, i]
            out[i] = call_rows(kernel, one, its, column, constants, 0, u, w)

    return compile_kernel(row_values, True)


_bases: dict[Any, Callable[..., Any]] = {}


def _compiled_base(kernels: Kernels) -> Callable[..., Any]:
    key = kernels.formulas.base
    if key not in _bases:
        own_family = is_own(type(kernels.family))
        stamp = source_stamp() if own_family else ""
        base, unpack = kernels.formulas.base, _unpacked(kernels.constants.size)

        def row_bases(y, factor, share, phi, constants, start, stop, out):
            stamp  # noqa: B018
            given = unpack(constants)
            for i in range(start, stop):
                value = 0.0
                if factor[i] != 0.0:
                    value = factor[i] * base(y[i], phi / share[i], *given)[0]
                out[i] = value

        name = f"row_bases_{kernels.family.name}_{len(kernels.family.parameters)}"
        row_bases.__name__ = row_bases.__qualname__ = name
        _bases[key] = compile_kernel(row_bases, True) if own_family else forgiving(row_bases)
    return _bases[key]


__all__ = ["base_terms_by_row", "objectives"]
