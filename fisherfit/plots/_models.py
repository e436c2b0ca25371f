"""Figures of estimates: coefficients, profiles, effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choices import check_level, one_of
from ..covtypes import covariance_shown
from ..errors import InputError, InputTypeError
from ..likelihood import project
from ..result import quantile
from ..table import Table, read_table
from ._style import BAND, BLUE, GREY, INK, RED, axes, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def coefficients(
    model: Any, level: float = 0.95, intercept: bool = False, exponentiate: bool = False, intervals: Any = None,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Estimates with their intervals; the axis says what covariance these rest on, where it is not the model's.

    Parameters
    ----------
    model : GLM or Result
        A fitted model.
    level : float, default 0.95
        Of the Wald intervals.
    intercept : bool, default False
        Show the intercept as well.
    exponentiate : bool, default False
        exp of estimates and intervals, on a logarithmic axis: ratios of odds or of means.
    intervals : pandas.DataFrame, optional
        Columns ``lower`` and ``upper`` by coefficient, such as profile intervals, in place of Wald intervals.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> births = ff.datasets.load("birthwt")
    >>> model = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke").fit(births)
    >>> ax = ff.plots.coefficients(model, exponentiate=True)
    >>> ax.get_xlabel()
    'exp(coefficient), 95% interval'
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    result, level = _result(model), check_level(level)
    table = result.conf_int(level) if intervals is None else intervals
    names = [n for n in result.params.index if (intercept or n != "Intercept") and n not in result.positive]
    if not names:
        raise InputError("there is no coefficient to show but the intercept; give intercept=True")
    missing = [n for n in names if n not in table.index]
    if missing or not {"lower", "upper"} <= set(table.columns):
        raise InputError("intervals must have the columns 'lower' and 'upper', and a row for every coefficient"
                         + (f"; {missing[0]!r} is missing" if missing else ""))  # fmt: skip
    estimate = result.params[names].to_numpy()
    ends = table.loc[names, ["lower", "upper"]].to_numpy().T
    if exponentiate:
        with np.errstate(over="ignore"):
            estimate, ends = np.exp(estimate), np.exp(ends)
    at = np.arange(len(names))[::-1]
    ax = axes(ax, (6.0, max(1.6, 0.9 + 0.32 * len(names))))
    ax.axvline(1.0 if exponentiate else 0.0, color=INK, linewidth=0.8, zorder=1)
    finite = np.isfinite(estimate) & np.isfinite(ends).all(axis=0)
    ax.hlines(at[finite], ends[0][finite], ends[1][finite], color=BLUE, linewidth=1.8, zorder=2)
    ax.plot(estimate[finite], at[finite], "o", color=BLUE, markersize=5.5, zorder=3)
    errors = result.bse[names].to_numpy()
    for y, value, error in zip(at[~finite], result.params[names].to_numpy()[~finite], errors[~finite], strict=True):
        text = "no interval"
        if np.isinf(error):
            text = "infinite estimate (+)" if value > 0 else "infinite estimate (-)"
        elif np.isnan(error):
            text = "not estimable"
        ax.annotate(text, (1.0 if exponentiate else 0.0, y), xytext=(4, 0), textcoords="offset points", color=RED,
                    fontsize="small", va="center")  # fmt: skip
    if exponentiate:
        ax.set_xscale("log")
        plain_ticks(ax)
    ax.set_yticks(at, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    what = "exp(coefficient)" if exponentiate else "coefficient"
    ax.set_xlabel(f"{what}, {100 * level:g}% interval{covariance_shown(table.attrs.get('cov_type', ''), ' ({})')}")
    return ax


def profile(traces: Any, name: str, level: float = 0.95, ax: Axes | None = None) -> Axes:
    """The profile of a coefficient: signed root of the likelihood-ratio statistic against its value.

    A straight line where the likelihood is that of a normal estimate, and Wald intervals are right; what bends is what
    they miss.

    Parameters
    ----------
    traces : object with ``trace(name)``
        What ``model.profile(...)`` returns, of a `GLM` or of a mixture: ``trace`` is a table with the columns ``value``
        and ``tau``.
    name : str
        The coefficient.
    level : float, default 0.95
        Of the interval that is marked.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes
    """
    level = check_level(level)
    if not callable(getattr(traces, "trace", None)):
        raise InputTypeError(f"a profile is drawn from model.profile(X, y), not from {type(traces).__name__}")
    known = getattr(traces, "names", None)
    if known is not None and name not in known:
        raise InputError(f"there is no profile of {name!r}; there are those of {', '.join(map(repr, known))}")
    value, tau = _trace(traces, name, level)
    if value.size < 3:
        raise InputError(f"the profile of {name!r} has {value.size} points; a figure needs 3")
    ax = axes(ax)
    ax.axhline(0.0, color=INK, linewidth=0.8)
    if tau[0] < 0.0 < tau[-1]:  # an infinite estimate has no tangent
        near = np.argsort(np.abs(tau), kind="stable")[:3]
        best = float(np.interp(0.0, tau, value))
        wald = float(np.polyval(np.polyder(np.polyfit(value[near] - best, tau[near], 2)), 0.0))
        ax.plot(value, wald * (value - best), color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="Wald")
    fine = np.linspace(value[0], value[-1], 300)
    from scipy.interpolate import PchipInterpolator

    ax.plot(fine, PchipInterpolator(value, tau)(fine), color=BLUE, linewidth=1.8, label="profile")
    ax.plot(value, tau, "o", color=BLUE, markersize=3.5)
    for end, at in _ends(traces, name, level, value, tau):
        ax.plot([end, end], [0.0, at], color=RED, linewidth=1.2)
        ax.plot([value[0], end], [at, at], color=RED, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.annotate(f"{end:.3g}", (end, 0.0), xytext=(0, -3 if at > 0 else 3), textcoords="offset points", color=RED,
                    ha="center", va="top" if at > 0 else "bottom", fontsize="small")  # fmt: skip
    ax.set_xlim(value[0], value[-1])
    ax.set_xlabel(name)
    ax.set_ylabel("signed root of the likelihood ratio, τ")
    ax.legend(frameon=False, fontsize="small", loc="lower right", title=f"{100 * level:g}% interval marked",
              title_fontsize="small")  # fmt: skip
    return ax


def _trace(traces: Any, name: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The curve, in the order of its values; of a mixture so far that a finite interval is in view."""
    ends: Any = []
    if hasattr(traces, "mixture"):  # its trace goes by standard errors, which are not where the interval ends
        row = traces.conf_int(level).loc[name]
        ends = [end for end in (float(row["lower"]), float(row["upper"])) if np.isfinite(end)]
    for stretch in (1.0, 1.6, 2.5, 4.0):
        table = traces.trace(name) if stretch == 1.0 else traces.trace(name, 2.6 * stretch, int(13 * stretch))
        value, tau = np.asarray(table["value"], float), np.asarray(table["tau"], float)
        if not value.size or all(value.min() <= end <= value.max() for end in ends):
            break
    order = np.argsort(value)
    return value[order], tau[order]


