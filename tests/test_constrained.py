"""Constraints and bounds: against fits of fewer columns, the conditions of a maximum, and other programs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special
from sklearn.base import clone

import fisherfit as ff

RNG = np.random.default_rng(8)
N = 150
X = pd.DataFrame(
    RNG.standard_normal((N, 4)) * [1.0, 20.0, 0.02, 1.0] + [0.0, 100.0, 0.0, 2.0], columns=["a", "b", "c", "d"]
)
ETA = 0.2 + X.to_numpy() @ [0.4, 0.004, 5.0, 0.05]
RESPONSE = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < special.expit(ETA)).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(2.0, 0.5, N)).astype(float),
}


def fit(family, **arguments):
    return ff.GLM(family, **arguments).fit(X, RESPONSE[family])


@pytest.mark.parametrize("cov_type", ["expected", "observed", "HC0"])
@pytest.mark.parametrize("family", RESPONSE)
def test_equalities_are_a_fit_of_fewer_columns(family, cov_type):
    """a + d = 0.3: eta = 0.3 d + a (a - d) + ..."""
    model = fit(family, constraints="a + d = 0.3", cov_type=cov_type)
    fewer = pd.DataFrame({"a": X["a"] - X["d"], "b": X["b"], "c": X["c"]})
    other = ff.GLM(family, cov_type=cov_type).fit(fewer, RESPONSE[family], offset=0.3 * X["d"])
    r, o = model.result_, other.result_
    for name in ("Intercept", "a", "b", "c"):
        assert r.params[name] == pytest.approx(o.params[name], rel=1e-9)
        assert r.bse[name] == pytest.approx(o.bse[name], rel=1e-8)
    assert r.params["d"] == pytest.approx(0.3 - o.params["a"], rel=1e-9)
    assert r.bse["d"] == pytest.approx(o.bse["a"], rel=1e-8)
    assert (r.df_resid, r.df_model, r.rank) == (o.df_resid, o.df_model, o.rank)
    assert r.deviance == pytest.approx(o.deviance, rel=1e-11)
    assert r.llf == pytest.approx(o.llf, rel=1e-11)
    assert r.aic == pytest.approx(o.aic, rel=1e-11)
    assert r.dispersion == pytest.approx(o.dispersion, rel=1e-10)
    assert model.converged_
    assert model.certificate_.max_se_error < 1e-8
    np.testing.assert_allclose(model.predict(X), other.predict(fewer, offset=0.3 * X["d"]), rtol=1e-9)
    assert "under the constraints a + d = 0.3" in str(model.summary())


def test_the_multiplier_is_the_derivative_of_the_log_likelihood():
    def llf(value):
        return fit("poisson", constraints=f"a + d = {value}").result_.llf

    model = fit("poisson", constraints="a + d = 0.3")
    h = 1e-3
    slope = (8 * (llf(0.3 + h) - llf(0.3 - h)) - (llf(0.3 + 2 * h) - llf(0.3 - 2 * h))) / (12 * h)
    assert model.constraints_.multipliers[0] == pytest.approx(slope, rel=1e-7)
    assert model.constraints_.table().loc["a + d = 0.3", "multiplier"] == model.constraints_.multipliers[0]


def test_fixed_coefficients_have_no_variance_and_no_test():
    model = fit("poisson", constraints="a = 0.25, b = 0")
    other = ff.GLM("poisson").fit(X[["c", "d"]], RESPONSE["poisson"], offset=0.25 * X["a"])
    assert model.result_.params["a"] == pytest.approx(0.25, rel=1e-14)
    assert model.result_.bse[["a", "b"]].tolist() == [0.0, 0.0]
    assert model.result_.pvalues[["a", "b"]].isna().all()
    np.testing.assert_allclose(model.result_.bse[["c", "d"]], other.result_.bse[["c", "d"]], rtol=1e-9)


def gradient(family, b):
    """The log-likelihood and its gradient at unit dispersion, by hand."""
    z = np.column_stack([np.ones(N), X.to_numpy()])
    eta, y = z @ b, RESPONSE[family]
    if family == "normal":
        return -0.5 * np.sum((y - eta) ** 2), z.T @ (y - eta)
    if family == "poisson":
        return np.sum(y * eta - np.exp(eta)), z.T @ (y - np.exp(eta))
    if family == "gamma":
        return np.sum(-y * np.exp(-eta) - eta), z.T @ (y * np.exp(-eta) - 1.0)
    return np.sum(y * eta - np.logaddexp(0.0, eta)), z.T @ (y - special.expit(eta))


BOUNDS = [
    {"a": (None, 0.2), "d": (0.2, None), "c": (0, 50)},
    {"a": (-1, 0), "b": (0, 0.001), "Intercept": (0.5, None)},
    {"b": (0.02, None)},
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("family", ["normal", "poisson", "gamma", "binomial"])
def test_bounds_satisfy_the_conditions_of_a_maximum(family, bounds):
    """Karush-Kuhn-Tucker: for these concave problems they make the maximum."""
    with pytest.warns(ff.BoundaryWarning):
        model = fit(family, bounds=bounds)
    r, names = model.result_, list(model.result_.names)
    _, g = gradient(family, r.coefficients)
    scale = np.array([1.0, 1.0, 100.0, 0.02, 2.0]) * N
    for j, name in enumerate(names):
        low, high = bounds.get(name, (None, None))
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        b = r.coefficients[j]
        assert low <= b <= high
        if name in model.constraints_.active:
            bound, multiplier = model.constraints_.active[name]
            assert b == bound
            assert multiplier >= 0.0
            assert multiplier * r.dispersion == pytest.approx(abs(g[j]), rel=1e-6)
            assert g[j] < 0 if b == low else g[j] > 0
            assert np.isnan(r.bse[name])
        else:
            assert abs(g[j]) < 1e-9 * scale[j]
            assert r.bse[name] > 0.0
    assert model.boundary_["parameters"] == [n for n in names if n in model.constraints_.active]
    assert r.df_resid == N - 5 + len(model.constraints_.active)
    assert model.certificate_.max_se_error < 1e-8


def test_bounds_that_are_not_reached_change_nothing():
    model, free = fit("poisson", bounds={"a": (0, 10), "d": (-5, 5)}), fit("poisson")
    np.testing.assert_allclose(model.result_.params, free.result_.params, rtol=1e-9)
    np.testing.assert_allclose(model.result_.bse, free.result_.bse, rtol=1e-9)
    assert not model.boundary_
    assert not model.constraints_.active


def test_non_negative_least_squares():
    z = RNG.standard_normal((60, 8))
    y = z @ [1, -1, 0.5, -0.2, 0, 2, -3, 0.1] + RNG.standard_normal(60)
    with pytest.warns(ff.BoundaryWarning):
        model = ff.GLM(fit_intercept=False, bounds={f"x{j}": (0, None) for j in range(8)}).fit(z, y)
    np.testing.assert_allclose(model.coef_, optimize.nnls(z, y)[0], rtol=1e-10, atol=1e-13)


def test_equalities_and_bounds_together():
    """Weights of a mixture: non-negative, summing to 1."""
    with pytest.warns(ff.BoundaryWarning):
        model = fit("normal", constraints="a + c + d = 1", bounds=dict.fromkeys("acd", (0, None)))
    b0 = model.result_.coefficients

    def objective(b):
        value, g = gradient("normal", b)
        return -value / N, -g / N

    found = optimize.minimize(
        objective, np.r_[0.0, 0.3, 0.0, 0.3, 0.4], jac=True, method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
        bounds=[(None, None), (0, None), (None, None), (0, None), (0, None)],
        constraints={"type": "eq", "fun": lambda b: b[1] + b[3] + b[4] - 1},
    )  # fmt: skip
    assert gradient("normal", b0)[0] >= -found.fun * N - 1e-9
    np.testing.assert_allclose(b0, found.x, rtol=1e-4, atol=1e-6)
    assert b0[1] + b0[3] + b0[4] == pytest.approx(1.0, abs=1e-12)


def test_a_bound_holds_what_separation_sends_to_infinity():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.BoundaryWarning):
        model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial", bounds={"NV": (None, 5)}).fit(data)
    other = ff.GLM(formula="HG ~ PI + EH", family="binomial").fit(data, offset=5.0 * data["NV"])
    np.testing.assert_allclose(
        model.result_.params[["Intercept", "PI", "EH"]], other.result_.params[["Intercept", "PI", "EH"]], rtol=1e-9
    )
    assert model.result_.params["NV"] == 5.0


def test_constraints_that_leave_the_maximum_at_infinity_say_so():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.ConvergenceWarning, match="may not exist"):
        model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial", constraints="PI = EH").fit(data)
    assert not model.converged_


def test_constraints_tell_aliased_columns_apart():
    """Effects that sum to zero, of all levels and an intercept."""
    data = ff.datasets.load("warpbreaks")
    dummies = pd.get_dummies(data["tension"], dtype=float)
    model = ff.GLM("poisson", constraints="L + M + H = 0").fit(dummies, data["breaks"])
    logs = np.log(data.groupby("tension", observed=True)["breaks"].mean())
    assert model.intercept_ == pytest.approx(logs.mean(), rel=1e-10)
    np.testing.assert_allclose(model.coef_, (logs - logs.mean())[["L", "M", "H"]], rtol=1e-9)
    with pytest.raises(ff.InputError, match="do not tell them apart"):
        ff.GLM("poisson", constraints="L = 0, M = 1", bounds={"L": (0, 1)}).fit(
            dummies.assign(H2=dummies["H"]), data["breaks"]
        )


@pytest.mark.parametrize("method", ["wald", "lr", "score"])
def test_tests_of_a_constrained_model(method):
    y = RESPONSE["poisson"]
    model = fit("poisson", constraints="a + d = 0.3")
    fewer = pd.DataFrame({"a": X["a"] - X["d"], "b": X["b"], "c": X["c"]})
    other = ff.GLM("poisson").fit(fewer, y, offset=0.3 * X["d"])
    rows = (X, y) if method != "wald" else ()
    theirs = (fewer, y, None, 0.3 * X["d"]) if method != "wald" else ()
    found, truth = model.test("b = 0, c = 0", method, *rows), other.test("b = 0, c = 0", method, *theirs)
    assert found.statistic == pytest.approx(truth.statistic, rel=1e-9)
    found, truth = model.test("a = d", method, *rows), other.test("a = 0.15", method, *theirs)
    assert found.statistic == pytest.approx(truth.statistic, rel=1e-9)
    if method != "wald":
        with pytest.raises(ff.InputError, match="contradicts the constraints"):
            model.test("a + d = 0", method, *rows)
        with pytest.raises(ff.InputError, match="not testable"):
            model.test("a + d = 0.3", method, *rows)
    else:
        with pytest.warns(ff.RankWarning, match="singular"):
            assert np.isnan(model.test("a + d = 0.3").statistic)


def test_a_coefficient_at_its_bound_has_no_wald_test():
    with pytest.warns(ff.BoundaryWarning):
        model = fit("poisson", bounds={"a": (None, 0)})
    with pytest.warns(ff.BoundaryWarning, match="at its bound"):
        assert np.isnan(model.test("a").statistic)


MISTAKES = [
    ({"constraints": "a = 1, a = 2"}, "contradicts"),
    ({"constraints": "a*d = 1"}, "not linear"),
    ({"constraints": "q = 1"}, "'q' is not a coefficient"),
    ({"constraints": "y ~ a"}, "is a formula"),
    ({"constraints": 3}, "a string such as"),
    ({"bounds": {"q": (0, 1)}}, "'q' is not a coefficient"),
    ({"bounds": {"a": (1, 0)}}, "is not below its upper bound"),
    ({"bounds": {"a": 3}}, "needs a pair"),
    ({"bounds": [(0, 1)]}, "must be a dict"),
    ({"constraints": "a + d = 1", "bounds": {"a": (None, 0), "d": (None, 0)}}, "no coefficients satisfy"),
    ({"constraints": "a = 1", "bounds": {"a": (2, None)}}, "no coefficients satisfy"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=str)
def test_mistakes(arguments, message):
    with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
        fit("poisson", **arguments)


def test_what_is_not_there():
    model = fit("poisson", constraints="a = d")
    y = RESPONSE["poisson"]
    with pytest.raises(ff.InputError, match="read in batches"):
        ff.GLM("poisson", constraints="a = d").fit([X.assign(y=y)], "y")
    with pytest.raises(ff.InputError, match="bounds: 'alpha'"):
        fit("negative_binomial", bounds={"alpha": (0, 1)})
    for call in (model.hauck_donner, model.anova, model.standard_errors, model._at_maximum):
        with pytest.raises(ff.InputError, match="constraints"):
            call(X, y)
    bounded = fit("poisson", bounds={"a": (None, 10)})
    with pytest.raises(ff.InputError, match="under bounds of coefficients"):
        bounded.profile(X, y)
    np.testing.assert_allclose(bounded.diagnostics(X, y).leverage, fit("poisson").diagnostics(X, y).leverage, rtol=1e-7)
    with pytest.warns(ff.BoundaryWarning):
        stopped = fit("poisson", bounds={"a": (None, 0.1)})
    with pytest.raises(ff.InputError, match="hold the coefficients that are at their bound by equalities"):
        stopped.diagnostics(X, y)


def test_a_refit_forgets_and_a_clone_keeps():
    model = fit("poisson", constraints="a = d")
    assert clone(model).constraints == "a = d"
    model.set_params(constraints=None).fit(X, RESPONSE["poisson"])
    assert not hasattr(model, "constraints_")


def test_a_long_fit_with_chord_steps():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((300_000, 8))
    y = rng.poisson(np.exp(0.2 + z @ np.full(8, 0.1))).astype(float)
    model = ff.GLM("poisson", constraints="x0 = x1").fit(z, y)
    other = ff.GLM("poisson").fit(np.column_stack([z[:, 0] + z[:, 1], z[:, 2:]]), y)
    np.testing.assert_allclose(model.coef_[1:], other.coef_, rtol=1e-9)
    assert model.certificate_.max_se_error < 1e-7


@pytest.mark.parametrize("cov_type", ["expected", "observed", "opg", "HC1", "HC3", "cluster", "cluster(CR3)", "HAC(2)"])
@pytest.mark.parametrize("family", ["gamma", "binomial"])
def test_any_covariance_is_that_of_fewer_columns(family, cov_type):
    y, groups = RESPONSE[family], np.arange(N) // 5 if cov_type.startswith("cluster") else None
    model = fit(family, constraints="a + d = 0.3, b = 0.004")
    fewer, shift = pd.DataFrame({"a": X["a"] - X["d"], "c": X["c"]}), 0.3 * X["d"] + 0.004 * X["b"]
    other = ff.GLM(family, cov_type=cov_type).fit(fewer, y, offset=shift, groups=groups)
    found, kept = model.covariance(X, y, cov_type, groups), ["Intercept", "a", "c"]
    np.testing.assert_allclose(found.loc[kept, kept], other.result_.cov_params(), rtol=1e-7)
    np.testing.assert_allclose(found["d"], -found["a"], rtol=1e-7, atol=1e-12 * found.loc["a", "a"])
    assert not found["b"].any()
    test = model.test("c = 1", X=X, y=y, cov_type=cov_type, groups=groups)
    assert test.statistic == pytest.approx(other.test("c = 1").statistic, rel=1e-7)


@pytest.mark.filterwarnings("ignore::fisherfit.errors.BoundaryWarning")
def test_a_bound_that_holds_leaves_no_variance():
    model = fit("poisson", bounds={"a": (None, 0.1)})
    assert model.constraints_.active
    found = model.covariance(X, RESPONSE["poisson"], "HC0")
    assert np.array_equal(np.isnan(found.to_numpy()), np.isnan(model.result_.covariance))
    np.testing.assert_allclose(
        np.sqrt(np.diag(found)), fit("poisson", bounds={"a": (None, 0.1)}, cov_type="HC0").result_.bse, rtol=1e-9
    )


@pytest.mark.parametrize("method", ["profile", "score"])
@pytest.mark.parametrize("family", ["poisson", "binomial", "gamma", "negative_binomial"])
def test_profiles_are_those_of_fewer_columns(family, method):
    y = RESPONSE[family]
    model = fit(family, constraints="a + d = 0.3, b = 0.004")
    fewer, shift = pd.DataFrame({"a": X["a"] - X["d"], "c": X["c"]}), 0.3 * X["d"] + 0.004 * X["b"]
    other = ff.GLM(family).fit(fewer, y, offset=shift)
    found = model.conf_int(method=method, X=X, y=y)
    truth = other.conf_int(method=method, X=fewer, y=y, offset=shift)
    np.testing.assert_allclose(found.loc[truth.index], truth, rtol=1e-7)
    np.testing.assert_allclose(found.loc["d"], 0.3 - truth.loc["a"].to_numpy()[::-1], rtol=1e-7)
    assert found.loc["b"].tolist() == pytest.approx([0.004, 0.004], rel=1e-12)
    ours, theirs = model.profile(X, y).trace("a"), other.profile(fewer, y, offset=shift).trace("a")
    assert ours["loglik"].max() == pytest.approx(theirs["loglik"].max(), rel=1e-9)
    assert np.interp(0.35, ours["value"], ours["tau"]) == pytest.approx(
        np.interp(0.35, theirs["value"], theirs["tau"]), abs=0.05
    )


@pytest.mark.parametrize("family", ["poisson", "binomial", "gamma", "negative_binomial"])
def test_diagnostics_are_those_of_fewer_columns(family):
    y = RESPONSE[family]
    model = fit(family, constraints="a + d = 0.3, b = 0.004")
    fewer, shift = pd.DataFrame({"a": X["a"] - X["d"], "c": X["c"]}), 0.3 * X["d"] + 0.004 * X["b"]
    other = ff.GLM(family).fit(fewer, y, offset=shift)
    found, truth = model.diagnostics(X, y), other.diagnostics(fewer, y, offset=shift)
    assert found.leverage.sum() == pytest.approx(3.0, rel=1e-10)
    assert found.rank == truth.rank == 3
    for name in ("leverage", "std_deviance", "cooks_distance", "resid_quantile", "loo_log_score"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-6, atol=1e-9)
    names, rows = ["Intercept", "a", "c"], list(range(12))
    np.testing.assert_allclose(found.loo_estimates(rows)[names], truth.loo_estimates(rows)[names], rtol=1e-7)
    np.testing.assert_allclose(found.dfbetas(rows)[names], truth.dfbetas(rows)[names], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.dfbetas(rows)["d"], -found.dfbetas(rows)["a"], rtol=1e-6, atol=1e-9)
    assert found.dfbetas(rows)["b"].isna().all()
    np.testing.assert_allclose(found.loo_estimates(rows)["b"], 0.004, rtol=1e-9)
    assert ff.checks.link(found).p_value == pytest.approx(ff.checks.link(truth).p_value, rel=1e-6)
    if family in ("poisson", "negative_binomial"):
        ours, theirs = ff.checks.zero_inflation(found), ff.checks.zero_inflation(truth)
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-7)


def test_what_constraints_tell_apart_has_covariances_and_diagnostics():
    data = ff.datasets.load("warpbreaks")
    dummies = pd.get_dummies(data["tension"], dtype=float)
    model = ff.GLM("poisson", constraints="L + M + H = 0").fit(dummies, data["breaks"])
    plain = ff.GLM("poisson", formula="breaks ~ tension").fit(data)
    y = data["breaks"]
    np.testing.assert_allclose(model.diagnostics(dummies, y).leverage, plain.diagnostics(data).leverage, rtol=1e-9)
    np.testing.assert_allclose(model.covariance(dummies, y), model.result_.cov_params(), rtol=1e-7)
    statistic = model.test("L = M", method="lr", X=dummies, y=y).statistic
    assert statistic == pytest.approx(plain.test("tension[T.M] = 0", method="lr", X=data).statistic, rel=1e-8)
    ends = model.conf_int(method="profile", X=dummies, y=y)
    assert (ends["lower"] < model.result_.params).all()
    assert (model.result_.params < ends["upper"]).all()
