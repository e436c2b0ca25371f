"""Figures of mixtures: what is drawn is what the model says, by its data; wrong input is refused."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.collections
import numpy as np
import pandas as pd
import pytest
from scipy import stats

mpl.use("Agg")

import matplotlib.pyplot as plt

import fisherfit as ff
from fisherfit import _threads
from fisherfit.mixtures.fitting import fit_mixture
from fisherfit.mixtures.profiles import MixtureProfile
from fisherfit.mixtures.result import MixtureResult

from . import mixture_cases as cases

GEYSER, NOTICES, NPREG = (ff.datasets.load(name) for name in ("faithful", "times_deaths", "npreg"))
MOTHERS = ff.datasets.load("birthwt")[["race", "smoke", "lwt"]]
TRIALS = ff.datasets.load("betablocker").assign(alive=lambda t: t["total"] - t["deaths"])


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def gauss():
    return ff.GaussianMixture(3, covariance_type="tied", random_state=0).fit(GEYSER)


@pytest.fixture(scope="module")
def poisson():
    return ff.MixtureModel("poisson", 2, random_state=0).fit(NOTICES, sample_weight="days")


@pytest.fixture(scope="module")
def mothers():
    families = {"race": "categorical", "smoke": "bernoulli", "lwt": "gamma"}
    return ff.MixtureModel(families, 2, random_state=0).fit(MOTHERS)


@pytest.fixture(scope="module")
def lines():
    return ff.MixtureRegressor(formula="yn ~ x + I(x**2)", random_state=0).fit(NPREG)


@pytest.fixture(scope="module")
def trials():
    model = ff.MixtureRegressor(
        "binomial", 3, formula="deaths + alive ~ treatment", shared=["treatment"], random_state=0
    )
    return model.fit(TRIALS, groups="center")


def line(ax, start):
    (found,) = [one for one in ax.lines if str(one.get_label()).startswith(start)]
    return found


def points(ax):
    return [c for c in ax.collections if isinstance(c, mpl.collections.PathCollection)]


def test_every_figure_returns_its_axes_labelled_and_takes_axes(gauss, poisson, lines):
    calls = [
        lambda ax: ff.plots.density(gauss, GEYSER, "waiting", ax=ax),
        lambda ax: ff.plots.density(poisson, NOTICES, sample_weight="days", ax=ax),
        lambda ax: ff.plots.ellipses(gauss, GEYSER, ax=ax),
        lambda ax: ff.plots.posterior_rootogram(lines, NPREG, ax=ax),
        lambda ax: ff.plots.regression_lines(lines, NPREG, column="x", ax=ax),
        lambda ax: ff.plots.bic_curves([gauss], ax=ax),
        lambda ax: ff.plots.likelihood_trace(gauss, ax=ax),
    ]
    for draw in calls:
        _, given = plt.subplots()
        assert draw(given) is given
        new = draw(None)
        assert new is not given
        assert new.get_xlabel()
        assert new.get_ylabel()
        new.figure.canvas.draw()
        plt.close("all")


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_normal_density_and_its_parts(kind):
    model = ff.GaussianMixture(2, covariance_type=kind, random_state=0).fit(GEYSER)
    ax = ff.plots.density(model, GEYSER, "waiting")
    total = line(ax, "mixture")
    grid, sums = total.get_xdata(), 0.0
    cov = model.covariances_
    for k in range(2):
        variance = {"full": lambda k=k: cov[k, 1, 1], "tied": lambda: cov[1, 1], "diag": lambda k=k: cov[k, 1],
                    "spherical": lambda k=k: cov[k]}[kind]()  # fmt: skip
        part = model.weights_[k] * stats.norm.pdf(grid, model.means_[k, 1], np.sqrt(variance))
        np.testing.assert_allclose(line(ax, f"component {k}").get_ydata(), part, rtol=1e-10)
        sums = sums + part
    np.testing.assert_allclose(total.get_ydata(), sums, rtol=1e-10)


def test_one_column_is_the_density_of_the_model():
    galaxies = ff.datasets.load("galaxies") / 1000
    for model in (ff.GaussianMixture(3, random_state=0), ff.MixtureModel("student_t", 2, random_state=0),
                  ff.MixtureModel("gamma", 2, random_state=0)):  # fmt: skip
        total = line(ff.plots.density(model.fit(galaxies), galaxies), "mixture")
        expected = np.exp(model.score_samples(pd.DataFrame({"velocity": total.get_xdata()})))
        np.testing.assert_allclose(total.get_ydata(), expected, rtol=1e-9, atol=1e-300)


def test_the_histogram_is_that_of_the_rows_with_their_weights():
    weight = np.arange(272) % 4
    model = ff.GaussianMixture(2, random_state=0).fit(GEYSER[["waiting"]], sample_weight=weight)
    one = ff.plots.density(model, GEYSER[["waiting"]], sample_weight=weight, bins=9).patches[0]
    whole = ff.plots.density(model, GEYSER[["waiting"]].loc[np.repeat(np.arange(272), weight)], bins=9).patches[0]
    np.testing.assert_allclose(one.get_data().values, whole.get_data().values)
    values, edges, _ = ff.plots.density(model, GEYSER).patches[0].get_data()
    assert values @ np.diff(edges) == pytest.approx(1.0)
    assert len(set(np.diff(edges).round(9))) == 1
    assert float(edges[0]) % 1.0 == 0.5  # whole minutes: classes of equally many
    assert float(np.diff(edges)[0]) % 1.0 == 0.0


def test_counts_are_bars_and_probabilities(poisson):
    ax = ff.plots.density(poisson, NOTICES, sample_weight="days")
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], NOTICES["days"] / NOTICES["days"].sum())
    for k in range(2):
        mean = poisson.params_["mean"][k]
        expected = poisson.weights_[k] * stats.poisson.pmf(np.arange(10), mean)
        np.testing.assert_allclose(line(ax, f"component {k}").get_ydata(), expected, rtol=1e-10)
    assert ax.get_legend().get_texts()[0].get_text() == "observed"
    rng = np.random.default_rng(0)
    many = rng.poisson(np.where(rng.random(800) < 0.5, 300.0, 900.0))[:, None]
    model = ff.MixtureModel("poisson", 2, random_state=0).fit(many)
    ax = ff.plots.density(model, many)
    assert 30 < len(ax.patches) <= 60
    assert sum(bar.get_height() * bar.get_width() for bar in ax.patches) == pytest.approx(1.0)


def test_categories_are_stacked_to_their_probabilities(mothers):
    ax = ff.plots.density(mothers, MOTHERS, "race")
    bars = [container.patches for container in ax.containers]
    levels = ["white", "black", "other"]
    assert [text.get_text() for text in ax.get_xticklabels()] == levels
    observed = MOTHERS["race"].value_counts(normalize=True)[levels]
    np.testing.assert_allclose([bar.get_height() for bar in bars[0]], observed)
    bottom = np.zeros(3)
    for k in range(2):
        probability = mothers.params_.loc[k, [f"prob[race={level}]" for level in levels]].to_numpy(float)
        np.testing.assert_allclose([bar.get_height() for bar in bars[1 + k]], mothers.weights_[k] * probability)
        np.testing.assert_allclose([bar.get_y() for bar in bars[1 + k]], bottom)
        bottom += mothers.weights_[k] * probability
    ax = ff.plots.density(mothers, MOTHERS, "smoke")
    observed = [1 - MOTHERS["smoke"].mean(), MOTHERS["smoke"].mean()]
    np.testing.assert_allclose([bar.get_height() for bar in ax.containers[0]], observed)
    shape, mean = mothers.params_["shape[lwt]"], mothers.params_["mean[lwt]"]
    drawn = line(ff.plots.density(mothers, MOTHERS, 2), "component 1")
    expected = mothers.weights_[1] * stats.gamma.pdf(drawn.get_xdata(), shape[1], scale=mean[1] / shape[1])
    np.testing.assert_allclose(drawn.get_ydata(), expected, rtol=1e-9)


def test_ellipses_hold_their_share(gauss):
    ax = ff.plots.ellipses(gauss, GEYSER, columns=("waiting", "eruptions"), levels=(0.5, 0.9))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("waiting", "eruptions")
    inverse = np.linalg.inv(gauss.covariances_[::-1, ::-1])
    assert len(ax.lines) == 6
    for i, curve in enumerate(ax.lines):
        gap = np.column_stack(curve.get_data()) - gauss.means_[i // 2, ::-1]
        distance = np.einsum("ij,jk,ik->i", gap, inverse, gap)
        np.testing.assert_allclose(distance, stats.chi2.ppf((0.5, 0.9)[i % 2], 2), rtol=1e-9)
    z = gauss.predict_proba(GEYSER)
    for k, drawn in enumerate(points(ax)):
        mine = z.argmax(axis=1) == k
        np.testing.assert_allclose(drawn.get_offsets(), GEYSER.loc[mine, ["waiting", "eruptions"]])
        assert np.array_equal(np.argsort(drawn.get_sizes()), np.argsort(1.0 - z[mine].max(axis=1)))


def test_the_posterior_rootogram_counts_rows(gauss):
    ax = ff.plots.posterior_rootogram(gauss, GEYSER, bins=10)
    z = gauss.predict_proba(GEYSER)
    for k, bars in enumerate(ax.containers):
        counts, _ = np.histogram(z[z[:, k] >= 1e-4, k], np.linspace(0.0, 1.0, 11))
        np.testing.assert_allclose([bar.get_height() ** 2 for bar in bars], counts, atol=1e-9)
    texts = {text.get_text() for text in ax.get_yticklabels()}
    assert texts == {"0", "100"}


def test_groups_count_once(trials):
    ax = ff.plots.posterior_rootogram(trials, TRIALS, least=0.0)
    assert ax.get_ylabel().startswith("groups")
    for bars in ax.containers:
        assert sum(bar.get_height() ** 2 for bar in bars) == pytest.approx(22.0)


def test_frequencies_count(poisson):
    ax = ff.plots.posterior_rootogram(poisson, NOTICES, sample_weight="days", least=0.0)
    for bars in ax.containers:
        assert sum(bar.get_height() ** 2 for bar in bars) == pytest.approx(NOTICES["days"].sum())


def test_regression_lines_are_the_means_of_the_components(lines, trials):
    ax = ff.plots.regression_lines(lines, NPREG, column="x", points=9)
    grid = ax.lines[0].get_xdata()
    mean = lines.predict(pd.DataFrame({"x": grid}), kind="components")
    for k in range(2):
        np.testing.assert_allclose(line(ax, f"component {k}").get_ydata(), mean[:, k])
        mine = NPREG[lines.classify(NPREG) == k]
        np.testing.assert_allclose(points(ax)[k].get_offsets(), mine[["x", "yn"]])
    ax = ff.plots.regression_lines(trials, TRIALS)
    assert ax.get_ylabel() == "deaths / (deaths + alive)"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["control", "treated"]
    a, b = trials.result_.params["Intercept[1]"], trials.result_.params["treatment[T.treated]"]
    np.testing.assert_allclose(line(ax, "component 1").get_ydata(), 1.0 / (1.0 + np.exp([-a, -a - b])))
    share = np.concatenate([c.get_offsets()[:, 1] for c in points(ax)])
    np.testing.assert_allclose(np.sort(share), np.sort(TRIALS["deaths"] / TRIALS["total"]))


def test_regression_lines_take_arrays_and_an_exposure():
    rng = np.random.default_rng(3)
    x, time = rng.uniform(0.0, 2.0, (150, 2)), rng.uniform(1.0, 3.0, 150)
    y = rng.poisson(time * np.exp(np.where(rng.random(150) < 0.5, 1.0 + x[:, 0], 3.0)))
    model = ff.MixtureRegressor("poisson", 2, random_state=0).fit(x, y, exposure=time)
    ax = ff.plots.regression_lines(model, x, y, column="x0", exposure=time, at={"x1": 0.5}, points=4)
    rows = np.column_stack([np.linspace(x[:, 0].min(), x[:, 0].max(), 4), np.full(4, 0.5)])
    mean = model.predict(rows, exposure=time.mean(), kind="components")
    np.testing.assert_allclose(line(ax, "component 0").get_ydata(), mean[:, 0])
    assert ax.get_ylabel() == "y"


def test_curves_of_criteria():
    fits = [ff.GaussianMixture(k, covariance_type=kind, n_init=2, random_state=0).fit(GEYSER)
            for kind in ("EEE", "VVI") for k in (1, 2, 3)]  # fmt: skip
    ax = ff.plots.bic_curves(fits)
    np.testing.assert_array_equal(line(ax, "EEE").get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(line(ax, "VVI").get_ydata(), [fit.result_.bic for fit in fits[3:]])
    best = line(ax, "smallest")
    assert best.get_label() == "smallest: 3, EEE"
    np.testing.assert_allclose(best.get_ydata(), [fits[2].result_.bic])
    assert ff.plots.bic_curves(fits, "icl").get_ylabel() == "ICL (small is good)"
    assert [one.get_label() for one in ff.plots.bic_curves(fits[:3]).lines] == ["BIC", "smallest: 3"]


def test_curves_of_a_table():
    table = pd.DataFrame({
        "n_components": [1, 2, 3, 1, 2, 3, 2],
        "family": ["poisson"] * 3 + ["negative_binomial"] * 3 + ["poisson"],
        "llf": np.zeros(7),
        "bic": [9.0, 5.0, np.nan, 7.0, 6.0, 8.0, 4.5],
        "converged": [True, True, False, True, True, False, True],
        "seconds": np.arange(7.0),
    })  # fmt: skip

    class Search:
        results_, criterion = table.rename(columns={"bic": "icl"}), "icl"

    for given in (table, Search()):
        ax = ff.plots.bic_curves(given)
        assert ax.get_ylabel() == ("BIC" if given is table else "ICL") + " (small is good)"
        np.testing.assert_array_equal(line(ax, "poisson").get_ydata(), [9.0, 4.5, np.nan])  # the best of equal fits
        np.testing.assert_array_equal(line(ax, "negative_binomial").get_ydata(), [7.0, 6.0, 8.0])
        assert line(ax, "smallest").get_label() == "smallest: 2, poisson"
        hollow = [one for one in ax.lines if one.get_label() == "_not converged"]
        assert sorted(x for one in hollow for x in one.get_xdata()) == [3, 3]
    assert [one.get_label() for one in ff.plots.bic_curves(table, by=[]).lines if one.get_label()[0] != "_"] == [
        "BIC", "smallest: 2"]  # fmt: skip
    many = pd.DataFrame(
        {"n_components": [1, 2] * 12, "bic": np.arange(24.0), "kind": np.repeat(list("abcdefghijkl"), 2)}
    )
    ax = ff.plots.bic_curves(many)
    looks = {(one.get_color(), one.get_marker(), str(one.get_linestyle())) for one in ax.lines}
    assert len(looks) == 13
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    assert box.x0 >= ax.get_window_extent().x1 - 1  # beside the curves
    assert box.x1 <= ax.figure.bbox.x1


def test_the_path_of_the_likelihood(gauss):
    ax = ff.plots.likelihood_trace(gauss)
    loglik, decrement = np.array(gauss.result_.history).T
    gap = line(ax, "log-likelihood")
    steps = gap.get_xdata()
    np.testing.assert_allclose(gap.get_ydata(), (loglik.max() - loglik)[steps])
    assert (gap.get_ydata() > line(ax, "rounding").get_ydata()[0]).all()
    np.testing.assert_allclose(line(ax, "half").get_ydata(), np.where(decrement > 0, 0.5 * decrement, np.nan))
    assert isinstance(gauss.result_, MixtureResult)
    assert len(ff.plots.likelihood_trace(gauss.result_).lines) == 3


def test_a_profile_of_a_mixture(poisson):
    y = NOTICES["deaths"].to_numpy(float)
    components = cases.regressions(ff.Poisson(), 2, y)
    mixture = cases.mixture(components, weight=NOTICES["days"].to_numpy(float))
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        fit = fit_mixture(mixture, model="notices", rng=np.random.default_rng(0))
        profile = MixtureProfile(mixture, fit.theta, fit.result, fit.result.covariance, fit.result.names)
        ax = ff.plots.profile(profile, "Intercept[1]")
        limits = profile.conf_int().loc["Intercept[1]"]
        trace = profile.trace("Intercept[1]", 2.6 * 1.6, 20)  # as far as the interval reaches
    (dots,) = [one for one in ax.lines if one.get_marker() == "o"]
    np.testing.assert_allclose(dots.get_xdata(), trace["value"])
    np.testing.assert_allclose(dots.get_ydata(), trace["tau"])
    assert [float(text.get_text()) for text in ax.texts] == pytest.approx([limits["lower"], limits["upper"]], rel=6e-3)
    np.testing.assert_allclose(np.exp(fit.result.params["Intercept[1]"]), poisson.params_["mean"][1])
    with pytest.raises(ff.InputError, match="no profile of 'mean'; there are those of 'weight"):
        ff.plots.profile(profile, "mean")


def test_dark_backgrounds_show_the_mixture(gauss):
    with plt.style.context("dark_background"):
        ax = ff.plots.density(gauss, GEYSER, "waiting")
        assert mpl.colors.to_hex(line(ax, "mixture").get_color()) == "#ffffff"


def test_many_components_differ_in_colour_or_dash():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(10.0 * k, 1.0, 40) for k in range(9)])[:, None]
    model = ff.GaussianMixture(9, random_state=0).fit(x)
    ax = ff.plots.density(model, x)
    looks = {(one.get_color(), str(one.get_linestyle())) for one in ax.lines}
    assert len(looks) == 10
    ax.figure.canvas.draw()


def test_very_many_rows_are_thinned(gauss):
    rows = pd.concat([GEYSER] * 100, ignore_index=True)
    assert sum(len(c.get_offsets()) for c in points(ff.plots.ellipses(gauss, rows))) <= 20_000


def test_wrong_input_is_refused(gauss, poisson, lines):
    one = ff.MixtureModel("poisson", 1).fit(NOTICES, sample_weight="days")
    cases = [
        (lambda: ff.plots.density(ff.GaussianMixture(2), GEYSER), "has fit been called"),
        (lambda: ff.plots.density(lines, NPREG), "GaussianMixture or a MixtureModel"),
        (lambda: ff.plots.density(gauss, GEYSER), "say which column"),
        (lambda: ff.plots.density(gauss, GEYSER, "wating"), "no column of the model"),
        (lambda: ff.plots.density(gauss, GEYSER, True), "no column of the model"),
        (lambda: ff.plots.density(gauss, GEYSER, "waiting", bins=0), "bins"),
        (lambda: ff.plots.density(gauss, GEYSER.to_numpy()[:, :1], 0), "columns"),
        (lambda: ff.plots.ellipses(poisson, NOTICES), "of a GaussianMixture"),
        (lambda: ff.plots.ellipses(gauss, GEYSER, columns=("waiting", "waiting")), "twice"),
        (lambda: ff.plots.ellipses(gauss, GEYSER, columns="waiting"), "two names"),
        (lambda: ff.plots.ellipses(gauss, GEYSER, levels=(95,)), "levels"),
        (lambda: ff.plots.posterior_rootogram(gauss, GEYSER, bins=1), "bins"),
        (lambda: ff.plots.posterior_rootogram(gauss, GEYSER, least=1.0), "least"),
        (lambda: ff.plots.posterior_rootogram(gauss, GEYSER, groups="waiting"), "mixture of regressions"),
        (lambda: ff.plots.regression_lines(one, NOTICES), "of a MixtureRegressor"),
        (lambda: ff.plots.regression_lines(lines, NPREG, column="yp"), "no column of the model"),
        (lambda: ff.plots.bic_curves([]), "no fit"),
        (lambda: ff.plots.bic_curves([ff.GaussianMixture(2)]), "has fit been called"),
        (lambda: ff.plots.bic_curves("table"), "give a search"),
        (lambda: ff.plots.bic_curves([gauss], "bci"), "criterion"),
        (lambda: ff.plots.bic_curves(pd.DataFrame({"bic": [1.0]})), "n_components"),
        (lambda: ff.plots.bic_curves(pd.DataFrame({"bic": [np.nan], "n_components": [1]})), "finite"),
        (lambda: ff.plots.bic_curves([gauss], by="colour"), "no column of the table"),
        (lambda: ff.plots.likelihood_trace(GEYSER), "fitted mixture"),
    ]  # fmt: skip
    for case, message in cases:
        with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
            case()
    assert not plt.get_fignums()
