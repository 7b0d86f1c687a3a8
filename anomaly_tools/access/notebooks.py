"""Notebooks: their Markdown, the calls that show a picture, and the pictures of executed copies."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from anomaly_tools.access.finding import Finding
from anomaly_tools.access.markdown import check_headings, check_images, without_code
from anomaly_tools.site.pictures import bare_kind, pictures

FIGURE_ENDINGS = ("_figure", "_curve", "_curves", "_sheet", "_rows", "_views", "_wheel")
"""How functions are named that return a figure; executed copies find the rest."""


def check_notebook(notebook, file: Path) -> Iterator[Finding]:
    """Findings in a notebook's sources."""
    texts = [without_code(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    yield from check_headings(re.findall(r"^(#+) ", "\n".join(texts), re.MULTILINE), file)
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield from check_images(without_code(cell.source), file, f"cell {position}")
        elif cell.cell_type == "code":
            yield from _check_calls(cell.source, file, position)


def check_outputs(notebook, file: Path) -> Iterator[Finding]:
    """Findings in what an executed notebook shows: an image without alternative text, motion without a still."""
    found = list(pictures(notebook))
    for position, kind in found:
        if kind == "image/gif" and not any(abs(p - position) <= 2 and other == "image/png" for p, other in found):
            yield Finding(file, f"cell {position}", "still", "moves; show a still in one of the next two cells")
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if bare_kind(output):
                yield Finding(file, f"cell {position}", "alt", "the output is an image without alternative text")
            for text in (output.get("data", {}).get(kind, "") for kind in ("text/html", "text/markdown")):
                yield from check_images(text, file, f"cell {position}")


def _check_calls(source: str, file: Path, position: int) -> Iterator[Finding]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node)
        named = {keyword.arg for keyword in node.keywords}
        if name == "Image":
            yield Finding(file, f"cell {position}", "alt", "JupyterLab leaves the alt of Image(…) out; take show_file")
        if name == "show" and len(node.args) < 2 and "alt" not in named:
            yield Finding(file, f"cell {position}", "alt", "show(…) without alternative text")
        if name == "save_figure":
            yield Finding(
                file, f"cell {position}", "alt", "save_figure(…) leaves a bare figure; follow it by show(figure, alt)"
            )
    last = tree.body[-1] if tree.body else None
    shown = _name(last.value) if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else ""
    if shown.endswith(FIGURE_ENDINGS) and shown != "save_figure":
        yield Finding(file, f"cell {position}", "alt", f"{shown}(…) leaves a bare figure; wrap it in show(…, alt)")


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
