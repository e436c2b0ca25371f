"""Against statsmodels, over its grid of families and links: a cross-check, not the oracle.

Where statsmodels differs on purpose or is wrong, the comparison says so:

- Its standard errors are those of the iterate before the last one; started at our maximum they belong to it.
- Its log-likelihood of families with a dispersion is taken at Pearson's estimate (gamma, inverse Gaussian), ours at
  the maximum-likelihood one, so that ours is never smaller.
- It accepts a start outside the domain, and HC1 to HC3 of its GLM are HC0; neither is compared here.
"""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

import fisherfit as ff

L = sm.families.links
LINKS = {
    "identity": L.Identity(), "log": L.Log(), "logit": L.Logit(), "probit": L.Probit(), "cloglog": L.CLogLog(),
    "loglog": L.LogLog(), "cauchit": L.Cauchy(), "inverse": L.InversePower(), "inverse_squared": L.InverseSquared(),
    "sqrt": L.Sqrt(), "power(2)": L.Power(2.0),
}  # fmt: skip
F = sm.families
FAMILIES = {
    "normal": (ff.Normal(), F.Gaussian, {}),
    "binomial": (ff.Binomial(), F.Binomial, {}),
    "poisson": (ff.Poisson(), F.Poisson, {}),
    "gamma": (ff.Gamma(), F.Gamma, {}),
    "inverse_gaussian": (ff.InverseGaussian(), F.InverseGaussian, {}),
    "negative_binomial": (ff.NegativeBinomial(alpha=0.4), F.NegativeBinomial, {"alpha": 0.4}),
    "tweedie": (ff.Tweedie(power=1.4), F.Tweedie, {"var_power": 1.4}),
}
POSITIVE = ("log", "identity", "sqrt", "inverse", "inverse_squared", "power(2)")
GRID = [(f, link) for f in FAMILIES for link in (
    ("logit", "probit", "cloglog", "loglog", "cauchit") if f == "binomial" else POSITIVE)]  # fmt: skip


def draw(name, link, seed=0, n=250):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, size=(n, 2))
    if name == "binomial":
        mu = ff.links.get_link(link).mean(0.2 + X @ [0.6, -0.4])
    else:
        middle = float(ff.links.get_link(link).forward(3.0))
        mu = ff.links.get_link(link).mean(middle * (1.0 + X @ [0.12, -0.1]))
    y = {
        "normal": lambda: rng.normal(mu, 0.3),
        "binomial": lambda: (rng.random(n) < mu).astype(float),
        "poisson": lambda: rng.poisson(mu).astype(float),
        "gamma": lambda: rng.gamma(4.0, mu / 4.0),
        "inverse_gaussian": lambda: rng.wald(mu, 20.0),
        "negative_binomial": lambda: rng.poisson(rng.gamma(2.5, mu / 2.5)).astype(float),
        "tweedie": lambda: ff.Tweedie(1.4).sample(rng, mu, 0.5),
    }[name]()
    return X, y


def both(name, link, X, y, freq=None, var=None, offset=None):
    family, theirs, options = FAMILIES[name]
    kind = "frequency" if freq is not None else "analytic"
    ours = ff.GLM(family, link=link, weight_type=kind).fit(
        X, y, sample_weight=freq if freq is not None else var, offset=offset
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(y, sm.add_constant(X), family=theirs(link=LINKS[link], check_link=False, **options), freq_weights=freq,
                       var_weights=var, offset=offset)  # fmt: skip
        other = model.fit(start_params=ours.result_.coefficients, tol=1e-14, maxiter=50)
    return ours.result_, other


def agree(r, s, name):
    np.testing.assert_allclose(r.coefficients, s.params, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(r.standard_errors, s.bse, rtol=1e-7)
    assert r.deviance == pytest.approx(s.deviance, rel=1e-9)
    assert r.pearson_chi2 == pytest.approx(s.pearson_chi2, rel=1e-7)
    assert r.dispersion == pytest.approx(s.scale, rel=1e-7)
    assert r.df_resid == s.df_resid
    assert r.df_model == s.df_model
    if name in ("poisson", "binomial", "negative_binomial"):
        assert r.llf == pytest.approx(s.llf, rel=1e-9)
    elif name in ("normal", "gamma", "inverse_gaussian"):
        assert r.llf >= s.llf - 1e-9 * abs(s.llf)


@pytest.mark.parametrize(("name", "link"), GRID)
def test_families_and_links(name, link):
    X, y = draw(name, link)
    r, s = both(name, link, X, y)
    assert r.converged
    agree(r, s, name)
    assert r.null_deviance == pytest.approx(s.null_deviance, rel=1e-8)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_weights_and_offset(name):
    link = "probit" if name == "binomial" else "log"
    X, y = draw(name, link, seed=3)
    rng = np.random.default_rng(4)
    agree(*both(name, link, X, y, freq=rng.integers(1, 4, len(y)).astype(float)), name)
    if name not in ("poisson", "binomial", "negative_binomial"):  # there a variance weight is no likelihood
        agree(*both(name, link, X, y, var=rng.uniform(0.5, 2.0, len(y))), name)
    agree(*both(name, link, X, y, offset=rng.uniform(-0.2, 0.2, len(y))), name)
