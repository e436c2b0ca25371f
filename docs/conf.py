"""Sphinx configuration. The package must be installed; nothing is fetched from the network."""

import doctest
import re
import sys
import tomllib
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fisherfit"
author = "The fisherfit developers"
copyright = f"2026, {author}"
release = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]["version"]
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "matplotlib.sphinxext.plot_directive",
    "mathml",
]
exclude_patterns = ["_build", "generated"]
default_role = "py:obj"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
# excerpts would be read from pages, which browsers refuse for files; the search itself needs no server
html_show_search_summary = False
html_static_path = ["_static"]
html_css_files = ["style.css"]

# figures: drawn when the pages are built, shown with their code; vectors, sharp on any screen and on any wall
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("svg", 130)]
plot_rcparams = {"figure.figsize": (6.4, 3.6), "figure.constrained_layout.use": True, "savefig.transparent": True}
plot_apply_rcparams = True

napoleon_google_docstring = False
napoleon_use_rtype = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {
    # scikit-learn writes these; their texts refer to pages of its own manual
    # scikit-learn writes these, or the class describes them; a member called n would be meant by every "shape (n,)"
    "exclude-members": "set_fit_request, set_partial_fit_request, set_predict_request, set_score_request, "
    "get_metadata_routing, params_, component_params_, results_, held, n"
}
python_use_unqualified_type_names = True

# "..." in an expected output stands for anything
doctest_default_flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1


class Families(SphinxDirective):
    """A table of the registered families, then the class of each: a new family needs no line here."""

    def run(self):
        from fisherfit.families import FAMILIES

        rows = ["name, class", "response", "parameters", "default link", "dispersion phi"]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [rows, *(self.row(name, cls) for name, cls in FAMILIES.items())]:
            lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
        for cls in FAMILIES.values():
            lines += ["", f".. autoclass:: fisherfit.{cls.__name__}"]
        return self.parse_text_to_nodes("\n".join(lines))

    @staticmethod
    def row(name, cls):
        family = cls()
        response = f"{family.support}{', whole numbers' if family.support.integer else ''}"
        parameters = ", ".join(f"{p} ({support})" for p, support in family.parameters.items())
        link = family.default_link(next(iter(family.parameters)))
        phi = "estimated" if family.has_dispersion else "1"
        return f"``{name}``, `fisherfit.{cls.__name__}`", response, parameters, link, phi


def back_links(app, page, template, context, tree):
    """Without links of a source listing to names under which the reference does not have what is defined there."""
    if page.startswith("_modules/") and "body" in context:
        known = app.env.domains["py"].objects
        link = re.compile(r'<a class="viewcode-back" href="[^"#]*#([^"]+)">.*?</a>')
        context["body"] = link.sub(lambda found: found[0] if found[1] in known else "", context["body"])


def setup(app):
    app.add_directive("families", Families)
    app.connect("html-page-context", back_links)
