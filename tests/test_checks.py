"""Tests of fit: their statistics by plain formulas, their laws by simulation, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats

import fisherfit as ff
from fisherfit.checks import _anderson_darling

QUINE = ff.datasets.load("quine")
DAYS = "days ~ eth + sex + age + lrn"


def poisson_fit():
    model = ff.GLM("poisson", formula=DAYS).fit(QUINE)
    return model, model.diagnostics(QUINE)


def design_of(data, columns):
    return np.column_stack(
        [np.ones(len(data)), *(pd.get_dummies(data[c], drop_first=True).to_numpy(float) for c in columns)]
    )


def test_overdispersion_by_plain_formulas():
    _, d = poisson_fit()
    y, mu, h = QUINE["days"].to_numpy(float), d.fitted, d.leverage
    quadratic = np.sum((y - mu) ** 2 - y + h * mu) / np.sqrt(2 * np.sum(mu**2))
    linear = np.sum(((y - mu) ** 2 - y + h * mu) / mu) / np.sqrt(2 * len(y))
    assert ff.checks.overdispersion(d).statistic == pytest.approx(quadratic)
    assert ff.checks.overdispersion(d, alternative="linear").statistic == pytest.approx(linear)
    aux = sm.OLS(((y - mu) ** 2 - y) / mu, mu).fit(cov_type="HC0")
    found = ff.checks.overdispersion(d, "regression")
    assert found.statistic == pytest.approx(float(aux.tvalues[0]))
    assert found.details["estimate of a"] == pytest.approx(float(aux.params[0]))
    assert found.p_value == pytest.approx(stats.norm.sf(found.statistic))
    chi2 = ff.checks.overdispersion(d, "pearson")
    assert chi2.statistic == pytest.approx(np.sum((y - mu) ** 2 / mu))
    assert chi2.p_value == pytest.approx(stats.chi2.sf(chi2.statistic, len(y) - 7), rel=1e-8)


def test_tarones_score_is_that_of_the_beta_binomial():
    beetles = ff.datasets.load("beetles")
    d = ff.GLM("binomial", formula="dead + alive ~ log_dose").fit(beetles).diagnostics(beetles)
    k, m, p = beetles["dead"].to_numpy(float), (beetles["dead"] + beetles["alive"]).to_numpy(float), d.fitted

    def loglik(rho):
        s = 1.0 / rho - 1.0
        return np.sum(special.betaln(k + p * s, m - k + (1 - p) * s) - special.betaln(p * s, (1 - p) * s))

    binomial = np.sum(k * np.log(p) + (m - k) * np.log1p(-p))
    slope = (2 * (loglik(1e-5) - binomial) - 0.5 * (loglik(2e-5) - binomial)) / 1e-5
    expected = slope / np.sqrt(np.sum(m * (m - 1)) / 2)
    assert ff.checks.overdispersion(d).statistic == pytest.approx(expected, rel=1e-3)


def test_zero_inflation_by_the_formula_of_van_den_broek():
    crabs = ff.datasets.load("crabs")
    d = ff.GLM("poisson", formula="satellites ~ width").fit(crabs).diagnostics(crabs)
    x = np.column_stack([np.ones(len(crabs)), crabs["width"]])
    y, mu = crabs["satellites"].to_numpy(float), d.fitted
    p0 = np.exp(-mu)
    score = np.sum((y == 0) / p0 - 1)
    variance = np.sum(1 / p0 - 1) - mu @ x @ np.linalg.solve(x.T @ (mu[:, None] * x), x.T @ mu)
    check = ff.checks.zero_inflation(d)
    assert check.details["chi2"] == pytest.approx(score**2 / variance, rel=1e-9)
    assert check.statistic == pytest.approx(score / np.sqrt(variance), rel=1e-9)
    assert check.details["zeros expected"] == pytest.approx(p0.sum())
    two = ff.checks.zero_inflation(d, two_sided=True)
    assert two.p_value == pytest.approx(stats.chi2.sf(score**2 / variance, 1))


def test_zero_inflation_of_the_negative_binomial_holds_alpha_free():
    """By the information of all parameters, zeros' share included, from sums over the distribution."""
    d = ff.GLM("negative_binomial", formula=DAYS).fit(QUINE).diagnostics(QUINE)
    x, alpha, mu = design_of(QUINE, ["eth", "sex", "age", "lrn"]), d.theta[1][0], d.fitted
    size = x.shape[1] + 2
    information, score = np.zeros((size, size)), 0.0
    k = np.arange(3000.0)
    for row, (m, y) in enumerate(zip(mu, QUINE["days"], strict=True)):

        def log_p(a, m=m):
            return stats.nbinom.logpmf(k, 1 / a, 1 / (1 + a * m))

        p = np.exp(log_p(alpha))
        by_alpha = (log_p(alpha + 1e-5) - log_p(alpha - 1e-5)) / 2e-5
        by_eta = (k - m) / (1 + alpha * m)
        zero = np.where(k == 0, 1 / p[0], 0.0) - 1
        s = np.concatenate([x[row][:, None] * by_eta, by_alpha[None], zero[None]])
        information += (s * p) @ s.T
        score += (y == 0) / p[0] - 1
    variance = 1 / np.linalg.inv(information)[-1, -1]
    assert ff.checks.zero_inflation(d).statistic == pytest.approx(score / np.sqrt(variance), rel=1e-5)


