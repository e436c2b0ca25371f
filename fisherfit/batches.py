"""Where rows come from that do not fit in memory: Parquet, Arrow datasets, lazy tables, whatever gives batches anew.

A `Source` gives its batches, in the same order, as often as it is asked: every pass over the rows asks once. Files
give only the columns that are asked for, and are read ahead in a thread while the caller works on earlier batches.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._later import Later
from .errors import InputError, InputTypeError

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
else:
    nw = Later("narwhals.stable.v2")

BATCH_BYTES = 8 * 1024 * 1024  # of the columns of one batch of a file
ROWS = (8_192, 131_072)  # the least and the most rows of such a batch
BUFFER = 1024 * 1024  # bytes of a column read from a file at once
AHEAD = 2  # batches read while the caller works on one

Columns = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows: a table, or a tuple (X, y[, sample_weight[, offset]]); where they are from, for messages."""

    data: Any
    label: str
    first: int = 0


@dataclass(frozen=True, eq=False)
class Source:
    """Batches that can be had again: `open(columns)` begins a pass over them.

    `empty` is a table of no rows with the columns of all batches, where that is known before a pass; `rows` counts
    the rows where that is cheap.
    """

    open: Callable[[Columns], Iterator[Batch]]
    empty: Any = None
    rows: Callable[[], int | None] = lambda: None


ONE_SHOT = (
    "X is an iterator, which gives its batches once, but a fit passes over the rows several times; pass a list of the "
    "batches, or a function without arguments that makes the iterator anew, e.g. lambda: read_batches(path)"
)


def source_of(X: Any) -> Source | None:
    """The source of batches that X is; None where X is a table or an array in memory.

    Raises
    ------
    InputError, InputTypeError
        For an iterator, which can be passed over once only, and for a path that cannot be read.
    """
    if isinstance(X, (str, os.PathLike)):
        return _parquet(Path(X))
    module = type(X).__module__.split(".")[0]
    if module == "pyarrow" and hasattr(X, "scanner"):
        return _dataset(X, "the dataset")
    if module == "polars" and type(X).__name__ == "LazyFrame":
        return _lazy(X)
    if isinstance(X, (list, tuple)):
        return _again(lambda: X) if X and _is_batch(X[0]) else None
    if isinstance(X, Iterator):
        raise InputTypeError(ONE_SHOT)
    if isinstance(X, (dict, set, frozenset, bytes, bytearray, type)) or X is None:
        return None
    if callable(X) and not hasattr(X, "__array__") and not hasattr(X, "shape"):
        return _again(X)
    known = hasattr(X, "__array__") or hasattr(X, "shape") or hasattr(X, "__dataframe__") or _is_frame(X)
    return _again(lambda: X) if hasattr(X, "__iter__") and not known and not hasattr(X, "__len__") else _sized(X, known)


def _sized(X: Any, known: bool) -> Source | None:
    """A user's own container of batches, told from array-likes by its first item."""
    if known or not hasattr(X, "__iter__"):
        return None
    first = next(iter(X), None)
    return _again(lambda: X) if first is not None and _is_batch(first) else None


def _is_frame(item: Any) -> bool:
    try:
        return isinstance(nw.from_native(item), nw.DataFrame)
    except Exception:  # a foreign type of any kind
        return False


def _is_batch(item: Any) -> bool:
    if isinstance(item, tuple):
        return len(item) in (2, 3, 4) and (_is_frame(item[0]) or getattr(item[0], "ndim", 0) == 2)
    return type(item).__name__ == "RecordBatch" or _is_frame(item)


def _again(make: Callable[[], Iterable[Any]]) -> Source:
    """Batches of a container, or of a function that makes an iterator."""

    def batches(columns: Columns) -> Iterator[Batch]:
        try:
            items = iter(make())
        except TypeError as error:
            raise InputTypeError(
                f"X was called for batches without arguments, and failed: {error}; it must return an iterator"
            ) from None
        for number, item in enumerate(items):
            yield Batch(item, f"batch {number}")

    return Source(batches)


