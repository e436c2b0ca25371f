"""Gradient descent and Adam, to compare the natural gradient with: the same arguments, the same result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._threads import single_threaded_blas
from ..errors import InputError
from ..families import Family
from .arguments import as_model, check_limits, read_start
from .model import Model
from .outcome import OptimizeResult, Record, Stop, finish, recording
from .stochastic import check_batch_size, epochs
from .view import LARGEST, View, make_view

LOOKS = 1.1  # iterations grow by this factor from one look at the decrement to the next

_SHARED = """
    Parameters
    ----------
    loglik, start, data, score, information, quantile, sample, fvp, fisher
        As for :func:`natural_gradient`; the information serves the certificate alone.
    learning_rate : float
        {rate}
    max_iter : int, default 1000
        Steps at the most; with `batch_size`, passes over the data.
    tol : float, default 1e-20
        Decrement s'F^-1 s to stop at. It is looked at in every of the first ten steps, and then ever more rarely.
    callback, progress, path
        As for :func:`natural_gradient`.
    batch_size : int, optional
        Rows of a mini-batch, whose score stands for that of all rows.
    random_state : int or Generator, optional
        With `batch_size`: the order of the rows.

    Returns
    -------
    OptimizeResult
"""


class _Descent:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def step(self, theta: np.ndarray, score: np.ndarray) -> np.ndarray:
        return theta + self.rate * score


class _Adam:
    def __init__(self, rate: float, betas: tuple[float, float], eps: float) -> None:
        self.rate, self.betas, self.eps = rate, betas, eps
        self.t, self.first, self.second = 0, np.empty(0), np.empty(0)

    def step(self, theta: np.ndarray, score: np.ndarray) -> np.ndarray:
        if not self.t:
            self.first, self.second = np.zeros_like(score), np.zeros_like(score)
        a, b = self.betas
        self.t += 1
        self.first = a * self.first + (1.0 - a) * score
        self.second = b * self.second + (1.0 - b) * score * score
        mean, square = self.first / (1.0 - a**self.t), self.second / (1.0 - b**self.t)
        return theta + self.rate * mean / (np.sqrt(square) + self.eps)


def gradient_descent(
    loglik: Callable[..., Any] | Model | Family | str,
    start: Any,
    data: Any = (),
    *,
    score: Callable[..., Any] | str | None = None,
    information: Callable[..., Any] | None = None,
    quantile: Callable[..., Any] | None = None,
    sample: Callable[..., Any] | None = None,
    fvp: Callable[..., Any] | None = None,
    fisher: str | None = None,
    learning_rate: float = 0.1,
    max_iter: int = 1000,
    tol: float = 1e-20,
    callback: Callable[[int, np.ndarray, float], Any] | None = None,
    progress: bool | int = False,
    path: bool | None = None,
    batch_size: int | None = None,
    random_state: Any = None,
) -> OptimizeResult:
    """Maximise a log-likelihood by steps of a constant times its gradient, the mean over rows.
    {shared}
    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> y = np.array([0.5, 1.0, 4.5])
    >>> loglik = lambda theta, y: -theta[0] - y * np.exp(-theta[0])
    >>> ff.optimize.gradient_descent(loglik, [0.0], (y,), learning_rate=0.9).x.round(6)
    array([0.693147])
    """
    model = as_model(loglik, data, score=score, information=information, quantile=quantile, sample=sample, fvp=fvp)
    return _run("gradient_descent", model, start, fisher, _Descent(_positive("learning_rate", learning_rate)), max_iter,
                tol, callback, progress, path, batch_size, random_state)  # fmt: skip


def adam(
    loglik: Callable[..., Any] | Model | Family | str,
    start: Any,
    data: Any = (),
    *,
    score: Callable[..., Any] | str | None = None,
    information: Callable[..., Any] | None = None,
    quantile: Callable[..., Any] | None = None,
    sample: Callable[..., Any] | None = None,
    fvp: Callable[..., Any] | None = None,
    fisher: str | None = None,
    learning_rate: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    max_iter: int = 1000,
    tol: float = 1e-20,
    callback: Callable[[int, np.ndarray, float], Any] | None = None,
    progress: bool | int = False,
    path: bool | None = None,
    batch_size: int | None = None,
    random_state: Any = None,
) -> OptimizeResult:
    """Maximise a log-likelihood by Adam: the mean gradient over the root of its diagonal second moments.

    The second moments are a moving average of squared gradients: a diagonal empirical information, under a root.
    `betas` are the memories of the two averages, `eps` is added to the root. Source: Kingma & Ba (2015), Proceedings
    of the International Conference on Learning Representations.
    {shared}
    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> y = np.array([0.5, 1.0, 4.5])
    >>> loglik = lambda theta, y: -theta[0] - y * np.exp(-theta[0])
    >>> ff.optimize.adam(loglik, [0.0], (y,), learning_rate=0.1).x.round(4)
    array([0.6931])
    """
    model = as_model(loglik, data, score=score, information=information, quantile=quantile, sample=sample, fvp=fvp)
    if not (len(betas) == 2 and all(0.0 <= b < 1.0 for b in betas)):
        raise InputError(f"betas must be two numbers of at least 0 and below 1, got {betas!r}")
    rule = _Adam(_positive("learning_rate", learning_rate), (float(betas[0]), float(betas[1])), _positive("eps", eps))
    return _run("adam", model, start, fisher, rule, max_iter, tol, callback, progress, path, batch_size, random_state)


for _function, _rate in (
    (gradient_descent, "Times the mean score over rows."),
    (adam, "The length of the first step."),
):
    assert _function.__doc__ is not None
    _function.__doc__ = _function.__doc__.replace("    {shared}", _SHARED.format(rate=_rate))


def _positive(name: str, value: Any) -> float:
    if not (isinstance(value, (int, float, np.number)) and 0.0 < float(value) < math.inf):
        raise InputError(f"{name} must be a positive number, got {value!r}")
    return float(value)


@single_threaded_blas()
@np.errstate(all="ignore")
def _run(
    method: str, model: Model, start: Any, fisher: str | None, rule: Any, max_iter: int, tol: float, callback: Any,
    progress: Any, path: bool | None, batch_size: Any, random_state: Any,
) -> OptimizeResult:  # fmt: skip
    check_limits(max_iter, tol)
    theta = read_start(model, start)
    free = theta.size > LARGEST and callable(model.score) and fisher in (None, "observed")
    free = free and (fisher == "observed" or not model.knows_expected(theta))  # certified by differences of the score
    view = make_view(model, theta, fisher, "matrix_free" if free else "dense", None, None)
    with recording(callback, progress, path, theta.size, model.n) as record:
        if batch_size is not None:
            rng, size = np.random.default_rng(random_state), check_batch_size(batch_size, model.n)

            def step(at: np.ndarray, batch: Model) -> np.ndarray:
                return np.asarray(rule.step(at, batch.score_at(at) / batch.n))

            return epochs(method, view, theta, size, step, max_iter, tol, rng, record)
        return _descend(method, view, theta, rule, max_iter, tol, record)


def _descend(
    method: str, view: View, theta: np.ndarray, rule: Any, max_iter: int, tol: float, record: Record
) -> OptimizeResult:
    model, reason, look, kl = view.model, "max_iter", 0.0, math.nan
    loglik = model.total(theta)
    try:
        for iteration in range(max_iter + 1):
            score, decrement = model.score_at(theta), math.nan
            if iteration >= look:
                decrement, look = view.certify(theta)[0], max(iteration + 1.0, LOOKS * iteration)
            record.add(theta, loglik, decrement, kl, float(np.linalg.norm(score)))
            if decrement <= tol:
                reason = "converged"
                break
            if iteration == max_iter:
                break
            there = rule.step(theta, score / model.n)
            value = model.total(there)
            if not math.isfinite(value):
                reason = "diverging"
                break
            theta, loglik = there, value
    except Stop:
        reason = "callback"
    decrement, covariance = view.certify(theta)
    return finish(method, theta, loglik, reason, decrement, covariance, record)


__all__ = ["adam", "gradient_descent"]
