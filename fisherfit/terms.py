"""From a table to a Design, and again for new rows: what is remembered of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import _threads
from .blocks import Categorical, Design, make_design
from .errors import InputError, InputTypeError
from .sparse import Sparse, join
from .table import Column, Table, shown

RESERVED = ("Intercept", "alpha")


class Term(NamedTuple):  # made in a third of the time of a frozen dataclass: there may be a million
    """A column of the table: numeric, or categorical with the levels seen in the fit, the first as reference."""

    name: str
    levels: tuple[Any, ...] | None = None
    full: bool = False
    label: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the design columns."""
        if self.levels is None:
            return (self.label or self.name,)
        mark = "" if self.full else "T."
        return tuple(f"{self.label or self.name}[{mark}{level}]" for level in self.levels[0 if self.full else 1 :])

    def codes(self, column: Column, present: np.ndarray | None = None) -> np.ndarray:
        """Codes of a column by the levels of the fit, -1 for the reference level and for missing values.

        In rows that are not `present` (of weight zero) any level may stand.
        """
        assert self.levels is not None
        if column.levels is None:
            raise InputTypeError(
                f"column {self.name!r} was categorical in the fit and is numeric now; pass its levels "
                f"({', '.join(map(str, self.levels[:5]))}{', ...' if len(self.levels) > 5 else ''})"
            )
        lookup = {level: k for k, level in enumerate(self.levels)}
        table = np.full(len(column.levels) + 1, -1, np.int32)
        shift = 0 if self.full else 1
        for code in _used(column, present):
            level = column.levels[int(code)]
            if level not in lookup:
                here = column.values == code
                row = int(np.flatnonzero(here if present is None else here & present)[0])
                raise InputError(
                    f"column {self.name!r} has the level {shown(level)} (row {row}), which the fit has not seen; "
                    f"its levels are {', '.join(shown(v) for v in self.levels[:12])}"
                )
            table[int(code)] = lookup[level] - shift
        return np.ascontiguousarray(table[column.values])


