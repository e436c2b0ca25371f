"""Random tiny sets under links that do not reach everywhere: a fit that says it converged is at the best maximum."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import fisherfit as ff

from .test_held import MEANS, deviance

pytestmark = pytest.mark.slow
CENTRE = {"log": 0.5, "identity": 2.0, "cauchit": 0.0, "sqrt": 1.5, "inverse": 1.0, "inverse_squared": 1.0}
MODELS = [
    ("binomial", "log"), ("binomial", "identity"), ("binomial", "cauchit"), ("poisson", "identity"),
    ("poisson", "sqrt"), ("gaussian", "inverse"), ("gaussian", "log"), ("gamma", "inverse"), ("gamma", "identity"),
    ("inverse_gaussian", "inverse_squared"),
]  # fmt: skip


def drawn(rng, family, link):
    """x with a column of ones, y and an offset."""
    n = int(rng.integers(6, 25))
    x = np.column_stack([np.ones(n), rng.standard_normal(n)])
    offset = 0.2 * rng.standard_normal(n) * (rng.random() < 0.7)
    centre = {"log": -1.0, "identity": 0.4}.get(link, 0.0) if family == "binomial" else CENTRE[link]
    eta = x @ (0.3 * rng.standard_normal(2)) + offset + centre
    if family == "binomial" and link == "log":
        eta = np.minimum(eta, -0.05)
    elif family == "binomial" and link == "identity":
        eta = np.clip(eta, 0.02, 0.98)
    elif link in ("identity", "sqrt", "inverse", "inverse_squared"):
        eta = np.maximum(eta, 0.1)
    mu = MEANS[link](eta)
    if family == "binomial":
        y = (rng.random(n) < mu) * 1.0
    elif family == "poisson":
        y = rng.poisson(mu) * 1.0
    elif family == "gaussian":
        y = mu + 0.3 * rng.standard_normal(n)
    else:
        y = mu * (rng.gamma(4, 0.25, n) if family == "gamma" else rng.wald(1, 4, n))
    return x, y, offset, centre


def best_of(family, link, y, x, offset, starts):
    """The least deviance by simplex from some starts."""
    ones = np.ones(y.size)

    def height(b):
        with np.errstate(all="ignore"):
            mu = MEANS[link](x @ b + offset)
            value = np.inf if (mu < 0).any() else deviance(family, y, mu, ones)
        return value if np.isfinite(value) else 1e300

    best = np.inf
    for at in starts:
        if height(at) < 1e300:
            for _ in range(2):
                at = optimize.minimize(height, at, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x
            best = min(best, height(at))
    return best


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_a_converged_fit_is_at_the_best_maximum(family, link):
    rng = np.random.default_rng(2026)
    converged = 0
    for _ in range(5):
        x, y, offset, centre = drawn(rng, family, link)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ff.FisherfitWarning)
            model = ff.GLM({"gaussian": "normal"}.get(family, family), link=link)
            model.fit(pd.DataFrame({"x": x[:, 1]}), y, offset=offset)
        if not model.converged_:
            continue
        starts = [np.array([centre, 0.0]) + s * rng.standard_normal(2) for s in (0.0, 0.1, 0.3, 1.0, 2.0, 4.0)]
        best = best_of(family, link, y, x, offset, starts)
        assert model.result_.deviance <= best + 1e-5 * max(1.0, abs(best))
        converged += 1
    assert converged >= 3
