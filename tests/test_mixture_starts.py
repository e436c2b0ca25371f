"""Default starts: the highest maximum, small components among them, and data on which starts go astray."""

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff
from fisherfit.mixtures.ascent import ascend
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.samples import some_units


def trials():
    data = ff.datasets.load("betablocker")
    return (data["treatment"] != "control").astype(float).to_frame("treated"), data


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("count", "loglik"), [(4, -155.7539041258364), (5, -154.8832355126708)])
def test_a_component_of_two_groups_is_no_degenerate_one_where_the_likelihood_has_a_bound(count, loglik, seed):
    """The highest maximum has a component of 2.2 (1.6) of the 22 centres: the best of 100 random labellings too."""
    x, data = trials()
    y = np.column_stack([data["deaths"], data["total"] - data["deaths"]])
    model = ff.MixtureRegressor("binomial", count, shared=["treated"], random_state=seed)
    model.fit(x, y, groups=data["center"])
    assert model.result_.llf == pytest.approx(loglik, rel=1e-12)
    assert 1.5 < model.weights_.min() * 22.0 < 2.5
    assert np.isfinite(model.result_.bse).all()


def test_rows_and_not_groups_say_that_a_component_has_too_little():
    """Three groups of 40 rows determine a line and its dispersion."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 40)
    x = rng.normal(size=(group.size, 2))
    line = np.array([[0.0, 1.0, -1.0], [3.0, -1.0, 1.0]])[(group >= 3).astype(int)]
    y = line[:, 0] + (x * line[:, 1:]).sum(axis=1) + rng.normal(size=group.size)
    model = ff.MixtureRegressor("normal", 2, random_state=0).fit(x, y, groups=group)
    assert model.converged_
    np.testing.assert_allclose(model.weights_, 0.5, rtol=1e-9)
    for k in (0, 1):
        mine = (group >= 3) == bool(k)
        beta = np.linalg.lstsq(np.column_stack([np.ones(mine.sum()), x[mine]]), y[mine], rcond=None)[0]
        np.testing.assert_allclose([model.intercept_[k], *model.coef_[k]], beta, rtol=1e-8)


def test_more_components_than_the_likelihood_has_use_for():
    """The likelihood of all mixing distributions is highest with seven points: an eighth is of no use, and named."""
    x, data = trials()
    y = np.column_stack([data["deaths"], data["total"] - data["deaths"]])
    seven = ff.MixtureRegressor("binomial", 7, shared=["treated"], random_state=0).fit(x, y, groups=data["center"])
    assert np.diff(seven.intercept_).min() > 0.01
    eight = ff.MixtureRegressor("binomial", 8, shared=["treated"], random_state=0)
    with pytest.warns(ff.errors.RankWarning, match="do not identify"):
        eight.fit(x, y, groups=data["center"])
    assert eight.result_.llf == pytest.approx(seven.result_.llf, abs=1e-8)
    assert np.diff(eight.intercept_).min() < 1e-3


def patients(n, rare, seed, family):
    """Rows in two classes; `rare` rows each have a level of their own in the regression and in the concomitant."""
    rng = np.random.default_rng(seed)
    level = np.array(["a", "b", "c"], object)[rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    health = np.array(["good", "fair"], object)[rng.choice(2, n, p=[0.7, 0.3])]
    level[rng.choice(n, rare, replace=False)] = "rare"
    health[rng.choice(n, rare, replace=False)] = "poor"
    x = rng.normal(size=n)
    effect = pd.Series(level).map({"a": 0.0, "b": 0.3, "c": -0.3, "rare": 0.5}).to_numpy()
    first = rng.random(n) < np.where(health == "good", 0.7, 0.3)
    eta = np.where(first, 0.5 + 0.8 * x, 2.0 - 0.3 * x) + effect
    y = rng.poisson(np.exp(eta)).astype(float) if family == "poisson" else eta + 0.7 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "level": level, "health": health})


@pytest.mark.parametrize("family", ["poisson", "normal"])
def test_levels_of_few_rows_do_not_end_a_fit(family):
    """Five of 50,000 rows: a sample without them has no estimate of their coefficients."""
    data = patients(50_000, 5, 0, family)
    found = [
        ff.MixtureRegressor(
            family, 2, formula="y ~ x + C(level)", concomitant="~ health", random_state=seed, start=start
        ).fit(data)
        for seed, start in ((0, None), (5, None), (0, (data["x"] * (data["y"] - data["y"].mean()) < 0.0).to_numpy(int)))
    ]
    for model in found:
        assert model.converged_
        assert model.result_.llf == pytest.approx(found[0].result_.llf, rel=1e-11)
        assert np.isfinite(model.result_.bse).all()
    named = found[0].result_.bse
    assert named["C(level)[T.rare][0]"] > 10.0 * named["C(level)[T.b][0]"]


def test_two_classes_of_patients_by_any_seed():
    """302 of 20,190 rows call their health poor; a sample of 600 rows gave fits that ended where they began."""
    data = ff.datasets.load("randhie")
    formula = "mdvis ~ lncoins + idp + lpi + fmde + physlm + disea + health"
    logliks = [
        ff.MixtureRegressor("poisson", 2, formula=formula, concomitant="~ health", random_state=seed)
        .fit(data)
        .result_.llf
        for seed in range(3)
    ]
    np.testing.assert_allclose(logliks, -46956.07659976272, rtol=1e-11)


def mixture_of(data, family="normal"):
    model = ff.MixtureRegressor(family, 2, formula="y ~ x + C(level)", concomitant="~ health")
    return model._read(data, None, None, None, None, None, None, ()).mixture


def test_a_sample_has_rows_of_every_level():
    data = patients(30_000, 60, 2, "normal")
    mixture = mixture_of(data)
    order = np.random.default_rng(0).permutation(mixture.units)
    units = some_units(mixture, order, 600)
    assert np.isin(order[:600], units).all()
    assert 600 < units.size <= 690
    assert (np.diff(units) > 0).all()
    for column, level in (("level", "rare"), ("health", "poor")):
        assert (data[column].to_numpy()[units] == level).sum() >= 40
    np.testing.assert_array_equal(some_units(mixture, order, mixture.units), np.arange(mixture.units))


def test_a_sample_of_groups_has_groups_of_every_level():
    data = patients(12_000, 3, 3, "normal")
    groups = np.repeat(np.arange(3_000), 4)
    model = ff.MixtureRegressor("normal", 2, formula="y ~ x + C(level)")
    mixture = model._read(data, None, None, None, None, groups, None, ()).mixture
    order = np.random.default_rng(0).permutation(mixture.units)
    units = some_units(mixture, order, 200)
    assert set(groups[data["level"] == "rare"]) <= set(units)
    assert units.size <= 203


def test_the_way_up_begins_where_a_coordinate_has_no_information_and_a_score():
    """A level's mean of e^-60 in both components, which its rows contradict; and one that nothing contradicts."""
    data = patients(2_000, 20, 4, "poisson")
    mixture = mixture_of(data, "poisson")
    theta = mixture.start(np.stack([data["x"] > 0.0, data["x"] <= 0.0]).astype(float))
    top = ascend(mixture, theta)
    assert top.reason == "converged"
    places = [name == "C(level)[T.rare][0]" for name in mixture.report(top.theta).names]
    j = int(np.argmax(np.abs(mixture.report(top.theta).jacobian[places.index(True)])))
    far = top.theta.copy()
    far[j], far[j + (mixture.components.places[1] - mixture.components.places[0])[0]] = -60.0, -60.0
    assert np.diag(mixture.evaluate(far).complete)[j] < 1e-20
    with np.errstate(all="ignore"):
        again = ascend(mixture, far)
    assert again.reason == "converged"
    assert again.evaluation.loglik == pytest.approx(top.evaluation.loglik, rel=1e-12)


