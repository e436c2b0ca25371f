"""Exponential families: natural and expectation parameters, the maps between them, the log-partition function.

log f(y) = theta'T(y) - A(theta) + a term of y alone. The expectation parameters are eta = E T(y) = grad A(theta). In
natural parameters the Fisher information is the Hessian of A, in expectation parameters its inverse. Sources: Amari
(2016), Information Geometry and Its Applications, section 2.1; Nielsen & Garcia (2009), Statistical exponential
families: a digest with flash cards, arXiv:0911.4863.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._jit import is_own
from ..errors import InputError
from ..families import Family, get_family
from .distribution import Distribution, as_distribution, of
from .forms import Form, form_of

__all__ = ["expectation_parameters", "from_expectation", "from_natural", "log_partition", "natural_parameters"]

Array = np.ndarray


def natural_parameters(family: Any, theta: Any = None) -> Array:
    """Natural parameters of a member of an exponential family.

    They are those of T(y) = y for the families of a mean alone; of (y, y^2) for the normal, (log y, y) for the gamma,
    (y, 1 / y) for the inverse Gaussian with their dispersion; of (log y, log(1 - y)) for the beta and (cos y, sin y)
    for the von Mises family. A family of one's own declares them, by formulas ``natural(*theta)`` and
    ``sufficient(y)`` that return as many numbers as it has parameters; the other maps are then found numerically.

    Parameters
    ----------
    family : Distribution, or family
        The distribution, or its family.
    theta : mapping or sequence, optional
        The parameters, where a family is given.

    Returns
    -------
    array of shape (K,)

    Raises
    ------
    InputError
        For a family that is not exponential in its parameters (Student t, negative binomial with alpha), or that
        declares what its log-density is not.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.natural_parameters("normal", {"mu": 3.0, "sigma": 2.0})
    array([ 0.75 , -0.125])
    """
    p = as_distribution(family, theta)
    return np.array(_form(p.family).natural(*p.theta))


def expectation_parameters(family: Any, theta: Any = None) -> Array:
    """Expectation parameters E T(y) of a member of an exponential family; for T see `natural_parameters`.

    Parameters
    ----------
    family : Distribution, or family
        The distribution, or its family.
    theta : mapping or sequence, optional
        The parameters, where a family is given.

    Returns
    -------
    array of shape (K,)

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.expectation_parameters("normal", {"mu": 3.0, "sigma": 2.0})
    array([ 3., 13.])
    """
    p = as_distribution(family, theta)
    return np.array(_form(p.family).expectation(*p.theta))


def from_natural(family: Any, natural: Any) -> Distribution:
    """The member of an exponential family with these natural parameters.

    Parameters
    ----------
    family : str, Family or type
        Two numbers for a family of a mean alone choose it with its dispersion.
    natural : sequence of float
        The natural parameters.

    Returns
    -------
    Distribution

    Raises
    ------
    InputError
        Outside the natural parameter space.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.from_natural("normal", [0.75, -0.125])
    Distribution(Normal().with_dispersion(), mu=3, phi=4)
    """
    found, values = _sized(family, natural, "natural")
    return of(found, _inside(found, values))


def from_expectation(family: Any, expectation: Any) -> Distribution:
    """The member of an exponential family with these expectation parameters: the fit to observed means of T(y).

    Parameters
    ----------
    family
        As for `from_natural`.
    expectation : sequence of float
        The means of T(y).

    Returns
    -------
    Distribution

    Raises
    ------
    InputError
        Where no member has these means.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.from_expectation("normal", [3.0, 13.0])
    Distribution(Normal().with_dispersion(), mu=3, phi=4)
    """
    found, values = _sized(family, expectation, "expectation")
    theta = _form(found).from_expectation(*values)
    if theta is None:
        raise InputError(f"expectation: no member of the {found.name} family has the means {_shown(values)}")
    return of(found, theta)


def log_partition(family: Any, natural: Any) -> float:
    """The log-partition function A at natural parameters; of a declared family up to a constant.

    Parameters
    ----------
    family, natural
        As for `from_natural`.

    Returns
    -------
    float

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.geometry.log_partition("poisson", [0.0])
    1.0
    """
    found, values = _sized(family, natural, "natural")
    _inside(found, values)
    return float(_form(found).log_partition(*values))


def _inside(family: Family, values: list[float]) -> tuple[float, ...]:
    """The parameters of natural ones; an error outside their space."""
    theta = _form(family).from_natural(*values)
    if theta is None:
        raise InputError(f"natural: {_shown(values)} lies outside the natural parameters of the {family.name} family")
    return theta


def _form(family: Family) -> Form:
    form = form_of(family)
    if form is None:
        more = "" if is_own(type(family)) else "; where it is exponential, declare natural(*theta) and sufficient(y)"
        raise InputError(
            f"the {family.name} family has no natural parameters that are known for all its parameters{more}"
        )
    return form


def _sized(family: Any, values: Any, name: str) -> tuple[Family, list[float]]:
    found = get_family(family)
    array = np.atleast_1d(np.asarray(values, float))
    if getattr(found, "has_dispersion", False) and array.size == 2:
        found = found.with_dispersion()  # type: ignore[attr-defined]
    if array.shape != (len(found.parameters),) or not np.isfinite(array).all():
        raise InputError(
            f"{name}: the {found.name} family needs {len(found.parameters)} finite numbers, got {values!r}"
        )
    return found, array.tolist()


def _shown(values: list[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)
