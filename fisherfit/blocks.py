"""A design as numbers: dense columns, centred and scaled as they are read, categories as codes, sparse columns.

The table is never copied: the pass over the rows reads a block of them into a buffer, whatever the layout of the
source, and centres it there; large arrays of doubles it reads where they are. In the standardised coordinates
z = (x - centre) * inverse_scale the Gram matrix is well scaled and linear predictors do not cancel. The scale is a
power of two, so that scaling is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .sparse import Sparse, scaled

SAMPLE = 1000  # rows that the centre and the scale of a column are taken from
IN_PLACE_SIZE = 2_000_000  # entries from which on mildly scaled doubles are read in place
MILD = 4.0  # largest centre, in units of the spread, that needs no centring there
SCALE_LIMIT = 900  # exponents of two that a scale may have

#: places in the row of a design in `Layout.shapes`
INTERCEPT, DENSE, FIRST_COLUMN, N_CATEGORIES, FIRST_CATEGORY, WIDTH, ORDER, HOW, ADDRESS, LEAD = range(10)
SPARSE, ROW_ORDER, ROW_ENDS, INDICES, ENTRIES = range(10, 15)  # sparse columns: how many, addresses of their arrays
BY_ROW, BY_COLUMN = 0, 1  # ORDER: which of the two indices of a block of dense columns varies faster
COLUMNS, IN_PLACE, DOUBLE_ROWS, SINGLE_ROWS = 0, 1, 2, 3  # HOW a block is read


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

    @cached_property
    def layout(self) -> Layout:
        """What the compiled pass is told of the design."""
        return Layout.of((self,))

    def every(self, stride: int) -> Design:
        """Every stride-th row."""
        rows = slice(None, None, stride)
        return replace(
            self,
            n=len(range(0, self.n, stride)),
            dense=tuple(a[rows] for a in self.dense),
            categorical=tuple(Categorical(np.ascontiguousarray(c.codes[rows]), c.width) for c in self.categorical),
            sparse=None if self.sparse is None else self.sparse.take(rows),
        )

    def take(self, rows: np.ndarray) -> Design:
        """Some of the rows by their numbers, copied, in the order given."""
        return replace(
            self,
            n=rows.size,
            dense=tuple(a[rows] for a in self.dense),
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
            shift = np.concatenate([-self.centre, -self.centre])
            b[0] = exact_sum([beta[0], step[0]], shift, np.concatenate([slopes, small]))
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
    like: Design | None = None,
) -> Design:
    """A Design with the standardisation of its dense columns taken from a strided sample of the rows present.

    With `like`, other rows of the same columns are standardised as that design is.
    """
    dense = [_plain(a) for a in dense]
    if like is not None:
        return replace(like, n=n, dense=tuple(dense), categorical=tuple(categorical))
    width = len(names)
    centre, spread, size = _moments(dense, n, present)
    if not intercept:
        centre = np.zeros_like(centre)
        spread = size
    if _readable(dense, n) and np.all(np.abs(centre) <= MILD * spread) and np.all(np.abs(np.log2(spread)) <= 20.0):
        centre, spread = np.zeros_like(centre), np.ones_like(spread)  # read in place: no copy, no centring
    varies = spread > 0
    exponent = np.round(np.log2(np.where(varies, spread, 1.0)))
    inverse_scale = np.exp2(-exponent.clip(-SCALE_LIMIT, SCALE_LIMIT))
    return Design(
        tuple(names),
        n,
        intercept,
        tuple(dense),
        tuple(categorical),
        np.arange(width) if position is None else position,
        centre,
        inverse_scale,
        np.where(varies, size * inverse_scale, 1.0),
        None if sparse is None else scaled(sparse),
    )


def _readable(dense: Sequence[np.ndarray], n: int) -> bool:
    """True for one large array of doubles in row or column order, whose blocks BLAS can read where they are."""
    return sum(a.size for a in dense) >= IN_PLACE_SIZE and _order(dense, n) is not None


def _order(dense: Sequence[np.ndarray], n: int) -> int | None:
    """BY_ROW or BY_COLUMN for a single matrix of doubles that BLAS can read where it is."""
    if len(dense) != 1 or dense[0].ndim != 2 or dense[0].dtype != np.dtype(float) or n == 0:
        return None
    a = dense[0]
    rows, columns = a.strides
    if not (a.flags.aligned and a.shape[1]):
        return None
    if columns == 8 and rows >= 8 * a.shape[1] and rows % 8 == 0:
        return BY_ROW
    return BY_COLUMN if rows == 8 and columns >= 8 * n and columns % 8 == 0 else None


def _plain(a: np.ndarray) -> np.ndarray:
    """Doubles and singles as they are; else a copy, of small whole numbers in singles, which hold them exactly."""
    even = a.flags.aligned and all(step % a.itemsize == 0 for step in a.strides)
    if even and a.dtype.kind == "f" and a.dtype.isnative and a.itemsize in (4, 8):
        return a
    small = a.dtype.kind in "biu" and a.itemsize <= 2
    return np.ascontiguousarray(a, dtype=np.float32 if small else float)


def _moments(
    dense: Sequence[np.ndarray], n: int, present: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, spread and largest magnitude of every dense column, from a sample; from all rows where it is constant."""
    rows: Any = slice(None, None, max(1, n // SAMPLE))
    if present is not None and not present.all():
        where = np.flatnonzero(present)
        rows = where[:: max(1, where.size // SAMPLE)]
    parts = [_moments_of(source if source.ndim == 2 else source[:, None], rows, n) for source in dense]
    if not parts:
        return np.empty(0), np.empty(0), np.empty(0)
    if len(parts) == 1:
        return parts[0]
    centre, spread, size = (np.concatenate(part) for part in zip(*parts, strict=True))
    return centre, spread, size


def _moments_of(table: np.ndarray, rows: Any, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sample = np.array(table[rows].T, float, order="C")  # a row for every column: sums then run through memory
    if not sample.size:
        return (np.zeros(table.shape[1]),) * 3
    count = sample.shape[1]
    lo, hi = sample.min(axis=1), sample.max(axis=1)
    size = np.maximum(-lo, hi)
    unit = np.where(size > 0.0, size, 1.0)
    sample /= unit[:, None]
    mean = sample.sum(axis=1) / count
    sample -= mean[:, None]
    spread = np.sqrt(np.einsum("ij,ij->i", sample, sample) / count) * unit
    mean *= unit
    with np.errstate(all="ignore"):
        short = mean.astype(np.float32).astype(float)  # few digits, so that x - centre is exact where it can be
    mean = np.where((lo <= short) & (short <= hi) & (short != 0.0), short, mean)
    for j in np.flatnonzero(lo == hi):  # constant in the sample; in all rows?
        mean[j], spread[j] = lo[j], 0.0
        if n > count:
            whole = np.asarray(table[:, j], float)
            if whole.min() != whole.max():
                mean[j], spread[j], size[j] = (part[0] for part in _moments_of(whole[:, None], slice(None), n))
    return mean, spread, size


def without_rows(design: Design, n: int) -> Design:
    """The columns and the standardisation of a design, standing for n rows that are read elsewhere."""
    codes = np.empty(0, np.int32)
    return replace(design, n=n, dense=(), categorical=tuple(Categorical(codes, c.width) for c in design.categorical))


@lru_cache(maxsize=64)
def constant_design(n: int, name: str) -> Design:
    """The design of a parameter that is the same for all rows."""
    return make_design([name], n, True, ())


@dataclass(frozen=True, eq=False)
class Layout:
    """Designs as the compiled pass reads them: tables of addresses, steps and dtypes (see `fisherfit.passes`).

    The addresses hold as long as the designs do.
    """

    shapes: np.ndarray
    columns: np.ndarray
    standards: np.ndarray
    categories: np.ndarray

    @classmethod
    def of(cls, designs: Sequence[Design]) -> Layout:
        """The tables of one or several designs of the same rows."""
        shapes = np.zeros((len(designs), 15), np.int64)
        columns: list[tuple[int, ...]] = []
        categories: list[tuple[int, int]] = []
        for shape, d in zip(shapes, designs, strict=True):
            width = d.dense_width - int(d.intercept)
            shape[INTERCEPT], shape[DENSE], shape[FIRST_COLUMN] = d.intercept, width, len(columns)
            shape[N_CATEGORIES], shape[FIRST_CATEGORY], shape[WIDTH] = len(d.categorical), len(categories), d.width
            shape[ORDER], shape[HOW], shape[ADDRESS], shape[LEAD] = _reading(d, width)
            if d.sparse is not None:
                shape[SPARSE] = d.sparse.width
                shape[[ROW_ORDER, ROW_ENDS, INDICES, ENTRIES]] = [_address(part) for part in d.sparse.by_length]
            for a in d.dense:
                matrix = a if a.ndim == 2 else a[:, None]
                step, address, item = matrix.strides[0] // matrix.itemsize, _address(matrix), matrix.itemsize
                columns += [(address + j * matrix.strides[1], step, item) for j in range(matrix.shape[1])]
            categories += [(_address(c.codes), c.width) for c in d.categorical]
        standards = [np.array((d.centre, d.inverse_scale)).T for d in designs]
        return cls(
            shapes,
            np.array(columns, np.int64).reshape(-1, 3),
            np.ascontiguousarray(np.concatenate(standards)),
            np.array(categories, np.int64).reshape(-1, 2),
        )


def _address(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def _reading(d: Design, width: int) -> tuple[int, int, int, int]:
    """ORDER, HOW, ADDRESS and LEAD of the dense columns of a design."""
    if len(d.dense) != 1 or d.dense[0].ndim != 2 or width == 0 or d.n == 0:
        return BY_COLUMN, COLUMNS, 0, 0
    a = d.dense[0]
    order = _order(d.dense, d.n)
    if order is not None and not d.centre.any() and bool(np.all(d.inverse_scale == 1.0)):
        return order, IN_PLACE, _address(a), a.strides[order] // 8
    if a.strides[1] == a.itemsize and a.strides[0] >= a.itemsize * width:
        how = DOUBLE_ROWS if a.itemsize == 8 else SINGLE_ROWS
        return BY_ROW, how, _address(a), a.strides[0] // a.itemsize
    return BY_COLUMN, COLUMNS, 0, 0
