"""The summary of a result, as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .result import Result

WIDTH = 88


@dataclass(frozen=True, repr=False)
class Summary:
    """Text by ``print`` and ``str``, HTML in a notebook."""

    result: Result
    level: float = 0.95

    def facts(self) -> list[tuple[str, str, str, str]]:
        """Two columns of names and values."""
        r = self.result
        how = {"fixed": "fixed"}.get(r.dispersion_method, r.dispersion_method)
        left = [
            ("Response", r.response),
            ("Family", r.family),
            ("Link", ", ".join(r.links)),
            ("Observations", number(r.nobs)),
            ("Model df", number(r.df_model)),
            ("Residual df", number(r.df_resid)),
            ("Dispersion", f"{number(r.dispersion)} ({how})"),
            ("Covariance", r.cov_type),
        ]
        worst = r.certificate.digits.min()
        right = [
            ("Log-likelihood", number(r.llf)),
            ("AIC", number(r.aic)),
            ("BIC", number(r.bic)),
            ("Deviance", number(r.deviance)),
            ("Null deviance", number(r.null_deviance)),
            ("Pearson chi2", number(r.pearson_chi2)),
            ("Iterations", f"{r.n_iter} ({'converged' if r.converged else 'NOT CONVERGED'})"),
            ("Certificate", f"within {r.certificate.max_se_error:.0e} se, {worst:.0f}+ digits"
             if np.isfinite(worst) else f"within {r.certificate.max_se_error:.0e} se"),
        ]  # fmt: skip
        return [(a, b, c, d) for (a, b), (c, d) in zip(left, right, strict=True)]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the coefficient table."""
        r = self.result
        kind = "t" if r.use_t else "z"
        low, high = f"[{(1 - self.level) / 2:.3g}", f"{(1 + self.level) / 2:.3g}]"
        ci = r.conf_int(self.level).to_numpy()
        rows = []
        for i, name in enumerate(r.names):
            t = float(r.tvalues.iloc[i])
            p = float(r.pvalues.iloc[i])
            rows.append(
                [
                    name, number(r.coefficients[i]), number(r.standard_errors[i]), f"{t:.3f}" if np.isfinite(t) else "",
                    pvalue(p), number(ci[i, 0]), number(ci[i, 1]),
                ]
            )  # fmt: skip
        return ["", "coef", "std err", kind, f"P>|{kind}|", low, high], rows

    def __str__(self) -> str:
        header, rows = self.table()
        width = max([12, *(len(row[0]) for row in rows)])
        name_width = min(width, 40)
        columns = [max(9, *(len(row[j]) for row in [header, *rows])) for j in range(1, 7)]
        total = max(WIDTH, name_width + sum(c + 2 for c in columns))
        half = total // 2
        lines = [f"{'Generalised linear model':^{total}}".rstrip(), "=" * total]
        for a, b, c, d in self.facts():
            left = f"{a:<14}{b:>{half - 16}}"
            lines.append(f"{left}  {c:<16}{d:>{total - half - 16}}")
        lines.append("-" * total)
        pad = total - name_width - sum(c + 2 for c in columns)
        for row in [header, *rows]:
            name = row[0] if len(row[0]) <= name_width else row[0][: name_width - 1] + "…"
            cells = "".join(f"{cell:>{c + 2}}" for cell, c in zip(row[1:], columns, strict=True))
            lines.append(f"{name:<{name_width + pad}}{cells}")
            if row is header:
                lines.append("-" * total)
        lines.append("=" * total)
        lines += [f"Note: {note}" for note in self.result.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        e = html.escape
        header, rows = self.table()
        facts = "".join(
            f"<tr><th>{e(a)}</th><td>{e(b)}</td><th>{e(c)}</th><td>{e(d)}</td></tr>" for a, b, c, d in self.facts()
        )
        head = "".join(f"<th>{e(cell)}</th>" for cell in header)
        body = "".join(
            f"<tr><th>{e(row[0])}</th>" + "".join(f"<td>{e(cell)}</td>" for cell in row[1:]) + "</tr>" for row in rows
        )
        notes = "".join(f"<li>{e(note)}</li>" for note in self.result.notes)
        return (
            f'<div class="fisherfit">{STYLE}<h3>Generalised linear model</h3>'
            f'<table class="ff-facts"><tbody>{facts}</tbody></table>'
            f'<table class="ff-coef"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            + (f'<ul class="ff-notes">{notes}</ul>' if notes else "")
            + "</div>"
        )


STYLE = """<style>
.fisherfit { font-family: system-ui, sans-serif; font-size: 0.9rem; color: inherit; }
.fisherfit h3 { margin: 0 0 0.4em; font-size: 1rem; }
.fisherfit table { border-collapse: collapse; margin-bottom: 0.6em; }
.fisherfit th, .fisherfit td { padding: 0.2em 0.9em; text-align: right; font-variant-numeric: tabular-nums; }
.fisherfit th { font-weight: 600; }
.fisherfit .ff-facts th, .fisherfit .ff-coef tbody th { text-align: left; }
.fisherfit .ff-coef thead tr { border-top: 2px solid; border-bottom: 1px solid; }
.fisherfit .ff-coef tbody { border-bottom: 2px solid; }
.fisherfit .ff-notes { margin: 0; padding-left: 1.2em; }
</style>"""


def number(value: float) -> str:
    """A number in at most ten characters, with the digits that matter."""
    value = float(value)
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value)}"
    if 1e-3 <= abs(value) < 1e7:
        digits = max(0, 4 if abs(value) < 1e3 else 2 if abs(value) < 1e5 else 1)
        return f"{value:.{digits}f}"
    return f"{value:.4g}"


def pvalue(p: float) -> str:
    """A p-value to three places."""
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
