"""What a fit found: small, frozen, picklable, without rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from . import labelled
from .choices import check_level
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def upper_tail(t: Any, df: Any = None) -> Any:
    """P(T > t) for Student's t with `df` degrees of freedom, or the normal law without them."""
    return special.ndtr(-t) if df is None else special.stdtr(df, -t)


def quantile(probability: float, df: Any = None) -> Any:
    """The quantile of Student's t with `df` degrees of freedom, or of the normal law without them."""
    return special.ndtri(probability) if df is None else special.stdtrit(df, probability)


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
        return labelled.series(self._digits(), self.names, "digits")

    def _worst_digits(self) -> float:
        """The least number of digits; NaN where no coefficient has any."""
        digits = self._digits()
        known = digits[~np.isnan(digits)]
        return float(known.min()) if known.size else float("nan")

    def _digits(self) -> np.ndarray:
        """`digits`, as an array."""
        bse = self.standard_errors
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(self.coefficients), 1e-8 * bse)
            digits = np.minimum(15.0, -np.log10(self.max_se_error * bse / size))
        digits = np.where(np.isfinite(bse) & (bse > 0), digits, np.where(bse == 0, 15.0, np.nan))
        return np.maximum(digits, 0.0)

    def __repr__(self) -> str:
        worst = f"digits>={self._worst_digits():.1f}"
        return f"Certificate(decrement={self.decrement:.1e}, max_se_error={self.max_se_error:.1e}, {worst})"


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
    bias_reduction: str | None = None
    predictor: Any = field(default=None)

    @property
    def params(self) -> pd.Series:
        """Estimates by name."""
        return labelled.series(self.coefficients, self.names, "coef")

    @property
    def bse(self) -> pd.Series:
        """Standard errors: inf for infinite coefficients, NaN where one is not estimable or none were computed."""
        return labelled.series(self.standard_errors, self.names, "std err")

    @property
    def tvalues(self) -> pd.Series:
        """Estimates over standard errors; NaN for parameters such as alpha, whose null value is on the boundary."""
        return labelled.series(self._tests()[0], self.names, "t" if self.use_t else "z")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values, by t(df_resid) where the dispersion is estimated and the normal law elsewhere."""
        return labelled.series(self._tests()[1], self.names, "P>|t|" if self.use_t else "P>|z|")

    def _tests(self) -> tuple[np.ndarray, np.ndarray]:
        """`tvalues` and `pvalues`, as arrays."""
        with np.errstate(all="ignore"):
            t = self.coefficients / self.standard_errors
        se = self.standard_errors
        none = np.isinf(se) | ((se == 0.0) & (self.dispersion > 0.0))  # infinite estimates, and fixed coefficients
        t = np.where(np.isin(self.names, self.positive) | none, np.nan, t)
        return t, 2.0 * upper_tail(np.abs(t), self.df_resid if self.use_t else None)

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
            Columns ``lower`` and ``upper``; ``attrs["cov_type"]`` is the kind of covariance.
        """
        lower, upper = self._intervals(level)
        out = labelled.frame({"lower": lower, "upper": upper}, self.names)
        out.attrs["cov_type"] = self.cov_type
        return out

    def _intervals(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of `conf_int`, as arrays."""
        check_level(level)
        q = float(quantile(0.5 + 0.5 * level, self.df_resid if self.use_t else None))
        b, se = self.coefficients, self.standard_errors
        with np.errstate(all="ignore"):
            lower, upper = b - q * se, b + q * se
            ratio = np.exp(q * se / np.where(b > 0, b, np.nan))
            at = np.isin(self.names, self.positive)
            return np.where(at, b / ratio, lower), np.where(at, b * ratio, upper)

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
        out = labelled.frame(self.covariance, self.names, self.names)
        out.attrs["cov_type"] = self.cov_type
        return out

    def predict(self, X: Any = None, offset: Any = None, exposure: Any = None, kind: str = "mean") -> np.ndarray:
        """Predictions for new rows, as :meth:`GLM.predict` makes them."""
        return np.asarray(self.predictor.predict(X, offset, exposure, kind))

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The coefficient table as a frame."""
        t, p = self._tests()
        lower, upper = self._intervals(level)
        letter = "t" if self.use_t else "z"
        table = {
            "coef": self.coefficients, "std err": self.standard_errors, letter: t, f"P>|{letter}|": p,
            f"[{(1 - level) / 2:.6g}": lower, f"{(1 + level) / 2:.6g}]": upper,
        }  # fmt: skip
        return labelled.frame(table, self.names)

    def to_dict(self, level: float = 0.95) -> dict[str, Any]:
        """Everything the summary shows, as plain numbers, strings and lists (NaN and inf become None and strings)."""
        t, p = self._tests()
        lower, upper = self._intervals(level)
        digits = self.certificate._digits()
        table = {
            name: {
                "coef": _plain(self.coefficients[i]), "se": _plain(self.standard_errors[i]),
                "statistic": _plain(t[i]), "p_value": _plain(p[i]),
                "lower": _plain(lower[i]), "upper": _plain(upper[i]),
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
            "bias_reduction": self.bias_reduction,
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
