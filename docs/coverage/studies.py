"""Studies: each draws many data sets of a known law, makes intervals from all of them, and counts what they cover."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from draws import LAWS, PLACE, Law, design

import fisherfit as ff

LEVEL = 0.95
SEED = 20261
Record = dict[str, Any]
Study = Callable[[Law, int, int], Iterator[Record]]


def count(study: str, law: str, n: int, of: str, lower: Any, upper: Any, truth: Any) -> Record:
    """Coverage of one kind of interval; an end that is infinite or NaN is open."""
    lower, upper = np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)
    covered = (lower <= truth) & (truth <= upper)
    runs, error = covered.size, np.sqrt(LEVEL * (1.0 - LEVEL) / covered.size)
    return {
        "study": study, "law": law, "n": n, "of": of, "runs": runs, "coverage": float(covered.mean()),
        "errors": round(float((covered.mean() - LEVEL) / error), 2), "above": float((lower > truth).mean()),
        "below": float((upper < truth).mean()), "open": int((np.isinf(lower) | np.isinf(upper)).sum()),
    }  # fmt: skip


def stream(study: str, law: Law, n: int) -> np.random.Generator:
    """Random numbers of one cell, whatever else is run."""
    return np.random.default_rng([SEED, n, *law.name.encode(), *study.encode()])


def wald(law: Law, n: int, runs: int) -> Iterator[Record]:
    """Wald intervals of slopes and of the mean at a place: all data sets in one call.

    Measured from that place, x and z leave the linear predictor there as the intercept.
    """
    X, rng = design(n), stream("wald", law, n)
    y = law.responses(rng, X, runs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)  # separated groups have open intervals, and are counted
        model = ff.GroupedGLM(law.family).fit(np.tile(X - PLACE, (runs, 1)), y.ravel(), np.repeat(np.arange(runs), n))
    table = model.table(LEVEL)
    truth = {"mean": float(law.eta(PLACE)), "x": law.beta[1], "z": law.beta[2]}
    names = dict(zip(("Intercept", "x0", "x1"), truth, strict=True))
    if law.family == "negative_binomial":
        truth["alpha"], names["alpha"] = 0.5, "alpha"
    for term, name in names.items():
        rows = table[table["term"] == term]
        yield count("wald", law.name, n, name, rows["lower"].to_numpy(), rows["upper"].to_numpy(), truth[name])


STUDIES: dict[str, tuple[Study, dict[str, Law]]] = {"wald": (wald, LAWS)}
TITLES = {
    "wald": (
        "Wald intervals",
        "The estimate plus and minus a multiple of its standard error: of the slopes, of the mean at x = 1, z = 0 (made on\n"
        "the scale of the linear predictor), and of alpha (made on the log scale).",
    ),
}
