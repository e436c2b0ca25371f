"""Tables from files: CSV, TSV and Parquet, with one clear error for a file that cannot be used."""

from __future__ import annotations

import io
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import datasets
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT_FILES = {".csv": ",", ".tsv": "\t"}
PACKED = (".gz", ".bz2", ".xz")
PARQUET = (".parquet", ".pq")


def read_data(name: str) -> pd.DataFrame:
    """Read a table: CSV, TSV, Parquet, a data set of the package (``@quine``), or CSV from stdin (``-``).

    Raises
    ------
    InputError
        For a file that is not there or cannot be read; the message names it and says why.

    Examples
    --------
    >>> from fisherfit.files import read_data
    >>> read_data("@warpbreaks").shape
    (54, 3)
    """
    if name.startswith("@"):
        return datasets.load(name[1:])
    try:
        kind = ".csv" if name == "-" else _kind(Path(name))
        table = _read_parquet(Path(name)) if kind in PARQUET else _read_text(name, TEXT_FILES[kind])
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None
    if len(table.columns) == 1 and (found := re.search("[;\t,|]", str(table.columns[0]))):
        raise InputError(
            f"{name}: has one column only; its header is separated by {found[0]!r}, not as its ending says"
        )
    if not len(table):
        raise InputError(f"{name}: has a header and no rows")
    return table


def _kind(path: Path) -> str:
    """The ending that says how to read a file, checked."""
    if not path.exists():
        known = path.name.split(".")[0]
        hint = f"; the data set of the package is called @{known}" if known in datasets.names() else ""
        raise InputError(f"{path}: no such file{hint}")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file")
    endings = [ending.lower() for ending in path.suffixes]
    if len(endings) > 1 and endings[-1] in PACKED:
        endings.pop()
    if not endings or endings[-1] not in (*TEXT_FILES, *PARQUET):
        raise InputError(f"{path}: expected a name that ends in .csv, .csv.gz, .tsv, .tsv.gz or .parquet")
    return endings[-1]


def _read_text(name: str, separator: str) -> pd.DataFrame:
    import lzma
    import zlib

    import pandas as pd

    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    # from pandas 3.1 on, numbers are read exactly without being told
    exact: dict[str, Any] = {"float_precision": "round_trip"} if version < (3, 1) else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name,
                sep=separator,
                encoding="utf-8-sig",
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
                **exact,
            )
    except pd.errors.EmptyDataError:
        raise InputError(f"{name}: is empty") from None
    except pd.errors.ParserWarning:
        raise InputError(f"{name}: has more values in a row than names in the header") from None
    except pd.errors.ParserError as error:
        if "Calling read(nbytes) on source failed" in str(error):  # how pandas hands on Ctrl-C
            raise KeyboardInterrupt from None
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"{name}: cannot be read as a table: {reason}") from None
    except UnicodeError:
        raise InputError(f"{name}: is not UTF-8 text; convert it, e.g. iconv -f latin1 -t utf-8 OLD > NEW") from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{name}: cannot be unpacked: {' '.join(str(error).split())}") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except ImportError:
        raise InputError(
            f"{path}: Parquet files need pyarrow; install it with: pip install 'fisherfit[parquet]'"
        ) from None
    except ValueError as error:  # pyarrow's errors are ValueErrors
        raise InputError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())}") from None


def nearly_numbers(table: pd.DataFrame) -> dict[str, tuple[str, int]]:
    """Text columns most of whose values are numbers: a value that is not one, and its row.

    Examples
    --------
    >>> import pandas as pd
    >>> from fisherfit.files import nearly_numbers
    >>> nearly_numbers(pd.DataFrame({"x": ["1", "2.5", "n/a?", "4"], "g": ["a", "b", "a", "b"]}))
    {'x': ('n/a?', 2)}
    """
    import pandas as pd

    found = {}
    for name, column in table.items():
        if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
            continue
        text = column[column.map(lambda value: isinstance(value, str))].drop_duplicates()
        loose = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").notna()
        bad = text[pd.to_numeric(text, errors="coerce").isna()]
        if loose.sum() >= 3 and loose.mean() > 0.5 and len(bad):
            found[str(name)] = (str(bad.iloc[0]), int(table.index.get_indexer(bad.index[:1])[0]))
    return found
