"""A detector of three exchangeable parts: a lesson begins with dummies and replaces one part at a time.

Shapes: N images of 3 channels, S side, values in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from anomaly_lib.methods.draem.method import Draem
from anomaly_lib.methods.draem.network import anomaly_maps

IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class Detector:
    """Repair the image, compare the two, make one number of the map. ``dataclasses.replace`` exchanges a part."""

    reconstruct: Callable[[Tensor], Tensor]
    """(N, 3, S, S) images -> what they would look like without a defect."""
    compare: Callable[[Tensor, Tensor], Tensor]
    """Images and reconstructions -> anomaly maps (N, S, S)."""
    summarise: Callable[[Tensor], Tensor]
    """Maps -> image scores (N,)."""

    def maps(self, images: Tensor) -> Tensor:
        """Anomaly maps (N, S, S)."""
        return self.compare(images, self.reconstruct(images))

    def scores(self, images: Tensor) -> Tensor:
        """Image scores (N,)."""
        return self.summarise(self.maps(images))


def identity(images: Tensor) -> Tensor:
    """The simplest reconstruction: everything stays as it is, defects too."""
    return images


def average_image(normals: Tensor) -> Callable[[Tensor], Tensor]:
    """A reconstruction that answers every image with the mean of ``normals`` (M, 3, S, S)."""
    mean = normals.mean(dim=0, keepdim=True)
    return lambda images: mean.expand_as(images)


def learned_reconstruction(method: Draem) -> Callable[[Tensor], Tensor]:
    """The reconstructive network of a trained DRAEM."""
    return lambda images: method.explain(images)["reconstruction"]


def absolute_difference(images: Tensor, reconstructions: Tensor) -> Tensor:
    """|I - I_r|, the mean of the channels: (N, S, S) in [0, 1] for images in [0, 1]."""
    return (images - reconstructions).abs().mean(dim=1)


def learned_comparison(method: Draem) -> Callable[[Tensor, Tensor], Tensor]:
    """The discriminative network of a trained DRAEM, whose settings have the channel order RGB."""
    return partial(_discriminate, method)


def plain_max(maps: Tensor) -> Tensor:
    """The largest value of each map."""
    return maps.amax(dim=(1, 2))


def smoothed_max(side: int) -> Callable[[Tensor], Tensor]:
    """The largest mean of a square of ``side`` pixels, which is odd; beyond the border there are zeros (eq. 5)."""
    return lambda maps: plain_max(mean_filtered(maps, side))


def mean_filtered(maps: Tensor, side: int) -> Tensor:
    """(N, S, S) -> (N, S, S): mean of a square of ``side`` pixels, odd, zeros beyond the border counted."""
    means = F.avg_pool2d(rearrange(maps, "n h w -> n 1 h w"), side, stride=1, padding=side // 2)
    return rearrange(means, "n 1 h w -> n h w")


@torch.no_grad()
def _discriminate(method: Draem, images: Tensor, reconstructions: Tensor) -> Tensor:
    pairs = torch.cat([reconstructions, images], dim=1).split(IMAGES_AT_ONCE)
    network = method.model.eval().discriminative
    return torch.cat([anomaly_maps(network(pair.to(method.device))).cpu() for pair in pairs])
