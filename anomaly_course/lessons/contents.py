"""The course's table of contents, from the lessons' first cells and the tags of their exercises."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from anomaly_course.lessons.cells import EXERCISE, HALVED, ORDER, has_tag, lesson_files
from anomaly_lib.base.errors import InputError
from anomaly_lib.reporting.tables import markdown_table

YOU_WILL = re.compile(r"\bYou will (.+?)\.(?=\s|$)", re.DOTALL)
MINUTES = re.compile(r"\b[Aa]bout (\d+) minutes?\b")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Entry:
    """One lesson, as its first cell and its tags describe it."""

    file: Path
    title: str
    you_will: str
    minutes: int
    """Of computing on a laptop's CPU, when all cells are run."""
    exercises: int


def entry(file: Path) -> Entry:
    """Read a lesson. Raises InputError, naming the file, when its first cell lacks the title, "You will" or minutes."""
    cells = nbformat.read(file, 4).cells
    first = cells[0].source
    you_will, minutes = YOU_WILL.search(first), MINUTES.search(first)
    if not (first.startswith("# ") and you_will and minutes):
        raise InputError(f"{file}: its first cell needs '# TITLE', a sentence 'You will ….' and 'About N minutes'")
    title, promise = first.splitlines()[0].removeprefix("# "), LINK.sub(r"\1", you_will[1])
    count = sum(has_tag(cell, EXERCISE) for cell in cells)
    return Entry(file, title, " ".join(promise.split()), int(minutes[1]), count)


def contents(root: Path, start: Path) -> str:
    """Markdown table of all lessons of the project at ``root``, its links as they are from the folder ``start``."""
    rows = []
    for file in lesson_files(root):
        part = {HALVED[0]: f", {HALVED[1]}", ORDER[-1]: ", an extra"}.get(file.stem, "")
        rows.append(_row(entry(file), start, part))
        if file.stem == HALVED[2]:
            rows.append(_row(entry(file.with_stem(HALVED[0])), start, f", {HALVED[3]}", again=True))
    return markdown_table(rows)


def _row(lesson: Entry, start: Path, part: str, again: bool = False) -> dict:
    return {
        "lesson": f"[{lesson.file.stem}]({lesson.file.relative_to(start).as_posix()}){part}",
        "you will": "as above" if again else lesson.you_will,
        "minutes on a laptop": "" if again else lesson.minutes,
        "exercises": "" if again else lesson.exercises,
    }
