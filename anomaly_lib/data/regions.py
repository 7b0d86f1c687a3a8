"""Region of interest: which part of a photo is to be looked at, as polygons in a JSON file.

    {"polygons": [[[0.1, 0.2], [0.9, 0.2], [0.9, 0.8], [0.1, 0.8]]], "exclude": []}

Points are [x, y] relative to width and height, (0, 0) top left and (1, 1) bottom right, so that it fits any size.
A pixel belongs to the region when its centre lies in one of ``polygons`` and in none of ``exclude``; without
polygons all pixels do, less those excluded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_lib.base.errors import InputError, nearest, refused
from anomaly_lib.base.files import replacing
from anomaly_lib.data.images import Problem

if TYPE_CHECKING:
    import torch

    from anomaly_lib.params import Evaluation

KEYS = ("polygons", "exclude")
PLACE = Path("train/region_of_interest.json")
"""Where the pipeline looks for a category's region, from the category's folder."""

Polygon = Sequence[Sequence[float]]
"""At least three points [x, y] in 0 to 1; the last joins the first."""


def load_region(file: Path | str, image_size: int) -> torch.Tensor:
    """Read a region as (S, S) bool, True inside; what ``score(images, region=...)`` and ``evaluate`` take.

    Raises InputError, naming the file, for a file that is missing or not such JSON, an unknown key, a polygon of
    fewer than three points, a coordinate outside 0 to 1, and a region without a pixel at this size.
    """
    import torch

    region = rasterise(*read_polygons(Path(file)), image_size)
    if not region.any():
        remedy = "make the polygons larger, or leave less out"
        raise InputError(Problem(Path(file), f"its region has no pixel at {image_size} x {image_size}", remedy))
    return torch.from_numpy(region)


def find_region(evaluation: Evaluation, category: Path, image_size: int) -> torch.Tensor | None:
    """The region (S, S) of the category whose folder is given.

    None where it has no file at ``PLACE``, or where the profile ignores it (``region_of_interest``).
    """
    heeded = evaluation.region_of_interest and (category / PLACE).exists()
    return load_region(category / PLACE, image_size) if heeded else None


def save_region(file: Path | str, polygons: Sequence[Polygon], exclude: Sequence[Polygon] = ()) -> None:
    """Write a region; an older file stays until the new one is complete. Raises InputError as ``load_region``."""
    file = Path(file)
    text = region_json(*(_checked(file, key, value) for key, value in zip(KEYS, (polygons, exclude), strict=True)))
    try:
        with replacing(file) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise refused(error, file, "cannot be written") from error


def region_json(polygons: Sequence[Polygon], exclude: Sequence[Polygon] = ()) -> str:
    """The text of a region file, coordinates to four digits."""
    rounded = [[[[round(float(v), 4) for v in point] for point in one] for one in key] for key in (polygons, exclude)]
    return json.dumps(dict(zip(KEYS, rounded, strict=True)))


def read_polygons(file: Path) -> tuple[list[Polygon], list[Polygon]]:
    """The polygons of a file and those it excludes, checked. Raises InputError as ``load_region``."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(Problem(file, f"cannot be read ({reason})", "check the path")) from None
    except (ValueError, RecursionError) as error:
        remedy = 'write {"polygons": [[[x, y], ...]], "exclude": []}'
        raise InputError(Problem(file, f"is not JSON ({error})", remedy)) from None
    if not isinstance(content, dict):
        raise InputError(Problem(file, "is not a JSON object", 'write {"polygons": [[[x, y], ...]], "exclude": []}'))
    for key in content:
        if key not in KEYS:
            raise InputError(Problem(file, f"unknown key '{key}'", nearest(key, KEYS)))
    polygons, exclude = (_checked(file, key, content.get(key, [])) for key in KEYS)
    return polygons, exclude


def rasterise(polygons: Sequence[Polygon], exclude: Sequence[Polygon], image_size: int) -> np.ndarray:
    """(S, S) bool: True where a pixel's centre lies in a polygon (anywhere if there is none) and in none excluded."""
    centres = (np.arange(image_size) + 0.5) / image_size
    x, y = np.meshgrid(centres, centres)
    points = np.stack([x.reshape(-1), y.reshape(-1)], axis=1)
    inside = _in_any(polygons, points) if len(polygons) else np.ones(len(points), dtype=bool)
    return (inside & ~_in_any(exclude, points)).reshape(image_size, image_size)


def _in_any(polygons: Sequence[Polygon], points: np.ndarray) -> np.ndarray:
    from matplotlib.path import Path as Outline

    found = np.zeros(len(points), dtype=bool)
    for polygon in polygons:
        found |= Outline([*polygon, polygon[0]], closed=True).contains_points(points)
    return found


def _checked(file: Path, key: str, polygons: Any) -> list[Polygon]:
    if not isinstance(polygons, list | tuple):
        raise InputError(Problem(file, f"'{key}' is not a list of polygons", "a polygon is a list of points [x, y]"))
    for number, polygon in enumerate(polygons):
        where = f"{key}[{number}]"
        if not isinstance(polygon, list | tuple) or not all(map(_is_point, polygon)):
            raise InputError(Problem(file, f"{where} is not a list of points", "a point is [x, y], two numbers"))
        if len(polygon) < 3:
            raise InputError(Problem(file, f"{where} has {len(polygon)} points", "a polygon needs at least 3"))
        for point in polygon:
            if not all(0 <= value <= 1 for value in point):
                remedy = "coordinates are shares of width and height: divide pixels by them"
                raise InputError(Problem(file, f"{where}: {list(point)} lies outside 0 to 1", remedy))
    return list(polygons)


def _is_point(point: Any) -> bool:
    number = int | float | np.integer | np.floating
    return (
        isinstance(point, list | tuple)
        and len(point) == 2
        and all(isinstance(value, number) and not isinstance(value, bool) for value in point)
    )
