"""An exponential dispersion family with its dispersion as a second parameter, for models of both.

log f = o(y, mu) / phi + b(y, phi), o being minus half the unit deviance and b the family's `base`: score and
information of (mu, phi) follow from those of the mean and from the derivatives of `base`, and the expected
information is diagonal. Source: Jorgensen (1997), The Theory of Dispersion Models.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..errors import InputError
from ._family import ExponentialDispersion, Family


class Dispersed(Family):
    """Base class of what `ExponentialDispersion.with_dispersion` makes; `of` is the family it was made from.

    Weights multiply the rows of such a family: they do not divide its dispersion.
    """

    parameters = {"mu": "positive", "phi": "positive"}

    def __init__(self, of: ExponentialDispersion) -> None:
        self.of = of
        self.support, self.fields = of.support, of.fields

    @property
    def constants(self) -> tuple[float, ...]:
        """The constants of the family it was made from."""
        return self.of.constants

    def variance(self, mu, phi):
        """phi V(mu)."""
        return self.of.variance(mu, phi)

    def start(self, y, weight):
        """The weighted mean, and the weighted variance over V(mean)."""
        mean = float(np.average(y, weights=weight))
        variance = float(np.average((y - mean) ** 2, weights=weight))
        phi = variance / float(np.asarray(self.of.variance(mean))) if variance > 0.0 else 0.0
        return mean, phi or 1e-6

    def sample(self, rng, mu, phi, size=None):
        """Draws."""
        return self.of.sample(rng, mu, phi, size)  # type: ignore[attr-defined]

    def cdf(self, y, mu, phi):
        """The distribution function."""
        return self.of.cdf(y, mu, phi)  # type: ignore[attr-defined]

    def ppf(self, probability, mu, phi):
        """The quantile function."""
        return self.of.ppf(probability, mu, phi)  # type: ignore[attr-defined]

    def __reduce__(self) -> tuple[Any, ...]:
        return with_dispersion, (self.of,)

    def __repr__(self) -> str:
        return f"{self.of!r}.with_dispersion()"


def with_dispersion(family: ExponentialDispersion) -> Dispersed:
    """A family of (mu, phi) from one of mu whose dispersion phi is estimated apart."""
    if not family.has_dispersion or "unit" in family.parameters.values():
        raise InputError(f"the {family.name} family has no dispersion to be made a parameter")
    kind: Any = type(family)
    made: Dispersed = _class_of(kind)(family)
    return made


@cache
def _class_of(cls: Any) -> Any:
    """A class for every family: kernels are made by class."""
    objective, mean_score, mean_observed, base = cls.half_deviance, cls.score, cls.observed, cls.base
    mean_fisher: Any = cls.fisher
    phi_fisher: Any = getattr(cls, "fisher_dispersion", None)

    def log_density(y, mu, phi, *constants):
        return objective(y, mu, *constants) / phi + base(y, phi, *constants)[0]

    def score(y, mu, phi, *constants):
        first = base(y, phi, *constants)[1] - objective(y, mu, *constants) / phi / phi
        return mean_score(y, mu, *constants)[0] / phi, first

    def observed(y, mu, phi, *constants):
        second = base(y, phi, *constants)[2] + 2.0 * objective(y, mu, *constants) / phi / phi / phi
        return (
            mean_observed(y, mu, *constants)[0] / phi,
            mean_score(y, mu, *constants)[0] / phi / phi,
            -second,
        )

    def fisher(mu, phi, *constants):
        return mean_fisher(mu, *constants)[0] / phi, 0.0, phi_fisher(mu, phi, *constants)

    formulas: dict[str, Any] = {"log_density": log_density, "score": score, "observed": observed}
    if phi_fisher is not None:  # else the observed information stands in for it
        formulas["fisher"] = fisher
    first, support = next(iter(cls.parameters.items()))
    link = cls.default_links.get(first) or cls.canonical_link
    return type(
        f"{cls.__name__}Dispersed",
        (Dispersed,),
        {
            "__module__": cls.__module__,  # own, or a user's
            "name": f"{cls.name}_dispersed",
            "parameters": {first: support, "phi": "positive"},
            "default_links": {"phi": "log", **({first: link} if link else {})},
            **{key: staticmethod(formula) for key, formula in formulas.items()},
        },
    )
