"""Where the ascent of a mixture begins: partitions of the units by clusters, by planes, by slices and by chance.

No kind of start is best everywhere (Biernacki, Celeux & Govaert, 2003; Scrucca & Raftery, 2015), and starts are cheap
since all make their first steps together: so all kinds are used. All partitions are made from `components.features()`,
whose columns have comparable scales; for regressions the first `components.responses` columns are the response.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .mixture import Mixture

MANY = 6  # times as many random starts where there are more than two components, whose basins are many
WARD = 1200  # units that are merged hierarchically; others join the nearest of the clusters


def default_starts(
    mixture: Mixture, n_init: int, rng: np.random.Generator, most: int = WARD
) -> list[np.ndarray]:  # fmt: skip
    """Points theta to begin from: a few that are found by rule, and some times `n_init` random ones.

    Units of weight zero take no part; `most` are merged hierarchically. Equal partitions are used once.
    """
    alive = np.flatnonzero(mixture.weight > 0.0)
    k, units = mixture.mixing.count, mixture.units
    if k == 1:
        return [mixture.start(np.ones((1, units)))]
    seen, out = set(), []
    for labels in partitions(mixture, alive, n_init, rng, most):
        key = _canonical(labels).tobytes()
        if key in seen:
            continue
        seen.add(key)
        r = np.zeros((k, units))
        r[labels, alive] = 1.0
        out.append(r)
    for _ in range(max(1, n_init // 3)):
        out.append(random_responsibilities(units, k, rng))
    return mixture.starts(out)


def partitions(
    mixture: Mixture, alive: np.ndarray, n_init: int, rng: np.random.Generator, most: int = WARD
) -> Iterator[np.ndarray]:
    """Labels of the units that have weight, one partition after the other."""
    k, weight = mixture.mixing.count, mixture.weight[alive]
    rows = mixture.components.features()
    responses = int(getattr(mixture.components, "responses", 0)) or rows.shape[1]
    features = by_unit(mixture, rows)[alive]
    white = whitened(features)
    spaces = [features] if features.shape[1] == 1 else [features, white]
    response, covariates = rows[:, :responses], rows[:, responses:]
    regression = 0 < responses < rows.shape[1]
    if regression:
        design = np.column_stack([np.ones(len(rows)), covariates])
        owner = owners(mixture)
        every = np.ones(len(rows)) if mixture.edges is not None else mixture.weight
        residual = by_unit(mixture, response - design @ least_squares(design, response, every))[alive]
        yield slices(residual[:, 0], weight, k)
        yield slices(np.abs(residual[:, 0]), weight, k)  # components that differ in how widely they scatter
        spaces = [*spaces, residual]
    for space in spaces:
        yield ward(space, k, rng, most)
        yield slices(_principal(space), weight, k)
    for i in range(n_init if k == 2 else 2 * n_init if regression else MANY * n_init):
        if regression:
            yield planes(design, response, owner, alive, weight, k, rng)
        for steps in (0, 10) if i % 2 else (1, 0):
            yield seeded(spaces[i % len(spaces)], weight, k, rng, steps)


def seeded(features: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator, steps: int) -> np.ndarray:
    """Labels of the nearest of `count` seeds, each drawn with probability by its squared distance from the earlier.

    Arthur & Vassilvitskii (2007), SODA, 1027-1035; then so many of Lloyd's steps, the weighted means as seeds.
    """
    first = int(rng.choice(len(features), p=weight / weight.sum()))
    distance = ((features - features[first]) ** 2).sum(axis=1)
    labels = np.zeros(len(features), int)
    for k in range(1, count):
        chance = distance * weight
        if not 0.0 < chance.sum() < np.inf:
            chance = weight
        seed = int(rng.choice(len(features), p=chance / chance.sum()))
        new = ((features - features[seed]) ** 2).sum(axis=1)
        labels, distance = np.where(new < distance, k, labels), np.minimum(new, distance)
    for _ in range(steps):
        centres = _means(features, weight, labels, count)
        new_labels = nearest(features, centres)
        if np.array_equal(labels, new_labels):
            break
        labels = new_labels
    return labels


def planes(
    design: np.ndarray, response: np.ndarray, owner: np.ndarray, alive: np.ndarray, weight: np.ndarray, count: int,
    rng: np.random.Generator, steps: int = 4,
) -> np.ndarray:  # fmt: skip
    """Labels of the units by the regression that leaves the smallest residuals, from exact fits to few units each.

    Elemental subsets, as in robust regression (Rousseeuw & Leroy, 1987), then alternating regressions and
    assignments (Spaeth, 1979, Computing 22, 367-373).
    """
    p, units = design.shape[1], int(owner[-1]) + 1
    chance = weight / weight.sum()
    size = min(p, max(1, (chance > 0.0).sum() // count))
    drawn = rng.choice(len(alive), size=min(size * count, int((chance > 0.0).sum())), replace=False, p=chance)
    labels = np.full(units, -1)
    labels[alive[drawn]] = np.arange(len(drawn)) % count
    full = np.zeros(units)
    full[alive] = weight
    for _ in range(steps + 1):
        squares = np.empty((count, units))
        for k in range(count):
            own = (labels[owner] == k) * full[owner]
            residual = response - design @ least_squares(design, response, own)
            squares[k] = np.bincount(owner, (residual**2).sum(axis=1), units)
        labels = squares.argmin(axis=0)
    return labels[alive]


def slices(values: np.ndarray, weight: np.ndarray, count: int) -> np.ndarray:
    """Labels of `count` slices of equal weight along a line; equal values get equal labels."""
    order = np.argsort(values, kind="stable")
    before = np.cumsum(weight[order]) - 0.5 * weight[order]
    labels = np.empty(len(values), int)
    labels[order] = np.minimum((before / weight.sum() * count).astype(int), count - 1)
    distinct, place = np.unique(values, return_inverse=True)
    first = np.full(len(distinct), count)
    np.minimum.at(first, place, labels)
    return np.asarray(first[place])


def ward(features: np.ndarray, count: int, rng: np.random.Generator, most: int = WARD) -> np.ndarray:
    """Labels by Ward's hierarchical clustering; of many units a random part is merged and the others join it."""
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(features)
    part = features if n <= most else features[np.sort(rng.choice(n, most, replace=False))]
    if len(part) < 2:
        return np.zeros(n, int)
    labels = fcluster(linkage(part, "ward"), count, "maxclust") - 1
    if part is features:
        return np.asarray(labels, int)
    return nearest(features, _means(part, np.ones(len(part)), labels, int(labels.max()) + 1))


