"""Maximum likelihood of generalized linear models in mpmath: the oracle behind the reference files.

Written for reading, not for speed: 60 decimal digits, no code shared with the package.
``certify(case)`` gives every certified value of a case.
"""

from functools import lru_cache
from types import SimpleNamespace

import mpmath as mp
from formulas import Binomial, Gaussian, InverseGaussian, NegativeBinomial, get_family, get_link
from mpmath import mpf

LEVEL = mpf("0.95")


# ---- data and linear algebra -----------------------------------------------------------------------------


def read(case, number=mpf):
    """The case as columns of mpmath numbers, rows of weight zero left out, the intercept first."""
    kind, n = case.get("weight_kind"), case["n"]
    w = [number(v) for v in case.get("weights") or [1] * n]
    keep = [i for i in range(n) if w[i] > 0]
    y = [number(v) for v in case["y"]]
    if kind == "trials":
        y = [number(k) / v for k, v in zip(case["counts"], w, strict=True)]
    columns = [[number(v) for v in case["X"][c]] for c in case["columns"]]
    names = list(case["columns"])
    if case.get("fit_intercept", True):
        columns, names = [[mpf(1)] * n, *columns], ["(Intercept)", *names]
    offset = [number(v) for v in case.get("offset") or [0] * n]

    def rows(column):
        return [column[i] for i in keep]

    X = [rows(c) for c in columns]
    d = SimpleNamespace(names=names, kind=kind, y=rows(y), w=rows(w), offset=rows(offset), X=X)
    d.n = mp.fsum(d.w) if kind == "frequency" else mpf(len(keep))
    return d


def gram(X, w):
    k = len(X)
    G = mp.zeros(k)
    for i in range(k):
        wx = [a * b for a, b in zip(w, X[i], strict=True)]
        for j in range(i + 1):
            G[i, j] = G[j, i] = mp.fdot(wx, X[j])
    return G


def predictor(d, beta):
    return [o + mp.fdot(beta, row) for o, row in zip(d.offset, zip(*d.X, strict=True), strict=True)]


def positive_definite(A):
    try:
        mp.cholesky(A)
    except (ValueError, ZeroDivisionError):
        return False
    return True


def newton(evaluate, theta):
    """Newton on the observed information (expected while that is not positive definite), with halving."""
    now = evaluate(theta)
    for _ in range(100):
        A = now.observed if positive_definite(now.observed) else now.expected
        step = mp.lu_solve(A, now.score)
        d2 = mp.fdot(step, now.score)
        if d2 <= mpf(10) ** (-1.4 * mp.mp.dps) * (abs(now.value) + mp.fdot(theta, now.observed * theta)):
            return theta, now
        for halving in range(200):
            candidate = theta + step / 2**halving
            new = evaluate(candidate)
            if new and new.value >= now.value - mpf(10) ** (10 - mp.mp.dps) * (1 + abs(now.value)):
                break
        theta, now = candidate, new
    raise ArithmeticError("Newton did not converge")


# ---- the mean model: beta for a given variance function --------------------------------------------------


def mean_model(d, family, inverse):
    def evaluate(beta):
        try:
            eta = predictor(d, beta)
            mu, d1, d2 = zip(*map(inverse, eta), strict=True)
        except (ValueError, ZeroDivisionError):
            return None
        if not all(map(family.inside, mu)):
            return None
        V = [family.V(m) for m in mu]
        r = [w * (y - m) for w, y, m in zip(d.w, d.y, mu, strict=True)]
        u = [a * b / v for a, b, v in zip(r, d1, V, strict=True)]
        w = [a * b**2 / v for a, b, v in zip(d.w, d1, V, strict=True)]
        parts = zip(w, r, d1, d2, V, mu, strict=True)
        j = [a - s * (c / v - family.dV(m) * b**2 / v**2) for a, s, b, c, v, m in parts]
        value = -mp.fsum(a * family.unit(y, m) for a, y, m in zip(d.w, d.y, mu, strict=True)) / 2
        score = mp.matrix([mp.fdot(u, x) for x in d.X])
        return SimpleNamespace(value=value, score=score, expected=gram(d.X, w), observed=gram(d.X, j),
                               mu=mu, V=V, u=u, w=w)  # fmt: skip

    return evaluate


