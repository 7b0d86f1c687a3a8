"""Copies of the lessons for a course, and their table of contents: from tags and first cells, on a small lesson."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from anomaly_course.lessons.cells import LESSONS
from anomaly_course.lessons.contents import contents, entry
from anomaly_lib.base.errors import InputError
from anomaly_tools.lesson_copies import exercises, main, solution_copy, student_copy, write_copies

FIRST = "# Squares\n\nYou will square [numbers](https://example.org), such as 2.5, by hand.\n\nAbout 3 minutes."
NOTE = "<details><summary>Solution of exercise 1</summary>\n\nBelow.\n\n</details>"
STUB, SOLVED = "def square(x): ...", "def square(x):\n    return x * x"
SOLUTION = SOLVED.replace("square", "square_solution")
LINKS = "[page](../../docs/page.md#part), [next](20_cubes.ipynb), [web](https://example.org/a/b), [top](#top)"


def lesson(*, solution=SOLUTION, first=FIRST):
    return new_notebook(
        cells=[
            new_markdown_cell(first),
            new_code_cell(STUB, metadata={"tags": ["exercise"]}),
            new_markdown_cell(NOTE),
            new_code_cell(solution, metadata={"tags": ["solution"], "jupyter": {"source_hidden": True}}),
            new_markdown_cell(LINKS),
        ]
    )


@pytest.fixture
def project(tmp_path):
    file = tmp_path / "project" / LESSONS / "10_squares.ipynb"
    file.parent.mkdir(parents=True)
    nbformat.write(lesson(), file)
    return tmp_path / "project"


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_the_student_copy_keeps_the_stub_and_the_other_one_has_the_solution_in_its_place():
    student, solved = sources(student_copy(lesson())), sources(solution_copy(lesson()))
    assert student[1:] == [STUB, LINKS]
    assert solved[1:] == [SOLVED, LINKS]
    assert student[0].startswith(FIRST)
    assert student[0] != solved[0] != FIRST


def test_making_a_copy_leaves_the_lesson_as_it_is():
    given = lesson()
    before = sources(given)
    student_copy(given), solution_copy(given)
    assert sources(given) == before


def test_an_exercise_without_its_own_solution_is_refused():
    without, other = lesson(), lesson(solution=SOLVED)
    del without.cells[3]
    twice = lesson()
    twice.cells.append(twice.cells[3])
    last = lesson()
    del last.cells[2:]
    for broken in (without, other, twice, last):
        with pytest.raises(InputError, match=r"cell \d+: an? (exercise|solution) without"):
            exercises(broken)


def test_links_lead_from_the_copy_to_where_they_led_from_the_lesson(project, tmp_path):
    write_copies(project, tmp_path / "course")
    text = sources(nbformat.read(tmp_path / "course/student/10_squares.ipynb", 4))[-1]
    assert "(../../project/docs/page.md#part)" in text
    assert all(link in text for link in ("(20_cubes.ipynb)", "(https://example.org/a/b)", "(#top)"))


def test_written_twice_is_the_same_and_somebodys_work_is_kept(project, tmp_path):
    folder = tmp_path / "course"
    files = write_copies(project, folder)
    assert [file.relative_to(folder).as_posix() for file in files] == [
        "student/10_squares.ipynb",
        "solutions/10_squares.ipynb",
    ]
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_copies(project, folder)] == before
    files[0].write_text("work")
    files[1].unlink()
    with pytest.raises(InputError, match=r"student/10_squares\.ipynb: not as it was written"):
        write_copies(project, folder)
    assert files[0].read_text() == "work"
    assert not files[1].exists()


def test_the_command_says_what_it_wrote_and_names_what_it_will_not_overwrite(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    assert "student and solutions" in capsys.readouterr().out
    (tmp_path / "student/00_start_here.ipynb").write_text("work")
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_all_links_of_all_copies_lead_somewhere(root, tmp_path):
    for file in write_copies(root, tmp_path):
        for cell in nbformat.read(file, 4).cells:
            if cell.cell_type == "markdown":
                for target in re.findall(r"\]\((?!https?:)([^)#\s]+)\)", cell.source):
                    assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_contents_come_from_the_first_cell_and_the_tags(project):
    found = entry(project / LESSONS / "10_squares.ipynb")
    assert (found.title, found.minutes, found.exercises) == ("Squares", 3, 1)
    assert found.you_will == "square numbers, such as 2.5, by hand"
    row = contents(project, project).splitlines()[-1]
    assert row == "| [10_squares](notebooks/lessons/10_squares.ipynb) | square numbers, such as 2.5, by hand | 3 | 1 |"


def test_the_lessons_stand_in_the_order_in_which_they_are_taken(root):
    rows = [row.split("|")[1].strip() for row in contents(root, root / LESSONS).splitlines()[2:]]
    assert [re.sub(r"\[(\w+)\]\(\1\.ipynb\)", r"\1", row) for row in rows] == [
        "00_start_here",
        "40_metrics, chapters 1 and 2",
        "10_draem",
        "20_dfr",
        "30_dmad",
        "50_compare",
        "40_metrics, chapters 3 to 5",
        "31_pdm_video, an extra",
    ]
    # and each lesson names the next one
    following = {"00_start_here": "40_metrics", "10_draem": "20_dfr", "20_dfr": "30_dmad", "30_dmad": "50_compare"}
    following |= {"50_compare": "40_metrics", "40_metrics": "31_pdm_video"}
    for name, then in following.items():
        last = nbformat.read(root / LESSONS / f"{name}.ipynb", 4).cells[-1].source
        assert re.search(r"Next\b[^\[]*\[(\w+)\]", last)[1] == then, name


@pytest.mark.parametrize("lost", ["# ", "You will", "minutes"])
def test_a_first_cell_that_lacks_something_is_named(project, lost):
    file = project / LESSONS / "10_squares.ipynb"
    nbformat.write(lesson(first=FIRST.replace(lost, "x")), file)
    with pytest.raises(InputError, match=r"10_squares\.ipynb: its first cell needs"):
        entry(file)
