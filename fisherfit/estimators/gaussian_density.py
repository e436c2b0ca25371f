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
    d_own = d
    for start in range(0, n, BLOCK):
        part = x[start : start + BLOCK].astype(float)
        for k, mean in enumerate(means):
            gap = part - mean
            if shape in ("full", "tied"):
                u = root[k] if shape == "full" else root
                gap = gap @ u
                own = np.diag(u)[np.diag(u) > 0.0]  # columns that others determine have none
                log_det, d_own = float(np.log(own).sum()), own.size
            else:
                scale = root[k] * np.ones(d)
                gap = gap * scale
                log_det = float(np.log(scale).sum())
            out[start : start + BLOCK, k] = -0.5 * np.einsum("ij,ij->i", gap, gap) + (log_det - d_own * HALF_LOG_2PI)
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


def root_of_covariance(root: np.ndarray) -> np.ndarray:
    """Upper triangular U with precision U U' from matrices L with covariance L L', (K, d, d); never fails."""
    upper = np.linalg.qr(np.swapaxes(root, -1, -2), mode="r")
    upper = upper * np.sign(np.diagonal(upper, axis1=-2, axis2=-1))[..., None]
    least = 1e-150 * np.abs(upper).max(axis=(-2, -1), keepdims=True) + 1e-300
    eye = np.eye(upper.shape[-1])
    upper = np.where((eye > 0.0) & ~(np.abs(upper) > least), least, upper)
    return np.triu(np.linalg.solve(upper, np.broadcast_to(eye, upper.shape)))


def precisions_of(root: np.ndarray, shape: str) -> np.ndarray:
    """The precisions from their roots."""
    return np.asarray(root @ np.swapaxes(root, -1, -2)) if shape in ("full", "tied") else root**2


def shape_of(covariance_type: str) -> str:
    """How scikit-learn would shape the covariances: mclust's names that are none of its four have full matrices."""
    return {"tied": "tied", "EEE": "tied", "diag": "diag", "VVI": "diag", "spherical": "spherical",
            "VII": "spherical"}.get(covariance_type, "full")  # fmt: skip


def independent_columns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of x (n, d) of which none is a linear function of earlier ones, and how the others follow from them.

    Returns numbers of the columns kept (r,), a shift (d,) and a matrix (d, r): x = shift + matrix x[kept].
    """
    centre, scale = x.mean(axis=0), x.std(axis=0)
    z = (x - centre) / scale
    basis = np.empty((len(x), 0))
    kept = []
    for j in range(x.shape[1]):
        rest = z[:, j] - basis @ (basis.T @ z[:, j])
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > 3e-7 * np.sqrt(len(x)):
            kept.append(j)
            basis = np.column_stack([basis, rest / size])
    matrix = np.linalg.lstsq(z[:, kept], z, rcond=None)[0].T
    matrix[kept] = np.eye(len(kept))
    matrix = matrix * scale[:, None] / scale[kept]
    return np.array(kept), centre - matrix @ centre[kept], matrix


__all__ = [
    "independent_columns",
    "log_densities",
    "precisions_of",
    "root_of_covariance",
    "root_of_precision",
    "shape_of",
]
