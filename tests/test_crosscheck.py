"""Against statsmodels, over its grid of families and links: a cross-check, not the oracle.

Where statsmodels differs or is wrong, the comparison goes around it:

- Its standard errors, deviance and scale are those of the iterate before the last step (half the digits lost); fitted
  from our maximum they belong to the maximum.
- `llf` of families with a dispersion is taken at Pearson's estimate (of the normal family, unless its link is the
  identity); ours is taken at the maximum-likelihood estimate. Its `loglike` at our dispersion agrees.
- `llnull` of those families is taken at the dispersion of the full model, ours at that of the null model.
- `aic` does not count the dispersion, ours does; `bic` is by default that of the deviance.
- `bse` is NaN where the fit ends on the edge of the domain (binomial with identity link); the data here avoid it.
- `nobs` is the number of rows whatever the frequency weights; its `df_resid` and `wnobs` count them, as ours do.
- With fractional variance weights it gives the binomial family a log-likelihood; ours is NaN, since the weights are
  numbers of trials.
- A start outside the domain is accepted, and HC1 to HC3 are HC0 (issue 7798): neither is compared here.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import fisherfit as ff

L, F = sm.families.links, sm.families
LINKS = {
    "identity": L.Identity(), "log": L.Log(), "logit": L.Logit(), "probit": L.Probit(), "cloglog": L.CLogLog(),
    "loglog": L.LogLog(), "cauchit": L.Cauchy(), "inverse": L.InversePower(), "inverse_squared": L.InverseSquared(),
    "sqrt": L.Sqrt(), "power(2)": L.Power(2.0), "power(-0.5)": L.Power(-0.5),
}  # fmt: skip
FAMILIES = {
    "normal": (ff.Normal(), F.Gaussian, {}),
    "binomial": (ff.Binomial(), F.Binomial, {}),
    "poisson": (ff.Poisson(), F.Poisson, {}),
    "gamma": (ff.Gamma(), F.Gamma, {}),
    "inverse_gaussian": (ff.InverseGaussian(), F.InverseGaussian, {}),
    "negative_binomial": (ff.NegativeBinomial(alpha=0.4), F.NegativeBinomial, {"alpha": 0.4}),
    "geometric": (ff.Geometric(), F.NegativeBinomial, {"alpha": 1.0}),
    "tweedie": (ff.Tweedie(power=1.4), F.Tweedie, {"var_power": 1.4}),
}
POSITIVE = ("log", "identity", "sqrt", "inverse", "inverse_squared", "power(2)")
UNIT = ("logit", "probit", "cloglog", "loglog", "cauchit", "log", "identity")
# kernels with a power link are compiled anew in every run: one family in the quick tests, and one with a fraction
SLOW = pytest.mark.slow
GRID = [
    pytest.param(family, link, marks=[SLOW] if link == "power(2)" and family != "gamma" else [])
    for family in FAMILIES
    for link in (UNIT if family == "binomial" else POSITIVE)
] + [pytest.param("gamma", "power(-0.5)", marks=SLOW)]
QUIET = ("poisson", "binomial", "negative_binomial", "geometric")  # no dispersion


def draw(name, link, seed=0, n=250):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, size=(n, 2))
    mean = ff.links.get_link(link).mean
    if name == "binomial":
        centre, slopes = {"log": (-1.2, [0.3, -0.2]), "identity": (0.5, [0.15, -0.1])}.get(link, (0.2, [0.6, -0.4]))
        mu = mean(centre + X @ slopes)
    else:
        middle = float(ff.links.get_link(link).forward(3.0))
        mu = mean(middle * (1.0 + X @ [0.12, -0.1]))
    y = {
        "normal": lambda: rng.normal(mu, 0.3),
        "binomial": lambda: (rng.random(n) < mu).astype(float),
        "poisson": lambda: rng.poisson(mu).astype(float),
        "gamma": lambda: rng.gamma(4.0, mu / 4.0),
        "inverse_gaussian": lambda: rng.wald(mu, 20.0),
        "negative_binomial": lambda: rng.poisson(rng.gamma(2.5, mu / 2.5)).astype(float),
        "geometric": lambda: rng.poisson(rng.gamma(1.0, mu)).astype(float),
        "tweedie": lambda: ff.Tweedie(1.4).sample(rng, mu, 0.5),
    }[name]()
    return X, y


def both(name, link, X, y, freq=None, var=None, **more):
    """Ours, and theirs started at ours."""
    family, theirs, options = FAMILIES[name]
    weights, kind = (var, "analytic") if freq is None else (freq, "frequency")
    ours = ff.GLM(family, link=link, weight_type=kind).fit(X, y, sample_weight=weights, **more).result_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of domains; that its deviance rises by rounding at the maximum
        model = sm.GLM(y, sm.add_constant(X), family=theirs(link=LINKS[link], check_link=False, **options), freq_weights=freq,
                       var_weights=var, **more)  # fmt: skip
        return ours, model.fit(start_params=ours.coefficients, tol=1e-14, maxiter=50)


def agree(r, s, name):
    """Everything that both report, by the conventions named above."""
    assert r.converged
    np.testing.assert_allclose(r.coefficients, s.params, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(r.standard_errors, s.bse, rtol=1e-8)
    np.testing.assert_allclose(r.cov_params(), s.cov_params(), rtol=1e-7, atol=1e-8 * np.max(r.standard_errors) ** 2)
    for ours, theirs in (
        (r.deviance, s.deviance), (r.pearson_chi2, s.pearson_chi2), (r.dispersion, s.scale), (r.null_deviance, s.null_deviance),
    ):  # fmt: skip
        assert ours == pytest.approx(theirs, rel=1e-9, abs=0)
    assert (r.nobs, r.df_resid, r.df_model) == (s.model.wnobs, s.df_resid, s.df_model)
    if np.isnan(r.llf):
        assert name == "binomial"
        return
    model, quiet = s.model, name in QUIET
    scale = 1.0 if quiet else r.dispersion_ml
    theirs = model.family.loglike(
        model.endog, s.mu, var_weights=model.var_weights, freq_weights=model.freq_weights, scale=scale
    )
    assert r.llf == pytest.approx(theirs, rel=1e-11, abs=1e-9)
    assert r.llf >= s.llf - 1e-9 * abs(s.llf)
    if quiet:
        assert r.llf == pytest.approx(s.llf, rel=1e-11)
        assert r.llnull == pytest.approx(s.llnull, rel=1e-9)
        assert r.aic == pytest.approx(s.aic, rel=1e-11)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert r.bic == pytest.approx(s.bic_llf, rel=1e-11)
    else:
        assert r.aic == pytest.approx(-2.0 * r.llf + 2.0 * (s.df_model + 2.0), rel=1e-14)


def differ(r, s):
    """The largest relative difference of coefficients and standard errors."""
    return max(np.max(np.abs(a / b - 1.0)) for a, b in ((r.coefficients, s.params), (r.standard_errors, s.bse)))


@pytest.mark.parametrize(("name", "link"), GRID)
def test_families_and_links(name, link):
    agree(*both(name, link, *draw(name, link)), name)


def test_the_comparison_sees_a_millionth():
    X, y = draw("gamma", "log")
    r, _ = both("gamma", "log", X, y)
    _, s = both("gamma", "log", X * (1 + 1e-6), y)
    assert differ(r, s) > 1e-7
    with pytest.raises(AssertionError):
        agree(r, s, "gamma")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("what", ["freq", "var", "offset", "all"])
def test_weights_and_offsets(name, what):
    link = "probit" if name == "binomial" else "log"
    X, y = draw(name, link, seed=3)
    rng = np.random.default_rng(4)
    more = {}
    if what in ("freq", "all"):
        more["freq"] = rng.integers(1, 4, len(y)).astype(float)
    if what == "var":
        more["var"] = rng.uniform(0.5, 2.0, len(y))
    if what in ("offset", "all"):
        more["offset"] = rng.uniform(-0.2, 0.2, len(y))
    with warnings.catch_warnings():
        if name == "binomial" and what == "var":
            warnings.simplefilter("ignore", ff.NonIntegerWarning)  # fractional trials
        agree(*both(name, link, X, y, **more), name)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "binomial"])
def test_exposure(name):
    X, y = draw(name, "log", seed=5)
    rng = np.random.default_rng(6)
    agree(*both(name, "log", X, y, exposure=rng.uniform(0.5, 3.0, len(y))), name)
    agree(*both(name, "log", X, y, exposure=rng.uniform(0.5, 3.0, len(y)), offset=rng.uniform(-0.2, 0.2, len(y))), name)


@pytest.mark.parametrize("link", UNIT)
def test_successes_and_failures(link):
    rng = np.random.default_rng(7)
    X, _ = draw("binomial", link)
    trials = rng.integers(1, 12, len(X))
    successes = rng.binomial(
        trials, ff.links.get_link(link).mean({"log": -1.2, "identity": 0.5}.get(link, 0.2) + X @ [0.12, -0.1])
    )
    agree(*both("binomial", link, X, np.column_stack([successes, trials - successes])), "binomial")


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in QUIET])
def test_null_model(name):
    """Our null log-likelihood is that of a fit without columns; theirs at its dispersion agrees."""
    X, y = draw(name, "log")
    r, s = both(name, "log", X, y)
    family = FAMILIES[name][0]
    null = ff.GLM(family, link="log", formula="y ~ 1").fit(pd.DataFrame({"y": y})).result_
    assert r.llnull == pytest.approx(null.llf, rel=1e-12)
    assert r.null_deviance == pytest.approx(null.deviance, rel=1e-12)
    theirs = s.model.family.loglike(y, np.full(y.size, y.mean()), scale=null.dispersion_ml)
    assert r.llnull == pytest.approx(theirs, rel=1e-11)


@pytest.mark.parametrize(("ours", "theirs"), [("deviance", "dev"), (2.0, 2.0), ("pearson", None)])
@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in QUIET])
def test_dispersions(name, ours, theirs):
    X, y = draw(name, "log", seed=8)
    family, kind, options = FAMILIES[name]
    r = ff.GLM(family, link="log", dispersion=ours).fit(X, y).result_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = sm.GLM(y, sm.add_constant(X), family=kind(link=LINKS["log"], **options)).fit(
            start_params=r.coefficients, tol=1e-14, scale=theirs
        )
    assert r.dispersion == pytest.approx(s.scale, rel=1e-10)
    np.testing.assert_allclose(r.standard_errors, s.bse, rtol=1e-9)
    if ours == 2.0:
        assert r.llf == pytest.approx(s.llf, rel=1e-11)


@pytest.mark.parametrize("name", QUIET)
def test_quasi_likelihood(name):
    """A dispersion estimated by Pearson's statistic where the family has none."""
    link = "logit" if name == "binomial" else "log"
    X, y = draw(name, link, seed=9)
    family, kind, options = FAMILIES[name]
    r = ff.GLM(family, link=link, dispersion="pearson").fit(X, y).result_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = sm.GLM(y, sm.add_constant(X), family=kind(link=LINKS[link], **options)).fit(
            start_params=r.coefficients, tol=1e-14, scale="X2"
        )
    assert r.dispersion == pytest.approx(s.scale, rel=1e-10)
    np.testing.assert_allclose(r.standard_errors, s.bse, rtol=1e-9)
    assert np.isnan(r.aic)


@pytest.mark.parametrize("name", ["normal", "poisson", "gamma"])
def test_without_intercept(name):
    X, y = draw(name, "identity")
    X = np.column_stack([np.ones(len(y)), X])
    family, kind, _ = FAMILIES[name]
    r = ff.GLM(family, link="identity", fit_intercept=False).fit(X, y).result_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = sm.GLM(y, X, family=kind(link=LINKS["identity"], check_link=False)).fit(
            start_params=r.coefficients, tol=1e-14
        )
    np.testing.assert_allclose(r.coefficients, s.params, rtol=1e-9)
    np.testing.assert_allclose(r.standard_errors, s.bse, rtol=1e-8)
    assert r.deviance == pytest.approx(s.deviance, rel=1e-10)
