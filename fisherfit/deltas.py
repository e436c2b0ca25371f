"""Functions of the parameters: the delta method, and Fieller's interval of a ratio.

With g the gradient of the function at the estimates and C their covariance, the standard error is sqrt(g'C g)
(Rao, 1973, section 6a.2). The gradient is by central differences with Richardson's extrapolation, over steps that are
fractions of the standard errors: where two orders of it disagree, the function is not smooth there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import labelled
from .choices import check_level, one_of
from .covtypes import covariance_shown
from .errors import FisherfitError, FormulaError, InputError, InputTypeError
from .expressions import FUNCTIONS, Expression, brief, read_expression
from .result import quantile
from .table import shown

if TYPE_CHECKING:
    import pandas as pd

STEP = 0.05  # standard errors of the widest difference; it is halved three times
SMOOTH = 1e-6  # error of the gradient, in standard errors of the parameters over that of the function


class Estimated(Protocol):
    """What is needed of a fit: a `Result`, or that of a mixture."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def coefficients(self) -> np.ndarray: ...
    @property
    def covariance(self) -> np.ndarray | None: ...
    @property
    def cov_type(self) -> str: ...


@dataclass(frozen=True)
class Estimate:
    """A function of the parameters with its interval.

    Attributes
    ----------
    name : str
        The expression, or the name of the function.
    estimate, standard_error : float
        Its value, and the standard error by the delta method.
    lower, upper : float
        The interval at `level`; for Fieller's they may be infinite.
    level : float
        Confidence level.
    method : str
        "delta" or "fieller".
    gradient : dict of str to float
        Derivatives by the parameters.
    note : str
        What is unusual; empty in the usual case.
    cov_type : str
        The kind of covariance; "given" for a matrix that does not say.
    """

    name: str
    estimate: float
    standard_error: float
    lower: float
    upper: float
    level: float
    method: str
    gradient: dict[str, float]
    note: str = ""
    cov_type: str = ""

    def to_frame(self) -> pd.DataFrame:
        """One row: ``estimate``, ``std err``, ``lower``, ``upper``; ``attrs["cov_type"]`` says what they rest on."""
        values = {"estimate": [self.estimate], "std err": [self.standard_error], "lower": [self.lower],
                  "upper": [self.upper]}  # fmt: skip
        out = labelled.frame(values, [self.name])
        out.attrs["cov_type"] = self.cov_type
        return out

    def __repr__(self) -> str:
        by = covariance_shown(self.cov_type)
        text = (f"{self.name} = {self.estimate:.6g}, std err {self.standard_error:.4g}, {100 * self.level:g}% "
                f"interval ({self.method}{by}) [{self.lower:.6g}, {self.upper:.6g}]")  # fmt: skip
        return f"{text}; {self.note}" if self.note else text


def function_of(result: Estimated, function: Any, level: float, method: str, covariance: Any = None) -> Estimate:
    """A function of the parameters of a fit, see :meth:`GLM.delta`."""
    check_level(level)
    one_of("method", method, ("delta", "fieller"))
    names, at = list(result.names), result.coefficients
    matrix = _covariance(result, covariance)
    kind = result.cov_type if covariance is None else getattr(covariance, "attrs", {}).get("cov_type", "given")
    use_t = getattr(result, "use_t", False)
    q = float(quantile(0.5 + 0.5 * level, getattr(result, "df_resid", None) if use_t else None))
    if isinstance(function, str):
        written, function = function, _quoted(function, names)
        expression = _read(function, names)
        used = [names.index(name) for name in expression.names]
        name, value_at = written.strip(), _evaluator(function, expression, names)
    elif callable(function):
        if method == "fieller":
            raise InputError("method='fieller' takes a ratio written as a string, such as '-Intercept / x'")
        used, name = list(range(len(names))), getattr(function, "__name__", "function")
        value_at = _caller(function, names)
    else:
        raise InputTypeError(f"function: expected a string or a function, got {type(function).__name__}")
    value = value_at(at)
    se = np.sqrt(np.where(np.isnan(matrix.diagonal()), 0.0, np.maximum(matrix.diagonal(), 0.0)))
    gradient = np.zeros(at.size)
    gradient[used] = [_derivative(value_at, at, j, float(se[j]), names[j], name) for j in used]
    touched = gradient != 0.0
    for j in np.flatnonzero(touched & ~np.isfinite(matrix.diagonal())):
        state = "infinite (separation)" if np.isinf(matrix[j, j]) else "not estimable, or at its bound"
        raise InputError(
            f"function: it depends on {names[j]!r}, which is {state}: there is no standard error to work with"
        )
    inner = np.ix_(touched, touched)
    error = float(np.sqrt(max(gradient[touched] @ matrix[inner] @ gradient[touched], 0.0)))
    slopes = {names[j]: float(gradient[j]) for j in used}
    if method == "delta":
        return Estimate(name, value, error, value - q * error, value + q * error, float(level), method, slopes,
                        cov_type=kind)  # fmt: skip
    lower, upper, note = _fieller(function, expression, names, at, matrix, q)
    return Estimate(name, value, error, lower, upper, float(level), method, slopes, note, kind)


