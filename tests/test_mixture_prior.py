"""The conjugate prior of mclust: the mode against the densities of scipy, derivatives, degenerate data, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import fisherfit as ff
from fisherfit.errors import DegenerateComponentWarning
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.prior import SUPPORTED, Posterior, check_prior, prior_of

RNG = np.random.default_rng(5)
X = np.concatenate([
    RNG.multivariate_normal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]], 25),
    RNG.multivariate_normal([4.0, 1.0], [[1.0, -0.3], [-0.3, 0.3]], 35),
]) * [1.0, 10.0] + [0.0, 50.0]  # fmt: skip


def log_prior(name, x, means, covariances, shrinkage=0.01, dof=None, scale=None, mean=None):
    """The prior of Fraley & Raftery by scipy's densities."""
    (count, d), var = means.shape, np.cov(x.T, ddof=1).reshape(x.shape[1], x.shape[1])
    dof = d + 2 if dof is None else dof
    mean = x.mean(axis=0) if mean is None else mean
    total = sum(
        stats.multivariate_normal(mean, sigma / shrinkage).logpdf(mu)
        for mu, sigma in zip(means, covariances, strict=True)
    )
    for sigma in covariances[:1] if name in ("EII", "EEI", "EEE") else covariances:
        if name.endswith("I"):
            square = np.trace(var) / d / count ** (2 / d) if scale is None else scale
            variances = np.diag(sigma)[:1] if name[1] == "I" else np.diag(sigma)
            total += stats.invgamma(dof / 2, scale=square / 2).logpdf(variances).sum()
        else:
            matrix = var / count ** (2 / d) if scale is None else scale
            total += stats.invwishart(dof, matrix).logpdf(sigma)
    return total


def log_likelihood(x, weights, means, covariances):
    """The likelihood by scipy's densities."""
    densities = [
        w * stats.multivariate_normal(m, s).pdf(x) for w, m, s in zip(weights, means, covariances, strict=True)
    ]
    return np.log(sum(densities)).sum()


def pictured(name, p, count=2):
    """Weights, means and covariances in the plane from a vector, of a structure by its own words."""
    at = iter(p)
    logits = np.array([0.0] + [next(at) for _ in range(count - 1)])
    means = np.array([[next(at), next(at)] for _ in range(count)])

    def each(letter):
        if letter == "I":
            return [0.0] * count
        return [next(at)] * count if letter == "E" else [next(at) for _ in range(count)]

    volume, shape, angle = each(name[0]), each(name[1]), each(name[2])
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angle]
    sizes = [np.diag(np.exp([v + s, v - s])) for v, s in zip(volume, shape, strict=True)]
    weights = np.exp(logits) / np.exp(logits).sum()
    return weights, means, np.array([r @ s @ r.T for r, s in zip(turns, sizes, strict=True)])


def drawn_from(name, model, covariances):
    """The vector of `pictured` for a fitted model."""
    out = [*np.log(model.weights_[1:] / model.weights_[0]), *model.means_.ravel()]
    volume, shape, angle = [], [], []
    for sigma in covariances:
        if name[2] == "I":
            value, turn = np.diag(sigma), 0.0
        else:
            value, vector = np.linalg.eigh(sigma)
            turn = np.arctan2(vector[1, 0], vector[0, 0])
        volume.append(0.5 * np.log(value).sum())
        shape.append(0.5 * (np.log(value[0]) - np.log(value[1])))
        angle.append(turn)
    for letter, values in zip(name, (volume, shape, angle), strict=True):
        out += [] if letter == "I" else values[:1] if letter == "E" else values
    return np.array(out)


