"""Wald, likelihood-ratio and score tests of linear hypotheses A theta = c.

With s and F the score and the expected information of the full model, B a basis of the directions in which it may
move, and theta0 its maximum under the hypothesis (Rao, 2005; Cox & Hinkley, 1974, section 9.3):

    W = (A theta - c)' [A V A']^-1 (A theta - c)          at the maximum, V the covariance
    LR = 2 {l(theta) - l(theta0)} / phi
    S = s'B (B'FB)^-1 B's / phi                           at theta0

phi is the dispersion of the full model. Where it is estimated, the statistic over its df is referred to F.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg, special

from .coordinates import transform
from .covtypes import covariance_shown
from .errors import ExactFitWarning, InputError, RankWarning
from .hypotheses import Hypothesis
from .likelihood import Likelihood
from .linalg import EPS, cholesky
from .maximum import Maximum
from .refit import Refit, refit_within
from .restricted import Held, directions_left, maximise_within, score_within
from .result import Result

METHODS = ("wald", "lr", "score")
TITLES = {"wald": "Wald", "lr": "Likelihood-ratio", "score": "Score"}


@dataclass(frozen=True)
class HypothesisTest:
    """A test of a linear hypothesis.

    Attributes
    ----------
    statistic : float
        Chi-square, or F = chi-square / df where the dispersion is estimated.
    df : int
        Number of independent restrictions.
    p_value : float
        Upper tail of the distribution; also ``pvalue``.
    method : str
        "wald", "lr" or "score".
    distribution : str
        "chi2", "F", or "chi2bar" for alpha = 0: half chi2(1), half zero (Self & Liang, 1987).
    df_resid : float or None
        Denominator degrees of freedom of F.
    hypothesis : str
        What was tested.
    note : str
        What is to be known of the result; empty in most cases.
    cov_type : str
        The covariance of a Wald test; empty for the others.
    penalised : bool
        True where the likelihood is that of an estimate of reduced bias, with its penalty.

    Examples
    --------
    >>> from fisherfit.testing import HypothesisTest
    >>> HypothesisTest(4.0, 1, 0.0455, "wald", "chi2", None, "x1 = x2")
    Wald test of x1 = x2: chi2(1) = 4.0000, p = 0.0455
    """

    statistic: float
    df: int
    p_value: float
    method: str
    distribution: str
    df_resid: float | None
    hypothesis: str
    note: str = ""
    cov_type: str = ""
    penalised: bool = False

    @property
    def pvalue(self) -> float:
        """The p-value, by scipy's name."""
        return self.p_value

    def __repr__(self) -> str:
        degrees = f"{self.df}" if self.df_resid is None else f"{self.df}, {self.df_resid:g}"
        p = f"p = {self.p_value:.4g}" if not self.p_value < 1e-4 else f"p = {self.p_value:.2g}"
        plain = 1e-3 <= abs(self.statistic) < 1e6 or self.statistic == 0
        size = f"{self.statistic:.4f}" if plain else f"{self.statistic:.4g}"
        note = f"\nNote: {self.note}" if self.note else ""
        by = covariance_shown(self.cov_type, " ({})")
        title = "Penalised likelihood-ratio" if self.penalised else TITLES[self.method]
        what = f"{title} test of {self.hypothesis}{by}"
        return f"{what}: {self.distribution}({degrees}) = {size}, {p}{note}"


def outcome(
    chi2: float, df: int, method: str, result: Result, hypothesis: str, note: str = "", bar: bool = False
) -> HypothesisTest:
    """The test that a chi-square makes, by F(df, df_resid) where the dispersion is estimated."""
    statistic, p, distribution = tail(chi2, df, result)
    if bar:
        return HypothesisTest(statistic, df, 0.5 * p if chi2 > 0.0 else 1.0, method, "chi2bar", None, hypothesis, note)
    df_resid = result.df_resid if distribution == "F" else None
    return HypothesisTest(statistic, df, p, method, distribution, df_resid, hypothesis, note)


