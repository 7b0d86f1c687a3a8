"""From the teacher's levels through a narrow bottleneck, the one-class embedding, and back: residual blocks, decoder.

Shapes: N images; level l is (N, C_l, h_l, w_l), finest first, sides halving. Module names equal those of the authors'
checkpoints, and the residual blocks' those of torchvision.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomaly_lib.methods.dmad.quantise import VectorQuantiser

Side = Literal["halve", "keep", "double"]
SHORTCUTS = {"halve": "downsample", "double": "upsample"}


class Embedded(NamedTuple):
    """What a bottleneck returns."""

    features: Tensor
    """(N, 2 C_3, h_3 / 2, w_3 / 2)."""
    loss: Tensor
    """Scalar loss of the quantiser, 0 without one."""
    codes: Tensor | None
    """(N, h_3, w_3) index of each location's code; None without a quantiser."""


class _Bottleneck(nn.Module):
    """What both variants share: named pairs of a 3x3 convolution and batch normalisation, and the residual stage."""

    def _add(self, name: str, channels_in: int, channels_out: int, stride: int) -> None:
        self.add_module(f"conv{name}", nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False))
        self.add_module(f"bn{name}", nn.BatchNorm2d(channels_out))

    def _passed(self, features: Tensor, *names: str) -> Tensor:
        """Features through the pairs of these names, a ReLU behind each."""
        for name in names:
            convolved = self.get_submodule(f"conv{name}")(features)
            features = F.relu(self.get_submodule(f"bn{name}")(convolved))
        return features


class Bottleneck(_Bottleneck):
    """Without quantisation (authors' variant for maps; as in reverse distillation, RD4AD)."""

    def __init__(self, channels: Sequence[int], blocks: int = 3):
        super().__init__()
        first, second, third = channels
        self._add("1", first, second, 2)
        self._add("2", second, third, 2)
        self._add("3", second, third, 2)
        self.bn_layer = _stage(3 * third, third, 2 * third, blocks, "halve")
        initialise(self)

    def forward(self, levels: Sequence[Tensor]) -> Embedded:
        first, second, third = levels
        fused = torch.cat([self._passed(first, "1", "2"), self._passed(second, "3"), third], dim=1)
        return Embedded(self.bn_layer(fused), third.new_zeros(()), None)


class QuantisedBottleneck(_Bottleneck):
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
        third = channels[-1]
        for level, width in enumerate(channels, 1):
            self._add(f"{level}_r", width, squeeze, 1)
        for name in ("1", "2", "3"):
            self._add(name, squeeze, squeeze, 2)
        if authors:
            self.conv4, self.bn4 = nn.Conv2d(third, third, 1, bias=False), nn.BatchNorm2d(third)
        self.bn_layer = _stage(3 * squeeze + third, third, 2 * third, blocks, "halve")
        initialise(self)
        self.vq3 = quantiser

    def forward(self, levels: Sequence[Tensor]) -> Embedded:
        first, second, third = levels
        squeezed = [self._passed(first, "1_r", "1", "2"), self._passed(second, "2_r", "3"), self._passed(third, "3_r")]
        quantised = self.vq3(third)
        fused = torch.cat([*squeezed, quantised.features], dim=1)
        return Embedded(self.bn_layer(fused), quantised.loss, quantised.codes)


class Decoder(nn.Module):
    """(N, E, h, w) embedding -> three levels of ``channels``, finest first, at 8, 4 and 2 times the side.

    ``widths`` are the stages' channels, finest first, and equal ``channels`` unless ``heads`` adds a 1x1 convolution to
    each, without which a level cannot be negative. ``blocks`` counts residual blocks, coarsest stage first. The inner
    width is half a stage's (authors: 512, 256, 128).
    """

    def __init__(
        self,
        embedding: int,
        channels: Sequence[int],
        widths: Sequence[int] | None = None,
        blocks: Sequence[int] = (3, 4, 6),
        heads: bool = False,
    ):
        super().__init__()
        first, second, third = widths or channels
        self.layer1 = _stage(embedding, third // 2, third, blocks[0], "double")
        self.layer2 = _stage(third, second // 2, second, blocks[1], "double")
        self.layer3 = _stage(second, first // 2, first, blocks[2], "double")
        self.heads = None
        if heads:
            pairs = zip((first, second, third), channels, strict=True)
            self.heads = nn.ModuleList(nn.Conv2d(width, channel, 1) for width, channel in pairs)
        initialise(self)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        third = self.layer1(embedding)
        second = self.layer2(third)
        levels = [self.layer3(second), second, third]
        if self.heads is None:
            return levels
        return [head(level) for head, level in zip(self.heads, levels, strict=True)]


class _Block(nn.Module):
    """1x1, 3x3 and 1x1 convolution, each with BN, beside a shortcut; the 3x3 and the shortcut change the side.

    Doubling is a 2x2 transposed convolution in place of the 3x3.
    """

    def __init__(self, channels_in: int, inner: int, channels_out: int, side: Side):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = _convolution(inner, inner, 3, side), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
        self.shortcut = SHORTCUTS.get(side)
        if self.shortcut:
            resizing = _convolution(channels_in, channels_out, 1, side)
            self.add_module(self.shortcut, nn.Sequential(resizing, nn.BatchNorm2d(channels_out)))

    def forward(self, features: Tensor) -> Tensor:
        shortcut = self.get_submodule(self.shortcut)(features) if self.shortcut else features
        inner = F.relu(self.bn1(self.conv1(features)), inplace=True)
        inner = F.relu(self.bn2(self.conv2(inner)), inplace=True)
        return F.relu(self.bn3(self.conv3(inner)) + shortcut, inplace=True)


def _convolution(channels_in: int, channels_out: int, kernel: int, side: Side) -> nn.Conv2d | nn.ConvTranspose2d:
    if side == "double":
        return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False)
    stride = 2 if side == "halve" else 1
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)


def _stage(channels_in: int, inner: int, channels_out: int, blocks: int, side: Side) -> nn.Sequential:
    """Residual blocks, of which the first changes channels and side."""
    first = _Block(channels_in, inner, channels_out, side)
    return nn.Sequential(first, *(_Block(channels_out, inner, channels_out, "keep") for _ in range(blocks - 1)))


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions over their fan-out, batch normalisation of 1 and 0 (authors)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
