"""Fits of rows that stay where they are: the answer of the fit in memory, few passes, and no more memory."""

import math
import re
import threading
import warnings
import weakref
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import fisherfit as ff
from fisherfit import cutting, scan, streamed
from fisherfit.bracket import Bracket

N = 3000
FIELDS = ("params", "bse", "llf", "llnull", "deviance", "null_deviance", "pearson_chi2", "dispersion", "nobs",
          "df_resid", "aic", "dispersion_ml")  # fmt: skip


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    """A sample of some hundred rows, so that small data have to be passed over as large data have."""
    monkeypatch.setattr(scan, "SAMPLE", 500)
    monkeypatch.setattr(scan, "PER_COLUMN", 0)


def make_data(n=N, seed=1):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), 100.0 + 3.0 * rng.uniform(size=n)
    g = rng.choice(["north", "south", "west"], n).astype(object)
    g[-60:] = "east"  # a level that appears late
    mu = np.exp(0.4 * a - 0.2 * (b - 101.0) + 0.3 * (g == "south"))
    jumps = rng.poisson(mu)
    return pd.DataFrame(
        {
            "a": a, "b": b, "g": g, "w": rng.integers(0, 4, n).astype(float), "e": rng.uniform(0.2, 2.0, n),
            "poisson": rng.poisson(mu), "binomial": (rng.uniform(size=n) < mu / (1.0 + mu)).astype(float),
            "gamma": rng.gamma(2.0, mu / 2.0), "normal": np.log(mu) + rng.normal(size=n),
            "inverse_gaussian": rng.wald(mu, 3.0), "geometric": rng.geometric(1.0 / (1.0 + mu)) - 1,
            "negative_binomial": rng.poisson(mu * rng.gamma(1.5, 1.0 / 1.5, n)),
            "tweedie": rng.gamma(np.maximum(jumps, 1) * 2.0, 0.5) * (jumps > 0),
            "s": rng.binomial(7, mu / (1.0 + mu)), "f": rng.integers(0, 3, n),
        }
    )  # fmt: skip


DATA = make_data()
FAMILIES = ("poisson", "binomial", "gamma", "normal", "inverse_gaussian", "geometric", "negative_binomial", "tweedie")


def cut(table, seed=0):
    """Ragged batches, with empty ones and batches of one row."""
    rng = np.random.default_rng(seed)
    edges = np.unique(np.concatenate([[0, 1, 2], rng.integers(0, len(table), 6), [len(table) - 1, len(table)]]))
    parts = [table.iloc[i:j].reset_index(drop=True) for i, j in pairwise(edges)]
    return [parts[0], table.iloc[:0], *parts[1:], table.iloc[:0]]


def same(streamed_fit, in_memory, rtol=1e-12):
    """Equal to `rtol`; what is taken at the last point but one, whose distance is certified, to that as well."""
    one, other = streamed_fit.result_, in_memory.result_
    distance = streamed_fit.certificate_.max_se_error + in_memory.certificate_.max_se_error
    for name in FIELDS:
        x, y = np.asarray(getattr(one, name), float), np.asarray(getattr(other, name), float)
        near = rtol + (distance if name in ("bse", "pearson_chi2", "dispersion") else 0.0)
        np.testing.assert_allclose(x, y, rtol=near, atol=1e-14, err_msg=name)
    assert list(one.params.index) == list(other.params.index)
    assert streamed_fit.certificate_.max_se_error < 1e-8
    for name in ("aliased_", "boundary_", "n_features_in_", "converged_", "rank_"):
        assert getattr(streamed_fit, name) == getattr(in_memory, name), name
    assert bool(streamed_fit.separation_) == bool(in_memory.separation_)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["plain", "offset", "analytic", "frequency", "probability"])
def test_the_answer_of_the_fit_in_memory(family, how):
    link_is_log = family not in ("normal", "binomial")
    named = {"plain": {}, "offset": {"exposure" if link_is_log else "offset": "e"}}.get(how, {"sample_weight": "w"})
    columns = ["a", "b", "g", *named.values()]
    options = {"weight_type": how} if how in ("analytic", "frequency", "probability") else {}
    whole = ff.GLM(family, **options).fit(DATA[columns], DATA[family], **named)
    fit = ff.GLM(family, **options).fit(cut(DATA[[*columns, family]]), family, **named)
    same(fit, whole)
    assert fit.passes_["rows"] > 1
    assert list(fit.feature_names_in_) == ["a", "b", "g"]
    new = DATA.iloc[:7]
    np.testing.assert_allclose(fit.predict(new), whole.predict(new), rtol=1e-12)