def spheres(n, d, k, seed, distance=5.0):
    rng = np.random.default_rng(seed)
    means = distance * rng.normal(size=(k, d))
    return means[rng.integers(0, k, n)] + rng.normal(size=(n, d))


@pytest.mark.parametrize("name", ["EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"])
def test_spheres_have_a_maximum_in_every_structure(name):
    """Any warning is an error here; spheres are among the covariances of every structure."""
    for n, d, k, seed in ((150, 2, 2, 0), (300, 3, 2, 1)):
        x = spheres(n, d, k, seed)
        plain = ff.GaussianMixture(k, covariance_type=name[0] + "II", random_state=0).fit(x)
        model = ff.GaussianMixture(k, covariance_type=name, random_state=0).fit(x)
        assert model.converged_
        assert model.result_.llf >= plain.result_.llf
        assert model.result_.decrement <= 1e-12


def test_axes_that_rows_say_next_to_nothing_of():
    """100,000 rows of four spheres: a common shape with axes of its own for each, whose lengths differ by 0.1 %."""
    x = spheres(100_000, 2, 4, 9)
    model = ff.GaussianMixture(4, covariance_type="VEV", random_state=0).fit(x)
    plain = ff.GaussianMixture(4, covariance_type="VII", random_state=0).fit(x)
    assert model.converged_
    assert model.n_iter_ <= 30
    assert 0.5 < model.result_.llf - plain.result_.llf < 5.0


