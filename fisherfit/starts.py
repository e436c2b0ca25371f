"""Where to begin: the model without covariates, one least-squares step, or the inside of the parameter space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import bounds
from .conjugate import LOOSE, conjugate
from .families import Family
from .information import RowInformation
from .likelihood import Likelihood, dense_design
from .linalg import cholesky
from .model import DENSE_LIMIT


def starting_mean(family: Family, y: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
    """Starting values of the parameters, off the ends of their ranges."""
    theta = list(family.start(y, weight))
    support = next(iter(family.parameters.values()))
    if support == "unit":
        total = float(weight.sum())
        theta[0] = min(max(theta[0], 0.5 / (total + 1.0)), 1.0 - 0.5 / (total + 1.0))
    elif support == "positive" and not theta[0] > 0.0:
        theta[0] = 0.1
    return tuple(theta)


def null_start(likelihood: Likelihood, family: Family) -> np.ndarray:
    """The model without covariates where there is an intercept, else weighted least squares on the link scale."""
    first = starting_mean(family, likelihood.y, likelihood.weight)
    links = likelihood.kernels.links
    mu = first[0]
    out = [np.zeros(width) for width in likelihood.widths]
    with np.errstate(all="ignore"):
        for k in range(1, len(out)):
            out[k][0] = float(links[k].forward(first[k]))
        eta = float(links[0].forward(mu))
        if not np.isfinite(eta):
            spread = float(np.sqrt(likelihood.moments()[1])) or 1.0
            eta = float(links[0].forward(spread))
        design = likelihood.designs[0]
        if design.intercept:
            out[0][0] = eta - _mean_offset(likelihood, links[0].name)
        else:
            out[0] = _least_squares_start(likelihood, family, eta)
    return np.concatenate(out)


def _mean_offset(likelihood: Likelihood, link: str) -> float:
    """What the offset adds to the linear predictor on average, on the scale where means add."""
    if likelihood.offset is None:
        return 0.0
    o, w = likelihood.offset, likelihood.weight
    if link == "log":
        top = float(o[w > 0].max())
        return top + float(np.log(np.average(np.exp(o - top), weights=w)))
    return float(np.average(o, weights=w))


def _least_squares_start(likelihood: Likelihood, family: Family, eta: float) -> np.ndarray:
    """One weighted least-squares step from fitted values half-way between the data and their mean."""
    p = likelihood.designs[0].width
    y, w = likelihood.y, likelihood.weight
    mean = float(np.average(y, weights=w))
    links = likelihood.kernels.links
    support = next(iter(family.parameters.values()))
    mu = y if support == "real" and links[0].name == "identity" else 0.5 * (y + mean)
    if support == "unit":
        mu = np.clip(mu, 0.05, 0.95)
    elif support == "positive":
        mu = np.maximum(mu, 0.05 * mean if mean > 0 else 1.0)
    target = np.asarray(links[0].forward(mu), float)
    target = np.where(np.isfinite(target), target, eta)
    etas = np.stack([target] + [np.full(y.size, float(links[k].forward(starting_mean(family, y, w)[k])))
                                       for k in range(1, len(links))])  # fmt: skip
    _, info = likelihood.terms_at(etas)
    offset = 0.0 if likelihood.offset is None else likelihood.offset
    weight = np.ascontiguousarray(np.where(np.isfinite(info[0]), info[0], 0.0))
    if likelihood.matrix_free:
        return _solve_by_products(likelihood, weight, weight * (target - offset))
    gram, right = likelihood.weighted_sums(weight, weight * (target - offset))
    factor = cholesky(gram)
    if factor is None:
        return np.asarray(np.linalg.lstsq(gram, right, rcond=None)[0]) if np.all(np.isfinite(gram)) else np.zeros(p)
    return factor.solve(right)


def _solve_by_products(likelihood: Likelihood, weight: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The same normal equations by conjugate gradients, to the digits that a start is worth."""
    information = RowInformation(replace(likelihood, designs=likelihood.designs[:1]), weight[None])
    free = information.diagonal() > 0.0
    factor = conjugate(information, free, lambda decrement: LOOSE)
    out = np.zeros(free.size)
    if factor is not None:
        out[free] = factor.solve(information.score(u)[free])
    return out if np.all(np.isfinite(out)) else np.zeros(free.size)


def interior_start(likelihood: Likelihood, family: Family) -> np.ndarray | None:
    """Coefficients whose linear predictors lie deepest inside their range, by a linear program."""
    from scipy.optimize import linprog

    support = next(iter(family.parameters.values()))
    lower, upper = bounds.eta_range(likelihood.kernels.links[0].name, support)
    if not (np.isfinite(lower) or np.isfinite(upper)):
        return None
    if likelihood.n * likelihood.designs[0].width > DENSE_LIMIT:
        return None
    x = dense_design(likelihood)
    offset = np.zeros(likelihood.n) if likelihood.offset is None else likelihood.offset
    rows = likelihood.weight > 0.0
    ones = np.ones((int(rows.sum()), 1))
    blocks, right = [], []
    if np.isfinite(lower):
        blocks.append(np.hstack([-x[rows], ones]))
        right.append(offset[rows] - lower)
    if np.isfinite(upper):
        blocks.append(np.hstack([x[rows], ones]))
        right.append(upper - offset[rows])
    cost = np.zeros(x.shape[1] + 1)
    cost[-1] = -1.0
    answer = linprog(cost, A_ub=np.vstack(blocks), b_ub=np.concatenate(right),
                     bounds=[(-1e6, 1e6)] * x.shape[1] + [(0.0, 1.0)], method="highs")  # fmt: skip
    if answer.x is None or answer.x[-1] <= 0.0:
        return None
    out = np.zeros(sum(likelihood.widths))
    out[: x.shape[1]] = answer.x[:-1]
    links = likelihood.kernels.links
    start = starting_mean(family, likelihood.y, likelihood.weight)
    at = x.shape[1]
    for k in range(1, len(links)):
        out[at] = float(links[k].forward(start[k]))
        at += likelihood.widths[k]
    return out
