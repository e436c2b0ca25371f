"""Studies: each draws many data sets of a known law, makes intervals from all of them, and counts what they cover."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from draws import CLUSTERED, HETEROSCEDASTIC, LAWS, PLACE, Law, clustered, clusters, design

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
    with quiet():  # separated groups have open intervals, and are counted
        model = ff.GroupedGLM(law.family).fit(np.tile(X - PLACE, (runs, 1)), y.ravel(), np.repeat(np.arange(runs), n))
    table = model.table(LEVEL)
    truth = {"mean": float(law.eta(PLACE)), "x": law.beta[1], "z": law.beta[2]}
    names = dict(zip(("Intercept", "x0", "x1"), truth, strict=True))
    if law.family == "negative_binomial":
        truth["alpha"], names["alpha"] = 0.5, "alpha"
    for term, name in names.items():
        rows = table[table["term"] == term]
        yield count("wald", law.name, n, name, rows["lower"].to_numpy(), rows["upper"].to_numpy(), truth[name])


def profile(law: Law, n: int, runs: int) -> Iterator[Record]:
    """Profile-likelihood intervals of the slope of x, and of alpha."""
    X, names = design(n), ["x0", *(["alpha"] if law.family == "negative_binomial" else [])]
    ends = np.full((runs, len(names), 2), np.nan)
    for i, y in enumerate(law.responses(stream("wald", law, n), X, runs)):  # the data of the Wald intervals
        with quiet():
            model = ff.GLM(law.family, n_jobs=1).fit(X, y)
            ends[i] = model.conf_int(LEVEL, method="profile", X=X, y=y, columns=names).loc[names]
    for j, (name, truth) in enumerate(zip(("x", "alpha")[: len(names)], (law.beta[1], 0.5), strict=False)):
        yield count("profile", law.name, n, name, ends[:, j, 0], ends[:, j, 1], truth)


def side(cdf: Callable[[Any], np.ndarray], value: float, discrete: bool) -> int:
    """Where a value lies to the interval between the quantiles of a distribution F: below (-1), in it (0), above (1).

    It is in it where F(value) is at least the lower probability and F just below is less than the upper one: F at two
    points costs less than two quantiles.
    """
    tail = 0.5 - 0.5 * LEVEL
    upto = float(cdf(value)[0])
    below = float(cdf(value - 1.0)[0]) if discrete else 0.0 if value == 0.0 else upto
    return -1 if upto < tail else 1 if below >= 1.0 - tail else 0


def prediction(law: Law, n: int, runs: int) -> Iterator[Record]:
    """Intervals for the mean at a place, and whether those for an observation hold a new one."""
    X, rng = design(n), stream("prediction", law, n)
    new = law.responses(rng, PLACE[None], runs)[:, 0]
    discrete = law.family in ("binomial", "poisson", "negative_binomial")
    ends, kinds = np.empty((runs, 2)), {"observation": True, "plug-in": False}
    sides = {kind: np.empty(runs, int) for kind in kinds}
    for i, y in enumerate(law.responses(rng, X, runs)):
        with quiet():
            model = ff.GLM(law.family, n_jobs=1).fit(X, y)
            ends[i] = model.predict_interval(PLACE[None], kind="mean", level=LEVEL).iloc[0]
            for kind, uncertain in kinds.items():
                cdf = model.predict_distribution(PLACE[None], parameter_uncertainty=uncertain).cdf
                sides[kind][i] = side(cdf, float(new[i]), discrete)
    yield count("prediction", law.name, n, "mean", ends[:, 0], ends[:, 1], float(law.mean(PLACE[None])[0]))
    for kind, found in sides.items():
        lower, upper = np.where(found < 0, 1.0, -1.0), np.where(found > 0, -1.0, 1.0)
        yield count("prediction", law.name, n, kind, lower, upper, 0.0)


def robust(study: str, make: Callable[[int], np.ndarray], kinds: dict[str, str]) -> Study:
    """Intervals of the slopes by several covariances of the same estimates."""

    def intervals(law: Law, n: int, runs: int) -> Iterator[Record]:
        X = make(n)
        ends = {kind: np.empty((runs, 2, 2)) for kind in kinds}
        for i, y in enumerate(law.responses(stream(study, law, n), X, runs)):
            for kind, cov_type in kinds.items():
                model = ff.GLM(law.family, cov_type=cov_type, n_jobs=1)
                model = model.fit(X, y, groups=clusters(n)) if cov_type.startswith("cluster") else model.fit(X, y)
                ends[kind][i] = model.result_.conf_int(LEVEL).iloc[1:3]
        for kind, found in ends.items():
            for j, name in enumerate(("x", "z")):
                yield count(study, law.name, n, f"{name}, {kind}", found[:, j, 0], found[:, j, 1], law.beta[1 + j])

    return intervals


@contextmanager
def quiet() -> Iterator[None]:
    """Statistical trouble of single data sets shows in the counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        yield


STUDIES: dict[str, tuple[Study, dict[str, Law]]] = {
    "wald": (wald, LAWS),
    "profile": (profile, LAWS),
    "prediction": (prediction, LAWS),
    "heteroscedastic": (
        robust("heteroscedastic", design, {"expected": "expected", "HC0": "HC0", "HC3": "HC3"}), HETEROSCEDASTIC
    ),
    "clustered": (
        robust("clustered", clustered, {"expected": "expected", "CR1": "cluster", "CR3": "cluster(CR3)"}), CLUSTERED
    ),
}  # fmt: skip
TITLES = {
    "wald": (
        "Wald intervals",
        """\
The estimate plus and minus a multiple of its standard error: of the slopes, of the linear predictor at x = 1, z = 0,
and of alpha (made on the log scale).""",
    ),
    "profile": (
        "Profile-likelihood intervals",
        """\
``conf_int(method="profile")``, of the data above: the slope of x, and alpha.""",
    ),
    "prediction": (
        "Prediction intervals",
        """\
``predict_interval`` at x = 1, z = 0: of the mean; of a new observation, with the uncertainty of the parameters; and
"plug-in", which takes the estimates as known. A count or a 0/1 response jumps: the smallest interval that has at least
the level has more.""",
    ),
    "heteroscedastic": (
        "Robust intervals under heteroscedasticity",
        """\
The variance is not the one that the family says: normal with standard deviation 0.4 + 0.8 abs(x), counts with variance
mu + (0.2 + 0.4 x²) mu² fitted as Poisson, positive values with variance (1 + x²) mu² / 4 fitted as gamma. Standard
errors from the expected information should fail here; ``cov_type="HC3"`` should not.""",
    ),
    "clustered": (
        "Clustered intervals under correlation",
        """\
10 clusters of 5 rows, or 50 of 10; z is the same in a cluster. Normal with standard deviation 0.7 between clusters and
1 within; Poisson with means times a gamma variable of variance 0.25, one in a cluster. ``cov_type="cluster"`` (CR1)
and ``"cluster(CR3)"``.""",
    ),
}
