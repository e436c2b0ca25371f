"""Wald, likelihood-ratio and score tests against their definitions, computed here in plain NumPy or by refits."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import fisherfit as ff

from .reference import cases, lre, model

RNG = np.random.default_rng(11)
N = 120
X = pd.DataFrame(
    RNG.standard_normal((N, 4)) * [1.0, 20.0, 0.02, 1.0] + [0.0, 100.0, 0.0, 2.0], columns=["a", "b", "c", "d"]
)
ETA = 0.2 + X.to_numpy() @ [0.4, 0.004, 5.0, 0.05]
WEIGHT = RNG.integers(1, 4, N).astype(float)
RESPONSE = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < special.expit(ETA)).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
    "inverse_gaussian": RNG.wald(np.exp(ETA), 4.0),
}
VARIANCE = {
    "normal": np.ones_like,
    "poisson": lambda m: m,
    "binomial": lambda m: m * (1 - m),
    "gamma": lambda m: m**2,
    "inverse_gaussian": lambda m: m**3,
}
INVERSE = {  # mean and its derivative
    "identity": lambda e: (e, np.ones_like(e)),
    "log": lambda e: (np.exp(e), np.exp(e)),
    "logit": lambda e: (special.expit(e), special.expit(e) * special.expit(-e)),
    "probit": lambda e: (special.ndtr(e), np.exp(-e * e / 2) / np.sqrt(2 * np.pi)),
}
PAIRS = [
    ("normal", "identity"),
    ("poisson", "log"),
    ("binomial", "logit"),
    ("binomial", "probit"),
    ("gamma", "log"),
    ("inverse_gaussian", "log"),
    ("normal", "log"),
]


def fit(family, link, columns=None, **arguments):
    table = X if columns is None else X[columns]
    y = np.exp(RESPONSE["normal"] / 4) if (family, link) == ("normal", "log") else RESPONSE[family]
    return ff.GLM(family, link, **arguments).fit(table, y, sample_weight=WEIGHT), y


def score_by_hand(family, link, small, y):
    """s'F^-1 s of the large model at the fit of the small one."""
    design = np.column_stack([np.ones(N), X.to_numpy()])
    columns = design - np.r_[0.0, X.mean().to_numpy()]  # the statistic does not depend on it
    eta = small.predict(X[list(small.result_.names[1:])], kind="link")
    mu, slope = INVERSE[link](eta)
    v = VARIANCE[family](mu)
    s = columns.T @ (WEIGHT * (y - mu) * slope / v)
    f = (columns * (WEIGHT * slope**2 / v)[:, None]).T @ columns
    return float(s @ np.linalg.solve(f, s))


@pytest.mark.parametrize(("family", "link"), PAIRS)
def test_against_refits_and_the_formulas(family, link):
    full, y = fit(family, link)
    small, _ = fit(family, link, ["a", "c"])
    r = full.result_
    phi, k = r.dispersion, (2.0 if r.use_t else 1.0)
    keywords = {"X": X, "y": y, "sample_weight": WEIGHT}

    lr = full.test("b = 0, d = 0", method="lr", **keywords)
    assert lr.statistic == pytest.approx((small.result_.deviance - r.deviance) / phi / k, rel=1e-10)
    score = full.test("b = 0, d = 0", method="score", **keywords)
    assert score.statistic == pytest.approx(score_by_hand(family, link, small, y) / phi / k, rel=1e-10)
    wald = full.test("b = 0, d = 0")
    b, v = r.params[["b", "d"]].to_numpy(), r.cov_params().loc[["b", "d"], ["b", "d"]].to_numpy()
    assert wald.statistic == pytest.approx(b @ np.linalg.solve(v, b) / k, rel=1e-10)
    for test in (lr, score, wald):
        assert test.df == 2
        law = stats.f(2, r.df_resid) if r.use_t else stats.chi2(2)
        assert test.p_value == test.pvalue == pytest.approx(law.sf(test.statistic), rel=1e-9)
        assert (test.distribution, test.df_resid) == (("F", r.df_resid) if r.use_t else ("chi2", None))


