"""GroupedGLM: every group's numbers are those of GLM fitted to its rows alone."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fisherfit as ff
from fisherfit.grouped import spans

QUIET = (
    ff.RankWarning, ff.SeparationWarning, ff.ExactFitWarning, ff.BoundaryWarning, ff.ConvergenceWarning,
    ff.NonIntegerWarning,
)  # fmt: skip


class Exponential(ff.Family):
    """A user's family with all its derivatives."""

    name = "exponential"
    parameters = {"mu": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, mu):
        return -y / mu - np.log(mu)

    @staticmethod
    def score(y, mu):
        return ((y - mu) / mu / mu,)

    @staticmethod
    def fisher(mu):
        return (1.0 / mu / mu,)

    @staticmethod
    def observed(y, mu):
        return ((2.0 * y / mu - 1.0) / mu / mu,)


def ragged(seed, groups=25, low=12, high=60, p=2):
    """Rows of groups of unequal size in mixed order: design, labels, linear predictor of moderate size."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(groups), rng.integers(low, high, groups)))
    x = rng.normal(size=(labels.size, p)) * [1.0, 30.0, 0.01][:p] + [0.0, 1000.0, -2.0][:p]
    z = (x - x.mean(0)) / x.std(0)
    eta = 0.4 * rng.normal(size=groups)[labels] + 0.3 * np.sum(z * rng.normal(size=(groups, p))[labels], axis=1)
    return rng, x, labels, eta


def alone(model, keep, X, y, **vectors):
    """GLM of the same settings on some of the rows."""
    settings = {k: v for k, v in model.get_params().items() if k in ff.GLM().get_params()}
    X, y = X[keep], None if y is None else y[keep]
    with warnings.catch_warnings():
        for kind in QUIET:
            warnings.simplefilter("ignore", kind)
        return ff.GLM(**settings).fit(X, y, **{k: v if isinstance(v, str) else v[keep] for k, v in vectors.items()})


def fitted(model, *arguments, **vectors):
    with warnings.catch_warnings():
        for kind in QUIET:
            warnings.simplefilter("ignore", kind)
        return model.fit(*arguments, **vectors)


def assert_same(model, labels, X, y=None, rtol=1e-9, some=None, **vectors):
    """All numbers of the groups agree with those of fits of their own."""
    for g in model.groups_ if some is None else some:
        one = alone(model, np.asarray(labels == g), X, y, **vectors)
        r, row = one.result_, model.results_.loc[g]
        se = r.bse.to_numpy()
        assert bool(row["separated"]) == bool(one.separation_)
        assert bool(row["converged"]) == one.converged_
        assert bool(row["boundary"]) == bool(one.boundary_)
        assert row["rank"] == r.rank
        mine, bse = model.params_.loc[g].to_numpy(), model.bse_.loc[g].to_numpy()
        if not one.aliased_:
            finite = np.isfinite(se)
            assert_allclose(bse, se, rtol=rtol)
            scale = np.where(se > 0, se, np.abs(mine))
            assert_allclose(((mine - r.params.to_numpy()) / scale)[finite], 0.0, atol=rtol)
        for key in ("llf", "deviance", "dispersion", "nobs", "df_resid", "aic"):
            assert_allclose(row[key], getattr(r, key), rtol=rtol, atol=1e-9, err_msg=f"{key} of group {g}")
        assert_allclose(row["pearson_chi2"], r.pearson_chi2, rtol=1e-8, atol=1e-9)
        assert row["certificate"] < 1e-6 or not row["converged"] or row["exact_fit"]


def response(family, rng, eta):
    """A response of a family at linear predictors, the mean never far from 1."""
    mu = np.exp(eta)
    if family == "normal":
        return eta + rng.normal(size=eta.size)
    if family == "binomial":
        return (rng.random(eta.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    if family == "poisson":
        return rng.poisson(2.0 * mu).astype(float)
    if family in ("gamma", "exponential"):
        return rng.gamma(3.0, mu / 3.0)
    if family == "inverse_gaussian":
        return rng.wald(mu, 4.0)
    if family == "tweedie":
        n = rng.poisson(2.0 * mu)
        return np.where(n > 0, rng.gamma(np.maximum(n, 1), 0.5), 0.0)
    return rng.negative_binomial(2.0, 2.0 / (2.0 + 2.0 * mu)).astype(float)


@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("normal", None), ("normal", "log"), ("binomial", None), ("binomial", "probit"), ("binomial", "cloglog"),
        ("poisson", None), ("poisson", "sqrt"), ("geometric", None), (ff.NegativeBinomial(alpha=0.5), None),
        ("gamma", None), ("gamma", "inverse"), ("inverse_gaussian", None), ("tweedie", None), (Exponential(), None),
        ("poisson", "power(0.4)"),
    ],
    ids=str,
)  # fmt: skip
def test_every_family_agrees_with_fits_alone(family, link):
    rng, x, labels, eta = ragged(1)
    name = family if isinstance(family, str) else family.name
    y = response(name, rng, eta if link is None else 0.3 * np.tanh(eta))
    if (name, link) == ("normal", "log"):
        y = np.abs(y) + 0.5
    w, o = rng.uniform(0.5, 2.0, y.size), rng.uniform(-0.1, 0.1, y.size)
    if (name, link) == ("binomial", "probit"):
        w = np.ones(y.size)
    w[rng.random(y.size) < 0.05] = 0.0
    model = fitted(ff.GroupedGLM(family, link), x, y, groups=labels, sample_weight=w, offset=o)
    assert model.results_["converged"].mean() > 0.7
    assert_same(model, labels, x, y, some=model.groups_[:12], sample_weight=w, offset=o)


def test_regular_groups_take_the_fast_lane(capsys):
    rng, x, labels, eta = ragged(2)
    ff.GroupedGLM("poisson", verbose=1).fit(x, response("poisson", rng, eta), groups=labels)
    assert "25 groups: 25 fitted together, 0 one by one" in capsys.readouterr().out


@pytest.mark.parametrize("dispersion", [None, "pearson", "deviance", "ml", 0.7])
@pytest.mark.parametrize("family", ["poisson", "gamma", "normal"])
def test_dispersions(family, dispersion):
    rng, x, labels, eta = ragged(3, groups=8)
    y = response(family, rng, eta)
    model = ff.GroupedGLM(family, dispersion=dispersion).fit(x, y, groups=labels)
    assert_same(model, labels, x, y)


@pytest.mark.parametrize("weight_type", ["analytic", "frequency", "probability"])
@pytest.mark.parametrize("family", ["poisson", "normal", "binomial"])
def test_weight_types(family, weight_type):
    rng, x, labels, eta = ragged(4, groups=8, low=20)
    y, w = response(family, rng, 0.5 * eta), rng.integers(0, 4, eta.size).astype(float)
    model = fitted(ff.GroupedGLM(family, weight_type=weight_type), x, y, groups=labels, sample_weight=w)
    assert_same(model, labels, x, y, sample_weight=w)


def test_counts_of_successes_and_failures_and_proportions_with_trials():
    rng, x, labels, eta = ragged(5, groups=8)
    trials = rng.integers(0, 9, eta.size)
    successes = rng.binomial(trials, 1.0 / (1.0 + np.exp(-eta)))
    counts = np.column_stack([successes, trials - successes])
    model = fitted(ff.GroupedGLM("binomial"), x, counts, groups=labels)
    assert_same(model, labels, x, counts)
    y = np.divide(successes, trials, out=np.zeros(trials.size), where=trials > 0)
    weighted = fitted(ff.GroupedGLM("binomial"), x, y, groups=labels, sample_weight=trials)
    assert_allclose(weighted.params_, model.params_, rtol=1e-10)
    assert_allclose(weighted.results_["llf"], model.results_["llf"], rtol=1e-12)
    for weight_type in ("frequency", "probability"):
        w = rng.integers(1, 4, eta.size).astype(float)
        model = fitted(ff.GroupedGLM("binomial", weight_type=weight_type), x, counts, groups=labels, sample_weight=w)
        assert_same(model, labels, x, counts, sample_weight=w)


def test_exposure_and_no_intercept():
    rng, x, labels, eta = ragged(6, groups=8)
    e = rng.uniform(0.5, 3.0, eta.size)
    y = rng.poisson(2.0 * e * np.exp(eta)).astype(float)
    frame = pd.DataFrame({"a": x[:, 0] / 10.0, "b": x[:, 1] / 1000.0, "e": e, "g": labels})
    model = fitted(ff.GroupedGLM("poisson", fit_intercept=False), frame, y, groups="g", exposure="e")
    assert list(model.params_.columns) == ["a", "b"]
    assert_same(model, labels, frame.drop(columns="g"), y, exposure="e")
    assert_allclose(model.predict(frame)[:5], model.predict(frame.drop(columns="g")[:5], groups=labels[:5]))
    normal = fitted(ff.GroupedGLM(fit_intercept=False), x, eta, groups=labels)
    assert_same(normal, labels, x, eta)


@pytest.mark.parametrize(
    ("name", "formula", "groups", "family"),
    [
        ("warpbreaks", "breaks ~ tension", "wool", "poisson"),
        ("warpbreaks", "breaks ~ wool", "tension", "gamma"),
        ("insurance", "claims ~ age", "group", "poisson"),
    ],
)
def test_shipped_data(name, formula, groups, family):
    data = ff.datasets.load(name)
    model = fitted(ff.GroupedGLM(family, formula=formula), data, groups=groups)
    assert_same(model, np.asarray(data[groups]), data)


def test_groups_with_aliased_columns():
    rng, x, labels, eta = ragged(7, groups=10)
    y = response("poisson", rng, eta)
    level = np.array(list("abcd"))[rng.integers(0, 4, y.size)]
    level[(labels == 1) & (level == "c")] = "d"  # a level that does not occur
    level[(labels == 2) & (level == "a")] = "b"  # nor does the reference
    x[labels == 3, 1] = 7.0  # a constant
    x[labels == 4, 1] = 3.0 * x[labels == 4, 0] - 2.0
    frame = pd.DataFrame({"x": x[:, 0], "level": level, "z": x[:, 1]})
    with pytest.warns(ff.RankWarning, match=r"4 of 10 groups have columns .* \(groups 1, 2, 3, 4\)") as caught:
        model = ff.GroupedGLM("poisson").fit(frame, y, groups=labels)
    assert len(caught) == 1
    expected = {1: "level[T.c]", 2: "level[T.d]", 3: "z", 4: "z"}
    assert_array_equal(model.results_["rank"], [5 if g in expected else 6 for g in range(10)])
    dummies = {f"level[T.{c}]": (level == c).astype(float) for c in "bcd"}
    dense = pd.DataFrame({"x": x[:, 0], **dummies, "z": x[:, 1]})
    for g, name in expected.items():
        assert np.isnan(model.params_.loc[g, name])
        assert np.isnan(model.bse_.loc[g, name])
        one = alone(model, labels == g, dense.drop(columns=name), y)
        names = one.result_.params.index
        assert_allclose(model.params_.loc[g, names], one.result_.params, rtol=1e-9, atol=1e-12)
        assert_allclose(model.bse_.loc[g, names], one.result_.bse, rtol=1e-9)
        assert_allclose(model.results_.loc[g, "llf"], one.result_.llf, rtol=1e-12)
    assert_same(model, labels, frame, y, some=[0, 5])
    assert_allclose(model.predict(frame, groups=labels)[labels == 4],
                    alone(model, labels == 4, frame, y).predict(frame[labels == 4]), rtol=1e-9)  # fmt: skip
    new = pd.DataFrame({"x": 0.5, "level": ["c", "b", "a", "b", "a", "a"], "z": [0.0, 0.0, 1.0, 1.0, 7.0, 8.0]})
    with pytest.warns(ff.RankWarning, match="3 rows have no prediction"):
        got = model.predict(new, groups=[1, 1, 2, 2, 3, 3])
    assert_array_equal(np.isnan(got), [True, False, True, False, False, True])


def test_separated_groups_have_the_limits_that_a_fit_alone_has():
    rng, x, labels, eta = ragged(8, groups=12)
    y = response("poisson", rng, eta)
    y[labels == 2] = 0.0
    y[(labels == 5) & (x[:, 0] > 0.3)] = 0.0
    x[labels == 5, 0] = np.where(x[labels == 5, 0] > 0.3, 1.0, 0.0)
    o = rng.uniform(-1.0, 1.0, y.size)
    with pytest.warns(ff.SeparationWarning, match=r"2 of 12 groups are separated.*\(groups 2, 5\)") as caught:
        model = ff.GroupedGLM("poisson").fit(x, y, groups=labels, offset=o)
    assert len(caught) == 1
    assert_same(model, labels, x, y, some=[1, 3], offset=o)
    for g in (2, 5):
        here = labels == g
        one, row = alone(model, here, x, y, offset=o), model.results_.loc[g]
        assert row["separated"]
        assert not row["converged"]
        assert_array_equal(np.isinf(model.bse_.loc[g]), np.isinf(one.result_.bse))
        for key in ("llf", "deviance", "dispersion", "rank", "df_resid", "pearson_chi2"):
            assert_allclose(row[key], getattr(one.result_, key), rtol=1e-10, atol=1e-12)
        mine = model.predict(x[here], groups=labels[here], offset=o[here])
        assert_allclose(mine, one.predict(x[here], offset=o[here]), rtol=1e-9, atol=1e-11)
    b = response("binomial", rng, eta)
    b[labels == 4] = 1.0
    b[labels == 6] = 0.0
    binomial = fitted(ff.GroupedGLM("binomial"), x, b, groups=labels)
    assert binomial.results_.loc[[4, 6], "separated"].all()
    assert_allclose(binomial.results_.loc[[4, 6], "llf"], 0.0)
    assert_allclose(binomial.predict(x[labels == 4], groups=labels[labels == 4]), 1.0, atol=1e-12)


def test_many_groups_of_zeros_need_no_fit_of_their_own(capsys):
    labels = np.repeat(np.arange(500), 6)
    x = np.random.default_rng(0).normal(size=(labels.size, 2))
    with pytest.warns(ff.SeparationWarning, match="500 of 500"):
        model = ff.GroupedGLM("poisson", verbose=1).fit(x, np.zeros(labels.size), groups=labels)
    assert "0 one by one" in capsys.readouterr().out
    assert np.isinf(model.bse_).to_numpy().all()
    assert_array_equal(model.results_["rank"], 3)


def test_exact_and_saturated_groups():
    labels = np.repeat([0, 1, 2, 3], [2, 5, 6, 1])
    x = np.arange(14.0)[:, None] % 5 + np.arange(14.0)[:, None] / 7
    y = 1.0 + 2.0 * x[:, 0]
    y[labels == 2] += [0.1, -0.3, 0.2, 0.4, 0.0, -0.1]
    with pytest.warns((ff.ExactFitWarning, ff.RankWarning)):
        model = ff.GroupedGLM().fit(x, y, groups=labels)
    assert_array_equal(model.results_["exact_fit"], [True, True, False, True])
    assert_array_equal(model.results_["rank"], [2, 2, 2, 1])
    assert_allclose(model.params_.loc[[0, 1]], [[1.0, 2.0]] * 2, rtol=1e-12)
    assert_same(model, labels, x, y, some=[0, 1, 2])


@pytest.mark.parametrize("family", ["normal", "poisson", "gamma"])
def test_groups_with_fewer_rows_than_columns(family):
    rng, x, labels, eta = ragged(23, groups=30, low=1, high=9, p=1)
    x = np.hstack([x, rng.normal(size=(labels.size, 4))])
    y = response(family, rng, eta) + (family == "poisson")
    model = fitted(ff.GroupedGLM(family), x, y, groups=labels)
    sizes = np.bincount(labels)
    assert_array_equal(model.results_["rank"], np.minimum(sizes, 6))
    assert_array_equal(model.results_["exact_fit"], (sizes <= 6) & (family != "poisson"))
    full = np.flatnonzero(sizes > 6)
    assert_same(model, labels, x, y, some=full[:5])
    assert_allclose(model.predict(x, groups=labels)[np.isin(labels, np.flatnonzero(sizes <= 6))],
                    y[np.isin(labels, np.flatnonzero(sizes <= 6))], rtol=1e-7)  # fmt: skip
    for g in np.flatnonzero(sizes <= 6)[:5]:
        one = alone(model, labels == g, x, y).result_
        for key in ("llf", "deviance", "dispersion", "df_resid"):
            assert_allclose(model.results_.loc[g, key], getattr(one, key), rtol=1e-9, atol=1e-9, err_msg=key)


def test_many_columns_and_tiny_groups_are_cut_into_small_chunks():
    starts = np.arange(0, 3 * 10_001, 3)
    for p in (1, 5, 100, 3000):
        ranges = spans(starts, p)
        assert [a for a, _ in ranges[1:]] == [b for _, b in ranges[:-1]]
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 10_000
        assert max((b - a) * p * max(p, 3) for a, b in ranges) <= max(2_000_000, 3 * p * p)


def test_groups_at_a_boundary():
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(6), 30)
    x = rng.uniform(0.0, 1.0, size=(180, 1))
    y = rng.poisson(3.0 * x[:, 0] ** 3).astype(float)
    model = fitted(ff.GroupedGLM("poisson", "identity"), x, y, groups=labels)
    assert model.results_["boundary"].any()
    assert_same(model, labels, x, y, rtol=1e-7)


def test_negative_binomial_with_free_alpha():
    rng, x, labels, eta = ragged(10, groups=4, low=60, high=90)
    y = response("negative_binomial", rng, eta)
    model = fitted(ff.GroupedGLM("negative_binomial"), x, y, groups=labels)
    assert list(model.params_.columns) == ["Intercept", "x0", "x1", "alpha"]
    assert_same(model, labels, x, y)
    table = model.table()
    alpha = table[table["term"] == "alpha"]
    assert alpha["z"].isna().all()
    one = alone(model, labels == 1, x, y).result_
    assert_allclose(alpha[["lower", "upper"]].to_numpy()[1], one.conf_int().loc["alpha"], rtol=1e-9)


def test_a_family_that_cannot_be_compiled_goes_the_long_way():
    class Plain(Exponential):
        @staticmethod
        def log_density(y, mu):
            return math.fsum([-y / mu, -math.log(mu)])

    rng, x, labels, eta = ragged(11, groups=3, low=12, high=20, p=1)
    y = response("gamma", rng, eta)
    with pytest.warns(ff.CompilationWarning):
        model = ff.GroupedGLM(Plain()).fit(x, y, groups=labels)
    assert_allclose(model.params_, ff.GroupedGLM(Exponential()).fit(x, y, groups=labels).params_, rtol=1e-9)


def test_steps_run_out():
    rng, x, labels, eta = ragged(12, groups=5)
    y = response("poisson", rng, eta)
    with pytest.warns(ff.ConvergenceWarning, match="5 of 5 groups are not converged after max_iter=1"):
        model = ff.GroupedGLM("poisson", max_iter=1).fit(x, y, groups=labels)
    assert not model.results_["converged"].any()
    assert_same(model, labels, x, y)


def test_counts_that_are_not_whole():
    rng, x, labels, eta = ragged(13, groups=4)
    y = response("poisson", rng, eta)
    y[np.flatnonzero(labels == 2)[3]] += 0.5
    with pytest.warns(ff.NonIntegerWarning):
        model = ff.GroupedGLM("poisson").fit(x, y, groups=labels)
    assert_array_equal(np.isnan(model.results_["llf"]), [False, False, True, False])
    assert_array_equal(np.isnan(model.results_["aic"]), [False, False, True, False])


@pytest.mark.parametrize("link", [None, "probit"])
def test_the_same_bits_for_any_number_of_threads(link, monkeypatch):
    monkeypatch.setattr("fisherfit.grouped.CHUNK", 100)
    rng, x, labels, eta = ragged(14)
    y = response("binomial", rng, eta)
    one, three = (fitted(ff.GroupedGLM("binomial", link, n_jobs=k), x, y, groups=labels) for k in (1, 3))
    pd.testing.assert_frame_equal(one.params_, three.params_, check_exact=True)
    pd.testing.assert_frame_equal(one.results_, three.results_, check_exact=True)


def test_the_order_of_rows_does_not_matter():
    rng, x, labels, eta = ragged(15)
    y, order = response("poisson", rng, eta), rng.permutation(labels.size)
    one = ff.GroupedGLM("poisson").fit(x, y, groups=labels)
    two = ff.GroupedGLM("poisson").fit(x[order], y[order], groups=labels[order])
    by_group = np.argsort(labels, kind="stable")
    three = ff.GroupedGLM("poisson").fit(x[by_group], y[by_group], groups=labels[by_group])
    for other in (two, three):
        assert_allclose((other.params_ - one.params_) / one.bse_, 0.0, atol=1e-12)
        assert_allclose(other.bse_, one.bse_, rtol=1e-12)
        assert_allclose(other.results_["llf"], one.results_["llf"], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "int64", "fortran", "strided", "big-endian", "read-only"])
def test_layouts_and_types(dtype):
    rng, x, labels, eta = ragged(16, groups=6)
    y = response("poisson", rng, eta)
    x = np.round(x * [8.0, 1.0])
    want = ff.GroupedGLM("poisson").fit(x, y, groups=labels)
    other = {
        "float32": x.astype("f4"), "int64": x.astype("i8"), "fortran": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=1)[:, ::2], "big-endian": x.astype(">f8"), "read-only": x.copy(),
    }[dtype]  # fmt: skip
    other.flags.writeable = dtype != "read-only"
    got = ff.GroupedGLM("poisson").fit(other, y, groups=labels)
    pd.testing.assert_frame_equal(got.params_, want.params_, check_exact=True)


def test_labels_of_every_kind():
    rng, x, labels, eta = ragged(17, groups=5)
    y = response("poisson", rng, eta)
    want = ff.GroupedGLM("poisson").fit(x, y, groups=labels).params_.to_numpy()
    words = np.array(["delta", "alpha", "echo", "bravo", "charlie"])
    reverse = pd.Categorical.from_codes(4 - labels, categories=list("edcba"))
    kinds = {
        "integers": (labels.astype("i4") * 10**8, None),
        "spread": (np.array([-(10**15), 3, 5, 8, 10**15])[labels], None),
        "unsigned": (labels.astype("u1"), None),
        "strings": (words[labels], np.argsort(words)),
        "list": ([f"g{k}" for k in labels], None),
        "objects": (words.astype(object)[labels], np.argsort(words)),
        "series": (pd.Series(words[labels], name="place"), np.argsort(words)),
        "categories": (reverse, np.arange(5)[::-1]),
        "polars": (pl.Series("p", words[labels]), np.argsort(words)),
        "floats": (labels / 4.0, None),
        "mixed": (np.array([0, "one", 2.5, (3,), "four"], dtype=object)[labels], None),
        "column": (labels[:, None], None),
        "tuples": ([(k // 2, k) for k in labels.tolist()], None),
        "dates": (np.datetime64("2020-01-31") + labels * 31, None),
    }
    for kind, (values, order) in kinds.items():
        model = ff.GroupedGLM("poisson").fit(x, y, groups=values)
        if kind == "mixed":  # in the order in which they come
            order = pd.unique(labels)
        got = model.params_.to_numpy()
        assert_array_equal(got, want if order is None else want[order], err_msg=kind)
        assert_allclose(model.predict(x[:9], groups=values[:9]), model.predict(x, groups=values)[:9], rtol=0)
    assert model.groups_.name == "group"


def test_a_named_column_of_labels_is_no_covariate():
    rng, x, labels, eta = ragged(18, groups=4)
    y = response("poisson", rng, eta)
    frame = pd.DataFrame({"a": x[:, 0], "g": labels, "b": x[:, 1], "y": y})
    for table in (frame, pl.from_pandas(frame)):
        model = ff.GroupedGLM("poisson").fit(table[["a", "g", "b"]], y, groups="g")
        assert list(model.params_.columns) == ["Intercept", "a", "b"]
        assert model.groups_.name == "g"
        by_formula = ff.GroupedGLM("poisson", formula="y ~ a + b").fit(table, groups="g")
        assert_allclose(by_formula.params_, model.params_, rtol=1e-10)
        assert_allclose(by_formula.predict(table), model.predict(table[["g", "b", "a"]]), rtol=1e-10)


def test_long_table_holds_the_numbers_of_the_frames():
    data = ff.datasets.load("warpbreaks")
    model = ff.GroupedGLM(formula="breaks ~ tension", dispersion="pearson", family="poisson").fit(data, groups="wool")
    table = model.table(level=0.9)
    one = ff.GLM(formula="breaks ~ tension", dispersion="pearson", family="poisson").fit(data[data["wool"] == "B"])
    frame = one.result_.to_frame(level=0.9)
    mine = table[table["wool"] == "B"]
    assert list(table.columns) == ["wool", "term", "coef", "std err", "t", "P>|t|", "lower", "upper"]
    assert list(mine["term"]) == list(frame.index)
    assert_allclose(mine.iloc[:, 2:].to_numpy(float), frame.to_numpy(float), rtol=1e-9)
    with pytest.raises(ff.InputError, match="level must lie strictly between 0 and 1"):
        model.table(level=95)


def test_rows_with_missing_values_are_left_out_on_request():
    rng, x, labels, eta = ragged(19, groups=4)
    y = response("poisson", rng, eta)
    bad, names = x.copy(), labels.astype(float)
    bad[3, 1], names[7] = np.nan, np.nan
    keep = ~np.isin(np.arange(y.size), [3, 7])
    with pytest.warns(ff.MissingValuesWarning, match=f"2 of {y.size} rows"):
        model = ff.GroupedGLM("poisson", missing="drop").fit(bad, y, groups=names)
    want = ff.GroupedGLM("poisson").fit(x[keep], y[keep], groups=labels[keep])
    assert_array_equal(model.params_, want.params_)


def test_predictions():
    rng, x, labels, eta = ragged(20, groups=5)
    e = rng.uniform(1.0, 2.0, eta.size)
    y = rng.poisson(e * np.exp(eta)).astype(float)
    model = ff.GroupedGLM("poisson").fit(x, y, groups=labels, exposure=e)
    for g in (0, 3):
        here = labels == g
        one = alone(model, here, x, y, exposure=e)
        for kind in ("mean", "link"):
            got = model.predict(x[here], groups=labels[here], exposure=e[here], kind=kind)
            assert_allclose(got, one.predict(x[here], exposure=e[here], kind=kind), rtol=1e-9, atol=1e-10)
    with pytest.raises(ff.InputError, match=r"the group 77 \(row 1\) was not in the fit, which has 5 groups"):
        model.predict(x[:2], groups=[0, 77], exposure=e[:2])
    with pytest.raises(ff.InputError, match="the fit had an exposure given as an array"):
        model.predict(x[:2], groups=[0, 1])
    with pytest.raises(ff.InputError, match="groups is None"):
        model.predict(x[:2], exposure=e[:2])
    with pytest.raises(ff.InputError, match="kind"):
        model.predict(x[:2], groups=[0, 1], exposure=e[:2], kind="median")
    with pytest.raises(NotFittedError):
        ff.GroupedGLM().predict(x, groups=labels)


X6, Y6 = np.arange(12.0).reshape(6, 2) ** 0.5, np.array([1.0, 3.0, 2.0, 5.0, 4.0, 4.0])
FRAME = pd.DataFrame({"a": X6[:, 0], "g": [0, 0, 0, 1, 1, 1]}, index=[5, 4, 3, 2, 1, 0])
BAD = [
    ("short", X6, {"groups": [0, 1]}, "groups has 2 labels, X has 6 rows"),
    ("none", X6, {}, "groups is None"),
    ("scalar", X6, {"groups": 3}, "one-dimensional"),
    ("two columns", X6, {"groups": np.zeros((6, 2))}, r"one label a row, got shape \(6, 2\)"),
    ("no such column", FRAME, {"groups": "h"}, "groups='h' is not a column of the table; its columns are 'a', 'g'"),
    ("name with an array", X6, {"groups": "g"}, "names a column, but X is an array"),
    ("missing label", X6, {"groups": [0, 0, None, 1, 1, 1]}, r"missing label at row 2 \(1 in all\)"),
    ("missing string", X6, {"groups": ["a", "a", "a", None, "b", "b"]}, "missing label at row 3"),
    ("weightless group", X6, {"groups": list("aaabbb"), "sample_weight": [1, 1, 1, 0, 0, 0]},
     r"1 of 2 groups have no row of positive weight \('b'\)"),
    ("other index", FRAME, {"groups": pd.Series([0, 0, 0, 1, 1, 1])}, "index of groups differs from that of X"),
    ("complex labels", X6, {"groups": np.zeros(6, complex)}, "labels are numbers, strings or categories"),
    ("labels without a hash", X6, {"groups": [[1], [2], [1], [2], [1], [2]]}, "groups"),
    ("offset", X6, {"groups": [0, 0, 0, 1, 1, 1], "offset": [1.0]}, "offset has 1 values"),
    ("weights", X6, {"groups": [0, 0, 0, 1, 1, 1], "sample_weight": -Y6}, "negative"),
]  # fmt: skip


@pytest.mark.parametrize(("X", "arguments", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input(X, arguments, message):
    with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
        ff.GroupedGLM("poisson").fit(X, Y6, **arguments)


def test_bad_settings():
    for settings, message in (
        ({"family": "poisso"}, "poisso"), ({"link": "logit"}, "not defined"), ({"dispersion": -1}, "dispersion"),
        ({"weight_type": "x"}, "weight_type"), ({"max_iter": 1.5}, "max_iter"), ({"n_jobs": 0}, "n_jobs"),
    ):  # fmt: skip
        with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
            ff.GroupedGLM(**{"family": "poisson", **settings}).fit(X6, Y6, groups=[0, 0, 0, 1, 1, 1])


def test_a_failed_refit_leaves_everything_as_it_was():
    rng, x, labels, eta = ragged(21, groups=4)
    y = response("poisson", rng, eta)
    model = ff.GroupedGLM("poisson").fit(x, y, groups=labels)
    before, params = dict(model.__dict__), model.params_.copy()
    with pytest.raises(ff.InputError):
        model.fit(x, y, groups=labels, sample_weight=(labels > 0).astype(float))
    with pytest.raises(ff.InputError):
        model.fit(x, -y, groups=labels)
    assert model.__dict__ == before
    pd.testing.assert_frame_equal(model.params_, params)


def test_clone_and_pickle():
    rng, x, labels, eta = ragged(22, groups=4)
    y = response("poisson", rng, eta)
    model = ff.GroupedGLM(ff.Poisson(), "log", dispersion="pearson").fit(x, y, groups=labels)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(x, groups=labels), model.predict(x, groups=labels))
    fresh = clone(model)
    assert not hasattr(fresh, "results_")
    assert_array_equal(fresh.fit(x, y, groups=labels).params_, model.params_)
    assert model.set_params(n_jobs=1).n_jobs == 1


def test_arguments_that_only_a_single_fit_takes_are_named():
    X, y, groups = np.arange(12.0)[:, None], np.arange(12.0), np.repeat(["a", "b"], 6)
    for name in ("cov_type", "bias_reduction", "constraints", "bounds", "start_params"):
        with pytest.raises(ff.errors.InputTypeError, match=f"GroupedGLM has no argument '{name}', which GLM has"):
            ff.GroupedGLM("poisson", **{name: None})
    with pytest.raises(ff.errors.InputTypeError, match="GroupedGLM has no argument 'famly'"):
        ff.GroupedGLM(famly="poisson")
    with pytest.raises(ff.errors.InputTypeError, match=r"GroupedGLM.fit has no argument 'weights'; see help"):
        ff.GroupedGLM().fit(X, y, groups, weights=y)
    with pytest.raises(ff.errors.InputError, match="n_jobs"):
        ff.GroupedGLM(n_jobs=np.ones(2)).fit(X, y, groups)
    assert "others" not in ff.GroupedGLM().get_params()
