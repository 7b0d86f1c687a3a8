"""The notebooks: stripped, without logic of their own, equal to params.yaml, and running in the smoke profile."""

import ast
import json
import re
import shutil

import nbformat
import pytest
import yaml

from tests.conftest import TINY_SETTINGS
from tests.helpers import assert_stripped

NAMES = [
    "01_explore_data",
    "02_synthesize",
    "03_train",
    "03b_calibrate",
    "04_evaluate",
    "05_demo_gif",
    "06_report",
    "07_detect",
    "08_contamination",
    "09_your_variant",
]
WITH_VARIANTS = "09_your_variant"
"""Holds two classes, on purpose."""


@pytest.fixture(params=NAMES)
def notebook(request, root):
    return nbformat.read(root / "notebooks" / f"{request.param}.ipynb", 4)


def test_all_notebooks_of_the_folder_are_known_here(root):
    assert sorted(file.stem for file in root.glob("notebooks/*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_committed_stripped(root, name):
    assert_stripped(root / "notebooks" / f"{name}.ipynb")


def test_it_opens_with_one_title_and_one_parameters_cell(notebook):
    assert notebook.cells[0].source.startswith("# ")
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert sum(line.startswith("# ") for line in text.splitlines()) == 1
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert notebook.cells[1] is tagged[0]


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_no_logic_of_its_own_but_variants_of_ten_lines(root, name):
    cells = [cell for cell in nbformat.read(root / f"notebooks/{name}.ipynb", 4).cells if cell.cell_type == "code"]
    logic = [
        node
        for cell in cells
        for node in ast.parse(cell.source).body
        if any(isinstance(n, ast.FunctionDef | ast.ClassDef | ast.While | ast.Try) for n in ast.walk(node))
    ]
    assert len(logic) == (2 if name == WITH_VARIANTS else 0)
    assert all(isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno < 10 for node in logic)


def test_every_code_cell_but_the_imports_follows_a_sentence(notebook):
    for before, cell in zip(notebook.cells[2:], notebook.cells[3:], strict=False):
        if cell.cell_type == "code" and "import " not in cell.source:
            assert before.cell_type == "markdown" or "report" in before.source or "figure" in before.source


def run(nbrun, root, tmp_path, name, **parameters):
    """Run a notebook in the smoke profile; return its completed process."""
    pairs = [f"{key}={value}" for key, value in parameters.items()]
    profile = "params_file=profiles/smoke/params.yaml"
    return nbrun(root, f"notebooks/{name}.ipynb", tmp_path / f"{name}.ipynb", profile, *pairs)


def test_a_missing_model_is_one_line_that_says_what_to_run(root, tmp_path, nbrun):
    done = run(nbrun, root, tmp_path, "04_evaluate", model="build/nowhere", output=tmp_path)
    assert done.returncode == 2
    assert "build/nowhere: no trained model here; the notebooks 03_train and" in done.stderr.splitlines()[-1]


def test_a_missing_category_names_the_nearest_one(root, tmp_path, nbrun):
    done = run(nbrun, root, tmp_path, "01_explore_data", category="nutt", output=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'nut'?" in done.stderr


@pytest.fixture(scope="module")
def by_hand(root, tiny_data, tmp_path_factory, nbrun):
    """A project as somebody finds it, where the notebooks 03 to 07 ran one after the other as they are."""
    project = tmp_path_factory.mktemp("project")
    for name in ("anomaly_lib", "anomaly_course", "notebooks"):
        shutil.copytree(root / name, project / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_*"))
    shutil.copy(root / "data.dvc", project)
    shutil.copytree(tiny_data / "dots", project / "data/sample/nut")
    settings = yaml.safe_load((root / "params.yaml").read_text())
    settings |= {"categories": ["nut"], "methods": {"dfr": TINY_SETTINGS["dfr"]}}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    for name in ("03_train", "03b_calibrate", "04_evaluate", "05_demo_gif", "07_detect"):
        done = nbrun(project, f"notebooks/{name}.ipynb", f"executed/{name}.ipynb")
        assert done.returncode == 0, done.stderr
    return project


def test_by_hand_each_notebook_takes_up_what_the_one_before_left(by_hand):
    play = by_hand / "build/play"
    split = json.loads((play / "train/split.json").read_text())
    assert not set(split["fit"]) & set(split["held_out"])
    digest = json.loads((play / "train/model.json").read_text())["digest"]
    assert json.loads((play / "calibrate/model.json").read_text())["digest"] == digest
    metrics = json.loads((play / "evaluate/metrics.json").read_text())
    assert metrics["model_digest"] == digest
    assert metrics["image_auroc"] == 1.0
    assert metrics["undefined"] == {}
    assert 0 < (play / "gif/demo.gif").stat().st_size < 1_000_000
    found = json.loads((play / "detect/results.json").read_text())
    assert found["model"]["digest"] == digest
    assert len(found["images"]) == metrics["n_normal"] + metrics["n_anomalous"]


def test_each_of_them_says_which_model_it_took(by_hand):
    for name, stage in (("03b_calibrate", "train"), ("04_evaluate", "calibrate"), ("07_detect", "calibrate")):
        cells = nbformat.read(by_hand / f"executed/{name}.ipynb", 4).cells
        text = "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))
        assert f"build/play/{stage}: DFR on nut, model " in text


def test_cells_are_executed_in_order(by_hand):
    executed = nbformat.read(by_hand / "executed/03_train.ipynb", 4)
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == sorted(counts)
    assert None not in counts


def test_variants_are_compared_in_pairs_with_intervals(by_hand, nbrun):
    tiny = TINY_SETTINGS["dfr"] | {"steps": 20}
    given = [f"categories={['nut']}", f"seeds={[0, 1, 2]}", f"settings={tiny}"]
    done = nbrun(by_hand, f"notebooks/{WITH_VARIANTS}.ipynb", "executed/09.ipynb", *given)
    assert done.returncode == 0, done.stderr
    rows = (by_hand / "build/play/variant/rows.csv").read_text().splitlines()
    assert len(rows) == 1 + 5 * 3, "three candidates and two baselines, with three seeds"
    outputs = [o for cell in nbformat.read(by_hand / "executed/09.ipynb", 4).cells for o in cell.get("outputs", ())]
    tables = [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]
    lines = tables[-1].splitlines()
    assert lines[2].startswith("| smooth loss | image_auroc | ")
    assert len(lines) == 2 + 2 * 2, "two variants, two metrics"
    assert all("too few categories: 1 of 4" in line for line in lines[2:])
    assert any(re.search(r"[+-]\d\.\d{3} to [+-]\d\.\d{3}", line) for line in lines), "an interval over seeds"


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_a_notebook_has_few_imports(root, name):
    notebook = nbformat.read(root / "notebooks" / f"{name}.ipynb", 4)
    lines = [line for cell in notebook.cells for line in cell.source.splitlines()]
    assert sum(line.startswith(("from anomaly_", "import anomaly_")) for line in lines) <= 9
    assert not [line for line in lines if line.endswith("import (")]
