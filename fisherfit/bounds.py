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

FLAT = 1e-12  # gain, over phi, of the best step inwards at which a maximum on a face is one of all
TOUCHED = 1e-6  # distance from a bound, of the median linear predictor, at which a row may be held by it


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


def touched(eta: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """True for the rows so near to a limit that a path into the corner may have stopped there before its maximum."""
    gap = np.minimum(eta - limits[0], limits[1] - eta)
    return np.asarray(gap <= TOUCHED * float(np.median(np.abs(eta))))


def one_sided(link: str, support: str, eta: float) -> tuple[float, float]:
    """`eta_range`, or for 1 / eta the side of its pole that `eta` is on: a path from there does not cross it."""
    if link == "inverse" and support == "real":
        return (0.0, np.inf) if eta > 0.0 else (-np.inf, 0.0)
    return eta_range(link, support)


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
    previous = np.inf
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
        inner = _newton(basis.T @ f @ basis, basis.T @ s)
        if inner is None:  # no information: the likelihood is linear here, and rises up to a bound, or has underflowed
            inner = basis.T @ s
            move = float(np.abs(x[:, columns] @ (basis @ inner)).max())
            if not (np.isfinite(move) and move > 0.0):
                return Bounded(theta, np.array(rows, int), loglik, score, information, np.inf, iteration, False)
            inner = inner * (10.0 * float(np.abs(eta).max()) / move)
        step = basis @ inner
        decrement = abs(float(s @ step)) / phi
        if decrement <= tol or (decrement <= 1e-12 and decrement >= 0.25 * previous) or basis.shape[1] == 0:
            previous = np.inf
            if not rows:
                return Bounded(theta, np.zeros(0, int), loglik, score, information, decrement, iteration, True)
            inward = np.array([1.0 if active[r] == limits[0] else -1.0 for r in rows])
            step, left = _inwards(held * inward[:, None], s, f)
            if left <= FLAT * phi:
                return Bounded(theta, np.array(rows), loglik, score, information, decrement, iteration, True)
            leaves = (held * inward[:, None]) @ step > 1e-9 * np.linalg.norm(held, axis=1) * np.linalg.norm(step)
            for row in np.array(rows)[leaves]:
                del active[int(row)]
            rows = sorted(active)
            decrement = left / phi
        else:
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


def _inwards(held: np.ndarray, score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, float]:
    """The steepest ascent among the directions that take no row out, and what it would gain; 0 at a maximum.

    `held` has the inward normals of the rows at their bounds. score + held'm with the m >= 0 that make it least is the
    projection on the cone of feasible directions (Moreau), also where more rows meet than there are coefficients.
    """
    from scipy import optimize

    size = np.linalg.norm(held, axis=1)
    matrix, scale = (held / size[:, None]).T, float(np.abs(score).max()) or 1.0
    try:
        multiplier, _ = optimize.nnls(matrix, -score / scale)
    except RuntimeError:  # it has not ended: what it minimises is a quadratic, by bounds
        multiplier = optimize.lsq_linear(matrix, -score / scale, (0.0, np.inf)).x
    direction = score + scale * (matrix @ multiplier)
    length = float(np.linalg.norm(direction))
    if length <= 1e-10 * float(np.linalg.norm(score)):
        return np.zeros_like(score), 0.0
    bend = float(direction @ information @ direction)
    step = direction * (length**2 / bend if bend > 0.0 else 1.0)
    return step, float(score @ step)


def _newton(information: np.ndarray, score: np.ndarray) -> np.ndarray | None:
    """The Newton step, damped where the observed information is not positive definite; None where there is none."""
    if score.size == 0:
        return score
    most = float(np.abs(information).max())
    if not 1e-290 < most < np.inf:
        return None
    damping = 0.0
    diagonal = np.maximum(np.abs(np.diag(information)), 1e-12 * most)
    while damping <= 1e12:
        factor = cholesky(information + damping * np.diag(diagonal))
        if factor is not None and factor.reciprocal_condition > 1e-15:
            step = factor.solve(score)
            return step if np.isfinite(step).all() else None
        damping = max(10.0 * damping, 1e-8)
    return None
