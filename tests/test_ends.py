"""Ends of intervals of tiny random sets, where they are hard to find, against fits by definition under a held coefficient.

The other coefficient of two, gamma, is a root of the slope of the log-likelihood, or stands at the end of its range.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import fisherfit as ff

Z = float(special.ndtri(0.975))


def poisson_identity(y, eta):
    """Log-likelihood without constants, score and expected information of the linear predictor."""
    with np.errstate(all="ignore"):
        return np.where(y > 0, y * np.log(eta), 0.0) - eta, np.where(y > 0, y / eta, 0.0) - 1.0, 1.0 / eta


def cauchit(y, eta):
    p, density = 0.5 + np.arctan(eta) / np.pi, 1.0 / np.pi / (1.0 + eta * eta)
    q = 0.5 - np.arctan(eta) / np.pi
    return np.where(y > 0, np.log(p), np.log(q)), density * np.where(y > 0, 1.0 / p, -1.0 / q), density**2 / (p * q)


def roots(law, y, x, j, value, hint):
    """Log-likelihood and Rao's statistic with coefficient j at a value, for each maximum over gamma (about `hint`)."""
    base, z = value * x[:, j], x[:, 1 - j]

    def slope(gamma):
        return float(z @ law(y, base + gamma * z)[1])

    active = None
    if law is poisson_identity:
        low = max((-b / v for b, v in zip(base, z, strict=True) if v > 0), default=hint - 1e3)
        high = min((-b / v for b, v in zip(base, z, strict=True) if v < 0), default=hint + 1e3)
        assert low < high
        near = 1e-13 * (high - low)
        if slope(low + near) <= 0.0 or slope(high - near) >= 0.0:
            gamma = low if slope(low + near) <= 0.0 else high
            active = int(np.argmin(np.abs(base + gamma * z)))
        else:
            gamma = optimize.brentq(slope, low + near, high - near, xtol=1e-14, rtol=1e-14)
    else:
        grid = hint + np.concatenate([-np.geomspace(1e3, 1e-3, 150), np.geomspace(1e-3, 1e3, 150)])
        slopes = [slope(g) for g in grid]
        tops = [
            optimize.brentq(slope, a, b, xtol=1e-13)
            for a, b, s, t in zip(grid, grid[1:], slopes, slopes[1:], strict=False)
            if s > 0 >= t
        ]
        return [statistics(law, y, x, base + top * z, None) for top in tops]
    eta = base + gamma * z
    if active is not None:
        eta[active] = 0.0
    return [statistics(law, y, x, eta, active)]


def statistics(law, y, x, eta, active):
    """Log-likelihood, and Rao's statistic in the directions that leave the active row where it is."""
    loglik, u, w = law(y, eta)
    score = x.T @ u
    directions, keep = np.eye(2), np.ones(y.size, bool)
    if active is not None:
        directions, keep[active] = np.array([[-x[active, 1]], [x[active, 0]]]), False
    information = directions.T @ (x[keep].T * w[keep] @ x[keep]) @ directions
    inner = directions.T @ score
    return float(loglik.sum()), float(inner @ np.linalg.solve(information, inner))


def sets(kind, count):
    rng = np.random.default_rng({"poisson": 11, "cauchit": 12, "negative_binomial": 13}[kind])
    for _ in range(count):
        n = int(rng.integers(6, 14))
        x = rng.standard_normal(n)
        if kind == "poisson":
            yield x, rng.poisson(np.maximum(1.5 + 0.8 * x, 0.1)) * 1.0
        elif kind == "cauchit":
            yield x, (rng.random(n) < 0.5) * 1.0
        else:
            yield x, rng.negative_binomial(2, 0.3, n) * 1.0


