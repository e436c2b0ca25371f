"""Blocks of rows as inference reads them: the design as plain matrices, the scores and the information of the rows.

For what is not a sum over rows of something that the compiled passes know: leverage, sums by group, sums over time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .families import NegativeBinomial
from .kernels import EXPECTED, SCORE
from .likelihood import Likelihood, expand


class Block(NamedTuple):
    """Rows `start` to `stop`: for each of K parameters a design (m, p_k); u (K, m) and w (K(K+1)/2, m)."""

    start: int
    stop: int
    designs: tuple[np.ndarray, ...]
    u: np.ndarray
    w: np.ndarray


def designs_of(likelihood: Likelihood, begin: int, end: int) -> tuple[np.ndarray, ...]:
    """The designs of all parameters in rows `begin` to `end`, as matrices."""
    return tuple(
        np.ones((end - begin, 1)) if d.width == 1 and d.intercept else expand(d, begin, end) for d in likelihood.designs
    )


def blocks(
    likelihood: Likelihood, theta: np.ndarray, start: int, stop: int, size: int, kind: int = SCORE
) -> Iterator[Block]:
    """The rows of a stripe in blocks, in their order; w is filled in where `kind` is EXPECTED.

    Unlike that of the row kernels, which a fit iterates with, the expected information of a negative binomial's alpha
    is exact here.
    """
    k, parts, others = len(likelihood.designs), likelihood.split(theta), likelihood.offset
    for begin in range(start, stop, size):
        end = min(begin + size, stop)
        designs = designs_of(likelihood, begin, end)
        eta = np.empty((k, end - begin))
        for j in range(k):
            np.matmul(designs[j], parts[j], out=eta[j])
        if others is not None:
            eta[0] += others[begin:end]
        u, w = np.empty((k, end - begin)), np.empty((k * (k + 1) // 2, end - begin))
        y, weight = likelihood.y[begin:end], likelihood.weight[begin:end]
        likelihood.kernels.rows(y, weight, eta, likelihood.kernels.constants, kind, u, w)
        if kind == EXPECTED and k == 2 and isinstance(likelihood.kernels.family, NegativeBinomial):
            _exact_alpha(likelihood, eta, weight, w)
        yield Block(begin, end, designs, u, w)


def _exact_alpha(likelihood: Likelihood, eta: np.ndarray, weight: np.ndarray, w: np.ndarray) -> None:
    """The expected information of alpha, which stands apart from that of the mean."""
    family, (first, second) = likelihood.kernels.family, likelihood.kernels.links
    assert isinstance(family, NegativeBinomial)
    mu, alpha = first.mean(eta[0]), second.mean(eta[1])
    slope = np.asarray(second.slope(eta[1]), float)
    w[1] = 0.0
    if np.all(alpha == alpha[0]):
        w[2] = weight * family.expected_alpha(mu, float(alpha[0])) * slope**2
    else:
        rows = [float(family.expected_alpha(mu[i : i + 1], float(a))[0]) for i, a in enumerate(alpha)]
        w[2] = weight * np.array(rows) * slope**2


@dataclass(frozen=True, eq=False)
class Pairs:
    """The places of the upper triangle of K x K matrices that are kept row by row: 00, 01, ..., 11, ..."""

    k: int

    def index(self) -> list[tuple[int, int]]:
        """(a, b) of every place."""
        return [(a, b) for a in range(self.k) for b in range(a, self.k)]

    def full(self, packed: np.ndarray) -> np.ndarray:
        """(K(K+1)/2, m) as symmetric matrices (m, K, K)."""
        out = np.empty((packed.shape[1], self.k, self.k))
        for at, (a, b) in enumerate(self.index()):
            out[:, a, b] = out[:, b, a] = packed[at]
        return out


__all__ = ["Block", "Pairs", "blocks", "designs_of"]
