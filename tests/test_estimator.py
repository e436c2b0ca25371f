"""The base class of the estimators: scikit-learn's protocol, with scikit-learn imported when it is needed only."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.exceptions
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone, is_regressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import fisherfit as ff
from fisherfit.estimators import _estimator
from fisherfit.result import quantile, upper_tail

X = np.linspace(-1.0, 1.0, 30)[:, None]
Y = np.round(np.exp(1.0 + X[:, 0]))


class Reference(RegressorMixin, BaseEstimator):
    """What scikit-learn makes of an estimator with the same methods."""

    __init__ = ff.GLM.__init__
    fit, score, predict, partial_fit = ff.GLM.fit, ff.GLM.score, ff.GLM.predict, ff.GLM.partial_fit


Reference.__name__ = "GLM"  # as it is shown


class Child(ff.GLM):
    """A user's subclass, with an argument of its own."""

    def __init__(self, family="poisson", *, inner=None, tol=1e-20):
        super().__init__(family, tol=tol)
        self.inner = inner

    def fit(self, X, y, sample_weight=None, colour=None):
        return super().fit(X, y, sample_weight)


class Both(TransformerMixin, ff.GLM, BaseEstimator):
    """A user's class that derives from scikit-learn's base as well."""

    def transform(self, X):
        return self.predict(X)[:, None]


