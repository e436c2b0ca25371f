"""The summary: every number readable, every row complete, text and HTML the same."""

import html

import numpy as np
import pandas as pd
import pytest

import fisherfit as ff
from fisherfit.summary import decimals, fixed, number, pvalue, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (54.0, "54"),
        (-63072.511724951284, "-63072.51"),
        (126159.02344990257, "126159.0"),
        (210.39188876245385, "210.3919"),
        (0.0064272858207262955, "0.006427"),
        (9.41e-7, "9.41e-07"),
        (1.888e24, "1.888e+24"),
        (np.nan, "nan"),
        (-np.inf, "-inf"),
    ],
)
def test_number(value, text):
    assert number(value) == text
    assert len(text) <= 10


def test_a_standard_error_shows_three_digits():
    for exponent in range(-4, 3):
        text = fixed([1.0, 1.234 * 10.0**exponent, 0.0, 2.0], decimals(1.234 * 10.0**exponent))[1]
        assert float(text) == pytest.approx(1.234 * 10.0**exponent, rel=5e-3)
    assert (decimals(0.0), decimals(np.nan), decimals(np.inf)) == (None, None, None)


def test_tiny_and_huge_numbers_get_an_exponent():
    assert fixed([9.392e-5, 6.471e-6, 8.1e-5, 1.07e-4], 6) == [
        "9.392e-05",
        "6.471e-06",
        "8.100e-05",
        "0.0001070",
    ]
    assert fixed([7.18e10, 3.47e10, 1.44e10, 1.29e11], 2)[:2] == ["7.180e+10", "3.470e+10"]


def test_p_values():
    assert [pvalue(p) for p in (0.04249, 0.001, 0.0009999, 0.0, 1.0, np.nan)] == [
        "0.042", "0.001", "<0.001", "<0.001", "1.000", "",
    ]  # fmt: skip


def test_long_names_keep_both_ends():
    name = "C(region, Treatment('somewhere far away'))[T.north]"
    assert len(shorten(name)) == 40
    assert shorten(name).startswith("C(region")
    assert shorten(name).endswith("[T.north]")


@pytest.fixture
def table():
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"income": rng.normal(5e4, 1e4, 80), "tiny": rng.normal(0, 1e-8, 80)})
    table["a column whose name goes on for ever and ever"] = rng.integers(0, 2, 80)
    return table, table["income"] * 1e-4 + rng.normal(size=80)


def test_lines_are_equally_long(table):
    lines = str(ff.GLM().fit(*table).summary()).splitlines()[1:]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 8 + 4 + 4 + 1  # facts, coefficients, rules, header


def test_text_and_html_show_the_same(table):
    summary = ff.GLM().fit(*table).summary(level=0.999)
    text, page = str(summary), summary._repr_html_()
    header, rows = summary.table()
    assert header[-2:] == ["[0.0005", "0.9995]"]
    for row in rows:
        for cell in row:
            assert f">{html.escape(cell)}</t" in page
            assert shorten(cell) in text
    for column in summary.facts():
        for name, value in column:
            assert f">{name}</th><td>{value}</td>" in page
            assert name in text
            assert value in text


def test_notes_are_wrapped():
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM(formula="HG ~ NV + PI", family="binomial").fit(ff.datasets.load("endometrial"))
    text = str(model.summary())
    assert max(map(len, text.splitlines())) == 88
    assert " ".join(text.split("Note: ")[1].split()) == model.result_.notes[0]
    row = next(line for line in text.splitlines() if line.startswith("NV"))
    assert row.split()[2:] == ["inf", "-inf", "inf"]  # no Wald test of an infinite coefficient
