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

SMALL = 5_000  # rows times columns up to which several starts cost next to nothing


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
            out[0][0] = _level(likelihood, family, eta)
        else:
            out[0] = _least_squares_start(likelihood, family, eta)
            inside = _on_one_side(likelihood, family, out[0], eta)
            out[0] = out[0] if inside is None else inside[: out[0].size]
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


def _level(likelihood: Likelihood, family: Family, eta: float) -> float:
    """The intercept of the model without covariates, by the linear predictor `eta` of the mean.

    Offsets may take the rows out of the range of the link, or across its pole. Then it is the intercept inside of that
    at which the fitted means add up to the responses, by bisection of the distance from the end; where there is none,
    one as far inside as the mean is.
    """
    link = likelihood.kernels.links[0]
    level = eta - _mean_offset(likelihood, link.name)
    lower, upper = bounds.one_sided(link.name, next(iter(family.parameters.values())), eta)
    if likelihood.offset is None or not (np.isfinite(lower) or np.isfinite(upper)):
        return level
    present = likelihood.weight > 0.0
    o, w = likelihood.offset[present], likelihood.weight[present]
    least, most = lower - float(o.min()), upper - float(o.max())
    if least < level < most or not least < most:
        return level
    if np.isfinite(least) and np.isfinite(most):
        return float(np.clip(level, least + 0.1 * (most - least), most - 0.1 * (most - least)))
    end, side = (least, 1.0) if np.isfinite(least) else (most, -1.0)
    goal = float(link.mean(eta))
    size = abs(eta - (lower if side > 0.0 else upper)) or 1.0

    def excess(distance: float) -> float:
        return float(np.average(link.mean(end + side * distance + o), weights=w)) - goal

    near, far = 1e-6 * size, 1e6 * size
    if not excess(near) * excess(far) < 0.0:
        return end + side * size
    rises = excess(far) > 0.0
    for _ in range(40):
        middle = float(np.sqrt(near * far))
        near, far = (near, middle) if (excess(middle) > 0.0) == rises else (middle, far)
    return end + side * far


def _on_one_side(likelihood: Likelihood, family: Family, theta: np.ndarray, eta: float) -> np.ndarray | None:
    """A start on one side of the pole of the link where `theta` is on both; None where it is not, or there is none."""
    support = next(iter(family.parameters.values()))
    if likelihood.kernels.links[0].name != "inverse" or support != "real" or likelihood.matrix_free:
        return None
    fitted = likelihood.linear_predictor(theta)
    present = likelihood.weight > 0.0
    return interior_start(likelihood, family) if (fitted[present] * eta <= 0.0).any() else None


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


def may_have_several(likelihood: Likelihood) -> bool:
    """True where the likelihood is known to have several maxima at times, and the rows are few."""
    name, link = likelihood.kernels.family.name, likelihood.kernels.links[0].name
    return (
        name == "binomial"
        and link == "cauchit"
        and not likelihood.streamed
        and likelihood.n * sum(likelihood.widths) <= SMALL
    )


def further_starts(likelihood: Likelihood, family: Family) -> list[np.ndarray]:
    """Other starts: the null start moved at random by about a third of its linear predictor, and by as much."""
    rng = np.random.default_rng(0)
    begin = null_start(likelihood, family)
    size = np.abs(likelihood.linear_predictor(begin)).mean() or 1.0
    return [begin + share * size * rng.standard_normal(begin.size) for share in (0.3, 0.3, 1.0, 1.0, 3.0, 3.0)]


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
    """The least coefficients whose linear predictors lie deep inside their range, by two linear programs.

    The first finds how deep that can be, up to the depth of the mean; the second the least sum of absolute values with
    half of it, as the vertices of the first may lie anywhere.
    """
    from scipy.optimize import linprog

    links = likelihood.kernels.links
    first = starting_mean(family, likelihood.y, likelihood.weight)
    with np.errstate(all="ignore"):
        eta = float(links[0].forward(first[0]))
    lower, upper = bounds.one_sided(links[0].name, next(iter(family.parameters.values())), eta)
    if not (np.isfinite(lower) or np.isfinite(upper)):
        return None
    if likelihood.n * likelihood.designs[0].width > DENSE_LIMIT:
        return None
    x = dense_design(likelihood)
    offset = np.zeros(likelihood.n) if likelihood.offset is None else likelihood.offset
    rows = likelihood.weight > 0.0
    blocks, right = [], []
    if np.isfinite(lower):
        blocks.append(-x[rows])
        right.append(offset[rows] - lower)
    if np.isfinite(upper):
        blocks.append(x[rows])
        right.append(upper - offset[rows])
    a, b = np.vstack(blocks), np.concatenate(right)
    depth = min(abs(eta - lower), abs(eta - upper)) if np.isfinite(eta) else 1.0
    depth = depth if depth > 0.0 else 1.0
    a, b, p = a / depth, b / depth, x.shape[1]  # in units of the depth of the mean
    deepest = linprog(np.append(np.zeros(p), -1.0), A_ub=np.column_stack([a, np.ones(b.size)]), b_ub=b,
                      bounds=[(None, None)] * p + [(0.0, 1.0)], method="highs")  # fmt: skip
    if deepest.x is None or deepest.x[-1] <= 0.0:
        return None
    least = linprog(np.ones(2 * p), A_ub=np.column_stack([a, -a]), b_ub=b - 0.5 * deepest.x[-1], method="highs")
    out = np.zeros(sum(likelihood.widths))
    out[:p] = deepest.x[:-1] if least.x is None else least.x[:p] - least.x[p:]
    at = p
    for k in range(1, len(links)):
        out[at] = float(links[k].forward(first[k]))
        at += likelihood.widths[k]
    return out
