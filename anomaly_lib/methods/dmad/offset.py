"""The offset network: from an image, how to deform it towards the prototype, and back.

Its first convolutions know where they are, since a prototype has its parts at fixed places.
Shapes: N images, C channels, H x W pixels. Module names equal those of the authors' checkpoints: ``conv_offset3`` is
the fine head, ``conv_offset4`` the coarse one, with an underscore the backward ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomaly_lib.methods.dmad.warp import Fields, resized

FINE_LIMIT, COARSE_LIMIT = 2 * 3 / 256, 2 * 8 / 256
"""Largest displacement along an axis: 3 and 8 pixels of 256, at any image size."""


class CoordinateConvolution(nn.Module):
    """3x3 convolution without bias over (N, C, H, W) and two channels, y and x from -1 to 1."""

    PER_AXIS = 1

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in + 2 * self.PER_AXIS, channels_out, 3, padding=1, bias=False)

    @staticmethod
    def coordinates(length: int, device: torch.device | None = None) -> list[Tensor]:
        """The (L,) channels of an axis of length L."""
        return [torch.linspace(-1, 1, length, device=device)]

    def forward(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        by_row = [line.view(1, 1, -1, 1) for line in self.coordinates(height, images.device)]
        by_column = [line.view(1, 1, 1, -1) for line in self.coordinates(width, images.device)]
        channels = [line.expand(count, 1, height, width) for line in (*by_row, *by_column)]
        return self.conv(torch.cat([images, *channels], dim=1))


class BlockCoordinateConvolution(CoordinateConvolution):
    """The authors' convolution: four channels, the place inside a block and the block's place, by row and by column.

    A fourth of the side in blocks leaves about four pixels per block, so the first of each pair is nearly constant.
    ``weight`` and ``bias`` stand in the authors' checkpoints and are never used.
    """

    PER_AXIS = 2

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out)
        self.weight = nn.Parameter(torch.zeros(channels_out, channels_in, 3, 3), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(channels_out), requires_grad=False)

    @staticmethod
    def coordinates(length: int, device: torch.device | None = None) -> list[Tensor]:
        """The two (L,) channels 2 (u - v) - 1 and 2 v - 1, with u the place and v the block's, both from 0 to 1."""
        blocks = length // 4
        index = torch.arange(length, device=device)
        place = index / (length - 1)
        block = (index * blocks // length) / (blocks - 1)
        return [2 * (place - block) - 1, 2 * block - 1]


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
                for parameter in head[-1].parameters():
                    nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Fields:
        seen = F.avg_pool2d(images, self.reduction) if self.reduction > 1 else images
        stem = self.conv_offset1(seen)
        features = torch.cat([self.conv_offset2(stem), stem], dim=1)

        def field(head: nn.Module, limit: float) -> Tensor:
            return resized(limit * torch.tanh(head(features)), *images.shape[-2:])

        return Fields(
            field(self.conv_offset4, COARSE_LIMIT),
            field(self.conv_offset3, FINE_LIMIT),
            field(self.conv_offset4_, COARSE_LIMIT),
            field(self.conv_offset3_, FINE_LIMIT),
        )


class _Residual(nn.Module):
    """x + g(x) with g = ReLU, 3x3, BN, ReLU, 1x1."""

    def __init__(self, width: int):
        super().__init__()
        first = nn.Conv2d(width, width, 3, padding=1)
        self.convs = nn.Sequential(nn.ReLU(), first, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 1))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.convs(features)


def _head(width: int, halvings: int) -> nn.Sequential:
    """``halvings`` strided convolutions, then one to the two channels of a field."""
    layers: list[nn.Module] = []
    for channels_in in [2 * width] + [width] * (halvings - 1):
        layers += [nn.Conv2d(channels_in, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, 2, 3, padding=1))
