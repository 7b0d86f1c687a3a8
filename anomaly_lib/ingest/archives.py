"""Read a zip or a tar of unknown origin in bounded memory: each member is admitted before its content is read.

The rules are the same for both formats (``Inventory.admit``). ``read_zip`` and ``read_tar`` yield the members with
their content in chunks, which need not be taken; ``zipfile`` and ``tarfile`` do the reading. Whatever is wrong raises
InputError in one line.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO

from anomaly_lib.ingest.inventory import BY_HAND, Inventory, Member, reading

CHUNK = 1 << 15
"""Bytes of content held at a time."""

_TAR_HEADER_BYTES = 1024  # per member: its header and the padding of its content
_MOST_HEADER_BYTES = 1 << 18  # between two contents: long names and attributes take a few thousand
_XZ_MEMORY = 512 << 20  # bytes; `xz -9` needs 65 MiB to decompress
_TAR_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINK = ("is a link", "pack files instead of links")
_TAR_OTHERS = {
    tarfile.SYMTYPE: _LINK,
    tarfile.LNKTYPE: _LINK,
    tarfile.CHRTYPE: ("is a device",),
    tarfile.BLKTYPE: ("is a device",),
    tarfile.FIFOTYPE: ("is a named pipe",),
}

_ZIP_ENTRY = b"PK\1\2"
_ZIP_ENTRY_BYTES = 1024  # per member in the table of contents: 46, its name and its extra fields
_ZIP_LOCAL_HEADER_BYTES = 30
_ZIP_ENCRYPTED = 0x1 | 0x40 | 0x2000
# zipfile cannot decompress LZMA and bzip2 in bounded memory, and hardly anybody writes them into a zip.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


Contents = Iterator[tuple[Member, Iterable[bytes]]]


def _content(opened: io.BufferedIOBase, member: Member, inventory: Inventory) -> Iterator[bytes]:
    """The content of a member as long as it can be read; it must have the size that was admitted."""
    left = member.size
    with reading(inventory.archive), opened:
        for chunk in iter(partial(opened.read, CHUNK), b""):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise inventory.refusal(str(member.path), "has another size than its header says")


def read_tar(file: BinaryIO, inventory: Inventory) -> Contents:
    """The members of a tar, plain or compressed by gzip, bzip2 or xz, read once from front to end."""
    with reading(inventory.archive):
        stream = _TarStream(file, inventory)
        try:
            tar = tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", tarinfo=_Header)  # noqa: SIM115
        except tarfile.ReadError as error:
            raise inventory.problem(f"holds no tar that can be read ({error})", BY_HAND) from error
        while (info := tar.next()) is not None:
            stream.may_reach(tar.offset)
            if info.issparse():
                raise inventory.refusal(info.name, "is a sparse file", "pack it again without --sparse")
            if info.type not in (*_TAR_FILES, tarfile.DIRTYPE):
                raise inventory.refusal(info.name, *_TAR_OTHERS.get(info.type, ("is neither a file nor a folder",)))
            member = inventory.admit(info.name, info.size, info.isdir())
            tar.members.clear()  # it would remember them all
            yield member, () if member.is_folder else _content(tar.extractfile(info), member, inventory)
        stream.may_reach(inventory.limits.total_bytes)
        while rest := tar.fileobj.read(CHUNK):  # to the last byte, since checksums stand at the end
            if rest.strip(b"\0"):
                raise inventory.problem("goes on after its end mark")


class _Header(tarfile.TarInfo):
    """A header that is damaged or missing is an error; ``tarfile`` takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):
                raise  # the end mark
            raise tarfile.ReadError(str(error)) from error


class _TarStream:
    """What ``tarfile`` reads from: decompressed chunks, up to a place that is moved on with each member."""

    def __init__(self, file: BinaryIO, inventory: Inventory) -> None:
        self._chunks = _decompressed(file)
        self._inventory = inventory
        self._position = 0
        self._most = inventory.most_bytes + _TAR_HEADER_BYTES * inventory.limits.members
        self.may_reach(0)

    def may_reach(self, next_header: int) -> None:
        """All up to the next header, and this header, may be read."""
        self._end = next_header + _MOST_HEADER_BYTES + CHUNK

    def read(self, size: int) -> bytes:
        """The next chunk, whatever its size; empty at the end."""
        chunk = next(self._chunks, b"")
        self._position += len(chunk)
        if self._position > self._most:
            raise self._inventory.bomb()
        if self._position > self._end:
            raise self._inventory.problem("has a header of excessive length")
        return chunk


def _decompressed(file: BinaryIO) -> Iterator[bytes]:
    magic = file.read(6)
    file.seek(0)
    if magic == b"\xfd7zXZ\0":
        return filter(None, _unxz(file))
    if magic.startswith(b"\x1f\x8b"):
        file = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        file = bz2.BZ2File(file)
    return iter(partial(file.read, CHUNK), b"")


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    """As ``lzma.open``, which has no limit for the memory that an archive asks for."""
    data = file.read(CHUNK)
    while data:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not decompressor.eof:
            if decompressor.needs_input and not data:
                raise EOFError("the compressed data end early")
            yield decompressor.decompress(data, CHUNK)
            data = file.read(CHUNK) if decompressor.needs_input else b""
        data = (decompressor.unused_data + data).lstrip(b"\0")
        while not data and (more := file.read(CHUNK)):
            data = more.lstrip(b"\0")  # zeros may stand between two streams


def read_zip(file: BinaryIO, inventory: Inventory) -> Contents:
    """The members of a zip, all of which are admitted before the first is opened."""
    with reading(inventory.archive), zipfile.ZipFile(_ZipSource(file, inventory)) as archive:
        infos = archive.infolist()
        members = [_admitted(info, inventory) for info in infos]
        _refuse_overlaps(infos, archive.start_dir, inventory)
        for info in infos:
            archive.open(info).close()  # compares the local header with the table of contents
        for info, member in zip(infos, members, strict=True):
            yield member, _content(archive.open(info), member, inventory)


class _ZipSource:
    """The archive's file; a table of contents of too many members is refused before ``zipfile`` makes objects of it."""

    def __init__(self, file: BinaryIO, inventory: Inventory) -> None:
        self._read, self._inventory = file.read, inventory
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _ZIP_ENTRY_BYTES * self._inventory.limits.members + _MOST_HEADER_BYTES:
            raise self._inventory.problem("has a table of contents of excessive length")
        data = self._read(size)
        if data.startswith(_ZIP_ENTRY):
            self._inventory.admit_count(data.count(_ZIP_ENTRY))
        return data


def _admitted(info: zipfile.ZipInfo, inventory: Inventory) -> Member:
    name = info.orig_filename  # ``filename`` ends at the first NUL
    if info.flag_bits & _ZIP_ENCRYPTED:
        raise inventory.refusal(name, "is encrypted", "unpack it with its password and give the folder")
    if info.compress_type not in _ZIP_METHODS:
        raise inventory.refusal(name, f"is compressed by the rare method {info.compress_type}", BY_HAND)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise inventory.refusal(name, *_LINK)
    is_folder = name.endswith("/")
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise inventory.refusal(name, "is neither a file nor a folder")
    return inventory.admit(name, info.file_size, is_folder)


def _refuse_overlaps(infos: list[zipfile.ZipInfo], end: int, inventory: Inventory) -> None:
    """No two members may share bytes of the archive: the overlap bombs of David Fifield (WOOT 2019) do."""
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset + _ZIP_LOCAL_HEADER_BYTES + info.compress_size > end:
            raise inventory.refusal(info.orig_filename, "shares its bytes with another, as in a bomb")
        end = info.header_offset
