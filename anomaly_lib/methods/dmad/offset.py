"""The offset network: from an image, how to deform it towards the prototype, and back.

Shapes: N images, H x W pixels. Module names equal those of the authors' checkpoints: ``conv_offset3`` is the fine
head, ``conv_offset4`` the coarse one, with an underscore the backward ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomaly_lib.methods.dmad.coordinates import BlockCoordinateConvolution, CoordinateConvolution
from anomaly_lib.methods.dmad.warp import Fields, resized

FINE_LIMIT, COARSE_LIMIT = 2 * 3 / 256, 2 * 8 / 256
"""Largest displacement along an axis: 3 and 8 pixels of 256, at any image size."""
CONVOLUTIONS = {"plain": CoordinateConvolution, "block": BlockCoordinateConvolution}


class OffsetNetwork(nn.Module):
    """(N, 3, H, W) images, normalised as the teacher wants them -> four fields of H x W.

    ``reduction`` lets the network see the image so many times smaller (authors: 1). ``identity_start`` sets the last
    layer of each head to zero. ``coordinates`` is 'plain' or 'block' (authors).
    Source: the authors' code; the paper's text leaves the layers open.
    """

    def __init__(self, coordinates: str = "block", width: int = 64, reduction: int = 1, identity_start: bool = False):
        super().__init__()
        located, self.reduction = CONVOLUTIONS[coordinates], reduction
        self.conv_offset1 = nn.Sequential(
            *(located(3, width), nn.BatchNorm2d(width), nn.ReLU()),
            *(located(width, width), nn.BatchNorm2d(width), nn.ReLU()),
        )
        self.conv_offset2 = nn.Sequential(_Residual(width), nn.BatchNorm2d(width))
        self.conv_offset3, self.conv_offset3_ = _head(width, 1), _head(width, 1)
        self.conv_offset4, self.conv_offset4_ = _head(width, 3), _head(width, 3)
        if identity_start:
            for head in (self.conv_offset3, self.conv_offset4, self.conv_offset3_, self.conv_offset4_):
                nn.init.zeros_(head[-1].weight)
                nn.init.zeros_(head[-1].bias)

    def forward(self, images: Tensor) -> Fields:
        seen = F.avg_pool2d(images, self.reduction) if self.reduction > 1 else images
        stem = self.conv_offset1(seen)
        features = torch.cat([self.conv_offset2(stem), stem], dim=1)
        limits_and_heads = (
            (COARSE_LIMIT, self.conv_offset4),
            (FINE_LIMIT, self.conv_offset3),
            (COARSE_LIMIT, self.conv_offset4_),
            (FINE_LIMIT, self.conv_offset3_),
        )
        size = images.shape[-2:]
        return Fields(*(resized(limit * torch.tanh(head(features)), *size) for limit, head in limits_and_heads))


class _Residual(nn.Module):
    """x + g(x) with g = ReLU, 3x3, BN, ReLU, 1x1."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.Sequential(
            *(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)),
            *(nn.ReLU(), nn.Conv2d(width, width, 1)),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.convs(features)


def _head(width: int, halvings: int) -> nn.Sequential:
    """``halvings`` strided convolutions, then one to the two channels of a field."""
    layers: list[nn.Module] = []
    for channels_in in [2 * width] + [width] * (halvings - 1):
        layers += [nn.Conv2d(channels_in, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 2, 3, padding=1))
