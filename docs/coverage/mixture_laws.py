"""Mixtures of known parameters: data drawn from them, the estimator that fits them, and the truth by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fisherfit as ff
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture

Data = tuple[np.ndarray, ...]
SHARE = 0.4  # of the first component
ITEMS = np.array([[0.2, 0.3, 0.15, 0.25], [0.9, 0.85, 0.8, 0.9]])
MEANS = np.array([[0.0, 0.0], [3.0, 1.0]])
COVARIANCES = np.array([[[1.0, 0.5], [0.5, 1.0]], [[1.0, -0.3], [-0.3, 0.5]]])


@dataclass(frozen=True)
class MixtureLaw:
    """Two components: how data are drawn, fitted and read as a `Mixture`, and the true parameters."""

    name: str
    text: str
    truth: dict[str, float]
    draw: Callable[[np.random.Generator, int], Data]
    make: Callable[[], Any]
    mixture: Callable[[Any, Data], Mixture]


def classes(rng: np.random.Generator, n: int) -> np.ndarray:
    """The component of every row: 0 or 1."""
    return (rng.random(n) >= SHARE).astype(int)


def normals(distance: float, deviation: float) -> Callable[[np.random.Generator, int], Data]:
    """N(0, 1) and N(distance, deviation^2)."""

    def draw(rng: np.random.Generator, n: int) -> Data:
        z = classes(rng, n)
        return (rng.normal(distance * z, np.where(z == 0, 1.0, deviation))[:, None],)

    return draw


def counts(rng: np.random.Generator, n: int) -> Data:
    """Poisson counts with log means 0.5 + 0.5 x and 2 - 0.5 x, x standard normal."""
    z, x = classes(rng, n), rng.normal(size=n)
    return x[:, None], rng.poisson(np.exp(np.where(z == 0, 0.5 + 0.5 * x, 2.0 - 0.5 * x))).astype(float)


def answers(rng: np.random.Generator, n: int) -> Data:
    """Four 0/1 items, independent given the class."""
    return ((rng.random((n, 4)) < ITEMS[classes(rng, n)]).astype(float),)


def clouds(rng: np.random.Generator, n: int) -> Data:
    """Two clouds in the plane."""
    z, e = classes(rng, n), rng.normal(size=(n, 2))
    return (MEANS[z] + np.einsum("nij,nj->ni", np.linalg.cholesky(COVARIANCES)[z], e),)


def gaussian(model: Any, data: Data) -> Mixture:
    """The mixture of Gaussian components on the data."""
    return Mixture(Gaussian(data[0], 2, "full"), Mixing(2), np.ones(len(data[0])))


def items(model: Any, data: Data) -> Mixture:
    """The mixture of independent columns on the data."""
    return Mixture(model._plan.read(data[0], "MixtureModel"), Mixing(2), np.ones(len(data[0])))


def regressions(model: Any, data: Data) -> Mixture:
    """The mixture of regressions on the data."""
    return model._mixture_of(*data, None, None, None, None)[0]


def gaussian_truth() -> dict[str, float]:
    """Means and covariances of the clouds."""
    out = {"weight[0]": SHARE}
    for k in range(2):
        out |= {f"mean[{k},x{j}]": float(MEANS[k, j]) for j in range(2)}
        for a, b in ((0, 0), (1, 0), (1, 1)):
            out[f"cov[{k},x{a},x{b}]"] = float(COVARIANCES[k, a, b])
    return out


def normal_truth(distance: float, deviation: float) -> dict[str, float]:
    """Means and variances of two normal components."""
    return {
        "weight[0]": SHARE, "mean[0,x0]": 0.0, "mean[1,x0]": distance, "cov[0,x0,x0]": 1.0,
        "cov[1,x0,x0]": deviation**2,
    }  # fmt: skip


LAWS = {
    law.name: law
    for law in (
        MixtureLaw("normal, apart", "0.4 N(0, 1) + 0.6 N(5, 1.5²)", normal_truth(5.0, 1.5), normals(5.0, 1.5),
                   lambda: ff.GaussianMixture(2, random_state=0, n_jobs=1), gaussian),
        MixtureLaw("normal, overlapping", "0.4 N(0, 1) + 0.6 N(2.5, 1)", normal_truth(2.5, 1.0), normals(2.5, 1.0),
                   lambda: ff.GaussianMixture(2, random_state=0, n_jobs=1), gaussian),
        MixtureLaw("Poisson regression", "0.4 Poisson(exp(0.5 + 0.5 x)) + 0.6 Poisson(exp(2 - 0.5 x)), x standard "
                   "normal",
                   {"weight[0]": SHARE, "Intercept[0]": 0.5, "Intercept[1]": 2.0, "x0[0]": 0.5, "x0[1]": -0.5}, counts,
                   lambda: ff.MixtureRegressor("poisson", 2, random_state=0, n_jobs=1), regressions),
        MixtureLaw("latent class", "four 0/1 items: probabilities 0.2, 0.3, 0.15, 0.25 in a class of share 0.4, 0.9, "
                   "0.85, 0.8, 0.9 in the other",
                   {"weight[0]": SHARE, **{f"prob[{k},x{j}]": float(ITEMS[k, j]) for k in range(2) for j in range(4)}},
                   answers, lambda: ff.MixtureModel("bernoulli", 2, random_state=0, n_jobs=1), items),
        MixtureLaw("Gaussian, d = 2", "0.4 N((0, 0), [1, 0.5; 0.5, 1]) + 0.6 N((3, 1), [1, -0.3; -0.3, 0.5])",
                   gaussian_truth(), clouds, lambda: ff.GaussianMixture(2, random_state=0, n_jobs=1), gaussian),
    )
}  # fmt: skip
