"""The M-step of covariances: from the scatter of every component to the structure that fits it best.

Celeux & Govaert (1995), Pattern Recognition 28, 781-793, section 3. Where the best is not in closed form it is
sought by steps that each solve for one part: volumes, the common shape, the common axes. Common axes are turned in
one plane after the other; the best angle is in closed form, as the criterion is a cosine of twice the angle.

Everything is for S points together: weights n (S, K), scatters W (S, K, d, d), sums of w (x - mean)(x - mean)'.
"""

from __future__ import annotations

import numpy as np

from .structures import Structure

SWEEPS = 200
SAME = 1e-13  # change of the logarithms of variances at which an iteration has arrived


def maximise(
    structure: Structure, n: np.ndarray, scatter: np.ndarray, floor: float, before: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """v (S, K, d) and the coordinates of the axes (S, K, pairs) that maximise the expected log-likelihood.

    No variance along an axis is below `floor`. `before` has the axes Q (S, K, d, d) to begin from, where there are any.
    """
    if structure.axes == "none":
        spread = np.diagonal(scatter, axis1=-2, axis2=-1)
        v = np.log(np.maximum(_aligned(structure.name, n, spread, floor), floor))
        return v, np.zeros((*n.shape, 0))
    if structure.axes == "triangular":
        factor = _factor(_lifted(_ellipsoids(structure.name, n, scatter, floor), floor))
        root = np.diagonal(factor, axis1=-2, axis2=-1)
        return 2.0 * np.log(root), structure.turns_of(factor / root[..., None, :])
    if structure.name[2] == "V":
        v, q = _own_axes(structure.name, n, scatter, floor)
    else:
        v, q = _common_axes(structure.name, n, scatter, floor, before)
    if before is not None:  # signs as they were, so that coordinates move little
        flip = np.where(np.einsum("skij,skij->skj", q, before) < 0.0, -1.0, 1.0)
        q = q * flip[..., None, :]
    return v, structure.turns_of(q)


def _factor(matrices: np.ndarray) -> np.ndarray:
    """Lower Cholesky factors; where rounding leaves a matrix indefinite, of all with a little more on the diagonal."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
        return np.linalg.cholesky(matrices + 1e-12 * diagonal[..., None] * np.eye(matrices.shape[-1]))


def _mean(values: np.ndarray) -> np.ndarray:
    """The geometric mean along the last axis, which stays."""
    return np.asarray(np.exp(np.log(values).mean(axis=-1, keepdims=True)))


def _aligned(name: str, n: np.ndarray, spread: np.ndarray, floor: float) -> np.ndarray:
    """Variances along given axes, from the diagonals of scatters (S, K, d)."""
    d = spread.shape[-1]
    total = n.sum(axis=1)[:, None, None]
    own = np.maximum(spread / n[..., None], floor)
    if name[:2] == "VV":
        return own
    if name[:2] == "VI":
        return np.broadcast_to(own.mean(axis=-1, keepdims=True), own.shape)
    pooled = np.broadcast_to(spread.sum(axis=1, keepdims=True) / total, own.shape)
    if name[:2] == "EE":
        return pooled
    if name[:2] == "EI":
        return np.broadcast_to(pooled.mean(axis=-1, keepdims=True), own.shape)
    if name[:2] == "EV":
        size = _mean(own)
        return np.asarray(own / size * (n[..., None] * size).sum(axis=1, keepdims=True) / total)
    share = n[..., None] / total  # VE: volumes and the common shape in turn
    volume = _mean(own)
    for _ in range(SWEEPS):
        shape = (share * own / volume).sum(axis=1, keepdims=True)
        shape /= _mean(shape)
        new = (own / shape).sum(axis=-1, keepdims=True) / d
        done = np.all(np.abs(np.log(new / volume)) <= SAME)
        volume = new
        if done:
            break
    return np.asarray(volume * shape)


def _ellipsoids(name: str, n: np.ndarray, scatter: np.ndarray, floor: float) -> np.ndarray:
    """Covariances (S, K, d, d) whose shape and orientation go together."""
    d = scatter.shape[-1]
    weight = n[..., None, None]
    total = weight.sum(axis=1, keepdims=True)
    if name == "VVV":
        return np.asarray(scatter / weight)
    pooled = np.broadcast_to(scatter.sum(axis=1, keepdims=True) / total, scatter.shape)
    if name == "EEE":
        return pooled
    own = scatter / weight
    size = np.exp(np.linalg.slogdet(own)[1] / d)[..., None, None]
    if name == "EVV":
        return np.asarray(own / size * (weight * size).sum(axis=1, keepdims=True) / total)
    own, share = _lifted(own, floor), weight / total  # or rows that all lie in a plane leave no common form
    volume = np.trace(own, axis1=-2, axis2=-1)[..., None, None] / d
    for _ in range(SWEEPS):  # VEE
        form = (share * own / volume).sum(axis=1, keepdims=True)
        form = form * np.exp(-np.linalg.slogdet(form)[1] / d)[..., None, None]
        new = np.trace(np.linalg.solve(form, own), axis1=-2, axis2=-1)[..., None, None] / d
        done = np.all(np.abs(np.log(new / volume)) <= SAME)
        volume = new
        if done:
            break
    return np.asarray(volume * form)


def _lifted(covariance: np.ndarray, floor: float) -> np.ndarray:
    """Covariances whose eigenvalues are at least `floor`; those that are so already come back as they are."""
    good = np.isfinite(covariance).all(axis=(-2, -1), keepdims=True)
    value, vector = np.linalg.eigh(np.where(good, covariance, np.eye(covariance.shape[-1])))
    low = np.asarray((value < floor).any(axis=-1))
    if not low.any():
        return np.where(good, covariance, np.nan)
    lifted = (vector * np.maximum(value, floor)[..., None, :]) @ np.swapaxes(vector, -1, -2)
    return np.where(good, np.where(low[..., None, None], lifted, covariance), np.nan)


def _own_axes(name: str, n: np.ndarray, scatter: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """EEV and VEV: axes of its own for every component, largest variance first, and one shape."""
    good = np.isfinite(scatter).all(axis=(1, 2, 3), keepdims=True)
    value, vector = np.linalg.eigh(np.where(good, scatter, np.eye(scatter.shape[-1])))
    value = np.where(good[:, :, 0], value, np.nan)
    variance = _aligned(name[:2] + "I", n, np.maximum(value[..., ::-1], 0.0), floor)
    return np.log(np.maximum(variance, floor)), vector[..., ::-1]


def _common_axes(
    name: str, n: np.ndarray, scatter: np.ndarray, floor: float, before: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """EVE and VVE: one set of axes, a shape for every component (Browne & McNicholas, 2014; Flury, 1984).

    Axes and shapes are improved in turn: no step makes the criterion worse, so that an M-step that stops early is
    still one.
    """
    d = scatter.shape[-1]
    good = np.isfinite(scatter).all(axis=(1, 2, 3), keepdims=True)
    scatter = np.where(good, scatter, np.eye(d))
    q = np.linalg.eigh(scatter.sum(axis=1))[1][..., ::-1] if before is None else before[:, 0].copy()
    turned = np.swapaxes(q, -1, -2)[:, None] @ scatter @ q[:, None]
    variance = _aligned(name[:2] + "I", n, np.diagonal(turned, axis1=-2, axis2=-1), floor)
    for _ in range(SWEEPS):
        largest = 0.0
        for i in range(1, d):
            for j in range(i):
                gap = 1.0 / variance[..., i] - 1.0 / variance[..., j]
                cosine = (gap * 0.5 * (turned[..., i, i] - turned[..., j, j])).sum(axis=1)
                sine = (gap * turned[..., i, j]).sum(axis=1)
                angle = 0.5 * np.arctan2(-sine, -cosine)
                angle = np.where((sine == 0.0) & (cosine == 0.0), 0.0, angle)
                rotate(q, turned, i, j, angle)
                largest = max(largest, float(np.abs(np.sin(angle)).max()))
        new = _aligned(name[:2] + "I", n, np.diagonal(turned, axis1=-2, axis2=-1), floor)
        moved = float(np.abs(np.log(new / variance)).max())
        variance = new
        if largest <= 1e-9 and moved <= 1e-11:
            break
    variance = np.where(good[:, :, 0], np.maximum(variance, floor), np.nan)
    return np.log(variance), np.broadcast_to(q[:, None], scatter.shape)


def rotate(q: np.ndarray, turned: np.ndarray, i: int, j: int, angle: np.ndarray) -> None:
    """Turn columns i and j of q (S, d, d) by angles (S,), and the matrices (S, K, d, d) that are seen along them."""
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    q[..., i], q[..., j] = c * q[..., i] + s * q[..., j], c * q[..., j] - s * q[..., i]
    c, s = c[..., None], s[..., None]
    turned[..., i], turned[..., j] = c * turned[..., i] + s * turned[..., j], c * turned[..., j] - s * turned[..., i]
    top, low = c * turned[..., i, :] + s * turned[..., j, :], c * turned[..., j, :] - s * turned[..., i, :]
    turned[..., i, :], turned[..., j, :] = top, low


__all__ = ["maximise", "rotate"]
