"""The online natural gradient: rows that pass by once, and an information matrix that remembers them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._threads import single_threaded_blas
from ..errors import InputError
from ..linalg import cholesky
from .arguments import check_rows, read_start, where
from .model import Model
from .view import make_view, positive

HELD = 20  # rows for every parameter that are held at first
GROWN = 1.1  # rows held beyond that are fitted again when there are so many times more
CONDITION = 1e-10  # reciprocal condition of a well-conditioned information, its diagonal 1
ENOUGH = 1e-14  # decrement at which the steps on one batch end


@dataclass(frozen=True, eq=False)
class Filtered:
    """Where an update led: the parameters, and the log-likelihood lost on the rows before and found on these."""

    theta: np.ndarray
    lost: float


def implicit_update(
    value: Callable[[np.ndarray], float],
    derivatives: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    theta: np.ndarray,
    information: np.ndarray,
    steps: int = 20,
    bound: np.ndarray | None = None,
) -> Filtered:
    """The maximum of l(theta') - 1/2 (theta' - theta)'F(theta' - theta), l the log-likelihood of a batch.

    Its first Newton step is (F + F_batch)^-1 s, the extended Kalman filter's; iterated, the update is implicit, and
    stays stable where a batch pulls hard. Parameters stay at or above `bound`, where it is given.
    """
    bound = np.full(theta.size, -np.inf) if bound is None else bound
    here, best = theta, value(theta)
    for _ in range(steps):
        score, own = derivatives(here)
        moved = here - theta
        pull = score - information @ moved
        if not np.all(np.isfinite(pull)):
            break
        free = (here > bound) | (pull > 0.0)
        at = np.ix_(free, free)
        factor = cholesky((information + own)[at])
        factor = cholesky((information + positive(own))[at]) if factor is None else factor
        if factor is None:
            break
        step, t = np.zeros_like(here), 1.0
        step[free] = factor.solve(pull[free])
        if float(pull @ step) <= ENOUGH:
            break
        slack = 64.0 * np.finfo(float).eps * (1.0 + abs(best))
        for _ in range(40):
            there = np.maximum(here + t * step, bound)
            d = there - theta
            now = value(there) - 0.5 * float(d @ information @ d)
            if now >= best + 1e-4 * float(pull @ (there - here)) - slack:
                break
            t *= 0.5
        else:
            break
        here, best = there, now
    d = here - theta
    return Filtered(here, 0.5 * float(d @ information @ d))


class OnlineNaturalGradient:
    """A model fitted to batches that are seen once, with the information of all of them.

    The state is theta and F. A batch with log-likelihood l moves theta to the maximum of l less the quadratic
    1/2 d'Fd that stands for all earlier rows; F then grows by the batch's information. One step of it, ``theta +=
    F^-1 s`` with ``F += F_batch``, is the extended Kalman filter of a constant state, and the natural gradient with a
    learning rate of 1/t (Ollivier, 2018, Electronic Journal of Statistics 12, 2930-2961).

    The first rows are held, and fitted exactly, until there are `hold` of them and the information is
    well-conditioned; from then on no row is kept. Where more rows than that do not determine the parameters, they are
    fitted again when they have grown by a tenth.

    Parameters
    ----------
    model : Model or callable
        What the batches have in common; its own data are not looked at.
    start : array of shape (p,)
        Where to begin.
    fisher : {"expected", "observed", "empirical"}, optional
        As for :func:`natural_gradient`.
    information : array of shape (p, p), optional
        What is known at the start, as an information matrix around `start`: then no rows are held.
    forgetting : float, default 1.0
        In (0, 1]: what becomes of the earlier information with every batch. 1 - 1/k remembers about k batches.
    hold : int, optional
        By default 20 rows for every parameter.
    steps : int, default 20
        Newton steps on a batch at the most.

    Attributes
    ----------
    x : array of shape (p,)
        The parameters.
    information : array of shape (p, p)
        F, of all rows so far.
    covariance, standard_errors : arrays
        F^-1 and the roots of its diagonal; NaN as long as F is not positive definite.
    n : int
        Rows so far.
    loglik : float
        The log-likelihood of all rows at x, to second order.
    held : int
        Rows that are held.

    Notes
    -----
    The estimate differs from that of all rows at once by the third derivatives of the log-likelihood: by about
    ``log(n / hold) / sqrt(n)`` standard errors, times a constant of the model. Rows in an order (sorted by the response
    or by time, say) make it larger, because early batches are then far from the whole.

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> rng = np.random.default_rng(0)
    >>> poisson = ff.optimize.Model(lambda theta, y: y * theta[0] - np.exp(theta[0]))
    >>> online = ff.optimize.OnlineNaturalGradient(poisson, [0.0])
    >>> batches = [rng.poisson(3.0, 50) for _ in range(100)]
    >>> for y in batches:
    ...     online.update(y)
    >>> exact = np.log(np.mean(batches))
    >>> bool(abs(online.x[0] - exact) < 0.05 * online.standard_errors[0]), online.n
    (True, 5000)
    """

    def __init__(
        self,
        model: Any,
        start: Any,
        *,
        fisher: str | None = None,
        information: Any = None,
        forgetting: float = 1.0,
        hold: int | None = None,
        steps: int = 20,
    ) -> None:
        self.model = model if isinstance(model, Model) else Model(model)
        self.x = np.atleast_1d(np.array(start, float))
        if not (isinstance(forgetting, (int, float, np.number)) and 0.0 < forgetting <= 1.0):
            raise InputError(f"forgetting must be a number above 0 and at most 1, got {forgetting!r}")
        self.fisher, self.forgetting, self.steps = fisher, float(forgetting), int(steps)
        self.hold = HELD * self.x.size if hold is None else int(hold)
        self.information = np.zeros((self.x.size, self.x.size))
        self.loglik, self.n = 0.0, 0
        self._rows: list[tuple[Any, ...]] | None = []
        self._fitted = 0
        if information is not None:
            self.information = np.array(information, float)
            if self.information.shape != (self.x.size, self.x.size) or cholesky(self.information) is None:
                raise InputError(f"information must be a positive definite matrix of shape ({self.x.size}, "
                                 f"{self.x.size})")  # fmt: skip
            self._rows = None

    @property
    def held(self) -> int:
        """Rows that are held."""
        return 0 if self._rows is None else self.n

    @property
    def covariance(self) -> np.ndarray:
        """F^-1."""
        factor = cholesky(self.information)
        return np.full_like(self.information, np.nan) if factor is None else factor.inverse()

    @property
    def standard_errors(self) -> np.ndarray:
        """Roots of the diagonal of F^-1."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @single_threaded_blas()
    @np.errstate(all="ignore")
    def update(self, *batch: Any) -> None:
        """Learn from a batch of rows, given as the data of the model.

        Raises
        ------
        InputError
            For rows that the model cannot be evaluated on; nothing is changed.
        """
        model = self.model.on(*(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in batch))
        check_rows(model.data)
        if self._rows is None and not math.isfinite(model.total(self.x)):
            raise InputError("the log-likelihood of the batch is not finite at the parameters so far"
                             f"{where(model, self.x)}; leave out what the model rules out")  # fmt: skip
        if self._rows is not None:
            self._first(model)
            return
        view = make_view(model, self.x, self.fisher, "dense", None, None)
        earlier = self.forgetting * self.information

        def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return model.score_at(theta), _plain(view.information(theta))

        found = implicit_update(model.total, derivatives, self.x, earlier, self.steps)
        own = model.observed(found.theta) if view.fisher == "observed" else _plain(view.information(found.theta))
        self.information = earlier + own
        self.loglik = self.forgetting * self.loglik - found.lost + model.total(found.theta)
        self.x, self.n = found.theta, self.n + model.n

    def _first(self, batch: Model) -> None:
        """Fit all rows so far, and let go of them as soon as their information says enough."""
        from .natural import natural_gradient

        assert self._rows is not None
        rows = [*self._rows, batch.data]
        n = sum(self.model.on(*part).n for part in rows)
        if self.hold < n < GROWN * self._fitted:  # the work stays linear in the rows where they say little for long
            self._rows, self.n = rows, n
            return
        model = self.model.on(*(_joined(parts) for parts in zip(*rows, strict=True)))
        theta = read_start(model, self.x)
        found = natural_gradient(model, theta, fisher=self.fisher)
        self._rows, self.n, self._fitted = rows, model.n, model.n
        if not found.converged or not np.all(np.isfinite(found.x)):
            return
        view = make_view(model, theta, self.fisher, "dense", None, None)
        information = _plain(view.information(found.x))
        factor = cholesky(information)
        if factor is None:
            return
        self.x, self.information, self.loglik = found.x, information, found.loglik
        if self.n >= self.hold and factor.reciprocal_condition > CONDITION:
            self._rows = None

    def __repr__(self) -> str:
        held = f", {self.held} of them held" if self.held else ""
        return f"OnlineNaturalGradient: {self.n} rows{held}, x = {np.array2string(self.x, precision=4)}"


def _joined(parts: tuple[Any, ...]) -> Any:
    if not getattr(parts[0], "shape", ()):
        return parts[0]
    if hasattr(parts[0], "tocsr"):
        from scipy.sparse import vstack

        return vstack(parts, format="csr")
    return np.concatenate(parts)


def _plain(information: Any) -> np.ndarray:
    return information if isinstance(information, np.ndarray) else np.asarray(information.dense())


__all__ = ["OnlineNaturalGradient", "implicit_update"]
