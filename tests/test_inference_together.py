"""Features of inference in combination: robust covariances, reduced bias, constraints, separation, pickles, mistakes."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff


@pytest.fixture(scope="module")
def endometrial():
    return ff.datasets.load("endometrial")


@pytest.fixture(scope="module")
def warpbreaks():
    return ff.datasets.load("warpbreaks")


@pytest.fixture(scope="module")
def poisson(warpbreaks):
    return ff.GLM("poisson", formula="breaks ~ wool + tension").fit(warpbreaks)


@pytest.fixture(scope="module")
def reduced(endometrial):
    return ff.GLM("binomial", formula="HG ~ NV + PI + EH", bias_reduction="jeffreys").fit(endometrial)


@pytest.fixture(scope="module")
def separated(endometrial):
    with pytest.warns(ff.SeparationWarning):
        return ff.GLM("binomial", formula="HG ~ NV + PI + EH").fit(endometrial)


@pytest.mark.parametrize("kind", ["median", "jeffreys"])
@pytest.mark.parametrize(
    ("ask", "penalised"),
    [
        (lambda m, x: m.test("NV", method="lr", X=x), True),
        (lambda m, x: m.anova(x), True),
        (lambda m, x: m.profile(x), True),
        (lambda m, x: m.conf_int(method="profile", X=x), True),
        (lambda m, x: m.conf_int(method="score", X=x), False),
        (lambda m, x: ff.anova(ff.GLM("binomial", formula="HG ~ PI").fit(x), m), False),
    ],
)
def test_maxima_of_the_likelihood_are_not_compared_with_estimates_of_reduced_bias(endometrial, kind, ask, penalised):
    """Jeffreys' estimates maximise a penalised likelihood: what compares its values alone is there."""
    model = ff.GLM("binomial", formula="HG ~ NV + PI + EH", bias_reduction=kind).fit(endometrial)
    if penalised and kind == "jeffreys":
        assert ask(model, endometrial) is not None
        return
    with pytest.raises(ff.InputError, match=f"bias_reduction='{kind}'"):
        ask(model, endometrial)


def test_the_score_test_is_that_of_the_maximum_likelihood_fit(reduced, separated, endometrial):
    assert separated.test("NV", method="score", X=endometrial).statistic == pytest.approx(6.7518, rel=1e-4)
    with pytest.raises(ff.InputError, match="score test needs a maximum-likelihood fit"):
        reduced.test("NV", method="score", X=endometrial)


def test_wald_tests_take_the_covariance_of_the_fit_or_are_refused():
    data = ff.datasets.load("birthwt")
    model = ff.GLM("binomial", formula="low ~ age + smoke", cov_type="cluster").fit(data, groups="ptl")
    test = model.test("smoke")
    assert test.statistic == pytest.approx((model.result_.params["smoke"] / model.result_.bse["smoke"]) ** 2, rel=1e-12)
    assert test.cov_type == "cluster(CR1)"
    assert "(cluster(CR1) covariance)" in repr(test)
    assert model.marginal_effects(data).attrs["cov_type"] == "cluster(CR1)"
    assert model.average_prediction(data).attrs["cov_type"] == "cluster(CR1)"
    for kind in ("sequential", "marginal"):
        with pytest.raises(ff.InputError, match=r"cluster\(CR1\).*model\.test"):
            model.anova(data, kind=kind, method="wald")
    with pytest.raises(ff.InputError, match="choose one of 'expected'"):
        model.test("smoke", cov_type="HC9", X=data)


def test_pairs_say_their_covariance(warpbreaks):
    model = ff.GLM("poisson", formula="breaks ~ tension", cov_type="HC3").fit(warpbreaks)
    pairs = model.pairwise("tension")
    assert pairs.attrs["cov_type"] == "HC3"
    assert pairs.loc["M - L", "std err"] == pytest.approx(model.result_.bse["tension[T.M]"], rel=1e-10)


