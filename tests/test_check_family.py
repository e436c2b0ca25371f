"""The checker finds what is wrong, says where and by how much, and never blames a right formula."""

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fisherfit as ff

OWN = [
    *(cls() for cls in ff.families.FAMILIES.values()),
    ff.NegativeBinomial(alpha=0.4),
    ff.Tweedie(1.1),
    ff.Tweedie(1.9),
    ff.Normal().with_dispersion(),
    ff.Gamma().with_dispersion(),
    ff.InverseGaussian().with_dispersion(),
]


@pytest.mark.parametrize("family", OWN, ids=repr)
def test_own_families_are_right(family):
    report = ff.check_family(family)
    assert report.ok, str(report)
    for name in ("density", "score", "observed", "mean", "variance", "sample", "cdf"):
        assert report.formulas[name] == "ok"


@pytest.mark.parametrize("theta", [1e-8, 1e4])
@pytest.mark.parametrize("family", [ff.Gamma(), ff.InverseGaussian(), ff.Tweedie(1.5)], ids=repr)
def test_own_families_are_right_at_other_scales(family, theta):
    report = ff.check_family(family, theta=[theta])
    assert report.ok, str(report)


def family(**changes):
    """The exponential distribution with some attributes changed."""
    base = {
        "parameters": {"mu": "positive"},
        "support": ff.Support(0.0),
        "log_density": lambda y, mu: -math.log(mu) - y / mu,
    }
    formulas = ("log_density", "score", "observed", "fisher")
    return type(
        "Exponential",
        (ff.Family,),
        {k: staticmethod(v) if k in formulas else v for k, v in {**base, **changes}.items()},
    )


def right_score(y, mu):
    return ((y - mu) / mu**2,)


def test_a_log_density_alone_is_enough():
    report = ff.check_family(family())
    assert report.ok
    assert report.formulas["score"] == report.formulas["observed"] == "by differences"
    assert report.formulas["fisher"].startswith("not given")
    assert report.formulas["density"] == report.formulas["mean"] == report.formulas["compiled"] == "ok"
    assert report.formulas["variance"] == "not given"
    assert report.notes == []
    assert str(report).startswith("family exponential: ok\n")
    assert "score        by differences" in str(report)


