"""Model formulas, read by formulaic: ``y ~ x + C(region) + bs(age, df=4) + offset(log(years))``.

A main effect of a categorical column becomes a code block; every other term becomes dense columns. What was learnt
from the data (levels, knots, centres) is remembered for ``predict``. A formula is data, not a program (`expressions`).
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Categorical, Design, make_design
from .errors import FormulaError, InputError, InputTypeError
from .expressions import FUNCTIONS, brief, evaluate, known, read_expression
from .table import Column, Table, shown
from .terms import Term, check_names, missing_rows, used_levels

_lock = threading.Lock()  # `warnings.catch_warnings` is not safe in threads


def _fresh_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_lock)


@dataclass(frozen=True, eq=False)
class FormulaTerms:
    """The design of a formula: an intercept or none, categorical main effects, and formulaic's dense columns."""

    text: str
    response: tuple[str, ...]
    intercept: bool
    categorical: tuple[Term, ...]
    dense: Any
    dense_names: tuple[str, ...]
    levels: tuple[Term, ...]
    order: tuple[tuple[str, int], ...]
    offsets: tuple[str, ...]
    needed: tuple[str, ...]
    named: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, in the order of the formula's terms."""
        out = ["Intercept"] if self.intercept else []
        for kind, at in self.order:
            out.extend(self.categorical[at].columns if kind == "categorical" else [self.dense_names[at]])
        return tuple(out)

    @property
    def terms(self) -> tuple[str, ...]:
        """Columns of the table that the formula uses."""
        return self.needed

    @np.errstate(all="ignore")
    def design(
        self, table: Table, present: np.ndarray | None = None, checked: bool = False, like: Design | None = None
    ) -> Design:
        """The Design of a table without missing values (`checked` where that is known), standardised as `like` is."""
        if not table.is_frame:
            raise InputError(_NEEDS_TABLE)
        if not checked:
            missing_rows(table, self.needed, "predict")
        codes = []
        for term in self.categorical:
            codes.append(Categorical(term.codes(_column(term, table), present), len(term.columns)))
        dense = [] if self.dense is None else [self._dense(table, present)]
        at = int(self.intercept)
        dense_at: list[tuple[int, int]] = []
        categorical_at: dict[int, list[int]] = {}
        for kind, k in self.order:
            if kind == "categorical":
                width = len(self.categorical[k].columns)
                categorical_at[k] = list(range(at, at + width))
                at += width
            else:
                dense_at.append((k, at))
                at += 1
        position = [0] * int(self.intercept) + [p for _, p in sorted(dense_at)]
        for k in range(len(self.categorical)):
            position += categorical_at[k]
        at_user = np.array(position, int)
        return make_design(self.names, table.n, self.intercept, dense, codes, at_user, present, like=like)

    def _dense(self, table: Table, present: np.ndarray | None) -> np.ndarray:
        """The dense columns for the rows of a table, zero in rows that are not present."""
        if present is not None:
            out = np.zeros((table.n, len(self.dense_names)))
            out[present] = self._dense(table.take(present), None)
            return out
        matrix = _evaluate(self.dense, _frame(table, self.needed, self.levels), self.text)
        keep = [j for j, name in enumerate(self.dense.column_names) if name != "Intercept"]
        array = np.ascontiguousarray(np.asarray(matrix, float)[:, keep])
        if not np.all(np.isfinite(array)):
            row, j = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
            value = array[row, j]
            row = row if table.rows is None else int(table.rows[row])
            raise FormulaError(
                f"the term {self.dense_names[j]!r} of the formula is {value} at row {row}; "
                "check its values there (a logarithm of 0 or a division by 0, say)"
            )
        return array

    def offset(self, table: Table) -> np.ndarray | None:
        """The sum of the formula's offset() terms."""
        return _sum_of(self.offsets, table)


