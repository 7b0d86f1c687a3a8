"""Sphinx settings of the rendered site; ``make site`` stages the source and calls Sphinx with them."""

import inspect
import re

from sphinx.util import logging

from anomaly_tools import PACKAGES
from anomaly_tools.site.mathml import mathml

project = "Surface anomaly detection"
author = "the authors of this repository"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "Surface anomaly detection"
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"

nb_execution_mode = "off"  # the pages are copies that were executed before
nb_output_stderr = "remove"
nb_render_markdown_format = "myst"  # plain CommonMark knows no tables
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# types of other libraries are named in signatures, and nothing can be fetched to link them
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["ref.python"]  # the field ``paper`` of several methods is not an ambiguous link


def _math(block: bool):
    def visit(translator, node) -> None:
        from docutils.nodes import SkipNode

        try:
            translator.body.append(mathml(node.astext(), block=block))
        except ValueError as error:
            logging.getLogger(__name__).warning("%s", error, location=node)
            translator.body.append(f"<code>{translator.encode(node.astext())}</code>")
        raise SkipNode

    return visit


ESCAPED = re.compile(r"^\* |[|`_*]", re.MULTILINE)  # all but the bullet of a list


def _escaped(found: re.Match) -> str:
    return found[0] if found[0] == "* " else f"\\{found[0]}"


def _plain(app, what, name, thing, options, lines: list[str]) -> None:
    """Docstrings are plain text with ``code`` and lists; what is indented is shown as it stands."""
    blocks = [block for block in re.split(r"\n\s*\n", "\n".join(lines)) if block.strip()]
    lines[:] = [*"\n\n".join(_block(block) for block in blocks).splitlines(), ""]


def _block(block: str) -> str:
    if block.startswith("* ") or not re.search(r"^\s", block, re.MULTILINE):
        parts = re.split(r"(``[^`]*``)", block)
        return "".join(p if p.startswith("``") else ESCAPED.sub(_escaped, p) for p in parts)
    return "::\n\n" + "\n".join(f"    {line}" for line in block.splitlines())


def _foreign(app, what, name, thing, skip: bool, options) -> bool | None:
    """Leave out what a module imports from other packages and some tools take for its own."""
    origin = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__module__", None) or "anomaly_lib"
    return True if origin.partition(".")[0] not in PACKAGES and what == "module" and callable(thing) else None


def _language(app, pagename, templatename, context, doctree) -> None:
    """Screen readers read a page aloud in its own language."""
    context["language"] = "vi" if pagename.endswith(".vi") else "en"


def setup(app) -> None:
    app.connect("html-page-context", _language)
    app.connect("autodoc-process-docstring", _plain)
    app.connect("autodoc-skip-member", _foreign)
    app.add_html_math_renderer("mathml", (_math(False), None), (_math(True), None))
