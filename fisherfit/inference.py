"""The covariance of the estimates, from theta, the information and the rows' scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .kernels import OBSERVED, SCORE
from .likelihood import Likelihood
from .linalg import cholesky
from .model import Fitted


def covariance_of(
    model: Any, fitted: Fitted, likelihood: Likelihood, jacobian: np.ndarray, phi: float, nobs: float, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    """The covariance in the user's coordinates, by `cov_type`, and the standard errors."""
    if model.weight_type == "probability":
        kind, factor = "HC0", nobs / (nobs - 1.0) if nobs > 1 else float("nan")
    else:
        kind, factor = model.cov_type, nobs / (nobs - rank) if model.cov_type == "HC1" and nobs > rank else 1.0
    bread = fitted.covariance
    if kind != "expected":
        finite = np.isfinite(bread.diagonal())
        inner = np.ix_(finite, finite)
    if kind == "observed" and finite.any():
        evaluation = likelihood.evaluate(fitted.point, OBSERVED)
        assert evaluation.information is not None
        factored = cholesky(evaluation.information[inner])
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
    scale = np.abs(jacobian).max(axis=1)
    unit = jacobian / scale[:, None]
    unknown = np.isnan(bread.diagonal())
    outside = unit @ (bread if np.isfinite(bread).all() else np.nan_to_num(bread)) @ unit.T
    if unknown.any() and fitted.null.shape[1] == 0 and not fitted.separation:
        touched = np.abs(unit) @ unknown.astype(float) > 0
        outside[touched, :] = np.nan
        outside[:, touched] = np.nan
    return outside * scale[:, None] * scale, scale * np.sqrt(outside.diagonal())


def _meat(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    """sum of u u' over rows; a frequency weight counts as that many rows."""
    out = np.zeros((theta.size, theta.size))
    for _, part in likelihood.parts():
        out += _meat_of(model, part, theta)
    return out


def _meat_of(model: Any, likelihood: Likelihood, theta: np.ndarray) -> np.ndarray:
    k, p = len(likelihood.designs), theta.size
    u, _ = likelihood.row_terms(theta, SCORE)
    weight = likelihood.weight
    share = u
    if model.weight_type == "frequency":
        with np.errstate(all="ignore"):
            share = np.where(weight > 0, u / np.sqrt(weight), 0.0)
    out = np.zeros((p, p))
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    for a in range(k):
        for b in range(a, k):
            single = replace(likelihood, designs=(likelihood.designs[a],))
            if a == b:
                block, _ = single.weighted_sums(np.ascontiguousarray(share[a] * share[b]), np.zeros(likelihood.n))
            else:
                _, column = single.weighted_sums(np.zeros(likelihood.n), np.ascontiguousarray(share[a] * share[b]))
                block = column[:, None]
            out[edges[a] : edges[a + 1], edges[b] : edges[b + 1]] = block
            out[edges[b] : edges[b + 1], edges[a] : edges[a + 1]] = block.T
    return out


def minimum_norm(
    b: np.ndarray, covariance: np.ndarray, null: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move along the null space to the slopes of least norm, in the user's units, the intercept outside."""
    p = b.size
    size = np.abs(null).max(axis=0)
    null = null / np.where(size > 0, size, 1.0)
    slopes = null[int(intercept) :]
    projector = np.eye(p) - null @ np.linalg.pinv(np.vstack([np.zeros((int(intercept), slopes.shape[1])), slopes]))
    estimable = np.all(np.abs(null) <= 1e-9, axis=1)
    full = np.eye(covariance.shape[0])
    full[:p, :p] = projector
    return projector @ b, full @ np.nan_to_num(covariance) @ full.T, estimable


def other_parameters(
    coefficients: np.ndarray, covariance: np.ndarray, bse: np.ndarray, likelihood: Likelihood, p: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Further parameters on their own scale, with delta-method standard errors."""
    slope = np.ones(coefficients.size)
    out = coefficients.copy()
    for k, link in enumerate(likelihood.kernels.links[1:]):
        slope[p + k] = float(link.slope(coefficients[p + k]))
        out[p + k] = float(link.mean(coefficients[p + k]))
    return out, covariance * slope[:, None] * slope, bse * np.abs(slope)
