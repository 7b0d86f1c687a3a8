"""The site and the slides: pages without kernel, network, empty places and pictures without words."""

import base64
import re
import runpy
import shutil
from pathlib import Path

import nbformat
import pytest

from anomaly_course.widgets.perlin import perlin_studio
from anomaly_course.widgets.projector import live_page
from anomaly_lib.base.errors import InputError
from anomaly_lib.figures.display import image_element
from anomaly_lib.reporting.results import read_csv
from anomaly_tools.site.execute import execute_all
from anomaly_tools.site.live import PICTURE, copy_live_page, with_live_page
from anomaly_tools.site.mathml import FORMULA, formulas_apart, mathml
from anomaly_tools.site.notebooks import NO_KERNEL, WIDGET, readable, with_note_if_not_executed
from anomaly_tools.site.pictures import derived_alt
from anomaly_tools.site.slides import slide_page
from anomaly_tools.site.stage import PICTURES, stage
from anomaly_tools.site.verify import Page, external_links, verify

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def notebook_of(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def code(source="x", *outputs, **metadata):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def shown(data):
    return nbformat.v4.new_output("display_data", data)


def picture(alt):
    return shown({"text/html": image_element(base64.b64decode(PNG), alt)})


def text(source):
    return nbformat.v4.new_markdown_cell(source)


def test_a_widget_leaves_its_picture_with_words_where_no_kernel_runs():
    bundle = perlin_studio()._repr_mimebundle_()
    assert WIDGET in bundle
    page = Page(bundle["text/html"])
    assert page.fetched[0].startswith("data:image/png")
    assert page.bare_images == []


def test_no_cell_is_empty_where_a_widget_was():
    cells = [code("a", shown({WIDGET: {}, "text/html": "<figure>still</figure>"})), code("b", shown({WIDGET: {}}))]
    still, line = (cell.outputs[0].data for cell in readable(notebook_of(*cells)).cells)
    assert still == {"text/html": "<figure>still</figure>"}
    assert line == {"text/markdown": NO_KERNEL}


def test_a_picture_keeps_its_words_and_becomes_a_file(tmp_path):
    cell = code("x", picture('a "nut"'))
    html = readable(notebook_of(cell), tmp_path, "../pictures").cells[0].outputs[0].data["text/html"]
    (file,) = tmp_path.iterdir()
    assert Page(html).fetched == [f"../pictures/{file.name}"]
    assert 'alt="a &quot;nut&quot;"' in html


def test_a_bare_picture_gets_the_words_around_it():
    notebook = notebook_of(
        text("# T\n\n## Fit\n\nThe loss *falls*, see [here](x.md)."), code("x", shown({"image/png": PNG}))
    )
    assert derived_alt(notebook, 1) == "Fit: The loss falls, see here."
    assert 'alt="Fit: The loss falls' in readable(notebook).cells[1].outputs[0].data["text/html"]


def test_what_was_not_executed_says_so_and_a_folded_solution_stays_folded():
    hidden = code("x", jupyter={"source_hidden": True}, tags=["solution"])
    notebook = with_note_if_not_executed(readable(notebook_of(text("# T"), hidden)))
    assert "Not executed" in notebook.cells[1].source
    assert notebook.cells[2].metadata.tags == ["hide-input", "solution"]


@pytest.mark.parametrize(
    ("tex", "parts"),
    [
        (r"\frac1{HW}", ("<mn>1</mn>", "<mi>H</mi>")),
        (r"\tfrac14 x", ("<mn>1</mn>", "<mn>4</mn>", "<mi>x</mi>")),
        (r"\Big| a \Big|", ("<mi>a</mi>",)),
        ("f(½) · x_1 \\dots x_4", ("<mn>2</mn>", "<mo>⋅</mo>", "…")),
    ],
)
def test_formulas_become_mathml(tex, parts):
    assert all(part in mathml(tex) for part in parts), mathml(tex)


def test_a_formula_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="nosuchcommand"):
        mathml(r"\nosuchcommand{x}")


def test_formulas_are_told_from_dollars_and_code():
    text, formulas = formulas_apart("`$HOME` costs 5 $ or 6 $, $x$")
    assert len(formulas) == 1
    assert text.startswith("`$HOME` costs 5 $ or 6 $, ")


def test_every_formula_of_the_project_can_be_rendered(root):
    sources = [page.read_text() for page in root.glob("docs/**/*.md")]
    for file in root.glob("notebooks/**/[!.]*.ipynb"):
        sources += [cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type == "markdown"]
    formulas = [found for source in sources for found in FORMULA.finditer(source) if found["block"] or found["inline"]]
    assert len(formulas) > 50
    for found in formulas:
        mathml(found["block"] or found["inline"])


