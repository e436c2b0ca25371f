"""GaussianMixture: certified cases, scikit-learn's script, structures, starts, bad input; scikit-learn's checks."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import config_context, mixture
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import fisherfit as ff

CASES = json.loads((Path(__file__).parent / "reference" / "mixtures.json").read_text(encoding="utf-8"))["cases"]
KINDS = ("full", "tied", "diag", "spherical")
CASES = {c["name"]: c for c in CASES if c["structure"] in KINDS}
BASINS = {"galaxies_full_k4_basin2"}  # a lower maximum: its start is needed


def entries(case, which):
    """The certified values (or standard errors) by our names."""
    block, k, d, out = case[which], case["n_components"], len(case["X"][0]), {}
    out |= {f"weight[{c}]": block["weights"][c] for c in range(k)}
    out |= {f"mean[{c},x{j}]": np.reshape(block["means"], (k, d))[c, j] for c in range(k) for j in range(d)}
    values = np.asarray(block["covariances"])
    if case["structure"] == "spherical":
        return out | {f"var[{c}]": values[c] for c in range(k)}
    if case["structure"] == "diag":
        return out | {f"var[{c},x{j}]": values[c, j] for c in range(k) for j in range(d)}
    pairs = [(a, b) for a in range(d) for b in range(a + 1)]
    if case["structure"] == "tied":
        return out | {f"cov[x{a},x{b}]": values[a, b] for a, b in pairs}
    return out | {f"cov[{c},x{a},x{b}]": values[c, a, b] for c in range(k) for a, b in pairs}


def start_of(case):
    """Means of the labels of the case's start."""
    return {"means_init": np.reshape(case["params"]["means"], (case["n_components"], -1))}


@pytest.mark.parametrize("name", CASES)
def test_certified(name):
    case = CASES[name]
    weights = None if case["weights"] is None else np.asarray(case["weights"], float)
    start = {}
    if name in BASINS or name == "galaxies_full_k4":
        start = start_of(case) | {
            "weights_init": case["params"]["weights"],
            "precisions_init": np.linalg.inv(np.asarray(case["params"]["covariances"])),
        }
    model = ff.GaussianMixture(case["n_components"], covariance_type=case["structure"], random_state=0, **start)
    result = model.fit(np.asarray(case["X"], float), sample_weight=weights).result_
    assert model.converged_
    assert result.n_params == case["df"]
    assert result.llf == pytest.approx(case["loglik"], rel=1e-12)
    assert result.bic == pytest.approx(case["bic"], rel=1e-11)
    assert result.icl == pytest.approx(case["icl"], rel=1e-9)
    found = dict(zip(result.names, zip(result.estimates, result.standard_errors, strict=True), strict=True))
    truth, errors = entries(case, "params"), entries(case, "se")
    assert len(found) == len(truth)
    assert all(name.startswith(("weight", "mean", "cov", "var")) for name in found)
    for parameter, (value, error) in found.items():
        key = parameter if parameter in truth else parameter.replace("cov", "var").replace(",x0,x0]", ",x0]")
        assert abs(value - truth[key]) <= 1e-8 * errors[key], parameter
        assert error == pytest.approx(errors[key], rel=1e-8), parameter


def script(cls, x, **options):
    """What a script written for scikit-learn does."""
    model = cls(n_components=3, random_state=0, max_iter=5000, **options)
    labels = model.fit_predict(x)
    out = {"labels": labels, "predict": model.predict(x), "proba": model.predict_proba(x),
           "log": model.score_samples(x), "score": model.score(x), "aic": model.aic(x), "bic": model.bic(x)}  # fmt: skip
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bound_"):
        out[name] = getattr(model, name)
    drawn, component = model.sample(7)
    shapes = {"sample": drawn.shape, "component": component.shape, "n_features_in_": model.n_features_in_}
    for name, kind in (("converged_", bool), ("n_iter_", int), ("lower_bounds_", list)):
        assert isinstance(getattr(model, name), kind), name
    assert model.lower_bounds_[-1] == pytest.approx(model.lower_bound_, rel=1e-10)
    return out, shapes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("init", ["none", "means", "all"])
