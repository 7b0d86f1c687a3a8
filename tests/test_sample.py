"""The procedural sample set: the same bits from the same seed, honest masks, no cheap tell."""

import functools
import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_tools import sample
from anomaly_tools.sample import CATEGORIES, GOOD, TEXTURES, Item, write

DEFECTS = [(category, defect) for category, defects in CATEGORIES.items() for defect in defects]
FEW = [
    Item("train", "fabric", GOOD, 0),
    Item("test", "nut", "chip", 1),
    Item("test", "capsule", "misprint", 0),
    Item("test", "wood", "knot", 2),
    Item("textures", "bricks", GOOD, 3),
]


PLAIN_PROGRAM = f"""
import hashlib
import numpy as np
from anomaly_tools.sample import Item, encode
content = b"".join(content for item in {FEW} for content in encode(item).values())
print(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []), hashlib.sha256(content).hexdigest())
"""
"""Says which optional instruction sets NumPy uses, and hashes the files of `FEW`."""


@pytest.fixture
def short_plan(monkeypatch):
    """Writes five images instead of 548, and renders them once for all tests."""
    monkeypatch.setattr(write, "plan", lambda: FEW)
    monkeypatch.setattr(write, "encode", encoded)


@functools.cache
def encoded(item: Item, seed: int = sample.DEFAULT_SEED) -> dict[str, bytes]:
    """`encode`, rendered once for all tests that need no second run."""
    return sample.encode(item, seed)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: path relative to it -> bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def trivial_aurocs(train: list, good: list, defective: list, sizes: list[int]) -> dict[str, float]:
    """Image AUROC of scores that know nothing of defects.

    Images are uint8 (256, 256, 3); `sizes` are file sizes in bytes, those of `good` first, then `defective`.
    """
    mean_image = np.mean(np.stack(train).astype(np.float64), axis=0)
    images = [image.astype(np.float64) for image in [*good, *defective]]
    labels = [0] * len(good) + [1] * len(defective)
    scores = {
        "distance to the mean image": [np.abs(image - mean_image).mean() for image in images],
        "brightness": [image.mean() for image in images],
        "contrast": [image.std() for image in images],
        "saturation": [np.ptp(image, axis=-1).mean() for image in images],
        "file size": sizes,
    }
    return {name: roc_auc_score(labels, values) for name, values in scores.items()}


def decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


# ---- the same bits


def test_same_arguments_same_image_and_each_argument_matters():
    image, mask = sample.render("wood", "knot", 1, seed=3)
    sample.render("nut", "rust")  # what is drawn in between must not matter
    again, same_mask = sample.render("wood", "knot", 1, seed=3)
    assert np.array_equal(image, again)
    assert np.array_equal(mask, same_mask)
    for other in (
        sample.render("wood", "knot", 2, seed=3),
        sample.render("wood", "knot", 1, seed=4),
        sample.render("wood", "stain", 1, seed=3),
    ):
        assert not np.array_equal(image, other[0])
    assert not np.array_equal(sample.render("wood", split="train")[0], sample.render("wood", split="test")[0])


def test_texture_same_arguments_same_image():
    assert np.array_equal(sample.render_texture("cells", 1, 5), sample.render_texture("cells", 1, 5))
    assert not np.array_equal(sample.render_texture("cells", 1, 5), sample.render_texture("cells", 2, 5))


