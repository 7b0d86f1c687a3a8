"""Widgets: a control moves, the picture changes; reset brings it back; there is alternative text."""

import base64
import re

import ipywidgets
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from anomaly_course.widgets.browse import browse, sample_figure
from anomaly_course.widgets.perlin import perlin_figure, perlin_studio
from anomaly_course.widgets.picture import WIDGET_VIEW, picture_with_controls
from anomaly_lib.base.errors import InputError
from anomaly_lib.data import load_category
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


def titled(number: int) -> Figure:
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.set_title(f"{number} squared\nis {number**2}")
    return figure


def slider() -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(2, 0, 9, description="number")


def alt_of(picture) -> str:
    return re.search(r'alt="([^"]+)"', picture.value)[1]


def test_alternative_text_says_what_is_shown_now():
    widget = picture_with_controls(titled, {"number": slider()}, "a square")
    (control,), reset, picture = widget_parts(widget)
    assert alt_of(picture) == "a square. number 2. 2 squared is 4"
    control.value = 3
    assert alt_of(picture) == "a square. number 3. 3 squared is 9"
    reset.click()
    assert alt_of(picture) == "a square. number 2. 2 squared is 4"


def test_the_busy_sign_is_there_while_a_picture_is_drawn_and_gone_afterwards():
    seen = []

    def draw(number: int) -> Figure:
        seen.append(busy.value if busy else None)
        if number == 9:
            raise RuntimeError("a programming error")
        return titled(number)

    busy = None
    widget = picture_with_controls(draw, {"number": slider()}, "a square")
    control, _, busy = widget.children[0].children
    control.value = 3
    assert 'role="status"' in seen[-1]
    assert busy.value == ""
    with pytest.raises(RuntimeError):
        control.value = 9
    assert busy.value == ""


def test_reset_draws_once_however_many_controls_change():
    drawn = []

    def draw(one: int, two: int) -> Figure:
        drawn.append((one, two))
        return titled(one + two)

    widget = picture_with_controls(draw, {"one": slider(), "two": slider()}, "a sum")
    (one, two), reset, _ = widget_parts(widget)
    one.value, two.value = 5, 6
    reset.click()
    assert drawn == [(2, 2), (5, 2), (5, 6), (2, 2)]


def test_bad_input_stands_in_the_pictures_place():
    def draw(number: int) -> Figure:
        if number > 5:
            raise InputError("photo <9>: no such photo; take another")
        return titled(number)

    widget = picture_with_controls(draw, {"number": slider()}, "a square")
    (control,), _, picture = widget_parts(widget)
    control.value = 7
    assert picture.value == '<p role="alert">photo &lt;9&gt;: no such photo; take another</p>'
    control.value = 1
    assert alt_of(picture).endswith("1 squared is 1")


def test_pages_without_a_kernel_get_a_still_picture_with_its_alternative_text():
    bundle = picture_with_controls(titled, {"number": slider()}, "a square")._repr_mimebundle_()
    assert WIDGET_VIEW in bundle
    alt, picture = re.search(r'<img alt="(.*?)" src="data:image/png;base64,(.*?)"', bundle["text/html"]).groups()
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert alt == "a square. number 2. 2 squared is 4"
