"""Inference of fitted mixtures as methods: against their definitions, and against fits under the hypothesis."""

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff
from fisherfit.hypotheses import read_hypothesis
from fisherfit.mixtures import testing
from fisherfit.mixtures.held import holding

GEYSER = ff.datasets.load("faithful")
DEATHS = ff.datasets.load("times_deaths")


@pytest.fixture(scope="module")
def geyser():
    return ff.GaussianMixture(2, random_state=0).fit(GEYSER)


@pytest.fixture(scope="module")
def npreg():
    data = ff.datasets.load("npreg")
    return data, ff.MixtureRegressor(formula="yn ~ x + I(x**2)", random_state=0).fit(data)


def normal_log_density(x, mean, covariance):
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (x - mean).T)
    return -0.5 * (z**2).sum(axis=0) - np.log(np.diag(root)).sum() - 0.5 * len(mean) * np.log(2.0 * np.pi)


def row_logliks(x, p):
    """log-density of a mixture of two Gaussians at (weight 0, means, covariances by lower triangle)."""
    parts = []
    for k, share in enumerate((p[0], 1.0 - p[0])):
        mean, (a, b, c) = p[1 + 5 * k : 3 + 5 * k], p[3 + 5 * k : 6 + 5 * k]
        parts.append(np.log(share) + normal_log_density(x, mean, np.array([[a, b], [b, c]])))
    return np.logaddexp(*parts)


def test_robust_covariances_of_gaussians_are_those_of_plain_differences(geyser):
    names = [n for n in geyser.result_.names if n != "weight[1]"]
    at, se = geyser.result_.params[names].to_numpy(), geyser.result_.bse[names].to_numpy()
    x, p = GEYSER.to_numpy(), len(names)

    def score(theta):
        out = np.empty((len(x), p))
        for j in range(p):
            step = np.zeros(p)
            step[j] = 1e-3 * se[j]
            wide, near = (
                (row_logliks(x, theta + h * step) - row_logliks(x, theta - h * step)) / (2 * h) for h in (2, 1)
            )
            out[:, j] = (4 * near - wide) / 3 / step[j]
        return out

    s = score(at)
    hessian = np.empty((p, p))
    for j in range(p):
        step = np.zeros(p)
        step[j] = 2e-2 * se[j]
        wide, near = ((score(at + h * step).sum(0) - score(at - h * step).sum(0)) / (2 * h) for h in (2, 1))
        hessian[j] = -(4 * near - wide) / 3 / step[j]
    bread, meat, n = np.linalg.inv(0.5 * (hessian + hessian.T)), s.T @ s, len(x)
    ways = np.arange(n) % 31, np.arange(n) // 16

    def sums(codes):
        total = np.stack([s[codes == g].sum(axis=0) for g in np.unique(codes)])
        return total.T @ total

    both = ways[0] * 1000 + ways[1]
    expected = {
        ("observed", None): bread,
        ("opg", None): np.linalg.inv(meat),
        ("HC0", None): bread @ meat @ bread,
        ("HC1", None): n / (n - p) * bread @ meat @ bread,
        ("cluster(CR0)", 0): bread @ sums(ways[0]) @ bread,
        ("cluster", 0): 31 / 30 * (n - 1) / (n - p) * bread @ sums(ways[0]) @ bread,
        ("cluster(CR0)", 2): bread @ (sums(ways[0]) + sums(ways[1]) - sums(both)) @ bread,
    }
    for (kind, clusters), value in expected.items():
        given = None if clusters is None else ways[0] if clusters == 0 else list(ways)
        found = geyser.covariance(GEYSER, cov_type=kind, clusters=given)
        assert found.attrs["cov_type"] == {"cluster": "cluster(CR1)"}.get(kind, kind)
        scaled = np.abs(found.loc[names, names].to_numpy() - value) / np.outer(se, se)
        assert scaled.max() < 1e-4, kind


def test_equal_covariances_are_the_tied_model(geyser):
    tied = ff.GaussianMixture(2, covariance_type="tied", random_state=0).fit(GEYSER)
    pairs = ("eruptions,eruptions", "waiting,eruptions", "waiting,waiting")
    equal = ", ".join(f"cov[0,{pair}] = cov[1,{pair}]" for pair in pairs)
    lr = geyser.test(equal, method="lr", X=GEYSER)
    assert lr.df == 3
    assert lr.statistic == pytest.approx(2.0 * (geyser.result_.llf - tied.result_.llf), rel=1e-8)
    assert geyser.test(equal).cov_type == "observed"


