"""The exponential families in their natural form; a term of y alone is left out of all of them."""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, exp, expm1, hypot, log, log1p, sin, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from ..bessel import bessel_ratio, log_bessel_i0
from ..families import (
    Beta,
    Binomial,
    Family,
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    Poisson,
    Tweedie,
    VonMises,
)
from ..families.dispersed import Dispersed
from .declared import declared
from .models import BinomialCount, NormalScale

__all__ = ["Form", "form_of"]

Values = tuple[float, ...]


class Form(NamedTuple):
    """Maps between the parameters of a family (first arguments) and the natural form; None outside the range."""

    natural: Callable[..., Values]
    expectation: Callable[..., Values]
    from_natural: Callable[..., Values | None]
    from_expectation: Callable[..., Values | None]
    log_partition: Callable[..., float]


def form_of(family: Any) -> Form | None:
    """The natural form of a family; None for a family that has none."""
    if isinstance(family, NormalScale):
        return _normal(lambda sigma: sigma * sigma, sqrt)
    if isinstance(family, Dispersed):
        makers: dict[Any, Callable[[], Form]] = {
            Normal: lambda: _normal(float, float), Gamma: _gamma, InverseGaussian: _inverse_gaussian,
        }  # fmt: skip
        maker = makers.get(type(family.of))
        return None if maker is None else maker()
    if isinstance(family, BinomialCount):
        return _binomial(float(family.trials))
    if isinstance(family, Poisson) or (isinstance(family, NegativeBinomial) and family.alpha == 0.0):
        return _of_mean(log, exp, exp, _positive)
    if isinstance(family, NegativeBinomial):
        return None if family.alpha is None else _negative_binomial(family.alpha)
    if isinstance(family, Binomial):
        return _binomial(1.0)
    if isinstance(family, Tweedie):
        return _tweedie(family.power)
    by_type: dict[type[Family], Callable[[], Form]] = {
        Normal: lambda: _of_mean(float, float, lambda t: 0.5 * t * t, lambda m: True),
        Gamma: lambda: _of_mean(lambda m: -1.0 / m, lambda t: -1.0 / t if t < 0.0 else None,
                                lambda t: -log(-t), _positive),
        InverseGaussian: lambda: _of_mean(lambda m: -0.5 / m / m, lambda t: 1.0 / sqrt(-2.0 * t) if t < 0.0 else None,
                                          lambda t: -sqrt(-2.0 * t), _positive),
        Beta: _beta, VonMises: _von_mises,
    }  # fmt: skip
    for kind, made in by_type.items():
        if isinstance(family, kind):
            return made()
    own = declared(family)
    if own is None:
        return None
    return Form(
        lambda *theta: tuple(own.natural(*theta).tolist()),
        lambda *theta: tuple(own.moments(theta)[0].tolist()),
        own.from_natural,
        own.from_expectation,
        lambda *natural: own.at(own.from_natural(*natural) or ()),
    )


def _positive(mean: float) -> bool:
    return mean > 0.0


def _of_mean(
    natural: Callable[[float], float],
    inverse: Callable[[float], float | None],
    log_partition: Callable[[float], float],
    inside: Callable[[float], bool],
) -> Form:
    """T(y) = y, in a family of the mean alone."""

    def from_natural(t: float) -> Values | None:
        mean = inverse(t)
        return None if mean is None else (mean,)

    return Form(lambda m: (natural(m),), lambda m: (m,), from_natural,
                lambda e: (e,) if inside(e) else None, log_partition)  # fmt: skip


def _binomial(m: float) -> Form:
    """T(y) = y, the number of successes (with one trial, 0 or 1)."""
    return Form(
        lambda p: (float(special.logit(p)),),
        lambda p: (m * p,),
        lambda t: (float(special.expit(t)),),
        lambda e: (e / m,) if 0.0 < e < m else None,
        lambda t: m * float(np.logaddexp(0.0, t)),
    )


def _negative_binomial(alpha: float) -> Form:
    return _of_mean(
        lambda m: -log1p(1.0 / (alpha * m)),
        lambda t: 1.0 / (alpha * expm1(-t)) if t < 0.0 else None,
        lambda t: -log(-expm1(t)) / alpha,
        _positive,
    )


def _tweedie(power: float) -> Form:
    r = 1.0 - power

    def mean(t: float) -> float | None:
        return (r * t) ** (1.0 / r) if t < 0.0 else None

    return _of_mean(lambda m: m**r / r, mean, lambda t: (r * t) ** ((2.0 - power) / r) / (2.0 - power), _positive)


def _normal(phi_of: Callable[[float], float], of_phi: Callable[[float], float]) -> Form:
    """T(y) = (y, y^2); the second parameter is phi, or sigma."""

    def natural(mu: float, second: float) -> Values:
        phi = phi_of(second)
        return mu / phi, -0.5 / phi

    def from_natural(s: float, t: float) -> Values | None:
        return (-0.5 * s / t, of_phi(-0.5 / t)) if t < 0.0 else None

    def from_expectation(e: float, f: float) -> Values | None:
        return (e, of_phi(f - e * e)) if f > e * e else None

    return Form(natural, lambda mu, second: (mu, mu * mu + phi_of(second)), from_natural, from_expectation,
                lambda s, t: -0.25 * s * s / t - 0.5 * log(-2.0 * t))  # fmt: skip


