"""The pass over the rows: one compiled loop for every model, over blocks that stay in the cache.

A pass takes everything that has a type of its own (layouts, dtypes, read-only arrays, the family) by address, so that
each function here is compiled once and kept on disk. It runs without the interpreter, on rows `start` to `stop`, in
blocks of `size` rows: read a block (or point at it where it lies), linear predictors, the family's row kernel, score,
information. Import this module only where a kernel is built: it imports Numba.

A design reaches the loops as rows of three tables, made by `blocks.Layout`:

- `shapes`, one row a design: see the constants below;
- `columns`, one row a dense column: address, step between rows in items, size of an item (8: doubles, 4: singles);
- `standards`, likewise: centre and inverse scale;
- `categories`, one row a categorical column: address of its codes, number of coefficients.

A block z of a design's dense columns is a matrix in Fortran's sense: `order` BY_ROW is a (d, m) array with leading
dimension `lead`, BY_COLUMN an (m, d) one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]

from ._jit import compile_kernel, source_stamp
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
    WIDTH,
)  # fmt: skip
from .native import (
    MIDDLE,
    TILE,
    WIDEST,
    call_rows,
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

EXPECTED = 2
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
    at = first + d
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


def _make_evaluate(stamp: str) -> Callable[..., Any]:
    def evaluate(
        kernel,
        what,
        blas,
        vectors,
        shapes,
        columns,
        standards,
        categories,
        start,
        stop,
        size,
        theta,
        constants,
        score,
        out,
    ):
        """Add score and information of rows start to stop; log-likelihood and Pearson's statistic are returned.

        The information between two parameters is added where the second is the same for all rows.

        `kernel` is the address of a row kernel, `vectors` the addresses of y, weight and offset (0 for none).
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        n_parameters = shapes.shape[0]
        edges = np.zeros(n_parameters + 1, np.int64)
        dense = 0
        for k in range(n_parameters):
            edges[k + 1] = edges[k] + shapes[k, WIDTH]
            dense = max(dense, shapes[k, INTERCEPT] + shapes[k, DENSE])
        lengths = np.zeros(n_parameters + 1, np.int64)
        for k in range(n_parameters):
            lengths[k + 1] = lengths[k] + (0 if shapes[k, HOW] == IN_PLACE else shapes[k, DENSE])
        buffer = np.empty(lengths[-1] * size)
        informative = what >= EXPECTED
        work = np.zeros(row_length(dense) * size if informative else 0)
        tile = np.empty(8 * WIDEST * TILE)
        factor = np.empty(size)
        n_pairs = n_parameters * (n_parameters + 1) // 2
        store = np.empty((2 * n_parameters + n_pairs) * size)
        places, leads = np.empty(n_parameters, np.int64), np.empty(n_parameters, np.int64)
        loglik = pearson = 0.0
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            room = store.ctypes.data  # taken here: an array that is not used in the loop would be freed before it
            eta = carray(pointer(room), (n_parameters, m), np.float64)
            u = carray(pointer(room + 8 * n_parameters * m), (n_parameters, m), np.float64)
            w = carray(pointer(room + 16 * n_parameters * m), (n_pairs, m), np.float64)
            for k in range(n_parameters):
                here = buffer[lengths[k] * size : lengths[k + 1] * size]
                places[k], leads[k] = load(shapes[k], columns, standards, begin, m, here)
                beta = theta[edges[k] : edges[k + 1]]
                predict(blas, shapes[k], categories, places[k], leads[k], begin, m, beta, eta[k])
            if vectors[2] != 0:
                offset = carray(pointer(vectors[2] + 8 * begin), (m,), np.float64)
                for i in range(m):
                    eta[0, i] += offset[i]
            y = carray(pointer(vectors[0] + 8 * begin), (m,), np.float64)
            weight = carray(pointer(vectors[1] + 8 * begin), (m,), np.float64)
            loglik += call_rows(kernel, y, weight, eta, constants, what, u, w)
            if what == 0:
                continue
            if what == EXPECTED:  # u^2 / w = weight (y - mu)^2 / V
                for i in range(m):
                    pearson += u[0, i] * u[0, i] / w[0, i] if w[0, i] > 0.0 else 0.0
            pair = 0
            for k in range(n_parameters):
                for j in range(k, n_parameters if informative else k + 1):
                    if j == k:
                        vector, to = u[k], score[edges[k] :]
                    else:
                        vector, to = w[pair], out[edges[j], edges[k] : edges[k + 1]]
                    if j == k or (shapes[j, WIDTH] == 1 and shapes[j, INTERCEPT] == 1):
                        add_score(blas, shapes[k], categories, places[k], leads[k], begin, m, vector, to)
                    if j == k and informative:
                        definite = positive(w[pair])
                        if not definite and work.size == row_length(dense) * size:
                            work = np.zeros(2 * row_length(dense) * size)
                        add_information(blas, shapes[k], categories, places[k], leads[k], begin, m, w[pair], definite,
                                        factor, work, tile, out, edges[k])  # fmt: skip
                    pair += 1
        return loglik, pearson

    return evaluate