def test_right_formulas_pass():
    report = ff.check_family(
        family(score=right_score, observed=lambda y, mu: ((2 * y - mu) / mu**3,), fisher=lambda mu: (1 / mu**2,),
               variance=lambda self, mu: mu**2, sample=lambda self, rng, mu, size=None: rng.exponential(mu, size),
               cdf=lambda self, y, mu: -np.expm1(-y / mu))
    )  # fmt: skip
    assert report.ok, str(report)
    assert set(report.formulas.values()) == {"ok"}
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("changes", "which", "words"),
    [
        ({"score": lambda y, mu: ((mu - y) / mu**2,)}, "score", "always -1 times that"),
        ({"score": lambda y, mu: ((y - mu) / mu**2 * (1 + 1e-5),)}, "score", "relative difference 1.0e-05"),
        ({"score": lambda y, mu: ((y - mu) / mu**2 + 1e-3 / mu,)}, "score", "21 of 21 comparisons fail"),
        ({"score": lambda y, mu: (math.nan,)}, "score", "is nan at"),
        ({"score": lambda y, mu: (y - mu, mu)}, "score", "must return a tuple of 1 number"),
        ({"score": lambda y, mu: (y - mu) / mu**2}, "score", "must return a tuple of 1 number"),
        ({"score": lambda y, mu, nu: (y,)}, "score", "cannot be called as score(y, mu)"),
        ({"observed": lambda y, mu: (1 / mu**2,)}, "observed", "but the log-density gives"),
        ({"score": right_score, "observed": lambda y, mu: ((2 * y - mu) / mu**3 * (1 - 1e-5),)}, "observed", "relative difference 1.0e-05"),
        ({"fisher": lambda mu: (1 / mu,)}, "fisher", "mean of the observed information"),
        ({"score": right_score, "fisher": lambda mu: ((1 + 1e-5) / mu**2,)}, "fisher", "relative difference 1.0e-05"),
        ({"fisher": lambda y, mu: (1 / mu**2,)}, "fisher", "cannot be called as fisher(mu)"),
        ({"log_density": lambda y, mu: math.nan}, "log_density", "inside the declared support (at least 0)"),
        ({"log_density": lambda y, mu: -math.log(mu) - y / mu if y < 5 else math.nan}, "log_density", "is nan at y = 6"),
        ({"log_density": lambda y, mu: -math.log(mu) - math.sqrt(y - 1) / mu}, "log_density", "is nan at y = 0.7"),
        ({"log_density": lambda y, mu: None}, "log_density", "must return a number, got None"),
        ({"log_density": lambda y, mu, nu: 0.0}, "log_density", "cannot be called as log_density(y, mu)"),
        ({"log_density": lambda y, mu: -y / mu}, "density", "a density sums to 1"),
        ({"mean": lambda self, mu: mu / 2}, "mean", "that of the density is"),
        ({"mean": lambda self: 1.0}, "mean", "cannot be called"),
        ({"variance": lambda self, mu: mu}, "variance", "that of the density is"),
        ({"sample": lambda self, rng, mu, size=None: rng.gamma(2.0, mu, size)}, "sample", "mean of 4000"),
        ({"sample": lambda self, rng, mu, size=None: rng.normal(mu, 1e-9, size) - 2 * mu}, "sample", "outside the declared support"),
        ({"sample": lambda self, rng, mu: rng.exponential(mu)}, "sample", "cannot be called"),
        ({"cdf": lambda self, y, mu: 1.0 - math.exp(-y * mu)}, "cdf", "the density sums to"),
    ],
)  # fmt: skip
def test_wrong_formulas_are_named(changes, which, words):
    report = ff.check_family(family(**changes))
    assert not report.ok
    (problem,) = (p for p in report.problems if p.startswith(f"{which}: "))
    assert words in problem
    assert report.formulas[which] in problem
    assert f"{which:<12} {report.formulas[which]}" in str(report)
    with pytest.raises(ff.InputError, match=which):
        report.raise_if_failed()


class StudentT(ff.Family):
    parameters = {"mu": "real", "s": "positive"}
    fields = ("nu",)

    def __init__(self, nu=4.0):
        self.nu = nu

    def log_density(y, mu, s, nu):
        z = (y - mu) / s
        c = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi)
        return c - math.log(s) - 0.5 * (nu + 1.0) * math.log1p(z * z / nu)

    def score(y, mu, s, nu):
        z = (y - mu) / s
        w = (nu + 1.0) / (nu + z * z)
        return w * z / s, (w * z * z - 1.0) / s

    def fisher(mu, s, nu):
        return (nu + 1.0) / (nu + 3.0) / s / s, 0.0, 2.0 * nu / (nu + 3.0) / s / s


class Cauchy(ff.Family):
    parameters = {"mu": "real", "s": "positive"}

    def log_density(y, mu, s):
        return -math.log(math.pi * s) - math.log1p(((y - mu) / s) ** 2)


class Laplace(ff.Family):
    parameters = {"mu": "real", "b": "positive"}

    def log_density(y, mu, b):
        return -abs(y - mu) / b - math.log(2.0 * b)

    def score(y, mu, b):
        return math.copysign(1.0, y - mu) / b, (abs(y - mu) / b - 1.0) / b

    def fisher(mu, b):
        return 1.0 / b / b, 0.0, 1.0 / b / b


