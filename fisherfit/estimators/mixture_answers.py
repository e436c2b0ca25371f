"""What a fitted mixture of regressions answers about new rows: means, components, densities, draws."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..choices import one_of
from ..errors import FisherfitWarning, InputError
from ..likelihood import project
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.regressions import Regressions
from ..prepare import one_response
from ..randomness import generator
from ..response import check_support, read_response, read_weights
from ..table import Table, named_values, read_table
from .regression_data import check_exposure, check_families, concomitant_table, one_label, standardised

NO_RESPONSE = "MixtureRegressor requires y to be passed, but the target y is None"


class Absent:
    """A method that a base class, or a user, might expect, and that is not there."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(self.why)


class AnsweringRegressions:
    """Methods of a fitted `MixtureRegressor`."""

    _check_fitted: Any
    _families: Any
    _links: Any
    _predictor: Any
    _beta: Any
    _further: Any
    _like: Any
    _mixing: Any
    _concomitant: Any
    _group_name: Any
    _theta: Any
    _posterior: Any
    n_features_in_: int
    weights_: Any
    result_: Any
    formula: Any
    n_jobs: Any

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


def drawn_responses(mixture: Mixture, theta: np.ndarray, rng: np.random.Generator) -> Mixture:
    """The rows of a fit with responses drawn at theta; a unit of weight 3 is three units."""
    weight = mixture.weight
    if np.any(weight != np.rint(weight)):
        at = int(np.argmax(weight != np.rint(weight)))
        raise InputError(f"sample_weight holds {weight[at]:g}, and responses are drawn for whole rows: weights must be "
                         "frequencies")  # fmt: skip
    if np.any(weight != 1.0):
        mixture = mixture.take(np.repeat(np.arange(mixture.units), weight.astype(int)))
        mixture = replace(mixture, weight=np.ones(mixture.units))
    components: Any = mixture.components
    psi, phi = mixture.split(theta)
    prior = np.exp(mixture.mixing.log_weights(psi[None], 0, mixture.units))[0]
    label = (rng.random(mixture.units) > np.cumsum(prior, axis=0)).sum(axis=0)
    label = np.minimum(label, components.count - 1)
    label = label if mixture.edges is None else np.repeat(label, np.diff(mixture.edges))
    y = np.empty(components.n)
    for k, kernel in enumerate(components.kernels):
        mine, beta = label == k, np.zeros(components.design.width)
        beta[components.columns] = phi[components.places[k][: components.width]]
        eta = project(components.design, beta)
        mu = kernel.links[0].mean((eta if components.offset is None else eta + components.offset)[mine])
        if kernel.family.takes_trials:
            trials = components.trials[mine]
            y[mine] = rng.binomial(trials.astype(int), mu) / trials
        else:
            y[mine] = kernel.family.sample(rng, mu, *components.thetas(phi, k), size=int(mine.sum()))
    return replace(mixture, components=replace(components, y=y))


__all__ = ["NO_RESPONSE", "AnsweringRegressions", "drawn_responses"]
