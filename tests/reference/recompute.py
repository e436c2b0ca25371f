"""Recompute the reference files from their data alone and compare every stored value.

    python tests/reference/recompute.py                  all files (some minutes)
    python tests/reference/recompute.py glm strd         some files
    python tests/reference/recompute.py glm trees        the cases of a file whose name contains a word

One line per case: values compared, worst agreement in digits (16: the same double), Newton decrement.
"""

import json
import math
import pathlib
import sys
import time
from fractions import Fraction

import mpmath as mp
import numpy as np
from formulas import get_family, get_link
from mpmath import mpf
from oracle import certify, gram, mean_model, newton, read, start_values
from scipy.optimize import linprog

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = ("glm", "extra", "negative_binomial", "strd", "hard_starts", "separation", "separation_random")
NEED = 14.0


def load(group):
    return json.loads((HERE / f"{group}.json").read_text())["cases"]


def digits(stored, true):
    """Correct digits of a stored double: relative, absolute where the true value is zero."""
    error = abs(mpf(stored) - true) / (abs(true) if abs(true) > mpf("1e-30") else 1)
    if error < mpf(2) ** -53 or float(true) == stored:
        return 16.0
    return float(-mp.log10(error))


def compare(stored, fresh, path=""):
    """(digits, where) for every number present in both."""
    if isinstance(stored, dict):
        for key in stored:
            if key in fresh:
                yield from compare(stored[key], fresh[key], f"{path}.{key}")
    elif isinstance(stored, list):
        for i, (a, b) in enumerate(zip(stored, fresh, strict=True)):
            yield from compare(a, b, f"{path}[{i}]")
    elif isinstance(stored, str):
        if stored != fresh:
            yield -1.0, path
    elif stored is not None:
        yield digits(stored, mpf(fresh)), path


# ---- separation ------------------------------------------------------------------------------------------


def direction_signs(case):
    """Which way each row's predictor may go for ever: 1 up, -1 down, 0 not at all."""
    up = {0.0: -1, 1.0: 1} if case["family"] == "binomial" else {0.0: -1}
    return [up.get(y, 0) for y in case["y"]]


def independent_columns(rows):
    """Columns that are not combinations of earlier ones, and those on which no dependency acts; exact."""
    A, pivots, r = [list(map(Fraction, row)) for row in rows], [], 0
    width = len(rows[0]) if rows else 0
    for j in range(width):
        i = next((i for i in range(r, len(A)) if A[i][j]), None)
        if i is None:
            continue
        A[r], A[i] = A[i], A[r]
        A[r] = [v / A[r][j] for v in A[r]]
        A = [row if i == r or not row[j] else [a - row[j] * b for a, b in zip(row, A[r], strict=True)]
             for i, row in enumerate(A)]  # fmt: skip
        pivots.append(j)
        r += 1
    free = [j for j in range(width) if j not in pivots]
    return pivots, [j for i, j in enumerate(pivots) if not any(A[i][f] for f in free)]


def coefficient_status(rows, signs, names, finite):
    """Signs that each coefficient takes over all recession directions (linear programs in doubles)."""
    A, s = np.array(rows, float), np.array(signs)
    fixed, moving = A[s == 0], -s[s != 0, None] * A[s != 0]
    status = {}
    for j, name in enumerate(names):
        reach = set()
        for sign in (1, -1):
            c = np.zeros(len(names))
            c[j] = -sign
            lp = linprog(c, A_ub=moving, b_ub=0 * moving[:, 0], A_eq=fixed, b_eq=0 * fixed[:, 0], bounds=(-1, 1))
            if -lp.fun > 1e-7:
                reach.add("+inf" if sign > 0 else "-inf")
        status[name] = "finite" if j in finite else reach.pop() if len(reach) == 1 else "sign_indeterminate"
    return status


def certify_separated(case):
    """The labels proved, and the limit.

    A direction moves the separated rows and no other (verified in fractions); the others have a finite
    maximum with positive definite information, so that nothing can move them.
    """
    d = read(case)
    rows = [[Fraction(float(v)) for v in row] for row in zip(*d.X, strict=True)]
    signs, separated = direction_signs(case), case["separated_rows"]
    direction = case.get("recession_direction") or dict.fromkeys(d.names, 0)
    direction = [Fraction(direction[name]).limit_denominator(10**6) for name in d.names]
    for row, sign, label in zip(rows, signs, separated, strict=True):
        move = sum(a * b for a, b in zip(row, direction, strict=True))
        if move * sign < 0 or (sign == 0 and move != 0) or (move != 0) != bool(label):
            raise ArithmeticError("the recession direction does not separate these rows")
    rest = [i for i in range(case["n"]) if not separated[i]]
    pivots, finite = independent_columns([rows[i] for i in rest])
    left = {**case, "fit_intercept": False, "n": len(rest), "columns": [d.names[j] for j in pivots]}
    left["X"] = {d.names[j]: [d.X[j][i] for i in rest] for j in pivots}
    left |= {key: [case[key][i] for i in rest] for key in ("y", "weights", "counts") if key in case}
    fit = certify(left) if rest else {"params": {}, "se": {}, "loglik": 0, "deviance": 0}
    limit = [mpf(case["y"][i]) for i in range(case["n"])]
    if rest:
        r, link, family = read(left), get_link(case["link"]), get_family(case)
        e = newton(mean_model(r, family, link[1]), start_values(r, link[0]))[1]
        for i, m in zip(rest, e.mu, strict=True):
            limit[i] = m
    names = [d.names[j] for j in finite]
    params, se = ({n: fit[key][n] for n in names} for key in ("params", "se"))
    return {"params": params, "se": se, "params_finite": params, "se_finite": se,
            "loglik_supremum": fit["loglik"], "deviance_infimum": fit["deviance"], "fitted_limit": limit,
            "n_separated": sum(separated), "decrement": fit.get("decrement", 0),
            "coefficient_status": coefficient_status(rows, signs, d.names, finite)}  # fmt: skip


