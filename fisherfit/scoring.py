"""Fisher scoring for many small groups of rows, compiled: a fast lane for fits that are regular.

The rules are those of `solver.natural_gradient`: expected information far from the maximum, observed information
near it, Armijo's rule with rounding slack, an end by the decrement, and a last full evaluation to which standard
errors and deviance belong. A group whose path is not regular is handed back with a status, and goes the long way
through `fitting.maximise`, where separation, boundaries and hard cases are known.

The compiled loop does not depend on the family: it is given the family's row kernel as a first-class function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from . import _jit
from .blocks import two_product
from .linalg import EPS, POOR
from .solver import FLOOR, NEAR, SLACK

#: how the path of a group ended: REGULAR groups are done, and INFINITE ones, whose limit was known from the start
REGULAR, INFINITE, EXTREME, INFEASIBLE, POOR_INFORMATION, LIMIT, STALLED, MOVING, EMPTY, LONG = range(10)
MOVES = 1e-3  # as in `fitting`: a last step that moves some linear predictor by more asks for the separation check
DOUBTFUL = 10.0 * POOR  # smallest pivot of the scaled information below which the columns' rank is examined
LARGEST = 1e200  # columns whose sum of squares is beyond it, or below its inverse, go the long way
#: columns of the table of numbers that a fit leaves for every group
LOGLIK, PEARSON, DISTANCE, STEPS, RANK, STATUS = range(6)


def dot(a, b):
    """a'b; compiled with reassociation, so that the sum is taken in vectors."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


def dots(a, z, count, out):
    """out[k] = a'z_k for the first `count` rows of z, four sums at a time."""
    k, m = 0, a.size
    while k + 4 <= count:
        t0 = t1 = t2 = t3 = 0.0
        for i in range(m):
            v = a[i]
            t0 += v * z[k, i]
            t1 += v * z[k + 1, i]
            t2 += v * z[k + 2, i]
            t3 += v * z[k + 3, i]
        out[k], out[k + 1], out[k + 2], out[k + 3] = t0, t1, t2, t3
        k += 4
    while k + 2 <= count:
        t0 = t1 = 0.0
        for i in range(m):
            v = a[i]
            t0 += v * z[k, i]
            t1 += v * z[k + 1, i]
        out[k], out[k + 1] = t0, t1
        k += 2
    if k < count:
        t0 = 0.0
        for i in range(m):
            t0 += a[i] * z[k, i]
        out[k] = t0


def predict(z, beta, offset, out):
    """out = offset + z'beta, two columns at a time."""
    m, q = out.size, beta.size
    for i in range(m):
        out[i] = offset[i]
    j = 0
    while j + 2 <= q:
        b, c = beta[j], beta[j + 1]
        for i in range(m):
            out[i] += b * z[j, i] + c * z[j + 1, i]
        j += 2
    if j < q:
        b = beta[j]
        for i in range(m):
            out[i] += b * z[j, i]


def sums(x):
    """Sums of x - x_0, of its square and of the square of x."""
    first, second, square = 0.0, 0.0, 0.0
    for i in range(x.size):
        d = x[i] - x[0]
        first += d
        second += d * d
        square += x[i] * x[i]
    return first, second, square


def squares(x, centre):
    """The sum of the squares of x - centre."""
    total = 0.0
    for i in range(x.size):
        total += (x[i] - centre) * (x[i] - centre)
    return total


def shift(x, centre, scale, out):
    """out = (x - centre) * scale."""
    for i in range(x.size):
        out[i] = (x[i] - centre) * scale


def pearson_of(u, w):
    """The sum of u^2 / w over rows with information: of weight (y - mu)^2 / V."""
    total = 0.0
    for i in range(u.size):
        total += u[i] * u[i] / w[i] if w[i] > 0.0 else 0.0
    return total


