"""The terms of a fitted model: which coefficients belong to each, and which columns of the table it is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .formula import FormulaTerms

_CATEGORY = re.compile(r"^C\(\s*([^\W\d]\w*|`[^`]+`)\s*\)$")


@dataclass(frozen=True)
class ModelTerm:
    """A term: its name, its factors (a column inside a plain C() by its name), its coefficients by position.

    `categorical` has the factors that are categories; the intercept is the term without factors.
    """

    name: str
    factors: frozenset[str]
    categorical: frozenset[str]
    positions: tuple[int, ...]
    levels: tuple[Any, ...] | None = None

    @property
    def df(self) -> int:
        """Number of coefficients."""
        return len(self.positions)


def factor_key(expression: str) -> str:
    """The name of a factor: ``C(x)`` and ``x`` are the same one."""
    found = _CATEGORY.match(expression)
    return (found.group(1) if found else expression).strip("`")


def terms_of(terms: Any) -> tuple[ModelTerm, ...]:
    """The terms of a design in the order of their coefficients, the intercept first.

    Parameters
    ----------
    terms : Columns or FormulaTerms
        What a fit has learnt of its table.
    """
    place = {name: j for j, name in enumerate(terms.names)}
    out = [ModelTerm("Intercept", frozenset(), frozenset(), (0,))] if terms.intercept else []
    if not isinstance(terms, FormulaTerms):
        for term in terms.terms:
            key = frozenset([term.name])
            positions = tuple(place[name] for name in term.columns)
            out.append(
                ModelTerm(term.label or term.name, key, key if term.levels else frozenset(), positions, term.levels)
            )
        return tuple(out)
    levels = {term.name: term.levels for term in (*terms.levels, *terms.categorical)}
    for categorical in terms.categorical:
        positions = tuple(place[name] for name in categorical.columns)
        key = frozenset([categorical.name])
        out.append(ModelTerm(categorical.label or categorical.name, key, key, positions, categorical.levels))
    for piece in () if terms.dense is None else terms.dense.structure:
        if not piece.term.factors or str(piece.term) == "1":
            continue
        factors = frozenset(factor_key(factor.expr) for factor in piece.term.factors)
        coded = frozenset(f for f in factors if f in levels or f.startswith("C("))
        alone = levels.get(next(iter(factors))) if len(factors) == 1 else None
        positions = tuple(place[name] for name in piece.columns)
        out.append(ModelTerm(str(piece.term), factors, coded, positions, alone))
    return tuple(sorted(out, key=lambda term: term.positions))


def absorbs(larger: ModelTerm, smaller: ModelTerm) -> bool:
    """True where a formula with `larger` and without `smaller` still spans the columns of `smaller`.

    Categories are then coded in full: ``a:b`` without ``b`` spans the same columns as with it.
    """
    return larger.factors > smaller.factors and larger.factors - smaller.factors <= larger.categorical


__all__ = ["ModelTerm", "absorbs", "factor_key", "terms_of"]
