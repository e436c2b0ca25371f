"""Analysis of deviance: the terms of a model one after the other, each in the presence of the others, or nested models.

McCullagh & Nelder (1989), section 2.3; with an estimated dispersion F tests by the dispersion of the largest model, as
R's ``anova(test = "F")`` and ``drop1(test = "F")`` have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from . import labelled
from .errors import ConvergenceWarning, InputError
from .families import ExponentialDispersion
from .hypotheses import Hypothesis
from .model_terms import ModelTerm
from .penalised import need_plain
from .restricted import directions_left, score_within
from .result import Result
from .testing import Full, Lower, effective, exact_fit, score, tail, under, wald_within

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Row:
    """A line of the table: a term, what it explains, and what is left."""

    name: str
    df: int
    chi2: float
    deviance: float
    resid_df: float
    resid_deviance: float


def _zero(terms: Sequence[ModelTerm], size: int) -> Hypothesis | None:
    """The coefficients of some terms are zero."""
    positions = [j for term in terms for j in term.positions]
    if not positions:
        return None
    return Hypothesis(np.eye(size)[positions], np.zeros(len(positions)), ", ".join(t.name for t in terms))


def uses_deviance(full: Full) -> bool:
    """True where -2 (l - l of a perfect fit) is the deviance: alpha, if any, is not estimated."""
    m = full.maximum
    return m.theta.size == m.design.width and (isinstance(m.family, ExponentialDispersion) or m.result.deviance > 0.0)


def _left(full: Full, drop: float) -> float:
    """What is left: the deviance, or -2 l, of a model that lies `drop` = 2 (l - l0) below the full one."""
    result = full.maximum.result
    return (result.deviance if uses_deviance(full) else -2.0 * result.llf) + drop


@dataclass(frozen=True, eq=False)
class Step:
    """The full model where some terms are zero: its restrictions and its maximum."""

    matrix: np.ndarray
    value: np.ndarray
    lower: Lower | None
    drop: float

    @property
    def lost(self) -> int:
        """Restrictions."""
        return len(self.matrix)


def _step(full: Full, terms: Sequence[ModelTerm]) -> Step:
    """The maximum where the coefficients of these terms are zero."""
    size = full.maximum.theta.size
    hypothesis = _zero(terms, size)
    matrix, value = np.zeros((0, size)), np.zeros(0)
    if hypothesis is not None:
        matrix, value = effective(full, hypothesis)
    if not len(matrix):
        return Step(matrix, value, None, 0.0)
    lower = under(full, matrix, value)
    return Step(matrix, value, lower, 2.0 * max(lower.upper - lower.loglik, 0.0))


def table_of(full: Full, terms: Sequence[ModelTerm], kind: str, method: str) -> tuple[list[Row], list[tuple[str, Any]]]:
    """The lines of the table and the warnings that go with it.

    Parameters
    ----------
    full : Full
        The fit on its rows.
    terms : sequence of ModelTerm
        The terms of the design; the intercept stays in all models.
    kind : {"sequential", "marginal"}
    method : {"lr", "wald", "score"}
    """
    rest = [term for term in terms if term.factors]
    result = full.maximum.result
    notes: list[tuple[str, Any]] = []
    if method != "lr" and not full.regular:
        raise InputError(f"anova(method={method!r}) needs a fit whose maximum is inside the parameter space, and some "
                         "estimates are infinite or at a bound; use method='lr'")  # fmt: skip
    if not full.maximum.phi > 0.0:
        notes += exact_fit(result)
    rows: list[Row] = []
    if kind == "marginal":
        for term in rest:
            if any(other.factors > term.factors for other in rest):
                continue  # an interaction that holds it stays: dropping the term alone means nothing
            step = _step(full, [term])
            rows.append(_line(full, term.name, step, Step(np.zeros((0, 0)), np.zeros(0), None, 0.0), method))
            _check(step, term.name, notes)
        return rows, notes
    steps = [_step(full, rest[k:]) for k in range(len(rest) + 1)]
    first = steps[0]
    rows.append(Row("Intercept" if terms and not terms[0].factors else "(none)", 0, float("nan"), float("nan"),
                    result.df_resid + first.lost, _left(full, first.drop)))  # fmt: skip
    for term, lower, upper in zip(rest, steps, steps[1:], strict=False):
        rows.append(_line(full, term.name, lower, upper, method))
        _check(lower, term.name, notes)
    return rows, notes


def _check(step: Step, name: str, notes: list[tuple[str, Any]]) -> None:
    if step.lower is not None and not step.lower.converged:
        notes.append((f"the model without {name!r} did not converge; its line cannot be trusted", ConvergenceWarning))


def _line(full: Full, name: str, lower: Step, upper: Step, method: str) -> Row:
    """The test of the restrictions that `lower` has and `upper` has not."""
    result, phi = full.maximum.result, full.maximum.phi
    df = lower.lost - upper.lost
    drop = max(lower.drop - upper.drop, 0.0)
    marginal = upper.lower is None
    with np.errstate(all="ignore"):
        if not df or not phi > 0.0:
            chi2, drop = float("nan"), drop if df else 0.0
        elif method == "lr":
            chi2 = drop / phi
        elif method == "score":
            chi2 = _score_between(full, lower, upper)
        else:
            chi2 = _wald_between(full, lower, upper)
    at = lower if marginal and upper.matrix.shape[1] == 0 else upper  # drop1 shows what is left without the term
    return Row(name, df, chi2, drop, result.df_resid + at.lost, _left(full, at.drop))


def _basis(full: Full, step: Step) -> np.ndarray:
    """The directions of the model with the restrictions of a step."""
    if not step.lost:
        return full.basis
    return directions_left(np.vstack([full.matrix, step.matrix]), full.maximum.free)


def _score_between(full: Full, lower: Step, upper: Step) -> float:
    """The score test of the smaller model within the larger one."""
    assert lower.lower is not None
    if not upper.lost:
        return score(full, lower.lower, lower.matrix, lower.value)
    return score_within(replace(full.maximum, theta=lower.lower.theta), _basis(full, upper)) / full.maximum.phi


def _wald_between(full: Full, lower: Step, upper: Step) -> float:
    """The Wald test, at the maximum of the larger model, of the restrictions that the smaller one has."""
    theta = full.maximum.theta if upper.lower is None else upper.lower.theta
    basis = _basis(full, upper)
    inside = lower.matrix @ basis
    u, s, _ = np.linalg.svd(inside, full_matrices=False)
    keep = u[:, s > 1e-9 * s.max(initial=0.0)].T
    return wald_within(replace(full.maximum, theta=theta), basis, keep @ lower.matrix, keep @ lower.value)


def frame_of(rows: Sequence[Row], result: Result, by_deviance: bool = True) -> pd.DataFrame:
    """The lines as a labelled table."""
    found = [tail(row.chi2, row.df, result) if row.df else (float("nan"), float("nan"), "") for row in rows]
    what = "deviance" if by_deviance else "-2 log-lik"
    columns = {
        "df": [row.df for row in rows],
        what: [row.deviance for row in rows],
        "resid_df": [row.resid_df for row in rows],
        f"resid_{what}": [row.resid_deviance for row in rows],
        "F" if result.use_t else "chi2": [f[0] for f in found],
        "p_value": [f[1] for f in found],
    }
    return labelled.frame(columns, [row.name for row in rows])


def anova(*models: Any, nested: bool = False) -> pd.DataFrame:
    """Compare nested fitted models, the smallest first.

    Parameters
    ----------
    *models : GLM
        Two or more fitted models of the same response, family, link and rows. They are put in the order of their
        residual degrees of freedom.
    nested : bool, default False
        Take it that each model is a special case of the next where the names of the coefficients do not show it, as
        for a spline and a straight line.

    Returns
    -------
    pandas.DataFrame
        A line for every model: ``df`` and ``deviance`` are the differences from the line above, ``resid_df`` and
        ``resid_deviance`` what is left, then ``F`` (dispersion estimated, that of the largest model) or ``chi2``, and
        ``p_value``. For the negative binomial with alpha estimated, twice the log-likelihood stands in place of the
        deviance, each model with an alpha of its own.

    Raises
    ------
    InputError
        For models that are not nested or not of the same data.

    Examples
    --------
    >>> import fisherfit as ff
    >>> data = ff.datasets.load("warpbreaks")
    >>> small = ff.GLM(formula="breaks ~ tension", family="poisson").fit(data)
    >>> large = ff.GLM(formula="breaks ~ wool * tension", family="poisson").fit(data)
    >>> ff.anova(small, large)[["df", "deviance", "p_value"]].round(4)
                             df  deviance  p_value
    breaks ~ tension          0       NaN      NaN
    breaks ~ wool * tension   3   44.1255      0.0
    """
    if len(models) < 2:
        raise InputError("anova compares two or more fitted models; for the terms of one, use model.anova(X, y)")
    for model in models:
        if not isinstance(getattr(model, "result_", None), Result):
            raise InputError(f"anova needs fitted models; {type(model).__name__} is not fitted")
        need_plain(model.result_, "a comparison of deviances", "use anova or test(method='lr') of the larger model")
    ordered = sorted(models, key=lambda m: -m.result_.df_resid)
    results = [m.result_ for m in ordered]
    top = results[-1]
    free_alpha = "alpha" in top.names
    for small, large in pairwise(results):
        for what, a, b in (("families", small.family, large.family), ("links", small.links, large.links),
                           ("numbers of observations", small.nobs, large.nobs),
                           ("kinds of weights", small.weight_type, large.weight_type),
                           ("dispersions", small.use_t, large.use_t)):  # fmt: skip
            if a != b:
                raise InputError(f"the models are not nested: their {what} differ ({_plain(a)} and {_plain(b)})")
        same = np.isclose(small.null_deviance, large.null_deviance, rtol=1e-6, equal_nan=True)
        if small.response != large.response or (small.intercept and large.intercept and not free_alpha and not same):
            raise InputError("the models are not of the same data: their responses or null deviances differ")
        if small.df_resid == large.df_resid:
            raise InputError(
                "two models have the same residual degrees of freedom; neither is a restriction of the other"
            )
        if not nested and not set(small.names) <= set(large.names):
            lacks = next(name for name in small.names if name not in large.names)
            raise InputError(f"the models are not nested by their coefficients: the larger has no {lacks!r}; give "
                             "nested=True if they are nested all the same")  # fmt: skip
    left = [-2.0 * r.llf if free_alpha or np.isnan(r.deviance) else r.deviance for r in results]
    labels = _labels(ordered)
    rows = [Row(labels[0], 0, float("nan"), float("nan"), results[0].df_resid, left[0])]
    for k in range(1, len(results)):
        drop = max(left[k - 1] - left[k], 0.0)
        df = round(results[k - 1].df_resid - results[k].df_resid)
        with np.errstate(all="ignore"):
            chi2 = drop if free_alpha else float(np.divide(drop, top.dispersion))
        rows.append(Row(labels[k], df, chi2, drop, results[k].df_resid, left[k]))
    return frame_of(rows, top, not (free_alpha or np.isnan(top.deviance)))


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _labels(models: Sequence[Any]) -> list[str]:
    """The formulas, or the number of the model and its columns."""
    out = []
    for k, model in enumerate(models):
        names = [n for n in model.result_.names if n != "Intercept"]
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        out.append(str(model.formula) if model.formula else f"{k + 1}: {shown or 'Intercept'}")
    return out


__all__ = ["anova", "frame_of", "table_of", "uses_deviance"]
