"""The Bernoulli family of successes (1) and failures (0): the binomial with one trial."""

from __future__ import annotations

from ._family import Support
from .binomial import Binomial


class Bernoulli(Binomial):
    """Bernoulli distribution with probability mu of y = 1; proportions and counts of trials are for `Binomial`.

    Examples
    --------
    >>> import fisherfit as ff
    >>> float(ff.Bernoulli().cdf(0.0, 0.25))
    0.75
    """

    name = "bernoulli"
    support = Support(0.0, 1.0, integer=True)
    takes_trials = False

    @staticmethod
    def base(y, phi):
        return 0.0, 0.0, 0.0
