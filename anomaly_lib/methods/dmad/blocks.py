"""Residual blocks of a wide ResNet, downwards and upwards.

Module names equal those of the authors' checkpoints (and torchvision's).
"""

from torch import Tensor, nn


class DownBlock(nn.Module):
    """1x1, 3x3, 1x1 convolution, each with BN, beside a shortcut; stride 2 stands in the 3x3."""

    def __init__(self, channels_in: int, inner: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + shortcut)


class UpBlock(nn.Module):
    """The mirror of ``DownBlock``: doubles the side by 2x2 transposed convolutions when ``double``."""

    def __init__(self, channels_in: int, inner: int, channels_out: int, double: bool = False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner)
        if double:
            self.conv2 = nn.ConvTranspose2d(inner, inner, 2, stride=2, bias=False)
        else:
            self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.upsample = None
        if double:
            shortcut = nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2, bias=False)
            self.upsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.upsample is None else self.upsample(features)
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + shortcut)


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
