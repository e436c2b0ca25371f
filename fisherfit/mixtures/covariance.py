"""Covariances of the estimates of a mixture, in working coordinates.

J is Louis' observed information, s_i the score of a unit. "observed" is J^-1; "opg" the inverse of sum s_i s_i'; the
others put a meat M between two J^-1 (Huber, 1967; White, 1982): HC0 with M = sum s_i s_i', HC1 with n / (n - p) of it,
clusters with the scores of a group added first, HAC with Bartlett's weights in the order of the units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..clusters import Clusters, crossed
from ..covtypes import CovType
from ..errors import InputError
from ..linalg import cholesky
from .mixture import Mixture

WITHOUT = ("expected", "HC2", "HC3")


def check_kind(cov: CovType, clusters: Clusters | None) -> None:
    """Refuse what a mixture does not have, before any work."""
    if cov.kind == "expected":
        raise InputError("cov_type='expected' has no formula for mixtures; use 'observed', which is the default")
    if cov.kind in WITHOUT or cov.correction == "CR3":
        raise InputError(f"cov_type={str(cov)!r} corrects for leverage, which units of a mixture do not have; use "
                         "'HC0', 'HC1' or 'cluster'")  # fmt: skip
    if cov.kind == "cluster" and clusters is None:
        raise InputError("cov_type='cluster' needs clusters=: a label for every row, or the name of a column, or two")


def covariance_of(
    mixture: Mixture, theta: np.ndarray, bread: np.ndarray, cov: CovType, frequency: bool, clusters: Clusters | None
) -> np.ndarray:
    """The covariance of theta.

    Parameters
    ----------
    mixture : Mixture
        The model on the rows of its fit.
    theta : array of shape (size,)
        The estimates.
    bread : array of shape (size, size)
        The inverse of the observed information; NaN where a coordinate is held.
    cov : CovType
        The kind.
    frequency : bool
        True where a weight says how often a unit is there; its score then counts so often, and not as one.
    clusters : Clusters, optional
        Codes of the units.
    """
    check_kind(cov, clusters)
    if cov.kind == "observed":
        return bread
    free = ~np.isnan(np.diag(bread))
    p = int(free.sum())
    if cov.kind in ("opg", "HC0", "HC1"):
        meat, n = np.zeros((p, p)), 0.0
        for part in parts_of(mixture):
            scores, weight = part.unit_scores(theta)[:, free], part.weight
            meat += (scores.T * (weight if frequency else weight**2)) @ scores
            n += float(weight.sum() if frequency else np.count_nonzero(weight))
        factor = n / (n - p) if cov.kind == "HC1" else 1.0
        return _between(bread, free, factor * meat, cov.kind == "opg")
    scores, weight = mixture.unit_scores(theta)[:, free], mixture.weight
    present = weight > 0.0
    n = mixture.total if frequency else float(np.count_nonzero(present))
    if cov.kind == "cluster":
        assert clusters is not None
        meat = _clustered(scores * weight[:, None], present, clusters, cov.correction == "CR1", n, p)
    else:
        if frequency and np.any(weight[present] != 1.0):
            raise InputError("cov_type='HAC' goes by the order of the units, in which one that counts several times "
                             "has no place; repeat the rows")  # fmt: skip
        meat = _serial((scores * weight[:, None])[present], cov.lags_for(int(present.sum())))
    return _between(bread, free, meat, False)


def parts_of(mixture: Any) -> Iterator[Any]:
    """A mixture, or one whose rows are read in batches as a mixture for each of them."""
    whole = getattr(mixture, "problem", mixture)
    walk = getattr(whole, "walk", None)
    if walk is None:
        yield mixture
        return
    for part in walk():
        yield part if mixture is whole else replace(mixture, problem=part)


def _between(bread: np.ndarray, free: np.ndarray, meat: np.ndarray, alone: bool) -> np.ndarray:
    """The meat between two slices of bread, or the inverse of it `alone`."""
    out, inner = np.full_like(bread, np.nan), np.ix_(free, free)
    if not alone:
        out[inner] = bread[inner] @ meat @ bread[inner]
        return out
    root = cholesky(meat)
    if root is not None:
        out[inner] = root.inverse()
    return out


def _clustered(
    scores: np.ndarray, present: np.ndarray, clusters: Clusters, corrected: bool, n: float, p: int
) -> np.ndarray:
    """The meat by clusters: one way, or two by inclusion and exclusion (Cameron, Gelbach & Miller, 2011)."""
    ways = [(codes, 1.0) for codes in clusters.codes]
    if len(ways) == 2:
        ways.append((crossed(*clusters.codes), -1.0))
    total = np.zeros((scores.shape[1], scores.shape[1]))
    for codes, sign in ways:
        _, code = np.unique(codes[present], return_inverse=True)
        count = int(code.max(initial=-1)) + 1
        if count < 2:
            raise InputError(f"clusters has {count} group; clusters need at least two, and a good number to rely on")
        sums = np.zeros((count, scores.shape[1]))
        np.add.at(sums, code, scores[present])
        factor = count / (count - 1.0) * (n - 1.0) / (n - p) if corrected else 1.0
        total += sign * factor * (sums.T @ sums)
    return total


def _serial(scores: np.ndarray, lags: int) -> np.ndarray:
    """The long-run covariance of the scores in their order (Newey & West, 1987); see `fisherfit.serial`."""
    ends = np.zeros((lags, scores.shape[1]))
    summed = np.cumsum(np.concatenate([ends, scores, ends]), axis=0)
    windows = summed[lags:] - np.concatenate([np.zeros((1, scores.shape[1])), summed[: len(summed) - lags - 1]])
    return np.asarray(windows.T @ windows / (lags + 1.0))


__all__ = ["check_kind", "covariance_of"]
