"""Mixtures: data with clusters that overlap, fits from the same start, and one step of EM beside another."""

from __future__ import annotations

import gc
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from measure import PATIENCE, Record, compare, summary
from peers import installed

COMPONENTS = {"full": 10, "alike": 10, "diag": 5, "poisson": 2}
SHAPES = {"full": "full", "alike": "full", "diag": "diag"}
SPREAD = {"full": 1.6, "alike": 0.8, "diag": 3.0}  # of the means
WORST = 1e-5  # nats between two steps at which scikit-learn's EM is stopped, so that it comes within 1e-4
STEPS = 5
FEW = 10  # fits by flexmix
TITLES = {
    "fisherfit": "fisherfit, as it is",
    "fisherfit-start": "fisherfit, from a start",
    "sklearn-mixture": "scikit-learn, from the same start",
    "flexmix": "flexmix, R",
}


def clusters(kind: str, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of overlapping clusters (n, d), and a start: means that are half a unit off."""
    k = COMPONENTS[kind]
    rng = np.random.default_rng(5 if kind == "diag" else 1)
    means = rng.normal(size=(k, d)) * SPREAD[kind]
    if kind == "alike":
        roots = 0.1 * rng.normal(size=(k, d, d)) + np.eye(d)
    elif kind == "full":
        roots = 0.25 * rng.normal(size=(k, d, d)) + np.eye(d) * rng.uniform(0.7, 1.3, (k, 1, 1))
    else:
        roots = np.eye(d) * rng.uniform(0.5, 1.2, (k, d))[:, None]
    share = rng.uniform(0.5, 1.5, k)
    labels = rng.choice(k, n, p=share / share.sum())
    x = rng.normal(size=(n, d))
    for c in range(k):
        x[labels == c] = means[c] + x[labels == c] @ roots[c].T
    return x, means + 0.5 / np.sqrt(d) * rng.normal(size=(k, d))


def counts(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, p) and the response of a mixture of two Poisson regressions."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, p))
    steep = rng.random(n) < 0.4
    slopes = np.array([[0.5, 0.4, -0.3], [1.8, -0.4, 0.3]])[:, : p + 1]
    eta = np.where(steep, slopes[1, 0] + x @ slopes[1, 1:], slopes[0, 0] + x @ slopes[0, 1:])
    return x, rng.poisson(np.exp(eta)).astype(float)


def mixture_case(case: Case, threads: int, run_alone: Any) -> Record:
    """Times of whole fits, the likelihoods reached, and for clusters the time of a step of EM."""
    import fisherfit as ff

    kind = case.family
    out: Record = {"libraries": {}}
    fits: dict[str, Callable[[], float]] = {}
    if kind == "poisson":
        x, y = counts(case.n, case.p)
        fits["fisherfit"] = lambda: float(ff.MixtureRegressor("poisson", 2, random_state=0).fit(x, y).result_.llf)
    else:
        x, start = clusters(kind, case.n, case.p)
        fits["fisherfit"] = lambda: _ours(x, kind, None)
        fits["fisherfit-start"] = lambda: _ours(x, kind, start)
        if installed("sklearn"):
            fits["sklearn-mixture"] = lambda: _sklearn(x, kind, start, WORST / len(x), 20_000)
            out["step"] = {"sklearn-mixture": _sklearn_step(x, kind, start), "fisherfit": _our_step(x, kind, threads)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, fit in fits.items():
            taken: list[float] = []
            begin = time.perf_counter()
            if name != "sklearn-mixture":
                fit()  # compiled then
            first, loglik = time.perf_counter() - begin, np.nan
            while len(taken) < case.repeats and not (taken and max(taken) > PATIENCE / 10):
                gc.collect()
                begin = time.perf_counter()
                loglik = fit()
                taken.append(time.perf_counter() - begin)
            out["libraries"][name] = {"first": first, **summary(taken), "loglik": loglik}
    if kind == "poisson":
        out["libraries"]["flexmix"] = _flexmix(x, y, min(case.repeats, FEW))
    compare(out["libraries"])
    return out


def _ours(x: np.ndarray, kind: str, start: np.ndarray | None) -> float:
    import fisherfit as ff

    model = ff.GaussianMixture(COMPONENTS[kind], covariance_type=SHAPES[kind], means_init=start, random_state=0).fit(x)
    return float(model.result_.llf)


def _sklearn(x: np.ndarray, kind: str, start: np.ndarray, tol: float, max_iter: int) -> float:
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(
            COMPONENTS[kind], covariance_type=SHAPES[kind], means_init=start, tol=tol, max_iter=max_iter, reg_covar=0.0,
            random_state=0,
        ).fit(x)  # fmt: skip
    return float(model.score(x)) * len(x)


def _flexmix(x: np.ndarray, y: np.ndarray, repeats: int) -> Record:
    """Fits by flexmix, in a process of R that has done one before."""
    if shutil.which("Rscript") is None:
        return {"note": "not installed"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        names = ",".join(["y", *(f"x{j + 1}" for j in range(x.shape[1]))])
        np.savetxt(path, np.column_stack([y, x]), delimiter=",", header=names, comments="", fmt="%.17g")
        command = ["Rscript", str(Path(__file__).with_name("flexmix.R")), str(path), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"note": "not installed"}
    found = np.array([line.split() for line in done.stdout.splitlines()], float)
    return {**summary(found[:, 0].tolist()), "loglik": float(found[:, 1].max())}


def _sklearn_step(x: np.ndarray, kind: str, start: np.ndarray) -> float:
    """Seconds of a step of scikit-learn's EM: what more steps of a fit take."""
    _sklearn(x[:1000], kind, start, 0.0, 1)
    few, many = [], []
    for _ in range(2):
        for steps, taken in ((1, few), (1 + STEPS, many)):
            begin = time.perf_counter()
            _sklearn(x, kind, start, 0.0, steps)
            taken.append(time.perf_counter() - begin)
    return (min(many) - min(few)) / STEPS


def _our_step(x: np.ndarray, kind: str, threads: int) -> float:
    """Seconds of a step of EM, log-likelihood included."""
    from fisherfit import _threads
    from fisherfit.mixtures.gaussian import Gaussian
    from fisherfit.mixtures.mixing import Mixing
    from fisherfit.mixtures.mixture import Mixture

    k = COMPONENTS[kind]
    mixture = Mixture(Gaussian(x, k, SHAPES[kind]), Mixing(k), np.ones(len(x)), None, threads)
    labels = np.random.default_rng(0).integers(0, k, len(x))
    theta = mixture.start(0.5 * (labels == np.arange(k)[:, None]) + 0.5 / k)[None]
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        mixture.em(theta)
        begin = time.perf_counter()
        for _ in range(STEPS):
            theta = mixture.em(theta)[1]
        return (time.perf_counter() - begin) / STEPS
