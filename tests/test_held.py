"""Fits with a coefficient held by an offset: at the limits of its interval, and far from the maximum by brute force."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import optimize, special

import fisherfit as ff

from .reference import case, cases, label, model
from .test_profiles import Z, held, quietly, statistic

CERTIFIED = [c["name"] for c in cases("glm") if "profile_ci" in c]
SEVERAL = [c for c in cases("glm") if len(c["columns"]) + c.get("fit_intercept", True) > 1]  # one of them can be held
OTHERS = [c["name"] for c in SEVERAL if "profile_ci" not in c]
HOLLOW = ("inverse", "identity", "sqrt", "log", "cauchit", "inverse_squared")  # links without a concave likelihood
QUICK = ("birthwt_log_binomial", "clotting_lot1_gaussian_inverse", "clotting_lot1_gamma_inverse", "bliss_cauchit")


def is_hollow(c):
    if (c["family"], c["link"]) in (("poisson", "log"), ("gaussian", "identity"), ("gamma", "inverse")):
        return False
    return c["link"] in HOLLOW


@pytest.mark.parametrize("name", CERTIFIED)
def test_a_fit_held_at_a_certified_limit_is_as_far_down_as_the_quantile_says(name):
    c = case("glm", name)
    m, X, y, keywords = model(c)
    m.fit(X, y, **keywords)
    for key, ends in c["profile_ci"]["limits"].items():
        for end in ends:
            fit = held(m, X, y, label(key), end, **keywords)
            assert fit.converged_
            assert statistic(m, fit) == pytest.approx(Z**2, rel=1e-6)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OTHERS]
)
def test_a_fit_held_at_a_limit_of_the_profile_is_as_far_down_as_the_quantile_says(name):
    m, X, y, keywords = model(case("glm", name))
    m.fit(X, y, **keywords)
    profile = quietly(m.profile, X, y, **keywords)
    q = m.result_.df_resid if m.result_.use_t else None
    target = float(special.stdtrit(q, 0.975) if q else special.ndtri(0.975)) ** 2
    table = profile.conf_int()
    for coefficient, (lower, upper) in table.iterrows():
        for end in (lower, upper):
            if not np.isfinite(end):
                continue
            fit = held(m, X, y, coefficient, end, **keywords)
            assert fit.converged_, (coefficient, end)
            assert statistic(m, fit) == pytest.approx(target, rel=1e-6), (coefficient, end)


# brute force: the deviance from its definition, minimised by simplex and quasi-Newton steps from many starts

MEANS = {
    "identity": lambda e: e, "log": np.exp, "inverse": lambda e: 1.0 / e, "sqrt": lambda e: np.where(e >= 0, e * e, -1),
    "inverse_squared": lambda e: np.where(e > 0, 1.0 / np.sqrt(np.abs(e)), -1.0),
    "cauchit": lambda e: 0.5 + np.arctan(e) / np.pi,
}  # fmt: skip


def deviance(family, y, mu, w, power=1.5):
    if family == "gaussian":
        return w @ (y - mu) ** 2
    if (mu <= 0).any() or (family == "binomial" and (mu >= 1).any()):
        return np.inf
    if family == "poisson":
        return 2.0 * w @ (special.xlogy(y, y / mu) - (y - mu))
    if family == "binomial":
        return 2.0 * w @ (special.xlogy(y, y / mu) + special.xlogy(1 - y, (1 - y) / (1 - mu)))
    if family == "gamma":
        return 2.0 * w @ ((y - mu) / mu - np.log(y / mu))
    if family == "inverse_gaussian":
        return w @ ((y - mu) ** 2 / (mu * mu * y))
    a = y ** (2 - power) / ((1 - power) * (2 - power)) - y * mu ** (1 - power) / (1 - power)
    return 2.0 * w @ (a + mu ** (2 - power) / (2 - power))


def least_deviance(c, X, y, keywords, name, value, unrestricted, seed=1):
    """The least deviance with a coefficient held, by brute force."""
    y, w = np.asarray(y, float), keywords.get("sample_weight", np.ones(len(X)))
    if y.ndim == 2:
        w, y = y.sum(axis=1), y[:, 0] / y.sum(axis=1)
    x = np.column_stack([np.ones(len(X))] * c.get("fit_intercept", True) + [X[k] for k in X.columns])
    names = ["Intercept"] * c.get("fit_intercept", True) + list(X.columns)
    j = names.index(name)
    base = x[:, j] * value + keywords.get("offset", np.zeros(len(X)))
    rest = np.delete(x, j, axis=1)
    scale = np.sqrt(np.mean(rest**2, axis=0))
    rest = rest / scale

    def objective(b):
        with np.errstate(all="ignore"):
            value = deviance(c["family"], y, MEANS[c["link"]](rest @ b + base), w)
        return value if np.isfinite(value) else 1e300

    rng = np.random.default_rng(seed)
    begin = np.delete(unrestricted, j) * scale
    best = np.inf
    for trial in range(8):
        at = begin * (1.0 + (0.5 * rng.standard_normal(begin.size) if trial else 0.0))
        if objective(at) >= 1e300:  # to the inside of the range, by a linear program
            target = np.sign(np.median(x @ unrestricted))
            rows = np.vstack([-target * rest] if not (c["family"] == "binomial" and c["link"] == "log") else [rest])
            right = target * base if not (c["family"] == "binomial" and c["link"] == "log") else -base
            found = optimize.linprog(
                np.append(rng.standard_normal(begin.size) * 1e-3, -1.0),
                A_ub=np.column_stack([rows, np.ones(len(X))]),
                b_ub=right,
                bounds=[(-1e3, 1e3)] * begin.size + [(0, 0.3 * np.median(np.abs(x @ unrestricted)))],
            )
            if found.x is None:
                continue
            at = found.x[:-1]
        for _ in range(3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                at = optimize.minimize(
                    objective, at, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
                ).x
                again = optimize.minimize(objective, at, method="BFGS", options={"gtol": 1e-10}).x
            at = again if objective(again) < objective(at) else at
        best = min(best, objective(at))
    return best


HOLLOW_CASES = [c["name"] for c in SEVERAL if is_hollow(c)]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in HOLLOW_CASES]
)
def test_a_fit_held_far_away_is_at_the_best_maximum_or_says_that_it_has_none(name):
    c = case("glm", name)
    m, X, y, keywords = model(c)
    m.fit(X, y, **keywords)
    ends = quietly(m.profile, X, y, **keywords).conf_int()
    for coefficient, estimate in m.result_.params.items():
        for end in ends.loc[coefficient]:
            value = estimate + 2.0 * (end - estimate)
            if not np.isfinite(value):
                continue
            fit = held(m, X, y, coefficient, value, **keywords)
            best = least_deviance(c, X, y, keywords, coefficient, value, m.result_.params.to_numpy())
            if fit.converged_:
                assert fit.result_.deviance <= best + 1e-6 * m.result_.dispersion, (coefficient, value)
            else:
                assert best == np.inf, (coefficient, value, best, fit.result_.deviance)


def test_a_likelihood_that_has_underflowed_is_no_maximum():
    c = case("glm", "birthwt_log_binomial")
    _, X, y, _ = model(c)
    fit = ff.GLM("binomial", link="log", fit_intercept=False, start_params=[-1e6, -1e6], max_iter=1)
    quietly(fit.fit, X, y, offset=np.full(len(X), -1.76198))
    assert not fit.converged_
