"""Rectangles: what the paper's ablation puts in the place of Perlin noise, and the cutout.

A box is four numbers in [0, 1): height and width between the smallest and largest side, then top and left among the
places where the box fits.
"""

import torch
from torch import Tensor

CUTOUT_SIDES = (10, 0.5)
"""Smallest side of a cutout in pixels, and largest as a share of the image."""
RECTANGLE_SIDES = (0.04, 0.24)
"""Sides of the ablation's rectangles as shares of the image: one to four then cover about what Perlin noise does."""


def rectangles(boxes: list[list[float]], size: tuple[int, int]) -> Tensor:
    """Union of the rectangles of one image: (H, W) bool.

    The paper does not say how many there are or how large; these are our choice.
    """
    low, high = RECTANGLE_SIDES
    mask = torch.zeros(size, dtype=torch.bool)
    for box in boxes:
        mask[_slices(box, size, [(low * pixels, high * pixels) for pixels in size])] = True
    return mask


def cutout(box: list[float], size: tuple[int, int]) -> Tensor:
    """One rectangle, from 10 pixels to half the image a side: (H, W) bool."""
    sides = [(min(CUTOUT_SIDES[0], CUTOUT_SIDES[1] * pixels), CUTOUT_SIDES[1] * pixels) for pixels in size]
    mask = torch.zeros(size, dtype=torch.bool)
    mask[_slices(box, size, sides)] = True
    return mask


def _slices(box: list[float], size: tuple[int, int], sides: list[tuple[float, float]]) -> tuple[slice, slice]:
    """Rows and columns that a box covers."""
    lengths = [max(1, round(low + share * (high - low))) for share, (low, high) in zip(box[:2], sides, strict=True)]
    starts = [int(share * (pixels - n + 1)) for share, pixels, n in zip(box[2:], size, lengths, strict=True)]
    return slice(starts[0], starts[0] + lengths[0]), slice(starts[1], starts[1] + lengths[1])
