"""Components that are regressions: a family and its links for each, on one design.

The first parameter of a family has the design; further parameters (a dispersion, a precision) are a constant of each
component, on the scale of their link. Coefficients of some columns, and further parameters, may be shared by all
components. Everything is in the standardised coordinates of the design.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import coordinates
from ..blocks import Design
from ..errors import InputError
from ..kernels import Kernels
from ..likelihood import expand, plan
from ..linalg import cholesky
from ..rowwise import base_terms_by_row
from .entries import Edge
from .further import Further, further_of
from .parameters import Parameters
from .regression_point import RegressionPoint

DENSITY = 40.0  # multiplications that a density and its posterior cost as much as
KEPT, BLOCKS = 200_000, 32  # numbers and blocks of repeated responses that are kept
FEW = 20_000  # rows that a start is made from at the most
COLLAPSED = 1e-6  # a standard deviation, over that of all responses, which says that a component fits a few rows
NARROW = 0.02  # a scale below this share of the largest may belong to a handful of rows
NOUGHT, FARTHEST = 1e-8, 60.0  # a dispersion, times the largest response, that is 0; its logarithm is held at -60
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
        The columns, in the order in which the design has them, whose coefficient all components have in common.
    shared_further : tuple of str
        Further parameters, by the names under which they are reported, that all components have in common.
    free : boolean array of shape (width,), optional
        False for columns that are left out (their coefficient is 0) because they are combinations of others.
    """

    kernels: tuple[Kernels, ...]
    design: Design
    y: np.ndarray
    trials: np.ndarray
    offset: np.ndarray | None
    shared: np.ndarray
    shared_further: tuple[str, ...] = ()
    free: np.ndarray | None = None
    spread: float = field(default=0.0)
    responses = 1  # the first column of `features`

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is kept besides can be had again, and may not be picklable."""
        return {own.name: getattr(self, own.name) for own in fields(self)}

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

    @property
    def dimensions(self) -> int:
        """Rows, but one, that determine a dispersion; 0 where all responses are counts, so that none can collapse."""
        counts = all(kernel.family.support.integer for kernel in self.kernels)
        return 0 if counts else 1 + self.width - int(self.design.intercept)

    @cached_property
    def columns(self) -> np.ndarray:
        """The internal places of the columns that have a coefficient."""
        return np.arange(self.design.width) if self.free is None else np.flatnonzero(self.free)

    @property
    def width(self) -> int:
        """Number of coefficients of a component."""
        return int(self.columns.size)

    @cached_property
    def further(self) -> tuple[tuple[Further, ...], ...]:
        """The further parameters of every component."""
        return tuple(further_of(kernel.family) for kernel in self.kernels)

    @cached_property
    def alike(self) -> tuple[tuple[Kernels, np.ndarray], ...]:
        """Kernels with the components that have them: these are evaluated together."""
        found: list[tuple[Kernels, list[int]]] = []
        for k, kernel in enumerate(self.kernels):
            at = next((where for other, where in found if same_kernel(other, kernel)), None)
            if at is None:
                found.append((kernel, [k]))
            else:
                at.append(k)
        return tuple((kernel, np.array(at)) for kernel, at in found)

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """Own coefficients and further parameters component by component, then what is shared."""
        shared = self.shared[self.columns]
        at, out = 0, []
        for further in self.further:
            place = np.full(self.width + len(further), -1)
            own = np.concatenate([~shared, [f.name not in self.shared_further for f in further]]).astype(bool)
            place[own] = at + np.arange(int(own.sum()))
            at += int(own.sum())
            out.append(place)
        for place in out:
            place[place < 0] = at + np.arange(int((place < 0).sum()))
        return tuple(out)

    @cached_property
    def size(self) -> int:
        """Length of phi."""
        return max((int(at.max()) + 1 for at in self.places if at.size), default=0)

    @cached_property
    def lower(self) -> np.ndarray:
        """The least value of every coordinate: 0 for a further parameter that may be 0 (alpha), else none."""
        out = np.full(self.size, -np.inf)
        for kernel, at in zip(self.kernels, self.places, strict=True):
            for support, link, place in zip(
                list(kernel.family.parameters.values())[1:], kernel.links[1:], at[self.width :], strict=True
            ):
                if support == "nonnegative" and link.name == "identity":
                    out[place] = 0.0
        return out

    @cached_property
    def base(self) -> np.ndarray:
        """The terms of the log-densities that are free of the parameters: a row for each of `alike`."""
        ones = np.ones(self.n)
        out = []
        for kernel, _ in self.alike:
            divides = kernel.family.takes_trials
            share = np.where(self.trials > 0.0, self.trials, 1.0) if divides else ones
            factor = (self.trials > 0.0).astype(float) if divides else ones
            out.append(base_terms_by_row(kernel, self.y, factor, share, 1.0))
        return np.stack(out)

    @cached_property
    def address(self) -> int:
        """Where the machine code of the row kernel is, if all components have the same one; else 0."""
        return self.alike[0][0].address() if len(self.alike) == 1 else 0

    @property
    def dearness(self) -> float:
        """What the information of the rows costs, in steps of EM, where both are one loop."""
        if not self.address:
            return float(np.inf)
        gram = 0.5 * self.width**2
        return 1.0 + 0.5 * (self.count + 1) * gram / (gram + 2.0 * self.width + DENSITY)

    def read(self, start: int, stop: int) -> np.ndarray:
        """The columns that have a coefficient, of some rows: (width, m). Few numbers are kept."""
        if self.n * self.width > KEPT:
            return self._expanded(start, stop)
        return np.ascontiguousarray(self._read[:, start:stop])

    @cached_property
    def _read(self) -> np.ndarray:
        return self._expanded(0, self.n)

    def _expanded(self, start: int, stop: int) -> np.ndarray:
        x = expand(self.design, start, stop).T
        return np.ascontiguousarray(x if self.free is None else x[self.columns])

    def repeated(self, start: int, stop: int, many: int) -> tuple[np.ndarray, np.ndarray]:
        """The responses and trials of some rows so many times over; those used last are kept where they are few."""
        kept: dict[Any, tuple[np.ndarray, np.ndarray]] = self.__dict__.setdefault("_repeated", {})
        found = kept.get((start, stop, many))
        if found is None:
            found = np.tile(self.y[start:stop], many), np.tile(self.trials[start:stop], many)
            if self.n * many <= KEPT:
                if len(kept) >= BLOCKS:
                    kept.clear()
                kept[start, stop, many] = found
        return found

    def at(self, phi: np.ndarray) -> RegressionPoint:
        """The components at S points."""
        return RegressionPoint(self, phi)

    def update(self, phi: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """One natural-gradient step under the information of the complete data: the M-step, or near it."""
        out, size = phi.copy(), self.size
        for s, row in enumerate(sums):
            factor = cholesky(row[size:].reshape(size, size)) if np.all(np.isfinite(row)) else None
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

    def counting(self, count: int) -> Regressions:
        """As many components of the same family on the same rows."""
        if len(self.alike) > 1:
            raise InputError("the components are of different families or links, so that those of a further one are "
                             "not known; fit both models and compare their BIC")  # fmt: skip
        return replace(self, kernels=(self.kernels[0],) * count)

    def permuted(self, phi: np.ndarray, order: np.ndarray) -> np.ndarray:
        """phi with the components in another order (of one family each)."""
        out = phi.copy()
        for k, other in enumerate(order):
            out[self.places[k]] = phi[self.places[other]]
        return out

    def features(self) -> np.ndarray:
        """The response and the columns, standardised."""
        x = expand(self.design, 0, self.n)[:, self.columns[int(self.design.intercept) :]]
        columns = np.column_stack([self.y, x])
        spread = columns.std(axis=0)
        return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0))

    def from_posterior(self, weight: np.ndarray) -> np.ndarray:
        """A start: a few natural-gradient steps of every component on its share of (some of) the rows."""
        return self.from_posteriors(weight[None])[0]

    def from_posteriors(self, weight: np.ndarray) -> np.ndarray:
        """The same from several weights of the rows (S, K, n) together: (S, size)."""
        if self.n > FEW:
            rows = np.arange(0, self.n, -(-self.n // FEW))
            return self.take(rows).from_posteriors(weight[:, :, rows])
        phi, width = np.zeros((len(weight), self.size)), self.width
        for own, shares in zip(phi, weight, strict=True):
            for kernel, at, share in zip(self.kernels, self.places, shares, strict=True):
                theta = kernel.family.start(self.y, np.maximum(share, 1e-12) * self.trials)
                own[at[width:]] = [float(link.forward(v)) for link, v in zip(kernel.links[1:], theta[1:], strict=True)]
                if self.design.intercept:
                    own[at[0]] = float(kernel.links[0].forward(theta[0]))
        weight = np.ascontiguousarray(weight)
        for _ in range(3):
            following = self.update(phi, self._sums(phi, weight))
            phi = np.where(np.isfinite(following).all(axis=1)[:, None], following, phi)
        return phi

    def _sums(self, phi: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The sums of M-steps at S points over all rows, block by block."""
        point = self.at(phi)
        if self.address:
            return point.given_pass(weight)[:, 1 + self.count :]
        size, _ = plan(self.n, self.size, self.row_size + 2.0 * self.count, True)
        spans = [(start, min(start + size, self.n)) for start in range(0, self.n, size)]
        return np.asarray(sum(point.rows(a, b, False).sums(weight[:, :, a:b]) for a, b in spans))

    def trouble(self, phi: np.ndarray) -> list[tuple[int, str]]:
        """Components whose residuals have all but vanished, beside those of another or at all."""
        if not np.all(np.isfinite(phi)):
            return [(k, f"component {k} has coefficients that are not finite") for k in range(self.count)]
        out = []
        for k, share in enumerate(np.sqrt(self.narrowness(phi)) * NARROW):
            scale = self._scale(phi, k)
            if not share >= VANISHED or (scale is not None and not scale >= COLLAPSED):
                name, value = self.further[k][0].name, self._further(phi, k)[0]
                out.append((k, f"component {k} fits a few rows exactly: {name}[{k}] = {value:.3g}"))
        return out

    def edges(self, phi: np.ndarray) -> list[Edge]:
        """Further parameters that have run to 0 where the likelihood has its maximum there (alpha)."""
        largest, out = max(1.0, float(self.y.max(initial=1.0))), {}
        for kernel, at in zip(self.kernels, self.places, strict=True):
            supports = list(kernel.family.parameters.values())[1:]
            for support, link, place in zip(supports, kernel.links[1:], at[self.width :], strict=True):
                if support == "nonnegative" and link.name == "log" and float(link.mean(phi[place])) * largest < NOUGHT:
                    out[int(place)] = Edge(int(place), -FARTHEST)
        return list(out.values())

    def narrowness(self, phi: np.ndarray) -> np.ndarray:
        """The squared scale of every component, in units of `NARROW` of the largest squared: (K,); inf without one."""
        scales = [self._scale(phi, k) for k in range(self.count)]
        alike = all(further[0].name == "sigma" for further in self.further if further)
        if not alike or None in scales:
            return np.full(self.count, np.inf)
        scale = np.array(scales, float)
        return np.asarray((scale / max(float(scale.max()), 1e-300) / NARROW) ** 2)

    def _scale(self, phi: np.ndarray, k: int) -> float | None:
        """The size of a component's residuals: over that of all responses, or of its mean; None without a scale."""
        if self.kernels[k].family.support.integer or not self.further[k]:
            return None
        name, value = self.further[k][0].name, self._further(phi, k)[0]
        sizes = {"sigma": value / self._spread, "shape": max(value, 1e-300) ** -0.5, "dispersion": value**0.5}
        return sizes.get(name)

    @cached_property
    def _spread(self) -> float:
        return self.spread or float(np.std(self.y)) or 1.0

    def order(self, phi: np.ndarray) -> np.ndarray:
        """Ascending in the first coefficient that is not shared, then in the next ones, among those of one family."""
        out = np.arange(self.count)
        own_columns = self.columns_by_user[~self.shared[self.columns][self._by_user]]
        for _, which in self.alike:
            own = np.stack([self.coefficients(phi, k)[own_columns] for k in which])
            if own.shape[1]:
                out[which] = which[np.lexsort(own.T[::-1])]
        return out

    @cached_property
    def _by_user(self) -> np.ndarray:
        """The order of `columns` in which the user has them."""
        return np.argsort(self.design.position[self.columns])

    @cached_property
    def columns_by_user(self) -> np.ndarray:
        """The user's numbers of the columns that have a coefficient, ascending."""
        return np.asarray(self.design.position[self.columns][self._by_user])

    def coefficients(self, phi: np.ndarray, k: int) -> np.ndarray:
        """The coefficients of a component on the columns as given, in the user's order."""
        beta = np.zeros(self.design.width)
        beta[self.columns] = phi[self.places[k][: self.width]]
        return self.design.to_user(beta)

    def _further(self, phi: np.ndarray, k: int) -> list[float]:
        """The further parameters of a component, as they are reported."""
        own = phi[self.places[k][self.width :]]
        return [
            float(f.value(float(link.mean(value))))
            for f, link, value in zip(self.further[k], self.kernels[k].links[1:], own, strict=True)
        ]

    def thetas(self, phi: np.ndarray, k: int) -> list[float]:
        """The further parameters of a component, as its family has them."""
        own = phi[self.places[k][self.width :]]
        return [float(link.mean(value)) for link, value in zip(self.kernels[k].links[1:], own, strict=True)]

    def report(self, phi: np.ndarray) -> Parameters:
        """Coefficients on the columns as given, further parameters by the field's names; what is shared comes last."""
        names, values, rows, supports = [], [], [], []

        def add(name: str, value: float, places: Any, row: Any, support: str) -> None:
            full = np.zeros(self.size)
            full[places] = row
            names.append(name)
            values.append(value)
            rows.append(full)
            supports.append(support)

        by_user = [(j, self.columns[i]) for j, i in zip(self.columns_by_user, self._by_user, strict=True)]
        for common in (False, True):
            for k, at in enumerate(self.places[:1] if common else self.places):
                mark = "" if common else f"[{k}]"
                beta = self.coefficients(phi, k)
                for j, column in by_user:
                    if self.shared[column] == common:
                        row = coordinates.contrast(self.design, int(j))[self.columns]
                        add(self.design.names[j] + mark, float(beta[j]), at[: self.width], row, "real")
                own = self._further(phi, k)
                for i, (f, link) in enumerate(zip(self.further[k], self.kernels[k].links[1:], strict=True)):
                    if (f.name in self.shared_further) == common:
                        place = at[self.width + i]
                        slope = f.slope(float(link.mean(phi[place]))) * float(link.slope(phi[place]))
                        add(f.name + mark, own[i], place, slope, f.support)
        jacobian = np.stack(rows) if rows else np.zeros((0, self.size))
        return Parameters(tuple(names), np.array(values), jacobian, tuple(supports))

    def from_report(self, value: dict[str, float]) -> np.ndarray:
        """phi from parameters by the names of `report`; a KeyError for one that is not there."""
        phi = np.zeros(self.size)
        for k, at in enumerate(self.places):
            beta = np.zeros(self.design.width)
            for j, i in zip(self.columns_by_user, self._by_user, strict=True):
                common = self.shared[self.columns[i]]
                beta[j] = value[self.design.names[j] + ("" if common else f"[{k}]")]
            phi[at[: self.width]] = self.design.from_user(beta)[self.columns]
            for i, (f, link) in enumerate(zip(self.further[k], self.kernels[k].links[1:], strict=True)):
                given = value[f.name + ("" if f.name in self.shared_further else f"[{k}]")]
                phi[at[self.width + i]] = float(link.forward(f.back(given)))
        return phi


def same_kernel(a: Kernels, b: Kernels) -> bool:
    """True where two components have the same family with the same constants and links."""
    return a is b or (a.family == b.family and a.links == b.links)


__all__ = ["Regressions"]