def test_number_of_workers_does_not_change_a_byte(tmp_path, short_plan, monkeypatch):
    sample.write_sample(tmp_path / "one", workers=1, progress=False)
    monkeypatch.setattr(write, "encode", sample.encode)  # the two processes render anew
    sample.write_sample(tmp_path / "two", workers=2, progress=False)
    assert len(tree(tmp_path / "one")) == len(FEW) + 3  # three of them have a mask
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_instruction_set_does_not_change_a_byte():
    """NumPy on its plainest code path, as on an old processor, gives the same files."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    if not extensions.get("found"):
        pytest.skip("NumPy uses no optional instruction set on this processor")
    environment = {
        **os.environ,
        numerics.MODE: "native",  # portable numerics would choose the instruction sets themselves
        "NPY_DISABLE_CPU_FEATURES": " ".join(extensions["found"] + extensions.get("not found", [])),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    child = subprocess.run([sys.executable, "-c", PLAIN_PROGRAM], env=environment, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    digest = hashlib.sha256(b"".join(content for item in FEW for content in encoded(item).values()))
    assert child.stdout.split() == ["[]", digest.hexdigest()]


# ---- the files


def test_plan_has_the_promised_counts_and_no_file_twice():
    plan = sample.plan()
    counts = Counter((item.split, item.category, item.defect) for item in plan)
    for category, defects in CATEGORIES.items():
        assert counts.pop(("train", category, GOOD)) == 60
        assert counts.pop(("test", category, GOOD)) == 20
        assert [counts.pop(("test", category, defect)) for defect in defects] == [10, 10, 10]
    assert counts == {("textures", name, GOOD): 6 for name in TEXTURES}
    assert len(TEXTURES) == 18
    assert len(set(plan)) == len(plan) == 548


def test_files_have_the_mvtec_and_dtd_shape(tmp_path, short_plan):
    sample.write_sample(tmp_path, progress=False)
    assert sorted(tree(tmp_path)) == [
        "sample/capsule/ground_truth/misprint/000_mask.png",
        "sample/capsule/test/misprint/000.jpg",
        "sample/fabric/train/good/000.jpg",
        "sample/nut/ground_truth/chip/001_mask.png",
        "sample/nut/test/chip/001.jpg",
        "sample/wood/ground_truth/knot/002_mask.png",
        "sample/wood/test/knot/002.jpg",
        "textures/bricks/bricks_0003.jpg",
    ]
    for name, content in tree(tmp_path).items():
        image = Image.open(io.BytesIO(content))
        expected = ("PNG", "L") if name.endswith("_mask.png") else ("JPEG", "RGB")
        assert (image.format, image.mode, image.size) == (*expected, (256, 256))
        if image.mode == "L":
            assert set(np.unique(image)) == {0, 255}


def test_stored_image_is_the_rendered_one():
    content = encoded(FEW[1])
    image, mask = sample.render("nut", "chip", 1)
    difference = decode(content["sample/nut/test/chip/001.jpg"]).astype(int) - image
    assert np.abs(difference).mean() < 3  # JPEG at quality 92
    assert np.array_equal(decode(content["sample/nut/ground_truth/chip/001_mask.png"]) == 255, mask)


def test_refuses_to_overwrite(tmp_path, short_plan):
    precious = tmp_path / "textures" / "mine.txt"
    precious.parent.mkdir()
    precious.write_text("keep")
    with pytest.raises(InputError, match=r"textures already exists; remove it or choose"):
        sample.write_sample(tmp_path, progress=False)
    assert tree(tmp_path) == {"textures/mine.txt": b"keep"}


def test_empty_folders_are_no_obstacle(tmp_path, short_plan):
    (tmp_path / "sample").mkdir()
    sample.write_sample(tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sample", "textures"]


def test_interrupted_run_leaves_nothing(tmp_path, short_plan, monkeypatch):
    def encode(item, seed):
        if item == FEW[2]:
            raise KeyboardInterrupt
        return {"sample/a.jpg": b""}

    monkeypatch.setattr(write, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        sample.write_sample(tmp_path / "new", progress=False)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"workers": 0}])
def test_refuses_numbers_out_of_range(tmp_path, arguments):
    with pytest.raises(InputError, match="must be at least"):
        sample.write_sample(tmp_path, progress=False, **arguments)


def test_refuses_a_file_as_output(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        sample.write_sample(tmp_path / "file", progress=False)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown category 'bolt'; known: fabric"):
        sample.render("bolt")
    with pytest.raises(ValueError, match="unknown defect 'knot' of nut; known: good, chip"):
        sample.render("nut", "knot")
    with pytest.raises(ValueError, match="unknown texture class 'silk'; known: banded"):
        sample.render_texture("silk", 0, 0)


# ---- images and masks


def test_good_image_has_an_empty_mask():
    image, mask = sample.render("capsule")
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (256, 256)
    assert mask.dtype == bool
    assert not mask.any()


@pytest.mark.parametrize(("category", "defect"), DEFECTS)
def test_mask_covers_what_the_defect_changes_and_little_else(category, defect):
    image, mask = sample.render(category, defect)
    flawless = sample.render_flawless(category, defect)
    change = np.abs(image.astype(int) - flawless).max(axis=-1)
    assert 30 <= mask.sum() < 0.04 * mask.size
    near = ndimage.binary_dilation(mask, iterations=3)  # lens blur carries a change across the border
    assert (change[~near] > 12).sum() <= 20  # specks of fewer than ten pixels are not annotated
    assert (change[~near] > 3).mean() < 0.02  # the rest of the photograph is the same
    assert (change[mask] > 8).mean() > 0.5


def test_textures_differ_in_class_and_use_the_range():
    images = [sample.render_texture(name, 0, 0) for name in ("banded", "cells", "knitted", "swirly")]
    for image in images:
        assert image.shape == (256, 256, 3)
        assert image.dtype == np.uint8
        assert image.std() > 5


# ---- difficulty


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_trivial_score_separates_good_from_defective(category):
    """Neither brightness nor file size nor the distance to the mean image finds the defects."""
    items = [item for item in sample.plan() if item.category == category]
    train = [item for item in items if item.split == "train" and item.index < 10]
    good = [item for item in items if item.split == "test" and item.defect == GOOD and item.index < 16]
    defective = [item for item in items if item.defect != GOOD and item.index < 4]
    photos = [next(iter(encoded(item).values())) for item in train + good + defective]
    images = [decode(photo) for photo in photos]
    cut = len(train), len(train) + len(good)
    aurocs = trivial_aurocs(
        images[: cut[0]], images[cut[0] : cut[1]], images[cut[1] :], [len(p) for p in photos[cut[0] :]]
    )
    for name, auroc in aurocs.items():
        assert 0.25 < auroc < 0.85, f"{name} alone reaches an image AUROC of {auroc:.2f}"
    assert aurocs["distance to the mean image"] > 0.35
