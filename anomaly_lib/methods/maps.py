"""What several methods do to maps: upsampling, smoothing, and dividing by the error that is normal at each place.

Padding, the part's outline and the upsampling of coarse layers make normal errors several times larger at some
places (the border above all) than at others, and the largest value of a map then sits there, on good and bad images
alike. Dividing by the normal error of a place is what a heteroscedastic noise model asks for.

Shapes: N images, S image side, g side of a grid of places.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from kornia.filters import gaussian_blur2d
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

LOCATION_SIGMA = 1.0  # grid cells


def smoothed(maps: Tensor, sigma: float, border: Literal["mirrored", "repeated"]) -> Tensor:
    """(N, S, S) maps after a Gaussian of ``sigma`` pixels, cut at four sigma; sigma 0 leaves them as they are.

    Beyond the border the map is mirrored around its outermost pixels (c b | a b c; on the maps' own device), or
    mirrored with these repeated (b a | a b c; on the CPU, as SciPy does and so DMAD's authors).
    """
    if border == "repeated" and sigma and torch.compiler.is_exporting():
        # SciPy cannot be traced; the filter is linear, so what it makes of unit vectors is its matrix
        matrix = torch.from_numpy(gaussian_filter(np.eye(int(maps.shape[-1]), dtype=np.float32), (0, sigma)))
        return matrix.T @ maps @ matrix
    if border == "repeated":
        maps = maps.cpu()
        return torch.from_numpy(gaussian_filter(maps.numpy(), (0, sigma, sigma))) if sigma else maps
    if sigma == 0:
        return maps
    width = 2 * round(4 * sigma) + 1
    blurred = gaussian_blur2d(rearrange(maps, "n h w -> n 1 h w"), (width, width), (sigma, sigma))
    return rearrange(blurred, "n 1 h w -> n h w")


def upsampled(errors: Tensor, size: int) -> Tensor:
    """(N, g, g) -> (N, S, S), bilinear; a grid value stands for the centre of its square."""
    maps = F.interpolate(rearrange(errors, "n h w -> n 1 h w"), size, mode="bilinear", align_corners=False)
    return rearrange(maps, "n 1 h w -> n h w")


class LocationScale(nn.Module):
    """Divides errors (N, g, g) by ``scale`` (g, g), which is 1 until it is set."""

    scale: Tensor

    def __init__(self, feature_size: int):
        super().__init__()
        self.register_buffer("scale", torch.ones(feature_size, feature_size))

    def forward(self, errors: Tensor) -> Tensor:
        return errors / self.scale


def location_scale(errors: Tensor, prior: float) -> Tensor:
    """Normal error of each place, (N, g, g) errors of fit images -> (g, g), all positive.

    The mean over the images, smoothed a little, is drawn towards the overall mean as if ``prior`` further images had
    that error everywhere: with few images, or parts that lie in any position, places hardly differ.
    """
    mean = errors.mean(dim=0)
    local = smoothed(mean[None], LOCATION_SIGMA, "mirrored")[0]
    count = len(errors)
    scale = (count * local + prior * mean.mean()) / (count + prior)
    return scale.clamp(min=torch.finfo(scale.dtype).tiny)
