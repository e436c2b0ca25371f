"""Tables with some of their columns changed, and what happens to the design: contrasts and derivatives of formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .blocks import Design
from .errors import InputError, InputTypeError
from .formula import FormulaTerms
from .linalg import EPS
from .prediction import Predictor
from .table import Column, Table, shown

STEP = 1e-3  # of differences, in units of a column's size
ROUGH = 1e-5  # largest relative change of a derivative when the step is halved
CHECKED = 2000  # rows on which the step is checked
LARGEST = 20_000_000  # entries of a sparse table that may be read as dense columns
#: fourth-order weights of a first derivative at offsets (-2 ... 2) + shift, by shift 0, 2 and -2
STENCILS = {
    0: np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0,
    2: np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) / 12.0,
    -2: np.array([3.0, -16.0, 36.0, -48.0, 25.0]) / 12.0,
}


@dataclass(frozen=True, eq=False)
class Altered(Table):
    """A table whose columns are those in `known`, and for the rest those of `source`."""

    source: Table = field(default=None)  # type: ignore[assignment]

    @property
    def is_frame(self) -> bool:
        return self.source.is_frame

    def column(self, name: str) -> Column:
        return self.known[name] if name in self.known else self.source.column(name)

    def entries(self, name: str) -> None:
        """Sparse columns are read as dense ones, so that every version of the table has the same design."""
        return None

    def setting(self, **columns: Column) -> Altered:
        """The table with other values in some columns."""
        return replace(self, known={**self.known, **columns})

    def every(self, stride: int, names: tuple[str, ...]) -> Altered:
        """Every stride-th row of some columns."""
        known = {}
        for name in names:
            c = self.column(name)
            known[name] = Column(name, np.ascontiguousarray(c.values[::stride]), c.levels)
        return replace(self, n=len(range(0, self.n, stride)), known=known, index=None)


def altered(table: Table) -> Altered:
    """A table that columns can be changed of."""
    if table.sparse is not None and table.n * len(table.names) > LARGEST:
        raise InputError(f"X is sparse with {table.n} rows and {len(table.names)} columns, which would be read as "
                         "dense columns here; pass a sample of its rows")  # fmt: skip
    return Altered(table.names, table.n, index=table.index, known={}, source=table)


@dataclass(frozen=True, eq=False)
class Variable:
    """A column that a model uses: numeric, or with the levels of the fit, the first as reference."""

    name: str
    levels: tuple[Any, ...] | None

    def constant(self, value: Any, table: Table) -> Column:
        """The column with one value in every row."""
        column = table.column(self.name)
        if self.levels is not None:
            if value not in self.levels:
                raise InputError(f"column {self.name!r} has no level {shown(value)} in the fit; its levels are "
                                 f"{', '.join(shown(v) for v in self.levels[:12])}")  # fmt: skip
            if column.levels is not None:
                return Column(self.name, np.full(table.n, self.levels.index(value), np.int32), self.levels)
        try:
            return Column(self.name, np.full(table.n, float(value)))
        except (TypeError, ValueError):
            raise InputTypeError(f"column {self.name!r} is numeric, got the value {shown(value)}") from None


def variables(predictor: Predictor, table: Table) -> dict[str, Variable]:
    """The columns that a model uses, by name, in the order of the table."""
    terms = predictor.terms
    found: dict[str, tuple[Any, ...] | None] = {}
    if isinstance(terms, FormulaTerms):
        coded = {t.name: t.levels for t in (*terms.levels, *terms.categorical)}
        found = {name: coded.get(name) for name in terms.needed}
    else:
        names = terms._columns(table)
        found = {name: term.levels for name, term in zip(names, terms.terms, strict=True)}
    place = {name: k for k, name in enumerate(table.names)}
    return {name: Variable(name, found[name]) for name in sorted(found, key=lambda v: place.get(v, len(place)))}


@dataclass(frozen=True, eq=False)
class Versions:
    """A model at versions of a table: all designs are standardised as the first."""

    predictor: Predictor
    base: Design

    def at(self, table: Altered) -> tuple[Design, np.ndarray]:
        """The design of a version, and its linear predictor with the offset of the formula alone."""
        design = self.predictor.terms.design(table, like=self.base)
        eta = self.predictor.linear(design)
        own = self.own(table)
        return design, eta if own is None else eta + own

    def own(self, table: Altered) -> np.ndarray | None:
        """The offset that the formula itself has."""
        terms = self.predictor.terms
        return terms.offset(table) if isinstance(terms, FormulaTerms) else None


@dataclass(frozen=True, eq=False)
class Derivative:
    """d eta / d x of every row as a weighted sum of linear predictors: designs, and a weight for every row."""

    value: np.ndarray
    parts: list[tuple[Design, np.ndarray]]


def derivative(versions: Versions, table: Altered, name: str, low: float, high: float, spread: float) -> Derivative:
    """The derivative of the linear predictor in a column, through whatever the formula makes of it.

    Fourth-order differences, one-sided at the ends `low` and `high` of the column's range, beyond which a spline or a
    logarithm may not be defined. The step is that of the smaller of the value and the `spread` of the column.

    Raises
    ------
    InputError
        Where halving the step changes the derivative, as at a kink or a jump.
    """
    names = tuple(variables(versions.predictor, table.source))
    stride = max(1, -(-table.n // CHECKED))
    some = table.every(stride, names)
    rough = np.zeros(1)
    x = np.abs(np.asarray(some.column(name).values, float))
    near = np.where(x > 1e-6 * spread, np.minimum(x, spread), spread)
    with np.errstate(all="ignore"):  # what rounding makes of a derivative that is zero
        noise = 256.0 * EPS * float(np.max(np.abs(versions.at(some)[1]), initial=1.0)) / near
    for step in (STEP, 0.1 * STEP):
        one = _differences(versions, some, name, low, high, spread, step).value
        half = _differences(versions, some, name, low, high, spread, 0.5 * step).value
        rough = np.abs(one - half)
        if np.all(rough <= ROUGH * max(float(np.max(np.abs(one))), 1e-12) + noise / step):
            return _differences(versions, table, name, low, high, spread, step)
    row = int(np.argmax(rough)) * stride
    raise InputError(
        f"the linear predictor has no derivative in column {name!r} at row {row}, where its value is "
        f"{float(table.column(name).values[row]):g}: the formula has a kink or a jump there; leave the column out, or "
        "compare average_prediction at two values of it"
    )


def _differences(
    versions: Versions, table: Altered, name: str, low: float, high: float, spread: float, step: float
) -> Derivative:
    x = np.asarray(table.column(name).values, float)
    size = np.minimum(np.abs(x), spread)
    h = step * np.where(size > 1e-6 * spread, size, spread)
    shift = np.where(x - 2.0 * h < low, 2, np.where(x + 2.0 * h > high, -2, 0))
    value = np.zeros(x.size)
    parts: list[tuple[Design, np.ndarray]] = []
    for k in range(5):
        weight = np.select([shift == s for s in STENCILS], [w[k] for w in STENCILS.values()])
        moved = x + (k - 2 + shift) * h
        weight = weight / h
        if not weight.any():
            continue
        design, eta = versions.at(table.setting(**{name: Column(name, moved)}))
        value += weight * eta
        parts.append((design, weight))
    return Derivative(value, parts)


def values_of(at: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All combinations of the values of some columns; a single value counts as a list of one."""
    combinations: list[dict[str, Any]] = [{}]
    for name, given in at.items():
        listed = [given] if isinstance(given, str) or not hasattr(given, "__iter__") else list(given)
        if not listed:
            raise InputError(f"at: no value is given for column {name!r}")
        combinations = [{**one, name: value} for one in combinations for value in listed]
    return combinations


__all__ = ["Altered", "Derivative", "Variable", "Versions", "altered", "derivative", "values_of", "variables"]
