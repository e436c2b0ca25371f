"""Reading what users pass: arrays and tables of any library, as named columns that are numbers or categories.

Tables go through narwhals, so that pandas, polars, pyarrow and others are read alike. A column is numeric (booleans
are 0/1), categorical (strings, categories) or refused by name: dates, mixtures of kinds, nested values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._later import Later
from .errors import InputError, InputTypeError
from .sparse import Sparse, is_sparse, read_sparse

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
else:
    nw = Later("narwhals.stable.v2")


@dataclass(frozen=True, eq=False)
class Column:
    """One column: `values` are numbers, or codes into `levels` (-1 where missing)."""

    name: str
    values: np.ndarray
    levels: tuple[Any, ...] | None = None

    @property
    def missing(self) -> np.ndarray:
        """True where the value is missing."""
        return self.values < 0 if self.levels is not None else np.isnan(self.values)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name, or one 2-d array (`matrix`, or `sparse`) whose columns are called x0, x1, ...

    `known` holds the columns read so far; `rows` the user's numbers of the rows, where some were left out.
    """

    names: tuple[str, ...]
    n: int
    matrix: np.ndarray | None = None
    frame: Any = None
    index: Any = None
    known: dict[str, Column] = field(default_factory=dict)
    rows: np.ndarray | None = None
    sparse: Sparse | None = None

    @property
    def is_frame(self) -> bool:
        """True where the columns have names of the user's."""
        return self.frame is not None

    def column(self, name: str) -> Column:
        """A column by name, read once.

        Raises
        ------
        InputError
            If there is no such column; the message lists those there are.
        """
        if name not in self.known:
            if name not in self.names:
                raise InputError(f"column {name!r} is missing from the table; its columns are {_listed(self.names)}")
            if self.matrix is not None:
                self.known[name] = Column(name, np.asarray(self.matrix[:, self.names.index(name)], float))
            elif self.sparse is not None:
                self.known[name] = Column(name, self.sparse.column(self.names.index(name)))
            else:
                self.known[name] = read_column(name, self.frame[name])
        return self.known[name]

    def entries(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows and values of the entries of a sparse column of a pandas table, which zero fills; None for others."""
        native: Any = self.frame[name].to_native() if self.frame is not None and name in self.names else None
        dtype: Any = getattr(native, "dtype", None)
        if type(dtype).__name__ != "SparseDtype" or dtype.kind not in "fiub" or dtype.fill_value != 0:
            return None
        return native.array.sp_index.indices, np.asarray(native.array.sp_values, float)

    def take(self, rows: np.ndarray) -> Table:
        """The rows where `rows` is True."""
        numbers = np.flatnonzero(rows) if self.rows is None else self.rows[rows]
        if self.matrix is not None:
            return Table(self.names, numbers.size, self.matrix[rows], rows=numbers)
        if self.sparse is not None:
            return Table(self.names, numbers.size, rows=numbers, sparse=self.sparse.take(rows))
        index = self.index[rows] if self.index is not None else None
        known = {name: Column(name, c.values[rows], c.levels) for name, c in self.known.items()}
        return Table(self.names, numbers.size, None, self.frame.filter(rows.tolist()), index, known, numbers)


def shown(value: Any, most: int = 60) -> str:
    """A value as a message shows it."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _listed(names: Sequence[Any], most: int = 12) -> str:
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f", ... ({len(names)} in all)" if len(names) > most else "") if names else "(none)"


