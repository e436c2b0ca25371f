"""Predictive distributions: against direct integration, and their laws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import fisherfit as ff

RNG = np.random.default_rng(3)
N = 60
X = RNG.standard_normal((N, 2))
ETA = 1.0 + X @ [0.6, -0.3]
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < 1.0 / (1.0 + np.exp(-ETA))).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
    "inverse_gaussian": RNG.wald(np.exp(ETA), 2.0),
    "tweedie": ff.Tweedie().sample(RNG, np.exp(ETA), 0.7),
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(2.0, 0.5, N)).astype(float),
    "geometric": RNG.geometric(1.0 / (1.0 + np.exp(ETA))) - 1.0,
}
NEW = np.array([[0.0, 0.0], [2.5, -1.0], [-2.0, 2.0]])
DISCRETE = ("poisson", "binomial", "negative_binomial", "geometric")


def fit(family: str, rows: int = N) -> ff.GLM:
    return ff.GLM(family).fit(X[:rows], RESPONSES[family][:rows])


def new(family: str, **arguments: object):
    if family == "binomial":
        arguments.setdefault("sample_weight", 12.0)
    return fit(family).predict_distribution(NEW, **arguments)


def over_eta(function, eta, se):
    """The mean of a function over a normal linear predictor, by adaptive quadrature."""
    points = np.linspace(-9.0, 9.0, 19)
    return sum(
        integrate.quad(
            lambda z: function(eta + se * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi),
            a,
            b,
            epsabs=1e-14,
            epsrel=1e-12,
        )[0]
        for a, b in pairwise(points)
    )


@pytest.mark.parametrize("family", ["poisson", "binomial", "geometric"])
def test_discrete_distributions_by_direct_integration(family):
    model = fit(family)
    law, rows = new(family), model.predict(NEW, kind="link", se=True).to_numpy()
    ks = [0, 2, 7]
    cdf = {
        "poisson": lambda k, e: stats.poisson.cdf(k, np.exp(e)),
        "binomial": lambda k, e: stats.binom.cdf(k, 12, special.expit(e)),
        "geometric": lambda k, e: stats.nbinom.cdf(k, 1, 1 / (1 + np.exp(e))),
    }[family]
    pmf = {
        "poisson": lambda k, e: stats.poisson.pmf(k, np.exp(e)),
        "binomial": lambda k, e: stats.binom.pmf(k, 12, special.expit(e)),
        "geometric": lambda k, e: stats.nbinom.pmf(k, 1, 1 / (1 + np.exp(e))),
    }[family]
    unit = 12.0 if family == "binomial" else 1.0
    for i, (eta, se) in enumerate(rows):
        for k in ks:
            assert law.cdf(k / unit)[i] == pytest.approx(over_eta(lambda e, k=k: cdf(k, e), eta, se), abs=1e-9)
            assert law.pmf(k / unit)[i] == pytest.approx(
                over_eta(lambda e, k=k: pmf(k, e), eta, se), rel=1e-8, abs=1e-12
            )


@pytest.mark.parametrize("df", [7, 57, 97])
def test_the_gamma_distribution_by_direct_integration(df):
    """Over the linear predictor and the dispersion, phi^ df / chi2: both widths move together."""
    rng = np.random.default_rng(df)
    x = rng.standard_normal((df + 3, 2))
    model = ff.GLM("gamma").fit(x, rng.gamma(3.0, np.exp(0.5 + x @ [0.3, 0.2])))
    eta, se = model.predict(NEW[1:2], kind="link", se=True).to_numpy()[0]
    phi = model.result_.dispersion
    law = model.predict_distribution(NEW[1:2])
    y = 1.7 * float(np.exp(eta))

    def inner(u):  # u = log(chi2 / df)
        s = np.exp(u)
        z = np.linspace(-8.5, 8.5, 400)
        w = np.exp(-0.5 * z * z)
        each = stats.gamma.cdf(y, s / phi, scale=phi / s * np.exp(np.clip(eta + se * z / np.sqrt(s), -300.0, 300.0)))
        return float(each @ w / w.sum()) * stats.chi2.pdf(df * s, df) * df * s

    width = np.sqrt(2.0 / df)
    edges = np.linspace(-20.0 * width, 8.0 * width, 12)
    expected = sum(integrate.quad(inner, a, b, epsabs=1e-13)[0] for a, b in pairwise(edges))
    assert law.cdf(y)[0] == pytest.approx(expected, abs=1e-8)
    assert law.cdf(law.ppf(0.975))[0] == pytest.approx(0.975, abs=1e-11)


def test_the_negative_binomial_distribution_by_direct_integration():
    model = fit("negative_binomial")
    law = model.predict_distribution(NEW[:1])
    eta, se = model.predict(NEW[:1], kind="link", se=True).to_numpy()[0]
    alpha, error = model.alpha_, model.result_.bse["alpha"] / model.alpha_
    z = np.linspace(-8.0, 8.0, 301)
    w = np.exp(-0.5 * z * z)
    w /= w.sum()
    names = list(model.result_.names)
    c = model.result_.covariance[names.index("Intercept"), names.index("alpha")] / model.alpha_ / se
    rest = np.sqrt(error**2 - c**2)
    a = alpha * np.exp(c * z[:, None] + rest * z)
    mu = np.exp(eta + se * z)[:, None]
    for k in (0, 3, 20):
        expected = w @ stats.nbinom.cdf(k, 1 / a, 1 / (1 + a * mu)) @ w
        assert law.cdf(k)[0] == pytest.approx(expected, abs=1e-8)


def test_large_counts_are_not_a_staircase():
    """A Poisson law far narrower than the uncertainty of its mean."""
    x = np.linspace(-1, 1, 5)[:, None]
    model = ff.GLM("poisson").fit(x, [40_000.0, 50_100.0, 61_000.0, 74_000.0, 91_000.0])
    far = np.array([[8.0]])
    eta, se = model.predict(far, kind="link", se=True).to_numpy()[0]
    law = model.predict_distribution(far)
    y = np.exp(eta + np.array([-1.0, 0.3, 1.1]) * se)
    expected = [over_eta(lambda e, v=v: stats.norm.cdf((v - np.exp(e)) / np.exp(0.5 * e)), eta, se) for v in y]
    np.testing.assert_allclose(law.cdf(y[:, None])[:, 0], expected, atol=2e-5)  # the rest is skewness
    z = special.ndtri(law.cdf(np.exp(eta + np.linspace(-2, 2, 301) * se)[:, None])[:, 0])
    assert np.abs(np.diff(z, 2)).max() < 1e-3


@pytest.mark.parametrize("family", RESPONSES)
def test_quantiles_invert_the_distribution_function(family):
    law = new(family)
    p = np.array([0.003, 0.5, 0.999])[:, None]
    y = law.ppf(p)
    assert y.shape == (3, 3)
    if family in DISCRETE:
        unit = 12.0 if family == "binomial" else 1.0
        assert np.all(law.cdf(y) >= p - 1e-12)
        assert np.all(law.cdf(y - 1.0 / unit) < p)
    else:
        inside = y > 0.0 if family == "tweedie" else np.ones(y.shape, bool)
        np.testing.assert_allclose(law.cdf(y)[inside], np.broadcast_to(p, y.shape)[inside], rtol=1e-9)
        assert np.all(law.cdf(y)[~inside] >= np.broadcast_to(p, y.shape)[~inside])
    assert np.all(np.diff(y, axis=0) >= 0.0)
    low, high = law.family.support.lower, law.family.support.upper
    np.testing.assert_array_equal(law.ppf(0.0), np.full(3, low))
    np.testing.assert_array_equal(law.ppf(1.0), np.full(3, high))
    ends = law.interval(0.8)
    np.testing.assert_array_equal(ends["lower"], law.ppf(0.5 - 0.5 * 0.8))


@pytest.mark.parametrize("family", DISCRETE)
def test_probabilities_sum_to_one_and_give_the_moments(family):
    law = new(family)
    unit = 12.0 if family == "binomial" else 1.0
    k = np.arange(13 if family == "binomial" else 6000)[:, None] / unit
    p = law.pmf(k)
    np.testing.assert_allclose(p.sum(0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(np.cumsum(p, 0)[:12], law.cdf(k[:12]), rtol=1e-9)
    np.testing.assert_allclose((p * k).sum(0), law.mean(), rtol=1e-7)
    np.testing.assert_allclose((p * k**2).sum(0) - law.mean() ** 2, law.variance(), rtol=1e-5)
    assert np.all(law.pmf(0.5 / unit) == 0.0)
    with pytest.raises(ff.InputError, match="use pmf"):
        law.pdf(1.0)


@pytest.mark.parametrize("family", ["normal", "gamma", "inverse_gaussian", "tweedie"])
def test_densities_are_derivatives_of_the_distribution_function(family):
    law = new(family)
    y = law.ppf(np.array([0.4, 0.6, 0.95])[:, None])
    h = 1e-4 * y
    slope = (8 * (law.cdf(y + h) - law.cdf(y - h)) - (law.cdf(y + 2 * h) - law.cdf(y - 2 * h))) / (12 * h)
    inside = y > 0.0
    np.testing.assert_allclose(law.pdf(y)[inside], slope[inside], rtol=1e-6)
    np.testing.assert_allclose(law.logpdf(y), np.log(law.pdf(y)), rtol=1e-12)
    if family == "tweedie":
        np.testing.assert_allclose(law.pdf(0.0), law.cdf(0.0), rtol=1e-9)
    elif family != "normal":
        np.testing.assert_array_equal(law.pdf(-1.0), 0.0)
    with pytest.raises(ff.InputError, match="use pdf"):
        law.pmf(1.0)


@pytest.mark.parametrize("family", RESPONSES)
def test_draws_follow_the_distribution(family):
    law = new(family)
    draws = law.sample(4000, random_state=5)
    assert draws.shape == (4000, 3)
    np.testing.assert_array_equal(draws, law.sample(4000, random_state=5))
    assert law.sample(random_state=1).shape == (3,)
    values = np.sort(draws[:, 1])
    at = np.unique(values)[:: max(1, np.unique(values).size // 60)]
    exact = np.array([law.cdf(v)[1] for v in at])
    empirical = np.searchsorted(values, at + 1e-9, side="right") / values.size
    assert np.abs(exact - empirical).max() < 1.95 / np.sqrt(4000)  # Kolmogorov's bound at 0.001


@pytest.mark.parametrize("family", RESPONSES)
def test_without_uncertainty_it_is_the_family_at_the_estimates(family):
    model = fit(family)
    law = new(family, parameter_uncertainty=False)
    mu, phi = model.predict(NEW), model.result_.dispersion
    arguments = {
        "poisson": (),
        "negative_binomial": (model.alpha_,) if family == "negative_binomial" else (),
        "geometric": (),
        "binomial": (1 / 12.0,),
    }.get(family, (phi,))
    found = model._predictor.family
    y = np.asarray(found.ppf(0.7, mu, *arguments))
    np.testing.assert_allclose(law.ppf(0.7), y, rtol=1e-9)
    np.testing.assert_allclose(law.cdf(y), found.cdf(y, mu, *arguments), rtol=1e-11)
    np.testing.assert_allclose(law.mean(), mu, rtol=1e-12)
    np.testing.assert_allclose(law.variance(), found.variance(mu, *arguments), rtol=1e-10)
    wide = new(family)
    assert np.all(wide.variance() > law.variance())


def test_the_normal_distribution_is_students_t():
    model = fit("normal")
    law, rows = model.predict_distribution(NEW), model.predict(NEW, se=True).to_numpy()
    t = stats.t(model.result_.df_resid, rows[:, 0], np.sqrt(model.result_.dispersion + rows[:, 1] ** 2))
    y = np.array([0.0, 1.0, 4.0])
    for name, argument in (("cdf", y), ("pdf", y), ("logpdf", y), ("ppf", np.full(3, 0.3))):
        np.testing.assert_allclose(getattr(law, name)(argument), getattr(t, name)(argument), rtol=1e-10)
    np.testing.assert_allclose(law.variance(), t.var(), rtol=1e-12)


def test_a_normal_family_with_a_log_link_is_integrated():
    y = np.exp(0.5 * ETA) + 0.1 * RNG.standard_normal(N)
    model = ff.GLM("normal", link="log").fit(X, y)
    law = model.predict_distribution(NEW)
    np.testing.assert_allclose(law.cdf(law.ppf(0.9)), 0.9, rtol=1e-9)
    draws = law.sample(3000, random_state=0)
    assert abs(np.mean(draws[:, 1] <= law.ppf(0.9)[1]) - 0.9) < 4 * np.sqrt(0.09 / 3000)


def test_the_weight_of_a_new_row_divides_its_variance():
    model = fit("gamma")
    one, four = model.predict_distribution(NEW, False), model.predict_distribution(NEW, False, sample_weight=4.0)
    np.testing.assert_allclose(one.variance(), 4.0 * four.variance(), rtol=1e-12)


def test_alpha_at_its_bound_is_the_poisson_law():
    y = np.tile([1.0, 2.0, 3.0, 2.0], 15)
    with pytest.warns(ff.BoundaryWarning):
        model = ff.GLM("negative_binomial").fit(X, y)
    law, poisson = model.predict_distribution(NEW), ff.GLM("poisson").fit(X, y).predict_distribution(NEW)
    for k in (0, 2, 5):
        np.testing.assert_allclose(law.cdf(k), poisson.cdf(k), rtol=1e-7)
        np.testing.assert_allclose(law.pmf(k), poisson.pmf(k), rtol=1e-7)
    np.testing.assert_array_equal(law.ppf(0.9), poisson.ppf(0.9))
    assert np.isfinite(law.sample(random_state=0)).all()


def test_unknown_rows_are_nan_and_shapes_are_checked():
    z = np.column_stack([X, X[:, 0]])
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("poisson").fit(z, RESPONSES["poisson"])
    law = model.predict_distribution([[1.0, 0.0, 1.0], [1.0, 0.0, 2.0]])
    for values in (law.cdf(2.0), law.ppf(0.5), law.pmf(1.0), law.mean(), law.sample(random_state=0)):
        assert np.isfinite(values[0])
        assert np.isnan(values[1])
    with pytest.raises(ff.InputError, match="2 rows"):
        law.cdf([1.0, 2.0, 3.0])
    with pytest.raises(ff.InputError, match="level"):
        law.interval(95)
    with pytest.raises(ff.InputError, match="size"):
        law.sample(2.5)
    assert "2 rows" in repr(law)


class Plain(ff.Family):
    name = "plain"
    parameters = {"mu": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, mu):
        return -y / mu - np.log(mu)


class Exponential(Plain):
    name = "exponential"

    def variance(self, mu):
        return mu * mu

    def cdf(self, y, mu):
        return -np.expm1(-np.maximum(y, 0.0) / mu)


def test_a_family_of_ones_own():
    y = RNG.exponential(np.exp(0.3 * ETA))
    bare = ff.GLM(Plain()).fit(X, y).predict_distribution(NEW)
    with pytest.raises(ff.InputError, match="has no cdf; define"):
        bare.cdf(1.0)
    with pytest.raises(ff.InputError, match="has no sample"):
        bare.sample()
    with pytest.raises(ff.InputError, match="variance"):
        bare.variance()
    law = ff.GLM(Exponential()).fit(X, y).predict_distribution(NEW)
    np.testing.assert_allclose(law.cdf(law.ppf(0.4)), 0.4, rtol=1e-10)
    eta, se = ff.GLM(Exponential()).fit(X, y).predict(NEW[:1], kind="link", se=True).to_numpy()[0]
    assert law.cdf(1.2)[0] == pytest.approx(over_eta(lambda e: -np.expm1(-1.2 / np.exp(e)), eta, se), abs=1e-10)
    assert law.pdf(1.2)[0] == pytest.approx(over_eta(lambda e: np.exp(-1.2 / np.exp(e) - e), eta, se), rel=1e-9)
