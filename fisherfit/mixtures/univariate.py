"""Components that are a family of one column each: no design, so that a parameter is a number of a component.

The M-step is a natural-gradient step under the information of the complete data. In the mean of an exponential family
that step is the M-step itself, the weighted mean; so are both of the normal family.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..kernels import EXPECTED, OBSERVED
from ..rowwise import base_terms_by_row
from .entries import Edge, Entry
from .marginals import FARTHEST, Marginal

LONGEST = 1.5  # what a coordinate without a closed form moves in a step of EM
COLLAPSED = 1e-3  # of what counts as narrow: no density
SHARE = 0.01  # of all rows, in every start: no component begins narrower than its data


@dataclass(frozen=True, eq=False)
class Univariate:
    """K components of one column.

    Parameters
    ----------
    marginals : tuple of Marginal
        The family of every component.
    y : array of shape (n,)
        The column, in the user's units.
    column : int
        Its number among the columns of the data.
    name : str, optional
        What stands with a parameter, as in ``mean[0,waiting]``; None where there is one column only.
    """

    marginals: tuple[Marginal, ...]
    y: np.ndarray
    column: int = 0
    name: str | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.y.size

    @property
    def count(self) -> int:
        """Number of components."""
        return len(self.marginals)

    @property
    def row_size(self) -> float:
        """Numbers that a row holds."""
        return 1.0

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """The parameters of every component, one component after the other."""
        ends = np.cumsum([0] + [m.size for m in self.marginals])
        return tuple(np.arange(a, b) for a, b in pairwise(ends))

    @property
    def size(self) -> int:
        """Length of phi."""
        return sum(m.size for m in self.marginals)

    @property
    def is_continuous(self) -> bool:
        """True where a component may collapse onto one value."""
        return any(m.size > 1 and not m.family.support.integer for m in self.marginals)

    @property
    def sums_size(self) -> int:
        """Numbers in a row of `sums`."""
        return sum(m.size + m.size**2 for m in self.marginals)

    @cached_property
    def working(self) -> tuple[np.ndarray, ...]:
        """The column as each component takes it."""
        known: dict[tuple[float, float], np.ndarray] = {}
        for m in self.marginals:
            if (m.shift, m.factor) not in known:
                known[m.shift, m.factor] = m.working(self.y)
        return tuple(known[m.shift, m.factor] for m in self.marginals)

    @cached_property
    def base(self) -> tuple[np.ndarray, ...]:
        """The terms of the log-densities that are free of the parameters."""
        known: dict[int, np.ndarray] = {}
        ones = np.ones(self.n)
        for m, z in zip(self.marginals, self.working, strict=True):
            if id(m) not in known:
                known[id(m)] = base_terms_by_row(m.kernels, z, ones, ones, 1.0) - np.log(m.factor)
        return tuple(known[id(m)] for m in self.marginals)

    @cached_property
    def ones(self) -> np.ndarray:
        """Unit weights."""
        return np.ones(self.n)

    def at(self, phi: np.ndarray) -> UnivariatePoint:
        """The components at S points."""
        return UnivariatePoint(self, phi)

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The M-step, or one natural-gradient step where there is no closed form."""
        out, at = phi.copy(), 0
        for k, m in enumerate(self.marginals):
            q, where = m.size, self.places[k]
            score = sums[:, at : at + q]
            information = sums[:, at + q : at + q + q * q].reshape(-1, q, q)
            at += q + q * q
            step = np.stack([_solved(a, b) for a, b in zip(information, score, strict=True)])
            out[:, where] = _moved(m, phi[:, where], step)
        return out

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: that of the family, and three steps."""
        phi = np.zeros(self.size)
        overall = weight.sum(axis=0)
        total = max(float(overall.sum()), 1e-300)
        smooth = weight + (SHARE * np.maximum(weight.sum(axis=1), 1e-12 * total) / total)[:, None] * overall
        for k, m in enumerate(self.marginals):
            phi[self.places[k]] = m.start(self.working[k], smooth[k])
        for _ in range(3):
            following = self.update(phi[None], self.at(phi[None]).rows(0, self.n, False).sums(smooth[None]))[0]
            if not np.all(np.isfinite(following)):
                break
            phi = following
        return phi

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order (of one family each)."""
        return np.concatenate([phi[self.places[k]] for k in order])

    def counting(self, count: int) -> Univariate:
        """As many components of the first one's family on the same rows."""
        return replace(self, marginals=(self.marginals[0],) * count)

    def take(self, rows: np.ndarray) -> Univariate:
        """The same components on some of the rows."""
        return replace(self, y=self.y[rows])

    def features(self) -> np.ndarray:
        """The column, on the scale of its spread: (n, 1)."""
        spread = self.marginals[0].spread
        return np.asarray((self.y - np.median(self.y)) / (spread if spread > 0.0 else 1.0))[:, None]

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components that have collapsed onto one value."""
        out = []
        for k, m in enumerate(self.marginals):
            if m.is_narrow(phi[self.places[k]]):
                value = m.reported(phi[self.places[k]])[0].value
                where = "" if self.name is None else f" in column {self.name!r}"
                out.append((k, f"component {k} has collapsed onto the value {value:.6g}{where}"))
        return out

    def entries(self, phi: np.ndarray) -> list[Entry]:
        """All parameters in the user's units."""
        out = []
        for k, m in enumerate(self.marginals):
            at = self.places[k]
            label = f"{k}" if self.name is None else f"{k},{self.name}"
            for j, p in enumerate(m.reported(phi[at])):
                row = np.zeros(self.size)
                row[at[j]] = p.slope
                out.append(Entry(k, self.column, f"{p.name}[{label}]", p.value, row, p.support))
        return out

    def edges(self, phi: np.ndarray) -> list[Edge]:
        """Coordinates that have run to an edge of the parameter space."""
        out = []
        for k, m in enumerate(self.marginals):
            at = self.places[k]
            out += [Edge(int(at[j]), -FARTHEST) for j in m.edges(phi[at])]
        return out

    def leading(self, phi: np.ndarray) -> list[float]:
        """What components are put in order by."""
        return [m.reported(phi[at])[0].value for m, at in zip(self.marginals, self.places, strict=True)]

    def sample(self, phi: np.ndarray, k: int, size: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
        """Draws of component k, by column."""
        return {self.column: self.marginals[k].sample(phi[self.places[k]], size, rng)}


def _solved(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The natural-gradient step; of the diagonal alone where the information is not positive definite."""
    diagonal = np.abs(np.diag(information))
    if len(score) == 2:
        determinant = information[0, 0] * information[1, 1] - information[0, 1] ** 2
        if information[0, 0] > 0.0 and determinant > 1e-12 * information[0, 0] * information[1, 1]:
            a, b = (
                information[1, 1] * score[0] - information[0, 1] * score[1],
                (information[0, 0] * score[1] - information[0, 1] * score[0]),
            )
            return np.array([a, b]) / determinant
    elif len(score) > 2 and np.all(np.isfinite(information)):
        values, vectors = np.linalg.eigh(information)
        if values[0] > 1e-12 * values[-1]:
            return np.asarray(vectors @ ((vectors.T @ score) / values))
    return np.asarray(score / diagonal)


def _moved(m: Marginal, phi: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The coordinates (S, q) after a step of EM."""
    out = phi + np.clip(step, -LONGEST, LONGEST) + 0.0 * step  # NaN stays
    link = m.kernels.links[0]
    if m.has_mean:
        mean = np.asarray(link.mean(phi[:, 0])) + np.asarray(link.slope(phi[:, 0])) * step[:, 0]
        if link.name == "identity":
            out[:, 0] = mean
        else:
            out[:, 0] = np.clip(link.forward(np.maximum(mean, 1e-300)), -FARTHEST, 700.0)
            out[np.isnan(mean), 0] = np.nan
    elif m.kernels.family.parameters and link.name == "identity":
        out[:, 0] = phi[:, 0] + step[:, 0]
    if m.is_normal:
        variance = np.exp(phi[:, 1]) * (1.0 + step[:, 1]) - (out[:, 0] - phi[:, 0]) ** 2
        out[:, 1] = np.log(variance)
    return out


class UnivariatePoint:
    """The components at S points."""

    def __init__(self, components: Univariate, phi: np.ndarray) -> None:
        self.components, self.phi = components, phi

    def rows(self, start: int, stop: int, informative: bool) -> UnivariateBlock:
        """A block of rows."""
        return UnivariateBlock(self, start, stop, informative)


class UnivariateBlock:
    """Rows of the components at S points: every family is evaluated once, with unit weights."""

    def __init__(self, point: UnivariatePoint, start: int, stop: int, informative: bool) -> None:
        c = self.components = point.components
        self.points, m = len(point.phi), stop - start
        self.log_density = np.empty((self.points, c.count, m))
        self.u: dict[tuple[int, int], np.ndarray] = {}
        self.w: dict[tuple[int, int], np.ndarray] = {}
        self.observed: dict[int, np.ndarray] = {}
        ones = c.ones[start:stop]
        for k, marginal in enumerate(c.marginals):
            q, kernel = marginal.size, marginal.kernels
            z, base = c.working[k][start:stop], c.base[k][start:stop]
            for s in range(self.points):
                eta = np.empty((q, m))
                eta[:] = point.phi[s, c.places[k]][:, None]
                u, w = np.empty((q + 1, m)), np.empty((q * (q + 1) // 2, m))
                kernel.rows(z, ones, eta, kernel.constants, EXPECTED, u, w)
                if marginal.is_narrow(point.phi[s, c.places[k]], COLLAPSED):
                    u[q] = np.nan
                np.add(u[q], base, out=self.log_density[s, k])
                self.u[s, k], self.w[s, k] = u[:q], w
                if informative:
                    self.observed[k] = np.empty_like(w)
                    kernel.rows(z, ones, eta, kernel.constants, OBSERVED, u[:q], self.observed[k])
        np.copyto(self.log_density, -np.inf, where=np.isnan(self.log_density))

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """Score and expected information of the complete data, component by component."""
        out = []
        for k in range(self.components.count):
            for_points = []
            for s in range(self.points):
                w = weight[s, k]
                for_points.append(np.concatenate([self.u[s, k] @ w, _full(self.w[s, k] @ w).ravel()]))
            out.append(np.stack(for_points))
        return np.concatenate(out, axis=1)

    def scores(self) -> list[np.ndarray]:
        """The complete-data scores of every row."""
        return [self.u[0, k] for k in range(self.components.count)]

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected and observed information of the complete data."""
        c = self.components
        out = np.zeros((2, c.size, c.size))
        for k, at in enumerate(c.places):
            out[0][np.ix_(at, at)] = _full(self.w[0, k] @ weight[k])
            out[1][np.ix_(at, at)] = _full(self.observed[k] @ weight[k])
        return out[0], out[1]


def _full(packed: np.ndarray) -> np.ndarray:
    """A symmetric matrix from its upper triangle, row by row."""
    q = int((np.sqrt(8 * packed.size + 1) - 1) // 2)
    out = np.empty((q, q))
    rows, columns = np.triu_indices(q)
    out[rows, columns] = out[columns, rows] = packed
    return out


__all__ = ["Univariate"]