def test_the_three_tests_agree_in_the_linear_model():
    model_, y = fit("normal", "identity")
    found = [model_.test("a = 20*b, d", m, X, y, WEIGHT).statistic for m in ("wald", "lr", "score")]
    np.testing.assert_allclose(found, found[0], rtol=1e-10)


CERTIFIED = [(g, c["name"]) for g in ("glm", "extra", "negative_binomial") for c in cases(g) if c.get("lr_test")]


@pytest.mark.parametrize("group", ["glm", "extra", "negative_binomial"])
def test_certified_likelihood_ratios(group):
    """All cases with a certified test against the null model, ten digits of the statistic each."""
    seen = 0
    for c in cases(group):
        if not c.get("lr_test"):
            continue
        m, table, y, keywords = model(c)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.NonIntegerWarning)
            m.fit(table, y, **keywords)
        slopes = [f"`{name}` = 0" for name in m.result_.names if name not in ("Intercept", "alpha")]
        found = m.test(slopes, method="lr", X=table, y=y, **keywords)
        assert found.df == c["lr_test"]["df"], c["name"]
        assert lre(found.statistic, c["lr_test"]["statistic"]) >= 10, c["name"]
        assert lre(found.p_value, c["lr_test"]["p_value"]) >= 8 or c["lr_test"]["p_value"] < 1e-280, c["name"]
        seen += 1
    assert seen == sum(g == group for g, _ in CERTIFIED) > 5


def test_cross_check_with_statsmodels():
    import statsmodels.api as sm

    ours, y = fit("poisson", "log")
    theirs = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson(), freq_weights=WEIGHT).fit(tol=1e-14)
    for text in ("a = b", "a = 1, d = 2*c - 1"):
        test = theirs.wald_test(text, use_f=False, scalar=True)
        assert ours.test(text).statistic == pytest.approx(float(test.statistic), rel=1e-7)
        assert ours.test(text).p_value == pytest.approx(float(test.pvalue), rel=1e-6, abs=1e-300)


# the negative binomial with alpha estimated


def counts():
    y = np.random.default_rng(2).poisson(np.exp(ETA) * np.random.default_rng(3).gamma(2.0, 0.5, N)).astype(float)
    return ff.GLM("negative_binomial").fit(X, y), y


def test_negative_binomial_alpha_is_estimated_under_the_hypothesis_too():
    full, y = counts()
    small = ff.GLM("negative_binomial").fit(X[["a", "c"]], y)
    lr = full.test("b, d", "lr", X, y)
    assert lr.statistic == pytest.approx(2 * (full.result_.llf - small.result_.llf), rel=1e-10)
    assert small.alpha_ != full.alpha_


def nb_information(mu, alpha):
    """E[(d log f / d alpha)^2] by its sum over y, and the same score at y = given."""
    k = 1.0 / alpha
    y = np.arange(0, 4000.0)
    log_f = (
        special.gammaln(y + k)
        - special.gammaln(k)
        - special.gammaln(y + 1)
        + k * np.log(k / (k + mu))
        + y * np.log(mu / (k + mu))
    )
    return float(np.sum(np.exp(log_f) * nb_score(y, mu, alpha) ** 2))


def nb_score(y, mu, alpha):
    k = 1.0 / alpha
    return -k * k * (special.digamma(y + k) - special.digamma(k) + np.log(k / (k + mu)) + (mu - y) / (k + mu))


def test_negative_binomial_score_uses_the_joint_information():
    full, y = counts()
    small = ff.GLM("negative_binomial").fit(X[["a", "c"]], y)
    mu, alpha = small.predict(X[["a", "c"]]), small.alpha_
    columns = np.column_stack([np.ones(N), X.to_numpy() - X.mean().to_numpy()])
    s = columns.T @ ((y - mu) / (1 + alpha * mu))
    f = (columns * (mu / (1 + alpha * mu))[:, None]).T @ columns
    by_hand = float(s @ np.linalg.solve(f, s)) + float(np.sum(nb_score(y, mu, alpha))) ** 2 / sum(
        nb_information(m, alpha) for m in mu
    )
    assert full.test("b, d", "score", X, y).statistic == pytest.approx(by_hand, rel=1e-9)


