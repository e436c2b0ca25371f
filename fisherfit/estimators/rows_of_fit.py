"""The rows of the fit of a mixture, read again, and the check that these are the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads
from ..errors import InputError, InputTypeError
from ..mixtures.held import Held, holding
from ..mixtures.outcome import covariance_of
from ..table import Table
from .mixture_covariance import names_of, without

if TYPE_CHECKING:
    from ..clusters import Clusters
    from ..mixtures.mixture import Mixture

FAR = 1e-3  # standard errors from the maximum of the rows given beyond which they are not those of the fit
EQUAL = 1e-6  # relative difference of two log-likelihoods that is rounding


@dataclass(frozen=True, eq=False)
class AtFit:
    """The mixture on the rows of its fit; `problem` has the coordinates that are not held, `point` is where they are.

    `bread` is the inverse of the observed information of these, zero in directions that the data do not identify.
    """

    mixture: Mixture
    units: np.ndarray | None
    problem: Held
    point: np.ndarray
    bread: np.ndarray


class RowsOfFit:
    """What the methods of a fitted mixture need that take the data of the fit again."""

    def _at_fit(self: Any, X: Any, y: Any, sample_weight: Any, data: dict[str, Any]) -> AtFit:
        """The fit on its rows; an error where the rows are not those of the fit."""
        known = ("offset", "exposure", "groups", "concomitant") if hasattr(self, "weight_type") else ()
        for name in data:
            if name not in known:
                listed = ", ".join(("X", "y", "sample_weight", *known))
                raise InputTypeError(f"{name}= is no argument of the fit, whose data are {listed}")
        if self._counted is None:
            raise InputError("the model has learnt from batches, which are not kept; what needs no rows (result_, Wald "
                             "tests) is there")  # fmt: skip
        if getattr(self, "prior", None) is not None:
            raise InputError("a fit with a prior is no maximum of the likelihood; what needs no rows (result_, Wald "
                             "tests) is there, or fit without prior")  # fmt: skip
        result, theta = self.result_, self._theta
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            mixture, units = self._rows_of_fit(X, y, sample_weight, **data)
            report = mixture.report(theta) if mixture.size == theta.size else None
            if report is None or report.names != result.names:
                raise InputError("these are not the data of the fit, or its settings were changed since: they give the "
                                 "model other parameters; give the data as they were given to fit")  # fmt: skip
            n, total = self._counted
            if mixture.units != n or not math.isclose(mixture.total, total, rel_tol=1e-9):
                what = "rows" if mixture.edges is None else "groups"
                raise InputError(f"X has {mixture.units} {what} of total weight {mixture.total:.10g}, the fit had {n} "
                                 f"of {total:.10g}; give the data of the fit")  # fmt: skip
            problem, point = holding(mixture, theta, self._held)
            evaluation = problem.evaluate(point)
            bread, _ = covariance_of(evaluation.observed)
            if bread is None:
                raise InputError("the observed information is not positive definite at the estimates, so that there is "
                                 "no inference; see the warnings of fit")  # fmt: skip
            far = math.sqrt(abs(float(evaluation.score @ bread @ evaluation.score)))
            errors = result.standard_errors
            seen = np.isfinite(errors) & (errors > 0.0)
            apart = np.abs(report.values - result.estimates)[seen] / errors[seen]
            far = max(far, float(apart.max(initial=0.0)))
            other = np.isfinite(result.llf) and abs(evaluation.loglik - result.llf) > EQUAL * (1.0 + abs(result.llf))
            if self.converged_ and (not far < FAR or other):
                raise InputError(
                    f"these are not the rows of the fit: what they estimate is {far:.2g} standard errors away, their "
                    f"log-likelihood {evaluation.loglik:.10g} and not {result.llf:.10g}; give X and all else as they "
                    "were given to fit"
                )
        return AtFit(mixture, units, problem, point, bread)

    def _need_converged(self: Any, what: str) -> None:
        if not self.converged_:
            raise InputError(f"the fit has not converged, so that there is no maximum for {what}; see its warnings")

    def _need_errors(self: Any, matrix: np.ndarray, what: str) -> None:
        """Refuse parameters that have no standard error."""
        result = self.result_
        bad = np.any(matrix != 0.0, axis=0) & ~np.isfinite(result.standard_errors)
        if bad.any():
            name = result.names[int(np.argmax(bad))]
            why = "is on the edge of the parameter space" if name in result.boundary else (
                "is not identified by the data" if name in result.unidentified else "has no standard error"
            )  # fmt: skip
            raise InputError(f"{what}: {name} {why}, where these tests do not hold")

    def _without(self: Any, table: Table, clusters: Any, others: Sequence[Any]) -> Table:
        """The table without columns that are clusters and nothing else."""
        names = set(names_of(clusters))
        learnt = getattr(self, "_concomitant", None)
        used = {*getattr(self, "feature_names_in_", ()), getattr(self, "_group_name", None)}
        used |= {name for name in others if isinstance(name, str)} | set(() if learnt is None else learnt.names)
        names -= used
        return table if getattr(self, "formula", None) is not None else without(table, tuple(names))


def clusters_of(clusters: Any, table: Table, units: np.ndarray | None, mixture: Mixture) -> Clusters:
    """The clusters of the units of a fit, from labels of its rows."""
    from ..clusters import Clusters, read_clusters

    try:
        found = read_clusters(clusters, table)
    except (InputError, InputTypeError) as error:
        raise type(error)(str(error).replace("groups", "clusters")) from None
    ways = []
    for codes in found.codes:
        rows = np.arange(table.n) if units is None else np.flatnonzero(units >= 0)
        if (codes[rows] < 0).any():
            row = int(rows[np.argmax(codes[rows] < 0)])
            raise InputError(f"clusters has a missing label at row {row}; fill it, or leave such rows out of the fit")
        if units is None:
            ways.append(codes)
            continue
        own = np.empty(mixture.units, np.int64)
        own[units[rows]] = codes[rows]
        differs = own[units[rows]] != codes[rows]
        if differs.any():
            row = int(rows[np.argmax(differs)])
            raise InputError(f"clusters varies within the group of row {row}; the "
                             "rows of a group are one unit and lie in one cluster")  # fmt: skip
        ways.append(own)
    return Clusters(tuple(ways))


__all__ = ["AtFit", "RowsOfFit", "clusters_of"]
