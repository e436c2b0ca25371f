"""Checks of what a mixture of regressions was constructed with, before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..choices import one_of
from ..errors import InputError, InputTypeError
from ..families import Family, get_family
from ..links import Link, check_pair, get_link
from ..mixtures.mixture import Mixture


def check_settings(model: Any) -> tuple[tuple[Family, ...], tuple[tuple[Link, ...], ...]]:
    """Check the constructor's arguments; for every component the family and a link for each of its parameters."""
    k = whole("n_components", model.n_components, 1)
    families = [get_family(family) for family in each("family", model.family, k)]
    families = [family.with_dispersion() if family.has_dispersion else family for family in families]  # type: ignore[attr-defined]
    links = tuple(links_of(family, link) for family, link in zip(families, each("link", model.link, k), strict=True))
    if isinstance(model.shared, str) or not isinstance(model.shared, (Sequence, np.ndarray, frozenset, set)):
        raise InputTypeError(f"shared: expected a list of names, such as ['x1'], got {model.shared!r}")
    one_of("weight_type", model.weight_type, ("frequency", "analytic"))
    one_of("missing", model.missing, ("raise", "drop"))
    if model.n_init is not None:
        whole("n_init", model.n_init, 1)
    whole("max_iter", model.max_iter, 0)
    if isinstance(model.tol, bool) or not isinstance(model.tol, (int, float, np.floating)) or not model.tol >= 0:
        raise InputError(f"tol must be a number of at least 0, got {model.tol!r}")
    if not isinstance(model.fit_intercept, (bool, np.bool_)):
        raise InputTypeError(f"fit_intercept must be True or False, got {model.fit_intercept!r}")
    return tuple(families), links


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def each(name: str, value: Any, count: int) -> list[Any]:
    """One value for every component, from a list or from a value for all."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise InputError(f"{name} has {len(value)} entries, and there are n_components={count}; give one for each, or "
                         "one for all")  # fmt: skip
    return list(value)


def links_of(family: Family, link: Any) -> tuple[Link, ...]:
    """The links of a family's parameters: that of the first as given, log for further ones that are positive."""
    first, *others = family.parameters
    if link is None:
        own = get_link(family.default_links.get(first) or family.canonical_link or family.default_link(first))
    else:
        own = get_link(link)
    check_pair(own, family.parameters[first], family.name)
    positive = ("positive", "nonnegative")
    return (
        own,
        *(
            get_link("log" if family.parameters[name] in positive else family.default_link(name))
            for name in others
        ),
    )  # fmt: skip


def responsibilities(start: Any, mixture: Mixture, units: np.ndarray | None) -> list[np.ndarray]:
    """Where to begin, as probabilities (K, units): from labels, probabilities, or parameters by their names."""
    if start is None:
        return []
    k, n = mixture.mixing.count, mixture.components.n if units is None else units.size
    if isinstance(start, Mapping) or hasattr(start, "items"):
        return [from_params(dict(start.items()), mixture)]
    values = np.asarray(start)
    if values.dtype.kind not in "iufb":
        raise InputTypeError(f"start has dtype {values.dtype}; give labels 0 to {k - 1}, probabilities or parameters")
    if values.ndim == 2:
        if (
            values.shape[1] != k
            or not np.all(np.isfinite(values))
            or (values < 0).any()
            or not values.any(axis=1).all()
        ):
            raise InputError(f"start: probabilities must be of shape (n, {k}), at least 0 and not all 0 in a row, got "
                             f"shape {values.shape}")  # fmt: skip
        r = values / values.sum(axis=1, keepdims=True)
    elif values.ndim == 1:
        bad = (values != np.rint(values)) | (values < 0) | (values >= k)
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"start has the label {values[row]} at row {row}; labels are 0 to {k - 1}")
        r = np.eye(k)[values.astype(int)]
    else:
        raise InputError(f"start must be labels (n,) or probabilities (n, {k}), got shape {values.shape}")
    if len(r) == n and units is not None:
        first = np.full(mixture.units, -1)
        rows = np.flatnonzero(units >= 0)[::-1]
        first[units[rows]] = rows
        r = r[first]
    elif len(r) != mixture.units:
        raise InputError(f"start has {len(r)} rows, the data have {n}")
    return [np.ascontiguousarray(r.T)]


def from_params(given: Mapping[str, Any], mixture: Mixture) -> np.ndarray:
    """The posterior probabilities (K, units) at parameters by the names of the result."""
    components: Any = mixture.components
    try:
        value = {str(name): float(v) for name, v in given.items()}
        with np.errstate(all="ignore"):
            theta = np.concatenate([mixture.mixing.from_report(value), components.from_report(value)])
            r = mixture.posterior(theta)
    except KeyError as error:
        raise InputError(f"start has no parameter {error.args[0]!r}; give all of result_.params") from None
    except (TypeError, ValueError):
        raise InputError("start: parameters must be numbers by their names, as in result_.params") from None
    if not np.all(np.isfinite(theta)) or not r.any(axis=1).all():
        raise InputError("start: the likelihood is 0 at these parameters; choose others")
    return np.ascontiguousarray(r.T)


def model_name(families: Sequence[Family], links: Sequence[tuple[Link, ...]]) -> str:
    """What summaries call the mixture."""
    names = list(dict.fromkeys(
        f"{family.name.removesuffix('_dispersed')} ({link[0].name} link)"
        for family, link in zip(families, links, strict=True)
    ))  # fmt: skip
    return f"Mixture of {len(families)} regressions, {' and '.join(names)}"


__all__ = ["check_settings", "each", "links_of", "model_name", "responsibilities", "whole"]
