"""Copies of the lessons for a course, made from the lessons themselves.

    python -m anomaly_tools.lesson_copies FOLDER

writes FOLDER/student, without solutions, and FOLDER/solutions, with every exercise solved. A lesson marks its exercises
and solutions by cell tags; a solution follows its exercise, between them at most the note that tells where it is.
A copy with changes of its user is never overwritten.
"""

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from anomaly_course.lessons.cells import ENDING, EXERCISE, SOLUTION, has_tag, is_note, lesson_files
from anomaly_lib.base.errors import InputError, exit_code
from anomaly_lib.base.files import replacing
from anomaly_lib.params import project_root
from anomaly_lib.pipeline.nbstrip import canonical_source

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")
WORDS = {
    "student": '*Student copy: an exercise says "not begun" until you replace its dots.*',
    "solutions": "*Copy with solutions: every exercise is solved in place.*",
}


def exercises(lesson: NotebookNode) -> list[tuple[int, int]]:
    """Positions of each exercise and of its solution.

    Raises InputError where an exercise has no solution right after it, or one that does not define the same functions,
    their names ending in ``_solution``.
    """
    pairs, waiting = [], None
    for position, cell in enumerate(lesson.cells):
        if waiting is not None and not is_note(cell):
            wanted = {name + ENDING for name in _defined(lesson.cells[waiting])}
            if not has_tag(cell, SOLUTION) or _defined(cell) != wanted:
                raise InputError(f"cell {waiting}: an exercise without a solution of the same functions after it")
            pairs.append((waiting, position))
            waiting = None
        elif has_tag(cell, SOLUTION):
            raise InputError(f"cell {position}: a solution without an exercise before it")
        if has_tag(cell, EXERCISE):
            waiting = position
    if waiting is not None:
        raise InputError(f"cell {waiting}: an exercise without a solution after it")
    return pairs


def student_copy(lesson: NotebookNode) -> NotebookNode:
    """The lesson without solutions; stubs stay, and their checks say that they are not begun."""
    exercises(lesson)
    return _copy(lesson, lesson.cells, "student")


def solution_copy(lesson: NotebookNode) -> NotebookNode:
    """The lesson with each solution in the place of its stub, so that all checks pass."""
    cells = deepcopy(lesson.cells)
    for exercise, solution in exercises(lesson):
        cells[exercise].source = cells[solution].source.replace(ENDING, "")
    return _copy(lesson, cells, "solutions")


def _copy(lesson: NotebookNode, cells: list[NotebookNode], kind: str) -> NotebookNode:
    copy = deepcopy(lesson)
    copy.cells = [deepcopy(cell) for cell in cells if not has_tag(cell, SOLUTION) and not is_note(cell)]
    copy.cells[0].source += f"\n\n{WORDS[kind]}"
    return canonical_source(copy)


def with_links_from(lesson: NotebookNode, old: Path, new: Path) -> NotebookNode:
    """The lesson's relative links, which count from the folder ``old``, as they are from ``new``; in place.

    Links from one lesson to another stay: the copies lie side by side, too.
    """

    def moved(match: re.Match) -> str:
        target = match[1]
        if "/" not in target:
            return target
        return Path(os.path.relpath(old / target, new)).as_posix()

    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(moved, cell.source)
    return lesson


def write_copies(root: Path, folder: Path) -> list[Path]:
    """Write both copies of every lesson below ``folder``; return the files.

    Raises InputError, before anything is written, when a file is there that is not what would be written.
    """
    texts = dict(_texts(root, folder))
    for file, text in texts.items():
        if file.exists() and file.read_text(encoding="utf-8") != text:
            raise InputError(f"{file}: not as it was written, perhaps somebody's work; move it, or name another folder")
    for file, text in texts.items():
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def _texts(root: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each copy's file and what it shall hold."""
    for source in lesson_files(root):
        lesson = nbformat.read(source, 4)
        for kind, make in (("student", student_copy), ("solutions", solution_copy)):
            try:
                copy = with_links_from(make(lesson), source.parent.resolve(), (folder / kind).resolve())
            except InputError as error:
                raise InputError(f"{source}: {error}") from None
            yield folder / kind / source.name, nbformat.writes(copy) + "\n"


def _defined(cell: NotebookNode) -> set[str]:
    """Names of the functions that a cell defines."""
    return {node.name for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.lesson_copies", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(options.folder))


def _write(folder: Path) -> None:
    try:
        written = write_copies(project_root(), folder)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name another folder") from error
    print(f"{len(written)} notebooks in {folder}: student and solutions")


if __name__ == "__main__":
    sys.exit(main())
