"""Every data set loads, is described, and the two large ones equal their source."""

import re

import numpy as np
import pandas as pd
import pytest

from fisherfit import datasets
from fisherfit.errors import InputError


@pytest.mark.parametrize("name", datasets.names())
def test_description_matches_file(name):
    table, text = datasets.load(name), datasets.describe(name)
    assert re.search(r"- Rows: (\d+)", text)[1] == str(len(table))
    assert re.search(r"- Licence: .", text)
    listed = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)[2:]
    assert [column for row in listed for column in row.split(", ")] == list(table)
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize("name", datasets.names())
def test_levels_are_described_in_order(name):
    table, text = datasets.load(name), datasets.describe(name)
    for column in table.select_dtypes("category"):
        row = re.search(rf"^\| {column} \| .*levels (.+) \|$", text, re.MULTILINE)[1]
        levels = [re.sub(r" \(.*\)", "", level) for level in row.split(", ")]
        assert levels == list(table[column].cat.categories)


def test_text_is_never_left_as_text():
    for name in datasets.names():
        kinds = {dtype.kind for dtype in datasets.load(name).dtypes if isinstance(dtype, np.dtype)}
        assert kinds <= {"i", "f"}


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no data set 'quin'. Did you mean 'quine'\? Available: .*warpbreaks"):
        datasets.load("quin")
    with pytest.raises(InputError, match=r"no data set '../x'. Available"):
        datasets.describe("../x")


def test_randhie_equals_its_source():
    source = pytest.importorskip("statsmodels.datasets").randhie.load_pandas().data
    ours = datasets.load("randhie")
    same = [column for column in ours if column != "health"]
    pd.testing.assert_frame_equal(ours[same], source[same], check_exact=True)
    for level, column in {"good": "hlthg", "fair": "hlthf", "poor": "hlthp"}.items():
        np.testing.assert_array_equal(ours["health"] == level, source[column] == 1)


def test_anes96_equals_its_source():
    source = pytest.importorskip("statsmodels.datasets").anes96.load_pandas().data
    ours = datasets.load("anes96")
    pd.testing.assert_frame_equal(ours, source[list(ours)], check_exact=True, check_dtype=False)


def test_endometrial_is_quasi_separated():
    table = datasets.load("endometrial")
    assert (table.loc[table["NV"] == 1, "HG"] == 1).all()
    assert table.loc[table["NV"] == 0, "HG"].nunique() == 2
