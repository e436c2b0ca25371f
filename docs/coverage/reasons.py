"""Why the coverage of some intervals is not the nominal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """A text, and the cells that it explains: those off in one direction (0: in any) whose keys are listed."""

    text: str
    sign: int
    study: tuple[str, ...] = ()
    law: tuple[str, ...] = ()
    n: tuple[int, ...] = ()
    of: tuple[str, ...] = ()

    def explains(self, record: dict[str, Any]) -> bool:
        """True for the cells meant."""
        keys = ("study", "law", "n", "of")
        listed = all(not getattr(self, key) or record[key] in getattr(self, key) for key in keys)
        return listed and (self.sign == 0 or self.sign * record["errors"] > 0)


def reason(record: dict[str, Any]) -> str:
    """The reason for a cell that is off; a KeyError where none is known."""
    for known in REASONS:
        if known.explains(record):
            return known.text
    raise KeyError("{study}, {law}, n = {n}, {of}: {coverage:.4f} is {errors:+.1f} errors off".format(**record))


REASONS = [
    Reason(
        "The model's own standard errors, shown beside the robust ones: they lean on a variance or an independence "
        "that these data do not have.",
        0, ("heteroscedastic", "clustered"), of=("x, expected", "z, expected"),
    ),
    Reason(
        "HC0: a residual is smaller than its error, most so where leverage is large, and here the variance is largest "
        "there too. At n = 50 the standard errors of x are 8 to 20 % too small on average.",
        -1, ("heteroscedastic",), of=("x, HC0", "z, HC0"),
    ),
    Reason(
        "HC3: the standard errors are right on average (within 6 %), but they differ by a quarter and more from one "
        "data set to the next, because a few rows with large abs(x) decide; the quantile of z or t(df_resid) does not "
        "know that. A simulation with NumPy alone gives the same coverage.",
        -1, ("heteroscedastic",), of=("x, HC3",),
    ),
    Reason(
        "Clusters, CR1: the sandwich of few clusters is too small, and differs much from one data set to the next; the "
        "quantile is that of z or t(df_resid). With that of t(9) coverage of the Poisson slopes is 0.91 and 0.94.",
        -1, ("clustered",), of=("x, CR1", "z, CR1"),
    ),
    Reason(
        "10 clusters, CR3: the standard error differs much from one data set to the next; with the quantile of t(9) in "
        "place of z coverage is 0.96.",
        -1, ("clustered",), of=("x, CR3", "z, CR3"),
    ),
    Reason(
        "A count or a 0/1 response cannot be cut anywhere: the smallest interval with at least 95 % has more.",
        1, ("prediction",), ("binomial", "poisson", "negative_binomial"), of=("observation", "plug-in"),
    ),
    Reason(
        "Tweedie, n = 500: a new value is 0 with probability 0.043, which is more than the lower 2.5 %; the interval "
        "begins at 0 and misses above only.",
        1, ("prediction",), ("tweedie",), of=("observation", "plug-in"),
    ),
    Reason(
        "plug-in: the estimates are taken as known, and the interval is too short.",
        -1, ("prediction",), ("normal", "gamma", "tweedie", "negative_binomial"), of=("plug-in",),
    ),
    Reason(
        "Inverse Gaussian, n = 50: Pearson's estimate of phi is too small in most data sets (its median is 0.43 where "
        "phi is 0.5), and the estimates spread 3 to 6 % wider than the information says even where phi is known. With "
        '``dispersion="deviance"``, whose median is 0.49, Wald intervals have 0.94.',
        -1, ("wald", "prediction"), ("inverse_gaussian",), (50,),
    ),
    Reason(
        "Negative binomial, n = 50: the maximum-likelihood estimate of alpha is too small in most data sets (its "
        "median is 0.42 where alpha is 0.5), and so are the standard errors. With alpha known coverage is 0.95.",
        -1, ("wald", "prediction"), ("negative_binomial",), (50,), ("mean", "x", "z"),
    ),
    Reason(
        "alpha by Wald, n = 50: the interval is made on the log scale, where it is wide when alpha is small; it errs "
        "on the careful side.",
        1, ("wald",), ("negative_binomial",), (50,), ("alpha",),
    ),
    Reason(
        "alpha by profile, n = 50: twice the log-likelihood ratio at the true alpha is 1.27 on average instead of 1, "
        "as the estimate is too small in most data sets.",
        -1, ("profile",), ("negative_binomial",), (50,), ("alpha",),
    ),
    Reason(
        "Logit, n = 50: twice the log-likelihood ratio at the true value is 1.11 on average instead of 1; 50 zeros and "
        "ones are not many.",
        -1, ("profile",), ("binomial",), (50,),
    ),
]  # fmt: skip