def full(model, d):
    """Covariances (K, d, d) whatever shape they are kept in."""
    covariances, count = model.covariances_, model.n_components
    if covariances.shape == (count,):
        return covariances[:, None, None] * np.eye(d)
    if covariances.ndim == 2 and model.covariance_type == "VVI":
        return np.array([np.diag(row) for row in covariances])
    return np.broadcast_to(covariances, (count, d, d))


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_mode_is_where_the_gradient_by_scipy_vanishes(name):
    model = ff.GaussianMixture(2, covariance_type=name, prior="mclust", random_state=0).fit(X)
    assert model.converged_

    def value(p):
        weights, means, covariances = pictured(name, p)
        return log_likelihood(X, weights, means, covariances) + log_prior(name, X, means, covariances)

    covariances = full(model, 2)
    p = drawn_from(name, model, covariances)
    np.testing.assert_allclose(pictured(name, p)[2], covariances, rtol=1e-9)
    scale = 1e-4 * np.maximum(np.abs(p), 0.1)
    gradient = np.array([(value(p + e) - value(p - e)) / 2.0 for e in np.diag(scale)]) / scale
    curvature = np.array([(value(p + e) - 2.0 * value(p) + value(p - e)) for e in np.diag(scale)]) / scale**2
    assert np.all(curvature < 0.0)
    assert np.max(np.abs(gradient) / np.sqrt(-curvature)) < 1e-4  # standard errors
    assert model.result_.llf == pytest.approx(log_likelihood(X, model.weights_, model.means_, covariances), rel=1e-10)
    higher = ff.GaussianMixture(2, covariance_type=name, random_state=0).fit(X).result_
    assert model.result_.llf < higher.llf
    assert model.result_.n_params == higher.n_params
    likely = ff.GaussianMixture(
        2, covariance_type=name, random_state=0, weights_init=model.weights_, means_init=model.means_
    ).fit(X)
    own, other = (
        log_prior(name, X, m.means_, full(m, 2)) + log_likelihood(X, m.weights_, m.means_, full(m, 2))
        for m in (model, likely)
    )
    assert own > other


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("name", SUPPORTED)
def test_derivatives(name, d):
    """Of the log-posterior over the working coordinates, against differences of its values."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40, d)) * [1.0, 3.0, 0.2][:d] + rng.integers(2, size=(40, 1)) * 2.0
    plain = Gaussian(x, 2, name)
    weight = rng.integers(1, 4, 40).astype(float)
    prior = prior_of({"shrinkage": 0.7, "mean": x.mean(axis=0) + 1.0, "dof": d + 1.5}, plain, weight)
    mixture = Posterior(plain.with_prior(prior), Mixing(2), weight)
    theta = mixture.start(rng.dirichlet(np.ones(2), 40).T) + 0.1 * rng.normal(size=mixture.size)
    here = mixture.evaluate(theta)
    assert here.loglik == pytest.approx(mixture.loglik(theta[None])[0], rel=1e-12)
    steps = 1e-5 * np.eye(mixture.size)
    slopes = (mixture.loglik(theta + steps) - mixture.loglik(theta - steps)) / 2e-5
    np.testing.assert_allclose(here.score, slopes, rtol=1e-6, atol=1e-6)
    bends = [(mixture.evaluate(theta + e).score - mixture.evaluate(theta - e).score) / -2e-5 for e in steps]
    np.testing.assert_allclose(here.observed, bends, rtol=1e-5, atol=1e-5)
    assert np.all(np.linalg.eigvalsh(here.complete) > 0.0)


@pytest.mark.parametrize("name", SUPPORTED)
def test_em_never_goes_down_and_arrives(name):
    plain = Gaussian(X, 3, name)
    mixture = Posterior(plain.with_prior(prior_of({}, plain, np.ones(60))), Mixing(3), np.ones(60))
    theta = mixture.start(np.random.default_rng(1).dirichlet(np.ones(3), 60).T)[None]
    values = []
    for _ in range(40):
        value, theta = mixture.em(theta)
        values.append(value[0])
    assert np.all(np.diff(values) > -1e-9)
    assert values[-1] > values[0] + 1.0


def test_one_component_in_closed_form():
    """Table 1 of Fraley & Raftery, with a prior of one's own."""
    n, d, kappa, dof = len(X), 2, 3.0, 7.0
    m, matrix = np.array([1.0, 40.0]), np.array([[2.0, 1.0], [1.0, 90.0]])
    own = {"shrinkage": kappa, "mean": m, "dof": dof, "scale": matrix}
    model = ff.GaussianMixture(1, prior=own).fit(X)
    mean, gap = X.mean(axis=0), X.mean(axis=0) - m
    scatter = (X - mean).T @ (X - mean) + kappa * n / (kappa + n) * np.outer(gap, gap)
    np.testing.assert_allclose(model.means_[0], (n * mean + kappa * m) / (n + kappa), rtol=1e-10)
    np.testing.assert_allclose(model.covariances_[0], (matrix + scatter) / (dof + n + d + 2), rtol=1e-10)
    model = ff.GaussianMixture(1, covariance_type="VII", prior=own | {"scale": 5.0}).fit(X)
    assert model.covariances_[0] == pytest.approx((5.0 + np.trace(scatter)) / (dof + (n + 1) * d + 2), rel=1e-10)
    model = ff.GaussianMixture(1, covariance_type="diag", prior=own | {"scale": 5.0}).fit(X)
    np.testing.assert_allclose(model.covariances_[0], (5.0 + np.diag(scatter)) / (dof + n + 3), rtol=1e-10)


