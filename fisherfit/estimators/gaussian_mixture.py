"""Gaussian mixtures with scikit-learn's names, at the maximum, with weights of rows and standard errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..errors import FisherfitWarning, InputError
from ..mixtures.fitting import MixtureFit, fit_mixture
from ..mixtures.gaussian import Gaussian
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.prior import SUPPORTED, Posterior, check_prior, prior_of
from ..mixtures.streamed import StreamedMixture
from ..mixtures.streamed_prior import with_prior
from ..mixtures.structures import structure_of
from ..table import Table
from .density import Density, Learnt, whole_rows
from .density_checks import check_common, check_distinct, check_init, random_generator
from .gaussian_density import (
    log_densities,
    precisions_of,
    root_of_covariance,
    shape_of,
)
from .gaussian_parts import (
    components_of,
    matrix_of,
    on_columns,
    with_remedy,
)
from .gaussian_starts import WAYS, begun, last_point, starts_of
from .mixed import More
from .mixture_columns import matched, rows_of

SKLEARN_REG_COVAR = 1e-6


class InOrder(Gaussian):
    """Gaussian components that keep the order of their start."""

    def order(self, phi: np.ndarray) -> np.ndarray:
        """As they stand."""
        return np.arange(self.count)


class GaussianMixture(Density):
    """Gaussian mixture by maximum likelihood: scikit-learn's class with weights, standard errors and the maximum.

    A script written for `sklearn.mixture.GaussianMixture` runs unchanged but for the import. The fit always goes to a
    local maximum of the likelihood, the best of those that its starts lead to; components stand in ascending order of
    their first means.

    Parameters
    ----------
    n_components : int, default 1
        Number of components.
    covariance_type : str, default "full"
        "full", "tied", "diag" or "spherical", or one of the 14 models of mclust by its three letters (volume, shape,
        orientation: E equal, V variable, I identity): EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV,
        VVV. "full" is VVV, "tied" EEE, "diag" VVI and "spherical" VII.
    tol : float, default 1e-20
        Newton decrement, twice the log-likelihood that is still to be gained, at which the ascent stops. The change of
        the mean log-likelihood, which scikit-learn means by it, says little of the distance to the maximum.
    reg_covar : float, default 0
        Accepted, so that scripts for scikit-learn run, and not added to variances: that maximises nothing, and what it
        does depends on the units of the data. A component that collapses is recognised by its size relative to the
        data, and named in a warning; `prior` keeps components from collapsing. Above scikit-learn's default, 1e-6, a
        `FisherfitWarning` says so.
    max_iter : int, default 500
        Steps of the final ascent at the most.
    n_init : int, default 10
        Starts from clusters, and as many random ones; all run together, and the best local maximum wins.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default "kmeans"
        "kmeans" takes starts of all kinds; the others `n_init` of one kind: clusters around seeds drawn by k-means++,
        random responsibilities, clusters around rows drawn at random.
    weights_init, means_init, precisions_init : arrays, optional
        A start, shaped as `weights_`, `means_` and `precisions_`: what is not given follows from the clusters around
        the means. Components then keep its order.
    random_state : int, Generator or RandomState, optional
        Where the starts, and samples, come from.
    warm_start : bool, default False
        The last solution, where there is one, is the start.
    verbose : int, default 0
        1 for a line for every start that was followed, 2 for its steps.
    verbose_interval : int, default 10
        With ``verbose=1``, every how many steps one is printed.
    n_jobs : int, optional
        Threads; None for all cores.
    cov_type : str, default "observed"
        Where standard errors come from: the "observed" information (Louis, 1982), "opg" (outer products of the
        scores), "HC0" or "HC1" (a model that need not be true), "cluster" (`clusters` of rows that go together;
        "cluster(CR0)" without a correction) or "HAC" (rows in time order; "HAC(8)" for 8 lags).
    prior : {None, "mclust"} or dict, default None
        The conjugate prior of Fraley & Raftery (2007), as in mclust: the estimates are the mode of the posterior, which
        there is even where the likelihood has no bound. For EII, VII, EEI, VEI, EVI, VVI, EEE, EEV, VEV and VVV. A
        dictionary has any of ``shrinkage`` (0.01), ``mean``, ``dof`` and ``scale`` in place of the defaults. Standard
        errors are by the curvature of the log-posterior; ``result_.llf`` and criteria are of the likelihood at the
        mode, ``result_.log_posterior`` (without constants of the prior) is what was maximised.

    Attributes
    ----------
    weights_ : array of shape (n_components,)
    means_ : array of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : arrays
        (K, d, d); (d, d) for "tied" and EEE; (K, d) for "diag" and VVI; (K,) for "spherical" and VII.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        Mean log-likelihood of a row; with a prior, that share of the log-posterior.
    lower_bounds_ : list of float
        The same after every step of the ascent.
    n_features_in_, feature_names_in_
        As everywhere.
    rank_, aliased_ : int, tuple of str
        Columns that are linear functions of earlier ones are named, and the density is that of the others.
    result_ : MixtureResult
        Estimates by name (``mean[0,waiting]``, ``cov[0,waiting,eruptions]``) with standard errors by the observed
        information, intervals and criteria.

    Examples
    --------
    >>> import fisherfit as ff
    >>> geyser = ff.datasets.load("faithful")
    >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
    >>> model.means_.round(3).tolist()
    [[2.036, 54.479], [4.29, 79.968]]
    >>> round(model.result_.llf, 6), model.result_.bse["mean[0,waiting]"].round(3)
    (-1130.26396, np.float64(0.592))
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-20,
        reg_covar: float = 0.0,
        max_iter: int = 500,
        n_init: int = 10,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = None,
        cov_type: str = "observed",
        prior: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs
        self.cov_type = cov_type
        self.prior = prior

    def _learn(self, table: Table, weight: np.ndarray) -> Learnt:
        if table.n < 2:
            raise InputError(f"Found array with {table.n} sample(s) (shape=({table.n}, {len(table.names)})) while "
                             "a minimum of 2 is required.")  # fmt: skip
        check_common(self, table.n, weight)
        check_init("init_params", self.init_params, WAYS)
        if not isinstance(self.reg_covar, (int, float, np.number)) or not self.reg_covar >= 0.0:
            raise InputError(f"reg_covar must be a number of at least 0, got {self.reg_covar!r}")
        x, present, count = matrix_of(table, table.names), weight > 0.0, int(self.n_components)
        if not present.all():
            x, weight = x[present], weight[present]
        check_distinct([x[:, j] for j in range(x.shape[1])], count)
        settings = check_prior(self.prior, structure_of(self.covariance_type, count, x.shape[1]).name)
        start = begun(self, x)
        components: Any
        components, dependent, notes = components_of(
            Gaussian if start is None else InOrder, x, count, self.covariance_type, table.names
        )
        kind: type[Mixture] = Mixture
        if settings is not None:
            kept = None if dependent is None else dependent[0]
            components = components.with_prior(prior_of(on_columns(settings, kept), components, weight))
            kind = Posterior
        mixture = kind(
            components, Mixing(count), np.ascontiguousarray(weight), None, _threads.thread_count(self.n_jobs)
        )
        called = self.covariance_type if settings is None else f"{self.covariance_type}, prior"
        if self.reg_covar > SKLEARN_REG_COVAR:
            text = (
                f"reg_covar={self.reg_covar:g} is not added to variances, as scikit-learn does: the fit is the maximum "
                "of the likelihood in any units. Where components collapse, prior='mclust' keeps them from it; else "
                "leave reg_covar out"
            )
            notes = (*notes, (text, FisherfitWarning))
        return Learnt(mixture, table.names, table.is_frame, f"Gaussian mixture ({called})",
                      (dependent, notes, start, settings))  # fmt: skip

    def _climb(self, learnt: Learnt, more: More | None = None) -> MixtureFit:
        _, notes, start, _ = learnt.more
        rng, mixture = random_generator(self.random_state), learnt.mixture
        fit = fit_mixture(
            mixture, model=learnt.model, rng=rng, n_init=int(self.n_init),
            starts=[start] if start is not None else starts_of(self, mixture, rng), max_iter=int(self.max_iter),
            tol=float(self.tol), more=[*last_point(self, mixture), *(() if more is None else more(mixture))],
        )  # fmt: skip
        components: Any = mixture.components
        if self.prior is None and components.structure.name in SUPPORTED:
            fit = replace(fit, warnings=tuple(map(with_remedy, fit.warnings)))
        return replace(fit, warnings=(*notes, *fit.warnings))

    def _over(self, learnt: Learnt, streamed: StreamedMixture) -> StreamedMixture:
        dependent, _, _, settings = learnt.more
        if settings is None:
            return streamed
        return with_prior(streamed, on_columns(settings, None if dependent is None else dependent[0]))

    def _on(self, learnt: Learnt, table: Table) -> Gaussian:
        x = matrix_of(table, matched(table, learnt.names, learnt.is_frame, type(self).__name__))
        dependent = learnt.more[0]
        components: Any = learnt.mixture.components
        return components.on(x if dependent is None else x[:, dependent[0]])

    def _attributes_of(self, learnt: Learnt, fit: MixtureFit) -> dict[str, Any]:
        return self._attributes(learnt.mixture, fit, learnt.more[0], learnt.names)

    def _drawn(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        components: Any = mixture.components
        psi, phi = mixture.split(self._theta)
        n = whole_rows(mixture)
        labels = rng.choice(components.count, n, p=np.exp(mixture.mixing.log_weights(psi[None], 0, 1)[0, :, 0]))
        x = components.sample(phi, labels, rng)
        return replace(mixture, components=components.on(x), weight=np.ones(n))

    def _attributes(self, mixture: Mixture, fit: Any, dependent: Any, names: tuple[str, ...]) -> dict[str, Any]:
        components: Any = mixture.components
        psi, phi = mixture.split(fit.theta)
        shape, d = shape_of(self.covariance_type), len(names)
        means, covariances = components.means(phi), components.covariances(phi)
        if shape in ("full", "tied"):
            root = root_of_covariance(components.frame.backward @ components.at(phi[None]).root[0])
            root = root if shape == "full" else root[0]
        else:
            root = 1.0 / np.sqrt(covariances)
        if dependent is not None:
            kept, shift, matrix = dependent
            means, covariances = shift + means @ matrix.T, matrix @ covariances @ matrix.T
            whole = np.zeros((*root.shape[:-2], d, d))
            whole[..., kept[:, None], kept] = root
            root = whole
        return {
            "weights_": np.exp(mixture.mixing.log_weights(psi[None], 0, 1)[0, :, 0]),
            "means_": means,
            "covariances_": covariances,
            "precisions_cholesky_": root,
            "precisions_": precisions_of(root, shape),
            "lower_bound_": (fit.result.llf + (fit.result.log_prior or 0.0)) / fit.result.nobs,
            "lower_bounds_": [float(value) / fit.result.nobs for value, _ in fit.climb.best.ascent.history],
            "n_features_in_": d,
            "rank_": components.d,
            "aliased_": tuple(name for name in names if name not in components.names),
            "_dependent": dependent,
            "_names": names,
            "_shape": shape,
        }

    def _log_joint(self, X: Any) -> np.ndarray:
        table = rows_of(X)
        is_frame = hasattr(self, "feature_names_in_")
        x = matrix_of(table, matched(table, self._names, is_frame, type(self).__name__))
        with np.errstate(all="ignore"):
            return np.asarray(
                log_densities(x, self.means_, self.precisions_cholesky_, self._shape) + np.log(self.weights_)
            )

    def _n_parameters(self) -> int:
        """The number of free parameters, under the name that scripts for scikit-learn call."""
        self._check_fitted()
        return int(self.result_.n_params)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default 1

        Returns
        -------
        X : array of shape (n_samples, n_features)
            Rows, component by component.
        y : array of int, shape (n_samples,)
            The components they come from.
        """
        self._check_fitted()
        if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
            raise InputError(f"n_samples must be a whole number of at least 1, got {n_samples!r}")
        rng = random_generator(self.random_state)
        counts = rng.multinomial(n_samples, self.weights_ / self.weights_.sum())
        k, d = self.means_.shape
        out = []
        for c, size in enumerate(counts):
            z = rng.standard_normal((int(size), d))
            if self._shape in ("full", "tied"):
                u = self.precisions_cholesky_[c] if self._shape == "full" else self.precisions_cholesky_
                if self._dependent is not None:
                    kept, _, matrix = self._dependent
                    out.append(self.means_[c] + np.linalg.solve(u[np.ix_(kept, kept)].T, z.T[kept]).T @ matrix.T)
                    continue
                out.append(self.means_[c] + np.linalg.solve(u.T, z.T).T)
            else:
                out.append(self.means_[c] + z / self.precisions_cholesky_[c])
        return np.concatenate(out), np.repeat(np.arange(k), counts)


__all__ = ["GaussianMixture"]
