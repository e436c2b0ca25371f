"""A design as numbers: dense columns, centred and scaled as they are read, categories as codes, sparse columns.

The table is never copied: `Rows.load` reads a block of rows into a buffer, whatever the layout and dtype of the
source, and centres it there. In the standardised coordinates z = (x - centre) * inverse_scale the Gram matrix is
well scaled and linear predictors do not cancel. The scale is a power of two, so that scaling is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import sparse as loops
from ._jit import compiled
from .sparse import Sparse

SAMPLE = 1000  # rows that the centre and the scale of a column are taken from
IN_PLACE = 2_000_000  # entries from which on mildly scaled doubles are read in place
MILD = 4.0  # largest centre, in units of the spread, that needs no centring there
SCALE_LIMIT = 900  # exponents of two that a scale may have


@dataclass(frozen=True, eq=False)
class Categorical:
    """A categorical column: a code for every row, -1 for the reference level."""

    codes: np.ndarray
    width: int


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of one linear predictor, and their standardisation.

    Internally the order is intercept, dense, categorical and sparse columns; `position` is the user's index of each.
    """

    names: tuple[str, ...]
    n: int
    intercept: bool
    dense: tuple[np.ndarray, ...]
    categorical: tuple[Categorical, ...] = ()
    position: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    centre: np.ndarray = field(default_factory=lambda: np.empty(0))
    inverse_scale: np.ndarray = field(default_factory=lambda: np.empty(0))
    rounding: np.ndarray = field(default_factory=lambda: np.empty(0))
    sparse: Sparse | None = None

    @property
    def width(self) -> int:
        """Number of coefficients."""
        return len(self.names)

    @property
    def dense_width(self) -> int:
        """Number of coefficients of the intercept and the dense columns."""
        return self.sparse_at - sum(c.width for c in self.categorical)

    @property
    def sparse_at(self) -> int:
        """The place of the first sparse column, after all others."""
        return self.width - (0 if self.sparse is None else self.sparse.width)

    @property
    def row_size(self) -> float:
        """Numbers that a row holds on average."""
        entries = 0.0 if self.sparse is None else self.sparse.data.size / max(self.n, 1)
        return self.dense_width + len(self.categorical) + entries

    @property
    def sizes(self) -> np.ndarray:
        """For every column, the size of its entries over its spread."""
        out = np.ones(self.width)
        out[int(self.intercept) : self.dense_width] = self.rounding
        return out

    def every(self, stride: int) -> Design:
        """Every stride-th row, copied."""
        rows = slice(None, None, stride)
        return replace(
            self,
            n=len(range(0, self.n, stride)),
            dense=tuple(np.ascontiguousarray(a[rows]) for a in self.dense),
            categorical=tuple(Categorical(np.ascontiguousarray(c.codes[rows]), c.width) for c in self.categorical),
            sparse=None if self.sparse is None else self.sparse.take(rows),
        )

    def uncentred(self) -> Design:
        """The same columns without centring: then z is x times a power of two, exactly."""
        size = np.where(self.rounding > 0.0, self.rounding / self.inverse_scale, 1.0)
        scale = np.exp2(-np.clip(np.round(np.log2(size)), -SCALE_LIMIT, SCALE_LIMIT))
        return replace(self, centre=np.zeros_like(self.centre), inverse_scale=scale, rounding=np.ones_like(size))

    def to_user(self, beta: np.ndarray, step: np.ndarray | None = None) -> np.ndarray:
        """Coefficients on the columns as given, in the user's order, from standardised ones.

        With the last step apart, beta + step is carried in twice the precision: an intercept far from the centre
        of the data is a difference of large numbers.
        """
        step = np.zeros(self.width) if step is None else step
        at = slice(int(self.intercept), self.dense_width)
        b = beta + step
        slopes, small = beta[at] * self.inverse_scale, step[at] * self.inverse_scale
        if self.intercept and slopes.size:
            b[0] = exact_sum([beta[0], step[0]], np.r_[-self.centre, -self.centre], np.r_[slopes, small])
        b[at] = slopes + small
        if self.sparse is not None and self.sparse.inverse_scale is not None:
            b[self.sparse_at :] *= self.sparse.inverse_scale
        out = np.empty(self.width)
        out[self.position] = b
        return out

    def from_user(self, coefficients: np.ndarray) -> np.ndarray:
        """Standardised coefficients from those on the columns as given."""
        b = np.asarray(coefficients, float)[self.position]
        at = int(self.intercept)
        if self.intercept and self.dense_width > 1:
            b[0] = exact_sum([b[0]], self.centre, b[at : self.dense_width])
        b[at : self.dense_width] /= self.inverse_scale
        if self.sparse is not None:
            b[self.sparse_at :] /= self.sparse.scale
        return b

    def jacobian(self) -> np.ndarray:
        """The matrix of `to_user`."""
        out = np.zeros((self.width, self.width))
        scale = np.ones(self.width)
        at = int(self.intercept)
        scale[at : self.dense_width] = self.inverse_scale
        if self.sparse is not None:
            scale[self.sparse_at :] = self.sparse.scale
        out[self.position, np.arange(self.width)] = scale
        if self.intercept:
            out[self.position[0], at : self.dense_width] = -self.centre * self.inverse_scale
        return out


