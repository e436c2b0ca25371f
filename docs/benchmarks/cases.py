"""What is measured: data and model of every case, and the aim of each.

Everything is drawn from a seed, so that every process makes the same data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PHI = 0.5  # dispersion of the gamma responses
INTERCEPT = 0.3


@dataclass(frozen=True)
class Case:
    """One model on one set of data, or one question about the package (`kind` other than "fit")."""

    name: str
    title: str
    kind: str = "fit"  # fit, sweep, groups, mixture, pass, cold or stream
    family: str = "poisson"
    n: int = 0
    p: int = 0
    design: str = "table"  # table, plain, factors or sparse
    peers: tuple[str, ...] = ()
    once: tuple[str, ...] = ()  # too slow to be repeated: fitted once, in a process of their own
    repeats: int = 5
    number: int = 1  # fits timed together, where one is too short
    memory: bool = False
    aim: float | None = None  # how many times faster than the fastest peer
    aim_for: dict[str, float] | None = None  # the same against single peers
    note: str = ""
    default: bool = True


@dataclass(frozen=True)
class Data:
    """Columns, response, and the sizes of the coefficient vector's parts."""

    X: Any
    y: np.ndarray
    levels: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of columns and response."""
        if hasattr(self.X, "memory_usage"):
            return int(self.X.memory_usage(index=False, deep=False).sum()) + self.y.nbytes
        if hasattr(self.X, "indptr"):
            return int(self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes) + self.y.nbytes
        return int(self.X.nbytes) + self.y.nbytes

    def eta(self, coefficients: np.ndarray) -> np.ndarray:
        """Linear predictor, from the intercept and the coefficients in the order of the columns.

        A factor has one coefficient for every level but the first.
        """
        if not self.levels:
            return coefficients[0] + self.X @ coefficients[1:]
        at = self.X.shape[1] - len(self.levels)
        eta = coefficients[0] + self.X.iloc[:, :at].to_numpy() @ coefficients[1 : at + 1]
        at += 1
        for name, size in zip(self.X.columns[-len(self.levels) :], self.levels, strict=True):
            effects = np.concatenate([[0.0], coefficients[at : at + size - 1]])
            eta += effects[self.X[name].cat.codes.to_numpy()]
            at += size - 1
        assert at == coefficients.size
        return eta


LEVELS = (5, 12, 25)  # and a factor with a level for every thousand rows
DENSE = ("glum", "sklearn-cholesky")
ALL = (*DENSE, "statsmodels")

CASES = (
    Case("poisson", "Poisson, dense", n=1_000_000, p=50, peers=DENSE, once=("statsmodels",), memory=True,
         aim=5, aim_for={"statsmodels": 60}),
    Case("gamma", "Gamma with log link, dense", family="gamma", n=1_000_000, p=50, peers=DENSE,
         once=("statsmodels",), aim=5, aim_for={"statsmodels": 60}),
    Case("logit", "Binomial, dense", family="binomial", n=1_000_000, p=50, peers=DENSE,
         once=("statsmodels",), aim=4, aim_for={"statsmodels": 60}),
    Case("plain", "Poisson, independent standardised columns in Fortran order", n=1_000_000, p=50, design="plain",
         peers=(*DENSE, "sklearn-lbfgs"),
         note="The best case of the others: L-BFGS needs few steps where columns are uncorrelated and of one scale, "
         "and glum and scikit-learn read columns faster than rows."),
    Case("long", "Poisson, many rows", n=5_000_000, p=10, peers=DENSE, repeats=3, aim=4),
    Case("wide", "Poisson, many columns", n=250_000, p=200, peers=DENSE, repeats=3, aim=4),
    Case("factors", "Poisson, pandas table with factors", n=1_000_000, p=5, design="factors", peers=("glum",),
         memory=True, aim=5,
         note="5 numeric columns and factors of 5, 12, 25 and 1000 levels. glum takes the table as it is "
         "(drop_first=True, so that it fits the same model); scikit-learn and statsmodels have no factors of "
         "their own."),
    Case("sparse", "Binomial, sparse columns", family="binomial", n=100_000, p=20_000, design="sparse",
         peers=("glum-lbfgs", "sklearn-lbfgs", "sklearn-newton-cg"), repeats=3, memory=True, aim=2,
         note="About 50 entries in every column and 10 in every row, balanced classes, so that the estimate exists. "
         "Solvers that form the information need a dense matrix of 3.2 GB here and are left out; liblinear cannot do "
         "without a penalty."),
    Case("small-poisson", "Poisson, small", n=200, p=4, peers=ALL, repeats=60, number=5, aim=1),
    Case("small-logit", "Binomial, small", family="binomial", n=200, p=4, peers=ALL, repeats=60, number=5, aim=1),
    Case("middle-poisson", "Poisson, small", n=2000, p=10, peers=ALL, repeats=40, number=3, aim=1),
    Case("middle-logit", "Binomial, small", family="binomial", n=2000, p=10, peers=ALL, repeats=40, number=3, aim=1),
    Case("groups", "Poisson, 100,000 groups of about 100 rows", kind="groups", n=100_000, p=4, repeats=3,
         note="One model for every group. statsmodels fits 200 of the groups in a loop."),
    Case("mixture_full", "Gaussian mixture, 10 full components", kind="mixture", family="full", n=200_000, p=10,
         repeats=3, aim=15,
         note="Covariances that differ tell the clusters apart, and EM takes few steps. scikit-learn stops where a "
         "step gains less than 1e-5 nats."),
    Case("mixture_alike", "Gaussian mixture, 10 full components that are alike", kind="mixture", family="alike",
         n=200_000, p=10, repeats=3, aim=15, note="Clusters that overlap, with nearly the same covariance."),
    Case("mixture_diag", "Gaussian mixture, 5 diagonal components", kind="mixture", family="diag", n=1_000_000, p=2,
         repeats=3, note="The aim is a whole fit in a second."),
    Case("mixture_poisson", "Mixture of two Poisson regressions", kind="mixture", n=10_000, p=2, repeats=20,
         aim=20, note="flexmix stops, as it is, where the relative change of the log-likelihood is below 1e-6."),
    Case("pass", "One pass over the rows", kind="pass", n=1_000_000, p=50, repeats=15,
         note="A pass of the likelihood with score, or with score and Fisher information, against what the machine "
         "can do: reading the columns, and the multiplications of X'WX by the BLAS."),
    Case("rows", "Time against the number of rows", kind="sweep", n=1_000_000, p=20, peers=ALL, repeats=3),
    Case("columns", "Time against the number of columns", kind="sweep", n=100_000, p=200, peers=ALL, repeats=3),
    Case("cold", "Cold start", kind="cold", n=200, p=4, repeats=5),
    Case("stream", "Poisson, Parquet on disk", kind="stream", n=100_000_000, p=10, repeats=1, default=False,
         note="10 columns in a folder of Parquet files, larger than what is kept in memory."),
)  # fmt: skip

BY_NAME = {case.name: case for case in CASES}


def make(case: Case, n: int, p: int) -> Data:
    """The data of a case, at a given size."""
    rng = np.random.default_rng(20_000 + case.p)
    if case.design == "factors":
        return _factors(rng, n, p)
    if case.design == "sparse":
        return _sparse(rng, n, p)
    X = np.empty((p, n)).T if case.design == "plain" else np.empty((n, p))
    scale = 10.0 ** rng.uniform(-1.0, 1.0, p) if case.design == "table" else np.ones(p)
    beta = 0.3 * rng.standard_normal(p) / np.sqrt(p) / scale
    y = np.empty(n)
    step = max(1, 4_000_000 // p)
    for start in range(0, n, step):  # in pieces, so that making the data needs no memory to speak of
        rows = slice(start, min(start + step, n))
        z = rng.standard_normal((rows.stop - rows.start, p))
        if case.design == "table":
            z = (z + rng.standard_normal((len(z), 1))) * (scale * np.sqrt(0.5))
        X[rows] = z
        y[rows] = _response(rng, case.family, INTERCEPT + z @ beta)
    return Data(X, y)


def warm(case: Case) -> Data:
    """Data to warm up on: a part of the size, yet with enough rows for every level and column."""
    rows, p = max(2000, case.n // 20), case.p
    if case.design == "factors":
        rows = 50_000
    if case.design == "sparse":
        rows, p = 10_000, 1_000
    return make(case, min(rows, case.n), p)


def _factors(rng: np.random.Generator, n: int, p: int) -> Data:
    """Numeric columns, and factors whose levels are of unequal size."""
    import pandas as pd

    columns: dict[str, Any] = {f"x{j}": rng.standard_normal(n) for j in range(p)}
    eta = INTERCEPT + sum(0.1 * x for x in columns.values())
    levels = (*LEVELS, max(2, n // 1000))
    for j, size in enumerate(levels):
        share = rng.uniform(0.5, 1.5, size)
        codes = rng.choice(size, n, p=share / share.sum()).astype(np.int16)
        codes[:size] = np.arange(size)  # so that every level is there, in the first rows too
        eta = eta + 0.3 * rng.standard_normal(size)[codes]
        names = [f"{level:04d}" for level in range(size)]
        columns[f"f{j}"] = pd.Categorical.from_codes(codes, categories=names)
    return Data(pd.DataFrame(columns), _response(rng, "poisson", eta), levels)


def _sparse(rng: np.random.Generator, n: int, p: int) -> Data:
    """CSR columns with 35 to 65 entries each, never fewer: no column that a few rows could separate."""
    from scipy import sparse

    counts = rng.integers(35, 66, p)
    rows = np.concatenate([rng.choice(n, count, replace=False) for count in counts])
    at = np.repeat(np.arange(p), counts)
    X = sparse.csr_matrix((rng.standard_normal(rows.size), (rows, at)), shape=(n, p))
    return Data(X, _response(rng, "binomial", X @ (0.2 * rng.standard_normal(p))))


def _response(rng: np.random.Generator, family: str, eta: np.ndarray) -> np.ndarray:
    if family == "poisson":
        return rng.poisson(np.exp(eta)).astype(float)
    if family == "gamma":
        return rng.gamma(1.0 / PHI, PHI * np.exp(eta))
    return (rng.random(eta.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)


def groups(count: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, response and group of the rows of `count` groups with 80 to 120 rows each."""
    rng = np.random.default_rng(77)
    size = rng.integers(80, 121, count)
    group = np.repeat(np.arange(count), size)
    X = rng.standard_normal((group.size, p))
    beta = 0.2 * rng.standard_normal((count, p))
    eta = 1.0 + np.einsum("ij,ij->i", X, beta[group])
    return X, _response(rng, "poisson", eta), group


def smaller(case: Case) -> Case:
    """The case at a size for trying out: a twentieth of its rows, few repeats."""
    from dataclasses import replace

    size: dict[str, Any] = {"repeats": 2, "number": 1}
    if case.n > 10_000:
        size["n"] = case.n // 20
    if case.design == "sparse":
        size |= {"n": 10_000, "p": 1_000}
    if case.design == "factors":
        size["n"] = 50_000
    if case.kind == "groups":
        size["n"] = 300
    if case.kind == "mixture":
        size["n"] = min(case.n, 10_000)
    if case.kind == "stream":
        size["n"] = 200_000
    return replace(case, **size)
