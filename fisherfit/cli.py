"""The command line: ``fisherfit fit DATA FORMULA``, ``fisherfit datasets``, ``families`` and ``warmup``."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import datasets
from .arguments import CLOSED_PIPE, INTERNAL, INTERRUPTED, NOT_CONVERGED, OK, USAGE, parser
from .errors import CompilationWarning, FisherfitError, FisherfitWarning, InputError
from .files import nearly_numbers, read_data

if TYPE_CHECKING:
    from argparse import Namespace

    from .result import Result

MANY_ROWS = 100_000  # fits of fewer rows are over before a progress bar is read


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: see ``fisherfit --help``.

    Examples
    --------
    >>> from fisherfit.cli import main
    >>> main(["datasets", "trees"])
    Timber in felled black cherry trees.
    ...
    0
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return CLOSED_PIPE
    except FisherfitError as error:
        _traceback(debug)
        _say(f"error: {_one_line(error)}")
        return USAGE
    except MemoryError:
        _traceback(debug)
        _say("error: not enough memory for these data")
        return INTERNAL
    except Exception as error:
        _traceback(debug)
        hint = "" if debug else " (--debug shows the traceback)"
        _say(f"internal error: {type(error).__name__}: {_one_line(error)}{hint}")
        return INTERNAL
    return code


def _run(argv: list[str]) -> int:
    try:
        commands = {"fit": _fit, "datasets": _datasets, "families": _families, "warmup": _warmup}
        top = parser(commands)
        options = top.parse_args(argv)
        if not hasattr(options, "run"):
            top.error(f"give a command: {', '.join(commands)}")
    except SystemExit as stop:  # argparse: --help, --version and usage errors
        return int(stop.code or 0)
    return int(options.run(options))


def _groups(names: list[str] | None) -> Any:
    """One column of groups, or two."""
    return names if names is None or len(names) > 1 else names[0]


def _fit(options: Namespace) -> int:
    """``fisherfit fit``: read, fit, print."""
    from .estimators import GLM

    family = _family(options)
    _check_outputs(options)
    visible = not options.quiet and not options.no_progress and sys.stderr.isatty()
    with _spinner(f"Reading {options.data}", visible):
        table = read_data(options.data)
    many = len(table) >= MANY_ROWS
    model = GLM(
        family,
        options.link,
        formula=options.formula,
        dispersion=options.dispersion,
        weight_type=options.weight_type,
        missing=options.missing,
        cov_type=options.cov_type,
        max_iter=options.max_iter,
        n_jobs=options.jobs,
        verbose=2 if visible and many else 0,
    )
    with (
        warnings.catch_warnings(record=True) as caught,
        _spinner(f"Fitting {len(table):,} rows", visible and not many),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FisherfitWarning)
        model.fit(table, sample_weight=options.weights, offset=options.offset, exposure=options.exposure,
                  groups=_groups(options.groups))  # fmt: skip
    if not options.quiet:
        used = [c for c in table if re.search(rf"(?<![\w.]){re.escape(str(c))}(?![\w.])", options.formula)]
        for name, (value, row) in nearly_numbers(table[used]).items():
            _say(f"warning: column {name!r} is a category, since {value!r} (row {row}) is not a number")
        for warning in caught:
            _say(f"warning: {_first_sentence(str(warning.message))} ({warning.category.__name__})")
    _print(options, model.result_)
    return OK if model.converged_ else NOT_CONVERGED


def _family(options: Namespace) -> Any:
    """The family with its constants; family and link are refused here, before the data are read."""
    from .families import NegativeBinomial, Tweedie, get_family
    from .links import check_pair, get_link

    family = get_family(options.family)
    if options.power is not None:
        if not isinstance(family, Tweedie):
            raise InputError(f"--power is for --family tweedie, not for {family.name}")
        family = Tweedie(power=options.power)
    if options.alpha is not None:
        if type(family) is not NegativeBinomial:
            raise InputError(f"--alpha is for --family negative_binomial, not for {family.name}")
        family = NegativeBinomial(alpha=options.alpha)
    if options.link is not None:
        check_pair(get_link(options.link), next(iter(family.parameters.values())), family.name)
    return family


def _check_outputs(options: Namespace) -> None:
    """Refuse an output file that cannot be written, before the data are read."""
    if options.json == options.html == "-":
        raise InputError("--json and --html cannot both go to the standard output; give one of them a FILE")
    for flag, name in (("--json", options.json), ("--html", options.html)):
        if name in (None, "-"):
            continue
        path = Path(name)
        if path.is_dir():
            raise InputError(f"{flag} {name}: is a folder; give the name of a file")
        if not path.parent.is_dir():
            raise InputError(f"{flag} {name}: there is no folder {str(path.parent)!r}")
        if path.exists() and Path(options.data).exists() and path.samefile(options.data):
            raise InputError(f"{flag} {name}: would overwrite the data; give another name")


def _print(options: Namespace, result: Result) -> None:
    """The summary to stdout, JSON and HTML where they were asked for."""
    summary = result.summary(options.level)
    if not options.quiet and "-" not in (options.json, options.html):
        print(summary)
    if options.json is not None:
        _write("--json", options.json, json.dumps(result.to_dict(options.level), indent=2, allow_nan=False))
    if options.html is not None:
        from . import __version__

        _write(
            "--html",
            options.html,
            summary.page(options.formula, f"Data: {options.data}. fisherfit {__version__}."),
        )


def _write(flag: str, name: str, text: str) -> None:
    if name == "-":
        print(text)
        return
    try:
        Path(name).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{flag} {name}: {error.strerror or error}") from None


def _datasets(options: Namespace) -> int:
    """``fisherfit datasets``: the list, or the description of one."""
    if options.name is not None:
        print(datasets.describe(options.name.removeprefix("@")))
        return OK
    rows = [("name", "rows", "description")]
    for name in datasets.names():
        text = datasets.describe(name)
        rows.append((f"@{name}", text.split("- Rows: ")[1].split(".")[0], text.split(".")[0]))
    _columns(rows)
    print("\nfisherfit datasets NAME tells source, licence and columns.")
    return OK


def _families(options: Namespace) -> int:
    """``fisherfit families``: families, their responses and links."""
    from .families import FAMILIES
    from .links import LINKS_BY_SUPPORT

    rows = [("family", "response", "dispersion", "links, the default first")]
    for name, cls in FAMILIES.items():
        family = cls()
        first, support = next(iter(family.parameters.items()))
        default = family.default_links.get(first) or family.canonical_link or family.default_link(first)
        links = [default, *(link for link in LINKS_BY_SUPPORT[support] if link != default)]
        response = f"{'whole numbers, ' if family.support.integer else ''}{family.support}"
        rows.append((name, response, "estimated" if family.has_dispersion else "1", ", ".join(links)))
    _columns(rows)
    print("\ngaussian is another name of normal. A link with an exponent is written 'power(2)'.")
    return OK


def _warmup(options: Namespace) -> int:
    """``fisherfit warmup``: compile, say what was compiled, how long it took and where it lies."""
    from . import _jit
    from .families import FAMILIES
    from .warming import COMMON, Warmed, warmup

    names = options.families or (FAMILIES if options.all else COMMON)
    visible = sys.stderr.isatty()

    def tell(step: Warmed) -> None:
        what = f"{len(step.compiled)} compiled" if step.compiled else "on disk already"
        print(f"{f'{step.family}, {step.link}':32}  {what:15}  {step.seconds:5.1f} s", flush=True)

    with warnings.catch_warnings(), _spinner("Compiling", visible):
        warnings.simplefilter("ignore", CompilationWarning)
        done = warmup(list(names), all_links=options.all, progress=tell)
    if done.folder is None:
        _say(f"error: {_jit.UNCACHED}")
        return INTERNAL
    print(f"\n{done.compiled} kernels compiled in {done.seconds:.1f} s; they lie in\n{done.folder}")
    return OK


def _columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


#: what the messages call an argument, and its name on the command line
_WORDS = (
    (r"missing='drop'", "--missing drop"),
    (r"\b(offset|exposure)='", r"--\1 '"),
    (r"\bsample_weight='", "--weights '"),
    (r"\bsample_weight\b", "--weights"),
    (r"\boffset=", "--offset"),
    (r"\bmax_iter=", "--max-iter "),
    (r"\bTweedie\(power=1\.5\)", "--family tweedie"),
)


def _one_line(error: object) -> str:
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text


def _first_sentence(text: str) -> str:
    """The first sentence; the summary has the others."""
    return re.split(r"\. (?=[A-Z])", _one_line(text), maxsplit=1)[0].rstrip(".")


def _say(text: str) -> None:
    print(f"fisherfit: {text}", file=sys.stderr)


def _traceback(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _discard_stdout() -> None:
    """Let the interpreter's last flush go nowhere, so that a closed pipe stays quiet."""
    with suppress(OSError, ValueError):  # no real stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _spinner(text: str, shown: bool) -> Iterator[None]:
    """Say on stderr what is going on, for work of more than a second."""
    if not shown:
        yield
        return
    from rich.console import Console

    status = Console(stderr=True).status(text)
    timer = threading.Timer(1.0, status.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


if __name__ == "__main__":
    sys.exit(main())
