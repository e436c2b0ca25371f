"""`partial_fit` of mixtures of regressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _threads
from ..errors import InputError
from ..families import Family
from ..links import Link
from ..mixtures.filtered import Filter
from ..mixtures.fitting import MixtureFit
from ..mixtures.mixture import Mixture
from ..randomness import generator
from ..response import read_weights
from ..table import named_values, read_table
from .mixture_answers import NO_RESPONSE
from .mixture_settings import check_settings
from .mixture_stream import Whole, advance
from .regression_data import Reading, read_data


class StreamingRegressions:
    """`partial_fit`, for a class that fits (`_solved`) and reads a batch (`_mixture_of`)."""

    _solved: Any
    _mixture_of: Any
    _keep_batch: Any
    _predictor: Any
    _concomitant: Any
    formula: Any
    fit_intercept: Any
    missing: Any
    shared: Any
    concomitant: Any
    weight_type: Any
    random_state: Any
    n_jobs: Any

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
        exposure: Any = None,
        concomitant: Any = None,
        *,
        forgetting: float = 1.0,
    ) -> Any:
        """Learn from a batch of rows, which need not be kept; ``fit`` starts afresh.

        As :meth:`GaussianMixture.partial_fit` does it: the first rows are held, and then the estimates and their
        information alone.

        Parameters
        ----------
        X, y, sample_weight, offset, exposure, concomitant
            A batch, in memory, as in :meth:`fit`; rows with missing values are refused once the first rows have been
            fitted. There are no groups.
        forgetting : float, default 1
            What the information of the past is multiplied by at each batch: below 1 the past is forgotten, for data
            whose parameters drift.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        InputError, InputTypeError
            For rows that cannot be used, or that are not like those of the first batch; nothing is changed.
        """
        if y is None and self.formula is None:
            raise InputError(NO_RESPONSE)
        families, links = check_settings(self)
        rows = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset, "exposure": exposure,
                "concomitant": concomitant}  # fmt: skip
        fit, attributes = advance(
            self, rows, forgetting, lambda held: self._whole(held, families, links), self._part, self._moved,
            self.formula is not None,
        )  # fmt: skip
        return self._keep_batch(fit, attributes)

    def _whole(self, rows: dict[str, Any], families: Sequence[Family], links: Sequence[tuple[Link, ...]]) -> Whole:
        """Rows in memory, fitted, as a batch learner begins."""
        if rows["concomitant"] is not None and self.concomitant is not None:
            raise InputError("concomitant was given to the constructor and to partial_fit; leave one of the two out")
        spec = self.concomitant if rows["concomitant"] is None else rows["concomitant"]
        offset, exposure = rows["offset"], rows["exposure"]
        reading = Reading(self.formula, bool(self.fit_intercept), self.missing)
        data = read_data(reading, families, links, self.shared, spec, rows["X"], rows["y"], rows["sample_weight"],
                         offset, exposure, None, _threads.thread_count(self.n_jobs))  # fmt: skip
        _, fit, values, extra = self._solved(data, None, families, links, generator(self.random_state))
        needs = tuple(given is not None and not isinstance(given, str) for given in (offset, exposure))
        values["_predictor"] = replace(values["_predictor"], needs=needs)
        template = replace(data.mixture, components=values["_like"], mixing=data.mixture.mixing.take(np.empty(0, int)),
                           weight=np.empty(0))  # fmt: skip
        fit = replace(fit, warnings=(*fit.warnings, *extra))
        return Whole(fit, data.mixture, values, template)

    def _part(self, template: Mixture, rows: dict[str, Any]) -> tuple[Mixture, float]:
        """The model on a batch, and the observations in it."""
        table = read_table(rows["X"])
        mixture, _, _ = self._mixture_of(table, rows["y"], rows["offset"], rows["exposure"], None, rows["concomitant"])
        weight = read_weights(named_values(rows["sample_weight"], table, "sample_weight"), table.n, table.index)
        nobs = float((weight > 0.0).sum() if self.weight_type == "analytic" else weight.sum())
        components: Any = mixture.components
        present = (weight > 0.0) & (components.trials > 0.0)
        mixture = replace(mixture, weight=np.ascontiguousarray(weight, float))
        return mixture if present.all() else mixture.take(np.flatnonzero(present)), nobs

    def _moved(self, template: Mixture, state: Filter, fit: MixtureFit) -> dict[str, Any]:
        """The fitted attributes of a state."""
        components: Any = template.components
        psi, phi = template.split(state.theta)
        beta = np.stack([components.coefficients(phi, j) for j in range(components.count)])
        at = int(components.design.intercept)
        kept = ("aliased_", "n_features_in_", "feature_names_in_", "separation_", "_families", "_links", "_like",
                "_mixing", "_concomitant", "_group_name")  # fmt: skip
        return {name: self.__dict__[name] for name in kept if name in self.__dict__} | {
            "coef_": beta[:, at:],
            "intercept_": beta[:, 0].copy() if at else np.zeros(len(beta)),
            "weights_": state.shares,
            "concomitant_coef_": None if self._concomitant is None else template.mixing.coefficients(psi),
            "_predictor": replace(self._predictor, coefficients=beta[0]),
            "_beta": beta,
            "_further": [components.thetas(phi, j) for j in range(components.count)],
        }


__all__ = ["StreamingRegressions"]
