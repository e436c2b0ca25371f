"""What all mixture estimators do alike: keep a fit, and answer about components and densities."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ._estimator import Estimator


class Mixed(Estimator):
    """Base class of the mixture estimators.

    A subclass reads its data into a `Mixture` (`_mixture_of`), fits it, and hands the fit to `_keep`.
    """

    def _keep(self, fit: MixtureFit, **attributes: Any) -> Any:
        """Assign everything at once: a fit that fails before this leaves the estimator as it was."""
        for message, kind in fit.warnings:
            warnings.warn(message, kind, stacklevel=3)
        self.__dict__.update(attributes)
        self._theta = fit.theta
        self.result_ = fit.result
        self.converged_ = fit.result.converged
        self.n_iter_ = max(fit.result.n_iter, 1)
        return self

    def _forget(self) -> None:
        """Drop what belongs to an earlier fit alone."""
        for name in ("feature_names_in_", "passes_", "_stream"):
            self.__dict__.pop(name, None)

    def _keep_batch(self, fit: MixtureFit | None, attributes: dict[str, Any]) -> Any:
        """Assign what is known after a batch; without a fit, where there are too few rows yet."""
        if fit is not None:
            for message, kind in fit.warnings:
                warnings.warn(message, kind, stacklevel=3)
            fit = replace(fit, warnings=())
        self._forget()
        if fit is not None:
            return self._keep(fit, **attributes)
        self.__dict__.pop("result_", None)
        self.__dict__.update(attributes)
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "result_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first.")

    def _posterior(self, mixture: Mixture) -> np.ndarray:
        """Posterior probabilities of new units at the estimates."""
        return mixture.posterior(self._theta)


__all__ = ["Mixed"]
