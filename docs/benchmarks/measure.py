"""Measurements of a case, made in a process of its own: libraries in turn on the same data, then the limits."""

from __future__ import annotations

import gc
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import machine
import numpy as np
from cases import PHI, Case, Data, groups, make, warm
from peers import LIBRARIES, LINKS, installed, quiet
from scipy import special

SHORT = 1e-4  # nats below the best from which on a library is said to stop short
BRIEF = 1.0  # seconds up to which a fit follows one that is not timed, in place of that of another library
PATIENCE = 60.0  # seconds of a fit that is not repeated
SMALL = 100_000  # bytes of data below which a fit is far from any limit of the hardware
TOO_SLOW = 15.0  # seconds for warming up after which a library is left out
Record = dict[str, Any]


# likelihood


def log_likelihood(family: str, y: np.ndarray, eta: np.ndarray) -> float:
    """Log-likelihood less that of the saturated model, minus half the deviance over phi: one formula for all."""
    if family == "poisson":
        mu = np.exp(eta)
        return -float(np.sum(special.xlogy(y, y) - y * eta - (y - mu)))
    if family == "gamma":
        return -float(np.sum(eta - np.log(y) + y * np.exp(-eta) - 1.0)) / PHI
    return -float(np.sum(np.logaddexp(0.0, np.where(y > 0.5, -eta, eta))))


def compare(records: dict[str, Record]) -> None:
    """The distance of every library from the best likelihood, and who stops short of it."""
    reached = [r["loglik"] for r in records.values() if "loglik" in r]
    for record in records.values():
        if "loglik" in record:
            record["gap"] = float(np.nanmax(reached)) - record["loglik"]
            record["short"] = not record["gap"] <= SHORT  # true for NaN


# time


def summary(seconds: list[float]) -> Record:
    """Median and range of repeated measurements."""
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds), "repeats": len(seconds)}


def timed(case: Case, data: Data, libraries: tuple[str, ...], lacking: bool = False) -> dict[str, Record]:
    """Fits of every library in turn, A B C A B C, so that a disturbance meets all alike."""
    records: dict[str, Record] = {}
    small = warm(case)
    for name in libraries:
        if not installed(name):
            records[name] = {"note": "not installed"}
            continue
        begin = time.perf_counter()
        try:
            quiet(name, case.family, small)
        except (AttributeError, TypeError, ValueError) as error:
            if not (lacking and name == "fisherfit"):
                raise
            records[name] = {"note": f"not available: {str(error).splitlines()[0]}"}
            continue
        records[name] = {"first": time.perf_counter() - begin}
        if records[name]["first"] > TOO_SLOW and name != "fisherfit":
            records[name] = {"note": f"left out: {records[name]['first']:.0f} s for {len(small.y):,} rows"}
    able = [name for name in libraries if "first" in records[name]]
    seconds: dict[str, list[float]] = {name: [] for name in able}
    found: dict[str, np.ndarray] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(case.repeats):
            for name in able:
                if seconds[name] and max(seconds[name]) > PATIENCE:
                    continue
                fit = LIBRARIES[name]
                gc.collect()
                if records[name]["first"] < BRIEF and not max(seconds[name], default=0.0) > BRIEF:
                    fit(case.family, data)  # threads and caches are then its own
                begin = time.perf_counter()
                for _ in range(case.number):
                    found[name] = fit(case.family, data)
                seconds[name].append((time.perf_counter() - begin) / case.number)
    for name in able:
        records[name] |= summary(seconds[name])
        records[name]["loglik"] = log_likelihood(case.family, data.y, data.eta(found[name]))
        records[name]["largest_coefficient"] = float(np.abs(found[name]).max())
    return records


