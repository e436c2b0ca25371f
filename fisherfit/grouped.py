"""Every group's maximum: chunks of groups on threads, through the compiled loops of `scoring`.

A chunk is a few groups whose rows fit in the cache: they are gathered from the table, in the order of the groups and
with the columns in that of the coefficients, and every array of results is written by the chunk that owns its part.
Chunks depend on the data alone, so that results are the same to the bit for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from . import _jit, _threads, bounds, chunks, scoring
from . import separation as sep
from .blocks import Design
from .families import Family, NegativeBinomial
from .groups import Sorted
from .infinite import limits
from .kernels import Kernels
from .linalg import EPS
from .model import LAZY_WORK
from .scoring import INFINITE, LOGLIK, LONG, REGULAR, STATUS
from .starts import starting_mean

CHUNK = 65_536  # rows to a chunk, unless one group has more
ENTRIES = 2_000_000  # numbers that a chunk may hold for its design
COUNTS = 256  # counts whose base terms are kept in a table


@dataclass(frozen=True, eq=False)
class Task:
    """What is fitted: a design sorted by groups, the response, weights and offset, and what the weights mean."""

    kernels: Kernels
    family: Family
    canonical: bool
    design: Design
    groups: Sorted
    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray | None
    trials: np.ndarray | None
    base_weight: np.ndarray
    divides: bool
    frequency: bool
    sandwich: bool
    fixed_phi: float | None
    max_iter: int
    tol: float
    known: np.ndarray  # base terms of small counts, where they are the same for every row


@dataclass(frozen=True, eq=False)
class Fits:
    """What the compiled loops leave: a row for every group. Groups that are not `done` have no results.

    `null` holds, for every coefficient of them that is NaN, the combination of columns that vanishes in the group;
    `count` is the number of observations, `floor` the dispersion below which there is only rounding, `phi` the
    maximum-likelihood dispersion and `base` the sum of the log-likelihood's terms free of the mean, at phi.
    """

    coefficients: np.ndarray
    null: dict[int, np.ndarray]
    errors: np.ndarray
    numbers: np.ndarray
    count: np.ndarray
    floor: np.ndarray
    phi: np.ndarray
    base: np.ndarray

    @property
    def done(self) -> np.ndarray:
        """True for the groups that need no other fit."""
        return done_in(self.numbers)


def compilable(kernels: Kernels) -> tuple[Any, Any] | None:
    """The row and base kernels as first-class functions; None where a family has to go the long way.

    That is so for several parameters, for derivatives taken by differences, without expected information, and for
    formulas that cannot be compiled.
    """
    if kernels.n_parameters != 1 or kernels.noise is not None or not kernels.has_fisher:
        return None
    rows, base = kernels.rows, kernels.base
    if not hasattr(rows, "compile"):  # a user's: the same plain functions, compiled for this process
        rows, base = (_jit.compiled(f, False) for f in (kernels.plain_rows, kernels.plain_base))
    found = chunks.first_class(rows, "rows"), chunks.first_class(base, "base")
    return None if None in found else found


def fit_groups(task: Task, loops: tuple[Any, Any] | None, threads: int) -> Fits:
    """Fit every group that is regular."""
    size, p = task.groups.starts.size - 1, task.design.width
    fits = Fits(
        np.full((size, p), np.nan), {}, np.full((size, p), np.nan), np.full((size, 6), np.nan),
        np.empty(size), np.zeros(size), np.ones(size), np.zeros(size),
    )  # fmt: skip
    if loops is None:
        fits.numbers[:, STATUS] = LONG
        return fits
    tools = chunks.kernels()
    ranges = spans(task.groups.starts, p)
    most = max(int(task.groups.starts[b] - task.groups.starts[a]) for a, b in ranges)
    units = np.zeros(most), np.ones(most)

    def work(span: tuple[int, int]) -> None:
        if (task.groups.starts[span[1]] - task.groups.starts[span[0]]) * p >= LAZY_WORK:
            fits.numbers[slice(*span), STATUS] = LONG  # one group with so many rows is a fit by blocks
            return
        with np.errstate(all="ignore"):
            _Chunk(task, tools, loops, fits, units, *span).fit()

    _threads.run(work, ranges, threads)
    return fits


def spans(starts: np.ndarray, p: int) -> list[tuple[int, int]]:
    """Ranges of groups of about CHUNK rows, fewer where there are many columns."""
    rows = min(CHUNK, max(1, ENTRIES // p))
    most = max(1, ENTRIES // (p * p))
    out, g, size = [], 0, starts.size - 1
    while g < size:
        stop = min(max(g + 1, int(np.searchsorted(starts, starts[g] + rows, "right")) - 1), g + most, size)
        out.append((g, stop))
        g = stop
    return out


class _Chunk:
    """The rows of a few groups, and their fits."""

    def __init__(
        self,
        task: Task,
        tools: Any,
        loops: Any,
        fits: Fits,
        units: tuple[np.ndarray, np.ndarray],
        first: int,
        stop: int,
    ) -> None:
        self.task, self.tools, self.loops, self.fits = task, tools, loops, fits
        self.groups = slice(first, stop)
        starts, order = task.groups.starts, task.groups.order
        self.rows: Any = slice(int(starts[first]), int(starts[stop]))
        if order.size:
            self.rows = order[self.rows]
        self.edges = starts[first : stop + 1] - starts[first]
        self.n = int(self.edges[-1])
        self.x = gather(task.design, task.groups, int(starts[first]), self.n, tools)
        self.ones = units[1][: self.n]
        self.y, self.weight = self.take(task.y), self.take(task.weight)
        self.offset = units[0][: self.n] if task.offset is None else self.take(task.offset)

    def take(self, values: np.ndarray) -> np.ndarray:
        """The values of the chunk's rows, as an array that a kernel may be given."""
        part = values[self.rows]
        return part if part.flags.writeable and part.flags.c_contiguous else part.copy()

    def fit(self) -> None:
        """Fit the groups, and write what is found into its place."""
        task, fits, here = self.task, self.fits, self.groups
        family, kernels = task.family, task.kernels
        moments = np.empty((5, self.edges.size - 1))
        self.tools["moments"](self.y, self.weight, self.edges, moments)
        total, mean = moments[0], moments[1] / moments[0]
        scale = np.sqrt(moments[2] / total)
        rows = np.diff(self.edges).astype(float)
        count = total if task.frequency else rows
        if family.has_dispersion:
            fits.floor[here] = self.floor(mean, scale, total, count)
        start, target = self.starts(mean, scale, total)
        infinite, where = self.all_at_an_end(moments, rows)
        null = np.empty((rows.size, task.design.width, task.design.width))
        self.tools["fit"](
            self.loops[0], self.x, self.y, self.weight, self.offset, target, self.edges, start, infinite,
            fits.floor[here], total, count, self.dense(), kernels.constants, self.limits(), task.design.intercept,
            task.canonical, family.has_dispersion, task.sandwich, task.max_iter, task.tol, fits.coefficients[here],
            fits.errors[here], fits.numbers[here], null, scoring.room(task.design.width, int(rows.max())),
            np.empty((2, task.design.width), np.int64),
        )  # fmt: skip
        fits.coefficients[here][infinite, 0] = where
        aliased = np.isnan(fits.coefficients[here])
        for g in np.flatnonzero(aliased.any(axis=1) & done_in(fits.numbers[here])):
            fits.null[here.start + int(g)] = null[g, aliased[g]]
        fits.count[here] = count
        numbers = fits.numbers[here]
        numbers[numbers[:, STATUS] == INFINITE, LOGLIK] = 0.0
        self.dispersions(numbers, count)

    def dense(self) -> np.ndarray:
        """True for the columns that are standardised."""
        design, out = self.task.design, np.zeros(self.task.design.width, bool)
        out[design.position[int(design.intercept) : design.dense_width]] = True
        return out

    def limits(self) -> np.ndarray:
        """The range of linear predictors."""
        support = next(iter(self.task.family.parameters.values()))
        return np.array(bounds.eta_range(self.task.kernels.links[0].name, support))

    def floor(self, mean: np.ndarray, scale: np.ndarray, total: np.ndarray, count: np.ndarray) -> np.ndarray:
        """`fitting.rounding_floor` of every group."""
        at = np.where(mean > 0, mean, np.where(scale > 0.0, scale, 1.0))
        v = _each(self.task.family.variance, at, _jit.is_own(type(self.task.family)))
        ratio = np.where((v > 0) & np.isfinite(v), scale * scale / v, 1.0)
        return np.maximum((16 * EPS) ** 2 * ratio * (total / count), 1e-300)

    def starts(self, mean: np.ndarray, scale: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The linear predictor of the mean by groups and, where there is no intercept, targets by rows.

        As `starts.null_start` has them for one fit.
        """
        task, edges = self.task, self.edges
        family, link = task.family, task.kernels.links[0]
        support = next(iter(family.parameters.values()))
        if type(family).start in (Family.start, NegativeBinomial.start):
            first = mean.copy()
            if support == "unit":
                first = np.clip(first, 0.5 / (total + 1.0), 1.0 - 0.5 / (total + 1.0))
            elif support == "positive":
                spread = np.sqrt(np.maximum(scale**2 - mean**2, 0.0))
                first = np.where(first > 0.0, first, np.where(spread > 0.0, spread, 1.0))
        else:
            parts = [slice(a, b) for a, b in pairwise(edges)]
            first = np.array([starting_mean(family, self.y[part], self.weight[part])[0] for part in parts])
        eta = np.array(link.forward(first), float)
        eta = np.where(np.isfinite(eta), eta, link.forward(np.where(scale > 0.0, scale, 1.0)))
        if task.design.intercept:
            return (eta if task.offset is None else eta - self.mean_offset(total, link.name)), np.empty(0)
        sizes = np.diff(edges)
        by_row = np.repeat(mean, sizes)
        mu = self.y if support == "real" and link.name == "identity" else 0.5 * (self.y + by_row)
        if support == "unit":
            mu = np.clip(mu, 0.05, 0.95)
        elif support == "positive":
            mu = np.maximum(mu, np.where(by_row > 0, 0.05 * by_row, 1.0))
        target = np.asarray(link.forward(mu), float)
        return eta, np.ascontiguousarray(np.where(np.isfinite(target), target, np.repeat(eta, sizes)))

    def mean_offset(self, total: np.ndarray, link: str) -> np.ndarray:
        """What the offset adds on average, on the scale where means add."""
        first = self.edges[:-1]
        if link != "log":
            return np.asarray(np.add.reduceat(self.weight * self.offset, first) / total)
        top = np.maximum.reduceat(self.offset, first)
        part = np.exp(self.offset - np.repeat(top, np.diff(self.edges)))
        return np.asarray(top + np.log(np.add.reduceat(self.weight * part, first) / total))

    def all_at_an_end(self, moments: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Groups whose responses all lie at the same end of their range, and the intercept that takes them there.

        All rows are then separated and all estimates infinite: no path and no linear program need say so.
        """
        task = self.task
        link = task.kernels.links[0].name
        none = np.zeros(rows.size, bool)
        signs = sep.row_signs(task.family.name, link, np.array([0.0, 1.0]), np.ones(2, bool))
        if signs is None or not task.design.intercept or task.family.has_dispersion:
            return none, np.empty(0)
        up, down = limits(link)
        low = (moments[3] == rows) & (signs[0] != 0)
        high = (moments[4] == rows) & (signs[1] != 0)
        first = self.edges[:-1]
        bottom, top = (f.reduceat(self.offset, first) for f in (np.minimum, np.maximum))
        where = np.where(low, -down - top, up - bottom)
        return low | high, where[low | high]

    def dispersions(self, numbers: np.ndarray, count: np.ndarray) -> None:
        """The maximum-likelihood dispersion and the base terms of the groups that are done."""
        task, fits, here = self.task, self.fits, self.groups
        done = done_in(numbers)
        weight = self.weight if task.base_weight is task.weight else self.take(task.base_weight)
        trials = self.ones if task.trials is None else self.take(task.trials)
        deviance, phi = -2.0 * numbers[:, LOGLIK], np.ones(done.size)
        if task.family.has_dispersion:
            phi[:] = np.nan if task.fixed_phi is None else task.fixed_phi
            if task.fixed_phi is None:
                family: Any = task.family
                closed = _each(lambda d, c: family.dispersion_ml(d, c), (deviance, count), _jit.is_own(type(family)))
                phi = np.full(done.size, np.nan) if closed is None else np.array(closed, float)
            phi[~done] = 1.0
        value = np.zeros(done.size)
        self.tools["dispersions"](
            self.loops[1], self.y, weight, trials, self.edges, task.divides, task.kernels.constants,
            np.where(done, deviance, 0.0), count, task.known, phi, value,
        )  # fmt: skip
        fits.phi[here], fits.base[here] = phi, value
        if task.frequency:  # observations are counted by the user's weights, without the trials
            fits.count[here] = np.add.reduceat(weight, self.edges[:-1])


def base_of_counts(kernels: Kernels, trials: np.ndarray | None, divides: bool) -> np.ndarray:
    """The base terms of the counts 0, 1, 2, ... of a family with phi = 1; none where they depend on the row."""
    if divides or trials is not None or kernels.family.has_dispersion or not kernels.family.support.integer:
        return np.empty(0)
    one, y = np.ones(1), np.arange(float(COUNTS))
    return np.array([kernels.base(y[k : k + 1], one, one, 1.0, False, kernels.constants)[0] for k in range(COUNTS)])


def done_in(numbers: np.ndarray) -> np.ndarray:
    """True for the groups that need no other fit."""
    return (numbers[:, STATUS] == REGULAR) | (numbers[:, STATUS] == INFINITE)


def _each(function: Callable[..., Any], arguments: Any, vectorised: bool) -> Any:
    """function of arrays, entry by entry for one that may be made for numbers; None where it returns None."""
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    if vectorised:
        return function(*arguments)
    values = [function(*map(float, each)) for each in zip(*arguments, strict=True)]
    return None if None in values else np.array(values, float)


def gather(design: Design, groups: Sorted, start: int, n: int, tools: Any) -> np.ndarray:
    """Rows of a design in the order of the groups, from the start-th on: (p, n), coefficients in the user's order."""
    out = np.empty((design.width, n))
    at = int(design.intercept)
    if at:
        out[design.position[0]] = 1.0
    position = np.ascontiguousarray(design.position, np.int64)
    nowhere = np.empty(0, np.int64)
    for source in design.dense:
        table = source if source.ndim == 2 else source[:, None]
        order, first = groups.order, start
        if table.dtype != np.dtype(float) or not table.dtype.isnative or not table.flags.aligned:
            chosen: Any = order[start : start + n] if order.size else slice(start, start + n)
            table, order, first = np.asarray(table[chosen], float), nowhere, 0
        tools["gather"](table, order, first, position[at : at + table.shape[1]], out)
        at += table.shape[1]
    for column in design.categorical:
        codes = column.codes.astype(np.int32, copy=False)
        tools["levels"](codes, groups.order, start, position[at : at + column.width], out)
        at += column.width
    return out


__all__ = ["Fits", "Task", "base_of_counts", "compilable", "fit_groups", "gather", "spans"]