def test_a_script_written_for_scikit_learn(kind, init):
    rng = np.random.default_rng(1)
    centres = np.array([[6.0, 0.0], [0.0, 0.0], [3.0, 5.0]])
    x = np.concatenate([rng.normal(c, s, (80, 2)) for c, s in zip(centres, ([1, 2], [1, 1], [0.7, 1]), strict=True)])
    options = {"covariance_type": kind, "tol": 1e-15}
    if init != "none":
        options["means_init"] = centres
    if init == "all":
        options["weights_init"] = np.full(3, 1 / 3)
        options["precisions_init"] = {"full": np.tile(np.eye(2), (3, 1, 1)), "tied": np.eye(2),
                                      "diag": np.ones((3, 2)), "spherical": np.ones(3)}[kind]  # fmt: skip
    theirs, their_shapes = script(mixture.GaussianMixture, x, **options, reg_covar=0.0)
    ours, our_shapes = script(ff.GaussianMixture, x, **options)
    assert our_shapes == their_shapes
    order = np.arange(3)
    if init == "none":  # without a start labels are arbitrary there
        order = np.argsort(theirs["means_"][:, 0])
    for name, value in theirs.items():
        value = np.asarray(value)
        if name in ("labels", "predict"):
            value = np.argsort(order)[value]
        elif name == "proba":
            value = value[:, order]
        elif name.endswith("_") and value.ndim and value.shape[0] == 3:
            value = value[order]
        assert np.shape(ours[name]) == value.shape, name
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_signature_is_that_of_scikit_learn():
    import inspect

    theirs = inspect.signature(mixture.GaussianMixture.__init__).parameters
    ours = inspect.signature(ff.GaussianMixture.__init__).parameters
    assert [name for name in ours if name in theirs] == list(theirs)
    assert all(ours[name].kind == p.kind for name, p in theirs.items())


def test_attributes_that_a_user_assigns_are_used():
    x = np.random.default_rng(2).normal(size=(50, 2))
    model = ff.GaussianMixture(2, random_state=0, covariance_type="diag").fit(x)
    model.weights_, model.means_ = np.array([0.3, 0.7]), np.array([[0.0, 1.0], [2.0, 0.0]])
    model.precisions_cholesky_ = np.array([[1.0, 2.0], [0.5, 1.0]])
    density = 0.3 * stats.norm(0, 1).pdf(x[:, 0]) * stats.norm(1, 0.5).pdf(x[:, 1])
    density += 0.7 * stats.norm(2, 2).pdf(x[:, 0]) * stats.norm(0, 1).pdf(x[:, 1])
    np.testing.assert_allclose(model.score_samples(x), np.log(density), rtol=1e-12)


@pytest.mark.parametrize(
    "kind", ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
)
def test_structures_of_mclust(kind):
    x = ff.datasets.load("faithful").to_numpy()
    model = ff.GaussianMixture(2, covariance_type=kind, random_state=0).fit(x)
    covariance = np.broadcast_to(model.covariances_, (2, 2, 2)) if model.covariances_.shape == (2, 2) and kind == "EEE" \
        else np.stack([np.diag(c * np.ones(2)) for c in model.covariances_]) if kind in ("VVI", "VII") \
        else model.covariances_  # fmt: skip
    assert covariance.shape == (2, 2, 2)
    laws = [stats.multivariate_normal(m, c) for m, c in zip(model.means_, covariance, strict=True)]
    density = sum(w * law.pdf(x) for w, law in zip(model.weights_, laws, strict=True))
    np.testing.assert_allclose(model.score_samples(x), np.log(density), rtol=1e-9)
    assert np.log(density).sum() == pytest.approx(model.result_.llf, rel=1e-11)
    volumes = np.linalg.det(covariance)
    assert (kind[0] == "V") == (abs(volumes[0] / volumes[1] - 1) > 1e-8)
    for criterion in ("aic", "bic", "icl"):
        assert getattr(model, criterion)(x) == pytest.approx(getattr(model.result_, criterion), rel=1e-10)


def test_a_start_keeps_its_order_and_is_read():
    x = ff.datasets.load("faithful").to_numpy()
    model = ff.GaussianMixture(2, means_init=[[4.3, 80.0], [2.0, 55.0]], random_state=0).fit(x)
    assert model.means_[0, 0] > model.means_[1, 0]
    free = ff.GaussianMixture(2, random_state=0).fit(x)
    np.testing.assert_allclose(model.means_[::-1], free.means_, rtol=1e-9)
    for way in ("k-means++", "random", "random_from_data"):
        other = ff.GaussianMixture(2, init_params=way, n_init=5, random_state=1).fit(x)
        assert other.result_.llf == pytest.approx(free.result_.llf, rel=1e-12)


