"""Gaussian components: certified fits, derivatives of every structure, invariance, floors, and sums by threads."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from fisherfit import _threads
from fisherfit.errors import InputError
from fisherfit.mixtures.ascent import ascend
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.gaussian_rows import GaussianPoint
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.starts import hard
from fisherfit.mixtures.structures import NAMES, WORDS, helmert, structure_of

REFERENCE = Path(__file__).parent / "reference" / "mixtures.json"
GAUSSIAN = [
    "faithful_waiting_full_k2", "faithful_waiting_tied_k2", "faithful_full_k2", "faithful_full_k3", "faithful_tied_k3",
    "faithful_diag_k2", "faithful_spherical_k2", "faithful_full_k2_weighted", "galaxies_full_k3", "galaxies_full_k4",
    "galaxies_tied_k3", "galaxies_full_k4_basin2", "acidity_full_k2", "acidity_tied_k2", "iris_full_k2", "iris_full_k3",
    "iris_tied_k3", "iris_diag_k3", "iris_spherical_k3",
]  # fmt: skip


@functools.cache
def cases():
    return {case["name"]: case for case in json.loads(REFERENCE.read_text())["cases"]}


@pytest.fixture(autouse=True)
def passes():
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        yield


def mixture(x, count, structure, weight=None, names=None, threads=1):
    weight = np.ones(len(x)) if weight is None else weight
    return Mixture(Gaussian(x, count, structure, names), Mixing(count), weight, None, threads)


def three(n=240, d=3, seed=0):
    """Three clusters with covariances of their own, and responsibilities that are nearly right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    turn = rng.normal(size=(3, d, d)) + np.eye(d)
    x = 3.0 * rng.normal(size=(3, d))[labels] + np.einsum("nij,nj->ni", turn[labels], rng.normal(size=(n, d)))
    return x, 0.7 * hard(labels, 3) + 0.3 * rng.dirichlet(np.ones(3), n).T


def fit(model, start, steps=30):
    theta = model.start(start)
    for _ in range(steps):
        theta = model.em(theta[None])[1][0]
    return ascend(model, theta)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_certified_fits(name):
    case = cases()[name]
    x, k = np.asarray(case["X"], float), case["n_components"]
    weight = None if case["weights"] is None else np.asarray(case["weights"], float)
    model = mixture(x, k, case["structure"], weight, range(x.shape[1]))
    found = fit(model, hard(np.asarray(case["start"]["labels"]), k))
    assert found.converged
    assert found.evaluation.loglik == pytest.approx(case["loglik"], rel=1e-13)
    theta = model.permuted(found.theta, model.components.order(model.split(found.theta)[1]))
    report = model.report(theta)
    covariance = report.jacobian @ np.linalg.inv(model.evaluate(theta).observed) @ report.jacobian.T
    at = [report.names.index(parameter) for parameter in case["theta_names"]]
    assert len(report.names) == case["df"] + 1  # the last proportion follows from the others
    errors = np.asarray(case["theta_se"])
    assert np.abs((report.values[at] - case["theta"]) / errors).max() < 1e-8
    assert np.abs(np.sqrt(np.diag(covariance))[at] / errors - 1.0).max() < 1e-9
    assert model.components.trouble(model.split(theta)[1]) == []