class Beta(ff.Family):
    parameters = {"mu": "unit", "phi": "positive"}
    support = ff.Support(0.0, 1.0, True, True)

    def log_density(y, p, q, phi):
        c = math.lgamma(phi) - math.lgamma(p * phi) - math.lgamma(q * phi)
        return c + (p * phi - 1.0) * math.log(y) + (q * phi - 1.0) * math.log1p(-y)

    def variance(self, mu, phi):
        return mu * (1.0 - mu) / (1.0 + phi)

    def sample(self, rng, mu, phi, size=None):
        return rng.beta(mu * phi, (1.0 - mu) * phi, size)


class ZeroInflatedPoisson(ff.Family):
    parameters = {"mu": "positive", "pi": "unit"}
    support = ff.Support(0.0, integer=True)

    def log_density(y, mu, p, q):
        if y == 0.0:
            return math.log(p + q * math.exp(-mu))
        return math.log(q) + y * math.log(mu) - mu - math.lgamma(y + 1.0)

    def score(y, mu, p, q):
        if y == 0.0:
            zero = p + q * math.exp(-mu)
            return -q * math.exp(-mu) / zero, -math.expm1(-mu) / zero
        return y / mu - 1.0, -1.0 / q

    def mean(self, mu, pi):
        return mu * (1.0 - pi)

    def variance(self, mu, pi):
        return mu * (1.0 - pi) * (1.0 + pi * mu)


class GammaWithZeros(ff.Family):
    """A mass at 0 and a density above: three parameters."""

    parameters = {"mu": "positive", "k": "positive", "pi": "unit"}
    support = ff.Support(0.0)

    def log_density(y, mu, k, p, q):
        if y == 0.0:
            return math.log(p)
        return math.log(q) + k * math.log(k / mu) + (k - 1.0) * math.log(y) - k * y / mu - math.lgamma(k)

    def mean(self, mu, k, pi):
        return mu * (1.0 - pi)


class LogNormal(ff.Family):
    parameters = {"mu": "real", "s": "positive"}
    support = ff.Support(0.0, lower_open=True)

    def log_density(y, mu, s):
        return -math.log(y * s) - 0.5 * math.log(2.0 * math.pi) - 0.5 * ((math.log(y) - mu) / s) ** 2

    def score(y, mu, s):
        z = (math.log(y) - mu) / s
        return z / s, (z * z - 1.0) / s

    def observed(y, mu, s):
        z = (math.log(y) - mu) / s
        return 1.0 / s / s, 2.0 * z / s / s, (3.0 * z * z - 1.0) / s / s

    def fisher(mu, s):
        return 1.0 / s / s, 0.0, 2.0 / s / s

    def mean(self, mu, s):
        return np.exp(mu + 0.5 * s * s)

    def variance(self, mu, s):
        return np.expm1(s * s) * np.exp(2.0 * mu + s * s)


class NoisyNegativeBinomial(ff.Family):
    """Written with differences of log-gammas, whose digits cancel."""

    parameters = {"mu": "positive", "alpha": "positive"}
    support = ff.Support(0.0, integer=True)

    def log_density(y, mu, alpha):
        r = 1.0 / alpha
        c = math.lgamma(y + r) - math.lgamma(r) - math.lgamma(y + 1.0)
        return c + y * math.log(mu / (r + mu)) + r * math.log(r / (r + mu))

    def score(y, mu, alpha):
        return ff.families.negative_binomial.nb_score(y, mu, alpha)

    def observed(y, mu, alpha):
        return ff.families.negative_binomial.nb_observed(y, mu, alpha)

    def sample(self, rng, mu, alpha, size=None):
        return rng.poisson(rng.gamma(1.0 / alpha, alpha * mu, size)).astype(float)


class TwoPeaks(ff.Family):
    """Narrow and far apart."""

    parameters = {"mu": "real", "s": "positive"}

    def log_density(y, mu, s):
        a, b = -0.5 * ((y - mu) / (0.01 * s)) ** 2, -0.5 * ((y - mu - 9.0) / (0.01 * s)) ** 2
        return max(a, b) + math.log1p(math.exp(-abs(a - b))) - math.log(0.02 * s * math.sqrt(2.0 * math.pi))

    def mean(self, mu, s):
        return mu + 4.5


