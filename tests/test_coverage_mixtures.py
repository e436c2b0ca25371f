"""The page on coverage for mixtures: it is that of its results, cells that are off have reasons, and commands run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "coverage"


@pytest.fixture
def modules(monkeypatch):
    """The modules of the folder, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import mixture_laws
    import mixture_page
    import mixtures
    import recovery

    return mixture_laws, mixtures, recovery, mixture_page


def test_the_page_is_that_of_the_results(modules):
    laws, mixtures, _, page = modules
    coverage, recovery = (json.loads((FOLDER / name).read_text()) for name in ("mixtures.json", "recovery.json"))
    assert page.page(coverage, recovery) == (FOLDER / "mixtures.rst").read_text(encoding="utf-8")
    found = {(r["law"], r["n"], r["se"], r["of"]) for r in coverage}
    assert found == {
        (law.name, n, kind, of)
        for law in laws.LAWS.values()
        for n in mixtures.SIZES
        for kind in mixtures.KINDS
        for of in law.truth
    }
    assert len({(r["k"], r["structure"], r["separation"], r["n"], r["round"]) for r in recovery}) == len(recovery)


def test_what_is_far_has_a_reason(modules):
    _, mixtures, _, page = modules
    ends = np.array([[1.0, 2.0]] * 50)
    record = mixtures.record("normal, apart", 1000, "observed", "weight[0]", 0.4, np.arange(50.0), np.ones(50), ends)
    assert (record["coverage"], record["above"], record["open"]) == (0.0, 1.0, 0)
    with pytest.raises(KeyError, match="normal, apart"):
        page.cell(record, [])


def test_intervals_of_one_data_set_by_scipy(modules):
    """The intervals that are counted, of a fit, from differences of the likelihood."""
    laws, mixtures, *_ = modules
    law = laws.LAWS["normal, apart"]
    estimate, error, ends = mixtures.one(law, np.random.default_rng(4), 200)
    x = law.draw(np.random.default_rng(4), 200)[0][:, 0]

    def loss(p):
        return -np.log(density(p, x)).sum()

    p, steps = estimate, 1e-3 * np.eye(5)
    hessian = np.array([
        [(loss(p + a + b) - loss(p + a - b) - loss(p - a + b) + loss(p - a - b)) / 4e-6 for b in steps] for a in steps
    ])  # fmt: skip
    slopes = np.array([(loss(p + a) - loss(p - a)) / 2e-3 for a in steps])
    inverse = np.linalg.inv(hessian)
    # the Hessian here is by differences, which leave four digits
    np.testing.assert_allclose(error[0], np.sqrt(np.diag(inverse)), rtol=1e-3)
    assert np.abs(slopes * error[0]).max() < 1e-3
    np.testing.assert_allclose(ends[0, 1], p[1] + 1.959964 * np.array([-1.0, 1.0]) * error[0, 1], rtol=1e-5)
    rows = np.stack([
        (np.log(density(p + a, x)) - np.log(density(p - a, x))) / 2e-3 for a in steps
    ])  # fmt: skip
    # and so are the scores of the rows
    np.testing.assert_allclose(error[1], np.sqrt(np.diag(inverse @ (rows @ rows.T) @ inverse)), rtol=1e-3)


def density(p, x):
    """The density of the mixture at rows."""
    return p[0] * stats.norm(p[1], np.sqrt(p[3])).pdf(x) + (1.0 - p[0]) * stats.norm(p[2], np.sqrt(p[4])).pdf(x)


def test_labels_are_matched(modules):
    _, mixtures, *_ = modules
    assert [mixtures.swapped(name) for name in ("weight[0]", "cov[1,x1,x0]", "x0[0]")] == [
        "weight[1]", "cov[0,x1,x0]", "x0[1]",
    ]  # fmt: skip


def test_what_is_drawn_for_recovery(modules):
    """Moments of the components."""
    _, _, recovery, _ = modules
    for structure in recovery.STRUCTURES:
        x = recovery.draw(np.random.default_rng(2), 1, structure, 3.0, 40_000)
        np.testing.assert_allclose(np.cov(x.T), recovery.covariances(structure)[0], atol=0.1)


