"""The benchmarks run: the command measures small data, the libraries agree, the page is written. No times here."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    """The modules of the benchmarks, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import cases
    import measure
    import page

    return cases, measure, page


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "run.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_trial_writes_results_plots_and_page(tmp_path):
    done = run("--quick", "--repeats", "1", "--cases", "plain", "small-logit", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == ["plain", "small-logit"]
    for record in results.values():
        libraries = record["libraries"]
        assert {"fisherfit", "sklearn-cholesky"} <= {name for name, values in libraries.items() if "loglik" in values}
        for name, values in libraries.items():
            assert values.get("note") == "not installed" or values["gap"] < 1e-4, name
        assert libraries["fisherfit"]["gap"] < 1e-8
    at = results["plain"]["limit"]
    assert at["passes"]["information"] >= 1
    passes = sum(at["passes"].values())
    np.testing.assert_allclose(at["seconds"], at["read"] * passes + at["dsyrk"] * at["passes"]["information"])
    with (tmp_path / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert next(line["library"] for line in lines if line["case"] == "plain") == "fisherfit"

    # a second call keeps what it does not measure
    done = run("--quick", "--repeats", "1", "--cases", "pass", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "results.json").read_text())
    assert again["plain"] == results["plain"]
    assert set(again) == {"plain", "small-logit", "pass"}
    text = (tmp_path / "index.rst").read_text()
    assert "A trial with small data" in text
    assert again["pass"]["date"] in text
    assert f"{again['pass']['information_over_limit']:.2f}" in text


@pytest.mark.slow
def test_a_trial_of_mixtures(tmp_path):
    done = run("--quick", "--repeats", "1", "--cases", "mixture_diag", "mixture_poisson", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    libraries = results["mixture_diag"]["libraries"]
    assert {"fisherfit", "fisherfit-start"} <= set(libraries)
    assert max(values["gap"] for values in libraries.values()) < 1e-4  # one maximum, from every start
    assert results["mixture_poisson"]["libraries"]["fisherfit"]["gap"] == 0.0
    text = (tmp_path / "index.rst").read_text()
    assert "A step of EM takes" in text
    assert "flexmix" in text


def test_an_unknown_case_is_named(tmp_path):
    done = run("--cases", "poison", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "'poison'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", ["poisson", "gamma", "binomial"])
def test_the_likelihood_is_that_of_the_distribution(family, modules):
    cases, measure, _ = modules
    rng = np.random.default_rng(3)
    eta, other = rng.normal(size=(2, 50))
    if family == "poisson":
        y = rng.poisson(np.exp(eta)).astype(float)
        plain = [stats.poisson.logpmf(y, np.exp(e)).sum() for e in (eta, other)]
    elif family == "gamma":
        shape = 1.0 / cases.PHI
        y = rng.gamma(shape, np.exp(eta) / shape)
        plain = [stats.gamma.logpdf(y, shape, scale=np.exp(e) / shape).sum() for e in (eta, other)]
    else:
        y = (rng.random(50) < 0.5).astype(float)
        plain = [stats.bernoulli.logpmf(y, 1.0 / (1.0 + np.exp(-e))).sum() for e in (eta, other)]
    ours = [measure.log_likelihood(family, y, e) for e in (eta, other)]
    np.testing.assert_allclose(ours[0] - ours[1], plain[0] - plain[1], rtol=1e-12)


def test_linear_predictors_of_factors_are_those_of_their_dummies(modules):
    import pandas as pd

    cases, _, _ = modules
    data = cases.make(cases.BY_NAME["factors"], 5000, 2)
    x = pd.get_dummies(data.X, drop_first=True).to_numpy(float)
    coefficients = np.random.default_rng(0).normal(size=x.shape[1] + 1)
    np.testing.assert_allclose(data.eta(coefficients), coefficients[0] + x @ coefficients[1:], atol=1e-12)


def test_every_column_of_the_sparse_data_has_entries_enough(modules):
    cases, _, _ = modules
    data = cases.make(cases.BY_NAME["sparse"], 2000, 100)
    assert data.X.getnnz(0).min() >= 35
    assert 0.4 < data.y.mean() < 0.6


def test_a_library_that_stops_short_is_not_the_fastest(modules):
    cases, measure, page = modules
    libraries = {
        "fisherfit": {"median": 1.0, "loglik": -10.0},
        "glum": {"median": 2.0, "loglik": -10.001},
        "sklearn-cholesky": {"median": 3.0, "loglik": -10.00001},
    }
    measure.compare(libraries)
    assert [values["short"] for values in libraries.values()] == [False, True, False]
    record = {"libraries": libraries}
    assert page.fastest(record, cases.BY_NAME["poisson"]) == "sklearn-cholesky"


def test_the_page_belongs_to_the_results(modules, tmp_path):
    _, _, page = modules
    results = json.loads((FOLDER / "results.json").read_text())
    text = (FOLDER / "index.rst").read_text(encoding="utf-8")
    figures = {Path(name).stem.removeprefix("time-"): name for name in re.findall(r"figure:: (\S+)", text)}
    assert page.page(results, figures) == text
    for name in figures.values():
        assert (FOLDER / name).stat().st_size < 100_000
    page.write_csv(results, tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_bytes() == (FOLDER / "results.csv").read_bytes()
