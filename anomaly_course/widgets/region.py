"""Region picker: a rectangle or an ellipse round the part, and the JSON that says so.

Two sliders with two handles each and a choice, all of which work with the keyboard. Other outlines are written by hand
into the file: see ``anomaly_lib.data.regions``. The static figure is ``region_figure``.
"""

from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from anomaly_course.widgets.picture import Studio, picture_with_controls
from anomaly_lib.base.errors import InputError
from anomaly_lib.data.regions import Polygon, rasterise, region_json, save_region
from anomaly_lib.figures.style import CONTOUR_COLOUR, displayable

RECTANGLE, ELLIPSE, HOLE = "rectangle", "ellipse", "all but the rectangle"
SHAPES = (RECTANGLE, ELLIPSE, HOLE)
CORNERS = 48
"""Points of an ellipse."""
OUTSIDE = 0.35
"""Brightness of what is left out."""

Range = tuple[float, float]


def outline(across: Range, down: Range, shape: str) -> tuple[list[Polygon], list[Polygon]]:
    """(polygons, exclude) of a shape that spans ``across`` of the width and ``down`` of the height, in 0 to 1."""
    (left, right), (top, bottom) = across, down
    if shape == ELLIPSE:
        turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        x = (left + right) / 2 + (right - left) / 2 * np.cos(turn)
        y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(turn)
        return [np.stack([x, y], axis=1).clip(0, 1).round(4).tolist()], []
    rectangle = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return ([], [rectangle]) if shape == HOLE else ([rectangle], [])


def region_figure(image: np.ndarray, polygons: list[Polygon], exclude: list[Polygon]) -> Figure:
    """An image (3, S, S) in [0, 1] with what is left out darkened and the outlines drawn; the title says its share."""
    shown, size = displayable(image), np.shape(image)[-1]
    region = rasterise(polygons, exclude, size)
    figure, axis = plt.subplots(figsize=(4.2, 4.4))
    axis.imshow(np.where(region[..., None], shown, OUTSIDE * shown), extent=(0, 1, 1, 0))
    for polygon, style in [(one, "-") for one in polygons] + [(one, "--") for one in exclude]:
        axis.plot(*np.array([*polygon, polygon[0]]).T, style, color=CONTOUR_COLOUR, linewidth=1.5)
    axis.set(title=f"{region.mean():.0%} of the image is looked at", xlabel="x", ylabel="y", xlim=(0, 1), ylim=(1, 0))
    return figure


def region_picker(image: np.ndarray, file: Path | None = None) -> Studio:
    """Pick a region on an image (3, S, S) in [0, 1]; the field below holds the JSON to save.

    With ``file`` there is a button that writes it, and a word whether that worked.
    """
    options = {"min": 0.0, "max": 1.0, "step": 0.01, "readout_format": ".2f", "continuous_update": False}
    controls = {
        "across": ipywidgets.FloatRangeSlider(value=(0.1, 0.9), description="across", **options),
        "down": ipywidgets.FloatRangeSlider(value=(0.1, 0.9), description="down", **options),
        "shape": ipywidgets.Dropdown(options=SHAPES, value=RECTANGLE, description="shape"),
    }
    text = ipywidgets.Textarea(description="JSON", layout=ipywidgets.Layout(width="36em", height="6em"))

    def draw(**values) -> Figure:
        polygons = outline(**values)
        text.value = region_json(*polygons)
        return region_figure(image, *polygons)

    alt = "The image with the region of interest bright, and what is left out dark"
    picker = picture_with_controls(draw, controls, alt)
    below = [text] if file is None else [text, _save_row(controls, file)]
    return Studio([picker, *below], picker.still, picker.alt)


def _save_row(controls: dict[str, ipywidgets.Widget], file: Path) -> ipywidgets.HBox:
    button = ipywidgets.Button(description="save", tooltip=f"write {file}")
    status = ipywidgets.Label("not saved yet")

    def save(clicked) -> None:
        try:
            save_region(file, *outline(**{name: control.value for name, control in controls.items()}))
            status.value = f"saved to {file}"
        except InputError as error:
            status.value = f"not saved: {error}"

    button.on_click(save)
    return ipywidgets.HBox([button, status])
