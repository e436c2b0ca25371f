"""`check_family`: do the formulas of a family agree with its log-density, and if not, which, where, by how much?

Derivatives are taken by eighth-order differences whose rounding is measured, not assumed: a formula is blamed only
where it differs by more than both the tolerance and the error of the difference. Means over the response are sums
over the integers or integrals in a coordinate fitted to the peak of the density, at two resolutions that tell the
error. Sources: Fornberg (1988), Mathematics of Computation 51, 699-706; Moré & Wild (2011), SIAM Journal on
Scientific Computing 33, 1292-1314.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import CompilationWarning, InputError
from .families import Family, Support, get_family
from .kernels import OBSERVED, kernels_of
from .links import get_link

__all__ = ["FamilyReport", "check_family"]

EPS = 2.0**-52
#: the eighth-order central weights of a first derivative, for offsets 1 to 4
WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
VALUES = {
    "real": (0.4, -1.3, 2.2),
    "positive": (1.1, 0.3, 4.0),
    "nonnegative": (0.6, 0.05, 2.5),
    "unit": (0.3, 0.55, 0.9),
}
Point = tuple[float, ...]


@dataclass(frozen=True)
class FamilyReport:
    """What `check_family` found; prints as a list, one line a formula.

    Attributes
    ----------
    family : str
        Name of the family.
    formulas : dict of str to str
        What was found for every formula: "ok", "by differences", "not given", or what is wrong.
    problems : list of str
        The disagreements: which formula, where, what it gives, what the log-density says, by how much.
    notes : list of str
        What is no disagreement but worth knowing.
    """

    family: str
    formulas: dict[str, str]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True where nothing disagrees."""
        return not self.problems

    def raise_if_failed(self) -> None:
        """Raise InputError with all problems, if there are any."""
        if self.problems:
            raise InputError(f"the formulas of the family {self.family} disagree:\n" + "\n".join(self.problems))

    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"family {self.family}: {'ok' if not count else f'{count} problem{"s" if count > 1 else ""}'}"]
        lines += [f"  {name:<12} {state}" for name, state in self.formulas.items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


def check_family(
    family: Family | type[Family] | str,
    y: Sequence[float] | None = None,
    theta: Sequence[Any] | None = None,
    tolerance: float = 1e-6,
) -> FamilyReport:
    """Check the formulas of a family against its log-density.

    Compared are: the score with the derivatives of the log-density, the observed information with those of the score,
    the expected information with the mean of the observed one, mean and variance with those of the density, the
    sampler and the distribution function likewise, the declared support with where the log-density is finite, and
    compiled formulas with plain Python. An exponential dispersion family is checked at dispersion 1, and the
    derivatives of its `base` in phi.

    Parameters
    ----------
    family : Family, class or name
        What to check.
    y : sequence of float, optional
        Responses to check at; by default the quantiles of the density.
    theta : sequence of parameter tuples, optional
        Parameters to check at, one number a parameter; by default points across their supports.
    tolerance : float, default 1e-6
        Relative disagreement that counts as one, beyond the error of the differences.

    Returns
    -------
    FamilyReport
        Prints as a list; ``ok``, ``problems`` and ``raise_if_failed()`` are for programs.

    Raises
    ------
    InputError
        For points outside the supports.

    Examples
    --------
    >>> import math, fisherfit as ff
    >>> class Exponential(ff.Family):
    ...     parameters = {"mu": "positive"}
    ...     support = ff.Support(0.0)
    ...     @staticmethod
    ...     def log_density(y, mu):
    ...         return -math.log(mu) - y / mu
    ...     @staticmethod
    ...     def score(y, mu):
    ...         return ((mu - y) / mu**2,)          # the sign is wrong
    >>> report = ff.check_family(Exponential)
    >>> report.ok
    False
    >>> report.problems[0].startswith("score")
    True
    """
    subject = Subject.of(get_family(family))
    if not (isinstance(tolerance, (int, float)) and 0.0 < tolerance < 1.0):
        raise InputError(f"tolerance must be a number between 0 and 1, got {tolerance!r}")
    points = subject.points(theta)
    given_y = None if y is None else subject.responses(y)
    ledger = Ledger(subject)
    if subject.callable_at(ledger, points[0], 1.0 if given_y is None else given_y[0]):
        for point in points:
            _check_point(subject, ledger, point, given_y, tolerance)
        _check_compiled(subject, ledger, points, given_y)
    return ledger.report()


class Ledger:
    """The findings so far: for every formula the points that were compared and those that disagree."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.states: dict[str, str] = {"log_density": "ok", "density": "ok"}
        for name in ("score", "observed"):
            self.states[name] = "ok" if name in subject.given else "by differences"
        self.states["fisher"] = "ok" if "fisher" in subject.given else "not given: observed information is used"
        self.counts: dict[str, int] = {}
        self.misses: dict[str, list[tuple[float, float, float, str]]] = {}
        self.words: dict[str, str] = {}
        self.notes: list[str] = []

    def compare(self, name: str, got: float, true: float, allowed: float, scale: float, where: str) -> None:
        """Note a comparison; `scale` is the size that differences are relative to."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if not abs(got - true) <= allowed:
            relative = abs(got - true) / scale if scale > 0.0 else math.inf
            self.misses.setdefault(name, []).append((relative, got, true, where))

    def say(self, name: str, text: str) -> None:
        """Note a problem that is not a matter of numbers; the first one of a formula counts."""
        self.words.setdefault(name, text)

    def note(self, text: str) -> None:
        """Note what is no problem, once."""
        if text not in self.notes:
            self.notes.append(text)

    def sound(self, name: str) -> bool:
        """True for a formula that is given and has not been found wrong."""
        return name in self.subject.given and name not in self.misses and name not in self.words

    def report(self) -> FamilyReport:
        """The findings as the user sees them."""
        for name, found in self.misses.items():
            relative, got, true, where = max(found, key=lambda miss: miss[0] if miss[0] == miss[0] else math.inf)
            ratios = [g / t for _, g, t, _ in found if t]
            steady = len(ratios) > 1 and max(ratios) - min(ratios) < 1e-4 * abs(ratios[0])
            hint = f"; always {ratios[0]:.6g} times that" if steady else ""
            text = f"is {got:.8g} at {where}, but {SAYS[name]} {true:.8g} (relative difference {relative:.1e}{hint}; "
            self.words.setdefault(name, text + f"{len(found)} of {self.counts[name]} comparisons fail)")
        problems = []
        for name, text in self.words.items():
            self.states[name] = text
            problems.append(f"{name} {text}")
        return FamilyReport(self.subject.family.name, self.states, problems, self.notes)


SAYS = {
    "density": "a density sums to",
    "score": "the derivative of the log-density is",
    "observed": "minus the second derivative of the log-density is",
    "fisher": "the mean of the observed information is",
    "base": "the derivative in phi is",
    "mean": "that of the density is",
    "variance": "that of the density is",
    "sample": "the mean of the density is",
    "cdf": "the density sums to",
    "compiled": "plain Python gives",
}


@dataclass(frozen=True, eq=False)
class Subject:
    """A family with its formulas as functions of (y, point), a point being one number a parameter."""

    family: Family
    supports: tuple[str, ...]
    given: dict[str, Callable[..., Any]]
    objective: Callable[..., float]
    base: Callable[..., tuple[float, float, float]]

    @classmethod
    def of(cls, family: Family) -> Subject:
        formulas, kind = family.formulas(), type(family)
        given: dict[str, Any] = {
            "score": None if formulas.noise is not None else formulas.score,
            "observed": formulas.observed if hasattr(kind, "observed") else None,
            # with several parameters, formulas() of its own may hold an approximation for the steps
            "fisher": getattr(kind, "fisher", None) or (formulas.fisher if len(family.parameters) == 1 else None),
        }
        given = {name: formula for name, formula in given.items() if formula is not None}
        return cls(family, tuple(family.parameters.values()), given, formulas.objective, formulas.base)

    def arguments(self, point: Point) -> Point:
        """The point as formulas take it: p and 1 - p for a parameter of the unit interval, then the constants."""
        out: list[float] = []
        for value, support in zip(point, self.supports, strict=True):
            out += [value, 1.0 - value] if support == "unit" else [value]
        return (*out, *self.family.constants)

    def log_density(self, y: float, point: Point) -> float:
        """The complete log-density at dispersion 1; NaN where Python raises, as compiled code has it."""
        try:
            value = self.objective(y, *self.arguments(point)) + self.base(y, 1.0, *self.family.constants)[0]
            return float(value)
        except (ArithmeticError, ValueError):
            return math.nan

    def formula(self, name: str, y: float, point: Point) -> Point:
        """A given formula at a point; NaN where Python raises."""
        arguments = self.arguments(point)
        try:
            return tuple(map(float, self.given[name](*(arguments if name == "fisher" else (y, *arguments)))))
        except (ArithmeticError, ValueError):
            return (math.nan,) * self.size(name)

    def size(self, name: str) -> int:
        """How many numbers a formula returns."""
        k = len(self.supports)
        return k if name == "score" else k * (k + 1) // 2

    def reach(self, point: Point, k: int) -> float:
        """How far a parameter may move from a point without leaving its support."""
        value = point[k]
        return {"real": abs(value) + 4.0, "unit": 0.5 * min(value, 1.0 - value)}.get(self.supports[k], 0.5 * value)

    def named(self, point: Point, y: float | None = None) -> str:
        """Where: "y = 1, mu = 2"."""
        parts = [] if y is None else [f"y = {y:.6g}"]
        parts += [f"{name} = {value:.6g}" for name, value in zip(self.family.parameters, point, strict=True)]
        return ", ".join(parts)

    def points(self, theta: Sequence[Any] | None) -> list[Point]:
        """The parameters to check at."""
        k, names = len(self.supports), list(self.family.parameters)
        if theta is None:
            return [tuple(VALUES[s][(i + j) % 3] for j, s in enumerate(self.supports)) for i in range(3)]
        rows = [np.atleast_1d(np.asarray(row, float)) for row in theta]
        if not rows or any(row.shape != (k,) or not np.isfinite(row).all() for row in rows):
            raise InputError(f"theta: give points of ({', '.join(names)}), one number each, finite")
        for row in rows:
            for name, value, support in zip(names, row, self.supports, strict=True):
                inside = {"real": True, "positive": value > 0, "nonnegative": value >= 0, "unit": 0 < value < 1}[
                    support
                ]
                if not inside:
                    raise InputError(f"theta: {name} = {value:g} lies outside its support, {support!r}")
        return [tuple(map(float, row)) for row in rows]

    def responses(self, y: Sequence[float]) -> list[float]:
        """The responses of the user, checked."""
        values = np.asarray(y, float).ravel()
        outside = ~np.isfinite(values) | self.family.support.outside(values)
        if not values.size or outside.any():
            what = f"y = {values[outside][0]:g}" if values.size else "no y"
            raise InputError(f"y: {what}, but the {self.family.name} family needs y to be {self.family.support}")
        return [float(v) for v in values]

    def callable_at(self, ledger: Ledger, point: Point, y: float) -> bool:
        """Do the formulas take their arguments and return what they should? False where the log-density does not."""
        names = ", ".join([*self.family.parameters, *self.family.fields])
        try:
            value = self.objective(y, *self.arguments(point))
            if not isinstance(value, (float, int, np.floating)):
                ledger.say("log_density", f"must return a number, got {value!r} at {self.named(point, y)}")
                return False
        except TypeError as error:
            ledger.say("log_density", f"cannot be called as log_density(y, {names}): {error}")
            return False
        except (ArithmeticError, ValueError):
            pass
        for name in list(self.given):
            call = f"{name}({names})" if name == "fisher" else f"{name}(y, {names})"
            try:
                arguments = self.arguments(point) if name == "fisher" else (y, *self.arguments(point))
                value = self.given[name](*arguments)
            except TypeError as error:
                ledger.say(name, f"cannot be called as {call}: {error}")
            except (ArithmeticError, ValueError):
                continue
            else:
                if isinstance(value, tuple) and len(value) == self.size(name):
                    continue
                ledger.say(
                    name, f"must return a tuple of {self.size(name)} number(s), got {value!r} at {self.named(point, y)}"
                )
            del self.given[name]
        return True


def _check_point(subject: Subject, ledger: Ledger, point: Point, given_y: list[float] | None, tolerance: float) -> None:
    """All that can be compared at one point of the parameter space."""
    _check_support(subject, ledger, point)
    law = measure(subject, point)
    if law is None:
        ledger.note(
            f"no sum or integral of the density was found at {subject.named(point)}: means are not checked there"
        )
    elif not law.total_error < 0.01:
        ledger.note(f"the density is too rough to be integrated at {subject.named(point)}: means are not checked there")
        law = None
    else:
        allowed = max(tolerance, 1e-7) + law.total_error
        ledger.compare("density", law.total, 1.0, allowed, 1.0, subject.named(point))
    responses = given_y
    if responses is None:
        responses = law.quantiles() if law is not None else _plain_responses(subject.family.support)
    _check_derivatives(subject, ledger, point, responses, tolerance)
    _check_base(subject, ledger, responses, tolerance)
    if law is not None and abs(law.total - 1.0) < 0.01:
        _check_means(subject, ledger, point, law, tolerance)


def _check_support(subject: Subject, ledger: Ledger, point: Point) -> None:
    """Is the log-density a number wherever the declared support says that y may lie?"""
    support = subject.family.support
    for y in _plain_responses(support):
        value = subject.log_density(y, point)
        if math.isnan(value) or value == math.inf:
            where = f"{subject.named(point, y)}, inside the declared support ({support})"
            ledger.say("log_density", f"is {value:g} at {where}")
    for y, is_open in ((support.lower, support.lower_open), (support.upper, support.upper_open)):
        if math.isfinite(y) and not is_open and not math.isfinite(subject.log_density(y, point)):
            end = "lower_open" if y == support.lower else "upper_open"
            ledger.note(
                f"log_density is not finite at y = {y:g}, the end of its support: if y is never there, say {end}=True"
            )


def _check_derivatives(subject: Subject, ledger: Ledger, point: Point, ys: list[float], tolerance: float) -> None:
    """Score against log-density, observed information against the better of the two."""
    if any(subject.reach(point, k) <= 0.0 for k in range(len(point))):
        ledger.note(f"derivatives are not checked at the edge of the parameter space ({subject.named(point)})")
        return
    finite = [y for y in ys if math.isfinite(subject.log_density(y, point))]
    if "score" in subject.given:
        _compare_all(ledger, "score", subject, point, finite, tolerance,
                     lambda y: [_slope(subject, point, k, lambda t, y=y: subject.log_density(y, t)) for k in range(len(point))])  # fmt: skip
    if "observed" in subject.given:
        _compare_all(ledger, "observed", subject, point, finite, tolerance,
                     lambda y: list(_curvatures(subject, ledger, point, y)))  # fmt: skip


def _compare_all(
    ledger: Ledger, name: str, subject: Subject, point: Point, ys: list[float], tolerance: float,
    truth: Callable[[float], list[tuple[float, float]]],
) -> None:  # fmt: skip
    """Compare a formula at all responses with differences, relative to their root mean square over the responses."""
    rows = [(y, subject.formula(name, y, point), truth(y)) for y in ys]
    unclear = 0
    for part in range(subject.size(name)):
        sizes = [true[part][0] for _, _, true in rows if math.isfinite(true[part][0])]
        typical = math.sqrt(sum(v * v for v in sizes) / len(sizes)) if sizes else 0.0
        for y, got, true in rows:
            value, error = true[part]
            if not math.isfinite(value) or 4.0 * error > 0.1 * max(abs(value), typical):
                unclear += 1
                continue
            which = f"{subject.named(point, y)}{f' (number {part} of the tuple)' if subject.size(name) > 1 else ''}"
            scale = max(abs(value), typical)
            ledger.compare(name, got[part], value, tolerance * scale + 4.0 * error, scale, which)
    if unclear and unclear == len(rows) * subject.size(name):
        ledger.note(f"{name} cannot be checked at {subject.named(point)}: the differences of log_density are too rough")


def _curvatures(subject: Subject, ledger: Ledger, point: Point, y: float) -> Iterator[tuple[float, float]]:
    """Minus the second derivatives with their errors, from the score where that is sound, else from the log-density."""
    for k in range(len(point)):
        for m in range(k, len(point)):
            if ledger.sound("score"):
                value, error = _slope(subject, point, k, lambda t, m=m: subject.formula("score", y, t)[m])
            else:
                step = _step(subject, point, m, lambda t: subject.log_density(y, t))
                value, error = _slope(
                    subject,
                    point,
                    k,
                    lambda t, m=m, h=step: _difference(subject, t, m, h, lambda s: subject.log_density(y, s)),
                )
            yield -value, error


def _check_base(subject: Subject, ledger: Ledger, ys: list[float], tolerance: float) -> None:
    """The derivatives in phi of the term that is free of the mean."""
    if not subject.family.has_dispersion:
        return
    ledger.states.setdefault("base", "ok")
    constants = subject.family.constants
    for phi in (0.3, 1.0, 2.5):
        for y in ys:
            for order in (1, 2):
                value, error, _ = differentiate(
                    lambda f, y=y, o=order: subject.base(y, f, *constants)[o - 1], phi, 0.5 * phi
                )
                scale = max(abs(value), phi**-order)
                got = subject.base(y, phi, *constants)[order]
                ledger.compare(
                    "base", got, value, tolerance * scale + 4.0 * error, scale, f"y = {y:.6g}, phi = {phi:g}"
                )


def _check_means(subject: Subject, ledger: Ledger, point: Point, law: Law, tolerance: float) -> None:
    """Expected information, mean, variance, sampler and distribution function against the density."""
    family, where = subject.family, subject.named(point)
    if ledger.sound("fisher"):
        source = next((name for name in ("observed", "score") if ledger.sound(name)), None)

        def information(y: float) -> Point:
            if source == "observed":
                return subject.formula("observed", y, point)
            s = subject.formula("score", y, point) if source else tuple(
                _slope(subject, point, k, lambda t: subject.log_density(y, t))[0] for k in range(len(point)))  # fmt: skip
            return tuple(s[k] * s[m] for k in range(len(s)) for m in range(k, len(s)))

        got, k = subject.formula("fisher", 0.0, point), len(point)
        true, errors = law.mean(information, subject.size("fisher"))
        diagonal = [abs(true[i * k - i * (i - 1) // 2]) for i in range(k)]
        sizes = [math.sqrt(diagonal[i] * diagonal[j]) for i in range(k) for j in range(i, k)]
        loose = tolerance if source else 100.0 * tolerance
        for part, (a, b, size, error) in enumerate(zip(got, true, sizes, errors, strict=True)):
            which = f"{where}{f' (number {part} of the tuple)' if len(got) > 1 else ''}"
            if error < 0.01 * size:
                ledger.compare("fisher", a, b, loose * size + 4.0 * error, size, which)
    (mean, square), errors = law.mean(lambda y: (y, y * y), 2)
    centred, centred_errors = law.mean(lambda y: ((y - mean) ** 2,), 1)
    variance = centred[0]
    if not (variance > 0.0 and centred_errors[0] < 0.01 * variance):
        return
    sd = math.sqrt(variance)
    own_mean = type(family).mean is not Family.mean
    values = {"mean": (mean, 10.0 * tolerance * sd + 4.0 * errors[0], sd)}
    values["variance"] = (variance, 10.0 * tolerance * variance + 4.0 * centred_errors[0], variance)
    for name, (true_value, allowed, scale) in values.items():
        try:
            value = float(getattr(family, name)(*point))
        except NotImplementedError:
            ledger.states[name] = "not given"
            continue
        except Exception as error:  # the user's code
            ledger.say(name, f"cannot be called with one number a parameter: {error}")
            continue
        if name == "mean" and not own_mean and abs(value - true_value) > allowed:
            first = next(iter(family.parameters))
            ledger.states["mean"] = f"not given: {first} stands for it"
            ledger.note(
                f"the mean of the density is {true_value:.6g} at {where}, not {first}: define mean({', '.join(family.parameters)})"
                " to have predictions of the mean response"
            )
            continue
        ledger.states.setdefault(name, "ok")
        if math.isfinite(value):
            ledger.compare(name, value, true_value, allowed, scale, where)
    if hasattr(family, "sample"):
        ledger.states.setdefault("sample", "ok")
        draws = np.asarray(family.sample(np.random.default_rng(0), *point, size=4000), float)
        if family.support.outside(draws).any():
            ledger.say(
                "sample", f"draws {draws[family.support.outside(draws)][0]:g} at {where}, outside the declared support"
            )
        ledger.compare(
            "sample", float(draws.mean()), mean, 6.0 * sd / math.sqrt(draws.size), sd, f"{where} (mean of 4000)"
        )
    if hasattr(family, "cdf"):
        ledger.states.setdefault("cdf", "ok")
        for at, below in law.distribution():
            value = float(family.cdf(at, *point))
            ledger.compare("cdf", value, below, 10.0 * tolerance + 4.0 * law.total_error, 1.0, subject.named(point, at))


def _check_compiled(subject: Subject, ledger: Ledger, points: list[Point], given_y: list[float] | None) -> None:
    """Run the kernel, compiled and plain, at the same points."""
    family = subject.family
    ys = np.array(_plain_responses(family.support)[:6] if given_y is None else given_y)
    links = [get_link("identity")] * len(subject.supports)
    kernels = kernels_of(family, links)
    n, k = ys.size, len(subject.supports)
    results = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for point in points:
            row = []
            for loop in (kernels.rows, kernels.plain_rows):
                u, w = np.zeros((n, k)), np.zeros((n, k * (k + 1) // 2))
                try:
                    value = loop(ys, np.ones(n), np.tile(point, (n, 1)), kernels.constants, OBSERVED, u, w)
                except (ArithmeticError, ValueError):
                    value = math.nan
                row.append(np.concatenate([[value], *([u.ravel()] if ledger.sound("score") else []),
                                           *([w.ravel()] if ledger.sound("observed") else [])]))  # fmt: skip
            results.append((point, *row))
    if any(issubclass(w.category, CompilationWarning) for w in caught):
        ledger.states["compiled"] = f"not compiled, runs as plain Python: {_why_not(subject, points[0], float(ys[0]))}"
        ledger.note("a family that cannot be compiled works, some hundred times slower")
        return
    ledger.states["compiled"] = "ok"
    for point, fast, plain in results:
        size = float(np.max(np.abs(plain), initial=0.0, where=np.isfinite(plain)))
        for a, b in zip(fast, plain, strict=True):
            if math.isfinite(b) and math.isfinite(a):
                ledger.compare(
                    "compiled", float(a), float(b), 1e-9 * (abs(b) + 1e-3 * size), abs(b), subject.named(point)
                )


def _why_not(subject: Subject, point: Point, y: float) -> str:
    """Which formulas Numba cannot compile, and the last line of what it says."""
    from ._jit import compile_kernel

    reasons = []
    for name, formula in {"log_density": subject.objective, **subject.given}.items():
        arguments = subject.arguments(point) if name == "fisher" else (y, *subject.arguments(point))
        try:
            compile_kernel(formula, False)(*arguments)
        except Exception as error:  # Numba has many kinds
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reasons.append(f"{name} ({(lines[-1] if lines else type(error).__name__)[:120]})")
    return "; ".join(reasons) or "the formulas together"


def _plain_responses(support: Support) -> list[float]:
    """Responses across a support, away from its ends."""
    low, high = support.lower, support.upper
    if support.integer:
        start = low if math.isfinite(low) else min(-3.0, high - 20.0)
        return [v for v in (start + i for i in (0.0, 1.0, 2.0, 5.0, 17.0, 60.0)) if v <= high]
    if math.isfinite(low) and math.isfinite(high):
        return [low + f * (high - low) for f in (0.31, 0.5, 0.83, 0.07, 0.95, 1e-6, 1.0 - 1e-6)]
    if math.isfinite(low):
        return [low + v for v in (0.7, 1.9, 6.0, 0.05, 40.0, 1e-6)]
    if math.isfinite(high):
        return [high - v for v in (0.7, 1.9, 6.0, 0.05, 40.0, 1e-6)]
    return [0.2, -0.3, 1.7, -4.1, 8.0, -60.0]


# differences


def _slope(subject: Subject, point: Point, k: int, function: Callable[[Point], float]) -> tuple[float, float]:
    """The derivative of a function of a point in its k-th parameter, and the error."""
    along = lambda t: function((*point[:k], t, *point[k + 1 :]))  # noqa: E731
    return differentiate(along, point[k], subject.reach(point, k))[:2]


def _step(subject: Subject, point: Point, k: int, function: Callable[[Point], float]) -> float:
    """The step that served best for the derivative."""
    return differentiate(lambda t: function((*point[:k], t, *point[k + 1 :])), point[k], subject.reach(point, k))[2]


def _difference(subject: Subject, point: Point, k: int, h: float, function: Callable[[Point], float]) -> float:
    return central(lambda t: function((*point[:k], t, *point[k + 1 :])), point[k], h)


def central(function: Callable[[float], float], x: float, h: float) -> float:
    """The eighth-order central difference."""
    return sum(c * (function(x + j * h) - function(x - j * h)) for j, c in enumerate(WEIGHTS, 1)) / h


def differentiate(function: Callable[[float], float], x: float, reach: float) -> tuple[float, float, float]:
    """The derivative of a function, an estimate of its error, and the step; NaN where no difference is finite.

    Steps are halved from a quarter of `reach`. The error of a difference is taken to be its change from the step
    before, plus what the noise of the function makes of it.
    """
    noise = rounding(function, x, max(abs(x), reach) * 2.0**-36)
    best, error, step = math.nan, math.inf, math.nan
    before = math.nan
    for level in range(2, 30):
        h = reach * 2.0**-level
        if 6.0 * noise / h > error:
            break
        value = central(function, x, h)
        estimate = abs(value - before) + 6.0 * noise / h
        if estimate < error:
            best, error, step = value, estimate, h
        before = value
    return best, error, step


def rounding(function: Callable[[float], float], x: float, spacing: float) -> float:
    """The noise in the values of a function, from a table of differences at a tiny spacing (Moré & Wild, 2011)."""
    values = np.array([function(x + i * spacing) for i in range(-4, 5)])
    out = EPS * abs(float(values[4]))
    for order in range(1, 7):
        values = np.diff(values)
        if order >= 3:
            out = max(out, math.sqrt(float(np.mean(values**2)) / math.comb(2 * order, order)))
    return out if math.isfinite(out) else math.inf


# sums and integrals over the response


@dataclass(frozen=True, eq=False)
class Law:
    """A density as points with weights, fine and coarse: the difference of the two is the error of a mean.

    `ends` are points up to which partial sums of the fine weights are whole integrals, with their positions.
    """

    y: np.ndarray
    weight: np.ndarray
    coarse_y: np.ndarray
    coarse_weight: np.ndarray
    ends: tuple[np.ndarray, np.ndarray]

    @property
    def total(self) -> float:
        """Sum or integral of the density."""
        return float(self.weight.sum())

    @property
    def total_error(self) -> float:
        """Its error."""
        return abs(self.total - float(self.coarse_weight.sum()))

    def mean(self, function: Callable[[float], Point], size: int) -> tuple[list[float], list[float]]:
        """The mean of a function that returns `size` numbers, and the errors."""
        sums = []
        for y, weight in ((self.y, self.weight), (self.coarse_y, self.coarse_weight)):
            counts = weight > 1e-18 * weight.max()
            values = np.array([function(float(v)) for v in y[counts]]).reshape(-1, size)
            sums.append(weight[counts] @ np.where(np.isfinite(values), values, 0.0) / weight.sum())
        return sums[0].tolist(), np.abs(sums[0] - sums[1]).tolist()

    def quantiles(self) -> list[float]:
        """Responses at quantiles of the density."""
        share = np.cumsum(self.weight) / self.weight.sum()
        at = np.searchsorted(share, [0.004, 0.1, 0.3, 0.55, 0.8, 0.97, 0.999])
        return sorted({float(v) for v in self.y[np.minimum(at, self.y.size - 1)]})

    def distribution(self) -> list[tuple[float, float]]:
        """Some responses with the probability not to exceed them."""
        at, positions = self.ends
        below = np.cumsum(self.weight)[positions]
        chosen = np.unique(np.minimum(np.searchsorted(below, [0.1, 0.5, 0.9]), at.size - 1))
        return [(float(at[i]), float(below[i])) for i in chosen]


def measure(subject: Subject, point: Point) -> Law | None:
    """The density of a family at a point as a `Law`; None where it cannot be found."""
    support = subject.family.support
    density = lambda y: subject.log_density(y, point)  # noqa: E731
    if subject.family.takes_trials:  # at dispersion 1 there is one trial
        return _listed(np.array([0.0, 1.0]), density)
    if support.integer:
        if not math.isfinite(support.lower):
            return None
        y = np.arange(support.lower, min(support.upper, support.lower + 20_000.0) + 1.0)
        law, size = None, 64
        while law is None or (law.weight[-1] > 1e-17 * law.weight.max() and size < y.size):
            size *= 4
            law = _listed(y[:size], density)
        return law
    law = _integral(support, density, float(subject.family.mean(*point)))
    atoms = [end for end, is_open in ((support.lower, support.lower_open), (support.upper, support.upper_open))
             if math.isfinite(end) and not is_open and math.isfinite(density(end))]  # fmt: skip
    if law is None or not atoms or abs(law.total - 1.0) < 1e-5:
        return law
    masses = np.exp([density(end) for end in atoms])  # ends of the support may have probabilities of their own
    if abs(law.total + masses.sum() - 1.0) > abs(law.total - 1.0):
        return law
    first = sum(end == support.lower for end in atoms)
    y, w = np.insert(law.y, 0, atoms[:first]), np.insert(law.weight, 0, masses[:first])
    coarse_y, coarse_w = np.insert(law.coarse_y, 0, atoms[:first]), np.insert(law.coarse_weight, 0, masses[:first])
    return Law(np.r_[y, atoms[first:]], np.r_[w, masses[first:]], np.r_[coarse_y, atoms[first:]],
               np.r_[coarse_w, masses[first:]], (law.ends[0], law.ends[1] + first))  # fmt: skip


def _listed(y: np.ndarray, density: Callable[[float], float]) -> Law:
    """A density on a list of points."""
    with np.errstate(all="ignore"):
        weight = np.nan_to_num(np.exp([density(float(v)) for v in y]), nan=0.0)
    return Law(y, weight, y, weight, (y, np.arange(y.size)))


def _coordinate(support: Support, centre: float) -> tuple[Callable[..., Any], Callable[..., Any], np.ndarray]:
    """y and log dy/dz as functions of a coordinate z on the real line, and a first grid of it."""
    low, high = support.lower, support.upper
    if math.isfinite(low) and math.isfinite(high):
        width = high - low
        return (
            lambda z: np.where(z < 0.0, low + width / (1.0 + np.exp(-z)), high - width / (1.0 + np.exp(z))),
            lambda z: math.log(width) - np.abs(z) - 2.0 * np.log1p(np.exp(-np.abs(z))),
            np.arange(-30.0, 30.5, 0.5),
        )
    if math.isfinite(low):
        return lambda z: low + np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    if math.isfinite(high):
        return lambda z: high - np.exp(z), lambda z: z, np.arange(-60.0, 60.5, 0.5)
    return lambda z: centre + z, np.zeros_like, np.sinh(np.arange(-20.0, 20.25, 0.25))


def _integral(support: Support, density: Callable[[float], float], centre: float) -> Law | None:
    """A density on an interval: panels in a coordinate stretched to its peak."""
    y_of, log_slope, grid = _coordinate(support, centre if math.isfinite(centre) else 0.0)

    def height(z: float) -> float:
        y = float(y_of(np.float64(z)))
        if support.outside(np.array([y]))[0] or y in (support.lower, support.upper):
            return -math.inf
        value = density(y) + float(log_slope(np.float64(z)))
        return value if math.isfinite(value) else -math.inf

    with np.errstate(all="ignore"):
        heights = [height(z) for z in grid]
        best = int(np.argmax(heights))
        top, peak = heights[best], float(grid[best])
        if not math.isfinite(top):
            return None
        scale = float(grid[min(best + 1, grid.size - 1)] - grid[max(best - 1, 0)])
        while scale > 1e-12 * (abs(peak) + 1e-300):  # climb, with shorter and shorter steps
            moves = [(height(peak + s), peak + s) for s in (-scale, scale)]
            if max(moves)[0] > top:
                top, peak = max(moves)
            elif min(moves)[0] > top - 0.5:
                break
            else:
                scale *= 0.5
        while max(height(peak - scale), height(peak + scale)) > top - 0.3 and scale < 1e150:
            scale *= 2.0
        far = [0.0, 0.0]
        for side, sign in enumerate((-1.0, 1.0)):
            t = 0.0
            while t < 60.0 and height(peak + sign * scale * math.sinh(t)) + math.log(math.cosh(t)) > top - 45.0:
                t += 0.25
            far[side] = sign * t

        def panels(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            edges = np.linspace(far[0], far[1], count + 1)
            nodes, weights = np.polynomial.legendre.leggauss(8)
            half = 0.5 * np.diff(edges)[:, None]
            t = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
            z = peak + scale * np.sinh(t)
            weight = (half * weights).ravel() * scale * np.cosh(t) * np.exp([height(v) for v in z])
            order = slice(None) if y_of(np.float64(peak)) <= y_of(np.float64(peak + scale)) else slice(None, None, -1)
            ends = y_of(peak + scale * np.sinh(edges[1:] if order == slice(None) else edges[:-1][::-1]))
            return y_of(z)[order], weight[order], ends

        y, weight, ends = panels(64)
        coarse_y, coarse_weight, _ = panels(40)
    return Law(y, weight, coarse_y, coarse_weight, (ends, np.arange(7, y.size, 8)))
