"""The loop over rows: one for every model, whatever its family, its links and its number of parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np

from ._jit import address_of, compile_kernel, forgiving, is_own, source_stamp
from .families import Family, Formulas
from .families.differences import tupled
from .links import Link, Power
from .special import HUGE, TINY

#: what a pass over the rows computes
VALUE, SCORE, EXPECTED, OBSERVED = 0, 1, 2, 3


def _restricted(inverse: Callable[..., Any], support: str) -> Callable[..., Any]:
    """The inverse link of a parameter: NaN outside its support, kept off the ends where formulas divide."""
    if support == "real":

        def link(eta):
            theta, _, d, d2 = inverse(eta)
            return (theta,), d, d2
    elif support == "unit":

        def link(eta):
            p, q, d, d2 = inverse(eta)
            if not (p >= 0.0 and q >= 0.0):
                return (nan, nan), nan, nan
            return (max(p, TINY), max(q, TINY)), d, d2
    elif support == "nonnegative":

        def link(eta):
            theta, _, d, d2 = inverse(eta)
            if not theta >= 0.0:
                return (nan,), nan, nan
            return (min(theta, HUGE),), d, d2
    else:

        def link(eta):
            theta, _, d, d2 = inverse(eta)
            if not theta >= 0.0:
                return (nan,), nan, nan
            return (min(max(theta, TINY), HUGE),), d, d2

    return link


def _chain(link: Callable[..., Any], rest: Callable[..., Any] | None) -> Callable[..., Any]:
    """(eta, i, k) -> the scalar arguments of the formulas, dtheta/deta, d2theta/deta2, from parameter k on."""
    if rest is None:

        def chained(eta, i, k):
            theta, d, d2 = link(eta[k, i])
            return theta, (d,), (d2,)
    else:

        def chained(eta, i, k):
            theta, d, d2 = link(eta[k, i])
            thetas, ds, d2s = rest(eta, i, k + 1)
            return theta + thetas, (d,) + ds, (d2,) + d2s  # noqa: RUF005  (Numba has no starred displays)

    return chained


def _unpacked(count: int) -> Callable[..., Any]:
    """values -> the first `count` of them as a tuple, whose length the compiler must know."""
    if count == 0:

        def unpack(values):
            return ()
    else:
        rest = _unpacked(count - 1)
        last = count - 1

        def unpack(values):
            return rest(values) + (values[last],)  # noqa: RUF005

    return unpack


def _make_rows(parameters: Any, formulas: Formulas, unpack: Callable[..., Any], stamp: str) -> Callable[..., Any]:
    objective, score, observed = tupled(formulas.objective), tupled(formulas.score), tupled(formulas.observed)
    fisher: Any = formulas.fisher
    has_fisher = fisher is not None
    if fisher is None:  # never called: the compiler drops the branch

        def fisher(*theta):
            return (1.0,)

    def rows(y, weight, eta, constants, what, u, w):
        """Sum of weighted objectives; u = d/deta, w = information of eta (upper triangle): a column for every row."""
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        total = 0.0
        for i in range(y.size):
            f = weight[i]
            if f == 0.0:
                for k in range(u.shape[0]):
                    u[k, i] = 0.0
                for k in range(w.shape[0]):
                    w[k, i] = 0.0
                continue
            theta, d, d2 = parameters(eta, i, 0)
            arguments = theta + unpack(constants)
            total += f * objective(y[i], arguments)
            if what == 0:
                continue
            s = score(y[i], arguments)
            for k in range(len(d)):
                u[k, i] = f * (s[k] * d[k])
            if what == 2 and has_fisher:
                info = fisher(*arguments)
                at = 0
                for k in range(len(d)):
                    for m in range(k, len(d)):
                        w[at, i] = f * ((info[at] * d[k]) * d[m])
                        at += 1
            elif what >= 2:
                info = observed(y[i], arguments)
                at = 0
                for k in range(len(d)):
                    for m in range(k, len(d)):
                        w[at, i] = f * ((info[at] * d[k]) * d[m])
                        if k == m:
                            w[at, i] -= f * (s[k] * d2[k])
                        at += 1
        return total

    return rows


def _make_base(base: Callable[..., Any], unpack: Callable[..., Any], stamp: str) -> Callable[..., Any]:
    def bases(y, weight, trials, phi, divides, constants):
        """Sum of the terms free of the mean, with two derivatives in phi; weights divide phi or multiply the term."""
        stamp  # noqa: B018
        total = first = second = 0.0
        for i in range(y.size):
            f = weight[i]
            if f == 0.0:
                continue
            share = f * trials[i] if divides else trials[i]
            value, d1, d2 = base(y[i], phi / share, *unpack(constants))
            f = 1.0 if divides else f
            total += f * value
            first += f * (d1 / share)
            second += f * (d2 / share / share)
        return total, first, second

    return bases


def _make_noise(parameters: Any, noise: Any, unpack: Callable[..., Any]) -> Callable[..., Any]:
    def noises(y, weight, eta, constants, out):
        """The estimated errors of u, for every row."""
        for i in range(y.size):
            theta, d, _ = parameters(eta, i, 0)
            errors = noise(y[i], theta + unpack(constants))
            for k in range(len(d)):
                out[k, i] = weight[i] * (errors[k] * d[k])

    return noises


_cache: dict[Any, Any] = {}


def _name(kind: str, family: Family, links: Sequence[Link]) -> str:
    parts = [kind, family.name, str(len(family.parameters)), *(link.name for link in links)]
    return "_".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


class Kernels:
    """The compiled loops of a family with its links, and their plain Python originals."""

    def __init__(self, family: Family, links: Sequence[Link]) -> None:
        self.family = family
        self.links = tuple(links)
        self.formulas = family.formulas()
        self.has_fisher = self.formulas.fisher is not None
        self.n_parameters = len(family.parameters)
        self.constants = np.array(family.constants, float)
        unpack = _unpacked(self.constants.size)
        own = is_own(type(family)) and not any(isinstance(link, Power) for link in links)
        stamp = source_stamp() if own else ""
        chained: Callable[..., Any] | None = None
        for link, support in zip(reversed(self.links), reversed(list(family.parameters.values())), strict=True):
            chained = _chain(_restricted(link.inverse, support), chained)
        self.plain_rows = _make_rows(chained, self.formulas, unpack, stamp)
        self.plain_base = _make_base(self.formulas.base, unpack, stamp)
        for function, name in (
            (self.plain_rows, _name("rows", family, links)),
            (self.plain_base, _name("base", family, ())),
        ):
            function.__name__ = function.__qualname__ = name
        self.rows = compile_kernel(self.plain_rows, True) if own else forgiving(self.plain_rows)
        self._address: int | None = None
        self.base = compile_kernel(self.plain_base, True) if own else forgiving(self.plain_base)
        self.noise = None
        if self.formulas.noise is not None:
            self.noise = forgiving(_make_noise(chained, self.formulas.noise, unpack))

    def address(self) -> int:
        """Where the machine code of `rows` is, for other compiled code to call; 0 where it is plain Python."""
        if self._address is None:
            self._address = address_of(self.rows, rows_arguments())
        return self._address


def rows_arguments() -> tuple[Any, ...]:
    """The types that the row kernel takes: y, weight, eta, constants, what, u, w."""
    from numba import types

    one, two = types.Array(types.float64, 1, "C"), types.Array(types.float64, 2, "C")
    return one, one, two, one, types.int64, two, two


def kernels_of(family: Family, links: Sequence[Link]) -> Kernels:
    """The kernels of a family object with its links, made once for every class, link and shape of parameters."""
    key = (type(family), tuple(family.parameters.items()), tuple(links), _own_formulas(family))
    found = _cache.get(key)
    if found is None:
        found = _cache[key] = Kernels(family, links)
    if tuple(found.constants) != family.constants:
        found = copy.copy(found)
        found.family, found.constants = family, np.array(family.constants, float)
    return found


def _own_formulas(family: Family) -> tuple[Any, ...]:
    """The formulas as they are now, so that one replaced in place takes effect."""
    cls = type(family)
    names = ("log_density", "score", "fisher", "observed", "unit_deviance", "unit_variance", "base")
    return tuple(getattr(cls, name, None) for name in names)
