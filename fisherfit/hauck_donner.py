"""The Hauck-Donner effect: a Wald statistic that falls while its coefficient grows.

z = (b - b0) / sqrt(V(b)) with V the variance of the estimate. With the other coefficients held, the Wald statistic z^2
grows as b moves away from b0 as long as z has a positive derivative in b. Where it has not, the coefficient is so far
out that the information vanishes faster than the distance grows, and the Wald test says less the larger the effect
(Hauck & Donner, 1977; Yee, 2022, Journal of the American Statistical Association 117, 1763-1774).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .linalg import cholesky
from .maximum import Maximum

STEP = 1e-2  # of a standard error, for the differences


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
    """The effect for some of the user's coefficients.

    The variance is (F^-1)_jj phi by the expected information, and its derivative in the coefficient a difference of
    order 4 (two evaluations on either side for every coefficient).

    Parameters
    ----------
    maximum : Maximum
        A fit on its rows.
    positions : array of int
        The user's coefficients.
    null_values : array
        Their values under the hypothesis.
    """
    rows = np.eye(maximum.theta.size)[positions]
    contrasts = maximum.contrasts(rows)
    estimates = maximum.estimates()[positions]
    root, slope = np.full(positions.size, np.nan), np.full(positions.size, np.nan)
    p = maximum.design.width
    for i, (j, a) in enumerate(zip(positions, contrasts, strict=True)):
        if j >= p or not np.isfinite(maximum.result.standard_errors[j]):
            continue
        variance = _variance(maximum, maximum.theta, a)
        if not variance > 0.0:
            continue
        unit = np.zeros(p)
        unit[j] = 1.0
        along = np.zeros(maximum.theta.size)
        along[:p] = maximum.design.from_user(unit)
        h = STEP * np.sqrt(variance / maximum.phi) if maximum.phi > 0.0 else 0.0
        if not h > 0.0:
            continue
        v = {k: _variance(maximum, maximum.theta + k * h * along, a) for k in (-2, -1, 1, 2)}
        change = (8.0 * (v[1] - v[-1]) - (v[2] - v[-2])) / (12.0 * h)
        gap = estimates[i] - null_values[i]
        root[i] = gap / np.sqrt(variance)
        slope[i] = 1.0 / np.sqrt(variance) - 0.5 * gap * change / variance**1.5
    return HauckDonner(root, slope)


def _variance(maximum: Maximum, theta: np.ndarray, contrast: np.ndarray) -> float:
    """a'F^-1 a phi at a point."""
    free = maximum.free
    found = replace(maximum, theta=theta).evaluation
    factor = cholesky(found.information[np.ix_(free, free)])
    if factor is None:
        return float("nan")
    return maximum.phi * float(contrast[free] @ factor.solve(contrast[free]))


__all__ = ["HauckDonner", "hauck_donner"]
