"""One step of Newton's method to the estimate without a row.

theta - (J - J_i)^-1 s_i, with J the observed information, s_i and J_i those of row i: for the K linear predictors of a
row, by the identity of Woodbury, theta - J^-1 X_i' (I - W_i Z_i)^-1 u_i, where Z_i = X_i J^-1 X_i' is K x K (Pregibon,
1981, for K = 1). Observed information makes the error of the step one of second order in the influence of the row,
whatever the link.
"""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .leverage import FULL, inflated, moved_rows, parts_of, products
from .likelihood import Likelihood
from .maximum import Maximum
from .rowblocks import Pairs, designs_of


def observed_root(maximum: Maximum) -> np.ndarray:
    """R with R R' = J^-1 on the free coordinates."""
    try:
        return maximum.root_of(maximum.observed)
    except InputError:
        raise InputError("the observed information is not positive definite at the estimates, so that there is no "
                         "one-step estimate without a row") from None  # fmt: skip


def corrected_scores(u: np.ndarray, w: np.ndarray, forms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(I - W_i Z_i)^-1 u_i and Z_i times it, (K, n) each; NaN where a row alone determines a coefficient."""
    with np.errstate(all="ignore"):
        solved, top = inflated(u, w, forms, 1.0)
    solved[:, top > 1.0 - FULL] = np.nan
    return solved, np.einsum("mij,jm->im", Pairs(u.shape[0]).full(forms), solved)


def changes(likelihood: Likelihood, root: np.ndarray, places: np.ndarray, u: np.ndarray, w: np.ndarray) -> np.ndarray:
    """theta minus the one-step estimate without a row, (m, size), for the rows at `places`."""
    designs = designs_of(likelihood.take(places), 0, places.size)
    moved = moved_rows(designs, parts_of(likelihood, root))
    solved, _ = corrected_scores(u[:, places], w[:, places], products(moved))
    return np.asarray(sum(score[:, None] * x for score, x in zip(solved, moved, strict=True)) @ root.T)


__all__ = ["changes", "corrected_scores", "observed_root"]