@pytest.mark.parametrize("method", ["wald", "lr", "score"])
def test_tests_are_those_of_the_modules(geyser, method):
    text = "weight[0] = 0.5, mean[0,waiting] = 55"
    found = read_hypothesis(text, geyser.result_.names)
    with np.errstate(all="ignore"):
        mixture, _ = geyser._rows_of_fit(GEYSER)
        problem, point = holding(mixture, geyser._theta, ())
        direct, _ = testing.run(problem, point, geyser.result_, geyser.result_.covariance, found, method)
    test = geyser.test(text, method=method, X=GEYSER)
    assert test.statistic == pytest.approx(direct.statistic, rel=1e-10)
    assert (test.df, test.method) == (2, method)


def test_wald_tests_take_robust_covariances(geyser):
    robust = geyser.covariance(GEYSER, cov_type="HC1")
    test = geyser.test("mean[1,waiting] = 79", X=GEYSER, cov_type="HC1")
    gap = geyser.result_.params["mean[1,waiting]"] - 79
    assert test.statistic == pytest.approx(gap**2 / robust.loc["mean[1,waiting]", "mean[1,waiting]"], rel=1e-10)
    assert test.cov_type == "HC1"
    with pytest.raises(ff.InputError, match="needs the data"):
        geyser.test("mean[1,waiting] = 79", cov_type="HC1")
    with pytest.raises(ff.InputError, match="for method='wald'"):
        geyser.test("mean[1,waiting] = 79", "lr", GEYSER, cov_type="HC1")


def test_a_column_stands_for_its_coefficients_in_all_components(npreg):
    data, model = npreg
    for text, both in (("x", "x[0] = 0, x[1] = 0"), ("I(x ** 2)", "I(x ** 2)[0] = 0, I(x ** 2)[1] = 0")):
        short, long = (model.test(h, method="lr", X=data) for h in (text, both))
        assert short.df == 2
        assert short.statistic == pytest.approx(long.statistic, rel=1e-9)
    lower = ff.MixtureRegressor(formula="yn ~ x", random_state=0).fit(data)
    lr = model.test("I(x ** 2)", method="lr", X=data)
    assert lr.statistic >= 2.0 * (model.result_.llf - lower.result_.llf) - 1e-6
    sigma = ff.MixtureRegressor(formula="yn ~ x + I(x**2)", shared=["sigma"], random_state=0).fit(data)
    lr = model.test("sigma[0] = sigma[1]", method="lr", X=data)
    assert lr.statistic == pytest.approx(2.0 * (model.result_.llf - sigma.result_.llf), abs=1e-7)


def test_a_score_test_far_from_the_estimates_says_what_stands_for_the_information(npreg):
    data, model = npreg
    test = model.test("x", method="score", X=data)
    assert np.isfinite(test.statistic)
    assert test.statistic > 0.0
    assert "outer product" in test.note


def test_frequencies_are_rows():
    rows = DEATHS.loc[DEATHS.index.repeat(DEATHS["days"]), ["deaths"]].reset_index(drop=True)
    counted = ff.MixtureModel("poisson", 2, random_state=0).fit(DEATHS, sample_weight="days")
    repeated = ff.MixtureModel("poisson", 2, random_state=0).fit(rows)
    for kind in ("observed", "opg", "HC0", "HC1"):
        a = counted.covariance(DEATHS, sample_weight="days", cov_type=kind).to_numpy()
        b = repeated.covariance(rows, cov_type=kind).to_numpy()
        assert np.abs(a - b).max() < 1e-6 * np.abs(b).max(), kind
    text = "mean[1] = 2*mean[0]"
    lr = [counted.test(text, "lr", DEATHS, sample_weight="days"), repeated.test(text, "lr", rows)]
    assert lr[0].statistic == pytest.approx(lr[1].statistic, rel=1e-6)
    ends = [counted.profile(DEATHS, sample_weight="days", parameters=["mean[0]"]).conf_int(),
            repeated.profile(rows, parameters=["mean[0]"]).conf_int()]  # fmt: skip
    assert np.allclose(ends[0], ends[1], rtol=1e-6)


