"""Property tests: what must not matter does not matter."""

import gc
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fisherfit as ff
from fisherfit.blocks import constant_design, make_design
from fisherfit.kernels import EXPECTED, kernels_of
from fisherfit.likelihood import Likelihood, expand
from fisherfit.links import get_link

SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
FAMILIES = ("normal", "poisson", "gamma", "binomial", "negative_binomial")


def draw(family, seed, n=80, p=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    eta = 0.4 + X @ rng.normal(size=p) * 0.3
    mu = np.exp(eta)
    y = {
        "normal": lambda: eta + rng.normal(size=n),
        "poisson": lambda: rng.poisson(mu).astype(float),
        "gamma": lambda: rng.gamma(2.0, mu / 2.0),
        "binomial": lambda: (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
        "negative_binomial": lambda: rng.poisson(rng.gamma(1.5, mu / 1.5)).astype(float),
    }[family]()
    return X, y


def fit(family, X, y, **keywords):
    options = {k: keywords.pop(k) for k in ("weight_type", "fit_intercept", "n_jobs", "dispersion") if k in keywords}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ff.GLM(family, **options).fit(X, y, **keywords)


def same(a, b, digits):
    np.testing.assert_allclose(a, b, rtol=10.0**-digits, atol=10.0**-digits * np.nanmax(np.abs(b)))


@SETTINGS
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6), st.floats(-1e3, 1e3), st.floats(-6, 6))
def test_affine_changes_of_columns(family, seed, shift, exponent):
    X, y = draw(family, seed)
    scale = 10.0**exponent
    Z = X.copy()
    Z[:, 1] = shift * scale + scale * X[:, 1]
    a, b = fit(family, X, y), fit(family, Z, y)
    if a.separation_ or not a.converged_:
        return
    assert b.converged_
    same(b.coef_[1] * scale, a.coef_[1], 8)
    same(np.delete(b.coef_, 1), np.delete(a.coef_, 1), 8)
    same(b.result_.standard_errors[2] * scale, a.result_.standard_errors[2], 8)
    same(b.predict(Z), a.predict(X), 8)
    assert b.result_.deviance == pytest.approx(a.result_.deviance, rel=1e-9)


@SETTINGS
@given(
    st.sampled_from(("normal", "gamma")), st.integers(0, 10**6), st.sampled_from((1e-60, 1e-12, 1e-4, 1e5, 1e12, 1e60))
)
def test_units_of_the_response(family, seed, unit):
    X, y = draw(family, seed)
    a, b = fit(family, X, y), fit(family, X, unit * y)
    if family == "normal":
        same(b.result_.coefficients / unit, a.result_.coefficients, 11)
        same(b.result_.standard_errors / unit, a.result_.standard_errors, 11)
    else:
        same(b.coef_, a.coef_, 11)
        assert b.intercept_ - np.log(unit) == pytest.approx(a.intercept_, abs=1e-9)
        same(b.result_.standard_errors, a.result_.standard_errors, 11)
    assert b.n_iter_ <= a.n_iter_ + 1


@SETTINGS
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6))
def test_order_of_rows_and_columns(family, seed):
    X, y = draw(family, seed)
    a = fit(family, X, y)
    if a.separation_:
        return
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(y)), rng.permutation(X.shape[1])
    b = fit(family, X[rows], y[rows])
    same(b.result_.coefficients, a.result_.coefficients, 12)
    c = fit(family, X[:, columns], y)
    same(c.coef_, a.coef_[columns], 12)
    assert c.intercept_ == pytest.approx(a.intercept_, rel=1e-11, abs=1e-12)


@SETTINGS
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6))
def test_frequency_weights_are_repeated_rows(family, seed):
    X, y = draw(family, seed)
    w = np.random.default_rng(seed).integers(0, 4, len(y))
    if w.sum() <= 10:
        return
    a = fit(family, X, y, sample_weight=w, weight_type="frequency")
    b = fit(family, np.repeat(X, w, axis=0), np.repeat(y, w))
    if a.separation_ or b.separation_:
        return
    same(a.result_.coefficients, b.result_.coefficients, 11)
    same(a.result_.standard_errors, b.result_.standard_errors, 10)
    for name in ("llf", "deviance", "null_deviance", "pearson_chi2", "dispersion", "aic", "bic"):
        assert getattr(a.result_, name) == pytest.approx(getattr(b.result_, name), rel=1e-10), name
    assert a.result_.nobs == b.result_.nobs
    assert a.result_.df_resid == b.result_.df_resid


@SETTINGS
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6))
def test_zero_weights_are_absent_rows(family, seed):
    X, y = draw(family, seed)
    w = (np.random.default_rng(seed).random(len(y)) < 0.8).astype(float)
    a = fit(family, X, y, sample_weight=w)
    b = fit(family, X[w > 0], y[w > 0])
    if b.separation_:
        return
    same(a.result_.coefficients, b.result_.coefficients, 11)
    assert a.result_.nobs == b.result_.nobs
    assert a.result_.llf == pytest.approx(b.result_.llf, rel=1e-11)
    assert a.result_.df_resid == b.result_.df_resid


