"""What a user may pass by mistake or bad luck, and what must come of it.

A table of inputs: each is refused by a named error that says what to do, or leads to a typed warning and an attribute
with the details, or gives the right numbers. Whatever the entry, no exception of a library underneath, no warning of
NumPy's, and no wrong number without a word may reach the user; and a fit that fails leaves the estimator as it was.
"""

import datetime
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError

import fisherfit as ff

# fmt: off
N = 40
rng = np.random.default_rng(7)
X = rng.normal(size=(N, 2))
Y = 1.0 + X @ [0.5, -0.3] + 0.1 * rng.normal(size=N)
POSITIVE = rng.gamma(3.0, np.exp(0.3 * X[:, 0]) / 3.0)
COUNT = rng.poisson(np.exp(0.5 + 0.4 * X[:, 0])).astype(float)
BINARY = (X[:, 0] + rng.logistic(size=N) > 0).astype(float)
OVER = rng.negative_binomial(1, 0.3, N).astype(float)
X_TINY = X * 1e-310
WEIGHT = rng.uniform(0.5, 2.0, N)
GROUP = np.array(["b", "a", "c", "a"] * (N // 4))
WHOLE = rng.integers(-9, 10, size=(N, 2))
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
MIXED = FRAME.assign(g=GROUP)
DATA = MIXED.assign(y=Y, count=COUNT)
ARROW = pa.table({"a": X[:, 0], "b": X[:, 1]})


@dataclass(frozen=True)
class Entry:
    """An input and what must come of it: an error or warnings, and words in them; a check of the value."""

    run: Callable[[], Any]
    error: type[Exception] | None = None
    warned: tuple[type[Warning], ...] = ()
    says: str = ""
    check: Callable[[Any], None] | None = None


TABLE: dict[str, Entry] = {}


def add(name: str, entry: Entry) -> None:
    assert name not in TABLE, f"two entries are called {name}"
    TABLE[name] = entry


def refused(name: str, error: type[Exception], says: str, run: Callable[[], Any]) -> None:
    """The input must raise this error, with these words."""
    add(name, Entry(run, error=error, says=says))


def warned(name: str, kinds: Any, says: str, run: Callable[[], Any], check: Callable[[Any], None]) -> None:
    """The input must give these warnings and no others, and a value that passes the check."""
    add(name, Entry(run, warned=kinds if isinstance(kinds, tuple) else (kinds,), says=says, check=check))


def right(name: str, run: Callable[[], Any], expected: Any, rtol: float = 1e-10) -> None:
    """The input must give these coefficients (the intercept first) or this array, without a word."""

    def check(value: Any) -> None:
        found = coefficients(value) if isinstance(value, ff.GLM) else np.asarray(value, float)
        wanted = expected() if callable(expected) else expected
        wanted = coefficients(wanted) if isinstance(wanted, ff.GLM) else np.asarray(wanted, float)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0) * 1e-2)
        if isinstance(value, ff.GLM):
            assert value.converged_ is True
            assert np.all(value.result_.bse.to_numpy() > 0)

    add(name, Entry(run, check=check))


def coefficients(model: ff.GLM) -> np.ndarray:
    return np.r_[model.intercept_, model.coef_]


def raised(model: ff.GLM, by: float) -> np.ndarray:
    """The coefficients where the intercept is higher."""
    return coefficients(model) + np.array([by, 0.0, 0.0])


def state(model: ff.GLM) -> dict[str, Any]:
    return {k: v for k, v in vars(model).items() if k.endswith("_") or k.startswith("_")}


def unchanged(model: ff.GLM, before: dict[str, Any], content: bytes) -> None:
    after = state(model)
    assert after.keys() == before.keys()
    assert all(after[k] is before[k] for k in before)
    assert pickle.dumps(after) == content


def fit(X: Any, y: Any = None, *, sample_weight: Any = None, offset: Any = None, exposure: Any = None, **params: Any) -> ff.GLM:
    """Fit an estimator that has been fitted before; where that fails, the earlier fit must still be there, to the bit."""
    model = ff.GLM().fit(EARLIER[0], EARLIER[1])
    before = state(model)
    content = pickle.dumps(before)
    model.set_params(**params)
    try:
        return model.fit(X, y, sample_weight=sample_weight, offset=offset, exposure=exposure)
    except BaseException:
        unchanged(model, before, content)
        raise


EARLIER = X[:12] + 1.0, Y[:12]


def least_squares(X: Any, y: Any, weight: Any = None) -> np.ndarray:
    root = np.sqrt(np.ones(len(y)) if weight is None else weight)
    design = np.column_stack([np.ones(len(y)), np.asarray(X, float)])
    return np.linalg.lstsq(design * root[:, None], np.asarray(y, float) * root, rcond=None)[0]


def normal() -> np.ndarray:
    return least_squares(X, Y)


def put(array: Any, at: Any, value: Any) -> np.ndarray:
    out = np.array(array)
    out[at] = value
    return out


def fitted(**params: Any) -> ff.GLM:
    return ff.GLM(**params).fit(X, Y)


# -- values ---------------------------------------------------------------------------------------------------------

