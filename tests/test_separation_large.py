"""Separation in many rows: the program is solved on few of them and must say what the program of all rows says."""

import numpy as np
import pytest

import fisherfit as ff
from fisherfit import cutting, fitting, separation


def rows(kind: str, n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """A design with an intercept, and signs."""
    random = np.random.default_rng(11)
    x = np.column_stack([np.ones(n), random.standard_normal((n, p - 1))])
    signs = np.where(random.random(n) < 0.4, 1, -1)
    if kind == "complete":
        signs = np.where(x @ np.linspace(-1.0, 1.0, p) > 0.3, 1, -1)
    elif kind == "a level":
        x[:, 1] = random.random(n) < 0.02
        signs[x[:, 1] == 1.0] = 1
    elif kind == "two levels":
        x[:, 1] = random.random(n) < 0.02
        x[:, 2] = np.where(random.random(n) < 0.03, random.random(n), 0.0)
        signs[x[:, 2] > 0.0] = -1
        signs[x[:, 1] == 1.0] = 1
    elif kind == "counts":
        x[:, 1] = np.where(random.random(n) < 0.1, np.abs(x[:, 1]), 0.0)
        signs = np.where((x[:, 1] > 0.0) | (random.random(n) < 0.5), -1, 0)
    return x, signs


@pytest.mark.parametrize("kind", ["complete", "a level", "two levels", "counts", "none"])
def test_few_rows_say_what_all_say(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, signs = rows(kind, 2500, 6)
    present = np.ones(len(x), bool)
    whole = separation.recession(x, signs, present)
    monkeypatch.setattr(cutting, "WHOLE", 100)
    monkeypatch.setattr(cutting, "FIRST", 150)
    monkeypatch.setattr(cutting, "MOST", 40)
    monkeypatch.setattr(cutting, "NEAREST", 2)
    found = cutting.recession(x, signs, present)
    if kind == "none":
        assert whole is None
        assert found is None
        return
    assert whole is not None
    assert found is not None
    np.testing.assert_array_equal(found.rows, whole.rows)
    assert np.all((signs * (x @ found.direction))[found.rows] > 0.0)
    assert np.abs((x @ found.direction)[~found.rows & (signs != 0)]).max(initial=0.0) < 1e-7
    rest = x[~whole.rows]
    basis = separation.null_basis(rest, x.shape[1])
    everything = np.arange(x.shape[1])
    got = separation.coefficient_signs(found, everything, np.eye(x.shape[1]), basis)
    assert got == separation.coefficient_signs(whole, everything, np.eye(x.shape[1]), basis)
    assert got != ["finite"] * x.shape[1]


def test_a_long_fit_of_separated_rows() -> None:
    x, signs = rows("a level", 40_000, 30)
    y = (signs > 0).astype(float)
    with pytest.warns(ff.errors.SeparationWarning):
        model = ff.GLM("binomial").fit(x[:, 1:], y)
    assert model.separation_.coefficients == {"x0": "+inf"}
    np.testing.assert_array_equal(model.separation_.rows, x[:, 1] == 1.0)
    rest = x[:, 1] == 0.0
    finite = ff.GLM("binomial").fit(x[rest][:, 2:], y[rest])
    np.testing.assert_allclose(model.coef_[1:], finite.coef_, rtol=1e-7, atol=1e-9)
    assert model.result_.llf == pytest.approx(finite.result_.llf, rel=1e-10)


def test_a_slow_path_to_a_maximum_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-1.0, 1.0, 400)[:, None]
    y = (x[:, 0] > 0.0).astype(float)
    y[[198, 201]] = 1.0 - y[[198, 201]]  # the estimate is large, and many steps away
    usual = ff.GLM("binomial").fit(x, y)
    monkeypatch.setattr(fitting, "LONG", 0)
    monkeypatch.setattr(fitting, "PATIENCE", 1)
    looked: list[bool] = []

    def find(*given: object) -> None:
        looked.append(True)

    monkeypatch.setattr(fitting, "find_separation", find)
    model = ff.GLM("binomial").fit(x, y)
    assert looked
    assert model.converged_
    np.testing.assert_allclose(model.coef_, usual.coef_, rtol=1e-12)


def test_small_fits_by_the_ways_of_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x, signs = rows("two levels", 900, 5)
    y = (signs > 0).astype(float)
    with pytest.warns(ff.errors.SeparationWarning):
        usual = ff.GLM("binomial").fit(x[:, 1:], y)
    monkeypatch.setattr(fitting, "LONG", 0)
    monkeypatch.setattr(cutting, "WHOLE", 0)
    with pytest.warns(ff.errors.SeparationWarning):
        model = ff.GLM("binomial").fit(x[:, 1:], y)
    assert model.separation_.coefficients == usual.separation_.coefficients == {"x0": "+inf", "x1": "-inf"}
    np.testing.assert_array_equal(model.separation_.rows, usual.separation_.rows)
    np.testing.assert_allclose(model.coef_[2:], usual.coef_[2:], rtol=1e-9)
    assert model.result_.llf == pytest.approx(usual.result_.llf, rel=1e-12)
