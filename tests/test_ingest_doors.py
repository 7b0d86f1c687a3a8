"""Ingest refuses what would leave the target, be lost without a word, or end in a traceback."""

import pytest

from anomaly_lib.cli import main
from anomaly_lib.ingest import Request, write
from anomaly_lib.ingest.names import why_name_is_refused
from anomaly_lib.ingest.sources import fingerprint
from tests import layouts

BAD_NAMES = {
    "": "is empty",
    ".": "begins with",
    "..": "begins with",
    ".hidden": "begins with",
    "-rf": "begins with",
    "a/b": "other characters",
    "/elsewhere/evil": "other characters",
    "../up": "other characters",
    "a\\b": "other characters",
    "C:evil": "other characters",
    "my part": "other characters",
    "M8 (zinc)": "other characters",
    "x$(touch evil)": "other characters",
    "=cmd|calc": "other characters",
    "<img onerror=x>": "other characters",
    "a\nb": "other characters",
    "a\0b": "other characters",
    "a\u202eb": "other characters",
    "a\u200bb": "other characters",
    "x\udcff": "other characters",
    "x²": "other characters",
    "CON": "reserved",
    "nul": "reserved",
    "Aux.txt": "reserved",
    "com1": "reserved",
    "LPT9.a.b": "reserved",
    "test": "reserved",
    "name.": "ends with",
    "e" * 201: "more than 200 bytes",
    "ö" * 101: "more than 200 bytes",
}
GOOD_NAMES = (
    "nut",
    "01",
    "M8-zinc",
    "v1.0",
    "_x",
    "größe",
    "gro\u0308ße",
    "電池",
    "पेंच",
    "vít_lục-giác",
    "console",
    "е" * 100,
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_plain_name_is_refused(name):
    assert BAD_NAMES[name] in why_name_is_refused(name)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_of_any_script_are_fine(name):
    assert why_name_is_refused(name) is None


@pytest.fixture
def run(tmp_path, capsys):
    """Runs ``data ingest`` into ``tmp_path/set``; returns (exit code, stdout, the one line on stderr or '')."""

    def run(*arguments, output=tmp_path / "set"):
        code = main(["data", "ingest", *map(str, arguments), "--output", str(output)])
        out, err = capsys.readouterr()
        if code:
            assert code == 2
            assert err.splitlines()[-1].startswith("error: ")
            assert err.count("error: ") == 1
            assert "Traceback" not in err
        return code, out, err.splitlines()[-1] if code else ""

    return run


@pytest.mark.parametrize("name", ["a b", "x\ny", "NUL", "../up", "/tmp/x"])
def test_the_name_of_ones_own_category_is_checked(run, tmp_path, name):
    layouts.mvtec(tmp_path / "source")
    before = layouts.tree(tmp_path)
    code, _, line = run("folder", "--good", tmp_path / "source/grid/train/good", "--name", name)
    assert code == 2
    assert line.startswith("error: --name ")
    assert layouts.tree(tmp_path) == before
    assert not (tmp_path / "set").exists()


@pytest.fixture
def visa(tmp_path):
    """A miniature of VisA and the function that adds a row to its table."""
    layouts.visa(tmp_path / "visa")
    table = tmp_path / "visa/split_csv/1cls.csv"

    def add(row: bytes):
        table.write_bytes(table.read_bytes() + row)
        return tmp_path / "visa"

    return add


@pytest.fixture
def elpv(tmp_path):
    """As ``visa``, of ELPV."""
    layouts.elpv(tmp_path / "elpv")
    table = tmp_path / "elpv/labels.csv"

    def add(row: bytes):
        table.write_bytes(table.read_bytes() + row)
        return tmp_path / "elpv"

    return add


def assert_nothing_changed(folder, run, *arguments, reason):
    """The command is refused for the reason, and the folder is as before."""
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}
    folders = {path for path in folder.rglob("*") if path.is_dir()}
    code, _, line = run(*arguments)
    assert code == 2
    assert reason in line
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()} == before
    assert {path for path in folder.rglob("*") if path.is_dir()} == folders


IMAGE = b"candle/Data/Images/Normal/0000.JPG"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("{tmp}/evil", "absolute path"),
        ("../sample/nut", "'..'"),
        ("..", "'..'"),
        (".", "3 parts instead of 4"),
        ("", "3 parts instead of 4"),
        ("a/b", "5 parts instead of 4"),
        ("my part", "other characters"),
        ("NUL", "reserved"),
        ("=cmd|calc", "other characters"),
        (".ingest-x", "is hidden"),
        ("CANDLE", "where case and accents do not count"),
    ],
)
def test_an_object_of_visa_that_is_no_plain_name_is_refused(run, visa, tmp_path, name, reason):
    name = name.format(tmp=tmp_path)
    source = visa(name.encode() + b",train,normal," + IMAGE + b",\n")
    (tmp_path / "sample/nut/train/good").mkdir(parents=True)
    (tmp_path / "sample/nut/train/good/0000.JPG").write_bytes(b"mine")
    assert_nothing_changed(tmp_path, run, "visa", source, reason=reason)


