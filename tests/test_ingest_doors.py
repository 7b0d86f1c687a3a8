"""Ingest refuses what would leave the target, be lost without a word, or end in a traceback."""

import shutil
import unicodedata
import zlib
from os import mkfifo
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.base.names import why_name_is_refused
from anomaly_lib.cli import main
from anomaly_lib.data import load_category, read_mask
from anomaly_tools.ingest import Request, write
from anomaly_tools.ingest.sources import fingerprint
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


def rows_added_to(table, source):
    """A function that adds a row to the table and gives the folder to ingest."""

    def add(row: bytes):
        table.write_bytes(table.read_bytes() + row)
        return source

    return add


@pytest.fixture
def visa(tmp_path):
    """A miniature of VisA: the function that adds a row to its table."""
    layouts.visa(tmp_path / "visa")
    return rows_added_to(tmp_path / "visa/split_csv/1cls.csv", tmp_path / "visa")


@pytest.fixture
def elpv(tmp_path):
    """As ``visa``, of ELPV."""
    layouts.elpv(tmp_path / "elpv")
    return rows_added_to(tmp_path / "elpv/labels.csv", tmp_path / "elpv")


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


@pytest.fixture
def photos(tmp_path):
    """Folders ``ok`` (6 photos) and ``ng`` (``scratch`` and ``dent``, 2 each); a function that puts another there."""

    def put(place, value=100, **options):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        seed = zlib.crc32(str(place).encode())
        pixels = np.random.default_rng(seed).integers(value // 2, value, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / place, **options)

    for number in range(6):
        put(f"ok/{number}.png")
    for number in range(2):
        put(f"ng/scratch/{number}.png")
        put(f"ng/dent/{number}.png")
    return put


def arguments(tmp_path, *more):
    return ("folder", "--good", tmp_path / "ok", "--bad", tmp_path / "ng", "--name", "part", *more)


def mask(tmp_path, place, column):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((48, 48), np.uint8)
    pixels[:, column] = 255
    Image.fromarray(pixels).save(tmp_path / place, **({"lossless": True} if Path(place).suffix == ".webp" else {}))


def test_all_that_is_left_out_is_counted_and_named(run, photos, tmp_path):
    for number in range(20):
        photos(f"ok/day/{number}.png")
    for name in ("a.gif", "b.jp2", "notes.txt"):
        (tmp_path / "ok" / name).write_bytes(b"x")
    (tmp_path / "ng/scratch/c.heic").write_bytes(b"x")
    photos("ng/dent/deep/er/d.png")
    photos("elsewhere/e.png")
    (tmp_path / "ng/dent/e.png").symlink_to(tmp_path / "elsewhere/e.png")
    (tmp_path / "ng/away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "ng/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "ok/.hidden.png").write_bytes(b"x")
    (tmp_path / "ok/.DS_Store").write_bytes(b"x")
    mkfifo(tmp_path / "ok/pipe.png")
    code, out, _ = run(*arguments(tmp_path))
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("left out "))
    assert line.startswith("left out 30 files: ")
    assert "20 in folders inside --good (ok/day/0.png, ok/day/1.png, ok/day/10.png, …)" in line
    assert "4 of types that are not read (ng/scratch/c.heic, ok/a.gif, ok/b.jp2, …)" in line
    assert "1 in folders inside a type of defect (ng/dent/deep/er/d.png)" in line
    assert "3 links that leave the folder or lead nowhere (ng/away, ng/dent/e.png, ng/gone.png)" in line
    assert "1 hidden (ok/.hidden.png)" in line
    assert "1 neither files nor folders (ok/pipe.png)" in line
    assert "left out 30 files" in (tmp_path / "set/part/README.md").read_text()
    assert len([path for path in layouts.tree(tmp_path / "set/part") if path.endswith(".png")]) == 10


def test_nothing_is_said_where_nothing_is_left_out(run, photos, tmp_path):
    assert "left out" not in run(*arguments(tmp_path))[1]


