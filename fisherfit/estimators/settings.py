"""Checks of what an estimator was constructed with, before any work."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..choices import one_of
from ..covtypes import read_cov_type
from ..errors import InputError, InputTypeError
from ..families import Family, get_family
from ..links import Link, check_pair, get_link
from ..response import WEIGHT_TYPES


def check_settings(model: Any) -> tuple[Family, tuple[Link, ...]]:
    """Check the constructor's arguments; the family and a link for each of its parameters."""
    family = get_family(model.family)
    first, *others = family.parameters
    if model.link is None:
        link = get_link(family.default_links.get(first) or family.canonical_link or family.default_link(first))
    else:
        link = get_link(model.link)
    check_pair(link, family.parameters[first], family.name)
    links = (link, *(get_link(family.default_link(name)) for name in others))
    if model.dispersion is not None:
        if isinstance(model.dispersion, str):
            if model.dispersion not in ("pearson", "deviance", "ml"):
                raise InputError(
                    f"dispersion: {model.dispersion!r} is not known; choose 'pearson', 'deviance', 'ml' or a number"
                )
        elif (
            isinstance(model.dispersion, bool)
            or not isinstance(model.dispersion, (int, float, np.integer, np.floating))
            or not 0 < model.dispersion < np.inf
        ):
            raise InputError(f"dispersion: a number must be positive and finite, got {model.dispersion!r}")
    one_of("weight_type", model.weight_type, WEIGHT_TYPES)
    one_of("missing", model.missing, ("raise", "drop"))
    read_cov_type(model.cov_type)
    if model.bias_reduction is not None:
        from ..adjustments import KINDS, check_adjustable

        if not isinstance(model.bias_reduction, str) or model.bias_reduction not in KINDS:
            raise InputError(f"bias_reduction: {model.bias_reduction!r} is not known; choose one of "
                             f"{', '.join(map(repr, KINDS))}, or None for maximum likelihood")  # fmt: skip
        check_adjustable(family, model.bias_reduction)
        if model.weight_type == "probability":
            raise InputError("bias_reduction adjusts a likelihood, which rows with weight_type='probability' do "
                             "not have; use another weight_type, or leave bias_reduction out")  # fmt: skip
        if model.constraints is not None or model.bounds:
            raise InputError("bias_reduction has no adjusted score under constraints or bounds; leave one of the "
                             "two out")  # fmt: skip
    if isinstance(model.max_iter, bool) or not isinstance(model.max_iter, (int, np.integer)) or model.max_iter < 0:
        raise InputError(f"max_iter must be a whole number of at least 0, got {model.max_iter!r}")
    if not isinstance(model.tol, (int, float, np.floating)) or not model.tol >= 0:
        raise InputError(f"tol must be a number of at least 0, got {model.tol!r}")
    if not isinstance(model.verbose, (int, np.integer, np.bool_)):
        raise InputTypeError(f"verbose must be 0, 1 or 2, got {model.verbose!r}")
    if not isinstance(model.fit_intercept, (bool, np.bool_)):
        raise InputTypeError(f"fit_intercept must be True or False, got {model.fit_intercept!r}")
    return family, links


def check_groups(model: Any, groups: Any) -> None:
    """Refuse groups without a use for them, and clusters without groups."""
    kind = read_cov_type(model.cov_type).kind
    if groups is not None and kind != "cluster":
        raise InputError(f"groups is for cov_type='cluster', not for {kind!r}; leave it out")
    if groups is None and kind == "cluster":
        raise InputError(
            "cov_type='cluster' needs groups=: a label for every row, or the name of a column, or two of either"
        )


__all__ = ["check_groups", "check_settings"]
