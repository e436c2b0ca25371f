"""Figures of optimisers: the paths they take, and how the likelihood rises on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choices import one_of
from ..errors import InputError, InputTypeError
from ._style import BLUE, GREY, INK, RED, axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: columns of a history that are no parameters
OTHERS = ("iteration", "loglik", "decrement", "kl", "gradient_norm", "seconds")
#: in order of the results; all of Okabe & Ito
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST = 60  # steps that are marked


def paths(
    results: Any, loglik: Callable[[float, float], float] | None = None, parameters: tuple[str, str] | None = None,
    levels: int = 12, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Paths of optimisers over the contours of the log-likelihood, in the plane of two parameters.

    Contours lie 1/8, 1/4, 1/2, 1, 2, ... nats below the highest value in the plane.

    Parameters
    ----------
    results : result, sequence of results, or mapping of names to results
        Whatever has a ``history``, a frame with a column for every parameter and a row for every step, such as
        `fisherfit.optimize` returns; or such frames themselves.
    loglik : callable, optional
        The log-likelihood of the two parameters, for the contours.
    parameters : pair of str, optional
        The columns to show; by default the first two parameters.
    levels : int, default 12
        The number of contours.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd, fisherfit as ff
    >>> steps = pd.DataFrame({"iteration": [0, 1, 2], "a": [3.0, 0.5, 0.0], "b": [2.0, 1.0, 0.9]})
    >>> ax = ff.plots.paths({"scoring": steps}, loglik=lambda a, b: -(a**2) - 3.0 * (b - 0.9) ** 2)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('a', 'b')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    runs = histories(results)
    names = parameters or tuple(c for c in next(iter(runs.values())).columns if c not in OTHERS)[:2]
    if len(names) != 2 or isinstance(names, str):
        raise InputError("parameters: name two columns of the histories; a path is drawn in a plane")
    for label, run in runs.items():
        for name in names:
            if name not in run.columns:
                raise InputError(
                    f"the history of {label} has no column {name!r}; it has {', '.join(map(str, run.columns))}"
                )
    if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 1:
        raise InputError(f"levels must be a whole number of at least 1, got {levels!r}")
    ax = axes(ax)
    for i, (label, run) in enumerate(runs.items()):
        x, y = (run[name].to_numpy(float) for name in names)
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(x, y, color=colour, linewidth=1.5, marker=MARKERS[i % len(MARKERS)], markersize=4.5, zorder=3 + i,
                markevery=max(1, x.size // MOST), label=label)  # fmt: skip
        ax.plot(x[-1:], y[-1:], color=colour, marker="*", markersize=11.0, markeredgecolor="white", linestyle="",
                label="_end", zorder=20)  # fmt: skip
    ax.margins(0.12)
    if loglik is not None:
        _contours(ax, loglik, int(levels))
    ax.set_xlabel(str(names[0]))
    ax.set_ylabel(str(names[1]))
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize="small")
    return ax


def trace(results: Any, what: str = "loglik", against: str = "iteration", ax: Axes | None = None) -> Axes:
    """The log-likelihood, its gap to the best one, or the decrement, along the steps of optimisers.

    Parameters
    ----------
    results : result, sequence of results, or mapping of names to results
        As for `paths`; their histories have a column ``loglik`` or ``decrement``.
    what : {"loglik", "decrement", "gap"}, default "loglik"
        "gap" is the highest log-likelihood of all results less each value, on a logarithmic axis.
    against : {"iteration", "seconds"}, default "iteration"
        The horizontal axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd, fisherfit as ff
    >>> steps = pd.DataFrame({"iteration": [0, 1, 2], "loglik": [-20.0, -11.0, -10.5]})
    >>> ax = ff.plots.trace({"scoring": steps}, what="gap")
    >>> ax.get_yscale()
    'log'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    one_of("what", what, ("loglik", "decrement", "gap"))
    one_of("against", against, ("iteration", "seconds"))
    runs = histories(results)
    column = "decrement" if what == "decrement" else "loglik"
    for label, run in runs.items():
        for name in (column, *(() if against == "iteration" else (against,))):
            if name not in run.columns:
                raise InputError(
                    f"the history of {label} has no column {name!r}; it has {', '.join(map(str, run.columns))}"
                )
    best = max(float(run["loglik"].max()) for run in runs.values()) if what == "gap" else 0.0
    ax = axes(ax)
    for i, (label, run) in enumerate(runs.items()):
        x = run[against].to_numpy(float) if against in run.columns else np.arange(float(len(run)))
        y = run[column].to_numpy(float)
        y = best - y if what == "gap" else y
        shown = np.isfinite(y) & ((y > 0.0) | (what == "loglik"))
        ax.plot(x[shown], y[shown], color=COLOURS[i % len(COLOURS)], linewidth=1.6, marker=MARKERS[i % len(MARKERS)],
                markersize=4.0, markevery=1 if shown.sum() <= 40 else 0.06, label=label)  # fmt: skip
    if what != "loglik":
        ax.set_yscale("log")
    words = {"loglik": "log-likelihood", "decrement": "decrement s′F⁻¹s", "gap": "nats below the best log-likelihood"}
    ax.set_ylabel(words[what])
    ax.set_xlabel("step" if against == "iteration" else "seconds")
    longest = max(len(run) for run in runs.values())
    if against == "iteration" and longest > 50 * min(len(run) for run in runs.values()):
        _few_beside_many(ax, longest)
    ax.legend(frameon=False, fontsize="small")
    return ax


