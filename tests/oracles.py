"""Links and distributions in mpmath, from the textbook formulas: what the scalar formulas are tested against."""

from __future__ import annotations

import math

import mpmath as mp

EPS = 2.0**-52
DIGITS = 50


def ulps(value, true, unit=None):
    """The error of a float in units in the last place of `unit` (by default of the true value)."""
    size = abs(float(true)) if unit is None else float(unit)
    return float(abs(mp.mpf(value) - true)) / math.ulp(max(size, 2.0**-1022))


# links: eta -> (theta, 1 - theta, dtheta/deta, d2theta/deta2)


def link(name, eta):
    """The inverse of a link with its complement and two derivatives, to DIGITS digits."""
    with mp.workdps(DIGITS):
        return tuple(+mp.mpf(v) for v in _link(name, mp.mpf(eta)))


def _link(name, e):
    if name == "identity":
        return e, 1 - e, 1, 0
    if name == "log":
        return mp.exp(e), -mp.expm1(e), mp.exp(e), mp.exp(e)
    if name == "logit":
        p, q = 1 / (1 + mp.exp(-e)), 1 / (1 + mp.exp(e))
        return p, q, p * q, p * q * (q - p)
    if name == "probit":
        return mp.ncdf(e), mp.ncdf(-e), mp.npdf(e), -e * mp.npdf(e)
    if name == "cloglog":
        m = mp.exp(e)
        q = mp.exp(-m) if e < 60 else mp.mpf(0)
        return -mp.expm1(-m) if e < 60 else mp.mpf(1), q, m * q, m * q * (1 - m)
    if name == "loglog":
        q, p, d, d2 = _link("cloglog", -e)
        return p, q, d, -d2
    if name == "cauchit":
        d = 1 / mp.pi / (1 + e * e)
        return mp.atan2(1, -e) / mp.pi, mp.atan2(1, e) / mp.pi, d, -2 * e * d / (1 + e * e)
    if name == "sqrt":
        return e * e, 1 - e * e, 2 * e, 2
    k = {"inverse": mp.mpf(-1), "inverse_squared": mp.mpf(-2)}.get(name) or mp.mpf(float(name[6:-1]))
    m = 1 / e if k == -1 else e ** (1 / k)
    return m, 1 - m, m / e / k, m / e / e / k * (1 / k - 1)


#: families that are others with a constant
SAME = {"bernoulli": "binomial", "exponential": "gamma"}


# families: log f = kernel(y, theta) / phi + rest(y, phi); a unit parameter is (p, q), alpha and power are constants


def kernel(name, y, theta, constants=()):
    """The part of a log-density that depends on the mean, times phi."""
    name = SAME.get(name, name)
    y, m = mp.mpf(y), mp.mpf(theta[0])
    if name == "normal":
        return y * m - m * m / 2
    if name == "binomial":
        p, q = theta
        return y * mp.log(p) + (1 - y) * mp.log(q)
    if name == "poisson":
        return y * mp.log(m) - m
    if name == "gamma":
        return -y / m - mp.log(m)
    if name == "inverse_gaussian":
        return -y / (2 * m * m) + 1 / m
    if name in ("negative_binomial", "geometric"):
        a = mp.mpf((*theta, *constants)[1])
        if a == 0:
            return y * mp.log(m) - m
        return y * mp.log(m / (1 + a * m)) - mp.log1p(a * m) / a
    if name == "tweedie":
        p = mp.mpf(constants[0])
        return y * m ** (1 - p) / (1 - p) - m ** (2 - p) / (2 - p)
    if name in ("student_t", "beta", "von_mises"):
        return two_parameters(name, y, tuple(map(mp.mpf, (*theta, *constants))))
    raise KeyError(name)


def two_parameters(name, y, theta):
    """Complete log-densities of two parameters; (p, q) counts as one."""
    if name == "student_t":
        m, s, df = theta
        constant = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2 - mp.log(s)
        return constant - (df + 1) / 2 * mp.log1p(((y - m) / s) ** 2 / df)
    if name == "beta":
        p, q, phi = theta
        a, b = p * phi, q * phi
        constant = mp.loggamma(phi) - mp.loggamma(a) - mp.loggamma(b)
        return constant + (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y)
    m, kappa = theta
    return kappa * mp.cos(y - m) - mp.log(2 * mp.pi * mp.besseli(0, kappa))


def rest(name, y, phi, constants=()):
    """The part of a log-density that is free of the mean."""
    name = SAME.get(name, name)
    y, phi = mp.mpf(y), mp.mpf(phi)
    if name == "normal":
        return -y * y / (2 * phi) - mp.log(2 * mp.pi * phi) / 2
    if name == "binomial":
        m = mp.nint(1 / phi)
        s = mp.nint(y * m)
        return mp.loggamma(m + 1) - mp.loggamma(s + 1) - mp.loggamma(m - s + 1)
    if name == "poisson":
        return -mp.loggamma(y + 1)
    if name == "gamma":
        return mp.log(y / phi) / phi - mp.log(y) - mp.loggamma(1 / phi)
    if name == "inverse_gaussian":
        return -1 / (2 * y * phi) - mp.log(2 * mp.pi * phi * y**3) / 2
    if name in ("negative_binomial", "geometric"):
        a = mp.mpf(constants[0])
        if a == 0:
            return -mp.loggamma(y + 1)
        return mp.loggamma(y + 1 / a) - mp.loggamma(1 / a) - mp.loggamma(y + 1) + y * mp.log(a)
    if name == "tweedie":
        return tweedie_series(y, phi, mp.mpf(constants[0]))[0]
    raise KeyError(name)


