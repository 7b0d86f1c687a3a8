"""The members of a tar, plain or compressed by gzip, bzip2 or xz, read once from front to end in bounded memory."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from anomaly_lib.ingest.members import BY_HAND, CHUNK, Inventory, Member, reading

_HEADER_BYTES = 1 << 18  # between two members: long names and attributes take a few thousand
_XZ_MEMORY = 512 << 20  # bytes; `xz -9` needs 65 MiB to decompress
_END = bytes(tarfile.BLOCKSIZE)
_FILE_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINK = ("is a link", "pack files instead of links")
_KINDS = {
    tarfile.SYMTYPE: _LINK,
    tarfile.LNKTYPE: _LINK,
    tarfile.CHRTYPE: ("is a device",),
    tarfile.BLKTYPE: ("is a device",),
    tarfile.FIFOTYPE: ("is a named pipe",),
}
_SPARSE = ("is a sparse file", "pack it again without --sparse")


def read_tar(
    archive: Path, inventory: Inventory, advance: Callable[[int], object]
) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Each member with its content in chunks, which need not be taken. Raises InputError.

    ``advance`` is told of the archive's bytes that are done.
    """
    with reading(archive), archive.open("rb") as file:
        stream = _Stream(_decompressed(file, advance), inventory)
        with _opened(stream, inventory) as tar:
            while (info := tar.next()) is not None:
                member = _admitted(info, inventory)
                tar.members.clear()  # it would remember them all
                yield member, inventory.exactly(member, stream.content(info.offset_data, member.size))
                stream.expect_header()
        stream.expect_end()


def _opened(stream: "_Stream", inventory: Inventory) -> tarfile.TarFile:
    try:
        return tarfile.TarFile(fileobj=stream, encoding="utf-8")
    except tarfile.ReadError as error:
        raise inventory.problem(f"holds no tar that can be read ({error})", BY_HAND) from error


def _admitted(info: tarfile.TarInfo, inventory: Inventory) -> Member:
    if info.issparse():
        raise inventory.refusal(info.name, *_SPARSE)
    if info.type not in (*_FILE_TYPES, tarfile.DIRTYPE):
        raise inventory.refusal(info.name, *_KINDS.get(info.type, ("is neither a file nor a folder",)))
    member = inventory.admit(info.name, info.size, info.isdir())
    if inventory.target:
        _refuse_filtered(info, inventory)
    return member


def _refuse_filtered(info: tarfile.TarInfo, inventory: Inventory) -> None:
    """The second line of defence, which looks at the disk: some milliseconds for a member on a slow one."""
    try:
        tarfile.data_filter(info, str(inventory.target))
    except tarfile.FilterError as error:
        raise inventory.refusal(info.name, f"is refused by Python's own filter ({error})") from error


class _Stream:
    """What ``tarfile`` reads headers from: forward only, so many bytes between two members, so many in all."""

    def __init__(self, chunks: Iterator[bytes], inventory: Inventory) -> None:
        self._chunks = chunks
        self._inventory = inventory
        self._buffer = memoryview(b"")
        self._position = 0  # of the buffer's first byte
        self._most = inventory.most_tar_bytes
        self._header_left = _HEADER_BYTES
        self._last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise ValueError("a header points back")
        for _ in self._take(position - self._position):
            pass

    def read(self, size: int) -> bytes:
        self._header_left -= size
        if self._header_left < 0:
            raise self._inventory.problem("has a header of excessive length")
        self._last = b"".join(self._take(size, must=False))
        return self._last

    def expect_header(self) -> None:
        """The content of a member is over."""
        self._header_left = _HEADER_BYTES

    def content(self, offset: int, size: int) -> Iterator[bytes]:
        """The content of the member that was read last."""
        self.seek(offset)
        yield from self._take(size)

    def expect_end(self) -> None:
        """Raise unless the last header was the end mark and nothing follows; takes the rest, which has checksums."""
        # tarfile takes a damaged header for the end
        if self._last != _END:
            raise EOFError("no end mark")
        while self._fill():
            if bytes(self._buffer).strip(b"\0"):
                raise self._inventory.problem("goes on after its end mark")
            self._skip(len(self._buffer))

    def _take(self, size: int, must: bool = True) -> Iterator[bytes]:
        while size > 0:
            if not self._fill():
                if must:
                    raise EOFError("ends within a file")
                return
            part = self._buffer[:size]
            self._skip(len(part))
            size -= len(part)
            yield bytes(part)

    def _skip(self, size: int) -> None:
        self._position += size
        self._buffer = self._buffer[size:]

    def _fill(self) -> bool:
        """Whether there is something in the buffer."""
        while not self._buffer:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer = memoryview(chunk)
            if self._position + len(chunk) > self._most:
                raise self._inventory.bomb()
        return True


def _decompressed(file: BinaryIO, advance: Callable[[int], object]) -> Iterator[bytes]:
    magic = file.read(6)
    file.seek(0)
    if magic == b"\xfd7zXZ\0":
        chunks = _unxz(file)
    elif magic.startswith(b"\x1f\x8b"):
        chunks = _read(gzip.GzipFile(fileobj=file))
    elif magic.startswith(b"BZh"):
        chunks = _read(bz2.BZ2File(file))
    else:
        chunks = _read(file)
    told = 0
    for chunk in chunks:
        advance(file.tell() - told)
        told = file.tell()
        yield chunk


def _read(file: BinaryIO) -> Iterator[bytes]:
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