def _gamma() -> Form:
    """T(y) = (log y, y) against dy / y: theta = (a, -a / mu), a the shape 1 / phi."""

    def from_natural(a: float, t: float) -> Values | None:
        return (-a / t, 1.0 / a) if a > 0.0 and t < 0.0 else None

    def expectation(mu: float, phi: float) -> Values:
        return float(special.digamma(1.0 / phi)) + log(mu * phi), mu

    def from_expectation(e: float, mu: float) -> Values | None:
        if not (mu > 0.0 and log(mu) > e):
            return None
        s = log(mu) - e  # log a - digamma(a)
        a = (3.0 - s + sqrt((s - 3.0) ** 2 + 24.0 * s)) / (12.0 * s)  # Minka (2002)
        for _ in range(60):
            gap = log(a) - float(special.digamma(a)) - s
            step = gap / (a * (1.0 / a - float(special.polygamma(1, a))))  # in log a
            a *= exp(-max(-2.0, min(2.0, step)))
            if abs(step) < 1e-15:
                break
        return mu, 1.0 / a

    return Form(lambda mu, phi: (1.0 / phi, -1.0 / phi / mu), expectation, from_natural, from_expectation,
                lambda a, t: float(special.gammaln(a)) - a * log(-t))  # fmt: skip


def _inverse_gaussian() -> Form:
    """T(y) = (y, 1 / y): theta = (-1 / (2 phi mu^2), -1 / (2 phi))."""

    def from_natural(s: float, t: float) -> Values | None:
        return (sqrt(t / s), -0.5 / t) if s < 0.0 and t < 0.0 else None

    def from_expectation(mu: float, f: float) -> Values | None:
        return (mu, f - 1.0 / mu) if mu > 0.0 and f * mu > 1.0 else None

    return Form(
        lambda mu, phi: (-0.5 / phi / mu / mu, -0.5 / phi),
        lambda mu, phi: (mu, 1.0 / mu + phi),
        from_natural,
        from_expectation,
        lambda s, t: -2.0 * sqrt(s * t) - 0.5 * log(-2.0 * t),
    )


def _beta() -> Form:
    """T(y) = (log y, log(1 - y)) against dy / {y (1 - y)}: theta = (mu phi, (1 - mu) phi)."""

    def expectation(mu: float, phi: float) -> Values:
        whole = float(special.digamma(phi))
        return float(special.digamma(mu * phi)) - whole, float(special.digamma((1.0 - mu) * phi)) - whole

    def from_natural(a: float, b: float) -> Values | None:
        return (a / (a + b), a + b) if a > 0.0 and b > 0.0 else None

    def from_expectation(e: float, f: float) -> Values | None:
        if not (e < 0.0 and f < 0.0 and exp(e) + exp(f) < 1.0):
            return None
        rest = 2.0 * (1.0 - exp(e) - exp(f))
        x = np.array([0.5 + exp(e) / rest, 0.5 + exp(f) / rest])  # Johnson, Kotz & Balakrishnan (1995), chapter 25
        for _ in range(100):
            total = special.digamma(x.sum())
            gap = np.array([e, f]) - special.digamma(x) + total
            slope = np.diag(special.polygamma(1, x)) - special.polygamma(1, x.sum())
            step = np.linalg.solve(slope, gap)
            step *= min(1.0, 0.9 / max(1e-300, float((-step / x).max())))  # stays positive
            x = x + step
            if np.abs(step / x).max() < 1e-15:
                break
        return float(x[0] / x.sum()), float(x.sum())

    return Form(lambda mu, phi: (mu * phi, (1.0 - mu) * phi), expectation, from_natural, from_expectation,
                lambda a, b: float(special.betaln(a, b)))  # fmt: skip


def _von_mises() -> Form:
    """T(y) = (cos y, sin y): theta = kappa (cos mu, sin mu)."""

    def expectation(mu: float, kappa: float) -> Values:
        length = float(bessel_ratio(kappa)[0])
        return length * cos(mu), length * sin(mu)

    def from_natural(s: float, t: float) -> Values | None:
        return (atan2(t, s), hypot(s, t)) if s or t else None

    def from_expectation(e: float, f: float) -> Values | None:
        length = hypot(e, f)
        if not 0.0 < length < 1.0:
            return None
        kappa = length * (2.0 - length * length) / (1.0 - length * length)  # Banerjee, Dhillon, Ghosh & Sra (2005)
        for _ in range(60):
            ratio, rest, slope = bessel_ratio(kappa)
            gap = (1.0 - length) - rest if length > 0.5 else ratio - length
            step = gap / (kappa * slope)  # in log kappa
            kappa *= exp(-max(-1.0, min(1.0, step)))
            if abs(step) < 1e-15:
                break
        return atan2(f, e), float(kappa)

    return Form(lambda mu, kappa: (kappa * cos(mu), kappa * sin(mu)), expectation, from_natural, from_expectation,
                lambda s, t: hypot(s, t) + float(log_bessel_i0(hypot(s, t))) if s or t else 0.0)  # fmt: skip
