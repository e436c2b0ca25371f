"""fisherfit: statistical models by maximum likelihood, with natural-gradient steps and certified answers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import families, links
from .errors import (
    BoundaryWarning,
    CompilationWarning,
    CovarianceWarning,
    ExactFitWarning,
    FisherfitError,
    FisherfitWarning,
    FormulaError,
    HauckDonnerWarning,
    InputError,
    InputTypeError,
    MissingValuesWarning,
    NonIntegerWarning,
    RankWarning,
    SeparationWarning,
)
from .estimators import GLM
from .families import (
    Bernoulli,
    Beta,
    Binomial,
    Exponential,
    Family,
    Gamma,
    Geometric,
    InverseGaussian,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    Support,
    Tweedie,
    VonMises,
)
from .links import Power

if TYPE_CHECKING:
    from . import checks, datasets, geometry, optimize, plots
    from .anova_table import anova
    from .errors import ConvergenceWarning, DegenerateComponentWarning
    from .estimators.gaussian_mixture import GaussianMixture
    from .estimators.grouped import GroupedGLM
    from .estimators.mixture_model import MixtureModel
    from .estimators.mixture_regressor import MixtureRegressor
    from .estimators.mixture_search import MixtureSearch
    from .family_checks import check_family
    from .warming import warmup

    __version__: str

__all__ = [
    "GLM",
    "Bernoulli",
    "Beta",
    "Binomial",
    "BoundaryWarning",
    "CompilationWarning",
    "ConvergenceWarning",
    "CovarianceWarning",
    "DegenerateComponentWarning",
    "ExactFitWarning",
    "Exponential",
    "Family",
    "FisherfitError",
    "FisherfitWarning",
    "FormulaError",
    "Gamma",
    "GaussianMixture",
    "Geometric",
    "GroupedGLM",
    "HauckDonnerWarning",
    "InputError",
    "InputTypeError",
    "InverseGaussian",
    "MissingValuesWarning",
    "MixtureModel",
    "MixtureRegressor",
    "MixtureSearch",
    "NegativeBinomial",
    "NonIntegerWarning",
    "Normal",
    "Poisson",
    "Power",
    "RankWarning",
    "SeparationWarning",
    "StudentT",
    "Support",
    "Tweedie",
    "VonMises",
    "anova",
    "check_family",
    "checks",
    "datasets",
    "families",
    "geometry",
    "links",
    "optimize",
    "plots",
    "warmup",
]

#: what no fit needs is loaded when it is first asked for
_LATER = {
    "ConvergenceWarning": ".errors", "DegenerateComponentWarning": ".errors",
    "GaussianMixture": ".estimators.gaussian_mixture",
    "GroupedGLM": ".estimators.grouped", "MixtureModel": ".estimators.mixture_model",
    "MixtureRegressor": ".estimators.mixture_regressor", "MixtureSearch": ".estimators.mixture_search",
    "anova": ".anova_table", "check_family": ".family_checks", "checks": "", "datasets": "", "geometry": "",
    "optimize": "", "plots": "", "warmup": ".warming",
}  # fmt: skip

if not TYPE_CHECKING:  # type checkers see the imports above, and refuse other names

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            value = _version()
        elif name in _LATER:
            module = _LATER[name]
            value = getattr(import_module(module, __name__), name) if module else import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__name__)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0.0.0"