refused("x-nan", ff.InputError, r"NaN.*'x1'.*row 3.*missing='drop'", lambda: fit(put(X, (3, 1), np.nan), Y))
refused("x-infinite", ff.InputError, r"infinity.*'x0'.*inf at row 5.*remove", lambda: fit(put(X, (5, 0), np.inf), Y))
refused("x-minus-infinite", ff.InputError, r"'x0'.*-inf at row 5", lambda: fit(put(X, (5, 0), -np.inf), Y))
refused("x-nan-late", ff.InputError, r"'x0'.*row 99999", lambda: fit(put(np.ones((100_000, 1)), (99_999, 0), np.nan), np.ones(100_000)))
refused("column-nan", ff.InputError, r"'b'.*row 7 \(1 in all\).*missing='drop'", lambda: fit(FRAME.assign(b=put(X[:, 1], 7, np.nan)), Y))
refused("column-infinite", ff.InputError, r"'b'.*inf at row 7", lambda: fit(FRAME.assign(b=put(X[:, 1], 7, np.inf)), Y))
refused("text-missing", ff.InputError, r"'g'.*row 2.*missing='drop'", lambda: fit(FRAME.assign(g=put(GROUP.astype(object), 2, None)), Y))
refused("object-missing", ff.InputError, r"'x0'.*row 2", lambda: fit(put(X.astype(object), (2, 0), None), Y))
refused("y-nan", ff.InputError, r"y contains NaN \(row 4.*missing='drop'", lambda: fit(X, put(Y, 4, np.nan)))
refused("y-infinite", ff.InputError, r"y contains infinity.*row 4", lambda: fit(X, put(Y, 4, np.inf)))
refused("y-both-infinities", ff.InputError, r"y contains infinity.*row 4, 2 such", lambda: fit(X, put(put(Y, 4, np.inf), 5, -np.inf)))
refused("y-none-inside", ff.InputError, r"y contains NaN \(row 1", lambda: fit(X, [1.0, None] * (N // 2)))
refused("weight-nan", ff.InputError, r"sample_weight contains NaN \(row 6", lambda: fit(X, Y, sample_weight=put(WEIGHT, 6, np.nan)))
refused("weight-infinite", ff.InputError, r"sample_weight contains infinity.*row 6", lambda: fit(X, Y, sample_weight=put(WEIGHT, 6, np.inf)))
refused("weight-negative", ff.InputError, r"sample_weight.*negative.*-1 at row 6.*at least 0", lambda: fit(X, Y, sample_weight=put(WEIGHT, 6, -1.0)))
refused("weight-all-zero", ff.InputError, r"every sample_weight is zero", lambda: fit(X, Y, sample_weight=np.zeros(N)))
refused("weight-1e-300", ff.InputError, r"sample_weight.*1e-300.*divide", lambda: fit(X, Y, sample_weight=np.full(N, 1e-300)))
refused("weight-1e300", ff.InputError, r"sample_weight.*1e\+300.*divide", lambda: fit(X, Y, sample_weight=np.full(N, 1e300)))
refused("weight-1e-300-and-1e300", ff.InputError, r"sample_weight.*1e\+300.*row 20.*divide", lambda: fit(X, Y, sample_weight=np.repeat([1e-300, 1e300], N // 2)))
refused("weight-denormal", ff.InputError, r"sample_weight.*divide", lambda: fit(X, Y, sample_weight=np.full(N, 5e-324)))
refused("offset-nan", ff.InputError, r"offset contains NaN \(row 8", lambda: fit(X, Y, offset=put(Y, 8, np.nan)))
refused("offset-infinite", ff.InputError, r"offset contains infinity.*row 8", lambda: fit(X, Y, offset=put(Y, 8, -np.inf)))
refused("exposure-nan", ff.InputError, r"exposure contains NaN \(row 8", lambda: fit(X, COUNT, family="poisson", exposure=put(WEIGHT, 8, np.nan)))
refused("exposure-zero", ff.InputError, r"exposure.*0 at row 8.*greater than 0", lambda: fit(X, COUNT, family="poisson", exposure=put(WEIGHT, 8, 0.0)))
refused("exposure-negative", ff.InputError, r"exposure.*-2 at row 8.*greater than 0", lambda: fit(X, COUNT, family="poisson", exposure=put(WEIGHT, 8, -2.0)))
refused("exposure-link", ff.InputError, r"exposure needs the log link, not 'identity'.*offset=", lambda: fit(X, Y, exposure=WEIGHT))
refused("y-1e300", ff.InputError, r"y has .*e\+300.*row.*divide y", lambda: fit(X, Y * 1e300))
refused("y-1e308", ff.InputError, r"y has .*divide y", lambda: fit(X, Y * 5e307))
refused("y-1e-300", ff.InputError, r"y has .*e-300.*divide y", lambda: fit(X, Y * 1e-300))
refused("y-denormal", ff.InputError, r"y has .*divide y", lambda: fit(X, np.where(Y > 1, 5e-324, 0.0)))
refused("y-gamma-one-1e300", ff.InputError, r"y has 1e\+300.*row 3.*divide y", lambda: fit(X, put(POSITIVE, 3, 1e300), family="gamma"))
refused("y-inverse-gaussian-1e150", ff.InputError, r"y has .*divide y", lambda: fit(X, POSITIVE * 1e150, family="inverse_gaussian"))
refused("y-count-1e300", ff.InputError, r"y has .*divide y", lambda: fit(X, COUNT * 1e300, family="negative_binomial"))

right("x-minus-zero", lambda: fit(np.where(X < 0, -0.0, X), Y), lambda: fit(np.where(X < 0, 0.0, X), Y), 0.0)
right("y-minus-zero", lambda: fit(X, np.where(COUNT == 0, -0.0, COUNT), family="poisson"), lambda: fit(X, COUNT, family="poisson"), 0.0)
right("x-some-denormal", lambda: fit(np.where(X < 0, 5e-324, X), Y), lambda: fit(np.where(X < 0, 0.0, X), Y))
right("y-gamma-one-1e-300", lambda: fit(X, put(POSITIVE, 3, 1e-300), family="gamma"), lambda: fit(X, put(POSITIVE, 3, 1e-30), family="gamma"))
right("y-1e15", lambda: fit(X, Y * 1e15), lambda: normal() * 1e15)
right("y-1e-12", lambda: fit(X, Y * 1e-12), lambda: normal() * 1e-12)
right("y-gamma-1e-12", lambda: fit(X, POSITIVE * 1e-12, family="gamma"), lambda: raised(fit(X, POSITIVE, family="gamma"), np.log(1e-12)))
right("y-gamma-1e15", lambda: fit(X, POSITIVE * 1e15, family="gamma"), lambda: raised(fit(X, POSITIVE, family="gamma"), np.log(1e15)))
right("y-inverse-gaussian-1e99", lambda: fit(X, POSITIVE * 1e98, family="inverse_gaussian"), lambda: raised(fit(X, POSITIVE, family="inverse_gaussian"), np.log(1e98)))
right("y-count-1e17", lambda: fit(X, np.rint(COUNT * 1e17), family="poisson"), lambda: raised(fit(X, COUNT, family="poisson"), np.log(1e17)))
right("y-count-beyond-2-53", lambda: fit(X, np.rint(COUNT * 1e16), family="poisson"), lambda: raised(fit(X, COUNT, family="poisson"), np.log(1e16)))
right("weight-1e-12", lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT * 1e-12), lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT))
right("weight-1e12", lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT * 1e12), lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT))
right("weight-1e-99", lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT * 1e-99), lambda: fit(X, COUNT, family="poisson", sample_weight=WEIGHT))
right("weight-1e99", lambda: fit(X, Y, sample_weight=WEIGHT * 1e99), lambda: least_squares(X, Y, WEIGHT))
right("weight-normal-1e-99", lambda: fit(X, Y, sample_weight=WEIGHT * 1e-99).result_.bse, lambda: fit(X, Y, sample_weight=WEIGHT).result_.bse)
right("weight-normal-1e-30", lambda: fit(X, Y, sample_weight=WEIGHT * 1e-30).result_.bse, lambda: fit(X, Y, sample_weight=WEIGHT).result_.bse)
right("weight-some-1e-99", lambda: fit(X, Y, sample_weight=np.where(np.arange(N) < 9, 1e-99, WEIGHT)), lambda: least_squares(X[9:], Y[9:], WEIGHT[9:]))
right("weight-scalar", lambda: fit(X, Y, sample_weight=3.0), normal)
right("weight-boolean", lambda: fit(X, Y, sample_weight=np.arange(N) > 8), lambda: least_squares(X[9:], Y[9:]))
right("exposure-1e-300", lambda: fit(X, COUNT, family="poisson", exposure=np.full(N, 1e-300)), lambda: raised(fit(X, COUNT, family="poisson"), 300 * np.log(10)))
right("offset-scalar", lambda: fit(X, Y, offset=2.0), lambda: normal() - [2, 0, 0])
for o in (800.0, -800.0):
    right(f"offset{o:+g}-poisson", lambda o=o: fit(X, COUNT, family="poisson", offset=np.full(N, o)), lambda o=o: coefficients(fit(X, COUNT, family="poisson")) - [o, 0, 0])
    right(f"offset{o:+g}-logit", lambda o=o: fit(X, BINARY, family="binomial", offset=np.full(N, o)), lambda o=o: coefficients(fit(X, BINARY, family="binomial")) - [o, 0, 0])
    right(f"offset{o:+g}-gamma", lambda o=o: fit(X, POSITIVE, family="gamma", offset=np.full(N, o)), lambda o=o: coefficients(fit(X, POSITIVE, family="gamma")) - [o, 0, 0])
    right(f"offset{o:+g}-normal", lambda o=o: fit(X, Y, offset=np.full(N, o)), lambda o=o: normal() - [o, 0, 0])


def few_digits(model: ff.GLM) -> None:
    assert model.converged_ is False
    assert model.certificate_.digits.min() < 3


warned("offset-1e16", ff.ConvergenceWarning, r"not converged.*distance", lambda: fit(X, OVER, family="poisson", offset=np.full(N, 1e16)), few_digits)
warned("offset-1e300", ff.ConvergenceWarning, r"not converged.*distance", lambda: fit(X, Y, offset=np.full(N, 1e300)), few_digits)


def same_but_absent_rows(**params: Any) -> Callable[[Any], None]:
    """Rows of weight zero count for nothing: all of the result is that of the other rows alone."""

    def check(model: ff.GLM) -> None:
        alone = ff.GLM(**params).fit(X[9:], OVER[9:])
        for name in ("llf", "llnull", "deviance", "null_deviance", "pearson_chi2", "aic", "bic", "nobs", "df_resid", "df_model"):
            assert getattr(model.result_, name) == pytest.approx(getattr(alone.result_, name), rel=1e-12, nan_ok=True), name
        np.testing.assert_allclose(model.result_.bse, alone.result_.bse, rtol=1e-10)
        np.testing.assert_allclose(coefficients(model), coefficients(alone), rtol=1e-10)

    return check


for weight_type in ("analytic", "frequency", "probability"):
    for family in ("poisson", "negative_binomial", "normal"):
        if (weight_type, family) == ("probability", "negative_binomial"):
            continue
        params = {"weight_type": weight_type, "family": family}
        add(f"weight-zero-{weight_type}-{family}", Entry(lambda p=params: fit(X, OVER, sample_weight=(np.arange(N) >= 9) * 1.0, **p), check=same_but_absent_rows(**({"family": family} if weight_type != "probability" else params))))
right("weight-zero-bad-y", lambda: fit(X, put(COUNT, 3, -5.0), family="poisson", sample_weight=np.arange(N) >= 9), lambda: fit(X[9:], COUNT[9:], family="poisson"))
right("weight-zero-level", lambda: fit(FRAME.assign(g=put(GROUP.astype(object), 0, "rare")), Y, sample_weight=np.arange(N) > 0), lambda: fit(MIXED[1:], Y[1:]))
right("weight-zero-level-formula", lambda: fit(DATA.assign(g=put(GROUP.astype(object), 0, "rare")), formula="y ~ a:g + bs(b, df=4)", sample_weight=np.arange(N) > 0), lambda: fit(DATA[1:], formula="y ~ a:g + bs(b, df=4)"))

# -- shapes ---------------------------------------------------------------------------------------------------------

refused("x-one-dimension", ff.InputError, r"Expected 2D array, got 1D array.*Reshape your data", lambda: fit(X[:, 0], Y))
refused("x-three-dimensions", ff.InputError, r"dim 3.*shape \(40, 2, 1\)", lambda: fit(X[:, :, None], Y))
refused("x-scalar", ff.InputError, r"Expected 2D array, got scalar.*Reshape", lambda: fit(3.0, Y))
refused("x-generator", ff.InputTypeError, r"gives its batches once", lambda: fit((row for row in X), Y))
refused("x-ragged", ff.InputError, r"X cannot be read as an array.*differ in length", lambda: fit([[1.0], [2.0, 3.0]], [1.0, 2.0]))
refused("x-no-rows", ff.InputError, r"Found array with 0 sample\(s\) \(shape=\(0, 2\)\)", lambda: fit(X[:0], Y[:0]))
refused("x-no-columns", ff.InputError, r"Found array with 0 feature\(s\) \(shape=\(40, 0\)\) while a minimum of 1", lambda: fit(X[:, :0], Y))
refused("table-no-rows", ff.InputError, r"0 sample\(s\)", lambda: fit(FRAME[:0], Y[:0]))
refused("table-no-rows-polars", ff.InputError, r"0 sample\(s\)", lambda: fit(pl.DataFrame({"a": []}), []))
refused("no-column-no-intercept", ff.InputError, r"no column and no intercept.*fit_intercept=True", lambda: fit(FRAME[[]], Y, fit_intercept=False))
right("table-no-columns", lambda: fit(FRAME[[]], Y), [Y.mean()])
right("table-no-columns-predict", lambda: fit(FRAME[[]], Y).predict(FRAME[[]]), np.full(N, Y.mean()))
refused("y-short", ff.InputError, r"inconsistent numbers of samples: y has 39 values, X has 40", lambda: fit(X, Y[1:]))
refused("y-two-columns-short", ff.InputError, r"inconsistent numbers of samples: y has 39 rows, X has 40", lambda: fit(X, np.ones((39, 2)), family="binomial"))
refused("weight-short", ff.InputError, r"sample_weight has 39 values, X has 40", lambda: fit(X, Y, sample_weight=WEIGHT[1:]))
refused("weight-two-columns", ff.InputError, r"sample_weight must be one-dimensional.*\(40, 2\)", lambda: fit(X, Y, sample_weight=X))
refused("offset-short", ff.InputError, r"offset has 39 values, X has 40", lambda: fit(X, Y, offset=Y[1:]))
refused("exposure-long", ff.InputError, r"exposure has 41 values, X has 40", lambda: fit(X, COUNT, family="poisson", exposure=np.ones(41)))
refused("y-three-columns", ff.InputError, r"y should be a 1d array, got an array of shape \(40, 3\)", lambda: fit(X, np.ones((N, 3))))
refused("y-three-dimensions", ff.InputError, r"y must be one-dimensional.*\(40, 1, 1\)", lambda: fit(X, Y[:, None, None]))
refused("y-two-columns-poisson", ff.InputError, r"two columns.*binomial.*not for poisson", lambda: fit(X, np.ones((N, 2)), family="poisson"))
refused("y-none", ff.InputError, r"requires y", lambda: fit(X))
refused("y-scalar", ff.InputError, r"y must be one-dimensional", lambda: fit(X, 3.0))
refused("y-ragged", ff.InputError, r"y cannot be read", lambda: fit([[1.0], [2.0]], [[1.0], [2.0, 3.0]]))
refused("y-word", ff.InputError, r"y has the value 'y'.*not a number", lambda: fit(X, "y"))
warned("y-column-vector", DataConversionWarning, r"column-vector y", lambda: fit(X, Y[:, None]), lambda m: np.testing.assert_allclose(coefficients(m), normal()))
warned("y-table-of-one-column", DataConversionWarning, r"column-vector y", lambda: fit(FRAME, DATA[["y"]]), lambda m: np.testing.assert_allclose(coefficients(m), normal()))
warned("y-polars-of-one-column", DataConversionWarning, r"column-vector y", lambda: fit(X, pl.DataFrame({"y": Y})), lambda m: np.testing.assert_allclose(coefficients(m), normal()))
refused("y-table-of-text", ff.InputError, r"y holds text.*'a', 'b', 'c'.*convert", lambda: fit(FRAME, MIXED[["g"]]))
right("one-row-null-model", lambda: fit(FRAME[[]][:1], [3.0], family="poisson"), [np.log(3.0)])
warned("one-row", (ff.RankWarning, ff.ExactFitWarning), r"x0|no degrees of freedom", lambda: fit([[1.0]], [2.0]), lambda m: np.testing.assert_allclose([m.intercept_, m.coef_[0], m.predict([[1.0]])[0], m.rank_], [2.0, 0.0, 2.0, 1]))


def saturated(rows: int, family: str = "normal", y: Any = None) -> Callable[[Any], None]:
    def check(model: ff.GLM) -> None:
        assert model.converged_
        np.testing.assert_allclose(model.predict(X[:rows]), (POSITIVE if y is None else y)[:rows], rtol=1e-8)
        assert model.result_.df_resid == 0
        assert np.all(np.isnan(model.result_.bse)) == (family in ("normal", "gamma"))

    return check


warned("saturated", ff.ExactFitWarning, r"no degrees of freedom.*NaN", lambda: fit(X[:3], POSITIVE[:3]), saturated(3))
warned("saturated-gamma", ff.ExactFitWarning, r"no degrees of freedom.*NaN", lambda: fit(X[:3], POSITIVE[:3], family="gamma"), saturated(3, "gamma"))
add("saturated-poisson", Entry(lambda: fit(X[:3], np.array([3.0, 1.0, 2.0]), family="poisson"), check=saturated(3, "poisson", np.array([3.0, 1.0, 2.0]))))


def more_columns_than_rows(model: ff.GLM) -> None:
    np.testing.assert_allclose(model.predict(WIDE), [1.0, 2.0, 4.0], rtol=1e-8)
    assert model.rank_ == 3
    assert model.aliased_ == ["x2", "x3", "x4"]
    centred = WIDE - WIDE.mean(axis=0)
    eta = np.log([1.0, 2.0, 4.0]) if model.family == "poisson" else [1.0, 2.0, 4.0]
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(centred) @ eta, rtol=1e-8)  # the least of all slopes


WIDE = np.random.default_rng(1).normal(size=(3, 5))
warned("more-columns-than-rows", (ff.RankWarning, ff.ExactFitWarning), r"3 of 6 columns.*x2, x3, x4|no degrees", lambda: fit(WIDE, [1.0, 2.0, 4.0]), more_columns_than_rows)
warned("more-columns-than-rows-poisson", ff.RankWarning, r"3 of 6 columns.*x2, x3, x4", lambda: fit(WIDE, [1.0, 2.0, 4.0], family="poisson"), more_columns_than_rows)

# -- dtypes ---------------------------------------------------------------------------------------------------------