def test_one_column_against_a_general_optimiser():
    """The mode, its curvature and the standard errors of two components of the velocities of galaxies."""
    x = ff.datasets.load("galaxies").to_numpy(float) / 1000.0
    model = ff.GaussianMixture(2, prior="mclust", random_state=0).fit(x)

    def loss(p):
        weights, means, variances = np.array([p[0], 1.0 - p[0]]), p[1:3, None], np.exp(p[3:])[:, None, None]
        return -log_likelihood(x, weights, means, variances) - log_prior("VVV", x, means, variances)

    start = np.array([model.weights_[0], *model.means_.ravel(), *np.log(model.covariances_.ravel())])
    found = optimize.minimize(loss, start + 0.01, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 20_000, "maxfev": 20_000})  # fmt: skip
    np.testing.assert_allclose(found.x, start, rtol=1e-5, atol=1e-5)
    steps = 1e-3 * np.eye(5)
    hessian = np.array([
        [(loss(start + a + b) - loss(start + a - b) - loss(start - a + b) + loss(start - a - b)) / 4e-6 for b in steps]
        for a in steps
    ])  # fmt: skip
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    bse = model.result_.bse
    # the errors are by differences at the end of a simplex search
    np.testing.assert_allclose(bse[["weight[0]", "mean[0,x0]", "mean[1,x0]"]], errors[:3], rtol=1e-3)


def test_weights_are_repeated_rows():
    weight = np.random.default_rng(3).integers(1, 4, len(X))
    once = ff.GaussianMixture(2, prior="mclust", random_state=0).fit(X, sample_weight=weight)
    often = ff.GaussianMixture(2, prior="mclust", random_state=0).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(once.means_, often.means_, rtol=1e-8)
    np.testing.assert_allclose(once.covariances_, often.covariances_, rtol=1e-8, atol=1e-10)
    assert once.result_.log_posterior == pytest.approx(often.result_.log_posterior, rel=1e-10)


def test_units_do_not_matter():
    """With the covariance of the data as the scale, the mode is affine equivariant."""
    matrix, shift = np.array([[1e6, 2e5], [0.0, 1e-3]]), np.array([5e6, -2.0])
    here = ff.GaussianMixture(2, prior="mclust", random_state=0).fit(X)
    there = ff.GaussianMixture(2, prior="mclust", random_state=0).fit(X @ matrix.T + shift)
    np.testing.assert_allclose(there.means_, here.means_ @ matrix.T + shift, rtol=1e-7)
    np.testing.assert_allclose(there.weights_, here.weights_, rtol=1e-8)


def test_degenerate_data():
    """Too few rows, and rows that are repeated: without a prior a warning that names it, with it a mode."""
    rng = np.random.default_rng(0)
    few = rng.normal(size=(7, 2))
    with pytest.warns(DegenerateComponentWarning, match='prior="mclust"'):
        ff.GaussianMixture(3, random_state=0).fit(few)
    for x, count in ((few, 3), (np.concatenate([np.repeat(rng.normal(size=(1, 2)), 20, axis=0), few]), 2)):
        model = ff.GaussianMixture(count, prior="mclust", random_state=0).fit(x)  # warnings are errors
        assert model.converged_
        assert np.all(np.linalg.eigvalsh(model.covariances_) > 1e-4)
        assert model.weights_.min() > 0.01
        assert np.isfinite(model.result_.standard_errors).all()


def test_a_structure_without_a_prior_is_not_told_to_use_one():
    with pytest.warns(DegenerateComponentWarning) as caught:
        ff.GaussianMixture(3, covariance_type="VVE", random_state=0).fit(np.random.default_rng(0).normal(size=(7, 2)))
    assert not any("prior" in str(w.message) for w in caught)


@pytest.mark.parametrize("name", ["VEE", "EVE", "VVE", "EVV"])
def test_four_structures_have_none(name):
    with pytest.raises(ff.InputError, match=f"mclust has none for covariance_type {name}"):
        ff.GaussianMixture(2, covariance_type=name, prior="mclust").fit(X)


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ("flat", "'flat' is not known"),
        (3, "must be None, 'mclust' or a dictionary"),
        ({"shrink": 1.0}, "has no 'shrink'"),
        ({"shrinkage": -1.0}, "shrinkage must be a number of at least 0"),
        ({"dof": 1.0}, "dof must be a number above 1"),
        ({"mean": [0.0, 0.0, 0.0]}, r"mean must have shape \(2,\)"),
        ({"scale": [[1.0, 2.0], [2.0, 1.0]]}, "symmetric positive definite"),
    ],
)
def test_what_cannot_be_meant(prior, match):
    with pytest.raises((ff.InputError, ff.InputTypeError), match=match):
        ff.GaussianMixture(2, prior=prior).fit(X)


