"""The likelihood of a mixture: a sum over units of log sum_k pi_k f_k, its score and its information.

A unit is a row, or a group of rows that come from one component together. theta is psi (the mixing proportions) and
then phi (the components). Blocks of units are summed in stripes that depend on the data alone, as everywhere.

The observed information is that of Louis (1982): with S_k the complete-data score of a unit whose class is k, r_k its
posterior and s = sum_k r_k S_k, J = sum_units [ sum_k r_k (-H_k) - sum_k r_k S_k S_k' + s s' ].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .. import _threads
from ..likelihood import plan
from .contract import Block, Components
from .louis import loss
from .mixing import Mixing
from .parameters import Parameters, joined
from .posterior import posterior

T = TypeVar("T")
FEW = 50_000  # numbers read in a pass below which threads cost more than they save


@dataclass(frozen=True, eq=False)
class MixtureEvaluation:
    """Log-likelihood, score, and the information of the complete data (expected) and of the observed; additive."""

    loglik: float
    score: np.ndarray
    complete: np.ndarray
    observed: np.ndarray

    def __add__(self, other: MixtureEvaluation) -> MixtureEvaluation:
        return MixtureEvaluation(
            self.loglik + other.loglik,
            self.score + other.score,
            self.complete + other.complete,
            self.observed + other.observed,
        )


@dataclass(frozen=True, eq=False)
class Mixture:
    """Components and mixing proportions on their data.

    `weight` has one entry for every unit. `edges`, with groups, are the first rows of the units and the number of
    rows: rows of a group stand together.
    """

    components: Components
    mixing: Mixing
    weight: np.ndarray
    edges: np.ndarray | None = None
    threads: int = 1

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.weight.size)

    @property
    def size(self) -> int:
        """Length of theta."""
        return self.mixing.size + self.components.size

    @cached_property
    def lower(self) -> np.ndarray:
        """The least value of every coordinate of theta, -inf where there is none."""
        own = getattr(self.components, "lower", None)
        return np.concatenate([
            np.full(self.mixing.size, -np.inf), np.full(self.components.size, -np.inf) if own is None else own
        ])  # fmt: skip

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weight.sum())

    @cached_property
    def alive(self) -> int:
        """Number of units whose weight is positive."""
        return int((self.weight > 0.0).sum())

    @property
    def plain(self) -> bool:
        """True where every row is a unit, and all have the same proportions."""
        return self.edges is None and self.mixing.design is None

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi and phi, along the last axis."""
        return theta[..., : self.mixing.size], theta[..., self.mixing.size :]

    @cached_property
    def places(self) -> list[np.ndarray]:
        """For every component, the entries of theta that its complete-data score has: those of psi first."""
        own = np.arange(self.mixing.size)
        return [np.concatenate([own, self.mixing.size + at]) for at in self.components.places]

    def em(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The log-likelihoods at S points (S, size), and the points that a step of EM leads to: one pass."""
        total = self.em_sums(theta)
        return total[:, 0], self.em_step(theta, total)

    def em_sums(self, theta: np.ndarray) -> np.ndarray:
        """The log-likelihoods and what a step of EM needs at S points, summed over the units: (S, L), additive."""
        psi, phi = self.split(theta)
        point = self.components.at(phi)
        passed = self._em_pass(point, psi)
        if passed is not None:
            return passed

        def task(start: int, stop: int) -> np.ndarray:
            block, r, loglik, pi = self._block(point, psi, start, stop, False)
            r *= self.weight[start:stop]
            mix = self.mixing.sums(psi, r, start, stop, pi)
            return np.concatenate([loglik[:, None], mix, block.sums(self._spread(r, start, stop))], axis=1)

        return np.asarray(self._sum(task, len(theta)))

    def _em_pass(self, point: Any, psi: np.ndarray) -> np.ndarray | None:
        """The sums of EM where its components have a pass in one loop: log-likelihoods, counts, and the rest."""
        at_once: Any = getattr(point, "em_pass", None) if self.plain else None
        if at_once is None:
            return None
        log_pi = self.mixing.log_weights(psi, 0, 1).reshape(len(psi), -1)
        return np.asarray(self._sum(lambda a, b: at_once(log_pi, self.weight, a, b), len(psi), True))

    def em_step(self, theta: np.ndarray, total: np.ndarray) -> np.ndarray:
        """The points that the sums of `em_sums` lead to."""
        (psi, phi), at = self.split(theta), 1 + self.mixing.sums_size
        following = [self.mixing.update(psi, total[:, 1:at]), self.components.update(phi, total[:, at:])]
        return np.concatenate(following, axis=1)

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """The log-likelihoods at S points."""
        psi, phi = self.split(theta)
        point = self.components.at(phi)
        passed = self._em_pass(point, psi)
        if passed is not None:
            return passed[:, 0]
        return np.asarray(self._sum(lambda a, b: self._block(point, psi, a, b, False)[2], len(theta)))

    def evaluate(self, theta: np.ndarray) -> MixtureEvaluation:
        """Log-likelihood, score and both kinds of information at one point: one pass."""
        psi, phi = self.split(theta[None])
        point = self.components.at(phi)
        at_once: Any = getattr(point, "louis_pass", None) if self.plain else None
        if at_once is not None:
            return self._at_once(at_once, point, psi)

        def task(start: int, stop: int) -> MixtureEvaluation:
            block, r, loglik, pi = self._block(point, psi, start, stop, True)
            weight = self.weight[start:stop]
            return self._louis(block, r[0], float(loglik[0]), pi[0], weight, start, stop)

        found: MixtureEvaluation = self._sum(task, self.size)
        return found

    def _at_once(self, louis_pass: Callable[..., Any], point: Any, psi: np.ndarray) -> MixtureEvaluation:
        """The evaluation by a pass in one loop."""
        log_pi = self.mixing.log_weights(psi, 0, 1).reshape(len(psi), -1)
        total = self._sum(lambda a, b: louis_pass(log_pi, self.weight, a, b), self.size, True)
        pi, own = np.exp(log_pi[0]), slice(0, self.mixing.size)
        loglik, score, complete, observed = point.louis(total, pi, self.places, self.size)
        proportions = self.mixing.information(pi[:, None], np.ones((1, 1)), self.weight)
        complete[own, own] += proportions
        observed[own, own] += proportions
        return MixtureEvaluation(loglik, score, complete, observed)

    def counts(self, theta: np.ndarray) -> np.ndarray:
        """The weight that every component explains at S points: (S, K)."""
        psi, phi = self.split(theta)
        point = self.components.at(phi)
        passed = self._em_pass(point, psi)
        if passed is not None:
            return passed[:, 1 : 1 + self.mixing.count]

        def task(start: int, stop: int) -> np.ndarray:
            return np.asarray(self._block(point, psi, start, stop, False)[1] @ self.weight[start:stop])

        return np.asarray(self._sum(task, len(theta)))

    @cached_property
    def dimensions(self) -> int:
        """Columns of the data, or as many of them as one degenerate component can explain exactly."""
        own: int | None = getattr(self.components, "dimensions", None)
        if own is not None:
            return own
        return int(self.components.take(np.zeros(1, int)).features().shape[1])

    def posterior(self, theta: np.ndarray) -> np.ndarray:
        """Posterior probabilities of the components, (units, K)."""
        psi, phi = self.split(theta[None])
        point = self.components.at(phi)
        return np.concatenate(self._each(lambda a, b: self._block(point, psi, a, b, False)[1][0].T))

    def entropies(self, theta: np.ndarray) -> tuple[float, float]:
        """Of the posteriors z, the weighted sums over units of - sum_k z_k log z_k and of log max_k z_k."""
        psi, phi = self.split(theta[None])
        point = self.components.at(phi)

        def task(start: int, stop: int) -> np.ndarray:
            z = self._block(point, psi, start, stop, False)[1][0]
            weight = self.weight[start:stop]
            hard = np.log(z.max(axis=0))
            soft = (z * np.log(np.maximum(z, 1e-300))).sum(axis=0)
            return np.array([-float(soft @ weight), float(hard @ weight)])

        with np.errstate(all="ignore"):
            entropy, hardness = self._sum(task, 1)
        return float(entropy), float(hardness)

    def unit_logliks(self, theta: np.ndarray) -> np.ndarray:
        """log sum_k pi_k f_k of every unit, without its weight: (units,)."""
        psi, phi = self.split(theta[None])
        point = self.components.at(phi)

        def task(start: int, stop: int) -> np.ndarray:
            block = point.rows(*self._rows(start, stop), False)
            joint = self._gather(block.log_density, start, stop)[0] + self.mixing.log_weights(psi, start, stop)[0]
            high = joint.max(axis=0)
            with np.errstate(all="ignore"):
                value = high + np.log(np.exp(joint - high).sum(axis=0))
            return np.where(high == -np.inf, -np.inf, value)

        return np.concatenate(self._each(task))

    def unit_scores(self, theta: np.ndarray) -> np.ndarray:
        """The score of every unit, without its weight: (units, size). For robust covariances and tests."""
        psi, phi = self.split(theta[None])
        point = self.components.at(phi)

        def task(start: int, stop: int) -> np.ndarray:
            block, r, _, pi = self._block(point, psi, start, stop, True)
            out = np.zeros((self.size, stop - start))
            for k, own in enumerate(self._complete_scores(block, pi[0], start, stop)):
                out[self.places[k]] += own * r[0, k]
            return out.T

        return np.concatenate(self._each(task))

    def take(self, units: np.ndarray) -> Mixture:
        """The mixture on some of its units, in the order given."""
        edges, rows = None, units
        if self.edges is not None:
            sizes = np.diff(self.edges)[units]
            edges = np.concatenate([[0], np.cumsum(sizes)])
            rows = np.repeat(self.edges[:-1][units] - edges[:-1], sizes) + np.arange(edges[-1])
        return replace(
            self, components=self.components.take(rows), mixing=self.mixing.take(units), weight=self.weight[units],
            edges=edges,
        )  # fmt: skip

    def start(self, weight: np.ndarray) -> np.ndarray:
        """theta from responsibilities (K, units) in [0, 1]."""
        r = weight * self.weight
        rows = r if self.edges is None else np.repeat(r, np.diff(self.edges), axis=1)
        return np.concatenate([self.mixing.from_posterior(r), self.components.from_posterior(rows)])

    def starts(self, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        """theta from each of several responsibilities; those of small mixtures of regressions are made together."""
        together: Any = getattr(self.components, "from_posteriors", None)
        if together is None or self.edges is not None or len(weights) * self.units * self.mixing.count > FEW:
            return [self.start(weight) for weight in weights]
        r = np.stack(weights) * self.weight
        return [np.concatenate([self.mixing.from_posterior(a), b]) for a, b in zip(r, together(r), strict=True)]

    def report(self, theta: np.ndarray) -> Parameters:
        """All parameters in the user's units: the proportions, then those of the components."""
        psi, phi = self.split(theta)
        return joined(self.mixing.report(psi), self.components.report(phi))

    def permuted(self, theta: np.ndarray, order: np.ndarray) -> np.ndarray:
        """theta with the components in another order."""
        psi, phi = self.split(theta)
        return np.concatenate([self.mixing.permuted(psi, order), self.components.permuted(phi, order)])

    def _rows(self, start: int, stop: int) -> tuple[int, int]:
        """The rows of some units."""
        return (start, stop) if self.edges is None else (int(self.edges[start]), int(self.edges[stop]))

    def _gather(self, values: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Sums over the rows of every unit, along the last axis."""
        if self.edges is None:
            return values
        first = self.edges[start:stop] - self.edges[start]
        return np.ascontiguousarray(np.add.reduceat(values, first, axis=-1))

    def _spread(self, values: np.ndarray, start: int, stop: int) -> np.ndarray:
        """The value of its unit for every row, along the last axis."""
        return values if self.edges is None else np.repeat(values, np.diff(self.edges[start : stop + 1]), axis=-1)

    def _block(
        self, point: Any, psi: np.ndarray, start: int, stop: int, informative: bool
    ) -> tuple[Block, np.ndarray, np.ndarray, np.ndarray]:
        """Some units: the block of their rows, posteriors (S, K, m), log-likelihoods (S,), log... and proportions."""
        block = point.rows(*self._rows(start, stop), informative)
        log_pi = self.mixing.log_weights(psi, start, stop)
        joint = self._gather(block.log_density, start, stop)
        loglik = posterior(joint, log_pi, self.weight[start:stop])
        return block, joint, loglik, np.exp(log_pi)

    def _complete_scores(self, block: Block, pi: np.ndarray, start: int, stop: int) -> list[np.ndarray]:
        """S_k for every component, units last."""
        z, m = self.mixing.columns(start, stop), stop - start
        mix = [np.broadcast_to(a, (a.shape[0], m)) for a in self.mixing.scores(pi, z)]
        own = [self._gather(a, start, stop) for a in block.scores()]
        return [np.concatenate([a, b]) for a, b in zip(mix, own, strict=True)]

    def _louis(
        self, block: Block, r: np.ndarray, loglik: float, pi: np.ndarray, weight: np.ndarray, start: int, stop: int
    ) -> MixtureEvaluation:
        size, mixed = self.size, self.mixing.size
        wr = r * weight
        expected, seen = block.curvature(self._spread(wr, start, stop))
        complete, observed = np.zeros((size, size)), np.zeros((size, size))
        if mixed:
            z = self.mixing.columns(start, stop)
            complete[:mixed, :mixed] = observed[:mixed, :mixed] = self.mixing.information(pi, z, weight)
        complete[mixed:, mixed:], observed[mixed:, mixed:] = expected, seen
        score, lost = loss(self._complete_scores(block, pi, start, stop), self.places, r, weight, size)
        observed -= lost
        return MixtureEvaluation(loglik, score, complete, observed)

    def _spans(self, width: int) -> list[list[tuple[int, int]]]:
        """Blocks of units, as first and last unit, in stripes that have a matrix of this width each."""
        rows = self.components.n / max(self.units, 1)
        size, stripes = plan(self.units, width, (self.components.row_size + 2.0 * self.components.count) * rows, True)
        return [[(a, min(a + size, stop)) for a in range(start, stop, size)] for start, stop in stripes]

    @property
    def _threads(self) -> int:
        return self.threads if self.components.n * self.components.row_size > FEW else 1

    def _each(self, task: Callable[[int, int], T]) -> list[T]:
        """task(start, stop) for every block of units, in order."""
        spans = [span for stripe in self._spans(1) for span in stripe]
        return _threads.run(lambda span: task(*span), spans, self._threads)

    def _sum(self, task: Callable[[int, int], Any], width: int, whole: bool = False) -> Any:
        """The sum of task(start, stop) over all blocks of units: in a stripe in order, then over the stripes.

        With `whole`, over the stripes: for a task that makes blocks of its own.
        """

        def stripe(spans: list[tuple[int, int]]) -> Any:
            first, *rest = spans
            total = task(*first)
            for span in rest:
                total = total + task(*span)
            return total

        stripes = self._spans(width)
        if whole:
            stripes = [[(spans[0][0], spans[-1][1])] for spans in stripes]
        first, *rest = _threads.run(stripe, stripes, self._threads)
        for part in rest:
            first = first + part
        return first


__all__ = ["Mixture", "MixtureEvaluation"]
