"""Everything that is read before work begins: columns, response, weights, offset, and their agreement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Design
from .clusters import Clusters, read_clusters
from .dispersion import DispersionLikelihood
from .errors import InputError
from .families import Family
from .kernels import Kernels
from .links import Link
from .response import check_support, kernel_weights, missing_in, own, read_offset, read_response, read_weights
from .table import Table, named_values, read_table, read_vector
from .terms import choose_columns, missing_rows

NOTHING_LEFT = "every row has a missing value in some column that is used; nothing is left to fit"
NO_WEIGHT = "every row has weight 0 or 0 trials, so that there are no data"


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
    family: Family
    clusters: Clusters | None = None

    @property
    def repeats(self) -> float:
        """The sum of the weights, where there are trials."""
        return float(self.user_weight[self.weight > 0.0].sum())

    def dispersion(self, kernels: Kernels, weight_type: str, threads: int) -> DispersionLikelihood:
        """The log-likelihood as a function of the dispersion."""
        weight = self.weight if weight_type == "probability" else self.user_weight
        divides = self.family.has_dispersion or self.family.takes_trials
        blocks = [(self.y, weight, self.trials)]
        return DispersionLikelihood(kernels, lambda: blocks, weight_type == "analytic", divides, threads)


@dataclass(frozen=True, eq=False)
class RowsRead:
    """Rows of a table, read and checked; those with missing values are left out, `kept` says which were not."""

    table: Table
    y: np.ndarray
    trials: np.ndarray | None
    weight: np.ndarray
    offset: np.ndarray | None
    kept: np.ndarray | None
    whole: bool
    fractional: int | None


def read_rows(
    chosen: Any, text: str | None, family: Family, link: Link, table: Table, missing: str,
    y: Any, sample_weight: Any, offset: Any, exposure: Any, alone: bool = True, checked: bool = False,
    absent: np.ndarray | None = None, known: bool = False,
) -> RowsRead:  # fmt: skip
    """Read response, weights and offset of the rows of a table, and check them and the columns that are used.

    Where these are some of many rows (`alone` is False), what is to be checked once for all rows is left to the
    caller; where the rows are known to be in order (`checked`), only what is missing is looked for. Rows that are
    `absent` are left out too. Of rows that are `known` from a fit what it warned of is not said again.
    """
    if text is not None:
        from . import formula as formulas

        y = one_response(formulas.response_of(chosen, table) if chosen.response or y is None else None, y, text)
    response = read_response(y, family, table.n, table.index, missing, alone, known)
    weight = read_weights(named_values(sample_weight, table, "sample_weight"), table.n, table.index, missing, alone)
    shift = read_offset(named_values(offset, table, "offset"), named_values(exposure, table, "exposure"),
                        table.n, table.index, link.name, missing)  # fmt: skip
    found = missing_rows(table, chosen.needed, missing)
    absent = found if absent is None else absent if found is None else absent | found
    if text is not None and chosen.offsets:
        shift = chosen.offset(table) if shift is None else shift + chosen.offset(table)
    lost = (response.missing, missing_in(weight, shift)) if missing == "drop" else ()
    for other in lost:
        if other is not None:
            absent = other if absent is None else absent | other
    trials, values = response.trials, response.y
    whole = True
    if not checked:
        counted = weight > 0 if trials is None else (weight > 0) & (trials > 0)
        whole = check_support(response, family, counted if absent is None else counted & ~absent, alone, known)
    kept = None
    if absent is not None and absent.any():
        kept = ~absent
        table = table.take(kept)
        values, weight = values[kept], weight[kept]
        trials = None if trials is None else trials[kept]
        shift = None if shift is None else shift[kept]
    return RowsRead(table, values, trials, weight, shift, kept, whole, response.fractional)


@np.errstate(all="ignore")
def prepare(
    model: Any, family: Family, link: Link, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any,
    groups: Any = None, skip: tuple[str, ...] = (), known: bool = False, absent: np.ndarray | None = None,
) -> Prepared:  # fmt: skip
    """Read and check all that `fit` was given; columns to `skip`, and those that name groups, are no covariates.

    Rows that are `known` are those of a fit, read again: what it warned of is not said again. Rows that are `absent`
    are left out, as if a value of theirs were missing.
    """
    table = read_table(X)
    if table.n == 0:
        raise InputError(
            f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
        )
    named = (offset if isinstance(offset, str) else None, exposure if isinstance(exposure, str) else None)
    clusters = None if groups is None else read_clusters(groups, table)
    if clusters is not None:
        skip = (*skip, *clusters.columns)
        unlabelled = clusters.absent(model.missing)
        absent = unlabelled if absent is None else absent if unlabelled is None else absent | unlabelled
    chosen: Any
    if model.formula is not None:
        from . import formula as formulas

        chosen = formulas.parse(model.formula, table)
        if not (chosen.right or chosen.intercept):
            raise InputError(f"the formula {model.formula!r} has no term and no intercept; there is nothing to fit")
        response_name = model.formula.split("~")[0].strip() or "y"
    else:
        if not table.names and not table.is_frame:
            raise InputError(f"Found array with 0 feature(s) (shape=({table.n}, 0)) while a minimum of 1 is required.")
        chosen = choose_columns(
            table, bool(model.fit_intercept), [v for v in (*named, sample_weight, *skip) if isinstance(v, str)]
        )
        if not chosen.needed and not model.fit_intercept:
            raise InputError("the model has no column and no intercept; pass columns or fit_intercept=True")
        response_name = str(getattr(y, "name", None) or "y")
    found = read_rows(chosen, model.formula, family, link, table, model.missing, y, sample_weight, offset, exposure,
                      absent=absent, known=known)  # fmt: skip
    table, rows, trials, weight = found.table, found.kept, found.trials, found.weight
    if table.n == 0:
        raise InputError(NOTHING_LEFT)
    total = kernel_weights(weight, trials, model.weight_type)
    if not (total > 0).any():
        raise InputError(NO_WEIGHT)
    whole = found.whole and whole_counts(family, found, total, model.weight_type)
    present = total > 0
    some = None if present.all() else present
    terms = chosen.learn(table, some)
    design = terms.design(table, some, checked=True)
    offset = None if found.offset is None else own(found.offset)
    return Prepared(
        terms, design, own(found.y), None if trials is None else own(trials), own(weight), total, offset, whole, rows,
        0 if rows is None else int((~rows).sum()), len(table.names) if model.formula is not None else len(terms.terms),
        table.names if model.formula is not None else tuple(t.name for t in terms.terms) if table.is_frame else None,
        named, response_name, family, None if clusters is None else clusters.take(rows),
    )  # fmt: skip


def whole_counts(family: Family, rows: RowsRead, total: np.ndarray, weight_type: str) -> bool:
    """True where proportions times their trials, given as weights, are whole numbers."""
    if not family.takes_trials or rows.trials is not None:
        return True
    counts = rows.y * (rows.weight if weight_type == "analytic" else 1.0)
    return bool(np.all((np.abs(counts - np.rint(counts)) <= 1e-6 * (1 + counts)) | (total <= 0)))


def one_response(own: Any, given: Any, text: str) -> Any:
    """The response of the formula, or the one given; an error where they disagree."""
    if own is None or given is None:
        return given if own is None else own
    parts = [read_vector(part, "y", None) for part in np.atleast_2d(np.asarray(given).T)]
    if not np.array_equal(np.atleast_2d(own.T), parts, equal_nan=True):
        raise InputError(f"y was given, and differs from the response of the formula {text!r}; leave y out, "
                         f"or write '~{text.split('~')[1]}' to fit the y given")  # fmt: skip
    return own


__all__ = ["Prepared", "RowsRead", "prepare", "read_rows"]
