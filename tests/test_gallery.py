"""The gallery tells the truth: its examples and its figures run."""

from __future__ import annotations

import doctest
import re
import textwrap
import warnings
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "gallery"
PAGES = sorted(FOLDER.glob("*.rst"))
FLAGS = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1
FIGURE = re.compile(r"\.\. plot::\n\n((?:   .*\n|\n)+)")
FIGURES = [
    pytest.param(textwrap.dedent(code), id=f"{path.stem}-{k}")
    for path in PAGES
    for k, code in enumerate(FIGURE.findall(path.read_text("utf-8")))
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_examples(path):
    outcome = doctest.testfile(str(path), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert outcome.failed == 0
    assert outcome.attempted > 0 or path.stem == "index"


@pytest.mark.parametrize("code", FIGURES)
def test_figures(code):
    """The code of the figures, as it stands on the page, draws something and warns of nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, "figure", "exec"), {})
            figure = plt.gcf()
            figure.canvas.draw()
        assert all(ax.has_data() and ax.get_xlabel() for ax in figure.axes)
        assert figure.axes
    finally:
        plt.close("all")


def test_pages_are_all_in_the_index():
    listed = re.findall(r"^   ([\w-]+)$", (FOLDER / "index.rst").read_text("utf-8"), re.MULTILINE)
    assert set(listed) == {path.stem for path in PAGES} - {"index"}