@dataclass(frozen=True, eq=False)
class Outline:
    """A formula that has been read, but has not seen data; `learn` makes its terms."""

    text: str
    response: tuple[str, ...]
    intercept: bool
    right: tuple[Any, ...]
    offsets: tuple[str, ...]
    needed: tuple[str, ...]
    coded: frozenset[str]
    named: bool = True

    def learn(self, table: Table, present: np.ndarray | None = None) -> FormulaTerms:
        """The terms, with all that is to be remembered of the rows present, which have no missing values."""
        if present is not None:
            table = table.take(present)
        categorical: list[Term] = []
        dense: list[Any] = []
        order: list[tuple[str, Any]] = []
        interacts = any(len(t.factors) > 1 and any(_column_of(f, table) for f in t.factors) for t in self.right)
        full = not self.intercept
        for term in self.right:
            name = _column_of(term.factors[0], table) if len(term.factors) == 1 else None
            if name is not None and not interacts:
                plain = term.factors[0].expr == name
                order.append(("categorical", len(categorical)))
                categorical.append(Term(name, _levels(name, table), full, None if plain else str(term)))
                full = False
            else:
                order.append(("dense", term))
                dense.append(term)
        levels = tuple(
            Term(name, _levels(name, table), True, f"C({name})" if name in self.coded else None)
            for name in self.needed
            if dense and (name in self.coded or table.column(name).levels is not None)
        )
        spec, names = None, {}
        if dense:
            spec = _learn(dense, not full, _frame(table, self.needed, levels), self.text)
            names = {s.term: tuple(s.columns) for s in spec.structure}
        flat: list[tuple[str, int]] = []
        dense_names: list[str] = []
        for kind, what in order:
            if kind == "categorical":
                flat.append((kind, what))
                continue
            for name in names.get(what, ()):
                flat.append((kind, len(dense_names)))
                dense_names.append(name)
        terms = FormulaTerms(self.text, self.response, self.intercept, tuple(categorical), spec, tuple(dense_names),
                             levels, tuple(flat), self.offsets, self.needed)  # fmt: skip
        check_names(terms.names, self.intercept)
        return terms

    def offset(self, table: Table) -> np.ndarray | None:
        """The sum of the formula's offset() terms."""
        return _sum_of(self.offsets, table)


_NEEDS_TABLE = "a formula needs a table with named columns (pandas, polars, pyarrow), got an array"


def parse(text: str, table: Table) -> Outline:
    """Read a formula against the columns of a table.

    Raises
    ------
    FormulaError
        For a formula that cannot be read, and for columns that the table does not have.
    """
    if not isinstance(text, str):
        raise FormulaError(f"formula: expected a string such as 'y ~ x + C(z)', got {type(text).__name__}")
    if not table.is_frame:
        raise InputError(_NEEDS_TABLE)
    if text.count("~") != 1:
        raise FormulaError(f"formula: {shown(text, 200)} needs exactly one '~', as in 'y ~ x + C(z)'")
    left, right = (part.strip() for part in text.split("~"))
    response: tuple[str, ...] = ()
    if left:
        response = (_unquote(left),) if _unquote(left) in table.names else tuple(_unquote(p) for p in left.split("+"))
        if not read_expression(left, table, text).names:
            raise FormulaError(f"formula: the response {left!r} in {shown(text, 200)} names no column; its columns are "
                               f"{', '.join(table.names[:20])}")  # fmt: skip
    terms: list[Any] = []
    offsets: list[str] = []
    needed: dict[str, None] = {}
    coded: set[str] = set()
    parsed, intercept = _terms(right, text)
    for term in parsed:
        expression = term.factors[0].expr
        if len(term.factors) == 1 and re.match(r"offset\(.*\)$", expression, re.DOTALL):
            offsets.append(expression[len("offset(") : -1])
            needed.update(dict.fromkeys(read_expression(offsets[-1], table, text).names))
            continue
        terms.append(term)
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                needed[known(factor.expr, table)] = None
            elif factor.eval_method.value == "python":
                expression = read_expression(factor.expr, table, text)
                needed.update(dict.fromkeys(expression.names))
                coded.update(expression.coded)
    if len(offsets) != len(re.findall(r"\boffset\s*\(", right)):
        raise FormulaError(
            f"formula: an offset(...) in {shown(text, 200)} is not a term of its own; write '+ offset(...)', once each"
        )
    return Outline(text, response, intercept, tuple(terms), tuple(offsets), tuple(needed), frozenset(coded))


def split_offsets(right: str, text: str) -> tuple[list[Any], bool, tuple[str, ...]]:
    """The right side of a formula without a table: its terms, whether it has an intercept, its offsets."""
    parsed, intercept = _terms(right, text)
    terms, offsets = [], []
    for term in parsed:
        found = re.match(r"offset\((.*)\)$", term.factors[0].expr, re.DOTALL) if len(term.factors) == 1 else None
        if found is None:
            terms.append(term)
        else:
            offsets.append(found.group(1))
    return terms, intercept, tuple(offsets)


def _unquote(name: str) -> str:
    name = name.strip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] == "`" and "`" not in name[1:-1] else name


def _terms(right: str, text: str) -> tuple[list[Any], bool]:
    from formulaic import Formula, SimpleFormula

    if not right:
        raise FormulaError(
            f"formula: {shown(text, 200)} has nothing on its right; write '~ 1' for the model without covariates"
        )
    try:
        parsed = Formula(right)
    except Exception as error:  # formulaic raises many kinds; the user gets one
        raise FormulaError(f"formula: {shown(text, 200)} cannot be read: {brief(error)}") from None
    if not isinstance(parsed, SimpleFormula):
        raise FormulaError(f"formula: {shown(text, 200)} has several parts, such as 'x | z'; write one sum of terms")
    terms = list(parsed)
    return [term for term in terms if str(term) not in ("1", "0")], any(str(term) == "1" for term in terms)


