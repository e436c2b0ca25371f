"""Marginal effects: against differences of predictions, the package statsmodels, and published numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import fisherfit as ff

RNG = np.random.default_rng(8)
N = 200
TABLE = pd.DataFrame(
    {
        "x": RNG.gamma(3.0, 2.0, N),
        "z": RNG.standard_normal(N) + 20.0,
        "d": (RNG.random(N) < 0.4).astype(float),
        "g": pd.Categorical(RNG.choice(["a", "b", "c"], N)),
        "t": RNG.uniform(0.5, 3.0, N),
    }
)
ETA = 0.3 * np.log(TABLE["x"]) + 0.2 * (TABLE["z"] - 20.0) + 0.4 * TABLE["d"] - 0.5 * (TABLE["g"] == "b")
RESPONSES = {
    "normal": ETA + RNG.standard_normal(N),
    "poisson": RNG.poisson(TABLE["t"] * np.exp(ETA)).astype(float),
    "binomial": (RNG.random(N) < 1.0 / (1.0 + np.exp(-ETA))).astype(float),
    "gamma": np.exp(ETA) * RNG.gamma(3.0, 1.0 / 3.0, N),
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(2.0, 0.5, N)).astype(float),
}
FORMULAS = [
    "~ np.log(x) + z + d + g",
    "~ poly(x, 2) + z * d + g",
    "~ bs(x, df=5) + I(z**2) * d + g",
    "~ C(g) * np.sqrt(x) + z + d + offset(0.1 * np.log(x))",
]


def moved(model, predictor_of, coefficients):
    """What a function of the model is at other coefficients."""
    from dataclasses import replace

    return predictor_of(replace(model._predictor, coefficients=coefficients))


def by_differences(model, function):
    """The delta method with a numerical gradient: function takes a predictor."""
    b, p = model.result_.coefficients, len(model._predictor.terms.names)
    gradient = np.zeros(p)
    for j in range(p):
        h = 1e-4 * model.result_.standard_errors[j]
        ends = []
        for sign in (2.0, 1.0, -1.0, -2.0):
            at = b.copy()
            at[j] += sign * h
            ends.append(moved(model, function, at))
        gradient[j] = (8.0 * (ends[1] - ends[2]) - (ends[0] - ends[3])) / (12.0 * h)
    return float(np.sqrt(gradient @ model.result_.covariance[:p, :p] @ gradient))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_effects_are_differences_of_predictions(family, formula):
    model = ff.GLM(family, formula=formula).fit(TABLE, RESPONSES[family])
    inside = TABLE[(TABLE["x"] > TABLE["x"].min() + 0.01) & (TABLE["x"] < TABLE["x"].max() - 0.01)]
    found = model.marginal_effects(inside)

    def slope(predictor, name="x", h=2e-4):
        ends = [predictor.predict(inside.assign(**{name: inside[name] + k * h})) for k in (2, 1, -1, -2)]
        return float(np.mean(8.0 * (ends[1] - ends[2]) - (ends[0] - ends[3])) / (12.0 * h))

    def contrast(predictor, name, high, low):
        return float(
            np.mean(predictor.predict(inside.assign(**{name: high})) - predictor.predict(inside.assign(**{name: low})))
        )

    cases = {
        "x": slope,
        "z": lambda p: slope(p, "z"),
        "d": lambda p: contrast(p, "d", 1.0, 0.0),
        "g[b - a]": lambda p: contrast(p, "g", "b", "a"),
        "g[c - a]": lambda p: contrast(p, "g", "c", "a"),
    }
    assert list(found.index) == list(cases)
    for name, function in cases.items():
        assert found.loc[name, "dydx"] == pytest.approx(function(model._predictor), rel=1e-6)
        assert found.loc[name, "std err"] == pytest.approx(by_differences(model, function), rel=1e-5)
    np.testing.assert_allclose(found["z"], found["dydx"] / found["std err"])
    np.testing.assert_allclose(found["upper"] - found["lower"], 2 * 1.959963984540054 * found["std err"])


@pytest.mark.parametrize("kind", ["dydx", "eyex", "dyex", "eydx"])
@pytest.mark.parametrize("at", ["overall", "mean", "median"])
def test_statsmodels_agrees_on_logit_and_poisson(at, kind):
    x = TABLE[["x", "z", "t"]]
    for family, peer in (("binomial", sm.Logit), ("poisson", sm.Poisson)):
        model = ff.GLM(family).fit(x, RESPONSES[family])
        other = peer(RESPONSES[family], sm.add_constant(x)).fit(disp=0, method="newton", tol=1e-13, maxiter=50)
        theirs, ours = other.get_margeff(at=at, method=kind), model.marginal_effects(x, at=at, kind=kind)
        np.testing.assert_allclose(ours[kind], theirs.margeff, rtol=1e-8)
        np.testing.assert_allclose(ours["std err"], theirs.margeff_se, rtol=1e-7)


def test_zeros_and_ones_are_compared_unless_told_otherwise():
    x = TABLE[["x", "d"]]
    model = ff.GLM("binomial").fit(x, RESPONSES["binomial"])
    other = sm.Logit(RESPONSES["binomial"], sm.add_constant(x)).fit(disp=0, tol=1e-13, maxiter=50)
    for dummy in (True, False):
        theirs, ours = other.get_margeff(dummy=dummy), model.marginal_effects(x, dummy=dummy)
        np.testing.assert_allclose(ours["dydx"], theirs.margeff, rtol=1e-8)
        np.testing.assert_allclose(ours["std err"], theirs.margeff_se, rtol=1e-7)


@pytest.mark.parametrize(
    ("link", "coefficients", "slopes"),
    [
        ("logit", [-13.021, 2.826, 0.095, 2.379], [0.534, 0.018, 0.449]),
        ("probit", [-7.452, 1.626, 0.052, 1.426], [0.533, 0.017, 0.468]),
    ],
)
def test_greenes_table_of_grades(link, coefficients, slopes):
    """Spector & Mazzeo (1980), as in Greene (2003), Econometric Analysis, table 21.1: slopes at the means."""
    data = sm.datasets.spector.load_pandas()
    x = data.exog[["GPA", "TUCE", "PSI"]]
    model = ff.GLM("binomial", link=link).fit(x, data.endog)
    np.testing.assert_allclose(model.result_.coefficients, coefficients, atol=6e-4)
    np.testing.assert_allclose(model.marginal_effects(x, at="mean", dummy=False)["dydx"], slopes, atol=6e-4)


def test_statas_margins_of_the_health_insurance_experiment():
    """Average effects of a Poisson regression and their standard errors, by Stata's margins (statsmodels has the output)."""
    data = sm.datasets.randhie.load_pandas()
    model = ff.GLM("poisson").fit(data.exog, data.endog)
    found = model.marginal_effects(data.exog, dummy=False)
    published = [-0.15027280560599, -0.70677348928158, 0.10094500919705, -0.09890639687842, 0.77721770295359,
                 0.09708707452600, -0.03614158359367, 0.15462412033340, 0.58957704430148]  # fmt: skip
    errors = [0.008273103, 0.0305119343, 0.0052466639, 0.0046317555, 0.0351582168, 0.0016652181, 0.0264611158,
              0.0437974779, 0.0752099666]  # fmt: skip
    np.testing.assert_allclose(found["dydx"], published, rtol=2e-7)
    np.testing.assert_allclose(found["std err"], errors, rtol=2e-6)


