"""Components that are regressions: a family and its links for each, on one design.

The first parameter of a family has the design; further parameters (a dispersion, a precision) are a constant of each
component, on the scale of their link. Coefficients of some columns may be shared by all components. Everything is in
the standardised coordinates of the design.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import coordinates
from ..blocks import Design
from ..kernels import EXPECTED, OBSERVED, Kernels
from ..likelihood import expand
from ..linalg import cholesky
from ..rowwise import base_terms_by_row
from .parameters import Parameters

SCALES = {"normal": 0.5, "student_t": 1.0}  # the power of the second parameter that is a scale of the response
NARROW = 0.02  # a scale below this share of the largest may belong to a handful of rows
VANISHED = 1e-5  # and below this it belongs to rows that are fitted exactly


@dataclass(frozen=True, eq=False)
class Regressions:
    """K regressions of y on a design.

    Parameters
    ----------
    kernels : tuple of Kernels
        Those of every component.
    design : Design
        The columns of the first parameter.
    y, trials : array of shape (n,)
        The response, and for the binomial family the trials (ones elsewhere).
    offset : array of shape (n,), optional
    shared : boolean array of shape (width,)
        The columns whose coefficient all components have in common.
    """

    kernels: tuple[Kernels, ...]
    design: Design
    y: np.ndarray
    trials: np.ndarray
    offset: np.ndarray | None
    shared: np.ndarray
    responses = 1  # the first column of `features`

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.y.size

    @property
    def count(self) -> int:
        """Number of components."""
        return len(self.kernels)

    @property
    def row_size(self) -> float:
        """Numbers that a row holds."""
        return self.design.row_size + 2.0

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """Own coefficients and further parameters component by component, then the shared coefficients."""
        own, out, start = int((~self.shared).sum()), [], 0
        ends = np.cumsum([own + kernel.n_parameters - 1 for kernel in self.kernels])
        common = ends[-1] + np.arange(int(self.shared.sum()))
        for kernel, end in zip(self.kernels, ends, strict=True):
            beta = np.empty(self.design.width, int)
            beta[~self.shared], beta[self.shared] = start + np.arange(own), common
            out.append(np.concatenate([beta, start + own + np.arange(kernel.n_parameters - 1)]))
            start = end
        return tuple(out)

    @property
    def size(self) -> int:
        """Length of phi."""
        return int(max(at.max() for at in self.places)) + 1

    @cached_property
    def lower(self) -> np.ndarray:
        """The least value of every coordinate: 0 for a further parameter that may be 0 (alpha), else none."""
        out = np.full(self.size, -np.inf)
        for kernel, at in zip(self.kernels, self.places, strict=True):
            for support, link, place in zip(
                list(kernel.family.parameters.values())[1:], kernel.links[1:], at[self.design.width :], strict=True
            ):
                if support == "nonnegative" and link.name == "identity":
                    out[place] = 0.0
        return out

    @cached_property
    def base(self) -> np.ndarray:
        """The terms of the log-densities that are free of the parameters: (K, n)."""
        found: dict[Any, np.ndarray] = {}
        ones = np.ones(self.n)
        for kernel in self.kernels:
            if kernel.family not in found:
                divides = kernel.family.takes_trials
                share = np.where(self.trials > 0.0, self.trials, 1.0) if divides else ones
                factor = (self.trials > 0.0).astype(float) if divides else ones
                found[kernel.family] = base_terms_by_row(kernel, self.y, factor, share, 1.0)
        return np.stack([found[kernel.family] for kernel in self.kernels])

    def at(self, phi: np.ndarray) -> RegressionPoint:
        """The components at S points."""
        return RegressionPoint(self, phi)

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """One natural-gradient step under the information of the complete data: the M-step, or near it."""
        out, size = phi.copy(), self.size
        for s, row in enumerate(sums):
            factor = cholesky(row[size:].reshape(size, size))
            out[s] += np.nan if factor is None else factor.solve(row[:size])
        return out

    def take(self, rows: np.ndarray) -> Regressions:
        """The same components on some of the rows."""
        offset = None if self.offset is None else self.offset[rows]
        out = replace(
            self, design=self.design.take(rows), y=self.y[rows], trials=self.trials[rows], offset=offset
        )  # fmt: skip
        if "base" in self.__dict__:
            out.__dict__["base"] = self.base[:, rows]
        return out

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order (of one family each)."""
        out = phi.copy()
        for k, other in enumerate(order):
            out[self.places[k]] = phi[self.places[other]]
        return out

    def features(self) -> np.ndarray:
        """The response and the columns, standardised."""
        x = expand(self.design, 0, self.n)[:, int(self.design.intercept) :]
        columns = np.column_stack([self.y, x])
        spread = columns.std(axis=0)
        return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0))

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: three natural-gradient steps of every component on its share of the rows."""
        phi = np.zeros(self.size)
        width = self.design.width
        for k, (kernel, at) in enumerate(zip(self.kernels, self.places, strict=True)):
            theta = kernel.family.start(self.y, np.maximum(weight[k], 1e-12) * self.trials)
            phi[at[width:]] = [float(link.forward(v)) for link, v in zip(kernel.links[1:], theta[1:], strict=True)]
            if self.design.intercept:
                phi[at[0]] = float(kernel.links[0].forward(theta[0]))
        for _ in range(3):
            block = self.at(phi[None]).rows(0, self.n, False)
            following = self.update(phi[None], block.sums(weight[None]))[0]
            if not np.all(np.isfinite(following)):
                break
            phi = following
        return phi

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components of a family with a scale whose residuals have vanished beside those of another."""
        shares = self.narrowness(phi) * NARROW**2
        return [
            (k, f"component {k} fits its rows exactly: its scale is {np.sqrt(share):.1g} of the largest")
            for k, share in enumerate(shares)
            if not share >= VANISHED**2
        ]

    def narrowness(self, phi: np.ndarray) -> np.ndarray:
        """The squared scale of every component, in units of `NARROW` of the largest squared: (K,); inf without one."""
        scale = np.full(self.count, np.inf)
        for k, (kernel, at) in enumerate(zip(self.kernels, self.places, strict=True)):
            power = SCALES.get(kernel.family.name)
            if power is not None and kernel.n_parameters > 1:
                scale[k] = float(kernel.links[1].mean(phi[at[self.design.width]])) ** power
        has = np.isfinite(scale)
        scale[has] /= max(scale[has].max(initial=0.0), 1e-300) * NARROW
        return np.asarray(scale**2)

    def order(self, phi: np.ndarray) -> np.ndarray:
        """Ascending in the first coefficient that is not shared, then in the next ones."""
        width = self.design.width
        own = np.stack([self.design.to_user(phi[at[:width]])[~self.shared] for at in self.places])
        return np.lexsort(own.T[::-1]) if own.shape[1] else np.arange(self.count)

    def report(self, phi: np.ndarray) -> Parameters:
        """Coefficients on the columns as given, further parameters by their own names and on their own scales."""
        width = self.design.width
        contrast = np.stack([coordinates.contrast(self.design, j) for j in range(width)])
        names, values, rows, supports = [], [], [], []

        def add(name: str, value: float, row: np.ndarray, support: str) -> None:
            names.append(name)
            values.append(value)
            rows.append(row)
            supports.append(support)

        for shared in (False, True):
            for k, at in enumerate(self.places[:1] if shared else self.places):
                beta = self.design.to_user(phi[at[:width]])
                for j in np.flatnonzero(self.shared == shared):
                    row = np.zeros(self.size)
                    row[at[:width]] = contrast[j]
                    add(self.design.names[j] + ("" if shared else f"[{k}]"), float(beta[j]), row, "real")
                kernel = self.kernels[k]
                further = list(kernel.family.parameters.items())[1:]
                for (name, support), link, place in zip(
                    () if shared else further, kernel.links[1:], at[width:], strict=False
                ):
                    row = np.zeros(self.size)
                    row[place] = float(link.slope(phi[place]))
                    value = float(link.mean(phi[place]))
                    add(f"{name}[{k}]", value, row, "positive" if support == "nonnegative" else support)
        return Parameters(tuple(names), np.array(values), np.stack(rows), tuple(supports))


