"""The animated demonstration of a trained model, and the still strip beside it.

A frame shows input, truth, anomaly map on the fixed scale, and the decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.style import DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS

GAP, TITLE_HEIGHT, FOOTER_HEIGHT = 4, 20, 26
LARGEST_GIF = 1_000_000  # bytes
COLOURS = (256, 128, 64, 32)
"""Palette sizes to try, the largest first."""
NO_MASK_GREY = 0.75


@dataclass(frozen=True)
class DemoImage:
    """One image of the demonstration."""

    image: np.ndarray
    """(3, S, S) in [0, 1]."""
    mask: np.ndarray | None
    """(S, S) bool; None where the data set has no mask for it."""
    shown_map: np.ndarray
    """(S, S), on the fixed scale."""
    label: str
    """Defect type or 'good'."""
    score: float
    threshold: float | None
    """None for a model without one: nothing is decided then."""

    @property
    def decision(self) -> str | None:
        """'anomalous' at or above the threshold, else 'normal'; None without a threshold."""
        return decide(self.score, self.threshold)


def frame(demo: DemoImage, panel_size: int, headline: str) -> Image.Image:
    """One picture: four panels in a row, a headline, and the decision in words and colour."""
    panels = [_rgb(np.moveaxis(demo.image, 0, -1)), _truth(demo), _coloured(demo.shown_map), _found(demo)]
    width = 4 * panel_size + 5 * GAP
    canvas = Image.new("RGB", (width, panel_size + TITLE_HEIGHT + FOOTER_HEIGHT), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    last = "no threshold" if demo.threshold is None else "above threshold"
    for index, (panel, title) in enumerate(zip(panels, ("input", "truth", "anomaly map", last), strict=True)):
        left = GAP + index * (panel_size + GAP)
        canvas.paste(panel.resize((panel_size, panel_size), Image.Resampling.BILINEAR), (left, TITLE_HEIGHT))
        draw.text((left + 2, 2), title, fill="black", font=font)
    words = f"{headline} · {demo.label}: score {decision_words(demo.score, demo.threshold)}"
    colour = DECISION_COLOURS[demo.decision]
    draw.text((GAP + 2, TITLE_HEIGHT + panel_size + 5), words, fill=colour, font=font)
    return canvas


def save_gif(frames: Sequence[Image.Image], file: Path, seconds_per_frame: float) -> Path:
    """Write an endless GIF, with fewer colours until it is under 1 MB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for colours in COLOURS:
        indexed = [_indexed(picture, colours) for picture in frames]
        indexed[0].save(file, save_all=True, append_images=indexed[1:], duration=int(seconds_per_frame * 1000), loop=0)
        if file.stat().st_size < LARGEST_GIF:
            break
    return file


def save_strip(frames: Sequence[Image.Image], file: Path) -> Path:
    """The same frames below each other as one PNG: for paper, and for people who prefer no motion."""
    strip = Image.new("RGB", (frames[0].width, sum(picture.height for picture in frames)), "white")
    top = 0
    for picture in frames:
        strip.paste(picture, (0, top))
        top += picture.height
    file.parent.mkdir(parents=True, exist_ok=True)
    _indexed(strip, COLOURS[0]).save(file, optimize=True)
    return file


def _indexed(picture: Image.Image, colours: int) -> Image.Image:
    """With a palette that leaves grey photos grey; the default, median cut, paints blotches of the map's colours."""
    return picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)


def _rgb(picture: np.ndarray) -> Image.Image:
    return Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))


def _truth(demo: DemoImage) -> Image.Image:
    """White where defective; plain grey where nobody drew a mask."""
    if demo.mask is None:
        return _rgb(np.full((*demo.shown_map.shape, 3), NO_MASK_GREY))
    return _rgb(np.repeat(demo.mask[..., None].astype(float), 3, axis=-1))


def _coloured(shown_map: np.ndarray) -> Image.Image:
    low, high = MAP_LIMITS
    return _rgb(mpl.colormaps[MAP_COLOURS]((shown_map - low) / (high - low))[..., :3])


def _found(demo: DemoImage) -> Image.Image:
    """The input, darkened where the map stays below the pixel threshold; without one, the input."""
    if demo.threshold is None:
        return _rgb(np.moveaxis(demo.image, 0, -1))
    above = demo.shown_map[..., None] >= 1
    picture = np.moveaxis(demo.image, 0, -1)
    return _rgb(np.where(above, picture, 0.35 * picture))
