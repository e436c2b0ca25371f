"""Analysis of deviance and pairwise comparisons, against refits, published numbers and the definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fisherfit as ff

DOBSON = pd.DataFrame(
    {
        "counts": [18, 17, 15, 20, 10, 20, 25, 13, 12],
        "outcome": list("123") * 3,
        "treatment": [t for t in "123" for _ in range(3)],
    }
)
RNG = np.random.default_rng(4)
N = 90
DATA = pd.DataFrame(
    {
        "x": RNG.standard_normal(N),
        "g": RNG.choice(list("pqr"), N),
        "h": RNG.choice(list("st"), N),
    }
)
MEAN = np.exp(0.4 + 0.3 * DATA["x"] + 0.5 * (DATA["g"] == "q") + 0.3 * ((DATA["h"] == "t") & (DATA["g"] == "r")))
DATA["poisson"] = RNG.poisson(MEAN).astype(float)
DATA["gamma"] = MEAN * RNG.gamma(2.0, 0.5, N)
DATA["normal"] = np.log(MEAN) + RNG.standard_normal(N)
DATA["binomial"] = (RNG.random(N) < MEAN / (1 + MEAN)).astype(float)
DATA["negative_binomial"] = RNG.poisson(MEAN * RNG.gamma(1.5, 1 / 1.5, N)).astype(float)
FAMILIES = ("poisson", "gamma", "normal", "binomial", "negative_binomial")


def fit(family, right, data=DATA):
    return ff.GLM(formula=f"{family} ~ {right}", family=family).fit(data)


def left_of(model):
    """Deviance, or -2 log-likelihood where alpha is estimated."""
    return -2 * model.result_.llf if "alpha" in model.result_.names else model.result_.deviance


def test_dobson_as_r_prints_it():
    """R's example(glm): anova(glm.D93, test = "Chisq")."""
    model = ff.GLM(formula="counts ~ outcome + treatment", family="poisson").fit(DOBSON)
    table = model.anova(DOBSON)
    assert table["resid_deviance"].round(4).tolist() == [10.5814, 5.1291, 5.1291]
    assert table["resid_df"].tolist() == [8.0, 6.0, 4.0]
    assert round(table.loc["outcome", "deviance"], 4) == 5.4523
    assert round(table.loc["outcome", "p_value"], 5) == 0.06547
    assert table.loc["treatment", "p_value"] == pytest.approx(1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_sequential_lines_are_refits(family):
    models = [fit(family, right) for right in ("1", "x", "x + g", "x + g + h", "x + g + h + g:h")]
    full = models[-1]
    r = full.result_
    table = full.anova(DATA)
    assert table.index.tolist() == ["Intercept", "x", "g", "h", "g:h"]
    np.testing.assert_allclose(table.iloc[:, 3], [left_of(m) for m in models], rtol=1e-10)
    np.testing.assert_array_equal(table["resid_df"], [m.result_.df_resid for m in models])
    drops = np.diff([-left_of(m) for m in models])
    np.testing.assert_allclose(table.iloc[1:, 1], drops, rtol=1e-8)
    df = table["df"].to_numpy()[1:]
    np.testing.assert_array_equal(df, [1, 2, 1, 2])
    if r.use_t:
        np.testing.assert_allclose(table["F"][1:], drops / df / r.dispersion, rtol=1e-8)
        np.testing.assert_allclose(table["p_value"][1:], stats.f.sf(table["F"][1:], df, r.df_resid), rtol=1e-9)
    else:
        np.testing.assert_allclose(table["p_value"][1:], stats.chi2.sf(drops, df), rtol=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["lr", "wald", "score"])
def test_marginal_lines_are_tests_of_the_whole_model(family, method):
    full = fit(family, "x + g + h")
    table = full.anova(DATA, kind="marginal", method=method)
    small = {"x": "g + h", "g": "x + h", "h": "x + g"}
    for name, right in small.items():
        other = fit(family, right)
        assert table.iloc[:, 3][name] == pytest.approx(left_of(other), rel=1e-10)
        assert table.loc[name, "resid_df"] == other.result_.df_resid
        test = full.test(name, method, *[DATA] * (method != "wald"))
        assert table.iloc[:, 4][name] == pytest.approx(test.statistic, rel=1e-9)
        assert table.loc[name, "p_value"] == pytest.approx(test.p_value, rel=1e-8)


@pytest.mark.parametrize("method", ["wald", "score"])
@pytest.mark.parametrize("family", FAMILIES)
def test_sequential_wald_and_score_are_those_of_the_models_on_the_way(family, method):
    full = fit(family, "x + g + h")
    phi, k = full.result_.dispersion, (2.0 if full.result_.use_t else 1.0)
    table = full.anova(DATA, method=method)
    inner = fit(family, "x + g")
    test = inner.test("g", method, *[DATA] * (method != "wald"))
    assert table.iloc[2, 4] * phi * k == pytest.approx(test.statistic * inner.result_.dispersion * k, rel=1e-9)


def test_an_interaction_shields_its_terms():
    table = fit("poisson", "x + g * h").anova(DATA, kind="marginal")
    assert table.index.tolist() == ["x", "g:h"]


def test_aliased_terms_have_no_degrees_of_freedom():
    with pytest.warns(ff.RankWarning):
        full = ff.GLM(formula="poisson ~ x + z + h", family="poisson").fit(DATA.assign(z=2 * DATA["x"] + 1))
    table = full.anova(DATA.assign(z=2 * DATA["x"] + 1))
    assert table["df"].tolist() == [0, 1, 0, 1]
    assert np.isnan(table.loc["z", "p_value"])
    assert table.loc["h", "deviance"] == pytest.approx(
        fit("poisson", "x").result_.deviance - fit("poisson", "x + h").result_.deviance, rel=1e-8
    )


def test_a_separated_fit_has_its_table_by_likelihood_ratio():
    data = ff.datasets.load("endometrial")
    with pytest.warns(ff.SeparationWarning):
        full = ff.GLM(formula="HG ~ PI + EH + NV", family="binomial").fit(data)
    small = ff.GLM(formula="HG ~ PI + EH", family="binomial").fit(data)
    table = full.anova(data)
    assert table.loc["NV", "deviance"] == pytest.approx(small.result_.deviance - full.result_.deviance, rel=1e-9)
    with pytest.raises(ff.InputError, match="use method='lr'"):
        full.anova(data, method="wald")


def test_columns_of_a_table_are_terms():
    full = ff.GLM("poisson").fit(DATA[["x", "g"]], DATA["poisson"])
    by_formula = fit("poisson", "x + g")
    np.testing.assert_allclose(
        full.anova(DATA[["x", "g"]], DATA["poisson"]).to_numpy(), by_formula.anova(DATA).to_numpy(), rtol=1e-9
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_tables_of_models(family):
    models = [fit(family, right) for right in ("x", "x + g", "x + g*h")]
    table = ff.anova(models[2], models[0], models[1])  # in any order
    assert table.index.tolist() == [m.formula for m in models]
    np.testing.assert_allclose(table.iloc[:, 3], [left_of(m) for m in models])
    alone = models[2].test("h, g:h", "lr", DATA)
    assert table.iloc[2, 4] == pytest.approx(alone.statistic, rel=1e-8)
    assert table.iloc[2, 0] == alone.df == 3


def test_models_that_are_not_nested_are_refused():
    x, g = fit("poisson", "x"), fit("poisson", "g")
    for models, message in [
        ((x,), "two or more"),
        ((x, ff.GLM()), "not fitted"),
        ((x, g), "no 'x'"),
        ((x, fit("normal", "x + g")), "families differ"),
        ((x, fit("poisson", "x")), "same residual degrees"),
        ((x, fit("poisson", "x + g", DATA.iloc[1:])), "numbers of observations differ"),
        ((x, ff.GLM(formula="y ~ x + g", family="poisson").fit(DATA.assign(y=DATA["poisson"] + 1))), "same data"),
    ]:
        with pytest.raises(ff.InputError, match=message):
            ff.anova(*models)
    curved = fit("poisson", "bs(x, df=4)")
    assert ff.anova(x, curved, nested=True).iloc[1, 0] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"kind": "III"}, "kind: 'III'"), ({"method": "F"}, "method: 'F'")],
)
def test_mistakes(arguments, message):
    with pytest.raises(ff.InputError, match=message):
        fit("poisson", "x").anova(DATA, **arguments)


