"""Figures of mixtures: the fitted density of a column, and ellipses of Gaussian components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..table import Table, read_table
from ._fitted import (
    Marginal,
    by_component,
    check_mixture,
    columns_of,
    covariance,
    legend,
    marginal,
    named,
    place,
    weight_of,
)
from ._style import GREY, axes, colour, dash, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 100  # a range of counts beyond which they are drawn in classes


def density(
    model: Any, X: Any, column: Any = None, sample_weight: Any = None, bins: int | None = None, ax: Axes | None = None
) -> Axes:
    """The fitted density of a column over its histogram, and what each component has of it.

    Counts are bars at their values, with the fitted probabilities as dots. A column of categories shows for every
    level what the components contribute, one upon the other, and the observed share as a bar behind them.

    Parameters
    ----------
    model : GaussianMixture or MixtureModel
        A fitted model.
    X : table or array of shape (n, d)
        The rows of the histogram: those of the fit, or others.
    column : str or int, optional
        The column to draw; not needed where there is one only.
    sample_weight : array of shape (n,) or column name, optional
        As in ``fit``.
    bins : int, optional
        Number of classes of the histogram; by default 2 sqrt(n), but from 8 to 80.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> geyser = ff.datasets.load("faithful")
    >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
    >>> ax = ff.plots.density(model, geyser, "waiting")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('waiting', 'density')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_mixture(model, "GaussianMixture|MixtureModel")
    if bins is not None and (isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1):
        raise InputError(f"bins must be a whole number of at least 1, got {bins!r}")
    table = read_table(X)
    weight = weight_of(sample_weight, table)
    names = columns_of(model, table)
    j = place(column, names)
    one, share = marginal(model, j), np.asarray(model.weights_, float)
    if one.tables is not None:
        ax = axes(ax)
        _levels(ax, one, share, _shares(table, names[j], one.levels, weight))
    else:
        present = weight > 0.0
        x = np.asarray(table.column(names[j]).values, float)[present]
        if table.column(names[j]).levels is not None or not np.isfinite(x).all():
            raise InputError(f"column {names[j]!r} of X holds what is no finite number")
        ax = axes(ax)
        draw = _counts if one.support.integer else _curve
        draw(ax, one, share, x, weight[present], bins)
    ax.set_xlabel(names[j])
    legend(ax, len(share) + 2, loc="best")
    return ax


def _curve(ax: Any, one: Marginal, share: np.ndarray, x: np.ndarray, weight: np.ndarray, bins: int | None) -> None:
    """Histogram and densities of a continuous column."""
    assert one.density is not None
    low, high = float(x.min()), float(x.max())
    height, edges = np.histogram(x, _classes(x, weight, bins), weights=weight, density=True)
    ax.stairs(height, edges, fill=True, color=GREY, alpha=0.45, label="observed", zorder=1)
    s, reach = one.support, 0.06 * (high - low)
    grid = np.union1d(np.linspace(low - reach, high + reach, 400), np.quantile(x, np.linspace(0.0, 1.0, 200)))
    grid = grid[~s.outside(grid)]
    parts = share[:, None] * one.density(grid)
    total = parts.sum(axis=0)
    for k, part in enumerate(parts):
        ax.fill_between(grid, part, color=colour(k), alpha=0.16, linewidth=0, zorder=2)
        ax.plot(grid, part, color=colour(k), linestyle=dash(k), linewidth=1.6, label=named(k, share[k]), zorder=3)
    ax.plot(grid, total, color=ink(ax), linewidth=1.2, linestyle=(0, (4, 2)), label="mixture", zorder=4)
    finite = total[np.isfinite(total)]
    top = max(float(height.max()), min(float(finite.max(initial=0.0)), 2.0 * float(height.max())))
    ax.set_ylim(0.0, 1.08 * top)  # a density may be infinite at an end of its support
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylabel("density")


def _classes(x: np.ndarray, weight: np.ndarray, bins: int | None) -> np.ndarray:
    """Edges of 2 sqrt(n) classes, but no fewer than 8 and no more than 80; their number is for data of many modes.

    Of rounded values every class holds equally many, so that rounding makes no teeth.
    """
    low, high = float(x.min()), float(x.max())
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    if bins is not None:
        return np.linspace(low, high, int(bins) + 1)
    count = int(np.clip(np.ceil(2.0 * np.sqrt(weight.sum())), 8, 80))
    distinct = np.unique(x)
    unit = float(np.diff(distinct).min())
    if distinct.size <= 0.5 * x.size and (high - low) / unit <= 10.0 * count:
        width = np.ceil((high - low) / count / unit - 1e-9) * unit
        return low - 0.5 * unit + width * np.arange(np.ceil((high - low + unit) / width - 1e-9) + 1.0)
    return np.linspace(low, high, count + 1)