def _column_of(factor: Any, table: Table) -> str | None:
    """The name of the column where a factor is C(column) or a categorical column."""
    match = re.match(r"^C\(\s*([^\W\d]\w*|`[^`]+`)\s*\)$", factor.expr)
    if match and factor.eval_method.value == "python":
        return _unquote(match.group(1))
    name = factor.expr
    if factor.eval_method.value == "lookup" and table.column(name).levels is not None:
        return str(name)
    return None


def _column(term: Term, table: Table) -> Column:
    """The column of a categorical term, as codes and levels; a numeric one where the formula says C(column)."""
    column = table.column(term.name)
    return _as_categorical(column) if term.label else column


def _as_categorical(column: Column) -> Column:
    if column.levels is not None:
        return column
    values = np.asarray(column.values, float)
    levels, codes = np.unique(values[~np.isnan(values)], return_inverse=True)
    out = np.full(values.size, -1, np.int32)
    out[~np.isnan(values)] = codes
    return Column(column.name, out, tuple(int(v) if v == int(v) else float(v) for v in levels))


def _levels(name: str, table: Table) -> tuple[Any, ...]:
    return used_levels(_as_categorical(table.column(name)))


def _sum_of(offsets: Sequence[str], table: Table) -> np.ndarray | None:
    total: np.ndarray | None = None
    for text in offsets:
        values = evaluate(text, table)
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise FormulaError(f"the term 'offset({text})' of the formula is {values[row]} at row {row}; "
                               "check its values there (a logarithm of 0, say)")  # fmt: skip
        total = values if total is None else total + values
    return total


def _frame(table: Table, needed: Sequence[str], levels: Sequence[Term]) -> Any:
    """The columns for formulaic, as pandas: floats, and categories with the levels of the fit."""
    import pandas as pd

    by_name = {term.name: term for term in levels}
    columns: dict[str, Any] = {}
    for name in needed:
        column = table.column(name)
        term = by_name.get(name)
        if term is None and column.levels is not None:
            raise InputTypeError(f"column {name!r} was numeric in the fit and holds text or categories now; "
                                 "convert it to numbers")  # fmt: skip
        codes = None if term is None else term.codes(_column(term, table))
        if codes is not None and column.levels is not None:
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(list(term.levels), dtype=object))  # type: ignore[union-attr, arg-type]
        else:
            values = np.asarray(column.values, float)
            whole = term is not None and bool(np.all(values == np.rint(values)))  # C(x) is then labelled 2, not 2.0
            columns[name] = values.astype(np.int64) if whole else values
    return pd.DataFrame(columns, index=range(table.n))


def _learn(terms: Sequence[Any], intercept: bool, frame: Any, text: str) -> Any:
    """formulaic's specification of the dense terms."""
    from formulaic import SimpleFormula
    from formulaic.parser.types import Factor, Term

    one = [Term([Factor("1", eval_method="literal")])] if intercept else []
    return _evaluate(SimpleFormula([*one, *terms]), frame, text).model_spec


def _evaluate(what: Any, frame: Any, text: str) -> Any:
    """The model matrix of a formula or a specification of formulaic's; all that goes wrong is a FormulaError."""
    from formulaic.errors import DataMismatchWarning

    try:
        with _lock, warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", DataMismatchWarning)  # a level that the fit has not seen
            return what.get_model_matrix(frame, context=dict(FUNCTIONS), output="numpy", na_action="ignore")
    except Exception as error:  # formulaic raises many kinds; the user gets one
        raise FormulaError(f"formula: {shown(text, 200)} cannot be evaluated on this table: {brief(error)}") from None


def response_of(terms: Any, table: Table) -> Any:
    """The response of a formula: a column, an expression, or successes + failures."""
    if not terms.response:
        raise FormulaError(f"formula: {terms.text!r} has no response on its left; write 'y ~ ...' or pass y")
    if all(name in table.names for name in terms.response) and len(terms.response) <= 2:
        columns = [table.column(name) for name in terms.response]
        for column in columns:
            if column.levels:
                raise InputError(
                    f"the response {column.name!r} holds text or categories "
                    f"({', '.join(map(str, column.levels[:6]))}); convert it to numbers, "
                    f"as in ({column.name} == {str(column.levels[-1])!r}) ~ ..."
                )
        values = [np.where(column.missing, np.nan, column.values) for column in columns]
        return values[0] if len(values) == 1 else np.column_stack(values)
    return evaluate(terms.text.split("~")[0], table)


__all__ = ["FormulaTerms", "Outline", "parse", "response_of", "split_offsets"]
