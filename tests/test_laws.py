"""Laws that every registered family obeys: its density sums to 1, the score has mean 0 and the Fisher information as
variance, the observed information has the Fisher information as mean; the moments, the sampler, the distribution
function and its inverse agree with the density. A family earns these tests by being in the registry."""

import itertools
import math
from functools import cache

import numpy as np
import pytest

from fisherfit.families import (
    FAMILIES,
    ExponentialDispersion,
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    StudentT,
    Tweedie,
)
from fisherfit.kernels import OBSERVED, VALUE, kernels_of
from fisherfit.links import get_link

LAW = 1e-9  # relative to the natural size of each quantity; the sums and integrals below are exact to 1e-12
VALUES = {
    "real": (-2.5, 0.3, 40.0),
    "positive": (0.04, 0.8, 6.0, 70.0),
    "nonnegative": (0.0, 0.03, 0.7, 3.0),
    "unit": (0.002, 0.3, 0.9),
}
#: values of single parameters, for which responses and their moments are within reach of double precision
OWN_VALUES = {
    "phi": (0.02, 0.2, 1.7),
    "beta": {"phi": (30.0, 60.0, 300.0)},
    "kappa": (1e-3, 0.8, 70.0),
}
#: constants of a family other than the default
OTHERS = [NegativeBinomial(alpha=0.0), NegativeBinomial(alpha=0.4), Tweedie(1.1), Tweedie(1.9), StudentT(9.5),
          Normal().with_dispersion(), Gamma().with_dispersion(), InverseGaussian().with_dispersion()]  # fmt: skip
INSTANCES = [*(cls() for cls in FAMILIES.values()), *OTHERS]


def values_of(family):
    """For every parameter of a family the values to check at."""
    return [
        OWN_VALUES.get(family.name, OWN_VALUES).get(name, VALUES[support])
        for name, support in family.parameters.items()
    ]


def dispersions(family):
    return (0.2, 1.7) if family.has_dispersion else (1.0, 0.2) if family.takes_trials else (None,)


CASES = [
    pytest.param(family, theta, phi, id=f"{family!r}-{'-'.join(f'{t:g}' for t in theta)}-{phi}")
    for family in INSTANCES
    for theta in itertools.product(*values_of(family))
    for phi in dispersions(family)
]
FEW = CASES[::4]


def scalars(family, theta):
    """The parameters as formulas take them: p and 1 - p for one of the unit interval."""
    out = []
    for value, support in zip(theta, family.parameters.values(), strict=True):
        out += [value, 1.0 - value] if support == "unit" else [value]
    return tuple(out)


def arguments(theta, phi):
    return theta if phi is None else (*theta, phi)


