"""Figures of the geometry of families: what a step of one length means, in one place and in another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from ..errors import InputError
from ..geometry import Distribution, fisher_information, kl_divergence
from ..geometry.batched import batched
from ..geometry.closed import closed_kl
from ..geometry.distribution import of
from ._style import BAND, BLUE, GREY, INK, RED, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIRECTIONS = 181
Point = tuple[float, float]


def kl_balls(
    family: Any = "normal", centres: Sequence[Any] = ((-2.0, 1.0), (2.0, 1.0)), radius: float | Sequence[float] = 0.1,
    parameters: tuple[str, str] = ("mu", "sigma"), euclidean: float | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Balls of one Kullback-Leibler radius around several distributions, against Euclidean balls of one radius.

    A ball is all q with KL(centre || q) <= radius. Beside it stands the ellipse 1/2 d'Fd = radius, which the Fisher
    information makes of it for small radii: the ball of the natural gradient.

    Parameters
    ----------
    family : str, Family or type, default "normal"
        A family with the two parameters.
    centres : sequence of pairs or of Distribution
        The values of the two parameters at every centre.
    radius : float or sequence of float, default 0.1
        Kullback-Leibler radius in nats, or several.
    parameters : pair of str, default ("mu", "sigma")
        The parameters on the horizontal and on the vertical axis.
    euclidean : float, optional
        Radius of the Euclidean balls; 0 for none. By default that of the mean area of the ellipses; none
        where a parameter lies between 0 and 1, on another scale than its fellow.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default axes of their own.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import fisherfit as ff
    >>> ax = ff.plots.kl_balls("normal", [(0.0, 0.5), (0.0, 2.0)], radius=0.1)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('mu', 'sigma')
    >>> import matplotlib.pyplot as plt
    >>> plt.close(ax.figure)
    """
    radii = [float(r) for r in np.atleast_1d(np.asarray(radius, float))]
    if not radii or not all(0.0 < r < math.inf for r in radii):
        raise InputError(f"radius must be positive and finite, got {radius!r}")
    middles = [_centre(family, c, parameters) for c in centres]
    if not middles:
        raise InputError("centres: give at least one pair of parameters")
    order = [list(middles[0].family.parameters).index(name) for name in parameters]
    supports = [list(middles[0].family.parameters.values())[k] for k in order]
    if euclidean is None:
        areas = [float(np.linalg.det(fisher_information(p))) ** -0.25 for p in middles]
        euclidean = 0.0 if "unit" in supports else math.sqrt(2.0 * max(radii)) * math.exp(np.log(areas).mean())
    if not 0.0 <= euclidean < math.inf:
        raise InputError(f"euclidean: expected a radius of at least 0, got {euclidean!r}")
    ax = axes(ax)
    turn = np.linspace(0.0, 2.0 * math.pi, DIRECTIONS)
    for i, p in enumerate(middles):
        x, y = (p.theta[k] for k in order)
        for j, r in enumerate(sorted(radii, reverse=True)):
            first = i == 0 and j == 0
            ball, ellipse = ball_of(p, r, order)
            ax.fill(*ball.T, color=BAND, alpha=0.45, linewidth=0, zorder=1)
            ax.plot(*ball.T, color=BLUE, linewidth=1.6, label="KL ball" if first else "_ball", zorder=3)
            ax.plot(*ellipse.T, color=RED, linewidth=1.2, linestyle=(0, (5, 2)), zorder=4,
                    label="½ d′Fd, the Fisher ellipse" if first else "_ellipse")  # fmt: skip
        if euclidean > 0.0:
            ax.plot(x + euclidean * np.cos(turn), y + euclidean * np.sin(turn), color=GREY, linewidth=1.2,
                    linestyle=":", label="Euclidean ball" if i == 0 else "_euclidean", zorder=2)  # fmt: skip
        ax.plot([x], [y], marker="o", markersize=4.0, color=INK, linestyle="", label="_centre", zorder=5)
    ax.set_xlabel(parameters[0])
    ax.set_ylabel(parameters[1])
    if supports[1] in ("positive", "nonnegative"):
        ax.set_ylim(0.0, None)
    if euclidean > 0.0:  # circles are to look round
        ax.set_aspect("equal", adjustable="box")
    ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return ax


def ball_of(p: Distribution, radius: float, order: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Outlines of the KL ball and of the ellipse around p, columns in `order`, along rays from the centre."""
    centre = np.array(p.theta)
    to_unit = np.linalg.inv(np.linalg.cholesky(fisher_information(p)).T)
    rays = []
    for angle in np.linspace(0.0, 2.0 * math.pi, DIRECTIONS):
        rays.append(math.sqrt(2.0 * radius) * (to_unit @ np.array([math.cos(angle), math.sin(angle)])))
    ellipse = centre + np.array(rays)
    fast = batched(p.family)
    kl: Callable[[Distribution], float] = lambda q: kl_divergence(p, q)  # noqa: E731
    if fast is not None and closed_kl(p, p) is None:  # of one's own: an integral for every point of the outline
        kl = lambda q: fast.divergence(p.theta, q.theta)  # noqa: E731
    ball = np.array([centre + _reach(p, ray, radius, kl) * ray for ray in rays])
    return ball[:, order], ellipse[:, order]


def _reach(p: Distribution, ray: np.ndarray, radius: float, kl: Callable[[Distribution], float]) -> float:
    """How far along a ray the divergence from p stays within the radius; 1 to second order."""
    supports = list(p.family.parameters.values())
    bounds = {"real": (-math.inf, math.inf), "positive": (0.0, math.inf), "nonnegative": (0.0, math.inf),
              "unit": (0.0, 1.0)}  # fmt: skip
    end = math.inf
    for value, step, support in zip(p.theta, ray.tolist(), supports, strict=True):
        edge = bounds[support][1 if step > 0.0 else 0]
        if step != 0.0 and math.isfinite(edge):
            end = min(end, (edge - value) / step)
    end *= 1.0 - 1e-9

    def excess(t: float) -> float:
        theta = [v + t * s for v, s in zip(p.theta, ray.tolist(), strict=True)]
        return min(kl(of(p.family, theta)), 1e300) - radius

    low, high = 0.0, min(0.5, end)
    while excess(high) < 0.0:
        if high >= end:
            return end
        low, high = high, min(1.3 * high, end)
        if high > 1e6:
            return high
    return float(optimize.brentq(excess, low, high, xtol=1e-9))


def _centre(family: Any, centre: Any, parameters: tuple[str, str]) -> Distribution:
    if isinstance(centre, Distribution):
        p = centre
    else:
        values = np.asarray(centre, float)
        if values.shape != (2,) or len(parameters) != 2:
            raise InputError(f"centres: expected pairs of ({', '.join(parameters)}), got {centre!r}")
        p = Distribution(family, **dict(zip(parameters, values.tolist(), strict=True)))
    if set(p.family.parameters) != set(parameters):
        raise InputError(f"centres: {p!r} has other parameters than {', '.join(parameters)}")
    return p
