"""Estimates of reduced bias against the general formulas, written out here from expectations of the rows' scores."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import fisherfit as ff
from tests import oracles
from tests.reference import cases, data

KINDS = ("mean", "median", "jeffreys")
ENDOMETRIAL = {  # R's brglm2 at tight tolerance
    "mean": [3.774559713647, 2.929273353197, -0.034751759870, -2.604163925294],
    "median": [3.969359826073, 3.869206635997, -0.038677972002, -2.707934471280],
}
ERRORS = [1.488691663436, 1.550763729453, 0.039578147348, 0.776017642502]
VARIANCE = {  # V and V', and the third cumulant at phi = 1
    "normal": lambda m: (1.0 + 0 * m, 0 * m, 0 * m),
    "binomial": lambda m: (m * (1 - m), 1 - 2 * m, m * (1 - m) * (1 - 2 * m)),
    "poisson": lambda m: (m, 1.0 + 0 * m, m),
    "gamma": lambda m: (m**2, 2 * m, 2 * m**3),
    "inverse_gaussian": lambda m: (m**3, 3 * m**2, 3 * m**5),
    "geometric": lambda m: (m + m**2, 1 + 2 * m, m * (1 + m) * (1 + 2 * m)),
    "tweedie": lambda m: (m**1.5, 1.5 * m**0.5, 1.5 * m**2.0),
}


class Rows:
    """A generalised linear model on its rows, by definitions: moments of the scores of the linear predictors."""

    def __init__(self, family, link, X, y, weight=None, offset=None, phi=1.0):
        self.family, self.link, self.X, self.y, self.phi = family, link, np.asarray(X, float), np.asarray(y, float), phi
        self.weight = np.ones(len(self.y)) if weight is None else np.asarray(weight, float)
        self.offset = np.zeros(len(self.y)) if offset is None else np.asarray(offset, float)

    def terms(self, beta):
        """mu, d, d2, V, V' and the third cumulant of a row, that of an observation of precision `weight` / phi."""
        eta = self.X @ beta + self.offset
        mu, _, d, d2 = np.array([[float(v) for v in oracles.link(self.link, e)] for e in eta]).T
        v, v1, third = VARIANCE[self.family](mu)
        return mu, d, d2, v, v1, third

    def information(self, beta):
        _, d, _, v, _, _ = self.terms(beta)
        return (self.X.T * (self.weight / self.phi * d**2 / v)) @ self.X

    def distance(self, beta, kind):
        """The length of the adjusted score in the metric of the information: standard errors from its zero."""
        X, (mu, d, d2, v, v1, third) = self.X, self.terms(beta)
        f = self.weight / self.phi  # the precision of a row
        score = X.T @ (f * (self.y - mu) * d / v)
        inverse = np.linalg.inv(self.information(beta))
        # u = f (y - mu) d / v and j = -du/deta; the variance of y is v / f, its third cumulant third / f^2
        cube = f**3 * (d / v) ** 3 * third / f**2
        product = -(f**2) * (d / v) * (d2 / v - d**2 * v1 / v**2) * v / f
        if kind == "jeffreys":
            added = gradient(lambda b: 0.5 * np.linalg.slogdet(self.information(b))[1], beta)
        else:
            added = 0.5 * X.T @ (np.einsum("ij,jk,ik->i", X, inverse, X) * (cube - product))
        if kind == "median":
            second = [inverse[r] @ (X.T @ ((X @ inverse[r]) ** 2 / inverse[r, r] * (cube / 3 - product / 2)))
                      for r in range(X.shape[1])]  # fmt: skip
            added = added - np.linalg.solve(inverse, np.array(second))
        adjusted = score + added
        return float(np.sqrt(adjusted @ inverse @ adjusted))


def gradient(f, at):
    """By differences of sixth order."""
    out, steps = np.empty(len(at)), [(1, 45.0), (2, -9.0), (3, 1.0)]
    for j in range(len(at)):
        h = np.zeros(len(at))
        h[j] = 2e-3 * max(1e-2, abs(at[j]))
        out[j] = sum(c * (f(at + k * h) - f(at - k * h)) for k, c in steps) / (60.0 * h[j])
    return out


def design_of(X, intercept=True):
    X = np.asarray(X, float)
    return np.column_stack([np.ones(len(X)), X]) if intercept else X


