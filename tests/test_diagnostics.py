"""Diagnostics against plain formulas, exact refits, statsmodels, and the laws they obey."""

from __future__ import annotations

import math
import tracemalloc
import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special, stats

import fisherfit as ff
from fisherfit.anscombe import anscombe
from fisherfit.diagnostics import COLUMNS
from fisherfit.families import ExponentialDispersion
from fisherfit.rowwise import base_terms_by_row, objectives
from fisherfit.tails import normal_scores, tails

RNG = np.random.default_rng(11)
N = 120
X = RNG.standard_normal((N, 3)) * [1.0, 30.0, 0.1] + [0.0, 50.0, 1.0]
ETA = 0.2 + X @ [0.4, 0.006, 0.5]
MU = np.exp(ETA)
WEIGHT = RNG.uniform(0.5, 3.0, N)
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N),
    "binomial": (RNG.random(N) < special.expit(ETA - 1.0)).astype(float),
    "poisson": RNG.poisson(MU).astype(float),
    "gamma": MU * RNG.gamma(3.0, 1.0 / 3.0, N),
    "inverse_gaussian": RNG.wald(MU, 8.0),
    "negative_binomial": RNG.poisson(MU * RNG.gamma(2.0, 0.5, N)).astype(float),
    "tweedie": np.array([RNG.gamma(2.0, 0.5, k).sum() for k in RNG.poisson(MU)]),
    "geometric": RNG.geometric(1.0 / (1.0 + MU)) - 1.0,
}
SM = {
    "normal": sm.families.Gaussian(),
    "binomial": sm.families.Binomial(),
    "poisson": sm.families.Poisson(),
    "gamma": sm.families.Gamma(sm.families.links.Log()),
    "inverse_gaussian": sm.families.InverseGaussian(sm.families.links.Log()),
    "tweedie": sm.families.Tweedie(sm.families.links.Log(), var_power=1.5),
    "geometric": sm.families.NegativeBinomial(sm.families.links.Log(), alpha=1.0),
}


def of(family, y=None, x=X, **arguments):
    y = RESPONSES[family] if y is None else y
    fit = {k: arguments.pop(k) for k in ("sample_weight", "offset", "exposure") if k in arguments}
    model = ff.GLM(family, **arguments).fit(x, y, **fit)
    return model, model.diagnostics(x, y, **fit)


# residuals


@pytest.mark.parametrize("family", SM)
@pytest.mark.parametrize("weighted", [False, True])
def test_residuals_and_influence_are_those_of_statsmodels(family, weighted):
    weight = WEIGHT if weighted else None
    _, d = of(family, sample_weight=weight)
    design = sm.add_constant((X - X.mean(axis=0)) / X.std(axis=0))  # its columns are not standardised there
    found = sm.GLM(RESPONSES[family], design, family=SM[family], var_weights=weight).fit(
        tol=1e-14, tol_criterion="params", maxiter=300
    )
    pairs = [
        (d.fitted, found.mu), (d.resid_response, found.resid_response), (d.resid_pearson, found.resid_pearson),
        (d.resid_deviance, found.resid_deviance), (d.resid_working, found.resid_working),
        (d.leverage, found.get_hat_matrix_diag(observed=False)),
    ]  # fmt: skip
    if family != "tweedie":
        pairs.append((d.resid_anscombe, found.resid_anscombe_unscaled))
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * np.abs(theirs).max())


