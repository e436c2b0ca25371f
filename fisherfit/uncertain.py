"""Predictions with standard errors and intervals for the mean: x'b, its variance x'Vx, and the delta method.

All that is needed is the covariance of the coefficients and the new rows, which are read in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _threads
from .blocks import Design
from .choices import one_of
from .errors import InputError
from .families import Family
from .likelihood import each_stripe, expand
from .prediction import Predictor
from .result import Result, quantile
from .table import Table
from .tangents import link_rows, slope_of_mean

if TYPE_CHECKING:
    import pandas as pd

ZERO = 1e-9  # what a combination of columns that vanishes may be in a new row, relative to its terms


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of the coefficients as quadratic forms of rows of a design, in its standardised coordinates.

    `inner` is the covariance of theta; `cross` (p, K - 1) that with further parameters on their own scales, of which
    `others` is the covariance. Coefficients that are `infinite` are left out; `null` has the combinations of columns
    that must vanish in a row for its prediction to be determined.
    """

    inner: np.ndarray
    cross: np.ndarray
    others: np.ndarray
    infinite: np.ndarray
    null: np.ndarray

    def of_rows(self, design: Design) -> tuple[np.ndarray, np.ndarray]:
        """The variance of the linear predictor of every row (NaN, inf), and (K - 1, n) its covariances with others."""
        out, with_others = np.empty(design.n), np.empty((self.cross.shape[1], design.n))
        edge = _edge(design)

        def fill(start: int, stop: int, size: int) -> None:
            for at in range(start, stop, size):
                rows = slice(at, min(at + size, stop))
                z = expand(design, rows.start, rows.stop)
                value = np.einsum("ij,ij->i", z @ self.inner, z)
                value = np.maximum(value, 0.0)
                if self.null.shape[1]:
                    size_of = np.abs(z) @ np.abs(self.null)
                    value[np.any(np.abs(z @ self.null) > ZERO * size_of, axis=1)] = np.nan
                if self.infinite.any():
                    value[np.any(z[:, self.infinite] != edge[self.infinite], axis=1)] = np.inf
                out[rows] = value
                with_others[:, rows] = (z @ self.cross).T

        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            each_stripe(fill, design.n, design.width, design.row_size, _threads.thread_count(None), False)
        return out, with_others


def covariance_for(predictor: Predictor, result: Result, design: Design) -> Covariance:
    """The covariance of a fit in the coordinates of the design of new rows.

    Raises
    ------
    InputError
        Where it was not formed, because the model has too many coefficients.
    """
    if result.covariance is None:
        raise InputError(
            f"the covariance of {len(result.names)} coefficients was not formed, so that there are no standard errors "
            "of predictions; fit a model with fewer columns"
        )
    p, order = design.width, design.position
    infinite = np.isinf(result.standard_errors[:p])[order]
    whole, null, away = result.covariance, np.zeros((p, 0)), reference(predictor)
    if predictor.estimable is not None:
        whole, null = predictor.estimable[0], _null(design, predictor.estimable[1], away)
    elif predictor.centred is not None:
        whole = predictor.centred[1]
    v = whole[:p, :p][np.ix_(order, order)].copy()
    v[infinite, :] = v[:, infinite] = 0.0
    scale = _scale(design)
    v = v * scale[:, None] * scale
    if design.intercept and design.dense_width > 1:
        centre, at = _from(design, away) * design.inverse_scale, slice(1, design.dense_width)
        v[0] += centre @ v[at]
        v[:, 0] += v[:, at] @ centre
    cross = standardised(design, np.nan_to_num(whole[:p, p:]), away)
    return Covariance(v, cross, whole[p:, p:], infinite, null)


def reference(predictor: Predictor) -> np.ndarray:
    """What is subtracted from the columns in the coordinates of the covariance that is kept, in the user's order."""
    return np.zeros(len(predictor.terms.names)) if predictor.centred is None else predictor.centred[0]


def _from(design: Design, away: np.ndarray) -> np.ndarray:
    """The centre of the dense columns, seen from the reference."""
    return np.asarray(design.centre - away[design.position[int(design.intercept) : design.dense_width]])


def standardised(design: Design, columns: np.ndarray, away: np.ndarray) -> np.ndarray:
    """Changes of coefficients on the columns less `away`, a column each, as changes of the standardised ones."""
    out = columns[design.position] * _scale(design)[:, None]
    if design.intercept and design.dense_width > 1:
        out[0] += (_from(design, away) * design.inverse_scale) @ out[1 : design.dense_width]
    return np.asarray(out)


def _null(design: Design, columns: np.ndarray, away: np.ndarray) -> np.ndarray:
    """`standardised` of what must vanish: where all rows agree in a column, the intercept's part is a sum of zero."""
    out = standardised(design, columns, away)
    if design.intercept and design.dense_width > 1:
        here = np.abs(_from(design, away) * design.inverse_scale)
        terms = np.abs(columns[design.position[0]]) + here @ np.abs(out[1 : design.dense_width])
        out[0] = np.where(np.abs(out[0]) > ZERO * terms, out[0], 0.0)
    return out


def in_user_units(design: Design, gradient: np.ndarray, away: np.ndarray | None = None) -> np.ndarray:
    """Sums over rows Z'u in the standardised coordinates as (X - away)'u in the user's order.

    x = z / inverse_scale + centre.
    """
    away = np.zeros(design.width) if away is None else away
    g = gradient * _scale(design)
    if design.intercept and design.dense_width > 1:
        g[1 : design.dense_width] += _from(design, away) * gradient[0]
    out = np.empty_like(g)
    out[design.position] = g
    return out