def process(code):
    env = {**os.environ, "PYTHONPATH": str(Path(ff.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# what scikit-learn sees


@pytest.mark.parametrize("model", [ff.GLM(), ff.GroupedGLM(), Child(), Both()], ids=lambda m: type(m).__name__)
def test_isinstance(model):
    assert isinstance(model, BaseEstimator)
    assert isinstance(model, type(model))
    assert not isinstance(model, TransformerMixin) or isinstance(model, Both)
    assert model.__class__.__name__ == type(model).__name__
    assert issubclass(model.__class__, type(model))
    assert model.__class__ is model.__class__


def test_isinstance_without_scikit_learn():
    code = "import sys, fisherfit as ff; m = ff.GLM(); print(m.__class__ is ff.GLM, 'sklearn' in sys.modules); "
    code += "from sklearn.base import BaseEstimator; print(isinstance(m, BaseEstimator), m.__class__ is ff.GLM)"
    assert process(code).splitlines() == ["True False", "True False"]


def test_tags():
    expected = Reference().__sklearn_tags__()
    expected.input_tags.sparse = True
    assert ff.GLM().__sklearn_tags__() == get_tags(Child()) == expected
    assert ff.GroupedGLM().__sklearn_tags__() == BaseEstimator().__sklearn_tags__()
    assert is_regressor(ff.GLM())
    assert not is_regressor(ff.GroupedGLM())
    assert get_tags(Both()).transformer_tags is not None


def test_parameters():
    model = ff.GLM("poisson", tol=1e-9)
    assert model.get_params() == Reference("poisson", tol=1e-9).get_params()
    assert list(model.get_params()) == list(Reference().get_params())
    assert model.set_params(link="sqrt", tol=1e-3) is model
    assert (model.link, model.tol) == ("sqrt", 1e-3)
    with pytest.raises(
        ff.InputError,
        match=r"Invalid parameter 'famly' for estimator GLM\(.*parameters of GLM are bias_reduction, bounds, constr",
    ):
        model.set_params(tol=1.0, famly="normal")
    assert model.tol == 1e-3
    nested = Child(inner=StandardScaler())
    assert nested.get_params()["inner__with_mean"] is True
    assert "inner__with_mean" not in nested.get_params(deep=False)
    assert nested.set_params(inner__with_mean=False, tol=0.5).inner.with_mean is False
    assert nested.tol == 0.5


@pytest.mark.parametrize("key", ["tol__x", "tol__", "inner__with_mean", "__tol", ""])
def test_nested_parameters_of_what_is_no_estimator(key):
    model = Child()
    with pytest.raises(ff.InputError, match=f"Invalid parameter '{key}' for estimator Child"):
        model.set_params(**{"family": "gamma", key: 1})
    assert model.family == "poisson"
    assert model.set_params(inner__with_mean=False, inner=StandardScaler()).inner.with_mean is False


def test_constructors_of_subclasses():
    class Keywords(ff.GLM):
        def __init__(self, tol=1e-9, **others):
            super().__init__("poisson", tol=tol)

    class Positional(ff.GLM):
        def __init__(self, *arguments):
            super().__init__(*arguments)

    assert Keywords(link="log").get_params() == {"tol": 1e-9}
    assert repr(Keywords(0.5)) == "Keywords(tol=0.5)"
    with pytest.raises(ff.InputTypeError, match=r"Positional.__init__ takes \*arguments; name every argument"):
        Positional("poisson").get_params()


@pytest.mark.parametrize("arguments", [
    {}, {"family": "poisson"}, {"tol": 1e-9, "family": ff.Tweedie(power=1.5)}, {"start_params": np.zeros(3)},
    {"formula": "y ~ a + b", "family": "negative_binomial", "dispersion": "deviance", "missing": "drop", "max_iter": 7},
])  # fmt: skip
def test_text(arguments):
    assert repr(ff.GLM(**arguments)) == repr(Reference(**arguments))
    with config_context(print_changed_only=False):
        assert repr(ff.GLM(**arguments)) == repr(Reference(**arguments))


def test_text_of_a_long_argument():
    text = repr(ff.GLM(formula="y ~ " + " + ".join(f"column_{j}" for j in range(200))))
    assert text.startswith("GLM(formula='y ~ column_0 + column_1")
    assert text.endswith("...)")
    assert len(text) < 250


def test_html():
    model = ff.GLM("poisson").fit(X, Y)
    assert "poisson" in model._repr_html_()
    assert set(model._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert "GLM" in make_pipeline(StandardScaler(), model)._repr_html_()
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert set(model._repr_mimebundle_()) == {"text/plain"}


# routing of metadata


def test_requests():
    for method in ("fit", "score"):
        name = f"set_{method}_request"
        expected = inspect.signature(getattr(Reference, name)).parameters
        assert list(inspect.signature(getattr(ff.GLM, name)).parameters) == list(expected)
        assert list(inspect.signature(getattr(ff.GLM(), name)).parameters) == list(expected)[1:]
    assert not hasattr(ff.GroupedGLM(), "set_score_request")
    assert "colour" in inspect.signature(Child.set_fit_request).parameters
    assert "offset" in inspect.signature(Both.set_fit_request).parameters
    with pytest.raises(RuntimeError, match="only available when metadata routing is enabled"):
        ff.GLM().set_fit_request(offset=True)


def test_requests_are_kept():
    with config_context(enable_metadata_routing=True):
        model = ff.GLM()
        assert model.set_fit_request(offset=True, sample_weight="w") is model
        expected = Reference().set_fit_request(offset=True, sample_weight="w").get_metadata_routing()
        for other in (model, clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert str(other.get_metadata_routing()) == str(expected)
        assert str(ff.GLM().get_metadata_routing()) == str(Reference().get_metadata_routing())
        with pytest.raises(TypeError, match=r"Unexpected args: \{'colour'\}"):
            model.set_fit_request(colour=True)
        with pytest.raises(TypeError, match="positional argument"):
            model.set_fit_request(True)
        Child().set_fit_request(colour=True)


# copies


@pytest.mark.parametrize("kind", [ff.GLM, ff.GroupedGLM, Child, Both])
def test_copies_are_of_the_same_type(kind):
    model = kind("poisson", tol=1e-9)
    made = model.__class__(**model.get_params())  # as old code clones
    copies = [clone(model), copy.copy(model), copy.deepcopy(model), clone(made), copy.deepcopy(made)]
    copies += [pickle.loads(pickle.dumps(m, protocol)) for m in (model, made) for protocol in range(2, 6)]
    for other in copies:
        assert type(other) is kind
        assert other.get_params() == model.get_params()
        assert other.__dict__ is not model.__dict__
    clone(model).tol = 0.5
    assert model.tol == 1e-9


def test_search_finds_the_same_type():
    search = GridSearchCV(Child(), {"tol": [1e-20, 1e-8]}, cv=2).fit(X, Y)
    assert type(search.best_estimator_) is Child
    np.testing.assert_allclose(search.best_estimator_.coef_, ff.GLM("poisson").fit(X, Y).coef_, rtol=1e-6)


def test_one_derived_class_for_all_threads():
    class Fresh(ff.GLM):
        pass

    found = []
    threads = [threading.Thread(target=lambda: found.append(_estimator.derived(Fresh))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


# warnings and errors


def test_convergence_warning():
    assert issubclass(ff.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning)
    assert issubclass(ff.ConvergenceWarning, ff.FisherfitWarning)
    assert ff.ConvergenceWarning is ff.errors.ConvergenceWarning
    assert ff.ConvergenceWarning.__module__ == "fisherfit.errors"
    assert pickle.loads(pickle.dumps(ff.ConvergenceWarning)) is ff.ConvergenceWarning
    with pytest.raises(AttributeError, match=r"module 'fisherfit\.errors' has no attribute 'Convergence'"):
        _ = ff.errors.Convergence


@pytest.mark.parametrize(
    "first", ["", "import sklearn.exceptions; ", "import fisherfit; fisherfit.ConvergenceWarning; "]
)
def test_a_filter_on_the_warning_of_scikit_learn(first):
    code = first + (
        "import warnings, numpy as np, fisherfit as ff; x = np.arange(6.0)[:, None]; warnings.simplefilter('error'); "
        "model = ff.GLM('poisson', max_iter=1)\n"
        "try: model.fit(x, [1, 2, 9, 3, 6, 50])\n"
        "except UserWarning as w: print(type(w).__name__, type(w) is ff.ConvergenceWarning)\n"
        "import sklearn.exceptions; warnings.simplefilter('ignore', sklearn.exceptions.ConvergenceWarning)\n"
        "print(model.fit(x, [1, 2, 9, 3, 6, 50]).converged_)"
    )
    assert process(code).splitlines() == ["ConvergenceWarning True", "False"]


def test_not_fitted_and_column_vectors():
    code = (
        "import warnings, numpy as np, fisherfit as ff\n"
        "try: ff.GLM().predict([[1.0]])\n"
        "except Exception as e: print(type(e).__name__)\n"
        "warnings.simplefilter('error')\n"
        "try: ff.GLM().fit(np.arange(6.0)[:, None], np.sin(np.arange(6.0))[:, None])\n"
        "except UserWarning as e: print(type(e).__name__)"
    )
    assert process(code).splitlines() == ["NotFittedError", "DataConversionWarning"]


def test_old_pickles_can_be_read():
    """As `object.__reduce_ex__` wrote them: the class, then its attributes."""
    model = ff.GLM("poisson").fit(X, Y)
    text = pickle.dumps((ff.GLM, model.__dict__))
    kind, state = pickle.loads(text)
    again = kind.__new__(kind)
    again.__dict__.update(state)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# tails


@pytest.mark.parametrize("df", [-1.0, 0.0, 0.5, 1.0, 2.0, 10.0, 1e3, 1e8, np.inf, np.nan])
def test_tails_are_those_of_scipy(df):
    t = np.array([0.0, 1e-5, 0.3, 1.96, 8.0, 40.0, 1e10, np.inf, np.nan])
    q = np.array([0.5, 0.75, 0.975, 0.9995, 1 - 1e-12])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_allclose(upper_tail(t, df), stats.t.sf(t, df), rtol=1e-14)
        np.testing.assert_allclose(quantile(q, df), stats.t.ppf(q, df), rtol=1e-14)
    np.testing.assert_allclose(upper_tail(t), stats.norm.sf(t), rtol=1e-14)
    np.testing.assert_allclose(quantile(q), stats.norm.ppf(q), rtol=1e-14)