def test_warm_start_begins_at_the_last_solution():
    x = ff.datasets.load("galaxies").to_numpy() / 1000
    case = CASES["galaxies_full_k4_basin2"]
    model = ff.GaussianMixture(4, warm_start=True, random_state=0, **start_of(case)).fit(x)
    lower = model.result_.llf
    again = clone(model).set_params(means_init=None)
    again.__dict__ |= {k: v for k, v in vars(model).items() if k.endswith("_") or k.startswith("_")}
    again.fit(x[:-1])
    assert again.means_.ravel() == pytest.approx(model.means_.ravel(), rel=0.2)
    again.fit(x)
    assert again.result_.llf == pytest.approx(lower, rel=1e-10)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "VVE"])
@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e9, 0.0), (1.0, 1e7)])
def test_units_do_not_matter(kind, scale, shift):
    x = ff.datasets.load("faithful").to_numpy()
    one = ff.GaussianMixture(2, covariance_type=kind, random_state=0).fit(x)
    other = ff.GaussianMixture(2, covariance_type=kind, random_state=0).fit(x * scale + shift)
    tight = 1e-8 if shift == 0.0 else 1e-6  # digits of the data are lost
    np.testing.assert_allclose((other.means_ - shift) / scale, one.means_, rtol=tight)
    np.testing.assert_allclose(other.covariances_ / scale**2, one.covariances_, rtol=tight * 10, atol=1e-9)
    np.testing.assert_array_equal(other.predict(x * scale + shift), one.predict(x))


def test_weights_are_frequencies_and_zero_is_absence():
    x = ff.datasets.load("faithful")
    weight = np.random.default_rng(3).integers(0, 4, len(x))
    one = ff.GaussianMixture(2, random_state=0).fit(x, sample_weight=weight)
    other = ff.GaussianMixture(2, random_state=0).fit(x.loc[np.repeat(np.arange(len(x)), weight)])
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-9)
    np.testing.assert_allclose(one.result_.bse, other.result_.bse, rtol=1e-7)
    assert one.score(x, sample_weight=weight) == pytest.approx(one.lower_bound_, rel=1e-12)
    named = ff.GaussianMixture(2, random_state=0).fit(x.assign(w=weight), sample_weight="w")
    np.testing.assert_allclose(named.means_, one.means_, rtol=1e-12)


def test_columns_that_determine_others_are_left_out_with_a_warning():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(120, 2)) + np.repeat([[0.0, 0.0], [6.0, 3.0]], 60, axis=0)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": 2.0 * x[:, 0] - x[:, 1] + 5.0})
    with pytest.warns(ff.RankWarning, match=r"linear functions of others \('c'; rank 2 of 3\)"):
        model = ff.GaussianMixture(2, random_state=0).fit(frame)
    two = ff.GaussianMixture(2, random_state=0).fit(frame[["a", "b"]])
    assert model.rank_ == 2
    assert model.aliased_ == ("c",)
    np.testing.assert_allclose(model.predict_proba(frame), two.predict_proba(frame[["a", "b"]]), atol=1e-10)
    np.testing.assert_allclose(model.score_samples(frame), two.score_samples(frame[["a", "b"]]), rtol=1e-9)
    np.testing.assert_allclose(model.means_[:, 2], 2 * two.means_[:, 0] - two.means_[:, 1] + 5.0, rtol=1e-8)
    t = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    np.testing.assert_allclose(model.covariances_, t @ two.covariances_ @ t.T, rtol=1e-7, atol=1e-8)
    drawn, _ = model.sample(50)
    np.testing.assert_allclose(drawn[:, 2], 2 * drawn[:, 0] - drawn[:, 1] + 5.0, rtol=1e-7)


def test_samples_have_the_moments():
    x = ff.datasets.load("faithful").to_numpy()
    for kind in ("full", "tied", "diag", "spherical"):
        model = ff.GaussianMixture(2, covariance_type=kind, random_state=0).fit(x)
        drawn, labels = model.sample(20_000)
        covariances = model.covariances_
        if kind == "tied":
            covariances = np.stack([covariances, covariances])
        elif kind != "full":
            covariances = np.stack([np.diag(c * np.ones(2)) for c in covariances])
        for k, covariance in enumerate(covariances):
            part = drawn[labels == k]
            error = np.sqrt(np.diag(covariance) / len(part))
            assert np.all(np.abs(part.mean(axis=0) - model.means_[k]) < 5 * error)
            np.testing.assert_allclose(np.cov(part.T).diagonal(), np.diag(covariance), rtol=0.1)


