"""The profile of a coefficient whose estimate is infinite: one end of its interval is finite, and is found here.

With c'theta held at a value, other directions may still run away. The rows that these separate are at their supremum
and are left out; the others have a maximum in the directions that are left, and the profile rises to the supremum of
the whole likelihood as c'theta goes to its infinite estimate.
"""

from __future__ import annotations

import numpy as np

from . import separation as sep
from .cutting import recession
from .likelihood import Likelihood, dense_design
from .maximum import Maximum
from .model import independent_columns_of, is_large
from .restricted import directions_left
from .ridge import Ground
from .starts import null_start


def ground_of(maximum: Maximum, likelihood: Likelihood, c: np.ndarray, least: np.ndarray, lazy: bool) -> Ground | None:
    """The likelihood to be profiled, with all rows that matter, from the model without covariates on.

    None where the design is too large for the linear program that says which rows matter.
    """
    if is_large(likelihood):
        return None
    p = likelihood.designs[0].width
    present = likelihood.weight > 0.0
    family, link = maximum.family, likelihood.kernels.links[0].name
    signs = sep.row_signs(family.name, link, likelihood.y, present)
    assert signs is not None  # there would be no separation
    free = np.ones(maximum.theta.size, bool)
    free[:p] = independent_columns_of(likelihood)[0]
    inside = np.where(free, c, 0.0)
    basis = directions_left(inside[None, :p], free[:p])
    if basis.shape[1]:
        found = recession(dense_design(likelihood) @ basis, signs, present)
        if found is not None:
            likelihood = likelihood.without(found.rows)
            free[:p] = independent_columns_of(likelihood)[0]
    start = np.where(free, null_start(likelihood, family), 0.0)
    return Ground(
        likelihood, family, free, maximum.evaluation.loglik, maximum.phi, least, maximum.canonical, lazy, start
    )


def sides(sign: str) -> tuple[bool, bool]:
    """Whether the lower and the upper end of an infinite estimate are infinite."""
    return sign != "+inf", sign != "-inf"


__all__ = ["ground_of", "sides"]
