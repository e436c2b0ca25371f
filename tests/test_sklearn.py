"""scikit-learn: its own checks, and life in pipelines, searches, pickles and joblib."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import fisherfit as ff

CHECKS = list(estimator_checks_generator(ff.GLM(), legacy=True, mark="skip"))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ + str(i) for i, (_, c) in enumerate(CHECKS)]
)
def test_check_estimator(estimator, check):
    if isinstance(check, type(pytest.param)):
        pytest.skip("skipped by scikit-learn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fisherfit's typed warnings are allowed here (rank, exact fits)
        try:
            check(estimator)
        except Exception as error:
            if type(error).__name__ == "SkipTest":
                pytest.skip(str(error))
            raise


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, rng.poisson(np.exp(0.3 + 0.2 * X[:, 0])).astype(float)


def test_pipeline_and_search(data):
    X, y = data
    pipe = make_pipeline(StandardScaler(), ff.GLM("poisson"))
    direct = ff.GLM("poisson").fit(X, y)
    np.testing.assert_allclose(pipe.fit(X, y).predict(X), direct.predict(X), rtol=1e-12)
    search = GridSearchCV(ff.GLM("poisson"), {"link": ["log", "sqrt"], "fit_intercept": [True]}, cv=3).fit(X, y)
    assert search.best_params_["link"] in ("log", "sqrt")
    assert len(cross_val_score(ff.GLM("poisson"), X, y, cv=4)) == 4
    frame = pd.DataFrame(X, columns=list("abc"))
    mixed = make_pipeline(
        make_column_transformer((StandardScaler(), ["a"]), remainder="passthrough"), ff.GLM("poisson")
    )
    assert mixed.fit(frame, y).score(frame, y) == pytest.approx(direct.score(X, y), rel=1e-10)


def test_clone_pickle_and_size(data):
    X, y = data
    big = np.vstack([X] * 50)
    m = ff.GLM("poisson", link="log").fit(big, np.tile(y, 50))
    assert clone(m).get_params() == m.get_params()
    assert not hasattr(clone(m), "coef_")
    text = pickle.dumps(m.result_)
    assert len(text) < 12_000, "a result holds no rows"
    again = pickle.loads(text)
    pd.testing.assert_frame_equal(again.conf_int(), m.result_.conf_int())
    pd.testing.assert_frame_equal(again.cov_params(), m.result_.cov_params())
    np.testing.assert_array_equal(again.predict(X), m.predict(X))
    whole = pickle.loads(pickle.dumps(m))
    np.testing.assert_array_equal(whole.predict(X), m.predict(X))
    assert str(again.summary()) == str(m.summary())


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(data, backend):
    X, y = data
    fits = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(ff.GLM("poisson").fit)(X[i:], y[i:]) for i in range(6)
    )
    for i, m in enumerate(fits):
        np.testing.assert_array_equal(m.coef_, ff.GLM("poisson").fit(X[i:], y[i:]).coef_)


def test_metadata_routing(data):
    X, y = data
    offset = np.linspace(0.0, 1.0, len(y))
    with config_context(enable_metadata_routing=True):
        glm = ff.GLM("poisson").set_fit_request(offset=True, sample_weight=True).set_score_request(offset=True)
        pipe = make_pipeline(StandardScaler(), glm)
        pipe.fit(X, y, offset=offset)
        direct = ff.GLM("poisson").fit(StandardScaler().fit_transform(X), y, offset=offset)
        np.testing.assert_allclose(pipe[-1].coef_, direct.coef_, rtol=1e-12)
        scores = cross_val_score(glm, X, y, cv=3, params={"offset": offset})
    assert len(scores) == 3


def test_score_is_d2_and_r2(data):
    X, y = data
    m = ff.GLM("poisson").fit(X, y)
    assert m.score(X, y) == pytest.approx(1 - m.result_.deviance / m.result_.null_deviance, rel=1e-12)
    n = ff.GLM().fit(X, y)
    residual = y - n.predict(X)
    assert n.score(X, y) == pytest.approx(1 - (residual @ residual) / np.sum((y - y.mean()) ** 2), rel=1e-12)