BAD = [
    (np.ones((20, 2)), {}, r"column 'x0' is constant"),
    (np.repeat(np.eye(2), 5, axis=0), {"n_components": 3}, r"X has 2 distinct rows only"),
    (np.ones((20, 2)), {"n_components": 2}, r"all rows of X are equal"),
    (np.eye(3), {"n_components": 4}, r"n_components=4 is more than the 3 rows"),
    (np.ones((1, 2)), {}, r"Found array with 1 sample\(s\)"),
    (np.array([[1.0, 2.0], [3.0, np.nan], [0.0, 1.0]]), {}, r"NaN \(column 'x1', row 1"),
    (np.array([[1.0, 2.0], [np.inf, 1.0], [0.0, 1.0]]), {}, r"infinity.*column 'x0', row 1"),
    (np.eye(4), {"covariance_type": "VVX"}, r"covariance_type 'VVX' is not known"),
    (np.eye(4), {"init_params": "best"}, r"init_params: 'best' is not known"),
    (np.eye(4), {"reg_covar": -1.0}, r"reg_covar must be a number of at least 0"),
    (np.eye(4), {"weights_init": [0.5], "n_components": 1}, r"weights_init must be at least 0 and add up to 1"),
    (np.eye(4), {"means_init": [[1.0]]}, r"'means_init' should have the shape of \(1, 4\)"),
    (np.eye(4), {"precisions_init": -np.ones((1, 4)), "covariance_type": "diag"}, r"a value that is not positive"),
]


@pytest.mark.parametrize(("x", "options", "message"), BAD)
def test_bad_input(x, options, message):
    with pytest.raises(ff.InputError, match=message):
        ff.GaussianMixture(**options).fit(x)


def test_text_and_bad_weights():
    with pytest.raises(ff.InputError, match="column 'a' holds text or categories"):
        ff.GaussianMixture().fit(pd.DataFrame({"a": list("abc")}))
    with pytest.raises(ff.InputError, match="negative value -2 at row 1"):
        ff.GaussianMixture().fit(np.eye(3), sample_weight=[1, -2, 1])
    with pytest.raises(ff.InputError, match="n_components=2 is more than the 1 rows of positive weight"):
        ff.GaussianMixture(2).fit(np.eye(3), sample_weight=[0, 1, 0])
    with pytest.raises(NotFittedError):
        ff.GaussianMixture().predict(np.eye(2))


def test_life_with_scikit_learn():
    x = ff.datasets.load("faithful")
    model = ff.GaussianMixture(2, random_state=0).fit(x)
    text = pickle.dumps(model)
    assert len(text) < 12_000, "a fitted model holds no rows"
    np.testing.assert_array_equal(pickle.loads(text).predict_proba(x), model.predict_proba(x))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "means_")
    before = dict(vars(model))
    with pytest.raises(ff.InputError):
        model.fit(x.assign(waiting=1.0))
    assert vars(model) == before, "a fit that fails changes nothing"
    pipe = make_pipeline(StandardScaler(), ff.GaussianMixture(2, random_state=0)).fit(x)
    np.testing.assert_array_equal(pipe.predict(x), model.predict(x))
    search = GridSearchCV(
        ff.GaussianMixture(random_state=0, n_init=2),
        {"n_components": [1, 2], "covariance_type": ["full", "tied"]},
        cv=3,
    ).fit(x)
    assert search.best_params_["n_components"] == 2
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            ff.GaussianMixture(2, random_state=0).set_fit_request(sample_weight=True),
        )
        weight = np.random.default_rng(5).integers(1, 4, len(x))
        routed.fit(x, sample_weight=weight)
        direct = ff.GaussianMixture(2, random_state=0).fit(x, sample_weight=weight)
        np.testing.assert_allclose(routed[-1].weights_, direct.weights_, rtol=1e-8)


def test_verbose_prints_the_path(capsys):
    ff.GaussianMixture(2, random_state=0, verbose=2).fit(ff.datasets.load("faithful"))
    text = capsys.readouterr().out
    assert "start 0: converged after" in text
    assert "log-likelihood -1130.26396" in text


