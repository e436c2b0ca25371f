"""The geometric family of failures before a success: Var(y) = mu + mu^2, the negative binomial with alpha = 1."""

from __future__ import annotations

from .negative_binomial import NegativeBinomial


class Geometric(NegativeBinomial):
    """Geometric distribution on 0, 1, 2, ... with mean mu (success probability 1 / (1 + mu)).

    Examples
    --------
    >>> import fisherfit as ff
    >>> float(ff.Geometric().cdf(0.0, 1.0))
    0.5
    """

    name = "geometric"

    def __init__(self) -> None:
        super().__init__(alpha=1.0)

    def __repr__(self) -> str:
        return "Geometric()"
