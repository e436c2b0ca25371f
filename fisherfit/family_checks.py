"""`check_family`: do the formulas of a family agree with its log-density, and if not, which, where, by how much?

Derivatives and means come with their errors (see :mod:`fisherfit.families.numerics`): a formula is blamed only where
it differs by more than both the tolerance and the error of what it is compared with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import InputError
from .families import Family, Support, get_family
from .families.numerics import Law, differentiate, drawn
from .families.subject import Estimate, Point, Subject, plain_responses

__all__ = ["FamilyReport", "check_family"]


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
        lines = [f"family {self.family}: " + (f"{count} problem{'s' if count > 1 else ''}" if count else "ok")]
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
    family : str, Family or type
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
    if _check_calls(subject, ledger, points[0], (given_y or plain_responses(subject.family.support))[0]):
        for point in points:
            _check_point(subject, ledger, point, given_y, tolerance)
        _check_compiled(subject, ledger, points, given_y)
    return ledger.report()


class Ledger:
    """The findings so far: for every formula the points that were compared and those that disagree."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.states: dict[str, str] = {"log_density": "ok", "density": "not checked"}
        for name in ("score", "observed"):
            self.states[name] = "ok" if name in subject.given else "by differences"
        self.states["fisher"] = "ok" if "fisher" in subject.given else "not given: observed information is used"
        self.counts: dict[str, int] = {}
        self.misses: dict[str, list[tuple[float, float, float, str]]] = {}
        self.words: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    def compare(self, name: str, got: float, true: float, allowed: float, scale: float, where: str) -> None:
        """Note a comparison; `scale` is the size that differences are relative to."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if not abs(got - true) <= allowed:
            relative = abs(got - true) / scale if scale > 0.0 else math.inf
            self.misses.setdefault(name, []).append((relative, got, true, where))

    def say(self, name: str, text: str) -> None:
        """Note a problem that is not a matter of numbers; the first one of a formula counts."""
        self.words.setdefault(name, text)

    def note(self, kind: str, text: str) -> None:
        """Note what is no problem, once of a kind."""
        self.notes.setdefault(kind, text)

    def sound(self, name: str) -> bool:
        """True for a formula that is given and has not been found wrong."""
        return name in self.subject.given and name not in self.misses and name not in self.words

    def report(self) -> FamilyReport:
        """The findings as the user sees them."""
        for name, found in self.misses.items():
            relative, got, true, where = max(found, key=lambda miss: miss[0] if miss[0] == miss[0] else math.inf)
            ratios = [g / t for _, g, t, _ in found if t]
            steady = (
                len(ratios) > 1
                and max(ratios) - min(ratios) < 1e-4 * abs(ratios[0])
                and name in ("score", "observed", "fisher", "variance")
                and abs(ratios[0] - 1.0) > 0.01
            )
            hint = f"; always {ratios[0]:.6g} times that" if steady else ""
            text = f"is {got:.8g} at {where}, but {SAYS[name]} {true:.8g} (relative difference {relative:.1e}{hint}; "
            self.words.setdefault(name, text + f"{len(found)} of {self.counts[name]} comparisons fail)")
        problems = []
        for name, text in self.words.items():
            self.states[name] = text
            problems.append(f"{name}: {text}")
        return FamilyReport(self.subject.family.name, self.states, problems, list(self.notes.values()))


SAYS = {
    "density": "a density sums to",
    "score": "the log-density gives",
    "observed": "the log-density gives",
    "fisher": "the mean of the observed information is",
    "base": "the derivative in phi is",
    "mean": "that of the density is",
    "variance": "that of the density is",
    "sample": "the mean of the density is",
    "cdf": "the density sums to",
    "compiled": "plain Python gives",
}


def _check_calls(subject: Subject, ledger: Ledger, point: Point, y: float) -> bool:
    """Do the formulas take their arguments and return what they should? False where the log-density does not."""
    names = ", ".join([*subject.family.parameters, *subject.family.fields])
    try:
        value: Any = subject.objective(y, *subject.arguments(point))
        if not isinstance(value, (float, int, np.floating)):
            ledger.say("log_density", f"must return a number, got {value!r} at {subject.named(point, y)}")
            return False
    except TypeError as error:
        ledger.say("log_density", f"cannot be called as log_density(y, {names}): {error}")
        return False
    except (ArithmeticError, ValueError):
        pass
    for name in list(subject.given):
        call = f"{name}({names})" if name == "fisher" else f"{name}(y, {names})"
        try:
            arguments = subject.arguments(point) if name == "fisher" else (y, *subject.arguments(point))
            value = subject.given[name](*arguments)
        except TypeError as error:
            ledger.say(name, f"cannot be called as {call}: {error}")
        except (ArithmeticError, ValueError):
            continue
        else:
            if isinstance(value, tuple) and len(value) == subject.size(name):
                continue
            what = f"must return a tuple of {subject.size(name)} number(s), got {value!r}"
            ledger.say(name, f"{what} at {subject.named(point, y)}")
        del subject.given[name]
    return True


def _check_point(subject: Subject, ledger: Ledger, point: Point, given_y: list[float] | None, tolerance: float) -> None:
    """All that can be compared at one point of the parameter space."""
    _check_support(subject, ledger, point)
    law = subject.law(point)
    if law is None or not law.total_error < 0.01:
        ledger.note("law", f"the density could not be summed at {subject.named(point)}: its mean is not checked there")
        law = None
    else:
        ledger.states["density"] = "ok"
        allowed = max(tolerance, 1e-7) + law.total_error
        ledger.compare("density", law.total, 1.0, allowed, 1.0, subject.named(point))
    responses = given_y
    if responses is None:
        responses = law.quantiles() if law is not None else plain_responses(subject.family.support)
    _check_derivatives(subject, ledger, point, responses, tolerance)
    _check_base(subject, ledger, responses, tolerance)
    if law is None:
        draws = _draws(subject, ledger, point)
        if draws is not None:
            _check_fisher(subject, ledger, point, drawn(draws), tolerance)
    elif abs(law.total - 1.0) < 0.01:
        _check_fisher(subject, ledger, point, law, tolerance)
        _check_moments(subject, ledger, point, law, tolerance)
        _check_cdf(subject, ledger, point, law, tolerance)


def _check_support(subject: Subject, ledger: Ledger, point: Point) -> None:
    """Is the log-density a number wherever the declared support says that y may lie?"""
    support = subject.family.support
    for y in plain_responses(support):
        value = subject.log_density(y, point)
        if math.isnan(value) or value == math.inf:
            where = f"{subject.named(point, y)}, inside the declared support ({support})"
            ledger.say("log_density", f"is {value:g} at {where}")
    for y, is_open in ((support.lower, support.lower_open), (support.upper, support.upper_open)):
        if math.isfinite(y) and not is_open and not math.isfinite(subject.log_density(y, point)):
            end = "lower_open" if y == support.lower else "upper_open"
            ledger.note("ends", f"log_density is not finite at y = {y:g}: if y is never there, declare {end}=True")


def _check_derivatives(subject: Subject, ledger: Ledger, point: Point, ys: list[float], tolerance: float) -> None:
    """Score against log-density, observed information against the better of the two."""
    if any(subject.reach(point, k) <= 0.0 for k in range(len(point))):
        ledger.note("edge", f"derivatives are not checked at the edge of the parameter space ({subject.named(point)})")
        return
    finite = [y for y in ys if math.isfinite(subject.log_density(y, point))]
    if "score" in subject.given:
        rows = [(y, subject.formula("score", y, point), subject.slopes(y, point)) for y in finite]
        _compare_rows(subject, ledger, "score", point, rows, tolerance)
    if "observed" in subject.given:
        sound = ledger.sound("score")
        rows = [(y, subject.formula("observed", y, point), subject.curvatures(y, point, sound)) for y in finite]
        _compare_rows(subject, ledger, "observed", point, rows, tolerance)


def _compare_rows(
    subject: Subject, ledger: Ledger, name: str, point: Point, rows: list[tuple[float, Point, list[Estimate]]],
    tolerance: float,
) -> None:  # fmt: skip
    """Compare a formula at all responses with differences, relative to their root mean square over the responses."""
    clear = False
    for part in range(subject.size(name)):
        sizes = [true[part][0] for _, _, true in rows if math.isfinite(true[part][0])]
        typical = math.sqrt(sum(v * v for v in sizes) / len(sizes)) if sizes else 0.0
        for y, got, true in rows:
            value, error = true[part]
            scale = max(abs(value), typical)
            if math.isfinite(value) and 4.0 * error <= 0.1 * scale:
                clear = True
                where = subject.named(point, y, part if subject.size(name) > 1 else None)
                ledger.compare(name, got[part], value, tolerance * scale + 4.0 * error, scale, where)
    if rows and not clear:
        ledger.note(name, f"{name} is not checked at {subject.named(point)}: the log-density is too rough")


def _check_base(subject: Subject, ledger: Ledger, ys: list[float], tolerance: float) -> None:
    """The derivatives in phi of the term that is free of the mean."""
    if not subject.family.has_dispersion:
        return
    ledger.states.setdefault("base", "ok")
    for phi in (0.3, 2.5):
        for y in ys[:: max(1, len(ys) // 3)]:
            for order in (1, 2):
                value, error, _ = differentiate(_base(subject, y, order - 1), phi, 0.5 * phi)
                scale = max(abs(value), phi**-order)
                got, where = _base(subject, y, order)(phi), f"y = {y:.6g}, phi = {phi:g}"
                ledger.compare("base", got, value, tolerance * scale + 4.0 * error, scale, where)


def _base(subject: Subject, y: float, order: int) -> Callable[[float], float]:
    """The term free of the mean, or one of its derivatives, as a function of phi."""
    return lambda phi: float(subject.base(y, phi, *subject.family.constants)[order])


def _check_fisher(subject: Subject, ledger: Ledger, point: Point, law: Law, tolerance: float) -> None:
    """Expected information against the mean of the observed one, or of the products of the score."""
    if "fisher" not in subject.given:
        return
    source = next((name for name in ("observed", "score") if ledger.sound(name)), None)

    def information(y: float) -> Point:
        if source == "observed":
            return subject.formula("observed", y, point)
        s = subject.formula("score", y, point) if source else [value for value, _ in subject.slopes(y, point)]
        return tuple(s[k] * s[m] for k in range(len(s)) for m in range(k, len(s)))

    got, k = subject.formula("fisher", 0.0, point), len(point)
    true, errors = law.mean(information, len(got))
    diagonal = [abs(true[i * k - i * (i - 1) // 2]) for i in range(k)]
    sizes = [math.sqrt(diagonal[i] * diagonal[j]) for i in range(k) for j in range(i, k)]
    for part, (a, b, size, error) in enumerate(zip(got, true, sizes, errors, strict=True)):
        where = subject.named(point, None, part if len(got) > 1 else None)
        if error < 0.1 * size:
            allowed = (tolerance if source else 100.0 * tolerance) * size + 4.0 * error
            ledger.compare("fisher", a, b, allowed, size, where)


def _check_moments(subject: Subject, ledger: Ledger, point: Point, law: Law, tolerance: float) -> None:
    """Mean, variance and sampler against the moments of the density, where those are finite."""
    family, where = subject.family, subject.named(point)
    (mean,), (mean_error,) = law.mean(lambda y: (y,), 1)
    (variance,), (variance_error,) = law.mean(lambda y: ((y - mean) ** 2,), 1)
    if not (variance > 0.0 and variance_error < 0.01 * variance and math.isfinite(mean_error)):
        return
    sd = math.sqrt(variance)
    truth = {"mean": (mean, mean_error, sd), "variance": (variance, variance_error, variance)}
    for name, (true, error, scale) in truth.items():
        allowed = 10.0 * tolerance * scale + 4.0 * error
        try:
            value = float(getattr(family, name)(*point))
        except NotImplementedError:
            ledger.states[name] = "not given"
            continue
        except Exception as problem:  # the user's code
            ledger.say(name, f"cannot be called with one number a parameter: {problem!r}")
            continue
        if name == "mean" and type(family).mean is Family.mean and abs(value - true) > allowed:
            first = next(iter(family.parameters))
            ledger.states[name] = f"not given: {first} stands for it"
            ledger.note(name, f"the mean of the density is {true:.6g} at {where}: define mean to have it predicted")
            continue
        ledger.states.setdefault(name, "ok")
        if math.isfinite(value):
            ledger.compare(name, value, true, allowed, scale, where)
    draws = _draws(subject, ledger, point)
    if draws is not None:
        allowed = 6.0 * sd / math.sqrt(draws.size)
        ledger.compare("sample", float(draws.mean()), mean, allowed, sd, f"{where} (mean of {draws.size})")


def _draws(subject: Subject, ledger: Ledger, point: Point) -> np.ndarray | None:
    """Draws from the sampler of the family, if it has one that works."""
    family = subject.family
    if not hasattr(family, "sample") or "sample" in ledger.words:
        return None
    ledger.states.setdefault("sample", "ok")
    try:
        draws = np.asarray(family.sample(np.random.default_rng(0), *point, size=4000), float)
    except Exception as problem:  # the user's code
        ledger.say("sample", f"cannot be called as sample(rng, ..., size=4000): {problem!r}")
        return None
    outside = draws[Support(family.support.lower, family.support.upper).outside(draws)]
    if outside.size:
        ledger.say("sample", f"draws {outside[0]:g} at {subject.named(point)}, outside the declared support")
    return draws


def _check_cdf(subject: Subject, ledger: Ledger, point: Point, law: Law, tolerance: float) -> None:
    """The distribution function against sums of the density."""
    cdf = getattr(subject.family, "cdf", None)
    if cdf is None:
        return
    ledger.states.setdefault("cdf", "ok")
    for y, below in law.distribution():
        allowed = 10.0 * tolerance + 4.0 * law.total_error
        ledger.compare("cdf", float(cdf(y, *point)), below, allowed, 1.0, subject.named(point, y))


def _check_compiled(subject: Subject, ledger: Ledger, points: list[Point], given_y: list[float] | None) -> None:
    """Every formula compiled and as plain Python, at the same points."""
    from ._jit import compile_kernel, is_own

    if is_own(type(subject.family)):
        ledger.states["compiled"] = "tested with the package"
        return
    ledger.states["compiled"] = "ok"
    ys = plain_responses(subject.family.support) if given_y is None else given_y
    reasons = []
    for name, formula in {"log_density": subject.objective, **subject.given}.items():
        fast = compile_kernel(formula, False)
        try:
            for point in points:
                for y in ys:
                    arguments = subject.arguments(point) if name == "fisher" else (y, *subject.arguments(point))
                    _compare_calls(ledger, f"{subject.named(point, y)} ({name})", fast(*arguments), formula, arguments)
        except Exception as error:  # Numba has many kinds
            text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            lines = [line.strip() for line in text.splitlines() if line.strip() and "nopython mode" not in line]
            reasons.append(f"{name} ({(lines[0] if lines else type(error).__name__)[:120]})")
    if reasons:
        ledger.states["compiled"] = f"not compiled, runs as plain Python: {'; '.join(reasons)}"
        ledger.note("compiled", "a family that cannot be compiled works, some hundred times slower")


def _compare_calls(ledger: Ledger, where: str, fast: Any, formula: Callable[..., Any], arguments: Point) -> None:
    """One call compiled against the same in plain Python, where both are finite; their log-gammas are not the same."""
    try:
        plain = np.atleast_1d(np.asarray(formula(*arguments), float))
    except (ArithmeticError, ValueError):
        return
    for a, b in zip(np.atleast_1d(np.asarray(fast, float)), plain, strict=True):
        if math.isfinite(a) and math.isfinite(b):
            size = max(abs(float(b)), 1e-3 * float(np.max(np.abs(plain))))
            ledger.compare("compiled", float(a), float(b), 1e-6 * size, size, where)
