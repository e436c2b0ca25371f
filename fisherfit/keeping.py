"""How a maximum keeps to its restrictions, and what the estimator shows of it: what holds, and the multipliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import labelled
from .restrictions import Restrictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Keeping:
    """How a maximum keeps to its restrictions: the free directions, what is held, and the multipliers."""

    restrictions: Restrictions
    basis: np.ndarray
    at_lower: tuple[int, ...]
    at_upper: tuple[int, ...]
    equality_multipliers: np.ndarray
    bound_multipliers: np.ndarray
    fixed: tuple[int, ...]
    stopped: tuple[int, ...]

    def basis_of_size(self, size: int) -> np.ndarray:
        """The free directions, where a parameter at its own bound was added behind."""
        return np.vstack([self.basis, np.zeros((size - len(self.basis), self.basis.shape[1]))])

    @property
    def at_bound(self) -> dict[int, float]:
        """Coefficients at a bound, and the bound."""
        r = self.restrictions
        return {j: float(r.lower[j]) for j in self.at_lower} | {j: float(r.upper[j]) for j in self.at_upper}


@dataclass(frozen=True, eq=False, repr=False)
class Constraints:
    """The restrictions of a fit and their multipliers.

    Attributes
    ----------
    names : tuple of str
        The coefficients, further parameters included.
    text : str
        The equalities.
    matrix, value : arrays of shape (m, p) and (m,)
        R and r of the equalities R b = r.
    multipliers : array of shape (m,)
        By how much the log-likelihood, at the dispersion in use, would rise with r.
    lower, upper : arrays of shape (p,)
        Bounds.
    active : dict
        Coefficients at a bound: name to (bound, multiplier); the multiplier, at least 0, is by how much the
        log-likelihood would rise if the bound gave way.
    """

    names: tuple[str, ...]
    text: str
    matrix: np.ndarray
    value: np.ndarray
    multipliers: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    active: dict[str, tuple[float, float]]

    def active_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """R and r of what holds as an equality at the maximum, bounds that are reached included."""
        size = len(self.names)
        rows = np.zeros((len(self.matrix) + len(self.active), size))
        rows[: len(self.matrix), : self.matrix.shape[1]] = self.matrix
        for k, name in enumerate(self.active):
            rows[len(self.matrix) + k, self.names.index(name)] = 1.0
        return rows, np.concatenate([self.value, [bound for bound, _ in self.active.values()]])

    def table(self) -> pd.DataFrame:
        """A line for every equality and every bound that is reached: ``value`` and ``multiplier``."""
        from .hypotheses import equation

        labels = [equation(row, v, self.names) for row, v in zip(self.matrix, self.value, strict=True)]
        labels += [f"{name} at its bound" for name in self.active]
        values = [*self.value.tolist(), *[bound for bound, _ in self.active.values()]]
        multipliers = [*self.multipliers.tolist(), *[m for _, m in self.active.values()]]
        return labelled.frame({"value": values, "multiplier": multipliers}, labels)

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name} at {bound:g}" for name, (bound, _) in self.active.items())
        return f"Constraints({'; '.join(filter(None, [self.text, bounds])) or 'no bound is reached'})"


def constraints_of(keeping: Keeping, names: tuple[str, ...], phi: float) -> Constraints:
    """What the estimator shows of it."""
    r = keeping.restrictions
    scale = phi if phi > 0.0 else float("nan")
    bounds = list(keeping.at_bound.items())
    active = {names[j]: (b, float(m) / scale) for (j, b), m in zip(bounds, keeping.bound_multipliers, strict=True)}
    return Constraints(names, r.text, r.matrix, r.value, keeping.equality_multipliers / scale, r.lower, r.upper, active)


__all__ = ["Constraints", "Keeping", "constraints_of"]
