"""From results to the page: tables, comma-separated values, and the text around them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mixed
import plots
from cases import BY_NAME, CASES, Case
from measure import SHORT
from peers import TITLES

Record = dict[str, Any]
PASS_AIM = 1.5  # a pass over the larger of its two limits
GROUP_AIM = 20e-6  # seconds a group
MEMORY_AIM = 0.1  # peak memory beyond the data, as a share of them

INTRO = """\
.. Written by docs/benchmarks/run.py from results.json: change that, not this page.

Benchmarks
==========

fisherfit against glum, scikit-learn and statsmodels: the same data, the same model, no penalty, and the same
likelihood reached. One command measures everything and writes this page:

.. code-block:: bash

   pip install '.[bench]' && python docs/benchmarks/run.py

``--list`` shows the cases; ``--cases NAME`` measures some of them anew and keeps the other results;
``--quick --out DIR`` is a trial with small data.
"""
RULES = """\
How it is measured
------------------

- The libraries take turns on the same arrays in one process (A B C A B C), so that a disturbance meets all alike. Times
  are medians of the repeats; ratios are ratios of medians. Compare ratios: seconds belong to one machine.
- Compiling is apart: every library first fits a part of the data. Cold starts are a case
  of their own.
- Tolerances are 1e-8 on the gradient for glum and scikit-learn; everything else is at its default, statsmodels
  altogether. One function of NumPy and SciPy computes the log-likelihood that each library's coefficients reach. A
  library that ends more than {short} nats below the best is marked "stops short" and not counted among the fastest.
- scikit-learn's lbfgs is measured on standardised columns only: on columns of unequal scale it takes far longer.
- fisherfit and statsmodels also compute standard errors in that time; fisherfit moreover the null model and the
  certificate. glum and scikit-learn give coefficients.
- statsmodels at a million rows runs once, in a process of its own: it needs many gigabytes.
- Columns are drawn with correlation 0.5 and with scales between 0.1 and 10, as raw tables have them, in C order, unless
  the case says otherwise.