def _covariance(result: Estimated, covariance: Any) -> np.ndarray:
    if covariance is None:
        covariance = result.covariance
        if covariance is None:
            raise InputError("the covariance of the estimates was not formed, as there are too many coefficients; give "
                             "covariance=")  # fmt: skip
    elif hasattr(covariance, "reindex"):
        names = list(result.names)
        missing = [n for n in names if n not in covariance.index or n not in covariance.columns]
        if missing:
            raise InputError(f"covariance: it has no row or column for {missing[0]!r}")
        covariance = covariance.loc[names, names]
    size = len(result.names)
    try:
        matrix = np.asarray(covariance, float)
    except (TypeError, ValueError):
        raise InputTypeError("covariance: expected a matrix of numbers, such as model.covariance(X, y, cov_type='HC3'),"
                             f" got {type(covariance).__name__}") from None  # fmt: skip
    if matrix.shape != (size, size):
        raise InputError(f"covariance: expected a matrix of {size} rows and columns, got the shape {matrix.shape}")
    if np.any(matrix.diagonal() < 0.0):
        worst = int(np.argmin(matrix.diagonal()))
        raise InputError(f"covariance: the variance of {result.names[worst]!r} is negative ({matrix[worst, worst]:g})")
    return matrix


def _quoted(function: str, names: Sequence[str]) -> str:
    """The expression with names such as ``mean[0,waiting]`` in backticks, which are no Python."""
    known = sorted((name for name in names if "[" in name and "`" not in name), key=len, reverse=True)
    if not known:
        return function
    pattern = re.compile(r"(?<![\w.\]])(?:" + "|".join(map(re.escape, known)) + r")(?![\w\[])")
    parts = function.split("`")
    return "`".join(pattern.sub(r"`\g<0>`", part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _read(function: str, names: Sequence[str]) -> Expression:
    """The expression, its names those of parameters."""
    try:
        expression = read_expression(function, SimpleNamespace(names=tuple(names)), function)  # type: ignore[arg-type]
    except FormulaError as error:
        text = str(error).replace("formula:", "function:", 1)
        if "has no column" in text:
            what = text.split("has no column ")[1].split("its columns are")[0].strip()
            raise InputError(f"function: the model has no parameter {what} its parameters are {', '.join(names[:20])} "
                             "(names that are not Python names stand in backticks)") from None  # fmt: skip
        if "a function that a formula knows" in text:
            what = text.split("; it knows")[0].replace("that a formula knows", "that can be used here")
            raise InputError(f"{what}; it knows {', '.join(sorted(FUNCTIONS))} and np's, such as np.sin") from None
        text = text.replace("allowed in a formula", "allowed here").replace("; compute it as a column first", "")
        raise InputError(text) from None
    for node in ast.walk(expression.code):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in {*FUNCTIONS, "I"}:
            raise InputError(f"function: {node.func.id!r} is not a function of numbers; it knows "
                             f"{', '.join(sorted(FUNCTIONS))} and np's, such as np.sin")  # fmt: skip
    if not expression.names:
        raise InputError(f"function: {shown(function, 200)} names no parameter; they are {', '.join(names[:20])}")
    return expression


def _evaluator(source: str, expression: Expression, names: list[str]) -> Callable[[np.ndarray], float]:
    """Its value at given parameters."""
    code = compile(expression.code, "<function>", "eval")
    scope: dict[str, Any] = {"__builtins__": {}, "np": np, "I": lambda v: v, **FUNCTIONS}
    places = {alias: names.index(name) for alias, name in expression.columns.items()}

    def value(at: np.ndarray) -> float:
        try:
            with np.errstate(all="ignore"):
                return _number(eval(code, {**scope, **{alias: at[j] for alias, j in places.items()}}), source)
        except FisherfitError:
            raise
        except Exception as error:  # whatever an expression of the user's raises; the user gets one
            raise InputError(f"function: {shown(source, 200)} cannot be evaluated: {brief(error)}") from None

    return value


def _caller(function: Callable[[Any], Any], names: list[str]) -> Callable[[np.ndarray], float]:
    """The user's function at given parameters, which it takes as a Series."""

    def value(at: np.ndarray) -> float:
        try:
            found = function(labelled.series(at, names, "coef"))
        except ArithmeticError as error:
            raise InputError(f"function: it cannot be evaluated at, or next to, the estimates: {error}") from error
        except KeyError as error:
            raise InputError(f"function: the model has no parameter {error}; its parameters are "
                             f"{', '.join(names[:20])}") from error  # fmt: skip
        return _number(found, getattr(function, "__name__", "function"))

    return value


def _number(value: Any, source: str) -> float:
    try:
        out = float(np.asarray(value, float).reshape(()))
    except (TypeError, ValueError):
        raise InputError(
            f"function: {shown(source, 200)} is to give one number, got {shown(repr(value), 60)}"
        ) from None
    if np.isnan(out):
        raise InputError(f"function: {shown(source, 200)} is not a number at, or next to, the estimates")
    return out


def _derivative(
    value_at: Callable[[np.ndarray], float], at: np.ndarray, j: int, se: float, name: str, source: str
) -> float:
    """d value / d parameter j, by Richardson's extrapolation of central differences."""
    if not np.isfinite(at[j]):
        return np.nan
    size = se if np.isfinite(se) and se > 0.0 else max(1.0, abs(float(at[j])))
    for width in (STEP, STEP / 64, STEP / 4096):  # there may be a pole near by
        slope, error, kink = _differences(value_at, at, j, width * size)
        rounding = 1e-11 * abs(value_at(at)) / (width * size)
        if error <= max(SMOOTH * abs(slope), rounding) and not kink > rounding:
            return slope
    if not np.isfinite(slope):
        raise InputError(f"function: {shown(source, 200)} has no finite derivative by {name!r} at the estimates")
    raise InputError(f"function: {shown(source, 200)} is not smooth in {name!r} at the estimates, so that the delta "
                     "method does not apply")  # fmt: skip


def _differences(
    value_at: Callable[[np.ndarray], float], at: np.ndarray, j: int, h: float
) -> tuple[float, float, float]:
    """The derivative, its error, and how far the slopes to the left and right differ if that does not shrink with h."""
    middle, best, error = value_at(at), np.nan, np.inf
    table: list[list[float]] = []
    bends = []
    for k in range(5):
        up, down = at.copy(), at.copy()
        up[j] += h * 0.5**k
        down[j] -= h * 0.5**k
        above, below = value_at(up), value_at(down)
        bends.append(abs((above - middle) / (up[j] - at[j]) - (middle - below) / (at[j] - down[j])))
        row = [(above - below) / (up[j] - down[j])]
        for m in range(k):
            row.append(row[m] + (row[m] - table[k - 1][m]) / (4.0 ** (m + 1) - 1.0))
        if k:
            wrong = max(abs(row[-1] - row[-2]), abs(row[-1] - table[k - 1][-1]))
            if wrong < error:
                best, error = row[-1], wrong
        table.append(row)
    kink = bends[-1] if bends[-1] > 0.5 * bends[1] and bends[-1] > 1e-6 * abs(best) else 0.0
    return float(best), error, kink


def _fieller(
    source: str, expression: Expression, names: list[str], at: np.ndarray, matrix: np.ndarray, q: float
) -> tuple[float, float, str]:
    """The values R for which numerator - R denominator is not rejected to be 0 (Fieller, 1954)."""
    node = expression.code.body
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        sign, node = (-sign if isinstance(node.op, ast.USub) else sign), node.operand
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        raise InputError(f"function: {shown(source, 200)} is not a ratio; method='fieller' takes one, such as "
                         "'-Intercept / x'")  # fmt: skip
    places = {alias: names.index(name) for alias, name in expression.columns.items()}
    a, above = _linear(node.left, places, at.size, source)
    b, below = _linear(node.right, places, at.size, source)
    a, above = sign * a, sign * above
    used = (above != 0.0) | (below != 0.0)
    c = matrix[np.ix_(used, used)]
    n, d = a + float(above @ np.where(used, at, 0.0)), b + float(below @ np.where(used, at, 0.0))
    vnn, vnd, vdd = (float(x[used] @ c @ y[used]) for x, y in ((above, above), (above, below), (below, below)))
    # (d^2 - q^2 vdd) R^2 - 2 (n d - q^2 vnd) R + n^2 - q^2 vnn <= 0
    quadratic, half, constant = d * d - q * q * vdd, n * d - q * q * vnd, n * n - q * q * vnn
    root = half * half - quadratic * constant
    if quadratic > 0.0:
        far = half + np.copysign(np.sqrt(max(root, 0.0)), half)
        ends = sorted([far / quadratic, constant / far if far else 0.0])
        return ends[0], ends[1], ""
    if root <= 0.0:
        return -np.inf, np.inf, "the denominator may be 0 at this level: no value is excluded"
    ends = (
        sorted([(half - np.sqrt(root)) / quadratic, (half + np.sqrt(root)) / quadratic]) if quadratic else [np.nan] * 2
    )
    note = (f"the denominator may be 0 at this level: only the values between {ends[0]:.6g} and {ends[1]:.6g} are "
            "excluded")  # fmt: skip
    return -np.inf, np.inf, note


def _linear(node: ast.expr, places: dict[str, int], size: int, source: str) -> tuple[float, np.ndarray]:
    """(constant, coefficients) of a linear function of the parameters."""
    nothing = np.zeros(size)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value), nothing
    if isinstance(node, ast.Name) and node.id in places:
        nothing[places[node.id]] = 1.0
        return 0.0, nothing
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        a, v = _linear(node.operand, places, size, source)
        return (-a, -v) if isinstance(node.op, ast.USub) else (a, v)
    if isinstance(node, ast.BinOp):
        (a, v), (b, w) = _linear(node.left, places, size, source), _linear(node.right, places, size, source)
        if isinstance(node.op, ast.Add):
            return a + b, v + w
        if isinstance(node.op, ast.Sub):
            return a - b, v - w
        if isinstance(node.op, ast.Mult) and not (v.any() and w.any()):
            return a * b, a * w + b * v
        if isinstance(node.op, ast.Div) and not w.any() and b != 0.0:
            return a / b, v / b
    if isinstance(node, ast.Call) and not any(isinstance(n, ast.Name) and n.id in places for n in ast.walk(node)):
        scope = {"__builtins__": {}, "np": np, **FUNCTIONS}
        return float(eval(compile(ast.Expression(node), "<function>", "eval"), scope)), nothing
    raise InputError(
        f"function: {shown(ast.unparse(node), 100)} in {shown(source, 200)} is not linear in the parameters; "
        "method='fieller' takes a ratio of two linear functions, as '-Intercept / x'"
    )


__all__ = ["Estimate", "function_of"]
