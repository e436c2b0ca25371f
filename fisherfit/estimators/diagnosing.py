"""Diagnostics as a method of a fitted model: the glue; the work is in `fisherfit.diagnostics`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..diagnostics import Diagnostics


class Diagnosing:
    """Diagnostics of a fitted model, from the rows of the fit."""

    def diagnostics(
        self: Any,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        random_state: Any = 0,
    ) -> Diagnostics:
        """Residuals, leverage and influence of every row.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure
            The data of the fit, as they were given to `fit`.
        random_state : int or numpy.random.Generator, default 0
            Where quantile residuals of a discrete response fall within its jumps.

        Returns
        -------
        Diagnostics
            Its columns are computed when they are first asked for; ``frame()`` is the table of all of them. The tests
            of `fisherfit.checks` and the figures of `fisherfit.plots` take it.

        Raises
        ------
        InputError
            Where the data are not those of the fit, the model has so many coefficients that its information was not
            formed, or a bound of a coefficient is reached.

        Examples
        --------
        >>> import fisherfit as ff
        >>> trees = ff.datasets.load("trees")
        >>> model = ff.GLM("gamma", formula="volume ~ girth + height").fit(trees)
        >>> model.diagnostics(trees).influential(3).round(3)
            response  fitted  std_deviance  leverage  cooks_distance
        30      77.0  92.515        -2.089     0.227           0.379
        16      33.8  29.240         1.642     0.131           0.150
        17      27.4  31.508        -1.521     0.143           0.118
        """
        from ..diagnostics import Diagnostics
        from ..table import read_table
        from ..within import directions_of

        matrix = self._equalities("set of diagnostics", False)
        maximum, data = self._at_maximum(X, y, sample_weight, offset, exposure, constrained=True)
        if matrix is not None:
            maximum = replace(maximum, basis=directions_of(maximum, matrix))
        n = data.design.n
        trials = np.ones(n) if data.trials is None else np.where(data.trials > 0.0, data.trials, 1.0)
        kernel = data.weight  # of all repetitions of a row, times the trials
        copies, factor, share = np.ones(n), np.ones(n), trials
        if self.weight_type == "frequency":
            copies = data.user_weight
        elif self.weight_type == "probability":
            factor = kernel / trials
        elif maximum.family.has_dispersion or maximum.family.takes_trials:
            share = np.where(kernel > 0.0, kernel, 1.0)
        else:
            factor = kernel
        unit = trials if self.weight_type == "frequency" else kernel
        separated = (kernel > 0.0) & ~(maximum.likelihood.weight > 0.0)
        table = read_table(X)
        labels = table.index if table.index is not None else getattr(y, "index", None)
        labels = np.arange(table.n) if labels is None or callable(labels) else labels
        if data.kept_rows is not None:
            labels, table = labels[data.kept_rows], table.take(data.kept_rows)
        return Diagnostics(
            maximum, labels, unit, share, factor, copies, separated, table, random_state, data.response_name
        )


__all__ = ["Diagnosing"]
