"""Small public data sets for examples and tests.

The files lie in the folder ``datasets`` of the repository; a wheel carries them as ``fisherfit/_data``.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import pandas as pd

__all__ = ["describe", "load", "names"]

# Text columns become categories, sorted. These have an order of their own.
_ORDER = {
    ("birthwt", "race"): ["white", "black", "other"],
    ("insurance", "age"): ["<25", "25-29", "30-35", ">35"],
    ("insurance", "group"): ["<1l", "1-1.5l", "1.5-2l", ">2l"],
    ("randhie", "health"): ["excellent", "good", "fair", "poor"],
    ("warpbreaks", "tension"): ["L", "M", "H"],
}


def names() -> list[str]:
    """The names of the data sets, sorted.

    Examples
    --------
    >>> from fisherfit import datasets
    >>> "quine" in datasets.names()
    True
    """
    return sorted(file.name[: -len(".csv")] for file in _folder().iterdir() if file.name.endswith(".csv"))


def load(name: str) -> pd.DataFrame:
    """Read a data set.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pandas.DataFrame
        Text columns are categories; the first level is the reference.

    Examples
    --------
    >>> from fisherfit import datasets
    >>> datasets.load("warpbreaks").head(2)
       breaks wool tension
    0      26    A       L
    1      30    A       L
    """
    import pandas as pd

    _check(name)
    with (_folder() / f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    for column in table.select_dtypes(exclude="number"):
        levels = _ORDER.get((name, str(column)), sorted(table[column].unique()))
        table[column] = pd.Categorical(table[column], categories=levels)
    return table


def describe(name: str) -> str:
    """Source, licence, rows and columns of a data set.

    Parameters
    ----------
    name : str
        One of `names`.

    Examples
    --------
    >>> from fisherfit import datasets
    >>> print(datasets.describe("trees").splitlines()[0])
    Timber in felled black cherry trees.
    """
    _check(name)
    sections = (_folder() / "README.md").read_text(encoding="utf-8").split("\n## ")
    return next(text for title, _, text in (s.partition("\n") for s in sections) if title == name).strip()


def _check(name: str) -> None:
    known = names()
    if name not in known:
        close = get_close_matches(str(name), known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(f"There is no data set {name!r}. {hint}Available: {', '.join(known)}.")


def _folder() -> Traversable:
    packaged = files("fisherfit") / "_data"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "datasets"
