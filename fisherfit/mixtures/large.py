"""Maxima of a mixture for many units: looked for on samples, and followed on all units.

Starts are made and climbed on few units, the best of them on more, whose information serves for the first steps on
all. Where all units are few enough, their maxima are followed as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..linalg import cholesky
from .approach import approach, scaled
from .ascent import Ascent, ascend
from .climbing import Atlas, Climb, Run, chosen, climb, halve, in_order, relocated, troubles
from .mixture import Mixture
from .moves import split_and_merge
from .samples import some_units, within
from .starts import default_starts

LARGE = 2_000  # units from which starts are made, and followed, on a sample of them
FIRST = 600  # units of it, at the least
PER_COMPONENT = 250  # or so many for each
PER_COEFFICIENT, FIRST_AT_MOST = 60, 5_000  # and of regressions for each of their parameters
PER_PARAMETER = 30  # units of the sample for the information
METRIC = 20_000  # units of the latter, at the least
ROUNDS = ((4, 2.0), (8, 2.0), (12, 1.5))  # as in `climbing`: a large sample has fewer maxima
WIDE = 120  # parameters from which maxima are sought by EM alone
FINALISTS, LONG = 3, 40  # then so many points make so many more steps
PER_MOVE, MOVED = 500, 8  # units for a component that moves out of a maximum of the sample are tried on, and steps
STILL, ROUNDS_OF_MOVES = 1.0, 4  # nats that a step of EM gains where it is slow, and rounds of moves then
MOVES, FOLLOWED_MOVES = 2, 2  # rounds of moves on all of some units, and how many of a round are followed
SHORTER = 12  # or so many, before steps with the information of the sample where that costs little
SHORT, FEW_MERGED = ((5, 2.0), (5, 2.0)), 120  # for two components: rounds, and units merged hierarchically
PASSES = 60  # steps of EM with a sample's information at the most
DISTANT, QUICK = 0.1, 8  # where the sample's information is taken anew, if the way there was longer
CHEAP = 6.0  # steps of EM that the information may cost where Newton's steps are taken from the sample's maximum on
DEAR = 5e12  # multiplications for the information of all units, above which the sample's stands for it


def climb_large(
    mixture: Mixture, n_init: int, rng: np.random.Generator, *, max_iter: int, tol: float,
    starts: Sequence[np.ndarray] = (),
) -> Climb:  # fmt: skip
    """Starts and maxima on a sample of the units; from the best of these the way up for all.

    `starts` are points theta to begin from instead; the sample is then climbed from each of them.
    """
    alive = rng.permutation(np.flatnonzero(mixture.weight > 0.0))
    p = mixture.size
    small = p < WIDE and len(alive) <= 2 * METRIC
    sample = mixture if small else mixture.take(some_units(mixture, alive, max(METRIC, PER_PARAMETER * p)))
    points, hits = (np.stack(starts), 1) if len(starts) else searched(mixture, alive, n_init, rng, max_iter)
    few = sample.take(np.arange(0, sample.units, max(1, sample.units // (PER_MOVE * mixture.mixing.count))))
    if small and len(starts):
        return followed(mixture, points, hits, max_iter=max_iter, tol=tol)
    if small:
        return followed(mixture, points, hits, few=few, max_iter=max_iter, tol=tol, mu=1e-3)
    quick = dearness(mixture) <= CHEAP  # Newton's steps with the information of all units
    begun = theta = points[0]
    history: list[tuple[float, float]] = []
    ascent = on_sample(sample, few, points, max_iter, moves=not len(starts) and mixture.mixing.count > 2)
    theta = end_of(mixture, ascent)
    begun = points[0] if len(starts) == 1 else theta
    if len(starts) and not np.diff(mixture.loglik(np.stack([begun, theta])))[0] > 0.0:
        theta = begun
    if not quick:
        same = np.array_equal(theta, ascent.theta)
        metric = scaled(ascent.evaluation if same else sample.evaluate(theta), sample, mixture)
        theta, history = approach(mixture, metric, theta, tol=DISTANT, max_iter=min(max_iter, PASSES))
        if len(history) > QUICK:
            metric = scaled(sample.evaluate(theta), sample, mixture)
        theta, more = approach(mixture, metric, theta, tol=max(tol, 1e-18), max_iter=min(max_iter, PASSES))
        history = [*history, *more[1:]]
    theta = in_order(mixture, theta)
    if mixture.units * float(p) ** 2 > DEAR and dearness(mixture) == np.inf:
        here = replace(scaled(sample.evaluate(theta), sample, mixture), loglik=history[-1][0])
        factor, decrement = cholesky(here.observed), history[-1][1]
        reason = "converged" if factor is not None and decrement <= 1e-9 else "max_iter"
        ascent = Ascent(theta, here, factor, decrement, len(history), reason, tuple(history))
    else:
        mu = 0.0 if history else 1.0 if len(starts) and theta is begun else 1e-6
        ascent = ascend(mixture, theta, max_iter=max_iter, tol=max(tol, 1e-14), mu=mu, first=len(history))
        ascent = replace(ascent, history=(*history, *ascent.history))
        if ascent.reason in ("stalled", "infeasible"):
            ascent = afresh(mixture, ascent, max_iter=max_iter, tol=max(tol, 1e-14))
    ordered = in_order(mixture, ascent.theta)
    if not np.array_equal(ordered, ascent.theta):
        ascent = relocated(mixture, ascent, ordered)
    return chosen([Run(ascent, troubles(mixture, ascent), hits)])


def followed(mixture: Mixture, points: np.ndarray, hits: int, few: Mixture | None = None, **options: Any) -> Climb:
    """From the best points of a sample to the maxima of all units; `hits` starts led to the first one.

    Moves out of the best maximum are tried on `few` of the units.
    """
    atlas = Atlas(mixture)
    for point in points:
        atlas.follow(point, **options)
    best = chosen(atlas.runs).best.ascent
    if best.reason in ("stalled", "infeasible"):
        atlas.add(afresh(mixture, best, max_iter=options["max_iter"], tol=options["tol"]))
    for _ in range(MOVES):
        if few is None or mixture.mixing.count == 2:
            break
        before = chosen(atlas.runs).best.ascent
        candidates = split_and_merge(few, before.theta)
        for point in halve(few, np.stack(candidates), MOVED, FOLLOWED_MOVES) if candidates else ():
            if elsewhere(mixture, few, before, point):
                atlas.follow(point, **options)
        if chosen(atlas.runs).best.ascent is before:
            break
    found, first = chosen(atlas.runs), atlas.runs[0]
    runs = [replace(run, hits=run.hits + hits - 1) if run is first else run for run in found.runs]
    return Climb(runs[0], tuple(runs))


def elsewhere(mixture: Mixture, few: Mixture, best: Ascent, theta: np.ndarray) -> bool:
    """False for a point as near to a maximum as the maximum of `few` of the units would be."""
    away, p = in_order(mixture, theta) - best.theta, mixture.size
    squared = few.total / mixture.total * float(away @ best.evaluation.observed @ away)
    return best.reason != "converged" or not squared <= p + 4.0 * np.sqrt(2.0 * p)


def afresh(mixture: Mixture, ascent: Ascent, *, max_iter: int, tol: float) -> Ascent:
    """From the classes at a point that nothing leads up from, the components estimated anew on all units."""
    z = mixture.posterior(ascent.theta).T
    z = np.where(np.isfinite(z).all(axis=0), z, 1.0 / len(z))
    again = ascend(mixture, mixture.start(z), max_iter=max_iter, tol=tol, first=ascent.n_iter)
    return chosen([Run(run, troubles(mixture, run)) for run in (again, ascent)]).best.ascent


def searched(
    mixture: Mixture, alive: np.ndarray, n_init: int, rng: np.random.Generator, max_iter: int
) -> tuple[np.ndarray, int]:
    """Points (S, size) to begin from, found on few of the units, and how many starts led to them.

    The best maxima; or the best of some steps of EM where the information has many entries. Two components
    leave few ways to begin: a few starts that lead to one maximum are enough there.
    """
    k = mixture.mixing.count
    needed = PER_COEFFICIENT * mixture.size if hasattr(mixture.components, "responses") else 0
    size = max(FIRST, PER_COMPONENT * k, min(needed, FIRST_AT_MOST))
    first = mixture.take(some_units(mixture, alive, size))
    if k == 2 and mixture.size < WIDE:
        starts = default_starts(first, 1, rng, most=FEW_MERGED)
        found = climb(first, starts, max_iter=max_iter, tol=1e-6, rounds=SHORT, fewest=4)
        if found.best.hits > 1 and found.best.admissible and sum(run.admissible for run in found.runs) == 1:
            return end_of(mixture, found.best.ascent)[None], found.best.hits
    starts = default_starts(first, min(n_init, 3), rng)
    if mixture.size < WIDE:
        found = climb(first, starts, max_iter=max_iter, tol=1e-6, rounds=ROUNDS, moves=1)
        good = [run for run in found.runs if run.admissible][:FINALISTS] or [found.best]
        return np.stack([end_of(mixture, run.ascent) for run in good]), found.best.hits
    points = np.stack(starts)
    for steps, division in ROUNDS:
        points = halve(first, points, steps, max(FINALISTS, int(len(points) / division)))
    return points[:FINALISTS], 1


def end_of(mixture: Mixture, ascent: Ascent) -> np.ndarray:
    """Where an ascent on a sample ended, as a point to begin from with all units."""
    return within(mixture, ascent.theta, ascent.held)


def on_sample(sample: Mixture, few: Mixture, points: np.ndarray, max_iter: int, moves: bool) -> Ascent:
    """The best that is reached on a sample from some points: near the maximum of all units, or on the way there.

    With `moves` out of a local maximum, which are tried on a few of the units of the sample.
    """
    wide = sample.size >= WIDE
    if wide and dearness(sample) == np.inf:
        theta = halve(sample, points, LONG, 1)[0]
        return Ascent(theta, sample.evaluate(theta), None, np.inf, LONG, "max_iter")
    if wide:
        points = settled(sample, few, halve(sample, points, SHORTER, FINALISTS), moves)[None]
    runs = [ascend(sample, point, max_iter=max_iter, tol=DISTANT, mu=0.1 if wide else 1e-3) for point in points]
    if moves and dearness(sample) <= CHEAP:  # what many units tell apart, few do not
        best = chosen([Run(run, troubles(sample, run)) for run in runs]).best.ascent
        candidates = split_and_merge(few, best.theta)
        theta = halve(few, np.stack(candidates), MOVED, FINALISTS) if candidates else ()
        runs += [ascend(sample, point, max_iter=max_iter, tol=DISTANT, mu=1e-3) for point in theta]
    return chosen([Run(run, troubles(sample, run)) for run in runs]).best.ascent


def settled(sample: Mixture, few: Mixture, points: np.ndarray, moves: bool) -> np.ndarray:
    """The best of some points (best first) after steps of EM; where these still gain, of moves out of it as well.

    Components that overlap leave many maxima, in each of which EM is slow: a pass over all units costs more than
    another look at the sample. Where components are apart, EM has arrived by now, and that look is spared.
    """
    best, (value, *_) = points[0], sample.loglik(points[:1])
    for _ in range(ROUNDS_OF_MOVES if moves else 0):
        following = sample.em(best[None])[1]
        after = float(sample.loglik(following)[0])
        candidates = split_and_merge(few, best) if after - value > STILL else []
        if not candidates:
            break
        moved = halve(few, np.stack(candidates), MOVED, 2 * FINALISTS)
        points = halve(sample, np.concatenate([points, moved]), SHORTER, FINALISTS)
        before, best, value = value, points[0], float(sample.loglik(points[:1])[0])
        if value - before < STILL * SHORTER:
            break
    return np.asarray(best)


def dearness(mixture: Mixture) -> float:
    """What the information of all units costs, in steps of EM."""
    own: float = getattr(mixture.components, "dearness", np.inf)
    return own if mixture.plain else np.inf


__all__ = ["LARGE", "METRIC", "WIDE", "climb_large", "dearness"]
