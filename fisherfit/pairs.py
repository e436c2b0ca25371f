"""Comparisons of all pairs of levels of a category, with p-values adjusted for their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .choices import check_level, one_of
from .errors import InputError
from .model_terms import ModelTerm
from .result import Result, quantile, upper_tail

ADJUSTMENTS = ("holm", "bonferroni", "tukey", "none", "fdr_bh")


def level_rows(term: ModelTerm, names: tuple[str, ...]) -> np.ndarray:
    """For every level the row of coefficients that makes its effect (zero for the reference level)."""
    assert term.levels is not None
    place = {names[j]: j for j in term.positions}
    rows = np.zeros((len(term.levels), len(names)))
    missing = []
    for k, level in enumerate(term.levels):
        found = [j for name, j in place.items() if name.endswith((f"[T.{level}]", f"[{level}]"))]
        if len(found) == 1:
            rows[k, found[0]] = 1.0
        else:
            missing.append(level)
    coded = len(term.levels) - len(term.positions)
    if len(missing) != coded or coded not in (0, 1) or (missing and missing[0] != term.levels[0]):
        raise InputError(f"the coefficients of {term.name!r} ({', '.join(place)}) are not those of its levels; "
                         "pairwise needs treatment coding, the default")  # fmt: skip
    return rows


def adjusted(p: np.ndarray, adjust: str, t: np.ndarray, count: int, df: float) -> np.ndarray:
    """p-values of several tests, adjusted; NaN ones are left out of the count.

    Holm (1979), Bonferroni, Tukey's studentised range (exact for equal sizes, Tukey-Kramer otherwise), or the false
    discovery rate of Benjamini & Hochberg (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from fisherfit.pairs import adjusted
    >>> adjusted(np.array([0.01, 0.04, 0.03]), "holm", np.zeros(3), 3, np.inf).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    out = np.full(p.size, np.nan)
    known = ~np.isnan(p)
    inner, m = p[known], int(known.sum())
    if adjust == "bonferroni":
        inner = np.minimum(1.0, m * inner)
    elif adjust == "tukey":
        from scipy.stats import studentized_range

        inner = studentized_range.sf(np.sqrt(2.0) * np.abs(t[known]), count, df)
    elif adjust in ("holm", "fdr_bh") and m:
        order = np.argsort(inner, kind="stable")
        ranked = inner[order]
        if adjust == "holm":
            ranked = np.maximum.accumulate((m - np.arange(m)) * ranked)
        else:
            ranked = np.minimum.accumulate((m / np.arange(1, m + 1) * ranked)[::-1])[::-1]
        inner = np.empty(m)
        inner[order] = np.minimum(1.0, ranked)
    out[known] = inner
    return out


def critical(adjust: str, level: float, pairs: int, count: int, df: float | None) -> float:
    """The number of standard errors on either side of the intervals."""
    if adjust == "tukey":
        from scipy.stats import studentized_range

        return float(studentized_range.ppf(level, count, np.inf if df is None else df)) / float(np.sqrt(2.0))
    outside = (1.0 - level) / (pairs if adjust in ("holm", "bonferroni") else 1)
    return float(quantile(1.0 - 0.5 * outside, df))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Differences of levels: labels and columns."""

    labels: tuple[str, ...]
    columns: dict[str, Any]


def compare(result: Result, term: ModelTerm, terms: tuple[ModelTerm, ...], adjust: str, level: float) -> Pairs:
    """All differences of two levels of a term on the link scale."""
    one_of("adjust", adjust, ADJUSTMENTS)
    check_level(level)
    if term.levels is None or len(term.factors) != 1:
        with_levels = [t.name for t in terms if t.levels is not None]
        raise InputError(f"{term.name!r} has no levels to compare; terms with levels are "
                         f"{', '.join(with_levels) or '(none)'}")  # fmt: skip
    for other in terms:
        if other.factors > term.factors:
            raise InputError(f"the levels of {term.name!r} differ by amounts that depend on the interaction "
                             f"{other.name!r}; test combinations of coefficients with model.test instead")  # fmt: skip
    if result.covariance is None:
        raise InputError("the covariance was not formed, as the model has too many coefficients; pairwise needs it")
    rows = level_rows(term, result.names)
    k = len(rows)
    if k < 2:
        raise InputError(f"{term.name!r} has a single level; there is nothing to compare")
    pairs = [(a, b) for a in range(k) for b in range(a + 1, k)]
    contrast = np.stack([rows[b] - rows[a] for a, b in pairs])
    used = list(term.positions)
    inner, covariance = contrast[:, used], result.covariance[np.ix_(used, used)]
    estimate = inner @ result.coefficients[used]
    with np.errstate(all="ignore"):
        variance = np.array([_variance(row, covariance) for row in inner])
        error = np.sqrt(variance)
        t = np.where(np.isinf(error), np.nan, estimate / error)
        df = result.df_resid if result.use_t else None
        p = 2.0 * upper_tail(np.abs(t), df)
        q = critical(adjust, level, len(pairs), k, df)
        letter = "t" if result.use_t else "z"
        columns = {
            "estimate": estimate, "std err": error, letter: t,
            "p_value": adjusted(p, adjust, t, k, np.inf if df is None else df),
            "lower": estimate - q * error, "upper": estimate + q * error,
        }  # fmt: skip
    return Pairs(tuple(f"{term.levels[b]} - {term.levels[a]}" for a, b in pairs), columns)


def _variance(row: np.ndarray, covariance: np.ndarray) -> float:
    """r'V r by the coefficients in it; infinite where one of them is."""
    at = np.flatnonzero(row)
    if np.isinf(covariance.diagonal()[at]).any():
        return float("inf")
    return float(row[at] @ covariance[np.ix_(at, at)] @ row[at])


__all__ = ["Pairs", "adjusted", "compare"]
