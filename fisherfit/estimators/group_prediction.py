"""Predictions of a grouped fit: every row by the coefficients of its group."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..blocks import Design
from ..choices import one_of
from ..prediction import Predictor

ZERO = 1e-9  # what a combination that vanishes in a group may be in a new row, relative to its terms


@dataclass(frozen=True, eq=False)
class GroupPredictor(Predictor):
    """A predictor with a row of coefficients for every group, NaN for aliased ones.

    `null` holds, for a group that has some, the combinations of columns that vanish in its data: a prediction is
    determined by the data where they vanish in the new row as well.
    """

    params: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    null: dict[int, np.ndarray] = field(default_factory=dict)
    codes: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    def predict_groups(
        self, table: Any, codes: np.ndarray, offset: Any, exposure: Any, kind: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean response or linear predictor of every row, and True where the data do not determine it."""
        one_of("kind", kind, ("mean", "link"))
        here = replace(self, codes=codes)
        eta = Predictor.predict(here, table, offset, exposure, "link")
        unknown = here.undetermined(self.terms.design(table)) if self.null else np.zeros(eta.size, bool)
        eta = np.where(unknown, np.nan, eta)
        if kind == "link":
            return eta, unknown
        p = len(self.terms.names)
        with np.errstate(all="ignore"):
            theta = [self.links[0].mean(eta), *self.params[codes, p:].T]
            return np.asarray(self.family.mean(*theta)), unknown

    def linear(self, design: Design) -> np.ndarray:
        """The linear predictor of every row by the coefficients of its group."""
        at = np.nan_to_num(self.params, nan=0.0, posinf=np.inf, neginf=-np.inf)
        out = at[self.codes, 0].copy() if design.intercept else np.zeros(design.n)
        for column, j in columns(design):
            out += column * at[self.codes, j]
        return out

    def undetermined(self, design: Design) -> np.ndarray:
        """True for rows in which a combination that vanishes in the group's data does not vanish."""
        size = self.params.shape[0]
        number = np.zeros(size, int)
        for g, vectors in self.null.items():
            number[g] = vectors.shape[0]
        out = np.zeros(self.codes.size, bool)
        for k in range(int(number.max(initial=0))):
            vector = np.zeros((size, design.width))
            for g, vectors in self.null.items():
                if k < vectors.shape[0]:
                    vector[g] = vectors[k]
            rows = np.flatnonzero(number[self.codes] > k)
            mine = vector[self.codes[rows]]
            value = mine[:, 0].copy() if design.intercept else np.zeros(rows.size)
            scale = np.abs(value)
            for column, j in columns(design):
                term = column[rows] * mine[:, j]
                value += term
                scale += np.abs(term)
            out[rows[np.abs(value) > ZERO * scale]] = True
        return out


def columns(design: Design) -> Any:
    """The columns of a design but the intercept, each with the number of its coefficient."""
    at = int(design.intercept)
    for source in design.dense:
        table = source if source.ndim == 2 else source[:, None]
        for j in range(table.shape[1]):
            yield np.asarray(table[:, j], float), int(design.position[at + j])
        at += table.shape[1]
    for part in design.categorical:
        for k in range(part.width):
            yield (part.codes == k).astype(float), int(design.position[at + k])
        at += part.width


__all__ = ["GroupPredictor"]
