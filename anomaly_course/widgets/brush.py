"""The brush: a canvas in the browser that reports strokes."""

import base64
import io
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image

STYLE = """
.widget-box.anomaly-row { display: grid; gap: 1em;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 13em), 1fr)); }
.widget-box.anomaly-answers { display: contents; }
.anomaly-row > *, .anomaly-answers > * { width: auto; margin: 0; overflow: visible; }
.anomaly-brush, .anomaly-panel { max-width: 60vh; }
.anomaly-brush canvas { width: 100%; display: block; box-sizing: border-box; touch-action: none; cursor: none;
  border: 2px solid transparent; }
.anomaly-brush canvas:focus-visible { border-color: #0072b2; outline: none; }
.anomaly-panel .widget-html, .anomaly-panel .widget-html-content { width: 100%; height: auto; margin: 0; }
.anomaly-panel img { width: 100%; display: block; box-sizing: border-box; border: 2px solid transparent; }
.anomaly-bar { height: 0.6em; background: linear-gradient(to right, #ddd 49.5%, black 49.5% 50.5%, #ddd 50.5%); }
.anomaly-bar div { height: 100%; opacity: 0.8; }
.anomaly-brush p { margin: 0.2em 0; font-size: 0.85em; }
"""


class Brush(anywidget.AnyWidget):
    """Draw on a photo with mouse or keyboard; ``strokes`` follows while a stroke is drawn, some six times a second."""

    _esm = Path(__file__).with_name("brush.js")
    _css = STYLE
    photo = traitlets.Unicode().tag(sync=True)
    """What is drawn on, as a data URL."""
    alt = traitlets.Unicode().tag(sync=True)
    """Describes the photo to people who do not see it."""
    colour = traitlets.Unicode("#000000").tag(sync=True)
    width = traitlets.Float(0.03).tag(sync=True)
    """Of the next stroke, as a share of the photo's width."""
    strokes = traitlets.List().tag(sync=True)
    """Records for ``anomaly_course.widgets.strokes.stroke_of``."""

    def show_photo(self, photo: np.ndarray, name: str) -> None:
        """Take another photo (H, W, 3) uint8, and forget the strokes."""
        self.strokes = []
        self.photo = data_url(photo)
        self.alt = f"Drawing area with {name}. Arrow keys move the brush, space puts it down and lifts it."


def data_url(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a PNG inside a URL."""
    return f"data:image/png;base64,{base64.b64encode(png_of(pixels)).decode()}"


def png_of(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="png", compress_level=1)
    return stream.getvalue()