def test_the_link_test_is_reset_for_the_normal_family_and_a_score_test_for_others():
    trees = ff.datasets.load("trees")
    d = ff.GLM("normal", formula="volume ~ girth + height").fit(trees).diagnostics(trees)
    x = sm.add_constant(trees[["girth", "height"]])
    small = sm.OLS(trees["volume"], x).fit()
    for powers in (2, (2, 3)):
        extra = [small.fittedvalues**k for k in np.atleast_1d(powers)]
        f, p, _ = sm.OLS(trees["volume"], np.column_stack([x, *extra])).fit().compare_f_test(small)
        found = ff.checks.link(d, powers)
        assert found.statistic == pytest.approx(f, rel=1e-7)
        assert found.p_value == pytest.approx(p, rel=1e-6)
    _, d = poisson_fit()
    x, mu = design_of(QUINE, ["eth", "sex", "age", "lrn"]), d.fitted
    z = d.linear_predictor**2
    u = QUINE["days"].to_numpy(float) - mu
    left = z @ (mu * z) - (mu * z) @ x @ np.linalg.solve(x.T @ (mu[:, None] * x), x.T @ (mu * z))
    assert ff.checks.link(d).statistic == pytest.approx((z @ u) ** 2 / left, rel=1e-8)


def test_uniformity_by_definition():
    _, d = poisson_fit()
    u = np.sort(d.uniform)
    ks = ff.checks.uniformity(d, "ks")
    assert ks.statistic == pytest.approx(stats.kstest(d.resid_quantile, "norm").statistic)
    assert ks.p_value == pytest.approx(stats.kstest(d.resid_quantile, "norm").pvalue, rel=1e-6)
    d = ff.GLM("negative_binomial", formula=DAYS).fit(QUINE).diagnostics(QUINE)
    u, n = np.sort(d.uniform), len(QUINE)
    i = np.arange(1, n + 1)
    expected = -n - np.sum((2 * i - 1) * (np.log(u) + np.log1p(-u[::-1]))) / n
    assert ff.checks.uniformity(d).statistic == pytest.approx(expected, rel=1e-9)
    for x, level in ((1.933, 0.90), (2.492, 0.95), (3.878, 0.99)):  # the published table
        assert _anderson_darling(x) == pytest.approx(level, abs=3e-4)


def test_hosmer_and_lemeshow_by_hand():
    births = ff.datasets.load("birthwt")
    d = ff.GLM("binomial", formula="low ~ age + lwt + race + smoke").fit(births).diagnostics(births)
    check = ff.checks.hosmer_lemeshow(d)
    table = check.details["table"]
    assert table["trials"].sum() == len(births)
    assert table["observed"].sum() == births["low"].sum() == pytest.approx(table["expected"].sum())
    assert table["trials"].between(17, 21).all()
    statistic = 0.0
    for _, n, o, e in table.itertuples():
        statistic += (o - e) ** 2 / e + ((n - o) - (n - e)) ** 2 / (n - e)
    assert check.statistic == pytest.approx(statistic)
    assert check.p_value == pytest.approx(stats.chi2.sf(statistic, 8))


def test_calibration_is_a_logistic_regression_on_the_logit():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.02, 0.98, 400)
    y = (rng.random(400) < special.expit(0.4 + 0.6 * special.logit(p))).astype(float)
    found = ff.checks.calibration(y, p)
    exact = sm.GLM(y, sm.add_constant(special.logit(p)), family=sm.families.Binomial()).fit(tol=1e-14)
    assert [found.intercept, found.slope] == pytest.approx(list(exact.params), rel=1e-8)
    assert list(found.standard_errors) == pytest.approx(list(exact.bse), rel=1e-6)
    perfect = np.sum(y * np.log(p) + (1 - y) * np.log1p(-p))
    assert found.check.statistic == pytest.approx(2 * (exact.llf - perfect), rel=1e-8)
    shift = optimize.brentq(lambda a: np.sum(y - special.expit(a + special.logit(p))), -5, 5, xtol=1e-14)
    assert found.in_the_large == pytest.approx(shift, rel=1e-9)
    assert found.brier == pytest.approx(np.mean((y - p) ** 2))
    assert found.check.p_value < 1e-3
    assert ff.checks.calibration(np.tile(y, 2), np.tile(p, 2)).slope == pytest.approx(found.slope)
    births = ff.datasets.load("birthwt")
    own = ff.GLM("binomial", formula="low ~ age + lwt").fit(births).diagnostics(births)
    assert ff.checks.calibration(own).slope == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("name", ["overdispersion", "zero_inflation", "link"])
