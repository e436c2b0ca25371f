"""Figures of residuals and influence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from ..choices import check_level
from ..errors import InputError, InputTypeError
from ..outcome import of_diagnostics
from ..randomness import generator
from ._style import BAND, BLUE, GREY, INK, RED, axes, dots, name_of, plain_ticks, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..diagnostics import Diagnostics

SKEWED = 3.0  # range of the logarithm of fitted means from which on their axis is logarithmic


def residuals(
    diagnostics: Diagnostics, against: Any = "fitted", kind: str = "quantile", smoother: bool = True,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Residuals against the fitted mean, the linear predictor or a column: no trend and an even spread if all is well.

    Parameters
    ----------
    diagnostics : Diagnostics
        ``model.diagnostics(X, y)``.
    against : str or array of shape (n,), default "fitted"
        "fitted", "linear_predictor", "index", a column of X (one that the model does not use as well), or values.
    kind : str, default "quantile"
        As in `Diagnostics.residuals`. Quantile residuals are normal for every family.
    smoother : bool, default True
        Draw a local regression through the points.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> trees = ff.datasets.load("trees")
    >>> model = ff.GLM("gamma", formula="volume ~ girth + height").fit(trees)
    >>> ax = ff.plots.residuals(model.diagnostics(trees), against="girth")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('girth', 'quantile residual')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    d = of_diagnostics(diagnostics)
    y = d.residuals(kind)
    drawable(y)
    x, label, levels = _against(d, against)
    ax = axes(ax)
    ax.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
    if kind in ("quantile", "std_pearson", "std_deviance"):
        for edge in (-2.0, 2.0):
            ax.axhline(edge, color=GREY, linewidth=0.8, linestyle=(0, (4, 4)), zorder=1)
    shown = np.isfinite(y) & np.isfinite(x)
    if levels is not None:
        groups = [y[shown & (x == code)] for code in range(len(levels))]
        ax.boxplot(groups, positions=range(len(levels)), widths=0.5, flierprops={"marker": ".", "markersize": 4,
                   "markeredgecolor": BLUE}, boxprops={"color": BLUE}, medianprops={"color": RED},
                   whiskerprops={"color": BLUE}, capprops={"color": BLUE})  # fmt: skip
        ax.set_xticks(range(len(levels)), [str(level) for level in levels])
    else:
        dots(ax, x[shown], y[shown])
        skewed = against_fitted(against) and bool((x[shown] > 0.0).all()) and np.ptp(np.log(x[shown])) > SKEWED
        if skewed:
            ax.set_xscale("log")
            plain_ticks(ax)
        if smoother and np.unique(x[shown]).size > 4:
            at, level = smooth(np.log(x[shown]) if skewed else x[shown], y[shown])
            ax.plot(np.exp(at) if skewed else at, level, color=RED, linewidth=1.8, zorder=3, label="local regression")
    ax.set_xlabel(label)
    ax.set_ylabel(name_of(kind))
    return ax


def against_fitted(against: Any) -> bool:
    """True where residuals are drawn against the fitted mean."""
    return isinstance(against, str) and against == "fitted"


def _against(d: Diagnostics, against: Any) -> tuple[np.ndarray, str, tuple[Any, ...] | None]:
    """Values, label, and levels where they are categories."""
    if not isinstance(against, str):
        try:
            values = np.asarray(against, float).ravel()
        except (TypeError, ValueError):
            raise InputTypeError("against must be the name of a column, or numbers, one for every row; these are "
                                 "none") from None  # fmt: skip
        if values.size != d.y.size:
            raise InputError(f"against has {values.size} values, the diagnostics have {d.y.size} rows")
        return values, str(getattr(against, "name", None) or "given values"), None
    if against == "fitted":
        return d.fitted, "fitted mean", None
    if against == "linear_predictor":
        return d.linear_predictor, "linear predictor", None
    if against == "index":
        return np.arange(d.y.size, dtype=float), "row", None
    if d.table is None or against not in d.table.names:
        known = () if d.table is None else d.table.names
        raise InputError(f"against: {against!r} is no column of X ({', '.join(map(str, known))}); "
                         "or give 'fitted', 'linear_predictor', 'index' or values")  # fmt: skip
    column = d.table.column(against)
    return np.asarray(column.values, float), against, column.levels


def qq(
    diagnostics: Diagnostics, kind: str = "quantile", level: float = 0.95, simulations: int = 199,
    random_state: Any = 0, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Residuals, sorted, against normal quantiles, with an envelope that a right model stays within.

    Parameters
    ----------
    diagnostics : Diagnostics
        ``model.diagnostics(X, y)``.
    kind : str, default "quantile"
        As in `Diagnostics.residuals`.
    level : float, default 0.95
        Each point lies in the envelope with this probability if the model is right.
    simulations : int, default 199
        Responses simulated from the fitted model for the envelope; the coefficients are not fitted again. For
        quantile residuals it is exact (order statistics of normal variables), and nothing is simulated.
    random_state : int or numpy.random.Generator, default 0
        For the simulations.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> quine = ff.datasets.load("quine")
    >>> model = ff.GLM("negative_binomial", formula="days ~ eth + sex + age + lrn").fit(quine)
    >>> ax = ff.plots.qq(model.diagnostics(quine))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('normal quantile', 'quantile residual')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    d, level = of_diagnostics(diagnostics), check_level(level)
    values = d.residuals(kind)
    counted = ~np.isnan(values)
    found = drawable(values)
    n = found.size
    x = special.ndtri((np.arange(1, n + 1) - 0.5) / n)
    if kind == "quantile":
        (lower, upper), middle = _order_statistics(n, level), x
    else:
        lower, upper, middle = _simulated(d, kind, counted, level, simulations, random_state)
    ax = axes(ax, (4.8, 4.6))
    ax.fill_between(x, lower, upper, color=BAND, alpha=0.5, linewidth=0, label=f"{100 * level:g}% envelope")
    ax.plot(x, middle, color=INK, linewidth=0.9, label="expected")
    inside = np.isfinite(found)
    outside = inside & ((found < lower) | (found > upper))
    dots(ax, x[inside & ~outside], found[inside & ~outside], x[inside & ~outside])
    ax.scatter(x[outside], found[outside], s=16, color=RED, linewidths=0, zorder=3, label="outside")
    ax.set_xlabel("normal quantile")
    ax.set_ylabel(name_of(kind))
    ax.legend(frameon=False, loc="upper left", fontsize="small")
    return ax


def drawable(values: np.ndarray) -> np.ndarray:
    """Residuals that are numbers, sorted; an error where there are too few."""
    found = np.sort(values[~np.isnan(values)])
    if found.size < 3:
        raise InputError(f"there are {found.size} residuals; a figure needs 3 at least (an exact fit has none)")
    return found


def _order_statistics(n: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the order statistics of n normal variables: those of uniform ones are beta."""
    i = np.arange(1, n + 1)
    lower, upper = (special.ndtri(special.betaincinv(i, n + 1 - i, q)) for q in (0.5 - level / 2, 0.5 + level / 2))
    return lower, upper