def read_table(data: Any, what: str = "X") -> Table:
    """Read a 2-d array or a table.

    Raises
    ------
    InputError, InputTypeError
        For a shape, dtype or container that cannot be used; the message says which and what to do.
    """
    if isinstance(data, Table):
        return data
    if data is None:
        raise InputError(f"{what} is None; pass a 2-d array or a table")
    if is_sparse(data):
        if what != "X":
            raise InputTypeError(f"Sparse data was passed for {what}, but dense data is required. "
                                 "Use '.toarray()' to convert it.")  # fmt: skip
        columns = read_sparse(data, what)
        return Table(tuple(f"x{j}" for j in range(columns.width)), columns.n, sparse=columns)
    if isinstance(data, np.ma.MaskedArray):
        if data.ndim == 2 and np.ma.getmaskarray(data).any():
            row, col = (int(i) for i in np.argwhere(np.ma.getmaskarray(data))[0])
            raise InputError(
                f"{what} is a masked array with masked values (first at row {row}, column {col}); "
                "fill them with NaN and use missing='drop', or remove the rows"
            )
        data = data.data
    if not isinstance(data, np.ndarray):
        from narwhals.exceptions import DuplicateError

        try:
            frame = nw.from_native(data)
        except TypeError:
            frame = None
        except DuplicateError:
            raise _twice([str(name) for name in getattr(data, "column_names", data.columns)], what) from None
        if isinstance(frame, nw.DataFrame):
            return _from_frame(data, frame, what)
        if isinstance(frame, nw.LazyFrame):
            raise InputTypeError(f"{what} is a lazy table; call .collect() on it first")
        if _is_series(data):
            raise InputError(f"Expected 2D array, got 1D array instead ({what} is a single column). "
                             "Reshape your data, e.g. pass a table with one column, or series.to_frame().")  # fmt: skip
        if isinstance(data, (str, bytes, dict, set)):
            raise InputTypeError(f"{what}: expected a 2-d array or a table, got {type(data).__name__}; "
                                 "make a table of it, e.g. pandas.DataFrame")  # fmt: skip
    return _from_array(data, what)


def _is_series(data: Any) -> bool:
    try:
        nw.from_native(data, series_only=True)
    except TypeError:
        return False
    return True


def _from_frame(native: Any, frame: Any, what: str) -> Table:
    names = tuple(str(name) for name in (native.columns if _is_pandas(native) else frame.columns))
    if _is_pandas(native) and any(not isinstance(name, str) for name in native.columns):
        native = native.set_axis(list(names), axis=1)
        frame = nw.from_native(native, eager_only=True) if len(set(names)) == len(names) else frame
    if len(set(names)) != len(names):
        raise _twice(names, what)
    return Table(names, int(frame.shape[0]), None, frame, native.index if _is_pandas(native) else None)


def _twice(names: Sequence[str], what: str) -> InputError:
    twice = next(name for name in names if names.count(name) > 1)
    return InputError(f"{what} has two columns called {twice!r}; rename one")


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.split(".")[0] == "pandas"


def _from_array(data: Any, what: str) -> Table:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InputError(f"{what} cannot be read as an array: {error}; its rows may differ in length") from None
    if array.ndim == 0:
        raise InputError(f"Expected 2D array, got scalar array instead: {what}={data!r}. Reshape your data.")
    if array.ndim == 1:
        raise InputError(
            f"Expected 2D array, got 1D array instead: {what} has shape {array.shape}. Reshape your data either "
            "using array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it contains a "
            "single sample."
        )
    if array.ndim != 2:
        raise InputError(
            f"Found array with dim {array.ndim}, while dim <= 2 is required: {what} has shape {array.shape}"
        )
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {what} has dtype {array.dtype}; pass its real part")
    if array.dtype.kind in "mM":
        raise InputTypeError(f"{what} holds dates or durations (dtype {array.dtype}); convert them to numbers first, "
                             "e.g. days since a date")  # fmt: skip
    if array.dtype.kind in "OUSVT":
        array = _numbers_from_objects(array, what)
    if array.dtype.kind not in "fiub":
        raise InputTypeError(f"{what} has dtype {array.dtype}, which is not a kind of number")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = _doubles(array)
    return Table(tuple(f"x{j}" for j in range(array.shape[1])), array.shape[0], array)


def _doubles(array: np.ndarray) -> np.ndarray:
    """Doubles; what is too large for one is infinite, which the checks that follow refuse."""
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(float)


