"""The natural gradient for models of one's own: what it reaches, what it is compared with, what does not work."""

import itertools
import math
import pickle
import tracemalloc

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import optimize as scipy_optimize
from scipy.special import expit

import fisherfit as ff
from fisherfit.optimize import derivatives, expected, structures

natural_gradient, gradient_descent, adam = (
    ff.optimize.natural_gradient,
    ff.optimize.gradient_descent,
    ff.optimize.adam,
)


def censored_weibull(n=1000, seed=1):
    rng = np.random.default_rng(seed)
    t, c = 200.0 * rng.weibull(1.5, n), rng.uniform(50.0, 400.0, n)
    return np.minimum(t, c), (t <= c).astype(float)


def weibull(theta, t, event):
    shape, scale = theta
    z = np.log(t / scale)
    return event * (np.log(shape / scale) + (shape - 1.0) * z) - np.exp(shape * z)


def weibull_score(theta, t, event):
    shape, scale = theta
    z = np.log(t / scale)
    e = np.exp(shape * z)
    return np.column_stack([event * (1.0 / shape + z) - e * z, shape / scale * (e - event)])


def weibull_maximum(t, event):
    """The root of the profile score of the shape, and the scale in closed form."""

    def profile(k):
        w = (t / t.max()) ** k
        return (w @ np.log(t)) / w.sum() - 1.0 / k - (event @ np.log(t)) / event.sum()

    k = scipy_optimize.brentq(profile, 0.1, 10.0, xtol=1e-15, rtol=1e-15)
    return np.array([k, (np.sum(t**k) / event.sum()) ** (1.0 / k)])


@pytest.mark.parametrize("start", [[0.3, 20.0], [5.0, 600.0], [0.2, 5000.0]])
def test_ten_digits_in_twenty_steps_from_afar(start):
    data = censored_weibull()
    found = natural_gradient(weibull, start, data)
    assert found.converged
    assert found.n_iter < 20
    np.testing.assert_allclose(found.x, weibull_maximum(*data), rtol=1e-10)
    assert found.certificate.max_se_error < 1e-9


def test_gradient_descent_needs_over_a_thousand_steps():
    data = censored_weibull()
    model = ff.optimize.Model(weibull, data, score=weibull_score)
    best = weibull_maximum(*data)
    start, errors = [1.0, 150.0], {}
    for rate in 10.0 ** np.arange(-3.0, 4.01, 0.5):
        found = gradient_descent(model, start, learning_rate=float(rate), max_iter=1000)
        errors[rate] = np.abs(found.x / best - 1.0).max()
        assert not found.converged
    assert min(errors.values()) > 1e-10
    assert min(errors.values()) < 0.5, "some learning rate does make progress"
    found = natural_gradient(model, start)
    assert found.n_iter < 20
    assert np.abs(found.x / best - 1.0).max() < 1e-10


@pytest.mark.parametrize("step", ["full", "backtracking", "fixed", "kl", "damped"])
@pytest.mark.parametrize("fisher", ["expected", "observed"])
def test_every_step_with_every_curvature(step, fisher):
    t, _ = censored_weibull(400)

    def loglik(theta, t):
        return weibull(theta, t, 1.0)

    def quantile(theta, u, t):
        return (theta[1] * (-np.log1p(-u)) ** (1.0 / theta[0]),)

    found = natural_gradient(loglik, [1.0, 100.0], (t,), quantile=quantile, fisher=fisher, step=step)
    np.testing.assert_allclose(found.x, weibull_maximum(t, np.ones_like(t)), rtol=1e-8)
    assert found.converged
    history = found.history
    assert len(history) == found.n_iter + 1 == len(found.path)
    assert list(history.columns[:6]) == ["iteration", "loglik", "decrement", "kl", "gradient_norm", "seconds"]


