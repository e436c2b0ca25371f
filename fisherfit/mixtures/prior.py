"""The conjugate prior of mclust for Gaussian components, which gives a mode where the likelihood has none.

Fraley & Raftery (2007), Journal of Classification 24, 155-181: means are N(m, Sigma / kappa), covariances inverse
Wishart(nu, Lambda); variances along given axes, and those of spheres, are inverse gamma(nu / 2, s^2 / 2). In all cases

    log prior = sum_k [ -a_k / 2 log |Sigma_k| - tr(Sigma_k^-1 (B_k + kappa (mu_k - m)(mu_k - m)')) / 2 ] + constant:

the prior speaks like a_k more rows with scatter B_k. A covariance that all components share has one prior, and every
component a part of it; where covariances differ, each has its own. a_k counts 1 for the density of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, InputTypeError
from .gaussian_rows import GaussianPoint
from .mixture import Mixture, MixtureEvaluation
from .structures import Structure

SUPPORTED = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "EEV", "VEV", "VVV")
SHARED = ("EII", "EEI", "EEE")  # one covariance for all
KEYS = ("shrinkage", "mean", "dof", "scale")
SHRINKAGE = 0.01


@dataclass(frozen=True, eq=False)
class Prior:
    """The prior of every component in working coordinates: kappa, m, a and B; log |Sigma| is in the user's units.

    Examples
    --------
    >>> import numpy as np
    >>> from fisherfit.mixtures.prior import Prior
    >>> prior = Prior(1.0, np.zeros(1), 4.0, np.eye(1), 0.0)
    >>> n, mean, scatter = prior.added(np.full((1, 1), 3.0), np.full((1, 1, 1), 2.0), np.zeros((1, 1, 1, 1)))
    >>> n.item(), mean.item(), scatter.item()
    (7.0, 1.5, 4.0)
    """

    shrinkage: float
    mean: np.ndarray
    rows: float
    scatter: np.ndarray
    log_scale: float

    def added(self, n: np.ndarray, mean: np.ndarray, scatter: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What an M-step takes in place of weights (S, K), means (S, K, d) and scatters about them (S, K, d, d)."""
        whole = n[..., None] + self.shrinkage
        gap = mean - self.mean
        between = (self.shrinkage * n[..., None] / whole)[..., None] * gap[..., :, None] * gap[..., None, :]
        return n + self.rows, mean - self.shrinkage / whole * gap, scatter + between + self.scatter

    def value(self, point: GaussianPoint) -> np.ndarray:
        """The log-density at S points, without its constant: (S,)."""
        spread = ((point.inverse @ self.scatter) * point.inverse).sum(axis=(-2, -1))
        away = (point.inverse @ (point.mean - self.mean)[..., None])[..., 0]
        log_det = point.v.sum(axis=-1) - 2.0 * self.log_scale
        square = spread + self.shrinkage * (away**2).sum(axis=-1)
        return np.asarray(-0.5 * (self.rows * log_det + square).sum(axis=-1))

    def derivatives(self, point: GaussianPoint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """At one point, the gradient, and minus the second derivative, expected as if of rows and exact, over phi."""
        structure = point.structure
        d, size = structure.d, structure.size
        gradient, both = np.zeros(size), np.zeros((2, size, size))
        for k, own in enumerate(point.derivatives):
            at = structure.places[k]
            gap = own.inverse @ (self.mean - point.mean[0, k])
            b = self.shrinkage * gap
            moment = own.inverse @ self.scatter @ own.inverse.T + np.outer(b, gap)
            surplus = moment - self.rows * np.eye(d)
            matrices = own.information(self.rows, b, moment)
            if structure.axes == "none":
                slope = own.dv @ np.diag(surplus)
            else:
                slope = own.e.reshape(len(own.dv), -1) @ surplus.ravel()
            gradient[at] += np.concatenate([own.inverse.T @ b, 0.5 * slope])
            for total, matrix in zip(both, matrices, strict=True):
                matrix[:d, :d] = self.shrinkage * (own.inverse.T @ own.inverse)
                total[np.ix_(at, at)] += matrix
        return gradient, both[0], both[1]


class Posterior(Mixture):
    """A mixture with a prior of its Gaussian components: log-posterior wherever `Mixture` has the log-likelihood.

    The components must have the prior too (`Gaussian.with_prior`), as the M-step is theirs. `unit_logliks`,
    `unit_scores` and posterior probabilities are those of the likelihood.
    """

    @property
    def dimensions(self) -> int:
        """A component is kept from degeneration by the prior, however few rows it has."""
        return -1

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """The log-density of the prior at S points, without its constant: (S,)."""
        components: Any = self.components
        return np.asarray(components.prior.value(components.at(self.split(theta)[1])))

    def em(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The log-posteriors at S points, and the points that a step of EM leads to."""
        loglik, following = super().em(theta)
        return loglik + self.log_prior(theta), following

    def loglik(self, theta: np.ndarray) -> np.ndarray:
        """The log-posteriors at S points."""
        return np.asarray(super().loglik(theta) + self.log_prior(theta))

    def evaluate(self, theta: np.ndarray) -> MixtureEvaluation:
        """Log-posterior, its gradient, and minus its second derivatives, at one point."""
        return super().evaluate(theta) + self.prior_alone(theta)

    def prior_alone(self, theta: np.ndarray) -> MixtureEvaluation:
        """The logarithm of the prior, its gradient, and minus its second derivatives."""
        components: Any = self.components
        gradient, expected, observed = components.prior.derivatives(components.at(self.split(theta)[1][None]))
        own = slice(self.mixing.size, None)
        score, complete, seen = np.zeros(self.size), *np.zeros((2, self.size, self.size))
        score[own], complete[own, own], seen[own, own] = gradient, expected, observed
        return MixtureEvaluation(float(self.log_prior(theta[None])[0]), score, complete, seen)


def with_own_prior(mixture: Mixture) -> Posterior | None:
    """A mixture with the prior of its components; None where these have none."""
    if getattr(mixture.components, "prior", None) is None:
        return None
    return Posterior(mixture.components, mixture.mixing, mixture.weight, mixture.edges, mixture.threads)


def check_prior(setting: Any, name: str) -> dict[str, Any] | None:
    """The settings of the prior for a structure by its name in three letters; None for no prior.

    Raises
    ------
    InputError, InputTypeError
        Something else than None, "mclust" or a dictionary of known keys, or a structure without a prior.
    """
    if setting is None:
        return None
    if isinstance(setting, str):
        if setting != "mclust":
            raise InputError(f"prior {setting!r} is not known; expected None, 'mclust' or a dictionary with any of "
                             f"{', '.join(KEYS)}")  # fmt: skip
        setting = {}
    if not isinstance(setting, Mapping):
        raise InputTypeError(f"prior must be None, 'mclust' or a dictionary, got {setting!r}")
    unknown = [key for key in setting if key not in KEYS]
    if unknown:
        raise InputError(f"prior has no {unknown[0]!r}; expected any of {', '.join(KEYS)}")
    if name not in SUPPORTED:
        raise InputError(f"prior: mclust has none for covariance_type {name}; use one of {', '.join(SUPPORTED)}, or "
                         "prior=None")  # fmt: skip
    return {key: value for key, value in setting.items() if value is not None}


def prior_of(settings: Mapping[str, Any], components: Any, weight: np.ndarray) -> Prior:
    """The prior for components on their data.

    Parameters
    ----------
    settings : mapping
        `shrinkage` (kappa, 0.01), `mean` (that of the data), `dof` (nu, d + 2) and `scale`: Lambda, by default the
        covariance of the data over K^(2 / d), or for spheres and given axes s^2, the mean of the variances over the
        same. In the user's units.
    components : Gaussian
        The components on their data.
    weight : array of shape (n,)
        Frequencies of the rows.
    """
    return prior_from(settings, components, moments_of(components.u, weight))


class Moments(NamedTuple):
    """The weight of rows, their mean, and their scatter about it, in working coordinates."""

    total: float
    mean: np.ndarray
    scatter: np.ndarray


def moments_of(u: np.ndarray, weight: np.ndarray) -> Moments:
    """The moments of working rows (d, n)."""
    total = float(weight.sum())
    mean = u @ weight / total
    gap = u - mean[:, None]
    return Moments(total, mean, (gap * weight) @ gap.T)


def merged(a: Moments, b: Moments) -> Moments:
    """The moments of the rows of both (Chan, Golub & LeVeque, 1983)."""
    total, gap = a.total + b.total, b.mean - a.mean
    between = a.total * b.total / total * np.outer(gap, gap)
    return Moments(total, a.mean + b.total / total * gap, a.scatter + b.scatter + between)


def prior_from(settings: Mapping[str, Any], components: Any, moments: Moments) -> Prior:
    """`prior_of`, for rows that are known by their moments alone."""
    structure, frame = components.structure, components.frame
    d, count = structure.d, structure.count
    total, centre, scatter = moments
    covariance = frame.backward @ scatter @ frame.backward.T / (total - 1.0 if total > 1.0 else total)
    full = structure.axes != "none"
    shrinkage = _number("shrinkage", settings.get("shrinkage", SHRINKAGE), 0.0, True)
    dof = _number("dof", settings.get("dof", d + 2.0), d - 1.0 if full else 0.0, False)
    given = settings.get("mean")
    mean = centre if given is None else frame.forward @ (_values("mean", given, (d,)) - frame.centre)
    if not full:
        usual = float(np.trace(covariance)) / d
        scale = _number("scale", settings["scale"], 0.0, False) if "scale" in settings else usual / count ** (2.0 / d)
        matrix = scale * np.eye(d)
    elif "scale" in settings:
        matrix = _values("scale", settings["scale"], (d, d))
        if not np.allclose(matrix, matrix.T, rtol=1e-10) or not np.all(np.linalg.eigvalsh(matrix) > 0.0):
            raise InputError("prior: scale must be a symmetric positive definite matrix")
    else:
        matrix = covariance / count ** (2.0 / d)
    return _prior(structure, frame, shrinkage, mean, dof, matrix)


def _prior(
    structure: Structure, frame: Any, shrinkage: float, mean: np.ndarray, dof: float, matrix: np.ndarray
) -> Prior:
    rows = dof + structure.d + 1.0 if structure.axes != "none" else dof + 2.0
    if structure.name[1] == "I":  # one variance, whose prior is not raised to the power d
        rows, matrix = rows / structure.d, matrix / structure.d
    if structure.name in SHARED:
        rows, matrix = rows / structure.count, matrix / structure.count
    scatter = frame.forward @ matrix @ frame.forward.T
    return Prior(shrinkage, mean, rows + (shrinkage > 0.0), 0.5 * (scatter + scatter.T), frame.log_scale)


def _number(name: str, value: Any, least: float, included: bool) -> float:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)
    if not number or not (value >= least if included else value > least):
        raise InputError(f"prior: {name} must be a number {'of at least' if included else 'above'} {least:g}, got "
                         f"{value!r}")  # fmt: skip
    return float(value)


def _values(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        out = np.asarray(value, float)
    except (TypeError, ValueError):
        raise InputTypeError(f"prior: {name} must be an array of numbers, got {type(value).__name__}") from None
    if out.ndim == 0:
        out = np.broadcast_to(out, shape) if len(shape) == 1 else out.reshape(1, 1)
    if out.shape != shape or not np.isfinite(out).all():
        raise InputError(f"prior: {name} must have shape {shape} and finite values, got shape {out.shape}")
    return np.array(out)


__all__ = [
    "SUPPORTED", "Moments", "Posterior", "Prior", "check_prior", "merged", "moments_of", "prior_from", "prior_of",
    "with_own_prior",
]  # fmt: skip
