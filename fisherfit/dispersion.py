"""The dispersion after the mean: Pearson, deviance and maximum-likelihood estimates, and the log-likelihood at phi."""

from __future__ import annotations

import math

import numpy as np

from . import _threads
from .kernels import Kernels

CHUNK = 65_536  # rows to a task


class DispersionLikelihood:
    """The log-likelihood as a function of phi at fitted means.

    l(phi) = -D / (2 phi) + sum of base terms, D the deviance. Weights divide phi (analytic) or repeat rows.
    """

    def __init__(
        self,
        kernels: Kernels,
        y: np.ndarray,
        weight: np.ndarray,
        trials: np.ndarray | None,
        analytic: bool,
        divides: bool,
    ) -> None:
        self.kernels = kernels
        self.y, self.weight = y, weight
        self.trials = np.ones_like(y) if trials is None else np.where(trials > 0, trials, 1.0)
        self.divides = divides and analytic
        self.known: dict[float, tuple[float, ...]] = {}  # the model and the null model share a fixed phi

    def base(self, phi: float) -> tuple[float, float, float]:
        """The sum of base terms and two derivatives in phi."""
        if phi not in self.known:
            spans = [slice(start, start + CHUNK) for start in range(0, self.y.size, CHUNK)]
            parts = _threads.run(lambda rows: self._part(rows, float(phi)), spans, _threads.thread_count(None))
            self.known[phi] = tuple(math.fsum(part[k] for part in parts) for k in range(3))
        return self.known[phi]  # type: ignore[return-value]

    def _part(self, rows: slice, phi: float) -> tuple[float, ...]:
        k = self.kernels
        total = k.base(self.y[rows], self.weight[rows], self.trials[rows], phi, self.divides, k.constants)
        return tuple(float(v) for v in total)

    def value(self, objective: float, phi: float) -> float:
        """The log-likelihood at phi, `objective` being minus half the deviance."""
        if phi <= 0.0:  # the limit of phi to 0 at a perfect fit to an atom (a Tweedie response of zeros)
            return 0.0
        return objective / phi + self.base(phi)[0]

    def maximum(self, deviance: float, count: float, closed: float | None) -> float:
        """The maximum-likelihood phi: in closed form, or by Newton steps on log phi kept inside a bracket."""
        if closed is not None or deviance <= 0.0:
            return closed if closed is not None else 0.0
        low, high = -np.inf, np.inf
        x = float(np.log(deviance / count))
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
            if abs(step) < 4e-16 * max(1.0, abs(x)):
                break
            x += step
        return float(np.exp(x))
