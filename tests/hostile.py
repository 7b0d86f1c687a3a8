"""The kinds of hostile input that ``tests.fuzz`` tries: each makes one case in the folder that it is given."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import yaml
from PIL import Image

from tests import archives, layouts
from tests.conftest import ROOT, TINY_SETTINGS
from tests.fuzz import (
    PIECES,
    SUFFIXES,
    VALUES,
    Case,
    command,
    damaged,
    file_name,
    finite,
    name,
    nested,
    safe_tables,
    special,
    spoilt,
)

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB")
NOTEBOOKS = ("01_explore_data", "03_train", "04_evaluate")


def make_sources(root: Path) -> None:
    """What the cases start from: miniatures of the layouts, a trained model, and it as a bundle."""
    from anomaly_lib.export.write import calibrate, export, train
    from anomaly_lib.methods.checkpoints import save_model

    for layout in layouts.LAYOUTS:
        layouts.LAYOUTS[layout](root / layout)
    (root / "secret.png").write_bytes(b"secret")
    bottle = root / "mvtec/bottle"
    model = calibrate(train("dfr", bottle, **TINY_SETTINGS["dfr"] | {"steps": 20}), bottle)
    save_model(root / "model", model.method, model.category, model.thresholds)
    export(model, bottle, root / "bundle")


# --- data ingest -----------------------------------------------------------------------------------------------------


def table(draw, rows):
    """Rows of a table, in any encoding, cut or with bytes that do not belong there."""
    text = "\n".join(draw.sample(rows, len(rows)) if draw.random() < 0.3 else rows) + "\n"
    content = text.encode(draw.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-7")), "replace")
    if draw.random() < 0.3:
        content = content[: draw.randrange(len(content))]
    if draw.random() < 0.3:
        place = draw.randrange(len(content) + 1)
        content = content[:place] + draw.choice((b"\0", b"\xff", b'"', b",", b"\n", b"\r", b"\xfc")) + content[place:]
    return content


def secret(draw, folder, layout):
    """A name in a table that leads to the file outside, over a link or not."""
    if not (folder / layout / "link.png").is_symlink():
        (folder / layout / "link.png").symlink_to(folder / "secret.png")
    return draw.choice(("../secret.png", "images/../../secret.png", f"{folder}/secret.png", "link.png", "./link.png"))


def ingested(draw, place, *words, base="out"):
    """An ingest to out/set; in one of ten cases a link lies where the half-written folder would."""
    if draw.random() < 0.1:
        (place / base).mkdir(exist_ok=True)
        hidden = f".ingest-{'part' if base != 'out' else 'set'}{draw.choice(('', '-unpacked'))}"
        (place / base / hidden).symlink_to(place / "in")
    run = command("data", "ingest", *words, "--output", place / "out/set")
    return Case(
        run,
        (str(place), "in/", "--name", "--masks", ".csv", "member", "category"),
        check=lambda code: safe_tables(place / "out"),
    )


def visa_table(draw, place, sources):
    shutil.copytree(sources / "visa", place / "in/visa")
    file = place / "in/visa/split_csv/1cls.csv"
    rows = file.read_text().splitlines()
    for _ in range(draw.randint(0, 2)):
        cells = [name(draw), "test", "normal", "candle/Data/Images/Normal/0000.JPG", ""]
        cells[draw.choice((0, 0, 1, 2, 3, 4))] = name(draw)
        if draw.random() < 0.2:
            cells[3] = secret(draw, place / "in", "visa")
        rows.append(",".join(cells[: draw.choice((2, 5, 5, 5, 5, 6))]))
    file.write_bytes(table(draw, rows))
    return ingested(draw, place, "visa", place / "in/visa")


def elpv_table(draw, place, sources):
    shutil.copytree(sources / "elpv", place / "in/elpv")
    rows = (place / "in/elpv/labels.csv").read_text().splitlines()
    cells = ["images/cell0000.png", draw.choice(("nan", "0.0", "1", "inf", "0.4", "x")), draw.choice(("mono", "multi"))]
    if draw.random() < 0.7:
        cells[0] = name(draw) + draw.choice(SUFFIXES)
    if draw.random() < 0.2:
        cells = [secret(draw, place / "in", "elpv"), "0.0", "mono"]
    if draw.random() < 0.7:
        rows.append(" ".join(cells[: draw.choice((1, 2, 3, 3, 3, 3))]))
    (place / "in/elpv/labels.csv").write_bytes(table(draw, rows))
    return ingested(draw, place, "elpv", place / "in/elpv")


def archive(draw, place, sources):
    """An archive of a layout with a member of any name and kind, and broken bytes."""
    layout = draw.choice(sorted(layouts.LAYOUTS))
    file, extra = place / "in/archive", name(draw).encode(errors="replace").decode()
    if draw.random() < 0.5:
        with zipfile.ZipFile(file, "w") as packed:
            _pack(sources / layout, lambda path, inside: packed.write(path, inside))
            packed.writestr(zipfile.ZipInfo(extra), b"evil") if draw.random() < 0.7 else None
    else:
        kinds = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
        with tarfile.open(file, draw.choice(("w", "w:gz", "w:xz"))) as packed:
            _pack(sources / layout, lambda path, inside: packed.add(path, inside))
            if draw.random() < 0.7:
                archives.add(packed, extra, type=draw.choice(kinds), linkname=name(draw))
    if draw.random() < 0.4:
        file.write_bytes(damaged(draw, file.read_bytes()))
    return ingested(draw, place, layout, file)


def _pack(folder, add):
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        add(path, path.relative_to(folder.parent).as_posix())


def layout_folder(draw, place, sources):
    """A folder of any public layout, spoilt; sometimes given under another layout's name."""
    layout = draw.choice(sorted(layouts.LAYOUTS))
    shutil.copytree(sources / layout, place / "in" / layout)
    spoilt(draw, place / "in" / layout)
    asked = draw.choice(sorted(layouts.LAYOUTS)) if draw.random() < 0.1 else layout
    category = ["--category", draw.choice(("bottle", "03", "-x", "no\nsuch", "../x"))] if draw.random() < 0.1 else []
    return ingested(draw, place, asked, place / "in" / layout, *category)


