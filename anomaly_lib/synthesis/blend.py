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
    cells = random_cells(count, generator)
    noise = rearrange(perlin_noise(cells, (height, width), generator), "n h w -> n 1 h w")
    noise = _rotated(noise, generator)
    anomalous = torch.rand(count, generator=generator) >= clean_probability
    mask = (noise > NOISE_THRESHOLD) & rearrange(anomalous, "n -> n 1 1 1")
    texture = textures[torch.randint(len(textures), (count,), generator=generator)]
    beta = torch.rand(count, generator=generator) * MAX_BETA
    blended = torch.lerp(texture, images, rearrange(beta, "n -> n 1 1 1"))
    return Synthesised(torch.where(mask, blended, images), mask.float(), noise, texture, beta, cells)


def _rotated(noise: Tensor, generator: torch.Generator) -> Tensor:
    """Each map turned by its own angle, uniform in +-90 degrees, corners filled with 0."""
    share = torch.rand(len(noise), generator=generator)
    return rotate(noise, (share * 2 - 1) * MAX_ROTATION)
