"""What estimators of a density do alike: components of rows, densities, samples and criteria on any rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _threads
from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ..mixtures.streamed import StreamedMixture, fit_streamed
from ..response import read_weights
from ..table import Table, named_values
from .density_answers import AnsweringDensity
from .mixed import Fitted, Mixed, More, units_of
from .mixture_batches import DensityRows, batches_of
from .mixture_columns import rows_of
from .mixture_covariance import check_cov_type, check_streamable, names_of, with_covariance, without
from .mixture_stream import Whole, advance
from .rows_of_fit import clusters_of


@dataclass(frozen=True, eq=False)
class Learnt:
    """A model on its rows, what is kept of the columns, and what an estimator has besides."""

    mixture: Mixture
    names: tuple[str, ...]
    is_frame: bool
    model: str
    more: Any


class Density(AnsweringDensity, Mixed):
    """Base class of the mixtures that are a density of the columns of X.

    A subclass has `_log_joint(X)`, log pi_k f_k of every row: (n, K); `_learn(table, weight)`, the model on rows;
    `_climb(learnt)`, its fit; `_on(learnt, table)`, its components on other rows; and `_attributes_of(learnt, fit)`.
    """

    _estimator_type = "density_estimator"

    def _log_joint(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def _learn(self, table: Table, weight: np.ndarray) -> Learnt:
        raise NotImplementedError

    def _climb(self, learnt: Learnt, more: More | None = None) -> MixtureFit:
        raise NotImplementedError

    def _on(self, learnt: Learnt, table: Table) -> Any:
        raise NotImplementedError

    def _attributes_of(self, learnt: Learnt, fit: MixtureFit) -> dict[str, Any]:
        raise NotImplementedError

    def _check_rows(self, table: Table, weight: np.ndarray) -> set[str]:
        """Refuse values that the model cannot have; the columns of numbers that are categories."""
        return set()

    def _fitted(
        self, X: Any, y: Any = None, sample_weight: Any = None, clusters: Any = None, *, more: More | None = None
    ) -> Fitted:
        """The fit of rows in memory, or read in batches."""
        cov, own, named = check_cov_type(self, clusters), None, names_of(clusters)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            source, kept = batches_of(X), dict[str, Any]()
            if source is None:
                given = rows_of(X)
                table, weight = weights_of(without(given, named), sample_weight)
                learnt = self._learn(table, weight)
                if clusters is not None:
                    own = clusters_of(clusters, given, units_of(weight > 0.0), learnt.mixture)
                    kept = {"_cluster_columns": named} if named else {}
                fit = with_covariance(self._climb(learnt, more), learnt.mixture, cov, True, own)
            else:
                check_streamable(cov)
                rows = DensityRows(source, sample_weight)
                table, weight, whole = rows.sample(self._check_rows)
                learnt = self._learn(table, weight)
                fit = self._climb(learnt, more)
                if not whole:
                    learnt, fit = self._over_all(learnt, fit, rows)
                fit = with_covariance(fit, learnt.mixture, cov, True, None)
                kept = {"passes_": rows.passes}
            attributes = self._attributes_of(learnt, fit) | kept
        return Fitted(learnt.mixture, fit, attributes, learnt.names if learnt.is_frame else None)

    def _rows_of_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> tuple[Mixture, np.ndarray | None]:
        table, weight = weights_of(without(rows_of(X), getattr(self, "_cluster_columns", ())), sample_weight)
        return self._learn(table, weight).mixture, units_of(weight > 0.0)

    def _over_all(self, learnt: Learnt, fit: MixtureFit, rows: DensityRows) -> tuple[Learnt, MixtureFit]:
        """The model on all rows of a source, and its fit, from those of a sample."""
        sample = learnt.mixture

        def walk() -> Iterator[Mixture]:
            return rows.passing(lambda table, weight: self._part(learnt, table, weight))

        streamed = self._over(learnt, StreamedMixture(
            sample.components, sample.mixing, sample.weight, None, sample.threads, walk, rows.total, rows.alive
        ))  # fmt: skip
        learnt = replace(learnt, mixture=streamed)
        return learnt, fit_streamed(streamed, sample, fit, max_iter=int(self.max_iter), tol=float(self.tol))

    def _over(self, learnt: Learnt, streamed: StreamedMixture) -> StreamedMixture:
        """The model on all rows of a source, with what it has to know of all of them."""
        return streamed

    def _part(self, learnt: Learnt, table: Table, weight: np.ndarray) -> Mixture:
        """The model on other rows, in the same coordinates."""
        present = weight > 0.0
        if not present.all():
            table, weight = table.take(present), weight[present]
        return Mixture(
            self._on(learnt, table), learnt.mixture.mixing, np.ascontiguousarray(weight), None, learnt.mixture.threads
        )

    def _learned(self, X: Any, sample_weight: Any, forgetting: Any) -> tuple[MixtureFit | None, dict[str, Any]]:
        """The fit after a batch, and the fitted attributes."""

        def named(learnt: Learnt, fit: MixtureFit) -> dict[str, Any]:
            out = self._attributes_of(learnt, fit)
            return out | ({"feature_names_in_": np.array(learnt.names, dtype=object)} if learnt.is_frame else {})

        def whole(rows: dict[str, Any]) -> Whole:
            learnt = self._learn(*weights_of(rows_of(rows["X"]), rows["sample_weight"]))
            fit = self._climb(learnt)
            components = learnt.mixture.components.take(np.empty(0, int))
            template = replace(learnt, mixture=replace(learnt.mixture, components=components, weight=np.empty(0)))
            return Whole(fit, learnt.mixture, named(learnt, fit), template)

        def part(learnt: Learnt, rows: dict[str, Any]) -> tuple[Mixture, float]:
            table, weight = weights_of(rows_of(rows["X"]), rows["sample_weight"])
            return self._part(learnt, table, weight), float(weight.sum())

        def moved(learnt: Learnt, state: Any, fit: MixtureFit) -> dict[str, Any]:
            return named(learnt, fit)

        return advance(self, {"X": X, "sample_weight": sample_weight}, forgetting, whole, part, moved, False)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, clusters: Any = None) -> Any:
        """Fit to the rows of X.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features), or rows that are read in batches
            A path of Parquet, a dataset of Arrow, a lazy table of polars, a list of batches, or a function that makes
            an iterator of batches: see :doc:`/out-of-core`.
        y : ignored
        sample_weight : array of shape (n_samples,) or str, optional
            Frequencies: a row of weight 3 is three rows. A string names a column of X.
        clusters : array of shape (n_samples,) or str, or two of them, optional
            The cluster of every row, for ``cov_type="cluster"``; two for two-way clusters. A string names a column of
            X, which is then no other.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For arguments and data that the model cannot have, and data without a maximum: the message names the
            column, the row and the value. Nothing already fitted is lost.
        """
        return self._keep(self._fitted(X, y, sample_weight, clusters))

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, forgetting: float = 1.0) -> Any:
        """Learn from a batch of rows, which need not be kept; ``fit`` starts afresh.

        The first rows are held, and fitted exactly, until there are 100 for every parameter, 2,000 at least. From then
        on the model keeps its estimates and their information alone: a batch moves them to the maximum of its own
        log-likelihood and the quadratic that stands for the past, by natural-gradient steps with the information of
        all rows. Components keep their numbers. After each batch ``result_`` holds the estimates and standard errors
        of all rows so far.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            A batch, in memory.
        y : ignored
        sample_weight : array of shape (n_samples,) or str, optional
            As in :meth:`fit`.
        forgetting : float, default 1
            What the information of the past is multiplied by at each batch: below 1 the past is forgotten, for data
            whose parameters drift.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For rows that cannot be used, or that are not like those of the first batch; nothing is changed.

        Notes
        -----
        The estimate differs from that of all rows by what is of third order in the distance that it moves after the
        rows that were held, as in :meth:`GLM.partial_fit`; ``result_.llf``, `entropy` and `hardness` are sums over
        batches at the estimates of their time, corrected to second order for `llf`. The certificate is NaN: without
        the rows nothing tells how far their maximum is. A prior takes its defaults from the rows that were held, and is
        not forgotten.

        Examples
        --------
        >>> import numpy as np, fisherfit as ff
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(np.where(rng.random(20000) < 0.3, 0.0, 4.0))[:, None]
        >>> model = ff.GaussianMixture(2, random_state=0)
        >>> for first in range(0, 20000, 500):
        ...     model = model.partial_fit(X[first : first + 500])
        >>> whole = ff.GaussianMixture(2, random_state=0).fit(X)
        >>> bool((abs(model.result_.params - whole.result_.params) < 0.1 * whole.result_.bse).all())
        True
        """
        fit, attributes = self._learned(X, sample_weight, forgetting)
        return self._keep_batch(fit, attributes)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None, clusters: Any = None) -> np.ndarray:
        """Fit, and the most probable component of every row.

        Parameters
        ----------
        X, y, sample_weight, clusters
            As in :meth:`fit`.

        Returns
        -------
        array of int, shape (n_samples,)
        """
        return np.asarray(self.fit(X, sample_weight=sample_weight, clusters=clusters).predict(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = self._estimator_type
        return tags

    def _report_progress(self, fit: Any) -> None:
        """What `verbose` asks for: a line for every start that was followed, and its path."""
        if not self.verbose:
            return
        every = int(getattr(self, "verbose_interval", 10)) if self.verbose < 2 else 1
        for number, run in enumerate(fit.climb.runs):
            ascent = run.ascent
            print(f"start {number}: {ascent.reason} after {ascent.n_iter} steps, "
                  f"log-likelihood {ascent.evaluation.loglik:.10g}")  # fmt: skip
            for step, (loglik, decrement) in enumerate(ascent.history):
                if step % every == 0:
                    print(f"  step {step}: log-likelihood {loglik:.10g}, decrement {decrement:.3g}")


def weights_of(table: Table, sample_weight: Any) -> tuple[Table, np.ndarray]:
    """The weights of the rows; where they are a column of the table, the table without it."""
    if isinstance(sample_weight, str):
        values = named_values(sample_weight, table, "sample_weight")
        names = tuple(name for name in table.names if name != sample_weight)
        table = Table(names, table.n, None, table.frame, table.index, table.known)
        sample_weight = values
    return table, read_weights(sample_weight, table.n, table.index)


def whole_rows(mixture: Mixture) -> int:
    """How many rows are drawn to stand for those of a fit: the sum of their weights."""
    return max(round(mixture.total), 1)


__all__ = ["Density", "Learnt", "weights_of", "whole_rows"]
