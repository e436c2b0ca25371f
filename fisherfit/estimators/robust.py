"""Covariances and standard errors of the estimates, of any kind, from the rows of the fit: the glue."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads, labelled
from ..choices import names_among
from ..columnwise import selected_errors
from ..covtypes import read_cov_type
from ..errors import CovarianceWarning, InputError, frames_inside

if TYPE_CHECKING:
    import pandas as pd


class Robust:
    """A fitted model's covariance and standard errors, of any kind."""

    def covariance(
        self: Any,
        X: Any,
        y: Any = None,
        cov_type: str | None = None,
        groups: Any = None,
        lags: int | None = None,
        correction: str | None = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
    ) -> pd.DataFrame:
        """The covariance of the estimates, of any kind, from the rows of the fit.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.
        cov_type : str, optional
            "expected", "observed", "opg", "HC0", "HC1", "HC2", "HC3", "cluster" or "HAC"; by default that of the fit.
        groups : array of shape (n,) or column name, or two of them, optional
            The group of every row, for "cluster"; two for two-way clusters. A column that the fit had is remembered.
        lags : int, optional
            Lags of "HAC", which takes the rows in their order; by default floor(4 (n / 100)^(2/9)).
        correction : {"CR1", "CR0", "CR3"}, optional
            Of "cluster": G / (G - 1) (n - 1) / (n - k), none, or the jackknife over groups.

        Returns
        -------
        pandas.DataFrame
            Rows and columns named as in ``result_.params``. ``attrs["cov_type"]`` says what it is. NaN where a
            coefficient is not estimable.

        Raises
        ------
        InputError
            For an unknown kind, groups that are missing or not needed, or data other than those of the fit.

        Warns
        -----
        CovarianceWarning
            Where a row has leverage 1 (HC2, HC3), or a two-way covariance is not positive semi-definite.

        Examples
        --------
        >>> import fisherfit as ff
        >>> quine = ff.datasets.load("quine")
        >>> model = ff.GLM(formula="days ~ eth + lrn", family="poisson").fit(quine)
        >>> model.result_.bse.round(4).to_dict()
        {'Intercept': 0.0319, 'eth[T.N]': 0.0418, 'lrn[T.SL]': 0.041}
        >>> import numpy as np
        >>> covariance = model.covariance(quine, cov_type="HC3")
        >>> dict(zip(covariance, np.sqrt(np.diag(covariance)).round(4).tolist()))
        {'Intercept': 0.1043, 'eth[T.N]': 0.165, 'lrn[T.SL]': 0.1642}
        """
        from ..sandwich import check, covariance_at, estimate_of, in_force

        self._check_fitted()
        cov = in_force(
            read_cov_type(self.cov_type if cov_type is None else cov_type, correction, lags), self.weight_type
        )
        groups = self._groups_for(cov.kind, groups, X)
        maximum, data = self._at_maximum(X, y, sample_weight, offset, exposure, groups, constrained=True)
        check(cov, maximum.likelihood, data.clusters)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            found = covariance_at(estimate_of(maximum, self._basis(maximum)), cov, self.weight_type, data.clusters)
            values = maximum.covariance_in_user_units(found.matrix)
        infinite = np.isinf(values.diagonal())
        values[found.lost, :] = values[:, found.lost] = np.nan
        values[np.diag_indices(infinite.size)] = np.where(infinite, np.inf, values.diagonal())
        for note in found.notes:
            row = 0
            if found.full.size:
                row = int(found.full[0] if data.kept_rows is None else np.flatnonzero(data.kept_rows)[found.full[0]])
            warnings.warn(note.format(row=row), CovarianceWarning, stacklevel=frames_inside())
        if hasattr(self, "constraints_"):  # what they fix does not vary; a bound that holds leaves no variance to give
            errors = self.result_.standard_errors
            for value, at in ((0.0, errors == 0.0), (np.nan, np.isnan(errors))):
                values[at, :] = values[:, at] = value
        out = labelled.frame(values, self.result_.names, self.result_.names)
        out.attrs["cov_type"] = found.name
        return out

    def standard_errors(
        self: Any,
        X: Any,
        y: Any = None,
        columns: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
    ) -> pd.Series:
        """Standard errors of some coefficients, without the covariance of all of them.

        With many thousands of coefficients `fit` does not compute standard errors, as their covariance would not
        fit. This solves for those of the columns asked for, one after the other, from the data of the fit.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.
        columns : list of str, optional
            Names of coefficients, as in ``result_.params``; by default all.
        groups : array of shape (n,) or column name, or two of them, optional
            As in `fit`, for ``cov_type="cluster"``; a column that the fit had is remembered.

        Returns
        -------
        pandas.Series
            Standard errors by name, of the kind that `cov_type` says: inf for infinite coefficients, NaN where a
            coefficient is not estimable.

        Raises
        ------
        InputError
            For a name that is no coefficient, data whose columns or rows differ from those of the fit, or a
            `cov_type` that needs the whole matrix (opg, HC2, HC3, CR3).

        Examples
        --------
        >>> import fisherfit as ff
        >>> trees = ff.datasets.load("trees")
        >>> model = ff.GLM("gamma").fit(trees[["girth", "height"]], trees["volume"])
        >>> model.standard_errors(trees[["girth", "height"]], trees["volume"], columns=["height"]).round(5).to_dict()
        {'height': 0.00325}
        >>> float(model.result_.bse["height"].round(5))
        0.00325
        """
        self._check_fitted()
        if hasattr(self, "constraints_"):
            raise InputError("under constraints or bounds the standard errors are those of result_.bse")
        groups = self._groups_for(read_cov_type(self.cov_type).kind, groups, X)
        data = self._data_of_fit(X, y, sample_weight, offset, exposure, groups)
        family, links = self._check_parameters()
        names = list(data.design.names)
        wanted = list(names_among(columns, names))
        lookup = {name: j for j, name in enumerate(names)}
        rows = self._separated(data)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            errors = selected_errors(
                self, self._likelihood(data, family, links), self.result_.coefficients, rows,
                [lookup[name] for name in wanted], data.clusters,
            )  # fmt: skip
        errors[np.isin(wanted, list(self.separation_.coefficients))] = np.inf
        return labelled.series(errors, wanted, "std err")

    def _groups_for(self: Any, kind: str, groups: Any, X: Any) -> Any:
        """The groups in use: those given, else the columns of the fit; a covariate may name groups too."""
        if kind != "cluster":
            if groups is not None:
                raise InputError(f"groups is for cov_type='cluster', not for {kind!r}; leave it out")
            return None
        if groups is None:
            remembered = getattr(self, "_group_columns", ())
            return (list(remembered) if len(remembered) > 1 else remembered[0]) if remembered else None
        from ..clusters import two_ways

        used = set(getattr(self, "feature_names_in_", ())) if self.formula is None else set()
        ways = [X[way] if isinstance(way, str) and way in used else way for way in two_ways(groups)]
        return ways[0] if len(ways) == 1 else ways


__all__ = ["Robust"]
