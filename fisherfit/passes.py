"""The pass over the rows: one compiled loop for every model, over blocks that stay in the cache.

A pass takes everything that has a type of its own (layouts, dtypes, read-only arrays, the family) by address, so that
each function here is compiled once and kept on disk. It runs without the interpreter, on rows `start` to `stop`, in
blocks of `size` rows: read a block (or point at it where it lies), linear predictors, the family's row kernel, score,
information. Import this module only where a kernel is built: it imports Numba.

A design reaches the loops as rows of three tables, made by `blocks.Layout`:

- `shapes`, one row a design: see the constants in `blocks`;
- `columns`, one row a dense column: address, step between rows in items, size of an item (8: doubles, 4: singles);
- `standards`, likewise: centre and inverse scale;
- `categories`, one row a categorical column: address of its codes, number of coefficients.

Sparse columns come last; what they need is compiled in forms of its own (`_sparse`), so that other fits need not wait
for it. A third form (`_wide`) has no information matrix, and keeps the w of every row instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]

from ._jit import compile_kernel, source_stamp
from .blocks import (
    BY_ROW,
    DENSE,
    FIRST_CATEGORY,
    HOW,
    IN_PLACE,
    INTERCEPT,
    N_CATEGORIES,
    ORDER,
    SPARSE,
    WIDTH,
)  # fmt: skip
from .entries import (
    add_entries_information,
    add_entries_score,
    add_entries_squares,
    expand_entries,
    multiply_entries,
    predict_entries,
)
from .native import TILE, WIDEST, call_rows, pointer
from .parts import (
    add_by_code,
    add_information,
    add_score,
    codes_of,
    load,
    positive,
    predict,
    row_length,
)

EXPECTED = 2


def _make_evaluate(stamp: str, sparse: bool, wide: bool) -> Callable[..., Any]:
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

        `kernel` is the address of a row kernel, `vectors` the addresses of y, weight, offset (0 for none) and of where
        the linear predictors are to be kept (0 for nowhere), (K, n), and n. Where the design is wide `out` takes the w
        of the rows, (K(K+1)/2, n), in place of the information.
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
        work = np.zeros(0 if wide or not informative else row_length(dense) * size)
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
                if sparse and shapes[k, SPARSE]:
                    predict_entries(shapes[k], begin, m, beta, eta[k])
            if vectors[2] != 0:
                offset = carray(pointer(vectors[2] + 8 * begin), (m,), np.float64)
                for i in range(m):
                    eta[0, i] += offset[i]
            if vectors[3] != 0:
                for k in range(n_parameters):
                    kept = carray(pointer(vectors[3] + 8 * (k * vectors[4] + begin)), (m,), np.float64)
                    for i in range(m):
                        kept[i] = eta[k, i]
            y = carray(pointer(vectors[0] + 8 * begin), (m,), np.float64)
            weight = carray(pointer(vectors[1] + 8 * begin), (m,), np.float64)
            loglik += call_rows(kernel, y, weight, eta, constants, what, u, w)
            if what == 0:
                continue
            if what == EXPECTED:  # u^2 / w = weight (y - mu)^2 / V
                for i in range(m):
                    pearson += u[0, i] * u[0, i] / w[0, i] if w[0, i] > 0.0 else 0.0
            if wide:
                for k in range(n_parameters):
                    to = score[edges[k] : edges[k + 1]]
                    add_score(blas, shapes[k], categories, places[k], leads[k], begin, m, u[k], to)
                    if shapes[k, SPARSE]:
                        add_entries_score(shapes[k], begin, m, u[k], to)
                for pair in range(n_pairs if informative else 0):
                    for i in range(m):
                        out[pair, begin + i] = w[pair, i]
                continue
            pair = 0
            for k in range(n_parameters):
                for j in range(k, n_parameters if informative else k + 1):
                    if j == k:
                        vector, to = u[k], score[edges[k] : edges[k + 1]]
                    else:
                        vector, to = w[pair], out[edges[j], edges[k] : edges[k + 1]]
                    if j == k or (shapes[j, WIDTH] == 1 and shapes[j, INTERCEPT] == 1):
                        add_score(blas, shapes[k], categories, places[k], leads[k], begin, m, vector, to)
                        if sparse and shapes[k, SPARSE]:
                            add_entries_score(shapes[k], begin, m, vector, to)
                    if j == k and informative:
                        definite = positive(w[pair])
                        if not definite and work.size == row_length(dense) * size:
                            work = np.zeros(2 * row_length(dense) * size)
                        add_information(blas, shapes[k], categories, places[k], leads[k], begin, m, w[pair], definite,
                                        factor, work, tile, out, edges[k])  # fmt: skip
                        if sparse and shapes[k, SPARSE]:
                            q = shapes[k, INTERCEPT] + shapes[k, DENSE]
                            add_entries_information(shapes[k], categories, begin, m, w[pair], definite, factor,
                                                    work, row_length(q), q, out, edges[k])  # fmt: skip
                    pair += 1
        return loglik, pearson

    return evaluate


def _make_project(stamp: str, sparse: bool) -> Callable[..., Any]:
    def project(blas, shape, columns, standards, categories, start, stop, size, beta, out):
        """out[start:stop] = X beta."""
        stamp  # noqa: B018
        buffer = np.empty(0 if shape[HOW] == IN_PLACE else shape[DENSE] * size)
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            z, lead = load(shape, columns, standards, begin, m, buffer)
            predict(blas, shape, categories, z, lead, begin, m, beta, out[begin : begin + m])
            if sparse:
                predict_entries(shape, begin, m, beta, out[begin : begin + m])

    return project


def _make_collect(stamp: str, sparse: bool, wide: bool) -> Callable[..., Any]:
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
            if sparse and shape[SPARSE]:
                add_entries_score(shape, begin, m, u[begin : begin + m], score)
            if wide:
                continue
            if informative:
                here = w[begin : begin + m]
                add_information(blas, shape, categories, z, lead, begin, m, here, definite, factor, work, tile,
                                out, 0)  # fmt: skip
                if sparse:
                    add_entries_information(shape, categories, begin, m, here, definite, factor, work,
                                            row_length(dense), dense, out, 0)  # fmt: skip

    return collect


def _make_expand(stamp: str, sparse: bool) -> Callable[..., Any]:
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
        if sparse:
            expand_entries(shape, start, m, out)

    return expand


def _make_product(stamp: str) -> Callable[..., Any]:
    def product(blas, shapes, columns, standards, categories, start, stop, size, w, v, out):
        """out += F v, the information F given by the w of the rows, (K(K+1)/2, n)."""
        stamp  # noqa: B018
        n_parameters = shapes.shape[0]
        edges = np.zeros(n_parameters + 1, np.int64)
        lengths = np.zeros(n_parameters + 1, np.int64)
        for k in range(n_parameters):
            edges[k + 1] = edges[k] + shapes[k, WIDTH]
            lengths[k + 1] = lengths[k] + (0 if shapes[k, HOW] == IN_PLACE else shapes[k, DENSE])
        buffer = np.empty(lengths[-1] * size)
        eta, moved = np.empty((n_parameters, size)), np.empty((n_parameters, size))
        places, leads = np.empty(n_parameters, np.int64), np.empty(n_parameters, np.int64)
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            for k in range(n_parameters):
                here = buffer[lengths[k] * size : lengths[k + 1] * size]
                places[k], leads[k] = load(shapes[k], columns, standards, begin, m, here)
                part = v[edges[k] : edges[k + 1]]
                predict(blas, shapes[k], categories, places[k], leads[k], begin, m, part, eta[k, :m])
                if shapes[k, SPARSE] and n_parameters > 1:
                    predict_entries(shapes[k], begin, m, part, eta[k])
            if shapes[0, SPARSE] and n_parameters == 1:
                multiply_entries(shapes[0], begin, m, w[0, begin : begin + m], v, eta[0], out)
                add_score(blas, shapes[0], categories, places[0], leads[0], begin, m, eta[0], out)
                continue
            moved[:] = 0.0
            pair = 0
            for k in range(n_parameters):
                for j in range(k, n_parameters):
                    for i in range(m):
                        moved[k, i] += w[pair, begin + i] * eta[j, i]
                        if j > k:
                            moved[j, i] += w[pair, begin + i] * eta[k, i]
                    pair += 1
            for k in range(n_parameters):
                to = out[edges[k] : edges[k + 1]]
                add_score(blas, shapes[k], categories, places[k], leads[k], begin, m, moved[k], to)
                if shapes[k, SPARSE]:
                    add_entries_score(shapes[k], begin, m, moved[k], to)

    return product


def _make_squares(stamp: str) -> Callable[..., Any]:
    def squares(shape, columns, standards, categories, start, stop, size, w, out):
        """out += the diagonal of X' diag(w) X."""
        stamp  # noqa: B018
        first, d = shape[INTERCEPT], shape[DENSE]
        buffer = np.empty(0 if shape[HOW] == IN_PLACE else d * size)
        for begin in range(start, stop, size):
            m = min(size, stop - begin)
            here = w[begin : begin + m]
            z, lead = load(shape, columns, standards, begin, m, buffer)
            if d:
                step, stride = (lead, 1) if shape[ORDER] == BY_ROW else (1, lead)
                x = carray(pointer(z), ((m - 1) * step + (d - 1) * stride + 1,), np.float64)
                for j in range(d):
                    for i in range(m):
                        value = x[i * step + j * stride]
                        out[first + j] += here[i] * value * value
            if first:
                for i in range(m):
                    out[0] += here[i]
            add_by_code(shape, categories, begin, m, here, out)
            if shape[SPARSE]:
                add_entries_squares(shape, begin, m, here, out)

    return squares


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
_EVALUATE = types.UniTuple(_FLOAT, 2)(_INT, _INT, _I1, _I1, _I2, *_DESIGN, *_SPAN, _F1, _F1, _F1, _F2)
_PROJECT = _NOTHING(_I1, _I1, *_DESIGN, *_SPAN, _F1, _F1)
_COLLECT = _NOTHING(_I1, _I1, *_DESIGN, *_SPAN, _F1, _F1, _F1, _F2)
_EXPAND = _NOTHING(_I1, *_DESIGN, _INT, _INT, _F1, _F2)
SIGNATURES = {
    "evaluate": _EVALUATE,
    "project": _PROJECT,
    "collect": _COLLECT,
    "mirror": _NOTHING(_F2),
    "expand": _EXPAND,
    "evaluate_sparse": _EVALUATE,
    "project_sparse": _PROJECT,
    "collect_sparse": _COLLECT,
    "expand_sparse": _EXPAND,
    "evaluate_wide": _EVALUATE,
    "collect_wide": _COLLECT,
    "product": _NOTHING(_I1, _I2, *_DESIGN, *_SPAN, _F2, _F1, _F1),
    "squares": _NOTHING(_I1, *_DESIGN, *_SPAN, _F1, _F1),
}
_MAKERS: dict[str, Callable[[str], Callable[..., Any]]] = {
    "evaluate": lambda stamp: _make_evaluate(stamp, False, False),
    "project": lambda stamp: _make_project(stamp, False),
    "collect": lambda stamp: _make_collect(stamp, False, False),
    "mirror": _make_mirror,
    "expand": lambda stamp: _make_expand(stamp, False),
    "evaluate_sparse": lambda stamp: _make_evaluate(stamp, True, False),
    "project_sparse": lambda stamp: _make_project(stamp, True),
    "collect_sparse": lambda stamp: _make_collect(stamp, True, False),
    "expand_sparse": lambda stamp: _make_expand(stamp, True),
    "evaluate_wide": lambda stamp: _make_evaluate(stamp, True, True),
    "collect_wide": lambda stamp: _make_collect(stamp, True, True),
    "product": _make_product,
    "squares": _make_squares,
}


@cache
def compiled_pass(name: str) -> Callable[..., Any]:
    """One of the loops above, compiled for its one signature."""
    function = _MAKERS[name](source_stamp())
    function.__name__ = function.__qualname__ = name  # an index file of its own in the cache
    kernel = compile_kernel(function, True)
    kernel.compile(SIGNATURES[name])  # type: ignore[attr-defined]
    return kernel


def compile_passes(sparse: bool) -> None:
    """Compile the passes over dense and categorical columns, and those over sparse ones, or read them from disk."""
    for name in SIGNATURES if sparse else ("evaluate", "project", "collect", "mirror", "expand"):
        compiled_pass(name)
