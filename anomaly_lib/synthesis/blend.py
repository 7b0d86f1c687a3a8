"""From a batch of normal images to images with synthetic anomalies and their exact masks (DRAEM, section 3.3).

Shapes: N images, H x W pixels, M textures. Values of images in [0, 1].
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from kornia.geometry.transform import rotate
from torch import Tensor

from anomaly_lib.synthesis.perlin import perlin_noise, random_cells

NOISE_THRESHOLD = 0.5  # authors' code; the paper draws it uniformly
MAX_ROTATION = 90.0  # degrees
MAX_BETA = 0.8  # share of the original image that stays visible inside the mask
MASKS_AT_ONCE = 50


@dataclass(frozen=True)
class Synthesised:
    """The result and everything that was drawn, so that a figure can show each step."""

    image: Tensor
    """Images with anomalies, (N, 3, H, W)."""
    mask: Tensor
    """Where, (N, 1, H, W) float32, 0 or 1; all zero for a sample that stays normal."""
    noise: Tensor
    """Perlin noise after rotation, (N, 1, H, W)."""
    texture: Tensor
    """What was blended in, (N, 3, H, W)."""
    beta: Tensor
    """Share of the original inside the mask, (N,)."""
    cells: Tensor
    """Perlin cells along height and width, (N, 2)."""


def synthesize(
    images: Tensor, textures: Tensor, generator: torch.Generator, clean_probability: float = 0.5
) -> Synthesised:
    """Blend a random texture into a Perlin-shaped region of each image.

    Inside the mask the result is beta * image + (1 - beta) * texture, beta uniform in [0, 0.8]; a share
    ``clean_probability`` of the samples stays as it is, with an empty mask. ``images`` (N, 3, H, W) and
    ``textures`` (M, 3, H, W) have one size; everything is drawn from ``generator``.
    Source: DRAEM, eq. (1), with the authors' ranges. The texture's own augmentation is not part of this function.
    """
    count, _, height, width = images.shape
    noise, cells = rotated_noise(count, (height, width), generator)
    anomalous = torch.rand(count, generator=generator) >= clean_probability
    mask = (noise > NOISE_THRESHOLD) & rearrange(anomalous, "n -> n 1 1 1")
    texture = textures[torch.randint(len(textures), (count,), generator=generator)]
    beta = torch.rand(count, generator=generator) * MAX_BETA
    blended = torch.lerp(texture, images, rearrange(beta, "n -> n 1 1 1"))
    return Synthesised(torch.where(mask, blended, images), mask.float(), noise, texture, beta, cells)


def rotated_noise(count: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Perlin noise (N, 1, H, W) of random cells (N, 2), each map turned by its own angle; returns both.

    The angle is uniform in +-90 degrees; corners are filled with 0, which is below the threshold.
    """
    cells = random_cells(count, generator)
    noise = rearrange(perlin_noise(cells, size, generator), "n h w -> n 1 h w")
    share = torch.rand(count, generator=generator)
    return rotate(noise, (share * 2 - 1) * MAX_ROTATION), cells


def mask_coverage(draws: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Share (0 to 1) of the image that each of ``draws`` masks covers, (draws,)."""
    chunks = [min(MASKS_AT_ONCE, draws - start) for start in range(0, draws, MASKS_AT_ONCE)]
    noises = (rotated_noise(chunk, size, generator)[0] for chunk in chunks)
    return torch.cat([(noise > NOISE_THRESHOLD).float().mean(dim=(1, 2, 3)) for noise in noises])