for dtype in ("float16", "float32", "longdouble", ">f8", ">f4", ">i4", "int8", "int16", "int64", "object"):
    right(f"x-{dtype}", lambda d=dtype: fit(WHOLE.astype(d), Y), lambda: least_squares(WHOLE, Y))
    right(f"column-{dtype}", lambda d=dtype: fit(pd.DataFrame({"a": WHOLE[:, 0].astype(d), "b": WHOLE[:, 1]}), Y), lambda: least_squares(WHOLE, Y))
for dtype in ("uint8", "uint64"):
    right(f"x-{dtype}", lambda d=dtype: fit((WHOLE + 9).astype(d), Y), lambda: least_squares(WHOLE + 9, Y))
    right(f"y-{dtype}", lambda d=dtype: fit(X, (WHOLE[:, 0] + 240).astype(d)), lambda: least_squares(X, WHOLE[:, 0] + 240))
right("x-bool", lambda: fit(X > 0, Y), lambda: least_squares(X > 0, Y))
right("column-bool", lambda: fit(FRAME > 0, Y), lambda: least_squares(X > 0, Y))
right("x-float16-large-sum", lambda: fit(np.float16(WHOLE + 6000), Y), lambda: least_squares(np.float16(WHOLE + 6000), Y), 1e-9)
right("x-numeric-text", lambda: fit(WHOLE.astype(str), Y), lambda: least_squares(WHOLE, Y))
right("x-string-dtype", lambda: fit(WHOLE.astype(np.dtypes.StringDType()), Y), lambda: least_squares(WHOLE, Y))
right("x-decimal", lambda: fit(np.array([[Decimal(int(v)) for v in row] for row in WHOLE]), Y), lambda: least_squares(WHOLE, Y))
right("column-decimal", lambda: fit(pd.DataFrame({"a": [Decimal(int(v)) for v in WHOLE[:, 0]], "b": [Fraction(int(v), 2) for v in WHOLE[:, 1]]}), Y), lambda: least_squares(WHOLE / [1, 2], Y))
right("column-decimal-polars", lambda: fit(pl.DataFrame({"a": [Decimal(int(v)) for v in WHOLE[:, 0]]}), Y), lambda: least_squares(WHOLE[:, :1], Y))
right("column-decimal-arrow", lambda: fit(pa.table({"a": pa.array([Decimal(int(v)) for v in WHOLE[:, 0]])}), Y), lambda: least_squares(WHOLE[:, :1], Y))
right("y-int8", lambda: fit(X, np.int8(WHOLE[:, 0] + 110)), lambda: least_squares(X, WHOLE[:, 0] + 110))
right("y-bool", lambda: fit(X, BINARY > 0, family="binomial"), lambda: fit(X, BINARY, family="binomial"), 0.0)
right("y-float16", lambda: fit(X, np.float16(WHOLE[:, 0] * 6000.0)), lambda: least_squares(X, np.float16(WHOLE[:, 0] * 6000.0)))
right("y-big-endian", lambda: fit(X, Y.astype(">f8")), normal)
right("y-decimal", lambda: fit(X, [Decimal(repr(float(v))) for v in Y]), normal)
right("y-object", lambda: fit(X, Y.astype(object)), normal)
refused("x-complex", ff.InputError, r"Complex data not supported: X.*complex128.*real part", lambda: fit(X + 0j, Y))
refused("x-complex-object", ff.InputError, r"Complex data not supported.*row 0, column 0", lambda: fit((X + 0j).astype(object), Y))
refused("column-complex", ff.InputError, r"Complex data not supported: column 'b'", lambda: fit(FRAME.assign(b=X[:, 1] + 0j), Y))
refused("column-complex-object", ff.InputError, r"Complex data not supported: column 'b'", lambda: fit(FRAME.assign(b=(X[:, 1] + 0j).astype(object)), Y))
refused("y-complex", ff.InputError, r"Complex data not supported: y", lambda: fit(X, Y + 0j))
refused("x-text", ff.InputError, r"X has the value 'b' at row 0, column 0.*pass a table", lambda: fit(np.column_stack([GROUP, GROUP]), Y))
refused("x-text-object", ff.InputError, r"X has the value 'no' at row 3, column 1.*pass a table", lambda: fit(put(X.astype(object), (3, 1), "no"), Y))
refused("x-nested", ff.InputTypeError, r"not dict \(row 3, column 1\)", lambda: fit(put(X.astype(object), (3, 1), {}), Y))
refused("x-dates", ff.InputTypeError, r"X holds dates or durations.*convert", lambda: fit(np.full((N, 1), "2020-01-01", "M8[D]"), Y))
refused("x-durations", ff.InputTypeError, r"X holds dates or durations.*convert", lambda: fit(np.full((N, 1), 3, "m8[D]"), Y))
refused("column-dates", ff.InputTypeError, r"'b' holds dates.*convert", lambda: fit(FRAME.assign(b=pd.date_range("2020", periods=N)), Y))
refused("column-durations", ff.InputTypeError, r"'b' holds dates or durations.*convert", lambda: fit(FRAME.assign(b=pd.to_timedelta(np.arange(N))), Y))
refused("column-date-objects", ff.InputTypeError, r"'b'.*date.*row 0", lambda: fit(FRAME.assign(b=[datetime.date(2020, 1, 1)] * N), Y))
refused("column-periods", ff.InputTypeError, r"'b'.*Period", lambda: fit(FRAME.assign(b=pd.period_range("2020", periods=N, freq="D")), Y))
refused("column-dates-polars", ff.InputTypeError, r"'d' holds dates", lambda: fit(pl.DataFrame({"d": [datetime.date(2020, 1, 1)] * N}), Y))
refused("column-lists-polars", ff.InputTypeError, r"'l' has the dtype List", lambda: fit(pl.DataFrame({"l": [[1.0]] * N}), Y))
refused("column-struct-arrow", ff.InputTypeError, r"'s' has the dtype Struct", lambda: fit(pa.table({"s": [{"a": 1}] * N}), Y))
refused("column-mixed", ff.InputTypeError, r"'m' mixes.*int, str \(row 0: 1\).*all strings", lambda: fit(FRAME.assign(m=[1, "a"] * (N // 2)), Y))
refused("column-arrays", ff.InputTypeError, r"'m'.*ndarray", lambda: fit(FRAME.assign(m=[np.ones(2)] * N), Y))
refused("x-integer-too-large", ff.InputError, r"'x0'.*inf at row 0", lambda: fit(np.full((N, 1), 10**400, object), Y))
refused("column-integer-too-large", ff.InputError, r"'a'.*inf at row 0", lambda: fit(pd.DataFrame({"a": [10**400] * N}), Y))
refused("y-integer-too-large", ff.InputError, r"y contains infinity, or a value too large", lambda: fit(X, [10**400] * N))
refused("x-longdouble-too-large", ff.InputError, r"'x0'.*inf at row 0", lambda: fit(np.full((N, 1), np.longdouble("1e400")), Y))
refused("y-longdouble-too-large", ff.InputError, r"y contains infinity", lambda: fit(X, np.full(N, np.longdouble("1e400"))))
refused("y-dates", ff.InputTypeError, r"y.*dates.*convert", lambda: fit(X, pd.Series(pd.date_range("2020", periods=N))))
refused("y-text", ff.InputError, r"y has the value 'b' at row 0, which is not a number", lambda: fit(X, GROUP))
refused("y-text-series", ff.InputError, r"y holds text or categories \('a', 'b', 'c'\).*\(y == 'a'\)", lambda: fit(FRAME, MIXED["g"]))
refused("y-category", ff.InputError, r"y holds text or categories", lambda: fit(FRAME, pd.Series(COUNT).astype("category")))
refused("weight-text", ff.InputError, r"sample_weight has the value 'b' at row 0", lambda: fit(X, Y, sample_weight=list(GROUP)))
refused("x-structured", ff.InputError, r"X has the value .* at row 0, column 0", lambda: fit(np.zeros((N, 1), [("a", float)]), Y))

# -- containers -----------------------------------------------------------------------------------------------------


def read_only(array: np.ndarray) -> np.ndarray:
    out = array.copy()
    out.flags.writeable = False
    return out


def mapped(array: np.ndarray) -> np.ndarray:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        array.tofile(file.name)
        return np.memmap(file.name, float, "r", shape=array.shape)


right("lists", lambda: fit(X.tolist(), Y.tolist()), normal)
right("tuples", lambda: fit(tuple(map(tuple, X)), tuple(Y)), normal)
right("list-of-arrays", lambda: fit(list(X), Y), normal)
right("fortran-order", lambda: fit(np.asfortranarray(X), Y), normal)
right("strided", lambda: fit(np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3], np.repeat(Y, 2)[::2]), normal)
right("reversed", lambda: fit(X[::-1], Y[::-1]), normal)
right("broadcast", lambda: fit(X, Y, sample_weight=np.broadcast_to(np.ones(1), N), offset=np.broadcast_to(np.zeros(1), N)), normal)
right("read-only", lambda: fit(read_only(X), read_only(Y), sample_weight=read_only(np.ones(N)), offset=read_only(np.zeros(N))), normal)
right("memory-mapped", lambda: fit(mapped(X), mapped(Y)), normal)
right("masked-without-mask", lambda: fit(np.ma.array(X), np.ma.array(Y)), normal)
refused("masked-x", ff.InputError, r"masked values \(first at row 2, column 1\).*missing='drop'", lambda: fit(np.ma.array(X, mask=put(X > 9, (2, 1), True)), Y))
refused("masked-y", ff.InputError, r"y is a masked array.*row 2.*remove", lambda: fit(X, np.ma.array(Y, mask=put(Y > 99, 2, True))))
refused("masked-weight", ff.InputError, r"sample_weight is a masked array.*row 2", lambda: fit(X, Y, sample_weight=np.ma.array(WEIGHT, mask=put(Y > 99, 2, True))))
refused("masked-three-dimensions", ff.InputError, r"dim 3", lambda: fit(np.ma.array(X[:, :, None], mask=True), Y))
for dtype in ("Int64", "Float64", "UInt8", "int64[pyarrow]", "double[pyarrow]"):
    right(f"nullable-{dtype}", lambda d=dtype: fit(pd.DataFrame(np.abs(WHOLE), columns=["a", "b"]).astype(d), pd.Series(Y).astype("Float64")), lambda: least_squares(np.abs(WHOLE), Y))
    refused(f"nullable-{dtype}-missing", ff.InputError, r"'a'.*row 5 \(1 in all\)", lambda d=dtype: fit(FRAME.assign(a=pd.array([*[1] * 5, None, *[2] * (N - 6)], dtype=d)), Y))
right("nullable-boolean", lambda: fit((FRAME > 0).astype("boolean"), Y), lambda: least_squares(X > 0, Y))
refused("nullable-boolean-missing", ff.InputError, r"'a'.*row 5", lambda: fit(FRAME.assign(a=pd.array([*[True] * 5, None, *[False] * (N - 6)], dtype="boolean")), Y))
refused("nullable-y-missing", ff.InputError, r"y contains NaN \(row 5", lambda: fit(FRAME, pd.Series([*[1] * 5, None, *[2] * (N - 6)], dtype="Int64")))
refused("nullable-weight-missing", ff.InputError, r"sample_weight contains NaN \(row 5", lambda: fit(FRAME, Y, sample_weight=pd.Series([*[1] * 5, None, *[2] * (N - 6)], dtype="Int64")))
DUMMIES = np.column_stack([X, GROUP == "b", GROUP == "c"])
for name, column in {
    "object": GROUP.astype(object),
    "string": pd.array(GROUP, dtype="string"),
    "string-arrow": pd.array(GROUP, dtype="string[pyarrow]"),
    "category": pd.Categorical(GROUP),
    "category-unused-level": pd.Categorical(GROUP, categories=["a", "never", "b", "c", "nor this"]),
    "category-ordered": pd.Categorical(GROUP, ordered=True),
    "dictionary-arrow": pd.Series(GROUP.tolist(), dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
}.items():
    right(f"text-{name}", lambda c=column: fit(FRAME.assign(g=c), Y), lambda: least_squares(DUMMIES, Y))
right("text-category-order", lambda: fit(FRAME.assign(g=pd.Categorical(GROUP, ["c", "b", "a"])), Y), lambda: least_squares(np.column_stack([X, GROUP == "b", GROUP == "a"]), Y))
for name, column in {
    "string": pl.Series(GROUP.tolist()),
    "categorical": pl.Series(GROUP.tolist(), dtype=pl.Categorical),
    "enum": pl.Series(GROUP.tolist(), dtype=pl.Enum(["a", "never", "b", "c"])),
}.items():
    right(f"polars-{name}", lambda c=column: fit(pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "g": c}), pl.Series(Y)), lambda: least_squares(DUMMIES, Y))
right("polars", lambda: fit(pl.DataFrame(X, schema=["a", "b"]), pl.Series("y", Y), sample_weight=pl.Series(np.ones(N))), normal)
right("polars-booleans", lambda: fit(pl.DataFrame(X > 0, schema=["a", "b"]), Y), lambda: least_squares(X > 0, Y))
refused("polars-null", ff.InputError, r"'a'.*row 0 \(1 in all\)", lambda: fit(pl.DataFrame({"a": [None, *X[1:, 0]]}), Y))
refused("polars-nan", ff.InputError, r"'a'.*row 0 \(1 in all\)", lambda: fit(pl.DataFrame({"a": [np.nan, *X[1:, 0]]}), Y))
refused("polars-lazy", ff.InputTypeError, r"y must be the name of a column", lambda: fit(pl.DataFrame(X, schema=["a", "b"]).lazy(), Y))
refused("polars-series-as-x", ff.InputError, r"single column.*Reshape", lambda: fit(pl.Series("a", X[:, 0]), Y))
right("arrow", lambda: fit(ARROW, pa.array(Y)), normal)
right("arrow-chunked", lambda: fit(pa.concat_tables([ARROW[:9], ARROW[9:]]), pa.chunked_array([Y[:9], Y[9:]])), normal)
right("arrow-batch", lambda: fit(ARROW.to_batches()[0], Y), normal)
right("arrow-dictionary", lambda: fit(pa.table({"a": X[:, 0], "b": X[:, 1], "g": pa.DictionaryArray.from_arrays([{"a": 0, "b": 1, "c": 2}[g] for g in GROUP], ["a", "b", "c", "never"])}), Y), lambda: least_squares(DUMMIES, Y))
refused("arrow-null", ff.InputError, r"'a'.*row 1", lambda: fit(pa.table({"a": [1.0, None] * (N // 2)}), Y))
for kind in ("csr_matrix", "csc_array", "coo_array"):
    right(f"sparse-{kind}", lambda k=kind: fit(getattr(scipy.sparse, k)(X), Y), normal)
refused("sparse-y", ff.InputTypeError, r"Sparse data was passed for y.*toarray", lambda: fit(X, scipy.sparse.csr_array(Y[:, None] * np.ones((1, 1)))))
refused("dictionary", ff.InputTypeError, r"got dict.*DataFrame", lambda: fit({"a": X[:, 0]}, Y))
refused("none", ff.InputError, r"X is None", lambda: fit(None, Y))
refused("word", ff.InputError, r"X: no such file or folder", lambda: fit("X", Y))
refused("series-as-x", ff.InputError, r"single column.*to_frame\(\)", lambda: fit(FRAME["a"], Y))
right("columns-integers", lambda: fit(FRAME.set_axis([0, 1], axis=1), Y), normal)
right("columns-multi-index", lambda: fit(FRAME.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]), axis=1), Y), normal)
right("columns-empty-names", lambda: fit(FRAME.set_axis(["", " "], axis=1), Y), normal)
right("columns-odd-names", lambda: fit(FRAME.set_axis(["x:y ~ 1", "`"], axis=1), Y), normal)
refused("columns-twice", ff.InputError, r"two columns called 'a'; rename", lambda: fit(FRAME.set_axis(["a", "a"], axis=1), Y))
refused("columns-twice-arrow", ff.InputError, r"two columns called 'a'; rename", lambda: fit(pa.table([ARROW["a"], ARROW["b"]], names=["a", "a"]), Y))
refused("columns-twice-as-text", ff.InputError, r"two columns called '1'; rename", lambda: fit(FRAME.set_axis([1, "1"], axis=1), Y))
refused("column-called-Intercept", ff.InputError, r"called 'Intercept'.*rename", lambda: fit(FRAME.rename(columns={"a": "Intercept"}), Y))
refused("column-called-Intercept-without-one", ff.InputError, r"called 'Intercept'.*rename", lambda: fit(FRAME.rename(columns={"a": "Intercept"}), Y, fit_intercept=False))
refused("column-called-alpha", ff.InputError, r"called 'alpha'.*rename", lambda: fit(FRAME.rename(columns={"a": "alpha"}), Y))
refused("column-called-as-a-level", ff.InputError, r"two coefficients.*'g\[T.b\]'.*rename", lambda: fit(MIXED.rename(columns={"a": "g[T.b]"}), Y))
refused("column-all-missing", ff.InputError, r"'a'.*row 0 \(40 in all\)", lambda: fit(FRAME.assign(a=np.nan), Y))
refused("column-all-none", ff.InputError, r"'a'.*row 0 \(40 in all\)", lambda: fit(FRAME.assign(a=None), Y))

# -- alignment ------------------------------------------------------------------------------------------------------

SHUFFLED = pd.Series(Y, index=np.arange(N)[::-1])
for what in ("y", "sample_weight", "offset"):
    refused(f"index-of-{what}", ff.InputError, rf"index of {what} differs from that of X \(row 0: 39 against 0\).*{what}\.loc\[X.index\].*to_numpy", lambda w=what: fit(FRAME, **{"y": Y, w: SHUFFLED.abs() if w == "sample_weight" else SHUFFLED}))
refused("index-of-exposure", ff.InputError, r"index of exposure differs", lambda: fit(FRAME, COUNT, family="poisson", exposure=SHUFFLED.abs()))
refused("index-of-y-table", ff.InputError, r"index of y differs", lambda: fit(FRAME, SHUFFLED.to_frame()))
refused("index-of-y-pair", ff.InputError, r"index of y differs", lambda: fit(FRAME, pd.DataFrame({"s": BINARY, "f": 1 - BINARY}, index=np.arange(N)[::-1]), family="binomial"))
refused("index-at-predict", ff.InputError, r"index of offset differs", lambda: fit(FRAME, Y, offset=WEIGHT).predict(FRAME, offset=SHUFFLED))
refused("index-at-score", ff.InputError, r"index of y differs", lambda: fit(FRAME, Y).score(FRAME, SHUFFLED))
right("index-of-strings", lambda: fit(FRAME.set_axis(list(map(str, range(N)))), pd.Series(Y, list(map(str, range(N))))), normal)
right("index-with-missing-labels", lambda: fit(FRAME.set_axis([np.nan, *range(1, N)]), pd.Series(Y, pd.Index([None, *range(1, N)], dtype=object))), normal)
right("index-equal-of-another-kind", lambda: fit(FRAME, pd.Series(Y, pd.Index(range(N), dtype=float))), normal)
right("columns-reordered-at-predict", lambda: fit(MIXED, Y).predict(MIXED[["g", "b", "a"]]), lambda: fit(MIXED, Y).predict(MIXED), 0.0)
right("columns-more-at-predict", lambda: fit(MIXED, Y).predict(DATA), lambda: fit(MIXED, Y).predict(MIXED), 0.0)
right("library-other-at-predict", lambda: fit(MIXED, Y).predict(pl.from_pandas(MIXED)), lambda: fit(MIXED, Y).predict(MIXED), 0.0)
right("table-after-array", lambda: fit(X, Y).predict(FRAME), lambda: fit(FRAME, Y).predict(FRAME), 1e-14)
right("levels-fewer-at-predict", lambda: fit(MIXED, Y).predict(MIXED[1:2]), lambda: fit(MIXED, Y).predict(MIXED)[1:2], 1e-14)
right("levels-in-another-order-at-predict", lambda: fit(MIXED, Y).predict(MIXED.assign(g=pd.Categorical(GROUP, ["c", "z", "b", "a"]))), lambda: fit(MIXED, Y).predict(MIXED), 0.0)
right("rows-none-at-predict", lambda: fit(MIXED, Y).predict(MIXED[:0]), np.empty(0))
refused("rows-none-of-an-array-at-predict", ff.InputError, r"0 sample\(s\)", lambda: fit(X, Y).predict(X[:0]))
refused("column-missing-at-predict", ff.InputError, r"column 'b' of the fit is missing.*\(and 1 more\).*columns are 'a'", lambda: fit(MIXED, Y).predict(MIXED[["a"]]))
refused("features-fewer-at-predict", ff.InputError, r"X has 1 features, but GLM is expecting 2 features", lambda: fit(X, Y).predict(X[:, :1]))
refused("one-dimension-at-predict", ff.InputError, r"Expected 2D array, got 1D", lambda: fit(X, Y).predict(X[0]))
refused("array-after-table", ff.InputError, r"named columns.*'a', 'b'", lambda: fit(FRAME, Y).predict(X))
refused("level-unseen", ff.InputError, r"'g' has the level 'z' \(row 4\).*not seen.*'a', 'b', 'c'", lambda: fit(MIXED, Y).predict(MIXED.assign(g=put(GROUP, 4, "z"))))
refused("level-unseen-at-score", ff.InputError, r"'g' has the level 'z' \(row 4\)", lambda: fit(MIXED, Y).score(MIXED.assign(g=put(GROUP, 4, "z")), Y))
refused("level-missing-at-predict", ff.InputError, r"'g' has a missing value at row 4", lambda: fit(MIXED, Y).predict(MIXED.assign(g=put(GROUP.astype(object), 4, None))))
refused("categorical-turned-numeric", ff.InputTypeError, r"'g' was categorical in the fit and is numeric now.*a, b, c", lambda: fit(MIXED, Y).predict(MIXED.assign(g=1.0)))
refused("numeric-turned-categorical", ff.InputTypeError, r"'a' was numeric in the fit and holds text.*convert", lambda: fit(MIXED, Y).predict(MIXED.assign(a=GROUP)))
refused("numeric-turned-categorical-formula", ff.InputTypeError, r"'a' was numeric in the fit and holds text.*convert", lambda: fit(DATA, formula="y ~ a").predict(MIXED.assign(a=GROUP)))
refused("categorical-turned-numeric-formula", ff.InputTypeError, r"'g' was categorical in the fit and is numeric now", lambda: fit(DATA, formula="y ~ a:g").predict(MIXED.assign(g=1.0)))
refused("nan-at-predict", ff.InputError, r"NaN.*'x0'.*row 2", lambda: fit(X, Y).predict(put(X, (2, 0), np.nan)))
refused("kind-at-predict", ff.InputError, r"kind: 'proba'.*'mean' or 'link'", lambda: fit(X, Y).predict(X, kind="proba"))
refused("offset-short-at-predict", ff.InputError, r"offset has 3 values", lambda: fit(X, Y).predict(X, offset=np.ones(3)))

# -- columns named for weights and offsets --------------------------------------------------------------------------

EXPOSED = FRAME.assign(w=WEIGHT, g=GROUP)
right("weight-named", lambda: fit(EXPOSED[["a", "b", "w"]], Y, sample_weight="w"), lambda: least_squares(X, Y, WEIGHT))
right("exposure-named", lambda: fit(EXPOSED[["a", "b", "w"]], COUNT, family="poisson", exposure="w").predict(EXPOSED), lambda: fit(X, COUNT, family="poisson", exposure=WEIGHT).predict(X, exposure=WEIGHT))
right("offset-named", lambda: fit(EXPOSED[["a", "b", "w"]], Y, offset="w").predict(EXPOSED), lambda: least_squares(X, Y - WEIGHT) @ np.column_stack([np.ones(N), X]).T + WEIGHT)
refused("weight-named-unknown", ff.InputError, r"sample_weight='v' is not a column.*'a', 'b', 'w', 'g'", lambda: fit(EXPOSED, Y, sample_weight="v"))
refused("weight-named-text", ff.InputTypeError, r"sample_weight='g' is a column of text.*numbers", lambda: fit(EXPOSED, Y, sample_weight="g"))
refused("offset-named-text", ff.InputTypeError, r"offset='g' is a column of text", lambda: fit(EXPOSED, Y, offset="g"))
refused("offset-named-text-at-predict", ff.InputTypeError, r"offset='w' is a column of text", lambda: fit(EXPOSED[["a", "w"]], Y, offset="w").predict(EXPOSED.assign(w=GROUP)))
refused("weight-named-text-at-score", ff.InputTypeError, r"sample_weight='g' is a column of text", lambda: fit(FRAME, Y).score(EXPOSED, Y, sample_weight="g"))
refused("offset-named-for-array", ff.InputError, r"offset='w' names a column, but X is an array", lambda: fit(X, Y, offset="w"))
refused("exposure-named-missing-at-predict", ff.InputError, r"'w'.*columns are 'a', 'b'", lambda: fit(EXPOSED[["a", "b", "w"]], COUNT, family="poisson", exposure="w").predict(FRAME))
refused("exposure-named-then-array", ff.InputError, r"named columns", lambda: fit(EXPOSED[["a", "w"]], COUNT, family="poisson", exposure="w").predict(X[:, :1]))

# -- scales and designs ---------------------------------------------------------------------------------------------

for unit in (1e-200, 1e-12, 1e12, 1e24, 1e200):
    right(f"x-unit-{unit:g}", lambda u=unit: fit(X * u, COUNT, family="poisson"), lambda u=unit: coefficients(fit(X, COUNT, family="poisson")) / [1, u, u])
    right(f"x-unit-{unit:g}-errors", lambda u=unit: fit(X * u, COUNT, family="poisson").result_.bse, lambda u=unit: fit(X, COUNT, family="poisson").result_.bse.to_numpy() / [1, u, u])
add("x-unit-1e-310", Entry(lambda: fit(X_TINY, Y), error=ff.InputError, says=r"'x0'"))
right("x-columns-1e-12-and-1e12", lambda: coefficients(fit(X * [1e-12, 1e12], COUNT, family="poisson")) * [1, 1e-12, 1e12], lambda: fit(X, COUNT, family="poisson"))
right("x-shift-1e8", lambda: fit(WHOLE + 1e8, COUNT, family="poisson").coef_, lambda: fit(WHOLE, COUNT, family="poisson").coef_)
right("x-shift-1e8-predict", lambda: fit(WHOLE + 1e8, COUNT, family="poisson").predict(WHOLE + 1e8), lambda: fit(WHOLE, COUNT, family="poisson").predict(WHOLE), 1e-8)


def same_predictions(aliased: list[str]) -> Callable[[Any], None]:
    """A design of deficient rank: the aliased columns named, predictions those of the columns that are left."""

    def check(model: ff.GLM) -> None:
        assert model.aliased_ == aliased
        assert model.rank_ == len(model.result_.params) - len(aliased)
        np.testing.assert_allclose(model.predict(DEFICIENT[model.n_features_in_]), fit(X, COUNT, family="poisson").predict(X), rtol=1e-9)
        assert model.result_.bse[aliased].isna().all()

    return check


DEFICIENT = {3: np.column_stack([X, X @ [1.0, -2.0]]), 4: np.column_stack([X[:, 0], np.full(N, 3.0), X[:, 1], np.zeros(N)])}
warned("collinear", ff.RankWarning, r"1 of 4 columns.*x2.*minimum-norm", lambda: fit(DEFICIENT[3], COUNT, family="poisson"), same_predictions(["x2"]))
warned("constant-and-zero-columns", ff.RankWarning, r"2 of 5 columns.*x1, x3", lambda: fit(DEFICIENT[4], COUNT, family="poisson"), same_predictions(["x1", "x3"]))


def least_norm(model: ff.GLM) -> None:
    centred = DEFICIENT[3] - DEFICIENT[3].mean(axis=0)
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(centred, rcond=1e-10) @ Y, rtol=1e-8)


warned("collinear-least-norm", ff.RankWarning, r"x2", lambda: fit(DEFICIENT[3], Y), least_norm)
FULL = pd.get_dummies(GROUP)
warned("all-dummies", ff.RankWarning, r"1 of 4 columns.*: c\.", lambda: fit(FULL, Y), lambda m: np.testing.assert_allclose(m.predict(FULL), pd.Series(Y).groupby(GROUP).transform("mean")))
warned("all-dummies-and-text", ff.RankWarning, r"3 of 6 columns.*: c, g", lambda: fit(FULL.assign(g=GROUP), Y), lambda m: np.testing.assert_allclose(m.predict(FULL.assign(g=GROUP)), pd.Series(Y).groupby(GROUP).transform("mean")))
warned("text-of-one-level-and-constant", ff.RankWarning, r"k", lambda: fit(FRAME.assign(g="same", k=2.0), Y), lambda m: np.testing.assert_allclose(m.predict(FRAME.assign(g="same", k=2.0)), np.column_stack([np.ones(N), X]) @ normal()))
right("text-of-one-level", lambda: fit(FRAME.assign(g="same"), Y), normal)
warned("column-twice-under-two-names", ff.RankWarning, r"c", lambda: fit(FRAME.assign(c=X[:, 0]), Y), lambda m: np.testing.assert_allclose(m.coef_, normal()[[1, 2, 1]] / [2, 1, 2]))


def exact(value: float) -> Callable[[Any], None]:
    def check(model: ff.GLM) -> None:
        np.testing.assert_allclose(model.predict(X), np.full(N, value), rtol=1e-12)
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-14)
        assert model.dispersion_ == 0.0
        assert model.converged_
        assert (model.result_.bse == 0.0).all()

    return check


warned("constant-y", ff.ExactFitWarning, r"dispersion 0", lambda: fit(X, np.full(N, 0.1)), exact(0.1))
warned("constant-y-gamma", ff.ExactFitWarning, r"dispersion 0", lambda: fit(X, np.full(N, 0.1), family="gamma"), exact(0.1))
warned("constant-y-inverse-gaussian", ff.ExactFitWarning, r"dispersion 0", lambda: fit(X, np.full(N, 0.1), family="inverse_gaussian"), exact(0.1))
warned("zero-y", ff.ExactFitWarning, r"dispersion 0", lambda: fit(X, np.zeros(N)), exact(0.0))
warned("exact-line", ff.ExactFitWarning, r"dispersion 0", lambda: fit(X, 1 + X @ [2.0, 3.0]), lambda m: np.testing.assert_allclose(coefficients(m), [1, 2, 3], rtol=1e-13))
right("constant-counts", lambda: fit(X, np.full(N, 2.0), family="poisson").predict(X), np.full(N, 2.0))


def separated(rows: Any, coefs: dict[str, str], limit: Any) -> Callable[[Any], None]:
    def check(model: ff.GLM) -> None:
        assert model.separation_
        np.testing.assert_array_equal(model.separation_.rows, rows)
        assert model.separation_.coefficients == coefs
        np.testing.assert_allclose(model.predict(SEPARATED), limit, atol=1e-9)
        assert np.isinf(model.result_.bse[list(coefs)]).all()
        assert np.isfinite(model.result_.bse.drop(list(coefs))).all()

    return check


SEPARATED = pd.DataFrame({"x": np.repeat([0.0, 1.0, 2.0], [10, 10, 20]), "z": np.tile([0.0, 1.0], N // 2)})
SPLIT = (SEPARATED["x"] == 2).to_numpy(float)
QUASI = np.where(SEPARATED["x"] == 1, np.tile([0.0, 0.0, 1.0, 1.0], N // 4), SPLIT)
warned("separation-complete", ff.SeparationWarning, r"40 of 40 rows are separated.*infinite", lambda: fit(SEPARATED[["x"]], SPLIT, family="binomial"), separated(np.ones(N, bool), {"Intercept": "-inf", "x": "+inf"}, SPLIT))
warned("separation-quasi", ff.SeparationWarning, r"30 of 40 rows", lambda: fit(SEPARATED[["x"]], QUASI, family="binomial"), separated(SEPARATED["x"] != 1, {"Intercept": "-inf", "x": "+inf"}, np.where(SEPARATED["x"] == 1, 0.6, QUASI)))
warned("separation-counts", ff.SeparationWarning, r"20 of 40 rows.*x \(\+inf\)", lambda: fit((SEPARATED[["x"]] == 2), np.where(SPLIT, COUNT, 0.0), family="poisson"), lambda m: np.testing.assert_array_equal(m.separation_.rows, SPLIT == 0))
warned("counts-all-zero", ff.SeparationWarning, r"40 of 40 rows.*Intercept \(-inf\)", lambda: fit(X, np.zeros(N), family="poisson"), lambda m: np.testing.assert_allclose(m.predict(X), 0.0, atol=1e-12))
warned("counts-all-zero-negative-binomial", ff.SeparationWarning, r"40 of 40 rows", lambda: fit(X, np.zeros(N), family="negative_binomial"), lambda m: np.testing.assert_allclose(m.predict(X), 0.0, atol=1e-12))
warned("counts-all-zero-tweedie", ff.SeparationWarning, r"40 of 40 rows", lambda: fit(X, np.zeros(N), family="tweedie"), lambda m: np.testing.assert_allclose(m.predict(X), 0.0, atol=1e-12))
warned("binary-all-one", ff.SeparationWarning, r"40 of 40 rows.*Intercept \(\+inf\)", lambda: fit(X, np.ones(N), family="binomial"), lambda m: np.testing.assert_allclose(m.predict(X), 1.0, atol=1e-12))
warned("saturated-binomial", ff.SeparationWarning, r"3 of 3 rows", lambda: fit(X[:3], [1.0, 0.0, 1.0], family="binomial"), lambda m: np.testing.assert_allclose(m.predict(X[:3]), [1, 0, 1], atol=1e-9))


def on_the_edge(model: ff.GLM) -> None:
    assert model.converged_
    assert model.boundary_["rows"].size
    assert np.all(model.predict(EDGE) >= 0.0)


EDGE = np.arange(8.0)[:, None]
warned("boundary", ff.BoundaryWarning, r"edge.*row 0", lambda: fit(EDGE, [0.0, 0, 1, 2, 4, 5, 8, 9], family="poisson", link="identity"), on_the_edge)
warned("boundary-alpha", ff.BoundaryWarning, r"edge.*alpha", lambda: fit(EDGE, [3.0, 3, 4, 4, 5, 5, 6, 7], family="negative_binomial"), lambda m: np.testing.assert_allclose([m.alpha_, *coefficients(m)], [0.0, *coefficients(fit(EDGE, [3.0, 3, 4, 4, 5, 5, 6, 7], family="poisson"))], rtol=1e-9))

# -- responses outside the family -----------------------------------------------------------------------------------

for family, value, needs in (
    ("poisson", -1.0, "at least 0"),
    ("negative_binomial", -1.0, "at least 0"),
    ("geometric", -1.0, "at least 0"),
    ("tweedie", -0.5, "at least 0"),
    ("gamma", 0.0, r"greater than 0.*Tweedie"),
    ("gamma", -1.0, "greater than 0"),
    ("inverse_gaussian", 0.0, r"greater than 0.*Tweedie"),
    ("binomial", 2.0, r"\[0, 1\].*sample_weight.*two columns"),
    ("binomial", -0.5, r"\[0, 1\]"),
):
    refused(f"support-{family}-{value:g}", ff.InputError, rf"y has the value {value:g} at row 5.*{family}.*{needs}", lambda f=family, v=value: fit(X, put(np.ones(N), 5, v), family=f))
    refused(f"support-{family}-{value:g}-at-score", ff.InputError, rf"y has the value {value:g} at row 5", lambda f=family, v=value: fit(X, BINARY if f == "binomial" else OVER + (f in ("gamma", "inverse_gaussian")), family=f).score(X, put(np.ones(N), 5, v)))
PAIR = np.column_stack([COUNT, np.rint(3 * POSITIVE)])
refused("failures-negative", ff.InputError, r"y has -1 failures at row 3.*at least 0", lambda: fit(X, put(PAIR, (3, 1), -1.0), family="binomial"))
refused("successes-negative", ff.InputError, r"y has -1 successes at row 3", lambda: fit(X, put(PAIR, (3, 0), -1.0), family="binomial"))
refused("successes-nan", ff.InputError, r"y \(successes\) contains NaN \(row 3", lambda: fit(X, put(PAIR, (3, 0), np.nan), family="binomial"))
refused("successes-text", ff.InputTypeError, r"successes and failures, not text", lambda: fit(FRAME, MIXED[["g", "a"]], family="binomial"))
refused("trials-all-zero", ff.InputError, r"weight 0 or 0 trials", lambda: fit(X, np.zeros((N, 2)), family="binomial"))
refused("trials-overflow", ff.InputError, r"successes \+ failures.*too large", lambda: fit(X, put(PAIR, 3, 1e308), family="binomial"))
right("trials-zero-in-a-row", lambda: fit(X, put(PAIR, 3, 0.0), family="binomial"), lambda: fit(np.delete(X, 3, 0), np.delete(PAIR, 3, 0), family="binomial"))
right("proportions-with-trials", lambda: fit(X, (PAIR[:, 0] / np.maximum(PAIR.sum(1), 1)), sample_weight=PAIR.sum(1), family="binomial"), lambda: fit(X, PAIR, family="binomial"))


def quasi(model: ff.GLM) -> None:
    assert np.isnan(model.result_.llf)
    assert np.isnan(model.result_.aic)
    assert model.converged_
    np.testing.assert_allclose(coefficients(model), coefficients(fit(X, COUNT, family="poisson")) - [np.log(2), 0, 0], rtol=1e-9)


warned("counts-not-whole", ff.NonIntegerWarning, r"not whole numbers \(row \d+: [\d.]+\).*AIC are NaN", lambda: fit(X, COUNT / 2, family="poisson"), quasi)
warned("trials-not-whole", ff.NonIntegerWarning, r"not whole numbers \(row \d+\)", lambda: fit(X, PAIR / 2, family="binomial"), lambda m: np.testing.assert_allclose([*coefficients(m), m.result_.llf], [*coefficients(fit(X, PAIR, family="binomial")), np.nan]))
for power in (0.5, 1.0, 2.0, 3.0, -1.0, np.nan):
    refused(f"tweedie-power-{power:g}", ff.InputError, rf"power.*{power:g}|{power:g}.*power", lambda p=power: fit(X, POSITIVE, family=ff.Tweedie(power=p)))
for alpha in (-1.0, np.nan, np.inf):
    refused(f"negative-binomial-alpha-{alpha:g}", ff.InputError, rf"alpha.*{alpha:g}", lambda a=alpha: fit(X, COUNT, family=ff.NegativeBinomial(alpha=a)))

# -- names and numbers in the constructor ---------------------------------------------------------------------------

refused("family-unknown", ff.InputError, r"'poison' is not a family.*poisson", lambda: fit(X, COUNT, family="poison"))
refused("family-none", ff.InputTypeError, r"family.*NoneType.*poisson", lambda: fit(X, COUNT, family=None))
refused("link-unknown", ff.InputError, r"'logg' is not a link.*log, ", lambda: fit(X, COUNT, link="logg"))
refused("link-number", ff.InputError, r"3 is not a link", lambda: fit(X, COUNT, link=3))
refused("link-undefined", ff.InputError, r"'logit' is not defined for the poisson family; choose one of log, identity, sqrt", lambda: fit(X, COUNT, family="poisson", link="logit"))
refused("link-undefined-binomial", ff.InputError, r"'sqrt' is not defined for the binomial family; choose one of logit, probit", lambda: fit(X, BINARY, family="binomial", link="sqrt"))
refused("link-power-zero", ff.InputError, r"power|log", lambda: fit(X, POSITIVE, family="gamma", link="power(0)"))
refused("dispersion-unknown", ff.InputError, r"'person' is not known.*'pearson', 'deviance', 'ml'", lambda: fit(X, Y, dispersion="person"))
for value in (0.0, -1.0, np.nan, np.inf, True, 1j):
    refused(f"dispersion-{value}", ff.InputError, r"dispersion: .*positive and finite", lambda v=value: fit(X, Y, dispersion=v))
refused("dispersion-array", ff.InputError, r"dispersion", lambda: fit(X, Y, dispersion=np.ones(2)))
refused("weight-type-unknown", ff.InputError, r"'freq' is not known.*'analytic', 'frequency', 'probability'", lambda: fit(X, Y, weight_type="freq"))
refused("weight-type-array", ff.InputError, r"weight_type", lambda: fit(X, Y, weight_type=np.ones(2)))
refused("missing-unknown", ff.InputError, r"missing: 'omit'.*'raise' or 'drop'", lambda: fit(X, Y, missing="omit"))
refused("cov-type-unknown", ff.InputError, r"cov_type: 'HC9'.*'HC0'", lambda: fit(X, Y, cov_type="HC9"))
for value in (-1, 2.5, True, "10", None):
    refused(f"max-iter-{value}", ff.InputError, rf"max_iter must be a whole number.*got {value!r}", lambda v=value: fit(X, Y, max_iter=v))
for value in (-1.0, np.nan, "1", None):
    refused(f"tol-{value}", ff.InputError, rf"tol must be a number.*got {value!r}", lambda v=value: fit(X, Y, tol=v))
for value in (0, "2", 1.5, True):
    refused(f"n-jobs-{value}", ff.InputError, rf"n_jobs.*got {value!r}", lambda v=value: fit(X, Y, n_jobs=v))
right("n-jobs-numpy", lambda: fit(X, Y, n_jobs=np.int64(2)), normal)
refused("fit-intercept-word", ff.InputTypeError, r"fit_intercept must be True or False, got 'yes'", lambda: fit(X, Y, fit_intercept="yes"))
refused("verbose-word", (ff.InputError, ff.InputTypeError), r"verbose", lambda: fit(X, Y, verbose="loud"))
refused("start-shape", ff.InputError, r"start_params has shape \(2,\), but the model has 3 coefficients \(Intercept, x0, x1\)", lambda: fit(X, Y, start_params=[0.0, 0.0]))
refused("start-nan", ff.InputError, r"start_params has the value nan at position 1", lambda: fit(X, Y, start_params=[0.0, np.nan, 0.0]))
refused("start-text", ff.InputError, r"start_params", lambda: fit(X, Y, start_params=["a", "b", "c"]))
refused("start-ragged", ff.InputError, r"start_params", lambda: fit(X, Y, start_params=[[1.0], [2.0, 3.0]]))
refused("start-complex", (ff.InputError, ff.InputTypeError), r"start_params", lambda: fit(X, Y, start_params=[1j, 0, 0]))
right("start-absurd", lambda: fit(X, COUNT, family="poisson", start_params=[1e3, -1e3, 1e3]), lambda: fit(X, COUNT, family="poisson"))
right("start-absurd-1e300", lambda: fit(X, COUNT, family="poisson", start_params=[1e300, -1e300, 1e300]), lambda: fit(X, COUNT, family="poisson"))
right("start-absurd-logit", lambda: fit(X, BINARY, family="binomial", start_params=[-1.81, 5.0, 30.0]), lambda: fit(X, BINARY, family="binomial"))
right("start-of-user-units", lambda: fit(X * 1e9, COUNT, family="poisson", start_params=[0.5, 4e-10, 0.0]), lambda: coefficients(fit(X, COUNT, family="poisson")) / [1, 1e9, 1e9])


def stopped(model: ff.GLM) -> None:
    assert model.converged_ is False
    assert model.n_iter_ == 1
    assert model.certificate_.decrement > 1e-4


for steps in (0, 1):
    warned(f"max-iter-{steps}-warns", ff.ConvergenceWarning, rf"not converged after {steps} steps: the limit of max_iter={steps}.*start_params", lambda k=steps: fit(X, COUNT, family="poisson", max_iter=k), stopped)

# -- formulas -------------------------------------------------------------------------------------------------------

for name, text, says in (
    ("no-tilde", "y", r"exactly one '~'"),
    ("two-tildes", "y ~ a ~ b", r"exactly one '~'"),
    ("empty", "", r"exactly one '~'"),
    ("empty-right", "y ~", r"nothing on its right.*'~ 1'"),
    ("unknown-column", "y ~ aa", r"no column 'aa'; did you mean 'a'\? its columns are a, b, g"),
    ("unknown-response", "count2 ~ a", r"no column 'count2'; did you mean 'count'\?"),
    ("unknown-in-function", "y ~ log(ab)", r"no column 'ab'"),
    ("unknown-quoted", "y ~ `no such`", r"no column 'no such'"),
    ("unknown-function", "y ~ sine(a)", r"'sine' in .* is not a function that a formula knows.*log.*np\.sin"),
    ("function-as-column", "y ~ log", r"no column 'log'"),
    ("response-constant", "1 ~ a", r"response '1'.*names no column.*a, b"),
    ("response-text-in-function", "log(g) ~ a", r"'log\(g\)'.*cannot be evaluated.*'g' holds text.*g == "),
    ("syntax", "y ~ a +* b", r"cannot be read"),
    ("parenthesis", "y ~ log(a", r"cannot be read"),
    ("brackets", "y ~ a[0]", r"not allowed"),
    ("parts", "y ~ a | b", r"several parts"),
    ("dot", "y ~ .", r"cannot be read"),
    ("word", "y ~ a + 'b'", r"cannot be read"),
    ("import", "y ~ I(__import__('os').getcwd())", r"not a(llowed| function)"),
    ("import-in-response", "__import__('os').getcwd() ~ a", r"not a(llowed| function)"),
    ("builtin", "y ~ I(open('/etc/passwd'))", r"'open'.*not a function"),
    ("eval", "y ~ I(eval('1'))", r"'eval'.*not a function"),
    ("lambda", "y ~ I((lambda v: v)(a))", r"not allowed"),
    ("comprehension", "y ~ I([v for v in a])", r"not allowed"),
    ("attribute", "y ~ I(a.values)", r"not allowed.*'values'"),
    ("method", "y ~ I(a.to_csv('/tmp/x'))", r"not allowed.*'to_csv'"),
    ("method-in-response", "y.abs() ~ a", r"not allowed.*'abs'"),
    ("dunder", "y ~ {a.__class__}", r"not allowed.*'__class__'"),
    ("numpy-file", "y ~ I(np.fromfile('/etc/passwd'))", r"not allowed.*'fromfile'"),
    ("numpy-file-in-response", "np.loadtxt('/etc/passwd') ~ a", r"not allowed.*'loadtxt'"),
    ("numpy-module", "y ~ I(np.ctypeslib.ctypes)", r"not allowed"),
    ("numpy-method-of-function", "y ~ I(np.add.reduce(a))", r"not allowed.*'reduce'"),
    ("output-argument", "y ~ np.log(a, out=b)", r"not allowed.*'out'"),
    ("hidden-argument", "y ~ center(a, _state=b)", r"not allowed.*'_state'"),
    ("f-string", 'y ~ I(f"{a}")', r"not allowed"),
    ("backtick-in-string", "y ~ I('`' and eval('1') and '`')", r"backtick"),
    ("backslash", r"y ~ I('\\x41' == g)", r"cannot be read"),
    ("walrus", "y ~ I((z := a))", r"not allowed|cannot be read"),
    ("contrast-unknown", "y ~ C(g, contr.mro)", r"not allowed.*'mro'"),
    ("level-unknown", "y ~ C(g, Treatment('z'))", r"cannot be evaluated"),
    ("levels-too-few", "y ~ C(g, levels=['a'])", r"cannot be evaluated"),
    ("text-as-number", "y ~ log(g)", r"cannot be evaluated"),
    ("nesting", "y ~ I(" + "-" * 50_000 + "a)", r"cannot be read"),
    ("offset-unclosed", "y ~ a + offset(b", r"cannot be read"),
    ("offset-subtracted", "y ~ a - offset(b)", r"offset.*term of its own"),
    ("offset-in-product", "y ~ a:offset(b)", r"offset"),
    ("offset-text", "y ~ a + offset(g)", r"'g'.*cannot be evaluated as numbers"),
    ("offset-empty", "y ~ a + offset()", r"cannot be read|offset"),
    ("bad-argument", "y ~ bs(a, df=1)", r"cannot be evaluated"),
    ("null-byte", "y ~ a\0", r"cannot be read|no column"),
    ("column-called-Intercept", "y ~ Intercept", r"no column 'Intercept'"),
):
    refused(f"formula-{name}", ff.FormulaError, says, lambda t=text: fit(DATA, formula=t))
refused("formula-response-text", ff.InputError, r"response 'g' holds text or categories \(a, b, c\).*\(g == 'c'\)", lambda: fit(DATA, formula="g ~ a"))
refused("formula-response-all-missing", ff.InputError, r"y contains NaN \(row 0, 40", lambda: fit(DATA.assign(y=None), formula="y ~ a"))
refused("formula-number", ff.FormulaError, r"expected a string.*int", lambda: fit(DATA, formula=3))
refused("formula-of-array", ff.InputError, r"table with named columns", lambda: fit(X, Y, formula="y ~ a"))
refused("formula-column-called-Intercept-without-one", ff.InputError, r"called 'Intercept'.*rename", lambda: fit(DATA.rename(columns={"a": "Intercept"}), formula="y ~ 0 + Intercept"))
refused("formula-column-called-alpha", ff.InputError, r"called 'alpha'.*rename", lambda: fit(DATA.rename(columns={"a": "alpha"}), formula="y ~ alpha + b"))
refused("formula-nothing", ff.InputError, r"no term and no intercept", lambda: fit(DATA, formula="y ~ 0"))
refused("formula-no-response", ff.FormulaError, r"no response on its left.*'y ~ \.\.\.' or pass y", lambda: fit(DATA, formula="~ a"))
refused("formula-log-of-zero", ff.FormulaError, r"the term 'log\(b\)' of the formula is -inf at row 6.*logarithm of 0", lambda: fit(DATA.assign(b=put(POSITIVE, 6, 0.0)), formula="y ~ log(b)"))
refused("formula-log-of-negative", ff.FormulaError, r"the term 'log\(b\)' of the formula is nan at row 6", lambda: fit(DATA.assign(b=put(POSITIVE, 6, -1.0)), formula="y ~ log(b)"))
refused("formula-log-of-zero-response", ff.InputError, r"y contains infinity.*row 6", lambda: fit(DATA.assign(y=put(POSITIVE, 6, 0.0)), formula="log(y) ~ a"))
refused("formula-log-of-zero-offset", ff.FormulaError, r"'offset\(log\(b\)\)' of the formula is -inf at row 6", lambda: fit(DATA.assign(b=put(POSITIVE, 6, 0.0)), formula="y ~ a + offset(log(b))"))
refused("formula-log-of-zero-offset-at-predict", ff.FormulaError, r"'offset\(log\(b\)\)'.*-inf at row 6", lambda: fit(DATA.assign(b=POSITIVE), formula="y ~ a + offset(log(b))").predict(DATA.assign(b=put(POSITIVE, 6, 0.0))))
refused("formula-nan", ff.InputError, r"'a' has a missing value at row 6.*missing='drop'", lambda: fit(DATA.assign(a=put(X[:, 0], 6, np.nan)), formula="y ~ bs(a, df=4)"))
refused("formula-nan-response", ff.InputError, r"y contains NaN \(row 6", lambda: fit(DATA.assign(y=put(Y, 6, np.nan)), formula="(y > 1) ~ a", family="binomial"))
refused("formula-two-responses", ff.InputError, r"two columns.*not for poisson", lambda: fit(DATA, formula="count + y ~ a", family="poisson"))
refused("formula-and-another-y", ff.InputError, r"y was given, and differs from the response.*leave y out.*'~ a'", lambda: fit(DATA, WEIGHT, formula="y ~ a"))
refused("formula-offset-short", ff.InputError, r"offset has 3 values", lambda: fit(DATA, formula="y ~ a + offset(b)", offset=np.ones(3)))
refused("formula-offset-index", ff.InputError, r"index of offset differs", lambda: fit(DATA, formula="y ~ a + offset(b)", offset=SHUFFLED))
refused("formula-column-missing-at-predict", ff.InputError, r"'b'.*columns are 'a'", lambda: fit(DATA, formula="y ~ a + b").predict(FRAME[["a"]]))
refused("formula-offset-missing-at-predict", ff.InputError, r"'b'.*columns are 'a'", lambda: fit(DATA, formula="y ~ a + offset(b)").predict(FRAME[["a"]]))
refused("formula-array-at-predict", ff.InputError, r"table with named columns", lambda: fit(DATA, formula="y ~ a + b").predict(X))
refused("formula-spline-outside", ff.FormulaError, r"bs\(a, df=4\).*bounds.*extrapolation", lambda: fit(DATA, formula="y ~ bs(a, df=4)").predict(FRAME + 99))
refused("formula-lag", ff.FormulaError, r"'lag\(a\)' of the formula is nan at row 0", lambda: fit(DATA, formula="y ~ lag(a)"))
refused("formula-constant-term", ff.FormulaError, r"cannot be evaluated", lambda: fit(DATA, formula="y ~ I(3)"))
right("formula-spline-of-no-rows", lambda: fit(DATA, formula="y ~ bs(a, df=4) + b:g").predict(DATA[:0]), np.empty(0))
UNSEEN = MIXED.assign(g=put(GROUP, 4, "z"))
for name, text in {"main": "y ~ g", "interaction": "y ~ a:g + b", "crossed": "y ~ a*g", "contrast": "y ~ C(g, contr.sum)", "coded": "y ~ C(g)", "comparison": "y ~ I(g == 'a')"}.items():
    refused(f"formula-level-unseen-{name}", ff.InputError, r"'g' has the level 'z' \(row 4\), which the fit has not seen; its levels are 'a', 'b', 'c'", lambda t=text: fit(DATA, formula=t).predict(UNSEEN))
CODED = DATA.assign(k=np.repeat([1, 2, 3, 5], N // 4))
for name, text in {"main": "y ~ C(k)", "interaction": "y ~ C(k):a"}.items():
    refused(f"formula-number-unseen-{name}", ff.InputError, r"'k' has the level 4 \(row 0\).*not seen; its levels are 1, 2, 3, 5", lambda t=text: fit(CODED, formula=t).predict(CODED.assign(k=4)))
refused("formula-expression-unseen", ff.FormulaError, r"cannot be evaluated on this table.*not seen", lambda: fit(CODED, formula="y ~ C(k * 2):a").predict(CODED.assign(k=4)))
right("formula-quoted", lambda: fit(DATA.rename(columns={"a": "an a", "y": "the y"}), formula="`the y` ~ `an a` + b"), normal)
right("formula-quoted-in-function", lambda: fit(DATA.rename(columns={"y": "the y"}).assign(**{"the y": np.exp(Y)}), formula="log(`the y`) ~ a + b"), normal)
right("formula-colon-in-name", lambda: fit(DATA.rename(columns={"a": "a:b"}), formula="y ~ `a:b` + b"), normal)
right("formula-response-compared", lambda: fit(DATA, formula="(g == 'a') ~ a + b", family="binomial"), lambda: fit(X, GROUP == "a", family="binomial"))
right("formula-boolean-column", lambda: fit(DATA.assign(a=X[:, 0] > 0), formula="y ~ a + b"), lambda: least_squares(np.column_stack([X[:, 0] > 0, X[:, 1]]), Y))
right("formula-small-integers", lambda: fit(DATA.assign(a=np.int8(WHOLE[:, 0] + 100)), formula="y ~ I(a**2)"), lambda: least_squares((WHOLE[:, :1] + 100) ** 2, Y))
right("formula-nullable", lambda: fit(DATA.assign(a=pd.array(WHOLE[:, 0], dtype="Int64")), formula="y ~ a:b"), lambda: least_squares(WHOLE[:, :1] * X[:, 1:], Y))
right("formula-polars", lambda: fit(pl.from_pandas(DATA), formula="y ~ a*g"), lambda: fit(DATA, formula="y ~ a*g"), 0.0)
right("formula-arrow", lambda: fit(pa.Table.from_pandas(DATA), formula="y ~ a*g"), lambda: fit(DATA, formula="y ~ a*g"), 0.0)
right("formula-and-the-same-y", lambda: fit(DATA, Y, formula="y ~ a + b"), normal)
right("formula-and-the-same-pair", lambda: fit(DATA.assign(s=PAIR[:, 0], f=PAIR[:, 1]), PAIR, formula="s + f ~ a + b", family="binomial"), lambda: fit(X, PAIR, family="binomial"))
refused("formula-and-another-pair", ff.InputError, r"y was given, and differs", lambda: fit(DATA.assign(s=PAIR[:, 0], f=PAIR[:, 1]), PAIR[:, ::-1], formula="s + f ~ a", family="binomial"))
right("formula-without-response", lambda: fit(FRAME, Y, formula="~ a + b"), normal)
right("formula-null-model", lambda: fit(DATA, formula="y ~ 1"), [Y.mean()])
right("formula-offset-only", lambda: fit(DATA, formula="y ~ offset(a)"), [(Y - X[:, 0]).mean()])
right("formula-offset-and-argument", lambda: fit(DATA, formula="y ~ a + offset(b)", offset="b"), lambda: least_squares(X[:, :1], Y - 2 * X[:, 1]))
UNUSED = DATA.assign(g=pd.Categorical(GROUP, ["never", "a", "b", "nor this", "c"]))
for name, text in {"main": "y ~ g", "coded": "y ~ C(g)", "interaction": "y ~ a:g + b", "both": "y ~ g + a:g", "no-intercept": "y ~ 0 + g:a + g", "contrast": "y ~ C(g, contr.sum)"}.items():
    right(f"formula-unused-level-{name}", lambda t=text: fit(UNUSED, formula=t), lambda t=text: fit(DATA, formula=t), 1e-12)
right("formula-no-intercept-two-factors", lambda: fit(CODED, formula="y ~ 0 + g + C(k, Treatment(2))").predict(CODED), lambda: fit(CODED, formula="y ~ g + C(k)").predict(CODED), 1e-9)

# -- missing values to be dropped -----------------------------------------------------------------------------------


def dropped(count: int, expected: Callable[[], Any]) -> Callable[[Any], None]:
    def check(model: ff.GLM) -> None:
        assert model.result_.dropped_rows == count
        assert model.result_.nobs == N - count
        np.testing.assert_allclose(coefficients(model), expected(), rtol=1e-10)

    return check


HOLES = DATA.assign(a=put(X[:, 0], [1, 2], np.nan), y=put(Y, [2, 3], np.nan), w=put(WEIGHT, 4, np.nan))
KEPT = np.array([0, *range(5, N)])
for name, run, count, expected in (
    ("array", lambda: fit(put(X, ([1, 2], [0, 1]), np.nan), put(Y, 3, np.nan), missing="drop"), 3, lambda: least_squares(np.delete(X, [1, 2, 3], 0), np.delete(Y, [1, 2, 3]))),
    ("table", lambda: fit(HOLES[["a", "b"]], HOLES["y"], missing="drop"), 3, lambda: least_squares(np.delete(X, [1, 2, 3], 0), np.delete(Y, [1, 2, 3]))),
    ("weights", lambda: fit(HOLES[["a", "b", "w"]], HOLES["y"], sample_weight="w", missing="drop"), 4, lambda: least_squares(X[KEPT], Y[KEPT], WEIGHT[KEPT])),
    ("offset", lambda: fit(HOLES[["a", "b", "w"]], HOLES["y"], offset="w", missing="drop"), 4, lambda: least_squares(X[KEPT], Y[KEPT] - WEIGHT[KEPT])),
    ("text", lambda: fit(FRAME.assign(g=put(GROUP.astype(object), 0, None)), Y, missing="drop"), 1, lambda: least_squares(DUMMIES[1:], Y[1:])),
    ("only-row-of-a-level", lambda: fit(FRAME.assign(g=put(GROUP.astype(object), 0, "rare"), a=put(X[:, 0], 0, np.nan)), Y, missing="drop"), 1, lambda: least_squares(DUMMIES[1:], Y[1:])),
    ("formula", lambda: fit(HOLES, formula="y ~ a + b", missing="drop"), 3, lambda: least_squares(np.delete(X, [1, 2, 3], 0), np.delete(Y, [1, 2, 3]))),
    ("formula-spline", lambda: fit(HOLES, formula="y ~ bs(a, df=4)", missing="drop"), 3, lambda: coefficients(fit(DATA.drop([1, 2, 3]), formula="y ~ bs(a, df=4)"))),
    ("formula-polynomial", lambda: fit(HOLES, formula="y ~ poly(a, 2)", missing="drop"), 3, lambda: coefficients(fit(DATA.drop([1, 2, 3]), formula="y ~ poly(a, 2)"))),
    ("formula-centred", lambda: fit(HOLES, formula="y ~ center(a)", missing="drop"), 3, lambda: coefficients(fit(DATA.drop([1, 2, 3]), formula="y ~ center(a)"))),
    ("formula-offset", lambda: fit(HOLES, formula="y ~ b + offset(a)", missing="drop"), 3, lambda: coefficients(fit(DATA.drop([1, 2, 3]), formula="y ~ b + offset(a)"))),
    ("unused-column", lambda: fit(HOLES, formula="y ~ b", missing="drop"), 2, lambda: least_squares(np.delete(X[:, 1:], [2, 3], 0), np.delete(Y, [2, 3]))),
):
    warned(f"drop-{name}", ff.MissingValuesWarning, rf"{count} of 40 rows", run, dropped(count, expected))
warned("drop-pair", ff.MissingValuesWarning, r"1 of 40 rows", lambda: fit(X, put(PAIR, (3, 0), np.nan), family="binomial", missing="drop"), lambda m: np.testing.assert_allclose(coefficients(m), coefficients(fit(np.delete(X, 3, 0), np.delete(PAIR, 3, 0), family="binomial"))))
right("drop-nothing", lambda: fit(FRAME, Y, missing="drop"), normal)
refused("drop-all-rows", ff.InputError, r"every row has a missing value.*nothing is left", lambda: fit(FRAME.assign(a=np.nan), Y, missing="drop"))
refused("drop-all-rows-formula", ff.InputError, r"every row has a missing value", lambda: fit(DATA.assign(a=np.nan), formula="y ~ bs(a, df=4)", missing="drop"))
refused("drop-all-rows-of-y", ff.InputError, r"every row has a missing value", lambda: fit(FRAME, np.full(N, np.nan), missing="drop"))
refused("drop-infinite", ff.InputError, r"'a'.*inf at row 3", lambda: fit(FRAME.assign(a=put(X[:, 0], 3, np.inf)), Y, missing="drop"))
refused("drop-infinite-y", ff.InputError, r"y contains infinity.*row 3", lambda: fit(FRAME, put(put(Y, 3, np.inf), 2, np.nan), missing="drop"))
refused("drop-at-predict", ff.InputError, r"'a' has a missing value at row 3", lambda: fit(FRAME, Y, missing="drop").predict(FRAME.assign(a=put(X[:, 0], 3, np.nan))))

refused("drop-then-support", ff.InputError, r"y has the value -1 at row 5", lambda: fit(put(X, (2, 0), np.nan), put(COUNT, 5, -1.0), family="poisson", missing="drop"))
refused("drop-then-log-of-zero", ff.FormulaError, r"is -inf at row 6", lambda: fit(DATA.assign(b=put(put(POSITIVE, 6, 0.0), 2, np.nan)), formula="y ~ log(b)", missing="drop"))


def separated_rows_of_the_table(model: ff.GLM) -> None:
    assert model.separation_.rows.shape == (N,)


warned("drop-and-separation", (ff.MissingValuesWarning, ff.SeparationWarning), r"1 of 40 rows|separated", lambda: fit(SEPARATED[["x"]].assign(x=put(SEPARATED["x"], 0, np.nan)), QUASI, family="binomial", missing="drop"), separated_rows_of_the_table)

# -- an estimator's life --------------------------------------------------------------------------------------------

refused("predict-before-fit", NotFittedError, r"not fitted yet. Call 'fit'", lambda: ff.GLM().predict(X))
refused("score-before-fit", NotFittedError, r"not fitted yet", lambda: ff.GLM().score(X, Y))
refused("summary-before-fit", NotFittedError, r"not fitted yet", lambda: ff.GLM().summary())
refused("predict-after-failed-first-fit", NotFittedError, r"not fitted yet", lambda: failed().predict(X))
refused("predict-of-a-clone", NotFittedError, r"not fitted yet", lambda: clone(fitted()).predict(X))


def failed() -> ff.GLM:
    model = ff.GLM()
    with pytest.raises(ff.InputError):
        model.fit(X, put(Y, 0, np.nan))
    assert not state(model)
    return model


def not_loud() -> Any:
    """A warning that is an error comes before anything is assigned."""
    model = ff.GLM("binomial").fit(X, BINARY)
    before = state(model)
    content = pickle.dumps(before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ff.SeparationWarning):
            model.fit(SEPARATED[["x"]], SPLIT)
        unchanged(model, before, content)
        return model.fit(X, BINARY)


right("warnings-as-errors", not_loud, lambda: fit(X, BINARY, family="binomial"), 0.0)
right("refit-twice", lambda: fit(X, Y).fit(X, Y), lambda: fit(X, Y), 0.0)
right("refit-from-table-to-array", lambda: fit(MIXED, Y).fit(X, Y).predict(X), lambda: fit(X, Y).predict(X), 0.0)
right("refit-forgets-alpha", lambda: [hasattr(ff.GLM("negative_binomial").fit(X, OVER).set_params(family="poisson").fit(X, COUNT), "alpha_")], [0.0])
right("refit-forgets-names", lambda: [hasattr(fit(FRAME, Y).fit(X, Y), "feature_names_in_")], [0.0])
for name, how in {"copy": copy, "deepcopy": deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m))}.items():
    for kind, data, params in (("array", X, {}), ("table", MIXED, {}), ("formula", DATA, {"formula": "y ~ bs(a, df=4) + b:g"})):
        right(f"{name}-{kind}", lambda h=how, d=data, p=params: h(fit(d, Y, **p)).predict(d), lambda d=data, p=params: fit(d, Y, **p).predict(d), 0.0)
right("pickle-refit", lambda: pickle.loads(pickle.dumps(fit(X, OVER, family="negative_binomial"))).fit(X, OVER), lambda: fit(X, OVER, family="negative_binomial"), 0.0)
right("clone-refit", lambda: clone(fit(X, COUNT, family="poisson")).fit(X, COUNT), lambda: fit(X, COUNT, family="poisson"), 0.0)
right("pickle-holds-no-rows", lambda: [len(pickle.dumps(ff.GLM(formula="y ~ a*g").fit(pd.concat([DATA] * 100)))) < 60_000], [1.0])


refused(
    "predict-without-the-offset-of-the-fit", ff.InputError, r"offset given as an array; give offset=",
    lambda: fit(X, Y, offset=np.ones(N)).predict(X),
)  # fmt: skip


def untouched() -> list[bool]:
    """Fit, predict and score leave what they are given as it is, weights and offsets included."""
    given = [X.copy(), Y.copy(), WEIGHT.copy(), DATA.copy(), MIXED.copy()]
    kept = deepcopy(given)
    x, y, w, data, mixed = given
    ff.GLM().fit(x, y, sample_weight=w, offset=w).score(x, y, sample_weight=w, offset=w)
    ff.GLM(formula="y ~ bs(a, df=4) + C(g):b + offset(b)").fit(data, sample_weight=w).predict(data)
    ff.GLM(missing="drop").fit(mixed, y, offset=w).predict(mixed, offset=w)
    return [k.equals(g) if isinstance(k, pd.DataFrame) else np.array_equal(k, g) for k, g in zip(kept, given, strict=True)]


right("inputs-untouched", untouched, np.ones(5))
right("score-of-constant-y", lambda: [fit(X, Y).score(X, np.full(N, 3.0)), fit(X, COUNT, family="poisson").score(X, COUNT) > 0], [0.0, 1.0])
refused("score-formula-and-another-y", ff.InputError, r"y was given, and differs from the response", lambda: fit(DATA, formula="y ~ a").score(DATA, WEIGHT))
refused("score-y-missing", ff.InputError, r"y contains NaN", lambda: fit(X, Y).score(X, put(Y, 2, np.nan)))
refused("score-y-none", ff.InputError, r"requires y", lambda: fit(X, Y).score(X))
refused("score-weights-negative", ff.InputError, r"sample_weight.*negative", lambda: fit(X, Y).score(X, Y, sample_weight=-WEIGHT))
# fmt: on

INTERNAL = (ff.FisherfitWarning, DataConversionWarning)


@pytest.mark.parametrize("errstate", ["warn", "raise"])
@pytest.mark.parametrize("name", TABLE)
def test_input(name, errstate):
    """Whatever NumPy is told to do with overflow: the outcome of the table, and nothing else."""
    entry = TABLE[name]
    value = error = None
    with warnings.catch_warnings(record=True) as caught, np.errstate(all=errstate):
        warnings.simplefilter("always")
        try:
            value = entry.run()
        except Exception as raised:
            error = raised
    if entry.error is None and error is not None:
        raise error
    assert all(issubclass(w.category, INTERNAL) for w in caught), [w.message for w in caught]
    assert {w.category for w in caught} == set(entry.warned), [str(w.message) for w in caught]
    if entry.error is not None:
        assert isinstance(error, entry.error), f"no error, but {value!r}"
        assert type(error).__module__ in ("fisherfit.errors", "sklearn.exceptions")
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__, repr(error.__context__)
    for words in [str(error)] if error else [str(w.message) for w in caught]:
        assert re.search(entry.says, words), words
        assert "\n" not in words
        assert len(words) < 700
    if entry.check is not None and error is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.FisherfitWarning)
            entry.check(value)


def test_the_table_is_long():
    assert len(TABLE) >= 100


# -- processes and threads ------------------------------------------------------------------------------------------


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_interrupted_fit_ends_soon_and_leaves_the_estimator():
    """Ctrl-C in a long fit: KeyboardInterrupt within half a second, the earlier fit untouched, the next fit right."""
    out = run_python(
        """
        import os, pickle, signal, threading, time
        import numpy as np
        import fisherfit as ff

        rng = np.random.default_rng(0)
        X = rng.normal(size=(400_000, 60))
        y = rng.poisson(np.exp(0.1 * X[:, 0])).astype(float)
        content = pickle.dumps(ff.GLM("poisson").fit(X[:5000], y[:5000]))
        content = pickle.dumps(pickle.loads(content))
        sent = []

        def interrupt():
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        for delay in (0.05, 0.3, 0.6):
            threading.Timer(delay, interrupt).start()
            try:
                for _ in range(50):
                    model = pickle.loads(content)
                    model, before = model, dict(vars(model))
                    model.fit(X, y)
                raise SystemExit("was not interrupted")
            except KeyboardInterrupt:
                waited = time.perf_counter() - sent[-1]
            assert waited < 0.5, waited
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[k] is before[k] for k in before)
            assert pickle.dumps(model) == content
        again = ff.GLM("poisson").fit(X[:5000], y[:5000])
        assert again.coef_.tobytes() == model.coef_.tobytes()
        print("as it was")
        """
    )
    assert out == "as it was\n"


def test_fits_from_several_threads_agree():
    """Fits and predictions in threads, formulas among them: the same bits, and the warning filters as they were."""
    rows = np.random.default_rng(3).normal(size=(30_000, 20))
    counts = np.random.default_rng(4).poisson(1.0, 30_000).astype(float)

    def work() -> bytes:
        big = ff.GLM("poisson", n_jobs=2).fit(rows, counts)
        small = ff.GLM(formula="y ~ bs(a, df=4) + b:g").fit(DATA)
        return big.coef_.tobytes() + small.coef_.tobytes() + small.predict(DATA).tobytes()

    alone = work()
    filters = list(warnings.filters)
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.extend(work() for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone] * 20
    assert list(warnings.filters) == filters


FORKED = """
    import multiprocessing, os, sys
    import numpy as np, pandas as pd
    import fisherfit as ff

    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 20))
    y = rng.poisson(1.0, 30_000).astype(float)
    table = pd.DataFrame(X[:200, :2], columns=["a", "b"]).assign(y=y[:200])

    def work(_):
        model = ff.GLM(formula="y ~ a:b", family="poisson").fit(table)
        return ff.GLM("poisson", n_jobs=2).fit(X, y).coef_.tobytes() + model.coef_.tobytes()

    if __name__ == "__main__":
        here = work(0)
        with multiprocessing.get_context(METHOD).Pool(2) as pool:
            assert pool.map(work, range(4)) == [here] * 4
        assert work(0) == here
        print("alike")
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_fits_in_other_processes_agree(method, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(FORKED).replace("METHOD", repr(method)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stdout) == (0, "alike\n"), done.stderr
