"""MixtureRegressor: the certified cases, laws of the likelihood, what is read, refused and warned of."""

import functools
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fisherfit as ff

REFERENCE = Path(__file__).parent / "reference" / "mixtures.json"
FAMILIES = {"gaussian": "normal"}
FURTHER = {"sigma": ("sigma", lambda v: v, lambda v: 1.0), "shape": ("shape", lambda v: v, lambda v: 1.0),
           "size": ("alpha", lambda v: 1.0 / v, lambda v: 1.0 / v**2)}  # fmt: skip


@functools.cache
def cases():
    found = json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]
    return {case["name"]: case for case in found if case["structure"] == "regression"}


NAMES = [
    "npreg_gaussian_k2", "npreg_poisson_quadratic_k2", "npreg_poisson_k2", "npreg_gaussian_grouped_k2",
    "betablocker_binomial_k3", "nodata_gaussian_k2", "nodata_gaussian_concomitant_k2",
    "biochemists_poisson_concomitant_k2", "bregfix_binomial_k3", "co2_gaussian_k2", "co2_gaussian_k2_basin2",
    "synthetic_nb_regression_k2", "synthetic_gamma_regression_k2",
]  # fmt: skip


def arguments(case):
    """The constructor's and the fit's arguments of a case."""
    X, columns, y = np.asarray(case["X"], float), case["columns"], np.asarray(case["y"], float)
    frame = pd.DataFrame(X[:, 1:], columns=columns[1:])
    if case.get("size"):
        y = np.column_stack([y, np.asarray(case["size"], float) - y])
    how = {name: np.asarray(case[name], float) for name in ("offset",) if case.get(name)}
    if case.get("groups"):
        how["groups"] = np.asarray(case["groups"])
    if case.get("concomitant"):
        how["concomitant"] = np.asarray(case["concomitant"], float)[:, 1:]
    made = {
        "family": FAMILIES.get(case["family"], case["family"]), "n_components": case["n_components"],
        "link": case["link"], "shared": [columns[j] for j in case.get("shared_columns") or []],
    }  # fmt: skip
    return made, {"X": frame, "y": y, **how}


def expected(case):
    """Certified parameters and standard errors by the names of the result, in the case's order of components."""
    out = {}
    params, se, columns, k = case["params"], case["se"], case["columns"], case["n_components"]
    shared = case.get("shared_columns") or []
    for j, name in enumerate(columns):
        name = "Intercept" if name == "intercept" else name
        for c in range(1 if j in shared else k):
            mark = "" if j in shared else f"[{c}]"
            out[name + mark] = params["coef"][c][j], se["coef"][c][j]
    if params.get("dispersion"):
        name, value, slope = FURTHER[params["dispersion"]["name"]]
        for c, (v, s) in enumerate(zip(params["dispersion"]["values"], se["dispersion"]["values"], strict=True)):
            out[f"{name}[{c}]"] = value(v), s * slope(v)
    if params.get("concomitant_coef"):
        return out
    for c in range(k):
        out[f"weight[{c}]"] = params["weights"][c], se["weights"][c]
    return out


def test_every_certified_case_is_listed():
    assert sorted(NAMES) == sorted(cases())


@pytest.mark.parametrize("name", NAMES)
def test_certified(name):
    case = cases()[name]
    made, how = arguments(case)
    basin = name.endswith("basin2")
    start = np.asarray(case["start"]["labels"]) if basin else None
    model = ff.MixtureRegressor(**made, start=start, random_state=1).fit(**how)
    assert model.converged_
    assert model.result_.llf == pytest.approx(case["loglik"], rel=1e-12)
    bic = -2.0 * case["loglik"] + np.log(case["n_bic"]) * case["df"]
    assert model.result_.n_params == case["df"]
    assert model.result_.bic == pytest.approx(bic, rel=1e-12)
    assert model.result_.icl == pytest.approx(case["icl"], rel=1e-10)
    got, se = model.result_.params, model.result_.bse
    for parameter, (value, error) in expected(case).items():
        assert abs(got[parameter] - value) <= 1e-8 * error, parameter
        assert se[parameter] == pytest.approx(error, rel=1e-8), parameter
    if case["params"].get("concomitant_coef"):
        np.testing.assert_allclose(model.concomitant_coef_, case["params"]["concomitant_coef"], rtol=1e-7, atol=1e-9)
        want = np.asarray(case["se"]["concomitant_coef"])[1:].ravel()
        np.testing.assert_allclose(se[[n for n in se.index if n.startswith("class[")]], want, rtol=1e-8)


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    """Two lines with noise, with everything else that rows may have."""
    rng = np.random.default_rng(3)
    n = 240
    frame = pd.DataFrame({"x": rng.uniform(0, 4, n), "g": rng.choice(list("abc"), n), "z": rng.normal(size=n)})
    second = rng.random(n) < 1 / (1 + np.exp(-(0.3 + frame["z"])))
    mean = np.where(second, 6.0 - frame["x"], 1.0 + 2.0 * frame["x"]) + 0.5 * (frame["g"] == "b")
    frame["y"] = mean + np.where(second, 0.4, 0.8) * rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(np.where(second, 2.0 - 0.3 * frame["x"], 0.2 + 0.2 * frame["x"])))
    frame["years"] = rng.uniform(0.5, 2.0, n)
    return frame


