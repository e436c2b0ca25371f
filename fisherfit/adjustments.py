"""What is added to the score so that the estimates are less biased: mean, median and Jeffreys adjustments.

With C = (X'WX)^-1 of the expected information at dispersion 1, h_i = w_i x_i'C x_i the leverage, d and d2 the first two
derivatives of the mean in the linear predictor, and V the variance function, the adjusted score of the coefficients is
(in units of 1 / phi)

    mean     X'u + phi X'{h d2 / (2 d)}                                  Kosmidis & Firth (2009), Biometrika 96, 793-804
    median   the same - phi X'WX m,  m_r = sum_i w_i (x_i'C_r)^3 / C_rr {d2 / (2 d) - d V' / (6 V)}_i
                                     Kosmidis, Kenne Pagui & Sartori (2020), Statistics and Computing 30, 43-59
    jeffreys X'u + phi X'{h (2 d2 / d - d V' / V) / 2}, the gradient of l / phi + log|F| / 2      Firth (1993)

The median adjustment is about single coefficients, so that it is made in the user's coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import coordinates
from ._jit import compile_kernel, forgiving, is_own, source_stamp
from .elementary import widest
from .errors import InputError
from .families import ExponentialDispersion, Family, NegativeBinomial
from .kernels import _restricted, _unpacked
from .leverage import inverse_root, quadratic_forms
from .likelihood import Likelihood, expand
from .links import Power

KINDS = ("mean", "median", "jeffreys")
STEP = 1e-3  # of the linear predictor, in differences of an information that has no derivative


def check_adjustable(family: Family, kind: str) -> None:
    """One error for a family that lacks what an adjustment needs."""
    if isinstance(family, (ExponentialDispersion, NegativeBinomial)):
        return
    if len(family.parameters) > 1:
        raise InputError(
            f"bias_reduction: the {family.name} family has {len(family.parameters)} parameters; it is there for "
            "families with one parameter (or a dispersion) and for the negative binomial"
        )
    if family.formulas().fisher is None:
        raise InputError(
            f"bias_reduction={kind!r} needs the expected information of the {family.name} family; "
            "write its `fisher`, or unit_deviance and unit_variance (see ExponentialDispersion)"
        )
    if kind != "jeffreys":
        raise InputError(
            f"bias_reduction={kind!r} needs the variance function of the {family.name} family, which only "
            "subclasses of ExponentialDispersion have; bias_reduction='jeffreys' needs no more than `fisher`"
        )


def is_unbiased(family: Family, link: Any, kind: str) -> bool:
    """True where the adjustment is zero: means that are linear in the coefficients, information that is constant."""
    if not isinstance(family, ExponentialDispersion):
        return False
    if kind == "jeffreys":
        return (family.name, link.name) in (("normal", "identity"), ("poisson", "sqrt"), ("gamma", "log"))
    return link.name == "identity" and (kind == "mean" or family.name == "normal")


def adjustment(
    likelihood: Likelihood, family: Family, theta: np.ndarray, kind: str, phi: float, information: np.ndarray,
    covariance: np.ndarray, free: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """phi times what is added to the score at dispersion 1.

    Parameters
    ----------
    likelihood, family, theta
        The model and the point, in standardised coordinates.
    kind : {"mean", "median", "jeffreys"}
        The adjustment.
    phi : float
        The dispersion.
    information, covariance : array of shape (size, size)
        The expected information at dispersion 1 and its inverse on the free coordinates, 0 elsewhere.
    free : boolean array of shape (size,)
        Coordinates that are identified.

    Returns
    -------
    array of shape (size,), 0 where not free
    """
    p = likelihood.designs[0].width
    if phi == 0.0:
        return np.zeros(theta.size)
    w = likelihood.row_terms(theta)[1][0]
    h = w * quadratic_forms(likelihood, [inverse_root(covariance[:p, :p])])[0]
    eta = likelihood.linear_predictor(theta)
    joint = theta.size > p
    d, bend, skew = curvature(likelihood, family, eta, float(theta[-1]) if joint else None, kind)
    with np.errstate(all="ignore"):
        rate = 0.5 * (2.0 * bend - skew if kind == "jeffreys" else bend)
        added = np.where(h > 0.0, h * rate, 0.0)
    out = np.zeros(theta.size)
    if joint:
        from .adjusted_alpha import adjustment_of_alpha

        out[p], more = adjustment_of_alpha(likelihood, family, theta, eta, h, d, kind, float(information[p, p]))
        added = added + more
    out[:p] = likelihood.weighted_sums(None, added)[1]
    if kind == "median":
        with np.errstate(all="ignore"):
            third = np.where(w > 0.0, w * (0.5 * bend - skew / 6.0), 0.0)
        inner = free[:p]
        shift = _median_shift(likelihood, covariance[:p, :p], third, inner)
        out[:p][inner] -= information[:p, :p][np.ix_(inner, inner)] @ shift
    return np.where(free, phi * out, 0.0)


def _median_shift(likelihood: Likelihood, covariance: np.ndarray, third: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The vector m of the user's coefficients, as one of the free standardised coefficients."""
    design = likelihood.designs[0]
    rows = np.stack([coordinates.contrast(design, int(design.position[k])) for k in np.flatnonzero(inner)])
    rows /= np.abs(rows).max(axis=1, keepdims=True)  # m_r / scale_r does not depend on the scale of the coefficient
    across = covariance @ rows.T
    variance = np.einsum("rj,jr->r", rows, across)
    m = cubic_sums(likelihood, across, third) / variance
    return np.asarray(np.linalg.solve(rows[:, inner], m))


