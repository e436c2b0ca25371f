"""Sparse columns by rows (CSR), as they are read and kept.

The entries are three plain arrays, which the pass over the rows takes by address: `indptr` (int64),
`indices` (uint32, rising within a row) and `data` (float64). Sparse columns are never centred, which would fill them;
columns of extreme size are scaled by a power of two, which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ._jit import compiled
from .errors import InputError, InputTypeError

GRANULE = 128  # rows that stand together: a block of a pass over the rows is whole granules
LENGTHS = 64  # rows with at least as many entries stand together, whatever their number
WIDEST = 2**31 - 1  # columns that a 32-bit index can name
PLAIN = 20.0  # exponents of two up to which a column is read as it is
SCALE_LIMIT = 900  # exponents of two that a scale may have


class ByLength(NamedTuple):
    """Entries row by row, in an order of the rows in which loops over their entries are of the same length for long.

    A processor that has to guess where the next row ends spends more time on wrong guesses than on entries.
    """

    order: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


@dataclass(frozen=True, eq=False)
class Sparse:
    """Sparse columns of a design: entries row by row. `data` is x times `inverse_scale`, where there is one."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    width: int
    inverse_scale: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.indptr.size - 1

    @property
    def scale(self) -> np.ndarray:
        """The inverse scale of every column, ones where nothing was scaled."""
        return np.ones(self.width) if self.inverse_scale is None else self.inverse_scale

    @cached_property
    def by_length(self) -> ByLength:
        """The entries with the rows of every granule ordered by their number of entries."""
        parts = ByLength(np.empty(self.n, np.uint32), np.empty_like(self.indptr), np.empty_like(self.indices),
                         np.empty_like(self.data))  # fmt: skip
        compiled(arrange)(self.indptr, self.indices, self.data, parts.order, parts.indptr, parts.indices, parts.data)
        return parts

    def take(self, rows: np.ndarray | slice) -> Sparse:
        """The rows where `rows` is True, or those of a slice, copied."""
        numbers = np.arange(self.n)[rows]
        length = (self.indptr[1:] - self.indptr[:-1])[numbers]
        indptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        at = np.repeat(self.indptr[numbers] - indptr[:-1], length) + np.arange(indptr[-1])
        return replace(self, indptr=indptr, indices=self.indices[at], data=self.data[at])

    def column(self, j: int) -> np.ndarray:
        """One column, dense."""
        out = np.zeros(self.n)
        at = np.flatnonzero(self.indices == j)
        out[np.searchsorted(self.indptr, at, side="right") - 1] = self.data[at]
        return out

    def entry_row(self, at: int) -> int:
        """The row of an entry."""
        return int(np.searchsorted(self.indptr, at, side="right")) - 1

    def to_scipy(self) -> Any:
        """The columns, scaled, as a scipy.sparse array that shares the memory."""
        from scipy.sparse import csr_array

        indices = self.indices.view(np.int32)
        return csr_array((self.data, indices, self.indptr), shape=(self.n, self.width), copy=False)


def is_sparse(data: Any) -> bool:
    """True for matrices and arrays of scipy.sparse."""
    return hasattr(data, "nnz") and hasattr(data, "tocsr") and hasattr(data, "toarray")


def read_sparse(data: Any, what: str) -> Sparse:
    """Read a scipy.sparse matrix or array of any format; its arrays are shared where they can be, and never changed.

    Raises
    ------
    InputError, InputTypeError
        For a shape, dtype or structure that cannot be used.
    """
    if len(data.shape) != 2:
        raise InputError(
            f"Expected 2D array, got {len(data.shape)}D array instead: {what} is sparse with shape {data.shape}. "
            "Reshape your data, e.g. using array.reshape(-1, 1) for a single feature"
        )
    kind = data.dtype.kind
    if kind == "c":
        raise InputError(f"Complex data not supported: {what} has dtype {data.dtype}; pass its real part")
    if kind not in "fiub":
        raise InputTypeError(f"{what} is sparse with dtype {data.dtype}, which is not a kind of number")
    n, width = (int(size) for size in data.shape)
    if width > WIDEST:
        raise InputError(f"{what} has {width} columns; at most {WIDEST} can be fitted")
    csr = data.tocsr()
    _check_structure(csr, n, width, what)
    with np.errstate(over="ignore", under="ignore"):
        entries, indices, indptr = (
            np.require(part, dtype, ("C", "A", "W"))
            for part, dtype in ((csr.data, np.float64), (csr.indices, np.int32), (csr.indptr, np.int64))
        )
    if not compiled(is_canonical)(indptr, indices.view(np.uint32)):
        from scipy.sparse import csr_array

        merged = csr_array((entries, indices, indptr), shape=(n, width), copy=True)
        merged.sum_duplicates()
        entries, indices, indptr = merged.data, merged.indices.astype(np.int32), merged.indptr.astype(np.int64)
    return Sparse(indptr, indices[: indptr[-1]].view(np.uint32), entries[: indptr[-1]], width)


