"""Maxima on the edge of the parameter space: coordinates that have run away are held, and the others finished.

A probability of 0 or 1 in a class, or the mean of a component of zeros, is a maximum in a coordinate without one. The
coordinate is held where its parameter is the edge to rounding; the others then have a maximum, and standard errors, as
always. The parameter itself has none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import BoundaryWarning
from .ascent import ascend
from .entries import Edge
from .fitting import MixtureFit, inverse_of
from .held import holding
from .mixture import Mixture


def hold_edges(mixture: Mixture, fit: MixtureFit, max_iter: int = 500, tol: float = 1e-20) -> MixtureFit:
    """The fit with what has run to an edge held there: exact values, no standard error, and a warning that names it."""
    mixed = mixture.mixing.size
    theta = fit.theta.copy()
    components: Any = mixture.components
    held: dict[int, Edge] = {}
    for _ in range(3):
        found: dict[int, Edge] = {mixed + edge.place: edge for edge in components.edges(theta[mixed:])}
        if not found.keys() - held.keys():
            break
        held |= found
        for place, edge in held.items():
            theta[place] = edge.held
        problem, start = holding(mixture, theta, sorted({*held, *fit.held}))
        ascent = ascend(problem, start, max_iter=max_iter, tol=tol, mu=0.0)
        theta, outside = problem.whole(ascent.theta), problem.free[list(ascent.held)]
    if not held:
        return fit
    evaluation = mixture.evaluate(theta)
    everywhere = sorted({*held, *fit.held, *outside.tolist()})
    free = holding(mixture, theta, everywhere)[0].free
    parameters = mixture.report(theta)
    inverse = inverse_of(evaluation.observed[np.ix_(free, free)])
    slopes = parameters.jacobian[:, free]
    # what depends on held coordinates alone is on the edge
    on_edge = np.any(parameters.jacobian != 0.0, axis=1) & np.all(
        np.abs(slopes) <= 1e-8 * (np.abs(parameters.values) + 1e-8)[:, None], axis=1
    )
    covariance = None
    if inverse is not None:
        covariance = slopes @ inverse @ slopes.T
        covariance[on_edge], covariance[:, on_edge] = np.nan, np.nan
    values = parameters.values.copy()
    unit = np.array([support == "unit" for support in parameters.supports])
    values[on_edge & (values < 1e-8)] = 0.0
    values[on_edge & unit & (values > 1.0 - 1e-8)] = 1.0
    names = [edge.text for edge in held.values() if edge.text]
    listed = ", ".join(names[:6]) + (f", ... ({len(names)} in all)" if len(names) > 6 else "")
    text = (
        f"the maximum lies on the edge of the parameter space: {listed}; there is no standard error for it, and those "
        "of the other parameters hold with it fixed"
    )
    result = replace(
        fit.result, estimates=values, covariance=covariance, llf=evaluation.loglik,
        converged=ascent.converged, decrement=ascent.decrement, notes=(*fit.result.notes, text),
        boundary=tuple(name for name, edge in zip(parameters.names, on_edge, strict=True) if edge),
    )  # fmt: skip
    others = tuple(pair for pair in fit.warnings if pair[1] is not BoundaryWarning)
    return replace(
        fit, theta=theta, evaluation=evaluation, result=result, held=tuple(everywhere),
        warnings=(*others, (text, BoundaryWarning)),
    )  # fmt: skip


__all__ = ["hold_edges"]
