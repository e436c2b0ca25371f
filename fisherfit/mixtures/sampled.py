"""Where the ascent of a mixture of regressions begins with many rows: at the best maxima of a small sample of them.

A pass over the sample costs next to nothing, so that many starts do; the maxima of all rows are close to those of the
sample. Smaller samples than other mixtures need serve here, since a component has few parameters.
"""

from __future__ import annotations

import numpy as np

from .climbing import climb
from .large import LARGE
from .mixture import Mixture
from .starts import default_starts

MANY = 2_000  # units from which starts are made on a sample
SAMPLE = 400  # units of it, at the least
PER_PARAMETER = 40  # units of it for every parameter
ROUNDS = ((6, 10), (10, 4))  # steps of EM that its starts make together, and how many of them remain
FINALISTS = 2  # maxima of the sample that are followed on all rows
WITHIN = 5.0  # nats by which a maximum of the sample may be lower than the highest


def sampled_starts(
    mixture: Mixture, n_init: int | None, rng: np.random.Generator, max_iter: int
) -> list[np.ndarray]:  # fmt: skip
    """Responsibilities (K, units) at the best maxima of a sample; none where there are few units, or very many.

    `n_init` None stands for as many random starts of a kind as there are components.
    """
    k = mixture.mixing.count
    alive = np.flatnonzero(mixture.weight > 0.0)
    size = max(SAMPLE, PER_PARAMETER * mixture.size)
    if k == 1 or alive.size >= LARGE or alive.size < max(MANY, 3 * size):
        return []
    sample = mixture.take(np.sort(rng.choice(alive, size, replace=False)))
    starts = default_starts(sample, k if n_init is None else n_init, rng)
    runs = climb(sample, starts, max_iter=max_iter, tol=1e-6, rounds=ROUNDS, moves=0 if k == 2 else 2).runs
    good = [run for run in runs if run.admissible]
    best = [run for run in good if run.ascent.evaluation.loglik >= good[0].ascent.evaluation.loglik - WITHIN]
    return [np.ascontiguousarray(mixture.posterior(run.ascent.theta).T) for run in best[:FINALISTS]]


__all__ = ["sampled_starts"]
