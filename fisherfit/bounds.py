"""Maxima on the edge: linear predictors at the end of their range (identity, sqrt, inverse, log links).

An active-set Newton method: rows at their bound become equalities, the step is taken in their null space, and a
row is released when its multiplier says that the likelihood rises inwards. Source: Nocedal & Wright (2006), ch. 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .kernels import OBSERVED
from .likelihood import Likelihood
from .linalg import EPS, cholesky


@dataclass(frozen=True, eq=False)
class Bounded:
    """A maximum under bounds: coefficients, active rows, log-likelihood, decrement on the free space, steps taken."""

    theta: np.ndarray
    active: np.ndarray
    loglik: float
    score: np.ndarray
    information: np.ndarray
    decrement: float
    n_iter: int
    converged: bool


def eta_range(link: str, support: str) -> tuple[float, float]:
    """The interval of linear predictors on which theta lies in its support."""
    if link in ("sqrt", "inverse_squared") or link.startswith("power"):
        return 0.0, np.inf
    if support == "unit":
        return {"log": (-np.inf, 0.0), "identity": (0.0, 1.0)}.get(link, (-np.inf, np.inf))
    if support in ("positive", "nonnegative") and link in ("identity", "inverse"):
        return 0.0, np.inf
    return -np.inf, np.inf


def attainable(family: str, link: str, y: np.ndarray, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """True for the rows whose likelihood is finite with the linear predictor at its lower, its upper end."""
    none = np.zeros(y.size, bool)
    counts = family in ("poisson", "negative_binomial", "geometric", "tweedie", "binomial", "bernoulli")
    low = (
        (y == 0.0)
        if counts and np.isfinite(lower) and (link in ("identity", "sqrt") or link.startswith("power"))
        else none
    )
    if link.startswith("power(-"):
        low = none
    high = (y == 1.0) if family in ("binomial", "bernoulli") and np.isfinite(upper) else none
    if family == "normal" and np.isfinite(lower) and (link == "sqrt" or link.startswith("power")):
        low = ~none
    return low, high


def maximise(
    likelihood: Likelihood,
    x: np.ndarray,
    theta: np.ndarray,
    free: np.ndarray,
    limits: tuple[float, float],
    ends: tuple[np.ndarray, np.ndarray],
    phi: float,
    tol: float,
    max_iter: int,
) -> Bounded:
    """Maximise over the coefficients `free` of the first parameter, from a feasible `theta`.

    `x` is the standardised design; `ends` say which rows may rest on the lower, the upper limit.
    """
    offset = likelihood.offset if likelihood.offset is not None else np.zeros(likelihood.n)
    present = likelihood.weight > 0.0
    active: dict[int, float] = {}
    columns = np.flatnonzero(free)
    previous, released = np.inf, -1
    theta = theta.copy()
    eta = x @ theta[: x.shape[1]] + offset
    near = 1e-12 * float(np.median(np.abs(eta)))
    for side, limit in enumerate(limits):  # rows that the path has come to rest on already
        for row in np.flatnonzero(ends[side] & present & (np.abs(eta - limit) <= near))[: columns.size]:
            active[int(row)] = limit
    for iteration in range(5 * max_iter):
        eta, loglik, u, w = _state(likelihood, x, theta, offset, active, limits, near)
        information, score = likelihood.weighted_sums(w, u)
        s, f = score[columns], information[np.ix_(columns, columns)]
        rows = sorted(active)
        held = x[np.ix_(np.array(rows, dtype=int), columns)]
        basis = linalg.null_space(held / np.linalg.norm(held, axis=1)[:, None]) if rows else np.eye(columns.size)
        step = basis @ _newton(basis.T @ f @ basis, basis.T @ s)
        decrement = abs(float(s @ step)) / phi
        if decrement <= tol or (decrement <= 1e-12 and decrement >= 0.25 * previous) or basis.shape[1] == 0:
            previous = np.inf
            if not rows:
                return Bounded(theta, np.zeros(0, int), loglik, score, information, decrement, iteration, True)
            inward = np.array([1.0 if active[r] == limits[0] else -1.0 for r in rows])
            multiplier, *_ = np.linalg.lstsq((held * inward[:, None]).T, -s, rcond=None)
            scale = np.abs(s).max() + np.abs(u).max() * EPS
            worst = int(np.argmin(multiplier))
            if multiplier[worst] >= -1e-9 * max(scale, 1e-300) or rows[worst] == released:
                return Bounded(theta, np.array(rows), loglik, score, information, decrement, iteration, True)
            released = rows[worst]
            del active[released]
            continue
        previous = decrement
        move = x[:, columns] @ step
        with np.errstate(all="ignore"):
            reach = np.where(move < 0, (limits[0] - eta) / move, np.where(move > 0, (limits[1] - eta) / move, np.inf))
        reach[~present] = np.inf
        reach[rows] = np.inf
        reach[~np.isfinite(reach)] = np.inf
        rests = np.where(move < 0, ends[0], ends[1])
        blocking = int(np.argmin(reach)) if reach.size else 0
        longest = float(reach[blocking]) if reach.size else np.inf
        if longest <= 1.0 and rests[blocking]:
            t, hit = longest, True
        else:
            t, hit = min(1.0, 0.9 * longest), False
        gain = float(s @ step)
        while True:
            there = theta.copy()
            there[columns] += t * step
            trial = dict(active)
            if hit:
                trial[blocking] = limits[0] if move[blocking] < 0 else limits[1]
            _, value, _, _ = _state(likelihood, x, there, offset, trial, limits, near)
            if np.isfinite(value) and value >= loglik + 1e-4 * t * gain - 64 * EPS * (
                abs(loglik) + phi * present.sum()
            ):
                theta, active = there, trial
                break
            t, hit = 0.5 * t, False
            if t < 1e-12:
                return Bounded(
                    theta,
                    np.array(sorted(active), int),
                    loglik,
                    score,
                    information,
                    decrement,
                    iteration,
                    decrement <= 1e-12,
                )
    return Bounded(theta, np.array(sorted(active), int), loglik, score, information, decrement, iteration, False)


def _state(
    likelihood: Likelihood,
    x: np.ndarray,
    theta: np.ndarray,
    offset: np.ndarray,
    active: dict[int, float],
    limits: tuple[float, float],
    near: float,
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    eta = x @ theta[: x.shape[1]] + offset
    for row, value in active.items():
        eta[row] = value
    for limit in limits:  # a row that has just been released may be beyond its bound by rounding
        eta[np.abs(eta - limit) <= near] = limit
    k = likelihood.kernels
    u, w = np.empty((1, eta.size)), np.empty((1, eta.size))
    loglik = k.rows(likelihood.y, likelihood.weight, eta[None], k.constants, OBSERVED, u, w)
    return eta, float(loglik), np.ascontiguousarray(u[0]), np.ascontiguousarray(w[0])


def _newton(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The Newton step, damped where the observed information is not positive definite."""
    if score.size == 0:
        return score
    damping = 0.0
    diagonal = np.maximum(np.abs(np.diag(information)), 1e-12 * max(float(np.abs(information).max()), 1e-300))
    while damping <= 1e12:
        factor = cholesky(information + damping * np.diag(diagonal))
        if factor is not None and factor.reciprocal_condition > 1e-15:
            return factor.solve(score)
        damping = max(10.0 * damping, 1e-8)
    return np.zeros_like(score)
