"""Figures of a fitted model and of its diagnostics, with matplotlib.

Every function takes an ``ax`` to draw on, or makes one of its own, and returns it: ``ax.figure.savefig("figure.png")``
in a script; a notebook shows it. Those about rows take ``model.diagnostics(X, y)``, which is made once for all of them;
`kl_balls`, `paths` and `trace` show families and optimisers, and stand under the names ``plot_kl_balls``,
``plot_paths`` and ``plot_trace`` in `fisherfit.geometry` too.

matplotlib is not a requirement of fisherfit: ``pip install fisherfit[plot]``.
"""

from ._classes import posterior_rootogram, regression_lines
from ._geometry import kl_balls
from ._mixtures import density, ellipses
from ._models import coefficients, effect, profile
from ._optimisers import paths, trace
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
    "kl_balls",
    "likelihood_trace",
    "paths",
    "posterior_rootogram",
    "profile",
    "qq",
    "regression_lines",
    "residuals",
    "rootogram",
    "trace",
    "worm",
]
