"""The rank of a design too wide for a factor: columns of zeros, proportional columns, and probes by solutions.

For a random g the solution of A v = A g by conjugate gradients, A = X'X, is g without its part in the null space of X:
v - g is a combination of dependent columns that vanishes, or nothing. As many probes as there are dependencies, and
one more that finds nothing, have the whole null space.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .conjugate import Conjugate, conjugate
from .information import RowInformation
from .likelihood import Likelihood

PROBES = 64  # dependencies, beyond proportional columns, that are looked for
ZEROS = 1000  # columns of zeros that get a null vector of their own
SCREEN = 1e-6  # relative error of the first look at a probe
NOTHING = 1e-5  # a part in the null space shorter than this is not seen: one random vector in 100,000 has such
VANISHES = 1e-7  # length of X n, over that of its columns, that is rounding
SMALL = 1e-6  # entries of a null vector, over its largest, that are rounding


def null_space_by_probes(likelihood: Likelihood, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """The columns that are no combination of those to their left, a basis of the null space, and if it is all of it.

    Parameters
    ----------
    likelihood : Likelihood
        The design of its first parameter is looked at.
    present : boolean array of shape (n,)
        False for rows of weight zero.

    Returns
    -------
    (kept, null, complete)
        A boolean array of shape (p,), an array of shape (p, d) with a column for every dependency, and False where
        there are more than `PROBES` of them, or the columns are too nearly dependent to tell.
    """
    single = replace(likelihood, designs=likelihood.designs[:1], matrices=False)
    gram = RowInformation(single, present.astype(float)[None])
    design = single.designs[0]
    norm = np.sqrt(gram.diagonal())
    kept = norm > 0.0
    random = np.random.default_rng(0)
    null = _units(~kept)
    if _nothing_vanishes(gram, kept, random):  # neither proportional columns nor other dependencies
        return kept, np.array(null).reshape(len(null), norm.size).T, True
    null += _proportional(gram, norm, kept, design.position, random)
    if int(kept.sum()) > np.count_nonzero(present) + PROBES:  # more dependencies than could be found
        return kept, np.array(null).reshape(len(null), norm.size).T, False
    found, complete = _probe(gram, kept, random)
    if found.shape[1]:
        order = np.argsort(design.position)
        echelon, pivots = _echelon(found[order])
        kept[order[pivots]] = False
        back = np.empty_like(echelon)
        back[order] = echelon
        null.extend(back.T)
    return kept, np.array(null).reshape(len(null), norm.size).T, complete


def _nothing_vanishes(gram: RowInformation, kept: np.ndarray, random: np.random.Generator) -> bool:
    """True where the first probe shows that no combination of these columns vanishes."""
    size = int(kept.sum())
    if size > np.count_nonzero(gram.w[0]):
        return False
    factor = conjugate(gram, kept)
    if factor is None or not size:
        return False
    rest, error = _residue(gram, factor, kept, random.normal(size=size), SCREEN, np.empty((size, 0)))
    return _is_nothing(rest, error)


def _is_nothing(rest: np.ndarray, error: float) -> bool:
    """True for a rest that is no longer than what the solution lacks, where that is little."""
    return bool(np.linalg.norm(rest) <= max(3.0 * error, NOTHING)) and error < 0.1 * np.sqrt(rest.size)


def _units(zero: np.ndarray) -> list[np.ndarray]:
    """Null vectors of columns of zeros, as many as can be used: their coefficients are 0 all the same."""
    out = []
    for j in np.flatnonzero(zero)[:ZEROS]:
        unit = np.zeros(zero.size)
        unit[j] = 1.0
        out.append(unit)
    return out


def _proportional(
    gram: RowInformation, norm: np.ndarray, kept: np.ndarray, position: np.ndarray, random: np.random.Generator
) -> list[np.ndarray]:
    """Null vectors of columns that are multiples of an earlier one, which are taken out of `kept`.

    Multiples agree in all their products with random vectors, over their norms, up to a sign.
    """
    n = gram.likelihood.n
    with np.errstate(all="ignore"):
        keys = np.stack([gram.score(gram.w[0] * random.normal(size=n)) / norm for _ in range(2)])
    sign = np.where(keys[0] < 0.0, -1.0, 1.0)
    keys = keys * sign
    order = np.flatnonzero(kept)
    order = order[np.lexsort((position[order], np.round(keys[1, order], 9), np.round(keys[0, order], 9)))]
    gap = np.abs(np.diff(keys[:, order], axis=1))
    close = np.flatnonzero(np.all(gap <= 1e-11 * np.sqrt(n), axis=0)) + 1
    out: list[np.ndarray] = []
    last, first = -1, -1
    for t in close:
        j = int(order[t])
        first = first if t == last + 1 else int(order[t - 1])
        last = int(t)
        a, b = (first, j) if position[first] < position[j] else (j, first)
        vector = np.zeros(norm.size)
        vector[b], vector[a] = sign[b] / norm[b], -sign[a] / norm[a]
        if _length(gram, vector, norm) <= VANISHES:
            kept[b] = False
            out.append(vector)
        first = a
    return out


def _length(gram: RowInformation, vector: np.ndarray, norm: np.ndarray) -> float:
    """The length of X n over what it would be for orthogonal columns."""
    return float(np.sqrt(max(vector @ gram.product(vector), 0.0)) / np.linalg.norm(norm * vector))


def _probe(gram: RowInformation, kept: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, bool]:
    """An orthonormal basis, in coordinates where columns have norm 1, of what vanishes; back in those of the design."""
    factor = conjugate(gram, kept)
    size = int(kept.sum())
    basis = np.empty((size, 0))
    complete = factor is None or size == 0
    while factor is not None and not complete and basis.shape[1] <= PROBES:
        rest, error = _residue(gram, factor, kept, random.normal(size=size), SCREEN, basis)
        if np.linalg.norm(rest) <= max(3.0 * error, NOTHING):
            complete = _is_nothing(rest, error)
            break
        rest, error = _residue(gram, factor, kept, random.normal(size=size), 0.0, basis)
        rest = rest / np.linalg.norm(rest)
        full = np.zeros(kept.size)
        full[kept] = rest / factor.scale
        if not _length(gram, full, np.sqrt(gram.diagonal())) <= VANISHES:
            complete = error < 0.1 * np.sqrt(size)
            break
        basis = np.column_stack([basis, rest])
    out = np.zeros((kept.size, basis.shape[1]))
    if factor is not None:
        out[kept] = basis / factor.scale[:, None]
    return out, complete


def _residue(
    gram: RowInformation, factor: Conjugate, kept: np.ndarray, g: np.ndarray, screen: float, basis: np.ndarray
) -> tuple[np.ndarray, float]:
    """g less the solution of A v = A g, outside of the basis, and a bound on the error of the solution."""
    g = g - basis @ (basis.T @ g)
    full = np.zeros(kept.size)
    full[kept] = g / factor.scale
    right = gram.product(full)[kept]
    solution = factor.solve_within(right, screen) if screen else factor.solve_tightly(right)
    rest = g - factor.scale * solution
    for _ in range(2):
        rest = rest - basis @ (basis.T @ rest)
    return rest, float(np.sqrt(factor.missing / factor.smallest)) if np.isfinite(factor.smallest) else np.inf


def _echelon(null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A basis in which every vector ends in a column of its own, the last of its dependency."""
    null = null / np.abs(null).max(axis=0)
    pivots: list[int] = []
    for done in range(null.shape[1]):
        left = np.abs(null[:, done:]).max(axis=1)
        row = int(np.flatnonzero(left > SMALL)[-1])
        best = done + int(np.argmax(np.abs(null[row, done:])))
        null[:, [done, best]] = null[:, [best, done]]
        null[:, done] /= null[row, done]
        others = np.arange(null.shape[1]) != done
        null[:, others] -= np.outer(null[:, done], null[row, others])
        size = np.abs(null).max(axis=0)
        null = np.where(np.abs(null) <= SMALL * size, 0.0, null)
        pivots.append(row)
    return null, np.array(pivots, dtype=int)


__all__ = ["null_space_by_probes"]