def test_a_folder_without_photos_says_what_it_holds_instead(run, photos, tmp_path):
    (tmp_path / "iphone").mkdir()
    (tmp_path / "iphone/a.heic").write_bytes(b"x")
    code, _, line = run("folder", "--good", tmp_path / "iphone", "--name", "part")
    assert code == 2
    assert "holds no good photos (left out 1 file: 1 of types that are not read (iphone/a.heic))" in line


def test_bad_photos_inside_the_good_folder_are_not_left_out(run, photos, tmp_path):
    (tmp_path / "ng").rename(tmp_path / "ok/ng")
    code, out, _ = run("folder", "--good", tmp_path / "ok", "--bad", tmp_path / "ok/ng", "--name", "part")
    assert code == 0
    assert "left out" not in out


def test_webp_and_other_names_of_jpeg_are_read(run, photos, tmp_path):
    photos("ok/w.webp", lossless=True)
    photos("ok/j.jfif", format="JPEG")
    photos("ng/dent/e.JPE", format="JPEG")
    mask(tmp_path, "gt/dent/e.webp", 5)
    assert run(*arguments(tmp_path, "--masks", tmp_path / "gt"))[0] == 0
    found = {path.name: path for path in (tmp_path / "set/part").rglob("*.*")}
    assert found["j.jpg"].read_bytes() == (tmp_path / "ok/j.jfif").read_bytes()
    assert found["e.jpg"].read_bytes() == (tmp_path / "ng/dent/e.JPE").read_bytes()
    with Image.open(tmp_path / "ok/w.webp") as before, Image.open(found["w.png"]) as after:
        assert after.format == "PNG"
        assert (np.asarray(before) == np.asarray(after)).all()
    assert np.flatnonzero(read_mask(found["e_mask.png"]).any(axis=0)).tolist() == [5]
    assert len(load_category(tmp_path / "set", "part").train) + len(load_category(tmp_path / "set", "part").test) == 13


@pytest.mark.parametrize("place", ["gt/dent", "gt"])
def test_masks_in_a_folder_of_their_photos_name_become_one(run, photos, tmp_path, place):
    photos("ng/dent/only.png")
    for column in (3, 7):
        mask(tmp_path, f"{place}/only/{column}.png", column)
    assert run(*arguments(tmp_path, "--masks", tmp_path / "gt"))[0] == 0
    found = read_mask(tmp_path / "set/part/ground_truth/dent/only_mask.png")
    assert np.flatnonzero(found.any(axis=0)).tolist() == [3, 7]


def test_masks_without_photo_are_named(run, photos, tmp_path):
    mask(tmp_path, "gt/scratch/9.png", 3)
    mask(tmp_path, "gt/scratch/0.png", 3)
    code, out, _ = run(*arguments(tmp_path, "--masks", tmp_path / "gt"))
    assert code == 0
    assert "left out 1 file: 1 masks without photo (gt/scratch/9.png)" in out


def test_a_flat_mask_of_two_photos_is_ambiguous(run, photos, tmp_path):
    mask(tmp_path, "gt/0.png", 3)
    assert_nothing_changed(
        tmp_path,
        run,
        *arguments(tmp_path, "--masks", tmp_path / "gt"),
        reason="put masks into folders by type of defect",
    )
    mask(tmp_path, "gt/dent/0.png", 4)  # now the flat one is the scratch's
    assert run(*arguments(tmp_path, "--masks", tmp_path / "gt"))[0] == 0
    columns = [
        np.flatnonzero(read_mask(tmp_path / f"set/part/ground_truth/{kind}/0_mask.png")[0])
        for kind in ("scratch", "dent")
    ]
    assert columns == [[3], [4]]


def test_two_masks_of_one_photo_are_ambiguous(run, photos, tmp_path):
    mask(tmp_path, "gt/dent/0.png", 3)
    mask(tmp_path, "gt/dent/0.bmp", 3)
    more = ("--masks", tmp_path / "gt")
    assert_nothing_changed(tmp_path, run, *arguments(tmp_path, *more), reason="is a mask of the same photo as")


