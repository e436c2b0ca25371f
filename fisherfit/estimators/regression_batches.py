"""Rows of a mixture of regressions that are read in batches: a sample in memory, and a mixture for every batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..batches import Source
from ..errors import InputError, InputTypeError
from ..expressions import read_expression
from ..families import Family
from ..held import Book, Keeper, Some, together
from ..links import Link
from ..mixtures.mixture import Mixture
from ..mixtures.streamed import StreamedMixture
from ..prepare import NO_WEIGHT, RowsRead
from ..response import kernel_weights, own
from ..scan import PER_COLUMN, SAMPLE, Reader, Tally, _witnesses, start_reader
from ..table import Table
from .mixture_batches import CHANGED
from .regression_data import (
    Reading,
    RegressionData,
    check_exposure,
    check_families,
    read_concomitant,
    read_data,
)  # fmt: skip


@dataclass(eq=False)
class RegressionRows:
    """What the first pass learns, and how to pass again."""

    reader: Reader
    families: Sequence[Family]
    n: int = 0
    read: int = 0
    alive: int = 0
    total: float = 0.0
    dropped: int = 0
    whole: bool = True
    has_offset: bool | None = None
    fits: bool = False  # in the sample

    def passing(self) -> Iterator[RowsRead]:
        """One pass over the rows."""
        read = 0
        for rows in self.reader.passing():
            read += rows.table.n
            if rows.table.n:
                yield rows
        if self.n and read != self.n:
            raise InputError(f"X gave {self.n} rows at first and {read} later; {CHANGED}")
        self.n = read

    def streamed(self, data: RegressionData) -> StreamedMixture:
        """All rows, in the coordinates of the sample."""
        sample = data.mixture
        components: Any = sample.components

        def walk() -> Iterator[Mixture]:
            for rows in self.passing():
                present = kernel_weights(rows.weight, rows.trials, "frequency") > 0.0
                if not present.any():
                    continue
                n, some = rows.table.n, None if present.all() else present
                design = data.prepared.terms.design(rows.table, some, checked=True, like=components.design)
                here = replace(
                    components, design=design, y=own(rows.y), offset=rows.offset,
                    trials=np.ones(n) if rows.trials is None else own(rows.trials),
                )  # fmt: skip
                mixing = sample.mixing
                if data.concomitant is not None:
                    mixing = replace(mixing, design=np.ascontiguousarray(data.concomitant.design(rows.table)))
                part = Mixture(here, mixing, own(rows.weight), None, sample.threads)
                yield part if some is None else part.take(np.flatnonzero(present))

        return StreamedMixture(
            components, sample.mixing, sample.weight, None, sample.threads, walk, self.total, self.alive
        )


def read_batches(
    reading: Reading, families: Sequence[Family], links: Sequence[tuple[Link, ...]], shared: Sequence[str],
    concomitant: Any, source: Source, y: Any, sample_weight: Any, offset: Any, exposure: Any, groups: Any, threads: int,
) -> tuple[RegressionData, RegressionRows]:  # fmt: skip
    """Pass over the rows once: the data of a sample, as `read_data` reads rows in memory, and the rest.

    Raises
    ------
    InputError, InputTypeError, FormulaError
        For what cannot be used; the message names it, its batch and the remedy.
    """
    if groups is not None:
        raise InputError("groups need all rows of a group together, and X is read in batches; pass rows in memory, or "
                         "one row for every group")  # fmt: skip
    check_exposure(links, exposure)
    named = concomitant is None or isinstance(concomitant, str) or (
        isinstance(concomitant, (list, tuple)) and all(isinstance(name, str) for name in concomitant)
    )  # fmt: skip
    if not named:
        raise InputTypeError("concomitant must be a formula or names of columns where X is read in batches, got "
                             f"{type(concomitant).__name__}")  # fmt: skip
    arguments = (reading, families[0], links[0][0], source, y, sample_weight, offset, exposure, Tally())
    reader = start_reader(*arguments)
    assert reader.first is not None
    columns = read_concomitant(concomitant, reader.first, "drop")[3]
    if columns:
        reader = start_reader(*arguments, columns)
        needed = tuple(dict.fromkeys((*reader.chosen.needed, *columns)))
        names = None if reader.names is None else tuple(dict.fromkeys((*reader.names, *columns)))
        reader = replace(reader, chosen=replace(reader.chosen, needed=needed), names=names)
    rows = RegressionRows(reader, families)
    table, held = _scan(rows, families)
    y, table = _response(reader, table, held)
    weight = held.weight if sample_weight is None else sample_weight
    given = offset is None and exposure is None and not _own_offsets(reader)
    data = read_data(reading, families, links, shared, concomitant, table, y, weight, held.offset if given else offset,
                     exposure, None, threads)  # fmt: skip
    return replace(data, prepared=replace(data.prepared, whole=rows.whole)), rows


def _own_offsets(reader: Reader) -> tuple[str, ...]:
    return tuple(reader.chosen.offsets) if reader.formula is not None else ()


def _names(reader: Reader) -> tuple[str, ...]:
    """All columns that are used."""
    first = reader.first
    assert first is not None
    names = [*reader.chosen.needed]
    if not first.is_frame:
        return first.names
    y = reader.y if isinstance(reader.y, tuple) else (reader.y,)
    names += [v for v in (*y, reader.sample_weight, reader.offset, reader.exposure) if isinstance(v, str)]
    if reader.formula is not None:
        left = reader.formula.split("~")[0].strip()
        response = reader.chosen.response
        known = all(name in first.names for name in response)
        names += response if known or not left else read_expression(left, first, reader.formula).names
        for text in reader.chosen.offsets:
            names += read_expression(text, first, reader.formula).names
    return tuple(dict.fromkeys(names))


def _scan(rows: RegressionRows, families: Sequence[Family]) -> tuple[Table, Some]:
    """The first pass: checks, sums, levels, and a sample with a row for every level."""
    reader = rows.reader
    first = reader.first
    assert first is not None
    book = Book(_names(reader), first.names, first.is_frame)
    rows.reader = replace(reader, settle=book.settle)
    keeper = Keeper(max(SAMPLE, PER_COLUMN * len(book.names)))
    coded = set(getattr(reader.chosen, "coded", ()))
    seen: dict[str, set[Any]] = {}
    witnesses: list[Some] = []
    for part in rows.passing():
        present = kernel_weights(part.weight, part.trials, "frequency") > 0.0
        check_families(part.y, part.trials, families, present)
        if rows.has_offset not in (None, part.offset is not None):
            raise InputError("some batches have an offset and others have none; give one for all rows, 0 for none")
        rows.has_offset = part.offset is not None
        some = book.read(part, keeper.n)
        keeper.add(some)
        witnesses += _witnesses(book, some, present, coded, seen)
        rows.alive += int(present.sum())
        rows.total = math.fsum([rows.total, float(part.weight[present].sum())])
        rows.dropped += 0 if part.kept is None else int((~part.kept).sum())
        rows.whole &= part.whole
    if not rows.n:
        raise InputError("X gives no rows, or every row has a missing value; there is nothing to fit")
    if not rows.alive:
        raise InputError(NO_WEIGHT)
    held, rows.fits = keeper.rows(), keeper.stride == 1
    if not rows.fits and witnesses:
        held = together([held, *witnesses])
    rows.reader = replace(rows.reader, checked=True)
    return book.table(held), held


def _response(reader: Reader, table: Table, held: Some) -> tuple[Any, Table]:
    """The response of the sample, and the table without its columns."""
    if isinstance(reader.y, (str, tuple)):
        y = reader._response(table, reader.y)
        names = (reader.y,) if isinstance(reader.y, str) else reader.y
        return y, Table(tuple(n for n in table.names if n not in names), table.n, None, table.frame, None, table.known)
    if reader.formula is not None and reader.chosen.response:
        return None, table
    if held.trials is None:
        return held.y, table
    successes = held.y * held.trials
    near = np.rint(successes)
    successes = np.where(np.abs(successes - near) <= 1e-9 * np.maximum(held.trials, 1.0), near, successes)
    return np.column_stack([successes, held.trials - successes]), table


__all__ = ["RegressionRows", "read_batches"]
