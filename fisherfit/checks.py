"""Tests of whether a model fits: each takes the diagnostics of a fit and returns one small result.

Score tests need no other fit: the score of what is added to the model, at the maximum of the model, over its variance
given the score of the coefficients.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from .calibrated import Calibration, calibration, hosmer_lemeshow
from .choices import one_of
from .diagnostics import Diagnostics
from .errors import InputError
from .families import Binomial, Poisson
from .kernels import SCORE
from .maximum import need_likelihood
from .outcome import Check, of_diagnostics
from .rowwise import base_terms_by_row, objectives

__all__ = [
    "Calibration",
    "Check",
    "calibration",
    "hosmer_lemeshow",
    "link",
    "overdispersion",
    "uniformity",
    "zero_inflation",
]


def overdispersion(diagnostics: Diagnostics, method: str = "score", alternative: str = "quadratic") -> Check:
    """Is the variance larger than that of a Poisson or binomial model?

    Parameters
    ----------
    diagnostics : Diagnostics
        Of a Poisson model, or a binomial one with several trials to a row.
    method : {"score", "regression", "pearson"}, default "score"
        "score": the score of a dispersion parameter at 0 over its standard deviation under the model. Poisson (Dean &
        Lawless, 1989): sum of (y - mu)^2 - y + h mu, h the leverage, against Var(y) = mu + a mu^2, or of the same over
        mu, against Var(y) = (1 + a) mu. Binomial (Tarone, 1979): against the beta-binomial. One-sided.
        "regression": Cameron & Trivedi (1990), t of the regression of {(y - mu)^2 - y} / mu on mu, or on 1, with its
        robust standard error: the fourth moment need not be that of a Poisson. One-sided.
        "pearson": X^2 against chi^2 with df_resid degrees of freedom; poor where means are small.
    alternative : {"quadratic", "linear"}, default "quadratic"
        Var(y) = mu + a mu^2 (negative binomial) or mu + a mu (quasi-Poisson).

    Returns
    -------
    Check

    Raises
    ------
    InputError
        For other families, for weights that are no frequencies, and for responses of 0 and 1, whose variance is that
        of the model whatever happens.

    Examples
    --------
    >>> import fisherfit as ff
    >>> quine = ff.datasets.load("quine")
    >>> model = ff.GLM("poisson", formula="days ~ eth + sex + age + lrn").fit(quine)
    >>> ff.checks.overdispersion(model.diagnostics(quine)).p_value < 1e-10
    True
    """
    d = of_diagnostics(diagnostics)
    one_of("method", method, ("score", "regression", "pearson"))
    one_of("alternative", alternative, ("quadratic", "linear"))
    if method == "pearson":
        if d.family.has_dispersion:
            raise InputError(f"the {d.family.name} family has a dispersion of its own; overdispersion is part of it")
        copies = np.where(d.present, d.copies, 0.0)
        chi2, df = _sum(copies * d.resid_pearson**2), float(d.maximum.result.df_resid)
        if not df > 0.0:
            raise InputError("the model has no residual degrees of freedom, so that there is nothing to test")
        p = float(special.chdtrc(df, chi2))
        return Check("Pearson's X^2 for overdispersion", "the variance is that of the model", chi2, p,
                     f"chi^2 with {df:g} df", {"ratio X^2 / df": chi2 / df})  # fmt: skip
    rows = d.present
    y, mu, f, h = d.y[rows], d.fitted[rows], d.copies[rows], d.leverage[rows]
    if isinstance(d.family, Binomial):
        return _tarone(y, mu, d.share[rows], f, method)
    if not isinstance(d.family, Poisson):
        raise InputError(f"overdispersion is tested in Poisson and binomial models, not in the {d.family.name} family"
                         "; method='pearson' compares X^2 with its degrees of freedom")  # fmt: skip
    _no_precisions(d)
    g = mu if alternative == "quadratic" else np.ones(mu.size)  # g(mu) / mu
    null = "Var(y) = mu"
    if method == "score":
        excess = ((y - mu) ** 2 - y + h * mu) * g / mu
        spread = math.sqrt(2.0 * float(np.sum(f * g * g)))
        z = float(np.sum(f * excess)) / spread
        name = "Dean-Lawless score test for overdispersion"
    else:
        excess = ((y - mu) ** 2 - y) / mu
        slope = float(np.sum(f * g * excess) / np.sum(f * g * g))
        spread = math.sqrt(float(np.sum(f * (g * (excess - slope * g)) ** 2))) / float(np.sum(f * g * g))
        z = slope / spread
        name = "Cameron-Trivedi regression test for overdispersion"
    estimate = float(np.sum(f * g * ((y - mu) ** 2 - y) / mu) / np.sum(f * g * g))
    against = "mu + a mu^2" if alternative == "quadratic" else "mu + a mu"
    return Check(name, f"{null}, against {against} with a > 0", z, float(special.ndtr(-z)), "N(0, 1), one-sided",
                 {"estimate of a": estimate})  # fmt: skip


def _tarone(y: np.ndarray, p: np.ndarray, trials: np.ndarray, f: np.ndarray, method: str) -> Check:
    """The score of the intraclass correlation: sum of y(y-1)/p + (m-y)(m-y-1)/q - m(m-1), over its deviation."""
    if method == "regression":
        raise InputError("the regression test is for counts without an upper end; use method='score'")
    if not (trials > 1.0).any():
        raise InputError("a response of 0 and 1 has the variance of its mean and cannot be overdispersed; give "
                         "counts of several trials to a row")  # fmt: skip
    k = y * trials
    score = k * (k - 1.0) / p + (trials - k) * (trials - k - 1.0) / (1.0 - p) - trials * (trials - 1.0)
    z = float(np.sum(f * score)) / math.sqrt(2.0 * float(np.sum(f * trials * (trials - 1.0))))
    return Check("Tarone's score test for overdispersion", "y is binomial, against the beta-binomial", z,
                 float(special.ndtr(-z)), "N(0, 1), one-sided")  # fmt: skip


def zero_inflation(diagnostics: Diagnostics, two_sided: bool = False) -> Check:
    """Are there more zeros than the model of counts says?

    The score test of van den Broek (1995, Biometrics 51, 738-743): S = sum of 1{y = 0} / p_0 - 1, p_0 the probability
    of a zero, over its standard deviation given the score of all coefficients, sum of (1 / p_0 - 1) - c'F^-1 c, where c
    is the sum of the scores of the rows at y = 0. For the negative binomial alpha is among the coefficients (Jansakul &
    Hinde, 2002).

    Parameters
    ----------
    diagnostics : Diagnostics
        Of a model of counts (Poisson, negative binomial, geometric, or a family of one's own with whole responses).
    two_sided : bool, default False
        By default only more zeros than expected count against the model. The published statistic is the square, chi^2
        with one degree of freedom, which is two-sided.

    Returns
    -------
    Check
        ``details`` has the observed and the expected number of zeros.

    Examples
    --------
    >>> import fisherfit as ff
    >>> crabs = ff.datasets.load("crabs")
    >>> model = ff.GLM("poisson", formula="satellites ~ width").fit(crabs)
    >>> check = ff.checks.zero_inflation(model.diagnostics(crabs))
    >>> check.details["zeros observed"], round(check.details["zeros expected"], 1)
    (62.0, 14.0)
    """
    d = of_diagnostics(diagnostics)
    support = d.family.support
    if not (support.integer and support.lower == 0.0 and not support.lower_open):
        raise InputError(f"zero-inflation is tested in models of counts, not in the {d.family.name} family")
    likelihood, rows = d.maximum.likelihood, d.present
    need_likelihood(d.maximum.result, "the score test for zero-inflation")
    _no_precisions(d)
    kernels, eta = likelihood.kernels, d.eta
    f = np.where(rows, d.copies, 0.0)
    zero, one = np.zeros(d.y.size), np.ones(d.y.size)
    with np.errstate(all="ignore"):
        p0 = np.exp(objectives(kernels, zero, one, eta, likelihood.threads)
                    + base_terms_by_row(kernels, zero, one, one, 1.0, likelihood.threads))  # fmt: skip
        k = len(likelihood.designs)
        u, w = np.empty((k, d.y.size)), np.empty((k * (k + 1) // 2, d.y.size))
        kernels.rows(zero, f, np.ascontiguousarray(eta), kernels.constants, SCORE, u, w)
        odds = np.where(rows, 1.0 / p0 - 1.0, 0.0)
        score = _sum(f * np.where(d.y == 0.0, odds, -1.0))
    c = np.concatenate([likelihood.weighted_sums(None, u[j], j)[1] for j in range(k)])
    with np.errstate(all="ignore"):
        moved = d.maximum.root_of(d.maximum.evaluation).T @ c
    variance = _sum(f * odds) - float(moved @ moved)
    if not variance > 0.0:
        raise InputError("the expected number of zeros leaves no variance to test with")
    z = score / math.sqrt(variance)
    p = 2.0 * special.ndtr(-abs(z)) if two_sided else special.ndtr(-z)
    found = {"zeros observed": _sum(f * (d.y == 0.0)), "zeros expected": _sum(f * np.where(rows, p0, 0.0)),
             "chi2": z * z}  # fmt: skip
    return Check("van den Broek's score test for zero-inflation", f"zeros are those of the {d.family.name} family", z,
                 float(p), "N(0, 1), two-sided" if two_sided else "N(0, 1), one-sided", found)  # fmt: skip


def link(diagnostics: Diagnostics, powers: int | tuple[int, ...] = 2) -> Check:
    """Is the link right, and the linear predictor linear? Powers of the linear predictor as further columns.

    Pregibon's test of the link (1980, Applied Statistics 29, 15-24), Ramsey's RESET for the normal family, as a score
    test: s = Z'u, given the score of the coefficients, s' (Z'WZ - Z'WX F^-1 X'WZ)^-1 s. Where the dispersion is
    estimated it is F, with the dispersion that the larger model would have.

    Parameters
    ----------
    diagnostics : Diagnostics
        Of any fit; further parameters (alpha) are held at their estimates.
    powers : int or tuple of int, default 2
        The powers to add, each at least 2.

    Returns
    -------
    Check

    Examples
    --------
    >>> import fisherfit as ff
    >>> trees = ff.datasets.load("trees")
    >>> linear = ff.GLM("gamma", "identity", formula="volume ~ girth + height").fit(trees)
    >>> ff.checks.link(linear.diagnostics(trees)).p_value < 0.001
    True
    """
    d = of_diagnostics(diagnostics)
    added = np.atleast_1d(np.asarray(powers))
    if not (added.ndim == 1 and added.size and added.dtype.kind == "i" and (added >= 2).all()):
        raise InputError(f"powers must be whole numbers of at least 2, got {powers!r}")
    maximum, rows = d.maximum, d.present
    need_likelihood(maximum.result, "the score test of the link")
    p = maximum.design.width
    u, w = d.terms[0][0] * d.copies, d.terms[1][0] * d.copies
    eta = np.where(rows, d.eta[0], 0.0)
    total = w[rows].sum()
    centre = float(w[rows] @ eta[rows] / total)
    spread = math.sqrt(float(w[rows] @ (eta[rows] - centre) ** 2 / total)) or 1.0
    z = np.stack([np.where(rows, ((eta - centre) / spread) ** k, 0.0) for k in added.tolist()])
    information = maximum.of_mean(maximum.of_mean(maximum.evaluation.information[:p, :p]).T)
    cross = maximum.of_mean(np.stack([maximum.likelihood.weighted_sums(None, w * column, 0)[1] for column in z]))
    solved = np.linalg.solve(information, cross.T)
    left = (z * w) @ z.T - cross @ solved
    scale = np.sqrt(((z * w) * z).sum(axis=1))
    values, vectors = np.linalg.eigh(left / scale[:, None] / scale)
    kept = values > 1e-9  # powers that are combinations of the columns say nothing
    df = int(kept.sum())
    if df == 0:
        raise InputError("the powers of the linear predictor are combinations of the columns; there is nothing to test")
    s = vectors[:, kept].T @ ((z @ u) / scale)
    statistic = float(np.sum(s * s / values[kept]))
    null, result = "the link and the linear predictor are right", maximum.result
    name = f"score test of the link (powers {', '.join(map(str, added.tolist()))} of the linear predictor)"
    if not d.family.has_dispersion and result.dispersion == 1.0:
        return Check(name, null, statistic, float(special.chdtrc(df, statistic)), f"chi^2 with {df} df")
    rest = float(result.df_resid) - df
    if not rest > 0.0:
        raise InputError("the model has too few residual degrees of freedom for this test")
    phi = (float(result.dispersion) * float(result.df_resid) - statistic) / rest
    value = statistic / df / phi if phi > 0.0 else math.inf
    return Check(name, null, value, float(special.fdtrc(df, rest, value)), f"F with {df} and {rest:g} df")


def uniformity(diagnostics: Diagnostics, method: str = "ad") -> Check:
    """Are the quantile residuals normal, that is, the probability integral transforms uniform?

    Parameters
    ----------
    diagnostics : Diagnostics
        Of any fit whose family has a distribution function.
    method : {"ad", "ks"}, default "ad"
        Anderson & Darling's statistic, which looks at the tails too, or Kolmogorov & Smirnov's.

    Returns
    -------
    Check
        The coefficients were fitted to the same rows, which makes p-values too large: a small one counts.

    Examples
    --------
    >>> import fisherfit as ff
    >>> quine = ff.datasets.load("quine")
    >>> for family in ("poisson", "negative_binomial"):
    ...     model = ff.GLM(family, formula="days ~ eth + sex + age + lrn").fit(quine)
    ...     print(family, ff.checks.uniformity(model.diagnostics(quine)).p_value > 0.05)
    poisson False
    negative_binomial True
    """
    d = of_diagnostics(diagnostics)
    one_of("method", method, ("ad", "ks"))
    z = np.sort(d.resid_quantile[np.isfinite(d.resid_quantile) | np.isinf(d.resid_quantile)])
    n = z.size
    if n < 5:
        raise InputError(f"there are {n} residuals; a test of their distribution needs 5 at least")
    null = "the responses have the fitted distribution"
    i = np.arange(1, n + 1)
    if method == "ks":
        u = special.ndtr(z)
        distance = float(np.max(np.maximum(i / n - u, u - (i - 1) / n)))
        from scipy import stats

        return Check("Kolmogorov-Smirnov test of the quantile residuals", null, distance,
                     float(stats.kstwo.sf(distance, n)), f"Kolmogorov's law, n = {n}")  # fmt: skip
    with np.errstate(all="ignore"):
        log_terms = special.log_ndtr(z) + special.log_ndtr(-z[::-1])
        squared = float(-n - np.mean((2 * i - 1) * log_terms))
    return Check("Anderson-Darling test of the quantile residuals", null, squared, 1.0 - _anderson_darling(squared),
                 f"Anderson-Darling's law, n = {n}")  # fmt: skip


def _anderson_darling(x: float) -> float:
    """P(A^2 < x) in the limit (Marsaglia & Marsaglia, 2004, Journal of Statistical Software 9(2))."""
    if not x > 0.0:
        return 0.0
    if math.isinf(x):
        return 1.0
    if x < 2.0:
        series = 2.00012 + (0.247105 - (0.0649821 - (0.0347962 - (0.011672 - 0.00168691 * x) * x) * x) * x) * x
        return math.exp(-1.2337141 / x) / math.sqrt(x) * series
    tail = 1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * x) * x) * x) * x) * x
    return math.exp(-math.exp(tail)) if x < 150.0 else 1.0


def _no_precisions(d: Diagnostics) -> None:
    if not np.all(d.unit[d.present] == 1.0):
        raise InputError("the sample_weight of this fit are no frequencies, so that the rows are no counts of the "
                         "model; this test needs weight_type='frequency' or no weights")  # fmt: skip


def _sum(values: np.ndarray) -> float:
    return float(np.nansum(values))
