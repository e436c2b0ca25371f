"""Rows under Gaussian components: densities, sums for EM, scores and curvature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from . import gaussian_moments
from .curvature import Derivatives
from .gaussian_pass import em_pass, moments_pass
from .structures import Structure

LOG_2PI = float(np.log(2.0 * np.pi))
MANY = 1_000  # rows from which moments are used for the information
TURNED = 1e4  # largest coordinate of orthogonal axes


class GaussianPoint:
    """The components at S points: means, roots L of the covariances and their inverses."""

    def __init__(
        self, u: np.ndarray, structure: Structure, log_scale: float, collapsed: float, phi: np.ndarray
    ) -> None:
        self.u, self.structure = u, structure
        self.mean, self.v, self.turn = structure.unpack(phi)
        self.q = structure.axes_of(self.turn)
        half = np.exp(0.5 * self.v)
        self.root = self.q * half[..., None, :]
        inverse = np.swapaxes(self.q, -1, -2) if structure.axes == "orthogonal" else self._inverse()
        self.inverse = inverse / half[..., None]
        with np.errstate(all="ignore"):
            usable = (np.exp(self.v) >= collapsed).all(axis=-1) & np.isfinite(self.inverse).all(axis=(-2, -1))
            if structure.axes == "orthogonal":  # so far out Q is orthogonal no more, and there is no density
                usable &= (np.abs(self.turn) <= TURNED).all(axis=-1)
        self.constant = np.where(
            usable, log_scale - 0.5 * (structure.d * LOG_2PI + self.v.sum(axis=-1)), np.nan
        )  # fmt: skip

    def _inverse(self) -> np.ndarray:
        if self.structure.axes == "none":
            return self.q
        bad = ~np.isfinite(self.q).all(axis=(-2, -1), keepdims=True)
        return np.asarray(np.where(bad, np.nan, np.linalg.inv(np.where(bad, np.eye(self.structure.d), self.q))))

    @cached_property
    def steepness(self) -> float:
        """The largest number that cancels where log f_k is a combination of 1, u and uu'."""
        quadratic = (self.inverse**2).sum(axis=(-2, -1))
        centre = ((self.inverse @ self.mean[..., None]) ** 2).sum(axis=(-2, -1))
        found = np.where(np.isfinite(self.constant), quadratic + centre, 0.0)
        return float(found.max(initial=0.0))

    @cached_property
    def derivatives(self) -> list[Derivatives]:
        """Derivatives of every component, at the first point."""
        return [
            Derivatives(self.structure, self.v[0, k], self.turn[0, k], self.q[0, k], self.inverse[0, k])
            for k in range(self.structure.count)
        ]

    @property
    def n_moments(self) -> int:
        """The number of monomials that the observed information is made from."""
        return gaussian_moments.size_of(self.structure.d, self.structure.axes == "none")

    @property
    def by_moments(self) -> bool:
        """True where the observed information is had from moments of the rows: many, whose digits do not cancel."""
        few = self.u.shape[1] < MANY or self.n_moments > gaussian_moments.MOST
        return not few and self.steepness <= gaussian_moments.STEEP

    @property
    def louis_pass(self) -> Callable[..., np.ndarray] | None:
        """The pass for the observed information in one loop, where it is had from moments."""
        return partial(moments_pass, self) if self.by_moments else None

    def louis(
        self, total: np.ndarray, pi: np.ndarray, places: list[np.ndarray], size: int
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Log-likelihood, score, complete and observed information from the sums of `louis_pass`.

        `places` are those of the proportions and of a component in theta, of length `size`; without the information
        about the proportions of the complete data.
        """
        mixed = np.eye(pi.size)[:, 1:] - pi[1:]
        found = total[:-1].reshape(-1, self.n_moments)
        return float(total[-1]), *gaussian_moments.information(self, found, mixed, places, size)

    def rows(self, start: int, stop: int, informative: bool) -> GaussianBlock:
        """A block of rows."""
        return GaussianBlock(self, start, stop)

    def em_pass(self, log_weights: np.ndarray, weight: np.ndarray, start: int, stop: int) -> np.ndarray:
        """The sums of a pass of EM in one loop, where proportions (S, K) are those of all rows: (S, 1 + K + L)."""
        found = em_pass(self, log_weights, weight, start, stop)
        sums = found[:, 1:].reshape(*self.mean.shape[:2], -1)
        return np.concatenate([found[:, :1], sums[:, :, 0], found[:, 1:]], axis=1)

    def moments(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights (S, K), means (S, K, d) and scatters about them (S, K, d, d) from the sums of blocks."""
        d = self.structure.d
        sums = sums.reshape(*self.mean.shape[:2], -1)
        n, first = sums[..., 0], sums[..., 1 : 1 + d]
        second = np.zeros((*n.shape, d, d))
        if self.structure.axes == "none":
            second[..., np.arange(d), np.arange(d)] = sums[..., 1 + d :]
        else:
            rows, columns = np.tril_indices(d)
            second[..., rows, columns] = second[..., columns, rows] = sums[..., 1 + d :]
        with np.errstate(all="ignore"):
            centre = first / n[..., None]
            second -= n[..., None, None] * centre[..., :, None] * centre[..., None, :]
            mean = self.mean + (self.root @ centre[..., None])[..., 0]
            return n, mean, self.root @ second @ np.swapaxes(self.root, -1, -2)


class GaussianBlock:
    """Rows of the components at S points."""

    def __init__(self, point: GaussianPoint, start: int, stop: int) -> None:
        self.point, self.m = point, stop - start
        self.points, self.count, self.d = point.mean.shape
        self.u = point.u[:, start:stop]
        self.kept: np.ndarray | None = None
        self.log_density = np.empty((self.points, self.count, self.m))
        for s in range(self.points):
            z = self.z_of(s)
            if self.points == 1:
                self.kept = z
            self.log_density[s] = point.constant[s][:, None] - 0.5 * np.square(z).sum(axis=1)

    def z_of(self, s: int) -> np.ndarray:
        """L^-1 (u - mean) for all components at a point: (K, d, m)."""
        if self.kept is not None:
            return self.kept
        inverse, gap = self.point.inverse[s], self.u - self.point.mean[s][..., None]
        if self.point.structure.axes == "none":
            return np.asarray(gap * np.diagonal(inverse, axis1=1, axis2=2)[..., None])
        return np.asarray(inverse @ gap)

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """Sums of (1, z, vech zz'), or along the axes of the diagonals, component by component: (S, L)."""
        aligned, d = self.point.structure.axes == "none", self.d
        out = np.empty((self.points, self.count, 1 + 2 * d if aligned else 1 + d + d * (d + 1) // 2))
        rows, columns = np.tril_indices(d)
        for s in range(self.points):
            z, w = self.z_of(s), weight[s]
            out[s, :, 0], out[s, :, 1 : 1 + d] = w.sum(axis=1), (z @ w[..., None])[..., 0]
            if aligned:
                out[s, :, 1 + d :] = (np.square(z) @ w[..., None])[..., 0]
            else:
                out[s, :, 1 + d :] = ((z * w[:, None]) @ np.swapaxes(z, 1, 2))[:, rows, columns]
        return out.reshape(self.points, -1)

    def scores(self) -> list[np.ndarray]:
        """For every component, d log f_k / d its coordinates of every row: (places[k].size, m)."""
        z = self.z_of(0)
        return [own.scores(z[k]) for k, own in enumerate(self.point.derivatives)]

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Complete-data information of the rows with weights (K, m): expected and observed."""
        structure, every = self.point.structure, self.z_of(0)
        out = np.zeros((2, structure.size, structure.size))
        for k, own in enumerate(self.point.derivatives):
            z, w, at = every[k], weight[k], np.ix_(structure.places[k], structure.places[k])
            expected, observed = own.information(float(w.sum()), z @ w, (z * w) @ z.T)
            out[0][at] += expected
            out[1][at] += observed
        return out[0], out[1]


__all__ = ["GaussianBlock", "GaussianPoint"]
