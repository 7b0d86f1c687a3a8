"""Unpack an archive of unknown origin: nothing outside the target, nothing half-written, nothing that fills the disk.

An archive is read twice. The first time all its members are checked (names, kinds, sizes, count) and their content
to the last byte; only then the first byte is written. A file gets its name when it is complete, so unpacking again
after an interruption skips the files of equal size and CRC-32. Links, devices and sparse files are refused; owners,
times and permissions are those of newly made files. An archive inside the archive stays one.
"""

import tarfile
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import Problem, printable
from anomaly_lib.ingest.members import DEFAULT_LIMITS, Inventory, Limits, reading
from anomaly_lib.ingest.tar_archive import read_tar
from anomaly_lib.ingest.target import Checked, crc_32, is_there, write, writing_below
from anomaly_lib.ingest.zip_archive import read_zip

_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_COMPRESSED_TAR = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_OTHERS = {
    b"Rar!": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
    b"MSCF": "cabinet",
}
_DISK_BLOCK = 4096  # bytes; what a file takes is a multiple of it on the common file systems


def is_archive(path: Path) -> bool:
    """Whether the content of a file is that of an archive, one that ``unpack`` refuses as RAR or 7-Zip included."""
    return path.is_file() and _format(path) is not None


def unpacked_size(archive: Path, limits: Limits = DEFAULT_LIMITS) -> int:
    """Bytes that the unpacked archive takes on a disk of 4 KiB blocks. Raises InputError as ``unpack``."""
    blocks = (max(1, -(-checked.member.size // _DISK_BLOCK)) for checked in _check(archive, limits))
    return _DISK_BLOCK * sum(blocks)


def unpack(archive: Path, target: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz, whatever its name, into the folder ``target``, which is made.

    Files that are there already with equal content stay, others in the way are never replaced. Raises InputError
    before anything is written for an archive that is damaged or breaks a rule or limit, and for what is in the way,
    a link below ``target`` included; later when the disk is full or the archive changes.
    """
    contents = _check(archive, limits)
    with writing_below(target) as root:
        there = {checked.member.path for checked in contents if is_there(root, checked)}
        _write_others(archive, limits, root, contents, there)


def _write_others(
    archive: Path, limits: Limits, root: Path, contents: tuple[Checked, ...], there: set[PurePosixPath]
) -> None:
    changed = Problem(archive, "changed while it was unpacked", "wait until it is complete and unpack again")
    total = sum(checked.member.size for checked in contents)
    again = _reader(archive)(archive, Inventory(archive, limits, target=root), lambda _: None)
    with _bar("unpack", archive, total) as bar:
        for checked, entry in zip_longest(contents, again):
            if checked is None or entry is None or entry[0] != checked.member:
                raise InputError(changed)
            member, chunks = entry
            if member.path not in there and not write(root, checked, chunks):
                raise InputError(changed)
            bar.update(member.size)


def _format(archive: Path) -> str | None:
    with reading(archive), archive.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith(_COMPRESSED_TAR) or _is_tar_header(head):
        return "tar"
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)


def _is_tar_header(head: bytes) -> bool:
    # the oldest format has no magic, but all have a checksum
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _reader(archive: Path) -> Callable:
    name = _format(archive)
    if name in ("zip", "tar"):
        return read_zip if name == "zip" else read_tar
    what = f"is a {name} archive, which this program does not read" if name else "is not an archive"
    remedy = "give a zip, tar, tar.gz, tar.bz2 or tar.xz, or unpack it yourself and give the folder"
    raise InputError(Problem(archive, what, remedy))


def _check(archive: Path, limits: Limits) -> tuple[Checked, ...]:
    with reading(archive):
        status = archive.stat()
    return _check_once(archive, limits, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)  # the disk check and unpacking ask for the same, which takes a minute for 5 GB
def _check_once(archive: Path, limits: Limits, version: tuple[int, ...]) -> tuple[Checked, ...]:
    read = _reader(archive)
    inventory = Inventory(archive, limits)
    with _bar("check", archive, archive.stat().st_size) as bar:
        contents = tuple(Checked(member, crc_32(chunks)) for member, chunks in read(archive, inventory, bar.update))
    if all(checked.member.is_folder for checked in contents):
        raise inventory.problem("holds no file", "check that it is the right archive")
    return contents


def _bar(verb: str, archive: Path, total: int) -> tqdm:
    return progress_bar(description=f"{verb} {printable(archive.name)}", total=total, unit="B", unit_scale=True)
