"""The family of one column: its working coordinates, and its parameters as the user reads them.

Every parameter has a coordinate on the whole line: the logarithm of what is positive, the logit of what lies between 0
and 1. Families of location and scale see the column centred and scaled, so that their coordinates have no units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._jit import is_own
from ..families import Bernoulli, Beta, Binomial, Family, Normal, StudentT, VonMises
from ..families._family import ExponentialDispersion
from ..kernels import Kernels, kernels_of
from ..links import get_link

LINKS = {"real": "identity", "positive": "log", "nonnegative": "log", "unit": "logit"}
FARTHEST = 60.0  # e^-60: a coordinate beyond stands for the edge itself
NARROW = 1e-6  # a component whose spread is this share of the column's has collapsed


class Reported(NamedTuple):
    """A parameter in the user's units: its value and the derivative by its coordinate."""

    name: str
    value: float
    slope: float
    support: str


@dataclass(frozen=True, eq=False)
class Marginal:
    """A family on one column, y = shift + factor z, fitted to z.

    `family` is as the user knows it; that of `kernels` has the dispersion as a second parameter. `spread` is the
    column's own, against which a component is narrow.
    """

    family: Family
    kernels: Kernels
    shift: float = 0.0
    factor: float = 1.0
    spread: float = 0.0

    @property
    def size(self) -> int:
        """Coordinates of a component."""
        return self.kernels.n_parameters

    @property
    def is_normal(self) -> bool:
        """True where the M-step of both parameters has a closed form."""
        return isinstance(self.family, Normal)

    @property
    def has_mean(self) -> bool:
        """True where the M-step of the first parameter is a weighted mean: an exponential family in its mean."""
        family = self.family
        return isinstance(family, ExponentialDispersion) or (
            is_own(type(family)) and not isinstance(family, (StudentT, VonMises, Beta))
        )

    def working(self, y: np.ndarray) -> np.ndarray:
        """The column as the kernels take it."""
        return np.ascontiguousarray((y - self.shift) / self.factor, float)

    def theta(self, phi: np.ndarray) -> tuple[Any, ...]:
        """The parameters at coordinates phi, (q, ...)."""
        return tuple(np.asarray(link.mean(v)) for link, v in zip(self.kernels.links, phi, strict=True))

    def start(self, z: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Coordinates to begin from, for weighted rows."""
        out = np.zeros(self.size)
        for j, (link, value) in enumerate(zip(self.kernels.links, self.kernels.family.start(z, weight), strict=True)):
            found = float(link.forward(value))
            out[j] = found if np.isfinite(found) else -20.0 if found < 0.0 else 20.0
        return out

    def reported(self, phi: np.ndarray) -> list[Reported]:
        """The parameters in the user's units at coordinates phi, (q,)."""
        out = []
        for j, (name, support) in enumerate(self.kernels.family.parameters.items()):
            link = self.kernels.links[j]
            value, slope = float(link.mean(phi[j])), float(link.slope(phi[j]))
            support = "positive" if support == "nonnegative" else support
            if j == 0 and name == "mu":
                name = "mean"
            if name == "phi" and self.is_normal:
                root = self.factor * np.sqrt(value)
                name, value, slope = "sigma", root, 0.5 * root * slope / value
            elif name == "phi" and self.family.name in ("gamma", "inverse_gaussian"):
                name, value, slope = "shape", 1.0 / value, -slope / value / value
            elif name == "phi" and isinstance(self.family, Beta):
                name = "precision"
            elif j == 0 and self.factor != 1.0:
                value, slope = self.shift + self.factor * value, self.factor * slope
            elif isinstance(self.family, StudentT) and j == 0:
                value = self.shift + value
            elif isinstance(self.family, StudentT):
                name, value, slope = "scale", self.factor * value, self.factor * slope
            out.append(Reported(name, value, slope, support))
        return out

    def edges(self, phi: np.ndarray) -> list[int]:
        """Coordinates that have run to an edge where the likelihood has its maximum.

        The mean of a component of counts that are all 0, and a dispersion (alpha) of 0.
        """
        out = []
        counts = self.family.support.integer and self.family.support.lower == 0.0
        for j, support in enumerate(self.kernels.family.parameters.values()):
            value = float(self.kernels.links[j].mean(phi[j]))
            if (j == 0 and support == "positive" and counts and value < 1e-8 * max(self.spread, 1e-300)) or (
                support == "nonnegative" and value < 1e-8
            ):
                out.append(j)
        return out

    def is_narrow(self, phi: np.ndarray, share: float = 1.0) -> bool:
        """True where a continuous component has collapsed onto one value."""
        family = self.kernels.family
        if family.support.integer or not self.spread > 0.0:
            return False
        theta = self.theta(phi)
        if isinstance(self.family, StudentT):
            width = float(theta[1])
        else:
            try:
                width = float(np.sqrt(family.variance(*theta)))
            except NotImplementedError:
                return False
        return not width * self.factor > share * NARROW * self.spread

    def sample(self, phi: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Draws in the user's units."""
        drawn: Any = self.kernels.family.sample(rng, *self.theta(phi), size)  # type: ignore[attr-defined]
        return np.asarray(self.shift + self.factor * np.asarray(drawn, float))


def make_marginal(family: Family, y: np.ndarray) -> Marginal:
    """The family on a column, with its dispersion as a parameter, its coordinates and its units."""
    fitted = family.with_dispersion() if family.has_dispersion else family  # type: ignore[attr-defined]
    links = tuple(get_link(LINKS[support]) for support in fitted.parameters.values())
    shift, factor = 0.0, 1.0
    low, middle, high = (float(v) for v in np.quantile(y, [0.25, 0.5, 0.75]))
    spread = high - low if high > low else float(y.std())
    if isinstance(family, (Normal, StudentT)):  # by what an outlier, however far, does not move
        shift, factor = middle, spread or 1.0
    elif family.support.integer:
        spread = float(y.mean())
    return Marginal(family, kernels_of(fitted, links), shift, factor, spread)


def is_table(family: Any) -> bool:
    """True for what is a table of probabilities: Bernoulli and categorical columns."""
    return family == "categorical" or isinstance(family, (Bernoulli, Binomial))


__all__ = ["FARTHEST", "Marginal", "Reported", "is_table", "make_marginal"]