def _simulated(
    d: Diagnostics, kind: str, counted: np.ndarray, level: float, simulations: int, random_state: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower, upper and middle quantiles of the sorted residuals of responses simulated from the fit."""
    if isinstance(simulations, bool) or not isinstance(simulations, (int, np.integer)) or simulations < 19:
        raise InputError(f"simulations must be a whole number of at least 19, got {simulations!r}")
    rng = generator(random_state)
    draws = np.sort(np.stack([d.simulated(rng).residuals(kind)[counted] for _ in range(simulations)]), axis=1)
    tail = 0.5 - level / 2
    lower, middle, upper = np.nanquantile(draws, [tail, 0.5, 1.0 - tail], axis=0)
    return lower, upper, middle


def worm(diagnostics: Diagnostics, level: float = 0.95, ax: Axes | None = None) -> Axes:
    """The quantile-quantile figure without its slope: residual minus normal quantile (van Buuren & Fredriks, 2001).

    A level other than 0 says that the location is wrong, a slope the variance, a parabola the skewness, an S the tails.

    Parameters
    ----------
    diagnostics : Diagnostics
        ``model.diagnostics(X, y)``.
    level : float, default 0.95
        Each point lies within the band with this probability if the model is right.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> quine = ff.datasets.load("quine")
    >>> model = ff.GLM("negative_binomial", formula="days ~ eth + sex + age + lrn").fit(quine)
    >>> ax = ff.plots.worm(model.diagnostics(quine))
    >>> ax.get_ylabel()
    'quantile residual minus normal quantile'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    d, level = of_diagnostics(diagnostics), check_level(level)
    values = drawable(d.resid_quantile)
    n = values.size
    x = special.ndtri((np.arange(1, n + 1) - 0.5) / n)
    lower, upper = _order_statistics(n, level)
    ax = axes(ax)
    ax.fill_between(x, lower - x, upper - x, color=BAND, alpha=0.5, linewidth=0, label=f"{100 * level:g}% band")
    ax.axhline(0.0, color=INK, linewidth=0.9)
    shown = np.isfinite(values)
    dots(ax, x[shown], (values - x)[shown])
    if shown.sum() >= 20:  # the cubic of van Buuren & Fredriks
        cubic = np.polynomial.Polynomial.fit(x[shown], (values - x)[shown], 3)
        ax.plot(x[shown], cubic(x[shown]), color=RED, linewidth=1.6, label="cubic", zorder=3)
    least = 3.0 * float(upper[n // 2] - x[n // 2])
    gap = 1.25 * (values - x)[shown]
    ax.set_ylim(min(-least, gap.min(initial=0.0)), max(least, gap.max(initial=0.0)))
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("quantile residual minus normal quantile")
    ax.legend(frameon=False, loc="upper left", fontsize="small")
    return ax


def influence(
    diagnostics: Diagnostics, cook: tuple[float, ...] = (0.5, 1.0), labels: int = 3, ax: Axes | None = None
) -> Axes:
    """Standardised Pearson residuals against leverage, with contours of Cook's distance.

    Parameters
    ----------
    diagnostics : Diagnostics
        ``model.diagnostics(X, y)``.
    cook : tuple of float, default (0.5, 1.0)
        Cook's distances to draw contours of.
    labels : int, default 3
        How many rows, those with the largest Cook's distance, are named by their labels.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> trees = ff.datasets.load("trees")
    >>> model = ff.GLM("normal", formula="volume ~ girth + height").fit(trees)
    >>> ax = ff.plots.influence(model.diagnostics(trees))
    >>> [text.get_text() for text in ax.texts][:3]
    ['30', '17', '2']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    d = of_diagnostics(diagnostics)
    try:
        contours = np.atleast_1d(np.asarray(cook, float))
    except (TypeError, ValueError):
        contours = np.zeros(1)
    if not np.all(contours > 0.0):
        raise InputError(f"cook: distances must be greater than 0, got {cook!r}")
    h, r = d.leverage, d.std_pearson
    shown = np.isfinite(h) & np.isfinite(r)
    ax = axes(ax)
    ax.axhline(0.0, color=INK, linewidth=0.8, zorder=1)
    dots(ax, h[shown], r[shown], d.cooks_distance[shown])
    for i in d.largest(labels):
        ax.annotate(str(d.labels[i]), (h[i], r[i]), xytext=(4, 3), textcoords="offset points", fontsize="small")
    right = float(h[shown].max(initial=0.0)) * 1.15
    low, high = 1.2 * float(r[shown].min(initial=-2.0)), 1.2 * float(r[shown].max(initial=2.0))
    drawn = False
    grid = np.linspace(right / 400.0, min(right, 0.999), 400)
    for value in contours.tolist():  # D = r^2 h / (p (1 - h))
        edge = np.sqrt(value * max(d.rank, 1) * (1.0 - grid) / grid)
        for side, limit in ((-1.0, -low), (1.0, high)):
            if edge[-1] > 0.97 * limit:  # the contour does not come into view
                continue
            ax.plot(grid, side * edge, color=RED, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
            ax.annotate(f"{value:g}", (grid[-1], side * edge[-1]), xytext=(-2, 2), textcoords="offset points",
                        color=RED, fontsize="small", ha="right", va="bottom")  # fmt: skip
            drawn = True
    if drawn:
        from matplotlib.lines import Line2D

        line = Line2D([], [], color=RED, linestyle=(0, (5, 3)), linewidth=1.0)
        ax.legend([line], ["Cook's distance"], frameon=False, fontsize="small", loc="best")
    ax.set_xlim(0.0, min(right, 1.0))
    ax.set_ylim(low, high)
    ax.set_xlabel("leverage")
    ax.set_ylabel("standardised Pearson residual")
    return ax


__all__ = ["influence", "qq", "residuals", "worm"]