def test_slides_link_to_the_slides_of_other_lessons():
    given = "[a](20_dfr.ipynb), [b](../x.ipynb#part), [c](https://example.org/x.ipynb), [d](../docs/a.md)"
    page = slide_page(notebook_of(text(f"# Lesson\n\nNext: {given}"), code("y", shown({"text/html": "y"}))))
    assert Page(page).links == ["20_dfr.html", "../x.html#part", "https://example.org/x.ipynb", "../docs/a.md"]


def test_slides_hold_everything_that_they_show(root):
    cells = [
        text("# Lesson\n\nWords.\n\n## Part $x$\n\n**Predict, then run.** Which?"),
        code("y = 1", picture("a nut")),
    ]
    page = slide_page(notebook_of(*cells))
    parsed = Page(page)
    assert page.count("<section>") == 3
    assert all(address.startswith("data:") for address in parsed.fetched)
    assert not re.search(r"(src|href)=.https?:|url\(|@import", page)
    assert "<math" in page
    assert 'alt="a nut"' in page


def test_every_page_and_notebook_is_staged_and_in_the_contents(root, tmp_path):
    stage(root, tmp_path / "source")
    home = (tmp_path / "source/index.md").read_text()
    first = next(line for line in home.partition("\n# ")[2].splitlines()[1:] if line)
    assert first == '<figure class="live">' or PICTURE in first
    notebooks = [*root.glob("notebooks/[!.]*.ipynb"), *root.glob("notebooks/[!.]*/[!.]*.ipynb")]  # no checkpoints
    for file in [*root.glob("docs/**/*.md"), *notebooks]:
        assert (tmp_path / "source" / file.relative_to(root)).is_file()
        assert f"\n{file.relative_to(root).with_suffix('')}\n" in home
    for page, module in (("evaluation", "anomaly_lib.evaluation.metrics"), ("anomaly_tools", "anomaly_tools.fanout")):
        assert f"automodule:: {module}" in (tmp_path / f"source/api/{page}.md").read_text()