- Memory is the high-water mark of a fresh process during the fit, less what it held before, data included.
"""


def write(results: Record, folder: Path) -> None:
    """Everything that is made from the results."""
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_csv(results, folder / "results.csv")
    figures = plots.write(results, folder)
    (folder / "index.rst").write_text(page(results, figures), encoding="utf-8")


def write_csv(results: Record, path: Path) -> None:
    """A line for every case and library."""
    fields = ("median", "min", "max", "repeats", "first", "loglik", "gap", "short", "memory", "memory_share", "note")
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["case", "date", "family", "n", "p", "library", *fields])
        for name, record in results.items():
            for point in record.get("points", [record]):
                for library, values in point.get("libraries", {}).items():
                    head = [name, record["date"], record["family"], point["n"], point["p"], library]
                    out.writerow([*head, *(values.get(field, "") for field in fields)])


def page(results: Record, figures: dict[str, str]) -> str:
    """The page, of those parts that have been measured."""
    known = {case.name: results[case.name] for case in CASES if case.name in results}
    sections = [INTRO]
    if any(record["quick"] for record in known.values()):
        sections.append(".. warning::\n\n   A trial with small data. The times on this page say nothing.\n")
    sections += [
        machine_text(known),
        overview(known),
        *figure(figures, "rows", "Time against the number of rows, 20 columns."),
        *figure(figures, "columns", "Time against the number of columns, 100,000 rows."),
        limits(known),
        details(known),
        memory(known, figures),
        groups(known),
        mixtures(known),
        small_print(known),
        stream(known),
        cold(known),
        RULES.format(short=f"{SHORT:g}"),
        dates(known),
    ]
    return "\n".join(section for section in sections if section)


# parts


def machine_text(known: Record) -> str:
    """What it was measured on."""
    lines = []
    for machine, versions in dict.fromkeys((_machine(r), _versions(r)) for r in known.values()):
        lines.append(f"Measured on {machine}, with {versions}.")
    return "\n\n".join(lines) + "\n"


def overview(known: Record) -> str:
    """fisherfit against the fastest of the others, case by case."""
    rows = []
    for name, record in _fits(known):
        case, mine = BY_NAME[name], record["libraries"]["fisherfit"]
        size = f"{record['n']:,} x {record['p']:,}" + (" + factors" if case.design == "factors" else "")
        if "median" not in mine:
            rows.append((record["title"], size, mine["note"], "", "", _aim(case)))
            continue
        best = fastest(record, case)
        rows.append((record["title"], size, seconds(mine["median"]),
                     f"{TITLES[best]}: {seconds(record['libraries'][best]['median'])}" if best else "none",
                     _ratio(record, best) if best else "", _aim(case)))  # fmt: skip
    if not rows:
        return ""
    head = ("case", "rows x columns", "fisherfit", "fastest other library", "ratio", "aim")
    return title("Overview") + table(head, rows)


def limits(known: Record) -> str:
    """How far fits and passes are from what the machine could do."""
    rows = []
    for _, record in _fits(known):
        at = record.get("limit")
        if at and at["seconds"]:
            passes = at["passes"]
            rows.append((record["title"], f"{passes['information']:.3g} + {passes['score'] + passes['value']:.3g}",
                         seconds(at["read"]), seconds(at["dsyrk"]) if at["dsyrk"] else "none", seconds(at["seconds"]),
                         f"{at['times']:.2f}"))  # fmt: skip
    text = ""
    if rows:
        text += (
            "A fit is a number of passes over the rows. A pass has to read the columns once; one with the Fisher\n"
            "information also multiplies X'WX, at best as fast as the BLAS (dsyrk on blocks that are in the cache).\n"
            "Both are measured in the same run. The limit is the sum over the passes of fisherfit's fit, given as\n"
            "passes with information + passes without. Of factors and sparse columns only the reading is counted.\n\n"
        )
        text += table(("case", "passes", "read once", "dsyrk once", "limit of the fit", "time over limit"), rows)
    record = known.get("pass")
    if record:
        greatest = max(record["read"], record["dsyrk"])
        text += "\n" + table(
            (f"one pass, {record['n']:,} x {record['p']}", "fastest", "limit", "ratio", "aim"),
            [
                ("score and information", seconds(record["information"]["min"]),
                 f"{seconds(greatest)}, the larger of reading {seconds(record['read'])} and dsyrk "
                 f"{seconds(record['dsyrk'])}", f"{record['information_over_limit']:.2f}", f"at most {PASS_AIM:g}"),
                ("score", seconds(record["score"]["min"]), f"{seconds(record['read'])}, reading",
                 f"{record['score_over_limit']:.2f}", ""),
            ],
        )  # fmt: skip
    return title("Distance from the limit") + text if text else ""


def details(known: Record) -> str:
    """Every library on every case."""
    text = ""
    for name, record in _fits(known):
        note = BY_NAME[name].note
        rows = [(TITLES[library], *_line(values, record["libraries"]["fisherfit"]))
                for library, values in record["libraries"].items()]  # fmt: skip
        text += f"**{record['title']}**, {record['n']:,} x {record['p']:,}.{' ' + note if note else ''}\n\n"
        text += table(("", "median", "fastest to slowest", "repeats", "times fisherfit", "nats below the best"), rows)
        text += "\n"
    return title("All measurements") + text if text else ""


def memory(known: Record, figures: dict[str, str]) -> str:
    """Peak memory beyond the data."""
    rows = []
    for name, record in _fits(known):
        for library, values in record["libraries"].items():
            if "memory" in values:
                aim = f"under {MEMORY_AIM:.0%}" if library == "fisherfit" and name == "poisson" else ""
                rows.append((record["title"], TITLES[library], size(values["memory"]),
                             f"{values['memory_share']:.1%}", aim))  # fmt: skip
    if not rows:
        return ""
    shown = "\n".join(figure(figures, "memory", "Peak memory of a fit beyond the data, in multiples of the data."))
    return title("Memory") + table(("case", "", "beyond the data", "share of the data", "aim"), rows) + "\n" + shown


def groups(known: Record) -> str:
    """One model for every group."""
    record = known.get("groups")
    if not record:
        return ""
    rows = [(TITLES[library], seconds(values["median"]) if "median" in values else values["note"],
             _gap(values), f"at most {seconds(GROUP_AIM)}" if library == "fisherfit" else "")
            for library, values in record["libraries"].items()]  # fmt: skip
    text = f"{record['groups']:,} groups, {record['rows']:,} rows, {record['p']} columns. {BY_NAME['groups'].note}\n\n"
    return title("Many groups") + text + table(("", "time a group", "nats below the best", "aim"), rows)


def mixtures(known: Record) -> str:
    """Mixtures: whole fits, and steps of EM."""
    text = ""
    for name, record in known.items():
        case = BY_NAME[name]
        if case.kind != "mixture":
            continue
        mine = record["libraries"]["fisherfit"]
        rows = [(mixed.TITLES[library], *_line(values, mine)) for library, values in record["libraries"].items()]
        text += f"**{record['title']}**, {record['n']:,} x {record['p']:,}. {case.note}"
        aim = f" The aim is {case.aim:g} times as fast." if case.aim else ""
        step = record.get("step")
        if step:
            text += (f"{aim} A step of EM takes {seconds(step['fisherfit'])}, one of scikit-learn's "
                     f"{seconds(step['sklearn-mixture'])}: {step['sklearn-mixture'] / step['fisherfit']:.1f} times "
                     "as long.")  # fmt: skip
        text += "\n\n"
        text += table(("", "median", "fastest to slowest", "repeats", "times fisherfit", "nats below the best"), rows)
        text += "\n"
    return title("Mixtures") + text if text else ""


def small_print(known: Record) -> str:
    """A word on the libraries that stopped short."""
    short = [(record["title"], TITLES[library], values["gap"]) for _, record in _fits(known)
             for library, values in record["libraries"].items() if values.get("short")]  # fmt: skip
    if not short:
        return ""
    lines = "".join(f"- {library} on {case}: {gap:.2g} nats below the best.\n" for case, library, gap in short)
    return title("Who stops short") + lines


def stream(known: Record) -> str:
    """Data on disk."""
    record = known.get("stream")
    if not record:
        return ""
    mine = record["libraries"]["fisherfit"]
    if "median" not in mine:
        return title("Data on disk") + mine["note"] + "\n"
    passes = ", ".join(f"{count:.3g} with {name}" for name, count in record["passes"].items() if count)
    rows = [
        ("rows x columns", f"{record['n']:,} x {record['p']}, {size(record['bytes'])} of Parquet"),
        ("fit", seconds(mine["median"])),
        ("one read of the files by pyarrow", seconds(record["read"])),
        ("passes", passes or "not counted"),
        ("memory beyond that before the fit", size(mine["memory"])),
    ]
    return title("Data on disk") + table(("", ""), rows)


def cold(known: Record) -> str:
    """Imports and first fits."""
    record = known.get("cold")
    if not record:
        return ""
    rows = []
    for library, values in record["libraries"].items():
        shown = [seconds(values[key]["median"]) if key in values else ""
                 for key in ("import", "first_fit", "steady_fit", "very_first_fit")]  # fmt: skip
        rows.append(("Python alone" if library == "python" else TITLES[library].split(",")[0], *shown))
    text = (
        f"Fresh processes, medians of {record['libraries']['python']['import']['repeats']}; a Poisson regression of "
        f"{record['n']} x {record['p']}. The import is the time of a process that does nothing else. fisherfit "
        "compiles a family once per computer and keeps the result.\n\n"
    )
    head = ("", "import", "first fit beyond a later one", "a later fit", "very first fit, nothing compiled")
    return title("Cold start") + text + table(head, rows)


def dates(known: Record) -> str:
    """When each case was measured."""
    rows = [(record["title"] + f" (``{name}``)", record["date"], f"{record['machine']['load_before']:g}",
             f"{record['took']:.0f} s") for name, record in known.items()]  # fmt: skip
    text = "Cases are measured one by one; the load is what the machine was doing just before.\n\n"
    return title("When") + text + table(("case", "date", "load", "took"), rows)


def figure(figures: dict[str, str], name: str, caption: str) -> Iterable[str]:
    """A figure, if it was drawn."""
    if name in figures:
        yield f".. figure:: {figures[name]}\n   :alt: {caption}\n   :width: 100%\n\n   {caption}\n"


# values


def fastest(record: Record, case: Case) -> str | None:
    """The fastest other library that reaches the likelihood."""
    able = {name: values["median"] for name, values in record["libraries"].items()
            if name != "fisherfit" and "median" in values and not values.get("short")}  # fmt: skip
    return min(able, key=able.__getitem__) if able else None


def seconds(value: float) -> str:
    """A time with three digits."""
    for unit, size_of in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(value) >= size_of or unit == "µs":
            return f"{value / size_of:.3g} {unit}" if abs(value) < 999.5 else f"{value:.0f} s"
    raise AssertionError


def size(value: float) -> str:
    """Bytes with three digits."""
    for unit, size_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size_of:
            return f"{value / size_of:.3g} {unit}"
    return f"{value:.0f} bytes"


def title(text: str) -> str:
    """A heading."""
    return f"{text}\n{'-' * len(text)}\n\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with one heading line."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _fits(known: Record) -> list[tuple[str, Record]]:
    return [(name, record) for name, record in known.items() if BY_NAME[name].kind == "fit"]


def _line(values: Record, mine: Record) -> tuple[str, ...]:
    if "median" not in values:
        return (values["note"], "", "", "", "")
    times = f"{values['median'] / mine['median']:.2f}" if "median" in mine else ""
    spread = f"{seconds(values['min'])} to {seconds(values['max'])}" if values["repeats"] > 1 else ""
    return (seconds(values["median"]), spread, str(values["repeats"]), times, _gap(values))


def _gap(values: Record) -> str:
    if "gap" not in values:
        return ""
    return f"{values['gap']:.1e}" + (", stops short" if values["short"] else "") if values["gap"] else "0"


def _ratio(record: Record, best: str) -> str:
    mine = record["libraries"]["fisherfit"]["median"]
    text = f"{record['libraries'][best]['median'] / mine:.1f}"
    other = record["libraries"].get("statsmodels", {})
    if "median" in other and best != "statsmodels":
        text += f"; statsmodels {other['median'] / mine:.0f}"
    return text


def _aim(case: Case) -> str:
    if case.aim is None:
        return ""
    more = "".join(f"; {library} {times:g}" for library, times in (case.aim_for or {}).items())
    return (f"at least {case.aim:g}" if case.aim > 1 else "more than 1") + more


def _machine(record: Record) -> str:
    m = record["machine"]
    return (f"{m['processor']}, {m['cores']} cores, {m['threads']} threads for every library, "
            f"{m['memory_GB']:g} GB, {m['system']}, Python {m['python']}")  # fmt: skip


def _versions(record: Record) -> str:
    return ", ".join(f"{name} {number}" for name, number in record["versions"].items())


__all__ = ["page", "write"]
