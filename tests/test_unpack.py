"""Unpacking: hostile archives are refused before a byte is written, good ones survive kill -9."""

import os
import random
import resource
import signal
import stat
import subprocess
import sys
import tarfile
import time
import unicodedata
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from anomaly_lib.base.errors import InputError
from anomaly_tools.ingest.archives import Limits
from anomaly_tools.ingest.unpack import is_archive, unpack, unpacked_size
from tests import archives as make

FORMATS = {
    "zip": make.make_zip,
    "tar": make.make_tar,
    "tar.gz": lambda file, entries: make.make_tar(file, entries, "w:gz"),
    "tar.bz2": lambda file, entries: make.make_tar(file, entries, "w:bz2"),
    "tar.xz": lambda file, entries: make.make_tar(file, entries, "w:xz", preset=1),
}

BAD_NAMES = {
    "parent": ("../evil.png", "'..'"),
    "parent inside": ("a/../../evil.png", "'..'"),
    "parent that stays": ("a/b/../evil.png", "'..'"),
    "parent at the end": ("a/..", "'..'"),
    "absolute": ("/tmp/anomaly_lib_evil.png", "absolute path"),
    "two slashes": ("//host/share/evil.png", "absolute path"),
    "drive": ("C:/evil.png", "names a drive"),
    "drive inside": ("a/c:evil.png", "names a drive"),
    "backslashes": ("..\\..\\evil.png", "backslash"),
    "newline": ("evil\n.png", "control character"),
    "escape sequence": ("evil\x1b[2J.png", "control character"),
    "long name": ("e" * 256, "more than 255 bytes"),
    "long name in bytes": ("ö" * 128, "more than 255 bytes"),
    "long path": ("evil/" * 103 + "evil.png", "path of more than 512 characters"),
    "deep path": ("e/" * 40 + "evil.png", "more than 32 folders"),
    "name of a temporary file": (".unpacking-1", "starts with '.unpacking-'"),
    "no name": (".", "no name"),
    "twice": ("good.png", "in it twice"),
    "twice, spelt otherwise": ("./good.png", "in it twice"),
    "case": ("GOOD.png", "where case or accents do not count"),
    "file as folder": ("good.png/evil.png", "a file and a folder"),
}

NFC, NFD = (unicodedata.normalize(form, "é/x.png") for form in ("NFC", "NFD"))
PLAIN = make.tar_with({"name": "evil", "content": b"x" * 4000})
MANY = make.tar_with(*({"name": f"{index}.png", "content": b"x"} for index in range(20)))
ZIP = make.zip_with("evil")

