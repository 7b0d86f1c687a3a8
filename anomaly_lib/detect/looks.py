"""How ``detect`` looks at photos: each as a whole, or in tiles. Both yield one ``Look`` per photo.

S is the model's image size, H x W the photo's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.data.images import Problem, read_header, read_rgb, squeezed
from anomaly_lib.data.regions import load_region, read_polygons
from anomaly_lib.methods.detector import Detector
from anomaly_lib.tiling.grid import Tile, Tiling
from anomaly_lib.tiling.scoring import Region, score_in_tiles, tile_images

if TYPE_CHECKING:
    from anomaly_lib.figures.detection import Extra

PHOTOS_AT_ONCE = 8


@dataclass(frozen=True)
class Look:
    """What the method says of one photo."""

    file: Path
    score: float
    map: np.ndarray
    """(S, S) of the whole photo, or (H, W) of its tiles; float32, in the method's units."""
    extra: "Extra | None" = None
    """How the method came to it, if that was asked for."""
    tiles: int | None = None
    """How many were looked at; None for a photo as a whole."""


class Whole:
    """Photos are squeezed to S x S, a few at a time."""

    def __init__(self, method: Detector, region: Path | None):
        self.method = method
        self.region = load_region(region, method.image_size).numpy() if region else None

    def looks(
        self, files: Sequence[Path], skipped: list[Problem], description: str, explain: bool, progress: bool
    ) -> Iterator[Look]:
        """One look per photo; those that cannot be read go to ``skipped``."""
        for readable, images in self._batches(files, skipped, description, progress):
            maps, scores, pictures = self.method.see(images, self.region, explain)
            for index, file in enumerate(readable):
                yield Look(file, float(scores[index]), maps[index], _extra(pictures, index))

    def _batches(
        self, files: Sequence[Path], skipped: list[Problem], description: str, progress: bool
    ) -> Iterator[tuple[list[Path], np.ndarray]]:
        """Up to PHOTOS_AT_ONCE photos as (files, (N, 3, S, S))."""
        readable, images = [], []
        for file in progress_bar(files, description=description, show=progress and len(files) > 1, unit="photo"):
            try:
                images.append(squeezed(read_rgb(file), self.method.image_size, self.method.image_resize))
            except InputError as error:
                skipped.append(error.args[0])
                continue
            readable.append(file)
            if len(readable) == PHOTOS_AT_ONCE:
                yield readable, np.stack(images)
                readable, images = [], []
        if readable:
            yield readable, np.stack(images)


class Tiled:
    """A photo that is larger than a tile is scored in tiles, at its own resolution; one photo at a time."""

    def __init__(self, method: Detector, region: Path | None, tiling: Tiling):
        self.method, self.tiling = method, tiling
        self.region: Region | None = read_polygons(region) if region else None

    def looks(
        self, files: Sequence[Path], skipped: list[Problem], description: str, explain: bool, progress: bool
    ) -> Iterator[Look]:
        """As ``Whole.looks``."""
        total = sum(map(self._tiles_of, files))
        with progress_bar(description=description, total=total, show=progress and total > 1, unit="tile") as bar:
            for file in files:
                try:
                    photo = read_rgb(file)
                except InputError as error:
                    skipped.append(error.args[0])
                    continue
                found = score_in_tiles(self.method, photo, self.tiling, self.region, bar.update)
                extra = self._worst_tile(photo, found.worst) if explain else None
                del photo  # before the map is drawn
                yield Look(file, found.score, found.map, extra, found.tiles)

    def _tiles_of(self, file: Path) -> int:
        """How many tiles a photo has; 0 for one that cannot be read."""
        try:
            header = read_header(file)
        except InputError:
            return 0
        return self.tiling.count(header.height, header.width)

    def _worst_tile(self, photo: np.ndarray, tile: Tile) -> "Extra | None":
        """How the method sees the tile with the highest score, on a background of the photo's proportions."""
        images = tile_images(photo, [tile], self.method.image_size, self.method.image_resize)
        extra = _extra(self.method.see(images, explain=True)[2], 0)
        if extra is None:
            return None
        title = f"tile with the highest score (row {tile.row + 1}, column {tile.column + 1}):\n{extra.title}"
        return replace(extra, title=title, pixels=_framed(extra.pixels, tile, photo.shape[1] / photo.shape[0]))


Looker = Whole | Tiled


def _extra(pictures: dict[str, np.ndarray], index: int) -> "Extra | None":
    if not pictures:
        return None
    from anomaly_lib.figures.detection import telling_extra  # matplotlib, which tables do not need

    return telling_extra({name: picture[index] for name, picture in pictures.items()})


def _framed(pixels: np.ndarray, tile: Tile, proportion: float) -> np.ndarray:
    """A picture (S, S) or (S, S, 3) of a tile with blank sides, so that it is undistorted in ``proportion`` w/h."""
    side = len(pixels)
    share = proportion * tile.height / tile.width  # of the frame's width to the picture's, at equal height
    frame = round(side * max(1.0, 1 / share)), round(side * max(1.0, share))
    framed = np.full((*frame, *pixels.shape[2:]), 1.0 if pixels.ndim == 3 else np.nan, dtype=np.float32)
    top, left = (frame[0] - side) // 2, (frame[1] - side) // 2
    framed[top : top + side, left : left + side] = pixels
    return framed
