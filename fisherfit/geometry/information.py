"""The Fisher information of a family as a metric: in any parametrisation, by closed form or by integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from ..families import Family, NegativeBinomial
from ..families.differences import tupled
from ..families.negative_binomial import expected_alpha_row
from ..families.numerics import differentiate
from ..links import check_pair, get_link
from .distribution import Distribution, as_distribution, of
from .natural import expectation_parameters, natural_parameters
from .quadrature import integrate
from .regions import subject_of

__all__ = ["fisher_by_integral", "fisher_information", "information", "jacobian", "second_order"]

Array = np.ndarray
Map = Callable[[Array], Any]


def fisher_information(family: Any, theta: Any = None, parametrisation: Any = None) -> Array:
    """The expected Fisher information of one observation, in any parametrisation.

    By the family's formula; where it gives none, the covariance of the score by integration. In coordinates
    c = g(theta), F_c = J^-T F J^-1, J the Jacobian of g.

    Parameters
    ----------
    family : Distribution, or family
        The distribution, or its family.
    theta : mapping or sequence, optional
        The parameters of the family, where a family is given: always its own, whatever the parametrisation.
    parametrisation : mapping, str or callable, optional
        The coordinates: a link by name for some parameters, ``{"sigma": "log"}``; ``"natural"`` or ``"expectation"``
        parameters of an exponential family; or a differentiable map from the array of the family's parameters to as
        many coordinates, whose Jacobian is taken by differences. By default the family's own parameters.

    Returns
    -------
    array of shape (K, K)

    Raises
    ------
    InputError
        For a link that is not defined there, or a map that is not invertible there.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.fisher_information("normal", {"mu": 0.0, "sigma": 2.0})
    array([[0.25, 0.  ],
           [0.  , 0.5 ]])
    >>> ff.geometry.fisher_information("normal", {"mu": 0.0, "sigma": 2.0}, {"sigma": "log"})
    array([[0.25, 0.  ],
           [0.  , 2.  ]])
    """
    p = as_distribution(family, theta)
    own = information(p.family, p.theta)
    if parametrisation is None:
        return own
    j = _jacobian_of(p, parametrisation)
    if not np.isfinite(j).all() or np.linalg.cond(j) > 1e14:
        raise InputError(f"parametrisation: the coordinates have no invertible Jacobian at {p!r}")
    half = np.linalg.solve(j.T, own)
    out = np.linalg.solve(j.T, half.T)
    return np.asarray(0.5 * (out + out.T))


def second_order(family: Any, theta: Any, d: Any, parametrisation: Any = None) -> float:
    """1/2 d'Fd: the Kullback-Leibler divergence over a small step d, to second order, in either direction.

    Parameters
    ----------
    family : family, or Distribution
        The family; a Distribution with ``theta=None``.
    theta : mapping or sequence, or None
        The parameters of the family.
    d : sequence of float
        The step, in the coordinates of the parametrisation.
    parametrisation : mapping, str or callable, optional
        See `fisher_information`.

    Returns
    -------
    float

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.second_order("poisson", [4.0], [0.1])
    0.00125...
    """
    f = fisher_information(family, theta, parametrisation)
    step = np.atleast_1d(np.asarray(d, float))
    if step.shape != (f.shape[0],) or not np.isfinite(step).all():
        raise InputError(f"d: expected {f.shape[0]} finite numbers, got {d!r}")
    return float(0.5 * step @ f @ step)


def information(family: Family, theta: tuple[float, ...]) -> Array:
    """The information in the family's own parameters."""
    subject = subject_of(family)
    if "fisher" in subject.given:
        out = symmetric(subject.formula("fisher", 0.0, theta), len(theta))
    elif isinstance(family, NegativeBinomial) and family.alpha is None:
        mu, alpha = theta
        second = expected_alpha_row(mu, alpha) if alpha > 0.0 else 0.5 * mu * mu
        out = np.diag([1.0 / mu / (1.0 + alpha * mu), second])
    else:
        out = fisher_by_integral(of(family, theta))
    if not np.isfinite(out).all():
        raise InputError(f"the {family.name} family has no finite information at {of(family, theta)!r}")
    return out


