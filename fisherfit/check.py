"""`check_family`: do the formulas of a family agree with its log-density, and if not, which, where, by how much?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import FisherfitError, InputError
from .families import ExponentialDispersion, Family, NegativeBinomial, get_family
from .families.differences import numerical_observed, numerical_score

__all__ = ["FamilyReport", "check_family"]


@dataclass(frozen=True)
class FamilyReport:
    """What `check_family` found; prints as a list, one line a formula.

    Attributes
    ----------
    family : str
        Name of the family.
    formulas : dict of str to str
        "ok", "by differences" or the worst disagreement, for every formula.
    problems : list of str
        The disagreements: which formula, where, what it gives, what the log-density says, by how much.
    """

    family: str
    formulas: dict[str, str]
    problems: list[str]

    @property
    def ok(self) -> bool:
        """True where nothing disagrees."""
        return not self.problems

    def raise_if_failed(self) -> None:
        """Raise FisherfitError with all problems, if there are any."""
        if self.problems:
            raise FisherfitError("\n".join(self.problems))

    def __str__(self) -> str:
        lines = [f"family {self.family}: {'ok' if self.ok else f'{len(self.problems)} problem(s)'}"]
        lines += [f"  {name:<12} {state}" for name, state in self.formulas.items()]
        return "\n".join(lines)

    __repr__ = __str__


def check_family(
    family: Family | type[Family] | str,
    y: Sequence[float] | None = None,
    theta: Sequence[Sequence[float]] | None = None,
    tolerance: float = 1e-6,
) -> FamilyReport:
    """Check the formulas of a family against its log-density.

    Parameters
    ----------
    family : Family, class or name
        What to check.
    y : sequence of float, optional
        Responses to check at; by default points across the support.
    theta : sequence of parameter tuples, optional
        Parameters to check at, one number a parameter; by default points across their supports.
    tolerance : float, default 1e-6
        Relative disagreement that counts as one, beyond the estimated error of the differences.

    Returns
    -------
    FamilyReport

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
    family = get_family(family)
    formulas = _complete(family)
    supports = tuple(family.parameters.values())
    responses = _responses(family) if y is None else [float(v) for v in y]
    points = _points(supports) if theta is None else [tuple(float(v) for v in t) for t in theta]
    if any(len(t) != len(supports) for t in points):
        raise InputError(
            f"theta: the {family.name} family has the parameters {', '.join(family.parameters)}, one number each"
        )
    state: dict[str, str] = {"log_density": "ok"}
    problems: list[str] = []
    fields = len(family.constants)
    exact = numerical_score(formulas["log_density"], supports, fields)
    errors = numerical_score(formulas["log_density"], supports, fields, part=1)
    second = numerical_observed(formulas["log_density"], formulas.get("score") or exact, supports, fields)

    def record(name: str, text: str) -> None:
        if state.get(name, "ok") == "ok":
            state[name] = text
            problems.append(f"{name}: {text}")

    for point in points:
        arguments = _arguments(point, supports) + family.constants
        for value in responses:
            where = f"at y = {value:g}, {_named(family, point)}"
            density = _call(formulas["log_density"], value, arguments)
            if not isinstance(density, (float, int, np.floating)) or math.isnan(density):
                record("log_density", f"is {density!r} {where}, inside the declared support")
                continue
            if not math.isfinite(density):
                continue
            truth, noise = exact(value, arguments), errors(value, arguments)
            if "score" in formulas:
                _compare(record, "score", _call(formulas["score"], value, arguments), truth, noise, tolerance, where)
            if "observed" in formulas and state.get("score", "ok") == "ok":
                scale = [abs(v) * 1e-7 for v in second(value, arguments)]
                _compare(record, "observed", _call(formulas["observed"], value, arguments), second(value, arguments),
                         scale, tolerance, where)  # fmt: skip
        if "fisher" in formulas and state.get("observed", "ok") == "ok" and state.get("score", "ok") == "ok":
            expected = _expected(family, formulas, second, point, arguments)
            if expected is not None:
                truth, noise = expected
                got = _call(lambda _, *t: formulas["fisher"](*t), 0.0, arguments)
                _compare(record, "fisher", got, truth, noise, tolerance, f"at {_named(family, point)}")
    for name in ("score", "observed", "fisher"):
        state.setdefault(
            name, "ok" if name in formulas else "by differences" if name != "fisher" else "observed information is used"
        )
    compiled = _compiled(family, formulas["log_density"], responses, points, supports)
    state["compiled"] = compiled or "ok"
    if compiled and not compiled.startswith("not compiled"):
        problems.append(f"compiled: {compiled}")
    return FamilyReport(family.name, state, problems)


def _complete(family: Family) -> dict[str, Callable[..., Any]]:
    """The formulas that a family gives; for exponential dispersion families those of the mean at phi = 1."""
    given = family.formulas()
    if isinstance(family, ExponentialDispersion) or (isinstance(family, NegativeBinomial) and family.alpha is not None):
        return {
            "log_density": given.objective,
            "score": given.score,
            "observed": given.observed,
            "fisher": given.fisher or given.score,
        }
    if isinstance(family, NegativeBinomial):
        return {"log_density": given.objective, "score": given.score, "observed": given.observed}
    cls = type(family)
    return {name: getattr(cls, name) for name in ("log_density", "score", "observed", "fisher") if hasattr(cls, name)}


