"""What estimators of a density do alike: components of rows, densities, samples and criteria on any rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _threads
from ..choices import one_of
from ..errors import InputError, InputTypeError
from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ..mixtures.streamed import StreamedMixture, fit_streamed
from ..response import read_weights
from ..table import Table, named_values, read_table
from .mixed import Fitted, Mixed, More, units_of
from .mixture_batches import DensityRows, batches_of
from .mixture_columns import rows_of
from .mixture_stream import Whole, advance

FEW = 2000  # rows among which distinct ones are looked for first


@dataclass(frozen=True, eq=False)
class Learnt:
    """A model on its rows, what is kept of the columns, and what an estimator has besides."""

    mixture: Mixture
    names: tuple[str, ...]
    is_frame: bool
    model: str
    more: Any


class Density(Mixed):
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

    def _fitted(self, X: Any, y: Any = None, sample_weight: Any = None, *, more: More | None = None) -> Fitted:
        """The fit of rows in memory, or read in batches."""
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            source, passes = batches_of(X), {}
            if source is None:
                learnt = self._learn(*weights_of(rows_of(X), sample_weight))
                fit = self._climb(learnt, more)
            else:
                rows = DensityRows(source, sample_weight)
                table, weight, whole = rows.sample(self._check_rows)
                learnt = self._learn(table, weight)
                fit = self._climb(learnt, more)
                if not whole:
                    learnt, fit = self._over_all(learnt, fit, rows)
                passes = {"passes_": rows.passes}
            attributes = self._attributes_of(learnt, fit) | passes
        return Fitted(learnt.mixture, fit, attributes, learnt.names if learnt.is_frame else None)

    def _rows_of_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> tuple[Mixture, np.ndarray | None]:
        table, weight = weights_of(rows_of(X), sample_weight)
        return self._learn(table, weight).mixture, units_of(weight > 0.0)

    def _over_all(self, learnt: Learnt, fit: MixtureFit, rows: DensityRows) -> tuple[Learnt, MixtureFit]:
        """The model on all rows of a source, and its fit, from those of a sample."""
        sample = learnt.mixture

        def walk() -> Iterator[Mixture]:
            return rows.passing(lambda table, weight: self._part(learnt, table, weight))

        streamed = StreamedMixture(
            sample.components, sample.mixing, sample.weight, None, sample.threads, walk, rows.total, rows.alive
        )
        learnt = replace(learnt, mixture=streamed)
        return learnt, fit_streamed(streamed, sample, fit, max_iter=int(self.max_iter), tol=float(self.tol))

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

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and the most probable component of every row.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : ignored
        sample_weight : array of shape (n_samples,), optional

        Returns
        -------
        array of int, shape (n_samples,)
        """
        return np.asarray(self.fit(X, sample_weight=sample_weight).predict(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Posterior probabilities of the components: (n_samples, n_components)."""
        self._check_fitted()
        joint = self._log_joint(X)
        with np.errstate(all="ignore"):
            joint -= joint.max(axis=1, keepdims=True)
            np.exp(joint, out=joint)
            joint /= joint.sum(axis=1, keepdims=True)
        return joint

    def predict(self, X: Any) -> np.ndarray:
        """The most probable component of every row, numbered from 0: (n_samples,)."""
        self._check_fitted()
        return np.asarray(self._log_joint(X).argmax(axis=1))

    def score_samples(self, X: Any) -> np.ndarray:
        """The log-density of every row: (n_samples,)."""
        self._check_fitted()
        joint = self._log_joint(X)
        with np.errstate(all="ignore"):
            high = joint.max(axis=1)
            value = high + np.log(np.exp(joint - high[:, None]).sum(axis=1))
        return np.where(high == -np.inf, -np.inf, value)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean log-density of a row.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : ignored
        sample_weight : array of shape (n_samples,), optional
            Frequencies.
        """
        self._check_fitted()
        values = self.score_samples(X)
        weight = read_weights(_weights(X, sample_weight), values.size, getattr(X, "index", None))
        return float(weight @ np.where(weight > 0.0, values, 0.0) / weight.sum())

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """-2 log-likelihood of the rows of X + 2 parameters; that of the fit is ``result_.aic``."""
        return self._loglik(X, sample_weight)[0] * -2.0 + 2.0 * self.result_.n_params

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """-2 log-likelihood of the rows of X + log(n) parameters; small is good. That of the fit is ``result_.bic``."""
        loglik, total = self._loglik(X, sample_weight)
        return -2.0 * loglik + float(np.log(total)) * self.result_.n_params

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """BIC - 2 sum of w log max_k z_k, z being the posterior probabilities: small is good.

        As mclust and flexmix have it (Biernacki, Celeux & Govaert, 2000); that of the fit is ``result_.icl``.
        """
        self._check_fitted()
        z = self.predict_proba(X).max(axis=1)
        weight = read_weights(_weights(X, sample_weight), z.size, getattr(X, "index", None))
        return self.bic(X, sample_weight) - 2.0 * float(weight @ np.log(z))

    def _loglik(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        self._check_fitted()
        values = self.score_samples(X)
        weight = read_weights(_weights(X, sample_weight), values.size, getattr(X, "index", None))
        return float(weight @ np.where(weight > 0.0, values, 0.0)), float(weight.sum())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "result_")

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


def _weights(X: Any, sample_weight: Any) -> Any:
    return (
        named_values(sample_weight, read_table(X), "sample_weight") if isinstance(sample_weight, str) else sample_weight
    )


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


def check_common(model: Any, rows: int, weight: np.ndarray) -> None:
    """Refuse arguments of the constructor that cannot be meant, and more components than rows."""
    count = model.n_components
    _whole("n_components", count, 1)
    _whole("n_init", model.n_init, 1)
    _whole("max_iter", model.max_iter, 0)
    if isinstance(model.tol, bool) or not isinstance(model.tol, (int, float, np.number)) or not model.tol >= 0.0:
        raise InputError(f"tol must be a number of at least 0, got {model.tol!r}")
    present = int((weight > 0.0).sum())
    if count > present:
        zero = f" of positive weight (of {rows})" if present < rows else ""
        raise InputError(
            f"n_components={count} is more than the {present} rows{zero}: Expected n_samples >= n_components but got "
            f"n_components = {count}, n_samples = {present}; ask for fewer components"
        )


def check_distinct(values: list[np.ndarray], count: int) -> None:
    """Refuse more components than there are distinct rows."""
    if count == 1:
        return
    for rows in (slice(0, FEW), slice(None)):
        distinct = len(np.unique(np.column_stack([column[rows] for column in values]), axis=0))
        if distinct >= count:
            return
    what = "all rows of X are equal" if distinct == 1 else f"X has {distinct} distinct rows only"
    raise InputError(f"n_components={count}, but {what}; ask for at most as many components as there are distinct rows")


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")


def random_generator(random_state: Any) -> np.random.Generator:
    """A generator of a seed, of a `RandomState` as scikit-learn has it, or the generator given."""
    from ..randomness import generator

    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1))
    return generator(random_state)


def check_init(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse an unknown way to begin."""
    if not isinstance(value, str):
        raise InputTypeError(f"{name} must be a word, got {value!r}")
    one_of(name, value, known)


__all__ = ["Density", "check_common", "check_distinct", "check_init", "random_generator", "weights_of", "whole_rows"]
