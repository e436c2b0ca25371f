"""Predictions for new rows, and D^2: what a fitted model keeps of its data is the terms and the coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Design
from .choices import one_of
from .errors import InputError
from .families import Family, NegativeBinomial
from .likelihood import project
from .links import Link
from .prepare import one_response
from .response import check_support, kernel_weights, own, read_offset, read_response, read_weights
from .table import Table, named_values, read_table


@dataclass(frozen=True, eq=False)
class Predictor:
    """The mean of new rows, by terms, links and coefficients."""

    terms: Any
    family: Family
    links: tuple[Link, ...]
    coefficients: np.ndarray
    offset_names: tuple[str | None, str | None]
    n_rows: int
    needs: tuple[bool, bool] = (False, False)
    #: where columns are dependent, the covariance of what is estimable and a basis of what vanishes, in user's units
    estimable: tuple[np.ndarray, np.ndarray] | None = None
    #: where columns lie far from 0, what to subtract from them and the covariance of their coefficients then
    centred: tuple[np.ndarray, np.ndarray] | None = None

    def predict(self, X: Any, offset: Any = None, exposure: Any = None, kind: str = "mean") -> np.ndarray:
        """The mean response (kind "mean") or the linear predictor (kind "link") of the rows of X."""
        one_of("kind", kind, ("mean", "link"))
        _, _, eta = self.rows(X, offset, exposure)
        return eta if kind == "link" else self.mean(eta)

    def rows(self, X: Any, offset: Any = None, exposure: Any = None) -> tuple[Table, Design, np.ndarray]:
        """New rows, read: the table, its design, and the linear predictor with the offset."""
        table = read_table(X)
        if table.n == 0 and not table.is_frame:
            raise InputError(
                f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is required."
            )
        design = self.terms.design(table)
        shift = self.shift(table, offset, exposure)
        eta = self.linear(design)
        return table, design, eta if shift is None else eta + shift

    def shift(self, table: Table, offset: Any = None, exposure: Any = None) -> np.ndarray | None:
        """The offset of the rows of a table, on the scale of the link; None for none."""
        names = self.offset_names
        if offset is None and names[0] is not None:
            offset = names[0]
        if exposure is None and names[1] is not None:
            exposure = names[1]
        for needed, what in zip(self.needs, ("offset", "exposure"), strict=True):
            if needed and offset is None and exposure is None:
                raise InputError(f"the fit had an {what} given as an array; give {what}= for these rows as well "
                                 f"({'0' if what == 'offset' else '1'} for none)")  # fmt: skip
        parts = []
        for value, what in ((offset, "offset"), (exposure, "exposure")):
            parts.append(named_values(value, table, what))
        shift = read_offset(parts[0], parts[1], table.n, table.index, self.links[0].name)
        from .formula import FormulaTerms

        own = self.terms.offset(table) if isinstance(self.terms, FormulaTerms) else None
        return own if shift is None else shift if own is None else shift + own

    @property
    def others(self) -> np.ndarray:
        """Further parameters, on their own scales."""
        return self.coefficients[len(self.terms.names) :]

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """The mean response at linear predictors."""
        with np.errstate(all="ignore"):
            theta = [self.links[0].mean(eta)]
            theta += [np.full(eta.shape, value) for value in self.others.tolist()]
            return np.asarray(self.family.mean(*theta))

    def linear(self, design: Design) -> np.ndarray:
        """The linear predictor without offsets, block by block in the user's coordinates, centred."""
        with np.errstate(all="ignore"):
            return project(design, design.from_user(self.coefficients[: design.width]))

    def score(self, X: Any, y: Any, sample_weight: Any, offset: Any, exposure: Any, weight_type: str) -> float:
        """1 - deviance / null deviance of the rows passed in."""
        table = read_table(X)
        from .formula import FormulaTerms, response_of

        if isinstance(self.terms, FormulaTerms) and self.terms.text.split("~")[0].strip():
            y = one_response(response_of(self.terms, table), y, self.terms.text)
        response = read_response(y, self.family, table.n, table.index, "raise")
        sample_weight = named_values(sample_weight, table, "sample_weight")
        weight = kernel_weights(read_weights(sample_weight, table.n, table.index), response.trials, weight_type)
        check_support(response, self.family, weight > 0)
        mu = self.predict(table, offset, exposure)
        mean = float(np.average(response.y, weights=weight))
        with np.errstate(all="ignore"):
            deviance = self._deviance(response.y, mu, weight)
            null = self._deviance(response.y, np.full(mu.size, mean), weight)
        if null == 0.0:
            return 1.0 if deviance == 0.0 else 0.0
        return 1.0 - deviance / null

    def _deviance(self, y: np.ndarray, mu: np.ndarray, weight: np.ndarray) -> float:
        """Sum of weighted unit deviances at given means; -2 log-likelihood where a family has no unit deviance."""
        from .kernels import VALUE, kernels_of
        from .links import get_link

        family: Any = self.family
        others = self.others
        if isinstance(family, NegativeBinomial) and "alpha" in family.parameters:
            family = type(family)(alpha=float(others[0]))
            others = others[:0]
        kernels = kernels_of(family, [get_link("identity")] * len(family.parameters))
        eta = np.stack([mu, *(np.full(mu.size, value) for value in others.tolist())])
        k = eta.shape[0]
        u, w = np.empty((k, mu.size)), np.empty((k * (k + 1) // 2, mu.size))
        return -2.0 * float(
            kernels.rows(own(y), own(weight), np.ascontiguousarray(eta), kernels.constants, VALUE, u, w)
        )
