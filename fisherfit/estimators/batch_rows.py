"""Rows that come to `partial_fit`: the first batch says what the columns are, later ones are read as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..blocks import Categorical, Design, make_design
from ..clusters import Clusters
from ..errors import InputError, InputTypeError
from ..families import Family
from ..held import _AllRead
from ..links import Link
from ..prepare import NO_WEIGHT, NOTHING_LEFT, read_rows, whole_counts
from ..response import kernel_weights, own
from ..table import Column, Table, read_table, shown
from ..terms import choose_columns


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows, read: a design with its columns in one array, and what is fitted to them."""

    design: Design
    y: np.ndarray
    trials: np.ndarray | None
    user_weight: np.ndarray
    weight: np.ndarray
    offset: np.ndarray | None
    whole: bool
    dropped: int
    codes: np.ndarray | None = None
    labels: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Columns:
    """What the first batch settled, for good."""

    chosen: Any
    terms: Any
    design: Design
    table_names: tuple[str, ...]
    is_frame: bool
    named: tuple[str | None, str | None]
    response: str
    formula: str | None
    groups: str | None = None

    @property
    def n_features(self) -> int:
        """Columns of X."""
        return len(self.table_names) if self.formula is not None else len(self.terms.terms)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Their names, where they have any."""
        if self.formula is not None:
            return self.table_names
        return tuple(term.name for term in self.terms.terms) if self.is_frame else None


def read_first(
    model: Any, family: Family, link: Link, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any,
    levels: Mapping[str, Any] | None, groups: Any = None,
) -> tuple[Columns, Rows]:  # fmt: skip
    """Choose the columns and learn their terms from the first batch, and from the levels that are named."""
    table = _read(X)
    named = (offset if isinstance(offset, str) else None, exposure if isinstance(exposure, str) else None)
    chosen: Any
    if model.formula is not None:
        from ..formula import parse
        from ..scan import _refuse_learning

        _refuse_learning(model.formula)
        chosen = parse(model.formula, table)
        if not (chosen.right or chosen.intercept):
            raise InputError(f"the formula {model.formula!r} has no term and no intercept; there is nothing to fit")
        response = model.formula.split("~")[0].strip() or "y"
    else:
        if not table.names and not table.is_frame:
            raise InputError(f"Found array with 0 feature(s) (shape=({table.n}, 0)) while a minimum of 1 is required.")
        skip = [v for v in (*named, sample_weight, groups) if isinstance(v, str)]
        chosen = choose_columns(table, bool(model.fit_intercept), skip)
        if not chosen.needed and not model.fit_intercept:
            raise InputError("the model has no column and no intercept; pass columns or fit_intercept=True")
        response = str(getattr(y, "name", None) or "y")
    read = _labels(groups, table)
    found = read_rows(chosen, model.formula, family, link, table, model.missing, y, sample_weight, offset, exposure,
                      absent=_unlabelled(read, model.missing))  # fmt: skip
    total = _weights(model, found)
    some = None if (total > 0).all() else total > 0
    terms = chosen.learn(*_with_levels(found.table, some, levels, chosen.needed))
    design = terms.design(found.table, some, checked=True)
    columns = Columns(chosen, terms, design, table.names, table.is_frame, named, response, model.formula,
                      groups if isinstance(groups, str) else None)  # fmt: skip
    return columns, _rows(model, family, found, total, design, read)


def read_next(
    model: Any, family: Family, link: Link, columns: Columns, X: Any, y: Any, sample_weight: Any, offset: Any,
    exposure: Any, groups: Any = None,
) -> Rows:  # fmt: skip
    """Read a later batch as the first one was read."""
    table = _read(X)
    if table.is_frame != columns.is_frame:
        kinds = ("a table with named columns", "an array")[:: 1 if table.is_frame else -1]
        raise InputTypeError(f"X is {kinds[0]}, and the first batch was {kinds[1]}; make them alike")
    if columns.formula is None and not table.is_frame and len(table.names) != columns.n_features:
        raise InputError(f"X has {len(table.names)} features, but {type(model).__name__} is expecting "
                         f"{columns.n_features} features as input: the first batch had as many")  # fmt: skip
    groups = columns.groups or groups
    named = [v for v in (*columns.named, sample_weight, groups) if isinstance(v, str)]
    wanted = [name for name in columns.table_names if name not in named]
    if columns.formula is None and table.is_frame and [n for n in table.names if n not in named] != wanted:
        more = [name for name in table.names if name not in columns.table_names]
        lacking = [name for name in columns.table_names if name not in table.names]
        raise InputError(f"The feature names should match those that were passed during fit: {_named(more, lacking)}")
    read = _labels(groups, table)
    found = read_rows(columns.chosen, columns.formula, family, link, table, model.missing, y, sample_weight,
                      columns.named[0] or offset, columns.named[1] or exposure,
                      absent=_unlabelled(read, model.missing))  # fmt: skip
    total = _weights(model, found)
    some = None if (total > 0).all() else total > 0
    try:
        design = columns.terms.design(found.table, some, checked=True, like=columns.design)
    except InputError as error:
        if "has not seen" not in str(error):
            raise
        raise InputError(f"{error}; give the first call of partial_fit all of them, "
                         "levels={'column': [...]}") from None  # fmt: skip
    return _rows(model, family, found, total, design, read)


def _labels(groups: Any, table: Table) -> Any:
    if groups is None:
        return None
    from ..groups import read_labels  # brings pandas

    return read_labels(groups, table)


def _unlabelled(read: Any, missing: str) -> np.ndarray | None:
    return None if read is None else Clusters((np.asarray(read.codes),)).absent(missing)


def _named(more: list[str], lacking: list[str]) -> str:
    what = [f"unseen: {', '.join(more)}"] if more else []
    what += [f"missing: {', '.join(lacking)}"] if lacking else []
    return "; ".join(what) or "they stand in another order"


def _read(X: Any) -> Table:
    """The table of a batch, its sparse columns made dense."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is not None and any(type(d).__name__ == "SparseDtype" for d in np.atleast_1d(np.array(dtypes, object))):
        X = X.astype({name: d.subtype for name, d in dtypes.items() if type(d).__name__ == "SparseDtype"})
    table = read_table(X)
    if table.n == 0:
        raise InputError(
            f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
        )
    if table.sparse is not None:
        return Table(table.names, table.n, table.sparse.to_scipy().toarray())
    return table


