"""Expressions of a formula: columns, numbers, strings, arithmetic and known functions, and nothing else of Python."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import FisherfitError, FormulaError
from .table import Table, shown

QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`([^`\"']*)`")

#: functions that a formula may call, beside formulaic's own transforms
FUNCTIONS = {
    name: getattr(np, name)
    for name in ("log", "exp", "sqrt", "log1p", "expm1", "log2", "log10", "abs", "minimum", "maximum", "where")
}
TRANSFORMS = {"C", "I", "Q", "bs", "cr", "cs", "cc", "poly", "center", "scale", "standardize", "lag", "hashed",
              "Treatment", "Sum", "Helmert", "Poly", "Diff", *FUNCTIONS}  # fmt: skip
ATTRIBUTES = {
    "np": {name for name, value in vars(np).items() if isinstance(value, np.ufunc)}
    | {"where", "clip", "round", "pi", "e"},
    "contr": {"treatment", "SAS", "sum", "helmert", "diff", "poly", "custom"},
}
NODES = (ast.Expression, ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call,
         ast.keyword, ast.List, ast.Tuple, ast.Dict, ast.Attribute, ast.Load, ast.operator, ast.unaryop, ast.boolop,
         ast.cmpop)  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """An expression of a formula: its code, the columns it uses by their names in the code, and those inside C()."""

    code: ast.Expression
    columns: dict[str, str]
    coded: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it uses."""
        return tuple(dict.fromkeys(self.columns.values()))


def read_expression(source: str, table: Table, text: str) -> Expression:
    """Read an expression: columns, numbers, strings, arithmetic and known functions; all else is an error."""
    aliases: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        if match.group(1) is None:
            if "`" in match.group():
                raise FormulaError(
                    f"formula: the string {match.group()} in {shown(text, 200)} holds a backtick; rename the level"
                )
            return match.group()
        name = f"column_{len(aliases)}_"
        while name in table.names:
            name += "_"
        aliases[name] = match.group(1).strip()
        return f" {name} "

    try:
        if "\\" in source:
            raise SyntaxError
        code = ast.parse(QUOTED.sub(alias, source).strip(), mode="eval")
        nodes = list(ast.walk(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, FisherfitError):
            raise
        raise FormulaError(
            f"formula: {shown(source, 200)} in {shown(text, 200)} cannot be read as an expression"
        ) from None
    columns: dict[str, str] = {}
    coded: list[str] = []
    functions = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        _check_node(node, source, text, id(node) in functions)
        if (
            isinstance(node, ast.Name)
            and id(node) not in owners
            and not (id(node) in functions or node.id in TRANSFORMS - set(table.names))
        ):
            columns[node.id] = known(aliases.get(node.id, node.id), table)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0]
            if node.func.id == "C" and isinstance(first, ast.Name):
                coded.append(aliases.get(first.id, first.id))
            if node.func.id == "Q":
                if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                    raise FormulaError(f"formula: Q(...) in {shown(text, 200)} takes the name of a column in quotes")
                columns[first.value] = known(first.value, table)
    return Expression(code, columns, tuple(coded))


def _check_node(node: ast.AST, source: str, text: str, called: bool) -> None:
    """Refuse all of Python but columns, numbers, strings, arithmetic and known functions."""
    refused = f"formula: {shown(source, 200)} in {shown(text, 200)} holds Python code that is not allowed in a formula"
    if not isinstance(node, NODES) or isinstance(node, (ast.Is, ast.IsNot)):
        raise FormulaError(f"{refused}; compute it as a column first")
    if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, str, type(None))):
        raise FormulaError(f"{refused}: {node.value!r}")
    if isinstance(node, ast.keyword) and (node.arg is None or node.arg == "out" or node.arg.startswith("_")):
        raise FormulaError(f"{refused}: the argument {node.arg!r}")
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr not in ATTRIBUTES.get(owner, ()):
            raise FormulaError(f"{refused}: {node.attr!r}; compute it as a column first")
    if isinstance(node, ast.Call) and not isinstance(node.func, (ast.Name, ast.Attribute)):
        raise FormulaError(f"{refused}; compute it as a column first")
    if called and isinstance(node, ast.Name) and node.id not in TRANSFORMS:
        raise FormulaError(f"formula: {node.id!r} in {shown(text, 200)} is not a function that a formula knows; "
                           f"it knows {', '.join(sorted(TRANSFORMS))} and np's, such as np.sin")  # fmt: skip


def known(name: str, table: Table) -> str:
    """The name of a column, or an error that proposes a similar one and lists the columns."""
    if name in table.names:
        return name
    import difflib

    close = difflib.get_close_matches(name, table.names, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise FormulaError(
        f"formula: the table has no column {name!r}; {hint}its columns are {', '.join(table.names[:20])}"
    )


def evaluate(source: str, table: Table) -> np.ndarray:
    """An expression of columns, such as an offset or a response, as floats; NaN where a column is missing."""
    source = source.strip()
    expression = read_expression(source, table, source)
    scope: dict[str, Any] = {"__builtins__": {}, "np": np, "I": lambda v: v, **FUNCTIONS}
    absent = np.zeros(table.n, bool)
    for alias, name in expression.columns.items():
        column = table.column(name)
        absent |= column.missing
        if column.levels is None:
            values = np.array(column.values, float)
        else:
            values = np.array([*column.levels, None], dtype=object)[column.values]
        scope[alias] = values
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(eval(compile(expression.code, "<formula>", "eval"), scope))
            out = np.array(np.broadcast_to(value.astype(float), (table.n,)))
    except Exception as error:  # whatever an expression of the user's raises; the user gets one
        texts = [name for name in expression.names if table.column(name).levels is not None]
        hint = (
            f" ({texts[0]!r} holds text or categories; compare it with a level, as in ({texts[0]} == 'yes'))"
            if texts
            else ""
        )
        raise FormulaError(
            f"formula: {shown(source, 200)} cannot be evaluated as numbers: {brief(error)}{hint}"
        ) from None
    out[absent] = np.nan
    return out


def brief(error: Exception) -> str:
    """The first line of a message, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().split("\n")[0] or type(error).__name__