def tail(chi2: float, df: int, result: Result) -> tuple[float, float, str]:
    """The statistic in use, its p-value and its distribution."""
    if not result.use_t:
        return chi2, float(special.chdtrc(df, max(chi2, 0.0))), "chi2"
    f = chi2 / df
    if not result.df_resid > 0:
        return f, float("nan"), "F"
    return f, float(special.fdtrc(df, result.df_resid, max(f, 0.0))), "F"


def quadratic(matrix: np.ndarray, vector: np.ndarray) -> float:
    """v' M^-1 v of a positive definite M, NaN where it is not."""
    with np.errstate(all="ignore"):
        size = np.sqrt(np.diag(matrix))
        if not np.all(size > 0.0) or not np.isfinite(matrix).all():
            return float("nan")
        try:
            lower = linalg.cholesky(matrix / size[:, None] / size, lower=True)
        except (linalg.LinAlgError, ValueError):
            return float("nan")
        if np.diag(lower).min() ** 2 < 1e3 * EPS:
            return float("nan")
        root = linalg.solve_triangular(lower, vector / size, lower=True)
        return float(root @ root)


def wald(result: Result, hypothesis: Hypothesis, covariance: np.ndarray, estimates: np.ndarray) -> float:
    """The Wald statistic by a covariance in the user's units; NaN where the covariance is not known or singular."""
    used = np.any(hypothesis.matrix != 0.0, axis=0)
    inner = hypothesis.matrix[:, used]
    gap = inner @ estimates[used] - hypothesis.value
    return quadratic(inner @ covariance[np.ix_(used, used)] @ inner.T, gap)


@dataclass(frozen=True, eq=False)
class Full:
    """A fitted model as tests see it: its maximum, the restrictions it has already, all of its rows.

    `matrix` theta = `value` are constraints of the fit, of which there may be none.
    """

    maximum: Maximum
    rows: Likelihood
    regular: bool
    separated: np.ndarray
    matrix: np.ndarray
    value: np.ndarray
    basis: np.ndarray

    @property
    def penalised(self) -> bool:
        """True where the likelihood has a penalty."""
        return not self.maximum.likelihood.by_rows

    @property
    def constrained(self) -> bool:
        """True where the fit has constraints."""
        return bool(len(self.matrix))


def full_of(
    maximum: Maximum, rows: Likelihood, separated: np.ndarray, regular: bool,
    matrix: np.ndarray | None = None, value: np.ndarray | None = None,
) -> Full:  # fmt: skip
    """A fit on its rows, with the constraints it has."""
    if matrix is None or value is None:
        matrix, value = np.zeros((0, maximum.theta.size)), np.zeros(0)
    basis = directions_left(matrix, maximum.free) if len(matrix) else np.eye(maximum.theta.size)[:, maximum.free]
    return Full(maximum, rows, regular, separated, matrix, value, basis)


def on_links(maximum: Maximum, hypothesis: Hypothesis) -> np.ndarray:
    """The right-hand sides, with those of further parameters, which are on their own scale, on that of their links."""
    p, value = maximum.design.width, hypothesis.value.copy()
    for i, row in enumerate(hypothesis.matrix):
        for k in np.flatnonzero(row[p:]).tolist():
            link, name = maximum.likelihood.kernels.links[1 + k], maximum.names[p + k]
            if link.name == "identity":
                continue
            if np.count_nonzero(row) > 1:
                raise InputError(f"{name} stands in an expression of {hypothesis.text!r}; test it alone, as in "
                                 f"'{name} = 1'")  # fmt: skip
            value[i] = row[p + k] * float(link.forward(value[i] / row[p + k]))
            if not np.isfinite(value[i]):
                raise InputError(f"{name} cannot be {hypothesis.value[i] / row[p + k]:g}, not inside its range")
    return value


