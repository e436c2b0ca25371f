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
    mixture: Mixture, metric: MixtureEvaluation, theta: np.ndarray, *, tol: float = 1e-18, max_iter: int = 200
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """From a point near the maximum of all units towards it, in the metric of a sample scaled to all units.

    Returns the best point, and by iteration the log-likelihood and the decrement as the sample measures it.
    """
    factor = cholesky(metric.observed) if usable(metric) else None
    root = np.sqrt(np.maximum(np.diag(metric.observed), 1e-300))
    steps: list[np.ndarray] = []
    changes: list[np.ndarray] = []
    best, value, residual, beyond, before, fell = theta, -np.inf, np.zeros(0), theta, np.inf, False
    history: list[tuple[float, float]] = []
    for _ in range(max_iter):
        found, following = mixture.em(theta[None])
        move = following[0] - theta
        gain = metric.complete @ move
        own = move if factor is None else factor.solve(gain)
        good = bool(np.isfinite(found[0]) and np.isfinite(own).all())
        if good and residual.size:
            steps, changes = [*steps, theta - best][-MEMORY:], [*changes, own - residual][-MEMORY:]
        slack = SLACK * (abs(value) + mixture.total) if residual.size else 0.0
        if good and found[0] >= value - slack:
            decrement = float(gain @ own)
            best, value, residual, beyond, fell = theta, float(found[0]), own, following[0], False
            history.append((value, decrement))
            if decrement <= tol or (decrement <= FLOOR and decrement >= 0.5 * before):
                break
            before = decrement
        elif not residual.size or np.array_equal(theta, beyond):
            break
        elif fell or not good:
            theta, steps, changes = beyond, [], []
            continue
        else:
            fell = True  # what was learnt there is used from the best point on
        theta = best + mixed(steps, changes, residual, root)
    return best, history


def mixed(steps: list[np.ndarray], changes: list[np.ndarray], residual: np.ndarray, root: np.ndarray) -> np.ndarray:
    """The step of Anderson's mixing: that of the residual, without what earlier steps say it lacks."""
    if not changes:
        return residual
    matrix = np.stack(changes, axis=1)
    mix = np.linalg.lstsq(matrix * root[:, None], residual * root, rcond=1e-10)[0]
    return np.asarray(residual - (np.stack(steps, axis=1) + matrix) @ mix)


def scaled(here: MixtureEvaluation, sample: Mixture, mixture: Mixture) -> MixtureEvaluation:
    """The evaluation of a sample, scaled to the total weight of all units."""
    share = mixture.total / sample.total
    return MixtureEvaluation(here.loglik * share, here.score * share, here.complete * share, here.observed * share)


__all__ = ["approach", "mixed", "scaled"]