def test_what_is_said():
    model = ff.GaussianMixture(2, prior={"shrinkage": 0.0}, random_state=0).fit(X)
    result = model.result_
    assert result.log_posterior == pytest.approx(result.llf + result.log_prior)
    assert model.lower_bound_ == pytest.approx(result.log_posterior / len(X))
    assert result.maxima[0][0] == pytest.approx(result.log_posterior)
    assert model.bic(X) == pytest.approx(result.bic, rel=1e-10)
    assert "Log-posterior" in str(result.summary())
    plain = ff.GaussianMixture(2, random_state=0).fit(X).result_
    assert plain.log_posterior is None
    assert "Log-posterior" not in str(plain.summary())
    assert check_prior({"mean": None}, "VVV") == {}


def test_axes_far_out_have_no_density():
    """Where a Cayley transform is orthogonal no more, the density would not be one."""
    components = Gaussian(X, 2, "EEV")
    phi = components.from_posterior(np.random.default_rng(1).dirichlet(np.ones(2), 60).T)
    far = phi.copy()
    angle = components.structure.places[0][2]
    far[angle] = 1e9
    densities = components.at(np.stack([phi, far])).rows(0, 60, False).log_density
    assert np.isfinite(densities[0]).all()
    assert not np.isfinite(densities[1, 0]).any()


def many(n=6000):
    rng = np.random.default_rng(8)
    first = rng.random(n) < 0.4
    x = np.where(first[:, None], rng.normal(size=(n, 2)), rng.normal([4.0, 1.0], [1.0, 0.5], (n, 2)))
    return x * [1.0, 10.0] + [0.0, 50.0]


@pytest.mark.parametrize("structure", ["VVV", "EEI", "EII"])
@pytest.mark.parametrize("prior", ["mclust", {"shrinkage": 5.0, "dof": 60.0}])
def test_rows_in_batches_have_the_mode_of_all_rows(structure, prior, monkeypatch):
    """The prior goes by the mean and covariance of all rows, not of the sample; a strong one shows it."""
    monkeypatch.setattr("fisherfit.estimators.mixture_batches.SAMPLE", 1000)
    x = many()
    x = x[np.argsort(x[:, 0])]  # so that batches differ
    weight = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
    model = ff.GaussianMixture(2, covariance_type=structure, prior=prior, random_state=0)
    whole = model.fit(x, sample_weight=weight).result_
    found = model.fit([(a, None, w) for a, w in zip(np.split(x, 4), np.split(weight, 4), strict=True)])
    parts = found.result_
    assert model.passes_ > 1
    np.testing.assert_allclose(parts.params, whole.params, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(parts.bse, whole.bse, rtol=1e-7)
    assert parts.llf == pytest.approx(whole.llf, rel=1e-11)
    assert parts.log_prior == pytest.approx(whole.log_prior, rel=1e-9)
    assert parts.decrement < 1e-15


def test_batches_one_after_the_other_keep_the_prior():
    """A prior with a mean and scale of its own: estimates are near those of all rows at once."""
    x = many(12_000)
    prior = {"shrinkage": 5.0, "mean": [1.0, 40.0], "dof": 20.0, "scale": [[80.0, 0.0], [0.0, 5e3]]}
    whole = ff.GaussianMixture(2, prior=prior, random_state=0).fit(x)
    model = ff.GaussianMixture(2, prior=prior, random_state=0)
    for part in np.split(x, 12):
        model.partial_fit(part)
    assert model._stream.state is not None
    away = np.abs(model.result_.params - whole.result_.params) / whole.result_.bse
    without = ff.GaussianMixture(2, random_state=0).fit(x).result_.params
    apart = np.abs(without - whole.result_.params) / whole.result_.bse
    assert away.max() < 0.5  # what a stream of small batches loses to the curvature of the likelihood
    assert apart.max() > 2.0
    np.testing.assert_allclose(model.result_.bse, whole.result_.bse, rtol=0.05)
    assert model.result_.llf == pytest.approx(whole.result_.llf, rel=1e-4)
    assert model.result_.log_prior == pytest.approx(whole.result_.log_prior, rel=1e-2)
    assert model.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-4)
