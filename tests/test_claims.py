"""The claims of docs/natural-gradient, each by a test that would fail if it were wrong; the pages and their figures run.

The table of docs/natural-gradient/claims.rst names these tests.
"""

from __future__ import annotations

import doctest
import itertools
import re
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate
from scipy.optimize import brentq
from scipy.special import expit

import fisherfit as ff
from fisherfit.geometry import Distribution, fisher_information, kl_divergence
from fisherfit.optimize import Model, Products, adam, gradient_descent, natural_gradient

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "natural-gradient"
PAGES = sorted(FOLDER.glob("*.rst"))
FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
FIGURE = re.compile(r"\.\. plot::\n(?:   :.*\n)*\n((?:   .*\n|\n)+)")
FIGURES = [
    pytest.param(
        textwrap.dedent(code),
        id=f"{path.stem}-{k}",
        marks=[pytest.mark.slow] if "100_000" in code else [],
    )
    for path in PAGES
    for k, code in enumerate(FIGURE.findall(path.read_text("utf-8")))
]
ROW = re.compile(
    r"^   \* - (.+(?:\n       .+)*)\n     - :doc:`([\w-]+)`\n     - ``(tests/\w+\.py)::(\w+)``$", re.MULTILINE
)
CLAIMS = ROW.findall((FOLDER / "claims.rst").read_text("utf-8"))