def mixture_of(model, monkeypatch, *args, **how):
    """The mixture that a fit makes."""
    import fisherfit.estimators.mixture_regressor as module

    kept = {}
    whole = module.fit_mixture

    def spy(mixture, **options):
        kept["mixture"] = mixture
        return whole(mixture, **options)

    monkeypatch.setattr(module, "fit_mixture", spy)
    model.fit(*args, **how)
    return kept["mixture"]


SETTINGS = {
    "normal": ({"formula": "y ~ x + g"}, {}),
    "shared": ({"formula": "y ~ x + g", "shared": ("g", "sigma")}, {}),
    "concomitant": ({"formula": "count ~ x", "family": "poisson", "concomitant": "~ z + g"}, {"exposure": "years"}),
    "two families": ({"formula": "count ~ x", "family": ["poisson", "negative_binomial"]}, {}),
    "gamma": ({"formula": "years ~ x + z", "family": "gamma"}, {}),
    "inverse gaussian": ({"formula": "years ~ z", "family": "inverse_gaussian", "link": "log"}, {}),
    "student": ({"formula": "y ~ x", "family": ff.StudentT(df=4)}, {}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_score_and_information_are_derivatives(name, data, monkeypatch):
    made, how = SETTINGS[name]
    model = ff.MixtureRegressor(**made, n_init=1, max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = mixture_of(model, monkeypatch, data, **how)
    theta = model._theta + 0.1 * np.random.default_rng(0).standard_normal(mixture.size)
    steps = 1e-5 * np.eye(mixture.size)
    with np.errstate(all="ignore"):
        here = mixture.evaluate(theta)
        slope = (mixture.loglik(theta + steps) - mixture.loglik(theta - steps)) / 2e-5
        bend = [(mixture.evaluate(theta + s).score - mixture.evaluate(theta - s).score) / 2e-5 for s in steps]
    size = np.abs(here.observed).max()
    np.testing.assert_allclose(here.score, slope, rtol=1e-6, atol=1e-7 * size)
    np.testing.assert_allclose(here.observed, -np.array(bend), rtol=1e-6, atol=1e-7 * size)
    np.testing.assert_allclose(mixture.unit_scores(theta).sum(axis=0), here.score, rtol=1e-9, atol=1e-9 * size)
    report, there = mixture.report(theta), [mixture.report(theta + s) for s in steps]
    back = [mixture.report(theta - s) for s in steps]
    slope = np.array([(a.values - b.values) / 2e-5 for a, b in zip(there, back, strict=True)]).T
    np.testing.assert_allclose(report.jacobian, slope, rtol=1e-6, atol=1e-8 * np.abs(report.values).max())


def assert_same(a, b, rtol=1e-9):
    np.testing.assert_allclose(a.result_.llf, b.result_.llf, rtol=1e-12)
    assert a.result_.names == b.result_.names
    np.testing.assert_allclose(a.result_.estimates, b.result_.estimates, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(a.result_.standard_errors, b.result_.standard_errors, rtol=1e-7)


def test_weights_are_repetitions(data):
    weight = np.random.default_rng(0).integers(0, 3, len(data))
    rows = np.repeat(np.arange(len(data)), weight)
    model = ff.MixtureRegressor(formula="y ~ x + g", random_state=0)
    a = clone(model).fit(data, sample_weight=weight)
    b = clone(model).fit(data.iloc[rows].reset_index(drop=True))
    assert_same(a, b)
    assert a.result_.nobs == b.result_.nobs == weight.sum()
    c = clone(model).set_params(weight_type="analytic").fit(data, sample_weight=weight)
    assert c.result_.nobs == np.count_nonzero(weight)
    assert c.result_.llf == a.result_.llf


def test_weights_of_groups_are_repetitions_of_groups(data):
    label = np.arange(len(data)) // 4
    weight = np.random.default_rng(1).integers(1, 3, label[-1] + 1)
    twice = np.concatenate([np.arange(len(data)), np.flatnonzero(weight[label] == 2)])
    again = np.concatenate([label, label[weight[label] == 2] + 1000])
    model = ff.MixtureRegressor(formula="count ~ x", family="poisson", random_state=0)
    a = clone(model).fit(data, groups=label, sample_weight=weight)
    assert_same(a, clone(model).fit(data.iloc[twice].reset_index(drop=True), groups=again))
    assert_same(a, clone(model).fit(data, groups=label, sample_weight=weight[label].astype(float)))


def test_groups_need_not_be_sorted(data):
    label = np.array([f"g{i // 5:02d}" for i in range(len(data))])
    order = np.random.default_rng(2).permutation(len(data))
    frame = data.assign(label=label)
    model = ff.MixtureRegressor(formula="y ~ x", random_state=0)
    a, b = clone(model).fit(frame, groups="label"), clone(model).fit(data.iloc[order], groups=label[order])
    assert_same(a, b)
    r = a.component_proba(frame)
    np.testing.assert_allclose(
        b.component_proba(data.iloc[order], groups=label[order]), r[order], rtol=1e-8, atol=1e-12
    )
    assert all(np.ptp(r[label == g], axis=0).max() == 0.0 for g in np.unique(label))
    assert a.score_samples(frame).sum() == pytest.approx(a.result_.llf, rel=1e-12)
    assert a.score_samples(frame).shape == (len(np.unique(label)),)
    single = clone(model).fit(data, groups=np.arange(len(data)))
    assert_same(single, clone(model).fit(data))


def test_the_loglikelihood_of_groups_by_hand(data):
    label = np.arange(len(data)) % 50
    m = ff.MixtureRegressor(formula="y ~ x", random_state=0).fit(data, groups=label)
    from scipy.special import logsumexp
    from scipy.stats import norm

    mu = m.intercept_ + data[["x"]].to_numpy() * m.coef_.T
    sigma = m.result_.params[["sigma[0]", "sigma[1]"]].to_numpy()
    each = norm.logpdf(data["y"].to_numpy()[:, None], mu, sigma)
    by_group = np.stack([each[label == g].sum(axis=0) for g in range(50)]) + np.log(m.weights_)
    np.testing.assert_allclose(m.score_samples(data, groups=label), logsumexp(by_group, axis=1), rtol=1e-10)
    want = np.exp(by_group - logsumexp(by_group, axis=1, keepdims=True))
    np.testing.assert_allclose(m.component_proba(data, groups=label), want[label], rtol=1e-8, atol=1e-12)


def test_shared_parameters_are_constraints(data):
    free = ff.MixtureRegressor(formula="y ~ x + g", random_state=0).fit(data)
    tied = ff.MixtureRegressor(formula="y ~ x + g", shared=("g", "sigma"), random_state=0).fit(data)
    assert tied.result_.n_params == free.result_.n_params - 3
    assert tied.result_.llf < free.result_.llf
    np.testing.assert_array_equal(tied.coef_[0, 1:], tied.coef_[1, 1:])
    assert "sigma" in tied.result_.names
    assert "g[T.b]" in tied.result_.names
    assert "x[1]" in tied.result_.names
    one = ff.MixtureRegressor(formula="y ~ x + g", n_components=1).fit(data)
    glm = ff.GLM(formula="y ~ x + g", dispersion="ml").fit(data)
    np.testing.assert_allclose([one.intercept_[0], *one.coef_[0]], glm.result_.params, rtol=1e-9)
    assert one.result_.llf == pytest.approx(glm.result_.llf, rel=1e-12)
    assert one.result_.params["sigma[0]"] ** 2 == pytest.approx(glm.dispersion_, rel=1e-9)


def test_ways_to_say_offset_and_concomitant(data):
    made = {"family": "poisson", "random_state": 0}
    a = ff.MixtureRegressor(formula="count ~ x", concomitant="~ z + g", **made).fit(data, exposure="years")
    b = ff.MixtureRegressor(concomitant=["z", "g"], **made)
    b.fit(data[["x", "z", "g"]], data["count"], offset=np.log(data["years"]))
    c = ff.MixtureRegressor(**made)
    c.fit(data[["x"]], data["count"], exposure=data["years"], concomitant=data[["z", "g"]])
    assert_same(a, b)
    assert_same(a, c)
    np.testing.assert_array_equal(b.feature_names_in_, ["x"])
    assert a.concomitant_coef_.shape == (2, 4)
    assert not a.concomitant_coef_[0].any()
    prior = a.prior_proba(data)
    np.testing.assert_allclose(c.prior_proba(data[["x"]], concomitant=data[["z", "g"]]), prior, rtol=1e-9)
    np.testing.assert_allclose(a.weights_, prior.mean(axis=0), rtol=1e-12)
    mean = (a.predict(data, kind="components") * prior).sum(axis=1)
    np.testing.assert_allclose(a.predict(data), mean, rtol=1e-14)
    np.testing.assert_allclose(np.log(a.predict(data, kind="components")), a.predict(data, kind="link"), rtol=1e-9)
    given = {"exposure": data["years"], "concomitant": data[["z", "g"]]}
    np.testing.assert_allclose(c.predict(data[["x"]], **given), a.predict(data), rtol=1e-9)
    assert a.score_samples(data).sum() == pytest.approx(a.result_.llf, rel=1e-12)


def test_tables_of_all_kinds(data):
    a = ff.MixtureRegressor(random_state=0).fit(data[["x", "g"]], data["y"])
    b = ff.MixtureRegressor(random_state=0).fit(pl.from_pandas(data[["x", "g"]]), data["y"].to_numpy())
    assert_same(a, b)
    X = np.column_stack([data["x"], data["g"] == "b", data["g"] == "c"]).astype(float)
    c = ff.MixtureRegressor(random_state=0).fit(scipy.sparse.csr_array(X), data["y"].to_numpy())
    np.testing.assert_allclose(c.coef_, a.coef_, rtol=1e-7)
    np.testing.assert_allclose(c.predict(X), a.predict(data[["x", "g"]]), rtol=1e-9)
    few = scipy.sparse.csr_array(X[:9])
    want = a.component_proba(data[["x", "g"]], data["y"])[:9]
    np.testing.assert_allclose(c.component_proba(few, data["y"].to_numpy()[:9]), want, rtol=1e-6, atol=1e-9)


def test_missing_values_are_dropped_from_all_that_is_read(data):
    frame = data.assign(label=np.arange(len(data)) // 3 * 1.0)
    holes = frame.copy()
    holes.loc[0:2, "z"], holes.loc[7, "x"], holes.loc[12:14, "label"] = np.nan, np.nan, np.nan
    full = holes.dropna(subset=["z", "x", "label"]).reset_index(drop=True)
    full["z"] = full["z"].groupby(full["label"]).transform("mean")
    holes["z"] = holes["label"].map(full.groupby("label")["z"].first()).where(holes["z"].notna())
    made = {"formula": "y ~ x", "concomitant": "~ z", "random_state": 0}
    want = ff.MixtureRegressor(**made).fit(full, groups="label")
    with pytest.warns(ff.MissingValuesWarning, match="7 of 240 rows"):
        got = ff.MixtureRegressor(**made, missing="drop").fit(holes, groups="label")
    assert_same(got, want)
    with pytest.raises(ff.InputError, match="missing"):
        ff.MixtureRegressor(**made).fit(holes, groups="label")


def test_starts_as_labels_probabilities_and_parameters(data):
    model = ff.MixtureRegressor(formula="y ~ x", random_state=0).fit(data)
    labels = model.classify(data)
    for start in (labels, model.component_proba(data), model.result_.params, model.result_.params.to_dict()):
        assert_same(clone(model).set_params(start=start).fit(data), model)
    tied = ff.MixtureRegressor(formula="y ~ x", shared=("sigma",), concomitant="z", random_state=0).fit(data)
    assert_same(clone(tied).set_params(start=tied.result_.params).fit(data), tied)


def test_reproducible_and_bitwise_equal_on_any_number_of_threads(data):
    big = pd.concat([data] * 60, ignore_index=True)
    fits = [ff.MixtureRegressor(formula="y ~ x + g", n_init=1, random_state=5, n_jobs=k).fit(big) for k in (1, 2, 2)]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.result_.estimates, fits[0].result_.estimates)


def test_sample_follows_the_model(data):
    m = ff.MixtureRegressor(formula="y ~ x", concomitant="~ z", random_state=0).fit(data)
    many = pd.concat([data.iloc[[0, 1]]] * 4000, ignore_index=True)
    y, component = m.sample(many, random_state=0)
    first = np.arange(8000) % 2 == 0
    assert y[first].mean() == pytest.approx(m.predict(many)[0], abs=0.15)
    assert component[first].mean() == pytest.approx(m.prior_proba(many)[0, 1], abs=0.03)
    _, component = m.sample(many, random_state=0, groups=np.arange(8000) // 2 // 4)
    assert np.ptp(component.reshape(-1, 8), axis=1).max() == 0
    counts = np.c_[np.array([3.0, 1, 0, 4, 9, 8, 10, 9]), np.array([7.0, 9, 10, 6, 1, 2, 0, 1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        b = ff.MixtureRegressor("binomial", random_state=0).fit(np.tile(np.arange(4.0), 2)[:, None], counts)
    y, _ = b.sample(np.arange(4.0)[:, None], random_state=1, trials=10)
    assert y.max() <= 10
    assert np.all(y == np.rint(y))


def test_score_is_r2_of_the_mean(data):
    m = ff.MixtureRegressor(formula="y ~ x", random_state=0).fit(data)
    rest = ((data["y"] - m.predict(data)) ** 2).sum()
    assert m.score(data) == pytest.approx(1 - rest / ((data["y"] - data["y"].mean()) ** 2).sum(), rel=1e-12)
    with pytest.warns(ff.FisherfitWarning, match="y was not given"):
        assert not ff.MixtureRegressor(random_state=0).fit(data[["x"]], data["y"]).score_samples(data[["x"]]).any()


def test_component_params(data):
    m = ff.MixtureRegressor(formula="y ~ x", shared=("sigma",), random_state=0).fit(data)
    table = m.component_params_
    assert list(table.index) == ["weight", "Intercept", "x", "sigma"]
    assert table.loc["sigma", 0] == table.loc["sigma", 1] == m.result_.params["sigma"]
    np.testing.assert_array_equal(table.loc["x"], m.coef_[:, 0])


# --- trouble --------------------------------------------------------------------------------------------------------


def test_aliased_columns_are_named_and_left_out(data):
    frame = data[["x", "z"]].assign(twice=2.0 * data["x"], one=1.0)
    with pytest.warns(ff.RankWarning, match=r"'twice', 'one'"):
        m = ff.MixtureRegressor(random_state=0).fit(frame, data["y"])
    want = ff.MixtureRegressor(random_state=0).fit(data[["x", "z"]], data["y"])
    assert m.aliased_ == ("twice", "one")
    assert m.result_.llf == pytest.approx(want.result_.llf, rel=1e-12)
    np.testing.assert_allclose(m.predict(frame), want.predict(data[["x", "z"]]), rtol=1e-8)
    assert not m.coef_[:, 2:].any()
    m = ff.MixtureRegressor(formula="y ~ x", concomitant=["z", "again"], random_state=0)
    with pytest.warns(ff.RankWarning, match="concomitant"):
        m.fit(data.assign(again=data["z"]))
    assert m.concomitant_coef_.shape == (2, 2)
    m.prior_proba(data.assign(again=data["z"]))


def test_separation_in_a_component_is_named():
    rng = np.random.default_rng(0)
    x = np.tile([0.0, 1.0], 150)
    second = np.arange(300) // 2 % 2 == 1
    y = np.where(second, np.where(x == 1.0, 10.0, 5.0), rng.binomial(10, np.where(x == 1.0, 0.2, 0.3)))
    y[second & (x == 0.0)] = rng.binomial(10, 0.6, int((second & (x == 0.0)).sum()))
    groups = np.arange(300) // 2
    with pytest.warns(ff.SeparationWarning, match="component 1 is separated"):
        m = ff.MixtureRegressor("binomial", random_state=0).fit(x[:, None], np.c_[y, 10 - y], groups=groups)
    assert m.separation_ == {1: {"x0": "+inf"}}
    np.testing.assert_allclose(m.predict([[1.0]], kind="components")[0, 1], 1.0, rtol=1e-6)


def test_a_likelihood_without_bound_is_reported():
    X = np.random.default_rng(0).normal(size=(12, 8))
    y = X @ np.arange(8.0) + np.random.default_rng(1).normal(size=12)
    with pytest.warns(ff.BoundaryWarning, match="no start leads to a maximum inside"):
        m = ff.MixtureRegressor(random_state=0).fit(X, y)
    assert not m.converged_
    np.testing.assert_allclose(m.coef_[0], ff.GLM().fit(X, y).coef_, rtol=1e-6)


def test_rows_that_are_impossible_in_a_component_do_not_poison_the_sums():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, 200)
    y = np.where(rng.random(200) < 0.5, rng.exponential(x), rng.exponential(5 * x))
    y[:3] = 1e-300, 1e-200, 1e8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        m = ff.MixtureRegressor(["exponential", "gamma"], link=["log", "inverse"], random_state=0).fit(x[:, None], y)
    assert np.all(np.isfinite(m.result_.estimates))
    assert np.isfinite(m.result_.llf)


def test_zero_weight_rows_may_hold_anything(data):
    frame = data[["x", "count"]].astype(float)
    weight = np.ones(len(frame))
    weight[:3] = 0.0
    frame.loc[:2, "count"] = [-5.0, 2.5, 1e9]
    model = ff.MixtureRegressor("poisson", random_state=0)
    a = clone(model).fit(frame[["x"]], frame["count"], sample_weight=weight)
    b = clone(model).fit(frame[["x"]][3:], frame["count"][3:])
    assert_same(a, b)


X2 = np.random.default_rng(0).normal(size=(30, 2))
Y = np.random.default_rng(1).normal(size=30)
BAD = {
    "no y": (lambda: ff.MixtureRegressor().fit(X2), "requires y to be passed"),
    "components": (lambda: ff.MixtureRegressor(n_components=0).fit(X2, Y), "n_components must be a whole number of at least 1, got 0"),
    "too many": (lambda: ff.MixtureRegressor(n_components=31).fit(X2, Y), "n_components=31 is more than the number of rows"),
    "too many groups": (lambda: ff.MixtureRegressor(n_components=4).fit(X2, Y, groups=np.arange(30) % 3), "more than the number of groups"),
    "families": (lambda: ff.MixtureRegressor(["normal"] * 3).fit(X2, Y), "family has 3 entries, and there are n_components=2"),
    "unknown family": (lambda: ff.MixtureRegressor("normale").fit(X2, Y), "normale"),
    "unknown link": (lambda: ff.MixtureRegressor("poisson", link="lgo").fit(X2, Y), "lgo"),
    "links": (lambda: ff.MixtureRegressor(link=["log", "identity", "log"]).fit(X2, Y), "link has 3 entries"),
    "shared string": (lambda: ff.MixtureRegressor(shared="x0").fit(X2, Y), "expected a list of names"),
    "shared unknown": (lambda: ff.MixtureRegressor(shared=["x7"]).fit(X2, Y), "shared: 'x7' is neither"),
    "all shared": (lambda: ff.MixtureRegressor(shared=["x0", "x1", "Intercept", "sigma"]).fit(X2, Y), "every parameter"),
    "support": (lambda: ff.MixtureRegressor("poisson").fit(X2, Y), "the poisson family needs y to be"),
    "second support": (lambda: ff.MixtureRegressor(["normal", "gamma"]).fit(X2, Y), "needs y to be greater than 0"),
    "proportions": (lambda: ff.MixtureRegressor("binomial").fit(X2, np.full(30, 0.5)), "successes and failures as two columns"),
    "two columns": (lambda: ff.MixtureRegressor(["binomial", "poisson"]).fit(X2, np.ones((30, 2))), "not for poisson"),
    "weights vary": (lambda: ff.MixtureRegressor().fit(X2, Y, groups=np.arange(30) // 3, sample_weight=np.arange(30.0)), "sample_weight varies within the group 0"),
    "concomitant varies": (lambda: ff.MixtureRegressor().fit(X2, Y, groups=np.arange(30) // 3, concomitant=X2[:, 0]), "'z0' varies within the group 0"),
    "concomitant rows": (lambda: ff.MixtureRegressor().fit(X2, Y, concomitant=X2[:7]), "concomitant has 7 rows"),
    "concomitant twice": (lambda: ff.MixtureRegressor(concomitant="~ z").fit(X2, Y, concomitant=X2), "to the constructor and to fit"),
    "concomitant name": (lambda: ff.MixtureRegressor(concomitant=["w"]).fit(pd.DataFrame({"x": Y}), Y), "concomitant='w' is not a column"),
    "concomitant names, array": (lambda: ff.MixtureRegressor(concomitant=["w"]).fit(X2, Y), "names columns, but X is an array"),
    "concomitant formula": (lambda: ff.MixtureRegressor(concomitant="x ~ x").fit(pd.DataFrame({"x": Y}), Y), "has a response"),
    "concomitant NaN": (lambda: ff.MixtureRegressor().fit(X2, Y, concomitant=np.full(30, np.nan)), "column 'z0' has a missing value at row 0"),
    "groups length": (lambda: ff.MixtureRegressor().fit(X2, Y, groups=[1, 2]), "groups has 2 labels"),
    "groups missing": (lambda: ff.MixtureRegressor().fit(X2, Y, groups=[None] + ["a"] * 29), "groups has a missing label at row 0"),
    "exposure": (lambda: ff.MixtureRegressor().fit(X2, Y, exposure=np.ones(30)), "exposure needs the log link"),
    "NaN": (lambda: ff.MixtureRegressor().fit(np.where(X2 > 1, np.nan, X2), Y), "contains NaN"),
    "weight": (lambda: ff.MixtureRegressor().fit(X2, Y, sample_weight=np.zeros(30)), "every sample_weight is zero"),
    "weight type": (lambda: ff.MixtureRegressor(weight_type="probability").fit(X2, Y), "'frequency' or 'analytic'"),
    "start label": (lambda: ff.MixtureRegressor(start=np.full(30, 2)).fit(X2, Y), "label 2 at row 0; labels are 0 to 1"),
    "start rows": (lambda: ff.MixtureRegressor(start=[0, 1]).fit(X2, Y), "start has 2 rows, the data have 30"),
    "start shape": (lambda: ff.MixtureRegressor(start=np.ones((30, 3))).fit(X2, Y), "probabilities must be of shape"),
    "start name": (lambda: ff.MixtureRegressor(start={"weight[0]": 1.0}).fit(X2, Y), "start has no parameter 'weight[1]'"),
    "random state": (lambda: ff.MixtureRegressor(random_state="a").fit(X2, Y), "random_state"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, text = BAD[name]
    with pytest.raises(ff.FisherfitError) as caught:
        call()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_new_rows(data):
    m = ff.MixtureRegressor(random_state=0).fit(X2, Y, concomitant=X2[:, 0], offset=np.ones(30))
    for call, text in (
        (lambda: m.predict(X2), "the fit had an offset given as an array"),
        (lambda: m.predict(X2, offset=0.0), "give concomitant= for these rows"),
        (lambda: m.predict(X2[:, :1], offset=0.0), "X has 1 features"),
        (lambda: m.component_proba(X2, offset=0.0, concomitant=X2[:, 0]), "requires y"),
        (lambda: m.predict(X2, offset=0.0, concomitant=X2[:, 0], kind="x"), "kind: 'x' is not known"),
        (lambda: m.sample(X2, offset=0.0, concomitant=X2), "2 features"),
    ):
        with pytest.raises(ff.FisherfitError, match=text):
            call()
    plain = ff.MixtureRegressor(random_state=0).fit(X2, Y)
    with pytest.raises(ff.InputError, match="no concomitant variables"):
        plain.predict(X2, concomitant=X2)
    with pytest.raises(AttributeError, match="prior_proba"):
        plain.predict_proba(X2)
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        ff.MixtureRegressor().predict(X2)


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    m = ff.MixtureRegressor(random_state=0).fit(X2, Y)
    before = m.result_
    with pytest.raises(ff.InputError):
        m.fit(X2, Y[:3])
    assert m.result_ is before


# --- scikit-learn ---------------------------------------------------------------------------------------------------


def test_check_estimator():
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # typed warnings of degenerate fits are allowed here
        check_estimator(ff.MixtureRegressor())


def test_search_routing_and_pickles(data):
    X, y = data[["x"]], data["y"]
    search = GridSearchCV(ff.MixtureRegressor(n_init=2, random_state=0), {"n_components": [1, 2]}, cv=3).fit(X, y)
    assert search.best_params_["n_components"] in (1, 2)
    m = ff.MixtureRegressor(random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(m))
    np.testing.assert_array_equal(again.predict(X), m.predict(X))
    np.testing.assert_array_equal(again.component_proba(X, y), m.component_proba(X, y))
    assert len(pickle.dumps(m)) < 30_000, "a fitted model holds no rows"
    with config_context(enable_metadata_routing=True):
        routed = ff.MixtureRegressor().set_fit_request(groups=True, concomitant=True)
        assert routed.get_metadata_routing().fit.requests["groups"] is True


def test_a_dispersion_at_its_edge_is_held_there():
    """Counts less spread than Poisson's: alpha is 0 in both components, and the rest is the Poisson mixture."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (400, 1))
    y = rng.binomial(20, np.where(rng.random(400) < 0.5, 0.2, 0.8))
    model = ff.MixtureRegressor("negative_binomial", 2, random_state=0)
    with pytest.warns(ff.BoundaryWarning, match=r"alpha\[0\] = 0, alpha\[1\] = 0; there is no standard error"):
        model.fit(x, y)
    poisson = ff.MixtureRegressor("poisson", 2, random_state=0).fit(x, y).result_
    result = model.result_
    assert model.converged_
    assert result.boundary == ("alpha[0]", "alpha[1]")
    assert result.params[["alpha[0]", "alpha[1]"]].tolist() == [0.0, 0.0]
    assert result.bse[["alpha[0]", "alpha[1]"]].isna().all()
    assert result.llf == pytest.approx(poisson.llf, rel=1e-12)
    names = list(poisson.params.index)
    np.testing.assert_allclose(result.params[names], poisson.params, rtol=1e-7)
    np.testing.assert_allclose(result.bse[names], poisson.bse, rtol=1e-7)
    assert model.test("x0[0] = x0[1]", method="lr", X=x, y=y).df == 1


def separated_rows(n, line):
    """Trials of two classes. In the first all or none succeed, by a line; or all where x0 is 1, and else some."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    first = rng.random(n) < 0.5
    if line:
        ends = x[:, 0] + 0.5 * x[:, 1] > 0.1
        return x, np.where(first, 30.0 * ends, rng.binomial(30, 0.5, n)), first
    x[:, 0] = x[:, 0] > 0.0
    p = np.where(first, 1.0 / (1.0 + np.exp(-2.0 + 0.3 * x[:, 1])), 0.3)
    return x, np.where(first & (x[:, 0] == 1.0), 30.0, rng.binomial(30, p)), first


@pytest.mark.parametrize(("line", "batches"), [(True, False), (False, False), (False, True)])
def test_separation_among_many_rows(line, batches, monkeypatch):
    """More rows than one linear program takes: cutting planes on those that a component owns, in passes."""
    monkeypatch.setattr("fisherfit.estimators.regression_batches.SAMPLE", 4_000)
    x, y, first = separated_rows(30_000, line)
    signs = {"Intercept": "-inf", "x0": "+inf", "x1": "+inf"} if line else {"x0": "+inf"}
    start = dict(zip(("Intercept[0]", "x0[0]", "x1[0]"), (-1.0, 10.0, 5.0) if line else (2.0, 5.0, 0.0), strict=True))
    start |= {"weight[0]": 0.5, "weight[1]": 0.5, "Intercept[1]": 0.0, "x0[1]": 0.0, "x1[1]": 0.0}
    model = ff.MixtureRegressor("binomial", 2, random_state=0, start=start)

    def data(y):
        both = np.c_[y, 30.0 - y]
        return ([*zip(np.split(x, 3), np.split(both, 3), strict=True)],) if batches else (x, both)

    with pytest.warns(ff.SeparationWarning, match="'x0'.* infinite"):
        model.fit(*data(y))
    ((k, found),) = model.separation_.items()
    assert found == signs
    sure = first & ((y == 0.0) | (y == 30.0)) if line else first & (x[:, 0] == 1.0)
    found = model.predict(x, kind="components")[sure, k]
    np.testing.assert_allclose(found, y[sure] / 30.0, atol=1e-5)  # the row next to the line is 4e-5 from it
    errors = model.result_.bse
    assert errors[[f"{name}[{k}]" for name in signs]].isna().all()
    assert np.isfinite(errors[[f"{name}[{1 - k}]" for name in signs]]).all()
    # steep, but some trials fail: there is a maximum
    beta = np.array([-1.0, 10.0, 5.0]) if line else np.array([2.0, 2.0, -0.3])
    p = 1.0 / (1.0 + np.exp(-beta[0] - x @ beta[1:]))
    y[first] = np.random.default_rng(1).binomial(30, p[first])
    assert model.fit(*data(y)).separation_ == {}
    assert np.abs(model.coef_[int(not line)] - beta[1:]).max() < 0.2  # some standard errors of the truth
    assert np.isfinite(model.result_.bse).all()