@pytest.mark.parametrize("kind", ["poisson", "cauchit"])
def test_ends_have_the_critical_statistic(kind):
    law = poisson_identity if kind == "poisson" else cauchit
    checked = 0
    for x, y in sets(kind, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.FisherfitWarning)
            model = ff.GLM("poisson", link="identity") if kind == "poisson" else ff.GLM("binomial", link="cauchit")
            model.fit(pd.DataFrame({"x": x}), y)
            if not model.converged_ or not np.isfinite(model.coef_).all():
                continue
            profile = model.profile(pd.DataFrame({"x": x}), y)
            tables = {method: profile.conf_int(method=method) for method in ("profile", "score")}
        assert profile.converged.all()
        design = np.column_stack([np.ones(y.size), x])
        estimates = [model.intercept_, model.coef_[0]]
        eta = design @ estimates
        top = law(y, np.maximum(eta, 0.0) if kind == "poisson" else eta)[0].sum()
        for (name, target, method), end in profile.ends.items():
            if end.reason != "found":
                continue
            j = 0 if name == "Intercept" else 1
            value = tables[method].loc[name, "lower" if target < 0 else "upper"]
            maxima = roots(law, y, design, j, value, estimates[1 - j])
            assert kind == "cauchit" or len(maxima) == 1  # cauchit: an end is where its ridge crosses
            found = [2.0 * (top - loglik) if method == "profile" else rao for loglik, rao in maxima]
            assert min(abs(np.array(found) - Z**2)) < 1e-5, (name, target, method, found)
            checked += 1
    assert checked >= 60


def negative_binomial(y, x, j, value, start):
    """Log-likelihood, Rao's root and the other parameters with coefficient j at a value, from parameters nearby."""

    def parts(free):
        b = np.empty(2)
        b[j], b[1 - j] = value, free[0]
        alpha = np.exp(free[1])
        mu, r = np.exp(x @ b), 1.0 / alpha
        lead = special.gammaln(y + r) - special.gammaln(r) - special.gammaln(y + 1.0)
        loglik = lead - (y + r) * np.log1p(alpha * mu) + y * np.log(alpha * mu)
        u = (y - mu) / (1.0 + alpha * mu)
        by_r = special.digamma(y + r) - special.digamma(r) - np.log1p(alpha * mu) + (mu - y) / (r + mu)
        return loglik.sum(), x.T @ u, -r * by_r.sum(), mu / (1.0 + alpha * mu)

    found = optimize.root(lambda f: [parts(f)[1][1 - j], parts(f)[2]], start, method="hybr", options={"xtol": 1e-13})
    loglik, score, _, w = parts(found.x)
    assert abs(score[1 - j]) < 1e-7
    assert abs(parts(found.x)[2]) < 1e-7
    inverse = np.linalg.inv((x.T * w) @ x)  # the expected information of alpha stands apart
    return loglik, score[j] * np.sqrt(inverse[j, j]), found.x


def test_ends_of_negative_binomial_coefficients():
    found = spent = 0
    for x, y in sets("negative_binomial", 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.FisherfitWarning)
            table = pd.DataFrame({"x": x})
            model = ff.GLM("negative_binomial").fit(table, y)
            params = model.result_.params
            if not params["alpha"] > 0.01:
                continue
            profile = model.profile(table, y)
            tables = {method: profile.conf_int(method=method) for method in ("profile", "score")}
        assert profile.converged.all()
        design = np.column_stack([np.ones(y.size), x])
        for (name, target, method), end in profile.ends.items():
            if name == "alpha":
                continue
            j = 0 if name == "Intercept" else 1
            estimate, se = params[name], model.result_.bse[name]
            value = tables[method].loc[name, "lower" if target < 0 else "upper"]
            last = value if np.isfinite(value) else estimate + np.sign(target) * 12.0 * se
            at = np.array([params["x" if j == 0 else "Intercept"], np.log(params["alpha"])])
            largest = 0.0
            for step in np.linspace(estimate, last, 61)[1:]:  # on foot
                loglik, rao, at = negative_binomial(y, design, j, step, at)
                largest = max(largest, rao * -np.sign(target))
            if end.reason == "found" and method == "profile":
                assert 2.0 * (model.result_.llf - loglik) == pytest.approx(Z**2, rel=1e-6)
            elif end.reason == "found":
                assert rao == pytest.approx(-target, rel=1e-6)
                assert largest <= Z * (1.0 + 1e-6)
            else:
                assert end.reason == "spent"
                assert np.isinf(value)
                assert end.reach >= 30.0
                assert largest < Z
            found, spent = found + (end.reason == "found"), spent + (end.reason == "spent")
    assert found >= 30
    assert spent >= 5
