"""Make extra.json: certified cases on synthetic data, for what published data leave out.

    python tests/reference/generate.py              write all (some minutes)
    python tests/reference/generate.py NAME ...     try some, write nothing

Every number is stored with at most four significant digits; the seeds are below. A case is accepted when its
maximum is interior, the observed information is positive definite, the Newton decrement (the log-likelihood
differentiated numerically) is below 1e-28, and no other start leads to a higher likelihood.
"""

import json
import pathlib
import sys

import mpmath as mp
import numpy as np
from formulas import get_family, get_link
from mpmath import mpf
from oracle import certify, fit_joint, joint_model, mean_model, newton, read, start_values

PATH = pathlib.Path(__file__).resolve().parent / "extra.json"
SPECS = []


def four(values):
    return [float(f"{v:.4g}") for v in values]


# ---- columns: (rng, n, columns so far) -> values ---------------------------------------------------------


def uniform(low, high):
    return lambda rng, n, X: rng.uniform(low, high, n)


def normal(mean=0.0, sd=1.0):
    return lambda rng, n, X: rng.normal(mean, sd, n)


def binary(p=0.5):
    return lambda rng, n, X: (rng.random(n) < p) * 1.0


def integers(low, high):
    return lambda rng, n, X: rng.integers(low, high + 1, n) * 1.0


def sequence(first):
    return lambda rng, n, X: first + np.arange(n) * 1.0


def near(column, noise):
    return lambda rng, n, X: np.asarray(X[column]) + rng.normal(0, noise, n)


# ---- responses with mean mu and dispersion phi -----------------------------------------------------------


def sample(rng, family, mu, phi, w, power, alpha):
    if family == "gaussian":
        return rng.normal(mu, np.sqrt(phi / w))
    if family == "gamma":
        return rng.gamma(w / phi, mu * phi / w)
    if family == "inverse_gaussian":
        return rng.wald(mu, w / phi)
    if family == "poisson":
        return rng.poisson(mu)
    if family == "binomial":
        return rng.binomial(w.astype(int), mu)
    if family == "tweedie":  # a Poisson number of gammas
        counts = rng.poisson(mu ** (2 - power) * w / (phi * (2 - power)))
        scale = phi / w * (power - 1) * mu ** (power - 1)
        shape = counts * (2 - power) / (power - 1)
        return np.array([rng.gamma(a, s) if a else 0.0 for a, s in zip(shape, scale, strict=True)])
    return rng.poisson(rng.gamma(1 / alpha, alpha * mu))  # negative binomial, geometric


def spec(name, family, link, n, seed, beta, columns, *, phi=1.0, alpha=1.0, fixed=None, power=None, kind=None,
         weights=None, offset=None, intercept=True, profile=False, note=None):  # fmt: skip
    SPECS.append(locals())


def build(name, family, link, n, seed, beta, columns, phi, alpha, fixed, power, kind, weights, offset,
          intercept, profile, note):  # fmt: skip
    """The data of a case: columns, predictor, mean, response, all rounded before they are used."""
    rng, X = np.random.default_rng(seed), {}
    for column, make in columns.items():
        X[column] = four(make(rng, n, X))
    off = np.array(four(offset(rng, n, X))) if offset else np.zeros(n)
    w = np.array(four(weights(rng, n, X))) if weights else np.ones(n)
    eta = off + np.column_stack([np.ones(n)] * intercept + list(X.values())) @ np.array(beta)
    mu = np.array([float(get_link(link)[1](mpf(float(e)))[0]) for e in eta])
    share = w if kind in ("prior", "trials") else np.ones(n)
    y = sample(rng, family, mu, phi, np.maximum(share, 1e-3), power, fixed or alpha)
    case = {"name": name, "source": f"generated (numpy default_rng seed {seed})", "family": family}
    case |= {"tweedie_power": power} if power else {}
    case |= {"alpha_fixed": fixed} if fixed and family == "negative_binomial" else {}
    case |= {"link": link, "fit_intercept": intercept, "n": n, "columns": list(X), "X": X}
    if kind == "trials":
        case |= {"y": (y / w).tolist(), "counts": [float(v) for v in y]}
    else:
        case |= {"y": four(y)}
    case |= {"weights": w.tolist(), "weight_kind": kind} if weights else {}
    case |= {"offset": off.tolist()} if offset else {}
    return case | ({"note": note} if note else {})


def other_maxima(case, fit, seed):
    """The highest gain in log-likelihood that five random starts find over the certified point."""
    rng, d, link = np.random.default_rng(seed), read(case), get_link(case["link"])
    best, gains = mp.matrix(list(fit["params"].values())), []
    joint = "log_alpha" in fit["params"]
    evaluate = joint_model(d, link[1]) if joint else mean_model(d, get_family(case), link[1])
    starts = [(fit_joint(d, link)[0] if joint else start_values(d, link[0]))]
    while len(starts) < 6:
        spread = 10.0 ** rng.uniform(-0.5, 0 if joint else 1)
        step = [mpf(spread * rng.normal()) * s for s in fit["se_observed"].values()]
        if evaluate(best + mp.matrix(step)):
            starts.append(best + mp.matrix(step))
    top = evaluate(best).value
    for start in starts:
        try:
            gains.append(newton(evaluate, start)[1].value - top)
        except ArithmeticError:  # ran to the boundary of the parameter space: no maximum there
            continue
    return max(gains)


