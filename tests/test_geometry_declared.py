"""Exponential families that a user declares: maps found numerically, against those of the library's own families."""

import math

import numpy as np
import pytest

import fisherfit as ff
from fisherfit.errors import InputError

G = ff.geometry
D = G.Distribution


class ShapeRate(ff.Family):
    """The gamma family by shape and rate, its log-density left to differences."""

    parameters = {"shape": "positive", "rate": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, shape, rate):
        return shape * math.log(rate) - math.lgamma(shape) + (shape - 1.0) * math.log(y) - rate * y

    @staticmethod
    def natural(shape, rate):
        return shape, -rate

    @staticmethod
    def sufficient(y):
        return math.log(y), y


class Failures(ff.Family):
    """The geometric family by the probability of success."""

    parameters = {"p": "unit"}
    support = ff.Support(0.0, integer=True)

    @staticmethod
    def log_density(y, p, q):
        return math.log(p) + y * math.log(q)

    @staticmethod
    def natural(p, q):
        return (math.log(q),)

    @staticmethod
    def sufficient(y):
        return (y,)


def test_two_parameters():
    own = [D(ShapeRate(), shape=1.0 / phi, rate=1.0 / phi / mu) for mu, phi in ((2.0, 0.5), (3.0, 0.2))]
    known = [D("gamma", mu=mu, phi=phi) for mu, phi in ((2.0, 0.5), (3.0, 0.2))]
    for p, q in zip(own, known, strict=True):
        natural = G.natural_parameters(p)
        np.testing.assert_allclose(natural, [p.theta[0], -p.theta[1]])
        np.testing.assert_allclose(G.expectation_parameters(p), G.expectation_parameters(q), rtol=1e-11)
        assert G.from_natural(ShapeRate(), natural).theta == pytest.approx(p.theta, rel=1e-10)
        found = G.from_expectation(ShapeRate(), G.expectation_parameters(q))
        assert found.theta == pytest.approx(p.theta, rel=1e-8)
        np.testing.assert_allclose(G.fisher_information(p, None, "natural") @ G.fisher_information(p, None, "expectation"),
                                   np.eye(2), atol=1e-6)  # fmt: skip
    gap = [G.log_partition(ShapeRate(), G.natural_parameters(p)) for p in own]
    true = [math.lgamma(p.theta[0]) - p.theta[0] * math.log(p.theta[1]) for p in own]
    assert gap[1] - gap[0] == pytest.approx(true[1] - true[0], rel=1e-10)
    assert G.renyi_divergence(*own, 0.7) == pytest.approx(G.renyi_divergence(*known, 0.7), rel=1e-9)
    eta, e = G.natural_parameters(own[1]), G.expectation_parameters(own[0])
    bregman = gap[1] - gap[0] - (eta - G.natural_parameters(own[0])) @ e
    assert bregman == pytest.approx(G.kl_divergence(*own), rel=1e-9)


def test_the_fit_to_means_is_the_maximum():
    y = np.random.default_rng(0).gamma(3.0, 2.0, 200)
    fit = G.from_expectation(ShapeRate(), [np.log(y).mean(), y.mean()])
    known = G.from_expectation("gamma", [np.log(y).mean(), y.mean()])
    assert fit.theta == pytest.approx((1.0 / known.theta[1], 1.0 / known.theta[1] / known.theta[0]), rel=1e-8)


def test_a_probability():
    p = D(Failures(), p=0.3)
    assert G.natural_parameters(p) == pytest.approx(math.log(0.7))
    assert G.expectation_parameters(p) == pytest.approx(0.7 / 0.3, rel=1e-11)
    assert G.from_natural(Failures(), [math.log(0.9)]).theta == pytest.approx((0.1,), rel=1e-10)
    assert G.from_expectation(Failures(), [19.0]).theta == pytest.approx((0.05,), rel=1e-8)


def test_outside():
    with pytest.raises(InputError, match="lies outside the natural parameters"):
        G.from_natural(Failures(), [0.5])
    with pytest.raises(InputError, match="outside the natural parameters"):
        G.from_natural(ShapeRate(), [1.0, 2.0])
    with pytest.raises(InputError, match=r"no member .* has the means"):
        G.from_expectation(ShapeRate(), [2.0, 1.0])  # the mean of log y above the logarithm of that of y


def test_a_declaration_that_is_not_true():
    class Wrong(ShapeRate):
        @staticmethod
        def natural(shape, rate):
            return shape, rate

    with pytest.raises(InputError, match="no exponential family with the natural"):
        G.natural_parameters(Wrong(), [1.0, 2.0])

    class Half(ff.Family):
        parameters = {"p": "unit"}
        support = ff.Support(0.0, integer=True)
        log_density = Failures.log_density

        @staticmethod
        def natural(p, q):
            return (math.log(q),)

    with pytest.raises(InputError, match=r"declares natural and not sufficient\(y\)"):
        G.natural_parameters(Half(), [0.5])

    class Short(ShapeRate):
        @staticmethod
        def sufficient(y):
            return (y,)

    with pytest.raises(InputError, match=r"sufficient\(...\) .* must return 2 numbers"):
        G.natural_parameters(Short(), [1.0, 2.0])

    class Silent(ff.Family):
        parameters = {"shape": "positive", "rate": "positive"}
        support = ShapeRate.support
        log_density = ShapeRate.log_density

    with pytest.raises(InputError, match=r"declare natural\(\*theta\) and sufficient\(y\)"):
        G.natural_parameters(Silent(), [1.0, 2.0])