def test_expected_information_by_quadrature_and_by_simulation():
    """Of the Weibull law: closed form in Euler's constant (Lawless, 2003, section 5.2)."""
    theta, n = np.array([1.5, 200.0]), 7
    euler = np.euler_gamma
    k, scale = theta
    exact = n * np.array([
        [(math.pi**2 / 6 + (1 - euler) ** 2) / k**2, -(1 - euler) / scale],
        [-(1 - euler) / scale, (k / scale) ** 2],
    ])  # fmt: skip

    def loglik(theta, t):
        return weibull(theta, t, 1.0)

    model = ff.optimize.Model(
        loglik, (np.ones(n),), score=lambda theta, t: weibull_score(theta, t, 1.0),
        quantile=lambda theta, u, t: (theta[1] * (-np.log1p(-u)) ** (1.0 / theta[0]),),
    )  # fmt: skip
    np.testing.assert_allclose(model.expected(theta), exact, rtol=1e-8)
    sampled = ff.optimize.Model(
        loglik, (np.ones(n),), draws=4000, score=lambda theta, t: weibull_score(theta, t, 1.0),
        sample=lambda theta, rng, t: (theta[1] * rng.weibull(theta[0], t.size),),
    )  # fmt: skip
    np.testing.assert_allclose(sampled.expected(theta), exact, rtol=0.1)
    np.testing.assert_array_equal(sampled.expected(theta), sampled.expected(theta))
    u, weight = expected.double_exponential()
    assert weight @ np.log(u) ** 2 == pytest.approx(2.0, rel=1e-9)


def test_derivatives():
    theta = np.array([1.5, 150.0])
    data = censored_weibull(50)
    model = ff.optimize.Model(weibull, data)
    exact = weibull_score(theta, *data)
    np.testing.assert_allclose(model.scores(theta), exact, rtol=1e-8, atol=1e-10)
    by_complex_step = ff.optimize.Model(weibull, data, score="complex")
    np.testing.assert_allclose(by_complex_step.scores(theta), exact, rtol=1e-12, atol=1e-14)
    from_score = ff.optimize.Model(weibull, data, score=weibull_score).observed(theta)
    np.testing.assert_allclose(model.observed(theta), from_score, rtol=1e-6)
    # near the edge of the parameter space only short steps can be made
    slope = derivatives.jacobian(lambda t: np.log(t), np.array([1e-4]))
    np.testing.assert_allclose(slope, [[1e4]], rtol=1e-9)


def rows_of_one(theta, t, event):
    z = math.log(t / theta[1])
    return event * (math.log(theta[0] / theta[1]) + (theta[0] - 1.0) * z) - math.exp(theta[0] * z)


@pytest.mark.parametrize("compile_it", [False, True])
def test_every_way_to_give_a_likelihood(compile_it):
    data = censored_weibull(100)
    one = numba.njit(rows_of_one) if compile_it else rows_of_one
    expected_x = natural_gradient(weibull, [1.0, 150.0], data).x
    by_rows = natural_gradient(ff.optimize.per_row(one), [1.0, 150.0], data)
    np.testing.assert_allclose(by_rows.x, expected_x, rtol=1e-10)
    total = natural_gradient(lambda theta, *d: weibull(theta, *d).sum(), [1.0, 150.0], data)
    np.testing.assert_allclose(total.x, expected_x, rtol=1e-8)

    def evaluate(theta, t, event):
        s = weibull_score(theta, t, event)
        return weibull(theta, t, event), s, s.T @ s

    at_once = natural_gradient(evaluate, [1.0, 150.0], data)
    np.testing.assert_allclose(at_once.x, expected_x, rtol=1e-9)


def regression(seed=0, n=400, p=6):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    y = (rng.uniform(size=n) < expit(X @ rng.normal(size=p) * 0.5)).astype(float)

    def loglik(theta, X, y):
        eta = X @ theta
        return y * eta - np.logaddexp(0.0, eta)

    def information(theta, X, y):
        m = expit(X @ theta)
        return (X.T * (m * (1.0 - m))) @ X

    model = ff.optimize.Model(
        loglik, (X, y), score=lambda theta, X, y: (y - expit(X @ theta))[:, None] * X, information=information
    )
    return model, X, y


