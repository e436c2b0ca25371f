"""The groups of rows whose errors may go together: one label a row, or two for two-way clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import InputError
from .table import Table


@dataclass(frozen=True, eq=False)
class Clusters:
    """For each of one or two ways a code for every row, -1 where the label is missing; the columns they came from."""

    codes: tuple[np.ndarray, ...]
    columns: tuple[str, ...] = ()

    def take(self, kept: np.ndarray | None) -> Clusters:
        """The rows where `kept` is True."""
        return self if kept is None else replace(self, codes=tuple(codes[kept] for codes in self.codes))

    def absent(self, missing: str) -> np.ndarray | None:
        """The rows without a label, to be left out where `missing` says so; an error otherwise."""
        lost = np.any([codes < 0 for codes in self.codes], axis=0)
        if not lost.any():
            return None
        if missing == "raise":
            raise InputError(
                f"groups has a missing label at row {int(np.argmax(lost))} ({int(lost.sum())} in all); use "
                "missing='drop' to leave such rows out, or fill them"
            )
        return np.asarray(lost)


def read_clusters(groups: Any, table: Table) -> Clusters:
    """The clusters of the rows of a table: labels, the name of a column, or two of either.

    Raises
    ------
    InputError, InputTypeError
        For a column that the table does not have, a wrong length or shape, more than two ways.
    """
    from .groups import read_labels  # brings pandas

    ways = two_ways(groups)
    labels = [read_labels(way, table) for way in ways]
    return Clusters(
        tuple(np.ascontiguousarray(label.codes, np.int64) for label in labels),
        tuple(way for way in ways if isinstance(way, str)),
    )


def two_ways(groups: Any) -> list[Any]:
    """What was given as one or two lots of labels."""
    if isinstance(groups, str) or groups is None:
        return [groups]
    if isinstance(groups, (list, tuple)):
        several = len(groups) and all(isinstance(way, str) or np.ndim(way) == 1 for way in groups)
        if not several or (len(groups) > 2 and all(isinstance(way, str) for way in groups)):
            return [groups]  # a label for every row
        ways = list(groups)
    elif len(getattr(groups, "shape", ())) == 2:
        columns = getattr(groups, "columns", None)
        many = groups.shape[1]
        ways = [groups[:, j] if columns is None else groups[columns[j]] for j in range(many)]
    else:
        return [groups]
    if len(ways) > 2:
        raise InputError(f"groups has {len(ways)} ways; clusters can go one way or two")
    return ways


def crossed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Codes of the groups of rows that share both labels."""
    _, codes = np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)
    return np.asarray(codes, np.int64)


__all__ = ["Clusters", "crossed", "read_clusters", "two_ways"]
