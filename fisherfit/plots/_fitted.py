"""What figures of mixtures take from a fitted model, and how they draw rows by component."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _threads
from ..errors import InputError, InputTypeError
from ..families._family import Support
from ..mixtures.categorical import Column
from ..mixtures.univariate import Univariate
from ..response import read_weights
from ..table import Table, named_values
from ._style import MARKERS, MOST, colour

REAL = Support()


class Marginal(NamedTuple):
    """One column of a mixture: the densities (K, m) of the components at values, or the tables (K, levels)."""

    density: Callable[[np.ndarray], np.ndarray] | None
    support: Support
    levels: tuple[Any, ...] = ()
    tables: np.ndarray | None = None


def check_mixture(model: Any, wanted: str = "") -> Any:
    """Refuse what is no fitted mixture (of the kind wanted)."""
    if not hasattr(model, "weights_") or not hasattr(model, "result_"):
        raise InputTypeError(f"give a fitted mixture, not {type(model).__name__} (has fit been called?)")
    here = "MixtureRegressor" if hasattr(model, "component_proba") else "MixtureModel"
    here = "GaussianMixture" if hasattr(model, "means_") else here
    if wanted and here not in wanted:
        raise InputTypeError(f"this figure is of a {wanted.replace('|', ' or a ')}, not of a {type(model).__name__}")
    return model


def is_gaussian(model: Any) -> bool:
    """True for a `GaussianMixture`."""
    return hasattr(model, "means_")


def columns_of(model: Any, table: Table) -> tuple[str, ...]:
    """The names in `table` of the columns of the density, in their order."""
    own: tuple[str, ...] = model._names if is_gaussian(model) else model._plan.names
    if table.is_frame and hasattr(model, "feature_names_in_"):
        return own
    if len(table.names) != len(own):
        raise InputError(f"X has {len(table.names)} columns, and the model {len(own)}")
    return table.names


def place(column: Any, names: tuple[str, ...]) -> int:
    """The number of a column that is given by name or number."""
    if column is None and len(names) == 1:
        return 0
    if isinstance(column, (int, np.integer)) and not isinstance(column, bool) and 0 <= column < len(names):
        return int(column)
    if isinstance(column, str) and column in names:
        return names.index(column)
    told = "say which column to draw" if column is None else f"{column!r} is no column of the model"
    raise InputError(f"{told}; they are {', '.join(map(repr, names[:12]))}{', ...' if len(names) > 12 else ''}")


def weight_of(sample_weight: Any, table: Table) -> np.ndarray:
    """The weights of the rows."""
    return read_weights(named_values(sample_weight, table, "sample_weight"), table.n, table.index)


def covariance(model: Any, which: list[int]) -> np.ndarray:
    """The covariances of some columns in every component of a `GaussianMixture`: (K, c, c)."""
    held, shape, k = np.asarray(model.covariances_), model._shape, len(model.weights_)
    if shape == "spherical":
        return np.asarray(held[:, None, None] * np.eye(len(which)))
    if shape == "diag":
        return np.stack([np.diag(row[which]) for row in held])
    if shape == "tied":
        held = np.broadcast_to(held, (k, *held.shape))
    return np.asarray(held[:, which][:, :, which])


def marginal(model: Any, j: int) -> Marginal:
    """Column j of a fitted `GaussianMixture` or `MixtureModel`."""
    if is_gaussian(model):
        centre, width = model.means_[:, [j]], np.sqrt(covariance(model, [j])[:, :, 0])

        def normal(x: np.ndarray) -> np.ndarray:
            return np.asarray(np.exp(-0.5 * ((x - centre) / width) ** 2) / width / np.sqrt(2.0 * np.pi))

        return Marginal(normal, REAL)
    plan = model._plan
    spec, phi = plan.specs[j], model._theta[plan.count - 1 :]
    parts = plan.components([np.zeros(1)] * len(plan.names)).split(phi)
    if isinstance(spec, Column):
        part, own = parts[-1]
        at = next(i for i, column in enumerate(part.columns) if column.column == j)
        _, b, levels = part.spans[at]
        sticks = np.exp(part.log_tables(own.reshape(plan.count, part.own)))[:, b : b + levels]
        tables = np.empty_like(sticks)
        tables[:, list(spec.sticks)] = sticks
        return Marginal(None, REAL, spec.levels, tables)
    part, own = next(pair for pair in parts if isinstance(pair[0], Univariate) and pair[0].column == j)

    def density(x: np.ndarray) -> np.ndarray:
        here = Univariate(part.marginals, np.ascontiguousarray(x, float), j)
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            return np.asarray(np.exp(here.at(own[None]).rows(0, x.size, False).log_density[0]))

    supports = [m.family.support for m in part.marginals]
    low = max(supports, key=lambda s: (s.lower, s.lower_open))
    high = min(supports, key=lambda s: (s.upper, not s.upper_open))
    return Marginal(density, Support(low.lower, high.upper, low.lower_open, high.upper_open, low.integer))


def named(k: int, weight: float) -> str:
    """A component and its share, for legends."""
    percent = 100.0 * weight
    return f"component {k} ({percent:.0f}%)" if percent >= 1.0 else f"component {k} ({percent:.1g}%)"


def by_component(ax: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray, labels: list[str]) -> None:
    """Points in the colour of their most probable component; larger where that is less certain. z is (n, K)."""
    count, best = z.shape[1], z.argmax(axis=1)
    doubt = (1.0 - z.max(axis=1)) / (1.0 - 1.0 / count) if count > 1 else np.zeros(x.size)
    if x.size > MOST:
        some = np.arange(0, x.size, -(-x.size // MOST))
        x, y, best, doubt = x[some], y[some], best[some], doubt[some]
    base, reach, alpha = (14.0, 60.0, 0.55) if x.size <= 1000 else (6.0, 30.0, 0.35)
    for k in range(count):
        mine = best == k
        ax.scatter(
            x[mine], y[mine], s=base + reach * doubt[mine], alpha=alpha + (0.95 - alpha) * doubt[mine],
            color=colour(k), marker=MARKERS[k % len(MARKERS)], linewidths=0, rasterized=x.size > 5000, zorder=2,
            label=labels[k],
        )  # fmt: skip


def legend(ax: Any, entries: int, **settings: Any) -> None:
    """A legend without a frame line that lets what lies below shine through; in columns where it is long."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "observed")
    ax.legend(
        [handles[i] for i in order], [labels[i] for i in order], fontsize="small", framealpha=0.75, edgecolor="none",
        ncols=1 if entries <= 7 else 2, title_fontsize="small", **settings,
    )  # fmt: skip


__all__ = [
    "Marginal",
    "by_component",
    "check_mixture",
    "columns_of",
    "covariance",
    "is_gaussian",
    "legend",
    "marginal",
    "named",
    "place",
    "weight_of",
]
