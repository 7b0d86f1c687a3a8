"""Random hostile input to ``data ingest``, seeded: names, tables, archives, links and folders of all kinds.

Whatever comes, the exit code is 0 or 2; a refusal is one line on stderr, leaves nothing behind, and nothing outside the
target is ever written.
"""

import random
import shutil
import tarfile
import zipfile

import pytest

from anomaly_lib.cli import main
from tests import archives, layouts

CASES = 60  # of each kind
PIECES = (
    *(
        "..",
        ".",
        "",
        "a",
        "NUL",
        "con.txt",
        "-rf",
        " ",
        "$(x)",
        "=cmd|x",
        "<img>",
        "é",
        "e\u0301",
        "\u202e",
        "\n",
        "\x1b[2J",
    ),
    *(
        "x" * 300,
        "train",
        "good",
        "C:",
        "\\",
        ".ingest-set",
        ".unpacking-1",
        "label.csv",
        "größe",
        "電池",
        "candle",
        "'",
        '"',
    ),
)
SUFFIXES = (".png", ".PNG", ".webp", ".jfif", ".heic", ".txt", "", "_mask.png")


def name(draw: random.Random) -> str:
    """A path that may be anything; the absolute ones stay below the temporary folder only if they are refused."""
    parts = [draw.choice(PIECES) + draw.choice(("", "", "b")) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    return draw.choice(("", "", "", "/", "../", "../../")) + "/".join(parts)


def table(draw: random.Random, rows: list[str]) -> bytes:
    """Rows of a table, in any encoding, cut or with bytes that do not belong there."""
    text = "\n".join(draw.sample(rows, len(rows)) if draw.random() < 0.3 else rows) + "\n"
    content = text.encode(draw.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-7")), "replace")
    if draw.random() < 0.3:
        content = content[: draw.randrange(len(content))]
    if draw.random() < 0.3:
        place = draw.randrange(len(content) + 1)
        content = content[:place] + draw.choice((b"\0", b"\xff", b'"', b",", b"\n", b"\r", b"\xfc")) + content[place:]
    return content


def secret(draw: random.Random, folder, layout: str) -> str:
    """A name in a table that leads to the file outside, over a link or not."""
    if not (folder / layout / "link.png").is_symlink():
        (folder / layout / "link.png").symlink_to(folder / "secret.png")
    return draw.choice(("../secret.png", "images/../../secret.png", f"{folder}/secret.png", "link.png", "./link.png"))


def visa(draw, folder):
    image = "candle/Data/Images/Normal/0000.JPG"
    rows = (folder / "visa/split_csv/1cls.csv").read_text().splitlines()
    for _ in range(draw.randint(0, 2)):
        cells = [name(draw), "test", "normal", image, ""]
        cells[draw.choice((0, 0, 1, 2, 3, 4))] = name(draw)
        if draw.random() < 0.2:
            cells[3] = secret(draw, folder, "visa")
        rows.append(",".join(cells[: draw.choice((2, 5, 5, 5, 5, 6))]))
    (folder / "visa/split_csv/1cls.csv").write_bytes(table(draw, rows))
    return ["visa", folder / "visa"]


def elpv(draw, folder):
    rows = (folder / "elpv/labels.csv").read_text().splitlines()
    cells = ["images/cell0000.png", draw.choice(("nan", "0.0", "1", "inf", "0.4", "x")), draw.choice(("mono", "multi"))]
    if draw.random() < 0.7:
        cells[0] = name(draw) + draw.choice(SUFFIXES)
    if draw.random() < 0.2:
        cells = [secret(draw, folder, "elpv"), "0.0", "mono"]
    rows.append(" ".join(cells[: draw.choice((1, 2, 3, 3, 3, 3))]))
    (folder / "elpv/labels.csv").write_bytes(table(draw, rows))
    return ["elpv", folder / "elpv"]


def packed(draw, folder):
    """An archive of the miniature of MVTec AD with a member of any name and kind, and broken bytes."""
    file, extra = folder / "archive", name(draw)
    if draw.random() < 0.5:
        with zipfile.ZipFile(file, "w") as archive:
            _pack(folder / "mvtec", lambda path, place: archive.write(path, place))
            archive.writestr(zipfile.ZipInfo(extra), b"evil") if draw.random() < 0.7 else None
    else:
        kinds = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
        with tarfile.open(file, draw.choice(("w", "w:gz", "w:xz"))) as archive:
            _pack(folder / "mvtec", lambda path, place: archive.add(path, place))
            if draw.random() < 0.7:
                archives.add(archive, extra, type=draw.choice(kinds), linkname=name(draw))
    if draw.random() < 0.4:
        data = bytearray(file.read_bytes())
        for _ in range(draw.choice((1, 10))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        file.write_bytes(data[: draw.choice((len(data), len(data), draw.randrange(len(data))))])
    return ["mvtec", file]


def _pack(folder, add):
    for path in sorted(folder.rglob("*.png")):
        add(path, path.relative_to(folder.parent).as_posix())


def photos(draw, folder):
    """Folders of photos with files, folders and links of any name among them, and any ``--name``."""
    bottle, own = folder / "mvtec/bottle", folder / "own"
    for source, place in (("train/good", "ok"), ("test/contamination", "ng/a"), ("ground_truth/contamination", "gt/a")):
        shutil.copytree(bottle / source, own / place)
    for _ in range(draw.randint(0, 4)):
        place = own / draw.choice(("ok", "ng", "ng/a", "gt", "gt/a")) / _file_name(draw)
        if place.exists() or place.is_symlink():
            continue
        kind = draw.choice(("photo", "photo", "folder", "link", "junk"))
        if kind == "photo":
            shutil.copy(bottle / "train/good/000.png", place)
        elif kind == "folder":
            place.mkdir()
            shutil.copy(bottle / "train/good/001.png", place / "000.png")
        elif kind == "link":
            place.symlink_to(draw.choice((folder / "secret.png", own, "000.png", place.name)))
        else:
            place.write_bytes(draw.randbytes(100))
    given = ["folder", "--good", own / "ok", "--name", draw.choice(("part", "part", "part", name(draw) or "x"))]
    given += ["--bad", own / "ng"] if draw.random() < 0.8 else []
    return given + (["--masks", own / "gt"] if draw.random() < 0.6 else [])


def _file_name(draw):
    piece = draw.choice(("001", "000", *PIECES)).replace("/", "")
    return (
        f"{piece[:200] or 'x'}b{draw.choice(SUFFIXES)}"
        if piece in ("", ".", "..")
        else piece[:200] + draw.choice(SUFFIXES)
    )


def state(folder):
    """All that lies in a folder: links with where they lead, files with their content."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.is_dir() or path.read_bytes()
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for layout in ("mvtec", "visa", "elpv"):
        layouts.LAYOUTS[layout](root / layout)
    (root / "secret.png").write_bytes(b"secret")
    return root


@pytest.mark.parametrize("build", [visa, elpv, packed, photos])
def test_hostile_input_is_taken_or_refused_in_one_line(sources, tmp_path, monkeypatch, capsys, build):
    monkeypatch.chdir(tmp_path)
    codes = []
    for number in range(CASES):
        draw = random.Random(f"{build.__name__} {number}")
        folder = tmp_path / f"{number}"
        layout = build.__name__ if build in (visa, elpv) else "mvtec"
        shutil.copytree(sources / layout, folder / "in" / layout)
        shutil.copy(sources / "secret.png", folder / "in")
        (folder / "out").mkdir()
        given = build(draw, folder / "in")
        if draw.random() < 0.1:
            hidden = f".ingest-{'part' if build is photos else 'set'}{draw.choice(('', '-unpacked'))}"
            base = folder / "out/set" if build is photos else folder / "out"
            base.mkdir(exist_ok=True)
            (base / hidden).symlink_to(folder / "in")
        before = state(folder)
        # "--name=VALUE", since a value may begin with "-"
        words = [f"{word}={given[i + 1]}" if word == "--name" else str(word) for i, word in enumerate(given)]
        words = [word for i, word in enumerate(words) if i == 0 or given[i - 1] != "--name"]
        code = main(["data", "ingest", *words, "--output", str(folder / "out/set")])
        error = capsys.readouterr().err
        after = state(folder)
        codes.append(code)
        assert code in (0, 2), number
        assert "Traceback" not in error, number
        lines = [line for line in error.splitlines() if line.startswith("error: ")]
        assert len(lines) == (code == 2), (number, error)
        if code:
            assert error.rstrip("\n").endswith(lines[0]), number
            assert lines[0].isprintable(), number
            assert after == before, number
        else:
            new = {path: content for path, content in after.items() if not path.startswith("out/set")}
            assert new == {path: content for path, content in before.items() if not path.startswith("out/set")}, number
            assert not [path for path in after.keys() - before.keys() if (folder / path).is_symlink()], number
            assert [path for path in after if after[path] == b"secret"] == ["in/secret.png"], number
        shutil.rmtree(folder)
    assert 0 in codes
    assert codes.count(2) >= CASES // 4
