"""What all mixture estimators do alike: keep a fit, and answer about components and densities."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ._estimator import Estimator
from .mixed_inference import MixedInference

#: points theta to begin from besides the estimator's own, made from the mixture on its rows
More = Callable[[Mixture], list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit has found before anything is assigned: the mixture on its rows, the fit, attributes of the model."""

    mixture: Mixture
    fit: MixtureFit
    attributes: dict[str, Any]
    names: tuple[str, ...] | None  # of the columns, where the fit had a table


class Mixed(MixedInference, Estimator):
    """Base class of the mixture estimators.

    A subclass fits without assigning anything (`_fitted`, with the data arguments of `fit`, and points to begin from
    besides), reads the rows of a fit again (`_rows_of_fit`: the mixture on them, and the unit of every row) and draws
    others like them (`_drawn`).
    """

    def _fitted(self, X: Any, y: Any = None, sample_weight: Any = None, *, more: More | None = None) -> Fitted:
        raise NotImplementedError

    _counted: tuple[int, float] | None

    def _rows_of_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> tuple[Mixture, np.ndarray | None]:
        raise NotImplementedError

    def _drawn(self, mixture: Mixture, rng: np.random.Generator) -> Mixture:
        raise NotImplementedError

    def _keep(self, found: Fitted) -> Any:
        """Assign everything at once: a fit that fails before this leaves the estimator as it was."""
        fit = found.fit
        self._report_progress(fit)
        for message, kind in fit.warnings:
            warnings.warn(message, kind, stacklevel=3)
        self._assign(found)
        return self

    def _assign(self, found: Fitted) -> None:
        self._forget()
        if found.names is not None:
            self.feature_names_in_ = np.array(found.names, dtype=object)
        self.__dict__.update(found.attributes)
        self._counted = (found.mixture.units, found.mixture.total)
        self._know(found.fit)

    def _know(self, fit: MixtureFit) -> None:
        self._theta, self._held = fit.theta, fit.held
        self.result_ = fit.result
        self.converged_ = fit.result.converged
        self.n_iter_ = max(fit.result.n_iter, 1)

    def _report_progress(self, fit: MixtureFit) -> None:
        """What `verbose` asks for."""

    def _forget(self) -> None:
        """Drop what belongs to an earlier fit alone."""
        for name in ("feature_names_in_", "passes_", "_stream", "_cluster_columns"):
            self.__dict__.pop(name, None)

    def _keep_batch(self, fit: MixtureFit | None, attributes: dict[str, Any]) -> Any:
        """Assign what is known after a batch; without a fit, where there are too few rows yet."""
        for message, kind in () if fit is None else fit.warnings:
            warnings.warn(message, kind, stacklevel=3)
        self._forget()
        self.__dict__.pop("result_", None)
        self.__dict__.update(attributes)
        if fit is not None:
            self._counted = None
            self._know(fit)
        return self

    def _posterior(self, mixture: Mixture) -> np.ndarray:
        """Posterior probabilities of new units at the estimates."""
        return mixture.posterior(self._theta)


def units_of(present: np.ndarray) -> np.ndarray | None:
    """The unit of every row where those that are not present are left out (-1); None where all are."""
    return None if present.all() else np.where(present, np.cumsum(present) - 1, -1)


__all__ = ["Fitted", "Mixed", "More", "units_of"]