@pytest.mark.parametrize("kind", KINDS)
def test_endometrial(kind):
    model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial", bias_reduction=kind)
    model.fit(ff.datasets.load("endometrial"))
    true = ENDOMETRIAL.get(kind, ENDOMETRIAL["mean"])  # the link is canonical
    np.testing.assert_allclose(model.result_.coefficients, true, rtol=2e-11, atol=2e-12)
    if kind != "median":
        np.testing.assert_allclose(model.result_.standard_errors, ERRORS, rtol=1e-11)
    assert model.converged_
    assert not model.separation_
    assert model.certificate_.max_se_error < 1e-10


@pytest.mark.filterwarnings("ignore::fisherfit.errors.NonIntegerWarning")
@pytest.mark.parametrize("kind", ["mean", "median"])
@pytest.mark.parametrize("group", ["separation", "separation_random"])
def test_every_separated_set_has_a_finite_answer(group, kind):
    for c in cases(group):
        X, y, keywords = data(c)
        model = ff.GLM(c["family"], c["link"], fit_intercept=c["fit_intercept"], bias_reduction=kind)
        model.fit(X, y, **keywords)
        assert model.converged_, c["name"]
        assert not model.separation_, c["name"]
        assert np.isfinite(model.result_.coefficients).all(), c["name"]
        assert np.isfinite(model.result_.standard_errors).all(), c["name"]
        weight = keywords.get("sample_weight")
        if y.ndim == 2:
            weight = y.sum(axis=1)
            y = y[:, 0] / weight
        rows = Rows(c["family"], c["link"], design_of(X, c["fit_intercept"]), y, weight, keywords.get("offset"))
        assert rows.distance(model.result_.coefficients, kind) < 1e-9, c["name"]


def test_canonical_estimates_maximise_the_penalised_likelihood():
    done = 0
    for c in cases("separation_random"):
        if c["status"] == "none" or c["link"] not in ("logit", "log") or done == 12:
            continue
        X, y, keywords = data(c)
        if y.ndim == 2 or keywords:
            continue
        model = ff.GLM(c["family"], c["link"], fit_intercept=c["fit_intercept"], bias_reduction="mean").fit(X, y)
        x, binary = design_of(X, c["fit_intercept"]), c["family"] == "binomial"

        def penalised(b, x=x, y=y, binary=binary):
            eta = x @ b
            w = special.expit(eta) * special.expit(-eta) if binary else np.exp(eta)
            value = y @ eta - (np.logaddexp(0.0, eta).sum() if binary else np.exp(eta).sum())
            return -value - 0.5 * np.linalg.slogdet((x.T * w) @ x)[1]

        found = optimize.minimize(penalised, np.zeros(x.shape[1]), method="BFGS", options={"gtol": 1e-7})
        ours = model.result_.coefficients
        assert penalised(ours) <= found.fun + 1e-10, c["name"]
        np.testing.assert_allclose(ours, found.x, atol=1e-4 * model.result_.standard_errors.max(), err_msg=c["name"])
        done += 1
    assert done >= 5


RNG = np.random.default_rng(17)
N = 24
X = np.column_stack([RNG.standard_normal(N), 100.0 + 3.0 * RNG.standard_normal(N)])
SHAPE = 0.5 * X[:, 0] + 0.1 * (X[:, 1] - 100.0)
POSITIVE = np.exp(0.4 * SHAPE) * RNG.gamma(4.0, 0.25, N)
COUNTS = RNG.poisson(2.0 * np.exp(0.4 * SHAPE)).astype(float)
BINARY = (RNG.random(N) < special.expit(SHAPE)).astype(float)
PAIRS = [
    *[("binomial", link, BINARY) for link in ("logit", "probit", "cloglog", "loglog", "cauchit")],
    ("poisson", "log", COUNTS), ("poisson", "sqrt", COUNTS + 1.0),
    ("gamma", "log", POSITIVE), ("gamma", "inverse", POSITIVE + 1.0), ("gamma", "identity", POSITIVE + 2.0),
    ("inverse_gaussian", "log", POSITIVE), ("inverse_gaussian", "inverse_squared", POSITIVE + 3.0),
    ("normal", "log", POSITIVE + 1.0), ("normal", "power(2)", POSITIVE + 2.0),
    ("geometric", "log", COUNTS), ("tweedie", "log", np.where(COUNTS > 0, POSITIVE, 0.0)),
]  # fmt: skip


