"""Profile-likelihood and score intervals against certified limits, refits with a coefficient held, closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fisherfit as ff
from fisherfit.kernels import SCORE
from fisherfit.lockstep import scores_at
from fisherfit.profiles import critical

from .reference import case, cases, label, lre, model

Z = float(stats.norm.ppf(0.975))
CERTIFIED = [c["name"] for c in cases("glm") if "profile_ci" in c]


def quietly(call, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **keywords)


def held(m, X, y, name, value, **keywords):
    """The fit with one coefficient held at a value, by an offset."""
    offset = np.broadcast_to(np.asarray(keywords.pop("offset", 0.0), float), (len(X),))
    fit = ff.GLM(**m.get_params())
    if name == "Intercept":
        fit.fit_intercept = False
    else:
        offset, X = offset + value * X[name].to_numpy(), X.drop(columns=[name])
    shift = value if name == "Intercept" else 0.0
    return quietly(fit.fit, X, y, offset=offset + shift, **keywords)


def statistic(m, fit):
    """The likelihood-ratio statistic of a restricted fit."""
    if "alpha" in m.result_.names:
        return 2.0 * (m.result_.llf - fit.result_.llf)
    return (fit.result_.deviance - m.result_.deviance) / m.result_.dispersion


@pytest.mark.parametrize("name", CERTIFIED)
def test_certified_limits(name):
    c = case("glm", name)
    m, X, y, keywords = model(c)
    found = m.fit(X, y, **keywords).profile(X, y, **keywords).conf_int()
    assert len(CERTIFIED) >= 8
    for key, (lower, upper) in c["profile_ci"]["limits"].items():
        assert lre(found.loc[label(key), "lower"], lower) >= 11
        assert lre(found.loc[label(key), "upper"], upper) >= 11


REFITTED = [
    ("glm", "bliss_cauchit"), ("glm", "clotting_both_gamma_inverse"), ("glm", "ships_poisson_offset"),
    ("glm", "spector_logit_freqweights"), ("glm", "crabs_poisson_sqrt"), ("glm", "warpbreaks_poisson_identity"),
    ("negative_binomial", "ships_nb_offset"), ("negative_binomial", "quine_nb"),
    ("hard_starts", "logbin_generated_seed22"), ("hard_starts", "crabs_full_poisson_identity_boundary"),
    ("hard_starts", "cars_poisson_x_shift0_times1e-12"),
    *(pytest.param(*names, marks=pytest.mark.slow) for names in (
        ("glm", "trees_invgauss_log"), ("glm", "cpunish_tweedie15_log"), ("glm", "trees_gamma_log_priorweights"),
        ("extra", "binomial_cloglog_binary_offset"), ("extra", "geometric_log"), ("extra", "gamma_log_small_units"),
        ("extra", "negative_binomial_fixed25_sqrt"), ("extra", "inverse_gaussian_identity"),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("group", "name"), REFITTED)
def test_a_fit_with_the_coefficient_held_at_an_end_has_the_critical_statistic(group, name):
    m, X, y, keywords = model(case(group, name))
    quietly(m.fit, X, y, **keywords)
    profile = quietly(m.profile, X, y, **keywords)
    ends, target = profile.conf_int(), critical(profile.maximum, 0.95) ** 2
    checked = 0
    for coefficient in m.result_.names:
        for end in ends.loc[coefficient] if coefficient != "alpha" else []:
            fit = held(m, X, y, coefficient, end, **keywords)
            if fit.converged_:  # with bounds, a start inside of them is not always found
                assert statistic(m, fit) == pytest.approx(target, rel=1e-10)
                checked += 1
    assert checked >= 2 * len(m.result_.names) - 3
    assert profile.converged.all()


def test_a_normal_model_has_the_wald_interval_whatever_the_method():
    trees = ff.datasets.load("trees")
    m = ff.GLM(formula="volume ~ girth + height").fit(trees)
    for method in ("profile", "score"):
        np.testing.assert_allclose(m.conf_int(method=method, X=trees), m.conf_int(), rtol=1e-9)


SEPARATED = [c["name"] for c in cases("separation") if c["status"] != "none" and c["name"] != "ppmlhdfe_04"]


@pytest.mark.parametrize("name", SEPARATED)
def test_infinite_coefficients_have_their_finite_end(name):
    c = case("separation", name)
    m, X, y, keywords = model(c)
    quietly(m.fit, X, y, **keywords)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        profile = m.profile(X, y, **keywords)
    assert any(issubclass(w.category, ff.SeparationWarning) and "end of" in str(w.message) for w in caught)
    found = profile.conf_int()
    assert profile.converged.all()
    for coefficient in m.result_.names:
        sign = m.separation_.coefficients.get(coefficient, "finite")
        lower, upper = found.loc[coefficient]
        assert np.isinf(lower) == (sign in ("-inf", "sign_indeterminate"))
        assert np.isinf(upper) == (sign in ("+inf", "sign_indeterminate"))
        if sign in ("-inf", "+inf"):
            end = upper if sign == "-inf" else lower
            fit = held(m, X, y, coefficient, end, **keywords)
            assert statistic(m, fit) == pytest.approx(Z**2, rel=1e-8), coefficient
            assert sum(coefficient in note for note in profile.notes) == 1


def test_small_separated_sets():
    checked = 0
    for c in cases("separation_random"):
        m, X, y, keywords = model(c)
        quietly(m.fit, X, y, **keywords)
        found = quietly(m.profile, X, y, **keywords)
        assert found.converged.all(), c["name"]
        for coefficient, (lower, upper) in zip(m.result_.names, found.conf_int().to_numpy(), strict=True):
            sign = m.separation_.coefficients.get(coefficient, "finite")
            assert np.isinf(lower) == (sign in ("-inf", "sign_indeterminate"))
            assert np.isinf(upper) == (sign in ("+inf", "sign_indeterminate"))
            for end in (lower, upper):
                if np.isfinite(end) and (len(X.columns) > 1 or coefficient != "Intercept"):
                    fit = held(m, X, y, coefficient, end, **keywords)
                    assert statistic(m, fit) == pytest.approx(Z**2, rel=1e-8), (c["name"], coefficient)
                    checked += 1
    assert checked > 50


def test_all_successes_by_hand():
    table = pd.DataFrame({"yes": [20], "no": [0]})
    m = quietly(ff.GLM(formula="yes + no ~ 1", family="binomial").fit, table)
    (lower, upper), (low, high) = (
        quietly(m.conf_int, method=method, X=table).loc["Intercept"] for method in ("profile", "score")
    )
    assert lower == pytest.approx(np.log(np.exp(-(Z**2) / 40) / -np.expm1(-(Z**2) / 40)), rel=1e-11)
    assert low == pytest.approx(np.log(20 / Z**2), rel=1e-10)  # Wilson's p = n / (n + z^2)
    assert upper == high == np.inf


def test_the_alpha_of_a_negative_binomial():
    c = case("negative_binomial", "ships_nb_offset")
    m, X, y, keywords = model(c)
    m.fit(X, y, **keywords)
    for end in m.profile(X, y, columns="alpha", **keywords).conf_int().loc["alpha"]:
        fixed = ff.GLM(ff.NegativeBinomial(alpha=float(end)), link=c["link"]).fit(X, y, **keywords)
        assert 2.0 * (m.result_.llf - fixed.result_.llf) == pytest.approx(Z**2, rel=1e-9)


def test_alpha_at_or_near_zero():
    m, X, y, keywords = model(case("extra", "joint_tiny_alpha"))
    m.fit(X, y, **keywords)
    with pytest.warns(ff.BoundaryWarning, match="lower end of 'alpha' is the bound"):
        profile = m.profile(X, y, **keywords)
    assert profile.conf_int().loc["alpha", "lower"] == 0.0

    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.standard_normal((200, 2)), columns=["a", "b"])
    y = rng.binomial(5, 0.3, 200).astype(float)  # less spread than Poisson
    m = quietly(ff.GLM("negative_binomial").fit, X, y)
    poisson = ff.GLM("poisson").fit(X, y)
    assert m.alpha_ == 0.0
    found, simple = quietly(m.profile, X, y).conf_int(), poisson.profile(X, y).conf_int()
    np.testing.assert_allclose(found.loc[simple.index], simple, rtol=1e-9)
    assert found.loc["alpha", "lower"] == 0.0
    fixed = ff.GLM(ff.NegativeBinomial(alpha=float(found.loc["alpha", "upper"]))).fit(X, y)
    assert 2.0 * (poisson.result_.llf - fixed.result_.llf) == pytest.approx(Z**2, rel=1e-9)


def test_columns_that_are_not_estimable_have_none():
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.standard_normal((60, 2)), columns=["a", "b"]).assign(c=lambda d: d["a"] + d["b"], d=1.0)
    X["d"] = rng.standard_normal(60)
    y = rng.poisson(np.exp(0.3 * X["a"])).astype(float)
    with pytest.warns(ff.RankWarning):
        m = ff.GLM("poisson").fit(X, y)
    found = m.profile(X, y).conf_int()
    assert found.loc[["a", "b", "c"]].isna().all().all()
    smaller = ff.GLM("poisson").fit(X[["a", "b", "d"]], y).profile(X[["a", "b", "d"]], y).conf_int()
    np.testing.assert_allclose(found.loc[["Intercept", "d"]], smaller.loc[["Intercept", "d"]], rtol=1e-9)


def test_an_exact_fit_has_its_estimates():
    X = pd.DataFrame({"x": np.arange(5.0)})
    m = quietly(ff.GLM().fit, X, 2.0 * X["x"] + 1.0)
    np.testing.assert_allclose(m.profile(X, 2.0 * X["x"] + 1.0).conf_int(), [[1.0, 1.0], [2.0, 2.0]], rtol=1e-12)
    m = quietly(ff.GLM().fit, X[:2], [1.0, 5.0])
    assert m.profile(X[:2], [1.0, 5.0]).conf_int().isna().all().all()


def test_an_end_where_the_likelihood_stays_high_is_infinite():
    y = np.array([0.9, -0.8, 0.5, -0.2, 0.3])  # a mean of 0 is not rejected
    X = pd.DataFrame(index=range(5))
    m = ff.GLM("normal", link="log", dispersion=1.0).fit(X, y)
    with pytest.warns(ff.BoundaryWarning, match="lower end of 'Intercept' is infinite: the likelihood does not fall"):
        lower, upper = m.profile(X, y).conf_int().loc["Intercept"]
    assert lower == -np.inf
    assert np.exp(upper) == pytest.approx(y.mean() + Z / np.sqrt(5), rel=1e-10)


def test_a_step_over_the_pole_of_a_link_is_taken_back():
    y, X = np.array([0.9, -0.8, 0.5, -0.2, 0.3]), pd.DataFrame(index=range(5))
    m = ff.GLM("normal", link="inverse", dispersion=1.0).fit(X, y)
    found = quietly(m.profile, X, y).conf_int().loc["Intercept"]  # 1 / 0 is a mean of infinity
    assert 1.0 / found["lower"] == pytest.approx(y.mean() + Z / np.sqrt(5), rel=1e-10)
    assert found["upper"] == np.inf


def test_an_end_that_is_very_far_is_found():
    X, y = pd.DataFrame(index=range(2)), np.array([0.0, 1.0])
    m = ff.GLM("binomial", link="cauchit").fit(X, y)
    lower, upper = m.profile(X, y, level=1 - 1e-7).conf_int(1 - 1e-7).loc["Intercept"]
    p = 0.5 + np.arctan(upper) / np.pi
    q = np.arctan2(1.0, upper) / np.pi
    assert -2.0 * np.log(4.0 * p * q) == pytest.approx(stats.norm.ppf(0.5e-7) ** 2, rel=1e-8)
    assert lower == pytest.approx(-upper, rel=1e-9)
    assert upper > 1e5


def big(family):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((45_000, 45))
    X[:, 3] = rng.random(45_000) < 0.0004  # a column that few rows know of
    eta = X[:, :8] @ np.linspace(-0.3, 0.3, 8) - 0.2
    y = rng.poisson(np.exp(eta)) if family == "poisson" else rng.random(45_000) < 1.0 / (1.0 + np.exp(-eta))
    return X, y.astype(float)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_many_rows_cost_few_passes_and_give_the_same_bits_for_any_number_of_threads(family):
    X, y = big(family)
    m = ff.GLM(family).fit(X, y)
    profile = m.profile(X, y)
    assert profile.maximum.model.lazy
    assert profile.passes.scores <= 12
    assert profile.passes.matrices <= 10
    found = profile.conf_int()
    m.n_jobs = 1
    assert np.array_equal(m.profile(X, y).conf_int(), found)
    m.n_jobs = 3
    assert np.array_equal(m.profile(X, y).conf_int(), found)
    for j in (3, 7):
        for end in found.loc[f"x{j}"]:
            fit = ff.GLM(family).fit(np.delete(X, j, axis=1), y, offset=X[:, j] * end)
            assert statistic(m, fit) == pytest.approx(Z**2, rel=1e-8)


def test_scores_of_many_points_are_those_of_each():
    crabs = ff.datasets.load("quine")
    m = ff.GLM(formula="days ~ eth + sex + age + lrn", family="negative_binomial").fit(crabs)
    maximum, _ = m._at_maximum(crabs)
    thetas = maximum.theta + 0.05 * np.random.default_rng(0).standard_normal((7, maximum.theta.size))
    thetas[:, -1] = np.abs(thetas[:, -1])
    for theta, found in zip(thetas, scores_at(maximum.likelihood, thetas), strict=True):
        one = maximum.likelihood.evaluate(theta, SCORE)
        assert found.loglik == pytest.approx(one.loglik, rel=1e-13)
        np.testing.assert_allclose(found.score, one.score, rtol=1e-10, atol=1e-10)


def test_frequency_weights_are_repeated_rows():
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"a": rng.standard_normal(40), "g": rng.choice(["u", "v", "w"], 40)})
    y, w = rng.gamma(2.0, np.exp(0.3 * X["a"])), rng.integers(0, 4, 40)
    m = ff.GLM("gamma", weight_type="frequency").fit(X, y, sample_weight=w)
    long, z = X.loc[X.index.repeat(w)].reset_index(drop=True), np.repeat(y, w)
    repeated = ff.GLM("gamma").fit(long, z).profile(long, z).conf_int()
    np.testing.assert_allclose(m.profile(X, y, sample_weight=w).conf_int(), repeated, rtol=1e-9)


def test_levels_nest_and_what_is_known_is_used_again():
    crabs = ff.datasets.load("crabs")
    m = ff.GLM(formula="satellites ~ width", family="poisson").fit(crabs)
    profile = m.profile(crabs)
    points = profile.passes.points
    profile.conf_int()
    assert profile.passes.points == points
    wide = profile.conf_int(0.96)
    assert profile.passes.points - points < points
    assert (wide["lower"] < profile.conf_int()["lower"]).all()
    fresh = m.profile(crabs, level=0.96).conf_int(0.96)
    np.testing.assert_allclose(wide, fresh, rtol=1e-11)


def test_traces_are_the_profile_log_likelihood():
    data = ff.datasets.load("endometrial")
    X, y = data[["NV", "PI", "EH"]], data["HG"]
    m = quietly(ff.GLM("binomial").fit, X, y)
    profile = quietly(m.profile, X, y)
    for name in ("EH", "NV"):
        trace = profile.trace(name)
        assert list(trace.columns) == ["value", "tau", "loglik"]
        assert len(trace) >= 6
        assert (np.diff(trace["tau"]) > 0).all()
        assert (np.diff(trace["value"]) > 0).all()
        for _, (value, tau, loglik) in trace.iterrows():
            fit = held(m, X, y, name, value)
            assert loglik == pytest.approx(fit.result_.llf, rel=1e-9)
            assert loglik == pytest.approx(m.result_.llf - 0.5 * tau**2, rel=1e-12)
    assert (trace["tau"] < 0).all()  # NV: its maximum is at infinity
    assert profile.trace("EH")["tau"].abs().min() == 0.0
    with pytest.raises(ff.InputError, match="trace: 'HE' is not among"):
        profile.trace("HE")


def test_wilsons_interval():
    rng = np.random.default_rng(4)
    for n, k in ((20, 15), (7, 1), (1000, 3)):
        table = pd.DataFrame({"yes": [k], "no": [n - k]})
        m = ff.GLM(formula="yes + no ~ 1", family="binomial").fit(table)
        level = float(rng.uniform(0.8, 0.99))
        z, p = stats.norm.ppf(0.5 + level / 2), k / n
        half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        wilson = [(p + z * z / (2 * n) + s * half) / (1 + z * z / n) for s in (-1, 1)]
        found = m.conf_int(level, "score", X=table).loc["Intercept"]
        np.testing.assert_allclose(1.0 / (1.0 + np.exp(-found)), wilson, rtol=1e-10)


@pytest.mark.parametrize("link", ["log", "identity", "sqrt"])
def test_the_score_interval_of_a_poisson_mean(link):
    y = np.array([3.0, 5.0, 2.0, 0.0, 7.0])
    X = pd.DataFrame(index=range(5))
    m = ff.GLM("poisson", link=link).fit(X, y)
    found = m.conf_int(method="score", X=X, y=y).loc["Intercept"].to_numpy()
    mean = {"log": np.exp, "identity": np.asarray, "sqrt": np.square}[link](found)
    total = y.sum()
    np.testing.assert_allclose(
        mean, [(total + Z * Z / 2 + s * Z * np.sqrt(total + Z * Z / 4)) / 5 for s in (-1, 1)], rtol=1e-10
    )


@pytest.mark.parametrize("family", ["binomial", "poisson", "gamma"])
def test_raos_statistic_is_critical_at_the_ends_of_score_intervals(family):
    rng = np.random.default_rng(6)
    X = pd.DataFrame(rng.standard_normal((80, 2)), columns=["a", "b"])
    mu = np.exp(0.4 * X["a"] - 0.2)
    y = {"binomial": (rng.random(80) < mu / (1 + mu)).astype(float), "poisson": rng.poisson(mu).astype(float),
         "gamma": mu * rng.gamma(2.0, 0.5, 80)}[family]  # fmt: skip
    m = ff.GLM(family).fit(X, y)
    design = np.column_stack([np.ones(80), X])
    target = stats.t.ppf(0.975, m.result_.df_resid) if m.result_.use_t else Z
    for name, ends in m.conf_int(method="score", X=X, y=y).iterrows():
        for end in ends:
            fit = held(m, X, y, name, end)
            offset = end * (X[name] if name != "Intercept" else 1.0)
            rest = X.drop(columns=[name], errors="ignore")
            mean = fit.predict(rest, offset=np.broadcast_to(offset, 80))
            slope, variance = {"binomial": (mean * (1 - mean),) * 2, "poisson": (mean, mean),
                               "gamma": (mean, mean**2)}[family]  # fmt: skip
            score = design.T @ ((y - mean) * slope / variance)
            information = (design.T * (slope**2 / variance)) @ design
            rao = score @ np.linalg.solve(information, score) / m.dispersion_
            assert rao == pytest.approx(target**2, rel=1e-9)


def test_mistakes_are_named():
    crabs = ff.datasets.load("crabs")
    m = ff.GLM(formula="satellites ~ width", family="poisson").fit(crabs)
    with pytest.raises(ff.InputError, match="columns: 'widht' is not a parameter of the model; did you mean 'width'"):
        m.profile(crabs, columns="widht")
    with pytest.raises(ff.InputError, match="method: 'likelihood' is not known"):
        m.conf_int(method="likelihood")
    with pytest.raises(ff.InputError, match="needs the rows again"):
        m.conf_int(method="profile")
    for level in (0.0, 1.0, "95"):
        with pytest.raises(ff.InputError, match="level must lie strictly between 0 and 1"):
            m.profile(crabs, level=level)
    with pytest.raises(ff.InputError, match="the fit had 173"):
        m.profile(crabs.iloc[1:])
    weighted = ff.GLM(formula="satellites ~ width", family="poisson", weight_type="probability")
    weighted.fit(crabs, sample_weight=np.ones(len(crabs)))
    for method in ("profile", "score"):
        with pytest.raises(ff.InputError, match="pseudo-likelihood"):
            weighted.conf_int(method=method, X=crabs, sample_weight=np.ones(len(crabs)))
    pd.testing.assert_frame_equal(m.conf_int(0.9, columns=["width"]), m.result_.conf_int(0.9).loc[["width"]])


def test_a_profile_shows_what_it_holds():
    crabs = ff.datasets.load("crabs")
    profile = ff.GLM(formula="satellites ~ width", family="poisson").fit(crabs).profile(crabs)
    assert repr(profile) == "Profile(2 parameters: Intercept, width)"
    assert list(profile.to_frame().columns) == ["estimate", "lower", "upper", "wald lower", "wald upper"]
    assert profile.notes == ()
    assert list(profile.converged) == [True, True]
