"""The first pass over rows that stay where they are: columns, levels, checks, sums, and a sample for the pilot."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .batches import Batch, Source
from .errors import FisherfitError, FormulaError, InputError, InputTypeError, NonIntegerWarning
from .expressions import read_expression
from .families import Family
from .held import Book, Keeper, Some
from .links import Link
from .prepare import NO_WEIGHT, NOTHING_LEFT, RowsRead, read_rows, whole_counts
from .response import LARGEST, fractional_counts, fractional_response, kernel_weights
from .table import Table, read_table
from .terms import choose_columns

SAMPLE = 200_000  # rows held for the pilot; at least half as many, where there are more rows
PER_COLUMN = 400  # rows held for every column, where that is more
DISTINCT = 65_536  # different responses that are counted
LEARNING = {"bs", "cr", "cs", "cc", "poly", "center", "scale", "standardize", "lag"}


@dataclass(eq=False)
class Tally:
    """Passes over the rows: those over all columns, and those over response, weights and offset alone.

    `listener` hears of the progress of a pass: its number and the rows done.
    """

    rows: int = 0
    response: int = 0
    listener: Any = None

    def hear(self, done: int) -> None:
        """Tell the listener."""
        if self.listener is not None:
            self.listener(self.rows + self.response, done)


@dataclass(frozen=True, eq=False)
class Reader:
    """How to read a batch: the formula or the columns, and the names of what else is used."""

    source: Source
    family: Family
    link: Link
    formula: str | None
    intercept: bool
    missing: str
    weight_type: str
    y: str | tuple[str, ...] | None
    sample_weight: Any
    offset: Any
    exposure: Any
    tally: Tally
    chosen: Any = None
    first: Table | None = None
    checked: bool = False
    names: tuple[str, ...] | None = None
    lean: tuple[str, ...] | None = None
    settle: Any = None

    def passing(self, design: bool = True) -> Iterator[RowsRead]:
        """One pass over the rows; without `design` the columns of the design may be left out."""
        lean = not design and self.lean is not None
        if lean:
            self.tally.response += 1
        else:
            self.tally.rows += 1
        done = 0
        for batch in self.source.open(self.lean if lean else self.names):
            with located(batch):
                rows = self._read(batch, lean)
            done += rows.table.n if rows.kept is None else rows.kept.size
            yield rows
            self.tally.hear(done)

    def _read(self, batch: Batch, lean: bool) -> RowsRead:
        table, y, weight, offset = self.unpack(batch.data)
        chosen = replace(self.chosen, needed=()) if lean else self.chosen
        if not lean:
            self._same_columns(table)
            if self.settle is not None:
                self.settle(table)
        return read_rows(chosen, self.formula, self.family, self.link, table, self.missing, y, weight, offset,
                         self.exposure, alone=False, checked=self.checked)  # fmt: skip

    def unpack(self, data: Any) -> tuple[Table, Any, Any, Any]:
        """The table of a batch, and its response, weights and offset."""
        parts = data if isinstance(data, tuple) else (data,)
        if not 1 <= len(parts) <= 4:
            raise InputError(
                f"a batch is a table, or a tuple (X, y[, sample_weight[, offset]]), got {len(parts)} parts"
            )
        table = read_table(_as_table(parts[0]))
        given = [None if part is None else _flat(part) for part in (*parts[1:], None, None, None)[:3]]
        named = (self.y, self.sample_weight, self.offset)
        for value, name, what in zip(given, named, ("y", "sample_weight", "offset"), strict=True):
            if value is not None and name is not None:
                raise InputError(f"{what}={name!r} was given, and the batches hold {what} too; leave one of them out")
        y, weight, offset = (name if value is None else value for value, name in zip(given, named, strict=True))
        if self.first is not None and table.is_frame != self.first.is_frame:
            raise InputTypeError("is an array where earlier batches are tables with named columns, or the reverse; "
                                 "make them alike")  # fmt: skip
        return table, self._response(table, y), weight, offset

    def _response(self, table: Table, y: Any) -> Any:
        if isinstance(y, str):
            y = (y,)
        if not (isinstance(y, tuple) and all(isinstance(name, str) for name in y)):
            if y is None and self.formula is None:
                raise InputError("y is needed: the name of the column of the response, or batches (X, y)")
            return y
        columns = []
        for name in y:
            column = table.column(name)
            if column.levels is not None:
                raise InputTypeError(f"the response {name!r} holds text or categories; convert it to numbers")
            columns.append(np.asarray(column.values, float))
        return columns[0] if len(columns) == 1 else np.column_stack(columns)

    def _same_columns(self, table: Table) -> None:
        first = self.first
        if first is None or (table.is_frame and self.formula is not None) or table.names == first.names:
            return
        if set(table.names) == set(first.names) and table.is_frame:
            return
        odd = [name for name in first.names if name not in table.names]
        more = [name for name in table.names if name not in first.names]
        what = f"column {odd[0]!r} is missing" if odd else f"column {more[0]!r} is new"
        raise InputError(f"{what}: the batch has {len(table.names)} columns, earlier ones {len(first.names)}")


def _as_table(data: Any) -> Any:
    if type(data).__name__ == "RecordBatch":
        import pyarrow

        return pyarrow.Table.from_batches([data])
    return data


def _flat(part: Any) -> Any:
    shape = getattr(part, "shape", None)
    return np.asarray(part)[:, 0] if shape is not None and len(shape) == 2 and shape[1] == 1 else part


class located:
    """Errors inside say which batch they are in, and count rows from the start of its file."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, FisherfitError) or getattr(error, "located", False):
            return
        first = self.batch.first
        text = re.sub(r"\brow (\d+)", lambda match: f"row {int(match[1]) + first}", str(error))
        text = text.replace(" in all)", " in the batch)").replace("such value(s)", "such value(s) in the batch")
        new = type(error)(f"{self.batch.label}: {text}")
        new.located = True  # type: ignore[attr-defined]
        raise new from None


