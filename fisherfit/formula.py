"""Model formulas, read by formulaic: ``y ~ x + C(region) + bs(age, df=4) + offset(log(years))``.

A main effect of a categorical column becomes a code block; every other term becomes dense columns. What was learnt
from the data (levels, knots, centres) is remembered for ``predict``.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Categorical, Design, make_design
from .errors import FormulaError, InputError
from .table import Table, read_column
from .terms import RESERVED, Column, Term, check_column, used_levels

_CATEGORY = re.compile(r"^C\(\s*([^\W\d]\w*|`[^`]+`)\s*\)$")


@dataclass(frozen=True, eq=False)
class FormulaTerms:
    """The design of a formula: an intercept or none, categorical main effects, and formulaic's dense columns."""

    text: str
    response: tuple[str, ...]
    intercept: bool
    categorical: tuple[Term, ...]
    dense: Any
    dense_names: tuple[str, ...]
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

    def read(self, table: Table, missing: str) -> tuple[list[np.ndarray], list[np.ndarray | None], np.ndarray | None]:
        """Check the columns that the formula uses; the rows with a missing value in any of them."""
        if not table.is_frame:
            raise InputError("a formula needs a table with named columns (pandas, polars, pyarrow), got an array")
        absent: np.ndarray | None = None
        for name in self.needed:
            bad = check_column(table.column(name), missing)
            if bad is not None:
                absent = bad if absent is None else absent | bad
        return [], [], absent

    def design(self, table: Table, present: np.ndarray | None = None) -> Design:
        """The Design of a table without missing values."""
        self.read(table, "raise")
        codes = []
        for term in self.categorical:
            column = _as_categorical(table.column(term.name), term.name)
            codes.append(Categorical(term.codes(column), len(term.columns)))
        dense = [] if self.dense is None else [_materialise(self.dense, table, self.text)]
        if dense:
            bad = ~np.isfinite(dense[0])
            if bad.any():
                row, j = (int(i) for i in np.argwhere(bad)[0])
                raise FormulaError(
                    f"the term {self.dense_names[j]!r} of the formula is {dense[0][row, j]} at row {row}; "
                    "check its values there (a logarithm of 0 or a division by 0, say)"
                )
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
        return make_design(self.names, table.n, self.intercept, dense, codes, np.array(position, int), present)

    def offset(self, table: Table) -> np.ndarray | None:
        """The sum of the formula's offset() terms."""
        total: np.ndarray | None = None
        for text in self.offsets:
            values = evaluate(text, table)
            total = values if total is None else total + values
        return total


def _as_categorical(column: Column, name: str) -> Column:
    if column.levels is not None:
        return column
    values = np.asarray(column.values, float)
    levels, codes = np.unique(values[~np.isnan(values)], return_inverse=True)
    out = np.full(values.size, -1, np.int32)
    out[~np.isnan(values)] = codes
    return Column(name, out, tuple(int(v) if v == int(v) else float(v) for v in levels))


def parse(text: str, table: Table) -> FormulaTerms:
    """Read a formula against a table.

    Raises
    ------
    FormulaError
        For a formula that cannot be read, and for columns that the table does not have.
    """
    if not isinstance(text, str):
        raise FormulaError(f"formula: expected a string such as 'y ~ x + C(z)', got {type(text).__name__}")
    if not table.is_frame:
        raise InputError("a formula needs a table with named columns (pandas, polars, pyarrow), got an array")
    if text.count("~") != 1:
        raise FormulaError(f"formula: {text!r} needs exactly one '~', as in 'y ~ x + C(z)'")
    left, right = (part.strip() for part in text.split("~"))
    response = tuple(_unquote(part) for part in left.split("+")) if left else ()
    response_columns = _names_of(left, table, text) if left else ()
    right, offsets = _split_offsets(right)
    terms, intercept = _terms(right, text)
    for term in terms:
        _names_of(str(term), table, text)
    categorical: list[Term] = []
    dense_terms: list[Any] = []
    order: list[tuple[str, Any]] = []
    interacts = any(len(term.factors) > 1 and _any_categorical(term, table) for term in terms)
    full = not intercept
    for term in terms:
        name = _main_effect(term, table)
        if name is not None and not interacts:
            column = _as_categorical(table.column(name), name)
            label = None if str(term) in (name, f"`{name}`") else str(term)
            order.append(("categorical", len(categorical)))
            categorical.append(Term(name, used_levels(column), full, label))
            full = False
        else:
            order.append(("dense", term))
            dense_terms.append(term)
    needed: dict[str, None] = {}
    for source in [*(str(t) for t in terms), *offsets]:
        needed.update(dict.fromkeys(_names_of(source, table, text)))
    dense, names = _learn(dense_terms, intercept, table, text) if dense_terms else (None, {})
    flat: list[tuple[str, int]] = []
    dense_names: list[str] = []
    for kind, what in order:
        if kind == "categorical":
            flat.append((kind, what))
        else:
            for name in names.get(str(what), ()):
                flat.append((kind, len(dense_names)))
                dense_names.append(name)
    for name in [*(c for t in categorical for c in t.columns), *dense_names]:
        if name in RESERVED:
            raise InputError(f"a column is called {name!r}, which is the name of a parameter; rename it")
    del response_columns
    return FormulaTerms(text, response, intercept, tuple(categorical), dense, tuple(dense_names), tuple(flat),
                        tuple(offsets), tuple(needed))  # fmt: skip


