"""Archives for ``test_unpack``, good ones and hostile ones; the hostile are built by hand where libraries refuse to."""

import gzip
import io
import lzma
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np


def photos(count: int, largest: int = 5000, seed: int = 0) -> dict[str, bytes]:
    """{name: content} of a tree in the shape of MVTec AD; a few files are empty."""
    rng = np.random.default_rng(seed)
    names = [f"set/nut {i % 3}/{'train' if i % 2 else 'test'}/good/größe_{i:03d}.png" for i in range(count)]
    sizes = rng.integers(0, largest, count) * (rng.random(count) > 0.02)
    return {name: rng.bytes(int(size)) for name, size in zip(names, sizes, strict=True)}


def make_zip(file: Path, entries: dict[str, bytes], **options) -> None:
    """A zip of {name: content}."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def make_tar(file: Path, entries: dict[str, bytes], mode: str = "w", **options) -> None:
    """A tar of {name: content}; the mode names the compression."""
    with tarfile.open(file, mode, **options) as archive:
        for name, content in entries.items():
            add(archive, name, content)


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields) -> None:
    """Add a member, whose other header fields are given."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


def tar_with(*members: dict, **options) -> Callable[[Path], None]:
    """Writes a tar of a good file and of the members, given as the arguments of ``add``."""

    def build(file: Path) -> None:
        with tarfile.open(file, "w", **options) as archive:
            add(archive, "good.png", b"good")
            for member in members:
                add(archive, **member)

    return build


def zip_with(*names: str, **fields) -> Callable[[Path], None]:
    """Writes a zip of a good file and of named files; the fields are those of their ZipInfo."""

    def build(file: Path) -> None:
        with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of duplicate names
            archive.writestr("good.png", b"good")
            for name in names:
                info = zipfile.ZipInfo("x")
                info.filename = name  # as it is; the constructor would cut it at a NUL
                for key, value in fields.items():
                    setattr(info, key, value)
                archive.writestr(info, b"evil")

    return build


def zip_of_type(kind: int) -> Callable[[Path], None]:
    """Writes a zip with a member of this Unix type (stat.S_IFLNK, …)."""
    return zip_with("evil", external_attr=(kind | 0o777) << 16, create_system=3)


def patched(build: Callable[[Path], None], *patches: tuple[bytes, int, bytes]) -> Callable[[Path], None]:
    """Writes what ``build`` writes, and then at each (last) mark, plus so many bytes, other bytes."""

    def build_patched(file: Path) -> None:
        build(file)
        data = bytearray(file.read_bytes())
        for mark, offset, new in patches:
            place = data.rindex(mark) + offset
            data[place : place + len(new)] = new
        file.write_bytes(data)

    return build_patched


def cut(build: Callable[[Path], None], share: float) -> Callable[[Path], None]:
    """Writes the first part of what ``build`` writes."""

    def build_cut(file: Path) -> None:
        build(file)
        os.truncate(file, int(file.stat().st_size * share))

    return build_cut


def followed_by(build: Callable[[Path], None], rest: bytes) -> Callable[[Path], None]:
    """Writes what ``build`` writes and more."""

    def build_longer(file: Path) -> None:
        build(file)
        file.write_bytes(file.read_bytes() + rest)

    return build_longer


def directory_entry(name: bytes, offset: int, compressed: bytes, size: int, crc: int) -> bytes:
    """An entry of a zip's central directory, deflated."""
    fields = (b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(compressed), size, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", *fields) + name


def local_header(name: bytes, compressed: bytes, size: int, crc: int) -> bytes:
    """The header before a deflated member of a zip."""
    fields = (b"PK\3\4", 20, 0, 8, 0, 33, crc, len(compressed), size, len(name), 0)
    return struct.pack("<4s5H3L2H", *fields) + name


def end_record(count: int, size: int, offset: int) -> bytes:
    """What a zip ends with."""
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def overlapping_zip(content: bytes, size: int, count: int = 100) -> Callable[[Path], None]:
    """Writes a zip of many names for one and the same member, which claims a size (full overlap, Fifield 2019)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    compressed = packer.compress(content) + packer.flush()
    crc = zlib.crc32(content)

    def build(file: Path) -> None:
        body = local_header(b"000", compressed, size, crc) + compressed
        names = [b"%03d" % index for index in range(count)]
        directory = b"".join(directory_entry(name, 0, compressed, size, crc) for name in names)
        file.write_bytes(body + directory + end_record(count, len(directory), len(body)))

    return build


def zip_of_many(count: int, claimed: int) -> Callable[[Path], None]:
    """Writes a zip of so many empty files, which claims another count."""

    def build(file: Path) -> None:
        empty = b"\3\0"
        body = local_header(b"x", empty, 0, 0) + empty
        directory = directory_entry(b"x", 0, empty, 0, 0) * count
        file.write_bytes(body + directory + end_record(claimed, len(directory), len(body)))

    return build


def tar_of_many(file: Path) -> None:
    """A tar.xz of a million empty files, 10,000 different ones."""
    headers = b"".join(bomb_header(f"{index}.png", 0) for index in range(10_000))
    file.write_bytes(lzma.compress(headers, preset=1) * 100)


def bomb_header(name: str, size: int) -> bytes:
    """The tar header of a file of so many bytes."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def xz_bomb(file: Path) -> None:
    """A tar.xz of one file of 1 GB of zeros: many streams of 10 MB, 1:7,000."""
    zeros = lzma.compress(bytes(10_000_000))
    file.write_bytes(lzma.compress(bomb_header("bomb", 10**9)) + zeros * 100)


def gzip_of_tail(tail: int) -> Callable[[Path], None]:
    """Writes a tar.gz that goes on with so many zeros after its end."""

    def build(file: Path) -> None:
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            add(archive, "good.png", b"good")
        zeros = gzip.compress(bytes(10_000_000))
        file.write_bytes(gzip.compress(tar.getvalue()) + zeros * (tail // 10_000_000))

    return build


def long_header(kind: bytes, size: int) -> Callable[[Path], None]:
    """Writes a tar.xz whose second header, of this type, is followed by so many bytes of name or attributes."""

    def build(file: Path) -> None:
        info = tarfile.TarInfo("long")
        info.type = kind
        info.size = size
        zeros = lzma.compress(b"a" * 10_000_000) * (size // 10_000_000)
        head = bomb_header("good.png", 0) + info.tobuf(tarfile.GNU_FORMAT)
        file.write_bytes(lzma.compress(head) + zeros)

    return build


def sparse_pax(file: Path) -> None:
    """A tar with a PAX sparse file of 1 TB."""
    headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "hole", "GNU.sparse.map": "0,1"}
    headers |= {"GNU.sparse.size": str(10**12)}
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "hole", b"x", pax_headers=headers)


def not_a_tar(file: Path) -> None:
    """A compressed photo."""
    file.write_bytes(gzip.compress(b"\x89PNG" + bytes(2000)))
