"""Separation of many rows, in memory or read in batches: a linear program on few, and a pass for those that it lacks.

A direction that separates all rows separates some of them. So the program is solved on a few, its direction is
checked in one pass over all rows, and the rows that it moves the wrong way join the few (cutting planes; Kelley,
1960). Rows that it leaves alone are stood for by a basis of their span: a direction that moves none of these moves
none of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import separation as sep
from .families import Family
from .likelihood import dense_design
from .linalg import merge_roots

FIRST = 3_000  # rows of the first program
MOST = 1_000  # rows that join it after a pass
ROUNDS = 100
NEAREST = 20  # rows to a coefficient, those that the direction moves least, that its signs are first looked for with
WHOLE = 6_000  # rows in memory up to which one program holds them all

#: of a batch: its first row, the signs of its rows, what they gain by the directions of a basis, those that move
Batches = Callable[[], Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]]
Widen = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
#: of a batch: its first row, its rows, their signs, and True for those of positive weight
Parts = Callable[[], Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]]


def recession(x: np.ndarray, signs: np.ndarray, present: np.ndarray) -> sep.Found | None:
    """`separation.recession`, with the rows of a large design cut to those that matter.

    Parameters
    ----------
    x : array of shape (n, p)
        The design, standardised, of full column rank.
    signs : array of shape (n,)
        From `separation.row_signs`.
    present : boolean array of shape (n,)
        False for rows of weight zero.
    """
    if np.count_nonzero(signs) <= WHOLE:
        return sep.recession(x, signs, present)
    basis = sep.null_basis(x[present & (signs == 0)], x.shape[1])
    if basis.shape[1] == 0:
        return None
    gains, moving = sep.row_gains(x, signs, basis)

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        yield 0, signs, gains, moving

    def widen(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _violated(iter([(x, signs)]), directions)

    return _cut(basis, gains[moving], batches, x.shape[0], widen)


def find_in_batches(likelihood: Any, family: Family, kept: np.ndarray) -> sep.Found | None:
    """The separated rows and a direction, as `separation.recession` finds them of rows in memory."""
    p = likelihood.designs[0].width
    columns = np.flatnonzero(kept[:p])

    def parts() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        for start, part in likelihood.parts():
            present = part.weight > 0.0
            signs = sep.row_signs(family.name, part.kernels.links[0].name, part.y, present)
            if signs is not None:
                yield start, dense_design(part)[:, columns], signs, present

    some = likelihood.typical()
    signs = sep.row_signs(family.name, some.kernels.links[0].name, some.y, some.weight > 0.0)
    return None if signs is None else in_parts(parts, dense_design(some)[:, columns], signs, likelihood.n)[0]


def in_parts(parts: Parts, x: np.ndarray, signs: np.ndarray, n: int) -> tuple[sep.Found | None, np.ndarray]:
    """The separated rows of n, which `parts` walks over, and a direction; and a basis of those that may be.

    `x` and `signs` are of some rows, which the first program has; `x` has a column for every coefficient.
    """
    width, root = x.shape[1], None
    for _, rows, s, present in parts():
        if (present & (s == 0)).any():
            root = merge_roots(root, rows[present & (s == 0)])
    basis = sep.null_basis(np.empty((0, width)) if root is None else root, width)
    if basis.shape[1] == 0:
        return None, basis
    gains, moving = sep.row_gains(x, signs, basis)

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        for start, rows, s, _ in parts():
            yield start, s, *sep.row_gains(rows, s, basis)

    def widen(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _violated(((rows, s) for _, rows, s, _ in parts()), directions)

    return _cut(basis, gains[moving], batches, n, widen), basis


def _cut(basis: np.ndarray, held: np.ndarray, batches: Batches, n: int, widen: Widen) -> sep.Found | None:
    """The separated rows of n, from the gains of some of them."""
    held = held[:: max(1, held.shape[0] // FIRST)]
    for _ in range(ROUNDS):
        held = np.unique(np.round(held, 12), axis=0)
        direction = sep.largest_support(held) if held.size else None
        if direction is None:  # no direction moves any of these, nor any row in their span
            if held.size and np.linalg.matrix_rank(held) == basis.shape[1]:
                return None
            direction = np.zeros(basis.shape[1])
        bad, more, rows, all_signs = _check(batches(), n, held, direction)
        if bad.size:
            held = np.vstack([held, bad])
        elif more.size:
            held = np.vstack([held, more])
        elif not rows.any():
            return None
        else:
            gain = held @ direction
            near = np.sort(gain)[min(gain.size, np.count_nonzero(gain <= sep.LEAST) + NEAREST * direction.size) - 1]
            return sep.Found(rows, basis @ direction, held[gain <= near] @ np.linalg.pinv(basis), all_signs, widen)
    return None


def _check(
    batches: Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]], n: int, held: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows that a direction moves the wrong way; a basis of those it leaves alone; those it separates; all signs."""
    least = sep.LEAST * max(1.0, float(np.abs(held @ direction).max(initial=0.0)))
    still = held[np.abs(held @ direction) <= least]
    span = np.linalg.svd(still, full_matrices=False)[2][: np.linalg.matrix_rank(still)] if still.size else still
    bad, more = np.empty((0, direction.size)), np.empty((0, direction.size))
    rows, all_signs = np.zeros(n, bool), np.zeros(n, np.int8)
    for start, signs, gains, moving in batches:
        all_signs[start : start + signs.size] = signs
        gain = gains @ direction
        rows[start : start + signs.size] = moving & (gain > least)
        bad = np.vstack([bad, gains[moving & (gain < -least)]])
        if bad.shape[0] > MOST:
            bad = bad[np.argsort(bad @ direction)[:MOST]]
        left = gains[moving & (np.abs(gain) <= least)]
        while left.size:
            rest = left - (left @ span.T) @ span
            size = np.linalg.norm(rest, axis=1)
            k = int(np.argmax(size))
            if size[k] < 1e-6:
                break
            more = np.vstack([more, left[k]])
            span = np.vstack([span, rest[k] / size[k]])
    return bad, more, rows, all_signs


def _violated(parts: Iterator[tuple[np.ndarray, np.ndarray]], directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows, times their signs, that one of the directions (a column each) moves the wrong way; which directions do."""
    found, broken = [], np.zeros(directions.shape[1], bool)
    for x, signs in parts:
        y = x[signs != 0] * signs[signs != 0, None]
        size = np.linalg.norm(y, axis=1)[:, None]
        gain = y @ directions / np.maximum(size, 1e-300)
        wrong = gain < -1e-7 * np.maximum(1.0, np.abs(directions).max(axis=0, initial=0.0))
        for k in np.flatnonzero(wrong.any(axis=0)):
            broken[k] = True
            worst = np.argsort(gain[:, k])[:20]
            found.append(y[worst] / np.maximum(size[worst], 1e-300))
    return np.unique(np.round(np.vstack(found), 12), axis=0) if found else np.empty((0, directions.shape[0])), broken


__all__ = ["find_in_batches", "in_parts", "recession"]