def fisher_by_integral(p: Distribution, tolerance: float = 1e-13) -> Array:
    """The covariance of the score, by integration; the score by differences where the family gives none."""
    subject, size = subject_of(p.family), len(p.theta)
    score, arguments = tupled(p.family.formulas().score), subject.arguments(p.theta)
    rows, columns = np.triu_indices(size)

    def at(y: float) -> tuple[float, ...]:
        try:
            return tuple(score(y, arguments))
        except (ArithmeticError, ValueError):
            return (np.nan,) * size

    def integrand(y: Array, logs: list[Array]) -> Array:
        f = np.exp(logs[0])
        s = np.zeros((size, y.size))
        counts = f > 0.0
        if counts.any():
            s[:, counts] = np.array([at(v) for v in y[counts].tolist()]).T
        return np.concatenate([s[rows] * s[columns] * f, s * f, f[None]])

    value = integrate([p], integrand, tolerance=tolerance).value
    mass = float(value[-1])
    if not abs(mass - 1.0) < 1e-6:
        raise InputError(f"the {p.family.name} density integrates to {mass:.6g}, not to 1; see fisherfit.check_family")
    return symmetric(value[: rows.size], size)


def symmetric(triangle: Any, size: int) -> Array:
    """A matrix from its upper triangle by rows."""
    out = np.zeros((size, size))
    out[np.triu_indices(size)] = triangle
    return np.asarray(out + np.triu(out, 1).T)


def jacobian(function: Map, p: Distribution) -> Array:
    """The Jacobian of a map of the parameters, by differences of eighth order."""
    subject, theta = subject_of(p.family), p.theta
    at_theta = np.atleast_1d(np.asarray(function(np.array(theta)), float))
    if at_theta.ndim != 1 or at_theta.size != len(theta):
        raise InputError(f"parametrisation: the map must return {len(theta)} numbers, got shape {at_theta.shape}")
    out = np.empty((len(theta), len(theta)))
    for i in range(len(theta)):
        for k in range(len(theta)):

            def component(t: float, i: int = i, k: int = k) -> float:
                moved = np.array([*theta[:k], t, *theta[k + 1 :]])
                return float(np.atleast_1d(np.asarray(function(moved), float))[i])

            out[i, k] = differentiate(component, theta[k], subject.reach(theta, k))[0]
    return out


def _jacobian_of(p: Distribution, parametrisation: Any) -> Array:
    names = list(p.family.parameters)
    if isinstance(parametrisation, Mapping):
        slopes = np.ones(len(names))
        for name, given in parametrisation.items():
            if name not in names:
                raise InputError(f"parametrisation: {name!r} is no parameter of {p!r}; it has {', '.join(names)}")
            link, k = get_link(given), names.index(name)
            check_pair(link, p.family.parameters[name], p.family.name)
            with np.errstate(all="ignore"):
                slopes[k] = 1.0 / float(link.slope(float(link.forward(p.theta[k]))))
        return np.diag(slopes)
    if isinstance(parametrisation, str):
        maps: dict[str, Map] = {
            "natural": lambda t: natural_parameters(of(p.family, t.tolist())),
            "expectation": lambda t: expectation_parameters(of(p.family, t.tolist())),
        }
        if parametrisation not in maps:
            raise InputError(
                f"parametrisation: {parametrisation!r} is not known; choose 'natural', 'expectation', links by name "
                "such as {'sigma': 'log'}, or a function of the parameters"
            )
        return jacobian(maps[parametrisation], p)
    if not callable(parametrisation):
        raise InputTypeError(
            f"parametrisation: expected links by name, a word or a function, got {type(parametrisation).__name__}"
        )
    return jacobian(parametrisation, p)
