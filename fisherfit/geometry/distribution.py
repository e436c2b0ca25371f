"""A distribution: a family at a value of its parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from ..families import Binomial, ExponentialDispersion, Family, Normal, get_family
from ..families.subject import Subject
from .models import BinomialCount, NormalScale

__all__ = ["Distribution", "as_distribution", "coordinates_of", "resolve"]


@dataclass(frozen=True, init=False)
class Distribution:
    """A member of a family: the family with a value for each of its parameters.

    The names given choose the parameters: a family whose dispersion is usually estimated apart takes ``phi`` beside
    ``mu`` (without it, phi is 1); the normal family also takes ``sigma``, the standard deviation, in place of
    ``phi``; the binomial takes ``trials`` (without it, 1).

    ``p.family`` is the family with the parameters that were named, ``p.theta`` the tuple of their values in its order.

    Parameters
    ----------
    family : str, Family or type
        Built in or of the user's own.
    **parameters : float
        A value for every parameter.

    Raises
    ------
    InputError
        For a name that is no parameter, one that is missing, or a value outside the support.

    Examples
    --------
    >>> import fisherfit as ff
    >>> p = ff.geometry.Distribution("gamma", mu=2.0, phi=0.5)
    >>> p
    Distribution(Gamma().with_dispersion(), mu=2, phi=0.5)
    >>> float(p.mean()), float(p.variance())
    (2.0, 2.0)
    >>> ff.geometry.Distribution("normal", mu=0.0, sigma=2.0).family.parameters
    {'mu': 'real', 'sigma': 'positive'}
    """

    family: Family
    theta: tuple[float, ...]

    def __init__(self, family: str | Family | type[Family], /, **parameters: float) -> None:
        found, theta = resolve(family, parameters)
        object.__setattr__(self, "family", found)
        object.__setattr__(self, "theta", theta)

    @property
    def parameters(self) -> dict[str, float]:
        """The values by name."""
        return dict(zip(self.family.parameters, self.theta, strict=True))

    def log_density(self, y: Any) -> np.ndarray:
        """The log-density at every y; minus infinity outside the support."""
        subject, flat = Subject.of(self.family), np.asarray(y, float)
        outside = self.family.support.outside(flat) | (
            (flat != np.floor(flat)) if self.family.support.integer else np.zeros(flat.shape, bool)
        )
        with np.errstate(all="ignore"):
            values = [
                -math.inf if out else subject.log_density(v, self.theta)
                for v, out in zip(flat.ravel().tolist(), outside.ravel().tolist(), strict=True)
            ]
        return np.array(values).reshape(flat.shape)

    def mean(self) -> Any:
        """The mean of y."""
        return self.family.mean(*self.theta)

    def variance(self) -> Any:
        """The variance of y."""
        return self.family.variance(*self.theta)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.parameters.items())
        return f"Distribution({self.family!r}, {values})"


def resolve(family: Any, parameters: Mapping[str, Any]) -> tuple[Family, tuple[float, ...]]:
    """The family that has exactly the parameters named, and their values."""
    found, given = get_family(family), dict(parameters)
    if type(found) is Binomial and "trials" in given:
        found = BinomialCount(given.pop("trials"))
    elif "sigma" in given and "sigma" not in found.parameters and _is_normal(found):
        found = NormalScale()
    elif isinstance(found, ExponentialDispersion) and found.has_dispersion and "phi" in given:
        found = found.with_dispersion()
    names = list(found.parameters)
    if set(given) != set(names):
        unknown = [n for n in given if n not in names]
        what = (
            f"{unknown[0]!r} is no parameter" if unknown else f"{next(n for n in names if n not in given)} is missing"
        )
        raise InputError(f"{found.name} family: {what}; it has {', '.join(names)}")
    theta = []
    for name in names:
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise InputTypeError(f"{name}: expected a number, got {type(value).__name__}")
        theta.append(float(value))
    return found, checked(found, theta)


def checked(family: Family, theta: Sequence[float]) -> tuple[float, ...]:
    """Parameters inside their supports; an error for others."""
    for (name, support), value in zip(family.parameters.items(), theta, strict=True):
        inside = {
            "real": math.isfinite(value), "positive": 0.0 < value < math.inf,
            "nonnegative": 0.0 <= value < math.inf, "unit": 0.0 < value < 1.0,
        }[support]  # fmt: skip
        if not inside:
            raise InputError(f"{family.name} family: {name} = {value:g} lies outside its support, {support!r}")
    return tuple(theta)


def as_distribution(family: Any, theta: Any = None) -> Distribution:
    """A distribution from itself, or from a family and its parameters by name or in order."""
    if isinstance(family, Distribution):
        if theta is not None:
            raise InputError("theta: a Distribution has its parameters already; give either it or a family and theta")
        return family
    if theta is None:
        raise InputError("theta: give the parameters of the family, by name or in order, or a Distribution")
    if isinstance(theta, Mapping):
        return Distribution(family, **theta)
    found, values = get_family(family), np.atleast_1d(np.asarray(theta, float))
    names = list(found.parameters)
    if isinstance(found, ExponentialDispersion) and found.has_dispersion and values.shape == (2,):
        names = [*names, "phi"]
    if values.shape != (len(names),):
        raise InputError(f"theta: the {found.name} family has {', '.join(names)}; got shape {values.shape}")
    return Distribution(found, **dict(zip(names, values.tolist(), strict=True)))


def of(family: Family, theta: Sequence[float]) -> Distribution:
    """A distribution of exactly this family."""
    made = object.__new__(Distribution)
    object.__setattr__(made, "family", family)
    object.__setattr__(made, "theta", checked(family, [float(v) for v in theta]))
    return made


def coordinates_of(p: Distribution) -> tuple[ExponentialDispersion, float, float] | None:
    """(family, mu, phi) of a member of an exponential dispersion family, however it was written; else None."""
    from ..families import Bernoulli, Exponential, Gamma
    from ..families.dispersed import Dispersed

    family: Any = p.family
    if isinstance(family, NormalScale):
        return Normal(), p.theta[0], p.theta[1] ** 2
    if isinstance(family, BinomialCount):
        return Binomial(), p.theta[0], 1.0 / family.trials
    if isinstance(family, Dispersed):
        return family.of, p.theta[0], p.theta[1]
    if isinstance(family, ExponentialDispersion):
        simple = {Bernoulli: Binomial(), Exponential: Gamma()}.get(type(family), family)
        return simple, p.theta[0], 1.0
    return None


def _is_normal(family: Any) -> bool:
    return isinstance(getattr(family, "of", family), Normal)
