"""Links and families in mpmath, as in McCullagh & Nelder (1989), Jorgensen (1997) and Hilbe (2011)."""

from functools import lru_cache

import mpmath as mp
from mpmath import mpf

mp.mp.dps = 60


def cached(f):
    """Remember f's values, at each precision."""
    at = lru_cache(None)(lambda prec, *args: f(*args))
    return lambda *args: at(mp.mp.prec, *args)


lgamma, digamma = cached(mp.loggamma), cached(mp.digamma)


def ylog(y, ratio):
    return y * mp.log(ratio) if y else mpf(0)


# ---- links: name -> (g(mu), eta -> (mu, dmu/deta, d2mu/deta2)) -------------------------------------------


def _log(eta):
    m = mp.exp(eta)
    return m, m, m


def _logit(eta):
    p = 1 / (1 + mp.exp(-eta))
    return p, p * (1 - p), p * (1 - p) * (1 - 2 * p)


def _probit(eta):
    return mp.ncdf(eta), mp.npdf(eta), -eta * mp.npdf(eta)


def _cloglog(eta):
    m = mp.exp(eta)
    return -mp.expm1(-m), m * mp.exp(-m), m * mp.exp(-m) * (1 - m)


def _loglog(eta):
    m = mp.exp(-eta)
    return mp.exp(-m), m * mp.exp(-m), m * mp.exp(-m) * (m - 1)


def _cauchit(eta):
    c = 1 + eta**2
    return mpf(1) / 2 + mp.atan(eta) / mp.pi, 1 / (mp.pi * c), -2 * eta / (mp.pi * c**2)


def _power(k):  # eta = mu^k
    def inverse(eta):
        if eta <= 0 and k not in (1, -1):
            raise ValueError("outside the link's domain")
        r = 1 / mpf(k)
        return eta**r, r * eta ** (r - 1), r * (r - 1) * eta ** (r - 2)

    return (lambda m: m**k), inverse


LINKS = {
    "identity": (lambda m: m, lambda eta: (eta, mpf(1), mpf(0))),
    "log": (mp.log, _log),
    "logit": (lambda m: mp.log(m / (1 - m)), _logit),
    "probit": (lambda m: mp.sqrt(2) * mp.erfinv(2 * m - 1), _probit),
    "cloglog": (lambda m: mp.log(-mp.log(1 - m)), _cloglog),
    "loglog": (lambda m: -mp.log(-mp.log(m)), _loglog),
    "cauchit": (lambda m: mp.tan(mp.pi * (m - mpf(1) / 2)), _cauchit),
    "inverse": _power(-1),
    "inverse_squared": _power(-2),
    "sqrt": _power(mpf(1) / 2),
}


def get_link(name):
    return _power(mpf(float(name[6:-1]))) if name.startswith("power(") else LINKS[name]


# ---- families: V(mu) and V'(mu), unit deviance, log-density at dispersion phi ----------------------------


class Poisson:
    """``free``: the dispersion is estimated; ``dlogf``: derivative of the log-density in log phi."""

    free = False

    def inside(self, m):
        return m > 0

    def V(self, m):
        return m

    def dV(self, m):
        return mpf(1)

    def unit(self, y, m):
        return 2 * (ylog(y, y / m) - (y - m))

    def logf(self, y, m, phi=1):
        return ylog(y, m) - m - lgamma(y + 1)


class Binomial(Poisson):
    """y is the proportion of successes in 1/phi trials."""

    def inside(self, m):
        return 0 < m < 1

    def V(self, m):
        return m * (1 - m)

    def dV(self, m):
        return 1 - 2 * m

    def unit(self, y, m):
        return 2 * (ylog(y, y / m) + ylog(1 - y, (1 - y) / (1 - m)))

    def logf(self, y, m, phi=1):
        n, k = 1 / mpf(phi), y / phi
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + ylog(k, m) + ylog(n - k, 1 - m)


