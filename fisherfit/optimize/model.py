"""A likelihood of one's own: a log-density of (parameters, data), and whatever else is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .derivatives import complex_step, hessian, jacobian
from .expected import by_quantiles, by_samples
from .structures import Products, is_structured

KINDS = ("expected", "observed", "empirical")


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
    fvp : callable, optional
        ``fvp(theta, v, *data)``: the product of the information with a vector, in place of `information`.
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
    fvp: Callable[..., Any] | None = None
    draws: int = 100
    seed: int = 0
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def n(self) -> int:
        """Number of rows: the length of the data, 1 without any."""
        return next((int(a.shape[0]) for a in self.data if getattr(a, "shape", ())), 1)

    @property
    def has_formulas(self) -> bool:
        """True where scores are formulas though no function for them is given."""
        return False

    def take(self, rows: np.ndarray) -> Model:
        """The model on some of its rows; numbers among the data are left alone."""
        part = [a[rows] if getattr(a, "shape", ()) else a for a in self.data]
        return replace(self, data=tuple(part), _known={})

    def on(self, *data: Any) -> Model:
        """The model on other data."""
        return replace(self, data=tuple(data), _known={})

    def check_size(self, theta: np.ndarray) -> None:
        """Refuse parameters of another number; only a family knows how many it has."""

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
        with np.errstate(all="ignore"):
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
        with np.errstate(all="ignore"):
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
        elif self.fvp is not None:
            return self._by_products(theta)
        else:
            return None
        if is_structured(out):
            return out
        out = np.asarray(out, float)
        if out.shape != (theta.size, theta.size):
            raise InputError(f"the information has shape {out.shape}; it must be ({theta.size}, {theta.size}), summed "
                             "over the rows")  # fmt: skip
        return out

    def _by_products(self, theta: np.ndarray) -> Products:
        here, fvp = theta.copy(), self.fvp
        assert fvp is not None

        def product(v: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                out = np.asarray(fvp(here, v, *self.data), float)
            if out.shape != here.shape:
                raise InputError(f"fvp returns shape {out.shape}; it must be ({here.size},), as its second argument")
            return out

        return Products(product, here.size)

    def knows_expected(self, theta: np.ndarray) -> bool:
        """True where the expected information can be had."""
        value = self._call(theta)
        inside = isinstance(value, tuple) and value[2] is not None
        return inside or any(f is not None for f in (self.information, self.fvp, self.quantile, self.sample))

    def expected(self, theta: np.ndarray) -> Any:
        """The information as given, or E ss' by quadrature or simulation."""
        found = self.given(theta)
        if found is not None:
            return found
        if self.quantile is not None:
            return by_quantiles(self, self.quantile, theta)
        if self.sample is not None:
            return by_samples(self, self.sample, theta)
        raise InputError("the expected information is needed: give information=, fvp=, quantile= or sample=, or choose "
                         "fisher='observed'")  # fmt: skip

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Minus the second derivatives of the log-likelihood, by differences of the score or of the values."""
        if callable(self.score) or self.score == "complex" or isinstance(self._call(theta), tuple):
            out = -jacobian(lambda t: self.on(*self.data).score_at(t), theta)
            return np.asarray(0.5 * (out + out.T))
        return -hessian(lambda t: float(np.sum(self._plain(t))), theta)

    def observed_products(self, theta: np.ndarray) -> Products:
        """The same by its products alone: differences of the score along a vector, to about ten digits."""
        scale = max(1.0, float(np.abs(theta).max()))

        def product(v: np.ndarray) -> np.ndarray:
            size = float(np.abs(v).max())
            if not size > 0.0:
                return np.zeros_like(v)
            out = np.zeros_like(v)
            for times, weight in ((1.0, 2.0 / 3.0), (2.0, -1.0 / 12.0)):  # an error of the fourth order in h
                h = times * 1e-3 * scale / size
                out -= weight * (self.on(*self.data).score_at(theta + h * v) - self.score_at(theta - h * v))
            return out * (size / (1e-3 * scale))

        return Products(product, theta.size)

    def empirical(self, theta: np.ndarray) -> np.ndarray:
        """Sum of ss' over rows: it is no curvature away from the maximum of a true model."""
        s = self.scores(theta)
        return s.T @ s


__all__ = ["KINDS", "Model"]
