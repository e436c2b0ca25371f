"""Families as models for the optimisers, products with the information, and nearest Kronecker products."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import threadpoolctl
from scipy.special import expit

import fisherfit as ff
from fisherfit.errors import InputError, InputTypeError
from fisherfit.optimize.kronecker import near_kronecker

natural_gradient = ff.optimize.natural_gradient


class Weibull(ff.Family):
    """By its log-density only."""

    parameters = {"shape": "positive", "scale": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, shape, scale):
        z = math.log(y / scale)
        return math.log(shape / scale) + (shape - 1.0) * z - math.exp(shape * z)


def columns(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return rng, np.column_stack([np.ones(n), rng.normal(size=(n, 2))])


@pytest.mark.parametrize("family", ["poisson", "binomial", "negative_binomial", "gamma"])
@pytest.mark.parametrize("kind", ["expected", "observed"])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_family_with_columns_is_the_glm(family, kind, sparse):
    rng, X = columns()
    eta = X @ [0.3, 0.4, -0.2]
    y = {
        "poisson": lambda: rng.poisson(np.exp(eta)), "binomial": lambda: rng.binomial(1, expit(eta)),
        "negative_binomial": lambda: rng.poisson(rng.gamma(2.0, 0.5, eta.size) * np.exp(eta)),
        "gamma": lambda: rng.gamma(2.0, 0.5 * np.exp(eta)), "normal": lambda: rng.normal(eta),
    }[family]().astype(float)  # fmt: skip
    whole = ff.GLM(family, "log" if family == "gamma" else None, dispersion="ml" if family in ("gamma", "normal")
                   else None, fit_intercept=False).fit(X, y).result_  # fmt: skip
    links = {"mu": "log"} if family == "gamma" else None
    model = ff.optimize.family_model(family, y, sp.csr_array(X) if sparse else X, links)
    start = [0.0, 0.0, 0.0, 0.5][: 3 if family in ("poisson", "binomial") else 4]
    found = natural_gradient(model, start, fisher=kind)
    assert found.converged
    np.testing.assert_allclose(found.x[:3], whole.coefficients[:3], rtol=1e-7, atol=1e-9)
    assert found.loglik == pytest.approx(whole.llf, rel=1e-10)
    if kind == "expected" or family in ("poisson", "binomial"):
        np.testing.assert_allclose(found.standard_errors[:3], whole.standard_errors[:3], rtol=1e-6)


def test_a_family_by_its_name_and_of_the_user():
    rng = np.random.default_rng(1)
    y = rng.gamma(2.0, 1.5, 400)
    by_name = natural_gradient("gamma", [0.0, 0.0], (y,))
    by_model = natural_gradient(ff.optimize.family_model("gamma", y), [0.0, 0.0])
    np.testing.assert_array_equal(by_name.x, by_model.x)
    assert np.exp(by_name.x[0]) == pytest.approx(y.mean(), rel=1e-12)
    t = 3.0 * rng.weibull(1.5, 500)
    found = natural_gradient(Weibull, [0.0, 0.0], (t,))
    shape, scale = np.exp(found.x)
    power = t**shape
    assert scale == pytest.approx(np.mean(power) ** (1.0 / shape), rel=1e-9)  # the equations of the maximum
    assert 1.0 / shape == pytest.approx(power @ np.log(t) / power.sum() - np.log(t).mean(), rel=1e-8)
    batched = natural_gradient("gamma", [0.0, 0.0], (y,), batch_size=100, max_iter=3, random_state=0)
    assert (np.abs(batched.x - by_name.x) < 0.1 * by_name.standard_errors).all()
    plain = ff.optimize.adam("gamma", [0.0, 0.0], (y,), learning_rate=0.1, max_iter=300)
    np.testing.assert_allclose(plain.x, by_name.x, atol=1e-3)  # Adam circles about the maximum at a fixed rate


def logistic(n=500, p=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = (rng.uniform(size=n) < expit(X @ rng.normal(size=p) * 0.4)).astype(float)
    return (
        X, y, lambda b, X, y: y * (X @ b) - np.logaddexp(0.0, X @ b), lambda b, X, y: (y - expit(X @ b))[:, None] * X
    )  # fmt: skip


@pytest.mark.parametrize("structure", ["dense", "matrix_free"])
def test_products_with_the_information_are_enough(structure):
    X, y, loglik, score = logistic()
    calls = []

    def fvp(b, v, X, y):
        calls.append(1)
        m = expit(X @ b)
        return X.T @ (m * (1.0 - m) * (X @ v))

    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y).coef_
    found = natural_gradient(loglik, np.zeros(8), (X, y), score=score, fvp=fvp, structure=structure)
    np.testing.assert_allclose(found.x, exact, rtol=1e-9)
    assert calls
    # and none at all: differences of the score
    free = natural_gradient(loglik, np.zeros(8), (X, y), score=score, structure="matrix_free", fisher="observed")
    assert free.converged
    np.testing.assert_allclose(free.x, exact, rtol=1e-8)


def test_the_nearest_kronecker_product():
    rng = np.random.default_rng(0)
    M = rng.normal(size=(40, 6))
    F = M.T @ M
    near = ff.optimize.Kronecker.nearest(F, (2, 3))
    best = np.linalg.norm(F - near.dense())
    # the singular value decomposition of the rearranged matrix (Van Loan & Pitsianis, 1993)
    R = np.array([F[3 * i : 3 * i + 3, 3 * j : 3 * j + 3].ravel() for i in range(2) for j in range(2)])
    values = np.linalg.svd(R, compute_uv=False)
    assert best == pytest.approx(np.sqrt((values[1:] ** 2).sum()), rel=1e-9)
    assert np.linalg.eigvalsh(near.a)[0] > 0.0 < np.linalg.eigvalsh(near.b)[0]
    exact = ff.optimize.Kronecker.nearest(np.kron(near.a, near.b), (2, 3))
    np.testing.assert_allclose(exact.dense(), near.dense(), rtol=1e-10)
    # as a metric it does not depend on the units of single parameters
    units, score = np.array([1.0, 1e3, 1e-2, 5.0, 1e4, 0.1]), rng.normal(size=6)
    step = near_kronecker(F, (2, 3)).solve(score)
    scaled = near_kronecker(F * units * units[:, None], (2, 3)).solve(score * units)
    np.testing.assert_allclose(scaled * units, step, rtol=1e-8)


def test_a_dense_information_is_projected():
    X, y, loglik, score = logistic()

    def information(b, X, y):
        m = expit(X @ b)
        return (X.T * (m * (1.0 - m))) @ X

    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y).coef_
    found = natural_gradient(loglik, np.zeros(8), (X, y), score=score, information=information, structure="kronecker",
                             shape=(2, 4))  # fmt: skip
    assert found.converged
    assert found.certificate.max_se_error <= 1.01e-10
    np.testing.assert_allclose(found.x, exact, rtol=1e-8)


def test_blas_is_held_at_one_thread_while_it_runs():
    seen = []

    def loglik(theta):
        seen.append(max(lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"))
        return -float(theta @ theta)

    before = threadpoolctl.threadpool_info()
    natural_gradient(loglik, [1.0, 2.0])
    ff.optimize.adam(loglik, [1.0, 2.0], max_iter=2)
    ff.optimize.OnlineNaturalGradient(lambda t, y: loglik(t) + 0.0 * y, [1.0, 2.0]).update(np.ones(3))
    assert set(seen) == {1}
    assert threadpoolctl.threadpool_info() == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: natural_gradient("gamma", [0.0, 0.0], (np.array([1.0, -2.0]),)), "row 1"),
        (lambda: natural_gradient("gamma", [0.0], (np.ones(3) + np.arange(3),)), "start has 1 numbers; .* needs 2"),
        (lambda: natural_gradient("poisson", [0.0], (np.ones(3), np.ones((2, 1)))), r"X must have shape \(3, p\)"),
        (lambda: natural_gradient("poisson", [0.0], (np.ones(3), np.array([[1.0], [np.nan], [1.0]]))),
         "row 1, column 0"),
        (lambda: natural_gradient("poisson", [0.0], (np.ones(3),), score="complex"), "a family was given"),
        (lambda: natural_gradient("poisson", [0.0], ()), r"\(y,\) or \(y, X\)"),
        (lambda: ff.optimize.family_model("poisson", np.ones(3), links={"sigma": "log"}), "'sigma' is no parameter"),
        (lambda: natural_gradient(lambda t: -t @ t, [1.0, 1.0], structure="kronecker", shape=(2, 2), fvp=lambda t, v: v),
         "product is 2"),
        (lambda: natural_gradient(lambda t: -t @ t, [1.0, 1.0], shape=(1, 2)), "structure='kronecker'"),
        (lambda: natural_gradient(lambda t: -t @ t, [1.0, 1.0], fvp=lambda t, v: v[:1]), r"fvp returns shape \(1,\)"),
        (lambda: natural_gradient(lambda t: -t @ t, [1.0], fvp=lambda t, v: v, information=lambda t: np.eye(1)),
         "the same thing"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_any_work(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_is_no_function():
    with pytest.raises(InputTypeError, match="fvp must be a function"):
        natural_gradient(lambda t: -t @ t, [1.0], fvp=3.0)
    with pytest.raises(InputTypeError, match="list of numbers"):
        natural_gradient(lambda t: -t @ t, "far")
