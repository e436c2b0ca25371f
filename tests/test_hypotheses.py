"""Linear hypotheses: what is read from strings, matrices and nested formulas, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import fisherfit as ff
from fisherfit.hypotheses import read_hypothesis
from fisherfit.model_terms import terms_of

NAMES = ("Intercept", "x1", "x2", "x1:x2", "bs(x, df=4)[1]", "wool[T.B]", "wool[T.New York]", "x10", "é")
BREAKS = ff.datasets.load("warpbreaks")


def row(**values):
    out = np.zeros(len(NAMES))
    for name, value in values.items():
        out[{"one": 0, "x1": 1, "x2": 2, "x1x2": 3, "bs": 4, "B": 5, "NY": 6, "x10": 7, "e": 8}[name]] = value
    return out


READ = [
    ("x1 = x2", [row(x1=1, x2=-1)], [0]),
    ("x1 == x2", [row(x1=1, x2=-1)], [0]),
    ("x1 = 0, x2 = 2*x1:x2 - 1", [row(x1=1), row(x2=1, x1x2=-2)], [0, -1]),
    ("x10", [row(x10=1)], [0]),
    ("x1-x2", [row(x1=1, x2=-1)], [0]),
    ("x1 = x2 = x10", [row(x1=1, x2=-1), row(x2=1, x10=-1)], [0, 0]),
    ("-(x1 - 2)/4 + 3*(x2*.5) = 1e-1 - -x10", [row(x1=-0.25, x2=1.5, x10=-1)], [0.1 - 0.5]),
    ("bs(x,df=4)[1] = 2", [row(bs=1)], [2]),
    ("`wool[T.New York]` = wool[T.B]", [row(NY=1, B=-1)], [0]),
    ("2*é = Intercept", [row(e=2, one=-1)], [0]),
    ("(x1 + x2)*2 = 3", [row(x1=2, x2=2)], [3]),
]


@pytest.mark.parametrize(("text", "matrix", "value"), READ)
def test_strings_are_read(text, matrix, value):
    found = read_hypothesis(text, NAMES)
    np.testing.assert_allclose(found.matrix, matrix, rtol=1e-15)
    np.testing.assert_allclose(found.value, value, rtol=1e-15, atol=1e-16)
    assert found.text == text


REFUSED = [
    ("", "is empty"),
    ("x1 =", "cannot be read at its end"),
    ("x1 x2", "cannot be read at position 3"),
    ("x1 = (x2", "cannot be read at its end"),
    ("wol[T.B] = 0", r"'wol\[T.B\]' is not a coefficient.* did you mean 'wool\[T.B\]'"),
    ("`x1 = 0", "backtick"),
    ("`x3` = 0", "'x3' is not a coefficient"),
    ("x1*x2 = 0", "not linear: it holds a product of coefficients"),
    ("1/x2 = 0", "not linear: it holds a division by a coefficient"),
    ("x1**2 = 0", "not linear: it holds a power"),
    ("x1^2 = 0", "not linear: it holds a power"),
    ("x1/0 = 0", "divides by 0"),
    ("x1 < 0", "write equalities"),
    ("x1 = 1; x2", "position 6: ';'"),
    ("x1 = 1, x1 = 2", "contradicts"),
    ("x1 = x2, x2 = x10, x1 = x10 + 1", "contradicts 'x1 = x2, x2 = x10'"),
    ("1 = 2", "can never hold"),
    ("x1 = x1", "restricts nothing"),
    ("__import__('os').system('true')", "is not a coefficient"),
    ("exp(x1) = 0", "is not a coefficient"),
    (np.eye(3), "needs 9 columns"),
    ((np.eye(9)[:2], [1.0, 2.0, 3.0]), "2 rows in R"),
    (np.full(9, np.nan), "not finite"),
    (3, "a string such as"),
    (None, "a string such as"),
]


@pytest.mark.parametrize(("hypothesis", "message"), REFUSED, ids=str)
def test_what_cannot_be_read_is_one_error(hypothesis, message):
    with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
        read_hypothesis(hypothesis, NAMES)


def test_redundant_rows_are_counted_once():
    found = read_hypothesis("x1 = x2, x2 = x10, x1 = x10, 3*x1 = 3*x2", NAMES)
    assert (found.df, found.redundant) == (2, 2)
    tiny = read_hypothesis((np.stack([row(x1=1e-150), row(x1=1e150, x2=1e-10)]), [0.0, 0.0]), NAMES)
    assert tiny.df == 1, "1e-10 beside 1e150 is nothing"


def test_matrices_and_lists():
    both = read_hypothesis(["x1 = 1", "x2 = 2"], NAMES)
    pair = read_hypothesis((np.eye(9)[1:3], [1.0, 2.0]), NAMES)
    np.testing.assert_array_equal(both.matrix, pair.matrix)
    np.testing.assert_array_equal(both.value, pair.value)
    assert pair.text == "x1 = 1, x2 = 2"
    assert read_hypothesis(np.eye(9)[1], NAMES).value.tolist() == [0.0]


def fitted(formula, data=BREAKS, **arguments):
    return ff.GLM(formula=formula, family="poisson", **arguments).fit(data)


@pytest.mark.parametrize(
    ("formula", "hypothesis", "names"),
    [
        ("breaks ~ wool * tension", "tension", ["tension[T.M]", "tension[T.H]"]),
        ("breaks ~ wool * tension", "wool:tension", ["wool[T.B]:tension[T.M]", "wool[T.B]:tension[T.H]"]),
        ("breaks ~ C(wool) + tension", "wool", ["C(wool)[T.B]"]),
        ("breaks ~ wool + tension", "C(tension) = 0", ["tension[T.M]", "tension[T.H]"]),
        ("breaks ~ wool + tension", "breaks ~ wool", ["tension[T.M]", "tension[T.H]"]),
        ("breaks ~ C(wool) + tension", "~ 1 + wool", ["tension[T.M]", "tension[T.H]"]),
        ("breaks ~ wool + tension", "breaks ~ 1", ["wool[T.B]", "tension[T.M]", "tension[T.H]"]),
        ("breaks ~ wool * tension", "breaks ~ wool + tension", ["wool[T.B]:tension[T.M]", "wool[T.B]:tension[T.H]"]),
    ],
)
def test_terms_and_nested_formulas(formula, hypothesis, names):
    model = fitted(formula)
    found = read_hypothesis(hypothesis, model.result_.names, terms_of(model._predictor.terms), formula)
    np.testing.assert_array_equal(
        found.matrix, np.eye(len(model.result_.names))[[model.result_.names.index(n) for n in names]]
    )


@pytest.mark.parametrize(
    ("hypothesis", "message"),
    [
        ("breaks ~ x", "no term 'x'"),
        ("y ~ wool", "its response is not 'breaks'"),
        ("breaks ~ wool * tension", "the model itself"),
        ("breaks ~ wool:tension", "spans the same columns"),
        ("breaks ~ wool - 1", "spans the same columns"),
        ("breaks ~ wool + offset(breaks)", "its offset is not that of the model"),
        ("tension = 1", "is several coefficients"),
        ("tension + wool[T.B] = 0", "is several coefficients"),
        ("wool[T.B] + tension = 0", "is several coefficients"),
    ],
)
def test_formulas_that_are_not_nested_are_refused(hypothesis, message):
    with pytest.raises(ff.InputError, match=message):
        fitted("breaks ~ wool * tension").test(hypothesis)


def test_a_name_that_is_also_a_term_is_the_coefficient():
    model = ff.GLM().fit(ff.datasets.load("trees")[["girth", "height"]], ff.datasets.load("trees")["volume"])
    found = model.test("girth = height")
    assert found.df == 1
    assert model.test("girth").statistic == pytest.approx(model.result_.tvalues["girth"] ** 2, rel=1e-12)


def test_dropping_a_slope_keeps_a_numeric_interaction():
    """``x:g`` without ``x`` spans other columns where g is numeric, and may be tested by its coefficients."""
    data = BREAKS.assign(x=np.arange(len(BREAKS)) / 10.0, g=np.cos(np.arange(len(BREAKS))))
    assert fitted("breaks ~ x * g", data).test("breaks ~ x:g").df == 2
