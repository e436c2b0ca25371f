"""Figures of a fitted model and of its diagnostics, with matplotlib.

Every function takes an ``ax`` to draw on, or makes one of its own, and returns it: ``ax.figure.savefig("figure.png")``
in a script; a notebook shows it. Those about rows take ``model.diagnostics(X, y)``, which is made once for all of them.

matplotlib is not a requirement of fisherfit: ``pip install fisherfit[plot]``.
"""

from ._models import coefficients, effect, profile
from ._predicted import calibration, rootogram
from ._residuals import influence, qq, residuals, worm
from ._search import criterion

__all__ = [
    "calibration",
    "coefficients",
    "criterion",
    "effect",
    "influence",
    "profile",
    "qq",
    "residuals",
    "rootogram",
    "worm",
]
