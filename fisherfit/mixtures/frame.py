"""The coordinates that Gaussian components are fitted in: rows centred and scaled, or whitened.

Working rows are u = forward (x - centre), with a lower triangular matrix of the largest group that the structure of
the covariances is invariant under: all of them, the diagonal ones, or multiples of the identity. What sets the scale
is robust, so that one wild row does not make the others indistinguishable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

BLOCK = 8192  # rows that are read at a time
SEEN = 100_000  # rows that medians are taken of
FAR = 20.0  # robust scales from the median beyond which a value counts as that far when the scale is set
SINGULAR = 1e-13  # share of its variance that a column must have apart from the earlier ones


@dataclass(frozen=True, eq=False)
class Frame:
    """u = forward (x - centre); x = centre + backward u.

    `spread` is the covariance of all rows in the working coordinates, robust as the scale is: (d, d).
    """

    centre: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    spread: np.ndarray

    @property
    def log_scale(self) -> float:
        """log |forward|: what a density of x has over that of u."""
        return float(np.log(np.diag(self.forward)).sum())

    def rows(self, x: np.ndarray) -> np.ndarray:
        """The working rows of data (n, d), rows last: (d, n)."""
        out = np.empty((x.shape[1], x.shape[0]))
        diagonal = not np.any(np.tril(self.forward, -1))
        scale = np.diag(self.forward)[:, None]
        for start in range(0, x.shape[0], BLOCK):
            part = x[start : start + BLOCK].T.astype(float) - self.centre[:, None]
            out[:, start : start + BLOCK] = part * scale if diagonal else self.forward @ part
        return out


def frame_of(x: np.ndarray, group: str, names: tuple[str, ...]) -> Frame:
    """The frame of data (n, d) for a structure invariant under "all" matrices, "columns" scaled, or "one" scale.

    Raises
    ------
    InputError
        Values that are not finite, a constant column, or with "all" a column that the others determine.
    """
    n, d = x.shape
    _check_finite(x, names)
    centre, scale, size = np.empty(d), np.empty(d), np.empty(d)
    step = max(1, n // SEEN)
    for j in range(d):
        column = x[:, j]
        low, high = float(column.min()), float(column.max())
        size[j] = max(abs(low), abs(high))
        if high - low <= 8.0 * np.finfo(float).eps * size[j]:
            raise InputError(
                f"column {names[j]!r} is constant ({high:.6g}), so that no variance can be estimated; leave it out"
            )
        centre[j], scale[j] = _robust(np.array(column[::step], float), low, high)
    moments = np.zeros((d, d))
    plain, total = np.zeros((d, d)), np.zeros(d)
    for start in range(0, n, BLOCK):
        part = (x[start : start + BLOCK].T.astype(float) - centre[:, None]) / scale[:, None]
        plain += part @ part.T
        total += part.sum(axis=1)
        np.clip(part, -FAR, FAR, out=part)
        moments += part @ part.T
    moments /= n
    if group == "one":
        common = float(np.exp(np.log(scale).mean()))
        relative = scale / common
        return _diagonal(centre, np.full(d, common), moments * relative[:, None] * relative)
    if group == "columns":
        return _diagonal(centre, scale, moments)
    noise = (16.0 * np.finfo(float).eps * size / scale) ** 2
    root, bad = _root(moments, SINGULAR + noise)
    if root is None:
        plain = plain / n - np.outer(total, total) / n**2
        root, bad = _root(plain, SINGULAR + noise)
        moments = plain
    if root is None:
        others = "the columns before it" if bad > 1 else f"column {names[0]!r}"
        few = f"; {n} rows cannot span {d} columns" if n <= d else ""
        raise InputError(
            f"column {names[bad]!r} is a linear function of {others}, so that the covariance is singular{few}; "
            "leave it out, or use covariance_type='diag'"
        )
    backward = scale[:, None] * root
    forward = np.linalg.solve(np.tril(root), np.eye(d)) / scale
    forward = np.tril(forward)
    return Frame(centre, forward, backward, forward @ (moments * scale[:, None] * scale) @ forward.T)


def _diagonal(centre: np.ndarray, scale: np.ndarray, spread: np.ndarray) -> Frame:
    return Frame(centre, np.diag(1.0 / scale), np.diag(scale), spread)


def _check_finite(x: np.ndarray, names: tuple[str, ...]) -> None:
    for start in range(0, x.shape[0], BLOCK):
        part = np.isfinite(x[start : start + BLOCK])
        if not part.all():
            row, column = np.argwhere(~part)[0]
            raise InputError(
                f"column {names[column]!r} has {float(x[start + row, column])!r} in row {start + row}; "
                "leave out rows without a finite value"
            )


def _robust(column: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The lower median, one of the values, and 0.74 of the interquartile range, or a cruder scale where that is 0."""
    at = [(len(column) - 1) // 4, (len(column) - 1) // 2, (3 * (len(column) - 1) + 3) // 4]
    first, middle, third = np.partition(column, at)[at]
    scale = (third - first) / 1.349
    if not scale > 1e-12 * (high - low):
        gap = column - middle
        largest = float(np.abs(gap).max())
        scale = float(np.sqrt(np.mean((gap / largest) ** 2))) * largest if largest > 0.0 else high - low
    return float(middle), float(scale)


def _root(covariance: np.ndarray, least: np.ndarray) -> tuple[np.ndarray | None, int]:
    """The lower Cholesky factor, or None and the first column whose pivot is too small a share of its variance."""
    d = len(covariance)
    rest, root = covariance.copy(), np.zeros((d, d))
    for j in range(d):
        if not rest[j, j] > least[j] * covariance[j, j]:
            return None, j
        root[j:, j] = rest[j:, j] / np.sqrt(rest[j, j])
        rest[j:, j:] -= np.outer(root[j:, j], root[j:, j])
    return root, -1


__all__ = ["Frame", "frame_of"]