def _make_project(stamp: str) -> Callable[..., Any]:
    def project(blas, shape, columns, standards, categories, start, stop, size, beta, out):
        """out[start:stop] = X beta."""
        stamp  # noqa: B018
        buffer = np.empty(0 if shape[HOW] == IN_PLACE else shape[DENSE] * size)
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            z, lead = load(shape, columns, standards, begin, m, buffer)
            predict(blas, shape, categories, z, lead, begin, m, beta, out[begin : begin + m])

    return project


def _make_collect(stamp: str) -> Callable[..., Any]:
    def collect(blas, shape, columns, standards, categories, start, stop, size, u, w, score, out):
        """score += X'u and, unless w is empty, out += X' diag(w) X (its lower triangle)."""
        stamp  # noqa: B018
        dense = shape[INTERCEPT] + shape[DENSE]
        buffer = np.empty(0 if shape[HOW] == IN_PLACE else shape[DENSE] * size)
        informative = w.size > 0
        tile, factor = np.empty(8 * WIDEST * TILE), np.empty(size)
        definite = positive(w[start:stop]) if informative else True
        work = np.zeros(row_length(dense) * size * (1 if definite else 2) if informative else 0)
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            z, lead = load(shape, columns, standards, begin, m, buffer)
            add_score(blas, shape, categories, z, lead, begin, m, u[begin : begin + m], score)
            if informative:
                add_information(blas, shape, categories, z, lead, begin, m, w[begin : begin + m], definite, factor,
                                work, tile, out, 0)  # fmt: skip

    return collect


def _make_expand(stamp: str) -> Callable[..., Any]:
    def expand(shape, columns, standards, categories, start, m, buffer, out):
        """out = rows start to start + m as one dense matrix."""
        stamp  # noqa: B018
        first, d = shape[INTERCEPT], shape[DENSE]
        z, lead = load(shape, columns, standards, start, m, buffer)
        out[:, :] = 0.0
        if d:
            by_row = shape[ORDER] == BY_ROW
            x = carray(pointer(z), ((m - 1) * lead + d if by_row else (d - 1) * lead + m,), np.float64)
            for i in range(m):
                for j in range(d):
                    out[i, first + j] = x[i * lead + j] if by_row else x[j * lead + i]
        if first:
            out[:, 0] = 1.0
        at = first + d
        for c in range(shape[FIRST_CATEGORY], shape[FIRST_CATEGORY] + shape[N_CATEGORIES]):
            codes = codes_of(categories, c, start, m)
            for i in range(m):
                if codes[i] >= 0:
                    out[i, at + codes[i]] = 1.0
            at += categories[c, 1]

    return expand


def _make_mirror(stamp: str) -> Callable[..., Any]:
    def mirror(matrix):
        """Copy the lower triangle above the diagonal."""
        stamp  # noqa: B018
        for i in range(matrix.shape[0]):
            for j in range(i):
                matrix[j, i] = matrix[i, j]

    return mirror


_INT, _FLOAT, _NOTHING = types.int64, types.float64, types.void
_I1, _I2 = types.Array(_INT, 1, "C"), types.Array(_INT, 2, "C")
_F1, _F2 = types.Array(_FLOAT, 1, "C"), types.Array(_FLOAT, 2, "C")
_DESIGN = (_I2, _F2, _I2)  # columns, standards, categories
_SPAN = (_INT, _INT, _INT)
SIGNATURES = {
    "evaluate": types.UniTuple(_FLOAT, 2)(_INT, _INT, _I1, _I1, _I2, *_DESIGN, *_SPAN, _F1, _F1, _F1, _F2),
    "project": _NOTHING(_I1, _I1, *_DESIGN, *_SPAN, _F1, _F1),
    "collect": _NOTHING(_I1, _I1, *_DESIGN, *_SPAN, _F1, _F1, _F1, _F2),
    "mirror": _NOTHING(_F2),
    "expand": _NOTHING(_I1, *_DESIGN, _INT, _INT, _F1, _F2),
}
_MAKERS = {
    "evaluate": _make_evaluate,
    "project": _make_project,
    "collect": _make_collect,
    "mirror": _make_mirror,
    "expand": _make_expand,
}


@cache
def compiled_pass(name: str) -> Callable[..., Any]:
    """One of the loops above, compiled for its one signature."""
    kernel = compile_kernel(_MAKERS[name](source_stamp()), True)
    kernel.compile(SIGNATURES[name])  # type: ignore[attr-defined]
    return kernel


def compile_passes() -> None:
    """Compile all of them, or read them from disk."""
    for name in SIGNATURES:
        compiled_pass(name)
