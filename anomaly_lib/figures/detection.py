"""What a model says of one photo, as one picture: input, how the method sees it, anomaly map, overlay.

The panels have the photo's own proportions. S is the model's image size, H x W the photo as it is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from anomaly_lib.data.images import printable
from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.style import CONTOUR_COLOUR, DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS, MapScale, displayable

PANEL_WIDTH, LARGEST_HEIGHT, NARROWEST, RESOLUTION = 3.4, 6.0, 2.4, 200  # inches, dots per inch
WIDE = 2.5
"""The panels of a photo wider than this many times its height stand below each other."""
EXTRA_COLOURS, EXTRA_LIMITS = "cividis", (0.0, 10.0)
STRONGEST_OVERLAY = 0.6  # opacity
LONGEST_NAME = 70  # characters
PLAIN_WORDS = {"normal": "OK", "anomalous": "NG"}


@dataclass(frozen=True)
class Extra:
    """The panel beside the input: how the method came to its map."""

    title: str
    pixels: np.ndarray
    """(S, S, 3) in [0, 1], or (S, S) in units of its own mean."""


@dataclass(frozen=True)
class Detection:
    """One photo and what was found in it."""

    name: str
    photo: np.ndarray
    """(H, W, 3) uint8; may be smaller than the file's image, in the same proportions."""
    anomaly_map: np.ndarray
    """(S, S), in the model's own units."""
    scale: MapScale
    score: float
    threshold: float | None
    extra: Extra | None
    caption: str
    """The small line at the bottom."""
    boxes: Sequence[tuple[float, ...]] = ()
    """Left, top, width and height of each region, in the pixels of ``photo``."""


def telling_extra(pictures: Mapping[str, np.ndarray]) -> Extra | None:
    """The one of ``explain``'s pictures of an image that says most about its ``map``.

    A reconstruction (3, S, S) comes first, then any other colour picture. Of plain maps (S, S) the one is taken that
    stands out most where the anomaly map has its peak, in standard deviations. None if there is only the map.
    """
    others = {name: picture for name, picture in pictures.items() if name != "map"}
    colour = {name: picture for name, picture in others.items() if picture.ndim == 3}
    if colour:
        name = "reconstruction" if "reconstruction" in colour else next(iter(colour))
        return Extra(name.replace("_", " "), displayable(colour[name]))
    if not others:
        return None
    peak = int(np.argmax(pictures["map"]))
    name = max(others, key=lambda key: _prominence(others[key], peak))
    mean = max(float(others[name].mean()), np.finfo(np.float32).tiny)
    return Extra(name.replace("_", " ") + ", clearest at the peak", others[name] / mean)


def _prominence(picture: np.ndarray, peak: int) -> float:
    return float((picture.flat[peak] - picture.mean()) / max(picture.std(), np.finfo(np.float32).tiny))


def drawn(detection: Detection) -> np.ndarray:
    """``detection_figure`` as pixels, (h, w, 3) uint8, drawn once; ``savefig`` draws twice for its layout."""
    canvas = FigureCanvasAgg(detection_figure(detection))
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def detection_figure(detection: Detection) -> Figure:
    """Four panels, the decision above them in words and colour, the scale below."""
    height, width = detection.photo.shape[:2]
    frame = (0, width, height, 0)
    figure, panels, extra_bar, map_bar = _layout(width / height)
    panels[0].imshow(detection.photo, extent=frame)
    panels[0].set_title("input")
    for left, top, *sides in detection.boxes:
        panels[0].add_patch(Rectangle((left, top), *sides, fill=False, edgecolor=CONTOUR_COLOUR, linewidth=1.1))
    _draw_extra(panels[1], extra_bar, detection.extra, frame)
    shown = detection.scale(detection.anomaly_map)
    smooth: dict[str, Any] = {"interpolation": "bilinear", "extent": frame}
    picture = panels[2].imshow(shown, MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1], **smooth)
    panels[2].set_title("anomaly map")
    panels[3].imshow(detection.photo, extent=frame)
    panels[3].imshow(_veil(shown), **smooth)
    panels[3].set_title(f"overlay, score {detection.score:.3g}")
    for panel in panels[2:]:
        _contour(panel, shown, detection.scale, frame)
    bar = _bar(map_bar, picture, detection.scale.label)
    if detection.scale.has_threshold:
        map_bar.axvline(1, color=CONTOUR_COLOUR, linewidth=1.5)
    else:  # the map's own units
        zero, one = detection.scale.zero, detection.scale.one
        bar.set_ticks([0, 1, 2], labels=[f"{value:.3g}" for value in (zero, one, 2 * one - zero)])
    _words_around(figure, detection)
    return figure


