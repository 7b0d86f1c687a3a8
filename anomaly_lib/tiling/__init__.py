"""Tiling: cut photos that are larger than a model's input, and put the maps of their tiles together again.

``grid`` says where the tiles lie and joins their maps, ``scoring`` does both with a method, ``folder`` writes a tiled
copy of a category to train on. All of it works without torch.
"""

from anomaly_lib.tiling.grid import BlendedMap, Tile, Tiling, axis_weights

__all__ = ["BlendedMap", "Tile", "Tiling", "axis_weights"]
