"""The contract of a family, and what can be derived from a few formulas.

A family is a log-density with its derivatives, as scalar formulas: static methods that take the response, then the
parameters, then the constants (`fields`) of the family. A parameter of the unit interval reaches a formula as two
numbers, p and 1 - p, so that neither is ever a difference. The formulas are plain Python; kernels compile them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import InputError
from .differences import numerical_observed, numerical_score

__all__ = ["ExponentialDispersion", "Family", "Formulas", "Support"]

Array = Any
SUPPORTS = ("real", "positive", "nonnegative", "unit")


class Support(NamedTuple):
    """Where the response may lie: an interval, with or without its ends, perhaps of whole numbers only.

    Examples
    --------
    >>> import fisherfit as ff
    >>> print(ff.Support(0.0, 1.0, upper_open=True))
    [0, 1)
    """

    lower: float = -inf
    upper: float = inf
    lower_open: bool = False
    upper_open: bool = False
    integer: bool = False

    def outside(self, y: np.ndarray) -> np.ndarray:
        """True for every value that lies outside the interval."""
        low = y <= self.lower if self.lower_open else y < self.lower
        high = y >= self.upper if self.upper_open else y > self.upper
        return low | high

    def __str__(self) -> str:
        if self.lower == -inf and self.upper == inf:
            return "any finite number"
        if self.upper == inf:
            what = "greater than" if self.lower_open else "at least"
            return f"{what} {self.lower:g}"
        return f"{'(' if self.lower_open else '['}{self.lower:g}, {self.upper:g}{')' if self.upper_open else ']'}"


class Formulas(NamedTuple):
    """What a kernel needs of a family: scalar functions of y, the parameters and the constants.

    `objective` is the log-density up to a term free of theta; `base` is that term, a function of
    (y, phi, ``*constants``) that returns its value and its first two derivatives in phi. `noise`, where the score is
    taken by differences, estimates the errors of the score.
    """

    objective: Callable[..., float]
    score: Callable[..., tuple[float, ...]]
    fisher: Callable[..., tuple[float, ...]] | None
    observed: Callable[..., tuple[float, ...]]
    base: Callable[..., tuple[float, float, float]]
    noise: Callable[..., tuple[float, ...]] | None = None


def no_base(y, phi, *constants):
    """The term of an objective that is already the complete log-density."""
    return 0.0, 0.0, 0.0


class Family:
    """Base class of every family; a user's own family is a subclass with at least a log-density.

    Class attributes
    ----------------
    name : str
        Shown in summaries.
    parameters : mapping of str to str
        Names and supports ("real", "positive", "nonnegative", "unit"), the mean or location first.
    fields : tuple of str
        Names of instance attributes (floats) that the formulas take after the parameters.
    support : Support
        Where the response may lie.
    default_links : mapping of str to str
        The link of a parameter where the user names none.

    Examples
    --------
    A family of one's own needs a log-density only; the rest is derived by differences:

    >>> import math, numpy as np, fisherfit as ff
    >>> class Rayleigh(ff.Family):
    ...     name = "rayleigh"
    ...     parameters = {"sigma": "positive"}
    ...     support = ff.Support(0.0, lower_open=True)
    ...     @staticmethod
    ...     def log_density(y, sigma):
    ...         return math.log(y) - 2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2
    >>> y = np.random.default_rng(0).rayleigh(2.0, 500)
    >>> model = ff.GLM(Rayleigh()).fit(np.empty((500, 0)) if False else np.linspace(-1, 1, 500)[:, None], y)
    >>> bool(model.converged_)
    True
    """

    name: str = ""
    parameters: Mapping[str, str] = {"mu": "real"}
    fields: tuple[str, ...] = ()
    support: Support = Support()
    default_links: Mapping[str, str] = {}
    canonical_link: str | None = None
    #: the length after which the density repeats, of a response that is an angle
    period: ClassVar[float] = inf
    #: the dispersion is estimated after the mean (normal, gamma, inverse Gaussian, Tweedie)
    has_dispersion: ClassVar[bool] = False
    #: the response may be counted as successes and failures
    takes_trials: ClassVar[bool] = False

    log_density: Callable[..., float]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name") or cls.__name__.lower()
        for key in ("log_density", "score", "fisher", "observed", "unit_deviance", "unit_variance"):
            formula = cls.__dict__.get(key)
            if inspect.isfunction(formula):
                first = next(iter(inspect.signature(formula).parameters), "")
                if first == "self":
                    raise InputError(
                        f"{cls.__name__}.{key} takes `self`; formulas are functions of (y, *parameters, *fields): "
                        "make it a @staticmethod and name constants in `fields`"
                    )
                setattr(cls, key, staticmethod(formula))
        if isinstance(cls.__dict__.get("parameters"), Mapping):
            for parameter, support in cls.parameters.items():
                if support not in SUPPORTS:
                    raise InputError(
                        f"{cls.__name__}.parameters[{parameter!r}] is {support!r}; choose one of {', '.join(SUPPORTS)}"
                    )

    @property
    def constants(self) -> tuple[float, ...]:
        """The values of `fields`, in order."""
        return tuple(float(getattr(self, field)) for field in self.fields)

    def formulas(self) -> Formulas:
        """The scalar formulas that the kernels compile."""
        cls = type(self)
        if not callable(getattr(cls, "log_density", None)):
            raise InputError(f"{cls.__name__} has no log_density(y, {', '.join(self.parameters)})")
        supports = tuple(self.parameters.values())
        given, fields = getattr(cls, "score", None), len(self.fields)
        return Formulas(
            cls.log_density,
            given or numerical_score(cls.log_density, supports, fields),
            getattr(cls, "fisher", None),
            getattr(cls, "observed", None) or numerical_observed(cls.log_density, given, supports, fields),
            no_base,
            None if given else numerical_score(cls.log_density, supports, fields, part=1),
        )

    @property
    def is_numerical(self) -> bool:
        """True where some derivative is taken by differences."""
        return not (hasattr(type(self), "score") and hasattr(type(self), "observed"))

    def default_link(self, parameter: str) -> str:
        """The name of the link used where the user gives none."""
        by_support = {"real": "identity", "positive": "log", "nonnegative": "identity", "unit": "logit"}
        return self.default_links.get(parameter, by_support[self.parameters[parameter]])

    def mean(self, *theta: Array) -> Array:
        """The mean of the response, vectorised; the first parameter unless a family says otherwise."""
        return theta[0]

    def variance(self, *theta: Array) -> Array:
        """The variance of the response, vectorised."""
        raise NotImplementedError(f"{self.name}: define variance(*theta) to use what needs it")

    def start(self, y: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
        """A starting value for every parameter from the responses and their weights."""
        total = weight.sum()
        mean = float((y * weight).sum() / total)
        spread = float(np.sqrt(((y - mean) ** 2 * weight).sum() / total)) or 1.0
        guess = {"real": mean, "positive": spread, "nonnegative": 0.5, "unit": 0.5}
        theta = [guess[support] for support in self.parameters.values()]
        first = next(iter(self.parameters.values()))
        if first == "positive":
            theta[0] = mean if mean > 0 else spread
        elif first == "unit":
            theta[0] = mean if 0 < mean < 1 else 0.5
        return tuple(theta)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f}={getattr(self, f):g}' for f in self.fields)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.constants, tuple(self.parameters)))


class ExponentialDispersion(Family):
    """A family with density exp{-d(y, mu) / (2 phi)} times a term free of mu (Jorgensen, 1997).

    A subclass writes three scalar formulas: ``unit_deviance(y, mu)``, ``unit_variance(mu) -> (V, dV/dmu)`` and
    ``base(y, phi)``, the log-density at mu = y with its first two derivatives in phi. Score and information
    follow: s = (y - mu) / (phi V), I = 1 / (phi V).
    """

    parameters: Mapping[str, str] = {"mu": "positive"}
    unit_deviance: Callable[..., float]
    unit_variance: Callable[..., tuple[float, float]]
    base: Callable[..., tuple[float, float, float]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "unit_variance" in cls.__dict__:
            _derive(cls)

    def formulas(self) -> Formulas:
        """The formulas of the mean at phi = 1, the objective being minus half the unit deviance."""
        cls: Any = type(self)
        return Formulas(cls.half_deviance, cls.score, cls.fisher, cls.observed, cls.base)

    def dispersion_ml(self, deviance: float, total: float) -> float | None:
        """The maximum-likelihood dispersion in closed form, where there is one."""
        return None

    def with_dispersion(self) -> Family:
        """The family with its dispersion as a second parameter, phi, for models that estimate both at once.

        Raises
        ------
        InputError
            For a family whose dispersion is 1.

        Examples
        --------
        >>> import fisherfit as ff
        >>> ff.Gamma().with_dispersion().parameters
        {'mu': 'positive', 'phi': 'positive'}
        """
        from .dispersed import with_dispersion

        return with_dispersion(self)

    def null_mean(self, y: np.ndarray, weight: np.ndarray) -> float:
        """The maximum-likelihood mean of a sample without covariates: the weighted mean."""
        return float(np.average(y, weights=weight))


def _derive(cls: Any) -> None:
    """Write the formulas of an exponential dispersion family from its unit deviance and unit variance."""
    unit_deviance, unit_variance, base = cls.unit_deviance, cls.unit_variance, cls.base

    def half_deviance(y, mu, *constants):
        return -0.5 * unit_deviance(y, mu, *constants)

    def score(y, mu, *constants):
        return ((y - mu) / unit_variance(mu, *constants)[0],)

    def fisher(mu, *constants):
        return (1.0 / unit_variance(mu, *constants)[0],)

    def observed(y, mu, *constants):
        v, slope = unit_variance(mu, *constants)
        return ((1.0 + (y - mu) / v * slope) / v,)

    def log_density(y, mu, phi, *constants):
        return -0.5 * unit_deviance(y, mu, *constants) / phi + base(y, phi, *constants)[0]

    for formula in (half_deviance, score, fisher, observed, log_density):
        if formula.__name__ not in cls.__dict__:
            formula.__qualname__ = f"{cls.__qualname__}.{formula.__name__}"
            formula.__module__ = cls.__module__
            setattr(cls, formula.__name__, staticmethod(formula))
