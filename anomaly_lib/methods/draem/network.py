"""The reconstructive and the discriminative network, at any base width.

Shapes: N images, S side (a multiple of 32), w base width of the reconstructive, c of the discriminative network.
The module names equal those of the authors' checkpoints, so their files load as they are.
Source: the authors' networks; the paper (section 3) gives the idea, their code the layers.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

FIRST_LAYER = {"reconstructive": "encoder.block1.0.weight", "discriminative": "encoder_segment.block1.0.weight"}
"""Each network's name and the key of its first weights, whose length is the network's width."""


class ReconstructiveNetwork(nn.Module):
    """Autoencoder without skip connections: (N, 3, S, S) in [0, 1] -> (N, 3, S, S), unbounded."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.width = width
        self.encoder = _PlainEncoder(width)
        self.decoder = _PlainDecoder(width)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


class DiscriminativeNetwork(nn.Module):
    """U-Net: (N, 6, S, S), the reconstruction's channels before the image's -> (N, 2, S, S) logits.

    Channel 1 of the softmax is the probability that a pixel is anomalous.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.width = width
        self.encoder_segment = _SkippingEncoder(width)
        self.decoder_segment = _SkippingDecoder(width)

    def forward(self, pairs: Tensor) -> Tensor:
        return self.decoder_segment(*self.encoder_segment(pairs))


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
    """(N, 2, S, S) logits -> (N, S, S) probability that a pixel is anomalous."""
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


class _PlainEncoder(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        w = width
        self.block1, self.block2, self.block3 = _twice(3, w), _twice(w, 2 * w), _twice(2 * w, 4 * w)
        self.block4, self.block5 = _twice(4 * w, 8 * w), _twice(8 * w, 8 * w)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 8w, S/16, S/16)."""
        for block in (self.block1, self.block2, self.block3, self.block4):
            x = self.pool(block(x))
        return self.block5(x)


class _PlainDecoder(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        w = width
        self.up1, self.db1 = _up(8 * w, 8 * w), _twice(8 * w, 4 * w, inner=8 * w)
        self.up2, self.db2 = _up(4 * w, 4 * w), _twice(4 * w, 2 * w, inner=4 * w)
        self.up3, self.db3 = _up(2 * w, 2 * w), _twice(2 * w, w, inner=2 * w)
        self.up4, self.db4 = _up(w, w), _twice(w, w)
        self.fin_out = nn.Sequential(nn.Conv2d(w, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 8w, S/16, S/16) -> (N, 3, S, S)."""
        for level in "1234":
            x = getattr(self, f"db{level}")(getattr(self, f"up{level}")(x))
        return self.fin_out(x)


class _SkippingEncoder(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        c = width
        self.block1, self.block2, self.block3 = _twice(6, c), _twice(c, 2 * c), _twice(2 * c, 4 * c)
        self.block4, self.block5, self.block6 = _twice(4 * c, 8 * c), _twice(8 * c, 8 * c), _twice(8 * c, 8 * c)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 6, S, S) -> six levels, from (N, c, S, S) to (N, 8c, S/32, S/32)."""
        levels = [self.block1(x)]
        for block in (self.block2, self.block3, self.block4, self.block5, self.block6):
            levels.append(block(self.pool(levels[-1])))
        return levels


class _SkippingDecoder(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        c = width
        self.up_b, self.db_b = _up(8 * c, 8 * c), _twice(16 * c, 8 * c)
        self.up1, self.db1 = _up(8 * c, 4 * c), _twice(12 * c, 4 * c)
        self.up2, self.db2 = _up(4 * c, 2 * c), _twice(6 * c, 2 * c)
        self.up3, self.db3 = _up(2 * c, c), _twice(3 * c, c)
        self.up4, self.db4 = _up(c, c), _twice(2 * c, c)
        self.fin_out = nn.Sequential(nn.Conv2d(c, 2, 3, padding=1))

    def forward(self, *levels: Tensor) -> Tensor:
        """The encoder's six levels -> (N, 2, S, S) logits."""
        *skipped, x = levels
        for level, skip in zip(("_b", "1", "2", "3", "4"), reversed(skipped), strict=True):
            x = getattr(self, f"up{level}")(x)
            x = getattr(self, f"db{level}")(torch.cat([x, skip], dim=1))
        return self.fin_out(x)


def _convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, ReLU."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


def _twice(channels_in: int, channels_out: int, inner: int | None = None) -> nn.Sequential:
    inner = inner or channels_out
    return nn.Sequential(*_convolution(channels_in, inner), *_convolution(inner, channels_out))


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice the side, then a convolution."""
    upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return nn.Sequential(upsample, *_convolution(channels_in, channels_out))
