"""What a fitted mixture says: estimates with their inference, criteria, and how the fit went. Holds no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import labelled
from ..choices import check_level
from ..result import quantile, upper_tail

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MixtureResult:
    """Estimates of a mixture in the user's units, with their covariance.

    `nobs` is the n of BIC: the sum of the weights of the units. `entropy` is -sum w_i sum_k z_ik log z_ik, and
    `hardness` sum w_i log max_k z_ik.
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    covariance: np.ndarray | None
    supports: tuple[str, ...]
    llf: float
    n_params: int
    nobs: float
    n_components: int
    entropy: float
    hardness: float
    model: str
    cov_type: str
    converged: bool
    n_iter: int
    decrement: float
    history: tuple[tuple[float, float], ...]
    maxima: tuple[tuple[float, int], ...]
    notes: tuple[str, ...] = ()

    @property
    def params(self) -> pd.Series:
        """The estimates by name."""
        return labelled.series(self.estimates, self.names, "coef")

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors as an array; NaN where there are none."""
        if self.covariance is None:
            return np.full(len(self.names), np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def bse(self) -> pd.Series:
        """Standard errors by name."""
        return labelled.series(self.standard_errors, self.names, "std err")

    @property
    def aic(self) -> float:
        """-2 llf + 2 n_params."""
        return -2.0 * self.llf + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """-2 llf + log(nobs) n_params; small is good (mclust has the other sign)."""
        return -2.0 * self.llf + float(np.log(self.nobs)) * self.n_params

    @property
    def icl(self) -> float:
        """BIC - 2 sum w_i log max_k z_ik, as mclust and flexmix have it (Biernacki, Celeux & Govaert, 2000)."""
        return self.bic - 2.0 * self.hardness

    @property
    def icl_entropy(self) -> float:
        """BIC + 2 entropy."""
        return self.bic + 2.0 * self.entropy

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Wald intervals: on the log scale of what is positive and the logit scale of what is a probability."""
        check_level(level)
        q, b, se = float(quantile(0.5 + 0.5 * level, None)), self.estimates, self.standard_errors
        lower, upper = b - q * se, b + q * se
        with np.errstate(all="ignore"):
            for i, support in enumerate(self.supports):
                if support == "positive":
                    ratio = np.exp(q * se[i] / b[i])
                    lower[i], upper[i] = b[i] / ratio, b[i] * ratio
                elif support == "unit":
                    ratio = np.exp(q * se[i] / (b[i] * (1.0 - b[i])))
                    lower[i], upper[i] = (b[i] / (b[i] + (1.0 - b[i]) * ratio), b[i] / (b[i] + (1.0 - b[i]) / ratio))
        return labelled.frame({"lower": lower, "upper": upper}, self.names)

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the estimates, from the observed information unless `cov_type` says otherwise."""
        return labelled.frame(self.covariance, self.names, self.names)

    @property
    def tvalues(self) -> pd.Series:
        """Estimate over standard error, for parameters on the whole line; NaN elsewhere."""
        return labelled.series(self._z(), self.names, "z")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values by the normal law."""
        return labelled.series(2.0 * upper_tail(np.abs(self._z()), None), self.names, "P>|z|")

    def _z(self) -> Any:
        real = np.array([support == "real" for support in self.supports])
        with np.errstate(all="ignore"):
            return np.where(real, self.estimates / self.standard_errors, np.nan)


__all__ = ["MixtureResult"]
