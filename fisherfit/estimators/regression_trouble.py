"""Components of a mixture of regressions whose coefficients are infinite: separation, found where it shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..likelihood import expand, project
from ..mixtures.ascent import ascend
from ..mixtures.fitting import MixtureFit, make_result
from ..mixtures.mixing import Mixing
from ..mixtures.mixture import Mixture
from ..separation import coefficient_signs, null_basis, recession, row_signs

FAR = 12.0  # linear predictors beyond which a fitted mean is at the end of its range, or on its way there
SEEN = 1e-6  # posterior below which a row says nothing of a component
MOST = 20_000  # rows that are looked at


def separated(mixture: Mixture, theta: np.ndarray) -> dict[int, dict[str, str]]:
    """For every component with infinite coefficients their names and signs; empty where there is none.

    A component is looked at where the linear predictor of some row of its own has gone far towards the end at which
    the likelihood of the row still rises. Its rows are those whose posterior is not 0.
    """
    components: Any = mixture.components
    _, phi = mixture.split(theta)
    out: dict[int, dict[str, str]] = {}
    posterior = None
    for k, kernel in enumerate(components.kernels):
        signs = row_signs(kernel.family.name, kernel.links[0].name, components.y, np.ones(components.n, bool))
        if signs is None or not np.all(np.isfinite(phi)):
            continue
        beta = np.zeros(components.design.width)
        beta[components.columns] = phi[components.places[k][: components.width]]
        eta = project(components.design, beta)
        if not np.any(eta * signs > FAR):
            continue
        if posterior is None:
            posterior = mixture.posterior(theta)
            if mixture.edges is not None:
                posterior = np.repeat(posterior, np.diff(mixture.edges), axis=0)
        mine = posterior[:, k] > SEEN
        if not np.any((eta * signs > FAR) & mine) or mine.sum() > MOST:
            continue
        x = expand(components.design, 0, components.n)[mine][:, components.columns]
        found = recession(x, signs[mine], np.ones(int(mine.sum()), bool))
        if found is None:
            continue
        jacobian = components.design.jacobian()[:, components.columns]
        reach = np.flatnonzero(np.abs(jacobian @ found.direction) > 1e-9 * np.abs(found.direction).max())
        words = coefficient_signs(found, reach, jacobian, null_basis(x[signs[mine] == 0], components.width))
        out[k] = {components.design.names[j]: word for j, word in zip(reach, words, strict=True) if word != "finite"}
    return {k: names for k, names in out.items() if names}


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
