"""Coverage of intervals by simulation: draws, fits, counts, and writes results.json and index.rst."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from studies import STUDIES, TITLES
from tables import page

FOLDER = Path(__file__).resolve().parent
SIZES = (50, 500)


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a trial: 20 data sets of 50 rows")
    options.add_argument("--studies", nargs="+", choices=list(STUDIES), help="some anew, the other results kept")
    options.add_argument("--page", action="store_true", help="write the page from the results there are")
    options.add_argument("--out", type=Path, default=FOLDER, help="where to write")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "results.json"
    chosen = [] if given.page else given.studies or list(STUDIES)
    old = json.loads(path.read_text()) if path.exists() and (given.page or given.studies) else []
    results = [r for r in old if r["study"] not in chosen]
    for name in chosen:
        study, laws = STUDIES[name]
        for n in SIZES[:1] if given.quick else SIZES:
            for law in laws.values():
                begin = time.perf_counter()
                found = list(study(law, n, 20 if given.quick else 2000))
                results += found
                shown = ", ".join(f"{r['of']} {r['coverage']:.3f} ({r['errors']:+.1f})" for r in found)
                print(f"{name}, {law.name}, n = {n}: {shown}; {time.perf_counter() - begin:.1f} s", flush=True)
    path.write_text("[\n" + ",\n".join(json.dumps(r) for r in results) + "\n]\n", encoding="utf-8")
    if not given.quick:
        (given.out / "index.rst").write_text(page(results, TITLES), encoding="utf-8")


if __name__ == "__main__":
    main()
