"""Marginal effects and average predictions, with standard errors by the delta method.

The effect of a number is the derivative of the mean, m'(eta) d eta/dx; that of a 0/1 column or of a category is the
difference of the means at two levels. An average over rows is linear in what is at each row, so that its gradient in
the coefficients is a sum of Z'u over a few designs: of the rows as they are and of their changed versions.
Sources: Greene (2018), Econometric Analysis, section 17.3; Bartus (2005), Stata Journal 5, 309-329.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _threads
from .altered import Altered, Variable, Versions, altered, derivative, values_of, variables
from .blocks import Design
from .choices import one_of
from .errors import InputError, InputTypeError
from .formula import FormulaTerms
from .likelihood import each_stripe, expand
from .prediction import Predictor
from .result import Result, quantile, upper_tail
from .table import Column, Table, read_table
from .tangents import curve_of_mean, mean_is_first
from .uncertain import ZERO, in_user_units, reference

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("dydx", "eyex", "dyex", "eydx")


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number with its gradient in the user's coefficients."""

    value: float
    gradient: np.ndarray


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that are averaged over: a version of the table, its offset without the formula's, weights of sum 1."""

    table: Altered
    shift: np.ndarray | None
    weight: np.ndarray


class Margins:
    """A fitted model on the rows that margins are taken over."""

    def __init__(
        self, predictor: Predictor, result: Result, X: Any, offset: Any, exposure: Any, weight: Any, scale: str
    ) -> None:
        one_of("scale", scale, ("mean", "link"))
        if result.covariance is None:
            result.cov_params()  # says why there is none
        if not mean_is_first(predictor.family) and predictor.others.size and scale == "mean":
            raise InputError(
                f"the mean of {predictor.family!r} depends on further parameters besides the linear predictor; "
                "use scale='link'"
            )
        self.predictor, self.result, self.scale = predictor, result, scale
        self._kept: tuple[Rows, Any, dict[str, np.ndarray]] | None = None
        self.table = read_table(X)
        if self.table.n == 0:
            raise InputError("X has no rows, so that there is nothing to average over")
        self.variables = variables(predictor, self.table)
        whole = altered(self.table)
        self.versions = Versions(predictor, predictor.terms.design(whole))
        shift = predictor.shift(self.table, offset, exposure)
        own = self.versions.own(whole)
        self.rows = Rows(whole, shift if own is None or shift is None else shift - own, _shares(weight, self.table))

    # rows

    def points(self, at: Any) -> Iterator[tuple[dict[str, Any], Rows]]:
        """The rows to average over, with the values that were set in them."""
        if isinstance(at, str):
            if at not in ("overall", "mean", "median"):
                raise InputError(f"at: {at!r} is not known; choose 'overall', 'mean', 'median' or a dict of values")
            yield {}, self.rows if at == "overall" else self._typical(at)
            return
        if not isinstance(at, Mapping):
            raise InputTypeError(
                f"at: expected 'overall', 'mean', 'median' or a dict of values, got {type(at).__name__}"
            )
        for name in at:
            self._variable(name, "at")
        for values in values_of(at):
            columns = {name: self.variables[name].constant(value, self.rows.table) for name, value in values.items()}
            yield values, replace(self.rows, table=self.rows.table.setting(**columns))

    def _variable(self, name: Any, what: str) -> Variable:
        if name not in self.variables:
            raise InputError(
                f"{what}: the model uses no column {name!r}; it uses {', '.join(map(repr, list(self.variables)[:12]))}"
            )
        return self.variables[name]

    def _typical(self, at: str) -> Rows:
        """One row: weighted means, or medians, of numbers; the most frequent level of categories."""
        weight, known = self.rows.weight, {}
        for name, variable in self.variables.items():
            column = self.table.column(name)
            if variable.levels is not None and column.levels is not None:
                count = np.bincount(column.values + 1, weight, len(column.levels) + 1)[1:]
                known[name] = Column(name, np.array([np.argmax(count)], np.int32), column.levels)
                continue
            x = np.asarray(column.values, float)
            if variable.levels is not None:
                levels, codes = np.unique(x, return_inverse=True)
                value = float(levels[np.argmax(np.bincount(codes, weight))])
            else:
                value = float(weight @ x) if at == "mean" else _median(x, weight)
            known[name] = Column(name, np.array([value]))
        shift = self.rows.shift
        if shift is not None:
            shift = np.array([weight @ shift if at == "mean" else _median(shift, weight)])
        return Rows(replace(self.rows.table, n=1, known=known, index=None), shift, np.ones(1))

    @cached_property
    def ranges(self) -> dict[str, tuple[float, float, float]]:
        """Least and largest value and standard deviation of the numeric columns."""
        out = {}
        for name, variable in self.variables.items():
            if variable.levels is None:
                x = np.asarray(self.table.column(name).values, float)
                low, high, spread = float(x.min()), float(x.max()), float(x.std())
                out[name] = low, high, spread if spread > 0.0 else max(abs(low), 1.0)
        return out

    # estimates

    def curve(self, eta: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean, or the linear predictor, of rows, with its first two derivatives."""
        eta = eta if rows.shift is None else eta + rows.shift
        if self.scale == "link":
            return eta, np.ones(eta.size), np.zeros(eta.size)
        return curve_of_mean(self.predictor, eta)

    def gradient(self, sums: np.ndarray) -> np.ndarray:
        """Sums Z'u as a gradient in the coefficients that the covariance is kept of."""
        return in_user_units(self.versions.base, sums, reference(self.predictor))

    def contrast(self, rows: Rows, high: Altered, low: Altered, relative: bool) -> Estimate:
        """The average difference between two versions of the rows, of the mean or of its logarithm."""
        value, gradient = 0.0, np.zeros(self.versions.base.width)
        for sign, table in ((1.0, high), (-1.0, low)):
            design, eta = self.versions.at(table)
            m, slope, _ = self.curve(eta, rows)
            if relative:
                m, slope = np.log(m), slope / m
            value += sign * float(rows.weight @ m)
            gradient += sign * transposed(design, rows.weight * slope)
        return Estimate(value, self.gradient(gradient))

    def slope(self, rows: Rows, name: str, kind: str) -> Estimate:
        """The average derivative in a numeric column, or elasticity."""
        design, m, first, second = self._here(rows)
        x = np.asarray(rows.table.column(name).values, float)
        if kind.startswith("ey"):  # of log m
            first, second = first / m, second / m - (first / m) ** 2
        times = rows.weight * (x if kind.endswith("ex") else 1.0)
        if isinstance(self.predictor.terms, FormulaTerms):
            low, high, spread = self.ranges[name]
            low, high = min(low, float(x.min())), max(high, float(x.max()))
            d = derivative(self.versions, rows.table, name, low, high, spread)
            along, gradient = d.value, np.zeros(design.width)
            for other, weight in d.parts:
                gradient += transposed(other, times * first * weight)
            gradient += transposed(design, times * second * along)
            gradient = self.gradient(gradient)
        else:  # a column of the design as it is: exact
            j = self.predictor.terms.names.index(self._coefficient(name))
            along = np.full(x.size, self.predictor.coefficients[j])
            bent = self._bent(rows, kind) if not kind.endswith("ex") else transposed(design, times * second)
            gradient = self.gradient(along[0] * bent)
            gradient[j] += float(np.sum(times * first))
        return Estimate(float(np.sum(times * first * along)), gradient)

    def _here(self, rows: Rows) -> tuple[Design, np.ndarray, np.ndarray, np.ndarray]:
        """The design of the rows and the curve of their means, kept for the next column."""
        if self._kept is None or self._kept[0] is not rows:
            design, eta = self.versions.at(rows.table)
            self._kept = rows, (design, *self.curve(eta, rows)), {}
        return self._kept[1]

    def _bent(self, rows: Rows, kind: str) -> np.ndarray:
        """Z'u, u the weighted second derivative of the mean or of its logarithm: the same for every column."""
        design, m, first, second = self._here(rows)
        assert self._kept is not None
        known = self._kept[2]
        if kind not in known:
            curved = second / m - (first / m) ** 2 if kind.startswith("ey") else second
            known[kind] = transposed(design, rows.weight * curved)
        return known[kind]

    def _coefficient(self, name: str) -> str:
        names = self.predictor.terms._columns(self.table)
        term = self.predictor.terms.terms[names.index(name)]
        return str(term.columns[0])

    def average(self, rows: Rows, codes: np.ndarray, groups: int) -> list[Estimate]:
        """The average prediction within every group of rows."""
        design, eta = self.versions.at(rows.table)
        m, first, _ = self.curve(eta, rows)
        total = np.bincount(codes, rows.weight, groups)
        share = rows.weight / total[codes]
        values = np.bincount(codes, share * m, groups)
        gradients = transposed(design, share * first, codes, groups)
        return [Estimate(float(v), self.gradient(g)) for v, g in zip(values, gradients, strict=True)]

    # inference

    def errors(self, estimates: Sequence[Estimate]) -> np.ndarray:
        """Standard errors: NaN where an estimate depends on what the data do not determine, or on an infinity."""
        p = self.versions.base.width
        g = np.array([e.gradient for e in estimates]).reshape(-1, p)
        infinite = np.isinf(self.result.standard_errors[:p])
        assert self.result.covariance is not None
        whole = self.result.covariance if self.predictor.centred is None else self.predictor.centred[1]
        v, lost = whole[:p, :p], np.any(g[:, infinite] != 0.0, axis=1)
        if self.predictor.estimable is not None:
            v, null = self.predictor.estimable[0][:p, :p], self.predictor.estimable[1]
            lost |= np.any(np.abs(g @ null) > ZERO * (np.abs(g) @ np.abs(null)), axis=1)
        v = v.copy()
        v[infinite, :] = v[:, infinite] = 0.0
        with np.errstate(all="ignore"):
            return np.where(lost, np.nan, np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", g, v, g), 0.0)))

    def frame(self, name: str, labels: Sequence[tuple[Any, ...]], names: Sequence[str | None],
              estimates: Sequence[Estimate], level: float) -> pd.DataFrame:  # fmt: skip
        """Estimates with standard errors, tests of 0 and intervals."""
        import pandas as pd

        value, se = np.array([e.value for e in estimates]), self.errors(estimates)
        df = self.result.df_resid if self.result.use_t else None
        q = float(quantile(0.5 + 0.5 * level, df))
        letter = "t" if self.result.use_t else "z"
        with np.errstate(all="ignore"):
            t = value / se
        table = {name: value, "std err": se, letter: t, "p_value": 2.0 * upper_tail(np.abs(t), df),
                 "lower": value - q * se, "upper": value + q * se}  # fmt: skip
        index: Any = pd.MultiIndex.from_tuples(labels, names=list(names))
        if len(names) == 1:
            index = pd.Index([one[0] for one in labels], name=names[0])
        out = pd.DataFrame(table, index=index)
        out.attrs["cov_type"] = self.result.cov_type
        return out


def marginal_effects(margins: Margins, at: Any, columns: Any, kind: str, dummy: bool, level: float) -> pd.DataFrame:
    """The table of effects of columns, at every point that `at` names."""
    one_of("kind", kind, KINDS)
    if kind.startswith("ey") and margins.scale == "link":
        raise InputError(f"kind={kind!r} is the logarithm of a mean; use scale='mean', or kind='dydx' or 'dyex'")
    every = columns is None
    wanted = list(margins.variables) if every else _names(columns, "columns")
    if not wanted and not every:
        raise InputError("columns is empty, so that there is no effect to take; leave it out for all columns")
    for name in wanted:
        margins._variable(name, "columns")
    labels: list[tuple[Any, ...]] = []
    estimates: list[Estimate] = []
    held = tuple(at) if isinstance(at, Mapping) else ()
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        for values, rows in margins.points(at):
            where = tuple(values.values())
            for name in wanted:
                variable = margins.variables[name]
                pairs = _levels_to_compare(margins, variable, dummy)
                if pairs is None:
                    labels.append((*where, name))
                    estimates.append(margins.slope(rows, name, kind))
                    continue
                if kind.endswith("ex"):
                    if every:
                        continue
                    raise InputError(f"columns: {name!r} is a category, which has no kind={kind!r}: an elasticity "
                                     "needs a number; use kind='dydx' or 'eydx'")  # fmt: skip
                for label, high, low in pairs:
                    tables = [rows.table.setting(**{name: variable.constant(v, rows.table)}) for v in (high, low)]
                    labels.append((*where, label))
                    estimates.append(margins.contrast(rows, tables[0], tables[1], kind == "eydx"))
    if not estimates:
        raise InputError("the model has no column to take the effect of" if not wanted else
                         f"no column is a number, which kind={kind!r} needs; use kind='dydx'")  # fmt: skip
    return margins.frame(kind, labels, [*held, "column" if held else None], estimates, level)


def _names(given: Any, what: str) -> list[Any]:
    """Names of columns as a list."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable):
        raise InputTypeError(f"{what}: expected the name of a column, or a list of names, got {given!r}")
    return list(given)


def _levels_to_compare(margins: Margins, variable: Variable, dummy: bool) -> list[tuple[str, Any, Any]] | None:
    """(label, level, reference) of every contrast; None for a number."""
    name, levels = variable.name, variable.levels
    if levels is not None:
        return [(f"{name}[{level} - {levels[0]}]", level, levels[0]) for level in levels[1:]]
    if not dummy:
        return None
    x = margins.table.column(name).values
    return [(name, 1.0, 0.0)] if bool(np.all((x == 0) | (x == 1))) and margins.table.n > 1 else None


def average_prediction(margins: Margins, by: Any, at: Any, level: float) -> pd.DataFrame:
    """Average predictions, over all rows or within the groups of some columns."""
    names = [] if by is None else _names(by, "by")
    if isinstance(at, str) and at != "overall" and names:
        raise InputError(f"by= needs the rows themselves, at={at!r} makes one of them; leave one of the two out")
    codes = np.zeros(margins.table.n, int)
    groups: list[tuple[Any, ...]] = [()]
    for name in names:
        if name not in margins.table.names:
            raise InputError(f"by: {name!r} is not a column of the table; its columns are "
                             f"{', '.join(map(repr, list(margins.table.names)[:12]))}")  # fmt: skip
        column = margins.table.column(name)
        if column.missing.any():
            raise InputError(f"by: column {name!r} has a missing value at row {int(np.argmax(column.missing))}")
        distinct, inner = np.unique(column.values, return_inverse=True)
        shown = [v.item() for v in distinct] if column.levels is None else [column.levels[int(v)] for v in distinct]
        groups = [(*group, value) for group in groups for value in shown]
        codes = codes * len(shown) + inner
    used, codes = np.unique(codes, return_inverse=True)
    groups = [groups[int(k)] for k in used]
    held = tuple(at) if isinstance(at, Mapping) else ()
    labels: list[tuple[Any, ...]] = []
    estimates: list[Estimate] = []
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        for values, rows in margins.points(at):
            here = codes if rows.weight.size == codes.size else np.zeros(rows.weight.size, int)
            found = margins.average(rows, here, len(groups))
            labels += [(*values.values(), *group) for group in groups]
            estimates += found
    if not names and not held:
        labels = [("overall" if isinstance(at, str) and at == "overall" else f"at {at}",)]
    index: list[str | None] = [*held, *names] if held or names else [None]
    return margins.frame(margins.scale, labels, index, estimates, level)


def transposed(design: Design, u: np.ndarray, codes: np.ndarray | None = None, groups: int = 1) -> np.ndarray:
    """Z'u over the rows of a standardised design; with `codes` a row of the result for every group of rows."""

    def add(start: int, stop: int, size: int) -> np.ndarray:
        out = np.zeros((groups, design.width))
        for at in range(start, stop, size):
            rows = slice(at, min(at + size, stop))
            z = expand(design, rows.start, rows.stop)
            if codes is None:
                out[0] += u[rows] @ z
            else:
                apart = np.zeros((groups, z.shape[0]))
                apart[codes[rows], np.arange(z.shape[0])] = u[rows]
                out += apart @ z
        return out

    parts = each_stripe(add, design.n, design.width, design.row_size, _threads.thread_count(None), False)
    total = np.sum(parts, axis=0)
    return np.asarray(total if codes is not None else total[0])


def _shares(weight: Any, table: Table) -> np.ndarray:
    """Weights of sum 1."""
    if weight is None:
        return np.full(table.n, 1.0 / table.n)
    from .response import read_weights
    from .table import named_values

    w = read_weights(named_values(weight, table, "sample_weight"), table.n, table.index)
    return np.asarray(w / w.sum())


def _median(x: np.ndarray, weight: np.ndarray) -> float:
    """The weighted median; with equal weights the usual one."""
    if np.all(weight == weight[0]):
        return float(np.median(x))
    order = np.argsort(x, kind="stable")
    share = np.cumsum(weight[order])
    low, high = np.searchsorted(share, [0.5 - 1e-12, 0.5 + 1e-12])
    return float(0.5 * (x[order[low]] + x[order[min(high, x.size - 1)]]))


__all__ = ["Margins", "average_prediction", "marginal_effects"]
