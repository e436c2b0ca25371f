"""Leverage against the hat matrix written out, for one parameter and for several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import fisherfit as ff
from fisherfit.blocks import make_design
from fisherfit.kernels import kernels_of
from fisherfit.leverage import left_out_scores, leverage, leverage_at
from fisherfit.likelihood import Likelihood
from fisherfit.links import get_link
from fisherfit.rowblocks import Pairs, blocks

RNG = np.random.default_rng(11)
N = 250
X = RNG.standard_normal((N, 3)) * [1.0, 40.0, 0.01] + [0.0, 200.0, 0.0]
ETA = 0.2 + X @ [0.5, 0.003, 20.0]
WEIGHT = RNG.integers(0, 4, N).astype(float)
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < 1.0 / (1.0 + np.exp(-ETA))).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
}
WORKING = {  # the working weight of a row of weight 1, for the links used
    "normal": np.ones_like,
    "poisson": lambda mu: mu,
    "binomial": lambda mu: mu * (1.0 - mu),
    "gamma": np.ones_like,
}


def hat_diagonal(x, w):
    root = np.sqrt(w)[:, None] * x
    q, _ = np.linalg.qr(root)
    return np.einsum("ij,ij->i", q, q)


@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("kind", ["analytic", "frequency"])
def test_one_parameter(family, kind):
    model = ff.GLM(family, weight_type=kind).fit(X, RESPONSES[family], sample_weight=WEIGHT)
    maximum, _ = model._at_maximum(X, RESPONSES[family], sample_weight=WEIGHT)
    w = WEIGHT * WORKING[family](model.predict(X))
    h = hat_diagonal(np.column_stack([np.ones(N), X]), w)
    got = leverage(maximum)
    if kind == "analytic":
        assert got.sum() == pytest.approx(4.0, rel=1e-12)
    else:  # of each of the repetitions
        assert (WEIGHT * got).sum() == pytest.approx(4.0, rel=1e-12)
        h = np.divide(h, WEIGHT, out=np.zeros(N), where=WEIGHT > 0)
    np.testing.assert_allclose(got, h, rtol=1e-10, atol=1e-15)


def test_categories_and_sparse_columns():
    import scipy.sparse as sp

    group = RNG.integers(0, 12, N)
    y = RESPONSES["poisson"]
    table = pd.DataFrame(X, columns=list("abc")).assign(g=[f"l{k:02d}" for k in group])
    model = ff.GLM("poisson").fit(table, y)
    dummies = (group[:, None] == np.arange(1, 12)).astype(float)
    x = np.column_stack([np.ones(N), X, dummies])
    h = hat_diagonal(x, model.predict(table))
    np.testing.assert_allclose(leverage(model._at_maximum(table, y)[0]), h, rtol=1e-9)
    sparse = sp.csr_array(x[:, 1:])
    model = ff.GLM("poisson").fit(sparse, y)
    np.testing.assert_allclose(leverage(model._at_maximum(sparse, y)[0]), h, rtol=1e-9)


def test_negative_binomial_with_its_alpha():
    y = RNG.poisson(np.exp(0.3 + X[:, 0]) * RNG.gamma(2.0, 0.5, N)).astype(float)
    model = ff.GLM("negative_binomial").fit(X, y)
    maximum, _ = model._at_maximum(X, y)
    h = leverage(maximum)
    assert h.shape == (N, 2, 2)
    mu, alpha = model.predict(X), model.alpha_
    k, j = 1.0 / alpha, np.arange(4000)
    expected = np.empty(
        N
    )  # E[-d2 log f / d alpha2] = theta^4 (sum_j P(Y > j) / (theta + j)^2 - mu / (theta (theta + mu)))
    for i in range(N):
        log_f = (
            gammaln(j + k) - gammaln(k) - gammaln(j + 1) + k * np.log(k / (k + mu[i])) + j * np.log(mu[i] / (k + mu[i]))
        )
        above = np.cumsum(np.exp(log_f)[::-1])[::-1]
        expected[i] = k**4 * (np.sum(above[1:] / (k + j[:-1]) ** 2) - mu[i] / (k * (k + mu[i])))
    np.testing.assert_allclose(h[:, 1, 1], expected / expected.sum(), rtol=1e-8)
    np.testing.assert_allclose(
        h[:, 0, 0], hat_diagonal(np.column_stack([np.ones(N), X]), mu / (1 + alpha * mu)), rtol=1e-9
    )
    assert not h[:, 0, 1].any()
    assert np.trace(h, axis1=1, axis2=2).sum() == pytest.approx(5.0, rel=1e-9)


def two_designs():
    """A negative binomial with columns for alpha too, and its pieces row by row."""
    family = ff.NegativeBinomial()
    links = (get_link("log"), get_link("log"))
    names = ["Intercept", "a", "b", "c"]
    first = make_design(names, N, True, [np.ascontiguousarray(X)])
    second = make_design(["Intercept", "z"], N, True, [np.ascontiguousarray(X[:, :1])])
    y = RNG.poisson(np.exp(0.3 + X[:, 0]) * RNG.gamma(2.0, 0.5, N)).astype(float)
    likelihood = Likelihood(kernels_of(family, links), (first, second), y, np.ones(N))
    return likelihood, np.array([0.4, 0.5, 0.1, 0.1, -0.7, 0.2])


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_design_for_every_parameter(power):
    likelihood, theta = two_designs()
    rows = np.zeros((N, 2, 6))
    for j in range(6):
        unit = np.eye(6)[j]
        for k in range(2):
            rows[:, k, j] = likelihood.linear_predictor(unit, k, offset=False)
    bread = np.linalg.inv(np.einsum("ika,ikb->ab", rows, rows) + np.ones((6, 6)))  # any, with cross terms
    u, _ = likelihood.row_terms(theta)
    h = leverage_at(likelihood, theta, 0.05 * bread)
    got, full = left_out_scores(likelihood, theta, 0.05 * bread, power)
    assert full.size == 0
    assert np.abs(h[:, 0, 1]).max() > 1e-3 * np.abs(h).max()
    block = next(blocks(likelihood, theta, 0, N, N, 2))
    w = Pairs(2).full(block.w)
    for i in range(0, N, 7):
        inside = rows[i] @ (0.05 * bread) @ rows[i].T
        half = np.diag(np.sqrt(np.diag(w[i])))
        np.testing.assert_allclose(h[i], half @ inside @ half, rtol=1e-9, atol=1e-14)
        values, vectors = np.linalg.eig(np.eye(2) - w[i] @ inside)
        want = vectors @ np.diag(values**-power) @ np.linalg.solve(vectors, u[:, i])
        np.testing.assert_allclose(got[:, i], want, rtol=1e-9)


def test_any_number_of_threads_gives_the_same_bits():
    x = RNG.standard_normal((60_000, 12))
    y = RNG.poisson(np.exp(0.1 * x[:, 0])).astype(float)
    model = ff.GLM("poisson").fit(x, y)
    maximum, _ = model._at_maximum(x, y)
    one, two = (leverage_at(replace(maximum.likelihood, threads=t), maximum.theta, maximum.bread) for t in (1, 3))
    np.testing.assert_array_equal(one, two)
    assert one.sum() == pytest.approx(13.0, rel=1e-12)


def test_a_row_that_makes_its_own_fit_is_found():
    x = np.column_stack([X, np.arange(N) == 17])
    model = ff.GLM("normal").fit(x, RESPONSES["normal"])
    maximum, _ = model._at_maximum(x, RESPONSES["normal"])
    scores, full = left_out_scores(maximum.likelihood, maximum.theta, maximum.bread, 1.0)
    assert full.tolist() == [17]
    assert scores[0, 17] == 0.0
    assert leverage(maximum)[17] == pytest.approx(1.0, abs=1e-12)
