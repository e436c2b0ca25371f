"""Standard errors of the coefficients that are asked for, each by one solution of F v = a: no p x p matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import coordinates
from .clusters import Clusters, crossed
from .conjugate import conjugate
from .covtypes import CovType, read_cov_type
from .errors import InputError
from .families import NegativeBinomial
from .kernels import EXPECTED, OBSERVED, SCORE, kernels_of
from .likelihood import Likelihood
from .nullspace import null_space_by_probes
from .sandwich import in_force, shares
from .serial import serial_sum


def selected_errors(
    model: Any, likelihood: Likelihood, coefficients: np.ndarray, rows: np.ndarray, wanted: list[int],
    clusters: Clusters | None = None,
) -> np.ndarray:  # fmt: skip
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
    clusters : Clusters, optional
        The groups of the rows.

    Raises
    ------
    InputError
        For a kind of covariance that needs the whole matrix.
    """
    design, result = likelihood.designs[0], model.result_
    p = design.width
    cov = in_force(read_cov_type(model.cov_type), model.weight_type)
    kind = cov.kind
    if kind in ("opg", "HC2", "HC3") or cov.correction == "CR3":
        raise InputError(f"cov_type={str(cov)!r} needs the covariance of all coefficients, and standard_errors goes "
                         "without; fit with 'HC1' or 'cluster', say")  # fmt: skip
    links = likelihood.kernels.links
    lik = replace(likelihood.without(rows), matrices=False)
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
    sandwich = kind not in ("expected", "observed")
    u = lik.row_terms(theta, SCORE)[0] if sandwich else None
    out = np.full(len(wanted), np.nan)
    for k, j in enumerate(wanted):
        if factor is None or not estimable[j]:
            continue
        a = np.zeros(theta.size)
        a[:p] = coordinates.contrast(design, j)
        size = float(np.abs(a).max())
        v = np.zeros(theta.size)
        v[free] = factor.solve_tightly(a[free] / size)
        if u is None:
            variance = result.dispersion * float(a @ v) / size
        else:
            moved = np.stack([lik.linear_predictor(v, i, offset=False) for i in range(len(lik.designs))])
            variance = _variance(cov, model.weight_type, lik, u, moved, result.nobs, result.rank, clusters)
        out[k] = size * np.sqrt(variance)
    return out


def _variance(
    cov: CovType, weight_type: str, lik: Likelihood, u: np.ndarray, moved: np.ndarray, n: float, k: int,
    clusters: Clusters | None,
) -> float:  # fmt: skip
    """v'M v from the rows' scores u and X_i v, both (K, n): that of the sum over rows of u_i'X_i v."""
    present = lik.weight > 0.0
    if cov.kind == "HAC":
        return serial_sum(lik, np.sum(u * moved, axis=0)[present], cov.lags_for(int(present.sum())))
    if cov.kind == "cluster":
        assert clusters is not None
        step = np.where(present, np.sum(u * moved, axis=0), 0.0)
        codes = [*clusters.codes, crossed(*clusters.codes)] if len(clusters.codes) == 2 else [*clusters.codes]
        total = 0.0
        for way, sign in zip(codes, (1.0, 1.0, -1.0), strict=False):
            count = np.unique(way[present]).size
            factor = count / (count - 1.0) * (n - 1.0) / (n - k) if cov.correction == "CR1" else 1.0
            total += sign * factor * float(np.sum(np.square(np.bincount(way, step))))
        return max(total, 0.0)
    factor = n / (n - 1.0) if weight_type == "probability" else n / (n - k) if cov.kind == "HC1" and n > k else 1.0
    return factor * float(np.sum(np.square(np.sum(shares(lik, u) * moved, axis=0))))


__all__ = ["selected_errors"]
