"""MixtureSearch: the models that mclust chooses, and what a search promises."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.datasets import load_iris

import fisherfit as ff
from fisherfit.estimators.mixture_search import settings_of

mpl.use("Agg")
GEYSER = ff.datasets.load("faithful")
GALAXIES = ff.datasets.load("galaxies") / 1000


@pytest.fixture(scope="module")
def search():
    grid = {"covariance_type": ["EEE", "VVV", "EEI"]}
    return ff.MixtureSearch(n_components=range(1, 5), grid=grid, random_state=0).fit(GEYSER)


def test_the_geyser_has_three_components_of_equal_covariance(search):
    """mclust 6: EEE with 3 components, BIC -2314.316 by its optimum, the maximum being 0.01 nats higher."""
    assert search.best_params_ == {"covariance_type": "EEE", "n_components": 3}
    assert search.best_score_ == pytest.approx(2314.296, abs=1e-2)
    assert search.best_estimator_.result_.bic == search.best_score_


def test_the_table_has_every_candidate_the_best_first(search):
    table = search.results_
    assert len(table) == 12
    assert list(table.columns) == [
        "n_components", "covariance_type", "llf", "n_params", "bic", "icl", "aic", "entropy", "converged", "note",
    ]  # fmt: skip
    bic = table["bic"].dropna()
    assert bic.is_monotonic_increasing
    assert table["bic"].iloc[len(bic) :].isna().all()
    for kind, rows in table.groupby("covariance_type"):
        llf = rows.sort_values("n_components")["llf"].to_numpy()
        assert np.all(np.diff(llf) > -1e-6), kind


def test_the_best_answers_for_the_search(search):
    best = search.best_estimator_
    assert np.array_equal(search.predict(GEYSER), best.predict(GEYSER))
    assert np.array_equal(search.predict_proba(GEYSER), best.predict_proba(GEYSER))
    assert np.array_equal(search.score_samples(GEYSER), best.score_samples(GEYSER))
    assert best.test("weight[0] = 0.3", method="lr", X=GEYSER).df == 1


def test_candidates_do_not_depend_on_what_else_is_tried(search):
    alone = ff.MixtureSearch(n_components=range(1, 5), grid={"covariance_type": ["EEE"]}, random_state=0).fit(GEYSER)
    both = search.results_[search.results_["covariance_type"] == "EEE"].reset_index(drop=True)
    assert np.array_equal(alone.results_["llf"], both["llf"])


def test_the_irises_are_two(search):
    """mclust 6: VEV with 2 components, BIC -561.7285."""
    grid = {"covariance_type": ["VEV", "VVV", "EEE", "VEE"]}
    found = ff.MixtureSearch(n_components=[1, 2, 3], grid=grid, random_state=0).fit(load_iris().data)
    assert found.best_params_ == {"covariance_type": "VEV", "n_components": 2}
    assert found.best_score_ == pytest.approx(561.7285, abs=2e-3)


def test_the_galaxies():
    """By BIC three components of unequal variance (Roeder, 1990, has the data); ICL has three as well."""
    bic = ff.MixtureSearch(n_components=range(1, 6), random_state=0).fit(GALAXIES)
    assert bic.best_params_ == {"covariance_type": "VII", "n_components": 3}
    icl = ff.MixtureSearch(n_components=[2, 3, 4], criterion="icl", random_state=0).fit(GALAXIES)
    assert icl.best_params_["n_components"] == 3
    assert icl.best_score_ == icl.best_estimator_.result_.icl


def test_families_and_weights():
    deaths = ff.datasets.load("times_deaths")
    grid = {"family": ["poisson", ff.NegativeBinomial()]}
    found = ff.MixtureSearch(ff.MixtureModel(), [1, 2], grid, random_state=0).fit(deaths, sample_weight="days")
    assert set(found.results_["family"]) == {"poisson", repr(ff.NegativeBinomial())}
    assert found.best_params_["n_components"] == 1
    assert found.best_estimator_.result_.nobs == deaths["days"].sum()


def test_regressions():
    data = ff.datasets.load("npreg")
    found = ff.MixtureSearch(ff.MixtureRegressor(formula="yn ~ x + I(x**2)"), [1, 2, 3], random_state=0).fit(data)
    assert found.best_params_ == {"n_components": 2}
    assert found.predict(data).shape == (200,)


def test_candidates_that_fail_have_a_note_and_no_criterion():
    rows = np.array([[0.0], [1.0], [2.5]])
    found = ff.MixtureSearch(ff.MixtureModel("normal"), [1, 2, 5], random_state=0).fit(rows)
    table = found.results_.set_index("n_components")
    assert "more than the 3 rows" in table.loc[5, "note"]
    assert np.isnan(table.loc[5, "bic"])
    assert "degenerate" in table.loc[2, "note"]
    assert np.isnan(table.loc[2, "bic"])
    assert found.best_params_ == {"n_components": 1}
    with pytest.raises(ff.InputError, match="no candidate could be fitted"):
        ff.MixtureSearch(ff.MixtureModel("normal"), [4, 5]).fit(rows)


def test_plot(search):
    import matplotlib.pyplot as plt

    ax = search.plot()
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith(("_", "smallest"))}
    assert set(lines) == {"EEE", "VVV", "EEI"}
    assert lines["EEE"].get_ydata().min() == search.best_score_
    plt.close(ax.figure)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_components": []}, "n_components"),
        ({"n_components": [0]}, "n_components"),
        ({"criterion": "dic"}, "criterion"),
        ({"grid": {"covariance_type": "full"}}, "list of values"),
        ({"grid": {"n_components": [1]}}, "argument of its own"),
        ({"grid": {"nothing": [1]}}, "Invalid parameter"),
        ({"grid": 3}, "dictionary"),
        ({"estimator": ff.GLM()}, "mixture"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments, match):
    with pytest.raises(ff.FisherfitError, match=match):
        ff.MixtureSearch(**arguments).fit(GALAXIES)


def test_grids_are_products_and_unions():
    assert settings_of(None) == [{}]
    assert settings_of([{"a": [1, 2], "b": [3]}, {"a": [1], "b": [3]}]) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]


def test_results_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 2)) + 4.0 * rng.integers(2, size=6000)[:, None]
    found = [
        ff.MixtureSearch(n_components=[1, 2, 3], grid={"covariance_type": ["VVV", "EEI"]}, random_state=0, n_jobs=n)
        .fit(x)
        .results_
        for n in (1, 2, 3)
    ]
    for other in found[1:]:
        assert np.array_equal(found[0]["llf"], other["llf"])
        assert np.array_equal(found[0]["bic"], other["bic"])
