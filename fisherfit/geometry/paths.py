"""Geodesics of the Fisher metric where no formula is known.

A path is a straight line in coordinates without bounds plus t (1 - t) times Legendre polynomials. Its energy, the
integral of x'(t)' G x'(t), is least along a geodesic run at constant speed, and is then the length squared. The degree
is raised until the length no longer falls: convergence is that of polynomials to a smooth function, and an error of
the path counts only squared. At each degree the energy is minimised by Newton's method, a few steps from the path of
the degree before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy import integrate as quad

from ..errors import InputError
from ..families import Family
from ..linalg import cholesky
from ..links import get_link
from .batched import batched
from .distribution import of
from .information import fisher_by_integral, information
from .surrogate import Outside, curve, interpolated
from .views import View, has_formula, views_of

__all__ = ["Path", "find_geodesic", "line_between", "line_length"]

Array = np.ndarray
DEGREES = (3, 6, 12, 24, 48)
CLOSE = 1e-9  # the relative change of the length at which the degree is high enough
WANTED = 1e-6
QUICK = 1e-7  # a change that would be high enough if the changes of the last degrees go on to shrink as they did
SETTLED = (1e-5, 1e-8, 1e-11, 1e-11, 1e-11)  # relative changes of the energy below which a step is the last
NOISE = 1e-8
MOST = 50  # steps at one degree


@dataclass(frozen=True, eq=False)
class Path:
    """A geodesic: its length, and its points as parameters of the family."""

    length: float
    at: Callable[[Array], list[tuple[float, ...]]]


def line_length(family: Family, a: float, b: float) -> float:
    """The integral of sqrt(F) of a family of one parameter."""
    return abs(line_between(family, a, b)(b))


def line_between(family: Family, a: float, b: float) -> Callable[[float], float]:
    """The signed length from a as a function of the parameter, between a and b."""
    link = get_link({"real": "identity", "positive": "log", "unit": "logit", "nonnegative": "identity"}[
        next(iter(family.parameters.values()))
    ])  # fmt: skip
    formula = has_formula(family)
    fast = None if formula else batched(family)

    def speed(x: float) -> float:
        theta, _, slope, _ = link.inverse(x)
        if fast is not None:
            f = fast.near((theta,), [])[0]
        else:
            f = information(family, (theta,)) if formula else fisher_by_integral(of(family, (theta,)), 1e-10)
        return float(np.sqrt(f[0, 0]) * abs(slope))

    start, end = (float(link.forward(v)) for v in (a, b))
    if not formula:  # an integral at every point is costly
        wide = 1e-6 * (1.0 + abs(end - start))
        smooth = curve(speed, min(start, end) - wide, max(start, end) + wide)
        speed = lambda x: float(smooth(np.array(x)))  # noqa: E731

    def length(value: float) -> float:
        return float(quad.quad(speed, start, float(link.forward(value)), epsabs=0.0, epsrel=1e-11, limit=200)[0])

    return length


def find_geodesic(family: Family, a: tuple[float, ...], b: tuple[float, ...]) -> Path:
    """The shortest path found in any of the coordinates of the family."""
    found: list[Path | None] = []
    for margin in (1.0, 2.0, 4.0, 8.0):
        try:
            views = views_of(family, a, b, margin)
            direct = has_formula(family) or len(a) != 2 or views[0].near is not None
            found = [_shortest(view) if direct else _by_interpolant(view) for view in views]
        except Outside:
            continue
        break
    paths = [path for path in found if path is not None]
    if not paths:
        raise InputError(
            f"no geodesic of the {family.name} family between {a} and {b} was found to a relative {WANTED:g}: the "
            "distributions are too far apart; take a distribution between them"
        )
    return min(paths, key=lambda path: path.length)


def _by_interpolant(view: View) -> Path | None:
    """The same with an interpolant of the metric, on a box that is widened until the path fits."""
    g = view.metric(np.stack([view.start, 0.5 * (view.start + view.end), view.end]))
    step = view.end - view.start
    length = math.sqrt(float(max(step @ m @ step for m in g)))
    margin = 0.1 * np.abs(step) + (0.15 * length + 0.02) / np.sqrt(g[:, [0, 1], [0, 1]].min(axis=0))
    for _ in range(5):
        low, high = np.minimum(view.start, view.end) - margin, np.maximum(view.start, view.end) + margin
        try:
            return _shortest(view._replace(metric=interpolated(view.metric, low, high)))
        except Outside:
            margin = 2.0 * margin
    return None


def _shortest(view: View) -> Path | None:
    """The path of least energy; None where its length has not settled at the highest degree."""
    step, size = view.end - view.start, view.start.size
    c, before, last = np.zeros((0, size)), math.inf, math.inf
    for degree, settled in zip(DEGREES, SETTLED, strict=True):
        c = np.concatenate([c, np.zeros((degree - c.shape[0], size))])
        c, energy = _least(view, c, settled)
        length = math.sqrt(energy)
        change, before, last_but_one = abs(before - length) / length, length, last
        if change <= CLOSE or (change <= QUICK and change * change <= 0.1 * CLOSE * last_but_one < math.inf):
            break
        last = change
    else:
        if change > WANTED:
            return None

    def at(share: Array) -> list[tuple[float, ...]]:
        value, _ = _basis(share, c.shape[0])
        points = view.start + share[:, None] * step + value @ c
        return [view.back(x) for x in points]

    return Path(length, at)


def _least(view: View, c: Array, settled: float) -> tuple[Array, float]:
    """Coefficients of least energy, from given ones: Newton's method, damped by the Hessian of a constant metric."""
    degree, size = c.shape
    nodes, weight = legendre.leggauss(2 * degree + 12)
    t, weight = 0.5 * (1.0 + nodes), 0.5 * weight
    value, slope = _basis(t, degree)
    step = view.end - view.start
    line = view.start + t[:, None] * step

    def energy(c: Array) -> tuple[float, Array]:
        g, v = view.metric(line + value @ c), step + slope @ c
        return float(weight @ np.einsum("mi,mij,mj->m", v, g, v)), g

    (here, g), damping = energy(c), 0.0
    for _ in range(MOST):
        v = step + slope @ c
        first, second = _derivatives(view, line + value @ c, g, v)
        pull = np.einsum("mki,mi->mk", first, v)
        gradient = (2.0 * slope.T @ (weight[:, None] * np.einsum("mij,mj->mi", g, v))
                    + value.T @ (weight[:, None] * pull)).ravel()  # fmt: skip
        plain = 2.0 * _outer(weight, slope, slope, g)
        cross = 2.0 * _outer(weight, slope, value, first.transpose(0, 2, 1))
        hessian = plain + cross + cross.T + _outer(weight, value, value, second)
        while damping < 1e6:
            factor = cholesky(hessian + damping * plain)
            d = None if factor is None else factor.solve(gradient)
            if d is not None:
                there = c - d.reshape(degree, size)
                gain = 0.5 * float(gradient @ d)
                if gain <= settled * here:
                    return there, energy(there)[0]
                now, metric = energy(there)
                if now <= here - 1e-3 * gain:
                    break
                if gain <= NOISE * here:  # the metric is not known well enough to tell
                    return c, here
            damping = max(4.0 * damping, 0.1)
        else:
            break
        c, here, g = there, now, metric
        damping = 0.1 * damping if damping > 0.01 else 0.0
    return c, here


