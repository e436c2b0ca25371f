"""How often BIC finds the number of components and the structure of covariances; writes recovery.json, mixtures.rst.

The truth is each of mclust's 14 structures, with two and three components. Every data set is fitted with all 14 and
every number of components up to two more than is true, twice: by `GaussianMixture`, and as mclust does, by EM from one
hierarchical clustering until the relative change of the log-likelihood is below 1e-5. mclust itself takes no part:
where it starts is emulated by Ward's clustering of the principal components scaled to unit variance. scikit-learn's
`GaussianMixture` takes part with its own defaults and four structures, and beside it stands what ours chooses among
the same four. A round is one data set of every cell; what there is, is kept after every data set, and begun from again.
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
from fisherfit.mixtures.structures import NAMES

FOLDER = Path(__file__).resolve().parent
STRUCTURES = NAMES
ALONE = ("EII", "EEI", "EEE")  # what the 14 come to where there is one component
FOUR = {"spherical": "VII", "diag": "VVI", "tied": "EEE", "full": "VVV"}  # scikit-learn's
COUNTS = (2, 3)
MORE = 2  # components above the true number that are tried, up from one
SEPARATIONS = {"moderate": 4.0, "large": 7.0}
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.9]])  # times the separation
SIZES = (200, 1000)
SEED, MCLUST_TOL = 20264, 1e-5
STARTS = 2  # n_init: fewer than by default, to save time
VOLUMES = {"E": (1.0, 1.0, 1.0), "V": (1.0, 0.4, 1.8)}  # root of the determinant
SHAPES = {"I": (1.0, 1.0, 1.0), "E": (2.5, 2.5, 2.5), "V": (3.0, 0.5, 1.3)}  # first variance over that root
ANGLES = {"I": (0.0, 0.0, 0.0), "E": (0.6, 0.6, 0.6), "V": (0.3, 1.4, -0.7)}


def covariances(structure: str) -> np.ndarray:
    """The covariances of three components, of which the first are used: (3, 2, 2)."""
    volume, shape, orientation = structure
    out = []
    for size, ratio, angle in zip(VOLUMES[volume], SHAPES[shape], ANGLES[orientation], strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        out.append(size * turn @ np.diag([ratio, 1.0 / ratio]) @ turn.T)
    return np.array(out)


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


def of_sklearn(x: np.ndarray, most: int) -> str:
    """What scikit-learn's `GaussianMixture` chooses by its BIC at its defaults, its structures by mclust's names."""
    from sklearn.mixture import GaussianMixture

    found: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning: it takes part as it is
        for k, (kind, name) in product(range(1, most + 1), FOUR.items()):
            found[f"{k} {name}"] = GaussianMixture(k, covariance_type=kind, random_state=0).fit(x).bic(x)
    return min(found, key=lambda model: found[model])


def models_of(most: int) -> list[tuple[int, str]]:
    """What is fitted: numbers of components up to the most, with their structures."""
    return [(k, s) for k in range(1, most + 1) for s in (ALONE if k == 1 else STRUCTURES)]


def one(rng: np.random.Generator, count: int, structure: str, separation: float, n: int) -> dict[str, Any]:
    """What all choose for one data set, and by how much the log-likelihood of the true model is higher for ours."""
    x = draw(rng, count, structure, separation, n)
    most = count + MORE
    models = models_of(most)
    features = whitened(x)
    labels = {k: ward(features, k, rng) if k > 1 else np.zeros(n, int) for k in range(1, most + 1)}
    found = {
        "ours": [ours(x, k, s) for k, s in models],
        "as mclust": [as_mclust(x, labels[k], k, s) for k, s in models],
    }
    out: dict[str, Any] = {}
    for who, values in found.items():
        out[who] = best_of(models, [value for value, _ in values])
    four = [i for i, (k, s) in enumerate(models) if k == 1 or s in FOUR.values()]
    out["ours of four"] = best_of([models[i] for i in four], [found["ours"][i][0] for i in four])
    out["scikit-learn"] = of_sklearn(x, most)
    at = models.index((count, structure))
    gain = found["ours"][at][1] - found["as mclust"][at][1]
    out["gain"] = round(gain, 6) if np.isfinite(gain) else None
    lower = [a[1] - b[1] for a, b in zip(found["ours"], found["as mclust"], strict=True)]
    out["behind"] = int(np.sum(np.array(lower) > 0.01))
    out["ahead"] = int(np.sum(np.array(lower) < -0.01))
    out["fits"] = len(models)
    return out


def best_of(models: list[tuple[int, str]], bic: list[float]) -> str:
    """The model of the smallest BIC."""
    k, structure = models[int(np.nanargmin(bic))]
    return f"{k} {structure}"


def cells() -> list[tuple[int, str, str, int]]:
    """True number of components, structure, separation, rows."""
    small = list(product(COUNTS, STRUCTURES, SEPARATIONS, SIZES[:1]))
    return small + list(product(COUNTS, STRUCTURES, ["moderate"], SIZES[1:]))


def key_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Which data set a record is of."""
    return tuple(record[name] for name in ("round", "k", "structure", "separation", "n"))


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=10, help="data sets of every cell; those there are count")
    options.add_argument("--quick", action="store_true", help="a trial: one data set of each of three cells")
    options.add_argument("--minutes", type=float, default=np.inf, help="begin no data set after so many")
    options.add_argument("--out", type=Path, default=FOLDER, help="where to write")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "recovery.json"
    results: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() and not given.quick else []
    known = {key_of(record) for record in results}
    begin = time.perf_counter()
    chosen = [c for c in cells() if c[2:] == ("large", 200)][:3] if given.quick else cells()
    for round_, (count, structure, separation, n) in product(range(1 if given.quick else given.rounds), chosen):
        record = {"k": count, "structure": structure, "separation": separation, "n": n, "round": round_}
        if key_of(record) in known:
            continue
        if time.perf_counter() - begin > 60.0 * given.minutes:
            break
        rng = np.random.default_rng([SEED, round_, count, n, *structure.encode(), *separation.encode()])
        results.append(record | one(rng, count, structure, SEPARATIONS[separation], n))
        lines = ",\n".join(json.dumps(r) for r in results)
        half = path.with_suffix(".part")  # what there is, is never half written
        half.write_text("[\n" + lines + "\n]\n", encoding="utf-8")
        half.replace(path)
        if (count, structure, separation, n) == chosen[-1]:
            print(f"round {round_}: {time.perf_counter() - begin:.0f} s", flush=True)
    if not given.quick:
        from mixture_page import write

        write(given.out)


if __name__ == "__main__":
    main()
