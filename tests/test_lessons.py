"""The lessons: stripped, one title, exercises with solutions, and running from end to end without an error."""

import ast
import subprocess
import sys

import nbformat
import pytest

from tests.helpers import assert_reads_without_a_kernel, assert_stripped

NAMES = ["10_draem", "20_dfr", "30_dmad", "31_pdm_video", "40_metrics"]


def cells_tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@pytest.fixture(params=NAMES)
def lesson(request, root):
    return nbformat.read(root / "notebooks/lessons" / f"{request.param}.ipynb", 4)


def test_all_lessons_are_known_here(root):
    assert sorted(file.stem for file in root.glob("notebooks/lessons/*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_committed_stripped(root, name):
    assert_stripped(root / "notebooks/lessons" / f"{name}.ipynb")


def test_it_opens_with_a_title_a_paper_and_the_minutes_and_has_one_parameters_cell(lesson):
    first = lesson.cells[0].source
    assert first.startswith("# ")
    assert "http" in first
    assert "minute" in first
    headings = [line for cell in lesson.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert sum(line.startswith("# ") for line in headings) == 1
    (parameters,) = cells_tagged(lesson, "parameters")
    assert "quick = False" in parameters.source


def test_functions_are_defined_in_exercises_and_solutions_only(lesson):
    for cell in lesson.cells:
        if cell.cell_type != "code" or {"exercise", "solution"} & set(cell.metadata.get("tags", [])):
            continue
        nodes = ast.walk(ast.parse(cell.source))
        assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)], cell.source


def test_each_exercise_has_a_folded_solution(lesson):
    exercises, solutions = cells_tagged(lesson, "exercise"), cells_tagged(lesson, "solution")
    assert len(exercises) == len(solutions) >= 2
    for cell in solutions:
        assert cell.metadata.jupyter.source_hidden is True


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_the_checks_tell_stub_from_solution(root, tmp_path, name):
    command = [
        sys.executable,
        "-m",
        "anomaly_lib.nbrun",
        f"notebooks/lessons/{name}.ipynb",
        str(tmp_path / "out.ipynb"),
    ]
    done = subprocess.run([*command, "quick=true"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "out.ipynb", 4)
    printed = {
        tag: ["".join(output.get("text", "") for output in cell.outputs) for cell in cells_tagged(executed, tag)]
        for tag in ("exercise", "solution")
    }
    assert all("not begun" in text for text in printed["exercise"])
    assert all(": right, in" in text for text in printed["solution"])
    errors = [o for c in executed.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []
    assert_reads_without_a_kernel(executed, tmp_path / "out.ipynb")
