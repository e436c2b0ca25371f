"""Derivatives of a Gaussian log-density in the coordinates of its structure, to second order.

With z = L^-1 (u - mean) and Sigma = L L', a change (dm, dS) of mean and covariance is delta = L^-1 dm and
E = L^-1 dS L^-T, and

    D log f   = delta'z + (z'E z - tr E) / 2
    -D^2 log f = delta'delta + 2 delta'E z + z'E E z - tr(E E) / 2 - (z'E2 z - tr E2) / 2,

E2 = L^-1 d^2S L^-T being the curvature of the parametrisation. Sigma = Q exp(v) Q' gives E = dv + W + W',
W = exp(-v/2) Q^-1 dQ exp(v/2). Second derivatives come summed over rows, from n, b = sum w z and M = sum w zz'.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .structures import Structure


class Derivatives:
    """One component at one point; its coordinates are the mean, own v, own axes, shared v, shared axes."""

    def __init__(
        self, structure: Structure, v: np.ndarray, turn: np.ndarray, q: np.ndarray, inverse: np.ndarray
    ) -> None:
        self.structure, self.inverse = structure, inverse
        self.half, self.q, self.turn = np.exp(0.5 * v), q, turn
        self.dv = structure.contrasts  # (p, d)

    @cached_property
    def turning(self) -> np.ndarray:
        """The coordinates of the axes among those of the covariance."""
        a, b, c, e = self.structure.sizes
        return np.concatenate([a + np.arange(b), a + b + c + np.arange(e)])

    @cached_property
    def _turns(self) -> tuple[np.ndarray, np.ndarray]:
        """Q^-1 dQ for every coordinate of the axes, and what d^2Q is made of: N = dA (I - A)^-1. Both (pairs, d, d)."""
        d, (rows, columns) = self.structure.d, self.structure.lower
        pairs = rows.size
        unit = np.zeros((pairs, d, d))
        unit[np.arange(pairs), rows, columns] = 1.0
        if self.structure.axes == "triangular":
            return np.linalg.inv(self.q) @ unit, unit
        unit[np.arange(pairs), columns, rows] = -1.0
        skew = np.zeros((d, d))
        skew[rows, columns], skew[columns, rows] = self.turn, -self.turn
        n = unit @ np.linalg.inv(np.eye(d) - skew)
        return 2.0 * np.linalg.inv(np.eye(d) + skew) @ n, n

    @cached_property
    def w(self) -> np.ndarray:
        """exp(-v/2) Q^-1 dQ exp(v/2) for every coordinate of the axes: (pairs, d, d)."""
        return self._turns[0] / self.half[:, None] * self.half

    @cached_property
    def e(self) -> np.ndarray:
        """L^-1 dS L^-T for every coordinate of the covariance: (p, d, d)."""
        d = self.structure.d
        out = np.zeros((len(self.dv), d, d))
        out[:, np.arange(d), np.arange(d)] = self.dv
        if self.turning.size:
            out[self.turning] += self.w + np.swapaxes(self.w, -1, -2)
        return out

    @cached_property
    def coefficients(self) -> np.ndarray:
        """What the score of the covariance has for every product z_i z_j, i >= j: (p, d (d + 1) / 2)."""
        rows, columns = np.tril_indices(self.structure.d)
        return np.ascontiguousarray(np.where(rows == columns, 0.5, 1.0) * self.e[:, rows, columns])

    def scores(self, z: np.ndarray) -> np.ndarray:
        """d log f / d coordinates of rows (d, m): (d + p, m)."""
        d, m = z.shape
        out = np.empty((d + len(self.dv), m))
        if self.structure.axes == "none":
            np.multiply(np.diag(self.inverse)[:, None], z, out=out[:d])
            np.matmul(0.5 * self.dv, z * z - 1.0, out=out[d:])
            return out
        np.matmul(self.inverse.T, z, out=out[:d])
        products, at = np.empty((d * (d + 1) // 2, m)), 0
        for i in range(d):
            np.multiply(z[: i + 1], z[i], out=products[at : at + i + 1])
            products[at + i] -= 1.0
            at += i + 1
        np.matmul(self.coefficients, products, out=out[d:])
        return out

    def information(self, n: float, b: np.ndarray, moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Minus the second derivative, expected and observed, from n, b and M: two of (d + p, d + p)."""
        d, p = self.structure.d, len(self.dv)
        expected, observed = np.zeros((d + p, d + p)), np.zeros((d + p, d + p))
        expected[:d, :d] = observed[:d, :d] = n * (self.inverse.T @ self.inverse)
        surplus = moment - n * np.eye(d)
        if self.structure.axes == "none":
            expected[d:, d:] = 0.5 * n * (self.dv @ self.dv.T)
            observed[d:, d:] = expected[d:, d:] + 0.5 * (self.dv * np.diag(surplus)) @ self.dv.T
            cross = (self.inverse.T * b) @ self.dv.T
        else:
            flat = self.e.reshape(p, -1)
            expected[d:, d:] = 0.5 * n * (flat @ flat.T)
            twice = flat @ (surplus @ self.e).reshape(p, -1).T
            observed[d:, d:] = expected[d:, d:] + 0.5 * (twice + twice.T) - 0.5 * self._bend(surplus)
            cross = self.inverse.T @ (self.e @ b).T
        observed[:d, d:], observed[d:, :d] = cross, cross.T
        return expected, observed

    def _bend(self, c: np.ndarray) -> np.ndarray:
        """tr(E2 C) for every pair of coordinates of the covariance: (p, p)."""
        out = (self.dv * np.diag(c)) @ self.dv.T
        if not self.turning.size:
            return np.asarray(out)
        pairs = len(self.w)
        along = c @ self.w
        mixed = 2.0 * np.diagonal(along, axis1=1, axis2=2) @ self.dv.T
        out[self.turning] += mixed
        out[:, self.turning] += mixed.T
        two = 2.0 * along.reshape(pairs, -1) @ self.w.reshape(pairs, -1).T
        if self.structure.axes == "orthogonal":
            d, (rows, columns) = self.structure.d, self.structure.lower
            skew = np.zeros((d, d))
            skew[rows, columns], skew[columns, rows] = self.turn, -self.turn
            right = self.half[:, None] * c / self.half @ np.linalg.inv(np.eye(d) + skew)
            n = self._turns[1]
            product = n.reshape(pairs, -1) @ np.swapaxes(n @ right, -1, -2).reshape(pairs, -1).T
            two = two + 4.0 * (product + product.T)
        out[np.ix_(self.turning, self.turning)] += two
        return np.asarray(out)


__all__ = ["Derivatives"]
