"""A model through the eyes of an optimiser: which information is meant, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..choices import one_of
from ..errors import InputError
from ..likelihood import EXPECTED, OBSERVED, SCORE, Evaluation
from .model import KINDS, Model
from .structures import STRUCTURES, check_shape, check_structure, structured

LARGEST = 4096  # parameters up to which the covariance is formed
WIDEST = 15_000  # and up to which an information that is not given is formed


@dataclass(eq=False)
class View:
    """A model with the choice of an information and a structure."""

    model: Model
    fisher: str
    structure: str
    blocks: Sequence[Sequence[int]] | None = None
    rank: int | None = None
    shape: tuple[int, int] | None = None

    def information(self, theta: np.ndarray) -> Any:
        """The information that was chosen; observed information made positive where it is not."""
        if self.fisher == "expected":
            return self.model.expected(theta)
        if self.fisher == "empirical":
            return self.model.empirical(theta)
        return self._observed(theta)

    def _observed(self, theta: np.ndarray) -> Any:
        if self.structure == "matrix_free":
            return self.model.observed_products(theta)
        return positive(self.model.observed(theta))

    def metric(self, theta: np.ndarray) -> Any:
        """What the steps are solved with."""
        return structured(self.information(theta), self.structure, self.blocks, self.rank, self.shape)

    def _trusted(self, theta: np.ndarray) -> float:
        """The reciprocal condition below which an information is rounding: differences of values have eight digits."""
        model = self.model
        exact = callable(model.score) or model.score == "complex" or model.has_formulas or model.knows_expected(theta)
        return 1e-15 if exact or isinstance(model._call(theta), tuple) else 1e-7

    def certify(self, theta: np.ndarray) -> tuple[float, np.ndarray | None]:
        """s'F^-1 s at theta by the best information there is, whole, and F^-1; infinite where it has none."""
        model = self.model
        if self.fisher == "expected" or model.given(theta) is not None:
            information = model.expected(theta)
        elif self.structure == "matrix_free":
            information = model.observed_products(theta)
        else:
            information = model.observed(theta)
        score = model.score_at(theta)
        if not isinstance(information, np.ndarray):
            if theta.size > LARGEST or not hasattr(information, "dense"):
                step = information.solve(score) if hasattr(information, "solve") else None
                return (np.inf if step is None else float(score @ step)), None
            information = information.dense()
        from ..linalg import cholesky

        factor = cholesky(information)
        if factor is None or factor.reciprocal_condition < self._trusted(theta):
            return np.inf, None
        return float(score @ factor.solve(score)), factor.inverse() if theta.size <= LARGEST else None


def positive(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix with the signs of its negative eigenvalues turned, in coordinates where its diagonal is 1.

    Steps then climb where the log-likelihood is no concave function, along its own curvatures (Dauphin et al., 2014,
    Advances in Neural Information Processing Systems 27).
    """
    if not np.isfinite(matrix).all():
        return matrix
    size = np.abs(np.diag(matrix))
    scale = np.sqrt(np.where(size > 0.0, size, 1.0))
    values, vectors = np.linalg.eigh(matrix / scale[:, None] / scale)
    if values.size == 0 or values[0] > 0.0:
        return matrix
    turned = np.maximum(np.abs(values), 1e-8 * float(np.abs(values).max()))
    return np.asarray((vectors * turned) @ vectors.T * scale[:, None] * scale)


def make_view(
    model: Model, theta: np.ndarray, fisher: str | None, structure: str, blocks: Any, rank: Any, shape: Any = None
) -> View:
    """The view that the arguments of an optimiser ask for."""
    if fisher is None:
        fisher = "expected" if model.knows_expected(theta) else "observed"
    one_of("fisher", fisher, KINDS)
    one_of("structure", structure, STRUCTURES)
    if fisher == "expected" and not model.knows_expected(theta):
        model.expected(theta)  # says what is missing
    if fisher == "empirical":
        model.scores(theta)
    if structure == "matrix_free" and (
        fisher == "empirical" or (fisher == "observed" and not callable(model.score) and not model.has_formulas)
    ):
        raise InputError("structure='matrix_free' needs products: fvp=, or information= that returns Products, or "
                         f"score= for fisher='observed'; fisher={fisher!r} makes a matrix here")  # fmt: skip
    if fisher != "expected" and structure != "matrix_free" and theta.size > WIDEST:
        size = f"{8e-9 * theta.size**2:.0f} GB"
        raise InputError(f"the information of {theta.size} parameters would be a matrix of {size}; give "
                         "score= and structure='matrix_free', or information= that returns Products")  # fmt: skip
    kept = check_structure(structure, blocks, theta.size), rank, check_shape(structure, shape, theta.size)
    if structure == "kronecker" or (structure == "matrix_free" and fisher == "expected"):
        structured(model.expected(theta), structure, None, None, kept[2])  # says what is missing
    return View(model, fisher, structure, *kept)


@dataclass(eq=False)
class ViewedProblem:
    """A view as the library's solver sees its models (`fisherfit.solver.Problem`), the last evaluation kept."""

    view: View
    last: tuple[np.ndarray, Evaluation] | None = None
    canonical: bool = True
    lazy: bool = False
    floor: float = 0.0

    @property
    def total(self) -> float:
        """Number of rows."""
        return float(self.view.model.n)

    @property
    def count(self) -> float:
        """Number of rows."""
        return float(self.view.model.n)

    def evaluate(self, theta: np.ndarray, kind: int) -> Evaluation:
        """Log-likelihood, score and information at theta."""
        model = self.view.model
        loglik = model.total(theta)
        information: Any = None
        if np.isfinite(loglik):
            score = model.score_at(theta)
            if kind in (EXPECTED, OBSERVED):
                information = self.view.information(theta)
        else:
            score = np.full(theta.size, np.nan)
            information = None if kind == SCORE else np.full((theta.size, theta.size), np.nan)
        out = Evaluation(loglik, score, information, model.n, kind)
        self.last = theta.copy(), out
        return out

    def dispersion(self, evaluation: Evaluation) -> float:
        """There is none."""
        return 1.0

    def needs_rows(self, factor: Any) -> bool:
        """There are no rows to factor."""
        return False

    def factor(self, theta: np.ndarray, evaluation: Evaluation, free: np.ndarray) -> tuple[None, None]:
        """Never called."""
        return None, None


__all__ = ["LARGEST", "View", "ViewedProblem", "make_view"]
