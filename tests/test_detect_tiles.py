"""`detect --tile`: the photo's own resolution and displayed orientation, whatever its format, a few tiles at a time."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from anomaly_lib.cli import main
from anomaly_lib.data.images import read_rgb
from anomaly_lib.data.regions import save_region
from anomaly_lib.data.tensors import load_images
from anomaly_lib.detect.run import LARGEST_DRAWN, _drawn_map, detect
from anomaly_lib.methods.checkpoints import load_model, save_model
from anomaly_lib.tiling import Tiling
from anomaly_lib.tiling.scoring import resized, score_in_tiles, tile_images
from tests.helpers import close_to

TILING = Tiling(64, 0.25)
SQUARE = slice(100, 114), slice(190, 204)


def large_photo() -> np.ndarray:
    """A photo of 160 x 250 pixels as the tiny data's, with its bright square at the right."""
    photo = np.random.default_rng(3).normal(110, 12, (160, 250, 3))
    photo[SQUARE] += 100
    return photo.clip(0, 255).astype(np.uint8)


@pytest.fixture
def photo(tmp_path):
    file = tmp_path / "photos/large.png"
    file.parent.mkdir()
    Image.fromarray(large_photo()).save(file)
    return file


def look(model, source, output, **options):
    """Detect in tiles, maps and no pictures: (rows, the map of the first)."""
    settings = {"tiling": TILING, "maps": True, "pictures": False, "progress": False} | options
    rows = detect(model, source, output, **settings).rows
    return rows, np.load(output / rows[0].map)


def test_score_and_map_are_those_of_the_tiles(model, photo, tmp_path):
    (row,), values = look(model, photo, tmp_path / "out")
    tiles = TILING.tiles(160, 250)
    scored = model.method.score(torch.from_numpy(tile_images(large_photo(), tiles, 64)))
    assert row.tiles == len(tiles) == 15
    assert row.score == pytest.approx(scored.scores.max().item(), rel=1e-5)
    assert (values.shape, values.dtype) == ((160, 250), np.float32)
    corner = scored.maps[0].numpy()[:40, :40]  # of the first tile alone
    close_to(values[:40, :40], corner, 1e-6)
    top, left = np.unravel_index(values.argmax(), values.shape)
    assert 95 <= top < 119
    assert 185 <= left < 209
    assert row.decision == "anomalous"
    assert row.regions >= 1


def test_a_photo_that_fits_into_a_tile_is_looked_at_as_before(model, photo, tiny_data, tmp_path):
    source = tiny_data / "dots/test/square/000.png"
    (row,), values = look(model, source, tmp_path / "tiled")
    (same,), expected = look(model, source, tmp_path / "whole", tiling=None)
    assert (row.tiles, same.tiles) == (1, None)
    assert row.score == pytest.approx(same.score, rel=1e-6)
    close_to(values, expected, 1e-6)
    pixels = tile_images(read_rgb(photo), Tiling(300).tiles(160, 250), 64)
    assert np.array_equal(pixels, load_images([photo], 64))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photo_has_its_map_as_it_is_displayed(model, photo, tmp_path, orientation):
    upright = large_photo()[40:, 90:]  # 120 x 160
    stored = {
        2: upright[:, ::-1],
        3: np.rot90(upright, 2),
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: np.rot90(upright[:, ::-1], -1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = photo.with_name("turned.png")
    Image.fromarray(np.ascontiguousarray(stored)).save(file, exif=exif)
    Image.fromarray(upright).save(photo)
    _, expected = look(model, photo, tmp_path / "upright")
    _, values = look(model, file, tmp_path / "turned")
    assert values.shape == (120, 160)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("kind", ["16 bit", "grey", "palette", "alpha", "cmyk", "1 page of 2"])
def test_other_formats_give_the_map_of_the_same_pixels(model, photo, tmp_path, kind):
    rgb = Image.fromarray(large_photo()[:130, 120:])
    grey = rgb.convert("L")
    file = photo.with_name("other.png")
    if kind == "16 bit":
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 256 + 77).save(file)
        expected = grey
    elif kind == "grey":
        grey.save(file)
        expected = grey
    elif kind == "palette":
        rgb.convert("P").save(file)
        expected = rgb.convert("P").convert("RGB")
    elif kind == "alpha":
        alpha = Image.new("L", rgb.size, 255)
        alpha.paste(0, (0, 0, 30, 30))
        rgba = rgb.copy()
        rgba.putalpha(alpha)
        rgba.save(file)
        expected = rgb.copy()
        expected.paste((0, 0, 0), (0, 0, 30, 30))
    elif kind == "cmyk":
        file = photo.with_name("other.tif")
        rgb.convert("CMYK").save(file)
        expected = rgb.convert("CMYK").convert("RGB")
    else:
        file = photo.with_name("other.tif")
        rgb.save(file, save_all=True, append_images=[Image.new("RGB", rgb.size)])
        expected = rgb
    expected.convert("RGB").save(photo)
    _, plain = look(model, photo, tmp_path / "plain")
    _, values = look(model, file, tmp_path / "other")
    np.testing.assert_array_equal(values, plain)


def test_only_the_region_of_interest_counts(model, photo, tmp_path):
    region = tmp_path / "region.json"
    save_region(region, [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]])  # the left half, without the defect
    (free,), _ = look(model, photo, tmp_path / "free")
    (confined,), values = look(model, photo, tmp_path / "confined", region=region)
    assert (free.decision, confined.tiles) == ("anomalous", 9)
    assert confined.score < free.score
    assert (values[:, 127:] == 0).all()  # a pixel of the model's beside the edge at 125
    assert (values[:, :123] > 0).all()
    save_region(region, [[[0.7, 0.55], [0.9, 0.55], [0.9, 0.8], [0.7, 0.8]]])  # around the defect
    (around,), _ = look(model, photo, tmp_path / "around", region=region)
    assert around.score == pytest.approx(free.score, rel=1e-5)


