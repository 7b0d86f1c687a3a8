"""DFR's lesson: a detector of exchangeable parts, pictures of features, and logical defects.

Shapes: N images, C feature channels, g grid side, S image side.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from anomaly_lib.methods.backbones import Backbone
from anomaly_lib.methods.dfr.method import Dfr
from anomaly_lib.methods.dfr.network import reconstruction_error
from anomaly_lib.methods.maps import smoothed, upsampled


@dataclass(frozen=True)
class Detector:
    """Reconstruct features, compare, make a map. ``dataclasses.replace`` exchanges a part."""

    reconstruct: Callable[[Tensor], Tensor]
    """Features (N, C, g, g) -> what they would be without a defect."""
    finish: Callable[[Tensor], Tensor]
    """Errors (N, g, g) -> anomaly maps (N, S, S)."""

    def errors(self, features: Tensor) -> Tensor:
        """Mean squared error of each place, (N, g, g)."""
        return reconstruction_error(features, self.reconstruct(features))

    def maps(self, features: Tensor) -> Tensor:
        """Anomaly maps (N, S, S)."""
        return self.finish(self.errors(features))

    def scores(self, features: Tensor) -> Tensor:
        """The largest value of each map, (N,)."""
        return self.maps(features).amax(dim=(1, 2))


def colours(images: Tensor, grid: int) -> Tensor:
    """The simplest features: mean colour of each square of the grid, (N, 3, S, S) -> (N, 3, g, g)."""
    return F.adaptive_avg_pool2d(images, grid)


def mean_vector(normals: Tensor) -> Callable[[Tensor], Tensor]:
    """A reconstruction that answers every place with the mean vector of normal features (M, C, g, g)."""
    mean = normals.mean(dim=(0, 2, 3), keepdim=True)
    return lambda features: mean.expand_as(features)


def learned(method: Dfr) -> Callable[[Tensor], Tensor]:
    """The autoencoder of a trained DFR, on features in its space."""
    return torch.no_grad()(method.fitted.autoencoder)


def plain(size: int) -> Callable[[Tensor], Tensor]:
    """Errors to maps by interpolation alone."""
    return lambda errors: upsampled(errors, size)


def scaled(scale: Tensor, size: int, sigma: float = 0.0) -> Callable[[Tensor], Tensor]:
    """Errors divided by the normal error of each place (g, g), interpolated, then smoothed by ``sigma`` pixels."""
    return lambda errors: smoothed(upsampled(errors / scale, size), sigma, "mirrored")


def misplaced(map_size: int, image_size: int) -> float:
    """How far, in pixels, the border of a map lands beside its place when it is read after one place of padding.

    A map of h places is stretched so that its first and last place lie on the first and last pixel; the padded one
    has h + 2 places.
    """
    return (image_size - 1) / (map_size + 1)


def error_shares(features: Tensor, reconstruction: Tensor, channels: dict[str, int]) -> dict[str, float]:
    """Which share of the squared error of (N, C, g, g) features comes from each layer: {layer: share}."""
    squares = (features - reconstruction).square().sum(dim=(0, 2, 3))
    total = squares.sum()
    parts = squares.split(list(channels.values()))
    return {layer: (part.sum() / total).item() for layer, part in zip(channels, parts, strict=True)}


def only_background(images: Tensor, share: float = 0.15) -> Tensor:
    """The top ``share`` of each image (N, 3, S, S), mirrored downwards until it fills the image: the part is gone."""
    size = images.shape[-1]
    strip = images[:, :, : math.ceil(share * size)]
    pair = torch.cat([strip, strip.flip(2)], dim=2)
    copies = -(-size // pair.shape[2])
    return rearrange(pair[:, None].expand(-1, copies, -1, -1, -1), "n k c h w -> n c (k h) w")[:, :, :size]


def turned_around(images: Tensor) -> Tensor:
    """Images (N, 3, S, S) turned by 180 degrees: each half of a part lies where the other should."""
    return torch.rot90(images, 2, (2, 3))


@torch.no_grad()
def channel_pictures(backbone: Backbone, image: Tensor, normals: Tensor, count: int) -> dict[str, Tensor]:
    """Some channels of each layer for an image (3, S, S), in standard deviations from normal ones: {layer: (K, h, h)}.

    The ``count`` channels are evenly spaced over the layer's, not picked by what they show.
    """
    pictures = {}
    for layer, many, one in zip(backbone.layers, backbone(normals), backbone(image[None]), strict=True):
        chosen = torch.linspace(0, one.shape[1] - 1, count).round().long()
        many, one = many[:, chosen], one[0, chosen]
        mean, std = many.mean(dim=(0, 2, 3)), many.std(dim=(0, 2, 3)).clamp(min=1e-6)
        pictures[layer] = (one - mean[:, None, None]) / std[:, None, None]
    return pictures


def channel_deviations(features: Tensor, channels: dict[str, int]) -> dict[str, Tensor]:
    """Standard deviation of each channel of (N, C, g, g) features, by layer: {layer: (C_layer,)}."""
    deviations = features.std(dim=(0, 2, 3)).split(list(channels.values()))
    return dict(zip(channels, deviations, strict=True))


def points_at_the_defect(maps: Tensor, masks: Tensor, margin: int) -> Tensor:
    """Whether the largest value of each map (N, S, S) lies in its mask (N, S, S) or at most ``margin`` px off: (N,)."""
    grown = F.max_pool2d(masks[:, None].float(), 2 * margin + 1, stride=1, padding=margin)
    largest = maps.flatten(1).argmax(dim=1, keepdim=True)
    return grown.flatten(1).gather(1, largest)[:, 0] > 0
