"""A family of the library, or of the user's own, as a model that the optimisers take: its compiled row kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ..errors import InputError
from ..families import Family, NegativeBinomial, get_family
from ..kernels import EXPECTED, OBSERVED, SCORE, VALUE, Kernels, kernels_of
from ..links import check_pair, get_link
from .model import Model
from .structures import Products


@dataclass(frozen=True, eq=False)
class FamilyModel(Model):
    """The likelihood of responses under a family: scores row by row, both informations by the family's formulas."""

    kernels: Kernels = field(default=None, repr=False)  # type: ignore[assignment]

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray, list[Any]]:
        """Responses, weights of 1, and the design of every parameter."""
        y = np.ascontiguousarray(self.data[0], float)
        one = np.ones((y.size, 1))
        first = self.data[1] if len(self.data) > 1 else one
        return y, np.ones(y.size), [first] + [one] * (self.kernels.n_parameters - 1)

    def _pass(self, theta: np.ndarray, what: int) -> tuple[float, np.ndarray, np.ndarray]:
        """The sum of log-densities, and their derivatives in the linear predictors of every row."""
        y, weight, designs = self._rows
        eta = np.stack([np.asarray(X @ b).ravel() for X, b in zip(designs, self._split(theta), strict=True)])
        k = len(designs)
        u, w = np.empty((k, y.size)), np.empty((k * (k + 1) // 2, y.size))
        with np.errstate(all="ignore"):
            value = self.kernels.rows(y, weight, eta, self.kernels.constants, what, u, w)
            base = self.kernels.base(y, weight, weight, 1.0, False, self.kernels.constants)[0]
            if what == EXPECTED and _has_alpha(self.kernels.family):
                w = self._of_alpha(eta, w)
        return float(value) + float(base), u, w

    def _of_alpha(self, eta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """The expected information of alpha, for which the kernel has an approximation."""
        mean, other = self.kernels.links
        mu, alpha = np.asarray(mean.mean(eta[0])), float(np.asarray(other.mean(eta[1, :1]))[0])
        slope = float(np.asarray(other.slope(eta[1, :1]))[0])
        family: Any = self.kernels.family
        return np.stack([w[0], np.zeros_like(w[0]), slope**2 * family.expected_alpha(mu, alpha)])

    def _split(self, theta: np.ndarray) -> list[np.ndarray]:
        first = theta.size - self.kernels.n_parameters + 1
        return [theta[:first], *(theta[j : j + 1] for j in range(first, theta.size))]

    @property
    def has_formulas(self) -> bool:
        """The kernel has them, or takes differences itself."""
        return True

    def check_size(self, theta: np.ndarray) -> None:
        """Refuse parameters of another number than the family has with these columns."""
        names = list(self.kernels.family.parameters)
        size = sum(int(X.shape[1]) for X in self._rows[2])
        if theta.size != size:
            first = f"{size - len(names) + 1} coefficients of {names[0]}" if len(self.data) > 1 else names[0]
            raise InputError(f"start has {theta.size} numbers; the {self.kernels.family.name} family needs {size}: "
                             f"{', '.join([first, *names[1:]])}")  # fmt: skip

    def _call(self, theta: np.ndarray) -> Any:
        key = theta.tobytes()
        if self._known.get("at") != key:
            self._known.update(at=key, value=self._pass(theta, VALUE)[0])
        return self._known["value"]

    def _scores(self, theta: np.ndarray) -> np.ndarray:
        """A row for every response; the sum, where the design is sparse."""
        _, u, _ = self._pass(theta, SCORE)
        designs = self._rows[2]
        if hasattr(designs[0], "tocsr"):
            return np.concatenate([np.asarray(X.T @ v).ravel() for X, v in zip(designs, u, strict=True)])
        return np.hstack([v[:, None] * X for X, v in zip(designs, u, strict=True)])

    def given(self, theta: np.ndarray) -> Any:
        """The expected information by the family's formula; None where it has none."""
        return self._information(theta, EXPECTED) if self.kernels.has_fisher else None

    def knows_expected(self, theta: np.ndarray) -> bool:
        """True where the family has a formula for it."""
        return self.kernels.has_fisher

    def observed(self, theta: np.ndarray) -> np.ndarray:
        """Minus the second derivatives, by the family's formula where it has one."""
        found = self._information(theta, OBSERVED)
        return found if isinstance(found, np.ndarray) else found.dense()

    def _information(self, theta: np.ndarray, what: int) -> Any:
        _, _, w = self._pass(theta, what)
        designs = self._rows[2]
        k, sizes = len(designs), [X.shape[1] for X in designs]
        pair = {}
        for i, (a, b) in enumerate(combinations_with_replacement(range(k), 2)):
            pair[a, b] = pair[b, a] = w[i]
        if hasattr(designs[0], "tocsr"):
            return _products(designs, pair, sizes)
        return np.block([[(designs[a].T * pair[a, b]) @ designs[b] for b in range(k)] for a in range(k)])


def _products(designs: list[Any], pair: dict[tuple[int, int], np.ndarray], sizes: list[int]) -> Products:
    k, edges = len(designs), np.cumsum(sizes)[:-1]
    squares = [X.multiply(X) if hasattr(X, "multiply") else X * X for X in designs]
    diagonal = np.concatenate([np.asarray(s.T @ pair[a, a]).ravel() for a, s in enumerate(squares)])

    def product(v: np.ndarray) -> np.ndarray:
        eta = [np.asarray(X @ b).ravel() for X, b in zip(designs, np.split(v, edges), strict=True)]
        return np.concatenate(
            [np.asarray(designs[a].T @ sum(pair[a, b] * eta[b] for b in range(k))).ravel() for a in range(k)]
        )

    return Products(product, int(sum(sizes)), diagonal)


def family_model(family: Any, y: Any, X: Any = None, links: Mapping[str, Any] | None = None) -> FamilyModel:
    """A family with data as a :class:`Model`: log-density, scores and information by its compiled formulas.

    The parameters are on the scale of their links. With `X` the first parameter of the family has a linear predictor,
    X times the first p of them (add a column of ones for an intercept); every other parameter of the family is one
    number. A family whose dispersion is estimated apart, as the gamma, has it as its last parameter, phi.

    Parameters
    ----------
    family : str, Family or type
        Built in, or of the user's own.
    y : array of shape (n,)
        The responses.
    X : array or sparse matrix of shape (n, p), optional
        Columns of the first parameter.
    links : mapping, optional
        Links by parameter, for others than the family's default: ``{"sigma": "identity"}``.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For responses outside the support of the family, or shapes that do not fit.

    Examples
    --------
    >>> import numpy as np, fisherfit as ff
    >>> y = np.random.default_rng(0).gamma(2.0, 1.5, 500)
    >>> model = ff.optimize.family_model("gamma", y)
    >>> found = ff.optimize.natural_gradient(model, [0.0, 0.0])
    >>> np.allclose(np.exp(found.x[0]), y.mean())
    True
    """
    found: Family = get_family(family)
    called = found.name
    if getattr(found, "has_dispersion", False):
        found = found.with_dispersion()  # type: ignore[attr-defined]
    chosen = []
    for name in links or {}:
        if name not in found.parameters:
            raise InputError(f"links: {name!r} is no parameter of the {found.name} family; it has "
                             f"{', '.join(found.parameters)}")  # fmt: skip
    for name, support in found.parameters.items():
        link = get_link((links or {}).get(name, found.default_link(name)))
        check_pair(link, support, found.name)
        chosen.append(link)
    values = np.asarray(y, float)
    if values.ndim != 1 or not values.size:
        raise InputError(f"y must be an array of shape (n,), got shape {values.shape}")
    outside = ~np.isfinite(values) | found.support.outside(values)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(f"y is {values[row]:g} in row {row}, and the {called} family needs y to be {found.support}")
    data: tuple[Any, ...] = (values,)
    if X is not None:
        columns: Any = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X, float)
        if columns.ndim != 2 or columns.shape[0] != values.size:
            raise InputError(f"X must have shape ({values.size}, p), a row for every response, got {columns.shape}")
        stored = columns.data if hasattr(columns, "tocsr") else columns
        if not np.isfinite(stored).all():
            at = np.argwhere(~np.isfinite(columns.toarray() if hasattr(columns, "tocsr") else columns))[0]
            raise InputError(f"X is not finite in row {at[0]}, column {at[1]}; drop the row or fill the value in")
        data = (values, columns)
    return FamilyModel(_by_kernel, data, kernels=kernels_of(found, tuple(chosen)))


def _by_kernel(theta: np.ndarray, *data: Any) -> float:
    raise AssertionError("the log-likelihood of a family comes from its kernel")


def _has_alpha(family: Any) -> bool:
    return isinstance(family, NegativeBinomial) and family.alpha is None


__all__ = ["FamilyModel", "family_model"]