# the pages


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_examples(path):
    outcome = doctest.testfile(str(path), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert outcome.failed == 0
    assert outcome.attempted > 0 or path.stem in ("index", "claims")


@pytest.mark.parametrize("code", FIGURES)
def test_figures(code):
    """The code of the figures, as it stands on the page, draws something and warns of nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, "figure", "exec"), {})
            for figure in map(plt.figure, plt.get_fignums()):
                figure.canvas.draw()
        axes = [ax for figure in map(plt.figure, plt.get_fignums()) for ax in figure.axes]
        assert axes
        assert all(ax.has_data() and ax.get_xlabel() for ax in axes)
    finally:
        plt.close("all")


def test_pages_are_all_in_the_index():
    listed = re.findall(r"^   ([\w-]+)$", (FOLDER / "index.rst").read_text("utf-8"), re.MULTILINE)
    assert set(listed) == {path.stem for path in PAGES} - {"index"}
    assert len(listed) == len(set(listed))


def test_every_claim_of_the_table_has_its_page_and_its_test():
    text = (FOLDER / "claims.rst").read_text("utf-8")
    assert len(CLAIMS) == text.count("   * - ") - 1, "a row does not read as claim, page, test"
    names = [name for *_, name in CLAIMS]
    assert len(names) == len(set(names))
    for claim, page, file, name in CLAIMS:
        assert (FOLDER / f"{page}.rst").exists(), claim
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), claim


def test_every_claim_of_this_file_is_in_the_table():
    here = Path(__file__).read_text("utf-8").split("# the claims\n")[1]
    mine = {name for _, _, file, name in CLAIMS if file == "tests/test_claims.py"}
    assert set(re.findall(r"^def (test_\w+)\(", here, re.MULTILINE)) == mine


def test_every_page_has_claims_and_a_figure():
    pages = {path.stem: path.read_text("utf-8") for path in PAGES if path.stem not in ("index", "claims")}
    assert {page for _, page, *_ in CLAIMS} == set(pages)
    assert all(".. plot::" in text for text in pages.values())


# the claims


def normal(mu, sigma):
    return Distribution("normal", mu=float(mu), sigma=float(sigma))


def kl_by_integral(p, q):
    """Independent of the library: the integral of f log(f / g) for (mu, sigma) pairs."""

    def log_density(y, mu, sigma):
        return -0.5 * ((y - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2.0 * np.pi)

    def integrand(y):
        return np.exp(log_density(y, *p)) * (log_density(y, *p) - log_density(y, *q))

    return integrate.quad(integrand, p[0] - 12.0 * p[1], p[0] + 12.0 * p[1], epsabs=1e-12, epsrel=1e-12, limit=400)[0]


def test_one_euclidean_distance_two_divergences():
    for variance, nats in ((2.0, 4.0), (0.5, 16.0)):
        p, q = (-2.0, variance**0.5), (2.0, variance**0.5)
        assert q[0] - p[0] == 4.0
        assert kl_by_integral(p, q) == pytest.approx(nats, rel=1e-9)
        found = kl_divergence(*(Distribution("normal", mu=m, phi=variance) for m in (-2.0, 2.0)))
        assert found == pytest.approx(nats, rel=1e-12)


def test_a_divergence_belongs_to_the_distributions_and_a_euclidean_distance_to_the_parameters():
    a, b = (0.0, 2.0), (1.0, 1.0)
    by_sigma = kl_divergence(normal(*a), normal(*b))
    by_phi = kl_divergence(*(Distribution("normal", mu=m, phi=s * s) for m, s in (a, b)))
    assert by_sigma == pytest.approx(by_phi, rel=1e-12)
    assert by_sigma == pytest.approx(kl_by_integral(a, b), rel=1e-9)
    assert np.hypot(1.0, 1.0) != pytest.approx(np.hypot(1.0, 3.0), rel=0.5)


def test_the_divergence_is_symmetric_for_small_steps_only():
    p = normal(0.0, 2.0)
    ratios = []
    for d in (1.0, 0.1, 0.01):
        q = normal(d, 2.0 + d)
        ratios.append(abs(kl_divergence(p, q) / kl_divergence(q, p) - 1.0))
    assert ratios[0] > 0.3
    assert all(6.0 < a / b < 14.0 for a, b in itertools.pairwise(ratios)), "of first order in the step"


def reach(centre, direction, radius):
    """How far from a normal distribution the divergence reaches a radius."""
    mu, sigma = centre
    return brentq(
        lambda t: kl_divergence(normal(mu, sigma), normal(mu + t * direction[0], sigma + t * direction[1])) - radius,
        1e-9,
        0.95 * sigma if direction[1] < 0.0 else 10.0 * sigma,
    )


def test_kl_balls_grow_with_sigma_and_euclidean_balls_do_not():
    for angle in np.linspace(0.0, 2.0 * np.pi, 9):
        u = np.cos(angle), np.sin(angle)
        base = reach((0.0, 1.0), u, 0.1)
        for sigma in (0.4, 2.0, 5.0):
            assert reach((0.0, sigma), u, 0.1) == pytest.approx(sigma * base, rel=1e-6)
    # one Euclidean step, another divergence wherever it is taken
    nats = [kl_by_integral((0.0, sigma), (0.5, sigma)) for sigma in (0.4, 1.0, 2.0)]
    np.testing.assert_allclose(nats, [0.78125, 0.125, 0.03125], rtol=1e-8)


def test_the_information_is_the_covariance_of_the_score_and_the_hessian_of_the_divergence():
    """By quadrature and by differences that know the density alone, for a gamma law of mean and dispersion."""
    from math import exp, lgamma, log

    mu, phi, h = 2.0, 0.5, 1e-3

    def log_density(y, mu, phi):
        a = 1.0 / phi
        return a * log(a / mu) + (a - 1.0) * log(y) - a * y / mu - lgamma(a)

    def mean(g):
        return integrate.quad(lambda y: exp(log_density(y, mu, phi)) * g(y), 0.0, 60.0, epsabs=1e-12, limit=300)[0]

    def slopes(y):
        at = lambda i, t: log_density(y, *np.array([mu, phi]) + t * np.eye(2)[i])  # noqa: E731
        return [(8 * (at(i, h) - at(i, -h)) - at(i, 2 * h) + at(i, -2 * h)) / (12 * h) for i in (0, 1)]

    def curvature(g, i, j):
        e = h * np.eye(2)
        return (g(e[i] + e[j]) - g(e[i] - e[j]) - g(e[j] - e[i]) + g(-e[i] - e[j])) / (4.0 * h * h)

    f = fisher_information("gamma", {"mu": mu, "phi": phi})
    p = Distribution("gamma", mu=mu, phi=phi)
    for i in (0, 1):
        assert abs(mean(lambda y, i=i: slopes(y)[i])) < 1e-8
        for j in (0, 1):
            covariance = mean(lambda y, i=i, j=j: slopes(y)[i] * slopes(y)[j])
            second = -mean(lambda y, i=i, j=j: curvature(lambda d: log_density(y, mu + d[0], phi + d[1]), i, j))
            bowl = curvature(lambda d: kl_divergence(p, Distribution("gamma", mu=mu + d[0], phi=phi + d[1])), i, j)
            assert covariance == pytest.approx(f[i, j], abs=1e-7)
            assert second == pytest.approx(f[i, j], abs=1e-4)
            assert bowl == pytest.approx(f[i, j], abs=1e-4)


def test_the_divergence_of_a_small_step_is_half_its_squared_length():
    f = fisher_information("normal", {"mu": 0.0, "sigma": 2.0})
    direction = np.array([0.6, 0.8])
    errors = []
    for t in (0.08, 0.04, 0.02, 0.01):
        d = t * direction
        kl = kl_divergence(normal(0.0, 2.0), normal(d[0], 2.0 + d[1]))
        errors.append(abs(kl - 0.5 * d @ f @ d))
        assert errors[-1] < 2.0 * t * kl
    assert all(7.0 < a / b < 9.0 for a, b in itertools.pairwise(errors)), "of third order"


def sixty():
    return np.random.default_rng(0).normal(1.0, 1.5, 60)


def test_no_step_of_the_same_divergence_climbs_higher():
    """The best of all directions on a KL ball comes ever closer to the natural gradient as the ball shrinks."""
    y, mu, sigma = sixty(), -1.0, 3.0

    def loglik(mu, sigma):
        return float(np.sum(-np.log(sigma) - 0.5 * ((y - mu) / sigma) ** 2))

    s = np.array([np.sum(y - mu) / sigma**2, np.sum((y - mu) ** 2) / sigma**3 - y.size / sigma])
    natural = np.linalg.solve(fisher_information("normal", {"mu": mu, "sigma": sigma}), s)
    toward = np.arctan2(natural[1], natural[0])
    angles = toward + np.linspace(-np.pi, np.pi, 1441)[:-1]
    off = []
    for radius in (1e-2, 1e-4, 1e-6):
        heights = []
        for a in angles:
            u = np.cos(a), np.sin(a)
            t = reach((mu, sigma), u, radius)
            heights.append(loglik(mu + t * u[0], sigma + t * u[1]))
        off.append(abs(angles[int(np.argmax(heights))] - toward))
    assert off[0] < np.radians(10.0)
    assert off[1] < np.radians(1.0)
    assert off[2] < np.radians(0.5)
    assert abs(np.arctan2(s[1], s[0]) - toward) > np.radians(10.0), "the gradient is another direction"


def test_steps_of_constant_divergence_have_it():
    y = sixty()

    def loglik(theta, y):
        return -theta[1] - 0.5 * (y - theta[0]) ** 2 * np.exp(-2.0 * theta[1])

    def information(theta, y):
        return y.size * np.diag([np.exp(-2.0 * theta[1]), 2.0])

    errors = []
    for c in (1e-2, 1e-4):
        run = natural_gradient(loglik, [-4.0, 2.0], (y,), information=information, step="kl", kl=60 * c)
        p = [(m, np.exp(v)) for m, v in run.path]
        moved = np.array([kl_by_integral(*pair) for pair in itertools.pairwise(p)][:10])
        errors.append(np.abs(moved / c - 1.0).max())
        # the formula, at the start
        s = np.array([np.sum(y + 4.0) * np.exp(-4.0), np.sum((y + 4.0) ** 2) * np.exp(-4.0) - 60.0])
        natural = s / np.diag(information([-4.0, 2.0], y))
        np.testing.assert_allclose(run.path[1] - run.path[0], np.sqrt(2 * 60 * c / (s @ natural)) * natural, rtol=1e-6)
    assert errors[0] < 0.2
    assert errors[1] < 0.02


def logistic(X, y):
    def products(theta, X, y):
        m = expit(X @ theta)
        return (X.T * (m * (1.0 - m))) @ X

    return Model(
        lambda theta, X, y: y * (X @ theta) - np.logaddexp(0.0, X @ theta), (X, y),
        score=lambda theta, X, y: (y - expit(X @ theta))[:, None] * X, information=products,
    )  # fmt: skip


def two_columns():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(300), rng.normal(2.0, 1.0, 300)])
    return X, (rng.uniform(size=300) < expit(X @ [-3.0, 1.5])).astype(float)


def steps_until(run, best, nats=1e-6):
    close = np.flatnonzero(best - run.history["loglik"].to_numpy() < nats)
    return int(close[0]) if close.size else len(run.history)


def test_the_natural_gradient_takes_a_tenth_of_the_steps_of_others_at_their_best():
    model = logistic(*two_columns())
    start = [0.0, 1.5]
    natural = natural_gradient(model, start)
    assert natural.converged
    count = steps_until(natural, natural.loglik)
    plain = [gradient_descent(model, start, learning_rate=r, max_iter=1500) for r in np.geomspace(0.1, 10.0, 9)]
    moments = [adam(model, start, learning_rate=r, max_iter=1500) for r in np.geomspace(0.01, 3.0, 9)]
    for runs in (plain, moments):
        best = min(steps_until(run, natural.loglik) for run in runs)
        assert 10 * count < best < 1500, "the best rate is among those tried, and arrives"


def test_other_units_change_nothing_but_for_gradient_descent():
    X, y = two_columns()
    scale = np.array([1.0, 1000.0])
    start = np.array([0.0, 1.5])
    here, there = (natural_gradient(logistic(X * c, y), start / c) for c in (np.ones(2), scale))
    assert here.n_iter == there.n_iter
    np.testing.assert_allclose(here.path, there.path * scale, rtol=1e-6, atol=1e-9)
    plain = gradient_descent(logistic(X, y), start, learning_rate=1.0, max_iter=300)
    other = gradient_descent(logistic(X * scale, y), start / scale, learning_rate=1.0, max_iter=300)
    assert here.loglik - plain.loglik < 1.0
    assert here.loglik - other.loglik > 1000.0


def test_the_natural_gradient_is_one_vector_in_all_parameters():
    theta, s = {"mu": 0.3, "sigma": 2.0}, np.array([0.7, -0.4])
    step = np.linalg.solve(fisher_information("normal", theta), s)
    maps = {
        "log": (lambda t: [t[0], np.log(t[1])], np.diag([1.0, 0.5])),
        "precision": (lambda t: [t[0], t[1] ** -2.0], np.diag([1.0, -0.25])),
        "both": (lambda t: [t[0] / t[1], t[0] + t[1]], np.array([[0.5, -0.075], [1.0, 1.0]])),
    }
    for to, J in maps.values():
        back = np.linalg.inv(J)
        other = fisher_information("normal", theta, to)
        np.testing.assert_allclose(other, back.T @ np.diag([0.25, 0.5]) @ back, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(np.linalg.solve(other, back.T @ s), J @ step, rtol=1e-7)
        assert np.abs(back.T @ s - J @ s).max() > 0.05, "the gradient is not"


PARAMETRISATIONS = {
    "sigma": (lambda t: t[1], lambda t: 1.0, [-1.0, 1.0]),
    "log sigma": (lambda t: np.exp(t[1]), lambda t: np.exp(t[1]), [-1.0, 0.0]),
    "precision": (lambda t: t[1] ** -0.5, lambda t: -0.5 * t[1] ** -1.5, [-1.0, 1.0]),
}


def apart(method, rate, **more):
    """How far the paths of distributions in three parametrisations are from each other, in (mu, sigma)."""
    y, out = np.random.default_rng(5).normal(1.0, 2.0, 400), []
    for sigma, slope, start in PARAMETRISATIONS.values():
        run = method(
            lambda t, y, sigma=sigma: -np.log(sigma(t)) - 0.5 * ((y - t[0]) / sigma(t)) ** 2, start, (y,),
            information=lambda t, y, sigma=sigma, slope=slope: (
                y.size / sigma(t) ** 2 * np.diag([1.0, 2.0 * slope(t) ** 2])
            ),
            learning_rate=rate, max_iter=round(1.0 / rate), tol=0.0, **more,
        )  # fmt: skip
        out.append(np.array([(t[0], sigma(t)) for t in run.path]))
    return max(float(np.abs(a - b).max()) for a in out for b in out)


def test_one_path_of_distributions_to_the_order_of_the_step():
    off = [apart(natural_gradient, rate, step="fixed") for rate in (0.05, 0.025, 0.0125, 0.00625)]
    for coarse, fine in itertools.pairwise(off):
        assert 1.7 < coarse / fine < 4.0
    assert off[-1] < 0.02


def test_gradient_descent_goes_other_ways_however_short_its_steps():
    off = [apart(gradient_descent, rate) for rate in (0.05, 0.0125)]
    assert min(off) > 0.3
    assert off[0] / off[1] < 1.2


def informations(theta, X, y):
    m = expit(X @ theta)
    s = (y - m)[:, None] * X
    return (X.T * (m * (1.0 - m))) @ X, s.T @ s


def test_the_empirical_information_is_the_exact_one_at_the_truth_of_a_true_model_only():
    rng = np.random.default_rng(1)
    truth = np.array([0.5, -1.0])

    def ratios(n, theta, slope=1.0):
        X = np.column_stack([np.ones(n), rng.normal(size=n)])
        y = (rng.uniform(size=n) < expit(slope * (X @ truth))).astype(float)
        exact, empirical = informations(theta, X, y)
        return np.linalg.eigvals(np.linalg.solve(exact, empirical)).real

    few, many = (np.mean([np.abs(ratios(n, truth) - 1.0).max() for _ in range(20)]) for n in (200, 20_000))
    assert many < 0.03
    assert 5.0 < few / many < 20.0, "like the root of the number of rows"
    assert ratios(20_000, np.array([4.0, 3.0])).max() > 20.0, "elsewhere"
    assert np.abs(ratios(20_000, truth, slope=0.0) - 1.0).max() > 0.1, "the model is not true"


def test_the_empirical_information_makes_steps_too_short_far_away_and_too_long_near_by():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(1000), rng.normal(size=1000)])
    y = X @ [2.0, 2.0] + 0.1 * rng.normal(size=1000)
    model = Model(
        lambda theta, X, y: -0.5 * (y - X @ theta) ** 2, (X, y),
        score=lambda theta, X, y: (y - X @ theta)[:, None] * X, information=lambda theta, X, y: X.T @ X,
    )  # fmt: skip
    best = np.linalg.lstsq(X, y)[0]
    for start, short in ((best + np.array([0.0, 6.0]), True), (best + 0.003, False)):
        exact, empirical = (
            np.diff(natural_gradient(model, start, step="fixed", max_iter=1, fisher=kind).path[:2], axis=0)[0]
            for kind in ("expected", "empirical")
        )
        np.testing.assert_allclose(start + exact, best, atol=1e-9)
        ratio = np.linalg.norm(empirical) / np.linalg.norm(exact)
        assert ratio < 0.05 if short else ratio > 20.0


def test_observed_and_expected_information_agree_for_a_canonical_link():
    X, y = two_columns()
    for link, same in ((expit, True), (lambda e: -np.expm1(-np.exp(e)), False)):

        def loglik(theta, X, y, link=link):
            m = link(X @ theta)
            return y * np.log(m) + (1.0 - y) * np.log1p(-m)

        theta = np.array([-1.0, 0.3])
        m, h = link(X @ theta), 1e-5
        slope = (link(X @ theta + h) - link(X @ theta - h)) / (2.0 * h)
        expected = (X.T * (slope**2 / (m * (1.0 - m)))) @ X
        observed = Model(loglik, (X, y)).observed(theta)
        off = np.abs(observed / expected - 1.0).max()
        assert off < 1e-5 if same else off > 0.05


def twelve():
    rng = np.random.default_rng(1)
    common = rng.normal(size=(2000, 4)).repeat(3, axis=1)
    X = 0.7 * common + 0.7 * rng.normal(size=(2000, 12)) + 0.3 * rng.normal(size=(2000, 1))
    return X, (rng.uniform(size=2000) < expit(X @ rng.normal(size=12))).astype(float)


def test_a_part_of_the_information_costs_steps():
    model = logistic(*twelve())
    blocks = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    ways = {"dense": {}, "block": {"blocks": blocks}, "diagonal": {}}
    runs = {w: natural_gradient(model, np.zeros(12), structure=w, max_iter=500, **more) for w, more in ways.items()}
    counts = [steps_until(run, runs["dense"].loglik) for run in runs.values()]
    assert counts[0] < counts[1] < counts[2]
    assert counts[0] < 8
    for run in runs.values():
        off = np.abs(run.x - runs["dense"].x) / runs["dense"].standard_errors
        assert off.max() <= 1.1 * run.certificate.max_se_error + 1e-9
        assert off.max() < 1e-5


def test_the_diagonal_is_all_of_it_for_orthogonal_parameters_only():
    y = sixty()
    for turn, same in ((np.eye(2), True), (np.array([[1.0, 1.0], [-0.5, 1.0]]), False)):
        model = Model(
            lambda t, y, a=turn: -(a @ t)[1] - 0.5 * (y - (a @ t)[0]) ** 2 * np.exp(-2.0 * (a @ t)[1]), (y,),
            information=lambda t, y, a=turn: a.T @ (y.size * np.diag([np.exp(-2.0 * (a @ t)[1]), 2.0])) @ a,
        )  # fmt: skip
        start = np.linalg.solve(turn, [0.0, 0.8])
        full, diagonal = (
            natural_gradient(model, start, structure=k, step="fixed", learning_rate=0.5, max_iter=4, tol=0.0).path
            for k in ("dense", "diagonal")
        )
        off = np.abs(full[1:] - diagonal[1:]).max()
        assert off < 1e-9 if same else off > 0.01


def test_the_diagonal_forgives_other_units_and_not_other_directions():
    X, y = twelve()
    rng = np.random.default_rng(2)
    turn, units = np.linalg.qr(rng.normal(size=(12, 12)))[0], np.diag(10.0 ** rng.uniform(-2.0, 2.0, 12))

    def trace(change, structure):
        run = natural_gradient(logistic(X @ change, y), np.zeros(12), structure=structure, max_iter=5)
        return run.history["loglik"].to_numpy()[1:5]

    for structure, change, same in (
        ("dense", units, True), ("dense", turn, True), ("diagonal", units, True), ("diagonal", turn, False),
    ):  # fmt: skip
        off = np.abs(trace(np.eye(12), structure) - trace(change, structure)).max()
        assert off < 1e-6 if same else off > 0.1


def test_adam_begins_with_the_signs_of_the_gradient():
    X, y = twelve()
    for times in (1, 3):
        model = logistic(np.tile(X, (times, 1)) * times, np.tile(y, times))
        first = adam(model, np.zeros(12), learning_rate=0.1, max_iter=1).path[1]
        np.testing.assert_allclose(first, 0.1 * np.sign(X.T @ (y - 0.5)), atol=1e-5)


def test_products_of_the_information_are_enough():
    X, y = twelve()
    dense = natural_gradient(logistic(X, y), np.zeros(12))
    seen = []

    def products(theta, X, y):
        m = expit(X @ theta)
        found = Products.of_rows(X, m * (1.0 - m))
        seen.append(found)
        return found

    free = Model(
        logistic(X, y).loglik, (X, y), score=lambda theta, X, y: X.T @ (y - expit(X @ theta)), information=products
    )
    run = natural_gradient(free, np.zeros(12), structure="matrix_free")
    assert seen
    assert run.converged
    assert run.n_iter <= dense.n_iter + 2
    np.testing.assert_allclose(run.x, dense.x, atol=1e-9)


def test_fisher_scoring_of_a_glm_is_the_natural_gradient():
    girls = ff.datasets.load("menarche")
    yes, total = girls["yes"].to_numpy(float), (girls["yes"] + girls["no"]).to_numpy(float)
    X = np.column_stack([np.ones(len(girls)), girls["age"] - 13.0])
    # the information is the library's own, by quadrature over nothing but the score: E ss' of a binomial count
    from scipy.stats import binom

    def score(theta, X, yes, total):
        return (yes - total * expit(X @ theta))[:, None] * X

    def information(theta, X, yes, total):
        out = np.zeros((2, 2))
        for row, count, p in zip(X, total, expit(X @ theta), strict=True):
            k = np.arange(count + 1.0)
            out += np.sum(binom.pmf(k, count, p) * (k - count * p) ** 2) * np.outer(row, row)
        return out

    model = Model(
        lambda theta, X, yes, total: yes * (X @ theta) - total * np.logaddexp(0.0, X @ theta), (X, yes, total),
        score=score, information=information,
    )  # fmt: skip
    run = natural_gradient(model, [0.0, 0.0], step="fixed")
    theta = np.zeros(2)
    for there in run.path[1:]:
        m = expit(X @ theta)
        weight = total * m * (1.0 - m)
        root = np.sqrt(weight)
        theta = np.linalg.lstsq(root[:, None] * X, root * (X @ theta + (yes - total * m) / weight))[0]
        np.testing.assert_allclose(there, theta, atol=1e-8)
    glm = ff.GLM(formula="yes + no ~ I(age - 13)", family="binomial").fit(girls)
    np.testing.assert_allclose(glm.result_.params, run.x, atol=1e-9)
    np.testing.assert_allclose(glm.result_.bse, run.standard_errors, rtol=1e-9)


def test_em_is_the_natural_gradient_of_the_complete_data():
    """The score by the complex step, the covariance of the statistics by quadrature: neither knows of EM."""
    t = ff.datasets.load("faithful")["waiting"].to_numpy(float) / 10.0
    eta = np.array([0.4, 0.4 * 5.0, 0.4 * (5.0**2 + 1.0), 0.6 * 8.0, 0.6 * (8.0**2 + 1.0)])

    def joint(eta, t):
        w = np.array([eta[0], 1.0 - eta[0]])
        mu = np.array([eta[1], eta[3]]) / w
        v = np.array([eta[2], eta[4]]) / w - mu**2
        return w * np.exp(-0.5 * (t[:, None] - mu) ** 2 / v) / np.sqrt(2.0 * np.pi * v)

    def statistics(t):
        zero = 0.0 * t
        return np.array([[zero + 1.0, t, t**2, zero, zero], [zero, zero, zero, t, t**2]])

    def covariance(eta):
        x, step = np.linspace(-6.0, 20.0, 4001, retstep=True)
        density, T = joint(eta, x), statistics(x)
        second = sum(step * np.einsum("in,jn,n->ij", T[k], T[k], density[:, k]) for k in (0, 1))
        return second - np.outer(eta, eta)

    model = Model(lambda eta, t: np.log(joint(eta, t).sum(axis=1)), (t,), score="complex")
    for _ in range(60):
        natural = covariance(eta) @ model.score_at(eta) / t.size
        r = joint(eta, t)
        r = (r / r.sum(axis=1, keepdims=True)).T
        em = np.einsum("kn,kin->i", r, statistics(t)) / t.size
        np.testing.assert_allclose(eta + natural, em, rtol=1e-7)
        eta = em
    fitted = ff.GaussianMixture(2, random_state=0).fit(t[:, None])
    np.testing.assert_allclose([eta[1] / eta[0], eta[3] / (1.0 - eta[0])], fitted.means_[:, 0], atol=1e-6)


def test_the_decrement_is_the_distance_from_the_maximum():
    X, y = twelve()
    model, rng = logistic(X, y), np.random.default_rng(0)
    best = natural_gradient(model, np.zeros(12))
    for far, tolerance in ((0.1, 0.2), (0.01, 0.02), (0.001, 0.002)):
        off = rng.normal(size=12)
        theta = best.x + far * off * best.standard_errors
        F, s = informations(theta, X, y)[0], X.T @ (y - expit(X @ theta))
        natural, d = np.linalg.solve(F, s), best.x - theta
        size = np.sqrt(s @ natural)
        contrasts = np.vstack([np.eye(12), rng.normal(size=(200, 12)), (F @ natural)[None]])
        errors = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, np.linalg.inv(F), contrasts))
        share = np.abs(contrasts @ d) / errors / size
        assert share.max() == pytest.approx(1.0, abs=tolerance), "within the bound, and it is met"
        gap = best.loglik - model.total(theta)
        assert gap == pytest.approx(0.5 * size**2, rel=tolerance, abs=1e-10)
        told = natural_gradient(model, theta, max_iter=1, tol=1e6)
        assert told.certificate.max_se_error == pytest.approx(size, rel=0.2)