def tweedie_series(y, phi, p):
    """log sum_j W_j - log y with two derivatives in phi, summed term by term (Dunn & Smyth, 2005, eq. 1)."""
    if y == 0:
        return mp.mpf(0), mp.mpf(0), mp.mpf(0)
    y, phi, p = mp.mpf(y), mp.mpf(phi), mp.mpf(p)
    k = (2 - p) / (p - 1)
    z = k * mp.log(y / (p - 1)) - (1 + k) * mp.log(phi) - mp.log(2 - p)
    mode = max(1, int(mp.nint(y ** (2 - p) / (phi * (2 - p)))))
    top = mode * z - mp.loggamma(mode + 1) - mp.loggamma(mode * k)
    sums = [mp.mpf(0)] * 3
    for step in (1, -1):
        j = mode if step == 1 else mode - 1
        while j >= 1:
            w = mp.exp(j * z - mp.loggamma(j + 1) - mp.loggamma(j * k) - top)
            sums = [s + w * mp.mpf(j - mode) ** i for i, s in enumerate(sums)]
            if w < sums[0] * mp.mpf(10) ** -25:
                break
            j += step
    mean = sums[1] / sums[0]
    spread = sums[2] / sums[0] - mean * mean
    jumps = (1 + k) * (mode + mean)
    return (
        top + mp.log(sums[0]) - mp.log(y),
        -jumps / phi,
        (jumps + (1 + k) ** 2 * spread) / phi**2,
    )


def log_density(name, y, theta, phi=1, constants=()):
    """The complete log-density."""
    if name in ("negative_binomial", "geometric") and len(theta) == 2:
        theta, constants = theta[:1], theta[1:]
    with mp.workdps(DIGITS):
        return +(kernel(name, y, theta, constants) / mp.mpf(phi) + rest(name, y, phi, constants))


def derivatives(name, y, theta, constants=()):
    """First and second derivative of `kernel` in the mean, by differences at three times the digits."""
    name = SAME.get(name, name)
    small = min(float(abs(t)) for t in theta[:2]) if name == "binomial" else 1.0
    with mp.workdps(3 * DIGITS - int(math.log10(small))):  # 1 - p keeps its digits
        m, others = mp.mpf(theta[0]), tuple(theta[1:])
        if name == "binomial":
            q = mp.mpf(theta[1])
            m = 1 - q if q < m else m

            def f(t):
                return kernel(name, y, (t, 1 - t))
        else:

            def f(t):
                return kernel(name, y, (t, *others), constants)

        h = min(m, 1 - m) if name == "binomial" else (abs(m) or mp.mpf(1))
        h *= mp.mpf(10) ** -DIGITS
        up, at, down = f(m + h), f(m), f(m - h)
        return (up - down) / (2 * h), (up - 2 * at + down) / h**2


def score_and_information(name, y, theta, constants=()):
    """Score, observed and expected information of the mean, as the books have them: (y - mu) / V, ..., 1 / V."""
    name = SAME.get(name, name)
    if name == "binomial":
        p, q = theta
        return y / p - (1 - y) / q, y / p**2 + (1 - y) / q**2, 1 / p / q
    if name in ("student_t", "beta", "von_mises"):
        return first_of_two(name, mp.mpf(y), tuple(map(mp.mpf, (*theta, *constants))))
    (m, *_), y = theta, mp.mpf(y)
    a = mp.mpf(constants[0]) if constants else mp.mpf(0)
    v, slope = {
        "normal": (mp.mpf(1), 0),
        "poisson": (m, 1),
        "gamma": (m**2, 2 * m),
        "inverse_gaussian": (m**3, 3 * m**2),
        "negative_binomial": (m + a * m**2, 1 + 2 * a * m),
        "geometric": (m + m**2, 1 + 2 * m),
        "tweedie": (m**a, a * m ** (a - 1)) if a and m > 0 else (mp.mpf(1), 0),
    }[name]
    return (y - m) / v, (v + (y - m) * slope) / v**2, 1 / v


def first_of_two(name, y, theta):
    """Score, observed and expected information of the first of two parameters."""
    if name == "student_t":
        m, s, df = theta
        d, c = y - m, df * s * s
        total = c + d * d
        return (df + 1) * d / total, (df + 1) * (c - d * d) / total**2, (df + 1) / (df + 3) / s**2
    if name == "beta":
        p, q, phi = theta
        information = phi**2 * (mp.psi(1, p * phi) + mp.psi(1, q * phi))
        mean = mp.psi(0, p * phi) - mp.psi(0, q * phi)
        return phi * (mp.log(y) - mp.log(1 - y) - mean), information, information
    m, kappa = theta
    ratio = mp.besseli(1, kappa) / mp.besseli(0, kappa)
    return kappa * mp.sin(y - m), kappa * mp.cos(y - m), kappa * ratio


def half_deviance(name, y, theta, constants=()):
    """Minus half the unit deviance: the kernel less its value at mu = y."""
    name = SAME.get(name, name)
    if name == "binomial":
        top = mp.mpf(0) if y in (0, 1) else kernel(name, y, (mp.mpf(y), 1 - mp.mpf(y)))
    elif y == 0 and name != "normal":
        top = mp.mpf(0)
    else:
        top = kernel(name, y, (mp.mpf(y), *theta[1:]), constants)
    return kernel(name, y, theta, constants) - top