def alone(case: Case, library: str) -> Record:
    """One fit of one library in a fresh process: time, and peak memory beyond the data."""
    data = make(case, case.n, case.p)
    begin = time.perf_counter()
    quiet(library, case.family, warm(case))
    first = time.perf_counter() - begin
    peak = machine.Peak()
    begin = time.perf_counter()
    found = quiet(library, case.family, data)
    seconds = time.perf_counter() - begin
    memory = peak.beyond()
    return {
        "first": first,
        **summary([seconds]),
        "memory": memory,
        "memory_share": memory / data.nbytes,
        "loglik": log_likelihood(case.family, data.y, data.eta(found)),
        "largest_coefficient": float(np.abs(found).max()),
    }


# limits


@contextmanager
def evaluations(n: int) -> Iterator[list[tuple[Any, np.ndarray, int]]]:
    """Every evaluation of fisherfit's likelihood on all n rows, while the context is open."""
    from fisherfit.likelihood import Likelihood

    calls: list[tuple[Any, np.ndarray, int]] = []
    plain = Likelihood.evaluate

    def counted(self: Any, theta: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        out = plain(self, theta, *args, **kwargs)
        if self.n == n:
            calls.append((self, np.array(theta), out.kind))
        return out

    Likelihood.evaluate = counted  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        Likelihood.evaluate = plain  # type: ignore[method-assign]


def passes_of(model: Any, calls: list[tuple[Any, np.ndarray, int]]) -> dict[str, float]:
    """Passes over all rows: those that a fit from files counts itself, else the evaluations seen."""
    from fisherfit.likelihood import SCORE, VALUE

    counted = getattr(model, "passes_", None)
    if counted is not None:
        return {"all columns": float(counted["rows"]), "the response alone": float(counted["response"])}
    kinds = [kind for _, _, kind in calls]
    return {
        "score": float(kinds.count(SCORE)),
        "information": float(sum(kind > SCORE for kind in kinds)),
        "value": float(kinds.count(VALUE)),
    }


def limit(case: Case, data: Data, threads: int) -> Record:
    """What the passes of a fit would take if nothing but reading and dsyrk cost time."""
    import fisherfit as ff

    with evaluations(case.n) as calls, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ff.GLM(case.family, LINKS[case.family]).fit(data.X, data.y)
    passes = passes_of(model, calls)
    columns = data.X
    if not isinstance(columns, np.ndarray):  # as many bytes of a plain matrix
        columns = np.ones((max(1, (data.nbytes - data.y.nbytes) // 128), 16))
    read = machine.read_seconds(columns, threads)
    dsyrk = 0.0 if case.design == "sparse" else machine.dsyrk_seconds(case.n, case.p, threads)
    total = read * sum(passes.values()) + dsyrk * passes["information"]
    return {"passes": passes, "read": read, "dsyrk": dsyrk, "seconds": total}


# cases


def fit_case(case: Case, threads: int, run_alone: Callable[[str], Record]) -> Record:
    """Times, likelihoods, memory and the distance from the limit."""
    data = make(case, case.n, case.p)
    libraries = ("fisherfit", *case.peers)
    records = timed(case, data, libraries, lacking=case.design == "sparse")
    out: Record = {"libraries": records, "bytes": data.nbytes}
    if "median" in records["fisherfit"] and data.nbytes > SMALL:
        out["limit"] = limit(case, data, threads)
        if out["limit"]["seconds"] > 0:
            out["limit"]["times"] = records["fisherfit"]["median"] / out["limit"]["seconds"]
    del data  # the processes below make it again
    for name in case.once:
        records[name] = run_alone(name) if installed(name) else {"note": "not installed"}
        if not case.memory:
            records[name] = {k: v for k, v in records[name].items() if not k.startswith("memory")}
    for name in libraries:
        if case.memory and "median" in records[name]:
            records[name] |= {k: v for k, v in run_alone(name).items() if k.startswith("memory")}
    compare(records)
    return out


def sweep_case(case: Case, threads: int, run_alone: Any) -> Record:
    """Times over a range of rows or columns."""
    from dataclasses import replace

    if case.name == "rows":
        sizes = [(n, case.p) for n in (1_000, 10_000, 100_000, 1_000_000) if n <= case.n]
    else:
        sizes = [(case.n, p) for p in (5, 10, 20, 50, 100, 200) if p <= case.p]
    points = []
    for n, p in sizes:
        here = replace(case, n=n, p=p, number=max(1, 20_000 // n))
        # statsmodels needs 10 to 20 times the memory of the data, and seconds
        libraries = tuple(x for x in ("fisherfit", *case.peers) if x != "statsmodels" or n * p <= 5_000_000)
        records = timed(here, make(here, n, p), libraries)
        compare(records)
        points.append({"n": n, "p": p, "libraries": records})
    return {"points": points}


def pass_case(case: Case, threads: int, run_alone: Any) -> Record:
    """One evaluation of the likelihood against the time to read the columns and the time of dsyrk."""
    import fisherfit as ff
    from fisherfit import _threads
    from fisherfit.likelihood import EXPECTED, SCORE

    data = make(case, case.n, case.p)
    with evaluations(case.n) as calls:
        ff.GLM(case.family).fit(data.X, data.y)
    likelihood, theta, _ = next(call for call in reversed(calls) if call[1].size == case.p + 1)
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        times: dict[str, list[float]] = {"information": [], "score": []}
        for _ in range(case.repeats):
            for name, kind in (("information", EXPECTED), ("score", SCORE)):
                begin = time.perf_counter()
                likelihood.evaluate(theta, kind)
                times[name].append(time.perf_counter() - begin)
    read = machine.read_seconds(data.X, threads)
    dsyrk = machine.dsyrk_seconds(case.n, case.p, threads)
    return {
        "information": summary(times["information"]),
        "score": summary(times["score"]),
        "read": read,
        "dsyrk": dsyrk,
        "information_over_limit": min(times["information"]) / max(read, dsyrk),
        "score_over_limit": min(times["score"]) / read,
        "bytes": data.nbytes,
    }


def groups_case(case: Case, threads: int, run_alone: Any) -> Record:
    """One model for every group, against a loop of statsmodels over some of the groups."""
    import fisherfit as ff

    some = min(200, case.n)
    X, y, group = groups(case.n, case.p)
    stop = int(np.searchsorted(group, some))
    out: Record = {"groups": case.n, "rows": int(y.size), "libraries": {}}

    def loglik(coefficients: np.ndarray) -> float:
        g = group[:stop]
        eta = coefficients[g, 0] + np.einsum("ij,ij->i", X[:stop], coefficients[g, 1:])
        return log_likelihood("poisson", y[:stop], eta)

    if hasattr(ff, "GroupedGLM"):
        head = slice(0, stop)
        begin = time.perf_counter()
        ff.GroupedGLM("poisson").fit(X[head], y[head], groups=group[head])
        first, seconds = time.perf_counter() - begin, []
        for _ in range(case.repeats):
            begin = time.perf_counter()
            model = ff.GroupedGLM("poisson").fit(X, y, groups=group)
            seconds.append((time.perf_counter() - begin) / case.n)
        found = np.asarray(model.params_)  # the intercept first
        out["libraries"]["fisherfit"] = {"first": first, **summary(seconds), "loglik": loglik(found)}
    else:
        out["libraries"]["fisherfit"] = {"note": "not available: there is no GroupedGLM yet"}
    if installed("statsmodels"):
        edges = np.searchsorted(group, np.arange(some + 1))
        parts = [Data(X[a:b], y[a:b]) for a, b in pairwise(edges)]
        quiet("statsmodels", "poisson", parts[0])
        begin = time.perf_counter()
        rows = [quiet("statsmodels", "poisson", part) for part in parts]
        seconds = [(time.perf_counter() - begin) / some]
        out["libraries"]["statsmodels"] = {**summary(seconds), "loglik": loglik(np.stack(rows))}
    compare(out["libraries"])
    return out
