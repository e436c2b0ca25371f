"""Fisher-Rao distances: known values, laws of a metric, invariance, geodesics found numerically."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

import fisherfit as ff
from fisherfit.errors import InputError
from fisherfit.geometry.batched import batched
from fisherfit.geometry.information import information
from fisherfit.geometry.paths import find_geodesic, line_length

G = ff.geometry
D = G.Distribution
NB = ff.NegativeBinomial()


class Logistic(ff.Family):
    """By its log-density only; its geometry is a hyperbolic half-plane."""

    parameters = {"mu": "real", "s": "positive"}

    @staticmethod
    def log_density(y, mu, s):
        z = abs(y - mu) / s
        return -z - 2.0 * math.log1p(math.exp(-z)) - math.log(s)


class Maxwell(ff.Family):
    """One parameter, by its log-density only: the information is 6 / a^2."""

    parameters = {"a": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, a):
        return 0.5 * math.log(2.0 / math.pi) + 2.0 * math.log(y) - 3.0 * math.log(a) - 0.5 * (y / a) ** 2


def test_known_distances_of_one_parameter():
    def d(name, a, b, **constants):
        return G.fisher_rao_distance(D(name, mu=a, **constants), D(name, mu=b, **constants))

    assert d("poisson", 1.0, 9.0) == pytest.approx(4.0, rel=1e-15)
    assert d("binomial", 0.1, 0.8, trials=7) == pytest.approx(
        2.0 * math.sqrt(7.0) * (math.asin(math.sqrt(0.8)) - math.asin(math.sqrt(0.1))), rel=1e-14
    )
    assert d("exponential", 2.0, 5.0) == pytest.approx(math.log(2.5), rel=1e-15)
    assert d("gamma", 2.0, 5.0) == pytest.approx(math.log(2.5), rel=1e-15)
    assert d("normal", -1.0, 2.5) == 3.5
    assert d("geometric", 1.0, 4.0) == pytest.approx(2.0 * (math.asinh(2.0) - math.asinh(1.0)), rel=1e-14)
    assert d("inverse_gaussian", 1.0, 4.0) == pytest.approx(1.0, rel=1e-15)
    p, q = D(Maxwell(), a=2.0), D(Maxwell(), a=5.0)
    assert G.fisher_rao_distance(p, q) == pytest.approx(math.sqrt(6.0) * math.log(2.5), rel=1e-9)
    assert G.geodesic(p, q, 3)[1].theta[0] == pytest.approx(math.sqrt(10.0), rel=1e-8)


LINES = [("poisson", 0.3, 40.0), ("bernoulli", 0.02, 0.7), ("gamma", 0.3, 40.0), ("inverse_gaussian", 0.3, 4.0),
         ("geometric", 0.2, 50.0), (ff.NegativeBinomial(alpha=0.3), 0.2, 50.0), ("tweedie", 0.4, 7.0),
         (ff.Tweedie(1.2), 0.4, 7.0), (ff.NegativeBinomial(alpha=0.0), 1.0, 9.0)]  # fmt: skip


@pytest.mark.parametrize(("family", "a", "b"), LINES, ids=str)
def test_one_parameter_is_the_integral_of_the_root_of_the_information(family, a, b):
    p, q = D(family, mu=a), D(family, mu=b)
    true = integrate.quad(lambda m: math.sqrt(information(p.family, (m,))[0, 0]), a, b, epsabs=0.0, epsrel=1e-11)[0]
    d = G.fisher_rao_distance(p, q)
    assert d == pytest.approx(true, rel=1e-9)
    assert line_length(p.family, a, b) == pytest.approx(d, rel=1e-10)
    path = G.geodesic(p, q, 5)
    assert (path[0], path[-1]) == (p, q)
    for before, after in itertools.pairwise(path):
        assert G.fisher_rao_distance(before, after) == pytest.approx(0.25 * d, rel=1e-9)


def test_normal_distances():
    """Atkinson & Mitchell (1981): one variance, one mean, and the general formula."""

    def d(m, s, n, t):
        return G.fisher_rao_distance(D("normal", mu=m, sigma=s), D("normal", mu=n, sigma=t))

    assert d(1.0, 2.0, 1.0, 6.0) == pytest.approx(math.sqrt(2.0) * math.log(3.0), rel=1e-14)
    for m, s, n, t in ((0.0, 1.0, 1.0, 1.0), (-3.0, 0.2, 4.0, 2.0), (0.0, 1.0, 1e-4, 1.0001)):
        delta = math.sqrt(((m - n) ** 2 + 2.0 * (s - t) ** 2) / ((m - n) ** 2 + 2.0 * (s + t) ** 2))
        known = math.sqrt(2.0) * math.log((1.0 + delta) / (1.0 - delta))
        assert d(m, s, n, t) == pytest.approx(known, rel=1e-9)
        phi = G.fisher_rao_distance(D("normal", mu=m, phi=s * s), D("normal", mu=n, sigma=t))
        assert phi == pytest.approx(d(m, s, n, t), rel=1e-12)


NUMERIC = [
    (D("normal", mu=0.0, sigma=1.0), D("normal", mu=4.0, sigma=2.0)),
    (D("normal", mu=-5.0, phi=1.0), D("normal", mu=5.0, phi=1.0)),
    (D("student_t", mu=0.0, sigma=1.0), D("student_t", mu=2.0, sigma=0.4)),
    (D("inverse_gaussian", mu=1.0, phi=1.0), D("inverse_gaussian", mu=4.0, phi=2.0)),
]


@pytest.mark.parametrize(("p", "q"), NUMERIC, ids=repr)
def test_numerical_geodesics_are_the_closed_ones(p, q):
    d, path = G.fisher_rao_distance(p, q), find_geodesic(p.family, p.theta, q.theta)
    assert path.length == pytest.approx(d, rel=1e-9)
    points = [r.theta for r in G.geodesic(p, q, 6)]
    np.testing.assert_allclose(path.at(np.linspace(0.0, 1.0, 6)), points, rtol=1e-5, atol=1e-6)


PAIRS = [
    (D("gamma", mu=1.0, phi=1.0), D("gamma", mu=4.0, phi=0.2)),
    (D("beta", mu=0.2, phi=4.0), D("beta", mu=0.8, phi=10.0)),
    (D("von_mises", mu=0.2, kappa=4.0), D("von_mises", mu=1.8, kappa=10.0)),
    (D("von_mises", mu=0.2, kappa=0.5), D("von_mises", mu=0.2 + math.pi, kappa=0.5)),
    (D(NB, mu=2.0, alpha=0.4), D(NB, mu=9.0, alpha=1.4)),
    *NUMERIC[:1],
]


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=repr)
def test_laws_of_a_metric(p, q):
    """Symmetry; additive along a geodesic, longer by a detour; at least as long as any chord of the Hellinger sphere."""
    d = G.fisher_rao_distance(p, q)
    assert G.fisher_rao_distance(q, p) == pytest.approx(d, rel=1e-6)
    assert G.fisher_rao_distance(p, p) == 0.0
    path = G.geodesic(p, q, 5)
    pieces = [G.fisher_rao_distance(a, b) for a, b in itertools.pairwise(path)]
    assert sum(pieces) == pytest.approx(d, rel=1e-6)
    np.testing.assert_allclose(pieces, 0.25 * d, rtol=1e-4)
    detour = ff.geometry.distribution.of(p.family, [p.theta[0], q.theta[1] * 1.5])
    assert G.fisher_rao_distance(p, detour) + G.fisher_rao_distance(detour, q) > d * (1.0 + 1e-6)
    # all densities are a sphere of radius 2 on which paths of a family are not shorter than great circles
    great_circle = 2.0 * math.acos(math.exp(-G.bhattacharyya(p, q)))
    assert d >= great_circle * (1.0 - 1e-9)


def test_near_distributions():
    """The distance is the root of twice the divergence, to first order."""
    for family, theta, step in (("beta", (0.3, 5.0), (1e-3, 0.02)), ("gamma", (2.0, 0.5), (1e-3, -1e-3))):
        p = G.distribution.as_distribution(family, theta)
        q = G.distribution.as_distribution(family, [a + b for a, b in zip(theta, step, strict=True)])
        d = G.fisher_rao_distance(p, q)
        assert d == pytest.approx(math.sqrt(G.symmetrised_kl(p, q)), rel=1e-5)


def test_opposite_directions_go_through_the_uniform_distribution():
    """Between weak von Mises distributions of opposite directions the shortest path is straight."""
    p, q = D("von_mises", mu=0.0, kappa=0.5), D("von_mises", mu=math.pi, kappa=0.5)
    straight = 2.0 * integrate.quad(lambda k: math.sqrt(information(p.family, (0.0, k))[1, 1]), 1e-12, 0.5)[0]
    assert G.fisher_rao_distance(p, q) == pytest.approx(straight, rel=1e-7)
    around = D("von_mises", mu=3.0, kappa=50.0), D("von_mises", mu=-3.0, kappa=50.0)
    turned = D("von_mises", mu=0.0, kappa=50.0), D("von_mises", mu=2.0 * math.pi - 6.0, kappa=50.0)
    assert G.fisher_rao_distance(*around) == pytest.approx(G.fisher_rao_distance(*turned), rel=1e-9)


def test_invariance_under_a_change_of_parameters():
    """A gamma family by shape and rate has the distances of that by mean and dispersion."""

    class ShapeRate(ff.Family):
        parameters = {"shape": "positive", "rate": "positive"}
        support = ff.Support(0.0, lower_open=True)

        @staticmethod
        def log_density(y, shape, rate):
            return shape * math.log(rate) - math.lgamma(shape) + (shape - 1.0) * math.log(y) - rate * y

        @staticmethod
        def score(y, shape, rate):
            from scipy.special import digamma

            return math.log(rate) - float(digamma(shape)) + math.log(y), shape / rate - y

        @staticmethod
        def fisher(shape, rate):
            from scipy.special import polygamma

            return float(polygamma(1, shape)), -1.0 / rate, shape / rate**2

    p, q = (D(ShapeRate(), shape=1.0 / phi, rate=1.0 / phi / mu) for mu, phi in ((1.0, 1.0), (4.0, 0.2)))
    assert G.fisher_rao_distance(p, q) == pytest.approx(G.fisher_rao_distance(*PAIRS[0]), rel=1e-8)
    assert G.kl_divergence(p, q) == pytest.approx(G.kl_divergence(*PAIRS[0]), rel=1e-10)


def test_a_family_without_a_formula_of_its_information():
    """The logistic family: ds^2 = {dmu^2 / 3 + (3 + pi^2) ds^2 / 9} / s^2."""
    p, q = D(Logistic(), mu=0.0, s=1.0), D(Logistic(), mu=3.0, s=1.2)
    k = (3.0 + math.pi**2) / 9.0
    x, y = 3.0 / math.sqrt(3.0 * k), 0.2
    known = math.sqrt(k) * math.acosh(1.0 + (x * x + y * y) / (2.0 * 1.2))
    assert G.fisher_rao_distance(p, q) == pytest.approx(known, rel=1e-7)


def test_tweedie_geodesics():
    p, q = D("tweedie", mu=2.0, phi=0.7), D("tweedie", mu=5.0, phi=1.7)
    d, (_, middle, _) = G.fisher_rao_distance(p, q), G.geodesic(p, q, 3)
    assert G.fisher_rao_distance(p, middle) == pytest.approx(0.5 * d, rel=1e-5)
    scaled = [D("tweedie", mu=3.0 * r.theta[0], phi=math.sqrt(3.0) * r.theta[1]) for r in (p, q)]
    assert G.fisher_rao_distance(*scaled) == pytest.approx(d, rel=1e-9)  # y in another unit


class FreeT(ff.Family):
    """Student's t with all three parameters, by its log-density only."""

    parameters = {"mu": "real", "sigma": "positive", "nu": "positive"}

    @staticmethod
    def log_density(y, mu, sigma, nu):
        z = (y - mu) / sigma
        whole = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(nu * math.pi) - math.log(sigma)
        return whole - 0.5 * (nu + 1.0) * math.log1p(z * z / nu)