# pairwise


def test_pairs_are_contrasts_with_their_tests():
    model = fit("poisson", "x + g")
    table = model.pairwise("g", adjust="none", level=0.9)
    assert table.index.tolist() == ["q - p", "r - p", "r - q"]
    test = model.test("g[T.r] = g[T.q]")
    assert table.loc["r - q", "z"] ** 2 == pytest.approx(test.statistic, rel=1e-12)
    assert table.loc["r - q", "p_value"] == pytest.approx(test.p_value, rel=1e-9)
    b, se = table.loc["r - q", ["estimate", "std err"]]
    assert table.loc["r - q", "upper"] == pytest.approx(b + stats.norm.ppf(0.95) * se, rel=1e-12)
    again = fit("poisson", "C(g) + x - 1").pairwise("C(g)", adjust="none", level=0.9)
    np.testing.assert_allclose(again.to_numpy(), table.to_numpy(), rtol=1e-8)


def test_tukey_is_that_of_one_way_analysis_of_variance():
    groups = [RNG.standard_normal(12) + k for k in (0.0, 0.4, 1.0, 1.1)]
    data = pd.DataFrame({"y": np.concatenate(groups), "g": np.repeat(list("abcd"), 12)})
    found = ff.GLM(formula="y ~ g").fit(data).pairwise("g", adjust="tukey", level=0.95)
    theirs = stats.tukey_hsd(*groups)
    low, high = theirs.confidence_interval(0.95)
    for k, (i, j) in enumerate(combinations(range(4), 2)):
        assert found["p_value"].iloc[k] == pytest.approx(theirs.pvalue[j, i], rel=1e-6, abs=1e-12)
        assert found["lower"].iloc[k] == pytest.approx(low[j, i], rel=1e-6)
        assert found["upper"].iloc[k] == pytest.approx(high[j, i], rel=1e-6)


