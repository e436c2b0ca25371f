"""The options of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from .covtypes import KINDS, read_cov_type
from .errors import InputError

OK, INTERNAL, USAGE, NOT_CONVERGED, INTERRUPTED, CLOSED_PIPE = 0, 1, 2, 3, 130, 141

EPILOG = """\
example:
  fisherfit fit @insurance "claims ~ C(district) + group + age" --family poisson --exposure holders

exit codes:
  0    the fit converged, the list was printed, or the compiled code is on disk
  1    internal error; --debug shows the traceback
  2    bad usage or bad input: one line on stderr says what
  3    the fit did not converge, or the data are separated; the results are printed all the same
  130  interrupted (Ctrl-C)
  141  the reader of the output closed it early
"""

WEIGHT_TYPES = ("analytic", "frequency", "probability")


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, as all other errors are."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments") and not message.split(": ")[1].startswith("-"):
            message += "; the formula is one argument, in quotes"
        self.exit(USAGE, f"fisherfit: error: {message} (see {self.prog} --help)\n")


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> Parser:
    """The parser; `commands` has the function of each command."""
    from . import __version__

    settings: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EPILOG, "allow_abbrev": False,
    }  # fmt: skip
    shared = Parser(add_help=False)
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    top = Parser(prog="fisherfit", description="Regression models by maximum likelihood.", **settings)
    top.add_argument("--version", action="version", version=f"fisherfit {__version__}")
    sub = top.add_subparsers(title="commands", metavar="COMMAND")
    about = "Fit a generalised linear model and print its summary."
    fit = sub.add_parser("fit", help="fit a model", description=about, parents=[shared], **settings)
    listing = sub.add_parser("datasets", help="list the data sets", parents=[shared], **settings)
    listing.add_argument("name", metavar="NAME", nargs="?", help="describe this one")
    listing.set_defaults(run=commands["datasets"])
    families = sub.add_parser("families", help="list families and links", parents=[shared], **settings)
    families.set_defaults(run=commands["families"])
    about = "Compile what fits need and keep it on disk, so that later processes start at once."
    warm = sub.add_parser("warmup", help="compile ahead of time", description=about, parents=[shared], **settings)
    warm.add_argument("--families", nargs="+", metavar="NAME", help="these families (default: the common ones)")
    warm.add_argument("--all", action="store_true", help="every link, and without --families every family")
    warm.set_defaults(run=commands["warmup"])
    fit.set_defaults(run=commands["fit"])
    fit.add_argument(
        "data",
        metavar="DATA",
        help="CSV or TSV (also .gz), Parquet, @NAME for a data set of the package, - for CSV from stdin",
    )
    fit.add_argument("formula", metavar="FORMULA", help='such as "y ~ x + C(region)", or "successes + failures ~ x"')
    model = fit.add_argument_group("model")
    model.add_argument("--family", default="normal", metavar="NAME", help="see: fisherfit families (default: normal)")
    model.add_argument("--link", metavar="NAME", help="such as log, logit, 'power(2)' (default: the family's)")
    model.add_argument(
        "--power", type=_number, metavar="P", help="power of the Tweedie variance, 1 < P < 2 (default: 1.5)"
    )
    model.add_argument(
        "--alpha", type=_number, metavar="A", help="fixed alpha of the negative binomial (default: estimated)"
    )
    model.add_argument("--dispersion", type=_dispersion, metavar="D", help="pearson, deviance, ml or a number")
    model.add_argument("--exposure", metavar="COL", help="column whose logarithm is added to the linear predictor")
    model.add_argument("--offset", metavar="COL", help="column added to the linear predictor")
    model.add_argument("--weights", metavar="COL", help="column of weights")
    model.add_argument(
        "--weight-type",
        choices=WEIGHT_TYPES,
        default="analytic",
        help="what weights mean (default: analytic)",
    )
    model.add_argument(
        "--missing",
        choices=("raise", "drop"),
        default="raise",
        help="rows with missing values: an error, or left out (default: raise)",
    )
    model.add_argument("--max-iter", type=_count, default=100, metavar="N", help="steps at the most (default: 100)")
    model.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="threads; results do not depend on it (default: all processors)",
    )
    output = fit.add_argument_group("output")
    output.add_argument(
        "--cov-type",
        type=_cov_type,
        default="expected",
        metavar="TYPE",
        help=f"standard errors: {', '.join(KINDS)}; also 'cluster(CR3)', 'HAC(8)' (default: expected)",
    )
    output.add_argument(
        "--groups", metavar="COL", action="append", help="column of groups for cluster; give it twice for two ways"
    )
    output.add_argument("--level", type=_level, default=0.95, metavar="P", help="confidence level (default: 0.95)")
    output.add_argument(
        "--json",
        nargs="?",
        const="-",
        type=_output,
        metavar="FILE",
        help="results as JSON, to FILE or in place of the summary",
    )
    output.add_argument("--html", type=_output, metavar="FILE", help="write the summary as an HTML page")
    output.add_argument("--quiet", action="store_true", help="no summary, no warnings, no progress bar")
    output.add_argument("--no-progress", action="store_true", help="no progress bar")
    return top


def _output(text: str) -> str:
    if text.startswith("@") or "~" in text or text.lower().endswith((".csv", ".tsv", ".gz", ".parquet")):
        hint = "write it after DATA and FORMULA, or with FILE"
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of an output file; {hint}")
    return text


def _cov_type(text: str) -> str:
    try:
        read_cov_type(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None


def _dispersion(text: str) -> str | float:
    if text in ("pearson", "deviance", "ml"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected pearson, deviance, ml or a positive number, got {text!r}")
    return value


def _level(text: str) -> float:
    value = _number(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, such as 0.95, got {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _jobs(text: str) -> int:
    if text != "-1" and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least 1, or -1 for all processors, got {text!r}"
        )
    return int(text)
