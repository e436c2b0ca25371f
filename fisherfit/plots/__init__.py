"""Figures of a fitted model and of its diagnostics, with matplotlib.

Every function takes an ``ax`` to draw on, or makes one of its own, and returns it: ``ax.figure.savefig("figure.png")``
in a script; a notebook shows it. Those about rows take ``model.diagnostics(X, y)``, which is made once for all of them.

matplotlib is not a requirement of fisherfit: ``pip install fisherfit[plot]``.
"""

from ._classes import posterior_rootogram, regression_lines
from ._mixtures import density, ellipses
from ._models import coefficients, effect, profile
from ._paths import bic_curves, likelihood_trace
from ._predicted import calibration, rootogram
from ._residuals import influence, qq, residuals, worm

__all__ = [
    "bic_curves",
    "calibration",
    "coefficients",
    "density",
    "effect",
    "ellipses",
    "influence",
    "likelihood_trace",
    "posterior_rootogram",
    "profile",
    "qq",
    "regression_lines",
    "residuals",
    "rootogram",
    "worm",
]
