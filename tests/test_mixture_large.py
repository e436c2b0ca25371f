"""Mixtures of many rows: information from moments, the same bits on any number of threads, the maximum of all rows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fisherfit as ff
from fisherfit import _threads
from fisherfit.mixtures import gaussian_moments, gaussian_pass, gaussian_rows, mixture
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.structures import NAMES


def clusters(n: int, d: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of overlapping clusters."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    means = 2.5 * rng.normal(size=(k, d))
    return means[labels] + rng.normal(size=(n, d)) * rng.uniform(0.6, 1.2, (k, d))[labels], labels


@pytest.mark.parametrize(("d", "aligned"), [(1, False), (3, False), (4, True)])
def test_monomials_are_all_products_of_two_entries_of_t(d, aligned):
    u = np.random.default_rng(0).normal(size=(d, 7))
    rows, columns = np.tril_indices(d)
    second = u * u if aligned else u[rows] * u[columns]
    t = np.concatenate([np.ones((1, 7)), u, second])
    index = gaussian_moments.index_of(d, aligned)
    out = np.empty((gaussian_moments.size_of(d, aligned), 7))
    gaussian_pass.monomials(u, 0, 7, aligned, out)
    np.testing.assert_allclose(out[index], t[:, None] * t[None], rtol=1e-14)
    assert set(index.ravel()) == set(range(len(out)))


@pytest.mark.parametrize("name", NAMES)
def test_moments_give_the_information_that_scores_give(name, monkeypatch):
    x, labels = clusters(3000, 3, 3, 1)
    weight = np.random.default_rng(2).uniform(0.5, 1.5, len(x))
    made = mixture.Mixture(Gaussian(x, 3, name), Mixing(3), weight, None, 1)
    theta = made.start(0.8 * (labels == np.arange(3)[:, None]) + 0.2 / 3)
    for _ in range(2):
        theta = made.em(theta[None])[1][0]
    assert made.components.at(made.split(theta[None])[1]).by_moments
    quick = made.evaluate(theta)
    monkeypatch.setattr(gaussian_rows, "MANY", 10**9)
    plain = made.evaluate(theta)
    scale = np.sqrt(np.diag(plain.complete))
    np.testing.assert_allclose(quick.loglik, plain.loglik, rtol=1e-13)
    np.testing.assert_allclose(quick.score / scale, plain.score / scale, atol=1e-11)
    for one, other in ((quick.complete, plain.complete), (quick.observed, plain.observed)):
        np.testing.assert_allclose(one / scale / scale[:, None], other / scale / scale[:, None], atol=1e-12)


def test_a_component_that_is_narrow_far_out_is_left_to_scores():
    x, labels = clusters(2000, 2, 2, 3)
    x[labels == 1] = 500.0 + 0.001 * x[labels == 1]
    made = mixture.Mixture(Gaussian(x, 2, "diag"), Mixing(2), np.ones(len(x)), None, 1)
    theta = made.start((labels == np.arange(2)[:, None]).astype(float))
    for _ in range(3):
        theta = made.em(theta[None])[1][0]
    assert not made.components.at(made.split(theta[None])[1]).by_moments


@pytest.mark.parametrize("kind", ["full", "diag", "poisson", "wide"])
def test_the_same_bits_on_any_number_of_threads(kind):
    def fit(n_jobs):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if kind == "poisson":
                rng = np.random.default_rng(4)
                z = rng.normal(size=(6000, 2))
                first = rng.random(6000) < 0.4
                y = rng.poisson(np.exp(np.where(first, 0.5 + 0.4 * z[:, 0], 2.0 - 0.4 * z[:, 1]))).astype(float)
                return ff.MixtureRegressor("poisson", 2, random_state=0, n_jobs=n_jobs).fit(z, y)
            d, k, shape = {"full": (3, 3, "full"), "diag": (2, 4, "diag"), "wide": (6, 5, "full")}[kind]
            x, _ = clusters(60_000, d, k, 5)
            return ff.GaussianMixture(k, covariance_type=shape, random_state=0, n_jobs=n_jobs).fit(x)

    one, two = fit(1), fit(2)
    assert one.converged_
    np.testing.assert_array_equal(one.result_.params, two.result_.params)
    np.testing.assert_array_equal(one.result_.cov_params(), two.result_.cov_params())
    assert one.result_.llf == two.result_.llf
    assert one.result_.entropy == two.result_.entropy


@pytest.mark.parametrize("shape", ["full", "diag"])
def test_many_rows_reach_a_maximum_of_all_rows_from_any_start(shape, monkeypatch):
    x, labels = clusters(50_000, 2, 3, 8)
    means = np.stack([x[labels == k].mean(axis=0) for k in range(3)])
    default = ff.GaussianMixture(3, covariance_type=shape, random_state=0).fit(x)
    given = ff.GaussianMixture(3, covariance_type=shape, means_init=means + 0.2, random_state=1).fit(x)
    assert default.converged_
    assert given.converged_
    np.testing.assert_allclose(given.result_.llf, default.result_.llf, rtol=0, atol=1e-7)
    # stationary by the scores of the rows themselves
    monkeypatch.setattr(gaussian_rows, "MANY", 10**9)
    made = mixture.Mixture(Gaussian(x, 3, shape), Mixing(3), np.ones(len(x)), None, 1)
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        here = made.evaluate(default._theta)
    assert here.score @ np.linalg.solve(here.observed, here.score) < 1e-14
    np.testing.assert_allclose(here.loglik, default.result_.llf, rtol=1e-13)
