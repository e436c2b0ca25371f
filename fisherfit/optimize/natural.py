"""`natural_gradient`: the library's own solver for any likelihood, and steps of other lengths beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._threads import single_threaded_blas
from ..choices import one_of
from ..errors import InputError
from ..families import Family
from ..solver import natural_gradient as solve
from .arguments import as_model, check_limits, read_start
from .model import Model
from .outcome import OptimizeResult, Record, Stop, finish, recording
from .steps import FLOOR, ascend, backtracking, endless, rule_of
from .stochastic import online_epochs
from .view import View, ViewedProblem, make_view

STEPS = ("full", "fixed", "kl", "damped", "backtracking")


@single_threaded_blas()
@np.errstate(all="ignore")
def natural_gradient(
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
    structure: str = "dense",
    step: str = "full",
    learning_rate: float | None = None,
    kl: float | None = None,
    damping: float | None = None,
    blocks: Any = None,
    rank: int | None = None,
    shape: tuple[int, int] | None = None,
    max_iter: int = 100,
    tol: float = 1e-20,
    callback: Callable[[int, np.ndarray, float], Any] | None = None,
    progress: bool | int = False,
    path: bool | None = None,
    batch_size: int | None = None,
    forgetting: float | None = None,
    random_state: Any = None,
) -> OptimizeResult:
    """Maximise a log-likelihood by natural-gradient steps, F^-1 times the score.

    Parameters
    ----------
    loglik : callable, Model or family
        ``loglik(theta, *data)``; see :class:`~fisherfit.optimize.Model` for what it may return, and for `score`,
        `information`, `quantile`, `sample` and `fvp`. A family, by name or as an object, takes ``data=(y,)`` or
        ``(y, X)``; see :func:`~fisherfit.optimize.family_model`.
    start : array of shape (p,)
        Where to begin.
    data : tuple of arrays
        Passed on to the functions.
    fisher : {"expected", "observed", "empirical"}, optional
        Which information: E ss' (the default where it can be had), minus the second derivatives (the default
        elsewhere; eigenvalues that are negative are turned), or the sum of ss' over rows, which is no curvature away
        from the maximum of a true model and is offered for comparison.
    structure : {"dense", "block", "diagonal", "kronecker", "low_rank", "matrix_free"}, default "dense"
        What is kept of it: all; the `blocks`, lists of parameters; the diagonal; the two factors that `information`
        returns, or those of the nearest Kronecker product for parameters that are a matrix of shape `shape`; the
        `rank` eigenvalues farthest from 1 in coordinates where the diagonal is 1; or products alone, with conjugate
        gradients, from `fvp`, from Products, or from differences of `score` with fisher="observed".
    step : {"full", "fixed", "kl", "damped", "backtracking"}, default "full"
        "full" and "backtracking": F^-1 s, or a shorter step where that does not increase the likelihood or where the
        approximation of F overshoots. "fixed": `learning_rate` times F^-1 s. "kl": of constant KL divergence `kl`,
        sqrt(2 kl / s'F^-1 s) F^-1 s, and never longer than the best step along that line. "damped":
        (F + lambda diag F)^-1 s, lambda by the ratio of the actual to the predicted increase (Levenberg, 1944), from
        `damping` on.
    learning_rate : float, default 1
        Of step="fixed" or with `batch_size`.
    kl : float, optional
        Nats over all rows, by default a tenth of a nat a row.
    damping : float, default 1e-3
        The first lambda of step="damped".
    max_iter : int, default 100
        Steps at the most; with `batch_size`, passes over the data.
    tol : float, default 1e-20
        Decrement s'F^-1 s to stop at: 1e-20 is 1e-10 standard errors. Near rounding the run ends all the same.
    callback : callable, optional
        ``callback(iteration, theta, loglik)``; a true value ends the run.
    progress : bool or int, default False
        True for a progress bar, 1 for a line for every step.
    path : bool, optional
        Keep the parameters of every step; by default where they are 1,000 or fewer.
    batch_size : int, optional
        Rows of a mini-batch: the online natural gradient with its information filter goes over the data `max_iter`
        times in random order; see :class:`~fisherfit.optimize.OnlineNaturalGradient`.
    forgetting : float, optional
        With `batch_size`: the factor by which earlier information counts less with every batch.
    random_state : int or Generator, optional
        With `batch_size`: the order of the rows.

    Returns
    -------
    OptimizeResult

    Raises
    ------
    InputError, InputTypeError
        For functions and arguments that do not fit together, before any work.

    Notes
    -----
    Full steps with all of F, or with products, are made by the solver that fits the models of this library. Source:
    Amari (1998), Neural Computation 10, 251-276; for the limits of the empirical information Kunstner, Balles &
    Hennig (2019), Advances in Neural Information Processing Systems 32.

    Examples
    --------
    The shape and the scale of Weibull times, from their log-density alone:

    >>> import numpy as np, fisherfit as ff
    >>> def loglik(theta, t):
    ...     shape, scale = np.exp(theta)
    ...     return np.log(shape / scale) + (shape - 1) * np.log(t / scale) - (t / scale) ** shape
    >>> t = 3.0 * np.random.default_rng(0).weibull(1.5, 1000)
    >>> found = ff.optimize.natural_gradient(loglik, [0.0, 0.0], (t,))
    >>> found.converged, np.exp(found.x).round(3), found.standard_errors.round(4)
    (True, array([1.535, 3.063]), array([0.0246, 0.0217]))
    """
    model = as_model(loglik, data, score=score, information=information, quantile=quantile, sample=sample,
                     fvp=fvp)  # fmt: skip
    one_of("step", step, STEPS)
    check_limits(max_iter, tol)
    theta = read_start(model, start)
    view = make_view(model, theta, fisher, structure, blocks, rank, shape)
    if batch_size is not None:
        if step not in ("full", "fixed") or kl is not None or damping is not None:
            raise InputError(
                f"step={step!r} is for all rows at once; with batch_size leave it out, or give learning_rate"
            )
        with recording(callback, progress, path, theta.size, model.n) as record:
            return online_epochs(
                view, theta, batch_size, forgetting, learning_rate, max_iter, tol, random_state, record
            )
    if forgetting is not None:
        raise InputError("forgetting is for mini-batches; give batch_size, or leave it out")
    rule = rule_of(step, learning_rate, kl, damping, model.n)
    with recording(callback, progress, path, theta.size, model.n) as record:
        own = step in ("full", "backtracking") and structure in ("dense", "matrix_free") and fisher != "empirical"
        if own:
            return _by_the_solver(view, theta, max_iter, tol, record)
        return ascend("natural_gradient", view, theta, view.metric, rule, max_iter, tol, record)


def _by_the_solver(view: View, theta: np.ndarray, max_iter: int, tol: float, record: Record) -> OptimizeResult:
    """The solver of the library on a view of the user's model, with a record of its steps."""
    problem = ViewedProblem(view)
    before: tuple[np.ndarray, Any] | None = None

    def hear(iteration: int, value: float, decrement: float) -> None:
        nonlocal before
        assert problem.last is not None
        there, evaluation = problem.last
        record.add(there, value, decrement, _kl(before, there), float(np.linalg.norm(evaluation.score)))
        before = there, evaluation.information

    try:
        found = solve(problem, theta, max_iter=max_iter, tol=tol, callback=hear)
    except Stop:
        assert before is not None
        decrement, covariance = view.certify(before[0])
        return finish("natural_gradient", before[0], view.model.total(before[0]), "callback", decrement, covariance,
                      record)  # fmt: skip
    if found.converged and found.decrement > tol and _slowly(found.history) and len(record.rows) > 1:
        record.drop()  # linear convergence looks like rounding to the solver: go on with a rule that knows it
        left = max_iter - len(record.rows)
        return ascend("natural_gradient", view, found.point, view.metric, backtracking, left, tol, record)
    last, at = found.theta, view.model.total(found.theta)
    if not np.isfinite(at) or at < found.evaluation.loglik - 1e-6 * (1.0 + abs(at)):
        last, at = found.point, found.evaluation.loglik
    if not record.rows:
        record.add(last, at, found.decrement, np.nan, float(np.linalg.norm(found.evaluation.score)))
    elif record.keep:
        record.path[-1] = last.copy()
    reason, decrement = found.reason, found.decrement
    if reason == "converged":
        if decrement <= FLOOR and endless(found.step, found.theta):
            reason, decrement = "diverging", np.inf
        elif view.fisher == "observed" and view.structure != "matrix_free" and np.isinf(view.certify(last)[0]):
            reason, decrement = "singular", np.inf  # steps turn negative curvatures, and may end where there are some
    factor, covariance = (found.factor if reason == "converged" else None), None
    if factor is not None and hasattr(factor, "inverse"):
        covariance = factor.inverse()
    elif factor is not None and hasattr(found.evaluation.information, "dense") and theta.size <= 1000:
        covariance = view.certify(last)[1]
    return finish("natural_gradient", last, at, reason, decrement, covariance, record)


def _slowly(decrements: tuple[float, ...]) -> bool:
    """True where the last decrement did not fall by a factor of four: that may be rounding, or an information that is
    no curvature."""
    return len(decrements) > 1 and decrements[-1] >= 0.25 * decrements[-2]


def _kl(before: tuple[np.ndarray, Any] | None, there: np.ndarray) -> float:
    """1/2 d'Fd of the step from a point with its information."""
    if before is None or before[1] is None:
        return float("nan")
    d = there - before[0]
    image = before[1] @ d if isinstance(before[1], np.ndarray) else before[1].product(d)
    return 0.5 * float(d @ image)


__all__ = ["natural_gradient"]
