"""The summary of a result, as text, as HTML for a notebook, and as a page of its own."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from .result import Result

WIDTH = 88
NAME_WIDTH = 40
TITLE = "Generalised linear model"


@dataclass(frozen=True, repr=False)
class Summary:
    """Text by ``print`` and ``str``, HTML in a notebook.

    Examples
    --------
    >>> import fisherfit as ff
    >>> model = ff.GLM(formula="breaks ~ wool", family="poisson").fit(ff.datasets.load("warpbreaks"))
    >>> header, rows = model.summary(level=0.9).table()
    >>> header
    ['', 'coef', 'std err', 'z', 'P>|z|', '[0.05', '0.95]']
    >>> rows[1]
    ['wool[T.B]', '-0.2060', '0.0516', '-3.994', '<0.001', '-0.2908', '-0.1212']
    """

    result: Result
    level: float = 0.95
    title: ClassVar[str] = TITLE

    def facts(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Names and values, in two columns."""
        r = self.result
        worst = r.certificate._worst_digits()
        digits = f", {math.floor(worst)}+ digits" if np.isfinite(worst) else ""
        separated = bool(np.isinf(r.standard_errors).any())
        state = "converged" if r.converged else "SEPARATED" if separated else "NOT CONVERGED"
        left = [
            ("Response", r.response),
            ("Family", r.family),
            ("Link", ", ".join(r.links)),
            ("Observations", number(r.nobs)),
            ("Model df", number(r.df_model)),
            ("Residual df", number(r.df_resid)),
            ("Dispersion", f"{number(r.dispersion)} ({r.dispersion_method})"),
            ("Covariance", r.cov_type),
            *([] if r.bias_reduction is None else [("Estimates", f"{r.bias_reduction} bias reduction")]),
        ]
        right = [
            ("Log-likelihood", number(r.llf)),
            ("AIC", number(r.aic)),
            ("BIC", number(r.bic)),
            ("Deviance", number(r.deviance)),
            ("Null deviance", number(r.null_deviance)),
            ("Pearson chi2", number(r.pearson_chi2)),
            ("Iterations", f"{r.n_iter} ({state})"),
            ("Certificate", f"within {r.certificate.max_se_error:.0e} se{digits}"),
            *([] if r.bias_reduction is None else [("Null model", "maximum likelihood")]),
        ]
        return left, right

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the coefficient table."""
        r = self.result
        kind = "t" if r.use_t else "z"
        low, high = f"[{(1 - self.level) / 2:.6g}", f"{(1 + self.level) / 2:.6g}]"
        ci = np.column_stack(r._intervals(self.level))
        (t, p), se = r._tests(), r.standard_errors
        wanted = [decimals(float(s)) for s in se]
        most = max([d for d in wanted if d is not None], default=4)
        rows = []
        for i, name in enumerate(r.names):
            own = wanted[i]
            places = most if own is None else min(most, own + 3)
            coef, error, lower, upper = fixed([r.coefficients[i], se[i], *ci[i]], places)
            infinite = np.isinf(se[i])  # a Wald test says nothing there
            statistic = "" if infinite or np.isnan(t[i]) else f"{t[i]:.3f}" if abs(t[i]) < 1e5 else f"{t[i]:.3g}"
            rows.append([name, coef, error, statistic, "" if infinite else pvalue(float(p[i])), lower, upper])
        return ["", "coef", "std err", kind, f"P>|{kind}|", low, high], rows

    def __str__(self) -> str:
        header, rows = self.table()
        names = [shorten(row[0]) for row in rows]
        columns = [max(9, *(len(row[j]) for row in [header, *rows])) for j in range(1, 7)]
        total = max(WIDTH, max([12, *map(len, names)]) + sum(c + 2 for c in columns))
        half = total // 2
        lines = [f"{self.title:^{total}}".rstrip(), "=" * total]
        for (a, b), (c, d) in zip(*self.facts(), strict=True):
            left = f"{a:<14}{shorten(b, half - 16):>{half - 16}}"
            lines.append(f"{left}  {c:<16}{d:>{total - half - 16}}")
        lines.append("-" * total)
        name_width = total - sum(c + 2 for c in columns)
        for name, row in zip(["", *names], [header, *rows], strict=True):
            cells = "".join(f"{cell:>{c + 2}}" for cell, c in zip(row[1:], columns, strict=True))
            lines.append(f"{name:<{name_width}}{cells}".rstrip())
            if row is header:
                lines.append("-" * total)
        lines.append("=" * total)
        for note in self.result.notes:
            lines += textwrap.wrap(f"Note: {note}", total, subsequent_indent="      ", break_long_words=False)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<div class="fisherfit"><style>{STYLE}</style><h3>{self.title}</h3>{self._tables()}</div>'

    def page(self, heading: str, foot: str) -> str:
        """A complete page, which needs nothing but itself.

        Parameters
        ----------
        heading, foot : str
            Plain text above and below the tables, such as the formula and the name of the data.
        """
        e = html.escape
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{e(heading)}</title>\n<style>{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n"
            f'<main class="fisherfit">\n<h1>{self.title}</h1>\n'
            f'<p class="ff-formula"><code>{e(heading)}</code></p>\n'
            f"{self._tables()}\n<footer>{e(foot)}</footer>\n</main>\n</body>\n</html>"
        )

    def _tables(self) -> str:
        e = html.escape
        header, rows = self.table()
        facts = "".join(
            "<table><tbody>"
            + "".join(f'<tr><th scope="row">{e(a)}</th><td>{e(b)}</td></tr>' for a, b in column)
            + "</tbody></table>"
            for column in self.facts()
        )
        head = "".join(f'<th scope="col">{e(cell)}</th>' if cell else "<td></td>" for cell in header)
        body = "".join(
            f'<tr><th scope="row">{e(row[0])}</th>' + "".join(f"<td>{e(c)}</td>" for c in row[1:]) + "</tr>"
            for row in rows
        )
        notes = "".join(f"<li>{e(note)}</li>" for note in self.result.notes)
        return (
            f'<div class="ff-facts">{facts}</div>'
            f'<div class="ff-coef"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            + (f'<ul class="ff-notes">{notes}</ul>' if notes else "")
        )


STYLE = """
.fisherfit { font-family: system-ui, sans-serif; font-size: 0.9rem; line-height: 1.4; color: inherit;
  max-width: 50rem; }