@pytest.mark.parametrize(
    ("structure", "more"),
    [("dense", {}), ("diagonal", {}), ("block", {"blocks": [[0, 1, 2], [3, 5], [4]]}), ("low_rank", {"rank": 2})],
)
def test_every_structure_reaches_the_maximum(structure, more):
    model, X, y = regression()
    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y)
    found = natural_gradient(model, np.zeros(6), structure=structure, step="backtracking", max_iter=500, **more)
    np.testing.assert_allclose(found.x, exact.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.covariance, exact.result_.cov_params(), rtol=1e-5)
    if structure != "dense":
        with_all = natural_gradient(model, np.zeros(6))
        assert with_all.n_iter < found.n_iter, "an approximation costs steps"


def test_matrix_free_and_low_rank_agree_with_dense():
    model, X, _ = regression()
    theta = np.linspace(-0.2, 0.3, 6)
    F = model.expected(theta)
    m = expit(X @ theta)
    products = ff.optimize.Products.of_rows(sp.csr_array(X), m * (1.0 - m))
    score = np.arange(1.0, 7.0)
    np.testing.assert_allclose(products.dense(), F, rtol=1e-12)
    np.testing.assert_allclose(products.solve(score), np.linalg.solve(F, score), rtol=1e-8)
    unknown = ff.optimize.Products(lambda v: F @ v, 6)
    np.testing.assert_allclose(unknown.solve(score), np.linalg.solve(F, score), rtol=1e-8)
    for rank in (0, 3, 6):
        near = structures.structured(F, "low_rank", None, rank).solve(score)
        far = np.abs(near - np.linalg.solve(F, score)).max()
        assert far < 1e-10 if rank == 6 else far > 1e-6
    damped = structures.structured(F, "low_rank", None, 6).solve(score, 0.5)
    np.testing.assert_allclose(damped, np.linalg.solve(F + 0.5 * np.diag(np.diag(F)), score), rtol=1e-9)


def test_kronecker():
    rng = np.random.default_rng(0)
    A, B = (m @ m.T + np.eye(len(m)) for m in (rng.normal(size=(3, 3)), rng.normal(size=(4, 4))))
    F = ff.optimize.Kronecker(A, B)
    score = rng.normal(size=12)
    full = np.kron(A, B)
    np.testing.assert_allclose(F.solve(score), np.linalg.solve(full, score), rtol=1e-10)
    np.testing.assert_allclose(F.solve(score, 0.3), np.linalg.solve(full + 0.3 * np.diag(np.diag(full)), score))
    np.testing.assert_allclose(F.product(score), full @ score, rtol=1e-12)
    # a multivariate regression: parameters W of shape (2, 3), F = S^-1 (x) X'X
    X, W = rng.normal(size=(200, 3)), rng.normal(size=(2, 3))
    Y, P = X @ W.T + rng.normal(size=(200, 2)), np.array([[2.0, 0.5], [0.5, 1.0]])

    def loglik(theta, X, Y):
        r = Y - X @ theta.reshape(2, 3).T
        return -0.5 * np.einsum("ij,jk,ik->i", r, P, r)

    found = natural_gradient(
        loglik, np.zeros(6), (X, Y), information=lambda theta, X, Y: ff.optimize.Kronecker(P, X.T @ X),
        structure="kronecker", step="fixed",
    )  # fmt: skip
    np.testing.assert_allclose(found.x.reshape(2, 3), np.linalg.lstsq(X, Y, rcond=None)[0].T, rtol=1e-9)
    assert found.n_iter <= 3