@pytest.mark.parametrize(
    "name", ["../secret.txt", "../secret.png", "/etc/hostname", "labels.csv", "a\\b.png", "link.png"]
)
@pytest.mark.parametrize("layout", ["elpv", "visa"])
def test_a_table_may_only_name_images_inside(run, visa, elpv, tmp_path, layout, name):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.png").write_text("secret")
    rows = {"elpv": f"{name} 0.0 mono\n", "visa": f"candle,train,normal,{name},\n"}
    source = {"elpv": elpv, "visa": visa}[layout](rows[layout].encode())
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    assert_nothing_changed(tmp_path, run, layout, source, reason=" names ")


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "1e400", "0.5", "-0.1", "normal", "0x0"])
def test_a_probability_of_elpv_is_one_of_four(run, elpv, tmp_path, value):
    source = elpv(f"images/cell0000.png {value} mono\n".encode())
    assert_nothing_changed(tmp_path, run, "elpv", source, reason="line 33 cannot be read")


@pytest.mark.parametrize("name", [".ingest-set", ".ingest-set-unpacked"])
@pytest.mark.parametrize("there", [True, False])
def test_links_in_place_of_the_hidden_folders_are_not_followed(run, tmp_path, name, there):
    layouts.mvtec(tmp_path / "source")
    archive = layouts.archive(tmp_path / "source", tmp_path / "mvtec.tar")
    if there:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/mine.txt").write_text("mine")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert_nothing_changed(tmp_path, run, "mvtec", archive, reason="is a link, which is not followed")


def test_links_inside_an_unfinished_ingest_are_not_followed(run, tmp_path):
    layouts.mvtec(tmp_path / "source")
    record = Request("mvtec").settings() | {"sources": [fingerprint(tmp_path / "source")]}
    (tmp_path / "elsewhere").mkdir()
    with write.partial_folder(tmp_path / "set", record) as folder:
        (folder / "grid").symlink_to(tmp_path / "elsewhere")
    assert run("mvtec", tmp_path / "source")[0] == 0
    assert layouts.tree(tmp_path / "elsewhere") == {}
    assert len(layouts.tree(tmp_path / "set/grid")) == 17


TABLES = {
    "latin-1": ("größe".encode("latin-1") + b"\n", "is not text in UTF-8"),
    "UTF-16": ("größe\n".encode("utf-16"), "is not text in UTF-8"),
    "UTF-16 without a mark": ("x\n".encode("utf-16-le"), "is not text in UTF-8"),
    "binary": (bytes(range(256)), "is not text in UTF-8"),
    "NUL": (b"a\0b\n", "is not text in UTF-8"),
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("layout", ["elpv", "visa"])
@pytest.mark.parametrize("whole", [True, False])
def test_tables_that_are_no_text_in_utf_8_are_refused(run, visa, elpv, tmp_path, layout, case, whole):
    content, reason = TABLES[case]
    source = {"elpv": elpv, "visa": visa}[layout](content)
    if whole:
        (source / {"elpv": "labels.csv", "visa": "split_csv/1cls.csv"}[layout]).write_bytes(content)
    assert_nothing_changed(tmp_path, run, layout, source, reason=reason)


@pytest.mark.parametrize(
    "row", [b"candle,train\n", b"candle\n", b"candle,test,normal,x.JPG,,,\n", b'candle,"', b"a" * 200_000]
)
def test_short_long_and_broken_rows_of_visa_are_refused(run, visa, tmp_path, row):
    assert_nothing_changed(tmp_path, run, "visa", visa(row), reason="1cls.csv: line ")


@pytest.mark.parametrize("row", [b"images/cell0000.png 0.0\n", b"images/cell0000.png\n", b"a b c d\n"])
def test_short_and_long_rows_of_elpv_are_refused(run, elpv, tmp_path, row):
    assert_nothing_changed(tmp_path, run, "elpv", elpv(row), reason="labels.csv: line 33 cannot be read")


def test_two_archives_of_one_name_are_two(run, tmp_path):
    layouts.mvtec(tmp_path / "source")
    for name in ("bottle", "grid"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        layouts.archive(tmp_path / "source" / name, tmp_path / "parts" / name / "part.tar")
    assert run("mvtec", tmp_path / "parts")[0] == 0
    assert {path.name for path in (tmp_path / "set").iterdir() if path.is_dir()} == {"bottle", "grid"}


@pytest.mark.parametrize("output", ["file", "file/below", "e" * 300, "/proc/x"])
def test_a_place_that_cannot_be_written_is_one_line(run, tmp_path, output):
    layouts.mvtec(tmp_path / "source")
    (tmp_path / "file").write_text("mine")
    assert run("mvtec", tmp_path / "source", output=tmp_path / output)[0] == 2
    assert (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "source"}


def test_folders_that_were_made_for_a_refused_ingest_go_again(run, tmp_path):
    layouts.mvtec(tmp_path / "source")
    arguments = ("mvtec", tmp_path / "source", "--category", "no\nsuch")
    assert run(*arguments, output=tmp_path / "a/b/c")[0] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"source"}
