"""The prior of Gaussian components on rows that are read in batches: it only adds to the sums of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from .prior import Posterior, merged, moments_of, prior_from
from .streamed import StreamedMixture


class StreamedPosterior(Posterior, StreamedMixture):
    """A mixture with a prior whose rows come in batches: log-posterior where `StreamedMixture` has the likelihood."""


def with_prior(streamed: StreamedMixture, settings: Mapping[str, Any]) -> StreamedPosterior:
    """The mixture with the prior for all rows, whose means and covariance take a pass.

    Parameters
    ----------
    streamed : StreamedMixture
        All rows, with Gaussian components.
    settings : mapping
        As for `prior_of`, for the columns of the components.
    """
    parts: Any = streamed.walk()
    seen = reduce(merged, (moments_of(part.components.u, part.weight) for part in parts))
    components: Any = streamed.components
    components = components.with_prior(prior_from(settings, components, seen))
    return StreamedPosterior(
        components, streamed.mixing, streamed.weight, None, streamed.threads, streamed.walk, streamed.sum_of_weights,
        streamed.rows,
    )  # fmt: skip


__all__ = ["StreamedPosterior", "with_prior"]