@dataclass(eq=False)
class Scan:
    """What one pass learns of the rows."""

    n: int = 0
    read: int = 0
    observations: int = 0
    repeats: float = 0.0
    weights: tuple[float, float, int] = (0.0, 0.0, 0)  # largest, sum, how many are not zero
    sums: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of w, w y and w y^2 by the kernel's weights
    largest: float = 0.0
    base: float = 0.0
    whole: bool = True
    offset: bool | None = None
    fractional: str | None = None
    distinct: dict[float, float] | None = field(default_factory=dict)
    absent: list[tuple[int, np.ndarray | None]] = field(default_factory=list)  # bits of the rows kept, by batch
    dropped: int = 0

    def kept(self) -> np.ndarray:
        """True for the rows that were not left out."""
        return np.concatenate(
            [np.ones(size, bool) if bits is None else np.unpackbits(bits, count=size).astype(bool)
             for size, bits in self.absent]
        )  # fmt: skip


def start_reader(model: Any, family: Family, link: Link, source: Source, y: Any, sample_weight: Any, offset: Any,
                 exposure: Any, tally: Tally, groups: tuple[str, ...] = ()) -> Reader:  # fmt: skip
    """Check the arguments of a fit that reads batches, and choose the columns by those of the first batch."""
    if isinstance(y, list):
        y = tuple(y)
    for value, what in ((y, "y"), (sample_weight, "sample_weight"), (offset, "offset"), (exposure, "exposure")):
        many = what == "y" and isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, str) for v in value)
        if not (value is None or isinstance(value, str) or many or (what != "y" and np.isscalar(value))):
            raise InputTypeError(
                f"{what} must be the name of a column where X is read in batches, got {type(value).__name__}; "
                "give the name, or batches (X, y[, sample_weight[, offset]])"
            )
    reader = Reader(source, family, link, model.formula, bool(model.fit_intercept), model.missing, model.weight_type,
                    y, sample_weight, offset, exposure, tally)  # fmt: skip
    if source.empty is not None:
        first = read_table(source.empty)
    else:
        opened = source.open(None)
        batch = next(opened, None)
        if batch is None:
            raise InputError("there is no batch; X gives no rows")
        with located(batch):
            first = reader.unpack(batch.data)[0]
        getattr(opened, "close", lambda: None)()
    skip = [v for v in (*(y if isinstance(y, tuple) else (y,)), sample_weight, offset, exposure) if isinstance(v, str)]
    for name in skip:
        if first.is_frame and name not in first.names:
            raise InputError(f"column {name!r} is missing from the table; its columns are "
                             f"{', '.join(map(repr, first.names[:12]))}")  # fmt: skip
    lean = list(skip)
    if model.formula is not None:
        from .formula import parse

        chosen: Any = parse(model.formula, first)
        if not (chosen.right or chosen.intercept):
            raise InputError(f"the formula {model.formula!r} has no term and no intercept; there is nothing to fit")
        if not chosen.response and y is None and not isinstance(source.empty, type(None)):
            raise InputError("the formula has no response; write 'y ~ ...', or give y the name of a column")
        _refuse_learning(model.formula)
        left = model.formula.split("~")[0].strip()
        if left:
            names = chosen.response if all(name in first.names for name in chosen.response) else (
                read_expression(left, first, model.formula).names)  # fmt: skip
            lean += names
        for text in chosen.offsets:
            lean += read_expression(text, first, model.formula).names
    else:
        chosen = choose_columns(first, bool(model.fit_intercept), [*skip, *groups])
        if not chosen.needed and not model.fit_intercept:
            raise InputError("the model has no column and no intercept; pass columns or fit_intercept=True")
    names = tuple(dict.fromkeys((*chosen.needed, *lean)))
    known = source.empty is not None
    # a pass over fewer columns has to leave out the same rows
    some = tuple(dict.fromkeys(lean)) if known and lean else None
    return replace(reader, chosen=chosen, first=first, names=names if known else None, lean=some)


