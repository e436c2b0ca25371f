"""Log-densities of many responses: the scalar formula of a family in a loop, compiled."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ._jit import compile_kernel, forgiving, is_own, source_stamp
from .families import ExponentialDispersion, Family
from .families.differences import tupled
from .kernels import _column

FEW = 100  # responses for which plain Python is faster than looking for its compiled twin


def log_densities(
    family: Family, y: np.ndarray, theta: list[np.ndarray], complement: np.ndarray, phi: np.ndarray | None
) -> np.ndarray:
    """log f(y) of arrays of one shape; -inf outside the support. `complement` is 1 - the first parameter."""
    arguments: list[np.ndarray] = []
    for k, (value, support) in enumerate(zip(theta, family.parameters.values(), strict=True)):
        rest = [complement if k == 0 else 1.0 - value] if support == "unit" else []
        arguments += [value, *rest]
    if isinstance(family, ExponentialDispersion):
        arguments.append(np.ones(y.shape) if phi is None else phi)
    arguments += [np.full(y.shape, c) for c in family.constants]
    matrix = np.stack([np.broadcast_to(a, y.shape).ravel() for a in arguments]).astype(float)
    flat, out = np.ascontiguousarray(y, float).ravel(), np.full(y.size, -np.inf)
    inside = ~family.support.outside(flat) & ~np.isnan(flat)
    if family.support.integer:
        inside &= flat == np.rint(flat)
    flat, matrix = flat[inside], np.ascontiguousarray(matrix[:, inside])
    value = np.empty(flat.size)
    with np.errstate(all="ignore"):
        cls: Any = type(family)
        run = _loop(cls, len(arguments))
        (run[0] if flat.size <= FEW else run[1])(flat, matrix, value)
    out[inside] = value
    out[np.isnan(y).ravel()] = np.nan
    return out.reshape(y.shape)


@cache
def _loop(cls: Any, count: int) -> tuple[Any, Any]:
    """The loop in plain Python, and compiled."""
    log_density, column = tupled(cls.log_density), _column(count)
    own = is_own(cls)
    stamp = source_stamp() if own else ""

    def densities(y, arguments, out):
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        for i in range(y.size):
            out[i] = log_density(y[i], column(arguments, i))

    densities.__name__ = densities.__qualname__ = f"densities_{cls.__name__}_{count}"
    return densities, compile_kernel(densities, True) if own else forgiving(densities)


__all__ = ["log_densities"]
