"""Fisher scoring for many small groups of rows, compiled: a fast lane for fits that are regular.

The rules are those of `solver.natural_gradient`: expected information far from the maximum, observed information
near it, Armijo's rule with rounding slack, an end by the decrement, and a last full evaluation to which standard
errors and deviance belong. A group whose path is not regular is handed back with a status, and goes the long way
through `fitting.maximise`, where separation, boundaries and hard cases are known.

The compiled loop does not depend on the family: it is given the family's row kernel as a first-class function. In
these functions kind 2 is EXPECTED and 3 is OBSERVED information, as in `kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blocks import two_product
from .linalg import EPS, POOR
from .small import (
    combination,
    dot,
    dots,
    factorise,
    gram,
    independent,
    invert,
    largest,
    pearson_of,
    predict,
    shift,
    solve,
    squares,
    substitute,
    sums,
)
from .solver import FLOOR, NEAR, SLACK

#: how the path of a group ended: REGULAR groups are done, and INFINITE ones, whose limit was known from the start
REGULAR, INFINITE, EXTREME, INFEASIBLE, POOR_INFORMATION, LIMIT, STALLED, MOVING, EMPTY, EDGE, LONG = range(11)
MOVES = 1e-3  # as in `fitting`: a last step that moves some linear predictor by more asks for the separation check
NEAR_EDGE = 1e-7  # linear predictors this near an end of their range, in units of the largest, go the long way
DOUBTFUL = 10.0 * POOR  # smallest pivot of the scaled information below which the columns' rank is examined
LARGEST = 1e200  # columns whose sum of squares is beyond it, or below its inverse, go the long way
#: columns of the table of numbers that a fit leaves for every group
LOGLIK, PEARSON, DISTANCE, STEPS, RANK, STATUS = range(6)


def standardise(source, start, dense, centred, z, centre, scale):
    """z = (source - centre) * scale for dense columns, as `blocks.make_design` has it; False for extreme numbers.

    The scale is a power of two, and 0 for a column that is all zero; columns of zeros and ones that stand for levels
    are left as they are.
    """
    m = z.shape[1]
    for j in range(source.shape[0]):
        x = source[j, start : start + m]
        first, second, square = sums(x)
        centre[j], scale[j] = 0.0, 1.0 if square > 0.0 else 0.0
        if dense[j]:
            if not (square == 0.0 or 1.0 / LARGEST < square < LARGEST):
                return False
            spread = square / m
            if centred and second == 0.0:  # constant: zero beside the intercept
                centre[j], spread = x[0], 0.0
            elif centred:
                mean = x[0] + first / m
                spread = second / m - (first / m) * (first / m)
                if not spread > 1e-4 * (second / m):  # the first row is an outlier
                    spread = squares(x, mean) / m
                short = np.float64(np.float32(mean))  # few digits, so that x - centre is exact where it can be
                off = abs(short - mean)
                centre[j] = short if short != 0.0 and off * off <= spread else mean
            scale[j] = math.ldexp(1.0, -math.frexp(math.sqrt(spread))[1]) if spread > 0.0 else 0.0
        shift(x, centre[j], scale[j], z[j])
    return True


def evaluate(rows, constants, kind, z, beta, y, weight, offset, eta, u, w, score, information):
    """The log-likelihood at beta, with its score and (kind EXPECTED or OBSERVED) its information, lower triangle."""
    predict(z, beta, offset, eta[0])
    value = rows(y, weight, eta, constants, kind, u, w)
    dots(u[0], z, beta.size, score)
    gram(z, beta.size, w[0], information)
    return value


def distance_of(score, step, phi):
    """The decrement s'd / phi; infinite where it is no number."""
    value = abs(dot(score, step) / phi)
    return value if value < math.inf else math.inf


def length_of(scale, beta):
    """The Fisher length of the coefficients without their signs."""
    total = 0.0
    for j in range(beta.size):
        total += (beta[j] / scale[j]) * (beta[j] / scale[j])
    return math.sqrt(total) if total < math.inf else 0.0


