"""The modified Bessel functions I0 and I1 as distributions of angles need them, from kappa = 0 to the largest float.

Up to kappa = 20 the ratios r_j = I_j / I_(j-1) come by backward recurrence, which is stable, and I0 by the sum
I0 + 2 (I1 + I2 + ...) = e^kappa, whose terms are positive (Miller's algorithm). Beyond, the asymptotic series in
u = 1 / kappa are replaced by polynomials that interpolate at Chebyshev nodes of 0 <= u <= 1/20; what they leave out
is of size e^-40. Source: Abramowitz & Stegun (1964), 9.6.26, 9.6.34 and 9.7.1.
"""

from __future__ import annotations

from .elementary import log, log1p, scalar

HALF_LOG_2PI = 0.9189385332046727


@scalar
def bessel_rest(u):
    """{log(sqrt(2 pi / u) I0(1/u)) - 1/u} / u for 0 < u <= 1/20: 1/8 + u/16 + ..."""
    p = 3817.4210093067018
    p = p * u - 436.2189383633709
    p = p * u + 66.48455976530083
    p = p * u + 3.8258218524551704
    p = p * u + 1.694912093955346
    p = p * u + 0.5354334188792312
    p = p * u + 0.20958167651301782
    p = p * u + 0.10156242720541149
    p = p * u + 0.06510416690415223
    p = p * u + 0.06249999999969883
    return p * u + 0.12500000000000006


@scalar
def ratio_rest(u):
    """{2 (1 - I1(1/u) / I0(1/u)) / u - 1} / u for 0 < u <= 1/20: 1/4 + u/4 + ..."""
    p = 12540094.976657547
    p = p * u - 2682054.3344748314
    p = p * u + 304012.2792450055
    p = p * u - 16193.29242675152
    p = p * u + 1162.8784315390792
    p = p * u + 73.00042775637348
    p = p * u + 23.29406828629709
    p = p * u + 6.433181578514812
    p = p * u + 2.0957359206743473
    p = p * u + 0.8124998529855105
    p = p * u + 0.39062500034037634
    p = p * u + 0.24999999999969091
    return p * u + 0.25000000000000006


@scalar
def log_bessel_i0(kappa):
    """log I0(kappa) - kappa, kappa > 0."""
    if kappa > 20.0:
        u = 1.0 / kappa
        return u * bessel_rest(u) - 0.5 * log(kappa) - HALF_LOG_2PI
    total = ratio = 0.0
    for i in range(40):
        ratio = kappa / (2.0 * (40.0 - i) + kappa * ratio)
        total = ratio * (1.0 + total)
    return -log1p(2.0 * total)


@scalar
def bessel_ratio(kappa):
    """(A, 1 - A, A') for A = I1 / I0 at kappa > 0; nothing cancels in 1 - A and A' where A is near 1."""
    if kappa > 20.0:
        u = 1.0 / kappa
        d = ratio_rest(u)
        b = 0.5 + 0.5 * u * d  # (1 - A) / u
        return 1.0 - u * b, u * b, u * u * (d + b * (1.0 - b))
    ratio = above = 0.0
    for i in range(40):
        above = ratio
        ratio = kappa / (2.0 * (40.0 - i) + kappa * ratio)
    # A' = 1 - A / kappa - A^2, and A / kappa = (1 - A r_2) / 2
    return ratio, 1.0 - ratio, 0.5 + ratio * (0.5 * above - ratio)


__all__ = ["bessel_ratio", "log_bessel_i0"]
