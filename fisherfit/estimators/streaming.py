"""`partial_fit`: learning from batches that are seen once, with standard errors that survive it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _threads
from ..clusters import Clusters
from ..errors import InputError
from ..prepare import Prepared
from ._estimator import Estimator
from .batch_rows import Columns, Rows, joined, read_first, read_next
from .filtering import Filter, begin, report_of
from .report import report

HELD = 50  # rows for every parameter that are held and fitted exactly
LEAST = 1000  # and at least as many


@dataclass(frozen=True, eq=False)
class Stream:
    """What `partial_fit` keeps: the columns, and the rows held or the state that stands for all rows."""

    columns: Columns
    settings: tuple[Any, ...]
    rows: tuple[Rows, ...] = ()
    state: Filter | None = None
    seconds: float = 0.0


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
    ) -> Any:
        """Learn from a batch of rows, which need not be kept; ``fit`` starts afresh.

        The first rows are held, and fitted exactly, until there are 50 for every parameter, 1,000 at least, and they
        determine a finite estimate. From then on the model keeps its coefficients and their information alone: a
        batch moves them by a natural-gradient step with the information of all rows so far, iterated to the maximum
        (see :class:`fisherfit.optimize.OnlineNaturalGradient`). After each batch ``result_`` holds estimates,
        standard errors, dispersion and tests of all rows so far.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            A batch, in memory, as for :meth:`fit`.
        levels : dict, optional
            At the first call: the levels of categorical columns, the reference first, where the first batch may lack
            some. Later batches can have no others.

        Returns
        -------
        GLM
            The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For rows that cannot be used, or that are not like those of the first batch; nothing is changed. Also for
            settings that need all rows at once: robust covariances, constraints, bounds, bias reduction and
            probability weights.

        Notes
        -----
        For the normal family with the identity link the estimate is that of all rows, to rounding. For others it
        differs by what is of third order in the distance that the estimate still moves after the held rows, about
        log(n / held) / sqrt(n) standard errors; sorted batches make it larger. What is not known without the rows is
        NaN: the certificate, the deviance of a negative binomial with free alpha, and the log-likelihood of gamma and
        Tweedie models.

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
                columns, rows = read_first(self, family, links[0], X, y, sample_weight, offset, exposure, levels)
                stream = Stream(columns, settings)
            elif levels is not None:
                raise InputError("levels are settled by the first batch; leave them out, or call fit to start afresh")
            elif stream.settings != settings:
                raise InputError("the model's settings have changed between batches; keep them, or start afresh with a "
                                 "new model")  # fmt: skip
            else:
                rows = read_next(self, family, links[0], stream.columns, X, y, sample_weight, offset, exposure)
            needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
            columns = stream.columns
            data: Any
            if stream.state is not None:
                state = stream.state
                like = state.design
                rows = replace(rows, design=replace(rows.design, centre=like.centre, inverse_scale=like.inverse_scale,
                                                    rounding=like.rounding))  # fmt: skip
                state = state.update(self, family, rows, threads)
                stream = replace(stream, state=state)
                found = report_of(self, family, state, columns.response)
                design = replace(state.design, n=int(state.sums.observations))
                data = Seen(columns.terms, design, columns.named, columns.n_features, columns.feature_names)
            else:
                held = (*stream.rows, rows)
                if len({part.offset is None for part in held}) > 1:
                    raise InputError("some batches have an offset and others have none; give one for all rows, 0 for "
                                     "none")  # fmt: skip
                every = joined(list(held))
                data = _prepared(every, columns, family)
                likelihood = self._likelihood(data, family, links)
                found = report(self, family, data, likelihood)
                stream = replace(stream, rows=held)
                size = every.design.width + len(family.parameters) - 1
                enough = likelihood.observations >= max(LEAST, HELD * size)
                if enough and found.converged and not found.separation and not found.aliased:
                    first = begin(self, family, links, every, found.coefficients, threads, len(held))
                    if first is not None:
                        stream = replace(stream, rows=(), state=first)
        stream = replace(stream, seconds=stream.seconds + time.perf_counter() - started)
        self._keep(found, data, family, links, stream.seconds, needs, None)
        self._stream = stream
        return self


def _prepared(rows: Rows, columns: Columns, family: Any) -> Prepared:
    return Prepared(
        columns.terms, rows.design, rows.y, rows.trials, rows.user_weight, rows.weight, rows.offset, rows.whole, None,
        rows.dropped, columns.n_features, columns.feature_names, columns.named, columns.response, family,
    )  # fmt: skip


def _settings(model: Any, family: Any, links: Any) -> tuple[Any, ...]:
    """What must stay as it is between batches, checked for what needs all rows."""
    for name in ("constraints", "bounds", "bias_reduction"):
        if getattr(model, name, None):
            raise InputError(f"{name} needs all rows at once, and partial_fit keeps none; use fit")
    if model.cov_type not in ("expected", "observed"):
        raise InputError(f"cov_type={model.cov_type!r} needs the rows, and partial_fit keeps none; use 'expected' or "
                         "'observed', or fit")  # fmt: skip
    if model.weight_type == "probability":
        raise InputError("weight_type='probability' scales weights by their sum over all rows, which partial_fit has "
                         "not seen; use fit")  # fmt: skip
    return (repr(family), tuple(link.name for link in links), model.formula, bool(model.fit_intercept),
            model.weight_type)  # fmt: skip


__all__ = ["Streaming"]
