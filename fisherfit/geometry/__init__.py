"""Information geometry of the families: divergences, Fisher information, Fisher-Rao distances, natural parameters.

Everything here is about one response at given parameters, for every family: built in, with its dispersion, or of the
user's own.
"""

from __future__ import annotations

from .distance import fisher_rao_distance, geodesic
from .distribution import Distribution
from .divergences import bhattacharyya, hellinger, kl_divergence, renyi_divergence, symmetrised_kl
from .information import fisher_information, second_order
from .models import BinomialCount, NormalScale
from .natural import expectation_parameters, from_expectation, from_natural, log_partition, natural_parameters

__all__ = [
    "BinomialCount",
    "Distribution",
    "NormalScale",
    "bhattacharyya",
    "expectation_parameters",
    "fisher_information",
    "fisher_rao_distance",
    "from_expectation",
    "from_natural",
    "geodesic",
    "hellinger",
    "kl_divergence",
    "log_partition",
    "natural_parameters",
    "renyi_divergence",
    "second_order",
    "symmetrised_kl",
]
