"""Linear algebra of a few columns, for compiled code: columns stand as rows of a matrix, contiguous.

Matrices may be larger than the system: its size is that of the vectors.
"""

from __future__ import annotations

import math

from .elementary import widest
from .linalg import EPS


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


def combine(z, beta, count, out):
    """out = z'beta of the first `count` rows of z, four at a time."""
    m, j = out.size, 0
    for i in range(m):
        out[i] = 0.0
    while j + 4 <= count:
        b0, b1, b2, b3 = beta[j], beta[j + 1], beta[j + 2], beta[j + 3]
        for i in range(m):
            out[i] += b0 * z[j, i] + b1 * z[j + 1, i] + b2 * z[j + 2, i] + b3 * z[j + 3, i]
        j += 4
    while j < count:
        b0 = beta[j]
        for i in range(m):
            out[i] += b0 * z[j, i]
        j += 1


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


def moments_of(y, w):
    """Sums of w, of w y and of w y^2, and the numbers of entries with y = 0 and y = 1."""
    total = first = second = zeros = ones = 0.0
    for i in range(y.size):
        v = w[i] * y[i]
        total += w[i]
        first += v
        second += v * y[i]
        zeros += 1.0 if y[i] == 0.0 else 0.0
        ones += 1.0 if y[i] == 1.0 else 0.0
    return total, first, second, zeros, ones


def largest(a):
    """The largest magnitude of the entries; NaN does not count."""
    top = 0.0
    for i in range(a.size):
        top = max(top, abs(a[i]))
    return top


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


def products(a, b, m, out):
    """Add a b' of m columns to out, four by four: both have a multiple of four rows."""
    widest()
    for i in range(0, a.shape[0], 4):
        for j in range(0, b.shape[0], 4):
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
            for r in range(m):
                a0, a1, a2, a3 = a[i, r], a[i + 1, r], a[i + 2, r], a[i + 3, r]
                b0, b1, b2, b3 = b[j, r], b[j + 1, r], b[j + 2, r], b[j + 3, r]
                s00 += a0 * b0
                s01 += a0 * b1
                s02 += a0 * b2
                s03 += a0 * b3
                s10 += a1 * b0
                s11 += a1 * b1
                s12 += a1 * b2
                s13 += a1 * b3
                s20 += a2 * b0
                s21 += a2 * b1
                s22 += a2 * b2
                s23 += a2 * b3
                s30 += a3 * b0
                s31 += a3 * b1
                s32 += a3 * b2
                s33 += a3 * b3
            for k, t in enumerate(((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23),
                                   (s30, s31, s32, s33))):  # fmt: skip
                out[i + k, j] += t[0]
                out[i + k, j + 1] += t[1]
                out[i + k, j + 2] += t[2]
                out[i + k, j + 3] += t[3]


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


def solve(information, scale, lower, pivot, score, step, rest):
    """step = information^-1 score; where the smallest squared pivot is small, refined once on its residual."""
    q = scale.size
    for j in range(q):
        step[j] = score[j]
    substitute(scale, lower, step)
    if pivot > 0.01:
        return
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


VECTORS = (
    dot,
    dots,
    gram,
    products,
    sums,
    squares,
    shift,
    combine,
    predict,
    pearson_of,
    moments_of,
    largest,
)  # sums in any order, several at a time
HELPERS = (independent, combination, factorise, substitute, solve, invert)
