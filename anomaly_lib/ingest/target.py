"""The folder that an archive is unpacked into: what is there already, and writing what is not.

Before each file, each folder above it is looked at: links are not followed, so nothing is written outside. Who can
exchange a folder for a link at the same moment, in a folder that is being unpacked into, could write there himself.
"""

import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import Problem
from anomaly_lib.ingest.member_names import TEMPORARY_PREFIX
from anomaly_lib.ingest.members import CHUNK, Member

_MOVE = "move it away or choose another folder"


@dataclass(frozen=True)
class Checked:
    """A member whose content has been read once, and the CRC-32 of that content."""

    member: Member
    crc: int


def crc_32(chunks: Iterable[bytes]) -> int:
    """The CRC-32 of chunks, one after the other."""
    crc = 0
    for chunk in chunks:
        crc = zlib.crc32(chunk, crc)
    return crc


@contextmanager
def writing_below(target: Path) -> Iterator[Path]:
    """The real path of ``target``; the block may write below it.

    Half-written files go when the block ends, and those of a run that was killed when the next one starts.
    What cannot be written raises InputError.
    """
    root = target.resolve()
    try:
        _remove_half_written(root)
        try:
            yield root
        finally:
            _remove_half_written(root)
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else target
        what = f"cannot be written ({error.strerror or error})"
        raise InputError(Problem(place, what, "cure that and unpack again; complete files are kept")) from error


def _remove_half_written(root: Path) -> None:
    # not with ``replacing``, whose temporary name `.NAME` may be that of another member
    for file in root.glob(f"{TEMPORARY_PREFIX}*"):
        file.unlink()


def is_there(root: Path, checked: Checked) -> bool:
    """Whether the member is complete below ``root``. Raises InputError for anything else in its place."""
    member = checked.member
    place = root / member.path
    mode = _mode_below(root, member.path)
    if mode is None:
        return False
    if member.is_folder and stat.S_ISDIR(mode):
        return True
    if member.is_folder or not stat.S_ISREG(mode):
        raise InputError(Problem(place, "is in the way of what the archive holds", _MOVE))
    if place.stat().st_size != member.size or _crc_of_file(place) != checked.crc:
        raise InputError(Problem(place, "is there already with other content", _MOVE))
    return True


def _crc_of_file(place: Path) -> int:
    with place.open("rb") as file:
        return crc_32(iter(partial(file.read, CHUNK), b""))


def _mode_below(root: Path, path: PurePosixPath) -> int | None:
    """Type and permissions of ``root / path``, None if it is not there.

    Raises InputError unless all that is there above it, ``root`` included, are folders and no links.
    """
    for place in (root / parent for parent in reversed(path.parents)):
        if (mode := _mode(place)) is None:
            return None
        if not stat.S_ISDIR(mode):
            what = "is a link, which is not followed" if stat.S_ISLNK(mode) else "is not a folder"
            raise InputError(Problem(place, what, _MOVE))
    return _mode(root / path)


def _mode(place: Path) -> int | None:
    try:
        return place.lstat().st_mode
    except FileNotFoundError:
        return None


def write(root: Path, checked: Checked, chunks: Iterable[bytes]) -> bool:
    """Make the folder, or the file from its content; False, and no file, if that is not the content checked before."""
    place = root / checked.member.path
    _mode_below(root, checked.member.path)  # once more: the first look may be minutes old
    if checked.member.is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return True
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = root / f"{TEMPORARY_PREFIX}{os.getpid()}"
    crc = 0
    with temporary.open("xb") as file:
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            file.write(chunk)
    if crc == checked.crc:
        temporary.replace(place)
    return crc == checked.crc
