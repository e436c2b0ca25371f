"""What a fitted model says of new rows beyond the mean: intervals, distributions, marginal effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError, InputTypeError

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
        from ..predictive import check_level, distribution
        from ..uncertain import mean_interval, predicted

        check_level(level)
        methods = {"mean": ("link", "delta"), "observation": ("predictive", "plug-in")}
        if kind not in methods:
            raise InputError(f"kind: {kind!r} is not known; choose 'mean' or 'observation'")
        method = methods[kind][0] if method is None else method
        if method not in methods[kind]:
            raise InputError(
                f"method: {method!r} is not known for kind={kind!r}; choose {' or '.join(map(repr, methods[kind]))}"
            )
        rows = predicted(self._predictor, self.result_, X, offset, exposure)
        if kind == "observation":
            weight = _weights(sample_weight, rows)
            return distribution(rows, weight, method == "predictive").interval(level)
        if sample_weight is not None:
            raise InputError("sample_weight: a mean has no weight; leave it out, or use kind='observation'")
        lower, upper = mean_interval(rows, level, method)
        return rows.frame({"lower": lower, "upper": upper})

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


def _weights(sample_weight: Any, rows: Any) -> Any:
    """Weights of new rows, read; None for none."""
    if sample_weight is None:
        return None
    from ..response import read_weights
    from ..table import named_values

    return read_weights(named_values(sample_weight, rows.table, "sample_weight"), rows.table.n, rows.table.index)


__all__ = ["Predicting"]
