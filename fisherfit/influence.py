"""Estimates without chosen rows as labelled tables, and how far they are from those of all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _threads
from .choices import names_among
from .errors import InputError
from .leave_one_out import changes

if TYPE_CHECKING:
    import pandas as pd

    from .diagnostics import Diagnostics


def estimates_without(d: Diagnostics, rows: Any, columns: Any) -> pd.DataFrame:
    """One-step estimates without each of some rows; see `Diagnostics.loo_estimates`."""
    places, chosen = positions(d, rows), coefficients(d, columns)
    estimates = d.maximum.estimates()[chosen] - moves(d, places, chosen)
    p = d.maximum.design.width
    for k, link in enumerate(d.maximum.likelihood.kernels.links[1:]):
        for at in np.flatnonzero(chosen == p + k):
            estimates[:, at] = link.mean(estimates[:, at])
    return labelled(d, estimates, places, chosen)


def dfbetas(d: Diagnostics, rows: Any, columns: Any) -> pd.DataFrame:
    """The moves of the estimates in standard errors; see `Diagnostics.dfbetas`."""
    places, chosen = positions(d, rows), coefficients(d, columns)
    maximum, p = d.maximum, d.maximum.design.width
    variance = maximum.covariance_in_user_units(maximum.phi * maximum.bread).diagonal()
    fixed = maximum.result.standard_errors == 0.0  # by constraints
    error = np.sqrt(np.where(fixed, np.nan, variance))[chosen]
    slope = np.ones(maximum.theta.size)
    for k, link in enumerate(maximum.likelihood.kernels.links[1:]):
        slope[p + k] = float(link.slope(maximum.theta[p + k]))
    with np.errstate(all="ignore"):
        return labelled(d, moves(d, places, chosen) * slope[chosen] / error, places, chosen)


def moves(d: Diagnostics, places: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Estimate minus one-step estimate, (rows, coefficients), further parameters on the scale of their links."""
    maximum = d.maximum
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        step = changes(maximum.likelihood, d.loo_root, places, *d.observed_terms)
    step[~d.present[places]] = np.nan
    units = np.zeros((chosen.size, maximum.theta.size))
    units[np.arange(chosen.size), chosen] = 1.0
    out = step @ maximum.contrasts(units).T
    out[:, ~np.isfinite(maximum.result.standard_errors[chosen])] = np.nan  # infinite, aliased, or at a bound
    return np.asarray(out)


def positions(d: Diagnostics, rows: Any) -> np.ndarray:
    """Positions of row labels; by default of the ten rows with the largest Cook's distance."""
    if rows is None:
        return d.largest(10)
    import pandas as pd

    wanted = [rows] if np.isscalar(rows) else list(rows)
    index = pd.Index(d.labels)
    if not index.is_unique:
        raise InputError("the row labels are not unique; reset the index of X to choose rows by position")
    places = index.get_indexer(wanted)
    if (places < 0).any():
        lost = wanted[int(np.flatnonzero(places < 0)[0])]
        raise InputError(f"rows: {lost!r} is no row label of the data (or its row was left out)")
    return np.asarray(places)


def coefficients(d: Diagnostics, columns: Any) -> np.ndarray:
    """Positions of names of coefficients, by default of all."""
    names = list(d.maximum.names)
    return np.array([names.index(name) for name in names_among(columns, names)], int)


def labelled(d: Diagnostics, values: np.ndarray, places: np.ndarray, chosen: np.ndarray) -> pd.DataFrame:
    """A row for every label, a column for every coefficient."""
    import pandas as pd

    return pd.DataFrame(values, index=pd.Index(d.labels)[places], columns=[d.maximum.names[i] for i in chosen])


__all__ = ["dfbetas", "estimates_without"]