def largest(a):
    """The largest magnitude of the entries; NaN does not count."""
    top = 0.0
    for i in range(a.size):
        top = max(top, abs(a[i]))
    return top


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


def independent(z, rounding, basis, upper, kept):
    """kept[:found] = the columns that are no combination of those before them: `linalg.independent_columns`, by rows.

    Column j is the combination of basis vectors that column j of `upper` holds.
    """
    p, most, found = z.shape[0], 1.0, 0
    for j in range(p):
        most = max(most, rounding[j])
        norm = math.sqrt(dot(z[j], z[j]))
        rest = basis[found]
        for i in range(rest.size):
            rest[i] = z[j, i] / norm
        for k in range(p):
            upper[k, j] = 0.0
        for _ in range(2):  # twice is enough (Parlett, 1980)
            for k in range(found):
                along = dot(basis[k], rest)
                upper[k, j] += along * norm
                for i in range(rest.size):
                    rest[i] -= along * basis[k, i]
        size = math.sqrt(dot(rest, rest))
        if size > 16.0 * EPS * p * most:
            for i in range(rest.size):
                rest[i] /= size
            upper[found, j] = size * norm
            kept[found] = j
            found += 1
    return found


def combination(upper, kept, j, out):
    """out[k] = the coefficients of column j, a combination, on the kept columns before it; returns their number."""
    before = 0
    while before < kept.size and kept[before] < j:
        before += 1
    for a in range(before - 1, -1, -1):
        t = upper[a, j]
        for b in range(a + 1, before):
            t -= upper[a, kept[b]] * out[b]
        out[a] = t / upper[a, kept[a]]
    return before


def gram(z, q, w, information):
    """information = z diag(w) z' of the first q rows of z, two by two; its lower triangle counts."""
    j = 0
    while j < q:
        j1, k = min(j + 1, q - 1), 0
        while k <= j1:
            k1 = min(k + 1, j1)
            t00 = t01 = t10 = t11 = 0.0
            for i in range(w.size):
                a, b = w[i] * z[j, i], w[i] * z[j1, i]
                c, d = z[k, i], z[k1, i]
                t00 += a * c
                t01 += a * d
                t10 += b * c
                t11 += b * d
            information[j, k], information[j, k1], information[j1, k], information[j1, k1] = t00, t01, t10, t11
            k += 2
        j += 2


def evaluate(rows, constants, kind, z, beta, y, weight, offset, eta, u, w, score, information):
    """The log-likelihood at beta, with its score and (kind EXPECTED or OBSERVED) its information, lower triangle."""
    predict(z, beta, offset, eta[0])
    value = rows(y, weight, eta, constants, kind, u, w)
    dots(u[0], z, beta.size, score)
    gram(z, beta.size, w[0], information)
    return value


def factorise(information, scale, lower):
    """information = D L L' D; returns the smallest squared pivot of L L', 0 where there is no factor.

    The reciprocals are kept: those of D in `scale`, those of the diagonal of L on the diagonal of `lower`.
    """
    q = scale.size
    for j in range(q):
        d = information[j, j]
        if not (d > 0.0 and d < math.inf):
            return 0.0
        scale[j] = 1.0 / math.sqrt(d)
    least = 1.0
    for j in range(q):
        rest = 1.0
        for k in range(j):
            t = information[j, k] * scale[j] * scale[k]
            for i in range(k):
                t -= lower[j, i] * lower[k, i]
            lower[j, k] = t * lower[k, k]
            rest -= lower[j, k] * lower[j, k]
        if not rest > 0.0:
            return 0.0
        least = min(least, rest)
        lower[j, j] = 1.0 / math.sqrt(rest)
    return least


def substitute(scale, lower, out):
    """out = information^-1 out, by the factor."""
    q = scale.size
    for j in range(q):
        t = out[j] * scale[j]
        for k in range(j):
            t -= lower[j, k] * out[k]
        out[j] = t * lower[j, j]
    for j in range(q - 1, -1, -1):
        t = out[j]
        for k in range(j + 1, q):
            t -= lower[k, j] * out[k]
        out[j] = t * lower[j, j]
    for j in range(q):
        out[j] *= scale[j]