@pytest.mark.parametrize("name", NAMES)
def test_score_and_information_are_the_derivatives(name):
    x, start = three()
    rng = np.random.default_rng(1)
    model = mixture(x, 3, name, rng.uniform(0.5, 2.0, len(x)))
    theta = model.start(start) + 0.05 * rng.normal(size=model.size)  # away from a maximum, where scores do not vanish
    here, h = model.evaluate(theta), 1e-4

    def difference(f):
        steps = h * np.eye(model.size)
        return np.array([
            (8.0 * (f(theta + e) - f(theta - e)) - (f(theta + 2.0 * e) - f(theta - 2.0 * e))) / (12.0 * h) for e in steps
        ])  # fmt: skip

    slope = difference(lambda at: model.evaluate(at).loglik)
    bend = -difference(lambda at: model.evaluate(at).score)
    assert np.abs(here.score - slope).max() < 1e-8 * np.abs(slope).max()
    assert np.abs(here.observed - bend).max() < 1e-9 * np.abs(bend).max()
    assert np.abs(model.weight @ model.unit_scores(theta) - here.score).max() < 1e-11 * np.abs(slope).max()
    complete = here.complete[model.mixing.size :, model.mixing.size :]
    assert np.linalg.eigvalsh(complete).min() > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_em_maximises_what_it_should(name):
    """At the M-step the score of the complete data, with the posteriors of the point before, vanishes."""
    x, start = three()
    model = mixture(x, 3, name)
    theta = model.start(start)
    values = []
    for _ in range(5):
        value, following = model.em(theta[None])
        values.append(value[0])
        posterior = model.posterior(theta).T
        block = model.components.at(model.split(following)[1]).rows(0, len(x), True)
        score = np.zeros(model.components.size)
        for own, at, r in zip(block.scores(), model.components.places, posterior, strict=True):
            score[at] += own @ r
        information = block.curvature(posterior)[0]
        assert score @ np.linalg.solve(information, score) < 1e-12  # twice the nats left, in all
        theta = following[0]
    assert np.all(np.diff(values) > 0.0)
    assert model.loglik(theta[None])[0] == pytest.approx(model.evaluate(theta).loglik, rel=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_as_mclust_counts_them(name):
    d, k = 3, 3
    expected = {
        "EII": 1, "VII": k, "EEI": d, "VEI": k + d - 1, "EVI": 1 + k * (d - 1), "VVI": k * d, "EEE": 6, "VEE": k + 5,
        "EVE": 1 + k * (d - 1) + 3, "VVE": k * d + 3, "EEV": d + 3 * k, "VEV": k + d - 1 + 3 * k, "EVV": 1 + 5 * k,
        "VVV": 6 * k,
    }  # fmt: skip
    x, start = three()
    model = Gaussian(x, k, name)
    assert model.n_covariance == expected[name]
    phi = model.from_posterior(start)
    point = model.at(phi[None])
    again = model.structure.pack(point.mean, point.v, model.structure.turns_of(point.q))
    other = model.at(again)
    covariance, back = (p.root @ np.swapaxes(p.root, -1, -2) for p in (point, other))
    assert np.abs(covariance - back).max() < 1e-12


def density(x, means, covariances):
    """log N by scipy, (K, n)."""
    from scipy.stats import multivariate_normal

    return np.array([multivariate_normal(m, c).logpdf(x) for m, c in zip(means, covariances, strict=True)])


@pytest.mark.parametrize("name", NAMES)
def test_densities_are_those_of_the_reported_means_and_covariances(name):
    x, start = three()
    x = x * [1.0, 20.0, 0.1] + [5.0, -100.0, 3.0]
    model = Gaussian(x, 3, name)
    phi = model.from_posterior(start)
    expected = density(x, model.means(phi), model.full_covariances(phi))
    for informative in (False, True):
        found = model.at(phi[None]).rows(0, len(x), informative).log_density[0]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    new = model.on(x[:7].astype(np.float32))
    found = new.at(phi[None]).rows(0, 7, False).log_density[0]
    wanted = density(x[:7].astype(np.float32).astype(float), model.means(phi), model.full_covariances(phi))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("word", WORDS)
def test_covariances_have_the_shapes_of_scikit_learn(word):
    x, start = three()
    model = Gaussian(x, 3, word)
    phi = model.from_posterior(start)
    shapes = {"full": (3, 3, 3), "tied": (3, 3), "diag": (3, 3), "spherical": (3,)}
    covariance, root = model.covariances(phi), model.precisions_cholesky(phi)
    assert covariance.shape == root.shape == shapes[word]
    if word in ("full", "tied"):
        np.testing.assert_allclose(root @ np.swapaxes(root, -1, -2), np.linalg.inv(covariance), rtol=1e-9)
        assert np.all(np.tril(root, -1) == 0.0)
    else:
        np.testing.assert_allclose(root, covariance**-0.5, rtol=1e-14)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VEE", "EVV", "VVI", "VEI", "VII", "EEV", "VVE"])
@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 0.0), (1e9, 0.0), (1.0, 1e4), (1e-6, -3.0)])
def test_fits_do_not_depend_on_units(name, scale, shift):
    x, start = three()
    plain, moved = mixture(x, 3, name), mixture(scale * x + shift, 3, name)
    a, b = fit(plain, start), fit(moved, start)
    assert a.converged
    assert b.converged
    assert b.evaluation.loglik + x.size * np.log(scale) == pytest.approx(a.evaluation.loglik, rel=1e-9)
    np.testing.assert_allclose(moved.posterior(b.theta), plain.posterior(a.theta), atol=1e-8)
    first, second = plain.components, moved.components
    p, q = plain.split(a.theta)[1], moved.split(b.theta)[1]
    np.testing.assert_allclose((second.means(q) - shift) / scale, first.means(p), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(second.full_covariances(q) / scale**2, first.full_covariances(p), rtol=1e-7, atol=1e-8)


def test_full_covariances_follow_any_linear_map():
    x, start = three()
    turn = np.array([[1.0, 1e3, 0.0], [0.0, 1e-3, 2.0], [4.0, 1e3, 1e-2]])
    plain, moved = mixture(x, 3, "full"), mixture(x @ turn.T, 3, "full")
    a, b = fit(plain, start), fit(moved, start)
    shift = len(x) * np.log(abs(np.linalg.det(turn)))
    assert b.evaluation.loglik + shift == pytest.approx(a.evaluation.loglik, rel=1e-9)
    np.testing.assert_allclose(moved.posterior(b.theta), plain.posterior(a.theta), atol=1e-8)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI", "VEV"])
def test_sums_are_the_same_for_any_number_of_threads(name):
    x, start = three(6000)
    one, two = mixture(x, 3, name, threads=1), mixture(x, 3, name, threads=3)
    theta = np.stack([one.start(start), one.start(np.roll(start, 1, axis=0))])
    for a, b in zip(one.em(theta), two.em(theta), strict=True):
        assert np.array_equal(a, b)
    a, b = one.evaluate(theta[0]), two.evaluate(theta[0])
    assert a.loglik == b.loglik
    assert np.array_equal(a.score, b.score)
    assert np.array_equal(a.observed, b.observed)


@pytest.mark.parametrize("name", NAMES)
def test_points_together_are_the_points_one_by_one(name):
    x, start = three()
    model = mixture(x, 3, name)
    theta = np.stack([model.start(np.roll(start, s, axis=0)) for s in range(3)])
    together = model.em(theta)
    for s in range(3):
        value, following = model.em(theta[s : s + 1])
        assert value[0] == pytest.approx(together[0][s], rel=1e-13)
        point, other = (model.components.full_covariances(model.split(t)[1]) for t in (following[0], together[1][s]))
        np.testing.assert_allclose(point, other, rtol=1e-7, atol=1e-9)


def test_narrow_and_far_components_lose_no_digits():
    """Sums, densities and the fit are those of the cluster by itself."""
    rng = np.random.default_rng(3)
    tight = 1e-5 * rng.normal(size=(50, 2)) @ [[1.0, 0.4], [0.0, 0.3]] + [40.0, -7.0]
    x = np.concatenate([rng.normal(size=(200, 2)), tight])
    labels = np.repeat([0, 1], [200, 50])
    model = mixture(x, 2, "full")
    found = fit(model, hard(labels, 2), 3)
    assert found.converged
    phi = model.split(found.theta)[1]
    np.testing.assert_allclose(model.components.covariances(phi)[1], np.cov(tight.T, bias=True), rtol=1e-8)
    assert model.loglik(found.theta[None])[0] == pytest.approx(found.evaluation.loglik, rel=1e-13)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e9])
