"""`cov_type` of the constructor: the same as `covariance` gives with the rows, in all that the result says."""

import numpy as np
import pytest
from sklearn.base import clone

import fisherfit as ff
from fisherfit.estimators import mixture_batches, regression_batches

GEYSER = ff.datasets.load("faithful")
DAYS = np.arange(272) // 20
KINDS = ("observed", "opg", "HC0", "HC1", "cluster", "cluster(CR0)", "HAC", "HAC(3)")


def lines(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 10.0, n)
    steep = np.repeat(rng.random(n // 4) < 0.5, 4)
    y = np.where(steep, 3.0 * x, 10.0 + 0.5 * x) + rng.standard_t(5, n)
    return x[:, None], y


def cases(kind):
    clusters = DAYS if kind.startswith("cluster") else None
    yield ff.GaussianMixture(2, random_state=0, n_init=2, cov_type=kind), {"X": GEYSER}, clusters
    model = ff.MixtureModel("gamma", 2, random_state=0, n_init=2, cov_type=kind)
    yield model, {"X": GEYSER[["waiting"]], "sample_weight": np.r_[0.0, np.ones(271)]}, clusters
    x, y = lines()
    clusters = None if clusters is None else np.arange(400) // 8
    yield ff.MixtureRegressor("normal", 2, random_state=0, n_init=2, cov_type=kind), {"X": x, "y": y}, clusters


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_has_the_covariance_of_the_constructor(kind):
    for model, data, clusters in cases(kind):
        given = {} if clusters is None else {"clusters": clusters}
        model.fit(**data, **given)
        result = model.result_
        assert result.cov_type == str(model.covariance(**data, **given).attrs["cov_type"])
        expected = clone(model).set_params(cov_type="observed").fit(**data).covariance(**data, cov_type=kind, **given)
        np.testing.assert_allclose(result.cov_params(), expected, rtol=1e-7, atol=1e-13)
        np.testing.assert_allclose(model.covariance(**data, **given), result.cov_params(), rtol=1e-7, atol=1e-13)
        assert f"{result.cov_type}" in str(model.result_.summary())
        limits = result.conf_int()
        name = "mean[0,waiting]" if "mean[0,waiting]" in limits.index else limits.index[2]
        width = (limits.loc[name, "upper"] / limits.loc[name, "lower"]) if result.supports[2] == "positive" else None
        if width is not None:
            ratio = np.exp(2 * 1.959963984540054 * result.bse[name] / result.params[name])
            assert width == pytest.approx(ratio, rel=1e-9)
        test = model.test(f"{name} = 1.0")
        assert test.statistic == pytest.approx(((result.params[name] - 1.0) / result.bse[name]) ** 2, rel=1e-9)
        assert test.cov_type == result.cov_type


def test_kinds_differ():
    found = [
        ff.GaussianMixture(2, random_state=0, n_init=2, cov_type=kind).fit(GEYSER).result_.bse["mean[0,waiting]"]
        for kind in ("observed", "opg", "HC0", "HC1", "HAC")
    ]
    assert len({round(float(value), 8) for value in found}) == 5


def test_a_column_of_clusters_is_no_other_column_and_is_remembered():
    table = GEYSER.assign(day=DAYS, tag=np.arange(272) % 9)
    plain = ff.GaussianMixture(2, random_state=0, cov_type="cluster").fit(GEYSER, clusters=DAYS)
    model = ff.GaussianMixture(2, random_state=0, cov_type="cluster").fit(table[[*GEYSER, "day"]], clusters="day")
    assert list(model.feature_names_in_) == list(GEYSER)
    np.testing.assert_allclose(model.result_.bse, plain.result_.bse, rtol=1e-10)
    np.testing.assert_allclose(model.covariance(table[[*GEYSER, "day"]]), plain.result_.cov_params(), rtol=1e-7)
    assert model.test("weight[0] = 0.5", method="lr", X=table[[*GEYSER, "day"]]).df == 1
    both = ff.GaussianMixture(2, random_state=0, cov_type="cluster").fit(table, clusters=["day", "tag"])
    assert both.result_.bse["weight[0]"] != plain.result_.bse["weight[0]"]
    x, y = lines()
    import pandas as pd

    table = pd.DataFrame({"x": x[:, 0], "y": y, "who": np.arange(400) // 8})
    by_name = ff.MixtureRegressor("normal", 2, random_state=0, cov_type="cluster").fit(
        table[["x", "who"]], y, clusters="who"
    )
    by_formula = ff.MixtureRegressor("normal", 2, formula="y ~ x", random_state=0, cov_type="cluster").fit(
        table, clusters="who"
    )
    assert list(by_name.feature_names_in_) == ["x"]
    np.testing.assert_allclose(by_name.result_.bse, by_formula.result_.bse, rtol=1e-8)
    np.testing.assert_allclose(by_name.covariance(table[["x", "who"]], y), by_name.result_.cov_params(), rtol=1e-7)
    assert by_name.covariance(table[["x", "who"]], y, cov_type="HC0").attrs["cov_type"] == "HC0"
    np.testing.assert_allclose(by_name.predict(table[["x"]]), by_formula.predict(table), rtol=1e-8)


@pytest.mark.parametrize("kind", ["opg", "HC0", "HC1"])
def test_rows_in_batches(kind, monkeypatch):
    monkeypatch.setattr(mixture_batches, "SAMPLE", 1000)
    monkeypatch.setattr(regression_batches, "SAMPLE", 1000)
    rng = np.random.default_rng(3)
    x = np.where(rng.random(6000) < 0.4, rng.normal(size=6000), rng.normal(5.0, 2.0, 6000))[:, None]
    model = ff.GaussianMixture(2, random_state=0, n_init=2, cov_type=kind)
    whole = clone(model).fit(x).result_
    parts = model.fit(np.split(x, 5)).result_
    assert parts.cov_type == kind
    # standard errors at two estimates that differ by 1e-8 of them or so
    np.testing.assert_allclose(parts.bse, whole.bse, rtol=1e-6)
    a, b = lines(6000)
    model = ff.MixtureRegressor("normal", 2, random_state=0, n_init=2, cov_type=kind)
    whole = clone(model).fit(a, b).result_
    parts = model.fit([*zip(np.split(a, 5), np.split(b, 5), strict=True)]).result_
    np.testing.assert_allclose(parts.bse, whole.bse, rtol=1e-6)


def test_what_cannot_be():
    x, y = lines()
    groups = np.arange(400) // 4
    for model, arguments, words in (
        (ff.GaussianMixture(cov_type="HC3"), {"X": GEYSER}, "leverage"),
        (ff.GaussianMixture(cov_type="robust"), {"X": GEYSER}, "cov_type: 'robust' is not known"),
        (ff.MixtureModel(cov_type="expected"), {"X": GEYSER}, "use 'observed'"),
        (ff.GaussianMixture(cov_type="cluster"), {"X": GEYSER}, "needs clusters="),
        (ff.GaussianMixture(cov_type="HC0"), {"X": GEYSER, "clusters": DAYS}, "clusters is for cov_type='cluster'"),
        (ff.GaussianMixture(cov_type="HC0", prior="mclust"), {"X": GEYSER}, "a fit with a prior is none"),
        (ff.GaussianMixture(cov_type="cluster"), {"X": GEYSER, "clusters": DAYS[:5]}, "5"),
        (ff.GaussianMixture(cov_type="HAC"), {"X": [GEYSER, GEYSER]}, "needs the rows in memory"),
        (ff.MixtureRegressor(cov_type="HAC"), {"X": x, "y": y, "groups": groups}, "groups have none"),
        (
            ff.MixtureRegressor(cov_type="cluster"),
            {"X": x, "y": y, "groups": groups, "clusters": np.arange(400)},
            "varies within the group",
        ),
    ):
        with pytest.raises(ff.InputError, match=words):
            model.fit(**arguments)
    with pytest.raises(ff.InputError, match="partial_fit keeps none"):
        ff.GaussianMixture(2, cov_type="HC0").partial_fit(GEYSER)
    with pytest.raises(ff.InputError, match="partial_fit keeps none"):
        ff.MixtureRegressor(cov_type="HC0").partial_fit(x, y)


def test_an_unknown_kind_is_answered_with_those_of_mixtures():
    x = np.random.default_rng(0).normal(size=(40, 1))
    offered = "choose one of 'observed', 'opg', 'HC0', 'HC1', 'cluster', 'HAC', "
    with pytest.raises(ff.InputError, match=offered):
        ff.GaussianMixture(2, cov_type="HC9").fit(x)
    model = ff.GaussianMixture(1).fit(x)
    with pytest.raises(ff.InputError, match=offered):
        model.covariance(x, cov_type="HC9")


def test_groups_are_the_units_and_clusters_join_them():
    x, y = lines()
    groups = np.arange(400) // 4
    arguments = {"X": x, "y": y, "groups": groups}
    model = ff.MixtureRegressor("normal", 2, random_state=0, cov_type="cluster").fit(**arguments, clusters=groups // 5)
    assert (model.result_.bse != clone(model).set_params(cov_type="HC0").fit(**arguments).result_.bse).all()
    alone = clone(model).set_params(cov_type="cluster(CR0)").fit(**arguments, clusters=groups).result_
    each = clone(model).set_params(cov_type="HC0").fit(**arguments).result_
    np.testing.assert_allclose(alone.bse, each.bse, rtol=1e-10)


def test_a_search_has_the_covariance_of_its_estimator():
    base = ff.GaussianMixture(random_state=0, n_init=2, cov_type="cluster")
    search = ff.MixtureSearch(base, n_components=[1, 2], random_state=0).fit(GEYSER, clusters=DAYS)
    assert search.best_estimator_.result_.cov_type == "cluster(CR1)"
    again = search.best_estimator_.covariance(GEYSER, clusters=DAYS)
    np.testing.assert_allclose(again, search.best_estimator_.result_.cov_params(), rtol=1e-7)