@pytest.mark.parametrize("name", ["EVE", "VVE", "EEV", "VEV"])
@pytest.mark.parametrize("d", [2, 3])
def test_axes_of_exact_spheres_are_said_to_be_anywhere(name, d):
    points = np.concatenate([np.eye(d), -np.eye(d)])
    x = np.concatenate([points, points + 4.0 * np.arange(1, d + 1)]).repeat(2, axis=0)
    with pytest.warns(ff.errors.RankWarning, match="spheres.*covariance_type='VII'"):
        model = ff.GaussianMixture(2, covariance_type=name, random_state=0).fit(x)
    plain = ff.GaussianMixture(2, covariance_type="EII", random_state=0).fit(x)
    assert model.converged_
    assert model.result_.llf == pytest.approx(plain.result_.llf, rel=1e-12)
    assert model.result_.boundary == ()
    assert set(model.result_.unidentified) == {name for name in model.result_.params.index if name.startswith("cov")}
    bse = model.result_.bse
    assert np.isfinite(bse[[name.startswith("mean") for name in bse.index]]).all()
    assert bse[[name.startswith("cov") for name in bse.index]].isna().all()


def test_a_common_form_of_components_with_rows_in_a_plane():
    """Copies of eight rows: clusters of equal rows have no scatter, which ended in an error of linear algebra."""
    points = np.concatenate([np.eye(2), -np.eye(2)])
    x = np.concatenate([points, points, points + 10.0, points + 10.0])
    model = ff.GaussianMixture(2, covariance_type="VEE", random_state=0).fit(x)
    np.testing.assert_allclose(model.covariances_, np.broadcast_to(0.5 * np.eye(2), (2, 2, 2)), atol=1e-9)


def test_many_overlapping_components_by_few_passes_over_all_rows(monkeypatch):
    """Where a look at the sample costs little: a poor start took 98 passes and ended 2,893 nats lower."""
    rng, n, d, k = np.random.default_rng(4), 60_000, 10, 8
    shares = rng.dirichlet(np.full(k, 3.0))
    labels = rng.choice(k, n, p=shares)
    means = 0.8 * rng.normal(size=(k, d))
    roots = [np.linalg.qr(rng.normal(size=(d, d)))[0] * rng.uniform(0.4, 1.6, d) for _ in range(k)]
    x = np.empty((n, d))
    for c in range(k):
        x[labels == c] = means[c] + rng.normal(size=(int((labels == c).sum()), d)) @ roots[c].T
    passes = []
    for name in ("em_sums", "evaluate", "loglik"):
        plain = getattr(Mixture, name)

        def counted(self, theta, plain=plain):
            passes.extend([1] if self.units == n else [])
            return plain(self, theta)

        monkeypatch.setattr(Mixture, name, counted)
    model = ff.GaussianMixture(k, random_state=1).fit(x)
    assert 5 <= len(passes) <= 40
    precisions = np.array([np.linalg.inv(a @ a.T) for a in roots])
    best = ff.GaussianMixture(k, weights_init=shares, means_init=means, precisions_init=precisions).fit(x)
    assert model.result_.llf == pytest.approx(best.result_.llf, rel=1e-12)


@pytest.mark.parametrize("name", ["diag", "spherical"])
@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_the_mean_of_a_row_far_out_is_no_edge(name, far):
    """With a prior, whose scale is that of all rows, the mean in the other column has a standard error to match."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(100, 2)), rng.normal(size=(80, 2)) + 5.0, [[far, 0.0]]])
    model = ff.GaussianMixture(2, covariance_type=name, prior="mclust", random_state=0).fit(x)
    assert model.converged_
    assert model.result_.boundary == ()
    np.testing.assert_allclose(model.weights_ * 181.0, [180.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(model.means_[1, 0], far, rtol=0.02)
    assert np.isfinite(model.result_.bse).all()
