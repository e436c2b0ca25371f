"""Robust covariances of a fit whose rows are gone: F^-1 M F^-1, M added up as the rows passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..clustering import sums_by_group
from ..covtypes import CovType, read_cov_type
from ..likelihood import SCORE, Likelihood
from ..linalg import cholesky
from ..sandwich import shares, squares


@dataclass(frozen=True, eq=False)
class Meat:
    """The sum of outer products of the scores, of rows or of groups, at the estimates of their time."""

    matrix: np.ndarray
    groups: int = 0

    def __add__(self, other: Meat) -> Meat:
        return Meat(self.matrix + other.matrix, self.groups + other.groups)

    @classmethod
    def of(cls, model: Any, part: Likelihood, theta: np.ndarray, codes: np.ndarray | None) -> Meat | None:
        """Of some rows; None where the covariance has no use for it."""
        kind = read_cov_type(model.cov_type).kind
        if kind in ("expected", "observed"):
            return None
        if kind != "cluster":
            return cls(squares(part, shares(part, part.row_terms(theta, SCORE)[0])))
        assert codes is not None
        present = np.zeros(int(codes.max(initial=0)) + 1, bool)
        sums = sums_by_group(part, theta, codes, 0, present.size, present)
        return cls(sums.T @ sums, int(present.sum()))


def robust(
    cov: CovType, meat: Meat, bread: np.ndarray, free: np.ndarray, phi: float, n: float, rank: int
) -> tuple[np.ndarray, str]:
    """The covariance of a kind that is not the model's, in standardised coordinates, and its name; see `sandwich`."""
    inner, out = np.ix_(free, free), np.zeros(meat.matrix.shape)
    squared = meat.matrix[inner]
    if cov.kind == "opg":
        factored = cholesky(squared)
        out[inner] = np.nan if factored is None else factored.inverse() * phi**2
        return out, str(cov)
    factor = n / (n - rank) if cov.kind == "HC1" else 1.0
    if cov.correction == "CR1":
        groups = meat.groups
        factor = groups / (groups - 1.0) * (n - 1.0) / (n - rank) if groups > 1 else float("nan")
    out[inner] = factor * (bread @ squared @ bread)
    return out, str(cov)


__all__ = ["Meat", "robust"]
