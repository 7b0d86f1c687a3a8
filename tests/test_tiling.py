"""Tiling: every pixel is covered, maps join without seams, labels of tiles are those of the mask."""

import json

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.cli import main
from anomaly_lib.data.folder import load_category
from anomaly_lib.data.images import read_mask, read_rgb
from anomaly_lib.tiling import BlendedMap, Tiling, axis_weights
from anomaly_tools.tile_copies import tile_category
from anomaly_tools.validate import validate

SIZES = [(16, 16), (16, 500), (333, 17), (97, 201), (640, 480), (5, 7), (1, 300), (65, 64)]
TILINGS = [Tiling(16), Tiling(64, 0.25), Tiling(33, 0.5), Tiling(100, 0.75), Tiling(64, 0.1)]
every_tiling = pytest.mark.parametrize("tiling", TILINGS, ids=str)
every_size = pytest.mark.parametrize("size", SIZES, ids=str)


@every_tiling
@every_size
def test_tiles_cover_the_photo_and_nothing_else(tiling, size):
    tiles, count = tiling.tiles(*size), np.zeros(size, int)
    for tile in tiles:
        assert (tile.height, tile.width) == tuple(min(tiling.side, length) for length in size)
        assert min(tile.top, tile.left) >= 0
        assert np.ones(size)[tile.window].shape == (tile.height, tile.width)  # none reaches beyond the photo
        count[tile.window] += 1
    assert count.min() >= 1
    assert len({(tile.top, tile.left) for tile in tiles}) == len(tiles) == tiling.count(*size)
    assert [(tile.row, tile.column) for tile in tiles] == sorted((tile.row, tile.column) for tile in tiles)


def test_the_last_tiles_are_shifted_inwards_and_a_small_photo_is_one():
    assert Tiling(100, 0.25).starts(250) == (0, 75, 150)
    assert Tiling(100, 0.25).starts(251) == (0, 75, 150, 151)
    assert Tiling(100).starts(300) == (0, 100, 200)
    assert Tiling(100).tiles(40, 100)[0].box == [0, 0, 40, 100]
    assert Tiling(100).count(40, 100) == 1


@pytest.mark.parametrize("side", [15, 0, -3])
def test_sides_that_make_no_sense_are_refused(side):
    with pytest.raises(InputError, match="give at least 16"):
        Tiling(side)


@pytest.mark.parametrize("overlap", [-0.1, 0.76, 1.0, float("nan")])
def test_overlaps_that_make_no_sense_are_refused(overlap):
    with pytest.raises(InputError, match=r"0 to 0\.75; got"):
        Tiling(64, overlap)


@every_tiling
@pytest.mark.parametrize("length", [1, 16, 97, 333, 640])
def test_weights_are_positive_and_sum_to_one_at_each_pixel(tiling, length):
    starts, side = tiling.starts(length), min(tiling.side, length)
    weights, total = axis_weights(length, starts, side), np.zeros(length)
    assert weights.min() > 0
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + side] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def blended(tiling, full):
    """A map put together from its own tiles."""
    whole = BlendedMap(tiling, *full.shape)
    for tile in tiling.tiles(*full.shape):
        whole.add(tile, full[tile.window])
    return whole.values


