"""Figures of how mixtures were found: criteria by the number of components, and the path of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choices import one_of
from ..errors import InputError, InputTypeError
from ._fitted import legend
from ._style import BLUE, GREY, MARKERS, RED, axes, colour, dash, ink

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CRITERIA = ("bic", "icl", "icl_entropy", "aic")
# what a table of fits says of a fit and not of its settings
OUTCOMES = {*CRITERIA, "n_components", "llf", "loglik", "entropy", "hardness", "n_params", "nobs", "converged",
            "n_iter", "decrement", "maxima", "n_maxima", "hits", "starts", "seconds", "time", "notes", "note", "error",
            "warning", "warnings", "rank", "model", "fit", "estimator", "result", "delta", "weight",
            "boundary", "unidentified", "index"}  # fmt: skip


def bic_curves(
    results: Any, criterion: str | None = None, by: str | Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """A criterion against the number of components, a curve for every other setting; the best is marked.

    Criteria are so that small is good (mclust's BIC has the other sign). A fit that did not converge is a hollow mark,
    and one that failed leaves a gap.

    Parameters
    ----------
    results : MixtureSearch, its ``results_``, or sequence of fitted mixtures
        A table has the columns ``n_components`` and that of the criterion, and columns for the settings.
    criterion : {"bic", "icl", "icl_entropy", "aic"}, optional
        By default that of the search, else BIC.
    by : str or sequence of str, optional
        Columns of the table, or arguments of the models, whose values make a curve each; by default all settings that
        differ.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> geyser = ff.datasets.load("faithful")
    >>> kinds = [(kind, k) for kind in ("EEE", "VVV") for k in (1, 2, 3)]
    >>> fits = [ff.GaussianMixture(k, covariance_type=kind, random_state=0).fit(geyser) for kind, k in kinds]
    >>> ax = ff.plots.bic_curves(fits)
    >>> [line.get_label() for line in ax.lines]
    ['EEE', 'VVV', 'smallest: 3, EEE']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    criterion = str(getattr(results, "criterion", "bic")) if criterion is None else criterion
    one_of("criterion", criterion, CRITERIA)
    table = _table(results)
    if not len(table):
        raise InputError("there is no fit to draw")
    for name in ("n_components", criterion):
        if name not in table.columns:
            raise InputError(f"the table has no column {name!r}; its columns are {', '.join(map(repr, table.columns))}")
    settings = _settings(table, by)
    value = np.asarray(table[criterion], float)
    if not np.isfinite(value).any():
        raise InputError(f"no fit has a finite {criterion}")
    count = np.asarray(table["n_components"], int)
    names = [_text(tuple(row)) for row in table[settings].astype(object).to_numpy()] if settings else [""] * len(table)
    fine = np.asarray(table["converged"], bool) if "converged" in table.columns else np.ones(len(table), bool)
    many = len(set(names)) + 1
    ax = axes(ax, (7.6 if many > 8 else 6.0, 4.2))
    for i, name in enumerate(dict.fromkeys(names)):
        mine = np.array([other == name for other in names])
        every = np.unique(count[mine])
        best = [_least(value, np.flatnonzero(mine & (count == k))) for k in every]
        label = name or criterion.upper()
        marker = MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]
        ax.plot(every, value[best], color=colour(i), linestyle=dash(i), linewidth=1.6, marker=marker, markersize=5,
                markevery=[bool(fine[j]) for j in best], label=label, zorder=2)  # fmt: skip
        hollow = [j for j in best if not fine[j]]
        if hollow:
            ax.plot(count[hollow], value[hollow], marker, markersize=5, markerfacecolor="none",
                    markeredgecolor=colour(i), label="_not converged", zorder=2)  # fmt: skip
    top = _least(value, np.arange(len(value)))
    chosen = f"{count[top]}, {names[top]}" if names[top] else f"{count[top]}"
    ax.plot([count[top]], [value[top]], "o", markersize=13, markerfacecolor="none", markeredgecolor=ink(ax),
            markeredgewidth=1.3, linestyle="none", label=f"smallest: {chosen}", zorder=3)  # fmt: skip
    ax.xaxis.set_major_locator(_whole())
    ax.set_xlabel("number of components")
    words = {"icl_entropy": "ICL (entropy)"}
    ax.set_ylabel(f"{words.get(criterion, criterion.upper())} (small is good)")
    if many > 8:
        ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        legend(ax, many, loc="best")
    return ax