def test_the_scale_of_the_link_gives_back_coefficients():
    model = ff.GLM("gamma", formula="~ x + np.log(z) + g").fit(TABLE, RESPONSES["gamma"])
    found = model.marginal_effects(TABLE, scale="link")
    result = model.result_
    for name, coefficient in (("x", "x"), ("g[b - a]", "g[T.b]"), ("g[c - a]", "g[T.c]")):
        assert found.loc[name, "dydx"] == pytest.approx(result.params[coefficient], rel=1e-10)
        assert found.loc[name, "std err"] == pytest.approx(result.bse[coefficient], rel=1e-9)
        assert found.loc[name, "p_value"] == pytest.approx(result.pvalues[coefficient], rel=1e-7)
    elasticity = model.marginal_effects(TABLE, columns="z", kind="eyex")  # of a log-log model: its coefficient
    assert elasticity.loc["z", "eyex"] == pytest.approx(result.params["np.log(z)"], rel=1e-9)
    assert elasticity.loc["z", "std err"] == pytest.approx(result.bse["np.log(z)"], rel=1e-8)


def test_a_saturated_model_gives_differences_of_group_means():
    y = RESPONSES["normal"]
    model = ff.GLM(formula="~ g").fit(TABLE, y)
    mean = y.groupby(TABLE["g"], observed=True).mean()
    found = model.marginal_effects(TABLE)
    assert found.loc["g[c - a]", "dydx"] == pytest.approx(mean["c"] - mean["a"], rel=1e-10)
    averages = model.average_prediction(TABLE, by="g")
    np.testing.assert_allclose(averages["mean"], mean, rtol=1e-10)
    size = TABLE["g"].value_counts()[averages.index]
    np.testing.assert_allclose(averages["std err"], np.sqrt(model.dispersion_ / size), rtol=1e-8)


