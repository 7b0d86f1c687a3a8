"""VisA (Zou et al., ECCV 2022): ``OBJECT/Data/{Images,Masks}/{Normal,Anomaly}`` and splits as CSV files.

``split_csv/1cls.csv`` is the split of the one-class protocol: object, split, label, image, mask. Masks number the kinds
of defect, so they look black; any value but 0 is defect, which is how masks are read here: they are copied as they are.
"""

import csv
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD
from anomaly_lib.data.images import Problem
from anomaly_lib.ingest.plan import Item, Plan, Request, image_item, mask_item

SPLIT = Path("split_csv/1cls.csv")
COLUMNS = ("object", "split", "label", "image", "mask")
DEFECT = "anomaly"


def is_visa(folder: Path) -> bool:
    """Whether the split lies where VisA has it."""
    return (folder / SPLIT).is_file()


def plan_visa(folders: list[Path], request: Request) -> Plan:
    """A category an object. Raises InputError for another table, or a file that it names and that is not there."""
    return Plan(tuple(item for folder in folders for item in _items(folder, request.categories)))


def _items(folder: Path, wanted: tuple[str, ...]) -> list[Item]:
    file = folder / SPLIT
    items: list[Item] = []
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise InputError(Problem(file, "is another table", f"its first line must be {','.join(COLUMNS)}"))
        for row in reader:
            if wanted and row["object"] not in wanted:
                continue
            items += _row_items(folder, file, reader.line_num, row)
    return items


def _row_items(folder: Path, file: Path, line: int, row: dict[str, str]) -> list[Item]:
    if row["split"] not in ("train", "test") or row["label"] not in ("normal", DEFECT):
        remedy = f"split is train or test, label is normal or {DEFECT}"
        raise InputError(Problem(file, f"line {line} cannot be read", remedy))
    if row["split"] == "train" and row["label"] == DEFECT:
        raise InputError(Problem(file, f"line {line} has an anomalous training image", f"use {SPLIT.name} as it came"))
    image = _inside(folder, file, row["image"])
    if row["label"] == "normal":
        return [image_item(row["object"], row["split"], GOOD, image)]
    masks = [_inside(folder, file, row["mask"])] if row["mask"] else []
    items = [image_item(row["object"], "test", DEFECT, image)]
    return items + [mask_item(row["object"], DEFECT, image.stem, [mask]) for mask in masks]


def _inside(folder: Path, file: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(Problem(file, f"names {name}, which lies outside", "use the table as it came"))
    if not path.is_file():
        raise InputError(Problem(path, f"is named in {SPLIT} but not there", "unpack the archive again"))
    return path