def latent_classes():
    """A class that never says yes to the third item."""
    rng = np.random.default_rng(3)
    first = rng.random(400) < 0.4
    chance = np.where(first[:, None], [0.9, 0.8, 0.7, 0.85], [0.2, 0.3, 0.0, 0.25])
    return pd.DataFrame((rng.random((400, 4)) < chance).astype(int), columns=list("abcd"))


def test_parameters_on_the_edge_are_held():
    data = latent_classes()
    with pytest.warns(ff.BoundaryWarning):
        model = ff.MixtureModel("bernoulli", 2, random_state=0).fit(data)
    (edge,) = model.result_.boundary
    assert edge == "prob[0,c]"
    assert model.result_.params[edge] == 0.0
    observed = model.covariance(data, cov_type="observed")
    assert np.isnan(observed.loc[edge]).all()
    assert np.allclose(observed, model.result_.cov_params(), rtol=1e-9, atol=0, equal_nan=True)
    robust = model.covariance(data, cov_type="HC0")
    others = [n for n in robust if n != edge]
    ratio = np.diag(robust.loc[others, others]) / np.diag(observed.loc[others, others])
    assert np.all((ratio > 0.5) & (ratio < 2.0))
    wald, lr, score = (model.test("prob[0,a] = prob[0,b]", m, data) for m in ("wald", "lr", "score"))
    assert lr.statistic == pytest.approx(wald.statistic, rel=0.2, abs=0.2)
    assert lr.statistic == pytest.approx(score.statistic, rel=0.2, abs=0.2)
    profile = model.profile(data, parameters=["prob[0,a]", edge])
    table = profile.conf_int()
    assert table.loc["prob[0,a]", "lower"] < model.result_.params["prob[0,a]"] < table.loc["prob[0,a]", "upper"]
    assert np.isnan(table.loc[edge]).all()
    assert "bound" in profile.reasons[f"lower end of {edge}"]
    with pytest.raises(ff.InputError, match="edge of the parameter space"):
        model.test(f"{edge} = 0.1")


def test_functions_of_parameters(geyser):
    covariance = geyser.result_.cov_params()
    found = geyser.delta("mean[1,waiting] - mean[0,waiting]")
    pair = ["mean[1,waiting]", "mean[0,waiting]"]
    assert found.standard_error == pytest.approx(np.sqrt([1, -1] @ covariance.loc[pair, pair] @ [1, -1]), rel=1e-8)
    quoted = geyser.delta("`mean[1,waiting]` - `mean[0,waiting]`")
    assert quoted.standard_error == found.standard_error
    mean = geyser.delta("weight[0]*mean[0,waiting] + weight[1]*mean[1,waiting]")
    assert mean.estimate == pytest.approx(GEYSER["waiting"].mean(), rel=1e-9)
    assert mean.standard_error == pytest.approx(GEYSER["waiting"].std(ddof=0) / np.sqrt(272), rel=1e-3)
    robust = geyser.covariance(GEYSER, cov_type="HC0")
    assert geyser.delta("weight[0]", covariance=robust).standard_error == pytest.approx(
        np.sqrt(robust.loc["weight[0]", "weight[0]"])
    )
    with pytest.raises(ff.InputError, match="no parameter"):
        geyser.delta("mean[2,waiting]*weight[0] - nothing")


def test_groups_and_clusters_of_a_regression():
    trials = ff.datasets.load("betablocker")
    trials["alive"] = trials["total"] - trials["deaths"]
    model = ff.MixtureRegressor(
        "binomial", 3, formula="deaths + alive ~ treatment", shared=["treatment"], random_state=0
    ).fit(trials, groups="center")
    robust = model.covariance(trials, cov_type="HC0")
    by_center = model.covariance(trials, cov_type="cluster(CR0)", clusters="center")
    assert np.allclose(robust, by_center, rtol=1e-9)
    shuffled = trials.sample(frac=1.0, random_state=1).reset_index(drop=True)
    assert np.allclose(model.covariance(shuffled, cov_type="HC0"), robust, rtol=1e-6)
    fixed = model.test("treatment", method="lr", X=trials)
    without = ff.MixtureRegressor("binomial", 3, formula="deaths + alive ~ 1", random_state=0).fit(
        trials, groups="center"
    )
    assert fixed.statistic == pytest.approx(2.0 * (model.result_.llf - without.result_.llf), rel=1e-6)
    with pytest.raises(ff.InputError, match="order of the rows"):
        model.covariance(trials, cov_type="HAC")
    with pytest.raises(ff.InputError, match="clusters varies within the group"):
        model.covariance(trials, cov_type="cluster", clusters="treatment")


