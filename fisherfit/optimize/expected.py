"""The expected information E ss' of a model that has no closed form for it: quadrature, or simulation."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import InputError

REACH, NODES = 3.0, 60  # of the double-exponential rule: its error is near rounding for scores that grow as powers of
# log(u) towards the ends


@lru_cache(maxsize=4)
def double_exponential(nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1) that stand the singularities of quantile functions at its ends.

    Source: Takahasi & Mori (1974), Publ. RIMS 9, 721-741.
    """
    t = np.linspace(-REACH, REACH, nodes + 1)
    a = 0.5 * np.pi * np.sinh(t)
    u = 1.0 / (1.0 + np.exp(-2.0 * a))
    weight = 0.25 * np.pi * np.cosh(t) / np.cosh(a) ** 2 * (t[1] - t[0])
    inside = (u > 0.0) & (u < 1.0)
    return u[inside], weight[inside] / weight[inside].sum()


def by_quantiles(model: Any, quantile: Callable[..., Any], theta: np.ndarray) -> np.ndarray:
    """E ss' over the rows' distribution functions: for responses that are smooth in u."""
    out = np.zeros((theta.size, theta.size))
    for u, weight in zip(*double_exponential(), strict=True):
        there = model.on(*_data("quantile", quantile(theta, np.full(model.n, u), *model.data), model))
        s = there.scores(theta)
        out += weight * (s.T @ s)
    return out


def by_samples(model: Any, sample: Callable[..., Any], theta: np.ndarray) -> np.ndarray:
    """The mean of ss' over samples, drawn with the same random numbers for every theta: a smooth function of it."""
    rng, out = np.random.default_rng(model.seed), np.zeros((theta.size, theta.size))
    for _ in range(model.draws):
        s = model.on(*_data("sample", sample(theta, rng, *model.data), model)).scores(theta)
        out += s.T @ s
    return out / model.draws


def _data(name: str, found: Any, model: Any) -> tuple[Any, ...]:
    """What a function returned in place of the data, checked."""
    size = len(model.data)
    if not isinstance(found, (tuple, list)) or len(found) != size:
        what = f"{len(found)} of them" if isinstance(found, (tuple, list)) else type(found).__name__
        raise InputError(f"{name} must return a tuple of {size}, the data with another response, and returned {what}")
    return tuple(found)


__all__ = ["by_quantiles", "by_samples", "double_exponential"]