def test_a_tolerance_of_1e_12_notices_one_row():
    whole = ff.GLM("poisson").fit(DATA[["a", "b"]], DATA.poisson)
    other = DATA.copy()
    other.loc[17, "a"] += 1e-6
    fit = ff.GLM("poisson").fit(cut(other[["a", "b", "poisson"]]), "poisson")
    with pytest.raises(AssertionError):
        same(fit, whole)


@pytest.mark.parametrize("cov_type", ["observed", "HC0", "HC1"])
def test_other_covariances(cov_type):
    data = DATA[["a", "b", "g", "w", "gamma"]]
    whole = ff.GLM("gamma", cov_type=cov_type).fit(data.drop(columns="gamma"), data.gamma, sample_weight="w")
    same(ff.GLM("gamma", cov_type=cov_type).fit(cut(data), "gamma", sample_weight="w"), whole)


@pytest.mark.parametrize("dispersion", ["ml", "deviance", 0.7])
def test_dispersion(dispersion):
    data = DATA[["a", "gamma"]]
    whole = ff.GLM("gamma", dispersion=dispersion).fit(data[["a"]], data.gamma)
    same(ff.GLM("gamma", dispersion=dispersion).fit(cut(data), "gamma"), whole)


def test_counts_of_successes_and_failures():
    data = DATA[["a", "g", "s", "f"]]
    whole = ff.GLM("binomial").fit(data[["a", "g"]], data[["s", "f"]])
    same(ff.GLM("binomial").fit(cut(data), ["s", "f"]), whole)
    formula = ff.GLM("binomial", formula="s + f ~ a + g")
    same(formula.fit(cut(data)), ff.GLM("binomial", formula="s + f ~ a + g").fit(data))


@pytest.mark.parametrize(
    "formula",
    [
        "poisson ~ a + g",
        "poisson ~ a * g + C(w)",
        "poisson ~ 0 + g + I(a**2) + offset(log(e))",
        "poisson ~ np.log(b):a + C(w, Treatment(2))",
        "poisson ~ 1",
    ],
)
def test_formulas(formula):
    whole = ff.GLM("poisson", formula=formula).fit(DATA)
    same(ff.GLM("poisson", formula=formula).fit(cut(DATA)), whole)


def test_formulas_that_learn_from_all_rows_are_refused():
    with pytest.raises(ff.FormulaError, match=r"bs\(\) learns from all rows"):
        ff.GLM("poisson", formula="poisson ~ bs(a, df=4)").fit(cut(DATA))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows")
    for k, part in enumerate(np.array_split(np.arange(N), 3)):
        pq.write_table(pa.Table.from_pandas(DATA.iloc[part]), path / f"part-{k}.parquet", row_group_size=400)
    return path


