"""scikit-learn estimators: glue between the layers, no formulas and no loops over rows."""

from .glm import GLM

__all__ = ["GLM"]
