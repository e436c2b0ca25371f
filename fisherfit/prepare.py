"""Everything that is read before work begins: columns, response, weights, offset, and their agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import formula as formulas
from .blocks import Design
from .errors import InputError
from .families import Family
from .links import Link
from .response import Response, check_support, kernel_weights, read_offset, read_response, read_weights
from .table import Table, read_table
from .terms import Columns, remember_columns


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data of a fit, checked."""

    terms: Any
    design: Design
    y: np.ndarray
    trials: np.ndarray | None
    user_weight: np.ndarray
    weight: np.ndarray
    offset: np.ndarray | None
    whole: bool
    kept_rows: np.ndarray | None
    dropped: int
    n_features: int
    feature_names: tuple[str, ...] | None
    offset_names: tuple[str | None, str | None]
    response_name: str


def prepare(
    model: Any, family: Family, link: Link, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any
) -> Prepared:
    """Read and check all that `fit` was given."""
    table = read_table(X)
    if table.n == 0:
        raise InputError(f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required.")
    named = (offset if isinstance(offset, str) else None, exposure if isinstance(exposure, str) else None)
    skip = [name for name in (*named, sample_weight) if isinstance(name, str)]
    terms: Any
    if model.formula is not None:
        terms = formulas.parse(model.formula, table)
        if y is None:
            y = formulas.response_of(terms, table)
        response_name = model.formula.split("~")[0].strip() or "y"
    else:
        terms = remember_columns(table, bool(model.fit_intercept), skip)
        if not table.names and not table.is_frame:
            raise InputError(f"Found array with 0 feature(s) (shape=({table.n}, 0)) while a minimum of 1 is required.")
        if not terms.terms and not model.fit_intercept:
            raise InputError("the model has no column and no intercept; pass columns or fit_intercept=True")
        response_name = str(getattr(y, "name", None) or "y")
    if model.formula is not None and not terms.names:
        raise InputError(f"the formula {model.formula!r} has no term and no intercept; there is nothing to fit")
    response = read_response(y, family, table.n, table.index, model.missing)
    weight = read_weights(_named(sample_weight, table, "sample_weight"), table.n, table.index)
    if model.formula is not None and terms.offsets:
        own = terms.offset(table)
        given = _named(offset, table, "offset")
        offset = own if given is None else own + np.asarray(given, float)
    shift = read_offset(_named(offset, table, "offset"), _named(exposure, table, "exposure"), table.n, table.index, link.name)
    _, _, absent = terms.read(table, model.missing)
    if response.missing is not None:
        absent = response.missing if absent is None else absent | response.missing
    trials = response.trials
    values = response.y
    rows = None
    if absent is not None and absent.any():
        rows = ~absent
        if not rows.any():
            raise InputError("every row has a missing value in some column that is used; nothing is left to fit")
        table = table.take(rows)
        values, weight = values[rows], weight[rows]
        trials = None if trials is None else trials[rows]
        shift = None if shift is None else shift[rows]
        if isinstance(terms, Columns):
            terms = remember_columns(table, bool(model.fit_intercept), skip)
        else:
            terms = formulas.parse(model.formula, table)
    total = kernel_weights(weight, trials, model.weight_type)
    if not (total > 0).any():
        raise InputError("every row has weight 0 or 0 trials, so that there are no data")
    checked = Response(values, trials)
    whole = check_support(checked, family, total > 0)
    if family.takes_trials and trials is None and whole:
        counts = values * (weight if model.weight_type == "analytic" else 1.0)
        whole = bool(np.all((np.abs(counts - np.rint(counts)) <= 1e-6 * (1 + counts)) | (total <= 0)))
    present = total > 0
    design = terms.design(table, None if present.all() else present)
    return Prepared(
        terms, design, np.ascontiguousarray(values), trials, weight, total, shift, whole, rows,
        0 if rows is None else int((~rows).sum()), len(table.names) if model.formula is not None else len(terms.terms),
        table.names if model.formula is not None else tuple(t.name for t in terms.terms) if table.is_frame else None,
        named, response_name,
    )  # fmt: skip


def _named(value: Any, table: Table, what: str) -> Any:
    """A column of the table where a name was given."""
    if not isinstance(value, str):
        return value
    if not table.is_frame:
        raise InputError(f"{what}={value!r} names a column, but X is an array; pass the values")
    return table.column(value).values
