"""The one-class embedding: three levels of teacher features fused and compressed to half the coarsest side.

Shapes: level l is (N, C_l, h_l, w_l), finest first, sides halving. Module names equal the authors' checkpoints.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomaly_lib.methods.dmad.blocks import DownBlock, initialise
from anomaly_lib.methods.dmad.quantise import VectorQuantiser


class Embedded(NamedTuple):
    """What a bottleneck returns."""

    features: Tensor
    """(N, 2 C_3, h_3 / 2, w_3 / 2)."""
    loss: Tensor
    """Scalar loss of the quantiser, 0 without one."""
    codes: Tensor | None
    """(N, h_3, w_3) index of each location's code; None without a quantiser."""


class Bottleneck(nn.Module):
    """Without quantisation (authors' variant for maps; as in reverse distillation, RD4AD)."""

    def __init__(self, channels: Sequence[int], blocks: int = 3):
        super().__init__()
        first, second, third = channels
        self.conv1, self.bn1 = _convolution(first, second, 2), nn.BatchNorm2d(second)
        self.conv2, self.bn2 = _convolution(second, third, 2), nn.BatchNorm2d(third)
        self.conv3, self.bn3 = _convolution(second, third, 2), nn.BatchNorm2d(third)
        self.bn_layer = _residual_stage(3 * third, third, blocks)
        initialise(self)

    def forward(self, levels: Sequence[Tensor]) -> Embedded:
        first, second, third = levels
        first = F.relu(self.bn1(self.conv1(first)))
        first = F.relu(self.bn2(self.conv2(first)))
        second = F.relu(self.bn3(self.conv3(second)))
        return Embedded(self.bn_layer(torch.cat([first, second, third], dim=1)), third.new_zeros(()), None)


class QuantisedBottleneck(nn.Module):
    """With quantisation (authors' variant for image scores): levels squeezed, a quantised copy of the coarsest.

    ``authors`` adds ``conv4`` and ``bn4``, which stand in the authors' checkpoints and are never used.
    """

    def __init__(
        self,
        channels: Sequence[int],
        quantiser: VectorQuantiser,
        squeeze: int = 64,
        blocks: int = 3,
        authors: bool = False,
    ):
        super().__init__()
        first, second, third = channels
        for level, width in enumerate((first, second, third), 1):
            self.add_module(f"conv{level}_r", _convolution(width, squeeze, 1))
            self.add_module(f"bn{level}_r", nn.BatchNorm2d(squeeze))
        for index in (1, 2, 3):
            self.add_module(f"conv{index}", _convolution(squeeze, squeeze, 2))
            self.add_module(f"bn{index}", nn.BatchNorm2d(squeeze))
        if authors:
            self.conv4, self.bn4 = nn.Conv2d(third, third, 1, bias=False), nn.BatchNorm2d(third)
        self.bn_layer = _residual_stage(3 * squeeze + third, third, blocks)
        initialise(self)
        self.vq3 = quantiser

    def forward(self, levels: Sequence[Tensor]) -> Embedded:
        first, second, third = levels
        first = F.relu(self.bn1_r(self.conv1_r(first)))
        first = F.relu(self.bn1(self.conv1(first)))
        first = F.relu(self.bn2(self.conv2(first)))
        second = F.relu(self.bn2_r(self.conv2_r(second)))
        second = F.relu(self.bn3(self.conv3(second)))
        squeezed = F.relu(self.bn3_r(self.conv3_r(third)))
        quantised = self.vq3(third)
        fused = torch.cat([first, second, squeezed, quantised.features], dim=1)
        return Embedded(self.bn_layer(fused), quantised.loss, quantised.codes)


def _convolution(channels_in: int, channels_out: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def _residual_stage(channels_in: int, third: int, blocks: int) -> nn.Sequential:
    """To 2 C_3 channels at half the side; inner width C_3 (authors: 1024 and 2048)."""
    first = DownBlock(channels_in, third, 2 * third, stride=2)
    return nn.Sequential(first, *(DownBlock(2 * third, third, 2 * third) for _ in range(blocks - 1)))
