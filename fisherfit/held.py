"""Rows kept in memory out of many: every k-th row for a pilot, a row for every level, or all of them.

Levels are met batch by batch, each batch with codes of its own: a `Levels` gives every level a code for good, and
at the end puts the levels in the order that they would have if all rows had been in one table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._later import Later
from .errors import InputError
from .prepare import RowsRead
from .table import Column, Table

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
else:
    nw = Later("narwhals.stable.v2")


@dataclass(eq=False)
class Levels:
    """The levels of a categorical column in the order of their appearance, with their codes."""

    code: dict[Any, int] = field(default_factory=dict)
    in_order: bool = True

    def encode(self, column: Column, in_order: bool) -> np.ndarray:
        """Codes by appearance of the column of a batch."""
        assert column.levels is not None
        self.in_order &= in_order
        table = np.full(len(column.levels) + 1, -1, np.int32)
        for k, level in enumerate(column.levels):
            table[k] = self.code.setdefault(level, len(self.code))
        return table[column.values]

    def column(self, name: str, codes: np.ndarray) -> Column:
        """The column with its levels in order: as the categories stand, or sorted."""
        levels = list(self.code) if self.in_order else sorted(self.code)
        place = np.full(len(levels) + 1, -1, np.int32)
        for k, level in enumerate(levels):
            place[self.code[level]] = k
        return Column(name, place[codes], tuple(levels))


class _AllRead:
    """Stands for the frame of a table all of whose columns have been read."""

    def filter(self, rows: Any) -> _AllRead:
        return self

    def __getitem__(self, name: str) -> _AllRead:
        return self

    def to_native(self) -> None:  # sparse columns of a batch are read dense: there is nothing left to look at
        return None


@dataclass(frozen=True, eq=False)
class Some:
    """Some rows: their numbers among all, columns (by appearance where they are codes), and what is fitted to them."""

    number: np.ndarray
    columns: tuple[np.ndarray, ...]
    y: np.ndarray
    weight: np.ndarray
    trials: np.ndarray | None
    offset: np.ndarray | None

    def take(self, rows: Any) -> Some:
        """Some of these rows, copied."""
        return Some(*(_taken(part, rows) for part in vars(self).values()))


def _taken(part: Any, rows: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(np.array(a[rows]) for a in part)
    return None if part is None else np.array(part[rows])


def together(parts: list[Some]) -> Some:
    """Rows one after the other."""

    def joined(name: str) -> Any:
        pieces = [getattr(part, name) for part in parts]
        if name == "columns":
            return tuple(np.concatenate(same) for same in zip(*pieces, strict=True))
        return None if pieces[0] is None else np.concatenate(pieces)

    return Some(*(joined(name) for name in Some.__dataclass_fields__))


class Keeper:
    """Every k-th row of those that pass by, k a power of two that doubles when `most` are held; all rows without."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.stride = 1
        self.n = 0
        self.parts: list[Some] = []
        self.held = 0

    def add(self, rows: Some) -> None:
        """Let rows pass, numbered onwards."""
        first = -self.n % self.stride
        self.n += rows.number.size
        if first >= rows.number.size:
            return
        self.parts.append(rows.take(slice(first, None, self.stride)))
        self.held += self.parts[-1].number.size
        while self.most is not None and self.held > self.most:
            self.stride *= 2
            self.parts = [part.take(part.number % self.stride == 0) for part in self.parts]
            self.held = sum(part.number.size for part in self.parts)

    def rows(self) -> Some:
        """What is held."""
        return together(self.parts)


class Book:
    """The columns that a fit uses, batch by batch: their kinds, and the levels of those that are categorical."""

    def __init__(self, names: tuple[str, ...], all_names: tuple[str, ...], is_frame: bool) -> None:
        self.names, self.all_names, self.is_frame = names, all_names, is_frame
        self.levels: dict[str, Levels] = {}
        self.numeric: set[str] = set()

    def settle(self, table: Table) -> None:
        """Refuse a column that has become another kind; one without any value is of whatever kind it has to be."""
        if table.matrix is not None or table.n == 0:
            return
        for name in self.names:
            column = table.column(name)
            if column.levels is None and name in self.levels and column.missing.all():
                table.known[name] = Column(name, np.full(table.n, -1, np.int32), ())
            elif (
                (column.levels is None) if name in self.levels else (column.levels is not None and name in self.numeric)
            ):
                now, before = ("text or categories", "numbers")[:: 1 if column.levels is not None else -1]
                raise InputError(
                    f"column {name!r} holds {now} here and {before} in earlier rows; make it all of a kind"
                )

    def read(self, rows: RowsRead, number: int) -> Some:
        """The columns of rows, those that are categorical as codes by appearance."""
        table, columns = rows.table, []
        for name in self.names:
            if table.matrix is not None:
                columns.append(table.matrix[:, table.names.index(name)])
                continue
            column = table.column(name)
            if column.levels is not None and table.n:
                columns.append(self.levels.setdefault(name, Levels()).encode(column, _has_order(table, name)))
            else:
                if table.n:
                    self.numeric.add(name)
                columns.append(column.values if column.levels is None else np.empty(0))
        return Some(np.arange(number, number + table.n), tuple(columns), rows.y, rows.weight, rows.trials, rows.offset)

    def table(self, rows: Some) -> Table:
        """Rows as a table, the levels in their order."""
        n = rows.number.size
        if not self.is_frame:
            matrix = np.column_stack(rows.columns) if rows.columns else np.empty((n, 0))
            return Table(self.all_names, n, np.asarray(matrix, float))
        known = {
            name: self.levels[name].column(name, values) if name in self.levels else Column(name, values)
            for name, values in zip(self.names, rows.columns, strict=True)
        }
        return Table(self.all_names, n, None, _AllRead(), None, known)


def _has_order(table: Table, name: str) -> bool:
    """True for categories, which stand in an order; strings, and categories of polars, are sorted."""
    series = table.frame[name] if not isinstance(table.frame, _AllRead) else None
    if series is None:
        return True
    return series.dtype == nw.Enum or (series.dtype == nw.Categorical and not series.implementation.is_polars())


__all__ = ["Book", "Keeper", "Levels", "Some", "together"]
