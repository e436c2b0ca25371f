"""The covariance that a mixture was constructed to report: its kind, the clusters, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import labelled
from ..clusters import two_ways
from ..covtypes import CovType, read_cov_type
from ..errors import InputError
from ..mixtures import covariance as kinds
from ..mixtures.fitting import MixtureFit
from ..mixtures.held import holding
from ..mixtures.mixture import Mixture
from ..mixtures.outcome import covariance_of
from ..mixtures.result import MixtureResult
from ..table import Table

if TYPE_CHECKING:
    import pandas as pd

    from ..clusters import Clusters


def check_cov_type(model: Any, clusters: Any) -> CovType:
    """The kind of covariance of the constructor; an error for one that there is not, and for clusters without a use."""
    cov = read_cov_type(model.cov_type, without=kinds.WITHOUT)
    if clusters is not None and cov.kind != "cluster":
        raise InputError(f"clusters is for cov_type='cluster', not for {cov.kind!r}; leave it out")
    if cov.kind != "cluster" or clusters is None:
        kinds.check_kind(cov, None)
    if cov.kind != "observed" and getattr(model, "prior", None) is not None:
        raise InputError(f"cov_type={model.cov_type!r} is of a maximum of the likelihood, and a fit with a prior is "
                         "none; use 'observed', or leave prior out")  # fmt: skip
    return cov


def check_order(cov: CovType, groups: Any) -> None:
    """Refuse a covariance by the order of the rows where groups have none."""
    if cov.kind == "HAC" and groups is not None:
        raise InputError("cov_type='HAC' goes by the order of the rows, and groups have none; use 'cluster' or 'HC0'")


def check_streamable(cov: CovType) -> None:
    """Refuse what passes over rows that are not kept cannot add up."""
    if cov.kind in ("cluster", "HAC"):
        raise InputError(f"cov_type={str(cov)!r} needs the rows in memory, and X is read in batches; use 'observed', "
                         "'opg', 'HC0' or 'HC1'")  # fmt: skip


def names_of(clusters: Any) -> tuple[str, ...]:
    """The columns that clusters are."""
    return tuple(way for way in two_ways(clusters) if isinstance(way, str))


def without(table: Table, names: Sequence[str]) -> Table:
    """The table without some columns."""
    if not table.is_frame or not set(names) & set(table.names):
        return table
    kept = tuple(name for name in table.names if name not in names)
    return Table(kept, table.n, None, table.frame, table.index, table.known)


def with_covariance(
    fit: MixtureFit, mixture: Mixture, cov: CovType, frequency: bool, clusters: Clusters | None
) -> MixtureFit:
    """The fit, with the covariance of its estimates of another kind."""
    if cov.kind == "observed":
        return fit
    result, covariance = fit.result, None
    free = np.setdiff1d(np.arange(fit.theta.size), np.array(fit.held, int))
    bread, _ = covariance_of(fit.evaluation.observed[np.ix_(free, free)])
    if bread is not None and result.covariance is not None:
        covariance = named(mixture, fit.theta, fit.held, bread, result, cov, frequency, clusters)
    return replace(fit, result=replace(result, covariance=covariance, cov_type=str(cov)))


def named(
    mixture: Mixture, theta: np.ndarray, held: Sequence[int], bread: np.ndarray, result: MixtureResult, cov: CovType,
    frequency: bool, clusters: Clusters | None,
) -> np.ndarray:  # fmt: skip
    """The covariance of the parameters by name; NaN where they have none."""
    problem: Any
    problem, point = holding(mixture, theta, held)
    inner = kinds.covariance_of(problem, point, bread, cov, frequency, clusters)
    jacobian = problem.report(point).jacobian
    values = np.asarray(jacobian @ inner @ jacobian.T)
    lost = np.isin(result.names, [*result.boundary, *result.unidentified]) | np.isnan(result.standard_errors)
    values[lost, :] = values[:, lost] = np.nan
    return values


def as_frame(values: np.ndarray, result: MixtureResult, cov: CovType) -> pd.DataFrame:
    """The covariance as a labelled table that knows what it is."""
    out = labelled.frame(values, result.names, result.names)
    out.attrs["cov_type"] = str(cov)
    return out


__all__ = [
    "as_frame",
    "check_cov_type",
    "check_order",
    "check_streamable",
    "named",
    "names_of",
    "with_covariance",
    "without",
]