.fisherfit h3 { margin: 0 0 0.5em; font-size: 1rem; }
.fisherfit table { border-collapse: collapse; margin: 0; width: 100%; }
.fisherfit tr, .fisherfit thead, .fisherfit tbody { background: none; }
.fisherfit th, .fisherfit td { border: 0; padding: 0.2em 0 0.2em 1em; text-align: right; white-space: nowrap;
  vertical-align: baseline; font-weight: 400; font-variant-numeric: tabular-nums; }
.fisherfit th[scope="row"] { text-align: left; padding-left: 0; }
.fisherfit .ff-facts { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 3em;
  margin-bottom: 0.9em; }
.fisherfit .ff-facts table { flex: 1 1 20em; }
.fisherfit .ff-facts th { opacity: 0.75; }
.fisherfit .ff-facts td { white-space: normal; overflow-wrap: anywhere; }
.fisherfit .ff-coef { overflow-x: auto; margin-bottom: 0.9em; }
.fisherfit .ff-coef thead { border-top: 2px solid; border-bottom: 1px solid; }
.fisherfit .ff-coef thead th { font-weight: 600; }
.fisherfit .ff-coef tbody { border-bottom: 2px solid; }
@media (max-width: 36rem) { .fisherfit .ff-coef :is(th, td):not([scope="row"]) { padding-left: 0.6em; } }
.fisherfit .ff-notes { margin: 0 0 0.9em; padding-left: 1.2em; }
"""

PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; color: #1c1c1c; background: #ffffff; }
main { max-width: 50rem; margin: 0 auto; padding: 1.5rem 1rem; }
main h1 { margin: 0 0 0.4rem; font-size: 1.3rem; }
main .ff-formula { margin: 0 0 1rem; overflow-wrap: anywhere; }
main code { font-family: ui-monospace, monospace; font-size: 0.95em; }
main footer { opacity: 0.75; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #16181c; } }
@media print { body { color: #000000; background: #ffffff; } }
"""


def number(value: float) -> str:
    """A number in at most ten characters, with the digits that matter.

    Examples
    --------
    >>> from fisherfit.summary import number
    >>> number(20190.0), number(-63072.5149), number(0.00942)
    ('20190', '-63072.51', '0.009420')
    """
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value)}"
    if 0.1 <= abs(value) < 1e7:
        return f"{value:.{4 if abs(value) < 1e3 else 2 if abs(value) < 1e5 else 1}f}"
    return f"{value:#.4g}" if 1e-4 <= abs(value) < 0.1 else f"{value:.4g}"


def decimals(se: float) -> int | None:
    """Decimal places that show three digits of a standard error, from 2 to 6; None without one."""
    if not (math.isfinite(se) and se > 0.0):
        return None
    return min(max(2 - math.floor(math.log10(se)), 2), 6)


def fixed(values: Sequence[float], places: int) -> list[str]:
    """Coefficient, standard error and interval to so many places; with exponents where that is no use."""
    cells = [f"{float(value):.{places}f}" for value in values]
    vanishes = 0.0 < values[1] < 10.0 ** (1 - places)
    return [f"{float(value):#.4g}" for value in values] if vanishes or max(map(len, cells)) > 11 else cells


def pvalue(p: float) -> str:
    """A p-value to three places."""
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def shorten(text: str, width: int = NAME_WIDTH) -> str:
    """A text cut in its middle, where ends differ less often."""
    if len(text) <= width:
        return text
    head = width // 3
    return f"{text[:head]}…{text[len(text) - (width - head - 1) :]}"