def exact_sum(first: Sequence[float], a: np.ndarray, b: np.ndarray) -> float:
    """sum(first) + a'b with one rounding, by Dekker's products and Shewchuk's sum."""
    product, error = two_product(np.asarray(a, float), np.asarray(b, float))
    try:
        return math.fsum([*first, *product.tolist(), *error[np.isfinite(error)].tolist()])
    except (OverflowError, ValueError):
        return float(sum(first) + product.sum())


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """a * b as the sum of its rounded value and its error (Dekker, 1971)."""
    p = a * b
    t = 134217729.0 * a
    ah = t - (t - a)
    al = a - ah
    t = 134217729.0 * b
    bh = t - (t - b)
    bl = b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def make_design(
    names: Sequence[str],
    n: int,
    intercept: bool,
    dense: Sequence[np.ndarray],
    categorical: Sequence[Categorical] = (),
    position: np.ndarray | None = None,
    present: np.ndarray | None = None,
    sparse: Sparse | None = None,
) -> Design:
    """A Design with the standardisation of its dense columns taken from a strided sample of the rows present."""
    width = len(names)
    centre, spread, size = _moments(dense, n, present)
    if not intercept:
        centre = np.zeros_like(centre)
        spread = size
    if _readable(dense, n) and np.all(np.abs(centre) <= MILD * spread) and np.all(np.abs(np.log2(spread)) <= 20.0):
        centre, spread = np.zeros_like(centre), np.ones_like(spread)  # read in place: no copy, no centring
    exponent = np.where(spread > 0, np.round(np.log2(np.where(spread > 0, spread, 1.0))), 0.0)
    inverse_scale = np.exp2(-np.clip(exponent, -SCALE_LIMIT, SCALE_LIMIT))
    return Design(
        tuple(names),
        n,
        intercept,
        tuple(dense),
        tuple(categorical),
        np.arange(width) if position is None else position,
        centre,
        inverse_scale,
        np.where(spread > 0, size * inverse_scale, 1.0),
        None if sparse is None else loops.scaled(sparse),
    )


def _readable(dense: Sequence[np.ndarray], n: int) -> bool:
    """True for one large array of doubles in row order, whose blocks BLAS can read where they are."""
    if len(dense) != 1 or dense[0].ndim != 2 or dense[0].size < IN_PLACE:
        return False
    a = dense[0]
    return a.dtype == np.dtype(float) and a.dtype.isnative and a.flags.c_contiguous and a.flags.aligned


