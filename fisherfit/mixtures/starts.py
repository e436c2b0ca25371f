"""Where the ascent of a mixture begins: responsibilities of the units, from clusters and from chance."""

from __future__ import annotations

import numpy as np


def kmeans_plus_plus(features: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Labels of the nearest of `count` seeds, each drawn with probability by its squared distance from the earlier.

    Arthur & Vassilvitskii (2007), SODA, 1027-1035.
    """
    first = int(rng.choice(len(features), p=weight / weight.sum()))
    distance = ((features - features[first]) ** 2).sum(axis=1)
    labels = np.zeros(len(features), int)
    for k in range(1, count):
        chance = distance * weight
        if not chance.sum() > 0.0:
            chance = weight
        seed = int(rng.choice(len(features), p=chance / chance.sum()))
        new = ((features - features[seed]) ** 2).sum(axis=1)
        labels, distance = np.where(new < distance, k, labels), np.minimum(new, distance)
    return labels


def hard(labels: np.ndarray, count: int) -> np.ndarray:
    """Responsibilities (count, units) of labels."""
    return np.asarray((labels == np.arange(count)[:, None]).astype(float))


def random_responsibilities(units: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Responsibilities (count, units) drawn at random, uniformly from the simplex."""
    return np.ascontiguousarray(rng.dirichlet(np.ones(count), units).T)


__all__ = ["hard", "kmeans_plus_plus", "random_responsibilities"]