def test_clusters_may_be_a_column_that_is_no_feature(geyser):
    data = GEYSER.assign(day=np.arange(len(GEYSER)) // 16)
    by_name = geyser.covariance(data, cov_type="cluster", clusters="day")
    assert np.array_equal(by_name, geyser.covariance(GEYSER, cov_type="cluster", clusters=data["day"].to_numpy()))


def test_other_rows_are_refused(geyser):
    for other, match in (
        (2.0 * GEYSER, "not the rows of the fit"),
        (GEYSER + 1.0, "not the rows of the fit"),
        (GEYSER.iloc[:-1], "271 rows"),
        (GEYSER.rename(columns={"waiting": "w"}), "other parameters"),
    ):
        with pytest.raises(ff.InputError, match=match):
            geyser.covariance(other)
    assert np.allclose(geyser.covariance(GEYSER.iloc[::-1]), geyser.covariance(GEYSER), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cov_type": "HC3"}, "leverage"),
        ({"cov_type": "expected"}, "no formula"),
        ({"cov_type": "cluster"}, "needs clusters"),
        ({"cov_type": "HC0", "clusters": "day"}, "clusters is for"),
        ({"cov_type": "cluster", "clusters": [1, 2, 3]}, "clusters"),
    ],
)
def test_covariances_that_cannot_be_meant(geyser, arguments, match):
    with pytest.raises(ff.InputError, match=match):
        geyser.covariance(GEYSER, **arguments)


def test_arguments_that_the_fit_does_not_have(geyser):
    with pytest.raises(ff.InputTypeError, match="offset= is no argument"):
        geyser.covariance(GEYSER, offset=np.ones(272))
    with pytest.raises(ff.InputError, match="parameters"):
        geyser.profile(GEYSER, parameters=["nothing"])
    with pytest.raises(ff.InputError, match="needs the data"):
        geyser.test("weight[0] = 0.5", method="lr")


def test_bootstrap_rejects_one_component_and_not_the_right_number(geyser):
    one = ff.GaussianMixture(1).fit(GEYSER)
    test = one.bootstrap_test(GEYSER, n_boot=19, random_state=0)
    assert test.p_value == 0.05
    assert test.statistic == pytest.approx(2.0 * (geyser.result_.llf - one.result_.llf), abs=1e-6)
    assert test.simulated.shape == (19,)
    assert test.simulated.max() < 60.0
    assert repr(test).startswith("Bootstrap test of 1 against 2 components: LR = ")
    again = one.bootstrap_test(GEYSER, n_boot=19, random_state=0)
    assert np.array_equal(test.simulated, again.simulated)
    deaths = ff.MixtureModel("poisson", 2, random_state=0).fit(DEATHS, sample_weight="days")
    right = deaths.bootstrap_test(DEATHS, sample_weight="days", n_boot=9, random_state=0)
    assert right.p_value >= 0.2


def test_bootstrap_of_regressions(npreg):
    data, model = npreg
    test = model.bootstrap_test(data, n_boot=9, random_state=0)
    assert test.n_components == (2, 3)
    assert test.p_value >= 0.2
    with pytest.raises(ff.InputError, match="n_components must be a whole number of at least 3"):
        model.bootstrap_test(data, n_components=2)
    weights = np.full(len(data), 1.5)
    odd = ff.MixtureRegressor(formula="yn ~ x + I(x**2)", random_state=0).fit(data, sample_weight=weights)
    with pytest.raises(ff.InputError, match="frequencies"):
        odd.bootstrap_test(data, sample_weight=weights, n_boot=2)
