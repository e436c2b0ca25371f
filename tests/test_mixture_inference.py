"""Covariances, tests and profiles of mixtures against independent computations."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from fisherfit import _threads
from fisherfit.clusters import Clusters
from fisherfit.covtypes import read_cov_type
from fisherfit.errors import InputError
from fisherfit.families import get_family
from fisherfit.hypotheses import read_hypothesis
from fisherfit.kernels import kernels_of
from fisherfit.links import get_link
from fisherfit.mixtures import testing
from fisherfit.mixtures.covariance import covariance_of
from fisherfit.mixtures.fitting import fit_mixture
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.outcome import inverse_of
from fisherfit.mixtures.profiles import MixtureProfile
from fisherfit.mixtures.regressions import Regressions
from fisherfit.mixtures.restricted import Restrictions, maximise_restricted
from fisherfit.table import read_table
from fisherfit.terms import choose_columns

CASES = {c["name"]: c for c in json.loads((Path(__file__).parent / "reference/mixtures.json").read_text())["cases"]}
RISE = 3.841458820694124


@pytest.fixture(autouse=True)
def quiet_numbers():
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        yield


def mixture_of(name):
    c = CASES[name]
    y, k = np.asarray(c["y"], float), c["n_components"]
    x = np.asarray(c["X"], float) if c.get("X") else np.ones((y.size, 1))
    table = read_table(pd.DataFrame(x[:, 1:], columns=[f"x{i}" for i in range(1, x.shape[1])], index=range(y.size)))
    design = choose_columns(table, True).learn(table, None).design(table, None)
    family = get_family(c["family"])
    links = (get_link(c["link"]), *(get_link(family.default_link(p)) for p in list(family.parameters)[1:]))
    components = Regressions(
        (kernels_of(family, links),) * k, design, y, np.ones(y.size), None, np.zeros(design.width, bool)
    )
    z = None if not c.get("concomitant") else np.asarray(c["concomitant"], float)
    names = ("Intercept", *(f"z{i}" for i in range(1, 1 if z is None else z.shape[1])))
    weight = np.asarray(c["weights"], float) if c.get("weights") else np.ones(y.size)
    return Mixture(components, Mixing(k, z, names), weight, None, 1)


def fitted(name):
    mixture = mixture_of(name)
    return mixture, fit_mixture(mixture, model=name, rng=np.random.default_rng(0))


def unit_scores_by_differences(mixture, theta):
    """Richardson differences of the log-density of every unit."""
    out = np.empty((mixture.units, theta.size))
    for j in range(theta.size):

        def difference(h, j=j):
            step = np.zeros(theta.size)
            step[j] = h
            return (mixture.unit_logliks(theta + step) - mixture.unit_logliks(theta - step)) / (2 * h)

        out[:, j] = (4.0 * difference(1e-4) - difference(2e-4)) / 3.0
    return out


def test_scores_of_units_are_the_derivatives_of_their_log_densities():
    mixture, fit = fitted("biochemists_poisson_concomitant_k2")
    theta = fit.theta + 0.1
    exact = unit_scores_by_differences(mixture, theta)
    assert np.abs(mixture.unit_scores(theta) - exact).max() < 1e-8 * np.abs(exact).max()
    assert np.abs(mixture.unit_scores(theta).T @ mixture.weight - mixture.evaluate(theta).score).max() < 1e-9


def test_observed_information_is_minus_the_second_derivative():
    mixture, fit = fitted("synthetic_nb_regression_k2")
    theta, size = fit.theta + 0.05, fit.theta.size
    numeric = np.empty((size, size))
    for j in range(size):

        def difference(h, j=j):
            step = np.zeros(size)
            step[j] = h
            return (mixture.evaluate(theta - step).score - mixture.evaluate(theta + step).score) / (2 * h)

        numeric[j] = (4.0 * difference(1e-3) - difference(2e-3)) / 3.0
    exact = mixture.evaluate(theta).observed
    assert np.abs(exact - numeric).max() < 1e-7 * np.abs(exact).max()


def test_robust_covariances_are_what_their_definitions_say():
    mixture, fit = fitted("npreg_poisson_k2")
    bread, n, p = inverse_of(fit.evaluation.observed), mixture.units, fit.theta.size
    s = unit_scores_by_differences(mixture, fit.theta)

    def close(kind, expected, clusters=None):
        got = covariance_of(mixture, fit.theta, bread, read_cov_type(kind), True, clusters)
        assert np.abs(got - expected).max() < 1e-7 * np.abs(expected).max(), kind

    meat = s.T @ s
    close("observed", np.linalg.inv(fit.evaluation.observed))
    close("opg", np.linalg.inv(meat))
    close("HC0", bread @ meat @ bread)
    close("HC1", n / (n - p) * bread @ meat @ bread)
    codes = np.arange(n) % 17
    sums = np.stack([s[codes == g].sum(axis=0) for g in range(17)])
    close("cluster(CR0)", bread @ sums.T @ sums @ bread, Clusters((codes,)))
    close("cluster", 17 / 16 * (n - 1) / (n - p) * bread @ sums.T @ sums @ bread, Clusters((codes,)))
    lagged = meat.copy()
    for lag in range(1, 4):
        cross = s[lag:].T @ s[:-lag]
        lagged += (1 - lag / 4) * (cross + cross.T)
    close("HAC(3)", bread @ lagged @ bread)


@pytest.mark.parametrize("kind", ["expected", "HC2", "HC3", "cluster(CR3)"])
def test_kinds_that_mixtures_do_not_have_are_refused(kind):
    mixture, fit = fitted("times_deaths_poisson_k2_freq")
    with pytest.raises(InputError, match="cov_type"):
        covariance_of(mixture, fit.theta, inverse_of(fit.evaluation.observed), read_cov_type(kind), True, None)


def constrained_by_scipy(mixture, fit, matrix, value, near):
    """The maximum with R b = r between parameters, by SLSQP from the estimates and from beside `near`."""
    size = np.sqrt(np.diag(inverse_of(fit.evaluation.observed)))

    def negative(z):
        e = mixture.evaluate(fit.theta + size * z)
        return -e.loglik, -e.score * size

    constraint = {
        "type": "eq",
        "fun": lambda z: matrix @ mixture.report(fit.theta + size * z).values - value,
        "jac": lambda z: matrix @ mixture.report(fit.theta + size * z).jacobian * size,
    }
    bounds = [(low if np.isfinite(low) else None, None) for low in (mixture.lower - fit.theta) / size]
    rng, best = np.random.default_rng(0), np.inf
    for start in (np.zeros(size.size), (near - fit.theta) / size + 0.05 * rng.standard_normal(size.size)):
        found = minimize(negative, start, jac=True, constraints=[constraint], bounds=bounds, method="SLSQP",
                         options={"ftol": 1e-15, "maxiter": 1000})  # fmt: skip
        best = min(best, found.fun) if np.abs(constraint["fun"](found.x)).max() < 1e-7 else best
    return -best


HYPOTHESES = [
    ("npreg_poisson_k2", "x1[0] = x1[1]"),
    ("npreg_poisson_k2", "weight[0] = 0.4"),
    ("npreg_poisson_k2", "weight[0] = 0.4, x1[0] = 0"),
    ("biochemists_poisson_concomitant_k2", "class[1]:z1 = 0, class[1]:z2 = 0"),
    ("synthetic_nb_regression_k2", "alpha[0] = alpha[1]"),
    ("times_deaths_poisson_k2_freq", "Intercept[1] = 2*Intercept[0]"),
]


@pytest.mark.parametrize(("name", "text"), HYPOTHESES)
def test_likelihood_ratio_and_score_tests_go_by_the_maximum_under_the_hypothesis(name, text):
    mixture, fit = fitted(name)
    hypothesis = read_hypothesis(text, fit.result.names)
    covariance = fit.result.covariance
    lower = testing.under(mixture, fit.theta, fit.result, hypothesis)
    assert lower.converged
    top = constrained_by_scipy(mixture, fit, hypothesis.matrix, hypothesis.value, lower.theta)
    lr, notes = testing.run(mixture, fit.theta, fit.result, covariance, hypothesis, "lr")
    assert notes == []
    assert lr.statistic == pytest.approx(2 * (fit.result.llf - top), rel=1e-6, abs=1e-6)
    score, _ = testing.run(mixture, fit.theta, fit.result, covariance, hypothesis, "score")
    at = lower.evaluation
    assert score.statistic == pytest.approx(at.score @ np.linalg.solve(at.observed, at.score), rel=1e-8)
    wald, _ = testing.run(None, fit.theta, fit.result, covariance, hypothesis, "wald")
    gap = hypothesis.matrix @ fit.result.estimates - hypothesis.value
    inner = hypothesis.matrix @ covariance @ hypothesis.matrix.T
    assert wald.statistic == pytest.approx(gap @ np.linalg.solve(inner, gap), rel=1e-9)
    assert wald.df == lr.df == score.df == hypothesis.df


def test_hypotheses_on_the_edge_are_refused():
    _, fit = fitted("npreg_poisson_k2")
    hypothesis = read_hypothesis("weight[0] = 0", fit.result.names)
    with pytest.raises(InputError, match="bootstrap"):
        testing.run(None, fit.theta, fit.result, fit.result.covariance, hypothesis, "wald")


def at(mixture, theta, j):
    found = mixture.report(theta)
    return found.values[[j]], found.jacobian[[j]]


@pytest.mark.parametrize("name", ["npreg_poisson_k2", "times_deaths_poisson_k2_freq", "synthetic_nb_regression_k2"])
def test_profile_ends_are_where_the_deviance_has_risen_by_the_quantile(name):
    mixture, fit = fitted(name)
    profile = MixtureProfile(mixture, fit.theta, fit.result, fit.result.covariance, fit.result.names)
    table = profile.conf_int()
    wald = fit.result.conf_int()
    checked = 0
    for j, parameter in enumerate(table.index):
        if parameter == "weight[1]":
            continue
        for side in ("lower", "upper"):
            end = table.loc[parameter, side]
            if not np.isfinite(end) or end == 0.0:
                assert profile.reasons[f"{side} end of {parameter}"]
                continue
            unit = np.eye(len(table))[[j]]
            held = maximise_restricted(mixture, fit.theta, Restrictions(lambda t, j=j: at(mixture, t, j)), [end])
            top = constrained_by_scipy(mixture, fit, unit, np.array([end]), held.theta)
            assert 2 * (fit.result.llf - top) == pytest.approx(RISE, abs=2e-5), (parameter, side)
            checked += 1
        assert table.loc[parameter, "lower"] < fit.result.params[parameter] < table.loc[parameter, "upper"]
    assert checked >= 4
    assert list(wald.index) == list(table.index)


def test_trace_is_the_root_of_the_deviance():
    mixture, fit = fitted("npreg_poisson_k2")
    profile = MixtureProfile(mixture, fit.theta, fit.result, fit.result.covariance, fit.result.names)
    trace = profile.trace("x1[0]")
    assert np.allclose(trace["tau"] ** 2, 2 * (fit.result.llf - trace["loglik"]), atol=1e-9)
    assert np.all(np.diff(trace["tau"]) > 0)
    assert np.all(np.diff(trace["value"]) > 0)
