"""A log-density of one row as one of all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def per_row(function: Callable[..., float]) -> Callable[..., np.ndarray]:
    """A log-density of one row, ``function(theta, *row) -> float``, as one of all rows.

    A function that Numba has compiled is called in a compiled loop, any other in a Python loop.

    Parameters
    ----------
    function : callable
        Takes the parameters and one number (or one row) of every array of the data.

    Returns
    -------
    callable
        ``loglik(theta, *data) -> array of shape (n,)``

    Examples
    --------
    >>> import math, numpy as np, fisherfit as ff
    >>> loglik = ff.optimize.per_row(lambda theta, y: -theta[0] + y * math.log(theta[0]) - math.lgamma(y + 1))
    >>> loglik(np.array([2.0]), np.array([0.0, 1.0, 3.0])).round(4)
    array([-2.    , -1.3069, -1.7123])
    """
    if hasattr(function, "py_func"):
        return _compiled_loop(function)

    def loglik(theta: np.ndarray, *data: Any) -> np.ndarray:
        return np.array([function(theta, *row) for row in zip(*data, strict=True)])

    return loglik


def _compiled_loop(function: Any) -> Callable[..., np.ndarray]:
    import numba

    def make(size: int) -> Any:
        row = _row(0, size, numba.njit)

        @numba.njit
        def loop(theta, data):
            out = np.empty(len(data[0]))
            for i in range(out.size):
                out[i] = function(theta, *row(data, i))
            return out

        return loop

    loops: dict[int, Any] = {}

    def loglik(theta: np.ndarray, *data: Any) -> np.ndarray:
        if len(data) not in loops:
            loops[len(data)] = make(len(data))
        return np.asarray(loops[len(data)](theta, data))

    return loglik


def _row(k: int, size: int, compiled: Any) -> Any:
    """(data[k][i], ..., data[size - 1][i]) of a tuple of arrays: compiled code has no loop over such tuples."""
    if k == size - 1:

        def row(data, i):
            return (data[k][i],)
    else:
        tail = _row(k + 1, size, compiled)

        def row(data, i):
            return (data[k][i],) + tail(data, i)  # noqa: RUF005  (Numba has no starred tuple displays)

    return compiled(row)


__all__ = ["per_row"]
