"""A likelihood of one's own: a log-density of (parameters, data), and whatever else is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from .derivatives import complex_step, hessian, jacobian
from .expected import by_quantiles, by_samples
from .structures import is_structured

KINDS = ("expected", "observed", "empirical")


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


@dataclass(frozen=True, eq=False)
class Model:
    """A likelihood with its data, as the optimisers see it.

    Parameters
    ----------
    loglik : callable
        ``loglik(theta, *data)``: an array of shape (n,), a term for every row; or a number, their sum; or a tuple
        (loglik, score, information), everything at once. A function of one row is wrapped by :func:`per_row`.
    data : tuple of arrays
        Passed on as they are; their first axis counts the rows.
    score : callable or "complex", optional
        ``score(theta, *data)``, of shape (n, p) row by row, or (p,). By default differences of `loglik`, to about
        eleven digits; "complex" asks for the complex step, exact to rounding where `loglik` computes with complex
        parameters and is analytic.
    information : callable, optional
        ``information(theta, *data)``: the matrix, or a :class:`~fisherfit.optimize.Kronecker` product, or
        :class:`~fisherfit.optimize.Products`, summed over rows. It is taken for the information that is asked for.
    quantile : callable, optional
        ``quantile(theta, u, *data) -> data``: the data with the response at the quantiles u, of shape (n,), of every
        row: the expected information by quadrature.
    sample : callable, optional
        ``sample(theta, rng, *data) -> data``: the data with a response drawn from the model: the expected information
        by simulation, with the same random numbers at all parameters.
    draws : int, default 100
        How many such samples.
    seed : int, default 0
        Their seed.

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> y = np.array([0.5, 1.0, 4.5])
    >>> model = ff.optimize.Model(lambda theta, y: -theta[0] - y * np.exp(-theta[0]), (y,))
    >>> model.score_at(np.array([0.0])).round(8), model.observed(np.array([0.0])).round(6)
    (array([3.]), array([[6.]]))
    """

    loglik: Callable[..., Any]
    data: tuple[Any, ...] = ()
    score: Callable[..., Any] | str | None = None
    information: Callable[..., Any] | None = None
    quantile: Callable[..., Any] | None = None
    sample: Callable[..., Any] | None = None
    draws: int = 100
    seed: int = 0
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def n(self) -> int:
        """Number of rows: the length of the data, 1 without any."""
        return next((int(a.shape[0]) for a in self.data if getattr(a, "shape", ())), 1)

    def take(self, rows: np.ndarray) -> Model:
        """The model on some of its rows; numbers among the data are left alone."""
        part = [a[rows] if getattr(a, "shape", ()) else a for a in self.data]
        return replace(self, data=tuple(part), _known={})

    def on(self, *data: Any) -> Model:
        """The model on other data."""
        return replace(self, data=tuple(data), _known={})

    def _call(self, theta: np.ndarray) -> Any:
        """What `loglik` returns, kept for the last theta: one call serves the log-likelihood and its derivatives."""
        key = theta.tobytes()
        if self._known.get("at") != key:
            with np.errstate(all="ignore"):
                self._known.update(at=key, value=self.loglik(theta, *self.data))
        return self._known["value"]

    def rows(self, theta: np.ndarray) -> np.ndarray:
        """The log-likelihood of every row, or the sum, as an array."""
        value = self._call(theta)
        return np.asarray(value[0] if isinstance(value, tuple) else value)

    def total(self, theta: np.ndarray) -> float:
        """The log-likelihood; minus infinity where it is not a number."""
        value = float(np.real(self.rows(theta).sum()))
        return value if value == value else -np.inf

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """The score of every row, (n, p); an error where only sums over rows are known."""
        found = self._scores(theta)
        if found.ndim != 2:
            raise InputError("the scores of single rows are needed, and loglik or score gives sums over rows; let it "
                             "return one term for every row, or choose another fisher")  # fmt: skip
        return found

    def score_at(self, theta: np.ndarray) -> np.ndarray:
        """The score."""
        found = self._scores(theta)
        return found.sum(axis=0) if found.ndim == 2 else found

    def _scores(self, theta: np.ndarray) -> np.ndarray:
        value = self._call(theta)
        if isinstance(value, tuple) and value[1] is not None:
            found = np.asarray(value[1], float)
        elif callable(self.score):
            with np.errstate(all="ignore"):
                found = np.asarray(self.score(theta, *self.data), float)
        else:
            rows = lambda t: np.asarray(self._plain(t))  # noqa: E731
            found = complex_step(rows, theta) if self.score == "complex" else jacobian(rows, theta)
        if found.ndim not in (1, 2) or found.shape[-1] != theta.size:
            raise InputError(f"the score has shape {found.shape}; it must be ({theta.size},), or (n, {theta.size}) "
                             "with a row for every row of the data")  # fmt: skip
        return found

    def _plain(self, theta: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            value = self.loglik(theta, *self.data)
        return value[0] if isinstance(value, tuple) else value

    def given(self, theta: np.ndarray) -> Any:
        """The information that the user gives; None where none is given."""
        value = self._call(theta)
        if isinstance(value, tuple) and value[2] is not None:
            out = value[2]
        elif self.information is not None:
            with np.errstate(all="ignore"):
                out = self.information(theta, *self.data)
        else:
            return None
        if is_structured(out):
            return out
        out = np.asarray(out, float)
        if out.shape != (theta.size, theta.size):
            raise InputError(f"the information has shape {out.shape}; it must be ({theta.size}, {theta.size}), summed "
                             "over the rows")  # fmt: skip
        return out

    def knows_expected(self, theta: np.ndarray) -> bool:
        """True where the expected information can be had."""
        value = self._call(theta)
        inside = isinstance(value, tuple) and value[2] is not None
        return inside or not (self.information is None and self.quantile is None and self.sample is None)

    def expected(self, theta: np.ndarray) -> Any:
        """The information as given, or E ss' by quadrature or simulation."""
        found = self.given(theta)
        if found is not None:
            return found
        if self.quantile is not None:
            return by_quantiles(self, self.quantile, theta)
        if self.sample is not None:
            return by_samples(self, self.sample, theta)
        raise InputError("the expected information is needed: give information=, quantile= or sample=, or choose "
                         "fisher='observed'")  # fmt: skip

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Minus the second derivatives of the log-likelihood, by differences of the score or of the values."""
        if callable(self.score) or self.score == "complex" or isinstance(self._call(theta), tuple):
            out = -jacobian(lambda t: self.on(*self.data).score_at(t), theta)
            return np.asarray(0.5 * (out + out.T))
        return -hessian(lambda t: float(np.sum(self._plain(t))), theta)

    def empirical(self, theta: np.ndarray) -> np.ndarray:
        """Sum of ss' over rows: it is no curvature away from the maximum of a true model."""
        s = self.scores(theta)
        return s.T @ s


