"""The Hauck-Donner effect: a Wald statistic that falls while its coefficient grows.

z = (b - b0) / sqrt(V(b)) with V the variance of the estimate. With the other coefficients held, the Wald statistic z^2
grows as b moves away from b0 as long as z has a positive derivative in b. Where it has not, the coefficient is so far
out that the information vanishes faster than the distance grows, and the Wald test says less the larger the effect
(Hauck & Donner, 1977; Yee, 2022, Journal of the American Statistical Association 117, 1763-1774).

With F = X'WX and g = X F^-1 a, the variance of a'b changes with eta by -sum (dw/deta) g^2 deta: derivatives of the
rows' information are taken once, and every coefficient costs two linear predictors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kernels import EXPECTED
from .maximum import Maximum

STEP = 1e-3  # of the linear predictor, or relative to it, for the differences
#: links whose linear predictors have a scale of their own; of others only the relative change has a meaning
OWN_SCALE = ("log", "logit", "probit", "cloglog", "loglog", "cauchit")


@dataclass(frozen=True, eq=False)
class HauckDonner:
    """The signed root of the Wald statistic of a coefficient, and its derivative in the coefficient."""

    root: np.ndarray
    slope: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """True where the Wald statistic falls as the coefficient moves away from its null value."""
        with np.errstate(invalid="ignore"):  # W = root^2 grows outwards by 2 |root| slope
            return np.asarray(self.slope < 0.0)


def hauck_donner(maximum: Maximum, positions: np.ndarray, null_values: np.ndarray) -> HauckDonner:
    """The effect for some of the user's coefficients, with variances by the expected information.

    Parameters
    ----------
    maximum : Maximum
        A fit on its rows.
    positions : array of int
        The user's coefficients.
    null_values : array
        Their values under the hypothesis.
    """
    contrasts = maximum.contrasts(np.eye(maximum.theta.size)[positions])
    estimates, errors = maximum.estimates()[positions], maximum.result.standard_errors[positions]
    root, slope = np.full(positions.size, np.nan), np.full(positions.size, np.nan)
    likelihood, p, k, free = maximum.likelihood, maximum.design.width, len(maximum.likelihood.designs), maximum.free
    change = information_slope(maximum)
    for i, (j, a) in enumerate(zip(positions.tolist(), contrasts, strict=True)):
        if j >= p or not np.isfinite(errors[i]) or not maximum.phi > 0.0:
            continue
        solved = np.zeros(maximum.theta.size)
        solved[free] = maximum.factor.solve(a[free])
        variance = maximum.phi * float(a @ solved)
        unit = np.zeros(p)
        unit[j] = 1.0
        along = np.zeros(maximum.theta.size)
        along[:p] = maximum.design.from_user(unit)
        column = likelihood.linear_predictor(along, offset=False)
        g = [likelihood.linear_predictor(solved, m, offset=False) for m in range(k)]
        total, at = 0.0, 0
        for m in range(k):
            for other in range(m, k):
                total += (1.0 if m == other else 2.0) * float(np.sum(change[at] * column * g[m] * g[other]))
                at += 1
        gap = estimates[i] - null_values[i]
        root[i] = gap / np.sqrt(variance)
        slope[i] = 1.0 / np.sqrt(variance) + 0.5 * gap * maximum.phi * total / variance**1.5
    return HauckDonner(root, slope)


def information_slope(maximum: Maximum) -> np.ndarray:
    """d w / d eta of the first parameter, (K(K+1)/2, n), by differences of order 4."""
    likelihood = maximum.likelihood
    eta = np.stack([likelihood.linear_predictor(maximum.theta, m) for m in range(len(likelihood.designs))])
    h = np.full(likelihood.n, STEP)
    if likelihood.kernels.links[0].name not in OWN_SCALE:
        h *= np.abs(eta[0])
    out: np.ndarray | None = None
    for steps, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
        there = eta.copy()
        there[0] += steps * h
        w = weight * likelihood.terms_at(there, EXPECTED)[1]
        out = w if out is None else out + w
    assert out is not None
    return np.asarray(np.where(h > 0.0, out / (12.0 * np.where(h > 0.0, h, 1.0)), 0.0))


__all__ = ["HauckDonner", "hauck_donner"]
