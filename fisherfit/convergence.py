"""`errors.ConvergenceWarning`, apart from the others because it needs scikit-learn."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning as _SklearnConvergenceWarning

from .errors import FisherfitWarning


class ConvergenceWarning(FisherfitWarning, _SklearnConvergenceWarning):
    """The maximum was not reached; ``converged_`` is False and the message says why."""


ConvergenceWarning.__module__ = "fisherfit.errors"  # where it is documented, and where pickles find it
