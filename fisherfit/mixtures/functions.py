"""Functions of theta that hypotheses and profiles are about: linear ones of the parameters, on the scale of intervals.

A positive parameter is taken by its logarithm and a probability by its logit where it stands alone or is compared with
one of its kind, so that the functions are linear in theta in most cases.
"""

from __future__ import annotations

import numpy as np

from .mixture import Mixture
from .restricted import Restrictions


def on_scale(value: np.ndarray, support: str) -> tuple[np.ndarray, np.ndarray]:
    """A parameter on the scale of its intervals, and the derivative."""
    if support == "positive":
        return np.log(value), 1.0 / value
    if support == "unit":
        return np.log(value) - np.log1p(-value), 1.0 / (value * (1.0 - value))
    return value, np.ones_like(value)


def back(value: float, support: str) -> float:
    """From the scale of intervals to the parameter."""
    if support == "positive":
        return float(np.exp(value))
    if support == "unit":
        return float(1.0 / (1.0 + np.exp(-value)))
    return float(value)


def one_parameter(mixture: Mixture, at: int) -> Restrictions:
    """Parameter number `at` on the scale of its intervals."""

    def value(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = mixture.report(theta)
        v, slope = on_scale(found.values[[at]], found.supports[at])
        return v, slope[:, None] * found.jacobian[[at]]

    return Restrictions(value)


def linear(mixture: Mixture, matrix: np.ndarray, right: np.ndarray, supports: tuple[str, ...]) -> Restrictions:
    """R b - r; rows that compare two parameters of one kind, or one with a number, on the scale of intervals."""

    def value(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = mixture.report(theta)
        h, rows = np.empty(len(matrix)), np.empty((len(matrix), theta.size))
        for i, row in enumerate(matrix):
            used = np.flatnonzero(row)
            kinds = {supports[j] for j in used}
            single = used.size == 1
            pair = used.size == 2 and right[i] == 0.0 and row[used].sum() == 0.0 and len(kinds) == 1
            kind = supports[used[0]] if single or pair else "real"
            target = right[i] / row[used[0]] if single else 0.0
            if (kind == "positive" and single and target <= 0.0) or (kind == "unit" and single and not 0 < target < 1):
                kind = "real"
            v, slope = on_scale(found.values[used], kind)
            weights = np.sign(row[used]) if kind != "real" else row[used]
            h[i] = weights @ v - (float(on_scale(np.array([target]), kind)[0][0]) * weights[0] if kind != "real" and
                                  single else right[i] if kind == "real" else 0.0)  # fmt: skip
            rows[i] = (weights * slope) @ found.jacobian[used]
        return h, rows

    return Restrictions(value)


__all__ = ["back", "linear", "on_scale", "one_parameter"]
