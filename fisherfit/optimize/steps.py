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
FLOOR = 1e-12  # decrement below which one that no longer falls is rounding
Move = tuple[np.ndarray, float]


@dataclass(frozen=True, eq=False)
class Here:
    """A point of the path: parameters, log-likelihood, score, metric."""

    theta: np.ndarray
    loglik: float
    score: np.ndarray
    metric: Any


Rule = Callable[[View, Here, np.ndarray], np.ndarray | None]


def fixed(rate: float) -> Rule:
    """A constant times the natural gradient, whatever becomes of the likelihood."""
    return lambda view, here, natural: rate * natural


def constant_kl(kl: float) -> Rule:
    """The longest step of KL divergence kl, to second order, or the full step where that is shorter.

    The solution of max s'd subject to 1/2 d'Fd = kl: its Lagrangian gives d = sqrt(2 kl / s'F^-1 s) F^-1 s.
    """

    def step(view: View, here: Here, natural: np.ndarray) -> np.ndarray:
        return min(1.0, math.sqrt(2.0 * kl / float(here.score @ natural))) * natural

    return step


def backtracking(view: View, here: Here, natural: np.ndarray) -> np.ndarray | None:
    """The step, halved until the likelihood increases as much as its slope promises (Armijo, 1966)."""
    gain, t = float(here.score @ natural), 1.0
    slack = 64.0 * np.finfo(float).eps * abs(here.loglik)
    for _ in range(60):
        if view.model.total(here.theta + t * natural) >= here.loglik + 1e-4 * t * gain - slack:
            return t * natural
        t *= 0.5
    return None


@dataclass(eq=False)
class Damped:
    """Levenberg's damping: less of it where the quadratic model holds, more where it does not."""

    damping: float

    def __call__(self, view: View, here: Here, natural: np.ndarray) -> np.ndarray | None:
        """A step that increases the likelihood."""
        slack = 64.0 * np.finfo(float).eps * abs(here.loglik)
        while self.damping < 1e12:
            d = here.metric.solve(here.score, self.damping)
            if d is not None:
                predicted = float(here.score @ d) - 0.5 * float(d @ here.metric.product(d))
                actual = view.model.total(here.theta + d) - here.loglik
                if actual >= 0.1 * predicted - slack or (predicted <= 0.0 < actual):
                    if actual > 0.75 * predicted or predicted <= slack:
                        self.damping = max(0.1 * self.damping, 1e-16)
                    elif actual < 0.25 * predicted:
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


def ascend(
    method: str, view: View, theta: np.ndarray, metric_at: Callable[[np.ndarray], Any], rule: Rule, max_iter: int,
    tol: float, record: Record,
) -> OptimizeResult:  # fmt: skip
    """Steps by a rule until the decrement meets the tolerance, or no longer falls."""
    reason, kl, previous = "max_iter", float("nan"), math.inf
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
            if decrement <= tol or (decrement <= FLOOR and decrement >= 0.25 * previous):
                reason = "converged"
                break
            previous = decrement
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
    return finish(method, theta, loglik, reason, decrement, covariance, record)


__all__ = ["ascend", "rule_of"]
