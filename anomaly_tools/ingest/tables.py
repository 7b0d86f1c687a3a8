"""Layouts that are told by a table: VisA and ELPV.

VisA (Zou et al., ECCV 2022): ``OBJECT/Data/{Images,Masks}/{Normal,Anomaly}`` and splits as CSV files.
``split_csv/1cls.csv`` is the split of the one-class protocol: object, split, label, image, mask. Masks number the kinds
of defect, so they look black; any value but 0 is defect, which is how masks are read here: they are copied as they are.

ELPV: 2,624 electroluminescence photos of solar cells with a probability of defect in four steps, no masks.

    Buerhop-Lutz et al., A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
    Imagery, EU PVSEC 2018; Deitsch et al., Solar Energy 185, 2019.

The package ``elpv-dataset`` holds them as its page says: ``labels.csv`` with path, probability and type of a cell, and
``images/``. The files are copied, not what ``load_dataset`` decodes from them: names and bytes stay.

Probability 0 is normal and 1 is anomalous. The experts were in doubt about 1/3 and 2/3, so these images go into
``test_uncertain``, which the report shows apart: image AUROC is of 0 against 1. A quarter of the normal images,
drawn with a fixed seed, is ``test/good``.
"""

import csv
import io
import os
from importlib import util
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD, UNCERTAIN, Sample
from anomaly_lib.data.images import Problem, is_image_name
from anomaly_lib.data.split import split_normals
from anomaly_tools.ingest.paths import composed, why_path_is_refused
from anomaly_tools.ingest.plan import Item, Plan, Request, image_item, mask_item

VISA_TABLE = Path("split_csv/1cls.csv")
VISA_COLUMNS = ("object", "split", "label", "image", "mask")
VISA_DEFECT = "anomaly"

ELPV_TABLE = Path("labels.csv")
ELPV_CATEGORIES = {"mono": "monocrystalline", "poly": "polycrystalline"}
ELPV_GROUPS = {
    0: None,
    1 / 3: (UNCERTAIN, "possibly_defective"),
    2 / 3: (UNCERTAIN, "probably_defective"),
    1: ("test", "defective"),
}
"""Probability -> split and folder; the normal ones are split."""
TEST_SHARE = 0.25
"""Of the normal images of a type."""
SEED = 0
_MOST_TABLE_BYTES = 50_000_000  # VisA's has 1 MB
_SHOWN_CHARACTERS = 80
_ELPV_NOTES = (
    "probability 0 is normal (train/good, test/good), 1 is test/defective; there are no masks",
    f"1/3 is {UNCERTAIN}/possibly_defective, 2/3 is {UNCERTAIN}/probably_defective: in no metric, reported apart",
    f"a quarter of the normal images is test/good, drawn with seed {SEED} (anomaly_lib.data.split.split_normals)",
    "the package does not say which cells come from one module: train and test share modules",
)


def is_visa(folder: Path) -> bool:
    """Whether the split lies where VisA has it."""
    return (folder / VISA_TABLE).is_file()


def plan_visa(folders: list[Path], request: Request) -> Plan:
    """A category per object. Raises InputError for another table, or a file that it names and that is not there."""
    return Plan(tuple(item for folder in folders for item in _visa_items(folder, request.categories)))


def _visa_items(folder: Path, wanted: tuple[str, ...]) -> list[Item]:
    file = folder / VISA_TABLE
    items: list[Item] = []
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        columns = reader.fieldnames or ()
        if not set(VISA_COLUMNS) <= set(columns):
            raise InputError(Problem(file, "is another table", f"its first line must be {','.join(VISA_COLUMNS)}"))
        for row in reader:
            if None in row or None in row.values():  # a cell without a column, a column without a cell
                message = f"line {reader.line_num} has not the {len(columns)} cells of the first line"
                raise InputError(Problem(file, message, "use the table as it came"))
            if not wanted or composed(row["object"]) in map(composed, wanted):
                items += _visa_row(folder, reader.line_num, row)
    except csv.Error as error:
        message = f"line {reader.line_num} cannot be read ({error})"
        raise InputError(Problem(file, message, "use the table as it came")) from error
    return items