def test_kl_steps_have_the_kl_that_was_asked_for():
    model, _, _ = regression()
    found = natural_gradient(model, np.zeros(6), step="kl", kl=0.05)
    moved = found.history["kl"].to_numpy()[1:]
    short = found.history["decrement"].to_numpy()[:-1] > 2 * 0.05
    assert short.sum() >= 5
    np.testing.assert_allclose(moved[short], 0.05, rtol=1e-9)
    assert found.converged


def distribution_paths(method, rate, steps):
    """Paths of (mu, sigma) of a normal fit in three parametrisations."""
    y = np.random.default_rng(0).normal(1.0, 2.0, 500)
    maps = {
        "sigma": (lambda t: (t[0], t[1]), lambda t: 1.0, [-1.0, 1.0]),
        "log sigma": (lambda t: (t[0], np.exp(t[1])), lambda t: np.exp(t[1]), [-1.0, 0.0]),
        "precision": (lambda t: (t[0], t[1] ** -0.5), lambda t: -0.5 * t[1] ** -1.5, [-1.0, 1.0]),
    }
    out = []
    for to, slope, start in maps.values():

        def loglik(t, y, to=to):
            mu, sigma = to(t)
            return -np.log(sigma) - 0.5 * ((y - mu) / sigma) ** 2

        def information(t, y, to=to, slope=slope):
            sigma = to(t)[1]
            return y.size / sigma**2 * np.diag([1.0, 2.0 * slope(t) ** 2])

        more = {"step": "fixed"} if method is natural_gradient else {}
        found = method(
            loglik, start, (y,), information=information, learning_rate=rate, max_iter=steps, tol=0.0, **more
        )
        out.append(np.array([to(t) for t in found.path]))
    return max(float(np.abs(a - b).max()) for a in out for b in out)


def test_paths_do_not_depend_on_the_parametrisation_to_the_order_of_the_step():
    natural = [distribution_paths(natural_gradient, rate, round(2.0 / rate)) for rate in (0.1, 0.05, 0.025, 0.0125)]
    for coarse, fine in itertools.pairwise(natural):
        assert 1.8 < coarse / fine < 8.0
    assert natural[-1] < 0.03
    plain = [distribution_paths(gradient_descent, rate, round(2.0 / rate)) for rate in (0.05, 0.025)]
    assert min(plain) > 0.5, "gradient descent goes other ways at any step length"
    assert plain[0] / plain[1] < 1.1


def test_the_empirical_information_is_no_curvature():
    """Kunstner, Balles & Hennig (2019): of the same least squares, from the same start, at the same learning rate.

    Far from the maximum the outer products grow with the square of the residuals, so that the steps are too short by
    that square; near it, with residuals smaller than the model says, they are too long.
    """
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(1000), rng.normal(size=1000)])
    y = X @ [2.0, 2.0] + 0.1 * rng.normal(size=1000)
    model = ff.optimize.Model(
        lambda theta, X, y: -0.5 * (y - X @ theta) ** 2, (X, y), score=lambda theta, X, y: (y - X @ theta)[:, None] * X,
        information=lambda theta, X, y: X.T @ X,
    )  # fmt: skip
    true = natural_gradient(model, [2.0, -4.0], step="fixed", max_iter=30)
    wrong = natural_gradient(model, [2.0, -4.0], step="fixed", fisher="empirical", max_iter=30)
    assert true.converged
    assert true.n_iter <= 2
    assert not wrong.converged
    assert wrong.certificate.max_se_error > 10.0
    first = wrong.path[1] - wrong.path[0]
    natural = true.path[1] - true.path[0]
    assert np.linalg.norm(first) < 0.05 * np.linalg.norm(natural)
    near = true.x + 0.003
    there = natural_gradient(model, near, step="fixed", fisher="empirical", max_iter=1)
    assert np.linalg.norm(there.path[1] - near) > 20.0 * np.linalg.norm(true.x - near)


