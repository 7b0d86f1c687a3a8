"""Where the tiles of a photo lie.

Tiles are squares of one side. They stand ``side * (1 - overlap)`` apart from the top left on; the last of a row or
column is shifted inwards, so that every tile lies in the photo and no pixel is invented. Along an axis that is shorter
than the side there is one tile, as long as the photo.
"""

import math
from dataclasses import dataclass

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
