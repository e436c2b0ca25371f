"""The end of a profile interval where the ridge runs into the edge of the parameter space, and along it.

With links that do not reach everywhere (identity, log of a probability, square root, inverse) the maximum over the
other parameters may have rows at the bound of their linear predictor. Each value psi is then a maximum under bounds
(`bounds.maximise`) in the directions that leave c'theta alone, from a point inside that a linear program finds; where
there is none, psi is beyond the edge. Rows are held in memory, as dense ones.

Rao's statistic at such a point is that of the directions N which leave the rows at their bound where they are, with
s = lambda c + (multipliers of those rows) and F the expected information: r = -lambda sqrt(c'N (N'FN)^-1 N'c / phi).
Where the information of a row grows without limit at its bound, as in the Poisson, binomial and log-binomial models
with a row of likelihood 1 there, r is continuous where a row comes to its bound; elsewhere it may jump.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from . import bounds
from .kernels import VALUE
from .likelihood import Likelihood, dense_design
from .model import DENSE_LIMIT
from .restricted import directions_left
from .ridge import Ground
from .seeking import CLOSE, End

STEPS = 120  # points at the most
NARROW = 1e-10  # width of the bracket, in steps of the first size, at which the edge is found
JUMP = 1e-3  # difference of Rao's roots at both ends of so narrow a bracket from which it jumps
FAR = 1e7  # distance from the maximum, in steps of the first size, at which a curve is taken to stay below


@dataclass(frozen=True, eq=False)
class Plane:
    """The likelihood in the directions x that are left, as `bounds.maximise` reads it."""

    likelihood: Likelihood
    x: np.ndarray
    offset: np.ndarray

    def __getattr__(self, name: str) -> object:
        """What does not depend on the directions."""
        if name not in ("y", "weight", "kernels", "n"):
            raise AttributeError(name)
        return getattr(self.likelihood, name)

    def weighted_sums(self, w: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Information and score."""
        return (self.x * w[:, None]).T @ self.x, self.x.T @ u


def can_follow(ground: Ground) -> bool:
    """True where the link has an end, and the rows can be held as a dense matrix."""
    lik = ground.likelihood
    if not lik.by_rows:
        return False
    lower, upper = _limits(ground)
    dense = lik.n * sum(lik.widths) <= DENSE_LIMIT // 10
    return len(lik.designs) == 1 and dense and bool(np.isfinite(lower) or np.isfinite(upper))


def _limits(ground: Ground) -> tuple[float, float]:
    link = ground.likelihood.kernels.links[0].name
    return bounds.eta_range(link, next(iter(ground.family.parameters.values())))


def top_at_bound(ground: Ground) -> float:
    """The log-likelihood at the estimates, where rounding may put a row at its bound beyond it."""
    lik, limits = ground.likelihood, _limits(ground)
    eta = np.clip(lik.linear_predictor(ground.theta), *limits)
    none = np.empty((1, lik.n))
    return float(lik.kernels.rows(lik.y, lik.weight, eta[None], lik.kernels.constants, VALUE, none, none.copy()))


def seek_along_edge(ground: Ground, c: np.ndarray, target: float, unit: float, exact: Any = None) -> End:
    """The value of c'theta where the root statistic is `target`, or the edge of the parameter space.

    Parameters
    ----------
    unit : float
        The first step from the maximum.
    exact : callable, optional
        For Rao's statistic, as in `seeking.seek`; None is for the likelihood ratio.
    """
    lik, side = ground.likelihood, float(np.sign(target))
    limits = _limits(ground)
    ends = bounds.attainable(ground.family.name, lik.kernels.links[0].name, lik.y, *limits)
    x = dense_design(lik)
    basis = directions_left(np.where(ground.free, c, 0.0)[None], ground.free)
    inside = np.where(ground.free, c, 0.0)
    rest = x @ np.where(ground.free, 0.0, ground.theta)
    fixed = float(c @ np.where(ground.free, 0.0, ground.theta))
    offset = np.zeros(lik.n) if lik.offset is None else lik.offset
    across, size = x @ basis, float(np.median(np.abs(x @ ground.theta + offset))) or 1.0

    def root(value: float) -> tuple[float, float] | None:
        """The signed root and its slope; None beyond the edge."""
        base = offset + rest + x @ (inside * ((value - fixed) / (inside @ inside)))
        gamma = _inside(across, base, limits, ends, size, lik.weight > 0.0)
        if gamma is None:
            return None
        plane = Plane(replace(lik, offset=base), across, base)
        found = bounds.maximise(plane, across, gamma, np.ones(gamma.size, bool), limits, ends,  # type: ignore[arg-type]
                                ground.phi, 1e-20, 200)  # fmt: skip
        if not (found.converged and np.isfinite(found.loglik)):
            return None if not np.isfinite(found.loglik) else (np.nan, np.nan)
        eta = across @ found.theta + base
        for row in found.active:
            eta[row] = limits[0] if abs(eta[row] - limits[0]) < abs(eta[row] - limits[1]) else limits[1]
        u, w = lik.terms_at(eta[None])
        directions = np.column_stack([inside, x[found.active].T])  # score = lambda c + multipliers of rows at bounds
        multiplier = float(np.linalg.lstsq(directions, x.T @ u[0], rcond=None)[0][0])
        if exact is not None:
            return -multiplier * _size(inside, x * ground.free, found.active, w[0], ground.phi), np.nan
        tau = side * float(np.sqrt(max(2.0 * (ground.top - found.loglik) / ground.phi, 0.0)))
        return tau, -multiplier / (ground.phi * tau) if tau else np.nan

    start = float(c @ ground.theta)
    near, far = (start, 0.0, np.nan), None
    step = unit
    for trial in range(STEPS):
        if far is None:
            value = near[0] + side * step
        elif exact is None or trial % 3 == 2 or np.isinf(far[1]):
            value = _next(near, far, target)
        else:  # the slope of Rao's root is not known
            share = float(np.clip((target - near[1]) / (far[1] - near[1]), 1e-6, 1.0 - 1e-6))
            value = near[0] + share * (far[0] - near[0])
        now = root(value)
        if now is not None and np.isnan(now[0]):
            return End(np.nan, "failed")
        if now is not None and abs(now[0] - target) <= 1e-3 * CLOSE * max(1.0, abs(target)):
            more = (target - now[0]) / now[1] if now[1] > 0.0 else 0.0
            return End(value + float(np.clip(more, -unit * CLOSE, unit * CLOSE)), "found")
        if now is None or side * now[0] >= abs(target):
            far = (value, np.inf, np.nan) if now is None else (value, *now)
        else:
            near = (value, *now)
            step *= 2.0 if exact is None else 1.5  # Rao's statistic may rise and fall again
        if far is not None and abs(far[0] - near[0]) <= NARROW * unit:
            jump = exact is not None and abs(far[1] - near[1]) > JUMP
            return End(near[0], "edge" if np.isinf(far[1]) else "jump" if jump else "found")
        if far is None and abs(near[0] - start) >= FAR * unit:
            return End(side * np.inf, "flat")
    return End(np.nan, "failed")