class Law:
    """A distribution as points with weights, and its formulas there: what means over the response need."""

    def __init__(self, family, theta, phi, formulas=None):
        self.family, self.theta, self.phi = family, scalars(family, theta), phi or 1.0
        self.plain = formulas
        self.kernels = kernels_of(family, [get_link("identity")] * len(theta))
        self.eta = np.array([theta]).T
        self.ends = None
        self.formulas = formulas or family.formulas()
        self.y, measure = self.points(float(family.mean(*theta)), math.sqrt(family.variance(*arguments(theta, phi))))
        self.objective, self.base = self.values(self.y)
        self.weight = measure * np.exp(self.objective / self.phi + self.base[:, 0])
        self.score, self.observed = self.derivatives()

    def values(self, y):
        """The objective, and the term free of the mean with its derivatives, at every y."""
        constants, one = np.array(self.family.constants, float), np.ones(1)
        if self.plain is not None:
            objective = [self.plain.objective(v, *self.theta, *constants) for v in y.tolist()]
            return np.array(objective), np.array([self.plain.base(v, self.phi, *constants) for v in y.tolist()])
        u, w = np.empty((self.eta.size, 1)), np.empty((self.eta.size * (self.eta.size + 1) // 2, 1))
        rows, base = self.kernels.rows, self.kernels.base
        at = [y[i : i + 1] for i in range(y.size)]
        objective = np.array([rows(v, one, self.eta, constants, VALUE, u, w) for v in at])
        return objective, np.array([base(v, one, one, self.phi, False, constants) for v in at])

    def derivatives(self):
        """Score and observed information at every y, one row each, at the dispersion phi."""
        constants, n, k = np.array(self.family.constants, float), self.y.size, self.eta.size
        if self.plain is not None:
            u = np.array([self.plain.score(v, *self.theta, *constants) for v in self.y.tolist()])
            w = np.array([self.plain.observed(v, *self.theta, *constants) for v in self.y.tolist()])
        else:
            u, w = np.empty((k, n)), np.empty((k * (k + 1) // 2, n))
            self.kernels.rows(self.y, np.ones(n), np.repeat(self.eta, n, axis=1), constants, OBSERVED, u, w)
            u, w = u.T, w.T
        return u / self.phi, w / self.phi

    def points(self, mean, sd):
        support = self.family.support
        if self.family.takes_trials:
            m = round(1.0 / self.phi)
            return np.arange(m + 1.0) / m, np.ones(m + 1)
        if support.integer:
            # tails of counts are geometric at the slowest: at the rate of the variance, 45 times that is e^-45
            y = np.arange(support.lower, math.ceil(mean + 12.0 * sd + 45.0 * max(1.0, sd * sd / (mean + 1e-9))))
            y = y[y <= support.upper]
            return y, np.ones(y.size)
        if math.isfinite(self.family.period):
            return self.quadrature(np.linspace(mean - math.pi, mean + math.pi, 161), lambda z: z, np.ones_like)
        if support.lower == 0.0 and support.upper == math.inf:
            y, measure = self.panels(np.exp, np.exp, np.arange(-680.0, 300.0, 1.0))
            if support.lower_open:
                return y, measure
            return np.r_[0.0, y], np.r_[1.0, measure]
        if support.upper == 1.0:  # 1 - y has no digits left beyond y = 1 - 2^-53
            return self.panels(
                lambda z: np.exp(np.minimum(z, 0.0)) / (1.0 + np.exp(-np.abs(z))),
                lambda z: np.exp(-np.abs(z)) / (1.0 + np.exp(-np.abs(z))) ** 2,
                np.arange(-680.0, 35.0, 1.0),
            )  # fmt: skip
        return self.panels(lambda z: mean + sd * np.sinh(z), lambda z: sd * np.cosh(z), np.arange(-60.0, 60.0, 1.0))

    def panels(self, y_of, slope, grid):
        """Gauss-Legendre panels over the part of a coarse grid where the density counts."""
        with np.errstate(all="ignore"):
            objective, base = self.values(y_of(grid))
            coarse = np.nan_to_num(objective / self.phi + base[:, 0] + np.log(slope(grid)), nan=-np.inf)
        inside = grid[coarse > coarse.max() - 50.0]
        low, high, top = inside[0] - 1.0, inside[-1] + 1.0, grid[np.argmax(coarse)]
        edges = np.unique(
            np.r_[
                np.linspace(low, top - 6.0, 81) if low < top - 6.0 else low, np.linspace(max(low, top - 6.0), high, 81)
            ]
        )
        return self.quadrature(edges, y_of, slope)

    def quadrature(self, edges, y_of, slope):
        """Gauss-Legendre points of panels with their weights."""
        nodes, weights = np.polynomial.legendre.leggauss(10)
        half = 0.5 * np.diff(edges)[:, None]
        self.ends = y_of(edges[1:])
        z = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
        return y_of(z), (half * weights).ravel() * slope(z)

    def mean(self, values):
        """The mean of a quantity that is given at every point."""
        return self.weight @ values

    def fisher(self):
        """The expected information; the steps of the negative binomial use an approximation for alpha."""
        family = self.family
        fisher = np.array(self.formulas.fisher(*self.theta, *family.constants)) / self.phi
        if isinstance(family, NegativeBinomial) and family.alpha is None:
            fisher[2] = family.expected_alpha(np.array([self.theta[0]]), self.theta[1])[0]
        return fisher


@cache
def law_of(family, theta, phi):
    return Law(family, theta, phi)


def failures(law):
    """The laws that are broken, with how much."""
    fisher = law.fisher()
    k = law.eta.size
    rows, columns = np.triu_indices(k)
    size = np.sqrt(fisher[rows == columns])
    scale = size[rows] * size[columns]
    found = {
        "density": abs(law.weight.sum() - 1.0),
        "E[score] = 0": np.max(np.abs(law.mean(law.score)) / size),
        "Var[score] = Fisher": np.max(np.abs(law.mean(law.score[:, rows] * law.score[:, columns]) - fisher) / scale),
        "E[observed] = Fisher": np.max(np.abs(law.mean(law.observed) - fisher) / scale),
    }
    return {name: float(error) for name, error in found.items() if not error <= LAW}


@pytest.mark.parametrize(("family", "theta", "phi"), CASES)
def test_score_and_information(family, theta, phi):
    assert failures(law_of(family, theta, phi)) == {}


def wrong(formula):
    def off(*args):
        value = formula(*args)
        return tuple(v * (1.0 + 1e-6) for v in value) if isinstance(value, tuple) else value * (1.0 + 1e-6)

    return off


@pytest.mark.parametrize(
    ("name", "which"),
    [
        (name, which)
        for name, which in itertools.product(FAMILIES, ["objective", "score", "fisher", "observed", "base"])
        if (name, which) != ("bernoulli", "base")  # which is 0
    ],
)
def test_the_laws_fail_when_a_formula_is_off_by_a_millionth(name, which):
    family = FAMILIES[name]()
    theta = tuple(values[2] for values in values_of(family))
    formulas = family.formulas()
    broken = formulas._replace(**{which: wrong(getattr(formulas, which))})
    phi = dispersions(family)[-1]
    if which == "base" and name in ("normal", "gamma"):
        phi = 0.02  # the term of these is near 0 at phi = 1.7
    assert failures(Law(family, theta, phi, broken)) != {}


@pytest.mark.parametrize(("family", "theta", "phi"), CASES)
def test_mean_and_variance(family, theta, phi):
    law = law_of(family, theta, phi)
    mean, variance = float(family.mean(*theta)), float(family.variance(*arguments(theta, phi)))
    assert abs(law.mean(law.y - mean)) <= LAW * math.sqrt(variance)
    assert law.mean((law.y - mean) ** 2) == pytest.approx(variance, rel=LAW)


@pytest.mark.parametrize(("family", "theta", "phi"), [c for c in CASES if c.values[0].has_dispersion])
def test_dispersion(family, theta, phi):
    """The score and the information of phi, from `base` and the deviance; phi is orthogonal to the mean."""
    law = law_of(family, theta, phi)
    score = law.base[:, 1] - law.objective / phi**2
    square = law.mean(score**2)
    known = getattr(type(family), "fisher_dispersion", None)
    information = known(*law.theta, phi, *family.constants) if known else square
    assert abs(law.mean(score)) <= LAW * math.sqrt(information)
    assert square == pytest.approx(information, rel=LAW)
    assert law.mean(-(law.base[:, 2] + 2.0 * law.objective / phi**3)) == pytest.approx(information, rel=10 * LAW)
    assert abs(law.mean(score * law.score[:, 0])) <= LAW * math.sqrt(information * law.fisher()[0])


@pytest.mark.parametrize("family", [f for f in INSTANCES if isinstance(f, ExponentialDispersion)], ids=repr)
def test_derivatives_of_the_term_free_of_the_mean(family):
    """`base` returns its derivatives in phi: fourth-order differences of its value say the same."""
    for y in (0.25, 1.0, 7.0):
        for phi in (0.05, 0.6, 4.0):
            if family.takes_trials or family.support.integer:
                continue
            h = 1e-3 * phi
            f = [family.base(y, phi + i * h, *family.constants)[0] for i in (-2, -1, 0, 1, 2)]
            _, d1, d2 = family.base(y, phi, *family.constants)
            assert d1 == pytest.approx((f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * h), rel=1e-8, abs=1e-8 / phi)
            assert d2 == pytest.approx(
                (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * h * h), rel=1e-6, abs=1e-6 / phi**2
            )


@pytest.mark.parametrize(("family", "theta", "phi"), CASES)
def test_distribution_function_sums_the_density(family, theta, phi):
    law = law_of(family, theta, phi)
    total = np.cumsum(law.weight)
    if law.ends is None:
        at, expected = law.y, total
    else:  # a panel is integrated as a whole: up to its end
        at, expected = law.ends, total[int(law.y[0] == 0.0) :][9::10]
    for i in np.unique(np.searchsorted(expected, [0.01, 0.2, 0.5, 0.9, 0.999])):
        if i < at.size:
            value = float(family.cdf(at[i], *arguments(theta, phi)))
            assert value == pytest.approx(expected[i], rel=1e-8)


@pytest.mark.parametrize(("family", "theta", "phi"), CASES)
def test_quantiles_invert_the_distribution_function(family, theta, phi):
    parameters = arguments(theta, phi)
    u = np.array([1e-6, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-6])
    y = np.asarray(family.ppf(u, *parameters), float)
    back = np.asarray(family.cdf(y, *parameters), float)
    assert np.all(np.diff(y) >= 0.0)
    assert not family.support.outside(y).any()
    assert np.all(back >= u * (1 - 1e-8))
    step = 1.0 if family.support.integer else phi if family.takes_trials else 0.0
    if step:
        below = np.asarray(family.cdf(y - step, *parameters), float)
        assert np.all((below < u * (1 + 1e-12)) | (y == family.support.lower))
    else:
        atom = y == 0.0 if not family.support.lower_open and family.support.lower == 0.0 else np.zeros(7, bool)
        np.testing.assert_allclose(back[~atom], u[~atom], rtol=1e-7)


@pytest.mark.parametrize(("family", "theta", "phi"), FEW)
def test_sampler(family, theta, phi):
    """Mean and variance within 4.5 of their standard errors, the distribution function within 2 / sqrt(n)."""
    n = 20_000
    parameters = arguments(theta, phi)
    y = np.asarray(family.sample(np.random.default_rng(20260103), *parameters, size=n), float)
    assert y.shape == (n,)
    assert not family.support.outside(y).any()
    law = law_of(family, theta, phi)
    mean, variance = float(family.mean(*theta)), float(family.variance(*parameters))
    fourth = law.mean((law.y - mean) ** 4)
    assert abs(y.mean() - mean) <= 4.5 * math.sqrt(variance / n)
    assert abs(np.mean((y - mean) ** 2) - variance) <= 4.5 * math.sqrt((fourth - variance**2) / n)
    at = np.unique(np.quantile(y, np.linspace(0.02, 0.98, 25)))
    empirical = np.searchsorted(np.sort(y), at, side="right") / n
    np.testing.assert_allclose(empirical, family.cdf(at, *parameters), rtol=0, atol=2.0 / math.sqrt(n))


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_methods_take_arrays(family):
    theta = [np.array(values[1:3]) for values in values_of(family)]
    phi = dispersions(family)[0]
    parameters = theta if phi is None else [*theta, phi]
    for method in ("mean", "variance"):
        values = np.asarray(getattr(family, method)(*(theta if method == "mean" else parameters)))
        assert values.shape == (2,)
    assert np.shape(family.sample(np.random.default_rng(0), *parameters)) == (2,)
    for method, at in (("cdf", 1.0), ("ppf", 0.5)):
        values = np.asarray(getattr(family, method)(at, *parameters), float)
        assert values.shape == (2,)
        alone = [getattr(family, method)(at, *(t[i] for t in theta), *(() if phi is None else (phi,))) for i in (0, 1)]
        np.testing.assert_allclose(values, np.array(alone, float), rtol=1e-12)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_start_is_inside_the_parameter_space(family):
    rng = np.random.default_rng(20260104)
    theta = [values[2] for values in values_of(family)]
    y = np.asarray(family.sample(rng, *theta, size=200), float)
    start = family.start(y, np.ones(200))
    assert len(start) == len(family.parameters)
    for value, support in zip(start, family.parameters.values(), strict=True):
        assert math.isfinite(value)
        assert {"real": True, "positive": value > 0, "nonnegative": value >= 0, "unit": 0 < value < 1}[support]
