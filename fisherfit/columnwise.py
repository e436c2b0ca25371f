"""Standard errors of the coefficients that are asked for, each by one solution of F v = a: no p x p matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import coordinates
from .conjugate import conjugate
from .families import NegativeBinomial
from .inference import kind_of, row_shares
from .kernels import EXPECTED, OBSERVED, kernels_of
from .likelihood import Likelihood
from .nullspace import null_space_by_probes


def selected_errors(
    model: Any, likelihood: Likelihood, coefficients: np.ndarray, rows: np.ndarray, wanted: list[int]
) -> np.ndarray:
    """Standard errors of coefficients, by their place in the user's order, at the coefficients of a fit.

    Parameters
    ----------
    likelihood : Likelihood
        The data of the fit.
    coefficients : array of shape (p + further parameters,)
        The estimates in the user's units, further parameters on their own scale.
    rows : boolean array of shape (n,)
        Rows that are separated, which the finite coefficients do not depend on.
    wanted : list of int
        Places of coefficients of the first parameter.
    """
    design, result = likelihood.designs[0], model.result_
    p = design.width
    kind, correction = kind_of(model, result.nobs, result.rank)
    links = likelihood.kernels.links
    lik = replace(likelihood, weight=np.where(rows, 0.0, likelihood.weight), matrices=False)
    theta = design.from_user(coefficients[:p])
    if kind != "observed" and isinstance(likelihood.kernels.family, NegativeBinomial) and len(links) > 1:
        # the expected information of alpha stands apart from that of the coefficients
        fixed = NegativeBinomial(alpha=float(coefficients[p]))
        lik = replace(lik, kernels=kernels_of(fixed, links[:1]), designs=lik.designs[:1])
    else:
        tail = [float(link.forward(value)) for link, value in zip(links[1:], coefficients[p:], strict=True)]
        theta = np.concatenate([theta, tail])
    free = np.ones(theta.size, bool)
    free[:p], null, _ = null_space_by_probes(lik, lik.weight > 0.0)
    estimable = np.all(
        np.abs(coordinates.transform(design, null)) <= 1e-9 * np.abs(null).max(axis=0, initial=1.0), axis=1
    )
    factor = conjugate(lik.evaluate(theta, OBSERVED if kind == "observed" else EXPECTED).information, free)
    share = row_shares(model, lik, theta) if kind in ("HC0", "HC1") else None
    out = np.full(len(wanted), np.nan)
    for k, j in enumerate(wanted):
        if factor is None or not estimable[j]:
            continue
        a = np.zeros(theta.size)
        a[:p] = coordinates.contrast(design, j)
        size = float(np.abs(a).max())
        v = np.zeros(theta.size)
        v[free] = factor.solve_tightly(a[free] / size)
        if share is None:
            variance = result.dispersion * float(a @ v) / size
        else:
            moved = sum(share[i] * lik.linear_predictor(v, i, offset=False) for i in range(len(lik.designs)))
            variance = correction * float(np.sum(np.square(moved)))
        out[k] = size * np.sqrt(variance)
    return out


__all__ = ["selected_errors"]
