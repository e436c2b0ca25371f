"""The errors and warnings that fisherfit raises, each with a type of its own.

Bad input is an error, raised before any work. Statistical trouble is a warning: the fit goes on, and an
attribute of the estimator holds the details.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .convergence import ConvergenceWarning

__all__ = [
    "BoundaryWarning",
    "CompilationWarning",
    "ConvergenceWarning",
    "CovarianceWarning",
    "DegenerateComponentWarning",
    "ExactFitWarning",
    "FisherfitError",
    "FisherfitWarning",
    "FormulaError",
    "HauckDonnerWarning",
    "InputError",
    "InputTypeError",
    "MissingValuesWarning",
    "NonIntegerWarning",
    "RankWarning",
    "SeparationWarning",
]


class FisherfitError(Exception):
    """Base of every error that fisherfit raises on purpose."""


class InputError(FisherfitError, ValueError):
    """A value, shape or argument that cannot be used; the message names it and the remedy."""


class InputTypeError(FisherfitError, TypeError):
    """An argument of a kind that cannot be used; the message names it and the remedy."""


class FormulaError(InputError):
    """A formula that cannot be read, or that names a column the table does not have."""


class FisherfitWarning(UserWarning):
    """Base of every warning that fisherfit gives."""


class SeparationWarning(FisherfitWarning):
    """Some maximum-likelihood coefficients are infinite; see ``separation_``."""


class RankWarning(FisherfitWarning):
    """Some columns are combinations of others; see ``rank_`` and ``aliased_``."""


class BoundaryWarning(FisherfitWarning):
    """The maximum lies on the edge of the parameter space; see ``boundary_``."""


class DegenerateComponentWarning(FisherfitWarning):
    """A component of a mixture is empty, or has collapsed onto a few rows, from every start."""


class HauckDonnerWarning(FisherfitWarning):
    """A Wald statistic falls while its coefficient grows: it understates the evidence; use ``method="lr"``."""


class ExactFitWarning(FisherfitWarning):
    """The model reproduces the response exactly, so that the dispersion is zero or undefined."""


class NonIntegerWarning(FisherfitWarning):
    """A count response has values that are not whole numbers; the log-likelihood is then undefined."""


class CovarianceWarning(FisherfitWarning):
    """A robust covariance is not what its formula asks for (leverage 1, say), or has no part in what was asked for."""


class MissingValuesWarning(FisherfitWarning):
    """Rows were dropped because of missing values (``missing="drop"``)."""


class CompilationWarning(FisherfitWarning):
    """A user's formula could not be compiled, or the compiled code could not be kept on disk."""


def frames_inside() -> int:
    """The stacklevel at which a warning points to the caller of the package."""
    frame, count = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == __name__.split(".")[0]:
        frame, count = frame.f_back, count + 1
    return count


if not TYPE_CHECKING:  # type checkers see the import above, and refuse other names

    def __getattr__(name: str) -> Any:
        """`ConvergenceWarning` derives from scikit-learn's, which is imported when it is first asked for."""
        if name != "ConvergenceWarning":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .convergence import ConvergenceWarning

        globals()[name] = ConvergenceWarning
        return ConvergenceWarning
