"""Factors of an information matrix: with a diagonal block eliminated they say what the plain factor says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fisherfit import GLM
from fisherfit.linalg import Bordered, Triangular, cholesky, dense_cholesky, diagonal_block


def information(before: int, levels: int, after: int, seed: int) -> np.ndarray:
    """X'WX of a factor with indicator columns among others of very different size."""
    rng = np.random.default_rng(seed)
    n = 40 * levels
    x = np.zeros((n, before + levels + after))
    beside = np.r_[:before, before + levels : x.shape[1]]
    x[np.arange(n), before + rng.integers(0, levels, n)] = 1.0
    x[:, beside] = rng.standard_normal((n, beside.size)) * np.exp2(rng.integers(-40, 40, beside.size))
    return np.asarray(x.T @ (x * rng.uniform(0.5, 2.0, n)[:, None]))


@pytest.mark.parametrize(("before", "levels", "after"), [(0, 130, 9), (6, 150, 0), (5, 140, 8), (90, 200, 90)])
def test_eliminating_a_diagonal_block_changes_nothing(before: int, levels: int, after: int) -> None:
    matrix = information(before, levels, after, seed=levels)
    found, plain = cholesky(matrix), dense_cholesky(matrix)
    assert isinstance(found, Bordered)
    assert found.block == slice(before, before + levels)
    assert isinstance(plain, Triangular)
    s = plain.scale * np.random.default_rng(1).standard_normal(len(matrix))
    size = np.abs(plain.scale * plain.solve(s)).max()
    np.testing.assert_allclose(found.scale * found.solve(s), plain.scale * plain.solve(s), rtol=0, atol=1e-13 * size)
    ours, theirs = (f.inverse() * f.scale * f.scale[:, None] for f in (found, plain))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert 0.2 * plain.reciprocal_condition < found.reciprocal_condition < 1.01 * plain.reciprocal_condition
    assert found.length(s) == plain.length(s)


def test_a_matrix_that_is_all_diagonal() -> None:
    found = cholesky(np.diag(np.arange(1.0, 201.0)))
    assert isinstance(found, Bordered)
    assert found.beside.size == 0
    np.testing.assert_allclose(found.solve(np.ones(200)), 1.0 / np.arange(1.0, 201.0), rtol=1e-15)
    np.testing.assert_array_equal(np.diag(found.inverse()).round(15), (1.0 / np.arange(1.0, 201.0)).round(15))
    assert found.reciprocal_condition == 1.0


def test_the_block_is_the_longest_that_is_diagonal() -> None:
    matrix = np.eye(200)
    assert diagonal_block(matrix) == slice(0, 200)
    matrix[3, 20] = matrix[20, 3] = 0.1
    assert diagonal_block(matrix) == slice(4, 200)
    matrix[60, 180] = matrix[180, 60] = 0.1
    assert diagonal_block(matrix) == slice(4, 180)
    matrix[70, 90] = matrix[90, 70] = 0.1
    assert diagonal_block(matrix) == slice(71, 200)
    matrix[110, 120] = matrix[120, 110] = 0.1
    assert diagonal_block(matrix) is None  # what is left is less than half


@pytest.mark.parametrize("spoil", ["nan", "zero", "indefinite"])
def test_what_is_not_positive_definite_has_no_factor(spoil: str) -> None:
    matrix = information(2, 140, 3, seed=0)
    if spoil == "nan":
        matrix[0, 70] = matrix[70, 0] = np.nan
    elif spoil == "zero":
        matrix[70, :] = matrix[:, 70] = 0.0
    else:
        matrix[1, :], matrix[:, 1] = matrix[0, :], matrix[:, 0]
        matrix[1, 1] = 0.999 * matrix[0, 0]
    assert cholesky(matrix) is None


def test_a_fit_with_many_levels_has_the_standard_errors_of_one_with_indicator_columns() -> None:
    rng = np.random.default_rng(8)
    site = rng.integers(0, 160, 4000)
    table = pd.DataFrame({"x": rng.standard_normal(4000), "site": site.astype(str)})
    y = rng.poisson(np.exp(1.0 + 0.2 * table["x"] + 0.3 * np.sin(site)))
    indicators = (site[:, None] == np.unique(site)[1:]).astype(float)
    order = np.argsort(np.unique(site).astype(str))  # levels are in the order of their names
    assert order[0] == 0
    by_levels = GLM("poisson").fit(table, y)
    by_columns = GLM("poisson").fit(np.column_stack([table["x"], indicators[:, order[1:] - 1]]), y)
    np.testing.assert_allclose(by_levels.coef_, by_columns.coef_, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(by_levels.result_.bse, by_columns.result_.bse, rtol=1e-11)