def _ends(traces: Any, name: str, level: float, value: np.ndarray, tau: np.ndarray) -> list[tuple[float, float]]:
    """The ends of the interval that are in view, with tau there: those of the profile, or of the normal quantile."""
    if callable(getattr(traces, "conf_int", None)):
        row = traces.conf_int(level).loc[name]
        ends = [float(row["lower"]), float(row["upper"])]
    else:
        q = float(quantile(0.5 + 0.5 * level))
        rising = tau[-1] > tau[0]
        t, v = (tau, value) if rising else (tau[::-1], value[::-1])
        ends = [float(np.interp(z, t, v)) for z in (-q, q) if t[0] <= z <= t[-1]]
    return [(end, float(np.interp(end, value, tau))) for end in ends if value[0] <= end <= value[-1]]


def effect(
    model: Any, X: Any, column: str, at: Mapping[str, Any] | None = None, kind: str = "mean", level: float = 0.95,
    offset: Any = None, exposure: Any = None, points: int = 100, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Predictions over one column, with their band; the other columns at typical values.

    Parameters
    ----------
    model : GLM
        A fitted model.
    X : table or array of shape (n, p)
        Rows that say what is typical: the mean of a column of numbers, the most frequent category.
    column : str
        The column to move: over its range, or over its categories.
    at : mapping of str to value, optional
        Values of other columns, in place of typical ones.
    kind : {"mean", "link"}, default "mean"
        The mean response, or the linear predictor.
    level : float, default 0.95
        Of the (pointwise, Wald) band of the linear predictor, taken through the link.
    offset, exposure : float, optional
        As in `GLM.predict`; a column named in the fit stands at its typical value.
    points : int, default 100
        How many predictions make the curve.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> births = ff.datasets.load("birthwt")
    >>> model = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke").fit(births)
    >>> ax = ff.plots.effect(model, births, "lwt", at={"smoke": 1})
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('lwt', 'mean of low')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    result, level = _result(model), check_level(level)
    one_of("kind", kind, ("mean", "link"))
    if result.covariance is None:
        raise InputError("the covariance of the coefficients was not formed, so that there is no band to draw")
    predictor, table = model._predictor, read_table(X)
    grid, moved, levels = _typical(table, predictor, column, dict(at or {}), points)
    eta = predictor.predict(grid, offset, exposure, "link")
    design = predictor.terms.design(read_table(grid))
    p = design.width
    rows = np.stack([project(design, design.from_user(unit)) for unit in np.eye(p)], axis=1)
    used = np.any(rows != 0.0, axis=0)
    inner = result.covariance[:p, :p][np.ix_(used, used)]
    with np.errstate(all="ignore"):
        error = np.sqrt(np.einsum("ij,jk,ik->i", rows[:, used], inner, rows[:, used]))
    q = float(quantile(0.5 + 0.5 * level, result.df_resid if result.use_t else None))
    curves = [eta, eta - q * error, eta + q * error]
    if kind == "mean":
        curves = [predictor.links[0].mean(curve) for curve in curves]
    middle, low, high = curves
    ax = axes(ax)
    if levels is None:
        ax.fill_between(moved, low, high, color=BAND, alpha=0.5, linewidth=0, label=f"{100 * level:g}% band")
        ax.plot(moved, middle, color=BLUE, linewidth=1.8)
        seen = table.column(column).values
        seen = seen[np.isfinite(seen)]
        rug = seen if seen.size <= 500 else np.quantile(seen, np.linspace(0.0, 1.0, 500))
        ax.plot(rug, np.zeros(rug.size), "|", color=GREY, markersize=7, alpha=0.6, clip_on=False,
                transform=ax.get_xaxis_transform())  # fmt: skip
    else:
        places = np.arange(len(levels))
        ax.errorbar(places, middle, yerr=[np.abs(middle - low), np.abs(high - middle)], fmt="o", color=BLUE,
                    markersize=6, linewidth=1.6, label=f"{100 * level:g}% interval")  # fmt: skip
        ax.set_xticks(places, [str(one) for one in levels])
        ax.set_xlim(-0.5, len(levels) - 0.5)
    ax.legend(frameon=False, fontsize="small", loc="best")
    ax.set_xlabel(column)
    ax.set_ylabel(f"mean of {result.response}" if kind == "mean" else "linear predictor")
    return ax


def _typical(table: Table, predictor: Any, column: str, at: dict[str, Any], points: int) -> tuple[Any, Any, Any]:
    """A table with one column that moves and the others at typical values; the values of the first; its levels."""
    import pandas as pd

    terms = predictor.terms
    needed = list(getattr(terms, "needed", ())) or [term.name for term in terms.terms]
    needed += [name for name in predictor.offset_names if name is not None]
    for name in (column, *at):
        if name not in needed:
            raise InputError(f"{name!r} is no column of the model; they are {', '.join(map(str, needed))}")
    if column in at:
        raise InputError(f"at: {column!r} is the column that moves; leave it out")
    found = table.column(column)
    if found.levels is not None:
        moved: Any = np.arange(len(found.levels))
    else:
        values = found.values[np.isfinite(found.values)]
        moved = np.linspace(values.min(), values.max(), points)
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(needed):
        other = found if name == column else table.column(name)
        if other.levels is None:
            value = moved if name == column else at.get(name, float(np.nanmean(other.values)))
            columns[name] = np.broadcast_to(np.asarray(value, float), moved.shape)
            continue
        codes = moved
        if name != column:
            wanted = at.get(name)
            if wanted is not None and wanted not in other.levels:
                raise InputError(
                    f"at: {wanted!r} is no value of {name!r}; they are {', '.join(map(str, other.levels))}"
                )
            seen = other.values[other.values >= 0].astype(int)
            code = other.levels.index(wanted) if wanted is not None else int(np.bincount(seen).argmax())
            codes = np.full(moved.size, code)
        columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(other.levels))
    if not table.is_frame:
        names = list(table.names)
        return np.column_stack([columns[name] for name in names]), moved, found.levels
    return pd.DataFrame(columns), moved, found.levels


def _result(model: Any) -> Any:
    found = getattr(model, "result_", model)
    if not (hasattr(found, "conf_int") and hasattr(found, "params") and hasattr(found, "covariance")):
        raise InputTypeError(f"give a fitted model, not {type(model).__name__} (has fit been called?)")
    return found


__all__ = ["coefficients", "effect", "profile"]
