"""The way up for many units and parameters, where the information of all units costs far more than a step of EM.

A sample of the units gives J and F, scaled to all. Near the maximum a step of EM is F^-1 s, so that J^-1 F (M(theta) -
theta), M being the map of EM, is Newton's step, for the price of EM alone. What the sample's J lacks is learnt from
the steps themselves: Anderson's mixing over the last of them, in the metric of J (Walker & Ni, 2011, SIAM J. Numer.
Anal. 49, 1715-1735). A point below the best so far is replaced by the step of EM from that one, which goes up.
"""

from __future__ import annotations

import numpy as np

from ..linalg import cholesky
from .ascent import FLOOR, SLACK, usable
from .mixture import Mixture, MixtureEvaluation

MEMORY = 8


def approach(
    mixture: Mixture, sample: Mixture, theta: np.ndarray, *, tol: float = 1e-18, max_iter: int = 200
) -> tuple[np.ndarray, MixtureEvaluation, list[tuple[float, float]]]:
    """From a point near the maximum of all units towards it.

    Returns the last point, the information of the sample scaled to all units, and by iteration the log-likelihood
    and the decrement as the sample measures it.
    """
    metric = scaled(sample, mixture, theta)
    factor = cholesky(metric.observed) if usable(metric) else None
    complete = metric.complete
    steps: list[np.ndarray] = []
    changes: list[np.ndarray] = []
    last: tuple[np.ndarray, np.ndarray] | None = None
    best, fallback, before = -np.inf, theta, np.inf
    history: list[tuple[float, float]] = []
    root = np.sqrt(np.maximum(np.diag(metric.observed), 1e-300))
    for _ in range(max_iter):
        loglik, following = mixture.em(theta[None])
        value, move = float(loglik[0]), following[0] - theta
        slack = SLACK * (abs(best) + mixture.total) if np.isfinite(best) else 0.0
        if not (np.isfinite(value) and np.isfinite(move).all() and value >= best - slack):
            if not np.isfinite(best) or np.array_equal(theta, fallback):
                break
            theta, last = fallback, None
            steps, changes = [], []
            continue
        best, fallback = max(best, value), following[0]
        gain = complete @ move
        residual = move if factor is None else factor.solve(gain)
        decrement = float(gain @ residual)
        history.append((value, decrement))
        if decrement <= tol or (decrement <= FLOOR and decrement >= 0.5 * before):
            break
        before = decrement
        if last is not None:
            steps, changes = [*steps, theta - last[0]][-MEMORY:], [*changes, residual - last[1]][-MEMORY:]
        last = theta, residual
        step = residual
        if changes:
            matrix = np.stack(changes, axis=1)
            mix = np.linalg.lstsq(matrix * root[:, None], residual * root, rcond=1e-10)[0]
            step = residual - (np.stack(steps, axis=1) + matrix) @ mix
        theta = theta + step
    return theta, metric, history


def scaled(sample: Mixture, mixture: Mixture, theta: np.ndarray) -> MixtureEvaluation:
    """The evaluation of a sample, scaled to the total weight of all units."""
    share = mixture.total / sample.total
    here = sample.evaluate(theta)
    return MixtureEvaluation(here.loglik * share, here.score * share, here.complete * share, here.observed * share)


__all__ = ["approach", "scaled"]