def test_adam_and_gradient_descent_have_the_same_result():
    model, X, y = regression()
    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y).coef_
    for found in (
        gradient_descent(model, np.zeros(6), learning_rate=3.0, max_iter=2000),
        adam(model, np.zeros(6), learning_rate=0.05, max_iter=2000),
    ):
        np.testing.assert_allclose(found.x, exact, atol=1e-5)
        assert found.covariance.shape == (6, 6)
        assert len(found.history) == found.n_iter + 1
        assert found.history["decrement"].iloc[0] > 1.0 > found.certificate.max_se_error


def test_adam_by_hand():
    """Two steps of Kingma & Ba (2015), algorithm 1, on a straight line."""
    found = adam(
        lambda theta: 3.0 * theta[0], [0.0], information=lambda theta: np.eye(1), learning_rate=0.5, max_iter=2
    )
    np.testing.assert_allclose(found.path[:, 0], [0.0, 0.5, 1.0], rtol=1e-7)


@pytest.mark.parametrize("method", ["natural", "natural with a rate", "adam", "gradient_descent"])
def test_mini_batches(method):
    model, X, y = regression(n=2000)
    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y).result_
    run = {
        "natural": lambda: natural_gradient(model, np.zeros(6), batch_size=100, max_iter=5, random_state=0),
        "natural with a rate": lambda: natural_gradient(
            model, np.zeros(6), batch_size=100, learning_rate=0.05, forgetting=0.95, max_iter=10, random_state=0
        ),
        "adam": lambda: adam(model, np.zeros(6), batch_size=100, learning_rate=0.02, max_iter=20, random_state=0),
        "gradient_descent": lambda: gradient_descent(
            model, np.zeros(6), batch_size=100, learning_rate=0.5, max_iter=20, random_state=0
        ),
    }[method]
    found = run()
    error = np.abs((found.x - exact.coefficients) / exact.standard_errors).max()
    assert error < (0.1 if method == "natural" else 1.5)
    np.testing.assert_array_equal(found.x, run().x)


def test_online_keeps_the_information():
    model, X, y = regression(n=20_000)
    online = ff.optimize.OnlineNaturalGradient(model, np.zeros(6))
    for first in range(0, 20_000, 50):
        online.update(X[first : first + 50], y[first : first + 50])
        assert online.held < 200
    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y).result_
    assert online.n == 20_000
    assert online.held == 0
    assert np.abs((online.x - exact.coefficients) / exact.standard_errors).max() < 0.1
    np.testing.assert_allclose(online.standard_errors, exact.standard_errors, rtol=0.05)
    assert online.loglik == pytest.approx(exact.llf, abs=3.0)
    again = pickle.loads(pickle.dumps((online.x, online.information)))
    np.testing.assert_array_equal(again[0], online.x)


def test_online_is_recursive_least_squares_for_a_linear_model():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 3)), rng.normal(size=500)
    line = ff.optimize.Model(
        lambda theta, X, y: -0.5 * (y - X @ theta) ** 2, score=lambda theta, X, y: (y - X @ theta)[:, None] * X,
        information=lambda theta, X, y: X.T @ X,
    )  # fmt: skip
    online = ff.optimize.OnlineNaturalGradient(line, np.zeros(3), hold=10)
    decayed = ff.optimize.OnlineNaturalGradient(line, np.zeros(3), information=1e-9 * np.eye(3), forgetting=0.9)
    for first in range(0, 500, 10):
        online.update(X[first : first + 10], y[first : first + 10])
        decayed.update(X[first : first + 10], y[first : first + 10])
    np.testing.assert_allclose(online.x, np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-10)
    w = np.sqrt(0.9 ** np.repeat(np.arange(49, -1, -1), 10))
    np.testing.assert_allclose(decayed.x, np.linalg.lstsq(X * w[:, None], y * w, rcond=None)[0], rtol=1e-8)