@every_tiling
@every_size
def test_a_map_cut_into_tiles_and_blended_is_itself_and_a_constant_stays_constant(tiling, size):
    full = np.random.default_rng(0).normal(5, 3, size).astype(np.float32)
    np.testing.assert_allclose(blended(tiling, full), full, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(blended(tiling, np.full(size, 7, np.float32)), 7, rtol=1e-5)


def test_where_tiles_disagree_the_map_passes_smoothly_from_one_to_the_other():
    tiling, whole = Tiling(64, 0.5), BlendedMap(Tiling(64, 0.5), 64, 96)
    for tile, value in zip(tiling.tiles(64, 96), (0.0, 1.0), strict=True):
        whole.add(tile, np.full((64, 64), value, np.float32))
    row = whole.values[30]
    assert (row[:32] == 0).all()
    assert row[64:] == pytest.approx(1)
    assert (np.diff(row[31:65]) >= 0).all()
    assert np.diff(row).max() < 0.06


# --- a category in tiles


SIDE = 64


@pytest.fixture
def category(tmp_path):
    """plates of 150 x 100 pixels: two to train, one good, one with a defect that tiles 1 and 4 of 6 show."""
    folder, rng = tmp_path / "data/plates", np.random.default_rng(0)
    for place in ("train/good/a.png", "train/good/b.jpg", "test/good/c.png", "test/dent/d.png"):
        _save(rng.integers(0, 256, (100, 150, 3), dtype=np.uint8), folder / place)
    mask = np.zeros((100, 150), np.uint8)
    mask[30:50, 70:80] = 255
    _save(mask, folder / "ground_truth/dent/d_mask.png")
    return folder


def _save(pixels, file, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)


def cut(category, target, tiling=None, **options):
    return tile_category(category, target, tiling or Tiling(SIDE), progress=False, **options)


def test_labels_of_tiles_are_those_of_the_mask(category, tmp_path):
    summary = cut(category, tmp_path / "tiles")
    found = load_category(tmp_path, "tiles")
    assert [sample.path.stem for sample in found.train] == [
        f"{name}_r00{row}_c00{column}" for name in "ab" for row in range(2) for column in range(3)
    ]
    good = [sample for sample in found.test if not sample.is_anomalous]
    bad = [sample for sample in found.test if sample.is_anomalous]
    assert {sample.path.stem[0] for sample in good} == {"c"}  # none of the photo that has a defect
    assert [sample.path.stem for sample in bad] == ["d_r000_c001", "d_r001_c001"]
    assert [int(read_mask(sample.mask_path).sum()) for sample in bad] == [200, 140]
    assert (summary.photos, summary.train, summary.good, summary.anomalous, summary.left_out) == (4, 12, 6, 2, 4)
    assert "4 photos in 12 tiles to train on, 6 good and 2 anomalous" in str(summary)
    assert validate(tmp_path, ["tiles"]) == []


def test_the_record_says_where_each_tile_lies(category, tmp_path):
    cut(category, tmp_path / "tiles")
    record = json.loads((tmp_path / "tiles/tiles.json").read_text())
    assert (record["side"], record["overlap"]) == (SIDE, 0)
    files = {str(file.relative_to(tmp_path / "tiles")) for file in (tmp_path / "tiles").rglob("*/*/*_c00?.png")}
    assert set(record["tiles"]) == files
    assert record["left_out"] == {"test/dent/d.png": ["d_r000_c000", "d_r000_c002", "d_r001_c000", "d_r001_c002"]}
    photo, mask = read_rgb(category / "test/dent/d.png"), read_mask(category / "ground_truth/dent/d_mask.png")
    for place, tile in record["tiles"].items():
        if tile["photo"] == "d.png":
            top, left, height, width = tile["box"]
            window = slice(top, top + height), slice(left, left + width)
            np.testing.assert_array_equal(read_rgb(tmp_path / "tiles" / place), photo[window])
            assert tile["defect_pixels"] == mask[window].sum()


def test_the_same_category_gives_the_same_bytes(category, tmp_path):
    for name in ("one", "two"):
        cut(category, tmp_path / name, Tiling(SIDE, 0.5))
    files = [file for file in sorted((tmp_path / "one").rglob("*")) if file.is_file()]
    assert len(files) > 30
    for file in files:
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_without_masks_tiles_have_no_label_and_training_photos_can_still_be_cut(category, tmp_path):
    (category / "ground_truth/dent/d_mask.png").unlink()
    with pytest.raises(InputError, match=r"d\.png: has no mask, so nobody knows .* give --train-only"):
        cut(category, tmp_path / "out/tiles")
    assert not (tmp_path / "out").exists()
    summary = cut(category, tmp_path / "out/tiles", train_only=True)
    assert (summary.train, summary.good, summary.anomalous) == (12, 0, 0)
    assert load_category(tmp_path / "out", "tiles").test == ()


def test_nothing_is_left_of_a_copy_that_fails(category, tmp_path):
    for mask, words in (
        (np.zeros((100, 150), np.uint8), "marks no defect"),
        (np.ones((9, 9), np.uint8), "another size"),
    ):
        _save(mask, category / "ground_truth/dent/d_mask.png")
        with pytest.raises(InputError, match=words):
            cut(category, tmp_path / "out/tiles")
    assert not any((tmp_path / "out").iterdir())


def test_room_is_checked_for_overlapping_tiles(category, tmp_path):
    # 4 photos of 6 tiles, 5 bytes a pixel, are 0.00049 GB; with three quarters of overlap it is several times as much
    assert cut(category, tmp_path / "fits", max_gigabytes=0.0005).photos == 4
    with pytest.raises(InputError, match=r"may take 0\.00\d+ GB, more than the 0\.0005 GB that are allowed"):
        cut(category, tmp_path / "out", Tiling(SIDE, 0.75), max_gigabytes=0.0005)


def test_a_turned_and_a_16_bit_photo_are_cut_as_they_are_displayed(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 65536, (70, 40)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    _save(pixels, tmp_path / "data/p/train/good/deep.png")
    _save((pixels >> 8).astype(np.uint8), tmp_path / "data/p/train/good/turned.png", exif=exif)
    cut(tmp_path / "data/p", tmp_path / "tiles", Tiling(32))
    grey = np.repeat((pixels >> 8).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_rgb(tmp_path / "tiles/train/good/deep_r002_c001.png"), grey[38:, 8:])
    upright = np.rot90(grey, -1)  # 40 x 70
    np.testing.assert_array_equal(read_rgb(tmp_path / "tiles/train/good/turned_r001_c002.png"), upright[8:, 38:])


def test_the_command(category, tmp_path, capsys):
    out = str(tmp_path / "tiles")
    assert main(["data", "tile", str(category), out, "--size", "64"]) == 0
    assert "12 tiles to train on" in capsys.readouterr().out
    other = str(tmp_path / "other")
    for arguments in (
        [str(category), out, "--size", "64"],
        [str(category), other, "--size", "8"],
        [str(category), other, "--size", "64", "--overlap", "0.9"],
        [str(category), other, "--size", "64", "--max-gigabytes", "0"],
        [str(tmp_path / "nowhere"), other, "--size", "64"],
    ):
        assert main(["data", "tile", *arguments]) == 2
        assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "other").exists()
