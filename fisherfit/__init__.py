"""fisherfit: statistical models by maximum likelihood, with natural-gradient steps and certified answers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version

from . import datasets, families, links
from .check import check_family
from .errors import (
    BoundaryWarning,
    CompilationWarning,
    ConvergenceWarning,
    ExactFitWarning,
    FisherfitError,
    FisherfitWarning,
    FormulaError,
    InputError,
    InputTypeError,
    MissingValuesWarning,
    NonIntegerWarning,
    RankWarning,
    SeparationWarning,
)
from .estimators import GLM, GroupedGLM
from .families import (
    Binomial,
    Family,
    Gamma,
    Geometric,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    Poisson,
    Support,
    Tweedie,
)
from .links import Power

try:
    __version__ = _version("fisherfit")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.0.0"

__all__ = [
    "GLM",
    "Binomial",
    "BoundaryWarning",
    "CompilationWarning",
    "ConvergenceWarning",
    "ExactFitWarning",
    "Family",
    "FisherfitError",
    "FisherfitWarning",
    "FormulaError",
    "Gamma",
    "Geometric",
    "GroupedGLM",
    "InputError",
    "InputTypeError",
    "InverseGaussian",
    "MissingValuesWarning",
    "NegativeBinomial",
    "NonIntegerWarning",
    "Normal",
    "Poisson",
    "Power",
    "RankWarning",
    "SeparationWarning",
    "Support",
    "Tweedie",
    "check_family",
    "datasets",
    "families",
    "links",
]
