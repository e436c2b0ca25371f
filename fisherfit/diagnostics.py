"""Diagnostics of a fit, row by row: residuals, leverage, influence, leave-one-out estimates and scores.

Everything comes from the row terms u and w (score and information of the linear predictors) and from the quadratic
forms x_i' F^-1 x_i, so that every column is a vector of n numbers. What is n x p (dfbetas, leave-one-out estimates) is
made for the rows asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .anscombe import anscombe
from .choices import one_of
from .errors import InputError
from .families import ExponentialDispersion, Family, NegativeBinomial
from .influence import dfbetas, estimates_without
from .kernels import EXPECTED, OBSERVED, kernels_of
from .leave_one_out import corrected_scores, observed_root
from .leverage import FULL, all_quadratic_forms, inverse_root, parts_of
from .linalg import cholesky
from .maximum import Maximum
from .randomness import generator
from .rowwise import base_terms_by_row, objectives
from .tails import normal_scores, tails

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "response", "fitted", "linear_predictor", "resid_response", "resid_pearson", "resid_deviance", "resid_working",
    "resid_anscombe", "resid_quantile", "std_pearson", "std_deviance", "leverage", "cooks_distance", "log_score",
    "loo_log_score",
)  # fmt: skip
LEVERAGE = frozenset({"leverage", "std_pearson", "std_deviance", "cooks_distance"})
RESIDUALS = ("quantile", "deviance", "pearson", "anscombe", "response", "working", "std_pearson", "std_deviance")


@dataclass(frozen=True, eq=False, repr=False)
class Diagnostics:
    """Diagnostics of a fitted model; columns are computed when they are first asked for.

    Made by :meth:`GLM.diagnostics`. Residuals and influence are those of the mean; further parameters (alpha) are held,
    but in `loo_estimates` and `loo_log_score`, where they move with it. With frequency weights the numbers of a row are
    those of one of its repetitions. Rows of weight zero have no diagnostics (NaN); a row that is separated is fitted
    exactly: its residuals are 0, and its influence on infinite coefficients is NaN.

    Attributes
    ----------
    maximum : Maximum
        The fit on its rows.
    labels : array of shape (n,)
        Row labels of the input.
    unit : array of shape (n,)
        The weight of one repetition of a row in the log-likelihood.
    share, factor : arrays of shape (n,)
        The dispersion of a row is phi / share; the term of its log-density that is free of the mean counts factor
        times.
    copies : array of shape (n,)
        How often a row is repeated.
    separated : boolean array of shape (n,)
        Rows whose fitted mean is at the end of its range, with infinite coefficients.
    table : Table
        The rows of X, for plots against a column.
    """

    maximum: Maximum
    labels: Any
    unit: np.ndarray
    share: np.ndarray
    factor: np.ndarray
    copies: np.ndarray
    separated: np.ndarray
    table: Any = None
    random_state: Any = 0
    response_name: str = "y"

    # what every column is made of

    @property
    def family(self) -> Family:
        """The family of the fit."""
        return self.maximum.family

    @property
    def y(self) -> np.ndarray:
        """The response as the fit uses it: counts of trials are proportions."""
        return self.maximum.likelihood.y

    @property
    def phi(self) -> float:
        """The dispersion in use; NaN after an exact fit, which has none."""
        return self.maximum.phi or float("nan")

    @property
    def rank(self) -> int:
        """Number of coefficients of the mean that are estimated."""
        maximum, p = self.maximum, self.maximum.design.width
        if maximum.basis is not None:
            return maximum.basis.shape[1] - (maximum.theta.size - p)
        return int(maximum.free[:p].sum())

    @cached_property
    def present(self) -> np.ndarray:
        """Rows that count in the fit of the finite coefficients."""
        return (self.maximum.likelihood.weight > 0.0) & ~self.separated

    @cached_property
    def eta(self) -> np.ndarray:
        """Linear predictors of all parameters, of shape (K, n)."""
        return self.maximum.eta

    @cached_property
    def theta(self) -> list[np.ndarray]:
        """The parameters of the family, each of shape (n,)."""
        return [link.mean(eta) for link, eta in zip(self.maximum.likelihood.kernels.links, self.eta, strict=True)]

    @cached_property
    def terms(self) -> tuple[np.ndarray, np.ndarray]:
        """u (K, n) and w (K (K + 1) / 2, n): score and expected information of one repetition of every row."""
        return self._terms(EXPECTED)

    @cached_property
    def observed_terms(self) -> tuple[np.ndarray, np.ndarray]:
        """The same with observed information."""
        return self.terms if self.maximum.canonical else self._terms(OBSERVED)

    def _terms(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        likelihood = self.maximum.likelihood
        k = len(likelihood.designs)
        u, w = np.empty((k, self.y.size)), np.empty((k * (k + 1) // 2, self.y.size))
        weight = np.where(self.present, self.unit, 0.0)
        kernels = likelihood.kernels
        with np.errstate(all="ignore"):
            kernels.rows(self.y, weight, np.ascontiguousarray(self.eta), kernels.constants, kind, u, w)
        return u, w

    def _of_rows(self, values: np.ndarray, exact: float = np.nan) -> np.ndarray:
        """A column: NaN for absent rows, `exact` for separated ones."""
        out = np.where(self.present, values, np.nan)
        out[self.separated] = exact
        return out

    @cached_property
    def _own(self) -> bool:
        """True where u and w are those of a mean with Var(y) = V / w, so that residuals follow from them."""
        return isinstance(self.family, (ExponentialDispersion, NegativeBinomial))

    # fitted values and residuals

    @cached_property
    def response(self) -> np.ndarray:
        """The response, proportions where trials were given."""
        return self.y

    @cached_property
    def fitted(self) -> np.ndarray:
        """The fitted mean; of a separated row the end of the range that it tends to."""
        mean = np.asarray(self.family.mean(*self.theta), float)
        return np.where(self.separated, self.y, mean) if self.separated.any() else mean

    @cached_property
    def linear_predictor(self) -> np.ndarray:
        """eta of the mean, offset included; of separated rows NaN, as it is infinite."""
        return np.where(self.separated, np.nan, self.eta[0]) if self.separated.any() else self.eta[0]

    @cached_property
    def resid_response(self) -> np.ndarray:
        """y - mu."""
        return self._of_rows(self.y - self.fitted, 0.0)

    @cached_property
    def resid_pearson(self) -> np.ndarray:
        """(y - mu) sqrt(w / V(mu))."""
        with np.errstate(all="ignore"):
            if self._own:
                u, w = self.terms[0][0], self.terms[1][0]
                out = np.copysign(np.where(u == 0.0, 0.0, np.abs(u) / np.sqrt(w)), self.y - self.fitted)
            else:
                try:
                    variance = np.asarray(self.family.variance(*self.theta))
                except NotImplementedError:
                    variance = np.full(self.y.size, np.nan)
                out = np.sqrt(self.unit) * (self.y - self.fitted) / np.sqrt(variance)
        return self._of_rows(out, 0.0)

    @cached_property
    def resid_deviance(self) -> np.ndarray:
        """sign(y - mu) sqrt(w d(y, mu)), d the unit deviance; NaN for a family without one."""
        if not self._own:
            return np.full(self.y.size, np.nan)
        kernels, eta = self.maximum.likelihood.kernels, self.eta
        if isinstance(self.family, NegativeBinomial) and self.family.alpha is None:
            kernels = kernels_of(NegativeBinomial(alpha=self._alpha), kernels.links[:1])
            eta = eta[:1]
        with np.errstate(all="ignore"):
            half = objectives(kernels, self.y, np.where(self.present, self.unit, 0.0), eta, self._threads)
            size = np.sqrt(np.maximum(-2.0 * half, 0.0))
        return self._of_rows(np.copysign(size, self.y - self.fitted), 0.0)

    @cached_property
    def resid_working(self) -> np.ndarray:
        """(y - mu) d eta / d mu: what the last step of the regression was fitted to."""
        with np.errstate(all="ignore"):
            return self._of_rows(self.terms[0][0] / self.terms[1][0])

    @cached_property
    def resid_anscombe(self) -> np.ndarray:
        """(A(y) - A(mu)) sqrt(w) / (A'(mu) sqrt(V(mu))), A the integral of V^(-1/3); NaN for a family without V."""
        with np.errstate(all="ignore"):
            found = np.sqrt(self.unit) * anscombe(self.family, self.y, self.theta[0], self._alpha)
        return self._of_rows(found, 0.0)

    @cached_property
    def resid_quantile(self) -> np.ndarray:
        """Phi^-1 of the fitted distribution function at y, at a random place within a jump (Dunn & Smyth, 1996)."""
        found = tails(self.family, self.y, self.theta, self._row_phi)
        uniform = generator(self.random_state).random(self.y.size)
        out = self._of_rows(normal_scores(found, uniform))
        if self.separated.any():  # certain of what is seen: all of the jump is there
            from scipy import special

            out[self.separated] = special.ndtri(uniform[self.separated])
        return out

    @property
    def uniform(self) -> np.ndarray:
        """The (randomised) probability integral transform: uniform on (0, 1) where the model is right."""
        from scipy import special

        return np.asarray(special.ndtr(self.resid_quantile))

    # leverage and influence

    @cached_property
    def _forms(self) -> np.ndarray:
        """x'F^-1 x of every row, F the expected information of the mean's coefficients."""
        return all_quadratic_forms(self.maximum.likelihood, [self._mean_root()])[0]

    @cached_property
    def _observed_forms(self) -> np.ndarray:
        """X J^-1 X' of every row, J the observed information of all parameters."""
        if self._alone:
            return self._forms
        return all_quadratic_forms(self.maximum.likelihood, [self._observed_parts()])[0]

    @property
    def _alone(self) -> bool:
        """True where the observed information is the expected one of the mean's coefficients."""
        return self.maximum.canonical and len(self.maximum.likelihood.designs) == 1

    def _observed_parts(self) -> list[np.ndarray]:
        return parts_of(self.maximum.likelihood, self.loo_root)

    def _mean_root(self) -> list[np.ndarray]:
        """R with R R' = F^-1."""
        p = self.maximum.design.width
        half = self.maximum.of_mean(self.maximum.evaluation.information[:p, :p])
        factor = cholesky(self.maximum.of_mean(half.T))
        if factor is None:
            raise InputError("the information matrix is not positive definite at the estimates, so that there is no "
                             "leverage (see certificate_ and the warnings of the fit)")  # fmt: skip
        return [np.ascontiguousarray(self.maximum.to_mean(inverse_root(factor.inverse())))]

    def _take_forms(self) -> None:
        """Both kinds of forms in one pass over the rows, where neither is known and they differ."""
        if self._alone or not self.__dict__.keys().isdisjoint(("_forms", "_observed_forms")):
            return
        sets = [self._mean_root(), self._observed_parts()]
        self.__dict__.update(zip(("_forms", "_observed_forms"), all_quadratic_forms(self.maximum.likelihood, sets),
                                 strict=True))  # fmt: skip

    @cached_property
    def leverage(self) -> np.ndarray:
        """h, the diagonal of the hat matrix of the mean; over all rows (and repetitions) it sums to the rank."""
        return self._of_rows(np.minimum(self.terms[1][0] * self._forms[0], 1.0))

    @cached_property
    def _spare(self) -> np.ndarray:
        """1 - h; NaN where a row alone determines a coefficient, and its residual is 0 by force."""
        spare = 1.0 - self.leverage
        return np.where(spare > FULL, spare, np.nan)

    @cached_property
    def std_pearson(self) -> np.ndarray:
        """Pearson residuals over sqrt(phi (1 - h))."""
        with np.errstate(all="ignore"):
            return np.asarray(self.resid_pearson / np.sqrt(self.phi * self._spare))

    @cached_property
    def std_deviance(self) -> np.ndarray:
        """Deviance residuals over sqrt(phi (1 - h))."""
        with np.errstate(all="ignore"):
            return np.asarray(self.resid_deviance / np.sqrt(self.phi * self._spare))

    @cached_property
    def cooks_distance(self) -> np.ndarray:
        """(pearson / (1 - h))^2 h / (phi p), p the rank: how far the coefficients move without the row."""
        with np.errstate(all="ignore"):
            return np.asarray((self.resid_pearson / self._spare) ** 2 * self.leverage / (self.phi * max(self.rank, 1)))

    # leaving a row out

    @cached_property
    def loo_root(self) -> np.ndarray:
        """R with R R' the inverse of the observed information."""
        return observed_root(self.maximum)

    @cached_property
    def log_score(self) -> np.ndarray:
        """The log-density of every row (times its weight, where that is no precision); they sum to ``llf``."""
        return self._log_density(self.eta)

    @cached_property
    def loo_log_score(self) -> np.ndarray:
        """The log-density of every row at the one-step estimate without it; their sum is a cross-validated ``llf``.

        The dispersion phi is that of all rows.
        """
        _, move = corrected_scores(*self.observed_terms, self._observed_forms)
        return self._log_density(self.eta - move)

    def _log_density(self, eta: np.ndarray) -> np.ndarray:
        kernels, phi = self.maximum.likelihood.kernels, self._ml_phi
        weight = np.where(self.present, self.unit, 0.0)
        with np.errstate(all="ignore"):
            value = objectives(kernels, self.y, weight, eta, self._threads) / phi
            factor = np.where(self.present, self.factor, 0.0)
            value += base_terms_by_row(kernels, self.y, factor, self.share, phi, self._threads)
        return self._of_rows(value, 0.0)

    def loo_estimates(self, rows: Any = None, columns: Any = None) -> pd.DataFrame:
        """One-step estimates without a row: theta - (I_total - I_i)^-1 s_i, I the observed information.

        They agree with a fit without the row up to terms of second order in its influence.

        Parameters
        ----------
        rows : sequence of row labels, optional
            By default the ten rows with the largest Cook's distance.
        columns : sequence of str, optional
            Names of coefficients; by default all.

        Returns
        -------
        pandas.DataFrame
            A row for every label, a column for every coefficient.
        """
        return estimates_without(self, rows, columns)

    def dfbetas(self, rows: Any = None, columns: Any = None) -> pd.DataFrame:
        """How many standard errors the coefficients move when a row is left out, by one step: all rows minus the rest.

        Parameters
        ----------
        rows, columns
            As in `loo_estimates`.

        Returns
        -------
        pandas.DataFrame
            Standard errors are the model's, sqrt(phi F^-1). (R divides by an estimate of phi without the row.)
        """
        return dfbetas(self, rows, columns)

    # choosing and showing

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The columns as a table with the row labels of the input.

        Parameters
        ----------
        columns : sequence of str, optional
            Some of "response", "fitted", "linear_predictor", "resid_response", "resid_pearson", "resid_deviance",
            "resid_working", "resid_anscombe", "resid_quantile", "std_pearson", "std_deviance", "leverage",
            "cooks_distance", "log_score", "loo_log_score"; by default all.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            For a name that is no column.
        """
        import pandas as pd

        names = COLUMNS if columns is None else [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            if name not in COLUMNS:
                raise InputError(f"{name!r} is no column of the diagnostics; they are {', '.join(COLUMNS)}")
        if "loo_log_score" in names and not LEVERAGE.isdisjoint(names) and "leverage" not in self.__dict__:
            self._take_forms()
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=pd.Index(self.labels))

    def residuals(self, kind: str = "quantile") -> np.ndarray:
        """Residuals by name: "quantile", "deviance", "pearson", "anscombe", "response", "working", "std_pearson" or
        "std_deviance".
        """
        one_of("kind", kind, RESIDUALS)
        return np.asarray(getattr(self, kind if kind.startswith("std_") else f"resid_{kind}"))

    def simulated(self, random_state: Any = 0) -> Diagnostics:
        """Diagnostics of responses drawn from the fitted model, the coefficients held: what residuals look like if it
        is right.

        Raises
        ------
        InputError
            For a user's family that has no ``sample``.
        """
        sample: Any = getattr(self.family, "sample", None)
        if sample is None:
            raise InputError(f"the family {self.family.name} has no sample(rng, {', '.join(self.family.parameters)}); "
                             "define one to simulate from it")  # fmt: skip
        divides = self.family.has_dispersion or self.family.takes_trials
        with np.errstate(all="ignore"):
            drawn = sample(generator(random_state), *self.theta, *((self._row_phi,) if divides else ()))
        y = np.where(self.present, np.asarray(drawn, float), self.y)
        likelihood = replace(self.maximum.likelihood, y=np.ascontiguousarray(y))
        out = replace(self, maximum=replace(self.maximum, likelihood=likelihood))
        known = ("eta", "theta", "present", "fitted", "leverage")
        out.__dict__.update({name: getattr(self, name) for name in known})
        return out

    def influential(self, count: int = 10) -> pd.DataFrame:
        """The rows with the largest Cook's distance, the first one first."""
        names = ["response", "fitted", "std_deviance", "leverage", "cooks_distance"]
        return self.frame(names).iloc[self.largest(count)]

    def largest(self, count: int) -> np.ndarray:
        """Positions of the rows with the largest Cook's distance."""
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise InputError(f"the number of rows must be a whole number of at least 0, got {count!r}")
        cook = np.nan_to_num(self.cooks_distance, nan=-1.0)
        return np.argsort(-cook, kind="stable")[: min(count, int((cook >= 0.0).sum()))]

    # small things

    @property
    def _threads(self) -> int:
        return self.maximum.likelihood.threads

    @property
    def _alpha(self) -> float | None:
        if isinstance(self.family, NegativeBinomial):
            return float(self.family.alpha if self.family.alpha is not None else self.theta[1][0])
        return None

    @property
    def _row_phi(self) -> np.ndarray:
        """The dispersion of the distribution of every row."""
        phi = self.phi if self.family.has_dispersion else 1.0
        return phi / np.where(self.present, self.share, 1.0)

    @property
    def _ml_phi(self) -> float:
        """The dispersion at which the log-likelihood is taken."""
        result = self.maximum.result
        if not self.family.has_dispersion:
            return 1.0
        estimated = result.dispersion_method in ("pearson", "deviance", "ml")
        return float(result.dispersion_ml if estimated else result.dispersion) or float("nan")

    def __repr__(self) -> str:
        return f"Diagnostics({self.family.name}, {self.y.size} rows, {self.rank} coefficients)"


__all__ = ["COLUMNS", "RESIDUALS", "Diagnostics"]
