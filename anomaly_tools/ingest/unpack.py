"""Unpack an archive of unknown origin: nothing outside the target, no half-written file, no full disk.

An archive is read twice. The first time all its members are checked (names, kinds, sizes, count) and their content
to the last byte; only then the first byte is written. A file gets its name when it is complete, so unpacking again
after an interruption skips the files of equal size and CRC-32. Links, devices and sparse files are refused; owners,
times and permissions are those of newly made files. An archive inside the archive stays one.
"""

import os
import stat
import tarfile
import zlib
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.images import Problem
from anomaly_tools.ingest.archives import CHUNK, Archive, Limits, Member, archive_format, reading
from anomaly_tools.ingest.paths import TEMPORARY_PREFIX

_DISK_BLOCK = 4096  # bytes; what a file takes is a multiple of it on the common file systems
_CHANGED = ("changed while it was unpacked", "wait until it is complete and unpack again")
_MOVE = "move it away or choose another folder"
Checked = tuple[tuple[Member, int], ...]
"""Members whose content has been read once, each with the CRC-32 of that content."""


def is_archive(path: Path) -> bool:
    """Whether the content of a file is that of an archive, one that ``unpack`` refuses as RAR or 7-Zip included."""
    return path.is_file() and archive_format(path) is not None


def unpacked_size(archive: Path, limits: Limits = Limits()) -> int:  # noqa: B008 - frozen
    """Bytes that the unpacked archive takes on a disk of 4 KiB blocks. Raises InputError as ``unpack``."""
    return _DISK_BLOCK * sum(max(1, -(-member.size // _DISK_BLOCK)) for member, _ in _check(archive, limits))


def unpack(archive: Path, target: Path, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz, whatever its name, into the folder ``target``, which is made.

    Files that are there already with equal content stay, others in the way are never replaced. Raises InputError
    before anything is written for an archive that is damaged or breaks a rule or limit, and for what is in the way,
    a link below ``target`` included; later when the archive changes. Raises OSError when the disk is full.
    """
    checked = _check(archive, limits)
    root = target.resolve()
    _remove_half_written(root)  # by a killed run
    try:
        there = {member.path for member, crc in checked if _is_there(root, member, crc)}
        with closing(Archive(archive, limits).contents("unpack")) as contents:
            for expected, found in zip_longest(checked, contents):
                if expected is None or found is None or found[0] != expected[0]:
                    raise InputError(Problem(archive, *_CHANGED))
                (member, crc), (_, chunks) = expected, found
                if member.path not in there and not _write(root, member, crc, chunks):
                    raise InputError(Problem(archive, *_CHANGED))
    finally:
        _remove_half_written(root)


def _check(archive: Path, limits: Limits) -> Checked:
    with reading(archive):
        status = archive.stat()
    return _check_once(archive, limits, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)  # the disk check and unpacking ask for the same, which takes a minute for 5 GB
def _check_once(archive: Path, limits: Limits, version: tuple[int, ...]) -> Checked:
    with closing(Archive(archive, limits).contents("check")) as contents:  # else an error stands beside its bar
        checked = tuple((member, _crc_32(chunks)) for member, chunks in contents)
    if all(member.is_folder for member, _ in checked):
        raise InputError(Problem(archive, "holds no file", "check that it is the right archive"))
    return checked


def _crc_32(chunks: Iterable[bytes]) -> int:
    crc = 0
    for chunk in chunks:
        crc = zlib.crc32(chunk, crc)
    return crc


def _remove_half_written(root: Path) -> None:
    # not with ``replacing``, whose temporary name `.NAME` may be that of another member
    for file in root.glob(f"{TEMPORARY_PREFIX}*"):
        file.unlink()


def _place(root: Path, member: Member) -> Path:
    """Where the member goes. Raises InputError for a link on the way there: nothing is written through one.

    Who can exchange a folder for a link at the same moment could write there himself.
    """
    place = root / member.path
    reason = "another place in the folder"
    try:
        tarfile.data_filter(tarfile.TarInfo(member.path.as_posix()), str(root))
        if os.path.realpath(place) == str(place):
            return place
    except tarfile.FilterError as error:
        reason = f"Python's own filter: {error}"
    raise InputError(Problem(place, f"is a link or behind one, which is not followed ({reason})", _MOVE))


def _is_there(root: Path, member: Member, crc: int) -> bool:
    """Whether the member is complete below ``root``. Raises InputError for anything else in its place."""
    place = _place(root, member)
    try:
        mode = place.lstat().st_mode
    except FileNotFoundError:
        return False
    if member.is_folder and stat.S_ISDIR(mode):
        return True
    if member.is_folder or not stat.S_ISREG(mode):
        raise InputError(Problem(place, "is in the way of what the archive holds", _MOVE))
    with place.open("rb") as file:
        if place.stat().st_size != member.size or _crc_32(iter(partial(file.read, CHUNK), b"")) != crc:
            raise InputError(Problem(place, "is there already with other content", _MOVE))
    return True


def _write(root: Path, member: Member, crc: int, chunks: Iterable[bytes]) -> bool:
    """Make the folder, or the file from its content; False, and no file, if that is not the content checked before."""
    place = _place(root, member)  # once more: the first look may be minutes old
    if member.is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return True
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = root / f"{TEMPORARY_PREFIX}{os.getpid()}"
    written = 0
    with temporary.open("xb") as file:
        for chunk in chunks:
            written = zlib.crc32(chunk, written)
            file.write(chunk)
    if written == crc:
        temporary.replace(place)
    return written == crc
