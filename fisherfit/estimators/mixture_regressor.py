"""MixtureRegressor: a mixture of generalised linear models, with concomitant variables and repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..errors import BoundaryWarning, InputError, MissingValuesWarning, SeparationWarning
from ..families import Family
from ..links import Link
from ..mixtures.fitting import MixtureFit, fit_mixture
from ..mixtures.mixture import Mixture
from ..mixtures.streamed import fit_streamed
from ..prediction import Predictor
from ..randomness import generator
from ..table import read_table
from ._regressor import Regressor
from .mixed import Fitted, Mixed, More
from .mixture_answers import NO_RESPONSE, AnsweringRegressions, drawn_responses
from .mixture_batches import batches_of
from .mixture_covariance import check_cov_type, check_order, check_streamable, names_of, with_covariance
from .mixture_settings import check_settings, model_name, responsibilities
from .regression_batches import RegressionRows, read_batches
from .regression_data import (
    Reading,
    RegressionData,
    read_data,
    rowless,
)  # fmt: skip
from .regression_stream import StreamingRegressions
from .regression_trouble import degenerated, pooled, separated
from .rows_of_fit import clusters_of


class MixtureRegressor(StreamingRegressions, AnsweringRegressions, Regressor, Mixed):
    """Mixture of generalised linear models: every row, or group of rows, comes from one of K regressions.

    Parameters
    ----------
    family : str, Family, or list of them, default "normal"
        As in :class:`GLM`; a list gives every component its own, of the same range of responses. Normal, gamma,
        inverse Gaussian and Tweedie components have a dispersion each, which is estimated with the rest.
    n_components : int, default 2
        Number of components K; where families are a list, its length.
    link : str, Link, or list of them, optional
        As in :class:`GLM`; a list gives every component its own.
    formula : str, optional
        ``"y ~ x + C(z)"``; ``fit`` then takes the table alone.
    shared : sequence of str, default ()
        Columns, or whole terms, whose coefficients all components have in common; also "Intercept", and the names of
        further parameters ("sigma", "shape", "dispersion", "alpha").
    concomitant : str or list of str, optional
        What the probabilities of the components depend on, by a multinomial logit (Dayton & Macready, 1988): a
        formula, ``"~ z + C(w)"``, or names of columns. Without a formula for the response, columns named here are no
        covariates.
    fit_intercept : bool, default True
        Ignored where a formula says it.
    weight_type : {"frequency", "analytic"}, default "frequency"
        Weights multiply the log-likelihood of a row (or group) either way. The number of observations, for BIC, is
        the sum of the weights of the rows, or the number of rows whose weight is positive.
    missing : {"raise", "drop"}, default "raise"
        What to do with rows that have a missing value in a column that is used.
    cov_type : str, default "observed"
        Where standard errors come from: the "observed" information (Louis, 1982), "opg" (outer products of the
        scores), "HC0" or "HC1" (a model that need not be true; by group where there are groups), "cluster"
        (`clusters` of rows that go together; "cluster(CR0)" without a correction) or "HAC" (rows in time order;
        "HAC(8)" for 8 lags).
    n_init : int, optional
        Random starts of every kind (clusters, planes, chance), besides some that are found by rule. All make their
        first steps together, and the highest maximum wins. By default 10, or K where there are so many rows that
        starts are made on a sample of them.
    max_iter : int, default 500
        Steps at the most.
    tol : float, default 1e-20
        Decrement s'J^-1 s to stop at.
    start : array, Series or dict, optional
        Where to begin instead: labels of the rows (0 to K - 1), probabilities of shape (n, K), or parameters by the
        names of ``result_.params``.
    random_state : int or numpy.random.Generator, optional
        Where the starts come from; an int gives the same fit each time.
    n_jobs : int, optional
        Threads; by default OMP_NUM_THREADS or all processors. Results do not depend on it, to the bit.
    verbose : int, default 0
        1 prints how the fit ended.

    Attributes
    ----------
    weights_ : array of shape (K,)
        Probabilities of the components; with concomitant variables their average over the units.
    coef_ : array of shape (K, n_coefficients)
        Coefficients without the intercept.
    intercept_ : array of shape (K,)
        Intercepts, zeros without.
    concomitant_coef_ : array of shape (K, q)
        Coefficients of the multinomial logit, the intercept first; zeros for component 0. None without concomitant
        variables.
    component_params_ : pandas.DataFrame
        The parameters, a row for each and a column for every component.
    result_ : MixtureResult
        Estimates with their inference.
    converged_, n_iter_ : bool, int
        How the fit ended.
    aliased_ : tuple of str
        Columns that are combinations of earlier ones and were left out (their coefficient is 0).
    separation_ : dict
        Components with infinite coefficients: ``{component: {coefficient: "+inf" | "-inf" | ...}}``.

    Notes
    -----
    With groups, the log-likelihood is the sum over groups of log sum_k pi_k prod_i f_k(y_i). Components are numbered
    from 0 in ascending order of the first coefficient that is not shared. The step, the stopping rule and the
    standard errors come from the observed information (Louis, 1982).

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(0.0, 10.0, 200)
    >>> steep = rng.random(200) < 0.5
    >>> y = np.where(steep, 3.0 * x, 10.0 + 0.5 * x) + rng.normal(size=200)
    >>> model = ff.MixtureRegressor("normal", 2, random_state=0).fit(x[:, None], y)
    >>> model.coef_.round(1).ravel().tolist(), abs(model.intercept_.round()).tolist()
    ([3.0, 0.5], [0.0, 10.0])
    """

    def __init__(
        self,
        family: str | Family | Sequence[str | Family] = "normal",
        n_components: int = 2,
        link: str | Link | Sequence[str | Link | None] | None = None,
        *,
        formula: str | None = None,
        shared: Sequence[str] = (),
        concomitant: str | Sequence[str] | None = None,
        fit_intercept: bool = True,
        weight_type: str = "frequency",
        missing: str = "raise",
        cov_type: str = "observed",
        n_init: int | None = None,
        max_iter: int = 500,
        tol: float = 1e-20,
        start: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.link = link
        self.formula = formula
        self.shared = shared
        self.concomitant = concomitant
        self.fit_intercept = fit_intercept
        self.weight_type = weight_type
        self.missing = missing
        self.cov_type = cov_type
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.start = start
        self.random_state = random_state
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
        concomitant: Any = None,
        clusters: Any = None,
    ) -> MixtureRegressor:
        """Fit the mixture.

        Parameters
        ----------
        X : array or table of shape (n, p), or rows that are read in batches
            As in :meth:`GLM.fit`. Where rows are read in batches, the other arguments are names of columns, and there
            are no groups: see :doc:`/out-of-core`.
        y : array of shape (n,), or (n, 2) for successes and failures
            The response; not given where a formula names it.
        sample_weight : array of shape (n,) or column name, optional
            Weights, at least 0. With groups they are constant within a group, or one for every group in the order
            of the sorted labels.
        offset : array of shape (n,), scalar or column name, optional
            Added to the linear predictor of every component.
        exposure : array of shape (n,), scalar or column name, optional
            Its logarithm is added to the linear predictors (log link only).
        groups : array of shape (n,) or column name, optional
            All rows of a group come from the same component; rows need not be sorted.
        concomitant : array or table of shape (n, q), optional
            Concomitant variables, without an intercept, where the constructor does not name them.
        clusters : array of shape (n,) or column name, or two of them, optional
            The cluster of every row, for ``cov_type="cluster"``; two for two-way clusters. A column named here is no
            covariate.

        Returns
        -------
        MixtureRegressor
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError, FormulaError
            For data or arguments that cannot be used, before any work; nothing already fitted is lost.

        Warns
        -----
        ConvergenceWarning, SeparationWarning, RankWarning, NonIntegerWarning, MissingValuesWarning
            For statistical trouble.
        """
        found = self._fitted(X, y, sample_weight, offset, exposure, groups, concomitant, clusters)
        self._keep(found)
        return self

    def _fitted(
        self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None,
        groups: Any = None, concomitant: Any = None, clusters: Any = None, *, more: More | None = None,
    ) -> Fitted:  # fmt: skip
        families, links = check_settings(self)
        cov, own, named = check_cov_type(self, clusters), None, names_of(clusters)
        check_order(cov, groups)
        source, rng = batches_of(X), generator(self.random_state)
        if source is None:
            data, rows = self._read(X, y, sample_weight, offset, exposure, groups, concomitant, named), None
            if clusters is not None:
                own = clusters_of(clusters, read_table(X), data.units, data.mixture)
        else:
            check_streamable(cov)
            spec = self._specified(concomitant)
            reading = Reading(self.formula, bool(self.fit_intercept), self.missing)
            data, rows = read_batches(reading, families, links, self.shared, spec, source, y, sample_weight, offset,
                                      exposure, groups, _threads.thread_count(self.n_jobs))  # fmt: skip
        mixture, fit, values, extra = self._solved(data, rows, families, links, rng, more)
        needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
        if rows is not None:
            needs = (offset is None and exposure is None and data.prepared.offset is not None, needs[1])
        values["_predictor"] = replace(values["_predictor"], needs=needs)
        if named:
            values["_cluster_columns"] = named
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            fit = with_covariance(fit, mixture, cov, self.weight_type == "frequency", own)
        if rows is not None:
            values["passes_"] = rows.reader.tally.rows
        names = data.prepared.feature_names
        return Fitted(mixture, replace(fit, warnings=(*extra, *fit.warnings)), values, names)

    def _solved(
        self, data: RegressionData, rows: RegressionRows | None, families: Sequence[Family],
        links: Sequence[tuple[Link, ...]], rng: np.random.Generator, more: More | None = None,
    ) -> tuple[Mixture, MixtureFit, dict[str, Any], list[Any]]:  # fmt: skip
        """The model, its fit to rows in memory, or a sample and then all `rows`, fitted attributes, and warnings."""
        mixture = data.mixture
        starts = responsibilities(self.start, mixture, data.units)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            fit = fit_mixture(
                mixture, model=model_name(families, links), rng=rng, n_init=10 if self.n_init is None else self.n_init,
                starts=starts, max_iter=self.max_iter, tol=self.tol, more=() if more is None else more(mixture),
            )  # fmt: skip
            degenerate = degenerated(fit)
            streamed = None if rows is None or rows.fits else rows.streamed(data)
            if degenerate and streamed is not None:
                raise InputError(f"no start leads to a maximum inside the parameter space ({degenerate}) on a sample "
                                 "of the rows; use fewer components or columns, or share a parameter")  # fmt: skip
            if degenerate:
                fit = pooled(mixture, fit)
            if streamed is not None:
                fit = fit_streamed(streamed, mixture, fit, max_iter=self.max_iter, tol=self.tol)
            values = self._values(data, fit.theta, families, links)
            values["separation_"] = found = separated(mixture, fit.theta, streamed)
            if streamed is not None:
                values["weights_"] = streamed.counts(fit.theta[None])[0] / streamed.total
        if found:  # said below, by name
            fit = replace(fit, warnings=tuple(w for w in fit.warnings if w[1] is not BoundaryWarning))
        if streamed is not None:
            nobs = float(streamed.alive if self.weight_type == "analytic" else streamed.total)
        else:
            sizes = np.ones(mixture.units) if mixture.edges is None else np.diff(mixture.edges)
            nobs = float(sizes.sum() if self.weight_type == "analytic" else sizes @ mixture.weight)
        fit = replace(fit, result=replace(fit.result, nobs=nobs))
        if not data.prepared.whole:
            fit = replace(fit, result=replace(fit.result, llf=np.nan))
        extra = list(data.warnings)
        if degenerate:
            extra.append((f"no start leads to a maximum inside the parameter space ({degenerate}): the likelihood has "
                          "no bound there; every component is given the fit of a single regression. Use fewer "
                          "components or columns, or share a parameter", BoundaryWarning))  # fmt: skip
        lost, n = (data.prepared.dropped, data.prepared.design.n) if rows is None else (rows.dropped, rows.n)
        if lost:
            extra.append((f"{lost} of {n + lost} rows have missing values and were left out", MissingValuesWarning))
        extra += [
            (f"component {k} is separated: its likelihood has no maximum, and {', '.join(map(repr, names))} "
             f"{'is' if len(names) == 1 else 'are'} infinite; see separation_", SeparationWarning)
            for k, names in found.items()
        ]  # fmt: skip
        return mixture if streamed is None else streamed, fit, values, extra

    def _specified(self, concomitant: Any) -> Any:
        """The concomitant variables, by the constructor or as given."""
        if concomitant is not None and self.concomitant is not None:
            raise InputError("concomitant was given to the constructor and to fit; leave one of the two out")
        return self.concomitant if concomitant is None else concomitant

    def _read(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, groups: Any, concomitant: Any,
        skip: tuple[str, ...],
    ) -> RegressionData:  # fmt: skip
        """The data of a fit, checked."""
        families, links = check_settings(self)
        if y is None and self.formula is None:
            raise InputError(NO_RESPONSE)
        spec = self._specified(concomitant)
        reading = Reading(self.formula, bool(self.fit_intercept), self.missing)
        return read_data(reading, families, links, self.shared, spec, X, y, sample_weight, offset, exposure, groups,
                         _threads.thread_count(self.n_jobs), skip)  # fmt: skip

    def _rows_of_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None,
        groups: Any = None, concomitant: Any = None,
    ) -> tuple[Mixture, np.ndarray | None]:  # fmt: skip
        named = self._predictor.offset_names
        offset, exposure = named[0] if offset is None else offset, named[1] if exposure is None else exposure
        for needed, given, what in zip(self._predictor.needs, (offset, exposure), ("offset", "exposure"), strict=True):
            if needed and given is None:
                raise InputError(f"the fit had an {what} given as an array; give {what}= as in the fit")
        groups = self._group_name if groups is None else groups
        skip = getattr(self, "_cluster_columns", ())
        data = self._read(X, y, sample_weight, offset, exposure, groups, concomitant, skip)
        return data.mixture, data.units

    def _drawn(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        return drawn_responses(mixture, self._theta, rng)

    def _report_progress(self, fit: Any) -> None:
        if self.verbose:
            print(f"MixtureRegressor: log-likelihood {fit.result.llf:.10g} after {max(fit.result.n_iter, 1)} steps, "
                  f"{'converged' if fit.result.converged else 'NOT converged'}")  # fmt: skip

    def _values(
        self, data: RegressionData, theta: np.ndarray, families: Sequence[Family], links: Sequence[tuple[Link, ...]]
    ) -> dict[str, Any]:
        """The fitted attributes but the result."""
        mixture, prepared = data.mixture, data.prepared
        components: Any = mixture.components
        psi, phi = mixture.split(theta)
        k = components.count
        beta = np.stack([components.coefficients(phi, j) for j in range(k)])
        at = int(components.design.intercept)
        prior = np.exp(mixture.mixing.log_weights(psi[None], 0, mixture.units))[0]
        weight = mixture.weight if prior.shape[1] > 1 else np.ones(1)
        predictor = Predictor(prepared.terms, families[0], links[0], beta[0], prepared.offset_names, prepared.design.n)
        values: dict[str, Any] = {
            "coef_": beta[:, at:],
            "intercept_": beta[:, 0].copy() if at else np.zeros(k),
            "weights_": prior @ weight / weight.sum(),
            "concomitant_coef_": None if data.concomitant is None else mixture.mixing.coefficients(psi),
            "aliased_": data.aliased,
            "n_features_in_": prepared.n_features,
            "_families": tuple(families),
            "_links": tuple(links),
            "_predictor": predictor,
            "_beta": beta,
            "_further": [components.thetas(phi, j) for j in range(k)],
            "_like": replace(
                components, design=rowless(components.design), y=np.empty(0), trials=np.empty(0), offset=None
            ),
            "_mixing": replace(mixture.mixing, design=None if data.concomitant is None else np.empty((0, 0))),
            "_concomitant": data.concomitant,
            "_group_name": data.group_name,
        }
        return values


__all__ = ["MixtureRegressor"]
