"""The regressions of a mixture at some points: blocks of rows, and passes over rows in one loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .regression_block import RegressionBlock, canonical
from .regression_pass import Sums, empty, rows_pass

if TYPE_CHECKING:
    from .regressions import Regressions

READ = 4096  # rows of the design that are expanded at a time
NOTHING = np.empty(0)
NONE = np.empty((0, 0, 0))


class RegressionPoint:
    """The regressions at S points."""

    def __init__(self, components: Regressions, phi: np.ndarray) -> None:
        self.components, self.phi = components, phi
        width = components.width
        beta = np.stack([phi[:, at[:width]] for at in components.places], axis=1)
        self.beta = np.ascontiguousarray(beta)  # (S, K, width)
        self.rest = [phi[:, at[width:]] for at in components.places]
        if components.address:
            self.em_pass, self.louis_pass = self._em_pass, self._louis_pass

    def _em_pass(self, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int) -> np.ndarray:
        """The sums of a pass of EM in one loop, where proportions (S, K) are those of all rows: (S, 1 + K + L)."""
        return self._spread(self._pass(log_weights, weight, start, stop, False))

    def given_pass(self, posterior: np.ndarray) -> np.ndarray:
        """The sums of a pass of EM over all rows with these posteriors (S, K, n), log-likelihoods left out."""
        points, k, n = posterior.shape
        return self._spread(self._pass(np.zeros((points, k)), np.ones(n), 0, n, False, posterior))

    def _spread(self, sums: Sums) -> np.ndarray:
        c = self.components
        size, edge = c.size, 1 + c.count
        out = np.zeros((len(self.phi), edge + size + size * size))
        out[:, 0], out[:, 1:edge] = sums.loglik, sums.n
        score, information = out[:, edge : edge + size], out[:, edge + size :].reshape(-1, size, size)
        for k, at in enumerate(c.places):
            score[:, at] += sums.score[:, k]
            information[:, at[:, None], at] += sums.complete[:, k]
        return out

    def _louis_pass(self, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int) -> np.ndarray:
        """What `louis` needs of some rows in one loop, at one point; additive."""
        return np.concatenate([part.ravel() for part in self._pass(log_weights, weight, start, stop, True)])

    def louis(
        self, total: np.ndarray, pi: np.ndarray, places: list[np.ndarray], size: int
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood, score, complete and observed information from the sums of `louis_pass`.

        `places` are those of the proportions and of a component in theta, of length `size`; without the information
        about the proportions of the complete data.
        """
        c, mixed = self.components, pi.size - 1
        sums = empty(1, pi.size, c.width + self.rest[0].shape[1], True)
        ends = np.cumsum([part.size for part in sums])
        sums = Sums(*(own.reshape(part.shape) for own, part in zip(np.split(total, ends[:-1]), sums, strict=True)))
        score, complete, observed = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
        score[:mixed] = sums.n[0, 1:] - sums.n[0].sum() * pi[1:]
        observed[:mixed, :mixed] = -sums.shares[1:, 1:]
        for k, place in enumerate(places):
            at = place[mixed:]
            score[at] += sums.score[0, k]
            complete[at[:, None], at] += sums.complete[0, k]
            observed[at[:, None], at] += sums.observed[k, k]
            observed[:mixed, at] += sums.mixed[1:, k]
            observed[at, :mixed] += sums.mixed[1:, k].T
            for other in range(k):
                theirs = places[other][mixed:]
                observed[at[:, None], theirs] += sums.observed[k, other]
                observed[theirs[:, None], at] += sums.observed[k, other].T
        return float(sums.loglik[0]), score, complete, observed

    def _pass(
        self, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int, informative: bool,
        given: np.ndarray = NONE,
    ) -> Sums:  # fmt: skip
        c, (kernel, _) = self.components, self.components.alike[0]
        rest = np.ascontiguousarray(np.stack(self.rest, axis=1))
        sums = empty(len(self.phi), c.count, c.width + rest.shape[2], informative)
        for a in range(start, stop, READ):
            b = min(a + READ, stop)
            rows_pass()(
                c.address, canonical(kernel), informative, c.read(a, b), c.y[a:b], c.trials[a:b], c.base[0, a:b],
                NOTHING if c.offset is None else c.offset[a:b], self.beta, rest, kernel.constants, log_weights,
                np.ascontiguousarray(given[:, :, a:b]), weight[a:b], *sums,
            )  # fmt: skip
        return sums

    def rows(self, start: int, stop: int, informative: bool) -> RegressionBlock:
        """A block of rows."""
        return RegressionBlock(self, start, stop, informative)


__all__ = ["RegressionPoint"]
