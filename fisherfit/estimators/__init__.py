"""scikit-learn estimators: glue between the layers, no formulas and no loops over rows."""

from .glm import GLM
from .grouped import GroupedGLM

__all__ = ["GLM", "GroupedGLM"]