def test_alpha_is_zero_is_tested_at_the_edge():
    full, y = counts()
    poisson = ff.GLM("poisson").fit(X, y)
    lr = full.test("alpha = 0", "lr", X, y)
    assert lr.distribution == "chi2bar"
    assert lr.statistic == pytest.approx(2 * (full.result_.llf - poisson.result_.llf), rel=1e-10)
    assert lr.p_value == pytest.approx(0.5 * stats.chi2.sf(lr.statistic, 1), rel=1e-10)
    mu = poisson.predict(X)  # Dean & Lawless (1989): sum {(y - mu)^2 - y} over the square root of 2 sum mu^2
    by_hand = np.sum((y - mu) ** 2 - y) ** 2 / (2 * np.sum(mu**2))
    assert full.test("alpha = 0", "score", X, y).statistic == pytest.approx(by_hand, rel=1e-9)
    with pytest.raises(ff.InputError, match="edge of the parameter space"):
        full.test("alpha = 0")
    known = ff.GLM(ff.NegativeBinomial(alpha=0.3)).fit(X, y)
    assert full.test("alpha = 0.3", "lr", X, y).statistic == pytest.approx(
        2 * (full.result_.llf - known.result_.llf), rel=1e-9
    )


def test_a_fit_at_alpha_zero():
    y = np.random.default_rng(5).binomial(6, 0.5, N).astype(float)  # less varied than Poisson
    with pytest.warns(ff.BoundaryWarning):
        full = ff.GLM("negative_binomial").fit(X, y)
    poisson, small = ff.GLM("poisson").fit(X, y), ff.GLM("poisson").fit(X[["a", "c"]], y)
    with pytest.warns(ff.BoundaryWarning, match="edge of the parameter space"):
        found = full.test("b, d", "lr", X, y)
    assert found.statistic == pytest.approx(small.result_.deviance - poisson.result_.deviance, rel=1e-9)


class Weibull(ff.Family):
    parameters = {"scale": "positive", "shape": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, scale, shape):
        z = y / scale
        return math.log(shape / scale) + (shape - 1.0) * math.log(z) - z**shape


def test_a_second_parameter_of_a_family_of_ones_own():
    """shape = 1 is the exponential distribution."""
    y = np.exp(ETA) * np.random.default_rng(7).weibull(0.8, N)
    full, small = ff.GLM(Weibull()).fit(X, y), ff.GLM("gamma", dispersion=1.0).fit(X, y)
    mu = small.predict(X)
    exponential = float(np.sum(-np.log(mu) - y / mu))
    found = full.test("shape = 1", "lr", X, y)
    assert found.statistic == pytest.approx(2.0 * (full.result_.llf - exponential), rel=1e-8)
    wald = (full.result_.params["shape"] - 1.0) / full.result_.bse["shape"]
    assert full.test("shape = 1").statistic == pytest.approx(wald**2, rel=1e-10)
    assert found.statistic == pytest.approx(wald**2, rel=0.5)
    for text in ("shape = 0", "shape = -1"):
        with pytest.raises(ff.InputError, match=r"inside its range|on the edge"):
            full.test(text, "lr", X, y)
    with pytest.raises(ff.InputError, match="stands in an expression"):
        full.test("shape = a", "lr", X, y)
    assert full.anova(X, y).columns[1] == "-2 log-lik"


# trouble


def endometrial():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        return ff.GLM(formula="HG ~ NV + PI + EH", family="binomial").fit(data), data


