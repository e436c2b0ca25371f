"""Coverage of intervals for mixtures by simulation: draws, fits, counts, writes mixtures.json and mixtures.rst."""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mixture_laws import LAWS, Data, MixtureLaw

import fisherfit as ff
from fisherfit.covtypes import PLAIN
from fisherfit.mixtures.covariance import covariance_of
from fisherfit.mixtures.outcome import inverse_of

FOLDER = Path(__file__).resolve().parent
SIZES, RUNS, LEVEL, SEED = (200, 1000), 500, 0.95, 20262
KINDS = ("observed", "HC0")


def robust(model: Any, law: MixtureLaw, data: Data) -> Any:
    """The result with the covariance HC0; without one where a parameter lies on the edge of its space."""
    result, mixture = model.result_, law.mixture(model, data)
    bread = None if result.boundary else inverse_of(mixture.evaluate(model._theta).observed)
    if bread is None:
        return replace(result, covariance=None)
    inner = covariance_of(mixture, model._theta, bread, PLAIN["HC0"], True, None)
    jacobian = mixture.report(model._theta).jacobian
    return replace(result, covariance=jacobian @ inner @ jacobian.T, cov_type="HC0")


def swapped(name: str) -> str:
    """The name of the same parameter of the other component."""
    return re.sub(r"\[([01])", lambda found: f"[{1 - int(found[1])}", name)


def one(law: MixtureLaw, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates (p,), standard errors (kinds, p) and ends of intervals (kinds, p, 2) of one data set.

    Components are numbered so that their parameters are nearest to the true ones.
    """
    data, truth = law.draw(rng, n), np.array(list(law.truth.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        model = law.make().fit(*data)
    results = (model.result_, robust(model, law, data))
    tables = [(result.params, result.bse, result.conf_int(LEVEL)) for result in results]
    names = list(law.truth)
    others = [swapped(name) for name in names]
    gaps = [np.abs(tables[0][0][chosen].to_numpy() - truth).sum() for chosen in (names, others)]
    chosen = names if gaps[0] <= gaps[1] else others
    errors = np.stack([bse[chosen].to_numpy() for _, bse, _ in tables])
    return tables[0][0][chosen].to_numpy(), errors, np.stack([limits.loc[chosen].to_numpy() for *_, limits in tables])


def cell(law: MixtureLaw, n: int, runs: int) -> list[dict[str, Any]]:
    """One law and size: a record for every parameter and kind of standard error."""
    rng = np.random.default_rng([SEED, n, *law.name.encode()])
    found = [one(law, rng, n) for _ in range(runs)]
    estimates, errors, ends = (np.stack(part) for part in zip(*found, strict=True))
    out = []
    for i, kind in enumerate(KINDS):
        for j, (name, truth) in enumerate(law.truth.items()):
            out.append(record(law.name, n, kind, name, truth, estimates[:, j], errors[:, i, j], ends[:, i, j]))
    return out


def record(
    law: str, n: int, kind: str, name: str, truth: float, estimate: np.ndarray, error: np.ndarray, ends: np.ndarray
) -> dict[str, Any]:
    """Coverage, its distance from the level in Monte Carlo standard errors, bias and standard errors beside the spread.

    An interval that is open (no standard error) covers; `open` says how many there are.
    """
    lower = np.where(np.isnan(ends[:, 0]), -np.inf, ends[:, 0])
    upper = np.where(np.isnan(ends[:, 1]), np.inf, ends[:, 1])
    covered = (lower <= truth) & (truth <= upper)
    runs, spread = len(covered), float(estimate.std(ddof=1))
    distance = float(covered.mean() - LEVEL) / (LEVEL * (1.0 - LEVEL) / runs) ** 0.5
    return {
        "law": law, "n": n, "se": kind, "of": name, "runs": runs, "coverage": round(float(covered.mean()), 4),
        "errors": round(distance, 2), "above": round(float((lower > truth).mean()), 4),
        "below": round(float((upper < truth).mean()), 4), "open": int((np.isinf(lower) | np.isinf(upper)).sum()),
        "bias": round(float(estimate.mean() - truth) / spread, 3),
        "ratio": round(float(np.nanmedian(error)) / spread, 3),
    }  # fmt: skip


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a trial: 10 data sets of 200 rows")
    options.add_argument("--laws", nargs="+", choices=list(LAWS), help="some anew, the other results kept")
    options.add_argument("--page", action="store_true", help="write the page from the results there are")
    options.add_argument("--out", type=Path, default=FOLDER, help="where to write")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "mixtures.json"
    chosen = [] if given.page else given.laws or list(LAWS)
    old = json.loads(path.read_text()) if path.exists() and (given.page or given.laws) else []
    results = [r for r in old if r["law"] not in chosen]
    for name in chosen:
        for n in SIZES[:1] if given.quick else SIZES:
            begin = time.perf_counter()
            found = cell(LAWS[name], n, 10 if given.quick else RUNS)
            results += found
            shown = ", ".join(f"{r['of']} {r['coverage']:.3f} ({r['errors']:+.1f})" for r in found)
            print(f"{name}, n = {n}: {shown}; {time.perf_counter() - begin:.1f} s", flush=True)
    results.sort(key=lambda r: list(LAWS).index(r["law"]))
    path.write_text("[\n" + ",\n".join(json.dumps(r) for r in results) + "\n]\n", encoding="utf-8")
    if given.page or not given.quick:
        from mixture_page import write

        write(given.out)


if __name__ == "__main__":
    main()
