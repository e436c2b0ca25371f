"""log Gamma with its derivatives, by Stirling's correction d(x) = lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2.

With s = 1 / x^2, x d(x) is a Stieltjes function of s (Binet's second formula): a ratio of polynomials with positive
coefficients, here of degree 7, gives it to rounding for all x >= 2, and so for the two derivatives. Smaller x are
shifted by 2 with the recurrence of Gamma. No loop and no branch, so that rows run as vectors. The ratios interpolate at
Chebyshev nodes of 0 <= s <= 1/4; the recurrence is Abramowitz & Stegun (1964), 6.1.15.
"""

from __future__ import annotations

from .elementary import log, log1p, scalar, where

HALF_LOG_2PI = 0.9189385332046727


@scalar
def stirling_ratio(s):
    """x d(x), s = 1 / x^2 <= 1/4: 1/12 - s/360 + s^2/1260 - ..."""
    p = 1.0049194602692078
    p = p * s + 11.128480807233487
    p = p * s + 29.235288068577837
    p = p * s + 27.404262320369554
    p = p * s + 10.484764173975087
    p = p * s + 1.631001338309348
    p = p * s + 0.08333333333333333
    q = 0.10240682809930543
    q = q * s + 14.867977793481394
    q = q * s + 143.12786105253466
    q = q * s + 360.8452335811004
    q = q * s + 332.8869450185745
    q = q * s + 126.4611579246167
    q = q * s + 19.605349393045493
    q = q * s + 1.0
    return p / q


@scalar
def stirling_slope(s):
    """-x^2 d'(x), s = 1 / x^2 <= 1/4: 1/12 - s/120 + ..."""
    p = 6.973555794091907
    p = p * s + 78.99183837689264
    p = p * s + 222.5699017243699
    p = p * s + 237.98575600919366
    p = p * s + 112.86257549780659
    p = p * s + 24.873828962211753
    p = p * s + 2.433195190053264
    p = p * s + 0.08333333333333333
    q = 1.7929879431899123
    q = q * s + 135.02064570719907
    q = q * s + 1145.692690099094
    q = q * s + 2915.7495689087946
    q = q * s + 2981.166471606745
    q = q * s + 1383.1425630895417
    q = q * s + 301.36816272698974
    q = q * s + 29.298342280639154
    q = q * s + 1.0
    return p / q


@scalar
def stirling_curvature(s):
    """x^3 d''(x), s = 1 / x^2 <= 1/4: 1/6 - s/30 + ..."""
    p = 28.732334066997478
    p = p * s + 289.6888367090239
    p = p * s + 725.9023097260183
    p = p * s + 694.1692086018365
    p = p * s + 296.5407255323962
    p = p * s + 59.294181128471564
    p = p * s + 5.297241228051963
    p = p * s + 0.16666666666666666
    q = 6.941287998028694
    q = q * s + 348.2549648009368
    q = q * s + 2353.0946333420825
    q = q * s + 5048.640596648782
    q = q * s + 4488.696222294259
    q = q * s + 1847.2790730997058
    q = q * s + 362.01891910166694
    q = q * s + 31.983447368311694
    q = q * s + 1.0
    return p / q


@scalar
def reciprocal_curvature(s):
    """x e''(1 / x), e(a) = d(1 / a), s = 1 / x^2 <= 1/4: -1/60 + s/63 - ..."""
    p = 0.327395427817643
    p = p * s - 91.61577232264196
    p = p * s - 400.02483247097723
    p = p * s - 537.905590602014
    p = p * s - 308.56429237912533
    p = p * s - 84.9046717015614
    p = p * s - 11.51355377028092
    p = p * s - 0.7261826489327777
    p = p * s - 0.01666666666666666
    q = 3143.6128239253053
    q = q * s + 21828.57560816265
    q = q * s + 48827.87982855787
    q = q * s + 47764.18725634207
    q = q * s + 23020.772628389936
    q = q * s + 5728.004424431247
    q = q * s + 731.7164070634184
    q = q * s + 44.52333988834643
    q = q * s + 1.0
    return p / q


