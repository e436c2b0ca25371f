"""The page on mixtures: coverage by law, the reasons for cells that are off, and what BIC recovers."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mixture_laws import LAWS
from mixture_reasons import reason
from tables import FAR, table, wrapped

Record = dict[str, Any]

INTRO = """\
.. Written by docs/coverage/mixtures.py and recovery.py from mixtures.json and recovery.json: change those.

Mixtures: coverage and recovery
===============================

Standard errors
---------------

Data are drawn from mixtures of two components that are known, each data set is fitted from the default starts, and
the tables say what share of {runs:,} Wald intervals of level 95 % (``result_.conf_int()``: on the log scale of
variances, on the logit scale of probabilities) contains the true value: with standard errors from the observed
information, and with the sandwich of the scores, HC0. In parentheses stands the distance from 0.95 in Monte Carlo
standard errors (one is {error:.4f}); what is further than 3 is in bold, and a number leads to its reason. Components
are numbered so that they are nearest to the true ones. An interval without an end, for a probability on the edge,
covers.

.. code-block:: bash

   python docs/coverage/mixtures.py

"""
RECOVERY = """\
What BIC recovers
-----------------

BIC chooses among mclust's 14 structures and the numbers of components from one to two more than is true. The truth is
each of the 14 structures with two and three components. Data have two columns, components are equally frequent, and
their means stand at the corners (0, 0), (1, 0) and (0.5, 0.9) times 4 ("moderate") or 7 ("large"), in units of about
one standard deviation; recovery.py has the covariances. The same data are fitted by ``GaussianMixture(n_init=2)`` and
by mclust {mclust} of R. A fit whose components have degenerated is left out, as mclust does. scikit-learn's
``GaussianMixture`` has four structures (full is VVV, tied EEE, diag VVI, spherical VII), and took part with its
defaults; beside it stands what ours chooses among the same four. Where the truth is none of the four, neither can have
the structure, and the number alone counts.

.. code-block:: bash

   python docs/coverage/recovery.py --rounds 10

