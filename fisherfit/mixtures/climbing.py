"""From starts to the best maximum found: all starts together by EM, those that remain to the end.

The number of starts is halved as they climb, and what they are asked for grows (short runs of EM, Biernacki, Celeux &
Govaert, 2003, with successive halving). Those that remain are followed one by one to a local maximum each, or until
they are seen to lead to one that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .ascent import Ascent, ascend
from .mixture import Mixture
from .moves import split_and_merge

ROUNDS = ((4, 1.5), (8, 1.5), (12, 1.4))  # steps of EM, and by what the number of starts is divided after them
FEWEST = 8  # starts that remain
MOVED = ((6, 5.0), (15, 2.0))  # the same for moves out of a local maximum
SAME = 1e-6  # nats between two log-likelihoods of one maximum
NEAR = 0.3  # standard errors from a known maximum within which a point leads to it
HOPELESS = 6  # evaluations in a row at which a component has degenerated, after which an ascent is given up
COLLAPSE = 0.1  # narrowness of a component that collapses
PLENTY = 10  # rows for every parameter of a component that show its small dispersion to be no chance
EMPTY = 0.5  # rows that a component has at the least where its likelihood has a bound
MOVES = 3  # rounds of moves out of a local maximum


@dataclass(frozen=True, eq=False)
class Run:
    """One start that was followed to its end; `hits` counts the starts that led to the same maximum."""

    ascent: Ascent
    trouble: tuple[tuple[int, str], ...]
    hits: int = 1

    @property
    def admissible(self) -> bool:
        """True for a local maximum without degenerate components."""
        return self.ascent.converged and not self.trouble


@dataclass(frozen=True, eq=False)
class Climb:
    """The best run, and one for every maximum or other end that was found, the highest first."""

    best: Run
    runs: tuple[Run, ...]


@dataclass(eq=False)
class Atlas:
    """The maxima that are known."""

    mixture: Mixture
    runs: list[Run] = field(default_factory=list)
    met: int = -1
    bad: int = 0

    def follow(self, theta: np.ndarray, **options: Any) -> None:
        """Climb from a point, and keep where that leads."""
        self.bad = 0
        self.add(ascend(self.mixture, theta, watch=self.watch, **options))

    def watch(self, theta: np.ndarray, loglik: float) -> str | None:
        """Why an ascent need not go on."""
        self.bad = self.bad + 1 if (narrowness(self.mixture, theta) < COLLAPSE).any() else 0
        if self.bad >= HOPELESS:
            return "degenerate"
        return "known" if self.leads_to_one(theta, loglik) else None

    def leads_to_one(self, theta: np.ndarray, loglik: float) -> bool:
        """True within `NEAR` standard errors of a maximum, where the log-likelihood is as its curvature there says."""
        theta = in_order(self.mixture, theta)
        for i, run in enumerate(self.runs):
            if run.ascent.reason != "converged" or run.ascent.held:
                continue
            away, best = theta - run.ascent.theta, run.ascent.evaluation
            squared = float(away @ best.observed @ away)
            if squared <= NEAR**2 and abs(2.0 * (best.loglik - loglik) - squared) <= 0.1 * squared + 1e-9:
                self.met = i
                return True
        return False

    def add(self, ascent: Ascent) -> None:
        """Keep where an ascent ended, or count it where that is known."""
        if ascent.reason == "known":
            run = self.runs[self.met]
            self.runs[self.met] = Run(run.ascent, run.trouble, run.hits + 1)
            return
        ascent = _ordered(self.mixture, ascent)
        for i, run in enumerate(self.runs):
            gap = abs(run.ascent.evaluation.loglik - ascent.evaluation.loglik)
            alike = run.ascent.converged and ascent.converged and gap <= SAME
            if alike and np.allclose(run.ascent.theta, ascent.theta, rtol=1e-3, atol=1e-3):
                self.runs[i] = Run(run.ascent, run.trouble, run.hits + 1)
                return
        self.runs.append(Run(ascent, troubles(self.mixture, ascent)))


def climb(
    mixture: Mixture,
    starts: Sequence[np.ndarray],
    *,
    max_iter: int = 500,
    tol: float = 1e-20,
    rounds: Sequence[tuple[int, float]] = ROUNDS,
    moves: int = MOVES,
    fewest: int = FEWEST,
) -> Climb:
    """Follow starts (points theta) up; the best admissible maximum wins, among equals the one found first.

    Parameters
    ----------
    mixture : Mixture
        The model on its data.
    starts : sequence of arrays of shape (size,)
        Where to begin.
    max_iter, tol
        As for `ascend`.
    rounds : sequence of pairs
        Steps of EM that the starts make together, and by what their number is divided.
    moves : int
        Rounds of moves out of the best maximum found, at the most.
    fewest : int
        Starts that remain after the rounds, at the least.
    """
    theta = np.stack(starts)
    theta = theta[np.isfinite(theta).all(axis=1)] if np.isfinite(theta).all(axis=1).any() else theta
    for steps, division in rounds if len(theta) > 1 else ():
        theta = halve(mixture, theta, steps, max(fewest, int(len(theta) / division)))
    atlas = Atlas(mixture)
    for point in theta:
        atlas.follow(point, max_iter=max_iter, tol=tol)
    best = chosen(atlas.runs).best
    for _ in range(moves if mixture.mixing.count > 2 else 0):
        candidates = split_and_merge(mixture, best.ascent.theta)
        if not candidates:
            break
        theta = np.stack(candidates)
        for steps, division in MOVED:
            theta = halve(mixture, theta, steps, max(4, int(len(theta) / division)))
        for point in theta:
            atlas.follow(point, max_iter=max_iter, tol=tol)
        before, best = best, chosen(atlas.runs).best
        if best.ascent is before.ascent:
            break
    return chosen(atlas.runs)


def chosen(runs: Sequence[Run]) -> Climb:
    """The best of some runs, and all of them in order."""

    def rank(run: Run) -> tuple[bool, bool, bool, float]:
        value = run.ascent.evaluation.loglik
        return not run.admissible, bool(run.trouble), not run.ascent.converged, -value if np.isfinite(value) else np.inf

    order = sorted(runs, key=rank)
    return Climb(order[0], tuple(order))


def halve(mixture: Mixture, theta: np.ndarray, steps: int, remaining: int) -> np.ndarray:
    """Some steps of EM from all points (S, size) together, and the best of where they lead, the highest first.

    Points whose components have degenerated come last, since their log-likelihood may be without bound. A point is as
    good as it would be after twice as many steps like its last: some begin low and climb far.
    """
    before = np.full(len(theta), np.nan)
    for _ in range(steps):
        before, following = mixture.em(theta)
        good = np.isfinite(before) & np.all(np.isfinite(following), axis=1)
        theta = np.where(good[:, None], following, theta)
    loglik = mixture.loglik(theta)
    loglik = np.where(np.isfinite(loglik), loglik, -np.inf)
    if len(theta) <= remaining:
        return np.asarray(theta[np.argsort(-loglik, kind="stable")])
    rows, enough = as_rows(mixture, mixture.counts(theta)), least(mixture)
    plenty = PLENTY * np.array([at.size for at in mixture.components.places])
    thin = np.array([narrowness(mixture, t) < 1.0 for t in theta])
    bad = ((rows < enough) | (thin & (rows < plenty))).any(axis=1)
    gain = np.where(np.isfinite(before), loglik - before, 0.0)
    promise = loglik + 2 * steps * gain if remaining > 1 else loglik
    kept = np.lexsort((-promise, bad))[:remaining]
    return np.asarray(theta[kept[np.lexsort((-loglik[kept], np.asarray(bad)[kept]))]])


def troubles(mixture: Mixture, ascent: Ascent) -> tuple[tuple[int, str], ...]:
    """Components that have degenerated or are empty where an ascent ended, each with a sentence.

    A component of small dispersion is no chance finding where many units have it, and the likelihood has a maximum.
    """
    phi = mixture.split(ascent.theta)[1]
    found = list(mixture.components.trouble(phi))
    named = {k for k, _ in found}
    size = mixture.counts(ascent.theta[None])[0]
    rows, enough = as_rows(mixture, size), least(mixture)
    thin = narrowness(mixture, ascent.theta) < 1.0
    for k in range(mixture.mixing.count):
        few = not rows[k] >= enough[k]
        if k not in named and (few or (thin[k] and rows[k] < PLENTY * mixture.components.places[k].size)):
            how = "narrow and " if thin[k] else ""
            found.append((k, f"component {k} is {how}of {size[k]:.3g} in a total weight of {mixture.total:.6g}"))
    return tuple(sorted(found))


def narrowness(mixture: Mixture, theta: np.ndarray) -> np.ndarray:
    """How narrow the components are: below 1, a few units may have made one by chance."""
    measure = getattr(mixture.components, "narrowness", None)
    return np.full(mixture.mixing.count, np.inf) if measure is None else measure(mixture.split(theta)[1])


def as_rows(mixture: Mixture, weight: np.ndarray) -> np.ndarray:
    """How many rows, in units of average size and weight, have these weights."""
    size = mixture.components.n / max(mixture.units, 1)
    return np.asarray(weight * max(mixture.alive, 1) * size / mixture.total)


def least(mixture: Mixture) -> np.ndarray:
    """The rows that a component must explain: more than what determine it, or a dispersion of it, by themselves.

    Where nothing can collapse the likelihood has a bound, and its highest maximum is the estimate however few units
    a component has: half a row says that it is not empty.
    """
    dimensions = mixture.dimensions
    if dimensions == 0:
        return np.full(mixture.mixing.count, EMPTY)
    places = mixture.components.places
    everywhere = np.bincount(np.concatenate(places), minlength=mixture.components.size) == max(len(places), 2)
    return np.array([min(int((~everywhere[at]).sum()), dimensions + 1) + 0.5 for at in places])


def in_order(mixture: Mixture, theta: np.ndarray) -> np.ndarray:
    """theta with its components in canonical order."""
    return mixture.permuted(theta, mixture.components.order(mixture.split(theta)[1]))


def _ordered(mixture: Mixture, ascent: Ascent) -> Ascent:
    """An ascent's end with components in canonical order, evaluated there."""
    theta = in_order(mixture, ascent.theta)
    if np.array_equal(theta, ascent.theta):
        return ascent
    return relocated(mixture, ascent, theta)


def relocated(mixture: Mixture, ascent: Ascent, theta: np.ndarray) -> Ascent:
    """The same ascent at another writing of its end: held coordinates are found by where they went."""
    from dataclasses import replace

    held: tuple[int, ...] = ()
    if ascent.held:
        marked = np.zeros(theta.size)
        marked[list(ascent.held)] = 1.0
        order = mixture.components.order(mixture.split(ascent.theta)[1])
        held = tuple(np.flatnonzero(mixture.permuted(marked, order) != 0.0).tolist())
    return replace(ascent, theta=theta, evaluation=mixture.evaluate(theta), held=held)


__all__ = ["SAME", "Atlas", "Climb", "Run", "chosen", "climb", "halve", "in_order", "relocated", "troubles"]
