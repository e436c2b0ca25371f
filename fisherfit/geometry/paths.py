"""Geodesics of the Fisher metric where no formula is known.

A path is a straight line in coordinates without bounds plus t (1 - t) times Legendre polynomials. Its energy, the
integral of x'(t)' G x'(t), is least along a geodesic run at constant speed, and is then the length squared. The degree
is raised until the length no longer falls: convergence is that of polynomials to a smooth function, and an error of
the path counts only squared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy import integrate as quad
from scipy import optimize

from ..errors import InputError
from ..families import Family
from ..links import get_link
from .distribution import of
from .information import fisher_by_integral, information
from .surrogate import Outside, curve, interpolated
from .views import View, has_formula, views_of

__all__ = ["Path", "find_geodesic", "line_between", "line_length"]

Array = np.ndarray
DEGREES = (3, 6, 12, 24, 48)
CLOSE = 1e-9  # the relative change of the length at which the degree is high enough
WANTED = 1e-6


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

    def speed(x: float) -> float:
        theta, _, slope, _ = link.inverse(x)
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
            direct = has_formula(family) or len(a) != 2
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
    c, before = np.zeros((0, size)), math.inf
    for degree in DEGREES:
        c = np.concatenate([c, np.zeros((degree - c.shape[0], size))])
        c, energy = _least(view, c)
        length = math.sqrt(energy)
        if abs(before - length) <= CLOSE * length:
            break
        change, before = abs(before - length) / length, length
    else:
        if change > WANTED:
            return None

    def at(share: Array) -> list[tuple[float, ...]]:
        value, _ = _basis(share, c.shape[0])
        points = view.start + share[:, None] * step + value @ c
        return [view.back(x) for x in points]

    return Path(length, at)


def _least(view: View, c: Array) -> tuple[Array, float]:
    """Coefficients of least energy, from given ones."""
    degree, size = c.shape
    nodes, weight = legendre.leggauss(2 * degree + 12)
    t, weight = 0.5 * (1.0 + nodes), 0.5 * weight
    value, slope = _basis(t, degree)
    step = view.end - view.start
    line = view.start + t[:, None] * step

    def energy(z: Array) -> tuple[float, Array]:
        c = (inverse @ z).reshape(degree, size)
        x, v = line + value @ c, step + slope @ c
        g = view.metric(x)
        gv = np.einsum("mij,mj->mi", g, v)
        pull = np.stack([np.einsum("mi,mij,mj->m", v, d, v) for d in _slopes(view, x, g)], axis=-1)
        gradient = 2.0 * slope.T @ (weight[:, None] * gv) + value.T @ (weight[:, None] * pull)
        return float(weight @ (v * gv).sum(axis=1)), inverse.T @ gradient.ravel()

    # coordinates in which the energy of a fixed metric is a sum of squares
    g = view.metric(line + value @ c)
    hessian = 2.0 * np.einsum("m,mk,ml,mij->kilj", weight, slope, slope, g).reshape(degree * size, -1)
    factor = np.linalg.cholesky(hessian)
    inverse = np.linalg.inv(factor.T)
    start = factor.T @ c.ravel()
    size_of = energy(start)[0]
    found = optimize.minimize(energy, start, jac=True, method="BFGS",
                              options={"gtol": 1e-7 * math.sqrt(size_of), "maxiter": 300})  # fmt: skip
    return (inverse @ found.x).reshape(degree, size), float(found.fun)


def _slopes(view: View, x: Array, g: Array) -> list[Array]:
    """Derivatives of the metric in every coordinate, by differences of fourth order."""
    out = []
    for k in range(x.shape[1]):
        h = 3e-3 / np.sqrt(g[:, k, k])
        h = np.minimum(h, 0.01 * (1.0 + np.abs(x[:, k])))
        moves = []
        for times in (-2.0, -1.0, 1.0, 2.0):
            moved = x.copy()
            moved[:, k] += times * h
            moves.append(view.metric(moved))
        difference = (8.0 * (moves[2] - moves[1]) - (moves[3] - moves[0])) / 12.0
        out.append(difference / h[:, None, None])
    return out


def _basis(t: Array, degree: int) -> tuple[Array, Array]:
    """t (1 - t) times Legendre polynomials on (0, 1), and their derivatives: (m, degree) each."""
    s, bump = 2.0 * t - 1.0, t * (1.0 - t)
    p = legendre.legvander(s, degree - 1)
    dp = np.stack([legendre.legval(s, legendre.legder(np.eye(degree)[k])) for k in range(degree)], axis=-1)
    return bump[:, None] * p, -s[:, None] * p + 2.0 * bump[:, None] * dp