def test_an_infinite_coefficient_has_a_likelihood_ratio_and_a_score_test():
    full, data = endometrial()
    small = ff.GLM(formula="HG ~ PI + EH", family="binomial").fit(data)
    lr = full.test("NV", "lr", data)
    assert lr.statistic == pytest.approx(small.result_.deviance - full.result_.deviance, rel=1e-10)
    assert lr.statistic == pytest.approx(9.3576, abs=5e-5)  # the infinite estimate's deviance is 55.3933
    columns = np.column_stack([np.ones(len(data)), data[["NV", "PI", "EH"]].to_numpy(float)])
    y, mu = data["HG"].to_numpy(float), small.predict(data)
    s = columns.T @ (y - mu)
    by_hand = s @ np.linalg.solve((columns * (mu * (1 - mu))[:, None]).T @ columns, s)
    assert full.test("NV", "score", data).statistic == pytest.approx(by_hand, rel=1e-10)
    with pytest.warns(ff.SeparationWarning, match="says nothing"):
        wald = full.test("NV")
    assert np.isnan(wald.statistic)
    assert np.isnan(wald.p_value)
    assert "method='lr'" in repr(wald)


def test_a_finite_coefficient_beside_an_infinite_one():
    full, data = endometrial()
    rest = data[data["NV"] == 0]
    inner = ff.GLM(formula="HG ~ PI + EH", family="binomial").fit(rest)
    with pytest.warns(ff.HauckDonnerWarning, match="falls as it grows"):
        full.test("EH", "wald", data)
    for method in ("wald", "lr", "score"):
        found = full.test("EH", method, *[data] * (method != "wald"))
        assert found.statistic == pytest.approx(
            inner.test("EH", method, *[rest] * (method != "wald")).statistic, rel=1e-8
        )


def test_aliased_columns_are_tested_by_what_can_be_tested():
    table = X.assign(sum=X["a"] + X["d"])
    y = RESPONSE["poisson"]
    with pytest.warns(ff.RankWarning):
        full = ff.GLM("poisson").fit(table, y)
    small = ff.GLM("poisson").fit(X[["b", "c"]], y)
    large = ff.GLM("poisson").fit(X, y)
    for method in ("wald", "lr", "score"):
        with pytest.warns(ff.RankWarning, match="1 of 3 restrictions"):
            found = full.test("a, d, sum", method, table, y)
        assert found.df == 2
        assert found.statistic == pytest.approx(large.test("a, d", method, X, y).statistic, rel=1e-9)
        with pytest.raises(ff.InputError, match="not testable"):
            full.test("a", method, table, y)
    assert full.test("a = d", "lr", table, y).statistic == pytest.approx(
        large.test("a = d", "lr", X, y).statistic, rel=1e-9
    )
    assert small.result_.deviance - full.result_.deviance == pytest.approx(
        large.test("a, d", "lr", X, y).statistic, rel=1e-9
    )
    with pytest.warns(ff.RankWarning, match="not estimable"):
        assert np.isnan(full.test("a").statistic)


def test_an_exact_fit_has_no_dispersion_to_test_with():
    z = np.arange(9.0)[:, None]
    with pytest.warns(ff.ExactFitWarning):
        m = ff.GLM().fit(z, 2 * z[:, 0] + 1)
    for method in ("wald", "lr", "score"):
        with pytest.warns(ff.ExactFitWarning, match="reproduces the response exactly"):
            found = m.test("x0", method, z, 2 * z[:, 0] + 1)
        assert np.isnan(found.statistic)
        assert np.isnan(found.p_value)
    with pytest.warns(ff.ExactFitWarning):
        assert np.isnan(m.anova(z, 2 * z[:, 0] + 1)["p_value"]).all()


def test_a_fit_with_means_at_their_bound():
    z = np.repeat([0.0, 1.0, 2.0], 3)[:, None]
    y = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 5.0, 3.0, 4.0])
    with pytest.warns(ff.BoundaryWarning):
        full = ff.GLM("poisson", "identity").fit(z, y)
    nothing = ff.GLM(formula="y ~ 1", family="poisson").fit(pd.DataFrame({"y": y}))
    by_hand = {  # sum of (x - 1)^2 is 6
        "lr": nothing.result_.deviance - full.result_.deviance,
        "score": float(np.sum((y - y.mean()) * (z[:, 0] - 1.0))) ** 2 / (6.0 * y.mean()),
    }
    for method, statistic in by_hand.items():
        with pytest.warns(ff.BoundaryWarning, match="does not hold in general"):
            assert full.test("x0", method, z, y).statistic == pytest.approx(statistic, rel=1e-9)


