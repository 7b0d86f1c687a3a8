"""The region picker: its outlines, its JSON, its controls, and saving."""

import json

import numpy as np
import pytest

from anomaly_course.widgets.region import ELLIPSE, HOLE, RECTANGLE, outline, region_figure, region_picker
from anomaly_lib.data.regions import rasterise, read_polygons
from tests.helpers import assert_controls_change_the_picture_and_reset_restores_it

IMAGE = np.random.default_rng(0).random((3, 32, 32))


def test_outlines_cover_what_they_say():
    span = (0.25, 0.75), (0.0, 0.5)
    assert rasterise(*outline(*span, RECTANGLE), 64).mean() == pytest.approx(0.25)
    assert rasterise(*outline(*span, ELLIPSE), 64).mean() == pytest.approx(0.25 * np.pi / 4, rel=0.02)
    assert rasterise(*outline(*span, HOLE), 64).mean() == pytest.approx(0.75)


def test_the_figure_states_the_share():
    assert "25% of the image" in region_figure(IMAGE, *outline((0, 0.5), (0, 0.5), RECTANGLE)).axes[0].get_title()


def test_controls_change_picture_and_json_and_reset_restores_both():
    picker, text = region_picker(IMAGE).children
    first = text.value

    def choose(control):
        return ELLIPSE if control.description == "shape" else (0.3, 0.6)

    assert_controls_change_the_picture_and_reset_restores_it(picker, choose)
    assert text.value == first
    picker.children[0].children[0].value = (0.3, 0.6)
    assert json.loads(text.value)["polygons"][0][0] == [0.3, 0.1]


def test_an_empty_outline_has_a_picture_too():
    assert "0% of" in region_figure(IMAGE, *outline((0.5, 0.5), (0.5, 0.5), RECTANGLE)).axes[0].get_title()


def test_save_writes_what_the_field_shows_and_says_so(tmp_path):
    file = tmp_path / "region.json"
    _, text, row = region_picker(IMAGE, file).children
    button, status = row.children
    button.click()
    assert status.value == f"saved to {file}"
    assert file.read_text() == text.value + "\n"
    assert read_polygons(file) == outline((0.1, 0.9), (0.1, 0.9), RECTANGLE)


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "taken").write_text("")
    _, _, row = region_picker(IMAGE, tmp_path / "taken" / "region.json").children
    button, status = row.children
    button.click()
    assert status.value.startswith("not saved:")
