"""The reconstructive and the discriminative network, at any base width.

Shapes: N images, S side (a multiple of 32), w base width of the reconstructive, c of the discriminative network.
The module names equal those of the authors' checkpoints, so their files load as they are.
Source: the authors' networks; the paper (section 3) gives the idea, their code the layers.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn

FIRST_LAYER = {"reconstructive": "encoder.block1.0.weight", "discriminative": "encoder_segment.block1.0.weight"}
"""Each network's name and the key of its first weights, whose length is the network's width."""


class ReconstructiveNetwork(nn.Module):
    """Autoencoder without skip connections: (N, 3, S, S) in [0, 1] -> (N, 3, S, S), unbounded."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.width = w = width
        self.encoder = _Encoder([3, w, 2 * w, 4 * w, 8 * w, 8 * w])
        self.decoder = _PlainDecoder([8 * w, 4 * w, 2 * w, w, w])

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images)[-1])


class DiscriminativeNetwork(nn.Module):
    """U-Net: (N, 6, S, S), the reconstruction's channels before the image's -> (N, 2, S, S) logits.

    Channel 1 of the softmax is the probability that a pixel is anomalous.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.width = c = width
        self.encoder_segment = _Encoder([6, c, 2 * c, 4 * c, 8 * c, 8 * c, 8 * c])
        self.decoder_segment = _SkippingDecoder([8 * c, 8 * c, 4 * c, 2 * c, c, c])

    def forward(self, pairs: Tensor) -> Tensor:
        return self.decoder_segment(self.encoder_segment(pairs))


class DraemNetworks(nn.Module):
    """Both networks, trained together."""

    def __init__(self, reconstructive_width: int = 128, discriminative_width: int = 64):
        super().__init__()
        self.reconstructive = ReconstructiveNetwork(reconstructive_width)
        self.discriminative = DiscriminativeNetwork(discriminative_width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) images -> reconstructions (N, 3, S, S) and logits (N, 2, S, S)."""
        reconstructions = self.reconstructive(images)
        return reconstructions, self.discriminative(torch.cat([reconstructions, images], dim=1))


def anomaly_maps(logits: Tensor) -> Tensor:
    """(N, 2, S, S) logits -> (N, S, S) probability that a pixel is anomalous, in [0, 1]."""
    normal, anomalous = rearrange(logits.float(), "n two h w -> two n h w")
    return torch.sigmoid(anomalous - normal)  # the softmax of two classes, rounded once


@torch.no_grad()
def initialise(networks: nn.Module) -> None:
    """Convolution weights from N(0, 0.02), normalisation scales from N(1, 0.02), as the authors' code.

    Draws from torch's global generator: seed it first.
    """
    for module in networks.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.normal_(0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.normal_(1.0, 0.02)
            module.bias.zero_()


class _Encoder(nn.Module):
    """(N, widths[0], S, S) -> a level for each further width, the first of side S, each next one half as wide."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        for number, (width_in, width_out) in enumerate(pairwise(widths), 1):
            self.add_module(f"block{number}", _twice(width_in, width_out))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        levels: list[Tensor] = []
        for name, block in self.named_children():
            if name != "pool":
                levels.append(block(self.pool(levels[-1]) if levels else x))
        return levels


class _PlainDecoder(nn.Module):
    """(N, 8w, S/16, S/16) -> (N, 3, S, S)."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        for number, (width_in, width_out) in enumerate(pairwise(widths), 1):
            self.add_module(f"up{number}", _up(width_in, width_in))
            self.add_module(f"db{number}", _twice(width_in, width_out, inner=width_in))
        self.fin_out = nn.Sequential(nn.Conv2d(widths[-1], 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x


class _SkippingDecoder(nn.Module):
    """The encoder's six levels -> (N, 2, S, S) logits."""

    LEVELS = ("_b", "1", "2", "3", "4")

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        for level, (width_in, width_out) in zip(self.LEVELS, pairwise(widths), strict=True):
            self.add_module(f"up{level}", _up(width_in, width_out))
            self.add_module(f"db{level}", _twice(width_out + width_in, width_out))  # what is skipped has width_in
        self.fin_out = nn.Sequential(nn.Conv2d(widths[-1], 2, 3, padding=1))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        *skipped, x = levels
        for level, skip in zip(self.LEVELS, reversed(skipped), strict=True):
            x = self.get_submodule(f"up{level}")(x)
            x = self.get_submodule(f"db{level}")(torch.cat([x, skip], dim=1))
        return self.fin_out(x)


def _convolution(width_in: int, width_out: int) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, ReLU."""
    return [nn.Conv2d(width_in, width_out, 3, padding=1), nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]


def _twice(width_in: int, width_out: int, inner: int | None = None) -> nn.Sequential:
    inner = inner or width_out
    return nn.Sequential(*_convolution(width_in, inner), *_convolution(inner, width_out))


def _up(width_in: int, width_out: int) -> nn.Sequential:
    """Twice the side, then a convolution."""
    upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return nn.Sequential(upsample, *_convolution(width_in, width_out))
