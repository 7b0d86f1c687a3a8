"""The demonstration: a fixed scale, an honest decision, a GIF within its budget."""

import numpy as np
import pytest
from PIL import Image

from anomaly_lib.figures import demo
from anomaly_lib.figures.demo import DemoImage, frame, in_order, save_gif, save_strip
from anomaly_lib.figures.style import on_fixed_scale


def make_demo(score=1.0, threshold=2.0, mask=None, label="hole"):
    image = np.random.default_rng(0).random((3, 32, 32))
    shown = np.zeros((32, 32))
    shown[:8] = 1.5
    return DemoImage(image, mask, shown, label, score, threshold)


def test_the_scale_is_0_at_the_median_and_1_at_the_threshold():
    shown = on_fixed_scale(np.array([[2.0, 5.0]]), {"pixel_median": 2.0, "pixel": 5.0})
    assert shown.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("label", "score", "outcome"),
    [("hole", 1.99, "missed"), ("hole", 2.0, "found"), ("good", 1.99, "passed"), ("good", 2.0, "false alarm")],
)
def test_an_outcome_compares_decision_and_truth(label, score, outcome):
    assert make_demo(score, label=label).outcome == outcome


def test_a_wrong_decision_has_a_colour_and_a_sign_of_its_own():
    right = {demo.OUTCOMES[name] for name in ("found", "passed")}
    colours, signs = zip(*(right | {demo.OUTCOMES["missed"], demo.OUTCOMES["false alarm"]}), strict=True)
    assert len(right) == 1
    assert len(set(colours)) == len(set(signs)) == 3


def test_the_demonstration_opens_on_a_found_defect():
    demos = [make_demo(3.0, label="good"), make_demo(1.0, label="good"), make_demo(1.0), make_demo(3.0)]
    assert [case.outcome for case in in_order(demos)] == ["found", "missed", "passed", "false alarm"]


def panel(picture, index, size):
    left, top = demo.GAP + index * (size + demo.GAP), demo.BAND + demo.TITLES
    return np.asarray(picture)[top : top + size, left : left + size]


def test_a_frame_shows_photo_map_and_what_is_above_the_threshold():
    case = make_demo(mask=np.zeros((32, 32), bool))
    photo, _, found = (panel(frame(case, "DFR, fabric"), index, 32) for index in range(3))
    assert np.array_equal(photo, (np.moveaxis(case.image, 0, -1) * 255).round())
    assert np.array_equal(found[:8], photo[:8])
    assert found[8:].mean() < 0.4 * photo[8:].mean()


def test_the_true_outline_lies_around_the_defect_not_on_it():
    mask = np.zeros((32, 32), bool)
    mask[16:20, 10:20] = True
    case = make_demo(mask=mask)
    plain, outlined = (panel(frame(shown, "x"), 0, 32) for shown in (make_demo(), case))
    drawn = (plain != outlined).any(axis=-1)
    assert not drawn[16:20, 10:20].any()
    assert drawn[13, 10:20].all()
    assert not drawn[:12].any()
    assert outlined[13, 15].tolist() == [0, 229, 255]


@pytest.mark.parametrize("threshold", [2.0, None])
def test_the_band_has_the_colour_of_the_outcome(threshold):
    case = make_demo(threshold=threshold)
    band = frame(case, "x").getpixel((1, 1))
    assert "#{:02x}{:02x}{:02x}".format(*band) == demo.OUTCOMES[case.outcome][0]


def test_a_gif_that_is_too_large_gets_fewer_colours(tmp_path, monkeypatch):
    frames = [frame(make_demo(score), "x") for score in (1.0, 3.0)]
    whole = save_gif(frames, tmp_path / "whole.gif", 0.5).stat().st_size
    monkeypatch.setattr(demo, "LARGEST_GIF", whole - 1)
    assert save_gif(frames, tmp_path / "small.gif", 0.5).stat().st_size < whole
    with Image.open(tmp_path / "small.gif") as gif:
        assert gif.n_frames == 2
        assert gif.info["duration"] == 500


def test_the_strip_holds_every_frame(tmp_path):
    frames = [frame(make_demo(), "x") for _ in range(3)]
    with Image.open(save_strip(frames, tmp_path / "strip.png")) as strip:
        assert strip.size == (frames[0].width, 3 * frames[0].height)


def test_grey_photos_stay_grey_beside_coloured_maps(tmp_path):
    size, ramp = 64, np.linspace(0, 1, 64)
    down = np.add.outer(ramp, ramp)
    frames = []
    for step in range(3):  # with median cut the dark corners take on the map's violet
        grey = np.where(down < 0.12, 0.02 + 0.3 * down + 0.1 * step, 0.45 + 0.1 * np.outer(ramp, ramp) + 0.05 * step)
        shown = np.rot90(down, step) * (0.5 + 0.5 * step)
        frames.append(frame(DemoImage(np.stack([grey] * 3), None, shown, "x", 1.0, 0.5), "x"))
    with Image.open(save_strip(frames, tmp_path / "strip.png")) as strip:
        pictures = np.split(np.asarray(strip.convert("RGB")).astype(int), len(frames))
    assert max(np.ptp(panel(picture, 0, size), axis=-1).max() for picture in pictures) <= 4
