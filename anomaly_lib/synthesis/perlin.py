"""Perlin noise as matrix products.

Noise at a pixel is the sum, over the four corners of its cell, of (corner's gradient) . (pixel - corner), faded
by a quintic. The fade and the offset along one axis do not depend on the other axis, so with a weight matrix per
axis the whole image is two small matrix products and a large one, instead of a loop over corners. Those weights depend
only on the number of cells and are kept.

Shapes: N images, H x W pixels, K x L lattice points (largest number of cells along an axis, plus one).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from anomaly_lib.base.errors import InputError

MOST_CELLS = 32
"""Largest number that ``random_cells`` draws; ``perlin_noise`` itself takes more."""


def perlin_noise(
    cells: Tensor, size: tuple[int, int], generator: torch.Generator, device: torch.device | str = "cpu"
) -> Tensor:
    """Perlin noise (N, H, W) float32, about -1 to 1, zero on the lattice points.

    ``cells`` is (N, 2) integers on the CPU: cells along height and width, each from 1 to the size; any two numbers do,
    also where the size is no multiple of them. Gradients have unit length and uniformly random angles, drawn on the
    CPU from ``generator``; the rest is computed on ``device``. Values are scaled by the square root of 2, as the
    authors of DRAEM do. Raises InputError when a cell would be smaller than a pixel.
    Source: Perlin, "Improving Noise", 2002 (fade); DRAEM, section 3.3.
    """
    for axis, name in enumerate(("high", "wide")):
        if len(cells) and (cells[:, axis].min() < 1 or cells[:, axis].max() > size[axis]):
            low, high = cells[:, axis].min(), cells[:, axis].max()
            raise InputError(
                f"Perlin noise of {low} to {high} cells on an image {size[axis]} pixels {name}: "
                f"1 to {size[axis]} cells are possible"
            )
    noise = torch.empty(len(cells), *size, device=device)
    for index, (high, wide) in enumerate(cells.tolist()):
        angles = (torch.rand(high + 1, wide + 1, generator=generator) * (2 * math.pi)).to(device)  # (K, L)
        near_y, offset_y = _axis_weights(high, size[0], str(device))  # (H, K) each
        near_x, offset_x = _axis_weights(wide, size[1], str(device))  # (W, L) each
        along_y, along_x = angles.sin(), angles.cos()
        # offset_y along_y near_x' + near_y along_x offset_x', as one product over the shorter axis of the lattice
        if high < wide:
            left, right = [offset_y, near_y], [near_x @ along_y.T, offset_x @ along_x.T]
        else:
            left, right = [offset_y @ along_y, near_y @ along_x], [near_x, offset_x]
        torch.mm(torch.cat(left, dim=1), torch.cat(right, dim=1).T, out=noise[index])
    return noise.mul_(math.sqrt(2))


def random_cells(count: int, generator: torch.Generator) -> Tensor:
    """(N, 2) cells: 2^k per axis with k uniform in 0 to 5, independent for each axis (authors' code)."""
    return 2 ** torch.randint(0, int(math.log2(MOST_CELLS)) + 1, (count, 2), generator=generator)


def fade(t: Tensor) -> Tensor:
    """Quintic 6t^5 - 15t^4 + 10t^3: 0 at 0, 1 at 1, first and second derivative 0 at both."""
    return t * t * t * (t * (t * 6 - 15) + 10)


@lru_cache(maxsize=64)
def _axis_weights(cells: int, pixels: int, device: str) -> tuple[Tensor, Tensor]:
    """Weight of each lattice point on each pixel of an axis, (P, cells + 1), and the same times the pixel's offset."""
    position = torch.arange(pixels, device=device) * (cells / pixels)
    offset = position[:, None] - torch.arange(cells + 1, device=device)
    # 1 on the point itself, fading to 0 one cell away; the other lattice points do not touch this pixel
    weight = fade((1 - offset.abs()).clamp(min=0))
    return weight, weight * offset
