"""Densities of Gaussian components from what a fitted estimator shows: means and roots of precisions.

A user may assign `weights_`, `means_` and `precisions_cholesky_` and predict by them, as with scikit-learn.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..gammas import HALF_LOG_2PI

BLOCK = 4096  # rows at a time, so that nothing is as large as the data but the answer


def log_densities(x: np.ndarray, means: np.ndarray, root: np.ndarray, shape: str) -> np.ndarray:
    """log f_k of every row: (n, K).

    `shape` says what `root` is: "full" (K, d, d) with precision U U', "tied" (d, d), "diag" (K, d) or "spherical" (K,).
    """
    n, d = x.shape
    out = np.empty((n, len(means)))
    for start in range(0, n, BLOCK):
        part = x[start : start + BLOCK].astype(float)
        for k, mean in enumerate(means):
            gap = part - mean
            if shape in ("full", "tied"):
                u = root[k] if shape == "full" else root
                gap = gap @ u
                log_det = float(np.log(np.diag(u)).sum())
            else:
                scale = root[k] * np.ones(d)
                gap = gap * scale
                log_det = float(np.log(scale).sum())
            out[start : start + BLOCK, k] = -0.5 * np.einsum("ij,ij->i", gap, gap) + (log_det - d * HALF_LOG_2PI)
    return out


def root_of_precision(precision: np.ndarray, shape: str) -> np.ndarray:
    """Upper triangular U with precision U U' (or square roots) of precisions in one of the four shapes.

    Raises
    ------
    InputError
        Where one is not positive definite.
    """
    if shape in ("diag", "spherical"):
        if not (precision > 0.0).all():
            raise InputError("precisions_init has a value that is not positive; precisions are reciprocal variances")
        return np.sqrt(precision)
    flip = precision[..., ::-1, ::-1]
    if not np.allclose(precision, np.swapaxes(precision, -1, -2)):
        raise InputError("precisions_init has a matrix that is not symmetric")
    try:
        return np.asarray(np.linalg.cholesky(flip)[..., ::-1, ::-1])
    except np.linalg.LinAlgError:
        raise InputError("precisions_init has a matrix that is not positive definite") from None


def precisions_of(root: np.ndarray, shape: str) -> np.ndarray:
    """The precisions from their roots."""
    return np.asarray(root @ np.swapaxes(root, -1, -2)) if shape in ("full", "tied") else root**2


def shape_of(covariance_type: str) -> str:
    """How scikit-learn would shape the covariances: mclust's names that are none of its four have full matrices."""
    return {"tied": "tied", "EEE": "tied", "diag": "diag", "VVI": "diag", "spherical": "spherical",
            "VII": "spherical"}.get(covariance_type, "full")  # fmt: skip


__all__ = ["log_densities", "precisions_of", "root_of_precision", "shape_of"]
