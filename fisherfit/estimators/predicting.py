"""What a fitted model says of new rows beyond the mean: intervals, distributions, marginal effects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..choices import check_level, one_of
from ..errors import BoundaryWarning, InputError, InputTypeError, SeparationWarning

if TYPE_CHECKING:
    import pandas as pd

    from ..predictive import PredictiveDistribution


class Predicting:
    """Methods of a fitted model that take new rows and use the covariance of its coefficients."""

    def predict_interval(
        self: Any,
        X: Any,
        kind: str = "mean",
        level: float = 0.95,
        method: str | None = None,
        offset: Any = None,
        exposure: Any = None,
        sample_weight: Any = None,
    ) -> pd.DataFrame:
        """Intervals for the mean, or for a new observation, of every row.

        Parameters
        ----------
        X : array or table of shape (m, p)
            New rows.
        kind : {"mean", "observation"}, default "mean"
            Confidence intervals for the mean response, or prediction intervals for a single new response.
        level : float, default 0.95
            Confidence level, strictly between 0 and 1.
        method : str, optional
            For the mean: ``"link"`` (default) makes the interval on the link scale and transforms it, so that it stays
            within the range of the mean; ``"delta"`` is the mean plus and minus a multiple of its standard error. For
            an observation: ``"predictive"`` (default) takes the uncertainty of the parameters into account;
            ``"plug-in"`` takes them as known, and is too short in small samples.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `predict`.
        sample_weight : array of shape (m,), scalar or column name, optional
            For an observation: its precision (variance phi V / w), or the number of its trials for the binomial
            family, whose responses are proportions. 1 by default.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper``, by the row labels of X.

        Raises
        ------
        InputError
            For arguments that cannot be used, and for observations where a fit has no distribution (quasi-likelihood).

        Examples
        --------
        >>> import fisherfit as ff
        >>> trees = ff.datasets.load("trees")
        >>> model = ff.GLM("gamma", formula="volume ~ np.log(girth) + np.log(height)").fit(trees)
        >>> model.predict_interval(trees.head(2)).round(2)
           lower  upper
        0   9.48  10.77
        1   9.32  10.66
        >>> model.predict_interval(trees.head(2), kind="observation").round(2)
           lower  upper
        0   8.41  11.98
        1   8.29  11.83
        """
        self._check_fitted()
        from ..predictive import distribution
        from ..uncertain import mean_interval, predicted

        check_level(level)
        methods = {"mean": ("link", "delta"), "observation": ("predictive", "plug-in")}
        one_of("kind", kind, tuple(methods))
        method = methods[kind][0] if method is None else method
        if method not in methods[kind]:
            raise InputError(
                f"method: {method!r} is not known for kind={kind!r}; choose {' or '.join(map(repr, methods[kind]))}"
            )
        rows = predicted(self._predictor, self.result_, X, offset, exposure)
        if kind == "observation":
            weight = _weights(sample_weight, rows)
            out = distribution(rows, weight, method == "predictive").interval(level)
            _say_unknown(self, out["lower"], "interval")
            return out
        if sample_weight is not None:
            raise InputError("sample_weight: a mean has no weight; leave it out, or use kind='observation'")
        lower, upper = mean_interval(rows, level, method)
        out = rows.frame({"lower": lower, "upper": upper})
        _say_unknown(self, out["lower"], "interval")
        return out

    def predict_distribution(
        self: Any,
        X: Any,
        parameter_uncertainty: bool = True,
        offset: Any = None,
        exposure: Any = None,
        sample_weight: Any = None,
    ) -> PredictiveDistribution:
        """The distribution of a new response at every row.

        Parameters
        ----------
        X : array or table of shape (m, p)
            New rows.
        parameter_uncertainty : bool, default True
            Mix the family over the uncertainty of its parameters; False takes the estimates as known.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `predict`.
        sample_weight : array of shape (m,), scalar or column name, optional
            Precision, or trials, of the new responses; 1 by default.

        Returns
        -------
        PredictiveDistribution
            With ``mean``, ``variance``, ``pdf`` or ``pmf``, ``cdf``, ``ppf``, ``interval`` and ``sample``.

        Raises
        ------
        InputError
            Where a fit has no distribution (quasi-likelihood).

        Examples
        --------
        >>> import fisherfit as ff
        >>> beetles = ff.datasets.load("beetles")
        >>> model = ff.GLM("binomial", formula="dead + alive ~ log_dose").fit(beetles)
        >>> new = model.predict_distribution(beetles.head(1), sample_weight=60)
        >>> (new.ppf(0.025) * 60).tolist(), (new.ppf(0.975) * 60).tolist()
        ([0.0], [8.0])
        """
        self._check_fitted()
        from ..predictive import distribution
        from ..uncertain import predicted

        if not isinstance(parameter_uncertainty, bool):
            raise InputTypeError(f"parameter_uncertainty must be True or False, got {parameter_uncertainty!r}")
        rows = predicted(self._predictor, self.result_, X, offset, exposure)
        return distribution(rows, _weights(sample_weight, rows), parameter_uncertainty)

    def marginal_effects(
        self: Any,
        X: Any,
        at: Any = "overall",
        columns: Any = None,
        kind: str = "dydx",
        scale: str = "mean",
        dummy: bool = True,
        level: float = 0.95,
        offset: Any = None,
        exposure: Any = None,
        sample_weight: Any = None,
    ) -> pd.DataFrame:
        """How much the mean changes with each column: average marginal effects, at means, or at values.

        The effect of a number is a derivative, taken through whatever the formula makes of the column. The effect of
        a category, or of a column of zeros and ones, is the difference from the mean at the reference level.

        Parameters
        ----------
        X : array or table of shape (m, p)
            The rows to average over: those of the fit, or others.
        at : {"overall", "mean", "median"} or dict, default "overall"
            ``"overall"`` averages the effects at every row. ``"mean"`` and ``"median"`` take them at one row with the
            means or medians of the numbers and the most frequent level of categories. A dict of values, such as
            ``{"age": [20, 40]}``, sets these in all rows and averages over the rest, for every combination.
        columns : str or list of str, optional
            Columns of the table; by default all that the model uses.
        kind : {"dydx", "eyex", "dyex", "eydx"}, default "dydx"
            dy/dx, or with logarithms: d log y / d log x (elasticity), dy / d log x, d log y / dx.
        scale : {"mean", "link"}, default "mean"
            Effects on the mean, or on the linear predictor.
        dummy : bool, default True
            Whether a column of zeros and ones is compared at 0 and 1; False takes its derivative.
        level : float, default 0.95
            Confidence level, strictly between 0 and 1.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `predict`.
        sample_weight : array of shape (m,), scalar or column name, optional
            Weights of the rows in the average.

        Returns
        -------
        pandas.DataFrame
            A row for every number and every level but the reference. Columns: the effect under the name of its
            kind, ``std err`` (delta method), ``t`` or ``z``, ``p_value``, ``lower`` and ``upper``.

        Raises
        ------
        InputError
            For arguments that cannot be used, and for a formula with a kink or a jump at some row.

        Examples
        --------
        >>> import fisherfit as ff
        >>> birthwt = ff.datasets.load("birthwt")
        >>> model = ff.GLM("binomial", formula="low ~ age + np.log(lwt) + race + smoke").fit(birthwt)
        >>> model.marginal_effects(birthwt)[["dydx", "std err"]].round(4)
                               dydx  std err
        age                 -0.0043   0.0066
        lwt                 -0.0028   0.0014
        race[black - white]  0.2408   0.1049
        race[other - white]  0.1756   0.0774
        smoke                0.2052   0.0728
        """
        self._check_fitted()
        from .. import margins

        check_level(level)
        if not isinstance(dummy, bool):
            raise InputTypeError(f"dummy must be True or False, got {dummy!r}")
        rows = margins.Margins(self._predictor, self.result_, X, offset, exposure, sample_weight, scale)
        out = margins.marginal_effects(rows, at, columns, kind, dummy, level)
        _say_unknown(self, out["std err"], "standard error")
        return out

    def average_prediction(
        self: Any,
        X: Any,
        by: Any = None,
        at: Any = "overall",
        scale: str = "mean",
        level: float = 0.95,
        offset: Any = None,
        exposure: Any = None,
        sample_weight: Any = None,
    ) -> pd.DataFrame:
        """Averages of predictions over rows, with standard errors: over all, by groups, or at set values.

        Parameters
        ----------
        X : array or table of shape (m, p)
            The rows to average over.
        by : str or list of str, optional
            Columns of the table; an average is taken in each group of rows that agree in them.
        at : {"overall", "mean", "median"} or dict, default "overall"
            As in `marginal_effects`: a dict sets columns in all rows, which makes averages comparable.
        scale : {"mean", "link"}, default "mean"
            Average means, or linear predictors.
        level : float, default 0.95
            Confidence level, strictly between 0 and 1.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `predict`.
        sample_weight : array of shape (m,), scalar or column name, optional
            Weights of the rows in the average.

        Returns
        -------
        pandas.DataFrame
            Columns: the average under the name of its scale, ``std err``, ``t`` or ``z``, ``p_value`` (for an
            average of 0), ``lower`` and ``upper``.

        Raises
        ------
        InputError
            For arguments that cannot be used.

        Examples
        --------
        >>> import fisherfit as ff
        >>> birthwt = ff.datasets.load("birthwt")
        >>> model = ff.GLM("binomial", formula="low ~ age + lwt + smoke").fit(birthwt)
        >>> model.average_prediction(birthwt, at={"smoke": [0, 1]})[["mean", "std err"]].round(4).reset_index()
           smoke    mean  std err
        0      0  0.2566   0.0404
        1      1  0.3972   0.0557
        """
        self._check_fitted()
        from .. import margins

        check_level(level)
        rows = margins.Margins(self._predictor, self.result_, X, offset, exposure, sample_weight, scale)
        out = margins.average_prediction(rows, by, at, level)
        _say_unknown(self, out["std err"], "standard error")
        return out


def _say_unknown(model: Any, values: Any, what: str) -> None:
    """Warn of NaN that come from infinite estimates, or from parameters at their bound."""
    lost = values.isna().to_numpy()
    at_bound = list((model.boundary_ or {}).get("parameters", ()))
    if not lost.any() or not (model.separation_ or at_bound):
        return
    label = values.index[int(lost.argmax())]
    which = f"the {what} of {getattr(label, 'item', lambda: label)()!r} is NaN ({int(lost.sum())} in all)"
    if model.separation_:
        names = ", ".join(model.separation_.coefficients)
        warnings.warn(f"{which}, as it depends on infinite estimates ({names}); bias_reduction='mean' gives finite "
                      "ones", SeparationWarning, stacklevel=3)  # fmt: skip
    else:
        warnings.warn(f"{which}, as it depends on what is at its bound ({', '.join(at_bound)}), whose standard error "
                      "is not known", BoundaryWarning, stacklevel=3)  # fmt: skip


def _weights(sample_weight: Any, rows: Any) -> Any:
    """Weights of new rows, read; None for none."""
    if sample_weight is None:
        return None
    from ..response import read_weights
    from ..table import named_values

    return read_weights(named_values(sample_weight, rows.table, "sample_weight"), rows.table.n, rows.table.index)


__all__ = ["Predicting"]
