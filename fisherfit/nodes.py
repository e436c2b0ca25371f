"""Parameters at the nodes of a mean over their uncertainty, and the coordinates in which quantiles are searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from .uncertain import Predicted


@dataclass(frozen=True, eq=False)
class Nodes:
    theta: list[np.ndarray]
    complement: np.ndarray
    phi: np.ndarray | None
    weight: np.ndarray

    @property
    def arguments(self) -> list[np.ndarray]:
        return [*self.theta] if self.phi is None else [*self.theta, self.phi]


@dataclass(frozen=True, eq=False)
class Further:
    """Further parameters, normal given the linear predictor: mean a + b z and Cholesky factors, by row.

    `kinds` are their supports: positive ones are normal on the log scale, those of the unit interval on the logit's.
    """

    kinds: tuple[str, ...]
    centre: np.ndarray
    along: np.ndarray
    root: np.ndarray | None

    @classmethod
    def of(cls, rows: Predicted, uncertain: bool) -> Further:
        kinds = tuple(rows.family.parameters.values())[1:]
        value = rows.predictor.others
        n, k = rows.eta.size, len(kinds)
        centre, slope = np.empty(k), np.empty(k)
        with np.errstate(all="ignore"):
            for j, (kind, v) in enumerate(zip(kinds, value, strict=True)):
                centre[j] = np.log(v) if kind in _POSITIVE else special.logit(v) if kind == "unit" else v
                slope[j] = 1.0 / v if kind in _POSITIVE else 1.0 / (v * (1.0 - v)) if kind == "unit" else 1.0
        along = np.zeros((n, k))
        spread = rows.others * slope[:, None] * slope
        if not uncertain or not k or not np.isfinite(spread).all():
            return cls(kinds, centre, along, None)
        with np.errstate(all="ignore"):
            along = (rows.cross * slope[:, None] / np.sqrt(rows.variance)).T
        along = np.where(np.isfinite(along), along, 0.0)
        rest = spread - along[:, :, None] * along[:, None, :]
        values, vectors = np.linalg.eigh(rest)
        return cls(kinds, centre, along, vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes of standard normal variables, (count, K - 1), and weights."""
        k = len(self.kinds)
        if self.root is None:
            return np.zeros((1, k)), np.ones(1)
        x, weight = np.polynomial.hermite_e.hermegauss(14 if k == 1 else 7)
        grids = np.meshgrid(*[x] * k, indexing="ij")
        weights = np.prod(np.meshgrid(*[weight / weight.sum()] * k, indexing="ij"), axis=0)
        return np.stack([g.ravel() for g in grids], axis=1), weights.ravel()

    def at(self, rows: np.ndarray, z: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """Every further parameter as (rows, nodes of z, nodes of w)."""
        out = []
        for j, kind in enumerate(self.kinds):
            value = self.centre[j] + self.along[rows, j][:, None, None] * z[:, None]
            if self.root is not None:
                value = value + (self.root[rows, j] @ w.T)[:, None, :]
            out.append(_back(np.broadcast_to(value, (rows.size, z.size, w.shape[0])), kind))
        return out

    def draw(self, rows: np.ndarray, z: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        """A value of every further parameter for every row."""
        w = rng.standard_normal((rows.size, len(self.kinds)))
        value = self.centre + self.along[rows] * z[:, None]
        if self.root is not None:
            value = value + np.einsum("nij,nj->ni", self.root[rows], w)
        return [_back(value[:, j], kind) for j, kind in enumerate(self.kinds)]


_POSITIVE = ("positive", "nonnegative")


def _back(value: np.ndarray, kind: str) -> np.ndarray:
    return np.exp(value) if kind in _POSITIVE else special.expit(value) if kind == "unit" else np.asarray(value)


def inside(theta: np.ndarray, eta: np.ndarray, low: float, high: float, support: str) -> np.ndarray:
    """Parameters at linear predictors, those outside of their range at its end."""
    theta = np.where(np.isnan(theta) & (eta <= low), 0.0, theta)
    if support in _POSITIVE:
        return np.clip(theta, 2.3e-308, 1e300)
    return np.clip(theta, 0.0, 1.0) if support == "unit" else theta


class Coordinate:
    """y as a function of a coordinate on the real line, by the ends of the support."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def y(self, z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            if np.isfinite(self.low) and np.isfinite(self.high):
                return self.low + (self.high - self.low) * special.expit(z)
            if np.isfinite(self.low):
                return self.low + np.exp(np.clip(z, -740.0, 709.0))
            return self.high - np.exp(np.clip(z, -740.0, 709.0)) if np.isfinite(self.high) else np.asarray(z)

    def of(self, y: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The coordinate of y, and how far a standard deviation reaches."""
        with np.errstate(all="ignore"):
            if np.isfinite(self.low) and np.isfinite(self.high):
                share = np.clip((y - self.low) / (self.high - self.low), 1e-9, 1.0 - 1e-9)
                scale = sd / (self.high - self.low) / (share * (1.0 - share))
                return special.logit(share), np.clip(scale, 1e-6, 5.0)
            if np.isfinite(self.low):
                above = np.maximum(y - self.low, 1e-300)
                return np.log(above), np.clip(sd / above, 1e-12, 5.0)
            if np.isfinite(self.high):
                below = np.maximum(self.high - y, 1e-300)
                return np.log(below), np.clip(sd / below, 1e-12, 5.0)
            return y, sd


def log_student(y: np.ndarray, location: np.ndarray, scale: np.ndarray, df: float | None) -> np.ndarray:
    t = (y - location) / scale
    if df is None:
        return -0.5 * t * t - np.log(scale) - 0.5 * np.log(2.0 * np.pi)
    constant = special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df) - 0.5 * np.log(df * np.pi)
    return np.asarray(constant - np.log(scale) - 0.5 * (df + 1.0) * np.log1p(t * t / df))


__all__ = ["Coordinate", "Further", "Nodes", "inside", "log_student"]
