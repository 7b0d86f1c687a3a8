"""Perlin noise for a whole batch, as matrix products.

Noise at a pixel is the sum, over the four corners of its cell, of (corner's gradient) . (pixel - corner), faded
by a quintic. The fade and the offset along one axis do not depend on the other axis, so with a weight matrix per
axis the whole image is two matrix products instead of a loop over corners.

Shapes: N images, H x W pixels, L lattice points an axis (largest number of cells, plus one).
"""

import math

import torch
from torch import Tensor

from anomaly_lib.errors import InputError

MOST_CELLS = 32


def perlin_noise(cells: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Perlin noise (N, H, W) float32, about -1 to 1, zero on the lattice points.

    ``cells`` is (N, 2) integers: cells along height and width, each at least 1 and at most the size. Gradients
    have unit length and uniformly random angles from ``generator``. Values are scaled by the square root of 2,
    as the authors of DRAEM do. Raises InputError when a cell would be smaller than a pixel.
    Source: Perlin, "Improving Noise", 2002 (fade); methods as in DRAEM, section 3.3.
    """
    if cells.min() < 1 or (cells > torch.tensor(size)).any():
        raise InputError(f"Perlin noise needs 1 to {min(size)} cells an axis, got {cells.min()} to {cells.max()}")
    lattice = int(cells.max()) + 1
    angles = torch.rand((len(cells), lattice, lattice), generator=generator) * (2 * math.pi)  # (N, L, L)
    near_y, offset_y = _axis_weights(cells[:, 0], size[0], lattice)  # (N, H, L) each
    near_x, offset_x = _axis_weights(cells[:, 1], size[1], lattice)  # (N, W, L) each
    along_y = offset_y @ angles.sin() @ near_x.mT  # (N, H, L) (N, L, L) (N, L, W)
    along_x = near_y @ angles.cos() @ offset_x.mT
    return math.sqrt(2) * (along_y + along_x)


def random_cells(count: int, generator: torch.Generator) -> Tensor:
    """(N, 2) cells: 2^k an axis with k uniform in 0 to 5, independent for each axis (authors' code)."""
    return 2 ** torch.randint(0, int(math.log2(MOST_CELLS)) + 1, (count, 2), generator=generator)


def fade(t: Tensor) -> Tensor:
    """Quintic 6t^5 - 15t^4 + 10t^3: 0 at 0, 1 at 1, first and second derivative 0 at both."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def _axis_weights(cells: Tensor, pixels: int, lattice: int) -> tuple[Tensor, Tensor]:
    """Weight of each lattice point on each pixel of an axis, and the same times the pixel's offset from it."""
    position = torch.arange(pixels)[None] * (cells[:, None] / pixels)  # (N, P) in cells
    offset = position[..., None] - torch.arange(lattice)  # (N, P, L)
    # 1 on the point itself, fading to 0 one cell away; the other lattice points do not touch this pixel
    weight = fade((1 - offset.abs()).clamp(min=0))
    return weight, weight * offset
