"""Figures on a page: sharp, at the size that they were drawn for, and without a white box on a dark page."""

import base64
import io
import re

import matplotlib.pyplot as plt
from PIL import Image

from anomaly_lib.figures.display import image_element, png
from anomaly_lib.figures.style import use_style


def drawn(figure):
    with plt.rc_context():
        use_style()
        return image_element(png(figure), "words")


def shown_width(element):
    return int(re.search(r'width="(\d+)"', element)[1])


def pixels(element):
    return Image.open(io.BytesIO(base64.b64decode(re.search(r'base64,([^"]+)"', element)[1])))


def test_a_figure_has_twice_the_pixels_that_it_takes_on_the_page():
    element = drawn(plt.figure(figsize=(3, 2)))
    assert (shown_width(element), pixels(element).size) == (300, (600, 400))


def test_a_photo_is_shown_pixel_by_pixel():
    stream = io.BytesIO()
    Image.new("RGB", (30, 20)).save(stream, "png")
    assert shown_width(image_element(stream.getvalue(), "words")) == 30


def test_the_page_chooses_what_stands_behind_a_figure():
    element = drawn(plt.figure(figsize=(1, 1)))
    assert pixels(element).getpixel((0, 0))[3] == 0
    assert "--jp-layout-color0" in element
    # JupyterLab drops the mix of colours where it does not trust the notebook: a plain light one, named before, is left
    assert re.search(r"background-color: #[d-f][0-9a-f][d-f][0-9a-f][d-f][0-9a-f]; background: color-mix", element)