class Anew:
    """An object whose iterations start afresh."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


SOURCES = {
    "path": lambda folder: str(folder),
    "Path": lambda folder: folder,
    "dataset": lambda folder: ds.dataset(folder, format="parquet"),
    "lazy": lambda folder: pl.scan_parquet(folder / "*.parquet"),
    "pandas": lambda folder: cut(DATA),
    "polars": lambda folder: [pl.from_pandas(part) for part in cut(DATA)],
    "pyarrow": lambda folder: [pa.Table.from_pandas(part, schema=pa.Schema.from_pandas(DATA)) for part in cut(DATA)],
    "record batches": lambda folder: pa.Table.from_pandas(DATA).to_batches(max_chunksize=700),
    "anew": lambda folder: Anew(cut(DATA)),
    "function": lambda folder: lambda: iter(cut(DATA)),
    "tuples": lambda folder: [(part[["a", "b", "g"]], part.gamma, part.w, part.e) for part in cut(DATA)],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source(kind, folder):
    columns = DATA[["a", "b", "g"]]
    whole = ff.GLM("gamma").fit(columns, DATA.gamma, sample_weight=DATA.w, offset=DATA.e)
    source = SOURCES[kind](folder)
    if kind == "tuples":
        fit = ff.GLM("gamma").fit(source)
        same(fit, whole)
        return
    formula = "gamma ~ a + b + g"
    fit = ff.GLM("gamma", formula=formula).fit(source, sample_weight="w", offset="e")
    whole = ff.GLM("gamma", formula=formula).fit(DATA, sample_weight="w", offset="e")
    same(fit, whole)
    assert not [t for t in threading.enumerate() if t.name == "fisherfit-reader"]


def test_one_file_and_arrays(folder, tmp_path):
    pq.write_table(pa.Table.from_pandas(DATA[["a", "b", "poisson"]]), tmp_path / "one.parquet", row_group_size=300)
    x, y = DATA[["a", "b"]].to_numpy(), DATA.poisson.to_numpy()
    whole = ff.GLM("poisson").fit(x, y)
    fit = ff.GLM("poisson").fit(tmp_path / "one.parquet", "poisson")
    np.testing.assert_allclose(fit.coef_, whole.coef_, rtol=1e-12)
    fit = ff.GLM("poisson").fit([(x[i : i + 700], y[i : i + 700]) for i in range(0, N, 700)])
    same(fit, whole)
    assert not hasattr(fit, "feature_names_in_")
    np.testing.assert_allclose(fit.predict(x), whole.predict(x), rtol=1e-12)


def test_categories_in_their_order():
    order = ["west", "north", "east", "south"]
    data = DATA.assign(g=pd.Categorical(DATA.g, categories=order))
    whole = ff.GLM("poisson").fit(data[["a", "g"]], data.poisson)
    fit = ff.GLM("poisson").fit(cut(data[["a", "g", "poisson"]]), "poisson")
    assert list(fit.result_.params.index) == ["Intercept", "a", "g[T.north]", "g[T.east]", "g[T.south]"]
    same(fit, whole)


def test_a_level_with_weight_zero_is_no_level():
    data = DATA.assign(w=np.where(DATA.g == "east", 0.0, 1.0))[["a", "g", "w", "poisson"]]
    whole = ff.GLM("poisson").fit(data[["a", "g", "w"]], data.poisson, sample_weight="w")
    fit = ff.GLM("poisson").fit(cut(data), "poisson", sample_weight="w")
    same(fit, whole)
    assert "g[T.east]" not in fit.result_.params.index
    assert "g[T.north]" not in fit.result_.params.index  # now the reference


def test_missing_values_left_out(folder, tmp_path):
    data = DATA[["a", "b", "g", "gamma"]].copy()
    data.loc[5, "a"] = np.nan
    data.loc[200:250, "g"] = None
    data.loc[2000, "gamma"] = np.nan
    pq.write_table(pa.Table.from_pandas(data), tmp_path / "some.parquet", row_group_size=500)
    with pytest.warns(ff.MissingValuesWarning, match="53 of 3000"):
        whole = ff.GLM("gamma", missing="drop").fit(data[["a", "b", "g"]], data.gamma)
    for source in (cut(data), tmp_path / "some.parquet"):
        with pytest.warns(ff.MissingValuesWarning, match="53 of 3000"):
            fit = ff.GLM("gamma", missing="drop").fit(source, "gamma")
        same(fit, whole)
        assert fit.separation_.rows.size == N


def test_aliased_columns():
    data = DATA[["a", "b", "g", "poisson"]].assign(c=lambda d: 2.0 * d.a - d.b, z=1.0)
    with pytest.warns(ff.RankWarning):
        whole = ff.GLM("poisson").fit(data.drop(columns="poisson"), data.poisson)
    with pytest.warns(ff.RankWarning):
        fit = ff.GLM("poisson").fit(cut(data), "poisson")
    assert fit.aliased_ == ["c", "z"]
    same(fit, whole, 1e-10)


def test_numbers_in_one_batch_that_are_missing_in_another():
    data = DATA[["a", "g", "poisson"]].copy()
    data.loc[:99, "g"] = None
    parts = [data.iloc[:100].assign(g=np.nan), data.iloc[100:]]
    with pytest.warns(ff.MissingValuesWarning):
        whole = ff.GLM("poisson", missing="drop").fit(data[["a", "g"]], data.poisson)
    with pytest.warns(ff.MissingValuesWarning):
        same(ff.GLM("poisson", missing="drop").fit(parts, "poisson"), whole)


def refused(source, match, kind=ff.InputError, y="poisson", model=None, **named):
    with pytest.raises(kind, match=match):
        (model or ff.GLM("poisson")).fit(source, y, **named)


def test_errors_name_the_file_or_batch_and_the_row(tmp_path):
    data = DATA[["a", "b", "poisson"]].copy()
    for k in range(3):
        part = data.iloc[1000 * k : 1000 * (k + 1)].copy()
        if k == 1:
            part.iloc[617, 0] = np.nan
        pq.write_table(pa.Table.from_pandas(part), tmp_path / f"part-{k}.parquet", row_group_size=100)
    refused(tmp_path, r"part-1\.parquet: .*column 'a' has a missing value at row 617 ")
    refused(ds.dataset(tmp_path), r"part-1\.parquet: .*column 'a' has a missing value at row 617 ")
    parts = cut(data)
    parts[3] = parts[3].assign(b=np.inf)
    refused(parts, r"batch 3: .*column 'b' has the value inf at row 0")
    parts[3] = parts[3].assign(b=1.0, poisson=-1)
    refused(parts, r"batch 3: y has the value -1 at row 0, but the poisson family")
    refused(cut(data.assign(w=-1.0)), r"batch 0: sample_weight has the negative value", sample_weight="w")
    refused(cut(data.assign(w=0.0)), r"every sample_weight is zero", sample_weight="w")


def test_batches_that_do_not_fit_together():
    data = DATA[["a", "b", "poisson"]]
    parts = cut(data)
    END = f"batch {len(parts)}: "
    refused([*parts, data[["a", "poisson"]]], END + r"column 'b' is missing")
    refused([*parts, data.assign(c=1.0)], END + r"column 'c' is new")
    refused([*parts, data.assign(b="x")], END + r"column 'b' holds text or categories here and numbers in earlier")
    refused([DATA[["g", "poisson"]], DATA[["g", "poisson"]].assign(g=1.0)], r"batch 1: column 'g' holds numbers here")
    x, y = DATA[["a", "b"]].to_numpy(), DATA.poisson.to_numpy()
    refused([(x, y), (x[:, :1], y)], r"batch 1: column 'x1' is missing", y=None)
    refused([(x, y), (x, y, y, y)], r"some batches have an offset and others have none", y=None)
    refused([(x, y), (x, y[:5])], r"batch 1: .*inconsistent numbers of samples", y=None)
    refused([data], r"column 'nothing' is missing", y="nothing")
    refused([data], r"y is needed", y=None)
    refused([data], r"must be the name of a column", kind=ff.InputTypeError, y=np.ones(3))
    refused([(x, y)], r"y='poisson' was given, and the batches hold y too")
    refused([data.iloc[:0]], r"0 sample")


def test_files_that_cannot_be_used(tmp_path):
    refused(tmp_path / "none.parquet", r"none\.parquet: no such file")
    refused(tmp_path, r"holds no Parquet file")
    (tmp_path / "bad.parquet").write_text("a,b\n1,2\n")
    refused(tmp_path / "bad.parquet", r"cannot be read as Parquet|cannot be read")
    for k in range(2):
        columns = ["a", "b", "poisson"][: 3 if k == 0 else 1] + (["poisson"] if k else [])
        (tmp_path / "two").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pandas(DATA[columns]), tmp_path / "two" / f"{k}.parquet")
    refused(tmp_path / "two", r"1\.parquet: has no column 'b'")
    refused(ds.dataset(tmp_path / "two"), r"1\.parquet: has no column 'b'")


def test_what_can_be_read_once_only_is_refused():
    refused(iter(cut(DATA)), r"gives its batches once.*lambda", kind=ff.InputTypeError)
    refused((part for part in cut(DATA)), r"gives its batches once.*lambda", kind=ff.InputTypeError)
    data = DATA[["a", "poisson"]]
    once = iter(cut(data))
    refused(lambda: once, r"must give the same rows", model=ff.GLM("poisson"))


def test_rows_that_change_between_passes():
    data = DATA[["a", "poisson"]]
    calls = []

    def batches():
        calls.append(1)
        return iter(cut(data if len(calls) < 4 else data.iloc[:-1]))

    refused(batches, r"gave 3000 rows at first and 2999 or more later")


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = ff.GLM("poisson").fit(cut(DATA[["a", "poisson"]]), "poisson")
    before = model.coef_.copy()
    with pytest.raises(ff.InputError):
        model.fit(cut(DATA[["a", "poisson"]].assign(a=np.nan)), "poisson")
    assert np.array_equal(model.coef_, before)


def test_few_batches_are_alive_at_once():
    class Frames:
        def __init__(self):
            self.made, self.most = [], 0

        def __iter__(self):
            for k in range(60):
                frame = make_data(200, k)[["a", "b", "poisson"]]
                self.made.append(weakref.ref(frame))
                self.most = max(self.most, sum(ref() is not None for ref in self.made))
                yield frame
                del frame

    frames = Frames()
    fit = ff.GLM("poisson").fit(frames, "poisson")
    assert fit.result_.nobs == 12_000
    assert frames.most <= 3


def test_memory_does_not_grow_with_the_rows():
    import tracemalloc

    def peak(count):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(5000, 8)), rng.poisson(1.0, 5000).astype(float)
        batches = Anew([(x, y)] * count)
        tracemalloc.start()
        ff.GLM("poisson").fit(batches)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)  # compile
    assert peak(60) < 1.3 * peak(6) + 200_000


def test_passes(folder):
    fit = ff.GLM("poisson", formula="poisson ~ a + b + g").fit(folder)
    assert 3 <= fit.passes_["rows"] <= 8
    assert fit.passes_["response"] == 0
    fit = ff.GLM("gamma", formula="gamma ~ a + b + g").fit(folder)
    assert fit.passes_["rows"] <= 8
    assert fit.passes_["response"] == 1  # the dispersion by maximum likelihood, of the model and of the null model
    fit = ff.GLM("poisson").fit(DATA[["a"]], DATA.poisson)
    assert not hasattr(fit, "passes_")


def test_rows_that_fit_into_the_sample_are_read_once(monkeypatch):
    monkeypatch.setattr(scan, "SAMPLE", 10_000)
    whole = ff.GLM("gamma").fit(DATA[["a", "b", "g"]], DATA.gamma)
    fit = ff.GLM("gamma").fit(cut(DATA[["a", "b", "g", "gamma"]]), "gamma")
    assert fit.passes_ == {"rows": 1, "response": 0}
    same(fit, whole)


def test_weights_that_are_not_whole_numbers():
    data = DATA[["a", "poisson", "e"]].assign(poisson=lambda d: d.poisson + 0.5)
    with pytest.warns(ff.NonIntegerWarning, match=re.escape("0.5") + "|whole numbers"):
        whole = ff.GLM("poisson").fit(data[["a"]], data.poisson)
    with pytest.warns(ff.NonIntegerWarning) as caught:
        fit = ff.GLM("poisson").fit(cut(data[["a", "poisson"]]), "poisson")
    assert len(caught) == 1
    same(fit, whole)


def test_bounds_fall_back_on_memory():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(0, 1, N - 1), [0.0]])
    y = rng.poisson(3.0 * x).astype(float)
    data = pd.DataFrame({"x": x, "y": y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.BoundaryWarning)
        whole = ff.GLM("poisson", link="identity").fit(data[["x"]], data.y)
        fit = ff.GLM("poisson", link="identity").fit(cut(data), "y")
    assert np.array_equal(fit.boundary_.get("rows", []), whole.boundary_.get("rows", []))
    np.testing.assert_allclose(fit.result_.params, whole.result_.params, rtol=1e-9)


def separated_data():
    data = DATA[["a", "b", "g", "poisson", "binomial"]].copy()
    data["k"] = 0.0
    data.loc[data.index[10::100], "k"] = 1.0
    data.loc[data.k == 1.0, ["poisson", "binomial"]] = 0.0
    return data


@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("large", [False, True])
def test_separation(family, large, monkeypatch):
    if large:
        monkeypatch.setattr(streamed, "DENSE_LIMIT", 0)  # as if the rows did not fit in memory
    data = separated_data()[["a", "b", "g", "k", family]]
    with pytest.warns(ff.SeparationWarning):
        whole = ff.GLM(family).fit(data.drop(columns=family), data[family])
    with pytest.warns(ff.SeparationWarning):
        fit = ff.GLM(family).fit(cut(data), family)
    assert fit.separation_.coefficients == whole.separation_.coefficients == {"k": "-inf"}
    assert np.array_equal(fit.separation_.rows, whole.separation_.rows)
    finite = [name for name in fit.result_.params.index if name != "k"]
    np.testing.assert_allclose(fit.result_.params[finite], whole.result_.params[finite], rtol=1e-9)
    np.testing.assert_allclose(fit.result_.bse[finite], whole.result_.bse[finite], rtol=1e-9)
    assert fit.result_.bse["k"] == np.inf
    np.testing.assert_allclose(fit.result_.llf, whole.result_.llf, rtol=1e-12)


def test_progress_of_passes_and_rows(folder):
    from fisherfit.progress import watch

    tally = scan.Tally()
    heard = []
    with watch(2, N, tally) as callback:
        hear = tally.listener
        tally.listener = lambda number, done: (heard.append((number, done)), hear(number, done))
        callback(1, -3.0, 1e-4)
        tally.rows = 2
        tally.hear(1500)
    assert heard == [(2, 1500)]
    assert tally.listener is None
    ff.GLM("poisson", formula="poisson ~ a + b", verbose=2).fit(folder)


@pytest.mark.parametrize("seed", range(6))
def test_separation_in_several_directions(seed, monkeypatch):
    """Separated sets of small integers: rows, and the signs of all infinite coefficients, as by one large program."""
    monkeypatch.setattr(streamed, "DENSE_LIMIT", 0)
    monkeypatch.setattr(cutting, "FIRST", 5)
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 2, (900, 4)).astype(float)
    side = x[:, 0] + x[:, 1] * (seed % 2)
    y = np.where(side > 0, 1.0, np.where(side < 0, 0.0, rng.integers(0, 2, 900)))
    if seed == 5:
        y = np.where(x[:, 0] + x[:, 1] + x[:, 2] > 0, 1.0, 0.0)
    data = pd.DataFrame(x, columns=list("abcd"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        whole = ff.GLM("binomial").fit(data, y)
        fit = ff.GLM("binomial").fit(cut(data.assign(y=y)), "y")
    assert whole.separation_
    assert np.array_equal(fit.separation_.rows, whole.separation_.rows)
    assert fit.separation_.coefficients == whole.separation_.coefficients


def test_rows_without_a_maximum_of_the_null_model(monkeypatch):
    """A response of zeros with an offset: the null model is separated too, and has no rows in memory."""
    monkeypatch.setattr(streamed, "DENSE_LIMIT", 0)
    data = DATA[["a", "e"]].assign(y=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.FisherfitWarning)
        whole = ff.GLM("poisson").fit(data[["a", "e"]], data.y, exposure="e")
        fit = ff.GLM("poisson").fit(cut(data), "y", exposure="e")
    assert fit.separation_.rows.all()
    assert fit.separation_.coefficients == whole.separation_.coefficients
    np.testing.assert_allclose(fit.result_.llf, whole.result_.llf, atol=1e-9)


def test_base_terms_between_the_nodes():
    """The interpolated base terms of the gamma family and their derivatives, against the formula."""
    y, middle = 0.7, 0.31
    interval = Bracket.around(middle)
    interval.learn(np.array([ff.Gamma.base(y, phi) for phi in interval.nodes]))
    for phi in middle * np.exp(np.linspace(-0.039, 0.039, 7)):
        assert interval.holds(phi)
        np.testing.assert_allclose(interval.at(phi), ff.Gamma.base(y, phi), rtol=1e-12)
    assert not interval.holds(1.05 * middle)


def test_rows_of_every_kind_of_fit(tmp_path):
    """A filtered dataset, a folder cut by a column, a start of the user's, a family known by its log-density alone."""
    formula = "poisson ~ a + g"
    parts = ds.partitioning(pa.schema([("g", pa.string())]), flavor="hive")
    ds.write_dataset(pa.Table.from_pandas(DATA), tmp_path, format="parquet", partitioning=parts)
    same(ff.GLM("poisson", formula=formula).fit(tmp_path), ff.GLM("poisson", formula=formula).fit(DATA))
    some = ds.dataset(tmp_path, partitioning="hive").filter(ds.field("a") > 0.0)
    same(ff.GLM("poisson", formula=formula).fit(some), ff.GLM("poisson", formula=formula).fit(DATA[DATA.a > 0.0]))
    start = ff.GLM("poisson", formula=formula, start_params=[0.0, 0.3, 0.0, 0.0, 0.0])
    same(start.fit(cut(DATA)), ff.GLM("poisson", formula=formula).fit(DATA))


class Rayleigh(ff.Family):
    name = "rayleigh"
    parameters = {"sigma": "positive"}
    support = ff.Support(0.0, lower_open=True)

    @staticmethod
    def log_density(y, sigma):
        return math.log(y) - 2.0 * math.log(sigma) - 0.5 * (y / sigma) ** 2


def test_a_family_of_the_users():
    data = DATA[["a", "gamma"]]
    whole = ff.GLM(Rayleigh()).fit(data[["a"]], data.gamma)
    fit = ff.GLM(Rayleigh()).fit(cut(data), "gamma")
    np.testing.assert_allclose(fit.coef_, whole.coef_, rtol=1e-10)
    np.testing.assert_allclose(fit.result_.llf, whole.result_.llf, rtol=1e-12)
    np.testing.assert_allclose(fit.certificate_.max_se_error, whole.certificate_.max_se_error, rtol=0.5)
