"""Cholesky factors and their solutions, compiled around LAPACK: for a few columns, calls from Python cost more.

Import this module only where a kernel is built: it imports Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import types

from . import native
from ._jit import compile_kernel, source_stamp

fortran_dgemv: Any = native.fortran_dgemv
lapack_dpotrf: Any = native.lapack_dpotrf
lapack_dpocon: Any = native.lapack_dpocon
lapack_dpotrs: Any = native.lapack_dpotrs
UPPER = 85  # "U": rows of a lower triangle are what Fortran reads as columns of an upper one
PLAIN = 78  # "N"


def _make_factorise(stamp: str) -> Callable[..., Any]:
    def factorise(lapack, information, scale, lower):
        """information = D L L' D, with 1 on the diagonal of L L'; its reciprocal condition, 0 where there is no factor.

        `scale` takes the diagonal of D, `lower` is L and has zeros above its diagonal.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        p = scale.size
        for j in range(p):
            diagonal = information[j, j]
            if not (diagonal > 0.0 and diagonal < math.inf):
                return 0.0
            scale[j] = math.sqrt(diagonal)
        sizes, room, whole = np.zeros(p), np.zeros(3 * p + 1), np.zeros(p + 1, np.int64)
        for j in range(p):
            for k in range(j):
                entry = information[j, k] / scale[j] / scale[k]
                lower[j, k] = entry
                sizes[j] += abs(entry)
                sizes[k] += abs(entry)
            lower[j, j] = information[j, j] / scale[j] / scale[j]
            sizes[j] += 1.0
        norm = 0.0
        for j in range(p):
            if not sizes[j] < math.inf:
                return 0.0
            norm = max(norm, sizes[j])
        a, rest, places = lower.ctypes.data, room.ctypes.data, whole.ctypes.data
        lapack_dpotrf(lapack[0], (UPPER, p, a, p, places))
        if whole[0] != 0:
            return 0.0
        lapack_dpocon(lapack[1], (UPPER, p, a, p, norm, rest, rest + 8, places + 8, places))
        return room[0] if whole[0] == 0 else 0.0  # which also keeps the arrays, known to LAPACK by address only

    return factorise


def _make_solve(stamp: str) -> Callable[..., Any]:
    def solve(lapack, scale, lower, matrix, score, out):
        """out = (D L L' D)^-1 score, refined once on its residual where the matrix is given."""
        stamp  # noqa: B018
        p = scale.size
        for j in range(p):
            out[j] = score[j] / scale[j]
        failed, rest = np.zeros(1, np.int64), np.empty(p)
        a, b, info, at = lower.ctypes.data, out.ctypes.data, failed.ctypes.data, rest.ctypes.data
        lapack_dpotrs(lapack[2], (UPPER, p, 1, a, p, b, p, info))
        for j in range(p):
            out[j] /= scale[j]
        if matrix.size:
            for j in range(p):
                rest[j] = score[j]
            fortran_dgemv(lapack[3], (PLAIN, p, p, -1.0, matrix.ctypes.data, p, b, 1, 1.0, at, 1))
            for j in range(p):
                rest[j] /= scale[j]
            lapack_dpotrs(lapack[2], (UPPER, p, 1, a, p, at, p, info))
            finite = True
            for j in range(p):
                finite = finite and abs(rest[j]) < math.inf
            for j in range(p if finite else 0):
                out[j] += rest[j] / scale[j]
        return failed[0]

    return solve


_F1, _F2, _I1 = types.float64[::1], types.float64[:, ::1], types.int64[::1]
_MAKERS: dict[str, tuple[Callable[[str], Callable[..., Any]], Any]] = {
    "factorise": (_make_factorise, types.float64(_I1, _F2, _F1, _F2)),
    "solve": (_make_solve, types.int64(_I1, _F1, _F2, _F2, _F1, _F1)),
}


@cache
def compiled_factoring(name: str) -> Callable[..., Any]:
    """`factorise` or `solve`, compiled for its one signature."""
    make, signature = _MAKERS[name]
    function = make(source_stamp())
    function.__name__ = function.__qualname__ = name
    kernel = compile_kernel(function, True)
    kernel.compile(signature)  # type: ignore[attr-defined]
    return kernel
