"""From results to the page: a table for every study, and the cells that are off, each with its reason."""

from __future__ import annotations

import textwrap
from typing import Any

from draws import LAWS
from reasons import reason
from studies import LEVEL

Record = dict[str, Any]
FAR = 3.0  # Monte Carlo standard errors

INTRO = """\
.. Written by docs/coverage/run.py from results.json: change that, not this page.

Coverage
========

An interval of level 95 % should contain the true value in 95 of 100 data sets. Here this is counted. Data are drawn
from laws that are known, each data set is fitted, and the tables say what share of {runs:,} intervals contains the
truth. Behind it, in parentheses, stands how far that is from 0.95, in Monte Carlo standard errors (one is
{error:.4f}). What is further than 3 is in bold, and a number leads to its reason.

One command draws, fits, counts and writes this page, in some minutes and always with the same numbers:

.. code-block:: bash

   python docs/coverage/run.py

Mixtures have a page of their own.

.. toctree::
   :maxdepth: 1

   mixtures

"""
LAWS_TEXT = """\
The laws
--------

Each has an intercept, x at the quantiles of a standard normal law, and z, which is 0 or 1 in turn. The rows are the
same in all data sets of a size; the responses are new. Coefficients are those of the intercept, x and z.

"""


def page(results: list[Record], titles: dict[str, tuple[str, str]]) -> str:
    """The page, as reStructuredText."""
    runs = max(r["runs"] for r in results)
    out = INTRO.format(runs=runs, error=(LEVEL * (1.0 - LEVEL) / runs) ** 0.5) + LAWS_TEXT
    rows = [["law", "drawn as", "coefficients"]]
    rows += [[law.name.replace("_", " "), law.text, ", ".join(f"{b:g}" for b in law.beta)] for law in LAWS.values()]
    out += table(rows)
    for study, (title, text) in titles.items():
        found = [r for r in results if r["study"] == study]
        if found:
            out += f"\n{title}\n{'-' * len(title)}\n\n{text}\n\n" + study_table(found, runs)
    return out


def study_table(records: list[Record], usual: int) -> str:
    """A table for every size, with a row for every law and a column for every quantity, and the reasons."""
    sizes, kinds = sorted({r["n"] for r in records}), list(dict.fromkeys(r["of"] for r in records))
    cells = {(r["law"], r["n"], r["of"]): r for r in records}
    reasons: list[str] = []
    out = ""
    for n in sizes:
        rows = [[f"n = {n}", *kinds]]
        for law in dict.fromkeys(r["law"] for r in records):
            rows.append([law.replace("_", " "), *(cell(cells.get((law, n, of)), reasons) for of in kinds)])
        out += table(rows) + "\n"
    out = out.rstrip() + "\n"
    runs = {r["runs"] for r in records}
    if runs != {usual}:
        out += f"\nRuns: {', '.join(f'{r:,}' for r in sorted(runs))}.\n"
    if reasons:
        out += "\n" + "".join(f"{wrapped(f'[{k}] {text}')}\n\n" for k, text in enumerate(reasons, 1)).rstrip() + "\n"
    return out


def cell(record: Record | None, reasons: list[str]) -> str:
    """Coverage and its distance from the level; a reason is added to the list where it is far."""
    if record is None:
        return ""
    text, distance = f"{record['coverage']:.3f}", f"({record['errors']:+.1f})"
    if abs(record["errors"]) <= FAR:
        return f"{text} {distance}"
    why = reason(record)
    if why not in reasons:
        reasons.append(why)
    return f"**{text}** {distance} \\[{reasons.index(why) + 1}]"


def wrapped(text: str) -> str:
    """Lines of a paragraph; what would be read as a footnote is escaped."""
    return textwrap.fill("\\" + text, 120, break_long_words=False, break_on_hyphens=False)


def table(rows: list[list[str]]) -> str:
    """A list-table with a header."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {text}".rstrip() for i, text in enumerate(row)]
    return "\n".join(lines) + "\n"
