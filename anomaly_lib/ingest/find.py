"""Find in a folder what a layout is made of, and say which layout a folder looks like."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import Problem
from anomaly_lib.ingest.layouts import LAYOUTS, Layout

DEPTH = 4
"""Folders inside folders that are looked into."""


def find_folders(roots: Iterable[Path], holds: Callable[[Path], bool]) -> list[Path]:
    """All folders in and under ``roots`` that ``holds`` accepts, sorted; none inside another one."""
    return [found for root in roots for found in _search(root, holds, DEPTH)]


def _search(folder: Path, holds: Callable[[Path], bool], depth: int) -> Iterator[Path]:
    if holds(folder):
        yield folder
    elif depth:
        for entry in sorted(folder.iterdir()):
            # __MACOSX: what macOS adds to archives
            if entry.is_dir() and not entry.name.startswith((".", "__")):
                yield from _search(entry, holds, depth - 1)


def find_layout(name: str, roots: tuple[Path, ...]) -> list[Path]:
    """The folders of a layout under ``roots``. Raises InputError, naming the layout that it looks like, for none."""
    found = find_folders(roots, LAYOUTS[name].holds)
    if found:
        return found
    raise InputError(Problem(roots[0], f"is not {LAYOUTS[name].title}", _remedy(roots)))


def _remedy(roots: tuple[Path, ...]) -> str:
    for name, layout in LAYOUTS.items():
        if find_folders(roots, layout.holds):
            return f"it looks like {layout.title}: use 'data ingest {name}'"
    return "see docs/data.md for what each layout looks like"


__all__ = ["Layout", "find_folders", "find_layout"]