def _check_structure(csr: Any, n: int, width: int, what: str) -> None:
    """Refuse indices outside the matrix, which compiled loops would follow anywhere."""
    indptr, indices = csr.indptr, csr.indices
    used = int(indptr[-1]) if indptr.size else -1
    good = indptr.size == n + 1 and indptr[0] == 0 and 0 <= used <= min(indices.size, csr.data.size)
    good = bool(good and np.all(indptr[1:] >= indptr[:-1]))
    if good and used:
        good = bool(indices[:used].min() >= 0 and indices[:used].max() < width)
    if not good:
        raise InputError(f"{what} is sparse with an invalid structure: its indices or indptr point outside of its "
                         f"shape {(n, width)}; build it anew")  # fmt: skip


def scaled(columns: Sparse) -> Sparse:
    """Columns of extreme size, scaled by a power of two from their largest magnitude; the others are left alone."""
    size = largest(columns)
    with np.errstate(divide="ignore"):
        exponent = np.where(size > 0.0, np.round(np.log2(np.where(size > 0.0, size, 1.0))), 0.0)
    if np.all(np.abs(exponent) <= PLAIN):
        return columns
    exponent = np.where(np.abs(exponent) <= PLAIN, 0.0, np.clip(exponent, -SCALE_LIMIT, SCALE_LIMIT))
    inverse = np.exp2(-exponent)
    return replace(columns, data=columns.data * inverse[columns.indices], inverse_scale=inverse)


def largest(columns: Sparse) -> np.ndarray:
    """The largest magnitude in every column."""
    out = np.zeros(columns.width)
    compiled(column_sizes)(columns.indices, columns.data, out)
    return out


def join(parts: list[tuple[np.ndarray, np.ndarray]], n: int) -> Sparse:
    """Columns given one by one as (rows, values) as one Sparse."""
    from scipy.sparse import csc_array

    indptr = np.concatenate([[0], np.cumsum([rows.size for rows, _ in parts])])
    rows = np.concatenate([rows for rows, _ in parts]) if parts else np.empty(0, int)
    values = np.concatenate([values for _, values in parts]).astype(float) if parts else np.empty(0)
    return read_sparse(csc_array((values, rows, indptr), shape=(n, len(parts))), "X")


def is_canonical(indptr, indices):
    """True where indices rise strictly within every row."""
    for i in range(indptr.size - 1):
        for k in range(np.uint64(indptr[i] + 1), np.uint64(indptr[i + 1])):
            if indices[k] <= indices[k - 1]:
                return False
    return True


def arrange(indptr, indices, data, order, ends, columns, values):
    """The arrays of `ByLength`, by a counting sort of every granule."""
    counts = np.empty(LENGTHS + 1, np.int64)
    ends[0] = 0
    to = 0
    for first in range(0, order.size, GRANULE):
        stop = min(first + GRANULE, order.size)
        counts[:] = 0
        for i in range(first, stop):
            counts[min(indptr[i + 1] - indptr[i], LENGTHS - 1) + 1] += 1
        for length in range(LENGTHS):
            counts[length + 1] += counts[length]
        for i in range(first, stop):
            length = min(indptr[i + 1] - indptr[i], LENGTHS - 1)
            order[first + counts[length]] = i
            counts[length] += 1
        for q in range(first, stop):
            i = order[q]
            for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
                columns[to], values[to] = indices[k], data[k]
                to += 1
            ends[q + 1] = to


def column_sizes(indices, data, out):
    for k in range(data.size):
        size = abs(data[k])
        if size > out[indices[k]]:
            out[indices[k]] = size


__all__ = ["Sparse", "is_sparse", "join", "largest", "read_sparse", "scaled"]
