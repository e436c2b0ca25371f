"""Accuracy against certified results: coefficients, standard errors, likelihoods, and an honest certificate."""

import warnings

import numpy as np
import pytest

from .reference import case, cases, label, lre, model, starts, truth, worst

REGULAR = [(group, c["name"]) for group in ("glm", "negative_binomial", "extra") for c in cases(group)]
POOR = {"strd_longley"}


def fitted(group, name, **options):
    c = case(group, name)
    m, X, y, keywords = model(c, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return c, m.fit(X, y, **keywords)


@pytest.mark.parametrize(("group", "name"), REGULAR)
def test_regular_fits_have_their_digits(group, name):
    c, m = fitted(group, name)
    r = m.result_
    assert m.converged_
    assert not m.separation_
    assert worst(r.params, truth(c)) >= 10
    assert worst(r.bse, {k: v for k, v in truth(c, "se").items() if v is not None}) >= 10
    if c.get("deviance"):
        assert lre(r.deviance, c["deviance"]) >= 12 or abs(r.deviance - c["deviance"]) < 1e-12
    if c.get("loglik") is not None:
        assert lre(r.llf, c["loglik"]) >= 11.5
        assert lre(r.aic, c["aic"]) >= 11.5
        assert lre(r.bic, c["bic"]) >= 11.5
    if c.get("null_deviance") is not None and np.isfinite(c["null_deviance"]):
        assert lre(r.null_deviance, c["null_deviance"]) >= 11.5
    if c.get("pearson_chi2"):
        assert lre(r.pearson_chi2, c["pearson_chi2"]) >= 11
    assert r.df_resid == c["df_resid"]


@pytest.mark.parametrize(("group", "name"), REGULAR)
def test_the_certificate_never_claims_more_than_half_a_digit_too_much(group, name):
    c, m = fitted(group, name)
    true = {k: lre(m.result_.params[k], v) for k, v in truth(c).items()}
    claimed = m.certificate_.digits
    for k, digits in true.items():
        if digits < 15:
            assert claimed[k] <= digits + 0.5, (k, claimed[k], digits)


def test_the_median_is_near_full_precision():
    digits = [worst(fitted(g, n)[1].result_.params, truth(case(g, n))) for g, n in REGULAR]
    assert np.median(digits) >= 13


@pytest.mark.parametrize("name", [c["name"] for c in cases("strd")])
def test_nist_linear_sets(name):
    c, m = fitted("strd", name)
    assert m.converged_
    assert worst(m.result_.params, truth(c)) >= 12
    if c.get("se") and not c.get("exact_fit"):
        assert worst(m.result_.bse, {k: v for k, v in truth(c, "se").items() if v}) >= 7


@pytest.mark.parametrize("name", [c["name"] for c in cases("hard_starts")])
def test_every_start_reaches_the_optimum(name):
    c = case("hard_starts", name)
    for start in starts(c) or [None]:
        _, m = fitted("hard_starts", name, start_params=start)
        assert lre(m.result_.deviance, c["deviance"]) >= 9
        assert m.converged_
    if c.get("boundary"):
        assert len(m.boundary_["rows"]) > 0


SEPARATION = [(group, c["name"]) for group in ("separation", "separation_random") for c in cases(group)]


@pytest.mark.parametrize(("group", "name"), SEPARATION)
def test_separation_row_by_row(group, name):
    c, m = fitted(group, name)
    r = m.result_
    if c["status"] == "none":
        assert not m.separation_
        assert m.converged_
        assert worst(r.params, truth(c)) >= 10
        return
    assert m.separation_
    assert not m.converged_
    np.testing.assert_array_equal(m.separation_.rows, np.asarray(c["separated_rows"], bool))
    for name_, status in c["coefficient_status"].items():
        if status == "finite":
            assert label(name_) not in m.separation_.coefficients
        else:
            assert m.separation_.coefficients[label(name_)] == status
            assert r.bse[label(name_)] == np.inf
            assert np.isfinite(r.params[label(name_)])
    for name_, value in (c.get("params_finite") or {}).items():
        assert lre(r.params[label(name_)], value) >= 8
    for name_, value in (c.get("se_finite") or {}).items():
        assert lre(r.bse[label(name_)], value) >= 8
    if np.all(np.rint(c["y"]) == c["y"]) or c["family"] == "binomial":
        assert r.llf == pytest.approx(c["loglik_supremum"], rel=1e-10, abs=1e-10)
    else:
        assert np.isnan(r.llf), "counts that are not whole have no likelihood"
    assert r.deviance == pytest.approx(c["deviance_infimum"], rel=1e-10, abs=1e-10)
    if c.get("fitted_limit") is not None:
        data = model(c)
        limit = np.asarray(c["fitted_limit"], float)
        np.testing.assert_allclose(m.predict(data[1]), limit, rtol=1e-9, atol=2e-12)


def test_no_false_alarm_on_regular_sets():
    for group, name in REGULAR:
        _, m = fitted(group, name)
        assert not m.separation_, name


def test_a_perturbed_answer_would_fail():
    """The bars above are sharp: a relative change of 1e-6 is seen."""
    c, m = fitted("glm", "quine_poisson_main")
    assert worst(m.result_.params * (1 + 1e-6), truth(c)) < 10
    assert worst(m.result_.bse * (1 + 1e-6), truth(c, "se")) < 10
    assert lre(m.result_.deviance * (1 + 1e-6), c["deviance"]) < 12
