"""Steps of other lengths than the full one, with any metric: fixed, of constant KL, damped, shortened."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .outcome import OptimizeResult, Record, Stop, finish
from .view import View

KL_PER_ROW = 0.1
FLOOR = 1e-12  # decrement above which rounding is not looked for
SHORT = 0.5  # of the goal, where the approximate decrement has met it and the true one has not
Move = tuple[np.ndarray, float]


@dataclass(frozen=True, eq=False)
class Here:
    """A point of the path: parameters, log-likelihood, score, metric."""

    theta: np.ndarray
    loglik: float
    score: np.ndarray
    metric: Any

    @property
    def slack(self) -> float:
        """What rounding may do to a difference of log-likelihoods."""
        return 64.0 * float(np.finfo(float).eps) * (1.0 + abs(self.loglik))


Rule = Callable[[View, Here, np.ndarray], np.ndarray | None]


def fixed(rate: float) -> Rule:
    """A constant times the natural gradient, whatever becomes of the likelihood."""
    return lambda view, here, natural: rate * natural


def constant_kl(kl: float) -> Rule:
    """The longest step of KL divergence kl, to second order, or the best one along the line where that is shorter.

    The solution of max s'd subject to 1/2 d'Fd = kl: its Lagrangian gives d = sqrt(2 kl / s'F^-1 s) F^-1 s. The
    length is measured by all of F, where the direction comes from an approximation of it. A step that long at which the
    likelihood is lower than before, as where F is an observed information far from the maximum, is halved.
    """

    def step(view: View, here: Here, natural: np.ndarray) -> np.ndarray | None:
        length, gain = float(natural @ here.metric.product(natural)), float(here.score @ natural)
        t = min(gain / length, math.sqrt(2.0 * kl / length)) if length > 0.0 else 1.0
        for _ in range(60):
            if view.model.total(here.theta + t * natural) >= here.loglik - here.slack:
                return t * natural
            t *= 0.5
        return None

    return step


def backtracking(view: View, here: Here, natural: np.ndarray) -> np.ndarray | None:
    """The step, shortened until the likelihood increases as much as its slope promises (Armijo, 1966).

    Where the promise is within rounding of the log-likelihood, the slope at the end of the step decides: what is left
    of it must not be steeper downhill than four fifths of what it was uphill (Hager & Zhang, 2005, SIAM Journal on
    Optimization 16, 170-192). A step by an approximation of F is too long by a factor, and would else be repeated
    for ever; all of F, whose products are known, says by how much.
    """
    gain, length = float(here.score @ natural), float(natural @ here.metric.product(natural))
    t = gain / length if length > 1.01 * gain > 0.0 else 1.0
    for _ in range(60):
        there = here.theta + t * natural
        value = view.model.total(there)
        if 1e-3 * t * gain > here.slack:
            if value >= here.loglik + 1e-4 * t * gain:
                return t * natural
            t *= 0.5
            continue
        if value >= here.loglik - here.slack:
            slope = float(view.model.score_at(there) @ natural)
            if slope >= -0.8 * gain:
                return t * natural
            t *= max(0.1, gain / (gain - slope))
        else:
            t *= 0.5
    return None


@dataclass(eq=False)
class Damped:
    """Levenberg's damping: less of it where the quadratic model holds, more where it does not."""

    damping: float

    def __call__(self, view: View, here: Here, natural: np.ndarray) -> np.ndarray | None:
        """A step that increases the likelihood; by all of F, where rounding hides what it does."""
        while self.damping < 1e12:
            d = here.metric.solve(here.score, self.damping)
            if d is not None:
                gain = float(here.score @ d)
                predicted = gain - 0.5 * float(d @ here.metric.product(d))
                actual = view.model.total(here.theta + d) - here.loglik
                hidden = 1e-3 * gain <= here.slack
                good = predicted / (0.5 * gain) if hidden and gain > 0.0 else actual / predicted if predicted else 0.0
                if (hidden and good > 0.1 and actual >= -here.slack) or (
                    not hidden and (actual >= 0.1 * predicted > 0.0 or predicted <= 0.0 < actual)
                ):
                    if good > 0.75:
                        self.damping = max(0.1 * self.damping, 1e-16)
                    elif good < 0.25:
                        self.damping *= 4.0
                    return np.asarray(d)
            self.damping *= 10.0
        return None


def rule_of(step: str, learning_rate: float | None, kl: float | None, damping: float | None, n: int) -> Rule:
    """The rule for the length of a step, its number checked."""
    for name, value, use in (
        ("learning_rate", learning_rate, "fixed"),
        ("kl", kl, "kl"),
        ("damping", damping, "damped"),
    ):
        if value is not None and not (isinstance(value, (int, float, np.number)) and 0.0 < float(value) < math.inf):
            raise InputError(f"{name} must be a positive number, got {value!r}")
        if value is not None and step != use:
            raise InputError(f"{name} is for step={use!r}, and step={step!r} was given")
    if step == "fixed":
        return fixed(1.0 if learning_rate is None else float(learning_rate))
    if step == "kl":
        return constant_kl(KL_PER_ROW * n if kl is None else float(kl))
    return Damped(1e-3 if damping is None else float(damping)) if step == "damped" else backtracking


def endless(step: np.ndarray, theta: np.ndarray) -> bool:
    """True where a step of next to no decrement still moves parameters: the likelihood rises towards infinite ones."""
    return bool(np.any(np.abs(step) > 1e-3 * (1.0 + np.abs(theta))))


def ascend(
    method: str, view: View, theta: np.ndarray, metric_at: Callable[[np.ndarray], Any], rule: Rule, max_iter: int,
    tol: float, record: Record,
) -> OptimizeResult:  # fmt: skip
    """Steps by a rule until the decrement meets the tolerance, or is rounding and falls no more.

    Where the metric approximates F the steps are followed by its own decrement, which is cheap, and the run ends by the
    true one: that is computed when the other has met the goal, which is lowered where it was not enough.
    """
    reason, kl, goal, met = "max_iter", float("nan"), tol, False
    exact = view.structure in ("dense", "matrix_free") and view.fisher != "empirical"
    least, idle, patience = math.inf, 0, 2 if exact else 8
    loglik = view.model.total(theta)
    try:
        for iteration in range(max_iter + 1):
            score, metric = view.model.score_at(theta), metric_at(theta)
            natural = metric.solve(score) if np.all(np.isfinite(score)) else None
            if natural is None or not np.all(np.isfinite(natural)):
                reason = "singular"
                record.add(theta, loglik, math.nan, kl, float(np.linalg.norm(score)))
                break
            decrement = float(score @ natural)
            record.add(theta, loglik, decrement, kl, float(np.linalg.norm(score)))
            met = decrement <= goal
            if met and not exact and decrement > 0.0:
                true = view.certify(theta)[0]
                met = true <= tol
                if not met and math.isfinite(true):
                    goal = SHORT * decrement * tol / true
            idle = idle + 1 if decrement >= least else 0
            least = min(least, decrement)
            if met or (least <= FLOOR and idle >= patience):
                reason = "endless" if decrement <= FLOOR and endless(natural, theta) else "converged"
                break
            if iteration == max_iter:
                break
            here = Here(theta, loglik, score, metric)
            d = rule(view, here, natural)
            if d is None:
                reason = "converged" if decrement <= FLOOR else "stalled"
                break
            there = theta + d
            value = view.model.total(there)
            if not math.isfinite(value):
                reason = "diverging"
                break
            kl, theta, loglik = 0.5 * float(d @ metric.product(d)), there, value
    except Stop:
        reason = "callback"
    decrement, covariance = view.certify(theta)
    if reason == "endless":
        reason, decrement = "diverging", math.inf
    if reason == "converged" and math.isinf(decrement):
        reason = "singular"
    return finish(method, theta, loglik, reason, decrement, covariance, record)


__all__ = ["FLOOR", "ascend", "backtracking", "endless", "rule_of"]
