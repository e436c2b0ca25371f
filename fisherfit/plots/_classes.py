"""Figures of the components of rows: how sure they are, and the regressions within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..table import read_table
from ._fitted import by_component, check_mixture, legend, named, weight_of
from ._models import _typical
from ._style import axes, colour, dash, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def posterior_rootogram(
    model: Any, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None, exposure: Any = None,
    groups: Any = None, concomitant: Any = None, bins: int = 20, least: float = 1e-4, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Histograms of the posterior probabilities of every component, on a square-root scale (Leisch, 2004).

    A component that is well separated has a peak at 1 and nothing between; the rows in the middle are those which it
    shares with others. The very many rows whose probability is about 0 are left out. Groups count once.

    Parameters
    ----------
    model : GaussianMixture, MixtureModel or MixtureRegressor
        A fitted model.
    X : table or array of shape (n, d)
        Rows.
    y, sample_weight, offset, exposure, groups, concomitant
        As in ``fit``; all but `sample_weight` for a regression only.
    bins : int, default 20
        Number of classes.
    least : float, default 1e-4
        Probabilities below are not counted, as in flexmix.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> npreg = ff.datasets.load("npreg")
    >>> model = ff.MixtureRegressor(formula="yn ~ x + I(x**2)", random_state=0).fit(npreg)
    >>> ax = ff.plots.posterior_rootogram(model, npreg)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('posterior probability', 'rows (square-root scale)')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_mixture(model)
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 2:
        raise InputError(f"bins must be a whole number of at least 2, got {bins!r}")
    if not 0.0 <= least < 1.0:
        raise InputError(f"least must be a probability below 1, got {least!r}")
    table = read_table(X)
    weight, what = weight_of(sample_weight, table), "rows"
    if hasattr(model, "component_proba"):
        z = model.component_proba(X, y, offset, exposure, groups, concomitant)
        labels = model._labels(groups, table)
        if labels is not None:
            first = np.unique(labels.codes, return_index=True)[1]
            z, weight, what = z[first], weight[first], "groups"
    else:
        given = {"y": y, "offset": offset, "exposure": exposure, "groups": groups, "concomitant": concomitant}
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise InputError(f"{extra[0]} is for a mixture of regressions; leave it out")
        z = model.predict_proba(X)
    edges, shares = np.linspace(0.0, 1.0, int(bins) + 1), np.asarray(model.weights_, float)
    height = np.sqrt([np.histogram(p, edges, weights=np.where(p >= least, weight, 0.0))[0] for p in z.T])
    top = float(height.max()) or 1.0
    step = 1.32 * top
    count = len(shares)
    ax = axes(ax, (6.0, max(2.6, 1.0 + 1.15 * count)))
    tick = _nice(top**2)
    ticks, texts = [], []
    for k in range(count):
        base = (count - 1 - k) * step
        ax.bar(edges[:-1], height[k], width=np.diff(edges), bottom=base, align="edge", color=colour(k), alpha=0.75,
               edgecolor=ax.get_facecolor(), linewidth=0.6, label=f"component {k}", zorder=2)  # fmt: skip
        ax.axhline(base, color=ink(ax), linewidth=0.8, zorder=3)
        ax.annotate(named(k, shares[k]), (0.5, base + 1.13 * top), ha="center", va="center", fontsize="small")
        ticks += [base, base + float(np.sqrt(tick))]
        texts += ["0", f"{tick:g}"]
    ax.set_yticks(ticks, texts)
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, step * count)
    ax.set_xlabel("posterior probability")
    ax.set_ylabel(f"{what} (square-root scale)")
    return ax


def _nice(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(m * power for m in (1.0, 2.0, 5.0) if m * power <= value * (1.0 + 1e-9)))


def regression_lines(
    model: Any, X: Any, y: Any = None, column: Any = None, at: Mapping[str, Any] | None = None, offset: Any = None,
    exposure: Any = None, groups: Any = None, concomitant: Any = None, points: int = 200, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """The means of the components over one column, and the rows in the colour of their most probable component.

    The larger and darker a point, the less certain its component is.

    Parameters
    ----------
    model : MixtureRegressor
        A fitted model.
    X : table or array of shape (n, p)
        Rows to draw, and what is typical of the other columns: their mean, or the most frequent category.
    y : array of shape (n,) or (n, 2), optional
        The response; not given where a formula names it.
    column : str
        The column to move: over its range, or over its categories. Not needed where there is one only.
    at : mapping of str to value, optional
        Values of other columns, in place of typical ones.
    offset, exposure, groups, concomitant
        As in ``fit``; columns named there stand at their typical values in the lines.
    points : int, default 200
        How many predictions make a curve.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> npreg = ff.datasets.load("npreg")
    >>> model = ff.MixtureRegressor(formula="yn ~ x + I(x**2)", random_state=0).fit(npreg)
    >>> ax = ff.plots.regression_lines(model, npreg, column="x")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x', 'yn')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    check_mixture(model, "MixtureRegressor")
    table, predictor = read_table(X), model._predictor
    needed = list(getattr(predictor.terms, "needed", ())) or [term.name for term in predictor.terms.terms]
    if column is None and len(needed) != 1:
        raise InputError(f"say which column to draw; they are {', '.join(map(repr, needed))}")
    name = needed[0] if column is None else column
    z = model.component_proba(X, y, offset, exposure, groups, concomitant)
    response, _ = model._response(table, y)
    grid, moved, levels = _typical(table, predictor, name, dict(at or {}), points)
    scalar = [None if value is None else _typical_value(value, table) for value in (offset, exposure)]
    mean = model.predict(grid, *scalar, kind="components")
    shares, x = np.asarray(model.weights_, float), np.asarray(table.column(name).values, float)
    if levels is not None:  # side by side, so that points of different components do not hide each other
        x = x + 0.06 * (z.argmax(axis=1) - 0.5 * (len(shares) - 1))
    seen = np.isfinite(x) & np.isfinite(response) & np.isfinite(z).all(axis=1)
    ax = axes(ax)
    by_component(ax, x[seen], response[seen], z[seen], ["_rows"] * len(shares))
    for k, share in enumerate(shares):
        ax.plot(moved, mean[:, k], color=colour(k), linestyle=dash(k), linewidth=2.0, label=named(k, share), zorder=4)
    if levels is not None:
        ax.set_xticks(np.arange(len(levels)), [str(level) for level in levels])
        ax.set_xlim(-0.5, len(levels) - 0.5)
    ax.set_xlabel(str(name))
    ax.set_ylabel(_response_name(predictor))
    legend(ax, len(shares), loc="best", title="larger: less certain" if len(shares) > 1 else None)
    return ax


def _typical_value(value: Any, table: Any) -> Any:
    """The mean of an offset or exposure that is given by row; a name stays, the table has a typical value for it."""
    return value if isinstance(value, str) else float(np.mean(np.asarray(value, float)))


def _response_name(predictor: Any) -> str:
    names = tuple(map(str, getattr(predictor.terms, "response", ()) or ()))
    if len(names) == 2:
        return f"{names[0]} / ({names[0]} + {names[1]})"
    return names[0] if names else "y"


__all__ = ["posterior_rootogram", "regression_lines"]