class RegressionPoint:
    """The regressions at S points."""

    def __init__(self, components: Regressions, phi: np.ndarray) -> None:
        self.components, self.phi = components, phi
        width = components.design.width
        self.beta = np.stack([phi[:, at[:width]] for at in components.places], axis=1)  # (S, K, width)
        self.rest = [phi[:, at[width:]] for at in components.places]

    def rows(self, start: int, stop: int, informative: bool) -> RegressionBlock:
        """A block of rows."""
        return RegressionBlock(self, start, stop, informative)


class RegressionBlock:
    """Rows of the regressions at S points: every family is evaluated once, with unit weights."""

    def __init__(self, point: RegressionPoint, start: int, stop: int, informative: bool) -> None:
        c = self.components = point.components
        self.points, self.m = len(point.phi), stop - start
        self.x = np.ascontiguousarray(expand(c.design, start, stop).T)
        y, trials = c.y[start:stop], c.trials[start:stop]
        eta = point.beta.reshape(-1, c.design.width) @ self.x
        if c.offset is not None:
            eta += c.offset[start:stop]
        eta = eta.reshape(self.points, c.count, self.m)
        self.log_density = np.empty((self.points, c.count, self.m))
        self.u: dict[tuple[int, int], np.ndarray] = {}
        self.w: dict[tuple[int, int], np.ndarray] = {}
        self.observed: dict[int, np.ndarray] = {}
        for k, kernel in enumerate(c.kernels):
            count = kernel.n_parameters
            for s in range(self.points):
                predictors = np.empty((count, self.m))
                predictors[0], predictors[1:] = eta[s, k], point.rest[k][s][:, None]
                u, w = np.empty((count + 1, self.m)), np.empty((count * (count + 1) // 2, self.m))
                kernel.rows(y, trials, predictors, kernel.constants, EXPECTED, u, w)
                self.log_density[s, k] = u[count] + c.base[k, start:stop]
                self.u[s, k], self.w[s, k] = u[:count], w
                if informative:
                    self.observed[k] = np.empty_like(w)
                    kernel.rows(y, trials, predictors, kernel.constants, OBSERVED, u[:count], self.observed[k])
        np.copyto(self.log_density, -np.inf, where=np.isnan(self.log_density))

    def sums(self, weight: np.ndarray) -> np.ndarray:
        """Score and expected information of the complete data: (S, size + size^2)."""
        c = self.components
        size = c.size
        out = np.zeros((self.points, size + size * size))
        for s in range(self.points):
            score, information = out[s, :size], out[s, size:].reshape(size, size)
            for k in range(c.count):
                at = c.places[k]
                u = self.u[s, k] * weight[s, k]
                score[at] += np.concatenate([self.x @ u[0], u[1:].sum(axis=1)])
                information[np.ix_(at, at)] += self._gram(self.w[s, k], weight[s, k])
        return out

    def scores(self) -> list[np.ndarray]:
        """The complete-data scores of every row."""
        return [np.concatenate([self.x * self.u[0, k][0], self.u[0, k][1:]]) for k in range(self.components.count)]

    def curvature(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected and observed information of the complete data."""
        c = self.components
        out = np.zeros((2, c.size, c.size))
        for k, at in enumerate(c.places):
            out[0][np.ix_(at, at)] += self._gram(self.w[0, k], weight[k])
            out[1][np.ix_(at, at)] += self._gram(self.observed[k], weight[k])
        return out[0], out[1]

    def _gram(self, w: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The information of a component's coefficients and further parameters from that of its predictors."""
        count, p = int((np.sqrt(8 * len(w) + 1) - 1) // 2), len(self.x)
        out = np.empty((p + count - 1, p + count - 1))
        w = w * weight
        out[:p, :p] = (self.x * w[0]) @ self.x.T
        pair = 0
        for i in range(count):
            for j in range(i, count):
                if i == 0 and j > 0:
                    out[:p, p + j - 1] = out[p + j - 1, :p] = self.x @ w[pair]
                elif i > 0:
                    out[p + i - 1, p + j - 1] = out[p + j - 1, p + i - 1] = w[pair].sum()
                pair += 1
        return out


__all__ = ["Regressions"]
