"""Formulas as MathML, which browsers typeset themselves: no script and no network, neither to build nor to read.

docutils brings the converter. What it does not know raises an error, and with ``-W`` that ends the build.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def mathml(tex: str, as_block: bool) -> str:
    """MathML of a formula. A prime is a superscript, as in TeX, alone or before another one: J'^{-1}."""
    tex = re.sub(r"'\^\{", r"^{\\prime\,", tex)
    return tex2mathml(tex.replace("'", r"^{\prime}"), as_block=as_block)


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
