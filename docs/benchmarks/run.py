"""Measure fisherfit against other libraries, and write the table, the plots and the page.

    python docs/benchmarks/run.py                       everything, about 20 minutes
    python docs/benchmarks/run.py --cases poisson pass  only these; other results are kept
    python docs/benchmarks/run.py --quick --out DIR     a trial with small data

Every case runs in a process of its own. Results are kept by case in results.json, each with its date, machine and
versions.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ALONE_LIMIT = 300  # seconds for a library that runs in a process of its own


def main() -> int:
    """Run the cases asked for; 1 if fisherfit falls short of the likelihood of another library, or a case fails."""
    options = arguments()
    if options.first_fit or options.worker:  # a process made by this program
        print(json.dumps(inner(options)))
        return 0
    import page
    from cases import BY_NAME, CASES

    if options.list:
        for case in CASES:
            print(f"{case.name:16}{case.title}{'' if case.default else ' (only when asked for)'}")
        return 0
    unknown = [name for name in options.cases or () if name not in BY_NAME]
    if unknown:
        print(f"there is no case {unknown[0]!r}; the cases are {', '.join(BY_NAME)}", file=sys.stderr)
        return 2
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(options.threads)))
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    failed = False
    for name in [] if options.page else options.cases or [case.name for case in CASES if case.default]:
        begin = time.perf_counter()
        print(f"{name}: {BY_NAME[name].title} ... ", end="", flush=True)
        try:
            results[name] = spawn(name, options)
        except RuntimeError as error:
            failed = True
            print(f"failed\n{error}", file=sys.stderr)
            continue
        fisherfit = results[name].get("libraries", {}).get("fisherfit", {})
        if fisherfit.get("short"):
            failed = True
            print(f"fisherfit stops {fisherfit['gap']:.1e} nats short, ", end="")
        print(f"{fisherfit.get('note') or 'done'} ({time.perf_counter() - begin:.0f} s)", flush=True)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")  # what is measured is kept
    page.write(results, options.out)
    return int(failed)


def arguments() -> argparse.Namespace:
    """The options, those of the processes made by this program included."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="measure only these; the others keep their results")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--quick", action="store_true", help="small data, few repeats: a trial")
    parser.add_argument("--repeats", type=int, metavar="N", help="repeats of every fit")
    parser.add_argument("--rows", type=int, metavar="N", help="rows of the case 'stream'; 100 million by default")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of every library; 2 by default")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where results and page go")
    parser.add_argument("--page", action="store_true", help="write plots and page from the results that are there")
    for hidden in ("--worker", "--alone", "--first-fit"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()


def spawn(name: str, options: argparse.Namespace, alone: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """Measure in a fresh process, and read the record that it leaves."""
    command = [sys.executable, str(HERE / "run.py"), "--worker", name, "--threads", str(options.threads)]
    command += ["--quick"] * options.quick + (["--alone", alone] if alone else [])
    for option in ("repeats", "rows"):
        if getattr(options, option) is not None:
            command += [f"--{option}", str(getattr(options, option))]
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False, timeout=limit)
        errors.seek(0)
        if done.returncode:
            raise RuntimeError(errors.read().strip() or f"the process ended with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def inner(options: argparse.Namespace) -> dict[str, Any]:
    """What a process made by this program does."""
    import fresh
    import machine
    import measure
    import mixed
    from cases import BY_NAME, smaller
    from peers import versions

    if options.first_fit:
        return fresh.first_fit(BY_NAME["cold"], options.first_fit)
    case = BY_NAME[options.worker]
    case = smaller(case) if options.quick else case
    case = replace(case, repeats=options.repeats) if options.repeats else case
    case = replace(case, n=options.rows) if options.rows and case.kind == "stream" else case
    if options.alone:
        return measure.alone(case, options.alone)

    def run_alone(library: str) -> dict[str, Any]:
        try:
            return spawn(case.name, options, library, ALONE_LIMIT)
        except subprocess.TimeoutExpired:
            return {"note": f"not done in {ALONE_LIMIT} s"}
        except RuntimeError as error:
            return {"note": f"failed: {str(error).splitlines()[-1]}"}

    kinds = {
        "fit": measure.fit_case,
        "sweep": measure.sweep_case,
        "pass": measure.pass_case,
        "groups": measure.groups_case,
        "mixture": mixed.mixture_case,
        "cold": fresh.cold_case,
        "stream": fresh.stream_case,
    }
    begin = time.perf_counter()
    record = {
        "title": case.title,
        "family": case.family,
        "n": case.n,
        "p": case.p,
        "date": datetime.date.today().isoformat(),
        "quick": bool(options.quick),
        "machine": machine.description(options.threads),
        "versions": versions(),
    }
    record |= kinds[case.kind](case, options.threads, run_alone)
    return record | {"took": round(time.perf_counter() - begin, 1)}


if __name__ == "__main__":
    sys.exit(main())
