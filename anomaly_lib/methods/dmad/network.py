"""PPDM, the pyramid deformation model for images: offset network, bottleneck and decoder around a frozen teacher.

Shapes: N images of H x W, normalised as the teacher wants them; level l is (N, C_l, h_l, w_l), finest first.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomaly_lib.base.errors import InputError
from anomaly_lib.methods.backbones import Backbone, FeatureCache, pyramid_layers
from anomaly_lib.methods.dmad.bottleneck import Bottleneck, Decoder, Embedded, QuantisedBottleneck
from anomaly_lib.methods.dmad.offset import OffsetNetwork
from anomaly_lib.methods.dmad.params import DmadParams
from anomaly_lib.methods.dmad.quantise import VectorQuantiser
from anomaly_lib.methods.dmad.warp import Fields, to_prototype

FINGERPRINT_SIDE = 64
THINNEST = 32
"""Least channels of a default decoder stage."""


class Teacher(nn.Module):
    """A frozen backbone and the shapes of its levels for square images of ``params.image_size``.

    Raises InputError when the sides of the three levels do not halve at that size.
    """

    def __init__(self, params: DmadParams):
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
        ramp = torch.linspace(0, 1, 3 * FINGERPRINT_SIDE**2, device=self.backbone.mean.device)
        picture = ramp.view(1, 3, FINGERPRINT_SIDE, FINGERPRINT_SIDE)
        return torch.stack([level.abs().mean() for level in self(self.backbone.normalise(picture))])

    def _check(self, params: DmadParams) -> None:
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
    """The teacher's levels of N images, one row per image: what does not change where images are not deformed."""

    def __init__(self, images: int, shapes: list[tuple[int, ...]], memory_gigabytes: float, folder: Path | None):
        self.shapes = shapes
        self.sizes = [math.prod(shape) for shape in shapes]
        super().__init__(images, sum(self.sizes), memory_gigabytes, folder)

    def put(self, levels: Sequence[Tensor]) -> None:
        """Keep the levels of the next images."""
        self.append(torch.cat([level.cpu().flatten(1) for level in levels], dim=1))

    def get(self, images: Tensor) -> list[Tensor]:
        """Levels of the images with these indices, channels last in memory, as the teacher gives them."""
        parts = self.vectors[images].split(self.sizes, dim=1)
        shaped = (part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))
        return [level.contiguous(memory_format=torch.channels_last) for level in shaped]


class LevelSpace(nn.Module):
    """Affine map of each level's channels; the identity until it is set."""

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.levels = range(1, len(channels) + 1)
        for level, count in zip(self.levels, channels, strict=True):
            self.register_buffer(f"mean{level}", torch.zeros(1, count, 1, 1))
            self.register_buffer(f"std{level}", torch.ones(1, count, 1, 1))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        pairs = ((self.get_buffer(f"mean{level}"), self.get_buffer(f"std{level}")) for level in self.levels)
        return [(level - mean) / std for level, (mean, std) in zip(levels, pairs, strict=True)]

    @torch.no_grad()
    def fit(self, levels: Sequence[Tensor]) -> None:
        """Standardise by the statistics of normal images' levels, (N, C, h, w) each."""
        for number, level in zip(self.levels, levels, strict=True):
            std, mean = torch.std_mean(level.double(), dim=(0, 2, 3), correction=0, keepdim=True)
            self.get_buffer(f"mean{number}").copy_(mean)
            self.get_buffer(f"std{number}").copy_(std.clamp(min=1e-6))


class Pass(NamedTuple):
    """Everything one pass makes."""

    fields: Fields | None
    """None without deformation."""
    warped: Tensor
    """(N, 3, H, W): the prototype-like image; the image itself without deformation."""
    targets: list[Tensor]
    """The teacher's levels of ``warped``."""
    predictions: list[Tensor]
    """The decoder's levels, of the same shapes."""
    embedded: Embedded


class PPDM(nn.Module):
    """The three trained networks. ``offset`` is None without deformation."""

    def __init__(self, offset: OffsetNetwork | None, bottleneck: nn.Module, decoder: Decoder, space: LevelSpace):
        super().__init__()
        self.offset, self.bottleneck, self.decoder, self.space = offset, bottleneck, decoder, space

    def forward(self, images: Tensor, teacher: Callable[[Tensor], list[Tensor]], deform: bool = True) -> Pass:
        """``teacher`` gives the three levels of normalised images; ``deform`` false leaves the images as they are."""
        fields = self.offset(images) if self.offset and deform else None
        warped = to_prototype(images, fields) if fields else images
        targets = self.space(teacher(warped))
        embedded = self.bottleneck(targets)
        # where a level's side is odd, the decoder's is larger by one
        levels = zip(self.decoder(embedded.features), targets, strict=True)
        predictions = [level[..., : target.shape[-2], : target.shape[-1]] for level, target in levels]
        return Pass(fields, warped, targets, predictions, embedded)

    @property
    def quantiser(self) -> VectorQuantiser | None:
        """The vector quantiser, where there is one."""
        return getattr(self.bottleneck, "vq3", None)


def build(params: DmadParams, channels: Sequence[int]) -> PPDM:
    """Freshly initialised networks for a teacher whose levels have ``channels``, finest first."""
    offset = None
    if params.deformation:
        offset = OffsetNetwork(params.coordinates, params.offset_width, params.offset_reduction, params.identity_start)
    if params.codes is None:
        bottleneck: nn.Module = Bottleneck(channels, params.embedding_blocks)
    else:
        quantiser = VectorQuantiser(params.codes, channels[-1], params.commitment, params.revive_after)
        official = params.preset != "default"  # their checkpoints hold two layers that nothing uses
        bottleneck = QuantisedBottleneck(channels, quantiser, params.squeeze, params.embedding_blocks, official)
    widths = params.decoder_widths
    if widths is None and params.decoder_heads:
        widths = [mirrored_width(count) for count in channels]
    decoder = Decoder(2 * channels[-1], channels, widths, params.decoder_blocks, params.decoder_heads)
    return PPDM(offset, bottleneck, decoder, LevelSpace(channels))


def mirrored_width(channels: int) -> int:
    """A level's channels, rounded up to a multiple of 16, at least 32."""
    return max(THINNEST, -(-channels // 16) * 16)