def own_photos(draw, place, sources):
    """Folders of photos with files, folders and links of any name among them, and any ``--name``."""
    bottle, own = sources / "mvtec/bottle", place / "in/own"
    for source, target in (
        ("train/good", "ok"),
        ("test/contamination", "ng/a"),
        ("ground_truth/contamination", "gt/a"),
    ):
        shutil.copytree(bottle / source, own / target)
    for _ in range(draw.randint(0, 4)):
        path = own / draw.choice(("ok", "ng", "ng/a", "gt", "gt/a")) / file_name(draw)
        if path.exists() or path.is_symlink():
            continue
        kind = draw.choice(("photo", "photo", "folder", "link", "junk"))
        if kind == "photo":
            shutil.copy(bottle / "train/good/000.png", path)
        elif kind == "folder":
            path.mkdir()
            shutil.copy(bottle / "train/good/001.png", path / "000.png")
        elif kind == "link":
            path.symlink_to(draw.choice((place / "in/secret.png", own, "000.png", path.name)))
        else:
            path.write_bytes(draw.randbytes(100))
    # "--name=VALUE", since a value may begin with "-"
    words = ["folder", "--good", own / "ok", f"--name={draw.choice(('part', 'part', 'part', name(draw) or 'x'))}"]
    words += ["--bad", own / "ng"] if draw.random() < 0.8 else []
    return ingested(draw, place, *words, *(["--masks", own / "gt"] if draw.random() < 0.6 else []), base="out/set")


