"""MixtureRegressor: the certified cases, laws of the likelihood, what is read, refused and warned of."""

import functools
import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fisherfit as ff

REFERENCE = Path(__file__).parent / "reference" / "mixtures.json"
FAMILIES = {"gaussian": "normal"}
FURTHER = {"sigma": ("sigma", lambda v: v, lambda v: 1.0), "shape": ("shape", lambda v: v, lambda v: 1.0),
           "size": ("alpha", lambda v: 1.0 / v, lambda v: 1.0 / v**2)}  # fmt: skip


@functools.cache
def cases():
    found = json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]
    return {case["name"]: case for case in found if case["structure"] == "regression"}


NAMES = [
    "npreg_gaussian_k2", "npreg_poisson_quadratic_k2", "npreg_poisson_k2", "npreg_gaussian_grouped_k2",
    "betablocker_binomial_k3", "nodata_gaussian_k2", "nodata_gaussian_concomitant_k2",
    "biochemists_poisson_concomitant_k2", "bregfix_binomial_k3", "co2_gaussian_k2", "co2_gaussian_k2_basin2",
    "synthetic_nb_regression_k2", "synthetic_gamma_regression_k2",
]  # fmt: skip


def arguments(case):
    """The constructor's and the fit's arguments of a case."""
    X, columns, y = np.asarray(case["X"], float), case["columns"], np.asarray(case["y"], float)
    frame = pd.DataFrame(X[:, 1:], columns=columns[1:])
    if case.get("size"):
        y = np.column_stack([y, np.asarray(case["size"], float) - y])
    how = {name: np.asarray(case[name], float) for name in ("offset",) if case.get(name)}
    if case.get("groups"):
        how["groups"] = np.asarray(case["groups"])
    if case.get("concomitant"):
        how["concomitant"] = np.asarray(case["concomitant"], float)[:, 1:]
    made = {
        "family": FAMILIES.get(case["family"], case["family"]), "n_components": case["n_components"],
        "link": case["link"], "shared": [columns[j] for j in case.get("shared_columns") or []],
    }  # fmt: skip
    return made, {"X": frame, "y": y, **how}




def expected(case):
    """Certified parameters and standard errors by the names of the result, in the case's order of components."""
    out = {}
    params, se, columns, k = case["params"], case["se"], case["columns"], case["n_components"]
    shared = case.get("shared_columns") or []
    for j, name in enumerate(columns):
        name = "Intercept" if name == "intercept" else name
        for c in range(1 if j in shared else k):
            mark = "" if j in shared else f"[{c}]"
            out[name + mark] = params["coef"][c][j], se["coef"][c][j]
    if params.get("dispersion"):
        name, value, slope = FURTHER[params["dispersion"]["name"]]
        for c, (v, s) in enumerate(zip(params["dispersion"]["values"], se["dispersion"]["values"], strict=True)):
            out[f"{name}[{c}]"] = value(v), s * slope(v)
    if params.get("concomitant_coef"):
        return out
    for c in range(k):
        out[f"weight[{c}]"] = params["weights"][c], se["weights"][c]
    return out


def test_every_certified_case_is_listed():
    assert sorted(NAMES) == sorted(cases())


@pytest.mark.parametrize("name", NAMES)
def test_certified(name):
    case = cases()[name]
    made, how = arguments(case)
    basin = name.endswith("basin2")
    start = np.asarray(case["start"]["labels"]) if basin else None
    model = ff.MixtureRegressor(**made, start=start, random_state=1).fit(**how)
    assert model.converged_
    assert model.result_.llf == pytest.approx(case["loglik"], rel=1e-12)
    bic = -2.0 * case["loglik"] + np.log(case["n_bic"]) * case["df"]
    assert model.result_.n_params == case["df"]
    assert model.result_.bic == pytest.approx(bic, rel=1e-12)
    assert model.result_.icl == pytest.approx(case["icl"], rel=1e-10)
    got, se = model.result_.params, model.result_.bse
    for parameter, (value, error) in expected(case).items():
        assert abs(got[parameter] - value) <= 1e-8 * error, parameter
        assert se[parameter] == pytest.approx(error, rel=1e-8), parameter
    if case["params"].get("concomitant_coef"):
        np.testing.assert_allclose(model.concomitant_coef_, case["params"]["concomitant_coef"], rtol=1e-7, atol=1e-9)
        want = np.asarray(case["se"]["concomitant_coef"])[1:].ravel()
        np.testing.assert_allclose(se[[n for n in se.index if n.startswith("class[")]], want, rtol=1e-8)