def test_links_of_staged_pages_stay_inside_the_site(root, tmp_path):
    """What Sphinx would refuse after a minute, in a second."""
    stage(root, tmp_path)
    pages = list(tmp_path.rglob("*.md"))
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())]
    assert len(links) > 200
    lost = [f"{page.relative_to(tmp_path)}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert lost == []


def test_the_folder_of_pictures_is_there_before_any_notebook_was_executed(root, tmp_path):
    for name in ("notebooks", "docs"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns(".*"))
    (tmp_path / "README.md").write_text("# Home")
    stage(tmp_path, tmp_path / "source")
    assert list((tmp_path / "source").glob(f"{PICTURES}/*")) == []
    assert (tmp_path / "source" / PICTURES).is_dir()


def test_a_notebook_that_is_none_is_refused_in_one_line(root, tmp_path):
    for name in ("notebooks", "docs"):
        shutil.copytree(root / name, tmp_path / name)
    (tmp_path / "anomaly_lib").mkdir()
    (tmp_path / "notebooks/06_report.ipynb").write_text("{")
    with pytest.raises(InputError, match=r"06_report.ipynb: not a notebook"):
        stage(tmp_path, tmp_path / "source")


def test_rendered_pages_are_verified(tmp_path):
    (tmp_path / "there.html").write_text('<a href="https://example.org/x">x</a><img src="there.html" alt="words">')
    assert verify(tmp_path) == []
    assert external_links(tmp_path) == ["https://example.org/x"]
    (tmp_path / "bad.html").write_text(
        f'<img src="there.html"><script src="https://cdn.example/x.js"></script><a href="gone.html">x</a>'
        f'<script type="{WIDGET}">{{}}</script>'
    )
    problems = " ".join(verify(tmp_path))
    assert all(words in problems for words in ("without alternative", "widget", "fetches", "leads nowhere"))


def test_lessons_are_not_executed_twice(root, tmp_path, monkeypatch, capsys):
    runs = []

    def run(command, **options):
        runs.append(command[-2])
        copy = root_copy / command[-1] if not command[-1].startswith("/") else tmp_path
        copy = type(tmp_path)(command[-1])
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("{}")
        return type("Done", (), {"returncode": 0})

    root_copy = tmp_path / "suite"
    (root_copy / "notebooks/lessons").mkdir(parents=True)
    (root_copy / "anomaly_lib").mkdir()
    (root_copy / "params.yaml").write_text("a: 1")
    for name in ("notebooks/lessons/10.ipynb", "notebooks/07_detect.ipynb", "anomaly_lib/x.py"):
        (root_copy / name).write_text("")
    monkeypatch.setattr("anomaly_tools.site.execute.subprocess.run", run)
    execute_all(root_copy)
    execute_all(root_copy)
    assert runs == ["notebooks/lessons/10.ipynb"]  # and 07_detect is left out: no model
    (root_copy / "anomaly_lib/x.py").write_text("changed")
    execute_all(root_copy)
    assert len(runs) == 2


def test_what_the_introductions_say_of_the_results_holds(root):
    rows = read_csv(root / "reports/thorough/results.csv")

    def order(metric, category=None):
        values = {
            method: [row[metric] for row in rows if row["method"] == method and category in (None, row["category"])]
            for method in ("draem", "dfr", "dmad")
        }
        return sorted(values, key=lambda method: -sum(values[method]) / len(values[method]))

    assert order("pixel_f1")[0] == "draem"
    assert order("pixel_f1")[-1] == "dfr"
    assert all(order(metric)[0] == "dfr" for metric in ("image_auroc", "pixel_auroc", "aupro_030"))
    assert order("image_auroc", "nut")[0] == "dmad"
    assert order("image_auroc", "capsule") == ["dfr", "dmad", "draem"]


def test_both_languages_introduce_every_method(root):
    for name in ("draem", "dfr", "dmad"):
        english, vietnamese = ((root / f"docs/methods/{name}{end}").read_text() for end in (".md", ".vi.md"))
        for page in (english, vietnamese):
            assert len(re.findall(r"^\d\. ", page, re.MULTILINE)) == 5
            assert page.count("](../fidelity/") >= 1
        assert len(re.findall("[ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđ]", vietnamese)) > 300


def test_the_home_page_opens_with_the_live_page_before_any_table(root, tmp_path):
    text = (root / "README.md").read_text()
    assert 0 < text.index("<!-- live: nut/look -->") < text.index("\n|")
    live = tmp_path / "build/live"
    (live / "nut").mkdir(parents=True)
    (live / "nut/twin.png").write_bytes(b"png")
    (live / "index.html").write_text("<!doctype html><h1>live</h1>")
    page = Page(with_live_page(text, tmp_path, Path("README.md")))
    assert page.fetched[:2] == ["live/index.html#nut/look", "live/nut/twin.png"]
    assert page.bare_images == []
    copy_live_page(tmp_path, tmp_path / "html")
    assert (tmp_path / "html/live/nut/twin.png").is_file()
    shutil.rmtree(live)
    copy_live_page(tmp_path, tmp_path / "html")
    assert not (tmp_path / "html/live").exists()  # none of an earlier build


def test_without_a_live_page_the_home_page_has_its_picture_and_says_what_makes_it(root, tmp_path):
    text = with_live_page((root / "README.md").read_text(), tmp_path, Path("README.md"))
    assert "<iframe" not in text
    before_tables = text[: text.index("\n|")]
    assert re.search(rf"!\[[^]]{{60,}}\]\({PICTURE}\)", before_tables)
    assert "`make live`" in before_tables
    assert (root / PICTURE).is_file()


@pytest.mark.parametrize("there", [["nut"], ["capsule", "nut"]])
def test_the_lesson_of_all_three_opens_the_live_page_with_its_category(root, tmp_path, there):
    for category in there:
        (tmp_path / "build/live" / category).mkdir(parents=True)
        (tmp_path / "build/live" / category / "twin.png").write_bytes(b"png")
    name = Path("notebooks/lessons/50_compare.ipynb")
    cells = [cell.source for cell in nbformat.read(root / name, 4).cells]
    frames = Page("".join(with_live_page(text, tmp_path, name) for text in cells)).fetched
    assert frames == [f"../../live/index.html#{there[0]}", f"../../live/{there[0]}/twin.png"]


def test_the_start_page_of_the_demos_links_the_live_page_only_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "data.dvc").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5")
    assert "<code>make live</code>" in live_page().data
    (tmp_path / "build/live").mkdir(parents=True)
    (tmp_path / "build/live/index.html").touch()
    assert Page(live_page().data).links == ["../../live/index.html"]
    monkeypatch.delenv("SERVER_SOFTWARE")
    assert "build/live/index.html" in live_page().data
    assert Page(live_page().data).links == []


@pytest.mark.parametrize(
    ("page", "language"), [("docs/methods/dfr.vi", "vi"), ("docs/methods/dfr", "en"), ("index", "en")]
)
def test_a_page_says_its_language(root, page, language):
    context = {}
    runpy.run_path(str(root / "docs/conf.py"))["_language"](None, page, "page.html", context, None)
    assert context == {"language": language}
