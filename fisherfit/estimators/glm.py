"""GLM: generalised linear models by maximum likelihood, certified."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads
from ..batches import source_of
from ..blocks import constant_design
from ..errors import InputError, InputTypeError, MissingValuesWarning
from ..families import Family
from ..kernels import kernels_of
from ..likelihood import Likelihood
from ..links import Link
from ..prediction import Predictor
from ..prepare import Prepared, prepare
from ..result import Result
from ._regressor import Regressor
from .batched import fit_batches
from .diagnosing import Diagnosing
from .inferring import Inferring
from .intervals import Intervals
from .predicting import Predicting
from .report import Report, report
from .robust import Robust
from .settings import check_groups, check_settings
from .streaming import Streaming
from .testing import Testing

if TYPE_CHECKING:
    pass


class GLM(Streaming, Robust, Testing, Intervals, Predicting, Diagnosing, Inferring, Regressor):
    """Generalised linear model, fitted by maximum likelihood with natural-gradient steps (Fisher scoring).

    Parameters
    ----------
    family : str or Family, default "normal"
        "normal" (or "gaussian"), "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial",
        "geometric", "tweedie", or a :class:`~fisherfit.Family` object, a user's own included.
    link : str or Link, optional
        By default the canonical link; log for gamma, inverse Gaussian, negative binomial, geometric and Tweedie.
    formula : str, optional
        ``"y ~ x + C(z)"``; ``fit`` then takes the table alone.
    fit_intercept : bool, default True
        Ignored where a formula says it.
    dispersion : {"pearson", "deviance", "ml"} or float, optional
        By default 1 for Poisson, binomial, negative binomial and geometric, and Pearson's estimate for the others.
        Any choice but the default turns a family with phi = 1 into its quasi- variant.
    weight_type : {"analytic", "frequency", "probability"}, default "analytic"
        What ``sample_weight`` means: precision (variance phi V / w), repetition, or sampling weight.
    missing : {"raise", "drop"}, default "raise"
        What to do with rows that have a missing value in a column that is used.
    cov_type : str, default "expected"
        Where standard errors come from: "expected" or "observed" information, "opg" (outer products of the scores),
        "HC0", "HC1", "HC2", "HC3" (any variance), "cluster" (`groups` of rows that go together; "cluster(CR0)" and
        "cluster(CR3)" for other corrections) or "HAC" (rows in time order; "HAC(8)" for 8 lags).
    constraints : str, list of str, or pair (R, r), optional
        Linear equalities that the coefficients are to satisfy, such as ``"x1 + x2 = 1"``; see :meth:`test` for how they
        are written.
    bounds : dict, optional
        ``{"x1": (0, None)}``: lower and upper bounds of coefficients, or of all those of a term.
    bias_reduction : {"mean", "median", "jeffreys"}, optional
        Estimates of reduced bias, by an adjusted score, instead of maximum likelihood: finite where data are
        separated. "mean" takes the first-order bias away, "median" centres the median of every coefficient,
        "jeffreys" maximises the likelihood penalised by Jeffreys' prior.
    max_iter : int, default 100
        Steps at the most.
    tol : float, default 1e-20
        Decrement s'F^-1 s / phi to stop at.
    start_params : array, optional
        Where to begin, the intercept first.
    n_jobs : int, optional
        Threads; by default OMP_NUM_THREADS or all processors. Results do not depend on it, to the bit.
    verbose : int, default 0
        1 prints a line for every step, 2 shows a progress bar.

    Attributes
    ----------
    coef_ : array of shape (n_coefficients,)
        Coefficients without the intercept.
    intercept_ : float
        The intercept, 0.0 without one.
    converged_, n_iter_, n_restarts_ : bool, int, int
        How the solver ended.
    certificate_ : Certificate
        How far the answer can be from the maximum.
    rank_ : int
        Rank of the design; ``aliased_`` names the columns that are combinations of earlier ones.
    separation_ : Separation
        Infinite estimates; false when there are none.
    boundary_ : dict
        Rows and parameters at a bound; empty when there are none.
    constraints_ : Constraints
        With `constraints` or `bounds`: what holds at the maximum, with its multipliers.
    dispersion_ : float
        The dispersion in use.
    result_ : Result
        Estimates with their inference.
    passes_ : dict
        Passes over rows that are read in batches: over all columns (``rows``), and over the response, the weights and
        the offset alone (``response``).

    Notes
    -----
    The step, the stopping rule, the certificate and the covariance all come from one quantity, the Fisher
    information F: see McCullagh & Nelder (1989), section 2.5, and Amari (1998).

    Examples
    --------
    >>> import fisherfit as ff
    >>> data = ff.datasets.load("warpbreaks")
    >>> model = ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)
    >>> model.result_.params.round(4).to_dict()
    {'Intercept': 3.692, 'wool[T.B]': -0.206, 'tension[T.M]': -0.3213, 'tension[T.H]': -0.5185}
    >>> bool(model.converged_)
    True
    """

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
        cov_type: str = "expected",
        constraints: Any = None,
        bounds: Any = None,
        bias_reduction: str | None = None,
        max_iter: int = 100,
        tol: float = 1e-20,
        start_params: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.family = family
        self.link = link
        self.formula = formula
        self.fit_intercept = fit_intercept
        self.dispersion = dispersion
        self.weight_type = weight_type
        self.missing = missing
        self.cov_type = cov_type
        self.constraints = constraints
        self.bounds = bounds
        self.bias_reduction = bias_reduction
        self.max_iter = max_iter
        self.tol = tol
        self.start_params = start_params
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
    ) -> GLM:
        """Fit the model.

        Parameters
        ----------
        X : array or table of shape (n, p)
            NumPy array of any layout and dtype, a scipy.sparse matrix or array of any format, or a pandas, polars
            or pyarrow table (columns of pandas may be sparse). String and categorical columns of a table become
            categorical blocks. With a formula, the table it names columns of.
            Rows that do not fit in memory: a path of Parquet, a pyarrow dataset, a lazy table of polars, a list of
            batches, or a function that makes an iterator of batches; the other arguments are then names of columns.
        y : array of shape (n,), or (n, 2) for successes and failures
            The response; not given where a formula names it.
        sample_weight : array of shape (n,) or column name, optional
            Weights, at least 0; see `weight_type`.
        offset : array of shape (n,), scalar or column name, optional
            Added to the linear predictor.
        exposure : array of shape (n,), scalar or column name, optional
            Its logarithm is added to the linear predictor (log link only).
        groups : array of shape (n,) or column name, or two of them, optional
            The group of every row, for ``cov_type="cluster"``; two for two-way clusters. Without a formula a column
            named here is no covariate.

        Returns
        -------
        GLM
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError, FormulaError
            For data or arguments that cannot be used, before any work; nothing already fitted is lost.

        Warns
        -----
        ConvergenceWarning, SeparationWarning, RankWarning, BoundaryWarning, ExactFitWarning, NonIntegerWarning
            For statistical trouble; the matching attribute has the details.
        """
        started = time.perf_counter()
        family, links = self._check_parameters()
        check_groups(self, groups)
        source = None if isinstance(X, np.ndarray) else source_of(X)
        passes: dict[str, int] | None = None
        found: Report
        data: Any
        if source is not None:
            if self.constraints is not None or self.bounds:
                raise InputError("constraints and bounds need the rows in memory; X is read in batches")
            if self.bias_reduction is not None:
                raise InputError("bias_reduction goes over the rows many times and needs them in memory; give X as an "
                                 "array or a table")  # fmt: skip
            found, data, passes = fit_batches(self, family, links, source, y, sample_weight, offset, exposure, groups)
        else:
            found, data = self._fit_table(family, links, X, y, sample_weight, offset, exposure, groups)
        needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
        self._keep(found, data, family, links, time.perf_counter() - started, needs, passes)
        self.__dict__.pop("_stream", None)
        return self

    def _fit_table(
        self, family: Family, links: tuple[Link, ...], X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any,
        groups: Any,
    ) -> tuple[Report, Prepared]:  # fmt: skip
        """Fit rows in memory."""
        data = prepare(self, family, links[0], X, y, sample_weight, offset, exposure, groups)
        likelihood = self._likelihood(data, family, links)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            return report(self, family, data, likelihood), data

    def predict(self, X: Any, offset: Any = None, exposure: Any = None, kind: str = "mean", se: bool = False) -> Any:
        """Predictions for new rows.

        Parameters
        ----------
        X : array or table of shape (m, p)
            Columns of a table are matched by name.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `fit`. Named columns are remembered; arrays must be given again.
        kind : {"mean", "link"}, default "mean"
            The mean response, or the linear predictor.
        se : bool, default False
            Also standard errors, by the delta method for the mean: then the return value is a table.

        Returns
        -------
        array of shape (m,), or pandas.DataFrame
            With ``se=True`` a table with a column called as `kind` and a column ``std err``, by the row labels of X. A
            standard error is NaN where the columns of the fit are dependent and do not determine the prediction,
            and infinite (on the link scale; NaN for the mean) where a coefficient that it needs is.

        Raises
        ------
        InputError
            For rows that differ from those of the fit in kind, and with ``se=True`` where the covariance of the
            coefficients was not formed.

        Examples
        --------
        >>> import numpy as np, fisherfit as ff
        >>> x = np.arange(5.0)[:, None]
        >>> ff.GLM().fit(x, [1.0, 3.0, 5.0, 7.0, 9.5]).predict([[10.0]]).round(2)
        array([21.9])
        >>> ff.GLM().fit(x, [1.0, 3.0, 5.0, 7.0, 9.5]).predict([[10.0]], se=True).round(3)
           mean  std err
        0  21.9    0.469
        """
        self._check_fitted()
        if not isinstance(se, (bool, np.bool_)):
            raise InputTypeError(f"se must be True or False, got {se!r}")
        if se:
            from ..uncertain import standard_errors

            return standard_errors(self._predictor, self.result_, X, offset, exposure, kind)
        return np.asarray(self._predictor.predict(X, offset, exposure, kind))

    def score(
        self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None
    ) -> float:
        """D^2, the share of the deviance that the model explains, against the weighted mean of the y passed in.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            As in `fit`.

        Returns
        -------
        float
            1 for a perfect fit, 0 for one as good as the mean, negative for a worse one; R^2 for the normal family.
        """
        self._check_fitted()
        return float(self._predictor.score(X, y, sample_weight, offset, exposure, self.weight_type))

    def summary(self, level: float = 0.95) -> Any:
        """The summary of the fit: prints as text, shows as HTML in a notebook."""
        self._check_fitted()
        return self.result_.summary(level)

    def _likelihood(self, data: Prepared, family: Family, links: tuple[Link, ...]) -> Likelihood:
        return Likelihood(
            kernels_of(family, links),
            (data.design, *(constant_design(data.design.n, name) for name in list(family.parameters)[1:])),
            data.y,
            data.weight,
            data.offset,
            _threads.thread_count(self.n_jobs),
            repeats=data.user_weight if self.weight_type == "frequency" else None,
        )

    def _check_parameters(self) -> tuple[Family, tuple[Link, ...]]:
        """Check the constructor's arguments; the family and a link for each of its parameters."""
        return check_settings(self)

    def _keep(
        self, found: Report, data: Any, family: Family, links: tuple[Link, ...], seconds: float, needs: Any,
        passes: dict[str, int] | None,
    ) -> None:  # fmt: skip
        """Assign everything at once: a fit that fails before this leaves the estimator as it was."""
        for message, kind in found.warnings:
            warnings.warn(message, kind, stacklevel=3)
        if data.dropped:
            warnings.warn(
                f"{data.dropped} of {data.dropped + data.design.n} rows have missing values and were left out",
                MissingValuesWarning,
                stacklevel=3,
            )
        predictor = Predictor(
            data.terms,
            family,
            links,
            found.coefficients,
            data.offset_names,
            data.design.n,
            needs,
            found.estimable,
            found.centred,
        )
        result = Result(predictor=predictor, seconds=seconds, **found.result)
        p = data.design.width
        mean = found.coefficients[:p]
        at = int(data.design.intercept)
        values: dict[str, Any] = {
            "coef_": mean[at:],
            "intercept_": float(mean[0]) if at else 0.0,
            "n_iter_": max(1, found.n_iter),
            "n_restarts_": found.n_restarts,
            "converged_": found.converged,
            "certificate_": result.certificate,
            "rank_": result.rank,
            "aliased_": found.aliased,
            "separation_": found.separation,
            "boundary_": found.boundary,
            "dispersion_": result.dispersion,
            "result_": result,
            "n_features_in_": data.n_features,
            "_predictor": predictor,
        }
        others = list(family.parameters)[1:]
        if "alpha" in others:
            values["alpha_"] = float(found.coefficients[p + others.index("alpha")])
        if passes is not None:
            values["passes_"] = passes
        if data.clusters is not None and data.clusters.columns:
            values["_group_columns"] = data.clusters.columns
        if found.constraints is not None:
            values["constraints_"] = found.constraints
        for name in ("feature_names_in_", "alpha_", "passes_", "constraints_", "_group_columns"):
            self.__dict__.pop(name, None)
        if data.feature_names is not None:
            values["feature_names_in_"] = np.array(data.feature_names, dtype=object)
        self.__dict__.update(values)