@SETTINGS
@given(st.integers(0, 10**6), st.floats(-80, 80))
def test_weights_in_other_units(seed, exponent):
    X, y = draw("gamma", seed)
    w = np.random.default_rng(seed).uniform(0.5, 2.0, len(y))
    a = fit("gamma", X, y, sample_weight=w)
    b = fit("gamma", X, y, sample_weight=w * 10.0**exponent)
    same(b.coef_, a.coef_, 11)
    same(b.result_.standard_errors, a.result_.standard_errors, 10)


@SETTINGS
@given(st.sampled_from(FAMILIES), st.integers(0, 10**6), st.integers(1, 79))
def test_an_evaluation_is_a_sum_over_any_partition_of_the_rows(family, seed, cut):
    X, y = draw(family, seed)
    f = ff.families.get_family(family)
    links = [get_link(f.default_link(name)) for name in f.parameters]
    kernels = kernels_of(f, links)
    design = make_design(["Intercept", "a", "b", "c"], 80, True, [X])

    def part(rows):
        here = replace(design, n=rows.size, dense=tuple(a[rows] for a in design.dense))
        others = [constant_design(rows.size, name) for name in list(f.parameters)[1:]]
        return Likelihood(kernels, (here, *others), y[rows].copy(), np.ones(rows.size))

    theta = np.full(4 + len(links) - 1, 0.1)
    whole = part(np.arange(80)).evaluate(theta, EXPECTED)
    both = part(np.arange(cut)).evaluate(theta, EXPECTED) + part(np.arange(cut, 80)).evaluate(theta, EXPECTED)
    assert both.loglik == pytest.approx(whole.loglik, rel=1e-12)
    np.testing.assert_allclose(both.score, whole.score, rtol=1e-12, atol=1e-12 * np.abs(whole.score).max())
    np.testing.assert_allclose(
        both.information, whole.information, rtol=1e-12, atol=1e-12 * np.abs(whole.information).max()
    )
    assert both.n == whole.n == 80


@pytest.mark.parametrize("family", ["poisson", "gamma", "negative_binomial"])
def test_bitwise_equal_for_any_number_of_threads(family):
    X, y = draw(family, 3, n=60_000, p=12)
    frame = pd.DataFrame(X).add_prefix("x").assign(g=np.random.default_rng(0).choice(list("abcde"), len(y)))
    results = [fit(family, frame, y, n_jobs=jobs).result_ for jobs in (1, 2, 3, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(other.coefficients, results[0].coefficients)
        np.testing.assert_array_equal(other.covariance, results[0].covariance)
        assert other.llf == results[0].llf


def test_many_rows_give_the_answer_of_few_passes_and_of_plain_scoring():
    """The pilot and the chord steps end where plain Fisher scoring ends."""
    from fisherfit import model

    for family in ("poisson", "gamma", "binomial"):
        X, y = draw(family, 4, n=60_000, p=40)
        fast = fit(family, X, y)
        limit, model.LAZY_WORK = model.LAZY_WORK, 10**12
        try:
            plain = fit(family, X, y)
        finally:
            model.LAZY_WORK = limit
        same(fast.result_.coefficients, plain.result_.coefficients, 11)
        same(fast.result_.standard_errors, plain.result_.standard_errors, 10)
        assert fast.result_.llf == pytest.approx(plain.result_.llf, rel=1e-12)


def test_sorted_rows_and_rare_levels_do_not_hurt_the_pilot():
    X, y = draw("poisson", 5, n=80_000, p=30)
    order = np.argsort(y)
    a, b = fit("poisson", X, y), fit("poisson", X[order], y[order])
    same(a.result_.coefficients, b.result_.coefficients, 11)
    g = np.zeros(len(y), int)
    g[[5, 17, 40001]] = 1  # a level with three rows, none of which a sample needs to hold
    frame = pd.DataFrame(X).add_prefix("x").assign(g=g.astype(str))
    y2 = y.copy()
    y2[5] = 3.0
    c = fit("poisson", frame, y2)
    assert c.converged_
    assert c.rank_ == 32


@pytest.mark.parametrize("p", [1, 3, 7, 8, 9, 17])
@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_rows_are_standardised_alike_whatever_lies_around_them(n, p):
    around = np.full((n + 1, p + 3), np.nan)
    X = around[:n, 1 : p + 1]
    X[:] = np.random.default_rng(p).normal(3.0, 2.0, (n, p))
    design = make_design([f"b{j}" for j in range(p + 1)], n, True, [X])
    z = expand(design, 0, n)[:, 1:]
    assert np.array_equal(z, (X - design.centre) * design.inverse_scale)
    assert np.array_equal(z, expand(make_design(design.names, n, True, list(X.T), like=design), 0, n)[:, 1:])


@pytest.mark.parametrize("family", ["normal", "poisson", "negative_binomial"])
def test_the_data_are_freed_without_the_garbage_collector(family):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.negative_binomial(1, 0.3, 60).astype(float)
    left = weakref.ref(X), weakref.ref(y)
    gc.disable()
    try:
        model = ff.GLM(family).fit(X, y)
        del X, y
        assert [ref() for ref in left] == [None, None]
    finally:
        gc.enable()
    assert model.converged_