def test_values_are_set_in_all_rows_and_the_rest_is_averaged():
    model = ff.GLM("poisson", formula="~ np.log(x) * d + g").fit(TABLE, RESPONSES["poisson"], exposure="t")
    found = model.marginal_effects(TABLE, at={"d": [0, 1], "g": "b"}, columns="x")
    assert list(found.index) == [(0, "b", "x"), (1, "b", "x")]
    for d in (0, 1):
        alone = model.marginal_effects(
            TABLE.assign(d=float(d), g=pd.Categorical(["b"] * N, ["a", "b", "c"])), columns="x"
        )
        np.testing.assert_allclose(found.loc[(d, "b", "x")].to_numpy(float), alone.loc["x"].to_numpy(float), rtol=1e-8)
    averages = model.average_prediction(TABLE, at={"d": [0, 1]})
    for d in (0, 1):
        assert averages.loc[d, "mean"] == pytest.approx(model.predict(TABLE.assign(d=float(d))).mean(), rel=1e-11)
    both = model.average_prediction(TABLE, by=["g", "d"])
    assert list(both.index.names) == ["g", "d"]
    cell = TABLE[(TABLE["g"] == "c") & (TABLE["d"] == 1.0)]
    assert both.loc[("c", 1.0), "mean"] == pytest.approx(model.predict(cell).mean(), rel=1e-11)

    def average(predictor):
        return float(predictor.predict(cell).mean())

    assert both.loc[("c", 1.0), "std err"] == pytest.approx(by_differences(model, average), rel=1e-6)


def test_weights_of_rows_are_repetitions():
    model = ff.GLM("gamma", formula="~ np.log(x) + z + d + g").fit(TABLE, RESPONSES["gamma"])
    weight = RNG.integers(1, 4, N)
    long = TABLE.loc[np.repeat(np.arange(N), weight)].reset_index(drop=True)
    for at in ("overall", "mean", "median"):
        one, other = model.marginal_effects(TABLE, at=at, sample_weight=weight), model.marginal_effects(long, at=at)
        np.testing.assert_allclose(one["dydx"], other["dydx"], rtol=1e-7)
        np.testing.assert_allclose(one["std err"], other["std err"], rtol=1e-7)


def test_arrays_polars_and_sparse_tables():
    from scipy import sparse

    polars = pytest.importorskip("polars")
    columns = ["x", "z", "d"]
    x, y = TABLE[columns].to_numpy(), RESPONSES["poisson"]
    model = ff.GLM("poisson").fit(x, y)
    array = model.marginal_effects(x)
    assert list(array.index) == ["x0", "x1", "x2"]
    thin = ff.GLM("poisson").fit(sparse.csr_array(x), y).marginal_effects(sparse.csr_array(x))
    np.testing.assert_allclose(thin, array, rtol=1e-8)
    frame = polars.DataFrame({name: TABLE[name].to_numpy() for name in columns})
    named = ff.GLM("poisson", formula="~ x + z + d").fit(frame, y).marginal_effects(frame)
    np.testing.assert_allclose(named, array, rtol=1e-8)


def test_dependent_columns_and_infinite_coefficients():
    x = TABLE[["x", "z"]].assign(s=TABLE["x"] + TABLE["z"])
    with pytest.warns(ff.RankWarning):
        model = ff.GLM("poisson").fit(x, RESPONSES["poisson"])
    assert model.marginal_effects(x)["std err"].isna().all()
    averages = model.average_prediction(x)
    plain = ff.GLM("poisson").fit(x[["x", "z"]], RESPONSES["poisson"]).average_prediction(x[["x", "z"]])
    np.testing.assert_allclose(averages, plain, rtol=1e-8)
    endometrial = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        model = ff.GLM(formula="HG ~ NV + PI + EH", family="binomial").fit(endometrial)
    with pytest.warns(ff.SeparationWarning, match="depends on infinite estimates"):
        found = model.marginal_effects(endometrial)
    assert np.isnan(found.loc["NV", "std err"])
    assert 0.0 < found.loc["NV", "dydx"] < 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": "mode"}, "choose 'overall'"),
        ({"at": 3}, "a dict of values"),
        ({"at": {"w": 1}}, "uses no column 'w'"),
        ({"at": {"g": "q"}}, "no level 'q'"),
        ({"at": {"x": "high"}}, "is numeric"),
        ({"at": {"x": []}}, "no value is given"),
        ({"columns": ["x", "q"]}, "uses no column 'q'"),
        ({"columns": "g", "kind": "eyex"}, "an elasticity needs a number"),
        ({"kind": "dxdy"}, "choose one of 'dydx'"),
        ({"scale": "eta"}, "choose 'mean' or 'link'"),
        ({"scale": "link", "kind": "eyex"}, "logarithm of a mean"),
        ({"level": 95}, "level"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, message):
    model = ff.GLM("poisson", formula="~ x + d + g").fit(TABLE, RESPONSES["poisson"])
    with pytest.raises((ff.InputError, ff.InputTypeError), match=message):
        model.marginal_effects(TABLE, **arguments)