def _visa_row(folder: Path, line: int, row: dict[str, str]) -> list[Item]:
    file = folder / VISA_TABLE
    if row["split"] not in ("train", "test") or row["label"] not in ("normal", VISA_DEFECT):
        remedy = f"split is train or test, label is normal or {VISA_DEFECT}"
        raise InputError(Problem(file, f"line {line} cannot be read", remedy))
    if row["split"] == "train" and row["label"] == VISA_DEFECT:
        raise InputError(Problem(file, f"line {line} has an anomalous training image", f"use {file.name} as it came"))
    image = _named(folder, VISA_TABLE, row["image"])
    if row["label"] == "normal":
        return [image_item(row["object"], row["split"], GOOD, image)]
    masks = [_named(folder, VISA_TABLE, row["mask"])] if row["mask"] else []
    items = [image_item(row["object"], "test", VISA_DEFECT, image)]
    return items + [mask_item(row["object"], VISA_DEFECT, image.stem, [mask]) for mask in masks]


def elpv_package() -> Path:
    """Where the installed package ``elpv-dataset`` keeps its images. Raises InputError without it."""
    found = util.find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        remedy = "run pip install --editable '.[elpv]', or name its folder"
        raise InputError(f"the package elpv-dataset is not installed; {remedy}")
    return Path(found.submodule_search_locations[0]) / "data"


def is_elpv(folder: Path) -> bool:
    """Whether a folder holds the labels and the images."""
    return (folder / ELPV_TABLE).is_file() and (folder / "images").is_dir()


def plan_elpv(folders: list[Path], request: Request) -> Plan:
    """A category per cell type. Raises InputError for labels that cannot be read or an image that is not there."""
    items: list[Item] = []
    normals: dict[str, list[Sample]] = {}
    for image, probability, category in _elpv_rows(folders[0]):
        if group := ELPV_GROUPS[probability]:
            items.append(image_item(category, *group, image))
        else:
            normals.setdefault(category, []).append(Sample(image, "train", GOOD, None))
    for category, samples in normals.items():
        train, test = split_normals(samples, TEST_SHARE, SEED)
        items += [image_item(category, "train", GOOD, sample.path) for sample in train]
        items += [image_item(category, "test", GOOD, sample.path) for sample in test]
    return Plan(tuple(items), _ELPV_NOTES)


def _elpv_rows(folder: Path) -> list[tuple[Path, float, str]]:
    """(image, probability as a key of ELPV_GROUPS, category) of every line."""
    rows = []
    file = folder / ELPV_TABLE
    for number, line in enumerate(_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            path, probability, kind = line.split()
            nearest = min(ELPV_GROUPS, key=lambda value: abs(value - float(probability)))
            if not abs(nearest - float(probability)) <= 0.01:  # not a number is near to none
                raise ValueError(probability)
            category = ELPV_CATEGORIES[kind]
        except (ValueError, KeyError) as error:
            remedy = "a line has the path, the probability 0, 1/3, 2/3 or 1, and mono or poly"
            raise InputError(Problem(file, f"line {number} cannot be read", remedy)) from error
        rows.append((_named(folder, ELPV_TABLE, path), nearest, category))
    return rows


def _text(file: Path) -> str:
    """A table's text. Raises InputError unless it is UTF-8 and of a table's size."""
    as_it_came = "use the table as it came, or save it as UTF-8"
    if file.stat().st_size > _MOST_TABLE_BYTES:
        raise InputError(Problem(file, f"has more than {_MOST_TABLE_BYTES:,} bytes", as_it_came))
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem(file, f"is not text in UTF-8 (byte {error.start})", as_it_came)) from error
    if "\0" in text:
        raise InputError(Problem(file, "is not text in UTF-8 (it has NUL characters)", as_it_came))
    return text


def _named(folder: Path, table: Path, name: str) -> Path:
    """The image or mask that a table names, which must lie in the folder."""
    path, what = folder / name, ""
    if reason := why_path_is_refused(name):
        what = f"lies outside or has no proper name: it {reason}"
    elif not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        what = "lies outside: it is a link"
    elif not is_image_name(path):
        what = "is no image"
    if what:
        shown = name[:_SHOWN_CHARACTERS]
        raise InputError(Problem(folder / table, f"names '{shown}', which {what}", "use the table as it came"))
    if not path.is_file():
        raise InputError(Problem(path, f"is named in {table} but not there", "unpack or install it again"))
    return path