def _responses(family: Family) -> list[float]:
    s = family.support
    if s.integer:
        return [v for v in (0.0, 1.0, 2.0, 5.0, 17.0) if s.lower <= v <= s.upper]
    if math.isfinite(s.lower) and math.isfinite(s.upper):
        return [s.lower + f * (s.upper - s.lower) for f in (0.07, 0.31, 0.5, 0.83)]
    if math.isfinite(s.lower):
        return [s.lower + v for v in (0.05, 0.7, 1.9, 6.0)]
    return [-4.1, -0.3, 0.2, 1.7, 8.0]


def _points(supports: tuple[str, ...]) -> list[tuple[float, ...]]:
    grid = {
        "real": (-1.3, 0.4, 2.2),
        "positive": (0.3, 1.1, 4.0),
        "nonnegative": (0.2, 0.7, 2.5),
        "unit": (0.12, 0.5, 0.9),
    }
    return [tuple(grid[s][(i + j) % 3] for j, s in enumerate(supports)) for i in range(3)]


def _arguments(point: tuple[float, ...], supports: tuple[str, ...]) -> tuple[float, ...]:
    out: list[float] = []
    for value, support in zip(point, supports, strict=True):
        out += [value, 1.0 - value] if support == "unit" else [value]
    return tuple(out)


def _named(family: Family, point: tuple[float, ...]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in zip(family.parameters, point, strict=True))


def _call(formula: Callable[..., Any], y: float, arguments: tuple[float, ...]) -> Any:
    if getattr(formula, "takes_tuple", False):
        return formula(y, arguments)
    try:
        return formula(y, *arguments)
    except (ArithmeticError, ValueError):
        return math.nan
    except TypeError as error:
        raise InputError(f"a formula cannot be called with y and {len(arguments)} further numbers: {error}") from None


def _compare(
    record: Callable[[str, str], None], name: str, got: Any, truth: Sequence[float], noise: Sequence[float],
    tolerance: float, where: str,
) -> None:  # fmt: skip
    if not isinstance(got, tuple) or len(got) != len(truth):
        record(name, f"must be a tuple of {len(truth)} number(s), got {got!r} {where}")
        return
    scale = max(abs(v) for v in truth)
    for k, (a, b, e) in enumerate(zip(got, truth, noise, strict=True)):
        allowed = tolerance * max(abs(b), 1e-3 * scale, 1e-8) + 10.0 * (e if math.isfinite(e) else 0.0)
        if not abs(a - b) <= allowed:
            part = f"component {k} " if len(truth) > 1 else ""
            off = abs(a - b) / max(abs(b), 1e-300)
            record(name, f"{part}is {a:.8g} {where}, but the log-density gives {b:.8g} (off by {off:.1e})")
            return


def _expected(
    family: Family, formulas: dict[str, Callable[..., Any]], second: Callable[..., Any], point: tuple[float, ...],
    arguments: tuple[float, ...],
) -> tuple[list[float], list[float]] | None:  # fmt: skip
    """E[observed] by summation or quadrature over the support, with its error; None where neither converges."""
    density = formulas["log_density"]
    if isinstance(family, (ExponentialDispersion, NegativeBinomial)):
        return (
            None if not isinstance(family, ExponentialDispersion) else _at_the_mean(family, formulas, point, arguments)
        )
    size = len(second(_responses(family)[0], arguments))
    total, mass = np.zeros(size), 0.0
    s = family.support
    if s.integer:
        for y in range(int(max(s.lower, 0)), 2000):
            f = math.exp(_call(density, float(y), arguments))
            total += f * np.array(second(float(y), arguments))
            mass += f
            if mass > 1 - 1e-13:
                break
    else:
        from scipy.integrate import quad

        def weigh(y: float, k: int) -> float:
            value = _call(density, y, arguments)
            f = math.exp(value) if math.isfinite(value) else 0.0
            return f * (1.0 if k < 0 else float(second(y, arguments)[k])) if f > 1e-300 else 0.0

        mass = quad(weigh, s.lower, s.upper, args=(-1,), limit=200)[0]
        total = np.array([quad(weigh, s.lower, s.upper, args=(k,), limit=200)[0] for k in range(size)])
    if abs(mass - 1.0) > 1e-6:
        return None
    return total.tolist(), [1e-6 * abs(v) + 1e-7 for v in total]


def _at_the_mean(
    family: Family, formulas: dict[str, Callable[..., Any]], point: tuple[float, ...], arguments: tuple[float, ...]
) -> tuple[list[float], list[float]] | None:
    """Observed information is linear in y: its expectation is its value at y = mu."""
    y = point[0]
    if bool(family.support.outside(np.array([y]))[0]):
        return None
    value = [float(v) for v in _call(formulas["observed"], y, arguments)]
    return value, [1e-12 * abs(v) for v in value]


def _compiled(
    family: Family, log_density: Callable[..., Any], responses: list[float], points: list[tuple[float, ...]],
    supports: tuple[str, ...],
) -> str:  # fmt: skip
    """Empty where compiled and plain formulas agree, else what differs."""
    from ._jit import compiled, is_own
    from .families.differences import tupled

    if is_own(type(family)):
        return ""
    try:
        kernel = compiled(tupled(log_density), cached=False)
        for point in points:
            arguments = _arguments(point, supports) + family.constants
            for y in responses:
                a, b = kernel(y, arguments), _call(log_density, y, arguments)
                if math.isfinite(b) and abs(a - b) > 1e-12 * max(1.0, abs(b)):
                    return f"compiled log_density is {a:.17g} at y = {y:g}, plain Python gives {b:.17g}"
    except Exception as error:  # Numba has many kinds
        why = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        return f"not compiled, runs as plain Python: {why[:120]}"
    return ""
