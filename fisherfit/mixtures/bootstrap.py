"""The number of components by the parametric bootstrap (McLachlan, 1987, Applied Statistics 36, 318-324).

The likelihood-ratio statistic of K against more components has no chi-square law: the smaller model is where a
proportion is 0, or two components are the same. Its law is found by fitting both models to data drawn from the
smaller, which there begins at the parameters that they were drawn at. Statistic and draws are found in the same way:
the larger model begins at the smaller with a component split, and at a few starts of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .climbing import Run, climb, halve
from .mixture import Mixture
from .moves import cut_in_two
from .starts import default_starts

STEPS, FOLLOWED = 8, 2  # steps of EM that starts make together, and how many of them are followed


@dataclass(frozen=True, eq=False)
class BootstrapTest:
    """A bootstrap test of one number of components against a larger one.

    Attributes
    ----------
    statistic : float
        2 (log-likelihood of the larger model - that of the smaller).
    p_value : float
        (1 + draws whose statistic is at least as large) / (1 + draws).
    simulated : array of shape (draws,)
        The statistics of the draws.
    n_components : pair of int
        The two numbers.
    """

    statistic: float
    p_value: float
    simulated: np.ndarray
    n_components: tuple[int, int]

    @property
    def pvalue(self) -> float:
        """The p-value, by scipy's name."""
        return self.p_value

    def __repr__(self) -> str:
        small, large = self.n_components
        return (f"Bootstrap test of {small} against {large} components: LR = {self.statistic:.4f}, "
                f"p = {self.p_value:.3g} ({self.simulated.size} draws)")  # fmt: skip


def bootstrap(
    mixture: Mixture, theta: np.ndarray, draw: Callable[[Mixture, np.random.Generator], Mixture], larger: int,
    n_boot: int, n_init: int, rng: np.random.Generator,
) -> BootstrapTest:  # fmt: skip
    """The test of a fit against `larger` components.

    Parameters
    ----------
    mixture : Mixture
        The model on the rows of its fit.
    theta : array of shape (size,)
        The estimates.
    draw : callable
        Makes a mixture on rows like those of the fit, drawn at the estimates.
    larger : int
        Number of components of the larger model.
    n_boot, n_init : int
        Draws, and random starts of every kind for a fit.
    rng : Generator
        Where draws and starts come from; every draw has a stream of its own.
    """
    first, *streams = rng.spawn(n_boot + 1)
    statistic = gain(mixture, theta, float(mixture.loglik(theta[None])[0]), larger, n_init, first)
    simulated = np.empty(n_boot)
    for i, stream in enumerate(streams):
        own = draw(mixture, stream)
        run = best_of(own, [theta])
        at, value = (theta, float(own.loglik(theta[None])[0])) if run is None else (
            run.ascent.theta, run.ascent.evaluation.loglik
        )  # fmt: skip
        simulated[i] = gain(own, at, value, larger, n_init, stream)
    p = (1.0 + np.count_nonzero(simulated >= statistic)) / (1.0 + n_boot)
    return BootstrapTest(statistic, float(p), simulated, (mixture.mixing.count, larger))


def gain(
    mixture: Mixture, theta: np.ndarray, loglik: float, larger: int, n_init: int, rng: np.random.Generator
) -> float:
    """Twice what the log-likelihood gains by more components, one after the other; 0 where no maximum is found."""
    best = loglik
    for count in range(mixture.mixing.count + 1, larger + 1):
        more = with_components(mixture, count)
        run = best_of(more, [*cut_in_two(mixture, theta, more), *default_starts(more, n_init, rng)])
        if run is None:
            break
        mixture, theta, best = more, run.ascent.theta, max(best, run.ascent.evaluation.loglik)
    return 2.0 * (best - loglik)


def with_components(mixture: Mixture, count: int) -> Mixture:
    """The model with another number of components of the same kind, on the same rows."""
    components: Any = mixture.components
    return replace(mixture, components=components.counting(count), mixing=replace(mixture.mixing, count=count))


def best_of(mixture: Mixture, starts: list[np.ndarray]) -> Run | None:
    """The highest admissible maximum that starts lead to; None where there is none."""
    theta = np.stack(starts)
    theta = theta[np.isfinite(theta).all(axis=1)]
    if not len(theta):
        return None
    points = list(halve(mixture, theta, STEPS, FOLLOWED))
    best = climb(mixture, points, tol=1e-9, rounds=(), moves=0).best
    return best if best.admissible else None


__all__ = ["BootstrapTest", "best_of", "bootstrap", "gain", "with_components"]
