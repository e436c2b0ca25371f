"""The likelihood of rows that stay where they are: a sum over batches, each a `Likelihood` in memory for a moment.

The statistics are those of `Likelihood`, batch by batch; what is here only adds. Memory holds a batch or two, the
sample for the pilot, and what one pass over the rows has learnt of them (`scan`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .batch_labels import batch_clusters
from .batches import Source
from .blocks import Design, constant_design, without_rows
from .bracket import NODES, Bracket
from .clusters import Clusters, two_ways
from .dispersion import Block, DispersionLikelihood, base_terms
from .errors import InputError
from .families import ExponentialDispersion, Family
from .held import Book, Keeper, Some, together
from .kernels import Kernels, kernels_of
from .likelihood import EXPECTED, Evaluation, Likelihood
from .linalg import merge_roots
from .links import Link
from .model import DENSE_LIMIT
from .prepare import Prepared
from .response import kernel_weights, own
from .scan import Reader, Scan, Tally, scan, start_reader

QUIET = 1e-3  # a bound of a step's move below which no pass is spent to find the move itself


class RowsNeeded(Exception):
    """A fallback needs the rows in memory, where they fit."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """A model on rows that are read batch by batch; the interface is that of `Likelihood`."""

    kernels: Kernels
    designs: tuple[Design, ...]
    data: StreamedData
    threads: int = 1
    free: bool = False  # of covariates
    excluded: np.ndarray | None = None
    streamed, matrix_free = True, False

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.data.scan.n

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of coefficients of every parameter."""
        return tuple(d.width for d in self.designs)

    @property
    def tally(self) -> Tally:
        """The passes so far."""
        return self.data.reader.tally

    def parts(self) -> Iterator[tuple[int, Likelihood]]:
        """One pass: a likelihood in memory for every batch, with the number of its first row."""
        start = 0
        riders = {} if self.excluded is not None else dict.fromkeys(self.data.waiting, 0.0)
        for rows in self.data.reader.passing(not self.free):
            n = rows.table.n
            if n == 0:
                continue
            if start + n > self.n:
                break
            weight = kernel_weights(rows.weight, rows.trials, self.data.reader.weight_type, self.data.scale)
            if self.excluded is not None:
                weight = np.where(self.excluded[start : start + n], 0.0, weight)
            repeats = None
            if self.data.reader.weight_type == "frequency":
                repeats = np.where(weight > 0.0, rows.weight, 0.0)
            present = weight > 0.0
            if self.free:
                design = constant_design(n, self.designs[0].names[0])
            else:
                some = None if present.all() else present
                design = self.data.terms.design(rows.table, some, checked=True, like=self.designs[0])
            part = Likelihood(self.kernels, (design, *self._others(n)), own(rows.y), weight,
                              rows.offset, self.threads, repeats=repeats)  # fmt: skip
            for kernels, eta in riders:
                riders[kernels, eta] += replace(part, kernels=kernels, designs=part.designs[:1]).at_constant(eta)
            yield start, part
            start += n
        if start != self.n:
            raise InputError(f"X gave {self.n} rows at first and {start} or more later; it must give the same "
                             "rows in the same order every time")  # fmt: skip
        self.data.done.update(riders)
        for key in riders:
            self.data.waiting.pop(key, None)

    def _others(self, n: int) -> list[Design]:
        return [constant_design(n, d.names[0]) for d in self.designs[1:]]

    def evaluate(self, theta: np.ndarray, kind: int = EXPECTED) -> Evaluation:
        """Log-likelihood, score and (kind EXPECTED or OBSERVED) information in one pass."""
        total: Evaluation | None = None
        for _, part in self.parts():
            here = part.evaluate(theta, kind)
            total = here if total is None else total + here
        assert total is not None
        return total

    @property
    def has_offset(self) -> bool:
        """True where the linear predictor has an offset."""
        return bool(self.data.scan.offset)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return self.data.sums(self)[0]

    @property
    def observations(self) -> int:
        """Number of rows whose weight is not zero."""
        return int(self.data.sums(self)[3])

    def moments(self) -> tuple[float, float]:
        """Weighted means of y and of y^2."""
        w, wy, wyy, _ = self.data.sums(self)
        return wy / w, wyy / w

    def sample(self) -> Likelihood:
        """The rows that are held for a pilot fit."""
        held = self.data.sample
        n = held.n
        first = self.designs[0]
        design = (
            constant_design(n, first.names[0])
            if self.free
            else replace(first, n=n, dense=held.designs[0].dense, categorical=held.designs[0].categorical)
        )
        out = replace(held, kernels=self.kernels, designs=(design, *self._others(n)), threads=self.threads)
        return out if self.excluded is None else out.without(self.excluded[self.data.numbers])

    def thinned(self, rows: int, most: int) -> Likelihood:
        """A sample of the rows in memory: of those that are held, as many as are asked for or all."""
        held = self.sample()
        return held.thinned(rows, max(1, most * held.n // self.n))

    def typical(self) -> Likelihood:
        """Rows in memory that a start may be taken from."""
        return self.sample()

    def hold(self) -> None:
        """Called before a fallback that needs the rows in memory: they are read there, if they fit."""
        if self.n * sum(self.widths) <= DENSE_LIMIT and not self.free:
            raise RowsNeeded

    def no_rows(self) -> np.ndarray:
        """False for every row."""
        return np.broadcast_to(np.False_, (self.n,))

    def without(self, rows: np.ndarray) -> Streamed:
        """The likelihood with weight zero for the rows where `rows` is True."""
        return replace(self, excluded=rows if self.excluded is None else self.excluded | rows)

    def covariate_free(self) -> Likelihood | Streamed:
        """The same responses with an intercept as the only column; rows with the same response are put together."""
        constant = constant_design(self.n, "Intercept")
        counted = self.data.scan.distinct
        if self.has_offset or counted is None or self.excluded is not None:
            return replace(self, designs=(constant, *self.designs[1:]), free=True)
        y = np.array(sorted(counted))
        weight = np.array([counted[value] for value in y.tolist()]) * (self.data.scale or 1.0)
        return Likelihood(self.kernels, (constant_design(y.size, "Intercept"), *self._others(y.size)), y, weight)

    def at_constant(self, eta: float) -> float:
        """The sum of the objective with the same linear predictor for every row."""
        if self.excluded is None and (self.kernels, eta) in self.data.done:
            return self.data.done[self.kernels, eta]
        total = 0.0
        for _, part in self.covariate_free().parts():
            total += part.at_constant(eta)
        return total

    def largest_move(self, step: np.ndarray) -> float:
        """The largest change of a linear predictor by a step, or a bound of it that is small."""
        bound = 16.0 * float(np.abs(step[: self.widths[0]]).sum()) * np.sqrt(self.n)
        if bound < QUIET:
            return bound
        return max(part.largest_move(step) for _, part in self.parts())

    def design_root(self) -> np.ndarray:
        """The triangular factor of the design of the rows whose weight is not zero."""
        root: np.ndarray | None = None
        for _, part in self.parts():
            root = merge_roots(root, part.design_root())
        assert root is not None
        return root

    def working_root(self, theta: np.ndarray) -> np.ndarray | None:
        """The triangular factor of [sqrt(W) X, W^-1/2 u], by QR of the rows; None where W is not finite."""
        root: np.ndarray | None = None
        for _, part in self.parts():
            here = part.working_root(theta)
            if here is None:
                return None
            root = merge_roots(root, here)
        return root


@dataclass(frozen=True, eq=False)
class StreamedData:
    """The data of a fit that reads batches: what `Prepared` is for rows in memory."""

    reader: Reader
    scan: Scan
    book: Book
    terms: Any
    design: Design
    sample: Likelihood
    held: Some
    scale: float | None
    n_features: int
    feature_names: tuple[str, ...] | None
    offset_names: tuple[str | None, str | None]
    response_name: str
    family: Family
    clusters: Clusters | None = None
    waiting: dict[tuple[Any, float], float] = field(default_factory=dict)  # those that the next pass is to find
    done: dict[tuple[Any, float], float] = field(default_factory=dict)  # objectives at a constant linear predictor

    @property
    def whole(self) -> bool:
        """True where all counts are whole numbers."""
        return self.scan.whole

    @property
    def dropped(self) -> int:
        """Rows left out because of missing values."""
        return self.scan.dropped

    @property
    def repeats(self) -> float:
        """The sum of the weights, where there are trials."""
        return self.scan.repeats

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of the rows of the sample."""
        return self.held.number

    @property
    def kept_rows(self) -> np.ndarray | None:
        """True for the rows that were not left out, where some were."""
        return None if not self.scan.dropped else self.scan.kept()

    def sums(self, likelihood: Streamed) -> tuple[float, float, float, int]:
        """Sums of w, w y and w y^2, and the number of weights that are not zero."""
        if likelihood.excluded is None:
            w, wy, wyy = (value * (self.scale or 1.0) for value in self.scan.sums)
            return w, wy, wyy, self.scan.observations
        total, count = np.zeros(3), 0
        for _, part in replace(likelihood, free=True).parts():
            total += [part.weight.sum(), part.weight @ part.y, part.weight @ part.y**2]
            count += part.observations
        return (*map(float, total), count)  # type: ignore[return-value]

    def dispersion(self, kernels: Kernels, weight_type: str, threads: int) -> DispersionLikelihood:
        """The log-likelihood as a function of the dispersion."""
        return StreamedDispersion(self, kernels, weight_type, threads)

    def gathered(self) -> tuple[Prepared, Likelihood]:
        """All rows in memory."""
        keeper = Keeper(None)
        for rows in self.reader.passing():
            keeper.add(self.book.read(rows, keeper.n))
        return self.in_memory(keeper.rows())

    def in_memory(self, rows: Some) -> tuple[Prepared, Likelihood]:
        """Rows that are in memory, as a fit in memory has them."""
        table = self.book.table(rows)
        total = kernel_weights(rows.weight, rows.trials, self.reader.weight_type, self.scale)
        present = total > 0.0
        design = self.terms.design(table, None if present.all() else present, checked=True)
        y = own(rows.y)
        prepared = Prepared(
            self.terms, design, y, rows.trials, rows.weight, total, rows.offset, self.whole, self.kept_rows,
            self.dropped, self.n_features, self.feature_names, self.offset_names, self.response_name, self.family,
            self.clusters,
        )  # fmt: skip
        like = self.sample
        others = [constant_design(design.n, d.names[0]) for d in like.designs[1:]]
        repeats = rows.weight if self.reader.weight_type == "frequency" else None
        return prepared, replace(
            like, designs=(design, *others), y=y, weight=total, offset=rows.offset, repeats=repeats
        )


class StreamedDispersion(DispersionLikelihood):
    """The log-likelihood as a function of phi, its base terms summed in as few passes as can be.

    One pass finds the base terms and two derivatives at a few points around where the maximum is on the sample;
    between these points they are interpolated (Hermite), with an error below rounding.
    """

    def __init__(self, data: StreamedData, kernels: Kernels, weight_type: str, threads: int) -> None:
        divides = data.family.has_dispersion or data.family.takes_trials
        probability = weight_type == "probability"
        scale = data.scale or 1.0

        def blocks() -> Iterator[Block]:
            for rows in data.reader.passing(False):
                total = (
                    kernel_weights(rows.weight, rows.trials, weight_type, data.scale) if probability else rows.weight
                )
                yield own(rows.y), own(total), None if rows.trials is None else own(rows.trials)

        super().__init__(kernels, blocks, weight_type == "analytic", divides, threads)
        if not data.family.has_dispersion:
            self.known[1.0] = (data.scan.base * (scale if probability else 1.0), 0.0, 0.0)
        held = data.held
        weight = data.sample.weight if probability else held.weight
        self.near = DispersionLikelihood(kernels, lambda: [(data.sample.y, weight, held.trials)],
                                         weight_type == "analytic", divides)  # fmt: skip
        self.share = held.number.size / data.scan.n
        self.wanted: set[float] = set()
        self.brackets: list[Bracket] = []

    def expect(self, deviance: float, count: float, closed: float | None) -> None:
        """A maximum that will be asked for: the pass that finds another one finds it as well."""
        if closed is not None:
            self.wanted.add(float(closed))
        elif np.isfinite(deviance) and deviance > 0.0:
            self.wanted.add(self.near.maximum(deviance * self.share, count * self.share, None))

    def begin(self, deviance: float, count: float) -> float:
        """Where the search for the maximum begins: the maximum of the sample."""
        return self.near.maximum(deviance * self.share, count * self.share, None)

    def base(self, phi: float) -> tuple[float, float, float]:
        """The sum of base terms and two derivatives in phi."""
        phi = float(phi)
        if phi not in self.known:
            for bracket in self.brackets:
                if bracket.holds(phi):
                    return bracket.at(phi)
            points = [phi, *(other for other in sorted(self.wanted) if other > 0.0)]
            self.wanted.clear()
            found = [Bracket.around(point) for point in points]
            nodes = [node for bracket in found for node in bracket.nodes]
            sums = np.zeros((len(nodes), 3))
            for block in self.blocks():
                sums += [base_terms(self.kernels, block, node, self.divides, self.threads) for node in nodes]
            for k, bracket in enumerate(found):
                bracket.learn(sums[k * NODES : (k + 1) * NODES])
            self.brackets += found
            return found[0].at(phi)
        return self.known[phi]  # type: ignore[return-value]


def prepare_streamed(
    model: Any, family: Family, links: tuple[Link, ...], source: Source, y: Any, sample_weight: Any, offset: Any,
    exposure: Any, tally: Tally, threads: int, groups: Any = None,
) -> tuple[StreamedData | Prepared, Streamed | Likelihood]:  # fmt: skip
    """Pass over the rows once; data and likelihood of the fit, in memory where all rows are there after all."""
    columns = () if groups is None else tuple(way for way in two_ways(groups) if isinstance(way, str))
    reader = start_reader(model, family, links[0], source, y, sample_weight, offset, exposure, tally, columns)
    kernels = kernels_of(family, links)
    found, book, keeper, witnesses = scan(reader, kernels)
    scale: float | None = None
    if model.weight_type == "probability":
        _, sum_of_weights, some = found.weights
        scale = some / sum_of_weights
    held = keeper.rows()
    total = kernel_weights(held.weight, held.trials, model.weight_type, scale)
    table = book.table(held)
    terms = reader.chosen.learn(*_with_witnesses(book, held, total > 0.0, witnesses))
    present = total > 0.0
    design = terms.design(table, None if present.all() else present, checked=True)
    names = [name for name in list(family.parameters)[1:]]
    sample = Likelihood(kernels, (design, *(constant_design(table.n, name) for name in names)),
                        own(held.y), total, held.offset, threads)  # fmt: skip
    lean = None if found.dropped else reader.lean
    reader = replace(reader, settle=book.settle, checked=True, lean=lean)
    first = reader.first
    assert first is not None
    text = model.formula
    response = text.split("~")[0].strip() if text is not None else (y if isinstance(y, str) else "")
    data = StreamedData(
        reader, found, book, terms, without_rows(design, found.n), sample, held, scale,
        len(first.names) if text is not None else len(terms.terms),
        first.names if text is not None else tuple(t.name for t in terms.terms) if first.is_frame else None,
        (offset if isinstance(offset, str) else None, exposure if isinstance(exposure, str) else None),
        response or "y", family, batch_clusters(groups, reader, found),
    )  # fmt: skip
    if keeper.stride == 1:
        return data.in_memory(held)
    others = [constant_design(found.n, name) for name in names]
    out = Streamed(kernels, (data.design, *others), data, threads)
    if isinstance(family, ExponentialDispersion) and design.intercept and not found.offset and found.distinct is None:
        with np.errstate(all="ignore"):
            eta = float(links[0].forward(out.moments()[0]))
        if np.isfinite(eta):
            data.waiting[kernels, eta] = 0.0
    return data, out


def _with_witnesses(book: Book, held: Some, present: np.ndarray, witnesses: list[Some]) -> tuple[Any, Any]:
    """The rows held and one row for every level, as a table to learn the terms from; which of them count."""
    if not witnesses:
        return book.table(held), None if present.all() else present
    rows = together([held, *witnesses])
    extra = np.ones(rows.number.size - held.number.size, bool)
    present = np.concatenate([present, extra])
    return book.table(rows), None if present.all() else present


__all__ = ["RowsNeeded", "Streamed", "StreamedData", "prepare_streamed"]
