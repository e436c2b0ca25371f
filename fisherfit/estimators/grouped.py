"""GroupedGLM: the same generalised linear model for every group of rows, in one call."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..choices import check_level
from ..errors import InputError, InputTypeError, MissingValuesWarning, RankWarning
from ..families import Family
from ..groups import Labels, match_labels, read_labels, sort_rows
from ..links import Link
from ..prepare import Prepared, prepare
from ..result import quantile, upper_tail
from ..table import Table, read_table, shown
from ._estimator import Estimator
from .by_group import FLAGS, ByGroup, fit_by_group
from .glm import GLM
from .group_prediction import GroupPredictor


class GroupedGLM(Estimator):
    """The same generalised linear model fitted to each of many groups of rows, in one call.

    Every group's numbers are those of :class:`GLM` fitted to its rows alone. Groups whose fit is regular go through
    one compiled loop; separated, bounded and other hard groups are fitted one by one, as `GLM` does it.

    Parameters
    ----------
    family : str or Family, default "normal"
        As in :class:`GLM`, a user's own family included.
    link : str or Link, optional
        As in :class:`GLM`.
    formula : str, optional
        ``"y ~ x + C(z)"``; ``fit`` then takes the table alone.
    fit_intercept : bool, default True
        Ignored where a formula says it.
    dispersion : {"pearson", "deviance", "ml"} or float, optional
        As in :class:`GLM`; estimated in every group.
    weight_type : {"analytic", "frequency", "probability"}, default "analytic"
        What ``sample_weight`` means. Probability weights are scaled within each group.
    missing : {"raise", "drop"}, default "raise"
        What to do with rows that have a missing value in a column that is used, or no label.
    max_iter : int, default 100
        Steps at the most, in every group.
    tol : float, default 1e-20
        Decrement s'F^-1 s / phi to stop at.
    n_jobs : int, optional
        Threads; by default OMP_NUM_THREADS or all processors. Results do not depend on it, to the bit.
    verbose : int, default 0
        1 prints how many groups were fitted together and one by one.

    Attributes
    ----------
    params_ : pandas.DataFrame
        Coefficients, a row for every group. NaN where a column is a combination of the columns to its left in the
        rows of the group: a level that does not occur, say. (As in R; `GLM` gives the solution of least norm.)
    bse_ : pandas.DataFrame
        Standard errors: inf where a coefficient is infinite, NaN where it is not estimable.
    results_ : pandas.DataFrame
        For every group: ``nobs``, ``df_resid``, ``llf``, ``aic``, ``deviance``, ``pearson_chi2``, ``dispersion``,
        ``n_iter``, ``converged``, ``certificate`` (the distance from the maximum in standard errors), ``rank``, and
        whether it is ``separated``, at a ``boundary``, or an ``exact_fit``.
    groups_ : pandas.Index
        The labels, in the order of the rows of these frames: sorted, or that of the categories.

    Notes
    -----
    Levels of categorical columns are those of the whole table, so that all groups have the same coefficients.

    Examples
    --------
    >>> import fisherfit as ff
    >>> data = ff.datasets.load("warpbreaks")
    >>> model = ff.GroupedGLM(formula="breaks ~ tension", family="poisson").fit(data, groups="wool")
    >>> model.params_.loc["B"].round(4).to_dict()
    {'Intercept': 3.3401, 'tension[T.M]': 0.0195, 'tension[T.H]': -0.4074}
    >>> model.results_["converged"].to_dict()
    {'A': True, 'B': True}
    """

    _mark = "results_"

    def __init__(
        self,
        family: str | Family = "normal",
        link: str | Link | None = None,
        *,
        formula: str | None = None,
        fit_intercept: bool = True,
        dispersion: str | float | None = None,
        weight_type: str = "analytic",
        missing: str = "raise",
        max_iter: int = 100,
        tol: float = 1e-20,
        n_jobs: int | None = None,
        verbose: int = 0,
        **others: Any,
    ) -> None:
        _refuse(others, "GroupedGLM")
        self.family = family
        self.link = link
        self.formula = formula
        self.fit_intercept = fit_intercept
        self.dispersion = dispersion
        self.weight_type = weight_type
        self.missing = missing
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        **others: Any,
    ) -> GroupedGLM:
        """Fit the model to every group.

        Parameters
        ----------
        X : array or table of shape (n, p)
            As in :meth:`GLM.fit`. With a formula, the table it names columns of.
        y : array of shape (n,), or (n, 2) for successes and failures
            The response; not given where a formula names it.
        groups : array of shape (n,) or column name
            The label of every row: whole numbers, strings, categories. A column named here is no covariate.
        sample_weight, offset, exposure : array of shape (n,) or column name, optional
            As in :meth:`GLM.fit`.

        Returns
        -------
        GroupedGLM
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError, FormulaError
            For data or arguments that cannot be used, before any work; nothing already fitted is lost.

        Warns
        -----
        ConvergenceWarning, SeparationWarning, RankWarning, BoundaryWarning, ExactFitWarning, NonIntegerWarning
            One of a kind, with the number of groups and the names of the first; ``results_`` tells which they are.
        """
        _refuse(others, "GroupedGLM.fit")
        inner = self._model()
        if not isinstance(self.verbose, (int, np.integer, np.bool_)):
            raise InputTypeError(f"verbose must be 0 or 1, got {self.verbose!r}")
        family, links = inner._check_parameters()
        whole_table = read_table(X)
        labels = read_labels(groups, whole_table)
        table = whole_table
        if isinstance(groups, str) and self.formula is None:
            table = _without(whole_table, groups)
        if labels.missing and self.missing == "raise":
            row = int(np.argmax(labels.codes < 0))
            raise InputError(
                f"groups has a missing label at row {row} ({labels.missing} in all); "
                "use missing='drop' to leave such rows out, or fill them"
            )
        data = prepare(inner, family, links[0], table, y, sample_weight, offset, exposure)
        labels = _kept(labels, data)
        rows = sort_rows(labels, data.weight)
        dropped = data.dropped + labels.missing
        whole = _whole_rows(family, data, inner.weight_type)
        found = fit_by_group(inner, family, links, data, labels, rows, whole)
        needs = _is_array(offset), _is_array(exposure)
        predictor = GroupPredictor(
            data.terms,
            family,
            links,
            np.zeros(0),
            data.offset_names,
            data.design.n,
            needs,
            params=found.params,
            null=found.null,
        )
        self._keep(found, data, labels, predictor, groups if isinstance(groups, str) else None, dropped)
        return self

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """All coefficients in long form, a row for every group and term.

        Parameters
        ----------
        level : float
            Confidence level of the intervals, strictly between 0 and 1.

        Returns
        -------
        pandas.DataFrame
            Columns: the group, ``term``, ``coef``, ``std err``, ``t`` or ``z``, ``P>|t|`` or
            ``P>|z|`` (as in the table of :meth:`GLM.summary`), ``lower``, ``upper``.
        """
        self._check_fitted()
        check_level(level)
        b, se = self.params_.to_numpy(), self.bse_.to_numpy()
        positive = np.isin(self.params_.columns, self._positive)[None, :]
        tail = 0.5 + 0.5 * level
        df = self.results_["df_resid"].to_numpy(float)[:, None]
        letter = "t" if self._use_t else "z"
        with np.errstate(all="ignore"):
            t = np.where(positive | np.isinf(se), np.nan, b / se)
            p = 2.0 * (upper_tail(np.abs(t), df if self._use_t else None))
            q = quantile(tail, df if self._use_t else None)
            ratio = np.exp(q * se / np.where(b > 0, b, np.nan))
            lower, upper = np.where(positive, b / ratio, b - q * se), np.where(positive, b * ratio, b + q * se)
        size, width = b.shape
        name = str(self.groups_.name)
        return pd.DataFrame({
            name: self.groups_.repeat(width), "term": np.tile(self.params_.columns.to_numpy(), size),
            "coef": b.ravel(), "std err": se.ravel(), letter: t.ravel(), f"P>|{letter}|": p.ravel(),
            "lower": lower.ravel(), "upper": upper.ravel(),
        })  # fmt: skip

    def predict(
        self, X: Any, groups: Any = None, offset: Any = None, exposure: Any = None, kind: str = "mean"
    ) -> np.ndarray:
        """Predictions for new rows, each by the coefficients of its group.

        Parameters
        ----------
        X : array or table of shape (m, p)
            Columns of a table are matched by name.
        groups : array of shape (m,) or column name, optional
            The label of every row; a column named in `fit` is remembered.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `fit`. Named columns are remembered; arrays must be given again.
        kind : {"mean", "link"}, default "mean"
            The mean response, or the linear predictor.

        Returns
        -------
        array of shape (m,)

        Raises
        ------
        InputError
            For a group that the fit has not seen, by name.
        """
        self._check_fitted()
        table = read_table(X)
        groups = self._groups_name if groups is None else groups
        codes = match_labels(groups, table, self.groups_)
        if groups is not None and isinstance(groups, str) and self.formula is None:
            table = _without(table, groups)
        values, unknown = self._predictor.predict_groups(table, codes, offset, exposure, kind)
        if unknown.any():
            row = int(np.argmax(unknown))
            warnings.warn(
                f"{int(unknown.sum())} rows have no prediction (NaN), because the data of their group do not determine "
                f"it (row {row}, group {shown(self.groups_[codes[row]])}): a level that does not occur there, say",
                RankWarning,
                stacklevel=2,
            )
        return np.asarray(values)

    def _model(self) -> GLM:
        """The GLM that each group is fitted with."""
        return GLM(**{**self.get_params(deep=False), "verbose": 0})

    def _keep(
        self, found: ByGroup, data: Prepared, labels: Labels, predictor: GroupPredictor, name: str | None, dropped: int
    ) -> None:
        """Assign everything at once: a fit that fails before this leaves the estimator as it was."""
        for message, kind in found.warnings:
            warnings.warn(message, kind, stacklevel=3)
        if dropped:
            warnings.warn(
                f"{dropped} of {data.design.n + data.dropped} rows have missing values and were left out",
                MissingValuesWarning,
                stacklevel=3,
            )
        index = labels.index
        table = {
            k: v if k in FLAGS else v.astype(int) if k in ("n_iter", "rank") else v for k, v in found.table.items()
        }
        if self.verbose:
            print(
                f"{len(index)} groups: {len(index) - found.one_by_one} fitted together, {found.one_by_one} one by one"
            )
        family = predictor.family
        values: dict[str, Any] = {
            "params_": pd.DataFrame(found.params, index=index, columns=list(found.names)),
            "bse_": pd.DataFrame(found.bse, index=index, columns=list(found.names)),
            "results_": pd.DataFrame(table, index=index),
            "groups_": index,
            "n_features_in_": data.n_features,
            "_predictor": predictor,
            "_groups_name": name,
            "_use_t": family.has_dispersion if self.dispersion is None else isinstance(self.dispersion, str),
            "_positive": [n for n, s in list(family.parameters.items())[1:] if s in ("positive", "nonnegative")],
        }
        self.__dict__.pop("feature_names_in_", None)
        if data.feature_names is not None:
            values["feature_names_in_"] = np.array(data.feature_names, dtype=object)
        self.__dict__.update(values)


def _refuse(others: dict[str, Any], where: str) -> None:
    """Refuse arguments that are not there, and say so of those that `GLM` has."""
    for name in others:
        if name in inspect.signature(GLM).parameters or name in inspect.signature(GLM.fit).parameters:
            raise InputTypeError(f"{where} has no argument {name!r}, which GLM has; fit GLM to the rows of a group to "
                                 "use it")  # fmt: skip
        raise InputTypeError(f"{where} has no argument {name!r}; see help({where})")


def _without(table: Table, name: str) -> Table:
    """The table without the column that holds the labels."""
    return replace(table, names=tuple(other for other in table.names if other != name))


def _kept(labels: Labels, data: Prepared) -> Labels:
    """The labels of the rows that are left, and the groups that still have some."""
    if data.kept_rows is None:
        return labels
    codes = labels.codes[data.kept_rows]
    used = np.zeros(len(labels.index) + 1, bool)
    used[codes] = True
    used = used[:-1]
    number = np.append(np.cumsum(used) - 1, -1)
    codes = number[codes]
    return Labels(codes, labels.index[used], int((codes < 0).sum()))


def _whole_rows(family: Family, data: Prepared, weight_type: str) -> np.ndarray:
    """False for the rows whose counts are not whole numbers."""
    if data.whole:
        return np.ones(1, bool)
    y, w = data.y, data.user_weight
    if family.takes_trials:
        counts = y * data.trials if data.trials is not None else y * (w if weight_type == "analytic" else 1.0)
        return np.asarray(np.abs(counts - np.rint(counts)) <= 1e-6 * (1 + counts))
    return np.asarray(y == np.rint(y))


def _is_array(given: Any) -> bool:
    return given is not None and not isinstance(given, str)
