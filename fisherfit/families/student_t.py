"""The Student t family of location and scale: heavy tails, so that outliers count little; df is fixed."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded when they are named

from ..elementary import log, log1p, scalar, where
from ..errors import InputError
from ..gammas import HALF_LOG_2PI, stirling_value
from ._family import Family, Formulas

# In these formulas z = (y - mu) / (sigma sqrt(df)), w = z^2 / (1 + z^2) and g = 1 - w, which a far z does not spoil.


@scalar
def shares(y, mu, sigma, df):
    """z, w and g."""
    z = (y - mu) / sigma / df**0.5
    far = abs(z) > 1e100
    near = where(far, 1.0, z)
    g = 1.0 / (1.0 + near * near)
    return z, where(far, 1.0, near * near * g), where(far, 0.0, g)


@scalar
def student_objective(y, mu, sigma, df):
    """The log-density without its constant."""
    z = abs((y - mu) / sigma / df**0.5)
    far = z > 1e100
    value = where(far, 2.0 * log(where(far, z, 1.0)), log1p(where(far, 0.0, z * z)))
    return -log(sigma) - 0.5 * (df + 1.0) * value


@scalar
def student_base(y, phi, df):
    """log of Gamma((df + 1) / 2) / {Gamma(df / 2) sqrt(df pi)}, by Stirling's formula: nothing cancels for large df."""
    x = 0.5 * df
    value = x * log1p(0.5 / x) - 0.5 + stirling_value(x + 0.5) - stirling_value(x)
    return value - HALF_LOG_2PI, 0.0, 0.0


class StudentT(Family):
    """Student t distribution with location mu, scale sigma and df degrees of freedom, which are fixed.

    The mean is mu (for df > 1) and the variance sigma^2 df / (df - 2) (for df > 2). The log-likelihood is not concave
    in mu: far from the maximum the observed information may be indefinite.

    Parameters
    ----------
    df : float, default 5
        Degrees of freedom, positive; 1 is the Cauchy distribution, infinity would be the normal one.

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.StudentT(df=1).cdf(1.0, 0.0, 1.0)), 6)
    0.75
    """

    name = "student_t"
    parameters = {"mu": "real", "sigma": "positive"}
    fields = ("df",)
    default_links = {"mu": "identity", "sigma": "log"}

    def __init__(self, df: float = 5.0) -> None:
        if not isinstance(df, (int, float, np.integer, np.floating)) or not (np.isfinite(df) and df > 0.0):
            raise InputError(f"StudentT: df must be a finite number above 0, got {df!r} (df = infinity is Normal)")
        self.df = float(df)

    def formulas(self) -> Formulas:
        return Formulas(student_objective, self.score, self.fisher, self.observed, student_base)

    @staticmethod
    def log_density(y, mu, sigma, df):
        return student_objective(y, mu, sigma, df) + student_base(y, 1.0, df)[0]

    @staticmethod
    def score(y, mu, sigma, df):
        z, w, g = shares(y, mu, sigma, df)
        slope = where(abs(z) > 1e100, 1.0 / where(z == 0.0, 1.0, z), z * g)
        return (df + 1.0) / df**0.5 * slope / sigma, ((df + 1.0) * w - 1.0) / sigma

    @staticmethod
    def fisher(mu, sigma, df):
        return (df + 1.0) / (df + 3.0) / sigma / sigma, 0.0, 2.0 * df / (df + 3.0) / sigma / sigma

    @staticmethod
    def observed(y, mu, sigma, df):
        z, w, g = shares(y, mu, sigma, df)
        return (
            (df + 1.0) / df * g * (g - w) / sigma / sigma,
            2.0 * (df + 1.0) / df**0.5 * (z * g * g) / sigma / sigma,
            ((df + 1.0) * w * (1.0 + 2.0 * g) - 1.0) / sigma / sigma,
        )

    def variance(self, mu, sigma):
        ratio = self.df / (self.df - 2.0) if self.df > 2.0 else np.inf
        return ratio * np.asarray(sigma) ** 2 * np.ones_like(mu, dtype=float)

    def start(self, y, weight):
        """The weighted median, and the scale that makes the weighted median of abs(y - mu) a quartile."""
        centre = _median(y, weight)
        spread = _median(np.abs(y - centre), weight) / float(scipy.special.stdtrit(self.df, 0.75))
        return centre, spread or super().start(y, weight)[1]

    def sample(self, rng, mu, sigma, size=None):
        size = np.broadcast_shapes(np.shape(mu), np.shape(sigma)) if size is None else size
        return mu + sigma * rng.standard_t(self.df, size)

    def cdf(self, y, mu, sigma):
        return scipy.special.stdtr(self.df, (np.asarray(y) - mu) / sigma)

    def ppf(self, probability, mu, sigma):
        return mu + sigma * scipy.special.stdtrit(self.df, probability)


def _median(y: np.ndarray, weight: np.ndarray) -> float:
    """The weighted median: the least y that half of the weight does not exceed."""
    order = np.argsort(y)
    below = np.cumsum(weight[order])
    return float(y[order][np.searchsorted(below, 0.5 * below[-1])])
