"""Profile-likelihood intervals of the parameters of a mixture.

tau(c) = sign(c - c0) sqrt(2 (l_max - l_profile(c))) crosses the normal quantile at an end of the interval. Its slope
is -lambda / tau, lambda the multiplier of the restricted maximum, so that Newton's method finds the end in a few
restricted maxima, each from the one before (Venzon & Moolgavkar, 1988).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _threads, labelled
from ..choices import check_level
from ..result import quantile
from .functions import back, on_scale, one_parameter
from .mixture import Mixture
from .restricted import maximise_restricted
from .result import MixtureResult

if TYPE_CHECKING:
    import pandas as pd

EXACT = 1e-10
FAR = 40.0  # times the Wald distance on the scale of the interval beyond which an end counts as none


@dataclass(frozen=True, eq=False)
class MixtureProfile:
    """Profiles of parameters of a mixture; holds the rows of the fit.

    `reasons` says of an end that is infinite, a bound or unknown why it is.
    """

    mixture: Mixture
    theta: np.ndarray
    result: MixtureResult
    covariance: np.ndarray
    names: tuple[str, ...]
    ends: dict[tuple[str, float, int], tuple[float, str]] = field(default_factory=dict)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """The intervals: columns ``lower`` and ``upper``.

        Parameters
        ----------
        level : float
            Confidence level, strictly between 0 and 1.
        """
        check_level(level)
        sides = {side: np.array([self._end(name, level, side)[0] for name in self.names]) for side in (-1, 1)}
        return labelled.frame({"lower": sides[-1], "upper": sides[1]}, self.names)

    @property
    def reasons(self) -> dict[str, str]:
        """What is to be said of ends that were computed and are not crossings."""
        return {f"{'lower' if side < 0 else 'upper'} end of {name}": reason
                for (name, _, side), (_, reason) in self.ends.items() if reason}  # fmt: skip

    def trace(self, name: str, limit: float = 2.6, points: int = 13) -> pd.DataFrame:
        """The curve of one parameter: ``value``, ``tau`` (the root of the deviance) and ``loglik``."""
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            rows = self._curve(name, limit, points)
        columns = {key: np.array([row[i] for row in rows]) for i, key in enumerate(("value", "tau", "loglik"))}
        return labelled.frame(columns, [str(i) for i in range(len(rows))])

    def _curve(self, name: str, limit: float, points: int) -> list[tuple[float, float, float]]:
        """Value, tau and log-likelihood along the curve."""
        at = self.result.names.index(name)
        support = self.result.supports[at]
        c0, se = self._place(at)
        rows: list[tuple[float, float, float]] = [(float(self.result.estimates[at]), 0.0, self.result.llf)]
        restrictions = one_parameter(self.mixture, at)
        for side in (-1, 1):
            theta = self.theta
            for z in np.linspace(0.0, limit, points // 2 + 1)[1:]:
                found = maximise_restricted(self.mixture, theta, restrictions, np.array([c0 + side * z * se]))
                if not found.converged:
                    break
                theta = found.theta
                fall = max(self.result.llf - found.evaluation.loglik, 0.0)
                value = back(c0 + side * z * se, support)
                rows.append((value, side * float(np.sqrt(2.0 * fall)), found.evaluation.loglik))
        return sorted(rows)

    def plot(self, name: str, level: float = 0.95, ax: Any = None) -> Any:
        """The curve of one parameter, as :func:`fisherfit.plots.profile` draws it.

        Parameters
        ----------
        name : str
            The parameter.
        level : float
            Of the interval that is marked.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default axes of their own.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from ..plots import profile

        return profile(self, name, level=level, ax=ax)

    def _place(self, at: int) -> tuple[float, float]:
        """The estimate on the scale of its interval, and its standard error there."""
        value, slope = on_scale(self.result.estimates[[at]], self.result.supports[at])
        return float(value[0]), float(slope[0] * np.sqrt(self.covariance[at, at]))

    def _end(self, name: str, level: float, side: int) -> tuple[float, str]:
        key = (name, float(level), side)
        if key not in self.ends:
            with _threads.single_threaded_blas(), np.errstate(all="ignore"):
                self.ends[key] = self._find(name, float(quantile(0.5 + 0.5 * level, None)), side)
        return self.ends[key]

    def _find(self, name: str, target: float, side: int) -> tuple[float, str]:
        at = self.result.names.index(name)
        support = self.result.supports[at]
        c0, se = self._place(at)
        if not np.isfinite(se) or se <= 0.0:
            return float("nan"), "there is no standard error: the parameter is at its bound"
        restrictions = one_parameter(self.mixture, at)
        known: dict[str, Any] = {"inside": (0.0, self.theta), "outside": None}
        far, reached = side * target * se, 0.0
        for _ in range(60):
            theta = known["inside"][1]
            found = maximise_restricted(self.mixture, theta, restrictions, np.array([c0 + far]))
            if not found.converged:
                known["outside"] = far  # cannot be followed so far: come nearer
                if abs(far - known["inside"][0]) <= 1e-6 * se:
                    return float("nan"), "the maximum over the other parameters was not reached"
                far = 0.5 * (far + known["inside"][0])
                continue
            fall = self.result.llf - found.evaluation.loglik
            if fall < -1e-6:
                return float("nan"), f"a point {-fall:.3g} nats above the fit was found: fit with more starts (n_init)"
            tau = float(np.sqrt(2.0 * max(fall, 0.0)))
            slope = abs(float(found.multipliers[0])) / tau if tau > 0.0 else 1.0 / se
            if abs(tau - target) <= EXACT * target:
                return back(c0 + far, support), ""
            if tau < target:
                known["inside"] = (far, found.theta)
            else:
                known["outside"] = far
            reached = max(reached, tau)
            following = far + side * (target - tau) / slope if slope > 0.0 else 2.0 * far
            low, high = known["inside"][0], known["outside"]
            if high is None:
                following = side * min(abs(following), abs(2.5 * far))
                if abs(following) > FAR * target * se or abs(following) > 600.0 + abs(c0) * (support == "real") * 1e9:
                    limit = back(side * np.inf, support)
                    where = "it is the bound of the parameter" if np.isfinite(limit) else "it is infinite"
                    return limit, f"{where}: the likelihood does not fall low enough (root {reached:.3g})"
            elif not min(low, high) < following < max(low, high):
                following = 0.5 * (low + high)
            if abs(following - far) <= 1e-14 * (abs(far) + abs(c0)):
                return back(c0 + far, support), ""
            far = following
        return float("nan"), "the end was not found in 60 steps"


__all__ = ["MixtureProfile"]
