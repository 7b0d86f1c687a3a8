"""Join the maps of overlapping tiles without seams.

A tile counts most at its centre and least at its border, where a network sees padding instead of the photo: its
window is sin^2 along each axis. The windows of all tiles at a pixel are divided by their sum, so a map is never
darker or brighter where tiles overlap, and a pixel that lies in one tile has that tile's value. Both windows and
sums are products of a part for each axis; so no sum is ever stored for a whole photo.
"""

from collections.abc import Sequence

import numpy as np

from anomaly_lib.tiling.grid import Tile, Tiling


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
