"""Where the tiles of a photo lie, and how their maps are joined without seams.

Tiles are squares of one side. They stand ``side * (1 - overlap)`` apart from the top left on; the last of a row or
column is shifted inwards, so that every tile lies in the photo and no pixel is invented. Along an axis that is shorter
than the side there is one tile, as long as the photo.

A tile counts most at its centre and least at its border, where a network sees padding instead of the photo: its
window is sin^2 along each axis. The windows of all tiles at a pixel are divided by their sum, so a map is never
darker or brighter where tiles overlap, and a pixel that lies in one tile has that tile's value. Both windows and
sums are products of a part for each axis; so no sum is ever stored for a whole photo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly_lib.base.errors import InputError

SMALLEST = 16
"""Pixels: a smaller tile shows nothing that a method could judge."""
LARGEST_OVERLAP = 0.75
"""From here on each pixel would lie in more than 16 tiles."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of a photo, in pixels, and its place in the grid, from 0 on."""

    row: int
    column: int
    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """What cuts the tile out of an array (H, W) or (H, W, 3), as a view."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def box(self) -> list[int]:
        """Top, left, height, width."""
        return [self.top, self.left, self.height, self.width]


@dataclass(frozen=True)
class Tiling:
    """The tiles' side in pixels, 16 or more, and the share of it, 0 to 0.75, that neighbours have in common.

    Raises InputError for other values.
    """

    side: int
    overlap: float = 0.0

    def __post_init__(self):
        if self.side < SMALLEST:
            raise InputError(f"a tile of {self.side} pixels is too small; give at least {SMALLEST}")
        if not 0 <= self.overlap <= LARGEST_OVERLAP:
            raise InputError(f"the overlap is a share of the tile, 0 to {LARGEST_OVERLAP}; got {self.overlap:g}")

    def starts(self, length: int) -> tuple[int, ...]:
        """First pixels of the tiles along an axis of ``length`` pixels."""
        last = max(0, length - self.side)
        step = round(self.side * (1 - self.overlap))
        return tuple(min(index * step, last) for index in range(math.ceil(last / step) + 1))

    def tiles(self, height: int, width: int) -> tuple[Tile, ...]:
        """All tiles of a photo, row by row; a photo that fits into a tile is one."""
        size = min(self.side, height), min(self.side, width)
        rows, columns = enumerate(self.starts(height)), list(enumerate(self.starts(width)))
        return tuple(Tile(row, column, top, left, *size) for row, top in rows for column, left in columns)

    def count(self, height: int, width: int) -> int:
        """How many tiles a photo has."""
        return len(self.starts(height)) * len(self.starts(width))


def axis_weights(length: int, starts: Sequence[int], side: int) -> np.ndarray:
    """Weights (tiles, side) float64 along an axis of ``length`` pixels, above 0; they sum to 1 at each pixel.

    ``starts`` are the tiles' first pixels; together the tiles must cover the axis.
    """
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    total = np.zeros(length)
    for start in starts:
        total[start : start + side] += window
    return np.stack([window / total[start : start + side] for start in starts])


class BlendedMap:
    """The map of a photo (H, W) float32 that grows tile by tile; complete when all tiles were added once."""

    def __init__(self, tiling: Tiling, height: int, width: int):
        self.values = np.zeros((height, width), dtype=np.float32)
        self._weights = [
            axis_weights(length, tiling.starts(length), min(tiling.side, length)).astype(np.float32)
            for length in (height, width)
        ]

    def add(self, tile: Tile, values: np.ndarray) -> None:
        """Add a tile's map (height, width) at its place. A tile that is left out counts as 0."""
        rows, columns = self._weights
        self.values[tile.window] += rows[tile.row][:, None] * columns[tile.column] * values
