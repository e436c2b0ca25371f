"""Labels of groups: read, checked, numbered, and the rows sorted by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._jit import compiled
from ._later import Later
from .errors import InputError, InputTypeError
from .table import Table, check_index, shown

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pandas as pd
else:
    nw, pd = Later("narwhals.stable.v2"), Later("pandas")

DENSE_CODES = 4  # integers that span fewer than this many values a row are numbered by counting


@dataclass(frozen=True, eq=False)
class Labels:
    """The group of every row: `codes` into `index`, -1 in rows whose label is `missing` (their number)."""

    codes: np.ndarray
    index: pd.Index
    missing: int = 0


@dataclass(frozen=True, eq=False)
class Sorted:
    """Rows by group: those of group g are order[starts[g]:starts[g + 1]], or those numbers where `order` is empty."""

    starts: np.ndarray
    order: np.ndarray

    def rows(self, g: int) -> np.ndarray:
        """The rows of a group."""
        a, b = int(self.starts[g]), int(self.starts[g + 1])
        return self.order[a:b] if self.order.size else np.arange(a, b)


def read_labels(groups: Any, table: Table) -> Labels:
    """The labels of the rows of a table: its column of that name, or one label a row.

    Raises
    ------
    InputError, InputTypeError
        For a column that the table does not have, a wrong length or shape.
    """
    if groups is None:
        raise InputError("groups is None; pass a label for every row, or the name of the column that holds them")
    name = "group"
    if isinstance(groups, str):
        name = groups
        if not table.is_frame:
            raise InputError(f"groups={groups!r} names a column, but X is an array; pass the labels")
        if groups not in table.names:
            names = ", ".join(map(repr, table.names[:12]))
            raise InputError(f"groups={groups!r} is not a column of the table; its columns are {names}")
        groups = table.frame[groups].to_native()
    else:
        check_index(groups, "groups", table.index)
        name = str(getattr(groups, "name", None) or name)
    values = _plain(groups)
    if values.ndim != 1:
        raise InputError(f"groups must be one-dimensional with one label a row, got shape {values.shape}")
    if values.size != table.n:
        raise InputError(
            "Found input variables with inconsistent numbers of samples: "
            f"groups has {values.size} labels, X has {table.n} rows"
        )
    codes, index, missing = _number(values)
    return Labels(codes, index.rename(name), missing)


def _plain(groups: Any) -> Any:
    """Labels as a NumPy or pandas array."""
    values: Any
    if isinstance(groups, (pd.Series, pd.Index)):
        return groups.to_numpy() if isinstance(groups.dtype, np.dtype) else groups.array
    if isinstance(groups, (pd.Categorical, np.ndarray)):
        values = groups
    else:
        try:
            series = nw.from_native(groups, series_only=True)
        except TypeError:
            series = None
        try:
            if series is None:
                values = pd.Series(groups).to_numpy() if isinstance(groups, (list, tuple)) else np.asarray(groups)
            elif series.dtype.is_numeric() and not series.null_count():
                values = series.to_numpy()
            else:
                values = np.array(series.to_list(), dtype=object)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"groups cannot be read as labels, one a row: {error}") from None
    if isinstance(values, np.ndarray):
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.dtype.kind not in "iufbOUSMmT":
            raise InputTypeError(f"groups has dtype {values.dtype}; labels are numbers, strings or categories")
    return values


def _number(values: Any) -> tuple[np.ndarray, pd.Index, int]:
    """Codes, labels and the number of missing ones; categories keep their order, others are sorted if they can be."""
    if isinstance(values, pd.Categorical):
        codes = np.asarray(values.codes, np.int64)
        absent = codes < 0
        present = codes[~absent] if absent.any() else codes
        numbers, used = _only_used(codes, present, len(values.categories))
        return numbers, values.categories[used], int(absent.sum())
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < DENSE_CODES * values.size and high < 2**62:
            native = low == 0 and values.dtype == np.dtype(np.int64) and values.dtype.isnative
            codes = values if native else np.subtract(values, low, dtype=np.int64, casting="unsafe")
            numbers, used = _only_used(codes, codes, high - low + 1)
            return numbers, pd.Index((used + low).astype(values.dtype)), 0
    try:
        codes, labels = pd.factorize(values, sort=True)
    except TypeError:
        try:
            codes, labels = pd.factorize(values)  # labels of several kinds, in the order in which they come
        except TypeError as error:
            raise InputTypeError(f"groups holds labels that cannot be compared: {error}") from None
    return np.asarray(codes, np.int64), pd.Index(labels, tupleize_cols=False), int((codes < 0).sum())


def _only_used(codes: np.ndarray, present: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes into those that occur (in `present`), and which they are."""
    found = np.zeros(count, bool)
    found[present] = True
    used = np.flatnonzero(found)
    if used.size < count:
        number = np.append(np.cumsum(found) - 1, -1)  # the last one serves the code -1
        codes = number[codes]
    return np.ascontiguousarray(codes, np.int64), used


def match_labels(groups: Any, table: Table, index: pd.Index) -> np.ndarray:
    """The number of each row's group among those of a fit; an error for a group that it has not seen."""
    labels = read_labels(groups, table)
    if labels.missing:
        raise InputError(f"groups has a missing label at row {int(np.argmax(labels.codes < 0))}")
    at = index.get_indexer(labels.index)
    if (at < 0).any():
        unseen = labels.index[int(np.argmax(at < 0))]
        row = int(np.argmax(labels.codes == int(np.argmax(at < 0))))
        raise InputError(
            f"the group {shown(unseen)} (row {row}) was not in the fit, which has {len(index)} groups "
            f"({', '.join(shown(v) for v in index[:3])}{', ...' if len(index) > 3 else ''})"
        )
    return np.asarray(at)[labels.codes]


def sort_rows(labels: Labels, weight: np.ndarray) -> Sorted:
    """The rows of positive weight by group, each group's in their order.

    Raises
    ------
    InputError
        For a group with no such row.
    """
    codes, count = labels.codes, len(labels.index)
    starts = np.zeros(count + 1, np.int64)
    plain = compiled(_count)(codes, np.ascontiguousarray(weight), starts)
    empty = np.flatnonzero(starts[1:] == 0)
    if empty.size:
        which = ", ".join(shown(v) for v in labels.index[empty[:3]])
        raise InputError(
            f"{empty.size} of {count} groups have no row of positive weight ({which}{', ...' if empty.size > 3 else ''}"
            "): every row has weight 0 or 0 trials, so that there are no data; leave these groups out"
        )
    np.cumsum(starts, out=starts)
    order = np.empty(0 if plain else int(starts[-1]), np.int64)
    if not plain:
        compiled(_arrange)(codes, np.ascontiguousarray(weight), starts[:-1].copy(), order)
    return Sorted(starts, order)


def _count(codes, weight, counts):
    """counts[g + 1] = rows of group g; True where the rows are in order already and all present."""
    plain, last, run = True, 0, 0
    for i in range(codes.size):
        g = codes[i]
        if g < 0 or not weight[i] > 0.0:
            plain = False
            continue
        if g != last:  # rows of a group often stand together
            counts[last + 1] += run
            plain = plain and g > last
            last, run = g, 0
        run += 1
    if run:
        counts[last + 1] += run
    return plain


def _arrange(codes, weight, at, order):
    """A stable counting sort."""
    for i in range(codes.size):
        g = codes[i]
        if g >= 0 and weight[i] > 0.0:
            order[at[g]] = i
            at[g] += 1
