"""What a fitted mixture says of its parameters when it is given its rows again: the glue of inference."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads
from ..choices import names_among, one_of
from ..covtypes import CovType, read_cov_type
from ..errors import InputError, InputTypeError, frames_inside
from ..mixtures.covariance import WITHOUT
from ..model_terms import ModelTerm
from ..table import read_table
from .mixture_covariance import as_frame, check_order, named
from .rows_of_fit import RowsOfFit, clusters_of

if TYPE_CHECKING:
    import pandas as pd

    from ..deltas import Estimate
    from ..mixtures.bootstrap import BootstrapTest
    from ..mixtures.profiles import MixtureProfile
    from ..mixtures.result import MixtureSummary
    from ..testing import HypothesisTest


class MixedInference(RowsOfFit):
    """Methods of a fitted mixture that take the data of its fit again, in the arguments of `fit`."""

    def summary(self: Any, level: float = 0.95) -> MixtureSummary:
        """The summary of the fit: prints as text, shows as HTML in a notebook."""
        self._check_fitted()
        summary: MixtureSummary = self.result_.summary(level)
        return summary

    def covariance(
        self: Any,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        cov_type: str | None = None,
        clusters: Any = None,
        lags: int | None = None,
        correction: str | None = None,
        **data: Any,
    ) -> pd.DataFrame:
        """The covariance of the estimates, of any kind, from the rows of the fit.

        Parameters
        ----------
        X, y, sample_weight, **data
            The data of the fit, as they were given to `fit`.
        cov_type : str, optional
            "observed", "opg", "HC0", "HC1", "cluster" (or "cluster(CR0)") or "HAC" (or "HAC(8)"); that of the
            constructor by default.
        clusters : array of shape (n,) or column name, or two of them, optional
            The cluster of every row, for "cluster"; two for two-way clusters. Columns that the fit had are remembered.
        lags : int, optional
            Lags of "HAC", which takes the rows in their order; by default floor(4 (n / 100)^(2/9)).
        correction : {"CR1", "CR0"}, optional
            Of "cluster": G / (G - 1) (n - 1) / (n - p), or none.

        Returns
        -------
        pandas.DataFrame
            Rows and columns named as in ``result_.params``; ``attrs["cov_type"]`` says what it is. NaN for parameters
            on the edge of their space and those that the data do not identify.

        Raises
        ------
        InputError
            For an unknown kind, clusters that are missing or not needed, or data other than those of the fit.

        Examples
        --------
        >>> import numpy as np, fisherfit as ff
        >>> geyser = ff.datasets.load("faithful")
        >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
        >>> robust = model.covariance(geyser, cov_type="HC0")
        >>> np.sqrt(np.diag(robust)).round(4)[:3].tolist(), model.result_.standard_errors.round(4)[:3].tolist()
        ([0.0291, 0.0291, 0.0284], [0.0291, 0.0291, 0.0271])
        """
        cov = read_cov_type(self.cov_type if cov_type is None else cov_type, correction, lags, WITHOUT)
        return self._covariance(X, y, sample_weight, data, cov, clusters)

    def test(
        self: Any,
        hypothesis: Any,
        method: str = "wald",
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        cov_type: str | None = None,
        clusters: Any = None,
        **data: Any,
    ) -> HypothesisTest:
        """Test a linear hypothesis on the parameters.

        Parameters
        ----------
        hypothesis : str, list of str, array of shape (m, p), or pair (R, r)
            ``"sigma[0] = sigma[1]"``; several, separated by commas: ``"weight[0] = 0.5, x[0] = 0"``; R with R b = 0,
            or R and r with R b = r. Names are those of ``result_.params``. A name without its component, such as
            ``"x"`` or ``"C(region)"`` of a regression, stands for its coefficients in all components, which are zero.
        method : {"wald", "lr", "score"}, default "wald"
            Wald needs no rows; the others maximise the likelihood under the hypothesis and need the data of the fit.
        X, y, sample_weight, **data
            The data of the fit, as they were given to `fit`.
        cov_type : str, optional
            Covariance of a Wald test, of any kind that :meth:`covariance` has; that of the fit by default.
        clusters : array of shape (n,) or column name, or two of them, optional
            For ``cov_type="cluster"``.

        Returns
        -------
        HypothesisTest
            With ``statistic``, ``df``, ``p_value``, ``method``; chi-square.

        Raises
        ------
        InputError
            For hypotheses that cannot be read, contradict themselves or lie on the edge of the parameter space, and
            for data that are not those of the fit.

        Warns
        -----
        ConvergenceWarning
            Where the maximum under the hypothesis was not reached, or lies above the fit.

        Examples
        --------
        >>> import fisherfit as ff
        >>> geyser = ff.datasets.load("faithful")
        >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
        >>> model.test("weight[0] = 0.5", method="lr", X=geyser)
        Likelihood-ratio test of weight[0] = 0.5: chi2(1) = 22.8484, p = 1.8e-06
        """
        from ..hypotheses import read_hypothesis
        from ..mixtures.testing import run

        self._check_fitted()
        one_of("method", method, ("wald", "lr", "score"))
        result = self.result_
        found = read_hypothesis(hypothesis, result.names, self._families_of_names())
        self._need_errors(found.matrix, "hypothesis")
        kind, covariance, at = result.cov_type, result.covariance, None
        if method == "wald":
            if cov_type is not None or clusters is not None:
                if X is None:
                    raise InputError(f"cov_type={cov_type!r} needs the data of the fit; give X and what else fit had")
                cov = read_cov_type("cluster" if cov_type is None else cov_type, without=WITHOUT)
                kind, covariance = str(cov), np.asarray(self._covariance(X, y, sample_weight, data, cov, clusters))
        else:
            for name, given in (("cov_type", cov_type), ("clusters", clusters)):
                if given is not None:
                    raise InputError(f"{name} is for method='wald'; the {method} test uses the likelihood itself")
            if X is None:
                raise InputError(f"the {method} test needs the data of the fit; give X and what else fit had, or use "
                                 "method='wald'")  # fmt: skip
            self._need_converged(f"the {method} test")
            at = self._at_fit(X, y, sample_weight, data)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            problem, point = (None, self._theta) if at is None else (at.problem, at.point)
            test, notes = run(problem, point, result, covariance, found, method)
        for message, category in notes:
            warnings.warn(message, category, stacklevel=frames_inside())
        return replace(test, cov_type=kind) if method == "wald" else test

    def profile(
        self: Any,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        parameters: Any = None,
        **data: Any,
    ) -> MixtureProfile:
        """Profiles of the likelihood: intervals that need no normal approximation, and their curves.

        Parameters
        ----------
        X, y, sample_weight, **data
            The data of the fit, as they were given to `fit`.
        parameters : list of str, optional
            Names of parameters, as in ``result_.params``; by default all.

        Returns
        -------
        MixtureProfile
            With ``conf_int(level)``, ``trace(name)``, ``plot(name)``, and ``reasons`` for ends that are infinite, at
            a bound or not found. It holds the rows; ends are computed when they are asked for.

        Raises
        ------
        InputError
            For a name that is no parameter, and data other than those of the fit.

        Examples
        --------
        >>> import fisherfit as ff
        >>> deaths = ff.datasets.load("times_deaths")
        >>> model = ff.MixtureModel("poisson", 2, random_state=0).fit(deaths, sample_weight="days")
        >>> profile = model.profile(deaths, sample_weight="days", parameters=["mean[0]", "mean[1]"])
        >>> profile.conf_int().round(3)
                 lower  upper
        mean[0]  0.460  1.808
        mean[1]  2.318  3.417
        """
        from ..mixtures.profiles import MixtureProfile

        self._check_fitted()
        try:
            names = names_among(parameters, self.result_.names)
        except (InputError, InputTypeError) as error:
            raise type(error)(str(error).replace("columns:", "parameters:", 1)) from None
        self._need_converged("a profile of the likelihood")
        at = self._at_fit(X, y, sample_weight, data)
        return MixtureProfile(at.problem, at.point, self.result_, self.result_.covariance, names)

    def delta(self: Any, function: Any, level: float = 0.95, covariance: Any = None) -> Estimate:
        """A function of the parameters, with its standard error and interval by the delta method.

        Parameters
        ----------
        function : str or callable
            An expression of the parameters' names, as ``"mean[1,waiting] - mean[0,waiting]"``, or a function that
            takes the parameters as a pandas Series and returns a number.
        level : float, default 0.95
            Confidence level.
        covariance : DataFrame or array, optional
            The covariance to use, as :meth:`covariance` has it; that of the fit by default.

        Returns
        -------
        Estimate
            With ``estimate``, ``standard_error``, ``lower``, ``upper``, ``cov_type``, and ``to_frame()``.

        Raises
        ------
        InputError
            For an expression that cannot be read or names no parameter, for a function that is not smooth at the
            estimates, and for parameters without a standard error.

        Notes
        -----
        Labels of components are arbitrary. A function that does not change when two of them change places, such as a
        mean of the mixture, is safe; any other holds for the components as they are ordered here, and means little
        where two of them overlap so much that they might as well have changed places.

        Examples
        --------
        >>> import fisherfit as ff
        >>> geyser = ff.datasets.load("faithful")
        >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
        >>> model.delta("mean[1,waiting] - mean[0,waiting]").to_frame().round(3)
                                           estimate  std err   lower   upper
        mean[1,waiting] - mean[0,waiting]     25.49    0.744  24.031  26.949
        """
        from ..deltas import function_of

        self._check_fitted()
        if covariance is None and self.result_.covariance is None:
            raise InputError("the observed information is not positive definite at the estimates, so that there are "
                             "no standard errors; see the warnings of fit")  # fmt: skip
        return function_of(self.result_, function, level, "delta", covariance)

    def bootstrap_test(
        self: Any,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        n_components: int | None = None,
        n_boot: int = 199,
        n_init: int = 1,
        random_state: Any = None,
        **data: Any,
    ) -> BootstrapTest:
        """Test the number of components against a larger one, by the parametric bootstrap (McLachlan, 1987).

        The likelihood-ratio statistic has no chi-square law, since the smaller model lies on the edge of the larger.
        Data are drawn from the fit, and both models fitted to each.

        Parameters
        ----------
        X, y, sample_weight, **data
            The data of the fit, as they were given to `fit`. Weights are frequencies.
        n_components : int, optional
            The larger number; by default one more than the fit has.
        n_boot : int, default 199
            Draws.
        n_init : int, default 1
            Random starts of every kind for each fit of the larger model, besides those from the smaller with a
            component split.
        random_state : int or numpy.random.Generator, optional
            Where the draws come from.

        Returns
        -------
        BootstrapTest
            With ``statistic``, ``p_value`` = (1 + draws at least as large) / (1 + n_boot), and ``simulated``.

        Raises
        ------
        InputError
            For data other than those of the fit, weights that are no frequencies, and components of different kinds.

        Examples
        --------
        >>> import fisherfit as ff
        >>> geyser = ff.datasets.load("faithful")
        >>> model = ff.GaussianMixture(1).fit(geyser)
        >>> model.bootstrap_test(geyser, n_boot=19, random_state=0)
        Bootstrap test of 1 against 2 components: LR = 319.0656, p = 0.05 (19 draws)
        """
        from ..mixtures.bootstrap import bootstrap
        from ..randomness import generator

        self._check_fitted()
        count = self.result_.n_components
        larger = count + 1 if n_components is None else n_components
        for name, value, least in (("n_components", larger, count + 1), ("n_boot", n_boot, 1), ("n_init", n_init, 1)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
        rng = generator(random_state)
        self._need_converged("a bootstrap test")
        at = self._at_fit(X, y, sample_weight, data)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            return bootstrap(at.mixture, self._theta, self._drawn, int(larger), int(n_boot), int(n_init), rng)

    def _covariance(
        self: Any, X: Any, y: Any, sample_weight: Any, data: dict[str, Any], cov: CovType, clusters: Any
    ) -> pd.DataFrame:
        from ..mixtures import covariance as kinds

        self._check_fitted()
        remembered = getattr(self, "_cluster_columns", ())
        if clusters is None and cov.kind == "cluster" and remembered:
            clusters = list(remembered) if len(remembered) > 1 else remembered[0]
        if (clusters is not None) != (cov.kind == "cluster"):
            if clusters is not None:
                raise InputError(f"clusters is for cov_type='cluster', not for {cov.kind!r}; leave it out")
            kinds.check_kind(cov, None)
        table = read_table(X)
        X = self._without(table, clusters, (sample_weight, *data.values()))
        at = self._at_fit(X, y, sample_weight, data)
        found = None if clusters is None else clusters_of(clusters, table, at.units, at.mixture)
        check_order(cov, at.mixture.edges)
        frequency = getattr(self, "weight_type", "frequency") == "frequency"
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            values = named(at.mixture, self._theta, self._held, at.bread, self.result_, cov, frequency, found)
        return as_frame(values, self.result_, cov)

    def _families_of_names(self: Any) -> tuple[ModelTerm, ...]:
        """Names without their component, and terms of a formula, with the places of their parameters."""
        names, supports = self.result_.names, self.result_.supports
        found: dict[str, list[int]] = {}
        for j, (name, support) in enumerate(zip(names, supports, strict=True)):
            stem = re.sub(r"^class\[\d+\]:", "class:", name) if name.startswith("class[") else re.sub(
                r"\[\d+\]$", "", name
            )  # fmt: skip
            if support == "real":
                found.setdefault(stem, []).append(j)
        predictor = getattr(self, "_predictor", None)
        if predictor is not None:
            from ..model_terms import terms_of

            columns = predictor.terms.names
            for term in terms_of(predictor.terms):
                places = [j for i in term.positions for j in found.get(columns[i], ())]
                found.setdefault(term.name, places)
        return tuple(
            ModelTerm(stem, frozenset([stem]), frozenset(), tuple(places))
            for stem, places in found.items()
            if places and stem not in names
        )


__all__ = ["MixedInference"]
