"""The figures of the page: time against rows and columns, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peers import TITLES

Record = dict[str, Any]
WIDTH, HEIGHT, DPI = 6.4, 3.8, 130
# Okabe and Ito's colours, told apart by all eyes; a marker besides for prints in grey
STYLES = {
    "fisherfit": ("#0072B2", "o"),
    "glum": ("#E69F00", "s"),
    "sklearn-cholesky": ("#009E73", "^"),
    "sklearn-lbfgs": ("#56B4E9", "v"),
    "statsmodels": ("#CC79A7", "D"),
    "glum-lbfgs": ("#D55E00", "P"),
    "sklearn-newton-cg": ("#000000", "X"),
}
SETTINGS = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "figure.facecolor": "white",
    "axes.edgecolor": "#666666",
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
}


def write(results: Record, folder: Path) -> dict[str, str]:
    """Draw what has been measured; file name by figure."""
    try:
        import matplotlib
    except ImportError:
        return {}
    matplotlib.use("Agg")
    drawn = {}
    with matplotlib.rc_context(SETTINGS):
        for name, key, label in (("rows", "n", "rows"), ("columns", "p", "columns")):
            if name in results:
                drawn[name] = _save(against(results[name]["points"], key, label), folder / f"time-{name}.png")
        shares = {record["title"]: {library: values["memory_share"] for library, values in record["libraries"].items()
                                    if "memory_share" in values} for record in results.values()
                  if "libraries" in record}  # fmt: skip
        shares = {title: values for title, values in shares.items() if values}
        if shares:
            drawn["memory"] = _save(bars(shares), folder / "memory.png")
    return drawn


def against(points: list[Record], key: str, label: str) -> Any:
    """Time of a fit against the size of the data, both on logarithmic axes."""
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    for library, (colour, marker) in STYLES.items():
        here = [(point[key], point["libraries"][library]) for point in points
                if "median" in point["libraries"].get(library, {})]  # fmt: skip
        if here:
            x = [at for at, _ in here]
            low, high = [v["min"] for _, v in here], [v["max"] for _, v in here]
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
            axes.plot(x, [v["median"] for _, v in here], color=colour, marker=marker, label=TITLES[library],
                      zorder=3 if library == "fisherfit" else 2)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="time of a fit")
    axes.xaxis.set_major_locator(FixedLocator([point[key] for point in points]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(_time))
    axes.yaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside upper center", ncols=2, handlelength=1.6, columnspacing=1.4)
    return figure


def bars(shares: dict[str, dict[str, float]]) -> Any:
    """Peak memory beyond the data, as a multiple of the data."""
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullLocator

    labels, values, colours, edges = [], [], [], []
    for title, by_library in shares.items():
        edges.append((len(labels) + len(edges), title))
        for library, share in by_library.items():
            labels.append(TITLES[library])
            values.append(share)
            colours.append(STYLES[library][0])
    at = []
    for number, (first, _) in enumerate(edges):
        last = edges[number + 1][0] - 1 if number + 1 < len(edges) else len(labels) + len(edges)
        at += list(range(first + 1, last + (number + 1 < len(edges))))
    figure, axes = pyplot.subplots(figsize=(WIDTH, 0.24 * (len(labels) + len(edges)) + 0.9), layout="constrained")
    axes.barh(at, values, color=colours, height=0.72)
    axes.set_xscale("log")
    low = min(values) / 3
    axes.set_xlim(low, max(values) * 3)
    for y, value in zip(at, values, strict=True):
        axes.text(value * 1.08, y, f"{value:.2g}", va="center", fontsize=9)
    axes.set_yticks([*at, *(first for first, _ in edges)], [*labels, *(title for _, title in edges)])
    for tick in axes.get_yticklabels()[len(at) :]:
        tick.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_ylim(max(at) + 0.7, -0.7)
    axes.set_xlabel("peak memory beyond the data / data")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    return figure


def _time(value: float, _: int) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.999 * size:
            return f"{value / size:g} {unit}"
    return ""


def _save(figure: Any, path: Path) -> str:
    from matplotlib import pyplot

    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
    return path.name
