"""What the end of a climb says: the result with its covariance, what is at an edge, and what the user is warned of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BoundaryWarning, DegenerateComponentWarning, RankWarning
from ..linalg import cholesky
from .climbing import SAME, Climb, Run
from .edges import at_edge, said_of_edges, to_the_edge
from .mixture import Mixture, MixtureEvaluation
from .result import MixtureResult


def warnings_of(best: Run, result: MixtureResult) -> tuple[tuple[str, Any], ...]:
    """What the user should know about the run that won."""
    from ..errors import ConvergenceWarning

    out: list[tuple[str, Any]] = []
    if best.trouble:
        told = "; ".join(sentence for _, sentence in best.trouble)
        out.append((
            f"every start ended with a degenerate component: {told}; try more starts (n_init), fewer components, "
            "or a structure with fewer parameters",
            DegenerateComponentWarning,
        ))  # fmt: skip
    elif not result.converged:
        why = {"max_iter": "max_iter was reached", "infeasible": "no start has a finite log-likelihood"}
        reason = why.get(best.ascent.reason, "no step goes up although the decrement is not yet zero")
        out.append((
            f"the mixture has not converged: {reason} (decrement {best.ascent.decrement:.1e} after "
            f"{best.ascent.n_iter} iterations); raise max_iter or n_init, or use fewer components",
            ConvergenceWarning,
        ))  # fmt: skip
    if result.boundary:
        out.append((result.notes[0], BoundaryWarning))
    lost = ", ".join(result.unidentified) or "some parameters"
    if best.ascent.reason == "flat" and not best.trouble:
        out.append((
            f"the data do not identify {lost}: the log-likelihood is flat along some direction; use fewer components",
            RankWarning,
        ))  # fmt: skip
    elif result.unidentified and not best.trouble:
        out.append((
            f"components are spheres, whose axes lie anywhere, so that {lost} have no standard errors; use "
            "covariance_type='VII', or 'EII'",
            RankWarning,
        ))  # fmt: skip
    return tuple(out)


def make_result(
    mixture: Mixture, theta: np.ndarray, evaluation: MixtureEvaluation, found: Climb, model: str
) -> MixtureResult:
    """The result at theta, with the covariance by the observed information."""
    best = found.best.ascent
    parameters = mixture.report(theta)
    inverse, lost = covariance_of(evaluation.observed, best.held)
    covariance = None
    if inverse is not None:
        covariance = parameters.jacobian @ inverse @ parameters.jacobian.T
    turns = mixture.mixing.size + np.asarray(getattr(mixture.components, "turns", ()), int)
    touched = at_edge(mixture, theta, parameters, [j for j in best.held if j not in turns])
    blurred = (np.abs(parameters.jacobian[:, lost]) > 1e-6 * np.abs(parameters.jacobian).max()).any(axis=1)
    for j in set(best.held).intersection(turns.tolist()):  # the axes of a sphere, which lie anywhere
        blurred |= of_axes(mixture, j, parameters.names)
    if covariance is not None:
        covariance[touched | blurred, :] = np.nan
        covariance[:, touched | blurred] = np.nan
    entropy, hardness = mixture.entropies(theta)
    names, values = np.array(parameters.names), to_the_edge(parameters, touched)
    told = said_of_edges(parameters.names, values, parameters.supports, touched)
    prior = getattr(mixture, "log_prior", None)
    log_prior = None if prior is None else float(prior(theta[None])[0])
    return MixtureResult(
        parameters.names, values, covariance, parameters.supports,
        evaluation.loglik - (log_prior or 0.0), theta.size,
        observations(mixture), mixture.mixing.count, entropy, hardness, model, "observed",
        best.converged, best.n_iter, best.decrement, best.history, maxima_of(found),
        notes=(told,) if told else (), boundary=tuple(names[touched].tolist()),
        unidentified=tuple(names[blurred & ~touched].tolist()),
        log_prior=log_prior,
    )  # fmt: skip


def of_axes(mixture: Mixture, j: int, names: Sequence[str]) -> np.ndarray:
    """The covariances of the components whose axes depend on a coordinate: (parameters,)."""
    which = {k for k, at in enumerate(mixture.places) if j in at}
    return np.array([name.startswith(tuple(f"cov[{k}," for k in which)) for name in names])


def observations(mixture: Mixture) -> float:
    """The n of BIC: the weight of all rows."""
    return mixture.total if mixture.edges is None else float(mixture.weight @ np.diff(mixture.edges))


def maxima_of(found: Climb) -> tuple[tuple[float, int], ...]:
    """The admissible maxima, the highest first, and how many starts led to each."""
    maxima: list[tuple[float, int]] = []
    for run in found.runs:
        value = float(run.ascent.evaluation.loglik)
        if not run.admissible:
            continue
        if maxima and abs(maxima[-1][0] - value) <= SAME:
            maxima[-1] = (maxima[-1][0], maxima[-1][1] + run.hits)
        else:
            maxima.append((value, run.hits))
    return tuple(maxima)


def covariance_of(information: np.ndarray, held: Sequence[int] = ()) -> tuple[np.ndarray | None, np.ndarray]:
    """The inverse about the free coordinates, zero elsewhere, and the coordinates that the data do not identify.

    None where the information has a negative direction or is not finite.
    """
    size = len(information)
    free = np.setdiff1d(np.arange(size), np.array(held, int))
    inner, out = information[np.ix_(free, free)], np.zeros((size, size))
    if not np.isfinite(inner).all():
        return None, np.empty(0, int)
    factor = cholesky(inner)
    if factor is not None and factor.reciprocal_condition > 1e-14:
        out[np.ix_(free, free)] = factor.inverse()
        return out, np.empty(0, int)
    scale = np.sqrt(np.maximum(np.diag(inner), 1e-300))
    inner = inner / scale[:, None] / scale
    if not np.isfinite(inner).all():  # nothing but entries beside the diagonal
        return None, np.empty(0, int)
    value, vector = np.linalg.eigh(inner)
    if value[0] < -1e-8:
        return None, np.empty(0, int)
    lost = value < 1e-12 * value[-1]
    kept = vector[:, ~lost] / scale[:, None]
    out[np.ix_(free, free)] = (kept / value[~lost]) @ kept.T
    return out, free[(np.abs(vector[:, lost]) > 1e-4).any(axis=1)]


def inverse_of(information: np.ndarray) -> np.ndarray | None:
    """The inverse of a positive definite information matrix; None where it is not."""
    factor = cholesky(information)
    return None if factor is None else factor.inverse()


__all__ = ["covariance_of", "inverse_of", "make_result", "maxima_of", "warnings_of"]
