"""Recompute the certified mixtures from their data and densities alone, and compare what is stored.

    python tests/reference/recompute_mixtures.py            # all cases, some minutes
    python tests/reference/recompute_mixtures.py iris       # the cases with "iris" in their name

In mpmath with 60 digits, by differences of the log-likelihood and nothing else: at `theta_decimal` the score must vanish
(its decrement must be below 1e-24 by central differences, whose own error is of that order), the information must be
positive definite, and log-likelihood, standard errors, covariances and criteria must be the stored doubles.
One line per case: decrement, fewest digits of the log-likelihood, of the standard errors and of the covariances.
"""

import json
import pathlib
import re
import sys
import time

import mpmath as mp
from mpmath import mpf

HERE = pathlib.Path(__file__).resolve().parent
STEP = mpf(10) ** -14  # in standard errors
NEED = 14.0


def digits(stored, true):
    """Correct digits of a stored double."""
    error = abs(mpf(stored) - true) / (abs(true) if abs(true) > mpf("1e-30") else 1)
    return 16.0 if error < mpf(2) ** -53 or float(true) == stored else float(-mp.log10(error))


class Case:
    """A case with its densities: parameters by name, log-densities of every row cached by component."""

    def __init__(self, case):
        self.case, self.kept = case, {}
        self.count, self.names = case["n_components"], case["theta_names"]
        self.rows = case["n_obs"]
        exact = lambda key: None if case[key] is None else [mpf(v) for v in case[key]]  # noqa: E731
        self.y, self.size, self.offset, self.weights = (exact(key) for key in ("y", "size", "offset", "weights"))
        self.X = None if case["X"] is None else [[mpf(v) for v in row] for row in case["X"]]
        self.design = case["concomitant"]
        self.members = None
        if case["groups"] is not None:
            self.members = {}
            for i, g in enumerate(case["groups"]):
                self.members.setdefault(g, []).append(i)

    def own(self, theta, k):
        """The parameters of component k: those that carry its index, and those that carry none."""
        named = {}
        for name, value in zip(self.names, theta, strict=True):
            word, index = re.fullmatch(r"(\w+)\[([\d,]+)\]", name).groups()
            index = tuple(map(int, index.split(",")))
            shared = word == "coef_shared" or (word == "cov" and self.case["structure"] == "tied")
            if word in ("weight", "concomitant") or not (shared or index[0] == k):
                continue
            named[(word.removesuffix("_shared"), index if shared else index[1:])] = value
        return named

    def densities(self, theta, k):
        """log f_k of every row."""
        own = self.own(theta, k)
        key = (k, tuple(own.items()))
        if key not in self.kept:
            if len(self.kept) > 400:
                self.kept.clear()
            self.kept[key] = self.evaluate(own)
        return self.kept[key]

    def evaluate(self, own):
        structure, family = self.case["structure"], self.case["family"]
        if structure in ("full", "tied", "diag", "spherical"):
            return gaussian(self.X, own, structure)
        if structure == "product":
            p = [own[("prob", (j,))] for j in range(len(self.X[0]))]
            terms = [(mp.log(1 - q), mp.log(q)) for q in p]
            return [mp.fsum(terms[j][int(v)] for j, v in enumerate(row)) for row in self.X]
        if structure == "univariate":
            eta = [own[("mean", ())]] * self.rows
        else:
            beta = [own[("coef", (j,))] for j in range(len(self.X[0]))]
            eta = [mp.fdot(row, beta) for row in self.X]
        if self.offset is not None:
            eta = [a + b for a, b in zip(eta, self.offset, strict=True)]
        back = {"identity": lambda v: v, "log": mp.exp, "logit": lambda v: 1 / (1 + mp.exp(-v))}[self.case["link"]]
        further = next((v for (word, _), v in own.items() if word not in ("mean", "coef")), None)
        memory = {}
        out = []
        for i, (y, e) in enumerate(zip(self.y, eta, strict=True)):
            m = None if self.size is None else self.size[i]
            if (y, e, m) not in memory:
                memory[y, e, m] = log_density(family, y, back(e), further, m, self.case["nu"])
            out.append(memory[y, e, m])
        return out

    def log_proportions(self, theta, unit):
        """log pi_k of a unit."""
        named = dict(zip(self.names, theta, strict=True))
        if self.design is None:
            w = [named[f"weight[{k}]"] for k in range(self.count - 1)]
            return [mp.log(v) for v in [*w, 1 - mp.fsum(w)]]
        row = self.design[unit]
        eta = [mpf(0)]
        for k in range(1, self.count):
            eta.append(mp.fsum(mpf(z) * named[f"concomitant[{k},{j}]"] for j, z in enumerate(row)))
        total = mp.log(mp.fsum(map(mp.exp, eta)))
        return [v - total for v in eta]

    def loglik(self, theta):
        """The log-likelihood, complete with constants."""
        f = [self.densities(theta, k) for k in range(self.count)]
        units = list(self.members.values()) if self.members else [[i] for i in range(self.rows)]
        pi = self.log_proportions(theta, 0) if self.design is None else None
        total = []
        for u, rows in enumerate(units):
            logs = self.log_proportions(theta, u) if pi is None else pi
            joint = [logs[k] + mp.fsum(f[k][i] for i in rows) for k in range(self.count)]
            high = max(joint)
            value = high + mp.log(mp.fsum(mp.exp(v - high) for v in joint))
            total.append(value if self.weights is None else self.weights[u] * value)
        return mp.fsum(total)