def _scale(design: Design) -> np.ndarray:
    """d standardised / d user, column by column."""
    scale = np.ones(design.width)
    scale[int(design.intercept) : design.dense_width] = 1.0 / design.inverse_scale
    if design.sparse is not None:
        scale[design.sparse_at :] = 1.0 / design.sparse.scale
    return scale


def _edge(design: Design) -> np.ndarray:
    """What stands in the standardised columns where the column as given is 0."""
    out = np.zeros(design.width)
    at = slice(int(design.intercept), design.dense_width)
    out[at] = (0.0 - design.centre) * design.inverse_scale
    return out


@dataclass(frozen=True, eq=False)
class Predicted:
    """New rows: linear predictors with their variances, and what they make of the mean."""

    predictor: Predictor
    result: Result
    table: Table
    eta: np.ndarray
    variance: np.ndarray
    cross: np.ndarray
    others: np.ndarray

    @property
    def family(self) -> Family:
        """The family of the fit."""
        return self.predictor.family

    @property
    def df(self) -> float | None:
        """Degrees of freedom of Student's t where the dispersion is estimated; None for the normal law."""
        return self.result.df_resid if self.result.use_t else None

    @cached_property
    def error_of_link(self) -> np.ndarray:
        """Standard errors of the linear predictors."""
        return np.sqrt(self.variance)

    @cached_property
    def error_of_mean(self) -> np.ndarray:
        """Standard errors of the means, by the delta method; NaN where a coefficient is infinite."""
        slope, along = slope_of_mean(self.predictor, self.eta)
        with np.errstate(all="ignore"):
            variance = slope * slope * self.variance
            if along.shape[0]:
                known = np.nan_to_num(self.others)
                variance += 2.0 * slope * np.einsum("kn,kn->n", along, self.cross)
                variance += np.einsum("kn,kj,jn->n", along, known, along)
            return np.where(np.isinf(self.variance), np.nan, np.sqrt(np.maximum(variance, 0.0)))

    def frame(self, values: dict[str, np.ndarray]) -> pd.DataFrame:
        """A table by the row labels of X."""
        import pandas as pd

        return pd.DataFrame(
            values, index=pd.RangeIndex(self.eta.size) if self.table.index is None else self.table.index
        )


def predicted(predictor: Predictor, result: Result, X: Any, offset: Any = None, exposure: Any = None) -> Predicted:
    """Read new rows and find the variances of their linear predictors."""
    table, design, eta = predictor.rows(X, offset, exposure)
    covariance = covariance_for(predictor, result, design)
    variance, cross = covariance.of_rows(design)
    return Predicted(predictor, result, table, eta, variance, cross, covariance.others)


def standard_errors(
    predictor: Predictor, result: Result, X: Any, offset: Any, exposure: Any, kind: str
) -> pd.DataFrame:
    """Predictions and their standard errors, on the scale of the link or of the mean."""
    one_of("kind", kind, ("mean", "link"))
    rows = predicted(predictor, result, X, offset, exposure)
    if kind == "link":
        return rows.frame({"link": rows.eta, "std err": rows.error_of_link})
    return rows.frame({"mean": predictor.mean(rows.eta), "std err": rows.error_of_mean})


def mean_interval(rows: Predicted, level: float, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Ends of intervals for the mean: made on the link scale and transformed ("link"), or symmetric ("delta")."""
    q = float(quantile(0.5 + 0.5 * level, rows.df))
    if method == "delta":
        mu, error = rows.predictor.mean(rows.eta), rows.error_of_mean
        return mu - q * error, mu + q * error
    if type(rows.family).mean is not Family.mean and rows.cross.shape[0]:
        raise InputError(f"method='link': the mean of {rows.family!r} depends on further parameters, not on the linear "
                         "predictor alone; use method='delta'")  # fmt: skip
    link, support = rows.predictor.links[0], next(iter(rows.family.parameters.values()))
    low, high = link.eta_bounds
    with np.errstate(all="ignore"):
        ends = [rows.eta - q * rows.error_of_link, rows.eta + q * rows.error_of_link]
        if link.name == "inverse" or (link.name == "identity" and support in ("positive", "nonnegative")):
            ends[0] = np.where(rows.eta > 0.0, np.maximum(ends[0], 0.0), ends[0])  # a mean below 0 is none
        if link.name in ("identity", "log") and support == "unit":
            high = 1.0 if link.name == "identity" else 0.0
            low = 0.0 if link.name == "identity" else low
        ends = [np.clip(end, low, high) for end in ends]
        one, other = (_at(rows.predictor, end, low, high) for end in ends)
        return np.minimum(one, other), np.maximum(one, other)


def _at(predictor: Predictor, eta: np.ndarray, low: float, high: float) -> np.ndarray:
    """The mean at linear predictors, which may stand at a bound of the link: then its limit."""
    out = np.array(predictor.mean(eta))
    for bound, inside in ((low, np.nextafter(low, np.inf)), (0.0, np.nextafter(0.0, 1.0)), (high, high)):
        at = (eta == bound) & np.isnan(out)
        if at.any():
            limit = float(link_rows(predictor.links[0], np.array([inside]))[0, 0])
            out[at] = np.inf if not limit < 1e100 else limit
    return out


__all__ = ["Covariance", "Predicted", "covariance_for", "in_user_units", "mean_interval", "predicted",
           "reference", "standard_errors"]  # fmt: skip