def doubles(value):
    if isinstance(value, dict):
        return {k: doubles(v) for k, v in value.items()}
    if isinstance(value, list):
        return [doubles(v) for v in value]
    return value if isinstance(value, (str, int)) else float(value)


def make(s):
    case = build(**s)
    fit = certify(case, profile=s["profile"])
    decrement = fit.pop("decrement")
    with mp.workdps(30):
        gain = other_maxima(case, fit, s["seed"])
    if not decrement < mpf("1e-28") or gain > mpf("1e-15") * (1 + abs(fit["loglik"])):
        raise ArithmeticError(f"{s['name']}: decrement {decrement}, gain of another start {gain}")
    shown = {name: float(f"{float(v):.4g}") for name, v in fit["params"].items()}
    print(s["name"], shown, mp.nstr(decrement, 2), flush=True)
    return case | doubles(fit)


# ---- the cases -------------------------------------------------------------------------------------------

x01 = {"x": uniform(0, 1), "z": binary()}
xz = {"x": normal(), "z": binary()}

# fmt: off
spec("binomial_identity", "binomial", "identity", 120, 101, [0.3, 0.3, 0.15], x01)
spec("binomial_cauchit_binary", "binomial", "cauchit", 150, 102, [0.2, 0.9, -0.6], xz)
spec("binomial_loglog_binary", "binomial", "loglog", 100, 103, [0.1, 0.7, 0.5], xz)
spec("binomial_cloglog_binary_offset", "binomial", "cloglog", 150, 104, [-1.0, 0.6, 0.4], xz,
     offset=uniform(-0.5, 0.8))
spec("binomial_probit_frequency", "binomial", "probit", 60, 105, [-0.3, 0.8, 0.4], xz, kind="frequency",
     weights=integers(0, 4), note="frequency weights; rows of weight zero do not count")
spec("binomial_logit_trials_offset_nointercept", "binomial", "logit", 40, 106, [0.8, -0.5], xz,
     kind="trials", weights=integers(3, 20), offset=uniform(-1, 1), intercept=False)
spec("binomial_log_trials", "binomial", "log", 30, 107, [-1.6, 0.6, 0.3], x01, kind="trials",
     weights=integers(5, 40))
spec("poisson_power075", "poisson", "power(0.75)", 80, 108, [2.0, 3.0, 0.8], x01)
spec("poisson_identity_two_columns", "poisson", "identity", 70, 109, [2.0, 5.0, 1.5], x01)
spec("poisson_log_year", "poisson", "log", 31, 110, [-58.0, 0.03], {"year": sequence(1990)}, profile=True,
     note="shifted column: the intercept is the mean in the year 0")
spec("poisson_log_correlated", "poisson", "log", 100, 111, [1.0, 0.5, -0.2],
     {"x1": normal(3, 1), "x2": near("x1", 0.02)}, note="the columns' correlation is about 0.9998")
spec("poisson_log_prior", "poisson", "log", 50, 112, [1.0, 0.5, -0.3], xz, kind="prior",
     weights=uniform(0.2, 3), note="analytic weights: sum of w log f")
spec("poisson_log_large_counts_nointercept", "poisson", "log", 50, 113, [13.0, 12.6],
     {"a": lambda rng, n, X: np.arange(n) % 2.0,
      "b": lambda rng, n, X: 1 - np.arange(n) % 2.0 + 0.01 * (np.arange(n) % 7)}, intercept=False)
spec("poisson_sqrt_offset", "poisson", "sqrt", 40, 114, [2.0, 0.8, 0.3], x01, offset=uniform(0, 0.5))
spec("poisson_log_frequency_offset", "poisson", "log", 45, 115, [0.2, 0.4, -0.4], xz, kind="frequency",
     weights=integers(0, 5), offset=uniform(0, 1.5), profile=True)
spec("geometric_log", "geometric", "log", 90, 116, [1.2, 0.5, -0.4], xz, profile=True)
spec("negative_binomial_fixed025_log", "negative_binomial", "log", 80, 117, [1.5, 0.6, -0.3], xz, fixed=0.25)
spec("negative_binomial_fixed25_sqrt", "negative_binomial", "sqrt", 120, 118, [2.0, 1.0, 0.6], x01, fixed=2.5)
spec("negative_binomial_fixed05_identity_prior", "negative_binomial", "identity", 75, 119, [3.0, 6.0],
     {"x": uniform(0, 2)}, fixed=0.5, kind="prior", weights=uniform(0.5, 2))
spec("gamma_sqrt", "gamma", "sqrt", 60, 120, [1.5, 1.2, -0.3], x01, phi=0.3)
spec("gamma_inverse_squared", "gamma", "inverse_squared", 50, 121, [0.2, 0.6, 0.1], x01, phi=0.2)
spec("gamma_power_minus_half", "gamma", "power(-0.5)", 60, 122, [0.5, 0.7, 0.2], x01, phi=0.4)
spec("gamma_identity_frequency", "gamma", "identity", 40, 123, [2.0, 4.0, 1.0], x01, phi=0.25,
     kind="frequency", weights=integers(1, 4))
