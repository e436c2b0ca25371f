"""Geometry: F is the Hessian of KL, the covariance of the score and minus the mean Hessian, by independent means."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

import fisherfit as ff
from fisherfit.errors import InputError, InputTypeError
from fisherfit.families import FAMILIES
from fisherfit.geometry.distribution import of
from fisherfit.geometry.divergences import kl_by_integral
from fisherfit.geometry.information import fisher_by_integral, information
from fisherfit.geometry.quadrature import integrate
from fisherfit.geometry.regions import subject_of

G = ff.geometry
D = G.Distribution


class Weibull(ff.Family):
    """By its log-density only: everything is derived."""

    parameters = {"scale": "positive", "shape": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, scale, shape):
        z = math.log(y / scale)
        return math.log(shape / y) + shape * z - math.exp(shape * z)


NB, NBA = ff.NegativeBinomial(), ff.NegativeBinomial(alpha=0.3)
POINTS = [
    D("normal", mu=-1.3), D("normal", mu=0.7, phi=2.3), D("normal", mu=5.0, phi=0.04), D("normal", mu=0.7, sigma=1.7),
    D("binomial", mu=0.2), D("bernoulli", mu=0.9), D("binomial", mu=0.35, trials=11), D("binomial", mu=0.97, trials=3),
    D("poisson", mu=0.3), D("poisson", mu=41.0), D("gamma", mu=2.0), D("gamma", mu=2.0, phi=0.3),
    D("gamma", mu=0.5, phi=3.0), D("exponential", mu=3.0), D("inverse_gaussian", mu=2.0),
    D("inverse_gaussian", mu=0.8, phi=0.5), D("geometric", mu=0.6), D("geometric", mu=14.0), D(NBA, mu=4.0),
    D(ff.NegativeBinomial(alpha=0.0), mu=4.0), D(NB, mu=4.0, alpha=0.5), D(NB, mu=0.7, alpha=2.0), D("tweedie", mu=2.0),
    D(ff.Tweedie(1.2), mu=0.6), D("tweedie", mu=1.5, phi=0.8), D("student_t", mu=0.4, sigma=1.5),
    D(ff.StudentT(1.0), mu=-2.0, sigma=0.3), D("beta", mu=0.3, phi=5.0), D("beta", mu=0.6, phi=3.4),
    D("von_mises", mu=0.5, kappa=2.0), D("von_mises", mu=-3.0, kappa=40.0), D(Weibull(), scale=2.0, shape=1.5),
]  # fmt: skip
SLOW = ("tweedie", "weibull")


def cases(points=POINTS):
    return [pytest.param(p, id=repr(p)) for p in points]


def moved(p, d):
    return of(p.family, [v + s for v, s in zip(p.theta, d, strict=True)])


def size_of(f):
    """Steps along which the information is 1."""
    return 1.0 / np.sqrt(np.diag(f))


def hessian_of_kl(p, kl, f):
    """Second derivatives of KL(p || .) at p, by Richardson's extrapolation of central differences."""
    k, unit = len(p.theta), size_of(f)
    subject = subject_of(p.family)
    reach = np.array([min(unit[i], subject.reach(p.theta, i)) for i in range(k)])

    def second(h, i, j):
        a, b = np.zeros(k), np.zeros(k)
        a[i], b[j] = h * reach[i], h * reach[j]
        if i == j:
            return (kl(moved(p, a)) + kl(moved(p, -a))) / a[i] ** 2
        corners = kl(moved(p, a + b)) - kl(moved(p, a - b)) - kl(moved(p, b - a)) + kl(moved(p, -a - b))
        return corners / (4.0 * a[i] * b[j])

    out = np.empty((k, k))
    for i in range(k):
        for j in range(i, k):
            row = [second(0.1 * 2.0**-m, i, j) for m in range(5)]
            for m in range(1, 5):
                row = [(4.0**m * b - a) / (4.0**m - 1.0) for a, b in itertools.pairwise(row)]
            out[i, j] = out[j, i] = row[0]
    return out


