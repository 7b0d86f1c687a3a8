"""How large the error of normal images is at each place of the image.

Padding, the part's outline and the upsampling of coarse layers make normal errors several times larger at some
places (the border above all) than at others, and the largest value of a map then sits there, on good and bad images
alike. Dividing by the normal error of a place is what a heteroscedastic noise model asks for.
"""

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

SMOOTHING = 1.0  # grid cells


class LocationScale(nn.Module):
    """Divides errors (N, g, g) by ``scale`` (g, g), which is 1 until it is set."""

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
    width = 2 * round(4 * SMOOTHING) + 1
    mean = errors.mean(dim=0)
    local = gaussian_blur2d(mean[None, None], (width, width), (SMOOTHING, SMOOTHING))[0, 0]
    count = len(errors)
    scale = (count * local + prior * mean.mean()) / (count + prior)
    return scale.clamp(min=torch.finfo(scale.dtype).tiny)
