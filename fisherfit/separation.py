"""Separation: does the maximum-likelihood estimate exist, and if not, which rows and coefficients run away?

A direction v of recession moves linear predictors only where that does not lower the likelihood: rows at an end of
their range move towards that end, all others stay. One linear program with bounded gains has the largest set of
separated rows as its solution. Sources: Albert & Anderson (1984), Konis (2007), Correia, Guimaraes & Zylkin (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy  # its parts are loaded when they are named

BOTH_LINKS = ("logit", "probit", "cloglog", "loglog", "cauchit")
BINOMIAL_FAMILIES = ("binomial", "bernoulli")
COUNT_FAMILIES = ("poisson", "negative_binomial", "geometric", "tweedie")
LEAST = 1e-7  # what a linear program, run at tolerance 1e-9, takes for zero


@dataclass(frozen=True)
class Separation:
    """What is known of infinite estimates; false where there are none.

    Attributes
    ----------
    rows : boolean array of shape (n,)
        The separated rows: their fitted value is at an end of its range.
    coefficients : dict of str to str
        "+inf", "-inf" or "sign_indeterminate" for every infinite coefficient.
    """

    rows: np.ndarray
    coefficients: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows.any())

    def __repr__(self) -> str:
        if not self:
            return "Separation(none)"
        return f"Separation({int(self.rows.sum())} rows, {self.coefficients})"


@dataclass(frozen=True, eq=False)
class Found:
    """The separated rows, a direction that separates all of them, and the constraints that signs must obey.

    `cone` is the matrix C of the constraints C v >= 0. Where it holds some of them only, `widen` gives more that the
    columns of a matrix of directions break; it returns none when they break none.
    """

    rows: np.ndarray
    direction: np.ndarray
    cone: np.ndarray
    signs: np.ndarray
    widen: Callable[[np.ndarray], np.ndarray] | None = None


def row_signs(family: str, link: str, y: np.ndarray, present: np.ndarray) -> np.ndarray | None:
    """+1 or -1 where the likelihood of a row still rises as its linear predictor goes to that infinity, else 0.

    None where the model's estimates always exist.
    """
    if family in BINOMIAL_FAMILIES and link in BOTH_LINKS:
        signs = np.where(y == 1.0, 1, np.where(y == 0.0, -1, 0))
    elif link == "log" and (family in COUNT_FAMILIES or family in BINOMIAL_FAMILIES):
        signs = np.where(y == 0.0, -1, 0)
    else:
        return None
    return np.where(present, signs, 0)


def recession(x: np.ndarray, signs: np.ndarray, present: np.ndarray) -> Found | None:
    """The separated rows, a direction that separates all of them, and all constraints of directions.

    Parameters
    ----------
    x : array of shape (n, p)
        The design, standardised, of full column rank.
    signs : array of shape (n,)
        From `row_signs`.
    present : boolean array of shape (n,)
        False for rows of weight zero.

    Returns
    -------
    Found or None
        None without separation.
    """
    fixed = present & (signs == 0)
    basis = null_basis(x[fixed], x.shape[1])
    if basis.shape[1] == 0:
        return None
    gains, moving = row_gains(x, signs, basis)
    if not moving.any():
        return None
    unique, inverse = np.unique(np.round(gains[moving], 12), axis=0, return_inverse=True)
    direction = largest_support(unique)
    if direction is None:
        return None
    gain = unique @ direction
    rows = np.zeros(x.shape[0], bool)
    rows[moving] = (gain > LEAST)[inverse.ravel()]
    if not rows.any():
        return None
    return Found(rows, basis @ direction, unique @ np.linalg.pinv(basis), signs)


def row_gains(x: np.ndarray, signs: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each row gains by the directions of a basis, of length 1; True for the rows that gain or lose anything."""
    gains = (x * signs[:, None]) @ basis
    size = np.linalg.norm(x, axis=1)
    gains[np.abs(gains) < 1e-10 * np.maximum(size, 1e-300)[:, None]] = 0.0
    norm = np.linalg.norm(gains, axis=1)
    moving = norm > 1e-9 * np.maximum(size, 1e-300)
    return gains / np.where(moving, norm, 1.0)[:, None], moving


def null_basis(fixed: np.ndarray, p: int) -> np.ndarray:
    """An orthonormal basis of the directions that leave the fixed rows alone."""
    if fixed.shape[0] == 0:
        return np.eye(p)
    (r,) = scipy.linalg.qr(fixed, mode="r", check_finite=False)
    r = r[:p]
    scale = np.linalg.norm(r, axis=0)
    scale[scale == 0.0] = 1.0
    _, s, vt = np.linalg.svd(r / scale)
    rank = int((s > 1e-11 * max(s[0], 1e-300) * max(fixed.shape)).sum()) if s.size else 0
    return np.asarray(vt[rank:].T / scale[:, None])


def largest_support(gains: np.ndarray) -> np.ndarray | None:
    """The v with gains @ v >= 0 that makes as many gains positive as can be, each at least 1 where possible."""
    m, k = gains.shape
    cost = np.concatenate([np.zeros(k), -np.ones(m)])
    matrix = scipy.sparse.hstack([scipy.sparse.csr_array(-gains), scipy.sparse.eye_array(m)], format="csr")
    bounds = [(None, None)] * k + [(0.0, 1.0)] * m
    options = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}
    answer = scipy.optimize.linprog(cost, A_ub=matrix, b_ub=np.zeros(m), bounds=bounds, method="highs", options=options)
    if answer.x is None:
        return None
    v, z = answer.x[:k], answer.x[k:]
    if not (z > 0.5).any():
        return None
    gain = gains @ v
    gain[gain < LEAST * max(1.0, float(np.abs(gain).max()))] = 0.0
    return np.asarray(v)


def coefficient_signs(found: Found, infinite: np.ndarray, jacobian: np.ndarray, basis: np.ndarray) -> list[str]:
    """The sign of every infinite coefficient over all directions of recession.

    `cone @ v >= 0` and v in the span of `basis` are the directions, `jacobian` maps v to the user's coefficients.
    """
    basis = basis / np.linalg.norm(basis, axis=0)
    cone = found.cone
    for _ in range(100):
        ends, reached = _ends(cone, infinite, jacobian, basis)
        if found.widen is None or not reached:
            break
        more = found.widen(np.column_stack(reached))
        if not more.size:
            break
        cone = np.vstack([cone, more])
    words = {(True, True): "sign_indeterminate", (True, False): "+inf", (False, True): "-inf"}
    return [words.get(pair, "finite") for pair in ends]


def _ends(
    cone: np.ndarray, infinite: np.ndarray, jacobian: np.ndarray, basis: np.ndarray
) -> tuple[list[tuple[bool, bool]], list[np.ndarray]]:
    """Whether each coefficient can go up, down; the directions that show it."""
    inner = cone @ basis
    inner[np.abs(inner) < 1e-8 * np.linalg.norm(cone, axis=1)[:, None]] = 0.0  # rows that these directions leave alone
    out, reached = [], []
    for j in infinite:
        target = jacobian[j] @ basis
        target = target / (np.abs(target).max() or 1.0)
        ends = []
        for sign in (1.0, -1.0):
            answer = scipy.optimize.linprog(-sign * target, A_ub=-inner, b_ub=np.zeros(inner.shape[0]),
                                      bounds=[(-1.0, 1.0)] * basis.shape[1], method="highs")  # fmt: skip
            ends.append(bool(answer.x is not None and -answer.fun > 1e-6))
            if ends[-1]:
                reached.append(basis @ answer.x)
        out.append((ends[0], ends[1]))
    return out, reached
