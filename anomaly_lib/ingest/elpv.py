"""ELPV: 2,624 electroluminescence photos of solar cells with a probability of defect in four steps, no masks.

    Buerhop-Lutz et al., A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
    Imagery, EU PVSEC 2018; Deitsch et al., Solar Energy 185, 2019.

The package ``elpv-dataset`` holds them as its page says: ``labels.csv`` with path, probability and type of a cell, and
``images/``. The files are copied, not what ``load_dataset`` decodes from them: names and bytes stay.

Probability 0 is normal and 1 is anomalous. The experts were in doubt about 1/3 and 2/3, so these images go into
``test_uncertain``, which the report shows apart: image AUROC is of 0 against 1. A quarter of the normal images,
drawn with a fixed seed, is ``test/good``.
"""

from importlib import util
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.folder import GOOD, UNCERTAIN, Sample
from anomaly_lib.data.images import Problem
from anomaly_lib.data.split import split_normals
from anomaly_lib.ingest.plan import Item, Plan, Request, image_item

LABELS = "labels.csv"
CATEGORIES = {"mono": "monocrystalline", "poly": "polycrystalline"}
TEST_SHARE = 0.25
"""Of the normal images of a type."""
SEED = 0
GROUPS = {
    0: None,
    1 / 3: (UNCERTAIN, "possibly_defective"),
    2 / 3: (UNCERTAIN, "probably_defective"),
    1: ("test", "defective"),
}
"""Probability -> split and folder; the normal ones are split."""


def package_folder() -> Path:
    """Where the installed package ``elpv-dataset`` keeps its images. Raises InputError without it."""
    found = util.find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        raise InputError("the package elpv-dataset is not installed; run 'pip install .[elpv]', or name its folder")
    return Path(found.submodule_search_locations[0]) / "data"


def is_elpv(folder: Path) -> bool:
    """Whether a folder holds the labels and the images."""
    return (folder / LABELS).is_file() and (folder / "images").is_dir()


def plan_elpv(folders: list[Path], request: Request) -> Plan:
    """A category a cell type. Raises InputError for labels that cannot be read or an image that is not there."""
    folder = folders[0]
    groups: dict[tuple[str, str, str], list[Path]] = {}
    normals: dict[str, list[Path]] = {}
    for image, probability, category in _read_labels(folder):
        place = GROUPS[probability]
        if place is None:
            normals.setdefault(category, []).append(image)
        else:
            groups.setdefault((category, *place), []).append(image)
    items = [image_item(*place, image) for place, images in groups.items() for image in images]
    for category, images in normals.items():
        items += _split_items(category, images)
    return Plan(tuple(items), _NOTES)


def _split_items(category: str, images: list[Path]) -> list[Item]:
    train, test = split_normals([Sample(image, "train", GOOD, None) for image in images], TEST_SHARE, SEED)
    return [
        image_item(category, split, GOOD, sample.path)
        for split, samples in (("train", train), ("test", test))
        for sample in samples
    ]


def _read_labels(folder: Path) -> list[tuple[Path, float, str]]:
    """(image, probability as a key of GROUPS, category) of every line."""
    rows = []
    file = folder / LABELS
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            path, probability, kind = line.split()
            nearest = min(GROUPS, key=lambda value: abs(value - float(probability)))
            if abs(nearest - float(probability)) > 0.01:
                raise ValueError(probability)
            rows.append((folder / path, nearest, CATEGORIES[kind]))
        except (ValueError, KeyError) as error:
            remedy = "a line has the path, the probability 0, 1/3, 2/3 or 1, and mono or poly"
            raise InputError(Problem(file, f"line {number} cannot be read", remedy)) from error
        if not rows[-1][0].is_file():
            raise InputError(Problem(rows[-1][0], f"is named in {LABELS} but not there", "install the package again"))
    return rows


_NOTES = (
    "probability 0 is normal (train/good, test/good), 1 is test/defective; there are no masks",
    f"1/3 is {UNCERTAIN}/possibly_defective, 2/3 is {UNCERTAIN}/probably_defective: in no metric, reported apart",
    f"a quarter of the normal images is test/good, drawn with seed {SEED} (anomaly_lib.data.split.split_normals)",
    "the package does not say which cells come from one module: train and test share modules",
)