HOSTILE = {
    **{f"zip, {case}": (make.zip_with(name), reason) for case, (name, reason) in BAD_NAMES.items()},
    **{f"tar, {case}": (make.tar_with({"name": name}), reason) for case, (name, reason) in BAD_NAMES.items()},
    "zip, NUL": (make.zip_with("good2.png\0evil"), "control character"),
    "tar, NUL": (make.tar_with({"name": "x", "pax_headers": {"path": "a\0b"}}), "control character"),
    "tar, not UTF-8": (make.tar_with({"name": "evil\udcff.png"}), "not valid UTF-8"),
    "zip, accents": (make.zip_with(NFC, NFD), "where case or accents do not count"),
    "tar, accents": (make.tar_with({"name": NFC}, {"name": NFD}), "where case or accents do not count"),
    "tar, folder as file": (make.tar_with({"name": "a/b"}, {"name": "a"}), "a file and a folder"),
    "zip, folder with content": (make.zip_with("folder/"), "impossible size"),
    "tar, link outside": (make.tar_with({"name": "l", "type": tarfile.SYMTYPE, "linkname": "../.."}), "is a link"),
    "tar, link and a file through it": (
        make.tar_with({"name": "l", "type": tarfile.SYMTYPE, "linkname": "/tmp"}, {"name": "l/evil.png"}),
        "is a link",
    ),
    "tar, link inside": (make.tar_with({"name": "l", "type": tarfile.SYMTYPE, "linkname": "good.png"}), "is a link"),
    "tar, hard link outside": (
        make.tar_with({"name": "l", "type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}),
        "is a link",
    ),
    "tar, character device": (make.tar_with({"name": "d", "type": tarfile.CHRTYPE, "devmajor": 1}), "is a device"),
    "tar, block device": (make.tar_with({"name": "d", "type": tarfile.BLKTYPE, "devmajor": 8}), "is a device"),
    "tar, named pipe": (make.tar_with({"name": "p", "type": tarfile.FIFOTYPE}), "named pipe"),
    "tar, unknown type": (make.tar_with({"name": "x", "type": b"V"}), "neither a file nor a folder"),
    "tar, GNU sparse": (make.tar_with({"name": "x", "type": tarfile.GNUTYPE_SPARSE}), "sparse"),
    "tar, PAX sparse of 1 TB": (make.sparse_pax, "sparse"),
    "zip, link": (make.zip_of_type(stat.S_IFLNK), "is a link"),
    "zip, device": (make.zip_of_type(stat.S_IFCHR), "neither a file nor a folder"),
    "zip, named pipe": (make.zip_of_type(stat.S_IFIFO), "neither a file nor a folder"),
    "zip, encrypted": (make.patched(ZIP, (b"PK\3\4", 6, b"\1"), (b"PK\1\2", 8, b"\1")), "is encrypted"),
    "zip, bzip2": (make.zip_with("evil", compress_type=zipfile.ZIP_BZIP2), "method 12"),
    "zip, LZMA": (make.zip_with("evil", compress_type=zipfile.ZIP_LZMA), "method 14"),
    "zip, size too small": (make.patched(ZIP, (b"PK\1\2", 24, b"\1")), "damaged"),
    "zip, size too large": (make.patched(ZIP, (b"PK\1\2", 24, b"\xff")), "another size"),
    "zip, compressed size too large": (make.patched(ZIP, (b"PK\1\2", 20, b"\xff")), "shares its bytes"),
    "zip, checksum": (make.patched(ZIP, (b"PK\1\2", 16, b"\0\0\0\0")), "Bad CRC-32"),
    "zip, other local name": (make.patched(ZIP, (b"PK\3\4", 30, b"good")), "differ"),
    "zip, local header elsewhere": (make.patched(ZIP, (b"PK\1\2", 42, b"\1")), "shares its bytes"),
    "zip, no local header": (make.patched(ZIP, (b"PK\3\4", 0, b"XX")), "damaged"),
    "zip, overlap": (make.overlapping_zip(b"photo" * 400, 2000), "shares its bytes"),
    "zip, overlap bomb": (make.overlapping_zip(bytes(10**6), 10**6), "as a bomb"),
    "zip, overlap bomb, sizes lie": (make.overlapping_zip(bytes(10**6), 10), "shares its bytes"),
    "zip, one member, size lies": (make.overlapping_zip(bytes(10**6), 10, count=1), "damaged"),
    "zip, a million empty files": (make.zip_of_many(1_000_000, 1_000_000 % 65536), "more than 100,000 files"),
    "zip, a million that claim to be three": (make.zip_of_many(1_000_000, 3), "more than 100,000 files"),
    "zip, bomb": (lambda file: make.make_zip(file, {"bomb": bytes(30_000_000)}), "as a bomb"),
    "tar.xz, bomb": (make.xz_bomb, "as a bomb"),
    "tar.gz, bomb after the end": (make.gzip_of_tail(2 * 10**8), "as a bomb"),
    "tar, member of 8 EB": (lambda file: file.write_bytes(make.bomb_header("x", 2**62)), "more than 4,000,000,000"),
    "tar, negative size": (lambda file: file.write_bytes(make.bomb_header("x", -512) * 9), "impossible size"),
    "tar, negative PAX size": (make.tar_with({"name": "x", "pax_headers": {"size": "-512"}}), "impossible size"),
    "tar.xz, long name of 100 MB": (make.long_header(tarfile.GNUTYPE_LONGNAME, 10**8), "excessive length"),
    "tar.xz, PAX header of 100 MB": (make.long_header(tarfile.XHDTYPE, 10**8), "excessive length"),
    "tar, more after the end": (make.followed_by(PLAIN, make.bomb_header("x", 0)), "goes on after its end"),
    "tar, damaged header": (make.patched(PLAIN, (b"evil\0", 1, b"x")), "damaged"),
    "tar, cut in a file": (make.cut(MANY, 0.6), "truncated"),
    "tar, cut between two files": (lambda file: file.write_bytes(make.bomb_header("x", 0)), "truncated"),
    "zip, cut": (make.cut(ZIP, 0.6), "truncated"),
    "tar.gz, no tar": (make.not_a_tar, "holds no tar"),
    "photo": (lambda file: file.write_bytes(b"\x89PNG" + bytes(2000)), "is not an archive"),
    "empty file": (lambda file: file.write_bytes(b""), "is not an archive"),
    "RAR": (lambda file: file.write_bytes(b"Rar!\x1a\7\0" + bytes(600)), "RAR archive"),
    "7-Zip": (lambda file: file.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600)), "7-Zip archive"),
    "no member": (lambda file: make.make_zip(file, {}), "holds no file"),
    "missing": (lambda file: None, "No such file"),
}  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """{path below the folder: content} of its files; a link would be seen as such."""
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(file: Path, target: Path, reason: str, **limits) -> None:
    """Both functions say so in one line that names the archive; nothing is written."""
    before = {path: path.lstat().st_mtime_ns for path in target.parent.rglob("*")}
    for refused in (lambda: unpacked_size(file, Limits(**limits)), lambda: unpack(file, target, Limits(**limits))):
        with pytest.raises(InputError) as caught:
            refused()
        text = str(caught.value)
        assert str(file) in text
        assert reason in text
        assert text.isprintable()
        assert len(text) < 500 + len(str(file))
    assert {path: path.lstat().st_mtime_ns for path in target.parent.rglob("*")} == before


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused_before_a_byte_is_written(tmp_path, case):
    build, reason = HOSTILE[case]
    build(tmp_path / "evil.archive")
    assert_refused(tmp_path / "evil.archive", tmp_path / "data/target", reason)
    assert not Path("/tmp/anomaly_lib_evil.png").exists()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "tar"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_truncated_archives_are_refused(tmp_path, name, share):
    file = tmp_path / "archive"
    make.cut(lambda file: FORMATS[name](file, make.photos(30)), share)(file)
    assert_refused(file, tmp_path / "target", "truncated or damaged")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"total_bytes": 50_000}, "more than 50,000 bytes"),
        ({"member_bytes": 4_000}, "more than 4,000 bytes"),
        ({"members": 30}, "more than 30 files and folders"),
        ({"path_length": 10}, "more than 10 characters"),
        ({"depth": 3}, "more than 3 folders"),
    ],
)
def test_limits_hold_for_every_format(tmp_path, name, limits, reason):
    FORMATS[name](tmp_path / "archive", make.photos(40))
    assert_refused(tmp_path / "archive", tmp_path / "target", reason, **limits)