def _unquote(name: str) -> str:
    return name.strip().strip("`").strip()


def _split_offsets(right: str) -> tuple[str, list[str]]:
    """Take the offset(...) terms out of the right-hand side."""
    offsets, out, at = [], "", 0
    for match in re.finditer(r"(?:^|\+)\s*offset\(", right):
        if match.start() < at:
            continue
        depth, end = 1, match.end()
        while end < len(right) and depth:
            depth += {"(": 1, ")": -1}.get(right[end], 0)
            end += 1
        offsets.append(right[match.end() : end - 1])
        out += right[at : match.start()]
        at = end
    rest = (out + right[at:]).strip()
    rest = re.sub(r"^\+", "", rest).strip()
    return rest or "1", offsets


def _terms(right: str, text: str) -> tuple[list[Any], bool]:
    from formulaic import Formula

    try:
        parsed = Formula(right)
        terms = list(parsed)
    except Exception as error:  # formulaic raises many kinds; the user gets one
        raise FormulaError(f"formula: {text!r} cannot be read: {error}") from None
    intercept = any(str(term) == "1" for term in terms)
    return [term for term in terms if str(term) not in ("1", "0")], intercept


def _main_effect(term: Any, table: Table) -> str | None:
    """The name of the column where a term is C(column) or a categorical column."""
    if len(term.factors) != 1:
        return None
    text = str(next(iter(term.factors))).strip()
    match = _CATEGORY.match(text)
    if match:
        return _unquote(match.group(1))
    name = _unquote(text)
    if name in table.names and table.column(name).levels is not None:
        return name
    return None


def _any_categorical(term: Any, table: Table) -> bool:
    for factor in term.factors:
        text = str(factor).strip()
        if text.startswith("C("):
            return True
        name = _unquote(text)
        if name in table.names and table.column(name).levels is not None:
            return True
    return False


#: functions that a formula may call, beside formulaic's own transforms
FUNCTIONS = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "log1p": np.log1p, "expm1": np.expm1, "log2": np.log2,
             "log10": np.log10, "abs": np.abs, "minimum": np.minimum, "maximum": np.maximum, "where": np.where}  # fmt: skip
_TRANSFORMS = {"C", "I", "bs", "cr", "cs", "cc", "poly", "center", "scale", "standardize", "lag", "hashed", "Q",
               "contr", "np", "basis_spline", "cubic_spline", "natural_cubic_spline", "cyclic_cubic_spline", "Treatment",
               "offset", *FUNCTIONS}  # fmt: skip


