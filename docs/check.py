"""The built pages, read as a browser would: ``python docs/check.py docs/_build/html``.

No link leads nowhere, nothing is loaded from elsewhere, every figure has a description, every formula is MathML, and
nothing is wider than a phone: what can be wide (code, tables, formulas) stands in a box that scrolls, figures shrink,
and long words break.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PHONE = 360  # pixels
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: boxes that scroll by themselves, by their class; an index of names has one column on a phone
SCROLLS = {"table-wrapper", "highlight", "indextable", "domainindex-table"}
CODE = {"code", "pre", "script", "style", "title"}
#: what the style sheets must say, without spaces
RULES = {
    "long words do not break": r"article\{[^}]*overflow-wrap:break-word",
    "figures do not shrink": r"articleimg\{[^}]*max-width:100%",
    "wide tables do not scroll": r"\.table-wrapper(?:\.container)?\{[^}]*overflow-x:auto",
    "wide code does not scroll": r"pre\{[^}]*overflow:auto",
    "wide formulas do not scroll": r"div\.math\{[^}]*overflow-x:auto",
    "the index of names keeps its columns": r"table\.indextable[^}]*\{display:block",
}


class Page(HTMLParser):
    """What one page has: names that can be linked to, links, files that it loads, and what is wrong with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.faults: list[str] = []
        self._open: list[tuple[str, set[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self.names |= {have[key] for key in ("id", "name") if have.get(key)}
        if tag == "a" and "href" in have:
            self.links.append(have["href"])
        elif tag == "link" and have.get("rel") in ("stylesheet", "icon", "preload", "shortcut icon"):
            self.loads.append(have.get("href", ""))
        elif tag in ("script", "img", "iframe", "source") and "src" in have:
            self.loads.append(have["src"])
        if tag == "img" and not have.get("alt", "").strip():
            self.faults.append(f"the figure {have.get('src')} has no description")
        own = set(have.get("class", "").split())
        if tag in ("pre", "table") and not (SCROLLS & own or any(SCROLLS & around for _, around in self._open)):
            self.faults.append(f"a <{tag}> does not stand in a box that scrolls")
        width = re.search(r"(?<![-\w])(?:min-)?width:\s*(\d+)px", have.get("style", "")) or re.search(
            r"^(\d+)$", have.get("width", "") if tag != "img" else ""
        )
        if width and int(width[1]) > PHONE:
            self.faults.append(f"a <{tag}> is {width[1]} pixels wide, more than a phone")
        if tag not in VOID:
            self._open.append((tag, own))

    def handle_endtag(self, tag: str) -> None:
        for k in range(len(self._open) - 1, -1, -1):
            if self._open[k][0] == tag:
                del self._open[k:]
                return

    def handle_data(self, data: str) -> None:
        tex = "\\(" in data or "\\[" in data or "$$" in data
        if tex and not CODE & {tag for tag, _ in self._open}:
            self.faults.append(f"a formula is not MathML: {data.strip()[:40]!r}")


def faults(folder: Path) -> list[str]:
    """What is wrong with the site in a folder, one sentence for each fault; empty if nothing is.

    Parameters
    ----------
    folder : pathlib.Path
        Of the built pages.

    Returns
    -------
    list of str
    """
    folder = folder.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        return [f"{folder} has no pages"]
    found = []
    for path, page in pages.items():
        here = path.relative_to(folder).as_posix()
        found += [f"{here}: {fault}" for fault in dict.fromkeys(page.faults)]
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{here}: the link {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{here}: the link {link} has no such place")
        for load in dict.fromkeys(page.loads):
            found += [f"{here}: {fault}" for fault in _missing(path.parent, load)]
    sheets = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.css"))}
    for path, sheet in sheets.items():
        for load in re.findall(r"url\(\s*['\"]?([^'\")]+)", sheet):
            found += [f"{path.name}: {fault}" for fault in _missing(path.parent, load)]
    rules = re.sub(r"\s+", "", "".join(sheets.values()))
    return found + [f"style sheets: {fault}" for fault, rule in RULES.items() if not re.search(rule, rules)]


def _missing(folder: Path, load: str) -> list[str]:
    parts = urlsplit(load)
    if parts.scheme == "data":
        return []
    if parts.scheme or parts.netloc:
        return [f"{load} is loaded from elsewhere"]
    if parts.path and not (folder / unquote(parts.path)).resolve().is_file():
        return [f"{load} is not there"]
    return []


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/_build/html"))
    print("\n".join(wrong) or "Every link leads somewhere, and no page is wider than a phone.")
    sys.exit(bool(wrong))
