"""Covariances of the estimates that hold beyond the model: F^-1 M F^-1, M the covariance of the sum of the scores.

One `Estimate` (theta, F^-1, the rows) and one function for every kind, at the end of a fit and later. The bread is the
expected information. With s_i = X_i'u_i the score of row i (Huber, 1967; White, 1980; MacKinnon & White, 1985):

======== ============================================================================================
HC0      M = sum of s_i s_i'; HC1 times n / (n - k)
HC2, HC3 s_i with (I - H_ii)^-1/2 and (I - H_ii)^-1 inside, see `leverage`
cluster  M = sum of s_g s_g', s_g the sum over group g (Liang & Zeger, 1986), see `clustering`
HAC      M = sum over lags l of (1 - |l| / (L + 1)) s_t s_{t-l}' (Newey & West, 1987), see `serial`
opg      no sandwich: the inverse of sum of s_i s_i' / phi^2 (Berndt, Hall, Hall & Hausman, 1974)
======== ============================================================================================

A frequency weight counts as that many rows. Other weights are part of the score.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import coordinates
from .clustering import cluster_meat
from .clusters import Clusters, crossed
from .covtypes import CovType
from .errors import InputError
from .kernels import OBSERVED, SCORE
from .leverage import inverse_root, left_out_scores
from .likelihood import Likelihood, expand, project
from .linalg import cholesky
from .serial import serial_meat

NEGATIVE = 1e-10  # size of a negative eigenvalue beside the largest from which it is no rounding
TOUCHED = 1e-7  # standard errors by which a coefficient must move for it to depend on a row


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimates with their rows, in standardised coordinates.

    `bread` is the inverse of the expected information at dispersion 1, NaN where a coordinate is not free; `null` has
    the combinations of columns that vanish; `n` observations, `rank` coefficients. Under restrictions `basis` has the
    directions that are left. `eta` has the linear predictors, (K, n), of rows in memory, where they are known.
    """

    likelihood: Any
    theta: np.ndarray
    bread: np.ndarray
    null: np.ndarray
    phi: float
    n: float
    rank: int
    basis: np.ndarray | None = None
    eta: np.ndarray | None = None

    @property
    def free(self) -> np.ndarray:
        """True for the coordinates that are identified."""
        return ~np.isnan(self.bread.diagonal())


@dataclass(eq=False)
class Covariance:
    """A covariance in standardised coordinates (NaN where not free), and what is to be said of it.

    `full` has the rows that make their own fit, `lost` marks the user's coefficients that depend on them: they have no
    standard error.
    """

    matrix: np.ndarray
    name: str
    lost: np.ndarray
    full: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    notes: list[str] = field(default_factory=list)


def estimate_of(maximum: Any, basis: np.ndarray | None = None) -> Estimate:
    """The estimate of a `Maximum`, under restrictions with a basis of the directions that they leave."""
    bread = maximum.bread if basis is None else _restricted(maximum.evaluation.information, basis)
    if bread is None:
        raise InputError("the information matrix is not positive definite under the constraints")
    return Estimate(
        maximum.likelihood, maximum.theta, bread, maximum.null, maximum.phi, maximum.count, maximum.result.rank, basis,
        maximum.eta,
    )  # fmt: skip


def _restricted(information: np.ndarray, basis: np.ndarray) -> np.ndarray | None:
    """B (B'FB)^-1 B', None where F is not positive definite in the directions B."""
    factored = cholesky(basis.T @ information @ basis)
    return None if factored is None else np.asarray(basis @ factored.inverse() @ basis.T)


def in_force(cov: CovType, weight_type: str) -> CovType:
    """The kind for a type of weights: probability weights take HC0 in place of what leans on the model."""
    if weight_type == "probability" and cov.kind in ("expected", "observed", "opg", "HC0", "HC1"):
        return CovType("HC0")
    return cov


