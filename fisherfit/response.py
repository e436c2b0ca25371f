"""The response, the weights and the offset: read, checked against the family, before any work."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError, InputTypeError, NonIntegerWarning
from .families import Family
from .table import check_finite, check_index, read_table, read_vector

WEIGHT_TYPES = ("analytic", "frequency", "probability")
LARGEST = 1e100  # responses and weights beyond this, or all below its inverse, have cubes that are not floats
ROWS = 32_768  # rows that a check looks at together


@dataclass(frozen=True, eq=False)
class Response:
    """y as the family sees it (a proportion where there are trials), and the trials."""

    y: np.ndarray
    trials: np.ndarray | None = None
    missing: np.ndarray | None = None
    fractional: int | None = None  # the first row whose count is not a whole number


def read_response(
    data: Any, family: Family, n: int, index: Any, missing: str, alone: bool = True, known: bool = False
) -> Response:
    """Read y: one value a row, or for the binomial family successes and failures in two columns.

    Where these are some of many rows (`alone` is False), nothing is said that is to be said once of all; where they
    are `known` from a fit, what it warned of is not said again.
    """
    if data is None:
        raise InputError("GLM requires y to be passed, but the target y is None")
    if isinstance(data, (list, tuple)):
        data = _array(data)
    shape = getattr(data, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 2:
        if not family.takes_trials:
            raise InputError(
                f"y has two columns; successes and failures are for the binomial family, not for {family.name}"
            )
        table = read_table(data, "y")
        check_index(data, "y", index)
        pair = [table.column(name) for name in table.names]
        if any(c.levels is not None for c in pair):
            raise InputTypeError("y must hold numbers of successes and failures, not text or categories")
        return _counts(np.asarray(pair[0].values, float), np.asarray(pair[1].values, float), n, missing, alone, known)
    column = shape is not None and len(shape) == 2 and shape[1] == 1
    if column:
        if not isinstance(data, np.ndarray):
            table = read_table(data, "y")
            data = table.frame[table.names[0]].to_native() if table.is_frame else table.matrix
    elif shape is not None and len(shape) == 2:
        raise InputError(f"y should be a 1d array, got an array of shape {shape} instead")
    y = read_vector(data, "y", n, index)
    check_finite(y, "y", missing)
    if column and alone and not known:
        from sklearn.exceptions import DataConversionWarning

        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; it is used as one column of responses",
            DataConversionWarning,
            stacklevel=4,
        )
    return Response(y, None, missing_in(y) if missing == "drop" else None)


def _array(data: Any) -> np.ndarray:
    try:
        return np.asarray(data)
    except ValueError as error:
        raise InputError(f"y cannot be read as an array: {error}; its rows may differ in length") from None


def missing_in(*vectors: np.ndarray | None) -> np.ndarray | None:
    """True for the rows where any of the vectors is NaN; None where there is no such row."""
    absent: np.ndarray | None = None
    for vector in vectors:
        here = None if vector is None else np.isnan(vector)
        if here is not None and here.any():
            absent = here if absent is None else absent | here
    return absent


def _counts(success: np.ndarray, failure: np.ndarray, n: int, missing: str, alone: bool, known: bool) -> Response:
    if success.size != n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: y has {success.size} rows, X has {n}"
        )
    check_finite(success, "y (successes)", missing)
    check_finite(failure, "y (failures)", missing)
    absent = missing_in(success, failure)
    if absent is not None:
        success, failure = np.where(absent, 0.0, success), np.where(absent, 1.0, failure)
    for name, part in (("successes", success), ("failures", failure)):
        if (part < 0).any():
            row = int(np.flatnonzero(part < 0)[0])
            raise InputError(f"y has {part[row]:g} {name} at row {row}; counts must be at least 0")
    with np.errstate(all="ignore"):
        trials = success + failure
        check_finite(trials, "y (successes + failures)")
        y = np.where(trials > 0, success / trials, 0.0)
    fractional = (success != np.rint(success)) | (failure != np.rint(failure))
    first = int(np.flatnonzero(fractional)[0]) if fractional.any() else None
    if first is not None and alone and not known:
        warnings.warn(fractional_counts(first), NonIntegerWarning, stacklevel=5)
    return Response(y, trials, absent, first)


def fractional_counts(row: Any) -> str:
    """What is said of successes and failures that are not whole numbers."""
    return f"y has successes and failures that are not whole numbers (row {row}); log-likelihood and AIC are undefined"


def fractional_response(row: Any, value: float, family: Family) -> str:
    """What is said of counts that are not whole numbers."""
    return (
        f"y has values that are not whole numbers (row {row}: {value:g}), which the {family.name} "
        "distribution never produces: coefficients are quasi-likelihood estimates, log-likelihood and AIC are NaN"
    )


def check_support(
    response: Response, family: Family, present: np.ndarray, alone: bool = True, known: bool = False
) -> bool:
    """Refuse responses outside the family's range; True where all counts are whole numbers.

    Where the rows are `known` from a fit, what it warned of is not said again.
    """
    y = response.y
    if not _everywhere(lambda values: ~family.support.outside(values), y, present):
        outside = family.support.outside(y) & present
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"y has the value {y[row]:g} at row {row}, but the {family.name} family needs y to be {family.support}"
            f" ({int(outside.sum())} such value(s)){_advice(family, y[row])}"
        )
    if alone:
        check_size(y if present.all() else np.where(present, y, 0.0), "y")
    if family.support.integer or (family.takes_trials and response.trials is None):
        whole = _everywhere(_is_whole, y, present)
        if not whole and family.support.integer and alone and not known:
            row = int(np.flatnonzero(~_is_whole(y) & present)[0])
            warnings.warn(fractional_response(row, y[row], family), NonIntegerWarning, stacklevel=4)
        return whole or not family.support.integer
    if response.trials is not None:
        s = y * response.trials
        return bool(np.all((np.abs(s - np.rint(s)) <= 1e-6 * (1 + s)) | ~present))
    return True


def _everywhere(holds: Callable[[np.ndarray], np.ndarray], y: np.ndarray, present: np.ndarray) -> bool:
    """True where a condition holds for every response that is present; a few rows at a time."""
    parts = (slice(start, start + ROWS) for start in range(0, y.size, ROWS))
    return all(bool((holds(y[part]) | ~present[part]).all()) for part in parts)


def _is_whole(y: np.ndarray) -> np.ndarray:
    return y == np.rint(y)


def check_size(values: np.ndarray, what: str) -> None:
    """Refuse magnitudes whose products overflow or vanish."""
    top = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    if top > LARGEST or 0.0 < top < 1.0 / LARGEST:
        row = int(np.argmax(np.abs(values)))
        raise InputError(f"{what} has {values[row]:g} as its largest value (row {row}), whose square or "
                         f"cube is not a float; divide {what} by {top:g}, say")  # fmt: skip


def _advice(family: Family, value: float) -> str:
    if family.name in ("gamma", "inverse_gaussian") and value == 0.0:
        return "; for a response with exact zeros use Tweedie(power=1.5)"
    if family.takes_trials:
        return "; give proportions with the trials as sample_weight, or successes and failures as two columns"
    return ""


def read_weights(data: Any, n: int, index: Any, missing: str = "raise", alone: bool = True) -> np.ndarray:
    """Weights: finite, at least 0, not all 0 (of some of many rows they may be); ones by default."""
    if data is None:
        return np.ones(n)
    if np.isscalar(data) and not isinstance(data, str):
        data = np.full(n, data)
    w = read_vector(data, "sample_weight", n, index)
    check_finite(w, "sample_weight", missing)
    if (w < 0).any():
        row = int(np.flatnonzero(w < 0)[0])
        raise InputError(f"sample_weight has the negative value {w[row]:g} at row {row}; weights must be at least 0")
    if alone:
        check_weights(w)
    return w


def check_weights(w: np.ndarray) -> None:
    """Refuse weights that are all 0, or of a magnitude that overflows or vanishes."""
    if w.size and not (w > 0).any():
        raise InputError(
            "every sample_weight is zero, so that there are no data; leave it out or give positive weights"
        )
    check_size(w, "sample_weight")


def read_offset(offset: Any, exposure: Any, n: int, index: Any, link: str, missing: str = "raise") -> np.ndarray | None:
    """The offset on the link scale: `offset` plus log(`exposure`)."""
    total: np.ndarray | None = None
    if offset is not None:
        total = read_vector(offset, "offset", n, index)
        check_finite(total, "offset", missing)
    if exposure is not None:
        if link != "log":
            raise InputError(
                f"exposure needs the log link, not {link!r}; pass offset= on the scale of the link instead"
            )
        e = read_vector(exposure, "exposure", n, index)
        check_finite(e, "exposure", missing)
        if (e <= 0).any():
            row = int(np.flatnonzero(e <= 0)[0])
            raise InputError(f"exposure has the value {e[row]:g} at row {row}; exposures must be greater than 0")
        total = np.log(e) if total is None else total + np.log(e)
    return total


def own(values: np.ndarray) -> np.ndarray:
    """Doubles side by side that may be written to: another kind of array would be another type to the compiler."""
    return np.require(values, float, ("C", "A", "W"))


def kernel_weights(
    weight: np.ndarray, trials: np.ndarray | None, weight_type: str, scale: float | None = None
) -> np.ndarray:
    """What multiplies a row's log-likelihood: the weight times the trials, scaled to n for probability weights.

    `scale` is n over the sum of the weights where these are weights of some of many rows.
    """
    w = weight
    with np.errstate(all="ignore"):
        if trials is not None:
            w = weight * trials
            check_finite(w, "sample_weight times the trials")
        if scale is not None:
            return own(w * scale)
        if weight_type == "probability":
            exponent = np.frexp(weight.max(initial=0.0))[1]  # the sum of the weights may be too large for a float
            w = np.ldexp(w, -exponent) * (np.count_nonzero(weight) / np.ldexp(weight, -exponent).sum())
    return own(w)