def _moments(
    dense: Sequence[np.ndarray], n: int, present: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, spread and largest magnitude of every dense column, from a sample; from all rows where it is constant."""
    rows: Any = slice(None, None, max(1, n // SAMPLE))
    if present is not None and not present.all():
        where = np.flatnonzero(present)
        rows = where[:: max(1, where.size // SAMPLE)]
    centres, spreads, sizes = [], [], []
    for source in dense:
        table = source if source.ndim == 2 else source[:, None]
        sample = np.asarray(table[rows], float)
        for j in range(table.shape[1]):
            x = sample[:, j]
            if x.size and x.min() == x.max() and n > x.size:
                x = np.asarray(table[:, j], float)
            lo, hi = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
            size = max(abs(lo), abs(hi))
            unit = size or 1.0
            mean = float(np.mean(x / unit)) * unit if x.size else 0.0
            with np.errstate(all="ignore"):
                short = float(np.float32(mean))  # few digits, so that x - centre is exact where it can be
            mean = short if lo <= short <= hi and short != 0.0 else mean
            mean = lo if lo == hi else mean
            centres.append(mean)
            spread = float(np.sqrt(np.mean(((x / unit) - mean / unit) ** 2))) * unit if x.size else 0.0
            spreads.append(spread if lo != hi else 0.0)
            sizes.append(size)
    return np.array(centres), np.array(spreads), np.array(sizes)


def constant_design(n: int, name: str) -> Design:
    """The design of a parameter that is the same for all rows."""
    return make_design([name], n, True, ())


def _categorical_predict(codes, beta, at, eta):
    for i in range(codes.size):
        if codes[i] >= 0:
            eta[i] += beta[at + codes[i]]


def _categorical_score(codes, u, out, at):
    for i in range(codes.size):
        if codes[i] >= 0:
            out[at + codes[i]] += u[i]


def _categorical_dense(codes, w, z, out, at, first):
    for i in range(codes.size):
        if codes[i] >= 0:
            row = at + codes[i]
            out[row, row] += w[i]
            if first == 1:
                out[row, 0] += w[i]
            for j in range(z.shape[1]):
                out[row, first + j] += w[i] * z[i, j]


def _categorical_pair(codes, other, w, out, at, to):
    for i in range(codes.size):
        if codes[i] >= 0 and other[i] >= 0:
            out[to + other[i], at + codes[i]] += w[i]


def _scale_rows(z, w, out):
    """out = sqrt(w) z; False, with the work undone, where a weight is negative."""
    for i in range(w.size):
        if not w[i] >= 0.0:
            return False
    for i in range(w.size):
        s = np.sqrt(w[i])
        for j in range(z.shape[1]):
            out[i, j] = s * z[i, j]
    return True


class Rows:
    """A block of rows of a design, read into buffers that one thread owns, or where they are."""

    def __init__(self, design: Design, size: int) -> None:
        self.design = design
        self.first = int(design.intercept)
        self.width = design.dense_width - self.first
        self.in_place = _readable(design.dense, design.n) and not design.centre.any()
        self.in_place &= bool(np.all(design.inverse_scale == 1.0))
        self.buffer = np.empty((0 if self.in_place else size, self.width))
        self.scaled = np.empty((size, self.width))
        self.codes: list[np.ndarray] = []
        self.z = self.buffer
        self.span = (0, 0)
        self.centred = bool(np.any(design.centre))
        self.rescaled = bool(np.any(design.inverse_scale != 1.0))

    def load(self, start: int, stop: int) -> None:
        """Read rows start to stop."""
        d = self.design
        self.span = (start, stop)
        self.codes = [c.codes[start:stop] for c in d.categorical]
        if self.in_place:
            self.z = d.dense[0][start:stop]
            return
        self.z = z = self.buffer[: stop - start]
        at = 0
        for source in d.dense:
            part = source[start:stop] if source.ndim == 2 else source[start:stop, None]
            target = z[:, at : at + part.shape[1]]
            if self.centred:
                np.subtract(part, d.centre[at : at + part.shape[1]], out=target, casting="unsafe", dtype=float)
            else:
                target[...] = part
            at += part.shape[1]
        if self.rescaled:
            z *= d.inverse_scale

    def predict(self, beta: np.ndarray, out: np.ndarray) -> None:
        """out = the linear predictor without its offset."""
        at = self.design.dense_width
        np.dot(self.z, beta[self.first : at], out=out)
        if self.first:
            out += beta[0]
        for codes, c in zip(self.codes, self.design.categorical, strict=True):
            compiled(_categorical_predict)(codes, beta, at, out)
            at += c.width
        if self.design.sparse is not None:
            compiled(loops.sparse_predict)(*self._entries(self.design.sparse), beta, at, out)

    def score(self, u: np.ndarray, out: np.ndarray) -> None:
        """out += X'u."""
        at = self.design.dense_width
        if self.first:
            out[0] += u.sum()
        out[self.first : at] += u @ self.z
        for codes, c in zip(self.codes, self.design.categorical, strict=True):
            compiled(_categorical_score)(codes, u, out, at)
            at += c.width
        if self.design.sparse is not None:
            compiled(loops.sparse_score)(*self._entries(self.design.sparse), u, out, at)

    def gram(self, w: np.ndarray, out: np.ndarray) -> None:
        """out += X' diag(w) X, its lower triangle."""
        d = self.design
        first, dense, scaled = self.first, d.dense_width, self.scaled[: w.size]
        if first:
            out[0, 0] += w.sum()
            out[1:dense, 0] += w @ self.z
        if self.width:
            if self._scale(w, scaled):
                out[first:dense, first:dense] += scaled.T @ scaled
            else:
                out[first:dense, first:dense] += (self.z * w[:, None]).T @ self.z
        at = dense
        for i, (codes, c) in enumerate(zip(self.codes, d.categorical, strict=True)):
            compiled(_categorical_dense)(codes, w, self._own(), out, at, first)
            to = at + c.width
            for other, o in zip(self.codes[i + 1 :], d.categorical[i + 1 :], strict=True):
                compiled(_categorical_pair)(codes, other, w, out, at, to)
                to += o.width
            at += c.width
        if d.sparse is not None:
            entries, to = self._entries(d.sparse), dense
            compiled(loops.sparse_dense)(*entries, w, self._own(), out, at, first)
            for codes, c in zip(self.codes, d.categorical, strict=True):
                compiled(loops.sparse_categorical)(*entries, codes, w, out, at, to)
                to += c.width
            compiled(loops.sparse_gram)(*entries, w, out, at)

    def squares(self, w: np.ndarray, out: np.ndarray) -> None:
        """out += the diagonal of X' diag(w) X."""
        d, at = self.design, self.design.dense_width
        if self.first:
            out[0] += w.sum()
        out[self.first : at] += np.einsum("i,ij,ij->j", w, self.z, self.z)
        for codes, c in zip(self.codes, d.categorical, strict=True):
            compiled(_categorical_score)(codes, w, out, at)
            at += c.width
        if d.sparse is not None:
            compiled(loops.sparse_squares)(*self._entries(d.sparse), w, out, at)

    def _entries(self, s: Sparse) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
        return (s.indptr, s.indices, s.data, *self.span)

    def _scale(self, w: np.ndarray, scaled: np.ndarray) -> bool:
        if self.z.flags.writeable:
            return bool(compiled(_scale_rows)(self.z, w, scaled))
        if not np.all(w >= 0.0):  # a read-only array is another type to Numba: NumPy serves it
            return False
        np.multiply(self.z, np.sqrt(w)[:, None], out=scaled)
        return True

    def _own(self) -> np.ndarray:
        if self.z.flags.writeable:
            return self.z
        self.scaled[: self.z.shape[0]] = self.z
        return self.scaled[: self.z.shape[0]]

    def expand(self) -> np.ndarray:
        """The block as one dense matrix, for the fallback by QR."""
        d = self.design
        out = np.zeros((self.z.shape[0], d.width))
        out[:, : self.first] = 1.0
        out[:, self.first : d.dense_width] = self.z
        at = d.dense_width
        for codes, c in zip(self.codes, d.categorical, strict=True):
            rows = np.flatnonzero(codes >= 0)
            out[rows, at + codes[rows]] = 1.0
            at += c.width
        if d.sparse is not None:
            start, stop = self.span
            s, first, last = d.sparse, d.sparse.indptr[start], d.sparse.indptr[stop]
            rows = np.repeat(np.arange(stop - start), np.diff(s.indptr[start : stop + 1]))
            out[rows, at + s.indices[first:last]] = s.data[first:last]
        return out


def cross(a: Rows, b: Rows, w: np.ndarray) -> np.ndarray:
    """X_a' diag(w) X_b for two different designs."""
    out = np.empty((a.design.width, b.design.width))
    for j in range(b.design.width):
        unit = np.zeros(b.design.width)
        unit[j] = 1.0
        column = np.empty(w.size)
        b.predict(unit, column)
        here = np.zeros(a.design.width)
        a.score(w * column, here)
        out[:, j] = here
    return out