def solve(information, scale, lower, score, step, rest):
    """step = information^-1 score, refined once on its residual."""
    q = scale.size
    for j in range(q):
        step[j] = score[j]
    substitute(scale, lower, step)
    for j in range(q):
        t = score[j]
        for k in range(q):
            t -= (information[j, k] if k <= j else information[k, j]) * step[k]
        rest[j] = t
    substitute(scale, lower, rest)
    for j in range(q):
        step[j] += rest[j]


def invert(scale, lower, inverse, covariance):
    """covariance = information^-1 from its factor, by way of the inverse of the factor."""
    q = scale.size
    for j in range(q):
        inverse[j, j] = lower[j, j]
        for k in range(j):
            t = 0.0
            for i in range(k, j):
                t -= lower[j, i] * inverse[i, k]
            inverse[j, k] = t * inverse[j, j]
    for j in range(q):
        for k in range(j + 1):
            t = 0.0
            for i in range(j, q):
                t += inverse[i, j] * inverse[i, k]
            covariance[j, k] = covariance[k, j] = t * scale[j] * scale[k]


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


HELPERS = (
    two_product, predict, standardise, independent, combination, evaluate, factorise, substitute, solve, invert,
    distance_of, length_of,
)  # fmt: skip
VECTORS = (dot, dots, gram, sums, squares, shift, pearson_of, largest)  # finite numbers, in any order