class Pareto(ff.Family):
    """The mean is infinite for a <= 1, the variance for a <= 2."""

    parameters = {"a": "positive"}
    support = ff.Support(1.0)

    def log_density(y, a):
        return math.log(a) - (a + 1.0) * math.log(y)

    def score(y, a):
        return (1.0 / a - math.log(y),)

    def observed(y, a):
        return (1.0 / a / a,)

    def fisher(a):
        return (1.0 / a / a,)

    def mean(self, a):
        return a / (a - 1.0) if a > 1.0 else math.inf


class Downwards(ff.Family):
    parameters = {"mu": "positive"}
    support = ff.Support(-math.inf, 0.0, upper_open=True)

    def log_density(y, mu):
        return -math.log(mu) + y / mu

    def mean(self, mu):
        return -mu


RIGHT = [
    (StudentT(), None), (StudentT(1.5), None), (Cauchy(), None), (Laplace(), None), (Beta(), None), (ZeroInflatedPoisson(), None),
    (GammaWithZeros(), None), (LogNormal(), None), (NoisyNegativeBinomial(), None), (TwoPeaks(), None), (Pareto(), None),
    (Downwards(), None), (ff.Normal(), [1e6, 1e-9]), (LogNormal(), [(40.0, 0.001), (-3.0, 4.0)]),
    (Beta(), [(1e-4, 2.0), (0.999, 300.0), (0.5, 1e5)]), (NoisyNegativeBinomial(), [(3.0, 1e-7), (1e4, 1e-3), (1e3, 5.0)]),
    (StudentT(), [(1e3, 1e-3), (1e-3, 1e3)]), (ff.NegativeBinomial(), [(3.0, 0.0), (2e3, 1e-9)]),
]  # fmt: skip


@pytest.mark.parametrize(("right", "theta"), RIGHT, ids=lambda v: v.name if isinstance(v, ff.Family) else str(v))
def test_right_formulas_are_never_blamed(right, theta):
    report = ff.check_family(right, theta=theta)
    assert report.ok, str(report)


@pytest.mark.parametrize("off", [1e-5, -1e-5])
@pytest.mark.parametrize("part", [0, 1])
def test_every_component_is_looked_at(part, off):
    def score(y, mu, s):
        z = (math.log(y) - mu) / s
        return z / s * (1.0 + off * (part == 0)), (z * z - 1.0) / s * (1.0 + off * (part == 1))

    wrong = type("Wrong", (LogNormal,), {"score": staticmethod(score)})
    report = ff.check_family(wrong)
    assert f"(number {part} of the tuple)" in report.formulas["score"]
    assert report.formulas["observed"] == "ok"  # then taken from the log-density itself


def test_the_place_is_named():
    def score(y, mu, k, p, q):
        if y == 0.0:
            return 0.0, 0.0, 1.0 / p
        return (
            k * (y - mu) / mu / mu,
            math.log(k * y / mu) + 1.0 - y / mu,
            -1.0 / q,
        )  # the digamma function is forgotten

    report = ff.check_family(type("Wrong", (GammaWithZeros,), {"score": staticmethod(score)}))
    assert len(report.problems) == 1
    assert "(number 1 of the tuple)" in report.problems[0]
    for word in ("y = ", "mu = ", "k = ", "pi = "):
        assert word in report.problems[0]


def test_the_points_of_the_user_are_taken():
    wrong_above = family(score=lambda y, mu: ((y - mu) / mu**2 * (1.0 if y < 3.0 else 2.0),))
    assert ff.check_family(wrong_above, y=[0.5, 2.0], theta=[1.0, 2.0]).ok
    report = ff.check_family(wrong_above, y=[0.5, 4.0], theta=[(1.0,)])
    assert "at y = 4, mu = 1, but" in report.problems[0]
    assert "1 of 2 comparisons fail" in report.problems[0]