class FreeTByFormula(FreeT):
    """With its information (Lange, Little & Taylor, 1989, Journal of the American Statistical Association 84)."""

    calls = [0]

    @staticmethod
    def fisher(mu, sigma, nu):
        FreeTByFormula.calls[0] += 1
        trigamma = special.polygamma(1, [0.5 * nu, 0.5 * (nu + 1.0)])
        last = 0.25 * (trigamma[0] - trigamma[1]) - (nu + 5.0) / (2.0 * nu * (nu + 1.0) * (nu + 3.0))
        return ((nu + 1.0) / (nu + 3.0) / sigma**2, 0.0, 0.0, 2.0 * nu / (nu + 3.0) / sigma**2,
                -2.0 / (sigma * (nu + 1.0) * (nu + 3.0)), float(last))  # fmt: skip


def test_three_parameters():
    ends = ({"mu": 0.0, "sigma": 1.0, "nu": 3.0}, {"mu": 2.0, "sigma": 1.5, "nu": 8.0})
    p, q = (D(FreeTByFormula(), **end) for end in ends)
    FreeTByFormula.calls[0] = 0
    path = find_geodesic(p.family, p.theta, q.theta)
    assert FreeTByFormula.calls[0] < 3500, "Newton's method looks at the metric few times"
    by_integrals = G.fisher_rao_distance(*(D(FreeT(), **end) for end in ends))
    assert by_integrals == pytest.approx(path.length, rel=1e-8)
    assert G.fisher_rao_distance(q, p) == pytest.approx(path.length, rel=1e-9)
    (middle,) = path.at(np.array([0.5]))
    halves = [find_geodesic(p.family, end.theta, middle).length for end in (p, q)]
    # the middle is interpolated on the path, whose lengths are good to more
    np.testing.assert_allclose(halves, 0.5 * path.length, rtol=1e-6)
    # the geodesic equation x'' + Gamma x'x' = 0, by differences along the path
    h = 1e-3
    before, here, after = (np.array(x) for x in path.at(np.array([0.4 - h, 0.4, 0.4 + h])))
    speed, bend = (after - before) / (2.0 * h), (after - 2.0 * here + before) / h**2
    g = information(p.family, tuple(here))
    slopes = []
    for k in range(3):
        d = 1e-4 * np.eye(3)[k] * here[k]
        slopes.append((information(p.family, tuple(here + d)) - information(p.family, tuple(here - d))) / (2.0 * d[k]))
    pull = np.einsum("kij,k,j->i", slopes, speed, speed) - 0.5 * np.einsum("kij,i,j->k", slopes, speed, speed)
    # second differences of a path on a grid of steps h: their own error is of order h^2
    np.testing.assert_allclose(g @ bend, -pull, rtol=1e-3, atol=1e-3 * np.abs(pull).max())


def test_a_log_density_that_cannot_be_compiled():
    class Uncompilable(Logistic):
        @staticmethod
        def log_density(y, mu, s):
            return float(stats.logistic.logpdf(y, mu, s))

    assert batched(Uncompilable()) is None
    assert batched(Logistic()) is not None
    theta = (0.3, 1.7)
    fast, slow = batched(Logistic()).near(theta, [])[0], information(Logistic(), theta)
    np.testing.assert_allclose(fast, slow, rtol=1e-8, atol=1e-10)


def test_geodesic_of_what_is_wrong():
    p = D("gamma", mu=1.0, phi=1.0)
    with pytest.raises(InputError, match="n must be"):
        G.geodesic(p, p, 1)
    assert G.geodesic(p, p, 3) == [p, p, p]
