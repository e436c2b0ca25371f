"""Information geometry of the families: divergences, Fisher information, Fisher-Rao distances, natural parameters.

Everything here is about one response at given parameters, for every family: built in, with its dispersion, or of the
user's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .distance import fisher_rao_distance, geodesic
from .distribution import Distribution
from .divergences import bhattacharyya, hellinger, kl_divergence, renyi_divergence, symmetrised_kl
from .information import fisher_information, second_order
from .models import BinomialCount, NormalScale
from .natural import expectation_parameters, from_expectation, from_natural, log_partition, natural_parameters

if TYPE_CHECKING:
    from ..plots import kl_balls as plot_kl_balls
    from ..plots import paths as plot_paths
    from ..plots import trace as plot_trace

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
    "plot_kl_balls",
    "plot_paths",
    "plot_trace",
    "renyi_divergence",
    "second_order",
    "symmetrised_kl",
]

if not TYPE_CHECKING:  # type checkers see the imports above, and refuse other names

    def __getattr__(name: str) -> Any:
        """The figures of `fisherfit.plots`, which is loaded when one is asked for."""
        if not name.startswith("plot_") or name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .. import plots

        return getattr(plots, name.removeprefix("plot_"))