def histories(results: Any) -> dict[str, pd.DataFrame]:
    """The history of every result, by its name."""
    if isinstance(results, Mapping):
        named = {str(name): result for name, result in results.items()}
    else:
        several = list(results) if isinstance(results, (list, tuple)) else [results]
        named = {}
        for i, result in enumerate(several):
            name = str(getattr(result, "method", f"run {i + 1}"))
            named[name if name not in named else f"{name} ({i + 1})"] = result
    if not named:
        raise InputError("results: give at least one result with a history")
    out = {}
    for name, result in named.items():
        frame = getattr(result, "history", result)
        if not hasattr(frame, "columns") or not hasattr(frame, "to_numpy"):
            raise InputTypeError(f"results: {name} has no `history` frame; got {type(result).__name__}")
        if not len(frame):
            raise InputError(f"results: the history of {name} is empty")
        out[name] = frame
    return out


def _few_beside_many(ax: Any, longest: int) -> None:
    """Ten steps one by one, and thousands by their logarithm."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    ax.set_xscale("symlog", linthresh=10.0, linscale=1.0)
    ax.set_xlim(-0.4, longest * 1.15)  # no step is negative
    decades = [10.0**k for k in range(1, math.ceil(math.log10(longest)) + 1)]
    ax.xaxis.set_major_locator(FixedLocator([0.0, 5.0, *decades]))
    ax.xaxis.set_minor_locator(FixedLocator([*range(10), *(m * d for d in decades for m in range(2, 10))]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _contours(ax: Any, loglik: Callable[[float, float], float], levels: int) -> None:
    """Contours over the whole plane that the paths span; drawn again where that grows, by axes that share an edge."""
    drawn: list[Any] = []
    window: list[float] = []

    def draw(_: Any = None) -> None:
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        inside = window and left >= window[0] and right <= window[1] and bottom >= window[2] and top <= window[3]
        if not inside:
            window[:] = [left, right, bottom, top]
            for old in drawn:
                old.remove()
            drawn[:] = [_lines(ax, loglik, levels, window)]

    draw()
    for change in ("xlim_changed", "ylim_changed"):
        ax.callbacks.connect(change, draw)


def _lines(ax: Any, loglik: Callable[[float, float], float], levels: int, window: list[float]) -> Any:
    left, right, bottom, top = window
    x, y = np.linspace(left, right, 121), np.linspace(bottom, top, 121)
    with np.errstate(all="ignore"):
        height = np.array([[float(loglik(a, b)) for a in x.tolist()] for b in y.tolist()])
    height = np.where(np.isfinite(height), height, np.nan)
    if np.isnan(height).all():
        raise InputError("loglik: no value in the plane of the paths is finite")
    below = np.nanmax(height) - height
    steps = 2.0 ** np.arange(-3.0, levels - 3.0)
    if np.nanmax(below) > steps[-1]:  # the last contour passes through the farthest values
        steps = np.geomspace(0.125, 0.8 * float(np.nanmax(below)), max(levels, 2))
    before = ax.dataLim.frozen()
    lines = ax.contour(x, y, np.ma.masked_invalid(below), levels=steps, colors=GREY, linewidths=0.7, alpha=0.7,
                       zorder=1)  # fmt: skip
    ax.dataLim.set(before)  # the limits are those of the paths
    return lines
