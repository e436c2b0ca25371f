"""MixtureRegressor: a mixture of generalised linear models, with concomitant variables and repeated measurements."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..choices import one_of
from ..errors import BoundaryWarning, FisherfitWarning, InputError, MissingValuesWarning, SeparationWarning
from ..families import Family
from ..likelihood import project
from ..links import Link
from ..mixtures.fitting import fit_mixture
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.regressions import Regressions
from ..mixtures.sampled import sampled_starts
from ..prediction import Predictor
from ..prepare import one_response
from ..randomness import generator
from ..response import check_support, read_response, read_weights
from ..table import Table, named_values, read_table
from .mixed import Mixed
from .mixture_settings import check_settings, responsibilities
from .regression_data import (
    Reading, RegressionData, check_exposure, check_families, concomitant_table, kernels, one_label, read_data, rowless,
    standardised,
)  # fmt: skip
from .regression_trouble import degenerated, pooled, separated


NO_RESPONSE = "MixtureRegressor requires y to be passed, but the target y is None"


class Absent:
    """A method that a base class, or a user, might expect, and that is not there."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(self.why)


class MixtureRegressor(Mixed):
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
    >>> model.coef_.round(1).ravel().tolist(), model.intercept_.round().tolist()
    ([3.0, 0.5], [0.0, 10.0])
    """

    _estimator_type = "regressor"

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
    ) -> MixtureRegressor:
        """Fit the mixture.

        Parameters
        ----------
        X : array or table of shape (n, p)
            As in :meth:`GLM.fit`.
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
        families, links = check_settings(self)
        if y is None and self.formula is None:
            raise InputError(NO_RESPONSE)
        rng = generator(self.random_state)
        if concomitant is not None and self.concomitant is not None:
            raise InputError("concomitant was given to the constructor and to fit; leave one of the two out")
        spec = self.concomitant if concomitant is None else concomitant
        reading = Reading(self.formula, bool(self.fit_intercept), self.missing)
        data = read_data(reading, families, links, self.shared, spec, X, y, sample_weight, offset, exposure, groups,
                         _threads.thread_count(self.n_jobs))  # fmt: skip
        mixture = data.mixture
        starts = responsibilities(self.start, mixture, data.units)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            starts = starts or sampled_starts(mixture, self.n_init, rng, self.max_iter)
            fit = fit_mixture(
                mixture, model=model_name(families, links), rng=rng, n_init=10 if self.n_init is None else self.n_init,
                starts=starts, max_iter=self.max_iter, tol=self.tol,
            )  # fmt: skip
            degenerate = degenerated(fit)
            if degenerate:
                fit = pooled(mixture, fit)
            values = self._values(data, fit.theta, families, links)
            values["separation_"] = found = separated(mixture, fit.theta)
        rows = np.ones(mixture.units) if mixture.edges is None else np.diff(mixture.edges)
        nobs = float(rows.sum() if self.weight_type == "analytic" else rows @ mixture.weight)
        fit = replace(fit, result=replace(fit.result, nobs=nobs))
        if not data.prepared.whole:
            fit = replace(fit, result=replace(fit.result, llf=np.nan))
        extra = list(data.warnings)
        if degenerate:
            extra.append((f"no start leads to a maximum inside the parameter space ({degenerate}): the likelihood has no "
                          "bound there; every component is given the fit of a single regression. Use fewer components "
                          "or columns, or share the parameter (shared=['sigma'], say)", BoundaryWarning))  # fmt: skip
        if data.prepared.dropped:
            lost, n = data.prepared.dropped, data.prepared.dropped + data.prepared.design.n
            extra.append((f"{lost} of {n} rows have missing values and were left out", MissingValuesWarning))
        extra += [
            (f"component {k} is separated: its likelihood has no maximum, and {', '.join(map(repr, names))} "
             f"{'is' if len(names) == 1 else 'are'} infinite; see separation_", SeparationWarning)
            for k, names in found.items()
        ]  # fmt: skip
        needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
        values["_predictor"] = replace(values["_predictor"], needs=needs)
        for message, kind in extra:
            warnings.warn(message, kind, stacklevel=2)
        self.__dict__.pop("feature_names_in_", None)
        self._keep(fit, **values)
        if self.verbose:
            print(f"MixtureRegressor: log-likelihood {self.result_.llf:.10g} after {self.n_iter_} steps, "
                  f"{'converged' if self.converged_ else 'NOT converged'}")  # fmt: skip
        return self

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
        if prepared.feature_names is not None:
            values["feature_names_in_"] = np.array(prepared.feature_names, dtype=object)
        return values

    def predict(
        self, X: Any, offset: Any = None, exposure: Any = None, concomitant: Any = None, kind: str = "mean"
    ) -> np.ndarray:
        """Predictions for new rows.

        Parameters
        ----------
        X : array or table of shape (m, p)
            Columns of a table are matched by name.
        offset, exposure : array of shape (m,), scalar or column name, optional
            As in `fit`. Named columns are remembered; arrays must be given again.
        concomitant : array or table of shape (m, q), optional
            Needed again where it was given to `fit`.
        kind : {"mean", "components", "link"}, default "mean"
            The mean response, sum_k pi_k mu_k; the means of the components; or their linear predictors.

        Returns
        -------
        array of shape (m,), or (m, K) for components and link
        """
        self._check_fitted()
        one_of("kind", kind, ("mean", "components", "link"))
        table, eta = self._linear(X, offset, exposure)
        if kind == "link":
            return eta
        mu = self._means(eta)
        return mu if kind == "components" else np.asarray((mu * self._prior(table, concomitant)).sum(axis=1))

    predict_proba = Absent(
        "a regressor of scikit-learn's has no predict_proba; prior_proba(X) has the probabilities of the components "
        "before the response is seen, component_proba(X, y) those after"
    )

    def prior_proba(self, X: Any, concomitant: Any = None) -> np.ndarray:
        """Probabilities of the components before the response is seen, (m, K)."""
        self._check_fitted()
        table = read_table(X)
        if not table.is_frame and len(table.names) != self.n_features_in_:
            raise InputError(f"X has {len(table.names)} features, but MixtureRegressor is expecting "
                             f"{self.n_features_in_} features as input")  # fmt: skip
        return np.array(np.broadcast_to(self._prior(table, concomitant), (table.n, len(self._families))))

    def component_proba(
        self,
        X: Any,
        y: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
        concomitant: Any = None,
    ) -> np.ndarray:
        """Posterior probabilities of the components, given the response: (m, K), equal within a group.

        Parameters
        ----------
        X, y, offset, exposure, groups, concomitant
            As in `fit`; a column that named the groups is remembered.
        """
        self._check_fitted()
        mixture, order, unit = self._mixture_of(X, y, offset, exposure, groups, concomitant)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            r = self._posterior(mixture)
        return r if order is None else r[unit]

    def classify(
        self,
        X: Any,
        y: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
        concomitant: Any = None,
    ) -> np.ndarray:
        """The most probable component of every row, given the response."""
        return np.asarray(self.component_proba(X, y, offset, exposure, groups, concomitant).argmax(axis=1))

    def score_samples(
        self,
        X: Any,
        y: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
        concomitant: Any = None,
    ) -> np.ndarray:
        """The log-density of every row, or of every group in the order of the sorted labels.

        Without a response the density is that of no observation, 1, and a warning says so.
        """
        self._check_fitted()
        if y is None and not self._names_response:
            warnings.warn("score_samples: y was not given, so that nothing was observed and every log-density is 0",
                          FisherfitWarning, stacklevel=2)  # fmt: skip
            return np.zeros(len(self._linear(X, offset, exposure)[1]))
        mixture, _, _ = self._mixture_of(X, y, offset, exposure, groups, concomitant)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            return mixture.unit_logliks(self._theta)

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        concomitant: Any = None,
    ) -> float:
        """R^2 of the mean response, as scikit-learn's regressors have it; `score_samples` has log-densities."""
        self._check_fitted()
        table = read_table(X)
        y, trials = self._response(table, y)
        weight = read_weights(named_values(sample_weight, table, "sample_weight"), table.n, table.index)
        weight = weight if trials is None else weight * trials
        residual = y - self.predict(table, offset, exposure, concomitant)
        total = float(weight @ (y - np.average(y, weights=weight)) ** 2)
        rest = float(weight @ residual**2)
        return 1.0 - rest / total if total > 0.0 else float(rest == 0.0)

    def sample(
        self,
        X: Any,
        random_state: Any = None,
        offset: Any = None,
        exposure: Any = None,
        groups: Any = None,
        concomitant: Any = None,
        trials: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a response for every row.

        Parameters
        ----------
        X, offset, exposure, groups, concomitant
            As in `fit`.
        random_state : int or numpy.random.Generator, optional
            Where the draws come from.
        trials : array of shape (m,) or int, optional
            For the binomial family, whose draws are numbers of successes; 1 by default.

        Returns
        -------
        (y, component) : arrays of shape (m,)
            Responses, and the components they come from.
        """
        self._check_fitted()
        rng = generator(random_state)
        table, eta = self._linear(X, offset, exposure)
        prior = np.broadcast_to(self._prior(table, concomitant), eta.shape)
        labels = self._labels(groups, table)
        rows = np.arange(table.n)
        if labels is not None:
            _, first, unit = np.unique(labels.codes, return_index=True, return_inverse=True)
            prior = prior[first]
            rows = unit
        draw = (rng.random(len(prior))[:, None] > np.cumsum(prior, axis=1)).sum(axis=1)
        component = np.minimum(draw, len(self._families) - 1)[rows]
        out, mu = np.empty(table.n), self._theta_means(eta)
        count = None if trials is None else np.broadcast_to(np.asarray(trials), (table.n,))
        for k, family in enumerate(self._families):
            mine = component == k
            if family.takes_trials:
                out[mine] = rng.binomial(1 if count is None else count[mine].astype(int), mu[mine, k])
            else:
                drawn: Any = family
                out[mine] = drawn.sample(rng, mu[mine, k], *self._further[k], size=int(mine.sum()))
        return out, component

    @property
    def component_params_(self) -> Any:
        """The parameters, a row for each and a column for every component; shared ones are repeated."""
        import pandas as pd

        self._check_fitted()
        k = len(self._families)
        rows: dict[str, list[float]] = {"weight": self.weights_.tolist()}
        for name, value in zip(self.result_.names, self.result_.estimates.tolist(), strict=True):
            stem, _, tail = name.rpartition("[")
            index = tail[:-1] if stem and tail.endswith("]") else ""
            if name.startswith(("weight[", "class[")):
                continue
            if index.isdigit() and int(index) < k:
                rows.setdefault(stem, [np.nan] * k)[int(index)] = value
            else:
                rows[name] = [value] * k
        return pd.DataFrame(rows, index=pd.RangeIndex(k, name="component")).T

    def _linear(self, X: Any, offset: Any, exposure: Any) -> tuple[Table, np.ndarray]:
        """New rows and the linear predictors of all components, (m, K)."""
        table = read_table(X)
        if table.n == 0 and not table.is_frame:
            raise InputError(
                f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
            )
        check_exposure(self._links, exposure)
        design = self._predictor.terms.design(table)
        shift = self._predictor.shift(table, offset, exposure)
        with np.errstate(all="ignore"):
            eta = np.stack([project(design, design.from_user(beta)) for beta in self._beta], axis=1)
        return table, eta if shift is None else eta + shift[:, None]

    def _theta_means(self, eta: np.ndarray) -> np.ndarray:
        """The first parameter of every component at linear predictors (m, K)."""
        with np.errstate(all="ignore"):
            return np.stack([link[0].mean(eta[:, k]) for k, link in enumerate(self._links)], axis=1)

    def _means(self, eta: np.ndarray) -> np.ndarray:
        """The means of all components at linear predictors (m, K)."""
        first = self._theta_means(eta)
        with np.errstate(all="ignore"):
            return np.stack([
                np.asarray(family.mean(first[:, k], *(np.full(len(first), v) for v in self._further[k])))
                for k, family in enumerate(self._families)
            ], axis=1)  # fmt: skip

    def _prior(self, table: Table, concomitant: Any) -> np.ndarray:
        """Probabilities of the components of new rows: (m, K), or (1, K) where all rows are alike."""
        mixing = self._mixing_of(table, concomitant)
        psi = self._theta[: mixing.size]
        return np.exp(mixing.log_weights(psi[None], 0, table.n))[0].T

    def _mixing_of(self, table: Table, concomitant: Any) -> Mixing:
        """The mixing proportions of new rows."""
        learnt = self._concomitant
        if learnt is None:
            if concomitant is not None:
                raise InputError("the fit had no concomitant variables; leave concomitant= out")
            return self._mixing
        if concomitant is not None and not learnt.given:
            raise InputError("the concomitant variables of the fit are columns of X; leave concomitant= out")
        if learnt.given:
            if concomitant is None:
                raise InputError("the fit had concomitant variables given as values; give concomitant= for these rows "
                                 "as well")  # fmt: skip
            table = concomitant_table(concomitant, table)
        return replace(self._mixing, design=np.ascontiguousarray(learnt.design(table)))

    def _labels(self, groups: Any, table: Table) -> Any:
        """The groups of new rows; None for none."""
        if groups is None and self._group_name is not None:
            groups = self._group_name
        labels = None if groups is None else one_label(groups, table)
        if labels is not None and labels.missing:
            raise InputError(f"groups has a missing label at row {int(np.argmax(labels.codes < 0))}")
        return labels

    @property
    def _names_response(self) -> bool:
        """True where the formula of the fit names the response."""
        return bool(getattr(self._predictor.terms, "text", "").split("~")[0].strip())

    def _response(self, table: Table, y: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """The response of new rows, checked."""
        if y is None and not self._names_response:
            raise InputError(NO_RESPONSE)
        if self._names_response:
            from ..formula import response_of

            terms = self._predictor.terms
            lacking = y is not None and any(name not in table.names for name in terms.response)
            y = y if lacking else one_response(response_of(terms, table), y, terms.text)
        response = read_response(y, self._families[0], table.n, table.index, "raise")
        present = np.ones(table.n, bool) if response.trials is None else response.trials > 0
        check_support(response, self._families[0], present)
        check_families(response.y, response.trials, self._families, present)
        return response.y, response.trials

    def _mixture_of(
        self, X: Any, y: Any, offset: Any, exposure: Any, groups: Any, concomitant: Any
    ) -> tuple[Mixture, np.ndarray | None, np.ndarray | None]:
        """The mixture on new rows, with their order by groups and the unit of every row (None: rows as they are)."""
        table = read_table(X)
        y, trials = self._response(table, y)
        check_exposure(self._links, exposure)
        shift = self._predictor.shift(table, offset, exposure)
        design = standardised(self._predictor.terms, table, self._like.design)
        mixing, labels = self._mixing_of(table, concomitant), self._labels(groups, table)
        ones = np.ones(table.n)
        components: Regressions = replace(
            self._like, design=design, y=np.ascontiguousarray(y, float),
            trials=ones if trials is None else np.ascontiguousarray(trials, float), offset=shift,
        )  # fmt: skip
        threads = _threads.thread_count(self.n_jobs)
        if labels is None:
            return Mixture(components, mixing, ones, None, threads), None, None
        order = np.argsort(labels.codes, kind="stable")
        _, first, unit = np.unique(labels.codes[order], return_index=True, return_inverse=True)
        edges = np.append(first, order.size)
        by_row = np.empty(order.size, int)
        by_row[order] = unit
        mixing = mixing.take(order[first])
        return Mixture(components.take(order), mixing, np.ones(first.size), edges, threads), order, by_row

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = self._estimator_type
        tags.regressor_tags = RegressorTags()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "result_")


def model_name(families: Sequence[Family], links: Sequence[tuple[Link, ...]]) -> str:
    """What summaries call the mixture."""
    names = list(dict.fromkeys(
        f"{family.name.removesuffix('_dispersed')} ({link[0].name} link)"
        for family, link in zip(families, links, strict=True)
    ))  # fmt: skip
    return f"Mixture of {len(families)} regressions, {' and '.join(names)}"


__all__ = ["MixtureRegressor"]
