"""What a fit is to keep to, linear equalities R b = r and bounds l <= b <= u of the coefficients: read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError, InputTypeError
from .hypotheses import independent, read_hypothesis, unknown
from .model_terms import ModelTerm


@dataclass(frozen=True, eq=False)
class Restrictions:
    """What a fit is to keep to: R b = r, and bounds of every coefficient (infinite for none)."""

    names: tuple[str, ...]
    matrix: np.ndarray
    value: np.ndarray
    text: str
    lower: np.ndarray
    upper: np.ndarray

    @property
    def bounded(self) -> bool:
        """True where some coefficient has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())


def read_restrictions(
    constraints: Any, bounds: Any, names: tuple[str, ...], terms: tuple[ModelTerm, ...], others: tuple[str, ...] = ()
) -> Restrictions:
    """Read and check what ``GLM(constraints=..., bounds=...)`` was given.

    Raises
    ------
    InputError
        For unknown names, and for constraints and bounds that no coefficients satisfy.
    """
    p = len(names)
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    matrix, value, text = np.zeros((0, p)), np.zeros(0), ""
    if constraints is not None:
        if isinstance(constraints, str) and "~" in constraints:
            raise InputError(f"constraints: {constraints!r} is a formula; write equalities, such as 'x1 + x2 = 1'")
        found = read_hypothesis(constraints, names, terms)
        matrix, value, text = found.matrix, found.value, found.text
    if bounds is not None:
        if not isinstance(bounds, dict):
            raise InputTypeError(f"bounds must be a dict such as {{'x1': (0, None)}}, got {bounds!r}")
        place: dict[str, tuple[int, ...]] = {term.name: term.positions for term in terms}
        place.update({name: (j,) for j, name in enumerate(names)})
        for name, pair in bounds.items():
            if name in others:
                raise InputError(f"bounds: {name!r} is not a coefficient; its bounds are those of the family")
            if name not in place:
                raise unknown(str(name), list(place))
            low, high = _pair(name, pair)
            for j in place[name]:
                lower[j], upper[j] = max(lower[j], low), min(upper[j], high)
            if low == high:  # an equality
                rows, right = [*matrix, *np.eye(p)[list(place[name])]], [*value, *[low] * len(place[name])]
                said = [text] * len(matrix) + [f"{names[j]} = {low:g}" for j in place[name]]
                text = ", ".join(filter(None, [text, f"{name} = {low:g}"]))
                held = independent(rows, right, said, text)
                matrix, value = held.matrix, held.value
    out = Restrictions(tuple(names), matrix, value, text, lower, upper)
    if out.bounded and feasible_point(out) is None:
        raise InputError("no coefficients satisfy the constraints and the bounds together; loosen one of them")
    return out


def _pair(name: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = pair
        low = -math.inf if low is None else float(low)
        high = math.inf if high is None else float(high)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"bounds: {name!r} needs a pair (lower, upper) with None for no bound, got {pair!r}"
        ) from None
    if math.isnan(low) or math.isnan(high) or not low <= high or low == math.inf or high == -math.inf:
        raise InputError(f"bounds: the lower bound {low:g} of {name!r} is not below its upper bound {high:g}")
    return low, high


def feasible_point(restrictions: Restrictions) -> np.ndarray | None:
    """Coefficients that satisfy everything, with slopes near zero; None where there are none."""
    r = restrictions
    if not len(r.matrix):
        return np.clip(np.zeros(r.lower.size), r.lower, r.upper)
    if not r.bounded:
        return np.asarray(np.linalg.lstsq(r.matrix, r.value, rcond=None)[0])
    from scipy.optimize import linprog

    p = r.lower.size  # b = plus - minus, the sum of both as small as can be
    size = np.abs(r.matrix).max(axis=1, keepdims=True)
    eye = np.eye(p)
    above, below = np.isfinite(r.upper), np.isfinite(r.lower)
    found = linprog(
        np.ones(2 * p), A_eq=np.hstack([r.matrix, -r.matrix]) / size, b_eq=r.value / size[:, 0],
        A_ub=np.vstack([np.hstack([eye, -eye])[above], np.hstack([-eye, eye])[below]]),
        b_ub=np.concatenate([r.upper[above], -r.lower[below]]), bounds=(0, None), method="highs",
    )  # fmt: skip
    if found.status != 0:
        return None
    return np.clip(found.x[:p] - found.x[p:], r.lower, r.upper)


__all__ = ["Restrictions", "feasible_point", "read_restrictions"]