def effective(full: Full, hypothesis: Hypothesis) -> tuple[np.ndarray, np.ndarray]:
    """The restrictions of theta, without those that aliased columns or constraints make void.

    With N a basis of the null space of the design, A theta = c restricts the fitted values only by the combinations
    w with w'A N = 0. What remains is independent of the constraints of the fit.
    """
    maximum = full.maximum
    matrix, value = maximum.contrasts(hypothesis.matrix), on_links(maximum, hypothesis)
    size = np.linalg.norm(matrix, axis=1)
    matrix, value = matrix / size[:, None], value / size
    if maximum.null.shape[1]:
        user = transform(maximum.design, maximum.null)
        user = user / np.abs(user).max(axis=0)
        lost = hypothesis.matrix[:, : user.shape[0]] @ user
        lost = lost / np.maximum(np.abs(hypothesis.matrix).max(axis=1, keepdims=True), 1e-300)
        left = linalg.null_space(np.where(np.abs(lost) < 1e-9, 0.0, lost).T).T
        matrix, value = left @ matrix, left @ value
    if full.constrained and len(matrix):
        inside = matrix @ full.basis
        length = np.linalg.norm(inside, axis=1)
        gap = matrix @ maximum.theta - value
        void = length <= 1e-9
        if np.any(void & (np.abs(gap) > 1e-7 * (1.0 + np.abs(value)))):
            raise InputError(f"the hypothesis {hypothesis.text!r} contradicts the constraints of the fit")
        u, s, _ = linalg.svd(inside[~void], full_matrices=False)
        keep = s > 1e-9 * s.max(initial=0.0)
        matrix, value = u[:, keep].T @ matrix[~void], u[:, keep].T @ value[~void]
    return matrix, value


@dataclass(frozen=True, eq=False)
class Lower:
    """The maximum under a hypothesis: its log-likelihood and that of the full model by the same rows, its point."""

    loglik: float
    upper: float
    theta: np.ndarray
    converged: bool
    regular: bool
    separated: np.ndarray
    again: Refit | None = None


def under(full: Full, matrix: np.ndarray, value: np.ndarray) -> Lower:
    """The maximum of the full model where also `matrix` theta = `value`."""
    maximum = full.maximum
    both, right = np.vstack([full.matrix, matrix]), np.concatenate([full.value, value])
    if full.regular:
        held: Held = maximise_within(maximum, both, right)
        if held.converged and np.isfinite(held.loglik):
            return Lower(held.loglik, maximum.evaluation.loglik, held.theta, True, True, full.separated)
        if full.constrained or full.penalised:
            return Lower(held.loglik, maximum.evaluation.loglik, held.theta, False, False, full.separated)
    upper = _refit(full, full.matrix, full.value).loglik
    again = _refit(full, both, right)
    regular = again.converged and not again.separated.any() and not again.boundary
    done = again.converged or bool(again.separated.any())
    return Lower(again.loglik, upper, again.theta, done, regular, again.separated, again)


def _refit(full: Full, matrix: np.ndarray, value: np.ndarray) -> Refit:
    m = full.maximum
    return refit_within(full.rows, m.family, matrix, value, canonical=m.canonical, count=m.count)


def likelihood_ratio(full: Full, lower: Lower) -> float:
    """LR / phi; rounding below zero is zero."""
    return 2.0 * max(lower.upper - lower.loglik, 0.0) / full.maximum.phi


def score(full: Full, lower: Lower, matrix: np.ndarray, value: np.ndarray) -> float:
    """S / phi at the maximum under the hypothesis; NaN where that is infinite in other rows than the full model's."""
    maximum = full.maximum
    if lower.again is None:
        return score_within(replace(maximum, theta=lower.theta), full.basis) / maximum.phi
    if lower.regular:  # all rows count: the hypothesis holds back what was infinite
        free = np.ones(maximum.theta.size, bool)
        free[: maximum.design.width] = maximum.free[: maximum.design.width] | full.separated.any()
        there = replace(maximum, likelihood=full.rows, theta=lower.theta, free=free)
        return score_within(there, np.eye(free.size)[:, free]) / maximum.phi
    same = np.array_equal(lower.separated, full.separated) and lower.separated.any()
    if same and maximum.theta.size == maximum.free.size:  # what remains of the rows has a maximum under both
        held = maximise_within(maximum, matrix, value)
        s = score_within(replace(maximum, theta=held.theta), full.basis) if held.converged else float("nan")
        return s / maximum.phi
    return float("nan")


