"""From prepared data to the results of every group: the fast lane, and the ordinary path for what it hands back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _threads, chunks
from ..blocks import constant_design, make_design
from ..errors import (
    BoundaryWarning,
    ExactFitWarning,
    InputError,
    RankWarning,
    SeparationWarning,
)
from ..families import ExponentialDispersion, Family, NegativeBinomial
from ..grouped import Fits, Task, base_of_counts, compilable, fit_groups, gather
from ..groups import Labels, Sorted
from ..kernels import kernels_of
from ..likelihood import Likelihood
from ..links import Link
from ..model import in_user_order, null_space_in_user_order
from ..prepare import Prepared
from ..scoring import DISTANCE, INFINITE, LOGLIK, PEARSON, RANK, STATUS, STEPS
from ..table import shown
from .report import report

COLUMNS = (
    "nobs", "df_resid", "llf", "aic", "deviance", "pearson_chi2", "dispersion", "n_iter", "converged", "certificate",
    "rank", "separated", "boundary", "exact_fit",
)  # fmt: skip
FLAGS = ("converged", "separated", "boundary", "exact_fit")


@dataclass(frozen=True, eq=False)
class ByGroup:
    """Results of every group, one row each, and the warnings that they call for."""

    names: tuple[str, ...]
    params: np.ndarray
    bse: np.ndarray
    table: dict[str, np.ndarray]
    null: dict[int, np.ndarray]
    one_by_one: int
    warnings: list[tuple[str, type[Warning]]]


def fit_by_group(
    model: Any, family: Family, links: tuple[Link, ...], data: Prepared, labels: Labels, rows: Sorted, whole: np.ndarray
) -> ByGroup:
    """Fit every group, and put the results together. `whole` is False for rows whose counts are not whole numbers."""
    kernels = kernels_of(family, links)
    frequency, probability = model.weight_type == "frequency", model.weight_type == "probability"
    weight = np.ascontiguousarray(data.weight)
    if probability:  # each group's weights are scaled to its number of rows, as they are in a fit of its own
        weight = _scaled_by_group(data, labels)
    divides = model.weight_type == "analytic" and (family.has_dispersion or family.takes_trials)
    fixed = float(model.dispersion) if isinstance(model.dispersion, (int, float, np.number)) else None
    loops = compilable(kernels)
    task = Task(
        kernels, family, isinstance(family, ExponentialDispersion) and links[0].name == family.canonical_link,
        data.design, rows, data.y, weight, data.offset, data.trials,
        data.user_weight if not probability and data.trials is not None else weight, divides, frequency, probability,
        fixed, int(model.max_iter), float(model.tol),
        np.empty(0) if loops is None else base_of_counts(kernels, data.trials, divides),
    )  # fmt: skip
    fits = fit_groups(task, loops, _threads.thread_count(model.n_jobs))
    names = (*data.design.names, *list(family.parameters)[1:])
    found = _assemble(model, family, task, fits, names)
    whole_group = np.ones(len(labels.index), bool)
    if not whole.all():
        bad = labels.codes[~whole & (data.weight > 0.0) & (labels.codes >= 0)]
        whole_group[bad] = False
        found.table["llf"][~whole_group] = found.table["aic"][~whole_group] = np.nan
    again = np.flatnonzero(~fits.done).tolist()
    for g in again:
        try:
            _one(model, family, links, replace(data, weight=weight), task, rows.rows(g), bool(whole_group[g]), found, g)
        except InputError as error:
            raise InputError(f"in the group {shown(labels.index[g])}: {error}") from None
    return replace(found, one_by_one=len(again), warnings=_warnings(model, found, labels))


def _scaled_by_group(data: Prepared, labels: Labels) -> np.ndarray:
    w, codes = data.user_weight, labels.codes
    known = codes >= 0
    size = len(labels.index)
    unit = np.zeros(size)
    np.maximum.at(unit, codes[known], w[known])
    unit[unit == 0.0] = 1.0
    part = np.where(known, w / unit[codes], 0.0)
    total = np.bincount(codes[known], part[known], size)
    number = np.bincount(codes[known], (w > 0.0)[known], size)
    with np.errstate(all="ignore"):
        out = part * (number / total)[codes]
    return np.ascontiguousarray(out if data.trials is None else out * data.trials)


def _assemble(model: Any, family: Family, task: Task, fits: Fits, names: tuple[str, ...]) -> ByGroup:
    """The results of the regular groups, by the rules of `report`."""
    numbers, size = fits.numbers, fits.count.size
    infinite = numbers[:, STATUS] == INFINITE
    estimated = (model.dispersion is None and family.has_dispersion) or isinstance(model.dispersion, str)
    estimator = model.dispersion if model.dispersion is not None else ("pearson" if family.has_dispersion else 1.0)
    with np.errstate(all="ignore"):
        rank, nobs = numbers[:, RANK], fits.count
        df_resid = nobs - rank
        deviance = -2.0 * numbers[:, LOGLIK] + 0.0
        pearson = np.where(infinite, 0.0, numbers[:, PEARSON])
        is_edm = isinstance(family, (ExponentialDispersion, NegativeBinomial))
        exact = np.zeros(size, bool)
        if family.has_dispersion:
            exact = deviance <= 16.0 * fits.floor * nobs
        if not is_edm:
            deviance, pearson = np.full(size, np.nan), np.full(size, np.nan)
        ml = np.where(exact, 0.0, fits.phi if family.has_dispersion else 1.0)
        if not isinstance(estimator, str):
            phi = np.full(size, float(estimator))
        elif estimator == "ml":
            phi = ml if family.has_dispersion else deviance / nobs
        else:
            phi = np.where(df_resid > 0, (pearson if estimator == "pearson" else deviance) / df_resid, np.nan)
        if isinstance(estimator, str):
            phi = np.where(exact, np.where(df_resid > 0, 0.0, np.nan), phi)
        factor = phi
        if task.sandwich:
            factor = np.where(nobs > 1, nobs / (nobs - 1.0), np.nan)
        bse = np.where(np.isinf(fits.errors), np.inf, fits.errors * np.sqrt(factor)[:, None])
        if estimated:
            bse = np.where((exact & (df_resid > 0))[:, None] & np.isfinite(fits.errors), 0.0, bse)
        objective = numbers[:, LOGLIK]
        llf = np.where(fits.phi > 0.0, objective / fits.phi + fits.base, 0.0)
        if family.has_dispersion and task.fixed_phi is None:
            llf = np.where(exact, np.inf, llf)
        quasi = not family.has_dispersion and model.dispersion is not None and model.dispersion != 1.0
        n_params = rank + int(family.has_dispersion and estimated)
        aic = -2.0 * llf + 2.0 * n_params
        if quasi or model.weight_type == "probability":
            aic = np.full(size, np.nan)
    certificate = np.where(infinite, 0.0, numbers[:, DISTANCE])
    table = {
        "nobs": nobs, "df_resid": df_resid, "llf": llf, "aic": aic, "deviance": np.where(exact, 0.0, deviance),
        "pearson_chi2": pearson, "dispersion": phi, "n_iter": np.maximum(numbers[:, STEPS], 1.0),
        "converged": ~infinite, "certificate": certificate, "rank": rank, "separated": infinite,
        "boundary": np.zeros(size, bool),
        "exact_fit": exact | ((df_resid <= 0) & ~infinite if isinstance(estimator, str) else False),
    }  # fmt: skip
    more = len(names) - fits.coefficients.shape[1]
    empty = np.full((size, more), np.nan)
    params = np.hstack([fits.coefficients, empty]) if more else fits.coefficients
    return ByGroup(names, params, np.hstack([bse, empty]) if more else bse, table, fits.null, 0, [])


def _one(
    model: Any, family: Family, links: tuple[Link, ...], data: Prepared, task: Task, rows: np.ndarray, whole: bool,
    found: ByGroup, g: int,
) -> None:  # fmt: skip
    """Fit one group as `GLM` does, and write what it reports into its row."""
    design = data.design
    at, p, m = int(design.intercept), design.width, rows.size
    tools = chunks.kernels()
    x = gather(replace(design, n=m), Sorted(np.zeros(1, np.int64), np.ascontiguousarray(rows)), 0, m, tools)[at:].T

    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.ascontiguousarray(values[rows])

    def with_columns(kept: np.ndarray) -> Any:
        names = [name for name, keep in zip(design.names, kept, strict=True) if keep]
        return make_design(names, m, design.intercept, [np.ascontiguousarray(x[:, kept[at:]])])

    y, weight, user_weight = part(data.y), part(data.weight), part(data.user_weight)
    assert y is not None
    assert weight is not None
    assert user_weight is not None
    others = [constant_design(m, name) for name in list(family.parameters)[1:]]
    kept = np.ones(p, bool)
    mine = with_columns(kept)
    likelihood = Likelihood(kernels_of(family, links), (mine, *others), y, weight, part(data.offset),
                            _threads.thread_count(model.n_jobs))  # fmt: skip
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        rounding = np.ones(p)
        rounding[at:] = mine.rounding
        root = likelihood.root((weight > 0.0).astype(float))
        kept = in_user_order(root, rounding, mine.position)
        if not kept.any():
            raise InputError("every column is zero in every row, so that there is nothing to fit")
        if not kept.all():
            found.null[g] = (mine.jacobian() @ null_space_in_user_order(root, kept, mine.position)).T
            mine = with_columns(kept)
            likelihood = replace(likelihood, designs=(mine, *others))
        own = replace(
            data, design=mine, y=y, weight=weight, offset=likelihood.offset, trials=part(data.trials),
            user_weight=user_weight, whole=whole, kept_rows=None, dropped=0,
        )  # fmt: skip
        out = report(model, family, own, likelihood)
    where = np.append(np.flatnonzero(kept), np.arange(p, len(found.names)))
    estimable = ~np.isin([found.names[j] for j in where], out.aliased)
    found.params[g] = found.bse[g] = np.nan
    found.params[g, where] = np.where(estimable, out.coefficients, np.nan)
    found.bse[g, where] = np.where(estimable, out.result["standard_errors"], np.nan)
    result = out.result
    values = {
        **{key: result[key] for key in ("nobs", "df_resid", "llf", "deviance", "pearson_chi2", "dispersion", "n_iter",
                                        "converged", "rank")},
        "aic": -2.0 * result["llf"] + 2.0 * result["n_params"],
        "certificate": result["certificate"].max_se_error,
        "separated": bool(out.separation),
        "boundary": bool(out.boundary),
        "exact_fit": any(kind is ExactFitWarning for _, kind in out.warnings),
    }  # fmt: skip
    for key, value in values.items():
        found.table[key][g] = value


def _warnings(model: Any, found: ByGroup, labels: Labels) -> list[tuple[str, type[Warning]]]:
    """One warning of a kind, with the number of groups and the names of the first."""
    table = found.table
    p = found.params.shape[1]
    stuck = ~table["converged"] & ~table["separated"]
    deficient = np.isnan(found.params).any(axis=1) if p else np.zeros(len(labels.index), bool)
    kinds: tuple[tuple[np.ndarray, type[Warning], str], ...] = (
        (deficient, RankWarning, "have columns that are combinations of columns to their left; their coefficients and "
                                 "standard errors are NaN"),
        (table["exact_fit"], ExactFitWarning, "are fitted exactly, or have no degrees of freedom left: their "
                                              "dispersion and standard errors are 0 or NaN"),
        (table["separated"], SeparationWarning, "are separated: their likelihood has no maximum, and the coefficients "
                                                "whose standard error is inf are infinite"),
        (table["boundary"], BoundaryWarning, "have their maximum on the edge of the parameter space; standard errors "
                                             "that depend on it are NaN"),
    )  # fmt: skip
    if stuck.any():
        from ..errors import ConvergenceWarning

        kinds += ((stuck, ConvergenceWarning,
                   f"are not converged after max_iter={model.max_iter} steps or because no step increases their "
                   "likelihood; their estimates are not at the maximum"),)  # fmt: skip
    out: list[tuple[str, type[Warning]]] = []
    for where, kind, what in kinds:
        at = np.flatnonzero(where)
        if at.size:
            first = ", ".join(shown(label) for label in labels.index[at[:5]])
            out.append((f"{at.size} of {len(labels.index)} groups {what} (group{'s' * (at.size > 1)} {first}"
                        f"{', ...' if at.size > 5 else ''})", kind))  # fmt: skip
    return out
