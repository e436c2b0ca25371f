"""Formulas as MathML, which browsers typeset themselves: no script and no network, neither to build nor to read.

docutils brings the converter. What it does not know raises an error, and with ``-W`` that ends the build. The style
sheet brings a font for formulas: in a font that is none, browsers draw no roots.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

PRIME = "\N{PRIME}"
CLOSE = PRIME, "|", "\N{DOUBLE VERTICAL LINE}", "/"
SPACE = '<mspace width="0.1667em"></mspace>'


def mathml(tex: str, as_block: bool) -> str:
    """MathML of a formula.

    A prime stands behind its letter, and within the brackets of a power: J'^{-1} is (J')^{-1}. Two digits behind a
    fraction's name are its parts, as in TeX. Bars are as high as letters, slashes stand close, and names such as log
    have a space on both sides.
    """
    tex = re.sub(r"\\([td]?frac)\s*(\d)\s*(\d)", r"\\\1{\2}{\3}", tex)
    tex = re.sub(r"(\w)'\^", r"{\1\\prime}^", tex).replace("'", r"\prime ")
    out = tex2mathml(tex, as_block=as_block)
    for sign in CLOSE:
        form = ' form="postfix"' if sign == PRIME else ""
        closed = f'<mo{form} stretchy="false" lspace="0" rspace="0">{sign}</mo>'
        out = re.sub(rf"<m[io][^>]*>{re.escape(sign)}</m[io]>", closed, out)
    out = re.sub(r"(</m(?:i|n|sub|sup|subsup|row)>\s*)(<m[io][^>]*>[a-z]{2,}</m[io]>)", rf"\1{SPACE}\2", out)
    return out.replace("<mo>&ApplyFunction;</mo>", SPACE)


def inline(self, node: nodes.math) -> None:
    """A formula within a line of text."""
    self.body.append(mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def block(self, node: nodes.math_block) -> None:
    """A formula on lines of its own; one that is wider than the page is scrolled, not the page."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(mathml(node.astext(), as_block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
