"""Fit a mixture: what can be checked before, starts, ascent, canonical order, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .ascent import ascend
from .climbing import Climb, Run, chosen, climb, halve, troubles
from .edges import hold_edges
from .large import LARGE, METRIC, WIDE, climb_large
from .mixture import Mixture, MixtureEvaluation
from .outcome import make_result, warnings_of
from .result import MixtureResult
from .starts import default_starts

FOLLOWED_STEPS, FOLLOWED = 6, 3  # steps of EM that further points make together, and how many of them remain


@dataclass(frozen=True, eq=False)
class MixtureFit:
    """A fitted mixture: theta with components in canonical order, its evaluation there, and the result.

    `warnings` are pairs (message, class) for the estimator to give; `held` are the coordinates that run to infinity.
    """

    theta: np.ndarray
    evaluation: MixtureEvaluation
    climb: Climb
    result: MixtureResult
    warnings: tuple[tuple[str, Any], ...]
    held: tuple[int, ...] = ()


def fit_mixture(
    mixture: Mixture,
    *,
    model: str,
    rng: np.random.Generator,
    n_init: int = 10,
    starts: Sequence[np.ndarray] = (),
    max_iter: int = 500,
    tol: float = 1e-20,
    more: Sequence[np.ndarray] = (),
) -> MixtureFit:
    """Maximise the likelihood of a mixture.

    Parameters
    ----------
    mixture : Mixture
        The model on its data.
    model : str
        What the summary calls it.
    rng : Generator
        Where random starts come from.
    n_init : int
        How many random starts of every kind there are; not used where `starts` are given.
    starts : sequence of arrays (K, units), optional
        Responsibilities to begin from instead.
    max_iter, tol
        As for `ascend`.
    more : sequence of arrays (size,), optional
        Points theta to begin from besides: the best of them are followed to the end.

    Raises
    ------
    InputError
        More components than units that have weight, or than distinct rows.
    """
    check_units(mixture)
    if len(starts) and mixture.units > (2 * METRIC if mixture.size < WIDE else LARGE):
        points = [mixture.start(r) for r in starts]
        found = climb_large(mixture, n_init, rng, max_iter=max_iter, tol=tol, starts=points)
    elif len(starts):
        found = climb(mixture, [mixture.start(r) for r in starts], max_iter=max_iter, tol=tol, rounds=(), moves=0)
    elif mixture.units >= LARGE:
        found = climb_large(mixture, n_init, rng, max_iter=max_iter, tol=tol)
    else:
        found = climb(mixture, default_starts(mixture, n_init, rng), max_iter=max_iter, tol=tol)
    if len(more):
        further = halve(mixture, np.stack(more), FOLLOWED_STEPS, FOLLOWED)
        besides = climb(mixture, list(further), max_iter=max_iter, tol=tol, rounds=(), moves=0)
        found = chosen([*found.runs, *besides.runs])
    found = hold_edges(mixture, found, max_iter=max_iter, tol=tol)
    best = found.best.ascent
    result = make_result(mixture, best.theta, best.evaluation, found, model)
    return MixtureFit(best.theta, best.evaluation, found, result, warnings_of(found.best, result), best.held)


def check_units(mixture: Mixture) -> None:
    """Refuse what no mixture can be fitted to."""
    k, alive = mixture.mixing.count, np.flatnonzero(mixture.weight > 0.0)
    if not alive.size:
        raise InputError("every weight is zero: there is nothing to fit; give some rows a positive weight")
    if k == 1:
        return
    what = "rows" if mixture.edges is None else "groups"
    if alive.size < k:
        raise InputError(f"n_components={k} is more than the {alive.size} {what} with positive weight; use fewer")
    few = mixture.take(alive[: 50 * k]) if alive.size > 50 * k else mixture.take(alive)
    if mixture.edges is None and len(np.unique(few.components.features(), axis=0)) < k:
        rows = mixture.take(alive).components.features() if few.units < alive.size else few.components.features()
        distinct = len(np.unique(rows, axis=0))
        if distinct < k:
            raise InputError(f"n_components={k} is more than the {distinct} distinct rows; use fewer components")


def refit_from(mixture: Mixture, fit: MixtureFit, theta: np.ndarray, **options: Any) -> MixtureFit:
    """The fit from one point theta on, without starts; components keep their numbers."""
    ascent = ascend(mixture, theta, **options)
    run = Run(ascent, troubles(mixture, ascent))
    found = Climb(run, (run,))
    result = make_result(mixture, ascent.theta, ascent.evaluation, found, fit.result.model)
    return MixtureFit(ascent.theta, ascent.evaluation, found, result, warnings_of(run, result), ascent.held)


__all__ = ["MixtureFit", "check_units", "fit_mixture", "refit_from"]
