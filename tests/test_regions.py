"""Regions of interest: rasterised by pixel centres, read back as written, refused in one line."""

import json

import numpy as np
import pytest

from anomaly_lib.base.errors import InputError
from anomaly_lib.data.regions import load_region, rasterise, read_polygons, save_region

WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
MIDDLE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]


def test_a_rectangle_holds_the_pixels_whose_centres_lie_in_it():
    region = rasterise([MIDDLE], [], 8)
    assert np.array_equal(np.argwhere(region), [(y, x) for y in range(2, 6) for x in range(2, 6)])


def test_x_goes_right_and_y_goes_down():
    region = rasterise([[[0, 0], [1, 0], [1, 0.25], [0, 0.25]]], [], 4)
    assert region[0].all()
    assert not region[1:].any()


def test_polygons_are_joined_and_what_is_excluded_is_taken_out():
    assert np.array_equal(rasterise([LEFT_HALF, WHOLE], [MIDDLE], 8), ~rasterise([MIDDLE], [], 8))
    assert np.array_equal(rasterise([], [MIDDLE], 8), ~rasterise([MIDDLE], [], 8))


@pytest.mark.parametrize("polygons", [[], [WHOLE]])
@pytest.mark.parametrize("size", [7, 64])
def test_no_polygon_and_the_whole_image_are_everything(polygons, size):
    assert rasterise(polygons, [], size).all()


def test_a_triangle_has_half_the_area_to_a_pixel_a_row():
    assert rasterise([[[0, 0], [1, 0], [0, 1]]], [], 64).mean() == pytest.approx(0.5, abs=1 / 64)


def test_a_saved_region_is_read_back_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "roi" / "capsule.json"
    save_region(file, [LEFT_HALF], [MIDDLE])
    assert read_polygons(file) == ([LEFT_HALF], [MIDDLE])
    assert [path.name for path in file.parent.iterdir()] == ["capsule.json"]
    save_region(file, [MIDDLE])
    assert read_polygons(file) == ([MIDDLE], [])


def test_load_region_is_a_bool_tensor_of_the_size(tmp_path):
    save_region(tmp_path / "a.json", [LEFT_HALF])
    region = load_region(tmp_path / "a.json", 10)
    assert str(region.dtype) == "torch.bool"
    assert region.shape == (10, 10)
    assert region[:, :5].all()
    assert not region[:, 5:].any()


def test_the_region_scales_with_the_image(tmp_path):
    save_region(tmp_path / "a.json", [MIDDLE])
    assert np.array_equal(load_region(tmp_path / "a.json", 32)[::2, ::2], load_region(tmp_path / "a.json", 16))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "is not a JSON object"),
        (b'{"polygon": []}', "unknown key 'polygon'; did you mean 'polygons'?"),
        (b'{"polygons": 3}', "'polygons' is not a list of polygons"),
        (b'{"polygons": [[[0, 0], [1, 1]]]}', r"polygons[0] has 2 points; a polygon needs at least 3"),
        (b'{"polygons": [[[0, 0], [1, 1], [0, 1, 2]]]}', "polygons[0] is not a list of points"),
        (b'{"polygons": [[[0, 0], [1, 1], [0, true]]]}', "polygons[0] is not a list of points"),
        (b'{"exclude": [[[0, 0], [1, 1], [0, 120]]]}', "exclude[0]: [0, 120] lies outside 0 to 1"),
        (b'{"polygons": [[[0, 0], [1, 1], [0, NaN]]]}', "lies outside 0 to 1"),
        (b'{"polygons": [[[0, 0], [0.001, 0], [0, 0.001]]]}', "its region has no pixel at 16 x 16"),
        (b'{"exclude": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}', "its region has no pixel"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, words):
    file = tmp_path / "region.json"
    file.write_bytes(text)
    with pytest.raises(InputError) as caught:
        load_region(file, 16)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert words in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: cannot be read"):
        load_region(tmp_path / "nowhere.json", 16)


def test_what_could_not_be_read_is_not_saved(tmp_path):
    with pytest.raises(InputError, match="outside 0 to 1"):
        save_region(tmp_path / "a.json", [[[0, 0], [2, 0], [0, 1]]])
    assert not any(tmp_path.iterdir())


def test_numpy_numbers_may_be_saved(tmp_path):
    save_region(tmp_path / "a.json", [[list(point) for point in np.array(MIDDLE, dtype=np.float32)]])
    assert json.loads((tmp_path / "a.json").read_text())["polygons"] == [MIDDLE]
