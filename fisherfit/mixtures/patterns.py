"""How well latent classes fit the table of patterns of answers: likelihood-ratio and Pearson statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from .. import labelled

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PatternFit:
    """Patterns of answers that were seen, with their counts, observed and expected, and how far these are apart.

    `rows` are the patterns; `cells` says how many there could be. `df` is that number, less 1, less the parameters that
    are not on their edge. Where many patterns are expected but a few times (below 5, say), the statistics have no
    chi-square law.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    observed: np.ndarray
    expected: np.ndarray
    cells: int
    df: int

    @property
    def g2(self) -> float:
        """2 sum O log(O / E) (Goodman, 1974)."""
        return float(2.0 * self.observed @ np.log(self.observed / self.expected))

    @property
    def chi2(self) -> float:
        """sum (O - E)^2 / E, in which patterns that were not seen count their E."""
        unseen = max(float(self.observed.sum() - self.expected.sum()), 0.0)
        return float(((self.observed - self.expected) ** 2 / self.expected).sum() + unseen)

    @property
    def p_values(self) -> tuple[float, float]:
        """Of g2 and chi2, by the chi-square law; NaN without degrees of freedom."""
        if self.df < 1:
            return np.nan, np.nan
        return float(special.chdtrc(self.df, self.g2)), float(special.chdtrc(self.df, self.chi2))

    def to_frame(self) -> pd.DataFrame:
        """A row for every pattern that was seen, the most frequent first."""
        order = np.argsort(-self.observed, kind="stable")
        columns = {name: [self.rows[i][j] for i in order] for j, name in enumerate(self.names)}
        columns |= {"observed": self.observed[order].tolist(), "expected": self.expected[order].tolist()}
        return labelled.frame(columns, [str(i) for i in range(len(order))]).reset_index(drop=True)

    def __repr__(self) -> str:
        first, second = self.p_values
        return (f"PatternFit(G2({self.df}) = {self.g2:.4g}, p = {first:.2g}; chi2({self.df}) = {self.chi2:.4g}, "
                f"p = {second:.2g}; {len(self.rows)} of {self.cells} patterns seen)")  # fmt: skip


__all__ = ["PatternFit"]
