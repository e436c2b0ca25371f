"""The loop over rows: one for every model, whatever its family, its links and its number of parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np

from ._jit import address_of, compile_kernel, forgiving, is_own, source_stamp
from .elementary import HUGE, TINY, scalar, where, widest
from .families import Family, Formulas
from .families.differences import tupled
from .links import WITHIN, Link, Power

#: what a pass over the rows computes
VALUE, SCORE, EXPECTED, OBSERVED = 0, 1, 2, 3


def _restricted(inverse: Callable[..., Any], support: str) -> Callable[..., Any]:
    """The inverse link of a parameter: NaN outside its support, kept off the ends where formulas divide."""
    if support == "unit" and inverse in WITHIN[support]:

        def link(eta):
            p, q, d, d2 = inverse(eta)
            return (p, q), d, d2
    elif support == "real" or inverse in WITHIN[support]:

        def link(eta):
            theta, _, d, d2 = inverse(eta)
            return (theta,), d, d2
    elif support == "unit":

        def link(eta):
            p, q, d, d2 = inverse(eta)
            outside = where(p >= 0.0, where(q >= 0.0, 0.0, nan), nan)
            return (where(p < TINY, TINY, p) + outside, where(q < TINY, TINY, q) + outside), d + outside, d2 + outside
    else:
        least = 0.0 if support == "nonnegative" else TINY

        def link(eta):
            theta, _, d, d2 = inverse(eta)
            outside = where(theta >= 0.0, 0.0, nan)
            theta = where(theta < least, least, where(theta > HUGE, HUGE, theta)) + outside
            return (theta,), d + outside, d2 + outside

    return link


def _chain(link: Callable[..., Any], rest: Callable[..., Any] | None) -> Callable[..., Any]:
    """Linear predictors of a row, from parameter k on -> arguments of the formulas, dtheta/deta, d2theta/deta2."""
    if rest is None:

        def chained(etas):
            theta, d, d2 = link(etas[0])
            return theta, (d,), (d2,)
    else:

        def chained(etas):
            theta, d, d2 = link(etas[0])
            thetas, ds, d2s = rest(etas[1:])
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


def _column(count: int) -> Callable[..., Any]:
    """(matrix, i) -> column i of a matrix with `count` rows, as a tuple."""
    last = count - 1
    if count == 1:

        def column(matrix, i):
            return (matrix[0, i],)
    else:
        rest = _column(last)

        def column(matrix, i):
            return rest(matrix, i) + (matrix[last, i],)  # noqa: RUF005

    return column


def _put(count: int) -> Callable[..., Any]:
    """Write a tuple into column i of a matrix."""
    last = count - 1
    rest = _put(last) if last else None
    if rest is None:

        def put(matrix, i, values):
            matrix[0, i] = values[0]
    else:

        def put(matrix, i, values):
            rest(matrix, i, values)
            matrix[last, i] = values[last]

    return put


@scalar
def present(f, value):
    """f times a value of a row with weight f, which is absent if f is 0."""
    return where(f == 0.0, 0.0, f * value)


def _weighted_score(count: int) -> Callable[..., Any]:
    """f s_k dtheta_k/deta, for every k."""
    last = count - 1
    if count == 1:

        def weighted(f, s, d):
            return (present(f, s[0] * d[0]),)
    else:
        rest = _weighted_score(last)

        def weighted(f, s, d):
            return rest(f, s, d) + (present(f, s[last] * d[last]),)  # noqa: RUF005

    return weighted


def _weighted_information(pairs: Sequence[tuple[int, int]]) -> Callable[..., Any]:
    """f I_km dtheta_k/deta dtheta_m/deta, and -f s_k d2theta_k/deta2 on the diagonal, for every pair (k, m)."""
    last = len(pairs) - 1
    k, m = pairs[last]
    bends = k == m

    def one(f, info, d, s, d2):
        value = (info[last] * d[k]) * d[m]
        return present(f, value - s[k] * d2[k] if bends else value)

    if last == 0:

        def weighted(f, info, d, s, d2):
            return (one(f, info, d, s, d2),)
    else:
        rest = _weighted_information(pairs[:last])

        def weighted(f, info, d, s, d2):
            return rest(f, info, d, s, d2) + (one(f, info, d, s, d2),)  # noqa: RUF005

    return weighted


@scalar
def pairwise_sum(values):
    """The sum of an array, which is overwritten: by halves within tiles of 1024, the same on every machine."""
    total = 0.0
    for start in range(0, values.size, 1024):
        tile = values[start : start + 1024]
        size = tile.size
        while size > 1:
            half = size // 2
            upper = tile[size - half : size]
            for i in range(half):
                tile[i] += upper[i]
            size -= half
        total += tile[0]
    return total


def _make_rows(
    parameters: Any, formulas: Formulas, count: int, unpack: Callable[..., Any], stamp: str
) -> Callable[..., Any]:
    """The loop over rows.

    One loop for each quantity asked for, in which every row is arithmetic and selections, so that the compiler runs
    several rows at a time. A sum over rows would be in order, and so one row at a time: the objectives are stored
    and summed afterwards. A row of weight 0 is absent, whatever its formulas give; those of a user may fail there and
    are not called.
    """
    careful = not stamp
    objective, score, observed = tupled(formulas.objective), tupled(formulas.score), tupled(formulas.observed)
    column, put_score, put_information = _column(count), _put(count), _put(count * (count + 1) // 2)
    pairs = [(k, m) for k in range(count) for m in range(k, count)]
    weighted_score, weighted_information = _weighted_score(count), _weighted_information(pairs)
    no_score, no_information, no_bend = (0.0,) * count, (0.0,) * len(pairs), (0.0,) * count
    fisher: Any = formulas.fisher

    def value_of(y, f, etas, constants):
        if careful and f == 0.0:
            return 0.0
        theta, _, _ = parameters(etas)
        return present(f, objective(y, theta + constants))

    def score_of(y, f, etas, constants):
        if careful and f == 0.0:
            return 0.0, no_score
        theta, d, _ = parameters(etas)
        arguments = theta + constants
        return present(f, objective(y, arguments)), weighted_score(f, score(y, arguments), d)

    def observed_of(y, f, etas, constants):
        if careful and f == 0.0:
            return 0.0, no_score, no_information
        theta, d, d2 = parameters(etas)
        arguments = theta + constants
        s = score(y, arguments)
        w = weighted_information(f, observed(y, arguments), d, s, d2)
        return present(f, objective(y, arguments)), weighted_score(f, s, d), w

    if fisher is None:
        expected_of = observed_of
    else:

        def expected_of(y, f, etas, constants):
            if careful and f == 0.0:
                return 0.0, no_score, no_information
            theta, d, _ = parameters(etas)
            arguments = theta + constants
            w = weighted_information(f, fisher(*arguments), d, no_bend, no_bend)
            return present(f, objective(y, arguments)), weighted_score(f, score(y, arguments), d), w

    def rows(y, weight, eta, constants, what, u, w):
        """Sum of weighted objectives; u = d/deta and w = information of eta (upper triangle), a column for each row.

        Where u has a row more than there are parameters, that row takes the objectives themselves, and the sum is 0.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        kept = u.shape[0] > count
        values = u[count] if kept else np.empty(y.size)
        given = unpack(constants)
        if what == 0:
            for i in range(y.size):
                values[i] = value_of(y[i], weight[i], column(eta, i), given)
        elif what == 1:
            for i in range(y.size):
                values[i], score_ = score_of(y[i], weight[i], column(eta, i), given)
                put_score(u, i, score_)
        elif what == 2:
            for i in range(y.size):
                values[i], score_, information = expected_of(y[i], weight[i], column(eta, i), given)
                put_score(u, i, score_)
                put_information(w, i, information)
        else:
            for i in range(y.size):
                values[i], score_, information = observed_of(y[i], weight[i], column(eta, i), given)
                put_score(u, i, score_)
                put_information(w, i, information)
        return 0.0 if kept else pairwise_sum(values)

    return rows