def test_a_tar_of_a_million_empty_files_is_refused(tmp_path):
    make.tar_of_many(tmp_path / "many")
    assert_refused(tmp_path / "many", tmp_path / "target", "more than 5,000 files", members=5_000)


@pytest.mark.parametrize("name", FORMATS)
def test_good_archives_give_the_equal_tree_whatever_they_are_called(tmp_path, name):
    file, photos = tmp_path / "archive.dat", make.photos(60)
    FORMATS[name](file, photos)
    assert is_archive(file)
    assert sum(map(len, photos.values())) <= unpacked_size(file) <= sum(map(len, photos.values())) + 4096 * 60
    (tmp_path / "disk").mkdir()
    (tmp_path / "target").symlink_to("disk")  # the user's own choice, not the archive's
    unpack(file, tmp_path / "target")
    assert tree(tmp_path / "disk") == photos
    assert {path.name for path in tmp_path.iterdir()} == {"archive.dat", "disk", "target"}


def test_only_archives_are_taken_for_archives(tmp_path):
    (tmp_path / "photo.zip").write_bytes(b"\x89PNG")
    (tmp_path / "archive.png").write_bytes(b"Rar!\x1a\7")
    assert not is_archive(tmp_path / "photo.zip")
    assert is_archive(tmp_path / "archive.png")
    assert not is_archive(tmp_path)
    assert not is_archive(tmp_path / "missing")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_as_other_programs_write_them(tmp_path, format):
    with tarfile.open(tmp_path / "archive", "w", format=format) as archive:
        for folder in (".", "./set", "./set/empty", "./set"):
            make.add(archive, folder, type=tarfile.DIRTYPE)
        make.add(archive, "./set/" + "n" * 90 + ".png", b"long")
        make.add(archive, "./.a", b"hidden")
        make.add(archive, "./a", b"seen", type=tarfile.CONTTYPE)
    unpack(tmp_path / "archive", tmp_path / "target")
    assert tree(tmp_path / "target") == {"set/" + "n" * 90 + ".png": b"long", ".a": b"hidden", "a": b"seen"}
    assert (tmp_path / "target/set/empty").is_dir()