def test_a_wide_hypothesis_leaves_nothing_free():
    model_, y = fit("poisson", "log")
    nothing = float(np.sum(WEIGHT * 2 * (special.xlogy(y, y) - y + 1)))
    found = model_.test(np.eye(5), "lr", X, y, WEIGHT)
    assert found.statistic == pytest.approx(nothing - model_.result_.deviance, rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "rao"}, "method: 'rao' is not known"),
        ({"method": "lr"}, "needs the data of the fit"),
        ({"method": "lr", "X": X.iloc[1:], "y": RESPONSE["poisson"][1:]}, "pass the data of the fit"),
        ({"method": "score", "X": X, "y": RESPONSE["poisson"] + 1.0}, "not the rows of the fit"),
        ({"method": "lr", "X": X, "y": RESPONSE["poisson"], "cov_type": "HC0"}, "cov_type is for method='wald'"),
        ({"cov_type": "observed"}, "give X and y"),
        ({"cov_type": "HC3"}, "give X and y"),
        ({"cov_type": "HC9"}, "cov_type: 'HC9' is not known"),
        ({"cov_type": "cluster", "X": X, "y": RESPONSE["poisson"]}, "needs groups"),
        ({"groups": np.arange(N) // 4}, "give it too"),
        ({"method": "score", "groups": np.arange(N) // 4}, "groups is for method='wald'"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ff.InputError, match=message):
        ff.GLM("poisson").fit(X, RESPONSE["poisson"]).test("a", **arguments)


def test_probability_weights_have_wald_tests_only():
    m = ff.GLM("poisson", weight_type="probability").fit(X, RESPONSE["poisson"], sample_weight=WEIGHT)
    assert m.test("a").statistic == pytest.approx(m.result_.tvalues["a"] ** 2, rel=1e-12)
    with pytest.raises(ff.InputError, match="pseudo-likelihood"):
        m.test("a", "lr", X, RESPONSE["poisson"], sample_weight=WEIGHT)


def test_other_covariances():
    y = RESPONSE["gamma"]
    m, o = ff.GLM("gamma").fit(X, y), ff.GLM("gamma", cov_type="observed").fit(X, y)
    assert m.test("a = b", cov_type="observed", X=X, y=y).statistic == pytest.approx(
        o.test("a = b").statistic, rel=1e-9
    )
    assert o.test("a = b", cov_type="expected", X=X, y=y).statistic == pytest.approx(
        m.test("a = b").statistic, rel=1e-9
    )


def test_what_is_printed():
    m = ff.GLM("poisson").fit(X, RESPONSE["poisson"])
    assert repr(m.test("a = b")).startswith("Wald test of a = b: chi2(1) = ")
    g = ff.GLM().fit(X, RESPONSE["normal"])
    assert ": F(2, 115) = " in repr(g.test("a, b", "lr", X, RESPONSE["normal"]))
    with pytest.raises(AttributeError):
        m.test("a").statistic = 3.0


# the Hauck-Donner effect


def test_hauck_donner_derivative_by_its_formula():
    y = RESPONSE["binomial"]
    m = ff.GLM("binomial").fit(X, y)
    columns = np.column_stack([np.ones(N), X.to_numpy()])
    scale = columns.std(axis=0) + (columns.std(axis=0) == 0)
    z = columns / scale
    p = m.predict(X)
    v = np.linalg.inv((z * (p * (1 - p))[:, None]).T @ z)
    change = p * (1 - p) * (1 - 2 * p)  # of the weight in eta
    found = m.hauck_donner(X, y)
    for j, name in enumerate(found.index):
        b = m.result_.params[name] * scale[j]
        dv = -float(np.sum(change * z[:, j] * (z @ v[:, j]) ** 2))
        slope = 1 / np.sqrt(v[j, j]) - 0.5 * b * dv / v[j, j] ** 1.5
        assert found.loc[name, "statistic"] == pytest.approx(b / np.sqrt(v[j, j]), rel=1e-7)
        assert found.loc[name, "derivative"] == pytest.approx(slope * scale[j], rel=1e-6)
        assert found.loc[name, "effect"] == (slope < 0)


def test_hauck_donner_is_found_in_a_lopsided_table():
    """Two groups of 100 with 25 successes in the first: the Wald statistic of the difference falls from 97 to 99."""
    statistics = []
    x = pd.DataFrame({"x": [0.0, 1.0]})
    for successes, effect in ((60, False), (97, True), (99, True)):
        y = np.array([[25.0, 75.0], [successes, 100.0 - successes]])
        m = ff.GLM("binomial").fit(x, y)
        assert bool(m.hauck_donner(x, y).loc["x", "effect"]) is effect
        statistics.append(m.test("x").statistic)
        if effect:
            with pytest.warns(ff.HauckDonnerWarning, match="method='lr'"):
                m.test("x", X=x, y=y)
        else:
            assert not m.test("x", X=x, y=y).note
    assert statistics[2] < statistics[1]
    lr = [
        ff.GLM("binomial").fit(x, y).test("x", "lr", x, y).statistic
        for y in (np.array([[25.0, 75.0], [s, 100.0 - s]]) for s in (97.0, 99.0))
    ]
    assert lr[1] > lr[0]


@pytest.mark.slow
def test_size_of_the_tests():
    """Of 1000 Poisson samples of 100 rows under the hypothesis, 5 % are rejected within 3.3 standard errors."""
    rng = np.random.default_rng(99)
    rejected = dict.fromkeys(("wald", "lr", "score"), 0)
    runs, n = 1000, 100
    for _ in range(runs):
        x = rng.standard_normal((n, 3))
        y = rng.poisson(np.exp(1.0 + 0.3 * x[:, 0])).astype(float)
        m = ff.GLM("poisson").fit(x, y)
        for method in rejected:
            data = {} if method == "wald" else {"X": x, "y": y}
            rejected[method] += m.test("x1 = 0, x2 = 0", method, **data).p_value < 0.05
    error = np.sqrt(0.05 * 0.95 / runs)
    for method, count in rejected.items():
        assert abs(count / runs - 0.05) < 3.3 * error, (method, count)


@pytest.mark.parametrize("cov_type", ["opg", "HC0", "HC2", "HC3", "cluster", "cluster(CR3)", "HAC(3)"])
def test_wald_tests_take_any_covariance(cov_type):
    y, groups = RESPONSE["poisson"], np.arange(N) // 4 if cov_type.startswith("cluster") else None
    m, o = ff.GLM("poisson").fit(X, y), ff.GLM("poisson", cov_type=cov_type).fit(X, y, groups=groups)
    found, expected = m.test("a = b, c = 1", cov_type=cov_type, X=X, y=y, groups=groups), o.test("a = b, c = 1")
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert abs(found.statistic - m.test("a = b, c = 1").statistic) > 1e-3
    assert o.test("a = b, c = 1", cov_type=cov_type).statistic == expected.statistic


@pytest.mark.parametrize("family", ["normal", "gamma"])
def test_a_saturated_fit_has_no_degrees_of_freedom_to_test_with(family):
    X, y = np.random.default_rng(0).standard_normal((4, 3)), np.array([1.0, 3.0, 2.0, 5.0])
    with pytest.warns(ff.errors.ExactFitWarning):
        model = ff.GLM(family, link="log" if family == "gamma" else "identity").fit(X, y)
    for data in ({}, {"X": X, "y": y}):
        with pytest.warns(ff.errors.ExactFitWarning, match="no degrees of freedom are left"):
            found = model.test("x0 = 0", **data)
        assert np.isnan(found.p_value)
        assert "estimable" not in found.note