def covariance_at(at: Estimate, cov: CovType, weight_type: str, clusters: Clusters | None = None) -> Covariance:
    """The covariance of the estimates of one kind, in standardised coordinates.

    Raises
    ------
    InputError
        For clusters that are missing or of one group, lags beyond the rows, a kind that needs the rows in memory.
    """
    cov, free = in_force(cov, weight_type), at.free
    check(cov, at.likelihood, clusters)
    if cov.kind == "expected":
        return Covariance(at.bread * at.phi, str(cov), np.zeros(at.theta.size, bool))
    out = Covariance(np.full_like(at.bread, np.nan), str(cov), np.zeros(at.theta.size, bool))
    if not free.any():
        return out
    inner = np.ix_(free, free)
    if cov.kind == "observed":
        information = at.likelihood.evaluate(at.theta, OBSERVED).information
        information = information if isinstance(information, np.ndarray) else information.dense()
        inverse = _inverse(at, information)
        out.matrix = out.matrix if inverse is None else inverse * at.phi
        return out
    meat, factor = _meat(at, cov, clusters, out), 1.0
    if cov.kind == "opg":
        inverse = _inverse(at, meat)
        if inverse is None:
            out.notes.append("the outer products of the scores do not determine all coefficients (too few rows, or "
                             "rows that are fitted exactly): standard errors of cov_type='opg' are NaN")  # fmt: skip
        else:
            out.matrix = inverse * at.phi**2
        return out
    if weight_type == "probability" and cov.kind == "HC0":
        factor, out.name = at.n / (at.n - 1.0) if at.n > 1 else float("nan"), "HC0 n/(n-1)"
    elif cov.kind == "HC1" and at.n > at.rank:
        factor = at.n / (at.n - at.rank)
    elif cov.kind == "HAC":
        out.name = f"HAC({cov.lags_for(at.likelihood.observations)})"
    half = at.bread[inner]
    out.matrix[inner] = factor * (half @ meat[inner] @ half)
    return out


def _inverse(at: Estimate, information: np.ndarray) -> np.ndarray | None:
    """The inverse of an information matrix where the estimates are free, NaN elsewhere; None where it has none."""
    if at.basis is not None:
        return _restricted(information, at.basis)
    inner, out = np.ix_(at.free, at.free), np.full(information.shape, np.nan)
    factored = cholesky(information[inner])
    if factored is None:
        return None
    out[inner] = factored.inverse()
    return out


def check(cov: CovType, likelihood: Any, clusters: Clusters | None) -> None:
    """Refuse what cannot be had, before any work."""
    if cov.kind == "cluster" and clusters is None:
        raise InputError("cov_type='cluster' needs groups=: a label for every row, or the name of a column, or two")
    if cov.kind == "cluster" and cov.correction == "CR3" and likelihood.streamed:
        raise InputError("cov_type='cluster(CR3)' needs the rows of a group together, which are read in batches here; "
                         "use 'cluster', or give the rows in memory")  # fmt: skip
    if cov.kind == "HAC" and cov.lags is not None and cov.lags >= likelihood.observations:
        raise InputError(f"lags={cov.lags} is as many as there are rows ({likelihood.observations}); use fewer")


