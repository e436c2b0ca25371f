"""The observed information of a Gaussian mixture from moments of the rows.

The complete-data score of component k is linear in T = (1, u, vech uu'), whatever the structure of the covariances:
S_k = C_k T. What is lost by not seeing the classes (see `louis`) is then made of the sums of w r_k r_l TT', that is of
the monomials of u to degree four: one product of matrices for all pairs of components, in place of one for each pair
with a width of all its coordinates (10 components in 10 dimensions: 1001 monomials beside 75^2 products of scores).
Digits cancel where a component is narrow beside its distance from the centre, the more so at degree four: it is used
below a steepness that leaves ten of them.
"""

from __future__ import annotations

from functools import cache
from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .curvature import Derivatives
    from .gaussian_rows import GaussianPoint

MOST = 12_000  # monomials up to which they are used
STEEP = 2e4  # largest number that cancels in T up to which they are used


def size_of(d: int, aligned: bool) -> int:
    """The number of monomials of d columns; for structures along the axes, of products of 1, u and u^2."""
    return (1 + 2 * d) * (2 + 2 * d) // 2 if aligned else comb(d + 4, 4)


@cache
def index_of(d: int, aligned: bool) -> np.ndarray:
    """Where the product of every two entries of T stands among the monomials: (q, q)."""
    if aligned:
        first, second = np.indices((1 + 2 * d, 1 + 2 * d))
        high, low = np.maximum(first, second), np.minimum(first, second)
        return np.asarray(high * (high + 1) // 2 + low)
    degrees: list[list[tuple[int, ...]]] = [[()]]
    for _ in range(4):
        degrees.append([(i, *rest) for i in range(d) for rest in degrees[-1] if not rest or rest[0] <= i])
    place = {names: at for at, names in enumerate(names for degree in degrees for names in degree)}
    t = [names for degree in degrees[:3] for names in degree]
    return np.array([[place[tuple(sorted(a + b, reverse=True))] for b in t] for a in t])


def information(
    point: GaussianPoint, found: np.ndarray, mixed: np.ndarray, places: list[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, expected information of the complete data and observed information, without those of the proportions.

    `found` are the sums of `gaussian_pass.moments_pass`, `mixed` the scores of the proportions in every component
    (K, K - 1), and `places` those of the complete-data scores, proportions first.
    """
    structure = point.structure
    count, d, aligned = structure.count, structure.d, structure.axes == "none"
    index = index_of(d, aligned)
    score, complete, observed = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    maps = []
    for k, own in enumerate(point.derivatives):
        turned = transformed(point.inverse[0, k], point.mean[0, k], aligned)
        maps.append(np.concatenate([np.outer(mixed[k], np.eye(1, len(turned))), score_map(own, d) @ turned]))
        t = found[k][index[0]]
        score[places[k]] += maps[k] @ t
        t = turned @ t
        moment = np.zeros((d, d))
        if aligned:
            moment[np.diag_indices(d)] = t[1 + d :]
        else:
            rows, columns = np.tril_indices(d)
            moment[rows, columns] = moment[columns, rows] = t[1 + d :]
        at = np.ix_(places[k][mixed.shape[1] :], places[k][mixed.shape[1] :])
        expected, seen = own.information(float(t[0]), t[1 : 1 + d], moment)
        complete[at] += expected
        observed[at] += seen
        part = maps[k] @ found[count + k][index] @ maps[k].T
        observed[np.ix_(places[k], places[k])] -= 0.5 * (part + part.T)
    pair = 2 * count
    for k in range(count):
        for other in range(k):
            part = maps[k] @ found[pair][index] @ maps[other].T
            observed[np.ix_(places[k], places[other])] += part
            observed[np.ix_(places[other], places[k])] += part.T
            pair += 1
    return score, complete, observed


def transformed(inverse: np.ndarray, mean: np.ndarray, aligned: bool) -> np.ndarray:
    """The matrix that turns T of u into T of z = inverse (u - mean): (q, q)."""
    d = len(mean)
    shift = -inverse @ mean
    if aligned:
        scale, out = np.diag(inverse), np.eye(1 + 2 * d)
        first, second = np.arange(1, 1 + d), np.arange(1 + d, 1 + 2 * d)
        out[first, 0], out[first, first] = shift, scale
        out[second, 0], out[second, first], out[second, second] = shift**2, 2.0 * scale * shift, scale**2
        return out
    rows, columns = np.tril_indices(d)
    out = np.zeros((1 + d + rows.size, 1 + d + rows.size))
    out[0, 0], out[1 : 1 + d, 0], out[1 : 1 + d, 1 : 1 + d] = 1.0, shift, inverse
    own, other = inverse[rows], inverse[columns]  # (pairs, d)
    out[1 + d :, 0] = shift[rows] * shift[columns]
    out[1 + d :, 1 : 1 + d] = shift[rows][:, None] * other + shift[columns][:, None] * own
    both = own[:, rows] * other[:, columns] + own[:, columns] * other[:, rows]
    out[1 + d :, 1 + d :] = np.where(rows == columns, 0.5, 1.0) * both
    return out


def score_map(own: Derivatives, d: int) -> np.ndarray:
    """The matrix that makes the score of a component from T of z: (d + p, q)."""
    aligned = own.structure.axes == "none"
    if aligned:
        second = 0.5 * own.dv
        constant = -second.sum(axis=1)
    else:
        rows, columns = np.tril_indices(d)
        second = own.coefficients
        constant = -second[:, rows == columns].sum(axis=1)
    out = np.zeros((d + len(second), 1 + d + second.shape[1]))
    out[:d, 1 : 1 + d] = own.inverse.T
    out[d:, 0], out[d:, 1 + d :] = constant, second
    return out


__all__ = ["MOST", "STEEP", "index_of", "information", "size_of", "transformed"]
