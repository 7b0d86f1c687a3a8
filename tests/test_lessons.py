"""The lessons: stripped, one title, exercises with solutions, and running from end to end without an error."""

import ast

import nbformat
import pytest

from anomaly_course.lessons.cells import EXERCISE, SOLUTION, has_tag, is_note
from anomaly_course.lessons.contents import entry
from anomaly_tools.lesson_copies import exercises, solution_copy, student_copy
from tests.helpers import assert_reads_without_a_kernel, assert_stripped

NAMES = ["00_start_here", "10_draem", "20_dfr", "30_dmad", "31_pdm_video", "40_metrics", "50_compare"]


def cells_tagged(notebook, tag):
    return [cell for cell in notebook.cells if has_tag(cell, tag)]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def functions(cells):
    nodes = [node for cell in cells for node in ast.parse(cell.source).body]
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def imports(notebook):
    """The notebook's import statements, as a program."""
    nodes = [node for cell in code(notebook) for node in ast.parse(cell.source).body]
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def run(notebook, folder, nbrun):
    """Run a notebook with ``quick`` in a folder outside of the project; the executed one and its CPU seconds.

    CPU seconds, since other work on the machine makes the clock's ones worthless.
    """
    notebook.cells.append(nbformat.v4.new_code_cell("import time\nprint(time.process_time())"))
    source = folder / "lesson.ipynb"
    nbformat.write(notebook, source)
    done = nbrun(folder, source, folder / "out.ipynb", "quick=true")
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(folder / "out.ipynb", 4)
    assert [o for cell in code(executed) for o in cell.outputs if o.get("name") == "stderr"] == []
    return executed, float(printed(executed.cells.pop()))


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


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


def test_each_exercise_has_a_folded_solution_and_a_note_that_says_so(lesson):
    pairs = exercises(lesson)
    assert len(pairs) == len(cells_tagged(lesson, EXERCISE)) == len(cells_tagged(lesson, SOLUTION)) >= 1
    for _, solution in pairs:
        assert lesson.cells[solution].metadata.jupyter.source_hidden is True
        assert is_note(lesson.cells[solution - 1])


def test_its_student_copy_lacks_the_solutions_alone(lesson):
    student, solved = student_copy(lesson), solution_copy(lesson)
    assert cells_tagged(student, SOLUTION) == cells_tagged(solved, SOLUTION) == []
    assert not [cell for cell in student.cells + solved.cells if is_note(cell)]
    others = [[c.source for c in copy.cells[1:] if not has_tag(c, EXERCISE)] for copy in (student, solved)]
    assert others[0] == others[1]


def test_only_exercises_use_what_exercises_define(lesson):
    """So a student copy runs through because the solved one does: nothing else can tell stubs from solutions."""
    names = functions(cells_tagged(lesson, EXERCISE))
    for cell in code(student_copy(lesson)):
        if not has_tag(cell, EXERCISE):
            used = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
            assert not used & names, cell.source


def test_in_its_student_copy_every_exercise_is_not_begun(lesson, capsys):
    """The exercise cells with the imports alone: they need nothing else, so this costs no training."""
    student = student_copy(lesson)
    scope = {}
    exec(imports(student), scope)
    for cell in cells_tagged(student, EXERCISE):
        capsys.readouterr()
        exec(cell.source, scope)
        assert capsys.readouterr().out.endswith(": not begun.\n"), cell.source


def test_run_all_leaves_the_learners_functions_and_says_nothing_of_solutions(lesson, capsys):
    scope = {}
    exec(imports(lesson), scope)
    stubs = {}
    for cell in lesson.cells:
        if has_tag(cell, EXERCISE):
            exec(cell.source, scope)
            stubs |= {name: scope[name] for name in functions([cell])}
            capsys.readouterr()
        if has_tag(cell, SOLUTION):
            exec(cell.source, scope)
            assert capsys.readouterr().out == "", cell.source
    assert all(scope[name] is stub for name, stub in stubs.items())


@pytest.mark.parametrize("name", NAMES)
def test_its_copy_with_solutions_runs_in_any_folder_within_its_minutes_and_all_checks_pass(root, tmp_path, nbrun, name):
    file = root / "notebooks/lessons" / f"{name}.ipynb"
    executed, seconds = run(solution_copy(nbformat.read(file, 4)), tmp_path, nbrun)
    solved = cells_tagged(executed, EXERCISE)
    assert all(": right, in" in printed(cell) and "not yet" not in printed(cell) for cell in solved)
    assert len(solved) == entry(file).exercises
    assert_reads_without_a_kernel(executed, tmp_path / "out.ipynb")
    # processor time, of which a busy machine needs up to three times as much as a calm one (measured: 28 and 101 s)
    assert seconds < 3 * 60 * entry(file).minutes, "quick takes longer than the full lesson says that it takes"


def test_a_student_copy_runs_from_end_to_end(root, tmp_path, nbrun):
    """The quickest lesson stands for all, by the two tests of student copies above."""
    lesson = nbformat.read(root / "notebooks/lessons/00_start_here.ipynb", 4)
    executed, _ = run(student_copy(lesson), tmp_path, nbrun)
    assert all("not begun" in printed(cell) for cell in cells_tagged(executed, EXERCISE))
