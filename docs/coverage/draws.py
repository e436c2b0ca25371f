"""Data of known laws: a fixed design, a true coefficient vector, and many responses drawn from each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
PLACE = np.array([1.0, 0.0])  # the row that means and new observations are predicted for
SIZE = {50: 5, 500: 10}  # rows of a cluster


@dataclass(frozen=True)
class Law:
    """A response drawn at the mean of a linear predictor, and the family that is fitted to it."""

    name: str
    family: str
    beta: tuple[float, float, float]
    draw: Draw
    text: str

    def eta(self, X: np.ndarray) -> np.ndarray:
        """The true linear predictor."""
        return self.beta[0] + X @ np.array(self.beta[1:])

    def mean(self, X: np.ndarray) -> np.ndarray:
        """The true mean."""
        eta = self.eta(X)
        return {"normal": lambda: eta, "binomial": lambda: special.expit(eta)}.get(self.family, lambda: np.exp(eta))()

    def responses(self, rng: np.random.Generator, X: np.ndarray, runs: int) -> np.ndarray:
        """Responses of shape (runs, n)."""
        return self.draw(rng, np.broadcast_to(self.mean(X), (runs, len(X))), X)


def design(n: int) -> np.ndarray:
    """n rows, the same in all runs: x at normal quantiles in random order, z 0 and 1 in turn."""
    x = special.ndtri((np.arange(n) + 0.5) / n)
    return np.stack([np.random.default_rng(n).permutation(x), np.arange(n) % 2.0], axis=1)


def clusters(n: int) -> np.ndarray:
    """The cluster of every row: 10 of 5 rows, or 50 of 10."""
    return np.arange(n) // SIZE[n]


def clustered(n: int) -> np.ndarray:
    """The design of the study of clusters: x as before, z the same in a cluster."""
    return np.stack([design(n)[:, 0], clusters(n) % 2.0], axis=1)


def negative_binomial(alpha: float) -> Draw:
    """Poisson counts whose mean is mu times a gamma variable of mean 1 and variance alpha."""
    return lambda rng, mu, X: rng.poisson(mu * rng.gamma(1.0 / alpha, alpha, mu.shape)).astype(float)


def tweedie(power: float, phi: float) -> Draw:
    """Sums of a Poisson number of gamma variables: Jorgensen (1987), section 3.2."""

    def draw(rng: np.random.Generator, mu: np.ndarray, X: np.ndarray) -> np.ndarray:
        number = rng.poisson(mu ** (2.0 - power) / (phi * (2.0 - power)))
        shape = number * (2.0 - power) / (power - 1.0)
        drawn = rng.gamma(np.where(number > 0, shape, 1.0)) * phi * (power - 1.0) * mu ** (power - 1.0)
        return np.where(number > 0, drawn, 0.0)

    return draw


LAWS = {
    law.name: law
    for law in (
        Law("normal", "normal", (1.0, 0.5, -0.5), lambda rng, mu, X: rng.normal(mu, 1.0), "identity link, phi = 1"),
        Law("binomial", "binomial", (0.5, 1.0, -0.5), lambda rng, mu, X: (rng.random(mu.shape) < mu).astype(float),
            "0/1, logit link"),
        Law("poisson", "poisson", (0.5, 0.4, -0.4), lambda rng, mu, X: rng.poisson(mu).astype(float), "log link"),
        Law("gamma", "gamma", (0.5, 0.4, -0.4), lambda rng, mu, X: rng.gamma(2.0, mu / 2.0), "log link, phi = 0.5"),
        Law("inverse_gaussian", "inverse_gaussian", (0.5, 0.4, -0.4), lambda rng, mu, X: rng.wald(mu, 2.0),
            "log link, phi = 0.5"),
        Law("negative_binomial", "negative_binomial", (1.0, 0.4, -0.4), negative_binomial(0.5),
            "log link, alpha = 0.5, estimated"),
        Law("tweedie", "tweedie", (0.5, 0.4, -0.4), tweedie(1.5, 1.0), "log link, power 1.5, phi = 1"),
    )
}  # fmt: skip


def overdispersed(rng: np.random.Generator, mu: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Negative binomial counts whose alpha grows with x."""
    alpha = 0.2 + 0.4 * X[:, 0] ** 2
    return rng.poisson(mu * rng.gamma(1.0 / alpha, alpha, mu.shape)).astype(float)


def shared(make: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]) -> Draw:
    """A variable for every cluster, as one of all its rows, of shape (runs, n)."""

    def draw(rng: np.random.Generator, mu: np.ndarray, X: np.ndarray) -> np.ndarray:
        group = clusters(len(X))
        return make(rng, (len(mu), int(group[-1]) + 1))[:, group]

    return draw


BETWEEN = shared(lambda rng, shape: rng.normal(0.0, 0.7, shape))
FACTOR = shared(lambda rng, shape: rng.gamma(4.0, 0.25, shape))
HETEROSCEDASTIC = {
    law.name: law
    for law in (
        Law("normal", "normal", (1.0, 0.5, -0.5), lambda rng, mu, X: rng.normal(mu, 0.4 + 0.8 * np.abs(X[:, 0])),
            "standard deviation 0.4 + 0.8 abs(x)"),
        Law("poisson", "poisson", (0.5, 0.4, -0.4), overdispersed, "variance mu + (0.2 + 0.4 x²) mu²"),
        Law("gamma", "gamma", (0.5, 0.4, -0.4),
            lambda rng, mu, X: rng.gamma(4.0 / (1.0 + X[:, 0] ** 2), mu * (1.0 + X[:, 0] ** 2) / 4.0),
            "variance (1 + x²) mu² / 4"),
    )
}  # fmt: skip
CLUSTERED = {
    law.name: law
    for law in (
        Law("normal", "normal", (1.0, 0.5, -0.5), lambda rng, mu, X: rng.normal(mu, 1.0) + BETWEEN(rng, mu, X),
            "standard deviation 0.7 between clusters, 1 within"),
        Law("poisson", "poisson", (0.5, 0.4, -0.4),
            lambda rng, mu, X: rng.poisson(mu * FACTOR(rng, mu, X)).astype(float),
            "mean times a gamma variable of variance 0.25, one in a cluster"),
    )
}  # fmt: skip
