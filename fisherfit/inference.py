"""The covariance that a fit reports, in the user's coordinates: of the kind that its arguments ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import coordinates
from .blocks import Design
from .coordinates import minimum_norm
from .covtypes import CovType, read_cov_type
from .likelihood import Likelihood
from .model import Fitted
from .sandwich import Covariance, Estimate, check, covariance_at, in_force


def covariance_of(
    model: Any, fitted: Fitted, likelihood: Likelihood, design: Design, phi: float, nobs: float, rank: int,
    clusters: Any,
) -> tuple[np.ndarray | None, np.ndarray, Covariance | None]:  # fmt: skip
    """The covariance in the user's coordinates, by `cov_type`, and the standard errors; None and NaN if not formed."""
    if fitted.covariance is None:
        return None, np.full(fitted.kept.size, np.nan), None
    basis = None if fitted.keeping is None else fitted.keeping.basis_of_size(fitted.covariance.shape[0])
    at = Estimate(likelihood, fitted.point, fitted.covariance, fitted.null, phi, nobs, rank, basis)
    found = covariance_at(at, read_cov_type(model.cov_type), model.weight_type, clusters)
    inner = found.matrix
    # rows of the Jacobian may be 1e200 in size: standard errors are taken before their squares over- or underflow
    unknown = np.isnan(inner.diagonal())
    scale, outside = coordinates.congruent(design, inner if np.isfinite(inner).all() else np.nan_to_num(inner))
    if unknown.any() and fitted.null.shape[1] == 0 and not fitted.separation:
        touched = coordinates.reached(design, unknown)
        outside[touched, :] = np.nan
        outside[:, touched] = np.nan
    return outside * scale[:, None] * scale, scale * np.sqrt(outside.diagonal()), found


def other_parameters(
    coefficients: np.ndarray, covariance: np.ndarray | None, bse: np.ndarray, likelihood: Likelihood, p: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Further parameters on their own scale, with delta-method standard errors."""
    slope = np.ones(coefficients.size)
    out = coefficients.copy()
    for k, link in enumerate(likelihood.kernels.links[1:]):
        slope[p + k] = float(link.slope(coefficients[p + k]))
        out[p + k] = float(link.mean(coefficients[p + k]))
    return out, None if covariance is None else covariance * slope[:, None] * slope, bse * np.abs(slope)


__all__ = [
    "CovType", "Covariance", "Estimate", "check", "covariance_at", "covariance_of", "in_force", "minimum_norm",
    "other_parameters", "read_cov_type",
]  # fmt: skip
