"""Figures of what was predicted against what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from .. import calibrated
from ..choices import check_level
from ..errors import InputError
from ..outcome import of_diagnostics
from ..rowwise import base_terms_by_row, objectives
from ._style import BAND, BLUE, GREY, INK, RED, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..diagnostics import Diagnostics


def rootogram(diagnostics: Diagnostics, most: int | None = None, ax: Axes | None = None) -> Axes:
    """Observed frequencies of counts hanging from the expected ones, on a square-root scale (Kleiber & Zeileis, 2016).

    A bar that does not reach 0: too few such counts for the model. One that goes below: too many.

    Parameters
    ----------
    diagnostics : Diagnostics
        Of a model of counts.
    most : int, optional
        The largest count to show; by default the largest one observed, but no more than 60.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> crabs = ff.datasets.load("crabs")
    >>> model = ff.GLM("poisson", formula="satellites ~ width").fit(crabs)
    >>> ax = ff.plots.rootogram(model.diagnostics(crabs))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('satellites', 'square root of frequency')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    d = of_diagnostics(diagnostics)
    counts, observed, expected = frequencies(d, most)
    ax = axes(ax)
    top = np.sqrt(expected)
    hanging = np.sqrt(observed)
    ax.bar(counts, hanging, bottom=top - hanging, width=0.85, color=BAND, edgecolor=BLUE, linewidth=0.6,
           label="observed")  # fmt: skip
    ax.plot(counts, top, color=RED, linewidth=1.6, marker="o", markersize=3.0, label="expected")
    ax.axhline(0.0, color=INK, linewidth=0.9)
    ax.use_sticky_edges = False  # a bar below 0 does not end at the frame
    ax.margins(y=0.05)
    ax.set_xlabel(d.response_name)
    ax.set_ylabel("square root of frequency")
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    return ax


def frequencies(d: Diagnostics, most: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts from 0 on, how many rows have them, and how many should: the sum of P(Y = k) over rows."""
    support = d.family.support
    if not (support.integer and support.lower == 0.0):
        raise InputError(f"a rootogram is for models of counts, not for the {d.family.name} family")
    y, f = d.y[d.present], d.copies[d.present]
    if most is None:
        most = int(min(y.max(initial=0.0), 60.0))
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
        raise InputError(f"most must be a whole number of at least 1, got {most!r}")
    counts = np.arange(most + 1)
    inside = (y <= most) & (y == np.floor(y))
    observed = np.bincount(y[inside].astype(int), f[inside], most + 1)
    likelihood, eta = d.maximum.likelihood, np.ascontiguousarray(d.eta[:, d.present])
    one = np.ones(y.size)
    expected = np.empty(counts.size)
    for k in counts.tolist():
        value = np.full(y.size, float(k))
        log_p = objectives(likelihood.kernels, value, one, eta, likelihood.threads)
        log_p += float(base_terms_by_row(likelihood.kernels, value[:1], one[:1], one[:1], 1.0)[0])
        expected[k] = f @ np.exp(log_p)
    return counts, observed, expected


def calibration(
    diagnostics: Any, predicted: Any = None, weight: Any = None, groups: int = 10, level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Observed proportions against predicted probabilities, in groups of similar probabilities.

    Parameters
    ----------
    diagnostics : Diagnostics, or array of shape (n,)
        Of a binomial model; or, better, responses that it was not fitted to, with their predictions.
    predicted : array of shape (n,), optional
        Predicted probabilities, where responses are given.
    weight : array of shape (n,), optional
        Their trials or repetitions.
    groups : int, default 10
        Number of groups, of about equal size.
    level : float, default 0.95
        Of the intervals (Wilson's) of the proportions.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> births = ff.datasets.load("birthwt")
    >>> first, rest = births[::2], births[1::2]
    >>> model = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke").fit(first)
    >>> ax = ff.plots.calibration(rest["low"], model.predict(rest))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('predicted probability', 'observed proportion')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    y, p, f = calibrated.probabilities(diagnostics, predicted, weight)
    level = check_level(level)
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 2:
        raise InputError(f"groups must be a whole number of at least 2, got {groups!r}")
    table = calibrated.grouped_counts(y, p, f, groups)
    n = table["trials"].to_numpy()
    share, mean = table["observed"].to_numpy() / n, table["expected"].to_numpy() / n
    z = float(special.ndtri(0.5 + level / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    ax = axes(ax, (4.8, 4.6))
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="perfect")
    line = calibrated.calibration(y, p, f)
    grid = np.linspace(max(p.min(), 1e-6), min(p.max(), 1 - 1e-6), 200)
    ax.plot(grid, special.expit(line.intercept + line.slope * special.logit(grid)), color=RED, linewidth=1.6,
            label=f"intercept {line.intercept:.2f}, slope {line.slope:.2f}")  # fmt: skip
    reach = np.maximum([share - (centre - half), centre + half - share], 0.0)
    ax.errorbar(mean, share, yerr=reach, fmt="o", color=BLUE, markersize=4.5, linewidth=1.0,
                label=f"groups, {100 * level:g}% intervals")  # fmt: skip
    heights, edges = np.histogram(p, bins=40, range=(0.0, 1.0), weights=f)
    ax.bar(edges[:-1], 0.1 * heights / heights.max(), width=np.diff(edges), align="edge", color=GREY, alpha=0.45,
           linewidth=0, zorder=0)  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("observed proportion")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return ax


__all__ = ["calibration", "frequencies", "rootogram"]
