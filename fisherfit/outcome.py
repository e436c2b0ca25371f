"""What a test of a model returns, and how its arguments are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .diagnostics import Diagnostics
from .errors import InputTypeError


@dataclass(frozen=True)
class Check:
    """The result of a test.

    Attributes
    ----------
    name : str
        The test.
    null : str
        What holds if the p-value is the chance of such a statistic.
    statistic, p_value : float
        The statistic and its p-value.
    law : str
        The distribution of the statistic where the null hypothesis holds.
    details : dict
        What else was computed.
    """

    name: str
    null: str
    statistic: float
    p_value: float
    law: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        p = f"p = {self.p_value:.3g}" if not self.p_value < 1e-300 else "p < 1e-300"
        lines = [f"{self.name}: {self.statistic:.5g} ({self.law}), {p}", f"null hypothesis: {self.null}"]
        lines += [f"{key}: {value:.6g}"
                  for key, value in self.details.items() if isinstance(value, float)]  # fmt: skip
        return "\n".join(lines)


def of_diagnostics(diagnostics: Any) -> Diagnostics:
    """Diagnostics; an error that says how to make them."""
    if not isinstance(diagnostics, Diagnostics):
        raise InputTypeError(
            f"expected the diagnostics of a fit, model.diagnostics(X, y), got {type(diagnostics).__name__}"
        )
    return diagnostics


__all__ = ["Check", "of_diagnostics"]
