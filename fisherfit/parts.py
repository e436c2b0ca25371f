"""The parts of a pass over the rows, for a block of dense and categorical columns: reading, products, sums.

A block z of a design's dense columns is a matrix in Fortran's sense: `order` BY_ROW is a (d, m) array with leading
dimension `lead`, BY_COLUMN an (m, d) one. The tables that say where the columns are: see `passes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from .blocks import (
    ADDRESS,
    BY_COLUMN,
    BY_ROW,
    DENSE,
    DOUBLE_ROWS,
    FIRST_CATEGORY,
    FIRST_COLUMN,
    HOW,
    IN_PLACE,
    INTERCEPT,
    LEAD,
    N_CATEGORIES,
    ORDER,
    SINGLE_ROWS,
)  # fmt: skip
from .native import (
    MIDDLE,
    TILE,
    WIDEST,
    fortran_dgemm,
    fortran_dgemv,
    fortran_dsyrk,
    inlined,
    middle_tile,
    narrow_tile,
    pointer,
    scale_eight,
    standardise_rows,
    whole_rows,
    widest_tile,
)  # fmt: skip

TILED = 128  # columns up to which products are summed in tiles
N, T, U = 78, 84, 85  # the characters that BLAS takes


def _column_reader(dtype: Any) -> Callable[..., Any]:
    size = np.dtype(dtype).itemsize

    @inlined
    def read(address, step, m, centre, scale, out, at):
        """out[at + i] = (x_i - centre) * scale for a column of m values."""
        if step == 1:
            x = carray(pointer(address), (m,), dtype)
            for i in range(m):
                out[at + i] = (x[i] - centre) * scale
        else:  # a column read backwards begins at its highest address
            back = (1 - m) * min(step, 0)
            x = carray(pointer(address - back * size), ((m - 1) * abs(step) + 1,), dtype)
            for i in range(m):
                out[at + i] = (x[back + i * step] - centre) * scale

    return read


@inlined
def _rows_f4(address, step, m, d, standards, first, out):
    """out = (x - centre) * scale for m rows of d neighbouring singles each."""
    x = carray(pointer(address), ((m - 1) * step + d,), np.float32)
    for i in range(m):
        at, to = i * step, i * d
        for j in range(d):
            out[to + j] = (x[at + j] - standards[first + j, 0]) * standards[first + j, 1]


_column_f8, _column_f4 = _column_reader(np.float64), _column_reader(np.float32)


@inlined
def load(shape, columns, standards, start, m, buffer):
    """A block of dense columns, standardised: its address and leading dimension."""
    d, first = shape[DENSE], shape[FIRST_COLUMN]
    if d == 0:
        return shape[ADDRESS], 1
    if shape[HOW] == IN_PLACE:
        step = 1 if shape[ORDER] == BY_COLUMN else shape[LEAD]
        return shape[ADDRESS] + 8 * start * step, shape[LEAD]
    if shape[HOW] == DOUBLE_ROWS:
        standardise_rows(shape[ADDRESS] + 8 * start * shape[LEAD], shape[LEAD], m, d, standards, first, buffer)
        return buffer.ctypes.data, d
    if shape[HOW] == SINGLE_ROWS:
        _rows_f4(shape[ADDRESS] + 4 * start * shape[LEAD], shape[LEAD], m, d, standards, first, buffer)
        return buffer.ctypes.data, d
    for j in range(first, first + d):
        step, item, at = columns[j, 1], columns[j, 2], (j - first) * m
        address = columns[j, 0] + start * step * item
        if item == 8:
            _column_f8(address, step, m, standards[j, 0], standards[j, 1], buffer, at)
        else:
            _column_f4(address, step, m, standards[j, 0], standards[j, 1], buffer, at)
    return buffer.ctypes.data, m


@inlined
def codes_of(categories, c, start, m):
    """The codes of a block of a categorical column."""
    return carray(pointer(categories[c, 0] + 4 * start), (m,), np.int32)


@inlined
def predict(blas, shape, categories, z, lead, start, m, beta, eta):
    """eta = X beta for a block."""
    first, d = shape[INTERCEPT], shape[DENSE]
    eta[:] = beta[0] if first else 0.0
    if d:
        x, y = beta.ctypes.data + 8 * first, eta.ctypes.data
        if shape[ORDER] == BY_ROW:
            fortran_dgemv(blas[0], (T, d, m, 1.0, z, lead, x, 1, 1.0, y, 1))
        else:
            fortran_dgemv(blas[0], (N, m, d, 1.0, z, lead, x, 1, 1.0, y, 1))
    at = first + d
    for c in range(shape[FIRST_CATEGORY], shape[FIRST_CATEGORY] + shape[N_CATEGORIES]):
        codes = codes_of(categories, c, start, m)
        for i in range(m):
            if codes[i] >= 0:
                eta[i] += beta[at + codes[i]]
        at += categories[c, 1]


@inlined
def add_score(blas, shape, categories, z, lead, start, m, u, out):
    """out += X'u for a block."""
    first, d = shape[INTERCEPT], shape[DENSE]
    if first:
        total = 0.0
        for i in range(m):
            total += u[i]
        out[0] += total
    if d:
        x, y = u.ctypes.data, out.ctypes.data + 8 * first
        if shape[ORDER] == BY_ROW:
            fortran_dgemv(blas[0], (N, d, m, 1.0, z, lead, x, 1, 1.0, y, 1))
        else:
            fortran_dgemv(blas[0], (T, m, d, 1.0, z, lead, x, 1, 1.0, y, 1))
    add_by_code(shape, categories, start, m, u, out)


