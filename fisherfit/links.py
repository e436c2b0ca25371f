"""Link functions: g(mu) = eta, with the inverse and its two derivatives computed together.

``inverse(eta) -> (theta, 1 - theta, dtheta/deta, d2theta/deta2)`` is exact in both tails; the complement is
computed, never subtracted. Outside the domain of the link theta is NaN, which the solver reads as "step too long".
Source of the formulas: McCullagh & Nelder (1989), sections 2.2 and 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
from scipy import special as _sp

from .elementary import HUGE, TINY, exp_normal, expm1, scalar, where
from .errors import InputError
from .special import normal_tail, power

__all__ = ["LINKS", "Link", "Power", "get_link"]


@scalar
def identity_inverse(eta):
    return eta, 1.0 - eta, 1.0, 0.0


@scalar
def log_inverse(eta):
    m = where(eta < -708.0, TINY, where(eta > 709.0, HUGE, exp_normal(eta)))
    return m, -expm1(eta), m, m


@scalar
def logit_inverse(eta):
    e = where(abs(eta) > 708.0, TINY, exp_normal(-abs(eta)))
    large = 1.0 / (1.0 + e)
    small = e * large
    p, q = where(eta > 0.0, large, small), where(eta > 0.0, small, large)
    d = small * large
    return p, q, d, d * (q - p)


@scalar
def probit_inverse(eta):
    x = abs(eta)
    tail, d = normal_tail(eta)
    # beyond, p and d would underflow; keep their ratio, the reciprocal of Mills', instead
    far = x > 37.519
    z = where(far, x, 40.0)
    d = where(far, TINY * (z + 1.0 / (z + 2.0 / (z + 3.0 / (z + 4.0 / z)))), d)
    tail = where(far, TINY, tail)
    p, q = where(eta > 0.0, 1.0 - tail, tail), where(eta > 0.0, tail, 1.0 - tail)
    return p, q, d, -eta * d


@scalar
def cloglog_inverse(eta):
    # beyond 230 the information m^2 q would outgrow the floor of q
    m = where(eta < -708.0, TINY, exp_normal(where(eta > 230.0, 230.0, eta)))
    q = where(m > 708.0, TINY, exp_normal(-m))
    d = m * q
    return -expm1(-m), q, d, d * (1.0 - m)


@scalar
def loglog_inverse(eta):
    q, p, d, d2 = cloglog_inverse(-eta)
    return p, q, d, -d2


@scalar
def cauchit_inverse(eta):
    small = math.atan(1.0 / abs(eta)) / math.pi if abs(eta) > 1.0 else 0.5 - math.atan(abs(eta)) / math.pi
    p = 1.0 - small if eta > 0.0 else small
    q = small if eta > 0.0 else 1.0 - small
    d = 1.0 / math.pi / (1.0 + eta * eta)
    return p, q, d, -2.0 * eta * d / (1.0 + eta * eta)


@scalar
def reciprocal_inverse(eta):
    m = 1.0 / where(eta == 0.0, nan, eta)
    return m, 1.0 - m, -m * m, 2.0 * m * m * m


@scalar
def inverse_squared_inverse(eta):
    eta = where(eta > 0.0, eta, nan)
    m = 1.0 / math.sqrt(eta)
    return m, 1.0 - m, -0.5 * m / eta, 0.75 * m / eta / eta


@scalar
def sqrt_inverse(eta):
    eta = where(eta < 0.0, nan, eta)
    return eta * eta, 1.0 - eta * eta, 2.0 * eta, where(eta >= 0.0, 2.0, nan)


#: the inverses that keep within a support, and off the ends where formulas divide, by themselves
WITHIN: dict[str, tuple[Callable[..., Any], ...]] = {
    "positive": (log_inverse,),
    "nonnegative": (log_inverse,),
    "unit": (logit_inverse, probit_inverse, cloglog_inverse, loglog_inverse),
}


class Link:
    """A link function by name, with its vectorised forward map.

    Parameters
    ----------
    name : str
        As users write it.
    inverse : callable
        Scalar formula ``eta -> (theta, 1 - theta, dtheta/deta, d2theta/deta2)``.
    forward : callable
        Vectorised ``theta -> eta``.
    eta_bounds : tuple of float
        The open interval of linear predictors on which the link is defined.
    """

    def __init__(
        self,
        name: str,
        inverse: Callable[..., Any],
        forward: Callable[[Any], Any],
        eta_bounds: tuple[float, float] = (-inf, inf),
    ) -> None:
        self.name = name
        self.inverse = inverse
        self.forward = forward
        self.eta_bounds = eta_bounds

    def __repr__(self) -> str:
        return f"<link {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Link) and (other.name, other.inverse) == (self.name, self.inverse)

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        if LINKS.get(self.name) is self:
            return get_link, (self.name,)
        return Link, (self.name, self.inverse, self.forward, self.eta_bounds)

    def mean(self, eta: Any) -> np.ndarray:
        """The inverse link of an array: theta for every linear predictor."""
        flat = np.asarray(eta, float)
        if LINKS.get(self.name) is not self:
            return np.array([self.inverse(float(e))[0] for e in flat.ravel()]).reshape(flat.shape)
        with np.errstate(all="ignore"):
            return _VECTOR_INVERSE[self.name](flat)

    def slope(self, eta: Any) -> np.ndarray:
        """dtheta/deta for an array of linear predictors."""
        flat = np.asarray(eta, float)
        return np.array([self.inverse(float(e))[2] for e in flat.ravel()]).reshape(flat.shape)


class Power(Link):
    """The power link, eta = theta^k (k = 1 identity, -1 inverse, 1/2 square root).

    Parameters
    ----------
    k : float
        The exponent, not 0 (the limit is the log link).

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.links.Power(2.0).mean([4.0, 9.0])
    array([2., 3.])
    """

    def __init__(self, k: float) -> None:
        if not np.isfinite(k) or k == 0.0:
            raise InputError(f"power link: the exponent must be finite and not 0, got {k!r}; for 0 use link='log'")
        self.k = float(k)
        r = 1.0 / self.k

        def inverse(eta):
            if not eta > 0.0:
                return nan, nan, nan, nan
            m = power(eta, r)
            return m, 1.0 - m, r * (m / eta), r * (r - 1.0) * (m / eta / eta)

        super().__init__(f"power({self.k:g})" if self.k == float(f"{self.k:g}") else f"power({self.k!r})", inverse,
                         lambda theta: np.asarray(theta, float) ** self.k, (0.0, inf))  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Power) and other.k == self.k

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Power, (self.k,)

    def mean(self, eta: Any) -> np.ndarray:
        """The inverse link of an array."""
        eta = np.asarray(eta, float)
        with np.errstate(all="ignore"):
            return np.where(eta > 0.0, np.abs(eta) ** (1.0 / self.k), nan)


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("identity", identity_inverse, lambda t: t),
        Link("log", log_inverse, np.log),
        Link("logit", logit_inverse, _sp.logit),
        Link("probit", probit_inverse, _sp.ndtri),
        Link("cloglog", cloglog_inverse, lambda t: np.log(-np.log1p(-t))),
        Link("loglog", loglog_inverse, lambda t: -np.log(-np.log(t))),
        Link("cauchit", cauchit_inverse, lambda t: np.tan(np.pi * (t - 0.5))),
        Link("inverse", reciprocal_inverse, lambda t: 1.0 / t),
        Link("inverse_squared", inverse_squared_inverse, lambda t: 1.0 / t / t, (0.0, inf)),
        Link("sqrt", sqrt_inverse, np.sqrt, (0.0, inf)),
    )
}

_VECTOR_INVERSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda e: e.copy(),
    "log": np.exp,
    "logit": _sp.expit,
    "probit": _sp.ndtr,
    "cloglog": lambda e: -np.expm1(-np.exp(e)),
    "loglog": lambda e: np.exp(-np.exp(-e)),
    "cauchit": lambda e: np.where(
        e < -1, np.arctan(-1 / np.where(e < -1, e, -1.0)) / np.pi, 0.5 + np.arctan(e) / np.pi
    ),
    "inverse": lambda e: 1.0 / e,
    "inverse_squared": lambda e: np.where(e > 0, 1.0 / np.sqrt(np.abs(e)), nan),
    "sqrt": lambda e: np.where(e >= 0, e * e, nan),
}

#: The links that are defined for a parameter, by where the parameter lives.
LINKS_BY_SUPPORT: dict[str, tuple[str, ...]] = {
    "real": ("identity", "log", "inverse", "sqrt", "inverse_squared", "power(k)"),
    "positive": ("log", "identity", "sqrt", "inverse", "inverse_squared", "power(k)"),
    "nonnegative": ("identity", "log", "sqrt"),
    "unit": ("logit", "probit", "cloglog", "loglog", "cauchit", "log", "identity"),
}

_ALIASES = {"inverse_power": "inverse", "1/mu^2": "inverse_squared", "inverse-squared": "inverse_squared",
            "1/mu": "inverse", "logistic": "logit", "cauchy": "cauchit"}  # fmt: skip


def get_link(link: str | Link) -> Link:
    """The link of a name (``"log"``, ``"power(2)"``, ...) or the link itself.

    Raises
    ------
    InputError
        If there is no such link; the message lists those there are.

    Examples
    --------
    >>> import fisherfit as ff
    >>> ff.links.get_link("logit").mean(0.0)
    np.float64(0.5)
    """
    if isinstance(link, Link):
        return link
    if isinstance(link, str):
        key = _ALIASES.get(link.strip().lower(), link.strip().lower())
        if key in LINKS:
            return LINKS[key]
        if key.startswith("power(") and key.endswith(")"):
            try:
                return Power(float(key[6:-1]))
            except ValueError as error:
                if isinstance(error, InputError):
                    raise
    raise InputError(f"link: {link!r} is not a link; choose one of {', '.join(LINKS)} or power(k), e.g. 'power(2)'")


def check_pair(link: Link, support: str, family: str) -> None:
    """Refuse a link that is not defined for a parameter with this support."""
    allowed = LINKS_BY_SUPPORT[support]
    name = "power(k)" if isinstance(link, Power) else link.name
    if name not in allowed and (link.name in LINKS or isinstance(link, Power)):
        raise InputError(
            f"link: {link.name!r} is not defined for the {family} family; choose one of {', '.join(allowed)}"
        )
