"""The parts of a pass over the rows that read sparse columns: see `fisherfit.passes`, and `sparse` for the arrays.

Indices have no sign and go into slices: that spares the compiler the test for negative ones, a third of the time.
"""

from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from .blocks import ENTRIES, FIRST_CATEGORY, INDICES, N_CATEGORIES, ROW_ENDS, ROW_ORDER, SPARSE, WIDTH
from .native import inlined, pointer
from .parts import codes_of


@inlined
def entries_of(shape, start, m):
    """m rows of a block in the order of their entries, where these end (and the first begins), columns and values."""
    order = carray(pointer(shape[ROW_ORDER] + 4 * start), (m,), np.uint32)
    ends = carray(pointer(shape[ROW_ENDS] + 8 * start), (m + 1,), np.int64)
    indices = carray(pointer(shape[INDICES]), (ends[m],), np.uint32)
    return order, ends, indices, carray(pointer(shape[ENTRIES]), (ends[m],), np.float64)


@inlined
def predict_entries(shape, start, m, beta, eta):
    """eta += X beta for a block."""
    order, ends, indices, data = entries_of(shape, start, m)
    here = beta[shape[WIDTH] - shape[SPARSE] :]
    for q in range(m):
        i = order[q] - np.uint64(start)
        total = 0.0
        for k in range(np.uint64(ends[q]), np.uint64(ends[q + 1])):
            total += data[k] * here[indices[k]]
        eta[i] += total


@inlined
def add_entries_score(shape, start, m, u, out):
    """out += X'u for a block."""
    order, ends, indices, data = entries_of(shape, start, m)
    here = out[shape[WIDTH] - shape[SPARSE] :]
    for q in range(m):
        i = order[q] - np.uint64(start)
        r = u[i]
        for k in range(np.uint64(ends[q]), np.uint64(ends[q + 1])):
            here[indices[k]] += data[k] * r


@inlined
def multiply_entries(shape, start, m, w, v, eta, out):
    """With eta = Zv of the other columns: eta = diag(w) (eta + Xv) and out += X'eta, for a block.

    Row by row: the entries and the length of a row are known the second time.
    """
    order, ends, indices, data = entries_of(shape, start, m)
    at = shape[WIDTH] - shape[SPARSE]
    there, here = v[at:], out[at:]
    for q in range(m):
        i = order[q] - np.uint64(start)
        begin, end = np.uint64(ends[q]), np.uint64(ends[q + 1])
        total = eta[i]
        for k in range(begin, end):
            total += data[k] * there[indices[k]]
        total *= w[i]
        eta[i] = total
        for k in range(begin, end):
            here[indices[k]] += data[k] * total


@inlined
def add_entries_squares(shape, start, m, w, out):
    """out += the diagonal of X' diag(w) X for a block."""
    order, ends, indices, data = entries_of(shape, start, m)
    here = out[shape[WIDTH] - shape[SPARSE] :]
    for q in range(m):
        i = order[q] - np.uint64(start)
        for k in range(np.uint64(ends[q]), np.uint64(ends[q + 1])):
            here[indices[k]] += w[i] * data[k] * data[k]


@inlined
def add_entries_information(shape, categories, start, m, w, definite, factor, work, length, q, out, edge):
    """out += X' diag(w) [1, Z, C, X] for a block, C the categorical columns: the rows of X in the lower triangle.

    `work` and `factor` are what is left by the dense columns, q of them: rows of diag(factor) [1, Z], or, where some
    weight is negative, of diag(w) [1, Z].
    """
    order, ends, indices, data = entries_of(shape, start, m)
    at = edge + shape[WIDTH] - shape[SPARSE]
    rows = out[at:]
    here = out[at:, at:]
    for r in range(m):
        i = np.int64(order[r]) - start
        f = factor[i] if definite else 1.0
        begin, end = np.uint64(ends[r]), np.uint64(ends[r + 1])
        for k in range(begin, end):
            row, factored = rows[indices[k]], f * data[k]
            for j in range(q):
                row[edge + j] += factored * work[i * length + j]
            row, weighted = here[indices[k]], w[i] * data[k]
            for other in range(begin, k + np.uint64(1)):
                row[indices[other]] += weighted * data[other]
    to = edge + q
    for c in range(shape[FIRST_CATEGORY], shape[FIRST_CATEGORY] + shape[N_CATEGORIES]):
        codes = codes_of(categories, c, start, m)
        for r in range(m):
            i = order[r] - np.uint64(start)
            if codes[i] >= 0:
                for k in range(np.uint64(ends[r]), np.uint64(ends[r + 1])):
                    rows[indices[k], to + codes[i]] += w[i] * data[k]
        to += categories[c, 1]


@inlined
def expand_entries(shape, start, m, out):
    """The sparse columns of a block, dense."""
    order, ends, indices, data = entries_of(shape, start, m)
    at = shape[WIDTH] - shape[SPARSE]
    for q in range(m):
        i = order[q] - np.uint64(start)
        row = out[i, at:]
        for k in range(np.uint64(ends[q]), np.uint64(ends[q + 1])):
            row[indices[k]] = data[k]
