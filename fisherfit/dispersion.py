"""The dispersion after the mean: Pearson, deviance and maximum-likelihood estimates, and the log-likelihood at phi."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from . import _threads
from .kernels import Kernels
from .response import own

CHUNK = 65_536  # rows to a task
MANY, SAMPLED = 400_000, 37  # rows from which on the search begins on a sample, and its stride
Block = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # y, weight, trials


def base_terms(
    kernels: Kernels, block: Block, phi: float, divides: bool, threads: int | None = None
) -> tuple[float, ...]:
    """The base terms of some rows and their derivatives in phi, summed."""
    y, weight, trials = block
    y, weight = own(y), own(weight)
    trials = np.ones(y.size) if trials is None else np.where(trials > 0, trials, 1.0)

    def part(start: int) -> tuple[float, ...]:
        rows = slice(start, start + CHUNK)
        return tuple(map(float, kernels.base(y[rows], weight[rows], trials[rows], phi, divides, kernels.constants)))

    starts = range(0, y.size, CHUNK)
    parts = _threads.run(part, starts, 1 if len(starts) == 1 else threads or _threads.thread_count(None))
    return tuple(math.fsum(one[k] for one in parts) for k in range(3))


class DispersionLikelihood:
    """The log-likelihood as a function of phi at fitted means.

    l(phi) = -D / (2 phi) + sum of base terms, D the deviance. Weights divide phi (analytic) or repeat rows.
    """

    def __init__(
        self,
        kernels: Kernels,
        blocks: Callable[[], Iterable[Block]],
        analytic: bool,
        divides: bool,
        threads: int | None = None,
    ) -> None:
        self.kernels = kernels
        self.blocks = blocks
        self.divides = divides and analytic
        self.threads = threads
        self.known: dict[float, tuple[float, ...]] = {}  # the model and the null model share a fixed phi

    def base(self, phi: float) -> tuple[float, float, float]:
        """The sum of base terms and two derivatives in phi."""
        if phi not in self.known:
            parts = [base_terms(self.kernels, block, float(phi), self.divides, self.threads) for block in self.blocks()]
            self.known[phi] = tuple(math.fsum(part[k] for part in parts) for k in range(3))
        return self.known[phi]  # type: ignore[return-value]

    def value(self, objective: float, phi: float) -> float:
        """The log-likelihood at phi, `objective` being minus half the deviance."""
        if phi <= 0.0:  # the limit of phi to 0 at a perfect fit to an atom (a Tweedie response of zeros)
            return 0.0
        return objective / phi + self.base(phi)[0]

    def expect(self, deviance: float, count: float, closed: float | None) -> None:
        """A maximum that will be asked for."""

    def begin(self, deviance: float, count: float) -> float:
        """Where the search for the maximum begins: with many rows at the maximum on every 37th."""
        blocks = list(self.blocks())
        if sum(y.size for y, _, _ in blocks) < MANY:
            return deviance / count
        some = [
            (y[::SAMPLED].copy(), w[::SAMPLED].copy(), None if t is None else t[::SAMPLED].copy()) for y, w, t in blocks
        ]
        if not any((w > 0.0).any() for _, w, _ in some):
            return deviance / count
        sample = DispersionLikelihood(self.kernels, lambda: some, self.divides, self.divides, 1)
        return sample.maximum(deviance / SAMPLED, count / SAMPLED, None)

    def maximum(self, deviance: float, count: float, closed: float | None) -> float:
        """The maximum-likelihood phi: in closed form, or by Newton steps on log phi kept inside a bracket."""
        if closed is not None or deviance <= 0.0:
            return closed if closed is not None else 0.0
        low, high, last = -np.inf, np.inf, np.inf
        x = float(np.log(self.begin(deviance, count)))
        for _ in range(100):
            phi = float(np.exp(x))
            _, first, second = self.base(phi)
            slope = phi * (first + 0.5 * deviance / phi / phi)
            curve = slope + phi * phi * (second - deviance / phi**3)
            if slope > 0:
                low = x
            else:
                high = x
            step = -slope / curve if curve < 0 else (1.0 if slope > 0 else -1.0)
            step = float(np.clip(step, -2.0, 2.0))
            if not low < x + step < high:
                step = 0.5 * (low + high) - x if np.isfinite(low) and np.isfinite(high) else 0.5 * step
            x += step
            if abs(step) < 4e-16 * max(1.0, abs(x)) or (abs(step) < 1e-9 and abs(step) < 1e-4 * last):
                break  # the next step would be as much shorter again, at the least
            last = abs(step)
        return float(np.exp(x))
