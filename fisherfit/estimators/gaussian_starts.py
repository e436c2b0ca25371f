"""Where a Gaussian mixture begins: the ways of scikit-learn, a start that the user gives, the last solution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, InputTypeError
from ..mixtures.mixture import Mixture
from ..mixtures.starts import random_responsibilities, seeded
from .density_checks import random_generator
from .gaussian_density import log_densities, root_of_precision, shape_of
from .gaussian_parts import given_array, labels_as, responsibilities_of

WAYS = ("kmeans", "k-means++", "random", "random_from_data")


def starts_of(model: Any, mixture: Mixture, rng: np.random.Generator) -> list[np.ndarray]:
    """Responsibilities to begin from; none for those of all kinds."""
    k, u = mixture.mixing.count, mixture.components.features()
    if model.init_params == "kmeans":
        return []
    if model.init_params == "random":
        return [random_responsibilities(mixture.units, k, rng) for _ in range(int(model.n_init))]
    if model.init_params == "k-means++":
        return [labels_as(seeded(u, mixture.weight, k, rng, 0), k) for _ in range(int(model.n_init))]
    out = []
    for _ in range(int(model.n_init)):
        seeds = u[rng.choice(len(u), k, replace=False)]
        out.append(labels_as(np.stack([((u - seed) ** 2).sum(axis=1) for seed in seeds]).argmin(axis=0), k))
    return out


def begun(model: Any, x: np.ndarray) -> np.ndarray | None:
    """Responsibilities (K, n) of the start that the user gives, or of the last solution; None for neither."""
    k, d = int(model.n_components), x.shape[1]
    if model.warm_start and hasattr(model, "result_") and model.means_.shape == (k, d):
        joint = np.log(model.weights_) + log_densities(x, model.means_, model.precisions_cholesky_, model._shape)
        return responsibilities_of(joint)
    if model.weights_init is None and model.means_init is None and model.precisions_init is None:
        return None
    if not isinstance(model.covariance_type, str):
        raise InputTypeError(f"covariance_type must be a word, got {model.covariance_type!r}")
    scale = np.maximum(x.std(axis=0), 1e-300)
    if model.means_init is not None:
        means = given_array("means_init", model.means_init, (k, d))
        centre = x.mean(axis=0)
        seeds = (means - centre) / scale
        labels = (0.5 * (seeds**2).sum(axis=1) - ((x - centre) / scale) @ seeds.T).argmin(axis=1)
    else:
        rng = random_generator(model.random_state)
        labels = seeded((x - x.mean(axis=0)) / scale, np.ones(len(x)), k, rng, 10)
        means = np.stack([x[labels == c].mean(axis=0) for c in range(k)])
    share = np.maximum(np.bincount(labels, minlength=k), 0.5) / len(x)
    if model.weights_init is not None:
        share = given_array("weights_init", model.weights_init, (k,))
        if (share < 0.0).any() or abs(share.sum() - 1.0) > 1e-6:
            raise InputError(f"weights_init must be at least 0 and add up to 1, got {share.tolist()}")
    if model.precisions_init is None:
        if model.weights_init is None:
            return labels_as(labels, k)
        gap = x - means[labels]
        root = 1.0 / np.sqrt(np.maximum((gap**2).mean(axis=0), 1e-12 * scale**2))
        return responsibilities_of(np.log(share) + log_densities(x, means, np.tile(root, (k, 1)), "diag"))
    shape = shape_of(model.covariance_type)
    wanted = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[shape]
    root = root_of_precision(given_array("precisions_init", model.precisions_init, wanted), shape)
    return responsibilities_of(np.log(share) + log_densities(x, means, root, shape))


def last_point(model: Any, mixture: Mixture) -> list[np.ndarray]:
    """With `warm_start` the point where the last fit ended, if it is that on these rows too; else none."""
    if not model.warm_start or not hasattr(model, "result_") or mixture.size != model._theta.size:
        return []
    here, last = mixture.report(model._theta), model.result_
    same = here.names == last.names and np.allclose(here.values, last.estimates, rtol=1e-9, atol=0.0)
    return [model._theta] if same else []


__all__ = ["WAYS", "begun", "last_point", "starts_of"]