def data_folder(draw, place, sources):
    """What looks at, checks or copies a data folder, spoilt."""
    shutil.copytree(sources / "mvtec", place / "in/data")
    spoilt(draw, place / "in/data")
    category, target = place / "in/data/bottle", place / "out/copy"
    words = draw.choice(
        (
            ("describe", place / "in/data"),
            ("validate", place / "in/data"),
            (
                "tile",
                category,
                target,
                "--size",
                draw.choice((16, 32, 0, -1, 10**9)),
                "--overlap",
                draw.choice((0, 0.5, 2, "nan")),
            ),
            (
                "move",
                category,
                target,
                "--degrees",
                draw.choice((5, -5, "nan", "inf", 1e9)),
                "--shift",
                draw.choice((0, 0.1, 5, "nan")),
            ),
            ("align", category, target),
        )
    )
    if words[0] == "validate":  # as many lines as there are problems
        return Case(_as_one_line(command("data", *words)), (str(place),))
    return Case(command("data", *words), (str(place), "degrees", "overlap", "--"))


def _as_one_line(run):
    """A run whose error lines are checked one by one, of which the first stays."""
    import contextlib
    import io
    import sys

    def checked():
        with contextlib.redirect_stderr(io.StringIO()) as said:
            code = run()
        lines = [line for line in said.getvalue().splitlines() if line.startswith("error: ")]
        assert bool(lines) == (code == 2), said.getvalue()
        assert all(line.isprintable() for line in lines), lines
        print(*lines[:1], file=sys.stderr, sep="\n", end="\n" if lines else "")
        return code

    return checked


# --- params.yaml -----------------------------------------------------------------------------------------------------


def _profile():
    return (ROOT / "profiles/smoke/params.yaml").read_text(encoding="utf-8")


def _project(place, text):
    """A project in the folder ``in`` with one profile, whose data is there; the params file."""
    for category in ("fabric", "nut", "01"):
        (place / "in/data" / category / "train/good").mkdir(parents=True)
    (place / "in/data/textures").mkdir()
    (place / "in/data.dvc").touch()
    file = place / "in/params.yaml"
    text = text.replace("data/sample", "data").replace("profiles/smoke/params.yaml", "params.yaml")
    file.write_text(text, encoding="utf-8")
    os.chdir(place / "in")
    return file


def params_file(draw, place, sources):
    """A params file with other values, keys, encodings, nesting, or in the shape of a link or a pipe."""
    file = _project(place, _profile())
    how = draw.choice(("values", "values", "values", "bytes", "encoding", "twice", "deep", "special"))
    if how == "values":
        content = yaml.safe_load(file.read_text())
        nested(draw, content)
        file.write_text(yaml.safe_dump(content, allow_unicode=draw.random() < 0.5), encoding="utf-8", errors="replace")
    elif how == "bytes":
        file.write_bytes(damaged(draw, file.read_bytes()))
    elif how == "encoding":
        text = file.read_text().replace("nut", draw.choice(("größe", "nut", "電池")))
        file.write_bytes(text.encode(draw.choice(("latin-1", "utf-16", "utf-32", "utf-8-sig", "utf-7")), "replace"))
    elif how == "twice":
        lines = file.read_text().splitlines()
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
        file.write_text("\n".join(lines) + "\n")
    elif how == "deep":
        depth = draw.choice((10, 1000, 100_000))
        file.write_text(
            draw.choice(("methods: " + "[" * depth, "{a: " * depth, "a: &a [*a]\n", "- " * depth, "? " * depth))
        )
    else:
        special(draw, file)
    return Case(command("data", "ready", "params.yaml"), ("params.yaml", "data"))


def new_profile(draw, place, sources):
    """`profile` with any name, data folder and category."""
    file = _project(place, _profile())
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    for _ in range(draw.choice((0, 0, 1, 2))):
        (file.parent / "data" / file_name(draw) / "train/good").mkdir(parents=True, exist_ok=True)
    words = [
        f"{draw.choice(('new', 'new', name(draw) or 'x'))}",
        "--data",
        draw.choice(("data", "data", name(draw), "'", "a\nb")),
    ]
    words += [f"--category={name(draw)}"] if draw.random() < 0.3 else []
    words += [f"--textures={name(draw)}"] if draw.random() < 0.3 else []
    words += ["--like", name(draw)] if draw.random() < 0.1 else []

    def run():
        code = command("profile", "--", *words[:1])() if words[0].startswith("-") else command("profile", *words)()
        # the profile is what this command may write; the case counts it as the target
        if code == 0:
            shutil.move(place / "in/profiles", place / "out/profiles")
        return code

    return Case(run, ("--name", "--data", "profiles", "params.yaml", "data", "categor", "textures", "'"))


