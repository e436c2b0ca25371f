"""Profiles and intervals of a fitted model: the glue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..choices import names_among, one_of
from ..errors import InputError, InputTypeError
from ..penalised import need_objective, need_plain, with_penalty

if TYPE_CHECKING:
    import pandas as pd

    from ..deltas import Estimate
    from ..profiles import Profile


class Intervals:
    """Wald, profile-likelihood and score intervals, and those of functions of the parameters."""

    def profile(
        self: Any,
        X: Any,
        y: Any = None,
        columns: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        level: float = 0.95,
    ) -> Profile:
        """Profiles of the likelihood: intervals that need no normal approximation, and their traces.

        The interval of a parameter holds the values that a likelihood-ratio test does not reject, all other parameters
        being fitted anew at each. It is as skew as the likelihood, and the same after any change of the parameter.
        An infinite estimate (separation) has an interval with one finite end.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.
        columns : list of str, optional
            Names of parameters, as in ``result_.params``; by default all.
        level : float, default 0.95
            The level whose ends are computed at once; others follow when they are asked for.

        Returns
        -------
        Profile
            With ``conf_int(level)``, ``trace(name)``, ``to_frame()``, ``converged`` and ``notes``. It holds the rows.

        Raises
        ------
        InputError
            For a name that is no parameter, data other than those of the fit, sampling weights and estimates of
            reduced bias that have no likelihood, plain or penalised, and fits under bounds.

        Warns
        -----
        SeparationWarning, BoundaryWarning, ConvergenceWarning
            For ends that are infinite, at a bound, or not found.

        Notes
        -----
        The quantile is that of the normal law, or of t(df_resid) where the dispersion is estimated; the dispersion
        stays at its estimate. `cov_type` has no part in it. With ``bias_reduction="jeffreys"``, or "mean" and the
        canonical link, the likelihood is the penalised one that the estimates maximise, with the information of all
        coefficients in its penalty. Under equality constraints the profile keeps to them.

        Examples
        --------
        >>> import fisherfit as ff
        >>> crabs = ff.datasets.load("crabs")
        >>> model = ff.GLM(formula="satellites ~ width", family="poisson").fit(crabs)
        >>> profile = model.profile(crabs)
        >>> profile.conf_int().round(4)
                    lower   upper
        Intercept -4.3662 -2.2407
        width      0.1247  0.2030
        """
        self._check_fitted()
        need_objective(self.result_, "a profile of the likelihood")
        found = self._profile(X, y, columns, sample_weight, offset, exposure, level)
        found.intervals(level)
        return found

    def conf_int(
        self: Any,
        level: float = 0.95,
        method: str = "wald",
        X: Any = None,
        y: Any = None,
        columns: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
    ) -> pd.DataFrame:
        """Confidence intervals of the parameters.

        Parameters
        ----------
        level : float, default 0.95
            Confidence level, strictly between 0 and 1.
        method : {"wald", "profile", "score"}, default "wald"
            From the standard errors; or the values that the likelihood-ratio test or Rao's score test do not reject,
            which need the data of the fit.
        X, y, sample_weight, offset, exposure
            The data of the fit, for "profile" and "score".
        columns : list of str, optional
            Names of parameters; by default all.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper``.

        Raises
        ------
        InputError
            For an unknown method or name, or where data are missing or are not those of the fit.

        Examples
        --------
        Wilson's interval is the score interval of a proportion, here of 15 successes out of 20:

        >>> import numpy as np, pandas as pd
        >>> import fisherfit as ff
        >>> table = pd.DataFrame({"yes": [15], "no": [5]})
        >>> model = ff.GLM(formula="yes + no ~ 1", family="binomial").fit(table)
        >>> logit = model.conf_int(method="score", X=table)
        >>> (1.0 / (1.0 + np.exp(-logit))).round(4)
                    lower   upper
        Intercept  0.5313  0.8881
        """
        self._check_fitted()
        one_of("method", method, ("wald", "profile", "score"))
        if hasattr(level, "shape") and len(level.shape) > 0:
            raise InputTypeError("level is a table or an array; conf_int takes the rows as X=, by name")
        if method == "wald":
            return self.result_.conf_int(level).loc[list(names_among(columns, self.result_.names))]
        if method == "profile":
            need_objective(self.result_, "an interval of method='profile'")
        else:
            need_plain(self.result_, f"an interval of method={method!r}", "use method='profile'")
        if X is None:
            raise InputError(f"conf_int(method={method!r}) needs the rows again: give X, y and the weights and offsets "
                             "of the fit")  # fmt: skip
        return self._profile(X, y, columns, sample_weight, offset, exposure, level).conf_int(level, method)

    def _profile(
        self: Any, X: Any, y: Any, columns: Any, sample_weight: Any, offset: Any, exposure: Any, level: float
    ) -> Profile:
        """The profiles of some parameters, none of them computed yet."""
        from ..profiles import critical, profile_of
        from ..within import within

        matrix = self._equalities("profile", True)
        maximum, data = self._at_maximum(X, y, sample_weight, offset, exposure, constrained=True)
        critical(maximum, level)
        maximum = self._maximum_of_objective(maximum) if matrix is None else within(maximum, matrix)
        family, links = self._check_parameters()
        infinite = dict(self.separation_.coefficients)
        likelihood = self._likelihood(data, family, links) if infinite else maximum.likelihood
        rows = list(self.boundary_.get("rows", ())) if self.boundary_ else []
        return profile_of(maximum, likelihood, names_among(columns, maximum.names), infinite, rows)

    def _maximum_of_objective(self: Any, maximum: Any) -> Any:
        """The fit as the maximum of what it maximises: for estimates of reduced bias the penalised likelihood."""
        if self.bias_reduction is not None and not self.converged_:
            raise InputError("the fit has not converged, so that its penalised likelihood has no maximum to start "
                             "from; see the warnings of fit")  # fmt: skip
        return with_penalty(maximum)

    def delta(
        self: Any,
        function: Any,
        level: float = 0.95,
        method: str = "delta",
        covariance: Any = None,
    ) -> Estimate:
        """A function of the parameters, with its standard error and interval.

        Parameters
        ----------
        function : str or callable
            An expression of the parameters' names, as ``"exp(x1)"`` or ``"-Intercept / log_dose"``; names that are not
            Python names stand in backticks, ``"exp(`wool[T.B]`)"``. Or a function that takes the parameters as a
            pandas Series and returns a number.
        level : float, default 0.95
            Confidence level.
        method : {"delta", "fieller"}, default "delta"
            The delta method, or Fieller's interval of a ratio of two linear functions of the parameters.
        covariance : DataFrame or array, optional
            The covariance to use; by default that of the fit.

        Returns
        -------
        Estimate
            With ``estimate``, ``standard_error``, ``lower``, ``upper``, ``cov_type``, and ``to_frame()``.

        Raises
        ------
        InputError
            For an expression that cannot be read, names no parameter or is no ratio (Fieller), and for a function
            that is not smooth at the estimates.

        Examples
        --------
        The dose that kills half of the beetles, on the log scale:

        >>> import fisherfit as ff
        >>> beetles = ff.datasets.load("beetles")
        >>> model = ff.GLM(formula="dead + alive ~ log_dose", family="binomial").fit(beetles)
        >>> model.delta("-Intercept / log_dose")
        -Intercept / log_dose = 1.77172, std err 0.003858, 95% interval (delta) [1.76416, 1.77928]
        >>> model.delta("-Intercept / log_dose", method="fieller")
        -Intercept / log_dose = 1.77172, std err 0.003858, 95% interval (fieller) [1.76386, 1.7792]
        """
        from ..deltas import function_of

        self._check_fitted()
        return function_of(self.result_, function, level, method, covariance)


__all__ = ["Intervals"]
