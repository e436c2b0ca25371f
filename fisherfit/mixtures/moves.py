"""Out of a local maximum: two components become one and a third becomes two (Ueda, Nakano, Ghahramani & Hinton, 2000).

Starts find the basins that many starts lead to. A rare one often differs from a common one in where a component is
spent, which a few such moves put right.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .mixture import Mixture
from .starts import by_unit, least_squares, owners

MOST = 60  # moves that are tried at a time


def split_and_merge(mixture: Mixture, theta: np.ndarray) -> list[np.ndarray]:
    """Points theta to begin from: moves from one point, of what overlaps most first.

    Two components are pooled and cut in another way; or they become one, and a third is cut.
    """
    z = np.ascontiguousarray(mixture.posterior(theta).T)
    k = len(z)
    if k < 2:
        return []
    w = z * mixture.weight
    length = np.sqrt(np.maximum((w * z).sum(axis=1), 1e-300))
    overlap = (w @ z.T) / length[:, None] / length
    halves = [_halves(mixture, z[c], w[c]) for c in range(k)]
    pairs = sorted(combinations(range(k), 2), key=lambda pair: -overlap[pair])
    out: list[np.ndarray] = []
    for i, j in pairs[: MOST // 6]:
        for part in _halves(mixture, z[i] + z[j], w[i] + w[j]):
            r = z.copy()
            r[i], r[j] = (z[i] + z[j]) * part, (z[i] + z[j]) * (1.0 - part)
            out.append(mixture.start(r))
    for i, j in pairs:
        for c in [c for c in range(k) if c not in (i, j)]:
            for part in halves[c]:
                r = z.copy()
                r[i] = z[i] + z[j]
                r[j], r[c] = z[c] * part, z[c] * (1.0 - part)
                out.append(mixture.start(r))
                if len(out) == MOST:
                    return out
    return out


def cut_in_two(mixture: Mixture, theta: np.ndarray, more: Mixture) -> list[np.ndarray]:
    """Points to begin from with one component more, of the same rows: each component cut in some ways."""
    z = np.ascontiguousarray(mixture.posterior(theta).T)
    out = []
    for c in range(len(z)):
        for part in _halves(mixture, z[c], z[c] * mixture.weight):
            out.append(more.start(np.concatenate([z[:c], [z[c] * part, z[c] * (1.0 - part)], z[c + 1 :]])))
    return out


def _halves(mixture: Mixture, z: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Ways to cut the units of a component in two, as 0 and 1: across, core and rest, what is farthest off.

    Of a regression, by the sign of the residual and by its size.
    """
    rows = mixture.components.features()
    responses = int(getattr(mixture.components, "responses", 0)) or rows.shape[1]
    if 0 < responses < rows.shape[1]:
        design = np.column_stack([np.ones(len(rows)), rows[:, responses:]])
        own = weight if mixture.edges is None else z[owners(mixture)]
        rows = rows[:, :responses] - design @ least_squares(design, rows[:, :responses], own)
    values = by_unit(mixture, rows)
    total = max(float(weight.sum()), 1e-300)
    centred = values - weight @ values / total
    direction = np.linalg.eigh((centred.T * weight) @ centred)[1][:, -1]
    across = centred @ direction
    spread = np.sqrt(np.maximum(weight @ centred**2 / total, 1e-300))
    distance = ((centred / spread) ** 2).sum(axis=1)
    order = np.argsort(distance, kind="stable")
    median = distance[order[np.searchsorted(np.cumsum(weight[order]), 0.5 * total).clip(0, len(order) - 1)]]
    far = int(np.argmax(np.where(weight > 1e-3 * weight.max(), distance, 0.0)))
    nearer = ((centred - centred[far]) ** 2).sum(axis=1) < (centred**2).sum(axis=1)
    parts = [across > 0.0, distance > median, nearer]
    return [part.astype(float) for part in parts if 0 < part.sum() < len(part)]


__all__ = ["cut_in_two", "split_and_merge"]
