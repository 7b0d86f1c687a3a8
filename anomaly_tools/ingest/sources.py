"""From what was named on the command line to the folders of a layout: archives are unpacked first."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import Problem, printable
from anomaly_tools.disk import bytes_in
from anomaly_tools.ingest.layouts import LAYOUTS
from anomaly_tools.ingest.unpack import is_archive, unpack, unpacked_size
from anomaly_tools.ingest.write import check_room

DEPTH = 4
"""Folders inside folders that are looked into."""


def fingerprint(source: Path) -> dict:
    """Name of a source, and the number, bytes and digest of its files: names and content tell one from another."""
    if not source.exists():
        raise InputError(Problem(source, "no such file or folder", "name the archive or folder that you downloaded"))
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    digest = hashlib.blake2b(digest_size=16)
    with progress_bar(description=f"read {printable(source.name)}", total=total, unit="B", unit_scale=True) as bar:
        for path in sorted(files):
            digest.update(os.fsencode(path.relative_to(source)) + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
                bar.update(file.tell())
    return {"name": source.name, "files": len(files), "bytes": total, "blake2b": digest.hexdigest()}


def opened(sources: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    """Folders instead of the sources. Archives, also those in a folder or archive, are unpacked below ``folder``.

    What is there from an interrupted run is not written again. Raises InputError as ``unpack``, for too little room,
    and for a file that is no archive.
    """
    roots: list[Path] = []
    for source in sources:
        if source.is_dir():
            roots.append(source if source.name not in ("", "..") else source.resolve())  # it may name the category
            roots += [_unpacked(archive, folder, len(roots) + n) for n, archive in enumerate(_archives(source))]
        elif is_archive(source):
            root = _unpacked(source, folder, len(roots))
            roots.append(root)
            roots += [_unpacked(archive, folder, len(roots) + n) for n, archive in enumerate([*_archives(root)])]
        else:
            raise InputError(Problem(source, "is neither a folder nor an archive", "name a folder, a zip or a tar"))
    return tuple(roots)


def _archives(folder: Path) -> Iterator[Path]:
    """Archives in a folder and in its folders: MVTec offers one per category."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        if path.name.lower().endswith((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")) and is_archive(path):
            yield path


def _unpacked(archive: Path, folder: Path, number: int) -> Path:
    target = folder / f"{number}-{archive.name}"  # two archives may have one name
    check_room(target, max(unpacked_size(archive) - bytes_in(target), 0))
    unpack(archive, target)
    return target


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
