"""The members of a zip, none of which is opened before all are admitted."""

import io
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from anomaly_lib.ingest.members import BY_HAND, CHUNK, Inventory, Member, reading

_ENTRY_SIGNATURE = b"PK\1\2"
_ENTRY_BYTES = 1024  # of the directory, for one member: 46, its name and its extra fields
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
# LZMA and bzip2 inside a zip cannot be decompressed in bounded memory by zipfile, and hardly anybody writes them.
_METHODS = (ZIP_STORED, ZIP_DEFLATED)


class _Source(io.BufferedReader):
    """The archive's file. While ``inventory`` is set, a directory of too many members is refused as it is read.

    ``zipfile`` takes the whole directory at once and makes an object of each entry, whatever count the archive claims.
    """

    def __init__(self, archive: Path, inventory: Inventory) -> None:
        super().__init__(io.FileIO(archive))
        self.inventory: Inventory | None = inventory

    def read(self, size: int | None = -1, /) -> bytes:
        if self.inventory is None:
            return super().read(size)
        most = _ENTRY_BYTES * self.inventory.limits.members + CHUNK
        if size is not None and size > most:
            raise self.inventory.problem("has a table of contents of excessive length")
        data = super().read(size)  # without a size: the end mark, 64 KiB at most
        self.inventory.admit_count(data.count(_ENTRY_SIGNATURE))
        return data


def read_zip(
    archive: Path, inventory: Inventory, advance: Callable[[int], object]
) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Each member with its content in chunks, which need not be taken. Raises InputError.

    All members are admitted before the first is handed out. ``advance`` is told of the archive's bytes that are done.
    """
    with reading(archive), _Source(archive, inventory) as source, ZipFile(source) as file:
        source.inventory = None
        infos = file.infolist()
        members = [_admitted(info, inventory) for info in infos]
        _refuse_overlaps(infos, file.start_dir, inventory)
        for info in infos:
            file.open(info).close()  # compares the local header with the directory
        for info, member in zip(infos, members, strict=True):
            yield member, inventory.exactly(member, _content(file, info))
            advance(info.compress_size)


def _content(file: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    with file.open(info) as opened:
        yield from iter(partial(opened.read, CHUNK), b"")


def _admitted(info: ZipInfo, inventory: Inventory) -> Member:
    name = info.orig_filename  # ``filename`` ends at the first NUL
    if info.flag_bits & _ENCRYPTED:
        raise inventory.refusal(name, "is encrypted", "unpack it with its password and give the folder")
    if info.compress_type not in _METHODS:
        raise inventory.refusal(name, f"is compressed by the rare method {info.compress_type}", BY_HAND)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise inventory.refusal(name, "is a link", "pack files instead of links")
    is_folder = name.endswith("/")
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise inventory.refusal(name, "is neither a file nor a folder")
    return inventory.admit(name, info.file_size, is_folder)


def _refuse_overlaps(infos: list[ZipInfo], end: int, inventory: Inventory) -> None:
    """No two members may share bytes of the archive: the overlap bombs of David Fifield (WOOT 2019) do."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size > end:
            raise inventory.refusal(info.orig_filename, "shares its bytes with another, as in a bomb")
        end = info.header_offset
