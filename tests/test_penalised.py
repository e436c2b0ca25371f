"""Inference by the penalised likelihood of Jeffreys' bias reduction, against the definition by plain NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import fisherfit as ff

RNG = np.random.default_rng(12)
N = 40
X = pd.DataFrame(RNG.standard_normal((N, 2)) * [1.0, 20.0] + [0.0, 50.0], columns=["a", "b"])
ETA = 0.3 + X.to_numpy() @ [0.6, -0.01]
RESPONSE = {
    "binomial": (RNG.random(N) < special.expit(ETA)).astype(float),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
}
SHIFT = RNG.standard_normal(N) * 0.3
LINKS = {
    "logit": (special.expit, lambda e: special.expit(e) * special.expit(-e)),
    "probit": (special.ndtr, stats.norm.pdf),
    "cloglog": (lambda e: -np.expm1(-np.exp(e)), lambda e: np.exp(e - np.exp(e))),
    "cauchit": (stats.cauchy.cdf, stats.cauchy.pdf),
    "log": (np.exp, np.exp),
    "inverse": (lambda e: 1.0 / e, lambda e: -1.0 / e**2),
}


class Penalised:
    """l / phi + log|X'WX / phi| / 2 by its definition, all columns of the design in X."""

    def __init__(self, family, link, X, y, offset=0.0, weight=1.0, phi=1.0):
        self.family, self.y, self.offset, self.weight, self.phi = family, y, offset, weight, phi
        self.mean, self.slope = LINKS[link]
        z = np.asarray(X, float)
        self.size = np.r_[1.0, np.abs(z).max(axis=0)]
        self.Z = np.column_stack([np.ones(len(z)), z]) / self.size

    def __call__(self, b):
        with np.errstate(all="ignore"):
            value = self.value(b)
        return value if np.isfinite(value) else -1e10

    def value(self, b):
        eta, y = self.Z @ b + self.offset, self.y
        mu, d = self.mean(eta), self.slope(eta)
        if self.family == "binomial":
            value, v = special.xlogy(y, mu) + special.xlog1py(1.0 - y, -mu), mu * (1.0 - mu)
        elif self.family == "poisson":
            value, v = special.xlogy(y, mu) - mu, mu
        else:
            if (mu <= 0).any():
                return -np.inf
            value, v = -y / mu - np.log(mu), mu**2
        F = (self.Z.T * (self.weight * d**2 / v / self.phi)) @ self.Z
        return float(np.sum(self.weight * value) / self.phi + 0.5 * np.linalg.slogdet(F)[1])

    def highest(self, start, held):
        """The maximum with some coefficients (of scaled columns) held: its height is right to the square of its place."""
        free = np.array([j for j in range(start.size) if j not in held])

        def full(inner):
            b = start.copy()
            for j, value in held.items():
                b[j] = value
            b[free] = inner
            return b

        inner = start[free]
        for _ in range(3):
            found = optimize.minimize(lambda z: -self(full(z)), inner, method="BFGS", options={"gtol": 1e-7})
            inner = found.x
        return -found.fun, full(inner)

    def held_at(self, b, j, value):
        """The same with one coefficient, reached in small moves."""
        here = b.copy()
        for step in np.linspace(0.0, 1.0, 9)[1:]:
            height, here = self.highest(here, {j: b[j] + step * (value - b[j])})
        return height


CASES = [
    ("binomial", "logit", "jeffreys"), ("binomial", "logit", "mean"), ("binomial", "probit", "jeffreys"),
    ("binomial", "cauchit", "jeffreys"), ("poisson", "log", "jeffreys"), ("poisson", "log", "mean"),
    ("gamma", "inverse", "jeffreys"), ("gamma", "inverse", "mean"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "link", "kind"), CASES)