NFC, NFD = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("of_photo", "of_mask"), [(NFC, NFD), (NFD, NFC)])
def test_a_mask_spelt_with_other_accents_is_the_photos(run, photos, tmp_path, of_photo, of_mask):
    photos(f"ng/{of_photo}/{of_photo}.png")
    mask(tmp_path, f"gt/{of_mask}/{of_mask}.png", 3)
    code, out, _ = run(*arguments(tmp_path, "--masks", tmp_path / "gt"))
    assert code == 0
    assert "left out" not in out
    assert (tmp_path / f"set/part/ground_truth/{of_photo}/{of_photo}_mask.png").is_file()


@pytest.mark.parametrize("place", ["ng/dent/{}.png", "ng/{}/x.png"])
def test_two_spellings_of_one_name_are_refused(run, photos, tmp_path, place):
    for form in (NFC, NFD):
        photos(place.format(form))
    assert_nothing_changed(tmp_path, run, *arguments(tmp_path), reason="where case and accents do not count")


def test_an_mvtec_mask_spelt_with_other_accents_is_the_images(run, tmp_path):
    layouts.mvtec(tmp_path / "source")
    grid = tmp_path / "source/grid"
    (grid / "test/bent/000.png").rename(grid / f"test/bent/{NFC}.png")
    (grid / "ground_truth/bent/000_mask.png").rename(grid / f"ground_truth/bent/{NFD}_mask.png")
    code, out, _ = run("mvtec", tmp_path / "source")
    assert code == 0
    assert "left out" not in out
    assert (tmp_path / f"set/grid/ground_truth/bent/{NFC}_mask.png").is_file()


def test_a_public_layout_names_images_that_it_has_no_place_for_and_refuses_links(run, tmp_path):
    layouts.mvtec(tmp_path / "source")
    (tmp_path / "source/grid/train/good/more").mkdir()
    shutil.copy(tmp_path / "source/grid/train/good/000.png", tmp_path / "source/grid/train/good/more")
    (tmp_path / "source/grid/train/good/x.webp").write_bytes(b"x")
    code, out, _ = run("mvtec", tmp_path / "source", output=tmp_path / "first")
    assert code == 0
    assert "left out 2 files: 2 images that the layout has no place for (grid/train/good/more/000.png, " in out
    (tmp_path / "source/grid/train/good/link.png").symlink_to(tmp_path / "source/bottle/train/good/000.png")
    assert_nothing_changed(tmp_path, run, "mvtec", tmp_path / "source", reason="is a link that leaves the data folder")


def _move(folder):
    (folder / "ng/scratch/0.png").rename(folder / "ng/dent/7.png")


def _rename(folder):
    (folder / "ok/0.png").rename(folder / "ok/zero.png")


def _replace(folder):
    content = (folder / "ng/dent/0.png").read_bytes()
    (folder / "ng/dent/0.png").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _swap(folder):
    a, b = folder / "ng/scratch/0.png", folder / "ng/dent/0.png"
    a.rename(folder / "aside")
    b.rename(a)
    (folder / "aside").rename(b)


@pytest.mark.parametrize("change", [_move, _rename, _replace, _swap])
def test_repeating_with_other_content_is_not_nothing_to_do(run, photos, tmp_path, change):
    assert run(*arguments(tmp_path))[0] == 0
    assert "nothing to do" in run(*arguments(tmp_path))[1]
    change(tmp_path)
    assert_nothing_changed(tmp_path, run, *arguments(tmp_path), reason="from another ingest or another source")


def test_names_of_files_are_text_in_the_readme(run, photos, tmp_path):
    for name in ("=cmd|calc.gif", "<img onerror=x>.gif", "a\nb`[x](y).gif"):
        (tmp_path / "ok" / name).write_bytes(b"x")
    code, out, _ = run(*arguments(tmp_path))
    assert code == 0
    assert "ok/a\\nb`[x](y).gif" in out
    text = (tmp_path / "set/part/README.md").read_text()
    assert "<img" not in text
    assert "=cmd\\|calc.gif" in text
    assert "a\\\\nb\\`\\[x\\](y).gif" in text
    assert "left out 3 files" in text.splitlines()[-1]


def test_a_name_as_long_as_file_systems_take_is_refused_before_writing(run, photos, tmp_path):
    photos(f"ok/{'e' * 251}.png")
    assert_nothing_changed(tmp_path, run, *arguments(tmp_path), reason="more than 254 bytes")