def climb(rows, constants, canonical, has_dispersion, floor, total, count, max_iter, tol, loglik, z, beta, y,
          weight, offset, eta, u, w, score, information, scale, lower, step, newton, newton_scale,
          there):  # fmt: skip
    """From beta, evaluated there, to the maximum: (status, log-likelihood, decrement, phi, steps)."""
    q = beta.size
    newton_here, previous, iteration, kind, slot = False, math.inf, 0, 2, step[1]
    step = step[0]
    if not abs(loglik) < math.inf:
        return INFEASIBLE, loglik, math.inf, 1.0, 0
    while True:
        phi = max(-2.0 * loglik / count, floor) if has_dispersion else min(1.0, total)
        pivot = factorise(information, scale, lower)
        if kind == 3 and not pivot > POOR:
            kind, newton_here = 2, False
            loglik = evaluate(rows, constants, 2, z, beta, y, weight, offset, eta, u, w, score, information)
            continue
        if not pivot > POOR:
            return POOR_INFORMATION, loglik, math.inf, phi, iteration
        solve(information, scale, lower, pivot, score, step, slot)
        if kind == 3:
            newton_here = True
            for j in range(q):
                newton_scale[j] = scale[j]
                for k in range(j + 1):
                    newton[j, k] = lower[j, k]
        decrement = distance_of(score, step, phi)
        if kind == 2 and newton_here and decrement < NEAR:
            for j in range(q):  # the last full evaluation: its step by the observed information just before it
                step[j] = score[j]
            substitute(newton_scale, newton, step)
            decrement = max(decrement, distance_of(score, step, phi))
        length = length_of(scale, beta)
        rounding = min(max(FLOOR, (16.0 * EPS * length) ** 2 / phi), 1e-6)
        settled = decrement <= tol or (decrement <= rounding and decrement >= 0.25 * previous)
        if has_dispersion and phi <= floor and iteration > 0:  # an exact fit: what is left is rounding
            if kind != 2:
                loglik = evaluate(rows, constants, 2, z, beta, y, weight, offset, eta, u, w, score,
                                  information)  # fmt: skip
                pivot = factorise(information, scale, lower)
                if not pivot > POOR:
                    return POOR_INFORMATION, loglik, math.inf, phi, iteration
                solve(information, scale, lower, pivot, score, step, slot)
            return REGULAR, loglik, decrement, phi, iteration
        if settled and kind == 2 and (canonical or newton_here or decrement <= tol):
            return REGULAR, loglik, decrement, phi, iteration
        if iteration >= max_iter:
            return LIMIT, loglik, decrement, phi, iteration
        previous = decrement
        near = decrement < NEAR * max(1, q)
        kind = 3 if near and not canonical else 2
        if decrement <= FLOOR and (canonical or newton_here):
            kind = 2
        iteration += 1
        gain = dot(score, step)
        slack = SLACK * (abs(loglik) + phi * count)
        if gain < 1e-6 * phi:  # so near the maximum, a step may gain less than rounding takes
            slack += 8.0 * EPS * math.sqrt(phi) * length
        t, accepted = 1.0, False
        for _ in range(40):
            moved = False
            for j in range(q):
                there[j] = beta[j] + t * step[j]
                moved = moved or there[j] != beta[j]
            now = evaluate(rows, constants, kind, z, there, y, weight, offset, eta, u, w, slot, information)
            if abs(now) < math.inf and distance_of(slot, slot, 1.0) < math.inf:
                change = now - loglik
                if change >= 1e-4 * t * gain - slack:
                    accepted = True
                    break
                curvature = 2.0 * (t * gain - change)
                t = min(max(t * t * gain / curvature if curvature > 0.0 else 0.5 * t, 0.1 * t), 0.5 * t)
            else:
                t *= 0.3
            if not moved:
                break
        if not accepted:
            return STALLED, loglik, decrement, phi, iteration
        loglik = now
        for j in range(q):
            beta[j], score[j] = there[j], slot[j]


def vanishing(upper, kept, column, centre, scale, intercept, work, null):
    """null[j] = the combination of columns as given that vanishes, for every column j that is not kept."""
    for j in range(column.size):
        before = combination(upper, kept, j, work)
        if before < kept.size and kept[before] == j:
            continue
        out = null[column[j]]
        for k in range(out.size):
            out[k] = 0.0
        out[column[j]] = scale[column[j]]
        for k in range(before):
            out[column[kept[k]]] = -work[k] * scale[column[kept[k]]]
        if intercept:
            for k in range(1, out.size):
                out[0] -= out[k] * centre[k]


def sandwich(z, u, covariance, squared, meat, half):
    """covariance = covariance (sum of u u') covariance."""
    q = z.shape[0]
    for i in range(u.size):
        squared[i] = u[i] * u[i]
    gram(z, q, squared, meat)
    for j in range(q):
        for k in range(q):
            half[j, k] = 0.0
            for i in range(q):
                half[j, k] += covariance[j, i] * (meat[i, k] if k <= i else meat[k, i])
    for j in range(q):
        for k in range(q):
            meat[j, k] = 0.0
            for i in range(q):
                meat[j, k] += half[j, i] * covariance[i, k]
    for j in range(q):
        for k in range(q):
            covariance[j, k] = meat[j, k]