def test_permissions_owners_and_times_of_the_archive_are_not_applied(tmp_path):
    make.tar_with({"name": "s", "content": b"x", "mode": 0o6777, "uid": 1, "mtime": 1}, {"name": "z", "mode": 0})(
        tmp_path / "a.tar"
    )
    unpack(tmp_path / "a.tar", tmp_path / "target")
    (tmp_path / "plain").touch()
    plain = (tmp_path / "plain").stat()
    for name in "sz":
        status = (tmp_path / "target" / name).stat()
        assert (status.st_mode, status.st_uid) == (plain.st_mode, plain.st_uid)
        assert abs(status.st_mtime - time.time()) < 1000


def test_links_in_the_target_are_not_followed(tmp_path):
    file, outside, target = tmp_path / "archive.zip", tmp_path / "outside", tmp_path / "target"
    make.make_zip(file, {"a/b/x.png": b"x", "y.png": b"y"})
    outside.mkdir()
    (outside / "y.png").write_bytes(b"mine")
    for link, to in (("a", "../outside"), ("a/b", "../../outside"), ("y.png", "../outside/y.png"), ("y.png", "gone")):
        target.mkdir()
        (target / link).parent.mkdir(exist_ok=True)
        (target / link).symlink_to(to)
        with pytest.raises(InputError, match="move it away") as caught:
            unpack(file, target)
        assert str(target / link) in str(caught.value)
        assert tree(outside) == {"y.png": b"mine"}
        (target / link).unlink()
        assert tree(target) == {}
        for folder in sorted(target.rglob("*"), reverse=True):
            folder.rmdir()
        target.rmdir()


@pytest.mark.parametrize(("name", "reason"), [("zip", "is a link"), ("tar", "Python's own filter")])
def test_a_link_put_there_after_the_check_is_not_followed(tmp_path, monkeypatch, name, reason):
    file, outside, target = tmp_path / "archive", tmp_path / "outside", tmp_path / "target"
    FORMATS[name](file, {"x.png": b"x", "a/b.png": b"b"})
    outside.mkdir()
    replace = Path.replace

    def replace_and_put_a_link(self, place):
        (target / "a").symlink_to(outside)
        return replace(self, place)

    monkeypatch.setattr(Path, "replace", replace_and_put_a_link)
    with pytest.raises(InputError, match=reason):
        unpack(file, target)
    assert tree(outside) == {}


def test_what_is_there_already_is_kept(tmp_path):
    file, target = tmp_path / "archive.tar", tmp_path / "target"
    make.make_tar(file, {"x.png": b"xx", "y.png": b"yy"})
    target.mkdir()
    (target / "other").write_bytes(b"other")
    (target / "x.png").write_bytes(b"xx")
    before = (target / "x.png").stat()  # without the time of the last access, since it is read
    unpack(file, target)
    assert tree(target) == {"x.png": b"xx", "y.png": b"yy", "other": b"other"}
    after = (target / "x.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (target / "y.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"y\.png: is there already with other content"):
        unpack(file, target)
    (target / "y.png").unlink()
    (target / "y.png").mkdir()
    with pytest.raises(InputError, match=r"y\.png: is in the way"):
        unpack(file, target)
    assert tree(target) == {"x.png": b"xx", "other": b"other"}