def _refuse_learning(text: str) -> None:
    found = next((name for name in re.findall(r"\b(\w+)\s*\(", text) if name in LEARNING), None)
    if found is not None:
        raise FormulaError(f"formula: {found}() learns from all rows at once, which a fit in batches cannot; add what "
                           "it makes to the data as columns")  # fmt: skip


def scan(reader: Reader, kernels: Any) -> tuple[Scan, Book, Keeper, list[Some]]:
    """The first pass: checks, sums, levels, a sample, and a row for every level."""
    first = reader.first
    assert first is not None
    out = Scan()
    if not (reader.family.support.integer or reader.family.takes_trials):
        out.distinct = None
    book = Book(tuple(reader.chosen.needed), first.names, first.is_frame)
    reader = replace(reader, settle=book.settle)
    keeper = Keeper(max(SAMPLE, PER_COLUMN * len(book.names)))
    coded = set(getattr(reader.chosen, "coded", ()))
    seen: dict[str, set[Any]] = {}
    witnesses: list[Some] = []
    for rows in reader.passing():
        some = book.read(rows, out.n)
        total = kernel_weights(rows.weight, rows.trials, reader.weight_type, 1.0)
        _sum(out, reader, rows, total, kernels)
        keeper.add(some)
        witnesses += _witnesses(book, some, total > 0.0, coded, seen)
    _check(out, reader)
    return out, book, keeper, witnesses