def category_names(draw, place, sources):
    """Categories in params.yaml: whatever is taken comes to the notebook as one word, and nothing else runs."""
    names = [draw.choice((*PIECES, "nut", "größe", "01", "M8 (zinc)", "x$(touch evil)")) for _ in range(2)]
    quote = draw.choice((lambda text: text, json.dumps, lambda text: "'" + text.replace("'", "''") + "'"))
    reports = draw.choice(("reports/smoke", "reports/a b", "größe (2)", name(draw)))
    text = (
        _profile()
        .replace("[fabric, nut]", f"[{', '.join(map(quote, names))}]")
        .replace("reports/smoke", quote(reports))
    )
    text = re.sub(r"categories: \[nut\], shares", "categories: [], shares", text).replace(
        "methods: [dfr], ", "methods: [], "
    )
    file = place / "in/params.yaml"
    text = text.replace("profiles/smoke/params.yaml", "params.yaml").encode("utf-8", "replace").decode()
    (place / "in/data.dvc").touch()
    file.write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", place / "in/dvc.yaml")
    os.chdir(place / "in")
    return Case(lambda: _words_arrive(file), ("params.yaml", "'"))


def _words_arrive(file):
    """Whether a shell splits the commands that DVC makes of a params file into the words that were meant; as 0 or 2."""
    from anomaly_lib.base.errors import exit_code
    from anomaly_lib.params import load_params

    def run():
        params = load_params(file)
        for stage, cmd in _commands(file.parent).items():
            kind, _, key = stage.partition("@")
            if kind == "explore":
                words = _shell(cmd)
                assert words[:2] == ["-m", "anomaly_lib.nbrun"], words
                expected = [f"category={category}" for category in params.categories]
                assert words[-2] in expected, (words, expected)
                assert words[-1] == f"output={params.reports}/explore/{key}", words
                assert len(words) == 7, words
        assert sorted(path.name for path in file.parent.iterdir()) == [
            *(["data.dvc", "dvc.yaml", "params.yaml"] if not (file.parent / "secret.png").exists() else []),
            *(["data.dvc", "dvc.yaml", "params.yaml", "secret.png"] if (file.parent / "secret.png").exists() else []),
        ]

    return exit_code(run)


def _commands(folder):
    """{stage: command} as DVC resolves it."""
    from dvc.dvcfile import load_file
    from dvc.repo import Repo

    with Repo(str(folder), uninitialized=True) as repo:
        stages = load_file(repo, str(folder / "dvc.yaml")).resolver.resolve()["stages"]
    return {stage: stages[stage]["cmd"] for stage in stages}