def _meat(at: Estimate, cov: CovType, clusters: Clusters | None, out: Covariance) -> np.ndarray:
    """M, at dispersion 1."""
    if cov.kind == "HAC":
        return serial_meat(at.likelihood, at.theta, cov.lags_for(at.likelihood.observations))
    if cov.kind == "cluster":
        assert clusters is not None
        assert cov.correction is not None
        first, *second = clusters.codes
        meat = _one_way(at, cov.correction, first, out)
        if second:
            meat += _one_way(at, cov.correction, second[0], out)
            meat -= _one_way(at, cov.correction, crossed(first, second[0]), out)
            meat = _semidefinite(at, meat, out)
        return meat
    power = {"HC2": 0.5, "HC3": 1.0}.get(cov.kind)
    total = np.zeros((at.theta.size, at.theta.size))
    for start, part in at.likelihood.parts():
        if power is None:
            u = (part.row_terms(at.theta, SCORE) if at.eta is None else part.terms_at(at.eta, SCORE))[0]
        else:
            u, full = left_out_scores(part, at.theta, at.bread, power)
            if full.size:
                out.full = np.concatenate([out.full, start + full])
                for some in np.array_split(full, -(-full.size // 256)):
                    _lose(at, np.concatenate([_directions(at, part, row) for row in some], axis=1), out)
        total += squares(part, shares(part, u))
    if out.full.size:
        out.notes.append(
            f"{out.full.size} of the rows have leverage 1, the first is row {{row}}: each determines a coefficient "
            f"alone, so that {cov.kind} has no residual for it; standard errors of the coefficients that depend on "
            "such rows are NaN. Leave these rows and their columns out, or use HC0 or HC1"
        )
    return total


def _one_way(at: Estimate, correction: str, codes: np.ndarray, out: Covariance) -> np.ndarray:
    meat, directions, count = cluster_meat(at.likelihood, at.theta, at.bread, codes, correction)
    if directions.shape[1]:
        _lose(at, directions, out)
        text = ("some groups determine a coefficient alone, so that CR3 has no residual for them; standard errors of "
                "the coefficients that depend on such groups are NaN. Use CR1")  # fmt: skip
        out.notes += [text] * (text not in out.notes)
    if correction != "CR1":
        return meat
    n, k = at.n, at.rank
    return meat * (count / (count - 1.0) * ((n - 1.0) / (n - k) if n > k else float("nan")))


def _semidefinite(at: Estimate, meat: np.ndarray, out: Covariance) -> np.ndarray:
    """Negative eigenvalues, in the Fisher metric, as 0 (Cameron, Gelbach & Miller, 2011, section 2.3)."""
    inner, root = np.ix_(at.free, at.free), inverse_root(at.bread)[np.ix_(at.free, at.free)]
    values, vectors = np.linalg.eigh(root.T @ meat[inner] @ root)
    if not values[0] < -NEGATIVE * values[-1]:
        return meat
    out.notes.append("the two-way covariance is not positive semi-definite: there are too few groups for the number of "
                     f"coefficients; {int((values < 0).sum())} negative eigenvalues were set to 0")  # fmt: skip
    sides = np.linalg.solve(root.T, vectors * np.sqrt(np.maximum(values, 0.0)))
    meat = meat.copy()
    meat[inner] = sides @ sides.T
    return meat


def shares(likelihood: Likelihood, u: np.ndarray) -> np.ndarray:
    """Scores whose products make the meat: those of a row that counts w times are divided by the root of w."""
    if likelihood.repeats is None:
        return u
    with np.errstate(all="ignore"):
        return np.where(likelihood.repeats > 0.0, u / np.sqrt(likelihood.repeats), 0.0)


def squares(likelihood: Likelihood, share: np.ndarray) -> np.ndarray:
    """sum of s_i s_i' over rows, s_i = X_i' share_i."""
    k, p = len(likelihood.designs), sum(likelihood.widths)
    out = np.zeros((p, p))
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    constant = [d.width == 1 and d.intercept for d in likelihood.designs]
    for a in range(k):
        single = replace(likelihood, designs=(likelihood.designs[a],), matrices=True)
        rest = list(range(a, k))
        if constant[a]:
            out[edges[a], edges[a]] = float(share[a] @ share[a])
            rest.remove(a)
        elif a + 1 < k and constant[a + 1]:  # both in one pass over the rows
            block, side = single.weighted_sums(share[a] ** 2, share[a] * share[a + 1])
            out[edges[a] : edges[a + 1], edges[a] : edges[a + 1]] = block
            out[edges[a] : edges[a + 1], edges[a + 1]] = out[edges[a + 1], edges[a] : edges[a + 1]] = side
            rest = rest[2:]
        for b in rest:
            products = np.ascontiguousarray(share[a] * share[b])
            if a == b:
                block, _ = single.weighted_sums(products, np.zeros(likelihood.n))
            elif constant[a]:
                block = replace(single, designs=(likelihood.designs[b],)).weighted_sums(None, products)[1][None]
            elif constant[b]:
                block = single.weighted_sums(None, products)[1][:, None]
            else:
                other = likelihood.designs[b]
                columns = (project(other, unit, likelihood.threads) for unit in np.eye(other.width))
                block = np.stack([single.weighted_sums(None, products * column)[1] for column in columns], axis=1)
            out[edges[a] : edges[a + 1], edges[b] : edges[b + 1]] = block
            out[edges[b] : edges[b + 1], edges[a] : edges[a + 1]] = block.T
    return out


def _directions(at: Estimate, likelihood: Likelihood, row: int) -> np.ndarray:
    """F^-1 X_i', (size, K), scaled to length 1 in the Fisher metric."""
    x = np.zeros((at.theta.size, len(likelihood.designs)))
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    for k, design in enumerate(likelihood.designs):
        x[edges[k] : edges[k + 1], k] = expand(design, row, row + 1)[0]
    moved = np.nan_to_num(at.bread) @ x
    size = np.sqrt(np.einsum("ij,ij->j", x, moved))
    return np.asarray(moved / np.where(size > 0.0, size, 1.0))


def _lose(at: Estimate, directions: np.ndarray, out: Covariance) -> None:
    """Mark the user's coefficients that change along directions of length 1 in the Fisher metric."""
    design, p = at.likelihood.designs[0], at.likelihood.designs[0].width
    moved = np.concatenate([coordinates.transform(design, directions[:p]), directions[p:]])
    scale, inner = coordinates.congruent(design, np.nan_to_num(at.bread))
    size = scale * np.sqrt(inner.diagonal())
    if at.null.shape[1]:
        null = coordinates.transform(design, at.null)
        moved[:p] = coordinates.minimum_norm(moved[:p], None, null, design.intercept)[0]
    out.lost |= (np.abs(moved) > TOUCHED * size[:, None]).any(axis=1)


__all__ = ["Covariance", "Estimate", "check", "covariance_at", "estimate_of", "in_force", "shares", "squares"]