def _parquet(path: Path) -> Source:
    """A Parquet file, or a folder of them."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        import pyarrow
        import pyarrow.dataset as ds
    except ImportError:
        raise InputError(
            f"{path}: Parquet files need pyarrow; install it with: pip install 'fisherfit[parquet]'"
        ) from None
    try:
        dataset = ds.dataset(path, format="parquet", partitioning="hive")
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {_line(error)}") from None
    if not dataset.files:
        raise InputError(f"{path}: the folder holds no Parquet file")
    if any(str(f.partition_expression) != "true" for f in dataset.get_fragments()):
        return _dataset(dataset, str(path))
    return _files(dataset, path)


def _files(dataset: Any, path: Path) -> Source:
    """Parquet files one after the other, decoded batch by batch: half the time and memory of a scanner."""
    import pyarrow
    import pyarrow.parquet as pq

    size = _batch_rows(len(dataset.schema.names))

    def read(columns: Columns) -> Iterator[Batch]:
        names = list(dataset.schema.names if columns is None else columns)
        for file in dataset.files:
            label, first = Path(file).name, 0
            try:
                with pq.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as opened:
                    lacking = [name for name in names if name not in opened.schema_arrow.names]
                    if lacking:
                        raise _lacks(label, lacking[0])
                    for batch in opened.iter_batches(batch_size=size, columns=names, use_threads=False):
                        yield Batch(batch, label, first)
                        first += batch.num_rows
            except (OSError, pyarrow.ArrowException) as error:
                raise InputError(f"{path}: cannot be read (at {label}): {_line(error)}") from None

    return Source(lambda columns: read_ahead(read(columns)), dataset.schema.empty_table(), dataset.count_rows)


def _batch_rows(width: int) -> int:
    return int(np.clip(BATCH_BYTES // (8 * max(1, width)), *ROWS))


def _lacks(label: str, name: str) -> InputError:
    return InputError(f"{label}: has no column {name!r}, which other files have; write the files alike")


def _dataset(dataset: Any, what: str) -> Source:
    """An Arrow dataset, in its order; a batch holds rows of one file."""
    import pyarrow
    import pyarrow.dataset as ds

    size = _batch_rows(len(dataset.schema.names))

    def read(columns: Columns) -> Iterator[Batch]:
        names = list(dataset.schema.names if columns is None else columns)
        lean: dict[str, Any] = {}
        if isinstance(getattr(dataset, "format", None), ds.ParquetFileFormat):
            lean["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        scanner = dataset.scanner(
            columns=names, batch_size=size, batch_readahead=1, fragment_readahead=1, use_threads=False, **lean
        )
        label, first = what, 0
        try:
            for tagged in scanner.scan_batches():
                path = getattr(tagged.fragment, "path", None)
                here = what if path is None else Path(path).name
                if here != label:
                    label, first = here, 0
                    _check_schema(tagged.fragment, names, label)
                yield Batch(tagged.record_batch, label, first)
                first += tagged.record_batch.num_rows
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{what}: cannot be read (at {label}): {_line(error)}") from None

    return Source(lambda columns: read_ahead(read(columns)), dataset.schema.empty_table(), dataset.count_rows)


def _check_schema(fragment: Any, names: list[str], label: str) -> None:
    """Refuse a file that lacks a column, which Arrow would fill with missing values."""
    try:
        own = set(fragment.physical_schema.names)
    except (AttributeError, OSError):
        return
    partition = str(getattr(fragment, "partition_expression", ""))
    lacking = [name for name in names if name not in own and name not in partition]
    if lacking:
        raise _lacks(label, lacking[0])


def _lazy(frame: Any) -> Source:
    """A lazy table of polars, collected in batches."""
    if not hasattr(frame, "collect_batches"):
        raise InputTypeError("X is a lazy table, and this polars cannot give its batches; update polars, or pass "
                             "frame.collect()")  # fmt: skip
    import polars as pl

    schema = frame.collect_schema()
    size = _batch_rows(len(schema))

    def read(columns: Columns) -> Iterator[Batch]:
        wanted = frame if columns is None else frame.select(list(columns))
        try:
            for number, table in enumerate(wanted.collect_batches(chunk_size=size, maintain_order=True)):
                yield Batch(table, f"batch {number}")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"the lazy table cannot be read: {_line(error)}") from None

    return Source(lambda columns: read_ahead(read(columns)), pl.DataFrame(schema=schema))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches in the same order, fetched in a thread while the caller works on earlier ones."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()

    def offer(item: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def fetch() -> None:
        try:
            for batch in batches:
                offer(batch)
                if stop.is_set():
                    return
            offer(None)
        except BaseException as error:  # raised again where the batch would have been
            offer(error)

    thread = threading.Thread(target=fetch, name="fisherfit-reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


__all__ = ["Batch", "Source", "read_ahead", "source_of"]