def test_what_stands_beside_mclust(modules):
    """Half a difference of BIC is one of log-likelihoods; models without a maximum on either side do not count."""
    _, _, recovery, _ = modules
    models = recovery.models_of(4)
    bic = [100.0 + i for i in range(len(models))]
    record = {"k": 2, "structure": "VVV", "bic": [None, *bic[1:]]}
    theirs = dict(zip(models, bic, strict=True))
    theirs[2, "VVV"] += 3.0
    theirs[3, "EII"] -= 0.5
    theirs[4, "EEE"] = np.nan
    found = recovery.beside(record, theirs)
    assert found == {"mclust": "1 EII", "gain": 1.5, "fits": len(models), "ahead": 1, "behind": 1}


def test_all_structures_are_true_once(modules):
    """A letter that is not E is of components that differ, or that are spheres or along the axes."""
    _, _, recovery, _ = modules
    assert len(set(recovery.STRUCTURES)) == 14
    tried = recovery.models_of(4)
    for structure in recovery.STRUCTURES:
        whole = recovery.covariances(structure)
        root = np.sqrt(np.linalg.det(whole))
        shape = whole / root[:, None, None]
        values = np.linalg.eigvalsh(shape)
        assert (np.ptp(root) < 1e-12) == (structure[0] == "E")
        assert (np.abs(values - 1.0).max() < 1e-12) == (structure[1] == "I")
        assert (np.ptp(values, axis=0).max() < 1e-12) == (structure[1] != "V")
        assert (np.abs(whole[:, 0, 1]).max() < 1e-12) == (structure[2] == "I")
        assert {(k, structure) for k in (2, 3, 4)} <= set(tried)
    assert {structure for k, structure in tried if k == 1} == {"EII", "EEI", "EEE"}


def test_choices_of_one_data_set(modules, tmp_path, monkeypatch):
    """Far apart, everyone finds two; what is there already is not drawn again."""
    _, _, recovery, page = modules
    monkeypatch.setattr(recovery, "STRUCTURES", ("EEE", "VVV"))
    monkeypatch.setattr(recovery, "SEPARATIONS", {"large": 9.0})
    monkeypatch.setattr(recovery, "FOUR", {"tied": "EEE", "full": "VVV"})
    monkeypatch.setattr(recovery, "MORE", 1)
    monkeypatch.setattr(recovery, "cells", lambda: [(2, "EEE", "large", 200), (2, "VVV", "large", 200)])
    monkeypatch.setattr("sys.argv", ["recovery.py", "--rounds", "1", "--out", str(tmp_path)])
    truths = [{(2, s): 1.0, (2, other): 2.0} for s, other in (("EEE", "VVV"), ("VVV", "EEE"))]
    monkeypatch.setattr(recovery, "of_mclust", lambda data: {i: truths[i] for i in data})
    recovery.main()
    records = json.loads((tmp_path / "recovery.json").read_text())
    assert [r["structure"] for r in records] == ["EEE", "VVV"]
    for r in records:
        assert {r[who].split()[0] for who in (*page.ALL, *page.OF_FOUR)} == {"2"}
        assert r["fits"] == 7
    monkeypatch.setattr(recovery, "one", lambda *_: pytest.fail("drawn again"))
    recovery.main()
    assert len(page.shares(records)) == 8
    assert page.shares(records)[:4] == ["1.00"] * 4
    assert "of all 2, the true number is chosen in 2 and 2" in page.recovered(records).replace("\n", " ")
    none = [{**r, "structure": "EVE"} for r in records]
    assert page.shares(none)[4:] == ["0.00", "0.00", "-", "-"]


@pytest.mark.slow
def test_trials(tmp_path):
    for script, results in (("mixtures.py", "mixtures.json"), ("recovery.py", "recovery.json")):
        command = [sys.executable, str(FOLDER / script), "--quick", "--out", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / results).read_text())
        of_r = set() if shutil.which("Rscript") else {"mclust", "gain", "ahead", "behind", "fits"}
        assert set(found[0]) - of_r == set(json.loads((FOLDER / results).read_text())[0]) - of_r
