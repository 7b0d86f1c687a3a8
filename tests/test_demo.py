"""The demonstration: a fixed scale, an honest decision, a GIF within its budget."""

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.figures import demo
from anomaly_lib.figures.demo import DemoImage, frame, save_gif, save_strip
from anomaly_lib.figures.style import on_fixed_scale


def make_demo(score=1.0, threshold=2.0, mask=None):
    image = np.random.default_rng(0).random((3, 32, 32))
    shown = np.zeros((32, 32))
    shown[:8] = 1.5
    return DemoImage(image, mask, shown, "hole", score, threshold)


def test_the_scale_is_0_at_the_median_and_1_at_the_threshold():
    shown = on_fixed_scale(np.array([[2.0, 5.0]]), {"pixel_median": 2.0, "pixel": 5.0})
    assert shown.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(("score", "decision"), [(1.99, "normal"), (2.0, "anomalous"), (2.01, "anomalous")])
def test_at_the_threshold_an_image_is_anomalous(score, decision):
    assert make_demo(score).decision == decision


def panel(picture, index, size):
    left = demo.GAP + index * (size + demo.GAP)
    return np.asarray(picture)[demo.TITLE_HEIGHT : demo.TITLE_HEIGHT + size, left : left + size]


def test_a_frame_shows_input_truth_map_and_what_is_above_the_threshold():
    mask = np.zeros((32, 32), bool)
    mask[16:] = True
    case = make_demo(mask=mask)
    picture = frame(case, 32, "DFR, fabric")
    truth, found = panel(picture, 1, 32), panel(picture, 3, 32)
    assert truth[:16].max() == 0
    assert truth[16:].min() == 255
    as_shown = panel(picture, 0, 32)
    assert np.array_equal(found[:8], as_shown[:8])
    assert found[8:].mean() < 0.4 * as_shown[8:].mean()


def test_without_a_mask_the_truth_is_grey_not_empty():
    truth = panel(frame(make_demo(mask=None), 32, "x"), 1, 32)
    assert truth.min() == truth.max() == round(demo.NO_MASK_GREY * 255)


def test_a_gif_that_is_too_large_gets_fewer_colours(tmp_path, monkeypatch):
    frames = [frame(make_demo(score), 64, "x") for score in (1.0, 3.0)]
    whole = save_gif(frames, tmp_path / "whole.gif", 0.5).stat().st_size
    monkeypatch.setattr(demo, "LARGEST_GIF", whole - 1)
    assert save_gif(frames, tmp_path / "small.gif", 0.5).stat().st_size < whole
    with Image.open(tmp_path / "small.gif") as gif:
        assert gif.n_frames == 2
        assert gif.info["duration"] == 500


def test_the_strip_holds_every_frame(tmp_path):
    frames = [frame(make_demo(), 32, "x") for _ in range(3)]
    with Image.open(save_strip(frames, tmp_path / "strip.png")) as strip:
        assert strip.size == (frames[0].width, 3 * frames[0].height)


def test_grey_photos_stay_grey_beside_coloured_maps(tmp_path):
    size, ramp = 64, np.linspace(0, 1, 64)
    down = np.add.outer(ramp, ramp)
    frames = []
    for step in range(3):  # with median cut the dark corners take on the map's violet
        grey = np.where(down < 0.12, 0.02 + 0.3 * down + 0.1 * step, 0.45 + 0.1 * np.outer(ramp, ramp) + 0.05 * step)
        shown = np.rot90(down, step) * (0.5 + 0.5 * step)
        frames.append(frame(DemoImage(np.stack([grey] * 3), None, shown, "x", 1.0, 0.5), size, "x"))
    with Image.open(save_strip(frames, tmp_path / "strip.png")) as strip:
        pictures = np.split(np.asarray(strip.convert("RGB")).astype(int), len(frames))
    assert max(np.ptp(panel(picture, 0, size), axis=-1).max() for picture in pictures) <= 4
