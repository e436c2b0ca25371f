"""What a fitted model says when it is given its rows again: the glue of inference and diagnostics."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..errors import InputError
from ..fitting import rounding_floor
from ..maximum import Maximum, at_maximum
from ..prepare import Prepared, prepare

FAR = 1e-3  # standard errors from the maximum of the rows given beyond which they are not those of the fit


class Inferring:
    """Methods of a fitted model that need the rows of the fit, and check that these are the rows."""

    def _data_of_fit(
        self: Any, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, groups: Any = None
    ) -> Prepared:
        """The rows of the fit, read again; named offsets and exposures are remembered."""
        self._check_fitted()
        family, links = self._check_parameters()
        if not isinstance(X, np.ndarray):
            from ..batches import source_of

            if source_of(X) is not None:
                raise InputError(
                    "X is read in batches; give the rows in memory, or a sample of them to a fit of its own"
                )
        remembered = self._predictor.offset_names
        offset = remembered[0] if offset is None else offset
        exposure = remembered[1] if exposure is None else exposure
        for needed, given, what in zip(self._predictor.needs, (offset, exposure), ("offset", "exposure"), strict=True):
            if needed and given is None:
                raise InputError(f"the fit had an {what} given as an array; give {what}= as in the fit")
        skip = getattr(self, "_group_columns", ())
        data = prepare(self, family, links[0], X, y, sample_weight, offset, exposure, groups, skip, True)
        names = list(data.design.names)
        self._check_same(names, data.design.n)
        return data

    def _at_maximum(
        self: Any, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None,
        groups: Any = None, constrained: bool = False,
    ) -> tuple[Maximum, Prepared]:  # fmt: skip
        """The fit on its rows; an error where the rows are not those of the fit.

        Under constraints the score vanishes in the free directions only: callers that do not know of it are refused.
        """
        if hasattr(self, "constraints_") and not constrained:
            raise InputError(
                "this is not available for fits with constraints or bounds; model.test, model.covariance and the "
                "standard errors of result_ are"
            )
        data = self._data_of_fit(X, y, sample_weight, offset, exposure, groups)
        family, links = self._check_parameters()
        likelihood = self._likelihood(data, family, links)
        separated = self._separated(data)
        separated = separated if separated.size else likelihood.no_rows()
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            floor = rounding_floor(likelihood, family, self.result_.nobs) if family.has_dispersion else 0.0
            maximum = at_maximum(likelihood, family, self.result_, separated, floor)
            if hasattr(self, "constraints_"):  # they tell columns apart that are combinations of others
                free = maximum.free.copy()
                free[: maximum.design.width] = True
                maximum = replace(maximum, free=free, null=maximum.null[:, :0])
            if self.converged_ and self.result_.dispersion > 0.0 and not self.boundary_:
                far = self._distance(family, maximum)
                if not far < FAR or not math.isclose(self._observations(data), self.result_.nobs, rel_tol=1e-9):
                    raise InputError(
                        f"these are not the rows of the fit: what they estimate is {far:.2g} standard errors away; "
                        "give X, y, sample_weight, offset and exposure as they were given to fit"
                    )
        return maximum, data

    def _check_same(self: Any, names: list[str], n: int) -> None:
        """Refuse other rows, and columns or levels that make other coefficients."""
        if n != self._predictor.n_rows:
            raise InputError(f"X has {n} rows, the fit had {self._predictor.n_rows}; pass the data of the fit")
        known = list(self.result_.names)
        known = known[: len(known) - self._predictor.others.size]
        if names == known:
            return
        lost, new = [k for k in known if k not in names], [k for k in names if k not in known]
        what = f"no coefficient {lost[0]!r}" if lost else f"a coefficient {new[0]!r}" if new else "other coefficients"
        if lost and new:
            what = f"a coefficient {new[0]!r} in place of {lost[0]!r}"
        raise InputError(
            f"X gives the model {what}: its columns, or the levels of a category or their order, are not those of "
            "the fit; pass the data of the fit as they were"
        )

    def _distance(self: Any, family: Any, maximum: Maximum) -> float:
        """How far the estimates are from those of these rows, in standard errors."""
        if self.bias_reduction is not None:
            from ..adjusted_score import adjusted_distance

            return adjusted_distance(
                maximum.likelihood, family, maximum.theta, self.bias_reduction, maximum.phi, maximum.free
            )
        left = self._basis(maximum)
        if left is None:
            score = maximum.evaluation.score[maximum.free]
            square = float(score @ maximum.factor.solve(score))
        else:  # under restrictions the score vanishes in the directions that they leave
            from ..restricted import score_within

            square = score_within(maximum, left)
        return math.sqrt(abs(square) / maximum.phi)

    def _basis(self: Any, maximum: Maximum) -> np.ndarray | None:
        """The directions that the constraints of the fit leave; None without constraints."""
        held = getattr(self, "constraints_", None)
        if held is None:
            return None
        from ..restricted import directions_left

        return directions_left(maximum.contrasts(held.active_rows()[0]), maximum.free)

    def _equalities(self: Any, what: str, any_bound: bool) -> np.ndarray | None:
        """R of the constraints of the fit; an error for bounds, or for bounds that are reached; None without any."""
        held = getattr(self, "constraints_", None)
        if held is None:
            return None
        bounded = bool((np.isfinite(held.lower) | np.isfinite(held.upper))[held.lower < held.upper].any())
        if held.active or (bounded and any_bound):
            raise InputError(f"{what} under bounds of coefficients would have to follow them from one to the other and "
                             "is not there; it is under equalities (constraints='...'): hold the coefficients that are "
                             "at their bound by equalities, or fit without bounds")  # fmt: skip
        if not self.converged_:
            raise InputError(f"the constrained fit has not converged, so that there is no {what}; see its warnings")
        return held.active_rows()[0] if len(held.matrix) else None

    def _separated(self: Any, data: Prepared) -> np.ndarray:
        """The rows that are separated, as the fit numbers them; empty where there are none."""
        rows = self.separation_.rows
        return np.asarray(rows[data.kept_rows] if rows.size and data.kept_rows is not None else rows)

    def _observations(self: Any, data: Prepared) -> float:
        """The number of observations, as the fit counts them."""
        return float(data.repeats if self.weight_type == "frequency" else np.count_nonzero(data.weight > 0.0))


__all__ = ["Inferring"]
