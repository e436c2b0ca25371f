"""The columns of a mixture model: which family each has in every component, read from new rows as from those fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from ..families import Binomial, Family, get_family
from ..mixtures.categorical import Column, Tables
from ..mixtures.marginals import Marginal, is_table, make_marginal
from ..mixtures.product import Product
from ..mixtures.univariate import Univariate
from ..response import LARGEST
from ..table import Table, read_table, shown


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fitted model keeps of its columns; `specs` has a `Column` of a table, or the marginals of K components."""

    names: tuple[str, ...]
    is_frame: bool
    specs: tuple[Column | tuple[Marginal, ...], ...]
    count: int
    alike: tuple[int, ...]

    def components(self, values: list[np.ndarray]) -> Product:
        """The components on columns that have been read."""
        parts: list[Any] = []
        single = len(self.names) == 1
        tables = [(j, spec) for j, spec in enumerate(self.specs) if isinstance(spec, Column)]
        for j, spec in enumerate(self.specs):
            if not isinstance(spec, Column):
                parts.append(Univariate(spec, values[j], j, None if single else self.names[j]))
        if tables:
            codes = np.stack([values[j] for j, _ in tables]).astype(np.int32)
            columns = tuple(spec for _, spec in tables)
            parts.append(Tables(columns, codes, self.count, single and columns[0].binary))
        return Product(tuple(parts), self.alike)

    def read(self, X: Any, owner: str) -> Product:
        """The components on new rows."""
        table = rows_of(X)
        names = matched(table, self.names, self.is_frame, owner)
        values = []
        for name, own, spec in zip(names, self.names, self.specs, strict=True):
            if isinstance(spec, Column):
                values.append(codes_of(table, name, spec))
            else:
                column = numbers_of(table, name)
                for marginal in dict.fromkeys(m.family for m in spec):
                    check_support(column, own, marginal, np.ones(table.n, bool))
                values.append(column)
        return self.components(values)


def rows_of(X: Any) -> Table:
    """A table of dense columns with at least one row and one column."""
    table = read_table(X)
    if table.sparse is not None:
        raise InputTypeError(
            "Sparse data was passed for X, but dense data is required. Use '.toarray()' to convert it."
        )
    if table.n == 0:
        raise InputError(
            f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
        )
    if not table.names:
        raise InputError(f"Found array with 0 feature(s) (shape=({table.n}, 0)) while a minimum of 1 is required.")
    return table


def matched(table: Table, names: tuple[str, ...], is_frame: bool, owner: str) -> tuple[str, ...]:
    """The columns of new rows that are those of the fit: by name in tables, else by place."""
    if is_frame and table.is_frame:
        for name in names:
            table.column(name)
        return names
    if len(table.names) != len(names):
        raise InputError(f"X has {len(table.names)} features, but {owner} is expecting {len(names)} features as input")
    return table.names


def plan_columns(
    table: Table, family: Any, count: int, by_component: bool, weight: np.ndarray
) -> tuple[Plan, list[Any]]:
    """Learn the columns from the rows of positive weight; the plan, and the columns of these rows.

    Raises
    ------
    InputError, InputTypeError
        For what a family cannot have: the message names the column, the row and the value.
    """
    present = weight > 0.0
    by_row = families_of(table, family, count, by_component)
    specs: list[Any] = []
    values: list[np.ndarray] = []
    for j, name in enumerate(table.names):
        here = [row[j] for row in by_row]
        if any(is_table(f) for f in here):
            if len({f == "categorical" for f in here}) > 1 or not all(is_table(f) for f in here):
                raise InputError(
                    f"column {name!r} is categorical in one component and not in another; give it one kind of family"
                )
            spec, codes = learn_table(table, j, here[0], present, weight)
            specs.append(spec)
            values.append(codes[present])
            continue
        column = numbers_of(table, name)
        known: dict[Family, Marginal] = {}
        for f in here:
            if f not in known:
                check_support(column, name, f, present)
                known[f] = make_marginal(f, column[present])
                if "real" in f.parameters.values() and np.ptp(column[present]) == 0.0:
                    raise InputError(
                        f"column {name!r} is constant ({column[present][0]:g} in all {int(present.sum())} rows, "
                        f"n_samples={int(present.sum())}), which a {f.name} component fits with a spread of 0 and an "
                        "infinite likelihood; leave the column out"
                    )
        specs.append(tuple(known[f] for f in here))
        values.append(np.ascontiguousarray(column[present]))
    kinds = [tuple(str(f) if f == "categorical" else repr(f) for f in row) for row in by_row]
    alike = tuple(kinds.index(kind) for kind in kinds)
    return Plan(table.names, table.is_frame, tuple(specs), count, alike), values


def families_of(table: Table, family: Any, count: int, by_component: bool) -> list[list[Any]]:
    """The family of every column in every component: a `Family`, or "categorical"."""
    if not by_component:
        return [by_column(table, family)] * count
    if not isinstance(family, (list, tuple)) or len(family) != count:
        got = f"{len(family)}" if isinstance(family, (list, tuple)) else f"{type(family).__name__}"
        raise InputError(
            f"by_component=True needs a list of families with one entry for each of the {count} components, got {got}"
        )
    return [by_column(table, own) for own in family]


