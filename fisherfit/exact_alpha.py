"""The expected information of a negative binomial's alpha, which the steps of a fit do not need exactly."""

from __future__ import annotations

import numpy as np

from .families import Family, NegativeBinomial
from .likelihood import Likelihood


def exact_information(
    likelihood: Likelihood, family: Family, theta: np.ndarray, information: np.ndarray, eta: np.ndarray | None = None
) -> np.ndarray:
    """The expected information with the exact one of a free alpha, which stands apart from that of the mean.

    `eta` has the linear predictors at theta, (K, n), where they are known.
    """
    p = likelihood.designs[0].width
    if not isinstance(family, NegativeBinomial) or theta.size == p:
        return information
    mu = likelihood.kernels.links[0].mean(likelihood.linear_predictor(theta) if eta is None else eta[0])
    out = information.copy()
    out[p, :] = out[:, p] = 0.0
    out[p, p] = float(np.sum(likelihood.weight * family.expected_alpha(mu, float(theta[p]))))
    return out


__all__ = ["exact_information"]
