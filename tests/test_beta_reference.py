"""Beta regressions against certified results: fits with a constant precision, and the equations of those without."""

import numpy as np
import pytest

import fisherfit as ff
from fisherfit.kernels import EXPECTED, OBSERVED, kernels_of
from fisherfit.links import get_link

from .reference import case, cases, lre

NAMES = [c["name"] for c in cases("beta")]
CONSTANT = [name for name in NAMES if not case("beta", name)["columns_precision"]]


def design(c, which, columns):
    return np.column_stack([np.ones(c["n"]), *(np.array(c[which][name], float) for name in columns)])


@pytest.mark.parametrize("name", CONSTANT)
def test_constant_precision(name):
    c = case("beta", name)
    X, y = design(c, "X", c["columns"])[:, 1:], np.array(c["y"], float)
    model = ff.GLM("beta", c["link"]).fit(X, y)
    r, at = model.result_, c["params"]["precision:(Intercept)"]
    by_log = c["link_precision"] == "log"
    phi = np.exp(at) if by_log else at
    wanted = [*list(c["params"].values())[:-1], phi]
    assert model.converged_
    assert min(map(lre, r.params, wanted)) >= 11
    for kind, key in (("expected", "se"), ("observed", "se_observed")):
        se = list(c[key].values())
        se[-1] *= phi if by_log else 1.0
        fit = ff.GLM("beta", c["link"], cov_type=kind).fit(X, y).result_
        assert min(map(lre, fit.bse, se)) >= 10
    assert lre(r.llf, c["loglik"]) >= 12
    assert lre(r.aic, c["aic"]) >= 12
    assert lre(r.bic, c["bic"]) >= 12
    assert lre(r.params.iloc[0] * (1 + 1e-6), wanted[0]) < 7


@pytest.mark.parametrize("name", NAMES)
def test_likelihood_score_and_information_at_the_certified_maximum(name):
    """With a design for the precision too."""
    c = case("beta", name)
    designs = design(c, "X", c["columns"]), design(c, "X_precision", c["columns_precision"])
    theta, y = np.array(list(c["params"].values())), np.array(c["y"], float)
    p, n = designs[0].shape[1], c["n"]
    eta = np.ascontiguousarray([designs[0] @ theta[:p], designs[1] @ theta[p:]])
    kernels = kernels_of(ff.Beta(), [get_link(c["link"]), get_link(c["link_precision"])])
    u, w = np.empty((2, n)), np.empty((3, n))
    for kind, key in ((EXPECTED, "se"), (OBSERVED, "se_observed")):
        objective = kernels.rows(y, np.ones(n), eta, kernels.constants, kind, u, w)
        base = kernels.base(y, np.ones(n), np.ones(n), 1.0, False, kernels.constants)[0]
        assert lre(objective + base, c["loglik"]) >= 13
        score = np.concatenate([x.T @ v for x, v in zip(designs, u, strict=True)])
        blocks = [[designs[i].T @ (w[i + j][:, None] * designs[j]) for j in (0, 1)] for i in (0, 1)]
        covariance = np.linalg.inv(np.block(blocks))
        assert score @ covariance @ score < 1e-20
        np.testing.assert_allclose(np.sqrt(np.diag(covariance)), list(c[key].values()), rtol=1e-9)
        moved = theta + 1e-6 * np.sqrt(np.diag(covariance))
        eta_moved = np.ascontiguousarray([designs[0] @ moved[:p], designs[1] @ moved[p:]])
        kernels.rows(y, np.ones(n), eta_moved, kernels.constants, kind, u, w)
        score = np.concatenate([x.T @ v for x, v in zip(designs, u, strict=True)])
        assert score @ covariance @ score > 1e-20