@pytest.mark.parametrize("adjust", ["holm", "bonferroni", "fdr_bh"])
def test_adjustments_as_statsmodels_has_them(adjust):
    from statsmodels.stats.multitest import multipletests

    model = fit("poisson", "x + g")
    raw, found = model.pairwise("g", adjust="none"), model.pairwise("g", adjust=adjust)
    np.testing.assert_allclose(found["p_value"], multipletests(raw["p_value"], method=adjust)[1], rtol=1e-12)
    count = 1 if adjust == "fdr_bh" else 3
    width = (found["upper"] - found["lower"]) / found["std err"] / 2
    np.testing.assert_allclose(width, stats.norm.ppf(1 - 0.025 / count), rtol=1e-10)


def test_pairs_of_an_infinite_level():
    data = DATA.assign(binomial=np.where(DATA["g"] == "q", 1.0, DATA["binomial"]))
    with pytest.warns(ff.SeparationWarning):
        model = fit("binomial", "g", data)
    table = model.pairwise("g")
    assert np.isinf(table.loc["q - p", "std err"])
    assert np.isnan(table.loc["q - p", "p_value"])
    assert np.isfinite(table.loc["r - p", "p_value"])
    assert table.loc["r - p", "p_value"] == pytest.approx(model.test("g[T.r]").p_value, rel=1e-9)


@pytest.mark.parametrize(
    ("right", "arguments", "message"),
    [
        ("x + g", {"term": "k"}, "'k' is not a coefficient or a term"),
        ("x + g", {"term": "x"}, "'x' has no levels"),
        ("x + g * h", {"term": "g"}, "depend on the interaction 'g:h'"),
        ("x + g", {"term": "g", "adjust": "sidak"}, "adjust: 'sidak'"),
        ("x + g", {"term": "g", "level": 2}, "level must lie"),
        ("C(g, contr.sum)", {"term": "C(g, contr.sum)"}, "has no levels|treatment coding"),
    ],
)
def test_pairs_that_cannot_be_made(right, arguments, message):
    with pytest.raises(ff.InputError, match=message):
        fit("poisson", right).pairwise(**arguments)
