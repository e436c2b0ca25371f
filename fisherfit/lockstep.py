"""Many searches over the same rows, side by side: what they ask for in a round is answered by one pass over the rows.

A search is a generator. It yields (theta, kind), is sent the evaluation there, and returns what it has found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .kernels import SCORE
from .likelihood import Evaluation, Likelihood, expand

Search = Generator[tuple[np.ndarray, int], Evaluation, Any]
TOGETHER = 128  # points of a pass at the most: their linear predictors stay in the cache
FEWEST = 3  # points from which a common pass is faster than one for each
SPARSEST = 0.25  # share of a row's numbers that must be there for rows to be written out


@dataclass
class Passes:
    """Passes over the rows: common ones for scores, and those that made an information matrix for one point."""

    scores: int = 0
    matrices: int = 0
    points: int = 0
    rounds: int = field(default=0)


def march(searches: Sequence[tuple[Likelihood, Search]], passes: Passes | None = None) -> list[Any]:
    """What every search returns; those on the same likelihood share their passes.

    Parameters
    ----------
    searches : sequence of (Likelihood, generator)
        The rows, and a search that asks for evaluations on them.
    passes : Passes, optional
        Counts what was done.
    """
    passes = Passes() if passes is None else passes
    results: list[Any] = [None] * len(searches)
    asked: dict[int, tuple[np.ndarray, int]] = {}

    def go_on(i: int, answer: Evaluation | None) -> None:
        try:
            asked[i] = next(searches[i][1]) if answer is None else searches[i][1].send(answer)
        except StopIteration as end:
            results[i] = end.value
            asked.pop(i, None)

    for i in range(len(searches)):
        go_on(i, None)
    while asked:
        passes.rounds += 1
        answers: dict[int, Evaluation] = {}
        groups: dict[int, list[int]] = {}
        for i, (theta, kind) in asked.items():
            if kind == SCORE:
                groups.setdefault(id(searches[i][0]), []).append(i)
            else:
                answers[i] = searches[i][0].evaluate(theta, kind)
                passes.matrices += 1
        for group in groups.values():
            found = scores_at(searches[group[0]][0], np.stack([asked[i][0] for i in group]))
            passes.scores += 1
            answers.update(zip(group, found, strict=True))
        passes.points += len(answers)
        for i in sorted(answers):
            go_on(i, answers[i])
    return results


def scores_at(likelihood: Likelihood, thetas: np.ndarray) -> list[Evaluation]:
    """Log-likelihood and score at every row of `thetas`, in one pass where the rows are dense."""
    width = sum(likelihood.widths)
    dense = sum(d.row_size for d in likelihood.designs) >= SPARSEST * width
    if len(thetas) < FEWEST or not dense or not likelihood.by_rows:
        return [likelihood.evaluate(theta, SCORE) for theta in thetas]
    out: list[Evaluation] = []
    for first in range(0, len(thetas), TOGETHER):
        out += _together(likelihood, thetas[first : first + TOGETHER])
    return out


def _together(likelihood: Likelihood, thetas: np.ndarray) -> list[Evaluation]:
    """The same for points that fit in the cache, by products of a block of rows with all of them."""
    k, count = len(likelihood.designs), len(thetas)
    edges = np.concatenate([[0], np.cumsum(likelihood.widths)])
    parts = [np.ascontiguousarray(thetas[:, edges[j] : edges[j + 1]]) for j in range(k)]
    rows, constants = likelihood.kernels.rows, likelihood.kernels.constants

    def add(start: int, stop: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        loglik, score = np.zeros(count), np.zeros((count, edges[-1]))
        u, w = np.empty((count, k, size)), np.empty((k * (k + 1) // 2, size))
        for begin in range(start, stop, size):
            here = slice(begin, min(begin + size, stop))
            m = here.stop - begin
            if m != size:
                u, w = np.empty((count, k, m)), np.empty((k * (k + 1) // 2, m))
            blocks = [expand(design, begin, here.stop) for design in likelihood.designs]
            eta = np.empty((count, k, m))
            for j in range(k):
                eta[:, j] = parts[j] @ blocks[j].T
            if likelihood.offset is not None:
                eta[:, 0] += likelihood.offset[here]
            y, weight = likelihood.y[here], likelihood.weight[here]
            for t in range(count):
                loglik[t] += rows(y, weight, eta[t], constants, SCORE, u[t], w)
            for j in range(k):
                score[:, edges[j] : edges[j + 1]] += u[:, j] @ blocks[j]
        return loglik, score

    (loglik, score), *rest = likelihood.each_stripe(add, False)
    for more, part in rest:
        loglik += more
        score += part
    return [Evaluation(float(loglik[t]), score[t], None, likelihood.n, SCORE) for t in range(count)]


__all__ = ["Passes", "Search", "march", "scores_at"]