def _outer(weight: Array, left: Array, right: Array, g: Array) -> Array:
    """Sums over nodes of left_k right_l g_ij, as a matrix of (k, i) and (l, j)."""
    return np.asarray(
        np.einsum("mk,ml,mij->kilj", weight[:, None] * left, right, g, optimize=True).reshape(
            left.shape[1] * g.shape[1], -1
        )
    )


def _derivatives(view: View, x: Array, g: Array, v: Array) -> tuple[Array, Array]:
    """d_k G v, of shape (m, K, K), and v' d_k d_l G v, by differences over a thousandth of the length of the metric.

    An error of the first shifts the path, which counts squared; of the second, only the next step.
    """
    size = x.shape[1]
    h = np.minimum(1e-3 / np.sqrt(np.einsum("mkk->mk", g)), 0.01 * (1.0 + np.abs(x)))
    unit = np.eye(size) * h[:, :, None]
    pairs = [(k, j) for k in range(size) for j in range(k)]
    moves = [unit[:, k] for k in range(size)] + [-unit[:, k] for k in range(size)]
    moves += [unit[:, k] + unit[:, j] for k, j in pairs]
    images = np.einsum("mrij,mj->mri", view.around(x, g, np.stack(moves, axis=1)), v)
    up, down, both = images[:, :size], images[:, size : 2 * size], images[:, 2 * size :]
    first = 0.5 * (up - down) / h[:, :, None]
    middle = np.einsum("mij,mj->mi", g, v)
    second = np.empty((len(x), size, size))
    for k in range(size):
        second[:, k, k] = np.einsum("mi,mi->m", v, up[:, k] - 2.0 * middle + down[:, k]) / h[:, k] ** 2
    for i, (k, j) in enumerate(pairs):
        change = both[:, i] - up[:, k] - up[:, j] + middle
        second[:, k, j] = second[:, j, k] = np.einsum("mi,mi->m", v, change) / h[:, k] / h[:, j]
    return first, second


def _basis(t: Array, degree: int) -> tuple[Array, Array]:
    """t (1 - t) times Legendre polynomials on (0, 1), and their derivatives: (m, degree) each."""
    s, bump = 2.0 * t - 1.0, t * (1.0 - t)
    p = legendre.legvander(s, degree - 1)
    dp = np.stack([legendre.legval(s, legendre.legder(np.eye(degree)[k])) for k in range(degree)], axis=-1)
    return bump[:, None] * p, -s[:, None] * p + 2.0 * bump[:, None] * dp