#: means that are linear in the coefficients, and information that does not depend on them: there is nothing to adjust
UNBIASED = {("identity", "mean"), ("poisson", "sqrt", "jeffreys"), ("gamma", "log", "jeffreys")}


@pytest.mark.parametrize(("family", "link", "y"), PAIRS, ids=[f"{f}-{g}" for f, g, _ in PAIRS])
def test_the_adjusted_score_vanishes(family, link, y):
    weight = None if family == "binomial" else np.linspace(0.5, 2.0, N)
    for kind in KINDS:
        model = ff.GLM(family, link, bias_reduction=kind).fit(X, y, sample_weight=weight)
        assert model.converged_
        rows = Rows(family, link, design_of(X), y, weight, phi=model.dispersion_)
        assert rows.distance(model.result_.coefficients, kind) < (1e-6 if kind == "jeffreys" else 1e-8), kind
        mle = ff.GLM(family, link).fit(X, y, sample_weight=weight).result_.coefficients
        moved = rows.distance(mle, kind)
        if (link, kind) in UNBIASED or (family, link, kind) in UNBIASED:
            assert moved < 1e-9
        else:
            assert moved > 1e-4, kind  # the test can tell them apart
        model._at_maximum(X, y, sample_weight=weight)


@pytest.mark.parametrize("kind", KINDS)
def test_every_link_survives_complete_separation(kind):
    x = np.linspace(-2.0, 2.0, 12)[:, None]
    y = (x[:, 0] > 0.3).astype(float)
    for link in ("logit", "probit", "cloglog", "loglog", "cauchit"):
        model = ff.GLM("binomial", link, bias_reduction=kind).fit(x, y)
        assert model.converged_, link
        assert not model.separation_, link
        rows = Rows("binomial", link, design_of(x), y)
        assert rows.distance(model.result_.coefficients, kind) < 1e-6, link


@pytest.mark.parametrize(("kind", "added"), [("mean", 0.5), ("median", 1.0 / 6.0), ("jeffreys", 0.5)])
def test_an_intercept_alone_in_closed_form(kind, added):
    ones = np.ones((1, 1))
    for successes, trials in ((0, 9), (9, 9), (3, 10)):
        y = np.array([[successes, trials - successes]], float)
        model = ff.GLM("binomial", fit_intercept=False, bias_reduction=kind).fit(ones, y)
        true = np.log((successes + added) / (trials - successes + added))
        assert model.coef_[0] == pytest.approx(true, rel=1e-12, abs=1e-12)
    for y in (np.zeros(5), np.array([0.0, 2.0, 1.0, 4.0])):
        model = ff.GLM("poisson", fit_intercept=False, bias_reduction=kind).fit(np.ones((len(y), 1)), y)
        assert model.coef_[0] == pytest.approx(np.log((y.sum() + added) / len(y)), rel=1e-12)


def test_a_gamma_mean_in_closed_form():
    y, phi = np.array([1.0, 3.0, 0.5, 2.5]), 0.4
    model = ff.GLM("gamma", "log", fit_intercept=False, bias_reduction="mean", dispersion=phi)
    model.fit(np.ones((4, 1)), y)
    assert np.exp(model.coef_[0]) == pytest.approx(y.mean() / (1.0 - phi / 8.0), rel=1e-12)


def test_a_linear_model_has_no_bias():
    plain = ff.GLM().fit(X, SHAPE + POSITIVE)
    for kind in KINDS:
        model = ff.GLM(bias_reduction=kind).fit(X, SHAPE + POSITIVE)
        np.testing.assert_allclose(model.result_.coefficients, plain.result_.coefficients, rtol=1e-11)
        np.testing.assert_allclose(model.result_.standard_errors, plain.result_.standard_errors, rtol=1e-11)


