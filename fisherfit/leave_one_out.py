"""One step of Newton's method to the estimate without a row.

theta - (J - J_i)^-1 s_i, with J the observed information, s_i and J_i those of row i: for the K linear predictors of a
row, by the identity of Woodbury, theta - J^-1 X_i' (I - W_i Z_i)^-1 u_i, where Z_i = X_i J^-1 X_i' is K x K (Pregibon,
1981, for K = 1). Observed information makes the error of the step one of second order in the influence of the row,
whatever the link.
"""

from __future__ import annotations

import numpy as np

from .errors import InputError
from .likelihood import Likelihood, expand
from .maximum import Maximum
from .rowforms import inverse_root, matrices, parts_of

SOLE = 1e-10  # determinant of I - W Z below which a row alone determines a coefficient


def observed_root(maximum: Maximum) -> np.ndarray:
    """R with R R' = J^-1 on the free coordinates."""
    root = inverse_root(maximum.observed.information, maximum.free)
    if root is None:
        raise InputError("the observed information is not positive definite at the estimates, so that there is no "
                         "one-step estimate without a row")  # fmt: skip
    return root


def corrected_scores(u: np.ndarray, w: np.ndarray, forms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(I - W_i Z_i)^-1 u_i and Z_i times it, (K, n) each; NaN where a row alone determines a coefficient."""
    if u.shape[0] == 1:
        spare = 1.0 - w[0] * forms[0]
        with np.errstate(all="ignore"):
            solved = u / np.where(spare > SOLE, spare, np.nan)
        return solved, solved * forms
    z, inner = matrices(forms), np.eye(u.shape[0]) - matrices(w) @ matrices(forms)
    with np.errstate(all="ignore"):
        lost = ~(np.linalg.det(inner) > SOLE)
    inner[lost] = np.eye(u.shape[0])
    solved = np.linalg.solve(inner, u.T[:, :, None])
    solved[lost] = np.nan
    return solved[:, :, 0].T, (z @ solved)[:, :, 0].T


def changes(likelihood: Likelihood, root: np.ndarray, places: np.ndarray, u: np.ndarray, w: np.ndarray) -> np.ndarray:
    """theta minus the one-step estimate without a row, (m, size), for the rows at `places`."""
    roots = parts_of(likelihood, root)
    moved = [
        np.concatenate([expand(d, i, i + 1) for i in places.tolist()] or [np.empty((0, d.width))]) @ r
        for d, r in zip(likelihood.designs, roots, strict=True)
    ]
    k = len(moved)
    forms = np.stack([np.einsum("ij,ij->i", moved[j], moved[m]) for j in range(k) for m in range(j, k)])
    solved, _ = corrected_scores(u[:, places], w[:, places], forms)
    return np.asarray(sum(solved[j][:, None] * moved[j] for j in range(k)) @ root.T)


__all__ = ["changes", "corrected_scores", "observed_root"]
