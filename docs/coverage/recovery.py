"""How often BIC finds the number of components and the structure of covariances; writes recovery.json, mixtures.rst.

The truth is each of mclust's 14 structures, with two and three components. Every data set is fitted with all 14 and
every number of components up to two more than is true, by `GaussianMixture` and, where R has the package, by mclust
itself (see mclust.R). scikit-learn's `GaussianMixture` takes part with its own defaults and four structures, and
beside it stands what ours chooses among the same four. A round is one data set of every cell; what there is, is kept
after every data set, and begun from again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import fisherfit as ff
from fisherfit.errors import DegenerateComponentWarning
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
SEED = 20264
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


def ours(x: np.ndarray, count: int, structure: str) -> float:
    """BIC of `GaussianMixture`; NaN where the only maxima found are degenerate."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = ff.GaussianMixture(count, covariance_type=structure, random_state=0, n_init=STARTS, n_jobs=1)
        result = model.fit(x).result_
    bad = any(issubclass(w.category, DegenerateComponentWarning) for w in caught)
    return np.nan if bad else float(result.bic)


def of_mclust(data: dict[int, tuple[np.ndarray, int]]) -> dict[int, dict[tuple[int, str], float]]:
    """BIC of all models by mclust for data sets with the most components to try; empty where R does not have it."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (x, most) in data.items():
            np.savetxt(Path(folder) / f"{number}-{most}.csv", x, delimiter=",", fmt="%.17g")
        command = ["Rscript", str(FOLDER / "mclust.R"), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[int, dict[tuple[int, str], float]] = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        number, k, model, bic = line.split()
        value = np.nan if bic == "NA" else float(bic)
        found.setdefault(int(number), {})[int(k), model.replace("X", "E")] = value
    return found


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


def one(x: np.ndarray, count: int, structure: str) -> dict[str, Any]:
    """What ours and scikit-learn choose for one data set, and our BIC of every model."""
    models = models_of(count + MORE)
    bic = [ours(x, k, s) for k, s in models]
    four = [i for i, (k, s) in enumerate(models) if k == 1 or s in FOUR.values()]
    return {
        "ours": best_of(models, bic),
        "ours of four": best_of([models[i] for i in four], [bic[i] for i in four]),
        "scikit-learn": of_sklearn(x, count + MORE),
        "bic": [None if np.isnan(value) else round(value, 6) for value in bic],
    }


def beside(record: dict[str, Any], theirs: dict[tuple[int, str], float]) -> dict[str, Any]:
    """What mclust chooses, and the models whose log-likelihoods differ from ours by more than 0.01 nats.

    Models that either has only with a degenerate component do not count as different.
    """
    models = models_of(record["k"] + MORE)
    bic = np.array([theirs.get(model, np.nan) for model in models])
    mine = np.array([np.nan if value is None else value for value in record["bic"]])
    gain = 0.5 * (bic - mine)
    true = float(gain[models.index((record["k"], record["structure"]))])
    return {
        "mclust": best_of(models, bic), "gain": round(true, 6) if np.isfinite(true) else None, "fits": len(models),
        "ahead": int((gain > 0.01).sum()), "behind": int((gain < -0.01).sum()),
    }  # fmt: skip


def best_of(models: list[tuple[int, str]], bic: Sequence[float] | np.ndarray) -> str:
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


def data_of(record: dict[str, Any]) -> np.ndarray:
    """The data set of a record, made again."""
    count, structure, separation, n = (record[name] for name in ("k", "structure", "separation", "n"))
    rng = np.random.default_rng([SEED, record["round"], count, n, *structure.encode(), *separation.encode()])
    return draw(rng, count, structure, SEPARATIONS[separation], n)


def keep(path: Path, results: list[dict[str, Any]]) -> None:
    """Write what there is; never half of it."""
    half = path.with_suffix(".part")
    half.write_text("[\n" + ",\n".join(json.dumps(r) for r in results) + "\n]\n", encoding="utf-8")
    half.replace(path)


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
    for round_ in range(1 if given.quick else given.rounds):
        for count, structure, separation, n in chosen:
            record = {"k": count, "structure": structure, "separation": separation, "n": n, "round": round_}
            if key_of(record) in known or time.perf_counter() - begin > 60.0 * given.minutes:
                continue
            results.append(record | one(data_of(record), count, structure))
            keep(path, results)
        without = {i: (data_of(r), r["k"] + MORE) for i, r in enumerate(results) if "mclust" not in r}
        for i, found in of_mclust(without).items() if without else ():
            results[i] |= beside(results[i], found)
        keep(path, results)
        if time.perf_counter() - begin > 60.0 * given.minutes:
            break
        print(f"round {round_}: {time.perf_counter() - begin:.0f} s", flush=True)
    if not given.quick:
        from mixture_page import write

        write(given.out)


if __name__ == "__main__":
    main()