def _size(c: np.ndarray, x: np.ndarray, active: np.ndarray, w: np.ndarray, phi: float) -> float:
    """sqrt(c'N (N'FN)^-1 N'c / phi), N the directions that leave the active rows where they are."""
    held = x[active]
    n = scipy.linalg.null_space(held / np.linalg.norm(held, axis=1)[:, None]) if len(held) else np.eye(c.size)
    inner = c @ n
    if not np.linalg.norm(inner) > 1e-10 * np.linalg.norm(c):
        return 0.0  # rows at their bound hold c'theta: it is known without error
    across = x @ n
    moves = np.linalg.norm(across, axis=1) > 1e-10 * np.linalg.norm(x, axis=1)
    moves[active] = False
    root = across[moves] * np.sqrt(np.maximum(w[moves], 0.0))[:, None]
    return float(np.linalg.norm(np.linalg.lstsq(root.T, inner, rcond=1e-13)[0])) / float(np.sqrt(phi))


def _next(near: tuple[float, float, float], far: tuple[float, float, float], target: float) -> float:
    """By Newton's method from the nearer of the two, in the inner part of the bracket; else its middle."""
    width = far[0] - near[0]
    value, tau, slope = near if not abs(far[1] - target) < abs(near[1] - target) else far
    guess = value + (target - tau) / slope if slope > 0.0 else np.nan
    share = (guess - near[0]) / width
    if np.isinf(far[1]) and not share < 0.9:
        return near[0] + 0.5 * width
    return float(guess) if 1e-9 < share < 1.0 - 1e-9 else near[0] + 0.5 * width


def _inside(
    x: np.ndarray, base: np.ndarray, limits: tuple[float, float], ends: tuple[np.ndarray, np.ndarray], size: float,
    present: np.ndarray,
) -> np.ndarray | None:  # fmt: skip
    """Directions that keep every row as far from its limits as can be, up to `size`; None where some must be beyond."""
    q = x.shape[1]
    rows, right = [], []
    for side, limit in enumerate(limits):
        if np.isfinite(limit):
            sign = -1.0 if side == 0 else 1.0  # sign (x gamma + base) + t <= sign limit
            rows.append(np.column_stack([sign * x[present], np.ones(int(present.sum()))]))
            right.append(sign * (limit - base[present]))
    bounds_of = [(None, None)] * q + [(None, size)]
    answer = scipy.optimize.linprog(np.append(np.zeros(q), -1.0), A_ub=np.vstack(rows), b_ub=np.concatenate(right),
                                    bounds=bounds_of, method="highs")  # fmt: skip
    if answer.x is None or answer.x[-1] < -1e-12 * size:
        return None
    gamma, slack = answer.x[:q], answer.x[-1]
    if slack > 1e-9 * size:
        return np.asarray(gamma)
    eta = x @ gamma + base
    touching = [present & (np.abs(eta - limit) <= 1e-9 * size) for limit in limits]
    return np.asarray(gamma) if all((ends[k] | ~touching[k]).all() for k in (0, 1)) else None


__all__ = ["can_follow", "seek_along_edge", "top_at_bound"]
