"""Components of a mixture of regressions whose coefficients are infinite: separation, found where it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..cutting import in_parts
from ..likelihood import expand
from ..mixtures.ascent import ascend
from ..mixtures.fitting import MixtureFit
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..mixtures.outcome import make_result
from ..separation import coefficient_signs, row_signs

FAR = 12.0  # linear predictors beyond which a fitted mean is at the end of its range, or on its way there
SEEN = 1e-6  # posterior below which a row says nothing of a component
LONGER, NOTHING = 1e4, 1e-6  # how much further coefficients go, and nats that are nothing
ROWS = 65_536  # rows whose columns are dense at one time

#: of some rows: the first of them, the columns with a coefficient, the response, the posterior probabilities
Parts = Callable[[], Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]]


def separated(mixture: Mixture, theta: np.ndarray, everything: Mixture | None = None) -> dict[int, dict[str, str]]:
    """For every component with infinite coefficients their names and signs; empty where there is none.

    A component is looked at where the linear predictor of some row of its own has gone far towards the end at which
    the likelihood of the row still rises. Its rows are those whose posterior is not 0, further out on the same way.
    Where `mixture` is on a sample of rows that stay where they are, `everything` is on all: it decides, in passes
    (`fisherfit.cutting`).
    """
    components: Any = mixture.components
    _, phi = mixture.split(theta)
    if not np.all(np.isfinite(phi)):
        return {}
    some, design, out = parts_of(mixture, theta), components.design, dict[int, dict[str, str]]()
    whole, n = (mixture, components.n) if everything is None else (everything, everything.units)
    for k, kernel in enumerate(components.kernels):

        def own(parts: Parts, k: int = k, kernel: Any = kernel) -> Iterator[tuple[int, np.ndarray, Any, np.ndarray]]:
            for start, x, y, z in parts():
                mine = z[:, k] > SEEN
                yield start, x, row_signs(kernel.family.name, kernel.links[0].name, y, mine), mine

        if row_signs(kernel.family.name, kernel.links[0].name, components.y[:1], np.ones(1, bool)) is None:
            continue
        beta = phi[components.places[k][: components.width]]
        here = [(x, signs) for _, x, signs, _ in own(some) if np.any(x @ beta * signs > FAR)]
        if not here:
            continue
        first = [(x[signs != 0], signs[signs != 0]) for x, signs in here]
        x, signs = (np.concatenate(pieces) for pieces in zip(*first, strict=True))
        every = parts_of(whole, further_out(whole, theta, k))
        found, basis = in_parts(lambda own=own, every=every: own(every), x, signs, n)  # type: ignore[misc]
        if found is None:
            continue
        jacobian = design.jacobian()[:, components.columns]
        reach = np.flatnonzero(np.abs(jacobian @ found.direction) > 1e-9 * np.abs(found.direction).max())
        words = coefficient_signs(found, reach, jacobian, basis)
        out[k] = {design.names[j]: word for j, word in zip(reach, words, strict=True) if word != "finite"}
    return {k: names for k, names in out.items() if names}


def further_out(mixture: Mixture, theta: np.ndarray, k: int) -> np.ndarray:
    """theta with the coefficients of a component lengthened, where that does not lower the likelihood."""
    components: Any = mixture.components
    out = theta.copy()
    out[mixture.mixing.size + components.places[k][: components.width]] *= LONGER
    here, there = mixture.loglik(np.stack([theta, out]))
    return out if there >= here - NOTHING else theta


def parts_of(mixture: Mixture, theta: np.ndarray) -> Parts:
    """The rows of a mixture, some at a time; those in memory, or those of a pass."""
    walk = getattr(mixture, "walk", None)
    kept = None if walk is not None else by_row(mixture, theta)

    def parts() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        first = 0
        for part in (mixture,) if walk is None else walk():
            components: Any = part.components
            z = by_row(part, theta) if kept is None else kept
            for a in range(0, components.n, ROWS):
                b = min(a + ROWS, components.n)
                x = expand(components.design, a, b)[:, components.columns]
                yield first + a, x, components.y[a:b], z[a:b]
            first += components.n

    return parts


def by_row(mixture: Mixture, theta: np.ndarray) -> np.ndarray:
    """The posterior probabilities of every row, (n, K)."""
    z = mixture.posterior(theta)
    return z if mixture.edges is None else np.repeat(z, np.diff(mixture.edges), axis=0)


def degenerated(fit: MixtureFit) -> str:
    """How the best of all starts degenerates; empty where it ends at a maximum, or at the limit of steps."""
    best = fit.climb.best
    if best.trouble and not best.ascent.converged:
        return "; ".join(what for _, what in best.trouble)
    if best.ascent.reason == "infeasible" or not np.all(np.isfinite(fit.theta)):
        return "the likelihood is 0 at every start"
    return ""


def pooled(mixture: Mixture, fit: MixtureFit) -> MixtureFit:
    """Every component as the one regression of all rows, in equal shares: a fit that is not unbounded, or less so."""
    components: Any = mixture.components
    theta = np.zeros(mixture.size)
    phi = theta[mixture.mixing.size :]
    for kernel, which in reversed(components.alike):
        one = replace(mixture, components=replace(components, kernels=(kernel,)), mixing=Mixing(1))
        found = ascend(one, one.start(np.ones((1, mixture.units))))
        for k in which:
            phi[components.places[k]] = found.theta[one.components.places[0]]
    evaluation = mixture.evaluate(theta)
    run = replace(fit.climb.best, ascent=replace(fit.climb.best.ascent, theta=theta, evaluation=evaluation))
    climb = replace(fit.climb, best=run)
    result = make_result(mixture, theta, evaluation, climb, fit.result.model)
    return replace(fit, theta=theta, evaluation=evaluation, climb=climb, result=replace(result, converged=False),
                   warnings=())  # fmt: skip


__all__ = ["degenerated", "pooled", "separated"]
