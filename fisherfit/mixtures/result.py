"""What a fitted mixture says: estimates with their inference, criteria, and how the fit went. Holds no rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import labelled
from ..choices import check_level
from ..result import Certificate, quantile, upper_tail
from ..summary import Summary, number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MixtureResult:
    """Estimates of a mixture in the user's units, with their covariance.

    `history` has log-likelihood and decrement by iteration of the run that won, `maxima` the local maxima that were
    found, each with the number of starts that led to it. `boundary` names parameters on the edge of their space and
    `unidentified` those that the data do not determine; neither have standard errors.
    `nobs` is the n of BIC: the sum of the weights of the rows. `entropy` is -sum w_i sum_k z_ik log z_ik, and
    `hardness` sum w_i log max_k z_ik. With a prior, `log_prior` is its logarithm at the estimates without the
    constant, None without one; `history` and `maxima` are then of the log-posterior, `llf` is of the likelihood.
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
    boundary: tuple[str, ...] = ()
    unidentified: tuple[str, ...] = ()
    log_prior: float | None = None

    @property
    def log_posterior(self) -> float | None:
        """llf + log_prior, which the estimates maximise; None without a prior."""
        return None if self.log_prior is None else self.llf + self.log_prior

    @property
    def certificate(self) -> Certificate:
        """How far the answer can be from the local maximum, by the observed information."""
        distance = float(np.sqrt(max(self.decrement, 0.0)))
        return Certificate.of(distance, self.names, self.estimates, self.standard_errors)

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

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The table of the summary: estimates, standard errors, z, p-values and limits."""
        limits = self.conf_int(level)
        columns = {"coef": self.estimates, "std err": self.standard_errors, "z": self._z(), "P>|z|": self.pvalues}
        columns |= {"lower": limits["lower"], "upper": limits["upper"]}
        return labelled.frame({name: np.asarray(values) for name, values in columns.items()}, self.names)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the covariance and the history, as plain numbers, strings and lists."""
        return {
            "model": self.model, "params": dict(zip(self.names, map(float, self.estimates), strict=True)),
            "bse": dict(zip(self.names, map(float, self.standard_errors), strict=True)), "llf": float(self.llf),
            "aic": self.aic, "bic": self.bic, "icl": self.icl, "icl_entropy": self.icl_entropy,
            "entropy": self.entropy, "n_params": self.n_params, "nobs": self.nobs,
            "n_components": self.n_components, "cov_type": self.cov_type, "converged": self.converged,
            "n_iter": self.n_iter, "decrement": float(self.decrement), "maxima": [list(m) for m in self.maxima],
            "boundary": list(self.boundary), "unidentified": list(self.unidentified), "notes": list(self.notes),
        }  # fmt: skip

    def summary(self, level: float = 0.95) -> MixtureSummary:
        """The summary: text by ``print``, HTML in a notebook."""
        check_level(level)
        return MixtureSummary(self, level)  # type: ignore[arg-type]

    def _intervals(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        limits = self.conf_int(level)
        return np.asarray(limits["lower"]), np.asarray(limits["upper"])

    def _tests(self) -> tuple[np.ndarray, np.ndarray]:
        return self._z(), np.asarray(self.pvalues)

    use_t = False

    @property
    def coefficients(self) -> np.ndarray:
        """The estimates, by the name that the summary knows."""
        return self.estimates

    def _z(self) -> Any:
        real = np.array([support == "real" for support in self.supports])
        with np.errstate(all="ignore"):
            return np.where(real, self.estimates / self.standard_errors, np.nan)


class MixtureSummary(Summary):
    """The summary of a fitted mixture."""

    title = "Mixture model"

    def facts(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Names and values, in two columns."""
        r: Any = self.result
        worst = r.certificate._worst_digits()
        digits = f", {math.floor(worst)}+ digits" if np.isfinite(worst) else ""
        left = [
            ("Model", r.model),
            ("Components", number(r.n_components)),
            ("Observations", number(r.nobs)),
            ("Parameters", number(r.n_params)),
            ("Entropy", number(r.entropy)),
            ("Covariance", r.cov_type),
            ("Maxima found", number(len(r.maxima))),
        ]
        right = [
            ("Log-likelihood", number(r.llf)),
            ("AIC", number(r.aic)),
            ("BIC", number(r.bic)),
            ("ICL", number(r.icl)),
            ("Iterations", f"{r.n_iter} ({'converged' if r.converged else 'NOT CONVERGED'})"),
            ("Certificate", f"within {r.certificate.max_se_error:.0e} se{digits}"),
            ("Starts at it", number(r.maxima[0][1] if r.maxima else 0)),
        ]
        if r.log_posterior is not None:
            left.append(("Log-prior", number(r.log_prior)))
            right.append(("Log-posterior", number(r.log_posterior)))
        return left, right


__all__ = ["MixtureResult", "MixtureSummary"]
