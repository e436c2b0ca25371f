"""Kinds of covariance by their names: "HC3", "cluster", "cluster(CR3)", "HAC", "HAC(8)"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import InputError, InputTypeError

KINDS = ("expected", "observed", "opg", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC")
CORRECTIONS = ("CR0", "CR1", "CR3")


@dataclass(frozen=True)
class CovType:
    """A kind of covariance: the correction where it is by cluster, the lags (None: by default) where it is HAC."""

    kind: str
    correction: str | None = None
    lags: int | None = None

    def __str__(self) -> str:
        detail = self.correction if self.lags is None else self.lags
        return self.kind if detail is None else f"{self.kind}({detail})"

    def lags_for(self, n: int) -> int:
        """Lags for n rows: by default floor(4 (n / 100)^(2/9)) (Newey & West, 1994)."""
        return int(4.0 * (n / 100.0) ** (2.0 / 9.0)) if self.lags is None else self.lags


#: the kinds that have no detail: every fit reads one, several times
PLAIN = {kind: CovType(kind) for kind in KINDS if kind not in ("cluster", "HAC")}


def covariance_shown(name: str, form: str = ", {}") -> str:
    """The words for a kind of covariance beside what rests on it; none for that of the model, which is the rule."""
    return "" if name in ("", "expected") else form.format(f"{name} covariance")


def read_cov_type(given: Any, correction: Any = None, lags: Any = None, without: Sequence[str] = ()) -> CovType:
    """Read the name of a kind of covariance, and what is given beside it.

    Kinds in `without` are those that a model does not have: an error does not offer them.

    Raises
    ------
    InputError, InputTypeError
        For a kind, correction or number of lags that there is not, or that the kind has no use for.
    """
    if correction is None and lags is None and isinstance(given, str) and given in PLAIN:
        return PLAIN[given]
    found = re.fullmatch(r"(\w+)(?:\((\w+)\))?", given) if isinstance(given, str) else None
    if found is None or found[1] not in KINDS or (found[2] is not None and found[1] not in ("cluster", "HAC")):
        offered = ", ".join(repr(kind) for kind in KINDS if kind not in without)
        raise InputError(f"cov_type: {given!r} is not known; choose one of {offered}, 'cluster(CR0)' and 'HAC(8)' for "
                         "8 lags, say")  # fmt: skip
    out, detail = CovType(found[1]), found[2]
    if out.kind == "cluster":
        correction = detail if correction is None else correction
        correction = "CR1" if correction is None else correction
        if correction not in CORRECTIONS:
            raise InputError(f"correction: {correction!r} is not known; choose one of "
                             f"{', '.join(map(repr, CORRECTIONS))}")  # fmt: skip
        out = replace(out, correction=correction)
    elif correction is not None:
        raise InputError(f"correction={correction!r} is for cov_type='cluster', not for {out.kind!r}; leave it out")
    if out.kind == "HAC":
        if detail is not None and lags is None:
            if not detail.isdecimal():
                raise InputError(f"cov_type: {given!r} has no number of lags; write 'HAC(8)', say")
            lags = int(detail)
        if lags is not None and (isinstance(lags, bool) or not hasattr(lags, "__index__")):
            raise InputTypeError(f"lags must be a whole number of at least 0, got {lags!r}")
        if lags is not None and int(lags) < 0:
            raise InputError(f"lags must be a whole number of at least 0, got {lags}")
        out = replace(out, lags=None if lags is None else int(lags))
    elif lags is not None:
        raise InputError(f"lags={lags!r} is for cov_type='HAC', not for {out.kind!r}; leave it out")
    return out


__all__ = ["CORRECTIONS", "KINDS", "CovType", "read_cov_type"]
