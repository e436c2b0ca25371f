"""Compile ahead of time: run every path of a fit once on a few rows, so that the kernels lie in the disk cache."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _jit
from .errors import CompilationWarning, FisherfitWarning
from .estimators import GLM
from .families import Family, get_family
from .links import LINKS_BY_SUPPORT
from .passes import compile_passes

#: what `warmup` compiles where no family is named, with their default links
COMMON = ("normal", "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial", "tweedie")
ROWS = 24


@dataclass(frozen=True)
class Warmed:
    """What one family with one link took: the kernels compiled, none where all were found on disk."""

    family: str
    link: str
    compiled: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Warmup:
    """What :func:`warmup` did.

    Attributes
    ----------
    done : tuple of Warmed
        An entry for every family and link: ``family``, ``link``, ``compiled`` (names of kernels), ``seconds``.
    folder : str or None
        Where the compiled code lies; None where no folder can be written.
    seconds : float
        How long it took.
    """

    done: tuple[Warmed, ...]
    folder: str | None
    seconds: float

    @property
    def compiled(self) -> int:
        """How many kernels were compiled; 0 where the cache had them all."""
        return sum(len(step.compiled) for step in self.done)


def warmup(
    families: str | Family | Sequence[str | Family] | None = None,
    *,
    all_links: bool = False,
    progress: Callable[[Warmed], None] | None = None,
) -> Warmup:
    """Compile the kernels that fits need and keep them on disk, for the processes that follow.

    Parameters
    ----------
    families : family, or list of them, optional
        Names or objects; by default the common ones.
    all_links : bool, default False
        Every link of a family, and not its default link alone; and what sparse designs and `GroupedGLM` need.
    progress : callable, optional
        Called with a `Warmed` after every family and link.

    Returns
    -------
    Warmup

    Raises
    ------
    InputError
        If there is no such family.

    Warns
    -----
    CompilationWarning
        If no folder can be written, so that nothing can be kept; then nothing is compiled either.

    Examples
    --------
    >>> import fisherfit as ff
    >>> done = ff.warmup("poisson")
    >>> [(step.family, step.link) for step in done.done]
    [('poisson', 'log')]
    >>> ff.warmup("poisson").compiled
    0
    """
    began = time.perf_counter()
    if families is None:
        families = COMMON
    elif isinstance(families, (str, Family)):
        families = (families,)
    chosen = [get_family(family) for family in families]
    folder = _jit.cache_folder()
    if folder is None:
        warnings.warn(_jit.UNCACHED, CompilationWarning, stacklevel=2)
        return Warmup((), None, time.perf_counter() - began)
    done = []
    for family in chosen:
        for link in _links(family, all_links):
            start = time.perf_counter()
            with _jit.compilations() as compiled:
                compile_passes(all_links)
                if all_links:
                    from .chunks import kernels

                    kernels()
                _exercise(family, link)
            step = Warmed(family.name, link, tuple(compiled), time.perf_counter() - start)
            done.append(step)
            if progress is not None:
                progress(step)
    return Warmup(tuple(done), folder, time.perf_counter() - began)


def _links(family: Family, every: bool) -> list[str]:
    first, support = next(iter(family.parameters.items()))
    default = family.default_links.get(first) or family.canonical_link or family.default_link(first)
    others = LINKS_BY_SUPPORT[support] if every else ()
    return [default, *(link for link in others if link != default and "(" not in link)]


def _exercise(family: Family, link: str) -> None:
    """Fit, predict and score: arrays and tables, with and without offset and weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FisherfitWarning)  # the data are made up, and so are their troubles
        warnings.simplefilter("error", CompilationWarning)
        y = _response(family)
        for X, given in _inputs():
            model = GLM(family, link).fit(X, y, **given)
            with np.errstate(all="ignore"):
                model.predict(X)
                model.score(X, y)


def _inputs() -> Iterator[tuple[Any, dict[str, Any]]]:
    import pandas as pd

    i = np.arange(ROWS)
    X = np.column_stack([np.sin(1.0 + i), np.cos(2.0 * i)])
    yield X, {}
    yield X, {"sample_weight": 1.0 + i % 2}
    table = pd.DataFrame(X, columns=["a", "b"]).assign(
        g=np.array(["u", "v", "w"])[i % 3], h=pd.Categorical(np.array(["s", "t"])[i // 3 % 2]), o=0.01 * (i % 4)
    )
    yield table, {"offset": "o", "sample_weight": 1.0 + i % 2}


def _response(family: Family) -> np.ndarray:
    """Responses that the family may have, with no pattern that the columns explain."""
    i = np.arange(ROWS)
    share = (i * 7 % 5) / 4.0
    support = family.support
    if np.isfinite(support.upper) and np.isfinite(support.lower):
        if support.lower_open or support.upper_open:
            share = 0.2 + 0.6 * share
        elif family.takes_trials:
            share = (i * 7 % 5 % 2).astype(float)
        y = support.lower + (support.upper - support.lower) * share
    else:
        y = max(support.lower, 0.0) + 1.0 + 12.0 * share**3  # more spread than Poisson's, for the sake of alpha
    return np.floor(y) if support.integer else y


__all__ = ["Warmed", "Warmup", "warmup"]
