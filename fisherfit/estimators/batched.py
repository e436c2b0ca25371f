"""A fit of rows that are read batch by batch: the passes counted, and what falls back on memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _threads
from ..batches import Source
from ..families import Family
from ..links import Link
from ..prepare import Prepared
from ..progress import watch
from ..scan import Tally
from ..streamed import RowsNeeded, StreamedData, prepare_streamed
from .report import Report, report


def fit_batches(
    model: Any, family: Family, links: tuple[Link, ...], source: Source, y: Any, sample_weight: Any, offset: Any,
    exposure: Any, groups: Any = None,
) -> tuple[Report, StreamedData | Prepared, dict[str, int]]:  # fmt: skip
    """Fit and report; the passes over all columns (`rows`) and over response, weights and offset alone."""
    tally = Tally()
    data: StreamedData | Prepared
    likelihood: Any
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        count = source.rows() if model.verbose >= 2 else None
        with watch(2 if model.verbose >= 2 else 0, count or 0, tally):
            data, likelihood = prepare_streamed(
                model, family, links, source, y, sample_weight, offset, exposure, tally,
                _threads.thread_count(model.n_jobs), groups,
            )  # fmt: skip
        try:
            found = report(model, family, data, likelihood)
        except RowsNeeded:
            assert isinstance(data, StreamedData)
            data, likelihood = data.gathered()
            found = report(model, family, data, likelihood)
    return found, data, {"rows": tally.rows, "response": tally.response}
