"""A family written by a user: works at once, is never answered from an earlier definition, and is honest."""

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fisherfit as ff


class Rayleigh(ff.Family):
    parameters = {"sigma": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, sigma):
        return math.log(y) - 2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2


class StudentT(ff.Family):
    parameters = {"mu": "real", "s": "positive"}
    fields = ("nu",)

    def __init__(self, nu):
        self.nu = nu

    def log_density(y, mu, s, nu):
        z = (y - mu) / s
        return (
            math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi) - math.log(s)
            - 0.5 * (nu + 1.0) * math.log1p(z * z / nu)
        )  # fmt: skip


@pytest.fixture
def rayleigh_data():
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 300)[:, None]
    return x, rng.rayleigh(2.0 * np.exp(0.3 * x[:, 0]))


def test_a_log_density_alone_gives_the_maximum(rayleigh_data):
    x, y = rayleigh_data
    m = ff.GLM(Rayleigh()).fit(x, y)
    # y^2 / 2 is exponential with mean sigma^2: a gamma model with log link, its coefficients halved
    gamma = ff.GLM("gamma", dispersion=1.0).fit(x, 0.5 * y**2)
    np.testing.assert_allclose(m.result_.coefficients, 0.5 * gamma.result_.coefficients, rtol=1e-11)
    assert m.converged_
    assert m.certificate_.digits.min() <= 13, "the noise of differences belongs to the certificate"
    assert m.certificate_.digits.min() >= 8
    observed = ff.GLM("gamma", dispersion=1.0, cov_type="observed").fit(x, 0.5 * y**2)
    np.testing.assert_allclose(m.result_.bse, 0.5 * observed.result_.bse, rtol=1e-7)


def test_two_parameters_and_a_constant():
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 1.0, 400)[:, None]
    y = 1.0 + 2.0 * x[:, 0] + 0.5 * rng.standard_t(4, 400)
    m = ff.GLM(StudentT(4.0)).fit(x, y)
    r = m.result_

    def loglik(p):
        z = (y - p[0] - p[1] * x[:, 0]) / p[2]
        return float(np.sum(-math.log(p[2]) - 2.5 * np.log1p(z * z / 4.0)))

    best = loglik(r.coefficients)
    for j in range(3):
        for step in (-1e-3, 1e-3):
            other = r.coefficients.copy()
            other[j] += step
            assert loglik(other) < best
    assert list(r.params.index) == ["Intercept", "x0", "s"]
    again = ff.GLM(StudentT(30.0)).fit(x, y)
    assert abs(again.result_.coefficients[2] - r.coefficients[2]) > 0.01, "the constant is read anew"


def test_redefinition_takes_effect_at_once(rayleigh_data):
    x, y = rayleigh_data

    def define(k):
        class Scaled(ff.Family):
            parameters = {"sigma": "positive"}

            def log_density(y, sigma):
                return -2.0 * math.log(sigma) - 0.5 * k * (y / sigma) ** 2

        return Scaled()

    one = ff.GLM(define(1.0)).fit(x, y).intercept_
    four = ff.GLM(define(4.0)).fit(x, y).intercept_
    assert four - one == pytest.approx(math.log(2.0), rel=1e-10)


def test_a_formula_replaced_in_place_takes_effect(rayleigh_data):
    x, y = rayleigh_data

    class Patched(ff.Family):
        parameters = {"sigma": "positive"}

        def log_density(y, sigma):
            return -2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2

    one = ff.GLM(Patched()).fit(x, y).intercept_

    def other(y, sigma):
        return -2.0 * math.log(sigma) - 2.0 * (y / sigma) ** 2

    Patched.log_density = staticmethod(other)
    assert ff.GLM(Patched()).fit(x, y).intercept_ - one == pytest.approx(math.log(2.0), rel=1e-10)


def test_a_formula_that_cannot_be_compiled_still_works(rayleigh_data):
    x, y = rayleigh_data

    class Awkward(ff.Family):
        parameters = {"sigma": "positive"}

        def log_density(y, sigma):
            return math.fsum((math.log(y), -2.0 * math.log(sigma), -0.5 * (y / sigma) ** 2))

    with pytest.warns(ff.CompilationWarning, match="plain Python"):
        m = ff.GLM(Awkward()).fit(x[:40], y[:40])
    np.testing.assert_allclose(m.coef_, ff.GLM(Rayleigh()).fit(x[:40], y[:40]).coef_, rtol=1e-9)


def test_a_family_with_self_in_its_formula_is_refused():
    with pytest.raises(ff.InputError, match="staticmethod"):

        class Wrong(ff.Family):
            def log_density(self, y, mu):
                return 0.0


def test_unknown_support_is_refused():
    with pytest.raises(ff.InputError, match="choose one of"):

        class Wrong(ff.Family):
            parameters = {"mu": "postive"}


def test_a_family_of_a_script_that_is_edited(tmp_path):
    """Two runs of a script whose formula was edited in between give two answers, with the cache warm."""
    script = textwrap.dedent("""
        import numpy as np, fisherfit as ff
        from mine import Mine
        y = np.array([1.0, 2.0, 3.0, 2.5])
        print(repr(float(ff.GLM(Mine()).fit(np.array([[0.0], [1.0], [2.0], [0.5]]), y).intercept_)))
    """)
    (tmp_path / "run.py").write_text(script)
    out = []
    for k in (1.0, 4.0):
        (tmp_path / "mine.py").write_text(
            textwrap.dedent(f"""
            import math, fisherfit as ff
            class Mine(ff.Family):
                parameters = {{"sigma": "positive"}}
                def log_density(y, sigma):
                    return -2.0 * math.log(sigma) - 0.5 * {k} * (y / sigma) ** 2
        """)
        )
        done = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        out.append(float(done.stdout))
    assert out[1] - out[0] == pytest.approx(math.log(2.0), rel=1e-9)


class Weibull(ff.Family):
    parameters = {"scale": "positive", "shape": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, scale, shape):
        z = y / scale
        return math.log(shape / scale) + (shape - 1.0) * math.log(z) - z**shape

    def mean(self, scale, shape):
        from scipy.special import gamma

        return scale * gamma(1.0 + 1.0 / shape)


def test_a_second_parameter_reaches_the_mean_on_its_own_scale():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 1))
    y = np.exp(0.5 + 0.3 * x[:, 0]) * rng.weibull(0.8, 400)
    m = ff.GLM(Weibull()).fit(x, y)
    shape = float(m.result_.params["shape"])
    assert 0.7 < shape < 0.9
    wanted = np.exp(m.intercept_ + m.coef_[0] * x[:, 0]) * math.gamma(1.0 + 1.0 / shape)
    np.testing.assert_allclose(m.predict(x), wanted, rtol=1e-12)


def test_separation_with_a_column_of_zeros_names_the_others():
    with pytest.warns(ff.RankWarning), pytest.warns(ff.SeparationWarning):
        m = ff.GLM("binomial").fit([[5.1, 0], [7.7, 0], [6.8, 0], [3.9, 0]], [0, 1, 1, 0])
    assert m.separation_.coefficients == {"Intercept": "-inf", "x0": "+inf"}
    assert m.aliased_ == ["x1"]
