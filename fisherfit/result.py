"""What a fit found: small, frozen, picklable, without rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .errors import InputError


@dataclass(frozen=True, eq=False)
class Certificate:
    """How far the answer can be from the maximum.

    Attributes
    ----------
    decrement : float
        s'F^-1 s / phi at the last evaluation: the log-likelihood is within half of it of its maximum.
    max_se_error : float
        Its square root, lambda: every contrast of coefficients is within lambda standard errors of its
        maximum-likelihood value, to first order.
    names : tuple of str
        The coefficients.
    coefficients, standard_errors : array of shape (n_coefficients,)
        What `digits` are computed from.
    """

    decrement: float
    max_se_error: float
    names: tuple[str, ...]
    coefficients: np.ndarray
    standard_errors: np.ndarray

    @classmethod
    def of(cls, distance: float, names: tuple[str, ...], params: np.ndarray, bse: np.ndarray) -> Certificate:
        """The certificate of a distance lambda from the maximum."""
        return cls(distance**2, distance, names, params, bse)

    @property
    def digits(self) -> pd.Series:
        """Digits guaranteed, by coefficient: min(15, -log10(lambda se / max(abs(coef), 1e-8 se)))."""
        bse = self.standard_errors
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(self.coefficients), 1e-8 * bse)
            digits = np.minimum(15.0, -np.log10(self.max_se_error * bse / size))
        digits = np.where(np.isfinite(bse) & (bse > 0), digits, np.where(bse == 0, 15.0, np.nan))
        return pd.Series(np.maximum(digits, 0.0), index=list(self.names), name="digits")

    def __repr__(self) -> str:
        worst = float(self.digits.min())
        return f"Certificate(decrement={self.decrement:.1e}, max_se_error={self.max_se_error:.1e}, digits>={worst:.1f})"


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """Estimates with their inference, by the names that users of statsmodels know.

    Built by :meth:`GLM.fit` and kept as ``model.result_``. Labelled results are pandas objects.
    """

    names: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray | None
    standard_errors: np.ndarray
    family: str
    links: tuple[str, ...]
    llf: float
    llnull: float
    deviance: float
    null_deviance: float
    pearson_chi2: float
    dispersion: float
    dispersion_ml: float
    dispersion_method: str
    nobs: float
    rank: int
    n_params: int
    df_resid: float
    use_t: bool
    certificate: Certificate
    converged: bool
    n_iter: int
    cov_type: str = "expected"
    weight_type: str = "analytic"
    intercept: bool = True
    positive: tuple[str, ...] = ()
    dropped_rows: int = 0
    notes: tuple[str, ...] = ()
    response: str = "y"
    seconds: float = 0.0
    predictor: Any = field(default=None)

    @property
    def params(self) -> pd.Series:
        """Estimates by name."""
        return pd.Series(self.coefficients, index=list(self.names), name="coef")

    @property
    def bse(self) -> pd.Series:
        """Standard errors: inf for infinite coefficients, NaN where one is not estimable or none were computed."""
        return pd.Series(self.standard_errors, index=list(self.names), name="std err")

    @property
    def tvalues(self) -> pd.Series:
        """Estimates over standard errors; NaN for parameters such as alpha, whose null value is on the boundary."""
        with np.errstate(all="ignore"):
            t = self.coefficients / self.standard_errors
        t = np.where(np.isin(self.names, self.positive) | np.isinf(self.standard_errors), np.nan, t)
        return pd.Series(t, index=list(self.names), name="t" if self.use_t else "z")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values, by t(df_resid) where the dispersion is estimated and the normal law elsewhere."""
        t = np.abs(self.tvalues.to_numpy())
        p = 2.0 * (stats.t.sf(t, self.df_resid) if self.use_t else stats.norm.sf(t))
        return pd.Series(p, index=list(self.names), name="P>|t|" if self.use_t else "P>|z|")

    @property
    def df_model(self) -> int:
        """Rank of the design without the intercept."""
        return self.rank - int(self.intercept)

    @property
    def aic(self) -> float:
        """-2 llf + 2 n_params; alpha and an estimated dispersion count."""
        return -2.0 * self.llf + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """-2 llf + log(nobs) n_params."""
        return -2.0 * self.llf + float(np.log(self.nobs)) * self.n_params if self.nobs > 0 else float("nan")

    @property
    def scale(self) -> float:
        """The dispersion, by statsmodels' name."""
        return self.dispersion

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Wald intervals; for alpha on the log scale, so that they stay positive.

        Parameters
        ----------
        level : float
            Confidence level, strictly between 0 and 1.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper``.
        """
        if not 0.0 < level < 1.0:
            raise InputError(f"level must lie strictly between 0 and 1, got {level!r}")
        tail = 0.5 + 0.5 * level
        q = float(stats.t.ppf(tail, self.df_resid) if self.use_t else stats.norm.ppf(tail))
        b, se = self.coefficients, self.standard_errors
        with np.errstate(all="ignore"):
            lower, upper = b - q * se, b + q * se
            ratio = np.exp(q * se / np.where(b > 0, b, np.nan))
            at = np.isin(self.names, self.positive)
            lower, upper = np.where(at, b / ratio, lower), np.where(at, b * ratio, upper)
        return pd.DataFrame({"lower": lower, "upper": upper}, index=list(self.names))

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the estimates.

        Raises
        ------
        InputError
            Where it was not formed, because the model has too many coefficients.
        """
        if self.covariance is None:
            raise InputError(
                f"the covariance of {len(self.names)} coefficients was not formed; "
                "model.standard_errors(X, y, columns=[...]) gives the standard errors that you ask for"
            )
        return pd.DataFrame(self.covariance, index=list(self.names), columns=list(self.names))

    def predict(self, X: Any = None, offset: Any = None, exposure: Any = None, kind: str = "mean") -> np.ndarray:
        """Predictions for new rows, as :meth:`GLM.predict` makes them."""
        return np.asarray(self.predictor.predict(X, offset, exposure, kind))

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The coefficient table as a frame."""
        ci = self.conf_int(level)
        low, high = f"[{(1 - level) / 2:.6g}", f"{(1 + level) / 2:.6g}]"
        frame = pd.concat([self.params, self.bse, self.tvalues, self.pvalues], axis=1)
        frame[low], frame[high] = ci["lower"], ci["upper"]
        return frame

    def to_dict(self, level: float = 0.95) -> dict[str, Any]:
        """Everything the summary shows, as plain numbers, strings and lists (NaN and inf become None and strings)."""
        ci = self.conf_int(level)
        t, p, digits = (a.to_numpy() for a in (self.tvalues, self.pvalues, self.certificate.digits))
        table = {
            name: {
                "coef": _plain(self.coefficients[i]), "se": _plain(self.standard_errors[i]),
                "statistic": _plain(t[i]), "p_value": _plain(p[i]),
                "lower": _plain(ci["lower"].iloc[i]), "upper": _plain(ci["upper"].iloc[i]),
                "digits": _plain(digits[i]),
            }
            for i, name in enumerate(self.names)
        }  # fmt: skip
        keys = ("llf", "llnull", "aic", "bic", "deviance", "null_deviance", "pearson_chi2", "dispersion", "nobs",
                "df_model", "df_resid", "rank")  # fmt: skip
        return {
            "response": self.response,
            "family": self.family,
            "links": list(self.links),
            "converged": self.converged,
            "n_iter": self.n_iter,
            "statistic": "t" if self.use_t else "z",
            "cov_type": self.cov_type,
            "dispersion_method": self.dispersion_method,
            "level": level,
            "weight_type": self.weight_type,
            "coefficients": table,
            **{key: _plain(getattr(self, key)) for key in keys},
            "certificate": {"decrement": _plain(self.certificate.decrement),
                            "max_se_error": _plain(self.certificate.max_se_error)},
            "notes": list(self.notes),
        }  # fmt: skip

    def summary(self, level: float = 0.95) -> Any:
        """The summary: prints as text, shows as HTML in a notebook."""
        from .summary import Summary

        return Summary(self, level)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        model = f"{self.family}, {', '.join(self.links)}"
        return f"Result({model}; {len(self.names)} coefficients, llf={self.llf:.6g}, {state})"


def _plain(value: Any) -> Any:
    number = float(value)
    if np.isnan(number):
        return None
    if np.isinf(number):
        return "inf" if number > 0 else "-inf"
    return int(number) if number == int(number) and isinstance(value, (int, np.integer)) else number
