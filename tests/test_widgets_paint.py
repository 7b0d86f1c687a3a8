"""Paint a defect: strokes are rasterised as they say, models answer on one scale, and the demo works without models."""

import re
from pathlib import Path

import numpy as np
import pytest

from anomaly_course.widgets import trained
from anomaly_course.widgets.brush import Brush
from anomaly_course.widgets.looks import look, map_picture
from anomaly_course.widgets.paint import COLOURS, Panel, paint_and_look, paint_figure, paint_studio, part_photo
from anomaly_course.widgets.strokes import Stroke, paint, stroke_of
from anomaly_course.widgets.trained import Offer, found_models, normal_score, quick_dfr, split_of
from anomaly_lib.base.progress import progress_bar, progress_told_to
from anomaly_lib.data import load_category, read_rgb
from anomaly_lib.evaluation import is_anomalous
from anomaly_lib.figures.style import on_fixed_scale
from anomaly_lib.methods.checkpoints import save_model
from anomaly_lib.params import load_params
from anomaly_lib.registry import params_class
from tests.conftest import TINY_SETTINGS

GREY = np.full((40, 80, 3), 100, np.uint8)
DOT = {"colour": "#ff0000", "width": 0.1, "points": [[0.25, 0.5]]}


def changed(painted: np.ndarray) -> np.ndarray:
    return (painted != 100).any(axis=-1)


def test_without_strokes_nothing_changes():
    assert np.array_equal(paint(GREY, []), GREY)


def test_a_point_is_a_dot_of_the_brushs_width():
    painted = paint(GREY, [stroke_of(DOT)])
    assert tuple(painted[20, 20]) == (255, 0, 0)
    assert changed(painted).sum() == pytest.approx(np.pi * 4**2, abs=16)  # 8 pixels wide
    rows, columns = np.nonzero(changed(painted))
    assert (rows.mean(), columns.mean()) == pytest.approx((20, 20), abs=0.6)


def test_a_line_covers_its_length_and_has_smooth_edges():
    painted = paint(GREY, [Stroke("#000000", 0.05, ((0.25, 0.5), (0.75, 0.5)))])
    assert (painted[20, 20:60] == 0).all()
    assert changed(painted).sum() == pytest.approx(40 * 4 + np.pi * 2**2, abs=60)
    diagonal = paint(GREY, [Stroke("#000000", 0.05, ((0.2, 0.2), (0.8, 0.7)))])
    assert len(np.unique(diagonal)) > 5


def test_later_strokes_cover_earlier_ones_and_the_photo_stays():
    before = GREY.copy()
    painted = paint(GREY, [stroke_of(DOT), stroke_of(DOT | {"colour": "#0000ff"})])
    assert tuple(painted[20, 20]) == (0, 0, 255)
    assert np.array_equal(GREY, before)


def test_a_brush_may_leave_the_photo():
    assert not changed(paint(GREY, [Stroke("#000000", 0.1, ((-3.0, -3.0), (-2.0, -3.0)))])).any()


WRONG = ({"points": []}, {"points": [[1]]}, {"points": [[0, np.nan]]}, {"width": 0}, {"width": 2}, {"colour": "none"})


@pytest.mark.parametrize("wrong", [{}, [], DOT | {"colour": 5}, *(DOT | change for change in WRONG)])
def test_what_is_no_stroke_is_refused(wrong):
    with pytest.raises(ValueError, match="not a stroke"):
        stroke_of(wrong)


@pytest.fixture(scope="module")
def profile(tiny_data, tmp_path_factory):
    """A profile with one category and one method, nothing trained."""
    changes = {"data": str(tiny_data), "categories": ["dots"], "reports": str(tmp_path_factory.mktemp("reports"))}
    return load_params().model_copy(update=changes | {"methods": {"dfr": params_class("dfr")(**TINY_SETTINGS["dfr"])}})


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def model(profile, told):
    with progress_told_to(lambda *words: told.append(words)):
        return quick_dfr(profile, "dots", steps=80)


@pytest.fixture
def trained_profile(profile, model, tmp_path):
    save_model(tmp_path / "calibrate/dfr-dots-0", model.method, "dots", model.thresholds)
    return profile.model_copy(update={"reports": str(tmp_path)})


def bright_square() -> Stroke:
    return Stroke("#ffffff", 0.2, ((0.5, 0.5), (0.55, 0.55)))


def test_a_small_dfr_is_fitted_with_progress_and_has_honest_thresholds(model, told):
    assert {"DFR features", "DFR training"} <= {description for description, *_ in told}
    assert any(done == total == 80 for _, done, total in told)
    assert model.thresholds["held_out_images"] == 2
    assert model.thresholds["pixel_median"] < model.thresholds["pixel"]


def test_a_bar_that_is_told_writes_nothing(capfd):
    heard = []
    with progress_told_to(lambda *words: heard.append(words)):
        list(progress_bar(range(3), description="three"))
    assert heard[-1] == ("three", 3, 3)
    list(progress_bar(range(3), description="hidden", show=False))
    assert capfd.readouterr() == ("", "")


def test_a_painted_defect_raises_score_and_map_where_it_is(profile, model):
    photo = part_photo(profile, "dots")
    (before,), (after,) = (paint_and_look(profile, photo, strokes, [model]) for strokes in ([], [bright_square()]))
    assert after.score > 2 * before.score
    assert after.share > max(2, before.share)  # two held-out images say little of where an untouched one lies
    assert after.decision == "anomalous"
    row, column = np.unravel_index(after.shown.argmax(), after.shown.shape)
    assert abs(row - 33) < 10
    assert abs(column - 33) < 10


