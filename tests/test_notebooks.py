"""The notebooks: stripped, without logic of their own, equal to params.yaml, and running in the smoke profile."""

import ast
import json
import subprocess
import sys

import nbformat
import pytest

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
]


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


def test_it_holds_no_logic_of_its_own(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tree = ast.parse(cell.source)
            assert not [
                n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.While | ast.Try)
            ]


def test_every_code_cell_but_the_imports_follows_a_sentence(notebook):
    for before, cell in zip(notebook.cells[2:], notebook.cells[3:], strict=False):
        if cell.cell_type == "code" and "import " not in cell.source:
            assert before.cell_type == "markdown" or "report" in before.source or "figure" in before.source


def run(root, tmp_path, name, **parameters):
    """Run a notebook in the smoke profile; return its completed process."""
    pairs = [f"{key}={value}" for key, value in parameters.items()]
    command = [
        sys.executable,
        "-m",
        "anomaly_lib.nbrun",
        f"notebooks/{name}.ipynb",
        str(tmp_path / f"{name}.ipynb"),
    ]
    profile = "params_file=profiles/smoke/params.yaml"
    return subprocess.run([*command, profile, *pairs], cwd=root, capture_output=True, text=True, check=False)


def test_a_missing_model_is_one_line_that_says_what_to_run(root, tmp_path):
    done = run(root, tmp_path, "04_evaluate", model="build/nowhere", output=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("no trained model here; run notebook 03_train or 'dvc repro'")


def test_a_missing_category_names_the_nearest_one(root, tmp_path):
    done = run(root, tmp_path, "01_explore_data", category="nutt", output=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'nut'?" in done.stderr


def test_train_calibrate_evaluate_and_demo_run_one_after_the_other_from_any_output_folder(root, tmp_path):
    trained = f"build/test/{tmp_path.name}/train"
    evaluated = f"build/test/{tmp_path.name}/evaluate"
    demo = f"build/test/{tmp_path.name}/gif"
    calibrated = f"build/test/{tmp_path.name}/calibrate"
    for name, parameters in (
        ("03_train", {"category": "nut", "output": trained}),
        ("03b_calibrate", {"category": "nut", "model": trained, "output": calibrated}),
        ("04_evaluate", {"category": "nut", "model": calibrated, "output": evaluated}),
        ("05_demo_gif", {"category": "nut", "model": calibrated, "output": demo}),
    ):
        done = run(root, tmp_path, name, **parameters)
        assert done.returncode == 0, done.stderr
    split = json.loads((root / trained / "split.json").read_text())
    assert not set(split["fit"]) & set(split["held_out"])
    metrics = json.loads((root / evaluated / "metrics.json").read_text())
    assert metrics["model_digest"] == json.loads((root / trained / "model.json").read_text())["digest"]
    assert 0 <= metrics["image_auroc"] <= 1
    assert metrics["undefined"] == {}
    assert 0 < (root / demo / "demo.gif").stat().st_size < 1_000_000
    executed = nbformat.read(tmp_path / "03_train.ipynb", 4)
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == sorted(counts)
    assert None not in counts