def _make_base(base: Callable[..., Any], unpack: Callable[..., Any], stamp: str) -> Callable[..., Any]:
    careful = not stamp

    def base_of(y, f, trials, phi, divides, constants):
        if careful and f == 0.0:
            return 0.0, 0.0, 0.0
        share = where(f == 0.0, 1.0, f * trials) if divides else trials
        value, d1, d2 = base(y, phi / share, *constants)
        f = where(f == 0.0, 0.0, 1.0) if divides else f
        return present(f, value), present(f, d1 / share), present(f, d2 / share / share)

    def bases(y, weight, trials, phi, divides, constants):
        """Sum of the terms free of the mean, with two derivatives in phi; weights divide phi or multiply the term."""
        stamp  # noqa: B018
        widest()
        value, first, second = np.empty(y.size), np.empty(y.size), np.empty(y.size)
        given = unpack(constants)
        alike = True
        for i in range(y.size):
            alike &= (trials[i] == 1.0) & ((not divides) | (weight[i] == 1.0))
        if alike:  # what depends on phi alone is the same for all rows, and leaves the loop
            for i in range(y.size):
                value[i], first[i], second[i] = base_of(y[i], weight[i], 1.0, phi, False, given)
        else:
            for i in range(y.size):
                value[i], first[i], second[i] = base_of(y[i], weight[i], trials[i], phi, divides, given)
        return pairwise_sum(value), pairwise_sum(first), pairwise_sum(second)

    return bases


def _make_noise(parameters: Any, noise: Any, count: int, unpack: Callable[..., Any]) -> Callable[..., Any]:
    column = _column(count)

    def noises(y, weight, eta, constants, out):
        """The estimated errors of u, for every row."""
        for i in range(y.size):
            theta, d, _ = parameters(column(eta, i))
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
        self.plain_rows = _make_rows(chained, self.formulas, self.n_parameters, unpack, stamp)
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
            self.noise = forgiving(_make_noise(chained, self.formulas.noise, self.n_parameters, unpack))

    def __copy__(self) -> Kernels:
        out = object.__new__(type(self))
        out.__dict__.update(self.__dict__)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return kernels_of, (self.family, self.links)  # compiled code is made, or found, again

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
