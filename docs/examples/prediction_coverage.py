"""How often 90% intervals for a mean and for a new observation hold what they were made for.

python docs/examples/prediction_coverage.py [runs [rows]]
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

import fisherfit as ff

LEVEL, TRIALS, SHAPE = 0.9, 20, 3.0
CASES = {
    "normal": lambda rng, eta: eta + rng.standard_normal(eta.size),
    "poisson": lambda rng, eta: rng.poisson(np.exp(eta)).astype(float),
    "binomial": lambda rng, eta: rng.binomial(TRIALS, 1.0 / (1.0 + np.exp(-eta))) / TRIALS,
    "gamma": lambda rng, eta: rng.gamma(SHAPE, np.exp(eta) / SHAPE),
    "inverse_gaussian": lambda rng, eta: rng.wald(np.exp(eta), 8.0),
    "tweedie": lambda rng, eta: ff.Tweedie(1.5).sample(rng, np.exp(eta), 0.7),
    "negative_binomial": lambda rng, eta: rng.negative_binomial(SHAPE, SHAPE / (SHAPE + np.exp(eta))).astype(float),
}


def coverage(family: str, n: int, runs: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Shares of runs in which the intervals for the mean, the observation, and the plug-in one held."""
    held = np.zeros(3)
    weight = TRIALS if family == "binomial" else None
    for _ in range(runs):
        x = rng.standard_normal((n + 1, 2))
        eta = 1.0 + x @ [0.5, -0.4]
        y = CASES[family](rng, eta)
        model = ff.GLM(family).fit(x[:n], y[:n], sample_weight=None if weight is None else np.full(n, weight))
        low, high = model.predict_interval(x[n:], level=LEVEL).to_numpy()[0]
        mean = model._predictor.mean(eta[n:])[0]
        held[0] += low <= mean <= high
        for k, uncertain in ((1, True), (2, False)):
            new = model.predict_distribution(x[n:], uncertain, sample_weight=weight)
            below = new.cdf(y[n] - 1.0 / (weight or 1))[0] if new.discrete else new.cdf(y[n])[0]
            held[k] += new.cdf(y[n])[0] >= 0.5 - 0.5 * LEVEL and below < 0.5 + 0.5 * LEVEL  # lower <= y <= upper
    return tuple(held / runs)


def main(runs: int = 1000, n: int = 50) -> None:
    rng = np.random.default_rng(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ff.BoundaryWarning)
        for family in CASES:
            mean, new, plug = coverage(family, n, runs, rng)
            print(f"{family:18} mean {mean:.3f}  observation {new:.3f}  plug-in {plug:.3f}", flush=True)


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