@dataclass(frozen=True)
class Columns:
    """A design made of the columns of a table as they are."""

    terms: tuple[Term, ...]
    intercept: bool
    named: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, the intercept first."""
        names = ["Intercept"] if self.intercept else []
        for term in self.terms:
            if term.levels is None:
                names.append(term.label or term.name)
            else:
                names.extend(term.columns)
        return tuple(names)

    def _columns(self, table: Table) -> tuple[str, ...]:
        """The names under which the columns of the fit stand in a table: their own, or by position."""
        if table.is_frame != self.named and self.terms:
            if self.named:
                raise InputError(
                    "the fit was on a table with named columns; pass a table with the columns "
                    + ", ".join(repr(t.name) for t in self.terms[:12])
                )
            if len(table.names) != len(self.terms):
                raise InputError(_features(len(table.names), len(self.terms)))
        if not table.is_frame and len(table.names) != len(self.terms):
            raise InputError(_features(len(table.names), len(self.terms)))
        if not self.named:
            return table.names
        names = tuple(t.name for t in self.terms)
        there = set(table.names)
        lacking = [name for name in names if name not in there]
        if lacking:
            raise InputError(
                f"column {lacking[0]!r} of the fit is missing from the table"
                + (f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else "")
                + f"; its columns are {', '.join(map(repr, table.names[:12])) or '(none)'}"
            )
        return names

    @np.errstate(all="ignore")
    def design(
        self, table: Table, present: np.ndarray | None = None, checked: bool = False, like: Design | None = None
    ) -> Design:
        """The Design of a table without missing values (`checked` where that is known), standardised as `like` is."""
        names = self._columns(table)
        if not checked:
            missing_rows(table, names, "predict")
        if table.matrix is not None:
            return make_design(self.names, table.n, self.intercept, [table.matrix], present=present, like=like)
        if table.sparse is not None and like is not None:
            columns = [table.sparse.to_scipy().toarray()]
            return make_design(self.names, table.n, self.intercept, columns, present=present, like=like)
        if table.sparse is not None:
            return make_design(self.names, table.n, self.intercept, (), present=present, sparse=table.sparse)
        dense: list[np.ndarray] = []
        categorical: list[Categorical] = []
        internal: list[int] = []
        categorical_at: list[int] = []
        sparse: list[tuple[np.ndarray, np.ndarray]] = []
        sparse_at: list[int] = []
        at = int(self.intercept)
        for term, name in zip(self.terms, names, strict=True):
            entries = table.entries(name) if term.levels is None and like is None else None  # batches are read dense
            if entries is not None:
                sparse.append(entries)
                sparse_at.append(at)
                at += 1
                continue
            column, width = table.column(name), len(term.columns)
            if term.levels is not None:
                categorical.append(Categorical(term.codes(column, present), width))
            elif column.levels is not None:
                raise InputTypeError(f"column {name!r} was numeric in the fit and holds text or categories now; "
                                     "convert it to numbers")  # fmt: skip
            else:
                dense.append(column.values)
            (internal if term.levels is None else categorical_at).extend(range(at, at + width))
            at += width
        position = np.array([0] * int(self.intercept) + internal + categorical_at + sparse_at, dtype=int)
        joined = join(sparse, table.n) if sparse else None
        return make_design(
            self.names, table.n, self.intercept, _together(dense), categorical, position, present, joined, like
        )


def _together(dense: list[np.ndarray]) -> list[np.ndarray]:
    """Columns that are views of one matrix, as that matrix; else the columns."""
    if len(dense) < 2:
        return dense
    base = dense[0].base
    first = dense[0].__array_interface__["data"][0]
    step = dense[1].__array_interface__["data"][0] - first
    if base is None or step == 0:
        return dense
    for j, column in enumerate(dense):
        if (
            column.base is not base  # else nothing would keep the memory of the other columns
            or column.dtype != dense[0].dtype
            or column.strides != dense[0].strides
            or column.__array_interface__["data"][0] != first + j * step
        ):
            return dense
    shape, strides = (dense[0].size, len(dense)), (dense[0].strides[0], step)
    return [np.lib.stride_tricks.as_strided(dense[0], shape, strides, writeable=False)]


def _features(got: int, wanted: int) -> str:
    return f"X has {got} features, but GLM is expecting {wanted} features as input: the fit had {wanted} columns"


@dataclass(frozen=True, eq=False)
class Chosen:
    """The columns of a table that a fit uses, as they are; `learn` makes their terms."""

    needed: tuple[str, ...]
    intercept: bool
    named: bool

    def learn(self, table: Table, present: np.ndarray | None = None) -> Columns:
        """The terms: numeric columns as they are, categorical ones with the levels that occur in rows present."""
        if not table.is_frame:
            return _numeric(self.needed, self.intercept)
        terms = []
        full = not self.intercept
        for name in self.needed:
            column = None if table.entries(name) is not None else table.column(name)
            if column is None or column.levels is None:
                terms.append(Term(name))
            else:
                terms.append(Term(name, used_levels(column, present), full))
                full = False
        columns = Columns(tuple(terms), self.intercept, True)
        check_names(columns.names, self.intercept)
        return columns


@lru_cache(maxsize=16)
def _numeric(names: tuple[str, ...], intercept: bool) -> Columns:
    """The columns of an array."""
    return Columns(tuple(Term(name) for name in names), intercept, False)


def choose_columns(table: Table, intercept: bool, skip: Sequence[str] = ()) -> Chosen:
    """All columns of a table but those that hold weights or offsets."""
    names = tuple(name for name in table.names if name not in skip) if skip else table.names
    if table.is_frame:
        check_names(names)
    return Chosen(names, intercept, table.is_frame)


def check_names(names: Sequence[str], intercept: bool = False) -> None:
    """Refuse coefficients of the same name, and names that parameters have; with `intercept` the first is one."""
    for name in RESERVED:
        if name in names[int(intercept) :]:
            raise InputError(f"a column is called {name!r}, which is the name of a parameter; rename it")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two coefficients would be called {twice!r}; rename a column or a level")


def used_levels(column: Column, present: np.ndarray | None = None) -> tuple[Any, ...]:
    """The levels that occur, in their order."""
    assert column.levels is not None
    used = _used(column, present)
    if used.size == 0:
        raise InputError(
            f"column {column.name!r} has no values: every row is missing or has weight zero; remove the column"
        )
    return tuple(column.levels[int(k)] for k in used)


def _used(column: Column, present: np.ndarray | None) -> np.ndarray:
    """The codes that occur, by counting: sorting millions of codes would take longer than a pass over the rows."""
    assert column.levels is not None
    values = column.values if present is None else column.values[present]
    return np.flatnonzero(np.bincount(values + 1, minlength=len(column.levels) + 1)[1:])


def missing_rows(table: Table, names: Sequence[str], missing: str) -> np.ndarray | None:
    """The rows with a missing value in a column that is used; an error where they are not to be dropped."""
    if table.matrix is not None:
        return _check_matrix(table.matrix, table.names, missing)
    if table.sparse is not None:
        return _check_sparse(table.sparse, table.names, missing)
    absent: np.ndarray | None = None
    for name in names:
        entries = table.entries(name)
        if entries is not None and np.all(np.isfinite(entries[1])):
            continue
        bad = check_column(table.column(name), missing)
        if bad is not None:
            absent = bad if absent is None else absent | bad
    return absent


def check_column(column: Column, missing: str) -> np.ndarray | None:
    """Refuse infinite and (unless they are to be dropped) missing values of a column, naming column and row."""
    if column.levels is not None:
        if column.values.size and column.values.min() >= 0:
            return None
        bad = column.values < 0
    else:
        values = column.values
        if values.dtype.kind != "f":
            return None
        with np.errstate(all="ignore"):
            if np.isfinite(np.sum(values)):
                return None
        _refuse_infinite(values, column.name)
        bad = np.isnan(values)
    if not bad.any():
        return None
    if missing != "drop":
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"Input X contains NaN: column {column.name!r} has a missing value at row {row} ({int(bad.sum())} in all); "
            f"{_ways_out(missing)}"
        )
    return bad


def _ways_out(missing: str) -> str:
    """What to do with missing values: in a fit, or in rows that a fitted model is to predict."""
    if missing == "predict":
        return "a fitted model needs rows without missing values; leave such rows out, or fill them"
    return "use missing='drop' to leave such rows out, or fill them"


def _refuse_infinite(values: np.ndarray, name: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        raise InputError(f"Input X contains infinity: column {name!r} has the value {values[row]} at row {row}; "
                         "remove the row or the column")  # fmt: skip


def _check_sparse(columns: Sparse, names: Sequence[str], missing: str) -> np.ndarray | None:
    """As `_check_matrix`, for the entries of sparse columns."""
    with np.errstate(all="ignore"):
        if np.isfinite(np.sum(columns.data)):
            return None
    for at in np.flatnonzero(np.isinf(columns.data))[:1]:
        raise InputError(
            f"Input X contains infinity: column {names[columns.indices[at]]!r} has the value {columns.data[at]} at "
            f"row {columns.entry_row(at)}; remove the row or the column"
        )
    entries = np.flatnonzero(np.isnan(columns.data))
    if not entries.size:
        return None
    if missing != "drop":
        at = entries[0]
        raise InputError(
            f"Input X contains NaN: column {names[columns.indices[at]]!r} has a missing value at row "
            f"{columns.entry_row(at)}; {_ways_out(missing)}"
        )
    absent = np.zeros(columns.n, bool)
    absent[np.searchsorted(columns.indptr, entries, side="right") - 1] = True
    return absent


def _check_matrix(matrix: np.ndarray, names: Sequence[str], missing: str) -> np.ndarray | None:
    if matrix.dtype.kind != "f" or matrix.size == 0:
        return None
    absent: np.ndarray | None = None
    rows = max(1, 65_536 // max(1, matrix.shape[1]))

    def suspect(starts: range) -> list[int]:
        with np.errstate(all="ignore"):
            return [start for start in starts if not np.isfinite(np.sum(matrix[start : start + rows]))]

    starts = range(0, matrix.shape[0], rows)
    spans = [starts[at : at + 64] for at in range(0, len(starts), 64)]
    threads = _threads.thread_count(None) if len(spans) > 1 else 1
    for start in (start for some in _threads.run(suspect, spans, threads) for start in some):
        block = matrix[start : start + rows]
        if np.isfinite(block).all():
            continue
        for j, name in enumerate(names):
            _refuse_infinite(block[:, j], name)
        bad = np.isnan(block).any(axis=1)
        if missing != "drop":
            row = int(np.flatnonzero(bad)[0])
            j = int(np.flatnonzero(np.isnan(block[row]))[0])
            raise InputError(
                f"Input X contains NaN: column {names[j]!r} has a missing value at row {start + row}; "
                f"{_ways_out(missing)}"
            )
        if absent is None:
            absent = np.zeros(matrix.shape[0], bool)
        absent[start : start + rows] = bad
    return absent
