"""The families of distributions; a family is one file, listed here once."""

from __future__ import annotations

from ..errors import InputError, InputTypeError
from ._family import ExponentialDispersion, Family, Formulas, Support
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .inverse_gaussian import InverseGaussian
from .negative_binomial import NegativeBinomial
from .normal import Normal
from .poisson import Poisson
from .student_t import StudentT
from .tweedie import Tweedie
from .von_mises import VonMises

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Exponential",
    "ExponentialDispersion",
    "Family",
    "Formulas",
    "Gamma",
    "Geometric",
    "InverseGaussian",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "Support",
    "Tweedie",
    "VonMises",
    "get_family",
]

FAMILIES: dict[str, type[Family]] = {
    cls.name: cls
    for cls in (Normal, Binomial, Poisson, Gamma, InverseGaussian, NegativeBinomial, Tweedie, Geometric,
                Bernoulli, Exponential, StudentT, Beta, VonMises)
}  # fmt: skip
_ALIASES = {"gaussian": "normal", "inverse-gaussian": "inverse_gaussian",
            "inversegaussian": "inverse_gaussian", "negativebinomial": "negative_binomial", "nb": "negative_binomial",
            "nb2": "negative_binomial", "negative-binomial": "negative_binomial", "studentt": "student_t",
            "student-t": "student_t", "t": "student_t", "vonmises": "von_mises", "von-mises": "von_mises"}  # fmt: skip


def get_family(family: str | Family | type[Family]) -> Family:
    """The family of a name (``"poisson"``, ``"gaussian"``, ...), of a class, or the family itself.

    Raises
    ------
    InputError, InputTypeError
        If there is no such family; the message lists those there are.

    Examples
    --------
    >>> from fisherfit.families import get_family
    >>> get_family("gaussian")
    Normal()
    """
    if isinstance(family, Family):
        return family
    if isinstance(family, type) and issubclass(family, Family):
        return family()
    if isinstance(family, str):
        key = _ALIASES.get(family.strip().lower(), family.strip().lower())
        if key in FAMILIES:
            return FAMILIES[key]()
        raise InputError(f"family: {family!r} is not a family; choose one of {', '.join(FAMILIES)}")
    raise InputTypeError(
        f"family: expected a name, a Family object or a Family class, got {type(family).__name__}; "
        f"the names are {', '.join(FAMILIES)}"
    )
