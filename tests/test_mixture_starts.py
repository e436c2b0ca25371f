"""Default starts: the highest maximum, small components among them, and data on which starts go astray."""

import numpy as np
import pytest

import fisherfit as ff


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
