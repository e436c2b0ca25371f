"""The penalised likelihood that some estimates of reduced bias maximise, l / phi + log|F| / 2, as a likelihood.

F is the expected information of all coefficients that are identified, also where a hypothesis or a profile holds some
of them: the penalised likelihood is one function on the whole parameter space, hypotheses restrict its arguments, and
its likelihood ratio is never negative and does not depend on how the columns are written (Heinze & Schemper, 2002;
R's ``logistf``). The dispersion phi stays at its estimate.

The score is that of `adjustments`. The observed information is its derivative by differences, which makes searches
converge as fast as those of a plain likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from .adjusted_score import Problem
from .adjustments import is_unbiased
from .errors import InputError
from .families import ExponentialDispersion, Family
from .kernels import EXPECTED, OBSERVED
from .likelihood import Evaluation, Likelihood
from .maximum import Maximum, need_likelihood
from .model import LAZY_WORK, Model
from .result import Result

WIDEST = 200  # coefficients up to which the observed information is made by differences
DIFFERENCE = 1e-5  # standard errors


@dataclass(frozen=True, eq=False)
class PenalisedLikelihood(Likelihood):
    """l + phi log|F| / 2 on the rows of a likelihood; `problem` has the plain one."""

    problem: Any = None
    phi: float = 1.0

    by_rows = False

    def evaluate(self, theta: np.ndarray, kind: int = EXPECTED, eta: np.ndarray | None = None) -> Evaluation:
        """The penalised log-likelihood, its score, and the expected information F or the observed one."""
        for k in range(0 if eta is None else len(self.designs)):
            eta[k] = self.linear_predictor(theta, k)  # type: ignore[index]
        here = self.problem.at(theta)
        if here is None:
            nothing = np.full((theta.size, theta.size), np.nan) if kind >= EXPECTED else None
            return Evaluation(-np.inf, np.full(theta.size, np.nan), nothing, self.n, kind)
        information = here.evaluation.information if kind >= EXPECTED else None
        if kind == OBSERVED:
            information = self._observed(theta, here.evaluation.information)
        loglik = here.evaluation.loglik + self.phi * here.penalty
        return Evaluation(loglik, here.score, information, self.n, kind, here.evaluation.pearson)

    def _observed(self, theta: np.ndarray, information: np.ndarray) -> np.ndarray:
        """Minus the derivative of the penalised score; that of the plain one where differences are dear."""
        columns = np.flatnonzero(self.problem.free)
        if columns.size > WIDEST or self.n * theta.size >= LAZY_WORK:
            return np.asarray(self.problem.likelihood.evaluate(theta, OBSERVED).information)
        out = np.zeros_like(information)
        for j in columns:
            size = DIFFERENCE * np.sqrt(self.phi / information[j, j])
            ends = []
            for side in (size, -size):
                moved = theta.copy()
                moved[j] += side
                there = self.problem.at(moved)
                if there is None:
                    return information
                ends.append(there.score)
            out[j] = (ends[1] - ends[0]) / (2.0 * size)
        return np.asarray(0.5 * (out + out.T))


@dataclass(frozen=True, eq=False)
class PenalisedModel(Model):
    """A penalised likelihood as the solver sees it: the dispersion is held, and information is dear."""

    def dispersion(self, evaluation: Evaluation) -> float:
        """That of the fit."""
        return float(self.likelihood.phi)  # type: ignore[attr-defined]

    @cached_property
    def lazy(self) -> bool:
        """True: an information matrix by differences costs many passes."""
        return True


@dataclass(frozen=True, eq=False)
class PenalisedMaximum(Maximum):
    """The maximum of a penalised likelihood on its rows."""

    @property
    def canonical(self) -> bool:
        """False: the observed information has that of the penalty."""
        return False

    @cached_property
    def model(self) -> Model:
        """The penalised likelihood as the solver sees it."""
        return PenalisedModel(self.likelihood, False, self.family.has_dispersion, self.floor, self.count)


def has_objective(kind: str | None, family: Family, link: Any) -> bool:
    """True where the estimates of a kind maximise something: a likelihood, plain or penalised."""
    if kind is None or kind == "jeffreys" or is_unbiased(family, link, kind):
        return True
    return kind == "mean" and isinstance(family, ExponentialDispersion) and link.name == family.canonical_link


def need_objective(result: Result, what: str) -> None:
    """Refuse what rests on a likelihood, plain or penalised, where the fit has neither.

    Raises
    ------
    InputError
        For probability weights, adjusted scores that are no gradient, and alpha estimated as 0 with a penalty.
    """
    kind, predictor = result.bias_reduction, result.predictor
    if result.weight_type == "probability" or kind is None:
        return need_likelihood(result, what)
    if not has_objective(kind, predictor.family, predictor.links[0]):
        raise InputError(f"{what} needs a maximum-likelihood fit, and this one has bias_reduction={kind!r}, whose "
                         "adjusted score is the gradient of no penalised likelihood; use Wald tests and intervals "
                         "(method='wald'), or bias_reduction='jeffreys', or fit without")  # fmt: skip
    if np.isin(result.names, result.positive).any() and np.isnan(result.standard_errors[-1]):
        raise InputError(f"{what} needs a maximum inside the parameter space, and {result.names[-1]} is at its bound; "
                         "fit with it fixed there (family='poisson')")  # fmt: skip
    return None


def need_plain(result: Result, what: str, instead: str) -> None:
    """`need_likelihood`, where the penalised likelihood of a fit, if it has one, offers something else.

    Raises
    ------
    InputError
        For probability weights, and for estimates of reduced bias.
    """
    kind, predictor = result.bias_reduction, result.predictor
    if result.weight_type == "probability" or kind is None:
        return need_likelihood(result, what)
    if has_objective(kind, predictor.family, predictor.links[0]):
        raise InputError(f"{what} needs a maximum-likelihood fit, and this one has bias_reduction={kind!r}; {instead}, "
                         "which goes by its penalised likelihood")  # fmt: skip
    return need_likelihood(result, what)


def with_penalty(maximum: Maximum) -> Maximum:
    """A fit as the maximum of its penalised likelihood; unchanged where there is no penalty."""
    kind, link = maximum.result.bias_reduction, maximum.likelihood.kernels.links[0]
    if kind is None or is_unbiased(maximum.family, link, kind):
        return maximum
    plain, phi = maximum.likelihood, maximum.phi
    model = Model(plain, maximum.canonical, maximum.family.has_dispersion, maximum.floor, maximum.count)
    problem = Problem(model, maximum.family, kind, lambda evaluation, rank: phi, maximum.free)
    assert problem.has_objective
    known = {f.name: getattr(plain, f.name) for f in fields(Likelihood)}
    penalised = PenalisedLikelihood(**known, problem=problem, phi=phi)
    m = maximum
    return PenalisedMaximum(penalised, m.family, m.theta, m.free, m.null, m.result, m.floor)


__all__ = ["PenalisedLikelihood", "has_objective", "need_objective", "need_plain", "with_penalty"]
