"""What all figures share: colours that colour-blind readers can tell apart, axes, smoothing, thinning.

Colours are those of Okabe & Ito (2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputTypeError

BLUE, RED, GREY, INK, BAND = "#0072B2", "#D55E00", "#8A8A8A", "#222222", "#9CC9E3"
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # of components, in their order
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))  # where colours begin again
MARKERS = "osD^vP"
MOST = 20_000  # points that are drawn; beyond, a share of them and all that are extreme


def axes(ax: Any, size: tuple[float, float] = (6.0, 4.2)) -> Any:
    """The axes given, or new ones."""
    if ax is None:
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError("figures need matplotlib: pip install 'fisherfit[plot]'") from error
        _, ax = plt.subplots(figsize=size, layout="constrained")
    elif not hasattr(ax, "get_xlim"):
        raise InputTypeError(f"ax must be matplotlib axes or None, got {type(ax).__name__}")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def colour(k: int) -> str:
    """The colour of component k."""
    return COLOURS[k % len(COLOURS)]


def dash(k: int) -> Any:
    """The kind of line of component k, which differs where colours are used again."""
    return DASHES[k // len(COLOURS) % len(DASHES)]


def ink(ax: Any) -> Any:
    """What stands out on these axes, be they light or dark: the colour of their labels."""
    return ax.xaxis.label.get_color()


def dots(ax: Any, x: np.ndarray, y: np.ndarray, extreme: np.ndarray | None = None) -> None:
    """Points; of very many a share, and the most extreme."""
    n = x.size
    if n > MOST:
        far = np.argsort(-np.abs(y if extreme is None else extreme))[:200]
        some = np.union1d(np.arange(0, n, -(-n // MOST)), far)
        x, y = x[some], y[some]
    size, alpha = (18.0, 0.75) if n <= 500 else (9.0, 0.5) if n <= 5000 else (4.0, 0.25)
    ax.scatter(x, y, s=size, alpha=alpha, color=BLUE, linewidths=0, rasterized=n > 5000, label="_rows", zorder=2)


def smooth(x: np.ndarray, y: np.ndarray, span: float = 0.6, points: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Local linear regression with tricube weights on the nearest `span` of the points (Cleveland, 1979)."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if x.size > MOST:
        step = -(-x.size // MOST)
        x, y = x[::step], y[::step]
    n = x.size
    count = max(int(np.ceil(span * n)), min(n, 5))
    grid = np.unique(np.quantile(x, np.linspace(0.0, 1.0, points)))
    out = np.empty(grid.size)
    for i, g in enumerate(grid):
        distance = np.abs(x - g)
        reach = np.partition(distance, count - 1)[count - 1] * 1.0001
        w = np.clip(1.0 - (distance / (reach or 1.0)) ** 3, 0.0, 1.0) ** 3
        centre = np.average(x, weights=w)
        spread = float(w @ (x - centre) ** 2)
        slope = float(w @ ((x - centre) * y)) / spread if spread > 1e-12 * (reach or 1.0) ** 2 else 0.0
        out[i] = np.average(y, weights=w) + slope * (g - centre)
    return grid, out


def name_of(kind: str) -> str:
    """A kind of residual in words."""
    words = {"std_pearson": "standardised Pearson", "std_deviance": "standardised deviance", "pearson": "Pearson",
             "anscombe": "Anscombe"}  # fmt: skip
    return f"{words.get(kind, kind)} residual"


def plain_ticks(ax: Any) -> None:
    """Numbers such as 0.5, 1 and 2 on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_xlim()
    wide = np.log10(high / low) > 2.0
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
