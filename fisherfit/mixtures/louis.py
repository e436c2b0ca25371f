"""What is lost by not seeing the classes: the variance of the complete-data score given the data (Louis, 1982).

With S_k the complete-data score of a unit whose class is k, r_k its posterior, s = sum_k r_k S_k and w its weight, the
loss is sum w [ sum_k r_k S_k S_k' - s s' ]. By pairs of components it is sum w r_k (1 - r_k) S_k S_k' in the diagonal
and -sum w r_k r_l S_k S_l' beside it, where units whose class is plain have no part: with many coordinates in
components that lie apart that is the smaller work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MANY = 150  # coordinates from which the loss is summed by pairs
NOTHING = 1e-20  # a product of posteriors that adds nothing: scores are then some hundreds at the most


def loss(
    scores: Sequence[np.ndarray], places: Sequence[np.ndarray], r: np.ndarray, weight: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The score (size,) and the information lost (size, size), from S_k on places[k] (p_k, m), r (K, m) and w (m,)."""
    return (_by_pairs if size >= MANY else _at_once)(scores, places, r, weight, size)


def _at_once(
    scores: Sequence[np.ndarray], places: Sequence[np.ndarray], r: np.ndarray, weight: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    mean, lost = np.zeros((size, weight.size)), np.zeros((size, size))
    for k, own in enumerate(scores):
        at = places[k]
        mean[at] += own * r[k]
        own = own * np.sqrt(r[k] * weight)  # a matrix times its own transpose is half the work of any two
        lost[np.ix_(at, at)] += own @ own.T
    score = mean @ weight
    mean *= np.sqrt(weight)
    lost -= mean @ mean.T
    return score, lost


def _by_pairs(
    scores: Sequence[np.ndarray], places: Sequence[np.ndarray], r: np.ndarray, weight: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    score, lost = np.zeros(size), np.zeros((size, size))
    for k, own in enumerate(scores):
        score[places[k]] += own @ (r[k] * weight)
        others = r[:k].sum(axis=0) + r[k + 1 :].sum(axis=0)  # 1 - r_k to all digits
        share = r[k] * others * weight
        seen = np.flatnonzero(share > NOTHING * weight)
        if seen.size:
            part = own[:, seen] * np.sqrt(share[seen])
            lost[np.ix_(places[k], places[k])] += part @ part.T
        for other in range(k):
            share = r[k] * r[other] * weight
            seen = np.flatnonzero(share > NOTHING * weight)
            if seen.size:
                part = (own[:, seen] * share[seen]) @ scores[other][:, seen].T
                lost[np.ix_(places[k], places[other])] -= part
                lost[np.ix_(places[other], places[k])] -= part.T
    return score, lost


__all__ = ["loss"]
