"""Fit a mixture: what can be checked before, starts, ascent, canonical order, and the result with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import BoundaryWarning, DegenerateComponentWarning, InputError, RankWarning
from ..linalg import cholesky
from .approach import approach, scaled
from .ascent import Ascent, ascend
from .climbing import SAME, Atlas, Climb, Run, chosen, climb, halve, in_order, relocated, troubles
from .edges import at_edge, hold_edges, said_of_edges, to_the_edge
from .mixture import Mixture, MixtureEvaluation
from .moves import split_and_merge
from .result import MixtureResult
from .samples import some_units, within
from .starts import default_starts

LARGE = 3_000  # units from which starts are made, and followed, on a sample of them
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
SHORT, FEW_MERGED = ((3, 2.0), (5, 2.0)), 300  # for two components: rounds, and units merged hierarchically
PASSES = 60  # steps of EM with a sample's information at the most
DISTANT, QUICK = 0.1, 8  # where the sample's information is taken anew, if the way there was longer
CHEAP = 6.0  # steps of EM that the information may cost where Newton's steps are taken from the sample's maximum on
FOLLOWED_STEPS, FOLLOWED = 6, 3  # steps of EM that further points make together, and how many of them remain
DEAR = 5e12  # multiplications for the information of all units, above which the sample's stands for it


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


def refit_from(mixture: Mixture, fit: MixtureFit, theta: np.ndarray, **options: Any) -> MixtureFit:
    """The fit from one point theta on, without starts; components keep their numbers."""
    ascent = ascend(mixture, theta, **options)
    run = Run(ascent, troubles(mixture, ascent))
    found = Climb(run, (run,))
    result = make_result(mixture, ascent.theta, ascent.evaluation, found, fit.result.model)
    return MixtureFit(ascent.theta, ascent.evaluation, found, result, warnings_of(run, result), ascent.held)


__all__ = [
    "MixtureFit", "check_units", "covariance_of", "default_starts", "fit_mixture", "inverse_of",
    "make_result", "maxima_of", "refit_from", "warnings_of",
]  # fmt: skip
