"""Read a zip or a tar of unknown origin in bounded memory: a member is admitted before its content is read.

``zipfile`` and ``tarfile`` do the reading; ``Archive`` holds the limits and rules, which are the same for both.
Whatever is wrong raises InputError in one line that names the archive.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import Problem, printable
from anomaly_tools.ingest.paths import DEPTH, PATH_LENGTH, folded, why_path_is_refused

CHUNK = 1 << 15
"""Bytes of content held at a time."""
_BY_HAND = "look into it, unpack it with your system's own tools and give the folder"
_HOSTILE = "do not use this archive; get it again from its source"
_HARMLESS_BYTES = 1 << 20  # what unpacks to so little is no bomb, whatever its ratio
_SHOWN_CHARACTERS = 80

_HEADER_BYTES = 1024  # per member: header and padding in a tar, entry of a zip's table of contents
_LONGEST_HEADER = 1 << 18  # between two contents of a tar: long names and attributes take a few thousand bytes
_NO_FILE = "is neither a file nor a folder"
_LINK = ("is a link", "pack files instead of links")
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_ZIP_ENTRY, _ZIP_LOCAL_HEADER_BYTES = b"PK\1\2", 30
_ZIP_ENCRYPTED = 0x1 | 0x40 | 0x2000
# zipfile cannot decompress LZMA and bzip2 in bounded memory, and hardly anybody writes them into a zip
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHERS = {b"Rar!": "RAR", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"\x28\xb5\x2f\xfd": "Zstandard"}


@dataclass(frozen=True)
class Limits:
    """Most that an archive may hold. MVTec AD has 4.9 GB in 7,000 files: the defaults are far above it.

    ``members`` counts files and folders, with those that are only named in a file's path; ``ratio`` is unpacked bytes
    per byte of the archive (photos have 1 to 5), not checked up to 1 MiB unpacked.
    """

    total_bytes: int = 200 * 10**9
    member_bytes: int = 4 * 10**9
    members: int = 100_000
    ratio: float = 200
    path_length: int = PATH_LENGTH
    depth: int = DEPTH


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive: its place below the target, and the bytes of content that it claims to have."""

    path: PurePosixPath
    size: int
    is_folder: bool = False


Contents = Generator[tuple[Member, Iterable[bytes]], None, None]


@dataclass
class Archive:
    """One reading of an archive: each member is admitted, or InputError refuses the whole archive."""

    path: Path
    limits: Limits
    _bytes: int = 0
    _places: dict[str, Member] = field(default_factory=dict)  # by folded path

    def contents(self, verb: str) -> Contents:
        """The members, each with its content in chunks, which need not be taken; shows a progress bar."""
        name = archive_format(self.path)
        if name not in ("zip", "tar"):
            what = f"is a {name} archive, which this program does not read" if name else "is not an archive"
            remedy = "give a zip, tar, tar.gz, tar.bz2 or tar.xz, or unpack it yourself and give the folder"
            raise self.problem(what, remedy)
        description, size = f"{verb} {printable(self.path.name)}", self.path.stat().st_size
        with (
            reading(self.path),
            _ZipSource(self) if name == "zip" else self.path.open("rb") as file,
            progress_bar(description=description, total=size, unit="B", unit_scale=True) as bar,
        ):
            for entry in _read_zip(file, self) if name == "zip" else _read_tar(file, self):
                yield entry
                bar.update(file.tell() - bar.n)

    def admit(self, name: str, size: int, is_folder: bool = False) -> Member:
        """The member under its checked path; a folder's may be ``.``, the target. Raises InputError."""
        if reason := why_path_is_refused(name, self.limits.path_length, self.limits.depth):
            raise self.refusal(name, reason)
        member = Member(PurePosixPath(name), size, is_folder)
        if size < 0 or (is_folder and size):
            raise self.refusal(name, "has an impossible size")
        if size > self.limits.member_bytes:
            raise self.refusal(name, f"has more than {self.limits.member_bytes:,} bytes", _BY_HAND)
        if not member.path.parts and not is_folder:
            raise self.refusal(name, "has no name")
        self._bytes += size
        if self._bytes > self.limits.total_bytes:
            raise self.problem(f"unpacks to more than {self.limits.total_bytes:,} bytes", _BY_HAND)
        self.admit_bytes(self._bytes)
        for place in (*(Member(parent, 0, is_folder=True) for parent in member.path.parents), member):
            self._place(name, place)
        self.admit_count(len(self._places))
        return member

    def _place(self, name: str, member: Member) -> None:
        other = self._places.setdefault(folded(member.path), member)
        if other.path != member.path:
            what = f"is the same file as '{other.path}' where case or accents do not count"
            raise self.refusal(name, what, _BY_HAND)
        if other.is_folder != member.is_folder:
            raise self.refusal(name, f"needs '{other.path}' to be a file and a folder")
        if other is not member and not member.is_folder:
            raise self.refusal(name, "is in it twice")

    def admit_count(self, count: int) -> None:
        """Raise InputError if an archive may not have ``count`` members."""
        if count > self.limits.members:
            raise self.problem(f"holds more than {self.limits.members:,} files and folders", _BY_HAND)

    def admit_bytes(self, count: int, headers: int = 0) -> None:
        """Raise InputError if an archive of this size may not unpack to ``count`` bytes plus those of headers."""
        if count > max(_HARMLESS_BYTES, self.limits.ratio * self.path.stat().st_size) + headers:
            raise self.problem(f"unpacks to more than {self.limits.ratio:g} times its size, as a bomb does")

    def refusal(self, name: str, reason: str, remedy: str = _HOSTILE) -> InputError:
        """Says why a member, and with it the archive, is refused."""
        shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
        return self.problem(f"member '{shown}' {reason}", remedy)

    def problem(self, message: str, remedy: str = _HOSTILE) -> InputError:
        """Says what is wrong with the archive, in one line."""
        return InputError(Problem(self.path, message, remedy))


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Whatever fails in the block is the archive's fault and becomes an InputError that names it."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged archives raise a dozen types: BadZipFile, EOFError, zlib.error, ValueError, …
        if isinstance(error, OSError) and error.errno:
            raise InputError(Problem(archive, f"cannot be read ({error.strerror})", "check the path")) from None
        remedy = "download or copy it again"
        raise InputError(Problem(archive, f"is truncated or damaged ({error})", remedy)) from error