def test_callback_ends_the_run_and_progress_is_shown(capsys):
    model, _, _ = regression()
    seen = []
    found = natural_gradient(model, np.zeros(6), callback=lambda i, theta, loglik: seen.append(loglik) or i == 2)
    assert found.reason == "callback"
    assert not found.converged
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert found.certificate.max_se_error > 0.0
    natural_gradient(model, np.zeros(6), progress=1)
    assert "decrement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fisher": "exact"}, "fisher"),
        ({"structure": "block"}, "blocks"),
        ({"structure": "block", "blocks": [[0], [0]]}, "once"),
        ({"structure": "kronecker"}, "Kronecker"),
        ({"structure": "matrix_free"}, "Products"),
        ({"structure": "low_rank", "rank": 9}, "rank"),
        ({"step": "kl", "kl": -1.0}, "positive"),
        ({"step": "full", "kl": 1.0}, "step='kl'"),
        ({"batch_size": 0}, "batch_size"),
        ({"forgetting": 0.5}, "batch_size"),
    ],
)
def test_arguments_are_checked(arguments, message):
    model, _, _ = regression(p=2)
    with pytest.raises(ff.InputError, match=message):
        natural_gradient(model, np.zeros(2), **arguments)


def test_functions_are_checked():
    t, event = censored_weibull(20)
    with pytest.raises(ff.InputError, match="log-likelihood at start"):
        natural_gradient(weibull, [-1.0, 1.0], (t, event))
    with pytest.raises(ff.InputError, match="score has shape"):
        natural_gradient(weibull, [1.0, 1.0], (t, event), score=lambda theta, t, e: np.zeros(3))
    with pytest.raises(ff.InputError, match="expected information is needed"):
        natural_gradient(weibull, [1.0, 1.0], (t, event), fisher="expected")
    with pytest.raises(ff.InputError, match="scores of single rows"):
        natural_gradient(lambda theta, *d: weibull(theta, *d).sum(), [1.0, 99.0], (t, event), fisher="empirical")
    with pytest.raises(ff.InputTypeError, match="put them into the Model"):
        natural_gradient(ff.optimize.Model(weibull), [1.0, 1.0], (t, event))


@pytest.mark.slow
def test_a_hundred_thousand_sparse_parameters_in_bounded_memory():
    rng = np.random.default_rng(0)
    p, n, k = 100_000, 600_000, 6
    X = sp.csr_array((rng.normal(size=n * k), rng.integers(0, p, n * k), np.arange(0, n * k + 1, k)), shape=(n, p))
    y = (rng.uniform(size=n) < expit(X @ (0.5 * rng.normal(size=p)))).astype(float)

    def loglik(theta, X, y):
        eta = X @ theta
        return y * eta - np.logaddexp(0.0, eta)

    def information(theta, X, y):
        m = expit(X @ theta)
        return ff.optimize.Products.of_rows(X, m * (1.0 - m))

    model = ff.optimize.Model(
        loglik, (X, y), score=lambda theta, X, y: X.T @ (y - expit(X @ theta)), information=information
    )
    tracemalloc.start()
    found = natural_gradient(model, np.zeros(p), structure="matrix_free")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6, "a matrix would be 80 GB"
    assert found.converged
    assert found.n_iter < 20
    assert found.certificate.max_se_error < 1e-8
    assert np.abs(X.T @ (y - expit(X @ found.x))).max() < 1e-8
    other = adam(model, np.zeros(p), learning_rate=0.1, max_iter=40)
    assert found.loglik - other.loglik > 10.0


