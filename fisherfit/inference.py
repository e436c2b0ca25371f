"""The covariance of the estimates, from theta, the information and the rows' scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import coordinates
from .blocks import Design
from .kernels import OBSERVED, SCORE
from .likelihood import Likelihood
from .linalg import cholesky
from .model import Fitted


def covariance_of(
    model: Any, fitted: Fitted, likelihood: Likelihood, design: Design, phi: float, nobs: float, rank: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """The covariance in the user's coordinates, by `cov_type`, and the standard errors; None and NaN if not formed."""
    kind, factor = kind_of(model, nobs, rank)
    bread = fitted.covariance
    if bread is None:
        return None, np.full(fitted.kept.size, np.nan)
    if kind != "expected":
        finite = np.isfinite(bread.diagonal())
        inner = np.ix_(finite, finite)
    if kind == "observed" and finite.any():
        information = likelihood.evaluate(fitted.point, OBSERVED).information
        information = information if isinstance(information, np.ndarray) else information.dense()
        if fitted.keeping is not None:
            basis = fitted.keeping.basis_of_size(bread.shape[0])
            factored = cholesky(basis.T @ information @ basis)
            bread = np.full_like(bread, np.nan) if factored is None else basis @ factored.inverse() @ basis.T
        else:
            factored = cholesky(information[inner])
            bread = np.full_like(bread, np.nan)
            if factored is not None:
                bread[inner] = factored.inverse()
        bread = bread * phi
    elif kind in ("HC0", "HC1") and finite.any():
        meat = np.full_like(bread, np.nan)
        meat[inner] = bread[inner] @ _meat(model, likelihood, fitted.point)[inner] @ bread[inner]
        bread = factor * meat
    else:
        bread = bread * phi
    # rows of the Jacobian may be 1e200 in size: standard errors are taken before their squares over- or underflow
    unknown = np.isnan(bread.diagonal())
    scale, outside = coordinates.congruent(design, bread if np.isfinite(bread).all() else np.nan_to_num(bread))
    if unknown.any() and fitted.null.shape[1] == 0 and not fitted.separation:
        touched = coordinates.reached(design, unknown)
        outside[touched, :] = np.nan
        outside[:, touched] = np.nan
    return outside * scale[:, None] * scale, scale * np.sqrt(outside.diagonal())


def kind_of(model: Any, nobs: float, rank: int) -> tuple[str, float]:
    """The kind of covariance that a model's arguments ask for, and the factor for small samples."""
    if model.weight_type == "probability":
        return "HC0", nobs / (nobs - 1.0) if nobs > 1 else float("nan")
    return model.cov_type, nobs / (nobs - rank) if model.cov_type == "HC1" and nobs > rank else 1.0


def _meat(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    """sum of u u' over rows; a frequency weight counts as that many rows."""
    out = np.zeros((theta.size, theta.size))
    for _, part in likelihood.parts():
        out += _meat_of(model, part, theta)
    return out


def _meat_of(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    k, p = len(likelihood.designs), theta.size
    share = row_shares(model, likelihood, theta)
    out = np.zeros((p, p))
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    for a in range(k):
        for b in range(a, k):
            single = replace(likelihood, designs=(likelihood.designs[a],), matrices=True)
            if a == b:
                block, _ = single.weighted_sums(np.ascontiguousarray(share[a] * share[b]), np.zeros(likelihood.n))
            else:
                _, column = single.weighted_sums(None, np.ascontiguousarray(share[a] * share[b]))
                block = column[:, None]
            out[edges[a] : edges[a + 1], edges[b] : edges[b + 1]] = block
            out[edges[b] : edges[b + 1], edges[a] : edges[a + 1]] = block.T
    return out


def row_shares(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    """The rows' scores whose products make the meat, a column for every row."""
    u, _ = likelihood.row_terms(theta, SCORE)
    if model.weight_type != "frequency":
        return u
    with np.errstate(all="ignore"):
        return np.where(likelihood.weight > 0, u / np.sqrt(likelihood.weight), 0.0)


def minimum_norm(
    b: np.ndarray, covariance: np.ndarray | None, null: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Move along the null space to the slopes of least norm, in the user's units, the intercept outside."""
    p = b.size
    size = np.abs(null).max(axis=0)
    null = null / np.where(size > 0, size, 1.0)
    slopes = null[int(intercept) :]
    along = np.linalg.pinv(np.vstack([np.zeros((int(intercept), slopes.shape[1])), slopes]))
    estimable = np.all(np.abs(null) <= 1e-9, axis=1)
    if covariance is not None:  # (I - N A) C (I - N A)'
        covariance = np.nan_to_num(covariance)
        covariance[:p] -= null @ (along @ covariance[:p])
        covariance[:, :p] -= (covariance[:, :p] @ along.T) @ null.T
    return b - null @ (along @ b), covariance, estimable


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