def test_plain_formulas_of_a_weighted_gamma_fit():
    y = RESPONSES["gamma"]
    model, d = of("gamma", sample_weight=WEIGHT)
    design = np.column_stack([np.ones(N), X])
    mu = np.exp(design @ model.result_.coefficients)
    q, _ = np.linalg.qr(np.sqrt(WEIGHT)[:, None] * design)
    h = (q**2).sum(axis=1)
    pearson = np.sqrt(WEIGHT) * (y - mu) / mu
    deviance = np.sign(y - mu) * np.sqrt(2.0 * WEIGHT * ((y - mu) / mu - np.log(y / mu)))
    phi = float(np.sum(pearson**2)) / (N - 4)
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(d.leverage, h, **close)
    np.testing.assert_allclose(d.resid_pearson, pearson, **close)
    np.testing.assert_allclose(d.resid_deviance, deviance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(d.resid_anscombe, 3.0 * np.sqrt(WEIGHT) * (y ** (1 / 3) - mu ** (1 / 3)) / mu ** (1 / 3),
                               rtol=1e-9, atol=1e-12)  # fmt: skip
    np.testing.assert_allclose(d.std_pearson, pearson / np.sqrt(phi * (1 - h)), **close)
    np.testing.assert_allclose(d.std_deviance, deviance / np.sqrt(phi * (1 - h)), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(d.cooks_distance, (pearson / (1 - h)) ** 2 * h / (phi * 4), rtol=1e-10)
    shape = WEIGHT / phi
    np.testing.assert_allclose(d.resid_quantile, stats.norm.ppf(stats.gamma.cdf(y, shape, scale=mu / shape)), rtol=1e-8)


@pytest.mark.parametrize("family", RESPONSES)
def test_log_scores_sum_to_the_log_likelihood(family):
    model, d = of(family)
    assert d.log_score.sum() == pytest.approx(model.result_.llf, rel=1e-11)
    assert d.loo_log_score.sum() < model.result_.llf
    if family in SM:
        weight = np.round(4.0 * WEIGHT) if family == "binomial" else WEIGHT  # trials
        model, d = of(family, sample_weight=weight)
        assert d.log_score.sum() == pytest.approx(model.result_.llf, rel=1e-11)


@pytest.mark.parametrize("family", RESPONSES)
def test_leverage_sums_to_the_rank(family):
    _, d = of(family)
    assert d.leverage.sum() == pytest.approx(4.0, rel=1e-11)
    assert np.all((d.leverage > 0.0) & (d.leverage < 1.0))


def test_anscombe_residuals_are_their_integral():
    cases = [(ff.NegativeBinomial(alpha=0.7), lambda v: v + 0.7 * v * v), (ff.Tweedie(1.3), lambda v: v**1.3)]
    cases += [(ff.Binomial(), lambda v: v * (1 - v)), (ff.InverseGaussian(), lambda v: v**3)]
    for family, variance in cases:
        for y, mu in ((0.9, 0.35), (0.02, 0.35), (0.0 if family.name != "inverse_gaussian" else 0.1, 0.6)):
            exact = mpmath.quad(lambda v: 1 / mpmath.cbrt(variance(v)), [mu, (mu + y) / 2, y]) / variance(mu) ** (1 / 6)  # noqa: B023
            (found,) = anscombe(family, np.array([y]), np.array([mu]))
            assert found == pytest.approx(float(exact), rel=1e-8)


def test_anscombe_residuals_of_a_family_of_ones_own_are_integrated():
    class Own(ExponentialDispersion):
        name = "own"

        @staticmethod
        def unit_deviance(y, mu):
            return 2.0 * ((y * math.log(y / mu) if y > 0.0 else 0.0) - (y - mu))

        @staticmethod
        def unit_variance(mu):
            return mu, 1.0

        @staticmethod
        def base(y, phi):
            return 0.0, 0.0, 0.0

    y, mu = np.array([0.0, 0.3, 5.0, 80.0]), np.array([2.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(anscombe(Own(), y, mu), anscombe(ff.Poisson(), y, mu), rtol=1e-12)


# quantile residuals


def test_tails_keep_their_digits_far_out():
    y, mu = np.array([100.0, 0.0]), np.array([1.0, 700.0])
    found = normal_scores(tails(ff.Poisson(), y, [mu], 1.0), np.array([0.5, 0.5]))
    with mpmath.workdps(400):
        upper = mpmath.gammainc(100, 0, 1, regularized=True) / 2 + mpmath.gammainc(101, 0, 1, regularized=True) / 2
    assert special.log_ndtr(-found[0]) == pytest.approx(float(mpmath.log(upper)), rel=1e-10)
    assert special.log_ndtr(found[1]) == pytest.approx(-700.0 + math.log(0.5), rel=1e-10)
    assert np.isfinite(
        normal_scores(tails(ff.Gamma(), np.array([90.0]), [np.array([1.0])], 0.5), np.array([0.5]))
    ).all()


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "geometric", "binomial", "tweedie"])
def test_tails_agree_with_the_distribution_function(family):
    object_ = ff.families.get_family(family if family != "negative_binomial" else ff.NegativeBinomial(alpha=0.6))
    y, phi = np.arange(6.0), 1.0
    mu = np.linspace(0.5, 4.0, 6)
    if family == "binomial":
        y, phi, mu = np.arange(6.0) / 5.0, 0.2, np.linspace(0.1, 0.9, 6)
    more = (phi,) if family in ("tweedie", "binomial") else ()
    found = tails(object_, y, [mu], phi)
    np.testing.assert_allclose(found.up_to, object_.cdf(y, mu, *more), rtol=1e-12)
    np.testing.assert_allclose(found.above, 1.0 - object_.cdf(y, mu, *more), rtol=1e-9, atol=1e-12)
    if family != "tweedie":
        step = 0.2 if family == "binomial" else 1.0
        before = np.where(y > 0.0, object_.cdf(np.maximum(y - step, 0.0), mu, *more), 0.0)
        np.testing.assert_allclose(found.below, before, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(found.from_here, 1.0 - before, rtol=1e-9)


@pytest.mark.parametrize("family", RESPONSES)
def test_right_models_have_normal_quantile_residuals_and_wrong_ones_have_not(family):
    rng = np.random.default_rng(3)
    n = 3000
    x = rng.standard_normal((n, 2))
    mu = np.exp(0.8 + x @ [0.4, -0.3])
    object_ = ff.NegativeBinomial(alpha=0.8) if family == "negative_binomial" else ff.families.get_family(family)
    right = {"normal": rng.normal(np.log(mu), 0.5), "binomial": rng.binomial(12, special.expit(np.log(mu) - 0.8)),
             "gamma": object_.sample(rng, mu, 0.5) if family == "gamma" else None,
             "inverse_gaussian": object_.sample(rng, mu, 0.3) if family == "inverse_gaussian" else None,
             "tweedie": object_.sample(rng, mu, 0.8) if family == "tweedie" else None}.get(family)  # fmt: skip
    y = object_.sample(rng, mu) if right is None else right
    wrong = {
        "normal": np.log(mu) + rng.exponential(1.0, n),
        "binomial": rng.binomial(12, np.clip(special.expit(np.log(mu) - 0.8) * rng.uniform(0.5, 1.5, n), 0.0, 1.0)),
        "poisson": rng.poisson(mu * rng.gamma(2.0, 0.5, n)),
        "gamma": mu * rng.lognormal(0.0, 1.0, n),
        "inverse_gaussian": mu * rng.gamma(1.5, 1.0 / 1.5, n) + 1e-3,
        "negative_binomial": rng.poisson(mu) * (rng.random(n) < 0.6),
        "tweedie": np.where(rng.random(n) < 0.4, 0.0, mu * rng.gamma(5.0, 0.2, n)),
        "geometric": rng.poisson(mu),
    }[family]

    def check(response):
        counts = np.column_stack([response, 12 - response]) if family == "binomial" else response
        return ff.checks.uniformity(of(family, np.asarray(counts, float), x)[1])

    assert check(y).p_value > 0.05
    assert check(wrong).p_value < 1e-4


def test_random_numbers_of_quantile_residuals_are_the_users():
    model, d = of("poisson")
    again = model.diagnostics(X, RESPONSES["poisson"], random_state=0)
    other = model.diagnostics(X, RESPONSES["poisson"], random_state=1)
    np.testing.assert_array_equal(d.resid_quantile, again.resid_quantile)
    assert np.all(d.resid_quantile != other.resid_quantile)
    np.testing.assert_allclose(special.ndtri(d.uniform), d.resid_quantile, rtol=1e-9)
    jump = stats.poisson.pmf(RESPONSES["poisson"], d.fitted)
    assert np.all(np.abs(d.uniform - other.uniform) <= jump + 1e-12)


# leaving a row out


def test_a_linear_model_without_a_row_is_exact():
    model, d = of("normal")
    rows = [0, 17, 63]
    found = d.loo_estimates(rows)
    change = d.dfbetas(rows)
    cook = d.cooks_distance
    for row in rows:
        kept = np.arange(N) != row
        without = ff.GLM().fit(X[kept], RESPONSES["normal"][kept])
        np.testing.assert_allclose(found.loc[row], without.result_.coefficients, rtol=1e-9)
        moved = model.result_.coefficients - without.result_.coefficients
        np.testing.assert_allclose(change.loc[row], moved / model.result_.standard_errors, rtol=1e-7)
        design = np.column_stack([np.ones(N), X])
        distance = float(np.sum((design @ moved) ** 2)) / (4 * model.dispersion_)
        assert cook[row] == pytest.approx(distance, rel=1e-8)


@pytest.mark.parametrize(
    ("family", "link"),
    [("poisson", None), ("binomial", None), ("binomial", "probit"), ("gamma", None), ("inverse_gaussian", None), ("negative_binomial", None), ("tweedie", None), ("poisson", "sqrt")],
)  # fmt: skip
def test_one_step_without_a_row_is_right_to_second_order(family, link):
    """Every row repeated f times: one of the repetitions has an influence of 1 / f, and the error falls as 1 / f^2."""
    y, row = RESPONSES[family], 5
    keep = {"weight_type": "frequency", "link": link}
    errors, scores = [], []
    for f in (2.0, 4.0, 8.0, 16.0):
        every, less = np.full(N, f), np.full(N, f)
        less[row] -= 1.0
        model, d = of(family, y, sample_weight=every, **keep)
        exact = ff.GLM(family, **keep).fit(X, y, sample_weight=less)
        error = d.loo_estimates([row]).to_numpy()[0] - exact.result_.coefficients
        errors.append(np.max(np.abs(error) / (model.result_.standard_errors * f**0.5)))
        if not d.family.has_dispersion:
            mu = float(exact.predict(X[row : row + 1])[0])
            alpha = exact.alpha_ if family == "negative_binomial" else 1.0
            law = {"binomial": stats.bernoulli(mu), "poisson": stats.poisson(mu),
                   "negative_binomial": stats.nbinom(1 / alpha, 1 / (1 + alpha * mu))}[family]  # fmt: skip
            scores.append(abs(d.loo_log_score[row] - law.logpmf(y[row])))
    ratios = np.divide(errors[:-1], errors[1:])
    assert 3.2 < ratios[-1] < 4.8, errors
    assert errors[-1] < 1e-3
    if scores:
        assert 3.0 < scores[-2] / scores[-1] < 5.0, scores


@pytest.mark.parametrize("name", ["birthwt", "quine", "trees", "clotting"])
def test_one_step_estimates_on_the_shipped_sets(name):
    """Closer to the exact refits than to the estimates with all rows, by far."""
    data = ff.datasets.load(name)
    family, formula = {"birthwt": ("binomial", "low ~ age + lwt + race + smoke"),
                       "quine": ("poisson", "days ~ eth + sex + age + lrn"),
                       "trees": ("gamma", "volume ~ girth + height"),
                       "clotting": ("gamma", "seconds ~ lot + plasma")}[name]  # fmt: skip
    model = ff.GLM(family, formula=formula).fit(data)
    d = model.diagnostics(data)
    rows = d.influential(4).index
    found = d.loo_estimates(rows)
    for row in rows:
        without = ff.GLM(family, formula=formula).fit(data.drop(index=row)).result_.coefficients
        moved = np.abs(without - model.result_.coefficients) / model.result_.standard_errors
        error = np.abs(found.loc[row].to_numpy() - without) / model.result_.standard_errors
        assert error.max() < 0.3 * moved.max()


# rows that are not like the others


def test_frequency_weights_are_repeated_rows():
    f = RNG.integers(1, 5, N).astype(float)
    y = RESPONSES["negative_binomial"]
    for family in ("negative_binomial", "gamma"):
        z = y if family == "negative_binomial" else RESPONSES["gamma"]
        _, d = of(family, z, sample_weight=f, weight_type="frequency")
        longer = np.repeat(np.arange(N), f.astype(int))
        _, many = of(family, z[longer], X[longer])
        first = np.searchsorted(longer, np.arange(N))
        for name in set(COLUMNS) - {"resid_quantile", "response"}:
            np.testing.assert_allclose(getattr(d, name), getattr(many, name)[first], rtol=1e-7, atol=1e-9, err_msg=name)
        assert (f * d.leverage).sum() == pytest.approx(4.0)


def test_rows_of_weight_zero_and_rows_with_missing_values():
    table = pd.DataFrame(X, columns=list("abc"), index=[f"r{i}" for i in range(N)])
    table["y"] = RESPONSES["poisson"]
    table.loc["r3", "a"] = np.nan
    weight = np.ones(N)
    weight[7] = 0.0
    with pytest.warns(ff.MissingValuesWarning):
        model = ff.GLM("poisson", formula="y ~ a + b + c", missing="drop").fit(table, sample_weight=weight)
    d = model.diagnostics(table, sample_weight=weight)
    frame = d.frame()
    assert len(frame) == N - 1
    assert "r3" not in frame.index
    assert frame.index[3] == "r4"
    assert frame.loc["r7", ["resid_pearson", "leverage", "cooks_distance", "resid_quantile", "log_score"]].isna().all()
    assert np.isfinite(frame.loc["r7", "fitted"])
    kept = table.drop(index=["r3", "r7"])
    other = ff.GLM("poisson", formula="y ~ a + b + c").fit(kept).diagnostics(kept).frame()
    columns = [name for name in COLUMNS if name != "resid_quantile"]
    pd.testing.assert_frame_equal(frame.loc[kept.index, columns], other[columns], rtol=1e-7, atol=1e-10)
    assert np.isnan(d.loo_estimates(["r7"]).to_numpy()).all()


def test_separated_rows_are_fitted_exactly():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM("binomial", formula="HG ~ NV + PI + EH").fit(data)
    d = model.diagnostics(data)
    rows = data["NV"] == 1
    assert rows.sum() == d.separated.sum()
    frame = d.frame()
    np.testing.assert_array_equal(frame.loc[rows, "fitted"], data.loc[rows, "HG"])
    np.testing.assert_array_equal(frame.loc[rows, "resid_deviance"], 0.0)
    assert frame.loc[rows, "leverage"].isna().all()
    assert frame["leverage"].sum() == pytest.approx(3.0)
    assert np.isfinite(frame["resid_quantile"]).all()
    assert frame["log_score"].sum() == pytest.approx(model.result_.llf)
    loo = d.loo_estimates()
    assert loo["NV"].isna().all()
    assert np.isfinite(loo[["Intercept", "PI", "EH"]]).all(axis=None)


def test_aliased_columns_and_a_row_that_stands_alone():
    z = np.column_stack([X, X[:, 0] - X[:, 1], (np.arange(N) == 4).astype(float)])
    with pytest.warns(ff.RankWarning):
        model = ff.GLM().fit(z, RESPONSES["normal"])
    d = model.diagnostics(z, RESPONSES["normal"])
    assert d.rank == 5
    assert d.leverage.sum() == pytest.approx(5.0)
    assert d.leverage[4] == pytest.approx(1.0)
    assert np.isnan(d.cooks_distance[4])
    assert np.isnan(d.std_pearson[4])
    assert np.isnan(d.loo_log_score[4])
    assert np.isfinite(np.delete(d.cooks_distance, 4)).all()
    assert np.isnan(d.loo_estimates([4]).to_numpy()).all()


def test_sparse_rows_wherever_they_stand():
    import scipy.sparse as sp

    x = sp.random_array((N + 1, 5), density=0.3, rng=np.random.default_rng(4), format="csr")
    y = np.random.default_rng(5).poisson(2.0, N + 1).astype(float)
    d, dense = (ff.GLM("poisson").fit(z, y).diagnostics(z, y) for z in (x, x.toarray()))
    pd.testing.assert_frame_equal(d.frame(), dense.frame(), rtol=1e-8, atol=1e-10)
    rows = [0, 63, 64, N - 1, N]
    pd.testing.assert_frame_equal(d.dfbetas(rows), dense.dfbetas(rows), rtol=1e-7, atol=1e-10)


def test_alpha_at_its_bound_and_quasi_likelihoods():
    y = np.minimum(RESPONSES["poisson"], np.round(MU) + 1.0)
    with pytest.warns(ff.BoundaryWarning):
        model = ff.GLM("negative_binomial").fit(X, y)
    d, poisson = model.diagnostics(X, y), of("poisson", y)[1]
    columns = list(COLUMNS)
    pd.testing.assert_frame_equal(d.frame(columns), poisson.frame(columns), rtol=1e-7, atol=1e-10)
    assert d.loo_estimates()["alpha"].isna().all()
    assert np.isfinite(d.loo_estimates().drop(columns="alpha")).all(axis=None)
    model, quasi = of("poisson", y, dispersion="pearson")
    np.testing.assert_allclose(quasi.std_pearson * np.sqrt(model.dispersion_), poisson.std_pearson, rtol=1e-8)
    np.testing.assert_allclose(quasi.resid_quantile, poisson.resid_quantile, rtol=1e-7)
    assert ff.checks.link(quasi).law == "F with 1 and 115 df"


def test_binomial_counts_in_two_forms():
    beetles = ff.datasets.load("beetles")
    one = ff.GLM("binomial", formula="dead + alive ~ log_dose").fit(beetles)
    trials = beetles["dead"] + beetles["alive"]
    x, y = beetles[["log_dose"]], beetles["dead"] / trials
    two = ff.GLM("binomial").fit(x, y, sample_weight=trials)
    a, b = one.diagnostics(beetles).frame(), two.diagnostics(x, y, sample_weight=trials).frame()
    pd.testing.assert_frame_equal(a, b, rtol=1e-9, atol=1e-12)
    pearson = (beetles["dead"] - trials * a["fitted"]) / np.sqrt(trials * a["fitted"] * (1 - a["fitted"]))
    np.testing.assert_allclose(a["resid_pearson"], pearson, rtol=1e-9)


def test_a_family_of_ones_own_has_what_it_can_have():
    class Rayleigh(ff.Family):
        parameters = {"sigma": "positive"}
        support = ff.Support(0.0, lower_open=True)

        @staticmethod
        def log_density(y, sigma):
            return math.log(y) - 2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2

        def mean(self, sigma):
            return sigma * math.sqrt(math.pi / 2)

    y = RNG.rayleigh(MU)
    _, d = of(Rayleigh(), y)
    assert np.isnan(d.resid_deviance).all()
    assert np.isnan(d.resid_pearson).all()
    sigma = d.theta[0]
    np.testing.assert_allclose(d.log_score, np.log(y) - 2 * np.log(sigma) - 0.5 * (y / sigma) ** 2, rtol=1e-10)
    assert np.isfinite(d.loo_log_score).all()
    with pytest.raises(ff.InputError, match="has no cdf"):
        _ = d.resid_quantile
    with pytest.raises(ff.InputError, match="has no sample"):
        d.simulated()
    Rayleigh.cdf = lambda self, y, sigma: -np.expm1(-0.5 * (y / sigma) ** 2)
    Rayleigh.variance = lambda self, sigma: (2.0 - math.pi / 2) * sigma**2
    _, d = of(Rayleigh(), y)
    assert ff.checks.uniformity(d).p_value > 0.01
    np.testing.assert_allclose(d.resid_pearson, (y - d.fitted) / (math.sqrt(2 - math.pi / 2) * sigma), rtol=1e-8)


# the object


def test_rowwise_terms_are_those_of_the_density():
    y = RESPONSES["poisson"]
    model, d = of("poisson")
    kernels = d.maximum.likelihood.kernels
    total = objectives(kernels, y, np.ones(N), d.eta, 2) + base_terms_by_row(kernels, y, np.ones(N), np.ones(N), 1.0, 2)
    np.testing.assert_allclose(total, stats.poisson.logpmf(y, d.fitted), rtol=1e-12)
    assert model.result_.llf == pytest.approx(total.sum())


def test_the_frame_has_the_labels_of_the_input_and_columns_are_made_when_asked_for():
    import polars as pl

    table = pd.DataFrame(X, columns=list("abc"), index=pd.date_range("2020-01-01", periods=N))
    y = pd.Series(RESPONSES["poisson"], index=table.index)
    model = ff.GLM("poisson").fit(table, y)
    d = model.diagnostics(table, y)
    assert "resid_deviance" not in vars(d)
    assert d.frame(["fitted", "leverage"]).index.equals(table.index)
    assert list(d.frame()) == list(COLUMNS)
    assert d.influential(3).index[0] == table.index[np.argmax(d.cooks_distance)]
    other = ff.GLM("poisson").fit(pl.DataFrame(X, schema=list("abc")), RESPONSES["poisson"])
    plain = other.diagnostics(pl.DataFrame(X, schema=list("abc")), RESPONSES["poisson"]).frame()
    np.testing.assert_array_equal(plain.index, np.arange(N))
    with pytest.raises(AttributeError):
        d.random_state = 3
    assert repr(d) == "Diagnostics(poisson, 120 rows, 4 coefficients)"


def test_errors_say_what_to_do():
    model, d = of("poisson")
    with pytest.raises(ff.InputError, match="no column of the diagnostics"):
        d.frame(["cook"])
    with pytest.raises(ff.InputError, match="no row label"):
        d.loo_estimates([500])
    with pytest.raises(ff.InputError, match="not a parameter"):
        d.dfbetas([1], ["z"])
    with pytest.raises(ff.InputError, match="kind: 'raw'"):
        d.residuals("raw")
    with pytest.raises(ff.InputError, match="not the rows of the fit"):
        model.diagnostics(X, RESPONSES["poisson"][::-1])
    table = pd.DataFrame(X, columns=list("abc"), index=np.zeros(N, int))
    twice = ff.GLM("poisson").fit(table, RESPONSES["poisson"]).diagnostics(table, RESPONSES["poisson"])
    with pytest.raises(ff.InputError, match="not unique"):
        twice.dfbetas([0])
    assert len(twice.dfbetas()) == 10


def test_nothing_of_the_size_of_the_design_is_made():
    rng = np.random.default_rng(0)
    n, p = 100_000, 40
    x = rng.standard_normal((n, p))
    y = rng.poisson(np.exp(0.1 + 0.1 * x[:, 0])).astype(float)
    model = ff.GLM("poisson").fit(x, y)
    model.diagnostics(x[:], y).frame()
    tracemalloc.start()
    d = model.diagnostics(x, y)
    for name in COLUMNS:
        getattr(d, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * x.nbytes


def test_no_warnings_where_the_fit_gave_some():
    """Diagnostics of a saturated model: leverage 1 everywhere, and silence."""
    x = np.eye(4)[:, 1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ff.GLM("poisson").fit(x, [1.0, 2.0, 3.0, 4.0])
    frame = model.diagnostics(x, [1.0, 2.0, 3.0, 4.0]).frame()
    np.testing.assert_allclose(frame["leverage"], 1.0)
    assert frame["cooks_distance"].isna().all()


def test_an_exact_fit_has_no_standardised_residuals():
    y = 1.0 + X[:, 0]
    with pytest.warns(ff.ExactFitWarning):
        _, d = of("normal", y)
    frame = d.frame()
    lost = ["resid_quantile", "std_pearson", "std_deviance", "cooks_distance", "log_score", "loo_log_score"]
    assert frame[lost].isna().all(axis=None)
    assert frame["leverage"].sum() == pytest.approx(4.0)
    with pytest.raises(ff.InputError, match="exact fit"):
        ff.plots.qq(d)