@pytest.mark.parametrize("word", [*WORDS, "VEV", "VVE", "EVV"])
def test_a_component_on_equal_rows_is_held_up_and_named(word, scale):
    x, _ = three(60)
    x[40:] = x[40]
    x *= scale
    model = mixture(x, 2, word, names=["a", "b", "c"])
    theta = model.start(hard(np.repeat([0, 1], [40, 20]), 2))
    for _ in range(10):
        value, following = model.em(theta[None])
        assert np.isfinite(value[0])
        assert np.all(np.isfinite(following))
        theta = following[0]
    trouble = model.components.trouble(model.split(theta)[1])
    if word in ("full", "diag", "spherical", "VVE"):
        assert [k for k, _ in trouble] == [1]
        assert "component 1 has collapsed" in trouble[0][1]
        assert "use fewer components" in trouble[0][1]
    elif word == "tied":
        assert trouble == []


def test_an_empty_component_has_no_step():
    x, start = three()
    model = mixture(x, 3, "full")
    theta = model.start(start)
    phi = model.split(theta)[1]
    sums = (
        model.components.at(phi[None]).rows(0, len(x), False).sums(np.array([[[1.0], [1.0], [0.0]]]) * np.ones(len(x)))
    )
    assert np.isnan(model.components.update(phi[None], sums)).all()