@pytest.mark.parametrize("step", ["full", "fixed", "kl", "damped"])
@pytest.mark.parametrize(
    ("structure", "more"),
    [("dense", {}), ("diagonal", {}), ("block", {"blocks": [[0, 1, 2], [3, 5], [4]]}), ("low_rank", {"rank": 2})],
)
def test_an_approximation_costs_steps_and_no_digits(structure, more, step):
    """The run ends by the decrement under all of F, at full digits, and not where steps become short."""
    model, X, y = regression()
    exact = ff.GLM("binomial", fit_intercept=False).fit(X, y)
    rate = {"learning_rate": 0.2} if step == "fixed" else {}
    found = natural_gradient(model, np.zeros(6), structure=structure, step=step, max_iter=500, **more, **rate)
    assert found.converged
    assert found.certificate.max_se_error <= 1.01e-10
    np.testing.assert_allclose(found.x, exact.coef_, rtol=1e-8, atol=1e-10)
    far = np.linalg.inv(found.covariance) @ (found.x - exact.coef_)
    assert (found.x - exact.coef_) @ far < 1e-18


@pytest.mark.parametrize("factor", [0.45, 0.6, 1.0, 3.0, 10.0])
def test_an_information_that_is_no_curvature_costs_no_digits(factor):
    """Linear convergence is not taken for rounding, and an overshoot at the end is no end."""
    y = np.random.default_rng(0).poisson(3.0, 500).astype(float)
    heard = []
    found = natural_gradient(
        lambda theta, y: y * theta[0] - np.exp(theta[0]), [0.0], (y,), max_iter=1000,
        score=lambda theta, y: (y - np.exp(theta[0]))[:, None],
        information=lambda theta, y: np.array([[factor * y.size * np.exp(theta[0])]]),
        callback=lambda i, theta, loglik: heard.append(i),
    )  # fmt: skip
    assert found.converged
    assert found.x[0] == pytest.approx(math.log(y.mean()), rel=1e-10)
    assert heard == list(range(found.n_iter + 1)) == found.history["iteration"].tolist()
    assert len(found.path) == found.n_iter + 1


def counts(theta, y):
    return y * theta[0] - np.exp(theta[0])


def test_what_is_no_maximum_is_not_called_one():
    """The decrement goes to 0 where a likelihood rises for ever, at a saddle point, and along a ridge."""
    zeros, y = np.zeros(10), np.random.default_rng(0).poisson(2.0, 50).astype(float)
    endless = natural_gradient(counts, [0.0], (zeros,))
    assert (endless.converged, endless.reason) == (False, "diverging")
    assert endless.certificate.max_se_error == np.inf
    assert natural_gradient(counts, [0.0], (zeros,), step="damped").reason == "diverging"
    two = np.concatenate([y, y + 9.0])

    def halves(theta, y):
        return np.logaddexp(-0.5 * (y - theta[0]) ** 2, -0.5 * (y - theta[1]) ** 2)

    for step in ("full", "damped"):
        saddle = natural_gradient(halves, [1.0, 1.0], (two,), step=step)
        assert (saddle.converged, saddle.reason) == (False, "singular")
        assert natural_gradient(halves, [1.0, 1.1], (two,), step=step).converged
    ridge = natural_gradient(lambda theta, y: -((y - theta[0] - theta[1]) ** 2), [0.0, 0.0], (y,))
    assert (ridge.converged, ridge.reason) == (False, "singular")


