"""Separation of rows that are read in batches: the linear program on few rows, and a pass that finds those it lacks.

A direction that separates all rows separates some of them. So the program is solved on a few, its direction is
checked in one pass over all rows, and the rows that it moves the wrong way join the few (cutting planes; Kelley,
1960). Rows that it leaves alone are stood for by a basis of their span: a direction that moves none of these moves
none of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import separation as sep
from .families import Family
from .likelihood import dense_design
from .linalg import merge_roots

FIRST = 3_000  # rows of the first program
MOST = 1_000  # rows that join it after a pass
ROUNDS = 100


def find_in_batches(likelihood: Any, family: Family, kept: np.ndarray) -> sep.Found | None:
    """The separated rows and a direction, as `separation.recession` finds them of rows in memory."""
    p = likelihood.designs[0].width
    columns = np.flatnonzero(kept[:p])

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        for start, part in likelihood.parts():
            present = part.weight > 0.0
            signs = sep.row_signs(family.name, part.kernels.links[0].name, part.y, present)
            if signs is not None:
                yield start, dense_design(part)[:, columns], signs, present

    some = likelihood.typical()
    signs = sep.row_signs(family.name, some.kernels.links[0].name, some.y, some.weight > 0.0)
    if signs is None:
        return None
    root: np.ndarray | None = None
    for _, x, s, present in batches():
        if (present & (s == 0)).any():
            root = merge_roots(root, x[present & (s == 0)])
    basis = sep.null_basis(np.empty((0, columns.size)) if root is None else root, columns.size)
    if basis.shape[1] == 0:
        return None
    gains, moving = sep.row_gains(dense_design(some)[:, columns], signs, basis)
    held = gains[moving]
    held = held[:: max(1, held.shape[0] // FIRST)]
    for _ in range(ROUNDS):
        held = np.unique(np.round(held, 12), axis=0)
        direction = sep.largest_support(held) if held.size else None
        if direction is None:  # no direction moves any of these, nor any row in their span
            if held.size and np.linalg.matrix_rank(held) == basis.shape[1]:
                return None
            direction = np.zeros(basis.shape[1])
        bad, more, rows, all_signs = _check(batches(), likelihood.n, basis, held, direction)
        if bad.size:
            held = np.vstack([held, bad])
        elif more.size:
            held = np.vstack([held, more])
        elif not rows.any():
            return None
        else:

            def widen(directions: np.ndarray) -> np.ndarray:
                return _violated(batches(), directions)

            return sep.Found(rows, basis @ direction, held @ np.linalg.pinv(basis), all_signs, widen)
    return None


def _check(
    batches: Iterator[Any], n: int, basis: np.ndarray, held: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows that a direction moves the wrong way; a basis of those it leaves alone; those it separates; all signs."""
    least = sep.LEAST * max(1.0, float(np.abs(held @ direction).max(initial=0.0)))
    still = held[np.abs(held @ direction) <= least]
    span = np.linalg.svd(still, full_matrices=False)[2][: np.linalg.matrix_rank(still)] if still.size else still
    bad, more = np.empty((0, direction.size)), np.empty((0, direction.size))
    rows, all_signs = np.zeros(n, bool), np.zeros(n, np.int8)
    for start, x, signs, _ in batches:
        all_signs[start : start + signs.size] = signs
        gains, moving = sep.row_gains(x, signs, basis)
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


def _violated(batches: Iterator[Any], directions: np.ndarray) -> np.ndarray:
    """Rows, times their signs, that one of the directions (a column each) moves the wrong way."""
    found = []
    for _, x, signs, _ in batches:
        y = x[signs != 0] * signs[signs != 0, None]
        size = np.linalg.norm(y, axis=1)[:, None]
        gain = y @ directions / np.maximum(size, 1e-300)
        wrong = gain < -1e-7 * np.maximum(1.0, np.abs(directions).max(axis=0, initial=0.0))
        for k in np.flatnonzero(wrong.any(axis=0)):
            found.append((y / np.maximum(size, 1e-300))[np.argsort(gain[:, k])[:20]])
    return np.unique(np.round(np.vstack(found), 12), axis=0) if found else np.empty((0, directions.shape[0]))


__all__ = ["find_in_batches"]