"""
MCLUST = "6.0.0"
ALL, OF_FOUR = ("ours", "mclust"), ("ours of four", "scikit-learn")
FOUR = ("EEE", "VII", "VVI", "VVV")


def write(out: Path) -> None:
    """Write the page of the results there are."""
    found = []
    for name in ("mixtures.json", "recovery.json"):
        path = out / name
        found.append(json.loads(path.read_text(encoding="utf-8")) if path.exists() else [])
    (out / "mixtures.rst").write_text(page(*found), encoding="utf-8")


def page(coverage: list[Record], recovery: list[Record]) -> str:
    """The page, as reStructuredText."""
    recovery = [r for r in recovery if "mclust" in r]
    runs = max((r["runs"] for r in coverage), default=1)
    out = INTRO.format(runs=runs, error=(0.95 * 0.05 / runs) ** 0.5)
    reasons: list[str] = []
    for name, law in LAWS.items():
        own = [r for r in coverage if r["law"] == name]
        if own:
            out += paragraph(f"**{name[0].upper()}{name[1:]}**: {law.text}.") + "\n\n" + law_table(own, reasons) + "\n"
    if reasons:
        out += "".join(f"{wrapped(f'[{k}] {text}')}\n\n" for k, text in enumerate(reasons, 1))
    return out.rstrip() + "\n" + ("\n" + RECOVERY.format(mclust=MCLUST) + recovered(recovery) if recovery else "")


def law_table(records: list[Record], reasons: list[str]) -> str:
    """A row for every parameter, a column for every size and kind of standard error."""
    columns = list(dict.fromkeys((r["n"], r["se"]) for r in sorted(records, key=lambda r: r["n"])))
    cells = {(r["of"], r["n"], r["se"]): r for r in records}
    rows = [["", *(f"n = {n}, {kind}" for n, kind in columns)]]
    for name in dict.fromkeys(r["of"] for r in records):
        rows.append([f"``{name}``", *(cell(cells[name, n, kind], reasons) for n, kind in columns)])
    return table(rows)


def cell(record: Record, reasons: list[str]) -> str:
    """Coverage and its distance from the level; a reason is added to the list where it is far."""
    text, distance = f"{record['coverage']:.3f}", f"({record['errors']:+.1f})"
    if abs(record["errors"]) <= FAR:
        return f"{text} {distance}"
    why = reason(record)
    if why not in reasons:
        reasons.append(why)
    return f"**{text}** {distance} \\[{reasons.index(why) + 1}]"


def recovered(records: list[Record]) -> str:
    """Shares of data sets in which k, and k with the structure, are the true ones: by k, then by structure."""
    out = ""
    groupings: list[tuple[list[str], Callable[[Record], tuple[Any, ...]]]] = [
        (["n", "separation", "k"], lambda r: (r["n"], r["separation"], r["k"])),
        (["n", "separation", "structure"], lambda r: (r["n"], r["separation"], r["structure"])),
    ]
    for names, key in groupings:
        rows = [[*names, "data sets", *(f"k, {who}" for who in (*ALL, *OF_FOUR)), *(f"both, {who}" for who in ALL),
                 *(f"both, {who}" for who in OF_FOUR)]]  # fmt: skip
        for group in dict.fromkeys(sorted(map(key, records), key=lambda g: (g[0], g[1] != "moderate", str(g[2])))):
            own = [r for r in records if key(r) == group]
            rows.append([*map(str, group), str(len(own)), *shares(own)])
        out += table(rows) + "\n"
    return out + paragraph(compared(records)) + "\n\n" + paragraph(beside(records)) + "\n"


def shares(records: list[Record]) -> list[str]:
    """Right k of all, right k and structure of all: of those of four where the truth is one of these."""
    able = [r for r in records if r["structure"] in FOUR]
    number = [share(records, lambda r, who=who: r[who].split()[0] == str(r["k"])) for who in (*ALL, *OF_FOUR)]
    return [
        *number,
        *(share(records, lambda r, who=who: both(r, who)) for who in ALL),
        *(share(able, lambda r, who=who: both(r, who)) for who in OF_FOUR),
    ]


def share(records: list[Record], right: Callable[[Record], bool]) -> str:
    """The share of records that are right; a dash for none."""
    return f"{sum(map(right, records)) / len(records):.2f}" if records else "-"


def both(record: Record, who: str) -> bool:
    """True where the number and the structure are the true ones."""
    return bool(record[who] == f"{record['k']} {record['structure']}")


def beside(records: list[Record]) -> str:
    """How scikit-learn compares with ours among the same four structures."""
    able = [r for r in records if r["structure"] in FOUR]
    right = [sum(both(r, who) for r in able) for who in OF_FOUR]
    number = [sum(r[who].split()[0] == str(r["k"]) for r in records) for who in OF_FOUR]
    return (
        f"Of the {len(able)} data sets whose structure scikit-learn has, {right[1]} have the true number and structure "
        f"chosen by it and {right[0]} by ``GaussianMixture`` among the same four; of all {len(records)}, the true "
        f"number is chosen in {number[1]} and {number[0]}."
    )


def compared(records: list[Record]) -> str:
    """How ours and mclust compare on the same data."""
    right = {who: [both(r, who) for r in records] for who in ALL}
    ours, theirs = (np.array(right[who]) for who in ALL)
    gains = [r["gain"] for r in records if r["gain"] is not None]
    fits = sum(r["fits"] for r in records)
    ahead, behind = sum(r["ahead"] for r in records), sum(r["behind"] for r in records)
    only, lost = (ours & ~theirs).sum(), (theirs & ~ours).sum()
    higher, lower = sum(g > 0.01 for g in gains), sum(g < -0.01 for g in gains)
    return (
        f"Of {len(records)} data sets, {ours.sum()} have the true number and structure chosen by ``GaussianMixture`` "
        f"and {theirs.sum()} by mclust: {only} by the former alone, {lost} by the latter alone. Of all {fits:,} fits, "
        f"the log-likelihood of ``GaussianMixture`` is higher by more than 0.01 in {ahead:,} and lower in {behind:,}; "
        f"of the true model it is higher in {higher} of {len(gains)} data sets, at the most by {max(gains):.2f}, and "
        f"lower in {lower}."
    )


def paragraph(text: str) -> str:
    """Lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
