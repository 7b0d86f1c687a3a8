"""The description of a data folder counts what is there."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_tools.describe import describe, to_markdown


def save(pixels: np.ndarray, path: Path, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def mask(size: int, *pixels: tuple[int, int]) -> np.ndarray:
    marked = np.zeros((size, size), np.uint8)
    for row, column in pixels:
        marked[row, column] = 255
    return marked


@pytest.fixture
def data(tmp_path) -> Path:
    grey, colour = np.zeros((10, 10), np.uint8), np.zeros((20, 30, 3), np.uint8)
    nut = tmp_path / "nut"
    for name in ("train/good/0.png", "train/good/1.png", "test/good/0.png"):
        save(grey, nut / name)
    save(colour, nut / "train/good/2.png")
    for name in ("0", "1", "2"):
        save(grey, nut / f"test/rust/{name}.png")
    save(grey, nut / "test/chip/0.png")
    truth = nut / "ground_truth/rust"
    save(mask(10, (0, 0)), truth / "0_mask.png")
    save(mask(10, (0, 0), (1, 1), (9, 9)), truth / "1_mask.png")  # the first two touch at a corner: one region
    save(mask(10, *((row, column) for row in range(5) for column in range(10))), truth / "2_mask.png")
    return tmp_path


def test_there_is_a_row_for_each_split_and_defect_type(data):
    rows = describe(data)
    assert [(row.category, row.split, row.defect, row.images, row.masks) for row in rows] == [
        ("nut", "train", "good", 3, 0),
        ("nut", "test", "chip", 1, 0),
        ("nut", "test", "good", 1, 0),
        ("nut", "test", "rust", 3, 3),
    ]


def test_sizes_and_modes_are_counted_the_most_frequent_first(data):
    train = describe(data)[0]
    assert list(train.sizes.items()) == [("10x10", 2), ("30x20", 1)]
    assert list(train.modes.items()) == [("L", 2), ("RGB", 1)]


def test_the_most_frequent_goes_before_the_first_by_name(data):
    for name, shape in (("0", (10, 10)), ("1", (20, 30)), ("2", (20, 30))):
        save(np.zeros(shape, np.uint8), data / f"wood/train/good/{name}.png")
    assert list(describe(data, ["wood"])[0].sizes) == ["30x20", "10x10"]


def test_areas_are_shares_of_the_image_and_components_8_connected(data):
    rust = describe(data)[-1]
    assert (rust.area_min, rust.area_median, rust.area_max) == pytest.approx((0.01, 0.03, 0.5))
    assert rust.components == 1 + 2 + 1


def test_without_masks_areas_are_absent_not_zero(data):
    chip = describe(data)[1]
    assert (chip.area_min, chip.area_median, chip.area_max, chip.components) == (None, None, None, None)


def test_sizes_are_those_of_the_upright_image(data):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(np.zeros((20, 30, 3), np.uint8), data / "wood/train/good/0.jpg", exif=exif)
    assert describe(data, ["wood"])[0].sizes == {"20x30": 1}


def test_categories_can_be_chosen(data):
    save(np.zeros((4, 4), np.uint8), data / "wood/train/good/0.png")
    assert [row.category for row in describe(data, ["wood"])] == ["wood"]
    assert {row.category for row in describe(data)} == {"nut", "wood"}


def test_bad_input_is_named(data):
    with pytest.raises(InputError, match="did you mean 'nut'"):
        describe(data, ["nutt"])
    (data / "nut/test/rust/0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"rust/0\.png: is empty"):
        describe(data)


def test_rows_become_json(data):
    assert json.loads(json.dumps([asdict(row) for row in describe(data)]))[3]["components"] == 4


def test_the_table_is_markdown_with_aligned_columns(data):
    lines = to_markdown(describe(data)).splitlines()
    assert len(lines) == 2 + 4
    assert len({len(line) for line in lines}) == 1
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["nut", "test", "rust", "3", "10x10", "L", "3", "1 / 3 / 50", "4"]
    assert [cell.strip() for cell in lines[2].strip("|").split("|")][4:6] == [
        "10x10 (2), 30x20 (1)",
        "L (2), RGB (1)",
    ]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")][-3:] == ["0", "-", "-"]


def test_many_sizes_are_summed_up(data):
    for size in range(1, 8):
        save(np.zeros((size, size), np.uint8), data / f"wood/train/good/{size}.png")
    table = to_markdown(describe(data, ["wood"]))
    assert "1x1 (1), 2x2 (1), 3x3 (1), 4x4 (1), and 3 more" in table


def test_odd_names_can_be_printed_and_do_not_break_the_table(data):
    odd = os.fsdecode(b"a|\xff\n")
    save(np.zeros((4, 4), np.uint8), data / f"nut/test/{odd}/0.png")
    table = to_markdown(describe(data))
    table.encode("utf-8")
    assert len(table.splitlines()) == 2 + 5
    assert "a\\|" in table
