"""Sparse designs: the same answers as dense ones, for every format, family, weight and offset; and without matrices."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import fisherfit as ff
from fisherfit import infinite, likelihood, model
from fisherfit.conjugate import conjugate, forcing
from fisherfit.information import RowInformation
from fisherfit.nullspace import null_space_by_probes
from fisherfit.sparse import read_sparse

N, P = 600, 7
RNG = np.random.default_rng(20)
X = np.where(RNG.random((N, P)) < 0.3, RNG.normal(size=(N, P)), 0.0)
ETA = 0.3 + X @ np.linspace(-0.6, 0.7, P)
WEIGHT = RNG.integers(0, 4, N).astype(float)
OFFSET = RNG.normal(size=N) / 3
FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
FAMILIES = {
    "normal": ETA + RNG.normal(size=N),
    "binomial": (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(float),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "gamma": RNG.gamma(2.0, np.exp(ETA)) + 1e-3,
    "inverse_gaussian": RNG.wald(np.exp(ETA), 2.0) + 1e-3,
    "negative_binomial": RNG.poisson(np.exp(ETA) * RNG.gamma(1.5, 1 / 1.5, N)).astype(float),
    "geometric": RNG.poisson(np.exp(ETA) * RNG.gamma(1.0, 1.0, N)).astype(float),
}
Y = FAMILIES["binomial"]


@pytest.fixture
def matrix_free(monkeypatch):
    """No information matrix, whatever the size."""
    monkeypatch.setattr(likelihood, "MATRIX_BYTES", 0)


@pytest.fixture
def wide(matrix_free, monkeypatch):
    """No covariance either, and no dense copy of the design: as with very many columns."""
    monkeypatch.setattr(model, "COVARIANCE_WIDTH", 0)
    monkeypatch.setattr(model, "DENSE_LIMIT", 0)


def same(a, b, tolerance=1e-11):
    for name in ("coefficients", "standard_errors", "covariance"):
        got, wanted = getattr(a.result_, name), getattr(b.result_, name)
        np.testing.assert_allclose(
            got, wanted, rtol=tolerance, atol=tolerance * np.nanmax(np.abs(wanted)), err_msg=name
        )
    for name in (
        "llf",
        "llnull",
        "deviance",
        "null_deviance",
        "pearson_chi2",
        "dispersion",
        "df_resid",
        "nobs",
        "rank",
    ):
        assert getattr(a.result_, name) == pytest.approx(getattr(b.result_, name), rel=tolerance, nan_ok=True), name


def with_matrices(monkeypatch, fit):
    """The same fit with information matrices."""
    with monkeypatch.context() as patch:
        patch.setattr(likelihood, "MATRIX_BYTES", 1_000_000_000)
        return fit()


@pytest.mark.filterwarnings("ignore:Constructing a DIA")
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_alike(kind):
    y = FAMILIES["poisson"]
    dense = ff.GLM("poisson").fit(X, y)
    for made in (sp.csr_array(X).asformat(kind), sp.csr_matrix(X).asformat(kind)):
        sparse = ff.GLM("poisson").fit(made, y)
        same(sparse, dense)
        np.testing.assert_allclose(sparse.predict(made), dense.predict(X), rtol=1e-12)
        assert sparse.score(made, y) == pytest.approx(dense.score(X, y), rel=1e-12)
    assert list(sparse.result_.params.index) == list(dense.result_.params.index)
    np.testing.assert_allclose(sparse.predict(X), sparse.predict(sp.csr_array(X)), rtol=1e-13)  # either predicts either
    np.testing.assert_allclose(dense.predict(sp.csr_array(X)), dense.predict(X), rtol=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("intercept", [True, False])
def test_every_family_weighted_and_offset(family, intercept):
    y = FAMILIES[family]
    for weight, offset, kind in (
        (None, None, "analytic"),
        (WEIGHT, OFFSET, "frequency"),
        (WEIGHT, None, "probability"),
    ):
        glm = ff.GLM(family, fit_intercept=intercept, weight_type=kind, cov_type="HC1")
        dense = glm.fit(X, y, sample_weight=weight, offset=offset)
        again = ff.GLM(**glm.get_params()).fit(sp.csr_array(X), y, sample_weight=weight, offset=offset)
        same(again, dense, 1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64, bool, np.longdouble])
def test_dtypes_of_entries(dtype):
    whole = np.round(2 * X).astype(dtype)
    same(ff.GLM("binomial").fit(sp.csr_array(whole), Y), ff.GLM("binomial").fit(whole.astype(float), Y))


def test_unsorted_duplicate_and_explicit_zeros_leave_the_arrays_of_the_user_alone():
    csr = sp.csr_array(X)
    rows = np.repeat(np.arange(N), np.diff(csr.indptr))
    order = np.lexsort((-csr.indices, rows))  # descending within every row
    half = np.concatenate([csr.data[order] / 2, csr.data[order] / 2, np.zeros(5)])
    place = np.concatenate([rows[order], rows[order], np.arange(5)])
    column = np.concatenate([csr.indices[order], csr.indices[order], np.arange(5)])
    by_row = np.argsort(place, kind="stable")
    for index in (np.int32, np.int64):
        indptr = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=N))]).astype(index)
        messy = sp.csr_array((half[by_row], column[by_row].astype(index), indptr), shape=X.shape)
        for part in (messy.data, messy.indices, messy.indptr):
            part.setflags(write=False)
        before = [part.copy() for part in (messy.data, messy.indices, messy.indptr)]
        same(ff.GLM("binomial").fit(messy, Y), ff.GLM("binomial").fit(X, Y))
        for part, was in zip((messy.data, messy.indices, messy.indptr), before, strict=True):
            np.testing.assert_array_equal(part, was)


def test_what_fits_is_not_copied():
    csr = sp.csr_array(X)
    read = read_sparse(csr, "X")
    assert np.shares_memory(read.data, csr.data)
    assert np.shares_memory(read.indices, csr.indices)


def test_extreme_units():
    scale = 10.0 ** np.array([-180, 150, 12, -12, 0, 3, -90])
    plain = ff.GLM("binomial").fit(sp.csr_array(X), Y)
    other = ff.GLM("binomial").fit(sp.csr_array(X * scale), Y)
    np.testing.assert_allclose(other.coef_ * scale, plain.coef_, rtol=1e-10)
    np.testing.assert_allclose(other.result_.bse[1:] * scale, plain.result_.bse[1:], rtol=1e-10)
    np.testing.assert_allclose(other.predict(sp.csr_array(X * scale)), plain.predict(X), rtol=1e-10)


def refuse(kind, match, x, y=Y, **arguments):
    with pytest.raises(kind, match=match):
        ff.GLM("binomial", **arguments).fit(x, y)


def spoilt(value):
    out = X.copy()
    out[17, 3] = value
    return sp.csc_array(out)


def test_bad_input_is_named():
    refuse(ff.InputError, r"NaN: column 'x3' .* at row 17", spoilt(np.nan))
    refuse(ff.InputError, r"infinity: column 'x3' has the value -inf at row 17", spoilt(-np.inf))
    refuse(ff.InputError, r"1D array.*Reshape", sp.coo_array(X[:, 0]))
    refuse(ff.InputError, r"Complex data not supported", sp.csr_array(X.astype(complex)))
    refuse(ff.InputError, r"0 sample", sp.csr_array((0, 3)), [])
    refuse(ff.InputError, r"0 feature", sp.csr_array((N, 0)))
    refuse(ff.InputTypeError, r"y is sparse|Sparse data was passed for y", sp.csr_array(X), sp.csr_array(Y[:, None]))
    broken = sp.csr_array(X)
    broken.indices[3] = 1_000_000
    refuse(ff.InputError, r"invalid structure", broken)
    fitted = ff.GLM("binomial").fit(sp.csr_array(X), Y)
    with pytest.raises(ff.InputError, match="X has 5 features, but GLM is expecting 7"):
        fitted.predict(sp.csr_array(X[:, :5]))


def test_rows_with_missing_entries_can_be_dropped():
    keep = np.arange(N) != 17
    with pytest.warns(ff.MissingValuesWarning, match="1 of 600 rows"):
        dropped = ff.GLM("binomial", missing="drop").fit(spoilt(np.nan), Y)
    same(dropped, ff.GLM("binomial").fit(X[keep], Y[keep]))


def test_zero_weights_are_absent_rows_and_empty_rows_are_rows():
    some = X.copy()
    some[::3] = 0.0
    weight = (np.arange(N) % 5 > 0).astype(float)
    same(
        ff.GLM("binomial").fit(sp.csr_array(some), Y, sample_weight=weight),
        ff.GLM("binomial").fit(some[weight > 0], Y[weight > 0]),
    )


def mixed():
    """A table with dense, categorical and sparse columns, and the same with none of them sparse."""
    group = pd.Categorical(RNG.choice(list("abcd"), N))
    dense = pd.DataFrame(
        {"s0": X[:, 0], "d0": 5 + OFFSET, "s1": X[:, 1], "g": group, "d1": ETA + WEIGHT, "s2": np.round(X[:, 2])}
    )
    sparse = dense.copy()
    for name in ("s0", "s1", "s2"):
        sparse[name] = pd.arrays.SparseArray(dense[name], fill_value=0)
    return sparse, dense


@pytest.mark.parametrize("matrices", [True, False])
def test_tables_with_sparse_dense_and_categorical_columns(matrices, monkeypatch):
    sparse, dense = mixed()
    for family, intercept in (("binomial", True), ("negative_binomial", True), ("normal", False)):
        y = FAMILIES[family]
        wanted = ff.GLM(family, fit_intercept=intercept).fit(dense, y)
        if not matrices:
            monkeypatch.setattr(likelihood, "MATRIX_BYTES", 0)
        got = ff.GLM(family, fit_intercept=intercept).fit(sparse, y)
        monkeypatch.undo()
        same(got, wanted, 1e-9)
        np.testing.assert_allclose(got.predict(sparse), wanted.predict(dense), rtol=1e-10)
        np.testing.assert_allclose(got.predict(dense), wanted.predict(sparse), rtol=1e-10)
        assert list(got.result_.names) == list(wanted.result_.names)
    holes = sparse.assign(s1=pd.arrays.SparseArray(np.where(np.arange(N) == 4, np.nan, X[:, 1]), fill_value=0))
    with pytest.raises(ff.InputError, match=r"'s1' has a missing value at row 4"):
        ff.GLM().fit(holes, ETA)


def test_batches_may_be_sparse():
    sparse, dense = mixed()
    y = FAMILIES["binomial"]
    for whole, cut in ((sp.csr_array(X), sp.csr_array(X)), (dense, sparse)):
        wanted = ff.GLM("binomial").fit(whole, y)
        rows = [slice(at, at + 150) for at in range(0, N, 150)]
        batches = [((cut.iloc[r] if cut is sparse else cut[r]), y[r]) for r in rows]
        same(ff.GLM("binomial").fit(batches), wanted, 1e-10)


# without matrices


def test_products_and_diagonal_agree_with_the_matrix():
    rng = np.random.default_rng(1)
    sparse, dense = mixed()
    for table, family in (
        (sp.csr_array(X), "binomial"),
        (sparse, "negative_binomial"),
        (sparse, "poisson"),
        (dense, "negative_binomial"),  # very wide designs without a sparse column take products too
        (X, "poisson"),
    ):
        glm = ff.GLM(family)
        lik = likelihood_of(glm, table, FAMILIES[family])
        theta = rng.normal(size=sum(lik.widths)) * 0.1 + np.eye(sum(lik.widths))[-1]
        for kind in (likelihood.EXPECTED, likelihood.OBSERVED):
            free, whole = (replaced(lik, m).evaluate(theta, kind) for m in (False, True))
            assert isinstance(free.information, RowInformation)
            size = np.abs(whole.information).max()
            v = rng.normal(size=theta.size)
            np.testing.assert_allclose(free.information.product(v), whole.information @ v, atol=1e-11 * size)
            np.testing.assert_allclose(
                free.information.diagonal(), np.diag(whole.information), rtol=1e-12, atol=1e-12 * size
            )
            np.testing.assert_allclose(free.information.dense(), whole.information, atol=1e-12 * size)
            np.testing.assert_allclose(free.score, whole.score, rtol=1e-9, atol=1e-11)
            assert free.loglik == pytest.approx(whole.loglik, rel=1e-13)


def likelihood_of(glm, table, y, threads=1):
    from fisherfit.prepare import prepare

    family, links = glm._check_parameters()
    return replaced(
        glm._likelihood(prepare(glm, family, links[0], table, y, None, None, None), family, links), None, threads
    )


def replaced(lik, matrices, threads=1):
    from dataclasses import replace

    return replace(lik, matrices=matrices, threads=threads)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("intercept", [True, False])
def test_conjugate_gradients_reach_the_same_maximum_with_an_honest_certificate(family, intercept, wide, monkeypatch):
    y = FAMILIES[family]
    arguments = {"sample_weight": WEIGHT, "offset": OFFSET}

    def fit():
        return ff.GLM(family, fit_intercept=intercept, weight_type="frequency").fit(sp.csr_array(X), y, **arguments)

    exact, free = with_matrices(monkeypatch, fit), fit()
    assert free.converged_
    away = np.abs(free.result_.coefficients - exact.result_.coefficients)[: P + intercept]
    se = exact.result_.bse.to_numpy()[: P + intercept]
    both = free.certificate_.max_se_error + exact.certificate_.max_se_error
    assert np.all(away <= (both + 1e-12) * se)
    assert free.certificate_.max_se_error < 1e-9
    assert free.result_.llf == pytest.approx(exact.result_.llf, rel=1e-13)
    assert free.result_.dispersion == pytest.approx(exact.result_.dispersion, rel=1e-9)
    # no covariance: said, not silent, and the errors can be had one by one
    assert free.result_.bse.isna().all()
    assert free.result_.cov_type == "not formed"
    assert "standard_errors(X, y, columns" in str(free.summary())
    with pytest.raises(ff.InputError, match=r"not formed.*standard_errors"):
        free.result_.cov_params()
    some = free.standard_errors(sp.csr_array(X), y, columns=["x2", "x5"], **arguments)
    np.testing.assert_allclose(some, exact.result_.bse[["x2", "x5"]], rtol=1e-9)
    # digits are guaranteed by upper bounds of the standard errors, so they promise no more than is there
    wrong = away / np.maximum(np.abs(exact.result_.coefficients[: P + intercept]), 1e-300)
    assert np.all(wrong <= 10.0 ** -free.certificate_.digits.to_numpy()[: P + intercept] + 1e-12)


@pytest.mark.parametrize("cov_type", ["expected", "observed", "HC0", "HC1"])
def test_covariance_of_moderate_designs_without_matrices(cov_type, matrix_free, monkeypatch):
    def fit():
        return ff.GLM("binomial", link="probit", cov_type=cov_type).fit(sp.csr_array(X), Y, sample_weight=WEIGHT)

    exact, free = with_matrices(monkeypatch, fit), fit()
    same(free, exact, 1e-9)
    some = free.standard_errors(sp.csr_array(X), Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(some, exact.result_.bse, rtol=1e-9)


def test_standard_errors_by_name():
    sparse, dense = mixed()
    fitted = ff.GLM("poisson").fit(dense, FAMILIES["poisson"])
    for table in (sparse, dense):
        errors = fitted.standard_errors(table, FAMILIES["poisson"])
        np.testing.assert_allclose(errors, fitted.result_.bse, rtol=1e-9)
    assert list(fitted.standard_errors(dense, FAMILIES["poisson"], columns="g[T.b]").index) == ["g[T.b]"]
    with pytest.raises(ff.InputError, match="'nobody' is not a parameter"):
        fitted.standard_errors(dense, FAMILIES["poisson"], columns=["nobody"])
    with pytest.raises(ff.InputError, match="300 rows"):
        fitted.standard_errors(dense[:300], FAMILIES["poisson"][:300])


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    rng = np.random.default_rng(5)
    n, p = 30_000, 900
    x = sp.random_array((n, p), density=0.02, rng=rng, format="csr", data_sampler=rng.standard_normal)
    y = (rng.random(n) < 0.5).astype(float)
    monkeypatch.setattr(likelihood, "MATRIX_BYTES", 0)
    monkeypatch.setattr(likelihood._threads, "thread_count", lambda n_jobs: n_jobs or 1)
    one, *others = (ff.GLM("binomial", n_jobs=k).fit(x, y) for k in (1, 2, 5))
    assert len(likelihood.plan(n, p, x.nnz / n, False)[1]) > 3
    for other in others:
        np.testing.assert_array_equal(other.coef_, one.coef_)
        np.testing.assert_array_equal(other.result_.bse, one.result_.bse)
        assert other.result_.llf == one.result_.llf


def test_large_sparse_designs_choose_products_by_themselves():
    rng = np.random.default_rng(6)
    n, p = 4000, 1500
    x = sp.random_array((n, p), density=0.004, rng=rng, format="csr", data_sampler=rng.standard_normal)
    assert likelihood_of(ff.GLM(), x, np.zeros(n)).matrix_free
    assert not likelihood_of(ff.GLM(), x[:, :100], np.zeros(n)).matrix_free
    assert not likelihood_of(ff.GLM(), x.toarray(), np.zeros(n)).matrix_free


def test_the_bound_of_an_unfinished_solution_holds():
    rng = np.random.default_rng(7)
    n, p = 3000, 400
    x = sp.random_array((n, p), density=0.03, rng=rng, format="csr", data_sampler=rng.standard_normal)
    information = RowInformation(likelihood_of(ff.GLM(), x, np.zeros(n)), rng.uniform(0.01, 1.0, n)[None])
    matrix, s = information.dense(), rng.normal(size=p + 1)
    exact = float(s @ np.linalg.solve(matrix, s))
    for relative in (0.3, 0.1, 1e-3, 1e-6):
        factor = conjugate(information, np.ones(p + 1, bool), lambda decrement, r=relative: r)
        reached = float(s @ factor.solve(s))
        lacking = exact - reached
        assert -1e-12 * exact <= lacking <= factor.missing + 1e-12 * exact
        assert lacking <= relative**2 * exact
        assert factor.smallest >= 0.999 * np.linalg.eigvalsh(matrix / np.outer(factor.scale, factor.scale))[0]
    assert forcing(1.0, 1e4)(1e4) == 0.1
    assert forcing(1.0, 1e4)(1.0) < 0.1


def dependent(n=700):
    """One-hot blocks, zero, proportional and summed columns: and the columns that depend on others."""
    rng = np.random.default_rng(8)

    def onehot(k):
        return np.eye(k)[rng.integers(0, k, n)]

    r = np.where(rng.random((n, 12)) < 0.2, rng.normal(size=(n, 12)), 0.0)
    x = np.column_stack([onehot(9), r, onehot(5), -2.5 * r[:, 3], r[:, 4], np.zeros(n), r[:, 5] + r[:, 6]])
    return sp.csr_array(x), (rng.random(n) < 0.5).astype(float)


@pytest.mark.parametrize("intercept", [True, False])
def test_rank_is_found_without_a_factor(intercept, matrix_free, monkeypatch):
    x, y = dependent()

    def fit():
        with pytest.warns(ff.RankWarning) as caught:
            return ff.GLM("binomial", fit_intercept=intercept).fit(x, y), [str(w.message) for w in caught]

    (exact, said), (free, says) = with_matrices(monkeypatch, fit), fit()
    assert says == said
    assert free.aliased_ == exact.aliased_
    assert free.rank_ == exact.rank_ == x.shape[1] + intercept - len(exact.aliased_)
    np.testing.assert_allclose(free.coef_, exact.coef_, atol=1e-10)
    np.testing.assert_allclose(free.result_.bse, exact.result_.bse, rtol=1e-9)  # NaN in the same places
    monkeypatch.setattr(model, "COVARIANCE_WIDTH", 0)
    wide, _ = fit()
    np.testing.assert_allclose(wide.coef_, exact.coef_, atol=1e-10)
    np.testing.assert_allclose(wide.standard_errors(x, y), exact.result_.bse, rtol=1e-9)


def test_full_rank_is_not_doubted_though_columns_are_nearly_dependent(matrix_free, monkeypatch):
    near = sp.csr_array(np.column_stack([X, X[:, 0] + 1e-5 * (X[:, 1] > 0)]))

    def fit():
        return ff.GLM("binomial").fit(near, Y)

    exact, free = with_matrices(monkeypatch, fit), fit()
    assert free.rank_ == exact.rank_ == P + 2
    assert free.aliased_ == []
    # the condition is about 1e10: rounding takes all but the first digits of these two standard errors
    np.testing.assert_allclose(free.result_.bse, exact.result_.bse, rtol=1e-4)
    lik = likelihood_of(ff.GLM(), near, Y)
    assert null_space_by_probes(lik, np.ones(N, bool))[2]


def separated(n=800):
    """Columns 5, 26 and 27 separate rows, 28 is twice column 3."""
    rng = np.random.default_rng(3)
    x = np.where(rng.random((n, 25)) < 0.15, rng.normal(size=(n, 25)), 0.0)
    y = (rng.random(n) < 1 / (1 + np.exp(-x @ rng.normal(size=25) / 2))).astype(float)
    hit, pair = rng.choice(n, 9, replace=False), rng.choice(n, 14, replace=False)
    one, a, b = np.zeros((3, n))
    one[hit], y[hit], a[pair[:9]], b[pair[5:]] = 1.0, 1.0, 1.0, 1.0
    y[pair] = [1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    return sp.csr_array(np.column_stack([x[:, :5], one, x[:, 5:], a, b, 2 * x[:, 3]])), y


@pytest.mark.parametrize("intercept", [True, False])
def test_separation_is_found_among_the_columns_that_move(intercept, wide, monkeypatch):
    x, y = separated()

    def fit():
        with pytest.warns(ff.FisherfitWarning) as caught:
            out = ff.GLM("binomial", fit_intercept=intercept).fit(x, y)
        assert {w.category for w in caught} == {ff.SeparationWarning, ff.RankWarning}
        return out

    exact, free = with_matrices(monkeypatch, fit), fit()
    assert (
        free.separation_.coefficients == exact.separation_.coefficients == {"x5": "+inf", "x26": "+inf", "x27": "-inf"}
    )
    np.testing.assert_array_equal(free.separation_.rows, exact.separation_.rows)
    assert free.result_.llf == pytest.approx(exact.result_.llf, rel=1e-12)
    np.testing.assert_allclose(free.predict(x), exact.predict(x), atol=1e-12)
    errors = free.standard_errors(x, y, columns=["x0", "x5", "x27", "x28"])
    np.testing.assert_allclose(errors, exact.result_.bse[errors.index], rtol=1e-8)
    assert np.isinf(errors["x5"])


def test_a_path_without_end_is_never_silent(wide, monkeypatch):
    x, y = separated()
    monkeypatch.setattr(infinite, "MOVING", 0)  # too many columns move for a linear program
    with pytest.warns(ff.FisherfitWarning) as caught:
        fitted = ff.GLM("binomial").fit(x, y)
    assert ff.ConvergenceWarning in {w.category for w in caught}
    assert not fitted.converged_