def _names_of(source: str, table: Table, text: str) -> tuple[str, ...]:
    """The columns that an expression uses; unknown names are an error that lists the columns."""
    quoted = re.findall(r"`([^`]+)`", source)
    clean = re.sub(r"`[^`]+`", "0", source).replace(":", "+")
    found: dict[str, None] = {}
    try:
        tree = ast.parse(clean.strip() or "0", mode="eval")
    except SyntaxError:
        raise FormulaError(f"formula: {source!r} in {text!r} cannot be read as an expression") from None
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise FormulaError(f"formula: {node.attr!r} in {text!r} is not allowed in a formula")
        if isinstance(node, (ast.Lambda, ast.NamedExpr, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp, ast.Await)):
            raise FormulaError(f"formula: {source!r} holds Python code that is not allowed in a formula")
        if isinstance(node, ast.Name):
            if node.id in table.names:
                found[node.id] = None
            elif node.id in called and node.id not in _TRANSFORMS:
                raise FormulaError(
                    f"formula: {node.id!r} is not a function that a formula knows; it knows {', '.join(sorted(_TRANSFORMS - {'np', 'contr'}))}"
                )
            elif node.id not in _TRANSFORMS and node.id not in ("True", "False", "None"):
                quoted.append(node.id)
    for name in quoted:
        if name not in table.names:
            import difflib

            close = difflib.get_close_matches(name, table.names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise FormulaError(
                f"formula: the table has no column {name!r}{hint} Its columns are {', '.join(table.names[:20])}"
                if hint else f"formula: the table has no column {name!r}; its columns are {', '.join(table.names[:20])}"
            )  # fmt: skip
        found[name] = None
    return tuple(found)


def evaluate(source: str, table: Table) -> np.ndarray:
    """An expression of columns, such as an offset or a response, as floats."""
    name = _unquote(source)
    if name in table.names:
        return np.asarray(read_column(name, table.frame[name]).values, float)
    columns = {n: np.asarray(table.column(n).values, float) for n in _names_of(source, table, source)}
    with np.errstate(all="ignore"):
        value = eval(compile(source.strip(), "<formula>", "eval"), {"__builtins__": {}, "np": np, "I": lambda v: v, **FUNCTIONS}, columns)  # noqa: S307
    return np.asarray(np.broadcast_to(np.asarray(value, float), (table.n,)))


def _native(table: Table) -> Any:
    """The table for formulaic, as pandas, with plain numeric and string columns."""
    import pandas as pd

    frame = table.frame.to_native()
    if type(frame).__module__.split(".")[0] != "pandas":
        frame = table.frame.to_pandas()
    return pd.DataFrame(frame).reset_index(drop=True)


def _learn(terms: list[Any], intercept: bool, table: Table, text: str) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """formulaic's specification of the dense terms, and the names of each term's columns."""
    from formulaic import Formula

    right = " + ".join(["1" if intercept else "0", *(str(term) for term in terms)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            matrix = Formula(right).get_model_matrix(_native(table), context=dict(FUNCTIONS), output="numpy", na_action="ignore")
    except Exception as error:  # formulaic raises many kinds; the user gets one
        raise FormulaError(f"formula: {text!r} cannot be evaluated: {_short(error)}") from None
    spec = matrix.model_spec
    names: dict[str, tuple[str, ...]] = {}
    for structure in spec.structure:
        if str(structure.term) != "1":
            names[str(structure.term)] = tuple(structure.columns)
    return spec, names


def _short(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _materialise(spec: Any, table: Table, text: str) -> np.ndarray:
    """The dense columns of a formula for the rows of a table, without the intercept."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            matrix = spec.get_model_matrix(_native(table), context=dict(FUNCTIONS), na_action="ignore", output="numpy")
    except Exception as error:  # see _learn
        raise FormulaError(f"formula: {text!r} cannot be evaluated on this table: {_short(error)}") from None
    array = np.asarray(matrix, float)
    keep = [j for j, name in enumerate(spec.column_names) if name != "Intercept"]
    return np.ascontiguousarray(array[:, keep])


def response_of(terms: FormulaTerms, table: Table) -> Any:
    """The response of a formula: a column, an expression, or successes + failures."""
    left = terms.text.split("~")[0].strip()
    if not left:
        raise FormulaError(f"formula: {terms.text!r} has no response on its left; write 'y ~ ...' or pass y")
    parts = [part for part in terms.response if part in table.names]
    if len(terms.response) == 2 and len(parts) == 2:
        pair = [np.asarray(table.column(p).values, float) for p in parts]
        return np.column_stack(pair)
    if len(terms.response) == 1 and len(parts) == 1:
        column = table.column(parts[0])
        if column.levels is not None:
            raise InputError(
                f"the response {parts[0]!r} holds text or categories ({', '.join(map(str, column.levels[:6]))}); "
                "convert it to numbers first, e.g. 0 and 1"
            )
        return np.asarray(column.values, float)
    return evaluate(left, table)


__all__ = ["FormulaTerms", "evaluate", "parse", "response_of"]