def test_a_likelihood_of_huge_values_leaks_no_warning():
    y = np.array([0.0, 700.0, 3.0, 5.0])
    with pytest.raises(ff.InputError, match="begin where it is finite"):  # the sum of the four overflows
        natural_gradient(counts, [709.0], (y,))
    found = natural_gradient(counts, [707.0], (y,), max_iter=1000)
    assert found.x[0] == pytest.approx(math.log(y.mean()), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda y: natural_gradient(counts, [0.0], (y,), score=lambda t, y: -(y - np.exp(t[0]))[:, None]),
         ff.InputError, "score is not the derivative"),
        (lambda y: natural_gradient(counts, [0.0], (y,), score=lambda t, y: (y - np.exp(t[0]))[:, None] / y.size),
         ff.InputError, "score is not the derivative"),
        (lambda y: natural_gradient(lambda t, y: -np.abs(y - t[0]) ** 1.5, [0.0], (y,), score="complex"),
         ff.InputError, "complex parameters"),
        (lambda y: natural_gradient(lambda t, y: None, [0.0], (y,)), ff.InputTypeError, "loglik returns NoneType"),
        (lambda y: natural_gradient(lambda t, y, x: y, [0.0], (y, y[:2])), ff.InputError, "array 1 of the data has 2"),
        (lambda y: natural_gradient(counts, [0.0], (np.where(y > 2, np.nan, y),)), ff.InputError, "not finite in row"),
        (lambda y: natural_gradient(lambda t, X: X @ t, [0.0, 0.0], (sp.csr_array(np.array([[0, 1.0], [np.nan, 0]])),)),
         ff.InputError, "row 1, column 0"),
        (lambda y: natural_gradient(lambda t, y: y * np.log(t[0]) - t[0], [-1.0], (y,)), ff.InputError, r"row 0 is"),
        (lambda y: natural_gradient(counts, [0.0], (y,), quantile=lambda t, u, y: np.ones(3)), ff.InputError,
         "quantile must return a tuple of 1"),
        (lambda y: natural_gradient(counts, [0.0], (y,), max_iter=-1), ff.InputError, "max_iter"),
        (lambda y: adam(counts, [0.0], (y,), max_iter="9"), ff.InputError, "max_iter"),
        (lambda y: natural_gradient(counts, [0.0], (y,), tol=-1.0), ff.InputError, "tol"),
        (lambda y: natural_gradient(counts, [0.0], (y,), batch_size=5, step="kl"), ff.InputError, "batch_size"),
        (lambda y: ff.optimize.OnlineNaturalGradient(counts, [0.0], information=[[1.0]]).update(np.array([1.0, np.nan])),
         ff.InputError, "not finite in row 1"),
    ],
)  # fmt: skip
def test_what_is_rough_is_said_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message):
        call(np.random.default_rng(0).poisson(2.0, 50).astype(float))


def test_many_parameters_without_an_information():
    """A score is enough; without it there is an error before a matrix of 3 GB is made."""
    p = 20_000
    y = np.random.default_rng(0).poisson(3.0, p).astype(float) + 1.0

    def loglik(theta, y):
        return y * theta - np.exp(theta)

    def score(theta, y):
        return y - np.exp(theta)

    model = ff.optimize.Model(loglik, (y,), score=score)
    found = natural_gradient(model, np.zeros(p), structure="matrix_free", fisher="observed")
    np.testing.assert_allclose(found.x, np.log(y), rtol=1e-8, atol=1e-10)
    near = adam(model, np.zeros(p), learning_rate=0.1, max_iter=20)
    assert 0.0 < near.certificate.max_se_error < np.inf
    with pytest.raises(ff.InputError, match=r"20000 parameters would be a matrix of 3 GB"):
        natural_gradient(model, np.zeros(p))
    with pytest.raises(ff.InputError, match="matrix_free"):
        adam(loglik, np.zeros(p), (y,))


def test_rows_that_say_nothing_for_long_are_not_fitted_every_time():
    calls = [0]

    def loglik(theta, y):
        calls[0] += y.size
        return y * theta[0] - np.exp(theta[0])

    online = ff.optimize.OnlineNaturalGradient(loglik, [0.0])
    for _ in range(200):
        online.update(np.zeros(10))
    assert (online.n, online.held) == (2000, 2000)
    for _ in range(40):
        online.update(np.ones(10))
    assert online.held == 0
    assert math.log(200.0 / 2200.0) - 0.01 < online.x[0] < 0.0
    once = calls[0]
    calls[0] = 0
    natural_gradient(loglik, [0.0], (np.zeros(2000),))
    assert once < 25 * calls[0], "fitting every time would take a hundred such fits"
