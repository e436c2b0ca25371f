"""A fit on its rows again: the maximum, and maxima under linear restrictions."""

from __future__ import annotations

import numpy as np
import pytest

import fisherfit as ff
from fisherfit.maximum import Maximum
from fisherfit.restricted import maximise_within

RNG = np.random.default_rng(5)
N = 300
X = RNG.standard_normal((N, 4)) * [1.0, 50.0, 0.02, 3.0] + [0.0, 100.0, 0.0, -2.0]
ETA = 0.3 + X @ [0.4, 0.004, 5.0, 0.0]
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < 1.0 / (1.0 + np.exp(-ETA))).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(2.0, 0.5, N)).astype(float),
}


def maximum_of(family: str, **arguments: object) -> tuple[ff.GLM, Maximum]:
    model = ff.GLM(family, **arguments).fit(X, RESPONSES[family])
    return model, model._at_maximum(X, RESPONSES[family])[0]


@pytest.mark.parametrize("family", RESPONSES)
def test_the_covariance_is_that_of_the_fit(family):
    model, maximum = maximum_of(family)
    np.testing.assert_allclose(
        maximum.covariance_in_user_units(maximum.phi * maximum.bread), model.result_.covariance, rtol=1e-9
    )
    contrasts = maximum.contrasts(np.eye(maximum.theta.size))
    np.testing.assert_allclose(contrasts @ maximum.theta, maximum.estimates(), rtol=1e-12)


@pytest.mark.parametrize("family", RESPONSES)
def test_a_coefficient_held_at_zero_is_a_fit_without_its_column(family):
    _, maximum = maximum_of(family)
    matrix = maximum.contrasts(np.eye(maximum.theta.size)[[2, 4]])
    held = maximise_within(maximum, matrix, np.zeros(2))
    without = ff.GLM(family).fit(X[:, [0, 2]], RESPONSES[family])
    assert held.converged
    found = maximum.contrasts(np.eye(maximum.theta.size)) @ held.theta
    np.testing.assert_allclose(found[[0, 1, 3]], without.result_.coefficients[:3], rtol=1e-9)
    np.testing.assert_allclose(found[[2, 4]], 0.0, atol=1e-12)
    full = maximum.evaluation.loglik - held.loglik
    if family != "negative_binomial":
        assert 2.0 * full == pytest.approx(without.result_.deviance - maximum.result.deviance, rel=1e-9)
    else:
        assert full == pytest.approx(maximum.result.llf - without.result_.llf, rel=1e-9)


def test_equal_coefficients_are_a_fit_on_their_sum():
    _, maximum = maximum_of("poisson")
    rows = np.array([[0.0, 1.0, -1.0, 0.0, 0.0]])
    held = maximise_within(maximum, maximum.contrasts(rows), np.zeros(1))
    together = ff.GLM("poisson").fit(np.column_stack([X[:, 0] + X[:, 1], X[:, 2:]]), RESPONSES["poisson"])
    found = maximum.contrasts(np.eye(5)) @ held.theta
    np.testing.assert_allclose(found[[0, 1, 3, 4]], together.result_.coefficients, rtol=1e-9)
    assert held.decrement < 1e-18


def test_other_rows_are_refused():
    model, _ = maximum_of("poisson")
    other = RESPONSES["poisson"].copy()
    other[3] += 5.0
    with pytest.raises(ff.InputError, match="not the rows of the fit"):
        model._at_maximum(X, other)
    with pytest.raises(ff.InputError, match="299 rows"):
        model._at_maximum(X[1:], other[1:])
    with pytest.raises(ff.InputError, match="not the rows of the fit"):
        model._at_maximum(X, RESPONSES["poisson"], sample_weight=np.linspace(1.0, 2.0, N))


def test_an_offset_given_as_an_array_is_asked_for_and_a_named_one_remembered():
    import pandas as pd

    table = pd.DataFrame(X, columns=list("abcd")).assign(time=np.linspace(1.0, 2.0, N))
    y = RESPONSES["poisson"]
    named = ff.GLM("poisson").fit(table, y, exposure="time")
    assert named._at_maximum(table, y)[0].evaluation.loglik == pytest.approx(-0.5 * named.result_.deviance)
    given = ff.GLM("poisson").fit(X, y, offset=np.log(table["time"].to_numpy()))
    with pytest.raises(ff.InputError, match="give offset= as in the fit"):
        given._at_maximum(X, y)


def test_aliased_and_separated_columns_are_not_free():
    y = RESPONSES["binomial"]
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("binomial").fit(np.column_stack([X, X[:, 0] + X[:, 1]]), y)
    maximum, _ = model._at_maximum(np.column_stack([X, X[:, 0] + X[:, 1]]), y)
    assert int(maximum.free.sum()) == 5
    covariance = maximum.covariance_in_user_units(maximum.bread)
    np.testing.assert_allclose(covariance, model.result_.covariance, rtol=1e-8)

    marked = (np.arange(N) % 50 == 0).astype(float)
    z = np.column_stack([X, marked])
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM("binomial").fit(z, np.where(marked > 0, 1.0, y))
    maximum, _ = model._at_maximum(z, np.where(marked > 0, 1.0, y))
    assert int(maximum.free.sum()) == 5
    covariance = maximum.covariance_in_user_units(maximum.bread)
    np.testing.assert_allclose(covariance, model.result_.covariance, rtol=1e-8)
    assert np.isinf(covariance[5, 5])