def test_tolerance():
    slightly = family(score=lambda y, mu: ((y - mu) / mu**2 * (1 + 1e-5),))
    assert ff.check_family(slightly, tolerance=1e-4).ok
    assert not ff.check_family(slightly, tolerance=1e-8).ok


def test_a_large_sum_is_left_to_draws():
    wrong = type("Wrong", (NoisyNegativeBinomial,), {"fisher": staticmethod(lambda mu, alpha: (1.0 / mu, 0.0, 1.0))})
    report = ff.check_family(wrong, theta=[(1e3, 5.0)])
    assert report.formulas["density"] == "not checked"
    assert "could not be summed" in report.notes[0]
    assert report.problems[0].startswith("fisher")


def test_a_formula_that_cannot_be_compiled_is_said_to_be_so():
    report = ff.check_family(family(score=lambda y, mu: (math.fsum((y, -mu)) / mu**2,)))
    assert report.ok
    assert report.formulas["compiled"].startswith("not compiled, runs as plain Python: score (Unknown attribute 'fsum'")
    assert "hundred times slower" in report.notes[0]


def test_compiled_code_that_differs_is_found(monkeypatch):
    from fisherfit import _jit

    true = _jit.compile_kernel
    monkeypatch.setattr(_jit, "compile_kernel", lambda f, cached: lambda *a: true(f, cached)(*a) * (1 + 1e-5))
    report = ff.check_family(family())
    assert "(log_density), but plain Python gives" in report.formulas["compiled"]


def test_what_is_no_problem_is_noted():
    closed = type("Closed", (LogNormal,), {"support": ff.Support(0.0)})
    assert "declare lower_open=True" in ff.check_family(closed).notes[0]
    no_mean = type("NoMean", (LogNormal,), {"mean": ff.Family.mean})
    report = ff.check_family(no_mean)
    assert report.ok
    assert report.formulas["mean"] == "not given: mu stands for it"
    assert "define mean" in report.notes[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"theta": [(1.0, 2.0)]}, "one number each"),
        ({"theta": []}, "one number each"),
        ({"theta": [math.nan]}, "finite"),
        ({"theta": [-1.0]}, "mu = -1 lies outside its support, 'positive'"),
        ({"y": [-1.0]}, "y = -1, but the poisson family needs y to be at least 0"),
        ({"y": []}, "no y"),
        ({"y": [math.inf]}, "y = inf"),
        ({"tolerance": 0.0}, "tolerance must be a number between 0 and 1"),
        ({"tolerance": None}, "tolerance must be"),
    ],
)
def test_wrong_points_are_refused(arguments, words):
    with pytest.raises(ff.InputError, match=words):
        ff.check_family("poisson", **arguments)


def test_unknown_families_are_refused():
    with pytest.raises(ff.InputError, match="is not a family"):
        ff.check_family("poison")
    with pytest.raises(ff.InputError, match="has no log_density"):
        ff.check_family(type("Empty", (ff.Family,), {}))


def test_a_family_of_a_script(tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
        import math
        import fisherfit as ff

        HALF = 0.5

        class Rayleigh(ff.Family):
            parameters = {"sigma": "positive"}
            support = ff.Support(0.0, lower_open=True)

            def log_density(y, sigma):
                return math.log(y) - 2.0 * math.log(sigma) - HALF * (y / sigma) ** 2

            def score(y, sigma):
                return ((2.0 - (y / sigma) ** 2) / sigma,)

        print(ff.check_family(Rayleigh))
        """)
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "family rayleigh: 1 problem\n" in done.stdout
    assert "always -1 times that" in done.stdout
    assert "mean         not given: sigma stands for it" in done.stdout
    assert "compiled     ok" in done.stdout