def _numbers_from_objects(array: np.ndarray, what: str) -> np.ndarray:
    out = np.empty(array.shape)
    for index, value in np.ndenumerate(array):
        if isinstance(value, (complex, np.complexfloating)):
            raise InputError(
                f"Complex data not supported: {what} has the value {shown(value)} at row {index[0]}, column {index[1]}"
            )
        if isinstance(value, (dict, list, set, tuple)):
            raise InputTypeError(f"{what}: argument must be a string or a number, not {type(value).__name__} "
                                 f"(row {index[0]}, column {index[1]})")  # fmt: skip
        try:
            out[index] = _number(value)
        except (TypeError, ValueError):
            raise InputError(
                f"{what} has the value {shown(value)} at row {index[0]}, column {index[1]}, which is not a number; "
                "pass a table (pandas, polars, pyarrow), whose string columns become categorical"
            ) from None
    return out


def _number(value: Any) -> float:
    """A value as a float: NaN where it is missing, infinite where it is too large."""
    try:
        return float("nan") if _is_missing(value) else float(value)
    except OverflowError:
        return float("inf")


def _is_missing(value: Any) -> bool:
    kind = type(value).__name__
    if value is None or kind in ("NAType", "NaTType") or (kind == "Decimal" and value.is_nan()):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def read_column(name: str, series: Any) -> Column:
    """A narwhals series as numbers or as codes and levels."""
    dtype = series.dtype
    plain = getattr(series.to_native(), "dtype", None)
    if type(plain).__name__ == "SparseDtype":
        return read_column(name, nw.from_native(series.to_native().sparse.to_dense(), series_only=True))
    if dtype == nw.Boolean or dtype.is_numeric() or (isinstance(plain, np.dtype) and plain.kind in "fiub"):
        return Column(name, _numbers(series))
    if dtype in (nw.Categorical, nw.Enum):
        return _categories(name, series)
    if dtype == nw.String:
        encoded = _encoded(series)
        return _strings(name, series.to_list()) if encoded is None else _in_order(name, *encoded, sort=True)
    if dtype.is_temporal():
        raise InputTypeError(
            f"column {name!r} holds dates or durations ({dtype}); convert it to a number, e.g. days since a date, "
            "or to a string to treat it as categorical"
        )
    if dtype == nw.Object or dtype == nw.Unknown:
        return _objects(name, series.to_list())
    raise InputTypeError(f"column {name!r} has the dtype {dtype}, which is neither numeric nor categorical")


def _numbers(series: Any) -> np.ndarray:
    native = series.to_native()
    if _is_pandas(native):
        if isinstance(native.dtype, np.dtype):
            array = np.asarray(native.to_numpy())
            return _doubles(array) if array.dtype.itemsize > 8 else array
        return np.asarray(native.to_numpy(dtype=float, na_value=np.nan))
    if series.null_count():
        return np.asarray(series.cast(nw.Float64).to_numpy(), float)
    array = np.asarray(series.to_numpy())
    return array.astype(float) if array.dtype.kind == "O" else array


def _categories(name: str, series: Any) -> Column:
    native = series.to_native()
    if _is_pandas(native):
        if type(native.dtype).__name__ != "CategoricalDtype":
            return _objects(name, native.to_list())  # a dictionary of Arrow's
        levels = tuple(native.cat.categories)
        codes = np.asarray(native.cat.codes, dtype=np.int32)
    elif type(native).__module__.split(".")[0] == "pyarrow" and (encoded := _encoded(series)) is not None:
        return _in_order(name, *encoded, sort=False)
    else:
        levels = tuple(series.cat.get_categories().to_list())
        if series.implementation.is_polars() and series.dtype == nw.Categorical:
            levels = tuple(sorted(levels))  # they have no order of their own
        lookup = {level: k for k, level in enumerate(levels)}
        codes = np.array([-1 if v is None else lookup[v] for v in series.to_list()], dtype=np.int32)
    return Column(name, codes, levels)