def loglik(d, family, mu, phi):
    """Full log-likelihood. Prior weights: log f at phi/w where phi is free (or binomial), else w log f."""
    rows = zip(d.w, d.y, mu, strict=True)
    if d.kind != "frequency" and (family.free or isinstance(family, Binomial)):
        return mp.fsum(family.logf(y, m, phi / w) for w, y, m in rows)
    return mp.fsum(w * family.logf(y, m, phi) for w, y, m in rows)


def ml_dispersion(d, family, mu, deviance):
    if isinstance(family, (Gaussian, InverseGaussian)) or not deviance:
        return deviance / d.n
    rows = list(zip(d.w, d.y, mu, strict=True))
    start = mp.log(deviance / d.n)

    def equation(log_phi):
        phi = mp.exp(log_phi)
        if d.kind == "frequency":
            return mp.fsum(w * family.dlogf(y, m, phi) for w, y, m in rows)
        return mp.fsum(family.dlogf(y, m, phi / w) for w, y, m in rows)

    return mp.exp(mp.findroot(equation, (start, start + mpf("0.1")), solver="secant", maxsteps=60))


def start_values(d, forward):
    """The linear predictor nearest to the null model's."""
    mean = mp.fdot(d.w, d.y) / mp.fsum(d.w)
    target = [forward(mean) - o for o in d.offset]
    return mp.lu_solve(gram(d.X, [mpf(1)] * len(d.y)), mp.matrix([mp.fdot(x, target) for x in d.X]))


def profile_limit(evaluate, beta, best, j, sign):
    """Venzon & Moolgavkar (1988): Newton for score_k = 0 (k != j) and 2 (max - loglik) = quantile."""
    q = 2 * mp.erfinv(LEVEL) ** 2
    C = best.observed**-1
    b = beta + sign * mp.sqrt(q / C[j, j]) * C[:, j]
    for _ in range(100):
        e = evaluate(b)
        F, A = e.score.copy(), -e.observed
        F[j], A[j, :] = 2 * (best.value - e.value) - q, -2 * e.score.T
        step = mp.lu_solve(A, -F)
        b += step
        if mp.norm(step) <= mpf(10) ** (-mp.mp.dps / 2) * mp.norm(b):
            return b[j]
    raise ArithmeticError("profile limit not found")


