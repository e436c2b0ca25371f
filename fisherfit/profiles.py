"""Profile-likelihood and score intervals: where the root of the deviance, or of Rao's statistic, crosses a quantile.

An interval holds the values psi of a parameter that the likelihood-ratio test, 2 (l_max - l_profile(psi)) / phi, or
Rao's test does not reject. The quantile is that of the normal law, or of t(df_resid) where phi is estimated, as for
Wald intervals; phi stays at its estimate (Venzon & Moolgavkar, 1988; McCullagh & Nelder, 1989, section 7.4).
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _threads, labelled, unbounded
from .choices import check_level
from .creeping import creep
from .edges import can_follow, seek_along_edge, top_at_bound
from .errors import BoundaryWarning, ConvergenceWarning, InputError, SeparationWarning, frames_inside
from .kernels import EXPECTED
from .likelihood import Likelihood
from .links import Link
from .lockstep import Passes, march
from .maximum import Maximum
from .result import quantile
from .ridge import Ground, climb, point_at
from .seeking import Ask, End, Mark, deviance_root, score_root, seek

if TYPE_CHECKING:
    import pandas as pd

SPREAD = 2.6  # tau up to which a trace goes unless asked otherwise: a level of 0.99
REASONS = {
    "bound": "{side} end of {name!r} is the bound of the parameter, where the likelihood is not low enough to reject",
    "edge": "{side} end of {name!r} is the edge of the parameter space, beyond which the likelihood is not defined",
    "corner": "{side} end of {name!r} is where rows come to their bound, beyond which the statistic is not defined",
    "jump": "{side} end of {name!r} is where the maximum over the other parameters, or a row at its bound, makes the "
    "statistic jump past its cutoff",
    "spent": "{side} end of {name!r} is infinite: the statistic stays below its cutoff as far as numbers reach, some "
    "{reach:.2g} standard errors from the estimate",
    "flat": "{side} end of {name!r} is infinite: the likelihood does not fall low enough, however far one goes",
    "infinite": "{side} end of {name!r} is infinite, as its estimate is (separation)",
    "failed": "{side} end of {name!r} was not found: the maximum over the other parameters was not reached",
    "empty": "{side} end of {name!r} is not known: Rao's test rejects every value, the bound included",
    "rows": "{side} end of {name!r} is not known: rows at their bound (boundary_) are not followed along a profile",
    "large": "{side} end of {name!r} is not known: the design is too large to find the rows that separate it",
}
FIXED = 1e-9  # what is left of the direction of a coefficient, over its value elsewhere, below which it cannot move
BETTER = 1e-6  # rise of the log-likelihood, over phi, that says that the fit was not at its maximum


@dataclass(frozen=True, eq=False)
class Curve:
    """The profile of one parameter: its gradient c in the coordinates theta, and what is known of it.

    `known` holds reasons for ends that need no search: ("infinite", "infinite") for no information at all.
    """

    name: str
    c: np.ndarray
    ground: Ground | None
    start: np.ndarray | None
    known: tuple[str, str]
    floor: float
    scale: Callable[[float], float]
    marks: list[Mark] = field(default_factory=list)

    def first(self) -> Ask:
        """The first mark: at the maximum, or, where that is infinite, on the ridge above the start."""
        assert self.ground is not None
        if self.start is None:
            return self.marks[0]
        metric = None
        point = yield from climb(self.ground, self.c, self.start, metric, lambda *_: 1e-10)
        if point is None or not point.on_ridge:
            return None
        self.marks.append(Mark(point.value, *deviance_root(self.ground, point), point))
        return self.marks[0]

    def end(self, target: float, exact: Any) -> Ask:
        """Search one end."""
        if not self.marks and self.start is None:  # a fit with rows at their bound
            assert self.ground is not None
            size = float(np.linalg.norm(self.c)) * 0.1
            return seek_along_edge(self.ground, self.c, target, size, exact)
        if not self.marks:
            found = yield from self.first()
            if found is None:
                return End(np.nan, "failed")
        assert self.ground is not None
        marks = self.marks
        if exact is not None:
            marks = self.marks[:1]
            if self.start is not None or marks[0].value <= self.floor:  # the score does not vanish there
                point = marks[0].point
                root = score_root(self.ground, self.c, point, (yield point.theta, EXPECTED), exact)
                marks = [Mark(point.value, *root, point)]
        unit = float(abs(target) / marks[0].slope)
        found = yield from seek(self.ground, self.c, target, marks, self.floor, exact)
        if found.reason in ("edge", "failed") and self.start is None and can_follow(self.ground):
            found = seek_along_edge(self.ground, self.c, target, unit, exact)
        elif found.reason == "failed" and not self.ground.lazy:
            found = creep(self.ground, self.c, target, marks[0], self.floor, exact)
        elif found.reason == "edge" and int(self.ground.free.sum()) > 1:  # of the ridge, which may go on along it
            found = End(np.nan, "rows", found.mark)
        return found


@dataclass(frozen=True, eq=False)
class Profile:
    """Profiles of the likelihood of a fit, one for each parameter; made by :meth:`GLM.profile`.

    It holds the rows of the fit, so that further levels and traces can be computed; what has been computed is used
    again.

    Attributes
    ----------
    names : tuple of str
        The parameters.
    passes : Passes
        What it cost: passes over the rows for scores (each for many points), and for information matrices.
    """

    curves: tuple[Curve, ...]
    maximum: Maximum
    passes: Passes = field(default_factory=Passes)
    ends: dict[tuple[str, float, str], End] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are profiled."""
        return tuple(curve.name for curve in self.curves)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for every end that is not an ordinary one."""
        out = []
        for key, end in self.ends.items():
            if end.reason in REASONS:
                out.append(_sentence(key, end))
        return tuple(dict.fromkeys(out))

    @property
    def converged(self) -> pd.Series:
        """True for every parameter whose ends, as far as they were asked for, are known (be they infinite)."""
        lost = {name for (name, _, _), end in self.ends.items() if end.reason in ("failed", "empty", "rows", "large")}
        return labelled.series([name not in lost for name in self.names], self.names, "converged")

    def conf_int(self, level: float = 0.95, method: str = "profile") -> pd.DataFrame:
        """Intervals at a level.

        Parameters
        ----------
        level : float
            Confidence level, strictly between 0 and 1.
        method : {"profile", "score"}
            By the likelihood-ratio statistic, or by Rao's.

        Returns
        -------
        pandas.DataFrame
            Columns ``lower`` and ``upper``: -inf or inf for an end that does not exist, NaN for a parameter that is
            not estimable or an end that was not found (`notes` says which, and why).

        Warns
        -----
        SeparationWarning, BoundaryWarning, ConvergenceWarning
            For infinite ends, ends at a bound, and ends that were not found.
        """
        lower, upper = self.intervals(level, method)
        return labelled.frame({"lower": lower, "upper": upper}, self.names)

    def intervals(self, level: float, method: str = "profile") -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of `conf_int`, as arrays."""
        q = critical(self.maximum, level)
        wanted = [(curve, side * q) for curve in self.curves for side in (-1.0, 1.0)]
        missing = [(curve, t) for curve, t in wanted if (curve.name, t, method) not in self.ends]
        self._find(missing, method)
        found = [self.ends[curve.name, t, method].value for curve, t in wanted]
        return np.array(found[0::2]), np.array(found[1::2])

    def _exact(self, theta: np.ndarray, information: np.ndarray) -> np.ndarray:
        """The expected information, from that of a pass."""
        return self.maximum.exact(theta, information)

    def _find(self, missing: list[tuple[Curve, float]], method: str) -> None:
        exact = None if method == "profile" else self._exact
        searches, keys = [], []
        for curve, target in missing:
            key, reason = (curve.name, target, method), curve.known[int(target > 0)]
            if reason:
                value = np.copysign(np.inf, target) if reason == "infinite" else np.nan
                if reason == "exact":
                    value = curve.scale(float(curve.c @ self.maximum.theta))
                self.ends[key] = End(float(value), reason)
            elif not np.isfinite(target):
                self.ends[key] = End(np.nan, "degrees")
            else:
                assert curve.ground is not None
                searches.append((curve.ground.likelihood, curve.end(target, exact)))
                keys.append((curve, key))
        with _threads.single_threaded_blas(), np.errstate(all="ignore"):
            for (curve, key), end in zip(keys, march(searches, self.passes), strict=True):
                self.ends[key] = replace(end, value=float(curve.scale(end.value)))
        self._warn([key for key in self.ends if key in {(c.name, t, method) for c, t in missing}])

    def _warn(self, keys: Sequence[tuple[str, float, str]]) -> None:
        kinds = {"infinite": SeparationWarning, "flat": BoundaryWarning, "bound": BoundaryWarning,
                 "edge": BoundaryWarning, "corner": BoundaryWarning, "jump": BoundaryWarning,
                 "spent": BoundaryWarning,
                 "empty": BoundaryWarning, "failed": ConvergenceWarning,
                 "rows": ConvergenceWarning, "large": ConvergenceWarning}  # fmt: skip
        by_kind: dict[type[Warning], list[str]] = {}
        for key in keys:
            end = self.ends[key]
            if end.reason in kinds:
                by_kind.setdefault(kinds[end.reason], []).append(_sentence(key, end))
        for kind, texts in by_kind.items():
            more = f"; and {len(texts) - 3} more, see notes" if len(texts) > 3 else ""
            warnings.warn("; ".join(texts[:3]) + more, kind, stacklevel=frames_inside())
        marks = [mark for mark in (self.ends[key].mark for key in keys) if mark is not None]
        rise = max((mark.point.loglik for mark in marks), default=-np.inf) - self.maximum.evaluation.loglik
        if rise > BETTER * self.maximum.phi:
            text = (f"the profile found a log-likelihood that is higher than that of the fit by {rise:.3g}; the fit "
                    "has not converged, or its maximum is a local one")  # fmt: skip
            warnings.warn(text, ConvergenceWarning, stacklevel=frames_inside())

    def trace(self, name: str, limit: float = SPREAD, points: int = 13) -> pd.DataFrame:
        """The profile of a parameter, for a plot of tau against its value: a straight line where Wald is right.

        Parameters
        ----------
        name : str
            The parameter.
        limit : float
            Root statistic tau to go to on either side.
        points : int
            About how many, the maximum included; they stand at about equal distances of tau.

        Returns
        -------
        pandas.DataFrame
            ``value``; ``tau``, the signed root of the deviance (statistic of the likelihood-ratio test); ``loglik``,
            the profile log-likelihood, that is llf - tau^2 / 2 (in units of the dispersion where that is not 1).
        """
        lookup = {curve.name: curve for curve in self.curves}
        if name not in lookup:
            raise InputError(f"trace: {name!r} is not among the parameters profiled: {', '.join(map(repr, lookup))}")
        if not (np.isfinite(limit) and limit > 0.0 and points >= 3):
            raise InputError(f"trace: limit must be positive and points at least 3, got {limit!r} and {points!r}")
        curve = lookup[name]
        if curve.ground is None:
            value = tau = np.empty(0)
        else:
            grid = np.linspace(-limit, limit, points)
            searches = (
                []
                if not curve.marks and curve.start is None
                else [
                    (curve.ground.likelihood, _trail(curve, grid[::step][(grid[::step] * step) > 0.02 * limit], step))
                    for step in (-1, 1)
                ]
            )
            with _threads.single_threaded_blas(), np.errstate(all="ignore"):
                march(searches, self.passes)
            marks = sorted(curve.marks, key=lambda m: m.value)
            least = 0.0 if curve.start is None else 0.01 * limit  # the maximum is far away, at infinity
            marks = [m for m in marks if least <= abs(m.tau) <= 1.05 * limit + 0.05]
            marks = [m for i, m in enumerate(marks) if i == 0 or m.tau - marks[i - 1].tau > 0.01 * limit]
            value = np.array([curve.scale(m.value) for m in marks])
            tau = np.array([m.tau for m in marks])
        return labelled.frame({"value": value, "tau": tau, "loglik": self.maximum.result.llf - 0.5 * tau**2},
                              list(map(str, range(tau.size)))).reset_index(drop=True)  # fmt: skip

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Estimates beside their Wald and profile intervals."""
        result = self.maximum.result
        at = [result.names.index(name) for name in self.names]
        wald = np.column_stack(result._intervals(level))[at]
        lower, upper = self.intervals(level)
        table = {"estimate": result.coefficients[at], "lower": lower, "upper": upper, "wald lower": wald[:, 0],
                 "wald upper": wald[:, 1]}  # fmt: skip
        return labelled.frame(table, self.names)

    def __repr__(self) -> str:
        return f"Profile({len(self.curves)} parameters: {', '.join(self.names[:8])}{'...' if self.names[8:] else ''})"


def _sentence(key: tuple[str, float, str], end: End) -> str:
    """What is to be said of an end that is not an ordinary one."""
    side = "lower" if key[1] < 0 else "upper"
    return "the " + REASONS[end.reason].format(side=side, name=key[0], reach=end.reach)


def _trail(curve: Curve, targets: np.ndarray, side: int) -> Ask:
    """Marks at about these root statistics, each from the one before it."""
    if not curve.marks and (yield from curve.first()) is None:
        return None
    assert curve.ground is not None
    ground = curve.ground
    for target in targets:
        base = min(curve.marks, key=lambda m: abs(m.tau - target))
        if abs(base.tau - target) < 0.3 * abs(targets[0] - targets[-1]) / max(len(targets), 1):
            continue  # there is one already
        if curve.known[int(side > 0)] == "infinite" and np.sign(base.tau) == side:
            return None
        unit = np.sqrt(ground.phi * base.point.curvature)
        step = float(np.clip((target - base.tau) / base.slope, -2.0 * unit, 2.0 * unit))
        value = max(base.value + step, curve.floor)
        if value == base.value:
            return None
        metric = base.point.metric if ground.lazy else None
        point = yield from climb(ground, curve.c, base.point.towards(value), metric, lambda *_: 1e-12)
        if point is None or not point.on_ridge:
            return None
        curve.marks.append(Mark(point.value, *deviance_root(ground, point), point))
    return None


def critical(maximum: Maximum, level: float) -> float:
    """The quantile that a root statistic is compared with: normal, or t where the dispersion is estimated."""
    check_level(level)
    result = maximum.result
    return float(quantile(0.5 + 0.5 * level, result.df_resid if result.use_t else None))


def _on_scale(link: Link, value: float) -> float:
    """A further parameter by the scale of its link."""
    return float(link.mean(value))


def profile_of(
    maximum: Maximum, likelihood: Likelihood, names: Sequence[str], infinite: dict[str, str], at_bound: Sequence[int]
) -> Profile:
    """The profiles of some parameters, nothing computed yet but the maximum.

    Parameters
    ----------
    maximum : Maximum
        The fit.
    likelihood : Likelihood
        The same rows with those that are separated.
    names : sequence of str
        Parameters.
    infinite : dict of str to str
        The sign of every infinite coefficient.
    at_bound : sequence of int
        Rows at their bound.
    """
    size, family, links = maximum.theta.size, maximum.family, likelihood.kernels.links
    p, head = len(maximum.names) + 1 - len(links), size + 1 - len(links)  # coefficients, and coordinates of them
    least, free = np.full(size, -np.inf), maximum.free.copy()
    for k, support in enumerate(list(family.parameters.values())[1:]):
        if support in ("nonnegative", "positive") and links[1 + k].name == "identity":
            least[head + k] = 0.0
        free[head + k] = True  # also where it is at its bound: it may leave that along a profile
    lazy = maximum.model.lazy
    ground = Ground(maximum.likelihood, family, free, maximum.evaluation.loglik, maximum.phi, least,
                    maximum.canonical, lazy, maximum.theta)  # fmt: skip
    unit = np.eye(len(maximum.names))
    contrasts, constants = maximum.contrasts(unit), maximum.constants(unit)
    known = list(maximum.names)
    curves = []
    with _threads.single_threaded_blas(), np.errstate(all="ignore"):
        if at_bound and can_follow(ground):
            ground = replace(ground, top=top_at_bound(ground))
        now = None if at_bound or maximum.phi <= 0.0 else replace(maximum.evaluation, information=ground.metric)
        for name in names:
            j = known.index(name)
            link = links[1 + j - p] if j >= p else None
            scale = float if link is None else partial(_on_scale, link)
            if constants[j]:
                scale = partial(operator.add, float(constants[j]))
            floor = float(least[head + j - p]) if j >= p else -np.inf
            sign = infinite.get(name)
            if sign is not None:
                below, above = unbounded.sides(sign)
                there = None if below and above else unbounded.ground_of(maximum, likelihood, contrasts[j], least, lazy)
                lost = "large" if there is None else ""
                reasons = ("infinite" if below else lost, "infinite" if above else lost)
                start = None if there is None else there.theta
                curves.append(Curve(name, contrasts[j], there, start, reasons, floor, scale))
                continue
            if not np.linalg.norm(contrasts[j]) > FIXED * np.abs(constants[j]):  # by constraints
                curves.append(Curve(name, contrasts[j], None, None, ("exact", "exact"), floor, scale))
                continue
            missing = np.isnan(maximum.result.standard_errors[j]) and j < p
            if at_bound and maximum.phi > 0.0 and not maximum.null.shape[1] and can_follow(ground):
                curves.append(Curve(name, contrasts[j], ground, None, ("", ""), floor, scale))
                continue
            if now is None or missing:
                exact = maximum.phi <= 0.0 and maximum.result.standard_errors[j] == 0.0
                why = "rows" if at_bound else "exact" if exact else "aliased"
                curves.append(Curve(name, contrasts[j], None, None, (why, why), floor, scale))
                continue
            point = point_at(
                ground, contrasts[j], float(contrasts[j] @ maximum.theta), maximum.theta, now, ground.metric
            )
            if point is None:
                curves.append(Curve(name, contrasts[j], None, None, ("failed", "failed"), floor, scale))
                continue
            slope = float(1.0 / np.sqrt(ground.phi * point.curvature))
            mark = Mark(point.value, 0.0, slope, replace(point, loglik=ground.top, off=np.zeros(size)))
            curves.append(Curve(name, contrasts[j], ground, None, ("", ""), floor, scale, [mark]))
    return Profile(tuple(curves), maximum)


__all__ = ["Curve", "Profile", "critical", "profile_of"]