def to_columns(beta, step, covariance, column, centre, scale, intercept, coefficients, errors):
    """Coefficients on the columns as given, and their standard errors.

    The intercept may be a difference of large numbers: its sum is taken with the errors of products and sums.
    """
    q = beta.size
    for j in range(1 if intercept else 0, q):
        s = scale[column[j]]
        coefficients[column[j]] = beta[j] * s + step[j] * s
        errors[column[j]] = s * math.sqrt(covariance[j, j])
    if not intercept:
        return
    value, lost, variance = beta[0], step[0], covariance[0, 0]
    for j in range(1, q):
        c, s = centre[column[j]], scale[column[j]]
        for slope in (beta[j] * s, step[j] * s):
            product, error = two_product(-c, slope)
            total = value + product
            back = total - value
            lost += (value - (total - back)) + (product - back) + error
            value = total
        variance -= 2.0 * c * s * covariance[0, j]
        for k in range(1, q):
            variance += c * s * centre[column[k]] * scale[column[k]] * covariance[j, k]
    coefficients[0], errors[0] = value + lost, math.sqrt(variance)


def compress(z, column, kept):
    """Move the kept columns to the front."""
    for k in range(kept.size):
        j = kept[k]
        column[k] = column[j]
        if k < j:
            z[k] = z[j]


def room(p: int, rows: int) -> np.ndarray:
    """Memory for the fits of groups of at most this many rows."""
    return np.empty(10 * p + 4 * p * p + (2 * p + 5) * rows)