@inlined
def add_by_code(shape, categories, start, m, u, out):
    """out += C'u for the categorical columns C of a block."""
    at = shape[INTERCEPT] + shape[DENSE]
    for c in range(shape[FIRST_CATEGORY], shape[FIRST_CATEGORY] + shape[N_CATEGORIES]):
        codes = codes_of(categories, c, start, m)
        for i in range(m):
            if codes[i] >= 0:
                out[at + codes[i]] += u[i]
        at += categories[c, 1]


@inlined
def positive(w):
    """True where no weight is negative or NaN."""
    found = True
    for i in range(w.size):
        found &= w[i] >= 0.0
    return found


@inlined
def row_length(q):
    """The length of a row of `weigh`: whole vectors, and no power of two, whose rows would share cache lines."""
    vectors = (q + 7) // 8
    return 8 * (vectors + 1 if vectors % 8 == 0 else vectors)


@inlined
def weigh(shape, z, lead, m, factor, out):
    """Rows of diag(factor) [1, z], the 1 where there is an intercept; what follows in a row is left alone."""
    first, d = shape[INTERCEPT], shape[DENSE]
    length = row_length(first + d)
    if d and shape[ORDER] == BY_ROW:
        x = carray(pointer(z), ((m - 1) * lead + d,), np.float64)
        source, target = z, out.ctypes.data + 8 * first
        vectors = whole_rows(m, d)
        for i in range(vectors):
            for at in range(0, 8 * d, 64):
                scale_eight(source + at, factor[i], target + at)
            source += 8 * lead
            target += 8 * length
        for i in range(vectors, m):
            for j in range(d):
                out[i * length + first + j] = factor[i] * x[i * lead + j]
    elif d:
        x = carray(pointer(z), ((d - 1) * lead + m,), np.float64)
        for begin in range(0, m, 8):  # few rows at a time, so that their lines stay in the first cache
            for j in range(d):
                for i in range(begin, min(begin + 8, m)):
                    out[i * length + first + j] = factor[i] * x[j * lead + i]
    if first:
        for i in range(m):
            out[i * length] = factor[i]


@inlined
def add_squares(s, q, m, tile, out, edge):
    """out += s's, the lower triangle from row and column `edge` on, for m rows of q numbers.

    Tile by tile, each summed over all rows in vector registers: on blocks that lie in the cache twice as fast as
    dsyrk for a few dozen columns. For many, dsyrk packs its operands and is faster.
    """
    length = row_length(q)
    for first in range(0, q, TILE):
        column = 0
        while column < first + TILE and column < q:
            vectors = (first + TILE - 1 - column) // 8 + 1
            if vectors >= WIDEST and vectors != 4:
                widest_tile(s.ctypes.data, length, m, first, column, tile.ctypes.data)
                width = 8 * WIDEST
            elif vectors >= MIDDLE:
                middle_tile(s.ctypes.data, length, m, first, column, tile.ctypes.data)
                width = 8 * MIDDLE
            else:
                narrow_tile(s.ctypes.data, length, m, first, column, tile.ctypes.data)
                width = 8
            for r in range(min(TILE, q - first)):
                for c in range(min(width, first + r + 1 - column)):
                    out[edge + first + r, edge + column + c] += tile[r * width + c]
            column += width


@inlined
def add_information(blas, shape, categories, z, lead, start, m, w, definite, factor, work, tile, out, edge):
    """out += X' diag(w) X for a block, its lower triangle from row and column `edge` on.

    The dense part goes through sqrt(w) X, or, where some weight is negative, through a general product. Pairs of a
    categorical column with anything else are sums by code.
    """
    q, p = shape[INTERCEPT] + shape[DENSE], out.shape[1]
    length, to = row_length(q), out.ctypes.data + 8 * edge * (p + 1)
    for side in range((1 if definite else 2) if q else 0):
        for i in range(m):
            factor[i] = np.sqrt(w[i]) if definite else w[i] if side == 0 else 1.0
        weigh(shape, z, lead, m, factor, work[side * length * m :])
    if q and definite and q <= TILED:
        add_squares(work, q, m, tile, out, edge)
    elif q:
        a = work.ctypes.data
        if definite:
            fortran_dsyrk(blas[1], (U, N, q, m, 1.0, a, length, 1.0, to, p))
        else:
            fortran_dgemm(blas[2], (N, T, q, q, m, 1.0, a, length, a + 8 * length * m, length, 1.0, to, p))
    at = edge + q
    for c in range(shape[FIRST_CATEGORY], shape[FIRST_CATEGORY] + shape[N_CATEGORIES]):
        codes = codes_of(categories, c, start, m)
        for i in range(m):
            if codes[i] >= 0:
                row = at + codes[i]
                out[row, row] += w[i]
                f = factor[i] if definite else 1.0
                for j in range(q):
                    out[row, edge + j] += f * work[i * length + j]
        to_column = edge + q
        for other_c in range(shape[FIRST_CATEGORY], c):
            other = codes_of(categories, other_c, start, m)
            for i in range(m):
                if codes[i] >= 0 and other[i] >= 0:
                    out[at + codes[i], to_column + other[i]] += w[i]
            to_column += categories[other_c, 1]
        at += categories[c, 1]
