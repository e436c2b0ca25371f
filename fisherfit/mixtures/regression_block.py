"""A block of rows of the regressions at S points: densities, scores and information, all points in the same loops.

Components of one family and link go through its row kernel together, all points at once. Where the design is narrow
the products of its columns are made once for the block, so that the Gram matrices of all points and components are
one product of matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import EXPECTED, OBSERVED, Kernels

if TYPE_CHECKING:
    from .regression_point import RegressionPoint

NARROW = 12  # coefficients up to which the products of the columns are made
NOTHING = 800.0  # nats below the densest component at which the posterior of a row is exactly 0


class RegressionBlock:
    """Rows `start` to `stop`; families are evaluated with unit weights."""

    def __init__(self, point: RegressionPoint, start: int, stop: int, informative: bool) -> None:
        c = self.components = point.components
        self.points, self.m = len(point.phi), stop - start
        self.x = c.read(start, stop)
        eta = np.ascontiguousarray(point.beta.reshape(-1, c.width)) @ self.x
        if c.offset is not None:
            eta += c.offset[start:stop]
        eta = eta.reshape(self.points, c.count, self.m)
        self.log_density = np.empty((self.points, c.count, self.m))
        # of every one of `alike`: (parameters, S, its components, m) and (pairs of parameters, S, its components, m)
        self.u: list[np.ndarray] = []
        self.w: list[np.ndarray] = []
        self.observed: list[np.ndarray] = []
        for (kernel, which), base in zip(c.alike, c.base, strict=True):
            count, many = kernel.n_parameters, self.points * which.size
            shape = (self.points, which.size, self.m)
            predictors = np.empty((count, *shape))
            predictors[0] = eta[:, which] if which.size < c.count else eta
            for j, k in enumerate(which):
                predictors[1:, :, j] = point.rest[k].T[:, :, None]
            flat = predictors.reshape(count, -1)
            rows = *c.repeated(start, stop, many), flat, kernel.constants
            u, w = np.empty((count + 1, *shape)), np.empty((count * (count + 1) // 2, *shape))
            kernel.rows(*rows, EXPECTED, u.reshape(count + 1, -1), w.reshape(len(w), -1))
            value = u[count]
            value += base[start:stop]
            seen = w
            if informative and not canonical(kernel):
                seen = np.empty_like(w)
                kernel.rows(*rows, OBSERVED, np.empty((count + 1, flat.shape[1])), seen.reshape(len(w), -1))
            if not np.isfinite(value.sum() + u[:count].sum() + w.sum() + (seen.sum() if informative else 0.0)):
                _silence(value, u[:count], w, seen)
            self.log_density[:, which] = value
            self.u.append(u[:count])
            self.w.append(w)
            self.observed.append(seen)

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """Score and expected information of the complete data: (S, size + size^2)."""
        c = self.components
        size = c.size
        out = np.zeros((self.points, size + size * size))
        score, information = out[:, :size], out[:, size:].reshape(self.points, size, size)
        for (_, which), u, w in zip(c.alike, self.u, self.w, strict=True):
            r = weight[:, which]
            ur = u * r
            slopes = (ur[0].reshape(-1, self.m) @ self.x.T).reshape(*r.shape[:2], -1)
            own = np.concatenate([slopes, np.moveaxis(ur[1:].sum(axis=-1), 0, -1)], axis=-1)
            grams = self._grams(w * r)
            for j, k in enumerate(which):
                at = c.places[k]
                score[:, at] += own[:, j]
                information[:, at[:, None], at] += grams[:, j]
        return out

    def scores(self) -> list[np.ndarray]:
        """The complete-data scores of every row."""
        out: list[Any] = [None] * self.components.count
        for (_, which), u in zip(self.components.alike, self.u, strict=True):
            for j, k in enumerate(which):
                own = np.empty((len(self.x) + len(u) - 1, self.m))
                np.multiply(self.x, u[0, 0, j], out=own[: len(self.x)])
                own[len(self.x) :] = u[1:, 0, j]
                out[k] = own
        return out

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected and observed information of the complete data."""
        c = self.components
        out = np.zeros((2, c.size, c.size))
        for (_, which), w, seen in zip(c.alike, self.w, self.observed, strict=True):
            r = weight[None, which]
            expected = self._grams(w * r)[0]
            observed = expected if seen is w else self._grams(seen * r)[0]
            for j, k in enumerate(which):
                at = np.ix_(c.places[k], c.places[k])
                out[0][at] += expected[j]
                out[1][at] += observed[j]
        return out[0], out[1]

    def _grams(self, w: np.ndarray) -> np.ndarray:
        """Information of coefficients and further parameters from that of the predictors, (pairs, S, K, m)."""
        p, m = len(self.x), self.m
        count = int((np.sqrt(8 * len(w) + 1) - 1) // 2)
        shape = w.shape[1:3]
        out = np.empty((*shape, p + count - 1, p + count - 1))
        if p <= NARROW:
            out[..., :p, :p] = (w[0].reshape(-1, m) @ self._products.T)[:, _square(p)].reshape(*shape, p, p)
        else:
            for s, k in np.ndindex(*shape):
                out[s, k, :p, :p] = (self.x * w[0, s, k]) @ self.x.T
        pair = 0
        for i in range(count):
            for j in range(i, count):
                if i == 0 and j > 0:
                    cross = (w[pair].reshape(-1, m) @ self.x.T).reshape(*shape, p)
                    out[..., :p, p + j - 1] = out[..., p + j - 1, :p] = cross
                elif i > 0:
                    out[..., p + i - 1, p + j - 1] = out[..., p + j - 1, p + i - 1] = w[pair].sum(axis=-1)
                pair += 1
        return out

    @property
    def _products(self) -> np.ndarray:
        """The products of every pair of columns, (p (p + 1) / 2, m)."""
        found = self.__dict__.get("_kept")
        if found is None:
            p = len(self.x)
            found = self.__dict__["_kept"] = np.empty((p * (p + 1) // 2, self.m))
            at = 0
            for i in range(p):
                np.multiply(self.x[i], self.x[i:], out=found[at : at + p - i])
                at += p - i
        return np.asarray(found)


_squares: dict[int, np.ndarray] = {}


def _square(p: int) -> np.ndarray:
    """Where every entry of a symmetric matrix stands among its pairs, row by row."""
    if p not in _squares:
        out = np.empty((p, p), int)
        i, j = np.triu_indices(p)
        out[i, j] = out[j, i] = np.arange(i.size)
        _squares[p] = out.ravel()
    return _squares[p]


def canonical(kernel: Kernels) -> bool:
    """True where observed and expected information are the same."""
    return kernel.n_parameters == 1 and kernel.has_fisher and kernel.links[0].name == kernel.family.canonical_link


def _silence(value: np.ndarray, u: np.ndarray, w: np.ndarray, seen: np.ndarray) -> None:
    """Let rows whose density is 0, or not a number, add nothing: their posterior is 0, and 0 times NaN is NaN."""
    np.copyto(value, -np.inf, where=~(value < np.inf))
    nothing = (value == -np.inf) | (value < value.max(axis=1, keepdims=True) - NOTHING)
    for part in (u, w) if seen is w else (u, w, seen):
        np.copyto(part, 0.0, where=nothing)


__all__ = ["RegressionBlock", "canonical"]
