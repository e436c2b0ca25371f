"""Rows of a mixture that are read in batches: a first pass that checks them and keeps a sample, then more of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..batches import Batch, Source, source_of
from ..errors import InputError, InputTypeError
from ..held import Book, Keeper, Some, together
from ..prepare import NO_WEIGHT, RowsRead
from ..response import read_weights
from ..scan import PER_COLUMN, SAMPLE, _as_table, _flat, _witnesses, located
from ..table import Table, named_values, read_table
from .mixture_columns import numbers_of, rows_of

T = TypeVar("T")
CHANGED = "it must give the same rows in the same order every time"


def batches_of(X: Any) -> Source | None:
    """The source of batches that X is, arrays among them; None where X is rows in memory."""
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], np.ndarray) and X[0].ndim == 2:
        return Source(lambda columns: (Batch(item, f"batch {number}") for number, item in enumerate(X)))
    return source_of(X)


class DensityRows:
    """Batches of rows and weights, without a response; the passes over them are counted."""

    def __init__(self, source: Source, sample_weight: Any) -> None:
        if not (sample_weight is None or isinstance(sample_weight, str)):
            raise InputTypeError(
                "sample_weight must be the name of a column where X is read in batches, got "
                f"{type(sample_weight).__name__}; give the name, or batches (X, y, sample_weight)"
            )
        self.source, self.name = source, sample_weight
        self.passes = 0
        self.names: tuple[str, ...] = ()
        self.is_frame = False
        self.book: Any = None
        self.n, self.alive, self.total = 0, 0, 0.0

    def passing(self, task: Callable[[Table, np.ndarray], T]) -> Iterator[T]:
        """One pass: task(table, weights) of every batch, whose errors say which it is.

        Raises
        ------
        InputError
            For rows that cannot be used, and where there are not as many as before.
        """
        self.passes += 1
        n = 0
        for batch in self.source.open(None):
            with located(batch):
                table, weight = self._read(batch)
                n += table.n
                found = task(table, weight) if table.n and (weight > 0.0).any() else None
            if found is not None:
                yield found
        if self.n and n != self.n:
            raise InputError(f"X gave {self.n} rows at first and {n} later; {CHANGED}")
        self.n = n

    def _read(self, batch: Batch) -> tuple[Table, np.ndarray]:
        parts = batch.data if isinstance(batch.data, tuple) else (batch.data,)
        if not 1 <= len(parts) <= 3:
            raise InputError(f"a batch is a table, or a tuple (X, y[, sample_weight]), got {len(parts)} parts")
        table = read_table(_as_table(parts[0]))
        if table.n == 0:
            return table, np.empty(0)
        table = rows_of(table)
        given: Any = None if len(parts) < 3 or parts[2] is None else _flat(parts[2])
        if given is not None and self.name is not None:
            raise InputError(f"sample_weight={self.name!r} was given, and the batches hold weights too; leave one out")
        if self.name is not None:
            given = named_values(self.name, table, "sample_weight")
            names = tuple(name for name in table.names if name != self.name)
            table = Table(names, table.n, None, table.frame, table.index, table.known)
        if self.names:
            self._check_alike(table)
        else:
            self.names, self.is_frame = table.names, table.is_frame
        if self.book is not None:
            self.book.settle(table)
        return table, read_weights(given, table.n, table.index, "raise", False)

    def _check_alike(self, table: Table) -> None:
        if table.is_frame != self.is_frame:
            raise InputTypeError("is an array where earlier batches are tables with named columns, or the reverse; "
                                 "make them alike")  # fmt: skip
        if set(table.names) != set(self.names):
            odd = [name for name in self.names if name not in table.names]
            more = [name for name in table.names if name not in self.names]
            what = f"column {odd[0]!r} is missing" if odd else f"column {more[0]!r} is new"
            raise InputError(f"{what}: the batch has {len(table.names)} columns, earlier ones have {len(self.names)}")

    def sample(self, check: Callable[[Table, np.ndarray], set[str]]) -> tuple[Table, np.ndarray, bool]:
        """The first pass: rows spread evenly over all, with one for every level; their weights; True where it is all.

        `check` looks at the rows of a batch, and names the columns of numbers that are categories.
        """
        keeper: Keeper | None = None
        seen: dict[str, set[Any]] = {}
        witnesses: list[Some] = []
        coded: set[str] = set()

        def checked(table: Table, weight: np.ndarray) -> tuple[Table, np.ndarray]:
            coded.update(check(table, weight))
            for name in table.names:
                if table.column(name).levels is None:
                    numbers_of(table, name)
            return table, weight

        for table, weight in self.passing(checked):
            if keeper is None:
                self.book = Book(self.names, self.names, self.is_frame)
                keeper = Keeper(max(SAMPLE, PER_COLUMN * len(self.names)))
            rows = RowsRead(table, np.zeros(table.n), None, weight, None, None, True, None)
            some = self.book.read(rows, keeper.n)
            keeper.add(some)
            witnesses += _witnesses(self.book, some, weight > 0.0, coded, seen)
            self.alive += int((weight > 0.0).sum())
            self.total = math.fsum([self.total, float(weight.sum())])
        if keeper is None:
            raise InputError("X gives no rows" if self.n == 0 else NO_WEIGHT)
        held, whole = keeper.rows(), keeper.stride == 1
        if not whole and witnesses:
            held = together([held, *witnesses])
        return self.book.table(held), held.weight, whole


__all__ = ["CHANGED", "DensityRows", "batches_of"]
