"""Procedural sample data: four categories of photographs with defects and masks, and a folder of textures.

`write_sample` writes the whole set; `render`, `render_flawless` and `render_texture` make single images from
names, an index and a seed. Nothing here needs a network, a GPU or torch.

The bits are the same for every order and number of workers. They rest on the versions of NumPy, SciPy and
Pillow: NumPy may change its random streams between releases, Pillow its JPEG encoder.
"""

from .rendering import CATEGORIES, DEFAULT_SEED, GOOD, render, render_flawless
from .textures import TEXTURES, render_texture
from .write import Item, encode, plan, write_sample

__all__ = [
    "CATEGORIES",
    "DEFAULT_SEED",
    "GOOD",
    "TEXTURES",
    "Item",
    "encode",
    "plan",
    "render",
    "render_flawless",
    "render_texture",
    "write_sample",
]
