"""The natural gradient for models of one's own: the library's solver as a function, and others to compare it with."""

from .first_order import adam, gradient_descent
from .model import Model, per_row
from .natural import natural_gradient
from .online import OnlineNaturalGradient
from .outcome import OptimizeResult
from .structures import Kronecker, Products

__all__ = [
    "Kronecker",
    "Model",
    "OnlineNaturalGradient",
    "OptimizeResult",
    "Products",
    "adam",
    "gradient_descent",
    "natural_gradient",
    "per_row",
]