spec("gamma_inverse_prior", "gamma", "inverse", 45, 124, [0.2, 0.5, 0.15], x01, phi=0.3, kind="prior",
     weights=uniform(0.3, 4))
spec("gamma_log_small_units", "gamma", "log", 60, 125, [-18.0, 1.5e-6, 0.4],
     {"x": uniform(1e5, 2e6), "z": binary()}, phi=0.5)
spec("gamma_log_small_dispersion", "gamma", "log", 35, 126, [3.0, 0.5], {"x": uniform(0, 2)}, phi=1e-5)
spec("gamma_log_large_dispersion", "gamma", "log", 150, 127, [0.5, 0.8, -0.5], xz, phi=4.0)
spec("inverse_gaussian_inverse", "inverse_gaussian", "inverse", 60, 128, [0.4, 0.8, 0.2], x01, phi=0.3)
spec("inverse_gaussian_identity", "inverse_gaussian", "identity", 70, 129, [1.5, 2.0, 0.7], x01, phi=0.15)
spec("inverse_gaussian_inverse_squared_prior", "inverse_gaussian", "inverse_squared", 40, 130,
     [0.3, 0.9, 0.3], x01, phi=0.2, kind="prior", weights=uniform(0.5, 3))
spec("gaussian_log_offset", "gaussian", "log", 50, 131, [1.0, 0.5, -0.2], xz, phi=0.2,
     offset=uniform(-0.5, 0.5))
spec("gaussian_inverse_large_units", "gaussian", "inverse", 40, 132, [2e-7, 5e-7], {"x": uniform(0.2, 2)},
     phi=1e9)
spec("gaussian_sqrt_frequency", "gaussian", "sqrt", 50, 133, [1.0, 0.8, 0.4], x01, phi=0.3, kind="frequency",
     weights=integers(1, 3))
spec("gaussian_identity_year_large_units", "gaussian", "identity", 31, 134, [-4e10, 2.1e7],
     {"year": sequence(1990)}, phi=1e15)
spec("gaussian_identity_nointercept_prior_zeros", "gaussian", "identity", 30, 135, [2.0, -1.0], xz, phi=0.5,
     kind="prior", weights=integers(0, 3), intercept=False, note="rows of weight zero do not count")
spec("tweedie12_log", "tweedie", "log", 120, 136, [0.8, 0.5, -0.4], xz, phi=1.2, power=1.2)
spec("tweedie18_log_prior", "tweedie", "log", 150, 137, [0.8, 0.5, -0.4], xz, phi=1.5, power=1.8,
     kind="prior", weights=uniform(0.5, 2))
spec("tweedie12_identity", "tweedie", "identity", 100, 138, [2.0, 3.0, 1.0], x01, phi=0.8, power=1.2)
spec("tweedie18_identity", "tweedie", "identity", 80, 139, [2.0, 3.0, 1.0], x01, phi=0.6, power=1.8)
spec("tweedie15_sqrt_frequency", "tweedie", "sqrt", 60, 140, [1.5, 0.8, 0.3], x01, phi=1.0, power=1.5,
     kind="frequency", weights=integers(1, 4))
spec("joint_tiny_alpha", "negative_binomial", "log", 200, 141, [5.5, 0.2, -0.1], xz, alpha=1e-3,
     note="nearly Poisson: alpha is 0.3 standard errors from its bound")
spec("joint_small_alpha", "negative_binomial", "log", 200, 148, [5.5, 0.2, -0.1], xz, alpha=1e-3)
spec("joint_small_alpha_small_mean", "negative_binomial", "log", 200, 149, [3.7, 0.3, -0.2], xz, alpha=4e-3)
spec("joint_large_alpha", "negative_binomial", "log", 200, 143, [1.5, 0.6, -0.5], xz, alpha=5.0)
spec("joint_large_counts", "negative_binomial", "log", 80, 144, [6.5, 0.3, 0.4], xz, alpha=0.2)
spec("joint_frequency_offset", "negative_binomial", "log", 60, 145, [1.0, 0.4, 0.3], xz, alpha=0.6,
     kind="frequency", weights=integers(0, 4), offset=uniform(0, 1))
spec("joint_identity", "negative_binomial", "identity", 100, 146, [3.0, 4.0, 2.0], x01, alpha=0.5)
spec("joint_sqrt_nointercept", "negative_binomial", "sqrt", 90, 147, [2.0, 1.2],
     {"x": uniform(0.5, 2), "z": binary()}, alpha=0.4, intercept=False)
# fmt: on


if __name__ == "__main__":
    if sys.argv[1:]:  # try some cases, write nothing
        sys.exit([make(s) for s in SPECS if s["name"] in sys.argv] and 0)
    lines = ",\n".join(json.dumps(make(s)) for s in SPECS)
    PATH.write_text('{"group": "extra", "schema_version": 1, "cases": [\n' + lines + "\n]}\n")
    print(len(SPECS), "cases")