def certify_boundary(case):
    """Identity link, one covariate pattern x0 at fitted mean 0: x0'b = 0 eliminates the intercept."""
    d = read(case)
    x0 = [mpf(v) for v in case["boundary_row_values"]]
    active = [list(row) == x0 for row in zip(*d.X, strict=True)]
    inner = [i for i, a in enumerate(active) if not a]
    y = [case["y"][i] for i in inner]
    X = {n: [x[i] - x0[j] / x0[0] * d.X[0][i] for i in inner]
         for j, (n, x) in enumerate(zip(d.names, d.X, strict=True)) if j}  # fmt: skip
    r = read({**case, "fit_intercept": False, "X": X, "y": y, "n": len(y)})
    family, link = get_family(case), get_link(case["link"])
    b = mp.lu_solve(gram(r.X, [mpf(1)] * len(y)), mp.matrix([mp.fdot(x, [mpf(3)] * len(y)) for x in r.X]))
    b, e = newton(mean_model(r, family, link[1]), b)
    beta = [-mp.fdot(x0[1:], b) / x0[0], *b]
    pull = mp.fdot(e.u, [d.X[0][i] for i in inner]) / x0[0]  # the inner rows' score is pull * x0
    if any(case["y"][i] for i, a in enumerate(active) if a) or not sum(active) - pull > 0:
        raise ArithmeticError("not a boundary maximum")
    value = -2 * e.value
    ll = mp.fsum(family.logf(mpf(v), m, 1) for v, m in zip(y, e.mu, strict=True))
    return {"params": dict(zip(d.names, beta, strict=True)), "deviance": value, "loglik": ll, "decrement": 0}


def certify_nist(case):
    """Least squares on the doubles of the file; on the published decimals it must give what was published."""
    with mp.workdps(110):
        out = certify(case)
        X = case["X"]
        powers = {c: [mpf(repr(v)) ** int(c[2:]) for v in X["x"]] for c in X if c.startswith("x^")}
        exact = {**case, "X": {**X, **powers}}
        decimal = certify(exact, number=lambda v: v if isinstance(v, mpf) else mpf(repr(v)))
        published = {k: decimal.get(k) for k in ("params", "se") if k in decimal}
        if "dispersion" in decimal:
            published["residual_sd"] = mp.sqrt(decimal["dispersion"])
        agree = min(a for a, _ in compare(case["nist_certified"], published))
        if agree < (14.0 if not case.get("exact_fit") else 15.0):
            raise ArithmeticError(f"published values: {agree:.1f} digits only")
        return out


def recompute(group, case):
    if group.startswith("separation"):
        return certify_separated(case)
    if group == "strd":
        return certify_nist(case)
    return certify_boundary(case) if case.get("boundary") else certify(case, profile="profile_ci" in case)


def check(group, case):
    """Compare one case with its recomputation; True when every value has 14 digits."""
    start = time.time()
    fresh = recompute(group, case)
    found = sorted(compare(case, fresh))
    worst, where = found[0]
    decrement = mpf(fresh.get("decrement", 0))
    good = worst >= NEED and decrement < mpf("1e-28") and not math.isnan(worst)
    where = f" ({where.lstrip('.')})" if worst < 16 else ""
    seconds = time.time() - start
    print(
        f"{'ok  ' if good else 'FAIL'} {group}/{case['name']}: {len(found)} values, "
        f"worst {worst:.1f} digits{where}, decrement {mp.nstr(decrement, 2)}, {seconds:.1f} s",
        flush=True,
    )
    return good


def main(arguments):
    groups = [a for a in arguments if a in GROUPS] or GROUPS
    words = [a for a in arguments if a not in GROUPS]
    results = [check(g, c) for g in groups for c in load(g) if all(w in c["name"] for w in words)]
    print(f"{sum(results)} of {len(results)} cases reproduced")
    return sum(results) < len(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
