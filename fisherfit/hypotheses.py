"""Linear hypotheses R b = r: read from a string, a matrix, a pair or a nested formula, and put in order.

A string is read by a grammar of its own, equalities of linear expressions: it is never run as a program. Names of
coefficients stand as the model writes them (``wool[T.B]``), or in backticks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import InputError, InputTypeError
from .model_terms import ModelTerm, absorbs, factor_key

DEPENDENT = 1e-10  # what is left of a row outside the span of the others below which it is a combination of them
EQUAL = 1e-9  # relative difference of right-hand sides that is rounding
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.]*(?:\([^()]*\))?(?:\[[^\]]*\])?(?::[^\W\d][\w.]*(?:\([^()]*\))?(?:\[[^\]]*\])?)*")


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """`matrix` b = `value` with independent rows; `redundant` counts the rows that said nothing new."""

    matrix: np.ndarray
    value: np.ndarray
    text: str
    redundant: int = 0

    @property
    def df(self) -> int:
        """Number of independent restrictions."""
        return int(self.value.size)


def read_hypothesis(
    hypothesis: Any, names: Sequence[str], terms: Sequence[ModelTerm] = (), text: str | None = None
) -> Hypothesis:
    """Read a linear hypothesis on coefficients.

    Parameters
    ----------
    hypothesis : str, list of str, array of shape (m, p) or (p,), or pair (R, r)
        ``"x1 = x2"``, ``"x1 = 0, x2 = 2*x3 - 1"``; the name of a term (its coefficients are all zero); a nested formula
        ``"y ~ x1"`` (the coefficients that it lacks are zero); R with r = 0; or R and r.
    names : sequence of str
        The coefficients.
    terms : sequence of ModelTerm
        The terms that they belong to.
    text : str, optional
        The formula of the model, for its response.

    Raises
    ------
    InputError
        For unknown names, expressions that are not linear, rows that contradict each other, formulas not nested.

    Examples
    --------
    >>> from fisherfit.hypotheses import read_hypothesis
    >>> found = read_hypothesis("x1 = 2*x2 - 1, x3", ["Intercept", "x1", "x2", "x3"])
    >>> found.matrix.tolist(), found.value.tolist()
    ([[0.0, 1.0, -2.0, 0.0], [0.0, 0.0, 0.0, 1.0]], [-1.0, 0.0])
    """
    if isinstance(hypothesis, Hypothesis):
        return hypothesis
    if isinstance(hypothesis, str) and "~" in hypothesis:
        return _from_formula(hypothesis, names, terms, text)
    if isinstance(hypothesis, str):
        rows = Reader(hypothesis, names, terms).rows()
        return independent([r for r, _, _ in rows], [v for _, v, _ in rows], [s for _, _, s in rows],
                           hypothesis.strip())  # fmt: skip
    if isinstance(hypothesis, (list, tuple)) and hypothesis and all(isinstance(h, str) for h in hypothesis):
        rows = [row for h in hypothesis for row in Reader(h, names, terms).rows()]
        return independent([r for r, _, _ in rows], [v for _, v, _ in rows], [s for _, _, s in rows],
                           ", ".join(h.strip() for h in hypothesis))  # fmt: skip
    return _from_arrays(hypothesis, names)


def _from_arrays(hypothesis: Any, names: Sequence[str]) -> Hypothesis:
    """R, or (R, r)."""
    value: Any = None
    if isinstance(hypothesis, tuple) and len(hypothesis) == 2 and np.ndim(hypothesis[0]) >= 1:
        first = np.asarray(hypothesis[0], dtype=object)
        if first.ndim == 2 or np.ndim(hypothesis[1]) == 0 or np.size(hypothesis[1]) != first.size:
            hypothesis, value = hypothesis
    if not isinstance(hypothesis, (list, tuple, np.ndarray)) and not hasattr(hypothesis, "__array__"):
        raise InputTypeError(
            f"a hypothesis is a string such as 'x1 = x2', a matrix R or a pair (R, r), got {hypothesis!r}"
        )
    try:
        matrix = np.atleast_2d(np.asarray(hypothesis, float))
        right = np.zeros(len(matrix)) if value is None else np.atleast_1d(np.asarray(value, float))
    except (TypeError, ValueError):
        raise InputTypeError("a hypothesis as a matrix must hold numbers; as text, write 'x1 = x2'") from None
    if matrix.ndim != 2 or matrix.shape[1] != len(names) or matrix.shape[0] == 0:
        raise InputError(
            f"the matrix of the hypothesis has shape {matrix.shape}; it needs {len(names)} columns, one for each of "
            f"{_listed(names)}"
        )
    if right.ndim == 1 and right.size == 1 and len(matrix) > 1:
        right = np.full(len(matrix), right[0])
    if right.shape != (len(matrix),):
        raise InputError(f"the hypothesis (R, r) has {len(matrix)} rows in R and r of shape {right.shape}")
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        raise InputError("the matrix of the hypothesis holds a value that is not finite")
    texts = [equation(row, v, names) for row, v in zip(matrix, right, strict=True)]
    return independent(list(matrix), right.tolist(), texts, ", ".join(texts))


def independent(rows: list[np.ndarray], values: list[float], texts: list[str], text: str) -> Hypothesis:
    """The rows that say something new; an error where rows contradict each other."""
    kept: list[int] = []
    redundant = 0
    nonzero = [np.flatnonzero(row) for row in rows]
    alone = {int(at[0]) for at in nonzero if at.size == 1}
    if len(alone) == len(rows):  # single coefficients, all different: a whole term, say
        return Hypothesis(np.stack(rows), np.array(values, float), text)
    spanned = np.zeros((0, rows[0].size))  # orthonormal rows
    for i, row in enumerate(rows):
        size = float(np.linalg.norm(row))
        if size == 0.0:
            if values[i] != 0.0:
                raise InputError(
                    f"{texts[i]!r} can never hold: no coefficient is left in it, and 0 is not {values[i]:g}"
                )
            redundant += 1
            continue
        rest = row / size
        for _ in range(2):  # twice is enough
            rest = rest - spanned.T @ (spanned @ rest)
        left = float(np.linalg.norm(rest))
        if left <= DEPENDENT:
            lengths = np.array([np.linalg.norm(rows[k]) for k in kept])
            basis = np.stack([rows[k] for k in kept], axis=1) / lengths
            weights, *_ = np.linalg.lstsq(basis, row / size, rcond=None)
            parts = weights * np.array([values[k] for k in kept]) / lengths
            gap = abs(values[i] / size - float(parts.sum()))
            if gap > EQUAL * (abs(values[i] / size) + float(np.abs(parts).sum())):
                before = ", ".join(texts[k] for k, w in zip(kept, weights, strict=True) if abs(w) > DEPENDENT)
                raise InputError(f"{texts[i]!r} contradicts {before!r}: they cannot hold together")
            redundant += 1
            continue
        spanned = np.vstack([spanned, rest / left])
        kept.append(i)
    if not kept:
        raise InputError(f"{text!r} restricts nothing: it holds whatever the coefficients are")
    return Hypothesis(np.stack([rows[k] for k in kept]), np.array([values[k] for k in kept], float), text, redundant)


def equation(row: np.ndarray, value: float, names: Sequence[str]) -> str:
    """A row as text.

    Examples
    --------
    >>> import numpy as np
    >>> from fisherfit.hypotheses import equation
    >>> equation(np.array([0.0, 1.0, -2.0]), 0.5, ["Intercept", "x1", "x2"])
    'x1 - 2*x2 = 0.5'
    """
    out = ""
    for j in np.flatnonzero(row).tolist():
        size = abs(row[j])
        factor = "" if size == 1.0 else f"{size:.6g}*"
        sign = (" - " if row[j] < 0 else " + ") if out else ("-" if row[j] < 0 else "")
        out += f"{sign}{factor}{names[j]}"
    return f"{out or '0'} = {value:.6g}"


def unknown(name: str, known: Sequence[str], shown: Sequence[str] | None = None) -> InputError:
    """The error for a name that is none, with close ones."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 3)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return InputError(f"{name!r} is not a coefficient or a term of the model; {hint}they are {_listed(shown or known)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


@dataclass(frozen=True)
class Linear:
    """A linear expression: a row of coefficients and a constant."""

    row: np.ndarray
    constant: float = 0.0

    @property
    def is_constant(self) -> bool:
        """True where no coefficient stands in it."""
        return not self.row.any()


class Reader:
    """Reads equalities of linear expressions, separated by commas, by recursive descent."""

    def __init__(self, text: str, names: Sequence[str], terms: Sequence[ModelTerm]) -> None:
        self.text, self.names = text, list(names)
        self.shown = [*self.names, *(term.name for term in terms if term.name not in self.names)]
        self.targets: dict[str, int | ModelTerm] = {}
        for term in terms:
            self.targets[term.name] = term
            if len(term.factors) == 1 and term.categorical:  # C(x) and x are the same term
                (factor,) = term.factors
                for other in (factor, f"C({factor})"):
                    self.targets.setdefault(other, term)
        for j, name in enumerate(self.names):
            self.targets[name] = j
        self.sorted = sorted(filter(str.strip, self.targets), key=len, reverse=True)
        self.spaced = {
            name: re.compile(r"\s*".join(map(re.escape, name.split()))) for name in self.sorted if " " in name
        }
        self.tokens = self._split()
        self.at = 0

    def _split(self) -> list[tuple[str, Any, int, int]]:
        """Tokens (kind, value, start, stop)."""
        out: list[tuple[str, Any, int, int]] = []
        text, i = self.text, 0
        while i < len(text):
            if text[i].isspace():
                i += 1
                continue
            if text[i] == "`":
                end = text.find("`", i + 1)
                if end < 0:
                    raise InputError(f"the hypothesis {text!r} opens a backtick at position {i} and does not close it")
                name = text[i + 1 : end]
                if name not in self.targets:
                    raise unknown(name, self.names)
                out.append(("name", self.targets[name], i, end + 1))
                i = end + 1
                continue
            stop, name = self._longest(i)
            if stop:
                out.append(("name", self.targets[name], i, stop))
                i = stop
                continue
            number = _NUMBER.match(text, i)
            if number:
                out.append(("number", float(number.group()), i, number.end()))
                i = number.end()
                continue
            word = _WORD.match(text, i)
            if word:
                raise unknown(word.group(), list(self.targets), self.shown)
            if text.startswith("**", i) or text[i] == "^":
                raise self._not_linear("a power")
            if text[i] in "<>!" or text.startswith("!=", i):
                raise InputError(f"the hypothesis {text!r} holds {text[i]!r}: write equalities, such as 'x1 = x2' "
                                 "(for inequalities of a fit, see bounds=)")  # fmt: skip
            if text[i] not in "+-*/()=,":
                raise InputError(f"the hypothesis {text!r} cannot be read at position {i}: {text[i]!r}")
            stop = i + 2 if text.startswith("==", i) else i + 1
            out.append((text[i], None, i, stop))
            i = stop
        out.append(("end", None, len(text), len(text)))
        return out

    def _longest(self, i: int) -> tuple[int, str]:
        """The end of the longest name that stands at a position, and the name; 0 without one."""
        for name in self.sorted:
            if name in self.spaced:  # blanks in a name may be left out
                found = self.spaced[name].match(self.text, i)
                stop = found.end() if found is not None else -1
            else:
                stop = i + len(name) if self.text.startswith(name, i) else -1
            if stop < 0:
                continue
            after = self.text[stop : stop + 1]
            ends_in_word = name[-1].isalnum() or name[-1] == "_"
            whole = not (after.isalnum() or after == "_") if ends_in_word else True
            if whole and after not in (":", "[") and not (after == "(" and ends_in_word):
                return stop, name
        return 0, ""

    def rows(self) -> list[tuple[np.ndarray, float, str]]:
        """Row, right-hand side and text of every equality."""
        out = []
        if self._kind() == "end":
            raise InputError("the hypothesis is empty; write equalities, such as 'x1 = x2'")
        while True:
            out += self._clause()
            if self._kind() == "end":
                return out
            self._take(",")

    def _clause(self) -> list[tuple[np.ndarray, float, str]]:
        start = self.tokens[self.at][2]
        kind, value = self.tokens[self.at][:2]
        if kind == "name" and isinstance(value, ModelTerm):
            self.at += 1
            if self._kind() == "=":
                self.at += 1
                if self.tokens[self.at][:2] != ("number", 0.0):
                    listed = _listed([self.names[j] for j in value.positions])
                    raise InputError(f"the term {value.name!r} is several coefficients; write it alone or '= 0', or "
                                     f"name its coefficients: {listed}")  # fmt: skip
                self.at += 1
            if self._kind() not in (",", "end"):
                raise InputError(f"the term {value.name!r} is several coefficients and cannot stand in an expression; "
                                 f"they are {_listed([self.names[j] for j in value.positions])}")  # fmt: skip
            return [(self._unit(j).row, 0.0, f"{self.names[j]} = 0") for j in value.positions]
        sides = [self._sum()]
        while self._kind() == "=":
            self.at += 1
            sides.append(self._sum())
        if self._kind() not in (",", "end"):
            raise self._unreadable()
        shown = self.text[start : self.tokens[self.at][2]].strip()
        if len(sides) == 1:
            sides.append(Linear(np.zeros(len(self.names))))
            shown += " = 0"
        return [(a.row - b.row, b.constant - a.constant, shown) for a, b in pairwise(sides)]

    def _sum(self) -> Linear:
        out = self._product()
        while self._kind() in "+-":
            sign = 1.0 if self._kind() == "+" else -1.0
            self.at += 1
            other = self._product()
            out = Linear(out.row + sign * other.row, out.constant + sign * other.constant)
        return out

    def _product(self) -> Linear:
        out = self._signed()
        while self._kind() in "*/":
            operator = self._kind()
            self.at += 1
            if self._kind() == "*":
                raise self._not_linear("a power")
            other = self._signed()
            if operator == "/":
                if not other.is_constant:
                    raise self._not_linear("a division by a coefficient")
                if other.constant == 0.0:
                    raise InputError(f"the hypothesis {self.text!r} divides by 0")
                out = Linear(out.row / other.constant, out.constant / other.constant)
            elif out.is_constant:
                out = Linear(out.constant * other.row, out.constant * other.constant)
            elif other.is_constant:
                out = Linear(other.constant * out.row, other.constant * out.constant)
            else:
                raise self._not_linear("a product of coefficients")
        return out

    def _signed(self) -> Linear:
        sign = 1.0
        while self._kind() in "+-":
            sign = -sign if self._kind() == "-" else sign
            self.at += 1
        out = self._atom()
        return Linear(sign * out.row, sign * out.constant)

    def _atom(self) -> Linear:
        kind, value = self.tokens[self.at][:2]
        if kind == "number":
            self.at += 1
            return Linear(np.zeros(len(self.names)), value)
        if kind == "name":
            if isinstance(value, ModelTerm):
                raise InputError(f"the term {value.name!r} is several coefficients and cannot stand in an expression; "
                                 f"they are {_listed([self.names[j] for j in value.positions])}")  # fmt: skip
            self.at += 1
            return self._unit(value)
        if kind == "(":
            self.at += 1
            out = self._sum()
            self._take(")")
            return out
        raise self._unreadable()

    def _unit(self, j: int) -> Linear:
        row = np.zeros(len(self.names))
        row[j] = 1.0
        return Linear(row)

    def _kind(self) -> str:
        return self.tokens[self.at][0]

    def _take(self, kind: str) -> None:
        if self._kind() != kind:
            raise self._unreadable()
        self.at += 1

    def _unreadable(self) -> InputError:
        at = self.tokens[self.at][2]
        where = "at its end" if self._kind() == "end" else f"at position {at}: {self.text[at : at + 20]!r}"
        return InputError(
            f"the hypothesis {self.text!r} cannot be read {where}; write equalities such as 'x1 = x2 + 1'"
        )

    def _not_linear(self, what: str) -> InputError:
        return InputError(f"the hypothesis {self.text!r} is not linear: it holds {what}")


def _from_formula(formula: str, names: Sequence[str], terms: Sequence[ModelTerm], text: str | None) -> Hypothesis:
    """The coefficients that a nested formula lacks are zero."""
    from .formula import split_offsets

    left, _, right = formula.partition("~")
    own_left, _, own_right = (text or "~").partition("~")
    if left.strip() and text is not None and own_left.strip() and _bare(left) != _bare(own_left):
        raise InputError(f"the formula {formula!r} is not nested: its response is not {own_left.strip()!r}")
    parsed, intercept, offsets = split_offsets(right.strip(), formula)
    own_offsets = split_offsets(own_right.strip(), text)[2] if text is not None else ()
    if sorted(map(_bare, offsets)) != sorted(map(_bare, own_offsets)):
        raise InputError(f"the formula {formula!r} is not nested: its offset is not that of the model"
                         f"{''.join(f', offset({o})' for o in own_offsets)}")  # fmt: skip
    wanted = {frozenset(factor_key(f.expr) for f in term.factors): str(term) for term in parsed}
    if intercept:
        wanted[frozenset()] = "1"
    for key, name in wanted.items():
        if key not in {term.factors for term in terms}:
            here = _listed([term.name for term in terms])
            raise InputError(f"the formula {formula!r} is not nested in the model: the model has no term {name!r}; "
                             f"its terms are {here}")  # fmt: skip
    dropped = [term for term in terms if term.factors not in wanted]
    kept = [term for term in terms if term.factors in wanted]
    for term in dropped:
        for larger in kept:
            if absorbs(larger, term):
                raise InputError(
                    f"the formula {formula!r} keeps {larger.name!r}, which without {term.name!r} is coded in full and "
                    f"spans the same columns; drop {larger.name!r} too, or name the coefficients"
                )
    if not dropped:
        raise InputError(f"the formula {formula!r} is the model itself: there is nothing to test")
    positions = [j for term in dropped for j in term.positions]
    return Hypothesis(np.eye(len(names))[positions], np.zeros(len(positions)), formula.strip())


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


__all__ = ["Hypothesis", "equation", "independent", "read_hypothesis"]
