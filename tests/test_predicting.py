"""Standard errors of predictions, intervals for means and observations: against plain NumPy and the textbook."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fisherfit as ff

RNG = np.random.default_rng(11)
N = 120
X = RNG.standard_normal((N, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 2.0]
ETA = 0.2 + (X - X.mean(0)) @ [0.4, 0.03, 3.0]
WEIGHT = RNG.integers(1, 5, N).astype(float)
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
NEW = X[:7] * [1.5, 1.0, 0.9]


def by_hand(model, new, slope, offset=0.0):
    """The linear predictor and x'Vx, in plain NumPy."""
    z = np.column_stack([np.ones(len(new)), new])
    p = z.shape[1]
    v = model.result_.covariance[:p, :p]
    eta = z @ model.result_.coefficients[:p] + offset
    error = np.sqrt(np.array([row @ v @ row for row in z]))
    return eta, error, np.abs(slope(eta)) * error


@pytest.mark.parametrize("cov_type", ["expected", "HC1"])
@pytest.mark.parametrize("family", RESPONSES)
def test_standard_errors_are_the_quadratic_form(family, cov_type):
    model = ff.GLM(family, cov_type=cov_type).fit(X, RESPONSES[family])
    slope = {"normal": np.ones_like, "binomial": lambda e: stats.logistic.pdf(e)}.get(family, np.exp)
    eta, error, of_mean = by_hand(model, NEW, slope)
    link, mean = model.predict(NEW, kind="link", se=True), model.predict(NEW, se=True)
    assert list(link.columns) == ["link", "std err"]
    assert list(mean.columns) == ["mean", "std err"]
    np.testing.assert_allclose(link["link"], eta, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(link["std err"], error, rtol=1e-9)
    np.testing.assert_allclose(mean["std err"], of_mean, rtol=1e-9)
    np.testing.assert_array_equal(mean["mean"], model.predict(NEW))


@pytest.mark.parametrize("link", ["probit", "cloglog", "loglog", "cauchit"])
def test_the_delta_method_uses_the_slope_of_the_link(link):
    model = ff.GLM("binomial", link=link).fit(X, RESPONSES["binomial"])
    table = model.predict(NEW, kind="link", se=True)
    h = 1e-5
    slope = (
        model._predictor.mean(table["link"].to_numpy() + h) - model._predictor.mean(table["link"].to_numpy() - h)
    ) / (2 * h)
    np.testing.assert_allclose(model.predict(NEW, se=True)["std err"], slope * table["std err"], rtol=1e-7)


def test_many_rows_and_few_agree():
    model = ff.GLM("gamma").fit(X, RESPONSES["gamma"])
    many = np.tile(NEW, (2000, 1))
    few, all_of = model.predict(NEW, se=True), model.predict(many, se=True)
    np.testing.assert_allclose(all_of.to_numpy(), np.tile(few.to_numpy(), (2000, 1)), rtol=1e-11)


def test_tables_categories_offsets_and_labels():
    insurance = ff.datasets.load("insurance")
    model = ff.GLM(formula="claims ~ C(district) * age + np.log(holders)", family="poisson").fit(
        insurance, exposure="holders"
    )
    new = insurance.iloc[[5, 40, 63]].set_index(pd.Index(["a", "b", "c"]))
    table = model.predict(new, se=True)
    assert list(table.index) == ["a", "b", "c"]
    np.testing.assert_allclose(table["mean"], model.predict(new))
    from formulaic import model_matrix

    z = np.asarray(model_matrix("C(district) * age + np.log(holders)", insurance, context={"np": np}))[[5, 40, 63]]
    names = list(model_matrix("C(district) * age + np.log(holders)", insurance, context={"np": np}).columns)
    v = model.result_.cov_params().loc[names, names].to_numpy()
    expected = np.sqrt(np.einsum("ij,jk,ik->i", z, v, z)) * model.predict(new)
    np.testing.assert_allclose(table["std err"], expected, rtol=1e-8)
    twice = model.predict(new, exposure=2.0 * new["holders"].to_numpy(), se=True)
    np.testing.assert_allclose(twice, 2.0 * table, rtol=1e-12)


def test_a_sparse_fit_and_a_dense_one_agree():
    from scipy import sparse

    z = np.where(RNG.random((N, 3)) < 0.5, X, 0.0)
    dense = ff.GLM("poisson").fit(z, RESPONSES["poisson"])
    thin = ff.GLM("poisson").fit(sparse.csr_array(z), RESPONSES["poisson"])
    np.testing.assert_allclose(thin.predict(sparse.csr_array(z), se=True), dense.predict(z, se=True), rtol=1e-8)


def test_dependent_columns_leave_what_the_data_determine():
    z = np.column_stack([X, X[:, 0] + X[:, 1]])
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("gamma").fit(z, RESPONSES["gamma"])
    plain = ff.GLM("gamma").fit(X, RESPONSES["gamma"])
    table = model.predict(z[:5], se=True)
    np.testing.assert_allclose(table, plain.predict(X[:5], se=True), rtol=1e-8)
    off = z[:5].copy()
    off[2, 3] += 1.0
    errors = model.predict(off, se=True)["std err"].to_numpy()
    assert np.isnan(errors[2])
    np.testing.assert_allclose(errors[[0, 1, 3, 4]], table["std err"].to_numpy()[[0, 1, 3, 4]], rtol=1e-12)


def test_infinite_coefficients_give_the_whole_range():
    endometrial = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial").fit(endometrial)
    table = model.predict(endometrial, kind="link", se=True)
    separated = endometrial["NV"].to_numpy() == 1
    assert np.all(np.isinf(table["std err"][separated]))
    others = ff.GLM(formula="HG ~ PI + EH", family="binomial").fit(endometrial[~separated])
    expected = others.predict(endometrial[~separated], kind="link", se=True)["std err"]
    np.testing.assert_allclose(table["std err"][~separated], expected, rtol=1e-6)
    interval = model.predict_interval(endometrial)[separated]
    assert np.all(interval["lower"] == 0.0)
    assert np.all(interval["upper"] == 1.0)


@pytest.mark.parametrize("family", RESPONSES)
def test_the_interval_of_the_mean_is_that_of_the_link_transformed(family):
    model = ff.GLM(family).fit(X, RESPONSES[family])
    eta, error, _ = by_hand(model, NEW, np.ones_like)
    df = model.result_.df_resid if model.result_.use_t else np.inf
    q = stats.t.ppf(0.95, df)
    found = model.predict_interval(NEW, level=0.9)
    mean = model._predictor.mean
    np.testing.assert_allclose(found["lower"], mean(eta - q * error), rtol=1e-9)
    np.testing.assert_allclose(found["upper"], mean(eta + q * error), rtol=1e-9)
    delta, table = model.predict_interval(NEW, level=0.9, method="delta"), model.predict(NEW, se=True)
    np.testing.assert_allclose(delta["upper"], table["mean"] + q * table["std err"], rtol=1e-12)


def test_the_interval_of_a_mean_stays_in_its_range():
    y = np.array([1.0, 2.0, 1.0, 3.0, 2.0, 5.0])
    x = np.arange(6.0)[:, None]
    model = ff.GLM("poisson", link="identity").fit(x, y)
    found = model.predict_interval(x)
    assert (found["lower"] >= 0.0).all()
    assert (model.predict_interval(x, method="delta")["lower"] < 0.0).any()
    inverse = ff.GLM("gamma", link="inverse").fit(x, [1.0, 3.0, 2.0, 9.0, 8.0, 30.0])
    ends = inverse.predict_interval(x)
    assert (ends["lower"] < ends["upper"]).all()
    assert np.isinf(ends["upper"].iloc[-1])
    assert (ends["lower"] > 0.0).all()


def test_the_prediction_interval_of_the_normal_family_is_the_textbook_one():
    y, w = RESPONSES["normal"], WEIGHT
    model = ff.GLM().fit(X, y, sample_weight=w)
    z = np.column_stack([np.ones(N), X])
    g = np.linalg.inv(z.T * w @ z)
    b = g @ (z.T @ (w * y))
    s2 = float(w @ (y - z @ b) ** 2) / (N - 4)
    new, nw = np.column_stack([np.ones(7), NEW]), np.arange(1.0, 8.0)
    half = stats.t.ppf(0.975, N - 4) * np.sqrt(s2 * (1.0 / nw + np.einsum("ij,jk,ik->i", new, g, new)))
    found = model.predict_interval(NEW, kind="observation", sample_weight=nw)
    np.testing.assert_allclose(found["lower"], new @ b - half, rtol=1e-8)
    np.testing.assert_allclose(found["upper"], new @ b + half, rtol=1e-8)
    plug = model.predict_interval(NEW, kind="observation", method="plug-in")
    np.testing.assert_allclose(plug["upper"] - plug["lower"], 2 * stats.norm.ppf(0.975) * np.sqrt(s2), rtol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mode"}, "choose 'mean' or 'observation'"),
        ({"level": 1.0}, "level must lie strictly between"),
        ({"method": "plug-in"}, "choose 'link' or 'delta'"),
        ({"sample_weight": 2.0}, "a mean has no weight"),
        ({"kind": "observation", "sample_weight": 2.0}, "poisson family has no weight"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, message):
    model = ff.GLM("poisson").fit(X, RESPONSES["poisson"])
    with pytest.raises(ff.InputError, match=message):
        model.predict_interval(NEW, **arguments)


def test_what_has_no_distribution_says_so():
    quasi = ff.GLM("poisson", dispersion="pearson").fit(X, RESPONSES["poisson"])
    with pytest.raises(ff.InputError, match="quasi-poisson"):
        quasi.predict_distribution(NEW)
    assert quasi.predict_interval(NEW).shape == (7, 2)
    binomial = ff.GLM("binomial").fit(X, RESPONSES["binomial"])
    with pytest.raises(ff.InputError, match="whole numbers of trials"):
        binomial.predict_distribution(NEW, sample_weight=2.5)
    frequency = ff.GLM(weight_type="frequency").fit(X, RESPONSES["normal"], sample_weight=WEIGHT)
    with pytest.raises(ff.InputError, match="weight_type='frequency'"):
        frequency.predict_distribution(NEW, sample_weight=2.0)
    with pytest.raises(ff.InputError, match="kind"):
        binomial.predict(NEW, kind="odds", se=True)


SIMULATED = {
    "normal": (ff.GLM("normal"), lambda rng, eta: eta + rng.standard_normal(eta.size)),
    "poisson": (ff.GLM("poisson"), lambda rng, eta: rng.poisson(np.exp(eta)).astype(float)),
    "binomial": (ff.GLM("binomial"), lambda rng, eta: rng.binomial(20, 1 / (1 + np.exp(-eta))) / 20.0),
    "gamma": (ff.GLM("gamma"), lambda rng, eta: rng.gamma(4.0, np.exp(eta) / 4.0)),
    "inverse_gaussian": (ff.GLM("inverse_gaussian"), lambda rng, eta: rng.wald(np.exp(eta), 8.0)),
    "negative_binomial": (
        ff.GLM("negative_binomial"),
        lambda rng, eta: rng.negative_binomial(3.0, 3.0 / (3.0 + np.exp(eta))).astype(float),
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fisherfit.BoundaryWarning")
@pytest.mark.parametrize("family", SIMULATED)
def test_coverage(family):
    """Intervals hold a new observation as often as they say: within 4 standard errors, more often for counts."""
    rng = np.random.default_rng(2024)
    model, draw = SIMULATED[family]
    runs, n, held, mean_held = 500, 40, 0, 0
    trials = 20.0 if family == "binomial" else None
    for _ in range(runs):
        x = rng.standard_normal((n + 1, 2))
        eta = 1.0 + x @ [0.5, -0.4]
        y = draw(rng, eta)
        fitted = model.fit(x[:n], y[:n], sample_weight=None if trials is None else np.full(n, trials))
        ends = fitted.predict_interval(x[n:], kind="observation", level=0.9, sample_weight=trials).to_numpy()[0]
        held += ends[0] - 1e-9 <= y[n] <= ends[1] + 1e-9
        low, high = fitted.predict_interval(x[n:], level=0.9).to_numpy()[0]
        mean_held += low <= fitted._predictor.mean(eta[n:])[0] <= high
    tolerance = 4 * np.sqrt(0.09 / runs)
    discrete = family in ("poisson", "binomial", "negative_binomial")
    assert held / runs >= 0.9 - tolerance
    assert held / runs <= (0.985 if discrete else 0.9 + tolerance)
    assert abs(mean_held / runs - 0.9) <= tolerance + 0.02


@pytest.mark.parametrize("family", ["normal", "poisson", "negative_binomial"])
@pytest.mark.parametrize("cov_type", ["expected", "HC1"])
def test_columns_far_from_zero_keep_their_digits(family, cov_type):
    model = ff.GLM(family, cov_type=cov_type).fit(X, RESPONSES[family])
    far = ff.GLM(family, cov_type=cov_type).fit(X + 2.0**26, RESPONSES[family])
    rounded = (X + 2.0**26) - 2.0**26
    near = ff.GLM(family, cov_type=cov_type).fit(rounded, RESPONSES[family])
    table = far.predict(NEW + 2.0**26, se=True)
    np.testing.assert_allclose(table, near.predict((NEW + 2.0**26) - 2.0**26, se=True), rtol=1e-7, atol=1e-6)
    # adding 2^26 rounds the columns to 1.5e-8: the answer is near that of the unrounded ones
    np.testing.assert_allclose(table, model.predict(NEW, se=True), rtol=1e-5, atol=1e-5)
    margins = far.marginal_effects(X + 2.0**26)["std err"]
    np.testing.assert_allclose(margins, near.marginal_effects(rounded)["std err"], rtol=2e-6)  # 8 of 16 digits are left
    if family == "negative_binomial":
        one, other = far.predict_distribution(NEW + 2.0**26), near.predict_distribution((NEW + 2.0**26) - 2.0**26)
        np.testing.assert_allclose(one.pmf(3), other.pmf(3), rtol=1e-7)
