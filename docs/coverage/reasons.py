"""Why the coverage of some intervals is not the nominal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """A text, and the cells that it explains: those off in one direction whose keys are listed, all where none is."""

    text: str
    sign: int
    study: tuple[str, ...] = ()
    law: tuple[str, ...] = ()
    n: tuple[int, ...] = ()
    of: tuple[str, ...] = ()

    def explains(self, record: dict[str, Any]) -> bool:
        """True for the cells meant."""
        keys = ("study", "law", "n", "of")
        listed = all(not getattr(self, key) or record[key] in getattr(self, key) for key in keys)
        return listed and self.sign * record["errors"] > 0


def reason(record: dict[str, Any]) -> str:
    """The reason for a cell that is off; a KeyError where none is known."""
    for known in REASONS:
        if known.explains(record):
            return known.text
    raise KeyError("{study}, {law}, n = {n}, {of}: {coverage:.4f} is {errors:+.1f} errors off".format(**record))


REASONS = [
    Reason(
        "Inverse Gaussian, n = 50: Pearson's estimate of phi is too small in most data sets (its median is 0.43 where phi "
        "is 0.5), and the estimates spread 3 to 6 % wider than the information says even where phi is known. With "
        '``dispersion="deviance"``, whose median is 0.49, coverage is 0.94.',
        -1, ("wald",), ("inverse_gaussian",), (50,),
    ),
    Reason(
        "Negative binomial, n = 50: the maximum-likelihood estimate of alpha is too small in most data sets (its median "
        "is 0.42 where alpha is 0.5), and so are the standard errors. With alpha known coverage is 0.95.",
        -1, ("wald",), ("negative_binomial",), (50,), ("mean", "x", "z"),
    ),
    Reason(
        "alpha, n = 50: the interval is made on the log scale, where it is wide when alpha is small; it errs on the "
        "careful side.",
        1, ("wald",), ("negative_binomial",), (50,), ("alpha",),
    ),
]  # fmt: skip
