"""Sparse designs: the same answers as dense ones, for every format, family, weight and offset."""

import numpy as np
import pytest
import scipy.sparse as sp

import fisherfit as ff

N, P = 600, 7
RNG = np.random.default_rng(20)
X = np.where(RNG.random((N, P)) < 0.3, RNG.normal(size=(N, P)), 0.0)
ETA = 0.3 + X @ np.linspace(-0.6, 0.7, P)
WEIGHT = RNG.integers(0, 4, N).astype(float)
OFFSET = RNG.normal(size=N) / 3
FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
FAMILIES = {
    "normal": ETA + RNG.normal(size=N),
    "binomial": (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(float),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "gamma": RNG.gamma(2.0, np.exp(ETA)) + 1e-3,
    "inverse_gaussian": RNG.wald(np.exp(ETA), 2.0) + 1e-3,
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(1.5, 1 / 1.5, N)).astype(float),
    "geometric": RNG.poisson(np.exp(ETA) * RNG.gamma(1.0, 1.0, N)).astype(float),
}


def same(a, b, tolerance=1e-11):
    for name in ("coefficients", "standard_errors", "covariance"):
        got, wanted = getattr(a.result_, name), getattr(b.result_, name)
        np.testing.assert_allclose(
            got, wanted, rtol=tolerance, atol=tolerance * np.nanmax(np.abs(wanted)), err_msg=name
        )
    for name in (
        "llf",
        "llnull",
        "deviance",
        "null_deviance",
        "pearson_chi2",
        "dispersion",
        "df_resid",
        "nobs",
        "rank",
    ):
        assert getattr(a.result_, name) == pytest.approx(getattr(b.result_, name), rel=tolerance, nan_ok=True), name


@pytest.mark.filterwarnings("ignore:Constructing a DIA")
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_alike(kind):
    y = FAMILIES["poisson"]
    dense = ff.GLM("poisson").fit(X, y)
    for made in (sp.csr_array(X).asformat(kind), sp.csr_matrix(X).asformat(kind)):
        sparse = ff.GLM("poisson").fit(made, y)
        same(sparse, dense)
        np.testing.assert_allclose(sparse.predict(made), dense.predict(X), rtol=1e-12)
        assert sparse.score(made, y) == pytest.approx(dense.score(X, y), rel=1e-12)
    assert list(sparse.result_.params.index) == list(dense.result_.params.index)
    np.testing.assert_allclose(sparse.predict(X), sparse.predict(sp.csr_array(X)), rtol=1e-13)  # either predicts either
    np.testing.assert_allclose(dense.predict(sp.csr_array(X)), dense.predict(X), rtol=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("intercept", [True, False])
def test_every_family_weighted_and_offset(family, intercept):
    y = FAMILIES[family]
    for weight, offset, kind in (
        (None, None, "analytic"),
        (WEIGHT, OFFSET, "frequency"),
        (WEIGHT, None, "probability"),
    ):
        model = ff.GLM(family, fit_intercept=intercept, weight_type=kind, cov_type="HC1")
        dense = model.fit(X, y, sample_weight=weight, offset=offset)
        again = ff.GLM(**model.get_params()).fit(sp.csr_array(X), y, sample_weight=weight, offset=offset)
        same(again, dense, 1e-10)
