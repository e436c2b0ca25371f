"""Predicted probabilities against what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from .diagnostics import Diagnostics
from .errors import InputError, InputTypeError
from .families import Binomial
from .outcome import Check, of_diagnostics


def hosmer_lemeshow(diagnostics: Diagnostics, groups: int = 10) -> Check:
    """Observed against expected successes in groups of rows with similar fitted probabilities.

    Parameters
    ----------
    diagnostics : Diagnostics
        Of a binomial model.
    groups : int, default 10
        Groups of about equal size, by quantiles of the fitted probability; equal probabilities stay together.

    Returns
    -------
    Check
        chi^2 with groups - 2 degrees of freedom (Hosmer & Lemeshow, 1980); ``details["table"]`` has the groups.

    Examples
    --------
    >>> import fisherfit as ff
    >>> births = ff.datasets.load("birthwt")
    >>> model = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke").fit(births)
    >>> ff.checks.hosmer_lemeshow(model.diagnostics(births)).law
    'chi^2 with 8 df'
    """
    d = of_diagnostics(diagnostics)
    if not isinstance(d.family, Binomial):
        raise InputError(f"the Hosmer-Lemeshow test is for binomial models, not for the {d.family.name} family")
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 3:
        raise InputError(f"groups must be a whole number of at least 3, got {groups!r}")
    table = grouped_counts(d.y[d.present], d.fitted[d.present], (d.share * d.factor * d.copies)[d.present], groups)
    df = len(table) - 2
    if df < 1:
        raise InputError(f"the fitted probabilities fall into {len(table)} groups; the test needs 3 at least")
    n, observed, expected = (table[name].to_numpy() for name in ("trials", "observed", "expected"))
    with np.errstate(all="ignore"):
        statistic = float(np.sum((observed - expected) ** 2 / (expected * (1.0 - expected / n))))
    return Check("Hosmer-Lemeshow test", "the fitted probabilities are right", statistic,
                 float(special.chdtrc(df, statistic)), f"chi^2 with {df} df", {"table": table})  # fmt: skip


def grouped_counts(y: np.ndarray, p: np.ndarray, trials: np.ndarray, groups: int) -> Any:
    """Trials, successes and expected successes in groups of similar probabilities, as a table."""
    import pandas as pd

    order = np.argsort(p, kind="stable")
    share = np.cumsum(trials[order]) / trials.sum()
    edges = np.unique(p[order][np.searchsorted(share, np.arange(1, groups) / groups)])
    which = np.searchsorted(edges, p, side="left")
    sums = {
        "trials": np.bincount(which, trials, edges.size + 1),
        "observed": np.bincount(which, trials * y, edges.size + 1),
        "expected": np.bincount(which, trials * p, edges.size + 1),
    }
    table = pd.DataFrame(sums)
    return table[table["trials"] > 0].reset_index(drop=True)


@dataclass(frozen=True)
class Calibration:
    """Predicted probabilities against what happened: logit P(y = 1) = intercept + slope logit(p).

    Attributes
    ----------
    intercept, slope : float
        0 and 1 for perfect probabilities. A slope below 1: the predictions are too extreme.
    standard_errors : tuple of float
        Of both.
    in_the_large : float
        The intercept at slope 1: log odds of what happened over what was predicted.
    brier : float
        The mean of (y - p)^2.
    check : Check
        The likelihood-ratio test of intercept 0 and slope 1 (Cox, 1958), for data that the model was not fitted to.
    """

    intercept: float
    slope: float
    standard_errors: tuple[float, float]
    in_the_large: float
    brier: float
    check: Check

    def __repr__(self) -> str:
        a, b = self.standard_errors
        return (f"intercept {self.intercept:.4g} (se {a:.2g}), slope {self.slope:.4g} (se {b:.2g}), in the large "
                f"{self.in_the_large:.4g}, Brier score {self.brier:.4g}\n{self.check!r}")  # fmt: skip


def calibration(y: Any, predicted: Any = None, weight: Any = None) -> Calibration:
    """How good predicted probabilities are, by a logistic regression of the response on their logit.

    Parameters
    ----------
    y : array of shape (n,), or Diagnostics
        Successes (0 or 1, or proportions with the trials as `weight`), best of rows that the model was not fitted to.
        Diagnostics of a binomial model give the rows of the fit, where the logit link makes it perfect by force.
    predicted : array of shape (n,)
        Probabilities strictly between 0 and 1, as from ``model.predict(X)``.
    weight : array of shape (n,), optional
        Trials or repetitions.

    Returns
    -------
    Calibration

    Examples
    --------
    >>> import fisherfit as ff
    >>> births = ff.datasets.load("birthwt")
    >>> first, rest = births[::2], births[1::2]
    >>> model = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke + ht").fit(first)
    >>> ff.checks.calibration(rest["low"], model.predict(rest)).slope < 1.0
    True
    """
    y, p, f = probabilities(y, predicted, weight)
    x = special.logit(p)
    both, covariance, top = _logistic(np.stack([np.ones(x.size), x]), y, f, 0.0)
    large, _, _ = _logistic(np.ones((1, x.size)), y, f, x)
    perfect = float(np.sum(f * (special.xlogy(y, p) + special.xlog1py(1.0 - y, -p))))
    statistic = max(2.0 * (top - perfect), 0.0)
    check = Check("likelihood-ratio test of calibration", "intercept 0 and slope 1", statistic,
                  float(special.chdtrc(2, statistic)), "chi^2 with 2 df")  # fmt: skip
    errors = np.sqrt(covariance.diagonal())
    brier = float(np.average((y - p) ** 2, weights=f))
    return Calibration(
        float(both[0]), float(both[1]), (float(errors[0]), float(errors[1])), float(large[0]), brier, check
    )


def probabilities(y: Any, predicted: Any, weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses, probabilities and weights, checked."""
    if isinstance(y, Diagnostics):
        d = y
        if not isinstance(d.family, Binomial):
            raise InputError(f"calibration is for probabilities, not for the {d.family.name} family")
        rows = d.present
        return d.y[rows], d.fitted[rows], (d.share * d.factor * d.copies)[rows]
    if predicted is None:
        raise InputError("give the predicted probabilities, (y, model.predict(X)), or the diagnostics of a fit")
    given = (y, predicted, np.ones(np.size(y)) if weight is None else weight)
    try:
        y, p, f = (np.asarray(one, float).ravel() for one in given)
    except (TypeError, ValueError):
        raise InputTypeError("y, predicted and weight must be numbers, one for every row") from None
    if not y.size == p.size == f.size:
        raise InputError(f"y has {y.size} rows, predicted {p.size}, weight {f.size}; they must agree")
    if not (np.all(np.isfinite(y)) and np.all((y >= 0.0) & (y <= 1.0))):
        raise InputError("y must be successes of 0 or 1, or proportions, without missing values")
    if not np.all((p > 0.0) & (p < 1.0)):
        row = int(np.flatnonzero(~((p > 0.0) & (p < 1.0)))[0])
        raise InputError(f"predicted has {p[row]:g} at row {row}; probabilities must lie strictly between 0 and 1")
    if not (np.all(np.isfinite(f)) and np.all(f >= 0.0) and f.sum() > 0.0):
        raise InputError("weight must be finite, at least 0, and not all 0")
    return y, p, f


def _logistic(x: np.ndarray, y: np.ndarray, f: np.ndarray, offset: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """A small logistic regression by Newton steps, halved if need be: coefficients, covariance, value."""

    def value(b: np.ndarray) -> float:
        eta = b @ x + offset
        return float(np.sum(f * (y * special.log_expit(eta) + (1.0 - y) * special.log_expit(-eta))))

    b = np.zeros(x.shape[0])
    best = value(b)
    for _ in range(100):
        mu = special.expit(b @ x + offset)
        information = (x * (f * mu * (1.0 - mu))) @ x.T
        if not np.linalg.cond(information) < 1e14:
            raise InputError(
                "the predicted probabilities separate the responses, or do not vary; there is no calibration line"
            )
        step = np.linalg.solve(information, x @ (f * (y - mu)))
        size = 1.0
        while value(b + size * step) < best - 1e-10 * abs(best) and size > 1e-10:
            size *= 0.5
        b, moved = b + size * step, float(step @ information @ step)
        best = value(b)
        if moved < 1e-20:
            break
    return b, np.linalg.inv(information), best


__all__ = ["Calibration", "calibration", "grouped_counts", "hosmer_lemeshow", "probabilities"]