def _make_climb() -> Callable[..., Any]:
    def climb(rows, constants, canonical, has_dispersion, floor, total, count, max_iter, tol, loglik, z, beta, y,
              weight, offset, eta, u, w, work, score, information, scale, lower, step, newton, newton_scale,
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
            solve(information, scale, lower, score, step, slot)
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
                    if not factorise(information, scale, lower) > POOR:
                        return POOR_INFORMATION, loglik, math.inf, phi, iteration
                    solve(information, scale, lower, score, step, slot)
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

    return climb


def _make_fit(climb: Any, stamp: str) -> Callable[..., Any]:
    def fit(rows, x, y, weight, offset, target, edges, start, floor, total, count, dense, constants, intercept, canonical,
            has_dispersion, sandwich, max_iter, tol, coefficients, errors, numbers, null):  # fmt: skip
        """Fit group after group: rows edges[g] to edges[g + 1] of x (columns, rows), y, weight and offset.

        `start` is the linear predictor of the mean, NaN where all estimates are infinite; without intercept `target`
        has one for every row. Leaves coefficients on the columns as given (NaN for aliased ones), standard errors
        at phi = 1, and `numbers`. null[g, j] is, for an aliased column j, the combination of columns that vanishes.
        """
        stamp  # noqa: B018  (a closure cell is part of the key of the disk cache)
        p, most = x.shape[0], 1
        for g in range(edges.size - 1):
            most = max(most, edges[g + 1] - edges[g])
        store, basis_store, row_store = np.empty(p * most), np.empty((p + 1) * most), np.empty(4 * most)
        centre, scale, rounding = np.empty(p), np.empty(p), np.empty(p)
        kept, column = np.empty(p, np.int64), np.empty(p, np.int64)
        vectors, square = np.empty((7, p)), np.empty((4, p, p))
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
                if scale[j] > 0.0:
                    column[q] = j
                    if q < j:
                        z[q] = z[j]
                    q += 1
                else:
                    for k in range(p):
                        null[g, j, k] = 1.0 if k == j else 0.0
                    if intercept:
                        null[g, j, 0] = -centre[j]
            if q == 0 or m == 0:
                numbers[g, STATUS] = EMPTY
                continue
            yg, wg, og = y[a:b], weight[a:b], offset[a:b]
            infinite, examined, loglik = math.isnan(start[g]), False, 0.0
            if infinite:  # the limit is known, the rank of the rows is not
                for i in range(m):
                    w[0, i], u[0, i] = wg[i], 0.0
            elif not intercept:
                # one weighted least-squares step from linear predictors between the data and their mean
                for i in range(m):
                    eta[0, i] = target[a + i]
                rows(yg, wg, eta, constants, 2, u, w)
                for i in range(m):
                    w[0, i], u[0, i] = w[0, i] if abs(w[0, i]) < math.inf else 0.0, target[a + i] - og[i]
            while True:
                beta, score, d, newton_scale = vectors[0, :q], vectors[1, :q], vectors[2, :q], vectors[3, :q]
                there, steps = vectors[4, :q], vectors[5:7, :q]
                information, lower, newton, covariance = square[0], square[1], square[2], square[3]
                zq = z[:q]
                for j in range(q):
                    beta[j] = 0.0
                if intercept and not infinite:
                    beta[0] = start[g]
                    loglik = evaluate(rows, constants, 2, zq, beta, yg, wg, og, eta, u, w, score, information)
                else:
                    gram(zq, q, w[0], information)
                    for i in range(m):
                        work[i] = w[0, i] * u[0, i]
                    dots(work, zq, q, score)
                pivot = factorise(information, d, lower)
                if pivot > DOUBTFUL or (examined and pivot > POOR):
                    break
                if examined:
                    break
                examined = True
                basis = basis_store[: (q + 1) * m].reshape((q + 1, m))
                for j in range(q):  # the size of the entries: what their rounding errors are relative to
                    k = column[j]
                    rounding[j] = largest(x[k, a:b]) * scale[k] if dense[k] else 1.0
                found = independent(zq, rounding, basis, square[1], kept)
                if found == q:
                    break
                for j in range(q):
                    k = combination(square[1], kept[:found], j, vectors[0])
                    if k < found and kept[k] == j:
                        continue
                    out = null[g, column[j]]
                    for i in range(p):
                        out[i] = 0.0
                    out[column[j]] = scale[column[j]]
                    for i in range(k):
                        out[column[kept[i]]] = -vectors[0, i] * scale[column[kept[i]]]
                    if intercept:
                        for i in range(1, p):
                            out[0] -= out[i] * centre[i]
                for k in range(found):
                    j = kept[k]
                    column[k] = column[j]
                    if k < j:
                        z[k] = z[j]
                q = found
            numbers[g, RANK] = q
            if not pivot > POOR:
                numbers[g, STATUS] = POOR_INFORMATION
                continue
            if infinite:
                numbers[g, STATUS] = INFINITE
                for j in range(q):
                    coefficients[g, column[j]], errors[g, column[j]] = 0.0, math.inf
                continue
            if not intercept:
                solve(information, d, lower, score, beta, there)
                loglik = evaluate(rows, constants, 2, zq, beta, yg, wg, og, eta, u, w, score, information)
            status, loglik, decrement, phi, iterations = climb(
                rows, constants, canonical, has_dispersion, floor[g], total[g], count[g], max_iter, tol, loglik, zq, beta,
                yg, wg, og, eta, u, w, work, score, information, d, lower, steps, newton, newton_scale, there,
            )  # fmt: skip
            numbers[g, LOGLIK], numbers[g, STEPS], numbers[g, STATUS] = loglik, iterations, status
            if status != REGULAR:
                continue
            step = steps[0]
            for i in range(m):
                eta[0, i] = 0.0
            predict(zq, step, eta[0], work)
            if (
                not (dot(work, work) <= MOVES * MOVES or largest(work) <= MOVES)
                or not distance_of(step, step, 1.0) < math.inf
            ):
                numbers[g, STATUS] = MOVING
                continue
            noise = 0.0
            for j in range(q):
                noise += abs(information[j, j]) * (beta[j] + step[j]) ** 2
            noise = EPS * math.sqrt(noise / phi)
            numbers[g, PEARSON] = pearson_of(u[0], w[0])
            numbers[g, DISTANCE] = math.sqrt(decrement + noise * noise)
            invert(d, lower, newton, covariance)
            if sandwich:  # information^-1 (sum of u u') information^-1
                for i in range(m):
                    eta[0, i] = u[0, i] * u[0, i]
                gram(zq, q, eta[0], information)
                for j in range(q):
                    for k in range(q):
                        t = 0.0
                        for i in range(q):
                            t += covariance[j, i] * (information[i, k] if k <= i else information[k, i])
                        newton[j, k] = t
                for j in range(q):
                    for k in range(q):
                        t = 0.0
                        for i in range(q):
                            t += newton[j, i] * covariance[i, k]
                        lower[j, k] = t
                for j in range(q):
                    for k in range(q):
                        covariance[j, k] = lower[j, k]
            # to the columns as given; the intercept is a difference of what may be large numbers, summed with its errors
            value, lost, variance = 0.0, 0.0, 0.0
            first = 1 if intercept else 0
            for j in range(first, q):
                s = scale[column[j]]
                coefficients[g, column[j]] = beta[j] * s + step[j] * s
                errors[g, column[j]] = s * math.sqrt(covariance[j, j])
            if intercept:
                value, lost = beta[0], step[0]
                variance = covariance[0, 0]
                for j in range(1, q):
                    c, s = centre[column[j]], scale[column[j]]
                    for slope in (beta[j] * s, step[j] * s):
                        product, error = two_product(-c, slope)
                        t = value + product
                        back = t - value
                        lost += (value - (t - back)) + (product - back) + error
                        value = t
                    variance -= 2.0 * c * s * covariance[0, j]
                    for k in range(1, q):
                        variance += c * s * centre[column[k]] * scale[column[k]] * covariance[j, k]
                coefficients[g, column[0]] = value + lost
                errors[g, column[0]] = math.sqrt(variance)

    return fit


def _make_gather() -> Callable[..., Any]:
    def gather(source, order, start, at, out):
        """out[at[j]] = column j of the rows of source; from `start` on, in `order` unless that is empty."""
        for i in range(out.shape[1]):
            row = order[start + i] if order.size else start + i
            for j in range(at.size):
                out[at[j], i] = source[row, j]

    return gather


def _make_levels() -> Callable[..., Any]:
    def levels(codes, order, start, at, out):
        """out[at[k]] = 1 where the code is k, else 0."""
        for k in range(at.size):
            for i in range(out.shape[1]):
                out[at[k], i] = 0.0
        for i in range(out.shape[1]):
            code = codes[order[start + i] if order.size else start + i]
            if code >= 0:
                out[at[code], i] = 1.0

    return levels


def _make_moments() -> Callable[..., Any]:
    def moments(y, weight, edges, out):
        """Sum of w, of w y and of w y^2, and the numbers of rows with y = 0 and y = 1, for every group."""
        for g in range(edges.size - 1):
            for k in range(5):
                out[k, g] = 0.0
            for i in range(edges[g], edges[g + 1]):
                out[0, g] += weight[i]
                out[1, g] += weight[i] * y[i]
                out[2, g] += weight[i] * y[i] * y[i]
                out[3, g] += 1.0 if y[i] == 0.0 else 0.0
                out[4, g] += 1.0 if y[i] == 1.0 else 0.0

    return moments


def _make_dispersions(stamp: str) -> Callable[..., Any]:
    def dispersions(base, y, weight, trials, edges, divides, constants, deviance, count, known, phi, value):
        """phi, where it is NaN, at its maximum for every group, and the sum of base terms there.

        As `dispersion.DispersionLikelihood.maximum`: Newton steps on log phi inside a bracket. `known` has the terms
        of 0, 1, 2, ... where phi and the trials are 1 in every row; it may be empty.
        """
        stamp  # noqa: B018
        for g in range(edges.size - 1):
            a, b = edges[g], edges[g + 1]
            if known.size:
                value[g] = 0.0
                for i in range(a, b):
                    k = int(y[i]) if y[i] < known.size else -1
                    if k >= 0 and k == y[i]:
                        value[g] += weight[i] * known[k]
                    else:
                        value[g] += base(y[i : i + 1], weight[i : i + 1], trials[i : i + 1], 1.0, False, constants)[0]
                continue
            yg, wg, tg, dev = y[a:b], weight[a:b], trials[a:b], deviance[g]
            if math.isnan(phi[g]) and dev > 0.0:
                low, high = -math.inf, math.inf
                x = math.log(dev / count[g])
                for _ in range(100):
                    at = math.exp(x)
                    _, first, second = base(yg, wg, tg, at, divides, constants)
                    slope = at * (first + 0.5 * dev / at / at)
                    curve = slope + at * at * (second - dev / at**3)
                    if slope > 0.0:
                        low = x
                    else:
                        high = x
                    step = -slope / curve if curve < 0.0 else (1.0 if slope > 0.0 else -1.0)
                    step = min(max(step, -2.0), 2.0)
                    if not (low < x + step and x + step < high):
                        bounded = low > -math.inf and high < math.inf
                        step = 0.5 * (low + high) - x if bounded else 0.5 * step
                    if abs(step) < 4e-16 * max(1.0, abs(x)):
                        break
                    x += step
                phi[g] = math.exp(x)
            elif math.isnan(phi[g]):
                phi[g] = 0.0
            value[g] = base(yg, wg, tg, phi[g], divides, constants)[0] if phi[g] > 0.0 else 0.0

    return dispersions


def _types() -> dict[str, Any]:
    from numba import types

    f, i, b = types.float64, types.int64, types.boolean
    v, m, n = types.Array(f, 1, "C"), types.Array(f, 2, "C"), types.Array(i, 1, "C")
    strided = types.Array(f, 2, "A", readonly=True)
    codes = types.Array(types.int32, 1, "A", readonly=True)
    rows = f(v, v, m, v, i, m, m)
    base = types.UniTuple(f, 3)(v, v, v, f, b, v)
    return {
        "rows": rows,
        "base": base,
        "fit": types.void(types.FunctionType(rows), m, v, v, v, v, n, v, v, v, v, types.Array(b, 1, "C"), v, b, b, b, b, i,
                          f, m, m, m, types.Array(f, 3, "C")),
        "gather": types.void(strided, n, i, n, m),
        "levels": types.void(codes, n, i, n, m),
        "moments": types.void(v, v, n, m),
        "dispersions": types.void(types.FunctionType(base), v, v, v, n, b, v, v, v, v, v, v),
    }  # fmt: skip


@cache
def kernels() -> dict[str, Callable[..., Any]]:
    """The compiled loops, made for their one signature on first use."""
    from numba.extending import register_jitable

    for function in HELPERS:
        register_jitable(function)
    for function in VECTORS:
        register_jitable(fastmath={"reassoc", "nsz", "nnan", "contract"})(function)
    climb = register_jitable(_make_climb())
    stamp, signature = _jit.source_stamp(), _types()
    made = {
        "fit": _make_fit(climb, stamp),
        "gather": _make_gather(),
        "levels": _make_levels(),
        "moments": _make_moments(),
        "dispersions": _make_dispersions(stamp),
    }
    return {name: _jit.compile_kernel(function, True, signature[name]) for name, function in made.items()}


def first_class(kernel: Any, which: str) -> Any:
    """A row or base kernel as the compiled loops take it; None where it cannot be compiled."""
    try:
        kernel.compile(_types()[which])
    except Exception:  # a user's formula; the ordinary path runs it and says why
        return None
    return kernel