def _whole() -> Any:
    """Ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _least(value: np.ndarray, rows: np.ndarray) -> int:
    """The row of the smallest value among some."""
    return int(rows[np.argmin(np.where(np.isfinite(value[rows]), value[rows], np.inf))])


def _table(results: Any) -> pd.DataFrame:
    """The table of a search, or one made of fitted models."""
    import pandas as pd

    found = getattr(results, "results_", results)
    if isinstance(found, pd.DataFrame):
        return found.reset_index(drop=found.index.names == [None])
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise InputTypeError("give a search that has been fitted, the table of its results, or a list of fitted "
                             f"mixtures, not {type(results).__name__}")  # fmt: skip
    rows = []
    for model in found:
        result = getattr(model, "result_", None)
        if result is None or not hasattr(result, "icl"):
            raise InputTypeError(f"give fitted mixtures, not {type(model).__name__} (has fit been called?)")
        said = {key: _text((one,)) for key, one in model.get_params(deep=False).items() if key not in _ASIDE}
        said.update({key: getattr(result, key) for key in (*CRITERIA, "n_components", "converged")})
        rows.append({**said, "estimator": type(model).__name__})
    return pd.DataFrame(rows)


_ASIDE = {"n_init", "max_iter", "tol", "random_state", "n_jobs", "verbose", "start", "warm_start", "reg_covar",
          "init_params", "weights_init", "means_init", "precisions_init", "verbose_interval"}  # fmt: skip


def _settings(table: pd.DataFrame, by: Any) -> list[str]:
    """The columns whose values make a curve each."""
    if by is not None:
        wanted = [by] if isinstance(by, str) else list(by)
        for name in wanted:
            if name not in table.columns:
                raise InputError(f"by: {name!r} is no column of the table; they are {', '.join(map(repr, table))}")
        return wanted
    names = [name for name in table.columns if name not in OUTCOMES or str(name) == "estimator"]
    return [name for name in names if table[name].map(lambda one: _text((one,))).nunique() > 1]


def _text(values: tuple[Any, ...]) -> str:
    """Settings as a legend says them."""
    return ", ".join(
        one if isinstance(one, str)
        else f"{one:g}" if isinstance(one, float)
        else str(getattr(one, "name", one))
        for one in values
    )  # fmt: skip


def likelihood_trace(model: Any, ax: Axes | None = None) -> Axes:
    """How the fit came to its maximum: the log-likelihood still to gain, and the decrement, step by step.

    Both are in nats, on a logarithmic scale. Half the decrement is what the quadratic model of a step promises to gain;
    that the two fall together says that the model is right, and that both halve their exponent in a step says that the
    ascent is Newton's. Differences of log-likelihoods end at their rounding (dotted); the decrement goes on.

    Parameters
    ----------
    model : fitted mixture, or its ``result_``
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> galaxies = ff.datasets.load("galaxies") / 1000
    >>> model = ff.GaussianMixture(4, random_state=0).fit(galaxies)
    >>> ax = ff.plots.likelihood_trace(model)
    >>> ax.get_xlabel(), ax.get_yscale()
    ('step', 'log')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    result = getattr(model, "result_", model)
    history = getattr(result, "history", None)
    if history is None:
        raise InputTypeError(f"give a fitted mixture, not {type(model).__name__} (has fit been called?)")
    if not len(history):
        raise InputError("the fit took no step, so that there is no path to draw")
    loglik, decrement = np.array(history, float).T
    step = np.arange(loglik.size)
    gap = np.nanmax(loglik) - loglik
    rounding = 8.0 * float(np.finfo(float).eps * max(abs(np.nanmax(loglik)), 1.0))
    ax = axes(ax)
    shown = gap > rounding
    ax.plot(step[shown], gap[shown], color=BLUE, linewidth=1.6, marker="o", markersize=4.5,
            label="log-likelihood below its maximum")  # fmt: skip
    half = np.where(decrement > 0.0, 0.5 * decrement, np.nan)
    ax.plot(step, half, color=RED, linewidth=1.4, linestyle=(0, (4, 2)), marker="s", markersize=4.0,
            label="half the decrement")  # fmt: skip
    ax.axhline(rounding, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)), label="rounding of the log-likelihood")
    ax.set_yscale("log")
    ax.set_xlim(-0.3, max(step[-1], 1) + 0.3)
    ax.xaxis.set_major_locator(_whole())
    ax.set_xlabel("step")
    ax.set_ylabel("nats")
    legend(ax, 3, loc="best")
    return ax


__all__ = ["bic_curves", "likelihood_trace"]
