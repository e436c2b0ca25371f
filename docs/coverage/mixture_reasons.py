"""Why the coverage of some intervals of mixtures is not the nominal one."""

from __future__ import annotations

from typing import Any

from reasons import Reason

SHIFT = ("cov[0,x1,x0]",)


def reason(record: dict[str, Any]) -> str:
    """The reason for a cell that is off; a KeyError where none is known."""
    for known in REASONS:
        if known.explains({"study": record["se"], **record}):
            return known.text
    raise KeyError("{law}, n = {n}, {of}, {se}: {coverage:.4f} is {errors:+.1f} errors off".format(**record))


REASONS = [
    Reason(
        "Two normal components 2.5 standard deviations apart hardly have two modes, and 200 rows say little of where "
        "one ends: the estimates spread much wider than the information at any one of them says (the median standard "
        "error is 0.63 to 0.79 of the spread). With 1000 rows coverage is 0.93 to 0.96. A program with NumPy and SciPy "
        "alone (EM from 12 starts, BFGS, differences for the information) finds 0.852, 0.806, 0.832, 0.834 and 0.876 "
        "in place of the five numbers for the observed information.",
        -1, law=("normal, overlapping",), n=(200,),
    ),
    Reason(
        "HC0 of a slope in the smaller component, of some 80 rows, leans on the squares of the scores of a few rows: "
        "its median is 0.89 of the spread of the estimates, that of the observed information 0.98.",
        -1, study=("HC0",), law=("Poisson regression",), n=(200,), of=("x0[0]",),
    ),
    Reason(
        "A covariance is not symmetric about its estimate as its interval is: the estimate is skewed, and intervals "
        "miss below two to three times as often as above.",
        -1, law=("Gaussian, d = 2",), n=(1000,), of=SHIFT,
    ),
    Reason(
        "200 rows for 11 parameters, some 80 of them in the smaller component: median standard errors are 0.85 to 0.92 "
        "of the spread of the estimates. With 1000 rows they are 0.9 to 1.02 of it.",
        -1, law=("Gaussian, d = 2",), n=(200,),
    ),
]  # fmt: skip