def test_intervals_and_effects_say_that_they_depend_on_infinite_estimates(separated, endometrial):
    for ask in (separated.marginal_effects, separated.average_prediction):
        with pytest.warns(ff.SeparationWarning, match=r"infinite estimates \(NV\)"):
            assert ask(endometrial)["std err"].isna().all()
    some = endometrial[endometrial["NV"] == 1].head(2)
    with pytest.warns(ff.SeparationWarning, match="interval of 21 is NaN"):
        separated.predict_interval(some, kind="observation")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert separated.predict_interval(endometrial.head(3)).notna().all(axis=None)


def test_a_coefficient_at_its_bound_has_a_derivative_of_zero():
    data = ff.datasets.load("birthwt")
    with pytest.warns(ff.BoundaryWarning):
        model = ff.GLM("binomial", formula="low ~ age + lwt", bounds={"age": (0, None)}).fit(data)
    with pytest.warns(ff.BoundaryWarning, match="at its bound"):
        effects = model.marginal_effects(data)
    assert abs(effects.loc["age", "dydx"]) < 1e-12
    free = ff.GLM("binomial", formula="low ~ lwt").fit(data).marginal_effects(data)
    assert effects.loc["lwt", "dydx"] == pytest.approx(free.loc["lwt", "dydx"], rel=1e-7)
    with pytest.warns(ff.BoundaryWarning, match="compare with a fit without the bound"):
        assert np.isnan(model.test("age").statistic)


def test_diagnostics_and_profiles_survive_a_pickle(poisson, warpbreaks, separated, endometrial):
    diagnostics = poisson.diagnostics(warpbreaks)
    again = pickle.loads(pickle.dumps(diagnostics))
    pd.testing.assert_frame_equal(again.frame(), diagnostics.frame())
    pd.testing.assert_frame_equal(copy.deepcopy(diagnostics).frame(), diagnostics.frame())
    with pytest.warns(ff.SeparationWarning):
        profile = separated.profile(endometrial)
    other = pickle.loads(pickle.dumps(profile))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.SeparationWarning)
        pd.testing.assert_frame_equal(other.conf_int(0.9), profile.conf_int(0.9))
    negative = ff.GLM("negative_binomial", formula="breaks ~ wool").fit(warpbreaks).profile(warpbreaks)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(negative)).conf_int(0.8), negative.conf_int(0.8))


def test_a_copy_of_kernels_with_other_constants_leaves_the_first_alone(warpbreaks):
    y, x = warpbreaks["breaks"], np.ones((54, 1))
    for alpha in (0.5, 2.0, 0.5):
        family = ff.NegativeBinomial(alpha=alpha)
        model = ff.GLM(family, fit_intercept=False).fit(x, y)
        diagnostics = pickle.loads(pickle.dumps(model.diagnostics(x, y)))
        mu = float(y.mean())
        expected = (y.to_numpy() - mu) / np.sqrt(mu + alpha * mu**2)
        np.testing.assert_allclose(diagnostics.resid_pearson, expected, rtol=1e-10)


def test_other_levels_are_named(poisson, warpbreaks):
    other = warpbreaks.assign(wool=warpbreaks["wool"].astype(str).replace("B", "C"))
    with pytest.raises(ff.InputError, match=r"'wool\[T\.C\]' in place of 'wool\[T\.B\]'"):
        poisson.anova(other)
    with pytest.raises(ff.InputError, match="X has 20 rows, the fit had 54"):
        poisson.diagnostics(warpbreaks.head(20))


