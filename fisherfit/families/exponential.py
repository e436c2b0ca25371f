"""The exponential family of waiting times: Var(y) = mu^2, the gamma family with dispersion 1."""

from __future__ import annotations

from ..elementary import log
from .gamma import Gamma


class Exponential(Gamma):
    """Exponential distribution with mean mu (rate 1 / mu).

    Examples
    --------
    >>> import fisherfit as ff
    >>> round(float(ff.Exponential().cdf(1.0, 1.0)), 6)
    0.632121
    """

    name = "exponential"
    has_dispersion = False

    @staticmethod
    def base(y, phi):
        return -1.0 - log(y), 0.0, 0.0
