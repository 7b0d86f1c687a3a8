"""The animated demonstration of a trained model, and the still strip beside it.

A frame names the outcome (found, missed, passed, false alarm) and shows the photo with the true outline, the anomaly
map on the fixed scale, and what lies above the pixel threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from anomaly_lib.data.folder import GOOD
from anomaly_lib.evaluation.thresholds import decide, decision_words
from anomaly_lib.figures.style import CONTOUR_COLOUR, DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS, NORMAL_COLOUR

GAP, BAND, TITLES = 6, 40, 24
"""Pixels between panels, and heights of the band with the outcome and of the line with the panels' titles."""
BACKGROUND = "#1a1a1a"
"""Dark on every page, as of a film: no white box where the page is dark."""
LARGEST_GIF = 1_000_000  # bytes
COLOURS = (96, 64, 32)
"""Palette sizes to try, the largest first; 256 would double the bytes, for grain that nobody sees."""
OUTCOMES = {
    "found": (NORMAL_COLOUR, "✔"),
    "missed": (DECISION_COLOURS["anomalous"], "✘"),
    "passed": (NORMAL_COLOUR, "✔"),
    "false alarm": ("#9c3f77", "⚠"),
    "no decision": (DECISION_COLOURS[None], "?"),
}
"""Colour and sign of each outcome, in the order of frames; white words have at least 5 to 1 on each colour."""


@dataclass(frozen=True)
class DemoImage:
    """One image of the demonstration."""

    image: np.ndarray
    """(3, P, P) in [0, 1], P the side of a panel."""
    mask: np.ndarray | None
    """(P, P) bool; None where the data set has no mask for it."""
    shown_map: np.ndarray
    """(S, S), on the fixed scale."""
    label: str
    """Defect type or 'good'."""
    score: float
    threshold: float | None
    """None for a model without one: nothing is decided then."""

    @property
    def outcome(self) -> str:
        """A key of ``OUTCOMES``, by the score alone: a found defect may be flagged for another place."""
        return outcome(self.label != GOOD, decide(self.score, self.threshold))


def outcome(is_anomalous: bool, decision: str | None) -> str:
    """What a decision comes to on an image whose truth is known, a key of ``OUTCOMES``."""
    below, above = ("missed", "found") if is_anomalous else ("passed", "false alarm")
    return {"normal": below, "anomalous": above, None: "no decision"}[decision]


def in_order(demos: Sequence[DemoImage]) -> list[DemoImage]:
    """Found defects first, so that the first picture shows what the method is for; then as in ``OUTCOMES``."""
    return sorted(demos, key=lambda demo: list(OUTCOMES).index(demo.outcome))


def frame(demo: DemoImage, headline: str) -> Image.Image:
    """One picture: three panels in a row, and above them the outcome in words, with a sign, on its colour."""
    photo, side = np.moveaxis(demo.image, 0, -1), demo.image.shape[-1]
    smooth = Image.fromarray(demo.shown_map.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    shown = np.asarray(smooth)
    low, high = MAP_LIMITS
    dark = photo if demo.threshold is None else np.where(shown[..., None] >= 1, photo, 0.35 * photo)
    panels = {
        "photo" if demo.mask is None else "photo, true outline": _outlined(photo, demo.mask),
        "anomaly map": mpl.colormaps[MAP_COLOURS]((shown - low) / (high - low))[..., :3],
        "no pixel threshold" if demo.threshold is None else "above pixel threshold": _outlined(dark, demo.mask),
    }
    canvas = Image.new("RGB", (len(panels) * (side + GAP) + GAP, BAND + TITLES + side + GAP), BACKGROUND)
    draw, font = ImageDraw.Draw(canvas), _font(side // 17)
    for index, (title, panel) in enumerate(panels.items()):
        left = GAP + index * (side + GAP)
        draw.text((left, BAND + TITLES / 2), title, fill="white", font=font, anchor="lm")
        pixels = (panel.clip(0, 1) * 255).round().astype(np.uint8)
        canvas.paste(Image.fromarray(pixels), (left, BAND + TITLES))
    _draw_band(draw, canvas.width, demo, headline)
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
    strip = Image.fromarray(np.concatenate([np.asarray(picture) for picture in frames]))
    file.parent.mkdir(parents=True, exist_ok=True)
    _indexed(strip, COLOURS[0]).save(file, optimize=True)
    return file


def _indexed(picture: Image.Image, colours: int) -> Image.Image:
    """With a palette that leaves grey photos grey; the default, median cut, paints blotches of the map's colours."""
    return picture.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)


def _outlined(picture: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The picture with a line around the mask, not on it: a thin defect stays to be seen."""
    if mask is None:
        return picture
    line = binary_dilation(mask, iterations=3) & ~binary_dilation(mask)
    return np.where(line[..., None], mpl.colors.to_rgb(CONTOUR_COLOUR), picture)


def _draw_band(draw: ImageDraw.ImageDraw, width: int, demo: DemoImage, headline: str) -> None:
    colour, sign = OUTCOMES[demo.outcome]
    draw.rectangle((0, 0, width, BAND - 1), fill=colour)
    words = f"{headline}: score {decision_words(demo.score, demo.threshold)}"
    side = demo.image.shape[-1]
    draw.text((GAP, BAND / 2), f"{sign} {demo.outcome}: {demo.label}", "white", _font(side // 11), anchor="lm")
    draw.text((width - GAP, BAND / 2), words, "white", _font(side // 19), anchor="rm")


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's own font: it has the signs, and the letters of most languages."""
    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf", max(8, size))
