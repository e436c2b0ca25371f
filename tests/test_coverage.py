"""The page on coverage: the command runs, every cell that is off has its reason, and the page is that of the results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fisherfit as ff

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "coverage"


@pytest.fixture
def modules(monkeypatch):
    """The modules of the folder, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import draws
    import studies
    import tables

    return draws, studies, tables


@pytest.mark.slow
def test_a_trial(tmp_path):
    command = [sys.executable, str(FOLDER / "run.py"), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    published = json.loads((FOLDER / "results.json").read_text())
    assert {(r["study"], r["law"], r["of"]) for r in found} == {(r["study"], r["law"], r["of"]) for r in published}
    assert all(r["runs"] == 20 and 0.5 < r["coverage"] <= 1.0 for r in found if "expected" not in r["of"])


def test_the_page_is_that_of_the_results(modules):
    _, studies, tables = modules
    results = json.loads((FOLDER / "results.json").read_text())
    assert tables.page(results, studies.TITLES) == (FOLDER / "index.rst").read_text()
    assert {r["study"] for r in results} == set(studies.STUDIES) == set(studies.TITLES)


def test_what_is_far_has_a_reason(modules):
    """An unexplained cell stops the command: no page without reasons."""
    _, studies, tables = modules
    record = studies.count("wald", "normal", 50, "x", np.full(2000, 1.0), np.full(2000, 2.0), 0.0)
    assert record["coverage"] == 0.0
    assert record["above"] == 1.0
    with pytest.raises(KeyError, match="wald, normal"):
        tables.cell(record, [])


def test_counting(modules):
    _, studies, _ = modules
    lower, upper = np.array([-1.0, 0.5, -np.inf, np.nan]), np.array([1.0, 2.0, -0.1, 1.0])
    record = studies.count("wald", "normal", 50, "x", lower, upper, 0.0)
    assert (record["coverage"], record["above"], record["below"], record["open"]) == (0.5, 0.25, 0.25, 2)
    assert record["errors"] == round(-0.45 / np.sqrt(0.95 * 0.05 / 4), 2)


@pytest.mark.parametrize("name", ["normal", "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial", "tweedie"])  # fmt: skip
def test_the_laws_are_those_of_the_families(modules, name):
    """Means and variances of what is drawn, within 5 standard errors of the formulas."""
    draws, _, _ = modules
    law, X = draws.LAWS[name], draws.design(50)
    drawn, mu = law.responses(np.random.default_rng(1), X, 20_000), law.mean(X)
    phi = {"gamma": 0.5, "inverse_gaussian": 0.5}.get(name, 1.0)
    formulas = {
        "normal": lambda: 1.0 + 0.0 * mu, "binomial": lambda: mu * (1 - mu), "poisson": lambda: mu,
        "gamma": lambda: mu**2, "inverse_gaussian": lambda: mu**3, "negative_binomial": lambda: mu + 0.5 * mu**2,
        "tweedie": lambda: mu**1.5,
    }  # fmt: skip
    second = formulas[name]()
    spread = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.max(np.abs(drawn.mean(axis=0) - mu) / spread) < 5
    squares = (drawn - mu) ** 2
    assert np.max(np.abs(squares.mean(axis=0) - phi * second) / (squares.std(axis=0) / np.sqrt(len(drawn)))) < 5


@pytest.mark.parametrize("name", ["binomial", "poisson", "gamma"])
def test_a_new_value_is_in_the_interval_where_the_study_says_so(modules, name):
    """The study reads it off the distribution function; the interval itself is the rule."""
    draws, studies, _ = modules
    law, X, rng = draws.LAWS[name], draws.design(50), np.random.default_rng(2)
    y = law.responses(rng, X, 1)[0]
    model = ff.GLM(law.family).fit(X, y)
    new = law.responses(rng, draws.PLACE[None], 200)[:, 0]
    for kind, uncertain, method in (("observation", True, "predictive"), ("plug-in", False, "plug-in")):
        (lower, upper) = model.predict_interval(draws.PLACE[None], kind="observation", method=method).iloc[0]
        cdf = model.predict_distribution(draws.PLACE[None], parameter_uncertainty=uncertain).cdf
        sides = [studies.side(cdf, value, name != "gamma") for value in new]
        np.testing.assert_array_equal(sides, (new > upper).astype(int) - (new < lower), err_msg=kind)


def test_the_intercept_at_a_place_is_the_interval_of_the_mean(modules):
    draws, studies, _ = modules
    law, X = draws.LAWS["poisson"], draws.design(50)
    y = law.responses(np.random.default_rng(3), X, 1)[0]
    mean = ff.GLM(law.family).fit(X, y).predict_interval(draws.PLACE[None], kind="mean").iloc[0]
    moved = ff.GLM(law.family).fit(X - draws.PLACE, y).result_.conf_int(studies.LEVEL).iloc[0]
    np.testing.assert_allclose(mean, np.exp(moved), rtol=1e-9)
