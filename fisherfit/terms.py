"""From a table to a Design, and again for new rows: what is remembered of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Categorical, Design, make_design
from .errors import InputError, InputTypeError
from .table import Column, Table

RESERVED = ("Intercept", "alpha")


@dataclass(frozen=True)
class Term:
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

    def codes(self, column: Column) -> np.ndarray:
        """Codes of a column by the levels of the fit, -1 for the reference level and for missing values."""
        assert self.levels is not None
        if column.levels is None:
            raise InputTypeError(
                f"column {self.name!r} was categorical in the fit and is numeric now; pass its levels "
                f"({', '.join(map(str, self.levels[:5]))}{', ...' if len(self.levels) > 5 else ''})"
            )
        lookup = {level: k for k, level in enumerate(self.levels)}
        seen = np.unique(column.values[column.values >= 0])
        table = np.full(len(column.levels) + 1, -1, np.int32)
        shift = 0 if self.full else 1
        for code in seen:
            level = column.levels[int(code)]
            if level not in lookup:
                row = int(np.flatnonzero(column.values == code)[0])
                raise InputError(
                    f"column {self.name!r} has the level {level!r} (row {row}), which the fit has not seen; "
                    f"its levels are {', '.join(repr(v) for v in self.levels[:12])}"
                )
            table[int(code)] = lookup[level] - shift
        return np.ascontiguousarray(table[column.values])


@dataclass(frozen=True)
class Columns:
    """A design made of the columns of a table as they are."""

    terms: tuple[Term, ...]
    intercept: bool
    named: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, the intercept first."""
        first = ("Intercept",) if self.intercept else ()
        return first + tuple(name for term in self.terms for name in term.columns)

    def read(self, table: Table, missing: str) -> tuple[list[np.ndarray], list[np.ndarray | None], np.ndarray | None]:
        """Sources of the dense columns, codes of the categorical ones, and the rows with a missing value."""
        if table.is_frame != self.named and self.terms:
            if self.named:
                raise InputError(
                    "the fit was on a table with named columns; pass a table with the columns "
                    + ", ".join(repr(t.name) for t in self.terms[:12])
                )
            if len(table.names) != len(self.terms):
                raise InputError(_features(len(table.names), len(self.terms)))
        if table.matrix is not None:
            if table.matrix.shape[1] != len(self.terms):
                raise InputError(_features(table.matrix.shape[1], len(self.terms)))
            return [table.matrix], [], _check_matrix(table.matrix, table.names, missing)
        dense: list[np.ndarray] = []
        codes: list[np.ndarray | None] = []
        absent: np.ndarray | None = None
        wanted = [t.name for t in self.terms] if self.named else list(table.names)
        lacking = [name for name in wanted if name not in table.names]
        if lacking:
            raise InputError(
                f"column {lacking[0]!r} of the fit is missing from the table"
                + (f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else "")
                + f"; its columns are {', '.join(map(repr, table.names[:12])) or '(none)'}"
            )
        for term, name in zip(self.terms, wanted, strict=True):
            column = table.column(name)
            if term.levels is None:
                if column.levels is not None:
                    raise InputTypeError(f"column {name!r} was numeric in the fit and holds text or categories now")
                bad = check_column(column, missing)
                dense.append(column.values)
            else:
                bad = check_column(column, missing)
                codes.append(term.codes(column))
            if bad is not None:
                absent = bad if absent is None else absent | bad
        return dense, codes, absent

    def design(self, table: Table, present: np.ndarray | None = None) -> Design:
        """The Design of a table without missing values."""
        dense, codes, _ = self.read(table, "raise")
        dense = _together(dense)
        internal: list[int] = []
        at = int(self.intercept)
        categorical_at: list[int] = []
        for term in self.terms:
            width = len(term.columns)
            (internal if term.levels is None else categorical_at).extend(range(at, at + width))
            at += width
        position = np.array([0] * int(self.intercept) + internal + categorical_at, dtype=int)
        categorical = [
            Categorical(c, len(term.columns))
            for c, term in zip(codes, (t for t in self.terms if t.levels is not None), strict=True)
            if c is not None
        ]
        return make_design(self.names, table.n, self.intercept, dense, categorical, position, present)


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
            column.dtype != dense[0].dtype
            or column.strides != dense[0].strides
            or column.__array_interface__["data"][0] != first + j * step
        ):
            return dense
    return [np.lib.stride_tricks.as_strided(dense[0], (dense[0].size, len(dense)), (dense[0].strides[0], step), writeable=False)]  # fmt: skip


def _features(got: int, wanted: int) -> str:
    return f"X has {got} features, but GLM is expecting {wanted} features as input: the fit had {wanted} columns"


def remember_columns(table: Table, intercept: bool, skip: Sequence[str] = ()) -> Columns:
    """The terms of all columns of a table: numeric as they are, categorical with the levels that occur."""
    names = [name for name in table.names if name not in skip]
    for name in names:
        if name in RESERVED and table.is_frame:
            raise InputError(f"a column is called {name!r}, which is the name of a parameter; rename it")
    if table.matrix is not None:
        return Columns(tuple(Term(name) for name in names), intercept, False)
    terms = []
    full = not intercept
    for name in names:
        column = table.column(name)
        if column.levels is None:
            terms.append(Term(name))
        else:
            terms.append(Term(name, used_levels(column), full))
            full = False
    return Columns(tuple(terms), intercept, True)


def used_levels(column: Column) -> tuple[Any, ...]:
    """The levels that occur, in their order."""
    assert column.levels is not None
    used = np.unique(column.values[column.values >= 0])
    if used.size == 0:
        raise InputError(f"column {column.name!r} has no values: every row is missing")
    return tuple(column.levels[int(k)] for k in used)


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
    if missing == "raise":
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"Input X contains NaN: column {column.name!r} has a missing value at row {row} ({int(bad.sum())} in all); "
            "use missing='drop' to leave such rows out, or fill them"
        )
    return bad


def _refuse_infinite(values: np.ndarray, name: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        raise InputError(f"Input X contains infinity: column {name!r} has the value {values[row]} at row {row}; "
                         "remove the row or the column")  # fmt: skip


def _check_matrix(matrix: np.ndarray, names: Sequence[str], missing: str) -> np.ndarray | None:
    if matrix.dtype.kind != "f" or matrix.size == 0:
        return None
    absent: np.ndarray | None = None
    rows = max(1, 65_536 // max(1, matrix.shape[1]))
    for start in range(0, matrix.shape[0], rows):
        block = matrix[start : start + rows]
        with np.errstate(all="ignore"):
            if np.isfinite(np.sum(block)) or np.isfinite(block).all():
                continue
        for j, name in enumerate(names):
            _refuse_infinite(block[:, j], name)
        bad = np.isnan(block).any(axis=1)
        if missing == "raise":
            row = int(np.flatnonzero(bad)[0])
            j = int(np.flatnonzero(np.isnan(block[row]))[0])
            raise InputError(
                f"Input X contains NaN: column {names[j]!r} has a missing value at row {start + row}; "
                "use missing='drop' to leave such rows out, or fill them"
            )
        if absent is None:
            absent = np.zeros(matrix.shape[0], bool)
        absent[start : start + rows] = bad
    return absent
