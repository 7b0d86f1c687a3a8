"""Access: each rule finds what it is for, and the project has no finding but those that are known."""

import ast
import io
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from anomaly_lib.figures.display import image_element
from anomaly_tools.access.__main__ import findings
from anomaly_tools.access.colours import check_code, check_style_sheet, constants, contrast
from anomaly_tools.access.finding import KNOWN
from anomaly_tools.access.markdown import check_page
from anomaly_tools.access.notebooks import check_notebook, check_outputs

FILE = Path("x")
TITLED = "# Title\n\n"


def rules(found):
    return [finding.rule for finding in found]


@pytest.fixture(scope="module")
def found(root):
    return list(findings(root))


def test_the_project_has_no_finding_but_the_known_ones(found):
    assert [str(finding) for finding in found if (str(finding.file), finding.rule) not in KNOWN] == []


def test_no_exception_outlives_its_reason(found):
    assert set(KNOWN) == {(str(finding.file), finding.rule) for finding in found} & set(KNOWN)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (TITLED + "![](a.png)", "alt"),
        (TITLED + "![image](a.png)", "alt"),
        (TITLED + '<img src="a.png">', "alt"),
        (TITLED + "### Skipped", "heading"),
        ("## No title", "heading"),
        (TITLED + "# Second", "heading"),
        (TITLED + "![words of it](a.gif)", "still"),
    ],
)
def test_a_page_is_found_out(text, rule):
    assert rules(check_page(text, FILE)) == [rule]


def test_a_good_page_passes_and_code_is_not_read():
    assert not rules(check_page(TITLED + "## A\n\n### B\n\n```\n# no heading ![](a.png)\n```\n`![](b.png)`", FILE))
    assert not rules(check_page(TITLED + "![a nut](a.gif)\n([still](a.png))", FILE))


@pytest.mark.parametrize(
    "source", ["Image(x, alt=words)", "show(figure)", "save_figure(figure, file)", "loss_curve(rows);"]
)
def test_a_cell_that_shows_a_bare_picture_is_found(source):
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell(source)]
    assert rules(check_notebook(nbformat.v4.new_notebook(cells=cells), FILE)) == ["alt"]


def pixel(kind):
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "alt", "expected"), [("png", "", ["alt"]), ("png", "a nut", []), ("gif", "a nut", ["still"])]
)
def test_what_a_cell_has_shown_is_looked_at(kind, alt, expected):
    data = {"text/html": image_element(pixel(kind), alt)} if alt else {f"image/{kind}": "AAAA"}
    output = nbformat.v4.new_output("display_data", data)
    cell = nbformat.v4.new_code_cell("x", outputs=[output])
    assert rules(check_outputs(nbformat.v4.new_notebook(cells=[cell]), FILE)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('axis.imshow(x, cmap="jet")', ["colours"]),
        ('axis.imshow(x, "hsv")', ["colours"]),
        ('MAP = "coolwarm"\naxis.imshow(x, cmap=MAP)', ["colours"]),
        ('axis.imshow(x, cmap="magma_r")', []),
        ('axis.text(0, 0, "words", color="0.6")', ["contrast"]),
        ('FAINT = "#d55e00"\naxis.set_title("words", color=FAINT)', ["contrast"]),
        ('axis.text(0, 0, "words", color="0.3")', []),
        ('def f():\n    plot(color="red")\n    plot(color="green")', ["red-green"]),
        ('def f():\n    plot(color="#d55e00")\n    plot(color="#0072b2")', []),
    ],
)
def test_colours_in_code(code, expected):
    tree = ast.parse(code)
    assert rules(check_code(tree, FILE, constants([tree]))) == expected


def test_contrast_is_that_of_wcag():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey that passes on white


def test_style_sheets_are_read():
    assert rules(check_style_sheet("a { color: #999999; }", FILE)) == ["contrast"]
    assert rules(check_style_sheet("a { color: #999999; background: #111111; }", FILE)) == []
