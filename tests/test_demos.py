"""The demo notebooks: stripped, without logic, linked from the start page, and running one after the other."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from anomaly_course.widgets.picture import WIDGET_VIEW
from tests.helpers import assert_stripped

NAMES = ["deformation", "gallery", "layers", "paint", "region", "start", "synthesis", "threshold"]


@pytest.fixture
def demos(root):
    return {file.stem: nbformat.read(file, 4) for file in sorted(root.glob("notebooks/demos/*.ipynb"))}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_committed_stripped(root, name):
    assert_stripped(root / "notebooks/demos" / f"{name}.ipynb")


def test_each_is_linked_from_the_start_page_and_links_back(demos):
    assert list(demos) == NAMES
    linked = set(re.findall(r"\(([a-z]+)\.ipynb\)", demos["start"].cells[0].source))
    assert linked == set(NAMES) - {"start"}
    for name in linked:
        assert "(start.ipynb)" in demos[name].cells[0].source
        assert demos[name].cells[0].source.startswith("# ")


def test_they_hold_no_logic(demos):
    logic = ast.FunctionDef | ast.ClassDef | ast.While | ast.Try | ast.For | ast.Lambda | ast.If
    for notebook in demos.values():
        for cell in notebook.cells:
            if cell.cell_type == "code":
                assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, logic)]


def test_all_run_and_their_pages_have_a_picture_where_a_widget_was(demos, root):
    """One kernel for all of them, as torch takes longest to import."""
    whole = nbformat.v4.new_notebook(metadata=demos["start"].metadata)
    whole.cells = [
        nbformat.NotebookNode(cell | {"id": f"{name}-{cell['id']}"}) for name in NAMES for cell in demos[name].cells
    ]
    NotebookClient(whole, timeout=600, resources={"metadata": {"path": str(root / "notebooks/demos")}}).execute()
    outputs = [output for cell in whole.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    widgets = [output for output in outputs if WIDGET_VIEW in output.get("data", {})]
    assert len(widgets) >= 12  # more where a model is trained
    whole.metadata.pop("widgets", None)  # as ``nbstrip`` and ``nbrun`` leave it
    page, _ = HTMLExporter().from_notebook_node(whole)
    stills = [output for output in widgets if "<img alt=" in output.data.get("text/html", "")]
    assert len(stills) >= 10  # the two that wait for a model have none while nothing is trained
    shown = re.findall(r"<img[^>]* alt=\"[^\"]{40,}\" src=\"data:image/png;base64,", page)
    assert len(shown) == len(stills)
