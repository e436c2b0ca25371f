"""The natural gradient for models of one's own: the library's solver as a function, and others to compare it with."""

from .first_order import adam, gradient_descent
from .kronecker import Kronecker
from .model import Model
from .natural import natural_gradient
from .of_family import family_model
from .online import OnlineNaturalGradient
from .outcome import OptimizeResult
from .per_row import per_row
from .structures import Products

__all__ = [
    "Kronecker",
    "Model",
    "OnlineNaturalGradient",
    "OptimizeResult",
    "Products",
    "adam",
    "family_model",
    "gradient_descent",
    "natural_gradient",
    "per_row",
]
