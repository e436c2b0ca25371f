"""Mixtures of rows that are read in batches, and learnt from batches that are seen once."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_estimators_partial_fit_n_features,
    check_n_features_in_after_fitting,
    check_readonly_memmap_input,
)

import fisherfit as ff
from fisherfit import scan
from fisherfit.estimators import mixture_batches, regression_batches


def plane(seed, n):
    """Two overlapping clusters."""
    rng = np.random.default_rng(seed)
    z = rng.random(n) < 0.35
    x = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    x[z] = x[z] * 0.6 + [2.5, 1.0]
    return x


def classes(seed, n):
    """Columns of several kinds with a weight; a level that is in one batch only."""
    rng = np.random.default_rng(seed)
    z = rng.random(n) < 0.35
    table = pd.DataFrame({
        "count": rng.poisson(np.where(z, 1.0, 6.0)),
        "kind": np.where(rng.random(n) < np.where(z, 0.2, 0.7), "u", "v"),
        "size": rng.normal(np.where(z, 0.0, 2.0)),
        "w": rng.integers(0, 3, n).astype(float),
    })  # fmt: skip
    if seed == 3:
        table.loc[rng.random(n) < 0.05, "kind"] = "rare"
    return table


def claims(seed, n):
    """A response from one of two regressions, which depends on q."""
    rng = np.random.default_rng(seed)
    q, x = rng.normal(size=(2, n))
    z = rng.random(n) < 1.0 / (1.0 + np.exp(0.5 - q))
    area, years = rng.choice(["a", "b", "c"], n), rng.uniform(0.5, 2.0, n)
    mean = years * np.exp(np.where(z, 0.2 + 0.5 * x, 1.5 - 0.3 * x + 0.2 * (area == "b")))
    table = pd.DataFrame({"y": rng.poisson(mean), "x": x, "area": area, "q": q, "years": years})
    if seed == 3:
        table.loc[rng.random(n) < 0.05, "area"] = "rare"
    return table


@pytest.fixture
def small_sample(monkeypatch):
    """Samples so small that ordinary data do not fit in them."""
    monkeypatch.setattr(mixture_batches, "SAMPLE", 4000)
    monkeypatch.setattr(regression_batches, "SAMPLE", 4000)
    assert scan.SAMPLE == 200_000


def same(streamed, whole, passes=8):
    """The same maximum, to 1e-8 standard errors."""
    a, b = streamed.result_, whole.result_
    assert a.names == b.names
    with_error = np.isfinite(b.standard_errors)
    assert with_error.any()
    gap = np.abs(a.estimates - b.estimates)[with_error] / b.standard_errors[with_error]
    assert gap.max() < 1e-8
    assert a.llf == pytest.approx(b.llf, rel=1e-12)
    np.testing.assert_allclose(a.standard_errors, b.standard_errors, rtol=1e-8)
    assert (a.nobs, a.n_params, a.boundary) == (b.nobs, b.n_params, b.boundary)
    assert a.icl == pytest.approx(b.icl, rel=1e-10)
    assert a.entropy == pytest.approx(b.entropy, rel=1e-8)
    assert streamed.converged_
    assert a.decrement <= 1e-16
    assert 5 <= streamed.passes_ <= passes
    np.testing.assert_allclose(streamed.weights_, whole.weights_, rtol=1e-8)


@pytest.mark.parametrize("structure", ["full", "diag", "tied"])
def test_gaussian_batches(structure, small_sample):
    parts = [plane(i, 3000) for i in range(8)]
    model = ff.GaussianMixture(2, covariance_type=structure, random_state=0)
    whole = ff.GaussianMixture(2, covariance_type=structure, random_state=0).fit(np.concatenate(parts))
    same(model.fit(parts), whole)
    np.testing.assert_allclose(model.covariances_, whole.covariances_, rtol=1e-8)
    np.testing.assert_array_equal(model.predict(parts[0]), whole.predict(parts[0]))
    assert model.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-12)
    assert len(pickle.dumps(model)) < 20_000, "no rows are kept"


def test_what_batches_may_be(tmp_path, small_sample):
    frames = [pd.DataFrame(plane(i, 3000), columns=["a", "b"]).assign(w=1.0 + i % 2) for i in range(4)]
    for i, frame in enumerate(frames):
        pq.write_table(pa.Table.from_pandas(frame), tmp_path / f"{i}.parquet")
    every = pd.concat(frames, ignore_index=True)
    whole = ff.GaussianMixture(2, random_state=0).fit(every, sample_weight="w")
    sources = [
        (tmp_path, "w"), (str(tmp_path), "w"), (ds.dataset(tmp_path), "w"), (pl.from_pandas(every).lazy(), "w"),
        (frames, "w"), (lambda: iter(frames), "w"),
        ([(frame[["a", "b"]], None, frame["w"].to_numpy()) for frame in frames], None),
    ]  # fmt: skip
    for source, weight in sources:
        model = ff.GaussianMixture(2, random_state=0).fit(source, sample_weight=weight)
        same(model, whole)
        assert list(model.feature_names_in_) == ["a", "b"]
    assert not hasattr(model.fit(every, sample_weight="w"), "passes_")


def test_families_and_levels_of_one_batch(small_sample):
    parts = [classes(i, 3000) for i in range(6)]
    family = {"count": "poisson", "kind": "categorical", "size": "normal"}
    every = pd.concat(parts, ignore_index=True)
    whole = ff.MixtureModel(family, 2, random_state=0).fit(every, sample_weight="w")
    same(ff.MixtureModel(family, 2, random_state=0).fit(parts, sample_weight="w"), whole)


def test_a_level_of_one_row_in_all_batches(small_sample):
    parts = [claims(i, 3000).replace("rare", "a") for i in range(6)]
    parts[4].loc[[2501], ["area", "y"]] = ["once", 5]
    model = ff.MixtureRegressor("poisson", 2, formula="y ~ x + area", random_state=0).fit(parts, exposure="years")
    assert model.converged_
    assert np.isfinite(model.result_.bse[["area[T.once][0]", "area[T.once][1]"]]).all()


@pytest.mark.parametrize("concomitant", [None, "~ q"])
def test_regressions_with_a_formula(concomitant, small_sample):
    parts = [claims(i, 3000) for i in range(6)]
    options = {"formula": "y ~ x + area", "concomitant": concomitant, "random_state": 0}
    whole = ff.MixtureRegressor("poisson", 2, **options).fit(pd.concat(parts, ignore_index=True), exposure="years")
    model = ff.MixtureRegressor("poisson", 2, **options).fit(lambda: parts, exposure="years")
    same(model, whole)
    new = claims(99, 50)
    np.testing.assert_allclose(model.predict(new), whole.predict(new), rtol=1e-8)
    np.testing.assert_allclose(model.component_proba(new), whole.component_proba(new), atol=1e-8)


def test_regressions_by_columns(small_sample):
    parts = [claims(i, 3000).replace("rare", "a") for i in range(6)]
    every = pd.concat(parts, ignore_index=True)
    parts[2].loc[[3, 5], "x"] = np.nan
    lost = every.drop(index=[6003, 6005])
    model = ff.MixtureRegressor("poisson", 2, random_state=0, missing="drop", concomitant=["q"])
    with pytest.warns(ff.MissingValuesWarning, match="2 of 18000 rows"):
        model.fit(parts, "y", sample_weight="years")
    whole = ff.MixtureRegressor("poisson", 2, random_state=0, concomitant=["q"]).fit(
        lost.drop(columns="y"), lost["y"], sample_weight="years"
    )
    same(model, whole)
    assert list(model.feature_names_in_) == list(whole.feature_names_in_)


def test_binomial_pairs_in_batches(small_sample):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12_000, 2))
    trials = rng.integers(1, 12, 12_000)
    p = 1.0 / (1.0 + np.exp(-np.where(rng.random(12_000) < 0.4, 1.0 + x[:, 0], -1.0 - 0.5 * x[:, 1])))
    y = rng.binomial(trials, p)
    pair = np.column_stack([y, trials - y])
    whole = ff.MixtureRegressor("binomial", 2, random_state=0).fit(x, pair)
    cut = [slice(a, a + 1500) for a in range(0, 12_000, 1500)]
    same(ff.MixtureRegressor("binomial", 2, random_state=0).fit([(x[c], pair[c]) for c in cut]), whole)


def test_data_that_fit_the_sample_are_read_once():
    parts = [plane(i, 300) for i in range(3)]
    model = ff.GaussianMixture(2, random_state=0).fit(parts)
    whole = ff.GaussianMixture(2, random_state=0).fit(np.concatenate(parts))
    assert model.passes_ == 1
    np.testing.assert_array_equal(model.result_.estimates, whole.result_.estimates)


def test_memory_does_not_grow_with_the_rows():
    def batches(count):
        return lambda: (plane(i, 20_000) for i in range(count))

    ff.GaussianMixture(2, random_state=0, n_jobs=1).fit([plane(0, 3000)])
    peaks = []
    for count in (12, 36):
        tracemalloc.start()
        model = ff.GaussianMixture(2, random_state=0, n_init=1, n_jobs=1).fit(batches(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert model.result_.nobs == 20_000 * count
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 60_000_000


def test_what_batches_cannot_be(small_sample):
    parts = [plane(i, 3000) for i in range(3)]
    model = ff.GaussianMixture(2, random_state=0)
    with pytest.raises(TypeError, match="iterator"):
        model.fit(iter(parts))
    with pytest.raises(TypeError, match="must be the name of a column"):
        model.fit(parts, sample_weight=np.ones(9000))
    with pytest.raises(ValueError, match=r"batch 1: .*NaN.*row 2"):
        model.fit([parts[0], np.where(np.arange(3000)[:, None] == 2, np.nan, parts[1])])
    with pytest.raises(ValueError, match="batch 1: column 'x1' is missing"):
        model.fit([parts[0], parts[1][:, :1]])
    given = iter([parts, parts[:2], parts, parts, parts, parts, parts])
    with pytest.raises(ValueError, match="9000 rows at first and 6000 later"):
        model.fit(lambda: next(given))
    with pytest.raises(ValueError, match="no rows"):
        model.fit(lambda: [])
    with pytest.raises(ValueError, match="groups need all rows"):
        ff.MixtureRegressor("poisson", 2).fit([claims(0, 100)], "y", groups="area")
    with pytest.raises(TypeError, match="concomitant must be"):
        ff.MixtureRegressor("poisson", 2).fit([claims(0, 100)], "y", concomitant=np.ones((100, 1)))
    with pytest.raises(ValueError, match=r"batch 1: .*-3"):
        ff.MixtureModel("poisson", 2).fit([np.ones((5, 1)), np.full((5, 1), -3.0)])
    assert not hasattr(model, "result_")


def learn(model, batches):
    for batch in batches:
        model.partial_fit(*batch) if isinstance(batch, tuple) else model.partial_fit(batch)
    return model


def near(found, whole, distance=0.2, errors=0.05):
    a, b = found.result_, whole.result_
    assert a.names == b.names
    assert np.abs((a.estimates - b.estimates) / b.standard_errors).max() < distance
    np.testing.assert_allclose(a.standard_errors, b.standard_errors, rtol=errors)
    assert a.llf == pytest.approx(b.llf, abs=3.0)
    assert a.entropy == pytest.approx(b.entropy, rel=0.02)
    assert (a.nobs, a.n_params) == (b.nobs, b.n_params)
    np.testing.assert_allclose(found.weights_, whole.weights_, atol=0.01)
    assert len(pickle.dumps(found)) < 20_000, "no rows are kept"
    assert np.isnan(a.certificate.max_se_error)
    assert a.summary() is not None


def test_gaussian_from_200_batches():
    x = plane(0, 100_000)
    model = learn(ff.GaussianMixture(2, random_state=0), np.split(x, 200))
    whole = ff.GaussianMixture(2, random_state=0).fit(x)
    near(model, whole)
    assert model.n_iter_ == 200
    np.testing.assert_allclose(model.means_, whole.means_, atol=0.01)
    assert (model.predict(x) == whole.predict(x)).mean() > 0.998
    again = pickle.loads(pickle.dumps(model)).partial_fit(x[:500])
    assert again.result_.nobs == 100_500
    assert not hasattr(again.fit(x[:900]), "_stream")
    np.testing.assert_array_equal(
        again.result_.estimates, ff.GaussianMixture(2, random_state=0).fit(x[:900]).result_.estimates
    )


def test_poisson_regressions_from_200_batches():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100_000, 2))
    mean = np.exp(np.where(rng.random(100_000) < 0.4, 0.2 + 0.5 * x[:, 0], 1.5 - 0.3 * x[:, 0] + 0.2 * x[:, 1]))
    y = rng.poisson(mean).astype(float)
    model = ff.MixtureRegressor("poisson", 2, random_state=0)
    learn(model, list(zip(np.split(x, 200), np.split(y, 200), strict=True)))
    whole = ff.MixtureRegressor("poisson", 2, random_state=0).fit(x, y)
    near(model, whole)
    np.testing.assert_allclose(model.predict(x[:9]), whole.predict(x[:9]), rtol=0.02)
    np.testing.assert_allclose(model.component_proba(x[:9], y[:9]), whole.component_proba(x[:9], y[:9]), atol=0.02)


def test_formula_concomitant_and_weights_by_batches():
    table = claims(0, 20_000).assign(w=lambda t: 1.0 + (t["q"] > 0.0))
    options = {"formula": "y ~ x + area", "concomitant": "~ q", "random_state": 0}
    model = ff.MixtureRegressor("poisson", 2, **options)
    for first in range(0, 20_000, 1000):
        model.partial_fit(table.iloc[first : first + 1000], sample_weight="w", exposure="years")
    whole = ff.MixtureRegressor("poisson", 2, **options).fit(table, sample_weight="w", exposure="years")
    near(model, whole, distance=0.5)  # few rows after those that were held
    assert model.concomitant_coef_.shape == (2, 2)


def test_families_by_batches():
    table = classes(0, 20_000)
    family = {"count": "poisson", "kind": "categorical", "size": "normal"}
    model = ff.MixtureModel(family, 2, random_state=0)
    for first in range(0, 20_000, 1000):
        model.partial_fit(table.iloc[first : first + 1000], sample_weight="w")
    near(model, ff.MixtureModel(family, 2, random_state=0).fit(table, sample_weight="w"))
    with pytest.raises(ValueError, match=r"'new'.*did not have"):
        model.partial_fit(table.iloc[:5].assign(kind="new"), sample_weight="w")


def test_few_rows_are_held_and_fitted_exactly():
    x = plane(0, 1500)
    model = ff.GaussianMixture(2, random_state=0).partial_fit(x[:3])
    assert not hasattr(model, "result_")
    learn(model, [x[3:700], x[700:]])
    np.testing.assert_array_equal(
        model.result_.estimates, ff.GaussianMixture(2, random_state=0).fit(x).result_.estimates
    )


def test_the_past_is_forgotten():
    rng = np.random.default_rng(0)
    model = ff.GaussianMixture(1, random_state=0).partial_fit(rng.normal(size=(3000, 1)))
    keeping = pickle.loads(pickle.dumps(model))
    for _ in range(30):
        batch = rng.normal(1.0, 1.0, size=(300, 1))
        model.partial_fit(batch, forgetting=0.7)
        keeping.partial_fit(batch)
    assert abs(model.means_[0, 0] - 1.0) < 0.1 < abs(keeping.means_[0, 0] - 1.0)
    information = 300 / (1.0 - 0.7)
    assert model.result_.bse["mean[0,x0]"] == pytest.approx(information**-0.5, rel=0.1)
    with pytest.raises(ValueError, match="forgetting"):
        model.partial_fit(batch, forgetting=0.0)


def test_what_a_batch_cannot_be():
    x = plane(0, 4000)
    model = ff.GaussianMixture(2, random_state=0).partial_fit(x)
    before = model.result_
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(x[:, :1])
    with pytest.raises(TypeError, match="table with named columns"):
        model.partial_fit(pd.DataFrame(x))
    named = ff.GaussianMixture(2, random_state=0).partial_fit(pd.DataFrame(x, columns=["a", "b"]))
    assert list(named.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match=r"feature names should match.*unseen: c; missing: b"):
        named.partial_fit(pd.DataFrame(x, columns=["a", "c"]))
    with pytest.raises(TypeError, match="one batch"):
        model.partial_fit([x, x])
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="settings have changed"):
        model.set_params(n_components=3).partial_fit(x)
    assert model.result_ is before


@pytest.mark.parametrize("model", [
    ff.GaussianMixture(2, random_state=0), ff.MixtureModel("normal", 2, random_state=0),
    ff.MixtureRegressor("normal", 2, random_state=0),
], ids=lambda m: type(m).__name__)  # fmt: skip
def test_scikit_learn_checks_of_partial_fit(model):
    name = type(model).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for check in (check_estimators_partial_fit_n_features, check_n_features_in_after_fitting,
                      check_readonly_memmap_input):  # fmt: skip
            check(name, clone(model))
