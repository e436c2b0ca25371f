"""partial_fit: estimates and standard errors of all rows from batches that are seen once."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import fisherfit as ff

BATCHES, SIZE = 1000, 100


def rows(family, n=BATCHES * SIZE, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    eta = 0.4 + X @ [0.5, -0.3, 0.2, 0.0]
    mu = np.exp(eta)
    y = {
        "poisson": lambda: rng.poisson(mu),
        "normal": lambda: eta + rng.normal(size=n),
        "gamma": lambda: rng.gamma(2.0, mu / 2.0),
        "negative_binomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
        "binomial": lambda: rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-eta)),
        "inverse_gaussian": lambda: rng.wald(mu, 4.0),
    }[family]()
    return X, np.asarray(y, float)


def stream(model, X, y, size=SIZE, **more):
    for first in range(0, len(y), size):
        part = slice(first, first + size)
        batch = X.iloc[part] if hasattr(X, "iloc") else X[part]
        model.partial_fit(batch, y[part], **{name: value[part] for name, value in more.items()})
    return model.result_


@pytest.mark.parametrize("family", ["poisson", "binomial", "gamma", "normal", "negative_binomial"])
def test_a_thousand_batches(family):  # in random order: no warning
    X, y = rows(family)
    model = ff.GLM(family)
    found, whole = stream(model, X, y), ff.GLM(family).fit(X, y).result_
    assert np.abs((found.coefficients - whole.coefficients) / whole.standard_errors).max() < 0.1
    np.testing.assert_allclose(found.standard_errors, whole.standard_errors, rtol=0.05)
    assert found.dispersion == pytest.approx(whole.dispersion, rel=0.02)
    assert (found.nobs, found.df_resid, found.rank) == (whole.nobs, whole.df_resid, whole.rank)
    assert model.n_iter_ == BATCHES
    assert len(pickle.dumps(model)) < 20_000, "no rows are kept"
    if family != "negative_binomial":
        assert found.deviance == pytest.approx(whole.deviance, rel=1e-3)
        assert found.null_deviance == pytest.approx(whole.null_deviance, rel=1e-10)
    if family != "gamma":
        assert found.llf == pytest.approx(whole.llf, abs=3.0)
    assert found.summary() is not None
    assert np.isfinite(model.predict(X[:3])).all()


def test_a_linear_model_is_exact():
    X, y = rows("normal", 5000)
    w = np.random.default_rng(1).uniform(0.5, 2.0, 5000)
    found = stream(ff.GLM(), X, y, sample_weight=w)
    whole = ff.GLM().fit(X, y, sample_weight=w).result_
    for name in ("coefficients", "standard_errors", "deviance", "dispersion", "pearson_chi2", "llf", "llnull"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-9, err_msg=name)


def test_held_rows_are_fitted_exactly():
    X, y = rows("gamma", 600)
    found, whole = stream(ff.GLM("gamma"), X, y, 60), ff.GLM("gamma").fit(X, y).result_
    np.testing.assert_allclose(found.coefficients, whole.coefficients, rtol=1e-9)
    np.testing.assert_allclose(found.standard_errors, whole.standard_errors, rtol=1e-9)
    assert found.llf == pytest.approx(whole.llf, rel=1e-10)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "inverse_gaussian"])
def test_other_batches_offsets_and_weights(family):
    """Uneven batches, an exposure and repeated rows; inverse Gaussian responses have by far the largest third order."""
    X, y = rows(family, 12_000)
    rng = np.random.default_rng(3)
    t, w = rng.uniform(0.5, 2.0, y.size), rng.integers(0, 3, y.size).astype(float)
    link = {"link": "log"} if family == "inverse_gaussian" else {}
    model = ff.GLM(family, weight_type="frequency", **link)
    edges = np.sort(rng.choice(np.arange(1, y.size), 60, replace=False))
    for part in np.split(np.arange(y.size), edges):
        model.partial_fit(X[part], y[part], sample_weight=w[part], exposure=t[part])
    whole = ff.GLM(family, weight_type="frequency", **link).fit(X, y, sample_weight=w, exposure=t).result_
    found = model.result_
    most = 0.5 if family == "inverse_gaussian" else 0.15
    assert np.abs((found.coefficients - whole.coefficients) / whole.standard_errors).max() < most
    np.testing.assert_allclose(found.standard_errors, whole.standard_errors, rtol=0.05)
    assert found.nobs == whole.nobs


def test_sorted_batches():
    """Rows sorted by a covariate: no batch is a sample of the rows, and the estimate moves far after those held."""
    X, y = rows("poisson", 50_000)
    order = np.argsort(X[:, 0])
    found = stream(ff.GLM("poisson"), X[order], y[order])
    whole = ff.GLM("poisson").fit(X, y).result_
    error = np.abs((found.coefficients - whole.coefficients) / whole.standard_errors).max()
    assert error < 1.0
    np.testing.assert_allclose(found.standard_errors, whole.standard_errors, rtol=0.1)


@pytest.fixture
def fits(monkeypatch):
    """Counts the fits of rows that are held."""
    from fisherfit.estimators import streaming

    counted, made = [], streaming.report

    def report(model, family, data, likelihood):
        counted.append(likelihood.observations)
        return made(model, family, data, likelihood)

    monkeypatch.setattr(streaming, "report", report)
    return counted


@pytest.mark.filterwarnings("ignore::fisherfit.SeparationWarning")
def test_batches_that_are_separated_are_not_fitted_every_time(fits):
    """Sorted by the response: nothing is determined for long, and the work stays linear in the rows."""
    X, y = rows("binomial", 20_000)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    half = int((y == 0.0).sum()) // 100 * 100
    model = ff.GLM("binomial")
    stream_to(model, X[:half], y[:half])
    assert sum(fits) < 25 * half
    assert len(fits) < 60
    waiting = pickle.loads(pickle.dumps(model))
    for each in (model, waiting):  # a result that is asked for is that of all rows
        assert each.result_.nobs == half
        assert each.predict(X[:2]).max() < 1e-3
        assert each.separation_
    with pytest.warns(ff.ConvergenceWarning, match="rows come in an order"):
        stream_to(model, X[half:], y[half:])
    assert not model.converged_
    assert not model.result_.converged
    assert model.result_.nobs == 20_000
    assert not hasattr(model, "alpha_")


def stream_to(model, X, y, size=100):
    for first in range(0, len(y), size):
        model.partial_fit(X[first : first + size], y[first : first + size])


def test_first_batches_of_few_rows():
    """Fewer rows than columns, and separated ones: rows are held until they determine the estimate."""
    X, y = rows("binomial", 3000)
    model = ff.GLM("binomial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        for first in range(0, 30, 3):
            model.partial_fit(X[first : first + 3], y[first : first + 3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        stream(model, X[30:], y[30:], 90)
    whole = ff.GLM("binomial").fit(X, y).result_
    assert np.abs((model.coef_ - whole.coefficients[1:]) / whole.standard_errors[1:]).max() < 0.15
    assert model.result_.nobs == 3000
    assert not model.separation_


def test_alpha_at_its_bound():
    X, y = rows("poisson", 8000, seed=6)
    model = ff.GLM("negative_binomial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.BoundaryWarning)
        found = stream(model, X, y, 200)
    whole = ff.GLM("poisson").fit(X, y).result_
    assert 0.0 <= found.coefficients[-1] < 0.05
    assert np.abs((found.coefficients[:5] - whole.coefficients) / whole.standard_errors).max() < 0.2


def test_tables_formulas_and_levels():
    X, y = rows("poisson", 10_000)
    g = np.random.default_rng(4).choice(list("abc"), 10_000)
    table = pd.DataFrame(X, columns=["x0", "x1", "x2", "x3"]).assign(g=g)
    table.loc[:49, "g"] = "b"
    levels = {"g": ["a", "b", "c"]}
    text = "y ~ x0 + x1 * x2 + C(g)"
    for formula in (None, text):
        model, whole = ff.GLM("poisson", formula=formula), ff.GLM("poisson", formula=formula)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.FisherfitWarning)
            for first in range(0, 10_000, 50):
                part = table.iloc[first : first + 50]
                given = (part.assign(y=y[first : first + 50]),) if formula else (part, y[first : first + 50])
                model.partial_fit(*given, **({"levels": levels} if not first else {}))
        whole.fit(*((table.assign(y=y),) if formula else (table, y)))
        assert model.result_.names == whole.result_.names
        assert (abs(model.result_.params - whole.result_.params) < 0.15 * whole.result_.bse).all()


def test_levels_are_settled_by_the_first_batch():
    table = pd.DataFrame({"g": ["a", "b"] * 10})
    y = np.arange(20.0)
    with pytest.raises(ff.InputError, match=r"'c'.*levels=\{"):
        ff.GLM().partial_fit(table, y).partial_fit(pd.DataFrame({"g": ["c", "a"]}), y[:2])
    with pytest.raises(ff.InputError, match="not among its levels"):
        ff.GLM().partial_fit(table, y, levels={"g": ["a"]})
    with pytest.raises(ff.InputError, match="no column"):
        ff.GLM().partial_fit(table, y, levels={"h": ["a"]})
    with pytest.raises(ff.InputError, match="settled by the first batch"):
        ff.GLM().partial_fit(table, y).partial_fit(table, y, levels={"g": ["a", "b"]})


def test_fit_starts_afresh_and_failures_change_nothing():
    X, y = rows("poisson", 2000)
    model = ff.GLM("poisson").fit(X, y)
    first = model.coef_
    model.partial_fit(X[:100], y[:100])
    np.testing.assert_allclose(model.coef_, ff.GLM("poisson").fit(X[:100], y[:100]).coef_)
    before = model.coef_
    bad = y[100:200].copy()
    bad[3] = -1.0
    with pytest.raises(ff.InputError, match="row 3"):
        model.partial_fit(X[100:200], bad)
    with pytest.raises(ff.InputError, match="features"):
        model.partial_fit(X[:, :2], y)
    np.testing.assert_array_equal(model.coef_, before)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X[100:], y[100:])
    np.testing.assert_allclose(again.coef_, first, rtol=1e-10)
    np.testing.assert_array_equal(model.fit(X, y).coef_, first)
    model.partial_fit(X[:100], y[:100])
    np.testing.assert_allclose(model.coef_, before)
    assert not hasattr(clone(model), "coef_")


def test_missing_rows_are_counted():
    X, y = rows("poisson", 3000)
    X[::10, 0] = np.nan
    model = ff.GLM("poisson", missing="drop")
    with pytest.warns(ff.MissingValuesWarning):
        stream(model, X, y, 300)
    assert model.result_.nobs == 2700


@pytest.mark.parametrize(
    "settings",
    [
        {"cov_type": "HC3"},
        {"cov_type": "HAC"},
        {"cov_type": "cluster(CR3)"},
        {"constraints": "x0 = x1"},
        {"bounds": {"x0": (0, None)}},
        {"weight_type": "probability"},
        {"bias_reduction": "mean"},
    ],
)
def test_what_needs_all_rows_is_refused(settings):
    X, y = rows("poisson", 50)
    with pytest.raises(ff.InputError, match="partial_fit"):
        ff.GLM("poisson", **settings).partial_fit(X, y)


@pytest.mark.parametrize("family", ["poisson", "normal", "negative_binomial", "gamma"])
@pytest.mark.parametrize("kind", ["HC0", "HC1", "opg", "cluster", "cluster(CR0)"])
def test_robust_standard_errors(family, kind):
    """From outer products added up at the estimates of their time; responses spread more than the model says."""
    X, y = rows(family, 12_000)
    rng = np.random.default_rng(5)
    group = np.arange(y.size) // 6
    if kind.startswith("cluster"):
        X[:, 0] = X[group * 6, 0]
        shift = np.exp(0.5 * rng.normal(size=group[-1] + 1))[group]
        y = y + np.log(shift) if family == "normal" else np.ceil(y * shift) if family != "gamma" else y * shift
    w = rng.uniform(0.5, 2.0, y.size)
    more = {"groups": np.char.add("g", group.astype(str))} if kind.startswith("cluster") else {}
    model = ff.GLM(family, cov_type=kind)
    found = stream(model, X, y, 300, sample_weight=w, **more)
    whole = ff.GLM(family, cov_type=kind).fit(X, y, sample_weight=w, **more).result_
    np.testing.assert_allclose(found.standard_errors, whole.standard_errors, rtol=0.04)
    assert found.cov_type == whole.cov_type
    plain = ff.GLM(family).fit(X, y, sample_weight=w).result_
    if kind.startswith("cluster"):
        assert found.standard_errors[0] > 1.2 * plain.standard_errors[0]


def test_robust_standard_errors_of_rows_that_are_held_are_exact():
    X, y = rows("poisson", 600)
    table, group = pd.DataFrame(X, columns=list("abcd")), np.arange(600) // 5
    table["clinic"] = group
    for kind, more in (("HC1", {}), ("cluster", {"groups": "clinic"})):
        columns = table if more else table[list("abcd")]
        model = ff.GLM("poisson", cov_type=kind)
        for first in range(0, 600, 100):
            model.partial_fit(columns.iloc[first : first + 100], y[first : first + 100], **more)
        whole = ff.GLM("poisson", cov_type=kind).fit(columns, y, **more).result_
        np.testing.assert_allclose(model.result_.standard_errors, whole.standard_errors, rtol=1e-9)
        assert list(model.feature_names_in_) == list("abcd")


def test_groups_must_be_whole_within_a_batch():
    X, y = rows("poisson", 300)
    group = np.arange(300) // 7
    model = ff.GLM("poisson", cov_type="cluster").partial_fit(X[:100], y[:100], groups=group[:100])
    before = model.result_
    with pytest.raises(ff.InputError, match="group 14 was in an earlier batch"):
        model.partial_fit(X[100:200], y[100:200], groups=group[100:200])
    with pytest.raises(ff.InputError, match="needs groups="):
        model.partial_fit(X[105:200], y[105:200])
    assert model.result_ is before
    assert model.partial_fit(X[105:203], y[105:203], groups=group[105:203]).result_.nobs == 198
    with pytest.raises(ff.InputError, match="leave them out"):
        ff.GLM("poisson").partial_fit(X, y, groups=group)
