"""The teacher's three levels, computed once for images that are not deformed.

Shapes: N images; level l is (N, C_l, h_l, w_l), finest first.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.backbones import Backbone, pyramid_layers
from anomaly_lib.methods.dmad.params import Params
from anomaly_lib.methods.feature_cache import FeatureCache

FINGERPRINT_SIDE = 64


class Teacher(nn.Module):
    """A frozen backbone and the shapes of its levels for square images of ``params.image_size``.

    Raises InputError when the sides of the three levels do not halve at that size.
    """

    def __init__(self, params: Params):
        super().__init__()
        layers = params.layers or pyramid_layers(params.backbone)
        self.backbone = Backbone(params.backbone, layers, params.weights).to(memory_format=torch.channels_last)
        with torch.no_grad():
            outputs = self(torch.zeros(1, 3, params.image_size, params.image_size))
        self.shapes = [tuple(output.shape[1:]) for output in outputs]
        self._check(params)

    def forward(self, normalised: Tensor) -> list[Tensor]:
        """Levels of images that ``backbone.normalise`` made."""
        return self.backbone.extract(normalised.contiguous(memory_format=torch.channels_last))

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the levels, finest first."""
        return tuple(shape[0] for shape in self.shapes)

    @torch.no_grad()
    def fingerprint(self) -> Tensor:
        """(3,) mean absolute feature of each level on a fixed picture: tells teachers apart on any machine."""
        device = self.backbone.mean.device
        ramp = torch.linspace(0, 1, 3 * FINGERPRINT_SIDE**2, device=device)
        picture = ramp.view(1, 3, FINGERPRINT_SIDE, FINGERPRINT_SIDE)
        return torch.stack([level.abs().mean() for level in self(self.backbone.normalise(picture))])

    def _check(self, params: Params) -> None:
        """Maps are square, and each level is half as wide as the one before, rounded up."""
        sides = [shape[1:] for shape in self.shapes]
        first = sides[0][0]
        second = -(-first // 2)
        expected = [(side, side) for side in (first, second, -(-second // 2))]
        if sides != expected:
            raise InputError(
                f"backbone {params.backbone}, layers {', '.join(self.backbone.layers)}: sides {sides} at image_size "
                f"{params.image_size}; each must be half the one before: choose other layers, or a multiple of 32"
            )


class LevelCache(FeatureCache):
    """The levels of N images, as one row an image; in memory, or in a file when they are large."""

    def __init__(self, images: int, shapes: list[tuple[int, ...]], memory_gigabytes: float, folder: Path | None):
        self.shapes = shapes
        self.sizes = [math.prod(shape) for shape in shapes]
        super().__init__(images, sum(self.sizes), memory_gigabytes, folder)

    def put(self, start: int, levels: list[Tensor]) -> None:
        """Keep the levels of images from ``start`` on."""
        rows = torch.cat([level.cpu().flatten(1) for level in levels], dim=1)
        self.vectors[start : start + len(rows)] = rows

    def get(self, images: Tensor) -> list[Tensor]:
        """Levels of the images with these indices, channels last in memory, as the teacher gives them."""
        parts = self.vectors[images].split(self.sizes, dim=1)
        shaped = (part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))
        return [level.contiguous(memory_format=torch.channels_last) for level in shaped]