def _shell(cmd):
    """The words that a shell makes of a command, without running Python."""
    show = "python() { for word; do printf '%s\\0' \"$word\"; done; }; "
    done = subprocess.run(["sh", "-c", show + cmd], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


# --- models, photos, bundles -----------------------------------------------------------------------------------------


def _looked(draw, place, sources, *words, codes=(0, 2)):
    """A run of `detect` that writes tables, and sometimes pictures and maps."""
    more = [*(["--maps"] if draw.random() < 0.2 else []), *(["--no-pictures"] if draw.random() < 0.9 else [])]

    def check(code):
        file = place / "out/found/results.json"
        return safe_tables(place / "out") or (finite(file.read_text()) if code != 2 else "")

    run = command("detect", *words, "--output", place / "out/found", *more)
    return Case(run, (str(place), str(sources), "in/", "overlap", "--"), codes, check)


def trained_model(draw, place, sources):
    """A model's folder whose record, tensors or files are damaged."""
    model = shutil.copytree(sources / "model", place / "in/model")
    record, tensors = model / "model.json", model / "model.safetensors"
    how = draw.choice(("record", "record", "record", "text", "bytes", "tensors", "tensors", "files"))
    if how == "record":
        content = json.loads(record.read_text())
        nested(draw, content)
        record.write_text(json.dumps(content))
    elif how == "text":
        record.write_bytes(damaged(draw, record.read_bytes()))
    elif how in ("bytes", "tensors"):
        tensors.write_bytes(damaged(draw, tensors.read_bytes()))
        if how == "tensors":  # the digest fits
            content = json.loads(record.read_text())
            content["digest"] = hashlib.sha256(tensors.read_bytes()).hexdigest()[:16]
            record.write_text(json.dumps(content))
    else:
        spoilt(draw, model)
    photo = sources / "mvtec/bottle/test/good/000.png"
    return _looked(draw, place, sources, photo, "--model", model)


def odd_photos(draw, place, sources):
    """Photos of odd sizes, modes, contents and names for `detect`, sometimes in tiles or with a region."""
    photos = place / "in/photos"
    (photos / "more").mkdir(parents=True)
    for _ in range(draw.randint(1, 4)):
        file = photos / draw.choice(("", "more")) / file_name(draw)
        if not (file.exists() or file.is_symlink()):
            _odd_photo(draw, file, sources)
    words = [photos, "--bundle", sources / "bundle"] if draw.random() < 0.5 else [photos, "--model", sources / "model"]
    if draw.random() < 0.3:
        words += ["--tile", draw.choice((16, 64, 0, -1, 10**12)), "--overlap", draw.choice((0, 0.5, 1, -1, "nan", "x"))]
    if draw.random() < 0.2:
        region = place / "in/region.json"
        content = {"polygons": [[[0, 0], [1, 0], [1, 1]]], "exclude": []}
        nested(draw, content)
        region.write_text(json.dumps(content))
        words += ["--region", region]
    return _looked(draw, place, sources, *words, codes=(0, 1, 2))


def _odd_photo(draw, file, sources):
    kind = draw.choice(("photo", "photo", "mode", "mode", "bytes", "junk", "special"))
    if kind == "mode":
        mode, size = draw.choice(MODES), draw.choice(((1, 1), (1, 500), (500, 1), (64, 64), (37, 91)))
        depth = {"I": "int32", "F": "float32", "I;16": "uint16"}.get(mode, "uint8")
        bands = 1 if mode in ("I", "F", "I;16", "1", "L", "P") else len(Image.new(mode, (1, 1)).getbands())
        values = np.random.default_rng(draw.randrange(2**32)).integers(0, 255, (size[1], size[0], bands)).astype(depth)
        image = Image.fromarray(values[..., 0]) if bands == 1 else Image.frombytes(mode, size, values.tobytes())
        image = image.convert(mode) if bands == 1 and mode in ("1", "P") else image
        for form in draw.sample(("PNG", "TIFF", "JPEG", "GIF", "WEBP", "BMP"), 6):
            try:
                return image.save(file, form)
            except (OSError, ValueError, KeyError):
                continue
    shutil.copy(sources / "mvtec/bottle/test/good/000.png", file)
    if kind == "bytes":
        file.write_bytes(damaged(draw, file.read_bytes()))
    elif kind == "junk":
        file.write_bytes(
            draw.choice((b"", draw.randbytes(100), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0" + draw.randbytes(40)))
        )
    elif kind == "special":
        special(draw, file)
    return None


def bundle(draw, place, sources):
    """A bundle with damaged parts, for `detect --bundle` and `verify`."""
    folder = shutil.copytree(sources / "bundle", place / "in/bundle")
    file = folder / draw.choice(("bundle.json", "bundle.json", "model.onnx", "reference.npz", "card.md"))
    how = draw.choice(("values", "values", "bytes", "digest", "files"))
    record = json.loads((folder / "bundle.json").read_text())
    if how == "values":
        nested(draw, record)
        (folder / "bundle.json").write_text(json.dumps(record))
    elif how == "files":
        spoilt(draw, folder)
    else:
        file.write_bytes(damaged(draw, file.read_bytes()))
        if how == "digest" and file.name in record["digests"]:
            record["digests"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
            (folder / "bundle.json").write_text(json.dumps(record))
    if draw.random() < 0.5:
        return Case(command("verify", folder), (str(folder),), (0, 1, 2))
    return _looked(draw, place, sources, sources / "mvtec/bottle/test/good/000.png", "--bundle", folder)


# --- notebooks and tables --------------------------------------------------------------------------------------------


def notebook_run(draw, place, sources):
    """`nbrun` with any notebook, parameters and target; executing is replaced by a copy."""
    from anomaly_lib import nbrun

    file = place / "in/notebook.ipynb"
    shutil.copy(ROOT / f"notebooks/{draw.choice(NOTEBOOKS)}.ipynb", file)
    how = draw.choice((*["parameters"] * 5, "bytes", "values", "special", "target"))
    pairs = ["category=nut", "output=out/x"]
    if how == "parameters":
        key = draw.choice((*["category"] * 8, "seed", "params_file", "method", "model", "categoy", "", *PIECES[:6]))
        pairs.append(draw.choice((f"{key}={draw.choice(VALUES)}", f"{key}={draw.choice(PIECES)}", key)))
    elif how == "bytes":
        file.write_bytes(damaged(draw, file.read_bytes()))
    elif how == "values":
        content = json.loads(file.read_text())
        nested(draw, content)
        file.write_text(json.dumps(content))
    elif how == "special":
        special(draw, file)
    target = place / "out" / draw.choice((*["out.ipynb", "deep/er/out.ipynb", "größe.ipynb"] * 3, "x" * 300))
    if how == "target":
        target = draw.choice(
            (Path("/dev/null"), place / "in", place / "in/pipe", place / "in/secret.png/x", Path("/proc/x"))
        )
        if target.name == "pipe":
            os.mkfifo(target)
    os.chdir(place / "out")  # where build/failed lies

    def executed(source, draft, parameters):
        draft.write_text("{}")
        return nbformat.read(source, 4)

    def run():
        before, nbrun._execute = nbrun._execute, executed
        try:
            code = nbrun.main(
                [str(file), str(target), "--", *(pair.encode("utf-8", "replace").decode() for pair in pairs)]
            )
        finally:
            nbrun._execute = before
            shutil.rmtree(place / "out/build/failed", ignore_errors=True)
            shutil.rmtree(place / "out/build", ignore_errors=True)
        return code

    return Case(run, (str(place), "=", "params", "/dev/null", "/proc", "'", "notebook"))


def tables(draw, place, sources):
    """Names in the tables of the suite: no formula in CSV, no further cell and no tag in Markdown."""
    from anomaly_lib.reporting.tables import markdown_table, write_csv
    from anomaly_tools.describe import GroupRow, to_markdown

    names = [
        draw.choice((*PIECES, "=cmd|' /C calc'!A0", "<img src=x onerror=alert(1)>", "a|b", "![x](y)")) for _ in range(3)
    ]

    def run():
        write_csv([{"name": text, "n": -0.5} for text in names], place / "out/t.csv", ["name", "n"])
        texts = [markdown_table([{"name": text, "n": -0.5} for text in names])]
        texts.append(to_markdown([GroupRow("x", "test", text, 1, {}, {}, 0, None, None, None, None) for text in names]))
        for text in texts:
            assert "<img" not in text, text
            assert not re.search(r"(?<!\\)!\[", text), text
            bars = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()}
            assert len(bars) == 1, text
            assert len(text.splitlines()) == 2 + len(names), text
            text.encode()
        return 0

    return Case(run, check=lambda code: safe_tables(place / "out"))


KINDS = {
    kind.__name__: kind
    for kind in (
        *(visa_table, elpv_table, archive, layout_folder, own_photos, data_folder, params_file, new_profile),
        *(category_names, trained_model, odd_photos, bundle, notebook_run, tables),
    )
}
