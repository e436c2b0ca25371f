"""Everything that is read before work begins: columns, response, weights, offset, and their agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Design
from .errors import InputError
from .families import Family
from .links import Link
from .response import check_support, kernel_weights, missing_in, read_offset, read_response, read_weights
from .table import named_values, read_table, read_vector
from .terms import choose_columns, missing_rows


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


@np.errstate(all="ignore")
def prepare(
    model: Any, family: Family, link: Link, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any
) -> Prepared:
    """Read and check all that `fit` was given."""
    table = read_table(X)
    if table.n == 0:
        raise InputError(
            f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
        )
    named = (offset if isinstance(offset, str) else None, exposure if isinstance(exposure, str) else None)
    chosen: Any
    if model.formula is not None:
        from . import formula as formulas

        chosen = formulas.parse(model.formula, table)
        if not (chosen.right or chosen.intercept):
            raise InputError(f"the formula {model.formula!r} has no term and no intercept; there is nothing to fit")
        own = formulas.response_of(chosen, table) if chosen.response or y is None else None
        y = one_response(own, y, model.formula)
        response_name = model.formula.split("~")[0].strip() or "y"
    else:
        if not table.names and not table.is_frame:
            raise InputError(f"Found array with 0 feature(s) (shape=({table.n}, 0)) while a minimum of 1 is required.")
        chosen = choose_columns(
            table, bool(model.fit_intercept), [v for v in (*named, sample_weight) if isinstance(v, str)]
        )
        if not chosen.needed and not model.fit_intercept:
            raise InputError("the model has no column and no intercept; pass columns or fit_intercept=True")
        response_name = str(getattr(y, "name", None) or "y")
    drop = model.missing
    response = read_response(y, family, table.n, table.index, drop)
    weight = read_weights(named_values(sample_weight, table, "sample_weight"), table.n, table.index, drop)
    shift = read_offset(named_values(offset, table, "offset"), named_values(exposure, table, "exposure"),
                        table.n, table.index, link.name, drop)  # fmt: skip
    absent = missing_rows(table, chosen.needed, drop)
    if model.formula is not None and chosen.offsets:
        shift = chosen.offset(table) if shift is None else shift + chosen.offset(table)
    lost = (response.missing, missing_in(weight, shift)) if drop == "drop" else ()
    for other in lost:
        if other is not None:
            absent = other if absent is None else absent | other
    trials = response.trials
    values = response.y
    counted = weight > 0 if trials is None else (weight > 0) & (trials > 0)
    whole = check_support(response, family, counted if absent is None else counted & ~absent)
    rows = None
    if absent is not None and absent.any():
        rows = ~absent
        if not rows.any():
            raise InputError("every row has a missing value in some column that is used; nothing is left to fit")
        table = table.take(rows)
        values, weight = values[rows], weight[rows]
        trials = None if trials is None else trials[rows]
        shift = None if shift is None else shift[rows]
    total = kernel_weights(weight, trials, model.weight_type)
    if not (total > 0).any():
        raise InputError("every row has weight 0 or 0 trials, so that there are no data")
    if family.takes_trials and trials is None and whole:
        counts = values * (weight if model.weight_type == "analytic" else 1.0)
        whole = bool(np.all((np.abs(counts - np.rint(counts)) <= 1e-6 * (1 + counts)) | (total <= 0)))
    present = total > 0
    some = None if present.all() else present
    terms = chosen.learn(table, some)
    design = terms.design(table, some, checked=True)
    return Prepared(
        terms, design, np.ascontiguousarray(values), trials, weight, total, shift, whole, rows,
        0 if rows is None else int((~rows).sum()), len(table.names) if model.formula is not None else len(terms.terms),
        table.names if model.formula is not None else tuple(t.name for t in terms.terms) if table.is_frame else None,
        named, response_name,
    )  # fmt: skip


def one_response(own: Any, given: Any, text: str) -> Any:
    """The response of the formula, or the one given; an error where they disagree."""
    if own is None or given is None:
        return given if own is None else own
    parts = [read_vector(part, "y", None) for part in np.atleast_2d(np.asarray(given).T)]
    if not np.array_equal(np.atleast_2d(own.T), parts, equal_nan=True):
        raise InputError(f"y was given, and differs from the response of the formula {text!r}; leave y out, "
                         f"or write '~{text.split('~')[1]}' to fit the y given")  # fmt: skip
    return own


__all__ = ["Prepared", "prepare"]