def _layout(proportion: float) -> tuple[Figure, list[Axes], Axes, Axes]:
    """Figure, four panels of width / height ``proportion``, and the places of the two colour bars.

    The panels stand in a row, those of a wide photo in a column.
    """
    bar = 0.1  # inches
    if proportion > WIDE:
        width = 3 * PANEL_WIDTH
        height = width / proportion
        figure = Figure((width, 4 * (height + 0.35) + 1.3), RESOLUTION, layout="constrained")
        grid = figure.add_gridspec(5, 2, height_ratios=[height] * 4 + [bar])
        places = [*(grid[row, :] for row in range(4)), grid[4, 0], grid[4, 1]]
    else:
        height = min(PANEL_WIDTH / proportion, LARGEST_HEIGHT)
        width = max(height * proportion, NARROWEST)
        figure = Figure((4 * (width + 0.1), height + 1.6), RESOLUTION, layout="constrained")
        grid = figure.add_gridspec(2, 4, height_ratios=[height, bar])
        places = [*(grid[0, column] for column in range(4)), grid[1, 1], grid[1, 2:]]
    *panels, extra_bar, map_bar = axes = [figure.add_subplot(place) for place in places]
    for axis in axes:
        axis.set_axis_off()
    return figure, panels, extra_bar, map_bar


def _draw_extra(panel: Axes, bar: Axes, extra: Extra | None, frame: tuple[float, float, float, float]) -> None:
    if extra is None:
        panel.text(0.5, 0.5, "this method shows\nnothing but its map", ha="center", va="center")
        return
    panel.set_title(extra.title, parse_math=False)
    if extra.pixels.ndim == 3:
        panel.imshow(extra.pixels, interpolation="bilinear", extent=frame)
        return
    low, high = EXTRA_LIMITS
    picture = panel.imshow(extra.pixels, EXTRA_COLOURS, vmin=low, vmax=high, extent=frame)
    _bar(bar, picture, "times its mean over this photo")


def _veil(shown: np.ndarray) -> np.ndarray:
    """(S, S) shown values -> (S, S, 4) colours, the more opaque the higher."""
    low, high = MAP_LIMITS
    share = ((shown - low) / (high - low)).clip(0, 1)
    veil = mpl.colormaps[MAP_COLOURS](share)
    veil[..., 3] = STRONGEST_OVERLAY * share
    return veil


def _contour(panel: Axes, shown: np.ndarray, scale: MapScale, frame: tuple[float, float, float, float]) -> None:
    """The line at the pixel threshold, where the map crosses it."""
    if scale.has_threshold and shown.min() < 1 <= shown.max():
        panel.contour(shown, [1], colors=[CONTOUR_COLOUR], linewidths=1.1, origin="upper", extent=frame)


def _bar(place: Axes, picture, label: str) -> Colorbar:
    place.set_axis_on()
    bar = place.figure.colorbar(picture, cax=place, orientation="horizontal", extend="both")
    bar.set_label(label, fontsize=8)
    place.tick_params(labelsize=8)
    return bar


def _words_around(figure: Figure, detection: Detection) -> None:
    decision = decide(detection.score, detection.threshold)
    plain = f" ({PLAIN_WORDS[decision]})" if decision else ""
    name = printable(detection.name)
    name = name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
    words = f"{name}: score {decision_words(detection.score, detection.threshold)}{plain}"
    figure.suptitle(words, parse_math=False, color=DECISION_COLOURS[decision], fontsize=11, fontweight="bold")
    figure.supxlabel(detection.caption, fontsize=8, color="0.3", parse_math=False)
