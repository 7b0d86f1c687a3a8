"""Which files the lessons are, and how their cells are marked as exercises, solutions and notes."""

from pathlib import Path

from nbformat import NotebookNode

LESSONS = Path("notebooks/lessons")
EXERCISE, SOLUTION = "exercise", "solution"
ENDING = "_solution"
"""How the names of a solution's functions end: it leaves the learner's own alone, and its check says nothing."""
NOTE = "<details><summary>Solution of exercise"
"""How the Markdown cell begins that tells where a lesson's folded solution is."""


def lesson_files(root: Path) -> list[Path]:
    """The committed lessons, by name."""
    return sorted((root / LESSONS).glob("[!.]*.ipynb"))


def has_tag(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def is_note(cell: NotebookNode) -> bool:
    """Whether the cell only tells where a solution is."""
    return cell.cell_type == "markdown" and cell.source.startswith(NOTE)