@pytest.mark.parametrize("shifted", [False, True])
def test_profile_ends_and_the_ratio_by_the_definition(family, link, kind, shifted):
    y, keywords = RESPONSE[family], {}
    if shifted:
        keywords = {"offset": SHIFT, "sample_weight": np.tile([1.0, 2.0, 0.5, 1.5], N // 4)}
    if link == "inverse" and shifted:
        keywords["offset"] = 0.1 * np.abs(SHIFT)
    model = ff.GLM(family, link, bias_reduction=kind).fit(X, y, **keywords)
    phi = model.result_.dispersion
    truth = Penalised(family, link, X, y, keywords.get("offset", 0.0), keywords.get("sample_weight", 1.0), phi)
    b = model.result_.coefficients * truth.size
    top = truth.highest(b, {})[0]
    assert truth(b) == pytest.approx(top, abs=1e-10)
    profile = model.profile(X, y, **keywords)
    q = stats.t.ppf(0.975, model.result_.df_resid) if family == "gamma" else stats.norm.ppf(0.975)
    assert profile.converged.all()
    for j, (name, ends) in enumerate(profile.conf_int().iterrows()):
        assert ends["lower"] < model.result_.params[name] < ends["upper"]
        for end in ends:
            drop = 2.0 * (top - truth.held_at(b, j, end * truth.size[j]))
            assert drop == pytest.approx(q**2, abs=1e-8), name
    test = model.test("b = 0.005", method="lr", X=X, y=y, **keywords)
    assert test.statistic == pytest.approx(2.0 * (top - truth.held_at(b, 2, 0.005 * truth.size[2])), abs=1e-8)
    assert test.penalised
    both = model.test("a = 0, b = 0", method="lr", X=X, y=y, **keywords).statistic * (2 if family == "gamma" else 1)
    assert both == pytest.approx(2.0 * (top - truth.highest(b, {1: 0.0, 2: 0.0})[0]), abs=1e-8)


def test_endometrial_cancer():
    """Separated: Heinze & Schemper (2002) have intervals with two finite ends for the infinite coefficient."""
    data = ff.datasets.load("endometrial")
    model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial", bias_reduction="jeffreys").fit(data)
    truth = Penalised("binomial", "logit", data[["NV", "PI", "EH"]], data["HG"].to_numpy(float))
    b = model.result_.coefficients * truth.size
    top = truth.highest(b, {})[0]
    found = model.conf_int(method="profile", X=data)
    for j, name in enumerate(model.result_.names):
        for end in found.loc[name]:
            assert 2.0 * (top - truth.held_at(b, j, end * truth.size[j])) == pytest.approx(3.841458820694124, abs=1e-8)
    assert found.loc["NV"].round(4).tolist() == [0.6097, 7.8546]
    test = model.test("NV", method="lr", X=data)
    assert test.statistic == pytest.approx(2.0 * (top - truth.highest(b, {1: 0.0})[0]), abs=1e-8)
    assert "Penalised likelihood-ratio test of NV" in repr(test)
    # a value at an end is one that the test rejects with the level of the interval
    assert model.test(f"NV = {found.loc['NV', 'upper']:.17g}", method="lr", X=data).p_value == pytest.approx(
        0.05, rel=1e-7
    )
    marginal = model.anova(data, kind="marginal")
    assert marginal.loc["NV", "chi2"] == pytest.approx(test.statistic, rel=1e-10)
    sequential = model.anova(data)
    whole = model.test("NV, PI, EH", method="lr", X=data)
    assert sequential["chi2"].sum() == pytest.approx(whole.statistic, rel=1e-10)
    assert sequential["resid_deviance"].iloc[-1] == pytest.approx(model.result_.deviance, rel=1e-12)
    trace = model.profile(data, columns=["NV"]).trace("NV")
    for value, tau in trace[["value", "tau"]].iloc[::4].to_numpy():
        assert 2.0 * (top - truth.held_at(b, 1, value)) == pytest.approx(tau**2, abs=1e-7)


TAILS = {  # log of a mean and the weight w = d^2 / v, without cancellation
    "logit": (special.log_expit, lambda e: special.log_expit(e) + special.log_expit(-e)),
    "probit": (special.log_ndtr, lambda e: 2 * stats.norm.logpdf(e) - special.log_ndtr(e) - special.log_ndtr(-e)),
}


@pytest.mark.parametrize("link", TAILS)
def test_complete_separation_has_finite_ends(link):
    x, y = X[["a"]], (X["a"] > 0.1).to_numpy(float)
    model = ff.GLM("binomial", link, bias_reduction="jeffreys").fit(x, y)
    log_mean, log_weight = TAILS[link]
    z = np.column_stack([np.ones(N), x])

    def penalised(b):
        eta = z @ b
        lw = log_weight(eta)
        top = lw.max()
        height = np.sum(np.where(y == 1.0, log_mean(eta), log_mean(-eta)))
        return height + top + 0.5 * np.linalg.slogdet((z.T * np.exp(lw - top)) @ z)[1]

    def profile(j, value):
        """A grid, then Brent's method between the neighbours of its best point."""

        def negative(other):
            return -penalised(np.array([value, other] if j == 0 else [other, value]))

        grid = np.sinh(np.linspace(-9.0, 9.0, 6001))
        best = int(np.argmin([negative(g) for g in grid]))
        return -optimize.minimize_scalar(negative, bracket=(grid[best - 1], grid[best], grid[best + 1]), tol=1e-12).fun

    top, found = penalised(model.result_.coefficients), model.conf_int(method="profile", X=x, y=y)
    for j in range(2):
        for end in found.iloc[j]:
            assert 2.0 * (top - profile(j, end)) == pytest.approx(3.841458820694124, abs=1e-8)


def test_it_does_not_depend_on_how_columns_are_written():
    """The penalty is that of all columns: the ratio is the same for any columns that span the same space."""
    y, turn = RESPONSE["binomial"], np.array([[1.0, 0.3], [-0.5, 2.0]])
    one = ff.GLM("binomial", bias_reduction="jeffreys").fit(X, y)
    other = ff.GLM("binomial", bias_reduction="jeffreys").fit(X.to_numpy() @ turn, y)
    # b = turn b': a = 0 is x0 + 0.3 x1 = 0
    ours = one.test("a = 0", "lr", X, y)
    assert other.test("x0 + 0.3*x1 = 0", "lr", X.to_numpy() @ turn, y).statistic == pytest.approx(
        ours.statistic, rel=1e-9
    )
    with pytest.warns(ff.RankWarning):
        more = ff.GLM("binomial", bias_reduction="jeffreys").fit(X.assign(c=X["a"] - X["b"]), y)
    found = more.conf_int(method="profile", X=X.assign(c=X["a"] - X["b"]), y=y)
    assert found.loc[["a", "b", "c"]].isna().all().all()
    np.testing.assert_allclose(
        found.loc["Intercept"], one.conf_int(method="profile", X=X, y=y).loc["Intercept"], rtol=1e-7
    )


def test_negative_binomial_with_free_alpha():
    """Against a search of the joint penalised likelihood, log|F| of the coefficients and alpha."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, 1))
    y = rng.poisson(np.exp(1.0 + 0.5 * x[:, 0]) * rng.gamma(2.0, 0.5, 60)).astype(float)
    model = ff.GLM("negative_binomial", bias_reduction="jeffreys").fit(x, y)
    z = np.column_stack([np.ones(60), x])

    def penalised(b0, b1, alpha):
        mu, k = np.exp(b0 + b1 * x[:, 0]), 1.0 / alpha
        value = special.gammaln(y + k) - special.gammaln(k) + y * np.log(mu / (k + mu)) - k * np.log1p(alpha * mu)
        block = (z.T * (mu / (1 + alpha * mu))) @ z
        total = ff.NegativeBinomial().expected_alpha(mu, alpha).sum()
        return value.sum() + 0.5 * np.linalg.slogdet(block)[1] + 0.5 * np.log(total)

    b = model.result_.coefficients
    top, found = penalised(*b), model.conf_int(method="profile", X=x, y=y)
    for end in found.loc["x0"]:
        best = optimize.minimize(lambda t, e=end: -penalised(t[0], e, np.exp(t[1])), [b[0], np.log(b[2])], method="BFGS",
                                 options={"gtol": 1e-7})  # fmt: skip
        assert 2.0 * (top + best.fun) == pytest.approx(3.841458820694124, abs=1e-6)
    for end in found.loc["alpha"]:
        best = optimize.minimize(
            lambda t, e=end: -penalised(t[0], t[1], e), b[:2], method="BFGS", options={"gtol": 1e-7}
        )
        assert 2.0 * (top + best.fun) == pytest.approx(3.841458820694124, abs=1e-6)


def test_many_rows_go_by_the_information_of_the_rows():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((60_000, 40))
    y = (rng.random(60_000) < special.expit(0.3 * x[:, 0])).astype(float)
    model = ff.GLM("binomial", bias_reduction="mean").fit(x, y)
    found = model.profile(x, y, columns=["x0"])
    plain = ff.GLM("binomial").fit(x, y).profile(x, y, columns=["x0"])
    np.testing.assert_allclose(found.conf_int(), plain.conf_int(), atol=1e-3)
    assert (found.conf_int().to_numpy() != plain.conf_int().to_numpy()).all()
    assert found.passes.matrices <= 2


def test_where_there_is_no_penalty_it_is_the_likelihood():
    y = ETA + RNG.standard_normal(N)
    for kind in ("mean", "median", "jeffreys"):
        model = ff.GLM(bias_reduction=kind).fit(X, y)
        np.testing.assert_allclose(model.conf_int(method="profile", X=X, y=y), ff.GLM().fit(X, y).conf_int(), rtol=1e-8)


def test_what_stays_refused_says_what_to_use():
    y = RESPONSE["binomial"]
    for link, kind in (("logit", "median"), ("probit", "mean")):
        model = ff.GLM("binomial", link, bias_reduction=kind).fit(X, y)
        for call in (
            lambda m=model: m.profile(X, y),
            lambda m=model: m.test("a", "lr", X, y),
            lambda m=model: m.anova(X, y),
        ):
            with pytest.raises(
                ff.InputError, match=r"gradient of no penalised likelihood; .*bias_reduction='jeffreys'"
            ):
                call()
    model = ff.GLM("binomial", bias_reduction="jeffreys").fit(X, y)
    small = ff.GLM("binomial", bias_reduction="jeffreys").fit(X[["a"]], y)
    for call, instead in (
        (lambda: model.test("a", "score", X, y), "method='lr'"),
        (lambda: model.anova(X, y, method="score"), "method='lr'"),
        (lambda: model.conf_int(method="score", X=X, y=y), "method='profile'"),
        (lambda: ff.anova(small, model), "of the larger model"),
    ):
        with pytest.raises(ff.InputError, match=f"bias_reduction='jeffreys'; use .*{instead}.*penalised likelihood"):
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped = ff.GLM("binomial", bias_reduction="jeffreys", max_iter=1).fit(X, y)
    with pytest.raises(ff.InputError, match="has not converged"):
        stopped.profile(X, y)
