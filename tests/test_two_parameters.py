"""Families of two parameters against mpmath: log-density, score and observed information far from the usual range."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize

import fisherfit as ff
from fisherfit import bessel

from . import oracles


def exact(log_density, theta, digits):
    """A log-density with its two first and three second derivatives, by differences at many digits."""
    with mp.workdps(digits):
        a, b = (mp.mpf(t) for t in theta)
        h, k = ((abs(t) or mp.mpf(1)) * mp.mpf(10) ** (-digits // 4) for t in (a, b))
        f = {(i, j): log_density(a + i * h, b + j * k) for i, j in itertools.product((-1, 0, 1), repeat=2)}
        first = (f[1, 0] - f[-1, 0]) / (2 * h), (f[0, 1] - f[0, -1]) / (2 * k)
        second = (
            (2 * f[0, 0] - f[1, 0] - f[-1, 0]) / h**2,
            (f[1, -1] + f[-1, 1] - f[1, 1] - f[-1, -1]) / (4 * h * k),
            (2 * f[0, 0] - f[0, 1] - f[0, -1]) / k**2,
        )
        return f[0, 0], first, second


def misses(family, y, theta, log_density, factor=1.0, tolerance=1e-12, lost=0.0):
    """Where formulas, times `factor`, are off by more than the tolerance in units of the information.

    `lost` is the rounding of y itself, or of y - mu, in the units of the first parameter.
    """
    arguments = (theta[0], 1.0 - theta[0], theta[1]) if family.name == "beta" else theta
    arguments += family.constants
    value, first, second = exact(log_density, theta, 160)
    fisher = family.fisher(*arguments)
    size = math.sqrt(fisher[0]), math.sqrt(fisher[2])
    drift = lost * size[0]  # standard deviations
    got = family.log_density(y, *arguments), *family.score(y, *arguments), *family.observed(y, *arguments)
    scales = 1.0, size[0], size[1], size[0] ** 2, size[0] * size[1], size[1] ** 2
    out = []
    for i, (a, true, scale) in enumerate(zip(got, (value, *first, *second), scales, strict=True)):
        allowed = tolerance * max(abs(float(true)), scale) + drift * max(abs(float(true)), scale)
        if not abs(factor * a - true) <= allowed:
            out.append((i, a, float(true), float(abs(a - true)) / scale))
    return out


@pytest.mark.parametrize("df", [0.3, 1.0, 5.0, 200.0, 1e6, 1e12])
def test_student_t(df):
    family = ff.StudentT(df)
    for mu, sigma, r in itertools.product((-3.0, 0.0, 1e4), (1e-5, 1.0, 1e5), (-1e9, -30.0, -1.0, 0.0, 0.1, 4.0)):
        y = mu + sigma * r

        def log_density(m, s, y=y):
            return oracles.two_parameters("student_t", mp.mpf(y), (m, s, mp.mpf(df)))

        lost = 2.0**-52 * (abs(y) + abs(mu))
        assert misses(family, y, (mu, sigma), log_density, 1.0, 2e-13, lost) == [], (mu, sigma, r)
        assert misses(family, y, (mu, sigma), log_density, 1.0 + 1e-6, 2e-13, lost) or r == 0.0


def test_student_t_far_from_the_location():
    family = ff.StudentT(3.0)
    for y in (1e120, -1e200, 1e300):
        slope, spread = family.score(y, 0.0, 1.0, 3.0)
        assert slope == pytest.approx(4.0 / y, rel=1e-14)
        assert spread == pytest.approx(3.0, rel=1e-14)
        assert family.observed(y, 0.0, 1.0, 3.0)[2] == pytest.approx(3.0, rel=1e-14)
        assert family.log_density(y, 0.0, 1.0, 3.0) == pytest.approx(
            float(oracles.two_parameters("student_t", mp.mpf(y), (0, 1, mp.mpf(3)))), rel=1e-14
        )


@pytest.mark.parametrize("phi", [1e-3, 0.1, 1.0, 30.0, 1e4, 1e8, 1e12])
def test_beta(phi):
    for mu in (1e-6, 0.25, 0.5, 0.9375):
        spread = math.sqrt(mu * (1.0 - mu) / (1.0 + phi))
        for y in {mu, 1e-9, 0.5, 0.999, *(mu + t * spread for t in (-2.0, 1.5))}:
            if not 0.0 < y < 1.0:
                continue

            def log_density(m, f, y=y):
                return oracles.two_parameters("beta", mp.mpf(y), (m, 1 - m, f))

            assert misses(ff.Beta(), y, (mu, phi), log_density, 1.0, 4e-13, 2.0**-52 * max(y, mu)) == [], (mu, y)
            assert misses(ff.Beta(), y, (mu, phi), log_density, 1.0 + 1e-6, 4e-13, 2.0**-52 * max(y, mu))


@pytest.mark.parametrize("kappa", [1e-8, 1e-3, 0.3, 2.0, 7.0, 19.99, 20.01, 300.0, 1e8])
def test_von_mises(kappa):
    spread = min(1.0, 1.0 / math.sqrt(kappa))
    for mu, t in itertools.product((-3.0, 0.0, 40.0), (-3.0, -1.0, 0.0, 0.3, 2.0)):
        y = mu + t * spread

        def log_density(m, k, y=y):
            return oracles.two_parameters("von_mises", mp.mpf(y), (m, k))

        lost = 2.0**-52 * (abs(y) + abs(mu))
        assert misses(ff.VonMises(), y, (mu, kappa), log_density, 1.0, 1e-12, lost) == [], (mu, y)
        assert misses(ff.VonMises(), y, (mu, kappa), log_density, 1.0 + 1e-6, 1e-12, lost)
        turn = ff.VonMises.log_density(y + 2.0 * math.pi, mu, kappa)
        assert turn == pytest.approx(ff.VonMises.log_density(y, mu, kappa), abs=1e-13 * (1.0 + kappa))


def test_bessel_functions():
    for kappa in [*np.geomspace(1e-300, 1e-2, 20), *np.linspace(0.05, 40.0, 400), *np.geomspace(40.0, 1e300, 40)]:
        with mp.workdps(60):
            k = mp.mpf(float(kappa))
            if kappa < 1e10:
                ratio = mp.besseli(1, k) / mp.besseli(0, k)
                value, slope = mp.log(mp.besseli(0, k)) - k, 1 - ratio / k - ratio**2
            else:
                value, ratio, slope = -mp.log(2 * mp.pi * k) / 2 + 1 / (8 * k), 1 - 1 / (2 * k), 1 / (2 * k * k)
        got = bessel.bessel_ratio(float(kappa))
        assert bessel.log_bessel_i0(float(kappa)) == pytest.approx(float(value), rel=1e-15, abs=1e-15)
        assert got[0] == pytest.approx(float(ratio), rel=5e-16)
        assert got[1] == pytest.approx(float(1 - ratio), rel=1e-14 if kappa < 20.0 else 1e-15)
        assert got[2] == pytest.approx(float(slope), rel=3e-13 if kappa < 20.0 else 2e-15)


def test_von_mises_distribution_function():
    """In both tails, and for responses on another turn."""
    family = ff.VonMises()
    for kappa, turn in itertools.product((1e-8, 0.7, 30.0, 1e6), (-3.0, -0.6, -0.002, 0.0, 0.4, 2.9)):
        with mp.workdps(30):
            k = mp.mpf(kappa)
            edges = [-mp.pi, *sorted({t for t in (-10 / mp.sqrt(k), -4 / mp.sqrt(k)) if -mp.pi < t < turn}), turn]
            below = mp.quad(lambda x, k=k: mp.exp(k * (mp.cos(x) - 1)), edges)
            true = below / (2 * mp.pi * mp.besseli(0, k) * mp.exp(-k))
        value = float(family.cdf(1.0 + turn, 1.0, kappa))
        assert value == pytest.approx(float(true), rel=1e-9, abs=1e-30)
        assert float(family.cdf(1.0 + turn + 4.0 * math.pi, 1.0, kappa)) == pytest.approx(value, rel=1e-7, abs=1e-30)


@pytest.mark.parametrize("family", [ff.Normal(), ff.Gamma(), ff.InverseGaussian()], ids=repr)
def test_the_dispersion_as_a_parameter(family):
    """For gamma shapes of up to 1e12 too."""
    both = family.with_dispersion()
    for phi, mu in itertools.product((1e-12, 1e-6, 0.01, 1.0, 50.0), (0.01, 3.0, 1e4)):
        spread = math.sqrt(family.variance(mu, phi))
        for y in {max(mu + t * spread, 0.1 * mu) for t in (-1.5, 0.0, 0.1, 2.0)}:

            def log_density(m, f, y=y):
                return oracles.kernel(family.name, y, (m,)) / f + oracles.rest(family.name, y, f)

            lost = 2.0**-52 * (y + mu)
            assert misses(both, y, (mu, phi), log_density, 1.0, 1e-12, lost) == [], (mu, phi, y)
            assert misses(both, y, (mu, phi), log_density, 1.0 + 1e-6, 1e-12, lost) or phi == 1e-12


# as models


RNG = np.random.default_rng(20260301)
N = 200
X = RNG.normal(size=(N, 2))
ETA = 0.3 + X @ [0.5, -0.2]
MU = 1.0 / (1.0 + np.exp(-ETA))
DATA = {
    ff.StudentT(4.0): ETA + 0.7 * RNG.standard_t(4.0, N),
    ff.Beta(): RNG.beta(12.0 * MU, 12.0 * (1.0 - MU)),
    ff.VonMises(): np.mod(ETA + RNG.vonmises(0.0, 3.0, N), 2.0 * math.pi),
    ff.Normal().with_dispersion(): ETA + 0.3 * RNG.normal(size=N),
    ff.Gamma().with_dispersion(): RNG.gamma(3.0, np.exp(ETA) / 3.0),
    ff.InverseGaussian().with_dispersion(): RNG.wald(np.exp(ETA), 4.0),
}


@pytest.mark.parametrize(("family", "y"), list(DATA.items()), ids=lambda v: repr(v) if isinstance(v, ff.Family) else "")
def test_regressions_reach_the_maximum_that_scipy_finds(family, y):
    weight = RNG.integers(0, 4, N).astype(float)
    model = ff.GLM(family, weight_type="frequency").fit(X, y, sample_weight=weight)
    link = model.result_.links[0]
    unit = family.name == "beta"

    def rows(theta):
        eta = theta[0] + X @ theta[1:3]
        mu = {"identity": eta, "log": np.exp(eta), "logit": 1.0 / (1.0 + np.exp(-eta))}[link]
        for v, f, m in zip(y.tolist(), weight.tolist(), mu.tolist(), strict=True):
            if f:
                yield v, f, ((m, 1.0 - m) if unit else (m,))

    def minus(theta):
        second = math.exp(theta[3])
        terms = (f * family.log_density(v, *m, second, *family.constants) for v, f, m in rows(theta))
        return -math.fsum(terms)

    at = np.append(model.result_.coefficients[:3], math.log(model.result_.coefficients[3]))
    assert model.converged_
    assert model.result_.llf == pytest.approx(-minus(at), rel=1e-12)
    found = optimize.minimize(minus, at + 0.05, method="BFGS", options={"gtol": 1e-6})
    assert -found.fun <= model.result_.llf + 1e-9
    np.testing.assert_allclose(found.x, at, atol=2e-6)
    # information at the maximum by differences of the log-density: the observed one
    h, e = 1e-4, np.eye(4)
    hessian = np.array([
        [(minus(at + h * (a + b)) - minus(at + h * (a - b)) - minus(at - h * (a - b)) + minus(at - h * (a + b)))
         / (4 * h * h) for b in e] for a in e
    ])  # fmt: skip
    observed = ff.GLM(family, weight_type="frequency", cov_type="observed").fit(X, y, sample_weight=weight)
    bse = np.sqrt(np.diag(np.linalg.inv(hessian)))
    bse[3] *= math.exp(at[3])
    np.testing.assert_allclose(observed.result_.bse, bse, rtol=1e-5)
    np.testing.assert_allclose(model.result_.bse, bse, rtol=0.35)


def test_weights_multiply_rows_and_do_not_divide_the_dispersion():
    family, y = ff.Gamma().with_dispersion(), DATA[ff.Gamma().with_dispersion()]
    weight = RNG.integers(1, 4, N)
    weighted = ff.GLM(family).fit(X, y, sample_weight=weight)
    repeated = ff.GLM(family).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.result_.params, repeated.result_.params, rtol=1e-10)
    assert weighted.result_.llf == pytest.approx(repeated.result_.llf, rel=1e-12)


def test_the_mean_is_that_of_the_family_it_was_made_from():
    y = DATA[ff.Gamma().with_dispersion()]
    one = ff.GLM("gamma", dispersion="ml").fit(X, y)
    two = ff.GLM(ff.Gamma().with_dispersion()).fit(X, y)
    np.testing.assert_allclose(two.coef_, one.coef_, rtol=1e-9)
    assert two.result_.params["phi"] == pytest.approx(one.dispersion_, rel=1e-9)
    assert two.result_.llf == pytest.approx(one.result_.llf, rel=1e-12)


@pytest.mark.parametrize("family", list(DATA), ids=repr)
def test_starts_take_weights(family):
    y = DATA[family]
    weight = np.where(np.arange(N) < 120, 1.0, 0.0)
    np.testing.assert_allclose(family.start(y, weight), family.start(y[:120], np.ones(120)), rtol=1e-12)
    tiny = family.start(y, 1e-9 * weight)
    np.testing.assert_allclose(tiny, family.start(y, weight), rtol=1e-9)
    for constant in (family.start(y[:1], np.ones(1)), family.start(np.repeat(y[:1], 5), np.ones(5))):
        assert all(math.isfinite(v) for v in constant)
        assert constant[1] > 0.0