def test_a_region_that_no_tile_shows_is_one_line(model, photo, tmp_path, capsys):
    region = tmp_path / "region.json"
    save_region(region, [[[0.5, 0.5], [0.5001, 0.5], [0.5001, 0.5001]]])
    assert run(model, photo, tmp_path, "--tile", 64, "--region", region, "--no-pictures") == 2
    assert "has no pixel in any tile; make its polygons larger" in capsys.readouterr().err


def run(model, source, tmp_path, *arguments):
    save_model(tmp_path / "model", model.method, "dots", model.thresholds)
    common = ["detect", source, "--model", tmp_path / "model", "--output", tmp_path / "out"]
    return main([*map(str, common), *map(str, arguments)])


def test_the_command_says_how_it_looked(model, photo, tmp_path, capsys):
    (photo.with_name("torn.png")).write_bytes(photo.read_bytes()[:300])
    assert run(model, photo.parent, tmp_path, "--tile", 64, "--json") == 1
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert record["tiling"] == {"side": 64, "overlap": 0.25}
    assert [(image["file"], image["tiles"]) for image in record["images"]] == [("large.png", 15)]
    assert "torn.png: is truncated or damaged" in captured.err
    with Image.open(tmp_path / "out/large.png") as picture:
        assert picture.width > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--overlap", 0.5), "give their side with --tile, too"),
        (("--tile", 8), "give at least 16"),
        (("--tile", 64, "--overlap", 0.8), "0 to 0.75; got 0.8"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(model, photo, tmp_path, capsys, arguments, said):
    assert run(model, photo, tmp_path, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_few_tiles_are_in_memory_at_a_time(model, photo, monkeypatch):
    sizes, done = [], []
    score = model.method.score
    monkeypatch.setattr(
        model.method, "score", lambda images, **rest: sizes.append(len(images)) or score(images, **rest)
    )
    score_in_tiles(model.method, large_photo(), TILING, done=done.append)
    assert sizes == done == [8, 7]


def test_without_thresholds_maps_are_drawn_on_their_own_range(model, photo, tmp_path):
    save_model(tmp_path / "bare", model.method, "dots", {})
    results = detect(load_model(tmp_path / "bare"), photo, tmp_path / "out", tiling=TILING, maps=True, progress=False)
    values = np.load(tmp_path / "out/large.npy")
    assert results.model["scale"]["shown_as_0"] == values.min()
    assert results.rows[0].decision is None


def test_a_drawn_map_is_small_and_keeps_a_single_high_pixel():
    values = np.zeros((2000, 3000), np.float32)
    values[1234, 2345] = 9
    drawn = _drawn_map(values)
    assert drawn.shape == (533, LARGEST_DRAWN)
    assert drawn.max() == 9
    assert _drawn_map(values[:20, :30]).shape == (20, 30)


def test_a_map_is_enlarged_linearly():
    assert resized(np.ones((4, 4), np.float32), (9, 7)).tolist() == np.ones((9, 7)).tolist()