def test_kinks_and_jumps_are_refused_by_name():
    y = RESPONSES["normal"]
    jump = ff.GLM(formula="~ np.floor(x) + z").fit(TABLE.assign(x=np.rint(TABLE["x"])), y)
    with pytest.raises(ff.InputError, match="no derivative in column 'x' at row"):
        jump.marginal_effects(TABLE.assign(x=np.rint(TABLE["x"])))
    root = ff.GLM(formula="~ np.sqrt(x)").fit(TABLE.assign(x=np.maximum(TABLE["x"] - 3.0, 0.0)), y)
    with pytest.raises(ff.InputError, match="where its value is 0"):
        root.marginal_effects(TABLE.assign(x=np.maximum(TABLE["x"] - 3.0, 0.0)))
    with pytest.raises(ff.InputError, match="by= needs the rows"):
        root.average_prediction(TABLE, by="x", at="mean")
    with pytest.raises(ff.InputError, match="'q' is not a column"):
        root.average_prediction(TABLE, by="q")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_model_of_the_package_marginaleffects():
    me = pytest.importorskip("marginaleffects")  # needs polars below 2, so it is no test dependency
    from fisherfit.adapters import to_marginaleffects

    model = ff.GLM("binomial", formula="~ age + np.log(lwt) + race + smoke")
    data = ff.datasets.load("birthwt")
    model = model.fit(data, data["low"])
    theirs, ours = (
        me.avg_comparisons(to_marginaleffects(model, data), variables=["race", "smoke"]),
        model.marginal_effects(data),
    )
    np.testing.assert_allclose(theirs["estimate"].to_numpy(), ours["dydx"].iloc[2:], rtol=1e-9)
    np.testing.assert_allclose(theirs["std_error"].to_numpy(), ours["std err"].iloc[2:], rtol=1e-5)
    slopes = me.avg_slopes(to_marginaleffects(model, data), variables=["age", "lwt"], eps=1e-3)
    np.testing.assert_allclose(slopes["estimate"].to_numpy(), ours["dydx"].iloc[:2], rtol=1e-5)
    # marginaleffects takes these by two nested differences, which keep 2 to 3 digits
    np.testing.assert_allclose(slopes["std_error"].to_numpy(), ours["std err"].iloc[:2], rtol=1e-2)
    averages = me.avg_predictions(to_marginaleffects(model, data), by="race")
    own = model.average_prediction(data, by="race")
    np.testing.assert_allclose(averages["estimate"].to_numpy(), own["mean"], rtol=1e-9)
    np.testing.assert_allclose(averages["std_error"].to_numpy(), own["std err"], rtol=1e-5)
    claims = ff.datasets.load("insurance").rename(columns={"group": "size"})
    model = ff.GLM("poisson", formula="claims ~ C(district) + size + age").fit(claims, exposure="holders")
    theirs, ours = (
        me.avg_comparisons(to_marginaleffects(model, claims), variables=["size"]),
        model.marginal_effects(claims, columns="size"),
    )
    np.testing.assert_allclose(theirs["std_error"].to_numpy(), ours["std err"], rtol=1e-5)
    trees = ff.datasets.load("trees")
    model = ff.GLM("gamma").fit(trees[["girth", "height"]], trees["volume"])
    each, own = me.predictions(to_marginaleffects(model, trees)), model.predict(trees, se=True)
    np.testing.assert_allclose(each["std_error"].to_numpy(), own["std err"], rtol=1e-6)


def test_the_adapter_says_what_it_cannot_take():
    from fisherfit.adapters import to_marginaleffects

    x = TABLE[["x", "z"]]
    array = ff.GLM("poisson").fit(x.to_numpy(), RESPONSES["poisson"])
    with pytest.raises(ff.InputError, match="named columns"):
        to_marginaleffects(array, x)
    shifted = ff.GLM("poisson").fit(x, RESPONSES["poisson"], offset=np.ones(N))
    with pytest.raises(ff.InputError, match="given as an array"):
        to_marginaleffects(shifted, x)