def _encoded(series: Any) -> tuple[np.ndarray, list[Any]] | None:
    """The codes and the values of a column of pyarrow or polars that is, or can be, a dictionary; else None."""
    native = series.to_native()
    module = type(native).__module__.split(".")[0]
    if module == "polars":
        import polars as pl

        plain = native.cast(pl.String)
        values = plain.drop_nulls().unique(maintain_order=True)
        codes = plain.replace_strict(values, np.arange(len(values)), default=None, return_dtype=pl.Int32)
        return codes.fill_null(-1).to_numpy(), values.to_list()
    if module != "pyarrow":
        return None
    chunks = native.chunks if hasattr(native, "chunks") else [native]
    parts: list[np.ndarray] = []
    lookup: dict[Any, int] = {}
    for chunk in chunks:
        coded = chunk if hasattr(chunk, "dictionary") else chunk.dictionary_encode()
        if coded.dictionary.null_count:
            return None
        table = np.array([lookup.setdefault(v, len(lookup)) for v in coded.dictionary.to_pylist()] + [-1], np.int32)
        parts.append(table[np.asarray(coded.indices.fill_null(-1))])
    return (np.concatenate(parts) if parts else np.empty(0, np.int32)), list(lookup)


def _in_order(name: str, codes: np.ndarray, levels: list[Any], sort: bool) -> Column:
    """A column from codes into levels, which are sorted if need be."""
    if sort:
        order = sorted(range(len(levels)), key=levels.__getitem__)
        place = np.full(len(levels) + 1, -1, np.int32)
        place[order] = np.arange(len(levels), dtype=np.int32)
        codes, levels = place[codes], [levels[k] for k in order]
    return Column(name, np.ascontiguousarray(codes, np.int32), tuple(levels))


def _strings(name: str, values: list[Any]) -> Column:
    levels = sorted({v for v in values if not _is_missing(v)})
    lookup = {level: k for k, level in enumerate(levels)}
    codes = np.fromiter((-1 if _is_missing(v) else lookup[v] for v in values), dtype=np.int32, count=len(values))
    return Column(name, codes, tuple(levels))


def _objects(name: str, values: list[Any]) -> Column:
    kinds = {type(v) for v in values if not _is_missing(v)}
    if kinds and all(issubclass(k, str) for k in kinds):
        return _strings(name, values)
    import numbers
    from decimal import Decimal

    if all(
        issubclass(k, (numbers.Real, Decimal, np.number, np.bool_)) and not issubclass(k, np.complexfloating)
        for k in kinds
    ):
        return Column(name, np.array([_number(v) for v in values]))
    row = next(i for i, v in enumerate(values) if not _is_missing(v) and not isinstance(v, str))
    if any(issubclass(k, (complex, np.complexfloating)) for k in kinds):
        raise InputError(
            f"Complex data not supported: column {name!r} holds {shown(values[row])} at row {row}; pass its real part"
        )
    named = ", ".join(sorted(k.__name__ for k in kinds))
    raise InputTypeError(
        f"column {name!r} mixes or holds values of type {named} (row {row}: {shown(values[row])}); "
        "make it all numbers, or all strings for a categorical column"
    )


