"""Which files the lessons are, and how their cells are marked as exercises, solutions and notes."""

from pathlib import Path

from nbformat import NotebookNode

LESSONS = Path("notebooks/lessons")
EXERCISE, SOLUTION = "exercise", "solution"
ENDING = "_solution"
"""How the names of a solution's functions end: it leaves the learner's own alone, and its check says nothing."""
NOTE = "<details><summary>Solution of exercise"
"""How the Markdown cell begins that tells where a lesson's folded solution is."""


ORDER = ("00_start_here", "40_metrics", "10_draem", "20_dfr", "30_dmad", "50_compare", "31_pdm_video")
"""In which lessons are taken; the last one is an extra."""
HALVED = ("40_metrics", "chapters 1 and 2", "50_compare", "chapters 3 to 5")
"""A lesson, what of it is taken at its place, and what after another lesson."""


def lesson_files(root: Path) -> list[Path]:
    """The committed lessons, in the order in which they are taken; others after them, by name."""
    files = sorted((root / LESSONS).glob("[!.]*.ipynb"))
    return sorted(files, key=lambda file: ORDER.index(file.stem) if file.stem in ORDER else len(ORDER))


def has_tag(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def is_note(cell: NotebookNode) -> bool:
    """Whether the cell only tells where a solution is."""
    return cell.cell_type == "markdown" and cell.source.startswith(NOTE)