def test_starts_with_too_few_rows_have_a_covariance():
    x, _ = three()
    labels = np.zeros(len(x), int)
    labels[:1], labels[1:3] = 1, 2
    model = mixture(x, 4, "full")
    theta = model.start(hard(labels, 4))  # one row, two rows, none
    assert np.all(np.isfinite(theta))
    assert np.isfinite(model.loglik(theta[None])[0])


def test_wild_rows_leave_the_others_apart():
    x, start = three()
    wild = np.concatenate([x, [[1e12, 1e12, -1e12], [1e12, -2e12, 3e12]]])
    model = Gaussian(wild, 3, "diag")
    plain = model.features()[: len(x)]
    assert 0.5 < np.median(np.abs(plain)) < 2.0
    phi = model.from_posterior(np.concatenate([start, np.zeros((3, 2))], axis=1))
    clean = Gaussian(x, 3, "diag")
    np.testing.assert_allclose(
        model.means(phi), clean.means(clean.from_posterior(start)), rtol=1e-12, atol=1e-12
    )  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_any_layout_and_type_of_data(word):
    x, start = three()
    x = np.round(8.0 * x)
    plain = Gaussian(x, 3, word).from_posterior(start)
    wide = np.zeros((len(x), 6))
    wide[:, ::2] = x
    for other in (np.asfortranarray(x), x.astype(np.float32), x.astype(int), wide[:, ::2], x[::-1][::-1], x.tolist()):
        assert np.array_equal(Gaussian(other, 3, word).from_posterior(start), plain)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: x.__setitem__((slice(None), 1), 4.0), "column 'b' is constant"),
        (lambda x: x.__setitem__((7, 2), np.nan), "column 'c' has nan in row 7"),
        (lambda x: x.__setitem__((3, 0), np.inf), "column 'a' has inf in row 3"),
        (lambda x: x.__setitem__((slice(None), 2), 2.0 * x[:, 0] - x[:, 1] + 5.0), "column 'c' is a linear function"),
        (lambda x: x.__setitem__((slice(None), 1), -3.0 * x[:, 0]), "column 'b' is a linear function of column 'a'"),
    ],
)
def test_data_that_no_covariance_fits(spoil, words):
    x, _ = three()
    spoil(x)
    with pytest.raises(InputError, match=words):
        Gaussian(x, 2, "full", ["a", "b", "c"])


def test_too_few_rows_and_unknown_structures():
    x, _ = three()
    with pytest.raises(InputError, match="3 rows cannot span 3 columns"):
        Gaussian(x[:3], 1, "full")
    Gaussian(x[:3], 1, "diag")
    with pytest.raises(InputError, match="covariance_type 'VVX' is not known"):
        Gaussian(x, 2, "VVX")
    with pytest.raises(InputError, match="X has 1 dimensions"):
        Gaussian(x[:, 0], 2, "full")


