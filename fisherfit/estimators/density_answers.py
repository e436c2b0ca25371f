"""What a fitted density answers about any rows: components, log-densities, criteria."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..response import read_weights
from ..table import named_values, read_table


class AnsweringDensity:
    """Methods of a fitted density; a class has `_log_joint(X)`, log pi_k f_k of every row: (n, K)."""

    _check_fitted: Any
    _log_joint: Any
    result_: Any

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

    def uncertainty(self, X: Any) -> np.ndarray:
        """The probability that `predict` names the wrong component, 1 - max_k z_k, as in mclust: (n_samples,)."""
        self._check_fitted()
        joint = self._log_joint(X)
        with np.errstate(all="ignore"):
            joint = np.exp(joint - joint.max(axis=1, keepdims=True))
            others = joint.copy()  # added up without the largest, which is 1: no digits are lost by 1 - z
            others[np.arange(len(joint)), joint.argmax(axis=1)] = 0.0
            return np.asarray(others.sum(axis=1) / joint.sum(axis=1))

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


def _weights(X: Any, sample_weight: Any) -> Any:
    return (
        named_values(sample_weight, read_table(X), "sample_weight") if isinstance(sample_weight, str) else sample_weight
    )


__all__ = ["AnsweringDensity"]
