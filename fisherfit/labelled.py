"""Arrays as labelled objects of pandas, which is imported when the first is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def series(values: Any, index: Sequence[str], name: str) -> pd.Series:
    """A column with a name for every value."""
    import pandas as pd

    return pd.Series(values, index=list(index), name=name)


def frame(values: Any, index: Sequence[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table with a name for every row; `values` are a matrix, or columns by name."""
    import pandas as pd

    return pd.DataFrame(values, index=list(index), columns=None if columns is None else list(columns))
