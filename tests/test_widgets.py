"""Widgets: a control moves, the picture changes; reset brings it back; there is alternative text."""

import re

import pytest
from matplotlib.figure import Figure

from anomaly_lib.data import load_category
from anomaly_lib.widgets.browse import browse, sample_figure
from anomaly_lib.widgets.perlin import perlin_figure, perlin_studio
from tests.helpers import assert_controls_change_the_picture_and_reset_restores_it, widget_parts


@pytest.fixture(params=["browse", "perlin"])
def widget(request, tiny_data):
    return browse(load_category(tiny_data, "dots").test) if request.param == "browse" else perlin_studio()


def test_every_control_changes_the_picture_and_reset_brings_it_back(widget):
    assert_controls_change_the_picture_and_reset_restores_it(widget)


def test_there_are_at_most_three_controls_and_alternative_text(widget):
    moving, _, picture = widget_parts(widget)
    assert len(moving) <= 3
    assert len(re.search(r'<img alt="([^"]+)"', picture.value)[1]) > 20


def test_the_functions_behind_the_controls_are_plain(tiny_data):
    assert isinstance(sample_figure(load_category(tiny_data, "dots").test[0]), Figure)
    assert "32×1 cells" in perlin_figure(32, 1, 0.5).axes[0].get_title()