def test_rows_to_predict_with_missing_values_are_not_told_to_drop_by_the_fit(warpbreaks):
    data = warpbreaks.assign(x=np.r_[np.nan, np.arange(53.0)])
    with pytest.warns(ff.MissingValuesWarning):
        model = ff.GLM("poisson", formula="breaks ~ x", missing="drop").fit(data)
    for ask in (model.predict, model.predict_interval, model.marginal_effects, model.average_prediction):
        with pytest.raises(ff.InputError, match=r"'x' has a missing value at row 0.*leave such rows out") as error:
            ask(data)
        assert "missing='drop'" not in str(error.value)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m, x: m.conf_int(x, method="profile"), "takes the rows as X="),
        (lambda m, x: m.conf_int("a"), "level must lie strictly between 0 and 1, got 'a'"),
        (lambda m, x: m.conf_int(columns=3), "columns: expected names"),
        (lambda m, x: m.profile(x, columns=3), "columns: expected names"),
        (lambda m, x: m.delta(lambda b: 1 / 0), "cannot be evaluated.*division by zero"),
        (lambda m, x: m.delta("Intercept", covariance="HC3"), "covariance: expected a matrix of numbers"),
        (lambda m, x: m.delta("Intercept", covariance=-np.eye(4)), "variance of 'Intercept' is negative"),
        (lambda m, x: m.predict(x, se="yes"), "se must be True or False"),
        (lambda m, x: m.marginal_effects(x, columns=3), "columns: expected the name of a column"),
        (lambda m, x: m.marginal_effects(x, columns=[]), "columns is empty"),
        (lambda m, x: m.average_prediction(x, by=3), "by: expected the name of a column"),
        (lambda m, x: m.average_prediction(x, by="nope"), "its columns are 'breaks'"),
        (lambda m, x: m.predict_distribution(x).sample(2, random_state="a"), "random_state must be"),
        (lambda m, x: m.predict_distribution(x).pmf("a"), "expected numbers, got str"),
        (lambda m, x: m.diagnostics(x, random_state="a").resid_quantile, "random_state must be"),
        (lambda m, x: m.diagnostics(x).influential(-1), "at least 0, got -1"),
        (lambda m, x: m.diagnostics(x).influential("a"), "at least 0, got 'a'"),
        (lambda m, x: ff.plots.residuals(m.diagnostics(x), against=["a"] * 54), "against must be"),
        (lambda m, x: ff.plots.influence(m.diagnostics(x), cook="a"), "cook: distances"),
        (lambda m, x: ff.plots.calibration(["a"], [0.2]), "must be numbers"),
    ],
)
def test_mistakes_get_one_sentence(poisson, warpbreaks, ask, words):
    with pytest.raises((ff.InputError, ff.InputTypeError), match=words):
        ask(poisson, warpbreaks)


def test_what_is_determined_does_not_depend_on_the_other_rows_predicted(warpbreaks):
    data = warpbreaks.assign(v=2.0 * (warpbreaks["wool"] == "B"))
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("poisson", formula="breaks ~ wool + tension + v").fit(data)
    plain = ff.GLM("poisson", formula="breaks ~ wool + tension").fit(warpbreaks)
    for rows in ([0], [0, 1], [53], [52, 53], [0, 53], [30]):  # of one wool, where columns are constant, and of both
        found, expected = (m.predict(d.iloc[rows], se=True) for m, d in ((model, data), (plain, warpbreaks)))
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    apart = data.iloc[[0, 53]].assign(v=[1.0, 1.0])
    assert model.predict(apart, se=True)["std err"].isna().all()
    assert model.predict(apart.head(1), se=True)["std err"].isna().all()
    assert model.average_prediction(data.head(2))["std err"].notna().all()
    intercept = ff.GLM("poisson", formula="breaks ~ 1").fit(warpbreaks)
    with pytest.raises(ff.InputError, match="no column to take the effect of"):
        intercept.marginal_effects(warpbreaks)


def test_likelihood_ratios_of_robust_fits_say_that_they_go_by_the_likelihood():
    data = ff.datasets.load("birthwt")
    model = ff.GLM("binomial", formula="low ~ age + smoke", cov_type="HC3").fit(data)
    plain = ff.GLM("binomial", formula="low ~ age + smoke").fit(data)
    with pytest.warns(ff.CovarianceWarning, match="HC3 covariance of the fit has no part"):
        test = model.test("smoke", method="lr", X=data)
    assert test.statistic == plain.test("smoke", method="lr", X=data).statistic
    with pytest.warns(ff.CovarianceWarning, match="analysis of deviance goes by the likelihood"):
        model.anova(data)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_what_the_fit_warned_of_is_not_said_again(family):
    random = np.random.default_rng(2)
    X, y = random.standard_normal((40, 2)), random.poisson(3.0, 40) + 0.5
    y = np.column_stack([y, y[::-1]]) if family == "binomial" else y
    with pytest.warns(ff.errors.NonIntegerWarning):
        model = ff.GLM(family).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.covariance(X, y, cov_type="HC3")
        model.diagnostics(X, y).frame(["leverage"])
        assert model.test("x0 = 0", X=X, y=y).df == 1
