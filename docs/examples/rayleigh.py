"""A family of one's own in one file: the Rayleigh distribution, f(y) = y / sigma^2 exp(-y^2 / (2 sigma^2)).

Run it: the formulas are checked, data are drawn, and a regression finds the coefficients again.
"""

import math

import numpy as np

import fisherfit as ff


class Rayleigh(ff.Family):
    """Rayleigh distribution with scale sigma."""

    name = "rayleigh"
    parameters = {"sigma": "positive"}
    support = ff.Support(0.0, lower_open=True)

    # Formulas: scalar functions without self, compiled by fisherfit.

    @staticmethod
    def log_density(y, sigma):
        return math.log(y) - 2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2

    @staticmethod
    def score(y, sigma):
        return (((y / sigma) ** 2 - 2.0) / sigma,)

    @staticmethod
    def fisher(sigma):
        return (4.0 / sigma / sigma,)

    @staticmethod
    def observed(y, sigma):
        return ((3.0 * (y / sigma) ** 2 - 2.0) / sigma / sigma,)

    # Methods: ordinary NumPy, on arrays.

    def mean(self, sigma):
        return np.asarray(sigma) * math.sqrt(math.pi / 2.0)

    def variance(self, sigma):
        return np.asarray(sigma) ** 2 * (2.0 - math.pi / 2.0)

    def start(self, y, weight):
        return (math.sqrt(np.average(y**2, weights=weight) / 2.0),)

    def sample(self, rng, sigma, size=None):
        return rng.rayleigh(sigma, size)

    def cdf(self, y, sigma):
        return -np.expm1(-0.5 * (np.maximum(y, 0.0) / sigma) ** 2)

    def ppf(self, probability, sigma):
        return sigma * np.sqrt(-2.0 * np.log1p(-np.asarray(probability)))


def main():
    """Check the formulas, draw 2,000 responses with sigma = exp(0.5 + 0.3 x), and fit."""
    ff.check_family(Rayleigh).raise_if_failed()
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    y = Rayleigh().sample(rng, np.exp(0.5 + 0.3 * x))
    model = ff.GLM(Rayleigh()).fit(x[:, None], y)
    print(model.summary())
    return model


if __name__ == "__main__":
    main()