def archive_format(file: Path) -> str | None:
    """``zip``, ``tar`` (whatever its compression), the name of another kind of archive, or None. Looks at content."""
    with reading(file), file.open("rb") as opened:
        head = opened.read(tarfile.BLOCKSIZE)
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith(tuple(_COMPRESSED)):
        return "tar"
    try:  # the oldest format has no magic, but all have a checksum
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)
    return "tar"


def _content(opened: IO[bytes] | None, member: Member, archive: Archive) -> Iterator[bytes]:
    """The content of a member as long as it can be read; it must have the size that was admitted."""
    left = member.size
    with reading(archive.path), opened or io.BytesIO() as file:
        for chunk in iter(partial(file.read, CHUNK), b""):
            left -= len(chunk)
            yield chunk
    if left:
        raise archive.refusal(str(member.path), "has another size than its header says")


def _read_tar(file: IO[bytes], archive: Archive) -> Contents:
    """The members of a tar, plain or compressed by gzip, bzip2 or xz, read once from front to end."""
    stream = _TarStream(file, archive)
    try:
        tar = tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, encoding="utf-8", tarinfo=_Header)  # noqa: SIM115
    except tarfile.ReadError as error:
        raise archive.problem(f"holds no tar that can be read ({error})", _BY_HAND) from error
    while (info := tar.next()) is not None:
        stream.may_reach(tar.offset)
        if info.issparse():
            raise archive.refusal(info.name, "is a sparse file", "pack it again without --sparse")
        if info.issym() or info.islnk():
            raise archive.refusal(info.name, *_LINK)
        if not (info.isdir() or info.isreg()):
            device = "is a named pipe" if info.isfifo() else "is a device"
            raise archive.refusal(info.name, device if info.isdev() else _NO_FILE)
        member = archive.admit(info.name, info.size, info.isdir())
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember them all
        yield member, () if member.is_folder else _content(tar.extractfile(info), member, archive)
    stream.may_reach(archive.limits.total_bytes)
    assert tar.fileobj
    while rest := tar.fileobj.read(CHUNK):  # to the last byte, since checksums stand at the end
        if rest.strip(b"\0"):
            raise archive.problem("goes on after its end mark")


class _Header(tarfile.TarInfo):
    """A header that is damaged or missing is an error; ``tarfile`` takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):
                raise  # the end mark
            raise tarfile.ReadError(str(error)) from error


class _TarStream(io.RawIOBase):
    """The decompressed tar, which may be read up to a place that moves on with each member."""

    def __init__(self, file: IO[bytes], archive: Archive) -> None:
        magic = file.read(6)
        file.seek(0)
        self._file = next((open_(file) for start, open_ in _COMPRESSED.items() if magic.startswith(start)), file)
        self._archive, self._position = archive, 0
        self.may_reach(0)

    def may_reach(self, next_header: int) -> None:
        """All up to the next header, and this header, may be read."""
        self._end = next_header + _LONGEST_HEADER + CHUNK

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._position += len(data)
        self._archive.admit_bytes(self._position, headers=_HEADER_BYTES * self._archive.limits.members)
        if self._position > self._end:
            raise self._archive.problem("has a header of excessive length")
        return data


def _read_zip(file: IO[bytes], archive: Archive) -> Contents:
    """The members of a zip, all of which are admitted before the first is opened."""
    with zipfile.ZipFile(file) as opened:
        infos = opened.infolist()
        members = [_admitted(info, archive) for info in infos]
        end = opened.start_dir
        for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
            if info.header_offset + _ZIP_LOCAL_HEADER_BYTES + info.compress_size > end:  # Fifield, WOOT 2019
                raise archive.refusal(info.orig_filename, "shares its bytes with another, as in a bomb")
            end = info.header_offset
        for info in infos:
            opened.open(info).close()  # compares the local header with the table of contents
        for info, member in zip(infos, members, strict=True):
            yield member, _content(opened.open(info), member, archive)


class _ZipSource(io.FileIO):
    """A zip whose table of contents is refused before ``zipfile`` makes objects of too many members."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive.path)
        self._archive = archive

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]  # never None, as it does not block
        if (size or 0) > _HEADER_BYTES * self._archive.limits.members + _LONGEST_HEADER:
            raise self._archive.problem("has a table of contents of excessive length")
        data = super().read(size) or b""
        if data.startswith(_ZIP_ENTRY):
            self._archive.admit_count(data.count(_ZIP_ENTRY))
        return data


def _admitted(info: zipfile.ZipInfo, archive: Archive) -> Member:
    name = info.orig_filename  # ``filename`` ends at the first NUL
    if info.flag_bits & _ZIP_ENCRYPTED:
        raise archive.refusal(name, "is encrypted", "unpack it with its password and give the folder")
    if info.compress_type not in _ZIP_METHODS:
        raise archive.refusal(name, f"is compressed by the rare method {info.compress_type}", _BY_HAND)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise archive.refusal(name, *_LINK)
    is_folder = name.endswith("/")
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise archive.refusal(name, _NO_FILE)
    return archive.admit(name, info.file_size, is_folder)