def _sum(out: Scan, reader: Reader, rows: RowsRead, total: np.ndarray, kernels: Any) -> None:
    n, y, w = rows.table.n, rows.y, rows.weight
    if rows.kept is not None:
        out.dropped += int(np.count_nonzero(~rows.kept))
    size = n if rows.kept is None else rows.kept.size
    if out.offset is None and size:
        out.offset = rows.offset is not None
    elif size and out.offset != (rows.offset is not None):
        raise InputError("some batches have an offset and others have none; give one for all rows, 0 for none")
    if reader.missing == "drop":
        out.absent.append((size, None if rows.kept is None else np.packbits(rows.kept)))
    out.read += size
    if n == 0:
        return
    present = total > 0.0
    out.n += n
    out.observations += int(np.count_nonzero(present))
    out.repeats = math.fsum([out.repeats, float(w[present].sum())])
    top, all_of, some = out.weights
    out.weights = (max(top, float(w.max())), math.fsum([all_of, float(w.sum())]), some + int(np.count_nonzero(w)))
    moments = (
        float(total.sum()),
        float(total @ np.where(present, y, 0.0)),
        float(total @ np.where(present, y * y, 0.0)),
    )
    out.sums = tuple(map(sum, zip(out.sums, moments, strict=True)))  # type: ignore[assignment]
    out.largest = max(out.largest, float(np.abs(y[present]).max(initial=0.0)))
    if rows.fractional is not None and out.fractional is None:
        out.fractional = fractional_counts(out.read - size + rows.fractional)
    if reader.family.support.integer and not rows.whole and out.fractional is None:
        odd = int(np.flatnonzero((y != np.rint(y)) & present)[0])
        out.fractional = fractional_response(f"{out.n - n + odd} of those used", y[odd], reader.family)
    out.whole &= rows.whole and whole_counts(reader.family, rows, total, reader.weight_type)
    if not reader.family.has_dispersion:
        from .dispersion import base_terms

        probability = reader.weight_type == "probability"
        divides = reader.weight_type == "analytic" and reader.family.takes_trials
        block = (y, total if probability else w, rows.trials)
        out.base = math.fsum([out.base, base_terms(kernels, block, 1.0, divides)[0]])
    if out.distinct is not None:
        values, at = np.unique(y[present], return_inverse=True)
        for value, weight in zip(values.tolist(), np.bincount(at, total[present]).tolist(), strict=True):
            out.distinct[value] = out.distinct.get(value, 0.0) + weight
        if len(out.distinct) > DISTINCT:
            out.distinct = None


def _witnesses(book: Book, some: Some, present: np.ndarray, coded: set[str], seen: dict[str, set[Any]]) -> list[Some]:
    """The first rows, of weight above zero, of levels that have not been met."""
    found: list[Some] = []
    for name, values in zip(book.names, some.columns, strict=True):
        if name not in book.levels and name not in coded:
            continue
        met = seen.setdefault(name, set())
        levels, at = np.unique(values[present], return_index=True)
        new = [k for k, level in enumerate(levels.tolist()) if level not in met]
        if new:
            met.update(levels[new].tolist())
            found.append(some.take(np.flatnonzero(present)[at[new]]))
    return found


def _check(out: Scan, reader: Reader) -> None:
    """What is to be said once of all rows."""
    if out.read == 0:
        raise InputError("Found array with 0 sample(s): X gives no rows, while a minimum of 1 is required.")
    if out.n == 0:
        raise InputError(NOTHING_LEFT)
    top, _, some = out.weights
    if some == 0:
        raise InputError(
            "every sample_weight is zero, so that there are no data; leave it out or give positive weights"
        )
    if out.observations == 0:
        raise InputError(NO_WEIGHT)
    for value, what in ((top, "sample_weight"), (out.largest, "y")):
        if value > LARGEST or 0.0 < value < 1.0 / LARGEST:
            raise InputError(f"{what} has {value:g} as its largest value, whose square or cube is not a float; "
                             f"divide {what} by {value:g}, say")  # fmt: skip
    if out.fractional is not None:
        warnings.warn(out.fractional, NonIntegerWarning, stacklevel=6)


__all__ = ["Reader", "Scan", "Tally", "located", "scan", "start_reader"]
