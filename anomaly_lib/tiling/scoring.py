"""Score a photo that is larger than a method's input: tile by tile, a few at a time.

In memory are the photo, its map, and one batch of tiles. H x W is the photo's size, S the method's, N tiles.

The image score is the largest of the tiles' scores. Every method's image score is a largest value itself: of the map
(DFR), of the smoothed map (DRAEM), of map and deformation on their normal scale (DMAD). So the photo's score says the
same as a tile's, how bad the worst place is, and compares with a threshold that was found on tiles. A photo of many
tiles has many chances to exceed it, though: see docs/techniques.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.params import Resize
from anomaly_lib.data.images import squeezed
from anomaly_lib.data.regions import Polygon, rasterise
from anomaly_lib.methods.detector import Detector
from anomaly_lib.tiling.grid import BlendedMap, Tile, Tiling

TILES_AT_ONCE = 8

Region = tuple[Sequence[Polygon], Sequence[Polygon]]
"""Polygons and those excluded, as ``regions.read_polygons`` gives them."""


@dataclass(frozen=True)
class TiledScore:
    """What a method says of one photo."""

    map: np.ndarray
    """(H, W) float32, in the method's units."""
    score: float
    """The largest score of a tile."""
    worst: Tile
    """The tile that has it."""
    tiles: int
    """How many were scored."""


def score_in_tiles(
    method: Detector,
    photo: np.ndarray,
    tiling: Tiling,
    region: Region | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> TiledScore:
    """Score a photo (H, W, 3) uint8; ``done`` is told how many further tiles are finished.

    Outside of ``region`` the map is 0, to a pixel of the method's, and tiles without a pixel of it are left out.
    Raises InputError if that leaves none.
    """
    height, width = photo.shape[:2]
    blended = BlendedMap(tiling, height, width)
    scores: list[float] = []
    looked_at: list[Tile] = []
    tiles, size = tiling.tiles(height, width), method.image_size
    for start in range(0, len(tiles), TILES_AT_ONCE):
        batch = tiles[start : start + TILES_AT_ONCE]
        chosen, inside = _within(region, batch, (height, width), size)
        if chosen:
            maps, found, _ = method.see(tile_images(photo, chosen, size, method.image_resize), inside)
            for tile, values in zip(chosen, maps, strict=True):
                blended.add(tile, resized(values, (tile.height, tile.width)))
            scores += found.tolist()
            looked_at += chosen
        done(len(batch))
    if not looked_at:
        raise InputError("the region of interest has no pixel in any tile; make its polygons larger")
    worst = int(np.argmax(scores))
    return TiledScore(blended.values, scores[worst], looked_at[worst], len(looked_at))


def tile_images(
    photo: np.ndarray, tiles: Sequence[Tile], image_size: int, resize: Resize = "antialiased"
) -> np.ndarray:
    """Tiles of a photo (H, W, 3) uint8 as (N, 3, S, S) float32 in [0, 1]."""
    return np.stack([squeezed(photo[tile.window], image_size, resize) for tile in tiles])


def resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (S, S) at another size (H, W), bilinear with antialiasing."""
    return np.asarray(Image.fromarray(values).resize(shape[::-1], Image.Resampling.BILINEAR))


def _within(
    region: Region | None, tiles: Sequence[Tile], shape: tuple[int, int], size: int
) -> tuple[Sequence[Tile], np.ndarray | None]:
    """The tiles that have a pixel of the region, and what of each lies in it, (N, S, S) bool; None without a region."""
    if region is None:
        return tiles, None
    polygons, exclude = region
    inside = [rasterise(_seen_from(tile, polygons, shape), _seen_from(tile, exclude, shape), size) for tile in tiles]
    kept = [(tile, part) for tile, part in zip(tiles, inside, strict=True) if part.any()]
    return [tile for tile, _ in kept], np.array([part for _, part in kept], dtype=bool)


def _seen_from(tile: Tile, polygons: Sequence[Polygon], shape: tuple[int, int]) -> list[Polygon]:
    """Polygons in shares of the photo (H, W) -> in shares of the tile, where they may reach beyond 0 to 1."""
    height, width = shape
    scale = np.array([width / tile.width, height / tile.height])
    corner = np.array([tile.left / tile.width, tile.top / tile.height])
    return [(np.asarray(polygon, dtype=float) * scale - corner).tolist() for polygon in polygons]