def test_the_map_is_on_the_fixed_scale(profile, model):
    held_out = split_of(profile, load_category(profile.data, "dots"), 0)[1]
    middle = np.median([look(model, read_rgb(sample.path), 0.0).score for sample in held_out])
    assert normal_score(profile, model) == pytest.approx(middle, rel=1e-4)
    answer = look(model, part_photo(profile, "dots"), zero=1.0)
    assert answer.share == pytest.approx((answer.score - 1) / (answer.threshold - 1))
    one, zero = model.thresholds["pixel"], model.thresholds["pixel_median"]
    assert on_fixed_scale(np.array([zero, one]), model.thresholds).tolist() == [0, 1]
    assert answer.decision == ("anomalous" if is_anomalous([answer.score], answer.threshold)[0] else "normal")


def test_the_maps_picture_borders_what_is_above_the_threshold():
    shown = np.zeros((20, 20))
    shown[5:12, 5:12] = 3
    picture = map_picture(shown)
    assert tuple(picture[5, 5]) == (0, 229, 255)
    assert tuple(picture[8, 8]) != (0, 229, 255)
    assert tuple(picture[0, 0]) == (0, 0, 3)  # the darkest of magma
    assert not (map_picture(np.zeros((20, 20))) == (0, 229, 255)).all(axis=-1).any()


def test_the_figure_says_what_each_method_decides(profile, model):
    photo, strokes = part_photo(profile, "dots"), [bright_square()]
    titles = [
        axis.get_title() for axis in paint_figure(photo, strokes, paint_and_look(profile, photo, strokes, [model])).axes
    ]
    assert titles[0] == "painted, 1 stroke"
    assert re.match(r"DFR: anomalous\nscore [\d.]+, threshold 1", titles[1])


def test_strokes_move_the_panels_and_undo_clear_and_reset_take_them_back(trained_profile):
    studio = paint_studio(trained_profile)
    (panel,) = studio.panels
    first = panel.picture.value
    assert 'alt="DFR: ' in first
    studio.brush.strokes = [DOT | {"colour": "#ffffff"}]
    second = panel.picture.value
    studio.brush.strokes = [*studio.brush.strokes, DOT | {"points": [[0.7, 0.7], [0.8, 0.7]]}]
    assert len({first, second, panel.picture.value}) == 3
    studio.buttons["undo"].click()
    assert panel.picture.value == second
    studio.buttons["clear"].click()
    assert panel.picture.value == first
    studio.controls["colour"].value, studio.controls["width"].value = "white", 30
    assert (studio.brush.colour, studio.brush.width) == ("#ffffff", 30 / 256)
    studio.brush.strokes = [DOT]
    studio.buttons["reset"].click()
    assert (studio.brush.strokes, studio.brush.colour) == ([], next(iter(COLOURS.values())))
    assert panel.picture.value == first


def test_a_panel_is_busy_while_its_model_looks(trained_profile, monkeypatch):
    panel = paint_studio(trained_profile).panels[0]
    seen = []
    monkeypatch.setattr("anomaly_course.widgets.paint.look", lambda *a: seen.append(panel.busy.value) or look(*a))
    panel.show(part_photo(trained_profile, "dots"))
    assert "DFR is looking" in seen[0]
    assert panel.busy.value == ""


def test_without_a_model_the_command_is_named_and_a_small_dfr_is_offered(profile, monkeypatch):
    assert found_models(profile, "dots") == {}
    studio = paint_studio(profile)
    (offer,) = studio.answers.children
    assert isinstance(offer, Offer)
    assert f"No model of dots yet: make repro, {trained.MINUTES} minutes on a laptop." in offer.children[0].value
    monkeypatch.setattr(trained, "QUICK_STEPS", 20)
    studio.brush.strokes = [DOT]
    said = []
    offer.state.observe(lambda change: said.append(change["new"]), "value")
    offer.button.click()
    assert [type(child) for child in studio.answers.children] == [Panel]
    assert "alt=" in studio.panels[0].picture.value
    assert offer.bar.value == 1
    assert "reading photos" in said[0]
    assert any(re.search(r"\d of \d", words) for words in said)
    assert "finding the thresholds" in said[-2]
    assert said[-1] == ""


def test_the_sample_datas_models_come_with_their_command_and_minutes(root):
    words = trained.how_to_train(load_params("params.yaml"), "nut")
    assert words.startswith(f"No model of nut yet: make repro, {trained.MINUTES} minutes on a laptop.")
    assert f"| a laptop | {trained.MINUTES} min," in (root / "README.md").read_text()
    assert f"`make repro`, {trained.MINUTES} minutes;" in (root / "docs/teach/README.md").read_text()


def test_the_brush_loads_nothing_from_elsewhere_and_says_how_it_is_used():
    source = Path(trained.__file__).with_name("brush.js").read_text()
    assert not re.search(r"https?://|import\s", source)
    brush = Brush()
    brush.strokes = [DOT]
    brush.show_photo(GREY, "a grey photo")
    assert brush.strokes == []
    assert brush.photo.startswith("data:image/png;base64,")
    assert "a grey photo" in brush.alt
    assert "space" in brush.alt
