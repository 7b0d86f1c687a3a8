"""One notebook as a page: outputs that need no kernel, pictures with alternative text, solutions folded."""

import re
from pathlib import Path

import nbformat

from anomaly_tools.site.pictures import (
    bare_kind,
    derived_alt,
    html_picture,
    with_stored_pictures,
)

WIDGET = "application/vnd.jupyter.widget-view+json"
NO_KERNEL = "*A control that needs a running kernel; the figure above shows one setting of it.*"
NOT_EXECUTED = "*Not executed in this copy of the site: pictures and numbers are missing.*"


def readable(notebook, folder: Path | None = None, address: str = ""):
    """Change an executed notebook in place into one that reads without a kernel, and return it.

    Images become ``img`` elements, in files of ``folder`` (``address`` as seen from the page) or within the page; a
    widget becomes its still (``widgets.still``) or a line that says so; a folded solution stays folded.
    """
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})
        cell["outputs"] = [_plain(output, notebook, position, folder, address) for output in cell.outputs]
    return notebook


def is_executed(notebook) -> bool:
    """Has any cell an output?"""
    return any(cell.get("outputs") for cell in notebook.cells)


def with_note_if_not_executed(notebook):
    """A line below the title, where nothing has been executed. Changes the notebook in place and returns it."""
    if not is_executed(notebook):
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(NOT_EXECUTED))
    return notebook


def _plain(output, notebook, position: int, folder: Path | None, address: str):
    if bare_kind(output):
        output = _shown({"text/html": html_picture(output, derived_alt(notebook, position))})
    data = output.get("data", {})
    if "text/html" in data and folder is not None:
        return _shown({"text/html": with_stored_pictures(data["text/html"], folder, address)})
    if WIDGET in data or re.match(r"\w*(Box|Slider|Widget|Studio)\(", data.get("text/plain", "")):
        return _shown({"text/html": data["text/html"]} if "text/html" in data else {"text/markdown": NO_KERNEL})
    return output


def _shown(data: dict):
    return nbformat.v4.new_output("display_data", data)
