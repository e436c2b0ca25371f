"""What only fresh processes show: cold starts, and data on disk that memory need not hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import machine
import numpy as np
from cases import INTERCEPT, Case, make
from measure import Record, passes_of, summary
from peers import installed, quiet

IMPORTS = {
    "python": "pass",
    "fisherfit": "import fisherfit",
    "glum": "import glum",
    "sklearn-cholesky": "import sklearn.linear_model",
    "statsmodels": "import statsmodels.api",
}
ROWS_PER_FILE = 5_000_000


# cold start


def cold_case(case: Case, threads: int, run_alone: Any) -> Record:
    """Import, first fit and, for fisherfit, the very first fit with nothing compiled yet."""
    out: Record = {"libraries": {}}
    for name, code in IMPORTS.items():
        if name == "python" or installed(name):
            seconds = [_run_seconds([sys.executable, "-c", code]) for _ in range(case.repeats + 1)][1:]
            out["libraries"][name] = {"import": summary(seconds)}
    here = [sys.executable, str(Path(__file__).parent / "run.py"), "--first-fit"]
    for name in out["libraries"]:
        if name != "python":
            runs = [json.loads(_run([*here, name])) for _ in range(case.repeats + 1)][1:]
            out["libraries"][name]["first_fit"] = summary([run["first"] - run["steady"] for run in runs])
            out["libraries"][name]["steady_fit"] = summary([run["steady"] for run in runs])
    very = []
    for _ in range(min(3, case.repeats)):
        with tempfile.TemporaryDirectory() as folder:
            very.append(json.loads(_run([*here, "fisherfit"], NUMBA_CACHE_DIR=folder))["first"])
    out["libraries"]["fisherfit"]["very_first_fit"] = summary(very)
    return out


def first_fit(case: Case, library: str) -> Record:
    """Called in a fresh process: seconds of the first fit after the import, and of later ones."""
    from importlib import import_module

    data = make(case, case.n, case.p)
    import_module({"sklearn": "sklearn.linear_model", "statsmodels": "statsmodels.api"}.get(
        library.split("-")[0], library.split("-")[0]))  # fmt: skip
    seconds = []
    for _ in range(21):
        begin = time.perf_counter()
        quiet(library, case.family, data)
        seconds.append(time.perf_counter() - begin)
    return {"first": seconds[0], "steady": float(np.median(seconds[1:]))}


def _run(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _run_seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    _run(command)
    return time.perf_counter() - begin


# data on disk


def write_parquet(folder: Path, rows: int, p: int) -> None:
    """A folder of Parquet files with a Poisson response y and columns x0, x1, ..."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    beta = 0.3 * np.random.default_rng(5).standard_normal(p) / np.sqrt(p)
    for k, start in enumerate(range(0, rows, ROWS_PER_FILE)):
        size = min(ROWS_PER_FILE, rows - start)
        rng = np.random.default_rng([5, k])
        eta, columns = np.full(size, INTERCEPT), {}
        for j in range(p):
            columns[f"x{j}"] = rng.standard_normal(size)
            eta += beta[j] * columns[f"x{j}"]
        columns["y"] = rng.poisson(np.exp(eta)).astype(float)
        parquet.write_table(pa.table(columns), folder / f"part-{k:04d}.parquet")


def read_parquet(folder: Path) -> int:
    """Read all columns once, batch by batch; the number of rows."""
    from pyarrow import parquet

    rows = 0
    for path in sorted(folder.glob("*.parquet")):
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=131_072):
            rows += batch.num_rows
    return rows


def stream_case(case: Case, threads: int, run_alone: Any) -> Record:
    """A fit from Parquet files: time, passes, and memory held beyond that before the fit."""
    import fisherfit as ff

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCHMARK_FOLDER")) as place:
        tiny, folder = Path(place) / "tiny", Path(place) / "rows"
        write_parquet(tiny, 20_000, case.p)
        formula = "y ~ " + " + ".join(f"x{j}" for j in range(case.p))
        try:
            begin = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ff.GLM("poisson", formula=formula).fit(str(tiny))
            first = time.perf_counter() - begin
        except (AttributeError, TypeError, ValueError) as error:
            return {"libraries": {"fisherfit": {"note": f"not available: {str(error).splitlines()[0]}"}}}
        write_parquet(folder, case.n, case.p)
        size = sum(path.stat().st_size for path in folder.glob("*.parquet"))
        begin = time.perf_counter()
        read_parquet(folder)
        read = time.perf_counter() - begin
        peak = machine.Peak()
        begin = time.perf_counter()
        model = ff.GLM("poisson", formula=formula).fit(str(folder))
        seconds = time.perf_counter() - begin
        memory = peak.beyond()
    passes = passes_of(model, [])
    out: Record = {
        "libraries": {"fisherfit": {"first": first, **summary([seconds]), "memory": memory}},
        "bytes": size,
        "read": read,
        "passes": passes,
    }
    return out
