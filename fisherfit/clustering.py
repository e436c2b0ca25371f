"""The sum over groups of s_g s_g', s_g the score of a group, and the same with every group left out in its turn.

CR0 and CR1 need s_g alone: rows are read in their order and added by group. CR3 puts (I - H_gg)^-1 u_g in the place
of the scores u_g of a group, H_gg its block of the hat matrix (Bell & McCaffrey, 2002). The estimates move by
(F - F_g)^-1 s_g then, F_g the information of the group: the jackknife over groups, to first order (MacKinnon, Nielsen
& Webb, 2023). In coordinates where F is the identity that takes the smaller of two systems, of the size of the group or
of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _threads
from ._jit import compiled
from .errors import InputError
from .kernels import EXPECTED
from .leverage import FULL, roots_of
from .likelihood import Likelihood, each_stripe
from .rowblocks import Pairs, blocks

SUM_BYTES = 256_000_000  # sums by group that are held at a time
GATHER = 8192  # rows of groups that are read together
SQUARES = 4_000_000  # entries of the information matrices of groups that are held together
SPANS = 64


def cluster_meat(
    likelihood: Any, theta: np.ndarray, bread: np.ndarray, codes: np.ndarray, correction: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """The meat at dispersion 1, directions that a group determines alone (CR3), and the number of groups.

    Parameters
    ----------
    codes : array of int of shape (n,)
        The group of every row. Groups whose rows have weight zero do not count.

    Raises
    ------
    InputError
        Where there is one group only.
    """
    p, size = theta.size, int(codes.max(initial=0)) + 1
    present, lost = np.zeros(size, bool), np.empty((p, 0))
    if correction == "CR3":
        present[codes[likelihood.weight > 0.0]] = True
        _count(present)
        out, lost = _left_out(likelihood, theta, bread, codes)
    else:
        out, most = np.zeros((p, p)), max(1, SUM_BYTES // (8 * p))
        for low in range(0, size, most):
            sums = sums_by_group(likelihood, theta, codes, low, min(low + most, size), present)
            out += sums.T @ sums
    return out, lost, _count(present)


def _count(present: np.ndarray) -> int:
    count = int(present.sum())
    if count < 2:
        raise InputError(f"groups has {count} group; clusters need at least two, and a good number to rely on")
    return count


def sums_by_group(
    likelihood: Any, theta: np.ndarray, codes: np.ndarray, low: int, high: int, present: np.ndarray
) -> np.ndarray:
    """The scores of groups `low` to `high`, (high - low, p), in one pass over the rows; marks those that have rows."""
    p = theta.size
    out = np.zeros((high - low, p))
    for start, part in likelihood.parts():
        edges = np.concatenate([[0], np.cumsum(part.widths)])
        here, add = codes[start : start + part.n], compiled(add_by_group)
        present[here[part.weight > 0.0]] = True

        def task(first: int, stop: int, size: int, part: Any = part, here: Any = here, edges: Any = edges,
                 add: Any = add) -> Any:  # fmt: skip
            sums = np.zeros((high - low, p))
            for block in blocks(part, theta, first, stop, size):
                for k, x in enumerate(block.designs):
                    add(x, block.u[k], here[block.start : block.stop], low, sums, edges[k])
            return sums

        width = sum(d.row_size for d in part.designs)
        for sums in each_stripe(task, part.n, (high - low) * p, width, part.threads, False):  # few where sums are many
            out += sums
    return out


def add_by_group(x, u, codes, low, out, first):
    """out[codes[i] - low, first:] += u[i] x[i], where that is a row of out."""
    for i in range(x.shape[0]):
        g = codes[i] - low
        if g >= 0 and g < out.shape[0]:
            for j in range(x.shape[1]):
                out[g, first + j] += u[i] * x[i, j]


def _left_out(
    likelihood: Likelihood, theta: np.ndarray, bread: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The meat of CR3, and directions that a group determines alone, of length 1 in the Fisher metric."""
    roots = roots_of(likelihood, bread)
    rows = np.flatnonzero(likelihood.weight > 0.0)
    length = np.bincount(codes[rows])
    by_size = np.argsort(length, kind="stable")
    rank = np.empty(length.size, np.int64)
    rank[by_size] = np.arange(length.size)
    rows = rows[np.argsort(rank[codes[rows]], kind="stable")]  # groups of one length stand together
    length = length[by_size][np.count_nonzero(length == 0) :]
    ends = np.cumsum(length)
    lots = _lots(length, theta.size)
    spans = [span for span in np.array_split(np.arange(len(lots)), min(SPANS, len(lots))) if span.size]

    def task(span: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        q = theta.size
        total, lost = np.zeros((q, q)), []
        for at in span:
            a, b = lots[at]
            m = int(length[a])
            steps, directions = _steps(likelihood, theta, rows[ends[a] - m : ends[b - 1]], m, roots)
            total += steps.T @ steps
            lost += directions
        return total, lost

    q = theta.size
    inner, lost = np.zeros((q, q)), []
    few = likelihood.n * q < 400_000
    for part, directions in _threads.run(task, spans, 1 if few else likelihood.threads):
        inner += part
        lost += directions
    root = np.vstack(roots)
    free = np.any(root != 0.0, axis=1)
    meat = np.zeros((q, q))  # R'MR is `inner`
    half = np.linalg.solve(root[np.ix_(free, free)].T, inner[np.ix_(free, free)])
    meat[np.ix_(free, free)] = np.linalg.solve(root[np.ix_(free, free)].T, half.T)
    return meat, (root @ np.stack(lost, axis=1) if lost else np.empty((q, 0)))


def _lots(length: np.ndarray, q: int) -> list[tuple[int, int]]:
    """Groups, in the order of their lengths, in lots of one length and few rows."""
    out = []
    edges = np.flatnonzero(np.diff(length, prepend=-1, append=-1))
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        step = max(1, min(GATHER // int(length[a]), SQUARES // q**2))
        out += [(first, min(first + step, b)) for first in range(a, b, step)]
    return out


def _steps(
    likelihood: Likelihood, theta: np.ndarray, rows: np.ndarray, m: int, roots: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """(I - A_g)^-1 R's_g of groups of m rows each, A_g = R'F_g R; eigenvectors of A_g whose eigenvalue is 1."""
    q, k = roots[0].shape[1], len(roots)
    groups = rows.size // m
    score, inside = np.zeros((groups, q)), None
    for first in range(0, rows.size, GATHER):
        some = likelihood.take(rows[first : first + GATHER])
        block = next(blocks(some, theta, 0, some.n, some.n, EXPECTED))
        w = np.where(np.isfinite(block.w), block.w, 0.0)
        moved = [x @ root for x, root in zip(block.designs, roots, strict=True)]
        each = some.n if groups == 1 else m  # a group that is longer than what is read together comes alone
        if k == 1 and m < q and (w >= 0.0).all():
            root = np.sqrt(w[0])
            z = (root[:, None] * moved[0]).reshape(groups, m, q)
            e = np.divide(block.u[0], root, out=np.zeros(some.n), where=root > 0.0).reshape(groups, m)
            solved, vectors = _solve(z @ z.transpose(0, 2, 1), e)
            found = [z[g].T @ v for g, v in vectors]
            return np.einsum("gmq,gm->gq", z, solved), [v / np.linalg.norm(v) for v in found]
        here = np.zeros((groups, q, q))
        for j in range(k):
            score += np.einsum("gmq,gm->gq", moved[j].reshape(groups, each, q), block.u[j].reshape(groups, each))
        for at, (a, b) in enumerate(Pairs(k).index()):
            left = (moved[a] * w[at][:, None]).reshape(groups, each, q).transpose(0, 2, 1)
            cross = left @ moved[b].reshape(groups, each, q)
            here += cross if a == b else cross + cross.transpose(0, 2, 1)
        inside = here if inside is None else inside + here
    assert inside is not None
    solved, vectors = _solve(inside, score)
    return solved, [v for _, v in vectors]


def _solve(inside: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """(I - A)^-1 b for many A and b, without the eigenvectors of A whose eigenvalue is 1; and these vectors."""
    rest = np.eye(inside.shape[1]) - inside
    try:
        smallest = np.linalg.cholesky(rest).diagonal(axis1=1, axis2=2).min(axis=1) ** 2
    except np.linalg.LinAlgError:
        smallest = np.array([float(np.linalg.eigvalsh(one)[0]) for one in rest])
    bad = np.flatnonzero(~(smallest > FULL))
    lost: list[tuple[int, np.ndarray]] = []
    out = np.empty(right.shape)
    good = np.setdiff1d(np.arange(len(rest)), bad)
    if good.size:
        out[good] = np.linalg.solve(rest[good], right[good][:, :, None])[:, :, 0]
    for g in bad:
        values, vectors = np.linalg.eigh(rest[g])
        full = values <= FULL
        lost += [(int(g), v) for v in vectors[:, full].T]
        kept = vectors[:, ~full]
        out[g] = kept @ (kept.T @ right[g] / values[~full])
    return out, lost


__all__ = ["cluster_meat", "sums_by_group"]
