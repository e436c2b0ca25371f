"""Maxima on the edge of the parameter space: coordinates that have run away are held, and the others finished.

A probability of 0 or 1 in a class, or the mean of a component of zeros, is a maximum in a coordinate without one. The
ascent holds coordinates that run away under Newton's steps (`ascend`); components know of others, which have come so
far that nothing is left to gain (`edges`). Both are held, where their parameter is the edge to rounding; the others
then have a maximum, and standard errors, as always. The parameter itself has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .ascent import ascend
from .climbing import Climb
from .held import holding
from .mixture import Mixture
from .parameters import Parameters

ROUNDS = 3  # of edges that show themselves when others are held
NEAR = 1e-8  # of an edge: a parameter that nothing but held coordinates moves is taken there
SHOWN = 6


def hold_edges(mixture: Mixture, found: Climb, *, max_iter: int = 500, tol: float = 1e-20) -> Climb:
    """The climb, in whose best run the coordinates that its components know to be at an edge are held there."""
    edges: Any = getattr(mixture.components, "edges", None)
    run, mixed = found.best, mixture.mixing.size
    if edges is None or not np.all(np.isfinite(run.ascent.theta)):
        return found
    ascent, places = run.ascent, dict[int, float]()
    for _ in range(ROUNDS):
        more = {mixed + edge.place: edge.held for edge in edges(ascent.theta[mixed:])}
        if not more.keys() - places.keys():
            break
        places |= more
        theta = ascent.theta.copy()
        theta[list(places)] = list(places.values())
        problem, start = holding(mixture, theta, sorted({*places, *run.ascent.held}))
        rest = ascend(problem, start, max_iter=max_iter, tol=tol, mu=0.0)
        held = sorted({*places, *run.ascent.held, *problem.free[list(rest.held)].tolist()})
        ascent = replace(
            ascent, theta=problem.whole(rest.theta), factor=rest.factor, decrement=rest.decrement, reason=rest.reason,
            held=tuple(held),
        )  # fmt: skip
    if not places:
        return found
    best = replace(run, ascent=replace(ascent, evaluation=mixture.evaluate(ascent.theta)))
    return Climb(best, tuple(best if other is run else other for other in found.runs))


def at_edge(mixture: Mixture, theta: np.ndarray, parameters: Parameters, held: Sequence[int]) -> np.ndarray:
    """True for the parameters that held coordinates decide, which have no standard error."""
    out = np.zeros(len(parameters.names), bool)
    if not held:
        return out
    slopes, values = np.abs(parameters.jacobian), parameters.values
    others = np.delete(slopes, list(held), axis=1)
    alone = np.all(others <= NEAR * (np.abs(values) + NEAR)[:, None], axis=1)
    out |= np.any(slopes[:, list(held)] > 0.0, axis=1) & alone
    # far out, the derivative of a probability or a dispersion may be zero to the last bit: its coordinate tells
    for j in held:
        back = theta.copy()
        back[j] -= np.sign(theta[j]) * min(30.0, max(abs(theta[j]) - 10.0, 0.5 * abs(theta[j])))
        out |= ~np.isclose(mixture.report(back).values, values, rtol=1e-3, atol=1e-12)
    return out


def to_the_edge(parameters: Parameters, edge: np.ndarray) -> np.ndarray:
    """The values of the parameters; those at an edge of their range have it exactly."""
    values, supports = parameters.values.copy(), np.array(parameters.supports)
    values[edge & (supports != "real") & (values < NEAR)] = 0.0
    values[edge & (supports == "unit") & (values > 1.0 - NEAR)] = 1.0
    return values


def said_of_edges(names: Sequence[str], values: np.ndarray, supports: Sequence[str], edge: np.ndarray) -> str:
    """The sentence for a warning and a note; empty where nothing is at an edge."""
    told = [
        name if support == "real" else f"{name} = {value:g}"
        for name, value, support, there in zip(names, values, supports, edge, strict=True)
        if there
    ]
    if not told:
        return ""
    listed = ", ".join(told[:SHOWN]) + (f", ... ({len(told)} in all)" if len(told) > SHOWN else "")
    return (
        f"the maximum lies on the edge of the parameter space: {listed}; there is no standard error for "
        f"{'it' if len(told) == 1 else 'these'}, and those of the other parameters hold with "
        f"{'it' if len(told) == 1 else 'them'} fixed"
    )


__all__ = ["at_edge", "hold_edges", "said_of_edges", "to_the_edge"]
