"""Paint strokes on a photo: the pure function behind the brush. The canvas in the browser only shows the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw

FINER = 4
"""Strokes are drawn so many times larger, and reduced, so that their edges are smooth."""


@dataclass(frozen=True)
class Stroke:
    """A line of one colour with round ends."""

    colour: str
    """'#rrggbb'."""
    width: float
    """Its width as a share of the photo's width, in (0, 1]."""
    points: tuple[tuple[float, float], ...]
    """(x, y) as shares of width and height, (0, 0) top left; a single point is a dot."""


def stroke_of(record: dict[str, Any]) -> Stroke:
    """A stroke as the browser sends it: ``{"colour", "width", "points": [[x, y], ...]}``.

    Raises ValueError for anything else; points outside of the photo are allowed, a brush can leave it.
    """
    try:
        points = tuple((float(x), float(y)) for x, y in record["points"])
        stroke = Stroke(record["colour"], float(record["width"]), points)
        ImageColor.getrgb(stroke.colour)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a stroke: {record!r} ({error})") from None
    if not (points and 0 < stroke.width <= 1 and np.isfinite(points).all()):
        raise ValueError(f"not a stroke: {record!r}; it needs points, and a width in (0, 1]")
    return stroke


def paint(photo: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """The photo (H, W, 3) uint8 with the strokes on it, in their order; the same bytes on every machine."""
    image = Image.fromarray(photo)
    for stroke in strokes:
        image.paste(ImageColor.getrgb(stroke.colour), mask=_coverage(stroke, image.size))
    return np.asarray(image)


def _coverage(stroke: Stroke, size: tuple[int, int]) -> Image.Image:
    """How much of each pixel the stroke covers, 0 to 255."""
    width, height = FINER * size[0], FINER * size[1]
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    points = [(x * width, y * height) for x, y in stroke.points]
    radius = stroke.width * width / 2
    if len(points) > 1:
        draw.line(points, fill=255, width=max(1, round(2 * radius)))
    for x, y in points:  # round ends and joints
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask.reduce(FINER)