def gaussian(X, own, structure):
    """log-densities of a Gaussian in any number of dimensions."""
    d = len(X[0])
    mean = [own[("mean", (j,))] for j in range(d)]
    cov = mp.zeros(d)
    for i in range(d):
        for j in range(i + 1):
            if structure in ("full", "tied"):
                cov[i, j] = cov[j, i] = own[("cov", (i, j))]
            elif i == j:
                cov[i, i] = own[("var", (i,) if structure == "diag" else ())]
    lower = mp.cholesky(cov)
    constant = -d * mp.log(2 * mp.pi) / 2 - mp.fsum(mp.log(lower[j, j]) for j in range(d))
    rows = [[lower[i, j] for j in range(i)] for i in range(d)]
    inverse = [1 / lower[i, i] for i in range(d)]
    memory, out = {}, []
    for row in X:
        key = tuple(row)
        if key not in memory:
            z = []
            for i in range(d):
                z.append((row[i] - mean[i] - mp.fdot(rows[i], z)) * inverse[i])
            memory[key] = constant - mp.fdot(z, z) / 2
        out.append(memory[key])
    return out


def log_density(family, y, mu, further, m, nu):
    """Complete log-densities of the univariate families, by mean and dispersion as the README has them."""
    if family == "gaussian":
        return -mp.log(2 * mp.pi) / 2 - mp.log(further) - ((y - mu) / further) ** 2 / 2
    if family == "poisson":
        return y * mp.log(mu) - mu - mp.loggamma(y + 1)
    if family == "exponential":
        return -mp.log(mu) - y / mu
    if family == "binomial":
        choose = mp.loggamma(m + 1) - mp.loggamma(y + 1) - mp.loggamma(m - y + 1)
        return choose + y * mp.log(mu) + (m - y) * mp.log(1 - mu)
    if family == "gamma":
        a = further
        return a * mp.log(a / mu) + (a - 1) * mp.log(y) - a * y / mu - mp.loggamma(a)
    if family == "negative_binomial":
        s = further
        choose = mp.loggamma(y + s) - mp.loggamma(s) - mp.loggamma(y + 1)
        return choose + s * mp.log(s / (s + mu)) + y * mp.log(mu / (s + mu))
    if family == "beta":
        a, b = mu * further, (1 - mu) * further
        constant = mp.loggamma(further) - mp.loggamma(a) - mp.loggamma(b)
        return constant + (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y)
    assert family == "student_t", family
    t, nu = (y - mu) / further, mpf(nu)
    constant = mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(nu * mp.pi) / 2 - mp.log(further)
    return constant - (nu + 1) / 2 * mp.log1p(t * t / nu)


def verify(case):
    """Decrement, and the fewest digits of log-likelihood and criteria, standard errors, and covariances."""
    model = Case(case)
    theta = [mpf(v) for v in case["theta_decimal"]]
    p = len(theta)
    steps = [STEP * mpf(se) for se in case["theta_se"]]

    def at(*moves):
        there = list(theta)
        for j, sign in moves:
            there[j] += sign * steps[j]
        return model.loglik(there)

    here = model.loglik(theta)
    plus, minus = [at((j, 1)) for j in range(p)], [at((j, -1)) for j in range(p)]
    score = mp.matrix([(a - b) / 2 / h for a, b, h in zip(plus, minus, steps, strict=True)])
    information = mp.zeros(p)
    for i in range(p):
        information[i, i] = (2 * here - plus[i] - minus[i]) / steps[i] ** 2
        for j in range(i):
            mixed = at((i, 1), (j, 1)) + at((i, -1), (j, -1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1))
            information[i, j] = information[j, i] = -mixed / 4 / steps[i] / steps[j]
    mp.cholesky(information)  # raises where it is not positive definite
    vcov = information**-1
    decrement = (score.T * vcov * score)[0]
    df, n = case["df"], mpf(case["n_bic"])
    assert df == p
    told = [digits(case["loglik"], here), digits(case["aic"], 2 * df - 2 * here)]
    told.append(digits(case["bic"], df * mp.log(n) - 2 * here))
    told += [digits(a, b) for a, b in zip(case["theta"], theta, strict=True)]
    errors = [digits(case["theta_se"][j], mp.sqrt(vcov[j, j])) for j in range(p)]
    scale = [mp.sqrt(vcov[j, j]) for j in range(p)]
    covariances = [
        float(-mp.log10(abs(mpf(case["theta_vcov"][i][j]) - vcov[i, j]) / scale[i] / scale[j] + mpf("1e-16")))
        for i in range(p)
        for j in range(p)
    ]
    return decrement, min(told), min(errors), min(covariances)


def main(words):
    mp.mp.dps = 60
    cases = json.loads((HERE / "mixtures.json").read_text())["cases"]
    bad = 0
    for case in [c for c in cases if not words or any(word in c["name"] for word in words)]:
        begun = time.perf_counter()
        decrement, *worst = verify(case)
        good = decrement < mpf("1e-24") and min(worst) >= NEED
        bad += not good
        told = " ".join(f"{v:5.1f}" for v in worst)
        seconds = time.perf_counter() - begun
        print(
            f"{case['name']:36s} {mp.nstr(decrement, 2):>10s} {told} {seconds:6.1f} s {'' if good else 'BAD'}",
            flush=True,
        )
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
