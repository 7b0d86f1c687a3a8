"""Convolutions that know where they are: a prototype has its parts at fixed places.

Shapes: N images, C channels, H x W pixels.
"""

import torch
from torch import Tensor, nn


class CoordinateConvolution(nn.Module):
    """3x3 convolution without bias over (N, C, H, W) and two channels, y and x from -1 to 1."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in + 2, channels_out, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(_with_axes(images, [_line(images, 2)], [_line(images, 3)]))


class BlockCoordinateConvolution(nn.Module):
    """The authors' convolution: four channels, the place inside a block and the block's place, by row and by column.

    A fourth of the side in blocks leaves about four pixels a block, so the first of each pair is nearly constant.
    ``weight`` and ``bias`` stand in the authors' checkpoints and are never used.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels_out, channels_in, 3, 3), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(channels_out), requires_grad=False)
        self.conv = nn.Conv2d(channels_in + 4, channels_out, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(_with_axes(images, block_coordinates(images, 2), block_coordinates(images, 3)))


def block_coordinates(images: Tensor, axis: int) -> list[Tensor]:
    """The two (L,) channels of one axis of length L: 2 (u - v) - 1 and 2 v - 1, with u the place and v the block's."""
    length = images.shape[axis]
    blocks = length // 4
    index = torch.arange(length, device=images.device)
    place = index / (length - 1)
    block = (index * blocks // length) / (blocks - 1)
    return [2 * (place - block) - 1, 2 * block - 1]


def _line(images: Tensor, axis: int) -> Tensor:
    return torch.linspace(-1, 1, images.shape[axis], device=images.device)


def _with_axes(images: Tensor, rows: list[Tensor], columns: list[Tensor]) -> Tensor:
    """Append channels that depend on the row index, then those that depend on the column index."""
    count, _, height, width = images.shape
    by_row = [row.view(1, 1, -1, 1).expand(count, 1, height, width) for row in rows]
    by_column = [column.view(1, 1, 1, -1).expand(count, 1, height, width) for column in columns]
    return torch.cat([images, *by_row, *by_column], dim=1)
