"""How often BIC finds the number of components and the structure of covariances; writes recovery.json, mixtures.rst.

Every data set is fitted twice with every number of components and structure: by `GaussianMixture`, and as mclust does,
by EM from one hierarchical clustering until the relative change of the log-likelihood is below 1e-5. mclust itself
takes no part: where it starts is emulated by Ward's clustering of the principal components scaled to unit variance.
A round is one data set of every cell, so that the study is balanced whenever it ends.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import fisherfit as ff
from fisherfit.errors import DegenerateComponentWarning
from fisherfit.mixtures.gaussian import Gaussian
from fisherfit.mixtures.mixing import Mixing
from fisherfit.mixtures.mixture import Mixture
from fisherfit.mixtures.starts import hard, ward, whitened

FOLDER = Path(__file__).resolve().parent
STRUCTURES = ("EII", "VVI", "EEE", "VVV")
COUNTS = (2, 3, 4)
MORE = 2  # components above the true number that are tried, up from one
SEPARATIONS = {"moderate": 3.0, "large": 5.0}
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.9], [1.5, 0.9]])  # times the separation
SIZES = (200, 1000)
SEED, MCLUST_TOL = 20263, 1e-5
STARTS = 2  # n_init: fewer than by default, to save time
ALIGNED = np.array([[1.0, 0.25], [0.3, 1.2], [0.5, 0.5], [1.5, 0.4]])  # variances
TURNED = np.array([0.9, -0.8, 0.2, 0.6])  # correlations


def covariances(structure: str) -> np.ndarray:
    """The covariances of four components, of which the first are used: (4, 2, 2)."""
    if structure == "EII":
        return np.broadcast_to(np.eye(2), (4, 2, 2))
    if structure == "EEE":
        return np.broadcast_to(np.array([[1.0, 0.7], [0.7, 1.0]]), (4, 2, 2))
    out = np.zeros((4, 2, 2))
    out[:, [0, 1], [0, 1]] = ALIGNED
    if structure == "VVV":
        out[:, 0, 1] = out[:, 1, 0] = TURNED * np.sqrt(ALIGNED.prod(axis=1))
    return out


def draw(rng: np.random.Generator, count: int, structure: str, separation: float, n: int) -> np.ndarray:
    """n rows of `count` equally frequent components."""
    z, e = rng.integers(count, size=n), rng.normal(size=(n, 2))
    return separation * CORNERS[z] + np.einsum("nij,nj->ni", np.linalg.cholesky(covariances(structure))[z], e)


def ours(x: np.ndarray, count: int, structure: str) -> tuple[float, float]:
    """BIC and log-likelihood of `GaussianMixture`; NaN where the only maxima found are degenerate."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = ff.GaussianMixture(count, covariance_type=structure, random_state=0, n_init=STARTS, n_jobs=1)
        result = model.fit(x).result_
    bad = any(issubclass(w.category, DegenerateComponentWarning) for w in caught)
    return (np.nan, np.nan) if bad else (result.bic, result.llf)


def as_mclust(x: np.ndarray, labels: np.ndarray, count: int, structure: str) -> tuple[float, float]:
    """BIC and log-likelihood by EM from a partition until the relative change is below 1e-5; NaN where it degenerates.

    The change is |l - l_before| / (1 + |l|), as in mclust.
    """
    mixture = Mixture(Gaussian(x, count, structure), Mixing(count), np.ones(len(x)))
    with np.errstate(all="ignore"):
        theta, before = mixture.start(hard(labels, count))[None], np.inf
        for _ in range(10_000):
            loglik, theta = mixture.em(theta)
            if not np.isfinite(theta).all() or mixture.components.trouble(mixture.split(theta[0])[1]):
                return np.nan, np.nan
            if abs(loglik[0] - before) / (1.0 + abs(loglik[0])) < MCLUST_TOL:
                break
            before = loglik[0]
        value = float(mixture.loglik(theta)[0])
    return -2.0 * value + np.log(len(x)) * mixture.size, value


def one(rng: np.random.Generator, count: int, structure: str, separation: float, n: int) -> dict[str, Any]:
    """What both choose for one data set, and by how much the log-likelihood of the true model is higher for ours."""
    x = draw(rng, count, structure, separation, n)
    models = list(product(range(1, count + MORE + 1), STRUCTURES))
    features = whitened(x)
    labels = {k: ward(features, k, rng) if k > 1 else np.zeros(n, int) for k in range(1, count + MORE + 1)}
    found = {
        "ours": [ours(x, k, s) for k, s in models],
        "as mclust": [as_mclust(x, labels[k], k, s) for k, s in models],
    }
    out: dict[str, Any] = {}
    for who, values in found.items():
        bic = np.array([value for value, _ in values])
        best = models[int(np.nanargmin(bic))]
        out[who] = f"{best[0]} {best[1]}"
    at = models.index((count, structure))
    out["gain"] = round(found["ours"][at][1] - found["as mclust"][at][1], 6)
    lower = [a[1] - b[1] for a, b in zip(found["ours"], found["as mclust"], strict=True)]
    out["behind"] = int(np.sum(np.array(lower) > 0.01))
    out["ahead"] = int(np.sum(np.array(lower) < -0.01))
    return out


def cells() -> list[tuple[int, str, str, int]]:
    """True number of components, structure, separation, rows."""
    small = list(product(COUNTS, STRUCTURES, SEPARATIONS, SIZES[:1]))
    return small + list(product(COUNTS[:2], STRUCTURES, ["moderate"], SIZES[1:]))


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=50, help="data sets of every cell; those there are count")
    options.add_argument("--quick", action="store_true", help="a trial: one data set of each of three cells")
    options.add_argument("--minutes", type=float, default=np.inf, help="begin no round after so many")
    options.add_argument("--out", type=Path, default=FOLDER, help="where to write")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "recovery.json"
    results: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() and not given.quick else []
    first = 1 + max((r["round"] for r in results), default=-1)
    begin = time.perf_counter()
    for round_ in range(first, 1 if given.quick else given.rounds):
        if time.perf_counter() - begin > 60.0 * given.minutes:
            break
        for cell in [c for c in cells() if c[2:] == ("large", 200)][:3] if given.quick else cells():
            count, structure, separation, n = cell
            rng = np.random.default_rng([SEED, round_, count, n, *structure.encode(), *separation.encode()])
            record = {"k": count, "structure": structure, "separation": separation, "n": n, "round": round_}
            results.append(record | one(rng, count, structure, SEPARATIONS[separation], n))
        lines = ",\n".join(json.dumps(r) for r in results)
        path.write_text("[\n" + lines + "\n]\n", encoding="utf-8")
        print(f"round {round_}: {time.perf_counter() - begin:.0f} s", flush=True)
    if not given.quick:
        from mixture_page import write

        write(given.out)


if __name__ == "__main__":
    main()
