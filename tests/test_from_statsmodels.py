"""The page for users of statsmodels tells the truth: its pairs of scripts are run, and what it calls equal is equal."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import fisherfit as ff

PAGE = Path(__file__).resolve().parent.parent / "docs" / "from-statsmodels.rst"
BLOCK = re.compile(r"\.\. code-block:: python\n   :name: ([\w-]+)-(theirs|ours)\n\n((?:   .*\n|\n)+)")
SCRIPTS = {(name, whose): textwrap.dedent(code) for name, whose, code in BLOCK.findall(PAGE.read_text("utf-8"))}
PAIRS = sorted({name for name, _ in SCRIPTS})
NUMBERS = ("deviance", "null_deviance", "pearson_chi2", "scale", "llf", "llnull", "aic", "bic", "df_model", "df_resid", "nobs")  # fmt: skip
LIKELIHOODS = {"llf", "llnull", "aic", "bic"}
DIFFER = {
    "gamma": LIKELIHOODS, "inverse": LIKELIHOODS, "analytic": LIKELIHOODS, "quasi": LIKELIHOODS,
    "nb2": {"df_resid"}, "ols": {"aic", "bic"}, "hc3": {"aic", "bic"}, "frequency": {"nobs"},
}  # fmt: skip
# coefficients and standard errors of theirs are as far from the maximum as this, relatively
LOOSE = {"poisson": 1e-7}


def run(name, whose):
    """The result that a script of the page makes of the data sets."""
    scope = {data: ff.datasets.load(data) for data in ff.datasets.names() if data in SCRIPTS[name, whose]}
    exec(compile(SCRIPTS[name, whose], f"{name}-{whose}", "exec"), scope)
    return scope["result"]


@pytest.fixture(scope="module")
def results():
    """Each pair once, when it is asked for."""
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = run(name, "theirs"), run(name, "ours")
        return kept[name]

    return of


def test_the_page_has_the_pairs():
    assert {name for name, whose in SCRIPTS if whose == "ours"} == set(PAIRS)
    assert {"poisson", "logit", "probit", "gamma", "inverse", "nb2", "ols", "frequency", "analytic"} <= set(PAIRS)


@pytest.mark.filterwarnings("ignore:The InversePower link function does not respect the domain")
@pytest.mark.parametrize("name", PAIRS)
def test_a_ported_script_gives_the_same(name, results):
    theirs, ours = results(name)
    tight = LOOSE.get(name, 1e-8)
    names = ["Intercept" if label == "const" else label for label in theirs.params.index]
    assert names == list(ours.params.index)
    real = np.array([label != "alpha" for label in names])
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-9)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=tight)
    np.testing.assert_allclose(ours.tvalues[real], theirs.tvalues[real], rtol=tight)
    # d log p = -t dt: far out in the tail a relative error of t is multiplied by about t^2
    worst = max(1.0, float((theirs.tvalues[real] ** 2).max()))
    np.testing.assert_allclose(ours.pvalues[real], theirs.pvalues[real], rtol=2.0 * worst * tight)
    for level in (0.95, 0.8):
        theirs_at = theirs.conf_int(alpha=1.0 - level)
        np.testing.assert_allclose(ours.conf_int(level)[real], theirs_at[real], rtol=1e-6)
    for number in NUMBERS:
        if not hasattr(theirs, number) or (number == "pearson_chi2" and name in ("ols", "hc3")):
            continue
        a, b = getattr(ours, number), getattr(theirs, number)
        if number in DIFFER.get(name, ()):
            assert a != pytest.approx(b, rel=1e-6), number
        else:
            assert a == pytest.approx(b, rel=1e-9, abs=1e-9), number


def test_the_comparison_sees_a_millionth(results):
    theirs, ours = results("poisson")
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(ours.bse * (1 + 1e-6), theirs.bse, rtol=LOOSE["poisson"])


# the differences that the page names


def test_half_the_digits_of_their_standard_errors(results):
    """Started at the maximum, theirs are ours; found by themselves they have about eight digits."""
    theirs, ours = results("poisson")
    again = theirs.model.fit(start_params=theirs.params, tol=1e-14)
    np.testing.assert_allclose(again.bse, ours.bse, rtol=1e-12)
    assert 1e-9 < np.max(np.abs(theirs.bse / ours.bse - 1.0)) < 1e-7


def test_the_default_optimiser_of_their_negative_binomial_stops_early(results):
    newton, ours = results("nb2")
    bfgs = newton.model.fit(disp=0)
    assert bfgs.mle_retvals["converged"]
    assert 1e-5 < np.max(np.abs(bfgs.params / ours.params - 1.0)) < 1e-3


def test_alpha(results):
    theirs, ours = results("nb2")
    assert ours.params["alpha"] == pytest.approx(theirs.params["alpha"], rel=1e-10)
    b, se = ours.params["alpha"], ours.bse["alpha"]
    np.testing.assert_allclose(theirs.conf_int().loc["alpha"], [b - 1.959964 * se, b + 1.959964 * se], rtol=1e-6)
    np.testing.assert_allclose(
        ours.conf_int().loc["alpha"], b * np.exp([-1.959964 * se / b, 1.959964 * se / b]), rtol=1e-6
    )
    assert np.isnan(ours.pvalues["alpha"])
    assert ours.df_resid == theirs.df_resid - 1


@pytest.mark.filterwarnings("ignore:The InversePower link function does not respect the domain")
@pytest.mark.parametrize("name", ["gamma", "inverse", "analytic"])
def test_the_likelihood_at_another_dispersion(name, results):
    theirs, ours = results(name)
    assert ours.llf > theirs.llf
    assert ours.llf == pytest.approx(theirs.llf_scaled(ours.dispersion_ml), rel=1e-11)
    assert theirs.llf == pytest.approx(theirs.llf_scaled(ours.dispersion), rel=1e-9)
    assert ours.aic == pytest.approx(-2 * ours.llf + 2 * (theirs.df_model + 2))


def test_z_where_we_have_t(results):
    theirs, ours = results("gamma")
    z = theirs.model.fit()
    assert not z.use_t
    assert np.all(z.pvalues < ours.pvalues)


def test_the_dispersion_counts(results):
    theirs, ours = results("ols")
    assert ours.aic == pytest.approx(theirs.aic + 2)
    assert ours.bic == pytest.approx(theirs.bic + np.log(theirs.nobs))
    np.testing.assert_allclose(ours.pvalues, theirs.pvalues, rtol=1e-10)


def test_frequencies(results):
    theirs, ours = results("frequency")
    assert ours.nobs == theirs.model.wnobs > theirs.nobs
    assert ours.bic == pytest.approx(-2 * ours.llf + 2 * np.log(theirs.model.wnobs))


def test_quasi(results):
    theirs, ours = results("quasi")
    assert np.isnan([ours.aic, ours.bic]).all()
    assert theirs.llf == pytest.approx(ours.llf / ours.dispersion, rel=1e-10)


def test_the_binomial_coefficient_is_missing_with_weights():
    import statsmodels.api as sm

    data = ff.datasets.load("beetles")
    trials = data["dead"] + data["alive"]
    share = data["dead"] / trials
    ours = ff.GLM("binomial").fit(data[["log_dose"]], share, sample_weight=trials).result_
    columns, _ = run("proportions", "ours"), run("proportions", "theirs")
    assert ours.llf == pytest.approx(columns.llf, rel=1e-12)
    for weights in ("var_weights", "freq_weights"):
        model = sm.GLM(share, sm.add_constant(data[["log_dose"]]), family=sm.families.Binomial(), **{weights: trials})
        theirs = model.fit()
        np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-9)
        assert theirs.llf < ours.llf - 100


def test_their_robust_variants_are_one():
    import statsmodels.formula.api as smf
    from statsmodels.genmod.families import Poisson

    data = ff.datasets.load("warpbreaks")
    model = smf.glm("breaks ~ wool + tension", data, family=Poisson())
    zero, *others = (model.fit(cov_type=f"HC{k}").bse for k in range(4))
    for other in others:
        np.testing.assert_array_equal(other, zero)
    kinds = ("HC0", "HC1", "HC2", "HC3")
    ours = {
        k: ff.GLM(formula="breaks ~ wool + tension", family="poisson", cov_type=k).fit(data).result_.bse for k in kinds
    }
    np.testing.assert_allclose(ours["HC0"], zero, rtol=1e-9)
    np.testing.assert_allclose(ours["HC1"], zero * np.sqrt(54 / 50), rtol=1e-9)
    h = model.fit().get_hat_matrix_diag()
    X, mu = model.exog, model.fit().mu
    r = data["breaks"].to_numpy() - mu
    bread = np.linalg.inv(X.T * mu @ X)
    for kind, power in (("HC2", 1), ("HC3", 2)):
        by_definition = bread @ (X.T * (r**2 / (1 - h) ** power) @ X) @ bread
        np.testing.assert_allclose(ours[kind], np.sqrt(np.diag(by_definition)), rtol=1e-7)


def test_links_and_families_of_the_table():
    """Every pair of the tables of families and links, at the maximum."""
    import statsmodels.api as sm

    links, families = sm.families.links, sm.families
    trees, crabs = ff.datasets.load("trees"), ff.datasets.load("crabs")
    X, y = trees[["girth"]], trees["volume"]
    n, counts = crabs[["width"]], crabs["satellites"]
    for ours, theirs, columns, response in (
        (ff.GLM("inverse_gaussian"), families.InverseGaussian(links.Log()), X, y),
        (ff.GLM(ff.Tweedie(power=1.5)), families.Tweedie(var_power=1.5), X, y),
        (ff.GLM(ff.NegativeBinomial(alpha=1.0)), families.NegativeBinomial(alpha=1.0), n, counts),
        (ff.GLM("geometric"), families.NegativeBinomial(alpha=1.0), n, counts),
    ):
        a = ours.fit(columns, response)
        b = sm.GLM(response, sm.add_constant(columns), family=theirs).fit(tol=1e-14, maxiter=200)
        np.testing.assert_allclose(a.result_.params, b.params, rtol=1e-7)
        np.testing.assert_allclose(a.result_.bse, b.bse, rtol=1e-6)
        np.testing.assert_allclose(a.predict(columns), b.fittedvalues, rtol=1e-7)
        np.testing.assert_allclose(a.predict(columns, kind="link"), b.predict(which="linear"), rtol=1e-7)
    discrete = sm.NegativeBinomial(counts, sm.add_constant(n), loglike_method="geometric").fit(method="newton", disp=0)
    ours = ff.GLM("geometric", cov_type="observed").fit(n, counts).result_
    np.testing.assert_allclose(ours.params, discrete.params, rtol=1e-7)
    np.testing.assert_allclose(ours.bse, discrete.bse, rtol=1e-7)


def test_criteria_by_hand():
    theirs, ours = run("logit", "theirs"), run("logit", "ours")
    assert 1.0 - ours.llf / ours.llnull == pytest.approx(theirs.prsquared, rel=1e-9)
    theirs, ours = run("poisson", "theirs"), run("poisson", "ours")
    assert ours.deviance - ours.df_resid * np.log(ours.nobs) == pytest.approx(theirs.bic_deviance, rel=1e-12)


# tests, predictions, diagnostics


@pytest.fixture(scope="module")
def logits():
    """A logit with a category, theirs at the maximum, ours, and the table."""
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    data, formula = ff.datasets.load("birthwt"), "low ~ age + lwt + race + smoke"
    first = smf.glm(formula, data, family=sm.families.Binomial()).fit()
    theirs = first.model.fit(start_params=first.params, tol=1e-14)
    return theirs, ff.GLM(formula=formula, family="binomial").fit(data), data


def test_the_order_of_coefficients(logits):
    theirs, ours, _ = logits
    assert list(theirs.params.index) != list(ours.result_.params.index)
    np.testing.assert_allclose(ours.result_.params[theirs.params.index], theirs.params, rtol=1e-9)


def test_robust_covariances(logits):
    theirs, ours, data = logits
    at = theirs.params.index
    groups = data["lwt"].to_numpy() // 20
    for kind, kwds, ours_kind in (
        ("cluster", {"groups": groups}, "cluster"),
        ("cluster", {"groups": groups, "use_correction": False}, "cluster(CR0)"),
        ("HAC", {"maxlags": 3}, "HAC(3)"),
    ):
        a = theirs.model.fit(start_params=theirs.params, tol=1e-14, cov_type=kind, cov_kwds=kwds).cov_params()
        b = ours.covariance(data, cov_type=ours_kind, groups=groups if kind == "cluster" else None)
        np.testing.assert_allclose(b.loc[at, at], a.loc[at, at], rtol=1e-7, atol=1e-12)


def test_hypotheses(logits):
    theirs, ours, data = logits
    a, b = theirs.wald_test("age = 0, lwt = 0", scalar=True), ours.test("age = 0, lwt = 0")
    assert (b.statistic, b.p_value) == (pytest.approx(a.statistic, rel=1e-9), pytest.approx(a.pvalue, rel=1e-9))
    assert ours.test("age = lwt").statistic == pytest.approx(theirs.t_test("age = lwt").statistic.item() ** 2, rel=1e-9)
    terms = theirs.wald_test_terms(scalar=True).summary_frame()
    table = ours.anova(data, kind="marginal", method="wald")
    np.testing.assert_allclose(table["chi2"], terms["chi2"].astype(float)[table.index], rtol=1e-9)
    pairs = theirs.t_test_pairwise("race", method="bonferroni").result_frame
    found = ours.pairwise("race", adjust="bonferroni")
    np.testing.assert_allclose(np.abs(found["estimate"]), np.abs(pairs["coef"]), rtol=1e-9)
    np.testing.assert_allclose(found["std err"], pairs["std err"], rtol=1e-9)
    np.testing.assert_allclose(found["p_value"], pairs["pvalue-bonferroni"], rtol=1e-8)


def test_likelihood_ratio(logits):
    import statsmodels.formula.api as smf

    _, ours, data = logits
    theirs = smf.logit("low ~ age + lwt + race + smoke", data).fit(disp=0)
    found = ours.test("low ~ 1", method="lr", X=data)
    assert (found.statistic, found.p_value) == (pytest.approx(theirs.llr), pytest.approx(theirs.llr_pvalue))


def test_an_f_test_and_intervals_of_least_squares():
    import statsmodels.formula.api as smf

    data = ff.datasets.load("birthwt")
    theirs = smf.ols("bwt ~ age + lwt + smoke", data).fit()
    ours = ff.GLM(formula="bwt ~ age + lwt + smoke").fit(data)
    a, b = theirs.f_test("age = 0, lwt = 0"), ours.test("age = 0, lwt = 0")
    assert (b.statistic, b.p_value) == (pytest.approx(a.fvalue), pytest.approx(a.pvalue))
    frame = theirs.get_prediction(data.head(5)).summary_frame()
    mean, observation = (ours.predict_interval(data.head(5), kind=kind) for kind in ("mean", "observation"))
    np.testing.assert_allclose(mean, frame[["mean_ci_lower", "mean_ci_upper"]], rtol=1e-9)
    np.testing.assert_allclose(observation, frame[["obs_ci_lower", "obs_ci_upper"]], rtol=1e-9)


def test_predictions(logits):
    theirs, ours, data = logits
    frame = theirs.get_prediction(data.head(5)).summary_frame()
    np.testing.assert_allclose(ours.predict(data.head(5), se=True), frame[["mean", "mean_se"]], rtol=1e-8)
    np.testing.assert_allclose(
        ours.predict_interval(data.head(5)), frame[["mean_ci_lower", "mean_ci_upper"]], rtol=1e-8
    )


def test_marginal_effects(logits):
    import statsmodels.formula.api as smf

    _, ours, data = logits
    theirs = smf.logit("low ~ age + lwt + race + smoke", data).fit(disp=0)
    names = ["age", "lwt", "smoke"]
    for dummy in (False, True):
        frame = theirs.get_margeff(dummy=dummy).summary_frame()
        found = ours.marginal_effects(data, dummy=dummy)
        np.testing.assert_allclose(found.loc[names], frame.loc[names], rtol=1e-6)
    # a level against the reference; theirs moves a dummy column and leaves that of the other level as it is
    assert abs(found.loc["race[black - white]", "dydx"] / frame.loc["race[T.black]", "dy/dx"] - 1.0) > 0.01
    at = {level: ours.predict(data.assign(race=level)).mean() for level in ("white", "black")}
    assert found.loc["race[black - white]", "dydx"] == pytest.approx(at["black"] - at["white"])
    frame = theirs.get_margeff(method="eyex").summary_frame()
    found = ours.marginal_effects(data, kind="eyex", columns=["age", "lwt"])
    np.testing.assert_allclose(found, frame.loc[["age", "lwt"]], rtol=1e-6)
    plain = smf.logit("low ~ age + lwt", data).fit(disp=0).get_margeff(at="mean").summary_frame()
    mean = ff.GLM(formula="low ~ age + lwt", family="binomial").fit(data).marginal_effects(data, at="mean")
    np.testing.assert_allclose(mean, plain, rtol=1e-6)


def test_diagnostics(logits):
    theirs, ours, data = logits
    found, influence = ours.diagnostics(data), theirs.get_influence()
    for kind in ("response", "pearson", "deviance", "working", "anscombe"):
        np.testing.assert_allclose(getattr(found, f"resid_{kind}"), getattr(theirs, f"resid_{kind}"), rtol=1e-8)
    np.testing.assert_allclose(found.leverage, influence.hat_matrix_diag, rtol=1e-8)
    np.testing.assert_allclose(found.cooks_distance, influence.cooks_distance[0], rtol=1e-8)
    np.testing.assert_allclose(found.std_pearson, influence.resid_studentized, rtol=1e-8)


def test_constraints():
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    ours = ff.GLM(formula="incidents ~ type", family="poisson", constraints="type[T.B] = type[T.C]")
    ships = ff.datasets.load("ships")
    model = smf.glm("incidents ~ type", ships, family=sm.families.Poisson(), exposure=ships["months"])
    theirs = model.fit_constrained("type[T.B] = type[T.C]")
    result = ours.fit(ships, exposure="months").result_
    np.testing.assert_allclose(result.params, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(result.bse, theirs.bse, rtol=1e-6)
    assert result.llf == pytest.approx(theirs.llf, rel=1e-9)