def wald_within(point: Maximum, basis: np.ndarray, matrix: np.ndarray, value: np.ndarray) -> float:
    """(A theta - c)' [A B (B'FB)^-1 B'A']^-1 (A theta - c) / phi at a maximum in the directions of a basis."""
    factor = cholesky(basis.T @ point.evaluation.information @ basis)
    if factor is None:
        return float("nan")
    inside = matrix @ basis
    solved = np.stack([factor.solve(row) for row in inside], axis=1)
    return quadratic(inside @ solved, matrix @ point.theta - value) / point.phi


def only_alpha_zero(maximum: Maximum, hypothesis: Hypothesis) -> bool:
    """True for the hypothesis alpha = 0, which lies on the edge of the parameter space."""
    used = np.any(hypothesis.matrix != 0.0, axis=0)
    p = maximum.design.width
    positive = np.isin(maximum.names, maximum.result.positive)
    return bool(hypothesis.df == 1 and not used[:p].any() and positive[used].all() and hypothesis.value[0] == 0.0)


def testable_part(full: Full, hypothesis: Hypothesis) -> tuple[np.ndarray, np.ndarray, list[tuple[str, Any]]]:
    """`effective`, with a warning for restrictions that are void; an error where all are."""
    matrix, value = effective(full, hypothesis)
    why = "the constraints of the fit" if full.constrained else "columns that are combinations of others"
    if not len(matrix):
        raise InputError(f"{hypothesis.text!r} is not testable: under {why} it does not restrict the fitted values")
    if len(matrix) == hypothesis.df:
        return matrix, value, []
    lost = (f"{hypothesis.df - len(matrix)} of {hypothesis.df} restrictions of {hypothesis.text!r} do not restrict the "
            f"fitted values, under {why}, and are not counted")  # fmt: skip
    return matrix, value, [(lost, RankWarning)]


def exact_fit(result: Result) -> list[tuple[str, Any]]:
    """The warning where there is no dispersion that a statistic could be measured in."""
    what = "the model reproduces the response exactly" if result.dispersion == 0.0 else "no degrees of freedom are left"
    return [(f"{what}, so that there is no dispersion to test with and the statistic is NaN", ExactFitWarning)]


def run(full: Full, hypothesis: Hypothesis, method: str) -> tuple[HypothesisTest, list[tuple[str, Any]]]:
    """The likelihood-ratio or score test, with the warnings that go with it."""
    from .errors import BoundaryWarning, ConvergenceWarning, SeparationWarning

    maximum = full.maximum
    matrix, value, notes = testable_part(full, hypothesis)
    lower = under(full, matrix, value)
    bar = only_alpha_zero(maximum, hypothesis)
    if not lower.converged:
        notes.append((f"the model under {hypothesis.text!r} did not converge; the test cannot be trusted",
                      ConvergenceWarning))  # fmt: skip
    elif not bar and any(not one.regular and not one.separated.any() for one in (full, lower)):
        notes.append((f"the model or its restriction by {hypothesis.text!r} lies on the edge of the parameter space, "
                      "where the chi-square law does not hold in general", BoundaryWarning))  # fmt: skip
    if not maximum.phi > 0.0:
        chi2 = float("nan")
        notes += exact_fit(maximum.result)
    else:
        chi2 = likelihood_ratio(full, lower) if method == "lr" else score(full, lower, matrix, value)
    if np.isnan(chi2) and maximum.phi > 0.0:
        kind = SeparationWarning if full.separated.any() else BoundaryWarning
        notes.append((f"the score test of {hypothesis.text!r} is NaN: the model under the hypothesis has no maximum at "
                      "which the score could be taken; use method='lr'", kind))  # fmt: skip
    if bar and method == "score" and np.isfinite(chi2):
        there = replace(maximum, theta=lower.theta)
        chi2 = chi2 if there.evaluation.score[-1] > 0.0 else 0.0
    text = " ".join(message for message, _ in notes)
    test = outcome(chi2, len(matrix), method, maximum.result, hypothesis.text, text, bar)
    return replace(test, penalised=full.penalised), notes


__all__ = ["HypothesisTest", "effective", "likelihood_ratio", "run", "score", "under", "wald"]
