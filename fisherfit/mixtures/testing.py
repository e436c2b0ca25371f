"""Wald, likelihood-ratio and score tests of hypotheses on the parameters of a mixture."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from ..errors import ConvergenceWarning, InputError
from ..hypotheses import Hypothesis
from ..testing import HypothesisTest, quadratic
from .functions import linear
from .mixture import Mixture
from .restricted import Restricted, maximise_restricted
from .result import MixtureResult

OUTER = (
    "the observed information is not positive definite under the hypothesis, which is far from the estimates; the "
    "outer product of the scores stands for it"
)


def run(
    mixture: Mixture | None, theta: np.ndarray, result: MixtureResult, covariance: np.ndarray, hypothesis: Hypothesis,
    method: str,
) -> tuple[HypothesisTest, list[tuple[str, Any]]]:  # fmt: skip
    """The test, and warnings to give.

    Parameters
    ----------
    mixture : Mixture
        The model on the rows of the fit; not needed for "wald".
    theta : array
        The estimates in working coordinates.
    result : MixtureResult
        What the fit found.
    covariance : array
        That of the parameters, for "wald".
    hypothesis : Hypothesis
        R b = r on the parameters of the result.
    method : {"wald", "lr", "score"}
    """
    check_inside(result, hypothesis)
    notes: list[tuple[str, Any]] = []
    note = ""
    if method == "wald":
        gap = hypothesis.matrix @ result.estimates - hypothesis.value
        used = np.any(hypothesis.matrix != 0.0, axis=0)
        inner = covariance[np.ix_(used, used)]
        rows = hypothesis.matrix[:, used]
        chi2 = quadratic(rows @ inner @ rows.T, gap)
    else:
        assert mixture is not None
        lower = under(mixture, theta, result, hypothesis)
        if not lower.converged:
            notes.append(("the maximum under the hypothesis was not reached: the statistic is a lower bound of what "
                          "it would be" if method == "score" else "the maximum under the hypothesis was not reached: "
                          "the statistic is an upper bound of what it would be", ConvergenceWarning))  # fmt: skip
        if method == "lr":
            chi2 = 2.0 * (result.llf - lower.evaluation.loglik)
            if chi2 < -1e-6:
                notes.append((f"the maximum under the hypothesis is {-0.5 * chi2:.3g} nats above that of the fit: fit "
                              "again with more starts (n_init)", ConvergenceWarning))  # fmt: skip
            chi2 = max(chi2, 0.0)
        else:
            chi2 = quadratic(lower.evaluation.observed, lower.evaluation.score)
            if not chi2 >= 0.0:
                scores = mixture.unit_scores(lower.theta)
                chi2 = quadratic((scores.T * mixture.weight) @ scores, lower.evaluation.score)
                note = OUTER
    p = float(special.chdtrc(hypothesis.df, max(chi2, 0.0))) if np.isfinite(chi2) else float("nan")
    kind = "" if method != "wald" else result.cov_type
    test = HypothesisTest(chi2, hypothesis.df, p, method, "chi2", None, hypothesis.text, note, kind)
    return test, notes


def check_inside(result: MixtureResult, hypothesis: Hypothesis) -> None:
    """Refuse hypotheses on the edge of the parameter space, where no test of these has its distribution."""
    for row, value in zip(hypothesis.matrix, hypothesis.value, strict=True):
        used = np.flatnonzero(row)
        if used.size == 1:
            name, support, at = result.names[used[0]], result.supports[used[0]], value / row[used[0]]
            if (support == "positive" and at <= 0.0) or (support == "unit" and not 0.0 < at < 1.0):
                raise InputError(f"{name} = {at:g} is on the edge of the parameter space or beyond, where these tests "
                                 "do not hold; compare numbers of components by a bootstrap test")  # fmt: skip


def under(mixture: Mixture, theta: np.ndarray, result: MixtureResult, hypothesis: Hypothesis) -> Restricted:
    """The maximum under the hypothesis: at once, or in smaller and smaller steps from the estimates towards it."""
    restrictions = linear(mixture, hypothesis.matrix, hypothesis.value, result.supports)
    first = restrictions.at(theta)[0]
    zero = np.zeros_like(first)
    found = maximise_restricted(mixture, theta, restrictions, zero)
    for steps in (4, 16):
        if found.converged:
            break
        at = theta
        for share in np.linspace(1.0, 0.0, steps + 1)[1:]:
            found = maximise_restricted(mixture, at, restrictions, share * first)
            at = found.theta
    return found


__all__ = ["check_inside", "run", "under"]
