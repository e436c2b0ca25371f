"""The long-run covariance of the scores in the order of the rows, with Bartlett's weights (Newey & West, 1987).

The sum over lags l of (1 - |l| / (L + 1)) sum_t s_t s_{t-l}' is the sum of the outer products of all sums of L + 1
neighbouring scores, the incomplete ones at both ends included, over L + 1: two scores that are l rows apart are
together in L + 1 - l of them. So it costs what one lag costs, and is positive semi-definite by its form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputError
from .likelihood import Likelihood
from .rowblocks import Block, blocks


def serial_meat(likelihood: Any, theta: np.ndarray, lags: int) -> np.ndarray:
    """The meat at dispersion 1; rows of weight zero are not there.

    Raises
    ------
    InputError
        For frequency weights above 1: a row that counts several times has no place in the order.
    """
    p = theta.size
    total, carry = np.zeros((p, p)), np.zeros((lags, p))
    if isinstance(likelihood, Likelihood):
        _check(likelihood)
        present = np.flatnonzero(likelihood.weight > 0.0)

        def task(start: int, stop: int, size: int) -> tuple[np.ndarray, np.ndarray]:
            place = int(np.searchsorted(present, start))
            first = int(present[max(0, place - lags)]) if place and lags else start
            before = np.zeros((lags, p))
            for block in blocks(likelihood, theta, first, start, size) if first < start else ():
                before = _last(before, _scores(likelihood, block), lags)
            return _run(likelihood, theta, start, stop, size, before)

        found = likelihood.each_stripe(task, True)
        for meat, _ in found:
            total += meat
        carry = found[-1][1]
    else:
        for _, part in likelihood.parts():
            _check(part)
            meat, carry = _run(part, theta, 0, part.n, 4096, carry)
            total += meat
    ends = _windows(carry, np.zeros((lags, p)))
    return np.asarray((total + ends.T @ ends) / (lags + 1.0))


def serial_sum(likelihood: Likelihood, steps: np.ndarray, lags: int) -> float:
    """The same for one number a row, (n,)."""
    _check(likelihood)
    sums = _windows(np.zeros((lags, 1)), np.concatenate([steps, np.zeros(lags)])[:, None])
    return float(np.sum(np.square(sums))) / (lags + 1.0)


def _check(likelihood: Likelihood) -> None:
    times = likelihood.repeats
    if times is not None and np.any((times != 0.0) & (times != 1.0)):
        row = int(np.flatnonzero((times != 0.0) & (times != 1.0))[0])
        raise InputError(f"cov_type='HAC' goes by the order of the rows, and row {row} counts {times[row]:g} times; "
                         "repeat the rows in their order instead")  # fmt: skip


def _run(
    likelihood: Likelihood, theta: np.ndarray, start: int, stop: int, size: int, carry: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The sum over windows that end in rows start to stop, and the last scores."""
    total = np.zeros((theta.size, theta.size))
    for block in blocks(likelihood, theta, start, stop, size):
        scores = _scores(likelihood, block)
        sums = _windows(carry, scores)
        total += sums.T @ sums
        carry = _last(carry, scores, carry.shape[0])
    return total, carry


def _scores(likelihood: Likelihood, block: Block) -> np.ndarray:
    """The scores of the rows whose weight is not zero, (m, p)."""
    scores = np.concatenate([x * block.u[k][:, None] for k, x in enumerate(block.designs)], axis=1)
    present = likelihood.weight[block.start : block.stop] > 0.0
    return scores if present.all() else scores[present]


def _last(before: np.ndarray, scores: np.ndarray, lags: int) -> np.ndarray:
    return np.concatenate([before, scores])[scores.shape[0] :] if lags else before


def _windows(before: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Sums of L + 1 neighbours that end in each of the scores, L of them given before."""
    lags = before.shape[0]
    if lags == 0:
        return scores
    sums = np.cumsum(np.concatenate([before, scores]), axis=0)
    out = sums[lags:].copy()
    out[1:] -= sums[: -lags - 1]
    return out


__all__ = ["serial_meat", "serial_sum"]
