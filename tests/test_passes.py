"""How often the rows are read: what inference costs on data that are large."""

from typing import Any

import numpy as np
import pytest

import fisherfit as ff
from fisherfit import clustering, leverage, likelihood, sandwich

N = 600


def _data(family: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    X = random.standard_normal((N, 3))
    mean = np.exp(0.5 + X @ np.array([0.2, -0.1, 0.1]))
    y = {
        "poisson": lambda: random.poisson(mean),
        "gamma": lambda: random.gamma(2.0, mean / 2.0),
        "binomial": lambda: random.random(N) < mean / (1.0 + mean),
        "negative_binomial": lambda: random.negative_binomial(1.5, 1.5 / (1.5 + mean)),
        "tweedie": lambda: random.poisson(mean) * random.gamma(2.0, 1.0, N),
    }[family]()
    return X, np.asarray(y, float)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every task that goes over all rows of a design, in the order in which they are run."""
    found: list[str] = []
    run = likelihood.each_stripe

    def counted(task: Any, n: int, *rest: Any) -> Any:
        if n == N:
            found.append(task.__qualname__)
        return run(task, n, *rest)

    for module in (likelihood, clustering):
        monkeypatch.setattr(module, "each_stripe", counted)
    return found


CASES = [
    ("poisson", "log", 2), ("binomial", "logit", 2), ("binomial", "probit", 3), ("gamma", "log", 3),
    ("negative_binomial", "log", 3), ("tweedie", "log", 3),
]  # fmt: skip


@pytest.mark.parametrize(("family", "link", "most"), CASES)
def test_diagnostics_take_two_passes_or_three(passes: list[str], family: str, link: str, most: int) -> None:
    X, y = _data(family)
    model = ff.GLM(family, link=link).fit(X, y)
    passes.clear()
    d = model.diagnostics(X, y)
    d.frame()
    d.loo_estimates()
    d.dfbetas()
    assert len(passes) == most, passes


@pytest.mark.parametrize(("family", "link", "most"), CASES)
def test_robust_covariances_take_two_passes_or_three(passes: list[str], family: str, link: str, most: int) -> None:
    X, y = _data(family)
    model = ff.GLM(family, link=link).fit(X, y)
    for kind, count in {"HC0": 2, "HC1": 2, "HC2": 3, "HC3": 3, "cluster": 2, "opg": 2, "HAC": 2}.items():
        passes.clear()
        model.covariance(X, y, cov_type=kind, groups=np.arange(N) % 40 if kind == "cluster" else None)
        assert len(passes) == count, (kind, passes)


def test_forms_are_the_same_together_and_alone() -> None:
    X, y = _data("negative_binomial")
    model = ff.GLM("negative_binomial").fit(X, y)
    together, alone = model.diagnostics(X, y), model.diagnostics(X, y)
    frame = together.frame(["leverage", "loo_log_score"])
    np.testing.assert_array_equal(frame["leverage"], alone.leverage)
    np.testing.assert_array_equal(frame["loo_log_score"], alone.loo_log_score)
    roots = [leverage.inverse_root(alone.maximum.bread[:4, :4])]
    X1 = np.column_stack([np.ones(N), X])
    information = np.linalg.inv((X1 * alone.terms[1][0][:, None]).T @ X1)
    expected = np.einsum("ij,jk,ik->i", X1, information, X1)
    np.testing.assert_allclose(leverage.quadratic_forms(alone.maximum.likelihood, roots)[0], expected, rtol=1e-9)


def test_linear_predictors_come_with_the_evaluation() -> None:
    X, y = _data("negative_binomial")
    offset = np.linspace(0.0, 1.0, N)
    model = ff.GLM("negative_binomial").fit(X, y, offset=offset)
    maximum, _ = model._at_maximum(X, y, offset=offset)
    np.testing.assert_allclose(maximum.eta[0], model.intercept_ + X @ model.coef_ + offset, rtol=1e-12)
    assert np.all(maximum.eta[1] == maximum.theta[-1])


def test_outer_products_of_scores_of_several_parameters() -> None:
    X, y = _data("negative_binomial")
    model = ff.GLM("negative_binomial").fit(X, y)
    maximum, _ = model._at_maximum(X, y)
    rows, u = maximum.likelihood, maximum.row_scores()
    scores = np.column_stack([likelihood.expand(rows.designs[0], 0, N) * u[0][:, None], u[1]])
    np.testing.assert_allclose(sandwich.squares(rows, u), scores.T @ scores, rtol=1e-10, atol=1e-10)
    from dataclasses import replace

    turned = replace(rows, designs=rows.designs[::-1])  # a constant parameter first
    scores = np.column_stack([u[1], likelihood.expand(rows.designs[0], 0, N) * u[0][:, None]])
    np.testing.assert_allclose(sandwich.squares(turned, u[::-1]), scores.T @ scores, rtol=1e-10, atol=1e-10)
