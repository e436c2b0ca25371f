"""From starts to the best maximum found: all starts together by EM, the best of them to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .ascent import Ascent, ascend
from .mixture import Mixture

SHORT = 15  # steps of EM that all starts make together
FINALISTS = 8  # starts that are followed to the end
SAME = 1e-6  # nats between two log-likelihoods of one maximum


@dataclass(frozen=True, eq=False)
class Run:
    """One start that was followed to its end."""

    ascent: Ascent
    trouble: tuple[tuple[int, str], ...]

    @property
    def admissible(self) -> bool:
        """True for a local maximum without degenerate components."""
        return self.ascent.converged and not self.trouble


@dataclass(frozen=True, eq=False)
class Climb:
    """The best run, with its components in canonical order, and all that were followed."""

    best: Run
    runs: tuple[Run, ...]


def climb(
    mixture: Mixture,
    starts: Sequence[np.ndarray],
    *,
    max_iter: int = 500,
    tol: float = 1e-20,
    short: int = SHORT,
    finalists: int = FINALISTS,
) -> Climb:
    """Follow starts (points theta) up; the best admissible maximum wins.

    All starts make `short` steps of EM together, one pass over the data for each step of all; those with the highest
    log-likelihoods are followed to a local maximum each.
    """
    theta = np.stack(starts)
    loglik = np.full(len(theta), -np.inf)
    for _ in range(short):
        loglik, following = mixture.em(theta)
        good = np.isfinite(loglik) & np.all(np.isfinite(following), axis=1)
        theta = np.where(good[:, None], following, theta)
    loglik = mixture.loglik(theta)
    loglik = np.where(np.isfinite(loglik), loglik, -np.inf)
    order = np.argsort(-loglik, kind="stable")
    runs: list[Run] = []
    for s in order[:finalists]:
        ascent = ascend(mixture, theta[s], max_iter=max_iter, tol=tol)
        _, phi = mixture.split(ascent.theta)
        runs.append(Run(ascent, tuple(mixture.components.trouble(phi))))
    best = max(runs, key=lambda run: (run.admissible, run.ascent.converged, run.ascent.evaluation.loglik))
    return Climb(best, tuple(runs))


__all__ = ["Climb", "Run", "climb"]
