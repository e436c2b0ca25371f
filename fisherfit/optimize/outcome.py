"""What an optimiser returns, and the record that it keeps on its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputTypeError
from ..result import Certificate

if TYPE_CHECKING:
    import pandas as pd

LONG = 1000  # parameters up to which every step's are kept
COLUMNS = ("iteration", "loglik", "decrement", "kl", "gradient_norm", "seconds")


class Stop(Exception):
    """The callback asked for the end."""


@dataclass(eq=False)
class Record:
    """The history of a run: a row for every step, and what the user wants to hear of it.

    `loud` hears (iteration, log-likelihood, decrement), as `fisherfit.progress` has it.
    """

    callback: Callable[[int, np.ndarray, float], Any] | None
    loud: Callable[[int, float, float], None] | None
    keep: bool
    rows: list[tuple[float, ...]] = field(default_factory=list)
    path: list[np.ndarray] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    _silent: bool = False

    def add(self, theta: np.ndarray, loglik: float, decrement: float, kl: float, norm: float) -> None:
        """A step was made: where it led, and how far it was."""
        iteration = len(self.rows)
        self.rows.append((iteration, loglik, decrement, kl, norm, time.perf_counter() - self.began))
        if self.keep:
            self.path.append(theta.copy())
        if self._silent:
            self._silent = False
            return
        if self.loud is not None:
            self.loud(iteration, loglik, decrement)
        if self.callback is not None and self.callback(iteration, theta.copy(), loglik):
            raise Stop

    def drop(self) -> None:
        """Forget the last step, which is about to be added again, and has been heard of."""
        self.rows.pop()
        if self.keep:
            self.path.pop()
        self._silent = True


@contextmanager
def recording(callback: Any, progress: Any, path: bool | None, size: int, rows: int) -> Iterator[Record]:
    """A record, with a progress bar where one is wanted."""
    from ..progress import watch

    if callback is not None and not callable(callback):
        raise InputTypeError(f"callback must be a function, got {type(callback).__name__}")
    with watch(2 if progress is True else int(progress or 0), rows) as loud:
        yield Record(callback, loud, size <= LONG if path is None else bool(path))


@dataclass(frozen=True, eq=False, repr=False)
class OptimizeResult:
    """Where an optimiser ended, how it came there, and how far that is from the maximum.

    Attributes
    ----------
    x : array of shape (p,)
        The parameters.
    loglik : float
        The log-likelihood there.
    n_iter : int
        Steps.
    converged : bool
        True where the decrement met the tolerance.
    reason : str
        "converged", "max_iter", "stalled" (no step increases the likelihood), "diverging" (it is no number any more, or
        rises for ever towards infinite parameters), "singular" (the information is, or has negative eigenvalues: a
        ridge, or a saddle point; begin elsewhere) or "callback" (it asked for the end).
    certificate : Certificate
        How far x can be from the maximum, in standard errors, by the information at the end.
    covariance : array of shape (p, p), or None
        F^-1 at the end; None where F is known by its products only, is not positive definite, or is too large.
    method : str
        The optimiser.
    path : array of shape (n_iter + 1, p), or None
        The parameters before every step and at the end; None where they are many (see `path` of the optimisers).

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> y = np.array([0.5, 1.0, 4.5])
    >>> found = ff.optimize.natural_gradient(lambda theta, y: -theta[0] - y * np.exp(-theta[0]), [0.0], (y,))
    >>> found
    natural_gradient: converged after 5 steps, log-likelihood -5.07944, within 1e-14 standard errors of the maximum
    >>> bool(abs(found.x[0] - np.log(2.0)) < 1e-12)
    True
    """

    x: np.ndarray
    loglik: float
    n_iter: int
    converged: bool
    reason: str
    certificate: Certificate
    covariance: np.ndarray | None
    method: str
    path: np.ndarray | None
    _rows: tuple[tuple[float, ...], ...] = ()

    @property
    def history(self) -> pd.DataFrame:
        """A row for the start and for every step: what `plot_trace` draws.

        Columns: ``iteration``, ``loglik``, ``decrement`` (s'F^-1 s, NaN where it was not computed), ``kl`` (of the step
        that led there, 1/2 d'Fd, in nats over all rows), ``gradient_norm``, ``seconds``, and ``x0``, ``x1``, ... where
        the path was kept and is narrow.
        """
        import pandas as pd

        out = pd.DataFrame(list(self._rows), columns=list(COLUMNS))
        out["iteration"] = out["iteration"].astype(int)
        if self.path is not None and self.path.shape[1] <= 100:
            out = out.join(pd.DataFrame(self.path, columns=[f"x{j}" for j in range(self.path.shape[1])]))
        return out

    @property
    def standard_errors(self) -> np.ndarray:
        """Roots of the diagonal of the covariance; NaN without one."""
        if self.covariance is None:
            return np.full(self.x.size, np.nan)
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def __repr__(self) -> str:
        how = f"{self.reason if self.converged else 'not converged (' + self.reason + ')'} after {self.n_iter} steps"
        far = self.certificate.max_se_error
        return (f"{self.method}: {how}, log-likelihood {self.loglik:.6g}, within {far:.1g} standard errors of the "
                "maximum")  # fmt: skip


def finish(
    method: str, theta: np.ndarray, loglik: float, reason: str, decrement: float, covariance: np.ndarray | None,
    record: Record,
) -> OptimizeResult:  # fmt: skip
    """The result of a run."""
    names = tuple(f"x{j}" for j in range(theta.size))
    distance = float(np.sqrt(decrement)) if decrement >= 0.0 else float("inf")
    with np.errstate(all="ignore"):
        bse = np.full(theta.size, np.nan) if covariance is None else np.sqrt(np.diag(covariance))
    certificate = Certificate.of(distance, names, theta, bse)
    path = np.array(record.path) if record.keep else None
    return OptimizeResult(theta, loglik, len(record.rows) - 1, reason == "converged", reason, certificate, covariance,
                          method, path, tuple(record.rows))  # fmt: skip


__all__ = ["OptimizeResult", "Record", "Stop", "finish", "recording"]
