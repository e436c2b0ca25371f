"""Functions of the parameters: the delta method against derivatives by hand, Fieller's interval by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import fisherfit as ff

Z = float(stats.norm.ppf(0.975))


@pytest.fixture(scope="module")
def beetles():
    return ff.GLM(formula="dead + alive ~ log_dose", family="binomial").fit(ff.datasets.load("beetles"))


@pytest.fixture(scope="module")
def warps():
    data = ff.datasets.load("warpbreaks")
    return ff.GLM(formula="breaks ~ wool + tension", family="poisson").fit(data)


def test_gradients_by_hand(beetles):
    a, b = beetles.result_.coefficients
    covariance = beetles.result_.covariance
    known = {
        "-Intercept / log_dose": (-a / b, [-1 / b, a / b**2]),
        "exp(log_dose / 10)": (np.exp(b / 10), [0.0, np.exp(b / 10) / 10]),
        "(log(9) - Intercept) / log_dose": ((np.log(9) - a) / b, [-1 / b, (a - np.log(9)) / b**2]),
        "np.sin(Intercept) * log_dose**2": (np.sin(a) * b * b, [np.cos(a) * b * b, 2 * b * np.sin(a)]),
        "Intercept - 2 * log_dose + 3": (a - 2 * b + 3, [1.0, -2.0]),
    }
    for expression, (value, gradient) in known.items():
        found = beetles.delta(expression)
        gradient = np.array(gradient)
        se = np.sqrt(gradient @ covariance @ gradient)
        assert found.estimate == pytest.approx(value, rel=1e-14)
        assert found.standard_error == pytest.approx(se, rel=1e-8), expression
        assert (found.lower, found.upper) == pytest.approx((value - Z * se, value + Z * se), rel=1e-8)
        for name, slope in found.gradient.items():
            assert slope == pytest.approx(gradient[list(beetles.result_.names).index(name)], rel=1e-8)


def test_a_function_of_a_series_is_the_same(beetles):
    text = beetles.delta("-Intercept / log_dose", level=0.9)
    function = beetles.delta(lambda p: -p["Intercept"] / p["log_dose"], level=0.9)
    assert (function.estimate, function.standard_error) == (text.estimate, text.standard_error)
    frame = text.to_frame()
    assert list(frame.columns) == ["estimate", "std err", "lower", "upper"]
    assert frame.index[0] == "-Intercept / log_dose"


def test_names_in_backticks_and_another_covariance(warps):
    found = warps.delta("exp(`wool[T.B]`)")
    b, se = warps.result_.params["wool[T.B]"], warps.result_.bse["wool[T.B]"]
    assert found.standard_error == pytest.approx(np.exp(b) * se, rel=1e-9)
    twice = warps.delta("exp(`wool[T.B]`)", covariance=4.0 * warps.result_.cov_params())
    assert twice.standard_error == pytest.approx(2.0 * found.standard_error, rel=1e-12)
    order = warps.result_.cov_params().iloc[::-1, ::-1]
    assert warps.delta("exp(`wool[T.B]`)", covariance=order).standard_error == found.standard_error
    with pytest.raises(ff.InputError, match="expected a matrix of 4 rows"):
        warps.delta("exp(`wool[T.B]`)", covariance=np.eye(3))


def test_t_where_the_dispersion_is_estimated():
    trees = ff.datasets.load("trees")
    m = ff.GLM(formula="volume ~ girth + height").fit(trees)
    found = m.delta("girth - height")
    half = stats.t.ppf(0.975, m.result_.df_resid) * found.standard_error
    assert found.upper - found.estimate == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_fiellers_interval_holds_the_ratios_that_are_not_rejected(beetles, level):
    a, b = beetles.result_.coefficients
    c = beetles.result_.covariance
    z = stats.norm.ppf(0.5 + level / 2)

    def gap(r):
        return (a + r * b) ** 2 - z * z * (c[0, 0] + 2 * r * c[0, 1] + r * r * c[1, 1])

    found = beetles.delta("-Intercept / log_dose", level=level, method="fieller")
    low, high = optimize.brentq(gap, 1.5, -a / b, xtol=1e-15), optimize.brentq(gap, -a / b, 2.0, xtol=1e-15)
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=1e-10)
    assert beetles.delta("-(Intercept / log_dose)", level, "fieller").lower == pytest.approx(low, rel=1e-10)
    shifted = beetles.delta("(log(3) - 2 * Intercept) / (log_dose / 2 + log_dose / 2)", level, "fieller")
    assert shifted.lower < (np.log(3) - 2 * a) / b < shifted.upper


def test_a_ratio_whose_denominator_may_be_zero(warps):
    found = warps.delta("Intercept / (`tension[T.M]` + 0.32)", method="fieller")
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert "only the values between" in found.note
    low, high = (float(v) for v in found.note.split("between ")[1].removesuffix(" are excluded").split(" and "))
    c = warps.result_.cov_params()
    names = ["Intercept", "tension[T.M]"]
    n, d = warps.result_.params[names] + [0.0, 0.32]
    for r, inside in ((low * 1.01, False), (0.5 * (low + high), True), (high * 1.01, False)):
        v = np.array([1.0, -r]) @ c.loc[names, names].to_numpy() @ [1.0, -r]
        assert ((n - r * d) ** 2 > Z * Z * v) == inside
    nothing = warps.delta("(`wool[T.B]` + 0.206) / (`tension[T.M]` + 0.32)", method="fieller")
    assert "no value is excluded" in nothing.note


def test_mistakes_are_named(beetles):
    b = float(beetles.coef_[0])
    wrong = {
        "exp(log_dos)": "no parameter 'log_dos'; did you mean 'log_dose'\\? its parameters are Intercept, log_dose",
        "log(Intercept)": "is not a number at, or next to, the estimates",
        f"abs(log_dose - {b!r})": "is not smooth in 'log_dose'",
        f"maximum(log_dose, {b!r})": "is not smooth in 'log_dose'",
        "__import__('os')": "not a function that can be used here; it knows abs, exp",
        "C(log_dose)": "not a function of numbers",
        "log_dose.__class__": "not allowed here",
        "3 + 4": "names no parameter",
        "Intercept /": "cannot be read",
        "": "cannot be read",
        "exp(log_dose * 100)": "no finite derivative by 'log_dose'",
    }
    for expression, message in wrong.items():
        with pytest.raises(ff.InputError, match=message):
            beetles.delta(expression)
    for expression in ("Intercept", "Intercept * log_dose / 2", "exp(Intercept) / log_dose"):
        with pytest.raises(ff.InputError, match=r"not a ratio|not linear"):
            beetles.delta(expression, method="fieller")
    with pytest.raises(ff.InputError, match="no parameter 'dose'"):
        beetles.delta(lambda p: p["dose"])
    with pytest.raises(ff.InputError, match="is to give one number"):
        beetles.delta(lambda p: p)
    with pytest.raises(ff.InputTypeError, match="a string or a function, got int"):
        beetles.delta(3)
    with pytest.raises(ff.InputError, match="a ratio written as a string"):
        beetles.delta(lambda p: 1.0, method="fieller")
    with pytest.raises(ff.InputError, match="method: 'bootstrap'"):
        beetles.delta("log_dose", method="bootstrap")
    with pytest.raises(ff.InputError, match="level must lie"):
        beetles.delta("log_dose", level=95)


def test_an_infinite_coefficient_has_no_standard_error():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        m = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial").fit(data)
    with pytest.raises(ff.InputError, match="depends on 'NV', which is infinite"):
        m.delta("exp(NV)")
    assert np.isfinite(m.delta("PI / EH").standard_error)


def test_the_kind_of_covariance_is_shown(warps):
    data = ff.datasets.load("warpbreaks")
    robust = warps.covariance(data, cov_type="HC3")
    text = "exp(`wool[T.B]`)"
    assert warps.delta(text).cov_type == "expected"
    assert "covariance" not in repr(warps.delta(text))
    given = warps.delta(text, covariance=robust)
    assert given.cov_type == given.to_frame().attrs["cov_type"] == "HC3"
    assert "95% interval (delta, HC3 covariance) [" in repr(given)
    assert warps.delta(text, covariance=robust.to_numpy()).cov_type == "given"
    fitted = ff.GLM(formula="breaks ~ wool + tension", family="poisson", cov_type="HC3").fit(data)
    assert repr(fitted.delta(text)) == repr(given)
    ratio = fitted.delta("Intercept / `wool[T.B]`", method="fieller")
    assert "95% interval (fieller, HC3 covariance" in repr(ratio)
    assert fitted.result_.cov_params().attrs["cov_type"] == fitted.result_.conf_int().attrs["cov_type"] == "HC3"