def test_a_target_that_is_a_file_or_cannot_be_written_is_named(tmp_path):
    make.make_zip(tmp_path / "archive", {"x.png": b"x"})
    (tmp_path / "file").write_bytes(b"mine")
    for target in (tmp_path / "file", tmp_path / "file/below", Path("/proc/target")):
        with pytest.raises((InputError, OSError)) as caught:
            unpack(tmp_path / "archive", target)
        assert str(target) in str(caught.value) or str(tmp_path / "file") in str(caught.value)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_an_archive_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "archive.tar"
    make.make_tar(file, {"x.png": b"1", "y.png": b"2" * 2_000_000})  # more than is read ahead
    replace = Path.replace

    def replace_and_change(self, place):
        file.write_bytes(file.read_bytes().replace(b"2", b"3"))
        return replace(self, place)

    monkeypatch.setattr(Path, "replace", replace_and_change)
    with pytest.raises(InputError, match=r"archive\.tar: (changed|is truncated or damaged)"):
        unpack(file, tmp_path / "target")
    assert tree(tmp_path / "target") in ({}, {"x.png": b"1"})


UNPACK = """
import os, resource, sys
from pathlib import Path
from anomaly_tools.ingest.unpack import unpack
for line in sys.stdin:  # forks, so that only the first pays for the imports
    process = os.fork()
    if not process:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        unpack(Path(sys.argv[1]), Path(sys.argv[2]))
        os._exit(0)
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
"""


@pytest.fixture
def unpacker(tmp_path):
    """A process that unpacks ``archive`` into ``target`` in a child with 1 GiB of memory, for each line it gets."""
    command = [sys.executable, "-c", UNPACK, str(tmp_path / "archive"), str(tmp_path / "target")]
    log = (tmp_path / "log").open("w")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
    with log, subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("name", ["zip", "tar.gz"])
def test_kill_9_at_ten_moments_and_unpacking_again_gives_the_equal_tree(tmp_path, unpacker, name):
    target, photos = tmp_path / "target", make.photos(300, largest=20_000)
    FORMATS[name](tmp_path / "archive", photos)
    moments = random.Random(name)
    found = []
    for share in sorted(moments.uniform(0, 0.9) for _ in range(10)):
        unpacker.stdin.write("\n")
        child = int(unpacker.stdout.readline())
        with suppress(ProcessLookupError):  # it was faster than we
            while len(list(target.rglob("*.png"))) < share * len(photos):
                os.kill(child, 0)
                time.sleep(0.001)
            os.kill(child, signal.SIGKILL)
        assert int(unpacker.stdout.readline()) in (0, signal.SIGKILL)
        kept = {path: content for path, content in tree(target).items() if not path.startswith(".unpacking-")}
        assert kept.items() <= photos.items()  # what has its name is complete
        found.append(len(kept))
    assert found == sorted(found)
    assert len(set(found)) >= 5  # they were killed at work, and went on from there
    unpack(tmp_path / "archive", target)
    assert tree(target) == photos


@pytest.mark.parametrize("build", [make.xz_bomb, make.long_header(tarfile.XHDTYPE, 10**9)])
def test_bombs_take_neither_time_nor_memory(tmp_path, unpacker, build):
    build(tmp_path / "archive")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    unpacker.stdin.write("\n")
    unpacker.stdout.readline()
    assert os.waitstatus_to_exitcode(int(unpacker.stdout.readline())) == 1
    unpacker.stdin.close()
    unpacker.wait()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 5  # seconds, most of them for the imports
    assert "InputError" in (tmp_path / "log").read_text()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_archives_raise_nothing_but_input_errors(tmp_path, name):
    photos = make.photos(12, largest=300)
    FORMATS[name](tmp_path / "good", photos)
    good = (tmp_path / "good").read_bytes()
    draw = random.Random(f"mutations of {name}")
    refused = 0
    for index in range(120):
        data = bytearray(good)
        for _ in range(draw.choice((1, 1, 2, 10))):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 0x2F, 0x2E, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        file, target = tmp_path / f"{index}.mutated", tmp_path / f"targets/{index}"
        file.write_bytes(data)
        refusal = ""
        try:
            unpack(file, target)
        except InputError as error:
            refusal = str(error)
        assert target.exists() == (refusal == "")
        assert refusal == "" or str(file) in refusal
        refused += refusal != ""
        file.unlink()
    assert {path.name for path in tmp_path.iterdir()} <= {"good", "targets"}
    assert refused > 20
