"""How the further parameters of a family are reported: under the field's names and on the field's scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..families import Family


class Further(NamedTuple):
    """A further parameter as it is reported: `value` of the family's own parameter, its slope, and the way back."""

    name: str
    support: str
    value: Callable[[float], float]
    slope: Callable[[float], float]
    back: Callable[[float], float]


def _as_it_is(name: str, support: str) -> Further:
    return Further(name, "positive" if support == "nonnegative" else support, float, lambda _: 1.0, float)


# sigma = sqrt(phi); shape = 1 / phi; the dispersion of the others is phi
_DISPERSIONS = {
    "normal_dispersed": Further("sigma", "positive", lambda v: v**0.5, lambda v: 0.5 / v**0.5, lambda s: s * s),
    "gamma_dispersed": Further("shape", "positive", lambda v: 1.0 / v, lambda v: -1.0 / v / v, lambda a: 1.0 / a),
}


def further_of(family: Family) -> tuple[Further, ...]:
    """The parameters of a family after the first, as they are reported.

    Examples
    --------
    >>> import fisherfit as ff
    >>> from fisherfit.mixtures.further import further_of
    >>> [f.name for f in further_of(ff.Normal().with_dispersion())]
    ['sigma']
    """
    if family.name in _DISPERSIONS:
        return (_DISPERSIONS[family.name],)
    dispersed = family.name.endswith("_dispersed")
    return tuple(
        _as_it_is("dispersion" if dispersed and name == "phi" else name, support)
        for name, support in list(family.parameters.items())[1:]
    )


__all__ = ["Further", "further_of"]
