"""What was named on the command line as folders to look into: archives are unpacked first."""

from collections.abc import Iterator
from pathlib import Path

from anomaly_lib.base.disk import bytes_in
from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import Problem
from anomaly_lib.ingest.unpack import is_archive, unpack, unpacked_size
from anomaly_lib.ingest.write import check_room


def fingerprint(source: Path) -> dict:
    """Name, number of files and bytes of a source: enough to tell one from another, and quick."""
    if not source.exists():
        raise InputError(Problem(source, "no such file or folder", "name the archive or folder that you downloaded"))
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    return {"name": source.name, "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def opened(sources: tuple[Path, ...], folder: Path) -> tuple[Path, ...]:
    """Folders instead of the sources. Archives, also those in a folder or archive, are unpacked below ``folder``.

    What is there from an interrupted run is not written again. Raises InputError as ``unpack``, for too little room,
    and for a file that is no archive.
    """
    roots: list[Path] = []
    for index, source in enumerate(sources):
        if source.is_dir():
            roots.append(source)
            roots += [_unpacked(archive, folder / f"{index}-{archive.name}") for archive in _archives(source)]
        elif is_archive(source):
            root = _unpacked(source, folder / f"{index}-{source.name}")
            roots.append(root)
            inner = list(_archives(root))
            roots += [_unpacked(archive, folder / f"{index}-inner-{archive.name}") for archive in inner]
        else:
            raise InputError(Problem(source, "is neither a folder nor an archive", "name a folder, a zip or a tar"))
    return tuple(roots)


def _archives(folder: Path) -> Iterator[Path]:
    """Archives in a folder and in its folders: MVTec offers one a category."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        if path.name.lower().endswith((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")) and is_archive(path):
            yield path


def _unpacked(archive: Path, target: Path) -> Path:
    check_room(target, max(unpacked_size(archive) - bytes_in(target), 0))
    unpack(archive, target)
    return target