def as_model(loglik: Any, data: Any, **more: Any) -> Model:
    """The model that an optimiser was given, as such or in parts."""
    if isinstance(loglik, Model):
        if data or any(value is not None for value in more.values()):
            raise InputTypeError("a Model was given, and data or derivatives beside it; put them into the Model")
        return loglik
    if not callable(loglik):
        raise InputTypeError(f"loglik must be a function of (theta, *data) or a Model, got {type(loglik).__name__}")
    score = more.get("score")
    if not (score is None or score == "complex" or callable(score)):
        raise InputError(f"score must be a function of (theta, *data) or 'complex', got {score!r}")
    data = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    return Model(loglik, tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in data), **more)


def read_start(model: Model, start: Any) -> np.ndarray:
    """The parameters to begin at, checked."""
    theta = np.atleast_1d(np.array(start, float))
    if theta.ndim != 1 or not np.all(np.isfinite(theta)):
        raise InputError(f"start must be a list of finite numbers, got {start!r}")
    value = model._call(theta)
    if isinstance(value, tuple) and len(value) != 3:
        raise InputError(f"loglik returns {len(value)} values; it must return an array, a number, or the three values "
                         "loglik, score and information")  # fmt: skip
    rows = model.rows(theta)
    if rows.ndim > 1 or (rows.ndim == 1 and rows.size != model.n):
        raise InputError(f"loglik returns an array of shape {rows.shape}; it must be a number, or have one value for "
                         f"each of the {model.n} rows")  # fmt: skip
    if not np.isfinite(model.total(theta)):
        raise InputError(f"the log-likelihood at start is {float(rows.sum())}; begin where it is finite")
    return theta


__all__ = ["Model", "as_model", "per_row", "read_start"]