CHECKS = [
    pair
    for model in (ff.GaussianMixture(), ff.GaussianMixture(2, covariance_type="EII"), ff.MixtureModel())
    for pair in estimator_checks_generator(model, legacy=True, mark="skip")
]


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS,
    ids=[type(e).__name__ + getattr(c, "func", c).__name__ + str(i) for i, (e, c) in enumerate(CHECKS)],
)  # fmt: skip
def test_check_estimator(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # typed warnings are allowed here
        try:
            check(estimator)
        except Exception as error:
            if type(error).__name__ == "SkipTest":
                # scikit-learn's own skip: the array API is off unless SCIPY_ARRAY_API is set
                pytest.skip(str(error))
            raise


@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 1e-3])
def test_reg_covar_is_never_added_to_variances(reg_covar):
    """Whatever the units: the same maximum, and a warning where a user asked for more than scikit-learn's default."""
    x = 1e-6 * ff.datasets.load("faithful").to_numpy()
    plain = ff.GaussianMixture(2, random_state=0).fit(x)
    model = ff.GaussianMixture(2, random_state=0, reg_covar=reg_covar)
    if reg_covar > 1e-6:
        with pytest.warns(ff.FisherfitWarning, match=r"reg_covar=0.001 is not added.*prior='mclust'"):
            model.fit(x)
    else:
        model.fit(x)
    np.testing.assert_array_equal(model.covariances_, plain.covariances_)
    assert clone(model).reg_covar == reg_covar


def test_uncertainty_is_what_is_left_of_the_largest_probability():
    x = ff.datasets.load("faithful")
    model = ff.GaussianMixture(3, random_state=0).fit(x)
    z = model.predict_proba(x)
    np.testing.assert_allclose(model.uncertainty(x), 1.0 - z.max(axis=1), atol=1e-15)
    apart = ff.GaussianMixture(2, random_state=0).fit(x)
    far = apart.uncertainty([[1.0, 30.0]])  # 1 - z has no digit left there
    assert 0.0 < far[0] < 1e-15
    assert far[0] == pytest.approx(np.exp(np.diff(np.log(apart.weights_) + [
        -0.5 * (np.array([1.0, 30.0]) - m) @ np.linalg.solve(c, np.array([1.0, 30.0]) - m)
        - 0.5 * np.log(np.linalg.det(c)) for m, c in zip(apart.means_, apart.covariances_, strict=True)
    ]))[0], rel=1e-8)  # fmt: skip


def test_a_script_for_scikit_learn_runs_with_another_import():
    """All that it says, and the names it reads; the log-likelihood is no lower than scikit-learn's."""
    from sklearn import mixture as theirs

    x = ff.datasets.load("faithful").to_numpy()
    settings = {
        "n_components": 2, "covariance_type": "full", "tol": 1e-3, "reg_covar": 1e-6, "max_iter": 100, "n_init": 1,
        "init_params": "k-means++", "weights_init": [0.4, 0.6], "means_init": [[2.0, 55.0], [4.0, 80.0]],
        "precisions_init": None, "random_state": 0, "warm_start": True, "verbose": 0, "verbose_interval": 10,
    }  # fmt: skip
    a, b = (kind(**settings).fit(x) for kind in (theirs.GaussianMixture, ff.GaussianMixture))
    public = [name for name in vars(a) if name.endswith("_") and not name.startswith("_")]
    assert set(public) <= set(dir(b))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(a, name).shape == getattr(b, name).shape
        # scikit-learn stops where a step changes the mean log-likelihood by 1e-3
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=0.02, atol=0.02)
    assert b.lower_bound_ >= a.lower_bound_
    assert a._n_parameters() == b._n_parameters() == 11
    assert b.bic(x) <= a.bic(x)
    assert b.fit(x).fit_predict(x).shape == (272,)  # warm
    assert list(map(np.shape, b.sample(7))) == [(7, 2), (7,)]


def test_a_warm_start_goes_on_from_where_the_last_fit_ended():
    x = ff.datasets.load("faithful")
    model = ff.GaussianMixture(2, warm_start=True, random_state=0, max_iter=1, init_params="random", n_init=1)
    found = []
    with warnings.catch_warnings(record=True):  # the first fits say that they have not converged
        warnings.simplefilter("always")
        for _ in range(12):
            found.append(model.fit(x).lower_bound_)
    assert np.all(np.diff(found) >= -1e-13)
    assert found[-1] > found[0]
    assert model.fit(x).converged_
    assert found[-1] == pytest.approx(-1130.26396018 / 272, rel=1e-10)