def random_responsibilities(units: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Responsibilities (count, units) drawn at random, uniformly from the simplex."""
    return np.ascontiguousarray(rng.dirichlet(np.ones(count), units).T)


def hard(labels: np.ndarray, count: int) -> np.ndarray:
    """Responsibilities (count, units) of labels."""
    return np.asarray((labels == np.arange(count)[:, None]).astype(float))


def nearest(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The label of the nearest centre."""
    distance = np.stack([((features - centre) ** 2).sum(axis=1) for centre in centres])
    return np.asarray(np.where(np.isnan(distance), np.inf, distance).argmin(axis=0))


def whitened(features: np.ndarray) -> np.ndarray:
    """Principal components with unit variances; those that are constant are left out (mclust's `use = "SVD"`)."""
    centred = features - features.mean(axis=0)
    if not np.isfinite(centred).all():
        return features
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = s > 1e-8 * max(float(s[0]), 1e-300)
    return np.asarray(u[:, kept] * np.sqrt(len(features))) if kept.any() else features


def _means(features: np.ndarray, weight: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Weighted means of the clusters; of an empty one, NaN."""
    total = np.bincount(labels, weight, count)
    sums = np.stack([np.bincount(labels, weight * column, count) for column in features.T], axis=1)
    return np.asarray(sums / total[:, None])


def _principal(features: np.ndarray) -> np.ndarray:
    """Coordinates along the direction of largest variance."""
    centred = features - features.mean(axis=0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1] if features.shape[1] > 1 else np.ones(1)
    return np.asarray(centred @ (direction * (1.0 if direction[np.abs(direction).argmax()] > 0.0 else -1.0)))


def least_squares(design: np.ndarray, response: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Coefficients of weighted least squares, with a hint of ridge where the columns do not determine them."""
    used = design * weight[:, None]
    gram = used.T @ design
    gram[np.diag_indices(len(gram))] += 1e-9 * max(float(np.trace(gram)) / len(gram), 1e-300)
    return np.asarray(np.linalg.solve(gram, used.T @ response))


def owners(mixture: Mixture) -> np.ndarray:
    """The unit of every row."""
    sizes = 1 if mixture.edges is None else np.diff(mixture.edges)
    return np.repeat(np.arange(mixture.units), sizes)


def by_unit(mixture: Mixture, values: np.ndarray) -> np.ndarray:
    """Means over the rows of every unit."""
    if mixture.edges is None:
        return values
    return np.asarray(np.add.reduceat(values, mixture.edges[:-1], axis=0) / np.diff(mixture.edges)[:, None])


def _canonical(labels: np.ndarray) -> np.ndarray:
    """Labels numbered in the order of their first appearance."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[place])


__all__ = [
    "by_unit", "default_starts", "hard", "least_squares", "nearest", "owners", "partitions", "planes",
    "random_responsibilities", "seeded", "slices", "ward", "whitened",
]  # fmt: skip
