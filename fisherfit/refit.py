"""A restricted model fitted from the start, for fits whose maximum is infinite or on the edge.

The columns are those of the coordinates that are left: a design of its own, with the whole ladder of `fitting`:
separation, bounds of the linear predictor and alpha = 0 are found and named. It holds one copy of the design.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from .blocks import make_design
from .errors import InputError
from .families import Family, NegativeBinomial
from .fitting import maximise
from .kernels import kernels_of
from .likelihood import Likelihood, dense_design
from .linalg import EPS
from .model import DENSE_LIMIT, Fitted
from .overdispersion import fit_with_bound


@dataclass(frozen=True, eq=False)
class Refit:
    """A restricted maximum: the log-likelihood (its supremum under separation), the point, and its troubles."""

    loglik: float
    theta: np.ndarray
    basis: np.ndarray
    converged: bool
    separated: np.ndarray
    boundary: bool


def refit_within(
    likelihood: Likelihood, family: Family, matrix: np.ndarray, value: np.ndarray, *, canonical: bool, count: float
) -> Refit:
    """The maximum where `matrix` theta = `value`, by a fit of its own.

    Parameters
    ----------
    likelihood : Likelihood
        All rows, separated ones too.
    family : Family
        The family.
    matrix, value : arrays of shape (m, size) and (m,)
        The restrictions; m may be 0. Further parameters may be held, but not tied to coefficients.
    canonical : bool
        As in `fitting.maximise`.
    count : float
        The number of observations.
    """
    p, size = likelihood.designs[0].width, matrix.shape[1]
    if likelihood.n * p > DENSE_LIMIT:
        raise InputError(f"the maximum is infinite or on the edge, and the design of {likelihood.n} rows and {p} "
                         "columns is too large for the refit that this test needs; take fewer rows")  # fmt: skip
    tail = np.flatnonzero(np.abs(matrix[:, p:]).sum(axis=0) > 0.0)
    own = np.abs(matrix[:, p:]).sum(axis=1) > 0.0
    if (np.abs(matrix[own][:, :p]) > 0.0).any() or tail.size not in (0, size - p):
        raise InputError("a restriction that ties a further parameter to coefficients cannot be refitted here")
    simple, held = likelihood, np.zeros(0)
    if tail.size:
        held = np.linalg.solve(matrix[own][:, p:], value[own])
        if not isinstance(family, NegativeBinomial):
            raise InputError("a further parameter of this family cannot be held in a refit")
        family = NegativeBinomial(alpha=float(held[0]))
        simple = replace(
            likelihood, kernels=kernels_of(family, likelihood.kernels.links[:1]), designs=likelihood.designs[:1]
        )
    inner, right = matrix[~own][:, :p], value[~own]
    origin = np.linalg.lstsq(inner, right, rcond=None)[0] if inner.size else np.zeros(p)
    basis = linalg.null_space(inner, rcond=1e3 * EPS) if inner.size else np.eye(p)
    intercept = False
    if likelihood.designs[0].intercept:
        constant = likelihood.designs[0].from_user(np.eye(p)[0])
        constant = constant / np.linalg.norm(constant)
        intercept = bool(np.linalg.norm(inner @ constant) <= 1e-12 * np.linalg.norm(inner)) if inner.size else True
        if intercept:
            rest = basis - np.outer(constant, constant @ basis)
            q, _, _ = linalg.svd(rest, full_matrices=False)
            scale = likelihood.designs[0].from_user(np.eye(p)[0])
            basis = np.column_stack([scale, q[:, : basis.shape[1] - 1]])
    columns = dense_design(likelihood)
    shift = columns @ origin
    offset = shift if likelihood.offset is None else shift + likelihood.offset
    names = [f"z{j}" for j in range(basis.shape[1])]
    dense = [np.ascontiguousarray(columns @ basis[:, int(intercept) :])] if basis.shape[1] > int(intercept) else []
    there = replace(simple, offset=np.ascontiguousarray(offset) if np.any(offset) else None,
                    designs=(make_design(names, likelihood.n, intercept, dense), *simple.designs[1:]))  # fmt: skip

    def run(lik: Likelihood, fam: Family, at: np.ndarray | None) -> Fitted:
        return maximise(lik, fam, canonical=canonical, has_dispersion=fam.has_dispersion, start=at, max_iter=100,
                        tol=1e-20, count=count)  # fmt: skip

    if not basis.shape[1]:
        raise InputError("the hypothesis leaves no coefficient free; the refit that this test needs has none to fit")
    fitted = fit_with_bound(run, there, family, None)
    inside = there.designs[0].to_user(fitted.theta[: basis.shape[1]])
    theta = np.concatenate([origin + basis @ inside, fitted.theta[basis.shape[1] :], held])
    return Refit(
        fitted.loglik, theta, basis, fitted.reason == "converged", fitted.separation.rows,
        bool(fitted.boundary_rows.size or fitted.boundary_parameters),
    )  # fmt: skip


__all__ = ["Refit", "refit_within"]
