"""The checks of the built pages find what they look for, and formulas become the MathML that a browser needs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check, mathml = load(DOCS / "check.py"), load(DOCS / "_ext" / "mathml.py").mathml
STYLE = (DOCS / "_static" / "style.css").read_text("utf-8")
THEME = "pre { overflow: auto } .table-wrapper.container { width: 100%; overflow-x: auto }"
PAGE = """<html><head><title>one \\(</title><link rel="stylesheet" href="style.css"></head><body>
<h1 id="top">One</h1><p>See <a href="two.html#there">two</a>, <a href="#top">the top</a> and
<a href="https://example.org">elsewhere</a>; <code>\\(</code> is code.</p>
<div class="highlight"><pre>a = 1</pre></div>
<div class="table-wrapper container"><table><tr><td>1</td></tr></table></div>
<img src="figure.svg" alt="A line."></body></html>"""


def site(folder, page=PAGE, style=STYLE + THEME):
    folder.mkdir(exist_ok=True)
    (folder / "one.html").write_text(page, "utf-8")
    (folder / "two.html").write_text('<html><body><p id="there">Two</p></body></html>', "utf-8")
    (folder / "style.css").write_text(style.replace("fonts/formulas.woff2", "figure.svg"), "utf-8")
    (folder / "figure.svg").write_text("<svg/>", "utf-8")
    return check.faults(folder)


def test_a_site_without_faults(tmp_path):
    assert site(tmp_path / "site") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("two.html#there", "three.html", "the link three.html leads nowhere"),
        ("two.html#there", "two.html#here", "the link two.html#here has no such place"),
        ('href="#top"', 'href="#bottom"', "the link #bottom has no such place"),
        ("figure.svg", "picture.svg", "picture.svg is not there"),
        ("</head>", '<script src="https://example.org/a.js"></script></head>', "is loaded from elsewhere"),
        ("</head>", '<script src="//example.org/a.js"></script></head>', "is loaded from elsewhere"),
        ('alt="A line."', 'alt=" "', "the figure figure.svg has no description"),
        ('class="table-wrapper container"', 'class="box"', "a <table> does not stand in a box that scrolls"),
        ('class="highlight"', 'class="box"', "a <pre> does not stand in a box that scrolls"),
        ("<table>", '<table style="min-width: 800px">', "a <table> is 800 pixels wide"),
        ("<table>", '<table width="800">', "a <table> is 800 pixels wide"),
        ("<code>\\(</code>", "\\(x\\)", "a formula is not MathML"),
    ],
)
def test_a_fault_of_a_page_is_found(tmp_path, old, new, fault):
    assert old in PAGE
    (found,) = site(tmp_path / "site", PAGE.replace(old, new))
    assert found.startswith("one.html: ")
    assert fault in found


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("overflow-wrap: break-word", "", "long words do not break"),
        ("max-width: 100%", "", "figures do not shrink"),
        ("overflow-x: auto; overflow-y: hidden", "", "wide formulas do not scroll"),
        ("display: block", "", "the index of names keeps its columns"),
        ("pre { overflow: auto }", "", "wide code does not scroll"),
        ("width: 100%; overflow-x: auto", "", "wide tables do not scroll"),
        ('url("fonts/formulas.woff2")', 'url("https://example.org/a.woff2")', "is loaded from elsewhere"),
    ],
)
def test_a_fault_of_the_style_is_found(tmp_path, old, new, fault):
    style = STYLE + THEME
    assert old in style
    found = site(tmp_path / "site", style=style.replace(old, new))
    assert len(found) == 1
    assert fault in found[0]


def test_a_folder_without_pages_is_a_fault(tmp_path):
    (fault,) = check.faults(tmp_path)
    assert "has no pages" in fault


# formulas


def formulas():
    for path in [*DOCS.rglob("*.rst"), *(ROOT / "fisherfit").rglob("*.py")]:
        text = path.read_text("utf-8")
        for tex in re.findall(r":math:`([^`]*)`", text) + re.findall(r"\.\. math:: (.*(?:\n +\S.*)*)", text):
            yield path.name, " ".join(tex.replace("\\\\", "\\").split())


def test_every_formula_of_the_pages_becomes_mathml():
    found = list(formulas())
    assert len(found) > 80
    for page, tex in found:
        out = mathml(tex, as_block=False)
        text = "".join(ElementTree.fromstring(out.replace("&", "&amp;")).itertext())
        assert not set("\\{}^_'") & set(text.replace("{", "", tex.count("\\{")).replace("}", "", tex.count("\\}"))), (
            page
        )


def test_signs_that_browsers_would_set_badly():
    half = ElementTree.fromstring(mathml(r"\tfrac12 d'Fd", as_block=True))
    name = "{http://www.w3.org/1998/Math/MathML}"
    assert [part.text for part in half.find(f".//{name}mfrac").iter(f"{name}mn")] == ["1", "2"]
    (prime,) = (sign for sign in half.iter(f"{name}mo") if sign.text == "\N{PRIME}")
    assert prime.get("form") == "postfix"
    power = ElementTree.fromstring(mathml(r"J'^{-1}", as_block=False)).find(f"{name}msup")
    assert "".join(power[0].itertext()).split() == ["J", "\N{PRIME}"]
    bars = ElementTree.fromstring(mathml(r"|c'x| / \|d\|", as_block=False))
    assert all(sign.get("stretchy") == "false" for sign in bars.iter(f"{name}mo"))
    assert "ApplyFunction" not in mathml(r"\log f", as_block=False)