def _counts(ax: Any, one: Marginal, share: np.ndarray, x: np.ndarray, weight: np.ndarray, bins: int | None) -> None:
    """Observed shares and probabilities of whole numbers; in classes of them where they are many."""
    assert one.density is not None
    low, high = int(x.min()), int(x.max())
    least = one.support.lower
    low = int(max(low - 1, least)) if np.isfinite(least) else low - 1
    width = 1 if high - low < WIDE and bins is None else max(1, -(-(high - low) // (bins or 50)))
    edges = np.arange(low, high + 1 + width, width) - 0.5
    height, _ = np.histogram(x, edges, weights=weight / weight.sum())
    ax.bar(edges[:-1] + 0.5 * width, height / width, width=0.8 if width == 1 else width, color=GREY, alpha=0.45,
           linewidth=0, label="observed", zorder=1)  # fmt: skip
    values = np.arange(low, high + 1.0) if high - low < 2000 else np.unique(np.linspace(low, high, 1000).round())
    parts = share[:, None] * one.density(values)
    dots: dict[str, Any] = {"marker": "o", "markersize": 3.5} if width == 1 and high - low <= 60 else {}
    for k, part in enumerate(parts):
        ax.plot(values, part, color=colour(k), linestyle=dash(k), linewidth=1.4, label=named(k, share[k]), zorder=3,
                **dots)  # fmt: skip
    ax.plot(values, parts.sum(axis=0), color=ink(ax), linewidth=1.2, linestyle=(0, (4, 2)), label="mixture", zorder=4,
            **dots)  # fmt: skip
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel("probability")


def _levels(ax: Any, one: Marginal, share: np.ndarray, observed: np.ndarray) -> None:
    """Probabilities of the levels of a column of categories, stacked by component, before the observed shares."""
    assert one.tables is not None
    at, bottom = np.arange(len(one.levels)), np.zeros(len(one.levels))
    ax.bar(at, observed, width=0.86, color=GREY, alpha=0.45, linewidth=0, label="observed", zorder=1)
    for k, row in enumerate(share[:, None] * one.tables):
        ax.bar(at, row, width=0.5, bottom=bottom, color=colour(k), alpha=0.9, linewidth=0, label=named(k, share[k]),
               zorder=2)  # fmt: skip
        bottom = bottom + row
    ax.set_xticks(at, [f"{level:g}" if isinstance(level, float) else str(level) for level in one.levels])
    ax.set_ylabel("probability")


def _shares(table: Table, name: str, levels: tuple[Any, ...], weight: np.ndarray) -> np.ndarray:
    """The weighted shares of the levels of a column."""
    found = table.column(name)
    values = found.values
    if found.levels is not None:
        values = np.array([*found.levels, None], dtype=object)[np.asarray(found.values, int)]
    return np.array([float(weight[np.asarray(values == level, bool)].sum()) for level in levels]) / weight.sum()


def ellipses(
    model: Any, X: Any, columns: Sequence[Any] | None = None, levels: Sequence[float] = (0.5, 0.95),
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Gaussian components as ellipses over the rows, which have the colour of their most probable component.

    The larger and darker a point, the less certain its component is: its size goes by 1 - max_k z_k, z being the
    posterior probabilities.

    Parameters
    ----------
    model : GaussianMixture
        A fitted model of two or more columns.
    X : table or array of shape (n, d)
        Rows to draw.
    columns : two of str or int, optional
        Which two; by default the first two.
    levels : sequence of float, default (0.5, 0.95)
        An ellipse holds this share of its component.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> geyser = ff.datasets.load("faithful")
    >>> model = ff.GaussianMixture(2, random_state=0).fit(geyser)
    >>> ax = ff.plots.ellipses(model, geyser)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('eruptions', 'waiting')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_mixture(model, "GaussianMixture")
    table = read_table(X)
    names = columns_of(model, table)
    if len(names) < 2:
        raise InputError("ellipses need two columns, and the model has one; ff.plots.density draws it")
    chosen = (0, 1) if columns is None else columns
    if isinstance(chosen, str) or len(chosen) != 2:
        raise InputError(f"columns must be two names or numbers, got {columns!r}")
    i, j = (place(one, names) for one in chosen)
    if i == j:
        raise InputError(f"columns: {names[i]!r} is there twice; give two different ones")
    shares = [float(level) for level in levels]
    if not shares or any(not 0.0 < level < 1.0 for level in shares):
        raise InputError(f"levels must lie between 0 and 1, got {tuple(levels)!r}")
    weights, z = np.asarray(model.weights_, float), model.predict_proba(X)
    x, y = (np.asarray(table.column(names[one]).values, float) for one in (i, j))
    ax = axes(ax, (5.6, 4.6))
    by_component(ax, x, y, z, [named(k, w) for k, w in enumerate(weights)])
    angle = np.linspace(0.0, 2.0 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for k, inner in enumerate(covariance(model, [i, j])):
        values, vectors = np.linalg.eigh(inner)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        centre = model.means_[k, [i, j]]
        for level in shares:  # chi-squared with 2 degrees of freedom: 1 - exp(-r^2 / 2)
            at = centre[:, None] + np.sqrt(-2.0 * np.log1p(-level)) * root @ circle
            ax.plot(at[0], at[1], color=colour(k), linestyle=dash(k), linewidth=1.6, zorder=3)
        ax.annotate(str(k), centre, color="white", ha="center", va="center", fontsize="small", fontweight="bold",
                    zorder=5, bbox={"boxstyle": "circle,pad=0.22", "facecolor": colour(k), "edgecolor": "white",
                    "linewidth": 0.8})  # fmt: skip
    ax.set_xlabel(names[i])
    ax.set_ylabel(names[j])
    legend(ax, len(weights), loc="best", title="larger: less certain" if len(weights) > 1 else None)
    return ax


__all__ = ["density", "ellipses"]