def central_differences(value, theta, se):
    """The score by central differences: the formulas above take no part in it."""
    g = mp.matrix(len(theta), 1)
    for j in range(len(theta)):
        h = mp.zeros(len(theta), 1)
        h[j] = se[j] * mpf(10) ** (-mp.mp.dps // 4)
        g[j] = (value(theta + h) - value(theta - h)) / (2 * h[j])
    return g


def label(names, values):
    return dict(zip(names, values, strict=True))


def roots(A, scale=1):
    return [mp.sqrt(scale * A[i, i]) for i in range(A.rows)]


def robust(d, e, Finv):
    """Sandwich standard errors, HC0 to HC3 (MacKinnon & White 1985); none where a row has leverage 1.

    A row of frequency w counts as w rows.
    """
    k, copies = len(d.X), d.w if d.kind == "frequency" else [1] * len(d.y)
    rows = zip(*d.X, strict=True)
    h = [w / c * mp.fdot(x, Finv * mp.matrix(x)) for w, c, x in zip(e.w, copies, rows, strict=True)]
    if max(h) > 1 - mpf("1e-20"):
        return {}
    factors = {"hc0": lambda h: 1, "hc1": lambda h: d.n / (d.n - k), "hc2": lambda h: 1 / (1 - h),
               "hc3": lambda h: 1 / (1 - h) ** 2}  # fmt: skip
    out = {}
    for name, factor in factors.items():
        meat = gram(d.X, [u**2 / c * factor(a) for u, c, a in zip(e.u, copies, h, strict=True)])
        out[f"se_{name}"] = label(d.names, roots(Finv * meat * Finv))
    return out


def criteria(out, d, n_params):
    out |= {"n_params": n_params, "aic": 2 * n_params - 2 * out["loglik"]}
    return out | {"bic": n_params * mp.log(d.n) - 2 * out["loglik"]}


def lr_test(statistic, df, against):
    p = mp.gammainc(mpf(df) / 2, statistic / 2, regularized=True)
    return {"against": against, "statistic": statistic, "df": df, "p_value": p}


def null_deviance(d, family, link):
    """Intercept only, same weights and offset; without an intercept eta = offset (None if invalid)."""
    if "(Intercept)" not in d.names:
        try:
            mu = [link[1](o)[0] for o in d.offset]
        except (ValueError, ZeroDivisionError):
            return None
        if not all(map(family.inside, mu)):
            return None
        return mp.fsum(w * family.unit(y, m) for w, y, m in zip(d.w, d.y, mu, strict=True))
    null = SimpleNamespace(**{**vars(d), "X": [[mpf(1)] * len(d.y)], "names": ["(Intercept)"]})
    return -2 * newton(mean_model(null, family, link[1]), start_values(null, link[0]))[1].value


def certify(case, profile=False, number=mpf):
    """All certified values of a case, and the decrement by differences of the log-likelihood."""
    if case["family"] == "negative_binomial" and "alpha_fixed" not in case:
        return certify_negative_binomial(case)
    d, family, link = read(case, number), get_family(case), get_link(case["link"])
    evaluate = mean_model(d, family, link[1])
    beta, e = newton(evaluate, start_values(d, link[0]))
    deviance, k = -2 * e.value, len(d.X)
    Finv, Jinv = e.expected**-1, e.observed**-1
    if not positive_definite(e.observed):
        raise ArithmeticError("observed information is not positive definite")
    out = {"params": label(d.names, beta), "deviance": deviance, "df_resid": int(d.n) - k}
    if not case.get("exact_fit"):
        rows = zip(d.w, d.y, e.mu, e.V, strict=True)
        out["pearson_chi2"] = mp.fsum(w * (y - m) ** 2 / v for w, y, m, v in rows)
        if d.n > k:
            out["dispersion_pearson"] = out["pearson_chi2"] / (d.n - k)
        phi = out["dispersion"] = out["dispersion_pearson"] if family.free else mpf(1)
        out["se"] = label(d.names, roots(Finv, phi))
        out["se_observed"] = label(d.names, roots(Jinv, phi))
        ml = ml_dispersion(d, family, e.mu, deviance) if family.free else mpf(1)
        if family.free:
            out["dispersion_ml"] = ml
        out["loglik"] = loglik(d, family, e.mu, ml)
        out = criteria(out, d, k + family.free)
        out |= robust(d, e, Finv)

        def full(b):
            return loglik(d, family, [link[1](eta)[0] for eta in predictor(d, b)], ml)

        g = central_differences(full, beta, roots(Jinv, ml))
        out["decrement"] = mp.fdot(g, Jinv * g) * ml
    null = null_deviance(d, family, link)
    if null is not None:
        out["null_deviance"] = null
    if "(Intercept)" in d.names and not family.free and k > 1:
        against = "intercept-only model with the same weights and offset"
        out["lr_test"] = lr_test(null - deviance, k - 1, against)
    if profile:
        limits = [[profile_limit(evaluate, beta, e, j, s) for s in (-1, 1)] for j in range(k)]
        out["profile_ci"] = {"level": LEVEL, "limits": label(d.names, limits)}
    return out


# ---- negative binomial, jointly in (beta, log alpha) -----------------------------------------------------


def joint_model(d, inverse):
    """With t = 1/alpha: l = lgamma(y+t) - lgamma(t) + t log t + y log mu - (y+t) log(t+mu) + constant."""

    def evaluate(z):
        k, t = len(d.X), mp.exp(-z[len(z) - 1])
        try:
            mu, d1, d2 = zip(*map(inverse, predictor(d, z[:k])), strict=True)
        except (ValueError, ZeroDivisionError):
            return None
        if min(mu) <= 0:
            return None
        psi = {y: (mp.digamma(y + t) - mp.digamma(t), mp.psi(1, y + t) - mp.psi(1, t)) for y in set(d.y)}
        u, we, wo, cross, sa, ja, value = [], [], [], [], [], [], []
        logf = NegativeBinomial(1 / t).logf
        for w, y, m, b, c in zip(d.w, d.y, mu, d1, d2, strict=True):
            s = t + m
            l_m, l_mm = y / m - (y + t) / s, -y / m**2 + (y + t) / s**2
            l_t = psi[y][0] + mp.log(t / s) + 1 - (y + t) / s
            l_tt = psi[y][1] + 1 / t - 2 / s + (y + t) / s**2
            u.append(w * l_m * b)
            we.append(w * b**2 / (m + m**2 / t))
            wo.append(-w * (l_mm * b**2 + l_m * c))
            cross.append(w * t * (y - m) / s**2 * b)  # minus d2 l / d eta d log alpha
            sa.append(-w * t * l_t)
            ja.append(-w * (t * l_t + t**2 * l_tt))
            value.append(w * logf(y, m))
        J = mp.zeros(k + 1)
        J[:k, :k], J[k, k] = gram(d.X, wo), mp.fsum(ja)
        for i, x in enumerate(d.X):
            J[i, k] = J[k, i] = mp.fdot(cross, x)
        E = mp.diag([0] * k + [abs(J[k, k])])  # a positive definite stand-in, for steps far from the maximum
        E[:k, :k] = gram(d.X, we)
        score = mp.matrix([*(mp.fdot(u, x) for x in d.X), mp.fsum(sa)])
        return SimpleNamespace(value=mp.fsum(value), score=score, expected=E, observed=J, mu=mu)

    return evaluate


def information_log_alpha(d, mu, t):
    """theta^2 sum over rows of {sum_j P(Y > j) / (theta + j)^2 - mu / (theta (theta + mu))}."""
    with mp.workdps(34):

        @lru_cache(None)
        def row(m):
            p = mp.exp(t * mp.log(t / (t + m)))  # P(Y = 0)
            ratio, tail, total, j = m / (t + m), 1 - p, mpf(0), 0
            while tail > mpf(10) ** -26 or j < m:
                total += tail / (t + j) ** 2
                p *= ratio * (t + j) / (j + 1)
                j += 1
                tail -= p
            return total - m / (t * (t + m))

        return t**2 * mp.fsum(w * row(m) for w, m in zip(d.w, mu, strict=True))


def fit_joint(d, link):
    mean = mean_model(d, NegativeBinomial(mpf(1) / 2), link[1])
    beta, e = newton(mean, start_values(d, link[0]))
    moment = mp.fsum((y - m) ** 2 - m for y, m in zip(d.y, e.mu, strict=True)) / mp.fsum(m**2 for m in e.mu)
    return newton(joint_model(d, link[1]), mp.matrix([*beta, mp.log(max(moment, mpf("1e-4")))]))


def certify_negative_binomial(case):
    d, link = read(case), get_link(case["link"])
    z, e = fit_joint(d, link)
    k, names, Jinv = len(d.X), [*d.names, "log_alpha"], e.observed**-1
    if not positive_definite(e.observed):
        raise ArithmeticError("observed information is not positive definite")
    alpha = mp.exp(z[k])
    info = information_log_alpha(d, e.mu, 1 / alpha)
    se, so = [*roots(e.expected[:k, :k] ** -1), 1 / mp.sqrt(info)], roots(Jinv)
    family = get_family(case, alpha)
    rows = list(zip(d.w, d.y, e.mu, strict=True))
    out = {
        "params": label(names, z), "se": label(names, se), "se_observed": label(names, so),
        "alpha": alpha, "theta": 1 / alpha, "se_alpha": alpha * se[k], "se_alpha_observed": alpha * so[k],
        "loglik": e.value, "df_resid": int(d.n) - k - 1,
        "deviance": mp.fsum(w * family.unit(y, m) for w, y, m in rows),
        "pearson_chi2": mp.fsum(w * (y - m) ** 2 / family.V(m) for w, y, m in rows),
    }  # fmt: skip
    out = criteria(out, d, k + 1)
    if "(Intercept)" in d.names:
        out["null_deviance"] = null_deviance(d, family, link)  # at the fitted alpha
        null = SimpleNamespace(**{**vars(d), "X": [[mpf(1)] * len(d.y)]})
        out["loglik_null"] = fit_joint(null, link)[1].value
        out["lr_test"] = lr_test(2 * (e.value - out["loglik_null"]), k - 1, "no covariates, own ML alpha")

    def full(z):
        mu = [link[1](eta)[0] for eta in predictor(d, z[:k])]
        return loglik(d, get_family(case, mp.exp(z[k])), mu, 1)

    g = central_differences(full, z, so)
    out["decrement"] = mp.fdot(g, Jinv * g)
    return out
