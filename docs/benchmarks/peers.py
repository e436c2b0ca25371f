"""One function for every library: data in, intercept and coefficients out, without a penalty.

Tolerances are set so that all reach the same likelihood. Each function leaves everything else at its default.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from cases import Data

Fit = Callable[[str, Data], np.ndarray]
LINKS = {"poisson": "log", "gamma": "log", "binomial": "logit"}
MANY = 20_000  # iterations at the most, where the default would stop short


def fisherfit(family: str, data: Data) -> np.ndarray:
    """fisherfit, with everything that it adds: covariance, null model, certificate."""
    import fisherfit as ff

    model = ff.GLM(family, LINKS[family]).fit(data.X, data.y)
    return np.concatenate([[model.intercept_], np.asarray(model.coef_).ravel()])


def glum(family: str, data: Data) -> np.ndarray:
    """glum's iteratively reweighted least squares."""
    return _glum(family, data, "irls-ls")


def glum_lbfgs(family: str, data: Data) -> np.ndarray:
    """glum's L-BFGS, on compressed columns where the data are sparse."""
    return _glum(family, data, "lbfgs")


def _glum(family: str, data: Data, solver: str) -> np.ndarray:
    from glum import GeneralizedLinearRegressor

    X = data.X.tocsc() if hasattr(data.X, "tocsc") else data.X
    model = GeneralizedLinearRegressor(
        family=family, link=LINKS[family], alpha=0, gradient_tol=1e-8, solver=solver, drop_first=bool(data.levels),
        max_iter=MANY,
    ).fit(X, data.y)  # fmt: skip
    return np.concatenate([[model.intercept_], model.coef_])


def sklearn_cholesky(family: str, data: Data) -> np.ndarray:
    """scikit-learn's newton-cholesky."""
    return _sklearn(family, data, "newton-cholesky")


def sklearn_lbfgs(family: str, data: Data) -> np.ndarray:
    """scikit-learn's lbfgs."""
    return _sklearn(family, data, "lbfgs")


def sklearn_newton_cg(family: str, data: Data) -> np.ndarray:
    """scikit-learn's newton-cg (logistic regression only)."""
    return _sklearn(family, data, "newton-cg")


def _sklearn(family: str, data: Data, solver: str) -> np.ndarray:
    from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor

    model: Any
    if family == "binomial":
        model = LogisticRegression(C=np.inf, solver=solver, tol=1e-8, max_iter=MANY)
    else:
        kind = PoissonRegressor if family == "poisson" else GammaRegressor
        model = kind(alpha=0, solver=solver, tol=1e-8, max_iter=MANY)
    model.fit(data.X, data.y)
    return np.concatenate([np.ravel(model.intercept_), np.ravel(model.coef_)])


def statsmodels(family: str, data: Data) -> np.ndarray:
    """statsmodels' GLM, which computes standard errors too."""
    import statsmodels.api as sm

    families = sm.families
    made = {
        "poisson": families.Poisson(),
        "gamma": families.Gamma(families.links.Log()),
        "binomial": families.Binomial(),
    }
    return np.asarray(sm.GLM(data.y, sm.add_constant(data.X), family=made[family]).fit().params)


LIBRARIES: dict[str, Fit] = {
    "fisherfit": fisherfit,
    "glum": glum,
    "glum-lbfgs": glum_lbfgs,
    "sklearn-cholesky": sklearn_cholesky,
    "sklearn-lbfgs": sklearn_lbfgs,
    "sklearn-newton-cg": sklearn_newton_cg,
    "statsmodels": statsmodels,
}
TITLES = {
    "fisherfit": "fisherfit",
    "glum": "glum",
    "glum-lbfgs": "glum, L-BFGS",
    "sklearn-cholesky": "scikit-learn, newton-cholesky",
    "sklearn-lbfgs": "scikit-learn, lbfgs",
    "sklearn-newton-cg": "scikit-learn, newton-cg",
    "statsmodels": "statsmodels",
}
DISTRIBUTIONS = ("fisherfit", "numba", "numpy", "scipy", "pandas", "scikit-learn", "glum", "tabmat", "statsmodels")


def installed(library: str) -> bool:
    """Is the library there?"""
    from importlib.util import find_spec

    return find_spec(library.split("-")[0]) is not None


def quiet(library: str, family: str, data: Data) -> np.ndarray:
    """A fit without its warnings: what they would say shows in the likelihood that is reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LIBRARIES[library](family, data)


def versions() -> dict[str, str]:
    """Version of every library in use."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name == "fisherfit":
                import fisherfit

                found[name] = fisherfit.__version__
    return found
