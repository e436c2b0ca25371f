"""Mixtures of any families: certified cases, edges of the parameter space, columns of all kinds, bad input."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn.base import clone

import fisherfit as ff
from fisherfit import _threads
from fisherfit.estimators.mixture_columns import plan_columns
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.table import read_table

CASES = json.loads((Path(__file__).parent / "reference" / "mixtures.json").read_text(encoding="utf-8"))["cases"]
CASES = {c["name"]: c for c in CASES if c["structure"] in ("univariate", "product")}
FAMILIES = {"student_t": lambda c: ff.StudentT(df=c["nu"])}
#: the name of a dispersion here, and the power of ours that is the reference's
DISPERSIONS = {"size": ("alpha", -1)}


def model_of(case, **options):
    family = FAMILIES.get(case["family"], lambda c: c["family"])(case)
    return ff.MixtureModel(family, case["n_components"], random_state=0, **options)


def data_of(case):
    x = np.asarray(case["X"] or case["y"], float)
    weights = None if case["weights"] is None else np.asarray(case["weights"], float)
    return (x if x.ndim == 2 else x[:, None]), weights


def expected(case):
    """Values and standard errors by our names."""
    params, se, out = case["params"], case["se"], {}
    for k in range(case["n_components"]):
        out[f"weight[{k}]"] = params["weights"][k], se["weights"][k]
        if params.get("probs"):
            out |= {
                f"prob[{k},x{j}]": pair for j, pair in enumerate(zip(params["probs"][k], se["probs"][k], strict=True))
            }
        else:
            out[f"mean[{k}]"] = params["means"][k], se["means"][k]
        if params.get("dispersion"):
            name, value = params["dispersion"]["name"], params["dispersion"]["values"][k]
            error = se["dispersion"]["values"][k] if isinstance(se["dispersion"], dict) else se["dispersion"][k]
            ours, power = DISPERSIONS.get(name, (name, 1))
            out[f"{ours}[{k}]"] = value**power, error * (1.0 if power == 1 else value**-2)
    return out


@pytest.mark.parametrize("name", CASES)
def test_certified(name):
    case = CASES[name]
    x, weights = data_of(case)
    result = model_of(case).fit(x, sample_weight=weights).result_
    assert result.converged
    assert result.n_params == case["df"]
    assert result.llf == pytest.approx(case["loglik"], rel=1e-12)
    assert result.bic == pytest.approx(case["bic"], rel=1e-11)
    assert result.icl == pytest.approx(case["icl"], rel=1e-9)
    found = dict(zip(result.names, zip(result.estimates, result.standard_errors, strict=True), strict=True))
    truth = expected(case)
    assert set(found) == set(truth)
    for parameter, (value, error) in truth.items():
        assert abs(found[parameter][0] - value) <= 1e-8 * error, parameter
        assert found[parameter][1] == pytest.approx(error, rel=1e-8), parameter


def mixture_of(frame, family, k, by_component=False):
    table = read_table(frame)
    weight = np.ones(table.n)
    plan, values = plan_columns(table, family, k, by_component, weight)
    return plan, Mixture(plan.components(values), Mixing(k), weight)


@pytest.fixture
def mixed():
    rng = np.random.default_rng(5)
    kind = rng.random(250) < 0.4
    return pd.DataFrame({
        "g": np.where(kind, rng.choice(list("abc"), 250, p=[0.6, 0.3, 0.1]), rng.choice(list("abc"), 250)),
        "n": rng.poisson(np.where(kind, 2.0, 7.0) * rng.gamma(2.0, 0.5, 250)),
        "v": rng.normal(np.where(kind, 0.0, 3.0), 1.0),
        "b": rng.random(250) < np.where(kind, 0.8, 0.3),
        "t": rng.gamma(np.where(kind, 3.0, 9.0)),
    })  # fmt: skip


KINDS = {"g": "categorical", "n": "negative_binomial", "v": "student_t", "b": "bernoulli", "t": "gamma"}


def test_score_and_information_of_a_product_are_derivatives(mixed):
    _, mixture = mixture_of(mixed, KINDS, 2)
    rng = np.random.default_rng(1)
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        theta = mixture.start(rng.dirichlet(np.ones(2), len(mixed)).T) + 0.1 * rng.standard_normal(mixture.size)
        here = mixture.evaluate(theta)
        np.testing.assert_allclose(mixture.unit_scores(theta).sum(axis=0), here.score, rtol=1e-9, atol=1e-9)
        h = 1e-5
        steps = h * np.eye(mixture.size)
        score = (mixture.loglik(theta + steps) - mixture.loglik(theta - steps)) / (2.0 * h)
        np.testing.assert_allclose(here.score, score, rtol=1e-5, atol=1e-4)
        jacobian = np.stack(
            [(mixture.evaluate(theta + s).score - mixture.evaluate(theta - s).score) / (2.0 * h) for s in steps]
        )
        np.testing.assert_allclose(here.observed, -jacobian, rtol=1e-5, atol=2e-4)
        report, h = mixture.report(theta), 1e-6
        slopes = np.stack([(mixture.report(theta + h / 1e-5 * s).values - mixture.report(theta - h / 1e-5 * s).values)
                           / (2.0 * h) for s in steps], axis=1)  # fmt: skip
        np.testing.assert_allclose(report.jacobian, slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "family",
    ["normal", "poisson", "exponential", "geometric", "gamma", "bernoulli", "categorical"],
)
def test_a_step_of_em_goes_up(mixed, family):
    column = {"normal": "v", "gamma": "t", "exponential": "t", "bernoulli": "b", "categorical": "g"}.get(family, "n")
    _, mixture = mixture_of(mixed[[column]], family, 2)
    rng = np.random.default_rng(2)
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        theta = mixture.start(rng.dirichlet(np.ones(2), len(mixed)).T)[None]
        before = -np.inf
        for _ in range(10):
            loglik, theta = mixture.em(theta)
            assert loglik[0] >= before - 1e-9 * abs(loglik[0])
            before = loglik[0]


def test_log_density_against_scipy():
    rng = np.random.default_rng(3)
    shapes, spread = rng.gamma(np.where(rng.random(300) < 0.5, 4.0, 20.0))[:, None], rng.exponential(1.0, (300, 1))
    frozen = {
        "normal": lambda p: stats.norm(p["mean"], p["sigma"]),
        "gamma": lambda p: stats.gamma(p["shape"], scale=p["mean"] / p["shape"]),
        "student_t": lambda p: stats.t(5, p["mean"], p["scale"]),
        "exponential": lambda p: stats.expon(scale=p["mean"]),
        "inverse_gaussian": lambda p: stats.invgauss(p["mean"] / p["shape"], scale=p["shape"]),
    }
    for family, law in frozen.items():
        # two exponential laws are more spread than one: on other data they would be one
        y = shapes if family != "exponential" else spread * np.where(np.arange(300) % 3 == 0, 9.0, 1.0)[:, None]
        model = ff.MixtureModel(family, 2, random_state=0).fit(y)
        parts = [model.weights_[k] * law(p).pdf(y[:, 0]) for k, p in model.params_.iterrows()]
        np.testing.assert_allclose(model.score_samples(y), np.log(sum(parts)), rtol=1e-10)
        np.testing.assert_allclose(model.predict_proba(y)[:, 0], parts[0] / sum(parts), atol=1e-10)
        assert model.score_samples(y).sum() == pytest.approx(model.result_.llf, rel=1e-12)
        assert model.score(y) * 300 == pytest.approx(model.result_.llf, rel=1e-12)
        for criterion in ("aic", "bic", "icl"):
            assert getattr(model, criterion)(y) == pytest.approx(getattr(model.result_, criterion), rel=1e-10)


def test_one_component_is_the_family_itself():
    rng = np.random.default_rng(4)
    angle = rng.vonmises(1.0, 3.0, 200)
    model = ff.MixtureModel("von_mises", random_state=0).fit(angle[:, None])
    kappa, mean, _ = stats.vonmises.fit(angle, fscale=1)
    assert model.params_.loc[0, "mean"] == pytest.approx(mean, abs=1e-5)
    assert model.params_.loc[0, "kappa"] == pytest.approx(kappa, rel=1e-4)
    normal = ff.MixtureModel("normal", random_state=0).fit(angle[:, None])
    assert normal.params_.loc[0, "sigma"] == pytest.approx(angle.std(), rel=1e-12)
    assert normal.result_.bse["mean[0]"] == pytest.approx(angle.std() / np.sqrt(200), rel=1e-10)
    assert normal.result_.bse["weight[0]"] == 0.0


def test_a_family_of_ones_own():
    class Rayleigh(ff.Family):
        name = "rayleigh"
        parameters = {"sigma": "positive"}
        support = ff.Support(0.0, lower_open=True)

        @staticmethod
        def log_density(y, sigma):
            return np.log(y) - 2.0 * np.log(sigma) - 0.5 * (y / sigma) ** 2

    rng = np.random.default_rng(6)
    y = np.concatenate([rng.rayleigh(1.0, 200), rng.rayleigh(8.0, 100)])[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.CompilationWarning)
        model = ff.MixtureModel(Rayleigh(), 2, n_init=2, random_state=0).fit(y)
    assert list(model.params_) == ["sigma"]
    z = model.predict_proba(y)
    sigma = np.sqrt((z * y**2).sum(axis=0) / 2.0 / z.sum(axis=0))  # the likelihood equations
    np.testing.assert_allclose(model.params_["sigma"], sigma, rtol=1e-6)


def test_columns_of_all_kinds(mixed):
    model = ff.MixtureModel(KINDS, 2, random_state=0).fit(mixed)
    assert list(model.params_) == [
        "prob[g=a]", "prob[g=b]", "prob[g=c]", "mean[n]", "alpha[n]", "mean[v]", "scale[v]", "prob[b]", "mean[t]",
        "shape[t]",
    ]  # fmt: skip
    probabilities = model.params_[["prob[g=a]", "prob[g=b]", "prob[g=c]"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    assert list(model.feature_names_in_) == list("gnvbt")
    shuffled = model.predict_proba(mixed[list("tbvng")])
    np.testing.assert_array_equal(shuffled, model.predict_proba(mixed))
    # at the maximum a probability is the mean of its indicator among the rows of the class
    z = model.predict_proba(mixed)
    for k in (0, 1):
        share = z[:, k] @ (mixed["g"] == "c") / z[:, k].sum()
        assert model.params_.loc[k, "prob[g=c]"] == pytest.approx(share, rel=1e-6)
    drawn, labels = model.sample(400)
    assert list(drawn) == list("gnvbt")
    assert set(drawn["g"]) <= set("abc")
    assert np.all(np.diff(labels) >= 0)
    assert labels.mean() == pytest.approx(model.weights_[1], abs=0.1)


def test_list_dictionary_and_automatic_categories_agree(mixed):
    two = mixed[["g", "n"]]
    by_list = ff.MixtureModel(["categorical", "poisson"], 2, random_state=0).fit(two)
    by_name = ff.MixtureModel({"n": "poisson", "g": "categorical"}, 2, random_state=0).fit(two)
    by_itself = ff.MixtureModel("poisson", 2, random_state=0).fit(two)
    pd.testing.assert_frame_equal(by_list.params_, by_name.params_)
    pd.testing.assert_frame_equal(by_list.params_, by_itself.params_)
    as_category = ff.MixtureModel("poisson", 2, random_state=0).fit(two.astype({"g": "category"}))
    pd.testing.assert_frame_equal(by_list.params_, as_category.params_)


def test_two_levels_are_a_bernoulli_column():
    columns = ff.datasets.load("stouffer_toby")
    one = ff.MixtureModel("bernoulli", 2, random_state=0).fit(columns, sample_weight="respondents")
    other = ff.MixtureModel("categorical", 2, random_state=0).fit(columns, sample_weight="respondents")
    assert one.result_.llf == pytest.approx(other.result_.llf, rel=1e-12)
    np.testing.assert_allclose(np.sort(one.params_["prob[C]"]), np.sort(other.params_["prob[C=1]"]), rtol=1e-6)


def test_components_of_different_families():
    rng = np.random.default_rng(8)
    y = np.concatenate([rng.normal(0.0, 1.0, 150), 12.0 + rng.standard_t(3, 100)])[:, None]
    model = ff.MixtureModel([ff.StudentT(df=3), "normal"], 2, by_component=True, random_state=0).fit(y)
    params = model.params_
    assert np.isnan(params.loc[0, "sigma"])
    assert np.isnan(params.loc[1, "scale"])
    swapped = ff.MixtureModel(["normal", ff.StudentT(df=3)], 2, by_component=True, random_state=0).fit(y)
    assert swapped.result_.llf == pytest.approx(model.result_.llf, rel=1e-12)
    np.testing.assert_allclose(swapped.params_["mean"][::-1], params["mean"], rtol=1e-8)


def test_an_edge_is_exact_and_the_others_have_standard_errors():
    rng = np.random.default_rng(0)
    kind = rng.random(400) < 0.4
    x = (rng.random((400, 5)) < np.where(kind[:, None], [0.9, 0.8, 0.7, 0.6, 0.8], [0.3, 0.2, 0.1, 0.3, 0.0])).astype(
        int
    )
    with pytest.warns(ff.BoundaryWarning, match=r"prob\[0,x4\] = 0; there is no standard error"):
        model = ff.MixtureModel("bernoulli", 2, random_state=0).fit(x)
    result = model.result_
    assert result.params["prob[0,x4]"] == 0.0
    assert np.isnan(result.bse["prob[0,x4]"])
    others = [name for name in result.names if name != "prob[0,x4]"]
    assert np.isfinite(result.bse[others]).all()

    def loglik(free):  # with the held probability at 0, over the others in the user's units
        p = np.concatenate([free[1:5], [0.0], free[5:]]).reshape(2, 5)
        parts = [
            w * np.prod(np.where(x == 1, q, 1.0 - q), axis=1) for w, q in zip((free[0], 1 - free[0]), p, strict=True)
        ]
        return np.log(parts[0] + parts[1]).sum()

    at = np.array([result.params[n] for n in others if n != "weight[1]"])
    assert loglik(at) == pytest.approx(result.llf, rel=1e-12)
    h, size = 1e-4, at.size
    steps = h * np.eye(size)
    hessian = np.array([[(loglik(at + a + b) - loglik(at + a - b) - loglik(at - a + b) + loglik(at - a - b))
                         / (4 * h * h) for a in steps] for b in steps])  # fmt: skip
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(result.bse[[n for n in others if n != "weight[1]"]], errors, rtol=1e-4)


def test_a_component_of_zeros():
    rng = np.random.default_rng(1)
    y = np.concatenate([np.zeros(200), rng.poisson(5.0, 300)])
    y[(y == 1) | (y == 2)] = 3  # nothing near 0 that is not 0
    with pytest.warns(ff.BoundaryWarning, match=r"mean\[0\] = 0"):
        model = ff.MixtureModel("poisson", 2, random_state=0).fit(y[:, None])
    assert model.params_.loc[0, "mean"] == 0.0
    # the rest is a zero-inflated Poisson: its likelihood equation in closed form
    positive = y[y > 0]
    mean = model.params_.loc[1, "mean"]
    assert mean / -np.expm1(-mean) == pytest.approx(positive.mean(), rel=1e-9)
    assert np.isfinite(model.result_.bse["mean[1]"])


def test_no_overdispersion_is_alpha_zero():
    y = np.random.default_rng(2).binomial(10, 0.5, 300)[:, None]
    with pytest.warns(ff.BoundaryWarning, match=r"alpha\[0\] = 0"):
        model = ff.MixtureModel("negative_binomial", random_state=0).fit(y)
    poisson = ff.MixtureModel("poisson", random_state=0).fit(y)
    assert model.result_.llf == pytest.approx(poisson.result_.llf, rel=1e-9)
    assert model.result_.bse["mean[0]"] == pytest.approx(poisson.result_.bse["mean[0]"], rel=1e-8)


@pytest.mark.parametrize("family", ["normal", "student_t", "gamma", "exponential"])
@pytest.mark.parametrize("scale", [1e-6, 1e9])
def test_units_do_not_matter(family, scale):
    y = np.random.default_rng(3).gamma(np.repeat([4.0, 40.0], [90, 60]))[:, None]
    one = ff.MixtureModel(family, 2, random_state=0).fit(y)
    other = ff.MixtureModel(family, 2, random_state=0).fit(y * scale)
    np.testing.assert_allclose(other.params_["mean"], one.params_["mean"] * scale, rtol=1e-8)
    np.testing.assert_allclose(other.weights_, one.weights_, rtol=1e-8)
    assert other.result_.llf == pytest.approx(one.result_.llf - 150 * np.log(scale), rel=1e-10)


def test_an_outlier_does_not_spoil_the_others():
    y = np.concatenate([np.random.default_rng(4).normal(np.repeat([0.0, 8.0], 50), 1.0), [1e12]])[:, None]
    far = ff.MixtureModel("student_t", 2, random_state=0).fit(y)
    near = ff.MixtureModel("student_t", 2, random_state=0).fit(y[:-1])
    np.testing.assert_allclose(far.params_["mean"], near.params_["mean"], atol=0.2)


def test_weights_are_frequencies_and_zero_is_absence():
    rng = np.random.default_rng(9)
    x = rng.poisson(np.where(rng.random(80) < 0.5, 1.0, 6.0))[:, None]
    weight = rng.integers(0, 4, 80)
    one = ff.MixtureModel("poisson", 2, random_state=0).fit(x, sample_weight=weight)
    other = ff.MixtureModel("poisson", 2, random_state=0).fit(np.repeat(x, weight, axis=0))
    assert one.result_.llf == pytest.approx(other.result_.llf, rel=1e-12)
    np.testing.assert_allclose(one.result_.bse, other.result_.bse, rtol=1e-7)
    assert one.result_.bic == pytest.approx(other.result_.bic, rel=1e-12)
    frame = pd.DataFrame({"y": x[:, 0], "w": weight})
    named = ff.MixtureModel("poisson", 2, random_state=0).fit(frame, sample_weight="w")
    assert named.n_features_in_ == 1
    assert named.result_.llf == pytest.approx(one.result_.llf, rel=1e-13)
    spoilt = np.concatenate([x.astype(float), [[-3.5]]])  # an impossible row of weight 0 is no row
    assert ff.MixtureModel("poisson", 2, random_state=0).fit(
        spoilt, sample_weight=[*weight, 0]
    ).result_.llf == pytest.approx(one.result_.llf, rel=1e-13)


BAD = [
    ("gamma", [[1.0], [0.0], [2.0]], ff.InputError, r"column 'x0' has the value 0 at row 1, but the gamma family"),
    ("poisson", [[1.0], [2.5]], ff.InputError, r"value 2.5 at row 1, but the poisson family has whole numbers only"),
    ("bernoulli", [[0], [2]], ff.InputError, r"value 2 at row 1, but the bernoulli family here needs 0 or 1"),
    ("binomial", [[0.5], [1]], ff.InputError, r"use MixtureRegressor"),
    ("beta", [[0.5], [1.0]], ff.InputError, r"value 1 at row 1, but the beta family needs values that are \(0, 1\)"),
    ("normal", [[1.0], [1.0]], ff.InputError, r"column 'x0' is constant \(1 in all 2 rows"),
    ("normal", [[1.0], [np.nan]], ff.InputError, r"contains NaN \(column 'x0', row 1"),
    ("normal", [[1.0], [np.inf]], ff.InputError, r"contains infinity.*column 'x0', row 1"),
    (["normal"], [[1.0, 2.0], [3.0, 4.0]], ff.InputError, r"family has 1 entries, but X has 2 columns"),
    ("gauss", [[1.0], [2.0]], ff.InputError, r"'gauss' is not a family"),
    ({"a": "normal"}, [[1.0], [2.0]], ff.InputError, r"names 'a', which is no column"),
]


@pytest.mark.parametrize(("family", "x", "error", "message"), BAD)
def test_bad_input(family, x, error, message):
    with pytest.raises(error, match=message):
        ff.MixtureModel(family, 1).fit(np.array(x))


def test_bad_arguments(mixed):
    x = mixed[["v"]]
    for options, message in [
        ({"n_components": 0}, "n_components must be a whole number"),
        ({"n_components": 300}, r"n_components=300 is more than the 250 rows"),
        ({"n_init": 0}, "n_init must be a whole number"),
        ({"tol": -1.0}, "tol must be a number"),
        ({"n_components": 2, "by_component": True}, "needs a list of families with one entry for each of the 2"),
        ({"by_component": 1.5}, "by_component must be True or False"),
        ({"random_state": "a"}, "random_state must be"),
    ]:
        with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
            ff.MixtureModel(**options).fit(x)
    with pytest.raises(ff.InputError, match="X has 2 distinct rows only"):
        ff.MixtureModel("poisson", 3).fit(np.repeat([[1], [2]], 5, axis=0))
    with pytest.raises(ff.InputError, match="column 'g' holds text or categories, which the normal family"):
        ff.MixtureModel({"g": "normal"}).fit(mixed[["g"]])
    with pytest.raises(ff.InputError, match="negative value -1 at row 3"):
        ff.MixtureModel().fit(x, sample_weight=np.where(np.arange(250) == 3, -1.0, 1.0))
    with pytest.raises(ff.InputError, match="every sample_weight is zero"):
        ff.MixtureModel().fit(x, sample_weight=np.zeros(250))
    model = ff.MixtureModel("categorical").fit(pd.DataFrame({"g": list("aabb")}))
    with pytest.raises(
        ff.InputError, match=r"'c' at row 1, which it did not have in the fit; its values there were 'a'"
    ):
        model.predict(pd.DataFrame({"g": list("ac")}))


def test_a_failed_refit_leaves_the_model_as_it_was(mixed):
    model = ff.MixtureModel("normal", 2, random_state=0).fit(mixed[["v"]])
    before = dict(vars(model))
    with pytest.raises(ff.InputError):
        model.fit(mixed[["v"]].assign(v=np.nan))
    assert vars(model) == before


def test_clone_pickle_and_size(mixed):
    big = pd.concat([mixed] * 20)
    model = ff.MixtureModel(KINDS, 2, n_init=2, random_state=0).fit(big)
    text = pickle.dumps(model)
    assert len(text) < 20_000, "a fitted model holds no rows"
    np.testing.assert_array_equal(pickle.loads(text).predict_proba(mixed), model.predict_proba(mixed))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "result_")


def test_threads_and_seed_give_the_same(mixed):
    fits = [ff.MixtureModel(KINDS, 2, random_state=7, n_jobs=jobs).fit(mixed) for jobs in (1, 2)]
    np.testing.assert_array_equal(fits[0].result_.estimates, fits[1].result_.estimates)


def test_the_summary_of_probabilities_by_hand():
    """Multinomial standard errors of one categorical column, in closed form."""
    counts = np.array([30, 50, 20])
    frame = pd.DataFrame({"g": ["x", "y", "z"]})
    result = ff.MixtureModel("categorical").fit(frame, sample_weight=counts).result_
    p = counts / 100
    np.testing.assert_allclose(result.params[["prob[0,g=x]", "prob[0,g=y]", "prob[0,g=z]"]], p, rtol=1e-12)
    np.testing.assert_allclose(result.bse[1:], np.sqrt(p * (1 - p) / 100), rtol=1e-10)
    assert result.llf == pytest.approx(special.xlogy(counts, p).sum(), rel=1e-13)


def test_patterns_of_answers():
    """Goodman (1974, Biometrika 61): two classes for the role conflicts, G2 = X2 = 2.72 on 6 degrees of freedom."""
    answers = ff.datasets.load("stouffer_toby")
    model = ff.MixtureModel("bernoulli", 2, random_state=0).fit(answers, sample_weight="respondents")
    found = model.patterns(answers, sample_weight="respondents")
    assert (found.df, found.cells) == (6, 16)
    assert found.g2 == pytest.approx(2.720, abs=5e-4)
    assert found.chi2 == pytest.approx(2.720, abs=5e-4)
    table = found.to_frame()
    assert table["observed"].sum() == 216
    assert table["expected"].sum() == pytest.approx(216, rel=1e-12)  # all 16 patterns were seen
    assert table["observed"].is_monotonic_decreasing
    count = answers["respondents"].to_numpy()
    saturated = float(count @ np.log(count / count.sum()))
    assert found.g2 == pytest.approx(2.0 * (saturated - model.result_.llf), rel=1e-9)
    # patterns that were not seen count what is expected of them
    seen = answers[answers["respondents"] > 10]
    some = ff.MixtureModel("bernoulli", 1).fit(seen, sample_weight="respondents")
    found = some.patterns(seen, sample_weight="respondents")
    p, total = some.params_.to_numpy()[0], seen["respondents"].sum()
    every = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, -1).T
    expected = total * np.prod(np.where(every == 1, p, 1 - p), axis=1)
    observed = [seen["respondents"][(seen[list("ABCD")].to_numpy() == row).all(axis=1)].sum() for row in every]
    assert found.chi2 == pytest.approx(((np.array(observed) - expected) ** 2 / expected).sum(), rel=1e-10)
    geyser = ff.datasets.load("faithful")[["waiting"]]
    normal = ff.MixtureModel().fit(geyser)
    with pytest.raises(ff.InputError, match="'waiting' is none"):
        normal.patterns(geyser)