def make_fit(stamp: str) -> Callable[..., Any]:
    """The loop over groups; `stamp` makes its cache on disk one of these sources."""
    from . import native

    borrowed: Any = native.borrowed

    def fit(rows, x, y, weight, offset, target, edges, start, infinite, floor, total, count, dense, constants,
            limits, intercept, canonical, has_dispersion, robust, max_iter, tol, coefficients, errors, numbers,
            null, room, places):  # fmt: skip
        """Fit group after group: rows edges[g] to edges[g + 1] of x (columns, rows), y, weight and offset.

        `start` is the linear predictor of the mean; without intercept `target` has one for every row. `infinite`
        groups have a limit that is known: of them the rank is found. `limits` are the ends of the range of linear
        predictors. Leaves coefficients on the columns as given (NaN for aliased ones), standard errors at phi = 1,
        and `numbers`. null[g, j] is, for an aliased column j, the combination of columns that vanishes in the group.
        `room` and `places`, (2, p) whole numbers, are memory to work in.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        x, y, weight, offset, constants, dense, coefficients, errors, null, room, places = (
            borrowed(x), borrowed(y), borrowed(weight), borrowed(offset), borrowed(constants), borrowed(dense),
            borrowed(coefficients), borrowed(errors), borrowed(null), borrowed(room), borrowed(places),
        )  # fmt: skip
        p = x.shape[0]
        centre, scale, rounding, room = room[:p], room[p : 2 * p], room[2 * p : 3 * p], room[3 * p :]
        vectors, room = room[: 7 * p].reshape((7, p)), room[7 * p :]
        square, room = room[: 4 * p * p].reshape((4, p, p)), room[4 * p * p :]
        information, lower, newton, covariance = square[0], square[1], square[2], square[3]
        most = room.size // (2 * p + 5)
        basis_store, row_store, store = room[: (p + 1) * most], room[(p + 1) * most :], room[(p + 5) * most :]
        kept, column = places[0], places[1]
        for g in range(edges.size - 1):
            a, b = edges[g], edges[g + 1]
            m = b - a
            for j in range(p):
                coefficients[g, j] = errors[g, j] = math.nan
            for j in range(numbers.shape[1]):
                numbers[g, j] = math.nan
            numbers[g, STEPS], numbers[g, RANK] = 0.0, 0.0
            z = store[: p * m].reshape((p, m))
            if not standardise(x, a, dense, intercept, z, centre, scale):
                numbers[g, STATUS] = EXTREME
                continue
            eta, u = row_store[:m].reshape((1, m)), row_store[m : 2 * m].reshape((1, m))
            w, work = row_store[2 * m : 3 * m].reshape((1, m)), row_store[3 * m : 4 * m]
            q = 0
            for j in range(p):  # columns of zeros: levels that do not occur, constants beside an intercept
                column[j] = j
                if scale[j] > 0.0:
                    kept[q] = j
                    q += 1
                else:
                    for k in range(p):
                        null[g, j, k] = 1.0 if k == j else 0.0
                    if intercept:
                        null[g, j, 0] = -centre[j]
            if q == 0:
                numbers[g, STATUS] = EMPTY
                continue
            compress(z, column, kept[:q])
            yg, wg, og = y[a:b], weight[a:b], offset[a:b]
            examined, loglik = False, 0.0
            if infinite[g]:  # the limit is known, the rank of the rows is not
                for i in range(m):
                    w[0, i], u[0, i] = wg[i], 0.0
            elif not intercept:
                # one weighted least-squares step from linear predictors between the data and their mean
                for i in range(m):
                    eta[0, i] = target[a + i]
                rows(yg, wg, eta, constants, 2, u, w)
                for i in range(m):
                    w[0, i] = w[0, i] if abs(w[0, i]) < math.inf else 0.0
                    u[0, i] = w[0, i] * (target[a + i] - og[i])
            while True:
                beta, score, d, newton_scale = vectors[0, :q], vectors[1, :q], vectors[2, :q], vectors[3, :q]
                there, steps = vectors[4, :q], vectors[5:7, :q]
                zq = z[:q]
                for j in range(q):
                    beta[j] = 0.0
                if intercept and not infinite[g]:
                    beta[0] = start[g]
                    loglik = evaluate(rows, constants, 2, zq, beta, yg, wg, og, eta, u, w, score, information)
                else:
                    gram(zq, q, w[0], information)
                    dots(u[0], zq, q, score)
                pivot = factorise(information, d, lower)
                if examined or pivot > DOUBTFUL:
                    break
                examined = True
                for j in range(q):  # the size of the entries: what their rounding errors are relative to
                    k = column[j]
                    rounding[j] = largest(x[k, a:b]) * scale[k] if dense[k] else 1.0
                basis = basis_store[: (q + 1) * m].reshape((q + 1, m))
                found = independent(zq, rounding, basis, lower, kept)
                if found == q:
                    break
                vanishing(lower, kept[:found], column[:q], centre, scale, intercept, vectors[0], null[g])
                compress(z, column, kept[:found])
                q = found
            numbers[g, RANK] = q
            if not pivot > POOR:
                numbers[g, STATUS] = POOR_INFORMATION
                continue
            if infinite[g]:
                numbers[g, STATUS] = INFINITE
                for j in range(q):
                    coefficients[g, column[j]], errors[g, column[j]] = 0.0, math.inf
                continue
            if not intercept:
                solve(information, d, lower, pivot, score, beta, there)
                loglik = evaluate(rows, constants, 2, zq, beta, yg, wg, og, eta, u, w, score, information)
            status, loglik, decrement, phi, iterations = climb(
                rows, constants, canonical, has_dispersion, floor[g], total[g], count[g], max_iter, tol, loglik, zq,
                beta, yg, wg, og, eta, u, w, score, information, d, lower, steps, newton, newton_scale, there,
            )  # fmt: skip
            numbers[g, LOGLIK], numbers[g, STEPS], numbers[g, STATUS] = loglik, iterations, status
            if status != REGULAR:
                continue
            step = steps[0]
            near = NEAR_EDGE * largest(eta[0])
            for i in range(m):
                if min(abs(eta[0, i] - limits[0]), abs(eta[0, i] - limits[1])) <= near:
                    numbers[g, STATUS] = EDGE
                    break
            if numbers[g, STATUS] == EDGE:
                continue
            reach = 0.0
            for j in range(q):
                reach += abs(step[j])
            small = reach * math.sqrt(m) * 16.0 < MOVES
            if not small:
                for i in range(m):
                    eta[0, i] = 0.0
                predict(zq, step, eta[0], work)
                small = largest(work) <= MOVES
            if not small or not distance_of(step, step, 1.0) < math.inf:
                numbers[g, STATUS] = MOVING
                continue
            noise = 0.0  # what rounding can add to the distance: eps times the Fisher length of the coefficients
            for j in range(q):
                noise += information[j, j] * (beta[j] + step[j]) ** 2
            numbers[g, PEARSON] = pearson_of(u[0], w[0])
            numbers[g, DISTANCE] = math.sqrt(decrement + EPS * EPS * noise / phi)
            invert(d, lower, newton, covariance)
            if robust:
                sandwich(zq, u[0], covariance, work, information, newton)
            to_columns(beta, step, covariance, column, centre, scale, intercept, coefficients[g], errors[g])

    return fit


HELPERS = (standardise, evaluate, distance_of, length_of, climb, vanishing, sandwich, to_columns, compress, two_product)