def cubic_sums(likelihood: Likelihood, directions: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """sum_i weight_i (x_i' direction)^3 for every column of `directions`, stripe by stripe."""
    design = likelihood.designs[0]

    def add(start: int, stop: int, size: int) -> np.ndarray:
        total = np.zeros(directions.shape[1])
        for begin in range(start, stop, size):
            end = min(begin + size, stop)
            z = expand(design, begin, end) @ directions
            total += weight[begin:end] @ (z * z * z)
        return total

    out = np.zeros(directions.shape[1])
    for part in likelihood.each_stripe(add):
        out += part
    return out


def curvature(
    likelihood: Likelihood, family: Family, eta: np.ndarray, alpha: float | None, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dmu/deta, d2mu/deta2 / dmu/deta and V'(mu) dmu/deta / V for every row.

    For a family without a variance function the last is such that w'/w is 2 d2/d less it, w' by differences.
    """
    out = np.zeros((3, eta.size))
    constants = likelihood.kernels.constants if alpha is None else np.array([alpha])
    kernel = _curves(family, likelihood.kernels.links[0])
    kernel(np.ascontiguousarray(eta), constants, out)
    if not isinstance(family, (ExponentialDispersion, NegativeBinomial)):
        assert kind == "jeffreys"
        out[2] = 2.0 * out[1] - _log_slope(likelihood, eta)
    return out[0], out[1], out[2]


def _log_slope(likelihood: Likelihood, eta: np.ndarray) -> np.ndarray:
    """d log w / d eta by differences of fourth order."""
    step = STEP * np.maximum(1.0, np.abs(eta))

    def log_weight(k: float) -> np.ndarray:
        return np.asarray(np.log(likelihood.terms_at((eta + k * step)[None])[1][0]))

    with np.errstate(all="ignore"):
        return np.asarray(
            (8.0 * (log_weight(1.0) - log_weight(-1.0)) - (log_weight(2.0) - log_weight(-2.0))) / (12.0 * step)
        )


def _nb_variance(mu, alpha):
    return mu * (1.0 + alpha * mu), 1.0 + 2.0 * alpha * mu


def _no_variance(*theta):
    return 1.0, 0.0


_kernels: dict[Any, Callable[..., Any]] = {}


def _curves(family: Family, link: Any) -> Callable[..., Any]:
    """The loop over rows of a family with its link, compiled once."""
    if isinstance(family, NegativeBinomial):
        variance, constants = _nb_variance, 1
    elif isinstance(family, ExponentialDispersion):
        variance, constants = type(family).unit_variance, len(family.fields)
    else:
        variance, constants = _no_variance, len(family.fields)
    support = next(iter(family.parameters.values()))
    key = (variance, link, support, constants)
    if key not in _kernels:
        own = is_own(type(family)) and not isinstance(link, Power)
        made = _make_curves(
            _restricted(link.inverse, support), variance, _unpacked(constants), source_stamp() if own else ""
        )
        name = f"curves_{family.name}_{link.name}"
        made.__name__ = made.__qualname__ = "".join(c if c.isalnum() else "_" for c in name)
        _kernels[key] = compile_kernel(made, True) if own else forgiving(made)
    return _kernels[key]


def _make_curves(
    link: Callable[..., Any], variance: Callable[..., Any], unpack: Callable[..., Any], stamp: str
) -> Callable[..., Any]:
    def curves(eta, constants, out):
        """d, d2 / d and d V' / V, a column for every row."""
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        widest()
        given = unpack(constants)
        for i in range(eta.size):
            theta, d, d2 = link(eta[i])
            v, slope = variance(*(theta + given))
            out[0, i] = d
            out[1, i] = d2 / d
            out[2, i] = slope * (d / v)

    return curves


__all__ = ["KINDS", "adjustment", "check_adjustable", "cubic_sums", "curvature", "is_unbiased"]