def _weights(model: Any, found: Any) -> np.ndarray:
    if found.table.n == 0:
        raise InputError(NOTHING_LEFT)
    total = kernel_weights(found.weight, found.trials, model.weight_type)
    if not (total > 0).any():
        raise InputError(NO_WEIGHT)
    return total


def _rows(model: Any, family: Family, found: Any, total: np.ndarray, design: Design, read: Any = None) -> Rows:
    codes, labels = None, ()
    if read is not None:
        codes = np.asarray(read.codes if found.kept is None else read.codes[found.kept], np.int64)
        present, codes = np.unique(codes, return_inverse=True)
        labels = tuple(read.index[present].tolist())
    whole = found.whole and whole_counts(family, found, total, model.weight_type)
    width = design.dense_width - int(design.intercept)
    parts = [np.asarray(a, float).reshape(design.n, -1) for a in design.dense]
    dense = np.ascontiguousarray(np.hstack(parts)) if width else None
    return Rows(
        replace(design, dense=() if dense is None else (dense,)), own(found.y),
        None if found.trials is None else own(found.trials), own(found.weight), total,
        None if found.offset is None else own(found.offset), whole,
        0 if found.kept is None else int((~found.kept).sum()), codes, labels,
    )  # fmt: skip


def _with_levels(
    table: Table, present: np.ndarray | None, levels: Mapping[str, Any] | None, needed: Any
) -> tuple[Table, np.ndarray | None]:
    """The rows, and a row more for every level that is named, to learn the terms from."""
    if not levels:
        return table, present
    if not isinstance(levels, Mapping):
        raise InputTypeError(f"levels must map columns to their levels, got {type(levels).__name__}")
    if not table.is_frame:
        raise InputError("levels is for categorical columns of a table, and X is an array; leave it out")
    extra = max((len(list(given)) for given in levels.values()), default=0)
    first = 0 if present is None else int(np.flatnonzero(present)[0])
    known: dict[str, Column] = {}
    for name in needed:
        column = table.column(name)
        more = np.repeat(column.values[first : first + 1], extra)
        if name in levels:
            column, more = _relabelled(column, tuple(levels[name]), extra)
        known[name] = Column(name, np.concatenate([column.values, more]), column.levels)
    for name in levels:
        if name not in known:
            raise InputError(f"levels names {name!r}, which is no column of the model; its columns are "
                             f"{', '.join(map(repr, needed))}")  # fmt: skip
    present = np.ones(table.n, bool) if present is None else present
    return (Table(table.names, table.n + extra, None, _AllRead(), None, known),
            np.concatenate([present, np.ones(extra, bool)]))  # fmt: skip


def _relabelled(column: Column, given: tuple[Any, ...], extra: int) -> tuple[Column, np.ndarray]:
    """A column by the levels given, and codes that show each of them."""
    if column.levels is None:
        raise InputError(f"levels names {column.name!r}, which holds numbers; make it text or categories")
    place = {level: k for k, level in enumerate(given)}
    if not place:
        raise InputError(f"levels has no level for column {column.name!r}")
    table = np.full(len(column.levels) + 1, -1, np.int32)
    for k in np.unique(column.values[column.values >= 0]):
        level = column.levels[int(k)]
        if level not in place:
            raise InputError(f"column {column.name!r} has the level {shown(level)}, which is not among its levels= "
                             f"{', '.join(shown(v) for v in given[:12])}")  # fmt: skip
        table[int(k)] = place[level]
    codes = np.minimum(np.arange(extra), len(given) - 1).astype(np.int32)
    return Column(column.name, table[column.values], given), codes


def joined(parts: list[Rows]) -> Rows:
    """Rows of several batches, standardised anew by all of them."""
    first = parts[0].design
    n = sum(part.design.n for part in parts)

    def together(name: str) -> Any:
        pieces = [getattr(part, name) for part in parts]
        return None if pieces[0] is None else np.concatenate(pieces)

    dense = [np.concatenate([part.design.dense[0] for part in parts])] if first.dense else []
    categorical = [
        Categorical(np.concatenate([part.design.categorical[k].codes for part in parts]), c.width)
        for k, c in enumerate(first.categorical)
    ]
    weight = together("weight")
    present = None if (weight > 0.0).all() else weight > 0.0
    design = make_design(first.names, n, first.intercept, dense, categorical, first.position, present)
    codes = None
    if parts[0].codes is not None:  # groups are whole within a batch
        before = np.cumsum([0, *(len(part.labels) for part in parts)]).tolist()
        codes = np.concatenate([part.codes + first for part, first in zip(parts, before, strict=False)])
    return Rows(design, together("y"), together("trials"), together("user_weight"), weight, together("offset"),
                all(part.whole for part in parts), sum(part.dropped for part in parts), codes)  # fmt: skip


__all__ = ["Columns", "Rows", "joined", "read_first", "read_next"]