def test_the_points_are_of_every_family():
    names = {getattr(p.family, "of", p.family).name for p in POINTS}
    assert set(FAMILIES) <= names
    with_dispersion = {type(p.family.of) for p in POINTS if hasattr(p.family, "of")}
    assert with_dispersion == {cls for cls in FAMILIES.values() if cls.has_dispersion}


@pytest.mark.parametrize("p", cases())
def test_information_is_the_hessian_of_kl(p):
    f = G.fisher_information(p)
    hessian = hessian_of_kl(p, lambda q: G.kl_divergence(p, q), f)
    scale = np.outer(1.0 / size_of(f), 1.0 / size_of(f))
    assert np.abs(hessian - f).max() <= 1e-8 * scale.max()
    assert (np.abs(hessian - f) <= 1e-8 * scale).all()
    assert (np.abs(hessian * (1 + 1e-6) - f) > 1e-8 * scale).any()


@pytest.mark.parametrize("p", cases())
def test_information_is_the_covariance_of_the_score_and_minus_the_mean_hessian(p):
    f = G.fisher_information(p)
    scale = np.outer(1.0 / size_of(f), 1.0 / size_of(f))
    np.testing.assert_allclose(fisher_by_integral(p) / scale, f / scale, rtol=0.0, atol=1e-9)
    observed, arguments = p.family.formulas().observed, subject_of(p.family).arguments(p.theta)
    phi = getattr(p.family, "trials", 1.0)
    assert phi >= 1.0
    takes_tuple = getattr(observed, "takes_tuple", False)

    def at(y):
        return observed(y, arguments) if takes_tuple else observed(y, *arguments)

    def integrand(y, logs):
        density, out = np.exp(logs[0]), np.zeros((f.size - f.shape[0] * (f.shape[0] - 1) // 2, y.size))
        for i in np.flatnonzero(density):
            out[:, i] = at(float(y[i]))
        return out * density

    tolerance = 1e-8 if p.family.name != "weibull" else 1e-6  # whose second derivatives are differences
    triangle = integrate([p], integrand, tolerance=1e-11).value
    rows, columns = np.triu_indices(f.shape[0])
    assert (np.abs(triangle - f[rows, columns]) <= tolerance * scale[rows, columns]).all()


def pairs():
    """Every point with another one of its family, not near."""
    out = []
    for p in POINTS:
        unit = size_of(information(p.family, p.theta))
        d = [0.7 * min(u, subject_of(p.family).reach(p.theta, i)) for i, u in enumerate(unit)]
        out.append(pytest.param(p, moved(p, np.array(d)), id=repr(p)))
    return out


@pytest.mark.parametrize(("p", "q"), pairs())
def test_closed_forms_are_the_integrals(p, q):
    for a, b in ((p, q), (q, p)):
        kl = G.kl_divergence(a, b)
        assert kl == pytest.approx(kl_by_integral(a, b), rel=1e-10)
        assert 0.005 < kl < 20.0
    assert G.symmetrised_kl(p, q) == G.symmetrised_kl(q, p)
    assert G.kl_divergence(p, p) == 0.0


@pytest.mark.parametrize(("p", "q"), pairs()[1::2])
def test_renyi_divergences(p, q):
    """Monotone in the order, KL at order 1, skew-symmetric, Bhattacharyya and Hellinger at 1/2."""
    if p.family.name == "weibull":  # of a heavier tail from a lighter one it is infinite above order 1
        assert G.renyi_divergence(p, q, 1.0001) == math.inf
        p, q = q, p
    kl, d = G.kl_divergence(p, q), 1e-4
    around = 0.5 * (G.renyi_divergence(p, q, 1.0 - d) + G.renyi_divergence(p, q, 1.0 + d))
    assert around == pytest.approx(kl, rel=1e-6)
    half, most = G.renyi_divergence(p, q, 0.5), G.renyi_divergence(p, q, 1.1)
    assert half < kl < most
    assert 0.3 * G.renyi_divergence(q, p, 0.7) == pytest.approx(0.7 * G.renyi_divergence(p, q, 0.3), rel=1e-9)
    assert G.bhattacharyya(p, q) == pytest.approx(G.bhattacharyya(q, p), rel=1e-10)
    assert G.hellinger(p, q) ** 2 == pytest.approx(-math.expm1(-0.5 * half), rel=1e-12)


def test_kl_against_textbooks():
    p, q = D(Weibull(), scale=2.0, shape=1.5), D(Weibull(), scale=5.0, shape=0.7)
    k, m, a, b, euler = 1.5, 0.7, 2.0, 5.0, 0.5772156649015329
    exact = math.log(k / a**k) - math.log(m / b**m) + (k - m) * (math.log(a) - euler / k)
    exact += (a / b) ** m * math.gamma(m / k + 1.0) - 1.0
    assert G.kl_divergence(p, q) == pytest.approx(exact, rel=1e-12)
    for df in (2.2, 3.0, 9.0):  # a tail on which the integrand dies away slowly
        t = D(ff.StudentT(df), mu=0.0, sigma=1.0)
        exact = -float(stats.t(df).entropy()) + 0.5 * math.log(2.0 * math.pi) + 0.5 * df / (df - 2.0)
        assert G.kl_divergence(t, D("normal", mu=0.0, sigma=1.0)) == pytest.approx(exact, rel=1e-10)
    p, q = D("geometric", mu=1e5), D("geometric", mu=2e5)  # too many counts to list
    assert kl_by_integral(p, q) == pytest.approx(G.kl_divergence(p, q), rel=1e-11)


def test_what_is_infinite():
    normal, cauchy = D("normal", mu=0.0, sigma=1.0), D(ff.StudentT(1.0), mu=0.0, sigma=1.0)
    assert G.kl_divergence(cauchy, normal) == math.inf
    assert math.isfinite(G.kl_divergence(normal, cauchy))
    assert G.kl_divergence(D("binomial", mu=0.5, trials=5), D("binomial", mu=0.5, trials=4)) == math.inf
    assert math.isfinite(G.kl_divergence(D("binomial", mu=0.5, trials=4), D("binomial", mu=0.5, trials=5)))
    wide, narrow = D("normal", mu=0.0, sigma=3.0), D("normal", mu=0.0, sigma=1.0)
    assert G.renyi_divergence(wide, narrow, 2.0) == math.inf
    assert G.renyi_divergence(narrow, wide, 2.0) < math.inf


def test_two_gaussians_of_the_article():
    """Four apart, with variance 2 and with 0.5: the Euclidean distance is the same, the divergence is not."""
    wide, narrow = ([D("normal", mu=m, phi=v) for m in (-2.0, 2.0)] for v in (2.0, 0.5))
    euclid = [math.dist(a.theta, b.theta) for a, b in (wide, narrow)]
    assert euclid[0] == euclid[1] == 4.0
    assert (G.kl_divergence(*wide), G.kl_divergence(*narrow)) == (4.0, 16.0)
    assert kl_by_integral(*narrow) == pytest.approx(16.0, rel=1e-12)


# parametrisations


@pytest.mark.parametrize("p", cases([p for p in POINTS if p.family.name not in SLOW]))
def test_jacobian_rule(p):
    """F in other coordinates is the Hessian of KL in them; the step's divergence does not depend on coordinates."""
    f = G.fisher_information(p)
    links = {name: {"positive": "log", "unit": "logit", "real": "identity", "nonnegative": "sqrt"}[s]
             for name, s in p.family.parameters.items()}  # fmt: skip
    slopes = np.array([{"log": v, "logit": v * (1.0 - v), "identity": 1.0, "sqrt": 2.0 * math.sqrt(abs(v))}[link]
                       for v, link in zip(p.theta, links.values(), strict=True)])  # fmt: skip
    if 0.0 in slopes:
        return
    exact = f * np.outer(slopes, slopes)
    np.testing.assert_allclose(G.fisher_information(p, parametrisation=links), exact, rtol=1e-12)

    def same(t):
        maps = {"log": np.log, "logit": lambda v: np.log(v / (1.0 - v)), "identity": float, "sqrt": np.sqrt}
        return np.array([maps[link](v) for v, link in zip(t, links.values(), strict=True)])

    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    np.testing.assert_allclose(G.fisher_information(p, None, same) / scale, exact / scale, rtol=0.0, atol=1e-9)
    d = 1e-3 * np.ones(len(p.theta)) * slopes
    assert G.second_order(p, None, d) == pytest.approx(G.second_order(p, None, d / slopes, links), rel=1e-12)


def test_a_map_that_mixes_parameters():
    """(mu, sigma) of a gamma distribution by (log shape, log scale): against the textbook's matrix."""
    from scipy.special import polygamma

    p = D("gamma", mu=3.0, phi=0.4)
    f = G.fisher_information(p, None, lambda t: [1.0 / t[1], t[0] * t[1]])  # shape and scale
    a, s = 2.5, 1.2
    np.testing.assert_allclose(f, [[float(polygamma(1, a)), 1.0 / s], [1.0 / s, a / s**2]], rtol=1e-10)


def test_second_order_is_the_divergence_of_a_small_step():
    p = D("beta", mu=0.3, phi=5.0)
    for h in (1e-2, 1e-3):
        d = np.array([0.1, 1.0]) * h
        assert G.kl_divergence(p, moved(p, d)) == pytest.approx(G.second_order(p, None, d), rel=2.0 * h)
    assert G.second_order("poisson", [4.0], [0.1]) == pytest.approx(0.00125, rel=1e-15)


# exponential families

EXPONENTIAL = [
    p for p in POINTS
    if p.family.name not in ("student_t", "weibull", "tweedie_dispersed") and p.family != NB
]  # fmt: skip


@pytest.mark.parametrize("p", cases(EXPONENTIAL))
def test_natural_and_expectation_parameters(p):
    natural, expectation = G.natural_parameters(p), G.expectation_parameters(p)
    assert G.from_natural(p.family, natural).theta == pytest.approx(p.theta, rel=1e-12)
    assert G.from_expectation(p.family, expectation).theta == pytest.approx(p.theta, rel=1e-9)
    k = natural.size
    f = G.fisher_information(p, None, "natural")
    dual = G.fisher_information(p, None, "expectation")
    np.testing.assert_allclose(f @ dual, np.eye(k), atol=1e-7 * np.linalg.cond(f) ** 0.5)
    h = 0.02 / np.sqrt(np.diag(f))
    h = np.minimum(h, 0.02 * np.abs(natural) + 1e-300) if (natural != 0.0).all() else h

    def a(t):
        return G.log_partition(p.family, t)

    def slope(function, i):
        """The derivative along one coordinate, by eighth-order differences."""
        weights = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
        e = np.eye(k)[i] * h[i]
        return sum(w * (function(natural + j * e) - function(natural - j * e)) for j, w in enumerate(weights, 1)) / h[i]

    gradient = np.array([slope(a, i) for i in range(k)])
    np.testing.assert_allclose(gradient, expectation, rtol=1e-8, atol=1e-8 * np.abs(expectation).max())

    def mean(t, j):
        return G.expectation_parameters(G.from_natural(p.family, t))[j]

    hessian = np.array([[slope(lambda t, j=j: mean(t, j), i) for j in range(k)] for i in range(k)])
    scale = np.sqrt(np.outer(np.diag(f), np.diag(f)))
    np.testing.assert_allclose(hessian / scale, f / scale, atol=1e-8)


@pytest.mark.parametrize("p", cases(EXPONENTIAL[::2]))
def test_legendre_duality(p):
    """KL(p || q) is A(q) - A(p) - (theta_q - theta_p)'eta_p: a Bregman divergence (Amari, 2016, section 1.5)."""
    q = moved(p, np.array([0.3 * subject_of(p.family).reach(p.theta, i) for i in range(len(p.theta))]))
    s, t = G.natural_parameters(p), G.natural_parameters(q)
    bregman = G.log_partition(q.family, t) - G.log_partition(p.family, s) - (t - s) @ G.expectation_parameters(p)
    assert bregman == pytest.approx(G.kl_divergence(p, q), rel=1e-8, abs=1e-12)


def test_fit_by_expectation_parameters_is_the_maximum():
    """The maximum-likelihood member has the means of the sample."""
    y = np.random.default_rng(3).beta(2.0, 5.0, 400)
    fit = G.from_expectation("beta", [np.log(y).mean(), np.log1p(-y).mean()])
    a, b, _, _ = stats.beta.fit(y, floc=0.0, fscale=1.0)
    assert fit.theta == pytest.approx((a / (a + b), a + b), rel=1e-4)
    y = np.random.default_rng(4).gamma(3.0, 2.0, 300)
    fit = G.from_expectation("gamma", [np.log(y).mean(), y.mean()])
    a, _, _ = stats.gamma.fit(y, floc=0.0)
    assert fit.theta == pytest.approx((y.mean(), 1.0 / a), rel=1e-5)


# errors


def test_what_is_refused():
    p = D("poisson", mu=2.0)
    with pytest.raises(InputError, match="mu is missing"):
        D("poisson")
    with pytest.raises(InputError, match="'sigma' is no parameter"):
        D("gamma", mu=1.0, sigma=2.0)
    with pytest.raises(InputError, match="mu = -1 lies outside"):
        D("poisson", mu=-1.0)
    with pytest.raises(InputTypeError, match="expected a number"):
        D("poisson", mu="2")
    with pytest.raises(InputError, match="whole number"):
        D("binomial", mu=0.5, trials=2.5)
    with pytest.raises(InputError, match="no common responses"):
        G.kl_divergence(p, D("normal", mu=2.0))
    with pytest.raises(InputTypeError, match="expected a Distribution"):
        G.kl_divergence(p, 2.0)
    with pytest.raises(InputError, match="order"):
        G.renyi_divergence(p, p, 0.0)
    with pytest.raises(InputError, match="'nu' is no parameter"):
        G.fisher_information(p, None, {"nu": "log"})
    with pytest.raises(InputError, match="not known"):
        G.fisher_information(p, None, "dual")
    with pytest.raises(InputError, match="invertible"):
        G.fisher_information("normal", {"mu": 1.0, "sigma": 2.0}, lambda t: [t[0], t[0]])
    with pytest.raises(InputError, match="must return 2 numbers"):
        G.fisher_information("normal", {"mu": 1.0, "sigma": 2.0}, lambda t: [t[0]])
    with pytest.raises(InputError, match="no natural parameters"):
        G.natural_parameters("student_t", [0.0, 1.0])
    with pytest.raises(InputError, match="outside the natural parameters"):
        G.from_natural("gamma", [1.0, 2.0])
    with pytest.raises(InputError, match="no member"):
        G.from_expectation("normal", [2.0, 3.0])
    with pytest.raises(InputError, match="2 finite numbers"):
        G.from_natural("beta", [1.0])
    with pytest.raises(InputError, match="no path of one family"):
        G.fisher_rao_distance(p, D("geometric", mu=2.0))


def test_a_density_that_is_none():
    class Half(ff.Family):
        @staticmethod
        def log_density(y, mu):
            return -0.5 * (y - mu) ** 2 - 1.6

    with pytest.raises(InputError, match=r"integrates to 0\.506"):
        G.kl_divergence(D(Half(), mu=0.0), D(Half(), mu=1.0))
    with pytest.raises(InputError, match="check_family"):
        G.fisher_information(Half(), [0.0])