def by_column(table: Table, family: Any) -> list[Any]:
    """The family of every column in one component."""
    names = table.names
    if isinstance(family, Mapping):
        unknown = [name for name in family if name not in names]
        absent = [name for name in names if name not in family]
        if unknown or absent:
            what = f"names {unknown[0]!r}, which is no column" if unknown else f"has no family for column {absent[0]!r}"
            raise InputError(f"family {what}; the columns are {', '.join(map(repr, names))}")
        given = [family[name] for name in names]
    elif isinstance(family, (list, tuple)):
        if len(family) != len(names):
            raise InputError(
                f"family has {len(family)} entries, but X has {len(names)} columns ({', '.join(map(repr, names[:8]))}); "
                "give one family for each column, or one for all"
            )
        given = list(family)
    else:
        given = [
            "categorical" if table.is_frame and table.column(name).levels is not None else family for name in names
        ]
    out = []
    for name, own in zip(names, given, strict=True):
        found = "categorical" if isinstance(own, str) and own.strip().lower() == "categorical" else get_family(own)
        levels = table.column(name).levels if table.is_frame else None
        if levels is not None and found != "categorical":
            raise InputError(
                f"column {name!r} holds text or categories, which the {found.name} family cannot have; "
                "its family is 'categorical'"
            )
        out.append(found)
    return out


def numbers_of(table: Table, name: str) -> np.ndarray:
    """A column of finite numbers."""
    column = table.column(name)
    if column.levels is not None:
        raise InputError(f"column {name!r} holds text or categories, where numbers are needed")
    values = np.asarray(column.values, float)
    if np.isfinite(values).all():
        top = int(np.argmax(np.abs(values)))
        if abs(values[top]) > LARGEST:
            raise InputError(f"column {name!r} has the value {values[top]:g} at row {_row(table, top)}, whose square or "
                             "cube is not a float; rescale the column")  # fmt: skip
        return values
    bad = np.flatnonzero(~np.isfinite(values))
    kind = "NaN" if np.isnan(values[bad[0]]) else "infinity, or a value too large for a float"
    raise InputError(f"Input X contains {kind} (column {name!r}, row {_row(table, int(bad[0]))}, {bad.size} such "
                     "value(s) in the column); remove the rows")  # fmt: skip


def check_support(values: np.ndarray, name: str, family: Family, present: np.ndarray) -> None:
    """Refuse values outside the support of a family."""
    bad = family.support.outside(values)
    what = f"needs values that are {family.support}"
    if not (bad & present).any() and family.support.integer:
        bad = values != np.rint(values)
        what = "has whole numbers only"
    bad &= present
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"column {name!r} has the value {values[row]:g} at row {row}, but the {family.name} family {what} "
            f"({int(bad.sum())} such value(s))"
        )


def learn_table(
    table: Table, j: int, family: Any, present: np.ndarray, weight: np.ndarray
) -> tuple[Column, np.ndarray]:
    """The levels of a column in the rows that are present, and the number of its level for every row."""
    name = table.names[j]
    if family != "categorical":
        values = numbers_of(table, name)
        bad = (values != 0.0) & (values != 1.0) & present
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            advice = "; for several trials to a row use MixtureRegressor" if isinstance(family, Binomial) else ""
            raise InputError(f"column {name!r} has the value {values[row]:g} at row {row}, but the {family.name} family "
                             f"here needs 0 or 1 ({int(bad.sum())} such value(s)){advice}")  # fmt: skip
        return Column(j, name, (0, 1), (1, 0), True), values.astype(np.int32)
    read = table.column(name)
    if read.levels is None:
        numbers = numbers_of(table, name)
        distinct, codes = np.unique(numbers, return_inverse=True)
        labels: tuple[Any, ...] = tuple(int(v) if v == int(v) else float(v) for v in distinct)
    else:
        codes, labels = np.asarray(read.values), read.levels
        _no_missing(table, name, codes)
    frequency = np.bincount(codes[present], weights=weight[present], minlength=len(labels))
    kept = np.flatnonzero(frequency > 0.0)
    renumber = np.full(len(labels), -1)
    renumber[kept] = np.arange(kept.size)
    sticks = tuple(int(v) for v in np.argsort(frequency[kept], kind="stable"))
    spec = Column(j, name, tuple(labels[v] for v in kept), sticks, False)
    return spec, renumber[codes].astype(np.int32)


def codes_of(table: Table, name: str, spec: Column) -> np.ndarray:
    """The numbers of the levels of new rows."""
    read = table.column(name)
    if read.levels is None:
        labels, codes = np.unique(numbers_of(table, name), return_inverse=True)
        found: tuple[Any, ...] = tuple(labels.tolist())
    else:
        found, codes = read.levels, np.asarray(read.values)
        _no_missing(table, name, codes)
    known = {level: i for i, level in enumerate(spec.levels)}
    places = np.array([known.get(level, -1) for level in found], int)
    out = places[codes]
    if (out < 0).any():
        row = int(np.flatnonzero(out < 0)[0])
        raise InputError(f"column {spec.name!r} has the value {shown(found[codes[row]])} at row {row}, which it did not "
                         f"have in the fit; its values there were {', '.join(map(repr, spec.levels))}")  # fmt: skip
    return out.astype(np.int32)


def _no_missing(table: Table, name: str, codes: np.ndarray) -> None:
    bad = np.flatnonzero(codes < 0)
    if bad.size:
        raise InputError(f"Input X contains NaN (column {name!r}, row {_row(table, int(bad[0]))}, {bad.size} missing "
                         "value(s) in the column); remove the rows, or give missing values a level of their own")  # fmt: skip


def _row(table: Table, row: int) -> int:
    return row if table.rows is None else int(table.rows[row])


__all__ = ["Plan", "matched", "numbers_of", "plan_columns", "rows_of"]