class NegativeBinomial(Poisson):
    """Variance mu + alpha mu^2."""

    def __init__(self, alpha):
        self.alpha, self.theta = alpha, 1 / alpha

    def V(self, m):
        return m + self.alpha * m**2

    def dV(self, m):
        return 1 + 2 * self.alpha * m

    def unit(self, y, m):
        return 2 * (ylog(y, y / m) - (y + self.theta) * mp.log((y + self.theta) / (m + self.theta)))

    def logf(self, y, m, phi=1):
        t = self.theta
        return lgamma(y + t) - lgamma(t) - lgamma(y + 1) + t * mp.log(t / (t + m)) + ylog(y, m / (t + m))


class Gaussian:
    free = True

    def inside(self, m):
        return True

    def V(self, m):
        return mpf(1)

    def dV(self, m):
        return mpf(0)

    def unit(self, y, m):
        return (y - m) ** 2

    def logf(self, y, m, phi):
        return -(mp.log(2 * mp.pi * phi) + (y - m) ** 2 / phi) / 2

    def dlogf(self, y, m, phi):
        return -(1 - (y - m) ** 2 / phi) / 2


class Gamma:
    """Shape 1/phi, mean mu."""

    free = True

    def inside(self, m):
        return m > 0

    def V(self, m):
        return m**2

    def dV(self, m):
        return 2 * m

    def unit(self, y, m):
        return 2 * ((y - m) / m - mp.log(y / m))

    def logf(self, y, m, phi):
        shape = 1 / phi
        return shape * mp.log(shape * y / m) - shape * y / m - mp.log(y) - lgamma(shape)

    def dlogf(self, y, m, phi):
        shape = 1 / phi
        return -shape * (mp.log(shape * y / m) + 1 - y / m - digamma(shape))


class InverseGaussian(Gamma):
    def V(self, m):
        return m**3

    def dV(self, m):
        return 3 * m**2

    def unit(self, y, m):
        return (y - m) ** 2 / (m**2 * y)

    def logf(self, y, m, phi):
        return -(mp.log(2 * mp.pi * phi * y**3) + (y - m) ** 2 / (phi * m**2 * y)) / 2

    def dlogf(self, y, m, phi):
        return -(1 - (y - m) ** 2 / (phi * m**2 * y)) / 2


@cached
def tweedie_series(y, phi, p):
    """Dunn & Smyth (2005): log of the sum of W_j, and the mean of j under weights W_j."""
    a = (2 - p) / (1 - p)
    z = -a * mp.log(y) + a * mp.log(p - 1) - (1 - a) * mp.log(phi) - mp.log(2 - p)
    mode, logs, j = y ** (2 - p) / (phi * (2 - p)), [], 0
    while j < mode + 3 or logs[-1] > max(logs) - 2.4 * mp.mp.dps:
        j += 1
        logs.append(j * z - lgamma(mpf(j + 1)) - lgamma(-j * a))
    top = max(logs)
    terms = [mp.exp(value - top) for value in logs]
    total = mp.fsum(terms)
    return top + mp.log(total), mp.fsum((j + 1) * t for j, t in enumerate(terms)) / total


class Tweedie(Gamma):
    """A Poisson number of gammas, 1 < p < 2."""

    def __init__(self, p):
        self.p = p

    def V(self, m):
        return m**self.p

    def dV(self, m):
        return self.p * m ** (self.p - 1)

    def kernel(self, y, m):  # y theta - kappa(theta)
        return (y * m ** (1 - self.p) / (1 - self.p) if y else 0) - m ** (2 - self.p) / (2 - self.p)

    def unit(self, y, m):
        return 2 * (self.kernel(y, y) - self.kernel(y, m))

    def logf(self, y, m, phi):
        return self.kernel(y, m) / phi + (tweedie_series(y, phi, self.p)[0] - mp.log(y) if y else 0)

    def dlogf(self, y, m, phi):
        return -self.kernel(y, m) / phi - (tweedie_series(y, phi, self.p)[1] / (self.p - 1) if y else 0)


def get_family(case, alpha=None):
    name = case["family"]
    if name == "tweedie":
        return Tweedie(mpf(case["tweedie_power"]))
    if name in ("negative_binomial", "geometric"):
        return NegativeBinomial(alpha or mpf(case["alpha_fixed"] if name == "negative_binomial" else 1))
    return {"gaussian": Gaussian, "poisson": Poisson, "binomial": Binomial, "gamma": Gamma,
            "inverse_gaussian": InverseGaussian}[name]()  # fmt: skip
