"""`partial_fit`: learning from batches that are seen once, with standard errors that survive it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import _threads
from ..clusters import Clusters
from ..covtypes import read_cov_type
from ..errors import InputError
from ..prepare import Prepared
from ._estimator import Estimator
from .batch_rows import Columns, Rows, joined, read_first, read_next
from .filtering import Filter, begin, report_of
from .report import report

HELD = 50  # rows for every parameter that are held and fitted exactly
LEAST = 1000  # and at least as many
GROWN = 1.1  # rows that do not determine the estimate are fitted again when there are so many times more
KEPT = ("n_features_in_", "feature_names_in_")  # attributes that do not wait for a fit


@dataclass(frozen=True, eq=False)
class Stream:
    """What `partial_fit` keeps: the columns, and the rows held or the state that stands for all rows.

    `fitted` rows were held at the last fit; `late` are the attributes of that fit which wait for the next; `labels` are
    those of the groups that have been seen.
    """

    columns: Columns
    settings: tuple[Any, ...]
    rows: tuple[Rows, ...] = ()
    state: Filter | None = None
    seconds: float = 0.0
    fitted: int = 0
    needs: tuple[bool, ...] = ()
    late: tuple[str, ...] = ()
    labels: set[Any] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Seen:
    """The data of a fit whose rows are gone."""

    terms: Any
    design: Any
    offset_names: tuple[str | None, str | None]
    n_features: int
    feature_names: tuple[str, ...] | None
    dropped: int = 0
    clusters: Clusters | None = None


class Streaming(Estimator):
    """Learning batch by batch."""

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        levels: Mapping[str, Any] | None = None,
        groups: Any = None,
    ) -> Any:
        """Learn from a batch of rows, which need not be kept; ``fit`` starts afresh.

        The first rows are held, and fitted exactly, until there are 50 for every parameter, 1,000 at least, and they
        determine a finite estimate. Where many rows do not, because batches are sorted by the response say, they are
        fitted again when they have grown by a tenth, or when a result is asked for. From then on the model keeps its
        coefficients and their information alone: a batch moves them by a natural-gradient step with the information of
        all rows so far, iterated to the maximum (see :class:`fisherfit.optimize.OnlineNaturalGradient`). After each
        batch ``result_`` holds estimates, standard errors, dispersion and tests of all rows so far.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            A batch, in memory, as for :meth:`fit`.
        levels : dict, optional
            At the first call: the levels of categorical columns, the reference first, where the first batch may lack
            some. Later batches can have no others.
        groups : array of shape (n,) or column name, optional
            With ``cov_type="cluster"``: the group of every row. All rows of a group must come in one batch.

        Returns
        -------
        GLM
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For rows that cannot be used, or that are not like those of the first batch; nothing is changed. Also for
            settings that need all rows at once: covariances "HC2", "HC3", "HAC" and "cluster(CR3)", constraints,
            bounds, bias reduction and probability weights; and for a group that comes again in a later batch.

        Notes
        -----
        For the normal family with the identity link the estimate is that of all rows, to rounding. For others it
        differs by what is of third order in the distance that the estimate still moves after the held rows, about
        log(n / held) / sqrt(n) standard errors; sorted batches make it larger. An estimate that moves by far more
        standard errors than chance allows says that the rows come in an order which the first did not show: a
        `ConvergenceWarning` says so once, and ``converged_`` is False from then on. What is not known without the rows
        is NaN: the certificate, the deviance of a negative binomial with free alpha, and the log-likelihood of gamma
        and Tweedie models.

        Examples
        --------
        >>> import numpy as np, fisherfit as ff
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(20000, 2))
        >>> y = rng.poisson(np.exp(0.5 + X @ [0.3, -0.2]))
        >>> model = ff.GLM("poisson")
        >>> for first in range(0, 20000, 100):
        ...     model = model.partial_fit(X[first : first + 100], y[first : first + 100])
        >>> whole = ff.GLM("poisson").fit(X, y)
        >>> bool((abs(model.result_.params - whole.result_.params) < 0.02 * whole.result_.bse).all())
        True
        """
        started = time.perf_counter()
        family, links = self._check_parameters()
        settings = _settings(self, family, links)
        threads = _threads.thread_count(self.n_jobs)
        stream: Stream | None = self.__dict__.get("_stream")
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            if stream is None:
                columns, rows = read_first(self, family, links[0], X, y, sample_weight, offset, exposure, levels,
                                           groups)  # fmt: skip
                stream = Stream(columns, settings)
            elif levels is not None:
                raise InputError("levels are settled by the first batch; leave them out, or call fit to start afresh")
            elif stream.settings != settings:
                raise InputError("the model's settings have changed between batches; keep them, or start afresh with a "
                                 "new model")  # fmt: skip
            else:
                rows = read_next(self, family, links[0], stream.columns, X, y, sample_weight, offset, exposure, groups)
            needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
            columns = stream.columns
            _check_groups(settings[-1], rows, stream.labels)
            if stream.state is None:
                held = replace(stream, rows=(*stream.rows, rows), needs=needs)
                self._hold(held, family, links, threads, started)
                stream.labels.update(rows.labels)
                return self
            state, like = stream.state, stream.state.design
            rows = replace(rows, design=replace(rows.design, centre=like.centre, inverse_scale=like.inverse_scale,
                                                rounding=like.rounding))  # fmt: skip
            state = state.update(self, family, rows, threads)
            found = report_of(self, family, state, columns.response)
            design = replace(state.design, n=int(state.sums.observations))
            data = Seen(columns.terms, design, columns.named, columns.n_features, columns.feature_names)
        stream = replace(stream, state=state, seconds=stream.seconds + time.perf_counter() - started)
        self._keep(found, data, family, links, stream.seconds, needs, None)
        self._stream = stream
        stream.labels.update(rows.labels)
        return self

    def _hold(self, stream: Stream, family: Any, links: Any, threads: int, started: float) -> None:
        """Hold rows, and fit them where they are few, or many more than at the last fit."""
        if len({part.offset is None for part in stream.rows}) > 1:
            raise InputError("some batches have an offset and others have none; give one for all rows, 0 for none")
        n = sum(part.design.n for part in stream.rows)
        first = stream.rows[0].design
        size = first.width + len(family.parameters) - 1
        if max(LEAST, HELD * size) < n < GROWN * stream.fitted:
            late = tuple(name for name in self.__dict__ if name.endswith("_") and name not in KEPT)
            late = stream.late or (*late, "_predictor")
            for name in late:
                self.__dict__.pop(name, None)
            self._stream = replace(stream, late=late, seconds=stream.seconds + time.perf_counter() - started)
            return
        self._fit_held(stream, family, links, threads, started)

    def _fit_held(self, stream: Stream, family: Any, links: Any, threads: int, started: float) -> None:
        """Fit the rows that are held, and let go of them where they say enough."""
        every = joined(list(stream.rows))
        data = _prepared(every, stream.columns, family)
        likelihood = self._likelihood(data, family, links)
        found = report(self, family, data, likelihood)
        size = every.design.width + len(family.parameters) - 1
        enough = likelihood.observations >= max(LEAST, HELD * size)
        new = replace(stream, fitted=every.design.n, late=())
        if enough and found.converged and not found.separation and not found.aliased:
            state = begin(self, family, links, every, found.coefficients, threads, len(stream.rows))
            if state is not None:
                new = replace(new, rows=(), state=state)
        new = replace(new, seconds=stream.seconds + time.perf_counter() - started)
        self._keep(found, data, family, links, new.seconds, stream.needs, None)
        self._stream = new

    def __getattr__(self, name: str) -> Any:
        """What waits for a fit of the rows that are held."""
        stream = self.__dict__.get("_stream")
        if stream is None or name not in stream.late:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        family, links = self._check_parameters()
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            self._fit_held(stream, family, links, _threads.thread_count(self.n_jobs), time.perf_counter())
        return getattr(self, name)


def _prepared(rows: Rows, columns: Columns, family: Any) -> Prepared:
    return Prepared(
        columns.terms, rows.design, rows.y, rows.trials, rows.user_weight, rows.weight, rows.offset, rows.whole, None,
        rows.dropped, columns.n_features, columns.feature_names, columns.named, columns.response, family,
        None if rows.codes is None else Clusters((rows.codes,), () if columns.groups is None else (columns.groups,)),
    )  # fmt: skip


def _settings(model: Any, family: Any, links: Any) -> tuple[Any, ...]:
    """What must stay as it is between batches, checked for what needs all rows."""
    for name in ("constraints", "bounds", "bias_reduction"):
        if getattr(model, name, None):
            raise InputError(f"{name} needs all rows at once, and partial_fit keeps none; use fit")
    cov = read_cov_type(model.cov_type)
    if cov.kind in ("HC2", "HC3", "HAC") or cov.correction == "CR3":
        raise InputError(f"cov_type={model.cov_type!r} needs the rows, and partial_fit keeps none; use 'HC1', "
                         "'cluster', 'expected' or 'observed', or fit")  # fmt: skip
    if model.weight_type == "probability":
        raise InputError("weight_type='probability' scales weights by their sum over all rows, which partial_fit has "
                         "not seen; use fit")  # fmt: skip
    kind = None if cov.kind in ("expected", "observed") else cov.kind.replace("HC1", "HC0")  # what sums are kept for it
    return (repr(family), tuple(link.name for link in links), model.formula, bool(model.fit_intercept),
            model.weight_type, kind)  # fmt: skip


def _check_groups(kind: str | None, rows: Rows, seen: set[Any]) -> None:
    if (kind == "cluster") != (rows.codes is not None):
        raise InputError("cov_type='cluster' needs groups=: a label for every row, or the name of a column"
                         if kind == "cluster" else "groups are for cov_type='cluster'; leave them out")  # fmt: skip
    again = next((label for label in rows.labels if label in seen), None)
    if again is not None:
        raise InputError(f"the group {again!r} was in an earlier batch, and its rows are gone; give all rows of a "
                         "group in one batch")  # fmt: skip


__all__ = ["Streaming"]
