"""Mini-batches: passes over the rows in random order, a step for every batch, a line of history for every pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from ..linalg import cholesky
from .model import Model
from .online import HELD, OnlineNaturalGradient
from .outcome import OptimizeResult, Record, Stop, finish
from .view import View


def batches(model: Model, size: int, rng: np.random.Generator) -> Iterator[Model]:
    """The rows in random order, `size` at a time."""
    order = rng.permutation(model.n)
    for first in range(0, model.n, size):
        yield model.take(np.sort(order[first : first + size]))


def check_batch_size(batch_size: Any, n: int) -> int:
    """The rows of a batch."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or not 1 <= batch_size <= n:
        raise InputError(f"batch_size must be a whole number from 1 to {n}, the number of rows, got {batch_size!r}")
    return int(batch_size)


def online_epochs(
    view: View, theta: np.ndarray, batch_size: Any, forgetting: float | None, learning_rate: float | None,
    max_iter: int, tol: float, random_state: Any, record: Record,
) -> OptimizeResult:  # fmt: skip
    """The natural gradient by mini-batches.

    Without a learning rate by the information filter. With one by steps F^-1 s of fixed length, F the moving average
    of the batches' information with `forgetting` (0.9 by default), as many rows strong as there are.
    """
    model, size = view.model, check_batch_size(batch_size, view.model.n)
    rng = np.random.default_rng(random_state)
    if view.structure != "dense":
        raise InputError("mini-batches keep the whole information; leave structure out, or batch_size")
    step: Callable[[np.ndarray, Model], np.ndarray]
    if learning_rate is None:
        online = OnlineNaturalGradient(model, theta, fisher=view.fisher, hold=min(HELD * theta.size, model.n),
                                       forgetting=1.0 if forgetting is None else forgetting)  # fmt: skip

        def step(theta: np.ndarray, batch: Model) -> np.ndarray:
            online.update(*batch.data)
            return online.x
    else:
        average = _Average(0.9 if forgetting is None else forgetting, float(learning_rate))

        def step(theta: np.ndarray, batch: Model) -> np.ndarray:
            here = View(batch, view.fisher, "dense")
            return average.step(theta, batch.score_at(theta), here.information(theta), model.n / batch.n)

    return epochs("natural_gradient", view, theta, size, step, max_iter, tol, rng, record)


class _Average:
    """Natural-gradient steps with a moving average of the information."""

    def __init__(self, forgetting: float, rate: float) -> None:
        self.forgetting, self.rate, self.information = forgetting, rate, np.zeros((0, 0))

    def step(self, theta: np.ndarray, score: np.ndarray, information: np.ndarray, ratio: float) -> np.ndarray:
        own = ratio * information
        if not self.information.size:
            self.information = own
        self.information = self.forgetting * self.information + (1.0 - self.forgetting) * own
        factor = cholesky(self.information)
        return theta if factor is None else theta + self.rate * factor.solve(ratio * score)


def epochs(
    method: str, view: View, theta: np.ndarray, size: int, step: Callable[[np.ndarray, Model], np.ndarray],
    max_iter: int, tol: float, rng: np.random.Generator, record: Record,
) -> OptimizeResult:  # fmt: skip
    """Passes over the rows until the decrement of all rows meets the tolerance."""
    reason = "max_iter"
    try:
        for iteration in range(max_iter + 1):
            loglik = view.model.total(theta)
            decrement, covariance = view.certify(theta)
            record.add(theta, loglik, decrement, math.nan, float(np.linalg.norm(view.model.score_at(theta))))
            if not math.isfinite(loglik):
                reason = "diverging"
                break
            if decrement <= tol:
                reason = "converged"
                break
            if iteration < max_iter:
                for batch in batches(view.model, size, rng):
                    theta = step(theta, batch)
    except Stop:
        reason = "callback"
    return finish(method, theta, loglik, reason, decrement, covariance, record)


__all__ = ["check_batch_size", "epochs", "online_epochs"]
