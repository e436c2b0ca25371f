"""Labels of groups of rows that are read in batches: one pass over their columns alone, a code for every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clusters import Clusters, two_ways
from .errors import InputError
from .scan import Reader, Scan, located
from .table import read_table


def batch_clusters(groups: Any, reader: Reader, found: Scan) -> Clusters | None:
    """The clusters of rows read in batches: names of columns, or arrays of as many labels as there are rows.

    Raises
    ------
    InputError
        For a row without a label, or another number of labels than rows.
    """
    if groups is None:
        return None
    ways = two_ways(groups)
    codes = [_column(way, reader) if isinstance(way, str) else _array(way, found.read) for way in ways]
    for way in codes:
        if (way < 0).any():
            row = int(np.argmax(way < 0))
            raise InputError(f"groups has a missing label at row {row} ({int((way < 0).sum())} in all); fill it, or "
                             "leave such rows out of the batches")  # fmt: skip
    out = Clusters(tuple(codes), tuple(way for way in ways if isinstance(way, str)))
    return out.take(found.kept() if found.dropped else None)


def _column(name: str, reader: Reader) -> np.ndarray:
    from .groups import read_labels

    number: dict[Any, int] = {}
    out = []
    for batch in reader.source.open((name,)):
        with located(batch):
            data = batch.data[0] if isinstance(batch.data, tuple) else batch.data
            if type(data).__name__ == "RecordBatch":
                import pyarrow

                data = pyarrow.Table.from_batches([data])
            labels = read_labels(name, read_table(data))
        known = [number.setdefault(label, len(number)) for label in labels.index]
        out.append(np.append(known, -1).astype(np.int64)[labels.codes])
    reader.tally.response += 1
    return np.concatenate(out) if out else np.empty(0, np.int64)


def _array(labels: Any, n: int) -> np.ndarray:
    from .groups import read_labels

    return np.ascontiguousarray(read_labels(labels, read_table(np.empty((n, 1)))).codes, np.int64)


__all__ = ["batch_clusters"]
