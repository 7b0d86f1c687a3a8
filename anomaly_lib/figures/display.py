"""Show pictures in a notebook with words for people who do not see them.

As HTML: JupyterLab leaves the alternative text of a plain image output out (seen in 4.6), where nbconvert does not.
"""

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image

from anomaly_lib.figures.style import save_figure

BACKGROUND = "color-mix(in srgb, var(--jp-layout-color0, #fff), #fff 80%)"


def show(figure: Figure, alt: str) -> None:
    """Display the figure with the alternative text ``alt``, and close it."""
    display(HTML(image_element(png(figure), alt)))


def save_and_show(figure: Figure, file: Path, alt: str) -> None:
    """Write the figure to a PNG file, and display it as ``show`` does."""
    save_figure(figure, file)
    show(figure, alt)


def show_file(file: Path, alt: str) -> None:
    """Display a PNG or GIF file with the alternative text ``alt``."""
    display(HTML(image_element(file.read_bytes(), alt)))


def image_element(image: bytes, alt: str) -> str:
    """An ``img`` that holds the image itself, never wider than its place: a part to scroll to would not be seen.

    A figure, which says its dots per inch, takes 100 pixels of the page per inch. Behind a transparent one is white,
    or light grey in a dark theme of JupyterLab or the site; where JupyterLab trusts no styles, the plain colour.
    """
    data = base64.b64encode(image).decode()
    with Image.open(io.BytesIO(image)) as picture:
        width, kind = round(picture.width * 100 / picture.info.get("dpi", (100, 100))[0]), picture.get_format_mimetype()
    style = f"max-width: 100%; height: auto; background-color: #f4f4f4; background: {BACKGROUND}"
    return f'<img alt="{html.escape(alt)}" src="data:{kind};base64,{data}" width="{width}" style="{style}">'


def png(figure: Figure) -> bytes:
    """The figure as PNG, transparent; closes it, or the inline backend would show it a second time."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", transparent=True, metadata={"Software": None})
    plt.close(figure)
    return stream.getvalue()
