"""Robust covariances: certified values, and the definitions written out in plain NumPy."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff

from .reference import cases, model, truth, worst

HAVE = [(g, c["name"]) for g in ("glm", "extra") for c in cases(g) if "se_hc0" in c]
RNG = np.random.default_rng(8)
N = 240
X = RNG.standard_normal((N, 3)) * [1.0, 30.0, 0.02] + [0.0, 100.0, 0.0]
ETA = 0.1 + X @ [0.4, 0.002, 10.0]
GROUP = RNG.integers(0, 23, N)
OTHER = RNG.integers(0, 9, N)
COUNT = RNG.integers(0, 4, N).astype(float)
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N) * np.exp(0.3 * X[:, 0]) + RNG.standard_normal(23)[GROUP],
    "poisson": RNG.poisson(np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, 23)[GROUP]).astype(float),
    "binomial": (RNG.random(N) < 1.0 / (1.0 + np.exp(-ETA))).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
}


def same(got, want, digits=10):
    """Equal to a number of digits relative to the standard errors."""
    got, want = np.asarray(got), np.asarray(want)
    size = np.sqrt(np.outer(want.diagonal(), want.diagonal()))
    np.testing.assert_allclose(got / size, want / size, rtol=0, atol=10.0**-digits)


class Plain:
    """A fit written out: the design of the user with its intercept, scores, information, leverage."""

    def __init__(self, glm, y, weight=None, frequency=False, x=X):
        x = np.column_stack([np.ones(len(x)), x])
        w = np.ones(len(y)) if weight is None else weight
        family = glm.family if isinstance(glm.family, str) else glm.family.name
        mu = glm.predict(x[:, 1:])
        link = glm.result_.links[0]
        slope = {"identity": np.ones_like, "log": lambda m: m, "logit": lambda m: m * (1 - m)}[link](mu)
        variance = {
            "normal": np.ones_like, "poisson": lambda m: m, "binomial": lambda m: m * (1 - m), "gamma": lambda m: m * m,
            "negative_binomial": lambda m: m + glm.alpha_ * m * m,
        }[family](mu)  # fmt: skip
        self.u = w * (y - mu) * slope / variance
        self.w = w * slope**2 / variance
        if frequency:  # rows repeated
            times = w.astype(int)
            some = times > 0
            at = np.repeat(np.flatnonzero(some), times[some])
            x, self.u, self.w = (
                x[at],
                (self.u[some] / w[some]).repeat(times[some]),
                (self.w[some] / w[some]).repeat(times[some]),
            )
            self.at = at
        self.x = x
        self.scale = np.abs(x).max(axis=0)
        z = x / self.scale
        self.bread = np.linalg.inv(z.T @ (self.w[:, None] * z))
        self.score = z * self.u[:, None]
        self.h = np.einsum("ij,jk,ik->i", z, self.bread, z) * self.w
        self.z = z

    def sandwich(self, meat):
        return self.bread @ meat @ self.bread / np.outer(self.scale, self.scale)

    def hc(self, kind):
        n, k = self.x.shape
        factor = {
            "HC0": np.ones(n), "HC1": np.full(n, np.sqrt(n / (n - k))), "HC2": (1 - self.h) ** -0.5,
            "HC3": 1 / (1 - self.h),
        }[kind]  # fmt: skip
        s = self.score * factor[:, None]
        return self.sandwich(s.T @ s)

    def cluster_meat(self, groups, correction):
        meat = np.zeros_like(self.bread)
        labels = np.unique(groups)
        for g in labels:
            some = groups == g
            s = self.score[some].sum(axis=0)
            if correction == "CR3":  # Z'W^1/2 (I - H_gg)^-1 W^-1/2 u, m x m
                root = np.sqrt(self.w[some])
                z = self.z[some] * root[:, None]
                inside = np.eye(some.sum()) - z @ self.bread @ z.T
                s = z.T @ np.linalg.solve(inside, self.u[some] / root)
            meat += np.outer(s, s)
        if correction == "CR1":
            (n, k), G = self.x.shape, labels.size
            meat *= G / (G - 1) * (n - 1) / (n - k)
        return meat

    def cluster(self, groups, correction="CR1", other=None):
        meat = self.cluster_meat(groups, correction)
        if other is not None:
            both = groups * 1000 + other
            meat = meat + self.cluster_meat(other, correction) - self.cluster_meat(both, correction)
        return self.sandwich(meat)

    def hac(self, lags):
        s, n = self.score, len(self.score)
        meat = s.T @ s
        for lag in range(1, lags + 1):
            cross = s[lag:].T @ s[: n - lag]
            meat += (1 - lag / (lags + 1)) * (cross + cross.T)
        return self.sandwich(meat)

    def opg(self, phi):
        return np.linalg.inv(self.score.T @ self.score) * phi**2 / np.outer(self.scale, self.scale)


@pytest.mark.parametrize(("group", "name"), HAVE)
def test_heteroscedastic_standard_errors_have_their_digits(group, name):
    c = next(c for c in cases(group) if c["name"] == name)
    m, x, y, keywords = model(c)
    m.fit(x, y, **keywords)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        got = m.covariance(x, y, cov_type=kind, **keywords)
        bse = pd.Series(np.sqrt(np.diag(got)), got.index)
        want = {k: v for k, v in truth(c, f"se_{kind.lower()}").items() if v is not None}
        assert worst(bse, want) >= 10, kind
        assert got.attrs["cov_type"] == kind


@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("weights", ["none", "analytic", "frequency"])
def test_every_kind_is_its_definition(family, weights):
    y, w = RESPONSES[family], None if weights == "none" else COUNT
    glm = ff.GLM(family, weight_type="frequency" if weights == "frequency" else "analytic").fit(X, y, sample_weight=w)
    plain = Plain(glm, y, w, weights == "frequency")
    rows = np.arange(N) if weights != "frequency" else plain.at

    def got(kind, **options):
        return glm.covariance(X, y, kind, sample_weight=w, **options)

    if weights == "analytic":  # rows of weight zero are not there
        some = w > 0
        glm_some = ff.GLM(family).fit(X[some], y[some], sample_weight=w[some])
        plain, rows = Plain(glm_some, y[some], w[some], x=X[some]), np.flatnonzero(some)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        same(got(kind), plain.hc(kind))
    same(got("opg"), plain.opg(glm.dispersion_))
    for correction in ("CR0", "CR1", "CR3"):
        same(got("cluster", groups=GROUP, correction=correction), plain.cluster(GROUP[rows], correction))
    two = np.column_stack([GROUP, OTHER])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(got("cluster", groups=two), plain.cluster(GROUP[rows], "CR1", OTHER[rows]))
    if weights == "frequency":
        with pytest.raises(ff.InputError, match="order of the rows"):
            got("HAC")
        return
    for lags in (0, 1, 7, 100):
        same(got("HAC", lags=lags), plain.hac(lags))
    n = rows.size
    default = int(4 * (n / 100) ** (2 / 9))
    assert got("HAC").attrs["cov_type"] == f"HAC({default})"
    same(got("HAC"), plain.hac(default))


@pytest.mark.parametrize("cov_type", ["opg", "HC0", "HC1", "HC2", "HC3", "cluster", "cluster(CR3)", "HAC(5)"])
def test_the_fit_uses_the_same(cov_type):
    y, table = RESPONSES["gamma"], pd.DataFrame(X, columns=list("abc")).assign(village=GROUP)
    groups = {"groups": "village"} if cov_type.startswith("cluster") else {}
    x = table if groups else table[list("abc")]
    fit = ff.GLM("gamma", cov_type=cov_type).fit(x, y, **groups)
    assert list(fit.result_.params.index) == ["Intercept", "a", "b", "c"]
    assert fit.result_.cov_type == ("cluster(CR1)" if cov_type == "cluster" else cov_type)
    assert f"{fit.result_.cov_type}" in str(fit.summary())
    plainly = ff.GLM("gamma").fit(table[list("abc")], y)
    later = plainly.covariance(x, y, cov_type, **groups)
    same(fit.result_.cov_params(), later, 12)
    same(fit.covariance(x, y), later, 12)  # of the fit's own kind, the column of the groups remembered
    np.testing.assert_allclose(fit.result_.bse**2, np.diag(later), rtol=1e-11)
    np.testing.assert_array_equal(fit.predict(x), plainly.predict(table[list("abc")]))


def test_negative_binomial_with_its_alpha():
    rng = np.random.default_rng(3)
    y = rng.poisson(np.exp(0.3 + X[:, 0]) * rng.gamma(2.0, 0.5, N)).astype(float)
    glm = ff.GLM("negative_binomial").fit(X, y)
    maximum, _ = glm._at_maximum(X, y)
    plain = Plain(glm, y)
    s_alpha = maximum.row_scores()[1]
    step = 1e-5  # the score of alpha, by differences of the log-density
    from scipy.stats import nbinom

    def density(alpha):
        mu = glm.predict(X)
        return nbinom.logpmf(y, 1 / alpha, 1 / (1 + alpha * mu))

    np.testing.assert_allclose(
        s_alpha, (density(glm.alpha_ + step) - density(glm.alpha_ - step)) / (2 * step), rtol=1e-4, atol=1e-6
    )
    bread = np.zeros((5, 5))
    bread[:4, :4] = plain.bread
    bread[4, 4] = maximum.bread[4, 4]
    for kind, power in (("HC0", 0.0), ("HC2", 0.5), ("HC3", 1.0)):
        from fisherfit.leverage import leverage

        h = leverage(maximum)
        s = np.column_stack([
            plain.score * (1 - plain.h)[:, None] ** -power, s_alpha * (1 - h[:, 1, 1]) ** -power
        ])  # fmt: skip
        scale = np.append(plain.scale, 1.0)
        want = bread @ (s.T @ s) @ bread / np.outer(scale, scale)
        same(glm.covariance(X, y, kind), want)
        same(ff.GLM("negative_binomial", cov_type=kind).fit(X, y).result_.cov_params(), want, 9)
    sums = np.stack([np.append(plain.score, s_alpha[:, None], axis=1)[g == GROUP].sum(axis=0) for g in range(23)])
    want = bread @ (sums.T @ sums) @ bread / np.outer(scale, scale) * 23 / 22 * (N - 1) / (N - 4)
    same(glm.covariance(X, y, "cluster", groups=GROUP), want)


def test_counts_of_successes_and_trials_are_one_row_each():
    trials = RNG.integers(1, 9, N)
    success = RNG.binomial(trials, 1.0 / (1.0 + np.exp(-ETA)))
    y = np.column_stack([success, trials - success])
    times = RNG.integers(1, 4, N)
    again = np.repeat(np.arange(N), times)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        short = ff.GLM("binomial", weight_type="frequency", cov_type=kind).fit(X, y, sample_weight=times)
        long = ff.GLM("binomial", cov_type=kind).fit(X[again], y[again])
        np.testing.assert_allclose(short.result_.bse, long.result_.bse, rtol=1e-10)


def test_a_row_of_its_own_group_gives_hc3_and_no_lags_hc0():
    y = RESPONSES["poisson"]
    glm = ff.GLM("poisson").fit(X, y)
    same(glm.covariance(X, y, "cluster(CR3)", groups=np.arange(N)), glm.covariance(X, y, "HC3"), 12)
    same(glm.covariance(X, y, "cluster(CR0)", groups=np.arange(N)), glm.covariance(X, y, "HC0"), 12)
    same(glm.covariance(X, y, "HAC(0)"), glm.covariance(X, y, "HC0"), 12)


def test_large_groups_and_small_ones_agree():
    """Groups longer than what is read together, against the plain definition in p x p."""
    rng = np.random.default_rng(4)
    n = 20_000
    x, group = rng.standard_normal((n, 5)), np.minimum(rng.integers(0, 60, n), 20)
    y = rng.poisson(np.exp(0.3 * x[:, 0])).astype(float)
    glm = ff.GLM("poisson").fit(x, y)
    z, mu = np.column_stack([np.ones(n), x]), glm.predict(x)
    information = z.T @ (mu[:, None] * z)
    want = np.zeros((6, 6))
    for g in range(21):
        some = group == g
        d = np.linalg.solve(information - z[some].T @ (mu[some, None] * z[some]), z[some].T @ (y - mu)[some])
        want += np.outer(d, d)
    assert (group == 20).sum() > 8192
    same(glm.covariance(x, y, "cluster(CR3)", groups=group), want)


@pytest.mark.parametrize("cov_type", ["HC3", "cluster", "cluster(CR3)", "HAC(9)"])
def test_units_and_threads_do_not_matter(cov_type):
    rng = np.random.default_rng(6)
    n, p = 30_000, 20
    x, group = rng.standard_normal((n, p)), rng.integers(0, 300, n)
    y = rng.poisson(np.exp(0.1 * x[:, 0])).astype(float)
    options = {"groups": group} if cov_type.startswith("cluster") else {}
    one, three = (ff.GLM("poisson", n_jobs=j).fit(x, y).covariance(x, y, cov_type, **options) for j in (1, 3))
    np.testing.assert_array_equal(one, three)
    units = np.exp2(rng.integers(-40, 40, p))
    scaled = ff.GLM("poisson").fit(x * units, y).covariance(x * units, y, cov_type, **options)
    units = np.append(1.0, units)
    same(np.asarray(scaled) * np.outer(units, units), one)


def test_a_row_of_leverage_one_is_named_and_its_coefficient_has_no_standard_error():
    x = pd.DataFrame(X, columns=list("abc")).assign(only=(np.arange(N) == 17).astype(float))
    y = RESPONSES["normal"]
    glm = ff.GLM().fit(x, y)
    for kind in ("HC2", "HC3"):
        with pytest.warns(ff.CovarianceWarning, match="row 17"):
            got = glm.covariance(x, y, kind)
        with pytest.warns(ff.CovarianceWarning, match="leverage 1"):
            fit = ff.GLM(cov_type=kind).fit(x, y)
        assert got.loc["only"].isna().all()
        assert np.isnan(fit.result_.bse["only"])
        without = ff.GLM().fit(x.drop(columns="only").drop(17), np.delete(y, 17))
        rest = without.covariance(x.drop(columns="only").drop(17), np.delete(y, 17), kind)
        same(got.drop(index="only", columns="only"), rest)
    with pytest.warns(ff.CovarianceWarning, match="group"):
        got = glm.covariance(x, y, "cluster(CR3)", groups=np.where(np.arange(N) == 17, 99, GROUP))
    assert got.isna().to_numpy().sum() == 9
    assert not glm.covariance(x, y, "HC1").isna().to_numpy().any()


def test_two_ways_that_are_not_semidefinite():
    rng = np.random.default_rng(1)
    for _ in range(200):
        x, y = rng.standard_normal((40, 6)), rng.standard_normal(40)
        a, b = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
        glm = ff.GLM().fit(x, y)
        want = Plain(glm, y, x=x).cluster(a, "CR1", b)
        if np.linalg.eigvalsh(want)[0] < -0.05 * np.linalg.eigvalsh(want)[-1]:
            break
    with pytest.warns(ff.CovarianceWarning, match="not positive semi-definite"):
        got = glm.covariance(x, y, "cluster", groups=[a, b])
    assert np.linalg.eigvalsh(got)[0] > -1e-12 * np.linalg.eigvalsh(got)[-1]
    assert np.all(np.diag(got) > 0)
    units = np.array([1.0, 1e3, 1, 1, 1e-4, 1, 1])
    with pytest.warns(ff.CovarianceWarning):
        scaled = ff.GLM().fit(x * units[1:], y).covariance(x * units[1:], y, "cluster", groups=[a, b])
    same(np.asarray(scaled) * np.outer(units, units), got)


def test_aliased_and_infinite_coefficients():
    y = RESPONSES["binomial"]
    z = np.column_stack([X, X[:, 0] + X[:, 1]])
    with pytest.warns(ff.RankWarning):
        glm = ff.GLM("binomial").fit(z, y)
    plain = ff.GLM("binomial").fit(X, y)
    for kind, options in (
        ("HC3", {}),
        ("cluster", {"groups": GROUP}),
        ("cluster(CR3)", {"groups": GROUP}),
        ("HAC", {}),
    ):
        got, want = glm.covariance(z, y, kind, **options), plain.covariance(X, y, kind, **options)
        same(got.iloc[[0, 3], [0, 3]], want.iloc[[0, 3], [0, 3]], 9)
        assert got.iloc[1].isna().all()
    marked = (np.arange(N) % 50 == 0).astype(float)
    z, y = np.column_stack([X, marked]), np.where(marked > 0, 1.0, y)
    some = marked == 0
    rest = ff.GLM("binomial").fit(X[some], y[some])
    for kind in ("HC0", "HC2", "HC3"):
        with pytest.warns(ff.SeparationWarning):
            glm = ff.GLM("binomial", cov_type=kind).fit(z, y)
        got = glm.covariance(z, y)
        same(got.iloc[:4, :4], rest.covariance(X[some], y[some], kind), 9)
        assert np.isinf(got.iloc[4, 4])
        np.testing.assert_allclose(glm.result_.bse.iloc[:4] ** 2, np.diag(got)[:4], rtol=1e-9)


def test_probability_weights_take_a_sandwich_whatever_is_asked():
    y, w = RESPONSES["poisson"], COUNT + 0.5
    glm = ff.GLM("poisson", weight_type="probability").fit(X, y, sample_weight=w)
    plain = Plain(glm, y, w * N / w.sum())
    for kind in ("expected", "opg", "HC0", "HC1"):
        same(glm.covariance(X, y, kind, sample_weight=w), plain.hc("HC0") * N / (N - 1))
    same(glm.covariance(X, y, "cluster", groups=GROUP, sample_weight=w), plain.cluster(GROUP))
    same(glm.covariance(X, y, "HC3", sample_weight=w), plain.hc("HC3"))


def test_statsmodels_agrees_where_it_is_right():
    import statsmodels.api as sm

    z, y = sm.add_constant(X), RESPONSES["normal"]
    ols, glm = sm.OLS(y, z).fit(), ff.GLM().fit(X, y)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        same(glm.covariance(X, y, kind), ols.get_robustcov_results(kind).cov_params(), 9)
    same(glm.covariance(X, y, "cluster", groups=GROUP),
         ols.get_robustcov_results("cluster", groups=GROUP).cov_params(), 9)  # fmt: skip
    two = np.column_stack([GROUP, OTHER])
    same(glm.covariance(X, y, "cluster", groups=two), ols.get_robustcov_results("cluster", groups=two).cov_params(), 9)
    same(glm.covariance(X, y, "HAC(6)"), ols.get_robustcov_results("HAC", maxlags=6).cov_params(), 9)
    y = RESPONSES["poisson"]
    peer, glm = sm.GLM(y, z, sm.families.Poisson()), ff.GLM("poisson").fit(X, y)
    fit = peer.fit(tol=1e-14, cov_type="cluster", cov_kwds={"groups": GROUP})
    same(glm.covariance(X, y, "cluster", groups=GROUP), fit.cov_params(), 8)
    fit = peer.fit(tol=1e-14, cov_type="HAC", cov_kwds={"maxlags": 6})
    same(glm.covariance(X, y, "HAC(6)"), fit.cov_params(), 8)


CUT = pd.DataFrame(X, columns=list("abc")).assign(y=RESPONSES["poisson"], village=[f"v{g}" for g in GROUP], team=OTHER)
WHOLE = pd.concat([CUT] * 900, ignore_index=True)  # more rows than a sample holds


@pytest.mark.parametrize(
    ("cov_type", "groups"),
    [("HC2", None), ("HC3", None), ("opg", None), ("HAC(11)", None), ("cluster", "village"),
     ("cluster(CR0)", ("village", "team"))],
)  # fmt: skip
def test_rows_in_batches(cov_type, groups):
    used = [*"abcy", *(groups if isinstance(groups, tuple) else [groups] if groups else [])]
    whole = WHOLE[used]
    sizes = [0, 50_001, 50_777, 140_000, len(whole)]
    parts = [whole.iloc[a:b] for a, b in pairwise(sizes)]
    options = {} if groups is None else {"groups": groups}
    streamed = ff.GLM("poisson", cov_type=cov_type).fit(parts, "y", **options)
    memory = ff.GLM("poisson", cov_type=cov_type).fit(whole.drop(columns="y"), whole.y, **options)
    assert streamed.result_.cov_type == memory.result_.cov_type
    assert list(streamed.result_.params.index) == ["Intercept", "a", "b", "c"]
    same(streamed.result_.cov_params(), memory.result_.cov_params(), 9)


@pytest.mark.parametrize("cov_type", ["HC1", "HC3"])
def test_rows_in_batches_that_count_several_times(cov_type):
    whole = WHOLE[[*"abcy"]].assign(w=np.tile(COUNT, 900))
    options = {"cov_type": cov_type, "weight_type": "frequency"}
    streamed = ff.GLM("poisson", **options).fit([whole[:70_000], whole[70_000:]], "y", sample_weight="w")
    memory = ff.GLM("poisson", **options).fit(whole.drop(columns="y"), whole.y, sample_weight="w")
    same(streamed.result_.cov_params(), memory.result_.cov_params(), 9)
    once = whole.drop(columns="w").loc[np.repeat(np.arange(len(whole)), whole.w.to_numpy(int))]
    plain = ff.GLM("poisson", cov_type=cov_type).fit(once.drop(columns="y"), once.y)
    same(streamed.result_.cov_params(), plain.result_.cov_params(), 9)


@pytest.mark.parametrize(
    ("cov_type", "most"), [("HC0", 2), ("HC3", 3), ("cluster", 2), ("HAC", 2), ("opg", 2), ("cluster(CR3)", 1)]
)
def test_passes_over_the_rows(cov_type, most, monkeypatch):
    """The check that the rows are those of the fit, and one or two more; CR3 gathers the rows of groups."""
    from fisherfit import clustering, likelihood

    y, glm = RESPONSES["poisson"], ff.GLM("poisson").fit(X, RESPONSES["poisson"])
    passes, each_stripe = [], likelihood.each_stripe

    def counted(*arguments):
        passes.append(arguments)
        return each_stripe(*arguments)

    monkeypatch.setattr(likelihood, "each_stripe", counted)
    monkeypatch.setattr(clustering, "each_stripe", counted)
    glm.covariance(X, y, cov_type, **({"groups": GROUP} if "cluster" in cov_type else {}))
    assert len(passes) == most


def test_the_row_named_is_that_of_the_data_given():
    x, y = np.column_stack([X, np.arange(N) == 60]), np.where(np.arange(N) == 4, np.nan, RESPONSES["normal"])
    glm = ff.GLM(missing="drop")
    with pytest.warns(ff.MissingValuesWarning):
        glm.fit(x, y)
    with pytest.warns(ff.CovarianceWarning, match="first is row 60:"):
        glm.covariance(x, y, "HC3")


def test_rows_in_batches_need_memory_for_the_jackknife():
    parts = [WHOLE.iloc[:110_000], WHOLE.iloc[110_000:]]
    with pytest.raises(ff.InputError, match=r"CR3.*batches"):
        ff.GLM("poisson", cov_type="cluster(CR3)").fit(parts, "y", groups=("village", "team"))


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "cluster", "HAC(3)"])
def test_standard_errors_of_wide_designs(cov_type):
    import scipy.sparse as sp

    y, x = RESPONSES["poisson"], sp.csr_array(X)
    options = {"groups": np.column_stack([GROUP, OTHER])} if cov_type == "cluster" else {}
    glm = ff.GLM("poisson", cov_type=cov_type).fit(x, y, **options)
    got = glm.standard_errors(x, y, columns=["x0", "x2"], **options)
    np.testing.assert_allclose(got, glm.result_.bse[["x0", "x2"]], rtol=1e-9)


def test_standard_errors_of_wide_designs_say_what_they_cannot():
    glm = ff.GLM("poisson", cov_type="HC3").fit(X, RESPONSES["poisson"])
    with pytest.raises(ff.InputError, match=r"HC3.*all coefficients"):
        glm.standard_errors(X, RESPONSES["poisson"])


def test_missing_labels():
    table = pd.DataFrame(X, columns=list("abc")).assign(village=pd.Series(GROUP).astype("Int64"))
    table.loc[[5, 9], "village"] = pd.NA
    y = RESPONSES["poisson"]
    with pytest.raises(ff.InputError, match=r"missing label at row 5 \(2 in all\)"):
        ff.GLM("poisson", cov_type="cluster").fit(table, y, groups="village")
    with pytest.warns(ff.MissingValuesWarning, match="2 of 240"):
        glm = ff.GLM("poisson", cov_type="cluster", missing="drop").fit(table, y, groups="village")
    kept = np.delete(np.arange(N), [5, 9])
    rest = ff.GLM("poisson", cov_type="cluster").fit(X[kept], y[kept], groups=GROUP[kept])
    np.testing.assert_allclose(glm.result_.bse, rest.result_.bse, rtol=1e-10)


def test_labels_of_any_kind():
    y = RESPONSES["poisson"]
    table = pd.DataFrame(X, columns=list("abc")).assign(village=[f"v{g}" for g in GROUP], when=OTHER)
    glm = ff.GLM("poisson").fit(X, y)
    want = glm.covariance(X, y, "cluster", groups=GROUP)
    for groups in (GROUP.tolist(), pd.Series(GROUP), [f"v{g}" for g in GROUP], pd.Categorical(GROUP), (GROUP,)):
        same(glm.covariance(X, y, "cluster", groups=groups), want, 12)
    named = ff.GLM("poisson").fit(table[list("abc")], y)
    same(named.covariance(table.drop(columns="when"), y, "cluster", groups="village"), want, 12)
    both = glm.covariance(X, y, "cluster", groups=[GROUP, OTHER])
    for groups in (["village", "when"], ("village", "when"), table[["village", "when"]]):
        x = table if isinstance(groups, (list, tuple)) else table[list("abc")]
        same(named.covariance(x, y, "cluster", groups=groups), both, 12)
    formula = ff.GLM("poisson", formula="y ~ a + b + c + C(when)", cov_type="cluster").fit(
        table.assign(y=y), groups="when"
    )
    assert "C(when)[T.1]" in formula.result_.params.index
    covariate = ff.GLM("poisson").fit(table.drop(columns="village"), y)  # groups that are a covariate too
    assert covariate.covariance(table.drop(columns="village"), y, "cluster", groups="when").shape == (5, 5)


MISTAKES = {
    "kind": ({"cov_type": "HC4"}, "cov_type: 'HC4' is not known.*'HC3'"),
    "no groups": ({"cov_type": "cluster"}, "needs groups="),
    "needless groups": ({"cov_type": "HC3", "groups": GROUP}, "groups is for cov_type='cluster'"),
    "length": ({"cov_type": "cluster", "groups": GROUP[:9]}, "9 labels"),
    "column": ({"cov_type": "cluster", "groups": "village"}, "names a column, but X is an array"),
    "ways": ({"cov_type": "cluster", "groups": [GROUP, GROUP, OTHER]}, "3 ways"),
    "one group": ({"cov_type": "cluster", "groups": np.zeros(N, int)}, "1 group"),
    "correction": ({"cov_type": "cluster", "groups": GROUP, "correction": "CR2"}, "correction: 'CR2'"),
    "needless correction": ({"cov_type": "HC3", "correction": "CR1"}, "for cov_type='cluster'"),
    "needless lags": ({"cov_type": "HC3", "lags": 3}, "for cov_type='HAC'"),
    "negative lags": ({"cov_type": "HAC", "lags": -1}, "at least 0"),
    "many lags": ({"cov_type": "HAC", "lags": N}, "as many as there are rows"),
    "no number": ({"cov_type": "HAC(x)"}, "number of lags"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(name):
    options, text = MISTAKES[name]
    glm = ff.GLM().fit(X, RESPONSES["normal"])
    with pytest.raises(ff.InputError, match=text) as caught:
        glm.covariance(X, RESPONSES["normal"], **options)
    assert "\n" not in str(caught.value)


def test_a_fit_without_its_groups_is_refused():
    with pytest.raises(ff.InputError, match="needs groups="):
        ff.GLM(cov_type="cluster").fit(X, RESPONSES["normal"])
    with pytest.raises(ff.InputError, match="groups is for"):
        ff.GLM(cov_type="HC1").fit(X, RESPONSES["normal"], groups=GROUP)
    with pytest.raises(ff.InputError, match="cov_type: 'robust'"):
        ff.GLM(cov_type="robust").fit(X, RESPONSES["normal"])


def rate_of_covering(make, kind, runs, groups=None):
    """The share of 95 % intervals for the slope that hold it."""
    held = 0
    for seed in range(runs):
        x, y = make(np.random.default_rng(seed))
        options = {} if groups is None else {"groups": groups}
        r = ff.GLM(cov_type=kind).fit(x, y, **options).result_
        lower, upper = r.conf_int().loc["x0"]
        held += lower < 1.0 < upper
    return held / runs


@pytest.mark.slow
def test_intervals_cover_at_their_level():
    def uneven(rng):
        x = rng.standard_normal((100, 1))
        return x, x[:, 0] + rng.standard_normal(100) * (0.3 + x[:, 0] ** 2)

    group = np.repeat(np.arange(50), 6)

    def together(rng):
        x = rng.standard_normal(50)[group][:, None] + 0.3 * rng.standard_normal((300, 1))
        return x, x[:, 0] + rng.standard_normal(50)[group] + rng.standard_normal(300)

    runs = 1500
    error = np.sqrt(0.95 * 0.05 / runs)
    assert rate_of_covering(uneven, "expected", runs) < 0.8
    assert abs(rate_of_covering(uneven, "HC3", runs) - 0.95) < 3.5 * error
    assert rate_of_covering(together, "HC3", runs) < 0.8
    assert abs(rate_of_covering(together, "cluster(CR3)", runs, group) - 0.95) < 3.5 * error
    assert (
        abs(rate_of_covering(together, "cluster", runs, group) - 0.95) < 5.0 * error
    )  # a little below with few groups