@scalar
def stirling(x):
    """Stirling's correction d(x) with d' and d''; x > 0."""
    below = x < 2.0
    z = where(below, x + 2.0, x)
    a = 1.0 / z
    s = a * a
    d, d1, d2 = a * stirling_ratio(s), -s * stirling_slope(s), a * s * stirling_curvature(s)
    r, t = 1.0 / where(below, x, 2.0), 1.0 / (x + 1.0)
    two_steps = log1p(2.0 * r)
    step = (x + 0.5) * two_steps + (log1p(t) - 2.0)
    step1 = two_steps - (0.5 * (r + a) + t)
    step2 = 0.5 * (r * r + s) + (t * t - (r - a))
    return d + where(below, step, 0.0), d1 + where(below, step1, 0.0), d2 + where(below, step2, 0.0)


@scalar
def stirling_of_reciprocal(a):
    """Stirling's correction as a function of a = 1 / x >= 0: e(a) = d(1 / a) = a/12 - a^3/360 + ..., and e', e''."""
    above = a > 0.5
    t = where(above, a / (1.0 + 2.0 * a), a)  # there 1 / (x + 2)
    s = t * t
    e, e1 = t * stirling_ratio(s), stirling_slope(s)
    x, c = 1.0 / where(above, a, 1.0), a / (1.0 + a)
    two_steps = log1p(2.0 * a)
    d = e + ((x + 0.5) * two_steps + (log1p(c) - 2.0))
    d1 = (two_steps - (0.5 * (a + t) + c)) - s * e1
    d2 = t * s * stirling_curvature(s) + (0.5 * (a * a + s) + (c * c - (a - t)))
    return (
        where(above, d, e),
        where(above, -x * x * d1, e1),
        where(above, x * x * x * (x * d2 + 2.0 * d1), t * reciprocal_curvature(where(above, 0.0, s))),
    )


@scalar
def stirling_value(x):
    """Stirling's correction alone, where the code around it runs one number at a time and a branch is cheap."""
    if x >= 2.0:
        a = 1.0 / x
        return a * stirling_ratio(a * a)
    return stirling(x)[0]


@scalar
def log_gamma(x):
    """log Gamma(x), x > 0."""
    below = x < 2.0
    z = where(below, x + 2.0, x)
    a = 1.0 / z
    value = (z - 0.5) * (log(z) - 1.0) + (HALF_LOG_2PI - 0.5 + a * stirling_ratio(a * a))
    return value - where(below, log(x * (x + 1.0)), 0.0)


@scalar
def digamma(x):
    """The derivative of log Gamma, x > 0."""
    below = x < 2.0
    a = 1.0 / where(below, x + 2.0, x)
    value = -log(a) - a * (0.5 + a * stirling_slope(a * a))
    return value - where(below, 1.0 / x + 1.0 / (x + 1.0), 0.0)


@scalar
def trigamma(x):
    """The second derivative of log Gamma, x > 0."""
    below = x < 2.0
    a = 1.0 / where(below, x + 2.0, x)
    r, t = 1.0 / x, 1.0 / (x + 1.0)
    value = a + a * a * (0.5 + a * stirling_curvature(a * a))
    return value + where(below, r * r + t * t, 0.0)


@scalar
def log_count_base(y):
    """log of the Poisson density at its mode mu = y: y log y - y - log y!, for real y >= 0."""
    below = y < 2.0
    z = where(below, y + 2.0, y)
    a = 1.0 / z
    d = a * stirling_ratio(a * a)
    logs = 0.5 * log(where(below, z * z * z / ((y + 1.0) * (y + 1.0)), z))
    # log y! by the recurrence from log (y + 2)!, with the logarithms taken together so that little cancels
    ratio = z / where(y > 1e-300, where(below, y, z), z)
    value = where(below, 2.0 - y * log(ratio), 0.0) - HALF_LOG_2PI - (logs + d)
    return where(y == 0.0, 0.0, value)