def test_what_each_kind_is_invariant_to():
    """Mean: linear combinations of coefficients. Median: any function of a coefficient, but not combinations."""
    turn = np.array([[1.0, 0.3], [-0.5, 2.0]])
    for kind in KINDS:
        one = ff.GLM("binomial", bias_reduction=kind).fit(X, BINARY)
        other = ff.GLM("binomial", bias_reduction=kind).fit(X @ turn, BINARY)
        moved = np.abs(turn @ other.coef_ - one.coef_).max()
        assert moved < 1e-9 if kind != "median" else moved > 1e-3
        scaled = ff.GLM("binomial", bias_reduction=kind).fit(X * [1e3, 1e-4], BINARY)
        np.testing.assert_allclose(scaled.coef_ * [1e3, 1e-4], one.coef_, rtol=1e-9)
    means = {}
    for kind in KINDS:
        log, identity = (
            ff.GLM("poisson", link, fit_intercept=False, bias_reduction=kind).fit(np.ones((N, 1)), COUNTS).coef_[0]
            for link in ("log", "identity")
        )
        means[kind] = (np.exp(log), identity)
    assert means["median"][0] == pytest.approx(means["median"][1], rel=1e-11)
    assert means["jeffreys"][1] == pytest.approx((COUNTS.sum() - 0.5) / N, rel=1e-11)
    assert means["mean"][1] == pytest.approx(COUNTS.mean(), rel=1e-11)
    assert means["mean"][0] == pytest.approx((COUNTS.sum() + 0.5) / N, rel=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_offsets_and_counts(kind):
    times = RNG.integers(0, 4, N).astype(float)
    shift = RNG.standard_normal(N)
    weighted = ff.GLM("poisson", bias_reduction=kind, weight_type="frequency")
    weighted.fit(X, COUNTS, sample_weight=times, offset=shift)
    again = np.repeat(np.arange(N), times.astype(int))
    repeated = ff.GLM("poisson", bias_reduction=kind).fit(X[again], COUNTS[again], offset=shift[again])
    np.testing.assert_allclose(weighted.result_.coefficients, repeated.result_.coefficients, rtol=1e-9)
    np.testing.assert_allclose(weighted.result_.standard_errors, repeated.result_.standard_errors, rtol=1e-9)
    group = RNG.integers(0, 3, N).astype(float)
    table = np.array([[BINARY[group == g].sum(), (1 - BINARY[group == g]).sum()] for g in range(3)])
    rows = ff.GLM("binomial", bias_reduction=kind).fit(group[:, None], BINARY)
    counts = ff.GLM("binomial", bias_reduction=kind).fit(np.arange(3.0)[:, None], table)
    np.testing.assert_allclose(counts.result_.coefficients, rows.result_.coefficients, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_are_combinations(kind):
    plain = ff.GLM("binomial", bias_reduction=kind).fit(X, BINARY)
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("binomial", bias_reduction=kind).fit(np.column_stack([X, X[:, 0] - X[:, 1]]), BINARY)
    assert model.converged_
    both = np.column_stack([X, X[:, 0] - X[:, 1]])
    np.testing.assert_allclose(model.predict(both), plain.predict(X), rtol=1e-7)


class Moments:
    """A negative binomial with log link and free alpha: moments of a row's derivatives by sums over the counts."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def derivatives(self, y, mu, alpha):
        k = 1.0 / alpha
        first = special.digamma(y + k) - special.digamma(k) + np.log(k / (k + mu)) + 1.0 - (y + k) / (k + mu)
        second = (special.polygamma(1, y + k) - special.polygamma(1, k) + 1.0 / k - 2.0 / (k + mu)
                  + (y + k) / (k + mu) ** 2)  # fmt: skip
        u = np.stack([(y - mu) / (1 + alpha * mu), -k * k * first])
        cross = -(y - mu) * mu / (1 + alpha * mu) ** 2
        bend = np.array(
            [[-mu * (1 + alpha * y) / (1 + alpha * mu) ** 2, cross], [cross, k**4 * second + 2 * k**3 * first]]
        )
        return u, -bend

    def distance(self, beta, alpha, kind):
        y, p = np.arange(4000.0), self.X.shape[1]
        k, size = 1.0 / alpha, p + 1
        score, F, P, Q = np.zeros(size), np.zeros((size, size)), np.zeros((size,) * 3), np.zeros((size,) * 3)
        for x, own in zip(self.X, self.y, strict=True):
            mu = np.exp(x @ beta)
            f = np.exp(special.gammaln(y + k) - special.gammaln(k) - special.gammaln(y + 1)
                       + y * np.log(mu / (k + mu)) - k * np.log1p(alpha * mu))  # fmt: skip
            u, j = self.derivatives(y, np.full(y.size, mu), alpha)
            B = np.zeros((2, size))
            B[0, :p], B[1, p] = x, 1.0
            score += B.T @ self.derivatives(np.array([own]), np.array([mu]), alpha)[0][:, 0]
            F += B.T @ np.einsum("an,bn,n->ab", u, u, f) @ B
            P += np.einsum("abc,ai,bj,ct->ijt", np.einsum("an,bn,cn,n->abc", u, u, u, f), B, B, B)
            Q -= np.einsum("abc,ai,bj,ct->ijt", np.einsum("abn,cn,n->abc", j, u, f), B, B, B)
        inverse = np.linalg.inv(F)
        added = 0.5 * np.einsum("ij,jit->t", inverse, P + Q)
        if kind == "median":
            mixed = P / 3 + Q / 2
            m = [
                inverse[r] @ np.einsum("i,j,ijt->t", inverse[r], inverse[r], mixed) / inverse[r, r] for r in range(size)
            ]
            added = added - F @ np.array(m)
        adjusted = score + added
        return float(np.sqrt(adjusted @ inverse @ adjusted))


@pytest.mark.parametrize("kind", KINDS)
def test_negative_binomial_with_free_alpha(kind):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, 1))
    y = rng.poisson(np.exp(1.0 + 0.5 * x[:, 0]) * rng.gamma(2.0, 0.5, 60)).astype(float)
    model = ff.GLM("negative_binomial", bias_reduction=kind).fit(x, y)
    assert model.converged_
    beta, rows = model.result_.coefficients[:2], Moments(design_of(x), y)
    if kind != "jeffreys":
        assert rows.distance(beta, model.alpha_, kind) < 1e-7
        assert rows.distance(beta, 1.05 * model.alpha_, kind) > 1e-2
        assert model.alpha_ > ff.GLM("negative_binomial").fit(x, y).alpha_
    else:

        def penalised(b):
            mu, a = np.exp(b[0] + b[1] * x[:, 0]), np.exp(b[2])
            k = 1.0 / a
            value = special.gammaln(y + k) - special.gammaln(k) + y * np.log(mu / (k + mu)) - k * np.log1p(a * mu)
            block = (design_of(x).T * (mu / (1 + a * mu))) @ design_of(x)
            total = ff.NegativeBinomial().expected_alpha(mu, a).sum()
            return -value.sum() - 0.5 * np.linalg.slogdet(block)[1] - 0.5 * np.log(total)

        found = optimize.minimize(penalised, [1.0, 0.5, -0.7], method="BFGS", options={"gtol": 1e-8})
        ours = np.append(beta, np.log(model.alpha_))
        assert penalised(ours) <= found.fun + 1e-10
        np.testing.assert_allclose(ours, found.x, atol=1e-5)
    model._at_maximum(x, y)


@pytest.mark.filterwarnings("ignore::fisherfit.errors.BoundaryWarning")
def test_negative_binomial_at_its_bound():
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    y = np.round(np.exp(2.0 + x[:, 0]))  # no dispersion at all
    for kind in KINDS:
        model = ff.GLM("negative_binomial", bias_reduction=kind).fit(x, y)
        poisson = ff.GLM("poisson", bias_reduction=kind).fit(x, y)
        assert model.alpha_ == 0.0
        assert model.boundary_["parameters"] == ["alpha"]
        np.testing.assert_allclose(model.result_.coefficients[:2], poisson.result_.coefficients, rtol=1e-9)


def test_the_rows_may_be_given_again_and_others_are_refused():
    table = ff.datasets.load("endometrial")
    model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial", bias_reduction="mean").fit(table)
    maximum, _ = model._at_maximum(table)
    np.testing.assert_allclose(maximum.covariance_in_user_units(maximum.bread), model.result_.covariance, rtol=1e-9)
    with pytest.raises(ff.InputError, match="not the rows of the fit"):
        model._at_maximum(table.assign(HG=1 - table.HG))


def test_what_needs_the_maximum_of_the_likelihood_is_refused():
    table = ff.datasets.load("quine")
    model = ff.GLM("poisson", formula="days ~ eth + lrn", bias_reduction="median").fit(table)
    plain, diagnostics = ff.GLM("poisson", formula="days ~ eth").fit(table), model.diagnostics(table)
    for call in (
        lambda: model.test("eth", "lr", table),
        lambda: model.test("eth", "score", table),
        lambda: model.anova(table),
        lambda: model.profile(table),
        lambda: model.conf_int(method="profile", X=table),
        lambda: model.conf_int(method="score", X=table),
        lambda: ff.anova(plain, model),
        lambda: ff.checks.link(diagnostics),
        lambda: ff.checks.zero_inflation(diagnostics),
    ):
        with pytest.raises(ff.InputError, match="maximum-likelihood fit, and this one has bias_reduction='median'"):
            call()
    # what needs the estimates and their covariance alone is there
    wald = float((model.result_.params["eth[T.N]"] / model.result_.bse["eth[T.N]"]) ** 2)
    assert model.test("eth").statistic == pytest.approx(wald, rel=1e-12)
    robust = model.covariance(table, cov_type="HC3").loc["eth[T.N]", "eth[T.N]"]
    assert model.test("eth", X=table, cov_type="HC3").statistic == pytest.approx(
        float(model.result_.params["eth[T.N]"] ** 2 / robust), rel=1e-12
    )
    assert model.conf_int().shape == (3, 2)
    assert diagnostics.leverage.sum() == pytest.approx(3.0, rel=1e-9)
    assert ff.checks.overdispersion(diagnostics, "pearson").p_value < 1e-10
    assert len(model.predict(table, se=True)) == len(table)


def test_results_say_what_they_are():
    model = ff.GLM("poisson", bias_reduction="median").fit(X, COUNTS)
    assert "median bias reduction" in str(model.summary())
    assert model.result_.to_dict()["bias_reduction"] == "median"
    assert "bias reduction" not in str(ff.GLM("poisson").fit(X, COUNTS).summary())
    assert model.result_.deviance > ff.GLM("poisson").fit(X, COUNTS).result_.deviance
    for cov_type in ("observed", "HC0"):
        errors = ff.GLM("poisson", bias_reduction="median", cov_type=cov_type).fit(X, COUNTS).result_.standard_errors
        assert np.isfinite(errors).all()


class Pareto(ff.Family):
    """Neither an exponential dispersion family nor one with a third derivative."""

    parameters = {"shape": "positive"}
    support = ff.Support(1.0, lower_open=True)

    @staticmethod
    def log_density(y, shape):
        return math.log(shape) - (shape + 1.0) * math.log(y)

    @staticmethod
    def fisher(shape):
        return (1.0 / shape**2,)


@pytest.mark.filterwarnings("ignore::fisherfit.errors.CompilationWarning")
def test_a_family_with_no_more_than_an_information():
    y = np.exp(RNG.exponential(1.0 / np.exp(0.3 + 0.5 * X[:, 0])))
    x = X[:, :1]
    model = ff.GLM(Pareto(), bias_reduction="jeffreys").fit(x, y)
    # w = 1 with the log link: the prior is flat
    np.testing.assert_allclose(model.result_.coefficients, ff.GLM(Pareto()).fit(x, y).result_.coefficients, rtol=1e-8)
    with pytest.raises(ff.InputError, match="variance function of the pareto family"):
        ff.GLM(Pareto(), bias_reduction="mean").fit(x, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bias_reduction": "firth"}, "'firth' is not known; choose one of 'mean', 'median', 'jeffreys'"),
        ({"bias_reduction": True}, "True is not known"),
        ({"bias_reduction": "mean", "weight_type": "probability"}, "weight_type='probability'"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ff.InputError, match=message):
        ff.GLM("poisson", **arguments).fit(X, COUNTS)


def test_batches_and_saturated_models_are_refused():
    table = pd.DataFrame({"x": X[:, 0], "y": COUNTS})
    with pytest.raises(ff.InputError, match="in memory"):
        ff.GLM("poisson", formula="y ~ x", bias_reduction="mean").fit([table, table])
    with pytest.raises(ff.InputError, match="no degrees of freedom"):
        ff.GLM("gamma", bias_reduction="mean").fit(X[:3], POSITIVE[:3])


def test_the_end_of_steps_is_said():
    with pytest.warns(ff.ConvergenceWarning, match="max_iter=1"):
        model = ff.GLM("binomial", bias_reduction="median", max_iter=1).fit(X, BINARY)
    assert not model.converged_


def test_large_data_go_the_same_way():
    """Stripes and threads: the adjusted score of many rows, by the definition on a dense design."""
    rng = np.random.default_rng(8)
    n = 30_000
    x = np.column_stack([rng.standard_normal((n, 3)), rng.random(n) < 0.01]).astype(float)
    y = rng.poisson(np.exp(-2.0 + x @ [0.3, -0.2, 0.1, 0.5])).astype(float)
    found = [ff.GLM("poisson", bias_reduction="median", n_jobs=jobs).fit(x, y).result_.coefficients for jobs in (1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    f, z = np.exp(found[0][0] + x @ found[0][1:]), design_of(x)
    inverse = np.linalg.inv((z.T * f) @ z)
    shift = np.array([f @ (z @ c) ** 3 / c[r] / 3.0 for r, c in enumerate(inverse)])
    score = z.T @ (y - f + 0.5 * f * np.einsum("ij,jk,ik->i", z, inverse, z)) - np.linalg.solve(inverse, shift)
    assert np.sqrt(score @ inverse @ score) < 1e-9


@pytest.mark.slow
def test_the_bias_falls():
    """Logistic regression with 30 rows: the bias of the slope, and the share of estimates below the truth."""
    rng, truth, runs = np.random.default_rng(1), np.array([0.5, 1.0]), 2000
    x = rng.standard_normal((30, 1))
    found = {kind: np.empty((runs, 2)) for kind in ("mean", "median")}
    for r in range(runs):
        y = (rng.random(30) < special.expit(truth[0] + truth[1] * x[:, 0])).astype(float)
        for kind, out in found.items():
            out[r] = ff.GLM("binomial", bias_reduction=kind).fit(x, y).result_.coefficients
    error = found["mean"][:, 1].std() / np.sqrt(runs)
    # the maximum-likelihood estimate is infinite with positive probability; where finite it is some 0.2 too long
    assert abs(found["mean"][:, 1].mean() - 1.0) < 3.0 * error + 0.02
    below = float(np.mean(found["median"][:, 1] < 1.0))
    assert abs(below - 0.5) < 3.0 * 0.5 / np.sqrt(runs) + 0.01


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_responses(link, kind):
    """All responses are 0, or all 1, as in folds of a cross-validation: finite estimates that go by the definition."""
    x = np.random.default_rng(7).standard_normal((21, 1))
    for y in (np.zeros(21), np.ones(21)):
        model = ff.GLM("binomial", link, bias_reduction=kind).fit(x, y)
        assert model.converged_
        assert Rows("binomial", link, design_of(x), y).distance(model.result_.coefficients, kind) < 1e-7
        assert np.all(np.abs(model.predict(x) - y) < 0.2)


def test_a_zero_that_steps_do_not_reach_is_looked_for():
    """Steps that shorten the adjusted score end where its length is least, which need not be at its zero."""
    x = np.array([[-1.61, 1.56, -2.29], [-0.4, -0.55, 0.43], [1.93, -0.24, 1.74], [0.07, 1.9, 1.31], [0.08, 0.47, -0.55],
                  [-1.81, 1.81, 0.13], [1.5, 0.3, 1.75], [0.91, 0.09, -0.45], [-0.53, 0.35, 0.33]])  # fmt: skip
    y = np.array([0.52, 1.3, 1.94, 0.19, 1.97, 0.14, 0.77, 4.88, 0.35])
    for kind in KINDS:
        model = ff.GLM("inverse_gaussian", "log", bias_reduction=kind).fit(x, y)
        assert model.converged_
        rows = Rows("inverse_gaussian", "log", design_of(x), y, phi=model.result_.dispersion)
        assert rows.distance(model.result_.coefficients, kind) < 1e-6


def test_no_zero_is_said():
    """An inverse link far from the data: the adjusted score of the gamma family has no zero near them."""
    x = np.array([[0.9], [-1.2], [0.3], [1.6], [-0.5]])
    with pytest.warns(ff.ConvergenceWarning, match="no zero of the adjusted score was found"):
        model = ff.GLM("gamma", "inverse", bias_reduction="jeffreys").fit(x, [9.0, 0.1, 0.2, 0.1, 4.0])
    assert not model.converged_