def test_samples_come_from_the_components():
    x, start = three()
    model = Gaussian(x, 3, "full")
    phi = model.from_posterior(start)
    labels = np.repeat([0, 1, 2], 40_000)
    drawn = model.sample(phi, labels, np.random.default_rng(0))
    mean, covariance = model.means(phi), model.full_covariances(phi)
    for k in range(3):
        gap = np.linalg.solve(np.linalg.cholesky(covariance[k]), (drawn[labels == k] - mean[k]).T)
        assert np.abs(gap.mean(axis=1)).max() < 5.0 / np.sqrt(40_000)
        assert np.abs(np.cov(gap) - np.eye(3)).max() < 5.0 * np.sqrt(2.0 / 40_000)


def test_orders_and_subsets():
    x, start = three()
    for name in NAMES:
        model = mixture(x, 3, name)
        theta = model.start(start)
        _, phi = model.split(theta)
        order = model.components.order(phi)
        assert np.all(np.diff(model.components.means(phi)[order, 0]) > 0.0)
        moved = model.permuted(theta, order)
        assert model.loglik(moved[None])[0] == pytest.approx(model.loglik(theta[None])[0], rel=1e-14)
        rows = np.array([5, 3, 200])
        np.testing.assert_allclose(model.take(rows).unit_logliks(theta), model.unit_logliks(theta)[rows], rtol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_axes_come_back_from_their_coordinates(d):
    rng = np.random.default_rng(d)
    assert np.abs(helmert(d) @ helmert(d).T - np.eye(d - 1)).max(initial=0.0) < 1e-15
    structure = structure_of("EEV", 4, d)
    q = np.linalg.qr(rng.normal(size=(2, 4, d, d)))[0]
    q[0, 0] = -np.eye(d)  # a turn that the Cayley transform reaches by signs alone
    turn = structure.turns_of(q)
    assert np.abs(turn).max(initial=0.0) < 2.0**d
    back = structure.axes_of(turn)
    assert np.abs(np.abs(np.einsum("skij,skij->skj", back, q)) - 1.0).max() < 1e-12


@pytest.mark.parametrize("word", [*WORDS, "VEV", "VVE", "EVV"])
def test_a_pass_in_one_loop_has_the_sums_of_blocks(word, monkeypatch):
    """Several points, rows without weight, tiles that are not full, and a component that no row belongs to."""
    x, start = three(700)
    model = mixture(x, 3, word, weight=np.where(np.arange(len(x)) % 5 == 0, 0.0, 1.0 + np.arange(len(x)) % 3))
    theta = np.stack([model.start(np.roll(start, s, axis=0)) for s in range(3)])
    psi, phi = model.split(theta)
    phi[2, model.components.places[1][0]] += 60.0
    theta = np.concatenate([psi, phi], axis=1)
    at_once = model.em_sums(theta)
    monkeypatch.setattr(GaussianPoint, "em_pass", None)
    np.testing.assert_allclose(at_once, model.em_sums(theta), rtol=1e-11, atol=1e-11 * model.total)


def test_the_sums_of_wide_data():
    x, _ = three(400, 45)
    labels = np.arange(400) % 2
    model = mixture(x, 2, "tied")
    theta = model.start(hard(labels, 2))
    _, following = model.em(theta[None])
    r = model.posterior(theta)
    mean = r.T @ x / r.sum(axis=0)[:, None]
    np.testing.assert_allclose(model.components.means(model.split(following[0])[1]), mean, rtol=1e-9)
    scatter = sum((x - mean[k]).T @ ((x - mean[k]) * r[:, k : k + 1]) for k in range(2)) / len(x)
    np.testing.assert_allclose(
        model.components.covariances(model.split(following[0])[1]), scatter, rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("name", ["VVV", "EEE", "VEV"])
def test_the_lost_information_by_pairs_is_that_at_once(name, monkeypatch):
    from fisherfit.mixtures import louis

    x, start = three()
    model = mixture(x, 3, name, np.random.default_rng(2).integers(0, 3, len(x)).astype(float))
    theta = fit(model, start, 3).theta
    at_once = model.evaluate(theta)
    monkeypatch.setattr(louis, "MANY", 0)
    by_pairs = model.evaluate(theta)
    scale = np.sqrt(np.diag(at_once.complete))
    assert np.abs((by_pairs.observed - at_once.observed) / scale[:, None] / scale).max() < 1e-13
    assert np.abs((by_pairs.score - at_once.score) / scale).max() < 1e-11