def test_sizes_of_the_score_tests(name):
    """400 right models: statistics have mean 0 and variance 1 (the link test's a mean of 1), within 4 standard errors."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((200, 2))
    mu = np.exp(0.6 + x @ [0.3, 0.2])
    found = []
    for _ in range(400):
        y = rng.poisson(mu).astype(float)
        d = ff.GLM("poisson").fit(x, y).diagnostics(x, y)
        found.append(getattr(ff.checks, name)(d))
    statistic = np.array([check.statistic for check in found])
    rejected = np.mean([check.p_value < 0.1 for check in found])
    assert abs(rejected - 0.1) < 4 * np.sqrt(0.09 / 400)
    if name == "link":
        assert abs(statistic.mean() - 1.0) < 4 * np.sqrt(2 / 400)
    else:
        assert abs(statistic.mean()) < 4 / 20
        assert abs(statistic.std() - 1.0) < 4 / np.sqrt(800)


def test_frequencies_are_repetitions():
    table = QUINE.groupby(["eth", "sex", "age", "lrn", "days"], observed=True).size().reset_index(name="f")
    model = ff.GLM("poisson", formula=DAYS, weight_type="frequency").fit(table, sample_weight="f")
    d, (_, many) = model.diagnostics(table, sample_weight="f"), poisson_fit()
    for check in (ff.checks.overdispersion, ff.checks.zero_inflation, ff.checks.link):
        assert check(d).statistic == pytest.approx(check(many).statistic, rel=1e-8)


def test_results_print_what_they_say():
    _, d = poisson_fit()
    text = repr(ff.checks.zero_inflation(d)).splitlines()
    assert text[0].startswith("van den Broek's score test for zero-inflation: ")
    assert text[1] == "null hypothesis: zeros are those of the poisson family"
    assert "zeros observed: 9" in text


def test_what_cannot_be_tested_is_refused():
    _, d = poisson_fit()
    births = ff.datasets.load("birthwt")
    b = ff.GLM("binomial", formula="low ~ age + lwt").fit(births).diagnostics(births)
    trees = ff.datasets.load("trees")
    g = ff.GLM("gamma", formula="volume ~ girth").fit(trees).diagnostics(trees)
    weighted = ff.GLM("poisson", formula=DAYS).fit(QUINE, sample_weight=np.full(146, 2.0))
    w = weighted.diagnostics(QUINE, sample_weight=np.full(146, 2.0))
    cases = [
        (lambda: ff.checks.overdispersion(b), "cannot be overdispersed"),
        (lambda: ff.checks.overdispersion(g), "not in the gamma family"),
        (lambda: ff.checks.overdispersion(g, "pearson"), "dispersion of its own"),
        (lambda: ff.checks.overdispersion(w), "no frequencies"),
        (lambda: ff.checks.overdispersion(d, "lrt"), "method: 'lrt'"),
        (lambda: ff.checks.zero_inflation(g), "models of counts"),
        (lambda: ff.checks.zero_inflation(w), "no frequencies"),
        (lambda: ff.checks.link(d, 1), "at least 2"),
        (lambda: ff.checks.uniformity(QUINE), "model.diagnostics"),
        (lambda: ff.checks.hosmer_lemeshow(d), "binomial models"),
        (lambda: ff.checks.hosmer_lemeshow(b, 2), "at least 3"),
        (lambda: ff.checks.calibration(births["low"]), "predicted probabilities"),
        (lambda: ff.checks.calibration([0, 1], [0.2, 1.0]), "strictly between 0 and 1"),
        (lambda: ff.checks.calibration([0, 2], [0.2, 0.5]), "y must be"),
        (lambda: ff.checks.calibration([0, 1], [0.2, 0.5, 0.1]), "must agree"),
        (lambda: ff.checks.calibration([0, 1, 1], [0.5, 0.5, 0.5]), "do not vary"),
        (lambda: ff.checks.calibration([0, 0, 1], [0.2, 0.3, 0.5]), "separate"),
    ]  # fmt: skip
    for case, message in cases:
        with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
            case()


def test_a_linear_predictor_of_few_values_cannot_be_tested():
    wool = ff.datasets.load("warpbreaks")
    d = ff.GLM("poisson", formula="breaks ~ wool").fit(wool).diagnostics(wool)
    with pytest.raises(ff.InputError, match="combinations of the columns"):
        ff.checks.link(d)