def read_vector(data: Any, what: str, n: int | None, index: Any = None) -> np.ndarray:
    """A 1-d array of n floats from an array, list or series; (n, 1) is flattened.

    Raises
    ------
    InputError, InputTypeError
        For a wrong length, kind or index; the message names the argument.
    """
    if isinstance(data, np.ma.MaskedArray):
        if np.ma.getmaskarray(data).any():
            row = int(np.argwhere(np.ma.getmaskarray(data).ravel())[0][0])
            raise InputError(f"{what} is a masked array with masked values (first at row {row}); fill or remove them")
        data = data.data
    check_index(data, what, index)
    series = None
    if not isinstance(data, np.ndarray):  # narwhals would look for plugins first
        with suppress(TypeError):
            series = nw.from_native(data, series_only=True)
    if series is not None:
        column = read_column(what, series)
        if column.levels is not None:
            raise InputError(f"{what} holds text or categories ({_listed(column.levels)}); convert it to numbers, "
                             f"e.g. ({what} == {str(column.levels[0])!r})" if column.levels else
                             f"{what} has no values: every row is missing")  # fmt: skip
        out = np.asarray(column.values)
    else:
        if hasattr(data, "nnz") and hasattr(data, "toarray"):
            raise InputTypeError(f"{what} is sparse; pass a dense array, e.g. {what}.toarray().ravel()")
        try:
            out = np.asarray(data)
        except ValueError as error:
            raise InputError(f"{what} cannot be read as an array: {error}") from None
    if out.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {what} has dtype {out.dtype}")
    if out.dtype.kind in "mM":
        raise InputTypeError(f"{what} holds dates or durations (dtype {out.dtype}); convert it to numbers")
    if out.dtype.kind in "OUSVT":
        flat = []
        for row, value in enumerate(out.ravel()):
            try:
                flat.append(_number(value))
            except (TypeError, ValueError):
                raise InputError(f"{what} has the value {shown(value)} at row {row}, which is not a number") from None
        out = np.array(flat).reshape(out.shape)
    if out.ndim == 0 and n is not None and what in ("offset", "exposure"):
        out = np.full(n, float(out))
    if out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    if out.ndim != 1:
        raise InputError(f"{what} must be one-dimensional with one value a row, got shape {out.shape}")
    if n is not None and out.size != n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: {what} has {out.size} values, X has {n} rows"
        )
    return _doubles(out)


def check_index(data: Any, what: str, index: Any) -> None:
    """Refuse a series whose row labels differ from those of the table: pairing by position would be wrong."""
    other = getattr(data, "index", None) if _is_pandas(data) else None
    if index is None or other is None or len(other) != len(index) or other.equals(index):
        return
    row = next((i for i, (a, b) in enumerate(zip(index, other, strict=True)) if _differ(a, b)), None)
    if row is None:
        return
    raise InputError(
        f"the index of {what} differs from that of X (row {row}: {shown(other[row])} against {shown(index[row])}); "
        f"align them, e.g. {what}.loc[X.index], or pass {what}.to_numpy() to pair by position"
    )


def _differ(a: Any, b: Any) -> bool:
    """Two row labels differ; missing labels are alike."""
    return _is_missing(a) != _is_missing(b) if _is_missing(a) or _is_missing(b) else bool(a != b)


def check_finite(values: np.ndarray, what: str, missing: str = "raise") -> None:
    """Refuse infinity and (unless such rows are to be dropped) NaN, naming the first row."""
    with np.errstate(all="ignore"):
        if math.isfinite(values.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(values) if missing == "raise" else np.isinf(values))
    if bad.size:
        kind = "NaN" if np.isnan(values[bad[0]]) else "infinity, or a value too large for a float"
        raise InputError(f"Input {what} contains {kind} (row {int(bad[0])}, {bad.size} such value(s)); remove the rows"
                         + (", or use missing='drop'" if kind == "NaN" else ""))  # fmt: skip


def named_values(value: Any, table: Table, what: str) -> Any:
    """The numbers of a column of the table where `value` is its name; else `value`."""
    if not isinstance(value, str):
        return value
    if not table.is_frame:
        raise InputError(f"{what}={value!r} names a column, but X is an array; pass the values")
    if value not in table.names:
        raise InputError(f"{what}={value!r} is not a column of the table; its columns are {_listed(table.names)}")
    column = table.column(value)
    if column.levels is not None:
        raise InputTypeError(f"{what}={value!r} is a column of text or categories ({_listed(column.levels)}); "
                             "name a column of numbers")  # fmt: skip
    return column.values
