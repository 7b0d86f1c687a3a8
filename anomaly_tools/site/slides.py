"""The lessons as slides: one HTML file each, which needs no network, no kernel and no other file.

A slide is a heading, a task or a paragraph of a lesson with the pictures that follow it; code is folded away, and so
are solutions. The pages are nbconvert's, the frame around them is ours: reveal.js would have to be fetched.
"""

import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_tools.site.execute import executed_copy, sources
from anomaly_tools.site.mathml import formulas_apart
from anomaly_tools.site.notebooks import is_executed, readable

TEMPLATE = Path(__file__).with_name("slides.html")
BREAK = re.compile(r"^(?=#{1,4} |\*\*(?:Predict|Exercise|Think|By hand))", re.MULTILINE)
"""A slide begins at a heading or at a task, also within a cell."""


def write_slides(root: Path, target: Path) -> list[Path]:
    """Write ``NAME.html`` for each executed lesson into the folder ``target``; returns the files.

    Raises InputError when a lesson has not been executed, or a formula cannot be read.
    """
    written = []
    for source in sources(root):
        if source.parent.name != "lessons":
            continue
        copy = executed_copy(root, source)
        if not copy.is_file():
            raise InputError(f"{copy}: not there; run 'python -m anomaly_tools.site execute'")
        try:
            page = slide_page(nbformat.read(copy, 4))
        except ValueError as error:
            raise InputError(f"{source}: {error}") from None
        with replacing(target / f"{source.stem}.html") as temporary:
            temporary.write_text(page, encoding="utf-8")
        written.append(target / f"{source.stem}.html")
    return written


def slide_page(notebook) -> str:
    """The whole HTML page of an executed notebook. Raises ValueError when a formula cannot be read."""
    notebook = readable(notebook)
    title = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]
    sections = [f"<section>\n{_rendered(cells)}\n</section>" for cells in slide_cells(notebook)]
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{title}", html.escape(title)).replace("{sections}", "\n".join(sections))


def slide_cells(notebook) -> Iterator[list]:
    """The cells of each slide: a part of the text, and the code cells that follow it."""
    assert is_executed(notebook), "slides show what was executed"
    slide: list = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            slide.append(cell)
            continue
        for part in BREAK.split(cell.source):
            if not part.strip():
                continue
            if slide:
                yield slide
            slide = [nbformat.v4.new_markdown_cell(part)]
    yield slide


def _rendered(cells: list) -> str:
    """HTML of the cells; code is folded, unless it is an exercise that learners fill in."""
    parts = []
    for cell in cells:
        if cell.cell_type == "markdown":
            parts.append(_markdown(cell.source))
            continue
        source = _fragment(nbformat.v4.new_code_cell(cell.source))
        if "exercise" not in cell.metadata.get("tags", []):
            name = "solution" if "solution" in cell.metadata.get("tags", []) else "code"
            source = f"<details><summary>{name}</summary>{source}</details>"
        shown = [_output(output) for output in cell.outputs]
        parts += [source, *(output for output in shown if output)]
    return "\n".join(parts)


def _output(output) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return data["text/html"]
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    text = output.get("text") or data.get("text/plain", "")
    return f"<pre>{html.escape(text)}</pre>" if text and output.get("name") != "stderr" else ""


def _markdown(source: str) -> str:
    text, formulas = formulas_apart(_with_page_links(source))  # a lesson's slides link to those of the next
    page = _fragment(nbformat.v4.new_markdown_cell(text))
    page = re.sub(r'<a class="anchor-link".*?</a>| id="[^"]*"', "", page)  # a slide is not linked to
    for mark, formula in formulas.items():
        page = page.replace(mark, formula)
    return page


def _with_page_links(markdown: str) -> str:
    """Links to notebooks as links to their pages, which Sphinx does not see to here."""
    return re.sub(r"\]\((?!\w+:)([^)#\s]+)\.ipynb(#[^)]*)?\)", r"](\1.html\2)", markdown)


def _fragment(cell) -> str:
    return _exporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))[0]


@cache
def _exporter():
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic")
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    return exporter
