"""Figures of a search over mixtures: the criterion by number of components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputTypeError
from ._style import GREY, INK, RED, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("n_components", "llf", "n_params", "bic", "icl", "aic", "entropy", "converged", "note")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#222222")  # Okabe & Ito (2008)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def criterion(search: Any, ax: Axes | None = None) -> Axes:
    """The criterion of a search by number of components: a line for every setting, the best marked.

    Parameters
    ----------
    search : MixtureSearch
        Fitted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> galaxies = ff.datasets.load("galaxies") / 1000
    >>> search = ff.MixtureSearch(n_components=range(1, 6), random_state=0).fit(galaxies)
    >>> ax = ff.plots.criterion(search)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('number of components', 'BIC')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    if not hasattr(search, "results_") or not hasattr(search, "criterion"):
        raise InputTypeError(f"give a fitted MixtureSearch, not {type(search).__name__}")
    table, key = search.results_, search.criterion
    settings = [name for name in table.columns if name not in NAMES]
    ax = axes(ax)
    groups: dict[str, Any] = {}
    for _, row in table.iterrows():
        groups.setdefault(", ".join(str(row[name]) for name in settings), []).append((row["n_components"], row[key]))
    for i, label in enumerate(sorted(groups)):
        values = np.array(sorted(groups[label]), float)
        turn = i // len(COLOURS)
        ax.plot(values[:, 0], values[:, 1], marker=MARKERS[i % len(MARKERS)], markersize=4, linewidth=1.3,
                linestyle=("-", (0, (4, 2)), (0, (1, 1)))[turn % 3], color=COLOURS[i % len(COLOURS)],
                label=label or key.upper())  # fmt: skip
    best = search.best_params_["n_components"]
    ax.plot([best], [search.best_score_], "o", markersize=11, markerfacecolor="none", markeredgecolor=RED,
            markeredgewidth=1.6, label="_best", zorder=5)  # fmt: skip
    ax.axhline(search.best_score_, color=GREY, linewidth=0.7, zorder=0)
    ax.set_xticks(sorted({int(k) for k in table["n_components"]}))
    ax.set_xlabel("number of components", color=INK)
    ax.set_ylabel(key.upper(), color=INK)
    if len(groups) > 1:
        ax.legend(frameon=False, fontsize="small", ncols=1 + len(groups) // 8, title=", ".join(settings),
                  title_fontsize="small")  # fmt: skip
    return ax


__all__ = ["criterion"]
